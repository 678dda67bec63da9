//! Keys of what can be watched: UI, REST, console.

use crate::conf::{Entry, Group, Key, Rule, Unit};

keys! {
    "Monitoring";

    /// Whether the web UI and the REST API are served.
    UI_ENABLED: bool = "spark.ui.enabled" { no_effect: super::LATER, default: Some("true") }

    /// The port they are served on; 0 takes any free one.
    UI_PORT: u64 = "spark.ui.port" { no_effect: super::LATER, default: Some("4040") }

    /// Whether the progress of stages is drawn on the console.
    UI_SHOW_CONSOLE_PROGRESS: bool = "spark.ui.showConsoleProgress" { no_effect: super::LATER, default: Some("false") }

    /// Finished jobs that are remembered.
    UI_RETAINED_JOBS: usize = "spark.ui.retainedJobs" { default: Some("1000"), unit: Unit::Of("jobs") }

    /// Finished stages that are remembered.
    UI_RETAINED_STAGES: usize = "spark.ui.retainedStages" { no_effect: super::LATER, default: Some("1000"), unit: Unit::Of("stages") }

    /// Finished tasks that are remembered.
    UI_RETAINED_TASKS: usize = "spark.ui.retainedTasks" { no_effect: super::LATER, default: Some("100000"), unit: Unit::Of("tasks") }

    /// Finished batches that are remembered.
    RETAINED_BATCHES: usize = "spark.streaming.ui.retainedBatches" {
        no_effect: super::LATER,
        default: Some("1000"), rule: Rule::Positive, unit: Unit::Of("batches")
    }
}
