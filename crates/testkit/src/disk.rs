//! [`Mounted`]: a simulated disk as one process sees it. When the process is gone, what is left of it reaches the disk no
//! more.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use winterbourne_base::storage::{AppendFile, Entry, SimStorage, Storage};

/// The disk, until its process is gone.
#[derive(Clone, Debug)]
pub(crate) struct Mounted {
    disk: SimStorage,
    gone: Arc<AtomicBool>,
}
impl Mounted {
    pub(crate) fn new(disk: SimStorage) -> Self {
        Mounted { disk, gone: Arc::default() }
    }
    /// The process is gone.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Relaxed);
    }
    fn disk(&self) -> io::Result<&SimStorage> {
        if self.gone.load(Relaxed) { Err(io::Error::other("this process was killed")) } else { Ok(&self.disk) }
    }
}
impl Storage for Mounted {
    fn append(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        Ok(Box::new(File { file: self.disk()?.append(name)?, of: self.clone() }))
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk()?.read(name)
    }
    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.disk()?.read_at(name, offset, buf)
    }
    fn len(&self, name: &str) -> io::Result<u64> {
        self.disk()?.len(name)
    }
    fn publish(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk()?.publish(name, bytes)
    }
    fn create_if_absent(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        self.disk()?.create_if_absent(name, bytes)
    }
    fn list(&self, prefix_dir: &str) -> io::Result<Vec<Entry>> {
        self.disk()?.list(prefix_dir)
    }
    fn delete(&self, name: &str) -> io::Result<()> {
        self.disk()?.delete(name)
    }
    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.disk()?.truncate(name, len)
    }
    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.disk()?.free_bytes()
    }
    fn describe(&self, name: &str) -> String {
        self.disk.describe(name)
    }
}

struct File {
    file: Box<dyn AppendFile>,
    of: Mounted,
}
impl AppendFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.of.disk()?;
        self.file.write(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.of.disk()?;
        self.file.sync()
    }
    fn len(&self) -> u64 {
        self.file.len()
    }
    fn reserve(&mut self, to: u64) -> io::Result<()> {
        self.of.disk()?;
        self.file.reserve(to)
    }
    fn seal(&mut self) -> io::Result<()> {
        self.of.disk()?;
        self.file.seal()
    }
}
