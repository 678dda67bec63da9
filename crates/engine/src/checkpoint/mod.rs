//! Checkpoints of RDDs: their records in files, or in blocks that stay, instead of the lineage that computed them.
//!
//! A node that is [marked](Mark) before a job comes to it is written by a job of its own after the first one, and from
//! then on is computed from what was written: what it depended on is let go. `files` knows the directory, `api` is what
//! users call.
mod api;
mod files;
mod write;

pub(crate) use write::Checkpoints;

use crate::{
    Data, Error, Result, Site, SparkContext,
    lineage::{Body, Op},
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::Ordering::SeqCst},
};

/// Where the records of a checkpoint are, and what writes them. A pointer, so that only records that are checkpointed
/// somewhere bring that code along.
pub(crate) struct How<T: Data> {
    /// In blocks of this context, not in files of the checkpoint directory.
    in_blocks: bool,
    write: Write<T>,
}
impl<T: Data> Clone for How<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Data> Copy for How<T> {}
type Write<T> = fn(&Arc<Op<T>>, Site, &SparkContext) -> Result<After<T>>;
/// What a node is after its checkpoint: where that is, if in files, and what it is computed from now, if not from the same.
type After<T> = (Option<PathBuf>, Option<Body<T>>);

enum State {
    /// No job has come to it.
    Waiting,
    Writing,
    /// It keeps its lineage.
    GivenUp,
    /// Written, to a directory unless it lies in blocks.
    Done(Option<PathBuf>),
}

/// A node that is to be checkpointed, or is.
pub(crate) struct Mark<T: Data> {
    body: RwLock<Arc<Body<T>>>,
    now: Mutex<(State, How<T>, Site, Arc<Checkpoints>)>,
}

impl<T: Data> Mark<T> {
    pub(crate) fn new(body: Body<T>, how: How<T>, site: Site, all: Arc<Checkpoints>) -> Self {
        all.waiting.fetch_add(1, SeqCst);
        Mark { body: RwLock::new(Arc::new(body)), now: Mutex::new((State::Waiting, how, site, all)) }
    }
    fn now(&self) -> MutexGuard<'_, (State, How<T>, Site, Arc<Checkpoints>)> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn body(&self) -> Arc<Body<T>> {
        self.body.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.now().0, State::Waiting)
    }
    fn is_done(&self) -> bool {
        matches!(self.now().0, State::Done(_))
    }
    fn dir(&self) -> Option<PathBuf> {
        match &self.now().0 {
            State::Done(dir) => dir.clone(),
            _ => None,
        }
    }
    /// Marked a second time: blocks win over files, as in Spark, and otherwise the first stays.
    pub(crate) fn change(&self, to: How<T>) {
        let mut now = self.now();
        if matches!(now.0, State::Waiting) && to.in_blocks {
            now.1 = to;
        }
    }
    /// Writes the checkpoint and lets go of what the node was computed from. After a failure it waits for the next job.
    pub(crate) fn write(&self, op: &Arc<Op<T>>, sc: &SparkContext) -> Result<()> {
        let (how, site) = {
            let mut now = self.now();
            // Another job is at it, or was.
            if !matches!(now.0, State::Waiting) {
                return Ok(());
            }
            now.0 = State::Writing;
            now.3.waiting.fetch_sub(1, SeqCst);
            (now.1, now.2)
        };
        let written = (how.write)(op, site, sc);
        let mut now = self.now();
        match written {
            Ok((dir, body)) => {
                let Some(body) = body else {
                    now.0 = State::GivenUp;
                    return Ok(());
                };
                let mut place = self.body.write().unwrap_or_else(PoisonError::into_inner);
                let old = std::mem::replace(&mut *place, Arc::new(body));
                now.0 = State::Done(dir);
                drop((place, now));
                // What it captured and what it depended on may go here, outside of the locks.
                drop(old);
                Ok(())
            }
            Err(e) => {
                now.0 = State::Waiting;
                now.3.waiting.fetch_add(1, SeqCst);
                Err(e)
            }
        }
    }
}
impl<T: Data> Drop for Mark<T> {
    fn drop(&mut self) {
        let now = self.now.get_mut().unwrap_or_else(PoisonError::into_inner);
        if matches!(now.0, State::Waiting) {
            now.3.waiting.fetch_sub(1, SeqCst);
        }
    }
}

/// What stands in the place of an error that has nothing to do with the disk.
fn broken(doing: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Error {
    Error::Block { doing, path: path.into(), source }
}
