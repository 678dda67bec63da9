//! [`Blocks`]: the computed partitions of persisted RDDs, erased.
use crate::{RddId, hash::FixedState, lineage::Node, plan::Facts};
use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

pub(crate) type AnyBlock = Arc<dyn Any + Send + Sync>;

/// Cached partitions by RDD. They die with the lineage that computed them, or by `unpersist`.
#[derive(Default)]
pub(crate) struct Blocks(Mutex<HashMap<RddId, BTreeMap<usize, AnyBlock>, FixedState>>);

impl Blocks {
    fn map(&self) -> MutexGuard<'_, HashMap<RddId, BTreeMap<usize, AnyBlock>, FixedState>> {
        self.0.lock().expect("no user code runs under this lock")
    }
    pub(crate) fn get(&self, (id, p): (RddId, usize)) -> Option<AnyBlock> {
        self.map().get(&id)?.get(&p).cloned()
    }
    /// Keeps a block unless another task was faster.
    pub(crate) fn put(&self, (id, p): (RddId, usize), block: AnyBlock) {
        self.map().entry(id).or_default().entry(p).or_insert(block);
    }
    pub(crate) fn forget(&self, id: RddId) {
        // The records' own Drop runs outside the lock.
        let dead = self.map().remove(&id);
        drop(dead);
    }
    pub(crate) fn has(&self, key: (RddId, usize)) -> bool {
        self.map().get(&key.0).is_some_and(|m| m.contains_key(&key.1))
    }
    pub(crate) fn count(&self) -> usize {
        self.map().values().map(BTreeMap::len).sum()
    }
}
impl Facts for Blocks {
    fn is_cached(&self, node: &dyn Node) -> bool {
        let Some(n) = node.meta().partitions.if_known() else { return false };
        self.map().get(&node.meta().id).map_or(n == 0, |m| m.len() == n)
    }
}
