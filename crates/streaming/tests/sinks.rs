//! What a sink shows of a batch is all of it and once: after failures, restarts, and batches set aside.
mod common;

use common::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use winterbourne_base::{Clock, ManualClock, Time, storage::SimStorage};
use winterbourne_engine::{BoxError, Records, SparkContext};
use winterbourne_streaming::{
    Error, Recovered, Sink, SinkPlace, SinkWriter, Stepper, StreamingContext, StreamingEvent, seconds,
};
use winterbourne_testkit::{StreamTester, TEST_START, check_sink};

/// A target outside of the process: rows by batch, and the batch that was committed last.
#[derive(Clone, Default)]
struct Target(Arc<Mutex<Table>>);
#[derive(Default)]
struct Table {
    rows: Vec<u64>,
    last: Option<Time>,
}
impl Target {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn rows(&self) -> Vec<u64> {
        let mut rows = self.table().rows.clone();
        rows.sort_unstable();
        rows
    }
    fn sink(&self, diary: &Diary, faults: &Faults) -> TableSink {
        TableSink { target: self.clone(), diary: diary.clone(), faults: faults.clone() }
    }
}
struct TableSink {
    target: Target,
    diary: Diary,
    faults: Faults,
}
struct Stage(Faults);
impl SinkWriter<u64> for Stage {
    type Staged = Vec<u64>;
    fn stage(&self, _: usize, records: Records<u64>) -> Result<Vec<u64>, BoxError> {
        let all = records.collect();
        self.0.meet("stage")?;
        Ok(all)
    }
}
impl Sink<u64> for TableSink {
    type Writer = Stage;
    fn open(&mut self, place: &SinkPlace) -> Result<(), BoxError> {
        self.diary.write(format!("open {} of {}, durable {}", place.operator, place.application, place.durable));
        self.faults.meet("open")
    }
    fn recover(&mut self, batch: Time) -> Result<Recovered, BoxError> {
        let found = if self.target.table().last == Some(batch) { Recovered::Committed } else { Recovered::Absent };
        self.diary.write(format!("recover {}: {found:?}", second(batch)));
        self.faults.meet("recover")?;
        Ok(found)
    }
    fn begin(&mut self, batch: Time) -> Result<Stage, BoxError> {
        self.diary.write(format!("begin {}", second(batch)));
        self.faults.meet("begin")?;
        Ok(Stage(self.faults.clone()))
    }
    fn commit(&mut self, batch: Time, staged: Vec<Vec<u64>>) -> Result<(), BoxError> {
        self.diary.write(format!("commit {}", second(batch)));
        self.faults.meet("commit")?;
        {
            let mut table = self.target.table();
            table.rows.extend(staged.into_iter().flatten());
            table.last = Some(batch);
        }
        self.faults.meet("answer")
    }
    fn abort(&mut self, batch: Time) {
        self.diary.write(format!("abort {}", second(batch)));
    }
    fn close(&mut self) -> Result<(), BoxError> {
        self.diary.write("close");
        self.faults.meet("close")
    }
}

#[test]
fn the_sink_of_these_tests_keeps_the_contract() {
    let target = Target::default();
    check_sink(|| target.sink(&Diary::default(), &Faults::default()), || target.rows());
}

/// A tester with a sink, and an output before it and after it that can fail.
struct Bench {
    tester: StreamTester,
    target: Target,
    diary: Diary,
    faults: Faults,
}
fn bench(settings: Settings<'_>) -> Bench {
    let tester = tester(settings);
    let (target, diary, faults) = (Target::default(), Diary::default(), Faults::default());
    let stream = tester.context().input_stream("tens", Tens::new(&Diary::default(), &Faults::default()));
    stream.write_to("table", target.sink(&diary, &faults));
    let met = faults.clone();
    stream.foreach_rdd(move |_, _| met.meet("the output after it"));
    Bench { tester, target, diary, faults }
}
impl Bench {
    fn step(&mut self) -> Vec<String> {
        self.tester.step().expect("a good batch");
        self.diary.take()
    }
}

#[test]
fn a_batch_is_staged_and_committed_when_all_outputs_have_run() {
    let mut b = bench(&[]);
    assert_eq!(b.step(), ["open table of stream-tester, durable false", "begin 1", "commit 1"]);
    assert_eq!(b.step(), ["begin 2", "commit 2"]);
    assert_eq!(b.target.rows(), [10, 11, 20, 21]);
    assert!(b.tester.run().operator_ids().contains(&"table".to_owned()));
}

#[test]
fn an_attempt_that_fails_anywhere_is_undone_and_written_once() {
    for (fault, expect) in [
        ("begin", vec!["begin 2", "abort 2", "begin 2", "commit 2"]),
        ("panic in begin", vec!["begin 2", "abort 2", "begin 2", "commit 2"]),
        ("stage", vec!["begin 2", "abort 2", "begin 2", "commit 2"]),
        ("the output after it", vec!["begin 2", "abort 2", "begin 2", "commit 2"]),
        ("commit", vec!["begin 2", "commit 2", "recover 2: Absent", "begin 2", "commit 2"]),
        ("panic in commit", vec!["begin 2", "commit 2", "recover 2: Absent", "begin 2", "commit 2"]),
        ("answer", vec!["begin 2", "commit 2", "recover 2: Committed"]),
    ] {
        let mut b = bench(&[]);
        b.step();
        b.faults.add(fault);
        assert_eq!(b.step(), expect, "{fault}");
        b.step();
        assert_eq!(b.target.rows(), [10, 11, 20, 21, 30, 31], "{fault}");
    }
}

#[test]
fn a_target_that_cannot_be_asked_holds_the_batch_until_it_can() {
    let mut b = bench(&[("spark.streaming.batch.maxAttempts", "1")]);
    b.step();
    ["answer", "recover", "recover"].iter().for_each(|f| b.faults.add(f));
    for _ in 0..2 {
        let Err(Error::Batch(error)) = b.tester.step() else { panic!("it is not known whether it was committed") };
        assert!(error.part.contains("write_to at"), "{error}");
    }
    assert_eq!(b.tester.step().map(second).expect("it answers again"), 2);
    assert_eq!(b.target.rows(), [10, 11, 20, 21]);
}

#[test]
fn the_failure_of_a_commit_is_told_to_listeners() {
    let mut b = bench(&[("spark.streaming.batch.maxAttempts", "1")]);
    let ears = Ears::on(b.tester.context());
    b.faults.add("commit");
    let error = b.tester.step().expect_err("the commit fails").to_string();
    assert!(error.contains("the commit of output 0, write_to at"), "{error}");
    let failed = ears.wait("the failed batch", |e| match e {
        StreamingEvent::BatchFailed(info) => Some(info.clone()),
        _ => None,
    });
    assert_eq!(failed.outputs[0].failure.as_deref(), Some("commit fails"));
}

#[test]
fn names_that_occur_twice_are_refused_with_both_sites() {
    let what = refused("sinks.rs", |tester| {
        let (_, stream) = tester.input::<u64>();
        let target = Target::default();
        let sink = || target.sink(&Diary::default(), &Faults::default());
        stream.write_to("table", sink());
        stream.map(|x| x + 1).write_to("table", sink());
    });
    assert!(
        what[0].contains("the sink \"table\" has the name of the one at") && what[0].contains("sinks.rs"),
        "{what:?}"
    );
}

#[test]
fn a_sink_that_does_not_open_ends_the_start_and_may_open_later() {
    let mut b = bench(&[]);
    b.faults.add("open");
    let error = b.tester.step().expect_err("it does not open").to_string();
    assert!(error.contains("sink \"table\" at") && error.contains("open fails"), "{error}");
    assert_eq!(b.step().last().map(String::as_str), Some("commit 1"));
}

/// One process on a checkpoint directory, with a sink and a second output.
struct Process {
    clock: Arc<ManualClock>,
    run: Stepper,
    diary: Diary,
    faults: Faults,
}
fn process(dir: &str, tape: &Tape, target: &Target, now: Time, settings: Settings<'_>) -> Process {
    let clock = ManualClock::new(now);
    let (diary, faults) = (Diary::default(), Faults::default());
    let ssc = StreamingContext::get_or_create(dir, || {
        let ssc = StreamingContext::with_clock(&SparkContext::new(conf(settings))?, seconds(1), clock.clone())?;
        let stream = ssc.input_stream("tape", tape.input());
        let sums = stream
            .map(|x| (x % 2, x))
            .update_state_by_key(|new: Vec<u64>, old: Option<u64>| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        sums.map(|(key, sum)| key * 1000 + sum).write_to("sums", target.sink(&diary, &faults));
        let met = faults.clone();
        stream.foreach_rdd(move |_, _| met.meet("the other output"));
        Ok(ssc)
    });
    let run = ssc.expect("a good program").start_stepped().expect("a start");
    Process { clock, run, diary, faults }
}
impl Process {
    fn step(&mut self) -> Result<u64, Error> {
        self.clock.set(self.run.next_time().max(self.clock.now()));
        self.run.step().map(second)
    }
}

#[test]
fn a_batch_that_is_committed_and_not_logged_is_left_out_after_a_restart() {
    let (dir, tape, target) = (TempDir::new(), Tape::default(), Target::default());
    (1..=6).for_each(|n| tape.push([n]));
    let mut first = process(&dir.at("a"), &tape, &target, TEST_START, &[]);
    let mut expect = BTreeMap::new();
    for n in 1..=3u64 {
        assert_eq!(first.step().expect("a good batch"), n);
        expect.insert(n, target.rows());
        // The completion shares a sync with the next plan: a copy of now is what a kill of now would leave.
        let copy = dir.copy(&dir.at("a"), &format!("copy-{n}"));
        let before = target.rows();
        let mut second = process(&copy, &tape, &target, at(n), &[]);
        assert_eq!(second.step().expect("the batch in doubt"), n);
        assert_eq!(target.rows(), before, "batch {n} is not written again");
        let said = second.diary.take();
        assert_eq!(said, ["open sums of test, durable true".to_owned(), format!("recover {n}: Committed")]);
    }
    assert_eq!(target.rows(), [2, 2, 1001, 1001, 1004]);
}

#[test]
fn a_batch_that_was_staged_only_is_written_after_a_restart_with_the_same_state() {
    let (dir, tape, target) = (TempDir::new(), Tape::default(), Target::default());
    (1..=3).for_each(|n| tape.push([n]));
    let once = [("spark.streaming.batch.maxAttempts", "1")];
    let mut first = process(&dir.at("a"), &tape, &target, TEST_START, &once);
    first.step().expect("a good batch");
    first.faults.add("the other output");
    first.step().expect_err("it fails after the sink has staged");
    assert_eq!(target.rows(), [1001]);
    drop(first);
    let mut second = process(&dir.at("a"), &tape, &target, at(2), &once);
    assert_eq!(second.step().expect("from its plan"), 2);
    assert_eq!(second.diary.take()[1..], ["recover 2: Absent", "begin 2", "commit 2"]);
    assert_eq!(target.rows(), [2, 1001, 1001]);
}

#[test]
fn an_output_that_succeeded_is_not_repeated_when_a_batch_set_aside_is_run_after_a_restart() {
    let (dir, tape, target) = (TempDir::new(), Tape::default(), Target::default());
    (1..=4).for_each(|n| tape.push([n]));
    let skip = [("spark.streaming.batch.maxAttempts", "1"), ("spark.streaming.batch.onFailure", "skip")];
    let mut first = process(&dir.at("a"), &tape, &target, TEST_START, &skip);
    first.step().expect("a good batch");
    // Committed, but the answer is lost; and then the target is asked.
    first.faults.add("answer");
    first.step().expect_err("the commit has no answer");
    assert_eq!(first.diary.take().last().map(String::as_str), Some("recover 2: Committed"));
    first.step().expect("the next batch");
    let before = target.rows();
    drop(first);
    let mut second = process(&dir.at("a"), &tape, &target, at(3), &skip);
    assert!(second.run.rerun(at(2)).expect("a good batch"), "it lies aside");
    assert_eq!(target.rows(), before, "it is not written again");
}

const SKIP: Settings<'_> = &[("spark.streaming.batch.maxAttempts", "1"), ("spark.streaming.batch.onFailure", "skip")];

/// Batch 2 is set aside, batch 3 is done, and then batch 2: that is what the target says now, and no longer that it has
/// batch 3.
#[test]
fn a_batch_is_not_written_again_because_an_earlier_one_was_run_after_it() {
    let (dir, tape, target) = (TempDir::new(), Tape::default(), Target::default());
    (1..=4).for_each(|n| tape.push([n]));
    let mut first = process(&dir.at("a"), &tape, &target, TEST_START, SKIP);
    first.step().expect("a good batch");
    first.faults.add("the other output");
    first.step().expect_err("it is set aside");
    assert_eq!(first.step().expect("a good batch"), 3);
    assert!(first.run.rerun(at(2)).expect("a good batch"));
    let before = target.rows();
    let killed = dir.copy(&dir.at("a"), "killed");
    let mut second = process(&killed, &tape, &target, at(3), SKIP);
    assert!(second.run.rerun(at(2)).expect("a good batch"), "its own completion was not durable");
    assert_eq!(target.rows(), before);
    assert_eq!(second.step().expect("a good batch"), 4);
    assert_eq!(second.diary.take().last().map(String::as_str), Some("commit 4"));
}

#[test]
fn a_batch_is_not_set_aside_while_nobody_knows_whether_a_sink_has_it() {
    let mut b = bench(SKIP);
    b.step();
    ["answer", "recover"].iter().for_each(|f| b.faults.add(f));
    let error = b.tester.step().expect_err("the commit has no answer").to_string();
    assert!(error.contains("a sink does not say whether it has it"), "{error}");
    b.tester.run().skip_failed();
    assert_eq!(b.tester.context().status().set_aside, []);
    assert_eq!(b.tester.step().map(second).expect("it answers again"), 2);
    assert_eq!(b.target.rows(), [10, 11, 20, 21]);
}

/// Of two sinks one has the batch, and the other one not. A restart knows that, also if it came about later.
#[test]
fn what_a_second_run_of_a_batch_set_aside_has_written_is_not_written_by_a_third() {
    let (dir, tape) = (TempDir::new(), Tape::default());
    (1..=5).for_each(|n| tape.push([n]));
    let (targets, faults) = ([Target::default(), Target::default()], Faults::default());
    let process = |now: Time| {
        let clock = ManualClock::new(now);
        let ssc = StreamingContext::get_or_create(dir.at("a"), || {
            let ssc = StreamingContext::with_clock(&SparkContext::new(conf(SKIP))?, seconds(1), clock.clone())?;
            let stream = ssc.input_stream("tape", tape.input());
            stream.write_to("one", targets[0].sink(&Diary::default(), &Faults::default()));
            stream.write_to("two", targets[1].sink(&Diary::default(), &faults));
            Ok(ssc)
        });
        ssc.expect("a good program").start_stepped().expect("a start")
    };
    let mut first = process(TEST_START);
    first.step().expect("a good batch");
    faults.add("stage");
    first.step().expect_err("it is set aside");
    first.step().expect("a good batch");
    faults.add("commit");
    first.rerun(at(2)).expect_err("the other one has it");
    first.step().expect("a good batch");
    assert_eq!([targets[0].rows(), targets[1].rows()], [vec![1, 2, 3, 4], vec![1, 3, 4]]);
    drop(first);
    let mut second = process(at(4));
    assert!(second.rerun(at(2)).expect("a good batch"));
    assert_eq!([targets[0].rows(), targets[1].rows()], [vec![1, 2, 3, 4], vec![1, 2, 3, 4]]);
}

/// A program whose last completions are not durable ends as one that is killed: its sinks may not show what they keep for
/// later.
#[test]
fn sinks_are_closed_when_the_end_of_the_log_is_durable() {
    for durable in [true, false] {
        let (disk, diary) = (SimStorage::new(1), Diary::default());
        let ssc = StreamingContext::get_or_create_on(disk.clone(), || {
            let clock = ManualClock::new(TEST_START);
            let ssc = StreamingContext::with_clock(&SparkContext::new(conf(&[]))?, seconds(1), clock)?;
            let tape = Tape::default();
            tape.push([1]);
            ssc.input_stream("tape", tape.input()).write_to("one", Target::default().sink(&diary, &Faults::default()));
            Ok(ssc)
        });
        let mut run = ssc.expect("a good program").start_stepped().expect("a start");
        run.step().expect("a good batch");
        if !durable {
            disk.fail_sync(1);
        }
        diary.take();
        drop(run);
        assert_eq!(diary.take(), if durable { vec!["close"] } else { vec![] });
    }
}

/// The same, when the sink says only later that it has the batch.
#[test]
fn the_answer_of_a_sink_about_a_batch_set_aside_is_durable_before_it_has_a_later_one() {
    let (dir, tape, target) = (TempDir::new(), Tape::default(), Target::default());
    (1..=5).for_each(|n| tape.push([n]));
    let mut first = process(&dir.at("a"), &tape, &target, TEST_START, SKIP);
    first.step().expect("a good batch");
    first.faults.add("the other output");
    first.step().expect_err("it is set aside");
    first.step().expect("a good batch");
    ["answer", "recover", "recover"].iter().for_each(|f| first.faults.add(f));
    first.run.rerun(at(2)).expect_err("nobody knows");
    let error = first.step().expect_err("nobody knows yet").to_string();
    assert!(error.contains("write_to at") && error.contains("recover fails"), "{error}");
    assert_eq!(first.step().expect("it answers"), 4);
    let before = target.rows();
    // The completion of the last batch is not durable, the answer is.
    let mut second = process(&dir.copy(&dir.at("a"), "killed"), &tape, &target, at(4), SKIP);
    assert_eq!(second.step().expect("a good batch"), 4);
    assert!(second.run.rerun(at(2)).expect("a good batch"), "the other output has not run");
    assert_eq!(target.rows(), before);
}
