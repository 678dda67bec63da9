//! Reading the time and waiting for it: the only place in the workspace that does either.
//!
//! Everything that waits, waits for two things at once: a [`Bell`] somebody rings when a fact changed, and a deadline
//! of the [`Clock`]. So one loop can serve events and timers, and no loop sleeps. A program that was given a
//! [`ManualClock`] runs without real time passing.
//!
//! Nothing here knows what is waited for, and nothing asks which kind of clock it was given.

mod bell;
mod manual;
mod system;

use std::fmt::Debug;

pub use bell::{Bell, Patience, Woken};
pub use manual::ManualClock;
pub use system::SystemClock;

use crate::time::Time;

/// A source of time that can also be waited on.
///
/// An implementation outside this crate builds `wait` on [`Bell::wait`] and wakes its waiters with [`Bell::nudge`].
pub trait Clock: Send + Sync + Debug + 'static {
    /// The wall-clock time. It may jump, also backwards: decide with it, do not measure with it.
    fn now(&self) -> Time;

    /// Nanoseconds from an arbitrary origin, never decreasing: for measuring how long something took.
    fn nanos(&self) -> u64;

    /// Blocks until the bell has been rung since its count was `seen`, or until `now()` has reached `deadline`.
    ///
    /// Returns at once if either already holds; if both do, says [`Woken::Rung`], so a caller with work and a timer
    /// looks at `now()` in either case. Without a deadline only the bell ends the wait.
    ///
    /// Read `seen` *before* looking at the facts the bell announces; then no ring can be missed:
    ///
    /// ```
    /// use winterbourne_base::clock::{Bell, Clock, SystemClock, Woken};
    ///
    /// let bell = Bell::new();
    /// let seen = bell.count();
    /// // ... find nothing to do ...
    /// bell.ring(); // somebody else, in between
    /// assert_eq!(SystemClock.wait(&bell, seen, None), Woken::Rung);
    /// ```
    fn wait(&self, bell: &Bell, seen: u64, deadline: Option<Time>) -> Woken;
}
