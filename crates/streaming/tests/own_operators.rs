//! Operators of the user's own, against the public trait only, and looking back with `slice`.
mod common;
use common::*;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
    mpsc::channel,
};
use winterbourne_base::Time;
use winterbourne_engine::{BoxError, Data, Rdd, SparkContext};
use winterbourne_streaming::{
    DStream, Duration, Error, Input, Interval, Operator, Parent, Planned, RddQueue, Stop, Tick, Upstream, seconds,
};
use winterbourne_testkit::{StreamTester, TEST_START};

/// A window written from scratch: what `window_by` does.
struct Hopping<T: Data> {
    of: Upstream<T>,
    window: Duration,
    slide: Duration,
}
impl<T: Data> Operator<T> for Hopping<T> {
    fn parents(&self) -> Vec<Parent> {
        vec![self.of.parent()]
    }
    fn slide(&self) -> Option<Duration> {
        Some(self.slide)
    }
    fn reach(&self) -> Duration {
        self.window
    }
    fn compute(&mut self, t: Time) -> Result<Option<Rdd<T>>, BoxError> {
        let inside = self.of.between(t - self.window, t)?;
        Ok(inside.into_iter().reduce(|all, one| all.union(&one)))
    }
}
fn hopping<T: Data>(of: &DStream<T>, window: Duration, slide: Duration) -> DStream<T> {
    of.streaming_context().operator("hopping", Hopping { of: of.upstream(), window, slide })
}
#[test]
fn a_window_of_ones_own_does_what_ours_does() {
    for (window, slide) in [(1, 1), (7, 1), (3, 2), (2, 3), (5, 4)] {
        let mut tester = tester(&[]);
        let ((feed, stream), (same, alone)) = (tester.input::<u64>(), tester.input::<u64>());
        let ours = stream.window_by(seconds(window), seconds(slide));
        // Of a stream that nobody else looks back on: reach() alone keeps what is needed.
        let own = hopping(&alone.map(|x| x), seconds(window), seconds(slide));
        let (ours, own, after) =
            (tester.output(&ours), tester.output(&own), tester.output(&own.map(|x| x).window(seconds(2 * slide))));
        for i in 0..9 {
            feed.push([i]);
            same.push([i]);
            tester.step().unwrap();
        }
        let own = own.take_timed();
        assert_eq!((own.len(), &own), (9 / slide as usize, &ours.take_timed()), "{window} {slide}");
        assert_eq!(after.take_timed().len(), own.len());
    }
}
/// The records of two streams in turns; it counts its calls.
struct Zipper<A: Data, B: Data> {
    left: Upstream<A>,
    right: Upstream<B>,
    calls: u64,
}
impl<A: Data, B: Data> Operator<(u64, Vec<A>, Vec<B>)> for Zipper<A, B> {
    fn parents(&self) -> Vec<Parent> {
        vec![self.left.parent(), self.right.parent()]
    }
    fn compute(&mut self, t: Time) -> Result<Option<Rdd<(u64, Vec<A>, Vec<B>)>>, BoxError> {
        self.calls += 1;
        let (Some(a), Some(b)) = (self.left.rdd(t)?, self.right.rdd(t)?) else { return Ok(None) };
        let one = (self.calls, a.collect()?, b.collect()?);
        Ok(Some(a.spark_context().parallelize([one], 1)))
    }
}
#[test]
fn an_operator_has_parents_of_different_types_state_and_runs_actions() {
    let mut tester = tester(&[]);
    let left = tester.context().input_stream("left", Given::new([Some(vec![1]), None, Some(vec![2, 3])])).map(|x| x);
    let (feed, right) = tester.input::<&'static str>();
    let zipper = Zipper { left: left.upstream(), right: right.upstream(), calls: 0 };
    let zipped = tester.context().operator("zipper", zipper);
    let names: Vec<_> = zipped.dependencies().iter().map(Parent::operator).collect();
    assert_eq!((zipped.slide_duration(), names), (seconds(1), vec!["map", "input_stream"]));
    assert!(zipped.dependencies()[0].site().file().ends_with("own_operators.rs"));
    let (out, same) = (tester.output(&zipped), tester.output(&zipped));
    feed.push(["a", "b"]);
    feed.push(["c"]);
    feed.push([]);
    tester.steps(3).unwrap();
    let out = out.take_timed();
    assert_eq!(out, [(at(1), vec![(1, vec![1], vec!["a", "b"])]), (at(3), vec![(3, vec![2, 3], vec![])])]);
    assert_eq!(same.take_timed(), out, "one RDD for all who ask");
}
/// Made of nothing: a clock.
struct Ticks(SparkContext);
impl Operator<u64> for Ticks {
    fn parents(&self) -> Vec<Parent> {
        Vec::new()
    }
    fn slide(&self) -> Option<Duration> {
        Some(seconds(2))
    }
    fn compute(&mut self, t: Time) -> Result<Option<Rdd<u64>>, BoxError> {
        match second(t) {
            4 => Err("no tick at four".into()),
            8 => panic!("no tick at eight"),
            s => Ok(Some(self.0.parallelize([s], 1))),
        }
    }
}
#[test]
fn an_error_or_a_panic_of_an_operator_fails_its_batch_and_not_the_next() {
    let mut tester = tester(&[]);
    let spark = tester.context().spark_context().clone();
    let out = tester.output(&tester.context().operator("ticks", Ticks(spark)));
    let mut failed = Vec::new();
    for _ in 1..=10 {
        if let Err(e) = tester.step() {
            assert!(
                e.to_string().contains("no tick at") && e.to_string().contains("the generation of output 0"),
                "{e}"
            );
            failed.push(e);
            tester.run().skip_failed();
        }
    }
    assert_eq!((failed.len(), out.take().concat()), (2, vec![2, 6, 10]));
}
#[test]
fn an_operator_wants_a_slide_that_fits_and_parents_of_its_own_context() {
    let errors = refused("own_operators.rs", |t| {
        let (_, s) = t.input::<u64>();
        hopping(&s, seconds(1), ms(1500)).foreach_rdd(|_, _| Ok(()));
        hopping(&s, seconds(1), ms(0)).foreach_rdd(|_, _| Ok(()));
        let foreign = Hopping { of: tester(&[]).input().1.upstream(), window: seconds(1), slide: seconds(1) };
        t.context().operator::<u64>("foreign", foreign).foreach_rdd(|_, _| Ok(()));
    });
    let expect = [
        "the slide of an operator (1500 ms) must be a positive multiple of the batch interval (1000 ms)",
        "the slide of an operator (0 ms)",
        "operator: the DStreams belong to different contexts",
    ];
    assert_eq!(errors.len(), expect.len(), "{errors:?}");
    for (error, expect) in errors.iter().zip(expect) {
        assert!(error.starts_with(expect), "{error}");
    }
}
/// Every third number, as an input of one's own, under an operator of one's own.
struct Thirds(u64);
impl Input<u64> for Thirds {
    type Plan = u64;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        self.0 += 3;
        Ok(Some(Planned { plan: self.0, records: Some(1), description: format!("{}", self.0) }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &u64) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.parallelize([*plan], 1))
    }
}
#[test]
fn an_input_and_an_operator_of_ones_own_work_together() {
    let mut tester = tester(&[]);
    let thirds = tester.context().input_stream("thirds", Thirds(0));
    let out = tester.output(&hopping(&thirds, seconds(2), seconds(1)));
    tester.steps(3).unwrap();
    assert_eq!(out.take(), [vec![3], vec![3, 6], vec![6, 9]]);
}
#[test]
fn a_context_with_operators_is_dropped_with_its_last_handle() {
    struct Last(Arc<AtomicBool>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    struct Holds(Upstream<u64>, Last);
    impl Operator<u64> for Holds {
        fn parents(&self) -> Vec<Parent> {
            vec![self.0.parent()]
        }
        fn compute(&mut self, t: Time) -> Result<Option<Rdd<u64>>, BoxError> {
            Ok(self.0.rdd(t)?.filter(|_| !self.1.0.load(Relaxed)))
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let mut tester = tester(&[]);
    let (_, stream) = tester.input::<u64>();
    tester.context().operator("holds", Holds(stream.upstream(), Last(dropped.clone()))).foreach_rdd(|_, _| Ok(()));
    tester.step().unwrap();
    drop((stream, tester));
    assert!(dropped.load(Relaxed), "the operator keeps its context, and that its operator");
}

fn records(rdds: Vec<Rdd<u64>>) -> Vec<Vec<u64>> {
    rdds.iter().map(|r| r.collect().expect("records")).collect()
}
/// Ten batches, the n-th of which is n.
fn ten(remember: u64) -> (StreamTester, DStream<u64>) {
    let mut tester = tester(&[]);
    tester.context().remember(seconds(remember));
    let (feed, stream) = tester.input::<u64>();
    stream.foreach_rdd(|_, _| Ok(()));
    let squares = stream.map(|x| x * x);
    // Zero time is not a multiple of the slide of two seconds.
    tester.clock().set(at(1));
    for i in 2..=11 {
        feed.push([i]);
        tester.step().expect("a good batch");
    }
    (tester, squares)
}
#[test]
fn slice_has_both_ends_and_makes_what_no_output_asked_for() {
    let (_tester, squares) = ten(60);
    let slice = |from, to| records(squares.slice(Interval::new(at(from), at(to))).unwrap());
    assert_eq!(slice(3, 5), [[9], [16], [25]]);
    assert_eq!(slice(4, 4), [[16]]);
    assert_eq!(slice(5, 4), Vec::<Vec<u64>>::new());
    assert_eq!(records(squares.slice_between(at(3), at(4)).unwrap()), [[9], [16]]);
    let twice = [squares.slice_between(at(3), at(3)).unwrap(), squares.slice_between(at(3), at(3)).unwrap()];
    assert_eq!(twice[0][0].id(), twice[1][0].id(), "the RDD of a time is one RDD");
}
#[test]
fn slice_rounds_its_ends_down_and_skips_zero_time_and_what_is_not_done() {
    let (_tester, squares) = ten(60);
    let slice = |from, to| records(squares.slice_between(TEST_START + ms(from), TEST_START + ms(to)).unwrap());
    assert_eq!(slice(2999, 4999), [[4], [9], [16]], "2000 to 4000");
    assert_eq!(slice(0, 2000), [[4]], "1000 is zero time");
    assert_eq!(slice(0, 1999), Vec::<Vec<u64>>::new());
    assert_eq!(slice(10_500, 60_000), [[100], [121]], "later batches are nobody's yet");
    assert_eq!(slice(12_000, 60_000), Vec::<Vec<u64>>::new());
    assert_eq!(records(squares.slice_between(Time::from_millis(0), at(2)).unwrap()), [[4]]);
}
#[test]
fn slice_of_a_window_has_the_times_of_its_slide() {
    let mut tester = tester(&[]);
    tester.context().remember(seconds(60));
    let (feed, stream) = tester.input::<u64>();
    let window = stream.window_by(seconds(2), seconds(2));
    window.foreach_rdd(|_, _| Ok(()));
    tester.clock().set(at(1));
    for i in 2..=7 {
        feed.push([i]);
        tester.step().unwrap();
    }
    // 3, 5, 7: counted from zero time.
    assert_eq!(records(window.slice_between(at(4), at(6)).unwrap()), [[2, 3], [4, 5]]);
}
#[test]
fn slice_makes_nothing_for_batches_that_are_not_done() {
    let mut tester = tester(&[]);
    let ticks = tester.context().operator("ticks", Ticks(tester.context().spark_context().clone()));
    ticks.foreach_rdd(|_, _| Ok(()));
    tester.steps(3).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(records(ticks.slice_between(at(1), at(60)).unwrap()), [[2]]);
}
#[test]
fn slice_leaves_out_times_with_nothing_to_do() {
    let mut tester = tester(&[]);
    tester.context().remember(seconds(60));
    let given = tester.context().input_stream("given", Given::new([Some(vec![1]), None, Some(vec![3])]));
    given.foreach_rdd(|_, _| Ok(()));
    tester.steps(3).unwrap();
    assert_eq!(records(given.slice_between(at(1), at(3)).unwrap()), [[1], [3]]);
}
#[test]
fn slice_says_what_is_not_remembered_any_more() {
    let (_tester, squares) = ten(3);
    assert_eq!(records(squares.slice_between(at(9), at(11)).unwrap()), [[81], [100], [121]]);
    let error = squares.slice_between(at(8), at(11)).map(drop).unwrap_err();
    assert!(matches!(&error, Error::Forgotten { time, .. } if *time == at(8)), "{error}");
    assert!(error.to_string().contains("ssc.remember") && error.to_string().contains("own_operators.rs"), "{error}");
}
#[test]
fn slice_before_the_start_is_an_error() {
    let tester = tester(&[]);
    let (_, stream) = tester.input::<u64>();
    let error = stream.map(|x| x).slice_between(at(1), at(2)).map(drop).unwrap_err();
    assert!(matches!(&error, Error::NotStarted { operator: "map", .. }), "{error}");
    assert!(error.to_string().contains("has not been initialized"), "{error}");
}
#[test]
fn looking_back_while_batches_run_takes_nothing_from_them() {
    const BATCHES: u64 = 300;
    let (clock, ssc) = manual(&[("spark.streaming.state.volatile", "true")]);
    ssc.remember(seconds(BATCHES * 2));
    let queue: RddQueue<u64> = (1..=BATCHES).map(|i| ssc.spark_context().parallelize([i], 1)).collect();
    let stream = ssc.queue_stream(&queue).map(|x| x + 1);
    let sums =
        stream.map(|x| (0u8, x)).update_state_by_key(|v, s: Option<u64>| Some(s.unwrap_or(0) + v.iter().sum::<u64>()));
    let window = stream.window(seconds(3));
    let (tell, told) = channel();
    let (batch, total) = (tell.clone(), tell);
    window
        .foreach_rdd(move |rdd, t| Ok(batch.send((second(t), "window", rdd.map(|x| x - 1).fold(0, |a, b| a + b)?))?));
    sums.foreach_rdd(move |rdd, t| Ok(total.send((second(t), "sum", rdd.map(|(_, n)| n).fold(0, |a, b| a + b)?))?));
    ssc.start().unwrap();
    let (mut sum, mut looked_back) = (0, 0);
    for i in 1..=BATCHES {
        clock.set(at(i));
        // The batch of i runs now, on its own thread.
        looked_back += window.slice_between(at(1), at(BATCHES * 2)).unwrap().len();
        looked_back += stream.slice_between(at(i.saturating_sub(2)), at(i + 5)).unwrap().len();
        let windowed = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(windowed, (i, "window", (i.saturating_sub(2)..=i).sum()));
        sum += i + 1;
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (i, "sum", sum));
    }
    assert!(looked_back > 0);
    ssc.stop(Stop::now());
}
