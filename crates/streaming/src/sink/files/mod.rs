//! [`FileSink`]: files that come into a directory with their batch.
//!
//! ```text
//! out/<sub>/<time>-<partition>-<n>.<ending>      committed: whole, and never touched again
//! out/_sink-<name>/staging/<time>/…              being written, or left by an attempt that failed
//! out/_sink-<name>/committed/<time>/…            committed, and on their way to their places
//! out/_sink-<name>/last                          the batch that was committed last
//! out/_sink-<name>/lock                          of the process that has the sink
//! ```
//!
//! The commit is one rename, of `staging/<time>` to `committed/<time>`. What follows, moving each file to its place, is done
//! again by whoever finds it unfinished. Files of several batches are the same with another step: what a batch brought is
//! added to files that nobody sees, and these are moved when their period is over (`gather`). As `save_as_text_file`, this does not go through `base::storage`: what is written
//! belongs to other programs.
//!
//! `format`, `json` and `csv` make bytes of records, `place` a path, `roll` files of both; `own` knows the directories.
mod csv;
mod format;
mod gather;
mod json;
mod own;
mod place;
mod roll;

pub use format::CsvOptions;
pub use place::Period;

use super::{Recovered, Sink, SinkPlace, SinkWriter};
use format::Format;
use gather::Gather;
use own::{Own, entries, failed, files_below, make, remove_all, sync};
use place::Level;
use roll::{Names, Rolls};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fmt::Display,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};
use winterbourne_base::{Duration, Time, failpoint, storage::StorageLock};
use winterbourne_engine::{BoxError, Codec, Data, Records};

/// Writes a stream as files, exactly once: the files of a batch come into the directory when the batch is committed, each by
/// a rename and whole, and a batch that is run again after a kill leaves no second set. Give it to
/// [`write_to`](crate::DStream::write_to).
///
/// A file is named `<time of the batch>-<partition>-<n>`. Readers pass over names that begin with `_`, as Spark and Hadoop
/// do. A program may have several such sinks on one directory, if their files have other [endings](FileSink::ending) or
/// lie in other directories [below](FileSink::below) it: no file is ever replaced, and a batch that would do so fails. Of
/// one name there is one at a time, in all processes: `start` fails while another has it.
///
/// ```
/// # use winterbourne_streaming::{FileSink, Period, RddQueue, StreamingContext, seconds};
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// # let ssc = StreamingContext::new(&sc, seconds(1))?;
/// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-sink-{}", std::process::id()));
/// #[derive(Clone, serde::Serialize)]
/// struct Order { country: &'static str, n: u32 }
///
/// let all = [Order { country: "de", n: 5 }, Order { country: "fr", n: 7 }];
/// let orders: RddQueue<Order> = [sc.parallelize(all, 1)].into_iter().collect();
/// let sink = FileSink::json(&dir).partition_by("country", |order: &Order| order.country).roll_after(128 << 20);
/// ssc.queue_stream(&orders).write_to("orders", sink);
/// let time = ssc.start_stepped()?.step()?;
/// let file = dir.join(format!("country=fr/{}-00000-0.jsonl", time.as_millis()));
/// assert_eq!(std::fs::read_to_string(file)?, "{\"country\":\"fr\",\"n\":7}\n");
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// *When there are many small files.* There is at least one for each batch, partition and directory that has records.
/// [`roll_every`](FileSink::roll_every) gathers the batches of a minute, say, or an hour, in one file for each directory;
/// `repartition` before the sink, or longer batches, make fewer too.
pub struct FileSink<T: Data> {
    directory: PathBuf,
    shape: Shape<T>,
    every: Option<Duration>,
    own: Option<Own>,
    lock: Option<StorageLock>,
    /// Files of a period that have what they may, and are to be shown.
    full: Vec<PathBuf>,
}
/// What is written, and where.
struct Shape<T> {
    format: Format<T>,
    ending: String,
    levels: Vec<Level<T>>,
    roll_after: u64,
    codec: Option<Codec>,
}
impl<T> Clone for Shape<T> {
    fn clone(&self) -> Self {
        let Shape { format, ending, levels, roll_after, codec } = self;
        let (format, ending, levels) = (format.clone(), ending.clone(), levels.clone());
        Shape { format, ending, levels, roll_after: *roll_after, codec: *codec }
    }
}
impl<T> Shape<T> {
    /// With that of packed files.
    fn whole_ending(&self) -> String {
        match self.codec {
            Some(codec) => format!("{}.{}", self.ending, codec.ending()),
            None => self.ending.clone(),
        }
    }
}
impl<T: Data> FileSink<T> {
    /// Files of lines in this directory, which is made if need be; `line` is the text of a record, without the end of the
    /// line. An error fails the batch. Names end in `.txt`.
    pub fn new(
        directory: impl AsRef<Path>,
        line: impl Fn(&T) -> Result<String, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self::of(directory, format::lines(line))
    }
    /// Files of JSON lines: an object for each record, as serde has it. Names end in `.jsonl`.
    pub fn json(directory: impl AsRef<Path>) -> Self
    where
        T: Serialize,
    {
        Self::of(directory, format::json())
    }
    /// Files of CSV, each with a header; as [`csv_with`](FileSink::csv_with).
    pub fn csv(directory: impl AsRef<Path>) -> Self
    where
        T: Serialize,
    {
        Self::csv_with(directory, CsvOptions::default())
    }
    /// Files of CSV (RFC 4180, lines end with `\n`). The columns are the fields of a struct, by serde's names; those of a
    /// tuple are `_1`, `_2`, …, and what is one value is the column `value`, as in Spark. None is nothing, an empty string
    /// `""`. A record with a list, a map or a struct in it fails the batch. Names end in `.csv`.
    ///
    /// ```
    /// # use winterbourne_streaming::{CsvOptions, FileSink, RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-csv-{}", std::process::id()));
    /// #[derive(Clone, serde::Serialize)]
    /// struct Visit { page: &'static str, seconds: Option<f64> }
    ///
    /// let all = [Visit { page: "/tea; green", seconds: Some(2.5) }, Visit { page: "/", seconds: None }];
    /// let visits: RddQueue<Visit> = [sc.parallelize(all, 1)].into_iter().collect();
    /// let sink = FileSink::csv_with(&dir, CsvOptions::new().delimiter(';'));
    /// ssc.queue_stream(&visits).write_to("visits", sink);
    /// let time = ssc.start_stepped()?.step()?;
    /// let file = dir.join(format!("{}-00000-0.csv", time.as_millis()));
    /// assert_eq!(std::fs::read_to_string(file)?, "page;seconds\n\"/tea; green\";2.5\n/;\n");
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn csv_with(directory: impl AsRef<Path>, options: CsvOptions) -> Self
    where
        T: Serialize,
    {
        Self::of(directory, format::csv(options))
    }
    fn of(directory: impl AsRef<Path>, format: Format<T>) -> Self {
        let ending = format.ending.into();
        let shape = Shape { format, ending, levels: Vec::new(), roll_after: u64::MAX, codec: None };
        FileSink {
            directory: directory.as_ref().to_owned(),
            shape,
            every: None,
            own: None,
            lock: None,
            full: Vec::new(),
        }
    }
    /// What names end in, behind a dot.
    #[must_use]
    pub fn ending(mut self, ending: impl Into<String>) -> Self {
        self.shape.ending = ending.into();
        self
    }
    /// In which directory below that of the sink a record goes: `2026/eu`, say. This and what follows may be called several
    /// times; each goes below what was said before.
    #[must_use]
    pub fn below(self, below: impl Fn(&T) -> String + Send + Sync + 'static) -> Self {
        self.level(Arc::new(move |x, _, path| {
            path.push_str(&below(x));
            Ok(())
        }))
    }
    /// A directory `column=value` for each value, as Spark and Hive have them. What could be taken for something else is
    /// escaped (`x/y` is `x%2Fy`), and a value without text is `__HIVE_DEFAULT_PARTITION__`.
    #[doc(alias = "partitionBy")]
    #[must_use]
    pub fn partition_by<V: Display>(
        self,
        column: impl Into<String>,
        value: impl Fn(&T) -> V + Send + Sync + 'static,
    ) -> Self {
        let column = column.into();
        self.level(Arc::new(move |x, _, path| place::column(path, &column, value(x))))
    }
    /// Directories by the time of the batch, `date=2026-11-29/hour=07`: no batch writes to a period that is over, but for
    /// one that was set aside and is run later.
    #[must_use]
    pub fn by_batch_time(self, period: Period) -> Self {
        self.level(Arc::new(move |_, batch, path| place::period(path, period, batch)))
    }
    /// The same by a time that a record has; records may come late, and into any directory.
    #[must_use]
    pub fn by_time(self, period: Period, time: impl Fn(&T) -> Time + Send + Sync + 'static) -> Self {
        self.level(Arc::new(move |x, _, path| place::period(path, period, time(x))))
    }
    fn level(mut self, level: Level<T>) -> Self {
        self.shape.levels.push(level);
        self
    }
    /// A partition begins another file when one has at least so many bytes, before they are packed. Together with
    /// [`roll_every`](FileSink::roll_every): a file is also shown when it has so many, as they are on disk.
    #[must_use]
    pub fn roll_after(mut self, bytes: u64) -> Self {
        self.shape.roll_after = bytes.max(1);
        self
    }
    /// One file in each directory for all batches of a period, which is shown when the period is over: with the first batch
    /// of a later one, and at the latest when the stream stops. Periods of an hour begin with the hour, those of a day with
    /// the day, UTC. It is named `<time of its first batch>-<n>`.
    ///
    /// A batch is committed when it has run, as without this: what it wrote is on disk, behind what earlier batches of the
    /// period wrote, and will be shown once. After a kill the files are gone on with by the next program with this sink; a
    /// stop shows what there is, and the rest of the period gets another file.
    ///
    /// *Cost.* What a batch wrote is copied once more, with a sync for each directory it has records for.
    ///
    /// ```
    /// # use winterbourne_streaming::{FileSink, RddQueue, StreamingContext, Stop, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-every-{}", std::process::id()));
    /// # let clock = winterbourne_base::ManualClock::new(winterbourne_base::Time::from_millis(0));
    /// # let ssc = StreamingContext::with_clock(&sc, seconds(1), clock)?;
    /// let words: RddQueue<String> = ["a", "b", "c"].map(|w| sc.parallelize([w.to_owned()], 1)).into_iter().collect();
    /// ssc.queue_stream(&words).write_to("words", FileSink::json(&dir).roll_every(seconds(3)));
    /// let mut run = ssc.start_stepped()?;
    /// let first = run.step()?.as_millis();
    /// let file = dir.join(format!("{first}-0.jsonl"));
    /// run.step()?;
    /// assert!(!file.exists());
    /// run.step()?; // 3 s: another period begins
    /// assert_eq!(std::fs::read_to_string(file)?, "\"a\"\n\"b\"\n");
    /// # drop(run);
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// The period is zero.
    #[must_use]
    pub fn roll_every(mut self, period: Duration) -> Self {
        assert!(!period.is_zero(), "files cannot be rolled every 0 ms");
        self.every = Some(period);
        self
    }
    /// Packs the files, and has their names end so: `orders.jsonl.gz`.
    #[must_use]
    pub fn compress(mut self, codec: Codec) -> Self {
        self.shape.codec = Some(codec);
        self
    }
    fn own(&self) -> Result<&Own, BoxError> {
        self.own.as_ref().ok_or_else(|| "the sink was not opened".into())
    }
    fn gather(&self) -> Option<Gather> {
        self.every.map(|every| Gather { every, roll_after: self.shape.roll_after })
    }
    /// Files of a period that are full or, if it is over at `now`, all.
    fn show(&mut self, now: Time) -> Result<(), BoxError> {
        if self.every.is_none() {
            return Ok(());
        }
        let own = self.own.as_ref().ok_or("the sink was not opened")?;
        // Some may be in their places since a time when another one had none.
        self.full.retain(|file| file.exists());
        gather::show(own, &self.full)?;
        self.full.clear();
        gather::close(own, Some(now))
    }
}

impl<T: Data> Sink<T> for FileSink<T> {
    type Writer = FileWriter<T>;
    fn open(&mut self, place: &SinkPlace) -> Result<(), BoxError> {
        let own = Own::new(&self.directory, &place.operator);
        make(&own.staging)?;
        if self.lock.is_none() {
            let lock = StorageLock::take(own.lock.clone());
            self.lock = Some(lock.map_err(|e| failed("use the directory of a sink for this one:", &own.lock, e))?);
        }
        make(&own.committed)?;
        make(&own.open)?;
        let mut unfinished = entries(&own.committed)?;
        unfinished.sort();
        if failpoint::seeded("files.commit-not-finished") {
            unfinished.clear();
        }
        unfinished.iter().try_for_each(|batch| own.finish(batch))?;
        entries(&own.staging)?.iter().try_for_each(|batch| remove_all(batch))?;
        self.full = match self.gather() {
            Some(gather) => gather.full(&own)?,
            // What a program gathered that had this set.
            None => gather::close(&own, None).map(|()| Vec::new())?,
        };
        self.own = Some(own);
        Ok(())
    }
    fn recover(&mut self, batch: Time) -> Result<Recovered, BoxError> {
        let own = self.own()?.clone();
        let committed = own.committed.join(batch.as_millis().to_string());
        if committed.exists() && !failpoint::seeded("files.commit-not-finished") {
            own.finish(&committed)?;
            if let Some(gather) = self.gather() {
                self.full = gather.full(&own)?;
            }
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
        Ok(FileWriter { staging, batch, shape: self.shape.clone(), gathered: self.every.is_some() })
    }
    fn commit(&mut self, batch: Time, staged: Vec<Vec<StagedFile>>) -> Result<(), BoxError> {
        self.show(batch)?;
        let (own, gather) = (self.own()?, self.gather());
        let staging = own.staged(batch);
        // What a task left that failed and was tried again is not part of it.
        let staged = staged.concat();
        let kept: BTreeSet<&PathBuf> = staged.iter().map(|file| &file.path).collect();
        let mut places = BTreeSet::from([staging.clone()]);
        for file in files_below(&staging)? {
            if kept.contains(&file) {
                places.extend(file.parent().map(Path::to_owned));
            } else {
                fs::remove_file(&file).map_err(|e| failed("remove", &file, e))?;
            }
        }
        let plan = gather.map(|g| g.plan(own, batch, &staged, &self.shape.whole_ending())).transpose()?;
        places.iter().try_for_each(|p| sync(p))?;
        sync(&own.staging)?;
        let committed = own.committed.join(batch.as_millis().to_string());
        fs::rename(&staging, &committed).map_err(|e| failed("commit", &staging, e))?;
        sync(&own.committed)?;
        failpoint::hit("files.committed");
        own.finish(&committed)?;
        if let Some(plan) = plan {
            let full: Vec<PathBuf> = plan.filled(own, self.shape.roll_after).collect();
            self.full.extend(full);
        }
        if !self.full.is_empty() {
            self.show(batch)?;
        }
        Ok(())
    }
    fn close(&mut self) -> Result<(), BoxError> {
        let own = self.own()?;
        // What an open file lacks is not to be added to one that was moved.
        let closed = entries(&own.committed)
            .and_then(|all| all.iter().try_for_each(|batch| own.finish(batch)))
            .and_then(|()| gather::close(own, None));
        self.lock = None;
        closed
    }
    fn pass(&mut self, batch: Time) -> Result<(), BoxError> {
        self.show(batch)
    }
    fn abort(&mut self, batch: Time) {
        let removed = self.own().and_then(|own| remove_all(&own.staged(batch)));
        if let Err(e) = removed {
            tracing::warn!("what was staged for batch {batch} stays until it is run again: {e}");
        }
    }
}

/// A file of a batch, written and not seen yet.
#[derive(Clone, Debug)]
pub struct StagedFile {
    path: PathBuf,
    /// Bytes at its beginning that another file of the batch may have too.
    head: u64,
}
impl StagedFile {
    /// Where it is until the commit.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Stages the files of a batch.
pub struct FileWriter<T: Data> {
    staging: PathBuf,
    batch: Time,
    shape: Shape<T>,
    gathered: bool,
}
impl<T: Data> SinkWriter<T> for FileWriter<T> {
    /// The files of a partition.
    type Staged = Vec<StagedFile>;
    fn stage(&self, partition: usize, records: Records<T>) -> Result<Vec<StagedFile>, BoxError> {
        let Shape { format, levels, roll_after, codec, .. } = &self.shape;
        let stem = format!("{}-{partition:05}", self.batch.as_millis());
        let names = Names {
            root: self.staging.clone(),
            stem,
            ending: self.shape.whole_ending(),
            codec: *codec,
            apart: self.gathered,
        };
        let mut rolls = Rolls::new(names, *roll_after);
        let (mut at, mut head, mut bytes) = (String::new(), Vec::new(), Vec::new());
        for x in records {
            place::find(levels, &x, self.batch, &mut at)?;
            head.clear();
            bytes.clear();
            let begins = rolls.begins(&at);
            if begins.is_none() {
                place::check(&at)?;
            }
            if let (true, Some(put)) = (begins.unwrap_or(true), &format.head) {
                put(&x, &mut head)?;
            }
            (format.record)(&x, &mut bytes)?;
            rolls.write(&at, &head, &bytes)?;
        }
        rolls.finish()
    }
}
