//! Merging sorted runs, a chunk at a time: equal keys in the order of the runs.
use super::run::SortedRun;
use crate::{CHUNK, Chunk, Data, Flow, Order, Site, SortKey, Task, at};
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

/// A tournament of `n` players, who sit at the leaves `n..2n` of a tree: each inner node keeps who lost there, node 0 who
/// won. When the winner has changed only its own way up is played again: about log2 n matches.
struct Losers {
    nodes: Vec<usize>,
}
impl Losers {
    fn new(n: usize, wins: impl Fn(usize, usize) -> bool) -> Self {
        // The winners below each node, from the leaves up; a match leaves its loser.
        let mut winners: Vec<usize> = (0..n).chain(0..n).collect();
        let mut nodes = vec![0; n];
        for node in (1..n).rev() {
            let (a, b) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = if wins(a, b) { (a, b) } else { (b, a) };
            (winners[node], nodes[node]) = (winner, loser);
        }
        if n > 1 {
            nodes[0] = winners[1];
        }
        Losers { nodes }
    }
    #[inline]
    fn first(&self) -> Option<usize> {
        self.nodes.first().copied()
    }
    #[inline]
    fn replay(&mut self, wins: impl Fn(usize, usize) -> bool) {
        let mut winner = self.nodes[0];
        let mut node = (winner + self.nodes.len()) / 2;
        while node > 0 {
            if wins(self.nodes[node], winner) {
                std::mem::swap(&mut self.nodes[node], &mut winner);
            }
            node /= 2;
        }
        self.nodes[0] = winner;
    }
}

#[cfg(test)]
mod tests {
    use super::Losers;

    #[test]
    fn any_number_of_players_comes_out_in_order() {
        for n in 0..20 {
            // Player i shows i*7 mod n, then the next greater by n, three times in all.
            let mut shows: Vec<usize> = (0..n).map(|i| i * 7 % n).collect();
            let mut tree = Losers::new(n, |a, b| (shows[a], a) < (shows[b], b));
            let mut seen = Vec::new();
            while let Some(first) = tree.first().filter(|first| shows[*first] < 3 * n) {
                seen.push((shows[first], first));
                shows[first] += n;
                tree.replay(|a, b| (shows[a], a) < (shows[b], b));
            }
            assert_eq!(seen.len(), 3 * n);
            assert!(seen.is_sorted(), "{n}: {seen:?}");
        }
    }
}
