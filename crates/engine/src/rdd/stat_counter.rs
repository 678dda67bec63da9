//! [`StatCounter`]: count, mean, variance and extremes of numbers, in one pass, mergeable.
use serde::{Deserialize, Serialize};
use std::fmt;

/// Count, mean, variance, sum and extremes of numbers, found in one pass and mergeable, numerically stable (Welford's
/// update, Chan's merge). What [`stats`](crate::Rdd::stats) gives; also an accumulator for
/// [`aggregate`](crate::Rdd::aggregate) and for state.
///
/// Without any number, count, sum and mean are 0, the variances are NaN, `min` is infinity and `max` minus infinity. NaN
/// among the numbers makes everything but the count NaN.
///
/// ```
/// use winterbourne_engine::StatCounter;
/// let mut all: StatCounter = (1..=6).map(f64::from).collect();
/// all.merge(&(7..=10).map(f64::from).collect());
/// assert_eq!(all.to_string(), "(count: 10, mean: 5.500000, stdev: 2.872281, max: 10.000000, min: 1.000000)");
/// assert_eq!((all.sum(), all.variance()), (55.0, 8.25));
/// ```
///
/// ```
/// use winterbourne_engine::StatCounter;
/// let mut few = StatCounter::new();
/// [1.0, 3.0].into_iter().for_each(|x| few.add(x));
/// assert_eq!((few.count(), few.mean(), few.min(), few.max()), (2, 2.0, 1.0, 3.0));
/// assert_eq!((few.pop_variance(), few.pop_stdev(), few.stdev()), (1.0, 1.0, 1.0));
/// assert_eq!((few.sample_variance(), few.sample_stdev()), (2.0, 2f64.sqrt()));
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct StatCounter {
    count: u64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
    max: f64,
    min: f64,
}

impl Default for StatCounter {
    fn default() -> Self {
        StatCounter { count: 0, mean: 0.0, squares: 0.0, max: f64::NEG_INFINITY, min: f64::INFINITY }
    }
}

impl StatCounter {
    /// Of no number yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Takes one number in.
    #[inline]
    pub fn add(&mut self, x: f64) {
        let from_old = x - self.mean;
        self.count += 1;
        self.mean += from_old / self.count as f64;
        self.squares += from_old * (x - self.mean);
        self.max = greater(self.max, x);
        self.min = -greater(-self.min, -x);
    }
    /// Takes in what another one has seen. In which order counters are merged changes the last digits only.
    pub fn merge(&mut self, other: &StatCounter) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (mine, theirs) = (self.count as f64, other.count as f64);
        let (all, apart) = (mine + theirs, other.mean - self.mean);
        // Where one side weighs much less, its mean corrects that of the other: the weighted mean would cancel digits.
        self.mean = if theirs * 10.0 < mine {
            self.mean + apart * theirs / all
        } else if mine * 10.0 < theirs {
            other.mean - apart * mine / all
        } else {
            (self.mean * mine + other.mean * theirs) / all
        };
        self.squares += other.squares + apart * apart * mine * theirs / all;
        self.count += other.count;
        self.max = greater(self.max, other.max);
        self.min = -greater(-self.min, -other.min);
    }
    /// How many numbers.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// Their mean; 0 without any.
    pub fn mean(&self) -> f64 {
        self.mean
    }
    /// Their sum: count times mean.
    pub fn sum(&self) -> f64 {
        self.count as f64 * self.mean
    }
    /// The greatest.
    pub fn max(&self) -> f64 {
        self.max
    }
    /// The least.
    pub fn min(&self) -> f64 {
        self.min
    }
    /// Their variance, as of a whole population: squared distances from the mean, divided by the count.
    pub fn variance(&self) -> f64 {
        self.squares_by(self.count)
    }
    /// [`variance`](StatCounter::variance).
    #[doc(alias = "popVariance")]
    pub fn pop_variance(&self) -> f64 {
        self.variance()
    }
    /// The variance of a population of which these are a sample: divided by the count less one.
    #[doc(alias = "sampleVariance")]
    pub fn sample_variance(&self) -> f64 {
        self.squares_by(self.count.saturating_sub(1))
    }
    fn squares_by(&self, n: u64) -> f64 {
        if n == 0 { f64::NAN } else { self.squares / n as f64 }
    }
    /// The standard deviation, as of a whole population.
    pub fn stdev(&self) -> f64 {
        self.variance().sqrt()
    }
    /// [`stdev`](StatCounter::stdev).
    #[doc(alias = "popStdev")]
    pub fn pop_stdev(&self) -> f64 {
        self.stdev()
    }
    /// The standard deviation of a population of which these are a sample.
    #[doc(alias = "sampleStdev")]
    pub fn sample_stdev(&self) -> f64 {
        self.sample_variance().sqrt()
    }
}
impl Extend<f64> for StatCounter {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, all: I) {
        all.into_iter().for_each(|x| self.add(x));
    }
}
impl FromIterator<f64> for StatCounter {
    fn from_iter<I: IntoIterator<Item = f64>>(all: I) -> Self {
        let mut counter = StatCounter::new();
        counter.extend(all);
        counter
    }
}
impl fmt::Display for StatCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [mean, stdev, max, min] = [self.mean(), self.stdev(), self.max(), self.min()].map(Six);
        write!(f, "(count: {}, mean: {mean}, stdev: {stdev}, max: {max}, min: {min})", self.count)
    }
}

/// The greater, or NaN if one is: `f64::max` would hide it.
#[inline]
fn greater(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

/// Six decimals, as Java writes them.
struct Six(f64);
impl fmt::Display for Six {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("Infinity"),
            f64::NEG_INFINITY => f.write_str("-Infinity"),
            x => write!(f, "{x:.6}"),
        }
    }
}
