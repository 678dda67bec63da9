//! The directory of one checkpoint.
//!
//! ```text
//! rdd-7/part-00000-<unique>    a file of frames for each partition (see `blocks/frames.rs`), synced
//! rdd-7/_COMMITTED             the same format; published when all parts are there. Its first record is the name of the
//!                              record type and the number of partitions; then for each its file, length and records
//! ```
//!
//! A file that the marker does not list belongs to an attempt that failed. A directory without a marker is no checkpoint.
use super::broken;
use crate::{
    Data, Error, Flow, Result, Task, Wire,
    blocks::{Damage, Frames, InFile, RecordCodec, Sink, Writer, decoded},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use winterbourne_base::{
    scratch::unique,
    storage::{AppendFile, LocalStorage, Storage},
};

const MARKER: &str = "_COMMITTED";

/// A line of the marker: name, length, records.
type Line = (String, u64, u64);

/// One partition that was written.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) len: u64,
    pub(super) records: u64,
}

impl Sink for Box<dyn AppendFile> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        AppendFile::write(&mut **self, bytes)
    }
}

/// Writes one partition, durably.
pub(super) fn write<T: Data>(
    dir: &Path,
    p: usize,
    codec: RecordCodec<T>,
    compress: bool,
    flow: Flow<T>,
) -> Result<Part> {
    let (storage, name) = (LocalStorage::new(dir), format!("part-{p:05}-{}", unique()));
    let path = dir.join(&name);
    let file = storage.append(&name).map_err(|e| broken("making", &path, e))?;
    let mut writer = Writer::new(file, path.clone(), compress);
    let written = flow.each(|c| writer.push(&codec, c.as_slice())).and_then(|()| writer.end());
    let synced = written.and_then(|(mut file, written)| {
        file.sync().map_err(|e| broken("syncing", &path, e))?;
        Ok(Part { name: name.clone(), len: written.len, records: written.records })
    });
    if synced.is_err() {
        let _ = storage.delete(&name);
    }
    synced
}

/// Makes a checkpoint of parts, and removes what failed attempts left.
pub(super) fn commit<T>(dir: &Path, parts: &[Part]) -> Result<()> {
    struct Memory(Vec<u8>);
    impl Sink for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    let storage = LocalStorage::new(dir);
    let mut lines: Vec<Line> = vec![(std::any::type_name::<T>().to_owned(), parts.len() as u64, 0)];
    lines.extend(parts.iter().map(|p| (p.name.clone(), p.len, p.records)));
    let mut marker = Writer::new(Memory(Vec::new()), dir.join(MARKER), false);
    marker.push(&RecordCodec::of(), &lines)?;
    let (Memory(bytes), _) = marker.end()?;
    storage.publish(MARKER, &bytes).map_err(|e| broken("committing", dir, e))?;
    let left = storage.list("").unwrap_or_default();
    for entry in left.iter().filter(|e| e.name != MARKER && !parts.iter().any(|p| p.name == e.name)) {
        // It takes room, and does nothing else.
        let _ = storage.delete(&entry.name);
    }
    Ok(())
}

/// A checkpoint that is there.
pub(super) struct Files {
    dir: PathBuf,
    pub(super) parts: Vec<Part>,
    /// Removed with the last lineage that reads it.
    clean: bool,
}
impl Files {
    pub(super) fn new(dir: PathBuf, parts: Vec<Part>, clean: bool) -> Self {
        Files { dir, parts, clean }
    }
    /// Reads the marker of a directory.
    pub(super) fn open<T>(dir: &Path) -> Result<Self> {
        let path = dir.join(MARKER);
        let len = std::fs::metadata(&path).map_err(|e| broken("looking for a checkpoint in", dir, e))?.len();
        let lines = lines(&path, len).map_err(|e| Error::damaged(path.clone(), &e))?;
        let wrong = |why: &str| Error::damaged(path.clone(), &Damage::new(0, why));
        let Some(((kind, n, _), parts)) = lines.split_first() else { return Err(wrong("it lists nothing")) };
        if *n != parts.len() as u64 {
            return Err(wrong("it does not list all partitions"));
        }
        if parts.iter().any(|(name, _, _)| !name.starts_with("part-") || name.contains(['/', '\\', '\0'])) {
            return Err(wrong("it lists a file that is no part"));
        }
        // The name of a type may change and its form stay; if it does not, reading says so in most cases.
        if kind != std::any::type_name::<T>() {
            let now = std::any::type_name::<T>();
            tracing::warn!("{} holds records of the type {kind}, which are read as {now}", dir.display());
        }
        let parts = parts.iter().map(|(name, len, records)| Part { name: name.clone(), len: *len, records: *records });
        Ok(Files::new(dir.to_owned(), parts.collect(), false))
    }
    /// The records of a partition. The flow keeps the files.
    pub(super) fn flow<T: Data>(self: &Arc<Self>, p: usize, codec: RecordCodec<T>, task: &Task) -> Result<Flow<T>> {
        let part = &self.parts[p];
        let path = self.dir.join(&part.name);
        let file = InFile::open(&path, part.len).map_err(|e| Error::damaged(path.clone(), &e))?;
        let frames = Whole { file, records: part.records, _files: self.clone() };
        Ok(decoded(frames, codec, task, move |e| Error::damaged(path.clone(), &e)))
    }
}
impl Drop for Files {
    fn drop(&mut self) {
        if self.clean
            && let Err(e) = std::fs::remove_dir_all(&self.dir)
        {
            tracing::warn!("cannot remove the checkpoint {}: {e}", self.dir.display());
        }
    }
}

fn lines(path: &Path, len: u64) -> Result<Vec<Line>, Damage> {
    let (mut file, mut all) = (InFile::open(path, len)?, Vec::new());
    while let Some(frame) = file.next()? {
        all.append(&mut frame.records(&codec::<Line>()).map_err(|why| Damage::new(0, why))?);
    }
    Ok(all)
}
fn codec<T: Wire>() -> RecordCodec<T> {
    RecordCodec::of()
}

/// The frames of a part, which should be so many records.
struct Whole {
    file: InFile,
    records: u64,
    _files: Arc<Files>,
}
impl Frames for Whole {
    fn next(&mut self) -> Result<Option<crate::blocks::Frame>, Damage> {
        let next = self.file.next()?;
        if next.is_none() && self.file.records != self.records {
            return Err(Damage::new(0, format!("it has {} records instead of {}", self.file.records, self.records)));
        }
        Ok(next)
    }
}
