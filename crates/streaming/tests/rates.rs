//! Back-pressure through the whole loop: how long batches take decides what may come in.
mod common;
use common::*;
use std::sync::mpsc::{Sender, channel};
use winterbourne_engine::{BoxError, Rdd, SparkContext};
use winterbourne_streaming::{BatchMeasure, Input, Intake, Planned, Tick};

#[test]
fn batches_set_the_rate_of_a_receiver() {
    let (clock, ssc) = manual(&[("spark.streaming.backpressure.enabled", "true")]);
    let ((feed, fed), (stored, seen)) = (channel::<u64>(), channel());
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        for n in fed.iter() {
            intake.store_all((0..n).collect())?;
            stored.send(())?;
        }
        Ok(())
    }));
    let working = clock.clone();
    stream.foreach_rdd(move |rdd, _| {
        if rdd.count()? > 0 {
            working.advance(ms(500));
        }
        Ok(())
    });
    let mut run = ssc.start_stepped().unwrap();
    let limit = || ssc.status().receivers[0].rate_limit;
    for (second, n, expect) in [(1, 100, None), (2, 100, Some(200)), (3, 50, Some(100)), (4, 50, Some(100))] {
        feed.send(n).unwrap();
        if limit().is_some() {
            clock.await_waiting(1);
        }
        clock.set(at(second));
        next(&seen);
        run.step().unwrap();
        assert_eq!(limit(), expect, "after {second} s");
    }
}

/// Three records a batch; passes on what it is told of them.
struct Three(Sender<BatchMeasure>);
impl Input<u64> for Three {
    type Plan = ();
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<()>>, BoxError> {
        Ok(Some(Planned { plan: (), records: Some(3), description: String::new() }))
    }
    fn read(&mut self, sc: &SparkContext, (): &()) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.range(0..3, 1))
    }
    fn measured(&mut self, batch: &BatchMeasure) {
        let _ = self.0.send(*batch);
    }
}

#[test]
fn an_input_learns_how_its_batches_went_and_nothing_of_those_that_failed() {
    let (clock, ssc) = manual(&[("spark.streaming.batch.maxAttempts", "1")]);
    let (tell, told) = channel();
    let (working, mut fails) = (clock.clone(), true);
    ssc.input_stream("three", Three(tell)).foreach_rdd(move |_, _| {
        if std::mem::take(&mut fails) {
            return Err("not yet".into());
        }
        working.advance(ms(400));
        Ok(())
    });
    let mut run = ssc.start_stepped().unwrap();
    clock.set(at(1));
    run.step().unwrap_err();
    assert!(told.try_recv().is_err());
    clock.advance(ms(300));
    run.step().unwrap();
    let batch = told.try_recv().unwrap();
    assert_eq!((batch.time, batch.records), (at(1), 3));
    assert_eq!((batch.scheduling_delay_us, batch.processing_us), (300_000, 400_000));
}
