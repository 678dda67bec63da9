//! Records by key, nothing combined on the map side.
use super::table::{Row, Table, buckets};
use crate::{Data, Error, Flow, Key, Rdd, Result, Site, Task, Wire, at, detach, hash, lineage::Count};
use std::sync::Arc;

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// Every record to the partition of its key: `partitions` of them, by hash. Nothing is done if keys are spread that
    /// way already.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let spread = sc.range(0..100, 4).map(|x| (x % 5, x)).partition_by(3);
    /// assert_eq!(spread.num_partitions()?, 3);
    /// assert_eq!(spread.partition_by(3).id(), spread.id());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn partition_by(&self, partitions: usize) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.spread("partition_by", Site::caller(), Count::known(partitions))
    }
    fn spread(&self, name: &'static str, site: Site, partitions: Count) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        if partitions.if_known() == Some(0) {
            return self.sc.wrong(name, site, move || Error::Partitions { operator: name, site, asked: 0 });
        }
        if self.is_spread_over(&partitions) {
            return self.clone();
        }
        let write = move |flow: Flow<(K, V)>, n: usize, _: &Task| {
            let mut out: Vec<Vec<(K, V)>> = (0..n).map(|_| Vec::new()).collect();
            flow.each(|c| {
                at(site);
                c.for_each(|(k, v)| out[hash::partition(hash::of(&k), n)].push((detach::key(k), v)));
                Ok(())
            })?;
            Ok(out)
        };
        self.exchange(name, site, partitions, write, |runs, task| Ok(Flow::source(runs, task)))
    }
    /// All values of each key, in the order of partitions and of records within them. Nothing is combined before the
    /// shuffle and all values of a key are in memory at once: prefer [`reduce_by_key`](Rdd::reduce_by_key) or
    /// [`combine_by_key`](Rdd::combine_by_key) for sums, counts and their like. Partitions as for `reduce_by_key`.
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
        self.group_by_key_at(Site::caller(), self.default_count())
    }
    /// [`group_by_key`](Rdd::group_by_key) into `partitions` partitions.
    #[track_caller]
    pub fn group_by_key_in(&self, partitions: usize) -> Rdd<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        self.group_by_key_at(Site::caller(), Count::known(partitions))
    }
    /// [`group_by_key_in`](Rdd::group_by_key_in) on behalf of `site`.
    pub fn group_by_key_at(&self, site: Site, partitions: Count) -> Rdd<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        let name = "group_by_key";
        if partitions.if_known() == Some(0) {
            return self.sc.wrong(name, site, move || Error::Partitions { operator: name, site, asked: 0 });
        }
        if self.is_spread_over(&partitions) {
            return self.narrow(name, site, true, move |_, flow, _| {
                let mut t: Table<K, Vec<V>> = Table::with_capacity(0);
                flow.each(|c| {
                    at(site);
                    c.for_each(|(k, v)| t.upsert(k, v, |v| vec![v], |all, v| all.push(v)));
                    Ok(())
                })?;
                Ok(t.into_flow())
            });
        }
        let write = move |flow: Flow<(K, V)>, n: usize, _: &Task| rows(flow, n, site);
        self.exchange(name, site, partitions, write, move |runs, task| {
            let mut t: Table<K, Vec<V>> = Table::with_capacity(0);
            Flow::source(runs, task).each(|c| {
                at(site);
                c.for_each(|(h, (k, v))| t.upsert_hashed(h, k, v, |v| vec![v], |all, v| all.push(v)));
                Ok(())
            })?;
            Ok(t.into_flow())
        })
    }
    /// Applies `f` to each value; keys and partitioner stay.
    #[track_caller]
    pub fn map_values<W: Data>(&self, f: impl Fn(V) -> W + Send + Sync + 'static) -> Rdd<(K, W)> {
        self.map_values_at(Site::caller(), f)
    }
    /// [`map_values`](Rdd::map_values) on behalf of `site`.
    pub fn map_values_at<W: Data>(&self, site: Site, f: impl Fn(V) -> W + Send + Sync + 'static) -> Rdd<(K, W)> {
        let f = Arc::new(f);
        self.chunked("map_values", site, true, move |c| c.map(|(k, v)| (k, f(v))))
    }
}

type Buckets<K, V> = Vec<Vec<Row<K, V>>>;

/// What a map task writes when nothing is combined: each record with its hash to the bucket of its key.
pub(super) fn rows<K: Key, V: Wire>(flow: Flow<(K, V)>, n: usize, site: Site) -> Result<Buckets<K, V>> {
    let mut out: Buckets<K, V> = buckets(n, 0);
    flow.each(|c| {
        at(site);
        c.for_each(|(k, v)| {
            let h = hash::of(&k);
            out[hash::partition(h, n)].push((h, (detach::key(k), v)));
        });
        Ok(())
    })?;
    Ok(out)
}
