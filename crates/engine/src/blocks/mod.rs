//! [`Blocks`]: the computed partitions of persisted RDDs, erased: in memory as records or as bytes, or on disk.
//!
//! `keep` computes and reads them and knows their type, `frames` turns records into bytes, `disk` holds files, `size`
//! weighs, `ledger` decides what goes when there is no room. No user's code, no `Drop` of a record and no input or output
//! happens under the lock of the table.
mod disk;
mod frames;
mod info;
mod keep;
mod ledger;
pub(crate) mod size;

pub use info::RddStorageInfo;
pub(crate) use {
    disk::{Growing, InFile, OnDisk, Sink, Writer},
    frames::{Frame, Frames, RecordCodec},
    keep::decoded,
    ledger::Key,
};

use crate::{
    Counters, Data, Flow, MemoryUse, RddId, Result, Site, StorageLevel, Task, Wire, accumulator::Apart,
    hash::FixedState, lineage::Count, lineage::Node, memory::Memory, plan::Facts, spill::Scratch,
};
use ledger::Ledger;
use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard},
};

pub(crate) type AnyBlock = Arc<dyn Any + Send + Sync>;
/// Writes a block of records to a file.
type Spill = Arc<dyn Fn(&AnyBlock, &mut Growing) -> Result<()> + Send + Sync>;

/// How the partitions of one RDD are kept: what a [`Level`](crate::Level) says. Made by the levels of this crate.
pub struct Keeping<T: Data> {
    pub(crate) level: StorageLevel,
    /// Present wherever the level serialises.
    pub(crate) codec: Option<RecordCodec<T>>,
    pub(crate) heap: size::Heap<T>,
    /// Never evicted, because it cannot be computed again.
    pub(crate) pinned: bool,
    /// Finds a block, and keeps one. Pointers, so that only records that are persisted somewhere bring this code along.
    pub(crate) read: Read<T>,
    pub(crate) keep: Keep<T>,
}
type Read<T> = fn(&Keeping<T>, &Blocks, Key, u64, &Task) -> Result<Option<Flow<T>>>;
type Keep<T> = fn(&Keeping<T>, &Blocks, Key, u64, &Task, Flow<T>, Apart) -> Result<Flow<T>>;
impl<T: Data> Keeping<T> {
    /// Records that may be anything.
    pub(crate) fn plain(level: StorageLevel) -> Self {
        let (read, keep) = (Self::read as Read<T>, Self::keep as Keep<T>);
        Keeping { level, codec: None, heap: size::guessed::<T>, pinned: false, read, keep }
    }
    /// Records that can be written.
    pub(crate) fn serial(level: StorageLevel) -> Self
    where
        T: Wire,
    {
        Keeping { codec: Some(RecordCodec::of()), heap: size::walked::<T>, ..Self::plain(level) }
    }
}
impl<T: Data> Clone for Keeping<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Data> Copy for Keeping<T> {}

/// A persisted RDD, as it is known here.
#[derive(Clone)]
pub(crate) struct About {
    pub(crate) id: RddId,
    pub(crate) name: &'static str,
    pub(crate) site: Site,
    pub(crate) level: StorageLevel,
    pub(crate) partitions: Count,
}
struct Kept {
    about: About,
    /// Which call of `persist`: a block that was computed for an earlier one is not kept.
    term: u64,
    pinned: bool,
    spill: Option<Spill>,
    blocks: BTreeMap<usize, Slot>,
}
/// One block: in memory, on disk, or both. Never neither.
#[derive(Default)]
struct Slot {
    memory: Option<(InMemory, u64)>,
    disk: Option<Arc<OnDisk>>,
}
#[derive(Clone)]
pub(crate) enum InMemory {
    Records(AnyBlock),
    /// Frames, and how many records they hold.
    Bytes(Arc<Vec<u8>>, u64),
}
/// Where a block was found.
pub(crate) enum Found {
    Memory(InMemory),
    Disk(Arc<OnDisk>),
}
/// What became of a block that was to be kept in memory.
pub(crate) enum Put {
    /// It is there, or another task was faster.
    Kept,
    /// There is no room.
    NoRoom,
    /// Nobody wants it any more.
    Unwanted,
}

/// Where and why stored bytes cannot be used.
pub(crate) struct Damage {
    pub(crate) at: u64,
    pub(crate) why: String,
}
impl Damage {
    pub(crate) fn new(at: u64, why: impl Into<String>) -> Self {
        Damage { at, why: why.into() }
    }
    pub(crate) fn io(at: u64, e: std::io::Error) -> Self {
        Damage { at, why: e.to_string() }
    }
}
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.why, self.at)
    }
}

#[derive(Default)]
struct Table {
    rdds: HashMap<RddId, Kept, FixedState>,
    ledger: Ledger,
    terms: u64,
}

/// Cached partitions by RDD. They die with the lineage that computed them, or by `unpersist`.
pub(crate) struct Blocks {
    table: Mutex<Table>,
    memory: Arc<Memory>,
    pub(crate) compress: bool,
    scratch: Arc<Scratch>,
    pub(crate) counters: Arc<Counters>,
}

impl Blocks {
    pub(crate) fn new(memory: Arc<Memory>, compress: bool, scratch: Arc<Scratch>, counters: Arc<Counters>) -> Self {
        Blocks { table: Mutex::default(), memory, compress, scratch, counters }
    }
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no user code runs under this lock")
    }
    /// From now on blocks of this RDD are kept. Returns the term that its blocks name.
    pub(crate) fn register<T: Data>(&self, about: About, keeping: &Keeping<T>) -> u64 {
        let codec = keeping.codec.filter(|_| about.level.use_disk());
        let spill = codec
            .map(|codec| Arc::new(move |block: &AnyBlock, to: &mut Growing| keep::spill(block, &codec, to)) as Spill);
        let mut table = self.table();
        table.terms += 1;
        let term = table.terms;
        let (id, pinned) = (about.id, keeping.pinned);
        let kept = Kept { about, term, pinned, spill, blocks: BTreeMap::new() };
        let (before, freed) = table.forget(id);
        table.rdds.insert(id, kept);
        self.memory.sub(MemoryUse::Storage, freed);
        drop(table);
        drop(before);
        term
    }
    pub(crate) fn get(&self, key: Key) -> Option<Found> {
        let mut table = self.table();
        let slot = table.rdds.get(&key.0)?.blocks.get(&key.1)?;
        let found = match (&slot.memory, &slot.disk) {
            (Some((held, _)), _) => Found::Memory(held.clone()),
            (None, Some(file)) => Found::Disk(file.clone()),
            (None, None) => return None,
        };
        table.ledger.touch(key);
        Some(found)
    }
    /// How many bytes of a partition of this RDD could be in memory at most, now.
    pub(crate) fn most(&self, rdd: RddId) -> u64 {
        self.table().ledger.most(rdd, self.memory.for_blocks())
    }
    /// Lets blocks go, the least recently used first, until so many bytes are free or none is left that may go.
    pub(crate) fn give_up(&self, bytes: u64) {
        let mut table = self.table();
        let chosen = table.ledger.give_up(bytes);
        let leaving = self.evict(&mut table, chosen);
        drop(table);
        self.leave(leaving);
    }
    /// Keeps a block in memory, unless another task was faster; what was used least recently makes room for it.
    pub(crate) fn put(&self, key: Key, term: u64, held: &InMemory, bytes: u64) -> Put {
        loop {
            let mut table = self.table();
            let Some(kept) = table.wanted(key.0, term) else { return Put::Unwanted };
            if kept.blocks.get(&key.1).is_some_and(|slot| slot.memory.is_some()) {
                return Put::Kept;
            }
            let pinned = kept.pinned;
            let room = table.ledger.make_room(key.0, bytes, self.memory.for_blocks());
            let Some(chosen) = room.or_else(|| pinned.then(Vec::new)) else { return Put::NoRoom };
            // What may never go is kept all the same.
            if chosen.is_empty() {
                table.keep(key, held.clone(), bytes);
                self.memory.add(MemoryUse::Storage, bytes);
                return Put::Kept;
            }
            let leaving = self.evict(&mut table, chosen);
            drop(table);
            self.leave(leaving);
        }
    }
    /// Takes out what can simply go; lists what has to be written first.
    fn evict(&self, table: &mut Table, chosen: Vec<Key>) -> (Vec<InMemory>, Vec<Leaving>) {
        let (dead, to_write, freed) = table.evict(chosen);
        self.memory.sub(MemoryUse::Storage, freed);
        (dead, to_write)
    }
    /// What was taken out goes, outside of the lock.
    fn leave(&self, (dead, to_write): (Vec<InMemory>, Vec<Leaving>)) {
        Counters::add(&self.counters.evicted_blocks, (dead.len() + to_write.len()) as u64);
        drop(dead);
        for leaving in to_write {
            self.write(leaving);
        }
    }
    /// Moves a block from memory to disk.
    fn write(&self, leaving: Leaving) {
        let Leaving { key, term, held, spill } = leaving;
        // The records' own code runs here, in a task that knows nothing of it.
        let written = catch_unwind(AssertUnwindSafe(|| self.spilled(&held, &spill)));
        let file = match written {
            Ok(Ok(file)) => Some(file),
            Ok(Err(e)) => {
                tracing::warn!("a block of {} is dropped, as it cannot go to disk: {e}", key.0);
                None
            }
            Err(payload) => {
                let why = crate::job::panic_text(&*payload);
                tracing::warn!("a block of {} is dropped, as writing it panicked: {why}", key.0);
                None
            }
        };
        let mut table = self.table();
        let (dead, freed) = table.moved(key, term, file);
        self.memory.sub(MemoryUse::Storage, freed);
        drop(table);
        drop((dead, held));
    }
    fn spilled(&self, held: &InMemory, spill: &Option<Spill>) -> Result<Arc<OnDisk>> {
        let mut file = self.grow()?;
        match (held, spill) {
            (InMemory::Bytes(bytes, records), _) => {
                file.raw(bytes)?;
                Ok(file.end_raw(*records))
            }
            (InMemory::Records(records), Some(spill)) => {
                spill(records, &mut file)?;
                file.end()
            }
            (InMemory::Records(_), None) => unreachable!("only levels with a disk write"),
        }
    }
    /// Keeps a block that lies on disk, unless another task was faster.
    pub(crate) fn put_file(&self, key: Key, term: u64, file: Arc<OnDisk>) {
        let mut table = self.table();
        let Some(kept) = table.wanted(key.0, term) else { return drop(table) };
        let slot = kept.blocks.entry(key.1).or_default();
        let late = if slot.memory.is_some() || slot.disk.is_some() { Some(file) } else { slot.disk.replace(file) };
        drop(table);
        drop(late);
    }
    /// A new file for a block.
    pub(crate) fn grow(&self) -> Result<Growing> {
        self.scratch.file("block", self.compress)
    }
    /// A block on disk that turned out to be useless.
    pub(crate) fn lost(&self, key: Key, file: &Arc<OnDisk>, damage: &Damage) {
        Counters::add(&self.counters.lost_blocks, 1);
        tracing::warn!("a block of {} is lost: {}: {damage}", key.0, file.path().display());
        let mut table = self.table();
        let Some(kept) = table.rdds.get_mut(&key.0) else { return };
        let Some(slot) = kept.blocks.get_mut(&key.1) else { return };
        let dead = slot.disk.take_if(|f| Arc::ptr_eq(f, file));
        if slot.memory.is_none() && slot.disk.is_none() {
            kept.blocks.remove(&key.1);
        }
        drop(table);
        drop(dead);
    }
    pub(crate) fn forget(&self, id: RddId) {
        // The records' own Drop runs outside the lock, and so does what files need.
        let mut table = self.table();
        let (dead, freed) = table.forget(id);
        self.memory.sub(MemoryUse::Storage, freed);
        drop(table);
        drop(dead);
    }
    /// Forgets everything, and keeps nothing any more.
    pub(crate) fn close(&self) {
        let mut table = self.table();
        let dead = std::mem::take(&mut table.rdds);
        let ids: Vec<Key> = dead.iter().flat_map(|(id, k)| k.blocks.keys().map(|p| (*id, *p))).collect();
        let freed = ids.into_iter().map(|key| table.ledger.remove(key)).sum();
        self.memory.sub(MemoryUse::Storage, freed);
        drop(table);
        drop(dead);
        self.scratch.close();
    }
    pub(crate) fn has(&self, key: Key) -> bool {
        self.table().rdds.get(&key.0).is_some_and(|k| k.blocks.contains_key(&key.1))
    }
    pub(crate) fn count(&self) -> usize {
        self.table().rdds.values().map(|k| k.blocks.len()).sum()
    }
}

/// A block on its way to disk.
struct Leaving {
    key: Key,
    term: u64,
    held: InMemory,
    spill: Option<Spill>,
}
impl Table {
    fn wanted(&mut self, id: RddId, term: u64) -> Option<&mut Kept> {
        self.rdds.get_mut(&id).filter(|k| k.term == term)
    }
    fn keep(&mut self, key: Key, held: InMemory, bytes: u64) {
        let kept = self.rdds.get_mut(&key.0).expect("looked at under the same lock");
        let pinned = kept.pinned;
        kept.blocks.entry(key.1).or_default().memory = Some((held, bytes));
        self.ledger.add(key, bytes, pinned);
    }
    /// Takes out what can simply go, and says how much that weighed; lists what has to be written first.
    fn evict(&mut self, chosen: Vec<Key>) -> (Vec<InMemory>, Vec<Leaving>, u64) {
        let (mut dead, mut to_write, mut freed) = (Vec::new(), Vec::new(), 0);
        for key in chosen {
            let kept = self.rdds.get_mut(&key.0).expect("what is counted is kept");
            let (term, spill, disk) = (kept.term, kept.spill.clone(), kept.about.level.use_disk());
            let slot = kept.blocks.get_mut(&key.1).expect("what is counted is kept");
            if disk && slot.disk.is_none() {
                let (held, _) = slot.memory.clone().expect("what is counted is in memory");
                to_write.push(Leaving { key, term, held, spill });
                continue;
            }
            dead.extend(slot.memory.take().map(|(held, _)| held));
            if slot.disk.is_none() {
                kept.blocks.remove(&key.1);
            }
            freed += self.ledger.remove(key);
        }
        (dead, to_write, freed)
    }
    /// A block was written, or could not be: it leaves memory either way. What is to be dropped outside of the lock, and
    /// how much the block weighed.
    fn moved(
        &mut self,
        key: Key,
        term: u64,
        file: Option<Arc<OnDisk>>,
    ) -> ((Option<Arc<OnDisk>>, Option<InMemory>), u64) {
        let Some(kept) = self.wanted(key.0, term) else { return ((file, None), 0) };
        let Some(slot) = kept.blocks.get_mut(&key.1) else { return ((file, None), 0) };
        let memory = slot.memory.take().map(|(held, _)| held);
        slot.disk = file;
        if slot.disk.is_none() {
            kept.blocks.remove(&key.1);
        }
        ((None, memory), self.ledger.remove(key))
    }
    fn forget(&mut self, id: RddId) -> (Option<Kept>, u64) {
        let Some(dead) = self.rdds.remove(&id) else { return (None, 0) };
        let freed = dead.blocks.keys().map(|p| self.ledger.remove((id, *p))).sum();
        (Some(dead), freed)
    }
}

impl Facts for Blocks {
    fn is_cached(&self, node: &dyn Node) -> bool {
        let Some(n) = node.meta().partitions.if_known() else { return false };
        self.table().rdds.get(&node.meta().id).map_or(n == 0, |k| k.blocks.len() == n)
    }
}
