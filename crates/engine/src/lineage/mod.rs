//! The erased bed: what planner, block store and UI see of an RDD. No record type appears in [`Node`] or [`Shuffle`].
//!
//! There is one generic operator, [`Op`], holding one boxed closure; no type per operator.
mod count;
mod label;
mod link;
mod op;
mod partitioner;

pub use count::Count;
pub use label::Label;
pub use link::Link;
pub(crate) use op::Body;
pub use op::Op;
pub use partitioner::{HashPartitioner, KeyPartitioner, Keyed, Order, Partitioner};
pub(crate) use partitioner::{Router, Rule};

use crate::{RddId, Result, ShuffleId, Site, SparkContext, Task, backend::Block};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Identity and shape of a lineage node, fixed when it is made.
pub struct Meta {
    /// Which RDD.
    pub id: RddId,
    /// The operator's name: `map`, `reduce_by_key`.
    pub name: &'static str,
    /// A name of its own, if the user gave it one.
    pub label: Label,
    /// Where the user called it.
    pub site: Site,
    /// How many partitions.
    pub partitions: Count,
    /// How keys are spread over the partitions, if they are.
    pub partitioner: Option<Partitioner>,
    /// Narrow operators in a row, as it was defined: bounds the recursion of `flow` and `next_chunk`. A checkpoint below
    /// shortens the row; `plan::depth` sees that.
    pub depth: u32,
    /// Whether its partitions are those of its parents, one parent after the other.
    pub(crate) concatenates: AtomicBool,
    /// Where its partitions are best computed, if it says so.
    pub(crate) hosts: OnceLock<Vec<Vec<String>>>,
}

/// What a node needs of another.
#[derive(Clone)]
pub enum Dep {
    /// Partitions of the parent, computed in the same task.
    Narrow(Link<dyn Node>),
    /// All of the parent, by way of a shuffle.
    Shuffle(Arc<dyn Shuffle>),
}

/// A node of a lineage.
pub trait Node: Send + Sync + 'static {
    /// Identity and shape.
    fn meta(&self) -> &Meta;
    /// Whether its partitions are to be kept once computed.
    fn is_persisted(&self) -> bool;
    /// Hands over what it is computed from, for a job: from here on it cannot be marked for a checkpoint.
    fn each_dep(&self, f: &mut dyn FnMut(&Dep));
    /// The same for somebody who only looks.
    fn peek_deps(&self, f: &mut dyn FnMut(&Dep));
    /// Whether it is marked for a checkpoint that is not there yet.
    fn is_to_be_checkpointed(&self) -> bool;
    /// Writes its checkpoint, by a job, and lets go of what it was computed from.
    ///
    /// # Errors
    /// What the job met.
    fn write_checkpoint(self: Arc<Self>, sc: &SparkContext) -> Result<()>;
}

impl dyn Node {
    /// The parents computed in the same task, for somebody who only looks.
    pub(crate) fn narrow(&self) -> Vec<Link<dyn Node>> {
        let mut parents = Vec::new();
        self.peek_deps(&mut |d| {
            if let Dep::Narrow(parent) = d {
                parents.push(parent.clone());
            }
        });
        parents
    }
}

/// Which of several lanes computes a partition. What comes of narrow operators is computed where the partition that it is
/// made of is, so that what a lane keeps (cached blocks, state) is found there; anything else goes round.
///
/// Where a partition is made of several, or of some with other numbers, only the first parent counts.
pub(crate) fn owner(node: &dyn Node, partition: usize, lanes: usize) -> usize {
    let (mut below, mut p): (Option<Link<dyn Node>>, usize) = (None, partition);
    loop {
        let node: &dyn Node = below.as_ref().map_or(node, |below| &***below);
        let (meta, parents) = (node.meta(), node.narrow());
        let count = |n: &Link<dyn Node>| n.meta().partitions.if_known().unwrap_or(0);
        let next = if meta.concatenates.load(Relaxed) {
            parents.into_iter().find(|parent| {
                let n = count(parent);
                let is_there = p < n;
                p -= if is_there { 0 } else { n };
                is_there
            })
        } else {
            parents.into_iter().next().filter(|parent| Some(count(parent)) == meta.partitions.if_known())
        };
        match next {
            Some(parent) => below = Some(parent),
            None => return p % lanes,
        }
    }
}

/// A map side whose outputs live as long as the lineage that made them.
pub trait Shuffle: Send + Sync {
    /// Which shuffle.
    fn id(&self) -> ShuffleId;
    /// What is shuffled.
    fn parent(&self) -> &dyn Node;
    /// The same, to hold on to.
    fn parent_link(&self) -> Link<dyn Node>;
    /// The operator that shuffles.
    fn site(&self) -> Site;
    /// The operator's name.
    fn name(&self) -> &'static str;
    /// How many partitions it fills.
    fn reducers(&self) -> &Count;
    /// What must have run before, apart from what the parent is computed from: the shuffle that tells where keys go.
    fn after(&self) -> Option<&Arc<dyn Shuffle>> {
        None
    }
    /// Whether the outputs of map partition `map` exist.
    fn is_done(&self, map: usize) -> bool;
    /// Computes and keeps the outputs of map partition `map`.
    ///
    /// # Errors
    /// What the task met.
    fn run_map(&self, map: usize, task: &Task) -> Result<()>;
    /// The outputs of map partition `map`, for other lanes. Only after `run_map`.
    fn output(&self, map: usize) -> Block;
    /// Keeps outputs that another lane computed.
    fn adopt(&self, map: usize, output: Block);
}
