//! What listeners of a stream hear, in which order, and what they cannot break.
mod common;
use common::*;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
    mpsc::channel,
};
use winterbourne_streaming::{DStream, Stop, StreamingContext, StreamingEvent};

fn kinds(events: &[StreamingEvent]) -> Vec<&'static str> {
    events.iter().map(kind).collect()
}
#[test]
fn listeners_hear_of_a_batch_in_order() {
    let (clock, ssc, queue) = simple(&[]);
    queue.push(ssc.spark_context().range(0..5, 2));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    clock.set(at(2));
    let (one, two) = (ears.batch(), ears.batch());
    assert_eq!((one.time, two.time, one.attempt, one.coalesced), (at(1), at(2), 1, 0));
    assert_eq!((one.scheduling_delay_us, two.scheduling_delay_us), (1_000_000, 0));
    assert_eq!(one.total_delay_us(), 1_000_000 + one.processing_us);
    assert_eq!((one.outputs.len(), one.outputs[0].id, &one.outputs[0].failure), (1, 0, &None));
    assert!(one.outputs[0].name.starts_with("foreach_rdd at ") && one.outputs[0].name.contains("listeners.rs:"));
    ssc.stop(Stop::now());
    assert_eq!(kinds(&ears.rest()), ["stopped"]);
}
#[test]
fn a_batch_says_what_each_input_could_give() {
    for (back_pressure, most) in [("true", 100), ("false", 700)] {
        let (clock, ssc) = manual(&[
            ("spark.streaming.backpressure.enabled", back_pressure),
            ("spark.streaming.backpressure.initialRate", "100"),
            ("spark.streaming.batch.maxRecords", "700"),
        ]);
        out(&ssc.rate_stream(50));
        let ears = Ears::on(&ssc);
        ssc.start().unwrap();
        clock.set(at(1));
        let limit = ears.batch().inputs[0].limit;
        assert_eq!(limit.records, Some(most), "{limit:?}");
        ssc.stop(Stop::now());
    }
}
#[test]
fn every_event_of_a_run_in_order() {
    let (clock, ssc, queue) = simple(&[]);
    queue.close();
    let (mut first, ears) = (true, Ears::on(&ssc));
    queue_of_one(&ssc).foreach_rdd(move |_, _| match std::mem::take(&mut first) {
        true => Err("the first attempt fails".into()),
        false => Ok(()),
    });
    ssc.start().unwrap();
    clock.set(at(1));
    ssc.await_termination().unwrap();
    ssc.stop(Stop::now());
    let batch = ["submitted", "batch started", "batch started", "completed"];
    assert_eq!(kinds(&ears.rest()), [&["started"][..], &batch, &["stopped"]].concat());
}
fn queue_of_one(ssc: &StreamingContext) -> DStream<u64> {
    ssc.queue_stream(&[ssc.spark_context().range(0..1, 1)].into_iter().collect())
}
#[test]
fn a_listener_that_panics_hurts_nobody() {
    let (clock, ssc, _queue) = simple(&[]);
    let calls = Arc::new(AtomicU64::new(0));
    let (count, before) = (calls.clone(), Ears::on(&ssc));
    ssc.add_streaming_listener(move |_: &StreamingEvent| {
        count.fetch_add(1, Relaxed);
        panic!("a bad listener");
    });
    let after = Ears::on(&ssc);
    ssc.start().unwrap();
    clock.set(at(2));
    for ears in [&before, &after] {
        assert_eq!([ears.batch().time, ears.batch().time], [at(1), at(2)]);
    }
    ssc.stop(Stop::now());
    assert_eq!(calls.load(Relaxed), 8, "it is told of all the same");
}
#[test]
fn a_listener_may_be_added_at_any_time_also_by_a_listener() {
    for stepped in [true, false] {
        let (clock, ssc, _queue) = simple(&[]);
        let (inside, (tell, heard)) = (ssc.clone(), channel());
        ssc.add_streaming_listener(move |e: &StreamingEvent| {
            if kind(e) == "submitted" {
                let tell = tell.clone();
                inside.add_streaming_listener(move |e: &StreamingEvent| {
                    let _ = tell.send(kind(e));
                });
            }
        });
        if stepped {
            ssc.start_stepped().unwrap().step().unwrap();
        } else {
            ssc.start().unwrap();
            clock.set(at(1));
        }
        assert_eq!([next(&heard), next(&heard)], ["batch started", "completed"]);
        ssc.stop(Stop::now());
    }
}

#[test]
fn a_removed_listener_hears_nothing_more() {
    let mut tester = tester(&[]);
    let (_feed, stream) = tester.input::<u8>();
    stream.foreach_rdd(|_, _| Ok(()));
    let ssc = tester.context().clone();
    let listen = |to: std::sync::mpsc::Sender<u64>| {
        ssc.add_streaming_listener(move |event: &StreamingEvent| {
            if let StreamingEvent::BatchCompleted(info) = event {
                to.send(second(info.time)).unwrap();
            }
        })
    };
    let ((one, first), (two, second)) = (channel(), channel());
    let (one, two) = (listen(one), listen(two));
    tester.step().unwrap();
    assert!(ssc.remove_streaming_listener(one));
    assert!(!ssc.remove_streaming_listener(one), "it is gone");
    tester.step().unwrap();
    assert!(ssc.remove_streaming_listener(two));
    tester.step().unwrap();
    assert_eq!(first.try_iter().collect::<Vec<_>>(), [1]);
    assert_eq!(second.try_iter().collect::<Vec<_>>(), [1, 2]);
}
#[test]
fn a_listener_may_remove_itself() {
    let mut tester = tester(&[]);
    let (_feed, stream) = tester.input::<u8>();
    stream.foreach_rdd(|_, _| Ok(()));
    let (ssc, calls) = (tester.context().clone(), Arc::new(AtomicU64::new(0)));
    let (context, seen, own) = (ssc.clone(), calls.clone(), Arc::new(std::sync::OnceLock::new()));
    let me = own.clone();
    let id = ssc.add_streaming_listener(move |_: &StreamingEvent| {
        seen.fetch_add(1, Relaxed);
        assert!(context.remove_streaming_listener(*me.get().unwrap()));
    });
    own.set(id).unwrap();
    tester.steps(2).unwrap();
    assert_eq!(calls.load(Relaxed), 1);
}
