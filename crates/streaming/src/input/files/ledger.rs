//! [`Ledger`]: which files a stream knows, and which wait to be read. Decides only: it is told what was found and at which
//! batch time, and opens nothing.
//!
//! A file that has been read stays known while it is in its directory, and after that for the window in which it would be
//! read if it came back. So each version is read once, and what is kept is bounded by what could be listed again.
use super::{
    options::Existing,
    report::{Reason, Report},
    scan::{Found, Look},
    version::{Mark, StreamFile},
};
use crate::Limit;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use winterbourne_base::{Duration, Time};

/// How many of the known files of a directory are looked at again at one listing, to notice changes: all of a small
/// directory, and a large one bit by bit.
const LOOKED_AT_AGAIN: usize = 1000;
/// A directory whose own time stands still is listed this often all the same: not every file system keeps that time.
const LISTED_ALL_THE_SAME: Duration = Duration::from_millis(1000);
/// How coarse the times of directories may be: two changes closer than this may leave the same time.
const COARSE: Duration = Duration::from_millis(20);
/// The longest that a file is remembered which is gone.
const LONGEST_GONE: Duration = Duration::from_millis(3_600_000);
const FORMAT: u8 = 1;
/// The mark of what could not even be looked at.
const UNSEEN: Mark = Mark { size: 0, modified_ns: 0 };

/// What a file stream was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) existing: Existing,
    pub(super) read_changed: bool,
    pub(super) interval: Duration,
    /// A multiple of the interval.
    pub(super) remember: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum State {
    /// Given to a batch.
    Read,
    /// Empty, or left out for its age. A new version of it is judged anew.
    Passed,
    /// To be read, in one of the next batches.
    Due,
    /// Its time is ahead of the batch.
    Early,
    /// Could not be looked at, or not be opened when it was its turn; tried again at each listing.
    Refused,
}
#[derive(Clone, Copy, Debug)]
struct Entry {
    mark: Mark,
    state: State,
    /// The listing that saw it last.
    seen: u64,
    /// Since when it is gone.
    gone: Option<Time>,
}
#[derive(Default)]
struct Dir {
    /// Never iterated for something whose order can be seen.
    files: HashMap<String, Entry>,
    /// The batch of the last listing that succeeded.
    listed: Option<Time>,
    /// Its own modification time at the last listing.
    stamp: Option<u64>,
    /// The batches of the first and of the last listing with that time.
    stood: (Time, Time),
    /// When the first of its files that are ahead of the batches is due.
    early: Option<Time>,
    /// Numbers the listings.
    listing: u64,
    /// Where to go on looking at known files.
    turn: usize,
}

/// A file that waits: by time, then by path.
type Waiting = (u64, String, String);

/// What a stream knows of files.
pub(super) struct Ledger {
    rules: Rules,
    /// Files that were modified until then were there before the stream.
    since: Time,
    /// The last batch that was planned, here or before a restart.
    planned: Option<Time>,
    /// The one listing of a stream that lists once is done.
    listed_once: bool,
    dirs: BTreeMap<String, Dir>,
    /// INVARIANT: files that are `Due`, or `Refused` and to be tried again, under the time of their entry's mark.
    due: BTreeSet<Waiting>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    since: u64,
    planned: Option<u64>,
    listed_once: bool,
    dirs: Vec<SavedDir>,
}
#[derive(Serialize, Deserialize)]
struct SavedDir {
    path: String,
    listed: Option<u64>,
    files: Vec<(String, Mark, State)>,
}

impl Ledger {
    pub(super) fn new(rules: Rules, since: Time) -> Self {
        Ledger { rules, since, planned: None, listed_once: false, dirs: BTreeMap::new(), due: BTreeSet::new() }
    }
    pub(super) fn rules(&mut self) -> &mut Rules {
        &mut self.rules
    }
    pub(super) fn since(&self) -> Time {
        self.since
    }
    /// Whether files wait for the next batch.
    pub(super) fn is_waiting(&self) -> bool {
        !self.due.is_empty()
    }
    /// Whether the stream ends after what is there once.
    pub(super) fn lists_once(&self) -> bool {
        self.rules.existing == Existing::Only
    }
    /// Whether that listing is done: nothing is left to list.
    pub(super) fn has_listed_all(&self) -> bool {
        self.listed_once
    }

    /// What is wanted of the `i`th name of a directory.
    pub(super) fn look(&self, dir: &str, i: usize, name: &str) -> Look {
        let Some(dir) = self.dirs.get(dir) else { return Look::Closely };
        match dir.files.get(name) {
            None | Some(Entry { state: State::Early | State::Refused, .. } | Entry { gone: Some(_), .. }) => {
                Look::Closely
            }
            Some(_) if (dir.turn..dir.turn + LOOKED_AT_AGAIN).contains(&i) => Look::Closely,
            Some(_) => Look::Glance,
        }
    }
    /// Whether the directory's listing has this name already, so that the filter need not be asked.
    pub(super) fn knows(&self, dir: &str, name: &str) -> bool {
        self.dirs.get(dir).is_some_and(|d| d.files.contains_key(name))
    }

    /// What was in the directory when the stream began.
    pub(super) fn began_with(&mut self, path: &str, found: Vec<(String, Found)>, report: &mut Report) {
        let since = self.since;
        let dir = self.dirs.entry(path.to_owned()).or_default();
        dir.listed = Some(self.planned.unwrap_or(since));
        for (name, found) in found {
            let Found::File(mark) = found else { continue };
            if mark.modified() <= since && !dir.files.contains_key(&name) {
                report.add(Reason::Before, || full(path, &name));
                dir.files.insert(name, Entry { mark, state: State::Passed, seen: 0, gone: None });
            }
        }
    }
    /// Whether the directory need not be listed for the batch of `t`: its own modification time says that nothing came
    /// or went. With batches of a second or more every batch lists.
    pub(super) fn stands_still(&mut self, path: &str, stamp: Option<u64>, t: Time) -> bool {
        let Some(dir) = self.dirs.get_mut(path) else { return false };
        let (first, last) = dir.stood;
        let still = stamp.is_some() && stamp == dir.stamp && dir.early.is_none_or(|due| due > t);
        let skip = still && last - first >= COARSE && t - last < LISTED_ALL_THE_SAME;
        if skip {
            dir.listed = Some(t);
        }
        skip
    }
    /// What is in the directory at the batch of `t`. `stamp` is its own modification time before it was listed.
    pub(super) fn observe(
        &mut self,
        path: &str,
        (stamp, found): (Option<u64>, Vec<(String, Found)>),
        t: Time,
        report: &mut Report,
    ) {
        let dir = self.dirs.entry(path.to_owned()).or_default();
        dir.listing += 1;
        dir.stood = (if stamp == dir.stamp { dir.stood.0 } else { t }, t);
        dir.stamp = stamp;
        dir.turn = if dir.turn + LOOKED_AT_AGAIN < dir.files.len() { dir.turn + LOOKED_AT_AGAIN } else { 0 };
        // Files that came while nobody looked (a restart, a disk that was away) are not too old for that.
        let looked = dir.listed.or(self.planned).map_or(t, |last| t.min(last + self.rules.interval));
        dir.listed = Some(t);
        let judge = Judge { rules: self.rules, t, looked };
        for (name, found) in found {
            let known = dir.files.get(&name).copied();
            let at = || full(path, &name);
            let (mark, state) = match (found, known) {
                (Found::Something, None) => continue,
                (Found::Something, Some(e)) => (e.mark, e.state),
                (Found::Odd(why), None) => {
                    report.add(Reason::Refused, || format!("{} ({why})", at()));
                    (UNSEEN, State::Refused)
                }
                // The trouble may pass, and what was read stays read.
                (Found::Odd(_), Some(e)) => (e.mark, e.state),
                (Found::File(mark), None) => (mark, judge.of(mark, None, report, at)),
                (Found::File(mark), Some(e)) => (mark, judge.again(mark, e, report, at)),
            };
            if let Some(e) = known
                && matches!(e.state, State::Due | State::Refused)
            {
                self.due.remove(&(e.mark.modified_ns, path.to_owned(), name.clone()));
            }
            // One that is tried again stays refused, for what was said of it, until it can be opened.
            if state == State::Due || state == State::Refused && mark != UNSEEN {
                self.due.insert((mark.modified_ns, path.to_owned(), name.clone()));
            }
            dir.files.insert(name, Entry { mark, state, seen: dir.listing, gone: None });
        }
        let (listing, due) = (dir.listing, &mut self.due);
        let longest = self.rules.remember.min(LONGEST_GONE);
        dir.files.retain(|name, e| e.seen == listing || stays(e, t, longest, due, path, name, report));
        dir.early = dir.files.values().filter(|e| e.state == State::Early).map(|e| e.mark.modified()).min();
    }
    /// Ends a round of listings: directories that were not among them mean nothing to the stream any more.
    pub(super) fn keep_only(&mut self, paths: &[String], t: Time, report: &mut Report) {
        self.listed_once = self.rules.existing == Existing::Only;
        let (longest, due) = (self.rules.remember.min(LONGEST_GONE), &mut self.due);
        self.dirs.retain(|path, dir| {
            if !paths.contains(path) {
                dir.files.retain(|name, e| stays(e, t, longest, due, path, name, report));
            }
            !dir.files.is_empty() || paths.contains(path)
        });
    }

    /// The files of the batch of `t`, at most so many, and of no more bytes than it may have unless it is one file: `probe`
    /// opens each once more.
    pub(super) fn take(
        &mut self,
        t: Time,
        (most, limit): (usize, Limit),
        mut probe: impl FnMut(&str) -> Result<Option<Mark>, String>,
        report: &mut Report,
    ) -> Vec<StreamFile> {
        self.planned = self.planned.max(Some(t));
        let (mut files, mut bytes) = (Vec::new(), 0);
        while files.len() < most
            && !limit.is_zero()
            && let Some((_, dir, name)) = self.due.pop_first()
        {
            let path = full(&dir, &name);
            let known = self.dirs.get_mut(&dir).expect("what is due is in a directory");
            let entry = known.files.get_mut(&name).expect("and known there");
            match probe(&path) {
                Ok(Some(mark)) if mark.size == 0 => (entry.mark, entry.state) = (mark, State::Passed),
                Ok(Some(mark)) if !files.is_empty() && !limit.fits(0, bytes + mark.size) => {
                    (entry.mark, entry.state) = (mark, State::Due);
                    self.due.insert((mark.modified_ns, dir, name));
                    break;
                }
                Ok(Some(mark)) => {
                    (entry.mark, entry.state) = (mark, State::Read);
                    bytes += mark.size;
                    files.push(StreamFile { path, mark });
                }
                Ok(None) => {
                    known.files.remove(&name);
                    report.add(Reason::Vanished, || path);
                }
                Err(why) => {
                    if entry.state != State::Refused {
                        report.add(Reason::Refused, || format!("{path} ({why})"));
                    }
                    entry.state = State::Refused;
                }
            }
        }
        files
    }
    /// A file is not what it was when it was planned. True the first time that is known, if it will not be read again.
    pub(super) fn has_changed(&mut self, file: &StreamFile, now: Mark) -> bool {
        let Some((dir, name)) = file.path.rsplit_once('/') else { return false };
        let entry = self.dirs.get_mut(dir).and_then(|d| d.files.get_mut(name));
        let first = entry.filter(|e| e.mark == file.mark && !self.rules.read_changed);
        first.map(|e| e.mark = now).is_some()
    }

    /// A batch of `t` was planned with these files before a restart.
    pub(super) fn restore(&mut self, t: Time, since: Time, files: &[StreamFile]) {
        if self.planned >= Some(t) {
            return; // the checkpoint knows of it, and of what happened to its files after
        }
        (self.planned, self.since) = (Some(t), since);
        for file in files {
            let Some((path, name)) = file.path.rsplit_once('/') else { continue };
            let dir = self.dirs.entry(path.to_owned()).or_default();
            let entry = Entry { mark: file.mark, state: State::Read, seen: 0, gone: None };
            if let Some(was) = dir.files.insert(name.to_owned(), entry) {
                self.due.remove(&(was.mark.modified_ns, path.to_owned(), name.to_owned()));
            }
        }
    }
    /// What a restart must know beyond the plans.
    pub(super) fn save(&self) -> Vec<u8> {
        let dirs = self.dirs.iter().map(|(path, dir)| {
            let kept = dir.files.iter().filter_map(|(name, e)| {
                let state = match e.state {
                    State::Early => return None,
                    State::Refused if e.mark == UNSEEN => return None,
                    State::Refused => State::Due,
                    state => state,
                };
                Some((name.clone(), e.mark, state))
            });
            let mut files: Vec<_> = kept.collect();
            files.sort_by(|a, b| a.0.cmp(&b.0));
            SavedDir { path: path.clone(), listed: dir.listed.map(Time::as_millis), files }
        });
        let (since, planned) = (self.since.as_millis(), self.planned.map(Time::as_millis));
        let saved = Saved { since, planned, listed_once: self.listed_once, dirs: dirs.collect() };
        postcard::to_extend(&saved, vec![FORMAT]).expect("memory takes it, and all of it is serialisable")
    }
    /// Takes back what was saved.
    ///
    /// # Errors
    /// Why it cannot be read; nothing is changed then.
    pub(super) fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let (format, body) = saved.split_first().ok_or("it is empty")?;
        if *format != FORMAT {
            return Err(format!("it has format {format}, and this build reads {FORMAT}"));
        }
        let saved: Saved = postcard::from_bytes(body).map_err(|e| format!("it is damaged ({e})"))?;
        (self.since, self.planned) = (Time::from_millis(saved.since), saved.planned.map(Time::from_millis));
        self.listed_once = saved.listed_once && self.rules.existing == Existing::Only;
        for SavedDir { path, listed, files } in saved.dirs {
            let mut dir = Dir { listed: listed.map(Time::from_millis), ..Dir::default() };
            for (name, mark, state) in files {
                if state == State::Due {
                    self.due.insert((mark.modified_ns, path.clone(), name.clone()));
                }
                dir.files.insert(name, Entry { mark, state, seen: 0, gone: None });
            }
            self.dirs.insert(path, dir);
        }
        Ok(())
    }
}

/// What becomes of a file at the batch of `t`; a directory was last looked at just before `looked`.
struct Judge {
    rules: Rules,
    t: Time,
    looked: Time,
}
impl Judge {
    /// A version of a file that is not known.
    fn of(&self, mark: Mark, was: Option<Entry>, report: &mut Report, path: impl Fn() -> String) -> State {
        let modified = mark.modified();
        if mark.size == 0 {
            // Somebody may be about to write to it.
            State::Passed
        } else if self.rules.existing == Existing::Only {
            State::Due
        } else if modified > self.t {
            let said = was.is_some_and(|e| e.state == State::Early && e.mark == mark);
            if modified - self.t > self.rules.remember && !said {
                report.add(Reason::Early, || format!("{} (by {})", path(), modified - self.t));
            }
            State::Early
        } else if self.looked - modified >= self.rules.remember {
            report.add(Reason::TooOld, || format!("{} ({})", path(), self.looked - modified));
            State::Passed
        } else {
            State::Due
        }
    }
    /// A file that is known.
    fn again(&self, mark: Mark, was: Entry, report: &mut Report, path: impl Fn() -> String) -> State {
        let same = mark == was.mark;
        match was.state {
            State::Refused if was.mark != UNSEEN => State::Refused,
            State::Refused => self.of(mark, None, report, path),
            State::Early => self.of(mark, Some(was), report, path),
            State::Due => State::Due,
            State::Read | State::Passed if same => was.state,
            // One that was gone is another file.
            State::Read if was.gone.is_none() && !self.rules.read_changed => {
                report.add(Reason::Changed, path);
                State::Read
            }
            State::Read | State::Passed => self.of(mark, Some(was), report, path),
        }
    }
}

/// Whether a file that is not in its directory any more stays known.
fn stays(
    e: &mut Entry,
    t: Time,
    longest: Duration,
    due: &mut BTreeSet<Waiting>,
    dir: &str,
    name: &str,
    report: &mut Report,
) -> bool {
    match e.state {
        State::Read | State::Passed => t - *e.gone.get_or_insert(t) < longest,
        State::Due => {
            due.remove(&(e.mark.modified_ns, dir.to_owned(), name.to_owned()));
            report.add(Reason::Vanished, || full(dir, name));
            false
        }
        State::Early | State::Refused => {
            due.remove(&(e.mark.modified_ns, dir.to_owned(), name.to_owned()));
            false
        }
    }
}

fn full(dir: &str, name: &str) -> String {
    format!("{dir}/{name}")
}
