//! [`Ticker`]: which batch is due. Pure: time is an argument.
//!
//! Batch times are wall-clock aligned multiples of the interval. When work falls behind, batches queue up to a limit;
//! beyond it the oldest waiting ticks are *coalesced*: they get no batch of their own and their data goes to the next
//! one. A tick at which a stream with a longer slide yields is never coalesced, so no window is left out. Or no tick is
//! coalesced, and beyond the limit every other batch takes nothing in, so that the queue becomes shorter.
use std::collections::VecDeque;
use winterbourne_base::{Duration, Time};

/// A batch that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    pub(crate) time: Time,
    /// No later batch is due yet.
    pub(crate) latest: bool,
    /// Ticks passed over since the batch before.
    pub(crate) coalesced: u64,
    /// It may take something in.
    pub(crate) takes_in: bool,
}

/// What happens when more batches wait than may (`spark.streaming.batch.onOverload`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum OnOverload {
    #[default]
    Coalesce,
    Block,
}

pub(crate) struct Ticker {
    zero: Time,
    interval: Duration,
    /// The last batch handed out.
    last: Time,
    /// Batches that may wait behind the one that runs.
    most: u64,
    on_overload: OnOverload,
    /// The last batch took nothing in.
    blocked: bool,
    /// Slides of streams slower than the batch interval.
    slides: Vec<Duration>,
    /// Ticks between two processes that get no batch.
    passed: u64,
    /// Ticks up to here are the catch-up, which was bounded already.
    caught_up: Time,
    /// Planned before a restart and not done: they come first.
    unfinished: VecDeque<Time>,
}

impl Ticker {
    /// The time before the first batch: that is the next multiple of the interval strictly after `now`.
    pub(crate) fn zero_for(now: Time, interval: Duration) -> Time {
        now.floor(interval)
    }
    pub(crate) fn new(zero: Time, interval: Duration, most: usize, mut slides: Vec<Duration>) -> Self {
        slides.retain(|s| *s > interval);
        slides.sort();
        slides.dedup();
        Ticker {
            zero,
            interval,
            last: zero,
            most: most.max(1) as u64,
            on_overload: OnOverload::Coalesce,
            blocked: false,
            slides,
            passed: 0,
            caught_up: zero,
            unfinished: VecDeque::new(),
        }
    }
    pub(crate) fn when_overloaded(mut self, policy: OnOverload) -> Self {
        self.on_overload = policy;
        self
    }
    /// Goes on where an earlier process ended: after the tick it planned last, with at most `most` batches for the time
    /// in between (the ticks before them are coalesced), after those it left unfinished.
    pub(crate) fn resume(mut self, planned: Time, now: Time, most: u64, unfinished: Vec<Time>) -> Self {
        let newest = self.zero + (now - self.zero).floor_to(self.interval);
        // The batch before the catch-up; the tick it stands for is counted as passed over.
        self.last = planned.max(Time::from_millis(
            newest.as_millis().saturating_sub(self.interval.as_millis().saturating_mul(most.max(1))),
        ));
        self.caught_up = newest;
        self.passed = (self.last - planned).as_millis() / self.interval.as_millis();
        self.unfinished = unfinished.into();
        self
    }
    /// The batch after the last one.
    pub(crate) fn next(&self) -> Time {
        self.unfinished.front().copied().unwrap_or(self.last + self.interval)
    }
    /// The batch to run now, if one is due. Hands out each at most once.
    pub(crate) fn due(&mut self, now: Time) -> Option<Due> {
        if let Some(time) = self.unfinished.pop_front() {
            return Some(Due { time, latest: false, coalesced: 0, takes_in: true });
        }
        let newest = self.zero + (now - self.zero).floor_to(self.interval);
        if newest <= self.last {
            return None;
        }
        let waiting = (newest - self.last).as_millis() / self.interval.as_millis();
        let catching_up = self.next() <= self.caught_up;
        let too_many = if catching_up { 0 } else { waiting.saturating_sub(self.most) };
        let coalesces = self.on_overload == OnOverload::Coalesce;
        let mut pass_over = if coalesces { too_many } else { 0 };
        // Not twice in a row: what waits would never come if empty batches took an interval.
        self.blocked = !coalesces && too_many > 0 && !self.blocked;
        let (mut time, mut coalesced) = (self.next(), std::mem::take(&mut self.passed));
        while pass_over > 0 {
            let step = self.before_slide(time).min(pass_over);
            if step == 0 {
                break;
            }
            time += self.interval * step;
            coalesced += step;
            pass_over -= step;
        }
        self.last = time;
        Some(Due { time, latest: time == newest, coalesced, takes_in: !self.blocked })
    }
    /// How many ticks from `time` on may be passed over before one at which a slower stream yields.
    fn before_slide(&self, time: Time) -> u64 {
        let since = (time - self.zero).as_millis();
        let distance = |slide: u64| (slide - since % slide) % slide;
        let nearest = self.slides.iter().map(|s| distance(s.as_millis())).min();
        nearest.map_or(u64::MAX, |ms| ms / self.interval.as_millis())
    }
}

trait FloorTo {
    fn floor_to(self, step: Duration) -> Duration;
}
impl FloorTo for Duration {
    fn floor_to(self, step: Duration) -> Duration {
        Duration::from_millis(self.as_millis() / step.as_millis() * step.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_base::time::milliseconds;

    fn t(ms: u64) -> Time {
        Time::from_millis(ms)
    }
    /// All batches due at each of the given times: (time, latest, coalesced).
    fn drive(most: usize, slides: &[u64], nows: &[u64]) -> Vec<Vec<(u64, bool, u64)>> {
        let slides = slides.iter().map(|s| milliseconds(*s)).collect();
        let mut ticker = Ticker::new(t(1000), milliseconds(100), most, slides);
        nows.iter()
            .map(|now| {
                std::iter::from_fn(|| ticker.due(t(*now)).map(|d| (d.time.as_millis(), d.latest, d.coalesced)))
                    .collect()
            })
            .collect()
    }
    #[test]
    fn zero_is_the_multiple_at_or_before_now() {
        for (now, zero) in [(1000, 1000), (1001, 1000), (1999, 1000)] {
            assert_eq!(Ticker::zero_for(t(now), milliseconds(1000)), t(zero));
        }
    }
    #[test]
    fn a_batch_is_due_at_its_time_and_once() {
        assert_eq!(
            drive(8, &[], &[1000, 1099, 1100, 1150, 1200]),
            [vec![], vec![], vec![(1100, true, 0)], vec![], vec![(1200, true, 0)]]
        );
    }
    #[test]
    fn late_batches_queue_in_order() {
        assert_eq!(drive(8, &[], &[1350]), [vec![(1100, false, 0), (1200, false, 0), (1300, true, 0)]]);
    }
    #[test]
    fn beyond_the_limit_the_oldest_are_coalesced() {
        assert_eq!(drive(2, &[], &[1500]), [vec![(1400, false, 3), (1500, true, 0)]]);
        assert_eq!(drive(1, &[], &[1100, 9000]), [vec![(1100, true, 0)], vec![(9000, true, 78)]]);
    }
    #[test]
    fn or_every_other_batch_takes_nothing_in_until_the_queue_is_short() {
        let mut ticker = Ticker::new(t(1000), milliseconds(100), 2, vec![]).when_overloaded(OnOverload::Block);
        let all: Vec<Due> = std::iter::from_fn(|| ticker.due(t(1700))).collect();
        assert_eq!(
            all.iter().map(|d| d.time.as_millis()).collect::<Vec<_>>(),
            [1100, 1200, 1300, 1400, 1500, 1600, 1700]
        );
        let took: Vec<bool> = all.iter().map(|d| d.takes_in).collect();
        assert_eq!(took, [false, true, false, true, false, true, true]);
        assert!(all.iter().all(|d| d.coalesced == 0));
    }
    #[test]
    fn an_earlier_process_is_continued_with_a_bounded_catch_up() {
        let resumed = |planned, now, most| {
            let fresh = Ticker::new(t(1000), milliseconds(100), 8, vec![]);
            let mut ticker = fresh.resume(t(planned), t(now), most, vec![t(1400)]);
            assert_eq!(ticker.next(), t(1400));
            std::iter::from_fn(|| ticker.due(t(now)).map(|d| (d.time.as_millis(), d.coalesced))).collect::<Vec<_>>()
        };
        assert_eq!(resumed(1500, 1520, 3), [(1400, 0)], "back at once");
        assert_eq!(resumed(1500, 1799, 3), [(1400, 0), (1600, 0), (1700, 0)]);
        assert_eq!(resumed(1500, 9950, 2), [(1400, 0), (9800, 82), (9900, 0)], "away for long");
        assert_eq!(resumed(1500, 900, 2), [(1400, 0)], "a clock set back: wait for it");
    }
    #[test]
    fn a_slower_streams_tick_is_never_coalesced() {
        let got = drive(1, &[300], &[2000]);
        let times: Vec<u64> = got[0].iter().map(|d| d.0).collect();
        assert_eq!(times, [1300, 1600, 1900, 2000]);
        assert_eq!(got[0].iter().map(|d| d.2 + 1).sum::<u64>(), 10, "every tick is run or counted");
    }
}
