//! W5: what small things cost: a job, a batch without data, and the way of a line from its stamp to the output.
mod empty_batch;
mod job;
mod latency;

use crate::{Out, Result, args::Args};

pub(crate) fn run(args: &Args, out: Out) -> Result {
    job::run(args, out)?;
    empty_batch::run(args, out)?;
    latency::run(args, out)
}
