//! [`Missed`]: a block that was there when the job was planned is gone, and with it what the planner left out because of it.
use super::{
    Begun, SparkContext, Tasks,
    set::{Ran, Work},
};
use crate::{Error, RddId, Result, ShuffleId, Site, Task, accumulator::Updates, task::Spec};
use std::sync::Arc;

/// What tasks found missing of what the planner counted on.
#[derive(Clone)]
pub(super) struct Missed {
    pub(super) shuffle: ShuffleId,
    pub(super) site: Site,
    /// Persisted RDDs of which blocks were gone.
    pub(super) rdds: Vec<RddId>,
}
/// Plans again without what was missed, and runs what is needed then.
pub(super) type Again<'a> = dyn FnMut(Missed) -> Result<()> + 'a;

impl Missed {
    /// What several have missed, as one.
    pub(super) fn all<'a>(each: impl Iterator<Item = &'a Missed>) -> Option<Missed> {
        each.cloned().reduce(|mut all, one| {
            all.rdds.extend(one.rdds);
            all
        })
    }
    /// Adds it to what is known to be lost. Planning again helps only if it is more than before.
    pub(super) fn add_to(self, lost: &mut Vec<RddId>) -> Result<()> {
        let before = lost.len();
        for rdd in self.rdds {
            if !lost.contains(&rdd) {
                lost.push(rdd);
            }
        }
        if lost.len() > before { Ok(()) } else { Err(Error::Unplanned { shuffle: self.shuffle, site: self.site }) }
    }
}

impl SparkContext {
    /// Runs what is left of `of.0` tasks after `of.1` are done, until nothing is.
    #[expect(clippy::too_many_arguments, reason = "the cold half of `run_counted`")]
    #[cold]
    pub(super) fn run_left<R: Send + 'static, S: Send + 'static>(
        &self,
        begun: &Begun,
        work: &Arc<
            Work<
                S,
                impl Fn(&Spec, &Task) -> Result<R> + Send + Sync + 'static,
                impl Fn(usize, R) -> S + Send + Sync + 'static,
            >,
        >,
        of: (usize, Vec<S>),
        mut left: Tasks,
        mut missed: Missed,
        again: &mut Again,
        added: &mut Vec<(usize, Updates)>,
    ) -> Result<Vec<S>> {
        let mut results: Vec<Option<S>> = (0..of.0).map(|_| None).collect();
        let fill = |results: &mut [Option<S>], done: Vec<S>, ran: Vec<usize>, left: &[Spec]| {
            let ran = ran.into_iter().filter(|i| left.iter().all(|s| s.number != *i));
            ran.zip(done).for_each(|(i, r)| results[i] = Some(r));
        };
        fill(&mut results, of.1, (0..of.0).collect(), &left.specs);
        loop {
            again(missed)?;
            let (places, barrier): (Vec<usize>, bool) = (left.specs.iter().map(|s| s.number).collect(), left.barrier);
            let (ran, more) = self.run_here(begun, left, work, Some(places.clone().into()));
            added.extend(more);
            added.sort_by_key(|(i, _)| *i);
            let Ran { done, left: still, missed: more } = ran?;
            fill(&mut results, done, places, &still);
            match more {
                None => return Ok(results.into_iter().flatten().collect()),
                Some(more) => (missed, left) = (more, Tasks { specs: still, barrier }),
            }
        }
    }
}
