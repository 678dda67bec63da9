//! Merging sorted runs, a chunk at a time: equal keys in the order of the runs.
use super::run::SortedRun;
use crate::{CHUNK, Chunk, Data, Flow, Order, Site, SortKey, Task, at, spill::Losers};
use std::{cmp::Ordering, ops::Range, sync::Arc};

/// A part of a run that is read in order.
pub(super) struct Slice<K, V> {
    run: Arc<SortedRun<K, V>>,
    next: usize,
    end: usize,
}
impl<K: SortKey, V: Data> Slice<K, V> {
    pub(super) fn new(run: Arc<SortedRun<K, V>>, part: Range<usize>) -> Self {
        Slice { run, next: part.start, end: part.end }
    }
}

/// The records of all slices in order. Nothing is held but the runs, and records are cloned out of them: they may be
/// read again.
pub(super) fn merged<K: SortKey, V: Data>(
    slices: Vec<Slice<K, V>>,
    order: Order,
    site: Site,
    task: &Task,
) -> Flow<(K, V)> {
    let task = task.clone();
    let mut slices: Vec<Slice<K, V>> = slices.into_iter().filter(|s| s.next < s.end).collect();
    let mut tree: Option<Losers> = None;
    let mut picks: Vec<(u32, usize)> = Vec::new();
    Flow::new(move || {
        task.check()?;
        at(site);
        if let [only] = &mut slices[..] {
            let part = only.next..(only.next + CHUNK).min(only.end);
            only.next = part.end;
            let some: Vec<(K, V)> = part.map(|i| only.run.record(i).clone()).collect();
            return Ok((!some.is_empty()).then_some(Chunk::Own(some)));
        }
        // First which records, then the records: where they lie in memory has no order, and in a loop of their own the
        // processor fetches many at once.
        picks.clear();
        let tree = tree.get_or_insert_with(|| Losers::new(slices.len(), |a, b| comes_first(&slices, order, a, b)));
        while picks.len() < CHUNK {
            let Some(first) = tree.first() else { break };
            let s = &mut slices[first];
            if s.next == s.end {
                break; // the first of all has ended, so all have
            }
            picks.push((first as u32, s.next));
            s.next += 1;
            tree.replay(|a, b| comes_first(&slices, order, a, b));
        }
        let some: Vec<(K, V)> = picks.iter().map(|&(s, i)| slices[s as usize].run.record(i).clone()).collect();
        Ok((!some.is_empty()).then_some(Chunk::Own(some)))
    })
}

/// Whether slice `a` goes before slice `b`. One that has ended goes last.
#[inline]
fn comes_first<K: SortKey, V: Data>(slices: &[Slice<K, V>], order: Order, a: usize, b: usize) -> bool {
    let (x, y) = (&slices[a], &slices[b]);
    if x.next == x.end || y.next == y.end {
        return y.next == y.end && (x.next < x.end || a < b);
    }
    match order.compare(x.run.key(x.next), y.run.key(y.next)) {
        Ordering::Less => true,
        Ordering::Equal => a < b,
        Ordering::Greater => false,
    }
}
