//! State survives: its effects happen once, whenever the program ends and whatever changes until it comes back.
mod common;

use common::*;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
};
use winterbourne_base::{Clock, ManualClock, Time};
use winterbourne_engine::SparkContext;
use winterbourne_streaming::{
    DStream, Error, Health, InverseOptions, State, StateOptions, StateSpec, Stepper, StreamingContext, Updates, seconds,
};
use winterbourne_testkit::{ProgramTester, Storage, TEST_START, TestInput, TestOutput};

type Totals = BTreeMap<u64, u64>;

/// A process that counts the records of each residue, by both stateful operators.
struct Process {
    clock: Arc<ManualClock>,
    ssc: StreamingContext,
    mapped: mpsc::Receiver<(Time, Vec<(u64, u64)>)>,
    updated: mpsc::Receiver<(Time, Vec<(u64, u64)>)>,
    looked_back: mpsc::Receiver<(Time, Vec<(u64, u64)>)>,
}
#[derive(Clone, Copy)]
struct Shape {
    threads: usize,
    partitions: usize,
    every: u64,
}
const SHAPE: Shape = Shape { threads: 2, partitions: 4, every: 2 };

fn sum(key: &u64, value: Option<u64>, total: &mut State<'_, u64>) -> (u64, u64) {
    let new = total.get().copied().unwrap_or(0) + value.unwrap_or(0);
    if new.is_multiple_of(10) {
        total.remove()
    } else {
        total.update(new)
    }
    (*key, new)
}
fn process(dir: &str, tape: &Tape, now: Time, shape: Shape) -> Process {
    let clock = ManualClock::new(now);
    let mut outs = None;
    let ssc = StreamingContext::get_or_create(dir, || {
        let sc = SparkContext::new(conf(&[]).set_master(format!("local[{}]", shape.threads)))?;
        let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
        let pairs: DStream<(u64, u64)> = ssc.input_stream("tape", tape.input()).map(|x| (x % 7, 1));
        let mapped = pairs
            .map_with_state(StateSpec::function(sum).num_partitions(shape.partitions))
            .checkpoint(seconds(shape.every));
        let add = |new: Vec<u64>, old: Option<u64>| Some(old.unwrap_or(0) + new.iter().sum::<u64>());
        let updated = pairs.update_state_by_key_in(add, shape.partitions);
        outs = Some((send(&mapped.state_snapshots()), send(&updated), send(&mapped.window(seconds(3)))));
        Ok(ssc)
    });
    let (mapped, updated, looked_back) = outs.expect("it was built");
    Process { clock, ssc: ssc.expect("a good program"), mapped, updated, looked_back }
}
impl Process {
    fn start(&self) -> Stepper {
        self.ssc.start_stepped().expect("a start")
    }
    /// The next batch, at its time; the totals of both operators, and how many records the window has.
    fn step(&self, run: &mut Stepper) -> (u64, Totals, Totals, usize) {
        self.clock.set(run.next_time().max(self.clock.now()));
        run.step().expect("a good batch");
        let (t, mapped) = next(&self.mapped);
        let updated = next(&self.updated).1;
        (second(t), mapped.into_iter().collect(), updated.into_iter().collect(), next(&self.looked_back).1.len())
    }
}
/// What should be there after n batches.
fn expected(n: u64) -> (u64, Totals, Totals, usize) {
    let (mut mapped, mut updated) = (Totals::new(), Totals::new());
    for x in (1..=n).flat_map(batch) {
        *updated.entry(x % 7).or_default() += 1;
        let new = mapped.remove(&(x % 7)).unwrap_or(0) + 1;
        if new % 10 != 0 {
            mapped.insert(x % 7, new);
        }
    }
    let window = (1..=n).rev().take(3).map(|b| batch(b).count()).sum();
    (n, mapped, updated, window)
}
/// Records of the n-th batch: some keys often, some seldom.
fn batch(n: u64) -> impl Iterator<Item = u64> {
    (0..n % 4 + 1).map(move |i| n * i + i * i)
}
fn filled(n: u64) -> Tape {
    let tape = Tape::default();
    (1..=n).for_each(|n| tape.push(batch(n)));
    tape
}

#[test]
fn a_kill_after_any_batch_loses_and_doubles_nothing() {
    let dir = TempDir::new();
    let tape = filled(40);
    let first = process(&dir.at("a"), &tape, TEST_START, SHAPE);
    let mut run = first.start();
    for killed_after in 1..=13 {
        assert_eq!(first.step(&mut run), expected(killed_after));
        let copy = dir.copy(&dir.at("a"), &format!("copy-{killed_after}"));
        let second = process(&copy, &tape, at(killed_after), SHAPE);
        let mut again = second.start();
        // Its completion shares a sync with the next plan: the last batch is run once more.
        for n in killed_after..=killed_after + 3 {
            assert_eq!(second.step(&mut again), expected(n), "killed after {killed_after}");
        }
    }
}

#[test]
fn a_chain_of_orderly_ends_and_kills_with_other_threads_and_partitions_each_time() {
    let dir = TempDir::new();
    let tape = filled(60);
    let mut place = dir.at("0");
    let mut done = 0;
    let shapes = [(1, 1, 1), (2, 5, 3), (2, 16, 10), (1, 3, 2), (2, 2, 1), (2, 7, 4)];
    for (round, (threads, partitions, every)) in shapes.into_iter().enumerate() {
        let p = process(&place, &tape, at(done), Shape { threads, partitions, every });
        let mut run = p.start();
        for _ in 0..5 {
            done += 1;
            assert_eq!(p.step(&mut run), expected(done), "round {round}");
        }
        if round % 2 == 0 {
            place = dir.copy(&place, &format!("{}", round + 1));
            done -= 1;
        }
    }
}

#[test]
fn long_runs_write_everything_anew_now_and_then() {
    let dir = TempDir::new();
    let tape = filled(400);
    let p = process(&dir.at("a"), &tape, TEST_START, Shape { every: 1, ..SHAPE });
    let mut run = p.start();
    for n in 1..=300 {
        assert_eq!(p.step(&mut run), expected(n));
    }
    drop(run);
    let files = std::fs::read_dir(dir.at("a/state")).expect("state files").count();
    assert!(files < 200, "{files} state files after 300 checkpoints");
    let again = process(&dir.at("a"), &tape, at(300), SHAPE);
    assert_eq!(again.step(&mut again.start()), expected(301));
}

#[test]
fn files_of_different_partitionings_are_not_mixed() {
    let dir = TempDir::new();
    let tape = filled(600);
    // Enough checkpoints between the restarts for everything to be written anew, with more and with fewer partitions.
    for (round, partitions) in [(0, 7), (1, 2), (2, 5)] {
        let p = process(&dir.at("a"), &tape, at(round * 100), Shape { every: 1, partitions, ..SHAPE });
        let mut run = p.start();
        for n in round * 100 + 1..=round * 100 + 100 {
            assert_eq!(p.step(&mut run), expected(n));
        }
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_a_health_state_and_the_next_one_holds_everything() {
    let dir = TempDir::new();
    let tape = filled(60);
    let p = process(&dir.at("a"), &tape, TEST_START, Shape { every: 1, ..SHAPE });
    let mut run = p.start();
    (1..=5).for_each(|n| assert_eq!(p.step(&mut run), expected(n)));
    // A file where the directory of state files should be.
    std::fs::rename(dir.at("a/state"), dir.at("state")).expect("renamed");
    std::fs::write(dir.at("a/state"), "in the way").expect("written");
    let mut n = 5;
    while !matches!(p.ssc.status().health, Health::Degraded { .. }) {
        n += 1;
        assert!(n < 40, "it is said");
        assert_eq!(p.step(&mut run), expected(n));
        // Pauses between attempts are over.
        p.clock.advance(seconds(10));
        p.clock.advance(seconds(10));
    }
    std::fs::remove_file(dir.at("a/state")).expect("removed");
    std::fs::rename(dir.at("state"), dir.at("a/state")).expect("renamed");
    (n + 1..=n + 3).for_each(|n| assert_eq!(p.step(&mut run), expected(n)));
    drop(run);
    assert!(matches!(p.ssc.status().health, Health::Ok));
    let again = process(&dir.at("a"), &tape, at(n + 3), SHAPE);
    assert_eq!(again.step(&mut again.start()), expected(n + 4));
}

#[test]
fn a_failing_batch_leaves_no_trace_in_what_comes_back() {
    let dir = TempDir::new();
    let tape = filled(20);
    let build = |broken: bool, clock: &Arc<ManualClock>| {
        let mut out = None;
        let ssc = StreamingContext::get_or_create(dir.at("a"), || {
            let sc = SparkContext::new(conf(&[("spark.streaming.batch.maxAttempts", "1")]))?;
            let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
            let pairs: DStream<(u64, u64)> = ssc.input_stream("tape", tape.input()).map(|x| (x % 7, 1));
            let mapped = pairs.map_with_state(StateSpec::function(sum)).checkpoint(seconds(1));
            out = Some(send(&mapped.state_snapshots()));
            let mut batches = 0;
            mapped.foreach_rdd(move |_, _| {
                batches += 1;
                if broken && batches == 4 { Err("as asked".into()) } else { Ok(()) }
            });
            Ok(ssc)
        });
        (ssc.expect("built"), out.expect("built"))
    };
    let clock = ManualClock::new(TEST_START);
    let (ssc, out) = build(true, &clock);
    let mut run = ssc.start_stepped().expect("a start");
    (0..3).for_each(|_| {
        run.step().expect("a batch");
    });
    run.step().expect_err("as asked");
    drop((run, out));
    let (ssc, out) = build(false, &ManualClock::new(at(4)));
    let mut run = ssc.start_stepped().expect("a start");
    run.step().expect("the batch that failed");
    let (t, totals) = next(&out);
    assert_eq!((second(t), totals.into_iter().collect::<Totals>()), (4, expected(4).1));
}

/// The files of the state after two batches, and after a third one that fails at a key of one of the operators, if it does.
fn bytes_of_state(fails_at: Option<(&'static str, u64)>, settings: Settings<'_>) -> Vec<(String, Vec<u8>)> {
    let (feed, out) = (TestInput::<u64>::new(), TestOutput::new());
    let (f, o, armed) = (feed.clone(), out.clone(), Arc::new(AtomicBool::new(false)));
    let is_on = armed.clone();
    let mut tester = ProgramTester::new(seconds(1), move |ssc| {
        let numbers = f.stream(ssc, "numbers");
        let pairs = numbers.map(|x| (x % 17, x));
        let meet = |operator: &'static str| {
            let is_on = is_on.clone();
            move |key: &u64| assert!(!is_on.load(Relaxed) || fails_at != Some((operator, *key)), "as asked")
        };
        let (mapped, updated, by_partition) = (meet("mapped"), meet("updated"), meet("by partition"));
        let spec = StateSpec::function(move |key: &u64, value: Option<u64>, total: &mut State<'_, u64>| {
            mapped(key);
            sum(key, value, total)
        });
        let add = move |key: &u64, new: Vec<u64>, old: Option<u64>| {
            let total = old.unwrap_or(0) + new.iter().sum::<u64>();
            (total % 10 != 3).then_some((*key, total))
        };
        let with_time = move |_, key: &u64, new, old| {
            updated(key);
            Some(add(key, new, old)?.1)
        };
        let options = || StateOptions::default().num_partitions(4);
        o.collect(&pairs.update_state_by_key_with_time(with_time, options()).uid("updated").checkpoint(seconds(100)));
        pairs.map_with_state(spec.num_partitions(4)).uid("mapped").checkpoint(seconds(100)).foreach_rdd(|_, _| Ok(()));
        let each = move |updates: Updates<u64, u64, u64>| {
            let by_partition = by_partition.clone();
            updates.filter_map(move |(key, new, old)| {
                by_partition(&key);
                add(&key, new, old)
            })
        };
        pairs.update_state_by_partition(each, options()).uid("by partition").foreach_rdd(|_, _| Ok(()));
        // Keys that come once in a batch, and values that say of which key they are: what enters and leaves, and what
        // has not come for a second.
        let (adds, takes, timed) = (meet("adds"), meet("takes"), meet("timed"));
        let enter = move |(key, a): (u64, u64), (_, b): (u64, u64)| {
            adds(&key);
            (key, a + b)
        };
        let leave = move |(key, a): (u64, u64), (_, b): (u64, u64)| {
            takes(&key);
            (key, a - b)
        };
        let keep = InverseOptions::default().num_partitions(4).filter(|_, (key, n)| key % 2 == 0 || *n > 0);
        let each = numbers.map(|x| (x, (x, x + 1)));
        let window = each.reduce_by_key_and_window_inverse_with(enter, leave, seconds(2), seconds(1), keep);
        window.uid("window").foreach_rdd(|_, _| Ok(()));
        let spec = StateSpec::function(move |key: &u64, value: Option<u64>, last: &mut State<'_, u64>| match value {
            Some(value) => last.update(value),
            None => timed(key),
        });
        let timed = numbers.map(|x| (x, x)).map_with_state(spec.num_partitions(4).timeout(seconds(1)));
        timed.uid("timed").foreach_rdd(|_, _| Ok(()));
    });
    // One partition after the other.
    tester.set_conf(conf(settings).set_master("local[1]"));
    // What the third one does to keys that are there, that are gone, and that are new.
    for batch in [0..14, 3..25, 5..40] {
        feed.push(batch);
    }
    tester.steps(2).expect("two batches");
    if let Some(place) = fails_at {
        armed.store(true, Relaxed);
        let error = tester.step().expect_err("it fails").to_string();
        assert!(error.contains("as asked"), "{place:?}: {error}");
    }
    let spills = tester.context().expect("it was started").spark_context().memory_status().spills;
    assert_eq!(spills > 0, !settings.is_empty(), "{spills} spills");
    tester.stop();
    let disk = tester.disk();
    let files = disk.list("state").expect("a listing");
    assert_eq!(files.len(), 1, "one checkpoint at the end");
    files.into_iter().map(|f| (f.name.clone(), disk.read(&f.name).expect("a file"))).collect()
}
#[test]
fn a_batch_that_fails_after_some_of_its_partitions_leaves_the_state_byte_for_byte() {
    // Each key is one of the partitions' first, one of the last, or between. Windows take away and add to, and what
    // times out is, where they have something.
    let all = [("mapped", 0..17), ("updated", 0..17), ("by partition", 0..17), ("adds", 5..25), ("takes", 0..14)];
    let places = all.into_iter().chain([("timed", 0..3)]);
    let before = bytes_of_state(None, &[]);
    for (operator, key) in places.clone().flat_map(|(operator, keys)| keys.map(move |k| (operator, k))) {
        assert!(bytes_of_state(Some((operator, key)), &[]) == before, "{operator} fails at key {key}");
    }
    // The same where all state is on disk between two batches.
    let on_disk: Settings<'_> = &[("spark.memory.size", "1")];
    let before = bytes_of_state(None, on_disk);
    for (operator, keys) in places {
        for key in [keys.start, keys.end - 1] {
            assert!(bytes_of_state(Some((operator, key)), on_disk) == before, "{operator} fails at key {key}, on disk");
        }
    }
}

#[test]
fn checkpoint_intervals_that_cannot_be_kept_are_refused() {
    let said = refused("tests/state_recovery.rs", |tester| {
        let (_, numbers) = tester.input::<u64>();
        let count = || numbers.count_by_window(seconds(4), seconds(2)).volatile();
        count().checkpoint(seconds(3)).print();
        count().checkpoint(seconds(0)).print();
        count().checkpoint(seconds(2)).checkpoint(seconds(4)).print();
        // Without a directory there are no checkpoints, and this one has no other use for the interval.
        numbers.map(|x| x).checkpoint(seconds(1)).print();
    });
    let parts = [
        "the checkpoint interval (3000 ms) must be a positive multiple of the slide duration (2000 ms)",
        "the checkpoint interval (0 ms) must be a positive multiple",
        "the checkpoint interval is set twice",
        "map has a checkpoint interval, but nowhere to put checkpoints: set a checkpoint directory (ssc.checkpoint(",
    ];
    assert_eq!(said.len(), parts.len(), "{said:?}");
    parts.iter().zip(&said).for_each(|(part, said)| assert!(said.contains(part), "{said}"));
}
#[test]
fn state_without_a_directory_is_refused_with_the_remedies_unless_it_is_volatile() {
    let (_, ssc) = manual(&[]);
    let (_, numbers) = queue(&ssc);
    let pairs = numbers.map(|x| (x, x));
    out(&pairs.map_with_state(StateSpec::function(sum)).map(|(_, n)| n));
    let Err(Error::Graph(errors)) = ssc.start_stepped() else { panic!("it was not refused") };
    assert!(errors[0].what.contains("ssc.checkpoint(") && errors[0].what.contains(".volatile()"), "{errors:?}");
    assert!(errors[0].site.to_string().contains("state_recovery.rs"));
    let (_, ssc) = manual(&[]);
    let (_, numbers) = queue(&ssc);
    out(&numbers.map(|x| (x, x)).map_with_state(StateSpec::function(sum)).volatile().map(|(_, n)| n));
    drop(ssc.start_stepped().expect("its user accepts the loss"));
}

#[test]
fn state_that_would_be_lost_needs_consent() {
    let dir = TempDir::new();
    let tape = filled(20);
    let first = process(&dir.at("a"), &tape, TEST_START, SHAPE);
    let mut run = first.start();
    let ids = run.operator_ids();
    let gone = ids.iter().find(|id| id.starts_with("update_state_by_key")).expect("it has an id").clone();
    first.step(&mut run);
    drop(run);
    let build = |settings: Settings<'_>| {
        let clock = ManualClock::new(at(1));
        StreamingContext::get_or_create(dir.at("a"), || {
            let sc = SparkContext::new(conf(settings))?;
            let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
            let pairs: DStream<(u64, u64)> = ssc.input_stream("tape", tape.input()).map(|x| (x % 7, 1));
            out(&pairs.map_with_state(StateSpec::function(sum)).map(|(_, n)| n));
            Ok(ssc)
        })
        .expect("built")
    };
    let Err(Error::Recovery { what, .. }) = build(&[]).start_stepped() else { panic!("it was not refused") };
    assert!(what.contains(&gone) && what.contains("spark.streaming.recovery.drop"), "{what}");
    let mut run = build(&[("spark.streaming.recovery.drop", &gone)]).start_stepped().expect("with consent");
    run.step().expect("a batch");
}

#[test]
fn a_damaged_state_file_falls_back_and_replays() {
    let dir = TempDir::new();
    let tape = filled(40);
    let first = process(&dir.at("a"), &tape, TEST_START, Shape { every: 3, ..SHAPE });
    let mut run = first.start();
    (0..20).for_each(|_| drop(first.step(&mut run)));
    drop(run);
    let mut files: Vec<_> =
        std::fs::read_dir(dir.at("a/state")).expect("state").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    let newest = files.pop().expect("a state file");
    let mut bytes = std::fs::read(&newest).expect("readable");
    bytes[20] ^= 1;
    std::fs::write(&newest, bytes).expect("writable");
    let again = process(&dir.at("a"), &tape, at(20), SHAPE);
    let mut run = again.start();
    assert_eq!(again.step(&mut run), expected(21));
}

#[test]
fn receipts_of_a_recovered_stream_are_those_of_a_calm_one() {
    let dir = TempDir::new();
    let tape = filled(40);
    let receipt = |p: &Process| p.ssc.status().durable.map(|d| (d.sequence, d.receipt));
    let calm = process(&dir.at("calm"), &tape, TEST_START, SHAPE);
    let mut run = calm.start();
    (0..12).for_each(|_| drop(calm.step(&mut run)));
    let first = process(&dir.at("a"), &tape, TEST_START, SHAPE);
    let mut run = first.start();
    (0..5).for_each(|_| drop(first.step(&mut run)));
    let copy = dir.copy(&dir.at("a"), "copy");
    let second = process(&copy, &tape, at(5), SHAPE);
    let mut run = second.start();
    (0..8).for_each(|_| drop(second.step(&mut run)));
    assert_eq!(receipt(&second), receipt(&calm));
    assert_eq!(receipt(&second).map(|r| r.0), Some(12));
}

#[test]
fn named_accumulators_come_back_with_the_last_completed_batch() {
    let dir = TempDir::new();
    let tape = Tape::default();
    (1..=9).for_each(|n| tape.push([n, n]));
    let process = |place: &str, now| {
        let clock = ManualClock::new(now);
        let mut made = None;
        let ssc = StreamingContext::get_or_create(place, || {
            let sc = SparkContext::new(conf(&[]))?;
            let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
            let seen = sc.long_accumulator("records seen");
            let counter = seen.clone();
            out(&ssc
                .input_stream("tape", tape.input())
                .map(move |x| {
                    counter.add(1);
                    x
                })
                .map_with_state_of_itself());
            made = Some(seen);
            Ok(ssc)
        });
        (ssc.expect("built"), made.expect("built"))
    };
    let (first, seen) = process(&dir.at("a"), TEST_START);
    let mut run = first.start_stepped().expect("a start");
    (0..3).for_each(|_| drop(run.step().expect("a batch").to_string()));
    assert_eq!(seen.value(), 6);
    let copy = dir.copy(&dir.at("a"), "killed");
    drop(run);
    // In the copy the last completion was not durable yet: that batch is run once more.
    for (place, before, after) in [(dir.at("a"), 6, 8), (copy, 4, 6)] {
        let (again, seen) = process(&place, at(3));
        let mut run = again.start_stepped().expect("a start");
        assert_eq!(seen.value(), before);
        run.step().expect("a batch");
        assert_eq!(seen.value(), after);
    }
}

trait Kept {
    /// Counts how often each number came, and gives the numbers back.
    fn map_with_state_of_itself(&self) -> DStream<u64>;
}
impl Kept for DStream<u64> {
    fn map_with_state_of_itself(&self) -> DStream<u64> {
        self.map(|x| (x, 1)).map_with_state(StateSpec::function(sum)).map(|(k, _)| k)
    }
}

#[test]
fn checkpoints_passed_over_for_those_who_look_back_stay_whole() {
    let dir = TempDir::new();
    let tape = filled(40);
    let every = Shape { every: 1, ..SHAPE };
    for (begun, batches) in [(0, 10), (10, 1), (11, 4)] {
        let p = process(&dir.at("a"), &tape, at(begun), every);
        let mut run = p.start();
        for n in begun + 1..=begun + batches {
            assert_eq!(p.step(&mut run), expected(n));
        }
        drop(run);
        for entry in std::fs::read_dir(dir.at("a/checkpoints")).expect("checkpoints") {
            let manifest = entry.expect("an entry").path();
            let bytes = std::fs::read(&manifest).expect("readable");
            let text = String::from_utf8_lossy(&bytes);
            let named: Vec<&str> =
                text.match_indices("state/").filter_map(|(i, _)| Some(text[i..].split_once(".state")?.0)).collect();
            assert!(!named.is_empty(), "{} names no file", manifest.display());
            for name in named {
                let file = dir.at(&format!("a/{name}.state"));
                assert!(std::path::Path::new(&file).exists(), "{} names {file}", manifest.display());
            }
        }
    }
}
