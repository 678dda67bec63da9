//! `proof [--short] [--seed N] [--kills N] [--fault NAME]`: Kafka to state to Kafka, exactly once, on Apache Kafka itself.
//!
//! A program (`victim`) reads a topic, keeps a running total for each key, and writes to two topics: every record it read,
//! and every change of a total. It is started again and again: killed at each durable step of a batch, then at random
//! moments, while a producer writes and, once, while the broker is killed and started again. At the end Kafka's own console
//! consumer says what readers of committed records see, and `check` compares it with what lies in the topic that was read.
//!
//! `--fault NAME` plays the same with a mistake that is there on purpose, and must fail.

mod check;
mod life;
mod story;
mod topics;
mod victim;

use std::process::ExitCode;

use winterbourne::BoxError;

/// What to play.
#[derive(Debug, Clone)]
struct Options {
    /// Each step once, and few random kills.
    short: bool,
    seed: u64,
    kills: Option<u64>,
    fault: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["victim", servers, directory] => victim::run(servers, directory),
        rest => options(rest).and_then(|options| story::play(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proof: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[&str]) -> Result<Options, BoxError> {
    let mut options = Options { short: false, seed: 1, kills: None, fault: None };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{argument} wants a value"));
        match *argument {
            "--short" => options.short = true,
            "--seed" => options.seed = value()?.parse()?,
            "--kills" => options.kills = Some(value()?.parse()?),
            "--fault" => options.fault = Some((*value()?).to_owned()),
            other => return Err(format!("not an option: {other}").into()),
        }
    }
    Ok(options)
}
