//! [`SparkContext`]: configuration, ids in program order, the pool, the block store.
use crate::{
    Counters, Error, JobId, JobScope, Master, Result, Site,
    accumulator::Registry,
    backend::Backend,
    blocks::Blocks,
    checkpoint::Checkpoints,
    fair::{Shares, read_allocations},
    pool::Pool,
    task::Cancel,
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    marker::PhantomData,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering::*},
    },
};
use winterbourne_base::{SparkConf, conf::keys, memory};

#[derive(Default)]
pub(crate) struct Ids {
    pub(crate) rdds: AtomicU64,
    pub(crate) shuffles: AtomicU64,
    pub(crate) jobs: AtomicU64,
    pub(crate) stages: AtomicU64,
    pub(crate) accumulators: AtomicU64,
    /// Samples that were drawn without a seed of their own.
    pub(crate) seeds: AtomicU64,
}

struct RunningJob {
    cancel: Arc<Cancel>,
    group: Option<Arc<str>>,
}
/// The jobs that run now, and the groups that may not run any.
#[derive(Default)]
pub(crate) struct Running(Mutex<Lists>);
#[derive(Default)]
struct Lists {
    jobs: BTreeMap<JobId, RunningJob>,
    /// With the reason.
    closed: BTreeMap<String, String>,
}
impl Running {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().expect("no user code runs under this lock")
    }
    pub(crate) fn enter(&self, job: JobId, group: Option<Arc<str>>) -> Entered<'_> {
        let cancel = Arc::<Cancel>::default();
        let mut lists = self.lists();
        if let Some(reason) = group.as_deref().and_then(|g| lists.closed.get(g)) {
            cancel.ask(reason.clone());
        }
        lists.jobs.insert(job, RunningJob { cancel: cancel.clone(), group });
        Entered { list: self, job, cancel }
    }
    fn cancel(&self, reason: &str, which: impl Fn(&JobId, &RunningJob) -> bool) {
        let lists = self.lists();
        lists.jobs.iter().filter(|(id, job)| which(id, job)).for_each(|(_, job)| job.cancel.ask(reason.to_owned()));
    }
}

/// One entry of [`Running`], taken out when dropped.
pub(crate) struct Entered<'a> {
    list: &'a Running,
    job: JobId,
    pub(crate) cancel: Arc<Cancel>,
}
impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.list.lists().jobs.remove(&self.job);
    }
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
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// Whether the files of a checkpoint go with the last lineage that reads them.
    pub(crate) clean_checkpoints: bool,
    pub(crate) counters: Arc<Counters>,
    pub(crate) accumulators: Arc<Registry>,
    pub(crate) ids: Ids,
    pub(crate) running: Running,
    pub(crate) backend: Option<Arc<dyn Backend>>,
    stopped: AtomicBool,
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
type DriverOnly = PhantomData<NotInsideRecordClosures>;
/// `Send`, not `Sync`.
struct NotInsideRecordClosures(Cell<()>);

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
}

impl SparkContext {
    /// A context of this configuration. `spark.app.name` must be set; `spark.master` is `local[*]` unless set.
    ///
    /// # Errors
    /// [`Error::Conf`] for an unknown key or a value that cannot be used, [`Error::Master`] for an unknown master,
    /// [`Error::Threads`] if the system gives no thread.
    pub fn new(conf: impl Into<SparkConf>) -> Result<Self> {
        Self::on(conf.into(), None)
    }
    /// The same, as one lane of several that run one program; see [`backend`](crate::backend).
    ///
    /// # Errors
    /// As [`new`](SparkContext::new).
    pub fn with_backend(conf: impl Into<SparkConf>, backend: Arc<dyn Backend>) -> Result<Self> {
        Self::on(conf.into(), Some(backend))
    }
    fn on(conf: SparkConf, backend: Option<Arc<dyn Backend>>) -> Result<Self> {
        conf.validate()?;
        for (key, why) in conf.without_effect() {
            tracing::warn!("the setting {key} has no effect: {why}");
        }
        memory::keep_freed(conf.value(keys::MEMORY_KEEP_FREED)?);
        let master: Master = conf.value(keys::MASTER)?.parse()?;
        let shares = match conf.value(keys::SCHEDULER_MODE)?.as_str() {
            "FAIR" => {
                let file = conf.value(keys::SCHEDULER_ALLOCATION_FILE)?;
                Shares::fair(file.map_or(Ok(Vec::new()), |f| read_allocations(Path::new(&f)))?)
            }
            _ => Shares::fifo(),
        };
        let (limit, compress) = (conf.value(keys::MEMORY_STORAGE_SIZE)?.map(|b| b.0), conf.value(keys::RDD_COMPRESS)?);
        let counters: Arc<Counters> = Arc::default();
        // Spark takes a list; one directory is enough for one machine's threads.
        let local_dir = conf.value(keys::LOCAL_DIR)?;
        let local_dir = local_dir.as_deref().and_then(|dirs| dirs.split(',').map(str::trim).find(|d| !d.is_empty()));
        let local_dir = local_dir.map_or_else(std::env::temp_dir, Into::into);
        let inner = Inner {
            app_name: conf.value(keys::APP_NAME)?.ok_or(Error::NoAppName)?,
            default_parallelism: conf.value(keys::DEFAULT_PARALLELISM)?,
            limit_initial: conf.value(keys::LIMIT_INITIAL_PARTITIONS)?.max(1),
            limit_scale_up: conf.value(keys::LIMIT_SCALE_UP)?.max(2),
            master,
            pool: Pool::new(master.threads, shares.is_fair()).map_err(Error::Threads)?,
            shares,
            blocks: Arc::new(Blocks::new(limit, compress, local_dir, counters.clone())),
            checkpoints: Arc::new(Checkpoints::new(conf.value(keys::CHECKPOINT_DIR)?)),
            clean_checkpoints: conf.value(keys::CLEAN_CHECKPOINTS)?,
            counters,
            accumulators: Arc::default(),
            ids: Ids::default(),
            running: Running::default(),
            backend,
            stopped: AtomicBool::new(false),
            conf,
        };
        Ok(SparkContext { inner: Arc::new(inner), driver_only: PhantomData })
    }
    /// The configuration it was made with.
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
        }
    }
    /// Tells every running job to stop at its next chunk. They fail with [`Error::Cancelled`].
    #[doc(alias = "cancelAllJobs")]
    #[track_caller]
    pub fn cancel_all_jobs(&self) {
        self.canceller().cancel_all_jobs();
    }
    /// A handle that cancels jobs of this context from any thread.
    ///
    /// ```
    /// use winterbourne_engine::{Error, SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let stop = sc.canceller();
    /// // An endless job, cancelled by its own first record.
    /// let endless = sc.range(0..u64::MAX, 1).map(move |x| { stop.cancel_all_jobs(); x });
    /// assert!(matches!(endless.count(), Err(Error::Cancelled { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn canceller(&self) -> Canceller {
        Canceller { inner: Arc::downgrade(&self.inner), site: Site::caller() }
    }
    /// Names the jobs that this thread runs while the guard lives, so that they can be cancelled together
    /// ([`Canceller::cancel_job_group`]). Guards nest. Spark's `setJobGroup` as a scope: nothing is inherited by threads.
    ///
    /// ```
    /// use winterbourne_engine::{Error, SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let stop = sc.canceller();
    /// let group = sc.job_group("reports");
    /// let endless = sc.range(0..u64::MAX, 1).map(move |x| { stop.cancel_job_group("reports"); x });
    /// assert!(matches!(endless.count(), Err(Error::Cancelled { .. })));
    /// drop(group);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "setJobGroup")]
    pub fn job_group(&self, name: &str) -> JobScope {
        JobScope::enter(|p| p.group = Some(name.into()))
    }
    /// Puts the jobs that this thread starts while the guard lives into a scheduler pool: under
    /// `spark.scheduler.mode` FAIR, idle threads are shared between pools by weight and minimum share
    /// ([`SchedulerPool`](crate::SchedulerPool), from `spark.scheduler.allocation.file`); under FIFO it means nothing.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// let conf = SparkConf::empty().set_app_name("doc").set("spark.scheduler.mode", "FAIR");
    /// let sc = SparkContext::new(conf)?;
    /// let reports = sc.scheduler_pool("reports");
    /// assert_eq!(sc.range(0..10, 2).count()?, 10); // a job of the pool `reports`
    /// drop(reports);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn scheduler_pool(&self, name: &str) -> JobScope {
        JobScope::enter(|p| p.pool = Some(name.into()))
    }
    /// Cancels what runs, ends the threads and drops what is cached; later actions fail with [`Error::Stopped`]. Calling it again does nothing.
    #[track_caller]
    pub fn stop(&self) {
        if !self.inner.stopped.swap(true, SeqCst) {
            self.inner.running.cancel(&format!("the SparkContext was stopped at {}", Site::caller()), |_, _| true);
            self.inner.pool.close();
            self.inner.blocks.close();
        }
    }
    /// Whether [`stop`](SparkContext::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Relaxed)
    }
    /// Whether both are handles of one context.
    pub fn same(&self, other: &SparkContext) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// Cancels jobs of a context that may be gone; made by [`SparkContext::canceller`].
#[derive(Clone)]
pub struct Canceller {
    inner: std::sync::Weak<Inner>,
    site: Site,
}
impl Canceller {
    /// Tells every running job to stop at its next chunk.
    pub fn cancel_all_jobs(&self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.running.cancel(&format!("cancel_all_jobs through the handle made at {}", self.site), |_, _| true);
        }
    }
    /// Tells one job to stop at its next chunk.
    pub fn cancel_job(&self, job: JobId) {
        if let Some(inner) = self.inner.upgrade() {
            inner.running.cancel(&format!("cancel_job through the handle made at {}", self.site), |id, _| *id == job);
        }
    }
    /// Tells the running jobs of one group to stop at their next chunk.
    pub fn cancel_job_group(&self, group: &str) {
        if let Some(inner) = self.inner.upgrade() {
            let reason = format!("cancel_job_group(\"{group}\") through the handle made at {}", self.site);
            inner.running.cancel(&reason, |_, job| job.group.as_deref() == Some(group));
        }
    }
    /// Tells the running jobs of one group to stop, and refuses those that begin later, until
    /// [`reopen_job_group`](Canceller::reopen_job_group): for a group whose owner starts one job after another.
    #[doc(alias = "cancelJobGroupAndFutureJobs")]
    pub fn close_job_group(&self, group: &str) {
        if let Some(inner) = self.inner.upgrade() {
            let reason = format!("close_job_group(\"{group}\") through the handle made at {}", self.site);
            inner.running.lists().closed.insert(group.to_owned(), reason);
        }
        self.cancel_job_group(group);
    }
    /// Lets the jobs of a group run again.
    pub fn reopen_job_group(&self, group: &str) {
        if let Some(inner) = self.inner.upgrade() {
            inner.running.lists().closed.remove(group);
        }
    }
}
