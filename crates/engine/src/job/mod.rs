//! Running a job: plan, run wave by wave, turn panics and errors of tasks into one error with job, stage, partition and
//! call site.
mod each;
mod missed;
mod record;
mod set;

pub use record::JobStatus;
pub(crate) use record::{Job, Running, Stages};

use crate::{
    BoxError, Counters, Data, Error, Flow, JobEnd, JobId, JobStart, Rdd, RddId, Result, ShuffleId, Site, SparkContext,
    SparkListenerEvent, StageId, Task,
    accumulator::{Registry, Sent},
    backend::{Backend, Block, Label},
    context::Inner,
    fair::Rank,
    flow::Carried,
    hash::FixedState,
    lineage::{Meta, Node, Shuffle, owner},
    listener::Bus,
    plan::{self, Facts, Stage, Wave, Without},
    scope,
    task::{self, Spec},
};
use each::Handing;
use missed::{Again, Missed};
use record::Entered;
use set::{Ran, Work};
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

/// What one task made, on its way to other lanes.
struct Made<R> {
    /// None if the task found something missing.
    result: Option<R>,
    added: Vec<Sent>,
    /// Said by one of those for all.
    missed: Option<Missed>,
}
/// What tasks of all lanes made, by number of the task.
type Gathered<R> = Vec<(usize, Arc<Made<R>>)>;

/// A job under way.
struct Begun<'a> {
    entered: Entered<'a>,
    rank: Rank,
    action: Action,
}
/// Tasks to run, of one stage or of several side by side.
struct Tasks {
    specs: Vec<Spec>,
    /// All at once.
    barrier: bool,
}
impl Begun<'_> {
    fn job(&self) -> &Arc<Job> {
        &self.entered.job
    }
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
        let mut own = (0..n).filter(|p| owner(node, *p, lanes) == lane);
        let mine = own.all(|p| self.inner.blocks.has((meta.id, p)));
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
    /// As [`run_job`](SparkContext::run_job), each result handed to `handler` as soon as its task has ended well, with
    /// its position in `partitions`. Results come in any order, one at a time, on any of the job's threads; each comes
    /// once, however often its task was tried. Of a job that fails, some may have come.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use winterbourne_engine::{SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
    /// let sizes = Arc::new(Mutex::new([0; 2]));
    /// let seen = sizes.clone();
    /// let count = |_: usize, flow: winterbourne_engine::Flow<u64>, _: &winterbourne_engine::Task| Ok(flow.records().count());
    /// sc.run_job_with(&sc.range(0..10, 3), vec![0, 2], count, move |i, n| seen.lock().unwrap()[i] = n)?;
    /// assert_eq!(*sizes.lock().unwrap(), [3, 4]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run_job`](SparkContext::run_job); [`Error::User`] if `handler` panicked, which ends the job.
    #[track_caller]
    pub fn run_job_with<T: Data, R: Data>(
        &self,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
        handler: impl FnMut(usize, R) + Send + 'static,
    ) -> Result<()> {
        self.run_action_with(Action { name: "run_job", site: Site::caller() }, rdd, partitions, f, handler)
    }

    pub(crate) fn run_action<T: Data, R: Data>(
        &self,
        action: Action,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
    ) -> Result<Vec<R>> {
        let results = self.run_only(action, rdd, partitions, f)?;
        self.write_checkpoints(&rdd.op)?;
        Ok(results)
    }
    /// [`run_action`](SparkContext::run_action) that writes no checkpoints after it.
    pub(crate) fn run_only<T: Data, R: Data>(
        &self,
        action: Action,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
    ) -> Result<Vec<R>> {
        self.in_job(action, &rdd.sc, &*rdd.op, partitions, |begun, tasks, again| {
            self.run_tasks(begun, action, tasks, on_partitions(action, rdd, f), again)
        })
    }
    /// [`run_action`](SparkContext::run_action), results handed over one by one, by position.
    pub(crate) fn run_action_with<T: Data, R: Data>(
        &self,
        action: Action,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
        handler: impl FnMut(usize, R) + Send + 'static,
    ) -> Result<()> {
        self.in_job(action, &rdd.sc, &*rdd.op, partitions, |begun, tasks, again| {
            let handing = Arc::new(Handing::new(handler));
            let body = on_partitions(action, rdd, f);
            let ran = if self.inner.backend.is_some() {
                // What other lanes made is there when all is.
                let results = self.run_tasks(begun, action, tasks, body, again)?;
                results.into_iter().enumerate().all(|(i, r)| handing.hand(i, r));
                Ok(())
            } else {
                let (hand, job) = (handing.clone(), begun.job().clone());
                let keep = move |i: usize, result| {
                    if !hand.hand(i, result) {
                        job.cancel.silently();
                    }
                };
                self.run_counted(begun, tasks, body, keep, again).map(drop)
            };
            handing.end().and(ran)
        })?;
        self.write_checkpoints(&rdd.op)
    }
    /// Runs the map stages that `root` reads, if their outputs are not there.
    pub(crate) fn run_maps(&self, action: Action, of: &SparkContext, root: &dyn Node) -> Result<()> {
        self.in_job(action, of, root, Vec::new(), |_, _, _| Ok(()))
    }

    /// A job from its first check to its end; `last` runs its result stage.
    fn in_job<X>(
        &self,
        action: Action,
        of: &SparkContext,
        root: &dyn Node,
        partitions: Vec<usize>,
        last: impl FnOnce(&Begun, Tasks, &mut Again) -> Result<X>,
    ) -> Result<X> {
        self.may_run(action)?;
        let (inner, meta) = (&*self.inner, root.meta());
        if !of.same(self) {
            return Err(Error::ForeignRdd { operator: action.name, site: action.site });
        }
        let n = meta.partitions.get()?;
        if let Some(&asked) = partitions.iter().find(|&&p| p >= n) {
            return Err(Error::NoPartition { action: action.name, site: action.site, asked, partitions: n });
        }
        let id = JobId(inner.ids.jobs.fetch_add(1, Relaxed));
        Counters::add(&inner.counters.jobs, 1);
        let properties = scope::now();
        let rank = inner.shares.rank(id.0, properties.scheduler_pool());
        let entered = inner.running.enter(Job::new(id, action, properties, &inner.bus));
        let begun = Begun { entered, rank, action };
        let result = self.in_stages(&begun, root, n, partitions, last);
        begun.job().ended(result.is_ok());
        if let Some(bus) = &begun.job().bus {
            let error = result.as_ref().err().map(Error::to_string);
            bus.post(|| SparkListenerEvent::JobEnd(JobEnd { job: id, time: bus.clock.now(), error }));
        }
        result
    }
    fn in_stages<X>(
        &self,
        begun: &Begun,
        root: &dyn Node,
        n: usize,
        partitions: Vec<usize>,
        last: impl FnOnce(&Begun, Tasks, &mut Again) -> Result<X>,
    ) -> Result<X> {
        // Again, now that `stop` would find this job among those that run.
        self.may_run(begun.action)?;
        let (meta, mut lost) = (root.meta(), Vec::new());
        let stage = self.run_waves(begun, root, partitions.len(), &mut lost)?;
        let spec = |(number, partition)| {
            let spec = Spec::new(StageId(stage), partition, n, meta.name, meta.site).numbered(0, number);
            spec.owned_by(self.owner(root, partition))
        };
        // Nothing to run: a job for its map stages.
        let barrier =
            self.inner.barriers.are_used() && !partitions.is_empty() && self.is_barrier(root, partitions.len())?;
        let tasks = Tasks { specs: partitions.into_iter().enumerate().map(spec).collect(), barrier };
        // Tasks that miss what the planner left out because of a block that is gone run again when that is there.
        let mut again = |missed: Missed| {
            missed.add_to(&mut lost)?;
            self.run_waves(begun, root, 0, &mut lost).map(drop)
        };
        last(begun, tasks, &mut again)
    }
    /// Plans, and runs what the result stage needs; the number of that stage. Of `lost` RDDs nothing counts as cached.
    fn run_waves(&self, begun: &Begun, root: &dyn Node, last: usize, lost: &mut Vec<RddId>) -> Result<u64> {
        let (inner, job) = (&*self.inner, begun.job());
        'plan: loop {
            let waves = match &inner.backend {
                None if lost.is_empty() => planned(root, &*inner.blocks)?,
                None => planned(root, &Without { facts: &*inner.blocks, lost })?,
                Some(backend) => {
                    let (shuffled, failed) = (Mutex::default(), Mutex::default());
                    let facts = Agreed { inner, backend: &**backend, job: job.id, shuffled, failed };
                    let waves = planned(root, &Without { facts: &facts, lost })?;
                    match facts.failed.into_inner().expect("plain option") {
                        Some(e) => return Err(e),
                        None => waves,
                    }
                }
            };
            let stages = waves.iter().map(Vec::len).sum::<usize>() as u64 + 1;
            let mut stage = inner.ids.stages.fetch_add(stages, Relaxed);
            job.planned(stage..stage + stages);
            if let Some(bus) = job.bus.as_ref().filter(|_| lost.is_empty()) {
                starts(bus, job, &waves, stage, root.meta(), last);
            }
            for wave in waves {
                let first = stage;
                stage += wave.len() as u64;
                if let Some(missed) = self.run_wave(begun, first, wave)? {
                    missed.add_to(lost)?;
                    continue 'plan;
                }
            }
            return Ok(stage);
        }
    }
    /// Whether tasks that compute so many partitions of `last` run all at once.
    fn is_barrier(&self, last: &dyn Node, tasks: usize) -> Result<bool> {
        let Some(site) = self.inner.barriers.of_stage(last, tasks)? else { return Ok(false) };
        let threads = self.inner.master.threads;
        let why = if self.inner.backend.is_some() {
            "its tasks cannot meet across several processes".to_owned()
        } else if tasks > threads {
            format!(
                "[SPARK-24819]: Barrier execution mode does not allow run a barrier stage that requires more slots than \
                 there are: {tasks} tasks, {threads} thread(s); use `local[{tasks}]`, or fewer partitions"
            )
        } else {
            return Ok(true);
        };
        Err(Error::Barrier { site, why })
    }

    /// Runs the missing map tasks of one wave; their outputs stay with their shuffles. Tasks that found nothing where the
    /// planner saw cached blocks are left.
    fn run_wave(&self, begun: &Begun, first: u64, wave: Wave) -> Result<Option<Missed>> {
        let stages = wave.into_iter().enumerate().map(|(i, stage)| (StageId(first + i as u64), stage));
        if !self.inner.barriers.are_used() {
            return self.run_maps_of(begun, stages.collect(), false);
        }
        let (mut plain, mut barrier) = (Vec::new(), Vec::new());
        for (id, mut stage) in stages {
            let parent = stage.shuffle.parent();
            let maps = parent.meta().partitions.get()?;
            if self.is_barrier(parent, maps)? {
                // All or none: those whose outputs are there are needed by the others.
                stage.missing = (0..maps).collect();
                barrier.push((id, stage));
            } else {
                plain.push((id, stage));
            }
        }
        if !plain.is_empty()
            && let Some(missed) = self.run_maps_of(begun, plain, false)?
        {
            return Ok(Some(missed));
        }
        for stage in barrier {
            if let Some(missed) = self.run_maps_of(begun, vec![stage], true)? {
                return Ok(Some(missed));
            }
        }
        Ok(None)
    }
    /// The lane that computes a partition.
    fn owner(&self, node: &dyn Node, partition: usize) -> usize {
        self.inner.backend.as_ref().map_or(0, |backend| owner(node, partition, backend.lanes()))
    }
    fn run_maps_of(&self, begun: &Begun, stages: Vec<(StageId, Stage)>, barrier: bool) -> Result<Option<Missed>> {
        let mut specs = Vec::new();
        for (in_wave, (id, stage)) in stages.iter().enumerate() {
            let shuffle = &stage.shuffle;
            let of = shuffle.parent().meta().partitions.get()?;
            for &partition in &stage.missing {
                let spec = Spec::new(*id, partition, of, shuffle.name(), shuffle.site());
                let spec = spec.owned_by(self.owner(shuffle.parent(), partition));
                specs.push(spec.numbered(in_wave, specs.len()));
            }
        }
        let label = Action { name: stages[0].1.shuffle.name(), site: stages[0].1.shuffle.site() };
        let Some(_) = &self.inner.backend else {
            let run = move |spec: &Spec, task: &Task| stages[spec.in_wave].1.shuffle.run_map(spec.partition, task);
            // What one task wrote stays, also if another fails, and so does what it added to accumulators.
            let work = Work::new(specs.len(), run, |_, ()| ());
            let (ran, updates) = self.run_here(begun, Tasks { specs, barrier }, &work, None);
            let counted = Registry::count(updates.into_iter().map(|(_, u)| u));
            let missed = ran?.missed;
            return counted.map(|()| missed);
        };
        // Several lanes: each output travels, and every lane keeps all of them.
        let stages = Arc::new(stages);
        let keep: Vec<(usize, usize)> = specs.iter().map(|s| (s.in_wave, s.partition)).collect();
        let of = stages.clone();
        let body = move |spec: &Spec, task: &Task| {
            let shuffle = &of[spec.in_wave].1.shuffle;
            shuffle.run_map(spec.partition, task)?;
            Ok(shuffle.output(spec.partition))
        };
        let work = Work::new(specs.len(), body, |_, output| output);
        let (all, missed) = self.run_lanes(begun, label, specs, &work)?;
        for (i, made) in &all {
            if let Some(output) = &made.result {
                let (in_wave, map) = keep[*i];
                stages[in_wave].1.shuffle.adopt(map, output.clone());
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
        begun: &Begun,
        action: Action,
        tasks: Tasks,
        body: impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static,
        again: &mut Again,
    ) -> Result<Vec<R>> {
        if self.inner.backend.is_none() {
            return self.run_counted(begun, tasks, body, |_, result| result, again);
        }
        let work = Work::new(tasks.specs.len(), body, |_, result| result);
        let (mut left, mut done) = (tasks.specs, Vec::new());
        loop {
            let fresh = left.iter().map(Spec::fresh).collect();
            let (mut all, missed) = self.run_lanes(begun, action, left, &work)?;
            let Some(missed) = missed else {
                done.append(&mut all);
                break;
            };
            left = fresh;
            left.retain(|s| all.iter().any(|(i, made)| *i == s.number && made.result.is_none()));
            all.retain(|(_, made)| made.result.is_some());
            done.append(&mut all);
            again(missed)?;
        }
        done.sort_by_key(|(i, _)| *i);
        self.inner.accumulators.count_sent(done.iter().flat_map(|(_, made)| &made.added))?;
        Ok(done.iter().filter_map(|(_, made)| made.result.clone()).collect())
    }
    /// Runs the tasks of this lane; returns what all lanes made, and what tasks of any lane missed.
    fn run_lanes<R: Data>(
        &self,
        begun: &Begun,
        action: Action,
        specs: Vec<Spec>,
        work: &Arc<
            Work<
                R,
                impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static,
                impl Fn(usize, R) -> R + Send + Sync + 'static,
            >,
        >,
    ) -> Result<(Gathered<R>, Option<Missed>)> {
        let backend = self.inner.backend.as_ref().expect("asked for by the callers");
        let (lane, total) = (backend.lane(), specs.len());
        let mine: Vec<Spec> = specs.into_iter().filter(|s| s.owner == lane).collect();
        let numbers: Arc<[usize]> = mine.iter().map(|s| s.number).collect();
        // After a failure all lanes count nothing, so that they stay alike.
        let (ran, updates) = self.run_here(begun, Tasks { specs: mine, barrier: false }, work, Some(numbers.clone()));
        let made = ran.and_then(|mut ran| {
            let mut results = ran.done.into_iter();
            let mut made: BTreeMap<usize, Made<R>> = BTreeMap::new();
            for &number in &*numbers {
                let is_left = ran.left.iter().any(|s| s.number == number);
                let result = if is_left { None } else { results.next() };
                let missed = if is_left { ran.missed.take() } else { None };
                made.insert(number, Made { result, added: Vec::new(), missed });
            }
            for (number, updates) in updates {
                made.get_mut(&number).expect("a task of this lane").added = self.inner.accumulators.encode(updates)?;
            }
            Ok(made.into_iter().map(|(i, m)| (i, Arc::new(m) as Block)).collect())
        });
        let label = Label { number: begun.job().id.0, name: action.name, site: action.site, tasks: total };
        let mut all = backend.gather(&label, made)?;
        all.sort_by_key(|(i, _)| *i);
        let typed = |b: Block| b.downcast::<Made<R>>().expect("equal labels carry equal types");
        let all: Vec<_> = all.into_iter().map(|(i, b)| (i, typed(b))).collect();
        let missed = Missed::all(all.iter().filter_map(|(_, made)| made.missed.as_ref()));
        Ok((all, missed))
    }
    /// Runs tasks with one lane; `keep` takes each result as soon as it is there.
    fn run_counted<R: Send + 'static, S: Send + 'static>(
        &self,
        begun: &Begun,
        tasks: Tasks,
        body: impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static,
        keep: impl Fn(usize, R) -> S + Send + Sync + 'static,
        again: &mut Again,
    ) -> Result<Vec<S>> {
        let (n, barrier) = (tasks.specs.len(), tasks.barrier);
        let work = Work::new(n, body, keep);
        let (ran, mut added) = self.run_here(begun, tasks, &work, None);
        let ran = match ran {
            Ok(Ran { done, missed: Some(missed), left }) => {
                let left = Tasks { specs: left, barrier };
                self.run_left(begun, &work, (n, done), left, missed, again, &mut added)
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

#[cold]
fn starts(bus: &Bus, job: &Job, waves: &[Wave], first: u64, last: &Meta, tasks: usize) {
    let maps = waves.iter().flatten().map(|s| (s.shuffle.name(), s.shuffle.site(), s.missing.len()));
    let result = (tasks > 0).then_some((last.name, last.site, tasks));
    let stages = maps.chain(result).enumerate();
    let stages = stages.map(|(i, (name, site, tasks))| set::stage_info(StageId(first + i as u64), name, site, tasks));
    let (name, stages, properties) = (job.name(), stages.collect(), job.properties.clone());
    bus.post(|| {
        SparkListenerEvent::JobStart(JobStart { job: job.id, time: bus.clock.now(), name, stages, properties })
    });
}

/// What a task of a result stage does.
fn on_partitions<T: Data, R>(
    action: Action,
    rdd: &Rdd<T>,
    f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
) -> impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static {
    let op = rdd.op.clone();
    move |spec, task| {
        let flow = op.flow(spec.partition, task)?;
        task::at(action.site);
        f(spec.partition, flow, task)
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

/// The text of a panic, as far as it has one.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    text.unwrap_or("(a payload that is not text)").to_owned()
}

/// A driver closure of the user's, its panic turned into an error.
///
/// ```
/// use winterbourne_engine::guard_driver;
/// assert_eq!(guard_driver(|| Ok(7))?, 7);
/// let error = guard_driver::<u64>(|| panic!("of the user's")).unwrap_err();
/// assert!(error.to_string().contains("of the user's"));
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
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
