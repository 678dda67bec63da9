//! What can go wrong with a stream program: while its graph is built, at start, in a batch.
use std::{fmt, sync::Arc};
use winterbourne_base::{Duration, Time, conf::ConfError, time::TimeError};
use winterbourne_engine::Site;

/// A result of the streaming layer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a streaming context.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The batch interval cannot be one.
    #[error("the batch interval must be a whole positive number of milliseconds: {0}")]
    BatchInterval(String),
    /// Everything wrong with the graph, found while it was built and at `start`. Nothing was started and the context is
    /// still INITIALIZED: a missing output or `uid` can be added and `start` called again. An operator that was given
    /// something wrong (a window that is no multiple) stays in the graph: build it anew, on a new context of the same
    /// SparkContext.
    #[error("the stream graph has {} error(s); nothing was started{}", .0.len(), Listed(.0))]
    Graph(Vec<GraphError>),
    /// The graph is frozen once the context has been started.
    #[error(
        "`{operator}` at {site}: adding new inputs, transformations and output operations after {when} a context is not supported; build the whole graph before start()"
    )]
    Frozen {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
        /// `starting` or `stopping`.
        when: &'static str,
    },
    /// `start` after `stop`.
    #[error("the StreamingContext has already been stopped; create a new one")]
    AlreadyStopped,
    /// A look back on a stream that has not been started.
    #[error("slice of `{operator}` at {site}: the DStream has not been initialized: it has no times before start()")]
    NotStarted {
        /// The operator of the stream.
        operator: &'static str,
        /// Where `slice` was called.
        site: Site,
    },
    /// A look back on a batch whose RDD is gone.
    #[error(
        "slice of `{operator}` at {site}: the RDD of {time} is not remembered any more; the stream remembers {remembered}: \
         call ssc.remember(…) with a longer duration before start()"
    )]
    Forgotten {
        /// The operator of the stream.
        operator: &'static str,
        /// Where `slice` was called.
        site: Site,
        /// The first of the times that is gone.
        time: Time,
        /// How long the stream remembers.
        remembered: Duration,
    },
    /// The checkpoint directory cannot be used, or what it holds cannot be continued by this program. Nothing was changed.
    #[error("checkpoint directory {directory}: {what}")]
    Recovery {
        /// The directory.
        directory: String,
        /// What stands in the way, and what to do.
        what: String,
    },
    /// A batch failed on every attempt.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The SparkContext could not be made or used.
    #[error(transparent)]
    Engine(Arc<winterbourne_engine::Error>),
    /// A configuration that cannot be used.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// The system gave no thread or no signal handler.
    #[error("cannot start {what}: {source}")]
    System {
        /// What was to be started.
        what: String,
        /// The system's reason.
        source: Arc<std::io::Error>,
    },
}
/// The message, so that `fn main() -> Result<(), Error>` and `unwrap` say what people can read.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl From<winterbourne_engine::Error> for Error {
    fn from(e: winterbourne_engine::Error) -> Self {
        Error::Engine(Arc::new(e))
    }
}
impl Error {
    pub(crate) fn interval(e: &TimeError) -> Self {
        Error::BatchInterval(e.to_string())
    }
    pub(crate) fn zero_interval(d: Duration) -> Self {
        Error::BatchInterval(format!("it is {d}"))
    }
}

/// A batch that failed on every attempt it had.
#[derive(Debug, Clone)]
pub struct BatchError {
    /// The batch.
    pub time: Time,
    /// What of it failed: `output 0, print at src/main.rs:7:10`.
    pub part: String,
    /// How often it was tried (`spark.streaming.batch.maxAttempts`).
    pub attempts: u64,
    /// What becomes of the stream now.
    pub then: &'static str,
    /// Why.
    pub cause: Arc<winterbourne_engine::Error>,
}
impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BatchError { time, part, attempts, then, cause } = self;
        write!(f, "batch {time} failed {attempts} time(s) in {part}: {cause}; {then}")
    }
}
impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}

/// One thing wrong with a graph, and where the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphError {
    /// The operator's call site.
    pub site: Site,
    /// What is wrong, and the remedy.
    pub what: String,
}

struct Listed<'a>(&'a [GraphError]);
impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|e| write!(f, "\n  {}: {}", e.site, e.what))
    }
}
