//! The graph being built: nodes, outputs, errors. It knows nothing of receivers, threads or clocks.
mod ids;
mod node;

pub(crate) use ids::{Ids, assign};
pub(crate) use node::{IdCell, Job, Output, StreamMeta, StreamNode, StreamOp, spread_remember, ten_seconds_of};

use crate::{GraphError, dstream::Skips, input::InputNode};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard},
};
use winterbourne_base::Duration;
use winterbourne_engine::Site;

/// Everything a program has said before `start`.
#[derive(Default)]
pub(crate) struct Parts {
    /// In creation order: parents stand before children.
    pub(crate) nodes: Vec<Arc<dyn StreamNode>>,
    pub(crate) inputs: Vec<Arc<dyn InputNode>>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) errors: Vec<GraphError>,
    pub(crate) skips: Vec<Arc<Skips>>,
    /// The directories that outputs make, and who makes them.
    pub(crate) directories: BTreeMap<String, Site>,
    pub(crate) remember: Duration,
    /// `starting` or `stopping`, once nothing may be added.
    pub(crate) frozen: Option<&'static str>,
    /// The first addition after that; it surfaces in `await_termination`.
    pub(crate) late: Option<crate::Error>,
}

/// The parts behind their lock. No user code runs under it.
#[derive(Default)]
pub(crate) struct Graph(Mutex<Parts>);
impl Graph {
    pub(crate) fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().expect("no user code runs under this lock")
    }
    /// Remembers a mistake for `start` to report.
    pub(crate) fn wrong(&self, site: Site, what: impl Into<String>) {
        self.parts().errors.push(GraphError { site, what: what.into() });
    }
    /// Reserves directories for an output.
    ///
    /// # Errors
    /// Who has them.
    pub(crate) fn claim(&self, pattern: &str, site: Site) -> Result<(), Site> {
        match self.parts().directories.entry(pattern.to_owned()) {
            Entry::Occupied(first) => Err(*first.get()),
            Entry::Vacant(new) => {
                new.insert(site);
                Ok(())
            }
        }
    }
    /// Whether something may be added; if not, the attempt is kept for `await_termination`.
    pub(crate) fn may_add(&self, operator: &'static str, site: Site) -> bool {
        let mut parts = self.parts();
        let Some(when) = parts.frozen else { return true };
        let error = crate::Error::Frozen { operator, site, when };
        tracing::error!("{error}");
        parts.late.get_or_insert(error);
        false
    }
}
