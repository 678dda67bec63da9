//! [`Output`]: what one map task leaves for the reduce partitions: vectors while there is room, and what was spilled
//! before them.
use super::table::Row;
use crate::{
    Chunk, Data, Flow, Key, Result, Task, Wire,
    blocks::{RecordCodec, size},
    flow::Run as Records,
    lineage::Router,
    memory::{Grant, Kept, Memory},
    spill::{Run, RunWriter},
};
use std::{mem::size_of, sync::Arc};

/// The records of one map partition by reduce partition, in the order they came.
pub(crate) struct Output<R> {
    /// What came first; a part for each reduce partition.
    runs: Vec<Run<R>>,
    /// What came last. No vectors if all is on disk.
    memory: Vec<Arc<Vec<R>>>,
    /// No two records have the same key, as all of them come of one table.
    is_table: bool,
    _kept: Option<Kept>,
}
impl<R: Data> Output<R> {
    /// What a map task has in memory at its end: it stays there, or goes to disk as well. `bytes` is what it weighs.
    pub(crate) fn new(
        mut runs: Vec<Run<R>>,
        buckets: Vec<Vec<R>>,
        bytes: u64,
        codec: RecordCodec<R>,
        memory: &Arc<Memory>,
    ) -> Result<Self> {
        if bytes == 0 {
            return Ok(Output { runs, memory: shared(buckets), is_table: false, _kept: None });
        }
        if let Some(kept) = memory.keep(bytes) {
            return Ok(Output { runs, memory: shared(buckets), is_table: false, _kept: Some(kept) });
        }
        runs.push(spilled(&buckets, codec, memory)?);
        Ok(Output { runs, memory: Vec::new(), is_table: false, _kept: None })
    }
    pub(super) fn has_spilled(&self) -> bool {
        !self.runs.is_empty()
    }
    /// Whether no two of its records have the same key, for all that is known.
    pub(super) fn is_table(&self) -> bool {
        self.is_table
    }
    /// What lies in memory for a reduce partition.
    pub(super) fn in_memory(&self, reduce: usize) -> Option<Records<R>> {
        let records = self.memory.get(reduce).filter(|b| !b.is_empty())?;
        Some((records.clone(), 0..records.len()))
    }
    /// All that is there for a reduce partition, as flows that are not opened yet.
    pub(super) fn flows(&self, reduce: usize, task: &Task) -> impl Iterator<Item = Result<Flow<R>>> + use<R> {
        let (of_parts, of_memory) = (task.clone(), task.clone());
        let parts: Vec<_> = self.runs.iter().map(|run| run.part(reduce)).filter(|part| !part.is_empty()).collect();
        let rest = self.in_memory(reduce).into_iter();
        parts
            .into_iter()
            .map(move |part| part.flow(&of_parts))
            .chain(rest.map(move |run| Ok(Flow::source(vec![run], &of_memory))))
    }
}

/// Buckets as they are kept. One for all that are empty: with thousands of partitions on either side nearly all of the
/// millions are.
fn shared<R>(buckets: Vec<Vec<R>>) -> Vec<Arc<Vec<R>>> {
    let empty = Arc::new(Vec::new());
    buckets.into_iter().map(|b| if b.is_empty() { empty.clone() } else { Arc::new(b) }).collect()
}
/// Buckets on disk.
pub(super) fn spilled<R: Data>(buckets: &[Vec<R>], codec: RecordCodec<R>, memory: &Arc<Memory>) -> Result<Run<R>> {
    let mut run = RunWriter::new(memory, codec)?;
    for bucket in buckets {
        run.push(bucket)?;
        run.cut()?;
    }
    run.end()
}

/// What records weigh in vectors that grow: a vector is three quarters full on average.
pub(super) fn in_vectors(bytes: u64) -> u64 {
    bytes + bytes / 3
}

/// An output that grows record by record.
pub(crate) struct Filling<R> {
    pub(crate) buckets: Vec<Vec<R>>,
    /// What the records in the buckets weigh.
    bytes: u64,
    grant: Grant,
    runs: Vec<Run<R>>,
    codec: RecordCodec<R>,
}
impl<R: Data> Filling<R> {
    pub(crate) fn new(partitions: usize, task: &Task, codec: RecordCodec<R>) -> Self {
        let grant = Grant::new(&task.around.memory);
        Filling { buckets: (0..partitions).map(|_| Vec::new()).collect(), bytes: 0, grant, runs: Vec::new(), codec }
    }
    /// What a chunk will weigh as rows.
    pub(crate) fn weigh<T: Wire>(&self, chunk: &Chunk<T>) -> u64 {
        size::for_task(chunk) + (size_of::<R>().saturating_sub(size_of::<T>()) * chunk.len()) as u64
    }
    /// Records of this weight were added.
    pub(crate) fn added(&mut self, bytes: u64) -> Result<()> {
        self.bytes += bytes;
        if self.grant.ask(in_vectors(self.bytes)) { Ok(()) } else { self.spill() }
    }
    /// Writes what there is to disk.
    #[cold]
    pub(crate) fn spill(&mut self) -> Result<()> {
        self.runs.push(spilled(&self.buckets, self.codec, self.grant.memory())?);
        // Emptied and freed: whoever is refused gives back what it has.
        self.buckets.iter_mut().for_each(|bucket| *bucket = Vec::new());
        self.bytes = 0;
        self.grant.has_spilled();
        Ok(())
    }
    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.runs.is_empty()
    }
    pub(crate) fn end(mut self) -> Result<Output<R>> {
        self.grant.release();
        Output::new(self.runs, self.buckets, in_vectors(self.bytes), self.codec, self.grant.memory())
    }
}
impl<K: Key, C: Data> Filling<Row<K, C>> {
    /// With the rows of a table, of this weight, behind what there is.
    pub(super) fn end_with(
        mut self,
        rows: impl ExactSizeIterator<Item = Row<K, C>>,
        router: &Router<K>,
        bytes: u64,
    ) -> Result<Output<Row<K, C>>> {
        let is_table = self.is_empty();
        self.append(rows, router, bytes)?;
        Ok(Output { is_table, ..self.end()? })
    }
    /// Adds the rows of a table, of this weight.
    pub(super) fn append(
        &mut self,
        rows: impl ExactSizeIterator<Item = Row<K, C>>,
        router: &Router<K>,
        bytes: u64,
    ) -> Result<()> {
        // An even share each and a little more, so that they rarely grow; no room if most stay empty.
        let n = self.buckets.len();
        let share = rows.len() / n.max(1);
        if share > 0 {
            let more = if n == 1 { 0 } else { share / 8 + 4 };
            self.buckets.iter_mut().for_each(|bucket| bucket.reserve_exact(share + more));
        }
        for row in rows {
            self.buckets[router.partition(&row.1.0, |_| row.0)?].push(row);
        }
        self.bytes += bytes;
        Ok(())
    }
}
