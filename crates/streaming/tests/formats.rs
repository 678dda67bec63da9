//! The formats of a checkpoint directory stay readable: one that was written by each version is kept below
//! `tests/fixtures`, and comes back with exactly what it had.
//!
//! A new version of a format gets a fixture of its own; those of the old ones stay, and stay as they are:
//!
//! 1. `WRITE_CHECKPOINT_FIXTURE=checkpoint-v2 cargo test -p winterbourne-streaming --test formats a_fixture` writes it,
//!    with the program below. (It refuses to write over one that is there.)
//! 2. Add its name to `KEPT`. If the old versions are not read any more, say so in the changelog, and let their test
//!    expect the refusal instead.
mod common;

use common::*;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
};
use winterbourne_base::{Clock, ManualClock, Time};
use winterbourne_engine::SparkContext;
use winterbourne_streaming::{Error, State, StateSpec, StreamingContext, seconds};
use winterbourne_testkit::TEST_START;

/// The fixtures: how many batches each had, the last of which was logged as planned and never completed.
const KEPT: [(&str, u64); 1] = [("checkpoint-v1", 7)];
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// What is kept of a residue: a layout with a bit of everything.
#[derive(Clone, Debug, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
struct Seen {
    times: u32,
    numbers: Vec<u64>,
    mood: Mood,
    half: f64,
    word: Option<String>,
}
#[derive(Clone, Debug, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
enum Mood {
    Calm,
    Odd(u64),
}
type All = Vec<(String, Seen)>;

fn see(number: u64, before: Option<Seen>) -> Seen {
    let mut numbers = before.map_or(Vec::new(), |s| s.numbers);
    numbers.push(number);
    let mood = if number.is_multiple_of(2) { Mood::Calm } else { Mood::Odd(number) };
    let word = (number > 5).then(|| format!("more than five: {number}"));
    Seen { times: numbers.len() as u32, numbers, mood, half: number as f64 / 2.0, word }
}
fn each(_: &String, number: Option<u64>, state: &mut State<'_, Seen>) {
    let number = number.unwrap_or_default();
    if number == 8 {
        state.remove();
    } else {
        state.update(see(number, state.get().cloned()));
    }
}
/// Batch n has the numbers n and 2n, of the keys "residue 0" to "residue 2".
fn tape() -> Tape {
    let tape = Tape::default();
    (1..=20).for_each(|n| tape.push([n, 2 * n]));
    tape
}
/// What there should be after n batches.
fn expected(n: u64) -> (All, Vec<(u64, u64)>) {
    let mut all = std::collections::BTreeMap::<String, Seen>::new();
    let mut sums = std::collections::BTreeMap::<u64, u64>::new();
    for x in (1..=n).flat_map(|n| [n, 2 * n]) {
        let key = format!("residue {}", x % 3);
        let before = all.remove(&key);
        if x != 8 {
            all.insert(key, see(x, before));
        }
        *sums.entry(x % 3).or_default() += x;
    }
    (all.into_iter().collect(), sums.into_iter().collect())
}

struct Outputs {
    /// How often the function of the state was called.
    calls: Arc<AtomicU64>,
    seen: mpsc::Receiver<(Time, All)>,
    sums: mpsc::Receiver<(Time, Vec<(u64, u64)>)>,
    window: mpsc::Receiver<(Time, Vec<u64>)>,
}
/// The program that wrote the fixtures. `panics_at` is what its function does not like.
fn program(directory: &str, clock: &Arc<ManualClock>, panics_at: u64) -> (StreamingContext, Outputs) {
    let (mut outputs, calls) = (None, Arc::new(AtomicU64::new(0)));
    let counter = calls.clone();
    let ssc = StreamingContext::get_or_create(directory, || {
        let sc = SparkContext::new(conf(&[("spark.streaming.batch.maxAttempts", "1")]).set_app_name("fixture"))?;
        let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
        let numbers = ssc.input_stream("tape", tape().input()).uid("numbers");
        let pairs =
            numbers.map(move |x| if x == panics_at { panic!("as asked") } else { (format!("residue {}", x % 3), x) });
        let counted = move |key: &String, number, state: &mut State<'_, Seen>| {
            counter.fetch_add(1, Relaxed);
            each(key, number, state);
        };
        let seen =
            pairs.map_with_state(StateSpec::function(counted).num_partitions(3)).uid("seen").checkpoint(seconds(2));
        let add = |new: Vec<u64>, sum: Option<u64>| Some(sum.unwrap_or(0) + new.iter().sum::<u64>());
        let sums = numbers.map(|x| (x % 3, x)).update_state_by_key_in(add, 2);
        let (seen, sums) = (send(&seen.state_snapshots()), send(&sums));
        outputs = Some(Outputs { calls, seen, sums, window: send(&numbers.window(seconds(3))) });
        Ok(ssc)
    });
    (ssc.expect("a good program"), outputs.expect("it was built"))
}
/// A copy to recover.
fn copy(dir: &TempDir, name: &str) -> String {
    dir.copy(&format!("{FIXTURES}/{name}"), name)
}

#[test]
fn a_fixture_is_what_this_build_writes_and_reads() {
    let dir = TempDir::new();
    let clock = ManualClock::new(TEST_START);
    // The orderly end of the first run leaves a checkpoint, the second has a batch that is planned and fails.
    let (ssc, outputs) = program(&dir.at("a"), &clock, u64::MAX);
    let mut run = ssc.start_stepped().expect("a start");
    for _ in 1..=6 {
        clock.set(run.next_time());
        run.step().expect("a batch");
    }
    drop((run, ssc, outputs));
    let (ssc, _outputs) = program(&dir.at("a"), &clock, 14);
    let mut run = ssc.start_stepped().expect("a second start");
    clock.set(run.next_time());
    run.step().expect_err("14 is in the seventh batch");
    let written = dir.copy(&dir.at("a"), "copy");
    drop(run);
    if let Ok(name) = std::env::var("WRITE_CHECKPOINT_FIXTURE") {
        let target = format!("{FIXTURES}/{name}");
        assert!(!Path::new(&target).exists(), "{target} is there already: fixtures are not changed");
        fs::create_dir_all(FIXTURES).expect("the directory of fixtures");
        copy_all(Path::new(&written), Path::new(&target));
    }
    comes_back("what was just written", written, 7);
}

#[test]
fn every_version_comes_back_with_its_exact_state_and_position() {
    for (name, batches) in KEPT {
        let dir = TempDir::new();
        comes_back(name, copy(&dir, name), batches);
    }
}
/// A directory with so many batches, the last of which was planned and not completed: it comes first, with the records it
/// was planned with.
fn comes_back(name: &str, directory: String, batches: u64) {
    let clock = ManualClock::new(at(batches));
    let (ssc, outputs) = program(&directory, &clock, u64::MAX);
    let mut run = ssc.start_stepped().expect(name);
    assert_eq!(outputs.calls.load(Relaxed), 0, "{name}: its state was read, not made again from the log");
    for n in batches..batches + 3 {
        clock.set(run.next_time().max(clock.now()));
        run.step().expect("a batch");
        let (time, mut seen) = next(&outputs.seen);
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        let mut sums = next(&outputs.sums).1;
        sums.sort_unstable();
        assert_eq!((second(time), seen, sums), (n, expected(n).0, expected(n).1), "{name}");
        let mut window: Vec<u64> = (n - 2..=n).flat_map(|n| [n, 2 * n]).collect();
        window.sort_unstable();
        let mut looked_back = next(&outputs.window).1;
        looked_back.sort_unstable();
        assert_eq!(looked_back, window, "{name}");
    }
}

/// All files of one kind, with their content.
fn files(directory: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("a directory").map(|e| e.expect("an entry").path());
    let mut all: Vec<_> = entries.map(|p| (p.clone(), fs::read(p).expect("a file"))).collect();
    all.sort();
    all
}
/// What `start` says of a copy of the newest fixture whose files below a directory were patched.
fn refusal(dir: &TempDir, kind: &str, patch: impl Fn(&mut Vec<u8>)) -> String {
    let (name, batches) = KEPT[KEPT.len() - 1];
    let place = copy(dir, name);
    for (path, mut bytes) in files(&format!("{place}/{kind}")) {
        patch(&mut bytes);
        fs::write(path, bytes).expect("writable");
    }
    let before = ["log", "state", "checkpoints"].map(|d| files(&format!("{place}/{d}")));
    let (ssc, _outputs) = program(&place, &ManualClock::new(at(batches)), u64::MAX);
    let Err(Error::Recovery { directory, what }) = ssc.start_stepped() else { panic!("{kind}: it was not refused") };
    assert_eq!(directory, place);
    assert_eq!(before, ["log", "state", "checkpoints"].map(|d| files(&format!("{place}/{d}"))), "it was touched");
    what
}
#[test]
fn a_log_of_a_newer_version_is_refused_by_name() {
    let what = refusal(&TempDir::new(), "log", |bytes| {
        bytes[8] += 1;
        let checksum = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
    });
    assert!(what.contains("version 2") && what.contains("log/") && what.contains("newer"), "{what}");
}
#[test]
fn a_checkpoint_or_a_state_file_of_a_newer_version_is_refused_by_name_and_not_passed_over() {
    for kind in ["checkpoints", "state"] {
        let what = refusal(&TempDir::new(), kind, |bytes| bytes[8] += 1);
        assert!(what.contains("version 2") && what.contains(&format!("{kind}/")) && what.contains("newer"), "{what}");
    }
}
#[test]
fn a_version_that_only_looks_newer_is_damage_and_passed_over() {
    let (name, batches) = KEPT[0];
    let dir = TempDir::new();
    let place = copy(&dir, name);
    for (path, mut bytes) in files(&format!("{place}/checkpoints")) {
        let middle = bytes.len() / 2;
        bytes[8] += 1;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("writable");
    }
    let (ssc, outputs) = program(&place, &ManualClock::new(at(batches)), u64::MAX);
    let mut run = ssc.start_stepped().expect("the log reaches back to the beginning");
    run.step().expect("a batch");
    let mut seen = next(&outputs.seen).1;
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(seen, expected(batches).0);
}
