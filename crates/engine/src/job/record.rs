//! [`Job`]: what is known of one job while it runs; [`Running`]: all of them, and the last that ended.
use super::Action;
use crate::{Error, JobId, LocalProperties, StageId, listener::Bus, task::Around};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

/// What becomes of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JobStatus {
    /// It runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended with an error, or was cancelled.
    Failed,
}

/// The stages of a job: those it was planned with, and those of later plans.
#[derive(Clone)]
pub(crate) struct Stages(Range<u64>, Vec<Range<u64>>);
impl Stages {
    pub(crate) fn all(self) -> impl Iterator<Item = StageId> {
        self.0.chain(self.1.into_iter().flatten()).map(StageId)
    }
}

/// One job.
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) action: Action,
    pub(crate) properties: LocalProperties,
    pub(crate) cancel: Cancel,
    /// Its stages, once planned: from, and to before.
    stages: [AtomicU64; 2],
    /// Those of later plans.
    more_stages: Mutex<Vec<Range<u64>>>,
    /// The tasks that run now.
    tasks: Mutex<Weak<Around>>,
    status: AtomicU8,
    /// If anybody listened when it began.
    pub(crate) bus: Option<Arc<Bus>>,
}
impl Job {
    pub(crate) fn new(id: JobId, action: Action, properties: LocalProperties, bus: &Arc<Bus>) -> Self {
        Job {
            id,
            action,
            properties,
            cancel: Cancel::default(),
            stages: Default::default(),
            more_stages: Mutex::default(),
            tasks: Mutex::new(Weak::new()),
            status: AtomicU8::new(0),
            bus: bus.is_listened().then(|| bus.clone()),
        }
    }
    pub(crate) fn planned(&self, stages: Range<u64>) {
        // The end last: read the other way round, it is never one half of a range.
        if self.stages[1].load(Acquire) > 0 {
            return self.more_stages.lock().expect("plain list").push(stages);
        }
        self.stages[0].store(stages.start, Relaxed);
        self.stages[1].store(stages.end, Release);
    }
    pub(crate) fn stages(&self) -> Stages {
        let first = match self.stages[1].load(Acquire) {
            0 => 0..0,
            end => self.stages[0].load(Relaxed)..end,
        };
        Stages(first, self.more_stages.lock().expect("plain list").clone())
    }
    pub(crate) fn has_stage(&self, stage: StageId) -> bool {
        self.stages().all().any(|id| id == stage)
    }
    pub(crate) fn runs(&self, tasks: &Arc<Around>) {
        *self.tasks.lock().expect("plain value") = Arc::downgrade(tasks);
    }
    pub(crate) fn tasks(&self) -> Option<Arc<Around>> {
        self.tasks.lock().expect("plain value").upgrade()
    }
    pub(crate) fn ended(&self, well: bool) {
        self.status.store(if well { 1 } else { 2 }, Relaxed);
    }
    pub(crate) fn status(&self) -> JobStatus {
        match self.status.load(Relaxed) {
            0 => JobStatus::Running,
            1 => JobStatus::Succeeded,
            _ => JobStatus::Failed,
        }
    }
    /// What people are told of where it came from.
    pub(crate) fn name(&self) -> String {
        match self.properties.call_site() {
            Some(text) => text.to_owned(),
            None => format!("{} at {}", self.action.name, self.action.site),
        }
    }
}

/// Called when a job is over early, to wake what waits inside its tasks.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

/// Tells tasks of a job to stop at the next chunk: all, or some.
#[derive(Default)]
pub(crate) struct Cancel {
    /// Whether there is anything to look at: asked for each chunk.
    set: AtomicBool,
    /// None before there is anything; most jobs end without.
    why: Mutex<Option<Box<Why>>>,
}
#[derive(Default)]
struct Why {
    /// All tasks are to stop.
    over: bool,
    /// Because somebody asked. Without, because another task of the job failed; that failure is what gets reported.
    reason: Option<String>,
    /// Attempts that are to stop and be made again, with the reason.
    killed: BTreeMap<u64, String>,
    wake: Vec<Wake>,
}
impl Cancel {
    /// Lets `f` look at it, and change it.
    fn why<R>(&self, f: impl FnOnce(&mut Why) -> R) -> R {
        f(self.why.lock().expect("no user code runs under this lock").get_or_insert_default())
    }
    fn over(&self, reason: Option<String>) {
        let wake = self.why(|why| {
            why.over = true;
            if why.reason.is_none() {
                why.reason = reason;
            }
            why.wake.clone()
        });
        self.set.store(true, Release);
        wake.iter().for_each(|wake| wake());
    }
    /// Because somebody asked.
    pub(crate) fn ask(&self, reason: String) {
        self.over(Some(reason));
    }
    /// Because another task of the job failed.
    pub(crate) fn silently(&self) {
        self.over(None);
    }
    /// One attempt of one task.
    pub(crate) fn kill(&self, attempt: u64, reason: String) {
        self.why(|why| why.killed.insert(attempt, reason));
        self.set.store(true, Release);
    }
    /// Takes back what only a failed task of a set has caused, so that the set can be run again.
    pub(crate) fn again(&self) -> bool {
        self.why(|why| {
            if why.reason.is_none() {
                why.over = false;
                self.set.store(!why.killed.is_empty(), Release);
            }
            !why.over
        })
    }
    /// Calls `wake` when the job is over early; at once, if it is.
    pub(crate) fn wake(&self, wake: Wake) {
        let over = self.why(|why| {
            why.wake.push(wake.clone());
            why.over
        });
        if over {
            wake();
        }
    }
    pub(crate) fn forget_wakes(&self) {
        drop(self.why(|why| std::mem::take(&mut why.wake)));
    }
    /// Whether to look closer.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Acquire)
    }
    /// Whether the job is over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_set() && self.why(|why| why.over)
    }
    /// What stops an attempt.
    #[cold]
    pub(crate) fn error(&self, job: JobId, attempt: u64) -> Option<Error> {
        self.why(|why| {
            if why.over {
                let reason = why.reason.clone().unwrap_or_else(|| "another of its tasks failed".into());
                return Some(Error::Cancelled { job, reason });
            }
            let reason = why.killed.get(&attempt)?.clone();
            Some(Error::TaskKilled { job, task: attempt, reason })
        })
    }
}

/// A job that ended.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) id: JobId,
    pub(crate) status: JobStatus,
    pub(crate) properties: LocalProperties,
    pub(crate) stages: Stages,
}

/// The jobs that run now, those that ended last, and the groups that may not run any.
#[derive(Default)]
pub(crate) struct Running(Mutex<Lists>, usize);
#[derive(Default)]
struct Lists {
    /// In no order.
    jobs: Vec<Arc<Job>>,
    ended: VecDeque<Ended>,
    /// With the reason.
    closed: BTreeMap<String, String>,
}
impl Running {
    /// It remembers as many ended jobs.
    pub(crate) fn new(remembered: usize) -> Self {
        Running(Mutex::default(), remembered)
    }
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().expect("no user code runs under this lock")
    }
    pub(crate) fn enter(&self, job: Job) -> Entered<'_> {
        let job = Arc::new(job);
        let closed = {
            let mut lists = self.lists();
            lists.jobs.push(job.clone());
            if lists.closed.is_empty() {
                None
            } else {
                job.properties.job_group().and_then(|g| lists.closed.get(g)).cloned()
            }
        };
        if let Some(reason) = closed {
            job.cancel.ask(reason);
        }
        // In the list before: whoever cancels finds it there, or is seen here.
        if let Some(behalf) = job.properties.behalf() {
            behalf.starts(&job);
        }
        Entered { list: self, job }
    }
    pub(crate) fn jobs(&self) -> Vec<Arc<Job>> {
        let mut jobs = self.lists().jobs.clone();
        jobs.sort_unstable_by_key(|job| job.id);
        jobs
    }
    pub(crate) fn job(&self, id: JobId) -> Option<Arc<Job>> {
        self.lists().jobs.iter().find(|job| job.id == id).cloned()
    }
    pub(crate) fn ended(&self) -> Vec<Ended> {
        self.lists().ended.iter().cloned().collect()
    }
    /// Cancels those jobs; returns how many.
    pub(crate) fn cancel(&self, reason: &str, which: impl Fn(&Job) -> bool) -> usize {
        let chosen: Vec<Arc<Job>> = self.jobs().into_iter().filter(|job| which(job)).collect();
        chosen.iter().for_each(|job| job.cancel.ask(reason.to_owned()));
        chosen.len()
    }
    pub(crate) fn close(&self, group: &str, reason: String) {
        self.lists().closed.insert(group.to_owned(), reason);
    }
    pub(crate) fn reopen(&self, group: &str) {
        self.lists().closed.remove(group);
    }
}

/// One entry of [`Running`], taken out when dropped.
pub(crate) struct Entered<'a> {
    list: &'a Running,
    pub(crate) job: Arc<Job>,
}
impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let job = &self.job;
        let (status, properties) = (job.status(), job.properties.clone());
        let ended = Ended { id: job.id, status, properties, stages: job.stages() };
        let mut lists = self.list.lists();
        if let Some(at) = lists.jobs.iter().position(|j| j.id == job.id) {
            lists.jobs.swap_remove(at);
        }
        if self.list.1 > 0 {
            while lists.ended.len() >= self.list.1 {
                lists.ended.pop_front();
            }
            lists.ended.push_back(ended);
        }
    }
}
