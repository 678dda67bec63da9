//! [`FileInput`]: the files of a directory as an input: lists at each batch, plans what is new, reads what was planned.
use super::{
    ledger::{Ledger, Rules},
    options::{Counts, Existing, FileStreamOptions, Filter},
    report::{Reason, Report},
    scan::{self, Look},
    version::{Mark, StreamFile},
};
use crate::input::{Input, Planned, Supply, Tick};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{BoxError, Data, Rdd, Site, SparkContext};

/// The files of a batch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct FilePlan {
    /// The batch, and when the stream began: in milliseconds.
    time: u64,
    since: u64,
    pub(super) files: Vec<StreamFile>,
}

/// Whether a file can be read to its end. Runs in tasks.
pub(super) type Check = Arc<dyn Fn(&StreamFile) -> io::Result<()> + Send + Sync>;

/// How planned files become records.
pub(super) struct Reading<T: Data> {
    /// Why a file of this name cannot be read, if it cannot.
    pub(super) unfit: fn(&Path) -> Option<String>,
    pub(super) check: Check,
    pub(super) site: Site,
    #[expect(clippy::type_complexity, reason = "said here and nowhere else")]
    pub(super) rdd: Box<dyn Fn(&SparkContext, &[StreamFile]) -> Rdd<T> + Send>,
}

pub(super) struct FileInput<T: Data> {
    /// A directory or a glob.
    pattern: PathBuf,
    /// The same as the user wrote it.
    name: String,
    filter: Option<Filter>,
    max_files: usize,
    counts: Counts,
    ledger: Ledger,
    /// Directories that could not be listed the last time, and why.
    failing: BTreeMap<String, String>,
    loaded: bool,
    stopped: bool,
    skip_unreadable: bool,
    /// Paths that were left out, by batch, until that is done.
    skipped: BTreeMap<u64, BTreeSet<String>>,
    reading: Reading<T>,
}

impl<T: Data> FileInput<T> {
    /// `since` is when the stream was defined.
    pub(super) fn new(
        (pattern, name): (PathBuf, String),
        options: FileStreamOptions,
        (remember, max_files): (Duration, usize),
        since: Time,
        reading: Reading<T>,
    ) -> Self {
        let FileStreamOptions { filter, existing, read_changed, counts, skip_unreadable, .. } = options;
        let rules = Rules { existing, read_changed, interval: Duration::ZERO, remember };
        FileInput {
            pattern,
            name,
            filter,
            max_files,
            counts,
            ledger: Ledger::new(rules, since),
            failing: BTreeMap::new(),
            loaded: false,
            stopped: false,
            skip_unreadable,
            skipped: BTreeMap::new(),
            reading,
        }
    }
    /// Lists all directories, as they are when the stream begins or at the batch of t.
    ///
    /// # Errors
    /// Only if everything depends on this one listing; otherwise what failed is reported and tried again.
    fn list(&mut self, t: Option<Time>, report: &mut Report) -> Result<(), BoxError> {
        let once = self.ledger.lists_once();
        let mut paths = Vec::new();
        let scan::Directories { found, failed } = scan::directories(&self.pattern)?;
        for (path, why) in &failed {
            if once {
                return Err(format!("cannot list the directory {path}: {why}").into());
            }
            self.failed(path, why.clone(), report);
        }
        for dir in found {
            let path = dir.to_string_lossy().into_owned();
            let stamp = scan::stamp(&dir);
            if let Some(t) = t
                && self.ledger.stands_still(&path, stamp, t)
            {
                paths.push(path);
                continue;
            }
            match self.list_one(&dir, &path) {
                Ok(found) => {
                    if self.failing.remove(&path).is_some() {
                        tracing::info!("file stream {}: the directory {path} can be listed again", self.name);
                    }
                    match t {
                        Some(t) => self.ledger.observe(&path, (stamp, found), t, report),
                        None => self.ledger.began_with(&path, found, report),
                    }
                }
                Err(e) if once => return Err(format!("cannot list the directory {path}: {e}").into()),
                Err(e) => self.failed(&path, e.to_string(), report),
            }
            paths.push(path);
        }
        self.failing.retain(|path, _| paths.contains(path) || failed.iter().any(|(failed, _)| failed == path));
        if let Some(t) = t {
            self.ledger.keep_only(&paths, t, report);
        }
        Ok(())
    }
    /// Says that what is there cannot be listed, once.
    fn failed(&mut self, path: &str, why: String, report: &mut Report) {
        if self.failing.get(path) != Some(&why) {
            report.add(Reason::FailedListing, || format!("{path} ({why})"));
            self.failing.insert(path.to_owned(), why);
        }
    }
    fn list_one(&self, dir: &Path, path: &str) -> io::Result<Vec<(String, scan::Found)>> {
        if dir.to_str().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidFilename, "its name is not UTF-8: rename it"));
        }
        scan::list(dir, |i, name| {
            let wanted = self.ledger.knows(path, name) || self.filter.as_ref().is_none_or(|keep| keep(&dir.join(name)));
            if wanted { self.ledger.look(path, i, name) } else { Look::Away }
        })
    }
    fn take(&mut self, tick: &Tick, report: &mut Report) -> Vec<StreamFile> {
        let unfit = self.reading.unfit;
        let probe = |path: &str| match unfit(Path::new(path)) {
            Some(why) => Err(why),
            None => match scan::probe(Path::new(path)) {
                Ok(mark) => Ok(Some(mark)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e.to_string()),
            },
        };
        self.ledger.take(tick.time, (self.max_files, tick.limit), probe, report)
    }
    fn publish(&self, report: &Report, read: usize) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        report.count(&mut counts);
        counts.read += read as u64;
        drop(counts);
        report.say(&self.name);
    }
    /// The files of a plan that can be read to their end. Others are left out, of every run of the batch from now on.
    fn readable(&mut self, sc: &SparkContext, plan: &FilePlan) -> Result<Vec<StreamFile>, BoxError> {
        let skipped = self.skipped.entry(plan.time).or_default();
        let asked: Vec<StreamFile> = plan.files.iter().filter(|f| !skipped.contains(&f.path)).cloned().collect();
        if asked.is_empty() {
            return Ok(asked);
        }
        let check = self.reading.check.clone();
        let partitions = asked.len().min(sc.default_parallelism());
        let checked = sc.parallelize_at(self.reading.site, asked.clone(), partitions);
        let whys =
            checked.map(move |file| check(&file).err().map(|e| (is_of_the_file(&e), e.to_string()))).collect()?;
        for (file, why) in asked.iter().zip(&whys) {
            if let Some((false, why)) = why {
                return Err(format!("cannot tell whether {} can be read: {why}", file.path).into());
            }
        }
        let (mut good, mut report) = (Vec::new(), Report::default());
        for (file, why) in asked.into_iter().zip(whys) {
            match why {
                None => good.push(file),
                Some((_, why)) => {
                    report.add(Reason::Skipped, || format!("{} ({why})", file.path));
                    skipped.insert(file.path);
                }
            }
        }
        self.publish(&report, 0);
        Ok(good)
    }
    fn note_change(&mut self, file: &StreamFile, now: Mark) {
        tracing::warn!(
            "file stream {}: {} changed since its batch was planned; its first {} bytes are read",
            self.name,
            file.path,
            file.mark.size
        );
        if self.ledger.has_changed(file, now) {
            self.counts.lock().unwrap_or_else(PoisonError::into_inner).changed += 1;
        }
    }
}

impl<T: Data> Input<T> for FileInput<T> {
    type Plan = FilePlan;
    fn interval(&mut self, batch: Duration) {
        let rules = self.ledger.rules();
        let (ms, step) = (rules.remember.as_millis().max(1), batch.as_millis().max(1));
        rules.remember = Duration::from_millis(ms.div_ceil(step).saturating_mul(step));
        rules.interval = batch;
    }
    fn start(&mut self) -> Result<(), BoxError> {
        let mut report = Report::default();
        match self.ledger.rules().existing {
            Existing::Leave if !self.loaded => self.list(None, &mut report)?,
            Existing::Only if !self.loaded && scan::directories(&self.pattern)?.found.iter().all(|d| !d.is_dir()) => {
                return Err(format!("there is no directory {} to read once; create it first", self.name).into());
            }
            _ => {}
        }
        self.publish(&report, 0);
        Ok(())
    }
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<FilePlan>>, BoxError> {
        let mut report = Report::default();
        if !self.stopped && !self.ledger.has_listed_all() {
            self.list(Some(tick.time), &mut report)?;
        }
        let files = self.take(tick, &mut report);
        self.publish(&report, files.len());
        let description = report.describe(files.iter().map(|f| f.path.as_str()));
        let (time, since) = (tick.time.as_millis(), self.ledger.since().as_millis());
        Ok(Some(Planned { plan: FilePlan { time, since, files }, records: None, description }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &FilePlan) -> Result<Rdd<T>, BoxError> {
        let files = if self.skip_unreadable { self.readable(sc, plan)? } else { plan.files.clone() };
        for file in &files {
            let now = file.now()?;
            if now != file.mark {
                self.note_change(file, now);
            }
        }
        Ok((self.reading.rdd)(sc, &files))
    }
    fn settle(&mut self, plan: FilePlan) {
        self.skipped.remove(&plan.time);
    }
    fn bytes(&self, plan: &FilePlan) -> Option<u64> {
        Some(plan.files.iter().map(|file| file.mark.size).sum())
    }
    fn load(&mut self, saved: &[u8]) -> Result<(), BoxError> {
        let name = &self.name;
        self.ledger.load(saved).map_err(|why| {
            format!("what the checkpoint says of the files that the stream {name} has read cannot be used: {why}")
        })?;
        self.loaded = true;
        Ok(())
    }
    fn restore(&mut self, plan: &FilePlan) -> Result<(), BoxError> {
        self.ledger.restore(Time::from_millis(plan.time), Time::from_millis(plan.since), &plan.files);
        Ok(())
    }
    fn save(&self) -> Option<Vec<u8>> {
        Some(self.ledger.save())
    }
    fn supply(&self) -> Supply {
        if self.ledger.is_waiting() {
            return Supply::Waiting;
        }
        match (self.ledger.lists_once(), self.stopped || self.ledger.has_listed_all()) {
            (true, true) => Supply::Ended,
            (true, false) => Supply::Waiting,
            (false, _) => Supply::Open,
        }
    }
    fn stop(&mut self) {
        self.stopped = true;
    }
}

/// Whether the trouble is one of the file, or its path, and will be there the next time too: too many open files, no memory,
/// a disk that does not answer are not.
fn is_of_the_file(e: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        e.kind(),
        Kind::NotFound
            | Kind::PermissionDenied
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::InvalidFilename
            | Kind::InvalidInput
            | Kind::InvalidData
            | Kind::UnexpectedEof
            | Kind::Unsupported
            | Kind::Other
    )
}
