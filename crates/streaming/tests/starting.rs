//! A start that fails leaves a context that can be started.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
    mpsc,
};
use winterbourne_engine::{BoxError, Rdd, SparkConf, SparkContext};
use winterbourne_streaming::{
    Input, Intake, Planned, Receiver, Stop, StreamingContext, StreamingState, Tick, milliseconds,
};

fn context() -> StreamingContext {
    let sc = SparkContext::new(SparkConf::empty().set_app_name("starting").set_master("local[1]")).unwrap();
    StreamingContext::new(&sc, milliseconds(20)).unwrap()
}

/// Refuses its first start in one of two ways.
struct Reluctant {
    starts: Arc<AtomicUsize>,
    panics: bool,
}
impl Input<u64> for Reluctant {
    type Plan = ();
    fn start(&mut self) -> Result<(), BoxError> {
        match (self.starts.fetch_add(1, SeqCst), self.panics) {
            (0, true) => panic!("not today"),
            (0, false) => Err("not today".into()),
            _ => Ok(()),
        }
    }
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<()>>, BoxError> {
        Ok(None)
    }
    fn read(&mut self, sc: &SparkContext, (): &()) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.empty_rdd())
    }
}
/// Says one number, then waits to be stopped.
struct One;
impl Receiver<u64> for One {
    fn receive(&mut self, intake: &Intake<u64>) -> Result<(), BoxError> {
        intake.store(1)?;
        let (stopped, wait) = mpsc::channel::<()>();
        intake.on_stop(move || drop(stopped));
        let _ = wait.recv();
        Ok(())
    }
}

#[test]
fn an_input_that_refuses_or_panics_can_be_started_again_beside_a_receiver() {
    for panics in [false, true] {
        let (ssc, starts) = (context(), Arc::new(AtomicUsize::new(0)));
        let (seen, numbers) = mpsc::channel();
        ssc.receiver_stream(One)
            .foreach_rdd(move |rdd, _| Ok(rdd.collect()?.into_iter().try_for_each(|x| seen.send(x))?));
        ssc.input_stream("reluctant", Reluctant { starts: starts.clone(), panics }).print();
        let error = ssc.start().unwrap_err();
        assert!(error.to_string().contains("not today"), "{error}");
        assert_eq!(ssc.state(), StreamingState::Initialized);
        ssc.remember(milliseconds(100)); // the graph is not locked, not poisoned, and may still be changed
        ssc.start().unwrap();
        assert_eq!((numbers.recv(), starts.load(SeqCst)), (Ok(1), 2));
        ssc.stop(Stop::gracefully());
        assert_eq!(ssc.state(), StreamingState::Stopped);
    }
}
