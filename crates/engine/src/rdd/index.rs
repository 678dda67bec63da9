//! Records with a number each.
use super::{Rdd, Shape, survey::Survey};
use crate::{
    Data, Flow, Result, Site, Task,
    lineage::{Count, Dep, Link},
};
use std::sync::Arc;

impl<T: Data> Rdd<T> {
    /// Each record with its number: from 0, in the order of partitions and of records within them.
    ///
    /// Defining it runs nothing, unlike in Spark. The records of all partitions but the last are counted when a job
    /// first needs it, in tasks of that job, and later jobs do not count again. So the parent is computed twice unless it
    /// is cached; with a single partition there is nothing to count.
    /// [`zip_with_unique_id`](Rdd::zip_with_unique_id) needs no counting.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let lines = sc.parallelize(["a", "b", "c"], 2).zip_with_index();
    /// assert_eq!(sc.counts().jobs, 0);
    /// assert_eq!(lines.collect()?, [("a", 0), ("b", 1), ("c", 2)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn zip_with_index(&self) -> Rdd<(T, u64)> {
        let (name, site) = ("zip_with_index", Site::caller());
        if self.op.meta.partitions.if_known().is_some_and(|n| n <= 1) {
            return self.narrow(name, site, false, |_, flow, _| Ok(numbered(flow, 0, 1)));
        }
        let survey = Survey {
            look: |flow: Flow<T>| {
                let mut n = 0;
                flow.each(|c| {
                    n += c.len() as u64;
                    Ok(())
                })?;
                Ok(vec![n])
            },
            // The number of the first record of each partition.
            sum: |sizes: &[&[u64]]| {
                let mut firsts = vec![0];
                sizes.iter().copied().flatten().for_each(|n| firsts.push(firsts[firsts.len() - 1] + n));
                firsts
            },
            read: |p: usize, flow, firsts: &Arc<Vec<u64>>, _: &Task| Ok(numbered(flow, firsts[p], 1)),
        };
        self.surveyed(name, site, false, &self.but_the_last(name, site), survey)
    }
    /// Each record with a number that no other has: k * n + p for record k of partition p of n. Needs no counting; the
    /// numbers have gaps unless all partitions are of one size.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ids = sc.parallelize(["a", "b", "c", "d", "e"], 2).zip_with_unique_id();
    /// assert_eq!(ids.collect()?, [("a", 0), ("b", 2), ("c", 1), ("d", 3), ("e", 5)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn zip_with_unique_id(&self) -> Rdd<(T, u64)> {
        let partitions = self.op.meta.partitions.clone();
        self.narrow("zip_with_unique_id", Site::caller(), false, move |p, flow, _| {
            Ok(numbered(flow, p as u64, partitions.get()? as u64))
        })
    }
    /// All partitions but the last, whose size nobody needs to know.
    fn but_the_last(&self, name: &'static str, site: Site) -> Rdd<T> {
        let (parent, meta) = (Link::typed(&self.op), &self.op.meta);
        let shape = Shape {
            name,
            site,
            partitions: Count::of(vec![meta.partitions.clone()], |n| n[0].saturating_sub(1)),
            deps: vec![Dep::Narrow(Link::erased(&self.op))],
            partitioner: None,
            depth: meta.depth + 1,
        };
        self.sc.make(shape, move |p, task| -> Result<_> { parent.flow(p, task) })
    }
}

/// The records numbered from `first`, `step` apart.
fn numbered<T: Data>(flow: Flow<T>, first: u64, step: u64) -> Flow<(T, u64)> {
    let mut next = first;
    flow.map_chunks(move |c| {
        c.map(|x| {
            let mine = next;
            next += step;
            (x, mine)
        })
    })
}
