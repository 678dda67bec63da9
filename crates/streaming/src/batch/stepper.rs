//! [`Stepper`]: a started graph that is driven batch by batch on the calling thread.
use super::{
    control::{FailurePolicy, Health, StreamingState},
    runner::Runner,
    ticker::Ticker,
};
use crate::{Error, Result, StreamingEvent};
use winterbourne_base::Time;

/// A started graph without a loop: each [`step`](Stepper::step) runs the next batch to its end on the calling thread.
/// For tests, and for programs that bring their own loop; made by
/// [`StreamingContext::start_stepped`](crate::StreamingContext::start_stepped).
pub struct Stepper {
    pub(crate) runner: Runner,
    pub(crate) ticker: Ticker,
    /// A batch that failed and is to be run next.
    pub(crate) failed: Option<super::ticker::Due>,
}
impl Stepper {
    /// The time of the next batch.
    pub fn next_time(&self) -> Time {
        self.failed.map_or(self.ticker.next(), |d| d.time)
    }
    /// Runs the next batch; its inputs get what is there now. Under the policy `hold` a batch that failed is the next
    /// one again.
    ///
    /// # Errors
    /// [`Error::Batch`] if it failed on every attempt, all is then undone; [`Error::AlreadyStopped`] once somebody has called `stop`.
    pub fn step(&mut self) -> Result<Time> {
        if self.runner.control.shared().stop.is_some() {
            return Err(Error::AlreadyStopped);
        }
        let due = match self.failed.take() {
            Some(due) => due,
            None => self.ticker.due(self.ticker.next()).expect("the next tick is due at its time"),
        };
        let control = self.runner.control.clone();
        match self.runner.run(super::ticker::Due { latest: true, ..due }) {
            Ok(()) => {
                control.change(|s| s.status.health = Health::Ok);
                Ok(due.time)
            }
            Err(error) => {
                match self.runner.policy(&error) {
                    FailurePolicy::Skip => self.runner.set_aside(&error),
                    FailurePolicy::Hold | FailurePolicy::Stop => {
                        control.change(|s| s.status.health = Health::Held(error.clone().into()));
                        self.failed = Some(super::ticker::Due { coalesced: 0, ..due });
                    }
                }
                Err(Error::Batch(*error))
            }
        }
    }
    /// Sets a failed batch aside, so that [`step`](Stepper::step) goes on with the one after it.
    pub fn skip_failed(&mut self) {
        let health = self.runner.control.shared().status.health.clone();
        if let (Some(_), Health::Held(error)) = (&self.failed, health)
            && self.runner.may_set_aside(&error)
        {
            self.runner.set_aside(&error);
            self.failed = None;
        }
    }
    /// Runs a batch that was set aside once more. False if it does not lie aside.
    ///
    /// # Errors
    /// [`Error::Batch`] if it failed again; it stays aside.
    pub fn rerun(&mut self, time: Time) -> Result<bool> {
        self.runner.rerun(time).map_err(|e| Error::Batch(*e))
    }
    /// Waits until no checkpoint is being written. Checkpoints are written beside the batches; a test that ends a program
    /// at a certain place wants to know which ones there are.
    pub fn await_checkpoint(&self) {
        if let Some(keeper) = &self.runner.keeper {
            keeper.await_checkpoint();
        }
    }
    /// The durable ids of inputs, stateful operators and outputs.
    pub fn operator_ids(&self) -> Vec<String> {
        let Runner { input_ids, state_ids, output_ids, .. } = &self.runner;
        input_ids.iter().chain(state_ids).chain(output_ids).cloned().collect()
    }
    /// How many RDDs the graph remembers now, over all streams and times.
    pub fn remembered(&self) -> usize {
        self.runner.memoised()
    }
}
impl Drop for Stepper {
    fn drop(&mut self) {
        self.runner.inputs.iter().for_each(|i| i.stop());
        self.runner.finish();
        let control = &self.runner.control;
        let now = control.clock.now();
        control.bus.post(|| StreamingEvent::Stopped(now));
        control.change(|s| s.state = StreamingState::Stopped);
    }
}
