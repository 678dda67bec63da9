//! The port to the batch log. A batch is planned in it before anything runs and completed in it before anything is
//! committed; recovery is its replay. This crate's default keeps nothing.
use winterbourne_base::Time;
use winterbourne_engine::BoxError;

/// What one input gives to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputPlan {
    /// The input's operator id.
    pub input: String,
    /// How many records, where that is known beforehand.
    pub records: Option<u64>,
    /// For people.
    pub description: String,
}

/// A batch before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchPlan {
    /// The batch.
    pub time: Time,
    /// What goes in; inputs with nothing to do are left out.
    pub inputs: Vec<InputPlan>,
}

/// A batch after its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchDone {
    /// The batch.
    pub time: Time,
    /// The ids of the output operations that ran.
    pub outputs: Vec<String>,
    /// Whether it was set aside instead, with the failure.
    pub set_aside: Option<String>,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchEntry {
    /// Written before anything of the batch runs.
    Planned(BatchPlan),
    /// Written when all jobs have ended and state has advanced, before anything is committed.
    Completed(BatchDone),
}

/// Where batches are recorded. Set one with
/// [`StreamingContext::set_batch_log`](crate::StreamingContext::set_batch_log).
pub trait BatchLog: Send + 'static {
    /// Appends an entry. When this returns it is durable, or will be with the next entry that is: the completion of one
    /// batch and the plan of the next may share one sync.
    ///
    /// # Errors
    /// Fails the batch, which is then tried again.
    fn append(&mut self, entry: BatchEntry) -> Result<(), BoxError>;
    /// Whether entries are kept at all; if not, none is made.
    fn is_on(&self) -> bool {
        true
    }
}

/// Keeps nothing.
pub(crate) struct Unlogged;
impl BatchLog for Unlogged {
    fn append(&mut self, _: BatchEntry) -> Result<(), BoxError> {
        Ok(())
    }
    fn is_on(&self) -> bool {
        false
    }
}
