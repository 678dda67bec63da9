//! State: what stateful operators keep from batch to batch, and how checkpoints see it.
//!
//! The payload of a section is a sequence of records: key length (varint), key (postcard), then `n` (varint): 0 for a key
//! that is gone, else one more than the length of what follows, which is the age (varint: time of the section less the
//! time of the last touch, in milliseconds) and the state (postcard).
//!
//! A section of partition 2^32 - 1 has no records: it lists what the state was made of (postcard), for windows. One of
//! partition 2^32 - 2 has nothing in it: no batch has brought an RDD yet, and the initial state is still to come.
mod bits;
mod decode;
mod due;
mod durable;
mod frozen;
mod handle;
mod part;
mod record;
mod running;
mod schema;
mod store;
#[cfg(test)]
mod tests;

pub use handle::State;
pub(crate) use part::Part;
pub(crate) use running::Running;
pub(crate) use schema::{
    Schema, Trouble,
    upgrade::{Migration, migrate_from},
};
pub(crate) use store::{Attempt, Store};

use serde::{Deserialize, Serialize};
use std::{any::Any, sync::Arc};
use winterbourne_base::Time;
use winterbourne_engine::{Key, Result, SparkContext, Wire};

/// Some records of one partition of one operator, as stored.
#[derive(Clone)]
pub(crate) struct Section {
    /// Of the writer; never trusted: loading hashes each key again.
    pub(crate) partition: u32,
    pub(crate) records: u32,
    pub(crate) bytes: Vec<u8>,
}

/// How an operator's keys and states are laid out, as stored with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) key: Schema,
    pub(crate) state: Schema,
    /// Rust's names of the types, for messages.
    pub(crate) key_type: String,
    pub(crate) state_type: String,
}

impl Layout {
    /// That of today's types.
    pub(crate) fn of<K: Key, S: Wire>() -> Self {
        Layout {
            key: Schema::of::<K>(),
            state: Schema::of::<S>(),
            key_type: std::any::type_name::<K>().to_owned(),
            state_type: std::any::type_name::<S>().to_owned(),
        }
    }
    /// Why keys or states of these types could be stored but never be read again, if so.
    pub(crate) fn unstorable<K: Key, S: Wire>() -> Option<String> {
        let wrong = |what: &str, trouble: Result<Schema, Trouble>| match trouble {
            Err(Trouble::Unstorable(why)) => Some(format!("its {what} cannot be kept: {why}")),
            _ => None,
        };
        wrong("key", Schema::trace::<K>()).or_else(|| wrong("state", Schema::trace::<S>()))
    }
}

/// Where sections to load come from.
pub(crate) struct Stored {
    pub(crate) layout: Layout,
    /// What the ages of the records count from.
    pub(crate) time: Time,
    /// How many there are, to make room for.
    pub(crate) records: usize,
}

/// How much an operator holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateStats {
    pub(crate) keys: u64,
    /// By the batch that was applied and is not settled yet, removals included.
    pub(crate) changed: u64,
    pub(crate) removed: u64,
}

/// Reads and checks section number i; called from tasks.
pub(crate) type ReadSection = dyn Fn(usize) -> Result<Section> + Send + Sync;

/// A stateful operator, as the batch protocol and checkpoints see it.
pub(crate) trait Stateful: Send + Sync {
    fn layout(&self) -> &Layout;
    fn partitions(&self) -> usize;
    /// Why its keys or states could be stored but never be read again, if so.
    fn unstorable(&self) -> Option<String>;
    /// Its user accepts that it is lost with the process: it needs no checkpoint directory and has no checkpoint.
    fn is_volatile(&self) -> bool;
    fn set_volatile(&self);
    /// Takes a [`Migration`] to its type of state; false if it is one to another type.
    fn migrate(&self, migration: Box<dyn Any>) -> bool;
    /// The batch of t is about to be generated: before that, and for any other time, the operator has no RDD.
    fn begin(&self, t: Time);
    /// Brings every partition to t, after the RDD of t has been generated.
    fn advance(&self, t: Time) -> Result<()>;
    /// Commits or undoes the batch of t in every partition.
    fn settle(&self, t: Time, ok: bool);
    fn stats(&self) -> StateStats;
    /// Whether a batch has brought an RDD yet, or something was loaded that one had come to. Until then checkpoints hold
    /// everything: that it had not begun is said once, by the only file there is of it.
    fn is_begun(&self) -> bool;
    /// Between batches: begins a checkpoint of what changed since the last one began, or of everything, as of now. Marks
    /// it clean; a caller that could not store it asks for everything the next time.
    fn freeze(&self, sc: &SparkContext, everything: bool) -> Result<()>;
    /// Encodes what was frozen, once, on any thread and while batches go on. `t` is what ages count from: when the last
    /// batch before was.
    fn take_frozen(&self, t: Time) -> Result<Vec<Section>>;
    /// Whether state of this layout can be loaded; what changes on the way, for the report.
    ///
    /// # Errors
    /// What cannot, which field, and what to do, in words.
    fn accepts(&self, stored: &Layout) -> std::result::Result<Vec<String>, String>;
    /// Applies the sections of one file, which have no key in common: upserts and removals. There is no initial state any
    /// more. Whether some are now in another partition than they were.
    fn load(&self, sc: &SparkContext, stored: &Stored, count: usize, read: Arc<ReadSection>) -> Result<bool>;
    /// Back to empty.
    fn clear(&self);
}
