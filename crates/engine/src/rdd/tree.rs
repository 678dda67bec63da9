//! `tree_reduce`, `tree_aggregate`: accumulators merged in tasks, in several rounds, before the driver merges the rest.
use super::Rdd;
use crate::{Data, Error, Result, Site, at, guard_driver, job::Action};
use std::sync::Arc;

impl<T: Data> Rdd<T> {
    /// [`reduce`](Rdd::reduce) whose partial results are merged in tasks too, in two levels: for many partitions, and
    /// results that are dear to merge.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..100, 20).tree_reduce(|a, b| a + b)?, 4950);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyCollection`] without any record; see [`collect`](Rdd::collect).
    #[doc(alias = "treeReduce")]
    #[track_caller]
    pub fn tree_reduce(&self, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> Result<T> {
        self.tree_reduce_at(Action { name: "tree_reduce", site: Site::caller() }, f, 2)
    }
    /// [`tree_reduce`](Rdd::tree_reduce) in so many levels.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..100, 20).tree_reduce_with(|a, b| a + b, 3)?, 4950);
    /// assert!(sc.range(0..100, 20).tree_reduce_with(|a, b| a + b, 0).is_err());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Depth`] for a depth of 0; as [`tree_reduce`](Rdd::tree_reduce).
    #[doc(alias = "treeReduce")]
    #[track_caller]
    pub fn tree_reduce_with(&self, f: impl Fn(T, T) -> T + Send + Sync + 'static, depth: usize) -> Result<T> {
        self.tree_reduce_at(Action { name: "tree_reduce_with", site: Site::caller() }, f, depth)
    }
    fn tree_reduce_at(&self, action: Action, f: impl Fn(T, T) -> T + Send + Sync + 'static, depth: usize) -> Result<T> {
        let f = Arc::new(f);
        let either = move |a: Option<T>, b: Option<T>| match (a, b) {
            (Some(a), Some(b)) => Some(f(a, b)),
            (a, b) => a.or(b),
        };
        let merge = Arc::new(either);
        let add = merge.clone();
        let merged = self.tree(action, None, move |a, x| add(a, Some(x)), move |a, b| merge(a, b), depth)?;
        merged.ok_or(Error::EmptyCollection { action: action.name, site: action.site })
    }
    /// [`aggregate`](Rdd::aggregate) whose partial results are merged in tasks too, in two levels. The zero enters as
    /// there: once per partition and once more. Merging needs to be associative only: it keeps partition order.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (sum, n) = sc.range(0..100, 20).tree_aggregate((0, 0), |a, x| (a.0 + x, a.1 + 1), |a, b| (a.0 + b.0, a.1 + b.1))?;
    /// assert_eq!((sum, n), (4950, 100));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "treeAggregate")]
    #[track_caller]
    pub fn tree_aggregate<A: Data>(
        &self,
        zero: A,
        add: impl Fn(A, T) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Result<A> {
        self.tree(Action { name: "tree_aggregate", site: Site::caller() }, zero, add, merge, 2)
    }
    /// [`tree_aggregate`](Rdd::tree_aggregate) in so many levels.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let longest = sc.parallelize(["to", "be", "question"], 3).tree_aggregate_with(0, |n, w| w.len().max(n), usize::max, 3)?;
    /// assert_eq!(longest, 8);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Depth`] for a depth of 0; see [`collect`](Rdd::collect).
    #[doc(alias = "treeAggregate")]
    #[track_caller]
    pub fn tree_aggregate_with<A: Data>(
        &self,
        zero: A,
        add: impl Fn(A, T) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A + Send + Sync + 'static,
        depth: usize,
    ) -> Result<A> {
        self.tree(Action { name: "tree_aggregate_with", site: Site::caller() }, zero, add, merge, depth)
    }

    fn tree<A: Data>(
        &self,
        action: Action,
        zero: A,
        add: impl Fn(A, T) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A + Send + Sync + 'static,
        depth: usize,
    ) -> Result<A> {
        let Action { name, site } = action;
        if depth == 0 {
            return Err(Error::Depth { action: name, site, depth });
        }
        let mut left = self.aggregated(action, zero.clone(), add)?;
        let scale = scale(left.len(), depth);
        let merge = Arc::new(merge);
        // As long as a round saves the driver more than the tasks of the round cost.
        while left.len() > scale.saturating_add(left.len().div_ceil(scale)) {
            let groups = left.len() / scale;
            let merge = merge.clone();
            let round = self.sc.parallelize_at(site, left, groups);
            left = round
                .on_each(name, site, move |flow, _| {
                    let mut all: Option<A> = None;
                    flow.each(|c| {
                        at(site);
                        all = c.fold(all.take(), |all, a| match all {
                            Some(all) => Some(merge(all, a)),
                            None => Some(a),
                        });
                        Ok(())
                    })?;
                    Ok(all)
                })?
                .into_iter()
                .flatten()
                .collect();
        }
        guard_driver(|| Ok(left.into_iter().fold(zero, |a, b| merge(a, b))))
    }
}

/// How many accumulators a task merges: the root of their number, of the order of the depth, and two at least.
fn scale(n: usize, depth: usize) -> usize {
    ((n as f64).powf(1.0 / depth as f64).ceil() as usize).max(2)
}
