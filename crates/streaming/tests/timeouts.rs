//! Time-outs of `map_with_state`: who times out when, what is emitted, and that it is so after failures and restarts.
mod common;
use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use winterbourne_base::ManualClock;
use winterbourne_engine::SparkContext;
use winterbourne_streaming::{DStream, State, StateSpec, StreamingContext, seconds};
use winterbourne_testkit::TEST_START;

const VOLATILE: Settings<'_> = &[("spark.streaming.state.volatile", "true")];
/// Key, sum, whether it timed out.
type Told = (u64, u64, bool);

/// Sums that are told when a record comes and when the key times out. 0 only reads; 9 drops the key.
fn sums(timeout: u64) -> StateSpec<u64, u64, u64, Told> {
    let each = |key: &u64, value: Option<u64>, sum: &mut State<'_, u64>| {
        assert_eq!(value.is_none(), sum.is_timing_out());
        let so_far = sum.get().copied().unwrap_or(0);
        match value {
            Some(9) => sum.remove(),
            Some(n) if n > 0 => sum.update(so_far + n),
            _ => {}
        }
        (*key, sum.get().copied().unwrap_or(0), value.is_none())
    };
    StateSpec::function(each).timeout(seconds(timeout))
}
/// What should come out of each batch, keys in order; and the states at the end.
fn twin(timeout: u64, batches: &[Vec<(u64, u64)>], initial: &[(u64, u64)]) -> (Vec<Vec<Told>>, Vec<(u64, u64)>) {
    let mut states: BTreeMap<u64, (u64, u64)> = initial.iter().map(|(k, s)| (*k, (*s, 1))).collect();
    let mut out = Vec::new();
    for (batch, now) in batches.iter().zip(1..) {
        let mut told = Vec::new();
        for &(k, n) in batch {
            let so_far = states.get(&k).map(|s| s.0);
            match n {
                9 => drop(states.remove(&k)),
                0 => drop(so_far.map(|s| states.insert(k, (s, now)))),
                n => drop(states.insert(k, (so_far.unwrap_or(0) + n, now))),
            }
            told.push((k, states.get(&k).map_or(0, |s| s.0), false));
        }
        let due = |touched: u64| touched + timeout < now;
        told.extend(states.iter().filter(|(_, s)| due(s.1)).map(|(k, s)| (*k, s.0, true)));
        states.retain(|_, s| !due(s.1));
        told.sort();
        out.push(told);
    }
    (out, states.into_iter().map(|(k, s)| (k, s.0)).collect())
}

#[test]
fn a_key_times_out_once_it_was_idle_for_longer() {
    let mut tester = tester(VOLATILE);
    let (feed, stream) = tester.input::<(u64, u64)>();
    let mapped = stream.map_with_state(sums(2));
    let (out, states) = (tester.output(&mapped), tester.output(&mapped.state_snapshots()));
    // 1: left alone. 2: kept by a record that changes nothing. 3: has data in the batch in which it would be due.
    for batch in [vec![(1, 5), (2, 5), (3, 5)], vec![(2, 0)], vec![], vec![(3, 1)], vec![], vec![]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    let expect: [&[Told]; 6] = [
        &[(1, 5, false), (2, 5, false), (3, 5, false)],
        &[(2, 5, false)],
        &[],
        &[(1, 5, true), (3, 6, false)],
        &[(2, 5, true)],
        &[],
    ];
    assert_eq!(out.take_sorted(), expect);
    assert_eq!(states.take_sorted()[3..], [vec![(2, 5), (3, 6)], vec![(3, 6)], vec![(3, 6)]]);
}
/// When a key touched in batch 1 with a time-out of two seconds timed out.
fn fires_at(late: &str, checkpoint: Option<u64>) -> Option<usize> {
    let settings = [VOLATILE[0], ("spark.compat.timeoutsAtCheckpoints", late)];
    let mut tester = tester(&settings);
    let (feed, stream) = tester.input::<(u64, u64)>();
    let mut mapped = stream.map_with_state(sums(2));
    if let Some(every) = checkpoint {
        mapped = mapped.checkpoint(seconds(every));
    }
    let out = tester.output(&mapped);
    feed.push(vec![(1, 5)]);
    for _ in 0..12 {
        tester.step().expect("no batch fails");
    }
    let batches = out.take_sorted();
    assert_eq!(batches[0], [(1, 5, false)]);
    let at = batches.iter().position(|batch| batch == &[(1, 5, true)])?;
    assert!(batches[1..at].iter().chain(&batches[at + 1..]).all(Vec::is_empty));
    Some(at + 1)
}
#[test]
fn a_setting_makes_time_outs_as_late_as_in_spark() {
    assert_eq!(fires_at("false", None), Some(4));
    assert_eq!(fires_at("false", Some(5)), Some(4));
    // Looked for at 2 s, when it is not due, and at 4 s.
    assert_eq!(fires_at("true", Some(2)), Some(4));
    assert_eq!(fires_at("true", Some(5)), Some(5));
    assert_eq!(fires_at("true", None), Some(10));
}
#[test]
fn initial_states_expire_and_batches_without_an_rdd_let_keys_time_out() {
    let mut tester = tester(VOLATILE);
    let initial = tester.context().spark_context().parallelize([(7, 70), (8, 80)], 2);
    let input = Given::new([None, Some(vec![(8, 1)]), None, None]);
    let out =
        tester.output(&tester.context().input_stream("given", input).map_with_state(sums(1).initial_state(initial)));
    tester.steps(4).unwrap();
    assert_eq!(out.take_sorted(), [vec![], vec![(8, 81, false)], vec![(7, 70, true)], vec![(8, 81, true)]]);
}
#[test]
fn a_state_that_is_timing_out_is_neither_updated_nor_removed() {
    type Call = fn(&mut State<'_, u64>);
    let cases: [(&str, Call); 3] = [
        ("Cannot update the state that is timing out", |s| s.update(1)),
        ("Cannot update the state that is timing out", |s| assert!(s.get_mut().is_none())),
        ("Cannot remove the state that is timing out", |s| s.remove()),
    ];
    for (words, call) in cases {
        let mut tester = tester(VOLATILE);
        let (feed, stream) = tester.input::<(u64, u64)>();
        let spec = StateSpec::function(move |_: &u64, value: Option<u64>, s: &mut State<'_, u64>| match value {
            Some(n) => s.update(n),
            None => call(s),
        });
        let out = tester.output(&stream.map_with_state(spec.timeout(seconds(0))));
        feed.push([(1, 1)]);
        tester.step().unwrap();
        let said = tester.step().unwrap_err().to_string();
        assert!(said.contains(words) && said.contains("tests/timeouts.rs:"), "{said}");
        assert_eq!(out.take().len(), 1);
    }
}
#[test]
fn a_time_out_with_a_fraction_of_a_millisecond_is_refused() {
    let said = refused("tests/timeouts.rs", |tester| {
        let (_, stream) = tester.input::<(u64, u64)>();
        let spec = sums(1).timeout(std::time::Duration::from_micros(1500));
        stream.map_with_state(spec.volatile()).print();
    });
    assert!(matches!(&said[..], [one] if one.contains("1.5ms")), "{said:?}");
}
#[test]
fn many_keys_time_out_in_one_batch() {
    let mut tester = tester(VOLATILE);
    let (feed, stream) = tester.input::<(u64, u64)>();
    let mapped = stream.map_with_state(sums(0).num_partitions(2));
    let out = tester.output(&mapped.filter(|told| told.2).count());
    feed.push((0..10_000).map(|k| (k, 1)));
    tester.steps(3).unwrap();
    assert_eq!(out.take(), [[0], [10_000], [0]]);
}

fn records() -> impl Strategy<Value = Vec<Vec<(u64, u64)>>> {
    let value = prop_oneof![4 => 1..4u64, 2 => Just(0), 1 => Just(9)];
    prop::collection::vec(prop::collection::vec((0..6u64, value), 0..4), 1..16)
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn time_outs_equal_their_twin_whatever_fails(
        batches in records(), timeout in 0..5u64, partitions in 1..5usize, fail in prop::collection::vec(any::<bool>(), 16),
        initial in prop::collection::btree_map(0..6u64, 1..9u64, 0..4),
    ) {
        let initial: Vec<_> = initial.into_iter().collect();
        let mut tester = tester(VOLATILE);
        let (feed, stream) = tester.input::<(u64, u64)>();
        let seeds = tester.context().spark_context().parallelize(initial.clone(), 2);
        let mapped = stream.map_with_state(sums(timeout).num_partitions(partitions).initial_state(seeds));
        let faults = Faults::default();
        let trip = faults.clone();
        mapped.foreach_rdd(move |rdd, _| {
            rdd.count()?;
            trip.meet("output")
        });
        let (out, states) = (tester.output(&mapped), tester.output(&mapped.state_snapshots()));
        for (batch, fail) in batches.iter().zip(fail) {
            feed.push(batch.clone());
            if fail {
                faults.add("output");
            }
            tester.step().unwrap();
        }
        let (told, left) = twin(timeout, &batches, &initial);
        prop_assert_eq!(out.take_sorted(), told);
        prop_assert_eq!(states.take_sorted().pop().unwrap(), left);
    }
    #[test]
    fn time_outs_equal_their_twin_after_a_restart(
        batches in records(), timeout in 0..5u64, killed in 1..16usize, partitions in 1..5usize, every in 1..4u64,
    ) {
        prop_assume!(batches.len() > 1);
        let dir = TempDir::new();
        let tape = Tape::default();
        batches.iter().for_each(|b| tape.push(b.iter().map(|(k, n)| k * 10 + n)));
        let (told, _) = twin(timeout, &batches, &[]);
        // The last batch is the second program's in any case.
        let killed = killed.min(batches.len() - 1);
        let run = |place: &str, from: usize, to: usize, partitions| {
            let clock = ManualClock::new(at(from as u64));
            let mut out = None;
            let ssc = StreamingContext::get_or_create(place, || {
                let sc = SparkContext::new(conf(&[]))?;
                let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone())?;
                let pairs: DStream<(u64, u64)> = ssc.input_stream("tape", tape.input()).map(|x| (x / 10, x % 10));
                let mapped = pairs.map_with_state(sums(timeout).num_partitions(partitions)).checkpoint(seconds(every));
                out = Some(send(&mapped));
                Ok(ssc)
            }).expect("built");
            let mut steps = ssc.start_stepped().expect("a start");
            let mut seen = Vec::new();
            while seen.last() != Some(&(to as u64)) {
                steps.step().expect("a batch");
                let (t, mut got) = next(out.as_ref().expect("built"));
                got.sort();
                assert_eq!(got, told[second(t) as usize - 1], "batch {}", second(t));
                seen.push(second(t));
            }
            dir.copy(place, "copy")
        };
        prop_assert!(TEST_START == at(0));
        let copy = run(&dir.at("a"), 0, killed, partitions);
        run(&copy, killed, batches.len(), 5 - partitions);
    }
}
