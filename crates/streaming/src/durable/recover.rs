//! Recovery: opening the directory, the checkpoint to begin from, and what the log says happened after it.
//!
//! Nothing is touched before everything was looked at: what the program would lose or cannot read is refused while the
//! directory is still as it was found.
use super::{
    Durable, Expect, Place,
    compare::{Comparison, Operator, compare},
    keeper::{self, Keeper, Pace, Past},
    log::{self, Head, Log, Record},
    manifest::Manifest,
    received::{self, Received},
    sections::{Reader, Slice, sources},
};
use crate::{
    Error,
    batch::{BatchDone, BatchEntry, BatchPlan, Runner},
    graph::StreamNode,
    input::{InputNode, PlannedInput},
    state::{Stateful, Stored},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use winterbourne_base::{
    Clock, Duration, Time, failpoint,
    journal::{Journal, JournalError, JournalOptions, Position},
    storage::{Storage, StorageLock},
};
use winterbourne_engine::{SparkContext, guard_driver};

/// Segments of the batch log are small, so that trimming has something to remove.
const SEGMENT: u64 = 8 << 20;

/// The directory as it was found.
pub(crate) struct Opened {
    directory: String,
    storage: Arc<dyn Storage>,
    lock: Option<StorageLock>,
    journal: Journal,
    entries: Vec<(Position, Record)>,
    /// The log reaches back to the first run.
    whole: bool,
    /// Readable ones, newest first.
    manifests: Vec<Manifest>,
    /// Names and faults of the others.
    damaged: Vec<(String, String)>,
}

/// Why there is no going on.
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// What is there cannot be read: a program may have said that it then begins anew.
    pub(crate) unreadable: bool,
}
impl From<Refusal> for Error {
    fn from(r: Refusal) -> Self {
        r.error
    }
}
fn refused(directory: &str, what: impl Into<String>) -> Refusal {
    let error = Error::Recovery { directory: directory.to_owned(), what: what.into() };
    Refusal { error, unreadable: false }
}
fn unreadable(directory: &str, what: impl Into<String>) -> Refusal {
    Refusal { unreadable: true, ..refused(directory, what) }
}

/// Falling back behind what a newer build wrote would throw it away in the end.
fn newer(directory: &str, storage: &dyn Storage, name: &str, version: u32) -> Refusal {
    let file = storage.describe(name);
    refused(
        directory,
        format!("{file} has version {version} of its format, which this build does not read: use the newer build"),
    )
}

/// Opens the checkpoint directory for this process.
///
/// # Errors
/// [`Error::Recovery`]: it is in use, does not hold what is expected, or is damaged where it must not be.
pub(crate) fn open(place: &Place, expect: Expect) -> Result<Opened, Refusal> {
    let directory = &*place.to_string();
    let (storage, lock) = place.take().map_err(|e| refused(directory, e.to_string()))?;
    let (mut manifests, mut damaged) = (Vec::new(), Vec::new());
    for (name, found) in Manifest::all(&*storage).map_err(|e| refused(directory, e.to_string()))? {
        match found {
            Ok(m) => manifests.push(m),
            Err(why) => match Manifest::newer(&*storage, &name) {
                Some(version) => return Err(newer(directory, &*storage, &name, version)),
                None => damaged.push((storage.describe(&name), why)),
            },
        }
    }
    for f in manifests.iter().flat_map(|m| &m.files).map(|f| f.name.as_str()).collect::<BTreeSet<_>>() {
        if let Some(version) = Reader::newer(&*storage, f) {
            return Err(newer(directory, &*storage, f, version));
        }
    }
    let options = JournalOptions { segment_bytes: failpoint::size(SEGMENT, 4 << 10), ..JournalOptions::default() };
    let mut entries = Vec::new();
    let opened = Journal::open(storage.clone(), "log", options, |at, bytes| {
        entries.push((at, log::decode(bytes).map_err(JournalError::Rejected)?));
        Ok(())
    });
    let (journal, found) = opened.map_err(|e| match e {
        JournalError::Version { .. } => refused(directory, e.to_string()),
        damaged => unreadable(directory, damaged.to_string()),
    })?;
    if let Some(cut) = &found.cut {
        tracing::warn!("{}: {} byte(s) of an unfinished record were cut off at {}", cut.file, cut.bytes, cut.offset);
    }
    // Records may have been acknowledged before the first batch was planned.
    let received = Received::is_in(&*storage).map_err(|e| refused(directory, e.to_string()))?;
    let is_new = entries.is_empty() && manifests.is_empty() && damaged.is_empty() && !received;
    match expect {
        Expect::Nothing if !is_new => {
            let name = entries.iter().find_map(|(_, r)| match r {
                Record::Head(h) => Some(h.application.clone()),
                Record::Entry(_) => None,
            });
            let name = name.or_else(|| manifests.first().map(|m| m.application.clone())).unwrap_or_default();
            return Err(refused(
                directory,
                format!(
                    "it holds the log of {name:?}: continue it with StreamingContext::get_or_create, or choose another \
                     directory"
                ),
            ));
        }
        Expect::Log if is_new => return Err(refused(directory, "there is no log to continue")),
        _ => {}
    }
    let whole = found.first_record == 0;
    Ok(Opened { directory: directory.to_owned(), storage, lock, journal, entries, whole, manifests, damaged })
}

/// The program that wants to go on.
pub(crate) struct Program<'a> {
    pub(crate) sc: &'a SparkContext,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) build: u64,
    pub(crate) interval: Duration,
    /// Where its first batch would be, if it is new.
    pub(crate) zero: Time,
    pub(crate) operators: Vec<Operator>,
    pub(crate) inputs: Vec<(String, Arc<dyn InputNode>)>,
    pub(crate) states: Vec<(String, Arc<dyn Stateful>)>,
    /// Ids whose state or records may go.
    pub(crate) consent: Vec<String>,
    pub(crate) pace: Pace,
}

/// What was found and loaded.
pub(crate) struct Recovery {
    pub(crate) keeper: Keeper,
    /// The time before the first batch ever.
    pub(crate) zero: Time,
    /// The last tick that was planned; none if the application is new.
    pub(crate) planned: Option<Time>,
    /// Completions to apply again, in order.
    done: Vec<BatchDone>,
    /// Batches of before the checkpoint that inputs have to give once more, for those who look back.
    before: Vec<Time>,
    /// Planned, not completed.
    unfinished: Vec<Time>,
    /// Set aside, and not run since; with the outputs that are not to be repeated.
    aside: Vec<(Time, Vec<String>)>,
    /// As the last completion left them.
    accumulators: Vec<(String, Vec<u8>)>,
}

/// What the log says of batches.
#[derive(Default)]
struct History {
    plans: BTreeMap<Time, (Position, BatchPlan)>,
    done: Vec<BatchDone>,
    head: Option<Head>,
}
impl History {
    fn of(entries: Vec<(Position, Record)>) -> Self {
        let mut h = History::default();
        for (at, record) in entries {
            match record {
                Record::Head(head) => h.head = Some(head),
                Record::Entry(BatchEntry::Planned(p)) => {
                    // A batch that was tried again: where it was planned first is how far back the log is needed.
                    let first = h.plans.get(&p.time).map_or(at, |(first, _)| *first);
                    h.plans.insert(p.time, (first, p));
                }
                Record::Entry(BatchEntry::Completed(d)) => h.done.push(d),
            }
        }
        h
    }
    /// Planned, but not completed by the end of the log nor in the checkpoint (whose last completions the log may have
    /// lost); and those set aside.
    fn open(&self, base: Option<&Manifest>) -> (BTreeSet<Time>, BTreeSet<Time>) {
        let mut unfinished: BTreeSet<Time> = self.plans.keys().copied().collect();
        let mut aside = BTreeSet::new();
        if let Some(m) = base {
            unfinished.retain(|t| *t > m.planned || m.open.contains(t));
        }
        for d in &self.done {
            unfinished.remove(&d.time);
            if d.set_aside.is_some() {
                aside.insert(d.time);
            } else {
                aside.remove(&d.time);
            }
        }
        (unfinished, aside)
    }
    /// The outputs of a batch set aside that succeeded.
    fn succeeded(&self, t: Time) -> Vec<String> {
        let last = self.done.iter().rev().find(|d| d.time == t);
        last.map_or(Vec::new(), |d| d.outputs.clone())
    }
}

/// Compares, loads state and positions, and begins a run in the log.
///
/// # Errors
/// [`Error::Recovery`]; the directory is as it was, the operators are empty.
pub(crate) fn restore(opened: Opened, program: Program<'_>) -> Result<Recovery, Refusal> {
    let Opened { directory, storage, lock, journal, entries, whole, manifests, damaged } = opened;
    let refuse = |what: String| refused(&directory, what);
    let lost = |what: String| unreadable(&directory, what);
    for (name, why) in &damaged {
        tracing::error!("checkpoint {name} cannot be used: {why}; an older one is taken");
    }
    let history = History::of(entries);
    let newest = manifests.first().map(|m| (m.application.clone(), m.interval, m.zero, m.operators.clone()));
    let known = match (newest, &history.head) {
        (Some(known), _) => Some(known),
        (None, Some(head)) => Some((head.application.clone(), head.interval, head.zero, head.operators.clone())),
        (None, None) if history.plans.is_empty() && damaged.is_empty() => None,
        (None, None) => return Err(lost("it has no readable checkpoint, and its log has no beginning".into())),
    };
    let zero = known.as_ref().map_or(program.zero, |k| k.2);
    let mut comparison = Comparison::default();
    if let Some((name, interval, _, operators)) = &known {
        if *interval != program.interval.as_millis() {
            let now = program.interval.as_millis();
            return Err(refuse(format!(
                "its batches have an interval of {interval} ms, this program's {now} ms: windows and times would not fit; \
                 use the same interval, or a new directory"
            )));
        }
        let accepts = |id: &str, stored: &_| match program.states.iter().find(|(s, _)| s == id) {
            Some((_, state)) => state.accepts(stored),
            None => Ok(Vec::new()),
        };
        comparison = compare(operators, &program.operators, accepts);
        tracing::info!("recovering {name:?} from {directory}:{comparison}");
        let objections = comparison.objections(&program.consent);
        if !objections.is_empty() {
            return Err(refuse(format!("this program would lose something:\n  {}", objections.join("\n  "))));
        }
    }
    let options = received::Options::of(program.sc.conf()).map_err(|e| refuse(e.to_string()))?;
    let opened = Received::open(storage.clone(), program.clock.clone(), options);
    let received = opened.map_err(|e| lost(e.to_string()))?.0;
    let ownerless = ownerless(&received, &program).map_err(refuse)?;
    for (id, input) in &program.inputs {
        let durable = Durable { id: id.clone(), received: received.clone() };
        input.attach(&durable).map_err(|e| refuse(e.to_string()))?;
    }
    let Base { manifest: base, changed, failed } =
        begin_from(&storage, &manifests, whole, &comparison, &program).map_err(lost)?;
    let from = base.map_or(0, |m| m.sequence);
    let (unfinished, aside) = history.open(base);
    let planned = history.plans.keys().next_back().copied().max(base.map(|m| m.planned));
    let reach_from = base.map_or(zero, |m| m.time) - program.pace.reach;
    restore_inputs(&program, base, &history, reach_from, &unfinished, &aside).map_err(refuse)?;
    let done: Vec<BatchDone> = history.done.iter().filter(|d| d.sequence > from).cloned().collect();
    let again: BTreeSet<Time> = done.iter().map(|d| d.time).collect();
    let before: Vec<Time> = match base {
        None => Vec::new(),
        Some(m) => history.plans.range(..=m.time).map(|(t, _)| *t).filter(|t| *t > reach_from).collect(),
    };
    let before: Vec<Time> =
        before.into_iter().filter(|t| !again.contains(t) && !aside.contains(t) && !unfinished.contains(t)).collect();
    let everything =
        |(id, _): &(String, Arc<dyn Stateful>)| (!comparison.loads(id) || changed.contains(id)).then(|| id.clone());
    let last = history.done.last();
    let accumulators = match last.filter(|d| d.sequence >= from) {
        Some(d) => d.accumulators.clone(),
        None => base.map_or(Vec::new(), |m| m.accumulators.clone()),
    };
    let past = Past {
        accumulators: accumulators.clone(),
        sequence: last.map_or(from, |d| d.sequence.max(from)),
        receipt: last.filter(|d| d.sequence >= from).map_or(base.map_or(0, |m| m.receipt), |d| d.receipt),
        planned: planned.unwrap_or(zero),
        newest: again.last().copied().max(base.map(|m| m.time)).unwrap_or(zero),
        checkpointed: base.map_or(zero, |m| m.time),
        replayed: done.len() as u64,
        plans: history.plans.iter().map(|(t, (at, _))| (*t, *at)).collect(),
        open: unfinished.iter().chain(&aside).copied().collect(),
        files: base.map_or(Vec::new(), |m| m.files.clone()),
        // Newer ones that were passed over, for the sake of those who look back on state, are good for the next start:
        // what they name must stay.
        manifests: manifests
            .iter()
            .rev()
            .filter(|m| m.sequence <= from || !failed.contains(&m.sequence))
            .cloned()
            .collect(),
    };
    failpoint::hit("recovery.loaded");
    let head = Head {
        application: program.sc.app_name().to_owned(),
        build: program.build,
        interval: program.interval.as_millis(),
        zero,
        operators: program.operators.clone(),
    };
    let everything = program.states.iter().filter_map(everything).collect();
    for (id, records) in ownerless {
        tracing::warn!("{records} received record(s) of input {id} are let go, as spark.streaming.recovery.drop says");
        received.drop_input(&id).map_err(|e| refuse(e.to_string()))?;
    }
    let keeper = Keeper::begin(keeper::Parts {
        storage,
        directory: directory.clone(),
        lock,
        log: Log::new(journal),
        received,
        clock: program.clock.clone(),
        head,
        operators: program.operators,
        input_ids: program.inputs.iter().map(|(id, _)| id.clone()).collect(),
        states: program.states,
        everything,
        pace: program.pace,
        past,
    });
    let keeper = keeper.map_err(|e| refused(&directory, e.to_string()))?;
    Ok(Recovery {
        keeper,
        zero,
        planned: known.map(|_| planned.unwrap_or(zero)),
        done,
        before,
        unfinished: unfinished.into_iter().collect(),
        aside: aside.into_iter().map(|t| (t, history.succeeded(t))).collect(),
        accumulators,
    })
}

/// What a start begins from: a checkpoint, or the beginning of the log.
#[derive(Default)]
struct Base<'m> {
    manifest: Option<&'m Manifest>,
    /// Operators whose files are no longer as they would be written: in layout, or in the number of partitions.
    changed: Vec<String>,
    /// Sequences of the checkpoints that could not be loaded.
    failed: Vec<u64>,
}

/// Inputs with blocks that the program does not have; their user lets them go. What of an input was let go before has no
/// blocks, so this also finds those that no checkpoint lists yet.
fn ownerless(received: &Received, program: &Program<'_>) -> Result<Vec<(String, u64)>, String> {
    let mut ownerless = received.inputs();
    ownerless.retain(|(id, _)| !program.inputs.iter().any(|(mine, _)| mine == id));
    match ownerless.iter().find(|(id, _)| !program.consent.iter().any(|c| c == id || c == "all")) {
        Some((id, records)) => Err(format!(
            "{records} record(s) were received for input {id}, which is not in the program any more: put it back, or let \
             them go with spark.streaming.recovery.drop={id}"
        )),
        None => Ok(ownerless),
    }
}

/// The newest checkpoint that can be loaded and is old enough for those who look back on state; it is loaded.
fn begin_from<'m>(
    storage: &Arc<dyn Storage>,
    manifests: &'m [Manifest],
    whole: bool,
    comparison: &Comparison,
    program: &Program<'_>,
) -> Result<Base<'m>, String> {
    let Some(newest) = manifests.first() else {
        return if whole {
            Ok(Base::default())
        } else {
            Err("no checkpoint can be read, and the log does not reach back to the beginning".into())
        };
    };
    let reach = program.pace.state_reach;
    let old_enough = |m: &&&Manifest| m.time + reach <= newest.time;
    let mut candidates: Vec<&Manifest> = manifests.iter().filter(|m| old_enough(&m)).collect();
    if candidates.is_empty() && !whole {
        tracing::warn!("no checkpoint reaches {reach} back: windows over state are incomplete at first");
        candidates = manifests.iter().rev().collect();
    }
    let (mut last, mut failed) = (String::new(), Vec::new());
    for m in candidates {
        program.states.iter().for_each(|(_, s)| s.clear());
        match load(storage, m, comparison, program) {
            Ok(changed) => return Ok(Base { manifest: Some(m), changed, failed }),
            Err(why) => {
                tracing::error!("the checkpoint of batch {} cannot be loaded: {why}; an older one is taken", m.time);
                last = why;
                failed.push(m.sequence);
            }
        }
    }
    program.states.iter().for_each(|(_, s)| s.clear());
    if whole {
        return Ok(Base { failed, ..Base::default() });
    }
    Err(format!("no checkpoint can be used ({last}), and the log does not reach back to the beginning"))
}

/// Loads a checkpoint's state. The operators whose files are no longer as they would be written.
fn load(
    storage: &Arc<dyn Storage>,
    m: &Manifest,
    comparison: &Comparison,
    program: &Program<'_>,
) -> Result<Vec<String>, String> {
    let (mut files, mut changed) = (Vec::new(), Vec::new());
    for f in &m.files {
        let len = storage.len(&f.name).map_err(|e| e.to_string())?;
        if len != f.len {
            return Err(format!("{} has {len} bytes where {} should be", storage.describe(&f.name), f.len));
        }
        files.push(Reader::open(&**storage, &f.name)?);
    }
    for (id, state) in program.states.iter().filter(|(id, _)| comparison.loads(id)) {
        for (file, owner) in sources(&files, id) {
            let slices = in_turns(file.slices_of(owner));
            let records = slices.iter().map(|s| s.records as usize).sum();
            let found = &file.index.owners[owner as usize];
            let is_cut_so = found.layout == *state.layout() && found.partitions as usize == state.partitions();
            let stored = Stored { layout: found.layout.clone(), time: file.index.time, records };
            state.accepts(&stored.layout)?;
            let (storage, reader, count) = (storage.clone(), file.clone(), slices.len());
            let read = move |i: usize| {
                let section = reader.section(&*storage, &slices[i]);
                section.map_err(|why| winterbourne_engine::Error::User(why.into()))
            };
            let loaded = guard_driver(|| Ok(state.load(program.sc, &stored, count, Arc::new(read))?));
            // Records may be in another partition than they were although there are as many: a hash is not for ever.
            if loaded.map_err(|e| e.to_string())? || !is_cut_so {
                changed.push(id.clone());
            }
        }
    }
    Ok(changed)
}

/// One slice of each partition, then the next of each: who load side by side then fill different partitions.
fn in_turns(slices: impl Iterator<Item = Slice>) -> Vec<Slice> {
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    let mut out: Vec<(u32, Slice)> = slices
        .map(|s| {
            let turn = seen.entry(s.partition).or_default();
            *turn += 1;
            (*turn, s)
        })
        .collect();
    out.sort_by_key(|(turn, s)| (*turn, s.partition));
    out.into_iter().map(|(_, s)| s).collect()
}

fn restore_inputs(
    program: &Program<'_>,
    base: Option<&Manifest>,
    history: &History,
    reach_from: Time,
    unfinished: &BTreeSet<Time>,
    aside: &BTreeSet<Time>,
) -> Result<(), String> {
    for (id, input) in &program.inputs {
        let bad = |e: winterbourne_engine::BoxError| format!("input {id}: {e}");
        let mark = base.and_then(|m| m.inputs.iter().find(|i| i.id == *id));
        let planned = base.map_or(Time::default(), |m| m.planned);
        input.load(mark.and_then(|m| m.saved.as_deref())).map_err(bad)?;
        let wanted = |t: &Time| *t > reach_from || unfinished.contains(t) || aside.contains(t);
        let restore = |(t, (_, plan)): (&Time, &(Position, BatchPlan))| {
            let Some(p) = plan.inputs.iter().find(|i| i.input == *id) else { return Ok(()) };
            let (description, plan) = (p.description.clone(), p.plan.clone());
            let said = PlannedInput { records: p.records, description, plan, ..PlannedInput::default() };
            input.restore(*t, said).map_err(|e| format!("input {id}, batch {t}: {e}"))
        };
        // The last plan before the checkpoint need not be among those the log still has: it is said in its place.
        history.plans.range(..=planned).filter(|(t, _)| wanted(t)).try_for_each(restore)?;
        if let Some(last) = mark.and_then(|m| m.last.as_deref()) {
            input.resume(last).map_err(bad)?;
        }
        history.plans.iter().filter(|(t, _)| **t > planned).try_for_each(restore)?;
    }
    Ok(())
}

/// Applies the completions of the log once more, without outputs. The batches left to run in full.
///
/// # Errors
/// [`Error::Recovery`]: a batch cannot be applied, say because a file it read is gone.
pub(crate) fn replay(runner: &mut Runner, recovery: Replay) -> Result<Vec<Time>, Error> {
    let Replay { done, before, unfinished, aside, accumulators, directory } = recovery;
    for t in before {
        for n in runner.nodes.iter().filter(|n| n.meta().parents.is_empty()) {
            apply(n, t, &directory)?;
        }
        runner.inputs.iter().for_each(|i| i.settle(t));
    }
    let skips = usize::from(failpoint::seeded("recovery.completion-not-replayed"));
    for d in done.into_iter().skip(skips) {
        let t = d.time;
        if d.set_aside.is_some() {
            continue;
        }
        apply_all(runner, t, &directory)?;
        let states = runner.keeper.as_ref().map_or(Vec::new(), Keeper::changes);
        for (was, is) in
            d.states.iter().filter_map(|was| Some((was, states.iter().find(|s| s.operator == was.operator)?)))
        {
            if was != is {
                tracing::warn!(
                    "batch {t} changed {} differently this time ({} of {} keys, {} removed; before, {} of {}, {} removed): \
                     its function changed, or is not deterministic",
                    was.operator,
                    is.changed,
                    is.keys,
                    is.removed,
                    was.changed,
                    was.keys,
                    was.removed
                );
            }
        }
        runner.settle(t);
        failpoint::hit("recovery.replayed");
    }
    // What the replay counted was counted before.
    let restored = runner.sc.restore_accumulators(accumulators);
    restored.map_err(|e| refused(&directory, e.to_string()).error)?;
    for (t, succeeded) in &aside {
        runner.restore_succeeded(*t, succeeded);
    }
    runner.aside = aside.into_iter().map(|(t, _)| t).collect();
    runner.publish_aside();
    Ok(unfinished)
}
/// Brings all nodes to t, in as many attempts as a batch may have.
fn apply_all(runner: &Runner, t: Time, directory: &str) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        runner.nodes.iter().for_each(|n| n.begin(t));
        let Err(e) = runner.nodes.iter().try_for_each(|n| apply(n, t, directory)) else { return Ok(()) };
        if attempt == runner.settings.max_attempts {
            return Err(e);
        }
        tracing::warn!("{e}; trying again");
        attempt += 1;
        runner.nodes.iter().for_each(|n| n.settle(t, false));
    }
}
fn apply(n: &Arc<dyn StreamNode>, t: Time, directory: &str) -> Result<(), Error> {
    let meta = n.meta();
    guard_driver(|| Ok(n.advance(t)?)).map_err(|e| {
        refused(directory, format!("batch {t} cannot be applied again: {} at {}: {e}", meta.kind, meta.site)).error
    })
}

/// What is left to do once the runner stands.
pub(crate) struct Replay {
    done: Vec<BatchDone>,
    before: Vec<Time>,
    unfinished: Vec<Time>,
    aside: Vec<(Time, Vec<String>)>,
    accumulators: Vec<(String, Vec<u8>)>,
    directory: String,
}
impl Recovery {
    pub(crate) fn split(self) -> (Keeper, Replay) {
        let directory = self.keeper.directory().to_owned();
        let Recovery { keeper, done, before, unfinished, aside, accumulators, .. } = self;
        (keeper, Replay { done, before, unfinished, aside, accumulators, directory })
    }
}
