//! More comes than batches can process: what happens to the ticks, and what `status().health` says.
mod common;
use common::*;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
    mpsc::channel,
};
use winterbourne_base::{Clock as _, ManualClock};
use winterbourne_engine::{BoxError, Rdd, SparkContext};
use winterbourne_streaming::{
    Cause, Health, Input, InputLag, Intake, Planned, Stop, StreamingContext, StreamingEvent, Tick,
};

/// So many records come every second; a batch takes what it may.
struct Source {
    per_second: u64,
    began: Option<u64>,
    taken: u64,
    behind: u64,
}
impl Source {
    fn new(per_second: u64) -> Self {
        Source { per_second, began: None, taken: 0, behind: 0 }
    }
}
impl Input<u64> for Source {
    type Plan = u64;
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        let now = second(tick.time);
        let began = *self.began.get_or_insert(now - 1);
        let there = (now - began) * self.per_second - self.taken;
        let n = there.min(tick.limit.records.unwrap_or(u64::MAX));
        self.taken += n;
        self.behind = there - n;
        Ok(Some(Planned { plan: n, records: Some(n), description: String::new() }))
    }
    fn read(&mut self, sc: &SparkContext, n: &u64) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.range(0..*n, 1))
    }
    fn lag(&self) -> Vec<InputLag> {
        vec![InputLag { part: "all".into(), records: self.behind, newest: None }]
    }
}

/// Moves the clock to the next tick after each batch, as time does, and keeps what the health was then.
fn run(ssc: &StreamingContext, clock: &ManualClock, batches: usize) -> Vec<Health> {
    let ears = Ears::on(ssc);
    ssc.start().expect("a good graph");
    let mut seen = Vec::new();
    for _ in 0..batches {
        clock.await_waiting(1);
        let now = clock.now();
        clock.set(now.floor(ms(1_000)) + ms(1_000));
        ears.batch();
        // The loop waits for the next tick, or runs the next batch, which is due already.
        seen.push(ssc.status().health);
    }
    ssc.stop(Stop::now());
    seen
}

/// An output whose batch n takes so many milliseconds for its records.
fn taking(clock: &Arc<ManualClock>, ssc: &StreamingContext, source: Source, took: fn(u64, u64) -> u64) {
    let (clock, mut batch) = (clock.clone(), 0);
    ssc.input_stream("source", source).foreach_rdd(move |rdd, _| {
        batch += 1;
        clock.advance(ms(took(batch, rdd.count()?)));
        Ok(())
    });
}

#[test]
fn a_source_that_brings_too_much_is_the_cause_when_batches_are_in_time() {
    let (clock, ssc) = manual(&[]);
    taking(&clock, &ssc, Source::new(3_000), |_, n| n);
    let seen = run(&ssc, &clock, 20);
    assert!(matches!(seen[0], Health::CatchingUp { records: 2_900, until: None, .. }), "{:?}", seen[0]);
    let Health::FallingBehind { records, cause, .. } = &seen[19] else { panic!("{:?}", seen[19]) };
    assert!(*records > 30_000 && !cause.batches_too_slow, "{records} {cause}");
    let stage = cause.stage.as_ref().expect("it was watched");
    assert!(stage.name.starts_with("range at") && stage.share > 0.9, "{stage}");
    assert!(cause.to_string().starts_with("the sources bring more than the batches can process"), "{cause}");
}

#[test]
fn a_backlog_that_shrinks_is_caught_up_with_and_when_is_told() {
    // 2,000 records at first; then 500 a second, of which 900 can be processed.
    let (clock, ssc) = manual(&[("spark.streaming.backpressure.initialRate", "900")]);
    let mut source = Source::new(500);
    source.began = Some(0);
    let late = clock.clone();
    late.set(at(9));
    taking(&clock, &ssc, source, |_, n| n);
    let seen = run(&ssc, &clock, 20);
    let untils: Vec<u64> = seen
        .iter()
        .filter_map(|health| match health {
            Health::CatchingUp { until: Some(until), .. } => Some(second(*until)),
            _ => None,
        })
        .collect();
    let in_time = seen.iter().position(|health| matches!(health, Health::Ok)).expect("it is done") as u64 + 10;
    assert!(untils.len() >= 3, "{seen:?}");
    assert!(untils.iter().all(|until| until.abs_diff(in_time) <= 2), "{untils:?}, and it was {in_time}");
    assert!(matches!(seen[19], Health::Ok), "and stays");
}

#[test]
fn batches_that_are_too_slow_are_coalesced_and_the_cause_is_said() {
    let (clock, ssc) = manual(&[]);
    // As if each batch waited for a disk, whatever is in it.
    taking(&clock, &ssc, Source::new(10), |_, _| 2_500);
    let (tell, told) = channel();
    ssc.add_streaming_listener(move |event: &StreamingEvent| {
        if let StreamingEvent::HealthChanged(health) = event {
            let _ = tell.send(health.clone());
        }
    });
    let seen = run(&ssc, &clock, 30);
    let behind = |health: &Health| match health {
        Health::FallingBehind { waiting, cause, .. } => Some((*waiting, cause.clone())),
        _ => None,
    };
    let (waiting, cause) = behind(&seen[29]).unwrap_or_else(|| panic!("{:?}", seen[29]));
    assert!((1..=3).contains(&waiting) && cause.batches_too_slow, "{waiting} {cause}");
    let busy = cause.busy_threads.expect("it was watched");
    assert!(busy < 0.5 && cause.to_string().contains("no task runs"), "the clock of a task stands still: {cause}");
    let first = behind(&next(&told)).expect("it fell behind").1;
    assert!(first.batches_too_slow);
    let status = ssc.status();
    assert!(status.coalesced_ticks > 0 && status.blocked_batches == 0, "{status:?}");
}

#[test]
fn instead_of_coalescing_every_other_batch_takes_nothing_in() {
    let (clock, ssc) = manual(&[("spark.streaming.batch.onOverload", "block")]);
    let (sizes, own) = (Arc::new(Mutex::new(Vec::new())), clock.clone());
    let noted = sizes.clone();
    let mut batch = 0;
    ssc.input_stream("source", Source::new(10)).foreach_rdd(move |rdd, t| {
        batch += 1;
        let n = rdd.count()?;
        noted.lock().expect("plain list").push((second(t), n));
        own.advance(ms(if batch == 1 { 8_000 } else { 10 }));
        Ok(())
    });
    run(&ssc, &clock, 12);
    let sizes = sizes.lock().expect("plain list").clone();
    assert_eq!(sizes.iter().map(|(t, _)| *t).collect::<Vec<_>>(), (1..=sizes.len() as u64).collect::<Vec<_>>());
    let nothing: Vec<u64> = sizes.iter().filter(|(_, n)| *n == 0).map(|(t, _)| *t).collect();
    assert_eq!(nothing, [2, 4, 6, 8], "{sizes:?}");
    let all: u64 = sizes.iter().map(|(_, n)| n).sum();
    assert_eq!(all, 10 * sizes.len() as u64, "nothing is lost");
    let status = ssc.status();
    assert_eq!((status.blocked_batches, status.coalesced_ticks), (4, 0));
}

/// One key has most of the records: the partition that has it takes longest.
#[test]
fn skew_is_told_from_slow_records() {
    for skewed in [true, false] {
        let (clock, ssc) = manual(&[]);
        let (source, heavy) = (Source::new(20_000), Arc::new(AtomicU64::new(0)));
        let (own, spinning) = (clock.clone(), heavy.clone());
        let keyed =
            ssc.input_stream("source", source).map(move |n| (if skewed && n % 10 != 0 { 7 } else { n % 1_000 }, n));
        let sums = keyed.group_by_key_in(4).map(move |(key, all)| {
            // Each record costs something; or those of some keys cost much.
            let rounds = if skewed {
                40
            } else if key % 4 == 1 {
                400
            } else {
                4
            };
            let mut x = key;
            for _ in 0..rounds * all.len() {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            }
            spinning.fetch_add(x & 1, Relaxed);
            key
        });
        sums.foreach_rdd(move |rdd, _| {
            rdd.count()?;
            own.advance(ms(2_500));
            Ok(())
        });
        let seen = run(&ssc, &clock, 24);
        let last: Vec<&Cause> = seen
            .iter()
            .filter_map(|health| match health {
                Health::FallingBehind { cause, .. } if cause.stage.is_some() => Some(cause),
                _ => None,
            })
            .collect();
        let stage = last.last().expect("it falls behind").stage.clone().expect("a stage");
        if skewed {
            assert!(stage.is_skewed() && stage.times_larger > 2.0, "{stage}");
        } else {
            assert!(stage.times_larger < 2.0, "{stage}");
        }
    }
}

#[test]
fn a_receiver_whose_source_has_to_wait_all_the_time_is_an_overload() {
    let (clock, ssc) = manual(&[]);
    let (stored, seen) = channel();
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        for n in 0.. {
            intake.store(n)?;
            stored.send(())?;
        }
        Ok(())
    }));
    let own = clock.clone();
    stream.foreach_rdd(move |rdd, _| {
        own.advance(ms(rdd.count()?));
        Ok(())
    });
    let ears = Ears::on(&ssc);
    ssc.start().expect("a good graph");
    let mut last = Health::Ok;
    for _ in 0..20 {
        next(&seen);
        clock.await_waiting(2); // the loop, and the receiver, which has stored all that it may
        seen.try_iter().for_each(drop);
        let now = clock.now();
        clock.set(now.floor(ms(1_000)) + ms(1_000));
        ears.batch();
        last = ssc.status().health;
    }
    let Health::FallingBehind { cause, .. } = &last else { panic!("{last:?}") };
    assert!(!cause.batches_too_slow, "{cause}");
    assert!(ssc.status().receivers[0].stalls >= 10);
    ssc.stop(Stop::now());
}
