//! Collections and ranges as RDDs.
use crate::{CHUNK, Chunk, Data, Error, Flow, Rdd, Site, SparkContext, lineage::Count};
use std::{ops::Range, sync::Arc};

impl SparkContext {
    /// A collection as an RDD. Partition `i` of `p` holds the elements `[i*n/p, (i+1)*n/p)`. The collection is copied
    /// once, here; later iterations clone records out of it.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let parts = sc.parallelize(1..=10, 3).glom().collect()?;
    /// assert_eq!(parts, [vec![1, 2, 3], vec![4, 5, 6], vec![7, 8, 9, 10]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "makeRDD")]
    #[track_caller]
    pub fn parallelize<T: Data>(&self, items: impl IntoIterator<Item = T>, partitions: usize) -> Rdd<T> {
        self.parallelize_at(Site::caller(), items, partitions)
    }
    /// [`parallelize`](SparkContext::parallelize) on behalf of `site`.
    pub fn parallelize_at<T: Data>(&self, site: Site, items: impl IntoIterator<Item = T>, partitions: usize) -> Rdd<T> {
        let n = partitions;
        if n == 0 {
            return self.wrong("parallelize", site, move || Error::Partitions {
                operator: "parallelize",
                site,
                asked: 0,
            });
        }
        let all = Arc::new(items.into_iter().collect::<Vec<T>>());
        self.leaf("parallelize", site, Count::known(n), move |p, task| {
            Ok(Flow::source(vec![(all.clone(), all.len() * p / n..all.len() * (p + 1) / n)], task))
        })
    }
    /// Blocks as they are, one partition each, nothing copied: how received and queued data enters. A block is a list of
    /// shared vectors.
    ///
    /// ```
    /// # use winterbourne_engine::{Site, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// use std::sync::Arc;
    /// let block = Arc::new(vec![1, 2]);
    /// let rdd = sc.from_blocks(Site::caller(), vec![vec![block.clone(), block], vec![]]);
    /// assert_eq!(rdd.glom().collect()?, [vec![1, 2, 1, 2], vec![]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn from_blocks<T: Data>(&self, site: Site, blocks: Vec<Vec<Arc<Vec<T>>>>) -> Rdd<T> {
        self.leaf("blocks", site, Count::known(blocks.len()), move |p, task| {
            Ok(Flow::source(blocks[p].iter().map(|v| (v.clone(), 0..v.len())).collect(), task))
        })
    }
    /// An RDD without partitions.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let none = sc.empty_rdd::<u64>();
    /// assert_eq!((none.num_partitions()?, none.count()?), (0, 0));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "emptyRDD")]
    #[track_caller]
    pub fn empty_rdd<T: Data>(&self) -> Rdd<T> {
        self.leaf("empty_rdd", Site::caller(), Count::known(0), |_, _| Ok(Flow::empty()))
    }
    /// The numbers of a range, made when asked for. Partition bounds as for
    /// [`parallelize`](SparkContext::parallelize).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..5, 2).glom().collect()?, [vec![0, 1], vec![2, 3, 4]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn range(&self, numbers: Range<u64>, partitions: usize) -> Rdd<u64> {
        let (site, n) = (Site::caller(), partitions as u64);
        if n == 0 {
            return self.wrong("range", site, move || Error::Partitions { operator: "range", site, asked: 0 });
        }
        let len = numbers.end.saturating_sub(numbers.start);
        let cut = move |i: u64| numbers.start + (u128::from(len) * u128::from(i) / u128::from(n)) as u64;
        self.leaf("range", site, Count::known(partitions), move |p, task| {
            let (mut at, end) = (cut(p as u64), cut(p as u64 + 1));
            Ok(Flow::splittable(task, move || {
                let to = end.min(at.saturating_add(CHUNK as u64));
                let v: Vec<u64> = (at..to).collect();
                at = to;
                Ok((!v.is_empty()).then_some(Chunk::Own(v)))
            }))
        })
    }
    /// The numbers from `start` to before `end`, `step` apart; a negative step counts down.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range_by(0, 10, 3, 2).glom().collect()?, [vec![0, 3], vec![6, 9]]);
    /// assert_eq!(sc.range_by(3, 0, -1, 1).collect()?, [3, 2, 1]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn range_by(&self, start: i64, end: i64, step: i64, partitions: usize) -> Rdd<i64> {
        let site = Site::caller();
        if step == 0 {
            return self.wrong("range", site, move || Error::ZeroStep { site });
        }
        let (from, to, by) = (i128::from(start), i128::from(end), i128::from(step));
        let distance = if step > 0 { to - from } else { from - to };
        let count = distance.max(0).unsigned_abs().div_ceil(by.unsigned_abs());
        // At most 2^64 - 1 numbers lie between two i64 when the step is not zero.
        let count = u64::try_from(count).expect("fits, as said above");
        if partitions == 0 {
            return self.wrong("range", site, move || Error::Partitions { operator: "range", site, asked: 0 });
        }
        self.range(0..count, partitions).map_at(site, move |i| (from + i128::from(i) * by) as i64)
    }
}
