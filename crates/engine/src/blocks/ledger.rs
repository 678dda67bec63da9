//! [`Ledger`]: what blocks in memory weigh, and which of them go when there is no room. It decides only.
use crate::{RddId, hash::FixedState};
use std::collections::{BTreeMap, HashMap};

/// Which partition of which RDD.
pub(crate) type Key = (RddId, usize);

/// Blocks in memory with their weights in bytes, the least recently used first.
#[derive(Default)]
pub(super) struct Ledger {
    used: u64,
    now: u64,
    blocks: HashMap<Key, Entry, FixedState>,
    /// By an earlier or the latest use; those that may go. A block moves back when it comes up to go and was used since:
    /// so using one costs no more than a number.
    /// Those that were chosen to go are not in it.
    order: BTreeMap<u64, Key>,
    /// What the blocks of each RDD weigh.
    rdds: HashMap<RddId, Weights, FixedState>,
    pinned: u64,
}
#[derive(Default)]
struct Weights {
    blocks: usize,
    bytes: u64,
    pinned: u64,
}
struct Entry {
    bytes: u64,
    used_at: u64,
    /// Where it stands in the order.
    listed: u64,
    /// Never goes.
    pinned: bool,
}

impl Ledger {
    pub(super) fn touch(&mut self, key: Key) {
        if let Some(entry) = self.blocks.get_mut(&key) {
            self.now += 1;
            entry.used_at = self.now;
        }
    }
    /// Counts a block that is not counted yet.
    pub(super) fn add(&mut self, key: Key, bytes: u64, pinned: bool) {
        self.now += 1;
        let now = self.now;
        self.used += bytes;
        let rdd = self.rdds.entry(key.0).or_default();
        rdd.blocks += 1;
        rdd.bytes += bytes;
        if pinned {
            rdd.pinned += bytes;
            self.pinned += bytes;
        }
        // What weighs nothing makes no room.
        if !pinned && bytes > 0 {
            self.order.insert(now, key);
        }
        self.blocks.insert(key, Entry { bytes, used_at: now, listed: now, pinned });
    }
    /// Forgets a block; how much it weighed.
    pub(super) fn remove(&mut self, key: Key) -> u64 {
        let Some(entry) = self.blocks.remove(&key) else { return 0 };
        self.used -= entry.bytes;
        self.order.remove(&entry.listed);
        let rdd = self.rdds.get_mut(&key.0).expect("counted with its blocks");
        rdd.blocks -= 1;
        rdd.bytes -= entry.bytes;
        if entry.pinned {
            rdd.pinned -= entry.bytes;
            self.pinned -= entry.bytes;
        }
        if rdd.blocks == 0 {
            self.rdds.remove(&key.0);
        }
        entry.bytes
    }
    /// What other RDDs leave to this one at most, under this limit: what weighs more can never be kept.
    pub(super) fn most(&self, rdd: RddId, limit: u64) -> u64 {
        let (own, pinned) = self.rdds.get(&rdd).map_or((0, 0), |w| (w.bytes, w.pinned));
        limit.saturating_sub(own + self.pinned - pinned)
    }
    /// The blocks that have to go for so many bytes of an RDD more, under this limit, none of them its own; nothing if that
    /// is not possible. They are counted until they are removed.
    pub(super) fn make_room(&mut self, rdd: RddId, bytes: u64, limit: u64) -> Option<Vec<Key>> {
        let (mut chosen, mut spared) = (Vec::new(), Vec::new());
        // What leaves already, for somebody else, is not counted as room: two would share it.
        let mut after = self.used.saturating_add(bytes);
        while after > limit {
            let Some((listed, key)) = self.order.pop_first() else { break };
            let entry = self.blocks.get_mut(&key).expect("leaves the order with its block");
            if entry.used_at > listed {
                entry.listed = entry.used_at;
                self.order.insert(entry.listed, key);
            } else if key.0 == rdd {
                spared.push((listed, key));
            } else {
                after -= entry.bytes;
                chosen.push((listed, key));
            }
        }
        self.order.extend(spared);
        if after > limit {
            self.order.extend(chosen);
            return None;
        }
        Some(chosen.into_iter().map(|(_, key)| key).collect())
    }
    /// The blocks that go if so many bytes are to be free, of any RDD; as many as there are.
    pub(super) fn give_up(&mut self, bytes: u64) -> Vec<Key> {
        let (mut chosen, mut freed) = (Vec::new(), 0);
        while freed < bytes {
            let Some((listed, key)) = self.order.pop_first() else { break };
            let entry = self.blocks.get_mut(&key).expect("leaves the order with its block");
            if entry.used_at > listed {
                entry.listed = entry.used_at;
                self.order.insert(entry.listed, key);
            } else {
                freed += entry.bytes;
                chosen.push(key);
            }
        }
        chosen
    }
    #[cfg(test)]
    fn kept(&self) -> Vec<(Key, u64)> {
        let mut all: Vec<_> = self.blocks.iter().map(|(k, e)| (*k, e.bytes)).collect();
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: u64 = 100;

    /// What it should do, by looking at everything.
    #[derive(Default)]
    struct Twin(Vec<(Key, u64, bool)>);
    impl Twin {
        fn put(&mut self, key: Key, bytes: u64, pinned: bool) -> bool {
            let used: u64 = self.0.iter().map(|b| b.1).sum();
            let movable: u64 = self.0.iter().filter(|b| b.0.0 != key.0 && !b.2).map(|b| b.1).sum();
            if used + bytes > LIMIT + movable {
                return false;
            }
            while self.0.iter().map(|b| b.1).sum::<u64>() + bytes > LIMIT {
                let first = self.0.iter().position(|b| b.0.0 != key.0 && !b.2 && b.1 > 0);
                self.0.remove(first.expect("there is enough to go"));
            }
            self.0.push((key, bytes, pinned));
            true
        }
        fn touch(&mut self, key: Key) {
            if let Some(at) = self.0.iter().position(|b| b.0 == key) {
                let block = self.0.remove(at);
                self.0.push(block);
            }
        }
        fn kept(&self) -> Vec<(Key, u64)> {
            let mut all: Vec<_> = self.0.iter().map(|b| (b.0, b.1)).collect();
            all.sort();
            all
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Put(Key, u64, bool),
        Touch(Key),
        Remove(Key),
    }
    fn key() -> impl Strategy<Value = Key> {
        (0u64..3, 0usize..5).prop_map(|(r, p)| (RddId(r), p))
    }
    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (key(), 0u64..50, prop::bool::weighted(0.1)).prop_map(|(k, b, p)| Op::Put(k, b, p)),
            3 => key().prop_map(Op::Touch),
            1 => key().prop_map(Op::Remove),
        ]
    }
    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
        #[test]
        fn the_least_recently_used_go_and_never_those_of_the_same_rdd(ops in prop::collection::vec(op(), 0..60)) {
            let (mut ledger, mut twin) = (Ledger::default(), Twin::default());
            for op in ops {
                match op {
                    Op::Put(key, bytes, pinned) if ledger.blocks.contains_key(&key) => {
                        // Kept already: only looked at.
                        let _ = (bytes, pinned);
                        ledger.touch(key);
                        twin.touch(key);
                    }
                    Op::Put(key, bytes, pinned) => {
                        let room = ledger.make_room(key.0, bytes, LIMIT);
                        prop_assert_eq!(room.is_some(), twin.put(key, bytes, pinned));
                        prop_assert!(room.is_none() || bytes <= ledger.most(key.0, LIMIT));
                        if let Some(gone) = room {
                            gone.into_iter().for_each(|k| assert!(ledger.remove(k) <= LIMIT));
                            ledger.add(key, bytes, pinned);
                        }
                    }
                    Op::Touch(key) => {
                        ledger.touch(key);
                        twin.touch(key);
                    }
                    Op::Remove(key) => {
                        ledger.remove(key);
                        twin.0.retain(|b| b.0 != key);
                    }
                }
                prop_assert_eq!(ledger.kept(), twin.kept());
                prop_assert_eq!(ledger.used, ledger.kept().iter().map(|b| b.1).sum::<u64>());
                prop_assert!(ledger.used <= LIMIT);
                prop_assert!(ledger.order.len() <= ledger.blocks.len());
            }
        }
    }
    #[test]
    fn what_leaves_makes_room_for_one_only() {
        let (a, b) = (RddId(1), RddId(2));
        let mut ledger = Ledger::default();
        ledger.add((a, 0), 60, false);
        assert_eq!(ledger.make_room(b, 70, LIMIT), Some(vec![(a, 0)]));
        assert_eq!(ledger.make_room(b, 70, LIMIT), None, "it is on its way, for somebody else");
        ledger.remove((a, 0));
        assert_eq!(ledger.make_room(b, 70, LIMIT), Some(vec![]));
    }
    #[test]
    fn what_is_wanted_by_others_goes_in_the_order_of_use() {
        let mut ledger = Ledger::default();
        (0..4).for_each(|p| ledger.add((RddId(1), p), 10, p == 1));
        ledger.touch((RddId(1), 0));
        assert_eq!(ledger.give_up(15), [(RddId(1), 2), (RddId(1), 3)]);
        assert_eq!(ledger.give_up(100), [(RddId(1), 0)], "what is pinned stays, what leaves is not asked twice");
    }
}
