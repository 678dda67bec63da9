//! Long runs that judge themselves: small batches by the hundred thousand with the log on, and a source that is far too
//! fast. What a process holds after its warm-up it holds at the end; if not, it says so and fails.
//!
//! `soak` runs everything, `soak --short` the same with few batches. `soak steady --interval-ms I --batches N`,
//! `soak flood --batches N` run one. `child` is the program that `flood` feeds.
mod flood;
mod samples;
mod steady;

use std::process::ExitCode;
use winterbourne::BoxError;

/// Two hours of batches of 5 ms; ten minutes of batches of 1 ms; a minute of flood.
const LONG: (&[(u64, u64)], u64) = (&[(1, 600_000), (5, 1_440_000)], 600);
const SHORT: (&[(u64, u64)], u64) = (&[(1, 2_000), (5, 600)], 40);

/// The flood is faster than the batches by this factor at least, else it says nothing.
const TOO_FAST: f64 = 10.0;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("soak: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), BoxError> {
    let number = |name: &str, default: u64| -> Result<u64, BoxError> {
        let Some(at) = args.iter().position(|arg| arg == name) else { return Ok(default) };
        let text = args.get(at + 1).ok_or_else(|| format!("{name} needs a number"))?;
        text.parse().map_err(|e| format!("{name} {text}: {e}").into())
    };
    match args.first().map(String::as_str) {
        Some("steady") => steady::run(number("--interval-ms", 5)?, number("--batches", 20_000)?),
        Some("flood") => flood::run(number("--batches", 600)?).map(drop),
        Some("child") => flood::child(number("--port", 0)?, number("--batches", 600)?),
        None | Some("--short") => {
            let (steadies, batches) = if args.is_empty() { LONG } else { SHORT };
            let factor = flood::run(batches)?;
            if args.is_empty() && factor < TOO_FAST {
                return Err(format!("the flood was none: {factor:.1} times as fast as the batches").into());
            }
            steadies.iter().try_for_each(|&(interval_ms, batches)| steady::run(interval_ms, batches))
        }
        Some(other) => Err(format!("there is no '{other}': see the head of crates/soak/src/main.rs").into()),
    }
}
