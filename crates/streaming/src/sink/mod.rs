//! Sinks: outputs that commit with the batch.
//!
//! A [`Sink`] takes what a batch writes in two steps. Partitions are *staged*, in tasks, where nobody sees them; then, when
//! every output of the batch has run and state has advanced, all of it is *committed* at once, on the driver, together
//! with a *marker*: which batch this was. The completion of the batch is logged after that. So there is one way back: a
//! batch that the log knows as planned and not as completed is run again, and a sink whose marker says that it was
//! committed all the same is left out. Nothing that was staged is ever resumed.
//!
//! `node` keeps track of one sink; `files` is one. Everything but that refuses to know where a sink writes.
mod files;
mod node;

pub use files::{CsvOptions, FileSink, FileWriter, Period, StagedFile};
pub(crate) use node::{Node, SinkNode};

use std::sync::Arc;
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{BoxError, Data, Records};

/// An output that commits with the batch: what it shows of a batch is all of it or nothing, and once. Give it a stream with
/// [`DStream::write_to`](crate::DStream::write_to).
///
/// All its methods are called on the driver, one at a time, batches in order (a batch that was set aside comes later than
/// its time says). Of one batch: [`begin`](Sink::begin), tasks [stage](SinkWriter::stage) its partitions,
/// [`commit`](Sink::commit) or [`abort`](Sink::abort).
///
/// # What a sink promises
///
/// | clause | |
/// |---|---|
/// | hidden | what is staged is not seen by readers before the commit |
/// | whole | after `commit` all of it is seen, or will be later whatever happens, with a marker of the batch, atomically: a crash at any moment leaves both or none |
/// | asked | [`recover`](Sink::recover) finds that marker, also in another process, as long as no later batch was committed |
/// | forgetting | what was staged by a process that is gone, or for an attempt that failed, is never seen |
/// | idempotent | `abort` does nothing where there is nothing to undo, and may be called twice |
/// | no halves | a partition whose records ended by an error is not part of what is committed |
///
/// `check_sink` of the test kit puts a sink through them.
///
/// ```
/// use std::{collections::BTreeMap, sync::{Arc, Mutex}};
/// use winterbourne_engine::{BoxError, Records};
/// use winterbourne_streaming::{Recovered, Sink, SinkPlace, SinkWriter, Time};
///
/// /// A table in memory, with a row for each record and the batch that was committed last.
/// #[derive(Clone, Default)]
/// struct Table(Arc<Mutex<(Vec<u64>, Option<Time>)>>);
/// struct Stage;
/// impl SinkWriter<u64> for Stage {
///     type Staged = Vec<u64>;
///     fn stage(&self, _partition: usize, records: Records<u64>) -> Result<Vec<u64>, BoxError> {
///         Ok(records.collect())
///     }
/// }
/// impl Sink<u64> for Table {
///     type Writer = Stage;
///     fn recover(&mut self, batch: Time) -> Result<Recovered, BoxError> {
///         let last = self.0.lock().unwrap().1;
///         Ok(if last == Some(batch) { Recovered::Committed } else { Recovered::Absent })
///     }
///     fn begin(&mut self, _batch: Time) -> Result<Stage, BoxError> {
///         Ok(Stage)
///     }
///     fn commit(&mut self, batch: Time, staged: Vec<Vec<u64>>) -> Result<(), BoxError> {
///         let mut table = self.0.lock().unwrap();
///         table.0.extend(staged.into_iter().flatten());
///         table.1 = Some(batch);
///         Ok(())
///     }
///     fn abort(&mut self, _batch: Time) {}
/// }
/// ```
pub trait Sink<T: Data>: Send + 'static {
    /// Takes the partitions of one attempt at a batch.
    type Writer: SinkWriter<T>;
    /// Called by `start`, before everything else; again if that start failed for another reason. What an earlier process
    /// staged and did not commit may be thrown away here.
    ///
    /// # Errors
    /// Ends `start` with it.
    fn open(&mut self, place: &SinkPlace) -> Result<(), BoxError> {
        let _ = place;
        Ok(())
    }
    /// Whether `batch` was committed: by an earlier process, or by a `commit` of this one that returned an error. What was
    /// staged for it and is not committed is thrown away.
    ///
    /// # Errors
    /// Ends `start`, or fails the batch, which is then tried again.
    fn recover(&mut self, batch: Time) -> Result<Recovered, BoxError>;
    /// An attempt at `batch` begins.
    ///
    /// # Errors
    /// Fails the batch, which is then tried again.
    fn begin(&mut self, batch: Time) -> Result<Self::Writer, BoxError>;
    /// Shows what was staged in this attempt, a part for each partition in their order, together with the marker of
    /// `batch`.
    ///
    /// # Errors
    /// It did not happen, or it may have: [`recover`](Sink::recover) is asked before the batch is tried again.
    fn commit(&mut self, batch: Time, staged: Vec<<Self::Writer as SinkWriter<T>>::Staged>) -> Result<(), BoxError>;
    /// The batch has nothing for this sink, not even empty partitions: its stream has no RDD then.
    ///
    /// # Errors
    /// Fails the batch, which is then tried again.
    fn pass(&mut self, batch: Time) -> Result<(), BoxError> {
        let _ = batch;
        Ok(())
    }
    /// The attempt failed, or the stream is stopped: what was staged in it goes. What cannot be removed now stays hidden.
    fn abort(&mut self, batch: Time);
    /// The stream has stopped, and no batch follows in this process; a kill leaves this out. A sink that shows committed
    /// batches later than with their commit (see [`FileSink::roll_every`]) shows them now.
    ///
    /// # Errors
    /// Are logged: what was committed stays so.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The part of a sink that tasks use, several at once.
pub trait SinkWriter<T: Data>: Send + Sync + 'static {
    /// What the commit is told of a partition.
    type Staged: Data;
    /// Stages a partition. An error upstream unwinds through this, so what follows the loop over `records` does not run on
    /// half a partition. A task that is tried again stages its partition again; a sink that cannot take back the first,
    /// unfinished one refuses the second, and with it this attempt at the batch.
    ///
    /// # Errors
    /// Fails the task.
    fn stage(&self, partition: usize, records: Records<T>) -> Result<Self::Staged, BoxError>;
}

/// What a sink is to whoever is about to commit a batch once more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recovered {
    /// The batch was committed: it is seen, and must not be written again.
    Committed,
    /// It was not, and what was staged of it never will be.
    Absent,
}

/// Where in a program a sink stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SinkPlace {
    /// The name of the application.
    pub application: String,
    /// The name of the sink, the same after a restart.
    pub operator: Arc<str>,
    /// The interval between batches.
    pub interval: Duration,
    /// Whether a checkpoint directory is set, so that a restart goes on where this process ends.
    pub durable: bool,
}
impl SinkPlace {
    /// A place for a sink that is used by hand, in tests.
    pub fn new(application: impl Into<String>, operator: &str, interval: Duration) -> Self {
        SinkPlace { application: application.into(), operator: operator.into(), interval, durable: true }
    }
}
