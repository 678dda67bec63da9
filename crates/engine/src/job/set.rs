//! One set of tasks: attempts, retries, what they leave, what listeners are told.
use super::{Begun, Missed, Tasks, panic_text};
use crate::{
    Counters, Error, Result, Site, SparkContext, SparkListenerEvent, StageId, StageInfo, Task, TaskCause, TaskEnd,
    TaskInfo, TaskOutcome,
    accumulator::Updates,
    barrier::run_together,
    flow::Carried,
    listener::Bus,
    pool::STACK,
    task::{self, Around, Current, Inside, Spec},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
};

/// What the tasks of a set do, and what they leave.
pub(super) struct Work<S, B, K> {
    body: B,
    /// Takes each result as soon as it is there.
    keep: K,
    /// By place of the task.
    results: Vec<Mutex<Option<Result<S>>>>,
    /// What they added to accumulators, by place; only those that did.
    added: Mutex<Vec<(usize, Updates)>>,
}
impl<S, B, K> Work<S, B, K> {
    /// Of so many tasks.
    pub(super) fn new(tasks: usize, body: B, keep: K) -> Arc<Self> {
        let results = (0..tasks).map(|_| Mutex::new(None)).collect();
        Arc::new(Work { body, keep, results, added: Mutex::default() })
    }
}
/// What came of a set of tasks in which none failed.
pub(super) struct Ran<S> {
    /// The results of those that are done, in order.
    pub(super) done: Vec<S>,
    /// Those that are not.
    pub(super) left: Vec<Spec>,
    /// Why: there if any is left.
    pub(super) missed: Option<Missed>,
}

impl SparkContext {
    /// [`run_once`](SparkContext::run_once), for a barrier stage again and again as the master says: all of it.
    pub(super) fn run_here<R: Send + 'static, S: Send + 'static>(
        &self,
        begun: &Begun,
        tasks: Tasks,
        work: &Arc<
            Work<
                S,
                impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static,
                impl Fn(usize, R) -> S + Send + Sync + 'static,
            >,
        >,
        places: Option<Arc<[usize]>>,
    ) -> (Result<Ran<S>>, Vec<(usize, Updates)>) {
        let Tasks { specs, barrier } = tasks;
        if !barrier {
            return self.run_once(begun, None, specs, work, places);
        }
        let mut kept = Vec::new();
        for again in 0.. {
            let fresh = specs.iter().map(Spec::fresh).collect();
            let (ran, added) = self.run_once(begun, Some(again), fresh, work, places.clone());
            // All or none: what one of them missed, all wait for.
            let is_left = ran.as_ref().is_ok_and(|ran| ran.missed.is_some());
            if is_left && begun.job().cancel.again() {
                kept.extend(added.into_iter().map(|(i, u)| (i, u.only_kept())).filter(|(_, u)| !u.is_empty()));
                return (ran.map(|ran| Ran { done: Vec::new(), left: specs, ..ran }), kept);
            }
            if !matches!(ran, Err(Error::Task { .. }))
                || again + 1 >= self.inner.master.attempts
                || !begun.job().cancel.again()
            {
                kept.extend(added);
                return (ran, kept);
            }
            // What those that did not fail have added is added again by the next attempt.
            kept.extend(added.into_iter().map(|(i, u)| (i, u.only_kept())).filter(|(_, u)| !u.is_empty()));
        }
        unreachable!("an endless loop")
    }

    /// Runs tasks on the pool; returns what `keep` made of their results, or the first failure in partition order, and
    /// what each has added to accumulators, if anything: one that failed, for the blocks that it left in the cache. Each
    /// leaves its result at its place, which is its index unless given.
    fn run_once<R: Send + 'static, S: Send + 'static>(
        &self,
        begun: &Begun,
        barrier: Option<u32>,
        specs: Vec<Spec>,
        work: &Arc<
            Work<
                S,
                impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static,
                impl Fn(usize, R) -> S + Send + Sync + 'static,
            >,
        >,
        places: Option<Arc<[usize]>>,
    ) -> (Result<Ran<S>>, Vec<(usize, Updates)>) {
        let (n, inner) = (specs.len(), &*self.inner);
        Counters::add(&inner.counters.tasks, n as u64);
        let first_attempt = inner.counters.attempts.fetch_add(n as u64, Relaxed);
        let (counters, memory, helpers) = (inner.counters.clone(), inner.memory.clone(), inner.pool.helpers());
        let around = Arc::new(Around::new(begun.job().clone(), counters, memory, helpers, specs, barrier));
        begun.job().runs(&around);
        let stages = begun.job().bus.as_ref().map(|bus| stages_begin(bus, &around));
        let (set, own) = (around.clone(), work.clone());
        let attempts = inner.master.attempts;
        let place = move |i: usize| places.as_ref().map_or(i, |places| places[i]);
        let placed = place.clone();
        let run = move |i: usize| {
            let spec = &set.specs[i];
            spec.begins(first_attempt + i as u64);
            let around = set.clone();
            let (stage, partition) = (spec.stage, spec.partition);
            let mut current = Current::new(Task { job: set.job.id, stage, partition, attempt: 1, index: i, around });
            let mut added = Updates::default();
            let mut failures = 1 + set.again;
            let result = loop {
                let mut run = || attempt(spec, &current, failures, &own.body, &mut added);
                let result = match &set.job.bus {
                    None => run(),
                    Some(bus) => told(bus, &current.task, run),
                };
                match result {
                    Err(Error::Task { .. })
                        if failures < attempts && set.gate.is_none() && !set.job.cancel.is_over() =>
                    {
                        failures += 1;
                        set.failed.fetch_add(1, Relaxed);
                    }
                    Err(Error::TaskKilled { .. }) if set.gate.is_none() && !set.job.cancel.is_over() => {}
                    result => break result,
                }
                current.again();
                Counters::add(&set.counters.task_retries, 1);
                spec.forget_read();
                spec.begins(set.counters.attempts.fetch_add(1, Relaxed));
            };
            spec.ends();
            let result = match result {
                Ok(result) => Ok((own.keep)(spec.number, result)),
                // One that has to wait for what it needs stops nobody, but those that would wait for it.
                Err(e @ Error::Unplanned { .. }) if set.gate.is_none() => Err(e),
                Err(e) => {
                    set.failed.fetch_add(1, Relaxed);
                    set.job.cancel.silently();
                    Err(e)
                }
            };
            if !added.is_empty() {
                own.added.lock().expect("plain list").push((place(i), added));
            }
            *own.results[place(i)].lock().expect("plain slot") = Some(result);
            if let Some(gate) = &set.gate {
                gate.ends(i);
            }
        };
        match &around.gate {
            None => inner.pool.run(begun.rank.clone(), n, run),
            Some(gate) => {
                let woken = gate.clone();
                around.job.cancel.wake(Arc::new(move || woken.wake()));
                let ran = run_together(n, STACK, run);
                around.job.cancel.forget_wakes();
                if let Err(e) = ran {
                    return (Err(Error::Threads(e)), Vec::new());
                }
            }
        }
        let mut ran = Ran { done: Vec::with_capacity(n), left: Vec::new(), missed: None };
        let mut error = None;
        for i in 0..n {
            match work.results[placed(i)].lock().expect("plain slot").take().expect("every task ended") {
                Ok(r) => ran.done.push(r),
                Err(Error::Unplanned { shuffle, site }) => {
                    ran.left.push(around.specs[i].fresh());
                    ran.missed.get_or_insert_with(|| Missed { shuffle, site, rdds: around.missed() });
                }
                // The first real failure in partition order, not the cancellations it caused.
                Err(e) => {
                    if matches!(error, None | Some(Error::Cancelled { .. })) {
                        error = Some(e);
                    }
                }
            }
        }
        if ran.missed.is_some() && around.gate.is_some() && matches!(error, Some(Error::Cancelled { .. })) {
            error = None;
        }
        if let (Some(bus), Some(stages)) = (&begun.job().bus, stages) {
            stages_end(bus, stages, error.as_ref());
        }
        let mut added = std::mem::take(&mut *work.added.lock().expect("plain list"));
        added.sort_unstable_by_key(|(i, _)| *i);
        (error.map_or(Ok(ran), Err), added)
    }
}

/// One attempt: marks the thread as inside a task, catches what the user's closures throw. What it added to accumulators
/// goes to `added`; of an attempt that failed, only what belongs to the blocks that it left in the cache.
fn attempt<R>(
    spec: &Spec,
    current: &Current,
    failures: u32,
    body: &impl Fn(&Spec, &Task) -> Result<R>,
    added: &mut Updates,
) -> Result<R> {
    let task = &current.task;
    task.check()?;
    let (result, updates) = Inside::run(current, spec.site, || {
        let result = match catch_unwind(AssertUnwindSafe(|| body(spec, task))) {
            Ok(Ok(r)) => Ok(r),
            Ok(Err(e)) => Err(failed(spec, task, failures, Ok(e))),
            Err(payload) => Err(failed(spec, task, failures, payload.downcast::<Carried>().map(|carried| carried.0))),
        };
        match task.around.asked(task) {
            None => result,
            Some(own) => own.end(task, result).map_err(|e| failed(spec, task, failures, Ok(e))),
        }
    });
    added.append(if result.is_ok() { updates } else { updates.only_kept() });
    result
}

/// The error of an attempt, from what its closures returned or threw.
#[cold]
fn failed(spec: &Spec, task: &Task, attempts: u32, met: Result<Error, Box<dyn std::any::Any + Send>>) -> Error {
    let cause = match met {
        Ok(e @ (Error::Cancelled { .. } | Error::TaskKilled { .. } | Error::Task { .. } | Error::Unplanned { .. })) => {
            return e;
        }
        Ok(Error::User(e)) => TaskCause::User(e),
        Ok(e) => TaskCause::Engine(Box::new(e)),
        Err(payload) => TaskCause::Panic(panic_text(&*payload)),
    };
    let site = task::current().unwrap_or(spec.site);
    Error::Task { job: task.job, stage: task.stage, partition: task.partition, attempts, site, cause }
}

/// Tells listeners of an attempt.
fn told<R>(bus: &Bus, task: &Task, run: impl FnOnce() -> Result<R>) -> Result<R> {
    let info = TaskInfo {
        id: task.spec().attempt_id(),
        job: task.job,
        stage: task.stage,
        stage_attempt: task.around.again,
        partition: task.partition,
        attempt: task.attempt - 1,
        started: bus.clock.now(),
    };
    bus.post(|| SparkListenerEvent::TaskStart(info.clone()));
    let began = bus.clock.nanos();
    let result = run();
    let outcome = match &result {
        Ok(_) => TaskOutcome::Succeeded,
        Err(e @ (Error::Cancelled { .. } | Error::TaskKilled { .. } | Error::Unplanned { .. })) => {
            TaskOutcome::Killed(e.to_string())
        }
        Err(e) => TaskOutcome::Failed(e.to_string()),
    };
    let (duration_ns, records_read) = (bus.clock.nanos().saturating_sub(began), task.spec().read());
    bus.post(|| SparkListenerEvent::TaskEnd(TaskEnd { task: info, outcome, duration_ns, records_read }));
    result
}

pub(super) fn stage_info(id: StageId, name: &str, site: Site, tasks: usize) -> StageInfo {
    let name = format!("{name} at {site}");
    StageInfo { id, attempt: 0, name, tasks, submitted: None, completed: None, failure: None }
}
#[cold]
fn stages_begin(bus: &Bus, around: &Around) -> Vec<StageInfo> {
    let mut stages: Vec<StageInfo> = Vec::new();
    for spec in &around.specs {
        match stages.last_mut() {
            Some(last) if last.id == spec.stage => last.tasks += 1,
            _ => stages.push(StageInfo {
                attempt: around.again,
                submitted: Some(bus.clock.now()),
                ..stage_info(spec.stage, spec.name, spec.site, 1)
            }),
        }
    }
    stages.iter().for_each(|stage| bus.post(|| SparkListenerEvent::StageSubmitted(stage.clone())));
    stages
}
#[cold]
fn stages_end(bus: &Bus, stages: Vec<StageInfo>, error: Option<&Error>) {
    let of = match error {
        Some(Error::Task { stage, .. }) => Some(*stage),
        _ => None,
    };
    for stage in stages {
        // Of stages side by side, the one whose task failed.
        let failure = error.filter(|_| of.is_none_or(|id| id == stage.id)).map(Error::to_string);
        let completed = Some(bus.clock.now());
        bus.post(|| SparkListenerEvent::StageCompleted(StageInfo { completed, failure, ..stage }));
    }
}
