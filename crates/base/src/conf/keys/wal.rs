//! Keys of the write-ahead logs: of received data, and of what the driver knows about it.

use crate::conf::{Entry, Group, Key, Rule, Unit};
use crate::time::Duration;

keys! {
    "Write-ahead logs";

    /// Whether received data is written to a log before a batch takes it; true needs a checkpoint directory.
    RECEIVER_WAL_ENABLE: Option<bool> = "spark.streaming.receiver.writeAheadLog.enable" {
        unset: "true if there is a checkpoint directory"
    }

    /// How long a received block may take to reach the log before that counts as a failure.
    BLOCK_STORE_TIMEOUT: Duration = "spark.streaming.receiver.blockStoreTimeout" {
        no_effect: Some("a write to the disk cannot be interrupted; `spark.streaming.receiver.writeAheadLog.maxFailures` bounds how often it is tried"),
        default: Some("30s"), unit: Unit::Seconds, rule: Rule::Positive
    }

    /// How often the log of received data begins a new file, if something is written; it also does when one is full.
    RECEIVER_WAL_ROLLING_INTERVAL: Duration = "spark.streaming.receiver.writeAheadLog.rollingIntervalSecs" {
        default: Some("60s"), unit: Unit::Seconds, rule: Rule::Positive
    }

    /// Attempts of one write to the log of received data, with growing pauses in between.
    RECEIVER_WAL_MAX_FAILURES: usize = "spark.streaming.receiver.writeAheadLog.maxFailures" {
        default: Some("3"), rule: Rule::Positive, unit: Unit::Of("attempts")
    }

    /// Whether the log of received data begins a new file after every write.
    RECEIVER_WAL_CLOSE_AFTER_WRITE: bool = "spark.streaming.receiver.writeAheadLog.closeFileAfterWrite" {
        default: Some("false")
    }

    /// How often the driver's log begins a new file.
    DRIVER_WAL_ROLLING_INTERVAL: Duration = "spark.streaming.driver.writeAheadLog.rollingIntervalSecs" {
        no_effect: Some("the batch log begins a new file when one is full"),
        default: Some("60s"), unit: Unit::Seconds, rule: Rule::Positive
    }

    /// Attempts of one write to the driver's log.
    DRIVER_WAL_MAX_FAILURES: usize = "spark.streaming.driver.writeAheadLog.maxFailures" {
        no_effect: Some("a batch that cannot be logged fails, and is tried again as `spark.streaming.batch.maxAttempts` says"),
        default: Some("3"), rule: Rule::Positive, unit: Unit::Of("attempts")
    }

    /// Whether the driver's log begins a new file after every write.
    DRIVER_WAL_CLOSE_AFTER_WRITE: bool = "spark.streaming.driver.writeAheadLog.closeFileAfterWrite" {
        no_effect: Some("the batch log is synced, so that its file need not be closed"),
        default: Some("false")
    }

    /// Whether records that wait for the driver's log are written together.
    DRIVER_WAL_ALLOW_BATCHING: bool = "spark.streaming.driver.writeAheadLog.allowBatching" {
        no_effect: Some("the completion of a batch always shares the sync of the next plan"),
        default: Some("true")
    }

    /// How long a record may wait for such a common write.
    DRIVER_WAL_BATCHING_TIMEOUT: Duration = "spark.streaming.driver.writeAheadLog.batchingTimeout" {
        no_effect: Some("nothing waits for others to share its write"),
        default: Some("5s"), rule: Rule::Positive
    }
}
