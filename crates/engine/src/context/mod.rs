//! [`SparkContext`]: configuration, ids in program order, the pool, the block store.
mod active;
mod builder;
mod cancel;
mod files;
mod status;

pub use builder::ContextBuilder;
pub use cancel::Canceller;
pub(crate) use files::Files;
pub use files::SparkFiles;
pub use status::{SparkJobInfo, SparkStageInfo, StatusTracker};

use crate::{
    ApplicationEnd, Counters, Master, Result, Site, SparkListenerEvent, accumulator::Registry, backend::Backend,
    barrier::Barriers, blocks::Blocks, checkpoint::Checkpoints, fair::Shares, future::Actions, job::Running,
    listener::Bus, memory::Memory, pool::Pool,
};
use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::*},
    },
};
use winterbourne_base::{SparkConf, Time};

#[derive(Default)]
pub(crate) struct Ids {
    pub(crate) rdds: AtomicU64,
    pub(crate) shuffles: AtomicU64,
    pub(crate) jobs: AtomicU64,
    pub(crate) stages: AtomicU64,
    pub(crate) accumulators: AtomicU64,
    /// Samples that were drawn without a seed of their own.
    pub(crate) seeds: AtomicU64,
    pub(crate) broadcasts: AtomicU64,
}

pub(crate) struct Inner {
    pub(crate) conf: SparkConf,
    pub(crate) app_name: String,
    pub(crate) master: Master,
    pub(crate) default_parallelism: Option<usize>,
    pub(crate) limit_initial: usize,
    pub(crate) limit_scale_up: usize,
    pub(crate) pool: Pool,
    pub(crate) shares: Shares,
    pub(crate) blocks: Arc<Blocks>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// Whether the files of a checkpoint go with the last lineage that reads them.
    pub(crate) clean_checkpoints: bool,
    pub(crate) counters: Arc<Counters>,
    pub(crate) accumulators: Arc<Registry>,
    pub(crate) ids: Ids,
    pub(crate) running: Running,
    pub(crate) backend: Option<Arc<dyn Backend>>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) files: Files,
    /// Threads of asynchronous actions.
    pub(crate) actions: Actions,
    pub(crate) barriers: Arc<Barriers>,
    application_id: String,
    started: Time,
    stopped: AtomicBool,
}
impl Inner {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }
    fn end(&self) {
        self.pool.close();
        self.blocks.close();
        self.bus.post(|| SparkListenerEvent::ApplicationEnd(ApplicationEnd { time: self.bus.clock.now() }));
        self.bus.close();
    }
}
impl Drop for Inner {
    fn drop(&mut self) {
        if !self.is_stopped() {
            self.end();
        }
    }
}

/// The entry point of a batch program: makes RDDs and runs their jobs.
///
/// A handle, cheap to clone; the threads end with the last one, or with [`stop`](SparkContext::stop). Several contexts
/// may live in one process. `Send` but not `Sync`, as [`Rdd`](crate::Rdd): a driver closure may own one, a record
/// closure cannot capture one, and rustc says so.
///
/// ```
/// use winterbourne_engine::{SparkConf, SparkContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("first").set_master("local[2]"))?;
/// let small: Vec<u64> = sc.range(0..100, 4).map(|x| x * x).filter(|x| *x < 10).collect()?;
/// assert_eq!(small, [0, 1, 4, 9]);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct SparkContext {
    pub(crate) inner: Arc<Inner>,
    driver_only: DriverOnly,
}
/// Keeps contexts and RDDs out of record closures; named so that rustc's message says why.
type DriverOnly = PhantomData<dyn NotInsideRecordClosures>;
/// `Send`, not `Sync`.
trait NotInsideRecordClosures: Send {}

/// How many jobs and tasks a context has started; see [`SparkContext::counts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Jobs started.
    pub jobs: u64,
    /// Tasks started, later attempts not included.
    pub tasks: u64,
    /// Later attempts.
    pub task_retries: u64,
    /// Lines in which bytes that are not UTF-8 were replaced.
    pub invalid_utf8: u64,
    /// Records that `try_` operators skipped.
    pub skipped_records: u64,
    /// Cached blocks that exist now, in memory or on disk.
    pub cached_blocks: usize,
    /// Cached blocks that left memory to make room for others, to disk or for good.
    pub evicted_blocks: u64,
    /// Cached blocks on disk that could not be read any more; they were computed again.
    pub lost_blocks: u64,
    /// Events that no listener was told of, because too many waited.
    pub dropped_events: u64,
}

impl SparkContext {
    /// A context of this configuration. `spark.app.name` must be set; `spark.master` is `local[*]` unless set.
    ///
    /// # Errors
    /// [`Error::Conf`](crate::Error::Conf) for an unknown key or a value that cannot be used,
    /// [`Error::Master`](crate::Error::Master) for an unknown master, [`Error::Threads`](crate::Error::Threads) if the
    /// system gives no thread.
    pub fn new(conf: impl Into<SparkConf>) -> Result<Self> {
        ContextBuilder::new(conf).start()
    }
    /// The same, as one lane of several that run one program; see [`backend`](crate::backend).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use winterbourne_engine::{Result, SparkConf, SparkContext, backend::{Backend, Block, Label}};
    /// # struct Alone;
    /// # impl Backend for Alone {
    /// #     fn lanes(&self) -> usize { 1 }
    /// #     fn lane(&self) -> usize { 0 }
    /// #     fn gather(&self, _: &Label, mine: Result<Vec<(usize, Block)>>) -> Result<Vec<(usize, Block)>> { mine }
    /// #     fn agree(&self, _: &Label, mine: bool) -> Result<bool> { Ok(mine) }
    /// # }
    /// // `Alone` is the only lane there is; its code is at `ContextBuilder::backend`.
    /// let sc = SparkContext::with_backend(SparkConf::empty().set_app_name("doc"), Arc::new(Alone))?;
    /// assert_eq!(sc.range(0..10, 2).count()?, 10);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](SparkContext::new).
    pub fn with_backend(conf: impl Into<SparkConf>, backend: Arc<dyn Backend>) -> Result<Self> {
        ContextBuilder::new(conf).backend(backend).start()
    }
    /// How many lanes run the program, this one among them: one, unless it has a [`backend`](crate::backend).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.lanes(), 1);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn lanes(&self) -> usize {
        self.inner.backend.as_ref().map_or(1, |backend| backend.lanes())
    }
    /// The configuration it was made with.
    ///
    /// ```
    /// use winterbourne_engine::{SparkConf, SparkContext};
    /// let conf = SparkConf::empty().set_app_name("report").set_master("local[3]");
    /// let sc = SparkContext::new(conf)?;
    /// assert_eq!(sc.conf().get("spark.app.name"), Some("report"));
    /// assert_eq!((sc.app_name(), sc.master().threads), ("report", 3));
    /// assert_eq!((sc.default_parallelism(), sc.default_min_partitions()), (3, 2));
    /// let again = sc.clone();
    /// assert!(again.same(&sc));
    /// sc.range(0..10, 4).count()?;
    /// assert_eq!((sc.counts().jobs, sc.counts().tasks), (1, 4));
    /// sc.stop();
    /// assert!(again.is_stopped() && again.range(0..10, 2).count().is_err());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn conf(&self) -> &SparkConf {
        &self.inner.conf
    }
    /// `spark.app.name`.
    pub fn app_name(&self) -> &str {
        &self.inner.app_name
    }
    /// Threads and attempts, from `spark.master`.
    pub fn master(&self) -> Master {
        self.inner.master
    }
    /// How many partitions `parallelize` and `range` callers usually want, and streams shuffle into:
    /// `spark.default.parallelism`, or else the number of threads.
    pub fn default_parallelism(&self) -> usize {
        self.inner.default_parallelism.unwrap_or(self.inner.master.threads)
    }
    /// The smaller of [`default_parallelism`](SparkContext::default_parallelism) and two: Spark's default for files.
    pub fn default_min_partitions(&self) -> usize {
        self.default_parallelism().min(2)
    }
    /// What was done and what was tolerated so far.
    pub fn counts(&self) -> Counts {
        let c = &self.inner.counters;
        Counts {
            jobs: c.jobs.load(Relaxed),
            tasks: c.tasks.load(Relaxed),
            task_retries: c.task_retries.load(Relaxed),
            invalid_utf8: c.invalid_utf8.load(Relaxed),
            skipped_records: c.skipped_records.load(Relaxed),
            cached_blocks: self.inner.blocks.count(),
            evicted_blocks: c.evicted_blocks.load(Relaxed),
            lost_blocks: c.lost_blocks.load(Relaxed),
            dropped_events: self.inner.bus.dropped(),
        }
    }
    /// Cancels what runs, waits for asynchronous actions, ends the threads, drops what is cached, tells listeners what waits and that the
    /// context has ended, and removes its files; later actions fail with [`Error::Stopped`](crate::Error::Stopped).
    /// Calling it again does nothing.
    #[track_caller]
    pub fn stop(&self) {
        if !self.inner.stopped.swap(true, SeqCst) {
            let reason = format!("SparkContext was shut down: it was stopped at {}", Site::caller());
            self.inner.running.cancel(&reason, |_| true);
            self.inner.actions.join();
            self.inner.end();
            self.inner.files.remove();
        }
    }
    /// Whether [`stop`](SparkContext::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.inner.is_stopped()
    }
    /// Whether both are handles of one context.
    pub fn same(&self, other: &SparkContext) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}
