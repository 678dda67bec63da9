//! Joins: for each key the pairs of its values on both sides. All are a cogroup of which only the last step differs.
#![expect(clippy::type_complexity, reason = "an alias would hide from users what they get")]
use super::cogroup::Keys;
use crate::{Data, Key, KeyPartitioner, Rdd, Site, Wire};
use std::iter::repeat_n;

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// Every pair of values that have the same key: n values here and m there are n * m records. Keys that only one side
    /// has are left out. Partitions, shuffles and their order are those of [`cogroup`](Rdd::cogroup); the result keeps
    /// the partitioner, so that a further join or [`reduce_by_key`](Rdd::reduce_by_key) shuffles nothing.
    ///
    /// All values of a key are in memory at once, the pairs are not. Of the other side only what has a partner is kept,
    /// so let the smaller one be this.
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
        self.meet("join", site, other, partitions.erased(), Keys::Left, pairs)
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
        self.meet("left_outer_join", site, other, partitions.erased(), Keys::Left, |k, v, w| {
            pairs(k, v, some_or_none(w))
        })
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
        self.meet("right_outer_join", site, other, partitions.erased(), Keys::All, |k, v, w| {
            pairs(k, some_or_none(v), w)
        })
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
        let all = |k, v, w| pairs(k, some_or_none(v), some_or_none(w));
        self.meet("full_outer_join", site, other, partitions.erased(), Keys::All, all)
    }

    /// The records whose key the other RDD does not have; its values do not matter and are not shuffled. Spread as this
    /// RDD is, or else over as many partitions as it has, whatever the other has; a side that is spread that way already
    /// is not shuffled. What this RDD holds is in memory at once, the other is only looked at.
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
        self.meet("subtract_by_key", site, &keys, partitions.erased(), Keys::Left, |k, v, found| {
            let kept = if found.is_empty() { v } else { Vec::new() };
            repeat_n(k, kept.len()).zip(kept)
        })
    }
}

/// Every value of the left with every value of the right. The last use of each value moves it, so one of either costs no
/// clone.
fn pairs<K: Data, V: Data, W: Data>(k: K, left: Vec<V>, right: Vec<W>) -> impl Iterator<Item = (K, (V, W))> {
    let rights = repeat_n((k, right), left.len());
    left.into_iter().zip(rights).flat_map(|(v, (k, right))| {
        let lefts = repeat_n((k, v), right.len());
        lefts.zip(right).map(|((k, v), w)| (k, (v, w)))
    })
}
/// The values of one side of an outer join: one `None` if there are no others.
fn some_or_none<V>(values: Vec<V>) -> Vec<Option<V>> {
    if values.is_empty() { vec![None] } else { values.into_iter().map(Some).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    };

    struct Counted(Arc<AtomicU32>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Relaxed);
            Counted(self.0.clone())
        }
    }
    #[test]
    fn the_last_use_of_a_value_moves_it() {
        for (n, m) in [(0, 3), (3, 0), (1, 1), (1, 4), (4, 1), (3, 4)] {
            let clones = [(); 3].map(|()| Arc::<AtomicU32>::default());
            let values = |i: usize, n| (0..n).map(|_| Counted(clones[i].clone())).collect::<Vec<_>>();
            let key = Counted(clones[0].clone());
            assert_eq!(pairs(key, values(1, n), values(2, m)).count(), n * m);
            if n * m > 0 {
                let counted = clones.map(|c| c.load(Relaxed) as usize);
                assert_eq!(counted, [n * m - 1, n * (m - 1), (n - 1) * m], "{n} x {m}");
            }
        }
    }
}
