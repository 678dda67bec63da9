//! The asynchronous forms of actions.
use super::FutureAction;
use crate::{BoxError, Data, Flow, Rdd, Records, Result, Site, SparkContext, Task, job::Action};

impl SparkContext {
    /// [`run_job_with`](SparkContext::run_job_with) on a thread of its own; `finish` makes the result when all have been
    /// handed over.
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering::Relaxed}};
    /// use winterbourne_engine::{SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
    /// let sum = Arc::new(AtomicUsize::new(0));
    /// let (add, read) = (sum.clone(), sum.clone());
    /// let count = sc.submit_job(
    ///     &sc.range(0..10, 3),
    ///     vec![0, 2],
    ///     |_, flow, _| Ok(flow.records().count()),
    ///     move |_, n| { add.fetch_add(n, Relaxed); },
    ///     move || read.load(Relaxed),
    /// );
    /// assert_eq!(count.get()?, 7);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "submitJob")]
    #[track_caller]
    pub fn submit_job<T: Data, R: Data, U: Send + 'static>(
        &self,
        rdd: &Rdd<T>,
        partitions: Vec<usize>,
        f: impl Fn(usize, Flow<T>, &Task) -> Result<R> + Send + Sync + 'static,
        handler: impl FnMut(usize, R) + Send + 'static,
        finish: impl FnOnce() -> U + Send + 'static,
    ) -> FutureAction<U> {
        let action = Action { name: "submit_job", site: Site::caller() };
        let rdd = rdd.clone();
        FutureAction::start(self, action, move |sc| {
            sc.run_action_with(action, &rdd, partitions, f, handler)?;
            Ok(finish())
        })
    }
    /// Runs the map sides of the shuffles that `rdd` reads, if their outputs are not there, and nothing else: what comes
    /// after finds them done. Spark's `submitMapStage` takes one shuffle and returns the sizes of its outputs.
    ///
    /// ```
    /// use winterbourne_engine::{SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
    /// let sums = sc.range(0..100, 4).map(|x| (x % 3, x)).reduce_by_key_in(|a, b| a + b, 2);
    /// sc.submit_map_stages(&sums).get()?;
    /// let before = sc.counts().tasks;
    /// sums.count()?;
    /// assert_eq!(sc.counts().tasks - before, 2, "the reduce side only");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "submitMapStage")]
    #[track_caller]
    pub fn submit_map_stages<T: Data>(&self, rdd: &Rdd<T>) -> FutureAction<()> {
        let action = Action { name: "submit_map_stages", site: Site::caller() };
        let rdd = rdd.clone();
        FutureAction::start(self, action, move |sc| sc.run_maps(action, &rdd.sc, &*rdd.op))
    }
}

impl<T: Data> Rdd<T> {
    fn beside<U: Send + 'static>(
        &self,
        action: Action,
        body: impl FnOnce(&Rdd<T>) -> Result<U> + Send + 'static,
    ) -> FutureAction<U> {
        let rdd = self.clone();
        FutureAction::start(&self.sc, action, move |_| body(&rdd))
    }
    /// [`count`](Rdd::count) beside the caller.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let count = sc.range(0..100, 4).count_async();
    /// assert_eq!(count.get()?, 100);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "countAsync")]
    #[track_caller]
    pub fn count_async(&self) -> FutureAction<u64> {
        let action = Action { name: "count_async", site: Site::caller() };
        self.beside(action, move |rdd| rdd.count_at(action))
    }
    /// [`collect`](Rdd::collect) beside the caller.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..3, 2).collect_async().get()?, [0, 1, 2]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "collectAsync")]
    #[track_caller]
    pub fn collect_async(&self) -> FutureAction<Vec<T>> {
        let action = Action { name: "collect_async", site: Site::caller() };
        self.beside(action, move |rdd| rdd.collect_at(action))
    }
    /// [`take`](Rdd::take) beside the caller. Runs several jobs, as that does.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let first = sc.range(0..100, 10).take_async(15);
    /// first.wait();
    /// assert_eq!(first.job_ids().len(), 2);
    /// assert_eq!(first.get()?, Vec::from_iter(0..15));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "takeAsync")]
    #[track_caller]
    pub fn take_async(&self, n: usize) -> FutureAction<Vec<T>> {
        let action = Action { name: "take_async", site: Site::caller() };
        self.beside(action, move |rdd| rdd.take_at(action, n))
    }
    /// [`foreach`](Rdd::foreach) beside the caller.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (seen, all) = std::sync::mpsc::channel();
    /// sc.range(0..3, 1).foreach_async(move |x| seen.send(x).expect("somebody reads")).get()?;
    /// assert_eq!(all.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "foreachAsync")]
    #[track_caller]
    pub fn foreach_async(&self, f: impl Fn(T) + Send + Sync + 'static) -> FutureAction<()> {
        let action = Action { name: "foreach_async", site: Site::caller() };
        self.beside(action, move |rdd| rdd.foreach_at(action, f))
    }
    /// [`foreach_partition`](Rdd::foreach_partition) beside the caller.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (seen, all) = std::sync::mpsc::channel();
    /// let done = sc.range(0..4, 2).foreach_partition_async(move |p, records| Ok(seen.send((p, records.sum::<u64>()))?));
    /// done.get()?;
    /// let mut sums: Vec<_> = all.try_iter().collect();
    /// sums.sort();
    /// assert_eq!(sums, [(0, 1), (1, 5)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "foreachPartitionAsync")]
    #[track_caller]
    pub fn foreach_partition_async(
        &self,
        f: impl Fn(usize, Records<T>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> FutureAction<()> {
        let action = Action { name: "foreach_partition_async", site: Site::caller() };
        self.beside(action, move |rdd| rdd.foreach_partition_at(action, f))
    }
}
