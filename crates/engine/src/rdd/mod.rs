//! [`Rdd`]: the typed shell. A handle is an `Arc` of its lineage node and one of its context; an operator is a few lines
//! that box one closure from flow to flow. Every operator and action is `#[track_caller]`, and has a twin `*_at` taking
//! the site for the layers above.
mod action;
mod approx;
mod cartesian;
mod describe;
mod histogram;
mod index;
mod iterate;
mod keeping;
mod numeric;
mod ordered;
mod persist;
mod reshape;
mod sample;
mod sets;
mod sketch;
mod stat_counter;
mod strata;
mod survey;
mod transform;
mod tree;
mod zip;

pub use approx::{BoundedDouble, PartialResult, Within};
pub use describe::Dependency;
pub use iterate::LocalIterator;
pub use numeric::Number;
pub use ordered::{ByFloat, ByOrd, Ordered};
pub use sample::Sampling;
pub use stat_counter::StatCounter;
pub use transform::OnBadRecord;
pub use zip::Beside;

use crate::{
    Chunk, Data, Error, Flow, RddId, Result, Site, SparkContext, Task, at,
    lineage::{Body, Count, Dep, Label, Link, Meta, Op, Partitioner},
};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// A resilient distributed dataset: a lazy, immutable, partitioned collection of records.
///
/// Defining one runs nothing and opens no file; an *action* ([`collect`](Rdd::collect), [`count`](Rdd::count), …) runs
/// its lineage as a job. A handle is cheap to clone. `Send` but not `Sync`, so that a record closure that captures one
/// does not compile (Spark finds that at run time), while driver closures may own one.
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
/// let words = sc.parallelize(["to", "be", "or", "not", "to", "be"], 2).map(|w| (w.to_string(), 1u64));
/// let mut counts = words.reduce_by_key(|a, b| a + b).collect()?;
/// counts.sort();
/// assert_eq!(counts, [("be".into(), 2), ("not".into(), 1), ("or".into(), 1), ("to".into(), 2)]);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[must_use = "an Rdd is lazy: nothing runs before an action"]
pub struct Rdd<T: Data> {
    pub(crate) op: Arc<Op<T>>,
    pub(crate) sc: SparkContext,
}
impl<T: Data> Clone for Rdd<T> {
    fn clone(&self) -> Self {
        Rdd { op: self.op.clone(), sc: self.sc.clone() }
    }
}

/// What a new lineage node is, apart from its closure; see [`SparkContext::make`].
pub struct Shape {
    /// The operator's name.
    pub name: &'static str,
    /// Where the user called it.
    pub site: Site,
    /// How many partitions it has.
    pub partitions: Count,
    /// What it is computed from; the closure reads exactly these.
    pub deps: Vec<Dep>,
    /// How keys are spread, if they are.
    pub partitioner: Option<Partitioner>,
    /// Narrow operators in a row, this one included: one more than its deepest narrow parent.
    pub depth: u32,
}

impl SparkContext {
    /// A node from its shape and its closure: the extension point of the layers above (inputs, state) and of users'
    /// own sources. The closure computes one partition; it may run several times, on any thread.
    ///
    /// ```
    /// use winterbourne_engine::{Flow, Shape, Site, SparkConf, SparkContext, lineage::Count};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let shape = Shape { name: "squares", site: Site::caller(), partitions: Count::known(2), deps: vec![], partitioner: None, depth: 0 };
    /// let squares = sc.make(shape, |p, _task| Ok(Flow::from_records((0..3u64).map(move |i| i * i + p as u64))));
    /// assert_eq!(squares.collect()?, [0, 1, 4, 1, 2, 5]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn make<T: Data>(
        &self,
        shape: Shape,
        compute: impl Fn(usize, &Task) -> Result<Flow<T>> + Send + Sync + 'static,
    ) -> Rdd<T> {
        let Shape { name, site, partitions, deps, partitioner, depth } = shape;
        let id = RddId(self.inner.ids.rdds.fetch_add(1, Relaxed));
        let (label, concatenates, hosts) = (Label::default(), AtomicBool::new(false), OnceLock::new());
        let meta = Meta { id, name, label, site, partitions, partitioner, depth, concatenates, hosts };
        let body = Body { deps, compute: Box::new(compute) };
        Rdd { op: Arc::new(Op::new(meta, self.inner.blocks.clone(), body)), sc: self.clone() }
    }
    /// A node without parents.
    pub(crate) fn leaf<T: Data>(
        &self,
        name: &'static str,
        site: Site,
        partitions: Count,
        compute: impl Fn(usize, &Task) -> Result<Flow<T>> + Send + Sync + 'static,
    ) -> Rdd<T> {
        self.make(Shape { name, site, partitions, deps: Vec::new(), partitioner: None, depth: 0 }, compute)
    }
    /// A definition that was wrong: the error comes out at the action.
    pub(crate) fn wrong<T: Data>(
        &self,
        name: &'static str,
        site: Site,
        error: impl Fn() -> Error + Send + Sync + 'static,
    ) -> Rdd<T> {
        let error = Arc::new(error);
        let again = error.clone();
        self.leaf(name, site, Count::later(move || Err(error())), move |_, _| Err(again()))
    }
}

impl<T: Data> Rdd<T> {
    /// The narrow operator the others are made of: partition p of the child is `f` of partition p of the parent.
    /// `keeps_partitioner` says that keys stay what they are.
    ///
    /// ```
    /// # use winterbourne_engine::{Site, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let odd_chunks = sc.range(0..10, 2).narrow("first_of_each", Site::caller(), false, |_p, flow, _task| {
    ///     Ok(flow.map_chunks(|chunk| chunk.as_slice()[..1].to_vec()))
    /// });
    /// assert_eq!(odd_chunks.collect()?, [0, 5]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn narrow<U: Data>(
        &self,
        name: &'static str,
        site: Site,
        keeps_partitioner: bool,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    ) -> Rdd<U> {
        let (parent, meta) = (Link::typed(&self.op), &self.op.meta);
        let shape = Shape {
            name,
            site,
            partitions: meta.partitions.clone(),
            deps: vec![Dep::Narrow(Link::erased(&self.op))],
            partitioner: meta.partitioner.clone().filter(|_| keeps_partitioner),
            depth: meta.depth + 1,
        };
        self.sc.make(shape, move |p, task| f(p, parent.flow(p, task)?, task))
    }
    /// Partition p of the result is `f` of partition p of each of these, which have equally many partitions and are spread
    /// alike; `f` opens by number those that it reads, in its own order. At least one.
    ///
    /// ```
    /// # use winterbourne_engine::{Flow, Rdd, Site, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let all = [sc.range(0..4, 2), sc.range(10..14, 2)];
    /// let sums = Rdd::narrow_all(&all, "sums", Site::caller(), |_p, open, _task| {
    ///     let (a, b): (u64, u64) = (open(1)?.records().sum(), open(0)?.records().sum());
    ///     Ok(Flow::from_records(std::iter::once(a + b)))
    /// });
    /// assert_eq!(sums.collect()?, [10 + 11 + 0 + 1, 12 + 13 + 2 + 3]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn narrow_all<U: Data>(
        all: &[Rdd<T>],
        name: &'static str,
        site: Site,
        f: impl Fn(usize, &dyn Fn(usize) -> Result<Flow<T>>, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    ) -> Rdd<U> {
        let first = &all[0];
        let parents: Vec<_> = all.iter().map(|r| Link::typed(&r.op)).collect();
        let shape = Shape {
            name,
            site,
            partitions: first.op.meta.partitions.clone(),
            deps: all.iter().map(|r| Dep::Narrow(Link::erased(&r.op))).collect(),
            partitioner: first.op.meta.partitioner.clone(),
            depth: all.iter().map(|r| r.op.meta.depth).max().unwrap_or(0) + 1,
        };
        first.sc.make(shape, move |p, task| f(p, &|i| parents[i].flow(p, task), task))
    }
    /// A narrow operator that works chunk by chunk and remembers nothing between them.
    pub(crate) fn chunked<U: Data>(
        &self,
        name: &'static str,
        site: Site,
        keeps_partitioner: bool,
        f: impl Fn(Chunk<T>) -> Vec<U> + Send + Sync + 'static,
    ) -> Rdd<U> {
        let f = Arc::new(f);
        self.narrow(name, site, keeps_partitioner, move |_, flow, _| {
            let f = f.clone();
            Ok(flow.then(move |c| {
                at(site);
                f(c)
            }))
        })
    }
    /// The context it belongs to.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let numbers = sc.range(0..10, 2);
    /// let more = numbers.spark_context().range(10..20, 2); // where only an RDD is at hand
    /// assert_eq!(numbers.union(&more).count()?, 20);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "context")]
    pub fn spark_context(&self) -> &SparkContext {
        &self.sc
    }
    /// How many partitions it has. Lists the files of a text input.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..10, 3).num_partitions()?, 3);
    /// assert!(sc.text_file("/no/such/file", 2).num_partitions().is_err());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// What listing the input met.
    #[doc(alias = "getNumPartitions")]
    pub fn num_partitions(&self) -> Result<usize> {
        self.op.meta.partitions.get()
    }
    /// How keys are spread over the partitions, if they are.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.range(0..10, 3).map(|x| (x % 4, x));
    /// let spread = pairs.partition_by(2);
    /// assert!(pairs.partitioner().is_none() && spread.partitioner().is_some());
    /// let sums = pairs.reduce_by_key_in(|a, b| a + b, spread.partitioner().expect("seen above").clone());
    /// assert!(sums.partitioner() == spread.partitioner());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn partitioner(&self) -> Option<&Partitioner> {
        self.op.meta.partitioner.as_ref()
    }
}
