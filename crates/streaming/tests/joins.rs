//! Streams brought together by key: `cogroup` and joins, beside dull twins.
mod common;
use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use winterbourne_streaming::{DStream, seconds};
use winterbourne_testkit::{Batches, StreamTester, TestOutput};

type Left = (u8, u16);
type Right = (u8, char);
type Joined = (u8, (Option<u16>, Option<char>));
type Both = (Vec<u16>, Vec<char>);
type Batch<T> = Option<Vec<T>>;

/// All five, made comparable: joins as pairs of options.
struct Outs {
    cogroup: TestOutput<(u8, Both)>,
    joins: Vec<TestOutput<Joined>>,
}
fn outs(t: &StreamTester, a: &DStream<Left>, b: &DStream<Right>, n: Option<usize>) -> Outs {
    let n = n.unwrap_or(t.context().spark_context().default_parallelism());
    let joins = [
        a.join_in(b, n).map_values(|(v, w)| (Some(v), Some(w))),
        a.left_outer_join_in(b, n).map_values(|(v, w)| (Some(v), w)),
        a.right_outer_join_in(b, n).map_values(|(v, w)| (v, Some(w))),
        a.full_outer_join_in(b, n),
    ];
    Outs { cogroup: t.output(&a.cogroup_in(b, n)), joins: joins.iter().map(|s| t.output(s)).collect() }
}
type Groups = BTreeMap<u8, Both>;
fn groups(a: &Batch<Left>, b: &Batch<Right>) -> Groups {
    let mut all = Groups::new();
    a.iter().flatten().for_each(|(k, v)| all.entry(*k).or_default().0.push(*v));
    b.iter().flatten().for_each(|(k, w)| all.entry(*k).or_default().1.push(*w));
    all
}
/// Every pair, by nested loops; a side that may be missing is `None` once where it is.
fn joined(all: &Groups, keep_left: bool, keep_right: bool) -> Vec<Joined> {
    let mut out = Vec::new();
    for (k, (left, right)) in all {
        let some = |n: usize, keep: bool| n > 0 || keep;
        if !some(left.len(), keep_right) || !some(right.len(), keep_left) {
            continue;
        }
        for i in 0..left.len().max(1) {
            for j in 0..right.len().max(1) {
                out.push((*k, (left.get(i).copied(), right.get(j).copied())));
            }
        }
    }
    out.sort();
    out
}
/// What must come out at a time: `None` where there is nothing to do.
fn expected(a: &Batch<Left>, b: &Batch<Right>) -> (Option<Groups>, [Option<Vec<Joined>>; 4]) {
    let (all, left, right) = (groups(a, b), a.is_some(), b.is_some());
    let joins = [
        (left && right).then(|| joined(&all, false, false)),
        left.then(|| joined(&all, true, false)),
        right.then(|| joined(&all, false, true)),
        (left || right).then(|| joined(&all, true, true)),
    ];
    ((left || right).then_some(all), joins)
}
fn by_second<T: Ord + Clone>(out: &TestOutput<T>) -> BTreeMap<u64, Vec<T>> {
    let timed: Batches<T> = out.take_timed();
    timed
        .into_iter()
        .map(|(t, mut records)| {
            records.sort();
            (second(t), records)
        })
        .collect()
}

#[test]
fn joins_pair_the_values_of_equal_keys_of_each_batch() {
    let mut tester = tester(&[]);
    let ((left, a), (right, b)) = (tester.input::<Left>(), tester.input::<Right>());
    let (inner, outer) = (tester.output(&a.join(&b)), tester.output(&a.left_outer_join(&b)));
    let (right_outer, full) = (tester.output(&a.right_outer_join(&b)), tester.output(&a.full_outer_join(&b)));
    let cogroup = tester.output(&a.cogroup(&b));
    left.push([(1, 10), (2, 20), (1, 11)]);
    right.push([(1, 'x'), (3, 'z'), (1, 'y')]);
    left.push([(3, 30)]);
    tester.steps(3).unwrap();
    let pairs = vec![(1, (10, 'x')), (1, (10, 'y')), (1, (11, 'x')), (1, (11, 'y'))];
    assert_eq!(inner.take_sorted(), [pairs, vec![], vec![]]);
    let outer = outer.take_sorted();
    assert_eq!((outer[0].len(), outer[0][4], outer[1][0]), (5, (2, (20, None)), (3, (30, None))));
    let right_outer = right_outer.take_sorted();
    assert_eq!((right_outer[0].len(), right_outer[0][4], right_outer[1].len()), (5, (3, (None, 'z')), 0));
    let full = full.take_sorted();
    assert_eq!((full[0].len(), full[1][0], full[2].len()), (6, (3, (Some(30), None)), 0));
    let groups = vec![(1, (vec![10, 11], vec!['x', 'y'])), (2, (vec![20], vec![])), (3, (vec![], vec!['z']))];
    assert_eq!(cogroup.take_sorted(), [groups, vec![(3, (vec![30], vec![]))], vec![]]);
}
#[test]
fn a_stream_joins_itself_and_other_windows() {
    let mut tester = tester(&[]);
    let (feed, s) = tester.input::<(u8, u8)>();
    let itself = tester.output(&s.join(&s));
    let before = tester.output(&s.join(&s.window(seconds(2))));
    feed.push([(1, 1)]);
    feed.push([(1, 2)]);
    tester.steps(2).unwrap();
    assert_eq!(itself.take(), [[(1, (1, 1))], [(1, (2, 2))]]);
    assert_eq!(before.take_sorted(), [vec![(1, (1, 1))], vec![(1, (2, 1)), (1, (2, 2))]]);
}
#[test]
fn joins_want_equal_slides_and_one_context() {
    let errors = refused("joins.rs", |t| {
        let (_, s) = t.input::<(u8, u8)>();
        let slow = s.window_by(seconds(2), seconds(2));
        s.cogroup(&slow).foreach_rdd(|_, _| Ok(()));
        slow.join(&s).foreach_rdd(|_, _| Ok(()));
        s.left_outer_join(&slow).foreach_rdd(|_, _| Ok(()));
        s.right_outer_join(&slow).foreach_rdd(|_, _| Ok(()));
        s.full_outer_join(&slow).foreach_rdd(|_, _| Ok(()));
        s.join(&tester(&[]).input::<(u8, u8)>().1).foreach_rdd(|_, _| Ok(()));
    });
    let slides = "some of the DStreams have different slide durations";
    let expect = [
        format!("cogroup: {slides} (1000 ms and 2000 ms)"),
        format!("join: {slides} (2000 ms and 1000 ms)"),
        format!("left_outer_join: {slides} (1000 ms and 2000 ms)"),
        format!("right_outer_join: {slides} (1000 ms and 2000 ms)"),
        format!("full_outer_join: {slides} (1000 ms and 2000 ms)"),
        "join: the DStreams belong to different contexts".to_owned(),
    ];
    assert_eq!(errors.len(), expect.len(), "{errors:?}");
    for (error, expect) in errors.iter().zip(&expect) {
        assert!(error.starts_with(expect), "{error}");
    }
}
#[test]
fn streams_that_are_spread_alike_are_joined_without_a_shuffle() {
    let mut tester = tester(&[]);
    let (feed, s) = tester.input::<(u8, u8)>();
    let (tell, told) = std::sync::mpsc::channel();
    let sums = s.reduce_by_key_in(|a, b| a + b, 3);
    let joined = sums.join_in(&sums.map_values(|v| v * 2), 3);
    joined.foreach_rdd(move |rdd, _| Ok(tell.send((rdd.to_debug_string(), rdd.collect()?))?));
    feed.push([(1, 1), (1, 2)]);
    tester.step().unwrap();
    let (lineage, records) = told.recv().unwrap();
    assert_eq!((lineage.matches("+-").count(), records), (1, vec![(1, (3, 6))]), "{lineage}");
}

fn batches_of<T: Clone + std::fmt::Debug>(record: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<Batch<T>>> {
    let batch = prop::collection::vec(record, 0..8);
    prop::collection::vec(prop::option::weighted(0.7, batch), 5)
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn joins_equal_their_twins_where_sides_may_have_nothing_to_do(
        left in batches_of((0u8..5, any::<u16>())),
        right in batches_of((0u8..5, prop::char::range('a', 'e'))),
        (n, threads) in (prop::option::of(1usize..6), 1usize..4),
    ) {
        let mut tester = tester(&[("spark.master", &format!("local[{threads}]"))]);
        let a = tester.context().input_stream("left", Given::new(left.clone()));
        let b = tester.context().input_stream("right", Given::new(right.clone()));
        let outs = outs(&tester, &a, &b, n);
        tester.steps(left.len()).unwrap();
        let cogroup = by_second(&outs.cogroup);
        let joins: Vec<_> = outs.joins.iter().map(by_second).collect();
        for (t, (a, b)) in (1..).zip(left.iter().zip(&right)) {
            let (groups, expect) = expected(a, b);
            prop_assert_eq!(cogroup.get(&t).cloned(), groups.map(|g| g.into_iter().collect::<Vec<_>>()));
            for (joined, expect) in joins.iter().zip(&expect) {
                prop_assert_eq!(joined.get(&t), expect.as_ref(), "at {}", t);
            }
        }
    }
    #[test]
    fn joins_of_windows_equal_their_twins(
        left in prop::collection::vec(prop::collection::vec((0u8..4, any::<u16>()), 0..5), 6),
        right in prop::collection::vec(prop::collection::vec((0u8..4, prop::char::range('a', 'e')), 0..5), 6),
        (of_left, of_right, slide) in (1u64..4, 1u64..4, 1u64..3),
        (partitions, n, threads) in (1usize..4, 1usize..6, 1usize..4),
    ) {
        let mut tester = tester(&[("spark.master", &format!("local[{threads}]"))]);
        let ((feed_a, a), (feed_b, b)) = (tester.input::<Left>(), tester.input::<Right>());
        let (feed_a, feed_b) = (feed_a.partitions(partitions), feed_b.partitions(partitions + 1));
        let (a, b) = (a.window_by(seconds(of_left), seconds(slide)), b.window_by(seconds(of_right), seconds(slide)));
        let outs = outs(&tester, &a, &b, Some(n));
        for (a, b) in left.iter().zip(&right) {
            feed_a.push(a.iter().copied());
            feed_b.push(b.iter().copied());
            tester.step().unwrap();
        }
        let cogroup = by_second(&outs.cogroup);
        let joins: Vec<_> = outs.joins.iter().map(by_second).collect();
        for t in 1..=left.len() {
            if t % slide as usize != 0 {
                prop_assert!(!cogroup.contains_key(&(t as u64)));
                continue;
            }
            let from = |window: u64| t.saturating_sub(window as usize);
            let (groups, expect) = expected(&Some(left[from(of_left)..t].concat()), &Some(right[from(of_right)..t].concat()));
            prop_assert_eq!(cogroup.get(&(t as u64)).cloned(), groups.map(|g| g.into_iter().collect::<Vec<_>>()));
            for (joined, expect) in joins.iter().zip(&expect) {
                prop_assert_eq!(joined.get(&(t as u64)), expect.as_ref(), "at {}", t);
            }
        }
    }
}
