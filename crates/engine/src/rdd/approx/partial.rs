//! [`PartialResult`]: what a job gave until its time was over, and what it will give in the end.
//!
//! The job is a [`FutureAction`] that hands results over as its tasks succeed. The handle cancels it when nobody can ask
//! for its value any more; it does not wait for its thread then, which is over a chunk later.
use super::{Within, bounds::Share};
use crate::{Data, Error, Flow, FutureAction, Rdd, Result, Site, SparkContext, Task, job::Action};
use std::{
    fmt,
    sync::{Arc, Mutex},
};

/// What an approximate action gives: a first value when the time is over, or at once if the job was quicker, and the
/// final one when the job has ended.
///
/// The job goes on after the time is over, as long as somebody can ask for its final value: dropping this cancels it.
/// [Shown](fmt::Display) as `(final: …)` or `(partial: …)`, which says what the first value is.
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// use winterbourne_base::time::seconds;
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let count = sc.range(0..10, 2).count_approx(seconds(60))?;
/// assert_eq!(count.to_string(), "(final: [10.000, 10.000])");
/// assert_eq!(count.map(|n| n.mean as u64).final_value()?, 10);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[must_use = "dropping it cancels the rest of the job"]
pub struct PartialResult<R> {
    initial: R,
    rest: Option<Rest<R>>,
}
/// A job that has not ended when the time was over.
struct Rest<R> {
    job: Job,
    finish: Box<dyn FnOnce() -> R + Send>,
}

impl<R: 'static> PartialResult<R> {
    /// What was known when the time was over; the final value if the job was quicker.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # use winterbourne_base::time::seconds;
    /// let count = sc.range(0..10, 2).count_approx(seconds(600))?;
    /// assert_eq!(count.initial_value().mean, 10.0);
    /// assert!(count.is_initial_value_final());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn initial_value(&self) -> &R {
        &self.initial
    }
    /// Whether the job had ended by then.
    #[doc(alias = "isInitialValueFinal")]
    pub fn is_initial_value_final(&self) -> bool {
        self.rest.is_none()
    }
    /// Waits for the end of the job; its value.
    ///
    /// # Errors
    /// What the job failed with; see [`collect`](Rdd::collect).
    #[doc(alias = "getFinalValue")]
    pub fn final_value(self) -> Result<R> {
        match self.rest {
            None => Ok(self.initial),
            Some(Rest { job, finish }) => {
                job.take().get()?;
                Ok(finish())
            }
        }
    }
    /// Hands the final value, or what the job failed with, to `f`: at once if it is there, else on the job's thread. The job
    /// goes on.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_base::time::seconds;
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (tell, told) = std::sync::mpsc::channel();
    /// sc.range(0..10, 2).sum_approx(seconds(0))?.on_complete(move |sum| tell.send(sum.unwrap().mean).unwrap());
    /// assert_eq!(told.recv().unwrap(), 45.0);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "onComplete")]
    #[doc(alias = "onFail")]
    pub fn on_complete(self, f: impl FnOnce(Result<R>) + Send + 'static) {
        match self.rest {
            None => f(Ok(self.initial)),
            Some(Rest { job, finish }) => job.take().then(move |done| f(done.map(|()| finish()))),
        }
    }
    /// Both values, made into something else.
    pub fn map<U>(self, f: impl Fn(R) -> U + Send + 'static) -> PartialResult<U> {
        let initial = f(self.initial);
        let rest = self.rest.map(|Rest { job, finish }| Rest { job, finish: Box::new(move || f(finish())) });
        PartialResult { initial, rest }
    }
}
impl<R: fmt::Display> fmt::Display for PartialResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.rest.is_none() { "final" } else { "partial" };
        write!(f, "({kind}: {})", self.initial)
    }
}
impl<R: fmt::Debug> fmt::Debug for PartialResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartialResult").field("initial", &self.initial).field("is_final", &self.rest.is_none()).finish()
    }
}

/// A job whose value somebody may still ask for: dropped before that, it is cancelled.
struct Job(Option<FutureAction<()>>);
impl Job {
    fn take(mut self) -> FutureAction<()> {
        self.0.take().expect("taken at the end only")
    }
    fn running(&self) -> &FutureAction<()> {
        self.0.as_ref().expect("taken at the end only")
    }
}
impl Drop for Job {
    fn drop(&mut self) {
        if let Some(job) = &self.0 {
            job.cancel_because("nobody can ask for its value any more");
        }
    }
}

/// The results of the tasks, by partition.
struct Slots<U>(Mutex<Vec<Option<Arc<U>>>>);
impl<U> Slots<U> {
    fn put(&self, partition: usize, made: U) {
        self.0.lock().expect("plain list")[partition] = Some(Arc::new(made));
    }
    /// Those that are there, in partition order.
    fn now(&self) -> (Vec<Arc<U>>, Share) {
        let slots = self.0.lock().expect("plain list");
        let made: Vec<Arc<U>> = slots.iter().flatten().cloned().collect();
        let share = Share { ended: made.len(), total: slots.len() };
        (made, share)
    }
}

impl<T: Data> Rdd<T> {
    /// Runs `body` on all partitions, and `evaluate` on what those that ended in time have made, in partition order.
    ///
    /// Several lanes do not see each other's tasks before the job has ended, and must agree: they wait for that.
    pub(super) fn approximate<U: Data, R: 'static>(
        &self,
        action: Action,
        within: &Within,
        body: impl Fn(Flow<T>, &Task) -> Result<U> + Send + Sync + 'static,
        evaluate: impl Fn(Vec<Arc<U>>, Share) -> R + Send + 'static,
    ) -> Result<PartialResult<R>> {
        self.sc.may_run(action)?;
        let until = within.clock.now() + within.time;
        let n = self.num_partitions()?;
        if n == 0 || self.sc.inner.backend.is_some() {
            let made = self.sc.run_action(action, self, (0..n).collect(), move |_, flow, task| body(flow, task))?;
            let made = made.into_iter().map(Arc::new).collect();
            return Ok(PartialResult { initial: evaluate(made, Share { ended: n, total: n }), rest: None });
        }
        let slots = Arc::new(Slots(Mutex::new((0..n).map(|_| None).collect())));
        let (rdd, filled) = (self.clone(), slots.clone());
        let job = Job(Some(FutureAction::start(&self.sc, action, move |sc| {
            let body = move |_, flow: Flow<T>, task: &Task| body(flow, task);
            sc.run_action_with(action, &rdd, (0..n).collect(), body, move |p, made| filled.put(p, made))
        })));
        let is_over = job.running().is_completed_by(&*within.clock, until);
        if is_over {
            job.take().get()?;
            let (made, share) = slots.now();
            return Ok(PartialResult { initial: evaluate(made, share), rest: None });
        }
        let (made, share) = slots.now();
        let initial = evaluate(made, share);
        let finish = Box::new(move || {
            let (made, share) = slots.now();
            evaluate(made, share)
        });
        Ok(PartialResult { initial, rest: Some(Rest { job, finish }) })
    }
}

impl SparkContext {
    /// An approximate action of one's own: `f` makes a part of each partition, `evaluate` makes the value of the parts
    /// that are there, in partition order, and the number of all. Called when the time is over, and at the end.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// use winterbourne_base::time::seconds;
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let most = sc.run_approximate_job(
    ///     &sc.range(0..100, 4),
    ///     seconds(60),
    ///     |flow, _| Ok(flow.records().max()),
    ///     |parts, all| (parts.iter().filter_map(|part| **part).max(), parts.len() == all),
    /// )?;
    /// assert_eq!(most.final_value()?, (Some(99), true));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`count_approx`](Rdd::count_approx).
    #[doc(alias = "runApproximateJob")]
    #[track_caller]
    pub fn run_approximate_job<T: Data, U: Data, R: 'static>(
        &self,
        rdd: &Rdd<T>,
        within: impl Into<Within>,
        f: impl Fn(Flow<T>, &Task) -> Result<U> + Send + Sync + 'static,
        evaluate: impl Fn(Vec<Arc<U>>, usize) -> R + Send + 'static,
    ) -> Result<PartialResult<R>> {
        let action = Action { name: "run_approximate_job", site: Site::caller() };
        if !rdd.sc.same(self) {
            return Err(Error::ForeignRdd { operator: action.name, site: action.site });
        }
        rdd.approximate(action, &within.into().check(action)?, f, move |made, share| evaluate(made, share.total))
    }
}
