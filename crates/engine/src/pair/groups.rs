//! `flat_map_groups`: groups gone through value by value, so that none has to be in memory as a whole.
use super::{
    gather::{ByHash, Form},
    group::Groups,
};
use crate::{CHUNK, Chunk, Data, Flow, Key, KeyPartitioner, Rdd, Result, Site, Task, Wire, at, flow::Carried};
use std::vec::IntoIter;

/// The values of one key, in the order of partitions and of records within them. Those that are not taken are passed over.
pub struct GroupValues<'a, V> {
    open: IntoIter<V>,
    more: &'a mut dyn FnMut() -> Result<Option<Vec<V>>>,
}
impl<V> Iterator for GroupValues<'_, V> {
    type Item = V;
    #[inline]
    fn next(&mut self) -> Option<V> {
        loop {
            if let Some(v) = self.open.next() {
                return Some(v);
            }
            match (self.more)() {
                Ok(Some(values)) => self.open = values.into_iter(),
                Ok(None) => return None,
                // As in `Records`: ending here would look like the end of the values.
                Err(e) => std::panic::resume_unwind(Box::new(Carried(e))),
            }
        }
    }
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// What `f` makes of each key and its values, which it may go through once. The one operator whose groups may be
    /// larger than memory: a group that finds no room lies on disk and is read as `f` asks for its values. For sums,
    /// counts and their like [`reduce_by_key`](Rdd::reduce_by_key) shuffles far less. Partitions as for `reduce_by_key`.
    ///
    /// Spark has this for datasets only: `groupByKey(…).flatMapGroups`.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let visits = sc.parallelize([("ann", 3), ("bob", 8), ("ann", 9)].map(|(k, t)| (k.to_string(), t)), 2);
    /// // The longest pause of each visitor, of those that came back.
    /// let pauses = visits.flat_map_groups(|who, times| {
    ///     let mut last = times.next();
    ///     let mut longest = None;
    ///     for t in times {
    ///         longest = longest.max(last.map(|last| t - last));
    ///         last = Some(t);
    ///     }
    ///     longest.map(|pause| (who.clone(), pause))
    /// });
    /// assert_eq!(pauses.collect()?, [("ann".to_string(), 6)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "map_groups", alias = "mapGroups", alias = "flatMapGroups")]
    #[track_caller]
    pub fn flat_map_groups<U: Data, R: IntoIterator<Item = U>>(
        &self,
        f: impl Fn(&K, &mut GroupValues<'_, V>) -> R + Send + Sync + 'static,
    ) -> Rdd<U>
    where
        K: Key,
        V: Wire,
    {
        self.flat_map_groups_at(Site::caller(), f, self.default_partitioner())
    }
    /// [`flat_map_groups`](Rdd::flat_map_groups) over so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let firsts = sc.range(0..10, 3).map(|x| (x % 2, x)).flat_map_groups_in(|_, values| values.next(), 1);
    /// assert_eq!((firsts.num_partitions()?, firsts.sum()?), (1, 1));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn flat_map_groups_in<U: Data, R: IntoIterator<Item = U>>(
        &self,
        f: impl Fn(&K, &mut GroupValues<'_, V>) -> R + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<U>
    where
        K: Key,
        V: Wire,
    {
        self.flat_map_groups_at(Site::caller(), f, partitions)
    }
    fn flat_map_groups_at<U: Data, R: IntoIterator<Item = U>>(
        &self,
        site: Site,
        f: impl Fn(&K, &mut GroupValues<'_, V>) -> R + Send + Sync + 'static,
        partitions: impl KeyPartitioner<K>,
    ) -> Rdd<U>
    where
        K: Key,
        V: Wire,
    {
        let (name, partitioner) = ("flat_map_groups", partitions.erased());
        if let Some(refused) = self.refuse_none(name, site, &partitioner) {
            return refused;
        }
        let f = std::sync::Arc::new(f);
        let mapped = self.gathered(name, site, partitioner, move |all, task| {
            let f = f.clone();
            gone_through(all, site, task, move |k, values, out: &mut Vec<U>| out.extend(f(k, values)))
        });
        // What comes of a group need not have its key.
        mapped.narrow(name, site, false, |_, flow, _| Ok(flow))
    }
}

/// All groups of a partition, one after another.
fn gone_through<K: Key, V: Wire, U: Data>(
    all: Groups<K, V>,
    site: Site,
    task: &Task,
    f: impl Fn(&K, &mut GroupValues<'_, V>, &mut Vec<U>) + 'static,
) -> Result<Flow<U>> {
    if !all.has_spilled() {
        return Ok(all.into_flow(Form::ENTRIES).map_chunks(move |c| {
            at(site);
            let mut out = Vec::new();
            c.for_each(|(k, values)| whole(&k, values, &f, &mut out));
            out
        }));
    }
    let (mut rows, task) = (all.sorted()?, task.clone());
    Ok(Flow::new(move || {
        let mut out = Vec::new();
        while out.len() < CHUNK && rows.peek().is_some() {
            task.check()?;
            at(site);
            group(&mut rows, &f, &mut out)?;
        }
        Ok((!out.is_empty()).then_some(Chunk::Own(out)))
    }))
}
/// A group that is in memory.
fn whole<K, V, U>(k: &K, values: Vec<V>, f: &impl Fn(&K, &mut GroupValues<'_, V>, &mut Vec<U>), out: &mut Vec<U>) {
    f(k, &mut GroupValues { open: values.into_iter(), more: &mut || Ok(None) }, out);
}
/// The next group, and those whose keys have the same hash.
fn group<K: Key, V: Wire, U>(
    rows: &mut ByHash<K, Vec<V>>,
    f: &impl Fn(&K, &mut GroupValues<'_, V>, &mut Vec<U>),
    out: &mut Vec<U>,
) -> Result<()> {
    let Some((hash, (key, first))) = rows.next()? else { return Ok(()) };
    // Of another key with the same hash: a rare thing, and kept in memory.
    let mut others: Vec<(K, Vec<V>)> = Vec::new();
    let mut more = || {
        while rows.peek().is_some_and(|row| row.0 == hash) {
            let Some((_, (k, values))) = rows.next()? else { break };
            if k == key {
                return Ok(Some(values));
            }
            match others.iter_mut().find(|(other, _)| *other == k) {
                Some((_, all)) => all.extend(values),
                None => others.push((k, values)),
            }
        }
        Ok(None)
    };
    f(&key, &mut GroupValues { open: first.into_iter(), more: &mut more }, out);
    while more()?.is_some() {}
    others.into_iter().for_each(|(k, values)| whole(&k, values, f, out));
    Ok(())
}
