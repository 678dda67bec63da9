//! A partition that takes long is shared with idle threads, and nobody can tell from the result.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::{
    collections::HashSet,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};
use winterbourne_engine::{Error, SparkConf, SparkContext};

fn context(master: &str) -> SparkContext {
    SparkContext::new(SparkConf::empty().set_app_name("sharing").set_master(master)).unwrap()
}

/// Threads that meet: each waits, once, until a second one is here too. The time-out is only there so that a failure does
/// not hang.
#[derive(Clone, Default)]
struct Meeting(Arc<(Mutex<HashSet<thread::ThreadId>>, Condvar)>);
impl Meeting {
    fn come(&self) {
        let (here, changed) = &*self.0;
        let mut here = here.lock().unwrap();
        here.insert(thread::current().id());
        changed.notify_all();
        let guard = Duration::from_secs(30);
        drop(changed.wait_timeout_while(here, guard, |here| here.len() < 2).unwrap());
    }
    fn threads(&self) -> usize {
        self.0.0.lock().unwrap().len()
    }
}

#[test]
fn an_idle_thread_computes_chunks_of_another_threads_partition() {
    let sc = context("local[2]");
    let meeting = Meeting::default();
    let m = meeting.clone();
    // One partition of two million: from the middle on, a record now and then waits until a second thread works on this partition too.
    let all = sc.range(0..2_000_000, 1).map(move |x| {
        if x % 10_000 == 9_999 && x > 1_000_000 {
            m.come();
        }
        x + 1
    });
    assert_eq!(all.collect().unwrap(), (1..=2_000_000).collect::<Vec<u64>>(), "in order, whoever computed it");
    assert_eq!(meeting.threads(), 2);
}
#[test]
fn sharing_is_the_same_for_cached_and_listed_records() {
    let sc = context("local[3]");
    let words: Vec<String> = (0..60_000).map(|i| format!("w{}", i % 977)).collect();
    let listed = sc.parallelize(words.clone(), 1).cache();
    for _ in 0..3 {
        let got = listed.map(|w| w.len()).filter(|n| n % 2 == 0).collect().unwrap();
        assert_eq!(got, words.iter().map(String::len).filter(|n| n % 2 == 0).collect::<Vec<_>>());
    }
}
#[test]
fn a_panic_on_a_helper_is_the_tasks_own_and_ends_it() {
    for run in 0..20 {
        let sc = context("local[3]");
        let line = line!() + 2;
        let bad =
            sc.range(0..200_000, 1).map(move |x| if x == 150_000 { panic!("bad record in run {run}") } else { x });
        let Err(Error::Task { partition: 0, site, cause, .. }) = bad.count() else { panic!("must fail") };
        assert_eq!(site.line(), line);
        assert!(cause.to_string().contains(&format!("bad record in run {run}")), "{cause}");
        assert_eq!(sc.range(0..100_000, 1).map(|x| x + 1).count().unwrap(), 100_000, "the context lives");
    }
}
#[test]
fn actions_inside_a_shared_task_are_refused_on_every_thread() {
    let sc = context("local[2]");
    let other = Mutex::new(sc.range(0..1, 1));
    let meeting = Meeting::default();
    let m = meeting.clone();
    let refused = sc.range(0..2_000_000, 1).map(move |x| {
        if x % 10_000 == 9_999 && x > 1_000_000 {
            m.come();
            return u64::from(matches!(other.lock().unwrap().count(), Err(Error::NestedJob { .. })));
        }
        0
    });
    assert_eq!(refused.reduce(|a, b| a + b).unwrap(), 100);
    assert_eq!(meeting.threads(), 2);
}
#[test]
fn sums_of_floats_do_not_depend_on_who_computed_the_chunks() {
    let sum = |master: &str| {
        let sc = context(master);
        let numbers = sc.range(0..300_000, 1).map(|x| 1.0 / (x as f64 + 1.0)).filter(|x| *x < 0.5);
        numbers.aggregate(0.0, |a, x| a + x, |a, b| a + b).unwrap().to_bits()
    };
    let alone = sum("local[1]");
    for _ in 0..10 {
        assert_eq!(sum("local[4]"), alone);
    }
}
