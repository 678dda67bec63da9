//! Runs the tests, showing their output as it comes and keeping the names of those that ran.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::Stdio;

use crate::Result;
use crate::matrix;
use crate::repo::Repo;
use crate::steps::{cargo, shown};
use crate::targets::Targets;
use crate::transcript::Transcript;

/// Benchmarks are left out: as tests they would only be slow.
const PROGRAMS: &[&str] = &["test", "--workspace", "--all-features", "--tests", "--examples"];
const DOCTESTS: &[&str] = &["test", "--workspace", "--all-features", "--doc"];

/// Unit, property and integration tests, and those of the examples.
pub(crate) fn programs(repo: &Repo, transcript: &mut Transcript) -> Result<()> {
    let targets = build(repo)?;
    run(repo, PROGRAMS, &targets, transcript)
}

/// The examples in doc comments, the README and the guides.
pub(crate) fn doctests(repo: &Repo, transcript: &mut Transcript) -> Result<()> {
    run(repo, DOCTESTS, &Targets::default(), transcript)
}

/// Writes down which tests passed, for the matrix.
pub(crate) fn keep(repo: &Repo, transcript: &Transcript) -> Result<()> {
    let path = matrix::record(repo);
    fs::create_dir_all(path.with_file_name(""))?;
    let mut names = transcript.passed_names.clone();
    names.sort();
    names.dedup();
    Ok(fs::write(path, names.join("\n") + "\n")?)
}

fn build(repo: &Repo) -> Result<Targets> {
    let mut command = cargo(repo);
    command.args(PROGRAMS).args(["--no-run", "--message-format=json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        return Err("the tests do not compile".into());
    }
    Ok(Targets::parse(&String::from_utf8_lossy(&output.stdout)))
}

fn run(repo: &Repo, arguments: &[&str], targets: &Targets, transcript: &mut Transcript) -> Result<()> {
    // Cargo announces each program on stderr, the tests report on stdout: one pipe keeps their order.
    let (reader, writer) = io::pipe()?;
    let mut command = cargo(repo);
    command.args(arguments).arg("--no-fail-fast").env("CARGO_TERM_COLOR", "never");
    command.stdout(writer.try_clone()?).stderr(writer);
    let typed = shown(&command);
    let mut child = command.spawn()?;
    // The command holds writing ends of the pipe; while they live the reader sees no end.
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        transcript.line(&String::from_utf8_lossy(&line), targets);
        line.clear();
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("`{typed}` ended with {status}").into()) }
}
