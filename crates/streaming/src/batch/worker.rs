//! The batch loop: feeds the ticker with time, the runner with batches, and performs stops.
//!
//! Shutdown, in order: 1 inputs are told to take in nothing more; 2 what they took in already is run, in batches at their
//! ticks, and when nothing waits they are waited for, so that one that does not stop costs the others no record; 3 what was
//! done is made durable, and sinks show what they kept back; 4 the SparkContext is stopped if it is to be; 5 the state is
//! STOPPED and waiters are told; 6 the last events are delivered. A stop that is not graceful leaves 2 out: the running
//! batch is cancelled and undone.
use super::{
    control::{Command, Control, FailurePolicy, Health, Stop, StreamingState},
    runner::Runner,
    ticker::Ticker,
};
use crate::{BatchError, Error, StreamingEvent, input::Supply, receive::ReceiverState};
use std::sync::Arc;
use winterbourne_base::Time;

/// Says STOPPED however the loop ends, a bug of ours included: nobody may wait for ever.
struct Ended(Arc<Control>);
impl Drop for Ended {
    fn drop(&mut self) {
        let now = self.0.clock.now();
        self.0.bus.post(|| StreamingEvent::Stopped(now));
        self.0.change(|s| {
            s.state = StreamingState::Stopped;
            if std::thread::panicking() {
                let what = "the batch loop panicked; its thread said where".into();
                s.error.get_or_insert(Error::Engine(Arc::new(winterbourne_engine::Error::User(what))));
            }
        });
        self.0.bus.close();
    }
}

/// Runs until the sources end or a stop is asked for.
pub(crate) fn run(mut runner: Runner, mut ticker: Ticker) {
    let control = runner.control.clone();
    let _ended = Ended(control.clone());
    control.shared().workers.push(std::thread::current().id());
    let mut held: Option<Box<BatchError>> = None;
    let mut stopping: Option<Time> = None; // until when a graceful stop may take
    let mut joined = false;
    loop {
        let seen = control.bell.count();
        let (command, stop, stop_by) = {
            let mut shared = control.shared();
            (shared.commands.pop_front(), shared.stop, shared.stop_by)
        };
        if let Some(stop) = stop {
            if !stop.graceful {
                runner.inputs.iter().for_each(|i| i.stop());
                break finish(&mut runner, Some(stop));
            }
            let until = *stopping.get_or_insert_with(|| begin_graceful(&runner, stop_by));
            let mut waiting = is_waiting(&runner);
            // A receiver that has not returned yet is waited for at the bell, so that a stop at once can end the wait.
            let late = control.clock.now() >= until;
            if !waiting && !joined && !late && held.is_none() && command.is_none() && is_receiving(&runner) {
                control.clock.wait(&control.bell, seen, Some(until));
                continue;
            }
            if !waiting && !joined && held.is_none() {
                runner.inputs.iter().for_each(|i| i.join(&*control.clock, Some(until)));
                joined = true;
                waiting = is_waiting(&runner);
            }
            if waiting && (late || held.is_some()) {
                let why = if late {
                    "spark.streaming.gracefulStopTimeout is over"
                } else {
                    "a failed batch holds the stream"
                };
                tracing::warn!("stopping although received records wait: {why}");
            }
            if !waiting || late || held.is_some() {
                break finish(&mut runner, Some(stop));
            }
        }
        if let Some(command) = command {
            obey(command, &mut runner, &mut held);
            continue;
        }
        if held.is_some() {
            control.clock.wait(&control.bell, seen, stopping);
            continue;
        }
        if !runner.inputs.is_empty() && runner.inputs.iter().all(|i| i.supply() == Supply::Ended) {
            break finish(&mut runner, None);
        }
        let now = control.clock.now();
        let Some(due) = ticker.due(now) else {
            let next = stopping.map_or(ticker.next(), |until| until.min(ticker.next()));
            control.clock.wait(&control.bell, seen, Some(next));
            continue;
        };
        let waiting = |runner: &Runner, now: Time| (now - due.time).as_millis() / runner.settings.interval.as_millis();
        runner.assess(waiting(&runner, now));
        let done = runner.run(due);
        if done.is_ok() {
            runner.assess(waiting(&runner, control.clock.now()));
        }
        if let Err(error) = done {
            if control.is_cancelled() {
                continue; // cancelled: that is no failure to report
            }
            match runner.policy(&error) {
                FailurePolicy::Skip => runner.set_aside(&error),
                FailurePolicy::Hold => {
                    runner.report(&error, Health::Held);
                    held = Some(error);
                }
                FailurePolicy::Stop => {
                    runner.inputs.iter().for_each(|i| i.stop());
                    runner.report(&error, Health::Failed);
                    break finish(&mut runner, None);
                }
            }
        }
    }
}

/// Until when it may take: as was said when it was asked for.
fn begin_graceful(runner: &Runner, stop_by: Option<Time>) -> Time {
    runner.inputs.iter().for_each(|i| i.stop());
    stop_by.unwrap_or_else(|| runner.control.clock.now())
}
/// Whether a receiver was told to stop and has not returned.
fn is_receiving(runner: &Runner) -> bool {
    runner.inputs.iter().any(|i| i.receiver().is_some_and(|r| r.state == ReceiverState::Active))
}
fn is_waiting(runner: &Runner) -> bool {
    runner.inputs.iter().any(|i| i.supply() == Supply::Waiting)
}

fn obey(command: Command, runner: &mut Runner, held: &mut Option<Box<BatchError>>) {
    let release = |runner: &Runner| {
        runner.control.change(|s| {
            s.error = None;
            s.status.health = Health::Ok;
        });
    };
    match (command, held.take()) {
        (Command::RetryHeld, Some(error)) => {
            release(runner);
            let due = super::ticker::Due { time: error.time, latest: false, coalesced: 0, takes_in: true };
            if let Err(again) = runner.run(due) {
                runner.report(&again, Health::Held);
                *held = Some(again);
            }
        }
        (Command::SkipHeld, Some(error)) if !runner.may_set_aside(&error) => {
            tracing::warn!(
                "batch {} is in no log yet, or a sink does not say whether it has it, so it cannot be skipped; retry it",
                error.time
            );
            *held = Some(error);
        }
        (Command::SkipHeld, Some(error)) => {
            runner.set_aside(&error);
            release(runner);
        }
        (Command::RetryHeld | Command::SkipHeld, None) => {}
        (Command::Rerun(time), still) => {
            *held = still;
            match runner.rerun(time) {
                Ok(true) => {}
                Ok(false) => tracing::warn!("batch {time} does not lie aside; nothing is run"),
                Err(e) => tracing::error!("{e}"),
            }
        }
    }
}

/// The steps after the last batch; STOPPED is said when the loop is left.
fn finish(runner: &mut Runner, stop: Option<Stop>) {
    runner.finish();
    let Some(stop) = stop else { return };
    // No job of this stream follows: the group need not be remembered.
    runner.sc.canceller().reopen_job_group(&runner.job_group);
    if stop.spark_context.unwrap_or(runner.settings.stop_spark_context) {
        runner.sc.stop();
    }
}
