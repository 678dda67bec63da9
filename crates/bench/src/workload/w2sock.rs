//! W2sock: word count of lines that come over TCP, and the highest rate at which it keeps up.
use crate::{
    Out, Result,
    args::Args,
    row::Row,
    session::{Batch, Outcome, Session},
    stats::percentile,
    words::{Tally, count_stream},
};
use std::sync::{Arc, Mutex, PoisonError};
use winterbourne::{DStream, Text};

const RAMP: [u64; 9] = [100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000, 800_000, 1_000_000];
/// How many batches at the end of a step are looked at.
const LAST: usize = 8;
/// A sender that reached less than this share of its rate was held up by the reader.
const REACHED: f64 = 0.95;

pub(crate) fn run(args: &Args, out: Out) -> Result {
    if args.wants("read") {
        // Ten times as many batches: what a receiver may hold bounds what it takes per interval.
        let session = session(args, 0, args.interval_ms.unwrap_or(100), args.seconds(5.0));
        let outcome = session.run(|lines| lines.foreach_rdd(|rdd, _| Ok(rdd.count().map(drop)?)))?;
        let lines = outcome.lines;
        out(row("read", &session, outcome).result("lines", lines).result("words", 0u64));
    }
    if !args.wants("count") {
        return Ok(());
    }
    for rate in args.rates(&RAMP) {
        let session = session(args, rate, args.interval_ms.unwrap_or(1000), args.seconds(12.0));
        let total = Arc::<Mutex<Tally>>::default();
        let outcome = session.run(|lines| count(lines, total.clone()))?;
        let (lines, held) = (outcome.lines, is_held(&session, &outcome));
        let words = total.lock().unwrap_or_else(PoisonError::into_inner).words;
        let row = row("count", &session, outcome).result("lines", lines).result("words", words);
        out(row.more("asked_per_s", rate).more("sustained", held));
        if args.port.is_some() || rate > 0 && !held {
            break;
        }
    }
    Ok(())
}

fn session(args: &Args, rate: u64, interval_ms: u64, seconds: f64) -> Session<'_> {
    Session { args, interval_ms, rate, seconds, stamp: args.stamp, batches: true }
}

fn count(lines: &DStream<Text>, total: Arc<Mutex<Tally>>) {
    count_stream(lines).foreach_rdd(move |counts, _| {
        let tally = Tally::of(counts)?;
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        *total = total.plus(tally);
        Ok(())
    });
}

fn row(variant: &str, session: &Session, outcome: Outcome) -> Row {
    let mut ms: Vec<f64> = outcome.batches.iter().map(|b| b.processing_us as f64 / 1e3).collect();
    Row::new("W2sock", variant, session.args.threads(), outcome.lines, outcome.spent)
        .more("interval_ms", session.interval_ms)
        .more("batch_ms_p50", percentile(&mut ms, 50))
        .more("batch_ms_p99", percentile(&mut ms, 99))
}

fn is_held(session: &Session, outcome: &Outcome) -> bool {
    let reached = outcome.sent.is_none_or(|s| s.lines as f64 >= REACHED * session.rate as f64 * s.seconds);
    let until_ms = outcome.sent.map_or(u64::MAX, |s| s.end_ms);
    reached && keeps_up(&outcome.batches, until_ms, session.interval_ms)
}

/// Whether the last batches before `until_ms` were begun and done within an interval each.
fn keeps_up(batches: &[Batch], until_ms: u64, interval_ms: u64) -> bool {
    let before: Vec<&Batch> = batches.iter().filter(|b| b.time_ms <= until_ms).collect();
    let last = &before[before.len().saturating_sub(LAST)..];
    let mut processing: Vec<f64> = last.iter().map(|b| b.processing_us as f64).collect();
    let limit_us = interval_ms * 1000;
    !last.is_empty() && last.iter().all(|b| b.delay_us < limit_us) && percentile(&mut processing, 50) < limit_us as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_batches_of_a_step_decide() {
        let batches = |from: u64, n: u64, delay_us, processing_us| {
            (from..from + n).map(move |i| Batch { time_ms: i * 1000, delay_us, processing_us })
        };
        let good = || batches(10, 8, 1_000, 900_000);
        for (list, expect) in [
            (vec![], false),
            (good().collect(), true),
            (batches(0, 10, 5_000_000, 5_000_000).chain(good()).collect(), true),
            (good().chain(batches(18, 1, 1_000_000, 1)).collect(), false),
            (batches(10, 4, 1, 1_000_000).chain(batches(14, 4, 1, 1)).collect(), true),
            (batches(10, 5, 1, 1_000_000).chain(batches(15, 3, 1, 1)).collect(), false),
            (good().chain(batches(50, 5, 9_000_000, 9_000_000)).collect(), true),
        ] {
            let list: Vec<Batch> = list;
            assert_eq!(keeps_up(&list, 40_000, 1000), expect, "{list:?}");
        }
    }
}
