//! The benchmark program: runs the workloads W1 to W9 through the library's public API and prints what they took.
//!
//! Timings live here and nowhere else; no test asserts one. Every row carries a result that proves the work was done,
//! under the same `variant` and the same keys whoever measured it, so that rows of two programs can be matched and
//! their results compared before any ratio is taken. What this program refuses to do: to reach below the public API.
//!
//! In the order of use: `args` (what was asked), `catalogue` (what there is), `workload` and `micro` (what is
//! measured), `corpus` (the text they read), `session`, `feed` and `sender` (a stream over a socket), `helper` and
//! `process` (other processes), `scratch` (directories that go again), `meter`, `laps` and `stats` (numbers), `row` and
//! `json` (what is printed).
mod args;
mod catalogue;
mod corpus;
mod feed;
mod helper;
mod json;
mod laps;
mod meter;
mod micro;
mod process;
mod random;
mod row;
mod scratch;
mod sender;
mod session;
mod stats;
mod words;
mod workload;
mod zipf;

use args::{Args, USAGE};
use row::Row;
use std::process::ExitCode;

/// Whatever went wrong: this is a program.
type Result<T = (), E = winterbourne::BoxError> = std::result::Result<T, E>;
/// Where a workload hands over its rows, one per measured run, as they come.
type Out<'a> = &'a mut dyn FnMut(Row);

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)).map_err(Into::into).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            complain(&format!("winterbourne-bench: {e}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result {
    if args.list {
        print!("{}", catalogue::listing());
        return Ok(());
    }
    let Some(name) = &args.workload else { return Err(USAGE.into()) };
    if args.is_helper {
        helper::end_with_parent()?;
    }
    let json = args.json;
    catalogue::find(name)?(args, &mut |row| {
        println!("{}", if json { row.json() } else { row.readable() });
    })
}

fn complain(message: &str) {
    eprintln!("{message}");
}
