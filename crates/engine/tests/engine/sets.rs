//! Set operations, cartesian products, unions of many, other numbers of partitions: what they cost, what they refuse, and
//! that several lanes agree. What they yield is compared in `twins/sets.rs`.
use crate::common::*;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use winterbourne_engine::{Error, KeyPartitioner, Rdd, SparkContext, Text};

#[test]
fn lanes_agree_on_sets_and_shapes() {
    let (sets, shapes, numbered) = everywhere(2, |sc| {
        let (a, b) = (sc.range(0..60, 5).map(|x| x % 40), sc.range(30..50, 3));
        let sets = [a.intersection(&b), a.subtract(&b), a.cartesian(&b).map(|(x, y)| x * 100 + y)];
        let shapes = [a.repartition(4), a.coalesce_by(|n| vec![vec![n - 1, 0], (1..n - 1).collect()])];
        let lists = |all: &[Rdd<u64>]| all.iter().map(|r| r.glom().collect()).collect::<Result<Vec<_>, _>>();
        Ok((lists(&sets)?, lists(&shapes)?, a.repartition(3).zip_with_index().map_partitions(|it| it).collect()?))
    });
    assert_eq!(sorted(sets[0].concat()), (30..40).collect::<Vec<u64>>());
    assert_eq!(sets[1].concat().len(), 60 - 10);
    assert_eq!((sets[2].len(), sets[2].concat().len()), (15, 60 * 20));
    assert_eq!((shapes[0].len(), shapes[1].len(), shapes[1][0].len()), (4, 2, 24));
    assert_eq!(numbered.iter().map(|e| e.1).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
}
#[test]
fn sets_keep_duplicates_on_the_left_only() {
    let sc = threads(2);
    let (a, b) = (sc.parallelize([3, 1, 1, 2, 3, 3], 3), sc.parallelize([1, 4, 4, 1], 2));
    assert_eq!(sorted(a.subtract(&b).collect().unwrap()), [2, 3, 3, 3]);
    assert_eq!(b.subtract(&a).collect().unwrap(), [4, 4]);
    assert_eq!(a.intersection(&b).collect().unwrap(), [1]);
    assert!(a.intersection(&b).partitioner().is_none() && a.subtract(&b).partitioner().is_none());
    let (none, nowhere) = (a.filter(|_| false), sc.empty_rdd());
    for empty in [&none, &nowhere] {
        assert_eq!((a.intersection(empty).count().unwrap(), empty.intersection(&a).count().unwrap()), (0, 0));
        assert_eq!((a.subtract(empty).count().unwrap(), empty.subtract(&a).count().unwrap()), (6, 0));
    }
    let configured = SparkContext::new(conf("local").set("spark.default.parallelism", 4)).unwrap();
    let (a, b) = (configured.range(0..9, 9), configured.range(0..9, 2));
    assert_eq!(a.intersection(&b).num_partitions().unwrap(), 4);
    assert_eq!(a.subtract(&b).num_partitions().unwrap(), 9, "as many as on the left");
}
#[test]
fn sets_go_where_a_partitioner_says() {
    #[derive(PartialEq)]
    struct Parity;
    impl KeyPartitioner<u64> for Parity {
        fn num_partitions(&self) -> usize {
            2
        }
        fn partition(&self, key: &u64) -> usize {
            (key % 2) as usize
        }
    }
    let sc = threads(2);
    let (a, b) = (sc.range(0..10, 3), sc.range(4..8, 2));
    let parts = |r: Rdd<u64>| r.glom().collect().unwrap().into_iter().map(sorted).collect::<Vec<_>>();
    assert_eq!(parts(a.intersection_in(&b, Parity)), [[4, 6], [5, 7]]);
    assert_eq!(parts(a.subtract_in(&b, Parity)), [[0, 2, 8], [1, 3, 9]]);
}
#[test]
fn what_two_rdds_cannot_be_is_refused_at_the_action() {
    let (sc, other) = (threads(1), threads(1));
    let (a, b) = (sc.range(0..4, 2), other.range(0..4, 2));
    let zero = [
        ("intersection", a.intersection_in(&a, 0).count(), line!()),
        ("subtract", a.subtract_in(&a, 0).count(), line!()),
        ("repartition", a.repartition(0).count(), line!()),
    ];
    for (operator, result, line) in zero {
        let (e, place) = (result.unwrap_err(), format!("sets.rs:{line}:"));
        assert!(matches!(&e, Error::Partitions { operator: o, asked: 0, .. } if *o == operator), "{e}");
        assert!(e.to_string().contains(&place), "{e}");
    }
    let foreign = [
        ("intersection", a.intersection(&b).count(), line!()),
        ("subtract", a.subtract(&b).count(), line!()),
        ("cartesian", a.cartesian(&b).count(), line!()),
        ("zip", a.zip(&b).count(), line!()),
        ("zip_partitions", a.zip_partitions((&a, &b), |a, _| a).count(), line!()),
        ("union", sc.union(&[a.clone(), b.clone()]).count(), line!()),
        ("union", sc.union(&[b.clone(), b.clone()]).count(), line!()),
    ];
    for (operator, result, line) in foreign {
        let (e, place) = (result.unwrap_err(), format!("sets.rs:{line}:"));
        assert!(matches!(&e, Error::ForeignRdd { operator: o, .. } if *o == operator), "{e}");
        assert!(e.to_string().contains(&place), "{e}");
    }
}

#[test]
fn unions_of_many_are_one_operator() {
    let sc = threads(2);
    assert_eq!(sc.union::<u64>(&[]).num_partitions().unwrap(), 0);
    let one = sc.range(0..3, 2);
    assert_eq!(sc.union(std::slice::from_ref(&one)).glom().collect().unwrap(), one.glom().collect().unwrap());
    let spread: Vec<_> = (0..3).map(|i| sc.range(0..9, 2).map(move |x| (x, i)).partition_by(4)).collect();
    let merged = sc.union(&spread);
    assert_eq!((merged.num_partitions().unwrap(), merged.partitioner().is_some()), (4, true));
    assert_eq!(merged.dependencies().len(), 3);
}

/// The numbers of a range that count how often they are computed.
fn counted(sc: &SparkContext, n: u64, partitions: usize) -> (Rdd<u64>, Arc<AtomicU64>) {
    let times = Arc::new(AtomicU64::new(0));
    let inside = times.clone();
    let numbers = sc.range(0..n, partitions).map(move |x| {
        inside.fetch_add(1, Relaxed);
        x
    });
    (numbers, times)
}
#[test]
fn a_product_reads_both_sides_once_for_each_task() {
    let sc = threads(2);
    let ((a, of_a), (b, of_b)) = (counted(&sc, 12, 3), counted(&sc, 10, 2));
    assert_eq!(a.cartesian(&b).count().unwrap(), 120);
    assert_eq!((of_a.load(Relaxed), of_b.load(Relaxed)), (12 * 2, 10 * 3));
    // Of a task whose right side is empty the left one is not read.
    let nothing = b.filter(|_| false);
    assert_eq!(a.cartesian(&nothing).count().unwrap(), 0);
    assert_eq!(of_a.load(Relaxed), 24);
    assert_eq!(a.cartesian(&sc.empty_rdd::<u64>()).num_partitions().unwrap(), 0);
}
#[test]
fn pairs_of_a_product_are_made_as_they_are_taken() {
    let sc = threads(1);
    let all = sc.range(0..u64::MAX, 2).cartesian(&sc.range(0..3, 1));
    assert_eq!(all.take(4).unwrap(), [(0, 0), (0, 1), (0, 2), (1, 0)]);
    // Two chunks make a million pairs: it is asked between chunks of *those* whether to go on.
    let stop = sc.canceller();
    let seen = Arc::new(AtomicU64::new(0));
    let inside = seen.clone();
    let both = sc.range(0..1000, 1).cartesian(&sc.range(0..1000, 1)).map(move |x| {
        inside.fetch_add(1, Relaxed);
        stop.cancel_all_jobs();
        x
    });
    let e = both.count().unwrap_err();
    assert!(matches!(e, Error::Cancelled { .. }), "{e}");
    assert!(seen.load(Relaxed) < 5000, "{seen:?}");
}
#[test]
fn a_product_of_long_sides_has_each_pair_once() {
    let sc = threads(2);
    let all = sc.range(0..3, 1).cartesian(&sc.parallelize(0..2500, 1)).collect().unwrap();
    assert_eq!(all, (0..3).flat_map(|x| (0..2500).map(move |y| (x, y))).collect::<Vec<_>>());
}
#[test]
fn a_product_holds_no_read_buffer_of_its_right_side() {
    let buffer = Arc::new("x".repeat(1 << 16));
    let (sc, b) = (threads(1), buffer.clone());
    let words = sc.range(0..3, 1).map(move |x| Text::slice(&b, 0..100 + x as usize));
    let before = Arc::strong_count(&buffer);
    let pairs = sc.range(0..2, 1).cartesian(&words).collect().unwrap();
    assert_eq!((pairs.len(), Arc::strong_count(&buffer)), (6, before));
    let dealt = words.repartition(2);
    assert_eq!((dealt.count().unwrap(), Arc::strong_count(&buffer)), (3, before));
}

#[test]
fn repartitioning_gives_every_thread_its_share() {
    let sc = threads(2);
    let skewed = sc.range(0..8000, 8).filter(|x| *x < 1000);
    let sizes: Vec<usize> = skewed.repartition(8).glom().collect().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [125; 8]);
    // Many partitions of one record each: not all to the first.
    let singles = sc.range(0..600, 600).repartition(3).glom().collect().unwrap();
    assert!(
        singles.iter().all(|p| (140..260).contains(&p.len())),
        "{:?}",
        singles.iter().map(Vec::len).collect::<Vec<_>>()
    );
    // The map side runs once.
    let (numbers, times) = counted(&sc, 100, 4);
    let dealt = numbers.repartition(3);
    assert_eq!((dealt.count().unwrap(), dealt.count().unwrap(), times.load(Relaxed)), (100, 100, 100));
    assert_eq!(sc.empty_rdd::<u64>().repartition(3).glom().collect().unwrap(), vec![Vec::<u64>::new(); 3]);
}
#[test]
fn groups_of_partitions_must_have_each_once() {
    let sc = threads(2);
    let four = sc.range(0..8, 4);
    for (groups, what) in [
        (vec![vec![0, 1], vec![2]], "partition 3 is in no group, of 4"),
        (vec![vec![0, 1], vec![2, 3, 0]], "partition 0 is in more than one place"),
        (vec![vec![0, 1, 2, 3], vec![4]], "partition 4 does not exist"),
        (vec![], "partition 0 is in no group"),
    ] {
        let (wrong, line) = (four.coalesce_by(move |_| groups.clone()), line!());
        let text = wrong.count().unwrap_err().to_string();
        assert!(text.contains(what) && text.contains(&format!("sets.rs:{line}:")), "{text}");
    }
    assert_eq!(
        four.coalesce_by(|_| vec![vec![3], vec![], vec![2, 0, 1]]).glom().collect().unwrap(),
        [vec![6, 7], vec![], vec![4, 5, 0, 1, 2, 3]]
    );
    assert_eq!(sc.empty_rdd::<u64>().coalesce_by(|n| vec![vec![]; n]).count().unwrap(), 0);
    let e = four.coalesce_by(|_| panic!("no groups today")).count().unwrap_err();
    assert!(e.to_string().contains("no groups today"), "{e}");
}
#[test]
fn groups_are_chosen_once_and_not_when_defined() {
    let (sc, dir) = (threads(2), TempDir::new());
    let asked = Arc::new(AtomicU64::new(0));
    let inside = asked.clone();
    let path = dir.at("later.txt");
    let lines = sc.text_file(&path, 2).coalesce_by(move |n| {
        inside.fetch_add(1, Relaxed);
        vec![(0..n).collect()]
    });
    let long = lines.map(|l| l.len()).coalesce_by(|n| (0..n).map(|p| vec![p]).collect());
    assert_eq!(asked.load(Relaxed), 0);
    assert!(long.count().is_err());
    dir.file("later.txt", "a\nbb\nccc\n");
    assert_eq!((long.collect().unwrap(), long.sum_of_lengths()), (vec![1, 2, 3], 6));
    assert_eq!(asked.load(Relaxed), 1);
}
trait Lengths {
    fn sum_of_lengths(&self) -> usize;
}
impl Lengths for Rdd<usize> {
    fn sum_of_lengths(&self) -> usize {
        self.fold(0, |a, b| a + b).expect("runs")
    }
}

#[test]
fn rdds_say_what_they_are() {
    let sc = threads(2);
    let numbers = sc.range(0..10, 3);
    let (squares, line) = (numbers.map(|x| x * x), line!());
    let named = squares.clone().set_name("squares");
    assert_eq!((squares.name(), squares.operator(), named.id()), ("squares".to_string(), "map", squares.id()));
    assert_eq!(named.set_name("again").name(), squares.name());
    assert!(squares.to_debug_string().starts_with("(3) again map [1] at "), "{}", squares.to_debug_string());
    assert!(squares.site().to_string().contains(&format!("sets.rs:{line}:")));
    let both = squares.union(&numbers).map(|x| (x, x)).cogroup(&squares.map(|x| (x, ())));
    let parents: Vec<_> = both.dependencies().into_iter().map(|d| (d.name, d.shuffle.is_some())).collect();
    assert_eq!(parents, [("map".to_string(), true), ("map".to_string(), true)]);
    let names: Vec<_> = squares.union(&numbers).dependencies().into_iter().map(|d| (d.rdd, d.name)).collect();
    assert_eq!(names, [(squares.id(), "again".to_string()), (numbers.id(), "range".to_string())]);
    assert!(numbers.dependencies().is_empty());
    // What stands there twice is shown once; what has nothing below it needs no hint.
    let twice = squares.union(&squares).union(&numbers).to_debug_string();
    let hints: Vec<_> = twice.lines().map(|line| (line.contains("range"), line.contains("as above"))).collect();
    assert_eq!(hints, [(false, false), (false, false), (false, false), (true, false), (false, true), (true, false)]);
}
