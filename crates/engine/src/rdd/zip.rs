//! RDDs side by side: partition p of the result comes from partition p of each.
use super::{Rdd, Shape, transform::yielded};
use crate::{
    CHUNK, Chunk, Data, Error, Flow, Records, Result, Site, SparkContext, Task, at,
    lineage::{Count, Dep, Link, Op},
};

/// What [`zip_partitions`](Rdd::zip_partitions) takes beside the first RDD: a reference to another, or a tuple of up to
/// three of these.
pub trait Beside: sealed::Open {}
impl<O: sealed::Open> Beside for O {}

mod sealed {
    use super::*;

    /// What it takes to read a partition of each.
    pub trait Open {
        /// The partitions as iterators: one, or a tuple of them.
        type Records: 'static;
        type Links: Send + Sync + 'static;
        fn note(&self, into: &mut Parents);
        fn links(&self) -> Self::Links;
        fn open(links: &Self::Links, p: usize, task: &Task) -> Result<Self::Records>;
    }
}
use sealed::Open;

/// What is known of RDDs without their types.
#[doc(hidden)]
pub struct Parents {
    sc: SparkContext,
    foreign: bool,
    counts: Vec<Count>,
    deps: Vec<Dep>,
    depth: u32,
}
impl Parents {
    fn of<T: Data>(first: &Rdd<T>) -> Self {
        let mut all = Parents { sc: first.sc.clone(), foreign: false, counts: Vec::new(), deps: Vec::new(), depth: 0 };
        first.note(&mut all);
        all
    }
    /// A node that reads all of them, or what is wrong with that.
    fn make<U: Data>(
        self,
        operator: &'static str,
        site: Site,
        compute: impl Fn(usize, &Task) -> Result<Flow<U>> + Send + Sync + 'static,
    ) -> Rdd<U> {
        if self.foreign {
            return self.sc.wrong(operator, site, move || Error::ForeignRdd { operator, site });
        }
        let partitions = same_count("zip", operator, site, self.counts);
        let shape =
            Shape { name: operator, site, partitions, deps: self.deps, partitioner: None, depth: self.depth + 1 };
        self.sc.make(shape, compute)
    }
}

/// The number that all of these are.
pub(super) fn same_count(doing: &'static str, operator: &'static str, site: Site, all: Vec<Count>) -> Count {
    let same = move |n: &[usize]| match n.iter().all(|x| *x == n[0]) {
        true => Ok(n[0]),
        false => Err(Error::UnequalPartitions { doing, operator, site, partitions: n.to_vec() }),
    };
    let known: Option<Vec<usize>> = all.iter().map(Count::if_known).collect();
    match known.map(|n| same(&n)) {
        Some(Ok(n)) => Count::known(n),
        _ => Count::made(all, Box::new(same)),
    }
}

impl<T: Data> Open for &Rdd<T> {
    type Records = Records<T>;
    type Links = Link<Op<T>>;
    fn note(&self, into: &mut Parents) {
        into.foreign |= !into.sc.same(&self.sc);
        into.counts.push(self.op.meta.partitions.clone());
        into.deps.push(Dep::Narrow(Link::erased(&self.op)));
        into.depth = into.depth.max(self.op.meta.depth);
    }
    fn links(&self) -> Self::Links {
        Link::typed(&self.op)
    }
    fn open(link: &Self::Links, p: usize, task: &Task) -> Result<Records<T>> {
        link.flow(p, task).map(Flow::records)
    }
}
macro_rules! tuples {
    ($($name:ident $i:tt),+) => {
        impl<$($name: Open),+> Open for ($($name,)+) {
            type Records = ($($name::Records,)+);
            type Links = ($($name::Links,)+);
            fn note(&self, into: &mut Parents) {
                $(self.$i.note(into);)+
            }
            fn links(&self) -> Self::Links {
                ($(self.$i.links(),)+)
            }
            fn open(links: &Self::Links, p: usize, task: &Task) -> Result<Self::Records> {
                Ok(($($name::open(&links.$i, p, task)?,)+))
            }
        }
    };
}
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);

impl<T: Data> Rdd<T> {
    /// Pairs the records of two RDDs, the first with the first, and so on, partition by partition. Both must have
    /// equally many partitions, and equally many records in each: so is what `map`s make of one RDD.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let numbers = sc.range(1..4, 2);
    /// assert_eq!(numbers.zip(&numbers.map(|x| x * x)).collect()?, [(1, 1), (2, 4), (3, 9)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// At the action, [`Error::UnequalPartitions`]; in the task, [`Error::UnequalElements`].
    #[track_caller]
    pub fn zip<U: Data>(&self, other: &Rdd<U>) -> Rdd<(T, U)> {
        let (site, mut parents) = (Site::caller(), Parents::of(self));
        other.note(&mut parents);
        let (left, right) = (Link::typed(&self.op), Link::typed(&other.op));
        parents.make("zip", site, move |p, task| Ok(pairs(left.flow(p, task)?, right.flow(p, task)?, site, p)))
    }
    /// Applies `f` to partition p of this RDD and of others together: `zip_partitions(&b, |a, b| …)`,
    /// `zip_partitions((&b, &c), |a, (b, c)| …)`, and so on up to three others. All must have equally many partitions;
    /// how many records they have does not matter. The result has no partitioner; if `f` leaves keys as they are spread,
    /// say so with [`with_partitioner_of`](Rdd::with_partitioner_of).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (a, b, c) = (sc.range(0..4, 2), sc.range(10..13, 2), sc.parallelize(["x", "y"], 2));
    /// let sums = a.zip_partitions(&b, |a, b| [a.sum::<u64>() + b.sum::<u64>()]);
    /// assert_eq!(sums.collect()?, [11, 28]);
    /// let names = a.zip_partitions((&b, &c), |a, (b, mut c)| [format!("{:?}: {} and {}", c.next(), a.count(), b.count())]);
    /// assert_eq!(names.first()?, "Some(\"x\"): 2 and 1");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// At the action, [`Error::UnequalPartitions`].
    #[track_caller]
    pub fn zip_partitions<O: Beside, I>(
        &self,
        others: O,
        f: impl Fn(Records<T>, O::Records) -> I + Send + Sync + 'static,
    ) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let (site, mut parents) = (Site::caller(), Parents::of(self));
        others.note(&mut parents);
        let (first, links) = (Link::typed(&self.op), others.links());
        parents.make("zip_partitions", site, move |p, task| {
            // SUBTLE: opening a parent recurses as deep as the lineage is long, so what needs stack is in `together`,
            // which runs when both have returned.
            let first = first.flow(p, task);
            together(first, O::open(&links, p, task), &f, site, task)
        })
    }
}

fn together<T: Data, R, I>(
    first: Result<Flow<T>>,
    others: Result<R>,
    f: &impl Fn(Records<T>, R) -> I,
    site: Site,
    task: &Task,
) -> Result<Flow<I::Item>>
where
    I: IntoIterator + 'static,
    I::Item: Data,
{
    let (first, others) = (first?, others?);
    at(site);
    Ok(yielded(f(first.records(), others), site, task))
}

/// The records of both in pairs; an error if one has more.
fn pairs<T: Data, U: Data>(mut left: Flow<T>, mut right: Flow<U>, site: Site, partition: usize) -> Flow<(T, U)> {
    let (mut lefts, mut rights) = (Vec::new().into_iter(), Vec::new().into_iter());
    Flow::new(move || {
        let mut out = Vec::new();
        while out.len() < CHUNK {
            if lefts.len() == 0 {
                lefts = left.next_chunk()?.map_or_else(Vec::new, Chunk::into_vec).into_iter();
            }
            if rights.len() == 0 {
                rights = right.next_chunk()?.map_or_else(Vec::new, Chunk::into_vec).into_iter();
            }
            match (lefts.len(), rights.len()) {
                (0, 0) => break,
                (0, _) | (_, 0) => return Err(Error::UnequalElements { site, partition }),
                (n, m) => {
                    let n = n.min(m).min(CHUNK - out.len());
                    out.extend(lefts.by_ref().take(n).zip(rights.by_ref().take(n)));
                }
            }
        }
        Ok((!out.is_empty()).then_some(Chunk::Own(out)))
    })
}
