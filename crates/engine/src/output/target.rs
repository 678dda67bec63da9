//! [`Output`]: where an action writes, and how.
use crate::Codec;
use std::path::{Path, PathBuf};

/// Where an action writes its files: a directory that is not there yet, how its files are packed, and what may be there
/// already. A path alone is one too.
///
/// ```
/// use winterbourne_engine::{Codec, Output};
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-output-{}", std::process::id()));
/// let mine = Output::to(&dir).codec(Codec::Zstd).replacing("nightly report");
/// sc.range(0..3, 3).save_as_text_file(mine.clone())?;
/// sc.range(0..2, 2).save_as_text_file(mine)?; // again, and nothing of the first run stays
/// assert_eq!(sc.text_file(dir.to_str().unwrap(), 1).collect()?, ["0", "1"]);
/// assert!(sc.range(0..2, 2).save_as_text_file(&dir).is_err(), "anybody else may not write over it");
/// # std::fs::remove_dir_all(dir).unwrap();
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Output {
    pub(crate) path: PathBuf,
    pub(crate) codec: Option<Codec>,
    pub(super) owner: Option<String>,
}
impl Output {
    /// Files in this directory, as they are.
    pub fn to(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let plain = path.to_str().and_then(|p| p.strip_prefix("file://")).map(PathBuf::from);
        Output { path: plain.unwrap_or_else(|| path.to_owned()), codec: None, owner: None }
    }
    /// Packs each file, and says so in its name.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }
    /// Replaces the directory if the same owner wrote it, or began to: an output that is written again, such as that of a
    /// batch that is tried again. The owner is any text; it is kept in the file `_owner`. A directory of anybody else's is
    /// refused, unless it is empty: that is what a process leaves that dies as it begins.
    ///
    /// While files are replaced there is no `_SUCCESS`.
    pub fn replacing(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }
}
impl<P: AsRef<Path>> From<P> for Output {
    fn from(path: P) -> Self {
        Output::to(path)
    }
}
