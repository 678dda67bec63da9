//! How a program comes by a context that may have a past, or be there already.
use super::{ACTIVE, StreamingContext};
use crate::{
    Error, Result, StreamingState,
    durable::{Expect, Place},
};
use std::sync::Arc;
use winterbourne_base::storage::Storage;

impl StreamingContext {
    /// The stream that keeps its log in `directory`: continued where it ended (or was killed) if there is one, new
    /// otherwise. `build` runs in either case, and makes the graph; it is how closures come back. What comes back with
    /// them, at [`start`](StreamingContext::start): state, unfinished batches, positions, received blocks and what
    /// windows look back on, by operator id ([`uid`](crate::DStream::uid)), under any number of threads. Batches that were
    /// completed move state and windows once more, but repeat no output.
    ///
    /// ```
    /// # use winterbourne_streaming::{StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext, Text};
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-{}", std::process::id()));
    /// # let dir = dir.to_str().unwrap();
    /// # let conf = SparkConf::empty().set_app_name("doc");
    /// let ssc = StreamingContext::get_or_create(dir, || {
    ///     let ssc = StreamingContext::new(&SparkContext::new(conf)?, seconds(1))?;
    ///     ssc.socket_text_stream("localhost", 9999).map(|line: Text| line.len()).print();
    ///     Ok(ssc)
    /// })?;
    /// // ssc.start()?; ssc.await_termination()?;
    /// # Ok::<(), winterbourne_streaming::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `build`. What `directory` has to say comes from `start`, as [`Error::Recovery`].
    pub fn get_or_create(directory: impl Into<String>, build: impl FnOnce() -> Result<Self>) -> Result<Self> {
        Self::continued(Place::Directory(directory.into()), build, Expect::Anything)
    }
    /// As [`get_or_create`](StreamingContext::get_or_create), but if what is in `directory` cannot be read, it is moved to
    /// `directory` with `.unreadable-<n>` behind it and the stream begins anew. A program that would lose something by its
    /// own change is refused all the same.
    ///
    /// # Errors
    /// As `get_or_create`.
    #[doc(alias = "createOnError")]
    pub fn get_or_create_on_error(directory: impl Into<String>, build: impl FnOnce() -> Result<Self>) -> Result<Self> {
        Self::continued(Place::Directory(directory.into()), build, Expect::AnythingReadable)
    }
    /// The stream whose log is in `directory`, and only that: as [`get_or_create`](StreamingContext::get_or_create), but
    /// an empty directory is an error of `start`.
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn from_checkpoint(directory: impl Into<String>, build: impl FnOnce() -> Result<Self>) -> Result<Self> {
        Self::continued(Place::Directory(directory.into()), build, Expect::Log)
    }
    /// As [`get_or_create`](StreamingContext::get_or_create), on a storage instead of a directory: a disk that a test
    /// simulates, say. Nothing locks it; that only one running context uses it is up to whoever calls this.
    ///
    /// ```
    /// # use winterbourne_streaming::{StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// use winterbourne_base::storage::SimStorage;
    /// let disk = SimStorage::new(1);
    /// let ssc = StreamingContext::get_or_create_on(disk.clone(), || {
    ///     let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    ///     let ssc = StreamingContext::new(&sc, seconds(1))?;
    ///     ssc.rate_stream(10).print();
    ///     Ok(ssc)
    /// })?;
    /// ssc.start_stepped()?.step()?;
    /// assert!(disk.syncs() > 0, "the batch is in the log");
    /// # Ok::<(), winterbourne_streaming::Error>(())
    /// ```
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn get_or_create_on(storage: impl Storage, build: impl FnOnce() -> Result<Self>) -> Result<Self> {
        Self::continued(Place::Storage(Arc::new(storage)), build, Expect::Anything)
    }
    fn continued(place: Place, build: impl FnOnce() -> Result<Self>, expect: Expect) -> Result<Self> {
        let ssc = build()?;
        if ssc.state() != StreamingState::Initialized {
            let what = "the function that builds the context must not start or stop it".to_owned();
            return Err(Error::Recovery { directory: place.to_string(), what });
        }
        *ssc.inner.durable.lock().expect("plain values") = (Some(place), expect);
        Ok(ssc)
    }
    /// The context of this process that was started last and still runs, if there is one.
    #[doc(alias = "getActive")]
    pub fn active() -> Option<Self> {
        let last = ACTIVE.lock().expect("plain handle").clone()?;
        let ssc = StreamingContext { inner: last.0.upgrade()?, sc: last.1 };
        (ssc.state() == StreamingState::Active).then_some(ssc)
    }
    /// The [active](StreamingContext::active) context, or else what `build` makes.
    ///
    /// # Errors
    /// Those of `build`.
    #[doc(alias = "getActiveOrCreate")]
    pub fn get_active_or_create(build: impl FnOnce() -> Result<Self>) -> Result<Self> {
        Self::active().map_or_else(build, Ok)
    }
    /// The [active](StreamingContext::active) context, or else [`get_or_create`](StreamingContext::get_or_create).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn get_active_or_create_in(directory: impl Into<String>, build: impl FnOnce() -> Result<Self>) -> Result<Self> {
        Self::active().map_or_else(|| Self::get_or_create(directory, build), Ok)
    }
}
