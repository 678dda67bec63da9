//! Whatever the level and the room, an RDD that is persisted is the RDD.
use crate::common::*;
use proptest::prelude::*;
use winterbourne_engine::{SparkConf, SparkContext, StorageLevel};

fn level() -> impl Strategy<Value = StorageLevel> {
    prop::sample::select(vec![
        StorageLevel::NONE,
        StorageLevel::MEMORY_ONLY,
        StorageLevel::MEMORY_ONLY_SER,
        StorageLevel::MEMORY_AND_DISK,
        StorageLevel::MEMORY_AND_DISK_SER,
        StorageLevel::DISK_ONLY,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
    #[test]
    fn persisted_rdds_are_what_they_were(
        data in prop::collection::vec((0u64..20, "[a-z]{0,40}"), 0..300),
        partitions in 1usize..6,
        threads in 1usize..4,
        levels in (level(), level(), level()),
        limit in prop::option::of(0u64..20_000),
        compress: bool,
        order in prop::collection::vec((0usize..3, any::<bool>()), 0..8),
    ) {
        let conf = SparkConf::empty().set_app_name("twins").set_master(format!("local[{threads}]"));
        let conf = conf.set("spark.rdd.compress", compress);
        let sc = SparkContext::new(match limit {
            Some(bytes) => conf.set("spark.memory.size", bytes),
            None => conf,
        }).expect("a context");
        let base = sc.parallelize(data.clone(), partitions);
        let all = [
            base.map(|e| e).persist(levels.0),
            base.map_values(|v| format!("{v}!")).persist(levels.1),
            base.filter(|e| e.0 % 2 == 0).persist(levels.2),
        ];
        let twins = [
            data.clone(),
            data.iter().map(|(k, v)| (*k, format!("{v}!"))).collect(),
            data.iter().filter(|e| e.0 % 2 == 0).cloned().collect(),
        ];
        for (which, forget) in order {
            prop_assert_eq!(&all[which].collect().expect("runs"), &twins[which]);
            let used: u64 = sc.rdd_storage_info().iter().map(|i| i.memory_bytes).sum();
            prop_assert!(limit.is_none_or(|limit| used <= limit), "{} of {:?}", used, limit);
            if forget && which == 1 {
                all[which].unpersist();
            }
        }
        drop(all);
        prop_assert_eq!(sc.counts().cached_blocks, 0);
    }
}

/// The context of the other twins keeps without a limit.
#[test]
fn without_a_limit_everything_is_kept() {
    let sc = context(2);
    let kept = sc.range(0..100_000, 7).cache();
    assert_eq!(kept.count().expect("runs"), 100_000);
    assert_eq!(sc.rdd_storage_info()[0].memory_bytes, 800_000);
}
