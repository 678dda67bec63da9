//! The port to the batch log. A batch is planned in it before anything runs and completed in it before anything is
//! committed; recovery is its replay. Where a checkpoint directory is set, the log of `durable` keeps the entries there;
//! a program may have them told to a log of its own as well.
use serde::{Deserialize, Serialize};
use winterbourne_base::Time;
use winterbourne_engine::BoxError;

/// What one input gives to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InputPlan {
    /// The input's operator id.
    pub input: String,
    /// How many records, where that is known beforehand.
    pub records: Option<u64>,
    /// For people.
    pub description: String,
    /// The input's plan, in postcard's format: enough to read the same records again.
    pub plan: Vec<u8>,
}

/// A batch before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchPlan {
    /// The batch.
    pub time: Time,
    /// Ticks passed over since the batch before.
    pub coalesced: u64,
    /// What random choices of this batch start from, so that a replay makes the same ones.
    pub seed: u64,
    /// What goes in; inputs with nothing to do are left out.
    pub inputs: Vec<InputPlan>,
}

/// What a batch did to the state of one operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StateChange {
    /// The operator's id.
    pub operator: String,
    /// How many keys it held afterwards.
    pub keys: u64,
    /// How many were touched, removals included.
    pub changed: u64,
    /// How many were removed.
    pub removed: u64,
}

/// A batch after its jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchDone {
    /// The batch.
    pub time: Time,
    /// Its place among all completions, from 1: the version of the state after it. A batch that was set aside and run
    /// later has a later place than its time says.
    pub sequence: u64,
    /// The ids of the output operations that ran; of a batch set aside, those that need not run again with it.
    pub outputs: Vec<String>,
    /// Whether it was set aside instead, with the failure. State is then as it was before.
    pub set_aside: Option<String>,
    /// Records that went in, as far as inputs know their number.
    pub records: u64,
    /// From the first look at it until this entry.
    pub processing_us: u64,
    /// What happened to state, by operator.
    pub states: Vec<StateChange>,
    /// The named accumulators of the SparkContext after the batch, in postcard's format.
    pub accumulators: Vec<(String, Vec<u8>)>,
    /// Hash of the receipt before, the batch's inputs and what happened to state: equal chains mean equal histories.
    pub receipt: u64,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BatchEntry {
    /// Written before anything of the batch runs. A batch that is held and tried again, or finished after a restart, may
    /// have several; the last one counts.
    Planned(BatchPlan),
    /// Written when all jobs have ended and state has advanced, before anything is committed.
    Completed(BatchDone),
}

/// Who else is told of every entry. Set one with
/// [`StreamingContext::set_batch_log`](crate::StreamingContext::set_batch_log).
pub trait BatchLog: Send + 'static {
    /// Takes an entry. Where there is a checkpoint directory, the entry is in its log already.
    ///
    /// # Errors
    /// Fails the batch, which is then tried again.
    fn append(&mut self, entry: BatchEntry) -> Result<(), BoxError>;
}
