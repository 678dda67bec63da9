//! Several lanes that run one program: what they agree on, and that no failure of one leaves another waiting.
use crate::common::*;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use winterbourne_engine::{
    Error, Result, SparkContext,
    backend::{Backend, Label},
};
use winterbourne_testkit::lanes::{Lanes, run_on_lanes};

/// The number of the lane whose program runs on this thread.
fn lane() -> usize {
    let thread = std::thread::current();
    thread.name().and_then(|n| n.strip_prefix("lane-")?.parse().ok()).expect("named by run_on_lanes")
}
fn errors<R: std::fmt::Debug>(results: Vec<Result<R>>) -> Vec<Error> {
    results.into_iter().map(|r| r.expect_err("must fail")).collect()
}

#[test]
fn each_record_is_handed_over_in_one_lane_only() {
    for lanes in 1..5 {
        let seen = Arc::new(AtomicU64::new(0));
        let s = seen.clone();
        let results = run_on_lanes(lanes, &conf("local[2]"), move |sc| {
            let s = s.clone();
            sc.range(0..1000, 7).foreach(move |x| {
                s.fetch_add(x, SeqCst);
            })?;
            Ok(sc.counts().tasks)
        });
        let tasks: u64 = results.into_iter().map(Result::unwrap).sum();
        assert_eq!((seen.load(SeqCst), tasks), (499_500, 7), "{lanes} lanes");
    }
}
#[test]
fn a_shuffle_is_run_once_by_all_lanes_together_and_reused() {
    let program = |sc: &SparkContext| {
        let sums = sc.range(0..100, 5).map(|x| (x % 7, x)).reduce_by_key_in(|a, b| a + b, 3);
        let first = sums.collect()?;
        let after_first = sc.counts().tasks;
        assert_eq!(sums.collect()?, first);
        Ok((first.len(), after_first, sc.counts().tasks - after_first))
    };
    let results: Vec<_> = run_on_lanes(2, &conf("local[1]"), program).into_iter().map(Result::unwrap).collect();
    // Partitions 0, 2, 4 of the map side and 0, 2 of the result are lane 0's.
    assert_eq!(results, [(7, 5, 2), (7, 3, 1)]);
}
#[test]
fn a_cache_is_reused_where_every_lane_has_its_part() {
    everywhere(2, |sc| {
        let squares = sc.range(0..100, 5).map(|x| (x % 3, x * x)).reduce_by_key(|a, b| a + b).map_values(|v| v + 1);
        let cached = squares.cache();
        cached.materialize()?;
        cached.materialize()?;
        let all = cached.collect()?;
        // One partition, so one lane only, of the same.
        let first = cached.take(1)?;
        let few = cached.coalesce(2).map(|(k, v)| (v, k)).collect()?;
        cached.unpersist();
        assert_eq!(cached.collect()?, all);
        Ok((all, first, few))
    });
}
#[test]
fn a_union_is_computed_where_its_parents_are() {
    let computed = Arc::new(AtomicU64::new(0));
    let c = computed.clone();
    let results = run_on_lanes(3, &conf("local[1]"), move |sc| {
        let c = c.clone();
        let numbers = sc.range(0..100, 5).map(move |x| {
            c.fetch_add(1, SeqCst);
            x
        });
        let cached = numbers.cache();
        cached.materialize()?;
        // Partitions of the cached RDD get other numbers: 1 to 5, and 6 to 10.
        let all = sc.range(0..7, 1).union(&cached).union(&cached.map(|x| x * 2)).filter(|x| x % 2 == 0);
        all.sum()
    });
    let sum: u64 = (0..7).chain(0..100).filter(|x| x % 2 == 0).sum::<u64>() + 99 * 100;
    assert!(results.into_iter().all(|r| r.expect("runs") == sum));
    assert_eq!(computed.load(SeqCst), 100, "cached blocks were found");
}
#[test]
fn divergence_is_an_error_in_every_lane_that_names_both_call_sites() {
    let results = run_on_lanes(3, &conf("local[1]"), |sc| {
        let numbers = sc.range(0..10, 2);
        if lane() == 2 { numbers.first() } else { numbers.count() } // in this line, columns tell them apart
    });
    let line = line!() - 2;
    let (first, count) = (format!("/lanes.rs:{line}:34"), format!("/lanes.rs:{line}:59"));
    for (i, e) in errors(results).iter().enumerate() {
        assert!(matches!(e, Error::Diverged { lane, .. } if *lane == i), "{e}");
        let text = e.to_string();
        assert!(text.contains(&first) && text.contains(&count), "lane {i}: {text}");
    }
}
#[test]
fn the_same_action_on_other_data_is_divergence_too() {
    let results = run_on_lanes(2, &conf("local[1]"), |sc| sc.range(0..10, 2 + lane()).count());
    assert!(errors(results).iter().all(|e| matches!(e, Error::Diverged { .. })));
}
#[test]
fn nothing_works_after_a_divergence() {
    let results = run_on_lanes(2, &conf("local[1]"), |sc| {
        let numbers = sc.range(0..10, 2 + lane());
        assert!(numbers.count().is_err());
        sc.range(0..10, 2).count()
    });
    assert!(errors(results).iter().all(|e| matches!(e, Error::Diverged { .. })));
}
#[test]
fn an_error_in_one_lane_is_an_error_in_all() {
    for shuffled in [false, true] {
        let results = run_on_lanes(3, &conf("local[2]"), move |sc| {
            let bad = sc.range(0..30, 6).map(|x| if x == 7 { panic!("seven") } else { (x, x) });
            if shuffled { bad.reduce_by_key(|a, _| a).count() } else { bad.count() }
        });
        let errors = errors(results);
        // Partition 1 of 6 is lane 1's.
        assert!(matches!(&errors[1], Error::Task { partition: 1, .. }), "{}", errors[1]);
        for other in [0, 2] {
            let text = errors[other].to_string();
            assert!(text.starts_with("lane 1 failed: ") && text.contains("seven"), "{text}");
        }
    }
}
#[test]
fn a_failed_job_can_be_run_again() {
    // The story: the map outputs of the lane that did not fail existed in that lane only; planning again, each lane
    // found other outputs missing, and none was ever computed.
    let failures = Arc::new(AtomicU64::new(0));
    let results = run_on_lanes(2, &conf("local[1]"), move |sc| {
        let failures = failures.clone();
        let sums = sc.range(0..40, 4).map_partitions_with_index(move |p, records| {
            if p == 1 && failures.fetch_add(1, SeqCst) == 0 {
                panic!("the first time only");
            }
            records.map(|x| (x % 3, x))
        });
        let sums = sums.reduce_by_key(|a, b| a + b);
        assert!(sums.count().is_err());
        Ok(sorted(sums.collect()?))
    });
    for result in results {
        assert_eq!(result.unwrap(), [(0, 273), (1, 247), (2, 260)]);
    }
}
#[test]
fn a_lane_that_ends_early_leaves_nobody_waiting() {
    let results = run_on_lanes(3, &conf("local[1]"), |sc| {
        let n = sc.range(0..10, 2).count()?;
        if lane() == 0 { Ok(n) } else { sc.range(0..10, 3).count() }
    });
    let mut results = results.into_iter();
    assert_eq!(results.next().unwrap().unwrap(), 10);
    for e in errors(results.collect()) {
        assert!(matches!(e, Error::Diverged { other: 0, .. }), "{e}");
        assert!(e.to_string().contains("lane 0 runs nothing any more"), "{e}");
    }
}
#[test]
fn a_panic_of_the_program_is_an_error_and_ends_its_lane() {
    let results = run_on_lanes(2, &conf("local[1]"), |sc| {
        assert_eq!(lane(), 0, "lane 1 gives up");
        sc.range(0..10, 2).count()
    });
    let errors = errors(results);
    assert!(matches!(errors[0], Error::Diverged { other: 1, .. }), "{}", errors[0]);
    assert!(errors[1].to_string().contains("lane 1 gives up"), "{}", errors[1]);
}
#[test]
fn a_dropped_backend_is_a_lane_that_left() {
    let mut lanes = Lanes::new(2);
    drop(lanes.pop());
    let sc = SparkContext::with_backend(conf("local"), lanes.remove(0)).unwrap();
    assert!(matches!(sc.range(0..10, 2).count(), Err(Error::Diverged { lane: 0, other: 1, .. })));
}
#[test]
fn all_must_say_yes() {
    let label = Label { number: 1, name: "count", site: winterbourne_engine::Site::caller(), tasks: 1 };
    for (votes, expect) in [([true, true], true), ([true, false], false), ([false, false], false)] {
        let lanes = Lanes::new(2);
        let ask = |(lane, mine): (Arc<dyn Backend>, bool)| {
            let label = label.clone();
            winterbourne_base::thread::spawn("voter", move || lane.agree(&label, mine).unwrap()).unwrap()
        };
        let asked: Vec<_> = lanes.into_iter().zip(votes).map(ask).collect();
        assert!(asked.into_iter().all(|t| t.join().unwrap() == expect), "{votes:?}");
    }
}
