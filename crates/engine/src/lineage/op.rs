//! [`Op`]: the one generic node. It adds to its closure the keeping of computed partitions, and that a checkpoint may
//! replace it.
use super::{Dep, Meta, Node};
use crate::{
    Data, Flow, Result, Site, SparkContext, StorageLevel, Task,
    accumulator::Apart,
    blocks::{About, Blocks, Keeping},
    checkpoint::{Checkpoints, How, Mark},
};
use std::sync::{
    Arc, Mutex, OnceLock, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

type Compute<T> = Box<dyn Fn(usize, &Task) -> Result<Flow<T>> + Send + Sync>;

/// What a node is computed from, and how.
pub(crate) struct Body<T: Data> {
    /// The closure reads exactly these.
    pub(crate) deps: Vec<Dep>,
    pub(crate) compute: Compute<T>,
}

/// How a node holds its body. It is decided when a job first comes to it, or when it is marked for a checkpoint, whatever
/// is first: so a node that nobody marks costs nothing to read.
enum Held<T: Data> {
    /// For good.
    Fixed(Body<T>),
    /// To be replaced once it is checkpointed.
    Marked(Mark<T>),
}

/// A node of records `T`: its shape and the closure that computes a partition.
pub struct Op<T: Data> {
    pub(crate) meta: Meta,
    blocks: Arc<Blocks>,
    persisted: AtomicBool,
    /// How partitions are kept, and the term under which the block store knows that. Read only if persisted.
    keeping: RwLock<Option<(Keeping<T>, u64)>>,
    /// The body until it is decided how to hold it.
    fresh: Mutex<Option<Body<T>>>,
    held: OnceLock<Held<T>>,
}

impl<T: Data> Node for Op<T> {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn is_persisted(&self) -> bool {
        self.persisted.load(Relaxed)
    }
    fn each_dep(&self, f: &mut dyn FnMut(&Dep)) {
        match self.held() {
            Held::Fixed(body) => body.deps.iter().for_each(f),
            Held::Marked(mark) => mark.body().deps.iter().for_each(f),
        }
    }
    fn peek_deps(&self, f: &mut dyn FnMut(&Dep)) {
        if self.held.get().is_none()
            && let Some(body) = &*self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
        {
            return body.deps.iter().for_each(f);
        }
        self.each_dep(f);
    }
    fn is_to_be_checkpointed(&self) -> bool {
        matches!(self.held.get(), Some(Held::Marked(mark)) if mark.is_waiting())
    }
    fn write_checkpoint(self: Arc<Self>, sc: &SparkContext) -> Result<()> {
        match self.held() {
            Held::Marked(mark) => mark.write(&self, sc),
            Held::Fixed(_) => Ok(()),
        }
    }
}
impl<T: Data> Op<T> {
    pub(crate) fn new(meta: Meta, blocks: Arc<Blocks>, body: Body<T>) -> Self {
        let (persisted, keeping) = (AtomicBool::new(false), RwLock::default());
        Op { meta, blocks, persisted, keeping, fresh: Mutex::new(Some(body)), held: OnceLock::new() }
    }
    fn take_fresh(&self) -> Body<T> {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.take().expect("taken by the one that decides")
    }
    #[inline]
    fn held(&self) -> &Held<T> {
        self.held.get_or_init(|| Held::Fixed(self.take_fresh()))
    }
    /// Marks it for a checkpoint, unless a job has come to it before; the mark, if it has one now.
    pub(crate) fn mark(&self, how: How<T>, site: Site, all: &Arc<Checkpoints>) -> Option<&Mark<T>> {
        let held = self.held.get_or_init(|| Held::Marked(Mark::new(self.take_fresh(), how, site, all.clone())));
        match held {
            Held::Fixed(_) => None,
            Held::Marked(mark) => {
                mark.change(how);
                Some(mark)
            }
        }
    }
    pub(crate) fn marked(&self) -> Option<&Mark<T>> {
        match self.held.get() {
            Some(Held::Marked(mark)) => Some(mark),
            _ => None,
        }
    }

    /// Keeps partitions from now on. The level that it has already, if that is another one.
    pub(crate) fn persist(&self, keeping: Keeping<T>) -> Result<(), StorageLevel> {
        let mut now = self.keeping.write().unwrap_or_else(PoisonError::into_inner);
        match &*now {
            Some((has, _)) if has.level == keeping.level && has.pinned >= keeping.pinned => Ok(()),
            Some((has, _)) if has.level != keeping.level => Err(has.level),
            _ => {
                if keeping.level.is_kept() {
                    *now = Some((keeping, self.register(&keeping)));
                    self.persisted.store(true, Relaxed);
                }
                Ok(())
            }
        }
    }
    /// Keeps partitions from now on so, whatever the level was.
    pub(crate) fn persist_instead(&self, keeping: Keeping<T>) {
        let mut now = self.keeping.write().unwrap_or_else(PoisonError::into_inner);
        *now = Some((keeping, self.register(&keeping)));
        self.persisted.store(true, Relaxed);
    }
    fn register(&self, keeping: &Keeping<T>) -> u64 {
        let Meta { id, name, site, partitions, .. } = &self.meta;
        let about = About { id: *id, name, site: *site, level: keeping.level, partitions: partitions.clone() };
        self.blocks.register(about, keeping)
    }
    pub(crate) fn unpersist(&self) {
        let mut now = self.keeping.write().unwrap_or_else(PoisonError::into_inner);
        *now = None;
        self.persisted.store(false, Relaxed);
        drop(now);
        self.blocks.forget(self.meta.id);
    }
    pub(crate) fn keeping(&self) -> Option<(Keeping<T>, u64)> {
        *self.keeping.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records of a partition: from the block store if persisted and present, else computed (and stored). Two tasks
    /// that compute one block at once do double work; the first to finish is kept.
    ///
    /// # Errors
    /// What the lineage below met.
    pub fn flow(&self, partition: usize, task: &Task) -> Result<Flow<T>> {
        // SUBTLE: this recurses as deep as the lineage is long; what needs stack is elsewhere.
        if self.is_persisted() {
            return self.kept(partition, task);
        }
        match self.held() {
            Held::Fixed(body) => (body.compute)(partition, task),
            Held::Marked(mark) => self.replaceable(mark, partition, task),
        }
    }
    fn replaceable(&self, mark: &Mark<T>, partition: usize, task: &Task) -> Result<Flow<T>> {
        (mark.body().compute)(partition, task)
    }
    /// SUBTLE: all that is not needed while the lineage below is asked is in functions of its own, off the stack.
    fn kept(&self, partition: usize, task: &Task) -> Result<Flow<T>> {
        match self.found(partition, task) {
            Ok(None) => {}
            found => return found.map(|flow| flow.expect("none was looked at above")),
        }
        // What is added to accumulators from here on belongs to the block.
        let apart = Apart::begin();
        let flow = match self.held() {
            Held::Fixed(body) => (body.compute)(partition, task),
            Held::Marked(mark) => self.replaceable(mark, partition, task),
        };
        self.keep(partition, task, flow, apart)
    }
    fn found(&self, partition: usize, task: &Task) -> Result<Option<Flow<T>>> {
        let Some((keeping, term)) = self.keeping() else { return Ok(None) };
        let found = (keeping.read)(&keeping, &self.blocks, (self.meta.id, partition), term, task)?;
        if found.is_none() {
            task.misses(self.meta.id);
        }
        Ok(found)
    }
    fn keep(&self, partition: usize, task: &Task, flow: Result<Flow<T>>, apart: Apart) -> Result<Flow<T>> {
        match self.keeping() {
            Some((keeping, term)) => {
                (keeping.keep)(&keeping, &self.blocks, (self.meta.id, partition), term, task, flow?, apart)
            }
            // Unpersisted since it was asked for.
            None => {
                apart.end().absorb();
                flow
            }
        }
    }
}
impl<T: Data> Drop for Op<T> {
    fn drop(&mut self) {
        if self.is_persisted() {
            self.blocks.forget(self.meta.id);
        }
    }
}
