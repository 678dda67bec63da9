//! Actions: what runs a job and brings its result to the driver.
use super::Rdd;
use crate::{BoxError, Chunk, Data, Error, Flow, Records, Result, Site, Task, at, guard_driver, job::Action};

impl<T: Data> Rdd<T> {
    /// Runs `f` on every partition.
    pub(crate) fn on_each<R: Data>(
        &self,
        name: &'static str,
        site: Site,
        f: impl Fn(Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
    ) -> Result<Vec<R>> {
        let all = (0..self.num_partitions()?).collect();
        self.sc.run_action(Action { name, site }, self, all, move |_, flow, task| f(flow, task))
    }
    /// All records, in partition order. They must fit into memory.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..4, 2).map(|x| x + 1).collect()?, [1, 2, 3, 4]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SparkContext::run_job`](crate::SparkContext::run_job), here and for every action.
    #[track_caller]
    pub fn collect(&self) -> Result<Vec<T>> {
        self.collect_at(Action { name: "collect", site: Site::caller() })
    }
    pub(crate) fn collect_at(&self, action: Action) -> Result<Vec<T>> {
        let mut parts = self.on_each(action.name, action.site, |flow, _| all_of(flow))?;
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        parts.iter_mut().for_each(|p| all.append(p));
        Ok(all)
    }
    /// How many records there are.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..1000, 8).filter(|x| x % 7 == 0).count()?, 143);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn count(&self) -> Result<u64> {
        self.count_at(Action { name: "count", site: Site::caller() })
    }
    pub(crate) fn count_at(&self, action: Action) -> Result<u64> {
        let parts = self.on_each(action.name, action.site, |flow, _| {
            let mut n = 0;
            flow.each(|c| {
                n += c.len() as u64;
                Ok(())
            })?;
            Ok(n)
        })?;
        Ok(parts.iter().sum())
    }
    /// Combines all records with a function that is associative and commutative. Values move, none is cloned.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(1..5, 2).reduce(|a, b| a * b)?, 24);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyCollection`] without any record; see [`collect`](Rdd::collect).
    #[track_caller]
    pub fn reduce(&self, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> Result<T> {
        let site = Site::caller();
        let f = std::sync::Arc::new(f);
        let g = f.clone();
        let parts = self.on_each("reduce", site, move |flow, _| {
            let mut acc: Option<T> = None;
            flow.each(|c| {
                at(site);
                acc = c.fold(acc.take(), |a, x| {
                    Some(match a {
                        Some(a) => g(a, x),
                        None => x,
                    })
                });
                Ok(())
            })?;
            Ok(acc)
        })?;
        let merged = guard_driver(|| Ok(parts.into_iter().flatten().reduce(|a, b| f(a, b))))?;
        merged.ok_or(Error::EmptyCollection { action: "reduce", site })
    }
    /// Folds each partition from `zero`, then the partitions' results from `zero`: it enters once per partition (empty
    /// ones included) **and once more**, as in Spark.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize([1, 2, 3], 2).fold(10, |a, b| a + b)?, 36);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn fold(&self, zero: T, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> Result<T> {
        let f = std::sync::Arc::new(f);
        let g = f.clone();
        self.aggregate_at("fold", Site::caller(), zero, move |a, x| g(a, x), move |a, b| f(a, b))
    }
    /// As [`fold`](Rdd::fold), with an accumulator of another type: `add` within a partition, `merge` between them.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let words = sc.parallelize(["to", "be", "or"], 2);
    /// let (letters, longest) = words.aggregate(
    ///     (0, 0),
    ///     |(letters, longest), word| (letters + word.len(), word.len().max(longest)),
    ///     |a, b| (a.0 + b.0, a.1.max(b.1)),
    /// )?;
    /// assert_eq!((letters, longest), (6, 2));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn aggregate<A: Data>(
        &self,
        zero: A,
        add: impl Fn(A, T) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A,
    ) -> Result<A> {
        self.aggregate_at("aggregate", Site::caller(), zero, add, merge)
    }
    fn aggregate_at<A: Data>(
        &self,
        name: &'static str,
        site: Site,
        zero: A,
        add: impl Fn(A, T) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A,
    ) -> Result<A> {
        let parts = self.aggregated(Action { name, site }, zero.clone(), add)?;
        guard_driver(|| Ok(parts.into_iter().fold(zero, merge)))
    }
    /// Each partition, aggregated.
    pub(super) fn aggregated<A: Data>(
        &self,
        action: Action,
        zero: A,
        add: impl Fn(A, T) -> A + Send + Sync + 'static,
    ) -> Result<Vec<A>> {
        let Action { name, site } = action;
        self.on_each(name, site, move |flow, _| {
            let mut acc = Some(zero.clone());
            flow.each(|c| {
                at(site);
                acc = acc.take().map(|a| c.fold(a, &add));
                Ok(())
            })?;
            Ok(acc.expect("put back after every chunk"))
        })
    }
    /// The first `n` records in partition order. Runs partition 0 first, then four times as many partitions each round
    /// (`spark.rdd.limit.*`) until there are enough; a partition is read no further than needed.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..u64::MAX, 100).take(3)?, [0, 1, 2]);
    /// assert_eq!(sc.counts().tasks, 1);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn take(&self, n: usize) -> Result<Vec<T>> {
        self.take_at(Action { name: "take", site: Site::caller() }, n)
    }
    pub(crate) fn take_at(&self, action: Action, n: usize) -> Result<Vec<T>> {
        let (partitions, inner) = (self.num_partitions()?, &self.sc.inner);
        let (mut out, mut from, mut step) = (Vec::new(), 0, inner.limit_initial);
        while out.len() < n && from < partitions {
            let (need, to) = (n - out.len(), from.saturating_add(step).min(partitions));
            let found = self.sc.run_action(action, self, (from..to).collect(), move |_, mut flow, _| {
                let mut some: Vec<T> = Vec::new();
                while some.len() < need {
                    let Some(c) = flow.next_chunk()? else { break };
                    let wanted = need - some.len();
                    match c {
                        Chunk::Own(mut v) => {
                            v.truncate(wanted);
                            some.append(&mut v);
                        }
                        Chunk::Shared(v, r) => some.extend(v[r].iter().take(wanted).cloned()),
                    }
                }
                Ok(some)
            })?;
            out.extend(found.into_iter().flatten().take(need));
            (from, step) = (to, step.saturating_mul(inner.limit_scale_up));
        }
        Ok(out)
    }
    /// The first record.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(5..9, 2).first()?, 5);
    /// assert!(sc.range(5..9, 2).filter(|_| false).first().is_err());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyCollection`] if there is none; see [`collect`](Rdd::collect).
    #[track_caller]
    pub fn first(&self) -> Result<T> {
        let site = Site::caller();
        let mut one = self.take_at(Action { name: "first", site }, 1)?;
        one.pop().ok_or(Error::EmptyCollection { action: "first", site })
    }
    /// Whether there is no record. Reads as little as [`take(1)`](Rdd::take).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert!(!sc.range(0..u64::MAX, 100).is_empty()?); // reads a few records
    /// assert!(sc.range(0..10, 2).filter(|x| *x > 10).is_empty()?);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.take_at(Action { name: "is_empty", site: Site::caller() }, 1)?.is_empty())
    }
    /// Hands each record to `f`, in tasks. A task that fails and is tried again hands over its records again.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (seen, all) = std::sync::mpsc::channel();
    /// sc.range(0..3, 1).foreach(move |x| seen.send(x).expect("somebody reads"))?;
    /// assert_eq!(all.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "for_each")]
    #[track_caller]
    pub fn foreach(&self, f: impl Fn(T) + Send + Sync + 'static) -> Result<()> {
        self.foreach_at(Action { name: "foreach", site: Site::caller() }, f)
    }
    pub(crate) fn foreach_at(&self, action: Action, f: impl Fn(T) + Send + Sync + 'static) -> Result<()> {
        self.on_each(action.name, action.site, move |flow, _| {
            flow.each(|c| {
                at(action.site);
                c.for_each(&f);
                Ok(())
            })
        })
        .map(drop)
    }
    /// Hands each partition, with its number, to `f`, in tasks: one connection per partition, one transaction. An
    /// upstream error unwinds through `f`, so what follows the loop does not run on half a partition.
    ///
    /// ```
    /// # use std::sync::{Arc, Mutex};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let table = Arc::new(Mutex::new(vec![0; 3]));
    /// let target = table.clone();
    /// sc.range(0..6, 3).foreach_partition(move |p, records| {
    ///     target.lock().unwrap()[p] = records.sum();
    ///     Ok(())
    /// })?;
    /// assert_eq!(*table.lock().unwrap(), [1, 5, 9]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect); an error `f` returns fails its task.
    #[doc(alias = "for_each_partition")]
    #[track_caller]
    pub fn foreach_partition(
        &self,
        f: impl Fn(usize, Records<T>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Result<()> {
        self.foreach_partition_at(Action { name: "foreach_partition", site: Site::caller() }, f)
    }
    pub(crate) fn foreach_partition_at(
        &self,
        action: Action,
        f: impl Fn(usize, Records<T>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Result<()> {
        let all = (0..self.num_partitions()?).collect();
        let run = move |p, flow: Flow<T>, _: &Task| Ok(f(p, flow.records())?);
        self.sc.run_action(action, self, all, run).map(drop)
    }
    /// Computes the partitions of a cached RDD that are not there yet; does nothing for one that is not cached.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let squares = sc.range(0..10, 2).map(|x| x * x).cache();
    /// squares.materialize()?;
    /// assert_eq!(sc.counts().cached_blocks, 2);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn materialize(&self) -> Result<()> {
        if !self.is_cached() {
            return Ok(());
        }
        let (id, blocks) = (self.op.meta.id, &self.sc.inner.blocks);
        // What is missing differs from lane to lane, and all must run the same tasks: there, all of them.
        let alone = self.sc.inner.backend.is_none();
        let missing: Vec<usize> = (0..self.num_partitions()?).filter(|&p| !alone || !blocks.has((id, p))).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let action = Action { name: "materialize", site: Site::caller() };
        self.sc.run_action(action, self, missing, |_, _, _| Ok(())).map(drop)
    }
}

/// The records of a flow, together.
pub(super) fn all_of<T: Data>(flow: Flow<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    flow.each(|c| {
        c.append_to(&mut all);
        Ok(())
    })?;
    Ok(all)
}
