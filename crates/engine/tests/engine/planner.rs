//! What is computed, how often, and how long it is kept; seen from outside, by counting tasks and records.
use crate::common::*;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
};
use winterbourne_engine::{Data, Rdd, Site, SparkContext};

/// How many tasks `f` starts.
fn tasks(sc: &SparkContext, f: impl FnOnce()) -> u64 {
    let before = sc.counts().tasks;
    f();
    sc.counts().tasks - before
}
/// As many tasks for the first count as for the second.
fn count_twice<T: Data>(rdd: &Rdd<T>) -> (u64, u64) {
    let once = || tasks(rdd.spark_context(), || assert!(rdd.count().is_ok()));
    (once(), once())
}
/// Pairs of 4 partitions, and how often one was computed.
fn counted(sc: &SparkContext) -> (Rdd<(u64, u64)>, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let c = calls.clone();
    let pairs = sc.range(0..100, 4).map(move |x| {
        c.fetch_add(1, SeqCst);
        (x % 5, x)
    });
    (pairs, calls)
}

#[test]
fn shuffle_outputs_are_reused_while_their_lineage_lives() {
    let sc = threads(2);
    let (pairs, calls) = counted(&sc);
    let sums = pairs.reduce_by_key_in(|a, b| a + b, 3);
    assert_eq!(count_twice(&sums), (4 + 3, 3));
    assert_eq!(count_twice(&sums.map(|e| e.1)), (3, 3), "by another lineage above it too");
    assert_eq!(tasks(&sc, || drop(sums.take(1).unwrap())), 1);
    assert_eq!(calls.load(SeqCst), 100);
    // Another definition is another shuffle.
    assert_eq!(count_twice(&pairs.reduce_by_key_in(|a, b| a + b, 3)), (7, 3));
    assert_eq!(calls.load(SeqCst), 200);
}
#[test]
fn only_missing_outputs_are_computed_again() {
    let sc = threads(1);
    let (left, calls) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
    let (l, c) = (left.clone(), calls.clone());
    let sums = sc.range(0..4, 4).map(move |x| {
        c.fetch_add(1, SeqCst);
        assert!(x != 2 || l.swap(0, SeqCst) == 0, "the first time only");
        (x, x)
    });
    let sums = sums.reduce_by_key(|a, _| a);
    assert!(sums.count().is_err());
    assert_eq!(calls.load(SeqCst), 3, "the job ended at the first failure");
    assert_eq!(tasks(&sc, || assert_eq!(sums.count().unwrap(), 4)), 2 + 4);
}
#[test]
fn keys_that_are_spread_already_are_not_shuffled() {
    let sc = threads(2);
    let (pairs, _) = counted(&sc);
    let spread = pairs.partition_by(3);
    spread.count().unwrap();
    for (name, rdd, expect) in [
        ("reduce_by_key", spread.reduce_by_key(|a, b| a + b), (3, 3)),
        ("explicitly", spread.reduce_by_key_in(|a, b| a + b, 3), (3, 3)),
        (
            "through filter and map_values",
            spread.filter(|_| true).map_values(|v| v).reduce_by_key(|a, b| a + b),
            (3, 3),
        ),
        ("groups", spread.group_by_key().map_values(|v| v.len() as u64), (3, 3)),
        ("combine", spread.combine_by_key_in(|v| v, |a, v| *a += v, |a, b| *a += b, 3), (3, 3)),
        ("union of two alike", spread.union(&spread.filter(|_| false)).reduce_by_key(|a, b| a + b), (3, 3)),
        ("with one without partitions", spread.union(&sc.empty_rdd()).reduce_by_key(|a, b| a + b), (3, 3)),
        ("after map: anything may have happened to the keys", spread.map(|e| e).reduce_by_key(|a, b| a + b), (6, 3)),
        ("into another number", spread.reduce_by_key_in(|a, b| a + b, 2), (5, 2)),
        ("union of two not alike", spread.union(&pairs.filter(|_| false)).reduce_by_key(|a, b| a + b), (14, 7)),
    ] {
        assert_eq!(count_twice(&rdd), expect, "{name}");
        assert_eq!(rdd.count().unwrap(), 5, "{name}");
    }
}
#[test]
fn sides_of_a_join_that_are_spread_alike_are_not_shuffled() {
    let sc = threads(2);
    let (pairs, _) = counted(&sc);
    let spread = pairs.partition_by(3);
    spread.count().unwrap();
    let (once, half) = (spread.reduce_by_key(|a, b| a + b), spread.filter(|e| e.1 % 2 == 0));
    let sum = |r: Rdd<(u64, (u64, u64))>| r.map_values(|(a, b)| a + b);
    for (name, rdd, expect, records) in [
        ("both, inner", sum(once.join(&half)), (3, 3), 50),
        ("both, left", once.left_outer_join(&half).map_values(|e| e.0), (3, 3), 50),
        ("both, right", half.right_outer_join(&once).map_values(|e| e.1), (3, 3), 50),
        ("both, full", half.full_outer_join(&once).map_values(|_| 0), (3, 3), 50),
        ("both, groups", half.cogroup(&once).map_values(|_| 0), (3, 3), 5),
        ("both, difference", spread.subtract_by_key(&half.filter(|e| e.0 > 0)), (3, 3), 20),
        ("explicitly", sum(once.join_in(&half, 3)), (3, 3), 50),
        ("three", sum(sum(once.join(&half)).join(&once)), (3, 3), 50),
        ("then by key", sum(once.join(&half)).reduce_by_key(|a, b| a + b), (3, 3), 5),
        ("with one without partitions", sum(once.join_in(&sc.empty_rdd(), 3)), (3, 3), 0),
        ("the left one only", sum(once.join(&pairs)), (4 + 3, 3), 100),
        ("the right one only", sum(pairs.join(&once)), (4 + 3, 3), 100),
        ("neither", sum(pairs.join(&pairs)), (4 + 4 + 4, 4), 2000),
        ("both, into another number", sum(once.join_in(&half, 2)), (3 + 3 + 2, 2), 50),
        ("spread in other ways", sum(once.join(&pairs.partition_by(5))), (4 + 3 + 5, 5), 100),
        ("after map", sum(once.join(&half.map(|e| e))), (3 + 3, 3), 50),
        ("the difference, keys only on the right", once.subtract_by_key(&pairs), (4 + 3, 3), 0),
    ] {
        assert_eq!(count_twice(&rdd), expect, "{name}");
        assert_eq!(rdd.count().unwrap(), records, "{name}");
        assert_eq!(rdd.num_partitions().unwrap() as u64, expect.1, "{name}");
    }
}
#[test]
fn a_lineage_shows_which_sides_of_a_join_are_shuffled() {
    let sc = threads(1);
    let listed = sc.range(0..9, 4).map(|x| (x, x));
    let spread = listed.partition_by(3);
    let operators = |rdd: &Rdd<(u64, (u64, u64))>| {
        let cut = |line: &str| line.split(" [").next().unwrap_or_default().to_owned();
        rdd.to_debug_string().lines().map(cut).collect::<Vec<_>>()
    };
    let below_spread = ["    +-(4) map", "    |  range"];
    assert_eq!(
        operators(&spread.join(&listed)),
        [&["(3) join", " |  partition_by"], &below_spread[..], &[" +-(4) map"]].concat()
    );
    assert_eq!(
        operators(&listed.join(&spread)),
        [&["(3) join", " +-(4) map", " |  range", " |  partition_by"][..], &["    +-(4) map"]].concat()
    );
}
#[test]
fn shuffled_and_narrow_parents_of_one_stage() {
    let sc = threads(2);
    let (pairs, calls) = counted(&sc);
    let sums = pairs.reduce_by_key_in(|a, b| a + b, 3);
    let apart = sums.union(&pairs);
    assert_eq!(count_twice(&apart), (4 + 3 + 4, 7), "the map side, then what is shuffled and what is not");
    assert_eq!(calls.swap(0, SeqCst), 100 + 2 * 100);
    assert_eq!(count_twice(&apart.reduce_by_key_in(|a, b| a + b, 2)), (7 + 2, 2), "below a further shuffle");
    let (fresh, calls) = counted(&sc);
    let deep =
        fresh.partition_by(3).union(&fresh.filter(|e| e.0 > 1)).union(&fresh.group_by_key_in(2).map(|e| (e.0, 0)));
    assert_eq!(count_twice(&deep.reduce_by_key_in(|a, b| a + b, 2)), (4 + 4 + (3 + 4 + 2) + 2, 2));
    assert_eq!(calls.load(SeqCst), 300, "once for each that reads it");
    let merged = fresh.partition_by(3).union(&fresh.reduce_by_key_in(|a, _| a, 3));
    assert_eq!(count_twice(&merged), (4 + 4 + 3, 3), "spread alike, so merged");
}
#[test]
fn diamonds_that_are_joined_again() {
    let sc = threads(2);
    let (pairs, calls) = counted(&sc);
    let sums = pairs.reduce_by_key_in(|a, b| a + b, 3);
    let narrow = sums.map_values(|v| v + 1).join(&sums.filter(|e| e.0 > 0));
    assert_eq!(count_twice(&narrow), (4 + 3, 3), "one stage, read twice in the same task");
    let left = sums.map(|(k, v)| (v, k)).reduce_by_key_in(|a, _| a, 2);
    let right = sums.map(|(k, v)| (v, k + 1)).reduce_by_key_in(|a, _| a, 2);
    assert_eq!(count_twice(&left.join(&right)), (3 + 3 + 2, 2), "nothing above is missing");
    let back = left.map(|(v, k)| (k, v)).cogroup(&sums);
    assert_eq!(count_twice(&back), (2 + 3, 3), "spread as the wider one, which is not shuffled again");
    let all = back.join(&narrow);
    assert_eq!((count_twice(&all), all.count().unwrap()), ((3, 3), 4), "all of it is there");
    assert_eq!(calls.load(SeqCst), 100);
    let (pairs, calls) = counted(&sc);
    let twice = pairs.join_in(&pairs, 3);
    assert_eq!(count_twice(&twice), (4 + 4 + 3, 3));
    assert_eq!(calls.load(SeqCst), 200, "two shuffles, though of the same");
}
#[test]
fn a_cache_below_a_join_cuts_its_lineage_and_a_cached_join_that_of_others() {
    let sc = threads(2);
    let (pairs, calls) = counted(&sc);
    let cached = pairs.cache();
    cached.materialize().unwrap();
    let joined = cached.join_in(&cached, 3).cache();
    assert_eq!(tasks(&sc, || joined.materialize().unwrap()), 4 + 4 + 3);
    assert_eq!(calls.load(SeqCst), 100, "read from the cache by both");
    cached.unpersist();
    assert_eq!(count_twice(&joined.map_values(|(a, _)| a).reduce_by_key(|a, b| a + b)), (3, 3));
    let (more, _) = counted(&sc);
    assert_eq!(count_twice(&joined.join(&more)), (4 + 3, 3), "only what is new is shuffled");
    assert_eq!(calls.load(SeqCst), 100);
    // What was shuffled for it is gone, and not missed.
    let (fresh, calls) = counted(&sc);
    let kept = fresh.partition_by(2).filter(|_| true).cache();
    kept.materialize().unwrap();
    assert_eq!(count_twice(&kept.join(&kept)), (2, 2));
    assert_eq!(calls.load(SeqCst), 100);
}
#[test]
fn thousands_of_partitions_are_planned_and_run() {
    let sc = threads(2);
    let keyed = |p| sc.range(0..20_000, p).map(|x| (x % 7, x));
    let wide = keyed(5000);
    assert_eq!(count_twice(&wide), (5000, 5000));
    assert_eq!(count_twice(&wide.reduce_by_key_in(|a, b| a + b, 3)), (5000 + 3, 3), "many to few");
    let sums = keyed(8).reduce_by_key_in(|a, b| a + b, 5000);
    assert_eq!(count_twice(&sums), (8 + 5000, 5000), "few to many");
    assert_eq!(count_twice(&sums.join(&sums.filter(|e| e.0 > 2))), (5000, 5000));
    assert_eq!(count_twice(&keyed(1500).reduce_by_key(|a, b| a + b)), (1500 + 1500, 1500), "as many on either side");
    let many: Vec<_> = (0..1000).map(|i| sc.range(0..5, 5).map(move |x| (x, i))).collect();
    let all = Rdd::union_all(&many, Site::caller());
    assert_eq!(count_twice(&all.group_by_key_in(2)), (5000 + 2, 2));
    assert_eq!(count_twice(&all.coalesce(4)), (4, 4));
}
#[test]
fn a_shared_shuffle_of_a_diamond_runs_once() {
    let sc = threads(2);
    let (pairs, calls) = counted(&sc);
    let sums = pairs.reduce_by_key_in(|a, b| a + b, 3);
    let left = sums.map(|(k, v)| (v, k)).reduce_by_key_in(|a, _| a, 2);
    let right = sums.map(|(k, v)| (k + v, v)).reduce_by_key_in(|a, _| a, 2);
    let both = left.union(&right).union(&sums);
    // 4 of the shared shuffle, 3 and 3 of the branches, 2 + 3 of the result, as left and right are spread alike.
    assert_eq!(count_twice(&both), (4 + 3 + 3 + 2 + 3, 5));
    assert_eq!(calls.load(SeqCst), 100);
    let doubled = sums.union(&sums).map(|e| e).reduce_by_key_in(|a, b| a + b, 1);
    assert_eq!(count_twice(&doubled), (3 + 1, 1), "merged, as spread alike; nothing above the shuffle is missing");
}
#[test]
fn a_cache_cuts_the_lineage_and_dies_with_the_last_that_reads_it() {
    let sc = threads(2);
    let (pairs, calls) = counted(&sc);
    let cached = pairs.reduce_by_key_in(|a, b| a + b, 3).cache();
    assert_eq!((cached.is_cached(), sc.counts().cached_blocks), (true, 0), "lazy");
    assert_eq!(cached.take(1).unwrap().len(), 1);
    assert_eq!(sc.counts().cached_blocks, 1, "what was computed");
    assert_eq!(tasks(&sc, || cached.materialize().unwrap()), 2, "what was missing");
    assert_eq!(tasks(&sc, || cached.materialize().unwrap()), 0);
    assert_eq!(count_twice(&cached.map(|e| e.1)), (3, 3));
    assert_eq!((calls.load(SeqCst), sc.counts().cached_blocks), (100, 3));
    let above = cached.map(|e| e.1);
    drop((pairs, cached));
    assert_eq!(sc.counts().cached_blocks, 3, "still to be read");
    assert_eq!(above.count().unwrap(), 5);
    assert_eq!(calls.load(SeqCst), 100);
    drop(above);
    assert_eq!(sc.counts().cached_blocks, 0);
}
#[test]
fn a_partly_cached_rdd_computes_the_rest() {
    let sc = threads(1);
    let (pairs, calls) = counted(&sc);
    let cached = pairs.cache();
    cached.take(1).unwrap();
    assert_eq!((calls.load(SeqCst), sc.counts().cached_blocks), (25, 1));
    assert_eq!(cached.coalesce(1).count().unwrap(), 100);
    assert_eq!((calls.load(SeqCst), sc.counts().cached_blocks), (100, 4));
    cached.unpersist();
    assert_eq!(sc.counts().cached_blocks, 0);
    assert_eq!(cached.count().unwrap(), 100);
    assert_eq!((calls.load(SeqCst), sc.counts().cached_blocks), (200, 0));
}
#[test]
fn a_failed_or_cancelled_task_caches_nothing() {
    let sc = threads(1);
    let left = AtomicU64::new(1);
    let cached = sc.range(0..5000, 1).map(move |x| {
        assert!(x != 3000 || left.swap(0, SeqCst) == 0, "the first time only");
        x
    });
    let cached = cached.cache();
    assert!(cached.count().is_err());
    assert_eq!(sc.counts().cached_blocks, 0);
    assert_eq!(cached.count().unwrap(), 5000);
}
#[test]
fn nothing_is_cached_by_a_task_that_outlives_unpersist() {
    // The story: the block arrived after everything was forgotten, and stayed until the context was gone.
    let sc = threads(1);
    let slot = Arc::new(Mutex::new(None::<Rdd<u64>>));
    let s = slot.clone();
    let cached = sc.range(0..10, 1).map(move |x| {
        if let Some(own) = s.lock().unwrap().take() {
            own.unpersist();
        }
        x
    });
    let cached = cached.cache();
    *slot.lock().unwrap() = Some(cached.clone());
    assert_eq!(cached.count().unwrap(), 10);
    assert!(!cached.is_cached());
    assert_eq!(sc.counts().cached_blocks, 0);
}
#[test]
fn take_runs_as_few_partitions_as_it_can() {
    let sc = threads(2);
    let numbers = sc.range(0..100, 100);
    assert_eq!(tasks(&sc, || assert!(numbers.first().is_ok())), 1);
    assert_eq!(tasks(&sc, || drop(numbers.take(0).unwrap())), 0);
    assert_eq!(tasks(&sc, || assert!(!numbers.is_empty().unwrap())), 1);
    assert_eq!(tasks(&sc, || assert_eq!(numbers.take(5).unwrap(), [0, 1, 2, 3, 4])), 1 + 4);
    assert_eq!(tasks(&sc, || assert_eq!(numbers.filter(|x| *x > 20).first().unwrap(), 21)), 1 + 4 + 16 + 64);
    let wide = SparkContext::new(conf("local").set("spark.rdd.limit.initialNumPartitions", 10)).unwrap();
    assert_eq!(tasks(&wide, || assert!(wide.range(0..100, 100).first().is_ok())), 10);
}

#[test]
fn partitions_that_are_read_one_after_another_are_opened_so() {
    // The story: a thousand files coalesced into one partition were all open at once.
    let sc = threads(1);
    let opened = Arc::new(AtomicU64::new(0));
    let o = opened.clone();
    let source = sc.range(0..100, 10).map_partitions(move |it| {
        o.fetch_add(1, SeqCst);
        it.map(|x| (x, x))
    });
    assert_eq!(source.coalesce(1).take(3).unwrap().len(), 3);
    assert_eq!(opened.swap(0, SeqCst), 1);
    let spread = source.partition_by(2);
    let merged = spread.union(&spread.map_values(|_| panic!("not before the first is empty")));
    assert_eq!(merged.take(1).unwrap().len(), 1);
    assert!(merged.coalesce(1).count().is_err());
}

static LIVE: AtomicI64 = AtomicI64::new(0);
/// A record that counts how many of its kind there are.
#[derive(Serialize, Deserialize)]
struct Live(u64);
impl Live {
    fn new(x: u64) -> Self {
        LIVE.fetch_add(1, SeqCst);
        Live(x)
    }
}
impl Clone for Live {
    fn clone(&self) -> Self {
        Live::new(self.0)
    }
}
impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, SeqCst);
    }
}
#[test]
fn what_nobody_refers_to_is_freed() {
    for n in [1, 2, 3] {
        let sc = threads(n);
        let check = |expect, when| assert_eq!(LIVE.load(SeqCst), expect, "{when}, {n} threads");
        let source = sc.range(0..1000, 4).map(|x| (x % 10, Live::new(x)));
        let sums = source.reduce_by_key_in(|a, b| Live::new(a.0 + b.0), 3);
        assert_eq!(sums.count().unwrap(), 10);
        check(40, "map outputs stay with their shuffle");
        let groups = source.partition_by(2).cache();
        assert_eq!(groups.count().unwrap(), 1000);
        check(40 + 1000, "a cached shuffle shares its records with the map outputs");
        drop(sums);
        check(1000, "a shuffle without a reader is gone");
        drop(groups);
        check(0, "and so is a cache");
        let failing = source.reduce_by_key(|a, _| a).map(|e| if e.0 == 9 { panic!("nine") } else { e });
        assert!(failing.count().is_err());
        drop(failing);
        check(0, "after a failure too");
        let collected = source.partition_by(2).collect().unwrap();
        check(1000, "what was collected is the caller's");
        drop(collected);
        check(0, "in the end");
    }
}
