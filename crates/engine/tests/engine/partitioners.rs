//! Partitioners as values: where keys go, what is equal, what is refused.
use crate::common::*;
use winterbourne_engine::{
    Error, HashPartitioner, KeyPartitioner, Order, RangePartitioner, Rdd, SparkContext, TaskCause,
};

/// Key k to partition k mod n.
#[derive(PartialEq, Clone)]
struct Modulo(usize);
impl KeyPartitioner<u64> for Modulo {
    fn num_partitions(&self) -> usize {
        self.0
    }
    fn partition(&self, key: &u64) -> usize {
        (*key % self.0 as u64) as usize
    }
}
/// The same, but not the same type.
#[derive(PartialEq)]
struct Remainder(usize);
impl KeyPartitioner<u64> for Remainder {
    fn num_partitions(&self) -> usize {
        self.0
    }
    fn partition(&self, key: &u64) -> usize {
        Modulo(self.0).partition(key)
    }
}
fn pairs(sc: &SparkContext, partitions: usize) -> Rdd<(u64, u64)> {
    sc.range(0..40, partitions).map(|x| (x, x))
}
/// How many tasks counting takes, with everything below computed before.
fn tasks(rdd: &Rdd<(u64, u64)>) -> u64 {
    let counted = || rdd.spark_context().counts().tasks;
    let before = counted();
    assert!(rdd.count().is_ok());
    counted() - before
}

#[test]
fn spread_alike_is_not_shuffled() {
    let sc = threads(2);
    let spread = pairs(&sc, 4).partition_by(Modulo(3));
    spread.count().unwrap();
    let sum = |r: Rdd<(u64, (u64, u64))>| r.map_values(|(a, b)| a + b);
    let other = pairs(&sc, 2).partition_by(Modulo(3));
    other.count().unwrap();
    for (name, rdd, expect) in [
        ("the same", spread.partition_by(Modulo(3)), 3),
        ("an equal one", spread.reduce_by_key_in(|a, _| a, Modulo(3)), 3),
        ("by itself", spread.reduce_by_key(|a, _| a), 3),
        ("as another", spread.reduce_by_key_in(|a, _| a, other.partitioner().unwrap().clone()), 3),
        ("both sides", sum(spread.join(&other)), 3),
        ("a union", spread.union(&other).reduce_by_key(|a, _| a), 3),
        ("through flat_map_values", spread.flat_map_values(|v| [v]).reduce_by_key(|a, _| a), 3),
        ("another number", spread.partition_by(Modulo(4)), 3 + 4),
        ("by hash", spread.partition_by(3), 3 + 3),
        ("by hash before", pairs(&sc, 4).partition_by(3).partition_by(Modulo(3)), 4 + 3 + 3),
        ("of another type", spread.partition_by(Remainder(3)), 3 + 3),
        ("the keys may have changed", spread.map(|e| e).reduce_by_key(|a, _| a), 3 + 3),
    ] {
        assert_eq!(tasks(&rdd), expect, "{name}");
    }
    assert_eq!(spread.partition_by(Modulo(3)).id(), spread.id());
    assert_eq!(spread.keys().partitioner().is_none(), spread.map_values(|v| v).partitioner().is_some());
}
#[test]
fn a_number_is_a_hash_partitioner() {
    let sc = threads(1);
    let (by_number, by_value) = (pairs(&sc, 4).partition_by(3), pairs(&sc, 4).partition_by(HashPartitioner::new(3)));
    assert!(by_number.partitioner() == by_value.partitioner());
    assert_eq!(by_number.glom().collect().unwrap(), by_value.glom().collect().unwrap());
    for key in 0..40u64 {
        let p = 3.partition(&key);
        assert_eq!(p, KeyPartitioner::partition(by_number.partitioner().unwrap(), &key));
        assert!(by_number.glom().collect().unwrap()[p].contains(&(key, key)));
    }
}
#[test]
fn the_widest_partitioner_that_is_wide_enough_is_kept() {
    let sc = threads(2);
    let by = |n| pairs(&sc, 3).partition_by(Modulo(n));
    for (name, joined, expect, kept) in [
        ("seven of two", by(7).join(&pairs(&sc, 2)), 7, true),
        ("on the right", pairs(&sc, 2).join(&by(7)), 7, true),
        ("two of nine", by(2).join(&pairs(&sc, 9)), 2, true),
        ("two of thirty", by(2).join(&pairs(&sc, 30)), 30, false),
        ("the wider of two", by(3).join(&by(5)), 5, true),
        ("a wider one by hash", by(3).join(&pairs(&sc, 3).partition_by(5)), 5, false),
        ("the first of equals", by(5).join(&pairs(&sc, 3).partition_by(5)), 5, true),
        ("the first of equals, by hash", pairs(&sc, 3).partition_by(5).join(&by(5)), 5, false),
    ] {
        assert_eq!(joined.num_partitions().unwrap(), expect, "{name}");
        let by_us = joined.partitioner().is_some_and(|p| *p == KeyPartitioner::<u64>::erased(Modulo(expect)));
        assert_eq!(by_us, kept, "{name}");
        assert_eq!(joined.count().unwrap(), 40, "{name}");
    }
    // Behind an input that cannot be listed the error is that of the action.
    let lost = sc.text_file("/no/such/file", 2).map(|line| (line.len() as u64, 0u64));
    let e = by(2).join(&lost).count().unwrap_err();
    assert!(matches!(e, Error::NoInput { .. }), "{e}");
}
#[test]
fn ranges_are_as_many_as_keys_allow() {
    let sc = threads(2);
    let new = |keys: Vec<u64>, n| {
        let rdd = sc.parallelize(keys, 3).map(|k| (k, ()));
        RangePartitioner::new(n, &rdd, Order::Ascending).unwrap().num_partitions()
    };
    let jobs = sc.counts().jobs;
    let some = [(vec![], 3, 1), (vec![7; 10], 3, 1), (vec![1, 2, 1, 2], 5, 2), ((0..100).collect(), 4, 4)];
    for (keys, n, expect) in some {
        assert_eq!(new(keys.clone(), n), expect, "{keys:?} over {n}");
    }
    assert_eq!(sc.counts().jobs - jobs, 4, "each looked at its keys");
    let none = sc.empty_rdd::<(u64, ())>();
    assert_eq!(RangePartitioner::new(9, &none, Order::Ascending).unwrap().num_partitions(), 1);
    // Even over many more keys than are sampled, in partitions of unequal size.
    let many =
        sc.range(0..200_000, 2).union(&sc.range(200_000..201_000, 2)).map(|x| (x.wrapping_mul(7919) % 200_003, ()));
    let ranges = RangePartitioner::new(8, &many, Order::Descending).unwrap();
    assert!(ranges == RangePartitioner::new(8, &many, Order::Descending).unwrap(), "the same sample each time");
    let in_order = sc.range(0..200_000, 2).map(|x| (x, ()));
    let of_those = RangePartitioner::new(8, &in_order, Order::Ascending).unwrap();
    for (spread, by) in [(&many, ranges), (&in_order, of_those)] {
        let sizes: Vec<usize> = spread.partition_by(by).glom().collect().unwrap().iter().map(Vec::len).collect();
        assert!(sizes.iter().all(|n| (12_500..50_000).contains(n)), "{sizes:?}");
    }
}
#[test]
fn what_a_partitioner_says_wrongly_is_an_error() {
    #[derive(PartialEq)]
    struct Says(usize);
    impl KeyPartitioner<u64> for Says {
        fn num_partitions(&self) -> usize {
            4
        }
        fn partition(&self, key: &u64) -> usize {
            assert_ne!(*key, 39, "no");
            self.0
        }
    }
    let sc = threads(2);
    let pairs = pairs(&sc, 2).filter(|e| e.0 != 39);
    assert_eq!(pairs.partition_by(Says(3)).glom().collect().unwrap()[3].len(), 39);
    let beyond = [
        (pairs.partition_by(Says(4)), "partition_by", line!()),
        (pairs.reduce_by_key_in(|a, _| a, Says(4)), "reduce_by_key", line!()),
        (pairs.group_by_key_in(Says(4)).map_values(|_| 0), "group_by_key", line!()),
        (pairs.join_in(&pairs, Says(4)).map_values(|_| 0), "join", line!()),
        (pairs.repartition_and_sort_within_partitions(Says(4)), "repartition_and_sort_within_partitions", line!()),
    ];
    for (rdd, name, line) in beyond {
        let e = rdd.count().unwrap_err();
        let text = e.to_string();
        assert!(text.contains("into partition 4, of 4") && text.contains(&format!("`{name}`")), "{text}");
        assert!(text.contains(&format!("partitioners.rs:{line}:")), "{text}");
    }
    let e = self::pairs(&sc, 2).partition_by(Says(3)).count().unwrap_err();
    assert!(matches!(&e, Error::Task { cause: TaskCause::Panic(text), .. } if text.contains("no")), "{e}");
    assert!(e.to_string().contains(&format!("partitioners.rs:{}:", line!() - 2)), "{e}");
}
#[test]
fn a_partitioner_of_other_keys_is_refused() {
    let sc = threads(1);
    let by = pairs(&sc, 2).partition_by(Modulo(2)).partitioner().unwrap().clone();
    let words = sc.parallelize(["a".to_string()], 1).map(|w| (w, 1));
    let e = words.reduce_by_key_in(|a, b| a + b, by).collect().unwrap_err();
    assert!(e.to_string().contains("partitioner of another type of keys"), "{e}");
}
#[test]
fn no_partitions_are_refused() {
    let sc = threads(1);
    let pairs = pairs(&sc, 2);
    let keep = |r: Rdd<(u64, u64)>| r;
    for (name, rdd) in [
        ("partition_by", pairs.partition_by(0)),
        ("partition_by", pairs.partition_by(Modulo(0))),
        ("combine_by_key", pairs.combine_by_key_in(|v| v, |_, _| (), |_, _| (), 0)),
        ("fold_by_key", pairs.fold_by_key_in(0, |a, _| a, 0)),
        ("aggregate_by_key", pairs.aggregate_by_key_in(0, |a, _| a, |a, _| a, 0)),
        ("distinct", keep(pairs.distinct_in(0))),
        ("sort_by_key", pairs.sort_by_key_in(Order::Ascending, 0)),
        ("sort_by", pairs.sort_by_in(|e| e.1, Order::Ascending, 0)),
        ("repartition_and_sort_within_partitions", pairs.repartition_and_sort_within_partitions(0)),
        ("group_by", pairs.group_by_in(|e| e.0, 0).map_values(|_| 0)),
        ("cogroup", pairs.cogroup3_in(&pairs, &pairs, 0).map_values(|_| 0)),
    ] {
        let e = rdd.count().unwrap_err();
        assert!(matches!(&e, Error::Partitions { operator, asked: 0, .. } if *operator == name), "{name}: {e}");
        assert!(e.to_string().contains("partitioners.rs:"), "{e}");
    }
}
