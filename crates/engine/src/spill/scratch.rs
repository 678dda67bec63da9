//! [`Scratch`]: where the files of a context lie that need not outlive it: blocks, and what was spilled.
use crate::{Error, Result, blocks::Growing};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use winterbourne_base::scratch::ScratchDir;

/// A private directory in `spark.local.dir`, made when the first file is.
pub(crate) struct Scratch {
    parent: PathBuf,
    /// The directory, while there is a file in it.
    dir: Mutex<Weak<ScratchDir>>,
    /// Keeps it from the first file on until the context stops.
    held: Mutex<Option<Arc<ScratchDir>>>,
    closed: AtomicBool,
    files: AtomicU64,
}
impl Scratch {
    pub(crate) fn new(parent: PathBuf) -> Self {
        let (dir, held) = (Mutex::default(), Mutex::default());
        Scratch { parent, dir, held, closed: AtomicBool::new(false), files: AtomicU64::new(0) }
    }
    /// A new file of this kind, of frames.
    pub(crate) fn file(&self, kind: &str, compress: bool) -> Result<Growing> {
        let name = format!("{kind}-{}", self.files.fetch_add(1, Relaxed));
        Growing::new(self.dir()?, &name, compress)
    }
    fn dir(&self) -> Result<Arc<ScratchDir>> {
        let mut known = self.dir.lock().expect("no user code runs under this lock");
        if let Some(dir) = known.upgrade() {
            return Ok(dir);
        }
        let dir = ScratchDir::create(&self.parent, "winterbourne-blocks");
        let dir = Arc::new(dir.map_err(|source| Error::Block {
            doing: "making a directory for blocks in",
            path: self.parent.clone(),
            source,
        })?);
        *known = Arc::downgrade(&dir);
        if !self.closed.load(Relaxed) {
            *self.held.lock().expect("no user code runs under this lock") = Some(dir.clone());
        }
        Ok(dir)
    }
    /// The directory goes with its last file.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        let held = self.held.lock().expect("no user code runs under this lock").take();
        drop(held);
    }
}
