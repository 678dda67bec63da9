//! [`Directory`]: files that come into a directory together.
//!
//! ```text
//! out/_owner                         who may replace this, if anybody may
//! out/_temporary/<run>/attempt-…     being written by a task
//! out/_temporary/<run>/part-00000    whole, and on the disk
//! out/part-00000 …                   moved there when all are
//! out/_SUCCESS                       last: what is there is all of it
//! ```
//!
//! A process that dies leaves a directory without `_SUCCESS`. A run that fails takes back what it made: the directory, if
//! it was not there before.
//!
//! This does not go through `base::storage`. That keeps what belongs to this program, under names of its own, for one user
//! alone, in objects that fit into memory or are appended to; output belongs to other programs, is read by other users,
//! and is moved as whole files of any size. What it shares with it is the order: file, name, directory, each synced.
use super::{Output, part};
use crate::{Codec, Error, Result, Site};
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

const TEMPORARY: &str = "_temporary";
const SUCCESS: &str = "_SUCCESS";
const OWNER: &str = "_owner";

/// A directory being written. Dropped before [`commit`](Directory::commit) has succeeded, it takes back what was done.
pub(super) struct Directory {
    path: PathBuf,
    staging: PathBuf,
    /// It was not there before.
    made: bool,
    /// What was there is replaced, not only written over.
    replaces: bool,
    /// The files moved so far.
    moved: Vec<PathBuf>,
    done: bool,
    site: Site,
}

impl Directory {
    /// Makes the directory, or finds that it may be written over, and makes the place where files wait.
    pub(super) fn begin(output: Output, overwrite: bool, site: Site) -> Result<Self> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let Output { path, owner, .. } = output;
        let failed = |doing, path: &Path, source| Error::Output { doing, path: path.to_owned(), site, source };
        if path.as_os_str().is_empty() {
            let why = io::Error::new(ErrorKind::InvalidInput, "the path is empty");
            return Err(failed("creating", &path, why));
        }
        let made = make(&path).map_err(|(at, e)| failed("creating", &at, e))?;
        if !made {
            let is_ours = || match fs::read(path.join(OWNER)) {
                Ok(o) => Some(o.as_slice()) == owner.as_deref().map(str::as_bytes),
                // A process that died before it had said whose it is.
                Err(_) => fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none()),
            };
            let may = if owner.is_some() { is_ours() } else { overwrite && path.is_dir() };
            if !may {
                return Err(Error::OutputExists { path, site });
            }
        }
        let run = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Relaxed));
        let staging = path.join(TEMPORARY).join(run);
        let directory =
            Directory { path, staging, made, replaces: owner.is_some(), moved: Vec::new(), done: false, site };
        if let Some(owner) = owner.filter(|_| made || !directory.path.join(OWNER).exists()) {
            let at = directory.path.join(OWNER);
            durable(&at, owner.as_bytes()).map_err(|e| failed("writing", &at, e))?;
            sync(&directory.path).map_err(|e| failed("writing", &directory.path, e))?;
        }
        fs::create_dir_all(&directory.staging).map_err(|e| failed("creating", &directory.staging, e))?;
        Ok(directory)
    }
    /// Where tasks leave their files.
    pub(super) fn staging(&self) -> &Path {
        &self.staging
    }
    /// Moves the files of all partitions to their place, and says that they are all there.
    pub(super) fn commit(mut self, partitions: usize, codec: Option<Codec>) -> Result<()> {
        let (path, site) = (self.path.clone(), self.site);
        let failed = |doing, at: &Path, source| Error::Output { doing, path: at.to_owned(), site, source };
        // 1. From now on what was there before does not count as whole.
        let success = path.join(SUCCESS);
        if !self.made {
            absent(fs::remove_file(&success)).map_err(|e| failed("removing", &success, e))?;
            sync(&path).map_err(|e| failed("writing", &path, e))?;
        }
        // 2. The files.
        for p in 0..partitions {
            let name = part::name(p, codec);
            let to = path.join(&name);
            fs::rename(self.staging.join(&name), &to).map_err(|e| failed("moving a file to", &to, e))?;
            self.moved.push(to);
        }
        // 3. What a longer run left.
        if self.replaces && !self.made {
            self.remove_stale().map_err(|e| failed("removing old files in", &path, e))?;
        }
        // 4. Also what runs left that died.
        let temporary = path.join(TEMPORARY);
        if self.made || self.replaces {
            absent(fs::remove_dir_all(&temporary)).map_err(|e| failed("removing", &temporary, e))?;
        } else {
            fs::remove_dir_all(&self.staging).map_err(|e| failed("removing", &self.staging, e))?;
            // Another run may be at work there.
            let _ = fs::remove_dir(&temporary);
        }
        sync(&path).map_err(|e| failed("writing", &path, e))?;
        // 5. All of it is there.
        durable(&success, b"").and_then(|()| sync(&path)).map_err(|e| failed("writing", &success, e))?;
        self.done = true;
        Ok(())
    }
    fn remove_stale(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let at = entry?.path();
            let is_part = at.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"part-"));
            if is_part && !self.moved.contains(&at) {
                fs::remove_file(at)?;
            }
        }
        Ok(())
    }
}
impl Drop for Directory {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let taken = || {
            absent(fs::remove_dir_all(&self.staging))?;
            // Neither is empty if somebody else is at work there.
            let _ = fs::remove_dir(self.path.join(TEMPORARY));
            if self.made {
                self.moved.iter().try_for_each(fs::remove_file)?;
                absent(fs::remove_file(self.path.join(OWNER)))?;
                absent(fs::remove_file(self.path.join(SUCCESS)))?;
                fs::remove_dir(&self.path)?;
            }
            io::Result::Ok(())
        };
        if let Err(e) = taken() {
            tracing::warn!("the output directory {} could not be cleaned after a failure: {e}", self.path.display());
        }
    }
}

/// Makes a directory and those above it, durably; whether it was not there. An error says at which path.
fn make(path: &Path) -> Result<bool, (PathBuf, io::Error)> {
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let mut created = fs::create_dir(path);
    if created.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotFound) && above != path {
        make(above)?;
        created = fs::create_dir(path);
    }
    match created {
        Ok(()) => sync(above).map(|()| true).map_err(|e| (above.to_owned(), e)),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err((path.to_owned(), e)),
    }
}
fn durable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}
fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
/// That it is not there is fine.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
