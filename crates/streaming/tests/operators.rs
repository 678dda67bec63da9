//! Every operator and output of a stream: batches in, batches out, on a clock that stands still between them.
mod common;
use common::*;
use proptest::prelude::*;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use winterbourne_engine::{BoxError, OnBadRecord, Rdd};
use winterbourne_streaming::{DStream, Error, StreamingContext, seconds};
use winterbourne_testkit::{StreamTester, TEST_START};

/// A closure that counts its calls, and the count.
fn counter() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let n = Arc::new(AtomicUsize::new(0));
    (n.clone(), n)
}
fn refused(build: impl FnOnce(&StreamTester)) -> Vec<String> {
    common::refused("operators.rs", build)
}

#[test]
fn map_applies_to_each_record() {
    check([vec![1, 2, 3], vec![], vec![4]], |s| s.map(|x| x * 10), [vec![10, 20, 30], vec![], vec![40]]);
}
#[test]
fn filter_keeps_what_is_accepted() {
    check([vec![1, 2, 3], vec![5]], |s| s.filter(|x| x % 2 == 0), [vec![2], vec![]]);
}
#[test]
fn flat_map_gives_each_element() {
    check([vec![2, 0, 1], vec![]], |s| s.flat_map(|n| vec![n; n]), [vec![1, 2, 2], vec![]]);
}
#[test]
fn emit_gives_what_is_pushed() {
    let pairs = |s: &DStream<u32>| {
        s.emit(|x, out| {
            out(x + 1);
            out(x + 2);
        })
    };
    check([vec![10, 20], vec![]], pairs, [vec![11, 12, 21, 22], vec![]]);
}
#[test]
fn map_partitions_is_called_for_empty_partitions_too() {
    let got = batches([vec![7, 8, 9], vec![], vec![5]], |s| s.map_partitions(|records| [records.count()]));
    assert_eq!(got, [vec![1, 2], vec![0, 0], vec![0, 1]]);
}
#[test]
fn map_values_keeps_keys_and_partitioner() {
    let partitioned = |s: &DStream<(u8, u32)>| s.reduce_by_key(|a, b| a + b).map_values(|v| v * 2);
    check([vec![(1, 1), (1, 2), (2, 5)], vec![]], partitioned, [vec![(1, 6), (2, 10)], vec![]]);
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<(u8, u32)>();
    partitioned(&stream).foreach_rdd(|rdd, _| match rdd.partitioner() {
        Some(_) => Ok(()),
        None => Err("the partitioner is gone".into()),
    });
    feed.push([(1, 1)]);
    tester.step().unwrap();
}
#[test]
fn reduce_by_key_merges_within_each_batch() {
    let sum = |s: &DStream<(char, u32)>| s.reduce_by_key(|a, b| a + b);
    check(
        [vec![('a', 1), ('b', 2), ('a', 3)], vec![], vec![('a', 4)]],
        sum,
        [vec![('a', 4), ('b', 2)], vec![], vec![('a', 4)]],
    );
}
#[test]
fn reduce_by_key_in_makes_so_many_partitions() {
    for (n, expect) in [(1, 1), (3, 3)] {
        let got = batches([vec![(1, 1), (2, 1)]], |s| {
            s.reduce_by_key_in(|a, b| a + b, n).map_partitions(|records| [records.count()])
        });
        assert_eq!((got[0].len(), got[0].iter().sum::<usize>()), (expect, 2));
    }
}
#[test]
fn group_by_key_lists_all_values_of_a_key() {
    let mut got = batches([vec![('a', 1), ('b', 2), ('a', 3)], vec![]], DStream::group_by_key);
    got[0].sort();
    assert_eq!(got, [vec![('a', vec![1, 3]), ('b', vec![2])], vec![]]);
}
#[test]
fn count_is_one_number_per_batch_and_zero_for_an_empty_one() {
    check([vec![1, 2, 3], vec![], vec![4]], DStream::count, [vec![3], vec![0], vec![1]]);
}
#[test]
fn count_is_zero_without_any_partition_and_nothing_where_there_is_nothing_to_do() {
    let mut tester = tester(&[]);
    let (_feed, stream) = tester.input::<u8>();
    let input = Given::new([None, Some(vec![1u8, 1])]);
    let (empty, absent) =
        (tester.output(&stream.count()), tester.output(&tester.context().input_stream("given", input).count()));
    tester.steps(2).unwrap();
    assert_eq!((empty.take(), absent.take_timed()), (vec![vec![0], vec![0]], vec![(at(2), vec![2])]));
}

fn parse(s: &str) -> Result<u32, std::num::ParseIntError> {
    s.parse()
}
#[test]
fn try_map_fail_fails_the_batch() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<&str>();
    let out = tester.output(&stream.try_map(OnBadRecord::Fail, parse));
    feed.push(["1", "x"]);
    feed.push(["2"]);
    let error = tester.step().unwrap_err();
    assert!(matches!(&error, Error::Batch(e) if e.time == at(1) && e.attempts == 2), "{error}");
    assert!(error.to_string().contains("invalid digit"), "{error}");
    tester.run().skip_failed();
    tester.step().unwrap();
    assert_eq!((out.take(), tester.context().status().skipped_records), (vec![vec![2]], 0));
}
#[test]
fn try_map_skip_leaves_records_out_and_counts_them() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<&str>();
    let out = tester.output(&stream.try_map(OnBadRecord::Skip, parse));
    for batch in [vec!["1", "x", "y", "2"], vec!["z"], vec!["3"]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    assert_eq!((out.take(), tester.context().status().skipped_records), (vec![vec![1, 2], vec![], vec![3]], 3));
}
#[test]
fn a_skipped_record_counts_once_whatever_outputs_and_attempts() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<&str>();
    let numbers = stream.try_map(OnBadRecord::Skip, parse);
    let (first, second) = (tester.output(&numbers), tester.output(&numbers));
    let mut attempts = 0;
    numbers.foreach_rdd(move |rdd, _| {
        rdd.count()?;
        attempts += 1;
        if attempts == 1 { Err("the first attempt fails".into()) } else { Ok(()) }
    });
    feed.push(["1", "x", "y", "z"]);
    tester.step().unwrap();
    let status = tester.context().status();
    assert_eq!((status.skipped_records, status.failed_attempts), (3, 1));
    assert_eq!((first.take(), second.take()), (vec![vec![1]], vec![vec![1]]));
}
#[test]
fn skipped_records_of_an_output_that_is_not_repeated_are_counted() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<&str>();
    let out = tester.output(&stream.try_map(OnBadRecord::Skip, parse));
    let mut attempts = 0;
    stream.foreach_rdd(move |_, _| {
        attempts += 1;
        if attempts == 1 { Err("the first attempt fails".into()) } else { Ok(()) }
    });
    feed.push(["x", "y"]);
    tester.step().unwrap();
    assert_eq!((out.take().len(), tester.context().status().skipped_records), (1, 2));
}
#[test]
fn skipped_records_of_batches_that_only_a_window_reads_are_counted() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<&str>();
    let numbers = stream.try_map(OnBadRecord::Skip, parse);
    let out = tester.output(&numbers.window_by(seconds(4), seconds(2)));
    for i in 0..6 {
        feed.push(if i % 2 == 0 { vec!["x", "1"] } else { vec!["2"] });
        tester.step().unwrap();
    }
    assert_eq!((out.take().len(), tester.context().status().skipped_records), (3, 3));
}

#[test]
fn union_holds_the_records_of_both() {
    let mut tester = tester(&[]);
    let ((a, left), (b, right)) = (tester.input::<u8>(), tester.input::<u8>());
    let (out, partitions) =
        (tester.output(&left.union(&right)), tester.output(&left.union(&right).map_partitions(|p| [p.count()])));
    a.push([1, 2]);
    b.push([3, 4, 5]);
    tester.steps(2).unwrap();
    assert_eq!(out.take(), [vec![1, 2, 3, 4, 5], vec![]]);
    assert_eq!(partitions.take(), [vec![1, 1, 1, 2], vec![]], "the partitions of one, then those of the other");
}
#[test]
fn union_of_many_streams() {
    let mut tester = tester(&[]);
    let (feeds, streams): (Vec<_>, Vec<_>) = (0..5).map(|_| tester.input::<usize>()).unzip();
    let out = tester.output(&tester.context().union(&streams));
    let same = tester.output(&tester.context().union(&[streams[0].clone(), streams[0].clone()]));
    feeds.iter().enumerate().for_each(|(i, f)| f.push([i]));
    tester.step().unwrap();
    assert_eq!((out.take(), same.take()), (vec![vec![0, 1, 2, 3, 4]], vec![vec![0, 0]]));
}
#[test]
fn union_is_the_other_stream_where_one_has_nothing_to_do() {
    let mut tester = tester(&[]);
    let ssc = tester.context().clone();
    let left = ssc.input_stream("left", Given::new([None, Some(vec![1]), None, Some(vec![2])]));
    let right = ssc.input_stream("right", Given::new([Some(vec![3]), None, None, Some(vec![4])]));
    let out = tester.output(&left.union(&right));
    tester.steps(4).unwrap();
    assert_eq!(out.take_timed(), [(at(1), vec![3]), (at(2), vec![1]), (at(4), vec![2, 4])]);
}
#[test]
fn union_refuses_different_slides_other_contexts_and_no_streams() {
    let errors = refused(|t| {
        let (_, stream) = t.input::<u8>();
        stream.union(&stream.window_by(seconds(2), seconds(2))).foreach_rdd(|_, _| Ok(()));
        let other = tester(&[]);
        stream.union(&other.input::<u8>().1).foreach_rdd(|_, _| Ok(()));
        t.context().union::<u8>(&[]).foreach_rdd(|_, _| Ok(()));
    });
    for (error, expect) in errors.iter().zip([
        "some of the DStreams have different slide durations (1000 ms and 2000 ms)",
        "belong to different contexts",
        "union of no streams",
    ]) {
        assert!(error.contains(expect), "{error}");
    }
    assert_eq!(errors.len(), 3);
}

#[test]
fn transform_sees_each_batch_and_its_time() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let mut calls = 0;
    let out = tester.output(&stream.transform(move |rdd, time| {
        calls += 1;
        let (calls, second) = (calls, second(time));
        Ok(rdd.map(move |x| (x, calls, second)))
    }));
    feed.push([7]);
    feed.push([8]);
    tester.steps(2).unwrap();
    assert_eq!(out.take(), [vec![(7, 1, 1)], vec![(8, 2, 2)]]);
}
#[test]
fn transform_may_own_static_rdds_and_run_actions() {
    let mut tester = tester(&[]);
    let fixed = tester.context().spark_context().parallelize([100, 200], 1);
    let (feed, stream) = tester.input::<u64>();
    let out = tester.output(&stream.transform(move |rdd, _| {
        let (n, fixed) = (rdd.count()?, fixed.clone());
        Ok(rdd.union(&fixed).map(move |x| x + n))
    }));
    feed.push([1, 2, 3]);
    tester.steps(2).unwrap();
    assert_eq!(out.take(), [vec![4, 5, 6, 103, 203], vec![100, 200]]);
}
#[test]
fn an_error_or_a_panic_in_transform_fails_the_batch_and_not_the_next() {
    for panics in [false, true] {
        let mut tester = tester(&[]);
        let (feed, stream) = tester.input::<u64>();
        let out = tester.output(&stream.transform(move |rdd, time| match second(time) {
            1 if panics => panic!("no such table"),
            1 => Err("no such table".into()),
            _ => Ok(rdd.clone()),
        }));
        feed.push([1]);
        feed.push([2]);
        let error = tester.step().unwrap_err().to_string();
        assert!(error.contains("no such table") && error.contains("the generation of output 0"), "{error}");
        tester.run().skip_failed();
        tester.step().unwrap();
        assert_eq!(out.take(), [[2]]);
    }
}
#[test]
fn transform_runs_again_when_the_batch_is_tried_again() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let (calls, seen) = counter();
    let out = tester.output(&stream.transform(move |rdd, _| match calls.fetch_add(1, Relaxed) {
        0 => Err("not yet".into()),
        _ => Ok(rdd.clone()),
    }));
    feed.push([1]);
    tester.step().unwrap();
    assert_eq!((out.take(), seen.load(Relaxed)), (vec![vec![1]], 2));
}
#[test]
fn transform_is_not_called_where_there_is_nothing_to_do() {
    let mut tester = tester(&[]);
    let stream = tester.context().input_stream("given", Given::new([None, Some(vec![1])]));
    let (calls, seen) = counter();
    let out = tester.output(&stream.transform(move |rdd, _| {
        calls.fetch_add(1, Relaxed);
        Ok(rdd.clone())
    }));
    tester.steps(2).unwrap();
    assert_eq!((out.take(), seen.load(Relaxed)), (vec![vec![1]], 1));
}

fn ones(n: u64) -> Vec<Vec<u64>> {
    (1..=n).map(|i| vec![i]).collect()
}
#[test]
fn window_spans_its_last_batches_and_begins_partial() {
    let window = |s: &DStream<u64>| s.window(seconds(3));
    check(ones(5), window, [vec![1], vec![1, 2], vec![1, 2, 3], vec![2, 3, 4], vec![3, 4, 5]]);
    check(ones(4), |s| s.window_by(seconds(3), seconds(2)), [vec![1, 2], vec![2, 3, 4]]);
}
#[test]
fn a_window_shorter_than_its_slide_leaves_out_what_lies_between() {
    check(ones(7), |s| s.window_by(seconds(1), seconds(3)), [vec![3], vec![6]]);
}
#[test]
fn a_window_has_the_partitions_of_its_batches_oldest_first() {
    let got = batches([vec![1, 2, 3], vec![], vec![4]], |s| s.window(seconds(3)).map_partitions(|p| [p.count()]));
    assert_eq!(got[2], [1, 2, 0, 0, 0, 1]);
}
#[test]
fn a_window_skips_batches_with_nothing_to_do() {
    let mut tester = tester(&[]);
    let given = Given::new([None, Some(vec![1]), None, None, Some(vec![2])]);
    let out = tester.output(&tester.context().input_stream("given", given).window(seconds(2)));
    tester.steps(5).unwrap();
    assert_eq!(out.take_timed(), [(at(2), vec![1]), (at(3), vec![1]), (at(5), vec![2])]);
}
#[test]
fn a_window_computes_each_batch_once() {
    let (calls, seen) = counter();
    batches(ones(6), move |s| {
        let counted = s.map(move |x| {
            calls.fetch_add(1, Relaxed);
            x
        });
        counted.window(seconds(4))
    });
    assert_eq!(seen.load(Relaxed), 6);
}
#[test]
fn window_refuses_durations_that_are_no_multiples_or_zero() {
    let errors = refused(|t| {
        let (_, stream) = t.input::<u8>();
        for (window, slide) in [(1500, 1000), (2000, 1500), (0, 1000), (1000, 0), (0, 0)] {
            stream.window_by(ms(window), ms(slide)).foreach_rdd(|_, _| Ok(()));
        }
        let slow = stream.window_by(seconds(2), seconds(2));
        slow.window(seconds(3)).foreach_rdd(|_, _| Ok(()));
        slow.window(std::time::Duration::from_micros(2_000_500)).foreach_rdd(|_, _| Ok(()));
    });
    let expect = [
        "the window duration (1500 ms) must be a positive multiple of the slide duration of the parent DStream (1000 ms)",
        "the slide duration (1500 ms) must be a positive multiple of the slide duration of the parent DStream (1000 ms)",
        "the window duration (0 ms)",
        "the slide duration (0 ms)",
        "the window duration (0 ms)",
        "the slide duration (0 ms)",
        "the window duration (3000 ms) must be a positive multiple of the slide duration of the parent DStream (2000 ms)",
        "is not a whole number of milliseconds",
    ];
    assert_eq!(errors.len(), expect.len(), "{errors:?}");
    for (error, expect) in errors.iter().zip(expect) {
        assert!(error.contains(expect), "{error}");
    }
}

/// A stream as the dull twin has it: the ticks at which it yields, and what.
type Yields = Vec<(u64, Vec<u16>)>;
fn twin(stream: &Yields, ticks: u64, window: u64, slide: u64) -> Yields {
    let inside = |t: u64, tick: u64| tick <= t && tick + window > t;
    (1..=ticks)
        .filter(|t| t % slide == 0)
        .map(|t| (t, stream.iter().filter(|(tick, _)| inside(t, *tick)).flat_map(|(_, b)| b.clone()).collect()))
        .collect()
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn window_by_equals_its_twin(
        input in prop::collection::vec(prop::collection::vec(any::<u16>(), 0..8), 1..14),
        (window, slide) in (1u64..6, 1u64..6),
        (outer_window, outer_slide) in (1u64..4, 1u64..4),
        partitions in 1usize..4,
    ) {
        let mut tester = tester(&[]);
        let (feed, stream) = tester.input::<u16>();
        let feed = feed.partitions(partitions);
        let inner = stream.window_by(seconds(window), seconds(slide));
        let outer = inner.window_by(seconds(outer_window * slide), seconds(outer_slide * slide));
        let (inner, outer) = (tester.output(&inner), tester.output(&outer));
        let ticks = input.len() as u64;
        for batch in &input {
            feed.push(batch.iter().copied());
            tester.step().unwrap();
            // The source serves the inner window, that one the outer; each keeps its span and the batch in work.
            let most = 3 * (window + slide * (outer_window + outer_slide) + 2) as usize;
            prop_assert!(tester.run().remembered() <= most, "{} RDDs", tester.run().remembered());
        }
        let source: Yields = (1..).zip(input.iter().cloned()).collect();
        let expect = twin(&source, ticks, window, slide);
        let timed = |out: winterbourne_testkit::Batches<u16>| -> Yields {
            out.into_iter().map(|(t, records)| (second(t), records)).collect()
        };
        prop_assert_eq!(timed(outer.take_timed()), twin(&expect, ticks, outer_window * slide, outer_slide * slide));
        prop_assert_eq!(timed(inner.take_timed()), expect);
    }
}

#[test]
fn outputs_run_in_the_order_of_their_registration() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u8>();
    let diary = Diary::default();
    for name in ["first", "second", "third"] {
        let diary = diary.clone();
        // The streams themselves are made in another order than the outputs.
        let of = if name == "first" { stream.map(|x| x) } else { stream.clone() };
        of.foreach_rdd(move |rdd, time| {
            diary.write(format!("{name} {} {}", second(time), rdd.count()?));
            Ok(())
        });
    }
    feed.push([1, 2]);
    tester.steps(2).unwrap();
    assert_eq!(diary.take(), ["first 1 2", "second 1 2", "third 1 2", "first 2 0", "second 2 0", "third 2 0"]);
}
#[test]
fn foreach_rdd_without_an_action_computes_nothing_and_consumes_the_source() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u8>();
    let ((calls, seen), (rdds, bodies)) = (counter(), counter());
    let mapped = stream.map(move |x| {
        calls.fetch_add(1, Relaxed);
        x
    });
    mapped.foreach_rdd(move |_, _| {
        rdds.fetch_add(1, Relaxed);
        Ok(())
    });
    feed.push([1]);
    feed.push([2]);
    tester.steps(2).unwrap();
    assert_eq!((seen.load(Relaxed), bodies.load(Relaxed)), (0, 2));
    let out = tester.context().status();
    assert_eq!((out.completed_batches, out.last_batch), (2, Some(at(2))));
}

const RULE: &str = "-------------------------------------------";
/// What `print` prints for a batch of the numbers below n.
fn printed(n: u64, print: impl FnOnce(&DStream<u64>)) -> String {
    let mut tester = tester(&[]);
    let (console, (feed, stream)) = (tester.console(), tester.input::<u64>());
    print(&stream);
    feed.push(0..n);
    tester.step().expect("a good batch");
    console.take()
}
fn page(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|l| format!("{l}\n")).collect();
    format!("{RULE}\nTime: {} ms\n{RULE}\n{lines}\n", TEST_START.as_millis() + 1000)
}
#[test]
fn print_has_a_rule_of_43_dashes_ten_records_and_an_empty_line() {
    assert_eq!(RULE.len(), 43);
    let ten = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    assert_eq!(printed(3, DStream::print), page(&ten[..3]));
    assert_eq!(printed(10, DStream::print), page(&ten), "no dots after exactly ten");
    assert_eq!(printed(11, DStream::print), page(&[&ten[..], &["..."]].concat()));
    assert_eq!(printed(0, DStream::print), page(&[]));
}
#[test]
fn print_n_prints_so_many() {
    assert_eq!(printed(3, |s| s.print_n(2)), page(&["0", "1", "..."]));
    assert_eq!(printed(2, |s| s.print_n(2)), page(&["0", "1"]));
    assert_eq!(printed(1, |s| s.print_n(0)), page(&["..."]));
    assert_eq!(printed(2, |s| s.print_n(usize::MAX)), page(&["0", "1"]));
}
#[test]
fn print_shows_records_in_their_text_form() {
    let pairs = |s: &DStream<u64>| s.map(|x| ("a".to_owned(), Some(x))).print();
    assert_eq!(printed(2, pairs), page(&["(a,Some(0))", "(a,Some(1))"]));
}
#[test]
fn print_prints_nothing_where_there_is_nothing_to_do() {
    let mut tester = tester(&[]);
    let console = tester.console();
    tester.context().input_stream("given", Given::new([None, Some(vec![1])])).print();
    tester.step().unwrap();
    assert_eq!(console.take(), "");
    tester.step().unwrap();
    assert!(console.take().contains("\n1\n"));
}
#[test]
fn print_computes_no_more_partitions_than_it_needs() {
    let mut tester = tester(&[]);
    let (_console, (feed, stream)) = (tester.console(), tester.input::<u64>());
    let (calls, seen) = counter();
    let counted = stream.map_partitions(move |records| {
        calls.fetch_add(1, Relaxed);
        records
    });
    counted.print();
    feed.partitions(8).push(0..800);
    tester.step().unwrap();
    assert!(seen.load(Relaxed) < 8, "{seen:?} partitions for 11 records");
}

#[test]
fn no_rdd_is_not_an_empty_rdd() {
    let mut tester = tester(&[]);
    let stream = tester.context().input_stream("given", Given::new([None, Some(vec![]), Some(vec![1])]));
    let out = tester.output(&stream.map(|x| x + 1).filter(|_| true));
    tester.steps(3).unwrap();
    assert_eq!(out.take_timed(), [(at(2), vec![]), (at(3), vec![2])]);
}
#[test]
fn the_first_batch_is_the_next_multiple_of_the_interval_strictly_after_the_start() {
    for (start, first) in [(0, 1000), (1, 1000), (999, 1000), (1000, 2000)] {
        let mut tester = tester(&[]);
        let (_feed, stream) = tester.input::<u8>();
        stream.foreach_rdd(|_, _| Ok(()));
        tester.clock().set(TEST_START + ms(start));
        assert_eq!(StreamTester::elapsed(tester.step().unwrap()), ms(first), "started at {start}");
        assert_eq!(StreamTester::elapsed(tester.step().unwrap()), ms(first + 1000));
    }
}
#[test]
fn a_stream_yields_at_multiples_of_its_slide_after_zero_time_only() {
    // Zero time is not a multiple of the slide of two seconds here.
    let mut tester = tester(&[]);
    let (_feed, stream) = tester.input::<u8>();
    let out = tester.output(&stream.window_by(seconds(2), seconds(2)));
    tester.clock().set(at(1));
    tester.steps(5).unwrap();
    let times: Vec<u64> = out.take_timed().into_iter().map(|(t, _)| second(t)).collect();
    assert_eq!(times, [3, 5]);
}
#[test]
fn operators_keep_the_slide_of_their_parent_and_windows_set_it() {
    let tester = tester(&[]);
    let (_feed, stream) = tester.input::<u8>();
    let slow = stream.window_by(seconds(4), seconds(2));
    let slides = [
        stream.slide_duration(),
        stream.map(|x| x).union(&stream).slide_duration(),
        slow.slide_duration(),
        slow.map(|x| (x, x)).reduce_by_key(|a, _| a).count().slide_duration(),
        slow.window(seconds(6)).slide_duration(),
    ];
    assert_eq!(slides, [1, 1, 2, 2, 2].map(seconds));
}
/// Calls of a map, per batch of one record, with two outputs.
fn calls_with_two_outputs(cached: bool) -> (usize, usize) {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u8>();
    let ((maps, mapped), (transforms, transformed)) = (counter(), counter());
    let shared = stream.map(move |x| {
        maps.fetch_add(1, Relaxed);
        x
    });
    let shared = if cached { shared.cache() } else { shared };
    let shared = shared.transform(move |rdd, _| {
        transforms.fetch_add(1, Relaxed);
        Ok(rdd.clone())
    });
    let (_a, _b) = (tester.output(&shared), tester.output(&shared));
    feed.push([1]);
    tester.step().expect("a good batch");
    (mapped.load(Relaxed), transformed.load(Relaxed))
}
#[test]
fn consumers_share_the_rdd_of_a_time() {
    assert_eq!(calls_with_two_outputs(false), (2, 1), "each job computes, the RDD is made once");
}
#[test]
fn a_cached_stream_computes_once() {
    assert_eq!(calls_with_two_outputs(true), (1, 1));
}
#[test]
fn what_no_window_needs_is_forgotten() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    stream.window(seconds(3)).cache().foreach_rdd(|rdd, _| rdd.count().map(drop).map_err(BoxError::from));
    let mut most = (0, 0);
    for i in 0..50 {
        feed.push([i]);
        tester.step().unwrap();
        let blocks = tester.context().spark_context().counts().cached_blocks;
        most = (most.0.max(tester.run().remembered()), most.1.max(blocks));
    }
    // Four of the source, one of the window; two partitions in each batch, the window's own included.
    assert!(most.0 <= 5 && most.1 <= 2 * 4 + 2 * 3, "{most:?}");
    drop(tester);
}
#[test]
fn remember_keeps_every_stream_that_long() {
    for (remember, expect) in [(0, 2), (1, 2), (5, 10)] {
        let mut tester = tester(&[]);
        tester.context().remember(seconds(remember));
        let (feed, stream) = tester.input::<u64>();
        let _out = tester.output(&stream.map(|x| x));
        for i in 0..20 {
            feed.push([i]);
            tester.step().unwrap();
        }
        assert_eq!(tester.run().remembered(), expect, "remember {remember} s");
    }
}
#[test]
fn nothing_is_computed_that_no_output_asks_for() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let (calls, seen) = counter();
    let _unused = stream.transform(move |rdd: &Rdd<u64>, _| {
        calls.fetch_add(1, Relaxed);
        Ok(rdd.clone())
    });
    let out = tester.output(&stream);
    feed.push([1]);
    tester.step().unwrap();
    assert_eq!((out.take(), seen.load(Relaxed)), (vec![vec![1]], 0));
}
#[test]
fn a_stream_knows_its_context() {
    let tester = tester(&[]);
    let ssc: &StreamingContext = tester.context();
    let (_feed, stream) = tester.input::<u8>();
    assert_eq!(stream.streaming_context().batch_duration(), ssc.batch_duration());
    assert!(stream.streaming_context().spark_context().same(ssc.spark_context()));
}
