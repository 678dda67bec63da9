//! The exchange port: how the processes (*lanes*) that run one program move results and shuffle blocks to each other.
//!
//! With one process there is no backend and nothing is asked. With several, every lane runs the same driver program and
//! so the same jobs in the same order; of each stage a lane runs the tasks of the partitions it owns and hands what
//! they made to [`Backend::gather`], which returns what all lanes made. All calls are *collective*: lane after lane
//! makes the same calls with the same labels, and one that does not is an error naming both call sites.
//! The port knows no record type; a backend that leaves the process adds an encoding (every record of a shuffle is
//! `Serialize`).
use crate::{Result, Site};
use std::{any::Any, fmt, sync::Arc};

/// What one task made, erased.
pub type Block = Arc<dyn Any + Send + Sync>;

/// What a lane is about to do together with the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Number of the job, or of the decision.
    pub number: u64,
    /// The operator or action.
    pub name: &'static str,
    /// Where the user called it.
    pub site: Site,
    /// How many tasks all lanes run together.
    pub tasks: usize,
}
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} `{}` at {} ({} tasks)", self.number, self.name, self.site, self.tasks)
    }
}

/// The lanes of one program, as one of them sees them.
pub trait Backend: Send + Sync {
    /// How many lanes there are.
    fn lanes(&self) -> usize;
    /// Which one this is, from zero.
    fn lane(&self) -> usize;
    /// Hands over what this lane's tasks made (by task number), or why they failed; returns what all lanes made.
    ///
    /// # Errors
    /// [`Error::Diverged`](crate::Error::Diverged) if another lane does something else; the failure of any lane.
    fn gather(&self, label: &Label, mine: Result<Vec<(usize, Block)>>) -> Result<Vec<(usize, Block)>>;
    /// Whether all lanes say yes. Decides the reuse of cached blocks.
    ///
    /// # Errors
    /// [`Error::Diverged`](crate::Error::Diverged).
    fn agree(&self, label: &Label, mine: bool) -> Result<bool>;
}
