//! Text files that somebody listed before: exactly these, and of each exactly the bytes it had then.
use super::{splits, text_file::Reader};
use crate::{Chunk, Codec, Counters, Flow, Rdd, Site, SparkContext, Text, lineage::Count};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

impl SparkContext {
    /// The lines of files that were listed before, in their order, on behalf of `site`: of each file the first so many
    /// bytes, however long it is by now. Lines and compression are as for [`text_file`](SparkContext::text_file).
    ///
    /// Small files share partitions and large ones are cut, so that there are about as many partitions as threads. A path
    /// is taken as it is: no glob, nothing hidden. A file that is gone, or shorter than it was, is an error of the action.
    ///
    /// ```
    /// use winterbourne_engine::{Site, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let file = std::env::temp_dir().join(format!("winterbourne-listed-{}.txt", std::process::id()));
    /// std::fs::write(&file, "one\ntwo\nthree").unwrap();
    /// let lines = sc.text_files_at(Site::caller(), vec![(file.clone(), 7)]);
    /// assert_eq!(lines.collect()?, ["one", "two"]);
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn text_files_at(&self, site: Site, files: Vec<(PathBuf, u64)>) -> Rdd<Text> {
        let whole = |p: &Path| Codec::of(p).is_some();
        let packed = Arc::new(splits::pack(files, self.default_parallelism(), whole));
        self.leaf("text_files", site, Count::known(packed.len()), move |p, task| {
            let (packed, counters) = (packed.clone(), task.around.counters.clone());
            let (mut next, mut open) = (0, None::<Reader>);
            Ok(Flow::splittable(task, move || {
                loop {
                    if let Some(reader) = &mut open
                        && let Some(cut) = reader.next_block()?
                    {
                        Counters::add(&counters.invalid_utf8, cut.invalid_utf8);
                        return Ok(Some(Chunk::Own(cut.lines)));
                    }
                    open = None;
                    let Some(split) = packed[p].get(next) else { return Ok(None) };
                    next += 1;
                    open = Some(Reader::open(split.clone(), site)?);
                }
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write};
    use winterbourne_base::SparkConf;

    fn context() -> SparkContext {
        SparkContext::new(SparkConf::empty().set_app_name("test").set_master("local[2]")).unwrap()
    }
    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("winterbourne-listed-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }
    #[test]
    fn reads_what_was_listed_however_the_files_grew() {
        let (sc, dir) = (context(), dir("grew"));
        let line = |i: usize| format!("line {i} {}\n", "x".repeat(i % 90));
        let text: String = (0..60_000).map(line).collect();
        let (big, odd, zipped) = (dir.join("big"), dir.join("a,b*[1].txt"), dir.join("z.gz"));
        fs::write(&big, &text).unwrap();
        fs::write(&odd, "odd").unwrap();
        let mut gz = flate2::write::GzEncoder::new(fs::File::create(&zipped).unwrap(), flate2::Compression::fast());
        gz.write_all(b"zip\nped").unwrap();
        gz.finish().unwrap();
        let files: Vec<_> =
            [&big, &odd, &zipped].map(|p| (p.clone(), fs::metadata(p).unwrap().len())).into_iter().collect();
        for file in [&big, &odd, &zipped] {
            fs::OpenOptions::new().append(true).open(file).unwrap().write_all(b"more\nand more").unwrap();
        }
        let lines = sc.text_files_at(Site::caller(), files);
        let partitions = lines.num_partitions().unwrap();
        assert_eq!(partitions, 2, "the small ones share with the second half of the large one");
        let mut expect: Vec<String> = text.lines().map(str::to_owned).collect();
        expect.extend(["odd", "zip", "ped"].map(str::to_owned));
        assert!(lines.collect().unwrap() == expect);
        fs::remove_dir_all(dir).unwrap();
    }
    #[test]
    fn a_file_that_is_gone_or_shorter_is_an_error_with_its_path() {
        let (sc, dir) = (context(), dir("gone"));
        let (gone, short) = (dir.join("gone"), dir.join("short"));
        fs::write(&short, "abc").unwrap();
        for (file, what) in [(gone, "opening"), (short, "it has 3 bytes now and had 4")] {
            let error = sc.text_files_at(Site::caller(), vec![(file.clone(), 4)]).collect().unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(file.to_str().unwrap()), "{error}");
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
