//! [`Gate`]: where the tasks of one attempt at a barrier stage meet.
use crate::{Data, Error, Result, Site, Task};
use std::{
    any::Any,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, mpsc},
};

type Value = Arc<dyn Any + Send + Sync>;

/// What a task has brought.
struct Brought {
    what: &'static str,
    site: Site,
    value: Value,
}
struct State {
    brought: Vec<Option<Brought>>,
    /// Meetings held so far.
    round: u64,
    /// What came of the last: all values, or why there are none. Those who wait for it take it before they come again.
    last: Result<Vec<Value>, String>,
    /// The first task that ended.
    ended: Option<usize>,
    /// No further meeting can be held.
    broken: Option<String>,
}
/// A meeting point for a fixed number of tasks, again and again.
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}
impl Gate {
    pub(crate) fn new(tasks: usize) -> Self {
        let brought = (0..tasks).map(|_| None).collect();
        let state = State { brought, round: 0, last: Ok(Vec::new()), ended: None, broken: None };
        Gate { state: Mutex::new(state), changed: Condvar::new() }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no user code runs under this lock")
    }
    /// Wakes all that wait, to look whether to go on.
    pub(crate) fn wake(&self) {
        let state = self.state();
        self.changed.notify_all();
        drop(state);
    }
    /// A task has ended: whoever waits for it waits in vain.
    pub(crate) fn ends(&self, task: usize) {
        let mut state = self.state();
        state.ended.get_or_insert(task);
        if state.brought.iter().any(Option::is_some) {
            state.broken.get_or_insert_with(|| format!("task {task} ended while others wait for it"));
        }
        self.changed.notify_all();
    }
    /// Brings a value and waits for those of all.
    pub(super) fn meet<V: Data>(&self, task: &Task, what: &'static str, site: Site, value: V) -> Result<Vec<V>> {
        let broken = |why: String| Error::BarrierBroken { why };
        let mut state = self.state();
        // Before who ended is looked at: one that failed says so first, and that is what matters.
        task.check()?;
        if let Some(ended) = state.ended {
            state.broken.get_or_insert_with(|| format!("task {ended} ended without coming to `{what}` at {site}"));
            self.changed.notify_all();
        }
        if let Some(why) = &state.broken {
            return Err(broken(why.clone()));
        }
        let round = state.round;
        state.brought[task.index] = Some(Brought { what, site, value: Arc::new(value) });
        if state.brought.iter().all(Option::is_some) {
            state.last = together(state.brought.iter_mut().map(|b| b.take().expect("all are there")));
            state.round += 1;
            self.changed.notify_all();
        }
        while state.round == round {
            // SUBTLE: who sets the flag wakes us under the lock, after setting it.
            task.check()?;
            if let Some(why) = &state.broken {
                return Err(broken(why.clone()));
            }
            state = self.changed.wait(state).expect("no user code runs under this lock");
        }
        let all = state.last.clone().map_err(broken)?;
        drop(state);
        let typed: Option<Vec<V>> = all.iter().map(|value| value.downcast_ref::<V>().cloned()).collect();
        typed.ok_or_else(|| broken(format!("the tasks brought values of different types to `{what}` at {site}")))
    }
}
fn together(all: impl Iterator<Item = Brought>) -> Result<Vec<Value>, String> {
    let (mut values, mut first): (Vec<Value>, Option<(&str, Site)>) = (Vec::new(), None);
    for Brought { what, site, value } in all {
        let (other, there) = *first.get_or_insert((what, site));
        if other != what {
            return Err(format!("some tasks came to `{other}` at {there}, others to `{what}` at {site}"));
        }
        values.push(value);
    }
    Ok(values)
}

/// Runs `body(0..tasks)` at the same time, on threads of their own but for the first; or nothing, if the system does
/// not give as many. `body` must not unwind.
pub(crate) fn run_together(tasks: usize, stack: usize, body: impl Fn(usize) + Send + Sync + 'static) -> io::Result<()> {
    let body = Arc::new(body);
    let mut threads = Vec::new();
    let mut start = || -> io::Result<()> {
        for i in 1..tasks {
            let ((go, wait), body) = (mpsc::channel::<()>(), body.clone());
            let run = move || {
                if wait.recv().is_ok() {
                    body(i);
                }
            };
            threads.push((go, winterbourne_base::thread::spawn_with_stack(&format!("barrier-{i}"), stack, run)?));
        }
        Ok(())
    };
    let started = start();
    let mut all = Vec::new();
    for (go, thread) in threads {
        if started.is_ok() {
            let _ = go.send(());
        }
        all.push(thread);
    }
    if started.is_ok() && tasks > 0 {
        body(0);
    }
    for thread in all {
        // `body` does not unwind.
        let _ = thread.join();
    }
    started
}
