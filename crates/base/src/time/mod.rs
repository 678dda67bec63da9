//! Points in time, durations and intervals, all in whole milliseconds.
//!
//! Batch times are public and are compared, stored and printed, so they are integers: a batch interval of "a third of
//! a second" cannot drift. What is *measured* (delays, rates) uses [`Clock::nanos`](crate::Clock::nanos) instead.
//! Nothing here reads a clock.
//!
//! Arithmetic never panics and never wraps: sums stop at the largest value, differences at zero.

mod duration;
mod instant;
mod interval;
mod into;

pub use duration::{Duration, milliseconds, minutes, seconds};
pub use instant::Time;
pub use interval::Interval;
pub use into::{IntoDuration, TimeError};
