//! [`Laps`]: something short, done many times. Timed in groups, so that reading the clock costs next to nothing.
use crate::{
    Result,
    meter::{Spent, measure},
    stats::median,
};
use std::time::Instant;

/// How many runs are timed together.
const GROUP: u64 = 100;

pub(crate) struct Laps {
    pub(crate) spent: Spent,
    /// The median over the groups of the microseconds that one run took.
    pub(crate) us_p50: f64,
}

/// Does `work` at least `n` times, in whole groups; says how often it was.
pub(crate) fn laps(n: u64, mut work: impl FnMut() -> Result) -> Result<(u64, Laps)> {
    let groups = n.div_ceil(GROUP);
    let mut us = Vec::with_capacity(groups as usize);
    let (done, spent) = measure(|| -> Result {
        for _ in 0..groups {
            let begun = Instant::now();
            for _ in 0..GROUP {
                work()?;
            }
            us.push(begun.elapsed().as_secs_f64() * 1e6 / GROUP as f64);
        }
        Ok(())
    });
    done?;
    Ok((groups * GROUP, Laps { spent, us_p50: median(&mut us) }))
}
