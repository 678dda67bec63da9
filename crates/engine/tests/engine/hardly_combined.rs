//! Reductions whose keys hardly repeat: their map tasks leave records as they came. Results are the same as ever.
use crate::common::*;
use std::collections::{BTreeMap, BTreeSet};
use winterbourne_engine::{SparkContext, hash};

/// Key and value of record i: `of` keys, all of which come about as often.
fn record(i: u64, of: u64) -> (u64, u64) {
    (hash::of(&i) % of, i)
}

#[test]
fn sums_and_distinct_keys_are_right_however_often_keys_repeat() {
    const N: u64 = 60_000;
    // All of them in memory, and next to no memory.
    for budget in ["1g", "64"] {
        let sc = SparkContext::new(conf("local[2]").set("spark.memory.size", budget)).unwrap();
        // One partition alone has one table, or has records before it.
        for (of, parts) in [100, 9_000, 40_000, u64::MAX].into_iter().flat_map(|of| [(of, 3), (of, 1)]) {
            let records = sc.range(0..N, parts).map(move |i| record(i, of));
            let mut expect = BTreeMap::new();
            (0..N).map(|i| record(i, of)).for_each(|(k, v)| *expect.entry(k).or_insert(0) += v);
            let mut sums = records.reduce_by_key_in(|a, b| a + b, 4).collect().unwrap();
            sums.sort_unstable();
            assert_eq!(sums, expect.clone().into_iter().collect::<Vec<_>>(), "{of} keys, budget {budget}");
            let keys = records.keys().distinct_in(2).collect().unwrap();
            assert_eq!(keys.len(), expect.len(), "{of} keys, budget {budget}");
            assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), expect.into_keys().collect());
        }
    }
}

#[test]
fn values_of_a_key_are_reduced_in_their_order_and_equally_on_any_number_of_threads() {
    let words = |threads: &str| {
        let sc = context(threads);
        let records = sc.range(0..30_000, 2).map(|i| (i % 14_000, i.to_string()));
        records.reduce_by_key_in(|a, b| a + "," + &b, 3).collect().unwrap()
    };
    let one = words("local[1]");
    assert_eq!(one.len(), 14_000);
    // The first partition has 0 to 14,999, the second the rest.
    assert!(one.contains(&(0, "0,14000,28000".into())) && one.contains(&(5, "5,14005,28005".into())));
    assert!(one.contains(&(2_000, "2000,16000".into())));
    assert_eq!(words("local[4]"), one, "in the same order");
}
