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
    disk::{InFile, OnDisk, Sink, Writer},
    frames::{Frame, Frames, RecordCodec},
    keep::decoded,
    ledger::Key,
};

use crate::{
    Counters, Data, Flow, RddId, Result, Site, StorageLevel, Task, Wire, accumulator::Apart, hash::FixedState,
    lineage::Count, lineage::Node, plan::Facts,
};
use disk::Growing;
use ledger::Ledger;
use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use winterbourne_base::scratch::ScratchDir;

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
    closed: bool,
}

/// Cached partitions by RDD. They die with the lineage that computed them, or by `unpersist`.
pub(crate) struct Blocks {
    table: Mutex<Table>,
    is_limited: bool,
    pub(crate) compress: bool,
    local_dir: PathBuf,
    /// The directory of the blocks on disk, while there are any.
    scratch: Mutex<Weak<ScratchDir>>,
    /// Keeps it from the first block on until the context stops.
    held: Mutex<Option<Arc<ScratchDir>>>,
    files: AtomicU64,
    pub(crate) counters: Arc<Counters>,
}

impl Blocks {
    pub(crate) fn new(limit: Option<u64>, compress: bool, local_dir: PathBuf, counters: Arc<Counters>) -> Self {
        Blocks {
            table: Mutex::new(Table { ledger: Ledger::new(limit), ..Table::default() }),
            is_limited: limit.is_some(),
            compress,
            local_dir,
            scratch: Mutex::default(),
            held: Mutex::default(),
            files: AtomicU64::new(0),
            counters,
        }
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
        let before = table.forget(id);
        table.rdds.insert(id, kept);
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
        if self.is_limited {
            table.ledger.touch(key);
        }
        Some(found)
    }
    /// How many bytes of a partition of this RDD could be in memory at most; none if there is no limit.
    pub(crate) fn most(&self, rdd: RddId) -> Option<u64> {
        self.is_limited.then(|| self.table().ledger.most(rdd))
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
            let Some(chosen) = table.ledger.make_room(key.0, bytes) else {
                // What may never go is kept all the same.
                if !pinned {
                    return Put::NoRoom;
                }
                table.keep(key, held.clone(), bytes);
                return Put::Kept;
            };
            if chosen.is_empty() {
                table.keep(key, held.clone(), bytes);
                return Put::Kept;
            }
            let (dead, to_write) = table.evict(chosen);
            drop(table);
            Counters::add(&self.counters.evicted_blocks, (dead.len() + to_write.len()) as u64);
            drop(dead);
            for leaving in to_write {
                self.write(leaving);
            }
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
        let dead = table.moved(key, term, file);
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
        let name = format!("block-{}", self.files.fetch_add(1, Relaxed));
        Growing::new(self.scratch()?, &name, self.compress)
    }
    fn scratch(&self) -> Result<Arc<ScratchDir>> {
        let mut scratch = self.scratch.lock().expect("no user code runs under this lock");
        if let Some(dir) = scratch.upgrade() {
            return Ok(dir);
        }
        let dir = ScratchDir::create(&self.local_dir, "winterbourne-blocks");
        let dir = Arc::new(dir.map_err(|source| crate::Error::Block {
            doing: "making a directory for blocks in",
            path: self.local_dir.clone(),
            source,
        })?);
        *scratch = Arc::downgrade(&dir);
        if !self.table().closed {
            *self.held.lock().expect("no user code runs under this lock") = Some(dir.clone());
        }
        Ok(dir)
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
        let dead = self.table().forget(id);
        drop(dead);
    }
    /// Forgets everything, and keeps nothing any more.
    pub(crate) fn close(&self) {
        let mut table = self.table();
        table.closed = true;
        let dead = std::mem::take(&mut table.rdds);
        let ids: Vec<Key> = dead.iter().flat_map(|(id, k)| k.blocks.keys().map(|p| (*id, *p))).collect();
        ids.into_iter().for_each(|key| table.ledger.remove(key));
        drop(table);
        drop(dead);
        let held = self.held.lock().expect("no user code runs under this lock").take();
        drop(held);
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
    /// Takes out what can simply go; lists what has to be written first.
    fn evict(&mut self, chosen: Vec<Key>) -> (Vec<InMemory>, Vec<Leaving>) {
        let (mut dead, mut to_write) = (Vec::new(), Vec::new());
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
            self.ledger.remove(key);
        }
        (dead, to_write)
    }
    /// A block was written, or could not be: it leaves memory either way.
    fn moved(&mut self, key: Key, term: u64, file: Option<Arc<OnDisk>>) -> (Option<Arc<OnDisk>>, Option<InMemory>) {
        let Some(kept) = self.wanted(key.0, term) else { return (file, None) };
        let Some(slot) = kept.blocks.get_mut(&key.1) else { return (file, None) };
        let memory = slot.memory.take().map(|(held, _)| held);
        slot.disk = file;
        if slot.disk.is_none() {
            kept.blocks.remove(&key.1);
        }
        self.ledger.remove(key);
        (None, memory)
    }
    fn forget(&mut self, id: RddId) -> Option<Kept> {
        let dead = self.rdds.remove(&id)?;
        for p in dead.blocks.keys() {
            self.ledger.remove((id, *p));
        }
        Some(dead)
    }
}

impl Facts for Blocks {
    fn is_cached(&self, node: &dyn Node) -> bool {
        let Some(n) = node.meta().partitions.if_known() else { return false };
        self.table().rdds.get(&node.meta().id).map_or(n == 0, |k| k.blocks.len() == n)
    }
}
