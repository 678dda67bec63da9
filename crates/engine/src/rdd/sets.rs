//! Set operations on whole records: made of aggregation and of the joins by key.
use super::Rdd;
use crate::{
    Data, Error, Key, KeyPartitioner, Site,
    lineage::{Count, Partitioner},
};

/// Which side a record was seen on, as bits.
const LEFT: u8 = 1;
const RIGHT: u8 = 2;

impl<T: Data> Rdd<T> {
    /// The records that both have, each once, in no particular order but always the same. Both sides lose what they
    /// have twice before the shuffle, and are in memory after it.
    ///
    /// The partitions of the result: `spark.default.parallelism`, if set; else as many as the wider of the two has.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (a, b) = (sc.parallelize([1, 1, 2, 3], 2), sc.parallelize([3, 1, 4], 2));
    /// let mut both = a.intersection(&b).collect()?;
    /// both.sort();
    /// assert_eq!(both, [1, 3]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn intersection(&self, other: &Rdd<T>) -> Rdd<T>
    where
        T: Key,
    {
        let configured = self.sc.inner.default_parallelism;
        let of = vec![self.op.meta.partitions.clone(), other.op.meta.partitions.clone()];
        let n = Count::of(of, move |n| configured.unwrap_or(n[0].max(n[1])).max(1));
        self.intersection_at(Site::caller(), other, Partitioner::Hash(n))
    }
    /// [`intersection`](Rdd::intersection) into a number of partitions, or as a partitioner says.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let both = sc.range(0..5, 2).intersection_in(&sc.range(4..9, 3), 1);
    /// assert_eq!((both.num_partitions()?, both.collect()?), (1, vec![4]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn intersection_in(&self, other: &Rdd<T>, partitions: impl KeyPartitioner<T>) -> Rdd<T>
    where
        T: Key,
    {
        self.intersection_at(Site::caller(), other, partitions.erased())
    }
    fn intersection_at(&self, site: Site, other: &Rdd<T>, partitions: Partitioner) -> Rdd<T>
    where
        T: Key,
    {
        if let Some(refused) = self.refused("intersection", site, other, &partitions) {
            return refused;
        }
        let sides = [self.map_at(site, |x| (x, LEFT)), other.map_at(site, |x| (x, RIGHT))];
        let seen = Rdd::union_all(&sides, site).reduce_by_key_at(site, |a, b| a | b, partitions);
        seen.filter_map_at(site, |(x, seen)| (seen == LEFT | RIGHT).then_some(x))
    }
    /// The records that the other RDD does not have; what is here twice stays twice. Only this side is in memory at
    /// once. Has as many partitions as this RDD has.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (a, b) = (sc.parallelize([1, 1, 2, 3], 2), sc.parallelize([3, 2, 4], 2));
    /// assert_eq!(a.subtract(&b).collect()?, [1, 1]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn subtract(&self, other: &Rdd<T>) -> Rdd<T>
    where
        T: Key,
    {
        let n = Count::of(vec![self.op.meta.partitions.clone()], |n| n[0].max(1));
        self.subtract_at(Site::caller(), other, Partitioner::Hash(n))
    }
    /// [`subtract`](Rdd::subtract) into a number of partitions, or as a partitioner says.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let left = sc.range(0..5, 2).subtract_in(&sc.range(1..9, 3), 4);
    /// assert_eq!((left.num_partitions()?, left.collect()?), (4, vec![0]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn subtract_in(&self, other: &Rdd<T>, partitions: impl KeyPartitioner<T>) -> Rdd<T>
    where
        T: Key,
    {
        self.subtract_at(Site::caller(), other, partitions.erased())
    }
    fn subtract_at(&self, site: Site, other: &Rdd<T>, partitions: Partitioner) -> Rdd<T>
    where
        T: Key,
    {
        if let Some(refused) = self.refused("subtract", site, other, &partitions) {
            return refused;
        }
        let (left, right) = (self.map_at(site, |x| (x, ())), other.map_at(site, |x| (x, ())));
        left.subtract_by_key_at(site, &right, partitions).map_at(site, |(x, ())| x)
    }
    /// What is wrong with two sides and a number of partitions, in the name of this operator.
    fn refused(&self, operator: &'static str, site: Site, other: &Rdd<T>, partitions: &Partitioner) -> Option<Rdd<T>> {
        if !self.sc.same(&other.sc) {
            return Some(self.sc.wrong(operator, site, move || Error::ForeignRdd { operator, site }));
        }
        let none = partitions.partitions().if_known() == Some(0);
        none.then(|| self.sc.wrong(operator, site, move || Error::Partitions { operator, site, asked: 0 }))
    }
}
