//! What the twins share: a context of so many threads, and random data cut into partitions.
use proptest::prelude::*;
use std::fmt::Debug;
use winterbourne_engine::{Data, Rdd, SparkConf, SparkContext};

/// A context of so many threads. One of three threads has next to no memory: whatever can go to disk does.
pub(crate) fn context(threads: usize) -> SparkContext {
    let conf = SparkConf::empty().set_app_name("twins").set_master(format!("local[{threads}]"));
    SparkContext::new(if is_starved(threads) { conf.set("spark.memory.size", 64) } else { conf }).expect("a context")
}
/// Where nothing stays in memory, the cuts of a sort are near the twin's, and not the same.
pub(crate) fn is_starved(threads: usize) -> bool {
    threads == 3
}

/// Records in partitions as they come: none, empty ones, many more than records.
pub(crate) type Parts<T> = Vec<Vec<T>>;

/// Random partitions of random records.
pub(crate) fn parts<T: Debug + Clone>(record: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Parts<T>> {
    let some = |parts, records| prop::collection::vec(prop::collection::vec(record.clone(), records), parts);
    prop_oneof![6 => some(1..6, 0..20), 2 => some(0..3, 0..60), 1 => some(8..30, 0..2)]
}
/// The same as an RDD.
pub(crate) fn rdd<T: Data>(sc: &SparkContext, parts: &Parts<T>) -> Rdd<T> {
    if parts.is_empty() {
        return sc.empty_rdd();
    }
    let listed = parts.clone();
    sc.parallelize(0..parts.len(), parts.len()).flat_map(move |p| listed[p].clone())
}
pub(crate) fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}
pub(crate) fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}
