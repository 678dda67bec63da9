//! A directory of a local disk as a storage.
//!
//! Directories are made for the user alone (0700), files too (0600). A file counts as there only once the directories
//! down to it have been synced as well, so each of them is synced once by every process that writes below it: one that
//! exists may have been made by a process that crashed before it could do that.
//!
//! What is published is written under a name of its own (`.tmp-…`) first. Such files are left over after a crash;
//! whoever takes the [lock](LocalStorage::lock) removes them.
//!
//! This module refuses to cache, to compress and to look into what it stores.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{AppendFile, Entry, Storage, StorageLock, name, os};
use crate::failpoint;

/// Objects as files below one directory. A clone is another handle on the same directory.
///
/// ```
/// use winterbourne_base::storage::{LocalStorage, Storage};
///
/// let dir = std::env::temp_dir().join(format!("winterbourne-doc-storage-{}", std::process::id()));
/// let storage = LocalStorage::new(&dir);
/// let lock = storage.lock()?; // no other process uses this directory now
/// storage.publish("state/latest", b"42")?;
/// assert_eq!(storage.read("state/latest")?, b"42");
/// assert_eq!(storage.list("state")?.len(), 1);
/// # drop(lock);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LocalStorage {
    root: PathBuf,
    /// Directories of which this process knows that they survive a crash.
    settled: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl LocalStorage {
    /// The storage in `dir`. Nothing is looked at or made before something is stored.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { root: dir.into(), settled: Arc::default() }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.root
    }

    /// Takes the directory for this process until the answer is dropped or the process ends, and then removes what a
    /// crash left unfinished in it. Take it before anything is published.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] if somebody has it (another process, or another lock of this one); the message names
    /// the process. Otherwise what the system says about the directory.
    pub fn lock(&self) -> io::Result<StorageLock> {
        let path = self.root.join(name::LOCK);
        self.settle(&self.root).map_err(|error| about("make the directory", &self.root, &error))?;
        let lock = StorageLock::take(path.clone()).map_err(|error| about("lock", &path, &error))?;
        self.sweep(&self.root)?;
        Ok(lock)
    }

    /// Renames the whole directory to the first free `<directory>.unreadable-<n>` and returns that path. Nobody may be
    /// using it: no lock is held, no file is open.
    ///
    /// # Errors
    ///
    /// What the system says; the directory is then where it was.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let named = |n: u32| {
            let mut name = self.root.clone().into_os_string();
            name.push(format!(".unreadable-{n}"));
            PathBuf::from(name)
        };
        let to = (1..).map(named).find(|path| !path.exists()).expect("numbers do not run out");
        fs::rename(&self.root, &to).map_err(|error| about("set aside", &self.root, &error))?;
        Ok(to)
    }

    /// Removes the unfinished files in `dir` and below.
    fn sweep(&self, dir: &Path) -> io::Result<()> {
        for entry in entries(dir)? {
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.sweep(&path)?;
            } else if is_unfinished(&path) {
                fs::remove_file(&path).map_err(|error| about("remove what a crash left unfinished:", &path, &error))?;
            }
        }
        Ok(())
    }

    /// The path of an object.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        name::check(name)?;
        Ok(self.root.join(name))
    }

    /// Makes `dir`, which is the root or below it, and sees to it that it survives a crash.
    fn settle(&self, dir: &Path) -> io::Result<()> {
        if self.settled.lock().unwrap_or_else(PoisonError::into_inner).contains(dir) {
            return Ok(());
        }
        match dir.parent() {
            Some(parent) if dir != self.root => {
                self.settle(parent)?;
                make_dir(dir)?;
                sync_dir(parent)?;
            }
            _ => make_root(dir)?,
        }
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned());
        Ok(())
    }

    /// Writes `bytes` to a new file in the directory of `path`, durably except for its name.
    fn write_aside(&self, path: &Path, bytes: &[u8]) -> io::Result<Aside> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let dir = parent(path);
        self.settle(dir)?;
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let aside = Aside(dir.join(format!("{}{}-{serial}", name::UNFINISHED, std::process::id())));
        // SUBTLE: without the lock, a process with our number may have left a file of this name; it is dead.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside.0)?;
        file.write_all(bytes)?;
        failpoint::hit("storage.publish.after_temp_write");
        file.sync_all()?;
        failpoint::hit("storage.publish.after_temp_sync");
        Ok(aside)
    }

    /// What `publish` must never be; a test run that does not notice is worth nothing.
    fn publish_in_halves(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.settle(parent(path))?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        failpoint::hit("storage.publish.between_halves");
        file.write_all(second)?;
        file.sync_all()?;
        sync_dir(parent(path))
    }
}

impl Storage for LocalStorage {
    fn append(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        let path = self.path(name)?;
        let open = || {
            self.settle(parent(&path))?;
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            failpoint::hit("storage.append.after_open");
            // Also if it was there: whoever made it may have crashed before this line.
            sync_dir(parent(&path))?;
            failpoint::hit("storage.append.after_dir_sync");
            let len = file.metadata()?.len();
            if len > 0 {
                file.sync_data()?;
                os::forget_cached(&file);
            }
            let file = LocalFile { file, path: path.clone(), len, reserved: len, held: Vec::new() };
            Ok(Box::new(file) as Box<dyn AppendFile>)
        };
        open().map_err(|error| about("open for appending", &path, &error))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = self.path(name)?;
        fs::read(&path).map_err(|error| about("read", &path, &error))
    }

    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let path = self.path(name)?;
        let mut read = || {
            let file = File::open(&path)?;
            let mut filled = 0;
            while filled < buf.len() {
                match file.read_at(&mut buf[filled..], offset.saturating_add(filled as u64)) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(filled)
        };
        read().map_err(|error| about(&format!("read at offset {offset}:"), &path, &error))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        let path = self.path(name)?;
        let length = fs::metadata(&path).map(|metadata| metadata.len());
        length.map_err(|error| about("look at", &path, &error))
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        let publish = || {
            if failpoint::seeded("storage.publish-not-atomic") {
                return self.publish_in_halves(&path, bytes);
            }
            let aside = self.write_aside(&path, bytes)?;
            fs::rename(&aside.0, &path)?;
            failpoint::hit("storage.publish.after_rename");
            sync_dir(parent(&path))?;
            failpoint::hit("storage.publish.after_dir_sync");
            Ok(())
        };
        publish().map_err(|error| about("publish", &path, &error))
    }

    fn create_if_absent(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let path = self.path(name)?;
        let create = || {
            if path.try_exists()? {
                sync_dir(parent(&path))?;
                return Ok(false);
            }
            let aside = self.write_aside(&path, bytes)?;
            // A second name for the file: unlike a rename it never replaces what is there.
            let created = match fs::hard_link(&aside.0, &path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
                other => other.map(|()| true)?,
            };
            failpoint::hit("storage.create.after_link");
            drop(aside);
            sync_dir(parent(&path))?;
            failpoint::hit("storage.create.after_dir_sync");
            Ok(created)
        };
        create().map_err(|error| about("create", &path, &error))
    }

    fn list(&self, prefix_dir: &str) -> io::Result<Vec<Entry>> {
        name::check_dir(prefix_dir)?;
        let mut found = Vec::new();
        let dir = if prefix_dir.is_empty() { self.root.clone() } else { self.root.join(prefix_dir) };
        collect(&dir, prefix_dir, &mut found).map_err(|error| about("list", &dir, &error))?;
        found.sort();
        Ok(found)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        let delete = || {
            failpoint::hit("storage.delete.before");
            match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                other => other?,
            }
            failpoint::hit("storage.delete.after_unlink");
            sync_dir(parent(&path))?;
            failpoint::hit("storage.delete.after_dir_sync");
            Ok(())
        };
        delete().map_err(|error| about("delete", &path, &error))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let path = self.path(name)?;
        let cut = || {
            let file = OpenOptions::new().write(true).open(&path)?;
            let found = file.metadata()?.len();
            if found < len {
                let message = format!("it has only {found} bytes");
                return Err(io::Error::new(ErrorKind::InvalidInput, message));
            }
            file.set_len(len)?;
            failpoint::hit("storage.truncate.after_cut");
            file.sync_all()?;
            failpoint::hit("storage.truncate.after_sync");
            Ok(())
        };
        cut().map_err(|error| about(&format!("cut to {len} bytes:"), &path, &error))
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        let free = self.settle(&self.root).and_then(|()| os::free_bytes(&self.root));
        free.map(Some).map_err(|error| about("ask how much room there is in", &self.root, &error))
    }

    fn describe(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }
}

/// A file being appended to.
struct LocalFile {
    file: File,
    path: PathBuf,
    len: u64,
    /// How long the file is, if that is longer.
    reserved: u64,
    /// What a test wants to die with the process, or with this: written, not synced. Always empty in a program.
    held: Vec<u8>,
}

impl AppendFile for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if failpoint::lose_unsynced() {
            self.held.extend_from_slice(bytes);
        } else {
            self.file.write_all_at(bytes, self.len).map_err(|error| about("append to", &self.path, &error))?;
        }
        self.len += bytes.len() as u64;
        failpoint::hit("storage.append.after_write");
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        failpoint::hit("storage.append.before_sync");
        self.let_go().and_then(|()| self.file.sync_data()).map_err(|error| about("sync", &self.path, &error))?;
        failpoint::hit("storage.append.after_sync");
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn reserve(&mut self, to: u64) -> io::Result<()> {
        if to > self.reserved.max(self.len) {
            failpoint::hit("storage.append.before_reserve");
            self.file.set_len(to).map_err(|error| about("reserve room in", &self.path, &error))?;
            self.reserved = to;
            failpoint::hit("storage.append.after_reserve");
        }
        Ok(())
    }

    fn seal(&mut self) -> io::Result<()> {
        if self.reserved <= self.len {
            return self.sync();
        }
        let seal = |file: &mut Self| {
            file.let_go()?;
            failpoint::hit("storage.append.before_seal");
            file.file.set_len(file.len)?;
            failpoint::hit("storage.append.after_cut");
            // A length that shrinks is nothing that `sync_data` has to keep.
            file.file.sync_all()
        };
        seal(self).map_err(|error| about("give back what was reserved in", &self.path, &error))?;
        self.reserved = self.len;
        failpoint::hit("storage.append.after_seal");
        Ok(())
    }
}

impl LocalFile {
    /// Gives the system what was held back, in two pieces, so that a test can die between them.
    fn let_go(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(());
        }
        let (first, second) = held.split_at(held.len() / 2);
        let at = self.len - held.len() as u64;
        self.file.write_all_at(first, at)?;
        failpoint::hit("storage.append.half_written");
        self.file.write_all_at(second, at + first.len() as u64)
    }
}

/// A file under a name of its own, which is removed on the way out, whether or not the file got another one.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // After a rename it is gone. If it stays, the next holder of the lock removes it.
        let _ = fs::remove_file(&self.0);
    }
}

/// The directory that holds `path`, which lies below a root.
fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Makes a directory whose parent is there.
fn make_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        other => other,
    }
}

/// Makes the root and what is missing above it; each new entry is durable.
fn make_root(dir: &Path) -> io::Result<()> {
    let above = match dir.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return Ok(()),
    };
    let missing = !dir.is_dir();
    if missing {
        if !above.is_dir() {
            make_root(above)?;
        }
        make_dir(dir)?;
    }
    match sync_dir(above) {
        // Somebody else's directory, into which we may not look: it was there before us.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && !missing => Ok(()),
        other => other,
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(name::UNFINISHED.as_bytes()))
}

/// What is in a directory; nothing, if there is none.
fn entries(dir: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other?.collect(),
    }
}

/// Adds the objects in `dir`, which the storage calls `prefix`, and below.
fn collect(dir: &Path, prefix: &str, found: &mut Vec<Entry>) -> io::Result<()> {
    for entry in entries(dir)? {
        let Ok(part) = entry.file_name().into_string() else { continue };
        let name = if prefix.is_empty() { part } else { format!("{prefix}/{part}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), &name, found)?;
        } else if kind.is_file() && name::check(&name).is_ok() {
            match entry.metadata() {
                // Deleted since the directory was read.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                metadata => found.push(Entry { name, len: metadata?.len() }),
            }
        }
    }
    Ok(())
}

/// The error with what was being done and to what.
fn about(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}
