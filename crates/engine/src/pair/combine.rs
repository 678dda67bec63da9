//! Aggregation by key, combined on the map side.
use super::{
    exchange::Exchange,
    gather::{Form, Gather},
    hashed::Hashed,
    output::{Filling, Output},
    route::fill,
    table::{Row, Table, row_codec},
    tabled::{Grows, Tabled},
};
use crate::{
    Chunk, Data, Flow, Key, KeyPartitioner, Rdd, Result, Site, Task, Wire, at,
    blocks::size,
    detach, hash,
    lineage::{Count, Partitioner, Router},
};
use std::sync::Arc;

/// An accumulator of one value.
type Alone<V, C> = fn(V) -> C;

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// Merges the values of each key with a function that is associative and commutative, first within each partition,
    /// then across a shuffle. Keeps the partitioner. Values move into `f` and none is cloned within a partition.
    ///
    /// The partitions of the result: as the keys are spread already; else `spark.default.parallelism`, if set; else as
    /// many as this RDD has. Results are the same for any number of threads.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let total = sc.parallelize([("a", 1), ("b", 2), ("a", 3)].map(|(k, v)| (k.to_string(), v)), 2);
    /// let mut sums = total.reduce_by_key(|x, y| x + y).collect()?;
    /// sums.sort();
    /// assert_eq!(sums, [("a".into(), 4), ("b".into(), 2)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn reduce_by_key(&self, f: impl Fn(V, V) -> V + Send + Sync + 'static) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.reduce_by_key_at(Site::caller(), f, self.default_partitioner())
    }
    /// [`reduce_by_key`](Rdd::reduce_by_key) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sums = sc.range(0..10, 4).map(|x| (x % 2, x)).reduce_by_key_in(|a, b| a + b, 3);
    /// assert_eq!((sums.num_partitions()?, sums.lookup(1)?), (3, vec![25]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn reduce_by_key_in(
        &self,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.reduce_by_key_at(Site::caller(), f, partitions)
    }
    /// [`reduce_by_key_in`](Rdd::reduce_by_key_in) on behalf of `site`.
    pub fn reduce_by_key_at(
        &self,
        site: Site,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        self.reduced(site, f, partitions.erased(), Form::ENTRIES)
    }
    /// [`reduce_by_key_at`](Rdd::reduce_by_key_at) into so many partitions by hash, each record with the hash of its key:
    /// for operators that keep a table for each partition. All of a partition comes in one chunk, to be kept.
    ///
    /// ```
    /// # use winterbourne_engine::{Site, SparkConf, SparkContext, hash};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let rows = sc.range(0..10, 2).map(|x| (x % 3, x)).reduce_by_key_hashed_at(Site::caller(), |a, b| a + b, 4);
    /// assert_eq!(rows.map(|row| row.value).fold(0, |a, b| a + b)?, 45);
    /// assert!(rows.collect()?.iter().all(|row| row.hash == hash::of(&row.key)));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn reduce_by_key_hashed_at(
        &self,
        site: Site,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        partitions: usize,
    ) -> Rdd<Hashed<K, V>>
    where
        K: Key,
        V: Wire,
    {
        self.reduced(site, f, Partitioner::Hash(Count::known(partitions)), Form::HASHED)
    }
    fn reduced<E: Data>(
        &self,
        site: Site,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        partitioner: Partitioner,
        form: Form<K, V, E>,
    ) -> Rdd<E>
    where
        K: Key,
        V: Wire,
    {
        let f = Arc::new(f);
        let g = f.clone();
        self.aggregate_by(
            "reduce_by_key",
            site,
            partitioner,
            move |t: &mut Table<K, V>, k, v| t.upsert_by_value(hash::of(&k), k, v, |v| v, &*f),
            move |t: &mut Table<K, V>, h, k, v| t.upsert_by_value(h, k, v, |v| v, &*g),
            (Some(|v| v), form),
        )
    }
    /// The general aggregation: `create` an accumulator from the first value of a key in a partition, `merge` further
    /// values into it, `merge_combiners` across partitions. Works in place, so it is the one for heavy accumulators.
    /// Partitions as for [`reduce_by_key`](Rdd::reduce_by_key). If keys are spread that way already nothing is shuffled,
    /// and `merge_combiners` is called only if a table went to disk.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sizes = sc.range(0..10, 3).map(|x| (x % 2, x)).combine_by_key(
    ///     |first| vec![first],
    ///     |all, x| all.push(x),
    ///     |all, mut more: Vec<u64>| all.append(&mut more),
    /// );
    /// let mut sizes = sizes.collect()?;
    /// sizes.sort();
    /// assert_eq!(sizes, [(0, vec![0, 2, 4, 6, 8]), (1, vec![1, 3, 5, 7, 9])]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "combineByKeyWithClassTag")]
    #[track_caller]
    pub fn combine_by_key<C: Wire>(
        &self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.combine_by_key_at(Site::caller(), create, merge, merge_combiners, self.default_partitioner())
    }
    /// [`combine_by_key`](Rdd::combine_by_key) into so many partitions, or by a partitioner.
    ///
    /// Combining on the map side is a waste where keys hardly repeat. Spread them first, and this combines in place:
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let sizes = sc.range(0..10, 3).map(|x| (x, x)).partition_by(2).combine_by_key_in(
    ///     |first| vec![first],
    ///     |all, x| all.push(x),
    ///     |all, mut more: Vec<u64>| all.append(&mut more), // only if a table has to go to disk
    ///     2,
    /// );
    /// assert_eq!(sizes.count()?, 10);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn combine_by_key_in<C: Wire>(
        &self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.combine_by_key_at(Site::caller(), create, merge, merge_combiners, partitions)
    }
    /// [`combine_by_key_in`](Rdd::combine_by_key_in) on behalf of `site`.
    pub fn combine_by_key_at<C: Wire>(
        &self,
        site: Site,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.aggregate_by(
            "combine_by_key",
            site,
            partitions.erased(),
            move |t: &mut Table<K, C>, k, v| t.upsert(k, v, &create, &merge),
            move |t: &mut Table<K, C>, h, k, c| t.upsert_hashed(h, k, c, |c| c, &merge_combiners),
            (None, Form::ENTRIES),
        )
    }
    /// Folds the values of each key from `zero`: `add` within a partition, `merge` across partitions. `zero` enters once
    /// **for each partition that has the key**, as in Spark; only once if keys are spread that way already; and once more
    /// whenever a table of that partition had to go to disk. Partitions
    /// as for [`reduce_by_key`](Rdd::reduce_by_key). Accumulators that are dear to move want
    /// [`combine_by_key`](Rdd::combine_by_key).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let words = sc.parallelize([(1, "a"), (2, "bb"), (1, "ccc")].map(|(k, w)| (k, w.to_string())), 2);
    /// let mut letters = words.aggregate_by_key(0, |n, w| n + w.len(), |n, m| n + m).collect()?;
    /// letters.sort();
    /// assert_eq!(letters, [(1, 4), (2, 2)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn aggregate_by_key<C: Wire>(
        &self,
        zero: C,
        add: impl Fn(C, V) -> C + Send + Sync + 'static,
        merge: impl Fn(C, C) -> C + Send + Sync + 'static,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.folded("aggregate_by_key", Site::caller(), zero, add, merge, self.default_partitioner())
    }
    /// [`aggregate_by_key`](Rdd::aggregate_by_key) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.parallelize([(1, 'a'), (2, 'b'), (1, 'c')], 1);
    /// let words = pairs.aggregate_by_key_in(String::new(), |word, c| word + &c.to_string(), |a, b| a + &b, 2);
    /// assert_eq!((words.num_partitions()?, words.lookup(1)?), (2, vec!["ac".to_string()]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn aggregate_by_key_in<C: Wire>(
        &self,
        zero: C,
        add: impl Fn(C, V) -> C + Send + Sync + 'static,
        merge: impl Fn(C, C) -> C + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.folded("aggregate_by_key", Site::caller(), zero, add, merge, partitions.erased())
    }
    /// As [`aggregate_by_key`](Rdd::aggregate_by_key), with one function and an accumulator of the type of the values.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.parallelize([(1, 1), (1, 2), (2, 3)], 2); // (1, 1) alone in the first partition
    /// let mut sums = pairs.fold_by_key(10, |a, b| a + b).collect()?;
    /// sums.sort();
    /// assert_eq!(sums, [(1, 23), (2, 13)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn fold_by_key(&self, zero: V, f: impl Fn(V, V) -> V + Send + Sync + 'static) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let f = Arc::new(f);
        let g = f.clone();
        let site = Site::caller();
        self.folded("fold_by_key", site, zero, move |a, v| f(a, v), move |a, b| g(a, b), self.default_partitioner())
    }
    /// [`fold_by_key`](Rdd::fold_by_key) into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let products = sc.range(1..7, 3).map(|x| (x % 2, x)).fold_by_key_in(1, |a, b| a * b, 2);
    /// assert_eq!((products.num_partitions()?, products.lookup(0)?), (2, vec![48]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn fold_by_key_in(
        &self,
        zero: V,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let f = Arc::new(f);
        let g = f.clone();
        let site = Site::caller();
        self.folded("fold_by_key", site, zero, move |a, v| f(a, v), move |a, b| g(a, b), partitions.erased())
    }
    fn folded<C: Wire>(
        &self,
        name: &'static str,
        site: Site,
        zero: C,
        add: impl Fn(C, V) -> C + Send + Sync + 'static,
        merge: impl Fn(C, C) -> C + Send + Sync + 'static,
        partitioner: Partitioner,
    ) -> Rdd<(K, C)>
    where
        K: Key,
        V: Wire,
    {
        self.aggregate_by(
            name,
            site,
            partitioner,
            move |t: &mut Table<K, C>, k, v| {
                t.upsert_by_value(hash::of(&k), k, v, |v| add(zero.clone(), v), &add);
            },
            move |t: &mut Table<K, C>, h, k, c| t.upsert_by_value(h, k, c, |c| c, &merge),
            (None, Form::ENTRIES),
        )
    }

    /// What the operators above are made of: `add` values to a partition's table, `merge` the tables behind the shuffle.
    /// `alone` makes an accumulator of one value, if `merge` of such is as good as `add`: then keys that hardly repeat are
    /// not brought together before the shuffle. `form` is what they are told as.
    pub(super) fn aggregate_by<C: Wire, E: Data>(
        &self,
        name: &'static str,
        site: Site,
        partitioner: Partitioner,
        add: impl Fn(&mut Table<K, C>, K, V) + Send + Sync + 'static,
        merge: impl Fn(&mut Table<K, C>, u64, K, C) + Send + Sync + 'static,
        (alone, form): (Option<Alone<V, C>>, Form<K, C, E>),
    ) -> Rdd<E>
    where
        K: Key,
        V: Wire,
    {
        if let Some(refused) = self.refuse_none(name, site, &partitioner) {
            return refused;
        }
        let merge = Arc::new(merge);
        if self.is_spread_by(&partitioner) {
            return self.narrow(name, site, true, move |_, flow, task| {
                let mut all = Gather::whole(0, task);
                flow.each(|c| {
                    at(site);
                    let kept = all.weigh(&c);
                    let table = all.table();
                    c.for_each(|(k, v)| add(table, k, v));
                    all.added(kept)
                })?;
                let merge = merge.clone();
                all.finish(site, task, move |t: &mut _, h, k, c| merge(t, h, k, c), form)
            });
        }
        let write =
            move |flow: Flow<(K, V)>, router: &Router<K>, task: &Task| combined(flow, router, task, site, &add, alone);
        self.exchange(name, site, partitioner, write, move |x: &Exchange<_, Output<Row<K, C>>>, p, task| {
            if let Some(rows) = x.one_table(p) {
                return Ok(form.flow(rows, task));
            }
            let mut all = Gather::whole(x.longest(p), task);
            x.read(p, task)?.each(|c| {
                at(site);
                let kept = all.weigh(&c);
                let table = all.table();
                c.for_each(|(h, (k, c))| merge(table, h, k, c));
                all.added(kept)
            })?;
            let merge = merge.clone();
            all.finish(site, task, move |t: &mut _, h, k, c| merge(t, h, k, c), form)
        })
    }
}

/// What a map task leaves: the table of its partition, in buckets. If it was too large, several one after another; and
/// where hardly a key repeats and `alone` makes an accumulator of one value, records as they came, between looks.
fn combined<K: Key, V: Wire, C: Wire>(
    flow: Flow<(K, V)>,
    router: &Router<K>,
    task: &Task,
    site: Site,
    add: impl Fn(&mut Table<K, C>, K, V),
    alone: Option<Alone<V, C>>,
) -> Result<Output<Row<K, C>>> {
    let mut out = Filling::new(router.partitions, task, row_codec());
    let mut all: Tabled<K, C> = Tabled::new(0, task, Grows::of::<C>(), size::walked::<C>);
    let mut pace = Pace::new();
    flow.each(|c: Chunk<(K, V)>| {
        at(site);
        if let Some(alone) = alone
            && pace.is_past(c.len())
        {
            let row = |(k, v)| (hash::of(&k), (detach::key(k), alone(v)));
            return fill(&mut out, c, router, row, |row| (&row.1.0, Some(row.0)));
        }
        let (n, kept) = (c.len(), all.weigh(&c));
        c.for_each(|(k, v)| add(&mut all.table, k, v));
        let fits = all.fits(kept);
        if !fits || alone.is_some() && pace.hardly_repeats(n, all.table.len()) {
            let bytes = all.rows_weigh(0);
            out.append(all.take(), router, bytes)?;
            if !fits {
                out.spill()?;
            }
            all.has_moved();
            pace.begins();
        }
        Ok(())
    })?;
    let bytes = all.rows_weigh(0);
    let (table, grant) = all.into_parts();
    let out = out.end_with(table.into_rows(), router, bytes);
    drop(grant);
    out
}

/// Whether combining pays. A table whose keys hardly ever repeat is work for nothing, before the same work is done behind
/// the shuffle. Decided by the records alone, so that results are the same for any number of threads.
struct Pace {
    /// Records since the table began.
    seen: usize,
    /// So many keys in the table are looked at next.
    look: usize,
    /// Records that go past the table before it is tried again.
    past: usize,
}
impl Pace {
    const LOOK: usize = 4096;
    /// What goes past a table that was of no use, in its sizes. Keys that would have repeated among them are so many more
    /// rows in the shuffle; as looks double, at most about twice as many as there are keys.
    const PAST: usize = 4;

    fn new() -> Self {
        Pace { seen: 0, look: Self::LOOK, past: 0 }
    }
    /// The table was emptied.
    fn begins(&mut self) {
        self.seen = 0;
    }
    /// Whether the next n records go past the table.
    fn is_past(&mut self, n: usize) -> bool {
        let is_past = self.past > 0;
        self.past = self.past.saturating_sub(n);
        is_past
    }
    /// After n more records the table has so many keys: whether fewer than an eighth of its records repeated one.
    fn hardly_repeats(&mut self, n: usize, keys: usize) -> bool {
        self.seen += n;
        if keys < self.look {
            return false;
        }
        let hardly = self.seen.saturating_sub(keys) < self.seen / 8;
        if hardly {
            self.past = Self::PAST * self.look;
        }
        self.look *= 2;
        hardly
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Rows that a map task leaves of these keys, in chunks.
    fn rows(keys: impl Iterator<Item = u64>) -> usize {
        let (mut pace, mut table, mut rows) = (Pace::new(), HashSet::<u64>::new(), 0);
        let keys: Vec<u64> = keys.collect();
        for c in keys.chunks(1000) {
            if pace.is_past(c.len()) {
                rows += c.len();
                continue;
            }
            table.extend(c);
            if pace.hardly_repeats(c.len(), table.len()) {
                rows += table.len();
                table.clear();
                pace.begins();
            }
        }
        rows + table.len()
    }
    #[test]
    fn keys_that_repeat_are_combined() {
        let few = |n: u64, of: u64| (0..n).map(move |i| hash::of(&i) % of);
        assert_eq!(rows(few(1_000_000, 1_000)), 1_000);
        // A quarter of the records repeat a key, and the table is full of them.
        assert_eq!(rows((0..40_000).map(|i| i - i % 4 / 3)), 30_000);
        for of in [10_000, 50_000, 200_000] {
            let (n, rows) = (rows(few(2_000_000, of)), of as usize);
            assert!((rows..=3 * rows).contains(&n), "{n} rows of {of} keys");
        }
    }
    #[test]
    fn keys_that_do_not_repeat_go_past_the_table() {
        let mut pace = Pace::new();
        let (mut past, mut in_table) = (0, 0);
        for _ in 0..1_000 {
            if pace.is_past(1_000) {
                past += 1;
                continue;
            }
            in_table += 1_000;
            if pace.hardly_repeats(1_000, in_table) {
                in_table = 0;
                pace.begins();
            }
        }
        assert!(past > 700, "{past} of 1000 chunks");
    }
}
