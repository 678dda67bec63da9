//! [`Throttle`]: how much one input may give to a batch. Starts carefully, and follows the batches that are done. Pure: it
//! refuses to know a clock or a source.
//!
//! *Start.* Nothing is known of what a batch costs, so the first one gets little, and each further one at most ten times
//! what one has held: a backlog is approached in steps, not swallowed. What a receiver brings is mostly not lying in wait
//! but happens now, and what does not fit is late: it gets more ([`Start`]).
//!
//! *Then* Spark's estimator ([`Pid`]) says how much the batches keep up with, and a batch gets nine tenths of that: one that
//! took all of its interval would leave no room for the next. Upwards it goes half of the way, downwards at once. A batch
//! that held little and was done in time is no reason to lower anything.
//!
//! *Where a batch costs more than half of the interval whatever it holds* (a slow disk under batches of a millisecond),
//! fewer records would not make it faster: to follow the estimator would end at the floor. There a batch may hold as much as
//! doubles its cost.
//!
//! Records and bytes are followed side by side, and both limits hold.

use super::{Allowance, Backpressure, Limit, Pid, Sample};
use std::collections::VecDeque;
use winterbourne_base::Duration;

/// What the first batch may hold at least, however short its interval.
const FIRST_RECORDS: f64 = 100.0;
const FIRST_BYTES: f64 = (1 << 20) as f64;

/// What the first batches may hold for each second of the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    records: u32,
    bytes: u32,
}
impl Start {
    /// Of what lies in wait: a topic, a directory.
    pub(crate) const STORED: Self = Self { records: 100, bytes: 1 << 20 };
    /// Of what a receiver is sent.
    pub(crate) const RECEIVED: Self = Self { records: 10_000, bytes: 10 << 20 };
}
/// The share of the interval that batches should take.
const TARGET: f64 = 0.9;
/// The most that a batch may hold, as a multiple of what one has held.
const GROWTH: f64 = 10.0;
/// A batch that held this share of what it might says how much is too much.
const USED: f64 = 0.7;
const SECOND: f64 = 1_000_000.0;

/// The limit of one input. Off, it limits nothing.
#[derive(Debug)]
pub(crate) struct Throttle {
    tracks: Option<(Track, Track)>,
}

impl Throttle {
    pub(crate) fn new(interval: Duration, settings: Option<Backpressure>, start: Start) -> Self {
        let tracks = settings.map(|s| {
            let seconds = interval.as_millis() as f64 / 1_000.0;
            let first = |least: f64, rate: u32| f64::from(rate).max(least / seconds);
            let (records, bytes) = match s.initial_rate {
                Some(rate) => (rate as f64, f64::INFINITY),
                None => (first(FIRST_RECORDS, start.records), first(FIRST_BYTES, start.bytes)),
            };
            (Track::new(interval, s, records), Track::new(interval, s, bytes))
        });
        Self { tracks }
    }

    /// What the next batch may hold. To be asked once for each: what is less than one record is saved up.
    pub(crate) fn next(&mut self) -> Limit {
        let Some((records, bytes)) = &mut self.tracks else { return Limit::NONE };
        Limit { records: records.next(), bytes: bytes.next() }
    }

    /// The same as rates.
    pub(crate) fn allowance(&self) -> Allowance {
        let rate = |track: &Track| Some(track.rate).filter(|rate| rate.is_finite());
        let Some((records, bytes)) = &self.tracks else { return Allowance::default() };
        Allowance { records_per_s: rate(records), bytes_per_s: rate(bytes) }
    }

    /// A batch is done.
    pub(crate) fn measured(&mut self, batch: Sample, bytes: u64) {
        if let Some((of_records, of_bytes)) = &mut self.tracks {
            of_records.measured(batch);
            of_bytes.measured(Sample { records: bytes, ..batch });
            if of_records.cost.all_hold_one() {
                // Whether two cost more than one is seen only by trying.
                of_records.try_twice();
                of_bytes.try_twice();
            }
        }
    }
}

/// Of records, or of bytes.
#[derive(Debug)]
struct Track {
    interval_us: f64,
    min_rate: f64,
    pid: Pid,
    /// Per second of batch time.
    rate: f64,
    /// Of the batches so far, mostly less than one.
    saved: f64,
    cost: Cost,
}

impl Track {
    fn new(interval: Duration, settings: Backpressure, rate: f64) -> Self {
        Self {
            interval_us: interval.as_millis() as f64 * 1_000.0,
            min_rate: settings.gains.min_rate,
            pid: Pid::new(interval, settings.gains),
            rate,
            saved: 0.0,
            cost: Cost::default(),
        }
    }

    fn in_a_batch(&self, rate: f64) -> f64 {
        rate * self.interval_us / SECOND
    }

    fn next(&mut self) -> Option<u64> {
        if self.rate.is_infinite() {
            return None;
        }
        let all = self.in_a_batch(self.rate) + self.saved;
        self.saved = all.fract();
        Some(all as u64)
    }

    /// The next batch may hold twice of what the last ones held.
    fn try_twice(&mut self) {
        let most = self.cost.recent.drain(..).map(|(n, _)| n).fold(0.0, f64::max);
        self.saved = self.saved.max(2.0 * most - self.in_a_batch(self.rate));
    }

    fn measured(&mut self, batch: Sample) {
        // What a clock cannot see took something all the same.
        // And what began later than two intervals after its time was left over by a restart, or by a time of trouble: how
        // late it is says nothing of what a batch can hold.
        let scheduling_delay_us = batch.scheduling_delay_us.min(2 * self.interval_us as u64);
        let batch = Sample { processing_us: batch.processing_us.max(1), scheduling_delay_us, ..batch };
        let (n, took) = (batch.records as f64, batch.processing_us as f64);
        // An empty one is no smaller batch: a sink may have nothing to commit then, say.
        if batch.records > 0 {
            self.cost.learn(n, took);
        }
        let first = self.pid.is_new();
        let estimate = match self.pid.rate_after(batch) {
            Some(rate) => rate,
            None if first && batch.records > 0 => n / took * SECOND,
            None => return,
        };
        let (mut wanted, mut in_time) = (estimate * TARGET, false);
        match self.cost.fixed_us.filter(|fixed| 2.0 * fixed > self.interval_us) {
            Some(fixed) => {
                let share = if took > fixed { fixed / (took - fixed) } else { f64::INFINITY };
                let (held, goal) = (n * SECOND / self.interval_us, share.clamp(0.25, 2.0));
                wanted = wanted.max(held * goal);
                in_time = in_time || took <= 2.2 * fixed;
            }
            None => in_time = took + batch.scheduling_delay_us as f64 <= self.interval_us * TARGET,
        }
        let is_used = n >= self.in_a_batch(self.rate) * USED;
        let rate = if wanted > self.rate {
            let near = wanted < 2.0 * self.rate;
            let up = if near { (self.rate + wanted) / 2.0 } else { wanted };
            up.min((GROWTH * n * SECOND / self.interval_us).max(self.rate))
        } else if in_time && !is_used {
            self.rate
        } else {
            wanted
        };
        self.rate = rate.max(self.min_rate);
        // No limit is no rate to be corrected: what comes of infinity is no number.
        if self.rate.is_finite() {
            self.pid.in_force(self.rate / TARGET);
        }
    }
}

/// What a batch costs however little it holds, as far as that was seen.
#[derive(Debug, Default)]
struct Cost {
    recent: VecDeque<(f64, f64)>,
    fixed_us: Option<f64>,
}

impl Cost {
    const RECENT: usize = 64;

    fn all_hold_one(&self) -> bool {
        self.recent.len() == Self::RECENT && self.recent.iter().all(|(n, _)| *n <= 1.0)
    }

    /// Batches of very different sizes tell what is fixed: the line through two of them. What it is cannot be more than
    /// any batch took. The fastest ones say most: one that had to wait for something says nothing.
    fn learn(&mut self, n: f64, took: f64) {
        let line = |(few, least): (f64, f64), (many, most): (f64, f64)| {
            ((least * many - most * few) / (many - few)).clamp(0.0, least)
        };
        let others = || self.recent.iter().copied();
        let smaller = others().filter(|(other, _)| 2.0 * other <= n && *other < n).min_by(|a, b| a.1.total_cmp(&b.1));
        let larger = others().filter(|(other, _)| *other >= 2.0 * n && *other > 0.0).min_by(|a, b| a.1.total_cmp(&b.1));
        let seen = smaller.map(|small| line(small, (n, took))).or(larger.map(|large| line((n, took), large)));
        self.fixed_us = seen.or(self.fixed_us);
        self.fixed_us = self.fixed_us.map(|fixed| fixed.min(took));
        if smaller.is_some() {
            // What was larger and faster was so in another time.
            self.recent.retain(|(other, took_then)| *other < n || *took_then > 0.9 * took);
        }
        if self.recent.len() == Self::RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((n, took));
    }
}

#[cfg(test)]
mod tests;
