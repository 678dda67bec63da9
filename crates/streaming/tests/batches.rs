//! The life of a batch: the protocol's order, what is tried again, and what becomes of a batch that fails for good.
mod common;
use common::*;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use winterbourne_base::ManualClock;
use winterbourne_engine::{BoxError, Rdd, SparkListenerEvent, TaskContext};
use winterbourne_streaming::{DStream, Error, Health, Stop, StreamingContext, StreamingState, StreamingStatus, Time};
use winterbourne_testkit::StreamTester;

/// A program over [`Tens`] that writes down what it does and fails where it is told to.
struct Program {
    diary: Diary,
    faults: Faults,
    stream: DStream<u64>,
}
impl Program {
    /// With a log, and without outputs yet.
    fn on(ssc: &StreamingContext) -> Self {
        let (diary, faults) = (Diary::default(), Faults::default());
        ssc.set_batch_log(diary.log().failing(&faults));
        let stream = ssc.input_stream("tens", Tens::new(&diary, &faults));
        Program { diary, faults, stream }
    }
    fn transform(&self) -> DStream<u64> {
        let (diary, faults) = (self.diary.clone(), self.faults.clone());
        self.stream.transform(move |rdd: &Rdd<u64>, _| {
            diary.write("transform");
            faults.meet("transform")?;
            Ok(rdd.clone())
        })
    }
    /// An output that says its name and records.
    fn output(&self, name: &'static str, of: &DStream<u64>) {
        let (diary, faults) = (self.diary.clone(), self.faults.clone());
        of.foreach_rdd(move |rdd, _| {
            faults.meet(name)?;
            diary.write(format!("{name} {:?}", rdd.collect()?));
            Ok(())
        });
    }
}
/// A tester with such a program and these outputs.
fn program(settings: Settings<'_>, outputs: &[&'static str]) -> (StreamTester, Program) {
    let tester = tester(settings);
    let program = Program::on(tester.context());
    outputs.iter().for_each(|name| program.output(name, &program.stream));
    (tester, program)
}
fn status(tester: &StreamTester) -> StreamingStatus {
    tester.context().status()
}
#[track_caller]
fn failed(result: Result<Time, Error>, parts: &[&str]) {
    let error = result.expect_err("a batch that fails");
    let text = error.to_string();
    assert!(matches!(error, Error::Batch(_)) && parts.iter().all(|p| text.contains(p)), "{text}");
}

#[test]
fn a_batch_is_planned_logged_generated_run_logged_and_settled_in_this_order() {
    let (mut tester, p) = program(&[], &[]);
    p.output("output", &p.transform());
    for (i, [records, range]) in [["[10, 11]", "1"], ["[20, 21]", "2"]].into_iter().enumerate() {
        tester.step().unwrap();
        let n = i + 1;
        assert_eq!(
            p.diary.take(),
            [
                format!("plan {n} as {range}"),
                format!("log planned {n} [ten {range} Some(2)]"),
                format!("read {range}"),
                "transform".into(),
                format!("output {records}"),
                format!("log completed {n} (1 outputs)"),
                format!("settle {range}"),
            ]
        );
    }
    let status = status(&tester);
    assert_eq!((status.completed_batches, status.processed_records, status.failed_attempts), (2, 4, 0));
}
#[test]
fn all_jobs_are_generated_before_any_runs() {
    let (mut tester, p) = program(&[], &["first"]);
    p.output("second", &p.transform());
    tester.step().unwrap();
    assert_eq!(p.diary.take()[2..5], ["read 1", "transform", "first [10, 11]"]);
}
#[test]
fn a_failing_output_is_tried_once_more_and_the_others_are_not_repeated() {
    let (mut tester, p) = program(&[], &["first", "second", "third"]);
    p.faults.add("second");
    tester.step().unwrap();
    let expect = [
        "plan 1 as 1",
        "log planned 1 [ten 1 Some(2)]",
        "read 1",
        "first [10, 11]",
        // The second attempt reads the same plan again.
        "read 1",
        "second [10, 11]",
        "third [10, 11]",
        "log completed 1 (3 outputs)",
        "settle 1",
    ];
    assert_eq!(p.diary.take(), expect);
    let status = status(&tester);
    assert_eq!((status.failed_attempts, status.completed_batches), (1, 1));
    assert!(matches!(status.health, Health::Ok));
}
#[test]
fn a_batch_has_as_many_attempts_as_the_setting_says() {
    for (attempts, faults, good) in [("1", 0, true), ("1", 1, false), ("3", 2, true), ("3", 3, false)] {
        let (mut tester, p) = program(&[("spark.streaming.batch.maxAttempts", attempts)], &["output"]);
        (0..faults).for_each(|_| p.faults.add("output"));
        let result = tester.step();
        assert_eq!(result.is_ok(), good, "{faults} faults in {attempts} attempts");
        if let Err(e) = result {
            assert!(e.to_string().contains(&format!("failed {attempts} time(s)")), "{e}");
        }
        assert_eq!(status(&tester).failed_attempts, faults);
    }
}
#[test]
fn a_failure_anywhere_before_the_outputs_is_tried_again() {
    let read_again = ["read 1", "transform"];
    for (fault, repeated) in [
        ("plan", &[][..]),
        ("panic in plan", &[]),
        ("log planned", &[]),
        ("read", &[]),
        ("panic in read", &[]),
        ("transform", &read_again[..]),
        ("panic in transform", &read_again),
    ] {
        let (mut tester, p) = program(&[], &[]);
        p.output("output", &p.transform());
        p.faults.add(fault);
        tester.step().unwrap_or_else(|e| panic!("{fault}: {e}"));
        let (mut expect, end) =
            (vec!["plan 1 as 1", "log planned 1 [ten 1 Some(2)]"], ["log completed 1 (1 outputs)", "settle 1"]);
        expect.extend(repeated);
        expect.extend(["read 1", "transform", "output [10, 11]"]);
        expect.extend(end);
        assert_eq!(
            (p.diary.take(), status(&tester).failed_attempts),
            (expect.iter().map(ToString::to_string).collect(), 1),
            "{fault}"
        );
    }
}
#[test]
fn a_failure_says_which_part_of_the_batch_it_was() {
    for (fault, parts) in [
        ("plan", &["the plan of input_stream-", "plan fails"][..]),
        ("panic in plan", &["the plan of input_stream-", "plan panics"]),
        ("log planned", &["the batch log", "log planned fails"]),
        ("read", &["the generation of output 0, foreach_rdd at", "read fails"]),
        ("panic in transform", &["the generation of output 0, foreach_rdd at", "transform panics"]),
        ("output", &["in output 0, foreach_rdd at", "batches.rs", "output fails"]),
        ("panic in output", &["in output 0, foreach_rdd at", "output panics"]),
        ("log completed", &["the batch log", "log completed fails"]),
    ] {
        let (mut tester, p) = program(&[], &[]);
        p.output("output", &p.transform());
        [fault; 2].iter().for_each(|f| p.faults.add(f));
        failed(tester.step(), parts);
    }
}
#[test]
fn when_the_log_does_not_take_the_completion_nothing_settles_and_no_output_is_repeated() {
    let (mut tester, p) = program(&[], &["output"]);
    p.faults.add("log completed");
    tester.step().unwrap();
    let lines = p.diary.take();
    let expect = ["read 1", "output [10, 11]", "read 1", "log completed 1 (1 outputs)", "settle 1"];
    assert_eq!(lines[2..], expect);
}
#[test]
fn an_input_that_planned_is_not_asked_again_when_another_could_not() {
    let (mut tester, p) = program(&[], &[]);
    let others = Faults::default();
    others.add("plan");
    p.output("output", &p.stream.union(&tester.context().input_stream("other", Tens::new(&p.diary, &others))));
    tester.step().unwrap();
    let plans = p.diary.take().iter().filter(|l| l.starts_with("plan")).count();
    let status = status(&tester);
    assert_eq!((plans, status.processed_records, status.failed_attempts), (2, 4, 1));
}
#[test]
fn a_settle_that_panics_hurts_nobody() {
    let (mut tester, p) = program(&[], &["output"]);
    p.faults.add("panic in settle");
    tester.steps(2).unwrap();
    assert_eq!(status(&tester).completed_batches, 2);
}
#[test]
fn a_stepped_batch_that_failed_is_the_next_one_again() {
    let (mut tester, p) = program(&[], &["output"]);
    (0..2).for_each(|_| p.faults.add("output"));
    failed(tester.step(), &["batch", "later batches wait"]);
    assert!(matches!(status(&tester).health, Health::Held(e) if e.time == at(1)));
    assert_eq!(tester.run().next_time(), at(1));
    assert_eq!(tester.step().unwrap(), at(1));
    assert!(matches!(status(&tester).health, Health::Ok));
    assert_eq!(tester.step().unwrap(), at(2));
    let outputs: Vec<_> = p.diary.take().into_iter().filter(|l| l.starts_with("output")).collect();
    assert_eq!(outputs, ["output [10, 11]", "output [20, 21]"]);
}
#[test]
fn an_output_that_succeeded_is_not_repeated_when_a_held_batch_is_tried_again() {
    let (mut tester, p) = program(&[], &["first", "second"]);
    (0..2).for_each(|_| p.faults.add("second"));
    failed(tester.step(), &["output 1"]);
    tester.step().unwrap();
    let outputs: Vec<_> = p.diary.take().into_iter().filter(|l| l.contains("[10, 11]")).collect();
    assert_eq!(outputs, ["first [10, 11]", "second [10, 11]"]);
}

const SKIP: (&str, &str) = ("spark.streaming.batch.onFailure", "skip");
const ONCE: (&str, &str) = ("spark.streaming.batch.maxAttempts", "1");
#[test]
fn skip_sets_a_batch_aside_with_its_records() {
    let (mut tester, p) = program(&[SKIP, ONCE], &["output"]);
    p.faults.add("output");
    failed(tester.step(), &["it is set aside and may be run again"]);
    tester.step().unwrap();
    assert_eq!(status(&tester).set_aside, [at(1)]);
    assert!(!tester.run().rerun(at(2)).unwrap(), "it does not lie aside");
    let before = p.diary.take();
    assert_eq!(before.iter().filter(|l| l.starts_with("log set aside 1")).count(), 1, "{before:?}");
    assert!(tester.run().rerun(at(1)).unwrap());
    assert!(p.diary.take().contains(&"output [10, 11]".to_owned()), "the records it had");
    let status = status(&tester);
    assert_eq!((status.set_aside, status.completed_batches, status.last_batch), (vec![], 2, Some(at(2))));
    assert!(!tester.run().rerun(at(1)).unwrap(), "it is done");
}
#[test]
fn a_batch_that_fails_again_stays_aside() {
    let (mut tester, p) = program(&[SKIP, ONCE], &["output"]);
    (0..2).for_each(|_| p.faults.add("output"));
    failed(tester.step(), &["output fails"]);
    let again = tester.run().rerun(at(1)).unwrap_err();
    assert!(again.to_string().contains("output fails"), "{again}");
    assert_eq!(status(&tester).set_aside, [at(1)]);
    assert!(tester.run().rerun(at(1)).unwrap());
}
#[test]
fn a_batch_whose_source_cannot_be_read_keeps_its_plan_aside() {
    for fault in ["read", "panic in read"] {
        let (mut tester, p) = program(&[SKIP, ONCE], &["output"]);
        // Once for the attempt, once for setting it aside.
        (0..2).for_each(|_| p.faults.add(fault));
        failed(tester.step(), &["read"]);
        tester.step().unwrap();
        assert!(!p.diary.take().contains(&"settle 1".to_owned()), "the source may still be read");
        assert!(tester.run().rerun(at(1)).unwrap());
        assert_eq!(p.diary.take()[..2], ["read 1", "output [10, 11]"]);
    }
}
#[test]
fn a_batch_that_could_not_be_planned_leaves_its_records_to_the_next() {
    let (mut tester, p) = program(&[SKIP, ONCE], &["output"]);
    p.faults.add("plan");
    failed(tester.step(), &["plan fails"]);
    tester.step().unwrap();
    assert!(p.diary.take().contains(&"output [10, 11]".to_owned()));
}
#[test]
fn sixteen_batches_lie_aside_and_the_oldest_goes_for_the_next() {
    let (mut tester, p) = program(&[SKIP, ONCE], &["output"]);
    for _ in 0..20 {
        p.faults.add("output");
        failed(tester.step(), &["output fails"]);
    }
    let status = status(&tester);
    assert_eq!((status.set_aside.len(), status.set_aside_dropped, status.failed_attempts), (16, 4, 20));
    assert_eq!(status.set_aside, (5..=20).map(at).collect::<Vec<_>>());
    p.diary.take();
    assert!(!tester.run().rerun(at(4)).unwrap());
    assert!(tester.run().rerun(at(5)).unwrap());
    assert_eq!(p.diary.take()[0], "output [50, 51]");
}
#[test]
fn a_later_window_still_sees_the_records_of_a_batch_set_aside() {
    let (mut tester, p) = program(&[SKIP, ONCE], &["output"]);
    p.output("window", &p.stream.window(ms(2000)));
    p.faults.add("output");
    failed(tester.step(), &["output fails"]);
    tester.step().unwrap();
    assert!(p.diary.take().contains(&"window [10, 11, 20, 21]".to_owned()));
}

/// The same program with its loop on a thread.
fn threaded(settings: Settings<'_>) -> (Arc<ManualClock>, StreamingContext, Program, Ears) {
    let (clock, ssc) = manual(settings);
    let p = Program::on(&ssc);
    p.output("output", &p.stream);
    let ears = Ears::on(&ssc);
    (clock, ssc, p, ears)
}
fn batch_error(result: Result<(), Error>) -> winterbourne_streaming::BatchError {
    match result {
        Err(Error::Batch(e)) => e,
        other => panic!("{other:?}"),
    }
}
#[test]
fn a_held_batch_holds_the_later_ones_until_it_is_tried_again() {
    let (clock, ssc, p, ears) = threaded(&[]);
    (0..4).for_each(|_| p.faults.add("output"));
    ssc.start().unwrap();
    clock.set(at(1));
    let error = batch_error(ssc.await_termination());
    assert_eq!((error.time, error.attempts), (at(1), 2));
    assert!(batch_error(ssc.await_termination()).to_string().contains("output fails"), "the same each time");
    assert!(matches!(ssc.status().health, Health::Held(e) if e.time == at(1)));
    assert_eq!(ears.failure().time, at(1));
    clock.set(at(3));
    // It fails again, and again holds the stream.
    ssc.retry_held_batch();
    assert_eq!(batch_error(ssc.await_termination()).time, at(1));
    assert_eq!((ears.failure().time, ssc.state()), (at(1), StreamingState::Active));
    ssc.retry_held_batch();
    assert_eq!([1, 2, 3].map(|_| second(ears.batch().time)), [1, 2, 3]);
    let outputs: Vec<_> = p.diary.take().into_iter().filter(|l| l.starts_with("output")).collect();
    assert_eq!(outputs, ["output [10, 11]", "output [20, 21]", "output [30, 31]"]);
    assert!(not_yet(&ssc));
    ssc.stop(Stop::now());
    ssc.await_termination().unwrap();
}
#[test]
fn a_held_batch_can_be_skipped_and_run_later() {
    let (clock, ssc, p, ears) = threaded(&[]);
    (0..2).for_each(|_| p.faults.add("output"));
    ssc.start().unwrap();
    clock.set(at(1));
    batch_error(ssc.await_termination());
    clock.set(at(2));
    ssc.skip_held_batch();
    assert_eq!(ears.batch().time, at(2));
    assert_eq!(ssc.status().set_aside, [at(1)]);
    ssc.rerun_batch(at(1));
    assert_eq!(ears.batch().time, at(1));
    let outputs: Vec<_> = p.diary.take().into_iter().filter(|l| l.starts_with("output")).collect();
    assert_eq!(outputs, ["output [20, 21]", "output [10, 11]"]);
    clock.set(at(3));
    assert_eq!(ears.batch().time, at(3));
    assert_eq!(ssc.status().set_aside, []);
    ssc.stop(Stop::now());
}
#[test]
fn a_held_stream_can_be_stopped_either_way() {
    for how in [Stop::now(), Stop::gracefully()] {
        let (clock, ssc, p, _ears) = threaded(&[]);
        (0..2).for_each(|_| p.faults.add("output"));
        ssc.start().unwrap();
        clock.set(at(1));
        batch_error(ssc.await_termination());
        ssc.stop(how);
        assert_eq!(ssc.state(), StreamingState::Stopped);
        batch_error(ssc.await_termination());
    }
}
#[test]
fn commands_without_a_held_batch_do_nothing() {
    let (clock, ssc, _p, ears) = threaded(&[]);
    ssc.start().unwrap();
    ssc.retry_held_batch();
    ssc.skip_held_batch();
    ssc.rerun_batch(at(7));
    clock.set(at(1));
    assert_eq!(ears.batch().time, at(1));
    ssc.stop(Stop::now());
    ssc.await_termination().unwrap();
}
#[test]
fn the_policy_skip_goes_on_with_the_next_batch() {
    let (clock, ssc, p, ears) = threaded(&[SKIP]);
    (0..2).for_each(|_| p.faults.add("output"));
    ssc.start().unwrap();
    clock.set(at(2));
    let info = ears.failure();
    assert_eq!((info.time, info.attempt), (at(1), 2));
    assert!(info.failure.unwrap().contains("output fails"));
    assert_eq!(ears.batch().time, at(2));
    assert!(not_yet(&ssc), "a skipped batch is no error");
    ssc.stop(Stop::now());
}
#[test]
fn the_policy_stop_ends_the_stream_with_the_error() {
    let (clock, ssc, p, _ears) = threaded(&[("spark.streaming.batch.onFailure", "stop")]);
    (0..2).for_each(|_| p.faults.add("output"));
    ssc.start().unwrap();
    clock.set(at(1));
    let error = batch_error(ssc.await_termination());
    assert!(error.to_string().contains("the stream ends"), "{error}");
    // The error is told before the threads have ended.
    ssc.stop(Stop::now());
    assert_eq!(ssc.state(), StreamingState::Stopped);
    assert!(matches!(ssc.status().health, Health::Failed(e) if e.time == at(1)));
    ssc.retry_held_batch();
    batch_error(ssc.await_termination());
}
#[test]
fn the_loop_outlives_a_panic_in_any_part_of_a_batch() {
    let (clock, ssc, p, ears) = threaded(&[SKIP, ONCE]);
    ssc.start().unwrap();
    let parts = ["plan", "read", "output", "settle", "log planned", "log completed", "log set aside"];
    for (i, part) in (1..).zip(parts) {
        p.faults.add(&format!("panic in {part}"));
        if part == "log set aside" {
            p.faults.add("output");
        }
        clock.set(at(i));
        let info = if part == "settle" { ears.batch() } else { ears.failure() };
        assert_eq!(info.time, at(i), "{part}");
    }
    clock.set(at(8));
    assert_eq!(ears.batch().time, at(8));
    ssc.stop(Stop::now());
    ssc.await_termination().unwrap();
}
#[test]
fn a_failed_batch_does_not_move_what_was_done() {
    let (mut tester, p) = program(&[SKIP, ONCE], &["output"]);
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    p.stream.foreach_rdd(move |rdd, _| -> Result<(), BoxError> {
        seen.fetch_add(1, Relaxed);
        rdd.count()?;
        Ok(())
    });
    tester.step().unwrap();
    p.faults.add("output");
    failed(tester.step(), &["output 0"]);
    let status = status(&tester);
    assert_eq!((status.last_batch, status.completed_batches, status.processed_records), (Some(at(1)), 1, 2));
    assert_eq!(calls.load(Relaxed), 1, "outputs after the failed one do not run");
}
#[test]
fn jobs_and_tasks_know_their_batch_and_output() {
    const KEYS: [&str; 2] = ["spark.streaming.internal.batchTime", "spark.streaming.internal.outputOpId"];
    for at_once in ["1", "4"] {
        let mut tester = tester(&[("spark.streaming.concurrentJobs", at_once)]);
        let (feed, stream) = tester.input::<u64>();
        let (tell, told) = std::sync::mpsc::channel();
        let heard = tell.clone();
        let listener = move |e: &SparkListenerEvent| {
            if let SparkListenerEvent::JobStart(job) = e {
                heard.send(KEYS.map(|key| job.properties.get(key).map(str::to_owned))).expect("the test listens");
            }
        };
        let sc = tester.context().spark_context().clone();
        sc.add_spark_listener(listener).expect("a new listener");
        for _ in 0..2 {
            let tell = tell.clone();
            stream.foreach_rdd(move |rdd, _| {
                let of_task = |_| TaskContext::get().map(|t| KEYS.map(|key| t.local_property(key).map(str::to_owned)));
                for properties in rdd.map(of_task).collect()? {
                    tell.send(properties.ok_or("no task")?)?;
                }
                Ok(())
            });
        }
        feed.partitions(1).push([1]);
        let batch = tester.step().expect("a good batch").as_millis().to_string();
        let mut all: Vec<_> = (0..4).map(|_| told.recv_timeout(PATIENCE).expect("the next of four")).collect();
        all.sort();
        let of = |output: &str| [Some(batch.clone()), Some(output.to_owned())];
        assert_eq!(all, [of("0"), of("0"), of("1"), of("1")], "from the listener and the task of each");
    }
}
