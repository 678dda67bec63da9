//! What a `cargo test` run said: the names and outcomes of its tests, read line by line.

use crate::targets::Targets;

/// The tests of one or more runs, each named PACKAGE::TARGET::PATH.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    pub(crate) passed_names: Vec<String>,
    pub(crate) ignored_names: Vec<String>,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
    /// The program whose tests are reported now, as PACKAGE::TARGET.
    program: String,
    /// A test whose outcome stands on a later line, because it wrote to the terminal itself.
    pending: Option<String>,
}

impl Transcript {
    /// Takes in one line.
    pub(crate) fn line(&mut self, line: &str, targets: &Targets) {
        let line = line.trim();
        if let Some(program) = program(line, targets) {
            self.program = program;
        } else if let Some(summary) = line.strip_prefix("test result: ") {
            self.summary(summary);
        } else if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            self.pending = Some(format!("{}::{}", self.program, plain(name)));
            self.outcome(outcome);
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ...")) {
            self.pending = Some(format!("{}::{}", self.program, plain(name)));
        } else if let Some(why) = line.strip_prefix("skipped: ") {
            // A program that cannot run here ends with this, and no summary.
            self.pending = None;
            self.ignored += 1;
            self.ignored_names.push(format!("{}: {why}", self.program));
        } else if self.pending.is_some() {
            self.outcome(line);
        }
    }

    fn outcome(&mut self, outcome: &str) {
        let Some(name) = self.pending.take() else { return };
        match outcome.split([',', ' ']).next() {
            Some("ok") => self.passed_names.push(name),
            Some("ignored") => self.ignored_names.push(name),
            Some("FAILED") => {}
            _ => self.pending = Some(name),
        }
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...`
    fn summary(&mut self, summary: &str) {
        self.pending = None;
        for part in summary.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(word)) = (words.next().map(str::parse::<usize>), words.next()) else { continue };
            match word {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

/// The program that cargo says it runs, as PACKAGE::TARGET.
fn program(line: &str, targets: &Targets) -> Option<String> {
    if let Some(library) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{}::doc", library.replace('_', "-")));
    }
    let (source, path) = line.strip_prefix("Running ")?.strip_suffix(')')?.split_once(" (")?;
    let package = targets.package(path)?;
    let source = source.strip_prefix("unittests ").unwrap_or(source);
    let target = source.strip_suffix(".rs").unwrap_or(source);
    Some(format!("{package}::{}", target.strip_prefix("src/").unwrap_or(target)))
}

/// The name without what the harness adds to it: a doctest's line, how it ends.
fn plain(name: &str) -> &str {
    let name = name.split(" (line ").next().unwrap_or(name);
    name.trim_end_matches(" - should panic").trim_end_matches(" -")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_outcomes_and_totals() {
        let targets = Targets::parse(
            r#"{"package_id":"path+file:///x/crates/engine#winterbourne-engine@0.1.0","executable":"/x/deps/engine-1"}
               {"package_id":"path+file:///x/crates/engine#winterbourne-engine@0.1.0","executable":"/x/deps/rdds-2"}
               {"package_id":"path+file:///x/crates/winterbourne#0.1.0","executable":"/x/deps/words-3"}"#,
        );
        let mut transcript = Transcript::default();
        let lines = "
     Running unittests src/lib.rs (target/debug/deps/engine-1)

running 3 tests
test rdd::tests::maps ... ok
test rdd::tests::panics - should panic ... ok
test rdd::tests::skipped ... ignored, needs a network

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/rdds.rs (target/debug/deps/rdds-2)
test noisy ... some output of its own
Running late (not a program)
ok
test broken ... FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running unittests examples/words.rs (target/debug/deps/words-3)
test counts ...
ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/needy.rs (target/debug/deps/rdds-2)
running 2 tests
test one ...
skipped: no broker
   Doc-tests winterbourne_engine
test crates/engine/src/rdd.rs - rdd::Rdd<T>::map (line 12) ... ok
test crates/engine/src/rdd.rs - rdd::Rdd<T>::nest (line 20) - compile fail ... ok
test crates/engine/src/lib.rs - (line 4) ... ok
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s
";
        lines.lines().for_each(|line| transcript.line(line, &targets));
        assert_eq!(
            transcript.passed_names,
            [
                "winterbourne-engine::lib::rdd::tests::maps",
                "winterbourne-engine::lib::rdd::tests::panics",
                "winterbourne-engine::tests/rdds::noisy",
                "winterbourne::examples/words::counts",
                "winterbourne-engine::doc::crates/engine/src/rdd.rs - rdd::Rdd<T>::map",
                "winterbourne-engine::doc::crates/engine/src/rdd.rs - rdd::Rdd<T>::nest",
                "winterbourne-engine::doc::crates/engine/src/lib.rs",
            ]
        );
        let skipped = ["winterbourne-engine::lib::rdd::tests::skipped", "winterbourne-engine::tests/needy: no broker"];
        assert_eq!(transcript.ignored_names, skipped);
        assert_eq!((transcript.passed, transcript.failed, transcript.ignored), (7, 1, 2));
    }
}
