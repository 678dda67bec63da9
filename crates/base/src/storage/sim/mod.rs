//! A disk in memory that fails where a test asks it to, and forgets in a crash what was not made durable.
//!
//! Its promises are exactly those of [`Storage`], no kinder: what was written and not synced is lost wholly, in part or
//! in pieces; a name that was made and not synced comes back or does not; what a failed sync was to make durable stays
//! readable and is lost all the same; a file that was made longer ahead of its content is so after a crash, in part, or
//! not. All of it follows from one seed. A real disk is seldom that bad, so code that survives this one survives a real
//! one.
//!
//! Not simulated: directories (they need no care of their own here), and reads that fail.

mod content;
mod dice;
mod disk;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk::Disk;

use super::{AppendFile, Entry, Storage, name};

/// What a crash does to that which was not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crash {
    /// All of it is lost.
    Lost,
    /// Of each file some first part is kept, at times followed by zeros; of new and removed names some.
    Torn,
    /// As `Torn`, and of what is kept only some sectors of 512 bytes were written; the others are zeros.
    Reordered,
}

/// A simulated disk. A clone is another handle on the same disk.
///
/// ```
/// use winterbourne_base::storage::{Crash, SimStorage, Storage};
///
/// let disk = SimStorage::new(1);
/// disk.fail_sync(3); // the first two are those of the new file's name and of "a"
/// let mut file = disk.append("f")?;
/// file.write(b"a")?;
/// file.sync()?;
/// file.write(b"b")?;
/// assert!(file.sync().is_err());
/// assert!(file.sync().is_ok(), "which says nothing about b");
///
/// disk.crash_as(Crash::Lost);
/// assert_eq!(disk.read("f")?[0], b'a');
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimStorage {
    disk: Arc<Mutex<Disk>>,
}

impl SimStorage {
    /// An empty disk without end; `seed` decides what crashes and failing writes leave behind.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::new(seed))) }
    }

    /// Ends the world as a cut of the power supply would, in a way the seed decides, and says in which. The disk has
    /// power again afterwards; files that were open are no longer.
    pub fn crash(&self) -> Crash {
        self.disk().crash(None)
    }

    /// As [`crash`](Self::crash), in the given way.
    pub fn crash_as(&self, way: Crash) {
        self.disk().crash(Some(way));
    }

    /// Takes the power away after that many more changes to the disk, in the middle of whatever is being done then.
    /// Everything fails from there on, until [`crash`](Self::crash).
    pub fn cut_power_after(&self, changes: u64) {
        self.disk().power = Some(changes);
    }

    /// Lets the `nth` write from now on fail (1 is the next), after a part of it.
    pub fn fail_write(&self, nth: u64) {
        self.disk().fail_write = Some(nth);
    }

    /// Lets the `nth` sync from now on fail (1 is the next). Syncs of files and of names count.
    pub fn fail_sync(&self, nth: u64) {
        self.disk().fail_sync = Some(nth);
    }

    /// Sets how many bytes the disk holds in all; `None` is no end.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// Flips the bits of `mask` in the byte at `offset`, as a bad medium does.
    ///
    /// # Errors
    ///
    /// If there is no such byte.
    pub fn flip(&self, name: &str, offset: u64, mask: u8) -> io::Result<()> {
        self.disk().flip(name, offset, mask)
    }

    /// How many syncs of files and of names there were, those that failed included.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// How many writes to files there were, reserving and those that failed included.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.disk().writes
    }

    /// How many changes there were: what [`cut_power_after`](Self::cut_power_after) counts.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.disk().changes
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for SimStorage {
    fn append(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        name::check(name)?;
        let mut disk = self.disk();
        let file = disk.open(name)?;
        let len = disk.len(name)?;
        Ok(Box::new(SimFile { storage: self.clone(), name: name.to_owned(), file, epoch: disk.epoch, len }))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        name::check(name)?;
        self.disk().read(name).map(<[u8]>::to_vec)
    }

    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        name::check(name)?;
        let disk = self.disk();
        let rest = usize::try_from(offset).ok().and_then(|at| disk.read(name).map(|bytes| bytes.get(at..)).transpose());
        let rest = rest.transpose()?.unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        name::check(name)?;
        self.disk().len(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        name::check(name)?;
        self.disk().publish(name, bytes)
    }

    fn create_if_absent(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        name::check(name)?;
        let mut disk = self.disk();
        let absent = !disk.has(name);
        if absent {
            disk.publish(name, bytes)?
        } else {
            disk.sync_names(name)?
        }
        Ok(absent)
    }

    fn list(&self, prefix_dir: &str) -> io::Result<Vec<Entry>> {
        name::check_dir(prefix_dir)?;
        self.disk().list(prefix_dir)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        name::check(name)?;
        self.disk().delete(name)
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        name::check(name)?;
        self.disk().truncate(name, len)
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.disk().free()
    }

    fn describe(&self, name: &str) -> String {
        format!("sim:{name}")
    }
}

/// A file of a simulated disk, open until the next crash.
struct SimFile {
    storage: SimStorage,
    name: String,
    file: u64,
    epoch: u64,
    len: u64,
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.storage.disk();
        if disk.epoch != self.epoch {
            return Err(io::Error::other(format!("sim:{}: the file was opened before the crash", self.name)));
        }
        act(&mut disk)
    }
}

impl AppendFile for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(|disk| disk.write(self.file, &self.name, bytes))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(|disk| disk.sync(self.file, &self.name))
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn reserve(&mut self, to: u64) -> io::Result<()> {
        self.with(|disk| disk.reserve(self.file, &self.name, to))
    }

    fn seal(&mut self) -> io::Result<()> {
        self.with(|disk| disk.seal(self.file, &self.name))
    }
}
