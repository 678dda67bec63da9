//! Keeping computed partitions: `cache`, `persist`, `unpersist`.
use super::Rdd;
use crate::{Data, Error, Level, MemoryOnly, Site, SparkListenerEvent, StorageLevel, blocks::Keeping};

impl<T: Data> Rdd<T> {
    /// Keeps computed partitions in memory until [`unpersist`](Rdd::unpersist) or until the last handle and the last
    /// lineage that reads it are gone: [`persist`](Rdd::persist) with [`MemoryOnly`].
    ///
    /// Lines of a text file are slices of read buffers. Where a block of lines holds buffers more than twice as long as
    /// its lines, they are copied out; inside of other records that is done only by levels that serialise.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let squares = sc.range(0..100, 2).map(|x| x * x).cache();
    /// assert_eq!(squares.count()?, 100); // computes and keeps
    /// assert_eq!(squares.count()?, 100); // reads
    /// assert_eq!(sc.counts().cached_blocks, 2);
    /// squares.unpersist();
    /// assert_eq!(sc.counts().cached_blocks, 0);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cache(self) -> Self {
        self.persist_at(Site::caller(), MemoryOnly)
    }
    /// Keeps computed partitions as `level` says, until [`unpersist`](Rdd::unpersist) or until the last handle and the
    /// last lineage that reads it are gone. Lazy: a partition is kept when a job first computes it.
    ///
    /// [`MemoryOnly`] takes any record; levels that serialise want `Serialize` and `Deserialize`. When
    /// the memory budget (`spark.memory.size`) is used up, blocks that were not used for longest make room for others, never
    /// for one of their own RDD: to disk, where the level has one, and else they are computed again. What is lost on disk is computed again
    /// too, with a warning. Records that come back from bytes are what serde makes of them: skipped fields are defaults.
    ///
    /// An RDD has one level. Asking for the same again changes nothing; another one is [`Error::StorageLevel`] at the
    /// action, unless it was unpersisted in between.
    ///
    /// ```
    /// use winterbourne_engine::{DiskOnly, MemoryAndDisk, SparkConf, SparkContext, StorageLevel};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let lines = sc.parallelize(["a".to_string(), "b".to_string()], 2).persist(DiskOnly);
    /// assert_eq!(lines.count()?, 2);
    /// assert_eq!(lines.storage_level(), StorageLevel::DISK_ONLY);
    /// assert!(sc.rdd_storage_info()[0].disk_bytes > 0);
    /// let error = lines.clone().persist(MemoryAndDisk).count().unwrap_err();
    /// assert!(error.to_string().starts_with("Cannot change storage level"));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn persist(self, level: impl Level<T>) -> Self {
        self.persist_at(Site::caller(), level)
    }
    /// [`persist`](Rdd::persist) on behalf of `site`.
    pub fn persist_at(self, site: Site, level: impl Level<T>) -> Self {
        let keeping = level.keeping();
        let (rdd, asked) = (self.op.meta.id, keeping.level);
        match self.op.persist(keeping) {
            Ok(()) => self,
            Err(has) => self.sc.wrong("persist", site, move || Error::StorageLevel { rdd, site, has, asked }),
        }
    }
    /// As [`cache`](Rdd::cache), and never evicted: for what cannot be computed again. What it takes is missing for
    /// others.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let numbers = sc.range(0..10, 2).pinned();
    /// assert_eq!(numbers.count()?, 10);
    /// assert!(numbers.is_cached());
    /// numbers.unpersist();
    /// assert!(!numbers.is_cached());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn pinned(self) -> Self {
        let keeping = MemoryOnly.keeping();
        self.persist_at(Site::caller(), Pinned(keeping))
    }
    /// How computed partitions are kept; [`StorageLevel::NONE`] if they are not.
    #[doc(alias = "getStorageLevel")]
    pub fn storage_level(&self) -> StorageLevel {
        self.op.keeping().map_or(StorageLevel::NONE, |(keeping, _)| keeping.level)
    }
    /// Whether computed partitions are kept.
    pub fn is_cached(&self) -> bool {
        self.op.keeping().is_some()
    }
    /// Drops kept partitions and keeps no more. When it returns they are gone, except for what tasks read now; Spark's
    /// `blocking` has no counterpart.
    pub fn unpersist(&self) {
        self.op.unpersist();
        self.sc.inner.bus.post(|| SparkListenerEvent::UnpersistRdd(self.op.meta.id));
    }
}

struct Pinned<T: Data>(Keeping<T>);
impl<T: Data> Level<T> for Pinned<T> {
    fn keeping(self) -> Keeping<T> {
        Keeping { pinned: true, ..self.0 }
    }
}
