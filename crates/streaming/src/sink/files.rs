//! [`FileSink`]: files of lines that come into a directory with their batch.
//!
//! ```text
//! out/<sub>/<time>-<partition>-<n>.<ending>      committed: whole, and never touched again
//! out/_sink-<name>/staging/<time>/…              being written, or left by an attempt that failed
//! out/_sink-<name>/committed/<time>/…            committed, and on their way to their places
//! out/_sink-<name>/last                          the batch that was committed last
//! ```
//!
//! The commit is one rename, of `staging/<time>` to `committed/<time>`. What follows, moving each file to its place, is done
//! again by whoever finds it unfinished. As `save_as_text_file`, this does not go through `base::storage`: what is written
//! belongs to other programs.
use super::{Recovered, Sink, SinkPlace, SinkWriter};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write as _},
    path::{Component, Path, PathBuf},
    sync::Arc,
};
use winterbourne_base::{Time, failpoint};
use winterbourne_engine::{BoxError, Data, Records};

/// Files that a task has open at once.
const MOST_OPEN: usize = 64;

type Line<T> = Arc<dyn Fn(&T) -> Result<String, BoxError> + Send + Sync>;
type Below<T> = Arc<dyn Fn(&T) -> String + Send + Sync>;

/// Writes a stream as files of lines, exactly once: the files of a batch come into the directory when the batch is committed,
/// each by a rename and whole, and a batch that is run again after a kill leaves no second set. Give it to
/// [`write_to`](crate::DStream::write_to).
///
/// A file is named `<time of the batch>-<partition>-<n>`. Readers pass over names that begin with `_`, as Spark and Hadoop
/// do; a program may have several such sinks on one directory.
///
/// ```
/// # use winterbourne_streaming::{FileSink, RddQueue, StreamingContext, seconds};
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// # let ssc = StreamingContext::new(&sc, seconds(1))?;
/// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-sink-{}", std::process::id()));
/// let orders: RddQueue<(&str, u32)> = [sc.parallelize([("de", 5), ("fr", 7)], 1)].into_iter().collect();
/// let sink = FileSink::new(&dir, |(country, n): &(&str, u32)| Ok(format!(r#"{{"country":"{country}","n":{n}}}"#)))
///     .ending("jsonl")
///     .below(|(country, _)| format!("country={country}"))
///     .roll_after(128 << 20);
/// ssc.queue_stream(&orders).write_to("orders", sink);
/// let time = ssc.start_stepped()?.step()?;
/// let file = dir.join(format!("country=fr/{}-00000-0.jsonl", time.as_millis()));
/// assert_eq!(std::fs::read_to_string(file)?, "{\"country\":\"fr\",\"n\":7}\n");
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileSink<T: Data> {
    directory: PathBuf,
    line: Line<T>,
    ending: String,
    below: Option<Below<T>>,
    roll_after: u64,
    own: Option<Own>,
}
impl<T: Data> FileSink<T> {
    /// Files in this directory, which is made if need be; `line` is the text of a record, without the end of the line. An
    /// error fails the batch.
    pub fn new(
        directory: impl AsRef<Path>,
        line: impl Fn(&T) -> Result<String, BoxError> + Send + Sync + 'static,
    ) -> Self {
        FileSink {
            directory: directory.as_ref().to_owned(),
            line: Arc::new(line),
            ending: "txt".into(),
            below: None,
            roll_after: u64::MAX,
            own: None,
        }
    }
    /// What names end in, behind a dot; `txt` unless set.
    #[must_use]
    pub fn ending(mut self, ending: impl Into<String>) -> Self {
        self.ending = ending.into();
        self
    }
    /// In which directory below that of the sink a record goes: `country=de`, `2026/11`.
    #[must_use]
    pub fn below(mut self, below: impl Fn(&T) -> String + Send + Sync + 'static) -> Self {
        self.below = Some(Arc::new(below));
        self
    }
    /// A partition begins another file when one has at least so many bytes.
    #[must_use]
    pub fn roll_after(mut self, bytes: u64) -> Self {
        self.roll_after = bytes.max(1);
        self
    }
    fn own(&self) -> Result<&Own, BoxError> {
        self.own.as_ref().ok_or_else(|| "the sink was not opened".into())
    }
}

/// Where a sink keeps what is not in its place.
#[derive(Clone)]
struct Own {
    directory: PathBuf,
    staging: PathBuf,
    committed: PathBuf,
    last: PathBuf,
}
impl Own {
    fn staged(&self, batch: Time) -> PathBuf {
        self.staging.join(batch.as_millis().to_string())
    }
    /// Brings every file of a committed batch to its place, and notes the batch.
    fn finish(&self, batch: &Path) -> Result<(), BoxError> {
        let time = batch.file_name().ok_or("a batch without a name")?.to_owned();
        let mut places = BTreeSet::new();
        for file in files_below(batch)? {
            let to = self.directory.join(file.strip_prefix(batch)?);
            let place = to.parent().ok_or("a file without a directory")?;
            if places.insert(place.to_owned()) {
                make(place)?;
            }
            fs::rename(&file, &to).map_err(|e| failed("move a file to", &to, e))?;
        }
        places.iter().try_for_each(|p| sync(p))?;
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
        remove_all(batch)
    }
}

impl<T: Data> Sink<T> for FileSink<T> {
    type Writer = FileWriter<T>;
    fn open(&mut self, place: &SinkPlace) -> Result<(), BoxError> {
        let base = self.directory.join(format!("_sink-{}", file_name(&place.operator)));
        let own = Own {
            directory: self.directory.clone(),
            staging: base.join("staging"),
            committed: base.join("committed"),
            last: base.join("last"),
        };
        make(&own.staging)?;
        make(&own.committed)?;
        let mut unfinished = entries(&own.committed)?;
        unfinished.sort();
        unfinished.iter().try_for_each(|batch| own.finish(batch))?;
        entries(&own.staging)?.iter().try_for_each(|batch| remove_all(batch))?;
        self.own = Some(own);
        Ok(())
    }
    fn recover(&mut self, batch: Time) -> Result<Recovered, BoxError> {
        let own = self.own()?;
        let committed = own.committed.join(batch.as_millis().to_string());
        if committed.exists() {
            own.finish(&committed)?;
        }
        remove_all(&own.staged(batch))?;
        match fs::read_to_string(&own.last) {
            Ok(last) if last == batch.as_millis().to_string() => Ok(Recovered::Committed),
            Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("read", &own.last, e)),
            _ => Ok(Recovered::Absent),
        }
    }
    fn begin(&mut self, batch: Time) -> Result<FileWriter<T>, BoxError> {
        let staging = self.own()?.staged(batch);
        remove_all(&staging)?;
        make(&staging)?;
        Ok(FileWriter {
            staging,
            time: batch.as_millis(),
            line: self.line.clone(),
            ending: self.ending.clone(),
            below: self.below.clone(),
            roll_after: self.roll_after,
        })
    }
    fn commit(&mut self, batch: Time, staged: Vec<Vec<PathBuf>>) -> Result<(), BoxError> {
        let own = self.own()?;
        let staging = own.staged(batch);
        // What a task left that failed and was tried again is not part of it.
        let kept: BTreeSet<&PathBuf> = staged.iter().flatten().collect();
        let mut places = BTreeSet::from([staging.clone()]);
        for file in files_below(&staging)? {
            if kept.contains(&file) {
                places.extend(file.parent().map(Path::to_owned));
            } else {
                fs::remove_file(&file).map_err(|e| failed("remove", &file, e))?;
            }
        }
        places.iter().try_for_each(|p| sync(p))?;
        sync(&own.staging)?;
        let committed = own.committed.join(batch.as_millis().to_string());
        fs::rename(&staging, &committed).map_err(|e| failed("commit", &staging, e))?;
        sync(&own.committed)?;
        failpoint::hit("files.committed");
        own.finish(&committed)
    }
    fn abort(&mut self, batch: Time) {
        let removed = self.own().and_then(|own| remove_all(&own.staged(batch)));
        if let Err(e) = removed {
            tracing::warn!("what was staged for batch {batch} stays until it is run again: {e}");
        }
    }
}

/// Stages the files of a batch.
pub struct FileWriter<T: Data> {
    staging: PathBuf,
    time: u64,
    line: Line<T>,
    ending: String,
    below: Option<Below<T>>,
    roll_after: u64,
}
impl<T: Data> SinkWriter<T> for FileWriter<T> {
    /// The files of a partition.
    type Staged = Vec<PathBuf>;
    fn stage(&self, partition: usize, records: Records<T>) -> Result<Vec<PathBuf>, BoxError> {
        let (mut rolls, mut done) = (BTreeMap::<String, Roll>::new(), Vec::new());
        for x in records {
            let below = self.below.as_ref().map_or(String::new(), |f| f(&x));
            let mut text = (self.line)(&x)?;
            text.push('\n');
            if !rolls.contains_key(&below) {
                check(&below)?;
            }
            let opened = rolls.values().filter(|r| r.file.is_some()).count();
            let roll = rolls.entry(below.clone()).or_default();
            if roll.file.is_none() {
                let at =
                    self.staging.join(&below).join(format!("{}-{partition:05}-{}.{}", self.time, roll.n, self.ending));
                roll.open(at)?;
            }
            roll.write(text.as_bytes())?;
            if roll.len >= self.roll_after {
                done.push(roll.close()?);
                roll.next();
            } else if opened >= MOST_OPEN {
                // The others are opened again when they are needed.
                for (name, other) in &mut rolls {
                    if *name != below {
                        other.rest()?;
                    }
                }
            }
        }
        for roll in rolls.values_mut().filter(|r| r.at.is_some()) {
            done.push(roll.close()?);
        }
        Ok(done)
    }
}

/// The files that a task writes in one directory, one after the other.
#[derive(Default)]
struct Roll {
    n: u32,
    /// Of the file that is being written.
    at: Option<PathBuf>,
    file: Option<BufWriter<File>>,
    len: u64,
}
impl Roll {
    /// A new file, or the one that rests.
    fn open(&mut self, at: PathBuf) -> Result<(), BoxError> {
        let is_new = self.at.is_none();
        if let Some(place) = at.parent().filter(|_| is_new) {
            make(place)?;
        }
        let mut how = OpenOptions::new();
        // What a task left that failed is written over.
        if is_new {
            how.create(true).write(true).truncate(true)
        } else {
            how.append(true)
        };
        let file = how.open(&at).map_err(|e| failed("write", &at, e))?;
        self.file = Some(BufWriter::with_capacity(1 << 16, file));
        self.at = Some(at);
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), BoxError> {
        self.len += bytes.len() as u64;
        let written = self.file.as_mut().map_or(Ok(()), |f| f.write_all(bytes));
        written.map_err(|e| failed("write", self.at.as_deref().unwrap_or(Path::new("")), e))
    }
    /// Gives the file back to the system for a while.
    fn rest(&mut self) -> Result<(), BoxError> {
        let flushed = self.file.take().map_or(Ok(()), |mut f| f.flush());
        flushed.map_err(|e| failed("write", self.at.as_deref().unwrap_or(Path::new("")), e))
    }
    /// Makes the file durable.
    fn close(&mut self) -> Result<PathBuf, BoxError> {
        self.rest()?;
        let at = self.at.take().ok_or("no file was open")?;
        File::open(&at).and_then(|f| f.sync_all()).map_err(|e| failed("sync", &at, e))?;
        Ok(at)
    }
    fn next(&mut self) {
        (self.n, self.len) = (self.n + 1, 0);
    }
}

/// # Errors
/// A place that is not below the sink's directory, or that readers pass over.
fn check(below: &str) -> Result<(), BoxError> {
    let fine = |c: Component<'_>| match c {
        Component::Normal(name) => {
            !name.as_encoded_bytes().starts_with(b"_") && !name.as_encoded_bytes().starts_with(b".")
        }
        _ => false,
    };
    if Path::new(below).components().all(fine) {
        return Ok(());
    }
    Err(format!("{below:?} is no place for a record: give a path below the directory, without .. and names that begin with _ or a dot").into())
}
/// A name for the file system: letters, digits, `-` and `_` stay, everything else becomes its number.
fn file_name(name: &str) -> String {
    let part = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => (b as char).to_string(),
        _ => format!("%{b:02x}"),
    };
    name.bytes().map(part).collect()
}
fn failed(doing: &str, at: &Path, e: impl Display) -> BoxError {
    format!("cannot {doing} {}: {e}", at.display()).into()
}
/// Makes a directory and those above it, durably.
fn make(path: &Path) -> Result<(), BoxError> {
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
fn sync(directory: &Path) -> Result<(), BoxError> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| failed("sync", directory, e))
}
/// That it is not there is fine.
fn remove_all(path: &Path) -> Result<(), BoxError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("remove", path, e)),
        _ => Ok(()),
    }
}
fn entries(directory: &Path) -> Result<Vec<PathBuf>, BoxError> {
    let all = fs::read_dir(directory).and_then(|all| all.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>());
    all.map_err(|e| failed("list", directory, e))
}
/// All files, at any depth.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>, BoxError> {
    let mut files = Vec::new();
    for path in entries(directory)? {
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    Ok(files)
}
