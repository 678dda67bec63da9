//! Places where a test lets the process die, and faults that are there on purpose.
//!
//! Without the feature `failpoints`, which is how programs are built, every function here does nothing and vanishes in
//! compilation. With it, tests that run a program as a child process steer it by its environment:
//!
//! | variable | meaning |
//! |---|---|
//! | `WINTERBOURNE_FAILPOINT=name@n` | SIGKILL at the n-th time (from 1) that [`hit`] is called with `name` |
//! | `WINTERBOURNE_FAILPOINT_REPORT=file` | before it dies, the process writes `name@n` to that file, durably |
//! | `WINTERBOURNE_FAILPOINT_LIST=file` | each name is appended to that file the first time it is hit, a line each |
//! | `WINTERBOURNE_SEEDED_FAULT=name` | [`seeded`] says `true` for that name |
//! | `WINTERBOURNE_SMALL_SIZES=1` | [`size`] says the small one, so that what happens seldom happens often |
//! | `WINTERBOURNE_LOSE_UNSYNCED=1` | what was not synced dies with the process, as with the power ([`crate::storage::LocalStorage`]) |
//!
//! A seeded fault proves that a test would notice: a test run that stays green with it is worth nothing. Those of this
//! crate are `journal.sync-skipped`, `journal.torn-tail-accepted` and `storage.publish-not-atomic`.
//!
//! The environment is read once. This module refuses to know what any of the names stands for.

#[cfg(feature = "failpoints")]
mod on;

#[cfg(feature = "failpoints")]
pub use on::{hit, lose_unsynced, seeded, size};

#[cfg(not(feature = "failpoints"))]
pub use off::{hit, lose_unsynced, seeded, size};

#[cfg(not(feature = "failpoints"))]
mod off {
    //! What is left of it in a program: nothing.

    /// Dies here if a test asked for it; does nothing without the feature `failpoints`.
    ///
    /// ```
    /// use winterbourne_base::failpoint;
    /// failpoint::hit("example.before_write");
    /// ```
    #[inline(always)]
    pub const fn hit(_name: &str) {}

    /// Whether the fault `name` was asked for; never, without the feature `failpoints`.
    ///
    /// ```
    /// use winterbourne_base::failpoint;
    /// assert!(!failpoint::seeded("example.sum-off-by-one"));
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn seeded(_name: &str) -> bool {
        false
    }

    /// Whether what was not synced is to die with the process; never, without the feature `failpoints`.
    #[inline(always)]
    #[must_use]
    pub const fn lose_unsynced() -> bool {
        false
    }

    /// `usual`; without the feature `failpoints`, that is all there is to it.
    ///
    /// ```
    /// use winterbourne_base::failpoint;
    /// assert_eq!(failpoint::size(8 << 20, 4 << 10), 8 << 20);
    /// ```
    #[inline(always)]
    #[must_use]
    pub const fn size(usual: u64, _small: u64) -> u64 {
        usual
    }
}
