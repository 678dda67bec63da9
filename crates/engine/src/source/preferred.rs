//! Collections whose elements say where they would like to be computed.
use crate::{
    Data, Flow, Rdd, Site, SparkContext,
    lineage::{Count, Link, Node},
};
use std::sync::Arc;

impl SparkContext {
    /// A collection as an RDD of one partition per element, each with the hosts on which it is best computed. On one
    /// machine all tasks run where they are; the hosts are kept and shown.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let blocks = sc.make_rdd([("a", vec!["host1", "host2"]), ("b", vec![])]);
    /// assert_eq!(blocks.glom().collect()?, [["a"], ["b"]]);
    /// assert_eq!(blocks.preferred_locations(0), ["host1", "host2"]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "makeRDD")]
    #[track_caller]
    pub fn make_rdd<T: Data, H: Into<String>>(
        &self,
        items: impl IntoIterator<Item = (T, impl IntoIterator<Item = H>)>,
    ) -> Rdd<T> {
        let pairs = items.into_iter().map(|(x, hosts)| (Arc::new(vec![x]), hosts.into_iter().map(H::into).collect()));
        let (all, hosts): (Vec<Arc<Vec<T>>>, Vec<Vec<String>>) = pairs.unzip();
        let rdd = self.leaf("make_rdd", Site::caller(), Count::known(all.len()), move |p, task| {
            Ok(Flow::source(vec![(all[p].clone(), 0..1)], task))
        });
        let _ = rdd.op.meta.hosts.set(hosts);
        rdd
    }
}

impl<T: Data> Rdd<T> {
    /// The hosts on which a partition is best computed: its own, or those of the RDD from which it is made partition by
    /// partition. Empty where nobody said so.
    #[doc(alias = "preferredLocations")]
    pub fn preferred_locations(&self, partition: usize) -> Vec<String> {
        let mut node: Link<dyn Node> = Link::erased(&self.op);
        loop {
            let meta = node.meta();
            if let Some(hosts) = meta.hosts.get() {
                return hosts.get(partition).cloned().unwrap_or_default();
            }
            match node.narrow().into_iter().next() {
                Some(parent) if parent.meta().partitions.same(&meta.partitions) => node = parent,
                _ => return Vec::new(),
            }
        }
    }
}
