//! One life of the victim: from its start to its end, by a kill or in good order.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use winterbourne::BoxError;

const SIGKILL: i32 = 9;

/// What ends a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// At the n-th time that it comes to a failpoint.
    At(String, u64),
    /// From outside, when it has said that it ran so many batches.
    After(u64),
    /// In good order, after so many batches in a row without a record.
    Idle(u64),
}

/// Where the victim lives.
pub(crate) struct World<'a> {
    pub(crate) servers: String,
    pub(crate) directory: &'a Path,
    pub(crate) fault: Option<&'a str>,
}

/// Batches after which a failpoint that was not reached is given up.
const PATIENCE: u64 = 250;

/// Whether it died where it was to. `meanwhile` is done when the victim has run some batches.
///
/// # Errors
///
/// It ended by itself.
pub(crate) fn live(
    world: &World<'_>,
    end: &End,
    meanwhile: impl FnOnce() -> Result<(), BoxError>,
) -> Result<bool, BoxError> {
    let mut child = start(world, end)?;
    let stdin = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().ok_or("it is piped")?);
    let mut meanwhile = Some(meanwhile);
    let (mut batches, mut idle) = (0, 0);
    while let Some(records) = next(&mut lines)? {
        batches += 1;
        idle = if records == 0 { idle + 1 } else { 0 };
        if batches == 5 {
            meanwhile.take().map_or(Ok(()), |f| f())?;
        }
        match end {
            // Recovery comes before the first batch or not at all.
            End::At(point, _) if batches >= PATIENCE || point.starts_with("recovery.") => break,
            End::After(n) if batches >= *n => break,
            End::Idle(n) if idle >= *n => break,
            _ => {}
        }
    }
    if let End::Idle(_) = end {
        drop(stdin);
        while next(&mut lines)?.is_some() {}
        let status = child.wait()?;
        return if status.success() { Ok(true) } else { Err(ended(world, &format!("{status}"))) };
    }
    // Where it died at its failpoint, this finds nobody.
    child.kill()?;
    let status = child.wait()?;
    if status.signal() != Some(SIGKILL) {
        return Err(ended(world, &format!("{status}")));
    }
    let died = world.directory.join("died");
    let reached = !matches!(end, End::At(..)) || died.exists();
    let _ = fs::remove_file(died);
    Ok(reached)
}

fn ended(world: &World<'_>, how: &str) -> BoxError {
    let said = fs::read_to_string(world.directory.join("stderr")).unwrap_or_default();
    let last: Vec<&str> = said.lines().rev().take(12).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    format!("the victim ended by itself ({how}):\n  {}", last.join("\n  ")).into()
}

fn start(world: &World<'_>, end: &End) -> Result<Child, BoxError> {
    let log = File::options().create(true).append(true).open(world.directory.join("stderr"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["victim", &world.servers]).arg(world.directory.join("checkpoint"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).env_remove("RUST_BACKTRACE");
    command.env("WINTERBOURNE_FAILPOINT_REPORT", world.directory.join("died"));
    command.env("WINTERBOURNE_FAILPOINT_LIST", world.directory.join("failpoints"));
    if let End::At(point, n) = end {
        command.env("WINTERBOURNE_FAILPOINT", format!("{point}@{n}"));
    }
    if let Some(fault) = world.fault {
        command.env("WINTERBOURNE_SEEDED_FAULT", fault);
    }
    Ok(command.spawn()?)
}

/// The records of the next batch; none at the end.
fn next(lines: &mut BufReader<ChildStdout>) -> Result<Option<u64>, BoxError> {
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        // A kill may cut the last line short.
        if let Some(n) = line.strip_prefix("batch ").and_then(|n| n.strip_suffix('\n')) {
            return Ok(n.parse().ok());
        }
    }
}
