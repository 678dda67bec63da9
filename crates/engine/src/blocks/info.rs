//! What is kept, and how much room it takes.
use super::Blocks;
use crate::{RddId, Site, SparkContext, StorageLevel};

/// One persisted RDD; see [`SparkContext::rdd_storage_info`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RddStorageInfo {
    /// Which RDD.
    pub id: RddId,
    /// The operator that made it.
    pub name: &'static str,
    /// Where that was called.
    pub site: Site,
    /// How it is kept.
    pub level: StorageLevel,
    /// How many partitions it has; none if that is not known before files are listed.
    pub partitions: Option<usize>,
    /// How many of them are kept now, in memory or on disk.
    pub cached_partitions: usize,
    /// Bytes in memory, estimated.
    pub memory_bytes: u64,
    /// Bytes on disk. A block that was read back from there lies in both.
    pub disk_bytes: u64,
}

impl Blocks {
    fn all(&self) -> Vec<RddStorageInfo> {
        let table = self.table();
        let mut all: Vec<_> = table
            .rdds
            .values()
            .map(|kept| {
                let (about, blocks) = (&kept.about, || kept.blocks.values());
                RddStorageInfo {
                    id: about.id,
                    name: about.name,
                    site: about.site,
                    level: about.level,
                    partitions: about.partitions.if_known(),
                    cached_partitions: kept.blocks.len(),
                    memory_bytes: blocks().filter_map(|b| b.memory.as_ref()).map(|(_, bytes)| bytes).sum(),
                    disk_bytes: blocks().filter_map(|b| b.disk.as_ref()).map(|file| file.len).sum(),
                }
            })
            .collect();
        all.sort_by_key(|info| info.id);
        all
    }
}

impl SparkContext {
    /// The RDDs that are persisted and not unpersisted, whether or not anything of them has been computed; by id.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let numbers = sc.range(0..10, 2).cache();
    /// assert_eq!(sc.persistent_rdds(), [numbers.id()]);
    /// numbers.unpersist();
    /// assert!(sc.persistent_rdds().is_empty());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "getPersistentRDDs")]
    pub fn persistent_rdds(&self) -> Vec<RddId> {
        self.inner.blocks.all().into_iter().map(|info| info.id).collect()
    }
    /// The persisted RDDs of which something is kept now, with what it takes of memory and disk; by id.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext, StorageLevel};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let numbers = sc.range(0..1000, 2).cache();
    /// assert!(sc.rdd_storage_info().is_empty(), "nothing is computed yet");
    /// numbers.count()?;
    /// let info = &sc.rdd_storage_info()[0];
    /// assert_eq!((info.id, info.level), (numbers.id(), StorageLevel::MEMORY_ONLY));
    /// assert_eq!((info.partitions, info.cached_partitions), (Some(2), 2));
    /// assert_eq!((info.memory_bytes, info.disk_bytes), (8000, 0));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "getRDDStorageInfo")]
    pub fn rdd_storage_info(&self) -> Vec<RddStorageInfo> {
        let mut all = self.inner.blocks.all();
        all.retain(|info| info.cached_partitions > 0);
        all
    }
}
