//! [`Frozen`]: what a checkpoint has still to be told, while batches go on.
//!
//! A checkpoint is the state after one batch. Writing that down takes longer than the next batch can wait, so between the
//! two only the set of changed slots is taken away, as bits; the records are told afterwards, some at a time. Until a slot
//! was told, its value of then lies in one of three places:
//!
//! - in the slot, if no batch has changed it since;
//! - on the undo list, if the batch that is open has changed it: whatever becomes of that batch;
//! - on a list here, to which the commit of the first batch that changed it has moved it from the undo list.
//!
//! Nothing is copied for this. A slot that was not told is not freed and not moved.
use super::{
    bits::Bits,
    part::{Cell, Part},
};
use winterbourne_base::Time;
use winterbourne_engine::{Key, Wire};

pub(super) struct Frozen<S> {
    /// The checkpoint holds all keys: none has to be taken back.
    everything: bool,
    /// Slots that were not told.
    rest: Bits,
    /// Those of them whose value of then is, or was, in `moved`.
    changed: Bits,
    moved: Vec<(u32, Cell<S>)>,
    /// None of the slots before this is left but those in `moved`.
    next: u32,
}

impl<S> Frozen<S> {
    /// Whether a slot was not told yet.
    #[inline]
    pub(super) fn awaits(&self, i: u32) -> bool {
        self.rest.holds(i)
    }
    /// A batch that was committed has changed the slot, which held this.
    #[inline]
    pub(super) fn keep(&mut self, i: u32, old: Cell<S>) {
        if self.rest.holds(i) && !self.changed.has(i) {
            self.changed.set(i);
            self.moved.push((i, old));
        }
    }
}

impl<K: Key, S: Wire> Part<K, S> {
    /// Begins a checkpoint of what changed since the last one, or of everything. Only while no batch is open. What is left
    /// of one before is forgotten; the new one should then be of everything.
    pub(super) fn freeze(&mut self, everything: bool) {
        debug_assert!(!self.is_open(), "the undo list is a batch's");
        let (mut rest, mut changed) = (Bits::default(), Bits::default());
        rest.cover(self.slots.len());
        changed.cover(self.slots.len());
        if everything {
            rest.set_below(self.slots.len());
            self.free.iter().for_each(|&i| rest.unset(i));
            self.dirty.clear();
        } else {
            std::mem::swap(&mut rest, &mut self.dirty);
        }
        let frozen = Frozen { everything, rest, changed, moved: Vec::new(), next: 0 };
        self.frozen = (!frozen.rest.is_empty()).then(|| Box::new(frozen));
    }
    /// Tells the checkpoint at most so many records, as they were when it began; whether these were the last. After an
    /// error, or a panic, the next checkpoint should be of everything.
    pub(super) fn tell<E>(
        &mut self,
        most: usize,
        mut each: impl FnMut(&K, Option<&S>, Time) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Part { slots, stored, changes, frozen, .. } = &mut *self;
        let Some(Frozen { everything, rest, moved, next, .. }) = frozen.as_deref_mut() else { return Ok(true) };
        let (mut told, mut gone) = (0, Vec::new());
        let mut tell = |i: u32, cell: &Cell<S>, rest: &mut Bits| {
            let is_there = cell.state.is_some();
            if is_there || !*everything {
                each(&slots[i as usize].key, cell.state.as_ref(), cell.touched)?;
            }
            rest.unset(i);
            if is_there {
                stored.set(i);
            } else {
                stored.unset(i);
                gone.push(i);
            }
            told += 1;
            Ok(told == most)
        };
        let mut tell_all = || {
            while let Some((i, cell)) = moved.pop() {
                if tell(i, &cell, rest)? {
                    return Ok(false);
                }
            }
            for (i, cell) in &changes.old {
                if rest.holds(*i) && tell(*i, cell, rest)? {
                    return Ok(false);
                }
            }
            // Of what is left no batch has changed anything.
            while let Some(i) = rest.from(*next) {
                *next = i + 1;
                if tell(i, &slots[i as usize].cell, rest)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let is_done = tell_all();
        if let Ok(true) = is_done {
            self.frozen = None;
        }
        for i in gone {
            // What the open batch has changed, it frees itself if need be.
            if self.get(i).is_none() && !self.changes.logged.has(i) {
                self.release(i);
            }
        }
        is_done
    }
}
