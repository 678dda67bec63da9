//! Every record of one RDD with every record of another.
use super::{Rdd, Shape};
use crate::{
    CHUNK, Chunk, Data, Error, Flow, Result, Site, Task, at, detach,
    flow::Run,
    lineage::{Count, Dep, Link},
};

impl<T: Data> Rdd<T> {
    /// Every record of this RDD with every record of the other. Of n and m partitions, n * m: partition i * m + j pairs
    /// partition i of this one with partition j of the other, each record of i with all of j before the next.
    ///
    /// A task keeps its partition of the *other* RDD in memory and reads that of this one once, so put the smaller one
    /// there. Partitions of this RDD are computed m times in all and those of the other n times: cache what is dear.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (numbers, letters) = (sc.range(0..2, 1), sc.parallelize(['a', 'b', 'c'], 2));
    /// let pairs = numbers.cartesian(&letters).glom().collect()?;
    /// assert_eq!(pairs, [vec![(0, 'a'), (1, 'a')], vec![(0, 'b'), (0, 'c'), (1, 'b'), (1, 'c')]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cartesian<U: Data>(&self, other: &Rdd<U>) -> Rdd<(T, U)> {
        let (name, site) = ("cartesian", Site::caller());
        if !self.sc.same(&other.sc) {
            return self.sc.wrong(name, site, move || Error::ForeignRdd { operator: name, site });
        }
        let (left, right) = (Link::typed(&self.op), Link::typed(&other.op));
        let (of_left, of_right) = (&self.op.meta, &other.op.meta);
        let shape = Shape {
            name,
            site,
            partitions: Count::of(vec![of_left.partitions.clone(), of_right.partitions.clone()], |n| {
                n[0].saturating_mul(n[1])
            }),
            deps: vec![Dep::Narrow(Link::erased(&self.op)), Dep::Narrow(Link::erased(&other.op))],
            partitioner: None,
            depth: of_left.depth.max(of_right.depth) + 1,
        };
        self.sc.make(shape, move |p, task| {
            let m = right.meta.partitions.get()?;
            Ok(product(left.flow(p / m, task)?, right.flow(p % m, task)?, site, task))
        })
    }
}

/// Each of the left with all of the right. The right side is read before the first pair; if it is empty, the left one is
/// not read at all.
fn product<T: Data, U: Data>(mut left: Flow<T>, right: Flow<U>, site: Site, task: &Task) -> Flow<(T, U)> {
    let (mut right, task) = (Some(right), task.clone());
    let mut kept: Vec<Run<U>> = Vec::new();
    let (mut lefts, mut now) = (Vec::new().into_iter(), None::<T>);
    // Of the right records, those of the present left one that come next: which run, and where in it.
    let (mut run, mut place) = (0, 0);
    Flow::new(move || {
        if let Some(right) = right.take() {
            kept = read(right)?;
        }
        // A source as well: two small partitions make many pairs.
        task.check()?;
        at(site);
        if kept.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(CHUNK);
        while out.len() < CHUNK {
            let Some(x) = &now else {
                now = lefts.next();
                if now.is_none() {
                    match left.next_chunk()? {
                        Some(c) => lefts = c.into_vec().into_iter(),
                        None => break,
                    }
                }
                continue;
            };
            let (records, range) = &kept[run];
            let from = range.start + place;
            let to = range.end.min(from + CHUNK - out.len());
            out.extend(records[from..to].iter().map(|y| (x.clone(), y.clone())));
            place += to - from;
            if to == range.end {
                (run, place) = (run + 1, 0);
                if run == kept.len() {
                    (run, now) = (0, None);
                }
            }
        }
        Ok((!out.is_empty()).then_some(Chunk::Own(out)))
    })
}
/// All records, for as long as the task runs.
fn read<U: Data>(flow: Flow<U>) -> Result<Vec<Run<U>>> {
    let mut kept = Vec::new();
    flow.each(|c| {
        kept.push(match c {
            Chunk::Own(v) => Chunk::Own(v.into_iter().map(detach::text).collect()).into_shared(),
            shared => shared.into_shared(),
        });
        Ok(())
    })?;
    Ok(kept)
}
