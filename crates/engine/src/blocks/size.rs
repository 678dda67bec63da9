//! What records weigh, from a sample.
use crate::{Chunk, Data, Text, Wire, walk::Visit, walk::Walk};
use std::{any::Any, cell::Cell, mem::size_of};

/// Records of a chunk that are looked at.
const SAMPLE: usize = 16;

/// Memory of one record outside of itself, in bytes.
pub(crate) type Heap<T> = fn(&T) -> u64;

/// For a record of which nothing is known: strings say it, what owns nothing has none, anything else is taken to be as
/// large outside as inside.
pub(crate) fn guessed<T: Data>(x: &T) -> u64 {
    let x = x as &dyn Any;
    if let Some(text) = x.downcast_ref::<Text>() {
        text.heap() as u64
    } else if let Some(string) = x.downcast_ref::<String>() {
        string.capacity() as u64
    } else if let Some(bytes) = x.downcast_ref::<Vec<u8>>() {
        bytes.capacity() as u64
    } else {
        size_of::<T>() as u64
    }
}

/// For a record that can be walked through: what its strings and collections hold. What boxes hold is not seen.
pub(crate) fn walked<T: Wire>(x: &T) -> u64 {
    if let Some(text) = (x as &dyn Any).downcast_ref::<Text>() {
        return text.heap() as u64;
    }
    let sum = Cell::new(0);
    // One that refuses will say so when it is written.
    let _ = x.serialize(Walk(Sum { sum: &sum, outside: false }));
    sum.get()
}
#[derive(Clone, Copy)]
struct Sum<'a> {
    sum: &'a Cell<u64>,
    /// Inside of a collection, and so outside of the record.
    outside: bool,
}
/// What a string or a collection is itself, beside what it holds.
const HANDLE: usize = size_of::<Vec<u8>>();
impl Visit for Sum<'_> {
    fn leaf(self, n: usize) {
        if self.outside {
            self.sum.set(self.sum.get() + n as u64);
        }
    }
    fn bytes(self, n: usize) {
        self.leaf(HANDLE);
        self.sum.set(self.sum.get() + n as u64);
    }
    fn collection(self) -> Self {
        self.leaf(HANDLE);
        Sum { outside: true, ..self }
    }
}

/// What the allocator adds to a thing on the heap.
pub(crate) const HEADER: usize = 16;

/// What the records of a chunk weigh for a task that takes them in, with what the allocator adds: one thing on the heap for
/// each record that may have one.
pub(crate) fn for_task<T: Wire>(chunk: &Chunk<T>) -> u64 {
    let added = if std::mem::needs_drop::<T>() { HEADER * chunk.len() } else { 0 };
    of(chunk, walked::<T>) + added as u64
}

/// What the records of a chunk weigh.
pub(crate) fn of<T: Data>(chunk: &Chunk<T>, heap: Heap<T>) -> u64 {
    let records = chunk.as_slice();
    let own = size_of_val(records) as u64;
    if !std::mem::needs_drop::<T>() || records.is_empty() {
        return own;
    }
    let step = records.len().div_ceil(SAMPLE);
    let (mut sum, mut looked) = (0u64, 0u64);
    for x in records.iter().step_by(step) {
        sum = sum.saturating_add(heap(x));
        looked += 1;
    }
    own.saturating_add((u128::from(sum) * records.len() as u128 / u128::from(looked)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_walk_finds_strings_and_collections() {
        assert_eq!(walked(&(1u64, "abc".to_owned(), Some("de".to_owned()))), 5);
        assert_eq!(walked(&vec![(1u64, "abc".to_owned()); 10]), 10 * (32 + 3));
        assert_eq!(walked(&BTreeMap::from([(1u32, vec![1u64, 2])])), 4 + 24 + 16);
        assert_eq!(walked(&Text::from("short")), 0);
    }
    #[test]
    fn a_chunk_weighs_what_its_sample_says() {
        let all: Vec<String> = (0..1000).map(|_| "x".repeat(100)).collect();
        let weight = |c: &Chunk<String>| of(c, guessed::<String>);
        assert_eq!(weight(&Chunk::Own(all.clone())), 1000 * 124);
        assert_eq!(weight(&Chunk::Shared(all.into(), 10..20)), 1240);
        assert_eq!(of(&Chunk::Own(vec![1u64; 100]), guessed::<u64>), 800);
        assert_eq!(of(&Chunk::Own(vec![(1u64, "x".to_owned())]), guessed::<(u64, String)>), 64);
        assert_eq!(weight(&Chunk::Own(Vec::new())), 0);
    }
}
