//! [`Store`]: the state of one operator, partition by partition, and what a batch may do to it.
//!
//! A batch is begun, applied once to each partition, and settled. It is applied by tasks, which may fail, be tried again
//! or come twice; whatever they do, a partition has it once or not at all. Settling only notes the outcome for each
//! partition: whoever enters it next, mostly a task of the next batch, carries it out, so that no old value is dropped on
//! the thread of the batch loop.
use super::{
    Layout,
    part::{Done, Part},
    schema::upgrade::Migration,
};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};
use winterbourne_base::{Duration, Time, failpoint};
use winterbourne_engine::{Error, Key, MemoryHold, MemoryUse, Rdd, Result, Site, SparkContext, Wire};

/// One attempt at a batch. Whoever holds one of an attempt that is over is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attempt {
    pub(crate) time: Time,
    number: u64,
}

/// What only the batch loop touches.
struct Driver<K: Key, S: Wire> {
    sc: SparkContext,
    /// The batch that has begun and is not settled.
    batch: Option<Time>,
    /// What brings it to every partition: it has no records.
    applied: Option<Rdd<()>>,
    initial: Option<Rdd<(K, S)>>,
    migrations: Vec<Migration<S>>,
    /// What the state was made of, if its operator says so: the batches in a window.
    mark: Option<Vec<Time>>,
    /// The same once the attempt that is on is settled.
    next_mark: Option<Vec<Time>>,
    /// No checkpoint has begun since the mark changed.
    is_mark_new: bool,
    frozen_mark: Option<Vec<Time>>,
    /// Whether it had begun when the last checkpoint did.
    was_begun: bool,
    /// Whether `initial` is in, or something that replaces it.
    is_seeded: bool,
}
/// A partition behind its lock.
struct Locked<K, S> {
    held: Mutex<Held<K, S>>,
    /// How many are about to take the lock and go before a checkpoint.
    wanted: AtomicU32,
    /// Told when none is any more, if a checkpoint waits for it.
    calm: Condvar,
}
/// A partition, and what is known of the batch that changed it last.
pub(super) struct Held<K, S> {
    part: Part<K, S>,
    /// A checkpoint waits until nobody else wants it.
    is_awaited: bool,
    /// The attempt that changed it.
    attempt: u64,
    /// Whether that one is to stay, once known.
    outcome: Option<bool>,
    /// What it weighs, as part of the memory budget.
    hold: MemoryHold,
}
impl<K: Key, S: Wire> Held<K, S> {
    /// Carries out what settling said.
    fn resolve(&mut self) {
        match self.outcome.take() {
            Some(true) => self.part.commit(),
            Some(false) => self.part.undo(),
            None => return,
        }
        self.part.tidy();
        self.hold.set(self.part.weight());
    }
}

struct Shared<K: Key, S: Wire> {
    kind: &'static str,
    site: Site,
    layout: Layout,
    parts: Vec<Locked<K, S>>,
    /// Number of the attempt that is on; odd while none is.
    attempt: AtomicU64,
    is_volatile: AtomicBool,
    /// Whether a batch has ever brought an RDD.
    is_begun: AtomicBool,
    driver: Mutex<Driver<K, S>>,
}

/// A handle, cheap to clone.
pub(crate) struct Store<K: Key, S: Wire>(Arc<Shared<K, S>>);
impl<K: Key, S: Wire> Clone for Store<K, S> {
    fn clone(&self) -> Self {
        Store(self.0.clone())
    }
}

impl<K: Key, S: Wire> Store<K, S> {
    pub(crate) fn new(kind: &'static str, site: Site, sc: &SparkContext, partitions: usize) -> Self {
        let locked = || Locked {
            held: Mutex::new(Held {
                part: Part::default(),
                is_awaited: false,
                attempt: 0,
                outcome: None,
                hold: sc.hold_memory(MemoryUse::State),
            }),
            wanted: 0.into(),
            calm: Condvar::new(),
        };
        let driver = Driver {
            sc: sc.clone(),
            batch: None,
            applied: None,
            initial: None,
            migrations: Vec::new(),
            mark: None,
            next_mark: None,
            is_mark_new: false,
            frozen_mark: None,
            was_begun: false,
            is_seeded: false,
        };
        Store(Arc::new(Shared {
            kind,
            site,
            layout: Layout::of::<K, S>(),
            parts: (0..partitions).map(|_| locked()).collect(),
            attempt: 1.into(),
            is_volatile: false.into(),
            is_begun: false.into(),
            driver: Mutex::new(driver),
        }))
    }
    pub(crate) fn site(&self) -> Site {
        self.0.site
    }
    pub(crate) fn partitions(&self) -> usize {
        self.0.parts.len()
    }
    pub(super) fn layout(&self) -> &Layout {
        &self.0.layout
    }
    pub(super) fn is_volatile(&self) -> bool {
        self.0.is_volatile.load(Relaxed)
    }
    pub(crate) fn set_volatile(&self) {
        self.0.is_volatile.store(true, Relaxed);
    }
    /// Says that a batch brought an RDD; whether one ever has.
    pub(crate) fn has_begun(&self, now: bool) -> bool {
        self.0.is_begun.fetch_or(now, Relaxed) || now
    }
    pub(super) fn is_begun(&self) -> bool {
        self.0.is_begun.load(Relaxed) || self.driver().is_seeded
    }
    fn driver(&self) -> MutexGuard<'_, Driver<K, S>> {
        self.0.driver.lock().expect("no user code runs under this lock")
    }
    /// Keys without data for longer than this are due, see [`Part::expire`]. Before there are any.
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        (0..self.partitions()).for_each(|p| self.enter(p).part.set_timeout(timeout));
    }
    /// What the state was made of, as far as it is settled.
    pub(crate) fn mark(&self) -> Vec<Time> {
        self.driver().mark.clone().unwrap_or_default()
    }
    /// Says what the state is made of if the attempt that is on is committed.
    pub(crate) fn mark_next(&self, mark: Vec<Time>) {
        self.driver().next_mark = Some(mark);
    }
    pub(super) fn set_mark(&self, mark: Option<Vec<Time>>) {
        self.driver().mark = mark;
    }
    pub(super) fn freeze_mark(&self, everything: bool) {
        let is_begun = self.is_begun();
        let driver = &mut *self.driver();
        driver.was_begun = is_begun;
        let is_wanted = everything || std::mem::take(&mut driver.is_mark_new);
        driver.frozen_mark = driver.mark.clone().filter(|_| is_wanted);
    }
    pub(super) fn was_begun(&self) -> bool {
        self.driver().was_begun
    }
    pub(super) fn frozen_mark(&self) -> Option<Vec<Time>> {
        self.driver().frozen_mark.take()
    }
    pub(crate) fn add_migration(&self, m: Migration<S>) {
        self.driver().migrations.push(m);
    }
    pub(super) fn migrations(&self) -> Vec<Migration<S>> {
        self.driver().migrations.clone()
    }
    pub(crate) fn spark_context(&self) -> SparkContext {
        self.driver().sc.clone()
    }
    /// An error of this operator.
    pub(crate) fn wrong(&self, what: impl std::fmt::Display) -> Error {
        Error::User(format!("the state of the {} at {}: {what}", self.0.kind, self.0.site).into())
    }

    /// A partition as it is.
    ///
    /// SUBTLE: the user's function runs under this lock. Each partition has one user at a time, so nobody waits for it but
    /// a second task for the same partition, and a checkpoint, which lets everybody else go first; and a panic under it
    /// leaves what the undo list heals.
    fn enter(&self, p: usize) -> MutexGuard<'_, Held<K, S>> {
        let Locked { held, wanted, calm } = &self.0.parts[p];
        wanted.fetch_add(1, SeqCst);
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.fetch_sub(1, SeqCst) == 1 && std::mem::take(&mut held.is_awaited) {
            calm.notify_one();
        }
        held
    }
    /// A partition, in memory, settled as far as it can be.
    fn hold(&self, p: usize) -> Result<MutexGuard<'_, Held<K, S>>> {
        let mut held = self.enter(p);
        self.bring_back(p, &mut held.part)?;
        held.resolve();
        Ok(held)
    }
    fn bring_back(&self, p: usize, part: &mut Part<K, S>) -> Result<()> {
        let back = part.bring_back();
        back.map_err(|e| self.wrong(format_args!("partition {p} was put on disk and cannot be read again: {e}")))
    }
    /// Lets a partition go to disk if state takes more than its half of the memory budget: somebody is done with it, for
    /// this batch mostly.
    pub(super) fn ease(&self, p: usize) {
        self.eased(p, &mut self.enter(p));
    }
    fn eased(&self, p: usize, held: &mut Held<K, S>) {
        let Held { part, hold, .. } = held;
        hold.set(part.weight());
        if !hold.is_over() {
            return;
        }
        match part.put_away(hold) {
            Ok(()) => hold.set(part.weight()),
            Err(e) => tracing::warn!("partition {p} of the {} stays in memory: {e}", self.0.kind),
        }
    }
    /// Does something to a partition again and again until that says it is done, or fails; in between whoever else wants
    /// the partition has it. A batch may be open.
    ///
    /// SUBTLE: a lock that is given back and taken again at once is not seen free by those who sleep for it; so this
    /// waits until they have had it.
    pub(super) fn beside(&self, p: usize, mut f: impl FnMut(&mut Part<K, S>) -> Result<bool>) -> Result<()> {
        let Locked { held, wanted, calm } = &self.0.parts[p];
        loop {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            while wanted.load(SeqCst) > 0 {
                held.is_awaited = true;
                held = calm.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
            self.bring_back(p, &mut held.part)?;
            if f(&mut held.part)? {
                self.eased(p, &mut held);
                return Ok(());
            }
        }
    }
    /// A partition outside of any batch.
    pub(super) fn between<R>(&self, p: usize, f: impl FnOnce(&mut Part<K, S>) -> R) -> Result<R> {
        Ok(f(&mut self.hold(p)?.part))
    }
    /// Empties a partition.
    pub(super) fn clear_part(&self, p: usize) {
        let mut held = self.enter(p);
        held.outcome = None;
        held.part.clear();
        held.hold.set(0);
    }
    /// How many keys a partition has, and what the batch that is not settled has done so far.
    pub(super) fn glance(&self, p: usize) -> (u64, Done) {
        let held = self.enter(p);
        match held.outcome {
            // Of the batch before: nothing has happened since.
            Some(ok) => (held.part.len_after(ok) as u64, Done::default()),
            None => (held.part.len() as u64, held.part.pending()),
        }
    }
    fn check(&self, a: Attempt) -> Result<()> {
        if self.0.attempt.load(SeqCst) == a.number {
            return Ok(());
        }
        Err(self.wrong(format_args!(
            "it no longer stands at batch {}; read it in its own batch, or `cache` the stream",
            a.time
        )))
    }
    /// Applies an attempt at a batch to a partition, unless that is done; on an error or a panic the partition is as
    /// before. `done` belongs to the attempt.
    pub(crate) fn apply<R>(
        &self,
        p: usize,
        a: Attempt,
        done: &OnceLock<R>,
        f: impl FnOnce(&mut Part<K, S>) -> Result<R>,
    ) -> Result<()> {
        struct Undo<'a, K: Key, S: Wire>(&'a mut Part<K, S>);
        impl<K: Key, S: Wire> Drop for Undo<'_, K, S> {
            fn drop(&mut self) {
                self.0.undo();
            }
        }
        if done.get().is_some() {
            return Ok(());
        }
        let mut held = self.hold(p)?;
        self.check(a)?;
        if done.get().is_some() {
            return Ok(());
        }
        held.attempt = a.number;
        let undo = Undo(&mut held.part);
        if undo.0.is_open() {
            undo.0.undo();
        }
        let made = f(undo.0)?;
        std::mem::forget(undo);
        let _ = done.set(made);
        self.eased(p, &mut held);
        Ok(())
    }
    /// Some keys and states of a partition to which the attempt has been applied, from slot `from` on; where to go on.
    pub(crate) fn page(&self, p: usize, a: Attempt, from: u32, n: usize) -> Result<(Vec<(K, S)>, u32)> {
        let mut held = self.hold(p)?;
        self.check(a)?;
        let page = held.part.page(from, n);
        if page.1 == held.part.slots() {
            self.eased(p, &mut held);
        }
        Ok(page)
    }

    /// The attempt that is on, if it is one at the batch of t.
    pub(crate) fn attempt(&self, t: Time) -> Option<Attempt> {
        let number = self.0.attempt.load(SeqCst);
        (self.driver().batch == Some(t)).then_some(Attempt { time: t, number })
    }
    /// Says what brings the attempt to every partition.
    pub(crate) fn applied_by(&self, rdd: &Rdd<()>) {
        self.driver().applied = Some(rdd.clone());
    }
    pub(crate) fn applied(&self) -> Option<Rdd<()>> {
        self.driver().applied.clone()
    }
    pub(super) fn begin(&self, t: Time) {
        // Of an attempt that nobody settled.
        if self.0.attempt.load(SeqCst).is_multiple_of(2) {
            self.settle(t, false);
        }
        self.driver().batch = Some(t);
        self.0.attempt.fetch_add(1, SeqCst);
    }
    pub(super) fn advance(&self, t: Time) -> Result<()> {
        let (batch, applied) = {
            let driver = self.driver();
            (driver.batch, driver.applied.clone())
        };
        if batch != Some(t) {
            return Err(self.wrong(format_args!("batch {t} was not begun")));
        }
        applied.map_or(Ok(()), |rdd| rdd.materialize())
    }
    pub(super) fn settle(&self, _: Time, ok: bool) {
        if !self.0.attempt.load(SeqCst).is_multiple_of(2) {
            return;
        }
        // First nobody may enter with the attempt any more; who is inside is waited for.
        let number = self.0.attempt.fetch_add(1, SeqCst);
        for p in 0..self.partitions() {
            let mut held = self.enter(p);
            if held.attempt == number && held.outcome.is_none() {
                held.outcome = Some(ok || failpoint::seeded("state.undo-dropped"));
            }
        }
        let (applied, initial) = {
            let mut driver = self.driver();
            driver.batch = None;
            if let Some(mark) = driver.next_mark.take().filter(|_| ok) {
                driver.mark = Some(mark);
                driver.is_mark_new = true;
            }
            (driver.applied.take(), if ok && driver.is_seeded { driver.initial.take() } else { None })
        };
        drop((applied, initial)); // lineages die outside the lock
    }

    /// What the state is before the first batch.
    pub(crate) fn set_initial(&self, rdd: Option<Rdd<(K, S)>>) {
        self.driver().initial = rdd;
    }
    /// Puts the initial state in, once, unless the state came from a checkpoint.
    pub(crate) fn seed(&self, a: Attempt) -> Result<()> {
        let initial = {
            let driver = self.driver();
            if driver.is_seeded { None } else { driver.initial.clone() }
        };
        if let Some(initial) = initial {
            let rows = initial.hashed_at(self.site(), "initial_state", self.partitions());
            let (store, all) = (self.clone(), (0..self.partitions()).collect());
            rows.spark_context().run_job(&rows, all, move |p, flow, _| {
                // Of an attempt of this task, or of this batch, that failed half-way.
                store.clear_part(p);
                flow.each(|rows| {
                    store.between(p, |part| {
                        rows.for_each(|row| part.put(row.hash, row.key, Some(row.value), a.time, false));
                    })
                })?;
                store.ease(p);
                Ok(())
            })?;
        }
        self.driver().is_seeded = true;
        Ok(())
    }
    /// Whether what is there came from elsewhere: the initial state is then not wanted.
    pub(super) fn set_seeded(&self, is_seeded: bool) {
        self.driver().is_seeded = is_seeded;
        self.0.is_begun.store(is_seeded, Relaxed);
    }
}
