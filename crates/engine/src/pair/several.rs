//! Three and four RDDs by key. They meet one after another: spread once, the groups of the first two stay where they are
//! when the next side comes.
#![expect(clippy::type_complexity, reason = "an alias would hide from users what they get")]
use super::spread::meeting;
use crate::{Data, Key, KeyPartitioner, Rdd, Site, Wire};

/// What a cogroup of groups holds for a key: one group of groups, or none.
fn of_one<A, B>(one: Vec<(Vec<A>, Vec<B>)>) -> (Vec<A>, Vec<B>) {
    one.into_iter().next().unwrap_or_default()
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// [`cogroup`](Rdd::cogroup) of three.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ages = sc.parallelize([(1, 30), (1, 31)], 2);
    /// let (names, towns) = (sc.parallelize([(1, 'a')], 2), sc.parallelize([(2, "Bere")].map(|(k, t)| (k, t.to_string())), 1));
    /// let mut groups = ages.cogroup3(&names, &towns).collect()?;
    /// groups.sort();
    /// assert_eq!(groups, [(1, (vec![30, 31], vec!['a'], vec![])), (2, (vec![], vec![], vec!["Bere".into()]))]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "groupWith", alias = "group_with")]
    #[track_caller]
    pub fn cogroup3<W: Wire, X: Wire>(
        &self,
        second: &Rdd<(K, W)>,
        third: &Rdd<(K, X)>,
    ) -> Rdd<(K, (Vec<V>, Vec<W>, Vec<X>))>
    where
        K: Key,
        V: Wire,
    {
        let partitioner = meeting(&self.sc, &[&self.op.meta, &second.op.meta, &third.op.meta]);
        self.cogroup3_at(Site::caller(), second, third, partitioner)
    }
    /// [`cogroup3`](Rdd::cogroup3) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let [a, b, c] = [1, 2, 3].map(|i| sc.parallelize([(0, i)], 1));
    /// let groups = a.cogroup3_in(&b, &c, 2);
    /// assert_eq!((groups.num_partitions()?, groups.lookup(0)?), (2, vec![(vec![1], vec![2], vec![3])]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cogroup3_in<W: Wire, X: Wire>(
        &self,
        second: &Rdd<(K, W)>,
        third: &Rdd<(K, X)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Vec<V>, Vec<W>, Vec<X>))>
    where
        K: Key,
        V: Wire,
    {
        self.cogroup3_at(Site::caller(), second, third, partitions)
    }
    /// [`cogroup3_in`](Rdd::cogroup3_in) on behalf of `site`.
    pub fn cogroup3_at<W: Wire, X: Wire>(
        &self,
        site: Site,
        second: &Rdd<(K, W)>,
        third: &Rdd<(K, X)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Vec<V>, Vec<W>, Vec<X>))>
    where
        K: Key,
        V: Wire,
    {
        let partitioner = partitions.erased();
        let two = self.cogroup_at(site, second, partitioner.clone());
        two.cogroup_at(site, third, partitioner).map_values_at(site, |(two, x)| {
            let (v, w) = of_one(two);
            (v, w, x)
        })
    }
    /// [`cogroup`](Rdd::cogroup) of four.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let [a, b, c, d] = [1, 2, 3, 4].map(|i| sc.parallelize([(0, i)], 1));
    /// assert_eq!(a.cogroup4(&b, &c, &d).collect()?, [(0, (vec![1], vec![2], vec![3], vec![4]))]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "groupWith", alias = "group_with")]
    #[track_caller]
    pub fn cogroup4<W: Wire, X: Wire, Y: Wire>(
        &self,
        second: &Rdd<(K, W)>,
        third: &Rdd<(K, X)>,
        fourth: &Rdd<(K, Y)>,
    ) -> Rdd<(K, (Vec<V>, Vec<W>, Vec<X>, Vec<Y>))>
    where
        K: Key,
        V: Wire,
    {
        let parents = [&self.op.meta, &second.op.meta, &third.op.meta, &fourth.op.meta];
        self.cogroup4_at(Site::caller(), second, third, fourth, meeting(&self.sc, &parents))
    }
    /// [`cogroup4`](Rdd::cogroup4) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let [a, b, c, d] = [1, 2, 3, 4].map(|i| sc.parallelize([(0, i)], 1));
    /// assert_eq!(a.cogroup4_in(&b, &c, &d, 2).num_partitions()?, 2);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cogroup4_in<W: Wire, X: Wire, Y: Wire>(
        &self,
        second: &Rdd<(K, W)>,
        third: &Rdd<(K, X)>,
        fourth: &Rdd<(K, Y)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Vec<V>, Vec<W>, Vec<X>, Vec<Y>))>
    where
        K: Key,
        V: Wire,
    {
        self.cogroup4_at(Site::caller(), second, third, fourth, partitions)
    }
    /// [`cogroup4_in`](Rdd::cogroup4_in) on behalf of `site`.
    pub fn cogroup4_at<W: Wire, X: Wire, Y: Wire>(
        &self,
        site: Site,
        second: &Rdd<(K, W)>,
        third: &Rdd<(K, X)>,
        fourth: &Rdd<(K, Y)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Vec<V>, Vec<W>, Vec<X>, Vec<Y>))>
    where
        K: Key,
        V: Wire,
    {
        let partitioner = partitions.erased();
        let two = self.cogroup_at(site, second, partitioner.clone());
        let others = third.cogroup_at(site, fourth, partitioner.clone());
        two.cogroup_at(site, &others, partitioner).map_values_at(site, |(two, others)| {
            let ((v, w), (x, y)) = (of_one(two), of_one(others));
            (v, w, x, y)
        })
    }
}
