//! Two RDDs that meet by key. A parent whose keys are spread as those of the result is read in the same task; any other is
//! shuffled, each record with the hash of its key. Either is read in the order of map partitions.
use super::{
    exchange::Exchange,
    gather::Gather,
    output::Output,
    route::rows,
    table::{Row, Table},
};
use crate::{
    Chunk, Data, Error, Flow, Key, Rdd, Result, Shape, Site, Task, Wire, at, hash,
    lineage::{Dep, Link, Op, Partitioner},
};
use std::sync::Arc;

/// A shuffle of single records by key.
type Spread<K, V> = Exchange<(K, V), Output<Row<K, V>>>;

/// A parent, with all records of a key in the partition of that key.
pub(super) enum Side<K: Data, V: Data> {
    /// It was so before.
    Narrow(Link<Op<(K, V)>>),
    Shuffled(Arc<Spread<K, V>>),
}
/// One partition of a side.
pub(super) enum Opened<K, V> {
    Narrow(Flow<(K, V)>),
    Shuffled(Flow<Row<K, V>>),
}
impl<K: Key, V: Wire> Side<K, V> {
    pub(super) fn open(&self, p: usize, task: &Task) -> Result<Opened<K, V>> {
        match self {
            Side::Narrow(parent) => parent.flow(p, task).map(Opened::Narrow),
            Side::Shuffled(x) => x.read(p, task).map(Opened::Shuffled),
        }
    }
    /// The records that the largest map partition has sent to this one: about how many keys there are at least.
    pub(super) fn longest(&self, p: usize) -> usize {
        match self {
            Side::Narrow(_) => 0,
            Side::Shuffled(x) => x.longest(p),
        }
    }
}
impl<K: Key, V: Wire> Opened<K, V> {
    /// Adds the records to what is gathered, each with the hash of its key: hashed here, or before the shuffle.
    pub(super) fn gather<C: Data, P: Wire>(
        self,
        all: &mut Gather<K, C, P>,
        site: Site,
        mut add: impl FnMut(&mut Table<K, C>, u64, K, V),
    ) -> Result<()> {
        match self {
            Opened::Narrow(flow) => flow.each(|c| {
                at(site);
                let kept = all.weigh(&c);
                let table = all.table();
                c.for_each(|(k, v)| add(table, hash::of(&k), k, v));
                all.added(kept)
            }),
            Opened::Shuffled(flow) => flow.each(|c| {
                at(site);
                let kept = all.weigh(&c);
                let table = all.table();
                c.for_each(|(h, (k, v))| add(table, h, k, v));
                all.added(kept)
            }),
        }
    }
    /// The next records, each with the hash of its key.
    pub(super) fn next_rows(&mut self) -> Result<Option<Vec<Row<K, V>>>> {
        match self {
            Opened::Narrow(flow) => Ok(flow.next_chunk()?.map(|c| c.map(|(k, v)| (hash::of(&k), (k, v))))),
            Opened::Shuffled(flow) => Ok(flow.next_chunk()?.map(Chunk::into_vec)),
        }
    }
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// What `read` makes of each partition of both sides.
    pub(super) fn with_sides<W: Wire, U: Data>(
        &self,
        name: &'static str,
        site: Site,
        other: &Rdd<(K, W)>,
        partitioner: Partitioner,
        read: impl Fn(&Side<K, V>, &Side<K, W>, usize, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    ) -> Rdd<U>
    where
        K: Key,
        V: Wire,
    {
        if !self.sc.same(&other.sc) {
            return self.sc.wrong(name, site, move || Error::ForeignRdd { operator: name, site });
        }
        if let Some(refused) = self.refuse_none(name, site, &partitioner) {
            return refused;
        }
        let (left, left_dep, left_depth) = self.side(name, site, &partitioner);
        let (right, right_dep, right_depth) = other.side(name, site, &partitioner);
        let shape = Shape {
            name,
            site,
            partitions: partitioner.partitions().clone(),
            deps: vec![left_dep, right_dep],
            partitioner: Some(partitioner),
            depth: left_depth.max(right_depth),
        };
        self.sc.make(shape, move |p, task| {
            task.check()?;
            read(&left, &right, p, task)
        })
    }
    /// This RDD as a side of a result that is spread so, with the dependency and the row of operators that makes.
    fn side(&self, name: &'static str, site: Site, partitioner: &Partitioner) -> (Side<K, V>, Dep, u32)
    where
        K: Key,
        V: Wire,
    {
        if self.is_spread_by(partitioner) {
            let dep = Dep::Narrow(Link::erased(&self.op));
            return (Side::Narrow(Link::typed(&self.op)), dep, self.op.meta.depth + 1);
        }
        let x = self.shuffle_by(name, site, partitioner, move |flow, router, task| rows(flow, router, task, site));
        (Side::Shuffled(x.clone()), Dep::Shuffle(x), 0)
    }
}
