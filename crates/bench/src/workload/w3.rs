//! W3: a window of ten batches by inverse over many keys, without checkpoints and with one in every tenth batch.
use crate::{Out, Result, args::Args, meter::measure, row::Row, scratch::Scratch, stats::percentile, words::context};
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Instant,
};
use winterbourne::{
    BoxError, Rdd, SparkContext, StreamingContext, seconds,
    streaming::{Input, Planned, Tick},
};

const MULTIPLIER: u64 = 2_654_435_761;
const BATCHES: u64 = 60;
/// Whose times are not told: until the window is full.
const BEFORE: usize = 12;

/// So many records of value 1 a batch, over so many keys.
struct Keys {
    keys: u64,
    records: u64,
    parts: usize,
    next: u64,
}
impl Input<(u64, i64)> for Keys {
    type Plan = u64;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        let plan = self.next;
        self.next += 1;
        Ok(Some(Planned { plan, records: Some(self.records), description: format!("batch {plan}") }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &u64) -> Result<Rdd<(u64, i64)>, BoxError> {
        let (keys, n) = (self.keys, self.records);
        Ok(sc.range(plan * n..(plan + 1) * n, self.parts).map(move |i| (i.wrapping_mul(MULTIPLIER) % keys, 1)))
    }
    fn restore(&mut self, plan: &u64) -> Result<(), BoxError> {
        self.next = plan + 1;
        Ok(())
    }
}

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let sizes = args.keys.map_or(vec![100_000, 1_000_000], |n| vec![n]);
    for _ in 0..args.rounds(1) {
        for keys in &sizes {
            for (name, every) in [("", None), (", checkpoint 10", Some(10))] {
                let name = format!("{keys} keys{name}");
                if args.wants(&name) {
                    out(measured(args, &name, *keys, every)?);
                }
            }
        }
    }
    Ok(())
}

fn measured(args: &Args, name: &str, keys: u64, every: Option<u64>) -> Result<Row> {
    let (records, threads) = (args.n.unwrap_or(100_000), args.threads());
    let scratch = Scratch::new(args)?;
    // The sum of all values and how many keys there are, after the last batch.
    let last = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let build = || {
        let ssc = StreamingContext::new(&context(threads)?, seconds(1))?;
        let stream = ssc.input_stream("keys", Keys { keys, records, parts: threads, next: 0 });
        let sums = stream.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, seconds(10), seconds(1));
        let sums = match every {
            None => sums.volatile(),
            Some(n) => sums.checkpoint(seconds(n)),
        };
        let last = last.clone();
        sums.foreach_rdd(move |rdd, _| {
            let one = |(sum, n): (i64, u64), (_, value): (u64, i64)| (sum + value, n + 1);
            let (sum, n) = rdd.aggregate((0, 0), one, |a, b| (a.0 + b.0, a.1 + b.1))?;
            last.0.store(sum as u64, SeqCst);
            last.1.store(n, Relaxed);
            Ok(())
        });
        Ok(ssc)
    };
    let ssc = match every {
        None => build()?,
        Some(_) => {
            let text = scratch.path().to_str().ok_or("the name of the directory is no UTF-8")?;
            StreamingContext::get_or_create(text, build)?
        }
    };
    let mut run = ssc.start_stepped()?;
    let mut laps = Vec::new();
    let (done, spent) = measure(|| -> Result {
        for _ in 0..BATCHES {
            let begun = Instant::now();
            run.step()?;
            laps.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(())
    });
    done?;
    let mut laps = laps.split_off(BEFORE);
    let (p50, p99) = (percentile(&mut laps, 50), percentile(&mut laps, 99));
    let row = Row::new("W3", name, threads, records * BATCHES, spent)
        .result("window_sum", last.0.load(SeqCst))
        .result("keys", last.1.load(Relaxed))
        .result("batch_ms_p50", p50)
        .result("batch_ms_p99", p99);
    Ok(row.more("batch_ms_p50", p50).more("batch_ms_p99", p99))
}
