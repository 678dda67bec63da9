//! [`Log`]: the batch log on a journal. One record each: the head of a run, a plan, a completion. A record is
//! `version byte · postcard`; the journal below adds lengths and checksums.
use super::compare::Operator;
use crate::batch::BatchEntry;
use serde::{Deserialize, Serialize};
use winterbourne_base::{
    Time,
    journal::{Journal, JournalError, Position},
};
use winterbourne_engine::BoxError;

/// The first byte of every record.
const VERSION: u8 = 1;

/// Written at each start, before the first batch of that run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) application: String,
    /// Tells builds of the program apart.
    pub(crate) build: u64,
    /// The batch interval, in milliseconds.
    pub(crate) interval: u64,
    /// The time before the first batch ever.
    pub(crate) zero: Time,
    /// Inputs, stateful operators and outputs.
    pub(crate) operators: Vec<Operator>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Record {
    Head(Head),
    Entry(BatchEntry),
}

pub(crate) fn encode(record: &Record) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_extend(record, vec![VERSION])
}
/// # Errors
/// What is wrong, for the journal to say where.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record, String> {
    match bytes {
        [VERSION, body @ ..] => match postcard::take_from_bytes(body) {
            Ok((record, [])) => Ok(record),
            Ok(_) => Err("bytes are left over at the end of a record".into()),
            Err(e) => Err(format!("a record cannot be decoded: {e}")),
        },
        [other, ..] => Err(format!("a record has format {other}; this build reads {VERSION}")),
        [] => Err("a record is empty".into()),
    }
}

/// What writing costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Costs {
    pub(crate) syncs: u64,
    pub(crate) last_sync_us: u64,
    pub(crate) longest_sync_us: u64,
    pub(crate) bytes: u64,
}

pub(crate) struct Log {
    journal: Journal,
    pub(crate) costs: Costs,
}
impl Log {
    pub(crate) fn new(journal: Journal) -> Self {
        Log { journal, costs: Costs::default() }
    }
    /// Appends; not durable yet.
    pub(crate) fn append(&mut self, record: &Record) -> Result<Position, BoxError> {
        let bytes = encode(record)?;
        self.costs.bytes += bytes.len() as u64;
        Ok(self.journal.append(&bytes)?)
    }
    /// Makes all that was appended durable. `nanos` tells the time it took.
    pub(crate) fn sync(&mut self, nanos: impl Fn() -> u64) -> Result<(), JournalError> {
        let begun = nanos();
        self.journal.sync()?;
        let took = (nanos() - begun) / 1000;
        self.costs.syncs += 1;
        self.costs.last_sync_us = took;
        self.costs.longest_sync_us = self.costs.longest_sync_us.max(took);
        Ok(())
    }
    /// Nothing more comes: what was appended is made durable, and the file is as long as its records.
    pub(crate) fn finish(&mut self) -> Result<(), JournalError> {
        self.journal.finish()
    }
    pub(crate) fn position(&self) -> Position {
        self.journal.position()
    }
    pub(crate) fn trim_before(&mut self, keep: Position) -> Result<u64, JournalError> {
        self.journal.trim_before(keep)
    }
}
