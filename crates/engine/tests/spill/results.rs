//! What comes out.
use crate::{Dir, context};
use std::collections::BTreeMap;
use winterbourne_engine::{Order, Rdd, SparkContext};

/// Records that are in no order: a key of so many, and a value that says which record it is.
fn record(i: u64, keys: u64) -> (u64, String) {
    (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys, format!("value {i:>20}"))
}
const N: u64 = 60_000;
/// About 5 MB.
fn data(sc: &SparkContext, keys: u64) -> Rdd<(u64, String)> {
    sc.range(0..N, 7).map(move |i| record(i, keys))
}
fn twin(keys: u64) -> Vec<(u64, String)> {
    (0..N).map(|i| record(i, keys)).collect()
}
fn groups(keys: u64) -> BTreeMap<u64, Vec<String>> {
    let mut all: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    twin(keys).into_iter().for_each(|(k, v)| all.entry(k).or_default().push(v));
    all
}
/// Runs with a megabyte: something was spilled, and nothing is left.
fn spilled<R>(run: impl Fn(&SparkContext) -> R) -> R {
    let dir = Dir::new();
    let sc = context("local[2]", "1m", &dir);
    let result = run(&sc);
    let status = sc.memory_status();
    assert!(status.spills > 0 && status.spilled_bytes > 0, "{status}");
    assert_eq!((status.used(), dir.files()), (0, 0), "{status}");
    result
}
fn by_key<K: Ord, V>(all: Vec<(K, V)>) -> BTreeMap<K, V> {
    let n = all.len();
    let map: BTreeMap<K, V> = all.into_iter().collect();
    assert_eq!(map.len(), n, "a key came twice");
    map
}

#[test]
fn groups_keep_the_order_of_their_values() {
    for keys in [100, 5_000] {
        assert_eq!(by_key(spilled(|sc| data(sc, keys).group_by_key().collect().expect("fits a task"))), groups(keys));
        // Spread before: grouped in place.
        let in_place = |sc: &SparkContext| data(sc, keys).partition_by(3).group_by_key_in(3).collect().expect("fits");
        assert_eq!(by_key(spilled(in_place)), groups(keys));
    }
}
#[test]
fn accumulators_are_merged_in_order() {
    let lists = |sc: &SparkContext| {
        let lists =
            data(sc, 3_000).combine_by_key(|v| vec![v], |all, v| all.push(v), |all, mut more| all.append(&mut more));
        lists.collect().expect("runs")
    };
    assert_eq!(by_key(spilled(lists)), groups(3_000));
    let counts =
        |sc: &SparkContext| data(sc, N).map_values(|_| 1u64).reduce_by_key(|a, b| a + b).collect().expect("runs");
    assert_eq!(
        by_key(spilled(counts)),
        twin(N).into_iter().fold(BTreeMap::new(), |mut all, (k, _)| {
            *all.entry(k).or_default() += 1;
            all
        })
    );
    // Keys that own memory, and spread before.
    let letters = |sc: &SparkContext| {
        let words = data(sc, N).map(|(k, v)| (format!("{v}{k}"), 1u64)).partition_by(2);
        words.aggregate_by_key_in(0, |n, m| n + m, |n, m| n + m, 2).collect().expect("runs")
    };
    assert!(by_key(spilled(letters)).into_values().eq((0..N).map(|_| 1)));
}
#[test]
fn distinct_records_are_there_once() {
    let twice = |sc: &SparkContext| {
        let all = data(sc, N).map(|(_, v)| v);
        let mut once = all.union(&all).distinct().collect().expect("runs");
        once.sort();
        once
    };
    let mut expect: Vec<String> = twin(N).into_iter().map(|e| e.1).collect();
    expect.sort();
    assert_eq!(spilled(twice), expect);
}
#[test]
fn sorting_is_stable_in_both_orders() {
    for order in [Order::Ascending, Order::Descending] {
        let mut expect = twin(500);
        expect.sort_by(|a, b| order.compare(&a.0, &b.0));
        for partitions in [1, 4] {
            let parts = spilled(|sc| data(sc, 500).sort_by_key_in(order, partitions).glom().collect().expect("runs"));
            assert_eq!(parts.concat(), expect);
            let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
            assert!(largest < (2 * N / partitions as u64 + 1) as usize, "{largest} of {N} in one of {partitions}");
        }
    }
    let mut expect = twin(N);
    expect.sort_by(|a, b| b.1.cmp(&a.1));
    assert_eq!(
        spilled(|sc| data(sc, N).sort_by_in(|e| e.1.clone(), Order::Descending, 3).collect().expect("runs")),
        expect
    );
}
#[test]
fn partitions_are_sorted_within() {
    let parts = spilled(|sc| data(sc, 500).repartition_and_sort_within_partitions(3).glom().collect().expect("runs"));
    assert!(parts.iter().all(|part| part.is_sorted_by_key(|e| e.0)));
    let mut expect = twin(500);
    expect.sort_by_key(|e| e.0);
    let mut all = parts.concat();
    all.sort_by_key(|e| e.0);
    assert_eq!(all, expect, "equal keys in the order in which they came");
}
#[test]
fn records_keep_their_order_through_a_shuffle() {
    let spread = spilled(|sc| data(sc, 100).partition_by(1).collect().expect("runs"));
    assert_eq!(spread, twin(100));
    let mut dealt = spilled(|sc| data(sc, N).repartition(5).collect().expect("runs"));
    dealt.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(dealt, twin(N));
}
/// Both sides larger than memory, keys on one side only, many values a key.
#[test]
fn joins_find_all_partners() {
    let sides = |sc: &SparkContext| {
        let left = data(sc, 30_000);
        let right = sc.range(0..20_000, 3).map(|i| (i * 2, i));
        (left, right)
    };
    let left = groups(30_000);
    let has = |k: &u64| k.is_multiple_of(2) && *k < 40_000;
    type Joined = Vec<(u64, (Option<String>, Option<u64>))>;
    let sorted = |mut all: Joined| {
        all.sort();
        all
    };
    let mut expect: Joined = Vec::new();
    for (k, values) in &left {
        expect.extend(values.iter().map(|v| (*k, (Some(v.clone()), has(k).then_some(k / 2)))));
    }
    expect.extend((0..20_000).map(|i| i * 2).filter(|k| !left.contains_key(k)).map(|k| (k, (None, Some(k / 2)))));
    let full = spilled(|sc| {
        let (left, right) = sides(sc);
        left.full_outer_join(&right).collect().expect("runs")
    });
    assert_eq!(sorted(full), sorted(expect.clone()));
    let inner = spilled(|sc| {
        let (left, right) = sides(sc);
        left.join(&right).map_values(|(v, w)| (Some(v), Some(w))).collect().expect("runs")
    });
    expect.retain(|(_, (v, w))| v.is_some() && w.is_some());
    assert_eq!(sorted(inner), sorted(expect.clone()));
    // The other way round, the larger side is read past.
    let turned = spilled(|sc| {
        let (left, right) = sides(sc);
        right.join(&left).map_values(|(w, v)| (Some(v), Some(w))).collect().expect("runs")
    });
    assert_eq!(sorted(turned), sorted(expect));
    let without = spilled(|sc| {
        let (left, right) = sides(sc);
        left.subtract_by_key(&right).collect().expect("runs")
    });
    assert_eq!(without.len(), left.iter().filter(|(k, _)| !has(k)).map(|(_, v)| v.len()).sum::<usize>());
}
#[test]
fn cogroups_hold_both_sides() {
    let both = spilled(|sc| {
        let right = sc.range(0..30_000, 3).map(|i| (i % 10_000, i));
        data(sc, 6_000).cogroup(&right).collect().expect("runs")
    });
    let left = groups(6_000);
    let both = by_key(both);
    assert_eq!(both.len(), 10_000);
    for (k, (values, numbers)) in both {
        assert_eq!(values, left.get(&k).cloned().unwrap_or_default());
        assert_eq!(numbers, [k, k + 10_000, k + 20_000]);
    }
}
/// One key has half of all: it is more than a task may hold, and can be gone through.
#[test]
fn a_group_larger_than_memory_can_be_gone_through() {
    let skewed = |sc: &SparkContext| {
        sc.range(0..N, 7).map(|i| (if i % 2 == 0 { 0 } else { i % 1_000 }, format!("value {i:>40}")))
    };
    let sums = spilled(|sc| {
        let sums = skewed(sc).flat_map_groups(|k, values| {
            let (mut n, mut is_in_order, mut last) = (0u64, true, String::new());
            for v in values {
                n += 1;
                is_in_order &= last < v;
                last = v;
            }
            [(*k, (n, is_in_order))]
        });
        sums.collect().expect("one value at a time")
    });
    let sums = by_key(sums);
    assert_eq!((sums.len(), sums[&0], sums[&1]), (501, (N / 2, true), (N / 1_000, true)));
    // Who stops early leaves the rest.
    let firsts =
        spilled(|sc| skewed(sc).flat_map_groups(|k, values| values.next().map(|v| (*k, v))).collect().expect("runs"));
    assert_eq!(by_key(firsts)[&0], format!("value {:>40}", 0));
}
/// A shuffle is read by two jobs; its outputs are on disk as long as its lineage lives.
#[test]
fn what_was_spilled_is_read_again() {
    let dir = Dir::new();
    let sc = context("local[2]", "1m", &dir);
    let spread = data(&sc, 100).partition_by(4);
    assert_eq!(spread.count().expect("runs"), N);
    let files = dir.files();
    assert!(files > 0);
    assert_eq!(spread.map_values(|v| v.len()).values().sum().expect("runs"), 26 * N);
    assert_eq!(dir.files(), files, "nothing was shuffled again");
    drop(spread);
    assert_eq!((dir.files(), sc.memory_status().used()), (0, 0));
}
/// Cached blocks give way to tasks down to their share, and tasks to what is cached.
#[test]
fn cached_blocks_and_tasks_share_the_budget() {
    let dir = Dir::new();
    let sc = context("local[1]", "2m", &dir);
    let cached = sc.range(0..200_000, 20).cache();
    cached.count().expect("runs");
    let held = || sc.rdd_storage_info().iter().map(|i| i.memory_bytes).sum::<u64>();
    let before = held();
    assert_eq!(before, 1_600_000);
    let grouped = data(&sc, N).group_by_key();
    assert_eq!(grouped.count().expect("runs"), by_key(groups(N).into_iter().collect()).len() as u64);
    let after = held();
    assert!(after < before && after >= (1 << 20) - 80_000, "{after} of {before}: half of the budget is theirs");
    drop(grouped);
    assert_eq!(cached.count().expect("runs"), 200_000);
    assert_eq!(held(), before, "what is free is taken again");
}
