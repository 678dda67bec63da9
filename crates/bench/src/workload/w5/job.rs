//! The smallest jobs: two partitions, four records, with and without a shuffle.
use crate::{Out, Result, args::Args, laps::laps, row::Row, words::context};
use winterbourne::SparkContext;

type Job = fn(&SparkContext) -> winterbourne::engine::Result<u64>;

pub(super) fn run(args: &Args, out: Out) -> Result {
    let jobs: [(&str, Job); 2] = [
        ("job", |sc| sc.parallelize([1u32, 2, 3, 4], 2).count()),
        ("job_shuffle", |sc| {
            sc.parallelize([(1u32, 2u32), (2, 3), (3, 4), (4, 5)], 2).reduce_by_key(|a, b| a + b).count()
        }),
    ];
    let (n, threads) = (args.n.unwrap_or(20_000), args.threads());
    let sc = context(threads)?;
    for _ in 0..args.rounds(1) {
        for (variant, job) in jobs.iter().filter(|(name, _)| args.wants(name)) {
            let mut counted = 0;
            let (jobs, laps) = laps(n, || {
                counted += job(&sc)?;
                Ok(())
            })?;
            let row = Row::new("W5", *variant, threads, jobs, laps.spent);
            out(row.result("counted", counted).result("us_p50", laps.us_p50));
        }
    }
    Ok(())
}
