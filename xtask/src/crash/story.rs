//! A story: one directory, one load, several lives, the last of which uses the input up; then the checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::check::{self, Violation};
use super::life::{self, End, LIST, Life, Outcome, REPORT, Setting};
use super::world::{World, place};
use crate::Result;

/// Batches of input for each life.
const LOAD: usize = 12;

pub(crate) struct Story {
    pub(crate) directory: PathBuf,
    /// The ends that were asked for and came about; before the others the input was used up.
    pub(crate) met: Vec<End>,
    pub(crate) lives: usize,
    /// Failpoints it came by.
    pub(crate) seen: BTreeSet<String>,
    pub(crate) violations: Vec<Violation>,
}

/// Plays the lives. What was left behind is removed if nothing is wrong.
pub(crate) fn play(setting: &Setting<'_>, target: &Path, number: usize, ends: &[End]) -> Result<Story> {
    let directory = place(target, number);
    let mut world = World::new(directory.clone(), LOAD * (ends.len() + 1))?;
    let (mut lives, mut met) = (Vec::<Life>::new(), Vec::new());
    let mut failed = false;
    for end in ends.iter().chain([&End::Finish]) {
        let life = life::live(setting, &mut world, end)?;
        failed = matches!(life.outcome, Outcome::Failed(_));
        let came = match end {
            End::Finish => false,
            End::Orderly(_) => life.outcome == Outcome::Ended,
            End::At(name, nth) => life.outcome == Outcome::Killed && died_at(&directory, name, *nth),
            End::Moment(..) => life.outcome == Outcome::Killed,
        };
        if came {
            met.push(end.clone());
        }
        lives.push(life);
        if failed {
            break;
        }
    }
    let allowed = world.close();
    let violations = check::story(&directory, &lives, &allowed)?;
    let seen = fs::read_to_string(directory.join(LIST)).unwrap_or_default().lines().map(str::to_owned).collect();
    if violations.is_empty() && !failed {
        fs::remove_dir_all(&directory)?;
    }
    Ok(Story { directory, met, lives: lives.len(), seen, violations })
}

/// Whether the program wrote down that it dies there.
fn died_at(directory: &Path, name: &str, nth: u64) -> bool {
    let report = fs::read_to_string(directory.join(REPORT)).unwrap_or_default();
    report.lines().last() == Some(format!("{name}@{nth}").as_str())
}
