//! Zips and numbered records: when they count, what they refuse, what of the partitioner stays.
use crate::common::*;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use winterbourne_engine::{Error, Rdd, SparkContext};

fn tasks(sc: &SparkContext, run: impl FnOnce()) -> u64 {
    let before = sc.counts().tasks;
    run();
    sc.counts().tasks - before
}

#[test]
fn numbering_counts_all_partitions_but_the_last_once() {
    let sc = threads(2);
    let numbered = sc.range(10..20, 4).zip_with_index();
    assert_eq!(sc.counts().jobs, 0, "nothing runs at definition");
    let all: Vec<(u64, u64)> = (10..20).zip(0..).collect();
    assert_eq!(tasks(&sc, || assert_eq!(numbered.collect().unwrap(), all)), 3 + 4);
    assert_eq!(sc.counts().jobs, 1, "counted within the job that needs it");
    assert_eq!(tasks(&sc, || assert_eq!(numbered.map(|x| x).collect().unwrap(), all)), 4, "not counted again");
    let single = sc.range(10..20, 1).zip_with_index();
    assert_eq!(tasks(&sc, || assert_eq!(single.collect().unwrap(), all)), 1);
    assert_eq!(tasks(&sc, || assert_eq!(sc.empty_rdd::<u64>().zip_with_index().count().unwrap(), 0)), 0);
    // Without a partition: nothing to count either, and nothing counted for those that need no counting.
    let ids = sc.range(0..10, 4).zip_with_unique_id();
    assert_eq!(tasks(&sc, || assert_eq!(ids.count().unwrap(), 10)), 4);
}
#[test]
fn numbering_a_file_waits_for_its_partitions() {
    let (sc, dir) = (threads(2), TempDir::new());
    let path = dir.at("lines.txt");
    let (one, some) = (sc.text_file(&path, 1).zip_with_index(), sc.text_file(&path, 4).zip_with_index());
    assert!(one.count().is_err());
    dir.file("lines.txt", "a\nb\nc\nd\ne\n");
    let expect: Vec<(String, u64)> = "abcde".chars().map(String::from).zip(0..).collect();
    let read = |r: &Rdd<(winterbourne_engine::Text, u64)>| r.map(|(l, i)| (l.to_string(), i)).collect().unwrap();
    assert_eq!(tasks(&sc, || assert_eq!(read(&one), expect)), 1, "one partition, found late, is not counted");
    assert_eq!(read(&some), expect);
}
#[test]
fn numbering_computes_a_cached_parent_once() {
    let sc = threads(2);
    let times = Arc::new(AtomicU64::new(0));
    for (cached, expect) in [(true, 100), (false, 75 + 100)] {
        let inside = times.clone();
        let slow = sc.range(0..100, 4).map(move |x| {
            inside.fetch_add(1, Relaxed);
            x
        });
        let slow = if cached { slow.cache() } else { slow };
        assert_eq!(slow.zip_with_index().filter(|(x, i)| x != i).count().unwrap(), 0);
        assert_eq!(times.swap(0, Relaxed), expect, "cached: {cached}");
    }
}
#[test]
fn numbers_go_on_through_other_operators() {
    let got = everywhere(2, |sc| {
        let words = sc.parallelize(["to", "be", "or", "not", "to", "be"].map(String::from), 3);
        let first_seen = words.zip_with_index().reduce_by_key(|a, b| a.min(b)).map(|(w, i)| (i, w));
        let twice = words.zip_with_index().zip_with_index().map(|((_, i), j)| i == j).collect()?;
        Ok((sorted(first_seen.collect()?), twice, words.zip_with_unique_id().collect()?))
    });
    let firsts: Vec<(u64, &str)> = got.0.iter().map(|(i, w)| (*i, w.as_str())).collect();
    assert_eq!(firsts, [(0, "to"), (1, "be"), (2, "or"), (3, "not")]);
    assert_eq!(got.1, [true; 6]);
}

#[test]
fn unequal_numbers_of_partitions_are_refused_at_the_action() {
    let sc = threads(2);
    let (a, b) = (sc.range(0..12, 4), sc.range(0..12, 3));
    let (zipped, line) = (a.zip(&b), line!());
    let e = zipped.count().unwrap_err();
    let text = e.to_string();
    assert!(text.starts_with("Can't zip RDDs with unequal numbers of partitions: List(4, 3), `zip` at "), "{text}");
    assert!(text.contains(&format!("zips.rs:{line}:")), "{text}");
    assert!(zipped.map(|x| x).num_partitions().is_err());
    let e = a.zip_partitions((&a, &b), |a, _| a).count().unwrap_err().to_string();
    assert!(e.starts_with("Can't zip RDDs with unequal numbers of partitions: List(4, 4, 3), `zip_partitions`"), "{e}");
    assert_eq!(sc.counts().tasks, 0);
    // Known only when the file is there.
    let dir = TempDir::new();
    let lines = sc.text_file(dir.at("f"), 1);
    let zipped = lines.zip(&a);
    dir.file("f", "a\n");
    assert!(matches!(zipped.count(), Err(Error::UnequalPartitions { partitions, .. }) if partitions == [1, 4]));
    assert_eq!(lines.zip(&sc.range(7..8, 1)).map(|(l, x)| (l.to_string(), x)).collect().unwrap(), [("a".into(), 7)]);
}
#[test]
fn unequal_numbers_of_records_are_found_in_the_task() {
    let sc = threads(2);
    let numbers = sc.range(0..6000, 2);
    for (name, other) in [
        ("one less", numbers.filter(|x| *x != 4999)),
        ("one more", numbers.flat_map(|x| vec![x; if x == 5999 { 2 } else { 1 }])),
        ("none", numbers.filter(|x| *x < 3000)),
    ] {
        let (zipped, line) = (numbers.zip(&other), line!());
        let e = zipped.count().unwrap_err();
        assert!(matches!(&e, Error::Task { partition: 1, .. }), "{name}: {e}");
        let text = e.to_string();
        assert!(text.contains("Can only zip RDDs with same number of elements in each partition"), "{name}: {text}");
        assert!(text.contains(&format!("zips.rs:{line}:")), "{name}: {text}");
        assert_eq!(zipped.take(2).unwrap().len(), 2, "{name}: what is equal until then can be taken");
    }
}
#[test]
fn an_error_on_either_side_is_its_own() {
    let sc = threads(1);
    let numbers = sc.range(0..10, 2);
    let bad = numbers.map(|x| if x == 7 { panic!("seven") } else { x });
    for (name, zipped) in [
        ("left", bad.zip(&numbers).map(|x| x.0)),
        ("right", numbers.zip(&bad).map(|x| x.0)),
        ("partitions", numbers.zip_partitions(&bad, |a, b| a.zip(b).map(|x| x.0))),
        ("product", numbers.cartesian(&bad).map(|x| x.0)),
    ] {
        let text = zipped.count().unwrap_err().to_string();
        assert!(text.contains("panicked: seven"), "{name}: {text}");
    }
}
#[test]
fn zips_may_be_endless_and_cancelled() {
    let sc = threads(1);
    let endless = sc.range(0..u64::MAX, 1);
    assert_eq!(endless.zip(&endless.map(|x| x + 1)).take(2).unwrap(), [(0, 1), (1, 2)]);
    let stop = sc.canceller();
    let lasting = endless.zip(&endless).zip_partitions(&endless, |a, b| a.zip(b)).map(move |x| {
        stop.cancel_all_jobs();
        x
    });
    assert!(matches!(lasting.count(), Err(Error::Cancelled { .. })));
}

#[test]
fn partitioners_are_kept_when_told() {
    let sc = threads(2);
    let spread = sc.range(0..100, 4).map(|x| (x % 10, x)).partition_by(3);
    let shuffles = |r: &Rdd<(u64, u64)>| r.reduce_by_key(|a, b| a + b).to_debug_string().matches("+-").count();
    let plain = spread.map_partitions(|it| it.map(|(k, v)| (k, v + 1)));
    assert_eq!((plain.partitioner().is_some(), shuffles(&plain)), (false, 2));
    let kept = plain.with_partitioner_of(&spread);
    assert_eq!((kept.partitioner() == spread.partitioner(), shuffles(&kept)), (true, 1));
    let zipped = spread.zip_partitions(&spread, |a, b| a.zip(b).map(|((k, v), (_, w))| (k, v * w)));
    assert_eq!(shuffles(&zipped.with_partitioner_of(&spread)), 1);
    let sums = |r: &Rdd<(u64, u64)>| sorted(r.reduce_by_key(|a, b| a + b).collect().unwrap());
    assert_eq!(sums(&kept), sums(&plain));
    // Nothing to keep: the same RDD.
    assert_eq!(plain.with_partitioner_of(&plain).id(), plain.id());
    let text = plain.coalesce(2).with_partitioner_of(&spread).count().unwrap_err().to_string();
    assert!(text.starts_with("Can't keep the partitioner between RDDs with unequal numbers of partitions: List(2, 3)"));
}
