//! Which tests reach which change, and whether one of them fails with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Fate, Mutant, builds};
use crate::Result;
use crate::repo::Repo;

/// How many changes are tried at once.
const WORKERS: usize = 2;
/// A test that takes so much longer than ten times its time has been sent round in circles.
const SECONDS: u64 = 20;
/// A test that takes longer is not worth its time: each change that survives runs all that reach it.
const PATIENCE: Duration = Duration::from_secs(6);
/// No change may take the machine down: KiB of address space.
const MEMORY: u64 = 8 << 20;

struct Test {
    program: PathBuf,
    name: String,
    reaches: BTreeSet<usize>,
    took: Duration,
}

struct Room<'a> {
    /// Where cargo would run the tests.
    folder: PathBuf,
    reached: &'a Path,
}

pub(super) fn run(repo: &Repo, tree: &Path, package: &str, mutants: &[Mutant], viable: &[bool]) -> Result<Vec<Fate>> {
    let room = Room { folder: tree.join(package), reached: &repo.target().join("mutants/reached.txt") };
    let tests = survey(&room, programs(repo, &room.folder)?)?;
    println!("{} tests", tests.len());
    let fates = Mutex::new(vec![Fate::Unviable; mutants.len()]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Relaxed)) {
                    if viable[mutant.id - 1] {
                        let fate = room.fate(mutant.id, &tests);
                        println!("{} {fate:?} {}", mutant.id, mutant.name);
                        fates.lock().expect("nothing panics under this lock")[mutant.id - 1] = fate;
                    }
                }
            });
        }
    });
    Ok(fates.into_inner().expect("nothing panics under this lock"))
}

/// Builds the tests; where they are.
fn programs(repo: &Repo, folder: &Path) -> Result<Vec<PathBuf>> {
    #[derive(Deserialize)]
    struct Line {
        executable: Option<PathBuf>,
    }
    let mut command = Command::new("cargo");
    command.args(["test", "--lib", "--tests", "--no-run", "--message-format=json-render-diagnostics"]);
    command.current_dir(folder).env("CARGO_TARGET_DIR", builds(repo)).stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        return Err("the tests do not compile".into());
    }
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()?.executable).collect())
}

/// Runs each test by itself, without a change.
fn survey(room: &Room<'_>, programs: Vec<PathBuf>) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for program in programs {
        let listed = Command::new(&program).args(["--list", "--format", "terse"]).current_dir(&room.folder).output()?;
        for name in String::from_utf8(listed.stdout)?.lines().filter_map(|line| line.strip_suffix(": test")) {
            let _ = fs::remove_file(room.reached);
            let began = Instant::now();
            if !room.passes(&program, &[name], Duration::from_secs(10), None)? {
                println!("left out, because it fails without a change: {name}");
                continue;
            }
            let took = began.elapsed();
            if took > PATIENCE {
                println!("left out, because it takes long: {name}");
                continue;
            }
            let reached = fs::read_to_string(room.reached).unwrap_or_default();
            let reaches = reached.lines().map(str::parse).collect::<std::result::Result<_, _>>()?;
            tests.push(Test { program: program.clone(), name: name.to_owned(), reaches, took });
        }
    }
    // What is about little says most about it.
    tests.sort_by_key(|test| (test.reaches.len(), test.took));
    Ok(tests)
}

impl Room<'_> {
    /// Whether these tests of a program pass, with a change or none.
    fn passes(&self, program: &Path, names: &[&str], took: Duration, change: Option<usize>) -> Result<bool> {
        let mut command = Command::new("sh");
        let seconds = SECONDS + 10 * took.as_secs();
        let script = format!("ulimit -v {MEMORY}; exec timeout --kill-after=1 {seconds} \"$@\"");
        command.args(["-c", &script, "sh"]).arg(program).args(["--exact", "--test-threads=2"]).args(names);
        match change {
            Some(id) => command.env("MUTANT", id.to_string()),
            None => command.env("MUTANTS_REACHED", self.reached),
        };
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
    }

    /// Tries the tests that reach it, a few, then more at once, until one fails.
    fn fate(&self, id: usize, tests: &[Test]) -> Fate {
        let mut rest: &[&Test] = &tests.iter().filter(|test| test.reaches.contains(&id)).collect::<Vec<_>>();
        if rest.is_empty() {
            return Fate::NotReached;
        }
        let mut several = 2;
        while !rest.is_empty() {
            let (some, others) = rest.split_at(several.min(rest.len()));
            let programs: BTreeSet<&PathBuf> = some.iter().map(|test| &test.program).collect();
            for program in programs {
                let some: Vec<&Test> = some.iter().copied().filter(|test| test.program == *program).collect();
                let names: Vec<&str> = some.iter().map(|test| test.name.as_str()).collect();
                let took = some.iter().map(|test| test.took).sum();
                if !self.passes(program, &names, took, Some(id)).unwrap_or(false) {
                    return Fate::Killed(if names.len() == 1 {
                        names[0].to_owned()
                    } else {
                        "one of several".to_owned()
                    });
                }
            }
            (rest, several) = (others, several * 4);
        }
        Fate::Survived
    }
}
