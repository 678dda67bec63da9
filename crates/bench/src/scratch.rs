//! [`Scratch`]: a directory for what a workload keeps, which is removed with everything in it.
use crate::{Result, args::Args};
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new one, below `--directory` if that is given.
    pub(crate) fn new(args: &Args) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let within = args.directory.clone().unwrap_or_else(env::temp_dir);
        let name = format!("winterbourne-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        fs::create_dir_all(within.join(&name))?;
        Ok(Scratch(within.join(name)))
    }
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}
impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the temporary directory, or where the user said.
        let _ = fs::remove_dir_all(&self.0);
    }
}
