//! Barrier stages.
use crate::common::*;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use winterbourne_engine::{BarrierTaskContext, BoxError, Error, Rdd, SparkContext, TaskContext};

fn here() -> BarrierTaskContext {
    BarrierTaskContext::get().expect("in a barrier stage")
}
/// Meets twice and gathers.
fn meeting(rdd: &Rdd<u64>) -> Rdd<(usize, Vec<u64>)> {
    rdd.barrier().map_partitions_with_index(|p, records| {
        let sum: u64 = records.sum();
        here().barrier()?;
        let all = here().all_gather(sum)?;
        here().barrier()?;
        Ok([(p, all)])
    })
}
#[test]
fn all_tasks_meet_and_know_each_other() {
    for tasks in [1, 2, 4] {
        let sc = threads(tasks);
        let all = meeting(&sc.range(0..100, tasks)).collect().unwrap();
        let sums: Vec<u64> = slices(&Vec::from_iter(0..100), tasks).iter().map(|s| s.iter().sum()).collect();
        assert_eq!(all, (0..tasks).map(|p| (p, sums.clone())).collect::<Vec<_>>());
        let infos = sc.range(0..100, tasks).barrier().map_partitions(|_| Ok([here().task_infos().len()]));
        assert_eq!(infos.collect().unwrap(), vec![tasks; tasks]);
    }
    assert!(BarrierTaskContext::get().is_none());
    let plain = threads(1).range(0..1, 1).map(|_| BarrierTaskContext::get().is_none()).collect();
    assert_eq!(plain.unwrap(), [true]);
}
#[test]
fn a_barrier_stage_runs_below_a_shuffle_too() {
    let sc = threads(3);
    let summed = meeting(&sc.range(0..9, 3)).map(|(_, all)| (all.len(), 1)).reduce_by_key(|a, b| a + b);
    assert_eq!(summed.collect().unwrap(), [(3, 3)]);
    // Beside a plain stage of the same wave.
    let other = sc.range(0..5, 5).map(|x| (x as usize, 1)).reduce_by_key(|a, b| a + b);
    let joined = meeting(&sc.range(0..9, 3)).map(|(p, _)| (p, 1)).reduce_by_key(|a, b| a + b).join(&other);
    assert_eq!(joined.count().unwrap(), 3);
}
#[test]
fn what_cannot_run_at_once_is_refused() {
    let sc = threads(2);
    let e = meeting(&sc.range(0..9, 3)).count().unwrap_err();
    assert!(matches!(e, Error::Barrier { .. }) && e.to_string().contains("[SPARK-24819]"), "{e}");
    assert!(e.to_string().contains("3 tasks, 2 thread(s)") && e.to_string().contains("tasks_barrier.rs"), "{e}");
    let two = meeting(&sc.range(0..9, 2));
    for e in [two.coalesce(1).count().unwrap_err(), two.first().unwrap_err(), two.union(&two).count().unwrap_err()] {
        assert!(matches!(e, Error::Barrier { .. }) && e.to_string().contains("[SPARK-24820]"), "{e}");
    }
    assert_eq!(two.count().unwrap(), 2, "usable afterwards");
}
#[test]
fn a_failing_task_releases_those_that_wait() {
    for kind in ["error", "panic"] {
        let sc = threads(3);
        let failing = sc.range(0..3, 3).barrier().map_partitions_with_index(move |p, _| {
            if p == 1 {
                assert!(kind == "error", "broken");
                return Err(BoxError::from("broken"));
            }
            here().barrier()?;
            Ok([p])
        });
        let e = failing.count().unwrap_err();
        assert!(matches!(e, Error::Task { partition: 1, .. }) && e.to_string().contains("broken"), "{kind}: {e}");
    }
}
#[test]
fn tasks_that_do_not_come_are_an_error_not_a_deadlock() {
    type Body = fn(usize) -> Result<[usize; 1], BoxError>;
    let cases: [(&str, Body); 3] = [
        ("ended", |p| {
            if p > 0 {
                here().barrier()?;
            }
            Ok([p])
        }),
        ("others to `all_gather`", |p| {
            if p == 0 {
                here().barrier()?
            } else {
                drop(here().all_gather(p)?)
            }
            Ok([p])
        }),
        ("different types", |p| {
            if p == 0 {
                drop(here().all_gather("text".to_owned())?)
            } else {
                drop(here().all_gather(p)?)
            }
            Ok([p])
        }),
    ];
    for (text, body) in cases {
        let e = threads(3).range(0..3, 3).barrier().map_partitions_with_index(move |p, _| body(p)).count().unwrap_err();
        assert!(e.to_string().contains("a barrier was broken") && e.to_string().contains(text), "{text}: {e}");
    }
}
#[test]
fn waiting_tasks_are_cancelled() {
    let sc = threads(2);
    let stop = sc.canceller();
    let waiting = sc.range(0..2, 2).barrier().map_partitions_with_index(move |p, _| {
        if p == 1 {
            stop.cancel_all_jobs();
            while !here().is_interrupted() {}
            here().check()?;
        }
        here().barrier()?;
        Ok([p])
    });
    assert!(matches!(waiting.count(), Err(Error::Cancelled { .. })));
}
#[test]
fn a_barrier_stage_is_tried_again_as_a_whole() {
    let sc = context("local[2,3]");
    let (runs, added) = (Arc::new(Mutex::new(Vec::new())), sc.long_accumulator("runs"));
    let (seen, count) = (runs.clone(), added.clone());
    let flaky = sc.range(0..2, 2).barrier().map_partitions_with_index(move |p, _| {
        let task = here();
        seen.lock().unwrap().push((task.stage_attempt_number(), p, task.attempt_number()));
        count.add(1);
        task.barrier()?;
        assert!(p == 0 || task.stage_attempt_number() == 2, "not yet");
        task.barrier()?;
        Ok([p])
    });
    assert_eq!(flaky.map(|p| (p, 1)).reduce_by_key(|a, b| a + b).count().unwrap(), 2, "as a map side");
    assert_eq!(
        sorted(runs.lock().unwrap().clone()),
        [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (2, 0, 0), (2, 1, 0)]
    );
    assert_eq!(added.value(), 2, "attempts that failed count nothing");
    let never = sc.range(0..2, 2).barrier().map_partitions(|_| {
        here().barrier()?;
        Err::<[u8; 1], _>("always".into())
    });
    let e = never.count().unwrap_err();
    assert!(matches!(e, Error::Task { attempts: 3, .. }), "{e}");
}
#[test]
fn two_barrier_jobs_at_once_do_not_starve_each_other() {
    let sc = threads(2);
    let run = |sc: SparkContext| move || (0..20).map(|_| meeting(&sc.range(0..9, 2)).count().unwrap()).sum::<u64>();
    let others: Vec<_> = (0..3).map(|_| winterbourne_base::thread::spawn("driver", run(sc.clone())).unwrap()).collect();
    assert!(others.into_iter().all(|t| t.join().unwrap() == 40));
}
#[test]
fn an_rdd_that_is_gone_asks_for_no_barrier() {
    let sc = threads(1);
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let count = ran.clone();
        let one = sc.range(0..1, 1).barrier().map_partitions(move |_| Ok([count.fetch_add(1, SeqCst)]));
        one.count().unwrap();
    }
    assert_eq!(sc.range(0..9, 9).map(|_| TaskContext::get().unwrap().partition_id()).count().unwrap(), 9);
    assert_eq!(ran.load(SeqCst), 3);
}
#[test]
fn several_lanes_have_no_barriers_and_say_so() {
    let ran = winterbourne_testkit::lanes::run_on_lanes(2, &conf("local[2]"), |sc| meeting(&sc.range(0..9, 2)).count());
    for lane in ran {
        let e = lane.unwrap_err();
        assert!(e.to_string().contains("cannot meet across several processes"), "{e}");
    }
}
