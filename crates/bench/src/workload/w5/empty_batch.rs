//! Streams in which nothing happens: what a batch costs by itself. The word count, without and with a batch log; and a
//! graph of 200 streams with 20 outputs.
use crate::{
    Out, Result,
    args::Args,
    laps::laps,
    row::Row,
    scratch::Scratch,
    words::{context, count_stream},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
    mpsc,
};
use winterbourne::{
    BoxError, DStream, Intake, Rdd, Receiver, SparkContext, StreamingContext, Text, milliseconds,
    streaming::{Input, Planned, Tick},
};

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
/// One that gives no line in each batch, and can do so again.
struct Empty;
impl Input<Text> for Empty {
    type Plan = ();
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<()>>, BoxError> {
        Ok(Some(Planned { plan: (), records: Some(0), description: "nothing".into() }))
    }
    fn read(&mut self, sc: &SparkContext, (): &()) -> Result<Rdd<Text>, BoxError> {
        Ok(sc.parallelize([], 1))
    }
}

pub(super) fn run(args: &Args, out: Out) -> Result {
    for _ in 0..args.rounds(1) {
        if args.wants("empty_batch") {
            out(measured(args, "empty_batch", 20_000, None)?);
        }
        if args.wants("empty_batch_log") {
            out(measured(args, "empty_batch_log", 2_000, Some(Scratch::new(args)?))?);
        }
        if args.wants("graph_200") {
            out(graph(args, "graph_200", 2_000)?);
        }
    }
    Ok(())
}

fn measured(args: &Args, variant: &str, n: u64, log: Option<Scratch>) -> Result<Row> {
    let threads = args.threads();
    let sc = context(threads)?;
    let ssc = StreamingContext::new(&sc, milliseconds(1))?;
    let outputs = Arc::<AtomicU64>::default();
    let lines: DStream<Text> = match &log {
        None => ssc.receiver_stream(Silent),
        Some(directory) => {
            ssc.checkpoint(directory.path().to_string_lossy());
            ssc.input_stream("empty", Empty)
        }
    };
    let seen = outputs.clone();
    count_stream(&lines).foreach_rdd(move |counts, _| {
        seen.fetch_add(1 + counts.collect()?.len() as u64, Relaxed);
        Ok(())
    });
    let mut run = ssc.start_stepped()?;
    let (batches, laps) = laps(args.n.unwrap_or(n), || Ok(run.step().map(drop)?))?;
    let row = Row::new("W5", variant, threads, batches, laps.spent)
        .result("outputs", outputs.load(Relaxed))
        .more("empty_batch_us", laps.us_p50);
    Ok(match ssc.status().durable {
        None => row,
        Some(d) => row
            .result("syncs", d.log_syncs)
            .more("cpu_us_a_batch", laps.spent.cpu_s * 1e6 / batches as f64)
            .more("last_sync_us", d.last_sync_us)
            .more("longest_sync_us", d.longest_sync_us)
            .more("checkpoints", d.checkpoints),
    })
}

/// Twenty chains of ten streams each over one input, with an output at the end of each.
fn graph(args: &Args, variant: &str, n: u64) -> Result<Row> {
    let threads = args.threads();
    let ssc = StreamingContext::new(&context(threads)?, milliseconds(1))?;
    let outputs = Arc::<AtomicU64>::default();
    let lines = ssc.input_stream("empty", Empty);
    for _ in 0..20 {
        let mut numbers = lines.map(|line| line.len());
        for i in 0..7 {
            numbers = if i % 2 == 0 { numbers.filter(move |n| n % 7 != i) } else { numbers.map(|n| n + 1) };
        }
        let (sums, seen) = (numbers.map(|n| (n % 10, n)).reduce_by_key(|a, b| a + b), outputs.clone());
        sums.foreach_rdd(move |sums, _| {
            seen.fetch_add(1 + sums.count()?, Relaxed);
            Ok(())
        });
    }
    let mut run = ssc.start_stepped()?;
    let (batches, laps) = laps(args.n.unwrap_or(n), || Ok(run.step().map(drop)?))?;
    let row = Row::new("W5", variant, threads, batches, laps.spent).result("outputs", outputs.load(Relaxed));
    Ok(row.more("batch_us", laps.us_p50).more("cpu_us_a_batch", laps.spent.cpu_s * 1e6 / batches as f64))
}
