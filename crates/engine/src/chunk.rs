//! [`Chunk`]: a batch of records, owned or shared. It knows nothing of RDDs or tasks.
use crate::Data;
use std::{ops::Range, sync::Arc};

/// Records per chunk. Fewer than 1024 cost measurably on narrow chains, more cannot be told apart; small ones keep the
/// memory of a pipeline and the time to cancel it small.
pub const CHUNK: usize = 1024;

/// Some records on their way. Owned records move; shared ones (cached blocks, shuffle buckets, received blocks) are
/// cloned lazily: only by the operator that wants them by value, and after a filter only the survivors.
///
/// ```
/// use std::sync::Arc;
/// use winterbourne_engine::Chunk;
/// let shared = Arc::new(vec![1, 2, 3, 4]);
/// let chunks = || [Chunk::Own(vec![2, 3]), Chunk::Shared(shared.clone(), 1..3)]; // the same records
/// for chunk in chunks() {
///     assert!(chunk.len() == 2 && !chunk.is_empty());
///     assert_eq!(chunk.as_slice(), [2, 3]);
///     assert_eq!(chunk.into_vec(), [2, 3]);
/// }
/// assert_eq!(chunks().map(|c| c.map(|x| x * 10)), [[20, 30], [20, 30]]);
/// assert_eq!(chunks().map(|c| c.filter(|x| x % 2 == 1)), [[3], [3]]);
/// assert_eq!(chunks().map(|c| c.filter_map(|x: u32| x.checked_sub(3))), [[0], [0]]);
/// assert_eq!(chunks().map(|c| c.fold(0, |a, x| a + x)), [5, 5]);
/// let mut all = Vec::new();
/// chunks().into_iter().for_each(|c| c.append_to(&mut all));
/// chunks().into_iter().for_each(|c| c.for_each(|x| all.push(x)));
/// assert_eq!(all, [2, 3, 2, 3, 2, 3, 2, 3]);
/// let (records, range) = Chunk::Own(vec![7]).into_shared();
/// assert_eq!(records[range], [7]);
/// ```
pub enum Chunk<T> {
    /// Nobody else sees these.
    Own(Vec<T>),
    /// A slice of records that others may read too.
    Shared(Arc<Vec<T>>, Range<usize>),
}

impl<T: Data> Chunk<T> {
    /// How many records.
    pub fn len(&self) -> usize {
        match self {
            Chunk::Own(v) => v.len(),
            Chunk::Shared(_, r) => r.len(),
        }
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The records, borrowed: costs nothing for either kind.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Chunk::Own(v) => v,
            Chunk::Shared(v, r) => &v[r.clone()],
        }
    }
    /// Applies `f` to each record. An owned chunk is mapped in place where the sizes agree (std's in-place collect).
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Vec<U> {
        match self {
            Chunk::Own(v) => v.into_iter().map(f).collect(),
            Chunk::Shared(v, r) => v[r].iter().cloned().map(f).collect(),
        }
    }
    /// Keeps what `keep` accepts; of a shared chunk only the survivors are cloned.
    pub fn filter(self, mut keep: impl FnMut(&T) -> bool) -> Vec<T> {
        match self {
            Chunk::Own(mut v) => {
                v.retain(keep);
                v
            }
            Chunk::Shared(v, r) => v[r].iter().filter(|x| keep(x)).cloned().collect(),
        }
    }
    /// Applies `f` to each record and keeps what it yields. An owned chunk is mapped in place where the sizes agree.
    pub fn filter_map<U>(self, f: impl FnMut(T) -> Option<U>) -> Vec<U> {
        match self {
            Chunk::Own(v) => v.into_iter().filter_map(f).collect(),
            Chunk::Shared(v, r) => v[r].iter().cloned().filter_map(f).collect(),
        }
    }
    /// Hands each record over by value.
    pub fn for_each(self, mut f: impl FnMut(T)) {
        match self {
            Chunk::Own(v) => v.into_iter().for_each(f),
            Chunk::Shared(v, r) => v[r].iter().for_each(|x| f(x.clone())),
        }
    }
    /// Folds the records by value. Keeps the accumulator in registers, which `for_each` on a captured one does not.
    pub fn fold<A>(self, start: A, mut f: impl FnMut(A, T) -> A) -> A {
        match self {
            Chunk::Own(v) => v.into_iter().fold(start, f),
            Chunk::Shared(v, r) => v[r].iter().fold(start, |a, x| f(a, x.clone())),
        }
    }
    /// The records as a vector; clones a shared chunk.
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Chunk::Own(v) => v,
            Chunk::Shared(v, r) => v[r].to_vec(),
        }
    }
    /// The records for sharing: free of cost for either kind.
    pub fn into_shared(self) -> (Arc<Vec<T>>, Range<usize>) {
        match self {
            Chunk::Own(v) => {
                let n = v.len();
                (Arc::new(v), 0..n)
            }
            Chunk::Shared(v, r) => (v, r),
        }
    }
    /// Appends the records to `out`, moving the whole vector where `out` is empty.
    pub fn append_to(self, out: &mut Vec<T>) {
        match self {
            Chunk::Own(v) if out.is_empty() => *out = v,
            Chunk::Own(mut v) => out.append(&mut v),
            Chunk::Shared(v, r) => out.extend_from_slice(&v[r]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owned_chunk_is_mapped_in_place() {
        let v = vec![1u64; 100];
        let at = v.as_ptr() as usize;
        let mapped = Chunk::Own(v).map(|x| x + 1);
        assert_eq!(mapped.as_ptr() as usize, at);
    }
    #[test]
    fn a_filter_clones_only_survivors_of_a_shared_chunk() {
        #[derive(Debug)]
        struct Counted(u32, Arc<std::sync::atomic::AtomicU32>);
        impl Clone for Counted {
            fn clone(&self) -> Self {
                self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Counted(self.0, self.1.clone())
            }
        }
        let clones = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let all: Vec<_> = (0..10).map(|i| Counted(i, clones.clone())).collect();
        let kept = Chunk::Shared(Arc::new(all), 2..8).filter(|x| x.0 % 3 == 0);
        assert_eq!(kept.iter().map(|x| x.0).collect::<Vec<_>>(), [3, 6]);
        assert_eq!(clones.load(std::sync::atomic::Ordering::Relaxed), 2);
    }
}
