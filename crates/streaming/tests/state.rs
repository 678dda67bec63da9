//! Operators that keep state: what they emit, what they keep, and that a batch changes the state once, whoever asks and
//! whatever fails.
mod common;
use common::*;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use winterbourne_engine::{SparkContext, Text};
use winterbourne_streaming::{
    DStream, Error, MapWithStateDStream, RddQueue, State, StateOptions, StateSpec, StreamingContext, StreamingState,
    seconds,
};
use winterbourne_testkit::{StreamTester, TEST_START, TestInput, lanes::run_on_lanes};

/// State that ends with the test.
const VOLATILE: Settings<'_> = &[("spark.streaming.state.volatile", "true")];

type Pairs = Vec<(char, u64)>;
type Fed = (StreamTester, TestInput<(char, u64)>, DStream<(char, u64)>);

/// Adds values up; emits key and sum.
fn summing() -> StateSpec<char, u64, u64, (char, u64)> {
    StateSpec::function(|key: &char, value: Option<u64>, sum: &mut State<'_, u64>| {
        let new = sum.get().copied().unwrap_or(0) + value.unwrap_or(0);
        sum.update(new);
        (*key, new)
    })
}
fn sums(stream: &DStream<(char, u64)>) -> MapWithStateDStream<char, u64, u64, (char, u64)> {
    stream.map_with_state(summing())
}
fn totals(values: Vec<u64>, total: Option<u64>) -> Option<u64> {
    Some(total.unwrap_or(0) + values.iter().sum::<u64>())
}
/// A tester with pairs going in.
fn pairs(settings: Settings<'_>) -> Fed {
    let tester = tester(settings);
    let (feed, stream) = tester.input();
    (tester, feed, stream)
}
/// Fails the n-th time it is asked, in the ways it was told.
#[derive(Clone, Default)]
struct Trip(Arc<Mutex<Vec<(usize, &'static str)>>>, Arc<AtomicUsize>);
impl Trip {
    fn at(self, n: usize, how: &'static str) -> Self {
        self.0.lock().expect("plain list").push((n, how));
        self
    }
    fn step(&self) -> Result<(), &'static str> {
        let n = self.1.fetch_add(1, Relaxed) + 1;
        let how = self.0.lock().expect("plain list").iter().find(|(at, _)| *at == n).map(|(_, how)| *how);
        match how {
            Some("panic") => panic!("tripped"),
            Some(_) => Err("tripped"),
            None => Ok(()),
        }
    }
}

#[test]
fn each_record_is_one_call_that_sees_those_before_it() {
    let (mut tester, feed, stream) = pairs(&[]);
    let out = tester.output(&sums(&stream));
    for batch in [vec![('a', 1), ('b', 2), ('a', 3)], vec![], vec![('b', 5)]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    let expect: [Pairs; 3] = [vec![('a', 1), ('a', 4), ('b', 2)], vec![], vec![('b', 7)]];
    assert_eq!(out.take_sorted(), expect);
}
#[test]
fn a_batch_without_an_rdd_emits_an_empty_one() {
    let mut tester = tester(&[]);
    let input = Given::new([Some(vec![('a', 1)]), None, Some(vec![('a', 2)])]);
    let out = tester.output(&sums(&tester.context().input_stream("given", input)));
    tester.steps(3).unwrap();
    assert_eq!(out.take(), [vec![('a', 1)], vec![], vec![('a', 3)]]);
}
#[test]
fn the_function_with_time_emits_where_it_says_so() {
    let (mut tester, feed, stream) = pairs(&[]);
    let spec = StateSpec::function_with_time(|now, key: &char, _, seen: &mut State<'_, u64>| {
        let before = seen.get().copied();
        seen.update(second(now));
        before.map(|then| (*key, then, second(now)))
    });
    let out = tester.output(&stream.map_with_state(spec));
    for batch in [vec![('a', 1)], vec![('b', 1)], vec![('a', 1), ('b', 1)]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    assert_eq!(out.take_sorted(), [vec![], vec![], vec![('a', 1, 3), ('b', 2, 3)]]);
}
#[test]
fn the_state_is_read_changed_and_dropped_as_spark_does() {
    let (mut tester, feed, stream) = pairs(&[]);
    let spec = StateSpec::function(|_: &char, value: Option<u64>, state: &mut State<'_, Vec<u64>>| {
        let mut seen = vec![format!("{} {:?}", state.exists(), state.get())];
        match value.unwrap_or(0) {
            0 => state.remove(),
            1 => drop(state.get_mut().map(|all| all.push(1))),
            n => state.update(vec![n]),
        }
        seen.push(format!("{} {:?} {state:?}", state.exists(), state.get()));
        seen.join(" -> ")
    });
    let mapped = stream.map_with_state(spec);
    let out = tester.output(&mapped);
    // One key, one record a batch.
    for n in [0, 1, 7, 1, 1, 0, 9] {
        feed.push([('a', n)]);
        tester.step().unwrap();
    }
    let expect = [
        "false None -> false None <state not set>",
        "false None -> false None <state not set>",
        "false None -> true Some([7]) [7]",
        "true Some([7]) -> true Some([7, 1]) [7, 1]",
        "true Some([7, 1]) -> true Some([7, 1, 1]) [7, 1, 1]",
        "true Some([7, 1, 1]) -> false None <state not set>",
        "false None -> true Some([9]) [9]",
    ];
    assert_eq!(out.take().concat(), expect);
}
#[test]
fn what_the_state_does_not_allow_fails_the_batch_and_names_the_place() {
    type Call = fn(&mut State<'_, u64>);
    let cases: [(&str, Call); 2] = [
        ("Cannot update the state after it has been removed", |s| {
            s.remove();
            s.update(1);
        }),
        ("Cannot remove the state that has already been removed", |s| {
            s.remove();
            s.remove();
        }),
    ];
    for (words, call) in cases {
        let (mut tester, feed, stream) = pairs(&[]);
        let spec = StateSpec::function(move |_: &char, _: Option<u64>, s: &mut State<'_, u64>| call(s));
        let snapshots = stream.map_with_state(spec).state_snapshots();
        let out = tester.output(&snapshots);
        feed.push([('a', 1)]);
        let said = tester.step().unwrap_err().to_string();
        let line = said.matches("tests/state.rs:").count();
        assert!(said.contains(words) && line >= 2, "{said}");
        assert!(out.take().is_empty());
    }
}
#[test]
fn removing_what_is_not_there_is_allowed() {
    let (mut tester, feed, stream) = pairs(&[]);
    let out = tester.output(&stream.map_with_state(StateSpec::function(
        |key: &char, _: Option<u64>, s: &mut State<'_, u64>| {
            s.remove();
            *key
        },
    )));
    feed.push([('a', 1), ('a', 2)]);
    tester.step().unwrap();
    assert_eq!(out.take(), [['a', 'a']]);
}
#[test]
fn snapshots_show_the_whole_state_after_every_batch() {
    let (mut tester, feed, stream) = pairs(&[]);
    let out = tester.output(&sums(&stream).state_snapshots());
    for batch in [vec![('a', 1), ('b', 2)], vec![], vec![('b', 5), ('c', 1)]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    let expect: [Pairs; 3] = [vec![('a', 1), ('b', 2)], vec![('a', 1), ('b', 2)], vec![('a', 1), ('b', 7), ('c', 1)]];
    assert_eq!(out.take_sorted(), expect);
}
#[test]
fn a_window_over_snapshots_sees_each_as_it_was() {
    for slide in [1, 2] {
        let (mut tester, feed, stream) = pairs(&[]);
        let windowed = sums(&stream).state_snapshots().map(|(_, sum)| sum).window_by(seconds(3), seconds(slide));
        let out = tester.output(&windowed);
        for batch in 1..=4u64 {
            feed.push([('a', batch)]);
            tester.step().unwrap();
        }
        let all = [vec![1], vec![1, 3], vec![1, 3, 6], vec![3, 6, 10]];
        let expect: Vec<Vec<u64>> = all.into_iter().skip(slide as usize - 1).step_by(slide as usize).collect();
        assert_eq!(out.take(), expect);
    }
}
#[test]
fn a_window_over_what_is_emitted_applies_nothing_again() {
    let (mut tester, feed, stream) = pairs(&[]);
    let mapped = sums(&stream);
    let out = tester.output(&mapped.window_by(seconds(2), seconds(2)));
    let state = tester.output(&mapped.state_snapshots());
    for batch in 1..=4u64 {
        feed.push([('a', batch)]);
        tester.step().unwrap();
    }
    assert_eq!(out.take(), [[('a', 1), ('a', 3)], [('a', 6), ('a', 10)]]);
    assert_eq!(state.take(), [[('a', 1)], [('a', 3)], [('a', 6)], [('a', 10)]]);
}
#[test]
fn a_window_over_the_state_of_all_keys_sees_each_as_it_was() {
    let (mut tester, feed, stream) = pairs(&[]);
    let out = tester.output(&stream.update_state_by_key(totals).window(seconds(2)));
    for batch in 1..=3u64 {
        feed.push([('a', batch)]);
        tester.step().unwrap();
    }
    assert_eq!(out.take(), [vec![('a', 1)], vec![('a', 1), ('a', 3)], vec![('a', 3), ('a', 6)]]);
}

#[test]
fn every_key_is_visited_in_every_batch() {
    let (mut tester, feed, stream) = pairs(&[]);
    // Counts the batches since the key came; drops it when it has had no value for two.
    let idle = stream.update_state_by_key(|values: Vec<u64>, before: Option<(u64, u64)>| {
        let (age, idle) = before.unwrap_or((0, 0));
        let idle = if values.is_empty() { idle + 1 } else { 0 };
        (idle < 2).then_some((age + 1, idle))
    });
    let out = tester.output(&idle);
    for batch in [vec![('a', 1), ('b', 1)], vec![('b', 1)], vec![], vec![('a', 1)]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    let expect = [
        vec![('a', (1, 0)), ('b', (1, 0))],
        vec![('a', (2, 1)), ('b', (2, 0))],
        vec![('b', (3, 1))],
        vec![('a', (1, 0))],
    ];
    assert_eq!(out.take_sorted(), expect);
}
#[test]
fn values_of_a_key_come_in_the_order_of_partitions_and_records() {
    let (mut tester, feed, stream) = pairs(&[]);
    let out = tester.output(&stream.update_state_by_key_in(|values: Vec<u64>, _: Option<Vec<u64>>| Some(values), 3));
    feed.push([('a', 3), ('b', 9), ('a', 1), ('a', 2)]);
    tester.step().unwrap();
    assert_eq!(out.take_sorted(), [[('a', vec![3, 1, 2]), ('b', vec![9])]]);
}
#[test]
fn all_keys_are_visited_where_nothing_arrives_but_not_before_the_first_rdd() {
    let mut tester = tester(&[]);
    let input = Given::new([None, Some(vec![('a', 1)]), None, None]);
    let ages = tester
        .context()
        .input_stream("given", input)
        .update_state_by_key(|_, age: Option<u64>| Some(age.unwrap_or(0) + 1).filter(|age| *age < 3));
    let out = tester.output(&ages);
    tester.steps(4).unwrap();
    let expect = [(at(2), vec![('a', 1)]), (at(3), vec![('a', 2)]), (at(4), vec![])];
    assert_eq!(out.take_timed(), expect);
}

#[test]
fn state_below_a_window_moves_at_the_window_s_slide() {
    let (mut tester, feed, stream) = pairs(&[]);
    let windowed = stream.window_by(seconds(2), seconds(2));
    let (mapped, all) = (sums(&windowed), windowed.update_state_by_key(totals));
    assert_eq!((mapped.slide_duration(), all.slide_duration()), (seconds(2), seconds(2)));
    let (snapshots, all) = (tester.output(&mapped.state_snapshots()), tester.output(&all));
    for n in 1..=5 {
        feed.push([('a', n)]);
        tester.step().unwrap();
    }
    let expect = [(at(2), vec![('a', 3)]), (at(4), vec![('a', 10)])];
    assert_eq!((snapshots.take_timed(), all.take_timed()), (expect.to_vec(), expect.to_vec()));
}
#[test]
fn printing_and_outputs_without_an_action_move_the_state_in_every_partition() {
    let records: Pairs = ('a'..='z').map(|c| (c, 1)).collect();
    for kind in ["print", "no action", "only below a filter"] {
        let (mut tester, feed, stream) = pairs(&[]);
        let console = tester.console();
        let (mapped, all) = (sums(&stream), stream.update_state_by_key(totals));
        match kind {
            "print" => {
                mapped.print();
                all.print_n(1);
            }
            "no action" => {
                mapped.foreach_rdd(|_, _| Ok(()));
                all.foreach_rdd(|_, _| Ok(()));
            }
            _ => {
                mapped.filter(|_| false).print();
                all.filter(|_| false).print();
            }
        }
        // The states are seen from the third batch on only.
        let (snapshots, latest) = (mapped.state_snapshots(), Arc::new(Mutex::new(Vec::new())));
        let seen = latest.clone();
        snapshots.foreach_rdd(move |rdd, t| {
            if second(t) == 3 {
                *seen.lock().unwrap() = rdd.collect()?;
            }
            Ok(())
        });
        let last = latest.clone();
        all.foreach_rdd(move |rdd, t| {
            if second(t) == 3 {
                last.lock().unwrap().extend(rdd.collect()?);
            }
            Ok(())
        });
        for _ in 0..3 {
            feed.push(records.clone());
            tester.step().unwrap();
        }
        let got = latest.lock().unwrap().clone();
        assert_eq!(got.len(), 52, "{kind}");
        assert!(got.iter().all(|(_, n)| *n == 3), "{kind}: {got:?}");
        drop(console);
    }
}
#[test]
fn two_outputs_and_an_output_that_asks_twice_apply_a_batch_once() {
    let (mut tester, feed, stream) = pairs(&[]);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let mapped = stream.map_with_state(StateSpec::function(move |_: &char, v: Option<u64>, s: &mut State<'_, u64>| {
        count.fetch_add(1, Relaxed);
        s.update(s.get().copied().unwrap_or(0) + v.unwrap_or(0));
    }));
    mapped.foreach_rdd(|rdd, _| {
        rdd.first()?;
        assert_eq!((rdd.count()?, rdd.count()?), (3, 3));
        Ok(())
    });
    let (one, two) = (tester.output(&mapped.map(|()| 1)), tester.output(&mapped.state_snapshots()));
    feed.push([('a', 1), ('b', 2), ('a', 3)]);
    tester.step().unwrap();
    assert_eq!((calls.load(Relaxed), one.take()), (3, vec![vec![1, 1, 1]]));
    assert_eq!(two.take_sorted(), [[('a', 4), ('b', 2)]]);
}
#[test]
fn a_task_that_is_tried_again_applies_its_records_once() {
    for how in ["panic", "error"] {
        // Three records; the second call fails, in the operator itself or in the one after it.
        for below in [false, true] {
            let sc = SparkContext::new(conf(VOLATILE).set_master("local[2,3]")).unwrap();
            let clock = winterbourne_base::ManualClock::new(TEST_START);
            let ssc = StreamingContext::with_clock(&sc, seconds(1), clock).unwrap();
            let queue: RddQueue<(char, u64)> =
                (0..2).map(|_| sc.parallelize([('a', 1), ('a', 2), ('a', 3)], 1)).collect();
            let trip = Trip::default().at(2, how).at(6, how);
            let inner = trip.clone();
            let mapped = ssc.queue_stream(&queue).map_with_state(StateSpec::function(
                move |_: &char, v: Option<u64>, s: &mut State<'_, u64>| {
                    let sum = s.get().copied().unwrap_or(0) + v.unwrap_or(0);
                    s.update(sum);
                    if !below && inner.step().is_err() {
                        s.remove();
                        s.remove();
                    }
                    sum
                },
            ));
            let out = send(&mapped.try_map(winterbourne_engine::OnBadRecord::Fail, move |sum| {
                if below { trip.step().map(|()| sum) } else { Ok(sum) }
            }));
            let mut run = ssc.start_stepped().unwrap();
            run.step().unwrap();
            run.step().unwrap();
            let got: Vec<_> = out.try_iter().map(|(_, sums)| sums).collect();
            assert_eq!(got, [[1, 3, 6], [7, 9, 12]], "{how}, below: {below}");
            assert_eq!(sc.counts().task_retries, 2);
        }
    }
}
#[test]
fn a_batch_that_is_tried_again_starts_from_the_state_before_it() {
    let (mut tester, feed, stream) = pairs(&[]);
    let (mapped, all) = (sums(&stream), stream.update_state_by_key(totals));
    let out = (tester.output(&mapped), tester.output(&all), tester.output(&mapped.state_snapshots()));
    let faults = Faults::default();
    let trip = faults.clone();
    mapped.foreach_rdd(move |rdd, _| {
        rdd.count()?;
        trip.meet("output")
    });
    for how in ["output", "nothing", "panic in output", "output"] {
        faults.add(how);
        feed.push([('a', 1), ('b', 2)]);
        tester.step().unwrap();
    }
    // The outputs before the one that failed are not repeated.
    let expect: Vec<Pairs> = (1..=4).map(|n| vec![('a', n), ('b', 2 * n)]).collect();
    assert_eq!(out.0.take_sorted(), expect);
    assert_eq!(out.1.take_sorted(), expect);
    assert_eq!(out.2.take_sorted(), expect);
}
#[test]
fn a_batch_that_failed_for_good_leaves_no_trace() {
    let settings = [("spark.streaming.batch.onFailure", "skip"), ("spark.streaming.batch.maxAttempts", "1")];
    let (mut tester, feed, stream) = pairs(&settings);
    let (mapped, all) = (sums(&stream), stream.update_state_by_key(totals));
    let faults = Faults::default();
    let trip = faults.clone();
    mapped.foreach_rdd(move |rdd, _| {
        rdd.count()?;
        trip.meet("output")
    });
    let (out, snapshots) = (tester.output(&all), tester.output(&mapped.state_snapshots()));
    let windows = tester.output(&all.window(seconds(3)));
    feed.push([('a', 1)]);
    tester.step().unwrap();
    faults.add("output");
    feed.push([('a', 10), ('x', 1)]);
    let failed = tester.step().unwrap_err();
    assert!(matches!(failed, Error::Batch(e) if e.time == at(2)));
    feed.push([('a', 100)]);
    tester.step().unwrap();
    let expect = [[('a', 1)], [('a', 101)]];
    assert_eq!((out.take(), snapshots.take()), (expect.map(Vec::from).to_vec(), expect.map(Vec::from).to_vec()));
    // A window that looks back on the batch that lies aside finds no state there, and disturbs none.
    assert_eq!(windows.take(), [vec![('a', 1)], vec![('a', 1), ('a', 101)]]);
    // Run again, it changes the state after all.
    assert!(tester.run().rerun(at(2)).unwrap());
    let expect = [[('a', 111), ('x', 1)]];
    assert_eq!(
        (out.take_sorted(), snapshots.take_sorted()),
        (expect.map(Vec::from).to_vec(), expect.map(Vec::from).to_vec())
    );
}
#[test]
fn an_rdd_of_a_batch_that_is_over_says_so() {
    let (mut tester, feed, stream) = pairs(&[]);
    let all = stream.update_state_by_key(totals);
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    all.foreach_rdd(move |rdd, _| {
        keep.lock().unwrap().get_or_insert_with(|| rdd.clone());
        Ok(())
    });
    feed.push([('a', 1)]);
    tester.step().unwrap();
    let said = kept.lock().unwrap().take().unwrap().collect().unwrap_err().to_string();
    assert!(said.contains("no longer stands at batch 946684801000 ms"), "{said}");
}

#[test]
fn the_initial_state_is_there_from_the_first_batch_on() {
    let (mut tester, feed, stream) = pairs(&[]);
    let initial = tester.context().spark_context().parallelize([('a', 10), ('z', 20)], 2);
    let calls = Arc::new(AtomicUsize::new(0));
    let mapped = stream.map_with_state(summing().initial_state(initial).num_partitions(3));
    let count = calls.clone();
    let (out, snapshots) = (
        tester.output(&mapped.map(move |x| {
            count.fetch_add(1, Relaxed);
            x
        })),
        tester.output(&mapped.state_snapshots()),
    );
    tester.step().unwrap();
    feed.push([('a', 1)]);
    tester.step().unwrap();
    assert_eq!(snapshots.take_sorted(), [[('a', 10), ('z', 20)], [('a', 11), ('z', 20)]]);
    assert_eq!((out.take(), calls.load(Relaxed)), (vec![vec![], vec![('a', 11)]], 1));
}
#[test]
fn an_initial_state_that_cannot_be_computed_is_tried_again() {
    let (mut tester, feed, stream) = pairs(&[]);
    let faults = Faults::default();
    let trip = faults.clone();
    let initial = tester.context().spark_context().parallelize([('a', 10), ('b', 20)], 1).map(move |x| {
        trip.meet("initial").unwrap();
        x
    });
    let out = tester.output(&stream.map_with_state(summing().initial_state(initial)));
    faults.add("initial");
    feed.push([('a', 1), ('b', 1)]);
    tester.step().unwrap();
    assert_eq!(out.take_sorted(), [[('a', 11), ('b', 21)]]);
}
#[test]
fn all_keys_of_an_initial_state_are_visited_from_the_first_rdd_on() {
    let mut tester = tester(&[]);
    let sc = tester.context().spark_context().clone();
    let input = Given::new([None, Some(vec![('a', 1)]), None]);
    let options = StateOptions::default().initial_state(sc.parallelize([('a', 10), ('z', 20)], 2)).num_partitions(3);
    let counted = |values: Vec<u64>, total: Option<u64>| Some(total.unwrap_or(0) + values.iter().sum::<u64>() + 100);
    let stream = tester.context().input_stream("given", input).update_state_by_key_with(counted, options);
    let out = tester.output(&stream);
    tester.steps(3).unwrap();
    assert_eq!(out.take_sorted(), [[('a', 111), ('z', 120)], [('a', 211), ('z', 220)]]);
}
#[test]
fn partitions_are_as_asked_for_and_keep_their_keys() {
    for (settings, asked, expect) in [
        (&[][..], None, 16),
        (&[("spark.streaming.state.partitions", "5")], None, 5),
        (&[("spark.streaming.state.partitions", "5")], Some(3), 3),
        (&[("spark.default.parallelism", "20")], None, 20),
    ] {
        let (mut tester, feed, stream) = pairs(settings);
        let spec = asked.map_or_else(summing, |n| summing().num_partitions(n));
        let snapshots = stream.map_with_state(spec).state_snapshots();
        let all = match asked {
            Some(n) => stream.update_state_by_key_in(totals, n),
            None => stream.update_state_by_key(totals),
        };
        for view in [snapshots, all] {
            view.foreach_rdd(move |rdd, _| {
                let again = rdd.reduce_by_key(|a, _| a);
                assert_eq!((rdd.num_partitions()?, again.num_partitions()?), (expect, expect));
                // Keys lie where a shuffle would put them.
                assert!(!again.to_debug_string().contains("+-(2) map"), "{}", again.to_debug_string());
                assert_eq!(rdd.count()?, 2);
                Ok(())
            });
        }
        feed.push([('a', 1), ('b', 2)]);
        tester.step().unwrap();
    }
}
#[test]
fn a_parent_that_is_spread_already_is_not_shuffled() {
    let (mut tester, feed, stream) = pairs(&[]);
    let reduced = stream.reduce_by_key_in(|a, b| a + b, 4);
    let out = tester.output(&reduced.map_with_state(summing().num_partitions(4)));
    let jobs = tester.context().spark_context().clone();
    for n in 1..=2 {
        feed.push([('a', 1), ('b', 2), ('a', 3)]);
        let before = jobs.counts().tasks;
        tester.step().unwrap();
        // Two map tasks and four of the state's partitions, once.
        assert_eq!(jobs.counts().tasks - before, 6, "batch {n}");
    }
    assert_eq!(out.take_sorted(), [[('a', 4), ('b', 2)], [('a', 8), ('b', 4)]]);
}
#[test]
fn mistakes_come_out_of_start() {
    let (mut tester, _feed, stream) = pairs(&[]);
    stream.map_with_state(summing().num_partitions(0)).print();
    stream.update_state_by_key_in(totals, 0).print();
    stream.map(|x| x).volatile().print();
    let Err(Error::Graph(errors)) = tester.step() else { panic!("started") };
    assert_eq!(tester.context().state(), StreamingState::Initialized);
    let whats: Vec<_> = errors.iter().map(|e| (e.site.file().ends_with("tests/state.rs"), e.what.as_str())).collect();
    let zero = "was asked for 0 partitions";
    assert!(whats.iter().all(|(here, _)| *here), "{errors:?}");
    assert!(
        whats[0].1.contains(zero) && whats[1].1.contains(zero) && whats[2].1.contains("keeps no state"),
        "{errors:?}"
    );
}
#[test]
fn stateful_operators_have_ids_and_inputs_keep_theirs() {
    let (mut tester, _feed, stream) = pairs(&[]);
    let (_other, second) = tester.input::<(char, u64)>();
    let _quiet = tester.console();
    sums(&stream.uid("left")).uid("sums").volatile().print();
    second.uid("right").update_state_by_key(totals).uid("totals").volatile().print();
    tester.step().unwrap();
    let ids = tester.run().operator_ids();
    assert_eq!(ids[..4], ["left", "right", "sums", "totals"]);
}
#[test]
fn state_holds_no_read_buffer() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<(Text, Text)>();
    let last =
        stream.map_with_state(StateSpec::function(|_: &Text, line: Option<Text>, last: &mut State<'_, Text>| {
            last.update(line.expect("a value"));
        }));
    // Inside of something else it is detached when the key is new.
    let all = stream.update_state_by_key(|lines: Vec<Text>, first: Option<(u64, Text)>| {
        first.or(lines.first().cloned().map(|line| (1, line)))
    });
    last.foreach_rdd(|_, _| Ok(()));
    all.foreach_rdd(|_, _| Ok(()));
    let buffer = Arc::new("k".repeat(30) + &"x".repeat(1 << 16));
    for n in [0, 1000] {
        feed.push([(Text::slice(&buffer, 0..30), Text::slice(&buffer, n + 30..n + 100))]);
        tester.step().unwrap();
    }
    tester.steps(2).unwrap();
    assert_eq!(Arc::strong_count(&buffer), 1);
}
#[test]
fn what_is_remembered_is_forgotten_in_time() {
    let (mut tester, feed, stream) = pairs(&[]);
    let mapped = sums(&stream);
    let _quiet = tester.console();
    mapped.state_snapshots().window(seconds(3)).print();
    let mut kept = Vec::new();
    for n in 0..8 {
        feed.push([('a', n)]);
        tester.step().unwrap();
        kept.push((tester.run().remembered(), tester.context().spark_context().counts().cached_blocks));
    }
    assert_eq!(kept[4], kept[7], "{kept:?}");
}
#[test]
fn lanes_agree_on_the_state() {
    let program = |sc: &SparkContext| {
        let clock = winterbourne_base::ManualClock::new(TEST_START);
        let ssc = StreamingContext::with_clock(sc, seconds(1), clock).expect("a good interval");
        let queue: RddQueue<(u64, u64)> =
            (0..4u64).map(|b| sc.range(0..50, 3).map(move |i| (i * (b + 1) % 37, i))).collect();
        let stream = ssc.queue_stream(&queue);
        let spec = |n| {
            StateSpec::function(|k: &u64, v: Option<u64>, s: &mut State<'_, u64>| {
                let sum = s.get().copied().unwrap_or(0) + v.unwrap_or(0);
                if sum % 7 == 3 {
                    s.remove()
                } else {
                    s.update(sum)
                }
                (*k, sum)
            })
            .num_partitions(n)
        };
        // A state in one partition, which one lane has alone, and one in three.
        let (one, three) = (stream.map_with_state(spec(1)), stream.map_with_state(spec(3)));
        let all = stream.update_state_by_key_in(totals, 3);
        one.foreach_rdd(|rdd, _| {
            assert!(rdd.take(1)?.len() <= 1);
            Ok(())
        });
        three.foreach_rdd(|_, _| Ok(()));
        let out = Arc::new(Mutex::new(Vec::new()));
        for stream in [one.state_snapshots(), three.state_snapshots(), all.clone(), all.window(seconds(2))] {
            let out = out.clone();
            stream.foreach_rdd(move |rdd, _| {
                let mut records = rdd.collect()?;
                records.sort();
                out.lock().expect("plain list").push(records);
                Ok(())
            });
        }
        let mut run = ssc.start_stepped().expect("a good graph");
        for _ in 0..4 {
            run.step().map_err(|e| winterbourne_engine::Error::User(e.to_string().into()))?;
        }
        Ok(std::mem::take(&mut *out.lock().expect("plain list")))
    };
    let alone = program(&spark(VOLATILE)).unwrap();
    assert_eq!(alone.len(), 16);
    for lane in run_on_lanes(2, &conf(VOLATILE).set_master("local[1]"), program) {
        assert_eq!(lane.unwrap(), alone);
    }
}
