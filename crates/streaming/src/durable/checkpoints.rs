//! [`Checkpointer`]: the thread that writes checkpoints, off the path of the batches. It ends when its keeper is dropped.
//!
//! One checkpoint at a time: what was frozen is encoded, while batches go on; state file, sync, manifest. Then it cleans:
//! manifests beyond the newest few, state files no manifest names. When the changes have grown larger than what they
//! change, the next checkpoint holds everything, and is the first file of those that follow. Errors of the storage are
//! tried again with growing pauses; a checkpoint that cannot be encoded or written is reported, and the next one holds
//! everything.
use super::{
    manifest::{FileRef, Manifest},
    sections::{Owner, Writer},
};
use crate::state::{Section, Stateful};
use std::{
    collections::{BTreeSet, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
};
use winterbourne_base::{
    Clock, Duration, Time,
    clock::{Bell, Patience},
    failpoint,
    journal::Position,
    storage::Storage,
    thread,
    time::milliseconds,
};
use winterbourne_engine::guard_driver;

const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = milliseconds(100);
/// Fewer bytes of changes than this are not worth writing everything anew.
const LEAST_CHANGES: u64 = 1 << 20;
/// So many files are, however small they are.
const MOST_FILES: usize = 64;

/// A checkpoint to be written.
pub(super) struct Job {
    /// Without the state files, which are the writer's business.
    pub(super) manifest: Manifest,
    pub(super) owners: Vec<Owner>,
    /// What the owners have frozen.
    pub(super) states: Vec<Arc<dyn Stateful>>,
}
impl Job {
    /// Encodes what was frozen, with the number of the owner.
    ///
    /// # Errors
    /// Whose state cannot be encoded, and why.
    fn sections(&self) -> Result<Vec<(u32, Section)>, String> {
        let mut sections = Vec::new();
        for ((i, owner), state) in (0..).zip(&self.owners).zip(&self.states) {
            let taken = guard_driver(|| Ok(state.take_frozen(self.manifest.time)?));
            let taken = taken.map_err(|e| format!("the state of {} could not be encoded: {e}", owner.id))?;
            sections.extend(taken.into_iter().map(|s| (i, s)));
        }
        Ok(sections)
    }
}

/// How the checkpoints are doing.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// One is being written, or waits for it.
    pub(super) busy: bool,
    pub(super) written: u64,
    pub(super) last: Option<Time>,
    pub(super) bytes: u64,
    /// Why the last one could not be written.
    pub(super) failure: Option<String>,
    pub(super) failures: u64,
    /// The changes have grown larger than what they change: the next checkpoint should hold everything.
    pub(super) wants_everything: bool,
    /// The log from here on is needed by what is retained.
    pub(super) keep_log: Option<Position>,
    /// The oldest batch a start may begin behind.
    pub(super) keep_after: Option<Time>,
}

pub(super) struct Checkpointer {
    jobs: Option<mpsc::Sender<Job>>,
    progress: Arc<Mutex<Progress>>,
    thread: Option<JoinHandle<()>>,
    /// Once rung, nothing pauses any more.
    hurry: Bell,
    /// Rung when a job is done.
    idle: Bell,
}

/// What the thread works with.
pub(super) struct Desk {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) clock: Arc<dyn Clock>,
    /// Manifests that are kept, oldest first.
    pub(super) manifests: VecDeque<Manifest>,
    /// How many to keep at least …
    pub(super) retain: usize,
    /// … and one at least this much older than the newest: what looks back on state needs it.
    pub(super) reach: Duration,
    /// What the next state file adds to.
    pub(super) files: Vec<FileRef>,
}

impl Checkpointer {
    pub(super) fn start(desk: Desk) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let progress = Arc::new(Mutex::new(Progress::default()));
        let told = progress.clone();
        let (hurry, idle) = (Bell::new(), Bell::new());
        let bells = (hurry.clone(), idle.clone());
        let thread = thread::spawn("checkpoints", move || {
            let mut desk = desk;
            while let Ok(job) = inbox.recv() {
                // A bug of ours must not leave the batch loop waiting.
                let worked = catch_unwind(AssertUnwindSafe(|| desk.work(&job, &told, &bells.0)));
                if worked.is_err() {
                    let mut p = told.lock().unwrap_or_else(PoisonError::into_inner);
                    p.failures += 1;
                    p.failure = Some("the checkpoint thread panicked; its thread said where".into());
                    p.busy = false;
                }
                bells.1.ring();
            }
        })?;
        Ok(Checkpointer { jobs: Some(jobs), progress, thread: Some(thread), hurry, idle })
    }
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn submit(&self, job: Job) {
        self.progress().busy = true;
        if let Some(jobs) = &self.jobs {
            // The thread ends only after this handle.
            let _ = jobs.send(job);
        }
    }
    /// Waits until nothing is being written. No pauses between attempts from now on.
    pub(super) fn await_idle(&self) {
        self.hurry.ring();
        loop {
            let seen = self.idle.count();
            if !self.progress().busy {
                return;
            }
            self.idle.wait(seen, || Patience::Unlimited);
        }
    }
    /// Ends the thread when it has nothing to write any more.
    pub(super) fn close(&mut self) {
        self.jobs = None;
        self.hurry.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Desk {
    fn work(&mut self, job: &Job, progress: &Mutex<Progress>, hurry: &Bell) {
        let time = job.manifest.time;
        failpoint::hit("checkpoint.frozen");
        let done = job.sections().and_then(|sections| self.persist(job, &sections, hurry));
        let ok = done.is_ok();
        {
            let mut p = progress.lock().expect("plain values");
            match done {
                Ok(bytes) => {
                    p.written += 1;
                    p.bytes += bytes;
                    p.last = Some(time);
                    p.failure = None;
                    p.wants_everything = are_outgrown(&self.files);
                }
                Err(e) => {
                    tracing::error!("no checkpoint for batch {time}: {e}; the next one holds everything");
                    p.failures += 1;
                    p.failure = Some(e);
                }
            }
        }
        if ok && let Err(e) = self.clean() {
            tracing::warn!("old checkpoints could not be removed: {e}");
        }
        let mut p = progress.lock().expect("plain values");
        // Until a checkpoint is old enough for those who look back on state, the log is kept from its beginning.
        if let (Some(oldest), Some(newest)) = (self.manifests.front(), self.manifests.back())
            && oldest.time + self.reach <= newest.time
        {
            p.keep_log = self.manifests.iter().map(|m| m.replay_from).min();
            p.keep_after = Some(oldest.time);
        }
        p.busy = false;
    }

    /// Writes, with some attempts. The bytes written.
    fn persist(&mut self, job: &Job, sections: &[(u32, Section)], hurry: &Bell) -> Result<u64, String> {
        let (time, mut pause, mut attempt) = (job.manifest.time, FIRST_PAUSE, 1);
        loop {
            let e = match self.write(job, sections) {
                Ok(bytes) => return Ok(bytes),
                Err(e) => e.to_string(),
            };
            tracing::warn!("checkpoint {time} could not be written (attempt {attempt} of {ATTEMPTS}): {e}");
            if attempt == ATTEMPTS {
                return Err(e);
            }
            attempt += 1;
            let until = self.clock.now() + pause;
            self.clock.wait(hurry, 0, Some(until));
            pause = pause * 4;
        }
    }
    /// The state file, then the manifest. The bytes written.
    fn write(&mut self, job: &Job, sections: &[(u32, Section)]) -> io::Result<u64> {
        let sequence = job.manifest.sequence;
        // What everything is written anew of needs no older file.
        let is_whole = !job.owners.is_empty() && job.owners.iter().all(|o| o.full);
        let mut files = if is_whole { Vec::new() } else { self.files.clone() };
        let mut bytes = 0;
        let manifest_first = failpoint::seeded("checkpoint.manifest-first");
        let name = self.fresh(sequence)?;
        if manifest_first {
            let early = Manifest {
                files: [&files[..], &[FileRef { name: name.clone(), len: 0 }]].concat(),
                ..job.manifest.clone()
            };
            self.storage.publish(&Manifest::name(sequence), &early.encode()?)?;
            failpoint::hit("checkpoint.manifest_published");
        }
        if !sections.is_empty() || job.owners.iter().any(|o| o.full) {
            let mut w = Writer::create(&*self.storage, &name, job.manifest.time, job.owners.clone())?;
            for (owner, section) in sections {
                w.section(*owner, section)?;
            }
            let len = w.finish()?;
            bytes += len;
            files.push(FileRef { name, len });
        }
        failpoint::hit("checkpoint.before_manifest");
        let manifest = Manifest { files, ..job.manifest.clone() };
        let encoded = manifest.encode()?;
        bytes += encoded.len() as u64;
        self.storage.publish(&Manifest::name(sequence), &encoded)?;
        failpoint::hit("checkpoint.manifest_published");
        self.files.clone_from(&manifest.files);
        self.manifests.retain(|m| m.sequence != sequence);
        self.manifests.push_back(manifest);
        Ok(bytes)
    }
    /// A name nobody has used.
    fn fresh(&self, sequence: u64) -> io::Result<String> {
        let taken: BTreeSet<String> = self.storage.list("state")?.into_iter().map(|e| e.name).collect();
        let name = |n: u32| format!("state/{sequence:020}-{n}.state");
        Ok((0..).map(name).find(|n| !taken.contains(n)).expect("names do not run out"))
    }

    /// Removes manifests nobody goes back to, then the state files they alone named.
    fn clean(&mut self) -> io::Result<()> {
        let Some(newest) = self.manifests.back().map(|m| m.time) else { return Ok(()) };
        while self.manifests.len() > self.retain && self.manifests[1].time + self.reach <= newest {
            let old = self.manifests.pop_front().expect("more than are retained");
            failpoint::hit("checkpoint.before_clean");
            self.storage.delete(&Manifest::name(old.sequence))?;
        }
        let named = self.manifests.iter().flat_map(|m| &m.files).chain(&self.files);
        let named: BTreeSet<&str> = named.map(|f| f.name.as_str()).collect();
        for e in self.storage.list("state")? {
            if !named.contains(e.name.as_str()) {
                self.storage.delete(&e.name)?;
                failpoint::hit("checkpoint.state_deleted");
            }
        }
        Ok(())
    }
}

/// Whether the changes have grown larger than what they change: then everything is better written anew.
fn are_outgrown(files: &[FileRef]) -> bool {
    let changes: u64 = files.iter().skip(1).map(|f| f.len).sum();
    let first = files.first().map_or(0, |f| f.len);
    let least = failpoint::size(LEAST_CHANGES, 4 << 10);
    files.len() >= MOST_FILES || (files.len() > 2 && changes >= first.max(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_written_anew_once_changes_have_outgrown_it() {
        const MIB: u64 = 1 << 20;
        for (expect, lens) in [
            (false, vec![]),
            (false, vec![9 * MIB]),
            (false, vec![MIB, 9 * MIB]),
            (false, vec![9 * MIB, 5 * MIB, 3 * MIB]),
            (true, vec![9 * MIB, 5 * MIB, 4 * MIB]),
            (false, vec![1, 2, 3, 4]),
            (true, vec![1, MIB, 3]),
            (false, [vec![9 * MIB], vec![1; 62]].concat()),
            (true, [vec![9 * MIB], vec![1; 63]].concat()),
        ] {
            let files: Vec<_> = lens.iter().map(|&len| FileRef { name: String::new(), len }).collect();
            assert_eq!(are_outgrown(&files), expect, "{lens:?}");
        }
    }
}
