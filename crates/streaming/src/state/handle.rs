//! [`State`]: what the user's function sees of the state of one key, and the list of what it changed.
use super::{bits::Bits, part::Cell};
use std::fmt;
use winterbourne_base::Time;
use winterbourne_engine::{Site, Wire, detach};

/// What a batch that is not settled has changed.
pub(super) struct Changes<S> {
    /// The first old value of each slot.
    pub(super) old: Vec<(u32, Cell<S>)>,
    /// Which slots are on that list.
    pub(super) logged: Bits,
    /// Slots that had no state before the batch.
    pub(super) fresh: Vec<u32>,
    /// Slots that lost theirs, maybe for a while.
    pub(super) gone: Vec<u32>,
    /// How many slots have one.
    pub(super) live: usize,
    pub(super) live_before: usize,
}
impl<S> Default for Changes<S> {
    fn default() -> Self {
        let logged = Bits::default();
        Changes { old: Vec::new(), logged, fresh: Vec::new(), gone: Vec::new(), live: 0, live_before: 0 }
    }
}
impl<S> Changes<S> {
    #[inline]
    pub(super) fn log(&mut self, i: u32, old: Cell<S>) {
        self.logged.set(i);
        self.old.push((i, old));
    }
    /// Gives memory back after a batch that changed `used` slots, if much more is held.
    pub(super) fn trim(&mut self, used: usize) {
        if self.old.capacity() / 8 > used.max(512) {
            self.old.shrink_to(used * 2);
        }
    }
    /// Empties the list without looking back.
    pub(super) fn forget(&mut self) {
        for (i, _) in self.old.drain(..) {
            self.logged.unset_around(i);
        }
        self.fresh.clear();
        self.gone.clear();
    }
}

/// The state of one key during one call of the function of [`map_with_state`](crate::DStream::map_with_state).
///
/// ```
/// use winterbourne_streaming::{State, StateSpec};
/// // A running total that forgets a key when its value is 0.
/// let spec = StateSpec::function(|_key: &String, value: Option<u64>, total: &mut State<'_, u64>| {
///     let sum = total.get().copied().unwrap_or(0) + value.unwrap_or(0);
///     if value == Some(0) { total.remove() } else { total.update(sum) }
///     sum
/// });
/// # let _ = spec;
/// ```
pub struct State<'a, S> {
    slot: u32,
    removed: bool,
    /// The call is the one for a key that is due.
    is_timing_out: bool,
    cell: &'a mut Cell<S>,
    changes: &'a mut Changes<S>,
    now: Time,
    wrong: Option<Misuse>,
}

/// A call that the state of the key does not allow; it fails the record, and so the batch.
#[derive(Debug, thiserror::Error)]
#[error("{what}, at {site}")]
pub(crate) struct Misuse {
    what: &'static str,
    site: Site,
}

impl<'a, S> State<'a, S> {
    #[inline]
    pub(super) fn new(slot: u32, cell: &'a mut Cell<S>, changes: &'a mut Changes<S>, now: Time) -> Self {
        State { slot, removed: false, is_timing_out: false, cell, changes, now, wrong: None }
    }
    pub(super) fn timing_out(mut self) -> Self {
        self.is_timing_out = true;
        self
    }
    /// The first call that was not allowed.
    #[inline]
    pub(crate) fn into_misuse(self) -> Option<Misuse> {
        self.wrong
    }
    /// Whether this call is for a key without data for longer than [`timeout`](crate::StateSpec::timeout): there is no
    /// value, and the key is dropped after the call.
    #[doc(alias = "isTimingOut")]
    pub fn is_timing_out(&self) -> bool {
        self.is_timing_out
    }
    /// Whether there is a state.
    pub fn exists(&self) -> bool {
        self.cell.state.is_some()
    }
    /// The state, if there is one.
    #[doc(alias = "getOption")]
    pub fn get(&self) -> Option<&S> {
        self.cell.state.as_ref()
    }
    #[cold]
    fn misuse(&mut self, what: &'static str, site: Site) {
        self.wrong.get_or_insert(Misuse { what, site });
    }
    /// Moves the old state to the undo list: nothing is cloned.
    #[inline]
    pub(super) fn replace(&mut self, new: Option<S>) {
        let old = Cell { state: std::mem::replace(&mut self.cell.state, new), touched: self.cell.touched };
        let Changes { live, gone, .. } = self.changes;
        match (old.state.is_some(), self.cell.state.is_some()) {
            (true, false) => {
                *live -= 1;
                gone.push(self.slot);
            }
            (false, true) => *live += 1,
            _ => {}
        }
        if self.cell.state.is_some() {
            self.cell.touched = self.now;
        }
        if !self.changes.logged.has(self.slot) {
            self.changes.log(self.slot, old);
        }
    }
}

impl<S: Wire> State<'_, S> {
    /// Sets the state. Not after [`remove`](State::remove) in the same call, and not while it is
    /// [timing out](State::is_timing_out): that fails the batch.
    ///
    /// What is kept should hold no read buffer: a [`Text`](winterbourne_engine::Text) is detached; a state with one inside
    /// only when its key is new, so `detach` what you put in.
    #[track_caller]
    #[inline]
    pub fn update(&mut self, state: S) {
        if self.is_timing_out {
            return self.misuse("Cannot update the state that is timing out", Site::caller());
        }
        if self.removed {
            return self.misuse("Cannot update the state after it has been removed", Site::caller());
        }
        let state = if self.exists() { detach::text(state) } else { detach::value(state) };
        self.replace(Some(state));
    }
    /// The state, to be changed where it lies: for large ones. It is cloned once in a batch, so that the batch can be
    /// undone. Not while it is timing out, as for [`update`](State::update).
    #[track_caller]
    pub fn get_mut(&mut self) -> Option<&mut S> {
        if self.is_timing_out {
            self.misuse("Cannot update the state that is timing out", Site::caller());
            return None;
        }
        let state = self.cell.state.as_ref()?;
        if !self.changes.logged.has(self.slot) {
            let old = Cell { state: Some(state.clone()), touched: self.cell.touched };
            self.changes.log(self.slot, old);
        }
        self.cell.touched = self.now;
        self.cell.state.as_mut()
    }
    /// Drops the key and its state; a later record of the key, in this batch too, finds none. What the call returns is
    /// emitted all the same. Allowed where there is no state; twice in one call, or while it is timing out, fails the
    /// batch.
    #[track_caller]
    pub fn remove(&mut self) {
        if self.is_timing_out {
            return self.misuse("Cannot remove the state that is timing out", Site::caller());
        }
        if self.removed {
            return self.misuse("Cannot remove the state that has already been removed", Site::caller());
        }
        self.removed = true;
        if self.exists() {
            self.replace(None);
        }
    }
}

/// The state, or `<state not set>`.
impl<S: fmt::Display> fmt::Display for State<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(state) => state.fmt(f),
            None => f.write_str("<state not set>"),
        }
    }
}
impl<S: fmt::Debug> fmt::Debug for State<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(state) => state.fmt(f),
            None => f.write_str("<state not set>"),
        }
    }
}
