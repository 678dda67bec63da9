//! [`Manifest`]: one checkpoint, self-contained. Written last, under the number of the completion it follows.
use super::{compare::Operator, frame};
use serde::{Deserialize, Serialize};
use std::io;
use winterbourne_base::{Time, journal::Position, storage::Storage};

const KIND: frame::Kind = frame::Kind { magic: *b"WBCHKPT\0", version: 1 };
const DIRECTORY: &str = "checkpoints";

/// A state file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRef {
    pub(crate) name: String,
    pub(crate) len: u64,
}

/// What an input needs to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputMark {
    pub(crate) id: String,
    /// What [`Input::save`](crate::Input::save) returned.
    pub(crate) saved: Option<Vec<u8>>,
    /// The last plan it made.
    pub(crate) last: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Of the last completion it holds.
    pub(crate) sequence: u64,
    /// The newest batch among those.
    pub(crate) time: Time,
    /// The last tick that was planned.
    pub(crate) planned: Time,
    /// Planned by then and not completed, or set aside.
    pub(crate) open: Vec<Time>,
    pub(crate) application: String,
    pub(crate) build: u64,
    pub(crate) interval: u64,
    pub(crate) zero: Time,
    pub(crate) receipt: u64,
    /// The first entry of the log that a start from here needs.
    pub(crate) replay_from: Position,
    /// Oldest first; a later one overrules an earlier one.
    pub(crate) files: Vec<FileRef>,
    pub(crate) operators: Vec<Operator>,
    pub(crate) inputs: Vec<InputMark>,
    /// Named ones, by name.
    pub(crate) accumulators: Vec<(String, Vec<u8>)>,
}

impl Manifest {
    pub(crate) fn name(sequence: u64) -> String {
        format!("{DIRECTORY}/{sequence:020}.manifest")
    }
    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        frame::seal(KIND, self).map_err(io::Error::other)
    }
    /// All that are there, newest first, readable or not.
    pub(crate) fn all(storage: &dyn Storage) -> io::Result<Vec<(String, Result<Manifest, String>)>> {
        let mut names: Vec<String> = storage.list(DIRECTORY)?.into_iter().map(|e| e.name).collect();
        names.retain(|n| n.ends_with(".manifest"));
        names.sort_by(|a, b| b.cmp(a));
        let read = |name: String| {
            let found = match storage.read(&name) {
                Ok(bytes) => frame::unseal(KIND, &bytes),
                Err(e) => Err(e.to_string()),
            };
            (name, found)
        };
        Ok(names.into_iter().map(read).collect())
    }
    /// The version of this one, if a newer build wrote it.
    pub(crate) fn newer(storage: &dyn Storage, name: &str) -> Option<u32> {
        frame::newer(KIND, &storage.read(name).ok()?)
    }
}
