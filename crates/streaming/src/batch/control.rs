//! What the handles of a context, on any thread, share with its batch loop: state, commands, counts.
use super::overload::Cause;
use crate::{BatchError, Error, InputLag, events::Bus, input::InputNode, receive::ReceiverInfo};
use std::{
    collections::VecDeque,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard},
    thread::ThreadId,
};
use winterbourne_base::{Clock, Duration, Time, clock::Bell};

/// Where a context is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamingState {
    /// Not started: the graph may grow. Also after a failed `start`.
    Initialized,
    /// Started.
    Active,
    /// Over.
    Stopped,
}

/// How a stream is doing, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Health {
    /// Batches are done as they come due.
    Ok,
    /// Batches, or records in the sources, wait, but they become fewer; or it is too early to say.
    CatchingUp {
        /// Batches that are due and have not begun.
        waiting: u64,
        /// Records in the sources that no batch has yet, as far as inputs know.
        records: u64,
        /// When it will be in time again, if it goes on like this and that can be told: a peer of a receiver does not say
        /// how much it has.
        until: Option<Time>,
    },
    /// More comes than the batches process: for some batches, what waits has not become less, or the sources had to wait.
    FallingBehind {
        /// Batches that are due and have not begun. Beyond `spark.streaming.maxQueuedBatches` ticks are coalesced.
        waiting: u64,
        /// Records in the sources that no batch has yet, as far as inputs know.
        records: u64,
        /// Why.
        cause: Cause,
    },
    /// Batches are done as they come due, but the last checkpoint could not be written: a restart would have more to
    /// apply again, and the log grows. It is tried again with the next one.
    Degraded {
        /// Why.
        why: String,
    },
    /// A batch failed on every attempt and later ones wait for it: retry it, skip it or stop.
    Held(Arc<BatchError>),
    /// The stream ended with this error.
    Failed(Arc<BatchError>),
}

/// What becomes of the stream when a batch has failed on every attempt (`spark.streaming.batch.onFailure`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FailurePolicy {
    /// Later batches wait; intake slows down when its buffers are full.
    #[default]
    Hold,
    /// It is set aside with its records, counted, and may be run again.
    Skip,
    /// The program ends with the error.
    Stop,
}
impl FromStr for FailurePolicy {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        match s.to_ascii_lowercase().as_str() {
            "hold" => Ok(FailurePolicy::Hold),
            "skip" => Ok(FailurePolicy::Skip),
            "stop" => Ok(FailurePolicy::Stop),
            _ => Err(()),
        }
    }
}

/// How to stop a context; see [`StreamingContext::stop`](crate::StreamingContext::stop).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop {
    pub(crate) graceful: bool,
    pub(crate) spark_context: Option<bool>,
}
impl Stop {
    /// At once: the running batch is cancelled and undone, what was received and not processed is dropped.
    pub const fn now() -> Self {
        Stop { graceful: false, spark_context: None }
    }
    /// When all that was received has been processed: receivers stop, the last batch is finished.
    pub const fn gracefully() -> Self {
        Stop { graceful: true, spark_context: None }
    }
    /// Leave the SparkContext running, whatever `spark.streaming.stopSparkContextByDefault` says.
    #[must_use]
    pub const fn keep_spark_context(mut self) -> Self {
        self.spark_context = Some(false);
        self
    }
    /// Stop the SparkContext too, whatever `spark.streaming.stopSparkContextByDefault` says.
    #[must_use]
    pub const fn with_spark_context(mut self) -> Self {
        self.spark_context = Some(true);
        self
    }
}

/// What a context has done so far, and how it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamingStatus {
    /// Where it is in its life.
    pub state: StreamingState,
    /// How it is.
    pub health: Health,
    /// The last batch that was done.
    pub last_batch: Option<Time>,
    /// Batches done.
    pub completed_batches: u64,
    /// Attempts at batches that failed.
    pub failed_attempts: u64,
    /// Batches set aside and still there, oldest first.
    pub set_aside: Vec<Time>,
    /// Batches that were set aside and had to be dropped to make room.
    pub set_aside_dropped: u64,
    /// Ticks without a batch of their own.
    pub coalesced_ticks: u64,
    /// Batches that took nothing in, so that those that waited could catch up (`spark.streaming.batch.onOverload` is `block`).
    pub blocked_batches: u64,
    /// Records of completed batches, as far as inputs know their number.
    pub processed_records: u64,
    /// Records that `try_` operators skipped in completed batches.
    pub skipped_records: u64,
    /// Events that slow listeners missed.
    pub events_dropped: u64,
    /// All receivers.
    pub receivers: Vec<ReceiverInfo>,
    /// How far inputs are behind their sources, those that know: as of the batch that was planned or done last.
    pub lags: Vec<InputBehind>,
    /// What is kept in the checkpoint directory, where one is set.
    pub durable: Option<DurableStatus>,
}

/// How far one input is behind its source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputBehind {
    /// The operator's id.
    pub id: String,
    /// Each part of it: a partition of a topic, say.
    pub parts: Vec<InputLag>,
}
impl InputBehind {
    /// Records that are there and in no batch yet, of all parts.
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|part| part.records).sum()
    }
    /// How far the part that is farthest behind is behind, in time. None while it is not known of some part that is behind.
    pub fn behind(&self, now: Time) -> Option<Duration> {
        self.parts.iter().map(|part| part.behind(now)).try_fold(Duration::ZERO, |most, of| Some(most.max(of?)))
    }
}

/// What a stream has kept in its checkpoint directory, and what that cost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DurableStatus {
    /// The directory.
    pub directory: String,
    /// How many batches the application has completed since it was new: the version of its state.
    pub sequence: u64,
    /// The receipt of the last one; see [`BatchDone::receipt`](crate::BatchDone::receipt).
    pub receipt: u64,
    /// Checkpoints written by this process.
    pub checkpoints: u64,
    /// The batch of the newest that was begun; it is written while the next batches run.
    pub checkpoint_begun: Option<Time>,
    /// The batch of the newest that was written.
    pub last_checkpoint: Option<Time>,
    /// Bytes of all of them.
    pub checkpoint_bytes: u64,
    /// Why the last one could not be written. The stream goes on, and tries again with the next one; a restart would
    /// have more to replay.
    pub checkpoint_failure: Option<String>,
    /// Syncs of the batch log.
    pub log_syncs: u64,
    /// Bytes appended to it.
    pub log_bytes: u64,
    /// How long the last sync took, in microseconds: what a batch waits for before it runs.
    pub last_sync_us: u64,
    /// The longest one.
    pub longest_sync_us: u64,
}

/// What a handle asks of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// Run the held batch again.
    RetryHeld,
    /// Set the held batch aside and go on.
    SkipHeld,
    /// Run a batch that was set aside again.
    Rerun(Time),
}

pub(crate) struct Shared {
    pub(crate) state: StreamingState,
    pub(crate) stop: Option<Stop>,
    /// Until when a graceful one may take, and whether what ran then was cancelled.
    pub(crate) stop_by: Option<Time>,
    pub(crate) hurried: bool,
    pub(crate) commands: VecDeque<Command>,
    /// What `await_termination` returns: the error the stream is held by or ended with, or a misuse.
    pub(crate) error: Option<Error>,
    pub(crate) status: StreamingStatus,
    /// The threads that run batches.
    pub(crate) workers: Vec<ThreadId>,
}

/// Shared between all handles of a context and its loop.
pub(crate) struct Control {
    pub(crate) clock: Arc<dyn Clock>,
    /// Rung whenever the loop, or somebody who waits for it, has something to look at.
    pub(crate) bell: Bell,
    pub(crate) bus: Arc<Bus>,
    shared: Mutex<Shared>,
    inputs: Mutex<Vec<Arc<dyn InputNode>>>,
}
impl Control {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let status = StreamingStatus {
            state: StreamingState::Initialized,
            health: Health::Ok,
            last_batch: None,
            completed_batches: 0,
            failed_attempts: 0,
            set_aside: Vec::new(),
            set_aside_dropped: 0,
            coalesced_ticks: 0,
            blocked_batches: 0,
            processed_records: 0,
            skipped_records: 0,
            events_dropped: 0,
            receivers: Vec::new(),
            lags: Vec::new(),
            durable: None,
        };
        let shared = Shared {
            state: StreamingState::Initialized,
            stop: None,
            stop_by: None,
            hurried: false,
            commands: VecDeque::new(),
            error: None,
            status,
            workers: Vec::new(),
        };
        Arc::new(Control {
            clock,
            bell: Bell::new(),
            bus: Arc::default(),
            shared: Mutex::new(shared),
            inputs: Mutex::default(),
        })
    }
    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no user code runs under this lock")
    }
    /// Changes what is shared and tells everybody who waits.
    pub(crate) fn change(&self, f: impl FnOnce(&mut Shared)) {
        f(&mut self.shared());
        self.bell.ring();
    }
    pub(crate) fn watch(&self, inputs: &[Arc<dyn InputNode>]) {
        *self.inputs.lock().expect("plain list") = inputs.to_vec();
    }
    pub(crate) fn state(&self) -> StreamingState {
        self.shared().state
    }
    pub(crate) fn status(&self) -> StreamingStatus {
        let inputs = self.inputs.lock().expect("plain list").clone();
        let receivers = inputs.iter().filter_map(|i| i.receiver()).collect();
        let shared = self.shared();
        let mut status = shared.status.clone();
        let failure = status.durable.as_ref().and_then(|d| d.checkpoint_failure.clone());
        if let (Health::Ok, Some(why)) = (&status.health, failure) {
            status.health = Health::Degraded { why };
        }
        StreamingStatus { state: shared.state, receivers, events_dropped: self.bus.dropped(), ..status }
    }
    /// Whether this thread runs the batches, or a task: it must not wait for itself. A task may be one of a batch, whichever
    /// thread it is on.
    pub(crate) fn is_worker(&self) -> bool {
        let me = std::thread::current().id();
        winterbourne_engine::TaskContext::get().is_some() || self.shared().workers.contains(&me)
    }
    /// Whether the batch that runs is to fail: it was cancelled by a stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        let shared = self.shared();
        shared.hurried || shared.stop.is_some_and(|s| !s.graceful)
    }
    /// Waits until the loop has said STOPPED; `hurry` is called once when a graceful stop has taken its time.
    pub(crate) fn await_stopped(&self, hurry: impl Fn()) {
        loop {
            let seen = self.bell.count();
            if self.state() == StreamingState::Stopped {
                return;
            }
            self.wait(seen, None, &hurry);
        }
    }
    /// Waits for news, until then, or until a graceful stop has taken its time.
    fn wait(&self, seen: u64, deadline: Option<Time>, hurry: &impl Fn()) {
        let now = self.clock.now();
        let (stop_by, is_late) = {
            let mut shared = self.shared();
            let stop_by = shared.stop_by.filter(|_| !shared.hurried);
            let is_late = stop_by.is_some_and(|by| now >= by);
            shared.hurried |= is_late;
            (stop_by, is_late)
        };
        if is_late {
            return hurry();
        }
        self.clock.wait(&self.bell, seen, deadline.into_iter().chain(stop_by).min());
    }
    /// Waits until the stream is over, an error is to be reported, or the deadline. True if it is over.
    ///
    /// # Errors
    /// The error to be reported, again each time.
    pub(crate) fn await_end(
        &self,
        deadline: Option<Time>,
        misuse: impl Fn() -> Option<Error>,
        hurry: impl Fn(),
    ) -> Result<bool, Error> {
        loop {
            let seen = self.bell.count();
            if let Some(e) = misuse() {
                return Err(e);
            }
            {
                let shared = self.shared();
                if let Some(e) = &shared.error {
                    return Err(e.clone());
                }
                if shared.state == StreamingState::Stopped {
                    return Ok(true);
                }
            }
            if deadline.is_some_and(|d| self.clock.now() >= d) {
                return Ok(false);
            }
            self.wait(seen, deadline, &hurry);
        }
    }
}
