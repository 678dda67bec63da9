//! [`Part`]: the file of one partition while a task writes it.
use crate::{Codec, Encoder, Error, Result, Site};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// The name of a partition's file.
pub(super) fn name(partition: usize, codec: Option<Codec>) -> String {
    match codec {
        None => format!("part-{partition:05}"),
        Some(codec) => format!("part-{partition:05}.{}", codec.ending()),
    }
}

/// The file of one partition while a task writes it: what is written is packed if the output is. Unless it is finished,
/// it is removed again.
pub(crate) struct Part {
    /// The name of this attempt; empty once the file has its own.
    attempt: PathBuf,
    staged: PathBuf,
    /// Until it is finished.
    file: Option<Encoder<BufWriter<File>>>,
    site: Site,
}
impl Part {
    pub(super) fn create(staging: &Path, p: usize, attempt: u32, codec: Option<Codec>, site: Site) -> Result<Self> {
        let name = name(p, codec);
        let (attempt, staged) = (staging.join(format!("attempt-{attempt}-{name}")), staging.join(name));
        let file = OpenOptions::new().write(true).create_new(true).open(&attempt);
        let file = file.map_err(|source| Error::Output { doing: "creating", path: attempt.clone(), site, source })?;
        let file = Some(Encoder::new(codec, BufWriter::with_capacity(1 << 16, file)));
        Ok(Part { attempt, staged, file, site })
    }
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// [`Error::Output`], with the path.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| self.failed(e))
    }
    /// Makes the file whole and durable, under the name that the partition's file will have.
    pub(super) fn stage(mut self) -> Result<()> {
        let file = self.file.take().expect("there until here");
        let finish = || {
            let file = file.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            fs::rename(&self.attempt, &self.staged)
        };
        finish().map_err(|e| self.failed(e))?;
        self.attempt = PathBuf::new();
        Ok(())
    }
    /// An error of this file.
    pub(crate) fn failed(&self, source: io::Error) -> Error {
        Error::Output { doing: "writing", path: self.staged.clone(), site: self.site, source }
    }
}
impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().expect("there until it is staged").write(bytes)
    }
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().expect("there until it is staged").write_all(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().expect("there until it is staged").flush()
    }
}
impl Drop for Part {
    fn drop(&mut self) {
        self.file = None;
        if !self.attempt.as_os_str().is_empty() {
            // If that fails too, the file goes with the staging directory.
            let _ = fs::remove_file(&self.attempt);
        }
    }
}
