//! Discretized streams: [`StreamingContext`], [`DStream`], inputs, receivers, batches.
//!
//! A stream program is a graph of (parents, slide, time → optional RDD). Every batch interval the batch loop turns what
//! arrived into one small job per output operation. `graph` (what to compute for time t) and `receive` (what arrived)
//! do not know each other; they meet in `batch`. Folders in the order of the flow: `rate`, `receive`, `input`, `graph` and
//! `dstream`, `sink`, `batch`. What this crate refuses to know: how a job is run (that is the engine's), HTTP, any broker.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod batch;
mod context;
mod dstream;
mod durable;
mod error;
mod events;
mod graph;
mod input;
mod rate;
pub mod receive;
mod sink;
mod state;

pub use batch::{
    BatchDone, BatchEntry, BatchLog, BatchPlan, Cause, DurableStatus, FailurePolicy, Health, InputBehind, InputPlan,
    SlowStage, StateChange, Stepper, Stop, StreamingState, StreamingStatus,
};
pub use context::StreamingContext;
pub use dstream::{
    BadRecord, DStream, InverseOptions, MapWithStateDStream, Operator, OutputPartition, Parent, StateOptions,
    StateSpec, Streams, Updates, Upstream,
};
pub use durable::Durable;
pub use error::{BatchError, Error, GraphError, Result};
pub use events::{BatchInfo, InputInfo, ListenerId, OutputInfo, StreamingEvent, StreamingListener};
pub use input::{
    BatchMeasure, FileCounts, FileStreamOptions, Input, InputLag, Planned, QueueOptions, RddQueue, ReceiverWatch,
    StreamFile, Supply, Tick,
};
pub use rate::{Allowance, Limit};
pub use receive::{
    Intake, Receiver, ReceiverInfo, ReceiverState, SocketBytes, SocketReceiver, Stopped, StoreError, Tolerated,
};
pub use sink::{CsvOptions, FileSink, FileWriter, Period, Recovered, Sink, SinkPlace, SinkWriter, StagedFile};
pub use state::State;
pub use winterbourne_base::time::{Duration, Interval, IntoDuration, Time, milliseconds, minutes, seconds};
pub use winterbourne_engine::BoxError;
