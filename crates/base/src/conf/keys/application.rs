//! Keys of the program as a whole.

use crate::conf::{Entry, Group, Key};

keys! {
    "Application";

    /// Where to run: `local`, `local[4]`, `local[*]`, or `local[4,3]` for up to 3 attempts of each task.
    MASTER: String = "spark.master" { default: Some("local[*]") }

    /// The program's name, as the UI and the logs show it.
    APP_NAME: Option<String> = "spark.app.name" { unset: "the program chooses" }

    /// Directory for shuffle files and cached blocks on disk.
    LOCAL_DIR: Option<String> = "spark.local.dir" { no_effect: super::LATER, unset: "the system's directory for temporary files" }
}
