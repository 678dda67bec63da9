//! Listeners: who wants to be told what a context does. This is the port for plug-ins too: one is started with a context,
//! told of its events, and gone with it.
mod bus;
mod event;

pub(crate) use bus::Bus;
pub use bus::ListenerId;
pub use event::{
    ApplicationEnd, ApplicationStart, BlockUpdated, JobEnd, JobStart, SparkListenerEvent, StageInfo, TaskEnd, TaskInfo,
    TaskOutcome,
};

use crate::{BoxError, Error, RddId, Result, Site, SparkContext, StatusTracker};
use std::{any::Any, sync::Arc};

/// Told of events, one at a time, in the order in which they happened, on a thread of its own per context. Register with
/// [`SparkContext::add_spark_listener`], or with [`ContextBuilder::listener`](crate::ContextBuilder::listener) before
/// the context starts. Implement the methods you want, or [`on_event`](SparkListener::on_event) for all; closures over
/// [`SparkListenerEvent`] are listeners.
///
/// A listener that panics is removed, loudly; nobody else is harmed. Without listeners no event is made.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use winterbourne_engine::{JobEnd, SparkConf, SparkContext, SparkListener};
/// struct Ends(Arc<Mutex<Vec<bool>>>);
/// impl SparkListener for Ends {
///     fn on_job_end(&mut self, end: &JobEnd) {
///         self.0.lock().unwrap().push(end.error.is_none());
///     }
/// }
/// let ends = Arc::new(Mutex::new(Vec::new()));
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// sc.add_spark_listener(Ends(ends.clone()))?;
/// sc.range(0..10, 2).count()?;
/// sc.range(0..10, 2).map(|x| 1 / x).count().unwrap_err();
/// sc.stop(); // delivers what waits
/// assert_eq!(*ends.lock().unwrap(), [true, false]);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
pub trait SparkListener: Send + 'static {
    /// Called once, on the thread that registers it, before the first event. The tracker does not keep the context alive.
    ///
    /// # Errors
    /// Its own, which refuse the registration: a port that is taken, for instance.
    fn on_attach(&mut self, context: &StatusTracker) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }
    /// Something happened. As it is, it calls the method for that kind of event.
    fn on_event(&mut self, event: &SparkListenerEvent) {
        use SparkListenerEvent::*;
        match event {
            ApplicationStart(e) => self.on_application_start(e),
            ApplicationEnd(e) => self.on_application_end(e),
            JobStart(e) => self.on_job_start(e),
            JobEnd(e) => self.on_job_end(e),
            StageSubmitted(e) => self.on_stage_submitted(e),
            StageCompleted(e) => self.on_stage_completed(e),
            TaskStart(e) => self.on_task_start(e),
            TaskEnd(e) => self.on_task_end(e),
            UnpersistRdd(rdd) => self.on_unpersist_rdd(*rdd),
            BlockUpdated(e) => self.on_block_updated(e),
            Other(e) => self.on_other_event(e),
        }
    }
    /// The context was made. Only listeners that were registered before hear it.
    fn on_application_start(&mut self, event: &ApplicationStart) {
        let _ = event;
    }
    /// The context has stopped; nothing follows.
    fn on_application_end(&mut self, event: &ApplicationEnd) {
        let _ = event;
    }
    /// A job was planned.
    fn on_job_start(&mut self, event: &JobStart) {
        let _ = event;
    }
    /// A job ended, well or not.
    fn on_job_end(&mut self, event: &JobEnd) {
        let _ = event;
    }
    /// The tasks of a stage begin.
    fn on_stage_submitted(&mut self, stage: &StageInfo) {
        let _ = stage;
    }
    /// All tasks of a stage have ended, well or not.
    fn on_stage_completed(&mut self, stage: &StageInfo) {
        let _ = stage;
    }
    /// An attempt at a task begins.
    fn on_task_start(&mut self, task: &TaskInfo) {
        let _ = task;
    }
    /// An attempt at a task ended.
    fn on_task_end(&mut self, event: &TaskEnd) {
        let _ = event;
    }
    /// The kept partitions of an RDD were dropped.
    #[doc(alias = "onUnpersistRDD")]
    fn on_unpersist_rdd(&mut self, rdd: RddId) {
        let _ = rdd;
    }
    /// A partition was put into the cache.
    fn on_block_updated(&mut self, event: &BlockUpdated) {
        let _ = event;
    }
    /// An event of a layer above, or of a program's own ([`SparkContext::post_event`]).
    fn on_other_event(&mut self, event: &Arc<dyn Any + Send + Sync>) {
        let _ = event;
    }
}
impl<F: FnMut(&SparkListenerEvent) + Send + 'static> SparkListener for F {
    fn on_event(&mut self, event: &SparkListenerEvent) {
        self(event);
    }
}

impl SparkContext {
    /// Tells a listener what happens from now on: of the jobs that begin from now on.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use winterbourne_engine::{SparkConf, SparkContext, SparkListenerEvent};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (tell, heard) = mpsc::channel();
    /// let id = sc.add_spark_listener(move |e: &SparkListenerEvent| {
    ///     if let SparkListenerEvent::JobStart(job) = e {
    ///         tell.send(job.stages.len()).expect("somebody hears");
    ///     }
    /// })?;
    /// sc.range(0..10, 2).map(|x| (x % 3, x)).reduce_by_key(|a, b| a + b).count()?;
    /// assert_eq!(heard.recv(), Ok(2));
    /// sc.remove_spark_listener(id);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Stopped`]; [`Error::Threads`] if the system gives no thread; [`Error::User`] with what
    /// [`on_attach`](SparkListener::on_attach) returned.
    #[doc(alias = "addSparkListener")]
    #[track_caller]
    pub fn add_spark_listener(&self, listener: impl SparkListener) -> Result<ListenerId> {
        if self.is_stopped() {
            return Err(Error::Stopped { what: "add_spark_listener", site: Site::caller() });
        }
        self.attach(Box::new(listener))
    }
    pub(crate) fn attach(&self, mut listener: Box<dyn SparkListener>) -> Result<ListenerId> {
        let tracker = self.status_tracker();
        crate::guard_driver(|| listener.on_attach(&tracker))?;
        self.inner.bus.add(listener).map_err(Error::Threads)
    }
    /// Tells a listener no more, events that wait included, and drops it. Whether it was registered.
    #[doc(alias = "removeSparkListener")]
    pub fn remove_spark_listener(&self, id: ListenerId) -> bool {
        self.inner.bus.remove(id)
    }
    /// Tells all listeners something of one's own ([`SparkListenerEvent::Other`]). Costs nothing without listeners.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext, SparkListenerEvent};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (tell, heard) = std::sync::mpsc::channel();
    /// sc.add_spark_listener(move |e: &SparkListenerEvent| {
    ///     if let SparkListenerEvent::Other(any) = e {
    ///         let _ = tell.send(any.downcast_ref::<u32>().copied());
    ///     }
    /// })?;
    /// sc.post_event(|| 7u32);
    /// assert_eq!(heard.recv(), Ok(Some(7)));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn post_event<E: Send + Sync + 'static>(&self, event: impl FnOnce() -> E) {
        self.inner.bus.post(|| SparkListenerEvent::Other(Arc::new(event())));
    }
}
