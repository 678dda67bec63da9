//! Actions that give an estimate with bounds when their time is over.
mod bounds;
mod partial;
mod quantile;

pub use bounds::BoundedDouble;
pub use partial::PartialResult;

use super::{Number, Rdd, StatCounter};
use crate::{
    Data, Error, Key, Result, Site, at,
    hash::KeyMap,
    job::Action,
    pair::{counted, merged},
};
use bounds::Share;
use std::sync::Arc;
use winterbourne_base::{Clock, Duration, SystemClock};

/// How long an approximate action may take until it gives a first value, and how confident its bounds are (95 % unless
/// said otherwise). A plain duration will do where this is wanted.
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext, Within};
/// use winterbourne_base::time::milliseconds;
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let numbers = sc.range(0..1000, 4);
/// let count = numbers.count_approx(milliseconds(500))?;
/// let surer = numbers.count_approx(Within::new(milliseconds(500)).confidence(0.99))?;
/// assert_eq!(count.final_value()?, surer.final_value()?);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Within {
    time: Duration,
    confidence: f64,
    clock: Arc<dyn Clock>,
}
impl Within {
    /// So long.
    pub fn new(time: Duration) -> Self {
        Within { time, confidence: 0.95, clock: Arc::new(SystemClock) }
    }
    /// How probable it shall be that the true value lies within the bounds: from 0 to 1.
    #[must_use]
    pub fn confidence(self, confidence: f64) -> Self {
        Within { confidence, ..self }
    }
    /// The clock that measures the time, for tests.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext, Within};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// use winterbourne_base::{ManualClock, Time, time::seconds};
    /// let clock = ManualClock::new(Time::from_millis(0)); // stands still: the time is never over
    /// let count = sc.range(0..100, 4).count_approx(Within::new(seconds(1)).clock(clock))?;
    /// assert!(count.is_initial_value_final());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Within { clock, ..self }
    }
    fn check(self, action: Action) -> Result<Self> {
        if (0.0..=1.0).contains(&self.confidence) {
            return Ok(self);
        }
        let why = format!("confidence ({}) must be in [0, 1]", self.confidence);
        Err(Error::Precision { action: action.name, site: action.site, why })
    }
}
impl From<Duration> for Within {
    fn from(time: Duration) -> Self {
        Within::new(time)
    }
}
impl From<std::time::Duration> for Within {
    /// In whole milliseconds, rounded up.
    fn from(time: std::time::Duration) -> Self {
        Within::new(Duration::from_millis(u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)))
    }
}

impl<T: Data> Rdd<T> {
    /// About how many records there are. Gives a first value when the time is over, from the tasks that have ended by then:
    /// with few partitions that is all or nothing.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_base::time::milliseconds;
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let count = sc.range(0..1_000_000, 100).count_approx(milliseconds(2))?;
    /// let first = count.initial_value(); // bounds, or the count
    /// assert!(first.low <= first.mean && first.mean <= first.high);
    /// assert_eq!(count.final_value()?.to_string(), "[1000000.000, 1000000.000]");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Precision`] for a confidence that is none; what the job failed with in time; see [`collect`](Rdd::collect).
    #[doc(alias = "countApprox")]
    #[track_caller]
    pub fn count_approx(&self, within: impl Into<Within>) -> Result<PartialResult<BoundedDouble>> {
        let action = Action { name: "count_approx", site: Site::caller() };
        let within = within.into().check(action)?;
        let confidence = within.confidence;
        self.approximate(
            action,
            &within,
            |flow, _| {
                let mut n = 0;
                flow.each(|c| {
                    n += c.len() as u64;
                    Ok(())
                })?;
                Ok(n)
            },
            move |made, share| bounds::count(made.iter().map(|n| **n).sum(), share, confidence),
        )
    }
    /// About how often each record occurs; those that no task has met in time are missing in the first value.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_base::time::seconds;
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let counts = sc.range(0..100, 4).map(|x| x % 3).count_by_value_approx(seconds(60))?.final_value()?;
    /// assert_eq!((counts[&0].mean, counts[&1].mean), (34.0, 33.0));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`count_approx`](Rdd::count_approx).
    #[doc(alias = "countByValueApprox")]
    #[track_caller]
    pub fn count_by_value_approx(&self, within: impl Into<Within>) -> Result<PartialResult<KeyMap<T, BoundedDouble>>>
    where
        T: Key,
    {
        self.counts_approx(Action { name: "count_by_value_approx", site: Site::caller() }, within.into(), |x| x)
    }
    fn counts_approx<K: Key>(
        &self,
        action: Action,
        within: Within,
        key: impl Fn(T) -> K + Copy + Send + Sync + 'static,
    ) -> Result<PartialResult<KeyMap<K, BoundedDouble>>> {
        let within = within.check(action)?;
        let confidence = within.confidence;
        self.approximate(
            action,
            &within,
            move |flow, _| counted(action.site, flow, key),
            move |made, share| {
                let rows = made.iter().map(|rows| (**rows).clone()).collect();
                bounds::counts(merged(rows, |a, b| a + b), share, confidence)
            },
        )
    }
    /// About what the mean is.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_base::time::seconds;
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(1..11, 4).mean_approx(seconds(60))?.to_string(), "(final: [5.500, 5.500])");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`count_approx`](Rdd::count_approx).
    #[doc(alias = "meanApprox")]
    #[track_caller]
    pub fn mean_approx(&self, within: impl Into<Within>) -> Result<PartialResult<BoundedDouble>>
    where
        T: Number,
    {
        self.stats_approx(Action { name: "mean_approx", site: Site::caller() }, within.into(), bounds::mean)
    }
    /// About what the sum is. A float, also of integers.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_base::time::seconds;
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(1..11, 4).sum_approx(seconds(60))?.to_string(), "(final: [55.000, 55.000])");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`count_approx`](Rdd::count_approx).
    #[doc(alias = "sumApprox")]
    #[track_caller]
    pub fn sum_approx(&self, within: impl Into<Within>) -> Result<PartialResult<BoundedDouble>>
    where
        T: Number,
    {
        self.stats_approx(Action { name: "sum_approx", site: Site::caller() }, within.into(), bounds::sum)
    }
    fn stats_approx(
        &self,
        action: Action,
        within: Within,
        bound: impl Fn(&StatCounter, Share, f64) -> BoundedDouble + Send + 'static,
    ) -> Result<PartialResult<BoundedDouble>>
    where
        T: Number,
    {
        let within = within.check(action)?;
        let confidence = within.confidence;
        self.approximate(
            action,
            &within,
            move |flow, _| {
                let mut stats = StatCounter::new();
                flow.each(|c| {
                    at(action.site);
                    stats.extend(c.as_slice().iter().map(|x| x.to_f64()));
                    Ok(())
                })?;
                Ok(stats)
            },
            move |made, share| {
                let mut all = StatCounter::new();
                made.iter().for_each(|part| all.merge(part));
                bound(&all, share, confidence)
            },
        )
    }
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// About how many records each key has; keys that no task has met in time are missing in the first value.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_base::time::seconds;
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let counts = sc.range(0..10, 4).map(|x| (x % 2, x)).count_by_key_approx(seconds(60))?.final_value()?;
    /// assert_eq!(counts[&1].to_string(), "[5.000, 5.000]");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`count_approx`](Rdd::count_approx).
    #[doc(alias = "countByKeyApprox")]
    #[track_caller]
    pub fn count_by_key_approx(&self, within: impl Into<Within>) -> Result<PartialResult<KeyMap<K, BoundedDouble>>>
    where
        K: Key,
    {
        self.counts_approx(Action { name: "count_by_key_approx", site: Site::caller() }, within.into(), |(k, _)| k)
    }
}
