//! What a user sees of the budget, and what other crates tell it.
use super::Memory;
use crate::{PutAway, Result, SparkContext, Wire};
use serde::Serialize;
use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use winterbourne_base::conf::Bytes;

/// Who uses memory of a context's budget.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum MemoryUse {
    /// Cached blocks in memory: what `persist` and `local_checkpoint` keep.
    Storage,
    /// Outputs of shuffles that later stages read.
    Shuffle,
    /// What running tasks work on: tables, groups, records being sorted.
    Execution,
    /// Records that receivers took in and no batch has done with yet.
    Received,
    /// State of streams.
    State,
}
impl MemoryUse {
    /// All of them.
    pub const ALL: [MemoryUse; 5] =
        [MemoryUse::Storage, MemoryUse::Shuffle, MemoryUse::Execution, MemoryUse::Received, MemoryUse::State];
}
impl fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemoryUse::Storage => "cached blocks",
            MemoryUse::Shuffle => "shuffles",
            MemoryUse::Execution => "tasks",
            MemoryUse::Received => "received blocks",
            MemoryUse::State => "state",
        })
    }
}

/// The memory of a context at one moment: [`SparkContext::memory_status`]. Sizes are bytes, as records were weighed: from
/// samples, and so within a factor of two of what the allocator would say.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MemoryStatus {
    /// `spark.memory.size`, or its default.
    pub budget: u64,
    /// The most that was in use at once, since the context was made.
    pub peak: u64,
    /// How often something was written to disk because there was no room for it.
    pub spills: u64,
    /// How many bytes that were, as they lie on disk.
    pub spilled_bytes: u64,
    uses: [u64; MemoryUse::ALL.len()],
}
impl MemoryStatus {
    /// How much somebody uses.
    #[must_use]
    pub fn used_by(&self, by: MemoryUse) -> u64 {
        self.uses[by as usize]
    }
    /// How much is used in all.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.uses.iter().sum()
    }
}
/// `12m of 256m: cached blocks 8m, shuffles 4m; 3 spills, 96m on disk`.
impl fmt::Display for MemoryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", Bytes(self.used()), Bytes(self.budget))?;
        let users = MemoryUse::ALL.into_iter().filter(|by| self.used_by(*by) > 0);
        for (i, by) in users.enumerate() {
            write!(f, "{} {by} {}", if i == 0 { ":" } else { "," }, Bytes(self.used_by(by)))?;
        }
        write!(f, "; {} spills, {} on disk", self.spills, Bytes(self.spilled_bytes))
    }
}

/// A number of bytes of the budget that somebody outside of the engine uses: given back when it is dropped. See
/// [`SparkContext::hold_memory`].
pub struct MemoryHold {
    memory: Arc<Memory>,
    by: MemoryUse,
    bytes: u64,
}
impl MemoryHold {
    /// Uses so many bytes from now on, however many there were before.
    pub fn set(&mut self, bytes: u64) {
        match bytes.checked_sub(self.bytes) {
            Some(0) => return,
            Some(more) => self.memory.claim(self.by, more),
            None => self.memory.sub(self.by, self.bytes - bytes),
        }
        self.bytes = bytes;
    }
    /// Whether all who use memory for the same purpose use more than half of the budget together: then some of them
    /// should [put away](MemoryHold::put_away) what they can.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.memory.used(self.by) > self.memory.budget / 2
    }
    /// Writes records to a file below `spark.local.dir`, compressed if `spark.shuffle.spill.compress` says so, from which
    /// they are read as `T`: in the form of serde, what is written may borrow what is read as owned. The hold stays as it
    /// is; whoever drops the records says so.
    ///
    /// ```
    /// # use winterbourne_engine::{MemoryUse, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let names = vec!["ann".to_string(), "bob".to_string()];
    /// let away = sc.hold_memory(MemoryUse::State).put_away::<String>(names.iter().map(String::as_str))?;
    /// let back: Vec<String> = away.read()?.collect::<Result<Vec<_>, _>>()?.concat();
    /// assert_eq!(back, names);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the disk says, with the path: [`Error::Spill`](crate::Error::Spill).
    pub fn put_away<T: Wire>(&self, records: impl IntoIterator<Item = impl Serialize>) -> Result<PutAway<T>> {
        PutAway::write(&self.memory, records)
    }
    /// How many bytes are counted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
impl Drop for MemoryHold {
    fn drop(&mut self) {
        self.memory.sub(self.by, self.bytes);
    }
}

impl SparkContext {
    /// Who uses how much of the memory budget.
    ///
    /// ```
    /// # use winterbourne_engine::{MemoryUse, SparkConf, SparkContext};
    /// let conf = SparkConf::empty().set_app_name("doc").set("spark.memory.size", "64m");
    /// let sc = SparkContext::new(conf)?;
    /// let cached = sc.range(0..1000, 2).cache();
    /// cached.count()?;
    /// let status = sc.memory_status();
    /// assert_eq!((status.budget, status.used_by(MemoryUse::Storage)), (64 << 20, 8000));
    /// println!("{status}"); // 8000b of 64m: cached blocks 8000b; 0 spills, 0b on disk
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[must_use]
    pub fn memory_status(&self) -> MemoryStatus {
        let memory = &self.inner.memory;
        MemoryStatus {
            budget: memory.budget,
            peak: memory.peak.load(Relaxed),
            spills: memory.spills.load(Relaxed),
            spilled_bytes: memory.spilled.load(Relaxed),
            uses: MemoryUse::ALL.map(|by| memory.used(by)),
        }
    }
    /// Counts memory that is kept outside of the engine against the budget, so that cached blocks and tasks leave room
    /// for it. For the parts of a stream; nothing is refused here.
    ///
    /// ```
    /// # use winterbourne_engine::{MemoryUse, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let mut hold = sc.hold_memory(MemoryUse::Received);
    /// hold.set(1 << 20);
    /// assert!(hold.bytes() == 1 << 20 && !hold.is_over());
    /// assert_eq!(sc.memory_status().used_by(MemoryUse::Received), 1 << 20);
    /// drop(hold);
    /// assert_eq!(sc.memory_status().used(), 0);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[must_use]
    pub fn hold_memory(&self, by: MemoryUse) -> MemoryHold {
        MemoryHold { memory: self.inner.memory.clone(), by, bytes: 0 }
    }
}
