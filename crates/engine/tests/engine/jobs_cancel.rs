//! Cancelling by tag, stage and attempt; results handed over one by one; how jobs are doing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use crate::common::*;
use std::sync::{Arc, Mutex, mpsc};
use winterbourne_engine::{Canceller, Error, Flow, JobStatus, SparkContext, Task, TaskContext};

fn count(_: usize, flow: Flow<u64>, _: &Task) -> winterbourne_engine::Result<usize> {
    Ok(flow.records().count())
}

/// The error of an endless job that is cancelled, from its first record, by `how`.
fn cancelled(sc: &SparkContext, how: impl Fn(&Canceller, &TaskContext) + Send + Sync + 'static) -> Error {
    let stop = sc.canceller();
    let endless = sc.range(0..u64::MAX, 2).map(move |x| {
        how(&stop, &TaskContext::get().unwrap());
        x
    });
    endless.count().unwrap_err()
}
#[test]
fn jobs_are_cancelled_by_tag_stage_and_group() {
    for n in [1, 2] {
        let sc = threads(n);
        let _tag = sc.add_job_tag("night").unwrap();
        let _group = sc.job_group("reports");
        type How = fn(&Canceller, &TaskContext);
        let cases: [(&str, How); 5] = [
            ("it has the tag night", |c, _| c.cancel_jobs_with_tag("night")),
            ("cancel_stage", |c, task| assert!(c.cancel_stage(task.stage_id()) || task.is_interrupted())),
            ("part of cancelled job group reports", |c, _| c.cancel_job_group("reports")),
            ("cancel_job ", |c, task| assert!(c.cancel_job(task.job_id()) || task.is_interrupted())),
            ("too slow (cancel_all_jobs", |c, _| c.clone().because("too slow").cancel_all_jobs()),
        ];
        for (text, how) in cases {
            let e = cancelled(&sc, how);
            assert!(matches!(&e, Error::Cancelled { reason, .. } if reason.contains(text)), "{text}: {e}");
            assert!(e.to_string().contains("jobs_cancel.rs"), "{e}");
        }
        let stop = sc.canceller();
        stop.cancel_jobs_with_tag("day");
        assert!(!stop.cancel_stage(winterbourne_engine::StageId(u64::MAX)));
        assert_eq!(sc.range(0..10, 2).count().unwrap(), 10);
    }
}
#[test]
fn a_killed_attempt_is_made_again_and_is_no_failure() {
    for master in ["local", "local[3]", "local[2,2]"] {
        let sc = context(master);
        let stop = sc.canceller();
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let seen = attempts.clone();
        let added = sc.long_accumulator("records");
        let add = added.clone();
        let killed = sc.range(0..20_000, 2).map(move |x| {
            let task = TaskContext::get().unwrap();
            if x == 0 {
                seen.lock().unwrap().push((task.attempt_number(), task.task_attempt_id()));
                if task.attempt_number() < 3 {
                    assert!(stop.kill_task_attempt(task.task_attempt_id()));
                }
            }
            add.add(1);
            x
        });
        assert_eq!(killed.count().unwrap(), 20_000, "{master}");
        assert_eq!(added.value(), 20_000, "killed attempts count nothing");
        let attempts = attempts.lock().unwrap();
        assert_eq!(attempts.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(attempts.windows(2).all(|w| w[0].1 < w[1].1), "{attempts:?}");
        assert!(!sc.canceller().kill_task_attempt(attempts[0].1), "it has ended");
    }
}
#[test]
fn results_are_handed_over_as_tasks_end() {
    // The second task ends only when the result of the first one was handed over.
    let sc = threads(2);
    let (go_on, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let handed = Arc::new(Mutex::new(Vec::new()));
    let seen = handed.clone();
    let f = move |p: usize, flow: Flow<u64>, _: &Task| {
        if p == 1 {
            wait.lock().unwrap().recv().unwrap();
        }
        Ok(flow.records().sum::<u64>())
    };
    sc.run_job_with(&sc.range(0..10, 3), vec![2, 1], f, move |i, sum| {
        seen.lock().unwrap().push((i, sum));
        let _ = go_on.send(());
    })
    .unwrap();
    assert_eq!(*handed.lock().unwrap(), [(0, 6 + 7 + 8 + 9), (1, 3 + 4 + 5)]);
}
#[test]
fn what_comes_while_the_handler_is_busy_is_handed_over_after() {
    // The first call waits for the task that starts last: until then another thread brings a result, and goes on.
    let sc = threads(2);
    let (last, begun) = mpsc::channel();
    let handed = Arc::new(Mutex::new(Vec::new()));
    let seen = handed.clone();
    let f = move |p: usize, flow: Flow<u64>, task: &Task| {
        if p == 2 {
            last.send(()).unwrap();
        }
        count(p, flow, task)
    };
    sc.run_job_with(&sc.range(0..6, 3), vec![0, 1, 2], f, move |i, _| {
        if seen.lock().unwrap().is_empty() {
            begun.recv().unwrap();
        }
        seen.lock().unwrap().push(i);
    })
    .unwrap();
    assert_eq!(sorted(handed.lock().unwrap().clone()), [0, 1, 2]);
}
#[test]
fn a_handler_that_panics_ends_the_job() {
    for n in [1, 3] {
        let sc = threads(n);
        let mut calls = 0;
        let e = sc.run_job_with(&sc.range(0..100, 50), (0..50).collect(), count, move |_, _| {
            calls += 1;
            assert!(calls < 3, "enough");
        });
        let e = e.unwrap_err();
        assert!(matches!(&e, Error::User(why) if why.to_string().contains("enough")), "{e}");
        assert_eq!(sc.range(0..10, 2).count().unwrap(), 10);
    }
}
#[test]
fn a_result_is_handed_over_once_however_often_its_task_was_tried() {
    let sc = context("local[2,3]");
    let handed = Arc::new(Mutex::new(Vec::new()));
    let seen = handed.clone();
    let f = |p: usize, flow: Flow<u64>, task: &Task| {
        assert!(task.attempt == 3 || p != 1, "not yet");
        count(p, flow, task)
    };
    sc.run_job_with(&sc.range(0..6, 3), vec![0, 1, 2], f, move |i, n| seen.lock().unwrap().push((i, n))).unwrap();
    assert_eq!(sorted(handed.lock().unwrap().clone()), [(0, 2), (1, 2), (2, 2)]);
}
#[test]
fn results_are_handed_over_on_several_lanes_alike() {
    let all = everywhere(2, |sc| {
        let handed = Arc::new(Mutex::new(Vec::new()));
        let seen = handed.clone();
        sc.run_job_with(&sc.range(0..10, 4), vec![3, 0, 1], count, move |i, n| seen.lock().unwrap().push((i, n)))?;
        let mut handed = handed.lock().unwrap().clone();
        handed.sort_unstable();
        Ok(handed)
    });
    assert_eq!(all, [(0, 3), (1, 2), (2, 3)]);
}
#[test]
fn the_status_of_jobs_is_known_while_they_run_and_after() {
    let sc = SparkContext::new(conf("local[2]").set("spark.ui.retainedJobs", 3)).unwrap();
    let status = sc.status_tracker();
    let inside = status.clone();
    let group = sc.job_group("g");
    let tag = sc.add_job_tag("t").unwrap();
    let sums = sc.range(0..100, 3).map(|x| (x % 3, x)).reduce_by_key(|a, b| a + b);
    let infos = sums.map(move |_| {
        let task = TaskContext::get().unwrap();
        let (job, stage) = (inside.job_info(task.job_id()).unwrap(), inside.stage_info(task.stage_id()).unwrap());
        assert_eq!(inside.active_job_ids(), [task.job_id()]);
        assert_eq!(inside.active_stage_ids(), [task.stage_id()]);
        assert_eq!((job.status, job.stages.len(), job.properties.job_group()), (JobStatus::Running, 2, Some("g")));
        assert!(stage.active >= 1 && stage.active + stage.completed <= stage.tasks, "{stage:?}");
        assert_eq!((stage.attempt, stage.failed), (0, 0));
        stage.tasks
    });
    assert!(infos.collect().unwrap().iter().all(|tasks| *tasks == 3));
    drop((group, tag));
    sc.range(0..4, 2).map(|x| 1 / x).count().unwrap_err();
    let [done] = status.job_ids_for_group(Some("g"))[..] else { panic!("one job") };
    let [failed] = status.job_ids_for_group(None)[..] else { panic!("one job") };
    assert_eq!(status.job_ids_for_tag("t"), [done]);
    assert_eq!(status.job_info(done).unwrap().status, JobStatus::Succeeded);
    assert_eq!(status.job_info(failed).unwrap().status, JobStatus::Failed);
    assert!(status.active_job_ids().is_empty() && status.active_stage_ids().is_empty());
    (0..2).for_each(|_| assert_eq!(sc.range(0..4, 2).count().unwrap(), 4));
    assert!(status.job_info(done).is_none(), "three are remembered");
    assert_eq!(status.app_name().as_deref(), Some("test"));
    drop((sc, sums, infos));
    assert!(status.app_name().is_none() && status.job_ids_for_group(None).is_empty(), "it keeps nothing alive");
}
#[test]
fn a_context_answers_questions() {
    let dir = TempDir::new();
    let file = dir.file("pools.xml", "<allocations><pool name='etl'><weight>2</weight></pool></allocations>");
    let fair = conf("local[2]").set("spark.scheduler.mode", "FAIR").set("spark.scheduler.allocation.file", file);
    let sc = SparkContext::new(fair).unwrap();
    assert_eq!(sc.scheduling_mode(), "FAIR");
    assert_eq!(sc.pool_for_name("etl").unwrap().weight, 2);
    assert!(sc.pool_for_name("other").is_none());
    let other = sc.scheduler_pool("other");
    sc.range(0..4, 2).count().unwrap();
    drop(other);
    let names: Vec<String> = sc.all_pools().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["etl", "other"]);
    let another = threads(1);
    assert!(sc.application_id().starts_with("local-") && sc.application_id() != another.application_id());
    assert!(sc.is_local() && sc.start_time() <= another.start_time());
}
#[test]
fn elements_keep_their_preferred_hosts() {
    let sc = threads(2);
    let blocks = sc.make_rdd([(1, vec!["a", "b"]), (2, vec![]), (3, vec!["c"])]);
    assert_eq!(blocks.num_partitions().unwrap(), 3);
    assert_eq!(blocks.glom().collect().unwrap(), [[1], [2], [3]]);
    let mapped = blocks.map(|x| x + 1).filter(|_| true);
    let of = |p| mapped.preferred_locations(p).join(" ");
    assert_eq!((of(0), of(1), of(2), of(3)), ("a b".into(), String::new(), "c".into(), String::new()));
    assert!(
        blocks.coalesce(1).preferred_locations(0).is_empty() && sc.range(0..4, 2).preferred_locations(0).is_empty()
    );
}
