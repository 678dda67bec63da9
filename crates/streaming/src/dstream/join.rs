//! Streams brought together by key: `cogroup` and the joins, batch by batch. To join longer stretches, window both first.
//!
//! A side that has nothing to do for a time counts as empty; what the operator would yield for that decides whether there
//! is anything to do.
#![expect(clippy::type_complexity, reason = "an alias would hide from users what they get")]
use super::DStream;
use winterbourne_engine::{Data, Flow, Key, KeyPartitioner, Rdd, Shape, Site, SparkContext, Wire, lineage::Count};

/// An RDD without partitions, for a side that has none.
fn nothing<T: Data>(sc: &SparkContext, site: Site) -> Rdd<T> {
    let shape =
        Shape { name: "nothing", site, partitions: Count::known(0), deps: Vec::new(), partitioner: None, depth: 0 };
    sc.make(shape, |_, _| Ok(Flow::empty()))
}

/// Which side must have something to do.
#[derive(Clone, Copy)]
enum Needs {
    Both,
    Left,
    Right,
    Either,
}

impl<K: Data, V: Data> DStream<(K, V)> {
    /// Both sides of a time, if what is needed is there.
    fn meet_at<W: Data, U: Data>(
        &self,
        kind: &'static str,
        site: Site,
        other: &DStream<(K, W)>,
        needs: Needs,
        f: impl Fn(&Rdd<(K, V)>, &Rdd<(K, W)>) -> Rdd<U> + Send + Sync + 'static,
    ) -> DStream<U> {
        self.child2(other, kind, site, move |left, right| match (left, right) {
            (Some(a), Some(b)) => Some(f(&a, &b)),
            (Some(a), None) if matches!(needs, Needs::Left | Needs::Either) => {
                Some(f(&a, &nothing(a.spark_context(), site)))
            }
            (None, Some(b)) if matches!(needs, Needs::Right | Needs::Either) => {
                Some(f(&nothing(b.spark_context(), site), &b))
            }
            _ => None,
        })
    }

    /// For each key of a batch the values of both streams, each side's in the order of partitions and of records within
    /// them. Both must have the same slide duration; the result is spread over `spark.default.parallelism` partitions, or
    /// as many as there are threads. A stream that has nothing to do for a time counts as empty; where both have, there is
    /// nothing to do.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let a: RddQueue<(u8, u32)> = [sc.parallelize([(1, 30), (2, 40), (1, 31)], 2)].into_iter().collect();
    /// # let b: RddQueue<(u8, char)> = [sc.parallelize([(1, 'a'), (3, 'c')], 2)].into_iter().collect();
    /// let ages = ssc.queue_stream(&a); // (1, 30), (2, 40), (1, 31)
    /// let names = ssc.queue_stream(&b); // (1, 'a'), (3, 'c')
    /// let both = ages.cogroup(&names);
    /// both.foreach_rdd(|rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     assert_eq!(all, [(1, (vec![30, 31], vec!['a'])), (2, (vec![40], vec![])), (3, (vec![], vec!['c']))]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn cogroup<W: Wire>(&self, other: &DStream<(K, W)>) -> DStream<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.cogroup_at(Site::caller(), other, self.default_partitions())
    }
    /// [`cogroup`](DStream::cogroup) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn cogroup_in<W: Wire>(
        &self,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.cogroup_at(Site::caller(), other, partitions)
    }
    fn cogroup_at<W: Wire>(
        &self,
        site: Site,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        let p = self.partitioner("cogroup", site, partitions);
        self.meet_at("cogroup", site, other, Needs::Either, move |a, b| a.cogroup_at(site, b, p.clone()))
    }

    /// Every pair of values that have the same key in the batches of both streams: n values here and m there are n * m
    /// records. Slides and partitions as for [`cogroup`](DStream::cogroup). Where one stream has nothing to do, there is
    /// nothing to do.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let a: RddQueue<(u8, u32)> = [sc.parallelize([(1, 30), (2, 40), (1, 31)], 2)].into_iter().collect();
    /// # let b: RddQueue<(u8, char)> = [sc.parallelize([(1, 'a'), (3, 'c')], 2)].into_iter().collect();
    /// let ages = ssc.queue_stream(&a); // (1, 30), (2, 40), (1, 31)
    /// let names = ssc.queue_stream(&b); // (1, 'a'), (3, 'c')
    /// let both = ages.join(&names);
    /// both.foreach_rdd(|rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     assert_eq!(all, [(1, (30, 'a')), (1, (31, 'a'))]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn join<W: Wire>(&self, other: &DStream<(K, W)>) -> DStream<(K, (V, W))>
    where
        K: Key,
        V: Wire,
    {
        self.join_at(Site::caller(), other, self.default_partitions())
    }
    /// [`join`](DStream::join) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn join_in<W: Wire>(&self, other: &DStream<(K, W)>, partitions: impl KeyPartitioner<K>) -> DStream<(K, (V, W))>
    where
        K: Key,
        V: Wire,
    {
        self.join_at(Site::caller(), other, partitions)
    }
    fn join_at<W: Wire>(
        &self,
        site: Site,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (V, W))>
    where
        K: Key,
        V: Wire,
    {
        let p = self.partitioner("join", site, partitions);
        self.meet_at("join", site, other, Needs::Both, move |a, b| a.join_at(site, b, p.clone()))
    }

    /// As [`join`](DStream::join), and the records of this stream whose key the other does not have, with `None`: all of
    /// them where the other has nothing to do.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let a: RddQueue<(u8, u32)> = [sc.parallelize([(1, 30), (2, 40), (1, 31)], 2)].into_iter().collect();
    /// # let b: RddQueue<(u8, char)> = [sc.parallelize([(1, 'a'), (3, 'c')], 2)].into_iter().collect();
    /// let ages = ssc.queue_stream(&a); // (1, 30), (2, 40), (1, 31)
    /// let names = ssc.queue_stream(&b); // (1, 'a'), (3, 'c')
    /// let both = ages.left_outer_join(&names);
    /// both.foreach_rdd(|rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     assert_eq!(all, [(1, (30, Some('a'))), (1, (31, Some('a'))), (2, (40, None))]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "leftOuterJoin")]
    #[track_caller]
    pub fn left_outer_join<W: Wire>(&self, other: &DStream<(K, W)>) -> DStream<(K, (V, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.left_outer_join_at(Site::caller(), other, self.default_partitions())
    }
    /// [`left_outer_join`](DStream::left_outer_join) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn left_outer_join_in<W: Wire>(
        &self,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (V, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.left_outer_join_at(Site::caller(), other, partitions)
    }
    fn left_outer_join_at<W: Wire>(
        &self,
        site: Site,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (V, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        let p = self.partitioner("left_outer_join", site, partitions);
        self.meet_at("left_outer_join", site, other, Needs::Left, move |a, b| a.left_outer_join_at(site, b, p.clone()))
    }

    /// As [`join`](DStream::join), and the records of the other stream whose key this one does not have, with `None`: all
    /// of them where this one has nothing to do.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let a: RddQueue<(u8, u32)> = [sc.parallelize([(1, 30), (2, 40), (1, 31)], 2)].into_iter().collect();
    /// # let b: RddQueue<(u8, char)> = [sc.parallelize([(1, 'a'), (3, 'c')], 2)].into_iter().collect();
    /// let ages = ssc.queue_stream(&a); // (1, 30), (2, 40), (1, 31)
    /// let names = ssc.queue_stream(&b); // (1, 'a'), (3, 'c')
    /// let both = ages.right_outer_join(&names);
    /// both.foreach_rdd(|rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     assert_eq!(all, [(1, (Some(30), 'a')), (1, (Some(31), 'a')), (3, (None, 'c'))]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "rightOuterJoin")]
    #[track_caller]
    pub fn right_outer_join<W: Wire>(&self, other: &DStream<(K, W)>) -> DStream<(K, (Option<V>, W))>
    where
        K: Key,
        V: Wire,
    {
        self.right_outer_join_at(Site::caller(), other, self.default_partitions())
    }
    /// [`right_outer_join`](DStream::right_outer_join) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn right_outer_join_in<W: Wire>(
        &self,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (Option<V>, W))>
    where
        K: Key,
        V: Wire,
    {
        self.right_outer_join_at(Site::caller(), other, partitions)
    }
    fn right_outer_join_at<W: Wire>(
        &self,
        site: Site,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (Option<V>, W))>
    where
        K: Key,
        V: Wire,
    {
        let p = self.partitioner("right_outer_join", site, partitions);
        self.meet_at("right_outer_join", site, other, Needs::Right, move |a, b| {
            a.right_outer_join_at(site, b, p.clone())
        })
    }

    /// As [`join`](DStream::join), and the records of either stream whose key the other does not have, with `None`: all of
    /// one where the other has nothing to do.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let a: RddQueue<(u8, u32)> = [sc.parallelize([(1, 30), (2, 40), (1, 31)], 2)].into_iter().collect();
    /// # let b: RddQueue<(u8, char)> = [sc.parallelize([(1, 'a'), (3, 'c')], 2)].into_iter().collect();
    /// let ages = ssc.queue_stream(&a); // (1, 30), (2, 40), (1, 31)
    /// let names = ssc.queue_stream(&b); // (1, 'a'), (3, 'c')
    /// let both = ages.full_outer_join(&names);
    /// both.foreach_rdd(|rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     assert_eq!(all, [(1, (Some(30), Some('a'))), (1, (Some(31), Some('a'))), (2, (Some(40), None)), (3, (None, Some('c')))]);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "fullOuterJoin")]
    #[track_caller]
    pub fn full_outer_join<W: Wire>(&self, other: &DStream<(K, W)>) -> DStream<(K, (Option<V>, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.full_outer_join_at(Site::caller(), other, self.default_partitions())
    }
    /// [`full_outer_join`](DStream::full_outer_join) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn full_outer_join_in<W: Wire>(
        &self,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (Option<V>, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.full_outer_join_at(Site::caller(), other, partitions)
    }
    fn full_outer_join_at<W: Wire>(
        &self,
        site: Site,
        other: &DStream<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, (Option<V>, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        let p = self.partitioner("full_outer_join", site, partitions);
        self.meet_at("full_outer_join", site, other, Needs::Either, move |a, b| {
            a.full_outer_join_at(site, b, p.clone())
        })
    }
}
