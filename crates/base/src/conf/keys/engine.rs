//! Keys of the engine: tasks, scheduling, memory, files.

use crate::conf::{Bytes, Entry, Group, Key, Rule, Unit};

keys! {
    "Engine";

    /// Partitions of an RDD, or of a shuffle, that does not say how many it wants.
    DEFAULT_PARALLELISM: Option<usize> = "spark.default.parallelism" {
        rule: Rule::Positive, unit: Unit::Of("partitions"), unset: "the number of threads"
    }

    /// Attempts of one task before its job fails.
    TASK_MAX_FAILURES: Option<usize> = "spark.task.maxFailures" {
        no_effect: Some("F of `local[N,F]` says it, as in Spark's local modes"),
        rule: Rule::Positive, unit: Unit::Of("attempts"), unset: "F of a master `local[N,F]`, else 1"
    }

    /// Attempts in a row of one stage before its job fails.
    STAGE_MAX_CONSECUTIVE_ATTEMPTS: usize = "spark.stage.maxConsecutiveAttempts" {
        no_effect: super::LATER,
        default: Some("4"), rule: Rule::Positive, unit: Unit::Of("attempts")
    }

    /// How the jobs of one program share its threads: in order, or in fair turns between pools.
    SCHEDULER_MODE: String = "spark.scheduler.mode" { default: Some("FIFO"), rule: Rule::OneOf(&["FIFO", "FAIR"]) }

    /// File that declares the pools of the FAIR mode.
    SCHEDULER_ALLOCATION_FILE: Option<String> = "spark.scheduler.allocation.file" {}

    /// Events that may wait for slow listeners; more are dropped and counted.
    LISTENER_QUEUE: usize = "spark.scheduler.listenerbus.eventqueue.capacity" {
        default: Some("10000"), rule: Rule::Positive, unit: Unit::Of("events")
    }

    /// Partitions that `take` and `first` look at in their first job.
    LIMIT_INITIAL_PARTITIONS: usize = "spark.rdd.limit.initialNumPartitions" {
        default: Some("1"), rule: Rule::Positive, unit: Unit::Of("partitions")
    }

    /// How many times more partitions each further job of `take` looks at.
    LIMIT_SCALE_UP: usize = "spark.rdd.limit.scaleUpFactor" { default: Some("4"), rule: Rule::Positive }

    /// The most that one action may bring back to the driver; 0 lifts the limit.
    DRIVER_MAX_RESULT_SIZE: Bytes = "spark.driver.maxResultSize" { no_effect: super::LATER, default: Some("1g") }

    /// The memory budget of a context: what cached blocks, shuffles, sorts and groups, received blocks and state take
    /// together. Whoever wants more goes to disk. The process needs some memory beside it.
    MEMORY_SIZE: Option<Bytes> = "spark.memory.size" { unset: "`spark.memory.fraction` of what the machine or the cgroup has" }

    /// Share of the machine's (or the cgroup's) memory that the budget is, unless `spark.memory.size` says so itself.
    MEMORY_FRACTION: f64 = "spark.memory.fraction" { default: Some("0.6"), rule: Rule::Fraction }

    /// Share of the budget that cached blocks keep when tasks want memory.
    MEMORY_STORAGE_FRACTION: f64 = "spark.memory.storageFraction" { default: Some("0.5"), rule: Rule::Fraction }

    /// Whether what is spilled is compressed (LZ4).
    SHUFFLE_SPILL_COMPRESS: bool = "spark.shuffle.spill.compress" { default: Some("true") }

    /// Whether blocks cached in serialised form, or on disk, and checkpoints are compressed (LZ4).
    RDD_COMPRESS: bool = "spark.rdd.compress" { default: Some("false") }

    /// Directory for checkpoints of RDDs.
    CHECKPOINT_DIR: Option<String> = "spark.checkpoint.dir" {}

    /// Whether a checkpointed RDD's files are deleted with its last handle.
    CLEAN_CHECKPOINTS: bool = "spark.cleaner.referenceTracking.cleanCheckpoints" { default: Some("false") }

    /// Whether saving over an existing directory is refused.
    VALIDATE_OUTPUT_SPECS: bool = "spark.hadoop.validateOutputSpecs" { default: Some("true") }

    /// The most bytes of files that `binary_files` puts into one partition.
    FILES_MAX_PARTITION_BYTES: Bytes = "spark.files.maxPartitionBytes" { default: Some("128m") }

    /// What opening a file costs `binary_files`, as bytes that could be read meanwhile.
    FILES_OPEN_COST: Bytes = "spark.files.openCostInBytes" { default: Some("4m") }

    /// The most bytes, unpacked, of a file that is to be in memory as a whole: `whole_text_files`, `to_array` of
    /// `binary_files`. At most 4 GiB less a byte.
    FILES_MAX_WHOLE: Bytes = "spark.files.maxWholeSize" { default: Some("1g") }

    /// Whether input splits without a byte give no partition.
    IGNORE_EMPTY_SPLITS: bool = "spark.hadoopRDD.ignoreEmptySplits" { no_effect: Some("empty files never have a partition"), default: Some("true") }

    /// Freed memory that the process keeps for the next batch instead of giving it back at once; 0 leaves the
    /// allocator as it is.
    MEMORY_KEEP_FREED: Bytes = "spark.memory.keepFreed" { default: Some("64m") }
}
