//! Aggregation by key, combined on the map side.
use super::table::Table;
use crate::{Data, Error, Flow, Key, Rdd, Result, Site, Wire, at, hash, lineage::Count};
use std::sync::Arc;

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// Merges the values of each key with a function that is associative and commutative, first within each partition,
    /// then across a shuffle. Keeps the partitioner. Values move into `f` and none is cloned within a partition.
    ///
    /// The partitions of the result: as the keys are spread already; else `spark.default.parallelism`, if set; else as
    /// many as this RDD has. Results are the same for any number of threads.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let total = sc.parallelize([("a", 1), ("b", 2), ("a", 3)].map(|(k, v)| (k.to_string(), v)), 2);
    /// let mut sums = total.reduce_by_key(|x, y| x + y).collect()?;
    /// sums.sort();
    /// assert_eq!(sums, [("a".into(), 4), ("b".into(), 2)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn reduce_by_key(&self, f: impl Fn(V, V) -> V + Send + Sync + 'static) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.reduce_by_key_at(Site::caller(), f, self.default_count())
    }
    /// [`reduce_by_key`](Rdd::reduce_by_key) into `partitions` partitions.
    #[track_caller]
    pub fn reduce_by_key_in(&self, f: impl Fn(V, V) -> V + Send + Sync + 'static, partitions: usize) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.reduce_by_key_at(Site::caller(), f, Count::known(partitions))
    }
    /// [`reduce_by_key_in`](Rdd::reduce_by_key_in) on behalf of `site`.
    pub fn reduce_by_key_at(
        &self,
        site: Site,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        partitions: Count,
    ) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let f = Arc::new(f);
        let g = f.clone();
        self.aggregate_by(
            "reduce_by_key",
            site,
            partitions,
            move |t: &mut Table<K, V>, k, v| t.upsert_by_value(hash::of(&k), k, v, &*f),
            move |t: &mut Table<K, V>, h, k, v| t.upsert_by_value(h, k, v, &*g),
        )
    }
    /// The general aggregation: `create` an accumulator from the first value of a key in a partition, `merge` further
    /// values into it, `merge_combiners` across partitions. Works in place, so it is the one for heavy accumulators.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sizes = sc.range(0..10, 3).map(|x| (x % 2, x)).combine_by_key(
    ///     |first| vec![first],
    ///     |all, x| all.push(x),
    ///     |all, mut more: Vec<u64>| all.append(&mut more),
    ///     2,
    /// );
    /// let mut sizes = sizes.collect()?;
    /// sizes.sort();
    /// assert_eq!(sizes, [(0, vec![0, 2, 4, 6, 8]), (1, vec![1, 3, 5, 7, 9])]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn combine_by_key<C: Wire>(
        &self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
        partitions: usize,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        let partitions = Count::known(partitions);
        self.combine_at("combine_by_key", Site::caller(), partitions, create, merge, merge_combiners)
    }
    /// [`combine_by_key`](Rdd::combine_by_key) under another name.
    pub(crate) fn combine_at<C: Wire>(
        &self,
        name: &'static str,
        site: Site,
        partitions: Count,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.aggregate_by(
            name,
            site,
            partitions,
            move |t: &mut Table<K, C>, k, v| t.upsert(k, v, &create, &merge),
            move |t: &mut Table<K, C>, h, k, c| t.upsert_hashed(h, k, c, |c| c, &merge_combiners),
        )
    }

    fn aggregate_by<C: Wire>(
        &self,
        name: &'static str,
        site: Site,
        partitions: Count,
        add: impl Fn(&mut Table<K, C>, K, V) + Send + Sync + 'static,
        merge: impl Fn(&mut Table<K, C>, u64, K, C) + Send + Sync + 'static,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        if partitions.if_known() == Some(0) {
            return self.sc.wrong(name, site, move || Error::Partitions { operator: name, site, asked: 0 });
        }
        let combine = move |flow: Flow<(K, V)>| -> Result<Table<K, C>> {
            let mut t = Table::with_capacity(0);
            flow.each(|c| {
                at(site);
                c.for_each(|(k, v)| add(&mut t, k, v));
                Ok(())
            })?;
            Ok(t)
        };
        if self.is_spread_over(&partitions) {
            return self.narrow(name, site, true, move |_, flow, _| Ok(combine(flow)?.into_flow()));
        }
        let write = move |flow: Flow<(K, V)>, n: usize, _: &crate::Task| Ok(combine(flow)?.into_buckets(n));
        self.exchange(name, site, partitions, write, move |runs, task| {
            let most = runs.iter().map(|(v, _)| v.len()).max().unwrap_or(0);
            let mut t = Table::with_capacity(most);
            Flow::source(runs, task).each(|c| {
                at(site);
                c.for_each(|(h, (k, c))| merge(&mut t, h, k, c));
                Ok(())
            })?;
            Ok(t.into_flow())
        })
    }
}
