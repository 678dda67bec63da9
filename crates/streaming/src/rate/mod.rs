//! Rates: how fast records may come in, and how fast they should.
//!
//! `limiter` is the token bucket a receiver stores through, `pid` estimates from finished batches what they can keep up
//! with. Both are pure: time is an argument. Refuses to know a receiver, a batch or a lock.

mod limiter;
mod pid;

pub(crate) use limiter::{Limiter, Load};
pub(crate) use pid::{Gains, Pid, Sample};
