//! Listeners: what they are told, in which order, and what they cannot break.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use crate::common::*;
use std::sync::{Arc, Mutex, mpsc};
use winterbourne_engine::{
    BoxError, SparkContext, SparkListener, SparkListenerEvent, StageInfo, StatusTracker, TaskEnd, TaskOutcome,
};

type Heard = Arc<Mutex<Vec<String>>>;
/// One line an event, without what differs from run to run.
fn line(event: &SparkListenerEvent) -> String {
    use SparkListenerEvent::*;
    match event {
        ApplicationStart(e) => format!("start of {}", e.name),
        ApplicationEnd(_) => "end".into(),
        JobStart(e) => format!("{} begins: {} stage(s), {:?}", e.job, e.stages.len(), e.properties.job_group()),
        JobEnd(e) => format!("{} ends: {}", e.job, if e.error.is_some() { "failed" } else { "well" }),
        StageSubmitted(e) => format!("{} begins: {} task(s)", e.id, e.tasks),
        StageCompleted(e) => format!("{} ends: {}", e.id, if e.failure.is_some() { "failed" } else { "well" }),
        TaskStart(e) => format!("task {} of {}, {}.{}", e.id, e.stage, e.partition, e.attempt),
        TaskEnd(e) => match &e.outcome {
            TaskOutcome::Succeeded => format!("task {} ends: read {}", e.task.id, e.records_read),
            TaskOutcome::Failed(_) => format!("task {} failed", e.task.id),
            _ => format!("task {} was stopped", e.task.id),
        },
        UnpersistRdd(rdd) => format!("unpersisted {rdd}"),
        BlockUpdated(e) => format!("cached {} of {}", e.partition, e.rdd),
        Other(any) => format!("other: {}", any.downcast_ref::<&str>().unwrap()),
        _ => "unknown".into(),
    }
}
fn noting(heard: &Heard) -> impl FnMut(&SparkListenerEvent) + Send + 'static {
    let heard = heard.clone();
    move |e| heard.lock().unwrap().push(line(e))
}
/// What a listener hears of a program, until its context has stopped.
fn told(master: &str, program: impl FnOnce(&SparkContext)) -> Vec<String> {
    let heard = Heard::default();
    let sc = SparkContext::builder(conf(master)).listener(noting(&heard)).start().unwrap();
    program(&sc);
    sc.stop();
    drop(sc);
    Arc::into_inner(heard).expect("the listener is gone with its context").into_inner().unwrap()
}

#[test]
fn a_job_is_told_from_its_start_to_its_end() {
    let heard = told("local", |sc| {
        let _group = sc.job_group("g");
        let sums = sc.range(0..5, 2).map(|x| (x % 2, x)).reduce_by_key_in(|a, b| a + b, 1).cache();
        sums.count().unwrap();
        sc.post_event(|| "between");
        sums.count().unwrap();
        sums.unpersist();
    });
    let expect = "start of test
        job 0 begins: 2 stage(s), Some(\"g\")
        stage 0 begins: 2 task(s)
        task 0 of stage 0, 0.0
        task 0 ends: read 2
        task 1 of stage 0, 1.0
        task 1 ends: read 3
        stage 0 ends: well
        stage 1 begins: 1 task(s)
        task 2 of stage 1, 0.0
        cached 0 of rdd 2
        task 2 ends: read 6
        stage 1 ends: well
        job 0 ends: well
        other: between
        job 1 begins: 1 stage(s), Some(\"g\")
        stage 2 begins: 1 task(s)
        task 3 of stage 2, 0.0
        task 3 ends: read 2
        stage 2 ends: well
        job 1 ends: well
        unpersisted rdd 2
        end";
    assert_eq!(heard, expect.lines().map(str::trim).collect::<Vec<_>>());
}
#[test]
fn failures_and_retries_are_told() {
    let heard = told("local[1,2]", |sc| {
        sc.range(0..2, 2).map(|x| 1 / x).count().unwrap_err();
    });
    let expect = "start of test
        job 0 begins: 1 stage(s), None
        stage 0 begins: 2 task(s)
        task 0 of stage 0, 0.0
        task 0 failed
        task 2 of stage 0, 0.1
        task 2 failed
        task 1 of stage 0, 1.0
        task 1 was stopped
        stage 0 ends: failed
        job 0 ends: failed
        end";
    assert_eq!(heard, expect.lines().map(str::trim).collect::<Vec<_>>());
}
#[test]
fn every_start_has_its_end_with_several_threads_and_jobs() {
    let heard = told("local[3]", |sc| {
        let jobs = (0..4).map(|_| {
            let sums = sc.range(0..1000, 5).map(|x| (x % 7, x)).reduce_by_key(|a, b| a + b);
            winterbourne_base::thread::spawn("driver", move || sums.count().unwrap()).unwrap()
        });
        jobs.collect::<Vec<_>>().into_iter().for_each(|t| assert_eq!(t.join().unwrap(), 7));
    });
    let (mut begun, mut tasks) = (0, 0);
    for line in &heard {
        begun += i32::from(line.contains("begins")) - i32::from(line.contains(" ends: well"));
        tasks += i32::from(line.starts_with("task ") && line.contains(" of stage ")) - i32::from(line.contains("read"));
        assert!(begun >= 0 && tasks >= 0, "{line}");
    }
    assert_eq!((begun, tasks, heard.len()), (0, 0, 2 + 4 * (2 + 4 + 2 * 5 + 2 * 5)));
}
#[test]
fn stages_name_their_operator_and_place() {
    struct Names(mpsc::Sender<String>);
    impl SparkListener for Names {
        fn on_stage_completed(&mut self, stage: &StageInfo) {
            assert!(stage.submitted <= stage.completed);
            self.0.send(stage.name.clone()).unwrap();
        }
        fn on_job_start(&mut self, job: &winterbourne_engine::JobStart) {
            self.0.send(job.name.clone()).unwrap();
        }
    }
    let sc = threads(2);
    let (tell, heard) = mpsc::channel();
    sc.add_spark_listener(Names(tell)).unwrap();
    let numbers = sc.range(0..2, 2);
    let line = line!() + 1;
    numbers.count().unwrap();
    numbers.map(|x| (x, x)).reduce_by_key(|a, _| a).map(|e| e).count().unwrap();
    let _library = sc.call_site("my library");
    numbers.count().unwrap();
    sc.stop();
    let heard: Vec<String> = heard.iter().collect();
    assert!(heard[0].starts_with("count at ") && heard[0].contains(&format!("listeners.rs:{line}:")), "{heard:?}");
    assert!(heard[1].starts_with("range at "), "{heard:?}");
    assert!(
        heard[3].starts_with("reduce_by_key at ") && heard[4].starts_with("map at "),
        "the map side first: {heard:?}"
    );
    assert_eq!(heard[5], "my library");
}
#[test]
fn a_removed_listener_hears_no_more_and_is_dropped() {
    let (sc, heard, other) = (threads(1), Heard::default(), Heard::default());
    let id = sc.add_spark_listener(noting(&heard)).unwrap();
    sc.add_spark_listener(noting(&other)).unwrap();
    assert!(sc.remove_spark_listener(id) && !sc.remove_spark_listener(id));
    sc.range(0..2, 2).count().unwrap();
    sc.stop();
    assert!(!heard.lock().unwrap().iter().any(|l| l.contains("job")));
    assert_eq!(other.lock().unwrap().iter().filter(|l| l.contains("job")).count(), 2);
    assert_eq!(Arc::strong_count(&heard), 1);
}
#[test]
fn a_panicking_listener_is_removed_and_harms_nobody() {
    let (sc, (tell, heard)) = (threads(2), mpsc::channel());
    let mut calls = 0;
    let bad = sc.add_spark_listener(move |_: &SparkListenerEvent| {
        calls += 1;
        assert!(calls < 2, "a bug");
    });
    sc.add_spark_listener(move |e: &SparkListenerEvent| {
        if matches!(e, SparkListenerEvent::JobEnd(_)) {
            tell.send(()).unwrap();
        }
    })
    .unwrap();
    for _ in 0..2 {
        sc.range(0..2, 2).count().unwrap();
        heard.recv().unwrap();
    }
    assert!(!sc.remove_spark_listener(bad.unwrap()), "it is gone");
}
#[test]
fn a_full_queue_drops_new_events_and_counts_them() {
    let few = conf("local").set("spark.scheduler.listenerbus.eventqueue.capacity", 4);
    let sc = SparkContext::new(few).unwrap();
    let ((entered, inside), (go_on, wait)) = (mpsc::channel(), mpsc::channel::<()>());
    let heard = Heard::default();
    let (mut note, wait) = (noting(&heard), Mutex::new(wait));
    sc.add_spark_listener(move |e: &SparkListenerEvent| {
        note(e);
        let _ = entered.send(());
        let _ = wait.lock().unwrap().recv();
    })
    .unwrap();
    sc.post_event(|| "first");
    inside.recv().unwrap();
    for name in ["a", "b", "c", "d", "lost", "lost too"] {
        sc.post_event(move || name);
    }
    assert_eq!(sc.counts().dropped_events, 2);
    drop(go_on);
    sc.stop();
    let heard = heard.lock().unwrap().join(", ");
    assert!(heard.starts_with("other: first, other: a, other: b, other: c, other: d"), "{heard}");
}
#[test]
fn a_listener_may_own_the_context_and_stop_it() {
    let sc = threads(2);
    let (own, (tell, heard)) = (sc.clone(), mpsc::channel());
    sc.add_spark_listener(move |e: &SparkListenerEvent| {
        if matches!(e, SparkListenerEvent::JobEnd(_)) {
            own.stop();
            tell.send(own.is_stopped()).unwrap();
        }
    })
    .unwrap();
    sc.range(0..2, 2).count().unwrap();
    assert_eq!(heard.recv(), Ok(true));
    assert!(sc.add_spark_listener(|_: &SparkListenerEvent| ()).is_err());
}
#[test]
fn a_plug_in_starts_with_its_context_hears_it_and_goes_with_it() {
    struct PlugIn(Heard, Option<StatusTracker>, Option<mpsc::Sender<()>>);
    impl SparkListener for PlugIn {
        fn on_attach(&mut self, context: &StatusTracker) -> Result<(), BoxError> {
            if self.2.is_none() {
                return Err("port 4040 is taken".into());
            }
            self.0.lock().unwrap().push(format!("attached to {}", context.app_name().unwrap()));
            self.1 = Some(context.clone());
            Ok(())
        }
        fn on_task_end(&mut self, end: &TaskEnd) {
            let job = self.1.as_ref().and_then(|c| c.job_info(end.task.job));
            self.0.lock().unwrap().push(format!("known: {}", job.is_some()));
            self.2.as_ref().unwrap().send(()).unwrap();
        }
    }
    impl Drop for PlugIn {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("gone".into());
        }
    }
    let (heard, (tell, ended)) = (Heard::default(), mpsc::channel());
    let builder = || SparkContext::builder(conf("local"));
    let sc = builder().listener(PlugIn(heard.clone(), None, Some(tell))).start().unwrap();
    sc.range(0..1, 1).count().unwrap();
    ended.recv().unwrap();
    drop(sc); // without `stop`
    assert_eq!(*heard.lock().unwrap(), ["attached to test", "known: true", "gone"]);
    let e = builder().listener(PlugIn(heard, None, None)).start().err().unwrap();
    assert!(e.to_string().contains("port 4040 is taken"), "{e}");
}
