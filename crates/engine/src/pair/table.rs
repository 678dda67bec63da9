//! The aggregation table: key and accumulator inline, one hash and one probe per record.
//!
//! Rows in a slab with an index table beside it were tried for aggregation and were a third slower on words: a second
//! dependent cache miss.
use crate::{Data, Flow, Key, hash};
use hashbrown::{HashTable, hash_table::Entry};

pub(super) struct Table<K, C>(HashTable<(K, C)>);

/// A named function, not a closure inside `upsert`: a closure there would carry the types of the user's closures, and
/// every use of an aggregation would compile its own copy of the table's growth code.
fn key_hash<K: Key, C>(e: &(K, C)) -> u64 {
    hash::of(&e.0)
}

impl<K: Key, C: Data> Table<K, C> {
    pub(super) fn with_capacity(n: usize) -> Self {
        Table(HashTable::with_capacity(n))
    }
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
    /// Inserts, or merges into the accumulator in place.
    #[inline]
    pub(super) fn upsert<V>(&mut self, k: K, v: V, create: impl FnOnce(V) -> C, merge: impl FnOnce(&mut C, V)) {
        let h = hash::of(&k);
        match self.0.entry(h, |e| e.0 == k, key_hash) {
            Entry::Occupied(mut e) => merge(&mut e.get_mut().1, v),
            Entry::Vacant(e) => {
                e.insert((k, create(v)));
            }
        }
    }
    /// Inserts, or merges by value. What needs no drop (numbers) is copied out of its slot and back; anything else is
    /// taken out of the table and put into the same slot again, so that no value is cloned.
    #[inline]
    pub(super) fn upsert_by_value(&mut self, k: K, c: C, merge: impl FnOnce(C, C) -> C) {
        let h = hash::of(&k);
        match self.0.entry(h, |e| e.0 == k, key_hash) {
            Entry::Occupied(mut e) if !std::mem::needs_drop::<C>() => {
                let slot = &mut e.get_mut().1;
                *slot = merge(slot.clone(), c);
            }
            Entry::Occupied(e) => {
                let ((k, old), vacant) = e.remove();
                vacant.insert((k, merge(old, c)));
            }
            Entry::Vacant(e) => {
                e.insert((k, c));
            }
        }
    }
    /// The entries by partition.
    pub(super) fn into_buckets(self, n: usize) -> Vec<Vec<(K, C)>> {
        if n == 1 {
            return vec![self.0.into_iter().collect()];
        }
        let room = self.len() / n + self.len() / 16 + 4;
        let mut out: Vec<Vec<(K, C)>> = (0..n).map(|_| Vec::with_capacity(room)).collect();
        for e in self.0 {
            out[hash::partition(hash::of(&e.0), n)].push(e);
        }
        out
    }
    /// The entries, drained in chunks.
    pub(super) fn into_flow(self) -> Flow<(K, C)> {
        Flow::from_records(self.0.into_iter())
    }
}
