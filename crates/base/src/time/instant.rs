//! [`Time`]: a point in time, in whole milliseconds since the Unix epoch. Refuses to be read from a clock here.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::{Deserialize, Serialize};

use super::Duration;

/// A point in time: whole milliseconds since the Unix epoch. Batches are named by it.
///
/// Sums stop at the largest time, differences at the epoch.
///
/// ```
/// use winterbourne_base::Time;
/// use winterbourne_base::time::seconds;
///
/// let t = Time::from_millis(1_500);
/// assert_eq!(t.to_string(), "1500 ms");
/// assert_eq!(t.floor(seconds(1)), Time::from_millis(1_000));
/// assert_eq!(t - Time::from_millis(500), seconds(1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time {
    millis: u64,
}

impl Time {
    /// The time `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// The latest multiple of `step` that is not after this time. A zero `step` rounds nothing.
    #[must_use]
    pub const fn floor(self, step: Duration) -> Self {
        self.floor_from(step, Self { millis: 0 })
    }

    /// The latest time not after this one that is a whole number of `step`s away from `zero`.
    ///
    /// Works on both sides of `zero`; stops at the epoch. A zero `step` rounds nothing.
    ///
    /// ```
    /// use winterbourne_base::Time;
    /// use winterbourne_base::time::milliseconds;
    ///
    /// let zero = Time::from_millis(300);
    /// assert_eq!(Time::from_millis(1_450).floor_from(milliseconds(500), zero), Time::from_millis(1_300));
    /// assert_eq!(Time::from_millis(250).floor_from(milliseconds(100), zero), Time::from_millis(200));
    /// ```
    #[must_use]
    pub const fn floor_from(self, step: Duration, zero: Self) -> Self {
        let step = step.as_millis();
        if step == 0 {
            return self;
        }
        if self.millis >= zero.millis {
            return Self { millis: self.millis - (self.millis - zero.millis) % step };
        }
        let steps_back = (zero.millis - self.millis).div_ceil(step);
        Self { millis: zero.millis.saturating_sub(steps_back.saturating_mul(step)) }
    }

    /// Whether this time is a whole number of `step`s after the epoch. Nothing is a multiple of zero.
    ///
    /// Streams are aligned to their zero time: ask `(t - zero).is_multiple_of(slide)` there.
    #[must_use]
    pub const fn is_multiple_of(self, step: Duration) -> bool {
        Duration::from_millis(self.millis).is_multiple_of(step)
    }

    /// The times `self, self + step, …` before `end` (exclusive). Empty for a zero `step`.
    ///
    /// ```
    /// use winterbourne_base::Time;
    /// use winterbourne_base::time::milliseconds;
    ///
    /// let times: Vec<_> = Time::from_millis(0).until(Time::from_millis(300), milliseconds(100)).collect();
    /// assert_eq!(times, [0, 100, 200].map(Time::from_millis));
    /// ```
    pub fn until(self, end: Self, step: Duration) -> impl Iterator<Item = Self> + Clone {
        self.steps(step).take_while(move |time| *time < end)
    }

    /// The times `self, self + step, …` up to `end` (inclusive). Empty for a zero `step`.
    ///
    /// ```
    /// use winterbourne_base::Time;
    /// use winterbourne_base::time::milliseconds;
    ///
    /// let times: Vec<_> = Time::from_millis(100).to(Time::from_millis(300), milliseconds(100)).collect();
    /// assert_eq!(times, [100, 200, 300].map(Time::from_millis));
    /// ```
    pub fn to(self, end: Self, step: Duration) -> impl Iterator<Item = Self> + Clone {
        self.steps(step).take_while(move |time| *time <= end)
    }

    /// This time and every `step` after it, as far as times reach.
    fn steps(self, step: Duration) -> impl Iterator<Item = Self> + Clone {
        let first = (!step.is_zero()).then_some(self.millis);
        std::iter::successors(first, move |millis| millis.checked_add(step.as_millis())).map(Self::from_millis)
    }
}

/// `"1500 ms"`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.millis)
    }
}

/// Stops at the largest time.
impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self { millis: self.millis.saturating_add(duration.as_millis()) }
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// Stops at the epoch.
impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self { millis: self.millis.saturating_sub(duration.as_millis()) }
    }
}

impl SubAssign<Duration> for Time {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// How long after the other time this one is; zero if it is not after it.
impl Sub for Time {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis.saturating_sub(earlier.millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::milliseconds;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    /// The definition itself: walk from `zero` in steps.
    fn slow_floor(t: u64, step: u64, zero: u64) -> u64 {
        let (t, step, zero) = (t as i64, step as i64, zero as i64);
        let mut best = zero;
        while best > t {
            best -= step;
        }
        while best + step <= t {
            best += step;
        }
        best.max(0) as u64
    }

    #[test]
    fn floor_is_the_latest_step_not_after() {
        for zero in 0..13 {
            for step in 1..9 {
                for t in 0..40 {
                    let expect = at(slow_floor(t, step, zero));
                    assert_eq!(at(t).floor_from(milliseconds(step), at(zero)), expect, "{t} {step} {zero}");
                }
            }
        }
        assert_eq!(at(7).floor(Duration::ZERO), at(7));
        assert_eq!(at(u64::MAX).floor(milliseconds(10)), at(u64::MAX - u64::MAX % 10));
        assert_eq!(at(0).floor_from(milliseconds(u64::MAX - 1), at(u64::MAX)), at(0));
    }

    #[test]
    fn ranges_are_aligned_to_their_start_and_end_where_times_end() {
        let ms = |times: &mut dyn Iterator<Item = Time>| times.map(Time::as_millis).collect::<Vec<_>>();
        assert_eq!(ms(&mut at(50).until(at(250), milliseconds(100))), [50, 150]);
        assert_eq!(ms(&mut at(50).to(at(250), milliseconds(100))), [50, 150, 250]);
        assert_eq!(ms(&mut at(5).to(at(5), milliseconds(1))), [5]);
        assert_eq!(ms(&mut at(5).until(at(5), milliseconds(1))), []);
        assert_eq!(ms(&mut at(9).to(at(5), milliseconds(1))), []);
        assert_eq!(ms(&mut at(0).to(at(5), Duration::ZERO)), []);
        assert_eq!(ms(&mut at(u64::MAX - 1).to(at(u64::MAX), milliseconds(1))), [u64::MAX - 1, u64::MAX]);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(at(5) - milliseconds(6), at(0));
        assert_eq!(at(5) - at(6), Duration::ZERO);
        assert_eq!(at(u64::MAX) + milliseconds(1), at(u64::MAX));
        assert!(at(0).is_multiple_of(milliseconds(3)));
        assert!(!at(3).is_multiple_of(Duration::ZERO));
    }
}
