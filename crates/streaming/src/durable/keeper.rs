//! [`Keeper`]: the batch loop's hand in the checkpoint directory. Writes plans and completions, decides when a checkpoint
//! is due, and lets go of what no restart needs any more.
use super::{
    checkpoints::{Checkpointer, Desk, Job},
    compare::Operator,
    log::{Head, Log, Record},
    manifest::{FileRef, InputMark, Manifest},
    received::Received,
    sections::Owner,
};
use crate::{
    batch::{BatchDone, BatchEntry, BatchPlan, DurableStatus, StateChange},
    input::InputNode,
    state::Stateful,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use winterbourne_base::{
    Clock, Duration, Time, failpoint,
    journal::Position,
    storage::{Storage, StorageLock},
};
use winterbourne_engine::{BoxError, SparkContext, guard_driver, hash};

/// How often checkpoints are taken, and how far back they must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) interval: Duration,
    /// Manifests to retain.
    pub(crate) retain: usize,
    /// How long anything remembers what an input gave.
    pub(crate) reach: Duration,
    /// How long anything remembers what a stateful operator gave.
    pub(crate) state_reach: Duration,
}

/// What happened before this process.
pub(super) struct Past {
    pub(super) sequence: u64,
    pub(super) receipt: u64,
    pub(super) planned: Time,
    pub(super) newest: Time,
    /// The batch of the checkpoint that was loaded, and how many completions came after it.
    pub(super) checkpointed: Time,
    pub(super) replayed: u64,
    pub(super) plans: BTreeMap<Time, Position>,
    /// Planned and not completed, or set aside.
    pub(super) open: BTreeSet<Time>,
    /// Readable ones, oldest first.
    pub(super) manifests: Vec<Manifest>,
    pub(super) accumulators: Vec<(String, Vec<u8>)>,
    /// What the state was loaded from.
    pub(super) files: Vec<FileRef>,
}

struct Kept {
    id: String,
    state: Arc<dyn Stateful>,
    /// The next checkpoint holds all of it.
    everything: bool,
}

pub(crate) struct Keeper {
    directory: String,
    log: Log,
    received: Received,
    checkpoints: Checkpointer,
    clock: Arc<dyn Clock>,
    head: Head,
    operators: Vec<Operator>,
    input_ids: Vec<String>,
    states: Vec<Kept>,
    pace: Pace,
    sequence: u64,
    receipt: u64,
    planned: Time,
    newest: Time,
    /// Of plans a restart may ask for.
    plans: BTreeMap<Time, Position>,
    open: BTreeSet<Time>,
    inputs: BTreeMap<Time, u64>,
    last_checkpoint: Time,
    /// The batch of the last one that this process began.
    begun: Option<Time>,
    /// Completions since the last checkpoint.
    fresh: u64,
    /// Of the last completion.
    accumulators: Vec<(String, Vec<u8>)>,
    failures_seen: u64,
    kept_log: Option<Position>,
    _lock: Option<StorageLock>,
}

/// Everything a keeper is made of.
pub(super) struct Parts {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) directory: String,
    pub(super) lock: Option<StorageLock>,
    pub(super) log: Log,
    pub(super) received: Received,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) head: Head,
    pub(super) operators: Vec<Operator>,
    pub(super) input_ids: Vec<String>,
    pub(super) states: Vec<(String, Arc<dyn Stateful>)>,
    /// Ids whose next checkpoint must hold everything.
    pub(super) everything: Vec<String>,
    pub(super) pace: Pace,
    pub(super) past: Past,
}

impl Keeper {
    /// Takes over, and writes down that a run begins.
    pub(super) fn begin(parts: Parts) -> Result<Self, BoxError> {
        let Parts { storage, directory, lock, log, received, clock, head, .. } = parts;
        let Parts { operators, input_ids, states, everything, pace, past, .. } = parts;
        let desk = Desk {
            storage: storage.clone(),
            clock: clock.clone(),
            manifests: past.manifests.into(),
            retain: pace.retain,
            reach: pace.state_reach,
            files: past.files,
        };
        let kept = |(id, state): (String, Arc<dyn Stateful>)| {
            let everything = everything.contains(&id) || !state.is_begun();
            Kept { id, state, everything }
        };
        let mut keeper = Keeper {
            directory,
            log,
            received,
            checkpoints: Checkpointer::start(desk)?,
            clock,
            operators,
            input_ids,
            states: states.into_iter().filter(|(_, s)| !s.is_volatile()).map(kept).collect(),
            pace,
            sequence: past.sequence,
            receipt: past.receipt,
            planned: past.planned,
            newest: past.newest,
            plans: past.plans,
            open: past.open,
            inputs: BTreeMap::new(),
            last_checkpoint: past.checkpointed,
            begun: None,
            fresh: past.replayed,
            accumulators: past.accumulators,
            failures_seen: 0,
            kept_log: None,
            head,
            _lock: lock,
        };
        keeper.log.append(&Record::Head(keeper.head.clone()))?;
        Ok(keeper)
    }

    /// Makes a plan durable, and with it the completions before.
    pub(crate) fn plan(&mut self, plan: &BatchPlan) -> Result<(), BoxError> {
        let bytes = plan.inputs.iter().map(|i| (i.input.as_str(), i.plan.as_slice()));
        self.inputs.insert(plan.time, hash::of(&bytes.collect::<Vec<_>>()));
        let at = self.log.append(&Record::Entry(BatchEntry::Planned(plan.clone())))?;
        failpoint::hit("log.planned");
        let clock = self.clock.clone();
        if !failpoint::seeded("log.plan-not-synced") {
            self.log.sync(|| clock.nanos())?;
        }
        failpoint::hit("log.plan_synced");
        self.plans.insert(plan.time, at);
        self.open.insert(plan.time);
        self.planned = self.planned.max(plan.time);
        Ok(())
    }
    /// What the batch of `done` did to state.
    pub(crate) fn changes(&self) -> Vec<StateChange> {
        self.states.iter().map(|k| change(&k.id, &*k.state)).collect()
    }
    /// Numbers the completion and appends it. Nothing may fail between this and the commit.
    pub(crate) fn complete(&mut self, done: &mut BatchDone) -> Result<(), BoxError> {
        done.sequence = self.sequence + 1;
        let inputs = self.inputs.get(&done.time).copied().unwrap_or_default();
        done.receipt = receipt(self.receipt, done, inputs);
        self.log.append(&Record::Entry(BatchEntry::Completed(done.clone())))?;
        failpoint::hit("log.completed");
        self.sequence = done.sequence;
        self.receipt = done.receipt;
        self.accumulators.clone_from(&done.accumulators);
        self.fresh += 1;
        if done.set_aside.is_none() {
            self.newest = self.newest.max(done.time);
            self.open.remove(&done.time);
            self.inputs.remove(&done.time);
        }
        Ok(())
    }
    /// Makes the completions before durable.
    pub(crate) fn sync(&mut self) -> Result<(), BoxError> {
        let clock = self.clock.clone();
        Ok(self.log.sync(|| clock.nanos())?)
    }
    /// A batch set aside was given up: nothing of it is needed.
    pub(crate) fn give_up(&mut self, t: Time) {
        self.open.remove(&t);
        self.inputs.remove(&t);
    }

    /// After a batch was committed: takes a checkpoint if one is due and the last one is written, and lets go.
    pub(crate) fn settled(&mut self, sc: &SparkContext, inputs: &[Arc<dyn InputNode>]) {
        let due = self.newest >= self.last_checkpoint + self.pace.interval;
        let busy = self.checkpoints.progress().busy;
        if due && !busy {
            self.checkpoint(sc, inputs);
        }
        self.let_go(inputs);
    }
    fn checkpoint(&mut self, sc: &SparkContext, inputs: &[Arc<dyn InputNode>]) {
        let (failures, wants_everything) = {
            let p = self.checkpoints.progress();
            (p.failures, p.wants_everything)
        };
        if failures > self.failures_seen || wants_everything {
            self.failures_seen = failures;
            self.states.iter_mut().for_each(|k| k.everything = true);
        }
        let t = self.newest;
        let (mut owners, mut states) = (Vec::new(), Vec::new());
        for kept in &mut self.states {
            let everything = kept.everything;
            match guard_driver(|| Ok(kept.state.freeze(sc, everything)?)) {
                Ok(()) => {
                    let layout = kept.state.layout().clone();
                    let partitions = kept.state.partitions() as u32;
                    owners.push(Owner { id: kept.id.clone(), layout, partitions, full: everything });
                    states.push(kept.state.clone());
                    kept.everything = !kept.state.is_begun();
                }
                Err(e) => {
                    tracing::error!("no checkpoint for batch {t}: the state of {} could not be frozen: {e}", kept.id);
                    self.states.iter_mut().for_each(|k| k.everything = true);
                    self.checkpoints.progress().failure = Some(e.to_string());
                    return;
                }
            }
        }
        let mark = |(input, id): (&Arc<dyn InputNode>, &String)| {
            let (saved, last) = input.save();
            InputMark { id: id.clone(), saved, last }
        };
        let oldest = self.plans.range(after(t - self.pace.reach)..).map(|(_, p)| *p).min();
        let open = self.open.iter().filter_map(|t| self.plans.get(t).copied()).min();
        let replay_from = [oldest, open].into_iter().flatten().fold(self.log.position(), Position::min);
        let wrong = failpoint::seeded("checkpoint.wrong-sequence");
        let manifest = Manifest {
            sequence: self.sequence - u64::from(wrong),
            time: t,
            planned: self.planned,
            open: self.open.iter().copied().collect(),
            application: self.head.application.clone(),
            build: self.head.build,
            interval: self.head.interval,
            zero: self.head.zero,
            receipt: self.receipt,
            replay_from,
            files: Vec::new(),
            operators: self.operators.clone(),
            inputs: inputs.iter().zip(&self.input_ids).map(mark).collect(),
            accumulators: self.accumulators.clone(),
        };
        self.last_checkpoint = t;
        self.begun = Some(t);
        self.fresh = 0;
        self.checkpoints.submit(Job { manifest, owners, states });
    }
    /// Drops what only older checkpoints needed.
    fn let_go(&mut self, inputs: &[Arc<dyn InputNode>]) {
        let (keep_log, keep_after) = {
            let p = self.checkpoints.progress();
            (p.keep_log, p.keep_after)
        };
        let (Some(from), Some(time)) = (keep_log, keep_after) else { return };
        let from = if failpoint::seeded("log.trimmed-early") { self.log.position() } else { from };
        if self.kept_log == Some(from) {
            return;
        }
        let needed = after(time - self.pace.reach);
        let open: Vec<Time> = self.open.iter().copied().collect();
        self.plans.retain(|t, _| *t >= needed || open.contains(t));
        inputs.iter().for_each(|i| i.retire_before(needed, &open));
        if let Err(e) = self.received.trim() {
            tracing::warn!("old parts of the receiver write-ahead log could not be removed: {e}");
        }
        match self.log.trim_before(from) {
            Ok(_) => self.kept_log = Some(from),
            Err(e) => tracing::warn!("old parts of the batch log could not be removed: {e}"),
        }
    }
    /// The stream is over: what was completed is made durable, and a last checkpoint is written. Whether the former could be done.
    pub(crate) fn finish(&mut self, sc: &SparkContext, inputs: &[Arc<dyn InputNode>]) -> bool {
        if let Err(e) = self.received.finish() {
            tracing::error!("some of what was received last is not durable: {e}");
        }
        if let Err(e) = self.log.finish() {
            tracing::error!("the end of the batch log is not durable, its last batch will be run again: {e}");
            return false;
        }
        failpoint::hit("log.finished");
        self.checkpoints.await_idle();
        if self.fresh > 0 {
            self.checkpoint(sc, inputs);
        }
        self.checkpoints.close();
        true
    }

    /// Waits until nothing is being written.
    pub(crate) fn await_checkpoint(&self) {
        self.checkpoints.await_idle();
    }
    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }
    pub(crate) fn status(&self) -> DurableStatus {
        let p = self.checkpoints.progress();
        DurableStatus {
            directory: self.directory.clone(),
            sequence: self.sequence,
            receipt: self.receipt,
            checkpoints: p.written,
            checkpoint_begun: self.begun,
            last_checkpoint: p.last,
            checkpoint_bytes: p.bytes,
            checkpoint_failure: p.failure.clone(),
            log_syncs: self.log.costs.syncs,
            log_bytes: self.log.costs.bytes,
            last_sync_us: self.log.costs.last_sync_us,
            longest_sync_us: self.log.costs.longest_sync_us,
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Before the lock goes.
        self.received.close();
    }
}

/// The first time after t.
fn after(t: Time) -> Time {
    t + Duration::from_millis(1)
}
pub(super) fn change(id: &str, state: &dyn Stateful) -> StateChange {
    let s = state.stats();
    StateChange { operator: id.to_owned(), keys: s.keys, changed: s.changed, removed: s.removed }
}
pub(super) fn receipt(before: u64, done: &BatchDone, inputs: u64) -> u64 {
    let states: Vec<_> = done.states.iter().map(|s| (s.operator.as_str(), s.keys, s.changed, s.removed)).collect();
    hash::of(&(before, done.time.as_millis(), inputs, done.set_aside.is_some(), states))
}
