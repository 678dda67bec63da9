//! [`Run`]: one process, its input, its output, and the directory it may have.
use super::{Pipe, put_line};
use crate::{Chunk, Counters, Data, Error, Flow, LineCutter, Result, Site, Task, Text, at};
use std::{
    collections::VecDeque,
    env, fs, io,
    io::Write,
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::PathBuf,
    process::{Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use winterbourne_base::process::Process;

/// How much is read at once.
const BLOCK: usize = 64 << 10;
/// The longest line of a process's output.
const LONGEST_LINE: usize = 1 << 30;
/// How much of its standard error an error shows.
const TAIL: usize = 4 << 10;
/// After which the task looks whether it is to go on.
const PATIENCE: Duration = Duration::from_millis(100);

pub(super) struct Run<T: Data> {
    pipe: Arc<Pipe<T>>,
    site: Site,
    task: Task,
    /// What is upstream, until its end.
    flow: Option<Flow<T>>,
    process: Process,
    /// Lines for the process, and how many bytes of them it has.
    input: String,
    taken: usize,
    cutter: LineCutter,
    /// The end of its standard error.
    tail: VecDeque<u8>,
    /// Its output has ended.
    silent: bool,
    /// How long to wait for its end then.
    wait: Duration,
    /// Removed after the process is gone.
    _dir: Option<OwnDir>,
}

impl<T: Data> Run<T> {
    pub(super) fn start(pipe: &Arc<Pipe<T>>, flow: Flow<T>, task: &Task, site: Site) -> Result<Self> {
        at(site);
        let failed = |doing, source| Error::Pipe { doing, program: pipe.command[0].clone(), site, source };
        let mut command = Command::new(&pipe.command[0]);
        command.args(&pipe.command[1..]).envs(pipe.env.iter().map(|(k, v)| (k, v)));
        let dir = pipe.own_dir.then(OwnDir::make).transpose();
        let dir = dir.map_err(|e| failed("making a working directory for it", e))?;
        if let Some(dir) = &dir {
            command.current_dir(&dir.0);
        }
        let process = Process::start(&mut command).map_err(|e| failed("starting it", e))?;
        let mut input = String::new();
        if let Some(print) = &pipe.context {
            print(&mut |line| put_line(&mut input, line));
        }
        let (pipe, task, flow) = (pipe.clone(), task.clone(), Some(flow));
        let (cutter, tail, wait) = (LineCutter::new(LONGEST_LINE), VecDeque::new(), PATIENCE);
        Ok(Run { pipe, site, task, flow, process, input, taken: 0, cutter, tail, silent: false, wait, _dir: dir })
    }
    /// The next lines of its output; none once it has ended well.
    pub(super) fn next_lines(&mut self) -> Result<Option<Chunk<Text>>> {
        loop {
            self.task.check()?;
            self.refill()?;
            if self.silent && self.has_ended()? {
                return Ok(None);
            }
            // One that closed its output is about to end, or reads on.
            let wait = if self.silent { self.wait } else { PATIENCE };
            self.wait = PATIENCE.min(wait * 2);
            let lines = self.exchange(wait)?;
            if !lines.is_empty() {
                return Ok(Some(Chunk::Own(lines)));
            }
        }
    }
    /// Sees to it that there is something to write, while the process takes it and there is more.
    fn refill(&mut self) -> Result<()> {
        if !self.process.takes_input() {
            self.flow = None;
            self.input.clear();
            self.taken = 0;
            return Ok(());
        }
        while self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
            let Some(flow) = &mut self.flow else {
                self.process.close_input();
                return Ok(());
            };
            match flow.next_chunk()? {
                Some(chunk) => {
                    at(self.site);
                    let printed = (self.pipe.print)(chunk.as_slice(), &mut self.input);
                    printed.map_err(|why| Error::Unwritable { site: self.site, why })?;
                }
                None => self.flow = None,
            }
        }
        Ok(())
    }
    /// Writes and reads what is possible; the lines that came.
    fn exchange(&mut self, wait: Duration) -> Result<Vec<Text>> {
        let mut out = if self.silent { Vec::new() } else { self.cutter.buffer(BLOCK) };
        let have = out.len() - if self.silent { 0 } else { BLOCK };
        let mut err = [0; 1 << 10];
        let input = &self.input.as_bytes()[self.taken..];
        let moved = self.process.exchange(input, &mut out[have..], &mut err, wait);
        let moved = moved.map_err(|e| self.failed("talking to it", e))?;
        self.taken += moved.taken;
        self.hear(&err[..moved.err]);
        if self.silent {
            return Ok(Vec::new());
        }
        self.silent = !self.process.has_output();
        self.wait = Duration::from_millis(1);
        out.truncate(have + moved.out);
        let cut = self.cutter.cut(out, self.silent);
        Counters::add(&self.task.counters().invalid_utf8, cut.invalid_utf8);
        if cut.oversized > 0 {
            let why = format!("a line of its output is longer than {LONGEST_LINE} bytes");
            return Err(self.failed("reading its output", io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        Ok(cut.lines)
    }
    /// Whether it has ended; an error if not well.
    fn has_ended(&mut self) -> Result<bool> {
        let Some(status) = self.process.ended().map_err(|e| self.failed("waiting for it", e))? else {
            return Ok(false);
        };
        if status.success() {
            return Ok(true);
        }
        // What it said last may still be in the pipe.
        let mut err = [0; 1 << 10];
        while let Ok(moved) = self.process.exchange(&[], &mut [], &mut err, Duration::ZERO)
            && moved.err > 0
        {
            self.hear(&err[..moved.err]);
        }
        let (command, tail) = (self.pipe.command.join(" "), self.tail.make_contiguous());
        let stderr = match String::from_utf8_lossy(tail).trim() {
            "" => "(nothing)".to_owned(),
            tail => tail.to_owned(),
        };
        Err(Error::PipeStatus { status: said(status), command, site: self.site, stderr })
    }
    /// Passes on what it says on its standard error, and keeps the end.
    fn hear(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // Nobody may be listening.
        let _ = io::stderr().write_all(bytes);
        self.tail.extend(bytes);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }
    fn failed(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Pipe { doing, program: self.pipe.command[0].clone(), site: self.site, source }
    }
}

/// A status as shells count it: 128 and the signal that ended it.
fn said(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("{} (signal {signal})", 128 + signal),
        (None, None) => status.to_string(),
    }
}

/// A directory of links to what is in the working directory; gone when dropped.
struct OwnDir(PathBuf);
impl OwnDir {
    fn make() -> io::Result<Self> {
        static DIRS: AtomicU64 = AtomicU64::new(0);
        let name = format!("winterbourne-pipe-{}-{}", std::process::id(), DIRS.fetch_add(1, Relaxed));
        let here = env::current_dir()?;
        let path = env::temp_dir().join(name);
        fs::create_dir(&path)?;
        let dir = OwnDir(path);
        for entry in fs::read_dir(here)? {
            let entry = entry?;
            symlink(entry.path(), dir.0.join(entry.file_name()))?;
        }
        Ok(dir)
    }
}
impl Drop for OwnDir {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.0) {
            tracing::warn!("the directory {} of a process could not be removed: {e}", self.0.display());
        }
    }
}
