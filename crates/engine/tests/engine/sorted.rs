//! Sorting from outside: what runs when, what is left out, what goes wrong.
use crate::common::*;
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use winterbourne_engine::{Error, Order, RangePartitioner, Rdd, SparkContext, TaskCause, Text};

/// Pairs of 4 partitions in no order, and how often one was computed.
fn counted(sc: &SparkContext) -> (Rdd<(u64, u64)>, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let c = calls.clone();
    let pairs = sc.range(0..100, 4).map(move |x| {
        c.fetch_add(1, SeqCst);
        (x * 37 % 100, x)
    });
    (pairs, calls)
}
fn tasks(rdd: &Rdd<(u64, u64)>) -> u64 {
    let counted = || rdd.spark_context().counts().tasks;
    let before = counted();
    assert!(rdd.count().is_ok());
    counted() - before
}

#[test]
fn a_sort_runs_nothing_before_its_action_and_its_parent_once() {
    let sc = threads(2);
    let (pairs, calls) = counted(&sc);
    let sorted = pairs.sort_by_key();
    let whole = pairs.sort_by(|e| e.1);
    assert_eq!((sc.counts().jobs, calls.load(SeqCst)), (0, 0));
    assert_eq!(sorted.keys().collect().unwrap(), (0..100).collect::<Vec<_>>());
    assert_eq!((sc.counts().jobs, sc.counts().tasks, calls.load(SeqCst)), (1, 4 + 4, 100));
    assert_eq!(sorted.take(2).unwrap(), [(0, 0), (1, 73)]);
    assert_eq!((sc.counts().tasks, calls.load(SeqCst)), (8 + 1, 100), "what map tasks left is read again");
    assert_eq!(whole.first().unwrap(), (0, 0));
}
#[test]
fn what_is_in_ranges_is_not_shuffled_again() {
    let sc = threads(2);
    let (pairs, _) = counted(&sc);
    let sorted = pairs.sort_by_key();
    sorted.count().unwrap();
    let left = sorted.filter(|e| e.1 % 2 == 0).map_values(|v| v + 1);
    let sum = |r: Rdd<(u64, (u64, u64))>| r.map_values(|(a, b)| a + b);
    for (name, rdd, expect) in [
        ("a sort", left.sort_by_key(), 4),
        ("into as many", left.sort_by_key_in(Order::Ascending, 4), 4),
        ("sums", left.reduce_by_key(|a, b| a + b), 4),
        ("a join with itself", sum(left.join(&sorted)), 4),
        ("a join with others, which go to the ranges", sum(left.join(&pairs)), 4 + 4),
        ("the other order", left.sort_by_key_in(Order::Descending, 4), 4 + 4),
        ("another number", left.sort_by_key_in(Order::Ascending, 3), 4 + 3),
        ("keys that may have changed", left.map(|e| e).sort_by_key(), 4 + 4),
        ("by hash", left.partition_by(4), 4 + 4),
    ] {
        assert_eq!(tasks(&rdd), expect, "{name}");
    }
    // Aggregation leaves no order within a partition; a sort in place makes one.
    let again = left.reduce_by_key(|a, b| a + b).sort_by_key();
    assert!(again.keys().collect().unwrap().is_sorted());
    // Nothing has run yet of the sort that tells where keys go: its map tasks come first.
    let fresh = pairs.sort_by_key();
    assert_eq!(tasks(&pairs.partition_by(fresh.partitioner().unwrap().clone())), 4 + 4 + 4);
    assert_eq!(tasks(&fresh), 4);
}
#[test]
fn an_order_is_known_for_what_it_is() {
    let sc = threads(2);
    let (pairs, _) = counted(&sc);
    let keys = |rdd: &Rdd<(u64, u64)>| rdd.keys().collect().unwrap();
    let (up, down): (Vec<u64>, Vec<u64>) = ((0..100).collect(), (0..100).rev().collect());
    let descending = pairs.sort_by_key_in(Order::Descending, 4);
    let by_ranges = pairs.partition_by(RangePartitioner::new(4, &pairs, Order::Descending).unwrap());
    for spread in [descending, by_ranges] {
        assert!(spread.count().is_ok());
        let (same, other) = (spread.sort_by_key_in(Order::Descending, 4), spread.sort_by_key_in(Order::Ascending, 4));
        assert_eq!((tasks(&same), tasks(&other)), (4, 4 + 4), "only the same order is there already");
        assert_eq!((keys(&same), keys(&other)), (down.clone(), up.clone()));
    }
}
#[test]
fn two_sorts_spread_keys_each_in_its_own_way() {
    let sc = threads(2);
    let few = sc.range(0..10, 2).map(|x| (x, x)).sort_by_key_in(Order::Ascending, 4);
    let many = sc.range(0..100, 2).map(|x| (x, x)).sort_by_key_in(Order::Ascending, 4);
    assert_eq!((few.count().unwrap(), many.count().unwrap()), (10, 100));
    let met = few.join(&many).map_values(|(a, b)| a + b);
    assert_eq!(sorted(met.collect().unwrap()), (0..10).map(|x| (x, 2 * x)).collect::<Vec<_>>());
    assert_eq!(tasks(&few.union(&many)), 4 + 4, "not partition by partition");
    assert_eq!(tasks(&few.union(&few.filter(|e| e.0 > 5))), 4);
}
#[test]
fn partitions_that_cannot_hold_the_keys_are_not_computed() {
    let sc = threads(2);
    enum How {
        Sorted,
        InRanges,
    }
    use Order::{Ascending, Descending};
    let all =
        [(How::Sorted, Ascending), (How::Sorted, Descending), (How::InRanges, Ascending), (How::InRanges, Descending)];
    for (how, order) in all {
        let seen = Arc::new(AtomicU64::new(0));
        let s = seen.clone();
        let (pairs, _) = counted(&sc);
        let spread = match how {
            How::Sorted => pairs.sort_by_key_in(order, 10),
            How::InRanges => pairs.partition_by(RangePartitioner::new(10, &pairs, order).unwrap()),
        };
        let sorted = spread.map_values(move |v| {
            s.fetch_add(1, SeqCst);
            v
        });
        for ((low, high), expect, looked_at) in [
            ((13, 17), 5, 10),
            ((5, 5), 1, 10),
            ((18, 21), 4, 20),
            ((99, 1000), 1, 10),
            ((30, 20), 0, 20),
            ((0, 99), 100, 100),
        ] {
            seen.store(0, SeqCst);
            let few = sorted.filter_by_range(low, high);
            assert_eq!((few.count().unwrap(), few.num_partitions().unwrap()), (expect, 10), "{low}..={high}");
            assert!(seen.load(SeqCst) <= looked_at, "{low}..={high} {order:?}: {}", seen.load(SeqCst));
            assert!(few.partitioner() == sorted.partitioner());
        }
    }
}
#[test]
fn sorting_is_the_same_everywhere() {
    let got = everywhere(2, |sc| {
        let (pairs, _) = counted(sc);
        let sorted = pairs.map(|(k, v)| (k % 7, v)).sort_by_key_in(Order::Descending, 5);
        let few = sorted.filter_by_range(2, 3);
        let joined = sorted.join_in(&pairs, sorted.partitioner().unwrap().clone());
        let within = pairs.repartition_and_sort_within_partitions(3);
        let ranges = RangePartitioner::new(3, &pairs, Order::Ascending)?;
        Ok((
            sorted.glom().collect()?,
            few.collect()?,
            joined.glom().collect()?,
            within.glom().collect()?,
            pairs.partition_by(ranges).glom().collect()?,
        ))
    });
    let mut expect: Vec<(u64, u64)> = (0..100).map(|x| (x * 37 % 100 % 7, x)).collect();
    expect.sort_by_key(|e| std::cmp::Reverse(e.0));
    assert_eq!(got.0.concat(), expect);
    assert_eq!(got.2.concat().len(), expect.len());
}
#[test]
fn few_records_or_none_in_many_partitions() {
    let sc = threads(2);
    let sizes = |keys: Vec<u8>, from: usize, n: usize| {
        let sorted = sc.parallelize(keys, from).map(|k| (k, ())).sort_by_key_in(Order::Ascending, n);
        sorted.glom().collect().unwrap().iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(sizes(vec![], 2, 3), [0, 0, 0]);
    assert_eq!(sizes(vec![5], 3, 3), [0, 0, 1]);
    assert_eq!(sizes(vec![5, 4], 3, 4), [0, 1, 0, 1]);
    assert_eq!(sizes(vec![5; 9], 3, 3), [9, 0, 0]);
    assert_eq!(sizes(vec![1, 1, 1, 1, 2, 3], 2, 3), [4, 0, 2]);
    let none = sc.empty_rdd::<(u8, u8)>().sort_by_key();
    assert_eq!((none.num_partitions().unwrap(), none.count().unwrap()), (1, 0));
    assert_eq!(none.filter_by_range(1, 2).count().unwrap(), 0);
}
#[test]
fn nothing_spread_by_a_sort_still_lets_it_run_first() {
    let sc = threads(2);
    let sorted = sc.parallelize([3, 1, 2], 1).map(|k| (k, ())).sort_by_key_in(Order::Ascending, 3);
    let none = sc.empty_rdd::<(i32, ())>().partition_by(sorted.partitioner().unwrap().clone());
    assert_eq!(none.filter_by_range(1, 2).count().unwrap(), 0);
    assert_eq!(sorted.keys().glom().collect().unwrap(), [[1], [2], [3]]);
}
#[test]
fn an_order_that_panics_or_is_none_is_survived() {
    #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Odd(u64, bool);
    impl Ord for Odd {
        fn cmp(&self, other: &Self) -> Ordering {
            assert!(self.1, "no order");
            // Says at random, but says the same again.
            let mixed = (self.0 * 31 + other.0 * 17).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60;
            if mixed < 8 { Ordering::Less } else { Ordering::Greater }
        }
    }
    impl PartialOrd for Odd {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }
    let sc = threads(2);
    let sorted = sc.range(0..9, 2).map(|x| (Odd(x, false), x)).sort_by_key();
    let e = sorted.count().unwrap_err();
    assert!(matches!(&e, Error::Task { cause: TaskCause::Panic(text), .. } if text.contains("no order")), "{e}");
    assert!(e.to_string().contains(&format!("sorted.rs:{}:", line!() - 3)), "{e}");
    for n in 0..40 {
        // Either the standard library notices, or there is some result, of which nothing can be said.
        if let Err(e) = sc.range(0..n * 9, 4).map(|x| (Odd(x, true), [x; 9])).sort_by_key().count() {
            assert!(matches!(e, Error::Task { .. }), "{e}");
        }
    }
}
#[test]
fn sorted_keys_hold_no_read_buffer() {
    let sc = threads(1);
    let buffer = Arc::new("x".repeat(1 << 16));
    let texts: Vec<Text> = (0..9).map(|i| Text::slice(&buffer, i..i + 30)).collect();
    let sorted = sc.parallelize(texts, 2).map(|t| (t, ())).sort_by_key();
    assert!(sorted.keys().collect().unwrap().iter().all(Text::is_detached));
}
#[test]
fn a_lineage_of_many_sorts_is_dropped() {
    let sc = threads(1);
    let mut sorted = sc.range(0..3, 1).map(|x| (x, x)).sort_by_key();
    for _ in 0..20_000 {
        sorted = sorted.map(|e| e).sort_by_key();
    }
    drop(sorted);
}
