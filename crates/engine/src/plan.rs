//! Lineage to stages: a pure function of the lineage and of which shuffle outputs and cached blocks exist.
//!
//! No clock, no lock, no thread; iterative, so a long lineage cannot overflow the stack.
use crate::{
    RddId, Result,
    hash::FixedState,
    lineage::{Dep, Link, Node, Shuffle},
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// The map side of one shuffle, with the partitions whose outputs do not exist yet.
pub struct Stage {
    /// What to run.
    pub shuffle: Arc<dyn Shuffle>,
    /// For which map partitions.
    pub missing: Vec<usize>,
}
/// Stages that may run together: every shuffle of a wave has its parents in earlier waves.
pub type Wave = Vec<Stage>;

/// What exists already. One place answers, so that several processes could answer together.
pub trait Facts {
    /// Whether all partitions of a persisted node are there.
    fn is_cached(&self, node: &dyn Node) -> bool;
    /// Whether the outputs of a map partition are there.
    fn is_done(&self, shuffle: &dyn Shuffle, map: usize) -> bool {
        shuffle.is_done(map)
    }
}

/// The missing map stages below `root`, in waves. The result stage itself is the caller's.
///
/// # Errors
/// What counting the partitions of an input met: a missing file.
pub fn plan(root: &dyn Node, facts: &dyn Facts) -> Result<Vec<Wave>> {
    // Depth-first over (stage root, shuffle that wants it), post-order: a stage is placed after its parents.
    enum Step {
        Visit(Arc<dyn Shuffle>),
        Place(Arc<dyn Shuffle>, Vec<usize>, Vec<u64>),
    }
    // Ordered by id, which is program order: the same in every process.
    let mut placed: BTreeMap<u64, (usize, Stage)> = BTreeMap::new();
    let mut todo: Vec<Step> = shuffles_of(root, facts).into_iter().map(Step::Visit).collect();
    if todo.is_empty() {
        return Ok(Vec::new());
    }
    let mut seen = HashSet::new();
    while let Some(step) = todo.pop() {
        match step {
            Step::Visit(s) => {
                if !seen.insert(s.id()) {
                    continue;
                }
                let maps = s.parent().meta().partitions.get()?;
                let missing: Vec<usize> = (0..maps).filter(|&m| !facts.is_done(&*s, m)).collect();
                if missing.is_empty() {
                    // Reused: nothing below is needed. What tells where keys go may be asked all the same, and has not
                    // run if there was nothing to spread.
                    todo.extend(s.after().cloned().map(Step::Visit));
                    continue;
                }
                let mut below = shuffles_of(s.parent(), facts);
                below.extend(s.after().cloned());
                todo.push(Step::Place(s, missing, below.iter().map(|b| b.id().0).collect()));
                todo.extend(below.into_iter().map(Step::Visit));
            }
            Step::Place(shuffle, missing, below) => {
                let wave = below.iter().filter_map(|b| placed.get(b)).map(|(w, _)| w + 1).max().unwrap_or(0);
                placed.insert(shuffle.id().0, (wave, Stage { shuffle, missing }));
            }
        }
    }
    let mut waves: Vec<Wave> = Vec::new();
    for (_, (wave, stage)) in placed {
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        waves[wave].push(stage);
    }
    Ok(waves)
}

/// How many narrow operators in a row a task on `node` runs; one that is cached and there starts a new row. Looks only
/// if the row as defined is longer than `enough`.
pub fn depth(node: &dyn Node, facts: &dyn Facts, enough: u32) -> u32 {
    if node.meta().depth <= enough {
        return node.meta().depth;
    }
    // Children have larger ids than their parents, so a node comes up after all that read it.
    let mut todo: BTreeMap<RddId, (Link<dyn Node>, u32)> = BTreeMap::new();
    let mut deepest = 0;
    let mut below = |n: &dyn Node, depth: u32, todo: &mut BTreeMap<_, (Link<dyn Node>, u32)>| {
        deepest = deepest.max(depth);
        if !(n.is_persisted() && facts.is_cached(n)) {
            n.each_dep(&mut |d| {
                if let Dep::Narrow(p) = d {
                    let below = &mut todo.entry(p.meta().id).or_insert_with(|| (p.clone(), 0)).1;
                    *below = (*below).max(depth + 1);
                }
            });
        }
    };
    below(node, 0, &mut todo);
    while let Some((_, (n, depth))) = todo.pop_last() {
        below(&**n, depth, &mut todo);
    }
    deepest
}

/// The shuffles reached from `node` over narrow edges, not looking below fully cached nodes.
fn shuffles_of(node: &dyn Node, facts: &dyn Facts) -> Vec<Arc<dyn Shuffle>> {
    let (mut out, mut todo, mut seen) = (Vec::new(), Vec::<Link<dyn Node>>::new(), HashSet::with_hasher(FixedState));
    let mut look = |n: &dyn Node, out: &mut Vec<Arc<dyn Shuffle>>, todo: &mut Vec<Link<dyn Node>>| {
        if n.is_persisted() && facts.is_cached(n) {
            return;
        }
        let (shuffles, narrow) = (out.len(), todo.len());
        n.each_dep(&mut |d| match d {
            Dep::Narrow(p) => todo.push(p.clone()),
            Dep::Shuffle(s) => out.push(s.clone()),
        });
        // A set only where paths can meet: chains, the common case, never touch it.
        let found = out.len() - shuffles + todo.len() - narrow;
        if found > 1 && !seen.insert(n.meta().id) {
            out.truncate(shuffles);
            todo.truncate(narrow);
        }
    };
    look(node, &mut out, &mut todo);
    while let Some(n) = todo.pop() {
        look(&**n, &mut out, &mut todo);
    }
    out
}

/// What exists, without what turned out to be gone since it was looked at.
pub(crate) struct Without<'a> {
    pub(crate) facts: &'a dyn Facts,
    pub(crate) lost: &'a [RddId],
}
impl Facts for Without<'_> {
    fn is_cached(&self, node: &dyn Node) -> bool {
        !self.lost.contains(&node.meta().id) && self.facts.is_cached(node)
    }
    fn is_done(&self, shuffle: &dyn Shuffle, map: usize) -> bool {
        self.facts.is_done(shuffle, map)
    }
}
