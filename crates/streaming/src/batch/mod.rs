//! Batches: ticks become plans, plans become jobs, results are settled, strictly in batch order.
//!
//! `ticker` decides which batch is due (pure), `overload` whether they keep up and why not (pure; `watch` asks the engine,
//! `health` tells), `runner` takes one batch through the protocol, `worker` is the thin loop that feeds both and performs
//! stops, `crew` runs the outputs of a batch side by side, `control` is what handles on other threads share with it, `log`
//! is the port to the batch log.
mod control;
mod crew;
mod health;
mod log;
mod overload;
mod program;
mod runner;
mod stepper;
mod ticker;
mod watch;
mod worker;

pub(crate) use control::{Command, Control};
pub use control::{DurableStatus, FailurePolicy, Health, InputBehind, Stop, StreamingState, StreamingStatus};
pub(crate) use crew::Crew;
pub(crate) use health::Overload;
pub use log::{BatchDone, BatchEntry, BatchLog, BatchPlan, InputPlan, StateChange};
pub(crate) use overload::Trend;
pub use overload::{Cause, SlowStage};
pub(crate) use runner::{Runner, Settings};
pub use stepper::Stepper;
pub(crate) use ticker::{OnOverload, Ticker};
pub(crate) use worker::run;
