//! Actions that run beside their caller: [`FutureAction`].
//!
//! Each has a thread of its own, which works for its jobs as any caller does and ends with them. `stop` waits for these
//! threads.
mod actions;

use crate::{
    Error, JobId, JobScope, Result, Site, SparkContext,
    context::Inner,
    guard_driver,
    job::{Action, Job},
    pool::STACK,
    scope::{self, Change},
    task,
};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
};
use winterbourne_base::{
    Clock, Duration, Time,
    clock::{Bell, Patience},
};

/// On whose behalf a thread runs jobs.
#[derive(Default)]
pub(crate) struct Behalf(Mutex<Jobs>);
#[derive(Default)]
struct Jobs {
    started: Vec<JobId>,
    cancelled: Option<String>,
}
impl Behalf {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().expect("no user code runs under this lock")
    }
    /// A job that is in the list of running ones already.
    pub(crate) fn starts(&self, job: &Job) {
        let mut jobs = self.jobs();
        jobs.started.push(job.id);
        if let Some(reason) = &jobs.cancelled {
            job.cancel.ask(reason.clone());
        }
    }
}

/// The threads of a context's asynchronous actions.
#[derive(Default)]
pub(crate) struct Actions(Mutex<Vec<JoinHandle<()>>>);
impl Actions {
    fn enter(&self, thread: JoinHandle<()>) {
        let mut threads = self.0.lock().expect("plain list");
        threads.retain(|t| !t.is_finished());
        threads.push(thread);
    }
    /// Waits for all; from within a task or one of them, for none.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.0.lock().expect("plain list"));
        let me = thread::current().id();
        if task::is_inside() || threads.iter().any(|t| t.thread().id() == me) {
            return;
        }
        for thread in threads {
            // It catches what the user's closures throw.
            let _ = thread.join();
        }
    }
}

type OnComplete<T> = Box<dyn FnOnce(&Result<T>) + Send>;
type Then<T> = Box<dyn FnOnce(Result<T>) + Send>;
struct State<T> {
    done: bool,
    taken: bool,
    /// Not before it is done; not after it was taken; not while a callback looks at it.
    outcome: Option<Result<T>>,
    callbacks: Vec<OnComplete<T>>,
    /// Who gets the result, if that is settled.
    then: Option<Then<T>>,
    waker: Option<Waker>,
}
impl<T> State<T> {
    fn take(&mut self) -> Option<Result<T>> {
        assert!(!self.taken, "the result of this FutureAction was taken before");
        let outcome = self.outcome.take();
        self.taken = outcome.is_some();
        outcome
    }
}
struct Shared<T> {
    state: Mutex<State<T>>,
    /// Rung when there is a result.
    changed: Bell,
    clock: Arc<dyn Clock>,
    behalf: Arc<Behalf>,
    context: Weak<Inner>,
}
impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no user code runs under this lock")
    }
    /// Calls back, then says that it is done.
    fn complete(&self, outcome: Result<T>) {
        let mut state = self.state();
        loop {
            let callbacks = std::mem::take(&mut state.callbacks);
            if callbacks.is_empty() {
                break;
            }
            drop(state);
            callbacks.into_iter().for_each(|f| call(f, &outcome));
            state = self.state();
        }
        let Some(then) = state.then.take() else { return self.put(state, outcome) };
        drop(state);
        taken(then, outcome);
    }
    fn put(&self, mut state: MutexGuard<'_, State<T>>, outcome: Result<T>) {
        state.outcome = Some(outcome);
        state.done = true;
        let waker = state.waker.take();
        drop(state);
        self.changed.ring();
        waker.into_iter().for_each(Waker::wake);
    }
}
fn call<T>(f: OnComplete<T>, outcome: &Result<T>) {
    said(guard_driver(|| {
        f(outcome);
        Ok(())
    }));
}
fn taken<T>(f: Then<T>, outcome: Result<T>) {
    said(guard_driver(|| {
        f(outcome);
        Ok(())
    }));
}
fn said(called: Result<()>) {
    if let Err(e) = called {
        tracing::error!("a callback of an asynchronous action failed: {e}");
    }
}

/// The result of an action that runs beside its caller. [`get`](FutureAction::get) waits for it; so does `.await`, under
/// any runtime or none. Dropping it changes nothing: the action goes on.
///
/// ```
/// use winterbourne_engine::{SparkConf, SparkContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
/// let (evens, odds) = (sc.range(0..100, 4).filter(|x| x % 2 == 0), sc.range(0..100, 4).filter(|x| x % 2 == 1));
/// let (evens, odds) = (evens.count_async(), odds.collect_async());
/// assert_eq!(evens.get()?, 50);
/// assert_eq!(odds.get()?.len(), 50);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[must_use = "an action that failed says so nowhere else"]
pub struct FutureAction<T>(Arc<Shared<T>>);

impl<T: Send + 'static> FutureAction<T> {
    /// Runs `body` on a thread of its own, with the properties of this one.
    pub(crate) fn start(
        sc: &SparkContext,
        action: Action,
        body: impl FnOnce(&SparkContext) -> Result<T> + Send + 'static,
    ) -> Self {
        let behalf = Arc::<Behalf>::default();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                done: false,
                taken: false,
                outcome: None,
                callbacks: Vec::new(),
                then: None,
                waker: None,
            }),
            changed: Bell::new(),
            clock: sc.inner.bus.clock.clone(),
            behalf: behalf.clone(),
            context: Arc::downgrade(&sc.inner),
        });
        if let Err(e) = sc.may_run(action) {
            shared.complete(Err(e));
            return FutureAction(shared);
        }
        let (theirs, context, mine) = (shared.clone(), sc.clone(), scope::now());
        let thread = winterbourne_base::thread::spawn_with_stack("async-action", STACK, move || {
            winterbourne_base::thread::serve();
            let result = {
                let _mine = mine.enter();
                let _behalf = JobScope::enter(Change::Behalf(behalf));
                guard_driver(|| Ok(body(&context)?))
            };
            // SUBTLE: gone before anybody is told, so that whoever waited may drop the last handle, or stop, at once.
            drop(context);
            theirs.complete(result);
        });
        match thread {
            Ok(thread) => sc.inner.actions.enter(thread),
            Err(e) => shared.complete(Err(Error::Threads(e))),
        }
        FutureAction(shared)
    }
    /// Waits for the result.
    ///
    /// # Errors
    /// Those of the action. [`Error::Cancelled`] after [`cancel`](FutureAction::cancel).
    ///
    /// # Panics
    /// If the result was taken by polling it before.
    pub fn get(self) -> Result<T> {
        loop {
            let seen = self.0.changed.count();
            if let Some(outcome) = self.0.state().take() {
                return outcome;
            }
            self.0.changed.wait(seen, || Patience::Unlimited);
        }
    }
    /// Waits until it is completed.
    pub fn wait(&self) {
        loop {
            let seen = self.0.changed.count();
            if self.is_completed() {
                return;
            }
            self.0.changed.wait(seen, || Patience::Unlimited);
        }
    }
    /// Waits until it is completed, but not longer, on the context's clock. Whether it is completed.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// use winterbourne_base::time::{milliseconds, minutes};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let endless = sc.range(0..u64::MAX, 1).count_async();
    /// assert!(!endless.wait_for(milliseconds(1)));
    /// endless.cancel();
    /// assert!(endless.wait_for(minutes(10)));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "ready")]
    pub fn wait_for(&self, at_most: Duration) -> bool {
        self.is_completed_by(&*self.0.clock, self.0.clock.now() + at_most)
    }
    /// Waits until it is completed, but not beyond that time. Whether it is completed.
    pub(crate) fn is_completed_by(&self, clock: &dyn Clock, time: Time) -> bool {
        loop {
            let seen = self.0.changed.count();
            if self.is_completed() {
                return true;
            }
            if clock.now() >= time {
                return false;
            }
            clock.wait(&self.0.changed, seen, Some(time));
        }
    }
    /// Gives the result to `f`, on the action's thread; here and now, if it is completed.
    pub(crate) fn then(self, f: impl FnOnce(Result<T>) + Send + 'static) {
        let mut state = self.0.state();
        if !state.done {
            state.then = Some(Box::new(f));
            return;
        }
        drop(state);
        f(self.get());
    }
    /// Calls `f` with the result, on the action's thread; here and now, if it is completed. Several are called in order.
    /// The action is completed when they have returned.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (tell, heard) = std::sync::mpsc::channel();
    /// let count = sc.range(0..10, 2).count_async();
    /// count.on_complete(move |n| tell.send(n.as_ref().is_ok_and(|n| *n == 10)).expect("somebody hears"));
    /// assert_eq!(heard.recv(), Ok(true));
    /// assert_eq!(count.get()?, 10);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "onComplete")]
    pub fn on_complete(&self, f: impl FnOnce(&Result<T>) + Send + 'static) {
        let mut state = self.0.state();
        if !state.done {
            state.callbacks.push(Box::new(f));
            return;
        }
        let Some(outcome) = state.outcome.take() else { return };
        drop(state);
        call(Box::new(f), &outcome);
        self.0.put(self.0.state(), outcome);
    }
    /// Tells its jobs to stop at their next chunk, and starts no more.
    ///
    /// ```
    /// # use winterbourne_engine::{Error, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let endless = sc.range(0..u64::MAX, 1).count_async();
    /// assert!(!endless.is_completed() && !endless.is_cancelled());
    /// endless.cancel();
    /// endless.wait();
    /// assert!(endless.is_completed() && endless.is_cancelled());
    /// assert!(endless.job_ids().len() <= 1, "it may not have begun");
    /// assert!(matches!(endless.get(), Err(Error::Cancelled { .. })));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        self.cancel_because(&format!("its FutureAction was cancelled at {}", Site::caller()));
    }
    pub(crate) fn cancel_because(&self, reason: &str) {
        let started = {
            let mut jobs = self.0.behalf.jobs();
            jobs.cancelled.get_or_insert_with(|| reason.to_owned());
            jobs.started.clone()
        };
        if let Some(inner) = self.0.context.upgrade() {
            inner.running.cancel(reason, |job| started.contains(&job.id));
        }
    }
    /// Whether [`cancel`](FutureAction::cancel) was called.
    #[doc(alias = "isCancelled")]
    pub fn is_cancelled(&self) -> bool {
        self.0.behalf.jobs().cancelled.is_some()
    }
    /// Whether there is a result, or an error.
    #[doc(alias = "isCompleted")]
    pub fn is_completed(&self) -> bool {
        self.0.state().done
    }
    /// The jobs it has started so far.
    #[doc(alias = "jobIds")]
    pub fn job_ids(&self) -> Vec<JobId> {
        self.0.behalf.jobs().started.clone()
    }
}
impl<T: Send + 'static> Future for FutureAction<T> {
    type Output = Result<T>;
    /// # Panics
    /// If it has given its result before.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut state = self.0.state();
        if let Some(outcome) = state.take() {
            return Poll::Ready(outcome);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
