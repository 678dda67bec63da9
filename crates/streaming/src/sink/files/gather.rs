//! [`Gather`]: files that span the batches of a period. A batch is committed with a [`Plan`] of where its files go, as byte
//! ranges; carrying it out twice is the same as once.
//!
//! ```text
//! out/_sink-<name>/open/<end>/<sub>/<time>-<n>.<ending>   of the batches so far; `end` is when the period is over
//! ```
use super::{
    StagedFile,
    own::{Own, entries, failed, files_below, is_free, make, move_into, remove_all, sync},
};
use crate::durable::frame;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirEntry, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};
use winterbourne_base::{Duration, Time, failpoint};
use winterbourne_engine::BoxError;

/// The plan's name, beside the files of a batch; no place of a record begins so.
const PLAN: &str = "_plan";
const KIND: frame::Kind = frame::Kind { magic: *b"WBSINKPL", version: 1 };

/// When files end.
#[derive(Clone, Copy)]
pub(super) struct Gather {
    pub(super) every: Duration,
    /// Or when they have so many bytes.
    pub(super) roll_after: u64,
}
impl Gather {
    /// When the period of a batch is over.
    fn end(self, batch: Time) -> Time {
        batch.floor(self.every) + self.every
    }
    /// Says where each of the files goes, and notes it beside them.
    pub(super) fn plan(self, own: &Own, batch: Time, files: &[StagedFile], ending: &str) -> Result<Plan, BoxError> {
        let (staging, end) = (own.staged(batch), self.end(batch).as_millis().to_string());
        let mut plan = Plan { end, pieces: Vec::new() };
        let mut targets: BTreeMap<String, Target> = BTreeMap::new();
        for StagedFile { path, head } in files {
            let from = text(path.strip_prefix(&staging)?)?;
            let place = from.rsplit_once('/').map_or("", |(place, _)| place);
            let len = fs::metadata(path).map_err(|e| failed("look at", path, e))?.len();
            let target = match targets.get_mut(place) {
                Some(target) => target,
                None => {
                    let found = Target::find(&own.open.join(&plan.end).join(place), ending)?;
                    targets.entry(place.to_owned()).or_insert(found)
                }
            };
            if target.name.is_none() || target.len >= self.roll_after || !target.takes(path, *head)? {
                let open = own.open.join(&plan.end).join(place);
                *target = target.next((&open, &own.directory.join(place)), batch, ending, path)?;
            }
            let name = target.name.as_deref().unwrap_or_default();
            // A file has one header.
            let skip = if target.len == 0 { 0 } else { *head };
            let to = if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") };
            plan.pieces.push(Piece { from, skip, len: len - skip, to, at: target.len });
            target.len += len - skip;
        }
        plan.pieces.sort_by(|a, b| (&a.to, a.at).cmp(&(&b.to, b.at)));
        let (at, bytes) = (staging.join(PLAN), frame::seal(KIND, &plan)?);
        let write = || {
            let mut file = File::create(&at)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(|e| failed("write", &at, e))?;
        Ok(plan)
    }
    /// Files that have what they may.
    pub(super) fn full(self, own: &Own) -> Result<Vec<PathBuf>, BoxError> {
        let mut full = Vec::new();
        for (_, period) in periods(own)? {
            for file in files_below(&period)? {
                if fs::metadata(&file).map_err(|e| failed("look at", &file, e))?.len() >= self.roll_after {
                    full.push(file);
                }
            }
        }
        Ok(full)
    }
}

/// The file of a place that takes what comes next.
#[derive(Default)]
struct Target {
    name: Option<String>,
    len: u64,
    /// Of the next file that this batch begins.
    n: u32,
    /// Where its first bytes are: in itself, or in the file of this batch that it begins with.
    first: PathBuf,
}
impl Target {
    /// The one that was begun last.
    fn find(directory: &Path, ending: &str) -> Result<Target, BoxError> {
        let all = match fs::read_dir(directory) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Target::default()),
            all => all.map_err(|e| failed("list", directory, e))?,
        };
        let mut last: Option<((u64, u32), DirEntry)> = None;
        for entry in all {
            let entry = entry.map_err(|e| failed("list", directory, e))?;
            let begun = entry.file_name().to_str().and_then(|name| begun(name, ending));
            if let Some(begun) = begun.filter(|begun| last.as_ref().is_none_or(|(last, _)| last < begun)) {
                last = Some((begun, entry));
            }
        }
        let Some((_, entry)) = last else { return Ok(Target::default()) };
        let (name, first) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let len = entry.metadata().map_err(|e| failed("look at", &first, e))?.len();
        Ok(Target { name: Some(name), len, n: 0, first })
    }
    /// Whether a file that begins with so many bytes of a header may go on in this one: it has the same, or none comes.
    fn takes(&self, file: &Path, head: u64) -> Result<bool, BoxError> {
        Ok(head == 0 || beginning(&self.first, head)? == beginning(file, head)?)
    }
    /// Another one, which begins with `first`.
    ///
    /// # Errors
    /// There is a file of that name already, where this one is to go.
    fn next(&self, (open, place): (&Path, &Path), batch: Time, ending: &str, first: &Path) -> Result<Target, BoxError> {
        let name = |n: u32| format!("{}-{n}.{ending}", batch.as_millis());
        // A clock that was set back brings the same time once more.
        let n = (self.n..).find(|n| !open.join(name(*n)).exists()).ok_or("too many files of one batch")?;
        is_free(&place.join(name(n)))?;
        Ok(Target { name: Some(name(n)), len: 0, n: n + 1, first: first.to_owned() })
    }
}
fn beginning(file: &Path, len: u64) -> Result<Vec<u8>, BoxError> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|f| f.take(len).read_to_end(&mut bytes));
    read.map_err(|e| failed("read", file, e))?;
    Ok(bytes)
}
/// The batch that began a file, and which of its files it is.
fn begun(name: &str, ending: &str) -> Option<(u64, u32)> {
    let (time, n) = name.strip_suffix(ending)?.strip_suffix('.')?.split_once('-')?;
    Some((time.parse().ok()?, n.parse().ok()?))
}

/// What a batch adds to the files of its period.
#[derive(Serialize, Deserialize)]
pub(super) struct Plan {
    end: String,
    pieces: Vec<Piece>,
}
#[derive(Serialize, Deserialize)]
struct Piece {
    /// A file of the batch, without so many bytes at its beginning.
    from: String,
    skip: u64,
    len: u64,
    /// A file of the period, and where in it.
    to: String,
    at: u64,
}
impl Plan {
    /// None of a batch whose files are whole files.
    pub(super) fn read(batch: &Path) -> Result<Option<Plan>, BoxError> {
        let at = batch.join(PLAN);
        match fs::read(&at) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("read", &at, e)),
            Ok(bytes) => Ok(Some(frame::unseal(KIND, &bytes).map_err(|e| failed("read", &at, e))?)),
        }
    }
    /// Adds, durably, what is there of this batch to the files of the period.
    pub(super) fn carry_out(&self, own: &Own, batch: &Path) -> Result<(), BoxError> {
        let open = own.open.join(&self.end);
        let mut begun = BTreeSet::new();
        for pieces in self.pieces.chunk_by(|a, b| a.to == b.to) {
            let to = open.join(&pieces[0].to);
            let directory = to.parent().ok_or("a file without a directory")?;
            make(directory)?;
            if pieces[0].at == 0 {
                begun.insert(directory.to_owned());
            }
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&to);
            let mut file = file.map_err(|e| failed("write", &to, e))?;
            for piece in pieces {
                piece.copy(&batch.join(&piece.from), &mut file, &to)?;
            }
            file.sync_all().map_err(|e| failed("sync", &to, e))?;
            failpoint::hit("files.gathered");
        }
        begun.iter().try_for_each(|d| sync(d))
    }
    /// The files of the period that this batch brought to so many bytes.
    pub(super) fn filled(&self, own: &Own, roll_after: u64) -> impl Iterator<Item = PathBuf> {
        let full = self.pieces.iter().filter(move |p| p.at + p.len >= roll_after);
        full.map(|p| own.open.join(&self.end).join(&p.to))
    }
}
impl Piece {
    fn copy(&self, from: &Path, to: &mut File, path: &Path) -> Result<(), BoxError> {
        let before = to.metadata().map_err(|e| failed("look at", path, e))?.len();
        if before < self.at {
            return Err(format!(
                "{} has {before} bytes, and had {} when the batch was committed; put it back as it was. The batch lies in {}",
                path.display(),
                self.at,
                from.display()
            )
            .into());
        }
        let at = if failpoint::seeded("files.gathered-again") { before } else { self.at };
        let source = File::open(from).map_err(|e| failed("read", from, e))?;
        let mut copy = || {
            (&source).seek(SeekFrom::Start(self.skip))?;
            // What an attempt left that was cut short goes.
            to.set_len(at)?;
            to.seek(SeekFrom::Start(at))?;
            io::copy(&mut (&source).take(self.len), to)
        };
        match copy().map_err(|e| failed("write", path, e))? {
            copied if copied == self.len => Ok(()),
            copied => Err(format!("{} ends after {copied} of {} bytes", from.display(), self.len).into()),
        }
    }
}

/// Shows the files of every period that is over at `now`; all of them if there is no such time.
pub(super) fn close(own: &Own, now: Option<Time>) -> Result<(), BoxError> {
    for (end, period) in periods(own)? {
        if now.is_none_or(|now| now.as_millis() >= end) {
            show(own, &files_below(&period)?)?;
            remove_all(&period)?;
        }
    }
    Ok(())
}
/// When each period ends that has open files, and where these are. What somebody else put there is none.
fn periods(own: &Own) -> Result<Vec<(u64, PathBuf)>, BoxError> {
    let end = |path: PathBuf| Some((path.file_name()?.to_str()?.parse().ok()?, path));
    Ok(entries(&own.open)?.into_iter().filter_map(end).collect())
}
/// Brings open files to their places.
pub(super) fn show(own: &Own, files: &[PathBuf]) -> Result<(), BoxError> {
    let below = |file: &Path| {
        let below = file.strip_prefix(&own.open)?;
        let end = below.components().next().ok_or("a file of no period")?;
        Ok::<PathBuf, BoxError>(below.strip_prefix(end)?.to_owned())
    };
    let moves = files.iter().map(|file| Ok((file.clone(), own.directory.join(below(file)?))));
    move_into(moves.collect::<Result<_, BoxError>>()?)
}
fn text(path: &Path) -> Result<String, BoxError> {
    Ok(path.to_str().ok_or("a place that is no text")?.to_owned())
}
