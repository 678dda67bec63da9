//! Actions beside their caller.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use crate::common::*;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use winterbourne_base::time::milliseconds;
use winterbourne_engine::{Error, FutureAction, SparkContext};

/// Polls a future on this thread, waiting for its waker in between.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Tell(mpsc::Sender<()>);
    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }
    let (tell, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Tell(tell)));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => woken.recv().unwrap(),
        }
    }
}
#[test]
fn they_return_what_their_like_return() {
    for n in [1, 3] {
        let sc = threads(n);
        let numbers = sc.range(0..100, 7).filter(|x| x % 3 == 0);
        assert_eq!(numbers.count_async().get().unwrap(), numbers.count().unwrap());
        assert_eq!(block_on(numbers.collect_async()).unwrap(), numbers.collect().unwrap());
        assert_eq!(numbers.take_async(20).get().unwrap(), numbers.take(20).unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (each, parts) = (seen.clone(), seen.clone());
        numbers.foreach_async(move |x| each.lock().unwrap().push(x)).get().unwrap();
        let sums = move |p: usize, records: winterbourne_engine::Records<u64>| {
            parts.lock().unwrap().push(1000 * p as u64 + records.count() as u64);
            Ok(())
        };
        numbers.foreach_partition_async(sums).get().unwrap();
        assert_eq!(seen.lock().unwrap().len(), 34 + 7);
    }
}
#[test]
fn several_run_at_once_and_the_caller_goes_on() {
    let sc = threads(1);
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let held = sc.range(0..1, 1).map(move |x| {
        let _ = wait.lock().unwrap().recv();
        x
    });
    let held = held.count_async();
    assert_eq!(sc.range(0..10, 2).count_async().get().unwrap(), 10);
    assert_eq!(sc.range(0..10, 2).count().unwrap(), 10);
    assert!(!held.is_completed() && !held.wait_for(milliseconds(1)));
    drop(go_on);
    held.wait();
    assert!(held.is_completed() && !held.is_cancelled());
    assert_eq!(held.get().unwrap(), 1);
}
#[test]
fn a_cancelled_one_fails_and_starts_no_more_jobs() {
    let sc = threads(2);
    let (started, wait) = mpsc::channel();
    let started = Mutex::new(Some(started));
    let endless = sc.range(0..u64::MAX, 10).filter(move |_| {
        if let Some(started) = started.lock().unwrap().take() {
            started.send(()).unwrap();
        }
        false
    });
    let take = endless.take_async(5);
    wait.recv().unwrap();
    let line = line!() + 1;
    take.cancel();
    assert!(take.is_cancelled());
    assert_eq!(take.job_ids().len(), 1);
    let e = take.get().unwrap_err();
    assert!(matches!(&e, Error::Cancelled { .. }), "{e}");
    assert!(e.to_string().contains(&format!("async_actions.rs:{line}:")), "{e}");
    // One that has not begun its job finds out when it does.
    for _ in 0..20 {
        let fast = sc.range(0..u64::MAX, 1).count_async();
        fast.cancel();
        assert!(matches!(fast.get(), Err(Error::Cancelled { .. })));
    }
    assert_eq!(sc.range(0..10, 2).count().unwrap(), 10, "others are not touched");
}
#[test]
fn callbacks_see_the_result_before_it_is_there() {
    let sc = threads(2);
    let order = Arc::new(Mutex::new(Vec::new()));
    let failing = sc.range(0..2, 2).map(|x| 1 / x).count_async();
    for i in 0..2 {
        let order = order.clone();
        failing.on_complete(move |r| order.lock().unwrap().push((i, r.is_err())));
    }
    failing.on_complete(|_| panic!("harms nobody"));
    failing.wait();
    let late = order.clone();
    failing.on_complete(move |r| late.lock().unwrap().push((9, r.is_err())));
    assert_eq!(*order.lock().unwrap(), [(0, true), (1, true), (9, true)]);
    let e = failing.get().unwrap_err();
    assert!(matches!(e, Error::Task { .. }) && e.to_string().contains("divide by zero"), "{e}");
}
#[test]
fn properties_go_along_and_errors_name_the_caller() {
    let sc = threads(2);
    let group = sc.job_group("g");
    let (count, line) = (sc.range(0..10, 2).count_async(), line!());
    count.wait();
    assert_eq!(sc.status_tracker().job_ids_for_group(Some("g")), count.job_ids());
    drop(group);
    let count = sc.range(0..10, 2).map(|x| x).union(&threads(1).range(0..1, 1)).count_async();
    assert!(matches!(count.get(), Err(Error::ForeignRdd { operator: "union", .. })));
    let inside = sc.range(0..1, 1);
    let (own, tell) = (Mutex::new(Some(inside.clone())), Arc::new(Mutex::new(String::new())));
    let told = tell.clone();
    sc.range(0..1, 1)
        .foreach(move |_| {
            let rdd = own.lock().unwrap().take().unwrap();
            *told.lock().unwrap() = rdd.count_async().get().unwrap_err().to_string();
        })
        .unwrap();
    assert!(tell.lock().unwrap().contains("`count_async`") && tell.lock().unwrap().contains("inside a task"));
    sc.stop();
    let e = inside.count_async().get().unwrap_err();
    assert!(matches!(e, Error::Stopped { what: "count_async", .. }), "{e} {line}");
}
#[test]
fn stop_cancels_and_waits_for_them() {
    let sc = threads(2);
    let (started, wait) = mpsc::channel();
    let started = Mutex::new(Some(started));
    let endless = sc.range(0..u64::MAX, 2).map(move |x| {
        if let Some(started) = started.lock().unwrap().take() {
            started.send(()).unwrap();
        }
        x
    });
    let count = endless.count_async();
    wait.recv().unwrap();
    sc.stop();
    assert!(count.is_completed());
    let e = count.get().unwrap_err();
    assert!(e.to_string().contains("SparkContext was shut down"), "{e}");
}
#[test]
fn a_context_may_end_while_nobody_waits() {
    for _ in 0..10 {
        let sc = threads(2);
        drop(sc.range(0..1000, 4).count_async());
        let last = sc.range(0..1000, 4).map(|x| (x % 3, x)).reduce_by_key(|a, b| a + b).count_async();
        drop(sc);
        assert_eq!(last.get().unwrap(), 3);
    }
}
#[test]
fn a_submitted_job_hands_over_and_finishes() {
    let sc = threads(2);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (push, read) = (seen.clone(), seen.clone());
    let numbers = sc.range(0..10, 4);
    let job: FutureAction<Vec<(usize, u64)>> = sc.submit_job(
        &numbers,
        vec![3, 1],
        |_, flow, _| Ok(flow.records().sum::<u64>()),
        move |i, sum| push.lock().unwrap().push((i, sum)),
        move || sorted(read.lock().unwrap().clone()),
    );
    assert_eq!(block_on(job).unwrap(), [(0, 7 + 8 + 9), (1, 2 + 3 + 4)]);
    let none = sc.submit_job(&numbers, vec![4], |_, _, _| Ok(()), |_, ()| (), || ());
    assert!(matches!(none.get(), Err(Error::NoPartition { asked: 4, .. })));
}
#[test]
fn map_stages_alone_are_run_once() {
    for n in [1, 2] {
        let sc = threads(n);
        let tasks = |sc: &SparkContext| sc.counts().tasks;
        let sums = sc.range(0..100, 5).map(|x| (x % 7, x)).reduce_by_key_in(|a, b| a + b, 3);
        let twice = sums.map(|(k, v)| (v % 2, k)).group_by_key_in(2);
        sc.submit_map_stages(&twice).get().unwrap();
        assert_eq!(tasks(&sc), 5 + 3);
        sc.submit_map_stages(&twice).get().unwrap();
        assert_eq!(tasks(&sc), 5 + 3);
        assert_eq!(twice.count().unwrap(), 2);
        assert_eq!(tasks(&sc), 5 + 3 + 2);
        sc.submit_map_stages(&sc.range(0..3, 3)).get().unwrap();
        assert_eq!(tasks(&sc), 5 + 3 + 2, "no shuffle, no task");
    }
}
