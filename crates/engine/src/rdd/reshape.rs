//! Other numbers of partitions: fewer without a shuffle, any number with one.
use super::{Rdd, Shape};
use crate::{
    BoxError, Data, Error, Flow, Result, Site, Task, Wire, at,
    blocks::RecordCodec,
    detach, guard_driver, hash,
    lineage::{Count, Dep, Link},
    pair::output::{Filling, Output},
};
use std::sync::{Arc, OnceLock};

impl<T: Data> Rdd<T> {
    /// At most `n` partitions, without a shuffle: contiguous groups of partitions become one. To get
    /// more, or to keep all threads busy, [`repartition`](Rdd::repartition).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..10, 4).coalesce(2).glom().collect()?, [vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn coalesce(&self, n: usize) -> Rdd<T> {
        let site = Site::caller();
        if n == 0 {
            return self.sc.wrong("coalesce", site, move || Error::Partitions { operator: "coalesce", site, asked: 0 });
        }
        let (parent, have) = (Arc::new(Link::typed(&self.op)), self.op.meta.partitions.clone());
        let shape = Shape {
            name: "coalesce",
            site,
            partitions: Count::of(vec![have.clone()], move |have| have[0].min(n)),
            deps: vec![Dep::Narrow(Link::erased(&self.op))],
            partitioner: None,
            depth: self.op.meta.depth + 1,
        };
        self.sc.make(shape, move |p, task| {
            let have = have.get()?;
            let n = n.min(have);
            let group = have * p / n..have * (p + 1) / n;
            let (parent, task) = (parent.clone(), task.clone());
            Ok(Flow::chain(group.map(move |q| parent.flow(q, &task))))
        })
    }
    /// Groups of partitions of your choosing become one each, without a shuffle: `groups` gets the number of partitions
    /// there are and lists, for each new one, those it is made of, in the order in which they are read. It runs once, in
    /// the driver, when the number of partitions is first asked for. Each partition must be in exactly one group; a
    /// group may be empty.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// // The odd ones and the even ones.
    /// let two = sc.range(0..10, 5).coalesce_by(|n| vec![(1..n).step_by(2).collect(), (0..n).step_by(2).collect()]);
    /// assert_eq!(two.glom().collect()?, [vec![2, 3, 6, 7], vec![0, 1, 4, 5, 8, 9]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// At the action, [`Error::Groups`] if a partition is in no group, in two, or does not exist; a panic of `groups`.
    #[doc(alias = "PartitionCoalescer")]
    #[track_caller]
    pub fn coalesce_by(&self, groups: impl Fn(usize) -> Vec<Vec<usize>> + Send + Sync + 'static) -> Rdd<T> {
        let (site, parent) = (Site::caller(), Arc::new(Link::typed(&self.op)));
        let chosen: Arc<OnceLock<Vec<Vec<usize>>>> = Arc::default();
        let found = chosen.clone();
        let find = move |have: &[usize]| {
            let groups = guard_driver(|| Ok::<_, BoxError>(groups(have[0])))?;
            each_once(site, &groups, have[0])?;
            Ok(found.get_or_init(|| groups).len())
        };
        let shape = Shape {
            name: "coalesce_by",
            site,
            partitions: Count::made(vec![self.op.meta.partitions.clone()], Box::new(find)),
            deps: vec![Dep::Narrow(Link::erased(&self.op))],
            partitioner: None,
            depth: self.op.meta.depth + 1,
        };
        self.sc.make(shape, move |p, task| {
            let group = chosen.get().expect("a partition is asked for after their number")[p].clone();
            let (parent, task) = (parent.clone(), task.clone());
            Ok(Flow::chain(group.into_iter().map(move |q| parent.flow(q, &task))))
        })
    }
    /// Exactly `n` partitions, more or fewer, by way of a shuffle: the records of each partition are dealt out in turn,
    /// beginning at a place that depends on the number of the partition only. So the new partitions are of nearly equal
    /// size, and the same each time. Also `coalesce` with a shuffle. For fewer partitions [`coalesce`](Rdd::coalesce)
    /// is much cheaper; this one gives all threads work before it.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let few = sc.range(0..1000, 4).filter(|x| *x < 100); // all in the first partition
    /// let sizes: Vec<usize> = few.repartition(8).glom().collect()?.iter().map(Vec::len).collect();
    /// assert!(sizes.len() == 8 && sizes.iter().all(|n| *n == 12 || *n == 13), "{sizes:?}");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "coalesce with shuffle")]
    #[track_caller]
    pub fn repartition(&self, n: usize) -> Rdd<T>
    where
        T: Wire,
    {
        self.repartition_at(Site::caller(), n)
    }
    /// [`repartition`](Rdd::repartition) on behalf of `site`.
    pub fn repartition_at(&self, site: Site, n: usize) -> Rdd<T>
    where
        T: Wire,
    {
        let name = "repartition";
        if n == 0 {
            return self.sc.wrong(name, site, move || Error::Partitions { operator: name, site, asked: 0 });
        }
        let partitions = Count::known(n);
        let x = self.shuffle(name, site, partitions.clone(), None, move |flow, task: &Task| dealt(flow, n, task));
        let deps = vec![Dep::Shuffle(x.clone())];
        let shape = Shape { name, site, partitions, deps, partitioner: None, depth: 0 };
        self.sc.make(shape, move |p, task| {
            task.check()?;
            at(site);
            x.read(p, task)
        })
    }
}

/// The records dealt out to `n`, in turn, beginning at a place that depends on where they come from: otherwise the first
/// partition would get the first record of every small one.
fn dealt<T: Wire>(flow: Flow<T>, n: usize, task: &Task) -> Result<Output<T>> {
    let mut out = Filling::new(n, task, RecordCodec::of());
    let mut to = hash::partition(hash::of(&(task.partition as u64)), n);
    flow.each(|c| {
        let (share, bytes) = (c.len() / n, out.weigh(&c));
        let buckets = &mut out.buckets;
        buckets.iter_mut().for_each(|bucket| bucket.reserve(share));
        c.for_each(|x| {
            buckets[to].push(detach::text(x));
            to = if to + 1 == n { 0 } else { to + 1 };
        });
        out.added(bytes)
    })?;
    out.end()
}

/// Whether each of `partitions` is in exactly one group.
fn each_once(site: Site, groups: &[Vec<usize>], partitions: usize) -> Result<()> {
    let mut seen = vec![false; partitions];
    let wrong = |partition, why| Err(Error::Groups { site, partition, why, partitions });
    for &p in groups.iter().flatten() {
        match seen.get_mut(p) {
            None => return wrong(p, "does not exist"),
            Some(true) => return wrong(p, "is in more than one place"),
            Some(fresh) => *fresh = true,
        }
    }
    seen.iter().position(|s| !s).map_or(Ok(()), |p| wrong(p, "is in no group"))
}
