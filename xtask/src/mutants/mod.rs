//! Mutation testing: `cargo xtask mutants FILE...`. What can be changed comes from `cargo mutants --list`; how it is run is
//! our own, because building the engine's tests takes minutes and there are thousands of changes. All of them are put into
//! one copy of the sources, each behind a switch that the environment turns on, and the tests are built once. A first
//! round learns which tests reach which change, so that a change is tried against those only.
//!
//! Changes that do not compile beside the others are left out and counted. Examples in doc comments are not run.

mod embed;
mod list;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::repo::Repo;

/// One change of one place.
pub(crate) struct Mutant {
    /// From 1; 0 is no change.
    id: usize,
    file: String,
    name: String,
    genre: String,
    replacement: String,
    /// The bytes that it is about.
    at: std::ops::Range<usize>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// No test fails with it.
    Survived,
    /// No test comes by.
    NotReached,
    /// This test fails, or does not end.
    Killed(String),
    /// It does not compile.
    Unviable,
}

/// Runs all changes of `files`, paths of one package from the root; after `--again` those that no test noticed last time.
pub(crate) fn run(repo: &Repo, arguments: &[&str]) -> Result<()> {
    let (again, files) = match arguments {
        ["--again", files @ ..] => (true, files),
        files => (false, files),
    };
    let package = package(files)?;
    let room = repo.target().join("mutants");
    let mut mutants = list::mutants(repo, files)?;
    if again {
        let last = fs::read_to_string(room.join("report.txt"))?;
        mutants = unnoticed(mutants, &last);
    }
    println!("{} changes of {} file(s)", mutants.len(), files.len());
    let tree = copy(repo, &room.join("tree"))?;
    let viable = embed::settle(repo, &tree, package, &mutants)?;
    println!("{} of them compile", viable.iter().filter(|viable| **viable).count());
    let fates = trial::run(repo, &tree, package, &mutants, &viable)?;
    let report = report(&mutants, &fates);
    fs::write(room.join("report.txt"), &report)?;
    print!("{}", report.split("\n\n").last().unwrap_or_default());
    println!("all of it: {}", room.join("report.txt").display());
    Ok(())
}

/// Those of `all` that a report says nobody noticed, numbered anew. Lines may have moved since; columns may not.
fn unnoticed(mut all: Vec<Mutant>, report: &str) -> Vec<Mutant> {
    let kept: BTreeSet<String> = report
        .lines()
        .filter_map(|line| line.strip_prefix("Survived ").or(line.strip_prefix("NotReached ")))
        .map(without_line)
        .collect();
    all.retain(|mutant| kept.contains(&without_line(&mutant.name)));
    all.iter_mut().enumerate().for_each(|(i, mutant)| mutant.id = i + 1);
    all
}

/// `FILE:LINE:COLUMN: what is changed`, but for the line.
fn without_line(name: &str) -> String {
    let mut parts: Vec<&str> = name.splitn(4, ':').collect();
    if parts.len() == 4 {
        parts.remove(1);
    }
    parts.join(":")
}

/// Where the copy is built. Not where the repository is: cargo would take the one for the other.
fn builds(repo: &Repo) -> PathBuf {
    repo.target().join("mutants/target")
}

/// The folder of the package that all files belong to.
fn package<'a>(files: &[&'a str]) -> Result<&'a str> {
    let of = |file: &'a str| file.split_once("/src/").map(|(package, _)| package);
    let first = files.first().and_then(|file| of(file)).ok_or("name files below src of one package")?;
    if files.iter().all(|file| of(file) == Some(first)) { Ok(first) } else { Err("files of one package".into()) }
}

/// A copy of what git knows; a file that has not changed keeps its time, so that little is built again.
fn copy(repo: &Repo, tree: &Path) -> Result<PathBuf> {
    let listed =
        Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(repo.root()).output()?;
    for path in String::from_utf8(listed.stdout)?.lines().filter(|path| repo.root().join(path).is_file()) {
        put(&tree.join(path), &fs::read(repo.root().join(path))?)?;
    }
    Ok(tree.to_owned())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().ok_or("a file lies in a folder")?)?;
    Ok(fs::write(path, bytes)?)
}

/// A line for each change, then one for each file.
fn report(mutants: &[Mutant], fates: &[Fate]) -> String {
    let mut lines: Vec<(&Fate, &str)> = fates.iter().zip(mutants.iter().map(|m| m.name.as_str())).collect();
    lines.sort();
    let mut out = String::new();
    for (fate, name) in lines {
        writeln!(out, "{fate:?} {name}").expect("writing to a string cannot fail");
    }
    let mut files: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for (mutant, fate) in mutants.iter().zip(fates) {
        let column = match fate {
            Fate::Killed(_) => 0,
            Fate::Survived => 1,
            Fate::NotReached => 2,
            Fate::Unviable => 3,
        };
        for name in [mutant.file.as_str(), "all"] {
            files.entry(name).or_default()[column] += 1;
        }
    }
    writeln!(out, "\n{:45} killed survived not-reached unviable", "").expect("writing to a string cannot fail");
    for (file, [killed, survived, missed, unviable]) in files {
        let share = 100.0 * killed as f64 / (killed + survived + missed).max(1) as f64;
        writeln!(out, "{file:45} {killed:6} {survived:8} {missed:11} {unviable:8} {share:6.1} %")
            .expect("writing to a string cannot fail");
    }
    out
}

#[test]
fn what_survived_is_found_again_where_lines_have_moved() {
    let mutant = |name: &str| Mutant {
        id: 7,
        file: "a.rs".to_owned(),
        name: name.to_owned(),
        genre: String::new(),
        replacement: String::new(),
        at: 0..0,
    };
    let all = ["a.rs:9:5: replace f with 0", "a.rs:9:6: replace f with 0", "a.rs:12:5: replace g with ::h()"];
    let report = "Killed(\"t\") a.rs:8:6: replace f with 0\nNotReached a.rs:8:5: replace f with 0\nSurvived a.rs:11:5: replace g with ::h()\n";
    let left = unnoticed(all.map(mutant).into(), report);
    assert_eq!(left.iter().map(|m| (m.id, m.name.as_str())).collect::<Vec<_>>(), [(1, all[0]), (2, all[2])]);
}
