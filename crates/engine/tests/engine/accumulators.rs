//! Accumulators: every addition counts as often as what its task made is kept, whoever ran it and in whatever order.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use crate::common::*;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread::ThreadId,
    time::Duration,
};
use winterbourne_engine::{
    Accumulate, AccumulatorId, CHUNK, Error, LongAccumulator, LongSum, Rdd, Result, SparkContext, TaskCause,
};
use winterbourne_testkit::lanes::run_on_lanes;

/// A kind of a user's own, with a setting: how many values fell into each class of so many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Histogram {
    width: u64,
    classes: BTreeMap<u64, u64>,
}
impl Histogram {
    fn of(width: u64) -> Self {
        Histogram { width, classes: BTreeMap::new() }
    }
}
impl Accumulate for Histogram {
    type Input = u64;
    type Value = Vec<(u64, u64)>;
    fn zero(&self) -> Self {
        Histogram::of(self.width)
    }
    fn is_zero(&self) -> bool {
        self.classes.is_empty()
    }
    fn add(&mut self, x: u64) {
        *self.classes.entry(x / self.width).or_default() += 1;
    }
    fn merge(&mut self, other: Self) {
        assert_eq!(self.width, other.width);
        other.classes.into_iter().for_each(|(class, n)| *self.classes.entry(class).or_default() += n);
    }
    fn value(&self) -> Self::Value {
        self.classes.iter().map(|(class, n)| (*class, *n)).collect()
    }
}
/// An RDD whose records are counted by the operator above it.
fn counted<T: winterbourne_engine::Data>(rdd: &Rdd<T>, by: &LongAccumulator) -> Rdd<T> {
    let by = by.clone();
    rdd.map(move |x| {
        by.add(1);
        x
    })
}
/// True the first `n` times.
fn first_times(n: u64) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
    let left = Arc::new(AtomicU64::new(n));
    move || left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok()
}

#[test]
fn sums_lists_and_own_kinds_are_the_same_everywhere() {
    for threads in [1, 2, 4] {
        let (long, double, list, histogram) = everywhere(threads, |sc| {
            let (long, double) = (sc.long_accumulator("long"), sc.double_accumulator("double"));
            let (list, histogram) = (sc.collection_accumulator(None), sc.accumulator("histogram", Histogram::of(100)));
            let (l, d, c, h) = (long.clone(), double.clone(), list.clone(), histogram.clone());
            sc.range(0..5000, 7).foreach(move |x| {
                l.add(x as i64);
                d.add(1.0 / (x as f64 + 1.0));
                h.add(x);
                if x % 700 == 0 {
                    c.add(x);
                }
            })?;
            assert_eq!((long.count(), double.count()), (5000, 5000));
            Ok((long.value(), double.value().to_bits(), list.value(), histogram.value()))
        });
        assert_eq!(long, 4999 * 5000 / 2);
        let parts = slices(&(0..5000).collect::<Vec<u64>>(), 7);
        let sum = |part: &Vec<u64>| part.iter().fold(0.0, |sum, x| sum + 1.0 / (*x as f64 + 1.0));
        assert_eq!(double, parts.iter().map(sum).fold(0.0, |a, b| a + b).to_bits(), "{threads} threads");
        assert_eq!(list, [0, 700, 1400, 2100, 2800, 3500, 4200, 4900]);
        assert_eq!(histogram, (0..50).map(|class| (class, 100)).collect::<Vec<_>>());
    }
}
#[test]
fn the_driver_adds_at_once() {
    let sc = threads(1);
    let sum = sc.long_accumulator("sum");
    assert!(sum.is_zero() && sum.avg().is_nan());
    sum.add(3);
    sum.add(-3);
    assert!(!sum.is_zero(), "zero is the sum of something");
    sum.add(i64::MAX);
    sum.add(1);
    assert_eq!((sum.value(), sum.sum(), sum.count()), (i64::MIN, i64::MIN, 4), "goes on at the other end");
    sum.reset();
    assert!(sum.is_zero());
    let named = sc.collection_accumulator("some");
    (0..12).for_each(|x| named.add(x));
    assert_eq!(
        format!("{named:?}"),
        "Accumulator(id: 1, name: Some(some), value: List(0, 1, 2, 3, 4, 5, 6, 7, 8, 9) and 2 more)"
    );
    let unnamed = sc.double_accumulator(None);
    unnamed.add(0.5);
    assert_eq!(unnamed.to_string(), "Accumulator(id: 2, name: None, value: 0.5)");
    assert_eq!((unnamed.id(), unnamed.name(), named.name()), (AccumulatorId(2), None, Some("some")));
}
#[test]
fn a_kind_of_ones_own_begins_where_it_is_told_and_is_reset_to_zero() {
    let sc = threads(2);
    let mut start = Histogram::of(10);
    start.add(95);
    let histogram = sc.accumulator("histogram", start);
    let h = histogram.clone();
    sc.range(0..20, 3).foreach(move |x| h.add(x)).unwrap();
    assert_eq!(histogram.value(), [(0, 10), (1, 10), (9, 1)]);
    histogram.reset();
    assert!(histogram.is_zero());
    histogram.add(35);
    assert_eq!(histogram.value(), [(3, 1)], "the width stayed");
}

#[test]
fn failed_attempts_count_nothing() {
    type Action = fn(&Rdd<(u64, u64)>) -> Result<u64>;
    let actions: [(&str, Action); 4] = [
        ("count", |r| r.count()),
        ("foreach", |r| r.foreach(drop).map(|()| 6000)),
        ("map side", |r| r.reduce_by_key(|a, b| a + b).map(|e| e.1).reduce(|a, b| a + b)),
        ("groups", |r| r.group_by_key().flat_map(|e| e.1).count()),
    ];
    for (name, action) in actions {
        for master in ["local[1,3]", "local[2,3]", "local[4,3]"] {
            let sc = context(master);
            let (seen, fails) = (sc.long_accumulator("seen"), first_times(2));
            let flaky = counted(&sc.range(0..6000, 3), &seen).map(move |x| {
                assert!(x != 3500 || !fails(), "flaky");
                (x % 3, 1)
            });
            assert_eq!((action(&flaky).unwrap(), seen.value()), (6000, 6000), "{name} on {master}");
            assert_eq!(sc.counts().task_retries, 2);
        }
    }
}
#[test]
fn a_failed_action_counts_nothing_of_its_own_stage() {
    for n in [1, 3] {
        let sc = threads(n);
        let (above, below, fails) = (sc.long_accumulator("above"), sc.long_accumulator("below"), first_times(1));
        let sums = counted(&sc.range(0..100, 4), &above).map(|x| (x % 10, x)).reduce_by_key_in(|a, b| a + b, 3);
        let bad = counted(&sums, &below).map_partitions_with_index(move |p, it| {
            assert!(p != 2 || !fails(), "flaky");
            it
        });
        assert!(bad.count().is_err());
        assert_eq!((above.value(), below.value()), (100, 0), "what stays for the next action counts");
        assert_eq!(bad.count().unwrap(), 10);
        assert_eq!((above.value(), below.value()), (100, 10));
    }
}
#[test]
fn map_tasks_count_when_their_output_is_kept() {
    let seen = everywhere(1, |sc| {
        let (seen, fails) = (sc.long_accumulator("seen"), first_times(1));
        let pairs = counted(&sc.range(0..40, 4), &seen).map_partitions_with_index(move |p, it| {
            assert!(p != 1 || !fails(), "flaky");
            it.map(|x| (x % 3, x))
        });
        let sums = pairs.reduce_by_key(|a, b| a + b);
        assert!(sums.count().is_err());
        sums.count()?;
        let once = seen.value();
        sums.collect()?;
        assert_eq!(seen.value(), once, "the shuffle exists");
        Ok(once)
    });
    assert_eq!(seen, 40);
}
#[test]
fn transformations_count_as_often_as_they_are_computed() {
    everywhere(2, |sc| {
        let seen = sc.long_accumulator("seen");
        let numbers = counted(&sc.range(0..100, 4), &seen);
        assert!(seen.is_zero(), "nothing runs when an RDD is defined");
        numbers.count()?;
        numbers.map(|x| x + 1).filter(|x| x % 2 == 0).count()?;
        assert_eq!(seen.value(), 200);
        let cached = numbers.cache();
        cached.count()?;
        cached.collect()?;
        assert_eq!(seen.value(), 300, "the cache was read");
        cached.unpersist();
        cached.union(&cached).count()?;
        assert_eq!(seen.value(), 500);
        Ok(())
    });
}
#[test]
fn a_cached_partition_counts_once_although_its_reader_fails() {
    for master in ["local[1,3]", "local[3,3]", "local[1]", "local[3]"] {
        let sc = context(master);
        let (seen, list, fails) = (sc.long_accumulator("seen"), sc.collection_accumulator("list"), first_times(2));
        let below = sc.long_accumulator("below");
        let l = list.clone();
        let cached = counted(&sc.range(0..6000, 3), &seen).filter(move |x| {
            l.add(*x);
            x % 2 == 0
        });
        let flaky = counted(&cached.cache(), &below).map(move |x| {
            assert!(x < 2000 || x % 1000 != 500 || !fails(), "flaky");
            x
        });
        let failures = (0..3).take_while(|_| flaky.count().is_err()).count();
        // With one thread, a stage that fails has run the partitions before.
        assert!(if master.contains(',') { failures == 0 } else { failures > 0 }, "{failures} on {master}");
        assert_eq!((seen.value(), below.value()), (6000, 3000), "{master}");
        assert_eq!(sorted(list.value()), (0..6000).collect::<Vec<u64>>());
        flaky.count().unwrap();
        assert_eq!((seen.value(), below.value()), (6000, 6000), "{master}");
    }
}
#[test]
fn take_counts_the_chunks_it_computed() {
    everywhere(2, |sc| {
        let seen = sc.long_accumulator("seen");
        let numbers = counted(&sc.range(0..20_000, 4), &seen);
        let chunk = CHUNK as i64;
        assert_eq!(numbers.take(3)?, [0, 1, 2]);
        assert_eq!(seen.value(), chunk);
        numbers.first()?;
        assert!(!numbers.is_empty()?);
        assert_eq!(seen.value(), 3 * chunk);
        seen.reset();
        assert_eq!(numbers.take(CHUNK + 1)?.len(), CHUNK + 1);
        assert_eq!(seen.value(), 2 * chunk);
        Ok(())
    });
}
#[test]
fn panics_that_a_closure_catches_lose_nothing() {
    /// Panics on what it does not like.
    #[derive(Clone, Serialize, Deserialize)]
    struct Picky(u64);
    impl Accumulate for Picky {
        type Input = u64;
        type Value = u64;
        fn zero(&self) -> Self {
            Picky(0)
        }
        fn is_zero(&self) -> bool {
            self.0 == 0
        }
        fn add(&mut self, x: u64) {
            assert!(x != 5, "not five");
            self.0 += x;
        }
        fn merge(&mut self, other: Self) {
            assert!(other.0 != 1000, "not a thousand");
            self.0 += other.0;
        }
        fn value(&self) -> u64 {
            self.0
        }
    }
    let sc = threads(2);
    let (picky, caught) = (sc.accumulator("picky", Picky(0)), sc.long_accumulator("caught"));
    let (p, c) = (picky.clone(), caught.clone());
    let add = move |x| {
        if catch_unwind(AssertUnwindSafe(|| p.add(x))).is_err() {
            c.add(1);
        }
    };
    sc.range(0..10, 2).foreach(add.clone()).unwrap();
    assert_eq!((picky.value(), caught.value()), (40, 1));
    add(5);
    assert_eq!((picky.value(), caught.value()), (40, 2), "on the driver too");
    let e = sc.parallelize([1000], 1).foreach(add).unwrap_err();
    assert!(e.to_string().contains("not a thousand"), "{e}");
    assert_eq!(picky.value(), 40);
}
#[test]
fn an_accumulator_may_add_to_others() {
    static ODD: OnceLock<LongAccumulator> = OnceLock::new();
    /// Counts, and counts odd numbers elsewhere.
    #[derive(Clone, Serialize, Deserialize)]
    struct Telling(u64);
    impl Accumulate for Telling {
        type Input = u64;
        type Value = u64;
        fn zero(&self) -> Self {
            Telling(0)
        }
        fn is_zero(&self) -> bool {
            self.0 == 0
        }
        fn add(&mut self, x: u64) {
            self.0 += 1;
            if x % 2 == 1 {
                ODD.get().unwrap().add(1);
            }
        }
        fn merge(&mut self, other: Self) {
            self.0 += other.0;
        }
        fn value(&self) -> u64 {
            self.0
        }
    }
    let sc = threads(2);
    let (all, odd) = (sc.accumulator("all", Telling(0)), ODD.get_or_init(|| sc.long_accumulator("odd")));
    let a = all.clone();
    sc.range(0..100, 3).foreach(move |x| a.add(x)).unwrap();
    all.add(1);
    assert_eq!((all.value(), odd.value()), (101, 51));
}

/// Threads that meet: each waits, once, until a second one is here too. The time-out is only there so that a failure does
/// not hang.
#[derive(Clone, Default)]
struct Meeting(Arc<(Mutex<HashSet<ThreadId>>, Condvar)>);
impl Meeting {
    fn come(&self) {
        let (here, changed) = &*self.0;
        let mut here = here.lock().unwrap();
        here.insert(std::thread::current().id());
        changed.notify_all();
        drop(changed.wait_timeout_while(here, Duration::from_secs(30), |here| here.len() < 2).unwrap());
    }
    fn threads(&self) -> usize {
        self.0.0.lock().unwrap().len()
    }
}
#[test]
fn a_shared_partition_counts_as_if_one_thread_had_run_it() {
    let run = |master: &str, at: Option<Meeting>| {
        let sc = context(master);
        let (sum, tenths, list) =
            (sc.long_accumulator("sum"), sc.double_accumulator("tenths"), sc.collection_accumulator("list"));
        let (s, t, l, l2) = (sum.clone(), tenths.clone(), list.clone(), list.clone());
        let fails = first_times(1);
        let mapped = sc.range(0..500_000, 1).map(move |x| {
            if x % 1000 == 999 {
                if let Some(meeting) = at.as_ref().filter(|_| x > 100_000) {
                    meeting.come();
                }
                l.add(x);
                assert!(x != 400_999 || !fails(), "flaky");
            }
            s.add(x as i64);
            t.add(1.0 / (x as f64 + 1.0));
            x
        });
        mapped
            .foreach(move |x| {
                if x % 100_000 == 0 {
                    l2.add(x)
                }
            })
            .unwrap();
        assert_eq!(sc.counts().task_retries, 1);
        (sum.value(), sum.count(), tenths.value().to_bits(), list.value())
    };
    let meeting = Meeting::default();
    let (alone, shared) = (run("local[1,2]", None), run("local[2,2]", Some(meeting.clone())));
    assert_eq!(meeting.threads(), 2);
    assert_eq!((alone.0, alone.1, alone.3.len()), (499_999 * 250_000, 500_000, 505));
    assert_eq!(alone, shared);
}
#[test]
fn jobs_of_several_threads_count_together() {
    let sc = threads(3);
    let (seen, rounds) = (sc.long_accumulator("seen"), sc.long_accumulator("rounds"));
    let numbers = counted(&sc.range(0..1000, 5), &seen);
    let start = |_| {
        let (numbers, rounds) = (numbers.clone(), rounds.clone());
        let run = move || {
            for _ in 0..20 {
                let sums = numbers.map(|x| (x % 7, x)).reduce_by_key(|a, b| a + b);
                assert_eq!(sums.count().unwrap(), 7);
                rounds.add(1);
            }
        };
        winterbourne_base::thread::spawn("driver", run).unwrap()
    };
    let drivers: Vec<_> = (0..4).map(start).collect();
    drivers.into_iter().for_each(|d| d.join().unwrap());
    assert_eq!((seen.value(), rounds.value()), (80_000, 80));
}

#[test]
fn a_task_cannot_read() {
    type Read = fn(&LongAccumulator) -> bool;
    let reads: [Read; 5] = [
        |a| a.value() == 0,
        |a| a.count() == 0,
        |a| a.avg() == 0.0,
        |a| a.is_zero(),
        |a| {
            a.reset();
            true
        },
    ];
    let sc = threads(2);
    let seen = sc.long_accumulator("seen");
    seen.add(7);
    for read in reads {
        let s = seen.clone();
        let (bad, line) = (sc.range(0..10, 2).filter(move |_| read(&s)), line!());
        let e = bad.count().unwrap_err();
        let Error::Task { cause: TaskCause::Engine(why), .. } = &e else { panic!("{e}") };
        assert!(matches!(&**why, Error::ReadInTask { name, site } if name == "`seen`" && site.line() == line), "{e}");
        assert!(e.to_string().contains("Can't read accumulator value in task: `seen`"), "{e}");
    }
    let s = seen.clone();
    let texts = sc.range(0..1, 1).map(move |_| s.to_string()).collect().unwrap();
    assert_eq!(texts, ["Accumulator(id: 0, name: Some(seen), value: known to the driver)"]);
    assert_eq!(seen.value(), 7);
}
#[test]
fn two_contexts_may_share_one_in_one_process_only() {
    let (a, b) = (threads(2), threads(2));
    let of_a = a.long_accumulator("of a");
    let (first, second) = (counted(&a.range(0..10, 2), &of_a), counted(&b.range(0..10, 2), &of_a));
    assert_eq!((first.count().unwrap(), second.count().unwrap(), of_a.value()), (10, 10, 20));
    let results = run_on_lanes(2, &conf("local[1]"), |sc| {
        let other = threads(1);
        counted(&sc.range(0..10, 1), &other.long_accumulator("elsewhere")).count()
    });
    for result in results {
        let e = result.unwrap_err().to_string();
        assert!(e.contains("`elsewhere`") && e.contains("belongs to another SparkContext"), "{e}");
    }
}

/// Name and value of what a context lists.
fn listed(sc: &SparkContext) -> Vec<(String, String)> {
    sc.accumulators().into_iter().map(|a| (a.name.to_string(), a.value)).collect()
}
fn texts(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}
#[test]
fn the_living_are_listed_and_the_dead_forgotten() {
    let sc = threads(2);
    let seen = sc.long_accumulator("seen");
    let again = sc.long_accumulator("seen");
    let _unnamed = sc.long_accumulator(None);
    let numbers = counted(&sc.range(0..10, 2), &seen);
    drop(seen);
    numbers.count().unwrap();
    again.add(1);
    assert_eq!(listed(&sc), texts(&[("seen", "10"), ("seen", "1")]), "its closure holds it");
    drop(numbers);
    assert_eq!(listed(&sc), texts(&[("seen", "1")]));
    for _ in 0..1000 {
        sc.long_accumulator("short lived").add(1);
    }
    assert_eq!((listed(&sc).len(), sc.save_accumulators().unwrap().len()), (1, 1));
    assert_eq!(sc.long_accumulator(None).id(), AccumulatorId(1003), "ids are never used again");
}
#[test]
fn saved_values_are_restored_by_name() {
    let saved = {
        let sc = threads(2);
        let (a, b, c) = (sc.long_accumulator("a"), sc.long_accumulator("same"), sc.long_accumulator("same"));
        let (list, histogram) = (sc.collection_accumulator("list"), sc.accumulator("histogram", Histogram::of(5)));
        [&a, &b, &c].into_iter().zip([10, 20, 30]).for_each(|(acc, x)| acc.add(x));
        list.add(("x".to_owned(), 1u64));
        histogram.add(12);
        sc.double_accumulator(None).add(1.0);
        sc.save_accumulators().unwrap()
    };
    assert_eq!(saved.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a", "same", "same", "list", "histogram"]);
    let sc = threads(2);
    let (a, b, new) = (sc.long_accumulator("a"), sc.long_accumulator("same"), sc.long_accumulator("new"));
    a.add(1);
    new.add(2);
    sc.restore_accumulators(saved.clone()).unwrap();
    assert_eq!((a.value(), a.count(), b.value(), new.value()), (10, 1, 20, 2));
    // Others are made later, as a stream does that makes them in its first batch; until then their values are kept.
    let mut kept = sc.save_accumulators().unwrap();
    kept.retain(|(name, _)| name != "new");
    assert_eq!(sorted(kept), sorted(saved));
    let c = sc.long_accumulator("same");
    let list = sc.collection_accumulator::<(String, u64)>("list");
    let histogram = sc.accumulator("histogram", Histogram::of(7));
    assert_eq!((c.value(), list.value()), (30, vec![("x".to_owned(), 1)]));
    assert_eq!(histogram.value(), [(2, 1)], "in classes of five, as saved");
    assert!(sc.long_accumulator("same").is_zero() && sc.long_accumulator("list").is_zero(), "all were given out");
    let counts = counted(&sc.range(0..10, 2), &c);
    counts.count().unwrap();
    assert_eq!(c.value(), 40);
}
#[test]
fn a_saved_value_of_another_kind_is_an_error_that_names_it() {
    let sc = threads(2);
    let (ok, sum) = (sc.long_accumulator("ok"), sc.long_accumulator("sum"));
    ok.add(1);
    sum.add(3);
    let saved = sc.save_accumulators().unwrap();

    let other = threads(2);
    let (ok, sum, line) = (other.long_accumulator("ok"), other.double_accumulator("sum"), line!());
    sum.add(0.5);
    let check = |e: Error, line: u32| {
        let text = e.to_string();
        assert!(matches!(e, Error::Accumulator { doing: "restore", .. }), "{text}");
        for part in ["`sum`", "saved as `LongSum` and is `DoubleSum` now", &format!("accumulators.rs:{line}:")] {
            assert!(text.contains(part), "{part} in: {text}");
        }
    };
    check(other.restore_accumulators(saved.clone()).unwrap_err(), line);
    assert_eq!((ok.value(), sum.value()), (0, 0.5), "nothing is changed");
    drop(sum);

    other.restore_accumulators(saved.clone()).unwrap();
    assert_eq!((ok.value(), other.range(0..3, 1).count().unwrap()), (1, 3));
    let (late, line) = (other.double_accumulator("sum"), line!());
    for _ in 0..2 {
        check(other.range(0..3, 1).count().unwrap_err(), line);
    }
    drop(late);
    assert_eq!(other.range(0..3, 1).count().unwrap(), 3);

    let mut short = saved.clone();
    short[1].1.pop();
    let mut long = saved;
    long[1].1.push(0);
    for (bytes, expect) in [(short, "not those of a `LongSum`"), (long, "1 bytes are left over")] {
        let sc = threads(1);
        let _sum = sc.accumulator("sum", LongSum::default());
        let e = sc.restore_accumulators(bytes).unwrap_err().to_string();
        assert!(e.contains(expect), "{e}");
    }
}
