//! Files that a program gives its tasks: copied into a private directory of the context, found there by name.
use super::{Inner, SparkContext};
use crate::{Error, Result, Site};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use winterbourne_base::conf::keys;

/// What was added to a context.
#[derive(Default)]
pub(crate) struct Files(Mutex<Added>);
#[derive(Default)]
struct Added {
    /// Made with the first file.
    directory: Option<PathBuf>,
    /// Where each came from, by the name it has now.
    from: BTreeMap<String, PathBuf>,
}
impl Files {
    fn added(&self) -> MutexGuard<'_, Added> {
        self.0.lock().expect("plain values")
    }
    pub(super) fn remove(&self) {
        let added = std::mem::take(&mut *self.added());
        if let Some(directory) = added.directory
            && let Err(e) = fs::remove_dir_all(&directory)
        {
            tracing::warn!("cannot remove {}, the directory of added files: {e}", directory.display());
        }
    }
}
impl Drop for Files {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Finds the files that were added to a context, from any thread, tasks included; made by
/// [`SparkContext::spark_files`].
#[derive(Clone)]
pub struct SparkFiles(Weak<Inner>);
impl SparkFiles {
    /// Where a file or directory is that was added under this name.
    ///
    /// # Errors
    /// [`Error::AddedFile`] if there is none of that name, or the context is gone.
    #[track_caller]
    pub fn get(&self, name: &str) -> Result<PathBuf> {
        let missing = |why: String| Error::AddedFile {
            doing: format!("looking at {} for the added file", Site::caller()),
            path: name.into(),
            why,
        };
        let inner =
            self.0.upgrade().ok_or_else(|| missing("the SparkContext is gone, and its files with it".into()))?;
        let added = inner.files.added();
        match &added.directory {
            Some(directory) if added.from.contains_key(name) => Ok(directory.join(name)),
            _ => Err(missing(format!(
                "no file of that name was added; there are: {}",
                added.from.keys().cloned().collect::<Vec<_>>().join(", ")
            ))),
        }
    }
    /// The directory of added files, if there are any.
    #[doc(alias = "getRootDirectory")]
    pub fn root_directory(&self) -> Option<PathBuf> {
        self.0.upgrade()?.files.added().directory.clone()
    }
}

impl SparkContext {
    /// Gives tasks a copy of a file as it is now, under its name, until the context ends. Adding the same file again
    /// changes nothing. Files come from this machine: a path, or a `file:` URI.
    ///
    /// ```
    /// use winterbourne_engine::{SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let source = std::env::temp_dir().join(format!("winterbourne-doc-{}.txt", std::process::id()));
    /// # let name = source.file_name().unwrap().to_str().unwrap().to_owned();
    /// std::fs::write(&source, "7")?;
    /// sc.add_file(&source)?;
    /// std::fs::remove_file(&source)?;
    /// let files = sc.spark_files();
    /// let scaled = sc.range(0..3, 1).map(move |x| {
    ///     let factor = std::fs::read_to_string(files.get(&name).unwrap()).unwrap();
    ///     x * factor.parse::<u64>().unwrap()
    /// });
    /// assert_eq!(scaled.collect()?, [0, 7, 14]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::AddedFile`] for a directory (see
    /// [`add_directory`](SparkContext::add_directory)), another file of that name, or what cannot be read or copied.
    #[doc(alias = "addFile")]
    #[track_caller]
    pub fn add_file(&self, path: impl AsRef<Path>) -> Result<()> {
        self.add(path.as_ref(), false, Site::caller())
    }
    /// The same for a directory with all it contains: Spark's `addFile` with `recursive`. Symbolic links inside are
    /// followed to files, and not to directories.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-dir-{}", std::process::id()));
    /// std::fs::create_dir(&dir)?;
    /// std::fs::write(dir.join("names.txt"), "tea")?;
    /// sc.add_directory(&dir)?;
    /// assert_eq!(sc.list_files(), [dir.clone()]);
    /// let files = sc.spark_files();
    /// let copy = files.get(dir.file_name().unwrap().to_str().unwrap())?;
    /// assert!(copy.starts_with(files.root_directory().unwrap()));
    /// assert_eq!(std::fs::read_to_string(copy.join("names.txt"))?, "tea");
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`add_file`](SparkContext::add_file).
    #[track_caller]
    pub fn add_directory(&self, path: impl AsRef<Path>) -> Result<()> {
        self.add(path.as_ref(), true, Site::caller())
    }
    /// The files and directories that were added, as they were named then.
    #[doc(alias = "listFiles")]
    pub fn list_files(&self) -> Vec<PathBuf> {
        self.inner.files.added().from.values().cloned().collect()
    }
    /// Finds added files, for closures to capture.
    #[doc(alias = "SparkFiles")]
    pub fn spark_files(&self) -> SparkFiles {
        SparkFiles(Arc::downgrade(&self.inner))
    }

    fn add(&self, given: &Path, recursive: bool, site: Site) -> Result<()> {
        let refuse = |why: String| Error::AddedFile { doing: format!("adding at {site}"), path: given.to_owned(), why };
        if self.is_stopped() {
            return Err(Error::Stopped { what: "add_file", site });
        }
        let text = given.to_string_lossy();
        let path = match text.split_once(':') {
            Some(("file", rest)) => Path::new(rest.strip_prefix("//").unwrap_or(rest)).to_owned(),
            // A letter alone is a Windows drive.
            Some((scheme, rest)) if scheme.len() > 1 && rest.starts_with("//") => {
                return Err(refuse(format!("`{scheme}:` is not supported; fetch it first, and add the copy")));
            }
            _ => given.to_owned(),
        };
        let path = path.canonicalize().map_err(|e| refuse(e.to_string()))?;
        let is_dir = path.is_dir();
        if is_dir && !recursive {
            return Err(refuse("is a directory and recursive is not turned on; use `add_directory`".into()));
        }
        if !is_dir && recursive {
            return Err(refuse("is no directory; use `add_file`".into()));
        }
        let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| refuse("it has no name in UTF-8".into()))?;
        let mut added = self.inner.files.added();
        match added.from.get(name) {
            Some(known) if *known == path => {
                tracing::warn!("{} has been added already; it is not copied again", path.display());
                return Ok(());
            }
            Some(known) => return Err(refuse(format!("{} was added under that name before", known.display()))),
            None => {}
        }
        let directory = match &added.directory {
            Some(directory) => directory.clone(),
            None => {
                let above = self.inner.conf.value(keys::LOCAL_DIR)?.map_or_else(std::env::temp_dir, PathBuf::from);
                let made =
                    private_directory(&above).map_err(|e| refuse(format!("cannot make a directory for it: {e}")))?;
                added.directory.insert(made).clone()
            }
        };
        let to = directory.join(name);
        let copied = if is_dir { copy_all(&path, &to) } else { fs::copy(&path, &to).map(drop) };
        if let Err(e) = copied {
            let _ = if is_dir { fs::remove_dir_all(&to) } else { fs::remove_file(&to) };
            return Err(refuse(format!("cannot copy it to {}: {e}", to.display())));
        }
        added.from.insert(name.to_owned(), path.clone());
        Ok(())
    }
}

/// A new directory that only this user can look into.
fn private_directory(above: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let name = format!("winterbourne-files-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = above.join(name);
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Ok(()) => return Ok(path),
            // Left by a process that had our number.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    let mut todo = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = todo.pop() {
        fs::create_dir(&to)?;
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                todo.push((entry.path(), target));
            } else {
                fs::copy(entry.path(), target)?;
            }
        }
    }
    Ok(())
}
