//! Inputs: what belongs to a batch, and how to read it.
//!
//! An [`Input`] answers two questions on the driver, one after the other: *what belongs to the batch of t* ([`plan`],
//! a small value that the batch log can keep) and *which records are that* ([`read`], an RDD). A batch that is tried
//! again is read from the same plan, so it sees the same records. Our own inputs use nothing else.
//!
//! [`plan`]: Input::plan
//! [`read`]: Input::read
mod constant;
mod files;
mod node;
mod queue;
mod rate;
mod receiver;
#[cfg(unix)]
mod tail;

pub(crate) use constant::ConstantInput;
pub use files::{FileCounts, FileStreamOptions, StreamFile};
pub(crate) use node::{InputNode, Measured, PlannedInput, add_input};
pub(crate) use queue::QueueInput;
pub use queue::{QueueOptions, RddQueue};
pub(crate) use rate::RateInput;
pub(crate) use receiver::ReceiverInput;

use crate::{
    durable::Durable,
    rate::{Allowance, Limit},
    receive::ReceiverInfo,
};
use serde::{Serialize, de::DeserializeOwned};
use winterbourne_base::{Clock, Duration, Time};
use winterbourne_engine::{BoxError, Data, Rdd, SparkContext};

/// A batch time, as an input sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tick {
    /// The batch.
    pub time: Time,
    /// No later batch is waiting: what is here now belongs to this one. Otherwise only what came until `time` does.
    pub latest: bool,
    /// The most that it may hold of this input. What there is more waits for the next batch, and is told by
    /// [`lag`](Input::lag).
    pub limit: Limit,
}

/// What belongs to a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned<P> {
    /// Enough to read the same records again: offsets, file names, block ids.
    pub plan: P,
    /// How many records that is, where it is known beforehand.
    pub records: Option<u64>,
    /// For people: what a UI shows of it.
    pub description: String,
}

/// Whether more is to be expected of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Supply {
    /// Nothing waits now, more may come.
    Open,
    /// Something waits for the next batch.
    Waiting,
    /// Nothing waits and nothing will come. When all inputs say so, the stream ends.
    Ended,
}

/// How a batch went, for an input that wants to know. What a batch may hold follows by itself: see [`Tick::limit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BatchMeasure {
    /// The batch.
    pub time: Time,
    /// The records of this input, as far as its plan said.
    pub records: u64,
    /// When it was done, in microseconds of a clock that never goes back.
    pub done_us: u64,
    /// From the beginning of the work until its end, in microseconds.
    pub processing_us: u64,
    /// From the batch time until work on it began, in microseconds.
    pub scheduling_delay_us: u64,
}

/// How far an input is behind its source, in one part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputLag {
    /// The part, by the source's name for it: a partition of a topic, say.
    pub part: String,
    /// Records that are there and in no batch yet.
    pub records: u64,
    /// The time of the newest record that was read, by the source's time stamps: how fresh the results are.
    pub newest: Option<Time>,
}
impl InputLag {
    /// How far it is behind in time at `now`: nothing, if all that is there was planned; else how old the newest record is
    /// that was read. None before the first one.
    ///
    /// ```
    /// use winterbourne_streaming::{InputLag, Time, seconds};
    /// let now = Time::from_millis(90_000);
    /// let lag = |records| InputLag { part: "clicks-3".into(), records, newest: Some(now - seconds(20)) };
    /// assert_eq!(lag(7).behind(now), Some(seconds(20)));
    /// assert_eq!(lag(0).behind(now), Some(seconds(0)));
    /// ```
    pub fn behind(&self, now: Time) -> Option<Duration> {
        if self.records == 0 { Some(Duration::ZERO) } else { Some(now - self.newest?) }
    }
}

/// Tells the present state of a receiver.
pub type ReceiverWatch = Box<dyn Fn() -> ReceiverInfo + Send + Sync>;

/// A source of batches, on the driver. Make one with
/// [`StreamingContext::input_stream`](crate::StreamingContext::input_stream).
///
/// ```
/// use winterbourne_streaming::*;
/// use winterbourne_engine::{Rdd, SparkContext};
/// /// The numbers 0, 1, 2, …, as many as the batches keep up with.
/// struct Numbers { next: u64 }
/// impl Input<u64> for Numbers {
///     type Plan = (u64, u64);
///     fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<(u64, u64)>>, BoxError> {
///         let n = tick.limit.records.unwrap_or(1_000);
///         let range = (self.next, self.next + n);
///         self.next = range.1;
///         Ok(Some(Planned { plan: range, records: Some(n), description: format!("{range:?}") }))
///     }
///     fn read(&mut self, sc: &SparkContext, plan: &(u64, u64)) -> Result<Rdd<u64>, BoxError> {
///         Ok(sc.range(plan.0..plan.1, 2))
///     }
/// }
/// ```
pub trait Input<T: Data>: Send + 'static {
    /// What belongs to a batch: small, and serialisable for the batch log.
    type Plan: Clone + Send + Serialize + DeserializeOwned + 'static;
    /// Called once, by `start`, before the first batch.
    ///
    /// # Errors
    /// Ends `start` with it.
    fn start(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
    /// What belongs to the batch of `tick`. `None`: there is nothing to do for this input, which is not the same as an
    /// empty batch. Called once per batch; what it returns is kept until the batch is done.
    ///
    /// # Errors
    /// Fails the batch, which is then tried again.
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<Self::Plan>>, BoxError>;
    /// The records of a plan. Called again for a batch that is tried again.
    ///
    /// # Errors
    /// Fails the batch, which is then tried again.
    fn read(&mut self, sc: &SparkContext, plan: &Self::Plan) -> Result<Rdd<T>, BoxError>;
    /// The bytes of a plan's records, where they are known before they are read: batches are limited in bytes too, then.
    fn bytes(&self, plan: &Self::Plan) -> Option<u64> {
        let _ = plan;
        None
    }
    /// What the batches keep up with from now on: for inputs that take in records between the batches. Told before `start`,
    /// and after every batch that changed it. One that asks its source in `plan` has all it needs in [`Tick::limit`].
    fn allow(&mut self, allowance: &Allowance) {
        let _ = allowance;
    }
    /// A batch is done; `settle` follows. Not told of batches that failed, or that ran once more after they had been set
    /// aside.
    fn measured(&mut self, batch: &BatchMeasure) {
        let _ = batch;
    }
    /// The batch of `plan` is done, or was set aside; this process will not read it again.
    fn settle(&mut self, plan: Self::Plan) {
        drop(plan);
    }
    /// No restart will ask for this plan again: what was kept for it outside this process may go. Comes some time after
    /// `settle`, and only where there is a checkpoint directory.
    fn retire(&mut self, plan: Self::Plan) {
        drop(plan);
    }
    /// How far it is behind its source, for listeners and [`Health`](crate::Health): asked after `plan`, and again when the
    /// batch is done.
    fn lag(&self) -> Vec<InputLag> {
        Vec::new()
    }
    /// Whether its records can be had again after a restart.
    ///
    /// # Errors
    /// Why not, in words: `start` refuses such an input where a checkpoint directory is set, and says so.
    fn recoverable(&self) -> Result<(), String> {
        Ok(())
    }
    /// Recovery: what [`save`](Input::save) returned for the checkpoint. Called before `restore` and `start`.
    ///
    /// # Errors
    /// Ends `start` with it.
    fn load(&mut self, saved: &[u8]) -> Result<(), BoxError> {
        let _ = saved;
        Ok(())
    }
    /// Recovery: a batch with this plan was planned before the restart; continue after it. Called before `start` for the
    /// plans a restart may need, in order, one of them perhaps twice. Such a plan may be read again.
    ///
    /// # Errors
    /// Ends `start` with it.
    fn restore(&mut self, plan: &Self::Plan) -> Result<(), BoxError> {
        let _ = plan;
        Ok(())
    }
    /// What a restart needs beyond the plans (the files already seen, say); kept with every checkpoint.
    fn save(&self) -> Option<Vec<u8>> {
        None
    }
    /// Whether more is to be expected.
    fn supply(&self) -> Supply {
        Supply::Open
    }
    /// Take in nothing more. What was taken in already is still planned.
    fn stop(&mut self) {}
    /// Waits until nothing more is taken in, at most until `deadline`.
    fn join(&mut self, clock: &dyn Clock, deadline: Option<Time>) {
        let _ = (clock, deadline);
    }
    /// How to learn its state, if it is a receiver. Asked once; what it returns is called from any thread.
    fn receiver(&self) -> Option<ReceiverWatch> {
        None
    }
    /// Told before everything else where a checkpoint directory is set: the input's durable name, and what is kept there.
    ///
    /// # Errors
    /// Ends `start` with it.
    fn attach(&mut self, durable: &Durable) -> Result<(), BoxError> {
        let _ = durable;
        Ok(())
    }
    /// The interval between batches, told before `start`.
    fn interval(&mut self, batch: Duration) {
        let _ = batch;
    }
}
