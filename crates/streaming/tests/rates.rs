//! Back-pressure through the whole loop: how long batches take decides what may come in.
mod common;
use common::*;
use std::sync::{
    Arc, Mutex,
    mpsc::{Sender, channel},
};
use winterbourne_base::ManualClock;
use winterbourne_engine::{BoxError, Rdd, SparkContext};
use winterbourne_streaming::{BatchMeasure, DStream, Input, InputLag, Intake, Limit, Planned, Tick};

/// Numbers without end; a batch takes as many as it may. Remembers what each was told, and what it took.
#[derive(Clone, Default)]
struct Backlog(Arc<Mutex<Vec<(Limit, u64)>>>);
impl Backlog {
    fn sizes(&self) -> Vec<u64> {
        self.0.lock().expect("plain list").iter().map(|(_, n)| *n).collect()
    }
}
impl Input<u64> for Backlog {
    type Plan = u64;
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        let n = tick.limit.records.unwrap_or(1_000_000);
        self.0.lock().expect("plain list").push((tick.limit, n));
        Ok(Some(Planned { plan: n, records: Some(n), description: String::new() }))
    }
    fn read(&mut self, sc: &SparkContext, n: &u64) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.range(0..*n, 1))
    }
    fn lag(&self) -> Vec<InputLag> {
        vec![InputLag { part: "all".into(), records: 1_000_000, newest: None }]
    }
}

/// Each record takes so many microseconds, on the clock of the test.
fn working(clock: &Arc<ManualClock>, stream: &DStream<u64>, us_per_record: impl Fn(u64) -> u64 + Send + 'static) {
    let (clock, mut batch) = (clock.clone(), 0);
    stream.foreach_rdd(move |rdd, _| {
        batch += 1;
        clock.advance(ms(rdd.count()? * us_per_record(batch) / 1_000));
        Ok(())
    });
}

#[test]
fn a_backlog_is_taken_in_steps_and_follows_the_capacity_of_the_batches() {
    let (clock, ssc) = manual(&[]);
    let backlog = Backlog::default();
    // 1,000 records a second, later 500.
    working(&clock, &ssc.input_stream("backlog", backlog.clone()), |batch| if batch <= 30 { 1_000 } else { 2_000 });
    let mut run = ssc.start_stepped().unwrap();
    for _ in 0..60 {
        clock.set(run.next_time().max(winterbourne_base::Clock::now(&*clock)));
        run.step().unwrap();
    }
    let sizes = backlog.sizes();
    assert_eq!(sizes[0], 100);
    assert!(sizes[5..30].iter().all(|n| (800..=900).contains(n)), "{sizes:?}");
    assert!(sizes[40..].iter().all(|n| (350..=450).contains(n)), "{sizes:?}");
}

#[test]
fn off_nothing_is_limited() {
    let (_clock, ssc) = manual(&[("spark.streaming.backpressure.enabled", "false")]);
    let backlog = Backlog::default();
    out(&ssc.input_stream("backlog", backlog.clone()));
    ssc.start_stepped().unwrap().step().unwrap();
    assert_eq!(backlog.0.lock().unwrap()[..], [(Limit::NONE, 1_000_000)]);
}

#[test]
fn a_maximum_of_records_is_shared_by_the_inputs_and_never_exceeded() {
    let (_clock, ssc) =
        manual(&[("spark.streaming.batch.maxRecords", "1500"), ("spark.streaming.backpressure.initialRate", "1000")]);
    let inputs = [Backlog::default(), Backlog::default(), Backlog::default()];
    for (i, input) in inputs.iter().enumerate() {
        out(&ssc.input_stream(format!("backlog {i}"), input.clone()));
    }
    let mut run = ssc.start_stepped().unwrap();
    for _ in 0..6 {
        run.step().unwrap();
    }
    let sizes: Vec<Vec<u64>> = inputs.iter().map(Backlog::sizes).collect();
    for batch in 0..6 {
        assert_eq!(sizes.iter().map(|of| of[batch]).sum::<u64>(), 1_500, "{sizes:?}");
    }
    assert!(sizes.iter().all(|of| of.iter().sum::<u64>() >= 2_000), "each has its turn: {sizes:?}");
}

/// The blocks of a receiver are never more than a batch may have.
#[test]
fn a_maximum_holds_for_receivers_in_records_and_in_bytes() {
    for (key, value) in [("spark.streaming.batch.maxRecords", "64"), ("spark.streaming.batch.maxBytes", "512")] {
        let (clock, ssc) = manual(&[(key, value), ("spark.streaming.backpressure.enabled", "false")]);
        let (stored, seen) = channel();
        let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
            intake.store_all((0..100).collect())?;
            (100..200).try_for_each(|n| intake.store(n))?;
            stored.send(())?;
            Ok(())
        }));
        let batches = send(&stream);
        let mut run = ssc.start_stepped().unwrap();
        next(&seen);
        let mut all = Vec::new();
        while all.len() < 200 {
            clock.set(run.next_time());
            run.step().unwrap();
            let (_, mut records) = next(&batches);
            assert!((1..=64).contains(&records.len()), "{} records", records.len());
            records.sort_unstable();
            all.extend(records);
        }
        assert_eq!(all, (0..200).collect::<Vec<_>>(), "in order, batch by batch");
    }
}

#[test]
fn batches_set_the_rate_of_a_receiver() {
    let (clock, ssc) = manual(&[("spark.streaming.backpressure.initialRate", "100")]);
    let (stored, seen) = channel();
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        for n in 0.. {
            intake.store(n)?;
            stored.send(())?;
        }
        Ok(())
    }));
    working(&clock, &stream, |_| 1_000);
    let mut run = ssc.start_stepped().unwrap();
    let (mut sizes, mut before, mut received) = (Vec::new(), 0, 0);
    for _ in 0..30 {
        // It goes on after each batch, until it has stored all that it may.
        next(&seen);
        clock.await_waiting(1);
        received += 1 + seen.try_iter().count() as u64;
        clock.set(run.next_time().max(winterbourne_base::Clock::now(&*clock)));
        run.step().unwrap();
        let processed = ssc.status().processed_records;
        sizes.push(processed - before);
        before = processed;
    }
    assert!(sizes[0] <= 100, "{sizes:?}");
    assert!(sizes[5..].iter().all(|n| (600..=900).contains(n)), "{sizes:?}");
    let limit = ssc.status().receivers[0].rate_limit.unwrap();
    assert!((800..=900).contains(&limit), "{limit}");
    assert!(received <= before + 2 * limit, "no more than two batches' worth is ahead");
}

/// What it brings happens now, and would be late; but a backlog is not swallowed either.
#[test]
fn of_a_receiver_the_first_batch_holds_ten_thousand_records_for_each_second() {
    let (clock, ssc) = manual(&[]);
    let stream = ssc.receiver_stream(Script(|intake: &Intake<u64>| {
        loop {
            intake.store(1)?;
        }
    }));
    let counted = total(&stream);
    let mut run = ssc.start_stepped().unwrap();
    assert_eq!(ssc.status().receivers[0].rate_limit, Some(10_000));
    // It waits for the time that its next record is due.
    clock.await_waiting(1);
    clock.set(run.next_time());
    run.step().unwrap();
    let held = counted.load(std::sync::atomic::Ordering::Relaxed);
    assert!((101..=10_000).contains(&held), "{held}");
}

/// A receiver whose group of records is to be durable together cannot have it divided.
#[test]
fn a_reliable_group_larger_than_the_maximum_has_a_batch_for_itself() {
    let (clock, ssc) = manual(&[("spark.streaming.batch.maxRecords", "4")]);
    let (stored, seen) = channel();
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        intake.store_all(vec![1, 2])?;
        intake.store_reliably((3..10).collect())?;
        intake.store(10)?;
        stored.send(())?;
        Ok(())
    }));
    let batches = send(&stream);
    let mut run = ssc.start_stepped().unwrap();
    next(&seen);
    for expect in [vec![1, 2], (3..10).collect(), vec![10]] {
        clock.set(run.next_time());
        run.step().unwrap();
        assert_eq!(next(&batches).1, expect);
    }
}

#[test]
fn numbers_at_a_rate_that_is_too_high_are_late_but_not_lost() {
    let (clock, ssc) = manual(&[]);
    let stream = ssc.rate_stream(2_000);
    let batches = send(&stream);
    working(&clock, &stream, |_| 1_000);
    let mut run = ssc.start_stepped().unwrap();
    let mut next_number = 0;
    for _ in 0..20 {
        clock.set(run.next_time().max(winterbourne_base::Clock::now(&*clock)));
        run.step().unwrap();
        let mut records = next(&batches).1;
        records.sort_unstable();
        assert!(records.len() <= 1_000);
        assert_eq!(records, (next_number..next_number + records.len() as u64).collect::<Vec<_>>());
        next_number += records.len() as u64;
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
