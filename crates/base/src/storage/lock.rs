//! One process at a time may use a directory. Refuses to wait for its turn.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::os;

/// Keeps a directory for this process; see [`LocalStorage::lock`](super::LocalStorage::lock).
///
/// The system gives the lock back when this is dropped or the process ends, however it ends. The file stays.
#[derive(Debug)]
#[must_use = "dropping the lock gives the directory free"]
pub struct StorageLock {
    _held: File,
    path: PathBuf,
}

impl StorageLock {
    /// Locks the file at `path`, creating it if need be, and writes into it who did. Its directory is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`](io::ErrorKind::WouldBlock) if somebody has it; the message names the process. Otherwise
    /// what the system says.
    ///
    /// ```
    /// use winterbourne_base::storage::StorageLock;
    /// let path = std::env::temp_dir().join(format!("winterbourne-lock-{}", std::process::id()));
    /// let lock = StorageLock::take(path.clone())?;
    /// assert!(StorageLock::take(path.clone()).unwrap_err().to_string().contains("uses this directory"));
    /// drop(lock);
    /// let _again = StorageLock::take(path.clone())?;
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take(path: PathBuf) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        match os::try_lock(&file) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(taken(&mut file)),
            other => other?,
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _held: file, path })
    }

    /// The file that is locked.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn taken(file: &mut File) -> io::Error {
    let mut text = String::new();
    let holder = match file.take(20).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        // It has locked the file and not written to it yet.
        _ => "another process".to_owned(),
    };
    let message = format!("{holder} uses this directory; stop it, or choose another directory");
    io::Error::new(io::ErrorKind::WouldBlock, message)
}
