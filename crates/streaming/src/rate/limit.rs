//! [`Limit`] and [`Allowance`]: how much of an input a batch may hold; [`Backpressure`]: what the configuration says of it.

use super::Gains;
use winterbourne_base::SparkConf;
use winterbourne_base::conf::{ConfError, keys};

/// The most that a batch may hold of an input; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Records.
    pub records: Option<u64>,
    /// Bytes, where the input knows them before it reads.
    pub bytes: Option<u64>,
}

impl Limit {
    /// No limit.
    pub const NONE: Self = Self { records: None, bytes: None };

    /// The smaller of both, for each of the two.
    ///
    /// ```
    /// use winterbourne_streaming::Limit;
    /// let (few, short) = (Limit { records: Some(10), bytes: None }, Limit { records: Some(20), bytes: Some(99) });
    /// assert_eq!(few.min(short), Limit { records: Some(10), bytes: Some(99) });
    /// assert_eq!(few.min(Limit::NONE), few);
    /// ```
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Self { records: least(self.records, other.records), bytes: least(self.bytes, other.bytes) }
    }

    /// What is left of it behind so many records and bytes.
    ///
    /// ```
    /// use winterbourne_streaming::Limit;
    /// let most = Limit { records: Some(10), bytes: None };
    /// assert_eq!(most.less(4, 1_000).records, Some(6));
    /// assert_eq!(most.less(11, 0).records, Some(0));
    /// ```
    #[must_use]
    pub fn less(self, records: u64, bytes: u64) -> Self {
        let rest = |most: Option<u64>, n| most.map(|most| most.saturating_sub(n));
        Self { records: rest(self.records, records), bytes: rest(self.bytes, bytes) }
    }

    /// Whether nothing fits.
    ///
    /// ```
    /// use winterbourne_streaming::Limit;
    /// assert!(Limit { records: Some(0), bytes: Some(99) }.is_zero());
    /// assert!(!Limit::NONE.is_zero());
    /// ```
    pub fn is_zero(&self) -> bool {
        self.records == Some(0) || self.bytes == Some(0)
    }

    /// Whether so many records and bytes fit.
    ///
    /// ```
    /// use winterbourne_streaming::Limit;
    /// let most = Limit { records: Some(10), bytes: Some(99) };
    /// assert!(most.fits(10, 99) && !most.fits(11, 0) && !most.fits(0, 100));
    /// ```
    pub fn fits(&self, records: u64, bytes: u64) -> bool {
        self.records.is_none_or(|most| records <= most) && self.bytes.is_none_or(|most| bytes <= most)
    }
}

/// What may come in of an input in a second of batch time, on an average; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Allowance {
    /// Records.
    pub records_per_s: Option<f64>,
    /// Bytes.
    pub bytes_per_s: Option<f64>,
}

/// How the limit follows the batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Backpressure {
    /// Records per second.
    pub(crate) initial_rate: Option<u64>,
    pub(crate) gains: Gains,
}

impl Backpressure {
    /// What `conf` says; none where it is off.
    pub(crate) fn of(conf: &SparkConf) -> Result<Option<Self>, ConfError> {
        // The only estimator is pid; the registry refuses others.
        let _: String = conf.value(keys::BACKPRESSURE_RATE_ESTIMATOR)?;
        let settings = Self {
            initial_rate: conf.value(keys::BACKPRESSURE_INITIAL_RATE)?,
            gains: Gains {
                proportional: conf.value(keys::PID_PROPORTIONAL)?,
                integral: conf.value(keys::PID_INTEGRAL)?,
                derived: conf.value(keys::PID_DERIVED)?,
                min_rate: conf.value(keys::PID_MIN_RATE)?,
            },
        };
        Ok(conf.value(keys::BACKPRESSURE_ENABLED)?.then_some(settings))
    }
}
