//! [`SystemClock`]: the operating system's time. Refuses to be moved.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use super::{Bell, Clock, Patience, Woken};
use crate::time::Time;

/// Where this process's [`SystemClock::nanos`] begins.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The longest the wall clock is trusted to run evenly: a set clock is noticed within this time.
const RECHECK: Duration = Duration::from_secs(1);

const NANOS_PER_MILLI: u128 = 1_000_000;

/// The operating system's clocks.
///
/// A wait ends as soon as the wall clock reaches the deadline's millisecond, late only by what the kernel needs to
/// wake a thread (tens of microseconds), never early. When the wall clock is set, waits notice within a second.
///
/// ```
/// use winterbourne_base::{Clock, SystemClock};
/// use winterbourne_base::clock::{Bell, Woken};
/// use winterbourne_base::time::milliseconds;
///
/// let soon = SystemClock.now() + milliseconds(2);
/// let bell = Bell::new();
/// assert_eq!(SystemClock.wait(&bell, bell.count(), Some(soon)), Woken::Due);
/// assert!(SystemClock.now() >= soon);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The system's clock; all of them are the same.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// Nanoseconds since the Unix epoch; a wall clock set before it reads as the epoch.
fn wall_nanos() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from_millis(u64::try_from(wall_nanos() / NANOS_PER_MILLI).unwrap_or(u64::MAX))
    }

    fn nanos(&self) -> u64 {
        // 64 bits of nanoseconds last for 584 years.
        u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wait(&self, bell: &Bell, seen: u64, deadline: Option<Time>) -> Woken {
        bell.wait(seen, || deadline.map_or(Patience::Unlimited, |deadline| patience(wall_nanos(), deadline)))
    }
}

/// How long to sleep when the wall clock shows `wall` nanoseconds.
fn patience(wall: u128, deadline: Time) -> Patience {
    let target = u128::from(deadline.as_millis()) * NANOS_PER_MILLI;
    match target.checked_sub(wall) {
        None | Some(0) => Patience::Due,
        Some(left) => Patience::AtMost(u64::try_from(left).map_or(RECHECK, Duration::from_nanos).min(RECHECK)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_to_the_millisecond_boundary_but_never_long() {
        let cases = [
            (4_999_999, Patience::AtMost(Duration::from_nanos(1))),
            (5_000_000, Patience::Due),
            (5_000_001, Patience::Due),
            (0, Patience::AtMost(Duration::from_millis(5))),
        ];
        for (wall, expect) in cases {
            assert_eq!(patience(wall, Time::from_millis(5)), expect, "{wall}");
        }
        assert_eq!(patience(0, Time::from_millis(60_000)), Patience::AtMost(RECHECK));
        assert_eq!(patience(0, Time::from_millis(u64::MAX)), Patience::AtMost(RECHECK));
    }

    #[test]
    fn a_ring_ends_a_wait_without_a_deadline() {
        let bell = Bell::new();
        let ringer = bell.clone();
        let seen = bell.count();
        let thread = crate::thread::spawn("ringer", move || ringer.ring()).unwrap();
        assert_eq!(SystemClock.wait(&bell, seen, None), Woken::Rung);
        thread.join().unwrap();
    }

    #[test]
    fn a_past_deadline_does_not_wait_and_nanos_never_decrease() {
        let bell = Bell::new();
        assert_eq!(SystemClock.wait(&bell, 0, Some(Time::from_millis(0))), Woken::Due);
        bell.ring();
        assert_eq!(SystemClock.wait(&bell, 0, Some(Time::from_millis(0))), Woken::Rung);
        let first = SystemClock.nanos();
        assert!(SystemClock.nanos() >= first);
    }
}
