//! The façade: one name for the layers below it, and nothing of its own. `use winterbourne::prelude::*;` brings what
//! most programs need. What follows is the README.
#![doc = include_str!("../../../README.md")]
#![warn(clippy::print_stdout, clippy::print_stderr)]

/// The RDD engine: [`SparkContext`], [`Rdd`].
pub use winterbourne_engine as engine;
/// Kafka: the direct stream, and a sink that writes exactly once. Behind the feature `kafka`.
#[cfg(feature = "kafka")]
pub use winterbourne_kafka as kafka;
/// Discretized streams: [`StreamingContext`], [`DStream`].
pub use winterbourne_streaming as streaming;

pub use winterbourne_base::{
    Clock, Duration, Interval, IntoDuration, ManualClock, SparkConf, SystemClock, Time, conf,
    time::{milliseconds, minutes, seconds},
};
pub use winterbourne_engine::{
    BoundedDouble, BoxError, Broadcast, Codec, DiskOnly, DoubleAccumulator, HashPartitioner, KeyPartitioner,
    LongAccumulator, MemoryAndDisk, MemoryAndDiskSer, MemoryOnly, MemoryOnlySer, OnBadRecord, Order, Output,
    PartialResult, Pipe, PortableDataStream, RangePartitioner, Rdd, Sampling, SparkContext, StatCounter, StorageLevel,
    TaskContext, Text, Total, Within, Writable,
};
pub use winterbourne_streaming::{
    BadRecord, CsvOptions, DStream, FileSink, FileStreamOptions, Intake, InverseOptions, Operator, OutputPartition,
    Parent, Period, RddQueue, Receiver, Recovered, Sink, SinkPlace, SinkWriter, State, StateOptions, StateSpec, Stop,
    StreamingContext, Updates, Upstream,
};

/// Writes warnings and errors (receivers that restart, batches that fail, settings without effect) to standard error,
/// unless the program has set a `tracing` subscriber of its own before. `WINTERBOURNE_LOG` says from which level on:
/// `error`, `warn` (the default), `info`, `debug`, `trace`. Whether it was set up.
///
/// Winterbourne reports through [`tracing`](https://docs.rs/tracing) only; a program without a subscriber hears nothing.
/// Behind the feature `log`, which is on by default.
///
/// ```
/// winterbourne::log_to_stderr();
/// assert!(!winterbourne::log_to_stderr(), "the second call finds the first one's");
/// ```
#[cfg(feature = "log")]
pub fn log_to_stderr() -> bool {
    let level = std::env::var("WINTERBOURNE_LOG").ok().and_then(|l| l.parse().ok());
    let level = level.unwrap_or(tracing_subscriber::filter::LevelFilter::WARN);
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_ansi(false);
    lines.try_init().is_ok()
}

/// What most programs need.
///
/// ```
/// use winterbourne::prelude::*;
/// let sc = SparkContext::new(SparkConf::new().set_app_name("prelude"))?;
/// assert_eq!(sc.range(0..10, 2).filter(|x| *x < 3).collect()?, [0, 1, 2]);
/// # Ok::<(), winterbourne::engine::Error>(())
/// ```
pub mod prelude {
    pub use winterbourne_base::{
        Duration, IntoDuration, SparkConf, Time,
        time::{milliseconds, minutes, seconds},
    };
    pub use winterbourne_engine::{
        BoxError, Broadcast, Codec, DiskOnly, DoubleAccumulator, HashPartitioner, KeyPartitioner, LongAccumulator,
        MemoryAndDisk, MemoryAndDiskSer, MemoryOnly, MemoryOnlySer, OnBadRecord, Order, Output, Pipe, RangePartitioner,
        Rdd, Sampling, SparkContext, StorageLevel, TaskContext, Text, Total,
    };
    pub use winterbourne_streaming::{
        DStream, FileStreamOptions, Intake, RddQueue, Receiver, State, StateSpec, Stop, StreamingContext,
    };
}

/// The snippets of the guide, compiled and run.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/guide.md")]
    struct Guide;
    #[doc = include_str!("../../../docs/guide-rdds.md")]
    struct Rdds;
    #[doc = include_str!("../../../docs/guide-streams.md")]
    struct Streams;
    #[cfg(feature = "kafka")]
    #[doc = include_str!("../../../docs/guide-kafka.md")]
    struct Kafka;
}
