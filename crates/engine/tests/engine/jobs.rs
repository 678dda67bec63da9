//! Contexts and jobs as a whole: configuration, several contexts, stopping, cancelling, and limits.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use crate::common::*;
use std::sync::{
    Arc, Mutex,
    mpsc::{self, Receiver, Sender},
};
use std::thread::JoinHandle;
use winterbourne_engine::{Data, Error, MasterError, Rdd, SparkConf, SparkContext};

fn refused(conf: SparkConf) -> Error {
    SparkContext::new(conf).err().expect("must be refused")
}

#[test]
fn configurations_that_cannot_be_used_are_refused() {
    for (master, expect) in [
        ("foo", "could not parse master URL: `foo`"),
        ("local[x]", "local[N]"),
        ("local[0]", "the number of threads must be a number from 1"),
        ("local[2,0]", "the number of attempts must be a number from 1"),
        ("spark://host:7077", "names a cluster"),
        ("yarn", "names a cluster"),
    ] {
        let e = refused(conf(master));
        assert!(matches!(e, Error::Master(_)) && e.to_string().contains(expect), "{e}");
    }
    assert!(matches!(refused(conf("local[-2]")), Error::Master(MasterError::Unknown { .. })));
    let e = refused(SparkConf::empty().set_master("local"));
    assert!(matches!(e, Error::NoAppName) && e.to_string().contains("application name must be set"), "{e}");
    let e = refused(conf("local").set("spark.default.paralelism", 4));
    assert!(matches!(e, Error::Conf(_)) && e.to_string().contains("did you mean `spark.default.parallelism`?"), "{e}");
    let e = refused(conf("local").set("spark.default.parallelism", "many"));
    assert!(matches!(e, Error::Conf(_)) && e.to_string().contains("many"), "{e}");
}
#[test]
fn parallelism_is_what_was_configured_or_the_threads() {
    let of = |sc: SparkContext| (sc.default_parallelism(), sc.default_min_partitions());
    assert_eq!(of(threads(1)), (1, 1));
    assert_eq!(of(threads(3)), (3, 2));
    let sc = SparkContext::new(conf("local[2]").set("spark.default.parallelism", 7)).unwrap();
    let pairs = sc.range(0..10, 2).map(|x| (x, x));
    assert_eq!(pairs.reduce_by_key(|a, _| a).num_partitions().unwrap(), 7);
    assert_eq!(pairs.partition_by(3).group_by_key().num_partitions().unwrap(), 3, "as spread already");
    assert_eq!(of(sc), (7, 2));
}
#[test]
fn two_contexts_live_side_by_side_and_do_not_mix() {
    let (a, b) = (threads(2), threads(3));
    let (of_a, of_b) = (a.range(0..10, 4), b.range(10..20, 4));
    let other = b.range(0..1000, 4);
    let moved = winterbourne_base::thread::spawn("other", move || (0..50).map(|_| other.count().unwrap()).sum::<u64>());
    assert_eq!((0..50).map(|_| of_a.count().unwrap()).sum::<u64>(), 500);
    assert_eq!(moved.unwrap().join().unwrap(), 50_000);
    let (mixed, line) = (of_a.union(&of_b), line!());
    for e in [mixed.count().unwrap_err(), mixed.map(|x| (x, x)).reduce_by_key(|a, _| a).take(1).unwrap_err()] {
        let text = e.to_string();
        assert!(matches!(e, Error::ForeignRdd { operator: "union", .. }), "{text}");
        assert!(text.contains(&format!("jobs.rs:{line}:")) && text.contains("two SparkContexts"), "{text}");
    }
    drop(a);
    assert_eq!(of_a.union(&of_a).count().unwrap(), 20, "an RDD keeps its context");
}
#[test]
fn jobs_of_several_threads_run_on_one_context() {
    let sc = threads(2);
    let sums = sc.range(0..1000, 4).map(|x| (x % 10, x)).reduce_by_key(|a, b| a + b);
    let expect = sums.collect().unwrap();
    let start = |_| {
        let (sums, fresh) = (sums.clone(), sc.range(0..1000, 4).map(|x| (x % 10, x)).reduce_by_key(|a, b| a + b));
        let run = move || (0..20).map(|_| (sums.collect().unwrap(), fresh.collect().unwrap())).collect::<Vec<_>>();
        winterbourne_base::thread::spawn("driver", run).unwrap()
    };
    let drivers: Vec<_> = (0..4).map(start).collect();
    for driver in drivers {
        assert!(driver.join().unwrap().iter().all(|(a, b)| *a == expect && *b == expect));
    }
}
/// A task that waits: where it runs, and what lets it go on.
struct Held {
    pool: &'static str,
    thread: String,
    _go_on: Sender<()>,
}
/// A job of `tasks` tasks of a pool, run by a thread of its own. Each says that it runs and waits until that is dropped;
/// once nobody listens any more they run through.
fn job_of_held_tasks(sc: &SparkContext, pool: &'static str, tasks: usize, says: &Sender<Held>) -> JoinHandle<usize> {
    let (sc, says) = (sc.clone(), says.clone());
    let run = move || {
        let _in_pool = sc.scheduler_pool(pool);
        let done = sc.run_job(&sc.range(0..tasks as u64, tasks), (0..tasks).collect(), move |_, _, _| {
            let (go_on, wait) = mpsc::channel();
            let thread = std::thread::current().name().unwrap_or_default().to_owned();
            if says.send(Held { pool, thread, _go_on: go_on }).is_ok() {
                let _ = wait.recv();
            }
            Ok(())
        });
        done.unwrap().len()
    };
    winterbourne_base::thread::spawn("driver", run).unwrap()
}
/// Which pool each of six helpers works for, one deciding after the other, while the own threads of both jobs work.
fn helped_by_six(sc: &SparkContext) -> String {
    let (says, running): (Sender<Held>, Receiver<Held>) = mpsc::channel();
    // All threads are held by a job that has no further tasks; then there are two jobs that could use help.
    let holding = job_of_held_tasks(sc, "holding", 7, &says);
    let (helpers, own): (Vec<Held>, Vec<Held>) =
        running.iter().take(7).partition(|held| held.thread.starts_with("task-"));
    assert_eq!((helpers.len(), own.len()), (6, 1));
    let a = job_of_held_tasks(sc, "a", 9, &says);
    let own_a = running.recv().unwrap();
    let b = job_of_held_tasks(sc, "b", 9, &says);
    let own_b = running.recv().unwrap();
    assert_eq!((own_a.pool, own_b.pool), ("a", "b"));
    // One helper after the other is let go. The next one is when this one runs a task again, so each sees what the
    // ones before have chosen.
    let mut at_work = Vec::new();
    for helper in helpers {
        drop(helper);
        at_work.push(running.recv().unwrap());
    }
    // One that is let go from a pool comes back to where a thread is missing now.
    let left = at_work.pop().unwrap();
    let order: String = at_work.iter().map(|held| held.pool).chain([left.pool]).collect();
    drop(left);
    at_work.push(running.recv().unwrap());
    assert_eq!(at_work.last().unwrap().pool, &order[5..]);
    drop((running, at_work, own, own_a, own_b));
    assert_eq!([holding, a, b].map(|driver| driver.join().unwrap()), [7, 9, 9]);
    order
}
#[test]
fn pools_share_the_idle_threads_by_minimum_share_and_weight() {
    let dir = TempDir::new();
    let fair = |a: &str, b: &str| {
        let pools = format!("<allocations><pool name='a'>{a}</pool><pool name='b'>{b}</pool></allocations>");
        let file = dir.file("pools.xml", pools);
        let sc = conf("local[7]").set("spark.scheduler.mode", "FAIR").set("spark.scheduler.allocation.file", file);
        SparkContext::new(sc).unwrap()
    };
    // Each job has its own thread before anybody helps. Equal needs are met in the order of names.
    for (name, sc, expect) in [
        ("who came first", threads(7), "aaaaaa"),
        ("alike", fair("", ""), "ababab"),
        ("one to two", fair("<weight>1</weight>", "<weight>2</weight>"), "babbab"),
        ("one to five", fair("", "<weight>5</weight>"), "bbbbab"),
        ("four at least", fair("<minShare>4</minShare>", "<weight>3</weight>"), "aaabbb"),
        ("two and three at least", fair("<minShare>2</minShare>", "<minShare>3</minShare>"), "babaab"),
    ] {
        assert_eq!(helped_by_six(&sc), expect, "{name}");
    }
}
#[test]
fn a_stopped_context_refuses_actions_by_name_and_place() {
    let sc = threads(2);
    let numbers = sc.range(0..10, 2).cache();
    numbers.count().unwrap();
    sc.stop();
    sc.stop();
    assert!(sc.is_stopped());
    let line = line!() + 1;
    let e = numbers.map(|x| x).count().unwrap_err();
    let text = e.to_string();
    assert!(matches!(e, Error::Stopped { what: "count", .. }) && text.contains(&format!("jobs.rs:{line}:")), "{text}");
    assert!(matches!(numbers.first(), Err(Error::Stopped { what: "first", .. })));
    assert!(matches!(numbers.materialize(), Ok(()) | Err(Error::Stopped { .. })));
}
#[test]
fn a_context_may_be_stopped_and_dropped_inside_a_task() {
    for n in [1, 2, 3] {
        let sc = threads(n);
        let own = Mutex::new(Some(sc.clone()));
        let stopping = sc.range(0..u64::MAX, 4).map(move |x| {
            if let Some(sc) = own.lock().unwrap().take() {
                sc.stop();
            }
            x
        });
        let e = stopping.count().unwrap_err();
        assert!(matches!(&e, Error::Cancelled { reason, .. } if reason.contains("stopped at")), "{e}");
    }
}

/// Says once that a job is running.
fn telling(started: &mpsc::Sender<()>) -> impl Fn() + Send + Sync + 'static {
    let started = Mutex::new(Some(started.clone()));
    move || {
        if let Some(started) = started.lock().expect("no panic here").take() {
            started.send(()).expect("somebody waits");
        }
    }
}
#[test]
fn a_cancelled_job_ends_whatever_its_operators() {
    type Endless = fn(&SparkContext, Box<dyn Fn() + Send + Sync>) -> Rdd<u64>;
    fn is_endless<T: Data>(rdd: &Rdd<T>) -> Rdd<u64> {
        rdd.flat_map(|_| 0u64..)
    }
    let cases: [(&str, Endless); 8] = [
        ("range", |sc, tell| sc.range(0..u64::MAX, 3).filter(move |_| (tell(), false).1)),
        ("flat_map", |sc, tell| {
            is_endless(&sc.parallelize([1], 1).map(move |x| {
                tell();
                x
            }))
        }),
        ("all filtered", |sc, tell| is_endless(&sc.parallelize([1, 2], 2)).filter(move |_| (tell(), false).1)),
        ("map_partitions", |sc, tell| {
            sc.parallelize([1], 1).map_partitions(move |_| {
                tell();
                0u64..
            })
        }),
        ("map side", |sc, tell| {
            is_endless(&sc.parallelize([1], 1))
                .map(move |x| (tell(), (x % 3, x)).1)
                .reduce_by_key(|a, _| a)
                .map(|e| e.1)
        }),
        ("reduce side", |sc, tell| {
            let one = sc.parallelize([(1, 1)], 1).reduce_by_key(|a, _| a);
            is_endless(&one).map(move |x| (tell(), x).1)
        }),
        ("cached", |sc, tell| {
            let cached = sc.parallelize([1], 1).cache();
            cached.materialize().unwrap();
            is_endless(&cached).map(move |x| (tell(), x).1)
        }),
        ("union, coalesced", |sc, tell| {
            let endless = is_endless(&sc.parallelize([1], 1)).map(move |x| (tell(), x).1);
            sc.empty_rdd().union(&endless).coalesce(1)
        }),
    ];
    for (name, endless) in cases {
        for n in [1, 2] {
            let sc = threads(n);
            let (started, wait) = mpsc::channel();
            let (rdd, stop) = (endless(&sc, Box::new(telling(&started))), sc.canceller());
            let running = winterbourne_base::thread::spawn("job", move || rdd.count()).unwrap();
            wait.recv().unwrap();
            stop.cancel_all_jobs();
            let e = running.join().unwrap().unwrap_err();
            assert!(matches!(&e, Error::Cancelled { reason, .. } if reason.contains("jobs.rs")), "{name}: {e}");
            assert_eq!(sc.range(0..10, 2).count().unwrap(), 10, "{name}: usable afterwards");
        }
    }
}
#[test]
fn a_long_collection_is_cancelled_between_chunks() {
    let all: Vec<u64> = (0..100_000).collect();
    let sc = threads(1);
    let blocks = sc.from_blocks(winterbourne_engine::Site::caller(), vec![vec![Arc::new(all.clone())]]);
    let cached = sc.parallelize(all.clone(), 1).cache();
    cached.materialize().unwrap();
    let spread = sc.parallelize(all.iter().map(|x| (*x, *x)), 1).partition_by(1).map(|e| e.1);
    for (name, rdd) in
        [("parallelize", sc.parallelize(all, 1)), ("blocks", blocks), ("cached", cached), ("shuffle", spread)]
    {
        let (seen, stop) = (Arc::new(Mutex::new(0)), sc.canceller());
        let s = seen.clone();
        let e = rdd.foreach(move |_| {
            *s.lock().unwrap() += 1;
            stop.cancel_all_jobs();
        });
        assert!(matches!(e, Err(Error::Cancelled { .. })), "{name}");
        assert!(*seen.lock().unwrap() <= 2 * winterbourne_engine::CHUNK, "{name}: {}", seen.lock().unwrap());
    }
}
#[test]
fn one_job_of_several_is_cancelled() {
    let sc = threads(2);
    let (started, wait) = mpsc::channel();
    let (id, ids) = mpsc::channel();
    let (source, tell) = (sc.range(0..u64::MAX, 1), telling(&started));
    let id = Mutex::new(id);
    let run = move || {
        source.spark_context().run_job(&source, vec![0], move |_, flow, task| {
            id.lock().unwrap().send(task.job).unwrap();
            tell();
            Ok(flow.records().count())
        })
    };
    let running = winterbourne_base::thread::spawn("job", run).unwrap();
    wait.recv().unwrap();
    assert_eq!(sc.range(0..10, 2).count().unwrap(), 10, "another job beside it");
    sc.canceller().cancel_job(ids.recv().unwrap());
    assert!(matches!(running.join().unwrap(), Err(Error::Cancelled { .. })));
}

#[test]
fn zero_partitions_are_refused_at_the_action() {
    let sc = threads(1);
    let pairs = sc.range(0..4, 2).map(|x| (x, x));
    let all = [
        ("parallelize", sc.parallelize([1u64], 0).count(), line!()),
        ("range", sc.range(0..4, 0).count(), line!()),
        ("range", sc.range_by(0, 4, 1, 0).count(), line!()),
        ("coalesce", sc.range(0..4, 2).coalesce(0).count(), line!()),
        ("partition_by", pairs.partition_by(0).map_values(|v| v).count(), line!()),
        ("group_by_key", pairs.group_by_key_in(0).count(), line!()),
        ("reduce_by_key", pairs.reduce_by_key_in(|a, _| a, 0).map(|e| (e, 1)).reduce_by_key(|a, _| a).count(), line!()),
    ];
    for (operator, result, line) in all {
        let e = result.unwrap_err();
        let text = e.to_string();
        assert!(matches!(e, Error::Partitions { asked: 0, .. }), "{operator}: {text}");
        assert!(text.contains(&format!("`{operator}` at ")) && text.contains(&format!("jobs.rs:{line}:")), "{text}");
    }
    assert!(matches!(sc.range_by(0, 4, 0, 1).count(), Err(Error::ZeroStep { .. })));
    assert!(matches!(sc.range(0..4, 2).filter(|_| false).first(), Err(Error::EmptyCollection { action: "first", .. })));
    assert!(matches!(sc.empty_rdd::<u64>().reduce(|a, _| a), Err(Error::EmptyCollection { action: "reduce", .. })));
}
