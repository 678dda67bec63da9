//! [`Exchange`]: one shuffle. Typed vectors are handed over in process, neither serialised nor erased, unless memory ends; the scheduler
//! sees only `dyn Shuffle`. Outputs are shared, not moved, because a lineage may be read again, and they die with it.
use super::output::Output;
use crate::{
    Data, Error, Flow, Key, Rdd, Result, Shape, ShuffleId, Site, Task, Wire, at,
    backend::Block,
    flow::Run,
    lineage::{Count, Dep, Link, Node, Op, Partitioner, Router, Shuffle},
};
use std::sync::{Arc, OnceLock, atomic::Ordering::Relaxed};

type Write<I, O> = Box<dyn Fn(Flow<I>, &Task) -> Result<O> + Send + Sync>;

/// `I` goes in, an `O` comes of each map partition: mostly an [`Output`].
pub(crate) struct Exchange<I: Data, O> {
    id: ShuffleId,
    name: &'static str,
    site: Site,
    parent: Link<Op<I>>,
    reducers: Count,
    /// What `write` asks where keys go.
    after: Option<Arc<dyn Shuffle>>,
    /// One cell per map partition, made when their number is known. Filled without a lock.
    outputs: OnceLock<Vec<OnceLock<Arc<O>>>>,
    write: Write<I, O>,
}

impl<I: Data, O: Send + Sync + 'static> Exchange<I, O> {
    fn cell(&self, map: usize) -> Result<&OnceLock<Arc<O>>> {
        if let Some(cells) = self.outputs.get() {
            return Ok(&cells[map]);
        }
        let n = self.parent.meta.partitions.get()?;
        Ok(&self.outputs.get_or_init(|| (0..n).map(|_| OnceLock::new()).collect())[map])
    }
    fn filled(&self, map: usize) -> Option<&Arc<O>> {
        self.outputs.get()?.get(map)?.get()
    }
    /// What all map partitions made, in their order.
    ///
    /// # Errors
    /// [`Error::Unplanned`]: the planner ran every map task that was missing, except below what was cached then and is
    /// gone now.
    pub(crate) fn outputs(&self) -> Result<Vec<&Arc<O>>> {
        let unplanned = || Error::Unplanned { shuffle: self.id, site: self.site };
        match self.outputs.get() {
            Some(cells) => cells.iter().map(|c| c.get().ok_or_else(unplanned)).collect(),
            None if self.parent.meta.partitions.get()? == 0 => Ok(Vec::new()),
            None => Err(unplanned()),
        }
    }
}
impl<I: Data, R: Data> Exchange<I, Output<R>> {
    /// The records of one reduce partition, in map-partition order: the same for any number of threads.
    pub(crate) fn read(&self, reduce: usize, task: &Task) -> Result<Flow<R>> {
        let outputs = self.outputs()?;
        if outputs.iter().any(|output| output.has_spilled()) {
            let outputs: Vec<Arc<Output<R>>> = outputs.into_iter().cloned().collect();
            let task = task.clone();
            return Ok(Flow::chain(outputs.into_iter().flat_map(move |output| output.flows(reduce, &task))));
        }
        Ok(Flow::source(outputs.into_iter().filter_map(|output| output.in_memory(reduce)).collect(), task))
    }
    /// The records for this one, if one map task alone has some, all in memory, and no two of them have the same key.
    pub(crate) fn one_table(&self, reduce: usize) -> Option<Run<R>> {
        let outputs = self.outputs().ok()?;
        if outputs.iter().any(|output| output.has_spilled()) {
            return None;
        }
        let mut some = outputs.into_iter().filter_map(|output| Some((output.is_table(), output.in_memory(reduce)?)));
        let (is_table, rows) = some.next()?;
        (is_table && some.next().is_none()).then_some(rows)
    }
    /// The records that the largest map partition has left in memory for this one: about how many keys there are at least.
    pub(crate) fn longest(&self, reduce: usize) -> usize {
        // What is missing is an error where it is read.
        let outputs = self.outputs().into_iter().flatten();
        outputs.filter_map(|output| Some(output.in_memory(reduce)?.1.len())).max().unwrap_or(0)
    }
}
impl<I: Data, O: Send + Sync + 'static> Shuffle for Exchange<I, O> {
    fn id(&self) -> ShuffleId {
        self.id
    }
    fn parent(&self) -> &dyn Node {
        &**self.parent
    }
    fn parent_link(&self) -> Link<dyn Node> {
        Link::erased(&self.parent)
    }
    fn site(&self) -> Site {
        self.site
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn reducers(&self) -> &Count {
        &self.reducers
    }
    fn after(&self) -> Option<&Arc<dyn Shuffle>> {
        self.after.as_ref()
    }
    fn is_done(&self, map: usize) -> bool {
        self.filled(map).is_some()
    }
    fn run_map(&self, map: usize, task: &Task) -> Result<()> {
        let cell = self.cell(map)?;
        let output = (self.write)(self.parent.flow(map, task)?, task)?;
        // Two jobs may race for one map output; both are right, the first stays.
        let _ = cell.set(Arc::new(output));
        Ok(())
    }
    fn output(&self, map: usize) -> Block {
        self.filled(map).expect("asked for after run_map").clone()
    }
    fn adopt(&self, map: usize, output: Block) {
        let typed: Arc<O> = output.downcast().expect("equal labels carry equal types");
        if let Ok(cell) = self.cell(map) {
            let _ = cell.set(typed);
        }
    }
}

impl<T: Data> Rdd<T> {
    /// A shuffle of this RDD, of which each map partition leaves what `write` makes.
    pub(crate) fn shuffle<O: Send + Sync + 'static>(
        &self,
        name: &'static str,
        site: Site,
        reducers: Count,
        after: Option<Arc<dyn Shuffle>>,
        write: impl Fn(Flow<T>, &Task) -> Result<O> + Send + Sync + 'static,
    ) -> Arc<Exchange<T, O>> {
        Arc::new(Exchange {
            id: ShuffleId(self.sc.inner.ids.shuffles.fetch_add(1, Relaxed)),
            name,
            site,
            parent: Link::typed(&self.op),
            reducers,
            after,
            outputs: OnceLock::new(),
            write: Box::new(write),
        })
    }
}
impl<K: Data, V: Data> Rdd<(K, V)> {
    /// A shuffle of this RDD by its keys, and the RDD that reads it.
    pub(super) fn exchange<O: Send + Sync + 'static, U: Data>(
        &self,
        name: &'static str,
        site: Site,
        partitioner: Partitioner,
        write: impl Fn(Flow<(K, V)>, &Router<K>, &Task) -> Result<O> + Send + Sync + 'static,
        read: impl Fn(&Exchange<(K, V), O>, usize, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    ) -> Rdd<U>
    where
        K: Key,
        V: Wire,
    {
        let x = self.shuffle_by(name, site, &partitioner, write);
        let partitions = partitioner.partitions().clone();
        let (deps, partitioner) = (vec![Dep::Shuffle(x.clone())], Some(partitioner));
        self.sc.make(Shape { name, site, partitions, deps, partitioner, depth: 0 }, move |p, task| {
            task.check()?;
            at(site);
            read(&x, p, task)
        })
    }
    /// A shuffle of this RDD by its keys.
    pub(super) fn shuffle_by<O: Send + Sync + 'static>(
        &self,
        name: &'static str,
        site: Site,
        partitioner: &Partitioner,
        write: impl Fn(Flow<(K, V)>, &Router<K>, &Task) -> Result<O> + Send + Sync + 'static,
    ) -> Arc<Exchange<(K, V), O>>
    where
        K: Key,
        V: Wire,
    {
        let (after, by) = (partitioner.after().cloned(), partitioner.clone());
        let write = move |flow: Flow<(K, V)>, task: &Task| write(flow, &by.router(name, site)?, task);
        self.shuffle(name, site, partitioner.partitions().clone(), after, write)
    }
}
