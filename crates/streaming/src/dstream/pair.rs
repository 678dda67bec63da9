//! Operators of streams of pairs.
use super::DStream;
use std::sync::Arc;
use winterbourne_engine::{Data, Key, KeyPartitioner, Site, Wire};

impl<K: Data, V: Data> DStream<(K, V)> {
    /// Merges the values of each key within each batch, combined before the shuffle. `f` is associative and
    /// commutative. Into `spark.default.parallelism` partitions, or as many as there are threads.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext, Text};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let lines: RddQueue<Text> = [sc.parallelize([Text::from("to be or not to be")], 1)].into_iter().collect();
    /// let counts = ssc.queue_stream(&lines).flat_map(Text::words).map(|w| (w, 1u64)).reduce_by_key(|a, b| a + b);
    /// counts.foreach_rdd(|rdd, _| { assert_eq!(rdd.filter(|(w, _)| w == "be").collect()?, [("be".into(), 2)]); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn reduce_by_key(&self, f: impl Fn(V, V) -> V + Send + Sync + 'static) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.reduce_by_key_at(Site::caller(), Arc::new(f), self.default_partitions())
    }
    /// [`reduce_by_key`](DStream::reduce_by_key) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn reduce_by_key_in(
        &self,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.reduce_by_key_at(Site::caller(), Arc::new(f), partitions)
    }
    pub(super) fn reduce_by_key_at(
        &self,
        site: Site,
        f: Arc<impl Fn(V, V) -> V + Send + Sync + 'static>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let p = self.partitioner("reduce_by_key", site, partitions);
        self.child("reduce_by_key", site, move |r, _| {
            let f = f.clone();
            Ok(r.reduce_by_key_at(site, move |a, b| f(a, b), p.clone()))
        })
    }
    /// The general aggregation within each batch: `create` an accumulator from the first value of a key in a partition,
    /// `merge` further values into it, `merge_combiners` across partitions. Works in place, so it is the one for heavy
    /// accumulators. Partitions as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..6, 2)].into_iter().collect();
    /// let means = ssc.queue_stream(&batches).map(|x| (x % 2, x)).combine_by_key(
    ///     |x| (x, 1),
    ///     |(sum, n): &mut (u64, u64), x| { *sum += x; *n += 1 },
    ///     |(sum, n), (more, m)| { *sum += more; *n += m },
    /// );
    /// means.foreach_rdd(|rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     assert_eq!(all, [(0, (6, 3)), (1, (9, 3))]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "combineByKey")]
    #[track_caller]
    pub fn combine_by_key<C: Wire>(
        &self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
    ) -> DStream<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.combine_by_key_at(Site::caller(), create, merge, merge_combiners, self.default_partitions())
    }
    /// [`combine_by_key`](DStream::combine_by_key) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn combine_by_key_in<C: Wire>(
        &self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.combine_by_key_at(Site::caller(), create, merge, merge_combiners, partitions)
    }
    fn combine_by_key_at<C: Wire>(
        &self,
        site: Site,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        let (f, p) = (Arc::new((create, merge, merge_combiners)), self.partitioner("combine_by_key", site, partitions));
        self.child("combine_by_key", site, move |r, _| {
            let (create, merge, combine) = (f.clone(), f.clone(), f.clone());
            Ok(r.combine_by_key_at(
                site,
                move |v| create.0(v),
                move |c, v| merge.1(c, v),
                move |c, d| combine.2(c, d),
                p.clone(),
            ))
        })
    }
    /// All values of each key within each batch, in the order of partitions and of records within them. Nothing is
    /// combined before the shuffle, and all values of a key are in memory at once. Partitions as for
    /// [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..6, 2)].into_iter().collect();
    /// let groups = ssc.queue_stream(&batches).map(|x| (x % 2, x)).group_by_key();
    /// groups.foreach_rdd(|rdd, _| {
    ///     let mut groups = rdd.collect()?;
    ///     groups.sort();
    ///     assert_eq!(groups, [(0, vec![0, 2, 4]), (1, vec![1, 3, 5])]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "groupByKey")]
    #[track_caller]
    pub fn group_by_key(&self) -> DStream<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        self.group_by_key_at(Site::caller(), self.default_partitions())
    }
    /// [`group_by_key`](DStream::group_by_key) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn group_by_key_in(&self, partitions: impl KeyPartitioner<K>) -> DStream<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        self.group_by_key_at(Site::caller(), partitions)
    }
    pub(super) fn group_by_key_at(&self, site: Site, partitions: impl KeyPartitioner<K>) -> DStream<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        let p = self.partitioner("group_by_key", site, partitions);
        self.child("group_by_key", site, move |r, _| Ok(r.group_by_key_at(site, p.clone())))
    }
    /// Applies `f` to each value; keys and partitioner stay.
    #[track_caller]
    pub fn map_values<W: Data>(&self, f: impl Fn(V) -> W + Send + Sync + 'static) -> DStream<(K, W)> {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("map_values", site, move |r, _| {
            let f = f.clone();
            Ok(r.map_values_at(site, move |v| f(v)))
        })
    }
    /// Replaces each value by the elements of what `f` returns, each with the value's key; the partitioner stays. They may
    /// be endless.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<(char, u64)> = [sc.parallelize([('a', 2), ('b', 0), ('c', 1)], 1)].into_iter().collect();
    /// let below = ssc.queue_stream(&batches).flat_map_values(|n| 0..n); // of (a, 2), (b, 0), (c, 1)
    /// below.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, [('a', 0), ('a', 1), ('c', 0)]); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "flatMapValues")]
    #[track_caller]
    pub fn flat_map_values<I>(&self, f: impl Fn(V) -> I + Send + Sync + 'static) -> DStream<(K, I::Item)>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("flat_map_values", site, move |r, _| {
            let f = f.clone();
            Ok(r.flat_map_values_at(site, move |v| f(v)))
        })
    }
}
