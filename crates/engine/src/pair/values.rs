//! Pairs from records and back, and what leaves keys alone.
use crate::{Chunk, Data, Rdd, Site};
use std::sync::Arc;

impl<T: Data> Rdd<T> {
    /// Each record with a key before it.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize(["a", "bcd"], 1).key_by(|w| w.len()).collect()?, [(1, "a"), (3, "bcd")]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn key_by<K: Data>(&self, f: impl Fn(&T) -> K + Send + Sync + 'static) -> Rdd<(K, T)> {
        self.keyed("key_by", Site::caller(), f)
    }
    pub(super) fn keyed<K: Data>(
        &self,
        name: &'static str,
        site: Site,
        f: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Rdd<(K, T)> {
        self.chunked(name, site, false, move |c| c.map(|x| (f(&x), x)))
    }
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// The keys alone, as often as they occur. The partitioner is gone.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.parallelize([(1, 'a'), (1, 'b')], 1);
    /// assert_eq!((pairs.keys().collect()?, pairs.values().collect()?), (vec![1, 1], vec!['a', 'b']));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn keys(&self) -> Rdd<K> {
        self.chunked("keys", Site::caller(), false, |c| match c {
            Chunk::Own(v) => v.into_iter().map(|(k, _)| k).collect(),
            Chunk::Shared(v, r) => v[r].iter().map(|(k, _)| k.clone()).collect(),
        })
    }
    /// The values alone. The partitioner is gone.
    #[track_caller]
    pub fn values(&self) -> Rdd<V> {
        self.only_values("values", Site::caller())
    }
    pub(super) fn only_values(&self, name: &'static str, site: Site) -> Rdd<V> {
        self.chunked(name, site, false, |c| match c {
            Chunk::Own(v) => v.into_iter().map(|(_, v)| v).collect(),
            Chunk::Shared(v, r) => v[r].iter().map(|(_, v)| v.clone()).collect(),
        })
    }
    /// Applies `f` to each value; keys and partitioner stay.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let prices = sc.parallelize([("tea", 250), ("cup", 900)], 1).map_values(|cents| f64::from(cents) / 100.0);
    /// assert_eq!(prices.collect()?, [("tea", 2.5), ("cup", 9.0)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn map_values<W: Data>(&self, f: impl Fn(V) -> W + Send + Sync + 'static) -> Rdd<(K, W)> {
        self.map_values_at(Site::caller(), f)
    }
    /// [`map_values`](Rdd::map_values) on behalf of `site`.
    pub fn map_values_at<W: Data>(&self, site: Site, f: impl Fn(V) -> W + Send + Sync + 'static) -> Rdd<(K, W)> {
        let f = Arc::new(f);
        self.chunked("map_values", site, true, move |c| c.map(|(k, v)| (k, f(v))))
    }
    /// Replaces each value by the elements of what `f` returns, each with the key; keys and partitioner stay. The
    /// iterator may be endless. The key is cloned for each element.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.parallelize([(1, 2), (2, 0), (3, 1)], 1);
    /// assert_eq!(pairs.flat_map_values(|n| 0..n).collect()?, [(1, 0), (1, 1), (3, 0)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn flat_map_values<I>(&self, f: impl Fn(V) -> I + Send + Sync + 'static) -> Rdd<(K, I::Item)>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.flat_map_values_at(Site::caller(), f)
    }
    /// [`flat_map_values`](Rdd::flat_map_values) on behalf of `site`.
    pub fn flat_map_values_at<I>(&self, site: Site, f: impl Fn(V) -> I + Send + Sync + 'static) -> Rdd<(K, I::Item)>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.flat_mapped("flat_map_values", site, true, move |(k, v)| f(v).into_iter().map(move |w| (k.clone(), w)))
    }
}
