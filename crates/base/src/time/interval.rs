//! [`Interval`]: the stretch between two times. Refuses to order intervals of different lengths.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};

use super::{Duration, Time};

/// The stretch of time from `begin` to `end`, as a window covers it.
///
/// Only intervals of equal length are ordered, by their ends; between others every comparison is false (Spark throws
/// there).
///
/// ```
/// use winterbourne_base::{Interval, Time};
/// use winterbourne_base::time::seconds;
///
/// let first = Interval::new(Time::from_millis(0), Time::from_millis(1_000));
/// assert_eq!(first.to_string(), "[0 ms, 1000 ms]");
/// assert_eq!(first.duration(), seconds(1));
/// assert!(first < first + seconds(1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Where it begins.
    pub begin: Time,
    /// Where it ends.
    pub end: Time,
}

impl Interval {
    /// The interval from `begin` to `end`.
    #[must_use]
    pub const fn new(begin: Time, end: Time) -> Self {
        Self { begin, end }
    }

    /// How long it is; zero if it ends before it begins.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.end - self.begin
    }
}

/// `"[0 ms, 1000 ms]"`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.begin, self.end)
    }
}

/// The same length, later.
impl Add<Duration> for Interval {
    type Output = Self;
    fn add(self, shift: Duration) -> Self {
        Self { begin: self.begin + shift, end: self.end + shift }
    }
}

/// The same length, earlier; both ends stop at the epoch.
impl Sub<Duration> for Interval {
    type Output = Self;
    fn sub(self, shift: Duration) -> Self {
        Self { begin: self.begin - shift, end: self.end - shift }
    }
}

/// By their ends, if both are equally long.
impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.end.cmp(&other.end) {
            // Only intervals that end before they begin can be equally long (zero), end together and yet differ.
            Ordering::Equal if self != other => None,
            order => (self.duration() == other.duration()).then_some(order),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::seconds;

    #[test]
    fn orders_only_equal_lengths() {
        let second = |n: u64| Interval::new(Time::from_millis(n * 1000), Time::from_millis((n + 1) * 1000));
        let long = Interval::new(Time::from_millis(0), Time::from_millis(5_000));
        assert!(second(0) < second(1) && second(1) >= second(1) && second(2) > second(1));
        assert_eq!(second(1) - seconds(1), second(0));
        assert_eq!(second(0).partial_cmp(&long), None);
        assert_eq!(long.partial_cmp(&second(0)), None);
    }
}
