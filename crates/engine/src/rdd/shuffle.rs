//! Shuffles of records that need not have keys: whole records handed to other partitions ([`Rdd::shuffle_by`]), and a
//! first look at all partitions whose findings every task may see ([`Rdd::surveyed`]).
use super::{Rdd, Shape};
use crate::{
    Data, Flow, Result, ShuffleId, Site, Task, Wire, at,
    lineage::{Count, Dep, Link},
    pair::exchange::Exchange,
};
use std::sync::{Arc, OnceLock, atomic::Ordering::Relaxed};

/// What makes one RDD of another by way of a first look; see [`Rdd::surveyed`].
pub(super) struct Survey<Look, Sum, Read> {
    /// What a map task finds in a partition.
    pub(super) look: Look,
    /// What all findings together say, in the order of partitions. Pure: it may be computed twice.
    pub(super) sum: Sum,
    /// Partition p of the result, from partition p of this RDD and the sum.
    pub(super) read: Read,
}

impl<T: Data> Rdd<T> {
    /// A shuffle of this RDD into `n` partitions: `write` hands over, for one partition of this RDD
    /// (`task.partition`), what goes to each of them.
    pub(crate) fn shuffle_by<O: Wire>(
        &self,
        name: &'static str,
        site: Site,
        n: Count,
        write: impl Fn(Flow<T>, usize, &Task) -> Result<Vec<Vec<O>>> + Send + Sync + 'static,
    ) -> Arc<Exchange<T, O>> {
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
    /// A narrow operator that needs to know something of all partitions first. A map side looks at the partitions of
    /// `looked` and leaves a few findings; as outputs of a shuffle they are made when a job first needs them and serve
    /// every later one. The parent is computed twice, unless it is cached.
    pub(super) fn surveyed<O: Wire, S: Send + Sync + 'static, U: Data, Look, Sum, Read>(
        &self,
        name: &'static str,
        site: Site,
        keeps_partitioner: bool,
        looked: &Rdd<T>,
        survey: Survey<Look, Sum, Read>,
    ) -> Rdd<U>
    where
        Look: Fn(Flow<T>, &Task) -> Result<Vec<O>> + Send + Sync + 'static,
        Sum: Fn(&mut dyn Iterator<Item = &O>) -> S + Send + Sync + 'static,
        Read: Fn(usize, Flow<T>, &Arc<S>, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    {
        let Survey { look, sum, read } = survey;
        let findings = looked.shuffle_by(name, site, Count::known(1), move |flow, _, task| Ok(vec![look(flow, task)?]));
        let (parent, meta) = (Link::typed(&self.op), &self.op.meta);
        let shape = Shape {
            name,
            site,
            partitions: meta.partitions.clone(),
            deps: vec![Dep::Narrow(Link::erased(&self.op)), Dep::Shuffle(findings.clone())],
            partitioner: meta.partitioner.clone().filter(|_| keeps_partitioner),
            depth: meta.depth + 1,
        };
        let known: OnceLock<Arc<S>> = OnceLock::new();
        self.sc.make(shape, move |p, task| {
            let flow = parent.flow(p, task)?;
            at(site);
            let all = known.get().cloned().unwrap_or_else(|| {
                // Computed outside of the cell: it may run code of the user's keys.
                let runs = findings.bucket(0);
                let all = Arc::new(sum(&mut runs.iter().flat_map(|(v, r)| &v[r.clone()])));
                known.get_or_init(|| all).clone()
            });
            read(p, flow, &all, task)
        })
    }
}
