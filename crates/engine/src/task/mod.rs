//! What a running task knows of itself, and which operator runs on this thread.
mod around;
mod context;

pub(crate) use around::{Around, Left, Spec};
pub use context::{TaskContext, TaskMetrics};

use crate::{Counters, JobId, Result, Site, StageId, accumulator::Updates};
use context::Own;
use std::{
    cell::{Cell, OnceCell, RefCell},
    sync::Arc,
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
    pub(crate) fn spec(&self) -> &Spec {
        &self.around.specs[self.index]
    }
    /// Notes that a source has yielded so many records.
    #[inline]
    pub(crate) fn has_read(&self, records: usize) {
        self.spec().has_read(records);
    }
}

/// The task of a thread.
struct Current {
    task: Task,
    /// Made when first asked for.
    own: OnceCell<Arc<Own>>,
}
thread_local! {
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
    static AT: Cell<Option<Site>> = const { Cell::new(None) };
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
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
    CURRENT.with_borrow(|current| Some((current.as_ref()?.task.clone(), site)))
}

/// Marks the thread as running a task until dropped, a panic included. What the task adds to accumulators is dropped
/// with it; [`leave`](Inside::leave) hands it over.
pub(crate) struct Inside;
impl Inside {
    pub(crate) fn enter(task: Task, site: Site) -> Self {
        CURRENT.set(Some(Current { task, own: OnceCell::new() }));
        IN_TASK.set(true);
        AT.set(Some(site));
        Inside
    }
    /// Runs `f`, which must not enter another task, on the task.
    #[inline]
    pub(crate) fn run<R>(&self, f: impl FnOnce(&Task) -> R) -> R {
        // SUBTLE: borrowed as long as the task runs; what asks for the task meanwhile borrows too.
        CURRENT.with_borrow(|current| f(&current.as_ref().expect("entered above").task))
    }
    /// Ends it; returns the task, and what it has added to accumulators.
    pub(crate) fn leave(self) -> (Updates, Task) {
        std::mem::forget(self);
        IN_TASK.set(false);
        let current = CURRENT.take().expect("entered before");
        (Updates::take(), current.task)
    }
}
impl Drop for Inside {
    fn drop(&mut self) {
        IN_TASK.set(false);
        drop(CURRENT.take());
        drop(Updates::take());
    }
}
