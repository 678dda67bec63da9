//! [`Ledger`]: which of the blocks in the log belong to what, as a restart learns it piece by piece. Pure: it refuses to
//! know where a block is.
//!
//! Blocks are allocated in the order of their numbers, so all before one number are, and the others wait. An allocated
//! block belongs to a plan that can be read again, or else it is a *stray*: only an older checkpoint than the one that was
//! loaded would need it.

use std::collections::BTreeSet;

/// What is known of one input's blocks.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    next: u64,
    /// The plan that is told next is the last one of the checkpoint, not one to be read again.
    last_is_next: bool,
    planned: BTreeSet<u64>,
    strays: BTreeSet<u64>,
}

impl Ledger {
    /// A checkpoint says which block was the next one to allocate; the last plan before it follows.
    pub(super) fn load(&mut self, next: u64) {
        self.next = self.next.max(next);
        self.last_is_next = true;
    }

    /// A plan that was logged: its blocks, and the block that was the next to allocate.
    pub(super) fn restore(&mut self, blocks: impl IntoIterator<Item = u64>, next: u64) {
        let is_last = std::mem::take(&mut self.last_is_next) && next == self.next;
        if !is_last {
            self.planned.extend(blocks);
        }
        self.next = self.next.max(next);
    }

    /// All of the log that was not given up: what waits begins at the number returned.
    pub(super) fn sort(&mut self, logged: impl IntoIterator<Item = u64>) -> u64 {
        let is_stray = |number: &u64| *number < self.next && !self.planned.contains(number);
        self.strays = logged.into_iter().filter(is_stray).collect();
        self.planned.clear();
        self.next
    }

    /// No restart asks for a plan any more: the strays that nothing needs from now on. Plans are given up in order, so a
    /// checkpoint that would need an earlier block is not kept either.
    pub(super) fn retire(&mut self, next: u64) -> BTreeSet<u64> {
        let later = self.strays.split_off(&next);
        std::mem::replace(&mut self.strays, later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_plan_took_waits() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.sort([0, 1, 2]), 0, "nothing was ever planned");
        assert!(ledger.retire(9).is_empty());

        let mut ledger = Ledger::default();
        ledger.restore([0, 1], 2);
        ledger.restore([], 2);
        assert_eq!(ledger.sort([0, 1, 2, 5]), 2);
        assert!(ledger.retire(2).is_empty(), "a plan's own blocks are its own business");
    }

    #[test]
    fn blocks_that_only_an_older_checkpoint_needs_go_when_a_later_plan_does() {
        let mut ledger = Ledger::default();
        ledger.load(6);
        ledger.restore([4, 5], 6); // the last plan of the checkpoint, which nobody reads again
        ledger.restore([3], 4); // set aside
        ledger.restore([6, 7], 8); // after the checkpoint
        assert_eq!(ledger.sort([1, 2, 3, 4, 5, 6, 7, 8]), 8);
        assert_eq!(ledger.retire(2), [1].into());
        assert_eq!(ledger.retire(8), [2, 4, 5].into());
        assert!(ledger.retire(8).is_empty());
    }

    #[test]
    fn the_last_plan_of_a_checkpoint_may_also_be_one_to_read_again() {
        let mut ledger = Ledger::default();
        ledger.load(6);
        ledger.restore([4, 5], 6);
        ledger.restore([4, 5], 6); // a window looks back on it
        ledger.sort([3, 4, 5]);
        assert_eq!(ledger.retire(6), [3].into());
    }
}
