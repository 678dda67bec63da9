//! Barrier stages: all tasks run at once, and can wait for each other.
//!
//! Each task of such a stage has a thread of its own for as long as the stage lasts, so two of them cannot starve each
//! other, and no other job waits for them. A task that fails, or ends early, releases those that wait.
mod gate;

pub(crate) use gate::{Gate, run_together};

use crate::{
    BoxError, Data, Error, Flow, Rdd, RddId, Records, Result, Site, TaskContext, Wire, at,
    lineage::{Link, Node},
};
use std::{
    collections::HashSet,
    ops::Deref,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// The living RDDs that ask for barrier stages.
#[derive(Default)]
pub(crate) struct Barriers {
    ids: Mutex<HashSet<RddId>>,
    /// Whether there ever was one: programs without pay nothing.
    any: AtomicBool,
}
impl Barriers {
    fn has(&self, id: RddId) -> bool {
        self.ids.lock().expect("plain set").contains(&id)
    }
    #[inline]
    pub(crate) fn are_used(&self) -> bool {
        self.any.load(Relaxed)
    }
    /// Whether the stage that computes `tasks` partitions of `last` is a barrier stage: the operator that asked for it.
    pub(crate) fn of_stage(&self, last: &dyn Node, tasks: usize) -> Result<Option<Site>> {
        let (mut asks, mut seen, mut all) = (None, HashSet::new(), Vec::new());
        let mut todo: Vec<Link<dyn Node>> = Vec::new();
        let mut look = |node: &dyn Node, todo: &mut Vec<Link<dyn Node>>| {
            let meta = node.meta();
            if !seen.insert(meta.id) {
                return;
            }
            if self.has(meta.id) {
                asks.get_or_insert(meta.site);
            }
            all.push((meta.name, meta.site, meta.partitions.clone()));
            todo.extend(node.narrow());
        };
        look(last, &mut todo);
        while let Some(node) = todo.pop() {
            look(&**node, &mut todo);
        }
        let Some(site) = asks else { return Ok(None) };
        let refused = |why: String| Err(Error::Barrier { site, why });
        for (name, of, partitions) in all {
            if partitions.get()? != tasks {
                return refused(format!(
                    "[SPARK-24820][SPARK-24821]: Barrier execution mode does not allow a chain in which `{}` at {} has \
                     another number of partitions than the {tasks} tasks of the stage (union, coalesce, first, take); \
                     repartition, or cache the result and take from that",
                    name, of
                ));
            }
        }
        Ok(Some(site))
    }
}

/// Takes an RDD out of the set when it dies.
struct Mark {
    barriers: Arc<Barriers>,
    id: RddId,
}
impl Mark {
    fn new(barriers: &Arc<Barriers>, id: RddId) -> Self {
        barriers.ids.lock().expect("plain set").insert(id);
        barriers.any.store(true, Relaxed);
        Mark { barriers: barriers.clone(), id }
    }
}
impl Drop for Mark {
    fn drop(&mut self) {
        self.barriers.ids.lock().expect("plain set").remove(&self.id);
    }
}

/// An RDD whose next operator runs in a barrier stage; made by [`Rdd::barrier`].
#[must_use = "an Rdd is lazy: nothing runs before an action"]
pub struct RddBarrier<T: Data>(Rdd<T>);

impl<T: Data> Rdd<T> {
    /// Runs the operator that follows in a stage all of whose tasks run at once, and can wait for each other
    /// ([`BarrierTaskContext`]): for algorithms that exchange values while they run. A task that fails fails the stage,
    /// which is tried again as a whole, as often as the master says.
    ///
    /// There must be as many threads (`local[N]`) as partitions; each task gets a thread of its own, beside those.
    ///
    /// ```
    /// use winterbourne_engine::{BarrierTaskContext, SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[3]"))?;
    /// let shares = sc.range(1..7, 3).barrier().map_partitions(|records| {
    ///     let task = BarrierTaskContext::get().expect("in a barrier stage");
    ///     let mine: u64 = records.sum();
    ///     let all: u64 = task.all_gather(mine)?.iter().sum();
    ///     Ok([(mine, all)])
    /// });
    /// assert_eq!(shares.collect()?, [(3, 21), (7, 21), (11, 21)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn barrier(&self) -> RddBarrier<T> {
        RddBarrier(self.clone())
    }
}
impl<T: Data> RddBarrier<T> {
    /// As [`Rdd::map_partitions`], in a barrier stage. The closure may fail.
    #[track_caller]
    pub fn map_partitions<I>(
        &self,
        f: impl Fn(Records<T>) -> Result<I, BoxError> + Send + Sync + 'static,
    ) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.run(Site::caller(), move |_, records| f(records))
    }
    /// As [`map_partitions`](RddBarrier::map_partitions), with the number of the partition.
    ///
    /// ```
    /// # use winterbourne_engine::{BarrierTaskContext, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
    /// let placed = sc.range(0..4, 2).barrier().map_partitions_with_index(|p, records| {
    ///     let tasks = BarrierTaskContext::get().expect("in a barrier stage").task_infos();
    ///     assert_eq!(tasks[p].partition, p);
    ///     Ok([(p, tasks.len(), records.count())])
    /// });
    /// assert_eq!(placed.collect()?, [(0, 2, 2), (1, 2, 2)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn map_partitions_with_index<I>(
        &self,
        f: impl Fn(usize, Records<T>) -> Result<I, BoxError> + Send + Sync + 'static,
    ) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.run(Site::caller(), f)
    }
    fn run<I>(
        &self,
        site: Site,
        f: impl Fn(usize, Records<T>) -> Result<I, BoxError> + Send + Sync + 'static,
    ) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let mark = Arc::new(OnceLock::new());
        let lives = mark.clone();
        let rdd = self.0.narrow("barrier", site, false, move |p, flow, task| {
            let _ = &lives; // as long as the closure
            at(site);
            let (mut it, task) = (f(p, flow.records())?.into_iter(), task.clone());
            Ok(Flow::new(move || {
                task.check()?;
                at(site);
                let v: Vec<I::Item> = it.by_ref().take(crate::CHUNK).collect();
                Ok((!v.is_empty()).then_some(crate::Chunk::Own(v)))
            }))
        });
        let _ = mark.set(Mark::new(&self.0.sc.inner.barriers, rdd.id()));
        rdd
    }
}

/// A task of a barrier stage, as another sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BarrierTaskInfo {
    /// Its partition.
    pub partition: usize,
    /// The host it runs on.
    pub address: String,
}

/// The [`TaskContext`] of a task in a barrier stage, which can wait for the others.
#[derive(Clone)]
pub struct BarrierTaskContext {
    context: TaskContext,
    gate: Arc<Gate>,
}
impl BarrierTaskContext {
    /// The context of the task that this thread runs; `None` outside of barrier stages.
    pub fn get() -> Option<Self> {
        let context = TaskContext::get()?;
        let gate = context.task().around.gate.clone()?;
        Some(BarrierTaskContext { context, gate })
    }
    /// Waits until all tasks of the stage have called it.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the job is over, because another task has failed for instance;
    /// [`Error::BarrierBroken`] if another task has ended without calling it, or calls something else.
    #[track_caller]
    pub fn barrier(&self) -> Result<()> {
        self.gate.meet(self.context.task(), "barrier", Site::caller(), ()).map(drop)
    }
    /// Waits until all tasks of the stage have called it; returns their values, in the order of partitions.
    ///
    /// # Errors
    /// As [`barrier`](BarrierTaskContext::barrier); also if the values are of different types.
    #[doc(alias = "allGather")]
    #[track_caller]
    pub fn all_gather<V: Wire>(&self, value: V) -> Result<Vec<V>> {
        self.gate.meet(self.context.task(), "all_gather", Site::caller(), value)
    }
    /// All tasks of the stage.
    #[doc(alias = "getTaskInfos")]
    pub fn task_infos(&self) -> Vec<BarrierTaskInfo> {
        let all = &self.context.task().around.specs;
        all.iter().map(|s| BarrierTaskInfo { partition: s.partition, address: "localhost".into() }).collect()
    }
}
impl Deref for BarrierTaskContext {
    type Target = TaskContext;
    fn deref(&self) -> &TaskContext {
        &self.context
    }
}
