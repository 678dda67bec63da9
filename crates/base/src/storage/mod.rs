//! Durable storage: the only way in which the workspace keeps something beyond the life of its process.
//!
//! [`Storage`] is small and blocking, so that one directory of a disk, an object store and a simulated disk can all
//! implement it. [`LocalStorage`] is the directory; [`SimStorage`] is the simulated disk, which loses in a crash what
//! was not made durable, and fails where a test asks it to.
//!
//! Nothing here knows what is stored: records, checksums and versions belong to [`crate::journal`] and to the callers.
//!
//! # Names
//!
//! A name is a relative path with `/` between its parts: `log/00000000.journal`. No part is empty, `.` or `..`, none
//! holds a NUL byte or a backslash, and none begins with `.tmp-`, under which files wait that are not finished yet. The
//! name `lock` belongs to [`LocalStorage::lock`]. Anything else is refused with
//! [`io::ErrorKind::InvalidInput`], so a name that came from elsewhere cannot leave the directory.
//!
//! # What durable means
//!
//! What a method says is durable survives a crash of the process, of the system and of the power supply. A method that
//! fails promises neither that its effect happened nor that it did not; only [`AppendFile::sync`] says more.

mod local;
mod lock;
mod name;
mod os;
mod sim;

use std::fmt::Debug;
use std::io;

pub use local::LocalStorage;
pub use lock::StorageLock;
pub use sim::{Crash, SimStorage};

/// A place that keeps named objects. See the [module](self) for names and for what *durable* means.
///
/// Errors name the object and say what was being done.
///
/// ```
/// use winterbourne_base::storage::{SimStorage, Storage};
///
/// let disk = SimStorage::new(7);
/// let mut file = disk.append("log/a")?;
/// file.write(b"kept ")?;
/// file.sync()?;
/// file.write(b"lost")?;
/// assert_eq!(disk.read("log/a")?, b"kept lost");
///
/// disk.crash();
/// assert!(disk.read("log/a")?.starts_with(b"kept "));
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Storage: Send + Sync + Debug + 'static {
    /// Opens `name` for appending. If it is absent it is created empty, with the directories above it; that it exists
    /// is durable when this returns. If it is there, what was written to it before is made durable, and what is read
    /// from here on is what is stored: not what the system remembers of bytes that it failed to store. Each name has one
    /// writer at a time: the caller sees to that.
    fn append(&self, name: &str) -> io::Result<Box<dyn AppendFile>>;

    /// The whole object. The caller has looked at [`len`](Self::len) if it could be too large for memory.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Fills `buf` from `offset` on and returns how many bytes there were: fewer than asked for only at the end.
    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// The length in bytes.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// Makes `bytes` the content of `name`, atomically and durably: readers, and whoever comes after a crash, find what
    /// was there before or all of `bytes`.
    fn publish(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// As [`publish`](Self::publish), unless `name` exists already: then it is left alone, and the answer is `false`.
    /// Of several callers at the same time one gets `true`.
    fn create_if_absent(&self, name: &str, bytes: &[u8]) -> io::Result<bool>;

    /// All objects below the directory `prefix_dir` (`""` is everything), at any depth, sorted by name; none if there
    /// is no such directory. Files that a crash left unfinished are not listed.
    fn list(&self, prefix_dir: &str) -> io::Result<Vec<Entry>>;

    /// Removes `name`, durably. That it is absent already is fine.
    fn delete(&self, name: &str) -> io::Result<()>;

    /// Cuts `name` to its first `len` bytes, durably. For torn tails; nobody has it open for appending.
    fn truncate(&self, name: &str, len: u64) -> io::Result<()>;

    /// How much more can be stored, where that is known.
    fn free_bytes(&self) -> io::Result<Option<u64>>;

    /// What to call `name` in a message: the full path, or the address.
    fn describe(&self, name: &str) -> String;
}

/// An object opened by [`Storage::append`].
#[expect(clippy::len_without_is_empty, reason = "a position in a file, not a collection")]
pub trait AppendFile: Send {
    /// Appends all of `bytes`. They can be read back at once (unless the storage says otherwise), but are not durable.
    /// After an error any part of them may have been appended.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes durable what was written. After an error nothing is known about what was not durable before, and a second
    /// `sync` that succeeds says nothing about it either: [`append`](Storage::append) to the object anew, and read it.
    fn sync(&mut self) -> io::Result<()>;

    /// The length with everything that was written, without what was only reserved.
    fn len(&self) -> u64;

    /// Makes the object `to` bytes long ahead of what will be written, unless it is longer. Readers see zeros there. A
    /// sync then has no new length to store, which about halves its cost. It takes no room: what is free stays free.
    ///
    /// The reserved length survives a crash or does not; one that comes back is part of the object when it is opened
    /// anew. A storage may do nothing. If it fails the file can be used as before.
    fn reserve(&mut self, to: u64) -> io::Result<()> {
        let _ = to;
        Ok(())
    }

    /// As [`sync`](Self::sync), and what was reserved and not written is cut off, durably.
    fn seal(&mut self) -> io::Result<()> {
        self.sync()
    }
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name by which the storage knows it, from its root.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}
