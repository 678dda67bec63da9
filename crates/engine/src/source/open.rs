//! [`Input`]: a file being read, unpacked as the ending of its name says. Its errors name the file and the place in the
//! program that wants it. It knows no records.
use crate::{Codec, Error, Result, Site, why_not_text};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// How much of a packed file is read at once.
const BUFFER: usize = 64 << 10;

/// The bytes of a file, in order.
pub(crate) struct Input {
    path: PathBuf,
    site: Site,
    /// For messages: reading, or unpacking.
    doing: &'static str,
    bytes: Box<dyn Read + Send>,
}
impl Input {
    /// Opens a file at byte `from`, which must be 0 for one that is packed. With a `size`, only so many of its bytes
    /// count, and it is an error if it has fewer.
    pub(crate) fn open(path: &Path, from: u64, size: Option<u64>, site: Site) -> Result<Self> {
        let failed = |doing, source| Error::Input { doing, path: path.to_owned(), site, source };
        if let Some(why) = why_not_text(path) {
            return Err(failed("unpacking", io::Error::new(io::ErrorKind::Unsupported, why)));
        }
        let mut file = File::open(path).map_err(|e| failed("opening", e))?;
        if let Some(size) = size {
            let len = file.metadata().map_err(|e| failed("looking at", e))?.len();
            if len < size {
                return Err(failed("reading", shrunk(len, size)));
            }
        }
        let most = size.unwrap_or(u64::MAX);
        let bytes: Box<dyn Read + Send> = match Codec::of(path) {
            None => {
                if from > 0 {
                    file.seek(SeekFrom::Start(from)).map_err(|e| failed("seeking in", e))?;
                }
                Box::new(file.take(most - from))
            }
            Some(codec) => {
                let packed = BufReader::with_capacity(BUFFER, file.take(most));
                codec.reader(packed).map_err(|e| failed("unpacking", e))?
            }
        };
        let doing = if Codec::of(path).is_some() { "unpacking" } else { "reading" };
        Ok(Input { path: path.to_owned(), site, doing, bytes })
    }
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    pub(crate) fn site(&self) -> Site {
        self.site
    }
    /// Some of the next bytes; none at the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            match self.bytes.read(into) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failed(self.doing, e)),
            }
        }
    }
    /// As many of the next bytes as there are, and as fit.
    pub(crate) fn fill(&mut self, into: &mut [u8]) -> Result<usize> {
        let mut have = 0;
        while have < into.len() {
            match self.read(&mut into[have..])? {
                0 => break,
                got => have += got,
            }
        }
        Ok(have)
    }
    /// The next so many bytes, or what there is of them. Takes memory as they come, so that a length that is a lie costs
    /// nothing.
    pub(crate) fn next(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.bytes.by_ref().take(count).read_to_end(&mut bytes);
        read.map_err(|e| self.failed(self.doing, e))?;
        Ok(bytes)
    }
    /// All the bytes that are left, unless they are more than `most`.
    pub(crate) fn whole(mut self, most: u64) -> Result<Vec<u8>> {
        let all = self.next(most.saturating_add(1))?;
        if all.len() as u64 > most {
            return Err(self.failed("reading", too_long(most)));
        }
        Ok(all)
    }
    /// An error of this file.
    pub(crate) fn failed(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Input { doing, path: self.path.clone(), site: self.site, source }
    }
}

/// A file that was cut down since it was listed.
pub(super) fn shrunk(len: u64, size: u64) -> io::Error {
    let why = format!("it has {len} bytes now and had {size} when it was listed; put it back as it was");
    io::Error::new(io::ErrorKind::UnexpectedEof, why)
}
/// A file that is to be in memory as a whole, and too long for that.
pub(crate) fn too_long(most: u64) -> io::Error {
    let why = format!("it has more than the {most} bytes that a whole file may have (spark.files.maxWholeSize)");
    io::Error::new(io::ErrorKind::FileTooLarge, why)
}
