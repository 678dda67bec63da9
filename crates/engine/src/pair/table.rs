//! The aggregation table: hash, key and accumulator inline; one hash per record and one probe.
//!
//! A row keeps its hash, so that neither growth nor the split into buckets nor the merge behind the shuffle computes it
//! again. Rows in a slab with an index table beside it were tried for aggregation and were a third slower on words: a
//! second dependent cache miss.
use crate::{Data, Key, Wire, blocks::RecordCodec, detach, hash};
use hashbrown::{HashTable, hash_table::Entry};

/// What lies in a table and crosses the shuffle: a key's hash, the key, its accumulator or value.
pub(super) type Row<K, C> = (u64, (K, C));

/// Rows on disk: without their hashes, which no compression makes shorter.
pub(super) fn row_codec<K: Key, C: Wire>() -> RecordCodec<Row<K, C>> {
    RecordCodec::coded(
        |rows, to| rows.iter().try_for_each(|row| to.push(&row.1)),
        |bytes, count| {
            let records: Vec<(K, C)> = (RecordCodec::of().decode)(bytes, count)?;
            Ok(records.into_iter().map(|record| (hash::of(&record.0), record)).collect())
        },
    )
}

pub(super) struct Table<K, C>(HashTable<Row<K, C>>);

/// A named function, not a closure inside `upsert`: a closure there would carry the types of the user's closures, and
/// every use of an aggregation would compile its own copy of the table's growth code.
fn row_hash<K, C>(row: &Row<K, C>) -> u64 {
    row.0
}

impl<K: Key, C: Data> Table<K, C> {
    pub(super) fn with_capacity(n: usize) -> Self {
        Table(HashTable::with_capacity(n))
    }
    /// Inserts, or merges into the accumulator in place. A new key is detached from read buffers.
    #[inline]
    pub(super) fn upsert<V>(&mut self, k: K, v: V, create: impl FnOnce(V) -> C, merge: impl FnOnce(&mut C, V)) {
        self.upsert_hashed(hash::of(&k), k, v, create, merge);
    }
    /// The same for a key whose hash is known.
    #[inline]
    pub(super) fn upsert_hashed<V>(
        &mut self,
        h: u64,
        k: K,
        v: V,
        create: impl FnOnce(V) -> C,
        merge: impl FnOnce(&mut C, V),
    ) {
        match self.0.entry(h, |row| row.1.0 == k, row_hash) {
            Entry::Occupied(mut e) => merge(&mut e.get_mut().1.1, v),
            Entry::Vacant(e) => {
                e.insert((h, (detach::key(k), create(v))));
            }
        }
    }
    /// Inserts, or merges by value. What needs no drop (numbers) is copied out of its slot and back; anything else is
    /// taken out of the table and put into the same slot again, so that no value is cloned.
    #[inline]
    pub(super) fn upsert_by_value<V>(
        &mut self,
        h: u64,
        k: K,
        v: V,
        create: impl FnOnce(V) -> C,
        merge: impl FnOnce(C, V) -> C,
    ) {
        match self.0.entry(h, |row| row.1.0 == k, row_hash) {
            Entry::Occupied(mut e) if !std::mem::needs_drop::<C>() => {
                let slot = &mut e.get_mut().1.1;
                *slot = merge(slot.clone(), v);
            }
            Entry::Occupied(e) => {
                let ((h, (k, old)), vacant) = e.remove();
                vacant.insert((h, (k, merge(old, v))));
            }
            Entry::Vacant(e) => {
                e.insert((h, (detach::key(k), create(v))));
            }
        }
    }
    /// The accumulator of a key whose hash is known.
    #[inline]
    pub(super) fn get_hashed(&mut self, h: u64, k: &K) -> Option<&mut C> {
        self.0.find_mut(h, |row| row.1.0 == *k).map(|row| &mut row.1.1)
    }
    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
    /// How many keys there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }
    /// A look at the rows, in the order of the table: by hash, more or less.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row<K, C>> {
        self.0.iter()
    }
    /// The rows, by value.
    pub(super) fn into_rows(self) -> impl ExactSizeIterator<Item = Row<K, C>> {
        self.0.into_iter()
    }
    /// The entries, by value.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (K, C)> + 'static {
        self.0.into_iter().map(|row| row.1)
    }
}
