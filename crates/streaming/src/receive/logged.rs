//! What of a receiver stream concerns the write-ahead log: who writes a block and when, what an acknowledgement waits
//! for, and what a restart finds. Refuses to know what the log is made of.
//!
//! A block is written once it is cut: by the thread whose push cut it, else at the tick; and encoded there, under a lock
//! of its own, so that blocks come into the log in the order of their numbers and no block is encoded twice. A tick
//! allocates only what is durable, and waits for one sync.
//!
//! *When the log takes nothing.* Blocks stay in memory and are tried again with the next one; the buffer fills, and the
//! source waits. That is reported once. A reliable store gives its records back; a tick fails its batch, which is
//! tried again, with the same records and more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};

use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};
use winterbourne_base::journal::Position;
use winterbourne_base::time::milliseconds;
use winterbourne_base::{Duration, Time, failpoint};
use winterbourne_engine::{Data, Wire};

use super::buffer::Parts;
use super::intake::{Stopped, StoreError};
use super::stream::ReceiverStream;
use super::{BlockId, BlockMeta};
use crate::durable::{InputLog, NotWritten, Peer, Stored};
use crate::rate::{Limit, Load};

/// The pause after the first failed attempt to write; each further one is twice as long.
const FIRST_PAUSE: Duration = milliseconds(100);

/// Adds the records to what is there.
type Encode<T> = fn(&Parts<T>, Vec<u8>) -> Result<Vec<u8>, postcard::Error>;
type Decode<T> = fn(&[u8]) -> Result<Vec<T>, String>;

/// How records become bytes, and come back.
pub(super) struct Codec<T> {
    encode: Encode<T>,
    decode: Decode<T>,
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Codec<T> {}

impl<T: Wire> Codec<T> {
    pub(super) fn new() -> Self {
        Self { encode: |parts, begun| postcard::to_extend(&Records(parts), begun), decode }
    }
}

impl<T> Codec<T> {
    /// Records that are not from the log, but in its form.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Vec<T>, String> {
        (self.decode)(bytes)
    }
}

/// For blocks that do not decode.
const ADVICE: &str = "was the type of the records changed? Run the program that stored them until they are done, or give \
                      the input another uid and let these go with spark.streaming.recovery.drop";

struct Records<'a, T>(&'a Parts<T>);

impl<T: Serialize> Serialize for Records<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.iter().map(|part| part.len()).sum()))?;
        self.0.iter().flat_map(|part| part.iter()).try_for_each(|record| seq.serialize_element(record))?;
        seq.end()
    }
}

fn decode<T: Wire>(bytes: &[u8]) -> Result<Vec<T>, String> {
    let name = std::any::type_name::<T>();
    match postcard::take_from_bytes(bytes) {
        Ok((records, [])) => Ok(records),
        Ok((_, rest)) => Err(format!("{} byte(s) are left over behind its records of type {name}", rest.len())),
        Err(error) => Err(format!("it does not hold records of type {name} ({error})")),
    }
}

/// A record that could not be appended, kept so that its block is not encoded again.
pub(super) type Leftover = Option<(u64, Vec<u8>)>;

/// Where the records of a block are.
pub(crate) enum Content<T> {
    Memory(Parts<T>),
    Logged(Logged<T>),
}

/// A block whose records are in the log only.
pub(crate) struct Logged<T> {
    log: InputLog,
    number: u64,
    records: u64,
    at: Position,
    decode: Decode<T>,
}

impl<T> Logged<T> {
    /// Its records, in order.
    ///
    /// # Errors
    ///
    /// What cannot be read or decoded, with the input and the block.
    pub(crate) fn read(&self) -> Result<Vec<T>, String> {
        self.log.read(self.number, self.at, |bytes| {
            let records = (self.decode)(bytes).map_err(|why| format!("{why}: {ADVICE}"))?;
            match records.len() as u64 {
                n if n == self.records => Ok(records),
                n => Err(format!("it holds {n} record(s) where {} should be", self.records)),
            }
        })
    }
}

/// For whoever makes batches.
impl<T: Data> ReceiverStream<T> {
    /// From now on blocks go into `log`, and what it holds is taken up; told before everything else of a restart.
    pub(crate) fn attach(self: &Arc<Self>, log: InputLog) {
        let peer: Arc<dyn Peer> = Arc::<Self>::clone(self);
        log.all().join(Arc::downgrade(&peer));
        let mut state = self.lock();
        state.ledger = super::ledger::Ledger::default();
        // Until all is told, every block is one of before.
        state.first_number = u64::MAX;
        state.log = Some(log);
    }

    /// What a checkpoint says: the next block to allocate.
    pub(crate) fn load(&self, next: u64) {
        self.lock().ledger.load(next);
    }

    /// A plan that was logged: its blocks, and the next to allocate.
    pub(crate) fn restore(&self, blocks: impl IntoIterator<Item = u64>, next: u64) {
        self.lock().ledger.restore(blocks, next);
    }

    /// The restart knows all plans: what no plan took waits for the first batch. How many blocks and records.
    pub(crate) fn recover(&self) -> (u64, u64) {
        let mut state = self.lock();
        let Some(log) = state.log.clone() else { return (0, 0) };
        let logged = log.live();
        let first = state.ledger.sort(logged.iter().map(|(number, _)| *number));
        let waiting = logged.into_iter().filter(|(number, _)| *number >= first).map(|(number, (block, at))| {
            let Stored { cut_at, records, bytes } = block;
            (BlockMeta { id: BlockId { stream: self.id(), number }, records, bytes, cut_at }, at)
        });
        let waiting: Vec<_> = waiting.collect();
        let found = (waiting.len() as u64, waiting.iter().map(|(meta, _)| meta.records).sum());
        state.first_number = log.next().max(first);
        let next = state.first_number;
        state.buffer.recover(first, next, waiting);
        found
    }

    /// The blocks that belong to the batch of `tick`, in order; durable where there is a log. If it is the `latest` batch
    /// (none later waits to be planned), that is everything received so far; otherwise what was received before `tick`.
    /// What is more than `limit` waits.
    ///
    /// # Errors
    ///
    /// The log did not take them. Nothing is allocated; they belong to the next call's.
    pub(crate) fn allocate(&self, tick: Time, latest: bool, limit: Limit) -> Result<Vec<BlockMeta>, NotWritten> {
        let Some(log) = self.writing_log() else {
            let mut state = self.lock();
            let before = state.buffer.cut_for(tick, latest);
            let end = state.buffer.within(before, limit);
            return Ok(state.buffer.take(end));
        };
        let prepared = || self.lock().prepared.take().filter(|(t, _)| *t == tick);
        let mine = prepared().or_else(|| {
            // The failure of another stream is its own.
            let _ = log.all().prepare(tick, latest);
            prepared()
        });
        let before = mine.map_or(Ok(0), |(_, done)| done)?;
        let end = self.lock().buffer.within(before, limit);
        if let Some(last) = self.last_written(end) {
            log.sync_to(last)?;
        }
        Ok(self.lock().buffer.take(end))
    }

    /// One more than the number of the last block that was allocated.
    pub(crate) fn next_to_allocate(&self) -> u64 {
        self.lock().buffer.next_to_allocate()
    }

    /// Where the records of these blocks are; none if a block is gone.
    pub(crate) fn contents(&self, numbers: &[u64]) -> Vec<Option<Content<T>>> {
        let state = self.lock();
        let logged = |number: u64| {
            let log = state.log.clone()?;
            let (block, at) = log.find(number)?;
            Some(Logged { log, number, records: block.records, at, decode: self.codec.decode })
        };
        let content = |number: &u64| match state.buffer.read(*number) {
            Some(parts) => Some(Content::Memory(parts)),
            None => logged(*number).map(Content::Logged),
        };
        numbers.iter().map(content).collect()
    }

    /// Whether what is planned now can be read again after a restart.
    pub(crate) fn is_logged(&self) -> bool {
        self.writing_log().is_some()
    }

    /// No restart asks any more for a plan with these blocks, and this next block to allocate.
    pub(crate) fn retire(&self, numbers: impl IntoIterator<Item = u64>, next: u64) {
        let mut state = self.lock();
        let strays = state.ledger.retire(next);
        if let Some(log) = &state.log {
            log.free(numbers.into_iter().chain(strays));
        }
    }

    /// Counts records of a block that only the process before had in memory. How many of them are news; none if the block
    /// is one of this process.
    pub(crate) fn lose(&self, number: u64, records: u64) -> Option<u64> {
        let mut state = self.lock();
        if number >= state.first_number {
            return None;
        }
        let news = if state.lost_blocks.insert(number) { records } else { 0 };
        state.lost_records += news;
        Some(news)
    }

    pub(crate) fn log(&self) -> Option<InputLog> {
        self.lock().log.clone()
    }

    /// Whether the configuration asks for a log by name.
    pub(crate) fn wants_log(&self) -> bool {
        self.settings().wants_log
    }
}

impl<T: Data> Peer for ReceiverStream<T> {
    fn prepare(&self, tick: Time, latest: bool) -> Result<(), NotWritten> {
        let before = self.lock().buffer.cut_for(tick, latest);
        let done = self.write_cut(before);
        self.lock().prepared = Some((tick, done.clone().map(|()| before)));
        done
    }
}

/// For the intake, on the receiver's threads.
impl<T: Data> ReceiverStream<T> {
    /// Writes what was cut; failures are reported, not returned, because the records are in memory.
    pub(super) fn write_behind(&self, run: u64) {
        let done = self.write_patiently(u64::MAX, run);
        let was_in_trouble = std::mem::replace(&mut self.lock().in_trouble, done.is_err());
        match done {
            Err(error) if !was_in_trouble => {
                self.report(format!(
                    "{error}; received records stay in memory, and the source waits when that is full"
                ));
            }
            _ => {}
        }
    }

    /// Returns when the block is durable, or was taken back.
    pub(super) fn make_durable(&self, run: u64, number: u64) -> Result<(), StoreError> {
        let Some(log) = self.writing_log() else { return Ok(()) };
        if let Err(error) = self.write_patiently(number + 1, run)
            && self.withdraw(number)
        {
            return Err(match error.is_certain() {
                true if self.is_over(run) => Stopped.into(),
                true => StoreError::NotStored(error.to_string()),
                false => StoreError::Unknown(error.to_string()),
            });
        }
        // It is written, maybe by a tick, whose batch may be done already.
        if let Some((_, at)) = log.find(number)
            && !failpoint::seeded("wal.acknowledged-before-durable")
        {
            log.sync_to(at).map_err(|error| StoreError::Unknown(error.to_string()))?;
        }
        failpoint::hit("wal.acknowledged");
        Ok(())
    }

    /// As `write_cut`, with several attempts and pauses in between. A stop ends the pauses.
    fn write_patiently(&self, before: u64, run: u64) -> Result<(), NotWritten> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..self.settings().log_attempts {
            match self.write_cut(before) {
                Err(error) if error.may_pass() && !self.is_over(run) => tracing::warn!(%error, "trying again"),
                done => return done,
            }
            self.pause(pause, run);
            pause = pause * 2;
        }
        self.write_cut(before)
    }

    fn pause(&self, pause: Duration, run: u64) {
        let until = self.now() + pause;
        loop {
            let seen = self.seen();
            if self.is_over(run) || self.now() >= until {
                return;
            }
            self.wait(seen, until);
        }
    }

    /// Takes a block back. False if it was written.
    fn withdraw(&self, number: u64) -> bool {
        let _nobody_writes = self.leftover();
        let withdrawn = {
            let mut state = self.lock();
            let block = state.buffer.withdraw(number);
            if let Some(block) = &block {
                let BlockMeta { records, bytes, .. } = block.meta;
                state.room.leave(Load { records, bytes });
                state.records -= block.meta.records;
            }
            block
        };
        self.ring_changed();
        withdrawn.is_some()
    }
}

impl<T: Data> ReceiverStream<T> {
    fn writing_log(&self) -> Option<InputLog> {
        self.log().filter(InputLog::writes)
    }

    fn last_written(&self, before: u64) -> Option<Position> {
        self.lock().buffer.last_written(before)
    }

    fn leftover(&self) -> MutexGuard<'_, Leftover> {
        // What a panic leaves is none, or a whole record.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the blocks before this number that are cut and not written yet, in order.
    fn write_cut(&self, before: u64) -> Result<(), NotWritten> {
        let mut leftover = self.leftover();
        loop {
            let (log, meta, parts) = {
                let state = self.lock();
                let Some(log) = state.log.clone().filter(InputLog::writes) else { return Ok(()) };
                let Some(block) = state.buffer.unwritten(before) else { return Ok(()) };
                (log, block.meta.clone(), block.parts.clone().unwrap_or_default())
            };
            let number = meta.id.number;
            let block = Stored { cut_at: meta.cut_at, records: meta.records, bytes: meta.bytes };
            let record = match leftover.take() {
                Some((n, record)) if n == number => record,
                _ => self.encode(&log, number, &block, &parts)?,
            };
            match log.append(number, block, &record) {
                Ok(at) => self.lock().buffer.written(number, at),
                Err(error) => {
                    *leftover = Some((number, record));
                    return Err(error);
                }
            }
        }
    }

    /// `Serialize` is the user's, and may panic.
    fn encode(&self, log: &InputLog, number: u64, block: &Stored, parts: &Parts<T>) -> Result<Vec<u8>, NotWritten> {
        let begun = log.begin(number, block)?;
        let encoded = catch_unwind(AssertUnwindSafe(|| (self.codec.encode)(parts, begun)));
        let encoded = encoded.map_err(|payload| format!("panicked: {}", super::run::panic_text(&*payload)));
        encoded.and_then(|done| done.map_err(|e| e.to_string())).map_err(|why| log.cannot_encode(number, why))
    }
}
