//! Windows by inverse: they equal those that reduce everything anew, whatever fails and whenever the program ends.
mod common;
use common::*;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use winterbourne_base::ManualClock;
use winterbourne_engine::SparkContext;
use winterbourne_streaming::{DStream, Error, InverseOptions, StreamingContext, milliseconds, seconds};

const VOLATILE: Settings<'_> = &[("spark.streaming.state.volatile", "true")];
type Pairs = Vec<(u64, i64)>;

fn add(a: i64, b: i64) -> i64 {
    a + b
}
fn take(a: i64, b: i64) -> i64 {
    a - b
}
/// What the windows hold, at each slide, those without a batch of a key left out; `None` is a batch without an RDD.
fn twin(batches: &[Option<Pairs>], window: usize, slide: usize) -> Vec<Pairs> {
    (1..=batches.len())
        .filter(|t| t % slide == 0)
        .map(|t| {
            let mut sums = BTreeMap::new();
            for (k, v) in batches[t.saturating_sub(window)..t].iter().flatten().flatten() {
                *sums.entry(*k).or_default() += v;
            }
            sums.into_iter().collect()
        })
        .collect()
}

#[test]
fn a_window_by_inverse_keeps_what_has_left_and_a_filter_drops_it() {
    let mut tester = tester(VOLATILE);
    let (feed, stream) = tester.input::<(u64, i64)>();
    let all = tester.output(&stream.reduce_by_key_and_window_inverse(add, take, seconds(2), seconds(1)));
    let keep = InverseOptions::default().filter(|_, n| *n != 0).num_partitions(3);
    let some = tester.output(&stream.reduce_by_key_and_window_inverse_with(add, take, seconds(2), seconds(1), keep));
    for batch in [vec![(1, 1), (2, 2), (1, 3)], vec![(2, 5)], vec![], vec![(1, 7)]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    let expect = [[(1, 4), (2, 2)], [(1, 4), (2, 7)], [(1, 0), (2, 5)], [(1, 7), (2, 0)]];
    assert_eq!(all.take_sorted(), expect);
    assert_eq!(some.take_sorted(), [vec![(1, 4), (2, 2)], vec![(1, 4), (2, 7)], vec![(2, 5)], vec![(1, 7)]]);
}
#[test]
fn a_filter_that_hides_a_key_inside_the_window_harms_no_later_batch() {
    let mut tester = tester(VOLATILE);
    let (feed, stream) = tester.input::<(u64, i64)>();
    let large = InverseOptions::default().filter(|_, n| *n > 10);
    let out = tester.output(&stream.reduce_by_key_and_window_inverse_with(add, take, seconds(3), seconds(1), large));
    for batch in [vec![(1, 8)], vec![(1, 9)], vec![], vec![], vec![(1, 4)], vec![], vec![], vec![(1, 11)]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    let none = Vec::new;
    let expect = [none(), vec![(1, 17)], vec![(1, 17)], none(), none(), none(), none(), vec![(1, 11)]];
    assert_eq!(out.take(), expect);
}
#[test]
fn reduce_and_count_by_window_say_nothing_before_the_first_record_and_zero_after_the_last() {
    let mut tester = tester(VOLATILE);
    let (feed, stream) = tester.input::<i64>();
    let sums = tester.output(&stream.reduce_by_window_inverse(add, take, seconds(2), seconds(1)));
    let counts = tester.output(&stream.count_by_window(seconds(2), seconds(1)));
    let values = tester.output(&stream.count_by_value_and_window_in(seconds(2), seconds(1), 2));
    for batch in [vec![], vec![4, 4], vec![5], vec![], vec![]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    assert_eq!(sums.take(), [vec![], vec![8], vec![13], vec![5], vec![0]]);
    assert_eq!(counts.take(), [vec![], vec![2], vec![3], vec![1], vec![0]]);
    assert_eq!(values.take_sorted(), [vec![], vec![(4, 2)], vec![(4, 2), (5, 1)], vec![(5, 1)], vec![]]);
}
#[test]
fn a_slide_longer_than_its_window_leaves_out_what_lies_between() {
    let mut tester = tester(VOLATILE);
    let (feed, stream) = tester.input::<i64>();
    let counts = tester.output(&stream.count_by_window(seconds(1), seconds(2)));
    for batch in [vec![1], vec![1, 1], vec![1], vec![1, 1], vec![], vec![]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    assert_eq!(counts.take(), [[2], [2], [0]]);
}
#[test]
fn durations_that_do_not_fit_and_state_without_a_directory_are_refused() {
    let said = refused("tests/inverse.rs", |tester| {
        let (_, stream) = tester.input::<(u64, i64)>();
        stream.reduce_by_key_and_window_inverse(add, take, milliseconds(1500), seconds(1)).volatile().print();
        stream.count_by_window(seconds(2), milliseconds(700)).volatile().print();
        stream.count_by_value_and_window_in(seconds(2), seconds(1), 0).volatile().print();
    });
    assert!(said[0].contains("the window duration (1500 ms) must be a positive multiple"), "{said:?}");
    assert!(said[1].contains("the slide duration (700 ms)") && said[2].contains("asked for 0 partitions"), "{said:?}");
    let (_, ssc) = manual(&[]);
    let (_, numbers) = queue(&ssc);
    out(&numbers.count_by_window(seconds(2), seconds(1)));
    let Err(Error::Graph(errors)) = ssc.start_stepped() else { panic!("it was not refused") };
    assert!(errors[0].what.contains("ssc.checkpoint("), "{errors:?}");
}
#[test]
fn a_batch_that_was_set_aside_enters_and_leaves_as_in_a_window_that_reduces_anew() {
    let settings =
        [VOLATILE[0], ("spark.streaming.batch.onFailure", "skip"), ("spark.streaming.batch.maxAttempts", "1")];
    for failing in [vec![2], vec![3, 4], vec![1], vec![5]] {
        for rerun_after in [5, 6] {
            let mut tester = tester(&settings);
            let (feed, stream) = tester.input::<(u64, i64)>();
            let keep = InverseOptions::default().filter(|_, n| *n != 0);
            let by_inverse = stream.reduce_by_key_and_window_inverse_with(add, take, seconds(3), seconds(1), keep);
            let anew = stream.reduce_by_key_and_window(add, seconds(3));
            let faults = Faults::default();
            let trip = faults.clone();
            by_inverse.foreach_rdd(move |rdd, _| {
                rdd.count()?;
                trip.meet("output")
            });
            let outs = (tester.output(&by_inverse), tester.output(&anew));
            for n in 1..=10 {
                if failing.contains(&n) {
                    faults.add("output");
                }
                feed.push([(n % 3, 1 << n), (7, 1)]);
                assert_eq!(tester.step().is_err(), failing.contains(&n));
                if n == rerun_after {
                    for n in &failing {
                        assert!(tester.run().rerun(at(*n)).unwrap());
                    }
                }
            }
            let got = (outs.0.take_sorted(), outs.1.take_sorted());
            assert_eq!(got.0, got.1, "{failing:?} run again after {rerun_after}");
        }
    }
}

/// What comes out of each kind of window in a batch: with a filter; without, keys that come to nothing left out and
/// counted; the sum; the count; how often each.
type Seen = (Pairs, Pairs, usize, Vec<i64>, Vec<u64>, Vec<((u64, i64), u64)>);
/// A program over what is on the tape, from one batch to another; what comes out of it.
fn run_windows(place: &str, tape: &Tape, (from, to): (u64, u64), window: u64) -> Vec<Seen> {
    let clock = ManualClock::new(at(from));
    let mut outs = None;
    let ssc = StreamingContext::get_or_create(place, || {
        let sc = SparkContext::new(conf(&[]))?;
        let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
        let pairs: DStream<(u64, i64)> = ssc.input_stream("tape", tape.input()).map(|x| (x / 10, (x % 10) as i64));
        let keep = InverseOptions::default().filter(|_, n| *n != 0);
        let (w, s) = (seconds(window), seconds(1));
        let some = pairs.reduce_by_key_and_window_inverse_with(add, take, w, s, keep).uid("some").checkpoint(s);
        let all = pairs.reduce_by_key_and_window_inverse(add, take, w, s).uid("all");
        let sums = pairs.map(|(_, n)| n).reduce_by_window_inverse(add, take, w, s);
        let counts = (pairs.count_by_window(w, s), pairs.count_by_value_and_window(w, s));
        outs = Some((send(&some), send(&all), send(&sums), send(&counts.0), send(&counts.1)));
        Ok(ssc)
    })
    .expect("built");
    let (some, all, sums, counts, values) = outs.expect("built");
    let mut steps = ssc.start_stepped().expect("a start");
    let mut seen = Vec::new();
    while seen.len() < (to - from) as usize {
        let t = second(steps.step().expect("a batch"));
        let (mut some, mut all, mut values) = (next(&some).1, next(&all).1, next(&values).1);
        some.sort();
        all.sort();
        values.sort();
        let keys = all.len();
        all.retain(|(_, n)| *n != 0);
        let now = (some, all, keys, next(&sums).1, next(&counts).1, values);
        if t > from {
            seen.push(now);
        }
    }
    seen
}
/// Batch n: a key of its own, one of three batches, one of all; from 1 on.
fn some_of_all() -> (Vec<Vec<(u64, i64)>>, Tape) {
    let batches: Vec<_> = (1..=30u64).map(|n| vec![(n, 3), (40 + n / 3, 2), (60, (n % 7) as i64 + 1)]).collect();
    let tape = Tape::default();
    batches.iter().for_each(|b| tape.push(b.iter().map(|(k, n)| k * 10 + *n as u64)));
    (batches, tape)
}
/// What windows should hold that end with the n-th of these batches.
fn expected(batches: &[Pairs], n: usize, window: usize) -> Seen {
    let all: Vec<Option<Pairs>> = batches[..n].iter().cloned().map(Some).collect();
    let sums = twin(&all, window, 1).pop().expect("there are batches");
    let inside = batches[n.saturating_sub(window)..n].concat();
    let ever = batches[..n].concat().into_iter().map(|(k, _)| k).collect::<BTreeSet<_>>().len();
    let mut values = BTreeMap::new();
    inside.iter().for_each(|x| *values.entry(*x).or_default() += 1);
    let (sum, count) = (inside.iter().map(|(_, n)| n).sum(), inside.len() as u64);
    (sums.clone(), sums, ever, vec![sum], vec![count], values.into_iter().collect())
}
#[test]
fn a_shorter_window_after_a_restart_holds_nothing_of_the_longer_one() {
    let (batches, tape) = some_of_all();
    for (before, after) in [(10, 2), (10, 1), (4, 1)] {
        let dir = TempDir::new();
        let first = run_windows(&dir.at("a"), &tape, (0, 15), before);
        for (n, got) in (1..).zip(first) {
            assert_eq!(got, expected(&batches, n, before as usize), "batch {n}, before");
        }
        for (n, got) in (16..).zip(run_windows(&dir.at("a"), &tape, (15, 21), after)) {
            assert_eq!(got, expected(&batches, n, after as usize), "batch {n}, {before} s, then {after} s");
        }
    }
}
#[test]
fn a_longer_window_after_a_restart_fills_up() {
    let (batches, tape) = some_of_all();
    let dir = TempDir::new();
    run_windows(&dir.at("a"), &tape, (0, 12), 2);
    for (n, got) in (13..).zip(run_windows(&dir.at("a"), &tape, (12, 25), 10)) {
        // What the shorter window had let go before the end may not be there, what came since is.
        let is = got.4[0];
        assert!(3 * (n as u64 - 12).min(10) <= is && is <= 30, "batch {n}: {is} records");
        assert_eq!(got, expected(&batches[..n], n, is as usize / 3), "batch {n}");
    }
}

/// A window of three seconds over six seconds of sums that are rounded up again and again; its largest error in so many
/// slides, in roundings of the largest sum.
fn largest_error(recompute_every: &str, slides: usize) -> f64 {
    const LARGE: f64 = 1.5 * (1u64 << 53) as f64;
    let values: Vec<f64> = [0.75, 0.75, LARGE, 0.0, 0.0, 0.0].into_iter().cycle().take(slides).collect();
    let mut tester = tester(&[VOLATILE[0], ("spark.streaming.window.recomputeEvery", recompute_every)]);
    let (feed, stream) = tester.input::<(u64, f64)>();
    let sums = stream.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, seconds(3), seconds(1));
    let out = tester.output(&sums);
    values.iter().for_each(|v| feed.push([(1, *v)]));
    tester.steps(slides).expect("good batches");
    let quarters = |v: f64| (v * 4.0) as i128;
    let error = |(n, got): (usize, Vec<(u64, f64)>)| {
        let exact: i128 = values[(n + 1).saturating_sub(3)..=n].iter().copied().map(quarters).sum();
        (quarters(got[0].1) - exact).abs() as f64 / quarters(LARGE * f64::EPSILON / 2.0) as f64
    };
    out.take().into_iter().enumerate().map(error).fold(0.0, f64::max)
}
#[test]
fn roundings_add_up_only_until_the_setting_says_anew() {
    let bound = |every: f64| 2.0 * every + 2.0 * 3.0;
    let (often, seldom, never) = (largest_error("4", 300), largest_error("100", 300), largest_error("0", 300));
    assert!(often <= bound(4.0), "{often} roundings");
    assert!(bound(4.0) < seldom && seldom <= bound(100.0), "{seldom} roundings");
    assert!(never > 2.0 * seldom, "{never} roundings, {seldom} with");
}

#[test]
fn making_it_anew_costs_a_slide_next_to_nothing_whatever_the_length_of_the_window() {
    const KEYS: u64 = 32;
    for window in [10, 320] {
        let mut tester = tester(VOLATILE);
        let (feed, stream) = tester.input::<(u64, i64)>();
        let calls = Arc::new(AtomicU64::new(0));
        let (adds, takes) = (calls.clone(), calls.clone());
        let add = move |a, b| {
            adds.fetch_add(1, Relaxed);
            a + b
        };
        let take = move |a, b| {
            takes.fetch_add(1, Relaxed);
            a - b
        };
        let spread = InverseOptions::default().num_partitions(16);
        stream
            .reduce_by_key_and_window_inverse_with(add, take, seconds(window), seconds(1), spread)
            .foreach_rdd(|_, _| Ok(()));
        let feed = feed.partitions(1);
        let mut slides = |n: u64| {
            (0..n).for_each(|_| feed.push((0..KEYS).map(|k| (k, 1))));
            tester.steps(n as usize).unwrap();
            calls.swap(0, Relaxed) as f64 / (n * KEYS) as f64
        };
        slides(window);
        // One that enters, one that leaves.
        let each = slides(320);
        assert!((2.0..2.15).contains(&each), "{each} calls for each key in a slide of a window of {window} s");
    }
}

fn batches() -> impl Strategy<Value = Vec<Option<Pairs>>> {
    let batch = prop::collection::vec((0..5u64, 1..9i64), 0..6);
    prop::collection::vec(prop::option::weighted(0.85, batch), 1..14)
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn windows_by_inverse_equal_their_twins_whatever_fails(
        batches in batches(), window in 1..6usize, slide in 1..5usize, partitions in 1..5usize,
        fail in prop::collection::vec(any::<bool>(), 14), every in 0..5u64,
    ) {
        let every = every.to_string();
        let settings = [VOLATILE[0], ("spark.streaming.window.recomputeEvery", every.as_str())];
        let mut tester = tester(&settings);
        let stream = tester.context().input_stream("given", Given::new(batches.clone()));
        let keep = InverseOptions::default().filter(|_, n| *n != 0).num_partitions(partitions);
        let (w, s) = (seconds(window as u64), seconds(slide as u64));
        let some = stream.reduce_by_key_and_window_inverse_with(add, take, w, s, keep);
        let all = stream.reduce_by_key_and_window_inverse(add, take, w, s);
        let counts = stream.count_by_window(w, s);
        let plain = stream.reduce_by_key_and_window_by(add, w, s);
        let faults = Faults::default();
        let trip = faults.clone();
        stream.foreach_rdd(|_, _| Ok(()));
        some.foreach_rdd(move |rdd, _| {
            rdd.first().ok();
            trip.meet("output")
        });
        let outs = (tester.output(&some), tester.output(&all), tester.output(&counts), tester.output(&plain));
        for (fail, n) in fail.iter().take(batches.len()).zip(1..) {
            // Only where the output runs is there something to fail.
            let began = batches[..n].iter().any(Option::is_some);
            if *fail && n % slide == 0 && (slide == 1 || window >= slide) && began {
                faults.add("output");
            }
            tester.step().unwrap();
        }
        let expect: Vec<Pairs> = twin(&batches, window, slide);
        let got = outs.0.take_sorted();
        // Before anything arrived there is nothing to do.
        let skipped = expect.len() - got.len();
        prop_assert!(expect[..skipped].iter().all(Vec::is_empty));
        prop_assert_eq!(&got, &expect[skipped..]);
        let plain: Vec<Pairs> = outs.3.take_sorted().into_iter().filter(|b| !b.is_empty()).collect();
        prop_assert_eq!(&plain, &got.iter().filter(|b| !b.is_empty()).cloned().collect::<Vec<_>>());
        let mut ever = BTreeMap::new();
        let with_zeros: Vec<Pairs> = got.iter().map(|now| {
            ever.values_mut().for_each(|v| *v = 0);
            ever.extend(now.iter().copied());
            ever.iter().map(|(k, v)| (*k, *v)).collect()
        }).collect();
        prop_assert_eq!(outs.1.take_sorted(), with_zeros);
        let counted = |t: usize| batches[t.saturating_sub(window)..t].iter().flatten().map(|b| b.len() as u64).sum();
        let mut seen = false;
        let numbers: Vec<Vec<u64>> = (1..=batches.len()).filter(|t| t % slide == 0).skip(skipped).map(|t| {
            let n = counted(t);
            seen |= n > 0;
            if seen { vec![n] } else { vec![] }
        }).collect();
        prop_assert_eq!(outs.2.take(), numbers);
    }
    #[test]
    fn windows_by_inverse_equal_their_twins_after_restarts(
        batches in prop::collection::vec(prop::collection::vec((0..5u64, 1..9i64), 0..4), 2..14),
        window in 1..5usize, slide in 1..4usize, killed in 1..14usize, partitions in 1..5usize, every in 1..4u64,
        orderly: bool, later in 1..5usize,
    ) {
        let dir = TempDir::new();
        let tape = Tape::default();
        batches.iter().for_each(|b| tape.push(b.iter().map(|(k, n)| k * 10 + *n as u64)));
        let killed = killed.min(batches.len());
        let all: Vec<Option<Pairs>> = batches.iter().cloned().map(Some).collect();
        let run = |place: &str, from: usize, to: usize, partitions, window: usize, check: bool| {
            let expect = twin(&all, window, slide);
            let clock = ManualClock::new(at(from as u64));
            let mut out = None;
            let ssc = StreamingContext::get_or_create(place, || {
                let sc = SparkContext::new(conf(&[]))?;
                let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
                let pairs: DStream<(u64, i64)> = ssc.input_stream("tape", tape.input()).map(|x| (x / 10, (x % 10) as i64));
                let keep = InverseOptions::default().filter(|_, n| *n != 0).num_partitions(partitions);
                let (w, s) = (seconds(window as u64), seconds(slide as u64));
                let sums = pairs.reduce_by_key_and_window_inverse_with(add, take, w, s, keep);
                out = Some(send(&sums.checkpoint(seconds(every * slide as u64))));
                Ok(ssc)
            }).expect("built");
            let mut steps = ssc.start_stepped().expect("a start");
            while second(steps.step().expect("a batch")) < to as u64 {}
            for (t, mut got) in out.expect("built").try_iter() {
                got.sort();
                let n = second(t) as usize / slide - 1;
                if check {
                    assert_eq!(got, expect[n], "batch {}", second(t));
                }
            }
            let copy = dir.copy(place, "copy");
            drop(steps);
            if orderly { place.to_owned() } else { copy }
        };
        let place = run(&dir.at("a"), 0, killed, partitions, window, true);
        let is_later = later < window;
        if killed < batches.len() {
            // The window of the program that goes on may be another one, if what it needs is still known.
            let window = if is_later { later } else { window };
            run(&place, killed, batches.len(), 5 - partitions, window, true);
        }
    }
}
