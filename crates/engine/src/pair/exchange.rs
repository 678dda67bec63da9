//! [`Exchange`]: one shuffle. Typed vectors are handed over in process, neither serialised nor erased; the scheduler
//! sees only `dyn Shuffle`. Outputs are shared, not moved, because a lineage may be read again, and they die with it.
use crate::{
    Data, Error, Flow, Key, Rdd, Result, Shape, ShuffleId, Site, Task, Wire, at,
    backend::Block,
    flow::Run,
    lineage::{Count, Dep, Link, Node, Op, Partitioner, Shuffle},
};
use std::sync::{Arc, OnceLock, atomic::Ordering::Relaxed};

/// What one map task wrote: a vector per reduce partition.
type Buckets<O> = Arc<Vec<Arc<Vec<O>>>>;
type Write<I, O> = Box<dyn Fn(Flow<I>, usize, &Task) -> Result<Vec<Vec<O>>> + Send + Sync>;

/// `I` goes in, `O` lies in the buckets: `(K, V)` and `(K, C)` when combining.
pub(super) struct Exchange<I: Data, O: Data> {
    id: ShuffleId,
    name: &'static str,
    site: Site,
    parent: Link<Op<I>>,
    reducers: Count,
    /// One cell per map partition, made when their number is known. Filled without a lock.
    outputs: OnceLock<Vec<OnceLock<Buckets<O>>>>,
    write: Write<I, O>,
}

impl<I: Data, O: Data> Exchange<I, O> {
    fn cell(&self, map: usize) -> Result<&OnceLock<Buckets<O>>> {
        if let Some(cells) = self.outputs.get() {
            return Ok(&cells[map]);
        }
        let n = self.parent.meta.partitions.get()?;
        Ok(&self.outputs.get_or_init(|| (0..n).map(|_| OnceLock::new()).collect())[map])
    }
    fn filled(&self, map: usize) -> Option<&Buckets<O>> {
        self.outputs.get()?.get(map)?.get()
    }
    /// The runs of one reduce partition, in map-partition order: the same for any number of threads.
    pub(super) fn bucket(&self, reduce: usize) -> Result<Vec<Run<O>>> {
        let Some(cells) = self.outputs.get() else {
            // A parent without partitions, or one that the planner never came to: see `unplanned`.
            return if self.parent.meta.partitions.get()? == 0 { Ok(Vec::new()) } else { Err(self.unplanned()) };
        };
        let mut runs = Vec::with_capacity(cells.len());
        for cell in cells {
            let bucket = &cell.get().ok_or_else(|| self.unplanned())?[reduce];
            if !bucket.is_empty() {
                runs.push((bucket.clone(), 0..bucket.len()));
            }
        }
        Ok(runs)
    }
    /// The planner ran every map task that was missing, except below what was cached then and is gone now.
    fn unplanned(&self) -> Error {
        Error::Unplanned { shuffle: self.id, site: self.site }
    }
}
impl<I: Data, O: Data> Shuffle for Exchange<I, O> {
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
    fn is_done(&self, map: usize) -> bool {
        self.filled(map).is_some()
    }
    fn run_map(&self, map: usize, task: &Task) -> Result<()> {
        let (cell, n) = (self.cell(map)?, self.reducers.get()?);
        let buckets = (self.write)(self.parent.flow(map, task)?, n, task)?;
        // One for all that are empty: with thousands of partitions on either side nearly all of the millions are.
        let empty = Arc::new(Vec::new());
        let share = |b: Vec<O>| if b.is_empty() { empty.clone() } else { Arc::new(b) };
        // Two jobs may race for one map output; both are right, the first stays.
        let _ = cell.set(Arc::new(buckets.into_iter().map(share).collect()));
        Ok(())
    }
    fn output(&self, map: usize) -> Block {
        self.filled(map).expect("asked for after run_map").clone()
    }
    fn adopt(&self, map: usize, output: Block) {
        let typed: Arc<Vec<Arc<Vec<O>>>> = output.downcast().expect("equal labels carry equal types");
        if let Ok(cell) = self.cell(map) {
            let _ = cell.set(typed);
        }
    }
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// A shuffle of this RDD into `n` partitions.
    pub(super) fn shuffle<O: Wire>(
        &self,
        name: &'static str,
        site: Site,
        n: Count,
        write: impl Fn(Flow<(K, V)>, usize, &Task) -> Result<Vec<Vec<O>>> + Send + Sync + 'static,
    ) -> Arc<Exchange<(K, V), O>>
    where
        K: Key,
        V: Wire,
    {
        Arc::new(Exchange {
            id: ShuffleId(self.sc.inner.ids.shuffles.fetch_add(1, Relaxed)),
            name,
            site,
            parent: Link::typed(&self.op),
            reducers: n,
            outputs: OnceLock::new(),
            write: Box::new(write),
        })
    }
    /// A shuffle of this RDD into `n` partitions, and the RDD that reads it.
    pub(super) fn exchange<O: Wire, U: Data>(
        &self,
        name: &'static str,
        site: Site,
        n: Count,
        write: impl Fn(Flow<(K, V)>, usize, &Task) -> Result<Vec<Vec<O>>> + Send + Sync + 'static,
        read: impl Fn(Vec<Run<O>>, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    ) -> Rdd<U>
    where
        K: Key,
        V: Wire,
    {
        let x = self.shuffle(name, site, n.clone(), write);
        let partitioner = Some(Partitioner::Hash(n.clone()));
        let shape = Shape { name, site, partitions: n, deps: vec![Dep::Shuffle(x.clone())], partitioner, depth: 0 };
        self.sc.make(shape, move |p, task| {
            task.check()?;
            at(site);
            read(x.bucket(p)?, task)
        })
    }
}
