//! Data several times as large as the memory budget: results are those of dull code over vectors, the directory is empty
//! afterwards, and what cannot be done says so.
mod errors;
mod results;

use std::{fs, path::Path};
use winterbourne_engine::{SparkConf, SparkContext};

/// A directory that goes with its owner.
pub(crate) struct Dir(std::path::PathBuf);
impl Dir {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(winterbourne_base::scratch::unique());
        fs::create_dir(&path).expect("a new directory");
        Dir(path)
    }
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
    /// Files in it and below.
    pub(crate) fn files(&self) -> usize {
        fn count(dir: &Path) -> usize {
            let entries = fs::read_dir(dir).expect("readable").map(|e| e.expect("readable"));
            entries
                .map(|e| if e.path().is_dir() { count(&e.path()) } else { usize::from(e.file_name() != "lock") })
                .sum()
        }
        count(&self.0)
    }
}
impl Drop for Dir {
    fn drop(&mut self) {
        // What a failing test leaves may be in use.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A context with this budget that spills into the directory.
pub(crate) fn context(master: &str, budget: &str, dir: &Dir) -> SparkContext {
    let conf = SparkConf::empty().set_app_name("spill").set_master(master);
    let conf = conf.set("spark.memory.size", budget).set("spark.local.dir", dir.path().to_str().expect("plain"));
    SparkContext::new(conf).expect("a context")
}
