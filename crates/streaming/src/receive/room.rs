//! [`Room`]: whether more records and bytes may come in. A plain value: it refuses to block and to keep time.

use std::collections::VecDeque;

use winterbourne_engine::MemoryHold;

use crate::rate::{Limit, Load};

/// The memory budget is told of changes as large as this.
const TOLD: u64 = 64 << 10;

/// What a stream holds, its bounds, and who waits for some to leave. What a batch holds that is not done counts.
///
/// INVARIANT: `held` exceeds a bound only by a single entry larger than that, which came in alone, or until what came in
/// under a larger bound has left.
pub(super) struct Room {
    /// Of bytes: fixed.
    bound: u64,
    /// Of both: follows the batches.
    limit: Limit,
    held: Load,
    /// Tickets of those who wait, first come first served: otherwise small entries would keep a large one out for ever.
    queue: VecDeque<u64>,
    next_ticket: u64,
    /// The share of the memory budget, where there is one.
    hold: Option<MemoryHold>,
}

impl Room {
    pub(super) fn new(bound: u64) -> Self {
        let held = Load { records: 0, bytes: 0 };
        Self { bound, limit: Limit::NONE, held, queue: VecDeque::new(), next_ticket: 0, hold: None }
    }

    /// From now on no more than this; those who wait should look again.
    pub(super) fn set_limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// Whether it is memory that is short, for so many bytes more, and not the limit.
    pub(super) fn is_full(&self, bytes: u64) -> bool {
        self.held.bytes.checked_add(bytes).is_none_or(|after| after > self.bound)
    }

    /// From now on what is held counts here too.
    pub(super) fn count(&mut self, hold: MemoryHold) {
        self.hold = Some(hold);
        self.tell();
    }

    fn tell(&mut self) {
        if let Some(hold) = &mut self.hold
            && (self.held.bytes == 0 || self.held.bytes.abs_diff(hold.bytes()) >= TOLD)
        {
            hold.set(self.held.bytes);
        }
    }

    /// Bytes.
    pub(super) fn held(&self) -> u64 {
        self.held.bytes
    }

    /// Lets the load in if it fits and nobody waits; otherwise the caller must queue.
    pub(super) fn enter(&mut self, load: Load) -> bool {
        self.queue.is_empty() && self.admit(load)
    }

    /// A ticket: the right to come in after everybody who holds an earlier one.
    pub(super) fn queue(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queue.push_back(ticket);
        ticket
    }

    /// Lets the holder of the ticket in, with the load, if it is their turn and it fits; then the ticket is used up.
    pub(super) fn enter_queued(&mut self, ticket: u64, load: Load) -> bool {
        let entered = self.queue.front() == Some(&ticket) && self.admit(load);
        if entered {
            self.queue.pop_front();
        }
        entered
    }

    /// The holder of the ticket does not want to come in any more.
    pub(super) fn give_up(&mut self, ticket: u64) {
        self.queue.retain(|waiting| *waiting != ticket);
    }

    pub(super) fn leave(&mut self, load: Load) {
        let Load { records, bytes } = &mut self.held;
        *records = records.saturating_sub(load.records);
        *bytes = bytes.saturating_sub(load.bytes);
        self.tell();
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.queue.is_empty()
    }

    fn admit(&mut self, load: Load) -> bool {
        let is_empty = self.held.bytes == 0 && self.held.records == 0;
        let (records, bytes) = (self.held.records.checked_add(load.records), self.held.bytes.checked_add(load.bytes));
        let (Some(records), Some(bytes)) = (records, bytes) else { return false };
        let fits = is_empty || (bytes <= self.bound && self.limit.fits(records, bytes));
        if fits {
            self.held = Load { records, bytes };
            self.tell();
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_engine::MemoryUse;

    fn bytes(bytes: u64) -> Load {
        Load { records: 1, bytes }
    }

    #[test]
    fn takes_what_fits_and_one_that_never_would() {
        for (held, more, expect) in [
            (0, 10, true),
            (0, 11, true),
            (0, u64::MAX, true),
            (1, 9, true),
            (1, 10, false),
            (10, 0, true),
            (10, 1, false),
            (11, 0, false),
            (1, u64::MAX, false),
        ] {
            let mut room = Room::new(10);
            assert!(held == 0 || room.enter(bytes(held)));
            assert_eq!(room.enter(bytes(more)), expect, "{held} {more}");
        }
    }

    #[test]
    fn the_budget_is_told() {
        let conf = winterbourne_base::SparkConf::empty().set_app_name("room");
        let sc = winterbourne_engine::SparkContext::new(conf).unwrap();
        let counted = || sc.memory_status().used_by(MemoryUse::Received);
        let mut room = Room::new(1 << 20);
        room.count(sc.hold_memory(MemoryUse::Received));
        assert!(room.enter(bytes(100)));
        assert_eq!(counted(), 0, "a little is not worth it");
        assert!(room.enter(bytes(TOLD)));
        assert_eq!(counted(), TOLD + 100);
        room.leave(bytes(TOLD));
        room.leave(bytes(100));
        assert_eq!(counted(), 0);
        assert!(room.enter(bytes(2 * TOLD)));
        drop(room);
        assert_eq!(counted(), 0);
    }

    #[test]
    fn serves_in_order_even_if_a_later_one_would_fit() {
        let mut room = Room::new(10);
        assert!(room.enter(bytes(8)));
        let (large, small) = (room.queue(), room.queue());
        assert!(!room.enter(bytes(1)), "somebody waits");
        assert!(!room.enter_queued(small, bytes(1)), "not their turn");
        assert!(!room.enter_queued(large, bytes(9)));
        room.leave(bytes(8));
        assert!(room.enter_queued(large, bytes(9)));
        assert!(room.enter_queued(small, bytes(1)));
        assert!(!room.is_awaited());
        assert_eq!(room.held(), 10);
    }

    #[test]
    fn one_who_gives_up_blocks_nobody() {
        let mut room = Room::new(10);
        assert!(room.enter(bytes(10)));
        let (first, second) = (room.queue(), room.queue());
        room.leave(bytes(5));
        room.give_up(first);
        assert!(room.enter_queued(second, bytes(5)));
    }

    #[test]
    fn a_limit_counts_records_and_bytes_of_everything_that_is_not_done() {
        let load = |records, bytes| Load { records, bytes };
        let mut room = Room::new(1_000);
        room.set_limit(Limit { records: Some(10), bytes: Some(100) });
        assert!(room.enter(load(25, 5)), "alone");
        assert!(!room.enter(load(1, 1)));
        room.leave(load(25, 5));
        assert!(room.enter(load(4, 50)) && !room.enter(load(7, 1)) && !room.enter(load(1, 51)));
        assert!(!room.is_full(51) && room.is_full(951));
        let ticket = room.queue();
        room.set_limit(Limit::NONE);
        assert!(!room.enter(load(1, 51)), "somebody waits");
        assert!(room.enter_queued(ticket, load(7, 51)));
    }
}
