//! Narrow transformations: each partition of the child comes from one partition of each parent.
use super::{Rdd, Shape};
use crate::{
    BoxError, CHUNK, Chunk, Counters, Data, Error, Flow, Records, Result, Site, SparkContext, Task, at,
    lineage::{Count, Dep, Link, Op, Partitioner},
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// What a `try_` operator does with a record for which its closure returns an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum OnBadRecord {
    /// Fails the task, with the error as its cause.
    #[default]
    Fail,
    /// Leaves the record out and counts it.
    Skip,
}
/// Counts what a partition leaves out when its flow goes, whether or not it was read to its end.
struct Skipped {
    n: u64,
    counters: Arc<Counters>,
}
impl Skipped {
    fn one_more(&mut self) {
        self.n += 1;
    }
}
impl Drop for Skipped {
    fn drop(&mut self) {
        Counters::add(&self.counters.skipped_records, self.n);
    }
}

impl<T: Data> Rdd<T> {
    /// Applies `f` to each record.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..4, 2).map(|x| x * x).collect()?, [0, 1, 4, 9]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn map<U: Data>(&self, f: impl Fn(T) -> U + Send + Sync + 'static) -> Rdd<U> {
        self.map_at(Site::caller(), f)
    }
    /// [`map`](Rdd::map) on behalf of `site`.
    pub fn map_at<U: Data>(&self, site: Site, f: impl Fn(T) -> U + Send + Sync + 'static) -> Rdd<U> {
        self.chunked("map", site, false, move |c| c.map(&f))
    }
    /// Keeps the records that `keep` accepts, and the partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..10, 2).filter(|x| x % 3 == 0).collect()?, [0, 3, 6, 9]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn filter(&self, keep: impl Fn(&T) -> bool + Send + Sync + 'static) -> Rdd<T> {
        self.filter_at(Site::caller(), keep)
    }
    /// [`filter`](Rdd::filter) on behalf of `site`.
    pub fn filter_at(&self, site: Site, keep: impl Fn(&T) -> bool + Send + Sync + 'static) -> Rdd<T> {
        self.chunked("filter", site, true, move |c| c.filter(&keep))
    }
    /// Applies `f` to each record and keeps what it yields: Spark's `collect` with a partial function.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let halves = sc.range(0..7, 2).filter_map(|x| (x % 2 == 0).then(|| x / 2));
    /// assert_eq!(halves.collect()?, [0, 1, 2, 3]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn filter_map<U: Data>(&self, f: impl Fn(T) -> Option<U> + Send + Sync + 'static) -> Rdd<U> {
        self.filter_map_at(Site::caller(), f)
    }
    /// [`filter_map`](Rdd::filter_map) on behalf of `site`.
    pub fn filter_map_at<U: Data>(&self, site: Site, f: impl Fn(T) -> Option<U> + Send + Sync + 'static) -> Rdd<U> {
        self.chunked("filter_map", site, false, move |c| c.filter_map(&f))
    }
    /// Applies a function that may fail; `on_bad` says what becomes of a record for which it does. Skipped records are
    /// counted ([`SparkContext::counts`](crate::SparkContext::counts)) each time a job computes them.
    ///
    /// ```
    /// # use winterbourne_engine::{OnBadRecord, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let numbers = sc.parallelize(["1", "x", "3"], 1).try_map(OnBadRecord::Skip, |s| s.parse::<u32>());
    /// assert_eq!(numbers.collect()?, [1, 3]);
    /// assert_eq!(sc.counts().skipped_records, 1);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn try_map<U: Data, E: Into<BoxError>>(
        &self,
        on_bad: OnBadRecord,
        f: impl Fn(T) -> Result<U, E> + Send + Sync + 'static,
    ) -> Rdd<U> {
        let (site, f) = (Site::caller(), Arc::new(f));
        self.narrow("try_map", site, false, move |_, mut flow, task| {
            let (f, mut bad) = (f.clone(), Skipped { n: 0, counters: task.around.counters.clone() });
            Ok(Flow::new(move || {
                while let Some(c) = flow.next_chunk()? {
                    at(site);
                    let mut out = Vec::with_capacity(c.len());
                    let mut failure = None;
                    // SUBTLE: after a failure the rest of the chunk is passed over; the chunk is dropped with it.
                    c.for_each(|x| {
                        if failure.is_none() {
                            match f(x) {
                                Ok(y) => out.push(y),
                                Err(_) if on_bad == OnBadRecord::Skip => bad.one_more(),
                                Err(e) => failure = Some(e.into()),
                            }
                        }
                    });
                    if let Some(e) = failure {
                        return Err(Error::User(e));
                    }
                    if !out.is_empty() {
                        return Ok(Some(Chunk::Own(out)));
                    }
                }
                Ok(None)
            }))
        })
    }
    /// Replaces each record by the elements of what `f` returns, which must own them: `|line| line.words()`, or a
    /// vector. To yield pieces *borrowed* from the record, use [`emit`](Rdd::emit); `|line| line.split(' ')` does not
    /// compile, [`Text::split_owned`](crate::Text::split_owned) does. The iterator may be endless.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext, Text};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let lines = sc.parallelize([Text::from("to be"), Text::from("or not")], 1);
    /// assert_eq!(lines.flat_map(Text::words).collect()?, ["to", "be", "or", "not"]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn flat_map<I>(&self, f: impl Fn(T) -> I + Send + Sync + 'static) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.flat_map_at(Site::caller(), f)
    }
    /// [`flat_map`](Rdd::flat_map) on behalf of `site`.
    pub fn flat_map_at<I>(&self, site: Site, f: impl Fn(T) -> I + Send + Sync + 'static) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.flat_mapped("flat_map", site, false, f)
    }
    pub(crate) fn flat_mapped<I>(
        &self,
        name: &'static str,
        site: Site,
        keeps_partitioner: bool,
        f: impl Fn(T) -> I + Send + Sync + 'static,
    ) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let f = Arc::new(f);
        self.narrow(name, site, keeps_partitioner, move |_, mut flow, task| {
            let task = task.clone();
            let (f, mut waiting, mut open) = (f.clone(), Vec::new().into_iter(), None::<I::IntoIter>);
            Ok(Flow::new(move || {
                // A source as well: what it opens may be endless.
                task.check()?;
                let mut out = Vec::with_capacity(CHUNK);
                loop {
                    if let Some(it) = &mut open {
                        at(site);
                        out.extend(it.take(CHUNK - out.len()));
                        if out.len() == CHUNK {
                            break;
                        }
                        open = None;
                    }
                    if let Some(x) = waiting.next() {
                        at(site);
                        open = Some(f(x).into_iter());
                        continue;
                    }
                    match flow.next_chunk()? {
                        Some(c) => waiting = c.into_vec().into_iter(),
                        None => break,
                    }
                }
                Ok((!out.is_empty()).then_some(Chunk::Own(out)))
            }))
        })
    }
    /// Flat-map by pushing: the record is borrowed, never cloned, and nothing is allocated per record.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext, Text};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let lines = sc.parallelize([Text::from("to be"), Text::from("or not")], 1);
    /// let pairs = lines.emit(|line, out| line.split(' ').for_each(|w| out((Text::from(w), 1u64))));
    /// assert_eq!(pairs.count()?, 4);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn emit<U: Data>(&self, f: impl Fn(&T, &mut dyn FnMut(U)) + Send + Sync + 'static) -> Rdd<U> {
        self.emit_at(Site::caller(), f)
    }
    /// [`emit`](Rdd::emit) on behalf of `site`.
    pub fn emit_at<U: Data>(&self, site: Site, f: impl Fn(&T, &mut dyn FnMut(U)) + Send + Sync + 'static) -> Rdd<U> {
        self.chunked("emit", site, false, move |c| {
            let mut out = Vec::with_capacity(c.len());
            c.as_slice().iter().for_each(|x| f(x, &mut |u| out.push(u)));
            out
        })
    }
    /// Applies `f` to each partition as a whole, empty ones included: the place for set-up that is too dear per record.
    /// An error upstream ends the task, never the iterator, so that half a partition cannot look like all of it.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sums = sc.range(0..6, 3).map_partitions(|records| [records.sum::<u64>()]);
    /// assert_eq!(sums.collect()?, [1, 5, 9]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn map_partitions<I>(&self, f: impl Fn(Records<T>) -> I + Send + Sync + 'static) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.map_partitions_at(Site::caller(), move |_, records| f(records))
    }
    /// As [`map_partitions`](Rdd::map_partitions), with the number of the partition.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sums = sc.range(0..6, 3).map_partitions_with_index(|p, records| [(p, records.sum::<u64>())]);
    /// assert_eq!(sums.collect()?, [(0, 1), (1, 5), (2, 9)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn map_partitions_with_index<I>(
        &self,
        f: impl Fn(usize, Records<T>) -> I + Send + Sync + 'static,
    ) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.map_partitions_at(Site::caller(), f)
    }
    /// [`map_partitions_with_index`](Rdd::map_partitions_with_index) on behalf of `site`.
    pub fn map_partitions_at<I>(
        &self,
        site: Site,
        f: impl Fn(usize, Records<T>) -> I + Send + Sync + 'static,
    ) -> Rdd<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.narrow("map_partitions", site, false, move |p, flow, task| {
            at(site);
            Ok(yielded(f(p, flow.records()), site, task))
        })
    }
    /// All records of both, duplicates included; partitions are concatenated. If both have the same partitioner, equal
    /// partitions are merged instead and the partitioner stays.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (a, b) = (sc.parallelize([1, 2], 1), sc.parallelize([2, 3], 1));
    /// assert_eq!(a.union(&b).collect()?, [1, 2, 2, 3]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn union(&self, other: &Rdd<T>) -> Rdd<T> {
        Rdd::union_all(&[self.clone(), other.clone()], Site::caller())
    }
    /// The union of many, on behalf of `site`. One level of lineage however many there are.
    ///
    /// ```
    /// # use winterbourne_engine::{Rdd, Site, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let all = [sc.range(0..2, 1), sc.range(5..6, 1), sc.range(8..9, 1)];
    /// assert_eq!(Rdd::union_all(&all, Site::caller()).collect()?, [0, 1, 5, 8]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Panics
    /// If `all` is empty: the layers above refuse that with their own error.
    pub fn union_all(all: &[Rdd<T>], site: Site) -> Rdd<T> {
        let sc = &all[0].sc;
        if all.iter().any(|r| !r.sc.same(sc)) {
            return sc.wrong("union", site, move || Error::ForeignRdd { operator: "union", site });
        }
        let parents: Vec<_> = all.iter().map(|r| Link::typed(&r.op)).collect();
        let deps = all.iter().map(|r| Dep::Narrow(Link::erased(&r.op))).collect();
        let depth = all.iter().map(|r| r.op.meta.depth).max().unwrap_or(0) + 1;
        let partitioner = shared_partitioner(all);
        let partitions = match &partitioner {
            Some(p) => p.partitions().clone(),
            None => Count::of(all.iter().map(|r| r.op.meta.partitions.clone()).collect(), |n| n.iter().sum()),
        };
        let shape = Shape { name: "union", site, partitions, deps, partitioner, depth };
        if shape.partitioner.is_none() {
            let all = sc.make(shape, move |p, task| {
                let (r, p) = owner(&parents, p)?;
                r.flow(p, task)
            });
            all.op.meta.concatenates.store(true, Relaxed);
            return all;
        }
        let parents = Arc::new(parents);
        sc.make(shape, move |p, task| {
            let (parents, task) = (parents.clone(), task.clone());
            Ok(Flow::chain((0..parents.len()).map(move |i| match parents[i].meta.partitions.get()? {
                0 => Ok(Flow::empty()),
                _ => parents[i].flow(p, &task),
            })))
        })
    }
    /// One vector per partition, empty ones included.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..5, 2).glom().collect()?, [vec![0, 1], vec![2, 3, 4]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn glom(&self) -> Rdd<Vec<T>> {
        self.glom_at(Site::caller())
    }
    /// [`glom`](Rdd::glom) on behalf of `site`.
    pub fn glom_at(&self, site: Site) -> Rdd<Vec<T>> {
        self.narrow("glom", site, false, |_, flow, _| {
            let mut all = Vec::new();
            flow.each(|c| {
                c.append_to(&mut all);
                Ok(())
            })?;
            Ok(Flow::from_records(std::iter::once(all)))
        })
    }
}

impl SparkContext {
    /// The union of many as one operator: all records of all, duplicates included. As [`Rdd::union`]: partitions are
    /// concatenated, or merged if all have the same partitioner. Of none, an RDD without partitions.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let days: Vec<_> = (0..3).map(|day| sc.range(day * 10..day * 10 + 2, 1)).collect();
    /// assert_eq!(sc.union(&days).glom().collect()?, [vec![0, 1], vec![10, 11], vec![20, 21]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn union<T: Data>(&self, all: &[Rdd<T>]) -> Rdd<T> {
        let site = Site::caller();
        match all.iter().all(|r| r.sc.same(self)) {
            true if all.is_empty() => self.leaf("union", site, Count::known(0), |_, _| Ok(Flow::empty())),
            true => Rdd::union_all(all, site),
            false => self.wrong("union", site, move || Error::ForeignRdd { operator: "union", site }),
        }
    }
}

/// What the user's closure made of a partition, in chunks.
pub(super) fn yielded<I>(made: I, site: Site, task: &Task) -> Flow<I::Item>
where
    I: IntoIterator + 'static,
    I::Item: Data,
{
    let (mut it, task) = (made.into_iter(), task.clone());
    Flow::new(move || {
        // A source as well: it may be endless; and a lazy iterator runs the user's code here.
        task.check()?;
        at(site);
        let v: Vec<I::Item> = it.by_ref().take(CHUNK).collect();
        Ok((!v.is_empty()).then_some(Chunk::Own(v)))
    })
}

/// Whose partition is number `p` of all of them one after the other, and which of its own.
fn owner<T: Data>(all: &[Link<Op<T>>], mut p: usize) -> Result<(&Link<Op<T>>, usize)> {
    for r in all {
        let n = r.meta.partitions.get()?;
        if p < n {
            return Ok((r, p));
        }
        p -= n;
    }
    unreachable!("a partition below the sum")
}

/// The partitioner all share; RDDs without partitions have no say.
fn shared_partitioner<T: Data>(all: &[Rdd<T>]) -> Option<Partitioner> {
    let mut voters = all.iter().filter(|r| r.op.meta.partitions.if_known() != Some(0));
    let first = voters.next()?.op.meta.partitioner.clone()?;
    voters.all(|r| r.op.meta.partitioner.as_ref().is_some_and(|p| p.same(&first))).then_some(first)
}
