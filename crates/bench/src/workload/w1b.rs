//! W1b: a narrow chain over numbers; nothing but the cost of operators.
use crate::{Out, Result, args::Args, meter::measure, row::Row, words::context};
use winterbourne::{Rdd, SparkContext};

fn chain(sc: &SparkContext, n: u64, partitions: usize) -> Rdd<u64> {
    sc.range(0..n, partitions).map(|x| x.wrapping_mul(3).wrapping_add(1)).filter(|y| y % 7 != 0).map(|y| y ^ (y >> 3))
}

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let (n, threads) = (args.n.unwrap_or(200_000_000), args.threads());
    let sc = context(threads)?;
    for _ in 0..args.rounds(1) {
        let (counted, counting) = measure(|| chain(&sc, n, threads).count());
        let (summed, summing) = measure(|| {
            let add = |(count, sum): (u64, u64), y| (count + 1, sum.wrapping_add(y));
            chain(&sc, n, threads).aggregate((0, 0), add, |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)))
        });
        let (count, (also, sum)) = (counted?, summed?);
        if count != also {
            return Err(format!("count says {count}, the sum is of {also} records").into());
        }
        for (variant, spent) in [("count", counting), ("sum", summing)] {
            if args.wants(variant) {
                out(Row::new("W1b", variant, threads, n, spent).result("count", count).result("sum", sum));
            }
        }
    }
    Ok(())
}
