//! What the tests of the engine share: contexts, temporary directories, and a program run everywhere.
use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use winterbourne_engine::{Result, SparkConf, SparkContext};

/// A configuration for this master.
pub(crate) fn conf(master: &str) -> SparkConf {
    SparkConf::empty().set_app_name("test").set_master(master)
}
/// A context on this master.
pub(crate) fn context(master: &str) -> SparkContext {
    SparkContext::new(conf(master)).expect("a good configuration")
}
/// A context of so many threads.
pub(crate) fn threads(n: usize) -> SparkContext {
    context(&format!("local[{n}]"))
}
pub(crate) fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}
/// The slices that `parallelize` makes: element i*n/p to (i+1)*n/p.
pub(crate) fn slices<T: Clone>(all: &[T], p: usize) -> Vec<Vec<T>> {
    (0..p).map(|i| all[all.len() * i / p..all.len() * (i + 1) / p].to_vec()).collect()
}

/// Runs a program in one process and on two lanes; all three results must agree.
pub(crate) fn everywhere<R: PartialEq + Debug + Send + 'static>(
    threads: usize,
    program: impl Fn(&SparkContext) -> Result<R> + Send + Sync + 'static,
) -> R {
    let conf = conf(&format!("local[{threads}]"));
    let local = program(&SparkContext::new(conf.clone()).expect("a good configuration")).expect("runs in one process");
    for (lane, result) in winterbourne_testkit::lanes::run_on_lanes(2, &conf, program).into_iter().enumerate() {
        let result = result.unwrap_or_else(|e| panic!("lane {lane}: {e}"));
        assert_eq!(result, local, "lane {lane} against one process");
    }
    local
}

/// The names in a directory, sorted; none if there is no directory.
pub(crate) fn listed(dir: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    sorted(entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect())
}

/// A directory that is gone when dropped.
pub(crate) struct TempDir(PathBuf);
impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("winterbourne-engine-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new directory among the temporary files");
        TempDir(path)
    }
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
    /// The path of an entry, as `text_file` wants it.
    pub(crate) fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("temporary paths are UTF-8").to_owned()
    }
    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.at(name);
        std::fs::write(&path, bytes).expect("writing a temporary file");
        path
    }
    /// The same for a file that may be there: as a new one, because file systems wait for the disk when a file is cut.
    pub(crate) fn again(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let _ = std::fs::remove_file(self.at(name));
        self.file(name, bytes)
    }
    pub(crate) fn dir(&self, name: &str) -> String {
        let path = self.at(name);
        std::fs::create_dir(&path).expect("a new directory");
        path
    }
}
impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
