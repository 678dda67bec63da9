//! [`Limiter`]: when records may come in. A plain value: it is told the time, and refuses to block.

use std::collections::VecDeque;

/// What a quiet time is worth at most: so much of it may be caught up at once.
const BURST_NANOS: u128 = 50_000_000;

const SECOND: u128 = 1_000_000_000;

/// What comes in together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// A token bucket for records and one for bytes; what comes in needs both. Those who wait are served in order.
///
/// INVARIANT: until `w` seconds after the first question at most `rate * w` come in, and within any later `w` seconds
/// at most `rate * (w + 0.05)` and one load more, so many as there were tokens for.
#[derive(Debug)]
pub(crate) struct Limiter {
    records: Meter,
    bytes: Meter,
    /// The latest time it was told, in nanoseconds.
    last: Option<u64>,
    queue: VecDeque<(u64, Load)>,
    next_ticket: u64,
}

impl Limiter {
    /// Rates per second; none is no limit.
    pub(crate) fn new(records: Option<u64>, bytes: Option<u64>) -> Self {
        let (records, bytes) = (Meter::new(records), Meter::new(bytes));
        Self { records, bytes, last: None, queue: VecDeque::new(), next_ticket: 0 }
    }

    pub(crate) fn rate(&self) -> Option<u64> {
        self.records.rate
    }

    /// Whether anything is limited: if not, nobody has to ask for the time.
    pub(crate) fn limits(&self) -> bool {
        self.records.rate.is_some() || self.bytes.rate.is_some() || !self.queue.is_empty()
    }

    /// Lets the load in if there are tokens for it and nobody waits; otherwise the caller must queue.
    pub(crate) fn enter(&mut self, load: Load, nanos: u64) -> bool {
        self.advance(nanos);
        self.queue.is_empty() && self.spend(load)
    }

    /// A ticket: the right to come in after everybody who holds an earlier one.
    pub(crate) fn queue(&mut self, load: Load) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queue.push_back((ticket, load));
        ticket
    }

    /// Lets the holder of the ticket in if it is their turn and there are tokens; then the ticket is used up.
    pub(crate) fn enter_queued(&mut self, ticket: u64, nanos: u64) -> bool {
        self.advance(nanos);
        let mine = self.queue.front().filter(|(first, _)| *first == ticket).map(|(_, load)| *load);
        let entered = mine.is_some_and(|load| self.spend(load));
        if entered {
            self.queue.pop_front();
        }
        entered
    }

    /// How many nanoseconds the holder of the ticket has to wait for tokens; none if it is not their turn.
    pub(crate) fn wait_nanos(&self, ticket: u64) -> Option<u64> {
        let (_, load) = self.queue.front().filter(|(first, _)| *first == ticket)?;
        Some(self.records.wait_nanos(load.records).max(self.bytes.wait_nanos(load.bytes)))
    }

    /// The holder of the ticket does not want to come in any more.
    pub(crate) fn give_up(&mut self, ticket: u64) {
        self.queue.retain(|(waiting, _)| *waiting != ticket);
    }

    pub(crate) fn is_awaited(&self) -> bool {
        !self.queue.is_empty()
    }

    fn advance(&mut self, nanos: u64) {
        // The first question starts the clock: there is no credit for the time before it.
        let passed = nanos.saturating_sub(*self.last.get_or_insert(nanos));
        self.last = self.last.max(Some(nanos));
        let head = self.queue.front().map_or(Load { records: 0, bytes: 0 }, |(_, load)| *load);
        self.records.gain(passed, head.records);
        self.bytes.gain(passed, head.bytes);
    }

    fn spend(&mut self, load: Load) -> bool {
        let enough = self.records.has(load.records) && self.bytes.has(load.bytes);
        if enough {
            self.records.spend(load.records);
            self.bytes.spend(load.bytes);
        }
        enough
    }
}

/// One bucket, in billionths, so that a nanosecond at one per second is a whole number.
#[derive(Debug)]
struct Meter {
    rate: Option<u64>,
    credit: u128,
}

impl Meter {
    fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.map(|rate| rate.max(1)), credit: 0 }
    }

    /// `head` is what the first of those who wait needs: that much is saved up, however long it takes.
    fn gain(&mut self, nanos: u64, head: u64) {
        let Some(rate) = self.rate else { return };
        self.credit += u128::from(rate) * u128::from(nanos);
        self.cap(head);
    }

    fn cap(&mut self, head: u64) {
        let burst = u128::from(self.rate.unwrap_or(0)) * BURST_NANOS;
        self.credit = self.credit.min(burst.max(u128::from(head.max(1)) * SECOND));
    }

    fn has(&self, n: u64) -> bool {
        self.rate.is_none() || self.credit >= u128::from(n) * SECOND
    }

    fn spend(&mut self, n: u64) {
        if self.rate.is_some() {
            self.credit -= u128::from(n) * SECOND;
        }
    }

    fn wait_nanos(&self, n: u64) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        let missing = (u128::from(n) * SECOND).saturating_sub(self.credit);
        u64::try_from(missing.div_ceil(u128::from(rate))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn records(n: u64) -> Load {
        Load { records: n, bytes: 0 }
    }

    #[test]
    fn there_is_no_credit_for_the_time_before_the_first_question() {
        let mut limiter = Limiter::new(Some(10), None);
        assert!(!limiter.enter(records(1), 7_000 * MS));
        let ticket = limiter.queue(records(1));
        assert_eq!(limiter.wait_nanos(ticket), Some(100 * MS));
        assert!(!limiter.enter_queued(ticket, 7_100 * MS - 1));
        assert!(limiter.enter_queued(ticket, 7_100 * MS));
    }

    #[test]
    fn a_load_larger_than_the_burst_is_saved_up_for() {
        let mut limiter = Limiter::new(Some(10), None);
        assert!(!limiter.enter(records(25), 0));
        let (large, small) = (limiter.queue(records(25)), limiter.queue(records(1)));
        assert_eq!((limiter.wait_nanos(large), limiter.wait_nanos(small)), (Some(2_500 * MS), None));
        assert!(!limiter.enter_queued(small, 2_000 * MS), "not their turn");
        assert!(limiter.enter_queued(large, 2_500 * MS));
        assert_eq!(limiter.wait_nanos(small), Some(100 * MS));
    }

    #[test]
    fn a_quiet_hour_is_worth_a_short_burst() {
        let mut limiter = Limiter::new(Some(1_000), None);
        assert!(!limiter.enter(records(1), 0));
        let entered = (0..1_000).filter(|_| limiter.enter(records(1), 3_600_000 * MS)).count();
        assert_eq!(entered, 50);
    }

    #[test]
    fn bytes_are_limited_too() {
        let mut limiter = Limiter::new(Some(1_000_000), Some(1 << 20));
        let load = Load { records: 1, bytes: 1 << 20 };
        assert!(!limiter.enter(load, 0));
        let ticket = limiter.queue(load);
        assert!(!limiter.enter_queued(ticket, 999 * MS));
        assert!(limiter.enter_queued(ticket, 1_000 * MS));
    }

    #[test]
    fn one_who_gives_up_and_a_clock_that_stands_still_block_nobody() {
        let mut limiter = Limiter::new(Some(10), None);
        assert!(!limiter.enter(records(1), 500 * MS));
        let (first, second) = (limiter.queue(records(9)), limiter.queue(records(1)));
        assert!(!limiter.enter_queued(first, 400 * MS), "a time of before");
        limiter.give_up(first);
        assert!(limiter.enter_queued(second, 600 * MS));
        assert!(!limiter.is_awaited());
    }

    proptest! {
        /// Whatever comes and whenever it looks, never more than the rate since the beginning, and never more than the
        /// rate and a burst in between; and one who waits as long as told comes in.
        #[test]
        fn the_maximum_is_never_exceeded(rate in 1u64..5_000, loads in prop::collection::vec((1u64..200, 0u64..300), 1..60)) {
            let mut limiter = Limiter::new(Some(rate), None);
            let (mut now, mut sum, mut entries) = (0u64, 0u64, Vec::new());
            prop_assert!(!limiter.enter(records(1), now));
            for (n, pause_ms) in loads {
                now += pause_ms * MS;
                if !limiter.enter(records(n), now) {
                    let ticket = limiter.queue(records(n));
                    let wait = limiter.wait_nanos(ticket).expect("nobody else waits");
                    prop_assert!(wait > 0 && !limiter.enter_queued(ticket, now + wait - 1));
                    now += wait;
                    prop_assert!(limiter.enter_queued(ticket, now));
                }
                sum += n;
                prop_assert!(u128::from(sum) * SECOND <= u128::from(rate) * u128::from(now));
                entries.push((now, n));
            }
            for (i, (from, first)) in entries.iter().enumerate() {
                let mut inside = 0;
                for (at, n) in &entries[i + 1..] {
                    inside += n;
                    let allowed = u128::from(rate) * (u128::from(at - from) + BURST_NANOS) + SECOND;
                    prop_assert!(u128::from(inside) * SECOND <= allowed, "{first} at {from}, then {inside} until {at}");
                }
            }
        }
    }
}
