//! File streams: each batch is the files that came into a directory since the one before.
//!
//! A file is identified by path, size and modification time, and each version is read once. `scan` looks at directories;
//! `ledger` decides which files are to be read and knows no file system; `report` says what was left out; `input` puts
//! them together on the driver, in the batch loop. The records are read by the engine, from a plan that names every file
//! and how much of it.
mod input;
mod ledger;
mod options;
mod report;
mod scan;
mod version;

#[cfg(test)]
mod tests;

pub use options::{FileCounts, FileStreamOptions};
pub use version::StreamFile;

use super::add_input;
use crate::{DStream, StreamingContext};
use input::{FileInput, Reading};
use std::{
    io::{self, Read},
    path::{Path, PathBuf, absolute},
    sync::Arc,
};
use winterbourne_base::conf::{ConfError, keys};
use winterbourne_engine::{
    CHUNK, Chunk, Codec, Data, Error, Flow, Rdd, Site, SparkContext, Task, Text, at, why_not_text,
};

/// Partitions for each thread where files are not cut: a long one does not keep the others waiting.
const WAVES: usize = 4;

impl StreamingContext {
    /// The lines of files that come into a directory. `dir` is a directory, or a glob of directories; directories inside
    /// are not looked into, and names that begin with `.` or `_` are left out.
    ///
    /// **Move files in when they are complete**: write them elsewhere on the same file system, or under a hidden name, and
    /// rename. The batch of t takes the files modified until t that no batch took before, in the order of their times, and
    /// of each the bytes it has then; the last line needs no end. An empty file is waited for. What is more than a batch may
    /// hold ([`Tick::limit`](crate::Tick::limit), in bytes) waits for the next one; a batch has one file at least. Lines, packed
    /// files and partitions are as for [`SparkContext::text_files_at`].
    ///
    /// Not read, but counted ([`FileStreamOptions::counts`]) and said once in the log: files that were there before the
    /// stream was started; those older than `spark.streaming.fileStream.minRememberDuration` when they are first seen;
    /// what is appended to a file, or put in its place, after it was read. A directory that is missing is waited for. A file
    /// that is gone, shorter or damaged when its batch is run fails the batch, which is tried again, unless
    /// [`FileStreamOptions::skip_unreadable`] leaves it out.
    ///
    /// A restart from a checkpoint continues where the stream was: files that came meanwhile are read, however long that
    /// took. Files must stay as long as batches, or windows, that are not done may need them.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, minutes};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, minutes(60))?;
    /// let dir = std::env::temp_dir().join(format!("winterbourne-text-{}", std::process::id()));
    /// std::fs::create_dir_all(&dir)?;
    /// let (told, lines) = std::sync::mpsc::channel();
    /// ssc.text_file_stream(&dir).foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// let mut stream = ssc.start_stepped()?;
    /// std::fs::write(dir.join(".part"), "to be\nor not")?;
    /// std::fs::rename(dir.join(".part"), dir.join("part"))?;
    /// stream.step()?;
    /// assert_eq!(lines.try_recv()?, ["to be", "or not"]);
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "textFileStream")]
    #[track_caller]
    pub fn text_file_stream(&self, dir: impl AsRef<Path>) -> DStream<Text> {
        self.lines_at(Site::caller(), dir.as_ref(), FileStreamOptions::default())
    }
    /// [`text_file_stream`](StreamingContext::text_file_stream) with options: which files are read.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{FileStreamOptions, StreamingContext, seconds};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-once-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// std::fs::write(dir.join("a.csv"), "1,one\n2,two\n")?;
    /// std::fs::write(dir.join("notes"), "not this")?;
    /// let csv = |path: &std::path::Path| path.extension().is_some_and(|e| e == "csv");
    /// let options = FileStreamOptions::default().filter(csv).once();
    /// let counts = options.counts();
    /// ssc.text_file_stream_with(&dir, options).print();
    /// ssc.start_stepped()?.step()?;
    /// assert_eq!(counts().read, 1);
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn text_file_stream_with(&self, dir: impl AsRef<Path>, options: FileStreamOptions) -> DStream<Text> {
        self.lines_at(Site::caller(), dir.as_ref(), options)
    }
    fn lines_at(&self, site: Site, dir: &Path, options: FileStreamOptions) -> DStream<Text> {
        let rdd = move |sc: &SparkContext, files: &[StreamFile]| {
            sc.text_files_at(site, files.iter().map(|f| (f.path().to_owned(), f.size())).collect())
        };
        let reading = Reading { unfit: why_not_text, check: Arc::new(unpacks), site, rdd: Box::new(rdd) };
        self.files_at("text_file_stream", site, dir, options, reading)
    }
    /// What `read` makes of the files that come into a directory; which they are is as for
    /// [`text_file_stream`](StreamingContext::text_file_stream). `read` runs in tasks, once for each file and attempt; an
    /// error, also one among the records, fails the task. A file is not cut.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{FileStreamOptions, StreamFile, StreamingContext, seconds};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-parse-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// use std::io::{BufRead, BufReader};
    /// std::fs::write(dir.join("a"), "x;y;z")?;
    /// let options = FileStreamOptions::default().once();
    /// let fields = ssc.file_stream(&dir, options, |file: &StreamFile| {
    ///     let fields = BufReader::new(file.open()?).split(b';');
    ///     Ok(fields.map(|field| Ok(String::from_utf8_lossy(&field?).into_owned())))
    /// });
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// # fields.foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// # ssc.start_stepped()?.step()?;
    /// # assert_eq!(seen.try_recv()?, ["x", "y", "z"]);
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "fileStream")]
    #[track_caller]
    pub fn file_stream<T: Data, I: Iterator<Item = io::Result<T>> + 'static>(
        &self,
        dir: impl AsRef<Path>,
        options: FileStreamOptions,
        read: impl Fn(&StreamFile) -> io::Result<I> + Send + Sync + 'static,
    ) -> DStream<T> {
        let read = Arc::new(read);
        let check = read.clone();
        let check = move |file: &StreamFile| check(file)?.try_for_each(|record| record.map(drop));
        self.parsed_at("file_stream", Site::caller(), dir.as_ref(), options, |_| None, (read, check))
    }
    /// The bytes of the files that come into a directory, cut into records of `record_length`; which files they are, and how
    /// packed ones are unpacked, is as for [`text_file_stream`](StreamingContext::text_file_stream). A file of another
    /// length, unpacked, than a multiple of it fails the batch.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, minutes};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, minutes(60))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-binary-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// let numbers = ssc.binary_records_stream(&dir, 2).map(|r| u16::from_le_bytes([r[0], r[1]]));
    /// # numbers.foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// # let mut stream = ssc.start_stepped()?;
    /// std::fs::write(dir.join("a"), [1, 0, 0, 1])?;
    /// # stream.step()?;
    /// # assert_eq!(seen.try_recv()?, [1, 256]);
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "binaryRecordsStream")]
    #[track_caller]
    pub fn binary_records_stream(&self, dir: impl AsRef<Path>, record_length: usize) -> DStream<Vec<u8>> {
        self.binary_at(Site::caller(), dir.as_ref(), record_length, FileStreamOptions::default())
    }
    /// [`binary_records_stream`](StreamingContext::binary_records_stream) with options: which files are read.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{FileStreamOptions, StreamingContext, seconds};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-binary-once-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// std::fs::write(dir.join("a"), [1, 0, 0, 1])?;
    /// let records = ssc.binary_records_stream_with(&dir, 2, FileStreamOptions::default().once());
    /// # records.foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// # ssc.start_stepped()?.step()?;
    /// # assert_eq!(seen.try_recv()?, [[1, 0], [0, 1]]);
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn binary_records_stream_with(
        &self,
        dir: impl AsRef<Path>,
        record_length: usize,
        options: FileStreamOptions,
    ) -> DStream<Vec<u8>> {
        self.binary_at(Site::caller(), dir.as_ref(), record_length, options)
    }
    fn binary_at(&self, site: Site, dir: &Path, length: usize, options: FileStreamOptions) -> DStream<Vec<u8>> {
        if length == 0 {
            self.graph().wrong(site, "records of no length; the record length must be positive");
        }
        let check = move |file: &StreamFile| match Codec::of(file.path()) {
            Some(_) => binary(file, length)?.try_for_each(|record| record.map(drop)),
            None => binary(file, length).map(drop),
        };
        let read = Arc::new(move |file: &StreamFile| binary(file, length));
        self.parsed_at("binary_records_stream", site, dir, options, why_not_text, (read, check))
    }
    fn parsed_at<T: Data, I: Iterator<Item = io::Result<T>> + 'static>(
        &self,
        kind: &'static str,
        site: Site,
        dir: &Path,
        options: FileStreamOptions,
        unfit: fn(&Path) -> Option<String>,
        (read, check): (
            Arc<impl Fn(&StreamFile) -> io::Result<I> + Send + Sync + 'static>,
            impl Fn(&StreamFile) -> io::Result<()> + Send + Sync + 'static,
        ),
    ) -> DStream<T> {
        let rdd = move |sc: &SparkContext, files: &[StreamFile]| parsed(sc, site, files, read.clone());
        self.files_at(kind, site, dir, options, Reading { unfit, check: Arc::new(check), site, rdd: Box::new(rdd) })
    }
    fn files_at<T: Data>(
        &self,
        kind: &'static str,
        site: Site,
        dir: &Path,
        options: FileStreamOptions,
        reading: Reading<T>,
    ) -> DStream<T> {
        let name = dir.to_string_lossy().into_owned();
        let pattern = whole_path(dir).unwrap_or_else(|why| {
            self.graph().wrong(site, format!("`{name}` cannot be the directory of a file stream: {why}"));
            PathBuf::new()
        });
        let limits = self.file_limits(&options).unwrap_or_else(|e| {
            self.graph().wrong(site, e.to_string());
            Default::default()
        });
        let input = FileInput::new((pattern, name.clone()), options, limits, self.clock().now(), reading);
        add_input(self, kind, site, name, input)
    }
    fn file_limits(&self, options: &FileStreamOptions) -> Result<(winterbourne_base::Duration, usize), ConfError> {
        let conf = self.spark_context().conf();
        let (remember, most) = (conf.value(keys::FILE_MIN_REMEMBER_DURATION)?, conf.value(keys::FILE_MAX_PER_BATCH)?);
        Ok((options.remember.unwrap_or(remember), options.max_files.unwrap_or(most)))
    }
}

/// The path as it is from anywhere, so that plans do not depend on the working directory of a later process.
fn whole_path(dir: &Path) -> Result<PathBuf, String> {
    let text = dir.to_str().ok_or("it is not UTF-8")?;
    let path = absolute(text.strip_prefix("file://").unwrap_or(text)).map_err(|e| e.to_string())?;
    let path: PathBuf = path.components().collect();
    scan::directories(&path)?;
    Ok(path)
}

/// The records of files that are read by a function.
fn parsed<T: Data, I: Iterator<Item = io::Result<T>> + 'static>(
    sc: &SparkContext,
    site: Site,
    files: &[StreamFile],
    read: Arc<impl Fn(&StreamFile) -> io::Result<I> + Send + Sync + 'static>,
) -> Rdd<T> {
    if files.is_empty() {
        return sc.from_blocks(site, Vec::new());
    }
    let partitions = files.len().min(sc.default_parallelism() * WAVES);
    sc.parallelize_at(site, files.to_vec(), partitions).narrow("file_stream", site, false, move |_, flow, task| {
        let (read, task) = (read.clone(), task.clone());
        Ok(Flow::chain(flow.records().map(move |file| records(file, site, &*read, &task))))
    })
}
fn records<T: Data, I: Iterator<Item = io::Result<T>> + 'static>(
    file: StreamFile,
    site: Site,
    read: &impl Fn(&StreamFile) -> io::Result<I>,
    task: &Task,
) -> Result<Flow<T>, Error> {
    at(site);
    let failed = move |path: PathBuf, source| Error::Input { doing: "reading", path, site, source };
    let mut records = read(&file).map_err(|e| failed(file.path().to_owned(), e))?;
    let task = task.clone();
    Ok(Flow::new(move || {
        task.check()?;
        at(site);
        let chunk: io::Result<Vec<T>> = records.by_ref().take(CHUNK).collect();
        let chunk = chunk.map_err(|e| failed(file.path().to_owned(), e))?;
        Ok((!chunk.is_empty()).then_some(Chunk::Own(chunk)))
    }))
}

/// The bytes of a file, unpacked as the ending of its name says.
fn unpacked(file: &StreamFile) -> io::Result<Box<dyn Read + Send>> {
    let bytes = io::BufReader::new(file.open()?);
    Ok(match Codec::of(file.path()) {
        Some(codec) => Box::new(io::BufReader::new(codec.reader(bytes)?)),
        None => Box::new(bytes),
    })
}
/// Whether a file is there as it was planned and, if it is packed, can be unpacked to its end.
fn unpacks(file: &StreamFile) -> io::Result<()> {
    let mut bytes = unpacked(file)?;
    match Codec::of(file.path()) {
        Some(_) => io::copy(&mut bytes, &mut io::sink()).map(drop),
        None => Ok(()),
    }
}

fn binary(file: &StreamFile, length: usize) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + use<>> {
    let each = length as u64;
    let no_whole = move |size: u64| {
        let why = format!("{size} bytes are no whole number of records of {each}");
        io::Error::new(io::ErrorKind::InvalidData, why)
    };
    // How long it is unpacked nobody knows before its end.
    let size = Codec::of(file.path()).is_none().then(|| file.size());
    if let Some(size) = size
        && !size.is_multiple_of(each)
    {
        return Err(no_whole(size));
    }
    let mut bytes = unpacked(file)?;
    let mut have = 0;
    Ok(std::iter::from_fn(move || {
        let mut record = Vec::with_capacity(length);
        if let Err(e) = bytes.by_ref().take(each).read_to_end(&mut record) {
            return Some(Err(e));
        }
        have += record.len() as u64;
        match size {
            _ if record.len() == length => Some(Ok(record)),
            _ if !record.is_empty() => Some(Err(no_whole(have))),
            Some(size) if have < size => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => None,
        }
    }))
}
