//! Groups of two RDDs by key: both are read into one table, left before right.
#![expect(clippy::type_complexity, reason = "an alias would hide from users what they get")]
use super::{
    gather::{Form, Gather, Limit, load, split},
    side::Opened,
};
use crate::{Chunk, Data, Flow, Key, KeyPartitioner, Rdd, Result, Site, Task, Wire, at};

/// The values of each key on both sides.
type Both<V, W> = (Vec<V>, Vec<W>);
type Groups<K, V, W> = Gather<K, Both<V, W>, Both<V, W>>;

fn add_left<K: Key, V: Wire, W: Wire>(left: Opened<K, V>, site: Site, task: &Task) -> Result<Groups<K, V, W>> {
    let mut all = Groups::keeping::<V>(0, task, |(vs, ws), f| {
        if !vs.is_empty() {
            split(vs, &mut |vs| f((vs, Vec::new())))?;
        }
        if ws.is_empty() { Ok(()) } else { split(ws, &mut |ws| f((Vec::new(), ws))) }
    });
    left.gather(&mut all, site, |t, h, k, v| {
        t.upsert_hashed(h, k, v, |v| (vec![v], Vec::new()), |both, v| both.0.push(v));
    })?;
    Ok(all)
}
fn add_right<K: Key, V: Wire, W: Wire>(
    mut all: Groups<K, V, W>,
    right: Opened<K, W>,
    site: Site,
) -> Result<Groups<K, V, W>> {
    right.gather(&mut all, site, |t, h, k, w| {
        t.upsert_hashed(h, k, w, |w| (Vec::new(), vec![w]), |both, w| both.1.push(w));
    })?;
    Ok(all)
}
fn grouped<K: Key, V: Wire, W: Wire>(all: Groups<K, V, W>, site: Site, task: &Task) -> Result<Flow<(K, Both<V, W>)>> {
    if !all.has_spilled() {
        return Ok(all.into_flow(Form::ENTRIES));
    }
    let limit = Limit::of("cogroup", site, task);
    let (mut rows, task) = (all.sorted()?, task.clone());
    Ok(Flow::new(move || {
        task.check()?;
        at(site);
        let loaded = load(&mut rows, Some(limit), |t, h, k, both: Both<V, W>| {
            t.upsert_hashed(
                h,
                k,
                both,
                |both| both,
                |all: &mut Both<V, W>, (mut vs, mut ws)| {
                    all.0.append(&mut vs);
                    all.1.append(&mut ws);
                },
            );
        })?;
        Ok(loaded.map(|(table, _)| Chunk::Own(table.into_entries().collect())))
    }))
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// For each key the values of both: of this RDD, and of the other. All values of a key are in memory at once, those
    /// of each side in the order of partitions and of records within them.
    ///
    /// The partitions of the result, as in Spark: keys are spread as those of the widest parent that has them spread, if
    /// that is wide enough (more than a tenth of the partitions of the widest of all, or no less than what follows);
    /// else over `spark.default.parallelism` partitions, if set; else over as many as the widest parent has. A parent
    /// that is spread that way already is not shuffled; to find out, files of a text input may be listed.
    ///
    /// Three and four meet in [`cogroup3`](Rdd::cogroup3) and [`cogroup4`](Rdd::cogroup4). To bring together more,
    /// cogroup the result: it is spread already.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ages = sc.parallelize([(1, 30), (2, 40), (1, 31)], 2);
    /// let names = sc.parallelize([(1, 'a'), (3, 'c')], 2);
    /// let mut groups = ages.cogroup(&names).collect()?;
    /// groups.sort();
    /// assert_eq!(groups, [(1, (vec![30, 31], vec!['a'])), (2, (vec![40], vec![])), (3, (vec![], vec!['c']))]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "groupWith", alias = "group_with")]
    #[track_caller]
    pub fn cogroup<W: Wire>(&self, other: &Rdd<(K, W)>) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.cogroup_at(Site::caller(), other, self.default_partitioner_with(other))
    }
    /// [`cogroup`](Rdd::cogroup) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let (ages, names) = (sc.parallelize([(1, 30)], 2), sc.parallelize([(1, 'a')], 2));
    /// let groups = ages.cogroup_in(&names, 5);
    /// assert_eq!(groups.num_partitions()?, 5);
    /// assert_eq!(groups.collect()?, [(1, (vec![30], vec!['a']))]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn cogroup_in<W: Wire>(
        &self,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.cogroup_at(Site::caller(), other, partitions)
    }
    /// [`cogroup_in`](Rdd::cogroup_in) on behalf of `site`.
    pub fn cogroup_at<W: Wire>(
        &self,
        site: Site,
        other: &Rdd<(K, W)>,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.with_sides("cogroup", site, other, partitions.erased(), move |left, right, p, task| {
            // SUBTLE: opening a parent recurses as deep as the lineage is long. What needs stack is in functions of its
            // own, which have returned by then, and each `?` would need some as well.
            let left = left.open(p, task).and_then(|left| add_left(left, site, task));
            let both = left.and_then(|groups| right.open(p, task).and_then(|right| add_right(groups, right, site)));
            both.and_then(|all| grouped(all, site, task))
        })
    }
}
