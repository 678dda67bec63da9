//! A journal for many threads: one sync serves all who came before it (group commit).
//!
//! Appending is a matter of memory, under a lock. Who needs its record to be durable and finds nobody writing becomes
//! the leader: it takes everything appended so far, writes and syncs it *without* the lock, and wakes all. Whoever
//! appended meanwhile waits for the next round, of which one of them is the leader. There is no thread of its own and
//! no time to wait for more records: the longer a sync takes, the more the next one serves.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::error::Result;
use super::flush::Flush;
use super::{Journal, Position, log, replay};
use crate::storage::Storage;

/// A [`Journal`] that many threads use at once. A clone is another handle on it.
///
/// ```
/// use std::sync::Arc;
/// use winterbourne_base::journal::{Journal, JournalOptions, SharedJournal};
/// use winterbourne_base::{storage::SimStorage, thread};
///
/// let disk = Arc::new(SimStorage::new(1));
/// let (journal, _) = Journal::open(disk, "log", JournalOptions::default(), |_, _| Ok(()))?;
/// let journal = SharedJournal::new(journal);
/// let writers: Vec<_> = (0..4u8)
///     .map(|n| {
///         let journal = journal.clone();
///         thread::spawn("writer", move || journal.append_durable(&[n]))
///     })
///     .collect::<Result<_, _>>()
///     .expect("threads");
/// for writer in writers {
///     let at = writer.join().expect("no panic")?;
///     assert_eq!(journal.read(at)?.len(), 1);
/// }
/// # Ok::<(), winterbourne_base::journal::JournalError>(())
/// ```
#[derive(Clone)]
pub struct SharedJournal {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Told whenever a flush ended.
    flushed: Condvar,
    storage: Arc<dyn Storage>,
    dir: String,
    max_record_bytes: u32,
}

struct State {
    journal: Journal,
    /// How many records are durable, of those that were ever appended.
    durable: u64,
}

impl SharedJournal {
    /// Shares a journal.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        let (storage, dir, max_record_bytes) = journal.place();
        // What waits in the journal already counts as not durable; the first sync takes it along.
        let state = Mutex::new(State { journal, durable: 0 });
        Self { shared: Arc::new(Shared { state, flushed: Condvar::new(), storage, dir, max_record_bytes }) }
    }

    /// Appends a record, which is durable after the next [`sync`](Self::sync). If much waits already, this waits until
    /// it is durable.
    ///
    /// # Errors
    ///
    /// As [`Journal::append`].
    pub fn append(&self, record: &[u8]) -> Result<Position> {
        let (at, number, full) = self.push(record)?;
        if full {
            self.wait_until_durable(number)?;
        }
        Ok(at)
    }

    /// Appends a record and returns when it is durable.
    ///
    /// # Errors
    ///
    /// As [`Journal::append`]. After any error but [`TooLong`](super::JournalError::TooLong) and
    /// [`NoSpace`](super::JournalError::NoSpace) the record may be in the journal when it is opened anew.
    pub fn append_durable(&self, record: &[u8]) -> Result<Position> {
        let (at, number, _) = self.push(record)?;
        self.wait_until_durable(number)?;
        Ok(at)
    }

    /// Returns when everything appended before is durable.
    ///
    /// # Errors
    ///
    /// As [`Journal::sync`]. Who waited for the sync of another thread gets its failure as
    /// [`Poisoned`](super::JournalError::Poisoned).
    pub fn sync(&self) -> Result<()> {
        let number = self.lock().journal.records();
        self.wait_until_durable(number)
    }

    /// As [`sync`](Self::sync), for when nothing more will come; see [`Journal::finish`].
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync).
    pub fn finish(&self) -> Result<()> {
        self.flush_all(true)
    }

    /// Where the next record goes, unless it begins a new segment.
    #[must_use]
    pub fn position(&self) -> Position {
        self.lock().journal.position()
    }

    /// How many records were ever appended, trimmed ones included.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.lock().journal.records()
    }

    /// Lets the next record begin a new segment.
    ///
    /// # Errors
    ///
    /// As [`Journal::roll`].
    pub fn roll(&self) -> Result<()> {
        self.lock().journal.roll()
    }

    /// Removes the segments that hold nothing from `keep` on, as [`Journal::trim_before`]. Others may append meanwhile.
    /// Returns how many were removed; two who trim at the same time may both count one.
    ///
    /// # Errors
    ///
    /// As [`Journal::trim_before`].
    pub fn trim_before(&self, keep: Position) -> Result<u64> {
        if keep.segment > self.lock().journal.durable().segment {
            self.flush_all(false)?;
        }
        let doomed = self.lock().journal.doomed(keep)?;
        let mut count = 0;
        for segment in doomed {
            // Oldest first, also if two do this at once: what is left has no gap.
            log::delete(&*self.shared.storage, &self.shared.dir, segment)?;
            self.lock().journal.trimmed(segment);
            count += 1;
        }
        Ok(count)
    }

    /// The record at a position that an append returned, durable or not.
    ///
    /// # Errors
    ///
    /// As [`Journal::read`].
    pub fn read(&self, at: Position) -> Result<Vec<u8>> {
        let found = self.lock().journal.find(at)?;
        let Shared { storage, dir, max_record_bytes, .. } = &*self.shared;
        found.map_or_else(|| replay::read(&**storage, dir, at, *max_record_bytes), Ok)
    }

    fn push(&self, record: &[u8]) -> Result<(Position, u64, bool)> {
        let mut state = self.lock();
        let at = state.journal.push(record)?;
        Ok((at, state.journal.records(), state.journal.waits_too_much()))
    }

    /// Returns when the first `number` records are durable.
    fn wait_until_durable(&self, number: u64) -> Result<()> {
        let mut state = self.lock();
        loop {
            state.journal.usable()?;
            if state.durable >= number {
                return Ok(());
            }
            state = self.round(state, false)?;
        }
    }

    /// As `sync`, and a segment without a record is durable too.
    fn flush_all(&self, last: bool) -> Result<()> {
        let mut state = self.lock();
        while state.journal.is_flushing() {
            state = self.round(state, false)?;
        }
        self.round(state, last).map(drop)
    }

    /// Leads a flush, or waits for the one that runs.
    fn round<'a>(&'a self, mut state: MutexGuard<'a, State>, last: bool) -> Result<MutexGuard<'a, State>> {
        if state.journal.is_flushing() {
            let state = self.shared.flushed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.journal.usable()?;
            return Ok(state);
        }
        let covers = state.journal.records();
        let flush = state.journal.begin_flush(last)?;
        drop(state);
        let outcome = flush.map(|flush| Lead { journal: self, flush: Some(flush) }.run());
        let mut state = self.lock();
        if let Some((flush, outcome)) = outcome {
            let ended = state.journal.end_flush(flush, outcome);
            self.shared.flushed.notify_all();
            ended?;
        }
        state.durable = state.durable.max(covers);
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a flush; if the storage panics, those who wait hear of it.
struct Lead<'a> {
    journal: &'a SharedJournal,
    flush: Option<Flush>,
}

impl Lead<'_> {
    fn run(mut self) -> (Flush, Result<Option<u64>>) {
        let outcome = self.flush.as_mut().map(Flush::run);
        let flush = self.flush.take().expect("put there by who made this");
        (flush, outcome.expect("as above"))
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if self.flush.is_some() {
            self.journal.lock().journal.poison("the storage panicked while records were written".to_owned());
            self.journal.shared.flushed.notify_all();
        }
    }
}

impl fmt::Debug for SharedJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedJournal").field(&self.lock().journal).finish()
    }
}
