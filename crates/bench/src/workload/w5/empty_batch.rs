//! The word count of a stream in which nothing happens: what a batch costs by itself. Nothing is logged.
use crate::{
    Out, Result,
    args::Args,
    laps::laps,
    row::Row,
    words::{context, count_stream},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
    mpsc,
};
use winterbourne::{BoxError, Intake, Receiver, StreamingContext, Text, milliseconds};

/// A source that has nothing to say until it is told to stop.
struct Silent;
impl Receiver<Text> for Silent {
    fn receive(&mut self, intake: &Intake<Text>) -> Result<(), BoxError> {
        let (stopped, stop) = mpsc::channel::<()>();
        intake.on_stop(move || drop(stopped));
        // An error: the other side is gone, which is the sign.
        let _ = stop.recv();
        Ok(())
    }
}

pub(super) fn run(args: &Args, out: Out) -> Result {
    if !args.wants("empty_batch") {
        return Ok(());
    }
    let (n, threads) = (args.n.unwrap_or(20_000), args.threads());
    let sc = context(threads)?;
    for _ in 0..args.rounds(1) {
        let ssc = StreamingContext::new(&sc, milliseconds(1))?;
        let outputs = Arc::<AtomicU64>::default();
        let seen = outputs.clone();
        count_stream(&ssc.receiver_stream(Silent)).foreach_rdd(move |counts, _| {
            seen.fetch_add(1 + counts.collect()?.len() as u64, Relaxed);
            Ok(())
        });
        let mut run = ssc.start_stepped()?;
        let (batches, laps) = laps(n, || Ok(run.step().map(drop)?))?;
        let row = Row::new("W5", "empty_batch", threads, batches, laps.spent);
        out(row.result("outputs", outputs.load(Relaxed)).more("empty_batch_us", laps.us_p50));
    }
    Ok(())
}
