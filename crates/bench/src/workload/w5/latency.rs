//! From the stamp a sender puts before a line to the output of the batch that counts it.
//!
//! Each line begins with `@<epoch ms>`, which is one of its words: the result of a batch says how many lines of which
//! stamp are in it. When `collect` has brought it to the driver, it is out.
use crate::{
    Out, Result, args::Args, row::Row, sender::epoch_ms, session::Session, stats::percentile, words::count_stream,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use winterbourne::{DStream, Text};

const INTERVALS: [u64; 4] = [1000, 100, 10, 1];

#[derive(Default)]
struct Seen {
    latency_ms: Vec<f64>,
    busy_ms: Vec<f64>,
    words: u64,
}

pub(super) fn run(args: &Args, out: Out) -> Result {
    if !args.wants("latency") {
        return Ok(());
    }
    let intervals = args.interval_ms.map_or(INTERVALS.to_vec(), |only| vec![only]);
    for interval_ms in intervals {
        for rate in args.rates(&[10_000]) {
            let session = Session { args, interval_ms, rate, seconds: args.seconds(10.0), stamp: true, batches: false };
            out(measured(&session)?);
        }
    }
    Ok(())
}

fn measured(session: &Session) -> Result<Row> {
    let seen = Arc::<Mutex<Seen>>::default();
    let outcome = session.run(|lines| watch(lines, seen.clone()))?;
    let mut seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    if seen.latency_ms.len() as u64 != outcome.lines {
        return Err(format!("{} stamps in {} lines", seen.latency_ms.len(), outcome.lines).into());
    }
    let (done, passed_over) = (outcome.status.completed_batches, outcome.status.coalesced_ticks);
    let busy_ms = percentile(&mut seen.busy_ms, 50);
    let keeps_up = busy_ms < session.interval_ms as f64 && passed_over * 100 <= done + passed_over;
    Ok(Row::new("W5", "latency", session.args.threads(), outcome.lines, outcome.spent)
        .result("lines", outcome.lines)
        .result("words", seen.words)
        .more("interval_ms", session.interval_ms)
        .more("latency_ms_p50", percentile(&mut seen.latency_ms, 50))
        .more("latency_ms_p99", percentile(&mut seen.latency_ms, 99))
        .more("batch_ms_p50", busy_ms)
        .more("batch_ms_p99", percentile(&mut seen.busy_ms, 99))
        .more("batches", done)
        .more("coalesced", passed_over)
        .more("sustained", keeps_up))
}

fn watch(lines: &DStream<Text>, seen: Arc<Mutex<Seen>>) {
    count_stream(lines).foreach_rdd(move |counts, _| {
        let begun = Instant::now();
        let all = counts.collect()?;
        let (busy_ms, now) = (begun.elapsed().as_secs_f64() * 1e3, epoch_ms());
        let seen = &mut *seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.busy_ms.push(busy_ms);
        for (word, n) in all {
            seen.words += n;
            if let Some(stamp) = word.strip_prefix('@') {
                let waited = now.saturating_sub(stamp.parse()?) as f64;
                seen.latency_ms.extend(std::iter::repeat_n(waited, n as usize));
            }
        }
        Ok(())
    });
}
