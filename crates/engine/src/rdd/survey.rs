//! A first look at all partitions whose findings every task may see: [`Rdd::surveyed`].
use super::{Rdd, Shape};
use crate::{
    Data, Flow, Result, Site, Task, Wire, at,
    lineage::{Count, Dep, Link},
};
use std::sync::{Arc, OnceLock};

/// What makes one RDD of another by way of a first look; see [`Rdd::surveyed`].
pub(super) struct Survey<Look, Sum, Read> {
    /// What a map task finds in a partition of what is looked at.
    pub(super) look: Look,
    /// What the findings of all partitions, in order, say together. Pure: it may be computed twice.
    pub(super) sum: Sum,
    /// Partition p of the result, from partition p of this RDD and the sum.
    pub(super) read: Read,
}

impl<T: Data> Rdd<T> {
    /// A narrow operator that needs to know something of all partitions first. A map side looks at the partitions of
    /// `looked` and leaves a few findings; as outputs of a shuffle they are made when a job first needs them and serve
    /// every later one. The parent is computed twice, unless it is cached.
    pub(super) fn surveyed<F: Wire, S: Send + Sync + 'static, U: Data, Look, Sum, Read>(
        &self,
        name: &'static str,
        site: Site,
        keeps_partitioner: bool,
        looked: &Rdd<T>,
        survey: Survey<Look, Sum, Read>,
    ) -> Rdd<U>
    where
        Look: Fn(Flow<T>) -> Result<Vec<F>> + Send + Sync + 'static,
        Sum: Fn(&[&[F]]) -> S + Send + Sync + 'static,
        Read: Fn(usize, Flow<T>, &Arc<S>, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    {
        let Survey { look, sum, read } = survey;
        let findings = looked.shuffle(name, site, Count::known(1), None, move |flow, _: &Task| look(flow));
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
            let all = match known.get() {
                Some(all) => all.clone(),
                None => {
                    // Computed outside of the cell: it may run code of the user's keys.
                    let found: Vec<&[F]> = findings.outputs()?.into_iter().map(|found| &found[..]).collect();
                    let all = Arc::new(sum(&found));
                    known.get_or_init(|| all).clone()
                }
            };
            read(p, flow, &all, task)
        })
    }
}
