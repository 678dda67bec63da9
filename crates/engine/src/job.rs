//! Running a job: plan, run wave by wave, turn panics and errors of tasks into one error with job, stage, partition and
//! call site.
use crate::{
    BoxError, Counters, Data, Error, Flow, JobId, Rdd, Result, ShuffleId, Site, SparkContext, StageId, TaskCause,
    accumulator::{Registry, Sent, Updates},
    backend::{Backend, Block, Label},
    context::Inner,
    fair::Rank,
    flow::Carried,
    hash::FixedState,
    lineage::{Node, Shuffle},
    plan::{self, Facts, Wave},
    scope,
    task::{self, Around, Cancel, Inside, Task},
};
use std::{
    collections::HashMap,
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

/// What the tasks of a set leave.
struct Left<R> {
    results: Vec<Mutex<Option<Result<R>>>>,
    /// What they added to accumulators, by number of the task; only those that did.
    added: Mutex<Vec<(usize, Updates)>>,
}
/// What one task made, on its way to other lanes.
struct Made<R> {
    result: R,
    added: Vec<Sent>,
}

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
        let waves = match &inner.backend {
            None => planned(&*rdd.op, &*inner.blocks)?,
            Some(backend) => {
                let facts =
                    Agreed { inner, backend: &**backend, job, shuffled: Mutex::default(), failed: Mutex::default() };
                let waves = planned(&*rdd.op, &facts)?;
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
            self.run_wave(job, &rank, first, wave, &running.cancel)?;
        }
        let op = rdd.op.clone();
        let specs = partitions
            .into_iter()
            .map(|partition| Spec { stage: StageId(stage), in_wave: 0, partition, site: meta.site })
            .collect();
        self.run_tasks(job, &rank, action, specs, &running.cancel, move |spec, task| {
            let flow = op.flow(spec.partition, task)?;
            task::at(action.site);
            f(spec.partition, flow, task)
        })
    }

    /// Runs the missing map tasks of one wave; their outputs stay with their shuffles.
    fn run_wave(&self, job: JobId, rank: &Rank, first: u64, wave: Wave, cancel: &Arc<Cancel>) -> Result<()> {
        let mut specs = Vec::new();
        for (i, stage) in wave.iter().enumerate() {
            let (id, site) = (StageId(first + i as u64), stage.shuffle.site());
            specs.extend(stage.missing.iter().map(|&partition| Spec { stage: id, in_wave: i, partition, site }));
        }
        let label = Action { name: wave[0].shuffle.name(), site: wave[0].shuffle.site() };
        let Some(_) = &self.inner.backend else {
            let run = move |spec: &Spec, task: &Task| wave[spec.in_wave].shuffle.run_map(spec.partition, task);
            // What one task wrote stays, also if another fails, and so does what it added to accumulators.
            let (ran, updates) = self.run_here(job, rank, specs, cancel, run);
            let counted = Registry::count(updates.into_iter().map(|(_, u)| u));
            ran?;
            return counted;
        };
        // Several lanes: each output travels, and every lane keeps all of them.
        let wave = Arc::new(wave);
        let keep: Vec<(usize, usize)> = specs.iter().map(|s| (s.in_wave, s.partition)).collect();
        let made = {
            let wave = wave.clone();
            self.run_tasks(job, rank, label, specs, cancel, move |spec: &Spec, task: &Task| {
                let shuffle = &wave[spec.in_wave].shuffle;
                shuffle.run_map(spec.partition, task)?;
                Ok(shuffle.output(spec.partition))
            })?
        };
        for ((in_wave, map), output) in keep.into_iter().zip(made) {
            wave[in_wave].shuffle.adopt(map, output);
        }
        Ok(())
    }

    /// Runs tasks on the pool, those of this lane only if there are several; returns the results of all. What they added
    /// to accumulators counts if all succeed, in the order of the tasks.
    fn run_tasks<R: Data>(
        &self,
        job: JobId,
        rank: &Rank,
        action: Action,
        specs: Vec<Spec>,
        cancel: &Arc<Cancel>,
        body: impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static,
    ) -> Result<Vec<R>> {
        let Some(backend) = &self.inner.backend else {
            let (ran, added) = self.run_here(job, rank, specs, cancel, body);
            if added.is_empty() {
                return ran;
            }
            let failed = ran.is_err();
            let counted = Registry::count(added.into_iter().map(|(_, u)| if failed { u.only_kept() } else { u }));
            return ran.and_then(|results| counted.map(|()| results));
        };
        let (lane, lanes, total) = (backend.lane(), backend.lanes(), specs.len());
        let (numbers, mine): (Vec<usize>, Vec<Spec>) =
            specs.into_iter().enumerate().filter(|(_, s)| s.partition % lanes == lane).unzip();
        let accumulators = &self.inner.accumulators;
        // After a failure all lanes count nothing, so that they stay alike.
        let (ran, updates) = self.run_here(job, rank, mine, cancel, body);
        let made = ran.and_then(|results| {
            let mut made: Vec<Made<R>> = results.into_iter().map(|result| Made { result, added: Vec::new() }).collect();
            for (i, updates) in updates {
                made[i].added = accumulators.encode(updates)?;
            }
            Ok(numbers.into_iter().zip(made).map(|(i, m)| (i, Arc::new(m) as Block)).collect())
        });
        let label = Label { number: job.0, name: action.name, site: action.site, tasks: total };
        let mut all = backend.gather(&label, made)?;
        all.sort_by_key(|(i, _)| *i);
        let made = all.iter().map(|(_, b)| b.downcast_ref::<Made<R>>().expect("equal labels carry equal types"));
        accumulators.count_sent(made.clone().flat_map(|m| &m.added))?;
        Ok(made.map(|m| m.result.clone()).collect())
    }

    /// Runs tasks on the pool; returns their results, or the first failure in partition order, and what each has added
    /// to accumulators, if anything: one that failed, for the blocks that it left in the cache.
    fn run_here<R: Data>(
        &self,
        job: JobId,
        rank: &Rank,
        specs: Vec<Spec>,
        cancel: &Arc<Cancel>,
        body: impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static,
    ) -> (Result<Vec<R>>, Vec<(usize, Updates)>) {
        let n = specs.len();
        let (counters, helpers) = (self.inner.counters.clone(), self.inner.pool.helpers());
        Counters::add(&counters.tasks, n as u64);
        let around = Arc::new(Around { cancel: cancel.clone(), counters, helpers });
        let results = (0..n).map(|_| Mutex::new(None)).collect();
        let left = Arc::new(Left { results, added: Mutex::default() });
        let (out, attempts) = (left.clone(), self.inner.master.attempts);
        self.inner.pool.run(rank.clone(), n, move |i| {
            let spec = &specs[i];
            let (stage, partition) = (spec.stage, spec.partition);
            let mut task = Task { job, stage, partition, attempt: 1, around: around.clone() };
            let mut added = Updates::default();
            let result = loop {
                match attempt(spec, &task, &body, &mut added) {
                    Err(Error::Task { .. }) if task.attempt < attempts && !task.around.cancel.is_set() => {
                        task.attempt += 1;
                        Counters::add(&task.around.counters.task_retries, 1);
                    }
                    result => break result,
                }
            };
            if result.is_err() {
                task.around.cancel.silently();
            }
            if !added.is_empty() {
                out.added.lock().expect("plain list").push((i, added));
            }
            *out.results[i].lock().expect("plain slot") = Some(result);
        });
        let mut results = Vec::with_capacity(n);
        let mut error = None;
        for slot in &left.results {
            match slot.lock().expect("plain slot").take().expect("every task ended") {
                Ok(r) => results.push(r),
                // The first real failure in partition order, not the cancellations it caused.
                Err(e) => {
                    if matches!(error, None | Some(Error::Cancelled { .. })) {
                        error = Some(e);
                    }
                }
            }
        }
        let mut added = std::mem::take(&mut *left.added.lock().expect("plain list"));
        added.sort_unstable_by_key(|(i, _)| *i);
        (error.map_or(Ok(results), Err), added)
    }

    /// Runs something that is to happen once, however many lanes there are: the first does it, all learn what came of it.
    pub(crate) fn once<R: Data>(&self, action: Action, f: impl FnOnce() -> Result<R>) -> Result<R> {
        let Some(backend) = &self.inner.backend else { return f() };
        let number = self.inner.ids.jobs.load(Relaxed);
        let label = Label { number, name: action.name, site: action.site, tasks: 1 };
        let mine = match backend.lane() {
            0 => f().map(|done| vec![(0, Arc::new(done) as Block)]),
            _ => Ok(Vec::new()),
        };
        let all = backend.gather(&label, mine)?;
        let (_, done) = all.first().expect("the first lane gave its result");
        Ok(done.downcast_ref::<R>().expect("equal labels carry equal types").clone())
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
        Ok(e @ (Error::Cancelled { .. } | Error::Task { .. })) => e,
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
