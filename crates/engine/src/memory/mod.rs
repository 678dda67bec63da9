//! [`Memory`]: the one budget of a context, who uses how much of it, and where what finds no room goes. Whoever is refused
//! spills.
//!
//! ```text
//! budget = cached blocks + outputs of shuffles + what tasks work on + received blocks + state
//! ```
//!
//! Cached blocks take whatever is free. Tasks and outputs may take it back from them, down to a share that blocks keep
//! (`spark.memory.storageFraction`). Of what remains, outputs of shuffles stay in memory up to a half, and one working
//! structure of a task (a table, a sorted run) grows to its share of the other half; a small size is granted to every one
//! of them, so that no task starves whatever the others hold. Received blocks and state are counted and cannot be refused
//! here: they have limits of their own.
mod status;

pub use status::{MemoryHold, MemoryStatus, MemoryUse};

use crate::{Result, blocks::Blocks, blocks::Growing, spill::Scratch};
use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

/// What a task works on is not counted below this size.
const UNCOUNTED: u64 = 16 << 10;
/// A structure of a task grows to this size whatever others hold.
const LEAST: u64 = 256 << 10;

/// The budget, in bytes, and its uses.
pub(crate) struct Memory {
    budget: u64,
    /// What cached blocks keep when tasks want memory.
    protected: u64,
    threads: u64,
    uncounted: u64,
    least: u64,
    uses: [AtomicU64; MemoryUse::ALL.len()],
    peak: AtomicU64,
    pub(crate) spills: AtomicU64,
    pub(crate) spilled: AtomicU64,
    /// What was freed by spilling, and may lie in the allocator.
    freed: AtomicU64,
    blocks: OnceLock<Weak<Blocks>>,
    scratch: Arc<Scratch>,
    compress: bool,
}

impl Memory {
    /// `compress` is said of what is spilled.
    pub(crate) fn new(
        budget: u64,
        storage_fraction: f64,
        threads: usize,
        scratch: Arc<Scratch>,
        compress: bool,
    ) -> Self {
        Memory {
            budget,
            protected: (budget as f64 * storage_fraction) as u64,
            threads: threads.max(1) as u64,
            // A budget that is smaller than that is meant so.
            uncounted: UNCOUNTED.min(budget / 64),
            least: LEAST.min(budget / 4),
            uses: Default::default(),
            peak: AtomicU64::new(0),
            spills: AtomicU64::new(0),
            spilled: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            blocks: OnceLock::new(),
            scratch,
            compress,
        }
    }
    /// Whom to ask for room.
    pub(crate) fn serve(&self, blocks: &Arc<Blocks>) {
        // Set once, by the builder of the context.
        let _ = self.blocks.set(Arc::downgrade(blocks));
    }
    pub(crate) fn budget(&self) -> u64 {
        self.budget
    }
    pub(crate) fn used(&self, by: MemoryUse) -> u64 {
        self.uses[by as usize].load(Relaxed)
    }
    fn all(&self) -> u64 {
        self.uses.iter().map(|n| n.load(SeqCst)).sum()
    }
    pub(crate) fn add(&self, by: MemoryUse, bytes: u64) {
        self.uses[by as usize].fetch_add(bytes, SeqCst);
        self.peak.fetch_max(self.all(), Relaxed);
    }
    pub(crate) fn sub(&self, by: MemoryUse, bytes: u64) {
        self.uses[by as usize].fetch_sub(bytes, SeqCst);
    }
    /// What cached blocks may take together, now.
    pub(crate) fn for_blocks(&self) -> u64 {
        let others = self.all().saturating_sub(self.used(MemoryUse::Storage));
        self.budget.saturating_sub(others)
    }
    /// What tasks and outputs may take together, now.
    fn for_tasks(&self) -> u64 {
        let kept = self.used(MemoryUse::Storage).min(self.protected);
        self.budget.saturating_sub(kept + self.used(MemoryUse::Received) + self.used(MemoryUse::State))
    }
    /// The most that one structure of a task may hold.
    pub(crate) fn share(&self) -> u64 {
        (self.for_tasks() / 2 / self.threads).max(self.least)
    }
    /// The most that the values of one key may weigh, where they are wanted at once.
    pub(crate) fn for_a_group(&self) -> u64 {
        self.share().max(LEAST)
    }
    /// Takes so many bytes if they are free, or can be freed.
    fn take(&self, by: MemoryUse, bytes: u64) -> bool {
        self.uses[by as usize].fetch_add(bytes, SeqCst);
        let all = self.all();
        if all > self.budget && self.over(all) > 0 {
            self.sub(by, bytes);
            return false;
        }
        self.peak.fetch_max(all.min(self.budget), Relaxed);
        true
    }
    /// Takes so many bytes in any case; cached blocks make room as far as they have to.
    fn claim(&self, by: MemoryUse, bytes: u64) {
        self.add(by, bytes);
        let all = self.all();
        if all > self.budget {
            self.over(all);
        }
    }
    /// Lets cached blocks go beyond their share for what is used too much; how much too much it is then.
    fn over(&self, all: u64) -> u64 {
        let beyond = self.used(MemoryUse::Storage).saturating_sub(self.protected);
        let wanted = (all - self.budget).min(beyond);
        if wanted > 0
            && let Some(blocks) = self.blocks.get().and_then(Weak::upgrade)
        {
            blocks.give_up(wanted);
        }
        self.all().saturating_sub(self.budget)
    }
    /// Lets what a map task has written stay in memory, if there is room for it.
    pub(crate) fn keep(self: &Arc<Self>, bytes: u64) -> Option<Kept> {
        let half = self.for_tasks() / 2;
        let fits = self.used(MemoryUse::Shuffle).saturating_add(bytes) <= half;
        (fits && self.take(MemoryUse::Shuffle, bytes)).then(|| Kept { memory: self.clone(), bytes })
    }
    /// A file for what finds no room.
    pub(crate) fn spill_file(&self) -> Result<Growing> {
        self.scratch.file("spill", self.compress)
    }
    pub(crate) fn has_spilled(&self, bytes: u64) {
        self.spills.fetch_add(1, Relaxed);
        self.spilled.fetch_add(bytes, Relaxed);
    }
}

/// Outputs of a shuffle that stay in memory.
pub(crate) struct Kept {
    memory: Arc<Memory>,
    bytes: u64,
}
impl Drop for Kept {
    fn drop(&mut self) {
        self.memory.sub(MemoryUse::Shuffle, self.bytes);
    }
}

/// What one structure of a task holds.
pub(crate) struct Grant {
    memory: Arc<Memory>,
    bytes: u64,
}
impl Grant {
    pub(crate) fn new(memory: &Arc<Memory>) -> Self {
        Grant { memory: memory.clone(), bytes: 0 }
    }
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }
    /// Whether the structure may hold so many bytes. If not, what it was granted before stays.
    #[inline]
    pub(crate) fn ask(&mut self, bytes: u64) -> bool {
        bytes <= self.bytes.max(self.memory.uncounted) || self.grow(bytes)
    }
    #[cold]
    fn grow(&mut self, bytes: u64) -> bool {
        // A little ahead, so that most chunks ask nobody.
        for to in [bytes.saturating_add(bytes / 16), bytes] {
            let more = to.saturating_sub(self.bytes);
            if to <= self.memory.share() && self.memory.take(MemoryUse::Execution, more) {
                self.bytes = to;
                return true;
            }
        }
        if bytes > self.memory.least {
            return false;
        }
        self.memory.add(MemoryUse::Execution, bytes - self.bytes);
        self.bytes = bytes;
        true
    }
    /// What it holds, as far as it was counted.
    pub(crate) fn held(&self) -> u64 {
        self.bytes
    }
    /// Gives everything back.
    pub(crate) fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes > 0 {
            self.memory.sub(MemoryUse::Execution, bytes);
        }
    }
    /// What it was granted for has gone to disk and is dropped: gives everything back, and what was freed to the system,
    /// now and then.
    pub(crate) fn has_spilled(&mut self) {
        let Memory { freed, budget, .. } = &*self.memory;
        if freed.fetch_add(self.bytes, Relaxed) + self.bytes > budget / 8 {
            freed.store(0, Relaxed);
            winterbourne_base::memory::give_back();
        }
        self.release();
    }
}
impl Drop for Grant {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn memory(budget: u64, storage_fraction: f64, threads: usize) -> Arc<Memory> {
        let scratch = Arc::new(Scratch::new(std::env::temp_dir()));
        Arc::new(Memory::new(budget, storage_fraction, threads, scratch, true))
    }

    #[test]
    fn a_structure_gets_its_share_and_gives_it_back() {
        let memory = memory(64 * MB, 0.5, 2);
        let mut a = Grant::new(&memory);
        assert!(a.ask(16 * MB), "a quarter: half of the budget, for two threads");
        assert!(!a.ask(17 * MB));
        assert_eq!(memory.used(MemoryUse::Execution), 16 * MB);
        let mut b = Grant::new(&memory);
        assert!(b.ask(10 * MB) && memory.used(MemoryUse::Execution) >= 26 * MB);
        drop((a, b));
        assert_eq!(memory.used(MemoryUse::Execution), 0);
    }
    #[test]
    fn little_is_granted_to_all() {
        let memory = memory(MB, 0.5, 1);
        memory.add(MemoryUse::State, 2 * MB);
        let mut a = Grant::new(&memory);
        assert!(a.ask(MB / 4) && !a.ask(MB / 4 + 1));
        assert!(memory.keep(1).is_none(), "outputs need not be in memory");
    }
    #[test]
    fn outputs_take_half() {
        let memory = memory(64 * MB, 0.5, 1);
        let first = memory.keep(20 * MB);
        assert!(first.is_some() && memory.keep(13 * MB).is_none());
        drop(first);
        assert!(memory.keep(32 * MB).is_some());
        assert_eq!(memory.used(MemoryUse::Shuffle), 0);
    }
    #[test]
    fn blocks_get_what_is_free() {
        let memory = memory(64 * MB, 0.25, 1);
        assert_eq!(memory.for_blocks(), 64 * MB);
        let mut task = Grant::new(&memory);
        assert!(task.ask(32 * MB));
        memory.add(MemoryUse::Storage, 8 * MB);
        assert_eq!(memory.for_blocks(), 32 * MB);
        // What blocks have below their fraction is theirs.
        assert_eq!(memory.share(), 28 * MB);
        memory.add(MemoryUse::Storage, 24 * MB);
        assert_eq!(memory.share(), 24 * MB);
    }
}
