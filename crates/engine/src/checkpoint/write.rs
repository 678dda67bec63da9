//! Which nodes are to be written after a job, and writing one.
use super::{After, broken, files};
use crate::{
    Data, Error, Rdd, Result, Site, SparkContext, Wire,
    backend::{Block, Label},
    blocks::RecordCodec,
    job::Action,
    lineage::{Body, Dep, Link, Node, Op},
};
use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use winterbourne_base::scratch::unique;

/// What a context knows of checkpoints.
#[derive(Default)]
pub(crate) struct Checkpoints {
    /// Marked nodes that are not written yet.
    pub(super) waiting: AtomicUsize,
    dir: Mutex<Option<PathBuf>>,
}
impl Checkpoints {
    pub(crate) fn new(dir: Option<String>) -> Self {
        let all = Checkpoints::default();
        dir.into_iter().for_each(|dir| all.set_dir(Path::new(&dir)));
        all
    }
    /// Checkpoints go into a new directory below this one.
    pub(super) fn set_dir(&self, below: &Path) {
        *self.dir.lock().expect("plain path") = Some(below.join(unique()));
    }
    pub(super) fn dir(&self) -> Option<PathBuf> {
        self.dir.lock().expect("plain path").clone()
    }
}

impl SparkContext {
    /// Writes the marked nodes that are met first on the ways down from `root`.
    #[inline]
    pub(crate) fn write_checkpoints<T: Data>(&self, root: &Arc<Op<T>>) -> Result<()> {
        if self.inner.checkpoints.waiting.load(Relaxed) == 0 {
            return Ok(());
        }
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut todo: Vec<Link<dyn Node>> = vec![Link::erased(root)];
        while let Some(node) = todo.pop() {
            if !seen.insert(node.meta().id) {
                continue;
            }
            if node.is_to_be_checkpointed() {
                found.push(node);
                continue;
            }
            node.peek_deps(&mut |d| {
                todo.push(match d {
                    Dep::Narrow(parent) => parent.clone(),
                    Dep::Shuffle(s) => s.parent_link(),
                });
            });
        }
        found.into_iter().try_for_each(|node| Arc::clone(&node).write_checkpoint(self))
    }
    /// The directory of checkpoints, the same for all lanes.
    fn agreed_dir(&self, site: Site, number: u64) -> Result<PathBuf> {
        let mine = self.inner.checkpoints.dir().ok_or(Error::NoCheckpointDir { site })?;
        let Some(backend) = &self.inner.backend else { return Ok(mine) };
        let label = Label { number, name: "checkpoint directory", site, tasks: backend.lanes() };
        let all = backend.gather(&label, Ok(vec![(backend.lane(), Arc::new(mine) as Block)]))?;
        let first = all.into_iter().min_by_key(|(lane, _)| *lane).expect("this lane's at least").1;
        let agreed = first.downcast_ref::<PathBuf>().expect("equal labels carry equal types").clone();
        *self.inner.checkpoints.dir.lock().expect("plain path") = Some(agreed.clone());
        Ok(agreed)
    }
}

/// Writes a node to files, by a job.
pub(super) fn to_files<T: Wire>(op: &Arc<Op<T>>, site: Site, sc: &SparkContext) -> Result<After<T>> {
    let codec = RecordCodec::of();
    let inner = &sc.inner;
    let dir = sc.agreed_dir(site, op.meta.id.0)?.join(format!("rdd-{}", op.meta.id.0));
    let (rdd, n) = (Rdd { op: op.clone(), sc: sc.clone() }, op.meta.partitions.get()?);
    let (to, compress) = (dir.clone(), inner.blocks.compress);
    let action = Action { name: "checkpoint", site };
    let write = move |p: usize, flow, _: &crate::Task| files::write(&to, p, codec, compress, flow);
    let parts = sc.run_only(action, &rdd, (0..n).collect(), write)?;
    let commit = || files::commit::<T>(&dir, &parts);
    let clean = match &inner.backend {
        None => {
            commit()?;
            inner.clean_checkpoints
        }
        Some(backend) => {
            // The first lane commits, and all wait for that. None of them can know when the others have read it.
            let committed = if backend.lane() == 0 { commit() } else { Ok(()) };
            let label = Label { number: op.meta.id.0, name: "checkpoint", site, tasks: n };
            let all = backend.agree(&label, committed.is_ok())?;
            committed?;
            if !all {
                return Err(broken("committing", dir, io::Error::other("another lane could not")));
            }
            false
        }
    };
    let files = Arc::new(files::Files::new(dir.clone(), parts, clean));
    let compute = Box::new(move |p: usize, task: &crate::Task| files.flow(p, codec, task));
    Ok((Some(dir), Some(Body { deps: Vec::new(), compute })))
}

/// Sees to it that all blocks of a node are there, by a job.
pub(super) fn to_blocks<T: Data>(op: &Arc<Op<T>>, site: Site, sc: &SparkContext) -> Result<After<T>> {
    let (rdd, n, id) = (Rdd { op: op.clone(), sc: sc.clone() }, op.meta.partitions.get()?, op.meta.id);
    let (blocks, several) = (&sc.inner.blocks, sc.inner.backend.is_some());
    let missing: Vec<usize> = (0..n).filter(|&p| several || !blocks.has((id, p))).collect();
    // A block is there before the first record of its partition is handed over.
    sc.run_only(Action { name: "local_checkpoint", site }, &rdd, missing, |_, _, _| Ok(()))?;
    if op.keeping().is_none() {
        tracing::warn!("{id} was unpersisted, so it keeps its lineage in spite of `local_checkpoint` at {site}");
        return Ok((None, None));
    }
    let compute = Box::new(move |partition, _: &crate::Task| Err(Error::CheckpointBlock { rdd: id, partition, site }));
    Ok((None, Some(Body { deps: Vec::new(), compute })))
}
