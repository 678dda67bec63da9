//! What users call.
use super::{How, files::Files, write};
use crate::{
    Data, Level, Rdd, Result, Site, SparkContext, StorageLevel, Wire,
    blocks::{Keeping, RecordCodec},
    lineage::Count,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

impl SparkContext {
    /// Where [`Rdd::checkpoint`] writes: into a new directory, with a name nobody else has, below this one. Instead of
    /// `spark.checkpoint.dir`. Several processes that run one program need a directory that all of them see.
    ///
    /// Nothing is made before the first checkpoint is written, and nothing is removed when the context stops.
    #[doc(alias = "setCheckpointDir")]
    pub fn set_checkpoint_dir(&self, dir: impl AsRef<Path>) {
        self.inner.checkpoints.set_dir(dir.as_ref());
    }
    /// The directory of this context's checkpoints: below the one that was set.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.checkpoint_dir(), None);
    /// sc.set_checkpoint_dir("/tmp/checkpoints"); // made when it is first written to
    /// assert!(sc.checkpoint_dir().is_some_and(|dir| dir.starts_with("/tmp/checkpoints")));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "getCheckpointDir")]
    pub fn checkpoint_dir(&self) -> Option<PathBuf> {
        self.inner.checkpoints.dir()
    }
    /// Reads what [`Rdd::checkpoint`] has written, of this context or of another one, as records of the type they had: the
    /// directory is that of one RDD, as [`Rdd::checkpoint_file`] says it. It has as many partitions as the RDD had, and no
    /// partitioner. Lazy: a directory that is no checkpoint is an error of the action.
    ///
    /// Files are checked against their checksums. Bytes do not say what type they were: one that is not the type that was
    /// written is an error if the bytes do not fit it, and a warning names both.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-checkpoint-file-{}", std::process::id()));
    /// sc.set_checkpoint_dir(&dir);
    /// let squares = sc.range(0..4, 2).map(|x| x * x).checkpoint();
    /// squares.count()?;
    /// let path = squares.checkpoint_file().unwrap();
    /// let again = SparkContext::new(SparkConf::empty().set_app_name("another"))?;
    /// assert_eq!(again.checkpoint_file::<u64>(path).glom().collect()?, [vec![0, 1], vec![4, 9]]);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "checkpointFile")]
    #[track_caller]
    pub fn checkpoint_file<T: Wire>(&self, path: impl AsRef<Path>) -> Rdd<T> {
        let (site, dir) = (Site::caller(), path.as_ref().to_owned());
        // A failure is not remembered: the directory may appear in the meantime.
        let known: Mutex<Option<Arc<Files>>> = Mutex::default();
        let open = Arc::new(move || -> Result<Arc<Files>> {
            let mut known = known.lock().expect("no user code runs under this lock");
            if known.is_none() {
                *known = Some(Arc::new(Files::open::<T>(&dir)?));
            }
            Ok(known.clone().expect("put there above"))
        });
        let count = open.clone();
        let partitions = Count::later(move || Ok(count()?.parts.len()));
        self.leaf("checkpoint_file", site, partitions, move |p, task| open()?.flow(p, RecordCodec::of(), task))
    }
}

impl<T: Data> Rdd<T> {
    /// Marks it to be written to files of the [checkpoint directory](SparkContext::set_checkpoint_dir), after which it is
    /// read from there and its lineage is let go: for long iterations, and for what is dear to compute.
    ///
    /// The first job on it, or on what is made from it, is followed by a second one that writes, so [`cache`](Rdd::cache)
    /// it first, or it is computed twice. Of several marked RDDs above each other, the uppermost is written. It must be
    /// marked before the first job on it; later, this does nothing but warn. Without a directory the action fails with
    /// [`Error::NoCheckpointDir`](crate::Error::NoCheckpointDir); if the files cannot be written, that fails the action
    /// too, and the next one tries again.
    ///
    /// Files are checksummed and synced, and count once all of them are there. They stay when the program ends, unless
    /// `spark.cleaner.referenceTracking.cleanCheckpoints` is true: then they go with the last lineage that reads them.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-checkpoint-{}", std::process::id()));
    /// # let conf = SparkConf::empty().set_app_name("doc").set("spark.checkpoint.dir", dir.to_str().unwrap());
    /// let sc = SparkContext::new(conf)?; // with spark.checkpoint.dir
    /// let mut numbers = sc.range(0..100, 2);
    /// for step in 1..=1200 {
    ///     numbers = numbers.map(|x| x + 1);
    ///     if step % 100 == 0 {
    ///         numbers = numbers.checkpoint();
    ///         assert_eq!(numbers.count()?, 100);
    ///         assert!(numbers.is_checkpointed());
    ///     }
    /// }
    /// assert_eq!(numbers.first()?, 1200);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn checkpoint(self) -> Self
    where
        T: Wire,
    {
        let site = Site::caller();
        if self.sc.inner.checkpoints.dir().is_none() {
            return self.sc.wrong("checkpoint", site, move || crate::Error::NoCheckpointDir { site });
        }
        self.marked(site, "checkpoint", How { in_blocks: false, write: write::to_files })
    }
    /// Marks it to be kept in blocks of this context, on disk where memory does not suffice, after which its lineage is let
    /// go. Faster than [`checkpoint`](Rdd::checkpoint) and without a directory; what is lost cannot be computed again, and
    /// is [`Error::CheckpointBlock`](crate::Error::CheckpointBlock). So is reading it after
    /// [`unpersist`](Rdd::unpersist).
    ///
    /// It is persisted with [`MemoryAndDisk`](crate::MemoryAndDisk), or with the level it has and the disk. As for
    /// `checkpoint`, it must be marked before the first job on it.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext, StorageLevel};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let squares = sc.range(0..4, 2).map(|x| x * x).local_checkpoint();
    /// assert_eq!(squares.count()?, 4);
    /// assert!(squares.is_checkpointed() && squares.checkpoint_file().is_none());
    /// assert_eq!(squares.to_debug_string().lines().count(), 1, "nothing below it is left");
    /// assert_eq!(squares.storage_level(), StorageLevel::MEMORY_AND_DISK);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "localCheckpoint")]
    #[track_caller]
    pub fn local_checkpoint(self) -> Self
    where
        T: Wire,
    {
        let before = self.op.keeping().map(|(keeping, _)| keeping);
        let level = before.map_or(StorageLevel::MEMORY_AND_DISK, |k| k.level.on_disk_too());
        let fresh: Keeping<T> = level.keeping();
        let heap = before.map_or(fresh.heap, |k| k.heap);
        let rdd = self.marked(Site::caller(), "local_checkpoint", How { in_blocks: true, write: write::to_blocks });
        // A mark that came too late changes nothing.
        if rdd.op.marked().is_some() && before.is_none_or(|k| k.level != level || k.codec.is_none()) {
            rdd.op.persist_instead(Keeping { heap, ..fresh });
        }
        rdd
    }
    fn marked(self, site: Site, name: &'static str, how: How<T>) -> Self {
        if self.op.mark(how, site, &self.sc.inner.checkpoints).is_none() {
            let id = self.op.meta.id;
            tracing::warn!("`{name}` at {site} has no effect: a job has run on {id} before");
        }
        self
    }
    /// Whether its checkpoint is there: in files, or in blocks.
    pub fn is_checkpointed(&self) -> bool {
        self.op.marked().is_some_and(|mark| mark.is_done())
    }
    /// The directory of its checkpoint, once that is written; none for [`local_checkpoint`](Rdd::local_checkpoint).
    #[doc(alias = "getCheckpointFile")]
    pub fn checkpoint_file(&self) -> Option<PathBuf> {
        self.op.marked().and_then(|mark| mark.dir())
    }
}
