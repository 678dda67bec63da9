//! [`PartialResult`]: what a job gave until its time was over, and what it will give in the end.
//!
//! The job runs on a thread of its own, which ends with the job. The handle cancels the job when nobody can ask for its
//! value any more; it does not wait for the thread then, which is over a chunk later. Each task leaves its result in a
//! slot as its last act, so what a partial result is made of is the results of tasks that succeeded.
use super::{Within, bounds::Share};
use crate::{
    Data, Error, Flow, JobId, Rdd, Result, Task,
    context::Canceller,
    job::Action,
    pool::STACK,
    scope::{self, JobScope},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};
use winterbourne_base::{
    clock::{Bell, Patience, Woken},
    thread,
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
    job: Running,
    finish: Box<dyn FnOnce() -> R + Send>,
}

impl<R: 'static> PartialResult<R> {
    /// What was known when the time was over; the final value if the job was quicker.
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
                job.0.wait()?;
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
            Some(Rest { job, finish }) => job.0.then(Box::new(move |done| f(done.map(|()| finish())))),
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

type Then = Box<dyn FnOnce(Result<()>) + Send>;
/// A job on another thread, as both sides see it.
struct Job {
    state: Mutex<State>,
    /// Rung at the end.
    ended: Bell,
    cancel: Canceller,
}
#[derive(Default)]
struct State {
    /// Known once it runs.
    id: Option<JobId>,
    /// Nobody can ask for its value any more.
    abandoned: bool,
    /// How it ended, until somebody takes it.
    done: Option<Result<()>>,
    /// Who takes it.
    then: Option<Then>,
}
impl Job {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no user code runs under this lock")
    }
    /// It runs now.
    fn started(&self, id: JobId) {
        let abandoned = {
            let mut state = self.state();
            state.id = Some(id);
            state.abandoned
        };
        if abandoned {
            self.cancel.cancel_job(id);
        }
    }
    fn end(&self, result: Result<()>) {
        let mut state = self.state();
        if let Some(then) = state.then.take() {
            drop(state);
            return then(result);
        }
        state.done = Some(result);
        drop(state);
        self.ended.ring();
    }
    fn then(&self, then: Then) {
        let mut state = self.state();
        match state.done.take() {
            Some(done) => {
                drop(state);
                then(done);
            }
            None => state.then = Some(then),
        }
    }
    /// How it ended; asked once.
    fn wait(&self) -> Result<()> {
        loop {
            let seen = self.ended.count();
            if let Some(done) = self.state().done.take() {
                return done;
            }
            self.ended.wait(seen, || Patience::Unlimited);
        }
    }
}
/// The asking side of a job: dropped with nobody else to tell, it cancels.
struct Running(Arc<Job>);
impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.then.is_none() && state.done.is_none() {
            state.abandoned = true;
            let id = state.id;
            drop(state);
            id.into_iter().for_each(|id| self.0.cancel.cancel_job(id));
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
        let job = Arc::new(Job { state: Mutex::default(), ended: Bell::new(), cancel: self.sc.canceller() });
        let running = Running(job.clone());
        let (rdd, properties, filled) = (self.clone(), scope::now(), slots.clone());
        let run = move || {
            let _properties = JobScope::adopt(properties);
            let body = move |p, flow: Flow<T>, task: &Task| {
                filled.put(p, body(flow, task)?);
                Ok(())
            };
            let ran = rdd.sc.run_told(action, &rdd, (0..n).collect(), body, |id| job.started(id));
            // Not later: whoever waits for the end may want to be the last that holds the context.
            drop(rdd);
            job.end(ran.map(drop));
        };
        drop(thread::spawn_with_stack("approximate", STACK, run).map_err(Error::Threads)?);
        loop {
            let job = &running.0;
            let seen = job.ended.count();
            let done = job.state().done.take();
            let is_over = within.clock.now() >= until;
            if let Some(done) = done {
                done?;
                let (made, share) = slots.now();
                return Ok(PartialResult { initial: evaluate(made, share), rest: None });
            }
            if is_over {
                let (made, share) = slots.now();
                let initial = evaluate(made, share);
                let finish = Box::new(move || {
                    let (made, share) = slots.now();
                    evaluate(made, share)
                });
                return Ok(PartialResult { initial, rest: Some(Rest { job: running, finish }) });
            }
            match within.clock.wait(&job.ended, seen, Some(until)) {
                Woken::Rung | Woken::Due => {}
            }
        }
    }
}
