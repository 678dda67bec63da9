//! Approximate actions: what they give when their time is over, and after. A latch holds tasks back and a manual clock
//! moves, so that no test waits for time to pass.
use crate::common::*;
use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
    mpsc,
};
use winterbourne_base::{
    ManualClock, Time, thread,
    time::{milliseconds, seconds},
};
use winterbourne_engine::{Error, Rdd, SparkContext, Within};

/// Closed until opened.
#[derive(Default)]
struct Latch {
    open: Mutex<bool>,
    changed: Condvar,
}
impl Latch {
    fn open(&self) {
        *self.open.lock().expect("no panic here") = true;
        self.changed.notify_all();
    }
    fn pass(&self) {
        let mut open = self.open.lock().expect("no panic here");
        while !*open {
            open = self.changed.wait(open).expect("no panic here");
        }
    }
}

/// The numbers to 100 in 10 partitions, on one thread. Those from the fifth partition on wait for the latch; when the
/// first of them does, the clock moves by a second.
struct Held {
    sc: SparkContext,
    numbers: Rdd<u64>,
    latch: Arc<Latch>,
    clock: Arc<ManualClock>,
    /// Moves the clock, once.
    mover: std::thread::JoinHandle<()>,
}
impl Held {
    fn new() -> Self {
        let (sc, latch, clock) = (threads(1), Arc::<Latch>::default(), ManualClock::new(Time::from_millis(0)));
        let (tell, held) = mpsc::channel();
        let moved = clock.clone();
        let mover = thread::spawn("mover", move || {
            held.recv().expect("a task is held");
            moved.await_waiting(1);
            moved.advance(seconds(1));
        });
        let (l, tell) = (latch.clone(), Mutex::new(tell));
        let numbers = sc.range(1..101, 10).map(move |x| {
            if x == 51 {
                let _ = tell.lock().expect("no panic here").send(());
            }
            if x > 50 {
                l.pass();
            }
            x
        });
        Held { sc, numbers, latch, clock, mover: mover.expect("a thread") }
    }
    fn within(&self) -> Within {
        Within::new(seconds(1)).clock(self.clock.clone())
    }
    fn end(self) {
        self.latch.open();
        self.mover.join().expect("does not panic");
        self.sc.stop();
    }
}

#[test]
fn a_count_gives_bounds_in_time_and_the_number_in_the_end() {
    let held = Held::new();
    let count = held.numbers.count_approx(held.within()).unwrap();
    let first = *count.initial_value();
    assert!(!count.is_initial_value_final());
    // 50 records of half of the partitions.
    assert_eq!((first.mean, first.confidence), (100.0, 0.95));
    assert!((75.0..90.0).contains(&first.low) && (110.0..125.0).contains(&first.high), "{first}");
    assert_eq!(count.to_string(), format!("(partial: {first})"));
    held.latch.open();
    assert_eq!(count.final_value().unwrap().to_string(), "[100.000, 100.000]");
    held.end();
}
#[test]
fn sums_and_means_too() {
    let held = Held::new();
    let sum = held.numbers.sum_approx(held.within().confidence(0.9)).unwrap();
    let first = *sum.initial_value();
    assert!((first.mean - 2550.0).abs() < 1e-9 && first.confidence == 0.9, "{first}");
    assert!(first.low > 1500.0 && first.low < 2500.0 && first.high > 2600.0 && first.high < 3600.0, "{first}");
    held.latch.open();
    assert!((sum.final_value().unwrap().mean - 5050.0).abs() < 1e-9);
    held.end();

    let held = Held::new();
    let mean = held.numbers.mean_approx(held.within()).unwrap();
    let first = *mean.initial_value();
    // t(49) is 2.01; the standard error is sqrt(212.5 / 50).
    assert!((first.mean - 25.5).abs() < 1e-9 && (first.high - 25.5 - 2.0096 * 2.0616).abs() < 1e-3, "{first}");
    held.latch.open();
    assert_eq!(mean.final_value().unwrap().to_string(), "[50.500, 50.500]");
    held.end();
}
#[test]
fn counts_by_key_know_the_keys_that_were_met() {
    let held = Held::new();
    let keys = held.numbers.map(|x| (if x > 50 { 2 } else { x % 2 }, x));
    let counts = keys.count_by_key_approx(held.within()).unwrap();
    let first = counts.initial_value();
    assert_eq!((first.len(), first[&0].mean, first[&1].mean), (2, 50.0, 50.0));
    held.latch.open();
    let last = counts.final_value().unwrap();
    assert_eq!((last.len(), last[&0].mean, last[&2].mean), (3, 25.0, 50.0));
    held.end();
}
#[test]
fn the_final_value_is_handed_over_and_mapped() {
    let held = Held::new();
    let count = held.numbers.count_approx(held.within()).unwrap().map(|n| n.mean as u64 + 1);
    assert_eq!((*count.initial_value(), count.is_initial_value_final()), (101, false));
    let (tell, told) = mpsc::channel();
    count.on_complete(move |n| tell.send(n).expect("is waited for"));
    held.latch.open();
    assert_eq!(told.recv().unwrap().unwrap(), 101);
    held.end();
}
/// Tells when it is dropped.
struct Tell(mpsc::Sender<()>);
impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
#[test]
fn dropping_it_cancels_the_rest() {
    // Dropped before the job has a task, perhaps, and when its only task is at its first record.
    for has_begun in [false, true] {
        let (sc, clock) = (threads(1), ManualClock::new(Time::from_millis(0)));
        let (latch, last) = (Arc::<Latch>::default(), Arc::new(AtomicBool::new(false)));
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let (l, r, end) = (latch.clone(), last.clone(), Tell(end));
        let numbers = sc.range(0..10_000, 1).map(move |x| {
            let _dropped_with_the_lineage = &end;
            let _ = begin.send(());
            l.pass();
            r.fetch_or(x == 9_999, SeqCst);
            x
        });
        let count = numbers.count_approx(Within::new(milliseconds(0)).clock(clock)).unwrap();
        assert_eq!(count.initial_value().to_string(), "[0.000, Infinity]");
        if has_begun {
            begun.recv().unwrap();
        }
        drop((count, numbers));
        latch.open();
        ended.recv().unwrap();
        assert!(!last.load(SeqCst), "the job went on to its last record");
    }
}
#[test]
fn a_failure_in_time_is_an_error_and_a_later_one_comes_with_the_final_value() {
    let sc = threads(2);
    let bad = sc.range(0..10, 5).map(|x| if x == 5 { panic!("five") } else { x });
    let e = bad.count_approx(seconds(600)).unwrap_err();
    assert!(e.to_string().contains("five") && matches!(e, Error::Task { partition: 2, .. }), "{e}");

    let held = Held::new();
    let numbers = held.numbers.map(|x| if x == 77 { panic!("seventy-seven") } else { x });
    let count = numbers.count_approx(held.within()).unwrap();
    assert!(!count.is_initial_value_final());
    held.latch.open();
    assert!(count.final_value().unwrap_err().to_string().contains("seventy-seven"));
    held.end();
}
#[test]
fn a_job_group_is_that_of_the_caller_and_cancels() {
    let held = Held::new();
    let group = held.sc.job_group("reports");
    let count = held.numbers.count_approx(held.within()).unwrap();
    drop(group);
    held.sc.canceller().cancel_job_group("reports");
    held.latch.open();
    assert!(matches!(count.final_value(), Err(Error::Cancelled { .. })));
    held.end();
}
#[test]
fn misuse_is_an_error() {
    let sc = threads(1);
    for confidence in [-0.1, 1.1, f64::NAN] {
        let e = sc.range(0..9, 2).count_approx(Within::new(seconds(1)).confidence(confidence)).unwrap_err();
        assert!(e.to_string().contains("must be in [0, 1]") && e.to_string().contains("approx.rs"), "{e}");
    }
    let none = sc.empty_rdd::<u8>().count_approx(seconds(0)).unwrap();
    assert_eq!((none.to_string().as_str(), none.is_initial_value_final()), ("(final: [0.000, 0.000])", true));
    // A job of one's own, of this context only.
    let most = |sc: &SparkContext, rdd: &Rdd<u64>| {
        let of_parts =
            |parts: Vec<Arc<Option<u64>>>, all| (parts.iter().filter_map(|part| **part).max(), parts.len() == all);
        sc.run_approximate_job(rdd, seconds(600), |flow, _| Ok(flow.records().max()), of_parts)
    };
    assert_eq!(most(&sc, &sc.range(0..9, 2)).unwrap().final_value().unwrap(), (Some(8), true));
    let foreign = most(&sc, &threads(1).range(0..9, 2)).err().unwrap();
    assert!(matches!(foreign, Error::ForeignRdd { operator: "run_approximate_job", .. }), "{foreign}");
    sc.stop();
    assert!(matches!(sc.range(0..9, 2).mean_approx(seconds(1)), Err(Error::Stopped { .. })));
}
#[test]
fn a_context_may_be_gone_before_its_job() {
    let held = Held::new();
    let Held { sc, numbers, latch, clock, mover } = held;
    let count = numbers.count_approx(Within::new(seconds(1)).clock(clock)).unwrap();
    drop((sc, numbers));
    latch.open();
    assert_eq!(count.final_value().unwrap().mean, 100.0);
    mover.join().unwrap();
}
