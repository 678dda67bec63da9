//! Keys of the program as a whole.

use crate::conf::{Entry, Group, Key};

keys! {
    "Application";

    /// Where to run: `local`, `local[4]`, `local[*]`, or `local[4,3]` for up to 3 attempts of each task.
    MASTER: String = "spark.master" { default: Some("local[*]") }

    /// The program's name, as the UI and the logs show it.
    APP_NAME: Option<String> = "spark.app.name" { unset: "the program chooses" }

    /// Directory for cached blocks on disk, in a directory of their own that goes with the context. Of a list, the first.
    LOCAL_DIR: Option<String> = "spark.local.dir" { unset: "the system's directory for temporary files" }
}
