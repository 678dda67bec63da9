//! [`RateEstimator`]: back-pressure for inputs that plan how much they take.
use super::BatchMeasure;
use crate::{
    rate::{Pid, Sample},
    receive::Backpressure,
};
use winterbourne_base::{Duration, SparkConf, conf::ConfError};

/// From finished batches, the rate that batches can keep up with: what steers receivers, for an input of your own. Feed it
/// in [`Input::measured`](crate::Input::measured). The keys are those of `spark.streaming.backpressure`.
pub struct RateEstimator {
    pid: Pid,
    initial: Option<u64>,
}
impl RateEstimator {
    /// The estimator for one input with this batch interval; none where back-pressure is off.
    ///
    /// ```
    /// use winterbourne_streaming::{RateEstimator, seconds};
    /// use winterbourne_engine::SparkConf;
    /// let conf = SparkConf::empty().set("spark.streaming.backpressure.enabled", "true");
    /// assert!(RateEstimator::of(&conf, seconds(1))?.is_some());
    /// assert!(RateEstimator::of(&SparkConf::empty(), seconds(1))?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A value of a key that cannot be used.
    pub fn of(conf: &SparkConf, batch: Duration) -> Result<Option<Self>, ConfError> {
        let settings = Backpressure::of(conf)?;
        Ok(settings.map(|s| RateEstimator { pid: Pid::new(batch, s.gains), initial: s.initial_rate }))
    }
    /// Records per second until batches have been measured, if it is set.
    pub fn initial_rate(&self) -> Option<u64> {
        self.initial
    }
    /// Records per second from now on, if the batch says something.
    pub fn rate_after(&mut self, batch: &BatchMeasure) -> Option<f64> {
        self.pid.rate_after(Sample {
            done_us: batch.done_us,
            records: batch.records,
            processing_us: batch.processing_us,
            scheduling_delay_us: batch.scheduling_delay_us,
        })
    }
}
