//! By key from outside: zeros, what is done in place, what keeps its partitioner.
use crate::common::*;
use winterbourne_engine::{Rdd, SparkContext, Total};

fn tasks(sc: &SparkContext, f: impl FnOnce()) -> u64 {
    let before = sc.counts().tasks;
    f();
    sc.counts().tasks - before
}

#[test]
fn a_zero_enters_once_for_each_partition_that_has_the_key() {
    let got = everywhere(2, |sc| {
        let pairs = sc.parallelize([(1, 1), (1, 2), (2, 3)], 2);
        let (fold, add) = (|a: i32, b: i32| a + b, |n: String, v: i32| n + &v.to_string());
        let join = |a: String, b: String| a + &b;
        let spread = pairs.partition_by(2);
        Ok((
            sorted(pairs.fold_by_key(10, fold).collect()?),
            sorted(pairs.aggregate_by_key_in("z".into(), add, join, 3).collect()?),
            sorted(spread.fold_by_key(10, fold).collect()?),
            sorted(spread.aggregate_by_key("z".into(), add, join).collect()?),
        ))
    });
    let text = |one: &str, two: &str| vec![(1, one.to_string()), (2, two.to_string())];
    assert_eq!(got, (vec![(1, 23), (2, 13)], text("z1z2", "z3"), vec![(1, 13), (2, 13)], text("z12", "z3")));
}
#[test]
fn distinct_of_what_is_spread_is_done_in_place() {
    let sc = threads(2);
    let pairs = sc.range(0..100, 4).map(|x| (x % 5, x % 3));
    let spread = pairs.partition_by(3);
    spread.count().unwrap();
    for (name, rdd, expect, kept) in [
        ("as spread", spread.distinct(), 3, true),
        ("into as many", spread.distinct_in(3), 3, true),
        ("into another number", spread.distinct_in(2), 3 + 2, false),
        ("not spread", pairs.distinct(), 4 + 4, false),
        ("not spread, into three", pairs.distinct_in(3), 4 + 3, false),
    ] {
        assert_eq!(tasks(&sc, || assert_eq!(rdd.count().unwrap(), 15, "{name}")), expect, "{name}");
        assert_eq!(rdd.partitioner().is_some(), kept, "{name}");
    }
}
#[test]
fn partitions_unless_the_caller_says() {
    let configured = SparkContext::new(conf("local").set("spark.default.parallelism", 7)).unwrap();
    let counts = |sc: &SparkContext| {
        let r = sc.range(0..10, 3);
        let none = sc.empty_rdd::<u64>();
        [
            r.group_by(|x| x % 2).num_partitions(),
            r.key_by(|x| x % 2).fold_by_key(0, |a, _| a).num_partitions(),
            r.key_by(|x| x % 2).combine_by_key(|v| v, |_, _| (), |_, _| ()).num_partitions(),
            r.distinct().num_partitions(),
            r.sort_by(|x| *x).num_partitions(),
            none.distinct().num_partitions(),
            none.group_by(|x| *x).num_partitions(),
        ]
        .map(|n| n.unwrap())
    };
    assert_eq!(counts(&threads(2)), [3, 3, 3, 3, 3, 1, 1]);
    assert_eq!(counts(&configured), [7, 7, 7, 3, 3, 1, 7], "distinct and sorts do not look there");
}
#[test]
fn floats_are_keys_when_wrapped() {
    let got = everywhere(2, |sc| {
        let numbers = sc.parallelize([0.0, -0.0, f64::NAN, -f64::NAN, 0.0, -0.0, 1.5], 3).map(Total);
        let counts = numbers.key_by(|x| *x).map_values(|_| 1).reduce_by_key(|a, b| a + b);
        Ok((sorted(numbers.distinct().collect()?), sorted(counts.collect()?)))
    });
    let expect = [-0.0, 0.0, 1.5, f64::NAN].map(Total);
    assert_eq!(got, (expect.to_vec(), expect.into_iter().zip([2, 2, 1, 2]).collect()));
}
#[test]
fn an_endless_value_is_taken_from() {
    let sc = threads(2);
    let endless: Rdd<(u8, u64)> = sc.parallelize([(1, 10), (2, 20)], 2).flat_map_values(|v| v..);
    assert_eq!(endless.take(3).unwrap(), [(1, 10), (1, 11), (1, 12)]);
    let stop = sc.canceller();
    let e = endless.foreach(move |_| stop.cancel_all_jobs()).unwrap_err();
    assert!(matches!(e, winterbourne_engine::Error::Cancelled { .. }), "{e}");
}
#[test]
fn joined_records_come_in_the_order_of_the_right_side() {
    let sc = threads(3);
    let left = sc.parallelize([(1, 'a'), (2, 'b'), (1, 'c')], 2).partition_by(1);
    let right = sc.parallelize([(2, 20), (1, 10), (3, 30), (1, 11)], 3);
    let joined = left.full_outer_join_in(&right, 1).collect().unwrap();
    let expect = [
        (2, (Some('b'), Some(20))),
        (1, (Some('a'), Some(10))),
        (1, (Some('c'), Some(10))),
        (3, (None, Some(30))),
        (1, (Some('a'), Some(11))),
        (1, (Some('c'), Some(11))),
    ];
    assert_eq!(joined, expect);
    // More partners than are made at once, and more than fit into a chunk.
    for n in [65, 100, 3000] {
        let many = sc.range(0..n, 3).map(|x| ((), x));
        let ones = sc.range(0..7, 2).map(|x| ((), x));
        let twin: Vec<_> = (0..7).flat_map(|w| (0..n).map(move |v| ((), (v, w)))).collect();
        assert_eq!(many.join_in(&ones, 1).collect().unwrap(), twin);
        let outer = many.left_outer_join_in(&ones, 1).count().unwrap();
        assert_eq!(outer, 7 * n);
    }
}
