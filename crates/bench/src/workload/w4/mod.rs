//! W4: state of many keys, some of them updated in each batch; without checkpoints, with one in each batch, and with one
//! in every tenth; with that one also without a pause, so that later batches run beside its writing.
pub(crate) mod program;

use crate::{
    Out, Result,
    args::Args,
    meter::measure,
    row::Row,
    scratch::Scratch,
    stats::{median, percentile},
};
use program::{Kind, Lap, Program};
use std::{
    thread,
    time::{Duration, Instant},
};

const BATCHES: u64 = 50;
/// Not timed: the keys, and what follows until the memory of a batch has been used once.
const BEFORE: u64 = 6;

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let sizes = args.keys.map_or(vec![1_000_000, 5_000_000], |n| vec![n]);
    for _ in 0..args.rounds(1) {
        for keys in &sizes {
            for kind in Kind::ALL {
                for (every, waits) in [(None, true), (Some(1), true), (Some(10), true), (Some(10), false)] {
                    let name = match (every, waits) {
                        (None, _) => kind.name().to_owned(),
                        (Some(n), true) => format!("{}, checkpoint {n}", kind.name()),
                        (Some(n), false) => format!("{}, checkpoint {n}, no pause", kind.name()),
                    };
                    if args.wants(&name) {
                        out(measured(args, &name, *keys, kind, every, waits)?);
                    }
                }
            }
        }
    }
    Ok(())
}

fn measured(args: &Args, name: &str, keys: u64, kind: Kind, every: Option<u64>, waits: bool) -> Result<Row> {
    let (updates, threads) = (args.n.unwrap_or(100_000), args.threads());
    let scratch = Scratch::new(args)?;
    let kept = every.map(|n| (scratch.path(), n));
    let mut run = Program { kind, keys, updates, threads, kept }.start()?;
    // The first checkpoint holds all keys; ten to see.
    let (before, batches) = (BEFORE + every.unwrap_or(0), BATCHES.max(10 * every.unwrap_or(0)));
    for _ in 0..before {
        run.step()?;
    }
    run.counted();
    let syncs = run.durable().map_or(0, |d| d.log_syncs);
    let (mut laps, interval) = (Vec::new(), Duration::from_millis(args.interval_ms.unwrap_or(0)));
    let (done, spent) = measure(|| -> Result {
        for _ in 0..batches {
            let begun = Instant::now();
            laps.push(run.step_on(waits)?);
            // The rest of the batch interval, which belongs to whatever works in the background.
            thread::sleep(interval.saturating_sub(begun.elapsed()));
        }
        Ok(())
    });
    done?;
    let counted = run.counted();
    let durable = run.durable();
    // The sum is asked for in one more batch; what came before the timed ones is not in it.
    let sum = run.sum()? - updates * before;
    let mut all: Vec<f64> = laps.iter().map(|l| l.ms).collect();
    let (p50, p99) = (percentile(&mut all, 50), percentile(&mut all, 99));
    let row = Row::new("W4", format!("{keys} keys, {name}"), threads, updates * batches, spent)
        .result("sum", sum)
        .result("batch_ms_p50", p50)
        .more("counted", counted)
        .more("cpu_ms_a_batch", spent.cpu_s * 1e3 / batches as f64)
        .more("batch_ms_p50", p50)
        .more("batch_ms_p99", p99);
    let Some(durable) = durable else { return Ok(row) };
    let ms = |of: fn(&Lap) -> bool| -> Vec<f64> { laps.iter().filter(|l| of(l)).map(|l| l.ms).collect() };
    let (mut plain, mut checkpoint) = (ms(|l| !l.is_checkpoint && !l.is_beside), ms(|l| l.is_checkpoint));
    let mut beside = ms(|l| !l.is_checkpoint && l.is_beside);
    let mut written: Vec<f64> = laps.iter().filter(|l| l.is_checkpoint).map(|l| l.written_ms).collect();
    Ok(row
        .more("checkpoints", checkpoint.len())
        .more("plain_ms_p50", median(&mut plain))
        .more("checkpoint_ms_p50", median(&mut checkpoint))
        .more("beside", beside.len())
        .more("beside_ms_p50", median(&mut beside))
        .more("written_ms_p50", median(&mut written))
        .more("checkpoint_bytes", durable.checkpoint_bytes)
        .more("syncs", durable.log_syncs - syncs)
        .more("longest_sync_us", durable.longest_sync_us))
}
