//! Operators of the user's own: the trait [`Operator`], and handles on the streams it reads. Our own operators do no more
//! than this: parents, a slide, and a function from time to RDD.
use super::{DStream, many::meet};
use crate::{
    StreamingContext,
    context::ContextRef,
    graph::{StreamNode, StreamOp},
};
use std::sync::{Arc, Mutex, PoisonError};
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{BoxError, Data, Rdd, Result, Site};

/// An operator of your own: what it reads, how far apart its RDDs are, and which RDD belongs to a time. Add it to the
/// graph with [`StreamingContext::operator`].
///
/// It reads other streams through [`Upstream`] handles, which it names in [`parents`](Operator::parents). What it asks of
/// a parent at the same time is there; to look back, it says how far in [`reach`](Operator::reach), and may
/// [cache](DStream::cache) the parent. Its methods but `compute` are called once, when it is added.
///
/// The difference between each batch and the one before it:
///
/// ```
/// use winterbourne_streaming::{BoxError, DStream, Duration, Operator, Parent, RddQueue, StreamingContext, Time, Upstream, seconds};
/// use winterbourne_engine::{Rdd, SparkConf, SparkContext};
///
/// struct Growth { counts: Upstream<u64> }
/// impl Operator<i64> for Growth {
///     fn parents(&self) -> Vec<Parent> {
///         vec![self.counts.parent()]
///     }
///     fn reach(&self) -> Duration {
///         self.counts.slide_duration() // the batch before this one
///     }
///     fn compute(&mut self, time: Time) -> Result<Option<Rdd<i64>>, BoxError> {
///         let Some(now) = self.counts.rdd(time)? else { return Ok(None) };
///         let both = match self.counts.rdd(time - self.counts.slide_duration())? {
///             Some(before) => now.map(|n| n as i64).union(&before.map(|n| -(n as i64))),
///             None => now.map(|n| n as i64),
///         };
///         Ok(Some(both.coalesce(1).map_partitions(|all| [all.sum()])))
///     }
/// }
/// /// Used as if it were one of ours.
/// fn growth<T: Clone + Send + Sync + 'static>(of: &DStream<T>) -> DStream<i64> {
///     of.streaming_context().operator("growth", Growth { counts: of.count().cache().upstream() })
/// }
///
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// # let ssc = StreamingContext::new(&sc, seconds(1))?;
/// let batches: RddQueue<u64> = [sc.range(0..5, 2), sc.range(0..7, 2), sc.range(0..3, 2)].into_iter().collect();
/// let (seen, out) = std::sync::mpsc::channel();
/// growth(&ssc.queue_stream(&batches)).foreach_rdd(move |rdd, _| Ok(seen.send(rdd.first()?)?));
/// let mut run = ssc.start_stepped()?;
/// for _ in 0..3 { run.step()?; }
/// assert_eq!(out.try_iter().collect::<Vec<_>>(), [5, 2, -4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Operator<T: Data>: Send + 'static {
    /// The streams it reads, all of one context.
    #[doc(alias = "dependencies")]
    fn parents(&self) -> Vec<Parent>;
    /// How far apart its RDDs are: a multiple of the batch interval. `None` means that of its first parent, or the batch
    /// interval if it has none.
    #[doc(alias = "slideDuration")]
    fn slide(&self) -> Option<Duration> {
        None
    }
    /// How much longer than itself its parents are to be remembered: how far before the time of `compute` it looks.
    fn reach(&self) -> Duration {
        Duration::ZERO
    }
    /// The RDD of `time`, on the driver. `None`: there is nothing to do. Called at multiples of the slide, once for each
    /// attempt at a batch, if somebody asks; what it returns is remembered. It may run actions, as a
    /// [`transform`](DStream::transform) may.
    ///
    /// # Errors
    /// Fails the batch, which is then tried again. A panic does the same.
    fn compute(&mut self, time: Time) -> Result<Option<Rdd<T>>, BoxError>;
}

/// A stream without its record type, as an operator names those it reads.
#[derive(Clone)]
pub struct Parent {
    pub(super) node: Arc<dyn StreamNode>,
    pub(super) of: ContextRef,
}
impl Parent {
    /// The operator that made it: `map`, `window`.
    pub fn operator(&self) -> &'static str {
        self.node.meta().kind
    }
    /// Where it was called.
    pub fn site(&self) -> Site {
        self.node.meta().site
    }
    /// How far apart its RDDs are.
    pub fn slide_duration(&self) -> Duration {
        self.node.meta().slide
    }
}

/// A stream to read from within an [`Operator`]: unlike a [`DStream`] it may be sent to the thread of the batches.
pub struct Upstream<T: Data> {
    op: Arc<StreamOp<T>>,
    of: ContextRef,
}
impl<T: Data> Clone for Upstream<T> {
    fn clone(&self) -> Self {
        Upstream { op: self.op.clone(), of: self.of.clone() }
    }
}
impl<T: Data> Upstream<T> {
    /// The same without its record type, for [`Operator::parents`].
    pub fn parent(&self) -> Parent {
        Parent { node: self.op.clone(), of: self.of.clone() }
    }
    /// How far apart its RDDs are.
    pub fn slide_duration(&self) -> Duration {
        self.op.meta.slide
    }
    /// Its RDD of `time`; nothing at or before zero time, off its slide, or where it has nothing to do.
    ///
    /// # Errors
    /// What making it met.
    pub fn rdd(&self, time: Time) -> Result<Option<Rdd<T>>> {
        self.op.rdd(time)
    }
    /// Its RDDs of the times in `(from, to]`, oldest first: what a window takes.
    ///
    /// # Errors
    /// What making them met.
    pub fn between(&self, from: Time, to: Time) -> Result<Vec<Rdd<T>>> {
        self.op.between(from, to)
    }
}

impl<T: Data> DStream<T> {
    /// A handle for an [`Operator`] of your own to read this stream by.
    pub fn upstream(&self) -> Upstream<T> {
        Upstream { op: self.op.clone(), of: self.ssc.reference() }
    }
    /// The streams this one is made from.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let numbers = ssc.queue_stream(&RddQueue::<u64>::new());
    /// let both = numbers.map(|x| x + 1).union(&numbers);
    /// assert_eq!(both.dependencies().iter().map(|p| p.operator()).collect::<Vec<_>>(), ["map", "queue_stream"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dependencies(&self) -> Vec<Parent> {
        let of = self.ssc.reference();
        self.op.meta.parents.iter().map(|p| Parent { node: p.clone(), of: of.clone() }).collect()
    }
    pub(super) fn as_parent(&self) -> Parent {
        Parent { node: self.op.clone(), of: self.ssc.reference() }
    }
}

impl StreamingContext {
    /// The stream of an operator of your own; see [`Operator`]. `name` tells it from its like in messages and is part of
    /// the durable ids of what follows.
    #[track_caller]
    pub fn operator<T: Data>(&self, name: impl Into<String>, operator: impl Operator<T>) -> DStream<T> {
        let site = Site::caller();
        let parents = operator.parents();
        let slide = operator.slide().or(parents.first().map(Parent::slide_duration)).unwrap_or(self.batch_duration());
        let batch = self.batch_duration();
        if slide.is_zero() || !slide.is_multiple_of(batch) {
            let what = format!(
                "the slide of an operator ({slide}) must be a positive multiple of the batch interval ({batch})"
            );
            self.graph().wrong(site, what);
        }
        let slide = if slide.is_zero() { batch } else { slide };
        let meta = meet(self, "operator", site, Some(slide), &parents).param(name.into()).reach(operator.reach());
        let operator = Mutex::new(operator);
        let op = StreamOp::new(meta, move |t| {
            // SUBTLE: parents are asked under this lock; locks are taken from children to parents only.
            let mut operator = operator.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(operator.compute(t)?)
        });
        DStream::of(self, op)
    }
}
