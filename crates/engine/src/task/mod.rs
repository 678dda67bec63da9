//! What a running task knows of itself, and which operator runs on this thread.
mod around;
mod context;

pub(crate) use around::{Around, Spec};
pub use context::{TaskContext, TaskMetrics};

use crate::{BlockUpdated, Counters, JobId, RddId, Result, Site, SparkListenerEvent, StageId, accumulator::Updates};
use context::Own;
use std::{
    cell::{Cell, OnceCell},
    ptr::NonNull,
    sync::Arc,
};

/// One attempt at one partition. Operators get it by reference; sources ask it between chunks whether to go on.
///
/// ```
/// use winterbourne_engine::{SparkConf, SparkContext, Site, at};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
/// // An operator of one's own that takes long over a chunk asks whether to go on, and says whose closure runs.
/// let site = Site::caller();
/// let sums = sc.range(0..10_000, 2).narrow("sums", site, false, move |_, flow, task| {
///     assert_eq!(task.counters().jobs.load(std::sync::atomic::Ordering::Relaxed), 1);
///     let task = task.clone();
///     Ok(flow.map_chunks(move |chunk| {
///         at(site);
///         chunk.as_slice().chunks(100).take_while(|_| task.check().is_ok()).map(|some| some.iter().sum()).collect::<Vec<u64>>()
///     }))
/// });
/// assert_eq!(sums.collect()?.iter().sum::<u64>(), 49_995_000);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Task {
    /// The job it belongs to.
    pub job: JobId,
    /// The stage it belongs to.
    pub stage: StageId,
    /// Its partition.
    pub partition: usize,
    /// Which attempt this is, from one.
    pub attempt: u32,
    /// Which of `around`'s tasks.
    pub(crate) index: usize,
    pub(crate) around: Arc<Around>,
}
impl Task {
    /// Whether to go on. Every source asks this once per chunk; an operator that drops everything returns to nobody,
    /// so it must be the source.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) once the job is, [`Error::TaskKilled`](crate::Error::TaskKilled)
    /// once the attempt is.
    #[inline]
    pub fn check(&self) -> Result<()> {
        let cancel = &self.around.job.cancel;
        if !cancel.is_set() {
            return Ok(());
        }
        cancel.error(self.job, self.spec().attempt_id()).map_or(Ok(()), Err)
    }
    /// The context's counters.
    pub fn counters(&self) -> &Counters {
        &self.around.counters
    }
    /// A block of this RDD is not there and is computed.
    pub(crate) fn misses(&self, rdd: RddId) {
        self.around.misses(rdd);
    }
    /// Tells listeners that a partition was put into the cache.
    pub(crate) fn block_updated(&self, rdd: RddId, partition: usize) {
        if let Some(bus) = &self.around.job.bus {
            bus.post(|| SparkListenerEvent::BlockUpdated(BlockUpdated { rdd, partition }));
        }
    }
    pub(crate) fn spec(&self) -> &Spec {
        &self.around.specs[self.index]
    }
    /// Notes that a source has yielded so many records.
    #[inline]
    pub(crate) fn has_read(&self, records: usize) {
        self.spec().has_read(records);
    }
}

/// A task at work on a thread.
pub(crate) struct Current {
    pub(crate) task: Task,
    /// Made when first asked for.
    own: OnceCell<Arc<Own>>,
}
impl Current {
    pub(crate) fn new(task: Task) -> Self {
        Current { task, own: OnceCell::new() }
    }
    /// For one more attempt.
    pub(crate) fn again(&mut self) {
        self.task.attempt += 1;
        self.own = OnceCell::new();
    }
}
thread_local! {
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
    static AT: Cell<Option<Site>> = const { Cell::new(None) };
    /// A pointer, because moving a task in and out of a value with a destructor costs a tenth of an empty job.
    static CURRENT: Cell<Option<NonNull<Current>>> = const { Cell::new(None) };
}

/// Shows the task that this thread runs to `f`.
fn with_current<R>(f: impl FnOnce(Option<&Current>) -> R) -> R {
    // SAFETY: `Inside::run` has put the pointer there on this thread, to a value that it borrows, and takes it away
    // before that borrow ends, a panic included. `f` runs meanwhile, and cannot keep the reference.
    f(CURRENT.get().map(|current| unsafe { current.as_ref() }))
}

/// Says which operator's closure runs now on this thread: after a panic, it is the one that panicked. Operators call it
/// once per chunk.
#[inline]
pub fn at(site: Site) {
    AT.set(Some(site));
}
/// The operator that ran last on this thread.
pub(crate) fn current() -> Option<Site> {
    AT.get()
}
/// The operator whose task this thread runs, if it runs one.
pub(crate) fn inside() -> Option<Site> {
    if IN_TASK.get() { AT.get() } else { None }
}
/// Whether this thread runs a task.
#[inline]
pub(crate) fn is_inside() -> bool {
    IN_TASK.get()
}
/// The task that this thread runs, with its operator: for threads that help it.
pub(crate) fn of_thread() -> Option<(Task, Site)> {
    let site = inside()?;
    with_current(|current| Some((current?.task.clone(), site)))
}

/// Marks the thread as running a task until dropped, a panic included. What the task adds to accumulators meanwhile and
/// nobody has taken is dropped with it.
pub(crate) struct Inside(());
impl Inside {
    /// Runs `f` inside a task; returns what it has added to accumulators too.
    pub(crate) fn run<R>(current: &Current, site: Site, f: impl FnOnce() -> R) -> (R, Updates) {
        CURRENT.set(Some(NonNull::from(current)));
        IN_TASK.set(true);
        AT.set(Some(site));
        let marked = Inside(());
        let result = f();
        std::mem::forget(marked);
        Inside::end();
        (result, Updates::take())
    }
    fn end() {
        IN_TASK.set(false);
        CURRENT.set(None);
    }
}
impl Drop for Inside {
    fn drop(&mut self) {
        Inside::end();
        drop(Updates::take());
    }
}
