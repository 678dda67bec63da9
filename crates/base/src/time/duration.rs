//! [`Duration`]: a length of time in whole milliseconds. Refuses to be negative or fractional.

use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};

/// A length of time in whole milliseconds: a batch interval, a window, a time-out.
///
/// Sums and products stop at the largest value, differences at zero.
///
/// ```
/// use winterbourne_base::Duration;
///
/// let batch = Duration::from_secs(1);
/// let window = batch * 30;
/// assert_eq!(window.as_millis(), 30_000);
/// assert!(window.is_multiple_of(batch));
/// assert_eq!(batch - window, Duration::ZERO);
/// assert_eq!(Duration::from_secs(3) / Duration::from_secs(2), 1.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    millis: u64,
}

/// A duration of `n` milliseconds.
///
/// ```
/// assert_eq!(winterbourne_base::time::milliseconds(1500).to_string(), "1500 ms");
/// ```
#[doc(alias = "Milliseconds")]
#[must_use]
pub const fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A duration of `n` seconds.
///
/// ```
/// assert_eq!(winterbourne_base::time::seconds(2).to_string(), "2000 ms");
/// ```
#[doc(alias = "Seconds")]
#[must_use]
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A duration of `n` minutes.
///
/// ```
/// assert_eq!(winterbourne_base::time::minutes(1).to_string(), "60000 ms");
/// ```
#[doc(alias = "Minutes")]
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_mins(n)
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self { millis: 0 };

    /// A duration of `millis` milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// A duration of `secs` seconds; stops at the largest duration.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self { millis: secs.saturating_mul(1_000) }
    }

    /// A duration of `mins` minutes; stops at the largest duration.
    #[must_use]
    pub const fn from_mins(mins: u64) -> Self {
        Self { millis: mins.saturating_mul(60_000) }
    }

    /// The length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// The length in seconds, for rates and messages.
    #[must_use]
    pub const fn as_secs_f64(self) -> f64 {
        self.millis as f64 / 1e3
    }

    /// Whether this is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.millis == 0
    }

    /// Whether `step` fits into this duration a whole number of times. Nothing is a multiple of zero.
    ///
    /// ```
    /// use winterbourne_base::time::{Duration, seconds};
    /// assert!(seconds(30).is_multiple_of(seconds(10)));
    /// assert!(!seconds(30).is_multiple_of(Duration::ZERO));
    /// ```
    #[must_use]
    pub const fn is_multiple_of(self, step: Self) -> bool {
        !step.is_zero() && self.millis.is_multiple_of(step.millis)
    }

    /// The bare number of milliseconds as text: `"1000"`.
    #[must_use]
    pub fn to_formatted_string(self) -> String {
        self.millis.to_string()
    }

    /// The length for a reader, in the largest unit it fills, rounded half up.
    ///
    /// ```
    /// use winterbourne_base::time::{milliseconds, minutes};
    /// assert_eq!(milliseconds(100).pretty_print(), "100 ms");
    /// assert_eq!(milliseconds(1_500).pretty_print(), "1.5 s");
    /// assert_eq!(minutes(2).pretty_print(), "2.0 m");
    /// assert_eq!(minutes(90).pretty_print(), "1.50 h");
    /// ```
    #[must_use]
    pub fn pretty_print(self) -> String {
        const SECOND: u64 = 1_000;
        const MINUTE: u64 = 60 * SECOND;
        const HOUR: u64 = 60 * MINUTE;
        match self.millis {
            ms if ms < SECOND => format!("{ms} ms"),
            ms if ms < MINUTE => format!("{} s", decimal(ms, SECOND, 1)),
            ms if ms < HOUR => format!("{} m", decimal(ms, MINUTE, 1)),
            ms => format!("{} h", decimal(ms, HOUR, 2)),
        }
    }
}

/// `amount / unit` with `digits` decimals, rounded half up in integers (a float would round 1.25 down).
fn decimal(amount: u64, unit: u64, digits: usize) -> String {
    let scale = 10_u128.pow(digits as u32);
    let scaled = (u128::from(amount) * scale + u128::from(unit) / 2) / u128::from(unit);
    format!("{}.{:0digits$}", scaled / scale, scaled % scale)
}

/// `"1000 ms"`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.millis)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        Self::from_millis(duration.millis)
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { millis: self.millis.saturating_add(other.millis) }
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Stops at zero.
impl Sub for Duration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { millis: self.millis.saturating_sub(other.millis) }
    }
}

impl SubAssign for Duration {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Mul<u64> for Duration {
    type Output = Self;
    fn mul(self, times: u64) -> Self {
        Self { millis: self.millis.saturating_mul(times) }
    }
}

/// How many times the other duration fits, as a ratio; by zero it is infinite (or not a number for zero by zero).
impl Div for Duration {
    type Output = f64;
    fn div(self, other: Self) -> f64 {
        self.millis as f64 / other.millis as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_largest_unit_it_fills_rounded_half_up() {
        let cases = [
            (0, "0 ms"),
            (100, "100 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (1_249, "1.2 s"),
            (1_250, "1.3 s"),
            (1_500, "1.5 s"),
            (59_999, "60.0 s"),
            (60_000, "1.0 m"),
            (3_599_999, "60.0 m"),
            (5_400_000, "1.50 h"),
            (7_200_000, "2.00 h"),
            (3_618_000, "1.01 h"),
            (u64::MAX, "5124095576030.43 h"),
        ];
        for (ms, expect) in cases {
            assert_eq!(milliseconds(ms).pretty_print(), expect, "{ms}");
        }
    }

    #[test]
    fn never_wraps() {
        let most = milliseconds(u64::MAX);
        assert_eq!(most + milliseconds(1), most);
        assert_eq!(most * 2, most);
        assert_eq!(Duration::from_mins(u64::MAX), most);
        assert_eq!(Duration::ZERO - most, Duration::ZERO);
        assert_eq!(seconds(1).max(seconds(2)), seconds(2));
        assert!((seconds(1) / Duration::ZERO).is_infinite());
    }

    #[test]
    fn prints_as_spark_does() {
        assert_eq!(seconds(1).to_string(), "1000 ms");
        assert_eq!(seconds(1).to_formatted_string(), "1000");
        assert_eq!(std::time::Duration::from(seconds(1)), std::time::Duration::from_secs(1));
    }
}
