//! Long lineages: how long they may be, that longer ones are an error, and that none overflows a stack.
use crate::common::*;
use winterbourne_engine::{Error, OnBadRecord, Rdd, Sampling, SparkContext};

type Op = fn(&Rdd<u64>) -> Rdd<u64>;
const OPERATORS: [(&str, Op); 12] = [
    ("map", |r| r.map(|x| x)),
    ("filter", |r| r.filter(|_| true)),
    ("flat_map", |r| r.flat_map(|x| [x])),
    ("emit", |r| r.emit(|x, out| out(*x))),
    ("map_partitions", |r| r.map_partitions(|it| it)),
    ("try_map", |r| r.try_map(OnBadRecord::Fail, Ok::<u64, Error>)),
    ("coalesce", |r| r.coalesce(5)),
    ("union", |r| r.union(&r.spark_context().empty_rdd())),
    ("filter_map", |r| r.filter_map(Some)),
    ("coalesce_by", |r| r.coalesce_by(|n| (0..n).map(|p| vec![p]).collect())),
    ("sample", |r| r.sample(Sampling::without_replacement(), 1.0)),
    ("cache", |r| r.map(|x| x).cache()),
];

/// So many operators in a row.
fn chain(src: Rdd<u64>, n: usize, op: impl Fn(&Rdd<u64>) -> Rdd<u64>) -> Rdd<u64> {
    (0..n).fold(src, |r, _| op(&r))
}
fn too_deep(e: &Error, deep: u32, line: u32) {
    assert!(matches!(e, Error::TooDeep { depth, limit: 1000, .. } if *depth == deep), "{e}");
    assert!(e.to_string().contains(&format!("limits.rs:{line}:")), "{e}");
}

#[test]
fn a_thousand_operators_in_a_row_fit_a_thread() {
    for (name, op) in OPERATORS {
        // A thread of std's usual stack, as a driver has it.
        let run = move || chain(threads(1).range(0..5, 1), 1000, op).collect().unwrap();
        let got = winterbourne_base::thread::spawn("driver", run).unwrap().join().unwrap();
        assert_eq!(got, [0, 1, 2, 3, 4], "{name}");
    }
}
#[test]
fn as_many_operators_by_key_without_a_shuffle_fit_too() {
    type ByKey = fn(&Rdd<(u64, u64)>, &Rdd<(u64, u64)>) -> Rdd<(u64, u64)>;
    let by_key: [(&str, usize, ByKey); 5] = [
        ("reduce_by_key", 1000, |r, _| r.reduce_by_key(|a, _| a)),
        ("group_by_key", 500, |r, _| r.group_by_key().map_values(|v| v[0])),
        ("join, the left side", 500, |r, one| r.join(one).map_values(|e| e.0)),
        ("join, the right side", 500, |r, one| one.join(r).map_values(|e| e.1)),
        ("subtract_by_key", 998, |r, one| r.subtract_by_key(&one.filter(|_| false))),
    ];
    for (name, steps, op) in by_key {
        let run = move || {
            let one = threads(1).range(0..5, 1).map(|x| (x, x)).partition_by(1);
            sorted((0..steps).fold(one.clone(), |r, _| op(&r, &one)).collect().unwrap())
        };
        let got = winterbourne_base::thread::spawn("driver", run).unwrap().join().unwrap();
        assert_eq!(got, [0, 1, 2, 3, 4].map(|x| (x, x)), "{name}");
    }
}
#[test]
fn operators_side_by_side_fit_too() {
    type WithOne = fn(&Rdd<u64>, &Rdd<u64>) -> Rdd<u64>;
    let side_by_side: [(&str, usize, WithOne); 7] = [
        ("zip", 500, |r, one| r.zip(one).map(|e| e.0)),
        ("zip, the other side", 500, |r, one| one.zip(r).map(|e| e.1)),
        ("zip_partitions", 1000, |r, one| r.zip_partitions((one, one), |a, _| a)),
        ("zip_partitions, the other side", 1000, |r, one| one.zip_partitions((one, r), |_, (_, b)| b)),
        ("cartesian", 499, |r, one| r.cartesian(&one.coalesce(1).filter(|x| *x == 0)).map(|e| e.0)),
        ("cartesian, the other side", 499, |r, one| one.coalesce(1).filter(|x| *x == 0).cartesian(r).map(|e| e.1)),
        ("zip_with_index", 400, |r, _| r.zip_with_index().map(|e| e.1)),
    ];
    for (name, steps, op) in side_by_side {
        let run = move || {
            let one = threads(1).range(0..5, 2);
            (0..steps).fold(one.clone(), |r, _| op(&r, &one)).collect().unwrap()
        };
        let got = winterbourne_base::thread::spawn("driver", run).unwrap().join().unwrap();
        assert_eq!(got, [0, 1, 2, 3, 4], "{name}");
    }
}
#[test]
fn more_are_an_error_that_names_the_last() {
    let sc = threads(2);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    for (_, op) in OPERATORS {
        let long = chain(sc.range(0..5, 3), 5000, op);
        let (last, line) = (long.filter(|_| true), line!());
        for e in [last.count().unwrap_err(), last.take(1).unwrap_err(), last.clone().cache().materialize().unwrap_err()]
        {
            too_deep(&e, 5001, line);
        }
        let files = chain(sc.text_file(path.to_str().unwrap(), 2).map(|l| l.len() as u64), 20_000, op);
        assert!(matches!(files.count(), Err(Error::TooDeep { .. })));
    }
}
#[test]
fn operators_by_key_and_side_by_side_count_too() {
    type Step = fn(&Rdd<(u64, u64)>, &Rdd<(u64, u64)>) -> Rdd<(u64, u64)>;
    let sc = threads(1);
    let one = sc.range(0..5, 1).map(|x| (x, x)).partition_by(1);
    // As many as make a row of more than a thousand if each counts.
    let steps: [(&str, usize, Step); 10] = [
        ("filter_by_range", 1001, |r, _| r.filter_by_range(0, 9)),
        ("reduce_by_key", 1001, |r, _| r.reduce_by_key(|a, _| a)),
        ("join, the left side", 600, |r, one| r.join(one).map_values(|e| e.0)),
        ("join, the right side", 600, |r, one| one.join(r).map_values(|e| e.1)),
        ("subtract_by_key", 1001, |r, one| r.subtract_by_key(one)),
        ("union", 1001, |r, one| r.union(one)),
        ("zip_partitions", 1001, |r, one| r.zip_partitions(one, |a, _| a)),
        ("with_partitioner_of", 1001, |r, one| r.with_partitioner_of(one)),
        ("coalesce", 1001, |r, _| r.coalesce(1)),
        ("cartesian", 600, |r, one| r.cartesian(&one.coalesce(1)).map(|e| e.0)),
    ];
    for (name, n, step) in steps {
        let deep = (0..n).fold(one.clone(), |r, _| step(&r, &one));
        let e = deep.take(1).unwrap_err();
        assert!(matches!(e, Error::TooDeep { depth: 1001.., limit: 1000, .. }), "{name}: {e}");
    }
}
#[test]
fn a_row_below_a_shuffle_has_the_same_limit() {
    // The story: only the last stage was looked at, and a long one before it overflowed the stack of its thread.
    let sc = threads(1);
    let (last, line) = (chain(sc.range(0..5, 3), 5000, |r| r.map(|x| x)).map(|x| (x, x)), line!());
    too_deep(&last.reduce_by_key(|a, _| a).count().unwrap_err(), 5001, line);
    too_deep(
        &last.group_by_key().map(|e| (e.0, 1)).reduce_by_key(|a, _| a).map(|x| x).count().unwrap_err(),
        5001,
        line,
    );
    let fits = chain(sc.range(0..5, 3), 999, |r| r.map(|x| x)).map(|x| (x, x)).reduce_by_key(|a, _| a).map(|e| e.0);
    assert_eq!(sorted(chain(fits, 990, |r| r.map(|x| x)).collect().unwrap()), [0, 1, 2, 3, 4]);
}
#[test]
fn what_is_cached_and_computed_starts_a_new_row() {
    let sc = threads(2);
    let mut rdd = sc.range(0..5, 3);
    for _ in 0..5 {
        rdd = chain(rdd, 900, |r| r.map(|x| x + 1)).cache();
        rdd.materialize().unwrap();
    }
    assert_eq!(rdd.union(&rdd).map(|x| x).count().unwrap(), 10);
    let keyed = rdd.map(|x| (x, x)).reduce_by_key(|a, _| a).map(|e| e.0);
    assert_eq!(sorted(keyed.collect().unwrap()), [4500, 4501, 4502, 4503, 4504]);
    rdd.unpersist();
    // As soon as that is not there any more, the row is as long as what must be computed again.
    assert!(matches!(rdd.map(|x| x).count(), Err(Error::TooDeep { depth: 901, .. }) | Ok(5)));
}
#[test]
fn a_million_operators_are_dropped_in_a_loop() {
    let sc = threads(1);
    let path = "/nowhere";
    let sources: [fn(&SparkContext, &str) -> Rdd<u64>; 2] =
        [|sc, _| sc.range(0..4, 2), |sc, path| sc.text_file(path, 2).map(|l| l.len() as u64)];
    for source in sources {
        for (name, op) in OPERATORS.iter().filter(|o| ["map", "coalesce", "union"].contains(&o.0)) {
            let long = chain(source(&sc, path), 100_000, op);
            assert_eq!(long.name(), *name);
            drop(long);
        }
    }
    let long = chain(sc.range(0..4, 2), 1_000_000, |r| r.map(|x| x));
    assert!(matches!(long.count(), Err(Error::TooDeep { depth: 1_000_000, .. })));
    drop(long);
    let numbered = (0..100_000).fold(sc.range(0..4, 2), |r, _| r.zip_with_index().map(|e| e.1).repartition(2));
    drop(numbered);
    let shuffles = (0..100_000)
        .fold(sc.range(0..4, 1).map(|x| (x, x)), |r, _| r.map_values(|v| v).group_by_key_in(2).map(|e| (e.0, e.1[0])));
    drop(shuffles);
}
#[test]
fn three_thousand_shuffles_in_a_row_are_planned_and_run() {
    let sc = threads(2);
    let pairs = sc.range(0..4, 1).map(|x| (x, x));
    let known = (0..3000).fold(pairs, |r, i| r.reduce_by_key_in(|a, b| a + b, 1 + i % 2));
    assert_eq!(sorted(known.collect().unwrap()), [(0, 0), (1, 1), (2, 2), (3, 3)]);
    assert_eq!(known.to_debug_string().lines().count(), 3002);
    // The number of partitions of each is found from the one before.
    let dir = TempDir::new();
    let lines = sc.text_file(dir.file("f", "1\n22\n333"), 1).map(|l| (l.len() as u64, 0u64));
    let found = (0..3000).fold(lines, |r, _| r.map(|e| (e.0, e.1 + 1)).reduce_by_key(|a, b| a + b));
    assert_eq!(sorted(found.collect().unwrap()), [(1, 3000), (2, 3000), (3, 3000)]);
}
