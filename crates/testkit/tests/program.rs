//! The program tester: a whole program through ends of all kinds, with everything that a test may let fail.
use std::collections::BTreeMap;
use winterbourne_base::{Clock, SparkConf, Time};
use winterbourne_streaming::{Error, StreamingContext, milliseconds, seconds};
use winterbourne_testkit::{ProgramTester, TEST_START, TestInput, TestOutput};

fn at(s: u64) -> Time {
    TEST_START + seconds(s)
}
type Sums = BTreeMap<Time, Vec<(u64, u64)>>;

/// A program with two inputs: sums by key that last, and a window over both.
struct World {
    left: TestInput<u64>,
    right: TestInput<u64>,
    sums: TestOutput<(u64, u64)>,
    recent: TestOutput<u64>,
    tester: ProgramTester,
}
impl World {
    fn new() -> Self {
        let (left, right) = (TestInput::new(), TestInput::new().partitions(3));
        let (sums, recent) = (TestOutput::new(), TestOutput::new());
        let (l, r, s, w) = (left.clone(), right.clone(), sums.clone(), recent.clone());
        let tester = ProgramTester::new(seconds(1), move |ssc: &StreamingContext| {
            let (l, r) = (l.stream(ssc, "left"), r.stream(ssc, "right"));
            let pairs = l.union(&r).map(|x| (x % 3, x));
            let total = |new: Vec<u64>, old: Option<u64>| Some(old.unwrap_or(0) + new.iter().sum::<u64>());
            s.collect(&pairs.update_state_by_key(total).checkpoint(seconds(2)));
            w.collect(&l.window(seconds(2)));
        });
        World { left, right, sums, recent, tester }
    }
    fn fed(batches: u64) -> Self {
        let world = World::new();
        for n in 1..=batches {
            world.left.push([n, 10 * n]);
            world.right.push([100 * n]);
        }
        world
    }
    /// What came out, beside what should have until the batch of `to`.
    #[track_caller]
    fn check(&self, to: u64) {
        self.check_from(TEST_START, to);
    }
    #[track_caller]
    fn check_from(&self, start: Time, to: u64) {
        let at = |n| start + seconds(n);
        let (mut sums, mut expect, mut windows) = (BTreeMap::new(), Sums::new(), BTreeMap::new());
        for n in 1..=to {
            for x in [n, 10 * n, 100 * n] {
                *sums.entry(x % 3).or_insert(0) += x;
            }
            expect.insert(at(n), sums.iter().map(|(k, v)| (*k, *v)).collect());
            let mut window: Vec<u64> = (n.max(2) - 1..=n).flat_map(|n| [n, 10 * n]).collect();
            window.sort();
            windows.insert(at(n), window);
        }
        assert_eq!(self.sums.take_by_time(), expect);
        assert_eq!(self.recent.take_by_time(), windows);
    }
}

#[test]
fn a_program_killed_after_any_batch_goes_on_where_it_was() {
    for killed in 1..=6 {
        let mut world = World::fed(7);
        world.tester.steps(killed).unwrap();
        world.tester.kill();
        assert!(world.tester.context().is_none());
        // Every second batch is followed by a checkpoint; the completion of others is written with the next plan.
        let next = killed as u64 + u64::from(killed % 2 == 0);
        for n in next..=7 {
            assert_eq!(world.tester.step().unwrap(), at(n));
        }
        assert_eq!(world.tester.lives(), 2);
        world.check(7);
    }
}
#[test]
fn power_cuts_at_any_change_of_the_disk_lose_and_double_nothing() {
    let mut calm = World::fed(5);
    calm.tester.steps(5).unwrap();
    let changes = calm.tester.disk().changes();
    calm.check(5);
    assert!(changes > 20, "{changes}");
    for n in 0..changes {
        let mut world = World::fed(5);
        world.tester.disk().cut_power_after(n);
        let (mut met, mut done) = (0, Vec::new());
        while done.len() < 5 {
            match world.tester.step() {
                Ok(time) if done.contains(&time) => {}
                Ok(time) => done.push(time),
                Err(_) => {
                    met += 1;
                    world.tester.cut_power();
                }
            }
        }
        // The last changes belong to a checkpoint, which can be written at another time.
        assert!(met == 1 || (met == 0 && n + 20 > changes), "the power is cut once");
        // Where nothing was durable yet, the program began anew.
        world.check_from(done[0] - seconds(1), 5);
    }
}
#[test]
fn orderly_ends_change_threads_and_partitions() {
    let mut world = World::fed(8);
    for (threads, partitions) in [(1, 3), (4, 16), (2, 1), (3, 7)] {
        let conf = SparkConf::empty()
            .set_master(format!("local[{threads}]"))
            .set("spark.streaming.state.partitions", partitions);
        world.tester.set_conf(conf);
        world.tester.steps(2).unwrap();
        world.tester.stop();
    }
    assert_eq!(world.tester.lives(), 4);
    world.check(8);
}
#[test]
fn tasks_and_outputs_fail_on_request_and_the_batch_is_tried_again() {
    let mut world = World::fed(6);
    world.left.fault().fail(1, 1);
    world.right.fault().fail(2, 1);
    world.tester.set_conf(SparkConf::empty().set_master("local[2]").set("spark.streaming.batch.maxAttempts", 3));
    world.tester.step().unwrap();
    assert_eq!((world.left.fault().met(), world.right.fault().met()), (1, 1));
    world.sums.fail_before(2);
    world.tester.step().unwrap();
    world.sums.fail_after(1);
    world.recent.fail_after(1);
    world.tester.step().unwrap();
    world.sums.fail_after(3);
    let Err(Error::Batch(failed)) = world.tester.step() else { panic!("it did not fail") };
    assert!(failed.to_string().contains("lets the output fail when all was computed"), "{failed}");
    world.tester.kill();
    assert_eq!(world.tester.step().unwrap(), at(4), "the batch that was not done is the next one");
    world.left.fault().fail(0, 9);
    assert!(world.tester.step().is_err());
    world.left.fault().clear();
    world.tester.steps(2).unwrap();
    world.check(6);
}
#[test]
fn tasks_are_tried_again_where_the_master_says_so() {
    let mut world = World::fed(1);
    world.tester.set_conf(SparkConf::empty().set_master("local[2,3]").set("spark.streaming.batch.maxAttempts", 1));
    world.left.fault().fail(0, 2);
    world.tester.step().unwrap();
    assert_eq!(world.left.fault().met(), 2);
    world.check(1);
}
#[test]
fn pauses_and_pushes_of_later_times_come_when_they_are_due_whatever_happens() {
    let (feed, out) = (TestInput::new(), TestOutput::new());
    let (f, o) = (feed.clone(), out.clone());
    let mut tester = ProgramTester::new(seconds(1), move |ssc| o.collect(&f.stream(ssc, "numbers")));
    feed.push([1u64]);
    feed.pause();
    feed.push([2]);
    feed.push_at(seconds(6), [3]);
    while tester.step().unwrap() < at(7) {
        if tester.lives() < 5 {
            tester.kill();
            tester.step().unwrap();
        }
    }
    let expect = [(1, vec![1]), (3, vec![2]), (4, vec![]), (5, vec![]), (6, vec![3]), (7, vec![])];
    assert_eq!(out.take_by_time(), BTreeMap::from(expect.map(|(s, records)| (at(s), records))));
}
#[test]
fn batches_that_were_missed_come_after_the_restart() {
    let mut world = World::fed(9);
    world.tester.steps(2).unwrap();
    world.tester.kill();
    world.tester.pass(seconds(4) + milliseconds(500));
    let times: Vec<Time> = (0..7).map(|_| world.tester.step().unwrap()).collect();
    assert_eq!(times, (3..=9).map(at).collect::<Vec<_>>());
    assert_eq!(world.tester.clock().now(), at(9));
    world.check(9);
}
#[test]
fn another_build_of_the_program_goes_on_with_its_state() {
    let (feed, out) = (TestInput::<u64>::new(), TestOutput::new());
    let program = |by: u64| {
        let (feed, out) = (feed.clone(), out.clone());
        move |ssc: &StreamingContext| {
            let pairs = feed.stream(ssc, "numbers").map(move |x| (0u64, x * by));
            let total = |new: Vec<u64>, old: Option<u64>| Some(old.unwrap_or(0) + new.iter().sum::<u64>());
            out.collect(&pairs.update_state_by_key(total).uid("total"));
        }
    };
    let mut tester = ProgramTester::new(seconds(1), program(1));
    feed.push([1, 2]);
    tester.step().unwrap();
    tester.stop();
    tester.set_program(program(100));
    feed.push([5]);
    tester.step().unwrap();
    assert_eq!(out.take(), [[(0, 3)], [(0, 503)]]);
}
#[test]
#[should_panic(expected = "ran twice, with different records")]
fn a_batch_that_comes_out_twice_must_be_the_same() {
    let (feed, out) = (TestInput::<u64>::new(), TestOutput::new());
    let (f, o, mut runs) = (feed.clone(), out.clone(), 0);
    let mut tester = ProgramTester::new(seconds(1), move |ssc| {
        runs += 1;
        let run = runs;
        o.collect(&f.stream(ssc, "numbers").map(move |x| x + run));
    });
    feed.push([1]);
    tester.step().unwrap();
    tester.kill(); // takes the completion with it, so that the batch runs again
    tester.step().unwrap();
    drop(out.take_by_time());
}
