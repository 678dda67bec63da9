//! Task contexts: what a closure knows of its task, and what is called at its end.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use crate::common::*;
use std::sync::{Arc, Mutex};
use winterbourne_engine::{Error, SparkContext, TaskCause, TaskContext};

type Heard = Arc<Mutex<Vec<String>>>;
fn hear(heard: &Heard, text: impl Into<String>) {
    heard.lock().unwrap().push(text.into());
}
fn heard(heard: &Heard) -> String {
    heard.lock().unwrap().join(", ")
}

#[test]
fn outside_of_tasks_there_is_no_context() {
    assert!(TaskContext::get().is_none());
    assert_eq!(TaskContext::current_partition_id(), 0);
}
#[test]
fn a_task_knows_where_it_is() {
    for n in [1, 2, 3] {
        let sc = threads(n);
        let of = |x: u64| {
            let task = TaskContext::get().unwrap();
            let ids = (task.partition_id(), task.num_partitions(), task.stage_id().0);
            assert_eq!(task.partition_id(), TaskContext::current_partition_id());
            assert_eq!((task.attempt_number(), task.stage_attempt_number(), task.cpus()), (0, 0, 1));
            assert!(!task.is_completed() && !task.is_failed() && !task.is_interrupted() && task.check().is_ok());
            (x, ids, task.task_attempt_id())
        };
        let seen = sc.range(0..3, 3).map(of).collect().unwrap();
        assert_eq!(seen, [(0, (0, 3, 0), 0), (1, (1, 3, 0), 1), (2, (2, 3, 0), 2)]);
        // The map side of a shuffle is a stage of its own.
        let keyed = sc.range(0..4, 2).map(move |x| (of(x).1, 1)).reduce_by_key(|a, _| a);
        let stages = keyed.map(|((p, n, stage), _)| (p, n, stage, TaskContext::get().unwrap().stage_id().0));
        assert_eq!(sorted(stages.collect().unwrap()), [(0, 2, 1, 2), (1, 2, 1, 2)]);
        // A job on some partitions only.
        let third = sc.run_job(&sc.range(0..5, 5), vec![3], |_, _, _| Ok(TaskContext::get().unwrap().num_partitions()));
        assert_eq!(third.unwrap(), [5]);
    }
}
#[test]
fn attempts_are_numbered() {
    let sc = context("local[2,3]");
    let numbers = sc.range(0..2, 2).map(|x| {
        let task = TaskContext::get().unwrap();
        assert!(task.attempt_number() as u64 == 2 * x, "not this one");
        (task.attempt_number(), task.task_attempt_id())
    });
    let seen = numbers.collect().unwrap();
    assert_eq!((seen[0], seen[1].0), ((0, 0), 2));
    assert!(seen[1].1 > 1, "later attempts have later numbers");
}
#[test]
fn a_straggling_partition_is_one_task_whoever_computes_it() {
    let sc = threads(3);
    let ids = sc.range(0..200_000, 1).map(|_| TaskContext::get().unwrap().task_attempt_id()).collect().unwrap();
    assert!(ids.iter().all(|id| *id == 0));
}
#[test]
fn records_read_are_counted() {
    let sc = threads(2);
    let read = |sc: &SparkContext| {
        sc.run_job(&sc.range(0..10_000, 2).filter(|x| x % 100 == 0), vec![0, 1], |_, flow, _| {
            flow.records().for_each(drop);
            Ok(TaskContext::get().unwrap().task_metrics().records_read)
        })
    };
    assert_eq!(read(&sc).unwrap(), [5_000, 5_000]);
}
#[test]
fn listeners_are_called_the_youngest_first_after_success_error_and_panic() {
    for (kind, expect) in [
        ("success", "end 1 true false, end 0 true false"),
        ("error", "failure 1 boom, failure 0 boom, end 1 true true, end 0 true true"),
        ("panic", "failure 1 boom, failure 0 boom, end 1 true true, end 0 true true"),
    ] {
        let (sc, told) = (threads(1), Heard::default());
        let tell = told.clone();
        let ran = sc.run_job(&sc.range(0..1, 1), vec![0], move |_, _, _| {
            let task = TaskContext::get().unwrap();
            for i in 0..2 {
                let (a, b) = (tell.clone(), tell.clone());
                task.add_task_completion_listener(move |t| {
                    hear(&a, format!("end {i} {} {}", t.is_completed(), t.is_failed()));
                    Ok(())
                })
                .add_task_failure_listener(move |t, why| {
                    assert!(t.is_failed() && !t.is_completed() && why.contains("boom"), "{why}");
                    hear(&b, format!("failure {i} boom"));
                    Ok(())
                });
            }
            match kind {
                "success" => Ok(()),
                "error" => Err(Error::User("boom".into())),
                _ => panic!("boom"),
            }
        });
        assert_eq!((ran.is_ok(), heard(&told).as_str()), (kind == "success", expect), "{kind}");
    }
}
#[test]
fn a_listener_that_fails_fails_its_task_and_keeps_no_other_from_being_called() {
    let (sc, told) = (context("local[1,2]"), Heard::default());
    let tell = told.clone();
    let listened = sc.range(0..3, 1).map(move |x| {
        if x == 0 {
            let task = TaskContext::get().unwrap();
            let (tell, first) = (tell.clone(), task.attempt_number() == 0);
            task.add_task_completion_listener(move |_| {
                hear(&tell, if first { "one" } else { "again" });
                Ok(())
            });
            task.add_task_completion_listener(move |_| if first { Err("no disk".into()) } else { Ok(()) });
            task.add_task_completion_listener(move |_| {
                assert!(!first, "no network");
                Ok(())
            });
        }
        x
    });
    assert_eq!(listened.count().unwrap(), 3, "the second attempt");
    assert_eq!((heard(&told).as_str(), sc.counts().task_retries), ("one, again", 1));
    // With what the task itself met.
    let e = threads(1).range(0..1, 1).map(|x| {
        TaskContext::get().unwrap().add_task_completion_listener(|_| Err("no disk".into()));
        1 / x
    });
    let e = e.count().unwrap_err();
    let Error::Task { cause: TaskCause::Engine(why), .. } = &e else { panic!("{e}") };
    assert!(matches!(&**why, Error::TaskListener { previous: Some(_), .. }), "{e}");
    assert!(e.to_string().contains("no disk") && e.to_string().contains("divide by zero"), "{e}");
}
#[test]
fn a_listener_that_comes_late_is_called_at_once() {
    let (sc, told) = (threads(1), Heard::default());
    let contexts = sc.run_job(&sc.range(0..1, 1), vec![0], |_, _, _| Ok(TaskContext::get().unwrap())).unwrap();
    let (tell, none) = (told.clone(), told.clone());
    contexts[0].add_task_completion_listener(move |_| {
        hear(&tell, "late");
        Ok(())
    });
    contexts[0].add_task_failure_listener(move |_, _| {
        hear(&none, "it has not failed");
        Ok(())
    });
    assert_eq!(heard(&told), "late");
    assert!(contexts[0].is_completed() && !contexts[0].is_failed());
}
#[test]
fn what_a_listener_adds_to_an_accumulator_counts_with_its_task() {
    let sc = context("local[2,2]");
    let closed = sc.long_accumulator("closed");
    let count = closed.clone();
    let listened = sc.range(0..4, 4).map(move |x| {
        let (task, count) = (TaskContext::get().unwrap(), count.clone());
        let first = task.attempt_number() == 0;
        task.add_task_completion_listener(move |_| {
            count.add(1);
            Ok(())
        });
        assert!(x != 2 || !first, "the attempt that fails counts nothing");
        x
    });
    listened.count().unwrap();
    assert_eq!(closed.value(), 4);
}
#[test]
fn a_waiting_closure_can_ask_whether_it_is_cancelled() {
    let sc = threads(2);
    let stop = sc.canceller();
    let e = sc.range(0..2, 2).map(move |x| {
        let task = TaskContext::get().unwrap();
        if x == 0 {
            stop.cancel_all_jobs();
        }
        while !task.is_interrupted() {
            std::thread::yield_now();
        }
        x
    });
    assert!(matches!(e.count(), Err(Error::Cancelled { .. }) | Ok(2)));
}
