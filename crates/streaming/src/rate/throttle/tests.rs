//! Plants: a source with a backlog or a rate, batches that cost something, and the throttle between them.

use super::*;
use crate::rate::Gains;
use winterbourne_base::time::milliseconds;

const DEFAULT: Gains = Gains { proportional: 1.0, integral: 0.2, derived: 0.0, min_rate: 1.0 };

fn settings() -> Option<Backpressure> {
    Some(Backpressure { initial_rate: None, gains: DEFAULT })
}

/// What happened in one batch; times in intervals.
#[derive(Clone, Copy, Debug)]
struct Done {
    held: u64,
    bytes: u64,
    took: f64,
    late: f64,
    /// Records that waited and did not fit.
    left: f64,
}

/// All by the number of the batch, or of the tick.
struct Plant<'a> {
    start: Start,
    interval_ms: u64,
    /// There before the first batch.
    backlog: f64,
    /// Records that come in an interval.
    offer: &'a dyn Fn(u64) -> f64,
    /// Bytes of each record.
    size: &'a dyn Fn(u64) -> f64,
    /// How long a batch of so many records and bytes takes, in intervals.
    cost: &'a dyn Fn(u64, f64, f64) -> f64,
}

impl Plant<'_> {
    fn run(&self, batches: u64) -> Vec<Done> {
        self.run_with(settings(), batches)
    }

    fn run_with(&self, settings: Option<Backpressure>, batches: u64) -> Vec<Done> {
        let interval_us = self.interval_ms as f64 * 1_000.0;
        let mut throttle = Throttle::new(milliseconds(self.interval_ms), settings, self.start);
        let (mut waiting, mut arrived, mut free_at, mut last) = (self.backlog, 0, 0.0f64, 0u64);
        let mut done = Vec::new();
        for i in 0..batches {
            // A tick for each interval, or the newest if several have passed: two may wait.
            let tick = (last + 1).max((free_at as u64).saturating_sub(1));
            last = tick;
            let begin = free_at.max(tick as f64);
            while arrived < tick {
                arrived += 1;
                waiting += (self.offer)(arrived);
            }
            let limit = throttle.next();
            let size = (self.size)(i);
            let by_bytes = limit.bytes.map_or(f64::MAX, |most| (most as f64 / size).floor().max(1.0));
            let held = waiting.floor().min(limit.records.map_or(f64::MAX, |most| most as f64)).min(by_bytes);
            waiting -= held;
            let took = (self.cost)(i, held, held * size);
            free_at = begin + took;
            let (records, bytes) = (held as u64, (held * size) as u64);
            let late = begin - tick as f64;
            done.push(Done { held: records, bytes, took, late, left: waiting });
            let sample = Sample {
                done_us: (free_at * interval_us) as u64 + i,
                records,
                processing_us: (took * interval_us) as u64,
                scheduling_delay_us: (late * interval_us) as u64,
            };
            throttle.measured(sample, bytes);
        }
        done
    }
}

const SMALL: &dyn Fn(u64) -> f64 = &|_| 100.0;

/// From batch `from` on all batches are done within their interval, and on an average they hold at least `least` records.
#[track_caller]
fn settles(name: &str, done: &[Done], from: usize, to: usize, least: f64) {
    for (i, batch) in done.iter().enumerate().take(to).skip(from) {
        assert!(batch.took + batch.late < 1.0, "{name}: batch {i} is not done in time: {batch:?}");
    }
    let held: u64 = done[from..to].iter().map(|batch| batch.held).sum();
    let mean = held as f64 / (to - from) as f64;
    assert!(mean >= least, "{name}: only {mean} records in a batch");
}

#[test]
fn a_backlog_is_approached_in_steps() {
    let cost = |_: u64, n: f64, _: f64| 0.001 + n / 1_000_000.0;
    let plant =
        Plant { start: Start::STORED, interval_ms: 1_000, backlog: 1e9, offer: &|_| 0.0, size: SMALL, cost: &cost };
    let done = plant.run(60);
    let held: Vec<u64> = done.iter().map(|batch| batch.held).collect();
    assert_eq!(held[..4], [100, 1_000, 10_000, 100_000]);
    assert!(held.windows(2).all(|two| two[1] <= 10 * two[0]), "{held:?}");
    settles("a backlog of a billion", &done, 0, 60, 750_000.0);
}

#[test]
fn what_is_received_is_in_time_from_the_first_batch_on() {
    for interval_ms in [1, 10, 1_000, 10_000] {
        // 10,000 records a second of 100 bytes, and a batch can hold ten times as many.
        let in_a_batch = 10.0 * interval_ms as f64;
        let cost = move |_: u64, n: f64, _: f64| n / (10.0 * in_a_batch);
        let offer = move |_: u64| in_a_batch;
        let plant =
            Plant { start: Start::RECEIVED, interval_ms, backlog: 0.0, offer: &offer, size: SMALL, cost: &cost };
        let done = plant.run(100);
        assert!(done.iter().all(|batch| batch.left == 0.0), "{interval_ms} ms: {done:?}");
    }
}

#[test]
fn a_backlog_that_is_received_is_approached_in_steps_too() {
    let cost = |_: u64, n: f64, _: f64| 0.001 + n / 1_000_000.0;
    let plant =
        Plant { start: Start::RECEIVED, interval_ms: 1_000, backlog: 1e9, offer: &|_| 0.0, size: SMALL, cost: &cost };
    let held: Vec<u64> = plant.run(4).iter().map(|batch| batch.held).collect();
    assert_eq!(held[..2], [10_000, 100_000]);
    // And a first batch that was far too large is the only one.
    let slow = |_: u64, n: f64, _: f64| n / 100.0;
    let done = Plant { cost: &slow, ..plant }.run(60);
    assert_eq!(done[0].held, 10_000);
    settles("a hundred records a batch", &done, 20, 60, 80.0);
}

#[test]
fn initial_rate_is_what_the_first_batch_gets() {
    let mut throttle = Throttle::new(
        milliseconds(500),
        Some(Backpressure { initial_rate: Some(2_001), gains: DEFAULT }),
        Start::STORED,
    );
    assert_eq!(throttle.next(), Limit { records: Some(1_000), bytes: None });
    assert_eq!(throttle.next(), Limit { records: Some(1_001), bytes: None }, "halves are saved up");
    assert_eq!(Throttle::new(milliseconds(500), None, Start::STORED).next(), Limit::NONE);
}

#[test]
fn a_batch_that_is_late_does_not_end_a_stream_that_began_at_a_rate() {
    let mut throttle = Throttle::new(
        milliseconds(1),
        Some(Backpressure { initial_rate: Some(100_000), gains: DEFAULT }),
        Start::STORED,
    );
    // Batches of ten records and a kilobyte are quick; then one waits for something.
    for i in 1..=1_000u64 {
        throttle.next();
        let (processing_us, scheduling_delay_us) = if i == 500 { (5_000, 2_000) } else { (30, 0) };
        throttle.measured(Sample { done_us: i * 1_000, records: 10, processing_us, scheduling_delay_us }, 1_000);
        let limit = throttle.next();
        assert!(limit.fits(1, 100), "batch {i}: {limit:?}");
    }
    assert!(throttle.next().fits(10, 1_000));
}

#[test]
fn from_the_load_that_fits_to_three_times_of_it_and_back() {
    // A batch can process 1,000 records.
    let cost = |_: u64, n: f64, _: f64| n / 1_000.0;
    let offer = |tick: u64| if (100..200).contains(&tick) { 3_000.0 } else { 800.0 };
    let plant =
        Plant { start: Start::STORED, interval_ms: 1_000, backlog: 0.0, offer: &offer, size: SMALL, cost: &cost };
    let done = plant.run(4_000);
    settles("before", &done, 10, 99, 799.0);
    settles("three times as much", &done, 120, 200, 850.0);
    assert!(done[198].left > 100_000.0, "what does not fit waits");
    settles("the backlog is worked off", &done, 200, 1_000, 850.0);
    assert_eq!(done.last().unwrap().left, 0.0);
}

#[test]
fn half_the_capacity_in_mid_run_and_back() {
    let cost = |i: u64, n: f64, _: f64| n / if (100..200).contains(&i) { 500.0 } else { 1_000.0 };
    let plant =
        Plant { start: Start::STORED, interval_ms: 100, backlog: 0.0, offer: &|_| 900.0, size: SMALL, cost: &cost };
    let done = plant.run(400);
    settles("before", &done, 10, 100, 850.0);
    settles("half the capacity", &done, 110, 200, 400.0);
    settles("and back", &done, 210, 400, 850.0);
}

#[test]
fn five_records_a_second() {
    let cost = |_: u64, n: f64, _: f64| n / 5.0;
    let plant =
        Plant { start: Start::STORED, interval_ms: 1_000, backlog: 1e6, offer: &|_| 50.0, size: SMALL, cost: &cost };
    let done = plant.run(100);
    assert!(done[0].took <= 20.0, "the first batch is small: {:?}", done[0]);
    settles("five records a second", &done, 5, 100, 3.9);
}

#[test]
fn less_than_one_record_a_batch() {
    // One fits into a batch well, two hardly: some batches have none.
    let cost = |_: u64, n: f64, _: f64| n * 0.49;
    let plant =
        Plant { start: Start::STORED, interval_ms: 100, backlog: 1e6, offer: &|_| 0.0, size: SMALL, cost: &cost };
    settles("two records a batch at most", &plant.run(200), 60, 200, 0.9);
}

#[test]
fn records_of_a_megabyte() {
    // Bytes are what costs: 50 MB in a batch.
    let cost = |_: u64, _: f64, bytes: f64| bytes / 5e7;
    let plant =
        Plant { start: Start::STORED, interval_ms: 1_000, backlog: 1e6, offer: &|_| 0.0, size: &|_| 1e6, cost: &cost };
    let done = plant.run(100);
    assert!(done[0].bytes <= 1 << 20, "{:?}", done[0]);
    settles("records of a megabyte", &done, 0, 100, 35.0);
    // Small ones at first: then the limit in bytes keeps the first large ones from being a thousand batches' worth.
    let size = |i: u64| if i < 50 { 1e3 } else { 1e6 };
    let plant = Plant { size: &size, ..plant };
    settles("large records after small ones", &plant.run(100), 0, 100, 35.0);
}

#[test]
fn batches_of_a_millisecond() {
    let cost = |_: u64, n: f64, _: f64| 0.1 + n / 100.0;
    let plant =
        Plant { start: Start::STORED, interval_ms: 1, backlog: 1e9, offer: &|_| 300.0, size: SMALL, cost: &cost };
    settles("batches of a millisecond", &plant.run(2_000), 100, 2_000, 70.0);
}

#[test]
fn noise_of_a_tenth_is_borne() {
    let cost = |i: u64, n: f64, _: f64| n / 1_000.0 * (0.95 + (i * 7_919 % 100) as f64 / 1_000.0);
    let plant =
        Plant { start: Start::STORED, interval_ms: 1_000, backlog: 1e9, offer: &|_| 0.0, size: SMALL, cost: &cost };
    settles("noise", &plant.run(1_000), 20, 1_000, 820.0);
}

#[test]
fn a_quiet_time_forgets_nothing() {
    let cost = |_: u64, n: f64, _: f64| 0.05 + n / 100_000.0;
    let offer = |tick: u64| if (50..100).contains(&tick) { 1.0 } else { 80_000.0 };
    let plant =
        Plant { start: Start::STORED, interval_ms: 1_000, backlog: 0.0, offer: &offer, size: SMALL, cost: &cost };
    let done = plant.run(150);
    let after = done.iter().rposition(|batch| batch.held == 1).unwrap() + 1;
    assert!(done[after].held >= 70_000, "{:?}", &done[after..after + 3]);
}

#[test]
fn batches_that_cost_more_than_the_interval_whatever_they_hold_are_not_emptied() {
    let noise = |i: u64| 0.9 + (i * 7_919 % 200) as f64 / 1_000.0;
    let cost = |i: u64, n: f64, _: f64| (1.5 + n / 1_000_000.0) * noise(i);
    let plant =
        Plant { start: Start::STORED, interval_ms: 1, backlog: 1e12, offer: &|_| 0.0, size: SMALL, cost: &cost };
    let done = plant.run(5_000);
    let held: u64 = done[500..].iter().map(|batch| batch.held).sum();
    assert!(held / 4_500 > 500_000, "{}", held / 4_500);
    assert!(done[500..].iter().all(|batch| batch.took < 8.0), "it stays within a few times of what is fixed");
}

/// A batch that waits half a minute for somebody else is an accident, also where the other ones are mostly overhead.
#[test]
fn after_a_batch_that_was_held_up_it_goes_on() {
    for fixed in [0.01, 0.5, 1.1] {
        let cost = |i: u64, n: f64, _: f64| if i == 40 { 300.0 } else { fixed + n / 10_000.0 };
        let plant =
            Plant { start: Start::STORED, interval_ms: 100, backlog: 1e9, offer: &|_| 0.0, size: SMALL, cost: &cost };
        let done = plant.run(120);
        let held = |from: usize, to: usize| done[from..to].iter().map(|batch| batch.held).sum::<u64>();
        assert!(held(70, 110) >= held(0, 40) / 2, "{fixed}: {:?}", &done[38..]);
    }
}

#[test]
fn a_tenth_of_the_capacity_in_mid_run() {
    let cost = |i: u64, n: f64, _: f64| n / if i >= 100 { 100.0 } else { 1_000.0 };
    let plant =
        Plant { start: Start::STORED, interval_ms: 100, backlog: 1e9, offer: &|_| 0.0, size: SMALL, cost: &cost };
    let done = plant.run(300);
    settles("before", &done, 5, 100, 850.0);
    settles("a tenth", &done, 120, 300, 80.0);
}

/// A transaction, say: it costs, but a batch with nothing in it needs none.
#[test]
fn what_only_batches_with_records_cost_is_a_fixed_cost_too() {
    for initial_rate in [None, Some(1)] {
        let cost = |i: u64, n: f64, _: f64| match n {
            0.0 => 0.1,
            // At first it waits for somebody.
            n => n / 100_000.0 + if i < 10 { 8.0 } else { 1.0 },
        };
        let plant =
            Plant { start: Start::STORED, interval_ms: 100, backlog: 1e9, offer: &|_| 0.0, size: SMALL, cost: &cost };
        let settings = settings().map(|s| Backpressure { initial_rate, ..s });
        let done = plant.run_with(settings, 1_500);
        let held: u64 = done[1_400..].iter().map(|batch| batch.held).sum();
        assert!(held > 100 * 50_000, "{held}: {:?}", &done[1_490..]);
    }
}

/// Batches that a restart finds unfinished are hours late.
#[test]
fn what_was_left_over_by_a_restart_does_not_starve_the_stream() {
    let mut throttle = Throttle::new(milliseconds(1_000), settings(), Start::STORED);
    for done in 1..4 {
        let late_us = 3_600_000_000;
        let done_us = late_us + done * 100_000;
        let batch = Sample { done_us, records: 100, processing_us: 100_000, scheduling_delay_us: late_us };
        throttle.measured(batch, 10_000);
    }
    assert!(throttle.next().records.is_some_and(|n| n >= 100), "{throttle:?}");
}

#[test]
fn a_slow_first_batch_is_forgotten() {
    let cost = |i: u64, n: f64, _: f64| if i == 0 { 1.5 } else { 0.1 + n / 1_000.0 };
    let plant =
        Plant { start: Start::STORED, interval_ms: 100, backlog: 1e9, offer: &|_| 0.0, size: SMALL, cost: &cost };
    settles("after a slow start", &plant.run(200), 10, 200, 700.0);
}
