//! Actions by key whose result is a map on the driver: a table for each partition, merged in partition order. No shuffle:
//! what comes out must fit into the driver's memory anyway.
use super::table::Table;
use crate::{
    Data, Flow, Key, Rdd, Result, Site, at, guard_driver,
    hash::{self, FixedState, KeyMap},
    job::Action,
    lineage::Partitioner,
};
use std::{hash::Hash, sync::Arc};

/// What a task hands to the driver: rows with their hashes.
type Rows<K, C> = Vec<(u64, (K, C))>;

impl<T: Data> Rdd<T> {
    /// How often each record occurs, as a map on the driver.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let counts = sc.parallelize(["to", "be", "or", "not", "to", "be"].map(String::from), 2).count_by_value()?;
    /// assert_eq!((counts["to"], counts["or"], counts.len()), (2, 1, 4));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "countByValue")]
    #[track_caller]
    pub fn count_by_value(&self) -> Result<KeyMap<T, u64>>
    where
        T: Key,
    {
        let site = Site::caller();
        let parts = self.on_each("count_by_value", site, move |flow, _| counted(site, flow, |x| x))?;
        Ok(merged(parts, |a, b| a + b))
    }
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// How many records each key has, as a map on the driver.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let counts = sc.parallelize([(3, "mill"), (6, "weir"), (3, "ford")], 2).count_by_key()?;
    /// assert_eq!((counts[&3], counts[&6]), (2, 1));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "countByKey")]
    #[track_caller]
    pub fn count_by_key(&self) -> Result<KeyMap<K, u64>>
    where
        K: Key,
    {
        let site = Site::caller();
        let parts = self.on_each("count_by_key", site, move |flow, _| counted(site, flow, |(k, _)| k))?;
        Ok(merged(parts, |a, b| a + b))
    }
    /// [`reduce_by_key`](Rdd::reduce_by_key) whose result is a map on the driver.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sums = sc.range(0..10, 3).map(|x| (x % 2, x)).reduce_by_key_locally(|a, b| a + b)?;
    /// assert_eq!((sums[&0], sums[&1]), (20, 25));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "reduceByKeyLocally")]
    #[track_caller]
    pub fn reduce_by_key_locally(&self, f: impl Fn(V, V) -> V + Send + Sync + 'static) -> Result<KeyMap<K, V>>
    where
        K: Key,
    {
        let (site, f) = (Site::caller(), Arc::new(f));
        let within = f.clone();
        let parts = self.on_each("reduce_by_key_locally", site, move |flow, _| {
            let mut table = Table::with_capacity(0);
            flow.each(|c| {
                at(site);
                c.for_each(|(k, v)| table.upsert_by_value(hash::of(&k), k, v, |v| v, &*within));
                Ok(())
            })?;
            Ok(table.into_rows().collect())
        })?;
        guard_driver(|| Ok(merged(parts, &*f)))
    }
    /// All pairs as a map on the driver; of several with one key the last, in partition order, stays.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let rivers = sc.parallelize([("Lavant", 1), ("Nailbourne", 2), ("Lavant", 3)], 2).collect_as_map()?;
    /// assert_eq!((rivers["Lavant"], rivers.len()), (3, 2));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "collectAsMap")]
    #[track_caller]
    pub fn collect_as_map(&self) -> Result<KeyMap<K, V>>
    where
        K: Hash + Eq,
    {
        Ok(self.collect_at(Action { name: "collect_as_map", site: Site::caller() })?.into_iter().collect())
    }
    /// The values of one key, in partition order. Runs a single partition if it is known how keys are spread, else all.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.range(0..9, 3).map(|x| (x % 3, x)).partition_by(3).cache();
    /// assert_eq!(pairs.lookup(2)?, [2, 5, 8]);
    /// let before = sc.counts().tasks;
    /// assert_eq!(pairs.lookup(1)?, [1, 4, 7]);
    /// assert_eq!(sc.counts().tasks - before, 1);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn lookup(&self, key: K) -> Result<Vec<V>>
    where
        K: Hash + Eq,
    {
        let action = Action { name: "lookup", site: Site::caller() };
        let (site, n) = (action.site, self.num_partitions()?);
        let partitions = match self.partitioner() {
            Some(partitioner) if n > 0 && self.can_be_asked(partitioner)? => {
                let router = partitioner.router(action.name, site)?;
                vec![guard_driver(|| Ok(router.partition(&key, hash::of)?))?]
            }
            _ => (0..n).collect(),
        };
        let parts = self.sc.run_action(action, self, partitions, move |_, flow, _| {
            let mut values = Vec::new();
            flow.each(|c| {
                at(site);
                values.extend(c.filter(|(k, _)| *k == key).into_iter().map(|(_, v)| v));
                Ok(())
            })?;
            Ok(values)
        })?;
        Ok(parts.concat())
    }
    /// Whether a partitioner knows now where keys are: one that follows from a sort does when that has run. (On several
    /// lanes not even then: one of them may have lost what the others have.)
    fn can_be_asked(&self, partitioner: &Partitioner) -> Result<bool> {
        let Some(sort) = partitioner.after() else { return Ok(true) };
        let maps = sort.parent().meta().partitions.get()?;
        Ok(self.sc.inner.backend.is_none() && (0..maps).all(|m| sort.is_done(m)))
    }
}

/// How often each key occurs in a partition.
pub(crate) fn counted<T: Data, K: Key>(site: Site, flow: Flow<T>, key: impl Fn(T) -> K + Copy) -> Result<Rows<K, u64>> {
    let mut table = Table::with_capacity(0);
    flow.each(|c| {
        at(site);
        c.for_each(|x| table.upsert(key(x), (), |()| 1, |n, ()| *n += 1));
        Ok(())
    })?;
    Ok(table.into_rows().collect())
}
/// The tables of all partitions as one map. Its order depends on the data only.
pub(crate) fn merged<K: Key, C: Data>(parts: Vec<Rows<K, C>>, f: impl Fn(C, C) -> C) -> KeyMap<K, C> {
    let mut table = Table::with_capacity(parts.iter().map(Vec::len).max().unwrap_or(0));
    for (h, (k, c)) in parts.into_iter().flatten() {
        table.upsert_by_value(h, k, c, |c| c, &f);
    }
    let mut map = KeyMap::with_capacity_and_hasher(table.len(), FixedState);
    map.extend(table.into_entries());
    map
}
