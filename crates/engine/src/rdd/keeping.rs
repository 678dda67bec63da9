//! Saying that keys are spread as before.
use super::{Rdd, Shape, zip::same_count};
use crate::{
    Data, Site,
    lineage::{Dep, Link},
};

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// The same records, declared to be spread by key as those of `parent` are: Spark's `preservesPartitioning`, for
    /// whatever made them (`map`, `map_partitions`, `zip_partitions`, …). Then a join or an aggregation by key needs no
    /// shuffle. If `parent` has no partitioner, neither has the result. Costs nothing for each record.
    ///
    /// It is a promise that nobody checks: if a key was changed or moved to another partition, operators by key find
    /// parts of it in several places.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let visits = sc.range(0..100, 4).map(|x| (x % 10, x)).partition_by(3);
    /// let named = visits.map_partitions(|records| records.map(|(k, v)| (k, v.to_string())));
    /// assert!(named.partitioner().is_none());
    /// let spread = named.with_partitioner_of(&visits);
    /// assert_eq!(spread.group_by_key().to_debug_string().matches("+-").count(), 1); // that of `partition_by`
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// At the action, [`Error::UnequalPartitions`](crate::Error::UnequalPartitions) if this RDD has not as many
    /// partitions as the partitioner.
    #[doc(alias = "preservesPartitioning")]
    #[track_caller]
    pub fn with_partitioner_of<W: Data>(&self, parent: &Rdd<(K, W)>) -> Rdd<(K, V)> {
        let (name, site) = ("with_partitioner_of", Site::caller());
        let Some(partitioner) = parent.partitioner().cloned() else { return self.clone() };
        let (own, meta) = (Link::typed(&self.op), &self.op.meta);
        let counts = vec![meta.partitions.clone(), partitioner.partitions().clone()];
        let shape = Shape {
            name,
            site,
            partitions: same_count("keep the partitioner between", name, site, counts),
            deps: vec![Dep::Narrow(Link::erased(&self.op))],
            partitioner: Some(partitioner),
            depth: meta.depth + 1,
        };
        self.sc.make(shape, move |p, task| own.flow(p, task))
    }
}
