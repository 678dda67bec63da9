//! [`LocalIterator`]: records on the driver, a partition at a time.
use super::{Rdd, action::all_of};
use crate::{Data, Result, Site, job::Action};

impl<T: Data> Rdd<T> {
    /// The records in partition order, as an iterator of the driver's: a job for each partition, when its first record is
    /// asked for, so that no more than one partition is in memory. Jobs share what their lineage has shuffled or cached;
    /// anything else is computed for each.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let mut all = sc.range(0..1_000_000, 100).to_local_iterator();
    /// assert_eq!(sc.counts().jobs, 0);
    /// assert_eq!(all.next().transpose()?, Some(0));
    /// assert_eq!((all.next().transpose()?, sc.counts().jobs), (Some(1), 1));
    /// assert_eq!(all.map(|x| x.unwrap()).sum::<u64>(), 499_999_499_999);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the jobs come out as items; the iterator ends after one. See [`collect`](Rdd::collect).
    #[doc(alias = "toLocalIterator")]
    #[track_caller]
    pub fn to_local_iterator(&self) -> LocalIterator<T> {
        let action = Action { name: "to_local_iterator", site: Site::caller() };
        LocalIterator { rdd: self.clone(), action, next: Some(0), open: Vec::new().into_iter() }
    }
}

/// The records of an RDD on the driver; made by [`Rdd::to_local_iterator`].
#[must_use = "iterators are lazy: nothing runs before the first `next`"]
pub struct LocalIterator<T: Data> {
    rdd: Rdd<T>,
    action: Action,
    /// The partition to run next; none after the last one or an error.
    next: Option<usize>,
    open: std::vec::IntoIter<T>,
}
impl<T: Data> LocalIterator<T> {
    /// The next partition, if there is one.
    fn partition(&mut self) -> Result<Option<Vec<T>>> {
        let Some(p) = self.next.take() else { return Ok(None) };
        if p >= self.rdd.num_partitions()? {
            return Ok(None);
        }
        let mut found = self.rdd.sc.run_action(self.action, &self.rdd, vec![p], |_, flow, _| all_of(flow))?;
        self.next = Some(p + 1);
        Ok(found.pop())
    }
}
impl<T: Data> Iterator for LocalIterator<T> {
    type Item = Result<T>;
    fn next(&mut self) -> Option<Result<T>> {
        loop {
            if let Some(x) = self.open.next() {
                return Some(Ok(x));
            }
            match self.partition() {
                Ok(found) => self.open = found?.into_iter(),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}
impl<T: Data> std::iter::FusedIterator for LocalIterator<T> {}
