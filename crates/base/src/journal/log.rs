//! A journal for one thread.

use std::fmt;
use std::sync::Arc;

use super::error::{self, JournalError, Result};
use super::flush::{self, Flush, Writer};
use super::recover::{Recovered, recover};
use super::room::Room;
use super::tail::Tail;
use super::{JournalOptions, Opened, Position, format, replay};
use crate::failpoint;
use crate::storage::Storage;

/// What may wait in memory before an append makes it durable without being asked.
const MOST_WAITING: u64 = 8 << 20;

/// Records in order, durable when asked for; see the [module](super) for the layout and the promises.
/// Dropping it forgets what was appended and not synced.
///
/// ```
/// use std::sync::Arc;
/// use winterbourne_base::journal::{Journal, JournalOptions};
/// use winterbourne_base::storage::SimStorage;
///
/// let disk = SimStorage::new(1);
/// let open = |seen: &mut Vec<Vec<u8>>| {
///     Journal::open(Arc::new(disk.clone()), "log", JournalOptions::default(), |_, record| {
///         seen.push(record.to_vec());
///         Ok(())
///     })
/// };
/// let (mut journal, _) = open(&mut Vec::new())?;
/// let first = journal.append(b"batch 1 planned")?;
/// journal.sync()?;
/// assert_eq!(journal.read(first)?, b"batch 1 planned");
/// drop(journal);
///
/// disk.crash();
/// let mut seen = Vec::new();
/// let (_, opened) = open(&mut seen)?;
/// assert_eq!(seen, [b"batch 1 planned"]);
/// assert_eq!((opened.records, opened.cut), (1, None));
/// # Ok::<(), winterbourne_base::journal::JournalError>(())
/// ```
pub struct Journal {
    storage: Arc<dyn Storage>,
    dir: String,
    options: JournalOptions,
    /// The oldest segment there is.
    first: u64,
    tail: Tail,
    /// Away while a flush runs.
    writer: Option<Writer>,
    room: Room,
    poison: Option<String>,
}

impl Journal {
    /// Opens the journal in the directory `dir` of the storage, and feeds every record to `each`, in order. A torn tail
    /// is cut and told in [`Opened`]. A directory that is absent is an empty journal; nothing is made before the first
    /// sync.
    ///
    /// One journal at a time may be open in a directory; [`LocalStorage::lock`](crate::storage::LocalStorage::lock)
    /// keeps other processes away. A record of which `each` can make nothing is [`JournalError::Rejected`].
    ///
    /// # Errors
    ///
    /// [`Corrupt`](JournalError::Corrupt), [`Version`](JournalError::Version) and [`TooLong`](JournalError::TooLong)
    /// change nothing on the disk; those of the storage; those of `each`.
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &str,
        options: JournalOptions,
        mut each: impl FnMut(Position, &[u8]) -> std::result::Result<(), JournalError>,
    ) -> Result<(Self, Opened)> {
        let Recovered { first, tail, writer, opened } = recover(&storage, dir, &options, &mut each)?;
        let (dir, room) = (dir.to_owned(), Room::new(options.free_floor_bytes));
        Ok((Self { storage, dir, options, first, tail, writer: Some(writer), room, poison: None }, opened))
    }

    /// Appends a record. It is not durable before a [`sync`](Self::sync) has succeeded; many may share one. If much
    /// waits already, this syncs by itself.
    ///
    /// # Errors
    ///
    /// [`TooLong`](JournalError::TooLong) and [`NoSpace`](JournalError::NoSpace): nothing was appended, and the journal
    /// is as it was. Otherwise as [`sync`](Self::sync).
    pub fn append(&mut self, record: &[u8]) -> Result<Position> {
        let at = self.push(record)?;
        if self.tail.waiting_bytes() > MOST_WAITING {
            self.sync()?;
        }
        Ok(at)
    }

    /// Makes durable what was appended.
    ///
    /// # Errors
    ///
    /// What the storage said. Then it is unknown which of the records since the last sync are durable, and every later
    /// call is refused as [`Poisoned`](JournalError::Poisoned): open the journal anew.
    pub fn sync(&mut self) -> Result<()> {
        self.flush(false)
    }

    /// As [`sync`](Self::sync), for when nothing more will come: the last segment, whose file is otherwise longer than
    /// its records, gets its true length. A journal that ends without this is opened just as well; one that gets another
    /// record after this goes on.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync).
    pub fn finish(&mut self) -> Result<()> {
        self.flush(true)
    }

    fn flush(&mut self, last: bool) -> Result<()> {
        let Some(mut flush) = self.begin_flush(last)? else { return Ok(()) };
        let outcome = flush.run();
        self.end_flush(flush, outcome)
    }

    /// Where the next record goes, unless it begins a new segment.
    #[must_use]
    pub fn position(&self) -> Position {
        self.tail.position()
    }

    /// How many records were ever appended, trimmed ones included: the number of the next record, from 0.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.tail.records()
    }

    /// Removes the segments that hold nothing from `keep` on; the last one stays in any case. Returns how many.
    ///
    /// # Errors
    ///
    /// The storage's, when it does not delete; what was to go may be asked for again. Otherwise as [`sync`](Self::sync),
    /// which is needed if the segment of `keep` is not durable yet.
    pub fn trim_before(&mut self, keep: Position) -> Result<u64> {
        if keep.segment > self.tail.durable().segment {
            self.sync()?;
        }
        let doomed = self.doomed(keep)?;
        let before = self.first;
        for segment in doomed {
            delete(&*self.storage, &self.dir, segment)?;
            self.trimmed(segment);
        }
        Ok(self.first - before)
    }

    /// The record at a position that [`append`](Self::append) returned, durable or not.
    ///
    /// # Errors
    ///
    /// [`NoRecord`](JournalError::NoRecord) if it was trimmed; [`Corrupt`](JournalError::Corrupt) if it is not what was
    /// appended; those of the storage.
    pub fn read(&self, at: Position) -> Result<Vec<u8>> {
        self.find(at)?.map_or_else(|| replay::read(&*self.storage, &self.dir, at, self.options.max_record_bytes), Ok)
    }

    /// Lets the next record begin a new segment, so that the ones before it can be trimmed as a whole. An empty segment
    /// is not followed by another one.
    ///
    /// # Errors
    ///
    /// [`Poisoned`](JournalError::Poisoned).
    pub fn roll(&mut self) -> Result<()> {
        self.usable()?;
        self.tail.roll();
        Ok(())
    }

    pub(super) fn usable(&self) -> Result<()> {
        self.poison.as_ref().map_or(Ok(()), |cause| Err(JournalError::Poisoned(cause.clone())))
    }

    /// Appends in memory, whatever waits.
    pub(super) fn push(&mut self, record: &[u8]) -> Result<Position> {
        self.usable()?;
        let limit = self.options.max_record_bytes;
        let length = u32::try_from(record.len()).ok().filter(|length| *length <= limit).ok_or_else(|| {
            let at = format!("to append to the journal {}", self.storage.describe(&self.dir));
            JournalError::TooLong { at, bytes: record.len() as u64, limit }
        })?;
        self.make_room(format::HEAD + u64::from(length))?;
        Ok(self.tail.append(record, length))
    }

    fn make_room(&mut self, bytes: u64) -> Result<()> {
        if self.room.take(bytes) {
            return Ok(());
        }
        let path = self.storage.describe(&self.dir);
        let free = self.storage.free_bytes();
        let free = free.map_err(error::io("ask how much room there is for the journal", path.clone()))?;
        self.room.measured(free, self.tail.unwritten_bytes());
        if self.room.take(bytes) {
            return Ok(());
        }
        Err(JournalError::NoSpace { path, free: free.unwrap_or(0), floor: self.options.free_floor_bytes })
    }

    pub(super) fn waits_too_much(&self) -> bool {
        self.tail.waiting_bytes() > MOST_WAITING
    }

    pub(super) fn durable(&self) -> Position {
        self.tail.durable()
    }

    /// Whether a flush runs.
    pub(super) fn is_flushing(&self) -> bool {
        self.writer.is_none()
    }

    /// What has to be written, together with the means to write it; `None` if nothing has, unless this is the `last`.
    /// The caller runs it and hands it to [`end_flush`](Self::end_flush).
    pub(super) fn begin_flush(&mut self, last: bool) -> Result<Option<Flush>> {
        self.usable()?;
        if (self.tail.waiting_bytes() == 0 && !last) || failpoint::seeded("journal.sync-skipped") {
            return Ok(None);
        }
        // Away for good: the storage panicked, and somebody caught that.
        let lost = || JournalError::Poisoned("the storage panicked while records were written".to_owned());
        let writer = self.writer.take().ok_or_else(lost)?;
        Ok(Some(Flush { writer, chunks: self.tail.take(), last, measures: self.room.is_due() }))
    }

    pub(super) fn end_flush(&mut self, flush: Flush, outcome: Result<Option<u64>>) -> Result<()> {
        self.writer = Some(flush.writer);
        match outcome {
            Ok(free) => {
                self.tail.settled();
                if free.is_some() {
                    self.room.measured(free, self.tail.unwritten_bytes());
                }
                Ok(())
            }
            Err(error) => {
                self.poison(error.to_string());
                Err(error)
            }
        }
    }

    pub(super) fn poison(&mut self, cause: String) {
        tracing::error!(journal = self.storage.describe(&self.dir), cause, "a journal takes nothing more");
        self.poison = Some(cause);
    }

    /// The segments that may be removed, oldest first.
    pub(super) fn doomed(&self, keep: Position) -> Result<std::ops::Range<u64>> {
        self.usable()?;
        // INVARIANT: the newest segment that is durable stays, so that numbers are never used twice.
        Ok(self.first..keep.segment.min(self.tail.durable().segment))
    }

    /// The segment is gone.
    pub(super) fn trimmed(&mut self, segment: u64) {
        self.first = self.first.max(segment + 1);
    }

    /// The record at `at`, if it is still in memory. An error if none was ever there.
    pub(super) fn find(&self, at: Position) -> Result<Option<Vec<u8>>> {
        self.usable()?;
        if at >= self.position() {
            // The file may go on here, with zeros.
            let file = self.storage.describe(&flush::name(&self.dir, at.segment));
            return Err(JournalError::NoRecord { file, offset: at.offset });
        }
        Ok(self.tail.find(at).map(<[u8]>::to_vec))
    }

    /// Where the journal is, for those who read it without holding it.
    pub(super) fn place(&self) -> (Arc<dyn Storage>, String, u32) {
        (Arc::clone(&self.storage), self.dir.clone(), self.options.max_record_bytes)
    }
}

/// Removes a segment.
pub(super) fn delete(storage: &dyn Storage, dir: &str, segment: u64) -> Result<()> {
    let name = flush::name(dir, segment);
    failpoint::hit("journal.trim.before_delete");
    storage.delete(&name).map_err(error::io("remove a segment of the journal", storage.describe(&name)))?;
    failpoint::hit("journal.trim.after_delete");
    Ok(())
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("at", &self.storage.describe(&self.dir))
            .field("first", &self.first)
            .field("position", &self.position())
            .field("poison", &self.poison)
            .finish_non_exhaustive()
    }
}
