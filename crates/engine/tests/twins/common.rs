//! What the twins share: a context of so many threads, and random data cut into partitions.
use winterbourne_engine::{SparkConf, SparkContext};

/// A context of so many threads.
pub(crate) fn context(threads: usize) -> SparkContext {
    let conf = SparkConf::empty().set_app_name("twins").set_master(format!("local[{threads}]"));
    SparkContext::new(conf).expect("a context")
}
