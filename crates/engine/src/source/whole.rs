//! Whole files as records.
use super::{
    open::Input,
    splits::{self, Pieces},
};
use crate::{Chunk, Counters, Flow, Rdd, Site, SparkContext, Text};
use std::path::PathBuf;
use winterbourne_base::conf::keys;

/// The files of `path`, put together until a group has as many bytes as `enough` says of all sizes.
pub(super) fn groups(
    path: String,
    site: Site,
    enough: impl Fn(&[u64]) -> u64 + Send + Sync + 'static,
) -> Pieces<Vec<PathBuf>> {
    Pieces::of(move || {
        let files = splits::list(&path, site)?;
        let sizes: Vec<u64> = files.iter().map(|f| f.1).collect();
        Ok(splits::gather(files, enough(&sizes)))
    })
}
impl SparkContext {
    /// Text files as a whole: a record is the path of a file and all of its text. Paths, hidden names and packed files are
    /// as for [`text_file`](SparkContext::text_file); empty files are records too, a byte-order mark stays, line ends stay.
    /// Bytes that are not UTF-8 become U+FFFD, and the file is counted ([`SparkContext::counts`]).
    ///
    /// Small files share partitions, in their order, so that about `min_partitions` come out. A file must fit into memory:
    /// one of more than `spark.files.maxWholeSize` bytes (1 GiB), unpacked, fails its task.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-whole-{}", std::process::id()));
    /// # std::fs::create_dir(&dir).unwrap();
    /// std::fs::write(dir.join("a"), "1\n2\n").unwrap();
    /// std::fs::write(dir.join("b"), "").unwrap();
    /// let sizes = sc.whole_text_files(dir.to_str().unwrap(), 1).map(|(path, text)| (path, text.len()));
    /// let (a, b) = (dir.join("a"), dir.join("b"));
    /// assert_eq!(sizes.collect()?, [(a.to_str().unwrap().into(), 4), (b.to_str().unwrap().into(), 0)]);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "wholeTextFiles")]
    #[track_caller]
    pub fn whole_text_files(&self, path: impl Into<String>, min_partitions: usize) -> Rdd<(Text, Text)> {
        let (site, most) = (Site::caller(), self.most_of_a_file());
        let share = move |sizes: &[u64]| sizes.iter().sum::<u64>().div_ceil(min_partitions.max(1) as u64);
        let groups = groups(path.into(), site, share);
        self.leaf("whole_text_files", site, groups.count.clone(), move |group, task| {
            let (mut files, task) = (groups.get(group)?.clone().into_iter(), task.clone());
            // Not shared with idle threads, which read ahead: one whole file at a time is enough.
            Ok(Flow::new(move || {
                task.check()?;
                let Some(path) = files.next() else { return Ok(None) };
                let bytes = Input::open(&path, 0, None, site)?.whole(most)?;
                let text = String::from_utf8(bytes).unwrap_or_else(|e| {
                    Counters::add(&task.around.counters.invalid_utf8, 1);
                    String::from_utf8_lossy(e.as_bytes()).into_owned()
                });
                Ok(Some(Chunk::Own(vec![(Text::new(&path.to_string_lossy()), Text::from(text))])))
            }))
        })
    }
    /// The most bytes of a file that is in memory as a whole.
    pub(super) fn most_of_a_file(&self) -> u64 {
        let most = self.conf().value(keys::FILES_MAX_WHOLE).expect("checked when the context was made");
        most.0.min(u32::MAX.into())
    }
}
