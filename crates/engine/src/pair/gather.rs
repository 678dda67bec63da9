//! [`Gather`]: rows brought together by key. A table as long as memory lasts; then sorted runs on disk, by the hash of the
//! key, and in the end one pass over all of them.
//!
//! Values of a key stay in the order in which they came: runs follow one another, and a merge keeps equal hashes in the
//! order of the runs. The order of keys is that of the table while nothing was spilled, and that of their hashes else.
use super::{
    hashed::Hashed,
    table::{Row, Table, row_codec},
    tabled::{Grows, Tabled},
};
use crate::{
    CHUNK, Chunk, Data, Error, Flow, Key, Result, Site, Task, Wire, at,
    blocks::{RecordCodec, size},
    flow::Run as Records,
    memory::{Grant, Memory},
    show,
    spill::{Merge, Pull, Run, RunWriter, few},
};
use std::{cmp::Ordering, mem::size_of, sync::Arc};

/// Values of one key that are written together: a merge holds that much of every run.
const PIECE: usize = 32 << 10;

/// By hash.
pub(super) fn by_hash<K, P>(a: &Row<K, P>, b: &Row<K, P>) -> Ordering {
    a.0.cmp(&b.0)
}
/// Rows of all runs, by the hash of their keys.
pub(super) type ByHash<K, P> = Merge<Row<K, P>, fn(&Row<K, P>, &Row<K, P>) -> Ordering>;
/// How what a table holds of a key is written: in one piece or several, in order.
pub(super) type Pieces<C, P> = fn(C, &mut dyn FnMut(P) -> Result<()>) -> Result<()>;

/// What is made of the rows of a table that is done.
pub(super) struct Form<K, C, E> {
    of: fn(Row<K, C>) -> E,
    /// Rows of a chunk.
    at_once: usize,
}
impl<K, C, E> Clone for Form<K, C, E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, C, E> Copy for Form<K, C, E> {}
impl<K, C> Form<K, C, (K, C)> {
    /// As they are, for whoever comes next.
    pub(super) const ENTRIES: Self = Form { of: |row| row.1, at_once: CHUNK };
}
impl<K, C> Form<K, C, Hashed<K, C>> {
    /// With their hashes, in one piece: for whoever keeps them all.
    pub(super) const HASHED: Self =
        Form { of: |(hash, (key, value))| Hashed { hash, key, value }, at_once: usize::MAX };
}
impl<K: Key, C: Data, E: Data> Form<K, C, E> {
    /// Rows that no key has two of.
    pub(super) fn flow(self, rows: Records<Row<K, C>>, task: &Task) -> Flow<E> {
        if self.at_once == CHUNK {
            return Flow::source(vec![rows], task).map_chunks(move |c| c.map(self.of));
        }
        let mut all = Some(rows).filter(|(_, range)| !range.is_empty());
        Flow::new(move || {
            Ok(all.take().map(|(rows, range)| Chunk::Own(rows[range].iter().cloned().map(self.of).collect())))
        })
    }
}

/// Accumulators `C` in the table, pieces `P` on disk.
pub(super) struct Gather<K, C, P> {
    tabled: Tabled<K, C>,
    runs: Vec<Run<Row<K, P>>>,
    pieces: Pieces<C, P>,
    codec: RecordCodec<Row<K, P>>,
}
impl<K: Key, C: Wire> Gather<K, C, C> {
    /// Of accumulators that are written as they are.
    pub(super) fn whole(rows: usize, task: &Task) -> Self {
        let tabled = Tabled::new(rows, task, Grows::of::<C>(), size::walked::<C>);
        Gather { tabled, runs: Vec::new(), pieces: |c, f| f(c), codec: row_codec() }
    }
    /// All accumulators; those that were written apart are merged.
    pub(super) fn finish<E: Data>(
        self,
        site: Site,
        task: &Task,
        merge: impl Fn(&mut Table<K, C>, u64, K, C) + 'static,
        form: Form<K, C, E>,
    ) -> Result<Flow<E>> {
        if !self.has_spilled() {
            return Ok(self.into_flow(form));
        }
        let (mut rows, task) = (self.sorted()?, task.clone());
        Ok(Flow::new(move || {
            task.check()?;
            at(site);
            let loaded = load(&mut rows, None, &merge)?;
            Ok(loaded.map(|(table, _)| Chunk::Own(table.into_rows().map(form.of).collect())))
        }))
    }
}
impl<K: Key, C: Data, P: Wire> Gather<K, C, P> {
    /// Of accumulators that keep what is put in: values of type `V`, in vectors.
    pub(super) fn keeping<V>(rows: usize, task: &Task, pieces: Pieces<C, P>) -> Self {
        let tabled = Tabled::new(rows, task, Grows::ByInput(size_of::<V>()), |_| 0);
        Gather { tabled, runs: Vec::new(), pieces, codec: row_codec() }
    }
    #[inline]
    pub(super) fn table(&mut self) -> &mut Table<K, C> {
        &mut self.tabled.table
    }
    /// What of a chunk will be kept.
    pub(super) fn weigh<T: Wire>(&self, chunk: &Chunk<T>) -> u64 {
        self.tabled.weigh(chunk)
    }
    /// A chunk was added, of which so much is kept.
    #[inline]
    pub(super) fn added(&mut self, kept: u64) -> Result<()> {
        if self.tabled.fits(kept) { Ok(()) } else { self.spill() }
    }
    pub(super) fn has_spilled(&self) -> bool {
        !self.runs.is_empty()
    }
    #[cold]
    fn spill(&mut self) -> Result<()> {
        let mut run = RunWriter::new(self.tabled.memory(), self.codec)?;
        let mut some = Vec::new();
        for (h, (k, c)) in self.in_order() {
            (self.pieces)(c, &mut |p| {
                some.push((h, (k.clone(), p)));
                // Few are large and many are small; the file gathers them again.
                if some.len() == 64 {
                    run.push(&some)?;
                    some.clear();
                }
                Ok(())
            })?;
        }
        run.push(&some)?;
        run.cut()?;
        self.runs.push(run.end()?);
        self.tabled.has_spilled();
        Ok(())
    }
    /// The rows of the table by hash; it is empty afterwards.
    fn in_order(&mut self) -> Vec<Row<K, C>> {
        let mut rows: Vec<_> = self.tabled.take().collect();
        // A key has one row, and keys of one hash may come in any order.
        rows.sort_unstable_by_key(|row| row.0);
        rows
    }
    /// The table, if nothing was spilled, and what it was granted.
    pub(super) fn into_table(self) -> (Table<K, C>, Grant) {
        debug_assert!(!self.has_spilled());
        self.tabled.into_parts()
    }
    /// The entries, if nothing was spilled.
    pub(super) fn into_flow<E: Data>(self, form: Form<K, C, E>) -> Flow<E> {
        let (table, grant) = self.into_table();
        let mut rows = table.into_rows();
        Flow::new(move || {
            let _held = &grant;
            let some: Vec<E> = rows.by_ref().take(form.at_once).map(form.of).collect();
            Ok((!some.is_empty()).then_some(Chunk::Own(some)))
        })
    }
    /// Everything by hash: the runs, and what is in memory behind them.
    pub(super) fn sorted(mut self) -> Result<ByHash<K, P>> {
        let memory: Arc<Memory> = self.tabled.memory().clone();
        let mut pulls: Vec<Pull<Row<K, P>>> = self.runs.iter().map(|run| run.part(0).pull()).collect();
        let (mut rows, pieces) = (self.in_order().into_iter(), self.pieces);
        pulls.push(Box::new(move || {
            let _held = &self.tabled;
            let mut some = Vec::new();
            for (h, (k, c)) in rows.by_ref().take(CHUNK) {
                pieces(c, &mut |p| {
                    some.push((h, (k.clone(), p)));
                    Ok(())
                })?;
            }
            Ok((!some.is_empty()).then_some(some))
        }));
        let pulls = few(pulls, by_hash, self.codec, &memory)?;
        Merge::new(pulls, by_hash as _)
    }
}

/// What is said when the values of one key are too many.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) operator: &'static str,
    pub(super) site: Site,
    /// Bytes.
    pub(super) most: u64,
}
impl Limit {
    pub(super) fn of(operator: &'static str, site: Site, task: &Task) -> Self {
        Limit { operator, site, most: task.around.memory.for_a_group() }
    }
    pub(super) fn exceeded<K: Key>(&self, key: &K, held: u64) -> Error {
        let Limit { operator, site, most } = *self;
        let mut text = show(key);
        if text.len() > SHOWN {
            text = text.chars().take(SHOWN).chain("…".chars()).collect();
        }
        Error::GroupTooLarge { operator, site, key: text, held, limit: most }
    }
}
/// Letters of a key that a message shows.
const SHOWN: usize = 100;

/// A table of the next rows: all of some hashes, and the last of those. Some hundred keys, or a quarter of what one task
/// may hold; more only if one hash has more, and no more than the limit.
pub(super) fn load<K: Key, C: Data, P: Wire>(
    rows: &mut ByHash<K, P>,
    limit: Option<Limit>,
    add: impl Fn(&mut Table<K, C>, u64, K, P),
) -> Result<Option<(Table<K, C>, u64)>> {
    let Some(first) = rows.peek() else { return Ok(None) };
    let (mut table, mut last) = (Table::with_capacity(0), first.0);
    // In all, and of the last hash.
    let (mut bytes, mut own) = (0, 0);
    while let Some(row) = rows.peek() {
        if row.0 != last {
            if table.len() >= CHUNK || limit.is_some_and(|l| bytes > l.most / 4) {
                break;
            }
            (last, own) = (row.0, 0);
        }
        if let Some(limit) = limit {
            let weight = size_of::<P>() as u64 + size::walked(&row.1.1);
            (bytes, own) = (bytes + weight, own + weight);
            if own > limit.most {
                return Err(limit.exceeded(&row.1.0, own));
            }
        }
        let Some((h, (k, p))) = rows.next()? else { break };
        add(&mut table, h, k, p);
    }
    Ok(Some((table, last)))
}

/// Values in pieces.
pub(super) fn split<V: Wire>(values: Vec<V>, f: &mut dyn FnMut(Vec<V>) -> Result<()>) -> Result<()> {
    let looked = values.len().min(4);
    let weight = |v: &V| size_of::<V>() + size::walked(v) as usize;
    let one = values.iter().take(looked).map(weight).sum::<usize>().checked_div(looked).unwrap_or(0);
    let most = (PIECE / one.max(1)).max(1);
    if values.len() <= most {
        return f(values);
    }
    let mut rest = values.into_iter();
    loop {
        let piece: Vec<V> = rest.by_ref().take(most).collect();
        if piece.is_empty() {
            return Ok(());
        }
        f(piece)?;
    }
}
