//! Bringing the tail of a journal to its storage. Refuses to decide what goes where: the chunks say it.

use std::sync::Arc;

use super::error::{self, JournalError, Result};
use super::format;
use super::tail::Chunk;
use crate::failpoint;
use crate::storage::{AppendFile, Storage};

/// The last segment is made longer by that much at a time, ahead of its records.
const AHEAD: u64 = 1 << 20;

/// Writes to the last segment, and makes new ones.
pub(super) struct Writer {
    storage: Arc<dyn Storage>,
    dir: String,
    segment_bytes: u64,
    file: Option<Open>,
}

struct Open {
    segment: u64,
    file: Box<dyn AppendFile>,
    dirty: bool,
    /// How long the file is, if that is longer than what was written; without end if it cannot be made longer.
    reserved: u64,
}

/// The name of a segment in its storage.
pub(super) fn name(dir: &str, segment: u64) -> String {
    let file = format::file_name(segment);
    if dir.is_empty() { file } else { format!("{dir}/{file}") }
}

impl Writer {
    pub(super) fn new(storage: Arc<dyn Storage>, dir: String, segment_bytes: u64) -> Self {
        Self { storage, dir, segment_bytes, file: None }
    }

    /// Writes the chunks, and makes them durable. After an error it is unknown which of them are.
    fn write_all(&mut self, chunks: &[Arc<Chunk>]) -> Result<()> {
        for (index, chunk) in chunks.iter().enumerate() {
            if self.file.as_ref().is_none_or(|open| open.segment != chunk.segment) {
                // INVARIANT: a segment is durable as a whole, and as long as its records, before the next one exists.
                self.seal()?;
                self.open(chunk.segment)?;
            }
            self.expect_end(chunk.offset)?;
            // Not where the next one begins a new segment.
            if index + 1 == chunks.len() {
                self.reserve(chunk.end());
            }
            self.write(&chunk.bytes)?;
        }
        self.sync()
    }

    /// Goes on with this segment, new or not. By the contract of the storage what it holds is durable now.
    pub(super) fn open(&mut self, segment: u64) -> Result<()> {
        let name = name(&self.dir, segment);
        failpoint::hit("journal.segment.before_open");
        let file = self.storage.append(&name);
        let file = file.map_err(error::io("open a segment of the journal", self.storage.describe(&name)))?;
        failpoint::hit("journal.segment.after_open");
        self.file = Some(Open { segment, file, dirty: false, reserved: 0 });
        Ok(())
    }

    /// Makes the segment longer than `end`, so that the next syncs find nothing of the file changed but its content.
    fn reserve(&mut self, end: u64) {
        let Some(open) = self.file.as_mut().filter(|open| open.reserved < end) else { return };
        let to = end.saturating_add(failpoint::size(AHEAD, 4 << 10)).min(self.segment_bytes);
        if to <= end {
            return;
        }
        open.reserved = match open.file.reserve(to) {
            Ok(()) => to,
            Err(error) => {
                // It can do without: if the disk does not answer, writing will say so.
                tracing::debug!(%error, "a segment of a journal gets its length record by record");
                u64::MAX
            }
        };
    }

    /// Makes the segment durable, and as long as what was written to it.
    fn seal(&mut self) -> Result<()> {
        let Some(open) = self.file.as_mut().filter(|open| open.dirty || open.reserved > 0) else { return Ok(()) };
        failpoint::hit("journal.segment.before_seal");
        let sealed = open.file.seal();
        let path = || self.storage.describe(&name(&self.dir, open.segment));
        sealed.map_err(|source| error::io("make a segment of the journal durable", path())(source))?;
        (open.dirty, open.reserved) = (false, 0);
        failpoint::hit("journal.segment.after_seal");
        Ok(())
    }

    /// Nobody but us has written to the segment.
    pub(super) fn expect_end(&self, end: u64) -> Result<()> {
        match &self.file {
            Some(open) if open.file.len() != end => Err(JournalError::Corrupt {
                file: self.storage.describe(&name(&self.dir, open.segment)),
                offset: open.file.len().min(end),
                why: format!(
                    "it has {} bytes where this process has left {end}: another process writes to it too",
                    open.file.len()
                ),
            }),
            _ => Ok(()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(open) = &mut self.file else { return Ok(()) };
        failpoint::hit("journal.append.before_write");
        open.dirty = true;
        let written = open.file.write(bytes);
        let path = || self.storage.describe(&name(&self.dir, open.segment));
        written.map_err(|source| error::io("append to the journal", path())(source))?;
        failpoint::hit("journal.append.after_write");
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let Some(open) = self.file.as_mut().filter(|open| open.dirty) else { return Ok(()) };
        failpoint::hit("journal.append.before_sync");
        let synced = open.file.sync();
        let path = || self.storage.describe(&name(&self.dir, open.segment));
        synced.map_err(|source| error::io("make the journal durable", path())(source))?;
        open.dirty = false;
        failpoint::hit("journal.append.after_sync");
        Ok(())
    }
}

/// One sync of a journal, as a thing of its own, so that others may append while it runs.
pub(super) struct Flush {
    pub(super) writer: Writer,
    pub(super) chunks: Vec<Arc<Chunk>>,
    /// Nothing is expected to follow.
    pub(super) last: bool,
    /// Whether to ask how much of the disk is free afterwards.
    pub(super) measures: bool,
}

impl Flush {
    /// Does it. Returns how much of the disk is free afterwards, if that was asked and is known.
    pub(super) fn run(&mut self) -> Result<Option<u64>> {
        self.writer.write_all(&self.chunks)?;
        if self.last {
            self.writer.seal()?;
        }
        if !self.measures {
            return Ok(None);
        }
        // SUBTLE: what was written is durable now, so that the disk does not answer is no failure of ours.
        Ok(self.writer.storage.free_bytes().unwrap_or(Some(0)))
    }
}
