//! Failures of tasks: each is one error that says which job, stage, partition and operator, and none passes for the end
//! of the data.
use crate::common::*;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use winterbourne_engine::{BoxError, Error, OnBadRecord, Rdd, Result, Site, SparkContext, TaskCause};

/// Panics for one record.
fn boom(x: u64) -> u64 {
    assert_ne!(x, 7, "seven");
    x
}
/// A failure of partition 1 of 2, in the operator at this line of this file.
fn check(name: &str, e: &Error, line: u32) {
    let Error::Task { partition: 1, attempts: 1, site, cause, .. } = e else { panic!("{name}: {e}") };
    assert!(site.file().ends_with("errors.rs"), "{name}: {e}");
    assert_eq!(site.line(), line, "{name}: {e}");
    assert!(cause.to_string().contains("seven"), "{name}: {e}");
    let text = e.to_string();
    assert!(text.contains("partition 1 ") && text.contains(&format!("errors.rs:{line}:")), "{name}: {text}");
}

#[test]
fn a_panic_names_the_operator_that_threw() {
    for n in [1, 3] {
        let sc = threads(n);
        let src = sc.range(0..10, 2).map(|x| x);
        let check_rdd = |name: &str, (rdd, line): (Rdd<u64>, u32)| {
            check(name, &rdd.count().unwrap_err(), line);
            // Others before and after it in the same task; what it calls in chunks after the first.
            check(name, &rdd.map(|x| x + 1).filter(|_| true).count().unwrap_err(), line);
            check(name, &rdd.cache().map_partitions(|it| it).collect().unwrap_err(), line);
        };
        check_rdd("map", (src.map(boom), line!()));
        check_rdd("filter", (src.filter(|x| boom(*x) < 99), line!()));
        check_rdd("flat_map", (src.flat_map(|x| [boom(x)]), line!()));
        check_rdd("lazy flat_map", (src.flat_map(|x| [x].into_iter().map(boom)), line!()));
        check_rdd("emit", (src.emit(|x, out| out(boom(*x))), line!()));
        check_rdd("try_map", (src.try_map(OnBadRecord::Skip, |x| Ok::<_, std::fmt::Error>(boom(x))), line!()));
        check_rdd("map_partitions", (src.map_partitions(|it| it.map(boom)), line!()));
        check_rdd("eager", (src.map_partitions(|it| it.map(boom).collect::<Vec<_>>()), line!()));
        check_rdd("with_index", (src.map_partitions_with_index(|_, it| it.map(boom)), line!()));
        let pairs = src.map(|x| (x, x));
        check_rdd("map_values", (pairs.map_values(boom).map(|e| e.1), line!()));
    }
}
#[test]
fn a_panic_after_the_first_chunk_names_its_operator() {
    // The story: a lazy iterator of `map_partitions` runs when a later operator pulls, which had been noted last.
    fn late(x: u64) -> u64 {
        assert_ne!(x, 19_999, "seven");
        x
    }
    let sc = threads(1);
    let src = sc.range(0..20_000, 2).map(|x| x);
    let (lazy, line) = (src.map_partitions(|it| it.map(late)), line!());
    check("lazy", &lazy.map(|x| x).count().unwrap_err(), line);
    let (eager, line) = (src.map_partitions(|it| it.map(late).collect::<Vec<_>>()), line!());
    check("eager", &eager.map(|x| x).count().unwrap_err(), line);
    let (mixed, line) = (src.flat_map(|x| [x, x]).map(late), line!());
    check("map", &mixed.flat_map(|x| [x, x]).map_partitions(|it| it).count().unwrap_err(), line);
}
fn drain(it: impl Iterator<Item = u64>) -> Result<(), BoxError> {
    it.for_each(|_| ());
    Ok(())
}
#[test]
fn a_panic_in_an_action_names_the_action() {
    let sc = threads(2);
    let src = sc.range(0..10, 2).map(|x| x);
    check("foreach", &src.foreach(|x| assert!(boom(x) < 99)).unwrap_err(), line!());
    check("foreach_partition", &src.foreach_partition(|_, it| drain(it.map(boom))).unwrap_err(), line!());
    check("reduce", &src.reduce(|a, b| boom(b).max(a)).unwrap_err(), line!());
    check("fold", &src.fold(0, |a, b| boom(b).max(a)).unwrap_err(), line!());
    check("aggregate", &src.aggregate(0, |a, b| boom(b).max(a), u64::max).unwrap_err(), line!());
}
#[test]
fn a_panic_on_either_side_of_a_shuffle_names_the_operator() {
    let sc = threads(2);
    // Map side of a stage below; its partition 1 holds record 7.
    let (bad, line) = (sc.range(0..10, 2).map(boom), line!());
    check("map side", &bad.map(|x| (x % 3, x)).reduce_by_key(|a, b| a + b).count().unwrap_err(), line);
    let pairs = sc.range(0..10, 2).map(|x| (x % 5, x)); // each key once in each partition
    let sides = |e: &Error, line: u32| {
        let Error::Task { site, stage, .. } = e else { panic!("{e}") };
        assert_eq!(site.line(), line, "{e}");
        stage.0
    };
    // Combining on the map side, where keys repeat within a partition.
    let (sums, line) = (pairs.coalesce(1).reduce_by_key(|_, _| panic!("here")), line!());
    let map_side = sides(&sums.count().unwrap_err(), line);
    let (sums, line) = (pairs.reduce_by_key(|_, _| panic!("here")), line!());
    let reduce_side = sides(&sums.map(|e| e.1).count().unwrap_err(), line);
    assert_eq!(reduce_side - map_side, 3, "two stages each, parents first");
    let (groups, line) = (pairs.group_by_key().map_values(|_| -> u64 { panic!("here") }), line!());
    sides(&groups.reduce_by_key(|a, _| a).count().unwrap_err(), line);
    #[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct BadKey;
    impl std::hash::Hash for BadKey {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {
            panic!("no hash");
        }
    }
    let keyed = sc.range(0..3, 1).map(|x| (BadKey, x));
    let (spread, line) = (keyed.partition_by(2), line!());
    sides(&spread.count().unwrap_err(), line);
}
#[test]
fn errors_that_closures_return_are_kept_as_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("disk on fire, seven")]
    struct Fire;
    let sc = threads(2);
    let (tried, line) =
        (sc.range(0..10, 2).try_map(OnBadRecord::Fail, |x| if x == 7 { Err(Fire) } else { Ok(x) }), line!());
    let e = tried.map(|x| x).count().unwrap_err();
    check("try_map", &e, line);
    assert!(matches!(e, Error::Task { cause: TaskCause::User(e), .. } if e.is::<Fire>()));
    let line = line!() + 1;
    let e = sc.range(0..10, 2).foreach_partition(|p, _| if p == 1 { Err(Fire.into()) } else { Ok(()) }).unwrap_err();
    check("foreach_partition", &e, line);
    let mapped = sc.range(0..10, 2).map(|x| (x, x)).reduce_by_key(|a, _| a);
    let e = sc.run_job(&mapped, vec![1], |_, _, _| Err::<u64, _>(Error::User(Fire.into()))).unwrap_err();
    assert!(matches!(e, Error::Task { partition: 1, .. }), "{e}");
}
#[test]
fn a_panic_while_the_driver_merges_is_an_error_too() {
    for n in [1, 2] {
        let sc = threads(n);
        assert!(sc.range(0..2, 2).reduce(|_, _| panic!("merge")).unwrap_err().to_string().contains("merge"));
        let e = sc.range(0..2, 2).aggregate(0, |_, x| x, |_, _| panic!("merge")).unwrap_err();
        assert!(e.to_string().contains("merge"), "{e}");
    }
}
#[test]
fn the_first_failure_in_partition_order_is_reported() {
    let sc = threads(1);
    let e = sc.range(0..10, 5).map(|x| if x > 3 { panic!("{x}") } else { x }).count().unwrap_err();
    assert!(matches!(&e, Error::Task { partition: 2, .. }) && e.to_string().contains("panicked: 4"), "{e}");
    assert_eq!(sc.range(0..10, 5).count().unwrap(), 10);
}

/// Fails the first `failures` attempts at partition 1, each after its first records.
fn flaky(sc: &SparkContext, failures: u64) -> Rdd<(u64, u64)> {
    let left = Arc::new(AtomicU64::new(failures));
    sc.range(0..6000, 3).map_partitions_with_index(move |p, it| {
        let left = left.clone();
        it.enumerate().map(move |(i, x)| {
            let fails = p == 1 && i == 1500 && left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok();
            assert!(!fails, "flaky");
            (x % 3, 1)
        })
    })
}
#[test]
fn retries_start_afresh() {
    type Program = fn(&Rdd<(u64, u64)>) -> Result<Vec<u64>>;
    let programs: [(&str, Program); 6] = [
        ("count", |r| Ok(vec![r.count()?])),
        ("collect", |r| Ok(vec![r.collect()?.len() as u64])),
        ("map side", |r| r.reduce_by_key(|a, b| a + b).map(|e| e.1).collect()),
        ("groups", |r| r.group_by_key().map(|e| e.1.len() as u64).collect()),
        ("fold", |r| Ok(vec![r.map(|e| e.1).fold(0, |a, b| a + b)?])),
        ("cached", |r| {
            let cached = r.clone().cache();
            cached.materialize()?;
            cached.map(|e| e.1).collect()
        }),
    ];
    for (name, program) in programs {
        let sc = context("local[2,3]");
        let sum: u64 = match program(&flaky(&sc, 2)).unwrap_or_else(|e| panic!("{name}: {e}")) {
            one if one.len() == 1 => one[0],
            ones if ones.len() == 6000 => 6000,
            all => all.iter().sum(),
        };
        assert_eq!((sum, sc.counts().task_retries), (6000, 2), "{name}");
        let e = program(&flaky(&sc, 3)).unwrap_err();
        assert!(matches!(e, Error::Task { attempts: 3, partition: 1, .. }), "{name}: {e}");
        assert!(e.to_string().contains("failed 3 time(s)"), "{e}");
        // A master without a number of attempts tries once.
        for master in ["local", "local[2]", "local[*]"] {
            let sc = context(master);
            assert!(matches!(program(&flaky(&sc, 1)), Err(Error::Task { attempts: 1, .. })), "{name} on {master}");
            assert_eq!(sc.counts().task_retries, 0);
        }
    }
}
#[test]
fn a_task_knows_its_attempt() {
    let sc = context("local[2,4]");
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let s = seen.clone();
    let attempts = sc.run_job(&sc.range(0..4, 2), vec![0, 1], move |p, flow, task| {
        assert_eq!(p, task.partition);
        s.lock().unwrap().insert((p, task.attempt));
        assert!(p == 0 || task.attempt == 3, "again");
        Ok((task.attempt, flow.records().count()))
    });
    assert_eq!(attempts.unwrap(), [(1, 2), (3, 2)]);
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from([(0, 1), (1, 1), (1, 2), (1, 3)]));
}

#[test]
fn an_upstream_error_never_looks_like_the_end() {
    let dir = TempDir::new();
    for n in [1, 2] {
        let sc = threads(n);
        let path = dir.file("lines", "x\n".repeat(10));
        let lines = sc.text_file(path.as_str(), 1);
        assert_eq!(lines.num_partitions().unwrap(), 1);
        std::fs::remove_file(&path).unwrap();
        let stop = sc.canceller();
        let sources: Vec<(&str, Rdd<u64>)> = vec![
            ("panic", sc.range(0..5000, 1).map(|x| if x == 3000 { panic!("bad record") } else { x })),
            (
                "error",
                sc.range(0..5000, 1).try_map(OnBadRecord::Fail, |x| if x == 3000 { Err("bad record") } else { Ok(x) }),
            ),
            ("input", lines.map(|l| l.len() as u64)),
            (
                "cancelled",
                sc.range(0..1_000_000, 1).map(move |x| {
                    stop.cancel_all_jobs();
                    x
                }),
            ),
            ("nested", sc.range(0..5000, 1).map_partitions(|it| it.map(|x| if x == 3000 { panic!("bad") } else { x }))),
        ];
        for (name, source) in sources {
            let committed = Arc::new(AtomicU64::new(0));
            let commit = {
                let c = committed.clone();
                move || assert!(c.fetch_add(1, SeqCst) < 99)
            };
            let c = commit.clone();
            let write = source.foreach_partition(move |_, it| {
                it.for_each(drop);
                c();
                Ok(())
            });
            assert!(write.is_err(), "{name}");
            let c = commit.clone();
            let mapped = source.map_partitions(move |it| {
                let all: Vec<u64> = it.collect();
                c();
                all
            });
            assert!(mapped.map(|x| x).count().is_err(), "{name}");
            let c = commit.clone();
            assert!(mapped.map(|x| (x, x)).reduce_by_key(|a, _| a).foreach(move |_| c()).is_err(), "{name}");
            assert_eq!(committed.load(SeqCst), 0, "{name} looked like the end");
        }
    }
}

/// An action inside a task, of an RDD smuggled past the compiler.
fn nested(outer: &SparkContext, inner: &SparkContext) -> (Error, [String; 2]) {
    let smuggled = Mutex::new(inner.range(0..10, 4));
    let mapped_at = line!() + 1;
    let nested = outer.range(0..10, 4).map(move |x| {
        let inner = smuggled.lock().unwrap_or_else(|e| e.into_inner());
        x + inner.count().unwrap_or_else(|e| panic!("{e}"))
    });
    let sites = [mapped_at, mapped_at + 2].map(|line| format!("errors.rs:{line}:"));
    (nested.count().expect_err("an action in a task"), sites)
}
#[test]
fn an_action_inside_a_task_is_an_error_that_names_both_places() {
    for n in [1, 2, 3] {
        let (sc, other) = (threads(n), threads(2));
        for inner in [&sc, &other] {
            let (e, sites) = nested(&sc, inner);
            let text = e.to_string();
            assert!(sites.iter().all(|s| text.contains(s)), "{text} names {sites:?}");
            assert!(text.contains("called inside a task"), "{text}");
        }
        assert_eq!(
            sc.range(0..10, 4).map(|x| (x, x)).reduce_by_key(|a, _| a).count().unwrap(),
            10,
            "usable afterwards"
        );
    }
}
#[test]
fn a_nested_action_through_a_question_mark_stays_what_it_is() {
    let sc = threads(2);
    let smuggled = Mutex::new(sc.range(0..3, 1));
    let e = sc.range(0..4, 2).foreach_partition(move |_, _| {
        smuggled.lock().unwrap_or_else(|e| e.into_inner()).collect()?;
        Ok(())
    });
    let Err(Error::Task { cause: TaskCause::Engine(e), .. }) = e else { panic!("{e:?}") };
    assert!(matches!(*e, Error::NestedJob { action: "collect", .. }), "{e}");
}
#[test]
fn misuse_of_run_job_is_an_error() {
    let (sc, other) = (threads(2), threads(2));
    let sites = Site::caller();
    let e = sc.run_job(&other.range(0..10, 2), vec![0], |_, flow, _| Ok(flow.records().count())).unwrap_err();
    assert!(matches!(e, Error::ForeignRdd { operator: "run_job", .. }), "{e}");
    let e = sc.run_job(&sc.range(0..10, 3), vec![0, 3], |_, flow, _| Ok(flow.records().count())).unwrap_err();
    let text = e.to_string();
    assert!(text.contains("partition 3") && text.contains("has 3") && text.contains(sites.file()), "{text}");
    let again = sc.run_job(&sc.range(0..10, 3), vec![2, 0, 2], |_, flow, _| Ok(flow.records().count()));
    assert_eq!(again.unwrap(), [4, 3, 4]);
}
