//! [`Around`]: what the tasks of one set share. [`Spec`]: one of them, and how far it is.
use super::{Task, context::Own};
use crate::{Counters, RddId, Site, StageId, barrier::Gate, job::Job, memory::Memory, pool::Helpers};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

/// One task to run.
pub(crate) struct Spec {
    pub(crate) stage: StageId,
    /// Which stage of its wave.
    pub(crate) in_wave: usize,
    /// Which task of its set, over all lanes.
    pub(crate) number: usize,
    pub(crate) partition: usize,
    /// The lane that runs it, where there are several.
    pub(crate) owner: usize,
    /// How many partitions its stage's RDD has.
    pub(crate) of: usize,
    pub(crate) name: &'static str,
    pub(crate) site: Site,
    /// The number of its running attempt and one; zero before the first and after the last.
    attempt: AtomicU64,
    over: AtomicBool,
    read: AtomicU64,
}
impl Spec {
    pub(crate) fn new(stage: StageId, partition: usize, of: usize, name: &'static str, site: Site) -> Self {
        Spec {
            stage,
            in_wave: 0,
            number: 0,
            partition,
            owner: 0,
            of,
            name,
            site,
            attempt: AtomicU64::new(0),
            over: AtomicBool::new(false),
            read: AtomicU64::new(0),
        }
    }
    pub(crate) fn begins(&self, attempt_id: u64) {
        self.attempt.store(attempt_id + 1, Relaxed);
    }
    pub(crate) fn ends(&self) {
        self.over.store(true, Relaxed);
    }
    /// The same task, not begun.
    pub(crate) fn fresh(&self) -> Self {
        let Spec { stage, in_wave, number, partition, owner, of, name, site, .. } = *self;
        Spec::new(stage, partition, of, name, site).numbered(in_wave, number).owned_by(owner)
    }
    /// As the `number`th of its set.
    pub(crate) fn numbered(mut self, in_wave: usize, number: usize) -> Self {
        (self.in_wave, self.number) = (in_wave, number);
        self
    }
    /// By this lane.
    pub(crate) fn owned_by(mut self, lane: usize) -> Self {
        self.owner = lane;
        self
    }
    /// The number of its last attempt.
    pub(crate) fn attempt_id(&self) -> u64 {
        self.attempt.load(Relaxed).saturating_sub(1)
    }
    pub(crate) fn has_begun(&self) -> bool {
        self.attempt.load(Relaxed) > 0
    }
    pub(crate) fn is_running(&self) -> bool {
        self.has_begun() && !self.is_over()
    }
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
    #[inline]
    pub(crate) fn has_read(&self, records: usize) {
        // One thread at a time reads a source.
        self.read.store(self.read.load(Relaxed) + records as u64, Relaxed);
    }
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }
    pub(crate) fn forget_read(&self) {
        self.read.store(0, Relaxed);
    }
}

/// What the tasks of one task set share.
pub(crate) struct Around {
    pub(crate) job: Arc<Job>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) helpers: Helpers,
    pub(crate) specs: Vec<Spec>,
    /// Which attempt at the set, from zero.
    pub(crate) again: u32,
    /// Of a barrier stage.
    pub(crate) gate: Option<Arc<Gate>>,
    /// Attempts that failed.
    pub(crate) failed: AtomicU64,
    /// Persisted RDDs of which a block was missing, as often as one was.
    missed: Mutex<Vec<RddId>>,
    /// Whether any task has asked for its context.
    asked: AtomicBool,
    /// The contexts of running attempts, by their numbers; only those that were asked for.
    contexts: Mutex<BTreeMap<u64, Arc<Own>>>,
}
impl Around {
    /// `again` makes it a barrier set: which attempt at it this is.
    pub(crate) fn new(
        job: Arc<Job>,
        counters: Arc<Counters>,
        memory: Arc<Memory>,
        helpers: Helpers,
        specs: Vec<Spec>,
        again: Option<u32>,
    ) -> Self {
        Around {
            job,
            counters,
            memory,
            helpers,
            again: again.unwrap_or(0),
            gate: again.map(|_| Arc::new(Gate::new(specs.len()))),
            specs,
            failed: AtomicU64::new(0),
            missed: Mutex::default(),
            asked: AtomicBool::new(false),
            contexts: Mutex::default(),
        }
    }
    /// A block of this RDD is not there and is computed. What the planner left out because of it may be missing too.
    pub(super) fn misses(&self, rdd: RddId) {
        self.missed.lock().expect("plain list").push(rdd);
    }
    pub(crate) fn missed(&self) -> Vec<RddId> {
        self.missed.lock().expect("plain list").clone()
    }
    fn contexts(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Own>>> {
        self.contexts.lock().expect("no user code runs under this lock")
    }
    /// What a task's context keeps, made when first asked for.
    pub(super) fn own(&self, task: &Task) -> Arc<Own> {
        self.asked.store(true, Release);
        let id = task.spec().attempt_id();
        self.contexts().entry(id).or_insert_with(|| Arc::new(Own::new(id))).clone()
    }
    /// The context of an attempt that ends, if it was asked for.
    #[inline]
    pub(crate) fn asked(&self, task: &Task) -> Option<Arc<Own>> {
        if !self.asked.load(Acquire) {
            return None;
        }
        self.contexts().remove(&task.spec().attempt_id())
    }
}
