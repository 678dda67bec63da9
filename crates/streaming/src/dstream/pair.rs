//! Operators of streams of pairs.
use super::DStream;
use std::sync::Arc;
use winterbourne_engine::{Data, Key, Site, Wire, lineage::Count};

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
        self.reduce_by_key_at(Site::caller(), f, self.ssc.spark_context().default_parallelism())
    }
    /// [`reduce_by_key`](DStream::reduce_by_key) into `partitions` partitions.
    #[track_caller]
    pub fn reduce_by_key_in(&self, f: impl Fn(V, V) -> V + Send + Sync + 'static, partitions: usize) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.reduce_by_key_at(Site::caller(), f, partitions)
    }
    fn reduce_by_key_at(
        &self,
        site: Site,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        partitions: usize,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let f = Arc::new(f);
        self.child("reduce_by_key", site, move |r, _| {
            let f = f.clone();
            Ok(r.reduce_by_key_at(site, move |a, b| f(a, b), Count::known(partitions)))
        })
    }
    /// All values of each key within each batch; nothing is combined before the shuffle.
    #[track_caller]
    pub fn group_by_key(&self) -> DStream<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        let (site, n) = (Site::caller(), self.ssc.spark_context().default_parallelism());
        self.child("group_by_key", site, move |r, _| Ok(r.group_by_key_at(site, Count::known(n))))
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
}
