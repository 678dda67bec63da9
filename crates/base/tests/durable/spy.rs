//! A storage around the simulated disk that lets tests see and steer what is done to it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use winterbourne_base::storage::{AppendFile, Entry, SimStorage, Storage};

/// A simulated disk whose syncs of files wait at a gate, and which knows the longest read.
#[derive(Clone, Debug)]
pub(crate) struct Spy {
    pub(crate) disk: SimStorage,
    pub(crate) gate: Arc<Gate>,
    longest_read: Arc<AtomicUsize>,
}

impl Spy {
    pub(crate) fn new(disk: SimStorage) -> Self {
        Self { disk, gate: Arc::default(), longest_read: Arc::default() }
    }

    /// The most memory that was taken for reading at once.
    pub(crate) fn longest_read(&self) -> usize {
        self.longest_read.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    shut: bool,
    waiting: usize,
    panic: bool,
}

impl Gate {
    pub(crate) fn set(&self, shut: bool, panic: bool) {
        let mut state = self.state.lock().unwrap();
        (state.shut, state.panic) = (shut, panic);
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.shut).unwrap();
        state.waiting -= 1;
        let panic = state.panic;
        drop(state);
        assert!(!panic, "the storage panics, as the test wants it to");
    }

    pub(crate) fn wait_for_somebody(&self) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| state.waiting == 0).unwrap());
    }
}

struct SpyFile {
    file: Box<dyn AppendFile>,
    gate: Arc<Gate>,
}

impl AppendFile for SpyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync()
    }
    fn len(&self) -> u64 {
        self.file.len()
    }
    fn reserve(&mut self, to: u64) -> io::Result<()> {
        self.file.reserve(to)
    }
    fn seal(&mut self) -> io::Result<()> {
        self.gate.pass();
        self.file.seal()
    }
}

impl Storage for Spy {
    fn append(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        Ok(Box::new(SpyFile { file: self.disk.append(name)?, gate: Arc::clone(&self.gate) }))
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name)
    }
    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.longest_read.fetch_max(buf.len(), Ordering::Relaxed);
        self.disk.read_at(name, offset, buf)
    }
    fn len(&self, name: &str) -> io::Result<u64> {
        self.disk.len(name)
    }
    fn publish(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk.publish(name, bytes)
    }
    fn create_if_absent(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        self.disk.create_if_absent(name, bytes)
    }
    fn list(&self, prefix_dir: &str) -> io::Result<Vec<Entry>> {
        self.disk.list(prefix_dir)
    }
    fn delete(&self, name: &str) -> io::Result<()> {
        self.disk.delete(name)
    }
    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.disk.truncate(name, len)
    }
    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.disk.free_bytes()
    }
    fn describe(&self, name: &str) -> String {
        self.disk.describe(name)
    }
}
