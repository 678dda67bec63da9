//! [`Due`]: which keys may have timed out, found without looking at the others.
//!
//! Every slot with a state stands on one list: that of the batch that touched it, or of an earlier one. When a list is
//! due, those on it that were touched since go to the list of that touch. So a key is looked at once for each time-out
//! that it outlives, however often it is touched, and a touch costs one bit. Lists change only when a batch is committed:
//! there is nothing to undo, and a slot that was freed or given to another key is on a list that is too early, at worst.
use super::{
    bits::Bits,
    handle::State,
    part::{Cell, Part},
};
use std::collections::BTreeMap;
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{Key, Result, Wire};

pub(super) struct Due {
    timeout: Duration,
    listed: Bits,
    by_touch: BTreeMap<Time, Vec<u32>>,
    /// The batch that is open looked at the lists before this.
    seen: Option<Time>,
}

impl Due {
    fn new(timeout: Duration) -> Self {
        Due { timeout, listed: Bits::default(), by_touch: BTreeMap::new(), seen: None }
    }
    /// The same without any slot.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.timeout)
    }
    /// Puts a slot on the list of its touch if it has a state and is on none.
    #[inline]
    pub(super) fn add<S>(&mut self, i: u32, cell: &Cell<S>) {
        if cell.state.is_some() && !self.listed.holds(i) {
            self.listed.cover(i as usize + 1);
            self.listed.set(i);
            self.by_touch.entry(cell.touched).or_default().push(i);
        }
    }
    /// The batch was undone.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }
    /// The batch was committed.
    pub(super) fn settle<'a, S: 'a>(&mut self, cell: impl Fn(u32) -> &'a Cell<S>) {
        let Some(limit) = self.seen.take() else { return };
        let rest = self.by_touch.split_off(&limit);
        for i in std::mem::replace(&mut self.by_touch, rest).into_values().flatten() {
            self.listed.unset(i);
            self.add(i, cell(i));
        }
    }
    #[cfg(test)]
    pub(super) fn check<'a, S: 'a>(&self, cells: impl Iterator<Item = &'a Cell<S>>) {
        let mut lists = BTreeMap::new();
        for (touched, slots) in &self.by_touch {
            for i in slots {
                assert!(lists.insert(*i, *touched).is_none() && self.listed.has(*i));
            }
        }
        for (cell, i) in cells.zip(0..).filter(|(cell, _)| cell.state.is_some()) {
            assert!(lists[&i] <= cell.touched);
        }
    }
}

impl<K: Key, S: Wire> Part<K, S> {
    /// Lets keys time out. Before there are any.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.due = Some(Due::new(timeout));
    }
    /// Notes that a key had data, if that counts.
    #[inline]
    pub(crate) fn touch(&mut self, i: u32, now: Time) {
        if self.due.is_none() {
            return;
        }
        let cell = &mut self.slots[i as usize].cell;
        if cell.state.is_some() && cell.touched < now {
            if !self.changes.logged.has(i) {
                self.changes.log(i, Cell { state: cell.state.clone(), touched: cell.touched });
            }
            cell.touched = now;
        }
    }
    /// Calls `f` for each key that was last touched more than the time-out before `now`, and drops it. After everything
    /// else a batch does.
    pub(crate) fn expire(&mut self, now: Time, mut f: impl FnMut(&K, State<'_, S>) -> Result<()>) -> Result<()> {
        let Part { due: Some(due), slots, changes, .. } = self else { return Ok(()) };
        let limit = now - due.timeout;
        due.seen = Some(limit);
        for &i in due.by_touch.range(..limit).flat_map(|(_, slots)| slots) {
            let slot = &mut slots[i as usize];
            if slot.cell.state.is_none() || slot.cell.touched >= limit {
                continue;
            }
            f(&slot.key, State::new(i, &mut slot.cell, changes, now).timing_out())?;
            State::new(i, &mut slot.cell, changes, now).replace(None);
        }
        Ok(())
    }
}
