//! [`Room`]: whether more bytes may come in. A plain value: it refuses to block, to know records, and to keep time.

use std::collections::VecDeque;

use winterbourne_engine::MemoryHold;

/// The memory budget is told of changes as large as this.
const TOLD: u64 = 64 << 10;

/// The bytes a stream holds, their bound, and who waits for some to leave.
///
/// INVARIANT: `held` exceeds `bound` only by a single entry larger than the bound, which came in alone.
pub(super) struct Room {
    bound: u64,
    held: u64,
    /// Tickets of those who wait, first come first served: otherwise small entries would keep a large one out for ever.
    queue: VecDeque<u64>,
    next_ticket: u64,
    /// The share of the memory budget, where there is one.
    hold: Option<MemoryHold>,
}

impl Room {
    pub(super) fn new(bound: u64) -> Self {
        Self { bound, held: 0, queue: VecDeque::new(), next_ticket: 0, hold: None }
    }

    /// From now on what is held counts here too.
    pub(super) fn count(&mut self, hold: MemoryHold) {
        self.hold = Some(hold);
        self.tell();
    }

    fn tell(&mut self) {
        if let Some(hold) = &mut self.hold
            && (self.held == 0 || self.held.abs_diff(hold.bytes()) >= TOLD)
        {
            hold.set(self.held);
        }
    }

    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Lets `bytes` in if they fit and nobody waits; otherwise the caller must queue.
    pub(super) fn enter(&mut self, bytes: u64) -> bool {
        self.queue.is_empty() && self.admit(bytes)
    }

    /// A ticket: the right to come in after everybody who holds an earlier one.
    pub(super) fn queue(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queue.push_back(ticket);
        ticket
    }

    /// Lets the holder of the ticket in, with `bytes`, if it is their turn and they fit; then the ticket is used up.
    pub(super) fn enter_queued(&mut self, ticket: u64, bytes: u64) -> bool {
        let entered = self.queue.front() == Some(&ticket) && self.admit(bytes);
        if entered {
            self.queue.pop_front();
        }
        entered
    }

    /// The holder of the ticket does not want to come in any more.
    pub(super) fn give_up(&mut self, ticket: u64) {
        self.queue.retain(|waiting| *waiting != ticket);
    }

    pub(super) fn leave(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
        self.tell();
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.queue.is_empty()
    }

    fn admit(&mut self, bytes: u64) -> bool {
        let after = self.held.checked_add(bytes).filter(|after| self.held == 0 || *after <= self.bound);
        if let Some(after) = after {
            self.held = after;
            self.tell();
        }
        after.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_engine::MemoryUse;

    #[test]
    fn takes_what_fits_and_one_that_never_would() {
        for (held, bytes, expect) in [
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
            assert!(held == 0 || room.enter(held));
            assert_eq!(room.enter(bytes), expect, "{held} {bytes}");
        }
    }

    #[test]
    fn the_budget_is_told() {
        let conf = winterbourne_base::SparkConf::empty().set_app_name("room");
        let sc = winterbourne_engine::SparkContext::new(conf).unwrap();
        let counted = || sc.memory_status().used_by(MemoryUse::Received);
        let mut room = Room::new(1 << 20);
        room.count(sc.hold_memory(MemoryUse::Received));
        assert!(room.enter(100));
        assert_eq!(counted(), 0, "a little is not worth it");
        assert!(room.enter(TOLD));
        assert_eq!(counted(), TOLD + 100);
        room.leave(TOLD);
        room.leave(100);
        assert_eq!(counted(), 0);
        assert!(room.enter(2 * TOLD));
        drop(room);
        assert_eq!(counted(), 0);
    }

    #[test]
    fn serves_in_order_even_if_a_later_one_would_fit() {
        let mut room = Room::new(10);
        assert!(room.enter(8));
        let (large, small) = (room.queue(), room.queue());
        assert!(!room.enter(1), "somebody waits");
        assert!(!room.enter_queued(small, 1), "not their turn");
        assert!(!room.enter_queued(large, 9));
        room.leave(8);
        assert!(room.enter_queued(large, 9));
        assert!(room.enter_queued(small, 1));
        assert!(!room.is_awaited());
        assert_eq!(room.held(), 10);
    }

    #[test]
    fn one_who_gives_up_blocks_nobody() {
        let mut room = Room::new(10);
        assert!(room.enter(10));
        let (first, second) = (room.queue(), room.queue());
        room.leave(5);
        room.give_up(first);
        assert!(room.enter_queued(second, 5));
    }
}
