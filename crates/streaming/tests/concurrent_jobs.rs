//! Outputs of a batch side by side (`spark.streaming.concurrentJobs`): what runs at once, what stays in order.
mod common;

use common::*;
use std::sync::{
    Arc, Barrier,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use winterbourne_base::Time;
use winterbourne_engine::{BoxError, Records};
use winterbourne_streaming::{RddQueue, Recovered, Sink, SinkWriter, State, StateSpec, Stop, StreamingEvent};

const FOUR: (&str, &str) = ("spark.streaming.concurrentJobs", "4");
const ONCE: (&str, &str) = ("spark.streaming.batch.maxAttempts", "1");

#[test]
fn so_many_outputs_run_at_once_and_batches_one_after_the_other() {
    let (diary, met) = (Diary::default(), Arc::new(Barrier::new(4)));
    let mut tester = tester(&[FOUR]);
    let (feed, stream) = tester.input::<u64>();
    for _ in 0..4 {
        let (diary, met) = (diary.clone(), met.clone());
        stream.foreach_rdd(move |rdd, time| {
            met.wait(); // nobody passes alone
            let sum: u64 = rdd.collect()?.iter().sum();
            diary.write(format!("{}: {sum}", second(time)));
            Ok(())
        });
    }
    for batch in [1..4, 10..20, 5..6] {
        feed.clone().partitions(3).push(batch);
    }
    tester.steps(3).expect("good batches");
    let expect: Vec<String> = ["1: 6", "2: 145", "3: 5"].iter().flat_map(|line| vec![line.to_string(); 4]).collect();
    assert_eq!(diary.take(), expect);
}

#[test]
fn what_succeeded_beside_a_failure_is_not_repeated_and_the_first_one_is_told() {
    let (diary, met) = (Diary::default(), Arc::new(Barrier::new(3)));
    let (_, ssc) = manual(&[FOUR, ONCE, ("spark.streaming.state.volatile", "true")]);
    let queue: RddQueue<u64> = [ssc.spark_context().range(0..4, 2)].into_iter().collect();
    let stream = ssc.queue_stream(&queue).map(|n| (n % 2, n)).map_with_state(StateSpec::function(
        |key: &u64, n: Option<u64>, sum: &mut State<'_, u64>| {
            let so_far = sum.get().copied().unwrap_or(0) + n.unwrap_or(0);
            sum.update(so_far);
            (*key, so_far)
        },
    ));
    for name in ["a", "b", "c"] {
        let (diary, met, mut first) = (diary.clone(), met.clone(), true);
        stream.state_snapshots().foreach_rdd(move |rdd, _| {
            let mut all = rdd.collect()?;
            all.sort_unstable();
            if std::mem::take(&mut first) {
                met.wait(); // so all of them have begun
                if name != "b" {
                    return Err(format!("{name} fails once").into());
                }
            }
            diary.write(format!("{name} {all:?}"));
            Ok(())
        });
    }
    let mut run = ssc.start_stepped().expect("a start");
    let error = run.step().expect_err("two outputs fail").to_string();
    assert!(error.contains("output 0, foreach_rdd") && error.contains("a fails once"), "{error}");
    assert_eq!(diary.take(), ["b [(0, 2), (1, 4)]"]);
    run.step().expect("the batch is held and run again");
    let mut again = diary.take();
    again.sort();
    assert_eq!(again, ["a [(0, 2), (1, 4)]", "c [(0, 2), (1, 4)]"], "the state has the batch once");
}

/// Notes when its batches are committed.
struct Noting(&'static str, Diary, Arc<Barrier>);
struct Nothing(Arc<Barrier>);
impl SinkWriter<u64> for Nothing {
    type Staged = u64;
    fn stage(&self, partition: usize, records: Records<u64>) -> Result<u64, BoxError> {
        if partition == 0 {
            self.0.wait();
        }
        Ok(records.sum())
    }
}
impl Sink<u64> for Noting {
    type Writer = Nothing;
    fn recover(&mut self, _: Time) -> Result<Recovered, BoxError> {
        Ok(Recovered::Absent)
    }
    fn begin(&mut self, _: Time) -> Result<Nothing, BoxError> {
        Ok(Nothing(self.2.clone()))
    }
    fn commit(&mut self, batch: Time, staged: Vec<u64>) -> Result<(), BoxError> {
        self.1.write(format!("{} {} {}", second(batch), self.0, staged.iter().sum::<u64>()));
        Ok(())
    }
    fn abort(&mut self, _: Time) {}
}

#[test]
fn sinks_stage_at_once_and_commit_in_their_order_and_that_of_batches() {
    let (diary, met) = (Diary::default(), Arc::new(Barrier::new(3)));
    let mut tester = tester(&[FOUR]);
    let (feed, stream) = tester.input::<u64>();
    for (name, factor) in [("a", 1), ("b", 10), ("c", 100)] {
        stream.map(move |n: u64| n * factor).write_to(name, Noting(name, diary.clone(), met.clone()));
    }
    let feed = feed.partitions(2);
    feed.push([1, 2]);
    feed.push([4, 5]);
    tester.steps(2).expect("good batches");
    assert_eq!(diary.take(), ["1 a 3", "1 b 30", "1 c 300", "2 a 9", "2 b 90", "2 c 900"]);
}

#[test]
fn a_stop_from_within_outputs_on_any_thread_waits_for_nobody() {
    for how in [Stop::now(), Stop::gracefully()] {
        let (clock, ssc) = manual(&[FOUR]);
        let queue: RddQueue<u64> = [ssc.spark_context().range(0..8, 2)].into_iter().collect();
        let (stream, met) = (ssc.queue_stream(&queue), Arc::new(Barrier::new(3)));
        let ended = Arc::new(AtomicU64::new(0));
        for _ in 0..3 {
            let (own, met, ended) = (ssc.clone(), met.clone(), ended.clone());
            stream.foreach_rdd(move |rdd, _| {
                met.wait();
                own.stop(how);
                ended.fetch_add(rdd.count()?, SeqCst);
                Ok(())
            });
        }
        ssc.start().expect("a start");
        clock.advance(winterbourne_streaming::seconds(1));
        ssc.await_termination().expect("it stops");
        assert_eq!(ended.load(SeqCst), 24, "the batch is finished");
    }
}

#[test]
fn events_name_each_output_in_order() {
    let mut tester = tester(&[FOUR, ONCE]);
    let (feed, stream) = tester.input::<u64>();
    let (tell, told) = std::sync::mpsc::channel();
    tester.context().add_streaming_listener(move |event: &StreamingEvent| {
        if let StreamingEvent::BatchCompleted(batch) = event {
            tell.send(batch.outputs.iter().map(|o| (o.id, o.failure.is_none())).collect::<Vec<_>>()).expect("heard");
        }
    });
    (0..9).for_each(|_| stream.foreach_rdd(|rdd, _| Ok(rdd.foreach(|_| ())?)));
    feed.push(0..5);
    tester.step().expect("a good batch");
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(0..9).map(|id| (id, true)).collect::<Vec<_>>()]);
}
