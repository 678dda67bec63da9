//! Records by key, nothing combined on the map side.
use super::{
    gather::{Form, Gather, Limit, load, split},
    route::{records, rows},
};
use crate::{
    Chunk, Data, Flow, Key, KeyPartitioner, Rdd, Result, Site, Task, Wire, at, hash,
    lineage::{Partitioner, Router},
};

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// Every record to the partition of its key: so many partitions, by hash, or those of a partitioner
    /// ([`KeyPartitioner`]). Nothing is done if keys are spread that way already.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let spread = sc.range(0..100, 4).map(|x| (x % 5, x)).partition_by(3);
    /// assert_eq!(spread.num_partitions()?, 3);
    /// assert_eq!(spread.partition_by(3).id(), spread.id());
    /// // As another RDD is spread:
    /// let names = sc.parallelize([(1, 'a'), (4, 'b')], 1).partition_by(spread.partitioner().unwrap().clone());
    /// assert_eq!(names.partitioner() == spread.partitioner(), true);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn partition_by(&self, partitions: impl KeyPartitioner<K>) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let (name, site, partitioner) = ("partition_by", Site::caller(), partitions.erased());
        if let Some(refused) = self.refuse_none(name, site, &partitioner) {
            return refused;
        }
        if self.is_spread_by(&partitioner) {
            return self.clone();
        }
        let write = move |flow: Flow<(K, V)>, router: &Router<K>, task: &Task| records(flow, router, task, site);
        self.exchange(name, site, partitioner, write, |x, p, task| x.read(p, task))
    }
    /// All values of each key, in the order of partitions and of records within them. Nothing is combined before the
    /// shuffle, and all values of a key are in memory at once, those of other keys on disk if need be: prefer
    /// [`reduce_by_key`](Rdd::reduce_by_key) or [`combine_by_key`](Rdd::combine_by_key) for sums, counts and their like.
    /// A key with more values than one task may hold is [`Error::GroupTooLarge`](crate::Error::GroupTooLarge);
    /// [`flat_map_groups`](Rdd::flat_map_groups) takes it. Partitions as for `reduce_by_key`.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let mut groups = sc.range(0..6, 2).map(|x| (x % 2, x)).group_by_key().collect()?;
    /// groups.sort();
    /// assert_eq!(groups, [(0, vec![0, 2, 4]), (1, vec![1, 3, 5])]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn group_by_key(&self) -> Rdd<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        self.group_by_key_at(Site::caller(), self.default_partitioner())
    }
    /// [`group_by_key`](Rdd::group_by_key) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let groups = sc.range(0..6, 3).map(|x| (x % 2, x)).group_by_key_in(2);
    /// assert_eq!((groups.num_partitions()?, groups.lookup(1)?), (2, vec![vec![1, 3, 5]]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn group_by_key_in(&self, partitions: impl KeyPartitioner<K>) -> Rdd<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        self.group_by_key_at(Site::caller(), partitions)
    }
    /// [`group_by_key_in`](Rdd::group_by_key_in) on behalf of `site`.
    pub fn group_by_key_at(&self, site: Site, partitions: impl KeyPartitioner<K>) -> Rdd<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        self.grouped("group_by_key", site, partitions.erased())
    }
    fn grouped(&self, name: &'static str, site: Site, partitioner: Partitioner) -> Rdd<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        if let Some(refused) = self.refuse_none(name, site, &partitioner) {
            return refused;
        }
        self.gathered(name, site, partitioner, move |all, task| grouped(all, Limit::of(name, site, task), task))
    }
    /// What `read` makes of the groups of each partition.
    pub(super) fn gathered<U: Data>(
        &self,
        name: &'static str,
        site: Site,
        partitioner: Partitioner,
        read: impl Fn(Groups<K, V>, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    ) -> Rdd<U>
    where
        K: Key,
        V: Wire,
    {
        if self.is_spread_by(&partitioner) {
            return self.narrow(name, site, true, move |_, flow: Flow<(K, V)>, task| {
                let mut all = Groups::keeping::<V>(0, task, split);
                flow.each(|c| {
                    at(site);
                    let kept = all.weigh(&c);
                    let table = all.table();
                    c.for_each(|(k, v)| table.upsert_hashed(hash::of(&k), k, v, |v| vec![v], |all, v| all.push(v)));
                    all.added(kept)
                })?;
                read(all, task)
            });
        }
        let write = move |flow: Flow<(K, V)>, router: &Router<K>, task: &Task| rows(flow, router, task, site);
        self.exchange(name, site, partitioner, write, move |x, p, task| {
            let mut all = Groups::keeping::<V>(0, task, split);
            x.read(p, task)?.each(|c| {
                at(site);
                let kept = all.weigh(&c);
                let table = all.table();
                c.for_each(|(h, (k, v))| table.upsert_hashed(h, k, v, |v| vec![v], |all, v| all.push(v)));
                all.added(kept)
            })?;
            read(all, task)
        })
    }
}

/// All values of each key.
pub(super) type Groups<K, V> = Gather<K, Vec<V>, Vec<V>>;

/// The groups, each as a whole.
fn grouped<K: Key, V: Wire>(all: Groups<K, V>, limit: Limit, task: &Task) -> Result<Flow<(K, Vec<V>)>> {
    if !all.has_spilled() {
        return Ok(all.into_flow(Form::ENTRIES));
    }
    let (mut rows, task) = (all.sorted()?, task.clone());
    Ok(Flow::new(move || {
        task.check()?;
        at(limit.site);
        let loaded = load(&mut rows, Some(limit), |t, h, k, values: Vec<V>| {
            t.upsert_hashed(h, k, values, |v| v, |all: &mut Vec<V>, mut more| all.append(&mut more));
        })?;
        Ok(loaded.map(|(table, _)| Chunk::Own(table.into_entries().collect())))
    }))
}

impl<T: Data> Rdd<T> {
    /// The records by what `f` makes of them: a key and all that have it, as [`group_by_key`](Rdd::group_by_key) gives
    /// them. To count or sum groups, make pairs and use [`reduce_by_key`](Rdd::reduce_by_key): this keeps every record.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let mut groups = sc.range(0..6, 2).group_by(|x| x % 2 == 0).collect()?;
    /// groups.sort();
    /// assert_eq!(groups, [(false, vec![1, 3, 5]), (true, vec![0, 2, 4])]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn group_by<K: Key>(&self, f: impl Fn(&T) -> K + Send + Sync + 'static) -> Rdd<(K, Vec<T>)>
    where
        T: Wire,
    {
        let (name, site) = ("group_by", Site::caller());
        let keyed = self.keyed(name, site, f);
        keyed.grouped(name, site, keyed.default_partitioner())
    }
    /// [`group_by`](Rdd::group_by) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let groups = sc.range(0..6, 3).group_by_in(|x| x / 4, 2);
    /// assert_eq!((groups.num_partitions()?, groups.lookup(1)?), (2, vec![vec![4, 5]]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn group_by_in<K: Key>(
        &self,
        f: impl Fn(&T) -> K + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, Vec<T>)>
    where
        T: Wire,
    {
        let (name, site) = ("group_by", Site::caller());
        self.keyed(name, site, f).grouped(name, site, partitions.erased())
    }
}
