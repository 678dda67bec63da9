//! Windows over batches. Those that reduce or group do so in each batch first, keep what comes of it, and then put
//! together the batches of the window: `reduce_by_key` of a window of `reduce_by_key`. Because each batch is spread by key
//! alike, the second step shuffles nothing.
use super::DStream;
use crate::graph::{StreamMeta, StreamOp};
use std::sync::Arc;
use winterbourne_base::{Duration, IntoDuration};
use winterbourne_engine::{Data, Key, KeyPartitioner, Rdd, Site, Wire};

impl<T: Data> DStream<T> {
    /// The last `window` of this stream at every batch of it: [`window_by`](DStream::window_by) with its own slide.
    #[track_caller]
    pub fn window(&self, window: impl IntoDuration) -> DStream<T> {
        let site = Site::caller();
        let window = self.duration(site, "window", window);
        self.window_at(site, window, self.slide_duration())
    }
    /// At every multiple of `slide`: the union of this stream's RDDs of the times in `(t - window, t]`, oldest first.
    /// Both durations must be multiples of this stream's slide. First windows are partial. A window shorter than its
    /// slide leaves out what lies between. This stream is [cached](DStream::cache).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = (1..5).map(|i| sc.range(i..i + 1, 1)).collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches)
    ///     .window_by(seconds(3), seconds(2))
    ///     .foreach_rdd(move |rdd, _| Ok(seen.send(rdd.collect()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..4 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [vec![1, 2], vec![2, 3, 4]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn window_by(&self, window: impl IntoDuration, slide: impl IntoDuration) -> DStream<T> {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        self.window_at(site, window, slide)
    }
    /// Remembers what is wrong with these; a slide to go on with.
    pub(super) fn window_durations(&self, site: Site, window: Duration, slide: Duration) -> Duration {
        let own = self.slide_duration();
        for (what, d) in [("window", window), ("slide", slide)] {
            if d.is_zero() || !d.is_multiple_of(own) {
                self.wrong(site, format!("the {what} duration ({d}) must be a positive multiple of the slide duration of the parent DStream ({own})"));
            }
        }
        if slide.is_zero() { own } else { slide }
    }
    fn window_at(&self, site: Site, window: Duration, slide: Duration) -> DStream<T> {
        let slide = self.window_durations(site, window, slide);
        let parent = self.op.clone();
        let meta = StreamMeta::new("window", site, slide).parent(&self.op).reach(window);
        let op = StreamOp::window(meta, &self.op, move |t| {
            let all = parent.between(t - window, t)?;
            Ok((!all.is_empty()).then(|| Rdd::union_all(&all, site)))
        });
        DStream::of(&self.ssc, op)
    }
    /// All records of a window combined by a function that is associative and commutative: one record, in one partition,
    /// and none where the window is empty. Each batch is combined once; `window` and `slide` as for
    /// [`window_by`](DStream::window_by).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = (1..5).map(|i| sc.range(i..i + 1, 1)).collect(); // 1, 2, 3, 4
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches)
    ///     .reduce_by_window(|a, b| a + b, seconds(3), seconds(1))
    ///     .foreach_rdd(move |rdd, _| Ok(seen.send(rdd.first()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..4 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [1, 1 + 2, 1 + 2 + 3, 2 + 3 + 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "reduceByWindow")]
    #[track_caller]
    pub fn reduce_by_window(
        &self,
        f: impl Fn(T, T) -> T + Send + Sync + 'static,
        window: impl IntoDuration,
        slide: impl IntoDuration,
    ) -> DStream<T>
    where
        T: Wire,
    {
        let (site, f) = (Site::caller(), Arc::new(f));
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        self.reduce_at(site, f.clone()).window_at(site, window, slide).reduce_at(site, f)
    }
}

impl<K: Data, V: Data> DStream<(K, V)> {
    /// Merges the values of each key within a window, at every batch; see
    /// [`reduce_by_key_and_window_by`](DStream::reduce_by_key_and_window_by).
    #[doc(alias = "reduceByKeyAndWindow")]
    #[track_caller]
    pub fn reduce_by_key_and_window(
        &self,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        window: impl IntoDuration,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let window = self.duration(site, "window", window);
        let n = self.default_partitions();
        self.reduce_by_key_and_window_at(site, f, window, self.slide_duration(), n)
    }
    /// Merges the values of each key within the last `window`, at every multiple of `slide`; both as for
    /// [`window_by`](DStream::window_by). A key without a record in the window is not there. Partitions as for
    /// [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// Each batch is merged once and kept; a window merges what its batches came to, without a shuffle. It costs what the
    /// keys of all its batches cost, however many records they had.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let words = [vec!["to", "be"], vec!["be"], vec!["or", "not"]];
    /// let batches: RddQueue<(String, u64)> =
    ///     words.into_iter().map(|b| sc.parallelize(b.into_iter().map(|w| (w.to_string(), 1)), 2)).collect();
    /// let recent = ssc.queue_stream(&batches).reduce_by_key_and_window_by(|a, b| a + b, seconds(2), seconds(1));
    /// let (seen, out) = std::sync::mpsc::channel();
    /// recent.filter(|(word, _)| word == "be").foreach_rdd(move |rdd, _| Ok(seen.send(rdd.map(|(_, n)| n).collect()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..4 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [vec![1], vec![2], vec![1], vec![]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn reduce_by_key_and_window_by(
        &self,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        window: impl IntoDuration,
        slide: impl IntoDuration,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        let n = self.default_partitions();
        self.reduce_by_key_and_window_at(site, f, window, slide, n)
    }
    /// [`reduce_by_key_and_window_by`](DStream::reduce_by_key_and_window_by) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn reduce_by_key_and_window_in(
        &self,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        window: impl IntoDuration,
        slide: impl IntoDuration,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        self.reduce_by_key_and_window_at(site, f, window, slide, partitions)
    }
    fn reduce_by_key_and_window_at(
        &self,
        site: Site,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        window: Duration,
        slide: Duration,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let (f, p) = (Arc::new(f), self.partitioner("reduce_by_key_and_window", site, partitions));
        let batches = self.reduce_by_key_at(site, f.clone(), p.clone());
        batches.window_at(site, window, slide).reduce_by_key_at(site, f, p)
    }

    /// All values of each key within a window, at every batch; see
    /// [`group_by_key_and_window_by`](DStream::group_by_key_and_window_by).
    #[doc(alias = "groupByKeyAndWindow")]
    #[track_caller]
    pub fn group_by_key_and_window(&self, window: impl IntoDuration) -> DStream<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let window = self.duration(site, "window", window);
        self.group_by_key_and_window_at(site, window, self.slide_duration(), self.default_partitions())
    }
    /// All values of each key within the last `window`, at every multiple of `slide`; both as for
    /// [`window_by`](DStream::window_by). Values come in the order of batches, and within them as
    /// [`group_by_key`](DStream::group_by_key) has them. Each batch is shuffled once, a window not at all.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<(char, u64)> = (1..4).map(|i| sc.parallelize([('a', i)], 2)).collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches)
    ///     .group_by_key_and_window_by(seconds(2), seconds(1))
    ///     .foreach_rdd(move |rdd, _| Ok(seen.send(rdd.collect()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..3 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [[('a', vec![1])], [('a', vec![1, 2])], [('a', vec![2, 3])]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn group_by_key_and_window_by(
        &self,
        window: impl IntoDuration,
        slide: impl IntoDuration,
    ) -> DStream<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        self.group_by_key_and_window_at(site, window, slide, self.default_partitions())
    }
    /// [`group_by_key_and_window_by`](DStream::group_by_key_and_window_by) into so many partitions, or by a [partitioner](KeyPartitioner).
    #[track_caller]
    pub fn group_by_key_and_window_in(
        &self,
        window: impl IntoDuration,
        slide: impl IntoDuration,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        self.group_by_key_and_window_at(site, window, slide, partitions)
    }
    fn group_by_key_and_window_at(
        &self,
        site: Site,
        window: Duration,
        slide: Duration,
        partitions: impl KeyPartitioner<K>,
    ) -> DStream<(K, Vec<V>)>
    where
        K: Key,
        V: Wire,
    {
        let together = |mut all: Vec<V>, mut later: Vec<V>| {
            all.append(&mut later);
            all
        };
        let p = self.partitioner("group_by_key_and_window", site, partitions);
        let batches = self.group_by_key_at(site, p.clone());
        batches.window_at(site, window, slide).reduce_by_key_at(site, Arc::new(together), p)
    }
}
