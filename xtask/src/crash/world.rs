//! What is outside the program that is killed: the inputs, a server that hands records out, and the ledger of all that.
//!
//! The server sends groups of records in order and begins each connection with the first that was not acknowledged. What
//! was on its way when a connection broke may have been stored without our knowing, so it may count once more; everything
//! else counts exactly once.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Result;

/// Records in a group, in a file, and of the tape, for each batch of the load.
const GROUP: usize = 3;
const FILE: usize = 6;
const TAPE: usize = 5;
/// Batches between two files.
const FILE_EVERY: usize = 4;

/// How often a record may be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

#[derive(Default)]
struct Ledger {
    /// Groups the server may send.
    released: usize,
    acknowledged: usize,
    /// How often each group was on its way when a connection broke.
    flights: BTreeMap<usize, u64>,
    /// The present connection has ended.
    closed: bool,
    over: bool,
    /// When the last thing was given, in milliseconds.
    given_at: u128,
}

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    changed: Condvar,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct World {
    pub(crate) directory: PathBuf,
    pub(crate) port: u16,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
    groups: usize,
    files: usize,
    batches: usize,
    placed: usize,
}

impl World {
    /// A new directory with inputs for so many batches.
    pub(crate) fn new(directory: PathBuf, batches: usize) -> Result<World> {
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(directory.join("files"))?;
        fs::create_dir_all(directory.join("out"))?;
        let tape: String = (0..batches * TAPE).map(|n| format!("t{n}\n")).collect();
        fs::write(directory.join("tape"), tape)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let server = thread::Builder::new().name("server".into()).spawn(move || serve(&listener, &served))?;
        let files = batches / FILE_EVERY;
        Ok(World { directory, port, shared, server: Some(server), groups: batches, files, batches: 0, placed: 0 })
    }

    /// The program began a batch: more is given.
    pub(crate) fn batch(&mut self) -> Result<()> {
        self.batches += 1;
        {
            let mut ledger = self.shared.ledger();
            if ledger.released < self.groups {
                ledger.released += 1;
                ledger.given_at = now();
                self.shared.changed.notify_all();
            }
        }
        if self.batches.is_multiple_of(FILE_EVERY) && self.placed < self.files {
            let lines: String = file(self.placed).map(|id| id + "\n").collect();
            let aside = self.directory.join(format!("files/.{}", self.placed));
            fs::write(&aside, lines)?;
            fs::rename(aside, self.directory.join(format!("files/{}", self.placed)))?;
            self.placed += 1;
            self.shared.ledger().given_at = now();
        }
        Ok(())
    }

    /// Whether a batch of this time can hold nothing new any more, if it is empty.
    pub(crate) fn is_given_before(&self, time: u64) -> bool {
        let ledger = self.shared.ledger();
        ledger.acknowledged == self.groups && self.placed == self.files && u128::from(time) > ledger.given_at
    }

    /// Ends the server. Which records there are, and how often each may be counted.
    pub(crate) fn close(&mut self) -> BTreeMap<String, Allowed> {
        self.shared.ledger().over = true;
        self.shared.changed.notify_all();
        // It may wait for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
        let once = |id| (id, Allowed { least: 1, most: 1 });
        let mut all: BTreeMap<String, Allowed> = (0..self.groups * TAPE).map(|n| once(format!("t{n}"))).collect();
        all.extend((0..self.placed).flat_map(file).map(once));
        let ledger = self.shared.ledger();
        for group in 0..ledger.released {
            let flights = ledger.flights.get(&group).copied().unwrap_or(0);
            let least = u64::from(group < ledger.acknowledged);
            all.extend(records(group).map(|id| (id, Allowed { least, most: least + flights })));
        }
        all
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.close();
        }
    }
}

fn file(n: usize) -> impl Iterator<Item = String> {
    (n * FILE..(n + 1) * FILE).map(|n| format!("f{n}"))
}

fn records(group: usize) -> impl Iterator<Item = String> {
    (group * GROUP..(group + 1) * GROUP).map(|n| format!("r{n}"))
}

fn line(group: usize) -> String {
    records(group).collect::<Vec<_>>().join(" ") + "\n"
}

/// Milliseconds since 1970, as batch times are.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

/// One connection after the other, until it is over.
fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.ledger().over {
            return;
        }
        // What fails here is the end of a connection, which is what the ledger is for.
        if let Ok(connection) = connection {
            let _ = hand_out(connection, shared);
        }
    }
}

fn hand_out(mut connection: TcpStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    shared.ledger().closed = false;
    let (answers, heard) = (connection.try_clone()?, Arc::clone(shared));
    let ears = thread::Builder::new().name("answers".into()).spawn(move || {
        hear(answers, &heard);
        heard.ledger().closed = true;
        heard.changed.notify_all();
    })?;
    let mut next = shared.ledger().acknowledged;
    loop {
        let mut ledger = shared.ledger();
        while !(ledger.closed || ledger.over || next < ledger.released) {
            ledger = shared.changed.wait(ledger).unwrap_or_else(PoisonError::into_inner);
        }
        if ledger.closed || ledger.over {
            break;
        }
        drop(ledger);
        next += 1;
        if connection.write_all(line(next - 1).as_bytes()).is_err() {
            break;
        }
    }
    let _ = connection.shutdown(std::net::Shutdown::Write);
    let _ = ears.join();
    let mut ledger = shared.ledger();
    for group in ledger.acknowledged..next {
        *ledger.flights.entry(group).or_default() += 1;
    }
    Ok(())
}

/// Reads acknowledgements until the connection ends.
fn hear(connection: TcpStream, shared: &Shared) {
    let mut lines = BufReader::new(connection);
    let mut text = String::new();
    while lines.read_line(&mut text).is_ok_and(|bytes| bytes > 0) {
        let mut ledger = shared.ledger();
        if text != line(ledger.acknowledged) {
            // Half of one, at the end.
            return;
        }
        ledger.acknowledged += 1;
        ledger.given_at = now();
        text.clear();
    }
}

/// Where a story keeps its things.
pub(crate) fn place(target: &Path, story: usize) -> PathBuf {
    target.join("crash").join(format!("{}-{story}", std::process::id()))
}
