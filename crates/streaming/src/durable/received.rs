//! [`Received`]: the write-ahead log of receivers, one journal for all of a context.
//!
//! ```text
//! record   version u8 = 1 · Entry (postcard) · of a block: its records, as whoever received them encoded them
//! ```
//! A block is known by the id of its input and its number there. Blocks are appended in the order of their numbers, by
//! the receivers' threads and at ticks; one sync makes durable whatever was appended, so threads that wait for it, and
//! the inputs of a batch, share one. What is kept of a block in memory is where it lies, until no restart needs it: then
//! it is *freed*, and the journal is trimmed before the oldest block that is not.
//!
//! Refuses to know what a record is, and which batch a block belongs to: that is for the batch log.
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak},
};
use winterbourne_base::{
    Clock, Duration, SparkConf, Time,
    conf::{ConfError, keys},
    failpoint,
    journal::{Journal, JournalError, JournalOptions, Opened, Position, SharedJournal},
    storage::Storage,
};

const DIRECTORY: &str = "received";
/// The first byte of every record.
const VERSION: u8 = 1;

/// What the configuration says of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Whether blocks are written to it. What it holds is read in any case.
    pub(crate) writes: bool,
    /// A new file begins this often, if something is written.
    pub(crate) roll_every: Duration,
    /// A new file begins after every sync.
    pub(crate) roll_always: bool,
}
impl Options {
    pub(crate) fn of(conf: &SparkConf) -> Result<Self, ConfError> {
        Ok(Options {
            writes: conf.value(keys::RECEIVER_WAL_ENABLE)?.unwrap_or(true),
            roll_every: conf.value(keys::RECEIVER_WAL_ROLLING_INTERVAL)?,
            roll_always: conf.value(keys::RECEIVER_WAL_CLOSE_AFTER_WRITE)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
enum Entry<'a> {
    #[serde(borrow)]
    Block(Head<'a>),
    /// What stood here of this input before is nobody's any more.
    Dropped(&'a str),
}
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    input: &'a str,
    number: u64,
    cut_at: Time,
    records: u64,
    bytes: u64,
}

/// A block, without its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) cut_at: Time,
    pub(crate) records: u64,
    /// As the receiver estimated them.
    pub(crate) bytes: u64,
}
/// A block, and where it lies.
pub(crate) type Placed = (Stored, Position);

/// A block could not be written.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotWritten {
    #[error("block {number} of input {input} cannot be encoded for the receiver write-ahead log: {why}")]
    Encode { input: String, number: u64, why: String },
    #[error("the receiver write-ahead log: {0}")]
    Journal(Arc<JournalError>),
    #[error("the stream has stopped, and its receiver write-ahead log is closed")]
    Closed,
}
impl NotWritten {
    /// It may work later, without a restart.
    pub(crate) fn may_pass(&self) -> bool {
        let NotWritten::Journal(e) = self else { return false };
        matches!(**e, JournalError::NoSpace { .. } | JournalError::Io { .. })
    }
    /// Nothing of it is in the log.
    pub(crate) fn is_certain(&self) -> bool {
        let NotWritten::Journal(e) = self else { return true };
        matches!(**e, JournalError::NoSpace { .. } | JournalError::TooLong { .. })
    }
}
impl From<JournalError> for NotWritten {
    fn from(e: JournalError) -> Self {
        NotWritten::Journal(Arc::new(e))
    }
}

/// Somebody who holds blocks that are not written yet.
pub(crate) trait Peer: Send + Sync {
    /// Cuts what belongs to the batch of `tick` and writes it; not durable yet.
    fn prepare(&self, tick: Time, latest: bool) -> Result<(), NotWritten>;
}

/// The log. A clone is another handle on it.
#[derive(Clone)]
pub(crate) struct Received(Arc<Shared>);

struct Shared {
    journal: SharedJournal,
    options: Options,
    clock: Arc<dyn Clock>,
    /// Whether it is open.
    ///
    /// SUBTLE: held for reading from before a block is appended until the index has it, and for writing while the place
    /// to trim is looked up: or else a block that is on its way into the index could be trimmed. Held for reading while
    /// anything is written, and for writing by who closes the log: after that, another process may have the directory.
    gate: RwLock<bool>,
    index: Mutex<Index>,
    peers: Mutex<Vec<Weak<dyn Peer>>>,
}

#[derive(Default)]
struct Index {
    inputs: BTreeMap<String, Blocks>,
    /// Blocks before this place are durable.
    durable: Position,
    rolled_at: Time,
}
#[derive(Default)]
struct Blocks {
    /// Those a restart may need, by number.
    live: BTreeMap<u64, Placed>,
    /// One more than the highest number seen.
    next: u64,
}

impl Index {
    fn apply(&mut self, entry: &Entry<'_>, at: Position) {
        match entry {
            Entry::Block(Head { input, number, cut_at, records, bytes }) => {
                let block = Stored { cut_at: *cut_at, records: *records, bytes: *bytes };
                self.insert(input, *number, block, at);
            }
            Entry::Dropped(input) => {
                if let Some(blocks) = self.inputs.get_mut(*input) {
                    blocks.live.clear();
                }
            }
        }
    }
    fn insert(&mut self, input: &str, number: u64, block: Stored, at: Position) {
        if !self.inputs.contains_key(input) {
            self.inputs.insert(input.to_owned(), Blocks::default());
        }
        let Some(blocks) = self.inputs.get_mut(input) else { return };
        blocks.live.insert(number, (block, at));
        blocks.next = blocks.next.max(number + 1);
    }
    fn oldest(&self) -> Option<Position> {
        self.inputs.values().flat_map(|b| b.live.values()).map(|(_, at)| *at).min()
    }
}

/// The entry of a record, and the bytes behind it.
fn decode(record: &[u8]) -> Result<(Entry<'_>, &[u8]), String> {
    match record {
        [VERSION, body @ ..] => {
            postcard::take_from_bytes(body).map_err(|e| format!("the head of a block cannot be decoded: {e}"))
        }
        [other, ..] => Err(format!("a block has format {other}; this build reads {VERSION}")),
        [] => Err("a block is empty".into()),
    }
}
fn encode(entry: &Entry<'_>) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_extend(entry, vec![VERSION])
}

impl Received {
    /// Whether there is anything of it in a directory.
    pub(crate) fn is_in(storage: &dyn Storage) -> io::Result<bool> {
        Ok(!storage.list(DIRECTORY)?.is_empty())
    }
    /// Opens it and looks at every block once; nothing of their records stays in memory.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<(Self, Opened), JournalError> {
        // A block is as large as what was received between two cuts, which the receiver's buffer bounds.
        let sizes = JournalOptions { max_record_bytes: u32::MAX, ..JournalOptions::default() };
        let mut index = Index { rolled_at: clock.now(), ..Index::default() };
        let (journal, opened) = Journal::open(storage, DIRECTORY, sizes, |at, record| {
            index.apply(&decode(record).map_err(JournalError::Rejected)?.0, at);
            Ok(())
        })?;
        index.durable = journal.position();
        let shared = Shared {
            journal: SharedJournal::new(journal),
            options,
            clock,
            gate: RwLock::new(true),
            index: Mutex::new(index),
            peers: Mutex::default(),
        };
        Ok((Received(Arc::new(shared)), opened))
    }
    /// The blocks of one input.
    pub(crate) fn input(&self, id: &str) -> InputLog {
        InputLog { all: self.clone(), id: id.into() }
    }
    /// Asked for what it holds whenever a batch is planned.
    pub(crate) fn join(&self, peer: Weak<dyn Peer>) {
        self.peers().push(peer);
    }
    /// Has everybody write what belongs to a batch, so that one sync serves all. Who failed says so when it is asked for
    /// its plan; the first failure is returned as well.
    pub(crate) fn prepare(&self, tick: Time, latest: bool) -> Result<(), NotWritten> {
        let peers: Vec<_> = self.peers().iter().filter_map(Weak::upgrade).collect();
        peers.iter().map(|p| p.prepare(tick, latest)).fold(Ok(()), Result::and)
    }
    /// Makes durable all that was received, for a restart to find.
    pub(crate) fn finish(&self) -> Result<(), NotWritten> {
        if !self.0.options.writes {
            return Ok(());
        }
        let prepared = self.prepare(self.0.clock.now(), true);
        let end = self.0.journal.position();
        if self.index().durable < end {
            self.sync_to(end)?;
        }
        self.0.journal.finish()?;
        prepared
    }
    /// Nothing is written from here on.
    pub(crate) fn close(&self) {
        *self.0.gate.write().unwrap_or_else(PoisonError::into_inner) = false;
    }
    /// Inputs with blocks that a restart may need, and how many records those hold.
    pub(crate) fn inputs(&self) -> Vec<(String, u64)> {
        let index = self.index();
        let live = index.inputs.iter().filter(|(_, b)| !b.live.is_empty());
        live.map(|(id, b)| (id.clone(), b.live.values().map(|(s, _)| s.records).sum())).collect()
    }
    /// Gives up all blocks of an input, for good.
    pub(crate) fn drop_input(&self, id: &str) -> Result<(), JournalError> {
        let entry = encode(&Entry::Dropped(id)).map_err(|e| JournalError::Rejected(e.to_string()))?;
        self.0.journal.append_durable(&entry)?;
        if let Some(blocks) = self.index().inputs.get_mut(id) {
            blocks.live.clear();
        }
        Ok(())
    }
    /// Removes the files that hold nothing a restart may need. How many.
    pub(crate) fn trim(&self) -> Result<u64, JournalError> {
        let keep = {
            let _nothing_is_on_its_way = self.0.gate.write().unwrap_or_else(PoisonError::into_inner);
            self.index().oldest().unwrap_or_else(|| self.0.journal.position())
        };
        let removed = self.0.journal.trim_before(keep)?;
        if removed > 0 {
            failpoint::hit("wal.trimmed");
        }
        Ok(removed)
    }

    /// Returns when the block at a place is durable.
    fn sync_to(&self, at: Position) -> Result<(), NotWritten> {
        if at < self.index().durable {
            return Ok(());
        }
        let _writing = self.writing()?;
        let end = self.0.journal.position();
        if !failpoint::seeded("wal.sync-skipped") {
            self.0.journal.sync()?;
        }
        failpoint::hit("wal.block.synced");
        let now = self.0.clock.now();
        let rolls = {
            let mut index = self.index();
            index.durable = index.durable.max(end);
            let rolls = self.0.options.roll_always || index.rolled_at + self.0.options.roll_every <= now;
            if rolls {
                index.rolled_at = now;
            }
            rolls
        };
        if rolls {
            self.0.journal.roll()?;
        }
        Ok(())
    }
    fn writing(&self) -> Result<RwLockReadGuard<'_, bool>, NotWritten> {
        let gate = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
        if *gate { Ok(gate) } else { Err(NotWritten::Closed) }
    }
    fn index(&self) -> MutexGuard<'_, Index> {
        // Maps of plain values: nothing panics between two changes that belong together.
        self.0.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn peers(&self) -> MutexGuard<'_, Vec<Weak<dyn Peer>>> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One input's part of the log. A clone is another handle on it.
#[derive(Clone)]
pub(crate) struct InputLog {
    all: Received,
    id: Arc<str>,
}
impl InputLog {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
    pub(crate) fn all(&self) -> &Received {
        &self.all
    }
    pub(crate) fn writes(&self) -> bool {
        self.all.0.options.writes
    }
    /// The beginning of a block's record; its records are to be added.
    pub(crate) fn begin(&self, number: u64, block: &Stored) -> Result<Vec<u8>, NotWritten> {
        let Stored { cut_at, records, bytes } = *block;
        let head = Head { input: &self.id, number, cut_at, records, bytes };
        encode(&Entry::Block(head)).map_err(|e| self.cannot_encode(number, e.to_string()))
    }
    pub(crate) fn cannot_encode(&self, number: u64, why: String) -> NotWritten {
        NotWritten::Encode { input: self.id.to_string(), number, why }
    }
    /// Appends a whole record; durable after the next sync.
    pub(crate) fn append(&self, number: u64, block: Stored, record: &[u8]) -> Result<Position, NotWritten> {
        let shared = &*self.all.0;
        let at = {
            let _until_it_is_known = self.all.writing()?;
            let at = shared.journal.append(record)?;
            self.all.index().insert(&self.id, number, block, at);
            at
        };
        failpoint::hit("wal.block.appended");
        Ok(at)
    }
    /// Returns when the block at a place is durable.
    pub(crate) fn sync_to(&self, at: Position) -> Result<(), NotWritten> {
        self.all.sync_to(at)
    }
    /// What a restart may need, by number.
    pub(crate) fn live(&self) -> Vec<(u64, Placed)> {
        let index = self.all.index();
        index.inputs.get(&*self.id).map_or(Vec::new(), |b| b.live.iter().map(|(n, p)| (*n, *p)).collect())
    }
    /// One more than the highest number it has seen.
    pub(crate) fn next(&self) -> u64 {
        self.all.index().inputs.get(&*self.id).map_or(0, |b| b.next)
    }
    pub(crate) fn find(&self, number: u64) -> Option<Placed> {
        self.all.index().inputs.get(&*self.id)?.live.get(&number).copied()
    }
    /// Gives the records of the block at a place to `f`, as they were encoded.
    ///
    /// # Errors
    /// What the storage says, or `f`; with the input and the block.
    pub(crate) fn read<R>(
        &self,
        number: u64,
        at: Position,
        f: impl FnOnce(&[u8]) -> Result<R, String>,
    ) -> Result<R, String> {
        let bad = |why: String| format!("block {number} of input {} cannot be read: {why}", self.id);
        let record = self.all.0.journal.read(at).map_err(|e| bad(e.to_string()))?;
        let (entry, records) = decode(&record).map_err(bad)?;
        match entry {
            Entry::Block(head) if head.input == &*self.id && head.number == number => f(records).map_err(bad),
            _ => Err(bad(format!("something else lies at {at} of the receiver write-ahead log"))),
        }
    }
    /// No restart needs these any more.
    pub(crate) fn free(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut index = self.all.index();
        if let Some(blocks) = index.inputs.get_mut(&*self.id) {
            for n in numbers {
                blocks.live.remove(&n);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_base::{
        ManualClock,
        storage::{Crash, SimStorage},
        time::seconds,
    };

    struct World {
        disk: SimStorage,
        clock: Arc<ManualClock>,
    }
    impl World {
        fn new() -> Self {
            World { disk: SimStorage::new(7), clock: ManualClock::new(Time::from_millis(1_000)) }
        }
        fn try_open(&self, options: Options) -> Result<Received, JournalError> {
            let opened = Received::open(Arc::new(self.disk.clone()), self.clock.clone(), options);
            opened.map(|(received, _)| received)
        }
        fn open(&self) -> Received {
            self.try_open(OPTIONS).unwrap()
        }
        fn segments(&self) -> usize {
            self.disk.list(DIRECTORY).unwrap().len()
        }
    }
    const OPTIONS: Options = Options { writes: true, roll_every: seconds(60), roll_always: false };

    fn block(records: u64) -> Stored {
        Stored { cut_at: Time::from_millis(900), records, bytes: 8 * records }
    }
    /// Appends a block whose records are the bytes of `text`.
    fn put(log: &InputLog, number: u64, text: &str) -> Position {
        let stored = block(text.len() as u64);
        let record = [log.begin(number, &stored).unwrap(), text.as_bytes().to_vec()].concat();
        log.append(number, stored, &record).unwrap()
    }
    fn texts(log: &InputLog) -> Vec<(u64, String)> {
        let text =
            |(number, (_, at))| (number, log.read(number, at, |b| Ok(String::from_utf8_lossy(b).into())).unwrap());
        log.live().into_iter().map(text).collect()
    }

    #[test]
    fn what_was_synced_comes_back_and_the_rest_is_lost() {
        let world = World::new();
        let log = world.open().input("a");
        put(&log, 0, "one");
        let last = put(&log, 1, "two");
        assert_eq!(texts(&log), [(0, "one".into()), (1, "two".into())], "also before it is durable");
        log.sync_to(last).unwrap();
        let syncs = world.disk.syncs();
        log.sync_to(last).unwrap();
        assert_eq!(world.disk.syncs(), syncs, "it is durable already");
        put(&log, 2, "three");
        world.disk.crash_as(Crash::Lost);
        let again = world.open();
        let log = again.input("a");
        assert_eq!(texts(&log), [(0, "one".into()), (1, "two".into())]);
        assert_eq!((log.next(), log.find(1).unwrap().0, log.find(2)), (2, block(3), None));
        assert_eq!((again.inputs(), again.input("b").next()), (vec![("a".into(), 6)], 0));
    }
    #[test]
    fn a_block_of_another_format_or_place_is_refused_with_its_place() {
        let world = World::new();
        let log = world.open().input("a");
        let at = put(&log, 0, "one");
        let other = put(&log, 1, "two");
        let why = log.read(1, at, |_| Ok(())).unwrap_err();
        assert!(why.contains("block 1 of input a") && why.contains("something else lies at 0:32"), "{why}");
        let why = log.read(1, other, |_| Err::<(), _>("odd".into())).unwrap_err();
        assert_eq!(why, "block 1 of input a cannot be read: odd");
        log.all().0.journal.append_durable(&[9, 9]).unwrap();
        let why = world.try_open(OPTIONS).err().unwrap().to_string();
        assert!(why.contains("received/00000000000000000000.journal is corrupt at offset"), "{why}");
        assert!(why.contains("a block has format 9; this build reads 1"), "{why}");
    }
    #[test]
    fn the_journal_is_kept_from_the_oldest_block_that_any_input_needs() {
        let world = World::new();
        let received = world.try_open(Options { roll_always: true, ..OPTIONS }).unwrap();
        let (a, b) = (received.input("a"), received.input("b"));
        for n in 0..3 {
            put(&a, n, "of a");
            let last = put(&b, n, "of b");
            a.sync_to(last).unwrap();
        }
        let last = put(&a, 3, "in a file that begins");
        assert_eq!((received.trim().unwrap(), world.segments()), (0, 3));
        a.free([0, 1, 2]);
        b.free([0]);
        assert_eq!((received.trim().unwrap(), world.segments()), (1, 2), "b needs its block 1");
        b.free([1, 2, 7]);
        assert_eq!((received.trim().unwrap(), texts(&a).len()), (2, 1), "a needs its block 3");
        a.sync_to(last).unwrap();
        drop(received);
        let received = world.open();
        assert_eq!(texts(&received.input("a")), [(3, "in a file that begins".into())]);
        received.input("a").free([3]);
        assert_eq!(received.trim().unwrap(), 0, "the last one stays");
    }
    #[test]
    fn a_new_file_begins_when_the_interval_is_over() {
        let world = World::new();
        let log = world.open().input("a");
        for (second, segment) in [(0, 0), (59, 0), (60, 0), (60, 1), (119, 1), (121, 1), (121, 2)] {
            world.clock.set(Time::from_millis(1_000) + seconds(second));
            let at = put(&log, second, "x");
            log.sync_to(at).unwrap();
            assert_eq!(at.segment, segment, "{second}");
        }
    }
    #[test]
    fn an_input_that_was_let_go_does_not_come_back() {
        let world = World::new();
        let received = world.open();
        let (a, b) = (received.input("a"), received.input("b"));
        put(&a, 0, "old");
        put(&b, 0, "other");
        received.drop_input("a").unwrap();
        assert_eq!(received.inputs(), [("b".into(), 5)]);
        world.disk.crash_as(Crash::Lost);
        let received = world.open();
        assert_eq!(received.inputs(), [("b".into(), 5)], "dropping is durable");
        let a = received.input("a");
        let at = put(&a, a.next(), "new");
        a.sync_to(at).unwrap();
        assert_eq!(texts(&world.open().input("a")), [(1, "new".into())]);
    }
    #[test]
    fn a_closed_log_takes_nothing_and_is_read_all_the_same() {
        let world = World::new();
        let received = world.open();
        let log = received.input("a");
        let at = put(&log, 0, "one");
        received.close();
        let record = log.begin(1, &block(0)).unwrap();
        assert!(matches!(log.append(1, block(0), &record), Err(NotWritten::Closed)));
        assert!(matches!(log.sync_to(at), Err(NotWritten::Closed)));
        assert_eq!(texts(&log).len(), 1);
    }
}
