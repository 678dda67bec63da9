//! [`Hashed`]: records that bring the hashes of their keys along, for tables that are kept behind a shuffle.
use super::route::spread;
use crate::{
    Data, Flow, Key, Rdd, Site, Task, Wire,
    blocks::RecordCodec,
    hash,
    lineage::{Count, Partitioner, Router},
};
use serde::{Deserialize, Serialize};

/// A record in the partition of its key, with the key's hash: whoever looks it up in a table need not compute it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashed<K, V> {
    /// [`hash::of`] the key.
    pub hash: u64,
    /// The key.
    pub key: K,
    /// What belongs to it.
    pub value: V,
}
impl<K: Key, V> Hashed<K, V> {
    /// A record whose hash is not known yet.
    #[inline]
    pub fn new((key, value): (K, V)) -> Self {
        Hashed { hash: hash::of(&key), key, value }
    }
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// Every record to the partition of its key, as [`partition_by`](Rdd::partition_by) does, with the key's hash; on
    /// behalf of the operator `name` at `site`. For operators that keep a table for each partition.
    ///
    /// ```
    /// # use winterbourne_engine::{Site, SparkConf, SparkContext, hash};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let rows = sc.range(0..10, 2).map(|x| (x % 3, x)).hashed_at(Site::caller(), "doc", 4);
    /// assert_eq!(rows.num_partitions()?, 4);
    /// assert!(rows.collect()?.iter().all(|row| row.hash == hash::of(&row.key)));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn hashed_at(&self, site: Site, name: &'static str, partitions: usize) -> Rdd<Hashed<K, V>>
    where
        K: Key,
        V: Wire,
    {
        let partitioner = Partitioner::Hash(Count::known(partitions));
        if let Some(refused) = self.refuse_none(name, site, &partitioner) {
            return refused;
        }
        if self.is_spread_by(&partitioner) {
            return self.chunked(name, site, true, |c| c.map(Hashed::new));
        }
        let write = move |flow: Flow<(K, V)>, router: &Router<K>, task: &Task| {
            spread(flow, router, task, site, RecordCodec::of(), Hashed::new, |row| (&row.key, Some(row.hash)))
        };
        self.exchange(name, site, partitioner, write, |x, p, task| x.read(p, task))
    }
}
