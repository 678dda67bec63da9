//! [`Merge`]: sorted runs in one order. Never more than a few at a time: each has a buffer, and a file when it is on disk.
use super::{Losers, RunWriter};
use crate::{CHUNK, Data, Result, blocks::RecordCodec, memory::Memory};
use std::{cmp::Ordering, sync::Arc, vec::IntoIter};

/// Records in order, some at a time. Nothing is opened before the first are wanted.
pub(crate) type Pull<R> = Box<dyn FnMut() -> Result<Option<Vec<R>>>>;

/// Runs that are merged at once at most.
const MOST: usize = 64;
/// And at least, however little memory there is.
const LEAST: usize = 4;
/// What the buffers of one run take, roughly.
const BUFFERS: u64 = 1 << 20;

struct Source<R> {
    pull: Pull<R>,
    open: IntoIter<R>,
}
impl<R> Source<R> {
    fn head(&self) -> Option<&R> {
        self.open.as_slice().first()
    }
    /// Sees to it that there is a head, unless the run has ended.
    fn fill(&mut self) -> Result<()> {
        while self.open.len() == 0 {
            match (self.pull)()? {
                Some(more) => self.open = more.into_iter(),
                None => break,
            }
        }
        Ok(())
    }
}

/// The records of several runs in order; equal ones in the order of the runs.
pub(crate) struct Merge<R, C> {
    sources: Vec<Source<R>>,
    tree: Losers,
    order: C,
}
impl<R, C: Fn(&R, &R) -> Ordering> Merge<R, C> {
    /// Opens all runs.
    pub(crate) fn new(runs: Vec<Pull<R>>, order: C) -> Result<Self> {
        let open = |pull| -> Result<Source<R>> {
            let mut source = Source { pull, open: Vec::new().into_iter() };
            source.fill()?;
            Ok(source)
        };
        let sources: Vec<Source<R>> = runs.into_iter().map(open).collect::<Result<_>>()?;
        let tree = Losers::new(sources.len(), |a, b| comes_first(&sources, &order, a, b));
        Ok(Merge { sources, tree, order })
    }
    /// The next record.
    #[inline]
    pub(crate) fn peek(&self) -> Option<&R> {
        self.sources[self.tree.first()?].head()
    }
    /// Takes the next record.
    pub(crate) fn next(&mut self) -> Result<Option<R>> {
        let Some(first) = self.tree.first() else { return Ok(None) };
        let Some(record) = self.sources[first].open.next() else { return Ok(None) };
        self.sources[first].fill()?;
        let Merge { sources, tree, order } = self;
        let order = &*order;
        tree.replay(|a, b| comes_first(sources, order, a, b));
        Ok(Some(record))
    }
    /// The next records, about a chunk.
    pub(crate) fn next_some(&mut self) -> Result<Vec<R>> {
        let mut some = Vec::new();
        while some.len() < CHUNK
            && let Some(record) = self.next()?
        {
            some.push(record);
        }
        Ok(some)
    }
}
/// Whether source `a` goes before source `b`. One that has ended goes last.
#[inline]
fn comes_first<R>(sources: &[Source<R>], order: impl Fn(&R, &R) -> Ordering, a: usize, b: usize) -> bool {
    match (sources[a].head(), sources[b].head()) {
        (Some(x), Some(y)) => match order(x, y) {
            Ordering::Less => true,
            Ordering::Equal => a < b,
            Ordering::Greater => false,
        },
        (x, y) => y.is_none() && (x.is_some() || a < b),
    }
}

/// So many runs that they can be merged at once: neighbours are merged into one on disk, as often as it takes.
pub(crate) fn few<R: Data>(
    mut runs: Vec<Pull<R>>,
    order: impl Fn(&R, &R) -> Ordering + Copy,
    codec: RecordCodec<R>,
    memory: &Arc<Memory>,
) -> Result<Vec<Pull<R>>> {
    let most = usize::try_from(memory.share() / BUFFERS).unwrap_or(MOST).clamp(LEAST, MOST);
    while runs.len() > most {
        let mut fewer = Vec::new();
        let mut rest = runs.into_iter();
        loop {
            let group: Vec<Pull<R>> = rest.by_ref().take(most).collect();
            match group.len() {
                0 => break,
                1 => fewer.extend(group),
                _ => {
                    let (mut merge, mut run) = (Merge::new(group, order)?, RunWriter::new(memory, codec)?);
                    loop {
                        let some = merge.next_some()?;
                        if some.is_empty() {
                            break;
                        }
                        run.push(&some)?;
                    }
                    run.cut()?;
                    fewer.push(run.end()?.part(0).pull());
                }
            }
        }
        runs = fewer;
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::Scratch;

    fn pulls(lists: &[Vec<(u64, usize)>]) -> Vec<Pull<(u64, usize)>> {
        let pull = |list: &Vec<(u64, usize)>| {
            let mut rest = list.clone().into_iter();
            // One at a time, and at times none.
            let mut turn = 0;
            Box::new(move || {
                turn += 1;
                if turn % 3 == 0 { Ok(Some(Vec::new())) } else { Ok(rest.next().map(|x| vec![x])) }
            }) as Pull<_>
        };
        lists.iter().map(pull).collect()
    }
    fn by_key(a: &(u64, usize), b: &(u64, usize)) -> Ordering {
        a.0.cmp(&b.0)
    }

    #[test]
    fn many_runs_become_one_order_and_equal_ones_stay_in_theirs() {
        let scratch = Arc::new(Scratch::new(std::env::temp_dir()));
        let memory = Arc::new(Memory::new(1 << 20, 0.5, 1, scratch, true));
        for n in [0, 1, 2, 5, 70] {
            let lists: Vec<Vec<_>> =
                (0..n).map(|run| (0..20).map(|i| (i * (run as u64 % 3 + 1), run)).collect()).collect();
            let runs = few(pulls(&lists), by_key, RecordCodec::of(), &memory).expect("a disk");
            assert!(runs.len() <= LEAST);
            let mut merge = Merge::new(runs, by_key).expect("a disk");
            let mut all = Vec::new();
            while let Some(x) = merge.next().expect("a disk") {
                all.push(x);
            }
            let mut expect = lists.concat();
            expect.sort_by_key(|x| x.0);
            assert_eq!(all, expect, "{n} runs");
        }
        assert!(memory.spills.load(std::sync::atomic::Ordering::Relaxed) > 0);
    }
}
