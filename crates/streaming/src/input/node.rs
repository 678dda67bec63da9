//! [`InputNode`]: an input as the batch loop sees it, and the stream node it feeds.
use super::{Input, ReceiverWatch, Supply, Tick};
use crate::{
    DStream, StreamingContext,
    graph::{StreamMeta, StreamOp},
    receive::ReceiverInfo,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use winterbourne_base::{Clock, Time};
use winterbourne_engine::{BoxError, Data, Error, Rdd, Result, Site, SparkContext, guard_driver};

/// What of a plan a log or a listener needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlannedInput {
    pub(crate) records: Option<u64>,
    pub(crate) description: String,
}

/// An input without its record type.
pub(crate) trait InputNode: Send + Sync {
    fn start(&self) -> Result<(), BoxError>;
    /// Plans a batch, or says again what was planned for it.
    fn plan(&self, tick: &Tick) -> Result<Option<PlannedInput>>;
    /// The batch of t is done: the input may forget it.
    fn settle(&self, t: Time);
    /// Keeps the records of t beside the stream, so that it can be run again later, and settles it.
    fn set_aside(&self, t: Time);
    /// Puts the records of t back, for one more run. False if they are not kept.
    fn put_back(&self, t: Time) -> bool;
    /// Lets go of what was set aside for t.
    fn discard(&self, t: Time);
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
    aside: BTreeMap<Time, Option<Rdd<T>>>,
    sc: SparkContext,
}
struct Node<T: Data, I: Input<T>> {
    /// SUBTLE: the user's `plan` and `read` run under this lock. Only the batch loop takes it.
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
        self.desk().input.start()
    }
    fn plan(&self, tick: &Tick) -> Result<Option<PlannedInput>> {
        let desk = &mut *self.desk();
        if let Some(known) = desk.planned.get(&tick.time) {
            return Ok(known.said.clone());
        }
        let planned = desk.input.plan(tick).map_err(Error::from)?;
        let (plan, said) = match planned {
            Some(p) => (Some(p.plan), Some(PlannedInput { records: p.records, description: p.description })),
            None => (None, None),
        };
        desk.planned.insert(tick.time, Known { plan, said: said.clone() });
        Ok(said)
    }
    fn settle(&self, t: Time) {
        let desk = &mut *self.desk();
        if let Some(Known { plan: Some(plan), .. }) = desk.planned.remove(&t) {
            // The batch is done, whatever the input makes of that.
            let settled = guard_driver(|| {
                desk.input.settle(plan);
                Ok(())
            });
            if let Err(e) = settled {
                tracing::error!("an input could not settle batch {t}: {e}");
            }
        }
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

/// Adds an input to the graph. `param` tells it from its like.
pub(crate) fn add_input<T: Data, I: Input<T>>(
    ssc: &StreamingContext,
    kind: &'static str,
    site: Site,
    param: String,
    mut input: I,
) -> DStream<T> {
    input.interval(ssc.batch_duration());
    let watch = input.receiver();
    let desk = Desk { input, planned: BTreeMap::new(), aside: BTreeMap::new(), sc: ssc.spark_context().clone() };
    let node = Arc::new(Node { desk: Mutex::new(desk), watch });
    let source = node.clone();
    let meta = StreamMeta::input(kind, site, ssc.batch_duration(), param);
    let op = StreamOp::new(meta, move |t| source.rdd(t));
    if ssc.may_add(kind, site) {
        ssc.graph().parts().inputs.push(node);
    }
    DStream::of(ssc, op)
}
