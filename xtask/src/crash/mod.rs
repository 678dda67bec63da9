//! `cargo xtask crash`: kills a real program at every durable step and at random moments, and checks what comes of it.
//!
//! *Stories.* A story is one directory with input for some batches. The program lives in it several times; all but the
//! last of its lives are killed, and the last uses the input up (`story`, `life`). Outside of it stand the inputs and a
//! ledger of what was given (`world`). Then the outputs, both operators' state after every batch, the windows, the chain
//! of completions and the program's own log are compared with that ledger (`check`). A calm story, without kills, is
//! played first: it has to pass the same checks, and shows which failpoints there are.
//!
//! *Power cuts.* Every second story holds back what was not synced, so that a kill loses it as a power cut would.
//!
//! *Faults.* With a seeded fault the same kills must fail, or else a green run means nothing (`faults`).
//!
//! The seed decides where and when is killed; threads and the clock decide the rest.

mod check;
mod dice;
mod faults;
mod life;
mod story;
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Result;
use crate::repo::Repo;
use crate::steps::{cargo, finish};
use check::Violation;
use dice::Dice;
use faults::Fault;
use life::{End, Setting};
use story::Story;

/// Deaths in a story.
const DEATHS: usize = 6;
/// How often a kill that was missed is tried again.
const TRIES: u64 = 4;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    seed: u64,
    /// Kills at each failpoint.
    each: u64,
    /// Kills at random moments.
    random: u64,
    fault: Option<String>,
    all_faults: bool,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Options> {
        let short = arguments.contains(&"--short");
        let (each, random) = if short { (1, 4) } else { (5, 60) };
        let mut options = Options { seed: 1, each, random, fault: None, all_faults: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
            match *argument {
                "--short" => {}
                "--seed" => options.seed = value()?.parse()?,
                "--kills" => options.random = value()?.parse()?,
                "--fault" => options.fault = Some((*value()?).to_owned()),
                "--all-faults" => options.all_faults = true,
                other => return Err(format!("crash does not know {other}").into()),
            }
        }
        Ok(options)
    }
}

/// What became of the kills at one failpoint.
#[derive(Clone, Debug, Default)]
struct Tally {
    killed: u64,
    under_power_cut: u64,
    missed: u64,
    failed: u64,
}

/// The program, and all that is known of it.
struct Harness {
    victim: PathBuf,
    target: PathBuf,
    dice: Dice,
    stories: usize,
    lives: usize,
    /// For each failpoint, by whether unsynced bytes are lost, whether it exists.
    known: BTreeMap<String, [bool; 2]>,
    tallies: BTreeMap<String, Tally>,
    wrong: Vec<(String, Violation)>,
    /// A line for each story: its lives, how each ended, and what came of it.
    diary: String,
}

/// Runs what was asked for. An error if anything was found, or if a fault was not.
pub(crate) fn run(repo: &Repo, arguments: &[&str]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let victim = build(repo)?;
    let begun = Instant::now();
    let result = if options.all_faults {
        all_faults(repo, &options, &victim)
    } else if let Some(name) = &options.fault {
        let fault = faults::named(name).ok_or_else(|| format!("there is no fault {name}"))?;
        match Harness::new(repo, &options, &victim).catches(fault)? {
            Some((how, found)) => {
                Err(format!("{name} was caught, as it must be: {how}: {}: {}", found.check, found.what).into())
            }
            None => {
                println!("{name} was not noticed");
                Ok(())
            }
        }
    } else {
        Harness::new(repo, &options, &victim).kill_all(&options)
    };
    println!("{:.1} s after the build", begun.elapsed().as_secs_f64());
    result
}

/// The same features as the tests have, so that what they built is used.
fn build(repo: &Repo) -> Result<PathBuf> {
    finish(cargo(repo).args(["build", "--quiet", "--workspace", "--all-features", "--bin", "victim"]))?;
    Ok(repo.target().join("debug").join("victim"))
}

fn all_faults(repo: &Repo, options: &Options, victim: &Path) -> Result<()> {
    let mut unnoticed = Vec::new();
    for fault in faults::FAULTS {
        match Harness::new(repo, options, victim).catches(fault)? {
            Some((how, found)) => println!("caught    {:34} {how}: {}: {}", fault.name, found.check, found.what),
            None => {
                println!("UNNOTICED {}", fault.name);
                unnoticed.push(fault.name);
            }
        }
    }
    println!("{} of {} seeded faults were caught", faults::FAULTS.len() - unnoticed.len(), faults::FAULTS.len());
    if unnoticed.is_empty() { Ok(()) } else { Err(format!("not noticed: {}", unnoticed.join(", ")).into()) }
}

impl Harness {
    fn new(repo: &Repo, options: &Options, victim: &Path) -> Harness {
        Harness {
            victim: victim.to_owned(),
            target: repo.target(),
            dice: Dice::new(options.seed),
            stories: 0,
            lives: 0,
            known: BTreeMap::new(),
            tallies: BTreeMap::new(),
            wrong: Vec::new(),
            diary: String::new(),
        }
    }

    /// Plays a story and takes down what it tells.
    fn play(&mut self, fault: Option<&Fault>, power: bool, ends: &[End]) -> Result<Story> {
        let setting = Setting { victim: &self.victim, lose_unsynced: power, fault: fault.map(|f| f.name) };
        self.stories += 1;
        let story = story::play(&setting, &self.target, self.stories, ends)?;
        self.lives += story.lives;
        for name in &story.seen {
            self.known.entry(name.clone()).or_default()[usize::from(power)] = true;
        }
        let show = |end: &End| format!("{end}{}", if story.met.contains(end) { "" } else { " (not hit)" });
        let mut shown: Vec<String> = ends.iter().map(show).collect();
        shown.push("input used up".to_owned());
        let title = format!("story {}{}: {}", self.stories, if power { ", power cuts" } else { "" }, shown.join("; "));
        let outcome = if story.violations.is_empty() { "all checks hold" } else { "FAILED" };
        self.diary += &format!("{title}: {outcome}\n");
        for end in &story.met {
            let tally = self.tallies.entry(kind(end)).or_default();
            tally.killed += 1;
            tally.under_power_cut += u64::from(power);
        }
        if !story.violations.is_empty() {
            // Whoever died last is the first to be asked.
            let last = story.met.last().map_or("calm".to_owned(), kind);
            self.tallies.entry(last).or_default().failed += 1;
            let name = format!("{title}, in {}", story.directory.display());
            self.wrong.extend(story.violations.iter().map(|v| (name.clone(), v.clone())));
        }
        Ok(story)
    }

    fn kill_all(mut self, options: &Options) -> Result<()> {
        for power in [false, true] {
            self.play(None, power, &[])?;
            self.play(None, power, &[End::Orderly(8)])?;
        }
        let mut queues = [VecDeque::new(), VecDeque::new()];
        let mut asked: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            // Recovery has failpoints of its own, which are known when it was seen.
            for (name, modes) in &self.known {
                let have = asked.entry(name.clone()).or_default();
                for n in *have..options.each {
                    let turn = if modes[0] && modes[1] { (n as usize + name.len()) % 2 } else { usize::from(modes[1]) };
                    queues[turn].push_back((name.clone(), 0_u64));
                }
                *have = options.each;
            }
            let power = queues[1].len() > queues[0].len();
            let queue = &mut queues[usize::from(power)];
            if queue.is_empty() {
                break;
            }
            self.dice.shuffle(queue.make_contiguous());
            let chosen: Vec<(String, u64)> = queue.drain(..queue.len().min(DEATHS)).collect();
            let ends: Vec<End> = chosen.iter().flat_map(|(name, tries)| deaths(&mut self.dice, name, *tries)).collect();
            let story = self.play(None, power, &ends)?;
            let mut met: Vec<String> = story.met.iter().map(kind).collect();
            for (name, tries) in chosen {
                if let Some(at) = met.iter().position(|met| *met == name) {
                    met.swap_remove(at);
                    continue;
                }
                if tries < TRIES {
                    queues[usize::from(power)].push_back((name, tries + 1));
                } else {
                    self.tallies.entry(name).or_default().missed += 1;
                }
            }
        }
        let mut left = options.random;
        while left > 0 {
            let n = left.min(DEATHS as u64);
            left -= n;
            let power = self.dice.below(2) == 1;
            let ends: Vec<End> = (0..n).map(|_| moment(&mut self.dice)).collect();
            self.play(None, power, &ends)?;
        }
        self.report()
    }

    fn report(self) -> Result<()> {
        println!("{:42} {:>6} {:>11} {:>10} {:>7}", "killed at", "kills", "power cuts", "not hit", "failed");
        for (name, Tally { killed, under_power_cut, missed, failed }) in &self.tallies {
            println!("{name:42} {killed:>6} {under_power_cut:>11} {missed:>10} {failed:>7}");
        }
        let diary = self.target.join("crash").join("report");
        std::fs::create_dir_all(diary.with_file_name(""))?;
        std::fs::write(&diary, &self.diary)?;
        let kills: u64 = self.tallies.values().map(|tally| tally.killed).sum();
        let failpoints = self.known.len();
        println!(
            "{kills} ends at {failpoints} failpoints and elsewhere, {} lives in {} stories",
            self.lives, self.stories
        );
        println!("every story: {}", diary.display());
        for (story, Violation { check, what }) in &self.wrong {
            println!("FAILED {check}: {what}\n       {story}");
        }
        let missed: Vec<&str> = self.tallies.iter().filter(|(_, t)| t.killed == 0).map(|(n, _)| n.as_str()).collect();
        if !missed.is_empty() {
            return Err(format!("never killed at {}", missed.join(", ")).into());
        }
        if self.wrong.is_empty() { Ok(()) } else { Err(format!("{} checks failed", self.wrong.len()).into()) }
    }

    /// Plays stories with a fault until a check fails: how, and which.
    fn catches(mut self, fault: &Fault) -> Result<Option<(String, Violation)>> {
        for round in 0..6 {
            let mut ends = Vec::new();
            if round > 0 || fault.at.is_empty() {
                ends.extend((0..round).map(|_| moment(&mut self.dice)));
            }
            for name in fault.at {
                ends.extend([2, 3 + round, 7].map(|nth| End::At((*name).to_owned(), nth)));
            }
            let story = self.play(Some(fault), fault.power, &ends)?;
            if let Some(found) = story.violations.first() {
                std::fs::remove_dir_all(&story.directory)?;
                let how = story.met.last().map_or("without a kill".to_owned(), |end| format!("after {end}"));
                return Ok(Some((how, found.clone())));
            }
        }
        Ok(None)
    }
}

/// The lives that end in a kill at a failpoint; some are only met by who comes after another kill.
fn deaths(dice: &mut Dice, name: &str, tries: u64) -> Vec<End> {
    let seldom = tries > 0
        || ["trim", "cut", "truncate", "finished", "clean", "deleted", "recovery"]
            .iter()
            .any(|part| name.contains(part));
    let nth = if seldom { 1 } else { 1 + dice.below(6) };
    let at = End::At(name.to_owned(), nth);
    if name.contains(".cut.") || name.contains(".truncate.") {
        return vec![End::At("storage.append.half_written".to_owned(), 1 + dice.below(12)), at];
    }
    if name.starts_with("recovery.replayed") {
        return vec![End::At("batch.settled".to_owned(), 4 + dice.below(4)), at];
    }
    vec![at]
}

/// A random end, now and then an orderly one.
fn moment(dice: &mut Dice) -> End {
    let batches = dice.below(14) as usize;
    if dice.below(8) == 0 {
        End::Orderly(1 + batches)
    } else {
        End::Moment(1 + batches, Duration::from_micros(dice.below(30_000)))
    }
}

/// The row of an end in the report.
fn kind(end: &End) -> String {
    match end {
        End::Finish | End::Orderly(_) => "(an orderly stop)".to_owned(),
        End::Moment(..) => "(a random moment)".to_owned(),
        End::At(name, _) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_arguments() {
        let short = Options { seed: 1, each: 1, random: 4, fault: None, all_faults: false };
        for (arguments, expect) in [
            (&["--short"][..], Some(short.clone())),
            (&["--short", "--seed", "7", "--kills", "0"], Some(Options { seed: 7, random: 0, ..short.clone() })),
            (&["--short", "--fault", "a"], Some(Options { fault: Some("a".into()), ..short })),
            (&["--seed"], None),
            (&["--loud"], None),
        ] {
            assert_eq!(Options::parse(arguments).ok(), expect, "{arguments:?}");
        }
    }
}
