//! [`Run`]: records that were spilled at once, in parts that can be read one by one.
use super::Pull;
use crate::{
    Data, Error, Flow, Result, Task,
    blocks::{Damage, Frames, Growing, InFile, OnDisk, RecordCodec, decoded},
    memory::Memory,
};
use std::{ops::Range, sync::Arc};

/// A run being written; nothing is left of one that is not ended.
pub(crate) struct RunWriter<R> {
    file: Growing,
    codec: RecordCodec<R>,
    /// Where parts begin, and where the last one so far ends.
    cuts: Vec<u64>,
    memory: Arc<Memory>,
}
impl<R: Data> RunWriter<R> {
    pub(crate) fn new(memory: &Arc<Memory>, codec: RecordCodec<R>) -> Result<Self> {
        let mut file = memory.spill_file().map_err(|e| refused(e, 0, memory))?;
        let begin = file.cut()?;
        Ok(RunWriter { file, codec, cuts: vec![begin], memory: memory.clone() })
    }
    pub(crate) fn push(&mut self, records: &[R]) -> Result<()> {
        let pushed = self.file.push(&self.codec, records);
        pushed.map_err(|e| refused(e, self.file.written(), &self.memory))
    }
    /// Ends a part.
    pub(crate) fn cut(&mut self) -> Result<()> {
        let end = self.file.cut().map_err(|e| refused(e, self.file.written(), &self.memory))?;
        self.cuts.push(end);
        Ok(())
    }
    /// Ends the run. What follows the last cut belongs to no part.
    pub(crate) fn end(self) -> Result<Run<R>> {
        let RunWriter { file, codec, cuts, memory } = self;
        let written = file.written();
        let file = file.end().map_err(|e| refused(e, written, &memory))?;
        memory.has_spilled(file.len);
        Ok(Run { file, codec, cuts: cuts.into() })
    }
}
pub(super) fn refused(e: Error, written: u64, memory: &Memory) -> Error {
    match e {
        Error::Block { path, source, .. } => Error::Spill { path, written, budget: memory.budget(), source },
        other => other,
    }
}

/// Records on disk, in parts.
pub(crate) struct Run<R> {
    file: Arc<OnDisk>,
    codec: RecordCodec<R>,
    cuts: Arc<[u64]>,
}
impl<R> Clone for Run<R> {
    fn clone(&self) -> Self {
        Run { file: self.file.clone(), codec: self.codec, cuts: self.cuts.clone() }
    }
}
impl<R: Data> Run<R> {
    pub(crate) fn part(&self, i: usize) -> Part<R> {
        self.parts(i..i + 1)
    }
    /// Parts that follow one another.
    pub(crate) fn parts(&self, parts: Range<usize>) -> Part<R> {
        let place = if parts.is_empty() { 0..0 } else { self.cuts[parts.start]..self.cuts[parts.end] };
        Part { file: self.file.clone(), codec: self.codec, place }
    }
}

/// A part of a run.
pub(crate) struct Part<R> {
    file: Arc<OnDisk>,
    codec: RecordCodec<R>,
    place: Range<u64>,
}
impl<R: Data> Part<R> {
    pub(crate) fn is_empty(&self) -> bool {
        self.place.is_empty()
    }
    /// The records; the file is opened now.
    pub(crate) fn flow(self, task: &Task) -> Result<Flow<R>> {
        let path = self.file.path().to_owned();
        let frames = Held(self.open()?, self.file);
        Ok(decoded(frames, self.codec, task, move |e| Error::damaged(path.clone(), &e)))
    }
    /// The records, a frame at a time; the file is opened when the first one is wanted.
    pub(crate) fn pull(self) -> Pull<R> {
        let mut open: Option<InFile> = None;
        Box::new(move || {
            if open.is_none() {
                open = Some(self.open()?);
            }
            let frame = open.as_mut().expect("opened above").next().map_err(|e| self.damaged(&e))?;
            match frame {
                Some(frame) => {
                    let records = frame.records(&self.codec);
                    records.map(Some).map_err(|why| self.damaged(&Damage::new(self.place.start, why)))
                }
                None => Ok(None),
            }
        })
    }
    fn open(&self) -> Result<InFile> {
        InFile::part(self.file.path(), self.place.clone()).map_err(|e| self.damaged(&e))
    }
    fn damaged(&self, damage: &Damage) -> Error {
        Error::damaged(self.file.path().to_owned(), damage)
    }
}
/// Frames of a file that goes with its last reader.
struct Held(InFile, #[expect(dead_code, reason = "held, not read")] Arc<OnDisk>);
impl Frames for Held {
    fn next(&mut self) -> Result<Option<crate::blocks::Frame>, Damage> {
        self.0.next()
    }
}
