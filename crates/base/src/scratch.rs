//! Scratch directories: files that need not outlive their process, in a directory of their own.
//!
//! A directory is made for the user alone (0700), its files too (0600). It goes when its [`ScratchDir`] is dropped. What
//! a killed process left behind is removed when the next directory of the same kind is made in the same place: each
//! directory holds a lock that the system takes away with its process.
//!
//! Nothing here is made durable, and nothing refuses to be lost: that is [`crate::storage`].

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::storage::{LocalStorage, StorageLock};

/// A private directory that is removed when this is dropped.
///
/// ```
/// use winterbourne_base::scratch::ScratchDir;
///
/// let dir = ScratchDir::create(&std::env::temp_dir(), "winterbourne-doc-scratch")?;
/// let path = dir.path().to_owned();
/// dir.file("block")?;
/// assert!(path.join("block").exists());
/// drop(dir);
/// assert!(!path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
    _lock: StorageLock,
}

impl ScratchDir {
    /// Makes a new directory `<kind>-<name>` in `parent`, which is made if need be, and removes those of this kind whose
    /// process is gone.
    ///
    /// # Errors
    ///
    /// What the system says about the directory. What cannot be removed of others is left, with a warning.
    pub fn create(parent: &Path, kind: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        sweep(parent, kind);
        for _ in 0..100 {
            let path = parent.join(format!("{kind}-{}", unique()));
            // Fails if it exists: a directory that somebody else put there is not ours to use.
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                other => other?,
            }
            // SUBTLE: a sweep elsewhere may see the directory before it is locked, and take it for a dead one.
            if let Ok(lock) = LocalStorage::new(&path).lock()
                && lock.path().exists()
            {
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "a hundred new directories were taken by somebody else"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new file in it, to be written.
    ///
    /// # Errors
    ///
    /// What the system says; a file of this name exists already.
    pub fn file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path.join(name))
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!("cannot remove the directory {}: {error}", self.path.display());
        }
    }
}

/// Removes the directories of this kind whose process is gone.
fn sweep(parent: &Path, kind: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().and_then(|name| name.strip_prefix(kind)?.strip_prefix('-')).is_some();
        // A symbolic link is no directory here. Those of other users cannot be locked.
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let Ok(lock) = LocalStorage::new(&path).lock() else { continue };
        match fs::remove_dir_all(&path) {
            Ok(()) => tracing::info!("removed {}, which a killed process left", path.display()),
            Err(error) => tracing::warn!("cannot remove {}, which a killed process left: {error}", path.display()),
        }
        drop(lock);
    }
}

/// A name that nobody else has: 128 random bits, in the form of a UUID of version 4.
#[must_use]
pub fn unique() -> String {
    let random = || RandomState::new().build_hasher().finish();
    // Two states of one thread differ in a counter only, so the second half is hashed once more with other keys.
    let (high, mut hasher) = (random(), RandomState::new().build_hasher());
    hasher.write_u64(u64::from(std::process::id()));
    hasher.write_u64(high);
    let low = hasher.finish();
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_directory_is_private_and_goes_with_its_owner() {
        let parent = std::env::temp_dir().join(unique());
        let dir = ScratchDir::create(&parent, "kind").expect("a new directory");
        dir.file("a").expect("a new file");
        assert!(dir.file("a").is_err(), "never twice");
        let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!((mode(dir.path()), mode(&dir.path().join("a"))), (0o700, 0o600));
        drop(dir);
        assert_eq!(fs::read_dir(&parent).expect("still there").count(), 0);
        fs::remove_dir(parent).expect("empty");
    }
    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let parent = std::env::temp_dir().join(unique());
        for name in ["kind-dead", "kind-dead/deeper", "kindred-other", "other-kind"] {
            fs::create_dir_all(parent.join(name)).expect("a new directory");
        }
        fs::write(parent.join("kind-file"), "a file of somebody").expect("a new file");
        fs::write(parent.join("kind-dead/block"), "bytes").expect("a new file");
        let first = ScratchDir::create(&parent, "kind").expect("a new directory");
        let second = ScratchDir::create(&parent, "kind").expect("a new directory");
        assert!(first.path().exists() && second.path() != first.path(), "the living are left alone");
        let there = |name: &str| parent.join(name).exists();
        assert!(!there("kind-dead") && there("kindred-other") && there("other-kind") && there("kind-file"));
        drop((first, second));
        fs::remove_dir_all(parent).expect("ours");
    }
    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<String> = (0..1000).map(|_| unique()).collect();
        assert_eq!((names.len(), names.iter().all(|n| n.len() == 36)), (1000, true));
    }
}
