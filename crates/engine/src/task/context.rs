//! [`TaskContext`]: what the user's closures may ask about the task they run in, and what is called when it ends.
//! A task that nobody asks pays nothing.
use super::{Task, with_current};
use crate::{BoxError, Error, JobId, Result, StageId, guard_driver};
use std::sync::{Arc, Mutex, MutexGuard};

type OnEnd = Box<dyn FnOnce(&TaskContext) -> Result<(), BoxError> + Send>;
type OnFailure = Box<dyn FnOnce(&TaskContext, &str) -> Result<(), BoxError> + Send>;

/// What one attempt's contexts share.
pub(crate) struct Own {
    id: u64,
    state: Mutex<State>,
}
#[derive(Default)]
struct State {
    ended: bool,
    failure: Option<String>,
    on_end: Vec<OnEnd>,
    on_failure: Vec<OnFailure>,
}
impl Own {
    pub(super) fn new(id: u64) -> Self {
        Own { id, state: Mutex::default() }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no user code runs under this lock")
    }
    /// Calls the listeners of an attempt that ended, those of a failure first, the youngest first; all of them. What
    /// becomes of the attempt.
    pub(crate) fn end<R>(self: Arc<Self>, task: &Task, result: Result<R>) -> Result<R> {
        let context = TaskContext { task: task.clone(), own: self };
        let mut met = Vec::new();
        if let Err(e) = &result {
            let text = e.to_string();
            context.own.state().failure = Some(text.clone());
            while let Some(listener) = { context.own.state().on_failure.pop() } {
                met.extend(guard_driver(|| listener(&context, &text)).err());
            }
        }
        context.own.state().ended = true;
        while let Some(listener) = { context.own.state().on_end.pop() } {
            met.extend(guard_driver(|| listener(&context)).err());
        }
        if met.is_empty() {
            return result;
        }
        Err(Error::TaskListener {
            met: met.iter().map(Error::to_string).collect::<Vec<_>>().join("; "),
            previous: result.err().map(Box::new),
        })
    }
}

/// What an attempt has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TaskMetrics {
    /// Records that its sources (collections, files, shuffles, the cache) have yielded.
    pub records_read: u64,
}

/// What a closure may ask about the task it runs in. [`get`](TaskContext::get) it inside the closure; it is cheap to
/// clone, and does not keep the context of the program alive.
///
/// ```
/// use winterbourne_engine::{SparkConf, SparkContext, TaskContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
/// let of = sc.range(0..4, 4).map(|x| {
///     let task = TaskContext::get().expect("inside a task");
///     (x, task.partition_id(), task.num_partitions())
/// });
/// assert_eq!(of.collect()?, [(0, 0, 4), (1, 1, 4), (2, 2, 4), (3, 3, 4)]);
/// assert!(TaskContext::get().is_none(), "the driver runs no task");
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
///
/// ```
/// use winterbourne_engine::{SparkConf, SparkContext, TaskContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let tenant = sc.set_local_property("tenant", "blue");
/// let told = sc.range(0..10, 1).map_partitions(|records| {
///     let task = TaskContext::get().expect("inside a task");
///     task.add_task_failure_listener(|_, error| Ok(println!("failed: {error}")));
///     let read = records.count();
///     assert_eq!(task.task_metrics().records_read, 10);
///     assert!(!task.is_completed() && !task.is_failed() && !task.is_interrupted());
///     task.check().expect("nobody has cancelled it");
///     let which = (task.stage_attempt_number(), task.attempt_number(), task.cpus());
///     let ids = (task.job_id(), task.stage_id(), task.task_attempt_id());
///     assert_eq!(TaskContext::current_partition_id(), 0);
///     [format!("{read} {which:?} {ids:?} {:?}", task.local_property("tenant"))]
/// });
/// assert_eq!(told.collect()?, ["10 (0, 0, 1) (JobId(0), StageId(0), 0) Some(\"blue\")"]);
/// # drop(tenant);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct TaskContext {
    task: Task,
    own: Arc<Own>,
}
impl TaskContext {
    /// The context of the task that this thread runs; `None` outside of tasks.
    pub fn get() -> Option<Self> {
        with_current(|current| {
            let current = current?;
            let own = current.own.get_or_init(|| current.task.around.own(&current.task)).clone();
            Some(TaskContext { task: current.task.clone(), own })
        })
    }
    /// The partition of the task that this thread runs; 0 outside of tasks, as in Spark.
    #[doc(alias = "getPartitionId")]
    pub fn current_partition_id() -> usize {
        with_current(|current| current.map_or(0, |c| c.task.partition))
    }
    pub(crate) fn task(&self) -> &Task {
        &self.task
    }
    /// The job it belongs to.
    pub fn job_id(&self) -> JobId {
        self.task.job
    }
    /// The stage it belongs to.
    pub fn stage_id(&self) -> StageId {
        self.task.stage
    }
    /// Which attempt at the stage this is, from zero. Only barrier stages have several.
    pub fn stage_attempt_number(&self) -> u32 {
        self.task.around.again
    }
    /// Its partition.
    pub fn partition_id(&self) -> usize {
        self.task.partition
    }
    /// How many partitions its stage has, also if the job asked for some of them only.
    pub fn num_partitions(&self) -> usize {
        self.task.spec().of
    }
    /// Which attempt at the partition this is, from zero; [`Task::attempt`] counts from one.
    pub fn attempt_number(&self) -> u32 {
        self.task.attempt - 1
    }
    /// The number of this attempt, different from those of all others of the program's context; see
    /// [`Canceller::kill_task_attempt`](crate::Canceller::kill_task_attempt).
    pub fn task_attempt_id(&self) -> u64 {
        self.own.id
    }
    /// A property of the job: one that the thread had that started it.
    #[doc(alias = "getLocalProperty")]
    pub fn local_property(&self, key: &str) -> Option<&str> {
        self.task.around.job.properties.get(key)
    }
    /// What it has done so far. Of a straggling partition, what other threads did for it is counted too.
    pub fn task_metrics(&self) -> TaskMetrics {
        TaskMetrics { records_read: self.task.spec().read() }
    }
    /// How many processors it has: one.
    pub fn cpus(&self) -> usize {
        1
    }
    /// Whether the attempt has ended, well or not. True in completion listeners.
    pub fn is_completed(&self) -> bool {
        self.own.state().ended
    }
    /// Whether the attempt has failed.
    pub fn is_failed(&self) -> bool {
        self.own.state().failure.is_some()
    }
    /// Whether the attempt is to stop. Threads are not interrupted: a closure that waits for something, or takes long
    /// over one record, asks this now and then.
    pub fn is_interrupted(&self) -> bool {
        let cancel = &self.task.around.job.cancel;
        cancel.is_set() && cancel.error(self.task.job, self.own.id).is_some()
    }
    /// Ends the attempt if it [is to stop](TaskContext::is_interrupted).
    ///
    /// # Errors
    /// [`Error::Cancelled`] or [`Error::TaskKilled`], to be returned.
    #[doc(alias = "killTaskIfInterrupted")]
    pub fn check(&self) -> Result<()> {
        let cancel = &self.task.around.job.cancel;
        if cancel.is_set() { cancel.error(self.task.job, self.own.id).map_or(Ok(()), Err) } else { Ok(()) }
    }
    /// Calls `f` when the attempt ends, well or not, panics included; at once, if it has ended. Those registered last
    /// are called first. An error or a panic of one does not keep the others from being called, and fails the attempt.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use winterbourne_engine::{SparkConf, SparkContext, TaskContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let closed = Arc::new(Mutex::new(Vec::new()));
    /// let c = closed.clone();
    /// let opened = sc.range(0..2, 1).map_partitions(move |records| {
    ///     for name in ["connection", "transaction"] {
    ///         let closed = c.clone();
    ///         TaskContext::get().expect("inside a task").add_task_completion_listener(move |_| {
    ///             closed.lock().unwrap().push(name);
    ///             Ok(())
    ///         });
    ///     }
    ///     records
    /// });
    /// assert_eq!(opened.count()?, 2);
    /// assert_eq!(*closed.lock().unwrap(), ["transaction", "connection"]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "addTaskCompletionListener")]
    pub fn add_task_completion_listener(
        &self,
        f: impl FnOnce(&TaskContext) -> Result<(), BoxError> + Send + 'static,
    ) -> &Self {
        let mut state = self.own.state();
        if !state.ended {
            state.on_end.push(Box::new(f));
            return self;
        }
        drop(state);
        late(guard_driver(|| f(self)));
        self
    }
    /// As [`add_task_completion_listener`](TaskContext::add_task_completion_listener), only if the attempt fails, with
    /// the error's text. Called before the listeners of completion.
    #[doc(alias = "addTaskFailureListener")]
    pub fn add_task_failure_listener(
        &self,
        f: impl FnOnce(&TaskContext, &str) -> Result<(), BoxError> + Send + 'static,
    ) -> &Self {
        let mut state = self.own.state();
        let Some(failure) = state.failure.clone() else {
            state.on_failure.push(Box::new(f));
            return self;
        };
        drop(state);
        late(guard_driver(|| f(self, &failure)));
        self
    }
}
fn late(met: Result<()>) {
    if let Err(e) = met {
        tracing::warn!("a task listener that was registered after its task had ended failed: {e}");
    }
}
