//! [`Part`]: one partition of a state, changed in place.
//!
//! Keys and states lie in dense slots; an index of slot numbers, five bytes a key, finds them. What a batch changes goes
//! on an undo list, the first old value of each slot, so that nothing is copied that is not touched and a batch that
//! fails leaves no trace. Bits say which slots are on that list, which have changed since the last checkpoint, and which
//! are in it. What of them a checkpoint is still to be told, while batches go on, is [`Frozen`]'s.
//!
//! SUBTLE: a record's slot is looked up first for all records of a chunk, then the user's function is called for each.
//! The cache misses of the lookups, which do not depend on each other, then overlap; one pass took nearly twice as long at
//! a million keys. It knows no thread, no lock and no RDD.
use super::{
    bits::Bits,
    due::Due,
    frozen::Frozen,
    handle::{Changes, State},
};
use hashbrown::{HashTable, hash_table::Entry};
use std::ops::Range;
use winterbourne_base::{Time, failpoint};
use winterbourne_engine::{Key, MemoryHold, PutAway, Result, Text, Wire, detach, hash, heap_of};

/// Fewer free slots than this are not worth moving the others.
const SPARE: usize = if cfg!(test) { 4 } else { 1024 };

/// Slots that are looked at to weigh all.
const SAMPLE: usize = 16;
/// Every so many batches they are looked at, however few keys came or went: states grow too.
const OFTEN: u32 = 16;

/// No slot: memory ends before there are so many.
const NONE: u32 = u32::MAX;

/// Aligned so that a small one lies in one cache line: key and state cost one miss, not two.
#[repr(align(32))]
pub(super) struct Slot<K, S> {
    pub(super) key: K,
    pub(super) cell: Cell<S>,
}
/// A state, or none: a key that a batch brought and did not give a state, or that is gone and was in the last checkpoint.
pub(super) struct Cell<S> {
    pub(super) state: Option<S>,
    /// The batch that last gave it a state.
    pub(super) touched: Time,
}

/// What a batch did.
#[derive(Clone, Copy, Default)]
pub(super) struct Done {
    pub(super) changed: u64,
    pub(super) removed: u64,
}

/// What is on disk of a partition that found no room: a key, its state, and when it was touched, for each slot.
struct Away<K, S> {
    slots: PutAway<(K, Option<S>, u64)>,
    count: usize,
    pending: Done,
}

pub(crate) struct Part<K, S> {
    index: HashTable<u32>,
    pub(super) slots: Vec<Slot<K, S>>,
    pub(super) free: Vec<u32>,
    pub(super) changes: Changes<S>,
    /// Changed, by batches that were committed, since the last checkpoint began.
    pub(super) dirty: Bits,
    /// In the last checkpoint, as far as it has been told.
    pub(super) stored: Bits,
    /// The checkpoint that has not been told all.
    pub(super) frozen: Option<Box<Frozen<S>>>,
    /// When keys time out, if they do.
    pub(super) due: Option<Due>,
    /// Instead of index and slots, if they are on disk. Nothing that looks at a slot is called then.
    away: Option<Away<K, S>>,
    /// What a slot owns on average, and how many there were when that was found out.
    heap_of_a_slot: u64,
    weighed_at: usize,
    weighings: u32,
}

impl<K, S> Default for Part<K, S> {
    fn default() -> Self {
        Part {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            changes: Changes::default(),
            dirty: Bits::default(),
            stored: Bits::default(),
            frozen: None,
            due: None,
            away: None,
            heap_of_a_slot: 0,
            weighed_at: 0,
            weighings: 0,
        }
    }
}

impl<K: Key, S: Wire> Part<K, S> {
    /// Back to empty.
    pub(super) fn clear(&mut self) {
        let due = self.due.as_ref().map(Due::anew);
        *self = Part { due, ..Part::default() };
    }
    /// What it weighs in memory, in bytes. What keys and states own is estimated from a few of them, again whenever there
    /// are an eighth more or fewer, and from time to time.
    pub(super) fn weight(&mut self) -> u64 {
        let slots = self.slots.len();
        self.weighings = (self.weighings + 1) % OFTEN;
        if self.weighings == 0 || slots.abs_diff(self.weighed_at) > self.weighed_at / 8 {
            let step = (slots / SAMPLE).max(1);
            let heap = |slot: &Slot<K, S>| heap_of(&slot.key) + slot.cell.state.as_ref().map_or(0, heap_of);
            let few = self.slots.iter().step_by(step);
            let (sum, n) = few.fold((0, 0), |(sum, n), slot| (sum + heap(slot), n + 1));
            (self.heap_of_a_slot, self.weighed_at) = (sum / n.max(1), slots);
        }
        let table = self.index.capacity() * 8 / 7 * (size_of::<u32>() + 1);
        let dense = self.slots.capacity() * size_of::<Slot<K, S>>() + self.free.capacity() * size_of::<u32>();
        let old = self.changes.old.capacity() * size_of::<(u32, Cell<S>)>();
        (table + dense + old) as u64 + self.heap_of_a_slot * (slots + self.changes.old.len()) as u64
    }
    pub(super) fn is_away(&self) -> bool {
        self.away.is_some()
    }
    /// Index and slots go to disk. What a batch or a checkpoint has noted of them stays here. If that fails, nothing has
    /// changed.
    pub(super) fn put_away(&mut self, hold: &MemoryHold) -> Result<()> {
        if self.is_away() || self.slots.is_empty() {
            return Ok(());
        }
        let records = self.slots.iter().map(|Slot { key, cell }| (key, &cell.state, cell.touched.as_millis()));
        let (slots, pending) = (hold.put_away(records)?, self.pending());
        self.away = Some(Away { slots, count: self.slots.len(), pending });
        (self.index, self.slots) = (HashTable::new(), Vec::new());
        Ok(())
    }
    /// Index and slots as they were.
    pub(super) fn bring_back(&mut self) -> Result<()> {
        let Some(away) = &self.away else { return Ok(()) };
        let mut slots = Vec::with_capacity(away.count);
        for some in away.slots.read()? {
            let slot = |(key, state, touched)| Slot { key, cell: Cell { state, touched: Time::from_millis(touched) } };
            slots.extend(some?.into_iter().map(slot));
        }
        let mut free = Bits::default();
        free.cover(slots.len());
        self.free.iter().for_each(|&i| free.set(i));
        let mut index = HashTable::with_capacity(slots.len());
        for (i, slot) in (0u32..).zip(&slots).filter(|(i, _)| !free.has(*i)) {
            // There is room: nothing is hashed again.
            let hash = hash::of(&slot.key);
            index.insert_unique(hash, i, |_| hash);
        }
        (self.index, self.slots, self.away) = (index, slots, None);
        Ok(())
    }
    /// How many keys have a state.
    pub(super) fn len(&self) -> usize {
        self.changes.live
    }
    /// The same once the batch that was applied is settled like this.
    pub(super) fn len_after(&self, ok: bool) -> usize {
        if ok { self.changes.live } else { self.changes.live_before }
    }
    /// The slots of keys, made for those that are new. A new one is on the undo list at once, so that it does not outlive
    /// a batch that fails or gives it no state.
    ///
    /// Twice through: first the slot that the index takes for the likeliest, then a look at its key. In each loop the
    /// misses overlap; together they are a chain.
    pub(crate) fn find_all<'a>(&mut self, keys: impl Iterator<Item = (u64, &'a K)> + Clone, slots: &mut Vec<u32>) {
        slots.clear();
        slots.extend(keys.clone().map(|(hash, _)| self.index.iter_hash(hash).next().map_or(NONE, |&i| i)));
        for ((hash, key), i) in keys.zip(slots) {
            *i = match self.slots.get(*i as usize) {
                Some(slot) if slot.key == *key => {
                    let is_there = slot.cell.state.is_some();
                    self.found(*i, is_there)
                }
                _ => self.find(hash, key),
            };
        }
    }
    #[inline]
    fn found(&mut self, i: u32, is_there: bool) -> u32 {
        if !is_there && !self.changes.logged.has(i) {
            let touched = self.slots[i as usize].cell.touched;
            self.changes.log(i, Cell { state: None, touched });
            self.changes.fresh.push(i);
        }
        i
    }
    /// The slot of one key.
    pub(crate) fn find(&mut self, hash: u64, key: &K) -> u32 {
        match self.index.find(hash, |&i| self.slots[i as usize].key == *key) {
            Some(&i) => self.found(i, self.get(i).is_some()),
            None => self.insert(hash, key.clone()),
        }
    }
    fn insert(&mut self, hash: u64, key: K) -> u32 {
        let Part { index, slots, free, changes, dirty, stored, .. } = self;
        let slot = Slot { key: detach::key(key), cell: Cell { state: None, touched: Time::default() } };
        let Entry::Vacant(e) = index.entry(hash, |_| false, |&i| hash::of(&slots[i as usize].key)) else {
            unreachable!("nothing is equal to it");
        };
        let i = match free.pop() {
            Some(i) => {
                slots[i as usize] = slot;
                i
            }
            None => {
                let i = u32::try_from(slots.len()).expect("memory ends before 2^32 keys of one partition");
                slots.push(slot);
                for bits in [dirty, stored, &mut changes.logged] {
                    bits.cover(slots.len());
                }
                i
            }
        };
        e.insert(i);
        changes.log(i, Cell { state: None, touched: Time::default() });
        changes.fresh.push(i);
        i
    }
    /// What a slot holds, for one call of the user's function.
    #[inline]
    pub(crate) fn state(&mut self, i: u32, now: Time) -> State<'_, S> {
        State::new(i, &mut self.slots[i as usize].cell, &mut self.changes, now)
    }
    pub(crate) fn key(&self, i: u32) -> &K {
        &self.slots[i as usize].key
    }
    /// How many slots there are, with and without a state.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }
    #[inline]
    pub(crate) fn get(&self, i: u32) -> Option<&S> {
        self.slots[i as usize].cell.state.as_ref()
    }
    /// Makes the states of these slots anew, where there are some.
    pub(crate) fn update_all(&mut self, slots: Range<u32>, now: Time, f: impl Fn(&K, S) -> Option<S>) {
        let Part { slots: all, changes, .. } = self;
        for (i, slot) in slots.clone().zip(&mut all[slots.start as usize..slots.end as usize]) {
            let Some(old) = &slot.cell.state else { continue };
            match f(&slot.key, old.clone()) {
                Some(new) if same(old, &new) => {}
                new => State::new(i, &mut slot.cell, changes, now).replace(new.map(detach::text)),
            }
        }
    }
    /// Gives a slot this state, or none. States that are known to be equal to what is there change nothing.
    #[inline]
    pub(crate) fn set(&mut self, i: u32, new: Option<S>, now: Time) {
        let cell = &mut self.slots[i as usize].cell;
        let new = match (&cell.state, new) {
            (None, None) => return,
            (Some(old), Some(new)) if same(old, &new) => return,
            (None, Some(new)) => Some(detach::value(new)),
            (Some(_), new) => new.map(detach::text),
        };
        State::new(i, cell, &mut self.changes, now).replace(new);
    }
    /// Keys and states from slot `from` on, at most n; where to go on.
    pub(super) fn page(&self, from: u32, n: usize) -> (Vec<(K, S)>, u32) {
        let rest = &self.slots[(from as usize).min(self.slots.len())..];
        let mut out = Vec::with_capacity(n.min(rest.len()));
        for (i, Slot { key, cell }) in rest.iter().enumerate() {
            if let Some(state) = &cell.state {
                out.push((key.clone(), state.clone()));
                if out.len() == n {
                    return (out, from + i as u32 + 1);
                }
            }
        }
        (out, self.slots())
    }

    /// Whether a batch has changed something and is not settled.
    pub(super) fn is_open(&self) -> bool {
        !self.changes.old.is_empty()
    }
    /// What the batch that is not settled has done so far.
    pub(super) fn pending(&self) -> Done {
        if let Some(away) = &self.away {
            return away.pending;
        }
        let Changes { old, fresh, live, live_before, .. } = &self.changes;
        let added = fresh.iter().filter(|&&i| self.get(i).is_some()).count();
        let changed = old.len() - (fresh.len() - added);
        Done { changed: changed as u64, removed: (live_before + added - live) as u64 }
    }
    /// Everything as before the batch.
    pub(super) fn undo(&mut self) {
        let used = self.changes.old.len();
        let Changes { old, logged, fresh, gone, live, live_before } = &mut self.changes;
        for (i, cell) in old.drain(..).rev() {
            self.slots[i as usize].cell = cell;
            logged.unset_around(i);
        }
        *live = *live_before;
        gone.clear();
        if let Some(due) = &mut self.due {
            due.forget();
        }
        for i in std::mem::take(fresh) {
            self.release(i);
        }
        self.changes.trim(used);
    }
    /// What the batch did stays. Visits no slot but those that lost their state.
    pub(super) fn commit(&mut self) {
        let Part {
            changes: Changes { old, logged, fresh, gone, live, live_before }, dirty, frozen, slots, due, ..
        } = self;
        let used = old.len();
        for (i, cell) in old.drain(..) {
            logged.unset_around(i);
            if let Some(frozen) = frozen {
                frozen.keep(i, cell);
            }
            if let Some(due) = due {
                due.add(i, &slots[i as usize].cell);
            }
            if i % 8 == 7 && failpoint::seeded("state.dirty-bit-lost") {
                continue;
            }
            dirty.set(i);
        }
        if let Some(due) = due {
            due.settle(|i| &slots[i as usize].cell);
        }
        *live_before = *live;
        let (mut fresh, mut gone) = (std::mem::take(fresh), std::mem::take(gone));
        fresh.sort_unstable();
        gone.sort_unstable();
        gone.dedup();
        for &i in &fresh {
            if self.get(i).is_none() {
                self.release(i);
            }
        }
        for i in gone {
            if fresh.binary_search(&i).is_err() && self.get(i).is_none() {
                self.release(i);
            }
        }
        self.changes.trim(used);
    }
    /// Frees a slot without a state, unless a checkpoint knows its key and has to be told first, or is to be told of it.
    pub(super) fn release(&mut self, i: u32) {
        if self.stored.has(i) || self.frozen.as_ref().is_some_and(|frozen| frozen.awaits(i)) {
            return;
        }
        let Part { index, slots, .. } = self;
        if let Ok(e) = index.find_entry(hash::of(&slots[i as usize].key), |&j| j == i) {
            e.remove();
            self.free.push(i);
            self.dirty.unset(i);
        }
    }

    /// Moves what there is together if most slots are free, but not under a checkpoint. Only while no batch is open.
    pub(super) fn tidy(&mut self) {
        if self.free.len() < SPARE || self.free.len() < self.slots.len() / 2 || self.frozen.is_some() {
            return;
        }
        let mut free = Bits::default();
        free.cover(self.slots.len());
        self.free.iter().for_each(|&i| free.set(i));
        // The user's `Hash` runs before anything has moved.
        let hashes: Vec<(u32, u64)> =
            (0..self.slots()).filter(|&i| !free.has(i)).map(|i| (i, hash::of(&self.slots[i as usize].key))).collect();
        let mut packed = Part {
            index: HashTable::with_capacity(hashes.len()),
            slots: Vec::with_capacity(hashes.len()),
            ..Part::default()
        };
        for bits in [&mut packed.dirty, &mut packed.stored, &mut packed.changes.logged] {
            bits.cover(hashes.len());
        }
        (packed.changes.live, packed.changes.live_before) = (self.changes.live, self.changes.live_before);
        for (to, &(from, hash)) in hashes.iter().enumerate() {
            // There is room: nothing is hashed again.
            packed.index.insert_unique(hash, to as u32, |_| hash);
            for (now, then) in [(&mut packed.dirty, &self.dirty), (&mut packed.stored, &self.stored)] {
                if then.has(from) {
                    now.set(to as u32);
                }
            }
        }
        let old = std::mem::take(&mut self.slots);
        packed.slots.extend(old.into_iter().enumerate().filter(|(i, _)| !free.has(*i as u32)).map(|(_, s)| s));
        packed.due = self.due.as_ref().map(Due::anew);
        if let Some(due) = &mut packed.due {
            packed.slots.iter().zip(0..).for_each(|(slot, i)| due.add(i, &slot.cell));
        }
        *self = packed;
    }

    /// Puts a key and its state, or its absence, in, outside of any batch. `clean` says that the checkpoint has it so.
    pub(super) fn put(&mut self, hash: u64, key: K, state: Option<S>, touched: Time, clean: bool) {
        debug_assert!(!self.is_open() && self.frozen.is_none(), "the undo list is a batch's");
        let i = match self.index.find(hash, |&i| self.slots[i as usize].key == key) {
            Some(&i) => i,
            None if state.is_none() && clean => return,
            None => self.insert(hash, key),
        };
        let had = self.get(i).is_some();
        self.changes.forget();
        self.changes.live = self.changes.live + usize::from(state.is_some()) - usize::from(had);
        self.changes.live_before = self.changes.live;
        let gone = state.is_none();
        self.slots[i as usize].cell = Cell { state, touched };
        if let Some(due) = &mut self.due {
            due.add(i, &self.slots[i as usize].cell);
        }
        if clean {
            self.stored.set(i);
            self.dirty.unset(i);
        } else {
            self.dirty.set(i);
        }
        if gone {
            self.stored.unset(i);
            self.release(i);
        }
    }
    /// Makes room for so many keys, if there are none.
    pub(super) fn reserve(&mut self, keys: usize) {
        if self.slots.is_empty() {
            self.index.reserve(keys, |_| 0);
            self.slots.reserve(keys);
        }
    }
}

#[cfg(test)]
impl<K: Key, S: Wire> Part<K, S> {
    /// What holds whenever no batch is open.
    pub(super) fn check(&self) {
        assert!(!self.is_open() && self.changes.logged.iter().count() == 0);
        assert!(self.changes.fresh.is_empty() && self.changes.gone.is_empty());
        assert_eq!(self.index.len() + self.free.len(), self.slots.len());
        let live = (0..self.slots()).filter(|&i| self.get(i).is_some()).count();
        assert_eq!((self.changes.live, self.changes.live_before), (live, live));
        if let Some(due) = &self.due {
            due.check(self.slots.iter().map(|slot| &slot.cell));
        }
        for i in 0..self.slots() {
            let key = &self.slots[i as usize].key;
            let is_linked = self.index.find(hash::of(key), |&j| j == i).is_some();
            assert_eq!(is_linked, !self.free.contains(&i));
            assert!(is_linked || !(self.dirty.has(i) || self.stored.has(i)));
            // Without a state it waits for a checkpoint to be told.
            let awaits = self.frozen.as_ref().is_some_and(|frozen| frozen.awaits(i));
            assert!(is_linked || !awaits);
            if is_linked && self.get(i).is_none() {
                assert!(awaits || (self.stored.has(i) && self.dirty.has(i)));
            }
        }
    }
    /// Keys, states, and when they were touched last.
    pub(super) fn all(&self) -> impl Iterator<Item = (&K, &S, Time)> {
        self.slots.iter().filter_map(|Slot { key, cell }| Some((key, cell.state.as_ref()?, cell.touched)))
    }
}

/// Whether two states are known to be equal. Most types cannot say; for numbers and text it spares the undo list, and the
/// next checkpoint, whatever a batch looked at and left alone.
#[inline]
fn same<S: 'static>(a: &S, b: &S) -> bool {
    use std::any::{Any, TypeId};
    fn equal<T: PartialEq + 'static>(a: &dyn Any, b: &dyn Any) -> bool {
        matches!((a.downcast_ref::<T>(), b.downcast_ref::<T>()), (Some(a), Some(b)) if a == b)
    }
    macro_rules! known {
        ($($t:ty),*) => { $(if TypeId::of::<S>() == TypeId::of::<$t>() { return equal::<$t>(a, b); })* };
    }
    known!(u64, i64, u32, i32, usize, isize, u128, i128, u16, i16, u8, i8, bool, char, (), String, Text);
    fn bits<T: Copy + 'static, B: PartialEq>(a: &dyn Any, b: &dyn Any, bits: fn(T) -> B) -> bool {
        matches!((a.downcast_ref::<T>(), b.downcast_ref::<T>()), (Some(a), Some(b)) if bits(*a) == bits(*b))
    }
    if TypeId::of::<S>() == TypeId::of::<f64>() {
        return bits(a, b, f64::to_bits);
    }
    if TypeId::of::<S>() == TypeId::of::<f32>() {
        return bits(a, b, f32::to_bits);
    }
    false
}
