//! A stream that ends, is killed, or is changed comes back from its checkpoint directory with what it had.
mod common;

use common::*;
use std::sync::{Arc, Mutex, mpsc};
use winterbourne_base::{Clock, ManualClock, SparkConf, Time};
use winterbourne_engine::SparkContext;
use winterbourne_streaming::{DStream, Error, Stepper, StreamingContext, seconds};
use winterbourne_testkit::TEST_START;

type Batches = mpsc::Receiver<(Time, Vec<u64>)>;

/// One process: a context on the directory, with a tape and the graph of `build`.
struct Process {
    clock: Arc<ManualClock>,
    ssc: StreamingContext,
    out: Batches,
}
fn process(
    dir: &str,
    tape: &Tape,
    now: Time,
    settings: Settings<'_>,
    build: impl FnOnce(DStream<u64>) -> DStream<u64>,
) -> Process {
    let clock = ManualClock::new(now);
    let mut out = None;
    let ssc = StreamingContext::get_or_create(dir, || {
        let sc = SparkContext::new(conf(settings))?;
        let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
        let stream = build(ssc.input_stream("tape", tape.input()));
        out = Some(send(&stream));
        Ok(ssc)
    });
    Process { clock, ssc: ssc.expect("a good program"), out: out.expect("it was built") }
}
impl Process {
    fn start(&self) -> Stepper {
        self.ssc.start_stepped().expect("a start")
    }
    /// The next batch, at its time; what came out.
    fn step(&self, run: &mut Stepper) -> (u64, Vec<u64>) {
        self.clock.set(run.next_time().max(self.clock.now()));
        run.step().expect("a good batch");
        let (t, mut records) = next(&self.out);
        records.sort();
        (second(t), records)
    }
}
fn same(stream: DStream<u64>) -> DStream<u64> {
    stream
}
fn window(stream: DStream<u64>) -> DStream<u64> {
    stream.window(seconds(3))
}

#[test]
fn positions_and_windows_come_back_after_a_kill_at_any_batch() {
    let dir = TempDir::new();
    let tape = Tape::default();
    (1..=9).for_each(|n| tape.push([n]));
    let first = process(&dir.at("a"), &tape, TEST_START, &[], window);
    let mut run = first.start();
    for killed_after in 1..=5 {
        assert_eq!(first.step(&mut run).0, killed_after);
        let copy = dir.copy(&dir.at("a"), &format!("copy-{killed_after}"));
        let second = process(&copy, &tape, at(killed_after), &[], window);
        let mut again = second.start();
        // The completion shares a sync with the next plan, so the last batch is run once more.
        for n in killed_after..=killed_after + 2 {
            let expect: Vec<u64> = (n.saturating_sub(2).max(1)..=n).collect();
            assert_eq!(second.step(&mut again), (n, expect), "killed after {killed_after}");
        }
    }
}

#[test]
fn an_orderly_end_repeats_nothing() {
    let dir = TempDir::new();
    let tape = Tape::default();
    (1..=9).for_each(|n| tape.push([n]));
    for round in 0..3u64 {
        let p = process(&dir.at("a"), &tape, at(2 * round), &[], window);
        let mut run = p.start();
        for n in 2 * round + 1..=2 * round + 2 {
            let expect: Vec<u64> = (n.saturating_sub(2).max(1)..=n).collect();
            assert_eq!(p.step(&mut run), (n, expect));
        }
        assert!(p.out.try_recv().is_err());
    }
}

#[test]
fn checkpoints_let_go_of_the_log_and_still_carry_windows_and_positions() {
    let dir = TempDir::new();
    let tape = Tape::default();
    (1..=200).for_each(|n| tape.push([n]));
    let every = |s: DStream<u64>| s.checkpoint(seconds(2)).window(seconds(3));
    let first = process(&dir.at("a"), &tape, TEST_START, &[], every);
    let mut run = first.start();
    (0..100).for_each(|_| drop(first.step(&mut run)));
    drop(run);
    let written = first.ssc.status().durable.expect("a directory").checkpoints;
    assert!(written > 3, "{written}");
    let kept = std::fs::read_dir(dir.at("a/checkpoints")).expect("checkpoints").count();
    assert_eq!(kept, 3, "the newest three are retained");
    let second = process(&dir.at("a"), &tape, at(100), &[], every);
    let mut again = second.start();
    assert_eq!(second.step(&mut again), (101, vec![99, 100, 101]));
}

#[test]
fn a_batch_that_never_completed_is_run_from_its_logged_plan() {
    let dir = TempDir::new();
    let tape = Tape::default();
    tape.push([1]);
    tape.push([2]);
    let broken = |s: DStream<u64>| s.map(|x| if x == 2 { panic!("two") } else { x });
    let first = process(&dir.at("a"), &tape, TEST_START, &[("spark.streaming.batch.maxAttempts", "1")], broken);
    let mut run = first.start();
    assert_eq!(first.step(&mut run), (1, vec![1]));
    first.clock.set(at(2));
    run.step().expect_err("it panics");
    let copy = dir.copy(&dir.at("a"), "copy");
    drop(run);
    // What came later belongs to a later batch, although it is there now.
    tape.push([3]);
    for place in [copy, dir.at("a")] {
        let second = process(&place, &tape, at(7), &[], same);
        let mut again = second.start();
        assert_eq!(second.step(&mut again), (2, vec![2]));
        assert_eq!(second.step(&mut again), (3, vec![3]));
    }
}

#[test]
fn a_batch_set_aside_lies_there_after_a_restart() {
    let dir = TempDir::new();
    let tape = Tape::default();
    (1..=4).for_each(|n| tape.push([n]));
    let policy = [("spark.streaming.batch.onFailure", "skip")];
    let broken = |s: DStream<u64>| s.map(|x| if x == 2 { panic!("two") } else { x });
    let first = process(&dir.at("a"), &tape, TEST_START, &policy, broken);
    let mut run = first.start();
    assert_eq!(first.step(&mut run), (1, vec![1]));
    first.clock.set(at(2));
    run.step().expect_err("it panics");
    assert_eq!(first.step(&mut run), (3, vec![3]));
    drop(run);
    let second = process(&dir.at("a"), &tape, at(3), &policy, same);
    let mut again = second.start();
    assert_eq!(second.ssc.status().set_aside, [at(2)]);
    assert!(again.rerun(at(2)).expect("a good batch"));
    assert_eq!(next(&second.out), (at(2), vec![2]));
    assert_eq!(second.step(&mut again), (4, vec![4]));
    assert!(second.ssc.status().set_aside.is_empty());
}

#[test]
fn the_time_in_between_gets_a_bounded_number_of_batches() {
    let dir = TempDir::new();
    let tape = Tape::default();
    tape.push([1]);
    let first = process(&dir.at("a"), &tape, TEST_START, &[], same);
    let mut run = first.start();
    first.step(&mut run);
    drop(run);
    (2..=20).for_each(|n| tape.push([n]));
    let second = process(&dir.at("a"), &tape, at(100), &[("spark.streaming.recovery.maxCatchUp", "3")], same);
    let mut again = second.start();
    assert_eq!((0..4).map(|_| second.step(&mut again).0).collect::<Vec<_>>(), [98, 99, 100, 101]);
    assert_eq!(second.ssc.status().coalesced_ticks, 96);
}

#[test]
fn another_streams_directory_is_refused_and_so_is_one_in_use() {
    let dir = TempDir::new();
    let tape = Tape::default();
    tape.push([1]);
    let first = process(&dir.at("a"), &tape, TEST_START, &[], same);
    let mut run = first.start();
    first.step(&mut run);
    let in_use = process(&dir.at("a"), &tape, at(1), &[], same).ssc.start_stepped();
    assert!(in_use.err().expect("in use").to_string().contains("lock"), "names the lock");
    drop(run);
    let ssc = StreamingContext::with_clock(&spark(&[]), seconds(1), first.clock.clone()).expect("a context");
    ssc.checkpoint(dir.at("a"));
    out(&ssc.input_stream("tape", tape.input()));
    let Err(Error::Recovery { what, .. }) = ssc.start_stepped() else { panic!("it was not refused") };
    assert!(what.contains("get_or_create") && what.contains("\"test\""), "{what}");
    // The context is as it was: with another directory it starts.
    ssc.checkpoint(dir.at("b"));
    let mut run = ssc.start_stepped().expect("a directory of its own");
    run.step().expect("a batch");
}

#[test]
fn from_checkpoint_wants_something_to_continue() {
    let dir = TempDir::new();
    let build = || {
        let ssc = StreamingContext::new(&spark(&[]), seconds(1))?;
        out(&ssc.input_stream("tape", Tape::default().input()));
        Ok(ssc)
    };
    let ssc = StreamingContext::from_checkpoint(dir.at("a"), build).expect("it is start that looks");
    let Err(Error::Recovery { what, .. }) = ssc.start_stepped() else { panic!("there is nothing") };
    assert!(what.contains("no log"), "{what}");
}

#[test]
fn an_input_that_is_gone_needs_consent_and_a_uid_brings_it_back() {
    let dir = TempDir::new();
    let tape = Tape::default();
    (1..=9).for_each(|n| tape.push([n]));
    let first = process(&dir.at("a"), &tape, TEST_START, &[], same);
    let mut run = first.start();
    first.step(&mut run);
    let old = run.operator_ids()[0].clone();
    drop(run);
    let renamed = |s: DStream<u64>| s.uid("numbers");
    let p = process(&dir.at("a"), &tape, at(1), &[], renamed);
    let Err(Error::Recovery { what, .. }) = p.ssc.start_stepped() else { panic!("it was not refused") };
    assert!(
        what.contains(&old) && what.contains("numbers is new") && what.contains("spark.streaming.recovery.drop"),
        "{what}"
    );
    let named = old.clone();
    let p = process(&dir.at("a"), &tape, at(1), &[], move |s| s.uid(named));
    let mut run = p.start();
    assert_eq!(p.step(&mut run), (2, vec![2]), "it goes on where it was");
    drop(run);
    let p = process(&dir.at("a"), &tape, at(2), &[("spark.streaming.recovery.drop", &old)], renamed);
    let mut run = p.start();
    assert_eq!(p.step(&mut run), (3, vec![1]), "it begins anew");
}

#[test]
fn another_interval_is_refused() {
    let dir = TempDir::new();
    let tape = Tape::default();
    tape.push([1]);
    let first = process(&dir.at("a"), &tape, TEST_START, &[], same);
    let mut run = first.start();
    first.step(&mut run);
    drop(run);
    let ssc = StreamingContext::get_or_create(dir.at("a"), || {
        let ssc = StreamingContext::with_clock(&spark(&[]), seconds(2), first.clock.clone())?;
        out(&ssc.input_stream("tape", tape.input()));
        Ok(ssc)
    });
    let Err(Error::Recovery { what, .. }) = ssc.expect("built").start_stepped() else { panic!("it was not refused") };
    assert!(what.contains("1000 ms") && what.contains("2000 ms"), "{what}");
}

#[test]
fn queues_are_refused_by_name() {
    let dir = TempDir::new();
    let (_, ssc, _) = simple(&[]);
    ssc.checkpoint(dir.at("a"));
    let Err(Error::Graph(errors)) = ssc.start_stepped() else { panic!("it was not refused") };
    assert!(errors[0].what.contains("only in this process"), "{errors:?}");
    assert!(errors[0].site.to_string().contains("common/mod.rs") || errors[0].site.to_string().contains("recovery.rs"));
}

/// Flips one bit in the newest file below a directory.
fn damage(dir: &str) -> String {
    let mut files: Vec<_> = std::fs::read_dir(dir).expect("a directory").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    let file = files.pop().expect("a file");
    let mut bytes = std::fs::read(&file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&file, bytes).expect("writable");
    file.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let dir = TempDir::new();
    let tape = Tape::default();
    (1..=50).for_each(|n| tape.push([n]));
    let every = |s: DStream<u64>| s.checkpoint(seconds(1)).window(seconds(3));
    let first = process(&dir.at("a"), &tape, TEST_START, &[], every);
    let mut run = first.start();
    (0..20).for_each(|_| drop(first.step(&mut run)));
    drop(run);
    damage(&dir.at("a/checkpoints"));
    let second = process(&dir.at("a"), &tape, at(20), &[], every);
    let mut again = second.start();
    assert_eq!(second.step(&mut again), (21, vec![19, 20, 21]));
}

#[test]
fn a_damaged_log_is_refused_with_its_place_or_set_aside_if_asked_to() {
    let dir = TempDir::new();
    let tape = Tape::default();
    (1..=50).for_each(|n| tape.push([n]));
    let first = process(&dir.at("a"), &tape, TEST_START, &[], same);
    let mut run = first.start();
    (0..6).for_each(|_| drop(first.step(&mut run)));
    drop(run);
    let file = damage(&dir.at("a/log"));
    let Err(Error::Recovery { what, .. }) = process(&dir.at("a"), &tape, at(6), &[], same).ssc.start_stepped() else {
        panic!("it was not refused")
    };
    assert!(what.contains(&file) && what.contains("offset"), "{what}");
    let clock = ManualClock::new(at(6));
    let results = Arc::new(Mutex::new(None));
    let ssc = StreamingContext::get_or_create_on_error(dir.at("a"), || {
        let sc = SparkContext::new(SparkConf::empty().set_app_name("test"))?;
        let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
        *results.lock().expect("plain") = Some(send(&ssc.input_stream("tape", tape.input())));
        Ok(ssc)
    });
    let mut run = ssc.expect("built").start_stepped().expect("a new beginning");
    run.step().expect("a batch");
    let results = results.lock().expect("plain").take().expect("built");
    assert_eq!(next(&results).1, [1]);
    assert!(std::path::Path::new(&dir.at("a.unreadable-1/log")).is_dir(), "nothing was thrown away");
}
