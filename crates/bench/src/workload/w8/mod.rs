//! W8: how long a program that was killed takes from exec to its first new batch, beside the least that any program
//! would have to do with the same bytes.
//!
//! A child of this program runs W4 with a checkpoint in every tenth batch, is killed behind the thirty-fifth, and started
//! again: it loads a full checkpoint and two of what changed, applies four batches of the log once more, and goes on.
//! The limit is a process too, and reads the same files.
mod limit;

pub(crate) use limit::child as limit_child;

use super::w4::program::{Kind, Program};
use crate::{Out, Result, args::Args, helper::Helper, meter::Spent, row::Row, scratch::Scratch};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

const EVERY: u64 = 10;
/// The batch of the last checkpoint.
const LAST: u64 = 3 * EVERY;
/// Where the child is killed. The completion of this batch is not durable yet, it is run again.
const END: u64 = LAST + EVERY / 2;

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let keys = args.keys.unwrap_or(1_000_000);
    for _ in 0..args.rounds(1) {
        let scratch = Scratch::new(args)?;
        let mut killed = start(args, "w8-child", keys, scratch.path())?;
        killed.hear(&format!("batch {END}"))?;
        drop(killed);
        let bytes = state_bytes(scratch.path())?;
        // Before the files change.
        if args.wants("limit") {
            let spent = timed(args, "w8-limit", keys, scratch.path(), "loaded")?;
            out(row(args, "limit", keys, bytes, &spent).result("sum", number(&spent.said)?));
        }
        if args.wants("recovery") {
            let mut spent = timed(args, "w8-child", keys, scratch.path(), "batch")?;
            let (first, updates) = (number(&spent.said)?, args.n.unwrap_or(100_000));
            // One more batch was run to learn it; the first batch of all brought zeros.
            let sum = number(&spent.helper.hear("sum")?)?;
            if sum != first * updates {
                return Err(format!("the states add up to {sum} where {} were counted", first * updates).into());
            }
            let row = row(args, "recovery", keys, bytes, &spent);
            out(row.result("sum", (LAST - 1) * updates).more("replayed", first - 1 - LAST));
        }
    }
    Ok(())
}

/// A child's way from exec to what was waited for.
struct Timed {
    helper: Helper,
    spent: Spent,
    said: String,
}
fn timed(args: &Args, role: &str, keys: u64, at: &Path, until: &str) -> Result<Timed> {
    let begun = Instant::now();
    let mut helper = start(args, role, keys, at)?;
    let said = helper.hear(until)?;
    let wall_s = begun.elapsed().as_secs_f64();
    let process = helper.process();
    let spent = Spent { wall_s, cpu_s: process.cpu_s(), peak_rss_mb: process.peak_rss_mb() };
    Ok(Timed { helper, spent, said })
}
fn row(args: &Args, variant: &str, keys: u64, bytes: u64, timed: &Timed) -> Row {
    let variant = format!("{keys} keys, {variant}");
    Row::new("W8", variant, args.threads(), keys, timed.spent).bytes(bytes)
}
fn number(text: &str) -> Result<u64> {
    Ok(text.trim().parse()?)
}

fn start(args: &Args, role: &str, keys: u64, at: &Path) -> Result<Helper> {
    let mut line = vec![role.to_owned(), "--threads".into(), args.threads().to_string()];
    line.extend(["--keys".into(), keys.to_string(), "--directory".into(), at.display().to_string()]);
    line.extend(args.n.iter().flat_map(|n| ["--n".into(), n.to_string()]));
    Helper::start(line)
}
fn state_bytes(at: &Path) -> Result<u64> {
    state_files(at)?.iter().map(|f| Ok(fs::metadata(f)?.len())).sum()
}
/// The files that the last checkpoint is made of, oldest first.
fn state_files(at: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(at.join("state"))?.map(|f| Ok(f?.path())).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = files.into_iter().filter(|f| f.to_string_lossy().ends_with(".state")).collect();
    files.sort();
    Ok(files)
}

/// The program itself. Says so when the batch is done at which it is killed, or its first one after a restart, and then
/// waits for its end.
pub(crate) fn child(args: &Args, _: Out) -> Result {
    let directory = args.directory.as_deref().ok_or("w8-child wants --directory")?;
    let (keys, updates) = (args.keys.ok_or("w8-child wants --keys")?, args.n.unwrap_or(100_000));
    let kept = Some((directory, EVERY));
    let mut run = Program { kind: Kind::MapWithState, keys, updates, threads: args.threads(), kept }.start()?;
    run.step()?;
    let mut sequence = run.durable().map_or(0, |d| d.sequence);
    if sequence > 1 {
        println!("batch {sequence}");
        println!("sum {}", run.sum()?);
    }
    while sequence < END {
        run.step()?;
        sequence += 1;
        if sequence == END {
            println!("batch {sequence}");
        }
    }
    loop {
        thread::park();
    }
}
