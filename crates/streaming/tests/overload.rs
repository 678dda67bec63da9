//! More comes than batches can process: what happens to the ticks, and what `status().health` says.
mod common;
use common::*;
use std::sync::{
    Arc,
    mpsc::{self, channel},
};
use winterbourne_base::{Clock as _, ManualClock};
use winterbourne_engine::{BoxError, Rdd, SparkContext};
use winterbourne_streaming::{
    Cause, DStream, Health, Input, InputLag, Intake, Planned, SlowStage, Stop, StreamingContext, StreamingEvent, Tick,
    Time,
};

/// So many records come every second; a batch takes what it may.
struct Source {
    /// At first.
    there: u64,
    per_second: u64,
    began: Option<u64>,
    taken: u64,
    behind: u64,
    /// When a batch is done before the next tick, time passes until then.
    clock: Option<Arc<ManualClock>>,
}
impl Source {
    fn new(per_second: u64) -> Self {
        Source { there: 0, per_second, began: None, taken: 0, behind: 0, clock: None }
    }
}
impl Input<u64> for Source {
    type Plan = (u64, Time);
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<(u64, Time)>>, BoxError> {
        let now = second(tick.time);
        let began = *self.began.get_or_insert(now - 1);
        let there = self.there + (now - began) * self.per_second - self.taken;
        let n = there.min(tick.limit.records.unwrap_or(u64::MAX));
        self.taken += n;
        self.behind = there - n;
        Ok(Some(Planned { plan: (n, tick.time), records: Some(n), description: String::new() }))
    }
    fn read(&mut self, sc: &SparkContext, (n, _): &(u64, Time)) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.range(0..*n, 1))
    }
    fn settle(&mut self, (_, time): (u64, Time)) {
        if let Some(clock) = &self.clock
            && clock.now() < time + ms(1_000)
        {
            clock.set(time + ms(1_000));
        }
    }
    fn lag(&self) -> Vec<InputLag> {
        vec![InputLag { part: "all".into(), records: self.behind, newest: None }]
    }
}

/// A running stream whose time passes in its batches: batch n takes so many milliseconds for its records, and if that is
/// less than is left, the clock goes on to the next tick. Before each batch it says how it is.
struct Run {
    ssc: StreamingContext,
    heard: Option<mpsc::Receiver<(Time, u64, Health)>>,
}
impl Run {
    fn of(settings: Settings<'_>, source: Source, took: fn(u64, u64) -> u64) -> Self {
        Self::with(settings, source, |stream| stream, took)
    }
    fn with(
        settings: Settings<'_>,
        source: Source,
        stream: impl FnOnce(DStream<u64>) -> DStream<u64>,
        took: fn(u64, u64) -> u64,
    ) -> Self {
        let (clock, ssc) = manual(settings);
        let (tell, heard) = mpsc::sync_channel(0);
        let (own, inside, mut batch) = (clock.clone(), ssc.clone(), 0);
        let source = Source { clock: Some(clock.clone()), ..source };
        stream(ssc.input_stream("source", source)).foreach_rdd(move |rdd, time| {
            batch += 1;
            let n = rdd.count()?;
            // Nobody listens any more at the end.
            let _ = tell.send((time, n, inside.status().health));
            own.advance(ms(took(batch, n)));
            Ok(())
        });
        ssc.start().expect("a good graph");
        clock.set(at(1));
        Run { ssc, heard: Some(heard) }
    }
    /// Seconds, records, and the health before the batch.
    fn next(&self) -> (u64, u64, Health) {
        let (time, n, health) = next(self.heard.as_ref().expect("until it is dropped"));
        (second(time), n, health)
    }
    fn healths(&self, n: usize) -> Vec<Health> {
        (0..n).map(|_| self.next().2).collect()
    }
    /// The cause, as soon as it is known where the time goes: tasks are heard of on another thread.
    fn cause(&self) -> (u64, Cause) {
        loop {
            if let Health::FallingBehind { records, cause, .. } = self.next().2
                && cause.stage.is_some()
            {
                return (records, cause);
            }
        }
    }
}
impl Drop for Run {
    fn drop(&mut self) {
        self.heard = None;
        self.ssc.stop(Stop::now());
    }
}

#[test]
fn a_source_that_brings_too_much_is_the_cause_when_batches_are_in_time() {
    let run = Run::of(&[], Source::new(3_000), |_, n| n);
    let seen = run.healths(20);
    assert!(matches!(seen[1], Health::CatchingUp { records: 2_900, until: None, .. }), "{:?}", seen[1]);
    assert!(matches!(&seen[19], Health::FallingBehind { records: 30_000.., .. }), "{:?}", seen[19]);
    let (records, cause) = run.cause();
    assert!(records > 30_000 && !cause.batches_too_slow, "{records} {cause}");
    let stage = cause.stage.as_ref().expect("known");
    assert!(stage.name.starts_with("range at") && stage.share > 0.9, "{stage}");
    assert!(cause.to_string().starts_with("the sources bring more than the batches can process"), "{cause}");
}

#[test]
fn a_backlog_that_shrinks_is_caught_up_with_and_when_is_told() {
    // 3,000 records at first; then 500 a second, of which 900 can be processed.
    let source = Source { there: 3_000, ..Source::new(500) };
    let run = Run::of(&[("spark.streaming.backpressure.initialRate", "900")], source, |_, n| n);
    let seen: Vec<(u64, Health)> = (0..20).map(|_| run.next()).map(|(second, _, health)| (second, health)).collect();
    let untils: Vec<u64> = seen
        .iter()
        .filter_map(|(_, health)| match health {
            Health::CatchingUp { until: Some(until), .. } => Some(second(*until)),
            _ => None,
        })
        .collect();
    let in_time = seen.iter().skip(1).find(|(_, health)| matches!(health, Health::Ok)).expect("it is done").0;
    assert!(untils.len() >= 3, "{seen:?}");
    assert!(untils.iter().all(|until| until.abs_diff(in_time) <= 2), "{untils:?}, and it was {in_time}");
    assert!(matches!(seen[19].1, Health::Ok), "and stays");
}

#[test]
fn batches_that_are_too_slow_are_coalesced_and_the_cause_is_said() {
    // As if each batch waited for a disk, whatever is in it.
    let run = Run::of(&[], Source::new(10), |_, _| 2_500);
    let (tell, told) = mpsc::channel();
    run.ssc.add_streaming_listener(move |event: &StreamingEvent| {
        if let StreamingEvent::HealthChanged(health) = event {
            let _ = tell.send(health.clone());
        }
    });
    let (_, cause) = run.cause();
    assert!(cause.batches_too_slow, "{cause}");
    let busy = cause.busy_threads.expect("it was watched");
    assert!(busy < 0.5 && cause.to_string().contains("no task runs"), "the clock stands still in tasks: {cause}");
    let Health::FallingBehind { waiting, .. } = run.next().2 else { panic!("it does not get better") };
    assert!((1..=3).contains(&waiting), "{waiting}");
    let first = next(&told);
    assert!(matches!(&first, Health::FallingBehind { cause, .. } if cause.batches_too_slow), "{first:?}");
    let status = run.ssc.status();
    assert!(status.coalesced_ticks > 0 && status.blocked_batches == 0, "{status:?}");
}

#[test]
fn instead_of_coalescing_every_other_batch_takes_nothing_in() {
    let took = |batch, _| if batch == 1 { 8_000 } else { 10 };
    let settings = [("spark.streaming.batch.onOverload", "block"), ("spark.streaming.backpressure.enabled", "false")];
    let run = Run::of(&settings, Source::new(10), took);
    let sizes: Vec<(u64, u64)> = (0..12).map(|_| run.next()).map(|(second, n, _)| (second, n)).collect();
    assert_eq!(sizes.iter().map(|(t, _)| *t).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>(), "every tick");
    let nothing: Vec<u64> = sizes.iter().filter(|(_, n)| *n == 0).map(|(t, _)| *t).collect();
    assert_eq!(nothing, [2, 4, 6], "{sizes:?}");
    assert_eq!(sizes.iter().map(|(_, n)| n).sum::<u64>(), 120, "nothing is lost: {sizes:?}");
    let status = run.ssc.status();
    assert_eq!((status.blocked_batches, status.coalesced_ticks), (3, 0));
}

#[test]
fn a_queue_gives_nothing_to_a_batch_that_takes_nothing_in() {
    let (clock, ssc) =
        manual(&[("spark.streaming.batch.onOverload", "block"), ("spark.streaming.backpressure.enabled", "false")]);
    let sc = ssc.spark_context().clone();
    let queue = winterbourne_streaming::RddQueue::new();
    (0..4).for_each(|n| queue.push(sc.range(n..n + 1, 1)));
    let options = winterbourne_streaming::QueueOptions::default().default_rdd(sc.range(9..10, 1));
    let (tell, heard) = channel();
    let own = clock.clone();
    ssc.queue_stream_with(&queue, options).foreach_rdd(move |rdd, t| {
        tell.send((second(t), rdd.collect()?))?;
        // The first batch takes so long that others queue up behind it.
        own.advance(ms(if second(t) == 1 { 8_000 } else { 10 }));
        Ok(())
    });
    ssc.start().expect("a good graph");
    clock.set(at(1));
    let taken: Vec<(u64, Vec<u64>)> = (0..8).map(|_| next(&heard)).collect();
    let expect = [vec![0], vec![], vec![1], vec![], vec![2], vec![], vec![3], vec![9]];
    assert_eq!(taken, (1..).zip(expect).collect::<Vec<_>>(), "not even what stands for an empty queue");
    ssc.stop(Stop::now());
}

#[test]
fn no_more_batches_wait_than_may() {
    for most in [1, 2, 4] {
        let (clock, ssc) = manual(&[("spark.streaming.maxQueuedBatches", &most.to_string())]);
        let seen = send(&queue(&ssc).1);
        let ears = Ears::on(&ssc);
        ssc.start().expect("a good graph");
        clock.set(at(10));
        let times: Vec<u64> = (0..most).map(|_| second(next(&seen).0)).collect();
        assert_eq!(times, (11 - most..=10).collect::<Vec<_>>());
        while ears.batch().time != at(10) {}
        let status = ssc.status();
        assert_eq!((status.completed_batches, status.coalesced_ticks), (most, 10 - most));
        ssc.stop(Stop::now());
    }
}

#[test]
fn a_stream_that_falls_behind_is_told_of_once_and_once_more_when_it_is_in_time() {
    let took = |batch, _| if batch <= 15 { 2_500 } else { 10 };
    let run = Run::of(&[("spark.streaming.backpressure.enabled", "false")], Source::new(10), took);
    let (tell, told) = channel();
    run.ssc.add_streaming_listener(move |event: &StreamingEvent| {
        if let StreamingEvent::HealthChanged(health) = event {
            let _ = tell.send(health.clone());
        }
    });
    let slow = run.healths(16);
    assert!(matches!(&slow[15], Health::FallingBehind { .. }), "{:?}", slow[15]);
    while !matches!(run.next().2, Health::Ok) {}
    assert!(matches!(next(&told), Health::FallingBehind { .. }));
    assert!(matches!(next(&told), Health::Ok));
}

/// One key has most of the records, or the records of some keys cost more: both hold a partition up.
#[test]
fn skew_is_told_from_slow_records() {
    for skewed in [true, false] {
        let keyed = move |n: u64| (if skewed && !n.is_multiple_of(10) { 7 } else { n % 1_000 }, n);
        let work = move |key: u64, n: usize| {
            let rounds = if skewed {
                40
            } else if key % 4 == 1 {
                400
            } else {
                4
            };
            (0..rounds * n).fold(key, |x, _| std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005)))
        };
        let stream =
            |numbers: DStream<u64>| numbers.map(keyed).group_by_key_in(4).map(move |(key, all)| work(key, all.len()));
        let settings = [("spark.streaming.backpressure.enabled", "false")];
        let run = Run::with(&settings, Source::new(20_000), stream, |_, _| 2_500);
        let is_right = |stage: &SlowStage| match skewed {
            true => stage.share > 0.5 && stage.is_skewed() && stage.times_larger > 2.0,
            false => stage.share > 0.5 && stage.times_larger < 2.0,
        };
        // How long tasks take is measured, and for some batches it may be something else that holds them up.
        let mut told = (0..50).map(|_| run.cause().1.stage.expect("known"));
        assert!(told.any(|stage| is_right(&stage)), "skewed: {skewed}");
    }
}

#[test]
fn a_receiver_whose_source_has_to_wait_all_the_time_is_an_overload() {
    let (clock, ssc) =
        manual(&[("spark.streaming.backpressure.enabled", "false"), ("spark.streaming.receiver.bufferSize", "800")]);
    let (stored, seen) = channel();
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        for n in 0.. {
            intake.store(n)?;
            stored.send(())?;
        }
        Ok(())
    }));
    let (tell, heard) = channel();
    let (own, inside) = (clock.clone(), ssc.clone());
    stream.foreach_rdd(move |rdd, _| {
        let _ = tell.send(inside.status().health);
        own.advance(ms(rdd.count()?));
        Ok(())
    });
    ssc.start().expect("a good graph");
    let mut last = Health::Ok;
    for _ in 0..60 {
        if matches!(last, Health::FallingBehind { .. }) {
            break;
        }
        next(&seen);
        clock.await_waiting(3); // the loop, the listeners' thread, and the receiver, which has stored all that it may
        seen.try_iter().for_each(drop);
        clock.set(clock.now().floor(ms(1_000)) + ms(1_000));
        last = next(&heard);
    }
    let Health::FallingBehind { cause, .. } = &last else { panic!("{last:?}") };
    assert!(!cause.batches_too_slow, "{cause}");
    assert!(ssc.status().receivers[0].stalls >= 10);
    ssc.stop(Stop::now());
}
