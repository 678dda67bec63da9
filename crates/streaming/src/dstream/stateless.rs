//! Operators that look at one batch at a time.
use super::DStream;
use std::sync::{Arc, Mutex};
use winterbourne_base::Time;
use winterbourne_engine::{
    BoxError, Data, Flow, Key, KeyPartitioner, Rdd, Records, Result, Site, Wire, at, lineage::Count,
};

impl<T: Data> DStream<T> {
    /// Applies `f` to each record.
    #[track_caller]
    pub fn map<U: Data>(&self, f: impl Fn(T) -> U + Send + Sync + 'static) -> DStream<U> {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("map", site, move |r, _| {
            let f = f.clone();
            Ok(r.map_at(site, move |x| f(x)))
        })
    }
    /// Keeps the records that `keep` accepts.
    #[track_caller]
    pub fn filter(&self, keep: impl Fn(&T) -> bool + Send + Sync + 'static) -> DStream<T> {
        let (keep, site) = (Arc::new(keep), Site::caller());
        self.child("filter", site, move |r, _| {
            let keep = keep.clone();
            Ok(r.filter_at(site, move |x| keep(x)))
        })
    }
    /// Replaces each record by the elements of what `f` returns, which must own them; see
    /// [`Rdd::flat_map`](winterbourne_engine::Rdd::flat_map).
    #[track_caller]
    pub fn flat_map<I>(&self, f: impl Fn(T) -> I + Send + Sync + 'static) -> DStream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("flat_map", site, move |r, _| {
            let f = f.clone();
            Ok(r.flat_map_at(site, move |x| f(x)))
        })
    }
    /// Flat-map by pushing; the record is borrowed. See [`Rdd::emit`](winterbourne_engine::Rdd::emit).
    #[track_caller]
    pub fn emit<U: Data>(&self, f: impl Fn(&T, &mut dyn FnMut(U)) + Send + Sync + 'static) -> DStream<U> {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("emit", site, move |r, _| {
            let f = f.clone();
            Ok(r.emit_at(site, move |x, out| f(x, out)))
        })
    }
    /// Applies `f` to each partition of each batch as a whole, empty ones included.
    #[track_caller]
    pub fn map_partitions<I>(&self, f: impl Fn(Records<T>) -> I + Send + Sync + 'static) -> DStream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("map_partitions", site, move |r, _| {
            let f = f.clone();
            Ok(r.map_partitions_at(site, move |_, records| f(records)))
        })
    }
    /// The records of each partition of each batch as one vector, empty ones included.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 2)].into_iter().collect();
    /// let parts = ssc.queue_stream(&batches).glom();
    /// parts.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, [vec![0, 1], vec![2, 3, 4]]); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn glom(&self) -> DStream<Vec<T>> {
        let site = Site::caller();
        self.child("glom", site, move |r, _| Ok(r.glom_at(site)))
    }
    /// The records of each batch spread evenly over `partitions` partitions, by a shuffle: for batches of few partitions
    /// whose records are dear to work on.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..6, 1)].into_iter().collect();
    /// let spread = ssc.queue_stream(&batches).repartition(3);
    /// spread.glom().foreach_rdd(|rdd, _| {
    ///     assert_eq!(rdd.map(|part| part.len()).collect()?, [2, 2, 2]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn repartition(&self, partitions: usize) -> DStream<T>
    where
        T: Wire,
    {
        let site = Site::caller();
        if partitions == 0 {
            self.wrong(site, "`repartition` was asked for 0 partitions; the number must be positive");
        }
        self.child("repartition", site, move |r, _| Ok(r.repartition_at(site, partitions)))
    }
    /// All records of each batch combined by a function that is associative and commutative: one record per batch, in one
    /// partition, and none for an empty batch. Each partition is combined first.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = [sc.range(1..5, 3), sc.empty_rdd()].into_iter().collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches).reduce(|a, b| a * b).foreach_rdd(move |rdd, _| Ok(seen.send(rdd.collect()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// run.step()?;
    /// run.step()?;
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [vec![24], vec![]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn reduce(&self, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> DStream<T>
    where
        T: Wire,
    {
        self.reduce_at(Site::caller(), Arc::new(f))
    }
    pub(super) fn reduce_at(&self, site: Site, f: Arc<impl Fn(T, T) -> T + Send + Sync + 'static>) -> DStream<T>
    where
        T: Wire,
    {
        self.child("reduce", site, move |r, _| {
            let (f, g) = (f.clone(), f.clone());
            let parts = r.narrow("reduce", site, false, move |_, flow, _| {
                let mut all: Option<T> = None;
                flow.each(|c| {
                    at(site);
                    all = c.fold(all.take(), |all, x| {
                        Some(match all {
                            Some(all) => f(all, x),
                            None => x,
                        })
                    });
                    Ok(())
                })?;
                Ok(Flow::from_records(all.map(|x| ((), x)).into_iter()))
            });
            let one = parts.reduce_by_key_at(site, move |a, b| g(a, b), Count::known(1));
            Ok(one.map_at(site, |(_, x)| x))
        })
    }
    /// How often each value occurs in each batch. Into `spark.default.parallelism` partitions, or as many as there are
    /// threads.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<char> = [sc.parallelize("abracadabra".chars(), 2)].into_iter().collect();
    /// let counts = ssc.queue_stream(&batches).count_by_value();
    /// counts.foreach_rdd(|rdd, _| {
    ///     let mut counts = rdd.collect()?;
    ///     counts.sort();
    ///     assert_eq!(counts, [('a', 5), ('b', 2), ('c', 1), ('d', 1), ('r', 2)]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "countByValue")]
    #[track_caller]
    pub fn count_by_value(&self) -> DStream<(T, u64)>
    where
        T: Key,
    {
        self.count_by_value_at(Site::caller(), self.default_partitions())
    }
    /// [`count_by_value`](DStream::count_by_value) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn count_by_value_in(&self, partitions: impl KeyPartitioner<T>) -> DStream<(T, u64)>
    where
        T: Key,
    {
        self.count_by_value_at(Site::caller(), partitions)
    }
    fn count_by_value_at(&self, site: Site, partitions: impl KeyPartitioner<T>) -> DStream<(T, u64)>
    where
        T: Key,
    {
        let p = self.partitioner("count_by_value", site, partitions);
        self.child("count_by_value", site, move |r, _| {
            Ok(r.map_at(site, |x| (x, 1)).reduce_by_key_at(site, |a, b| a + b, p.clone()))
        })
    }
    /// Exactly one number per batch: how many records it has, 0 for an empty one.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = [sc.range(0..5, 3), sc.empty_rdd()].into_iter().collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches).count().foreach_rdd(move |rdd, _| Ok(seen.send(rdd.collect()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// run.step()?;
    /// run.step()?;
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [[5], [0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn count(&self) -> DStream<u64> {
        let site = Site::caller();
        self.child("count", site, move |r, _| {
            let parts = r.narrow("count", site, false, |_, flow, _| {
                let mut n = 0;
                flow.each(|c| {
                    n += c.len() as u64;
                    Ok(())
                })?;
                Ok(Flow::from_records(std::iter::once(((), n))))
            });
            let sum = parts.reduce_by_key_at(site, |a: u64, b| a + b, Count::known(1));
            Ok(sum.map_partitions_at(site, |_, all| [all.map(|(_, n)| n).sum()]))
        })
    }
    /// Applies a function from RDD to RDD to each batch, on the driver: joins with static RDDs, sorting, whatever RDDs
    /// can do. It may own mutable state and static RDDs and may run actions; it runs again if the batch is tried again.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 2)].into_iter().collect();
    /// let fixed = sc.parallelize([100, 200], 1);
    /// let both = ssc.queue_stream(&batches).transform(move |rdd, _time| Ok(rdd.union(&fixed)));
    /// both.foreach_rdd(|rdd, _| { assert_eq!(rdd.count()?, 7); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn transform<U: Data>(
        &self,
        f: impl FnMut(&Rdd<T>, Time) -> Result<Rdd<U>, BoxError> + Send + 'static,
    ) -> DStream<U> {
        let f = Mutex::new(f);
        self.child("transform", Site::caller(), move |r, t| {
            // One batch is generated at a time; a panic of the closure fails that batch, not the ones after it.
            let mut f = f.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Ok(f(r, t)?)
        })
    }
}
