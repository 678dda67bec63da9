//! [`Own`]: the directories of a sink, and what happens in them: how a batch becomes visible, and what is synced when.
use super::gather::Plan;
use std::{
    collections::BTreeSet,
    fmt::Display,
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};
use winterbourne_base::{Time, failpoint};
use winterbourne_engine::BoxError;

/// Where a sink keeps what is not in its place.
#[derive(Clone)]
pub(super) struct Own {
    pub(super) directory: PathBuf,
    pub(super) staging: PathBuf,
    pub(super) committed: PathBuf,
    pub(super) open: PathBuf,
    pub(super) last: PathBuf,
    pub(super) lock: PathBuf,
}
impl Own {
    /// Of the sink that is called so. Nothing is made yet.
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        let base = directory.join(format!("_sink-{}", file_name(name)));
        Own {
            directory: directory.to_owned(),
            staging: base.join("staging"),
            committed: base.join("committed"),
            open: base.join("open"),
            last: base.join("last"),
            lock: base.join("lock"),
        }
    }
    pub(super) fn staged(&self, batch: Time) -> PathBuf {
        self.staging.join(batch.as_millis().to_string())
    }
    /// Brings every file of a committed batch to its place, or what is in them to the files of its period, and notes the
    /// batch.
    pub(super) fn finish(&self, batch: &Path) -> Result<(), BoxError> {
        let time = batch.file_name().ok_or("a batch without a name")?.to_owned();
        let plan = Plan::read(batch)?;
        match &plan {
            Some(plan) => plan.carry_out(self, batch)?,
            None => {
                let below = |file: PathBuf| Ok((file.clone(), self.directory.join(file.strip_prefix(batch)?)));
                move_into(files_below(batch)?.into_iter().map(below).collect::<Result<_, BoxError>>()?)
                    .map_err(|e| format!("{e}; the batch lies in {}", batch.display()))?;
            }
        }
        failpoint::hit("files.moved");
        let aside = self.last.with_extension("new");
        let note = || {
            let mut file = File::create(&aside)?;
            file.write_all(time.as_encoded_bytes())?;
            file.sync_all()?;
            fs::rename(&aside, &self.last)
        };
        note().map_err(|e| failed("write", &self.last, e))?;
        sync(self.last.parent().ok_or("a file without a directory")?)?;
        failpoint::hit("files.noted");
        if plan.is_none() {
            return remove_all(batch);
        }
        // SUBTLE: a directory goes bit by bit, and half of a batch could not be gathered again. A rename is whole, and what is
        // in `staging` is thrown away by whoever comes next.
        let done = self.staging.join(time);
        fs::rename(batch, &done).map_err(|e| failed("put aside", batch, e))?;
        sync(&self.committed)?;
        failpoint::hit("files.retired");
        remove_all(&done)
    }
}

/// Moves files to where readers see them, durably.
///
/// # Errors
/// Also that there is one already.
pub(super) fn move_into(files: Vec<(PathBuf, PathBuf)>) -> Result<(), BoxError> {
    let mut places = BTreeSet::new();
    for (file, to) in files {
        let place = to.parent().ok_or("a file without a directory")?;
        if places.insert(place.to_owned()) {
            make(place)?;
        }
        // What was moved is not in the list again, so this is no second look at one of them.
        is_free(&to)?;
        fs::rename(&file, &to).map_err(|e| failed("move a file to", &to, e))?;
        failpoint::hit("files.shown");
    }
    places.iter().try_for_each(|p| sync(p))
}
/// # Errors
/// It is not.
pub(super) fn is_free(at: &Path) -> Result<(), BoxError> {
    // A link to nothing is something.
    match fs::symlink_metadata(at) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed("look at", at, e)),
        Ok(_) => Err(format!(
            "there is a {} already, of another sink or an earlier program; nothing is replaced. Give this sink another \
             directory or ending, or move that file away",
            at.display()
        )
        .into()),
    }
}

/// A name for the file system: letters, digits, `-` and `_` stay, everything else becomes its number.
fn file_name(name: &str) -> String {
    let part = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => (b as char).to_string(),
        _ => format!("%{b:02x}"),
    };
    name.bytes().map(part).collect()
}
pub(super) fn failed(doing: &str, at: &Path, e: impl Display) -> BoxError {
    format!("cannot {doing} {}: {e}", at.display()).into()
}
/// Makes a directory and those above it, durably.
pub(super) fn make(path: &Path) -> Result<(), BoxError> {
    let above = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::create_dir(path) {
        Ok(()) => sync(above),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound && above != path => {
            make(above)?;
            match fs::create_dir(path) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(failed("make", path, e)),
                _ => sync(above),
            }
        }
        Err(e) => Err(failed("make", path, e)),
    }
}
pub(super) fn sync(directory: &Path) -> Result<(), BoxError> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| failed("sync", directory, e))
}
/// That it is not there is fine.
pub(super) fn remove_all(path: &Path) -> Result<(), BoxError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("remove", path, e)),
        _ => Ok(()),
    }
}
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>, BoxError> {
    let all = fs::read_dir(directory).and_then(|all| all.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>());
    all.map_err(|e| failed("list", directory, e))
}
/// All files, at any depth.
pub(super) fn files_below(directory: &Path) -> Result<Vec<PathBuf>, BoxError> {
    let mut files = Vec::new();
    for path in entries(directory)? {
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    Ok(files)
}
