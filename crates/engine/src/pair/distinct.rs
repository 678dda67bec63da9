//! Each record once.
use super::{
    gather::{Form, Gather},
    table::Table,
};
use crate::{Data, Key, KeyPartitioner, Rdd, Site, at, lineage::Partitioner};

impl<T: Data> Rdd<T> {
    /// Each record once, in as many partitions as there are now (one at least). Which of several equal records stays is
    /// not said. Equal is what the type says: wrap floats in [`Total`](crate::Total).
    ///
    /// Records that are spread already, pairs behind a [`partition_by`](Rdd::partition_by) or an aggregation, are not
    /// shuffled and stay spread; otherwise the result has no partitioner. All distinct records of a partition are in
    /// memory at once.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let mut few = sc.range(0..100, 4).map(|x| x % 3).distinct().collect()?;
    /// few.sort();
    /// assert_eq!(few, [0, 1, 2]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn distinct(&self) -> Rdd<T>
    where
        T: Key,
    {
        let partitions = self.partitioner().map_or_else(|| self.own_count(), |p| p.partitions().clone());
        self.distinct_at(Site::caller(), partitions)
    }
    /// [`distinct`](Rdd::distinct) into so many partitions, or by a partitioner of the records.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..100, 4).map(|x| x % 3).distinct_in(2).num_partitions()?, 2);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn distinct_in(&self, partitions: impl KeyPartitioner<T>) -> Rdd<T>
    where
        T: Key,
    {
        self.distinct_at(Site::caller(), partitions)
    }
    /// [`distinct_in`](Rdd::distinct_in) on behalf of `site`.
    pub fn distinct_at(&self, site: Site, partitions: impl KeyPartitioner<T>) -> Rdd<T>
    where
        T: Key,
    {
        let (name, partitioner) = ("distinct", partitions.erased());
        // However they are spread, by a part of the record or by all of it: equal records are in one partition.
        if let (Some(p), Partitioner::Hash(n)) = (self.partitioner(), &partitioner)
            && p.partitions().same(n)
        {
            return self.narrow(name, site, true, move |_, flow, task| {
                let mut all = Gather::whole(0, task);
                flow.each(|c| {
                    at(site);
                    let kept = all.weigh(&c);
                    let seen = all.table();
                    c.for_each(|x| seen.upsert(x, (), |()| (), |(), ()| ()));
                    all.added(kept)
                })?;
                let merge = |t: &mut Table<T, ()>, h, x, ()| t.upsert_hashed(h, x, (), |()| (), |(), ()| ());
                let once = all.finish(site, task, merge, Form::ENTRIES)?;
                Ok(once.map_chunks(|c| c.map(|(x, ())| x)))
            });
        }
        let pairs = self.chunked(name, site, false, |c| c.map(|x| (x, ())));
        let once = pairs.aggregate_by(
            name,
            site,
            partitioner,
            |seen: &mut Table<T, ()>, x, ()| seen.upsert(x, (), |()| (), |(), ()| ()),
            |seen: &mut Table<T, ()>, h, x, ()| seen.upsert_hashed(h, x, (), |()| (), |(), ()| ()),
            (Some(|()| ()), Form::ENTRIES),
        );
        once.chunked(name, site, false, |c| c.map(|(x, ())| x))
    }
}
