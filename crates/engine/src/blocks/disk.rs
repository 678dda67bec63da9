//! Files of frames: blocks on disk, and the parts of a checkpoint.
use super::{
    Damage,
    frames::{Encoder, Frame, Frames, HEAD, Head, MAGIC, RecordCodec},
};
use crate::{Data, Error, Result};
use serde::Serialize;
use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};
use winterbourne_base::scratch::ScratchDir;

/// Bytes that wait before they are written.
const PENDING: usize = 256 << 10;

/// Where written frames go.
pub(crate) trait Sink: Send {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}
impl Sink for File {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write_all(bytes)
    }
}

/// Writes a file of frames, a chunk at a time.
pub(crate) struct Writer<S> {
    sink: S,
    path: PathBuf,
    encoder: Encoder,
    pub(crate) len: u64,
}
impl<S: Sink> Writer<S> {
    pub(crate) fn new(sink: S, path: PathBuf, compress: bool) -> Self {
        let mut encoder = Encoder::new(compress);
        encoder.out.extend_from_slice(&MAGIC);
        Writer { sink, path, encoder, len: 0 }
    }
    pub(crate) fn push<T>(&mut self, codec: &RecordCodec<T>, records: &[T]) -> Result<()> {
        (codec.encode)(records, &mut self.encoder).map_err(unstorable)?;
        if self.encoder.out.len() >= PENDING { self.flush() } else { Ok(()) }
    }
    fn push_one<T: Serialize>(&mut self, record: &T) -> Result<()> {
        self.encoder.push(record).map_err(unstorable)?;
        if self.encoder.out.len() >= PENDING { self.flush() } else { Ok(()) }
    }
    /// Goes on with what was encoded so far.
    fn continue_with(&mut self, mut encoder: Encoder) -> Result<()> {
        self.raw(&std::mem::take(&mut encoder.out))?;
        self.encoder = encoder;
        Ok(())
    }
    /// Frames as they are.
    pub(super) fn raw(&mut self, frames: &[u8]) -> Result<()> {
        self.encoder.out.extend_from_slice(frames);
        self.flush()
    }
    fn flush(&mut self) -> Result<()> {
        let written = self.sink.write(&self.encoder.out);
        written.map_err(|source| Error::Block { doing: "writing", path: self.path.clone(), source })?;
        self.len += self.encoder.out.len() as u64;
        self.encoder.out.clear();
        Ok(())
    }
    /// Closes the open frame; where the next one begins.
    fn cut(&mut self) -> Result<u64> {
        self.encoder.cut().map_err(unstorable)?;
        if self.encoder.out.len() >= PENDING {
            self.flush()?;
        }
        Ok(self.len + self.encoder.out.len() as u64)
    }
    /// Writes the end; gives back the sink.
    pub(crate) fn end(mut self) -> Result<(S, Written)> {
        self.encoder.end().map_err(unstorable)?;
        self.flush()?;
        Ok((self.sink, Written { len: self.len, records: self.encoder.records }))
    }
}
/// What was written.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    pub(crate) len: u64,
    pub(crate) records: u64,
}
pub(crate) fn unstorable(e: postcard::Error) -> Error {
    Error::Unstorable { why: e.to_string() }
}

/// A file that is removed when nobody reads it any more.
pub(crate) struct OnDisk {
    path: PathBuf,
    pub(crate) len: u64,
    pub(crate) records: u64,
    /// Keeps the directory.
    _dir: Arc<ScratchDir>,
}
impl Drop for OnDisk {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _ = std::fs::remove_file(&self.path);
    }
}
impl OnDisk {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    /// Looks at every byte, so that what is handed over afterwards need not be taken back.
    pub(crate) fn check(&self) -> std::result::Result<(), Damage> {
        let mut file = InFile::open(&self.path, self.len)?;
        while file.next()?.is_some() {}
        if file.records == self.records { Ok(()) } else { Err(Damage::new(file.at, "records are missing")) }
    }
    pub(crate) fn frames(&self) -> std::result::Result<InFile, Damage> {
        InFile::open(&self.path, self.len)
    }
    /// All frames, as they lie in memory.
    pub(crate) fn bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = std::fs::read(&self.path)?;
        bytes.drain(..MAGIC.len().min(bytes.len()));
        Ok(bytes)
    }
}

/// A block on its way to disk; removed unless it is finished.
pub(crate) struct Growing {
    writer: Option<Writer<File>>,
    path: PathBuf,
    dir: Arc<ScratchDir>,
}
impl Growing {
    pub(crate) fn new(dir: Arc<ScratchDir>, name: &str, compress: bool) -> Result<Self> {
        let path = dir.path().join(name);
        let file = dir.file(name);
        let file = file.map_err(|source| Error::Block { doing: "making", path: path.clone(), source })?;
        Ok(Growing { writer: Some(Writer::new(file, path.clone(), compress)), path, dir })
    }
    fn writer(&mut self) -> &mut Writer<File> {
        self.writer.as_mut().expect("taken at the end only")
    }
    pub(crate) fn push<T: Data>(&mut self, codec: &RecordCodec<T>, records: &[T]) -> Result<()> {
        self.writer().push(codec, records)
    }
    /// A record that is only looked at.
    pub(crate) fn push_one<T: Serialize>(&mut self, record: &T) -> Result<()> {
        self.writer().push_one(record)
    }
    /// Ends a part, which can be read by itself: where the next one begins.
    pub(crate) fn cut(&mut self) -> Result<u64> {
        self.writer().cut()
    }
    /// How much was written.
    pub(crate) fn written(&self) -> u64 {
        self.writer.as_ref().map_or(0, |w| w.len)
    }
    pub(super) fn raw(&mut self, frames: &[u8]) -> Result<()> {
        self.writer().raw(frames)
    }
    pub(super) fn continue_with(&mut self, encoder: Encoder) -> Result<()> {
        self.writer().continue_with(encoder)
    }
    pub(crate) fn end(mut self) -> Result<Arc<OnDisk>> {
        let (_, Written { len, records }) = self.writer.take().expect("taken here only").end()?;
        Ok(Arc::new(OnDisk { path: self.path.clone(), len, records, _dir: self.dir.clone() }))
    }
    /// The same, of frames that hold their own end.
    pub(super) fn end_raw(mut self, records: u64) -> Arc<OnDisk> {
        let len = self.writer.take().expect("taken here only").len;
        Arc::new(OnDisk { path: self.path.clone(), len, records, _dir: self.dir.clone() })
    }
}
impl Drop for Growing {
    fn drop(&mut self) {
        if self.writer.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The frames of a file, each checked before it is handed over.
pub(crate) struct InFile {
    file: BufReader<File>,
    at: u64,
    len: u64,
    /// Records seen so far.
    pub(crate) records: u64,
    ended: bool,
    /// Only a part of a file, which has no end of its own.
    partial: bool,
}
impl InFile {
    /// The frames from one place to another.
    pub(crate) fn part(path: &Path, part: Range<u64>) -> std::result::Result<Self, Damage> {
        let mut file = File::open(path).map_err(|e| Damage::io(0, e))?;
        file.seek(SeekFrom::Start(part.start)).map_err(|e| Damage::io(part.start, e))?;
        let room = (part.end - part.start).min(64 << 10) as usize;
        let file = BufReader::with_capacity(room.max(HEAD), file);
        Ok(InFile { file, at: part.start, len: part.end, records: 0, ended: part.is_empty(), partial: true })
    }
    /// Opens a file that should be of this length.
    pub(crate) fn open(path: &Path, len: u64) -> std::result::Result<Self, Damage> {
        let file = File::open(path).map_err(|e| Damage::io(0, e))?;
        let found = file.metadata().map_err(|e| Damage::io(0, e))?.len();
        if found != len {
            return Err(Damage::new(found.min(len), format!("it has {found} bytes instead of {len}")));
        }
        let file = BufReader::with_capacity(64 << 10, file);
        let mut file = InFile { file, at: 0, len, records: 0, ended: false, partial: false };
        let mut magic = [0; MAGIC.len()];
        file.fill(&mut magic)?;
        match magic == MAGIC {
            true => Ok(file),
            false if magic[..7] == MAGIC[..7] => {
                Err(Damage::new(7, format!("its version, {}, is not known", magic[7])))
            }
            false => Err(Damage::new(0, "it is not a file of blocks")),
        }
    }
    fn fill(&mut self, to: &mut [u8]) -> std::result::Result<(), Damage> {
        self.file.read_exact(to).map_err(|e| Damage::io(self.at, e))?;
        self.at += to.len() as u64;
        Ok(())
    }
}
impl Frames for InFile {
    fn next(&mut self) -> std::result::Result<Option<Frame>, Damage> {
        if self.ended {
            return Ok(None);
        }
        let (begin, mut head) = (self.at, [0; HEAD]);
        self.fill(&mut head)?;
        let parsed = Head::of(&head, self.len - self.at).map_err(|why| Damage::new(begin, why))?;
        let mut payload = vec![0; parsed.len as usize];
        self.fill(&mut payload)?;
        parsed.check(&head, &payload).map_err(|why| Damage::new(begin, why))?;
        if parsed.count > 0 {
            self.ended = self.partial && self.at == self.len;
            self.records += u64::from(parsed.count);
            let whole = 0..payload.len();
            return Ok(Some(Frame::new(parsed, Arc::new(payload), whole)));
        }
        self.ended = true;
        let records = u64::from_le_bytes(payload.try_into().expect("the end has 8 bytes"));
        match () {
            () if records != self.records => Err(Damage::new(begin, "frames are missing")),
            () if self.at != self.len => Err(Damage::new(self.at, "something follows the end")),
            () => Ok(None),
        }
    }
}
