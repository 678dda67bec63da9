//! [`Canceller`]: stops jobs of a context, from any thread.
use super::{Inner, SparkContext};
use crate::{JobId, Site, StageId};
use std::sync::{Arc, Weak};

impl SparkContext {
    /// Tells every running job to stop at its next chunk. They fail with [`Error::Cancelled`](crate::Error::Cancelled).
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
        Canceller { inner: Arc::downgrade(&self.inner), site: Site::caller(), because: None }
    }
}

/// Cancels jobs of a context that may be gone; made by [`SparkContext::canceller`].
///
/// Cancelling works between chunks of records. Threads are not interrupted: a closure that waits for something asks
/// [`TaskContext::is_interrupted`](crate::TaskContext::is_interrupted) now and then.
///
/// ```
/// # use winterbourne_engine::{Canceller, Error, SparkConf, SparkContext, TaskContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let group = sc.job_group("reports");
/// let _tag = sc.add_job_tag("nightly")?;
/// let endless = sc.range(0..u64::MAX, 1);
/// let by: [fn(&Canceller, &TaskContext); 5] = [
///     |stop, task| assert!(stop.cancel_job(task.job_id())),
///     |stop, task| assert!(stop.cancel_stage(task.stage_id())),
///     |stop, _| stop.cancel_job_group("reports"),
///     |stop, _| stop.cancel_jobs_with_tag("nightly"),
///     |stop, _| stop.close_job_group("reports"), // and jobs of the group that begin later
/// ];
/// for cancel in by {
///     let stop = sc.canceller();
///     let cancelled = endless.map(move |_| cancel(&stop, &TaskContext::get().expect("inside a task"))).count();
///     assert!(matches!(cancelled, Err(Error::Cancelled { .. })));
/// }
/// assert!(sc.range(0..10, 2).count().is_err());
/// sc.canceller().reopen_job_group("reports");
/// assert_eq!(sc.range(0..10, 2).count()?, 10);
/// # drop(group);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Canceller {
    inner: Weak<Inner>,
    site: Site,
    because: Option<Arc<str>>,
}
impl Canceller {
    /// The same, with a reason for the error of those it cancels.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let stop = sc.canceller().because("the user left");
    /// let e = sc.range(0..u64::MAX, 1).map(move |x| { stop.cancel_all_jobs(); x }).count().unwrap_err();
    /// assert!(e.to_string().contains("the user left"));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.because = Some(reason.into());
        self
    }
    fn reason(&self, what: &str) -> String {
        match &self.because {
            Some(reason) => format!("{reason} ({what} through the handle made at {})", self.site),
            None => format!("{what} through the handle made at {}", self.site),
        }
    }
    /// Tells every running job to stop at its next chunk.
    pub fn cancel_all_jobs(&self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.running.cancel(&self.reason("cancel_all_jobs"), |_| true);
        }
    }
    /// Tells one job to stop at its next chunk. Whether it ran.
    pub fn cancel_job(&self, job: JobId) -> bool {
        self.inner.upgrade().is_some_and(|inner| inner.running.cancel(&self.reason("cancel_job"), |j| j.id == job) > 0)
    }
    /// Tells the job that has this stage, if it runs, to stop at its next chunk. Whether it ran. A stage belongs to one
    /// job; others wait for nobody else's stages.
    #[doc(alias = "cancelStage")]
    pub fn cancel_stage(&self, stage: StageId) -> bool {
        let reason = self.reason(&format!("cancel_stage({})", stage.0));
        self.inner.upgrade().is_some_and(|inner| inner.running.cancel(&reason, |j| j.has_stage(stage)) > 0)
    }
    /// Tells the running jobs of one group to stop at their next chunk.
    pub fn cancel_job_group(&self, group: &str) {
        if let Some(inner) = self.inner.upgrade() {
            let reason = format!("part of cancelled job group {group}: {}", self.reason("cancel_job_group"));
            inner.running.cancel(&reason, |job| job.properties.job_group() == Some(group));
        }
    }
    /// Tells the running jobs that have a tag to stop at their next chunk.
    #[doc(alias = "cancelJobsWithTag")]
    pub fn cancel_jobs_with_tag(&self, tag: &str) {
        if let Some(inner) = self.inner.upgrade() {
            let reason = format!("it has the tag {tag}: {}", self.reason("cancel_jobs_with_tag"));
            inner.running.cancel(&reason, |job| job.properties.has_tag(tag));
        }
    }
    /// Tells the running jobs of one group to stop, and refuses those that begin later, until
    /// [`reopen_job_group`](Canceller::reopen_job_group): for a group whose owner starts one job after another.
    #[doc(alias = "cancelJobGroupAndFutureJobs")]
    pub fn close_job_group(&self, group: &str) {
        if let Some(inner) = self.inner.upgrade() {
            let reason = format!("part of cancelled job group {group}: {}", self.reason("close_job_group"));
            inner.running.close(group, reason);
        }
        self.cancel_job_group(group);
    }
    /// Lets the jobs of a group run again.
    pub fn reopen_job_group(&self, group: &str) {
        if let Some(inner) = self.inner.upgrade() {
            inner.running.reopen(group);
        }
    }
    /// Tells one attempt at a task to stop at its next chunk; its partition is tried again, whatever the master says,
    /// because that is no failure. Whether it ran. Numbers are
    /// [`TaskContext::task_attempt_id`](crate::TaskContext::task_attempt_id)s.
    ///
    /// ```
    /// use winterbourne_engine::{SparkConf, SparkContext, TaskContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local"))?;
    /// let stop = sc.canceller();
    /// let long = sc.range(0..10_000, 1).map(move |x| {
    ///     let task = TaskContext::get().expect("inside a task");
    ///     if x == 0 && task.attempt_number() == 0 {
    ///         stop.kill_task_attempt(task.task_attempt_id());
    ///     }
    ///     x
    /// });
    /// assert_eq!(long.count()?, 10_000); // the second attempt's
    /// assert_eq!(sc.counts().task_retries, 1);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "killTaskAttempt")]
    pub fn kill_task_attempt(&self, attempt: u64) -> bool {
        let Some(inner) = self.inner.upgrade() else { return false };
        let of = inner.running.jobs().into_iter().find(|job| {
            let tasks = job.tasks();
            tasks.is_some_and(|t| t.specs.iter().any(|s| s.is_running() && s.attempt_id() == attempt))
        });
        let Some(job) = of else { return false };
        job.cancel.kill(attempt, self.reason("kill_task_attempt"));
        true
    }
}
