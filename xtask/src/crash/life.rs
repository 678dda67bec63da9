//! A life of the program: started, fed, and killed or ended as asked.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::world::World;
use crate::Result;

/// A program that says nothing for so long hangs.
const GUARD: Duration = Duration::from_secs(15);
/// Batches without a record, after all was given, that mean that all was taken.
const IDLE: usize = 6;

const SIGKILL: i32 = 9;

/// How a life is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// When all input is used up.
    Finish,
    /// Told to, after so many batches.
    Orderly(usize),
    /// By SIGKILL, at the n-th hit of a failpoint.
    At(String, u64),
    /// By SIGKILL, so long after so many batches.
    Moment(usize, Duration),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Finish => write!(f, "finish"),
            End::Orderly(batches) => write!(f, "stop after {batches} batches"),
            End::At(name, nth) => write!(f, "{name}@{nth}"),
            End::Moment(batches, after) => write!(f, "kill {} µs after {batches} batches", after.as_micros()),
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Killed,
    Ended,
    Failed(String),
}

/// What the program said at a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) time: u64,
    /// Completions before it, and the receipt of the last.
    pub(crate) sequence: u64,
    pub(crate) receipt: u64,
    pub(crate) records: u64,
}

#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) outcome: Outcome,
    pub(crate) said: Vec<Said>,
    /// Completions and receipt at an orderly end.
    pub(crate) end: Option<(u64, u64)>,
}

/// What all lives of a story share.
pub(crate) struct Setting<'a> {
    pub(crate) victim: &'a Path,
    pub(crate) lose_unsynced: bool,
    pub(crate) fault: Option<&'a str>,
}

/// The failpoints that were hit, a line each.
pub(crate) const LIST: &str = "list";
/// The failpoints where it died, a line each.
pub(crate) const REPORT: &str = "report";
pub(crate) const STDERR: &str = "stderr";

pub(crate) fn live(setting: &Setting<'_>, world: &mut World, end: &End) -> Result<Life> {
    let errors = OpenOptions::new().create(true).append(true).open(world.directory.join(STDERR))?;
    let mut command = Command::new(setting.victim);
    command.arg(&world.directory).arg(world.port.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
    command.env("WINTERBOURNE_SMALL_SIZES", "1").env("WINTERBOURNE_FAILPOINT_LIST", world.directory.join(LIST));
    command.env("WINTERBOURNE_FAILPOINT_REPORT", world.directory.join(REPORT));
    if setting.lose_unsynced {
        command.env("WINTERBOURNE_LOSE_UNSYNCED", "1");
    }
    if let Some(fault) = setting.fault {
        command.env("WINTERBOURNE_SEEDED_FAULT", fault);
    }
    if let End::At(name, nth) = end {
        command.env("WINTERBOURNE_FAILPOINT", format!("{name}@{nth}"));
    }
    let mut child = command.spawn()?;
    let (mut order, output) = (child.stdin.take(), child.stdout.take().ok_or("no standard output")?);
    let (tell, heard) = mpsc::channel();
    let ears = thread::Builder::new().name("output".into()).spawn(move || {
        // An error is the end, too.
        let mut lines = BufReader::new(output).lines().map_while(std::result::Result::ok);
        lines.try_for_each(|line| tell.send(line))
    })?;
    let mut life = Life { outcome: Outcome::Ended, said: Vec::new(), end: None };
    let (mut idle, mut deadline, mut hung) = (0, None::<Instant>, false);
    loop {
        let patience = deadline.map_or(GUARD, |at| at.saturating_duration_since(Instant::now()));
        let line = match heard.recv_timeout(patience) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                hung = deadline.is_none();
                child.kill()?;
                break;
            }
        };
        let mut words = line.split(' ');
        let kind = words.next();
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        match (kind, numbers.as_slice()) {
            (Some("batch"), &[time, sequence, receipt, records]) => {
                life.said.push(Said { time, sequence, receipt, records });
                world.batch()?;
                idle = if records == 0 && world.is_given_before(time) { idle + 1 } else { 0 };
                let told = matches!(end, End::Orderly(batches) if life.said.len() >= *batches);
                if told || idle >= IDLE {
                    order = None;
                }
                match end {
                    End::Moment(batches, after) if deadline.is_none() && life.said.len() >= *batches => {
                        deadline = Some(Instant::now() + *after);
                    }
                    _ => {}
                }
            }
            (Some("end"), &[sequence, receipt]) => life.end = Some((sequence, receipt)),
            _ => return Err(format!("the program says {line:?}").into()),
        }
    }
    drop(order);
    let status = child.wait()?;
    let _ = ears.join();
    life.outcome = match (status.signal(), status.success()) {
        _ if hung => Outcome::Failed(format!("it said nothing for {} s", GUARD.as_secs())),
        (Some(SIGKILL), _) => Outcome::Killed,
        (_, true) => Outcome::Ended,
        _ => Outcome::Failed(format!("{status}: {}", last_words(&world.directory))),
    };
    Ok(life)
}

/// The last line on standard error.
fn last_words(directory: &Path) -> String {
    let text = fs::read_to_string(directory.join(STDERR)).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}
