//! What a stream keeps in its checkpoint directory, and how it comes back from there.
//!
//! ```text
//! lock                        one process at a time
//! log/                        the batch log, a journal: heads, plans, completions      log
//! received/                   the blocks of receivers, a journal                      received
//! state/<sequence>-<n>.state  changed or all records of stateful operators            sections
//! checkpoints/<sequence>.manifest   what makes up the state after that completion     manifest
//! ```
//!
//! *Log, then apply.* A plan is durable before anything of its batch runs; a completion shares the sync of the next plan.
//! A checkpoint is the state after a completion: between two batches it is frozen which records changed; they are encoded
//! and written in the background: state file, sync, then the manifest, atomically (`checkpoints`). Recovery takes the newest manifest that is
//! whole and applies what the log says happened after it (`recover`): batches that were completed move state and windows
//! again but repeat no output, batches that were only planned are run in full. The log is kept as far back as any retained
//! manifest, window or batch set aside needs it.
//!
//! `Keeper` is what the batch loop holds of all this. Refuses to know what is in a record.
mod checkpoints;
mod compare;
pub(crate) mod frame;
mod keeper;
mod log;
mod manifest;
mod received;
mod recover;
mod sections;
#[cfg(test)]
mod tests;

pub(crate) use compare::{Operator, Role};
pub(crate) use keeper::{Keeper, Pace};
pub(crate) use received::{InputLog, NotWritten, Peer, Stored};
#[cfg(test)]
pub(crate) use received::{Options as LogOptions, Received};
pub(crate) use recover::{Program, Recovery, Refusal, open, replay, restore};

use std::{fmt, io, sync::Arc};
use winterbourne_base::storage::{LocalStorage, Storage, StorageLock};

/// Where a stream keeps all this.
#[derive(Clone)]
pub(crate) enum Place {
    /// A directory of a disk.
    Directory(String),
    /// A storage whose owner sees to it that one context at a time uses it.
    Storage(Arc<dyn Storage>),
}
impl Place {
    /// Opens it for this process alone.
    fn take(&self) -> io::Result<(Arc<dyn Storage>, Option<StorageLock>)> {
        match self {
            Place::Directory(path) => {
                let local = LocalStorage::new(path);
                let lock = local.lock()?;
                Ok((Arc::new(local), Some(lock)))
            }
            Place::Storage(storage) => Ok((storage.clone(), None)),
        }
    }
}
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Directory(path) => f.write_str(path),
            Place::Storage(storage) => f.write_str(storage.describe("").trim_end_matches([':', '/'])),
        }
    }
}

/// How a context may use its checkpoint directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Expect {
    /// A new one: an application's log found there is refused.
    #[default]
    Nothing,
    /// Whatever is there is continued.
    Anything,
    /// As `Anything`, but what cannot be read is moved out of the way.
    AnythingReadable,
    /// There must be something to continue.
    Log,
}

/// An input's place in the checkpoint directory; see [`Input::attach`](crate::Input::attach).
#[derive(Clone)]
pub struct Durable {
    pub(crate) id: String,
    /// The write-ahead log of receivers.
    pub(crate) received: received::Received,
}
impl Durable {
    /// The durable name of the input: its `uid`, or what is derived from its kind, parameters and ancestry.
    pub fn operator_id(&self) -> &str {
        &self.id
    }
}

/// Moves what cannot be read out of the way, for a stream that would rather begin anew.
pub(crate) fn set_aside(directory: &str) -> io::Result<()> {
    let to = LocalStorage::new(directory).set_aside()?;
    tracing::error!("{directory} could not be read and is now {}; the stream begins anew", to.display());
    Ok(())
}
