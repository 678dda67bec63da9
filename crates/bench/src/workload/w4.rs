//! W4: state of many keys, some of them updated in each batch, without checkpoints.
use crate::{Out, Result, args::Args, meter::measure, row::Row, stats::percentile, words::context};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};
use winterbourne::{
    BoxError, DStream, Rdd, SparkContext, State, StateSpec, StreamingContext, seconds,
    streaming::{Input, Planned, Tick},
};

const MULTIPLIER: u64 = 2_654_435_761;
const BATCHES: u64 = 50;
/// Not timed: the keys, and what follows until the memory of a batch has been used once.
const BEFORE: u64 = 6;

/// First all keys with the value 0, then records of value 1, so many a batch.
struct Keys {
    keys: u64,
    updates: u64,
    parts: usize,
    next: u64,
}
impl Input<(u64, u64)> for Keys {
    type Plan = u64;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        let plan = self.next;
        self.next += 1;
        let records = if plan == 0 { self.keys } else { self.updates };
        Ok(Some(Planned { plan, records: Some(records), description: format!("batch {plan}") }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &u64) -> Result<Rdd<(u64, u64)>, BoxError> {
        let (keys, n) = (self.keys, self.updates);
        Ok(match plan.checked_sub(1) {
            None => sc.range(0..keys, self.parts).map(|key| (key, 0)),
            Some(b) => sc.range(b * n..(b + 1) * n, self.parts).map(move |i| (i.wrapping_mul(MULTIPLIER) % keys, 1)),
        })
    }
}

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let sizes = args.keys.map_or(vec![1_000_000, 5_000_000], |n| vec![n]);
    for _ in 0..args.rounds(1) {
        for keys in &sizes {
            for (name, build) in [("map_with_state", map_with_state as Build), ("update_state_by_key", update_all)] {
                if args.wants(name) {
                    out(measured(args, name, *keys, build)?);
                }
            }
        }
    }
    Ok(())
}

/// What a program does: an output in each batch, and the sum of all states when it is asked for.
type Build = fn(&DStream<(u64, u64)>, &Arc<Asked>);
#[derive(Default)]
struct Asked {
    now: AtomicBool,
    sum: AtomicU64,
    counted: AtomicU64,
}
impl Asked {
    fn answer(&self, states: &Rdd<(u64, u64)>) -> Result<(), BoxError> {
        if self.now.load(Relaxed) {
            self.sum.store(states.aggregate(0, |sum, (_, n)| sum + n, |a, b| a + b)?, Relaxed);
        }
        Ok(())
    }
}

fn map_with_state(records: &DStream<(u64, u64)>, asked: &Arc<Asked>) {
    let sums = records.map_with_state(StateSpec::function(|_: &u64, n: Option<u64>, sum: &mut State<'_, u64>| {
        let new = sum.get().copied().unwrap_or(0) + n.unwrap_or(0);
        sum.update(new);
        new
    }));
    let sums = sums.volatile();
    let counting = asked.clone();
    sums.foreach_rdd(move |rdd, _| {
        counting.counted.fetch_add(rdd.count()?, Relaxed);
        Ok(())
    });
    let asked = asked.clone();
    sums.state_snapshots().foreach_rdd(move |states, _| asked.answer(states));
}
fn update_all(records: &DStream<(u64, u64)>, asked: &Arc<Asked>) {
    let sums = records
        .update_state_by_key(|values: Vec<u64>, sum: Option<u64>| Some(sum.unwrap_or(0) + values.iter().sum::<u64>()));
    let asked = asked.clone();
    sums.volatile().foreach_rdd(move |states, _| {
        asked.counted.fetch_add(states.count()?, Relaxed);
        asked.answer(states)
    });
}

fn measured(args: &Args, name: &str, keys: u64, build: Build) -> Result<Row> {
    let (updates, threads) = (args.n.unwrap_or(100_000), args.threads());
    let sc = context(threads)?;
    let ssc = StreamingContext::new(&sc, seconds(1))?;
    let asked = Arc::<Asked>::default();
    build(&ssc.input_stream("keys", Keys { keys, updates, parts: threads, next: 0 }), &asked);
    let mut run = ssc.start_stepped()?;
    for _ in 0..BEFORE {
        run.step()?;
    }
    asked.counted.store(0, Relaxed);
    let mut batch_ms = Vec::new();
    let (done, spent) = measure(|| -> Result {
        for _ in 0..BATCHES {
            let begun = Instant::now();
            run.step()?;
            batch_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(())
    });
    done?;
    let counted = asked.counted.load(Relaxed);
    // The sum is asked for in one more batch; what came before the timed ones is not in it.
    asked.now.store(true, Relaxed);
    run.step()?;
    let (p50, p99) = (percentile(&mut batch_ms, 50), percentile(&mut batch_ms, 99));
    Ok(Row::new("W4", format!("{keys} keys {name}"), threads, updates * BATCHES, spent)
        .result("sum", asked.sum.load(Relaxed) - updates * BEFORE)
        .result("batch_ms_p50", p50)
        .more("counted", counted)
        .more("cpu_ms_a_batch", spent.cpu_s * 1e3 / BATCHES as f64)
        .more("batch_ms_p50", p50)
        .more("batch_ms_p99", p99))
}
