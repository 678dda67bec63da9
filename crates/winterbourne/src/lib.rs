#![doc = include_str!("../../../README.md")]
//! # What this crate is
//!
//! The façade: one name for the layers below it, and nothing of its own. `use winterbourne::prelude::*;` brings what
//! most programs need.

/// The RDD engine: [`SparkContext`](engine::SparkContext), [`Rdd`](engine::Rdd).
pub use winterbourne_engine as engine;
/// Discretized streams: [`StreamingContext`](streaming::StreamingContext), [`DStream`](streaming::DStream).
pub use winterbourne_streaming as streaming;

pub use winterbourne_base::{
    Clock, Duration, Interval, IntoDuration, ManualClock, SparkConf, SystemClock, Time, conf,
    time::{milliseconds, minutes, seconds},
};
pub use winterbourne_engine::{BoxError, OnBadRecord, Rdd, SparkContext, Text};
pub use winterbourne_streaming::{DStream, Intake, RddQueue, Receiver, Stop, StreamingContext};

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
    pub use winterbourne_engine::{BoxError, OnBadRecord, Rdd, SparkContext, Text};
    pub use winterbourne_streaming::{DStream, Intake, RddQueue, Receiver, Stop, StreamingContext};
}

/// The snippets of the guide, compiled and run.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/guide.md")]
    struct Guide;
}
