//! [`Rolls`]: the files that a task writes, in each directory one after the other.
use super::{
    StagedFile,
    own::{failed, make},
};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};
use winterbourne_engine::{BoxError, Codec, Encoder};

/// Files that a task has open at once.
const MOST_OPEN: usize = 64;

/// What the files of a task are called: `<stem>-<n>.<ending>`, in directories below `root`.
pub(super) struct Names {
    pub(super) root: PathBuf,
    pub(super) stem: String,
    pub(super) ending: String,
    pub(super) codec: Option<Codec>,
    /// Whether what a file begins with can be left out later: packed on its own, if anything is.
    pub(super) apart: bool,
}

pub(super) struct Rolls {
    names: Names,
    /// A file is followed by another one when it has so many bytes, before they are packed.
    roll_after: u64,
    by_place: BTreeMap<String, Roll>,
    open: usize,
    done: Vec<StagedFile>,
}

#[derive(Default)]
struct Roll {
    n: u32,
    /// Of the file that is being written.
    at: Option<PathBuf>,
    file: Option<Encoder<BufWriter<File>>>,
    len: u64,
    /// How long what the file begins with is, on disk.
    head: u64,
}

impl Rolls {
    pub(super) fn new(names: Names, roll_after: u64) -> Self {
        Rolls { names, roll_after, by_place: BTreeMap::new(), open: 0, done: Vec::new() }
    }
    /// Whether the next record of a place is the first one of a file. None of a place that is new.
    pub(super) fn begins(&self, place: &str) -> Option<bool> {
        self.by_place.get(place).map(|roll| roll.at.is_none())
    }
    /// A file that begins now begins with `head`.
    pub(super) fn write(&mut self, place: &str, head: &[u8], bytes: &[u8]) -> Result<(), BoxError> {
        if !self.by_place.contains_key(place) {
            self.by_place.insert(place.to_owned(), Roll::default());
        }
        if self.open >= MOST_OPEN && self.by_place[place].file.is_none() {
            // They are opened again when they are needed.
            self.by_place.values_mut().try_for_each(Roll::rest)?;
            self.open = 0;
        }
        let roll = self.by_place.get_mut(place).expect("put there above");
        if roll.file.is_none() {
            roll.open(place, &self.names)?;
            self.open += 1;
        }
        if !head.is_empty() {
            roll.begin(place, head, &self.names)?;
        }
        roll.write(bytes)?;
        if roll.len >= self.roll_after {
            self.done.push(roll.close()?);
            self.open -= 1;
        }
        Ok(())
    }
    /// All files of the task, durable.
    pub(super) fn finish(mut self) -> Result<Vec<StagedFile>, BoxError> {
        for roll in self.by_place.values_mut().filter(|r| r.at.is_some()) {
            self.done.push(roll.close()?);
        }
        Ok(self.done)
    }
}

impl Roll {
    /// A new file, or the one that rests.
    fn open(&mut self, place: &str, names: &Names) -> Result<(), BoxError> {
        let mut how = OpenOptions::new();
        let at = match self.at.take() {
            Some(at) => {
                how.append(true);
                at
            }
            None => {
                // What a task left that failed is written over.
                how.create(true).write(true).truncate(true);
                let directory = names.root.join(place);
                make(&directory)?;
                directory.join(format!("{}-{}.{}", names.stem, self.n, names.ending))
            }
        };
        let file = how.open(&at).map_err(|e| failed("write", &at, e))?;
        self.file = Some(Encoder::new(names.codec, BufWriter::with_capacity(1 << 16, file)));
        self.at = Some(at);
        Ok(())
    }
    fn begin(&mut self, place: &str, head: &[u8], names: &Names) -> Result<(), BoxError> {
        self.write(head)?;
        self.head = head.len() as u64;
        if names.apart && names.codec.is_some() {
            self.rest()?;
            let at = self.at.as_deref().ok_or("no file was open")?;
            self.head = fs::metadata(at).map_err(|e| failed("look at", at, e))?.len();
            self.open(place, names)?;
        }
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), BoxError> {
        self.len += bytes.len() as u64;
        let written = self.file.as_mut().map_or(Ok(()), |f| f.write_all(bytes));
        written.map_err(|e| failed("write", self.at.as_deref().unwrap_or(Path::new("")), e))
    }
    /// Gives the file back to the system for a while. What is packed then goes on with another member of the archive.
    fn rest(&mut self) -> Result<(), BoxError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let flushed = file.finish().and_then(|mut f| f.flush());
        flushed.map_err(|e| failed("write", self.at.as_deref().unwrap_or(Path::new("")), e))
    }
    /// Makes the file durable; the next one has another number.
    fn close(&mut self) -> Result<StagedFile, BoxError> {
        self.rest()?;
        let path = self.at.take().ok_or("no file was open")?;
        File::open(&path).and_then(|f| f.sync_all()).map_err(|e| failed("sync", &path, e))?;
        let head = self.head;
        *self = Roll { n: self.n + 1, ..Roll::default() };
        Ok(StagedFile { path, head })
    }
}
