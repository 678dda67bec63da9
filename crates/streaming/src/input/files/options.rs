//! [`FileStreamOptions`]: which files a stream reads; [`FileCounts`]: what became of those it met.
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use winterbourne_base::Duration;

pub(super) type Filter = Box<dyn Fn(&Path) -> bool + Send>;
pub(super) type Counts = Arc<Mutex<FileCounts>>;

/// What became of the files that a file stream met. Each version of a file is counted once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct FileCounts {
    /// Given to a batch.
    pub read: u64,
    /// Left out: in the directory before the stream began.
    pub before: u64,
    /// Left out: older than the stream looks back when it first saw them.
    pub too_old: u64,
    /// Left out: written to, or replaced, after they had been read.
    pub changed: u64,
    /// Left out for now: no file that can be opened, or compressed in an unknown way. Tried again every second, or every
    /// batch if that is longer.
    pub refused: u64,
    /// Gone between the moment they were noticed and the one they were to be read.
    pub vanished: u64,
    /// Left out for now: their modification time is more than the remember window ahead of the batch.
    pub early: u64,
    /// Directories that could not be listed, and globs that no directory matches; each is counted again when it fails after it could be, or for another reason.
    /// Tried again at each batch.
    pub failed_listings: u64,
    /// Left out of their batch, because [`skip_unreadable`](FileStreamOptions::skip_unreadable) asks for it: gone, cut
    /// short, damaged or of a wrong length when the batch was run. They are in `read`, too.
    pub skipped: u64,
}

/// Which files a stream reads; see [`text_file_stream_with`](crate::StreamingContext::text_file_stream_with).
///
/// By default: those that come into the directory after the stream was defined and are not older than
/// `spark.streaming.fileStream.minRememberDuration` then.
#[derive(Default)]
pub struct FileStreamOptions {
    pub(super) filter: Option<Filter>,
    pub(super) existing: Existing,
    pub(super) read_changed: bool,
    pub(super) remember: Option<Duration>,
    pub(super) max_files: Option<usize>,
    pub(super) skip_unreadable: bool,
    pub(super) counts: Counts,
}
/// What becomes of files that are there when the stream begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Existing {
    #[default]
    Leave,
    Read,
    /// They are all there is to read.
    Only,
}
impl FileStreamOptions {
    /// Reads only the files for whose path `keep` says true. Names that begin with `.` or `_` are left out before. It is
    /// asked on the driver, at each listing, for files the stream does not know yet.
    #[must_use]
    pub fn filter(mut self, keep: impl Fn(&Path) -> bool + Send + 'static) -> Self {
        self.filter = Some(Box::new(keep));
        self
    }
    /// Reads also the files that are there when the stream begins, unless they are too old.
    #[doc(alias = "newFilesOnly")]
    #[must_use]
    pub fn existing_too(mut self) -> Self {
        self.existing = Existing::Read;
        self
    }
    /// Reads the files that are there at the first batch, however old, and no others; then the stream ends. The directory
    /// must exist.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.existing = Existing::Only;
        self
    }
    /// Reads a file again, as a whole, when it is replaced or written to. Otherwise that is counted, and not read.
    #[must_use]
    pub fn read_changed(mut self) -> Self {
        self.read_changed = true;
        self
    }
    /// How old a file may be when the stream first sees it, instead of
    /// `spark.streaming.fileStream.minRememberDuration`; rounded up to whole batches.
    #[must_use]
    pub fn remember(mut self, window: Duration) -> Self {
        self.remember = Some(window);
        self
    }
    /// The most files in one batch, instead of `spark.streaming.fileStream.maxFilesPerBatch`; at least one. The others
    /// wait for the next.
    #[must_use]
    pub fn max_files(mut self, n: usize) -> Self {
        self.max_files = Some(n.max(1));
        self
    }
    /// A file of a batch that is gone, or cannot be read to its end, is left out, counted and said in the log; otherwise it
    /// fails the batch. To know that before a record of it is used, files that are packed, or read by a function, are
    /// read once more before the batch; binary records that are not packed only show their length. What was left out
    /// stays so while its batch is tried again; after a restart the files of unfinished batches are looked at anew.
    ///
    /// Trouble that is not the file's, as too many open files, no memory or a disk that does not answer, fails the batch.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{FileStreamOptions, StreamingContext, seconds};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-skip-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// std::fs::write(dir.join("good"), "a line")?;
    /// std::fs::write(dir.join("bad.gz"), "this is not gzip")?;
    /// let options = FileStreamOptions::default().once().skip_unreadable();
    /// let counts = options.counts();
    /// ssc.text_file_stream_with(&dir, options).print();
    /// ssc.start_stepped()?.step()?;
    /// assert_eq!((counts().read, counts().skipped), (2, 1));
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn skip_unreadable(mut self) -> Self {
        self.skip_unreadable = true;
        self
    }
    /// How to learn, from any thread, what became of the files so far.
    pub fn counts(&self) -> impl Fn() -> FileCounts + Clone + Send + Sync + use<> {
        let counts = self.counts.clone();
        move || *counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
