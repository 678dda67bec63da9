//! Rates: how fast records may come in, and how fast they should.
//!
//! `limiter` is the token bucket a receiver stores through, `pid` estimates from finished batches what they can keep up
//! with, `throttle` makes the limit of an input of that. All are pure: time is an argument. Refuses to know a receiver, a
//! batch or a lock.

mod limit;
mod limiter;
mod pid;
mod throttle;

pub(crate) use limit::Backpressure;
pub use limit::{Allowance, Limit};
pub(crate) use limiter::{Limiter, Load};
pub(crate) use pid::{Gains, Pid, Sample};
pub(crate) use throttle::{Start, Throttle};
