//! [`Op`]: the one generic node. It adds to its closure only the keeping of computed partitions.
use super::{Meta, Node};
use crate::{Chunk, Data, Flow, Result, Task, accumulator::Apart, blocks::Blocks, flow::Run};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

type Compute<T> = Box<dyn Fn(usize, &Task) -> Result<Flow<T>> + Send + Sync>;

/// A node of records `T`: its shape and the closure that computes a partition.
pub struct Op<T: Data> {
    pub(crate) meta: Meta,
    pub(crate) persisted: AtomicBool,
    pub(crate) blocks: Arc<Blocks>,
    pub(crate) compute: Compute<T>,
}

impl<T: Data> Node for Op<T> {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn is_persisted(&self) -> bool {
        self.persisted.load(Relaxed)
    }
}
impl<T: Data> Op<T> {
    /// The records of a partition: from the block store if persisted and present, else computed (and stored). Two tasks
    /// that compute one block at once do double work; the first to finish is kept.
    ///
    /// # Errors
    /// What the lineage below met.
    pub fn flow(&self, partition: usize, task: &Task) -> Result<Flow<T>> {
        // SUBTLE: this recurses as deep as the lineage is long; what needs stack is elsewhere.
        if self.is_persisted() { self.kept(partition, task) } else { (self.compute)(partition, task) }
    }
    fn kept(&self, partition: usize, task: &Task) -> Result<Flow<T>> {
        let key = (self.meta.id, partition);
        if let Some(found) = self.blocks.get(key) {
            let runs: Arc<Vec<Run<T>>> = found.downcast().expect("an rdd id has one record type");
            return Ok(Flow::source(runs.to_vec(), task));
        }
        // What is added to accumulators from here on belongs to the block.
        let apart = Apart::begin();
        let flow = (self.compute)(partition, task)?;
        self.keep(partition, flow, apart, task)
    }
    fn keep(&self, partition: usize, flow: Flow<T>, apart: Apart, task: &Task) -> Result<Flow<T>> {
        let mut runs: Vec<Run<T>> = Vec::new();
        flow.each(|c: Chunk<T>| {
            runs.push(c.into_shared());
            Ok(())
        })?;
        self.blocks.put((self.meta.id, partition), Arc::new(runs.clone()));
        task.block_updated(self.meta.id, partition);
        apart.end().keep();
        // Unpersisted while this was computed: nobody would forget the block later.
        if !self.is_persisted() {
            self.blocks.forget(self.meta.id);
        }
        Ok(Flow::source(runs, task))
    }
}
impl<T: Data> Drop for Op<T> {
    fn drop(&mut self) {
        if self.is_persisted() {
            self.blocks.forget(self.meta.id);
        }
    }
}
