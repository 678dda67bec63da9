//! [`DStream`]: a handle on a node of the graph. Every operator boxes its closure once and calls the engine's `*_at`
//! twin for each batch, so that nothing is compiled twice.
mod inverse;
mod join;
mod many;
mod output;
mod own;
mod pair;
mod save;
mod slice;
mod state;
mod stateless;
mod tried;
mod update;
mod window;

pub use inverse::InverseOptions;
pub use many::Streams;
pub use output::OutputPartition;
pub use own::{Operator, Parent, Upstream};
pub use state::{MapWithStateDStream, StateSpec};
pub use tried::BadRecord;
pub(crate) use tried::Skips;
pub use update::{StateOptions, Updates};

use crate::{
    StreamingContext,
    graph::{StreamMeta, StreamNode, StreamOp},
};
use std::{marker::PhantomData, sync::Arc};
use winterbourne_base::{Duration, IntoDuration, Time};
use winterbourne_engine::{
    Data, KeyPartitioner, Level, MemoryOnly, Rdd, Result, Site,
    lineage::{Count, Partitioner},
};

/// A discretized stream: for every multiple of its slide duration, an [`Rdd`] or nothing to do.
///
/// Operators describe; nothing runs before [`start`](StreamingContext::start), and nothing is computed that no output
/// operation ([`print`](DStream::print), [`foreach_rdd`](DStream::foreach_rdd)) asks for. `!Send`: a record closure or a
/// driver closure that captures one does not compile (Spark finds that at run time). Mistakes in building the graph
/// are kept with their call sites and come out of `start`, all at once.
///
/// ```
/// use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
/// use winterbourne_engine::{SparkConf, SparkContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
/// let ssc = StreamingContext::new(&sc, seconds(1))?;
/// let batches: RddQueue<u64> = [sc.range(0..5, 2), sc.range(5..9, 2)].into_iter().collect();
/// let evens = ssc.queue_stream(&batches).filter(|x| x % 2 == 0);
/// let (seen, out) = std::sync::mpsc::channel();
/// evens.foreach_rdd(move |rdd, _time| Ok(seen.send(rdd.collect()?)?));
/// let mut run = ssc.start_stepped()?;
/// run.step()?;
/// run.step()?;
/// assert_eq!(out.try_iter().collect::<Vec<_>>(), [vec![0, 2, 4], vec![6, 8]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a DStream is lazy: nothing runs without an output operation"]
pub struct DStream<T: Data> {
    pub(crate) op: Arc<StreamOp<T>>,
    pub(crate) ssc: StreamingContext,
    graph_only: PhantomData<dyn OnlyWhileTheGraphIsBuilt>,
}
/// Makes a stream stay on the thread that builds the graph; named so that rustc's message says it.
trait OnlyWhileTheGraphIsBuilt {}

impl<T: Data> Clone for DStream<T> {
    fn clone(&self) -> Self {
        DStream { op: self.op.clone(), ssc: self.ssc.clone(), graph_only: PhantomData }
    }
}

impl<T: Data> DStream<T> {
    /// Adds a node to the graph and returns its handle.
    pub(crate) fn of(ssc: &StreamingContext, op: Arc<StreamOp<T>>) -> Self {
        let meta = &op.meta;
        if ssc.may_add(meta.kind, meta.site) {
            ssc.graph().parts().nodes.push(op.clone());
        }
        DStream { op, ssc: ssc.clone(), graph_only: PhantomData }
    }
    /// A stream with this one as its only parent. No RDD here means no RDD there.
    pub(crate) fn child<U: Data>(
        &self,
        kind: &'static str,
        site: Site,
        f: impl Fn(&Rdd<T>, Time) -> Result<Rdd<U>> + Send + Sync + 'static,
    ) -> DStream<U> {
        let parent = self.op.clone();
        let meta = StreamMeta::new(kind, site, self.slide_duration()).parent(&self.op);
        let op = StreamOp::new(meta, move |t| parent.rdd(t)?.map(|r| f(&r, t)).transpose());
        DStream::of(&self.ssc, op)
    }
    /// Remembers a mistake for `start` to report.
    pub(crate) fn wrong(&self, site: Site, what: impl Into<String>) {
        self.ssc.graph().wrong(site, what);
    }
    /// A duration given by the user; if it cannot be one, the mistake is remembered and the slide taken instead.
    pub(crate) fn duration(&self, site: Site, what: &str, given: impl IntoDuration) -> Duration {
        given.into_duration().unwrap_or_else(|e| {
            self.wrong(site, format!("the {what} duration: {e}"));
            self.slide_duration()
        })
    }
    /// Where keys go, as the user says; if they can go nowhere, the mistake is remembered.
    pub(crate) fn partitioner<K: 'static>(
        &self,
        kind: &'static str,
        site: Site,
        given: impl KeyPartitioner<K>,
    ) -> Partitioner {
        let partitioner = given.erased();
        if partitioner.partitions().if_known() == Some(0) {
            self.wrong(site, format!("`{kind}` was asked for 0 partitions; the number must be positive"));
            return Partitioner::Hash(Count::known(1));
        }
        partitioner
    }
    /// Over how many partitions keys are spread unless the user says.
    pub(crate) fn default_partitions(&self) -> usize {
        self.ssc.spark_context().default_parallelism()
    }
    /// How far apart its RDDs are.
    pub fn slide_duration(&self) -> Duration {
        self.op.meta.slide
    }
    /// The context it belongs to.
    #[doc(alias = "context")]
    pub fn streaming_context(&self) -> &StreamingContext {
        &self.ssc
    }
    /// Gives this operator a durable name. State, offsets and commits are kept under it, and the names of what follows
    /// are derived from it, so that editing the graph above does not disturb them. Without one the name is derived from
    /// the operator's kind, parameters and ancestry.
    #[track_caller]
    pub fn uid(self, name: impl Into<String>) -> Self {
        let name = name.into();
        let site = self.op.meta.site;
        if !self.ssc.may_add("uid", Site::caller()) {
            return self;
        }
        if name.is_empty() {
            self.wrong(site, "a uid must not be empty");
        } else if let Err(second) = self.op.meta.uid.set(name) {
            self.wrong(site, format!("the uid is set twice, now to {second:?}; remove one"));
        }
        self
    }
    /// Accepts that the state of this stateful operator is lost when the process ends: it then needs no checkpoint
    /// directory and takes part in no checkpoint.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let words = ssc.queue_stream(&RddQueue::<(String, u64)>::new());
    /// let seen = words.update_state_by_key(|n, before: Option<u64>| Some(before.unwrap_or(0) + n.len() as u64)).volatile();
    /// # seen.print();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn volatile(self) -> Self {
        if !self.ssc.may_add("volatile", Site::caller()) {
            return self;
        }
        match &self.op.meta.stateful {
            Some(state) => state.set_volatile(),
            None => self.wrong(
                self.op.meta.site,
                format!(
                    "`{}` keeps no state, so it cannot be volatile; call it on the stateful operator",
                    self.op.meta.kind
                ),
            ),
        }
        self
    }
    /// Keeps each of its RDDs in memory once computed, as long as it is remembered: worth it where several output
    /// operations or windows read it.
    #[track_caller]
    pub fn cache(self) -> Self {
        self.persist(MemoryOnly)
    }
    /// Keeps each of its RDDs as `level` says once computed, as long as it is remembered. The last word before `start`
    /// counts. Of a window it is the stream below that is kept; that is in memory unless said otherwise.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{MemoryAndDiskSer, SparkConf, SparkContext, StorageLevel};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 2)].into_iter().collect();
    /// let squares = ssc.queue_stream(&batches).map(|x| x * x).persist(MemoryAndDiskSer);
    /// squares.foreach_rdd(|rdd, _| {
    ///     assert_eq!(rdd.storage_level(), StorageLevel::MEMORY_AND_DISK_SER);
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn persist(self, level: impl Level<T> + Clone + Send + Sync + 'static) -> Self {
        let site = Site::caller();
        if self.ssc.may_add("persist", site) {
            self.op.keep_as(move |rdd| rdd.persist_at(site, level.clone()));
        }
        self
    }
    /// How often the state this operator keeps is checkpointed: a multiple of its slide. By default every tenth batch for
    /// `map_with_state`, and every ten seconds' worth of batches for others. All operators share their checkpoints: the
    /// shortest interval counts, also that of a stream that keeps no state, which needs a checkpoint directory to have one.
    /// Between them, the batch log says what to apply again after a restart.
    #[track_caller]
    pub fn checkpoint(self, interval: impl IntoDuration) -> Self {
        let (site, own) = (self.op.meta.site, self.slide_duration());
        if !self.ssc.may_add("checkpoint", Site::caller()) {
            return self;
        }
        let interval = self.duration(site, "checkpoint", interval);
        if interval.is_zero() || !interval.is_multiple_of(own) {
            self.wrong(
                site,
                format!(
                    "the checkpoint interval ({interval}) must be a positive multiple of the slide duration ({own})"
                ),
            );
        } else if self.op.meta.checkpoint.set(interval).is_err() {
            self.wrong(site, "the checkpoint interval is set twice; remove one");
        }
        self
    }
    /// Its ancestry, one stream a line, parents indented below: operator, slide, call site, name. The lineage of one
    /// batch's RDD is [`Rdd::to_debug_string`].
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let recent = ssc.queue_stream(&RddQueue::<u64>::new()).uid("numbers").map(|x| x + 1).window(seconds(10));
    /// let text = recent.to_debug_string();
    /// let kinds: Vec<&str> = text.lines().map(|l| l.trim_start().split(' ').next().unwrap()).collect();
    /// assert_eq!(kinds, ["window", "map", "queue_stream"]);
    /// assert!(text.contains("(uid numbers)"), "{text}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_debug_string(&self) -> String {
        let mut out = String::new();
        let mut todo: Vec<(Arc<dyn StreamNode>, usize)> = vec![(self.op.clone(), 0)];
        while let Some((node, depth)) = todo.pop() {
            let meta = node.meta();
            let param = if meta.param.is_empty() { String::new() } else { format!(" {}", meta.param) };
            let uid = meta.uid.get().map_or(String::new(), |u| format!(" (uid {u})"));
            let indent = depth * 2;
            out.push_str(&format!("{:indent$}{}{param} every {} at {}{uid}\n", "", meta.kind, meta.slide, meta.site));
            todo.extend(meta.parents.iter().rev().map(|p| (p.clone(), depth + 1)));
        }
        out
    }
}
