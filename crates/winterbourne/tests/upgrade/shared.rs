//! What the builds of the upgraded program share: a source that can be read again, and the way they run.
#![allow(dead_code, clippy::allow_attributes, reason = "each build uses its part")]
use std::{fmt::Debug, process::ExitCode, sync::Arc};
use winterbourne::{
    ManualClock,
    engine::Wire,
    prelude::*,
    streaming::{Error, Input, Planned, Tick},
};

/// The first batch has this time.
const FIRST: u64 = 1_000_000_000_000;

/// 3n, 3n + 1 and 3n + 2 in the n-th batch, from 0.
pub(crate) struct Numbers {
    next: u64,
}
pub(crate) fn numbers() -> Numbers {
    Numbers { next: 0 }
}
impl Input<u64> for Numbers {
    type Plan = u64;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        let plan = self.next;
        self.next += 1;
        Ok(Some(Planned { plan, records: Some(3), description: format!("three from {}", plan * 3) }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &u64) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.range(plan * 3..plan * 3 + 3, 2))
    }
    fn restore(&mut self, plan: &u64) -> Result<(), BoxError> {
        self.next = plan + 1;
        Ok(())
    }
}

/// What is kept of a key: how often it was seen, and the last number.
pub(crate) trait Seen: Wire {
    fn see(before: Option<&Self>, number: u64) -> Self;
    fn shown(&self) -> (u64, u64);
}
pub(crate) fn seeing<S: Seen>() -> StateSpec<u64, u64, S, ()> {
    StateSpec::function(|_key: &u64, number: Option<u64>, state: &mut State<'_, S>| {
        state.update(S::see(state.get(), number.unwrap_or_default()));
    })
}
/// Prints each key's state, a line for each batch.
pub(crate) fn show<S: Seen>(name: &'static str, stream: &DStream<(u64, S)>) {
    print(name, &stream.map(|(key, state)| (key, state.shown())));
}
pub(crate) fn print<T: Wire + Ord + Debug>(name: &'static str, stream: &DStream<T>) {
    stream.foreach_rdd(move |rdd, time| {
        let mut records = rdd.collect()?;
        records.sort();
        println!("{name} {} {records:?}", (time.as_millis() - FIRST) / 1000);
        Ok(())
    });
}
/// The sum of each key, by the other stateful operator.
pub(crate) fn add(new: Vec<u64>, sum: Option<u64>) -> Option<u64> {
    Some(sum.unwrap_or(0) + new.iter().sum::<u64>())
}

/// Runs the program on a directory: the batches up to the last one, counted from 1 at its very first start. The clock
/// shows the batch before the first of this run.
pub(crate) fn run(
    (directory, first, last): (&str, u64, u64),
    drop: Option<&str>,
    build: impl FnOnce(&StreamingContext),
) -> ExitCode {
    let clock = ManualClock::new(Time::from_millis(FIRST + (first - 1) * 1000));
    match steps(directory, &clock, last, drop, build) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
fn steps(
    directory: &str,
    clock: &Arc<ManualClock>,
    last: u64,
    drop: Option<&str>,
    build: impl FnOnce(&StreamingContext),
) -> Result<(), BoxError> {
    let ssc = StreamingContext::get_or_create(directory, || {
        let conf = SparkConf::empty().set_app_name("upgrade").set_master("local[2]");
        let conf = drop.map_or(conf.clone(), |ids| conf.set("spark.streaming.recovery.drop", ids));
        let ssc = StreamingContext::with_clock(&SparkContext::new(conf)?, seconds(1), clock.clone())?;
        build(&ssc);
        Ok::<_, Error>(ssc)
    })?;
    let mut run = ssc.start_stepped()?;
    eprintln!("{}", run.operator_ids().join(" "));
    while run.next_time() <= Time::from_millis(FIRST + last * 1000) {
        clock.set(run.next_time());
        run.step()?;
    }
    Ok(())
}
