//! Cogroup and the joins against a dull twin: random records and partitions, spread already or not, in one process and
//! on two lanes.
use crate::common::*;
use proptest::prelude::*;
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};
use winterbourne_engine::{Error, Rdd, Result, SparkContext, Text};

type Pair = (u8, i32);
/// What an operator made, by its name; as text, so that one table holds all types.
type Row = (&'static str, String);
fn row<T: Ord + Debug>(name: &'static str, all: Vec<T>) -> Row {
    (name, format!("{:?}", sorted(all)))
}
fn some_or_none(values: &[i32]) -> Vec<Option<i32>> {
    if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
}

/// How the records of a side come to be where they are.
#[derive(Clone, Copy, Debug)]
enum Made {
    AsListed,
    /// Spread by key over so many partitions before.
    Spread(usize),
}
fn side(sc: &SparkContext, data: &[Pair], p: usize, made: Made) -> Rdd<Pair> {
    let listed = sc.parallelize(data.to_vec(), p);
    match made {
        Made::AsListed => listed,
        Made::Spread(n) => listed.partition_by(n),
    }
}

fn all_joins(a: &Rdd<Pair>, b: &Rdd<Pair>, n: usize) -> Result<Vec<Row>> {
    Ok(vec![
        row("cogroup", a.cogroup(b).collect()?),
        row("cogroup", a.cogroup_in(b, n).collect()?),
        row("join", a.join(b).collect()?),
        row("join", a.join_in(b, n).collect()?),
        row("left_outer_join", a.left_outer_join(b).collect()?),
        row("left_outer_join", a.left_outer_join_in(b, n).collect()?),
        row("right_outer_join", a.right_outer_join(b).collect()?),
        row("right_outer_join", a.right_outer_join_in(b, n).collect()?),
        row("full_outer_join", a.full_outer_join(b).collect()?),
        row("full_outer_join", a.full_outer_join_in(b, n).collect()?),
        row("subtract_by_key", a.subtract_by_key(b).collect()?),
        row("subtract_by_key", a.subtract_by_key_in(b, n).collect()?),
    ])
}
/// The same, dully. The order of the values of a key is that of the records, so groups are compared as they are.
fn all_joins_twin(a: &[Pair], b: &[Pair]) -> Vec<Row> {
    let mut groups: BTreeMap<u8, (Vec<i32>, Vec<i32>)> = BTreeMap::new();
    a.iter().for_each(|e| groups.entry(e.0).or_default().0.push(e.1));
    b.iter().for_each(|e| groups.entry(e.0).or_default().1.push(e.1));
    let (mut inner, mut left, mut right, mut full) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (k, (v, w)) in &groups {
        for v in some_or_none(v) {
            for w in some_or_none(w) {
                full.push((*k, (v, w)));
                left.extend(v.map(|v| (*k, (v, w))));
                right.extend(w.map(|w| (*k, (v, w))));
                inner.extend(v.zip(w).map(|both| (*k, both)));
            }
        }
    }
    let without: Vec<Pair> = a.iter().filter(|e| groups[&e.0].1.is_empty()).copied().collect();
    let twice = |name, row: Row| [(name, row.1.clone()), (name, row.1)];
    [
        twice("cogroup", row("", groups.into_iter().collect())),
        twice("join", row("", inner)),
        twice("left_outer_join", row("", left)),
        twice("right_outer_join", row("", right)),
        twice("full_outer_join", row("", full)),
        twice("subtract_by_key", row("", without)),
    ]
    .concat()
}

/// Few keys with many values, or many keys with few; now and then nothing.
fn records() -> impl Strategy<Value = Vec<Pair>> {
    let some = |keys, n| prop::collection::vec((0..keys, -50i32..50), n);
    prop_oneof![4 => some(6u8, 0..40), 2 => some(200u8, 0..300), 1 => some(1u8, 0..60), 1 => some(9u8, 0..1)]
}
fn made() -> impl Strategy<Value = Made> {
    prop_oneof![Just(Made::AsListed), (1usize..6).prop_map(Made::Spread)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]
    #[test]
    fn joins_equal_their_twin(
        (a, b) in (records(), records()),
        (p, q, n) in (1usize..9, 1usize..9, 1usize..6),
        (of_a, of_b) in (made(), made()),
        threads in 1usize..4,
    ) {
        let expect = all_joins_twin(&a, &b);
        let got = everywhere(threads, move |sc| all_joins(&side(sc, &a, p, of_a), &side(sc, &b, q, of_b), n));
        prop_assert_eq!(got, expect);
    }
    #[test]
    fn the_order_of_joined_records_does_not_depend_on_threads(
        (a, b) in (records(), records()),
        (p, q, n) in (1usize..9, 1usize..9, 1usize..6),
        of_b in made(),
    ) {
        let run = move |sc: &SparkContext| {
            let (a, b) = (side(sc, &a, p, Made::AsListed), side(sc, &b, q, of_b));
            Ok((a.cogroup_in(&b, n).collect()?, a.full_outer_join_in(&b, n).collect()?))
        };
        let alone = everywhere(1, run.clone());
        for n in [2, 3] {
            prop_assert_eq!(&run(&threads(n)).unwrap(), &alone);
        }
    }
}

#[test]
fn sides_without_records_or_without_partitions() {
    let all = everywhere(2, |sc| {
        let some = sc.parallelize(vec![(1u8, 10), (2, 20), (1, 11)], 3);
        let (none, nowhere) = (some.filter(|_| false), sc.empty_rdd());
        let mut rows = Vec::new();
        for empty in [&none, &nowhere, &none.partition_by(2), &nowhere.partition_by(2)] {
            rows.push((all_joins(&some, empty, 2)?, all_joins(empty, &some, 2)?, all_joins(empty, empty, 2)?));
        }
        let counts = [some.join(&nowhere), nowhere.join(&some), nowhere.join(&nowhere)].map(|r| r.num_partitions());
        Ok((rows, counts.map(|n| n.ok())))
    });
    let some = [(1, 10), (2, 20), (1, 11)];
    for row in all.0 {
        assert_eq!(row, (all_joins_twin(&some, &[]), all_joins_twin(&[], &some), all_joins_twin(&[], &[])));
    }
    assert_eq!(all.1, [Some(3), Some(3), Some(1)]);
}
#[test]
fn one_key_with_many_values_on_both_sides() {
    let (pairs, sum) = everywhere(2, |sc| {
        let ones = |n| sc.range(0..n, 5).map(|x| ("the only key".to_string(), x));
        let joined = ones(700).join_in(&ones(300), 3);
        Ok((joined.count()?, joined.map(|(_, (v, w))| v * 1000 + w).fold(0, |a, b| a + b)?))
    });
    assert_eq!((pairs, sum), (210_000, 300 * 1000 * (699 * 700 / 2) + 700 * (299 * 300 / 2)));
}
#[test]
fn pairs_are_made_as_they_are_taken() {
    let sc = threads(1);
    let ones = sc.range(0..100_000, 2).map(|x| ((), x));
    let joined = ones.join_in(&ones, 1);
    assert_eq!(joined.take(3).unwrap(), [((), (0, 0)), ((), (1, 0)), ((), (2, 0))], "of ten thousand million");
    let stop = sc.canceller();
    let e = joined.foreach(move |_| stop.cancel_all_jobs()).unwrap_err();
    assert!(matches!(e, Error::Cancelled { .. }), "{e}");
}
#[test]
fn several_are_brought_together_one_after_another() {
    let got = everywhere(2, |sc| {
        let of = |some: &[(u8, u32)]| sc.parallelize(some.to_vec(), 2);
        let (a, b, c) = (of(&[(1, 1), (2, 2)]), of(&[(1, 10), (3, 30), (1, 11)]), of(&[(3, 300), (4, 400)]));
        let all = a.cogroup(&b).cogroup(&c).map_values(|(ab, c)| {
            let (a, b) = ab.into_iter().next().unwrap_or_default();
            (a, b, c)
        });
        Ok(sorted(all.collect()?))
    });
    let expect = [
        (1, (vec![1], vec![10, 11], vec![])),
        (2, (vec![2], vec![], vec![])),
        (3, (vec![], vec![30], vec![300])),
        (4, (vec![], vec![], vec![400])),
    ];
    assert_eq!(got, expect);
}
#[test]
fn an_rdd_may_be_joined_with_itself() {
    let got = everywhere(2, |sc| {
        let pairs = sc.range(0..6, 3).map(|x| (x % 3, x));
        let spread = pairs.partition_by(2);
        Ok((sorted(pairs.join(&pairs).collect()?), sorted(spread.join(&spread).collect()?)))
    });
    let expect: Vec<_> = (0..3u64).flat_map(|k| [k, k + 3].map(|v| [(k, (v, k)), (k, (v, k + 3))]).concat()).collect();
    assert_eq!(got, (expect.clone(), expect));
}
#[test]
fn partitions_of_a_join_are_sparks() {
    let sc = threads(2);
    let configured = SparkContext::new(conf("local").set("spark.default.parallelism", 4)).unwrap();
    let listed = |sc: &SparkContext, p| sc.range(0..40, p).map(|x| (x, x));
    let spread = |sc: &SparkContext, p| listed(sc, 3).partition_by(p);
    for (name, joined, expect) in [
        ("the wider one's", listed(&sc, 2).join(&listed(&sc, 7)), 7),
        ("explicitly", listed(&sc, 2).join_in(&listed(&sc, 7), 3), 3),
        ("spread, seven of two", spread(&sc, 7).join(&listed(&sc, 2)), 7),
        ("spread, one of twenty", spread(&sc, 1).join(&listed(&sc, 20)), 20),
        ("spread, two of nine", spread(&sc, 2).join(&listed(&sc, 9)), 2),
        ("spread, two of thirty, other way round", listed(&sc, 30).join(&spread(&sc, 2)), 30),
        ("both spread, the wider one", spread(&sc, 3).join(&spread(&sc, 5)), 5),
        ("configured", listed(&configured, 9).join(&listed(&configured, 2)), 4),
        ("configured, but spread", listed(&configured, 9).join(&spread(&configured, 2)), 2),
        ("configured, spread too little", listed(&configured, 30).join(&spread(&configured, 2)), 4),
    ] {
        assert_eq!(joined.num_partitions().unwrap(), expect, "{name}");
        assert_eq!(joined.partitioner().unwrap().partitions().get().unwrap(), expect, "{name}");
        assert_eq!(joined.count().unwrap(), 40, "{name}");
    }
    for (name, left, expect) in [
        ("as many as on the left", listed(&configured, 9).subtract_by_key(&listed(&configured, 20)), 9),
        ("as spread on the left", spread(&sc, 2).subtract_by_key(&spread(&sc, 30)), 2),
        ("explicitly", spread(&sc, 2).subtract_by_key_in(&spread(&sc, 30), 6), 6),
    ] {
        assert_eq!((left.num_partitions().unwrap(), left.count().unwrap()), (expect, 0), "{name}");
    }
}
#[test]
fn what_cannot_be_joined_is_refused_at_the_action() {
    let (sc, other) = (threads(1), threads(1));
    let pairs = |sc: &SparkContext| sc.range(0..4, 2).map(|x| (x, x));
    let (a, b) = (pairs(&sc), pairs(&other));
    let zero = [
        ("cogroup", a.cogroup_in(&a, 0).count(), line!()),
        ("join", a.join_in(&a, 0).count(), line!()),
        ("left_outer_join", a.left_outer_join_in(&a, 0).count(), line!()),
        ("right_outer_join", a.right_outer_join_in(&a, 0).count(), line!()),
        ("full_outer_join", a.full_outer_join_in(&a, 0).count(), line!()),
        ("subtract_by_key", a.subtract_by_key_in(&a, 0).count(), line!()),
    ];
    for (operator, result, line) in zero {
        let (e, place) = (result.unwrap_err(), format!("joins.rs:{line}:"));
        assert!(matches!(&e, Error::Partitions { operator: o, asked: 0, .. } if *o == operator), "{e}");
        assert!(e.to_string().contains(&place), "{e}");
    }
    let foreign = [
        ("cogroup", a.cogroup(&b).count(), line!()),
        ("join", a.join(&b).count(), line!()),
        ("left_outer_join", a.left_outer_join(&b).count(), line!()),
        ("right_outer_join", a.right_outer_join(&b).count(), line!()),
        ("full_outer_join", a.full_outer_join(&b).count(), line!()),
        ("subtract_by_key", a.subtract_by_key(&b).count(), line!()),
    ];
    for (operator, result, line) in foreign {
        let (e, place) = (result.unwrap_err(), format!("joins.rs:{line}:"));
        assert!(matches!(&e, Error::ForeignRdd { operator: o, .. } if *o == operator), "{e}");
        assert!(e.to_string().contains(&place), "{e}");
    }
}
#[test]
fn a_key_kept_by_a_join_holds_no_read_buffer() {
    let buffer = Arc::new("x".repeat(1 << 16));
    let (sc, b) = (threads(1), buffer.clone());
    let pairs = sc.range(0..3, 1).map(move |x| (Text::slice(&b, 0..100 + x as usize), x));
    for spread in [pairs.clone(), pairs.partition_by(2)] {
        let before = Arc::strong_count(&buffer);
        let joined = spread.cogroup_in(&spread, 2).collect().unwrap();
        assert_eq!((joined.len(), Arc::strong_count(&buffer)), (3, before));
        drop(joined);
    }
}
#[test]
fn joins_of_files_open_none_when_they_are_defined() {
    let dir = TempDir::new();
    let (a, b) = (dir.at("a.txt"), dir.at("b.txt"));
    let sc = threads(2);
    let lengths = |path: &str| sc.text_file(path, 3).map(|line| (line.len() as u64, line.to_string()));
    let counts = lengths(&a).map_values(|_| 1u64).reduce_by_key(|x, y| x + y);
    // The same count, not yet known, on both sides.
    let alike = counts.join(&counts.filter(|_| true));
    let mixed = counts.left_outer_join(&lengths(&b));
    assert_eq!(sc.counts().jobs, 0);
    assert!(alike.count().is_err());
    dir.file("a.txt", "1\n22\n33\n");
    dir.file("b.txt", "zz\n");
    assert_eq!(sorted(alike.collect().unwrap()), [(1, (1, 1)), (2, (2, 2))]);
    assert_eq!(sorted(mixed.collect().unwrap()), [(1, (1, None)), (2, (2, Some("zz".into())))]);
    assert_eq!(alike.to_debug_string().matches("+-").count(), 1, "one shuffle, that of the sums");
}
