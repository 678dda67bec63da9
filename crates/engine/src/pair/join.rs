//! Joins: for each key the pairs of its values on both sides. All are one mechanism, told by a type what to make.
#![expect(clippy::type_complexity, reason = "an alias would hide from users what they get")]
use super::probe::Kind;
use crate::{Data, Key, KeyPartitioner, Rdd, Site, Wire};

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// Every pair of values that have the same key: n values here and m there are n * m records. Keys that only one side
    /// has are left out. Partitions, shuffles and their order are those of [`cogroup`](Rdd::cogroup); the result keeps
    /// the partitioner, so that a further join or [`reduce_by_key`](Rdd::reduce_by_key) shuffles nothing.
    ///
    /// A partition of this side lies in a table, as far as memory goes; the other side is read past it and not kept, nor are
    /// the pairs. So let the smaller one be this. Pairs come in the order of the other side's records.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ages = sc.parallelize([(1, 30), (2, 40), (1, 31)], 2);
    /// let names = sc.parallelize([(1, 'a'), (3, 'c')], 2);
    /// assert_eq!(ages.join(&names).collect()?, [(1, (30, 'a')), (1, (31, 'a'))]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn join<W: Wire>(&self, other: &Rdd<(K, W)>) -> Rdd<(K, (V, W))>
    where
        K: Key,
        V: Wire,
    {
        self.join_at(Site::caller(), other, self.default_partitioner_with(other))
    }
    /// [`join`](Rdd::join) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (ages, names) = (sc.parallelize([(1, 30)], 2), sc.parallelize([(1, 'a')], 2));
    /// let joined = ages.join_in(&names, 5);
    /// assert_eq!((joined.num_partitions()?, joined.collect()?), (5, vec![(1, (30, 'a'))]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn join_in<W: Wire>(&self, other: &Rdd<(K, W)>, partitions: impl KeyPartitioner<K>) -> Rdd<(K, (V, W))>
    where
        K: Key,
        V: Wire,
    {
        self.join_at(Site::caller(), other, partitions)
    }
    /// [`join_in`](Rdd::join_in) on behalf of `site`.
    pub fn join_at<W: Wire>(
        &self,
        site: Site,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (V, W))>
    where
        K: Key,
        V: Wire,
    {
        self.probed("join", site, other, partitions.erased(), Inner)
    }

    /// As [`join`](Rdd::join), and the records of this side whose key the other does not have, with `None`.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ages = sc.parallelize([(1, 30), (2, 40)], 2);
    /// let names = sc.parallelize([(1, 'a'), (3, 'c')], 2);
    /// let mut joined = ages.left_outer_join(&names).collect()?;
    /// joined.sort();
    /// assert_eq!(joined, [(1, (30, Some('a'))), (2, (40, None))]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn left_outer_join<W: Wire>(&self, other: &Rdd<(K, W)>) -> Rdd<(K, (V, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.left_outer_join_at(Site::caller(), other, self.default_partitioner_with(other))
    }
    /// [`left_outer_join`](Rdd::left_outer_join) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (ages, names) = (sc.parallelize([(1, 30)], 2), sc.parallelize([(3, 'c')], 2));
    /// let joined = ages.left_outer_join_in(&names, 5);
    /// assert_eq!((joined.num_partitions()?, joined.collect()?), (5, vec![(1, (30, None))]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn left_outer_join_in<W: Wire>(
        &self,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (V, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.left_outer_join_at(Site::caller(), other, partitions)
    }
    /// [`left_outer_join_in`](Rdd::left_outer_join_in) on behalf of `site`.
    pub fn left_outer_join_at<W: Wire>(
        &self,
        site: Site,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (V, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.probed("left_outer_join", site, other, partitions.erased(), LeftOuter)
    }

    /// As [`join`](Rdd::join), and the records of the other side whose key this one does not have, with `None`.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ages = sc.parallelize([(1, 30), (2, 40)], 2);
    /// let names = sc.parallelize([(1, 'a'), (3, 'c')], 2);
    /// let mut joined = ages.right_outer_join(&names).collect()?;
    /// joined.sort();
    /// assert_eq!(joined, [(1, (Some(30), 'a')), (3, (None, 'c'))]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn right_outer_join<W: Wire>(&self, other: &Rdd<(K, W)>) -> Rdd<(K, (Option<V>, W))>
    where
        K: Key,
        V: Wire,
    {
        self.right_outer_join_at(Site::caller(), other, self.default_partitioner_with(other))
    }
    /// [`right_outer_join`](Rdd::right_outer_join) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (ages, names) = (sc.parallelize([(1, 30)], 2), sc.parallelize([(3, 'c')], 2));
    /// let joined = ages.right_outer_join_in(&names, 5);
    /// assert_eq!((joined.num_partitions()?, joined.collect()?), (5, vec![(3, (None, 'c'))]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn right_outer_join_in<W: Wire>(
        &self,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Option<V>, W))>
    where
        K: Key,
        V: Wire,
    {
        self.right_outer_join_at(Site::caller(), other, partitions)
    }
    /// [`right_outer_join_in`](Rdd::right_outer_join_in) on behalf of `site`.
    pub fn right_outer_join_at<W: Wire>(
        &self,
        site: Site,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Option<V>, W))>
    where
        K: Key,
        V: Wire,
    {
        self.probed("right_outer_join", site, other, partitions.erased(), RightOuter)
    }

    /// As [`join`](Rdd::join), and the records of either side whose key the other does not have, with `None`.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ages = sc.parallelize([(1, 30), (2, 40)], 2);
    /// let names = sc.parallelize([(1, 'a'), (3, 'c')], 2);
    /// let mut joined = ages.full_outer_join(&names).collect()?;
    /// joined.sort();
    /// assert_eq!(joined, [(1, (Some(30), Some('a'))), (2, (Some(40), None)), (3, (None, Some('c')))]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn full_outer_join<W: Wire>(&self, other: &Rdd<(K, W)>) -> Rdd<(K, (Option<V>, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.full_outer_join_at(Site::caller(), other, self.default_partitioner_with(other))
    }
    /// [`full_outer_join`](Rdd::full_outer_join) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (ages, names) = (sc.parallelize([(1, 30)], 2), sc.parallelize([(1, 'a')], 2));
    /// let joined = ages.full_outer_join_in(&names, 5);
    /// assert_eq!((joined.num_partitions()?, joined.collect()?), (5, vec![(1, (Some(30), Some('a')))]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn full_outer_join_in<W: Wire>(
        &self,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Option<V>, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.full_outer_join_at(Site::caller(), other, partitions)
    }
    /// [`full_outer_join_in`](Rdd::full_outer_join_in) on behalf of `site`.
    pub fn full_outer_join_at<W: Wire>(
        &self,
        site: Site,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Option<V>, Option<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.probed("full_outer_join", site, other, partitions.erased(), FullOuter)
    }

    /// The records whose key the other RDD does not have; its values do not matter and are not shuffled. Spread as this
    /// RDD is, or else over as many partitions as it has, whatever the other has; a side that is spread that way already
    /// is not shuffled. What this RDD holds lies in a table, the other is only looked at.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let visits = sc.parallelize([(1, "monday"), (2, "monday"), (1, "friday")].map(|(k, v)| (k, v.to_string())), 2);
    /// let robots = sc.parallelize([(2, ()), (7, ())], 2);
    /// assert_eq!(visits.subtract_by_key(&robots).collect()?, [(1, "monday".into()), (1, "friday".into())]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn subtract_by_key<W: Data>(&self, other: &Rdd<(K, W)>) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.subtract_by_key_at(Site::caller(), other, self.own_partitioner())
    }
    /// [`subtract_by_key`](Rdd::subtract_by_key) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (all, some) = (sc.parallelize([(1, 30), (2, 40)], 2), sc.parallelize([(1, 'a')], 2));
    /// let left = all.subtract_by_key_in(&some, 5);
    /// assert_eq!((left.num_partitions()?, left.collect()?), (5, vec![(2, 40)]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn subtract_by_key_in<W: Data>(&self, other: &Rdd<(K, W)>, partitions: impl KeyPartitioner<K>) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.subtract_by_key_at(Site::caller(), other, partitions)
    }
    /// [`subtract_by_key_in`](Rdd::subtract_by_key_in) on behalf of `site`.
    pub fn subtract_by_key_at<W: Data>(
        &self,
        site: Site,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let keys = other.map_values_at(site, drop);
        self.probed("subtract_by_key", site, &keys, partitions.erased(), Without)
    }
}

/// Pairs only.
struct Inner;
impl<V: Data, W: Data> Kind<V, W> for Inner {
    type Out = (V, W);
    type Found = ();
    fn both(v: V, w: W) -> (V, W) {
        (v, w)
    }
}
struct LeftOuter;
impl<V: Data, W: Data> Kind<V, W> for LeftOuter {
    type Out = (V, Option<W>);
    type Found = bool;
    const LEFT: bool = true;
    fn both(v: V, w: W) -> Self::Out {
        (v, Some(w))
    }
    fn left(v: V) -> Option<Self::Out> {
        Some((v, None))
    }
}
struct RightOuter;
impl<V: Data, W: Data> Kind<V, W> for RightOuter {
    type Out = (Option<V>, W);
    type Found = ();
    fn both(v: V, w: W) -> Self::Out {
        (Some(v), w)
    }
    fn right(w: W) -> Option<Self::Out> {
        Some((None, w))
    }
}
struct FullOuter;
impl<V: Data, W: Data> Kind<V, W> for FullOuter {
    type Out = (Option<V>, Option<W>);
    type Found = bool;
    const LEFT: bool = true;
    fn both(v: V, w: W) -> Self::Out {
        (Some(v), Some(w))
    }
    fn right(w: W) -> Option<Self::Out> {
        Some((None, Some(w)))
    }
    fn left(v: V) -> Option<Self::Out> {
        Some((Some(v), None))
    }
}
/// What the right side does not have.
struct Without;
impl<V: Data, W: Data> Kind<V, W> for Without {
    type Out = V;
    type Found = bool;
    const PAIRS: bool = false;
    const LEFT: bool = true;
    fn both(v: V, _: W) -> V {
        v
    }
    fn left(v: V) -> Option<V> {
        Some(v)
    }
}
