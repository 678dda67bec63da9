//! Two RDDs brought together by key: the one mechanism below `cogroup` and all joins.
//!
//! A parent whose keys are spread as those of the result is read in the same task; any other is shuffled, each record
//! with its hash. Both are read into one table, left before right, in the order of map partitions.
#![expect(clippy::type_complexity, reason = "an alias would hide from users what they get")]
use super::{
    exchange::Exchange,
    group::rows,
    spread::meeting_count,
    table::{Row, Table},
};
use crate::{
    CHUNK, Chunk, Data, Error, Flow, Key, Rdd, Result, Shape, Site, Task, Wire, at, hash,
    lineage::{Count, Dep, Link, Op, Partitioner},
};
use std::sync::Arc;

/// Which keys the result has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Those of either side.
    All,
    /// Those of the left side; what the right one has beside them is never stored.
    Left,
}

/// A parent, with all records of a key in the partition of that key.
enum Side<K: Data, V: Data> {
    /// It was so before.
    Narrow(Link<Op<(K, V)>>),
    Shuffled(Arc<Exchange<(K, V), Row<K, V>>>),
}
/// One partition of a side.
enum Opened<K, V> {
    Narrow(Flow<(K, V)>),
    Shuffled(Flow<Row<K, V>>),
}
impl<K: Key, V: Wire> Side<K, V> {
    fn open(&self, p: usize, task: &Task) -> Result<Opened<K, V>> {
        match self {
            Side::Narrow(parent) => parent.flow(p, task).map(Opened::Narrow),
            Side::Shuffled(x) => Ok(Opened::Shuffled(Flow::source(x.bucket(p)?, task))),
        }
    }
}
impl<K: Key, V: Wire> Opened<K, V> {
    /// Hands over the records, each with the hash of its key: hashed here, or before the shuffle.
    fn each(self, site: Site, mut f: impl FnMut(u64, K, V)) -> Result<()> {
        match self {
            Opened::Narrow(flow) => flow.each(|c| {
                at(site);
                c.for_each(|(k, v)| f(hash::of(&k), k, v));
                Ok(())
            }),
            Opened::Shuffled(flow) => flow.each(|c| {
                at(site);
                c.for_each(|(h, (k, v))| f(h, k, v));
                Ok(())
            }),
        }
    }
}

/// The values of each key on both sides.
type Groups<K, V, W> = Table<K, (Vec<V>, Vec<W>)>;

fn add_left<K: Key, V: Wire, W: Wire>(left: Opened<K, V>, site: Site) -> Result<Groups<K, V, W>> {
    let mut t = Table::with_capacity(0);
    left.each(site, |h, k, v| {
        t.upsert_hashed(h, k, v, |v| (vec![v], Vec::new()), |both: &mut (Vec<V>, Vec<W>), v| both.0.push(v));
    })?;
    Ok(t)
}
fn add_right<K: Key, V: Wire, W: Wire>(
    mut t: Groups<K, V, W>,
    right: Opened<K, W>,
    keys: Keys,
    site: Site,
) -> Result<Groups<K, V, W>> {
    right.each(site, |h, k, w| match keys {
        Keys::All => t.upsert_hashed(h, k, w, |w| (Vec::new(), vec![w]), |both, w| both.1.push(w)),
        Keys::Left => {
            if let Some(both) = t.get_hashed(h, &k) {
                both.1.push(w);
            }
        }
    })?;
    Ok(t)
}
/// What `f` makes of the groups, in chunks.
fn flow_of<K: Key, V: Wire, W: Wire, U: Data, I>(
    groups: Groups<K, V, W>,
    f: Arc<impl Fn(K, Vec<V>, Vec<W>) -> I + 'static>,
    site: Site,
    task: Task,
) -> Flow<(K, U)>
where
    I: IntoIterator<Item = (K, U)> + 'static,
{
    let mut out = groups.into_entries().flat_map(move |(k, (v, w))| f(k, v, w));
    Flow::new(move || {
        // A source as well: one key with many values on both sides yields a great many pairs.
        task.check()?;
        at(site);
        let some: Vec<(K, U)> = out.by_ref().take(CHUNK).collect();
        Ok((!some.is_empty()).then_some(Chunk::Own(some)))
    })
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
    /// To bring together more than two, cogroup the result: it is spread already.
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
    #[doc(alias = "groupWith")]
    #[track_caller]
    pub fn cogroup<W: Wire>(&self, other: &Rdd<(K, W)>) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.cogroup_at(Site::caller(), other, self.default_count_with(other))
    }
    /// [`cogroup`](Rdd::cogroup) into `partitions` partitions.
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
    pub fn cogroup_in<W: Wire>(&self, other: &Rdd<(K, W)>, partitions: usize) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.cogroup_at(Site::caller(), other, Count::known(partitions))
    }
    /// [`cogroup_in`](Rdd::cogroup_in) on behalf of `site`.
    pub fn cogroup_at<W: Wire>(&self, site: Site, other: &Rdd<(K, W)>, partitions: Count) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        K: Key,
        V: Wire,
    {
        self.meet("cogroup", site, other, partitions, Keys::All, |k, v, w| [(k, (v, w))])
    }

    /// Where the keys of both go unless the caller says.
    pub(super) fn default_count_with<W: Wire>(&self, other: &Rdd<(K, W)>) -> Count {
        meeting_count(&self.sc, &[&self.op.meta, &other.op.meta])
    }

    /// What `f` makes, lazily, of each key and its values on both sides. `f` keeps the key.
    pub(super) fn meet<W: Wire, U: Data, I>(
        &self,
        name: &'static str,
        site: Site,
        other: &Rdd<(K, W)>,
        partitions: Count,
        keys: Keys,
        f: impl Fn(K, Vec<V>, Vec<W>) -> I + Send + Sync + 'static,
    ) -> Rdd<(K, U)>
    where
        K: Key,
        V: Wire,
        I: IntoIterator<Item = (K, U)> + 'static,
    {
        if !self.sc.same(&other.sc) {
            return self.sc.wrong(name, site, move || Error::ForeignRdd { operator: name, site });
        }
        if partitions.if_known() == Some(0) {
            return self.sc.wrong(name, site, move || Error::Partitions { operator: name, site, asked: 0 });
        }
        let (left, left_dep, left_depth) = self.side(name, site, &partitions);
        let (right, right_dep, right_depth) = other.side(name, site, &partitions);
        let shape = Shape {
            name,
            site,
            partitions: partitions.clone(),
            deps: vec![left_dep, right_dep],
            partitioner: Some(Partitioner::Hash(partitions)),
            depth: left_depth.max(right_depth),
        };
        let f = Arc::new(f);
        self.sc.make(shape, move |p, task| {
            task.check()?;
            // SUBTLE: opening a parent recurses as deep as the lineage is long. What needs stack is in functions of its
            // own, which have returned by then, and each `?` would need some as well.
            let left = left.open(p, task).and_then(|left| add_left(left, site));
            let both =
                left.and_then(|groups| right.open(p, task).and_then(|right| add_right(groups, right, keys, site)));
            both.map(|groups| flow_of(groups, f.clone(), site, task.clone()))
        })
    }
    /// This RDD as a side of a result of `n` partitions, with the dependency and the row of operators that makes.
    fn side(&self, name: &'static str, site: Site, n: &Count) -> (Side<K, V>, Dep, u32)
    where
        K: Key,
        V: Wire,
    {
        if self.is_spread_over(n) {
            let dep = Dep::Narrow(Link::erased(&self.op));
            return (Side::Narrow(Link::typed(&self.op)), dep, self.op.meta.depth + 1);
        }
        let x = self.shuffle(name, site, n.clone(), move |flow, n, _| rows(flow, n, site));
        (Side::Shuffled(x.clone()), Dep::Shuffle(x), 0)
    }
}
