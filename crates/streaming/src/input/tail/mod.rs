//! A file that is followed: each batch is the lines that were appended to it since the one before, across rotation.
//!
//! A file is known by device and inode, not by its name, and is held open, so that what was written before it was renamed
//! or removed can still be read. The plan of a batch names byte ranges and the position behind them: the same lines are
//! read again after a restart, and those that come after them once. `scan` looks for lines; this says of which file.
mod scan;

use super::{Input, InputLag, Planned, Supply, Tick, add_input};
use crate::{DStream, StreamingContext};
use scan::{last_line_end, scan};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf, absolute},
    sync::Arc,
};
use winterbourne_base::conf::{Bytes, keys};
use winterbourne_engine::{BoxError, Chunk, Error, Flow, LineCutter, Rdd, Site, SparkContext, Task, Text, at};

/// Bytes that a task reads at once.
const ROOM: u64 = 64 << 10;
/// The first bytes of a file, kept with a position in it: another file may come to have its inode.
const HEAD: usize = 64;

impl StreamingContext {
    /// The lines that are appended to a file from the start of the stream on, as `tail -F` shows them: for logs that other
    /// programs write. A line comes once its end was written. The file need not be there yet.
    ///
    /// When the file is renamed or removed and another one takes its name, what is left of the old one comes first: the
    /// batch that sees the new file still waits for late lines of the old, and the next one without any goes on with the
    /// new file from its beginning; a last line without an end is taken then. A file that became shorter is read from its
    /// beginning again, which is said. Rotated twice between two batches, the file in the middle is missed.
    ///
    /// With a checkpoint directory each line is in one batch, across restarts too: the position is in the batch log. A
    /// restart looks for the file under its name and under those that begin with it (`app.log.1`); if it is gone, or was
    /// packed, the rest of it is lost, which is said. Lines longer than `spark.streaming.receiver.maxLineLength` are left
    /// out and said. Only on Unix.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, seconds};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let log = std::env::temp_dir().join(format!("winterbourne-doc-{}.log", std::process::id()));
    /// use std::{fs, io::Write};
    /// fs::write(&log, "before\n")?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// ssc.file_tail_stream(&log).foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// let mut stream = ssc.start_stepped()?;
    /// fs::File::options().append(true).open(&log)?.write_all(b"GET /\nGET /fav")?;
    /// stream.step()?;
    /// assert_eq!(seen.try_recv()?, ["GET /"]);
    /// # fs::remove_file(log)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn file_tail_stream(&self, path: impl AsRef<Path>) -> DStream<Text> {
        self.tail_at(Site::caller(), path.as_ref(), false)
    }
    /// [`file_tail_stream`](StreamingContext::file_tail_stream) beginning with the lines that are in the file already.
    #[track_caller]
    pub fn file_tail_stream_from_start(&self, path: impl AsRef<Path>) -> DStream<Text> {
        self.tail_at(Site::caller(), path.as_ref(), true)
    }
    fn tail_at(&self, site: Site, path: &Path, from_start: bool) -> DStream<Text> {
        let name = path.to_string_lossy().into_owned();
        let wrong = |why: &dyn std::fmt::Display| {
            self.graph().wrong(site, format!("`{name}` cannot be followed: {why}"));
        };
        let path = absolute(path).unwrap_or_else(|e| {
            wrong(&e);
            PathBuf::new()
        });
        if path.is_dir() {
            wrong(&"it is a directory; text_file_stream reads the files that come into one");
        }
        let line_limit = self.spark_context().conf().value(keys::RECEIVER_MAX_LINE).unwrap_or_else(|e| {
            wrong(&e);
            Bytes(0)
        });
        let input = TailInput {
            place: Place { path, name: name.clone(), site, line_limit: line_limit.0 as usize },
            from_start,
            open: None,
            restored: None,
            told: None,
            held: BTreeMap::new(),
            waiting: false,
            stopped: false,
            complaint: None,
        };
        add_input(self, "file_tail_stream", site, name, input)
    }
}

/// Which file, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
struct FileId {
    device: u64,
    inode: u64,
}
impl FileId {
    fn of(meta: &Metadata) -> Self {
        FileId { device: meta.dev(), inode: meta.ino() }
    }
}
/// Where a file was read up to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Position {
    file: FileId,
    at: u64,
    /// How the file begins.
    head: Vec<u8>,
}
/// Bytes of a file: whole lines, except for the last one of a file that is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Piece {
    file: FileId,
    from: u64,
    to: u64,
}
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct TailPlan {
    pieces: Vec<Piece>,
    next: Option<Position>,
}

/// Where it is looked for, and how it is read.
#[derive(Clone)]
struct Place {
    path: PathBuf,
    /// As the user wrote it.
    name: String,
    site: Site,
    line_limit: usize,
}
impl Place {
    /// The file with this id, under its name or one that begins with it.
    fn find(&self, id: FileId) -> Option<File> {
        let own = self.path.file_name()?.as_encoded_bytes();
        let beside = fs::read_dir(self.path.parent()?).ok()?.flatten();
        let mut named = beside.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(own));
        let it = named.find(|entry| entry.metadata().is_ok_and(|meta| FileId::of(&meta) == id))?;
        let file = File::open(it.path()).ok()?;
        (FileId::of(&file.metadata().ok()?) == id).then_some(file)
    }
}

/// The file that is followed.
struct Open {
    file: Arc<File>,
    id: FileId,
    at: u64,
    /// No line ends between `at` and here.
    looked_at: u64,
    /// Another file had its name in an earlier batch.
    is_old: bool,
    /// Bytes and lines of the last lines, for an estimate of what waits.
    seen: (u64, u64),
}

struct TailInput {
    place: Place,
    from_start: bool,
    open: Option<Open>,
    restored: Option<Position>,
    /// The position in the last plan.
    told: Option<Position>,
    /// The files of pieces whose batch is not settled, by where they begin.
    held: BTreeMap<(FileId, u64), Arc<File>>,
    waiting: bool,
    stopped: bool,
    /// What was said last, so that it is said once.
    complaint: Option<String>,
}
impl TailInput {
    fn say(&mut self, what: String) {
        if self.complaint.as_ref() != Some(&what) {
            tracing::warn!("file {}: {what}", self.place.name);
            self.complaint = Some(what);
        }
    }
    /// Follows the file that has the name now, if there is one.
    fn open_named(&mut self, at: impl Fn(&File, u64) -> io::Result<u64>) -> io::Result<()> {
        let file = match File::open(&self.place.path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        let meta = file.metadata()?;
        let at = at(&file, meta.len())?;
        self.follow(Arc::new(file), FileId::of(&meta), at);
        self.complaint = None;
        Ok(())
    }
    fn follow(&mut self, file: Arc<File>, id: FileId, at: u64) {
        self.open = Some(Open { file, id, at, looked_at: at, is_old: false, seen: (0, 0) });
    }
    /// Goes on where an earlier process was.
    fn resume(&mut self, Position { file: id, at, head }: Position) -> io::Result<()> {
        if let Some(file) = self.place.find(id) {
            let mut first = vec![0; head.len()];
            if file.read_exact_at(&mut first, 0).is_ok() && first == head {
                self.follow(Arc::new(file), id, at);
                return Ok(());
            }
        }
        self.say(format!(
            "the file that was followed is not beside it any more, under any name that begins so; what it had behind byte {at} is lost"
        ));
        self.open_named(|_, _| Ok(0))
    }
    fn position(&self) -> Option<Position> {
        let open = self.open.as_ref()?;
        let mut head = vec![0; HEAD.min(open.at as usize)];
        // What was cut down meanwhile is seen by the next plan, and so is what cannot be read.
        if open.file.read_exact_at(&mut head, 0).is_err() {
            head.clear();
        }
        Some(Position { file: open.id, at: open.at, head })
    }
    /// The lines that came, of one file after another.
    fn advance(&mut self, tick: &Tick) -> io::Result<(Vec<Piece>, u64)> {
        let (mut pieces, mut lines, mut bytes) = (Vec::new(), 0, 0);
        self.waiting = false;
        if self.open.is_none() {
            self.open_named(|_, _| Ok(0))?;
        }
        while let Some(open) = &mut self.open {
            let len = open.file.metadata()?.len();
            if len < open.at {
                let was = open.at;
                (open.at, open.looked_at) = (0, 0);
                let what = format!("it had {was} bytes that were read and has {len}: it is read from its beginning");
                self.say(what);
                continue;
            }
            let found = scan(&open.file, open.at, open.looked_at, tick.limit.less(lines, bytes))?;
            for to in &found.ends {
                pieces.push(Piece { file: open.id, from: open.at, to: *to });
                bytes += to - open.at;
                open.at = *to;
            }
            open.looked_at = found.looked_at;
            if found.lines > 0 {
                let read: u64 = pieces.iter().filter(|p| p.file == open.id).map(|p| p.to - p.from).sum();
                open.seen = (read, found.lines);
            }
            lines += found.lines;
            if found.more {
                self.waiting = true;
                break;
            }
            match fs::metadata(&self.place.path) {
                Ok(meta) if FileId::of(&meta) == open.id => break,
                Ok(_) if open.is_old && found.lines == 0 => {
                    if open.looked_at > open.at {
                        pieces.push(Piece { file: open.id, from: open.at, to: open.looked_at });
                        (lines, bytes) = (lines + 1, bytes + open.looked_at - open.at);
                    }
                    // Its handle stays with the plan that reads it.
                    self.hold(&pieces);
                    self.open = None;
                    self.open_named(|_, _| Ok(0))?;
                }
                Ok(_) => {
                    open.is_old = true;
                    self.waiting = true;
                    break;
                }
                // Renamed, and nothing has its name yet.
                Err(e) if e.kind() == ErrorKind::NotFound => break,
                Err(e) => return Err(e),
            }
        }
        Ok((pieces, lines))
    }
    /// Keeps the file that is followed open for those of the pieces that are its.
    fn hold(&mut self, pieces: &[Piece]) {
        if let Some(open) = &self.open {
            let its = pieces.iter().filter(|p| p.file == open.id);
            self.held.extend(its.map(|p| ((p.file, p.from), open.file.clone())));
        }
    }
}

impl Input<Text> for TailInput {
    type Plan = TailPlan;
    fn start(&mut self) -> Result<(), BoxError> {
        let begun = match self.restored.take() {
            Some(position) => self.resume(position),
            None if self.from_start => self.open_named(|_, _| Ok(0)),
            // A line that is being written comes as a whole.
            None => self.open_named(last_line_end),
        };
        Ok(begun.map_err(|e| format!("the file {} cannot be followed: {e}", self.place.name))?)
    }
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<TailPlan>>, BoxError> {
        if self.stopped {
            return Ok(None);
        }
        let (pieces, lines) = match self.advance(tick) {
            Ok(found) => found,
            // Tried again at the next batch; nothing was passed over.
            Err(e) => {
                self.say(format!("it cannot be read now: {e}"));
                return Ok(None);
            }
        };
        self.hold(&pieces);
        let next = self.position();
        if pieces.is_empty() && next == self.told {
            return Ok(None);
        }
        self.told.clone_from(&next);
        let ranges: Vec<String> = pieces.iter().map(|p| format!("{}..{}", p.from, p.to)).collect();
        let description = format!("{}: bytes {}", self.place.name, ranges.join(", "));
        Ok(Some(Planned { plan: TailPlan { pieces, next }, records: Some(lines), description }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &TailPlan) -> Result<Rdd<Text>, BoxError> {
        let (place, mut parts) = (self.place.clone(), Vec::with_capacity(plan.pieces.len()));
        for Piece { file: id, from, to } in plan.pieces.clone() {
            let file = match self.held.get(&(id, from)) {
                Some(file) => file.clone(),
                None => Arc::new(place.find(id).ok_or_else(|| {
                    let name = &place.name;
                    format!(
                        "the file that was {name} (inode {}) when its batch was planned is not there any more under a name \
                         that begins so: bytes {from} to {to} of it cannot be read. Put it back, or skip the batch",
                        id.inode
                    )
                })?),
            };
            parts.push((file, from, to));
        }
        if parts.is_empty() {
            return Ok(sc.from_blocks(place.site, Vec::new()));
        }
        let (site, n) = (place.site, parts.len());
        Ok(sc.parallelize_at(site, parts, n).narrow("file_tail_stream", site, false, move |_, flow, task| {
            let (place, task) = (place.clone(), task.clone());
            Ok(Flow::chain(flow.records().map(move |part| Ok(lines(part, place.clone(), task.clone())))))
        }))
    }
    fn bytes(&self, plan: &TailPlan) -> Option<u64> {
        Some(plan.pieces.iter().map(|p| p.to - p.from).sum())
    }
    fn settle(&mut self, plan: TailPlan) {
        for Piece { file, from, .. } in plan.pieces {
            self.held.remove(&(file, from));
        }
    }
    fn lag(&self) -> Vec<InputLag> {
        let Some(open) = &self.open else { return Vec::new() };
        let behind = open.file.metadata().map_or(0, |meta| meta.len().saturating_sub(open.at));
        let (bytes, lines) = open.seen;
        // By the lines that were read; whatever waits is one line at least.
        let records = if self.waiting { (behind * lines / bytes.max(1)).max(1) } else { 0 };
        vec![InputLag { part: self.place.name.clone(), records, newest: None }]
    }
    fn load(&mut self, saved: &[u8]) -> Result<(), BoxError> {
        self.restored = postcard::from_bytes(saved)?;
        Ok(())
    }
    fn restore(&mut self, plan: &TailPlan) -> Result<(), BoxError> {
        self.restored.clone_from(&plan.next);
        self.told.clone_from(&plan.next);
        Ok(())
    }
    fn save(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(&self.told).ok()
    }
    fn supply(&self) -> Supply {
        match (self.stopped, self.waiting) {
            (true, _) => Supply::Ended,
            (false, true) => Supply::Waiting,
            (false, false) => Supply::Open,
        }
    }
    fn stop(&mut self) {
        self.stopped = true;
    }
}

/// The lines of a part.
fn lines((file, from, to): (Arc<File>, u64, u64), place: Place, task: Task) -> Flow<Text> {
    let (mut cutter, mut next) = (LineCutter::new(place.line_limit), from);
    Flow::new(move || {
        while next < to {
            task.check()?;
            at(place.site);
            let n = ROOM.min(to - next);
            let mut buffer = cutter.buffer(n as usize);
            let have = buffer.len() - n as usize;
            file.read_exact_at(&mut buffer[have..], next).map_err(|e| {
                let source = match e.kind() {
                    ErrorKind::UnexpectedEof => {
                        let why = format!(
                            "it was cut down before bytes {from} to {to} were read: they are lost, and the batch can only be skipped"
                        );
                        io::Error::new(e.kind(), why)
                    }
                    _ => e,
                };
                Error::Input { doing: "reading", path: place.path.clone(), site: place.site, source }
            })?;
            next += n;
            let cut = cutter.cut(buffer, next == to);
            if cut.oversized > 0 {
                let (name, limit, key) = (&place.name, Bytes(place.line_limit as u64), keys::RECEIVER_MAX_LINE);
                tracing::warn!("file {name}: left out {} line(s) longer than {limit} ({key})", cut.oversized);
            }
            if cut.invalid_utf8 > 0 {
                tracing::warn!("file {}: {} line(s) are not UTF-8; bytes were replaced", place.name, cut.invalid_utf8);
            }
            if !cut.lines.is_empty() {
                return Ok(Some(Chunk::Own(cut.lines)));
            }
        }
        Ok(None)
    })
}
