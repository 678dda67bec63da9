//! Operators whose function may fail on a record: fail, skip, dead letters.
mod common;
use common::*;
use proptest::prelude::*;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use winterbourne_engine::{BoxError, OnBadRecord};
use winterbourne_streaming::{BadRecord, Error, seconds};

fn parse(s: &str) -> Result<u32, std::num::ParseIntError> {
    s.parse()
}
fn all(line: &str) -> Result<Vec<u32>, std::num::ParseIntError> {
    line.split(' ').map(parse).collect()
}

#[test]
fn try_filter_and_try_flat_map_skip_and_count() {
    let mut tester = tester(&[]);
    let (feed, lines) = tester.input::<&'static str>();
    let large = tester.output(&lines.try_filter(OnBadRecord::Skip, |s| parse(s).map(|n| n > 5)));
    let numbers = tester.output(&lines.try_flat_map(OnBadRecord::Skip, all));
    for batch in [vec!["7", "x", "1"], vec!["8 9", "1 x"], vec![]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    assert_eq!(large.take(), [vec!["7"], vec![], vec![]]);
    assert_eq!(numbers.take(), [vec![7, 1], vec![8, 9], vec![]]);
    // "x" by both; "8 9" and "1 x" by the filter, "1 x" by the other.
    assert_eq!(tester.context().status().skipped_records, 2 + 3);
}
#[test]
fn what_is_computed_again_in_a_later_batch_is_counted_once() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input();
    let numbers = stream.try_map(OnBadRecord::Skip, |s: String| parse(&s));
    let now = tester.output(&numbers);
    // Reads the first batch of two when the second one runs.
    let sums =
        tester.output(&numbers.map(|n| ((), n)).reduce_by_key_and_window_by(|a, b| a + b, seconds(2), seconds(2)));
    for (batch, skipped) in [(["1", "x"], 1), (["y", "z"], 3), (["2", "3"], 3), (["4", "w"], 4)] {
        feed.push(batch.map(str::to_owned));
        tester.step().unwrap();
        assert_eq!(tester.context().status().skipped_records, skipped);
    }
    assert_eq!(now.take_sorted(), [vec![1], vec![], vec![2, 3], vec![4]]);
    assert_eq!(sums.take(), [[((), 1)], [((), 9)]]);
}
#[test]
fn what_is_skipped_is_counted_where_a_partition_is_not_read_to_its_end() {
    // Twenty good ones, and a bad one after every fourth.
    let lines: Vec<&str> = (0..25).map(|i| if i % 5 == 4 { "x" } else { "1" }).collect();
    for first in [false, true] {
        let mut tester = tester(&[]);
        tester.context().set_console(std::io::sink());
        let (feed, stream) = tester.input::<&'static str>();
        let numbers = stream.try_map(OnBadRecord::Skip, parse);
        match first {
            false => numbers.print(),
            true => numbers.foreach_rdd(|rdd, _| {
                assert_eq!(rdd.first()?, 1);
                Ok(())
            }),
        }
        feed.partitions(1).push(lines.clone());
        tester.step().unwrap();
        assert_eq!(tester.context().status().skipped_records, 5, "first: {first}");
    }
}
#[test]
fn what_several_jobs_read_in_part_is_counted_once_and_what_is_read_later_when_it_is() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<String>();
    let numbers = stream.try_map(OnBadRecord::Skip, |s: String| parse(&s));
    // More than the chunk that the first record is found in.
    let lines: Vec<String> = (0..20_000).map(|i| if i % 100 == 3 { "x".into() } else { i.to_string() }).collect();
    numbers.foreach_rdd(|rdd, _| {
        assert_eq!(rdd.first()?, 0);
        Ok(())
    });
    // Reads both batches in full when the second one is there.
    numbers.map(|n| n).window_by(seconds(2), seconds(2)).foreach_rdd(|rdd, _| Ok(rdd.foreach(drop)?));
    numbers.foreach_rdd(|rdd, _| {
        assert_eq!(rdd.first()?, 0);
        Ok(())
    });
    let feed = feed.partitions(1);
    feed.push(lines.clone());
    tester.step().unwrap();
    let first = tester.context().status().skipped_records;
    assert!((1..200).contains(&first), "{first}");
    feed.push(lines);
    tester.step().unwrap();
    assert_eq!(tester.context().status().skipped_records, 2 * 200);
}
#[test]
fn a_record_that_fails_fails_the_batch_with_its_error() {
    for flat in [false, true] {
        let mut tester = tester(&[]);
        let (feed, lines) = tester.input::<&'static str>();
        match flat {
            false => {
                lines.try_filter(OnBadRecord::Fail, |s| parse(s).map(|_| true)).foreach_rdd(|r, _| Ok(r.foreach(drop)?))
            }
            true => lines.try_flat_map(OnBadRecord::Fail, all).foreach_rdd(|r, _| Ok(r.foreach(drop)?)),
        }
        feed.push(["1", "x"]);
        let error = tester.step().unwrap_err();
        assert!(matches!(&error, Error::Batch(e) if e.time == at(1)), "{error}");
        assert!(error.to_string().contains("invalid digit"), "{error}");
        assert_eq!(tester.context().status().skipped_records, 0);
    }
}
#[test]
fn try_filter_keeps_the_partitioner_and_try_map_does_not() {
    let mut tester = tester(&[]);
    let (feed, s) = tester.input::<(u8, u8)>();
    let (tell, told) = std::sync::mpsc::channel();
    let sums = s.reduce_by_key(|a, b| a + b);
    let (filter, letters, map) = (tell.clone(), tell.clone(), tell);
    sums.try_filter(OnBadRecord::Skip, |_| Ok::<_, BoxError>(true))
        .foreach_rdd(move |r, _| Ok(filter.send(r.partitioner().is_some())?));
    let (good, dead) = sums.try_filter_or_letter(|_| Ok::<_, BoxError>(true));
    let kept = letters.clone();
    good.foreach_rdd(move |r, _| Ok(kept.send(r.partitioner().is_some())?));
    dead.foreach_rdd(move |r, _| Ok(letters.send(r.partitioner().is_some())?));
    sums.try_map(OnBadRecord::Skip, Ok::<_, BoxError>)
        .foreach_rdd(move |r, _| Ok(map.send(r.partitioner().is_some())?));
    feed.push([(1, 1)]);
    tester.step().unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [true, true, false, false]);
}
#[test]
fn one_record_may_become_very_many() {
    let got = batches([vec![5000u32, 0, 3000]], |s| s.try_flat_map(OnBadRecord::Fail, |n| Ok::<_, BoxError>(0..n)));
    assert_eq!(got, [(0..5000).chain(0..3000).collect::<Vec<_>>()]);
}
#[test]
fn a_dead_letter_has_the_record_the_error_the_operator_and_the_batch() {
    let mut tester = tester(&[]);
    let (feed, lines) = tester.input::<&'static str>();
    let (numbers, letters) = lines.uid("lines").try_map_or_letter(|s| parse(s));
    let (numbers, letters) = (tester.output(&numbers), tester.output(&letters));
    feed.push(["1", "x"]);
    feed.push(["2"]);
    feed.push(["y", "z"]);
    tester.steps(3).unwrap();
    assert_eq!(numbers.take(), [vec![1], vec![2], vec![]]);
    let letters = letters.take().concat();
    let operator = letters[0].operator.clone();
    assert!(operator.starts_with("try_map_or_letter-"), "{operator}");
    let letter = |record, t| BadRecord {
        record,
        error: "invalid digit found in string".into(),
        operator: operator.clone(),
        time: at(t),
    };
    assert_eq!(letters, [letter("x", 1), letter("y", 3), letter("z", 3)]);
    assert_eq!(tester.context().status().skipped_records, 3);
}
#[test]
fn letters_of_a_filter_and_of_a_flat_map_have_all_four_fields_too() {
    let mut tester = tester(&[]);
    let (feed, lines) = tester.input::<&'static str>();
    let lines = lines.uid("lines");
    let (large, unclear) = lines.try_filter_or_letter(|s| parse(s).map(|n| n > 5));
    let (numbers, mixed) = lines.try_flat_map_or_letter(|s| all(s));
    let (large, numbers) = (tester.output(&large), tester.output(&numbers));
    let letters =
        [("try_filter_or_letter", tester.output(&unclear)), ("try_flat_map_or_letter", tester.output(&mixed))];
    for batch in [vec!["1", "x", "7"], vec!["2"], vec!["y", "9"]] {
        feed.push(batch);
    }
    tester.steps(3).unwrap();
    assert_eq!(
        (large.take(), numbers.take()),
        (vec![vec!["7"], vec![], vec!["9"]], vec![vec![1, 7], vec![2], vec![9]])
    );
    for (kind, letters) in letters {
        let letters = letters.take().concat();
        let operator = letters[0].operator.clone();
        assert!(operator.starts_with(&format!("{kind}-")), "{operator}");
        let letter = |record, t| BadRecord {
            record,
            error: "invalid digit found in string".into(),
            operator: operator.clone(),
            time: at(t),
        };
        assert_eq!(letters, [letter("x", 1), letter("y", 3)]);
    }
    assert_eq!(tester.context().status().skipped_records, 2 * 2);
}
#[test]
fn the_operator_of_a_dead_letter_is_the_same_whatever_is_beside_it() {
    let operator = |beside: bool| {
        let mut tester = tester(&[]);
        if beside {
            tester.output(&tester.input::<u8>().1.uid("other").map(|x| x + 1));
        }
        let (feed, lines) = tester.input::<&'static str>();
        let (_, letters) = lines.uid("lines").try_flat_map_or_letter(|s| all(s));
        let out = tester.output(&letters);
        feed.push(["1 x"]);
        tester.step().expect("a good batch");
        out.take()[0][0].operator.clone()
    };
    assert_eq!(operator(false), operator(true));
}
#[test]
fn dead_letters_say_which_of_two_operators_of_a_kind_they_are_of() {
    let mut tester = tester(&[]);
    let (feed, lines) = tester.input::<&'static str>();
    let lines = lines.uid("lines");
    let letters =
        [lines.map(|s| s), lines.filter(|_| true)].map(|s| tester.output(&s.try_map_or_letter(|s| parse(s)).1));
    feed.push(["x"]);
    tester.step().unwrap();
    let [a, b] = letters.map(|out| out.take()[0][0].operator.clone());
    assert_ne!(a, b);
}
#[test]
fn what_a_batch_set_aside_has_left_out_counts_when_it_is_done() {
    let mut tester = tester(&[("spark.streaming.batch.onFailure", "skip"), ("spark.streaming.batch.maxAttempts", "1")]);
    let (feed, stream) = tester.input::<&'static str>();
    let mut broken = true;
    stream.try_map(OnBadRecord::Skip, parse).foreach_rdd(move |rdd, _| {
        rdd.foreach(drop)?;
        if std::mem::replace(&mut broken, false) { Err("not yet".into()) } else { Ok(()) }
    });
    feed.push(["1", "x"]);
    feed.push(["2"]);
    tester.step().unwrap_err();
    tester.step().unwrap();
    assert_eq!(tester.context().status().skipped_records, 0);
    assert!(tester.run().rerun(at(1)).unwrap());
    assert_eq!(tester.context().status().skipped_records, 1);
}
#[test]
fn what_is_read_in_part_after_it_was_read_in_full_changes_no_count() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<String>();
    let numbers = stream.try_map(OnBadRecord::Skip, |s: String| parse(&s));
    numbers.foreach_rdd(|rdd, _| Ok(rdd.foreach(drop)?));
    tester.context().remember(seconds(10));
    let feed = feed.partitions(1);
    for n in 1..=3 {
        feed.push((0..20_000).map(|i| if i % 100 == 3 { "x".into() } else { i.to_string() }));
        let time = tester.step().unwrap();
        assert_eq!(tester.context().status().skipped_records, n * 200);
        assert_eq!(numbers.slice_between(time, time).unwrap()[0].first().unwrap(), 0);
    }
}
#[test]
fn records_and_letters_come_from_one_pass() {
    let mut tester = tester(&[]);
    let (feed, lines) = tester.input::<&'static str>();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let (numbers, letters) = lines.try_map_or_letter(move |s| {
        // Good only the first time it is asked: two passes would lose the record, or have it twice.
        if calls.fetch_add(1, Relaxed) == 0 { parse(s) } else { parse("never again") }
    });
    let outs = [tester.output(&numbers), tester.output(&numbers.window(seconds(2)))];
    let letters = tester.output(&letters);
    feed.push(["1"]);
    tester.step().unwrap();
    assert_eq!((outs[0].take(), outs[1].take(), letters.take().concat().len()), (vec![vec![1]], vec![vec![1]], 0));
    assert_eq!(seen.load(Relaxed), 1);
}
#[test]
fn letters_are_kept_no_longer_than_their_batch() {
    let mut tester = tester(&[]);
    let (feed, lines) = tester.input::<&'static str>();
    let (numbers, letters) = lines.try_map_or_letter(|s| parse(s));
    let (_n, _l) = (tester.output(&numbers), tester.output(&letters));
    for _ in 0..10 {
        feed.push(["1", "x"]);
        tester.step().unwrap();
    }
    let blocks = tester.context().spark_context().counts().cached_blocks;
    assert!(blocks <= 4, "{blocks} blocks");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_may_fail_equals_its_twin(
        input in prop::collection::vec(prop::collection::vec(0u32..2000, 0..40), 1..4),
        (partitions, threads, bad) in (1usize..5, 1usize..4, 2u32..7),
    ) {
        let mut tester = tester(&[("spark.master", &format!("local[{threads}]"))]);
        let (feed, s) = tester.input::<u32>();
        let feed = feed.partitions(partitions);
        let check = move |x: u32| if x.is_multiple_of(bad) { Err(format!("{x}")) } else { Ok(x) };
        let (good, letters) = s.try_flat_map_or_letter(move |x| check(*x).map(|x| 0..x));
        let (good, letters) = (tester.output(&good), tester.output(&letters));
        let flat = tester.output(&s.try_flat_map(OnBadRecord::Skip, move |x| check(x).map(|x| 0..x)));
        let even = tester.output(&s.try_filter(OnBadRecord::Skip, move |x| check(*x).map(|x| x % 2 == 0)));
        for batch in &input {
            feed.push(batch.iter().copied());
            tester.step().unwrap();
        }
        let (good, letters, flat, even) = (good.take(), letters.take(), flat.take(), even.take());
        for (i, batch) in input.iter().enumerate() {
            let ok: Vec<u32> = batch.iter().copied().filter(|x| x % bad != 0).collect();
            let expect: Vec<u32> = ok.iter().flat_map(|x| 0..*x).collect();
            prop_assert_eq!(&good[i], &expect);
            prop_assert_eq!(&flat[i], &expect);
            prop_assert_eq!(&even[i], &ok.into_iter().filter(|x| x % 2 == 0).collect::<Vec<_>>());
            let dead: Vec<(u32, String)> = letters[i].iter().map(|l| (l.record, l.error.clone())).collect();
            let expect: Vec<(u32, String)> =
                batch.iter().filter(|x| *x % bad == 0).map(|x| (*x, x.to_string())).collect();
            prop_assert_eq!(dead, expect);
        }
        let dead = input.concat().iter().filter(|x| *x % bad == 0).count() as u64;
        prop_assert_eq!(tester.context().status().skipped_records, 3 * dead);
    }
}
