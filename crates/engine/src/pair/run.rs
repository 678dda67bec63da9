//! [`SortedRun`]: some records that can be read in the order of their keys, and where a key or a rank lies in several.
use crate::{Data, Order, SortKey};
use std::{cmp::Ordering, sync::Arc};

/// Records up to this size are sorted themselves; of larger ones an index is sorted, and no record moves.
const SMALL: usize = 32;
/// Keys up to this size that own nothing are copied into the index: comparing them misses no cache.
const INLINE_KEY: usize = 16;

/// Records by key, equal keys in the order they came.
pub(super) struct SortedRun<K, V> {
    records: Vec<(K, V)>,
    index: Index<K>,
}
/// How to read the records in order. Which kind it is follows from the types, for all but enormous runs.
enum Index<K> {
    /// As they lie.
    InPlace,
    /// With copies of the keys.
    Keys(Vec<(K, u32)>),
    Numbers(Vec<u32>),
}

impl<K: SortKey, V: Data> SortedRun<K, V> {
    pub(super) fn new(mut records: Vec<(K, V)>, order: Order) -> Self {
        let Ok(n) = u32::try_from(records.len()) else {
            records.sort_by(|a, b| order.compare(&a.0, &b.0));
            return SortedRun { records, index: Index::InPlace };
        };
        if size_of::<(K, V)>() <= SMALL {
            records.sort_by(|a, b| order.compare(&a.0, &b.0));
            return SortedRun { records, index: Index::InPlace };
        }
        // Numbers differ, so no sort of the index has to be stable.
        let index = if size_of::<K>() <= INLINE_KEY && !std::mem::needs_drop::<K>() {
            let mut keys: Vec<(K, u32)> = records.iter().zip(0..n).map(|(r, i)| (r.0.clone(), i)).collect();
            match order {
                Order::Ascending => keys.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1))),
                Order::Descending => keys.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1))),
            }
            Index::Keys(keys)
        } else {
            let mut numbers: Vec<u32> = (0..n).collect();
            let key = |i: u32| &records[i as usize].0;
            numbers.sort_unstable_by(|&a, &b| order.compare(key(a), key(b)).then(a.cmp(&b)));
            Index::Numbers(numbers)
        };
        SortedRun { records, index }
    }
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }
    /// The key of the i-th record in order.
    #[inline]
    pub(super) fn key(&self, i: usize) -> &K {
        match &self.index {
            Index::InPlace => &self.records[i].0,
            Index::Keys(keys) => &keys[i].0,
            Index::Numbers(numbers) => &self.records[numbers[i] as usize].0,
        }
    }
    /// The i-th record in order.
    #[inline]
    pub(super) fn record(&self, i: usize) -> &(K, V) {
        match &self.index {
            Index::InPlace => &self.records[i],
            Index::Keys(keys) => &self.records[keys[i].1 as usize],
            Index::Numbers(numbers) => &self.records[numbers[i] as usize],
        }
    }
    /// How many of the records `from..to` are, in order, before the first for which `is_before` does not hold; counted
    /// from the beginning of the run.
    pub(super) fn cut(&self, from: usize, to: usize, is_before: impl Fn(&K) -> bool) -> usize {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.key(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The key at `rank`, counted from 0, of all records of the runs in order; none if there are no more.
///
/// Narrows a range in each run down around the rank. The pivot of a round is the weighted median of the ranges' middles,
/// so that each round leaves at most three quarters, whatever lies in which run. An order that is none still ends: the run
/// of the pivot loses at least the pivot.
pub(super) fn key_at_rank<K: SortKey, V: Data>(runs: &[Arc<SortedRun<K, V>>], rank: usize, order: Order) -> Option<&K> {
    let mut ranges: Vec<(usize, usize)> = runs.iter().map(|run| (0, run.len())).collect();
    if rank >= runs.iter().map(|run| run.len()).sum() {
        return None;
    }
    loop {
        let mut middles: Vec<(&K, usize, usize)> = (runs.iter().zip(&ranges).enumerate())
            .filter(|(_, (_, (low, high)))| low < high)
            .map(|(i, (run, &(low, high)))| (run.key(low.midpoint(high)), high - low, i))
            .collect();
        middles.sort_by(|a, b| order.compare(a.0, b.0));
        let half = middles.iter().map(|(_, weight, _)| weight).sum::<usize>() / 2;
        let mut before = 0;
        let (pivot, _, owner) = *middles.iter().find(|(_, weight, _)| {
            before += weight;
            before > half
        })?;
        // In each run, what is less than the pivot and what is not greater.
        let cuts: Vec<(usize, usize)> = (runs.iter().zip(&ranges).enumerate())
            .map(|(i, (run, &(low, high)))| {
                let less = run.cut(low, high, |k| order.compare(k, pivot) == Ordering::Less);
                let equal = run.cut(less, high, |k| order.compare(k, pivot) != Ordering::Greater);
                let middle = low.midpoint(high);
                if i == owner { (less.min(middle), equal.max(middle + 1)) } else { (less, equal) }
            })
            .collect();
        let (less, equal) = cuts.iter().fold((0, 0), |(a, b), (less, equal)| (a + less, b + equal));
        if rank < less {
            ranges.iter_mut().zip(&cuts).for_each(|(range, cut)| range.1 = cut.0);
        } else if rank < equal {
            return Some(pivot);
        } else {
            ranges.iter_mut().zip(&cuts).for_each(|(range, cut)| range.0 = cut.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs<V: Data>(lists: &[&[u64]], value: V, order: Order) -> Vec<Arc<SortedRun<u64, V>>> {
        let run = |list: &&[u64]| SortedRun::new(list.iter().map(|k| (*k, value.clone())).collect(), order);
        lists.iter().map(run).map(Arc::new).collect()
    }
    #[test]
    fn a_rank_is_found_whatever_lies_where() {
        let rising: Vec<u64> = (0..100).collect();
        let lists: [&[&[u64]]; 5] = [
            &[&[3, 1, 2], &[], &[5, 5, 5, 0]],
            &[&rising[..50], &rising[50..]],
            &[&rising[50..], &rising[..50], &[7; 30]],
            &[&[1; 9], &[1; 3], &[1]],
            &[&[], &[]],
        ];
        for lists in lists {
            for order in [Order::Ascending, Order::Descending] {
                let mut all = lists.concat();
                all.sort_by(|a, b| order.compare(a, b));
                let (small, large) = (runs(lists, (), order), runs(lists, [0u8; 100], order));
                for (rank, key) in all.iter().enumerate() {
                    assert_eq!(key_at_rank(&small, rank, order), Some(key), "{rank} of {all:?}");
                    assert_eq!(key_at_rank(&large, rank, order), Some(key), "{rank} of {all:?}");
                }
                assert_eq!(key_at_rank(&small, all.len(), order), None);
            }
        }
    }
    #[test]
    fn equal_keys_keep_their_order_in_every_kind_of_index() {
        let keys = [3u64, 1, 3, 2, 1, 3];
        let rising = vec![1, 4, 3, 0, 2, 5];
        let falling = vec![0, 2, 5, 3, 1, 4];
        for (order, expect) in [(Order::Ascending, rising), (Order::Descending, falling)] {
            let in_place = SortedRun::new(keys.into_iter().zip(0..6).collect(), order);
            let inline = SortedRun::new(keys.into_iter().zip((0..6).map(|i| [i; 9])).collect(), order);
            let text = |(k, i): (u64, i32)| (k.to_string(), [i; 9]);
            let numbers = SortedRun::new(keys.into_iter().zip(0..6).map(text).collect(), order);
            assert!(matches!(in_place.index, Index::InPlace));
            assert!(matches!(inline.index, Index::Keys(_)) && matches!(numbers.index, Index::Numbers(_)));
            assert_eq!((0..6).map(|i| in_place.record(i).1).collect::<Vec<_>>(), expect);
            assert_eq!((0..6).map(|i| inline.record(i).1[0]).collect::<Vec<_>>(), expect);
            assert_eq!((0..6).map(|i| numbers.record(i).1[0]).collect::<Vec<_>>(), expect);
        }
    }
}
