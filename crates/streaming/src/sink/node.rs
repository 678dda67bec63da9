//! [`Node`]: a sink as the batch protocol sees it. Keeps track of what is staged, what is committed and what is in doubt.
use super::{Recovered, Sink, SinkPlace, SinkWriter};
use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};
use winterbourne_base::{Time, failpoint};
use winterbourne_engine::{BoxError, Data, Rdd, guard_driver};

/// A sink without its record type.
pub(crate) trait SinkNode: Send + Sync {
    fn open(&self, place: &SinkPlace) -> Result<(), BoxError>;
    /// A batch that an earlier process planned and did not complete: asks whether it is there all the same.
    fn recover(&self, t: Time) -> Result<(), BoxError>;
    /// Shows what was staged for t, if anything was.
    fn commit(&self, t: Time) -> Result<(), BoxError>;
    /// Whether t is known to be committed.
    fn is_committed(&self, t: Time) -> bool;
    /// The batch whose commit returned an error, while nobody knows what came of it.
    fn doubt(&self) -> Option<Time>;
    /// Asks about that.
    fn resolve(&self) -> Result<(), BoxError>;
    /// An attempt at t failed: what was staged goes, unless it is committed.
    fn undo(&self, t: Time);
    /// The batch of t is logged as completed: nobody will ask for it again.
    fn settle(&self, t: Time);
    /// No batch follows, and all that were are in the log.
    fn close(&self);
}

/// What the tasks of an attempt staged, by partition.
type Parts<T, S> = Vec<<<S as Sink<T>>::Writer as SinkWriter<T>>::Staged>;
struct Desk<T: Data, S: Sink<T>> {
    sink: S,
    /// The attempt that has begun, and what its tasks staged when they are through.
    begun: Option<(Time, Option<Parts<T, S>>)>,
    /// Committed, and not yet logged as completed.
    committed: BTreeSet<Time>,
    /// Its commit returned an error: nobody knows.
    doubt: Option<Time>,
}
impl<T: Data, S: Sink<T>> Desk<T, S> {
    fn recover(&mut self, t: Time) -> Result<(), BoxError> {
        if failpoint::seeded("sink.marker-not-read") {
            return Ok(());
        }
        if self.sink.recover(t)? == Recovered::Committed {
            self.committed.insert(t);
        }
        Ok(())
    }
    fn resolve(&mut self) -> Result<(), BoxError> {
        let Some(t) = self.doubt else { return Ok(()) };
        self.recover(t)?;
        self.doubt = None;
        Ok(())
    }
}

pub(crate) struct Node<T: Data, S: Sink<T>>(Mutex<Desk<T, S>>);
impl<T: Data, S: Sink<T>> Node<T, S> {
    pub(crate) fn new(sink: S) -> Self {
        Node(Mutex::new(Desk { sink, begun: None, committed: BTreeSet::new(), doubt: None }))
    }
    /// SUBTLE: the sink's own code runs under this lock, on the batch loop; its tasks do not take it.
    fn desk(&self) -> MutexGuard<'_, Desk<T, S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Stages the batch of t, unless it is committed already.
    pub(crate) fn stage(&self, t: Time, rdd: &Rdd<T>) -> Result<(), BoxError> {
        let writer = {
            let desk = &mut *self.desk();
            desk.resolve()?;
            if desk.committed.contains(&t) {
                tracing::info!("batch {t} was committed before: it is not written again");
                return Ok(());
            }
            desk.begun = Some((t, None));
            desk.sink.begin(t)?
        };
        let partitions = (0..rdd.num_partitions()?).collect();
        let staged =
            rdd.spark_context().run_job(rdd, partitions, move |p, flow, _| Ok(writer.stage(p, flow.records())?))?;
        self.desk().begun = Some((t, Some(staged)));
        failpoint::hit("sink.staged");
        Ok(())
    }
}
impl<T: Data, S: Sink<T>> SinkNode for Node<T, S> {
    fn open(&self, place: &SinkPlace) -> Result<(), BoxError> {
        self.desk().sink.open(place)
    }
    fn recover(&self, t: Time) -> Result<(), BoxError> {
        self.desk().recover(t)
    }
    fn commit(&self, t: Time) -> Result<(), BoxError> {
        let desk = &mut *self.desk();
        let Some((_, Some(staged))) = desk.begun.take_if(|(of, staged)| *of == t && staged.is_some()) else {
            // Committed in an earlier attempt, or not meant for it.
            return if desk.committed.contains(&t) { Ok(()) } else { desk.resolve().and_then(|()| desk.sink.pass(t)) };
        };
        desk.doubt = Some(t);
        desk.sink.commit(t, staged)?;
        desk.doubt = None;
        desk.committed.insert(t);
        failpoint::hit("sink.committed");
        Ok(())
    }
    fn is_committed(&self, t: Time) -> bool {
        self.desk().committed.contains(&t)
    }
    fn doubt(&self) -> Option<Time> {
        self.desk().doubt
    }
    fn resolve(&self) -> Result<(), BoxError> {
        self.desk().resolve()
    }
    fn undo(&self, t: Time) {
        let desk = &mut *self.desk();
        let begun = mem::take(&mut desk.begun).is_some();
        let undone = guard_driver(|| {
            if desk.doubt.is_some() {
                // The next attempt asks again if this fails.
                desk.resolve()?;
            } else if begun {
                desk.sink.abort(t);
            }
            Ok(())
        });
        if let Err(e) = undone {
            tracing::warn!("what was staged for batch {t} could not be looked after: {e}");
        }
    }
    fn settle(&self, t: Time) {
        self.desk().committed.remove(&t);
    }
    fn close(&self) {
        let desk = &mut *self.desk();
        if let Err(e) = guard_driver(|| desk.sink.close()) {
            tracing::error!(
                "a sink could not be closed; what it committed is shown by the next program that opens it: {e}"
            );
        }
    }
}
