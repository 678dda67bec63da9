//! `cargo xtask test`: everything that must hold, in order, stopping at the first failure.

use std::env;

use crate::repo::Repo;
use crate::steps::{cargo, finish, step};
use crate::transcript::Transcript;
use crate::{Result, crash, deny, matrix, suite, tidy};

/// Cheap checks first; the last line says how many tests passed.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    step("format", || finish(cargo(repo).args(["fmt", "--all", "--check"])))?;
    step("tidy", || tidy::run(repo))?;
    let lints = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    step("lints", || finish(cargo(repo).args(lints)))?;

    let mut transcript = Transcript::default();
    let outcome = step("tests", || suite::programs(repo, &mut transcript))
        .and_then(|()| step("doctests", || suite::doctests(repo, &mut transcript)));
    if outcome.is_err() {
        // A program that crashed reported no test as failed; still something did.
        println!("{} passed, {} failed", transcript.passed, transcript.failed.max(1));
    }
    outcome?;
    step("skipped tests", || skipped(&transcript.ignored_names, transcript.ignored, in_ci()))?;
    suite::keep(repo, &transcript)?;

    step("crash harness, short", || crash::run(repo, &["--short"]))?;
    let proof = ["run", "--quiet", "--package", "winterbourne-proof", "--all-features", "--", "--short"];
    step("Kafka proof, short", || finish(cargo(repo).args(proof)))?;
    let doc = ["doc", "--workspace", "--no-deps", "--all-features"];
    step("documentation", || finish(cargo(repo).args(doc).env("RUSTDOCFLAGS", "-D warnings")))?;
    step("licences, bans, sources", || deny::offline_checks(repo))?;
    step("operations matrix", || matrix::run(repo))?;
    println!("{} passed, 0 failed", transcript.passed);
    Ok(())
}

fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

/// In continuous integration a skipped test is a failure; elsewhere it is said.
fn skipped(names: &[String], count: usize, in_ci: bool) -> Result<()> {
    names.iter().for_each(|name| println!("skipped: {name}"));
    if count > 0 && in_ci { Err(format!("a skipped test is a failure: {count} ignored").into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_fails_in_ci_only() {
        for (ignored, in_ci, expect) in [(0, true, true), (1, false, true), (1, true, false)] {
            assert_eq!(skipped(&[], ignored, in_ci).is_ok(), expect, "{ignored} {in_ci}");
        }
    }
}
