//! [`InputNode`]: an input as the batch loop sees it, and the stream node it feeds.
use super::{BatchMeasure, Input, InputLag, Planned, ReceiverWatch, Supply, Tick};
use crate::{
    DStream, StreamingContext,
    durable::Durable,
    graph::{StreamMeta, StreamOp},
    rate::{Backpressure, Limit, Sample, Start, Throttle},
    receive::ReceiverInfo,
};
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use winterbourne_base::{Clock, Time, failpoint};
use winterbourne_engine::{BoxError, Data, Error, Rdd, Result, Site, SparkContext, guard_driver};

/// What of a plan a log or a listener needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlannedInput {
    pub(crate) records: Option<u64>,
    pub(crate) description: String,
    /// As far as the input knows before it reads.
    pub(crate) bytes: Option<u64>,
    /// The most that it could be.
    pub(crate) limit: Limit,
    /// Encoded, where a log keeps it.
    pub(crate) plan: Vec<u8>,
}

/// How a batch went, for all inputs; in microseconds.
pub(crate) struct Measured {
    pub(crate) done_us: u64,
    pub(crate) processing_us: u64,
    pub(crate) delay_us: u64,
}

/// An input without its record type.
pub(crate) trait InputNode: Send + Sync {
    fn start(&self) -> Result<(), BoxError>;
    fn recoverable(&self) -> Result<(), String>;
    /// From now on plans are encoded, and kept after their batch until they are retired.
    fn attach(&self, durable: &Durable) -> Result<(), BoxError>;
    /// What was saved with the checkpoint.
    fn load(&self, saved: Option<&[u8]>) -> Result<(), BoxError>;
    /// The last plan before the checkpoint.
    fn resume(&self, last: &[u8]) -> Result<(), BoxError>;
    /// What the log says was planned for t.
    fn restore(&self, t: Time, said: PlannedInput) -> Result<(), BoxError>;
    /// For the next checkpoint: what the input wants kept, and the last plan.
    fn save(&self) -> (Option<Vec<u8>>, Option<Vec<u8>>);
    /// No restart will ask for plans before t, except those of `but`.
    fn retire_before(&self, t: Time, but: &[Time]);
    /// Plans a batch, or says again what was planned for it.
    fn plan(&self, tick: &Tick) -> Result<Option<PlannedInput>>;
    /// How the batch of t went.
    fn measured(&self, t: Time, batch: &Measured);
    /// The batch of t is done: the input may forget it.
    fn settle(&self, t: Time);
    /// Keeps the records of t beside the stream, so that it can be run again later, and settles it.
    fn set_aside(&self, t: Time);
    /// Puts the records of t back, for one more run. False if they are not kept.
    fn put_back(&self, t: Time) -> bool;
    /// Lets go of what was set aside for t.
    fn discard(&self, t: Time);
    fn lag(&self) -> Vec<InputLag>;
    fn supply(&self) -> Supply;
    fn stop(&self);
    fn join(&self, clock: &dyn Clock, deadline: Option<Time>);
    fn receiver(&self) -> Option<ReceiverInfo>;
}

struct Known<P> {
    plan: Option<P>,
    said: Option<PlannedInput>,
}
struct Desk<T: Data, I: Input<T>> {
    input: I,
    planned: BTreeMap<Time, Known<I::Plan>>,
    /// Plans are logged.
    durable: bool,
    throttle: Throttle,
    /// It was said that the input gives more than it may.
    excess_told: bool,
    /// Settled, but a restart could ask for them.
    retained: BTreeMap<Time, I::Plan>,
    /// The last plan, encoded.
    last: Option<Vec<u8>>,
    aside: BTreeMap<Time, Option<Rdd<T>>>,
    sc: SparkContext,
}
impl<T: Data, I: Input<T>> Desk<T, I> {
    /// What was planned is in no other batch, so it stays; but whoever set the maximum wants to know.
    fn check(&mut self, most: Limit, records: u64, bytes: u64) {
        if !most.fits(records, bytes) && !std::mem::replace(&mut self.excess_told, true) {
            tracing::warn!(
                "an input planned {records} record(s), {bytes} byte(s) for a batch that may hold {most:?} of it: it does \
                 not look at Tick::limit, or cannot divide them; said once"
            );
        }
    }
    fn go_on_after(&mut self, plan: &I::Plan) -> Result<(), BoxError> {
        if failpoint::seeded("inputs.position-not-restored") { Ok(()) } else { self.input.restore(plan) }
    }
}
struct Node<T: Data, I: Input<T>> {
    /// SUBTLE: the user's `plan` and `read` run under this lock. Only the batch loop takes it, and `slice` where it finds
    /// a batch that lies aside.
    desk: Mutex<Desk<T, I>>,
    /// For other threads.
    watch: Option<ReceiverWatch>,
}

impl<T: Data, I: Input<T>> Node<T, I> {
    fn desk(&self) -> MutexGuard<'_, Desk<T, I>> {
        // A panic in `plan` or `read` leaves the maps as they were.
        self.desk.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    fn rdd(&self, t: Time) -> Result<Option<Rdd<T>>> {
        let desk = &mut *self.desk();
        if let Some(back) = desk.aside.get(&t) {
            return Ok(back.clone());
        }
        // The stream remembers what it got; it asks again for a batch that is tried again.
        let Some(Known { plan: Some(plan), .. }) = desk.planned.get(&t) else { return Ok(None) };
        Ok(Some(desk.input.read(&desk.sc, plan)?))
    }
}
impl<T: Data, I: Input<T>> InputNode for Node<T, I> {
    fn start(&self) -> Result<(), BoxError> {
        let desk = &mut *self.desk();
        desk.input.allow(&desk.throttle.allowance());
        desk.input.start()
    }
    fn recoverable(&self) -> Result<(), String> {
        self.desk().input.recoverable()
    }
    fn attach(&self, durable: &Durable) -> Result<(), BoxError> {
        let desk = &mut *self.desk();
        desk.durable = true;
        desk.input.attach(durable)
    }
    fn load(&self, saved: Option<&[u8]>) -> Result<(), BoxError> {
        saved.map_or(Ok(()), |saved| self.desk().input.load(saved))
    }
    fn resume(&self, last: &[u8]) -> Result<(), BoxError> {
        let desk = &mut *self.desk();
        let plan = decode_plan(last)?;
        desk.last = Some(last.to_vec());
        desk.go_on_after(&plan)
    }
    fn restore(&self, t: Time, said: PlannedInput) -> Result<(), BoxError> {
        let desk = &mut *self.desk();
        let plan = decode_plan(&said.plan)?;
        desk.go_on_after(&plan)?;
        desk.last = Some(said.plan.clone());
        desk.planned.insert(t, Known { plan: Some(plan), said: Some(said) });
        Ok(())
    }
    fn save(&self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let desk = self.desk();
        (desk.input.save(), desk.last.clone())
    }
    fn retire_before(&self, t: Time, but: &[Time]) {
        let desk = &mut *self.desk();
        let old: Vec<Time> = desk.retained.range(..t).map(|(t, _)| *t).filter(|t| !but.contains(t)).collect();
        for t in old {
            let plan = desk.retained.remove(&t).expect("just seen");
            quietly("retire", t, || desk.input.retire(plan));
        }
    }
    fn plan(&self, tick: &Tick) -> Result<Option<PlannedInput>> {
        let desk = &mut *self.desk();
        if let Some(known) = desk.planned.get(&tick.time) {
            return Ok(known.said.clone());
        }
        let most = tick.limit;
        let limit = desk.throttle.next().min(most);
        let planned = desk.input.plan(&Tick { limit, ..*tick }).map_err(Error::from)?;
        let (plan, said) = match planned {
            Some(Planned { plan, records, description }) => {
                let bytes = desk.input.bytes(&plan);
                desk.check(most, records.unwrap_or(0), bytes.unwrap_or(0));
                let mut said = PlannedInput { records, description, bytes, limit, plan: Vec::new() };
                if desk.durable {
                    said.plan = postcard::to_allocvec(&plan).map_err(|e| Error::from(BoxError::from(e)))?;
                    desk.last = Some(said.plan.clone());
                }
                (Some(plan), Some(said))
            }
            None => (None, None),
        };
        desk.planned.insert(tick.time, Known { plan, said: said.clone() });
        Ok(said)
    }
    fn measured(&self, t: Time, batch: &Measured) {
        let desk = &mut *self.desk();
        let Some(Known { said: Some(said), .. }) = desk.planned.get(&t) else { return };
        let records = said.records.unwrap_or(0);
        let Measured { done_us, processing_us, delay_us } = *batch;
        let sample = Sample { done_us, records, processing_us, scheduling_delay_us: delay_us };
        let before = desk.throttle.allowance();
        desk.throttle.measured(sample, said.bytes.unwrap_or(0));
        let allowance = desk.throttle.allowance();
        if allowance != before {
            quietly("be told of the allowance after", t, || desk.input.allow(&allowance));
        }
        let measure = BatchMeasure { time: t, records, done_us, processing_us, scheduling_delay_us: delay_us };
        quietly("take the measure of", t, || desk.input.measured(&measure));
    }
    fn settle(&self, t: Time) {
        let desk = &mut *self.desk();
        let Some(Known { plan: Some(plan), .. }) = desk.planned.remove(&t) else { return };
        // The batch is done, whatever the input makes of that.
        if desk.durable {
            desk.retained.insert(t, plan.clone());
        }
        quietly("settle", t, || desk.input.settle(plan));
    }
    fn set_aside(&self, t: Time) {
        match guard_driver(|| Ok(self.rdd(t)?)) {
            Ok(rdd) => {
                self.settle(t);
                self.desk().aside.insert(t, rdd);
            }
            // What cannot be read now keeps its plan: it is read when the batch is run again.
            Err(e) => tracing::warn!("batch {t} is set aside unread: {e}"),
        }
    }
    fn put_back(&self, t: Time) -> bool {
        let desk = self.desk();
        desk.aside.contains_key(&t) || desk.planned.contains_key(&t)
    }
    fn discard(&self, t: Time) {
        let gone = self.desk().aside.remove(&t);
        drop(gone);
        self.settle(t);
    }
    fn lag(&self) -> Vec<InputLag> {
        self.desk().input.lag()
    }
    fn supply(&self) -> Supply {
        self.desk().input.supply()
    }
    fn stop(&self) {
        self.desk().input.stop();
    }
    fn join(&self, clock: &dyn Clock, deadline: Option<Time>) {
        self.desk().input.join(clock, deadline);
    }
    fn receiver(&self) -> Option<ReceiverInfo> {
        self.watch.as_ref().map(|w| w())
    }
}

/// A plan from the log or a checkpoint: it was written by an earlier build, maybe.
fn decode_plan<P: DeserializeOwned>(bytes: &[u8]) -> Result<P, BoxError> {
    match postcard::take_from_bytes(bytes) {
        Ok((plan, [])) => Ok(plan),
        Ok((_, rest)) => {
            Err(format!("the logged plan has {} byte(s) too many: was its type changed?", rest.len()).into())
        }
        Err(e) => Err(format!("the logged plan cannot be read ({e}): was its type changed?").into()),
    }
}
fn quietly(what: &str, t: Time, f: impl FnOnce()) {
    let done = guard_driver(|| {
        f();
        Ok(())
    });
    if let Err(e) = done {
        tracing::error!("an input could not {what} batch {t}: {e}");
    }
}

/// Adds an input to the graph. `param` tells it from its like.
pub(crate) fn add_input<T: Data, I: Input<T>>(
    ssc: &StreamingContext,
    kind: &'static str,
    site: Site,
    param: String,
    mut input: I,
) -> DStream<T> {
    input.interval(ssc.batch_duration());
    let settings = Backpressure::of(ssc.spark_context().conf()).unwrap_or_else(|e| {
        ssc.graph().wrong(site, e.to_string());
        None
    });
    let watch = input.receiver();
    let start = if watch.is_some() { Start::RECEIVED } else { Start::STORED };
    let desk = Desk {
        input,
        planned: BTreeMap::new(),
        durable: false,
        throttle: Throttle::new(ssc.batch_duration(), settings, start),
        excess_told: false,
        retained: BTreeMap::new(),
        last: None,
        aside: BTreeMap::new(),
        sc: ssc.spark_context().clone(),
    };
    let node = Arc::new(Node { desk: Mutex::new(desk), watch });
    let source = node.clone();
    let meta = StreamMeta::input(kind, site, ssc.batch_duration(), param);
    let op = StreamOp::new(meta, move |t| source.rdd(t));
    if ssc.may_add(kind, site) {
        ssc.graph().parts().inputs.push(node);
    }
    DStream::of(ssc, op)
}
