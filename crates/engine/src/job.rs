//! Running a job: plan, run wave by wave, turn panics and errors of tasks into one error with job, stage, partition and
//! call site.
use crate::{
    BoxError, Counters, Data, Error, Flow, JobId, Rdd, RddId, Result, ShuffleId, Site, SparkContext, StageId,
    TaskCause,
    accumulator::{Registry, Sent, Updates},
    backend::{Backend, Block, Label},
    context::Inner,
    fair::Rank,
    flow::Carried,
    hash::FixedState,
    lineage::{Node, Shuffle},
    plan::{self, Facts, Wave, Without},
    scope,
    task::{self, Around, Cancel, Inside, Task},
};
use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
};

/// Narrow operators in a row. 900 maps need 256-384 KiB of stack in release, 1-1.5 MiB in debug; a thread may have 2.
pub(crate) const MAX_DEPTH: u32 = 1_000;

/// The action that runs a job.
#[derive(Clone, Copy)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) site: Site,
}

/// Tasks to run, what each of them does, and what they leave.
struct Work<R, F> {
    tasks: Vec<Slot<R>>,
    body: F,
    /// What they added to accumulators, by number of the task; only those that did.
    added: Mutex<Vec<(usize, Updates)>>,
}
struct Slot<R> {
    spec: Spec,
    result: Mutex<Option<Result<R>>>,
}
impl<R: Data, F: Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static> Work<R, F> {
    fn new(specs: impl IntoIterator<Item = Spec>, body: F) -> Arc<Self> {
        let tasks = specs.into_iter().map(|spec| Slot { spec, result: Mutex::new(None) }).collect();
        Arc::new(Work { tasks, body, added: Mutex::default() })
    }
}
/// What came of a set of tasks in which none failed.
struct Ran<R> {
    /// The results of those that are done, in order.
    done: Vec<R>,
    /// The numbers of those that are not.
    left: Vec<usize>,
    /// Why: there if any is left.
    missed: Option<Missed>,
}
/// What tasks found missing of what the planner counted on.
struct Missed {
    shuffle: ShuffleId,
    site: Site,
    /// Persisted RDDs of which blocks were gone.
    rdds: Vec<RddId>,
}
impl Missed {
    /// Adds it to what is known to be lost. Planning again helps only if it is more than before.
    fn add_to(self, lost: &mut Vec<RddId>) -> Result<()> {
        let before = lost.len();
        for rdd in self.rdds {
            if !lost.contains(&rdd) {
                lost.push(rdd);
            }
        }
        if lost.len() > before { Ok(()) } else { Err(Error::Unplanned { shuffle: self.shuffle, site: self.site }) }
    }
}

/// What one task made, on its way to other lanes.
struct Made<R> {
    /// None if the task found something missing.
    result: Option<R>,
    added: Vec<Sent>,
    missed: Option<(ShuffleId, Site, Vec<RddId>)>,
}

/// What tasks of all lanes made, by number of the task.
type Gathered<R> = Vec<(usize, Arc<Made<R>>)>;

/// One task to run.
struct Spec {
    stage: StageId,
    /// Which stage of its wave.
    in_wave: usize,
    partition: usize,
    site: Site,
}

/// What exists, decided together by all lanes.
struct Agreed<'a> {
    inner: &'a Inner,
    backend: &'a dyn Backend,
    job: JobId,
    /// Whether all outputs of a shuffle are there, asked once a job.
    shuffled: Mutex<HashMap<ShuffleId, bool, FixedState>>,
    /// The first error of a decision; planning cannot fail half-way in one lane only.
    failed: Mutex<Option<Error>>,
}
impl Agreed<'_> {
    fn ask(&self, name: &'static str, site: Site, tasks: usize, mine: bool) -> bool {
        let label = Label { number: self.job.0, name, site, tasks };
        self.backend.agree(&label, mine).unwrap_or_else(|e| {
            self.failed.lock().expect("plain option").get_or_insert(e);
            false
        })
    }
}
impl Facts for Agreed<'_> {
    fn is_cached(&self, node: &dyn Node) -> bool {
        let (lane, lanes, meta) = (self.backend.lane(), self.backend.lanes(), node.meta());
        let Some(n) = meta.partitions.if_known() else { return false };
        let mine = (lane..n).step_by(lanes).all(|p| self.inner.blocks.has((meta.id, p)));
        self.ask(meta.name, meta.site, n, mine)
    }
    /// All outputs or none: a job that failed may have left some in one lane only.
    fn is_done(&self, shuffle: &dyn Shuffle, _: usize) -> bool {
        let mut known = self.shuffled.lock().expect("plain map");
        *known.entry(shuffle.id()).or_insert_with(|| {
            let maps = shuffle.parent().meta().partitions.if_known().unwrap_or(0);
            let mine = (0..maps).all(|m| shuffle.is_done(m));
            self.ask(shuffle.name(), shuffle.site(), maps, mine)
        })
    }
}

impl SparkContext {
    /// The one way to run anything: `f` on the flow of each listed partition, results in that order.
    ///
    /// This is what every action is made of. `f` runs once per attempt at a partition; results of failed attempts are
    /// dropped.
    ///
    /// ```
    /// use winterbourne_engine::{SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
    /// let sizes = sc.run_job(&sc.range(0..10, 3), vec![0, 2], |_, flow, _| Ok(flow.records().count()))?;
    /// assert_eq!(sizes, [3, 4]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Task`] for the first failure in partition order; [`Error::NestedJob`] inside a task;
    /// [`Error::Cancelled`], [`Error::Stopped`], [`Error::TooDeep`], and what listing inputs met.
    #[track_caller]
    pub fn run_job<T: Data, R: Data>(
        &self,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
    ) -> Result<Vec<R>> {
        self.run_action(Action { name: "run_job", site: Site::caller() }, rdd, partitions, f)
    }

    /// Runs a job, and then those that write the checkpoints of what it has come to.
    pub(crate) fn run_action<T: Data, R: Data>(
        &self,
        action: Action,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
    ) -> Result<Vec<R>> {
        self.run_told(action, rdd, partitions, f, |_| {})
    }
    /// Tells the job's id when it is among those that run, and can be cancelled by it.
    pub(crate) fn run_told<T: Data, R: Data>(
        &self,
        action: Action,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
        told: impl FnOnce(JobId),
    ) -> Result<Vec<R>> {
        let results = self.run_only(action, rdd, partitions, f, told)?;
        self.write_checkpoints(&rdd.op)?;
        Ok(results)
    }
    /// Without writing checkpoints.
    pub(crate) fn run_only<T: Data, R: Data>(
        &self,
        action: Action,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
        told: impl FnOnce(JobId),
    ) -> Result<Vec<R>> {
        self.may_run(action)?;
        let inner = &*self.inner;
        let meta = &rdd.op.meta;
        if !rdd.sc.same(self) {
            return Err(Error::ForeignRdd { operator: action.name, site: action.site });
        }
        let n = meta.partitions.get()?;
        if let Some(&asked) = partitions.iter().find(|&&p| p >= n) {
            return Err(Error::NoPartition { action: action.name, site: action.site, asked, partitions: n });
        }
        let job = JobId(inner.ids.jobs.fetch_add(1, Relaxed));
        Counters::add(&inner.counters.jobs, 1);
        let properties = scope::now();
        let rank = inner.shares.rank(job.0, properties.pool.as_deref());
        let running = inner.running.enter(job, properties.group);
        told(job);
        // Again, now that `stop` would find this job among those that run.
        self.may_run(action)?;
        let mut lost = Vec::new();
        let stage = StageId(self.run_waves(job, &rank, &*rdd.op, &mut lost, &running.cancel)?);
        let op = rdd.op.clone();
        let specs = partitions.into_iter().map(|partition| Spec { stage, in_wave: 0, partition, site: meta.site });
        let body = move |spec: &Spec, task: &Task| {
            let flow = op.flow(spec.partition, task)?;
            task::at(action.site);
            f(spec.partition, flow, task)
        };
        // Tasks that miss what the planner left out because of a block that is gone run again when that is there.
        let again = |missed: Missed| {
            missed.add_to(&mut lost)?;
            self.run_waves(job, &rank, &*rdd.op, &mut lost, &running.cancel).map(drop)
        };
        self.run_tasks(job, &rank, action, Work::new(specs, body), &running.cancel, again)
    }

    /// Plans, and runs what the result stage needs; the number of that stage. Of `lost` RDDs nothing counts as cached.
    fn run_waves(
        &self,
        job: JobId,
        rank: &Rank,
        root: &dyn Node,
        lost: &mut Vec<RddId>,
        cancel: &Arc<Cancel>,
    ) -> Result<u64> {
        let inner = &*self.inner;
        'plan: loop {
            let waves = match &inner.backend {
                None if lost.is_empty() => planned(root, &*inner.blocks)?,
                None => planned(root, &Without { facts: &*inner.blocks, lost })?,
                Some(backend) => {
                    let (shuffled, failed) = (Mutex::default(), Mutex::default());
                    let facts = Agreed { inner, backend: &**backend, job, shuffled, failed };
                    let waves = planned(root, &Without { facts: &facts, lost })?;
                    match facts.failed.into_inner().expect("plain option") {
                        Some(e) => return Err(e),
                        None => waves,
                    }
                }
            };
            let stages = waves.iter().map(Vec::len).sum::<usize>() as u64 + 1;
            let mut stage = inner.ids.stages.fetch_add(stages, Relaxed);
            for wave in waves {
                let first = stage;
                stage += wave.len() as u64;
                if let Some(missed) = self.run_wave(job, rank, first, wave, cancel)? {
                    missed.add_to(lost)?;
                    continue 'plan;
                }
            }
            return Ok(stage);
        }
    }

    /// Runs the missing map tasks of one wave; their outputs stay with their shuffles. Those that found nothing where the
    /// planner saw cached blocks are left.
    fn run_wave(
        &self,
        job: JobId,
        rank: &Rank,
        first: u64,
        wave: Wave,
        cancel: &Arc<Cancel>,
    ) -> Result<Option<Missed>> {
        let mut specs = Vec::new();
        for (i, stage) in wave.iter().enumerate() {
            let (id, site) = (StageId(first + i as u64), stage.shuffle.site());
            specs.extend(stage.missing.iter().map(|&partition| Spec { stage: id, in_wave: i, partition, site }));
        }
        let label = Action { name: wave[0].shuffle.name(), site: wave[0].shuffle.site() };
        let Some(_) = &self.inner.backend else {
            let body = move |spec: &Spec, task: &Task| wave[spec.in_wave].shuffle.run_map(spec.partition, task);
            // What one task wrote stays, also if another fails, and so does what it added to accumulators.
            let (ran, updates) = self.run_here(job, rank, &Work::new(specs, body), None, cancel);
            let counted = Registry::count(updates.into_iter().map(|(_, u)| u));
            let missed = ran?.missed;
            return counted.map(|()| missed);
        };
        // Several lanes: each output travels, and every lane keeps all of them.
        let wave = Arc::new(wave);
        let keep: Vec<(usize, usize)> = specs.iter().map(|s| (s.in_wave, s.partition)).collect();
        let of = wave.clone();
        let body = move |spec: &Spec, task: &Task| {
            let shuffle = &of[spec.in_wave].shuffle;
            shuffle.run_map(spec.partition, task)?;
            Ok(shuffle.output(spec.partition))
        };
        let (all, missed) = self.run_lanes(job, rank, label, &Work::new(specs, body), None, cancel)?;
        for (i, made) in &all {
            if let Some(output) = &made.result {
                let (in_wave, map) = keep[*i];
                wave[in_wave].shuffle.adopt(map, output.clone());
            }
        }
        self.inner.accumulators.count_sent(all.iter().flat_map(|(_, made)| &made.added))?;
        Ok(missed)
    }

    /// Runs tasks on the pool, those of this lane only if there are several; returns the results of all. What they added
    /// to accumulators counts if all succeed, in the order of the tasks. Those that miss what was not planned run again
    /// after `again`.
    fn run_tasks<R: Data>(
        &self,
        job: JobId,
        rank: &Rank,
        action: Action,
        work: Arc<Work<R, impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static>>,
        cancel: &Arc<Cancel>,
        mut again: impl FnMut(Missed) -> Result<()>,
    ) -> Result<Vec<R>> {
        if self.inner.backend.is_some() {
            let mut done = Vec::new();
            let mut left = None;
            loop {
                let (mut all, missed) = self.run_lanes(job, rank, action, &work, left, cancel)?;
                left = Some(all.iter().filter(|(_, made)| made.result.is_none()).map(|(i, _)| *i).collect());
                all.retain(|(_, made)| made.result.is_some());
                done.append(&mut all);
                match missed {
                    Some(missed) => again(missed)?,
                    None => break,
                }
            }
            done.sort_by_key(|(i, _)| *i);
            self.inner.accumulators.count_sent(done.iter().flat_map(|(_, made)| &made.added))?;
            return Ok(done.iter().filter_map(|(_, made)| made.result.clone()).collect());
        }
        let (ran, mut added) = self.run_here(job, rank, &work, None, cancel);
        let ran = match ran {
            Ok(Ran { done, missed: Some(missed), left }) => {
                let (done, more) = self.run_left(job, rank, &work, done, left, missed, cancel, &mut again);
                added.extend(more);
                added.sort_by_key(|(i, _)| *i);
                done
            }
            ran => ran.map(|ran| ran.done),
        };
        if added.is_empty() {
            return ran;
        }
        let failed = ran.is_err();
        let counted = Registry::count(added.into_iter().map(|(_, u)| if failed { u.only_kept() } else { u }));
        ran.and_then(|results| counted.map(|()| results))
    }

    /// Runs what is left of some tasks, until nothing is.
    #[expect(clippy::too_many_arguments, reason = "the cold half of `run_tasks`")]
    #[cold]
    fn run_left<R: Data>(
        &self,
        job: JobId,
        rank: &Rank,
        work: &Arc<Work<R, impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static>>,
        first: Vec<R>,
        mut left: Vec<usize>,
        mut missed: Missed,
        cancel: &Arc<Cancel>,
        again: &mut dyn FnMut(Missed) -> Result<()>,
    ) -> (Result<Vec<R>>, Vec<(usize, Updates)>) {
        let mut results: Vec<Option<R>> = (0..work.tasks.len()).map(|_| None).collect();
        let fill = |results: &mut [Option<R>], done: Vec<R>, which: &mut dyn Iterator<Item = usize>, left: &[usize]| {
            which.filter(|i| !left.contains(i)).zip(done).for_each(|(i, r)| results[i] = Some(r));
        };
        fill(&mut results, first, &mut (0..work.tasks.len()), &left);
        let mut added = Vec::new();
        loop {
            if let Err(e) = again(missed) {
                return (Err(e), added);
            }
            let (ran, mut more) = self.run_here(job, rank, work, Some(left.clone().into()), cancel);
            added.append(&mut more);
            let ran = match ran {
                Ok(ran) => ran,
                Err(e) => return (Err(e), added),
            };
            fill(&mut results, ran.done, &mut left.into_iter(), &ran.left);
            left = ran.left;
            match ran.missed {
                Some(more) => missed = more,
                None => return (Ok(results.into_iter().flatten().collect()), added),
            }
        }
    }

    /// Runs the tasks of this lane, all or those of the list; returns what all lanes made, by number of the task, and what
    /// tasks of any lane missed.
    fn run_lanes<R: Data>(
        &self,
        job: JobId,
        rank: &Rank,
        action: Action,
        work: &Arc<Work<R, impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static>>,
        only: Option<Vec<usize>>,
        cancel: &Arc<Cancel>,
    ) -> Result<(Gathered<R>, Option<Missed>)> {
        let backend = self.inner.backend.as_ref().expect("asked for by the callers");
        let (lane, lanes) = (backend.lane(), backend.lanes());
        let all = only.unwrap_or_else(|| (0..work.tasks.len()).collect());
        let total = all.len();
        let mine: Arc<[usize]> = all.into_iter().filter(|&i| work.tasks[i].spec.partition % lanes == lane).collect();
        // After a failure all lanes count nothing, so that they stay alike.
        let (ran, updates) = self.run_here(job, rank, work, Some(mine.clone()), cancel);
        let made = ran.and_then(|ran| {
            let mut missed = ran.missed.map(|m| (m.shuffle, m.site, m.rdds));
            let mut results = ran.done.into_iter();
            let mut made: BTreeMap<usize, Made<R>> = BTreeMap::new();
            for &i in &*mine {
                let is_left = ran.left.contains(&i);
                let result = if is_left { None } else { results.next() };
                // One of those that are left says it for all.
                let missed = if is_left { missed.take() } else { None };
                made.insert(i, Made { result, added: Vec::new(), missed });
            }
            for (i, updates) in updates {
                made.get_mut(&i).expect("a task of this lane").added = self.inner.accumulators.encode(updates)?;
            }
            Ok(made.into_iter().map(|(i, m)| (i, Arc::new(m) as Block)).collect())
        });
        let label = Label { number: job.0, name: action.name, site: action.site, tasks: total };
        let mut all = backend.gather(&label, made)?;
        all.sort_by_key(|(i, _)| *i);
        let typed = |b: Block| b.downcast::<Made<R>>().expect("equal labels carry equal types");
        let all: Vec<_> = all.into_iter().map(|(i, b)| (i, typed(b))).collect();
        let mut missed: Option<Missed> = None;
        for (shuffle, site, rdds) in all.iter().filter_map(|(_, made)| made.missed.as_ref()) {
            let (shuffle, site) = (*shuffle, *site);
            missed.get_or_insert(Missed { shuffle, site, rdds: Vec::new() }).rdds.extend(rdds);
        }
        Ok((all, missed))
    }

    /// Runs tasks on the pool, all or those of the list; returns their results, or the first failure in partition order,
    /// and what each has added to accumulators, if anything: one that failed, for the blocks that it left in the cache.
    fn run_here<R: Data>(
        &self,
        job: JobId,
        rank: &Rank,
        work: &Arc<Work<R, impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static>>,
        only: Option<Arc<[usize]>>,
        cancel: &Arc<Cancel>,
    ) -> (Result<Ran<R>>, Vec<(usize, Updates)>) {
        let n = only.as_ref().map_or(work.tasks.len(), |o| o.len());
        let (counters, helpers) = (self.inner.counters.clone(), self.inner.pool.helpers());
        Counters::add(&counters.tasks, n as u64);
        let around = Arc::new(Around { cancel: cancel.clone(), counters, helpers, missed: Mutex::default() });
        let (attempts, own, of_all) = (self.inner.master.attempts, work.clone(), around.clone());
        let number = move |i: usize| only.as_ref().map_or(i, |o| o[i]);
        let numbered = number.clone();
        self.inner.pool.run(rank.clone(), n, move |i| {
            let Slot { spec, result: slot } = &own.tasks[number(i)];
            let (stage, partition) = (spec.stage, spec.partition);
            let mut task = Task { job, stage, partition, attempt: 1, around: around.clone() };
            let mut added = Updates::default();
            let result = loop {
                match attempt(spec, &task, &own.body, &mut added) {
                    Err(Error::Task { .. }) if task.attempt < attempts && !task.around.cancel.is_set() => {
                        task.attempt += 1;
                        Counters::add(&task.around.counters.task_retries, 1);
                    }
                    result => break result,
                }
            };
            // One that has to wait for what it needs stops nobody.
            if result.as_ref().is_err_and(|e| !matches!(e, Error::Unplanned { .. })) {
                task.around.cancel.silently();
            }
            if !added.is_empty() {
                own.added.lock().expect("plain list").push((number(i), added));
            }
            *slot.lock().expect("plain slot") = Some(result);
        });
        let mut ran = Ran { done: Vec::with_capacity(n), left: Vec::new(), missed: None };
        let mut error = None;
        for i in (0..n).map(numbered) {
            match work.tasks[i].result.lock().expect("plain slot").take().expect("every task ended") {
                Ok(r) => ran.done.push(r),
                Err(Error::Unplanned { shuffle, site }) => {
                    ran.left.push(i);
                    let rdds = || of_all.missed.lock().expect("plain list").clone();
                    ran.missed.get_or_insert_with(|| Missed { shuffle, site, rdds: rdds() });
                }
                // The first real failure in partition order, not the cancellations it caused.
                Err(e) => {
                    if matches!(error, None | Some(Error::Cancelled { .. })) {
                        error = Some(e);
                    }
                }
            }
        }
        let mut added = std::mem::take(&mut *work.added.lock().expect("plain list"));
        added.sort_unstable_by_key(|(i, _)| *i);
        (error.map_or(Ok(ran), Err), added)
    }

    /// Whether this thread may run a job on this context now.
    pub(crate) fn may_run(&self, action: Action) -> Result<()> {
        let Action { name, site } = action;
        if let Some(inside) = task::inside() {
            return Err(Error::NestedJob { action: name, site, inside });
        }
        if self.is_stopped() { Err(Error::Stopped { what: name, site }) } else { self.inner.accumulators.check() }
    }
}

/// The stages to run, none of them longer than a thread's stack carries.
fn planned(root: &dyn Node, facts: &dyn Facts) -> Result<Vec<Wave>> {
    let waves = plan::plan(root, facts)?;
    for node in waves.iter().flatten().map(|stage| stage.shuffle.parent()).chain([root]) {
        let depth = plan::depth(node, facts, MAX_DEPTH);
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep { depth, limit: MAX_DEPTH, site: node.meta().site });
        }
    }
    Ok(waves)
}

/// One attempt: marks the thread as inside a task, catches what the user's closures throw. What it added to accumulators
/// goes to `added`; of an attempt that failed, only what belongs to the blocks that it left in the cache.
fn attempt<R>(spec: &Spec, task: &Task, body: &impl Fn(&Spec, &Task) -> Result<R>, added: &mut Updates) -> Result<R> {
    task.check()?;
    let marked = Inside::enter(spec.site);
    let result = catch_unwind(AssertUnwindSafe(|| body(spec, task)));
    let updates = marked.leave();
    let error = match result {
        Ok(Ok(r)) => {
            added.append(updates);
            return Ok(r);
        }
        Ok(Err(e)) => Ok(e),
        Err(payload) => payload.downcast::<Carried>().map(|carried| carried.0),
    };
    added.append(updates.only_kept());
    Err(match error {
        Ok(e @ (Error::Cancelled { .. } | Error::Task { .. } | Error::Unplanned { .. })) => e,
        Ok(Error::User(e)) => failed(spec, task, TaskCause::User(e)),
        Ok(e) => failed(spec, task, TaskCause::Engine(Box::new(e))),
        Err(payload) => failed(spec, task, TaskCause::Panic(panic_text(&*payload))),
    })
}

fn failed(spec: &Spec, task: &Task, cause: TaskCause) -> Error {
    let site = task::current().unwrap_or(spec.site);
    Error::Task { job: task.job, stage: task.stage, partition: task.partition, attempts: task.attempt, site, cause }
}

/// The text of a panic, as far as it has one.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    text.unwrap_or("(a payload that is not text)").to_owned()
}

/// A driver closure of the user's, its panic turned into an error.
///
/// # Errors
/// What the closure returned, or its panic.
pub fn guard_driver<R>(f: impl FnOnce() -> Result<R, BoxError>) -> Result<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(Error::from),
        Err(payload) => match payload.downcast::<Carried>() {
            Ok(carried) => Err(carried.0),
            Err(payload) => Err(Error::User(format!("panicked: {}", panic_text(&*payload)).into())),
        },
    }
}
