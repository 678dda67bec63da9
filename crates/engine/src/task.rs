//! What a running task knows of itself, and which operator runs on this thread.
use crate::{Counters, Error, JobId, RddId, Result, Site, StageId, accumulator::Updates, pool::Helpers};
use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// One attempt at one partition. Operators get it by reference; sources ask it between chunks whether to go on.
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
    pub(crate) around: Arc<Around>,
}
/// What the tasks of one task set share.
pub(crate) struct Around {
    pub(crate) cancel: Arc<Cancel>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) helpers: Helpers,
    /// Persisted RDDs of which a block was missing, as often as one was.
    pub(crate) missed: Mutex<Vec<RddId>>,
}
impl Task {
    /// Whether to go on. Every source asks this once per chunk; an operator that drops everything returns to nobody,
    /// so it must be the source.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once the job is.
    pub fn check(&self) -> Result<()> {
        let cancel = &self.around.cancel;
        if cancel.is_set() { Err(cancel.error(self.job)) } else { Ok(()) }
    }
    /// A block of this RDD is not there and is computed. What the planner left out because of it may be missing too.
    pub(crate) fn misses(&self, rdd: RddId) {
        self.around.missed.lock().expect("plain list").push(rdd);
    }
    /// The context's counters.
    pub fn counters(&self) -> &Counters {
        &self.around.counters
    }
}

/// Tells the tasks of a job to stop at the next chunk.
#[derive(Default)]
pub(crate) struct Cancel {
    set: AtomicBool,
    reason: OnceLock<String>,
}
impl Cancel {
    /// Because somebody asked.
    pub(crate) fn ask(&self, reason: String) {
        let _ = self.reason.set(reason);
        self.set.store(true, Relaxed);
    }
    /// Because another task of the job failed; that failure is what gets reported.
    pub(crate) fn silently(&self) {
        self.set.store(true, Relaxed);
    }
    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Relaxed)
    }
    pub(crate) fn error(&self, job: JobId) -> Error {
        let reason = self.reason.get().cloned().unwrap_or_else(|| "another of its tasks failed".into());
        Error::Cancelled { job, reason }
    }
}

thread_local! {
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
    static AT: Cell<Option<Site>> = const { Cell::new(None) };
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
/// Marks the thread as running a task until dropped, a panic included. What the task adds to accumulators is dropped
/// with it; [`leave`](Inside::leave) hands it over.
pub(crate) struct Inside;
impl Inside {
    pub(crate) fn enter(site: Site) -> Self {
        IN_TASK.set(true);
        AT.set(Some(site));
        Inside
    }
}
impl Inside {
    /// Ends it; returns what the task has added to accumulators.
    pub(crate) fn leave(self) -> Updates {
        std::mem::forget(self);
        IN_TASK.set(false);
        Updates::take()
    }
}
impl Drop for Inside {
    fn drop(&mut self) {
        IN_TASK.set(false);
        drop(Updates::take());
    }
}
