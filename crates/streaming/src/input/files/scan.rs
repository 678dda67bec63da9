//! Looking at directories: which a pattern means, and what is in one. Knows nothing of streams; asks, name by name, what
//! is worth a look.
use super::version::Mark;
use std::{
    fs::{self, DirEntry, FileType},
    io,
    path::{Path, PathBuf},
};

/// What is wanted of a name in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// It is none of ours.
    Away,
    /// That it is there, no more.
    Glance,
    /// Its size and time.
    Closely,
}
/// What is there under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Something, not looked at.
    Something,
    File(Mark),
    /// No file that could be read, and why.
    Odd(String),
}

/// What a path or a glob means.
#[derive(Default)]
pub(super) struct Directories {
    /// In the order of their names.
    pub(super) found: Vec<PathBuf>,
    /// Where a glob finds nothing or cannot look, and why; the next time it may.
    pub(super) failed: Vec<(String, String)>,
}

/// The directories that a path or a glob means. One that is named is found whether it exists or not; a glob means those that
/// exist and are not hidden.
///
/// # Errors
/// What is wrong with the pattern.
pub(super) fn directories(pattern: &Path) -> Result<Directories, String> {
    let text = pattern.to_str().ok_or("it is not UTF-8")?;
    let mut directories = Directories::default();
    if !text.contains(['*', '?', '[']) || pattern.exists() {
        directories.found.push(pattern.to_owned());
        return Ok(directories);
    }
    for path in glob::glob(text).map_err(|e| e.msg.to_owned())? {
        match path {
            Ok(path) if path.file_name().is_some_and(|n| hidden(&n.to_string_lossy())) || !path.is_dir() => {}
            Ok(path) => directories.found.push(path),
            Err(e) => directories.failed.push((e.path().to_string_lossy().into_owned(), e.error().to_string())),
        }
    }
    if directories.found.is_empty() && directories.failed.is_empty() {
        directories.failed.push((text.to_owned(), "no directory matches it".to_owned()));
    }
    Ok(directories)
}

/// A directory's own modification time in nanoseconds, which changes when names come or go.
pub(super) fn stamp(dir: &Path) -> Option<u64> {
    Some(Mark::of(&fs::metadata(dir).ok()?).ok()?.modified_ns)
}

/// The files of a directory, in no order; directories in it are passed over. An entry that is gone when it is looked at
/// was never there.
///
/// # Errors
/// If not all names could be had; then none is returned.
pub(super) fn list(dir: &Path, mut look: impl FnMut(usize, &str) -> Look) -> io::Result<Vec<(String, Found)>> {
    let mut found = Vec::new();
    for (i, entry) in fs::read_dir(dir)?.enumerate() {
        let entry = entry?;
        let name = match entry.file_name().into_string() {
            Ok(name) => name,
            Err(name) => {
                found
                    .push((name.to_string_lossy().into_owned(), Found::Odd("its name is not UTF-8: rename it".into())));
                continue;
            }
        };
        match if hidden(&name) { Look::Away } else { look(i, &name) } {
            Look::Away => {}
            Look::Glance => found.push((name, Found::Something)),
            Look::Closely => found.extend(closely(&entry).map(|f| (name, f))),
        }
    }
    Ok(found)
}

/// Names that begin so are somebody's work in progress.
fn hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

fn closely(entry: &DirEntry) -> Option<Found> {
    let odd = |e: io::Error| Some(Found::Odd(e.to_string()));
    let kind = match entry.file_type() {
        Ok(kind) => kind,
        Err(e) => return if e.kind() == io::ErrorKind::NotFound { None } else { odd(e) },
    };
    // Relative to the open directory: several times cheaper than by path, and most entries are plain files.
    let meta = if kind.is_symlink() { fs::metadata(entry.path()) } else { entry.metadata() };
    match meta {
        Ok(meta) if meta.is_dir() => None,
        Ok(meta) if meta.is_file() => Some(Mark::of(&meta).map_or_else(|e| Found::Odd(e.to_string()), Found::File)),
        Ok(meta) => Some(Found::Odd(strange(meta.file_type()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !kind.is_symlink() => None,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Some(Found::Odd("it is a link to nothing".into())),
        Err(e) => odd(e),
    }
}
fn strange(kind: FileType) -> String {
    format!("it is no regular file ({kind:?})")
}

/// Whether a file can be opened, and what it looks like then. Only for what was a regular file: opening a pipe waits.
///
/// # Errors
/// `NotFound` if it is gone.
pub(super) fn probe(path: &Path) -> io::Result<Mark> {
    Mark::of(&fs::File::open(path)?.metadata()?)
}
