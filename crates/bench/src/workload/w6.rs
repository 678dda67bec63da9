//! W6: sorting large records, a join and a group-by, with what makes their records inside the lineage.
use crate::{Out, Result, args::Args, meter::measure, row::Row, words::context};
use std::sync::Arc;
use winterbourne::{Rdd, SparkContext};

/// A key and 100 bytes.
type Record = (u64, [u32; 25]);

/// splitmix64 of `i`.
fn mix(i: u64) -> u64 {
    let x = i.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn record(i: u64) -> Record {
    let key = mix(i);
    let (mut payload, mut x) = ([0; 25], key);
    for piece in payload.chunks_mut(2) {
        x = mix(x);
        let halves = [x as u32, (x >> 32) as u32];
        piece.copy_from_slice(&halves[..piece.len()]);
    }
    (key, payload)
}

/// All records in order, in memory.
fn sorted(sc: &SparkContext, n: u64, partitions: usize) -> Result<Vec<Arc<Vec<Record>>>> {
    let sorted = sc.range(0..n, partitions).map(record).sort_by_key();
    let all = (0..partitions).collect();
    let keep = |_, flow: winterbourne::engine::Flow<Record>, _: &_| {
        let mut all = Vec::new();
        flow.each(|c| {
            c.append_to(&mut all);
            Ok(())
        })?;
        Ok(Arc::new(all))
    };
    Ok(sc.run_job(&sorted, all, keep)?)
}

fn pairs(
    sc: &SparkContext,
    n: u64,
    partitions: usize,
    key: impl Fn(u64) -> u64 + Send + Sync + 'static,
) -> Rdd<(u64, u64)> {
    sc.range(0..n, partitions).map(move |i| (key(i), i))
}

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let (n, threads) = (args.n.unwrap_or(4_000_000), args.threads());
    let sc = context(threads)?;
    for _ in 0..args.rounds(1) {
        if args.wants("sort") {
            let (parts, spent) = measure(|| sorted(&sc, n, 2 * threads));
            let parts = parts?;
            let check = |i: u64| {
                let (key, payload) = parts.iter().flat_map(|p| p.iter()).nth(i as usize).ok_or("records are lost")?;
                Ok::<u64, Box<dyn std::error::Error + Send + Sync>>(key ^ u64::from(payload[0].to_le_bytes()[3]))
            };
            let row = Row::new("W6", "sort", threads, n, spent);
            out(row.result("first", check(0)?).result("middle", check(n / 2)?).result("last", check(n - 1)?));
        }
        if args.wants("join") {
            let half = n / 2;
            let (found, spent) = measure(|| {
                let left = pairs(&sc, half, threads, move |i| i.wrapping_mul(2_654_435_761) % half);
                let right = pairs(&sc, half, threads, move |i| i.wrapping_mul(2_246_822_519) % half);
                let add = |(count, sum): (u64, u64), (_, (v, w))| (count + 1, sum.wrapping_add(v ^ w));
                left.join_in(&right, 64).aggregate((0, 0), add, |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)))
            });
            let (count, sum) = found?;
            out(Row::new("W6", "join", threads, n, spent).result("count", count).result("sum", sum));
        }
        if args.wants("group") {
            let (found, spent) = measure(|| {
                let groups = pairs(&sc, n, threads, move |i| mix(i) % (n / 10).max(1)).group_by_key_in(64);
                let add = |(groups, sum): (u64, u64), (_, values): (u64, Vec<u64>)| {
                    (groups + 1, values.iter().fold(sum, |a, x| a.wrapping_add(*x)))
                };
                groups.aggregate((0, 0), add, |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)))
            });
            let (groups, sum) = found?;
            out(Row::new("W6", "group", threads, n, spent).result("groups", groups).result("sum", sum));
        }
    }
    Ok(())
}
