//! [`Args`]: the command line. Refuses to know what a workload makes of it.
use std::{path::PathBuf, str::FromStr};

pub(crate) const USAGE: &str = "\
usage: winterbourne-bench WORKLOAD [OPTIONS]   or   winterbourne-bench --list

  --input FILE     text to read; without it text is generated once, into the temporary directory
  --directory DIR  where checkpoints go, in a directory of their own that is removed; the temporary directory otherwise
  --n N            how much: records, jobs, lines a batch or bytes of generated text, as --list says
  --keys K         distinct keys
  --budget-mb M    memory budget, in megabytes
  --threads T      threads of local[T]; all processors unless given
  --interval-ms I  batch interval
  --seconds S      how long a step lasts; fractions are fine
  --port P         take lines from a sender that listens there already, instead of starting one
  --rates R,R,...  lines per second of each step; 0 is as fast as the socket takes
  --rounds R       measured runs of each variant
  --variant V      only this variant
  --stamp          the sender puts `@<epoch ms> ` before each line
  --json           one JSON object per measured run";

/// What was asked.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) workload: Option<String>,
    pub(crate) list: bool,
    pub(crate) json: bool,
    pub(crate) stamp: bool,
    /// This process belongs to another one of this program and ends with it.
    pub(crate) is_helper: bool,
    pub(crate) input: Option<PathBuf>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) n: Option<u64>,
    pub(crate) keys: Option<u64>,
    pub(crate) budget_mb: Option<u64>,
    threads: Option<usize>,
    pub(crate) interval_ms: Option<u64>,
    seconds: Option<f64>,
    pub(crate) port: Option<u16>,
    rates: Vec<u64>,
    rounds: Option<usize>,
    variant: Option<String>,
}

impl Args {
    /// # Errors
    /// What cannot be understood, for people.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Args, String> {
        let (mut found, mut args) = (Args::default(), args.into_iter());
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} wants a value"));
            match arg.as_str() {
                "--list" => found.list = true,
                "--json" => found.json = true,
                "--stamp" => found.stamp = true,
                "--helper" => found.is_helper = true,
                "--input" => found.input = Some(value()?.into()),
                "--directory" => found.directory = Some(value()?.into()),
                "--n" => found.n = Some(positive(&arg, &value()?)?),
                "--keys" => found.keys = Some(positive(&arg, &value()?)?),
                "--budget-mb" => found.budget_mb = Some(positive(&arg, &value()?)?),
                "--threads" => found.threads = Some(positive(&arg, &value()?)?),
                "--interval-ms" => found.interval_ms = Some(positive(&arg, &value()?)?),
                "--seconds" => found.seconds = Some(seconds(&value()?)?),
                "--port" => found.port = Some(positive(&arg, &value()?)?),
                "--rates" => found.rates = value()?.split(',').map(|r| number(&arg, r)).collect::<Result<_, _>>()?,
                "--rounds" => found.rounds = Some(positive(&arg, &value()?)?),
                "--variant" => found.variant = Some(value()?),
                option if option.starts_with('-') => return Err(format!("unknown option {option}\n{USAGE}")),
                _ if found.workload.is_none() => found.workload = Some(arg),
                _ => return Err(format!("one workload at a time, and `{arg}` is one too many")),
            }
        }
        Ok(found)
    }
    pub(crate) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
    pub(crate) fn rounds(&self, default: usize) -> usize {
        self.rounds.unwrap_or(default)
    }
    pub(crate) fn seconds(&self, default: f64) -> f64 {
        self.seconds.unwrap_or(default)
    }
    pub(crate) fn rates(&self, default: &[u64]) -> Vec<u64> {
        if self.rates.is_empty() { default.to_vec() } else { self.rates.clone() }
    }
    /// Whether this variant was asked for.
    pub(crate) fn wants(&self, variant: &str) -> bool {
        self.variant.as_deref().is_none_or(|only| only == variant)
    }
}

fn number<T: FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{option} wants a whole number in range, not `{text}`"))
}
fn positive<T: FromStr + Default + PartialEq>(option: &str, text: &str) -> Result<T, String> {
    let n: T = number(option, text)?;
    if n == T::default() { Err(format!("{option} wants more than zero")) } else { Ok(n) }
}
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if s > 0.0 && s < 1e6 => Ok(s),
        _ => Err(format!("--seconds wants a positive number, not `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(String::from))
    }
    #[test]
    fn understands_its_command_line() {
        let got = parse("W2sock --input t.txt --n 5 --keys 7 --threads 2 --interval-ms 200 --json --rounds 3").unwrap();
        let expect = Args {
            workload: Some("W2sock".into()),
            json: true,
            input: Some("t.txt".into()),
            n: Some(5),
            keys: Some(7),
            threads: Some(2),
            interval_ms: Some(200),
            rounds: Some(3),
            ..Args::default()
        };
        assert_eq!(got, expect);
        let got = parse("sender --port 9 --rates 100,0 --seconds 0.5 --stamp --variant count").unwrap();
        assert_eq!((got.port, got.rates(&[1]), got.seconds(9.0), got.stamp), (Some(9), vec![100, 0], 0.5, true));
        assert!(got.wants("count") && !got.wants("read"));
        let got = parse("--list").unwrap();
        assert!(got.list && got.wants("any") && got.threads() > 0);
        assert_eq!((got.rates(&[1]), got.seconds(9.0), got.rounds(4)), (vec![1], 9.0, 4));
    }
    #[test]
    fn says_what_it_does_not_understand() {
        for (line, expect) in [
            ("W1 --fast", "unknown option --fast"),
            ("W1 --n", "--n wants a value"),
            ("W1 --n x", "--n wants a whole number in range, not `x`"),
            ("W1 --threads 0", "--threads wants more than zero"),
            ("W1 --port 70000", "--port wants a whole number in range, not `70000`"),
            ("W1 --seconds -1", "--seconds wants a positive number, not `-1`"),
            ("W1 --rates 5,,6", "--rates wants a whole number in range, not ``"),
            ("W1 W2", "one workload at a time"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.starts_with(expect), "{line}: {said}");
        }
    }
}
