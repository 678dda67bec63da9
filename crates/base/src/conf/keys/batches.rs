//! Keys of the life of a batch: running, failing, remembering, stopping.

use crate::conf::{Bytes, Entry, Group, Key, Rule, Unit};
use crate::time::Duration;

keys! {
    "Batches";

    /// Output operations of a batch that run at once. Batches still come one after the other, and their sinks commit in
    /// order.
    CONCURRENT_JOBS: usize = "spark.streaming.concurrentJobs" {
        default: Some("1"), rule: Rule::Positive, unit: Unit::Of("jobs")
    }

    /// Attempts of one batch before the failure policy decides: 2 is one retry.
    BATCH_MAX_ATTEMPTS: u64 = "spark.streaming.batch.maxAttempts" {
        default: Some("2"), rule: Rule::Positive, unit: Unit::Of("attempts")
    }

    /// What a batch that failed for good does: hold the stream at it, skip it (it is set aside and counted), or stop
    /// the program.
    BATCH_ON_FAILURE: String = "spark.streaming.batch.onFailure" {
        default: Some("hold"), rule: Rule::OneOf(&["hold", "skip", "stop"])
    }

    /// Batches that may wait for the running one. What happens beyond that, `spark.streaming.batch.onOverload` says.
    BATCH_MAX_QUEUED: usize = "spark.streaming.maxQueuedBatches" {
        default: Some("2"), rule: Rule::Positive, unit: Unit::Of("batches")
    }

    /// What happens when more batches wait than may: the oldest waiting ticks are coalesced, so that their data goes to the
    /// next batch; or intake is blocked: every tick gets its batch, but every other one takes nothing in until the queue is
    /// short again.
    BATCH_ON_OVERLOAD: String = "spark.streaming.batch.onOverload" {
        default: Some("coalesce"), rule: Rule::OneOf(&["coalesce", "block"])
    }

    /// The most records that a batch takes, of all its inputs together that count theirs before they are read. Never exceeded,
    /// but for records that a receiver stored to be durable together, and that are more by themselves: such a group has a
    /// batch for itself. Zero or less for no limit.
    BATCH_MAX_RECORDS: Option<u64> = "spark.streaming.batch.maxRecords" {
        rule: Rule::Limit, unit: Unit::Of("records"), unset: "no limit"
    }

    /// The most bytes that a batch takes, of all its inputs together that know theirs before they are read. Never exceeded,
    /// but for a single record, group or file that is larger by itself: a file is always taken whole.
    BATCH_MAX_BYTES: Option<Bytes> = "spark.streaming.batch.maxBytes" {
        rule: Rule::Positive, unset: "no limit"
    }

    /// Directory for the batch log, state and checkpoints, applied when the context is created.
    CHECKPOINT_DIRECTORY: Option<String> = "spark.streaming.checkpoint.directory" {}

    /// Whether a stream without a checkpoint directory may keep state, all of which is lost with the process: for tests
    /// and experiments.
    STATE_VOLATILE: bool = "spark.streaming.state.volatile" { default: Some("false") }

    /// Checkpoints that are kept, to fall back on if the newest is damaged.
    CHECKPOINT_RETAINED: usize = "spark.streaming.checkpoint.retained" {
        default: Some("3"), rule: Rule::Positive, unit: Unit::Of("checkpoints")
    }

    /// Batches a restarted program makes of the time it was away; earlier ticks are coalesced.
    RECOVERY_MAX_CATCH_UP: usize = "spark.streaming.recovery.maxCatchUp" {
        default: Some("8"), rule: Rule::Positive, unit: Unit::Of("batches")
    }

    /// Operator ids, separated by commas, whose state or records a changed program lets go; `all` lets everything go.
    RECOVERY_DROP: Option<String> = "spark.streaming.recovery.drop" {}

    /// Partitions of the state of a stateful operator, unless the program says.
    STATE_PARTITIONS: Option<usize> = "spark.streaming.state.partitions" {
        rule: Rule::Positive, unit: Unit::Of("partitions"), unset: "the larger of the default parallelism and 16"
    }

    /// How often a window by inverse is made anew from all that is in it, each partition in its turn, so that roundings of
    /// floating-point numbers do not add up: a sum of a window of B batches is off by at most 2 N + 2 B roundings (half a
    /// unit in the last place) of the largest sum on the way, where N is how many batches come in so many slides. 0 is
    /// never. Unless set, it is so seldom that each slide reads no more than a sixteenth of a batch again for it.
    WINDOW_RECOMPUTE_EVERY: Option<u64> = "spark.streaming.window.recomputeEvery" {
        unit: Unit::Of("slides"), unset: "the larger of 1000 and 16 B"
    }

    /// Whether keys of `map_with_state` time out as late as in Spark: only in batches in which the stream is checkpointed
    /// there, every tenth unless its `checkpoint` says otherwise. Else in the first batch in which they are due.
    COMPAT_TIMEOUTS_AT_CHECKPOINTS: bool = "spark.compat.timeoutsAtCheckpoints" { default: Some("false") }

    /// Whether RDDs and received blocks that no batch needs any more are dropped at once.
    UNPERSIST: bool = "spark.streaming.unpersist" {
        no_effect: Some("what no batch and no part of the program refers to is dropped at once, and what a program holds stays"),
        default: Some("true"),
    }

    /// Whether SIGTERM and Ctrl-C let the batches finish first.
    STOP_GRACEFULLY_ON_SHUTDOWN: bool = "spark.streaming.stopGracefullyOnShutdown" { default: Some("false") }

    /// Whether stopping the StreamingContext also stops its SparkContext.
    STOP_SPARK_CONTEXT_BY_DEFAULT: bool = "spark.streaming.stopSparkContextByDefault" { default: Some("true") }

    /// How long a graceful stop may take, waiting for receivers and for the running batch included. Then it becomes a stop at
    /// once, which undoes that batch.
    GRACEFUL_STOP_TIMEOUT: Option<Duration> = "spark.streaming.gracefulStopTimeout" {
        unset: "10 batch intervals, and 10 s at least"
    }
}
