//! [`Mark`] and [`StreamFile`]: which version of a file is meant, and how to read exactly that. Refuses to know batches
//! and directories.
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Take},
    path::Path,
    time::UNIX_EPOCH,
};
use winterbourne_base::Time;

/// What tells one version of a file from another of the same path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) size: u64,
    /// Since the Unix epoch; as fine as the file system has it. 64 bits last until the year 2554.
    pub(super) modified_ns: u64,
}
impl Mark {
    pub(super) fn of(meta: &Metadata) -> io::Result<Self> {
        let since = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Mark { size: meta.len(), modified_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) })
    }
    pub(super) fn modified(&self) -> Time {
        Time::from_millis(self.modified_ns / 1_000_000)
    }
}

/// A file of a batch, as it was when the batch was planned; what the function of a
/// [`file_stream`](crate::StreamingContext::file_stream) reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamFile {
    pub(super) path: String,
    pub(super) mark: Mark,
}
impl StreamFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }
    /// How long it was, in bytes.
    pub fn size(&self) -> u64 {
        self.mark.size
    }
    /// When it was last written to.
    pub fn modified(&self) -> Time {
        self.mark.modified()
    }
    /// Opens it, to read the bytes it had when it was planned: what was appended since is left out.
    ///
    /// # Errors
    /// What the system says; also if it is shorter by now.
    pub fn open(&self) -> io::Result<Take<File>> {
        let file = File::open(&self.path).map_err(|e| self.gone(e))?;
        self.is_whole(&file.metadata()?)?;
        Ok(file.take(self.mark.size))
    }
    /// What it looks like now.
    ///
    /// # Errors
    /// If what was planned is not there any more.
    pub(super) fn now(&self) -> io::Result<Mark> {
        let meta = fs::metadata(&self.path).map_err(|e| self.gone(e))?;
        self.is_whole(&meta)?;
        Mark::of(&meta)
    }
    fn gone(&self, e: io::Error) -> io::Error {
        let path = &self.path;
        let why = format!(
            "the file {path} was there when its batch was planned and cannot be had now ({e}): put it back, or skip the batch"
        );
        io::Error::new(e.kind(), why)
    }
    fn is_whole(&self, now: &Metadata) -> io::Result<()> {
        let (path, was, is) = (&self.path, self.mark.size, now.len());
        if is >= was {
            return Ok(());
        }
        let why = format!(
            "the file {path} had {was} bytes when its batch was planned and has {is} now: put it back as it was, or skip the batch"
        );
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))
    }
}
