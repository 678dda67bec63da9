//! [`Runner`]: one batch through the protocol: plan, generate, run, advance, commit, log, settle, forget.
//!
//! It knows no thread and no tick; time comes with the batch. A failed attempt is undone before the next one. Output
//! operations that succeeded in an earlier attempt are not run again.
use super::{
    OnOverload, Overload, Trend,
    control::{Control, FailurePolicy, InputBehind},
    crew::{Crew, Ran},
    log::{BatchDone, BatchEntry, BatchLog, BatchPlan, InputPlan},
    ticker::Due,
};
use crate::{
    BatchError, BatchInfo, Error, InputInfo, OutputInfo, StreamingEvent,
    dstream::Skips,
    durable::Keeper,
    graph::{Job, Output, StreamNode},
    input::{InputNode, Measured, PlannedInput, Tick},
    rate::Limit,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use winterbourne_base::{Clock, Duration, Time, failpoint};
use winterbourne_engine::{BoxError, Error as EngineError, SparkContext, guard_driver, hash};

/// Batches that may lie aside at once; the oldest is dropped, and counted, for the next.
const MOST_ASIDE: usize = 16;

/// What the configuration says about batches.
pub(crate) struct Settings {
    pub(crate) interval: Duration,
    pub(crate) max_attempts: u64,
    pub(crate) on_failure: FailurePolicy,
    pub(crate) max_queued: usize,
    pub(crate) on_overload: OnOverload,
    /// What a batch never holds more of.
    pub(crate) most: Limit,
    pub(crate) stop_spark_context: bool,
    /// Output operations of a batch that run at once.
    pub(crate) concurrent_jobs: usize,
}

pub(crate) struct Runner {
    pub(crate) sc: SparkContext,
    /// Parents before children.
    pub(crate) nodes: Vec<Arc<dyn StreamNode>>,
    pub(crate) inputs: Vec<Arc<dyn InputNode>>,
    /// By position; stateless nodes have none.
    pub(crate) node_ids: Vec<Option<String>>,
    pub(crate) input_ids: Vec<String>,
    /// Of the stateful nodes, in their order.
    pub(crate) state_ids: Vec<String>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) output_ids: Vec<String>,
    pub(crate) skips: Vec<Arc<Skips>>,
    /// Who else is told.
    pub(crate) log: Option<Box<dyn BatchLog>>,
    /// The checkpoint directory, if there is one.
    pub(crate) keeper: Option<Keeper>,
    pub(crate) control: Arc<Control>,
    pub(crate) settings: Settings,
    /// Runs the jobs of output operations.
    pub(crate) crew: Crew,
    /// Names the jobs of this stream, so that they can be cancelled.
    pub(crate) job_group: String,
    pub(crate) aside: VecDeque<Time>,
    /// The batch that failed before its plan was logged.
    pub(crate) unplanned: Option<Time>,
    /// Whether batches keep up, and what is known if not.
    pub(crate) trend: Trend,
    pub(crate) overload: Overload,
    /// Which output operations succeeded in batches that are held or lie aside: they are not repeated.
    pub(crate) unfinished: BTreeMap<Time, Vec<Option<OutputInfo>>>,
}

/// What failed, and how.
type Failure = (String, EngineError);
/// What a batch's attempts share.
struct Progress {
    tick: Tick,
    coalesced: u64,
    begun: u64,
    scheduling_delay_us: u64,
    records: u64,
    attempt: u64,
    planned: bool,
    /// It runs at its place in time, and not once more later.
    in_turn: bool,
    /// For listeners.
    inputs: Vec<InputInfo>,
    outputs: Vec<Option<OutputInfo>>,
}

impl Runner {
    /// Takes the batch through as many attempts as it may have.
    ///
    /// # Errors
    /// The failure of the last attempt; everything is undone, the plan is kept.
    pub(crate) fn run(&mut self, due: Due) -> Result<(), Box<BatchError>> {
        let limit = if due.takes_in { self.settings.most } else { Limit { records: Some(0), bytes: Some(0) } };
        {
            let status = &mut self.control.shared().status;
            status.coalesced_ticks += due.coalesced;
            status.blocked_batches += u64::from(!due.takes_in);
        }
        let tick = Tick { time: due.time, latest: due.latest, limit };
        self.run_tick(tick, due.coalesced, true)
    }

    /// Runs a batch that was set aside once more. `Ok(false)` if it is not there.
    ///
    /// # Errors
    /// The failure of the last attempt; it stays aside.
    pub(crate) fn rerun(&mut self, time: Time) -> Result<bool, Box<BatchError>> {
        if !self.aside.contains(&time) || !self.inputs.iter().all(|i| i.put_back(time)) {
            return Ok(false);
        }
        let before = self.succeeded(time);
        if let Err(error) = self.run_tick(Tick { time, latest: false, limit: Limit::NONE }, 0, false) {
            if self.succeeded(time) != before {
                self.log_aside(time, error.to_string());
            }
            return Err(error);
        }
        self.drop_aside(time);
        Ok(true)
    }

    fn run_tick(&mut self, tick: Tick, coalesced: u64, plan: bool) -> Result<(), Box<BatchError>> {
        let _group = self.sc.job_group(&self.job_group);
        let clock = self.control.clock.clone();
        let late = clock.now() - tick.time;
        let mut progress = Progress {
            tick,
            coalesced,
            begun: clock.nanos(),
            scheduling_delay_us: late.as_millis() * 1000,
            records: 0,
            attempt: 0,
            planned: !plan,
            in_turn: plan,
            inputs: Vec::new(),
            outputs: self.unfinished.remove(&tick.time).unwrap_or_else(|| vec![None; self.outputs.len()]),
        };
        loop {
            progress.attempt += 1;
            let Err((part, cause)) = self.attempt(&mut progress, &*clock) else {
                self.commit(&progress, &*clock);
                return Ok(());
            };
            self.nodes.iter().for_each(|n| n.settle(tick.time, false));
            self.undo_sinks(&mut progress);
            self.control.shared().status.failed_attempts += 1;
            let stopping = self.control.is_cancelled();
            if progress.attempt < self.settings.max_attempts && !stopping {
                tracing::warn!("batch {} failed in {part}: {cause}; trying again", tick.time);
                continue;
            }
            // A batch of which the log knows nothing cannot be found again after a restart: it holds.
            let is_known = progress.planned || self.keeper.is_none();
            self.unplanned = (!is_known).then_some(tick.time);
            let then = match self.settings.on_failure {
                _ if stopping => "the stream is being stopped",
                FailurePolicy::Skip if !is_known => "it is in no log yet, so it cannot be skipped: later batches wait",
                FailurePolicy::Skip if self.is_in_doubt() => {
                    "a sink does not say whether it has it, so it cannot be skipped: later batches wait"
                }
                FailurePolicy::Hold => "later batches wait: retry it, skip it, or stop the stream",
                FailurePolicy::Skip => "it is set aside and may be run again",
                FailurePolicy::Stop => "the stream ends",
            };
            let error = BatchError { time: tick.time, part, attempts: progress.attempt, then, cause: Arc::new(cause) };
            tracing::error!("{error}");
            self.control.bus.post(|| {
                StreamingEvent::BatchFailed(BatchInfo {
                    failure: Some(error.to_string()),
                    ..progress.info(clock.nanos())
                })
            });
            self.unfinished.insert(tick.time, progress.outputs);
            return Err(Box::new(error));
        }
    }

    /// 1 plan what goes in · 2 generate all jobs (transform bodies run) · 3 run them, begun in registration order ·
    /// 4 advance what no job touched · 5 let the sinks commit · 6 log the completion. Settling follows, whatever came of it.
    fn attempt(&mut self, progress: &mut Progress, clock: &dyn Clock) -> Result<(), Failure> {
        let t = progress.tick.time;
        self.ask_sinks(t)?;
        if !progress.planned {
            self.plan(progress)?;
            self.control.bus.post(|| StreamingEvent::BatchSubmitted(progress.info(clock.nanos())));
        } else if !progress.in_turn {
            // SUBTLE: a sink knows the last batch that it has. Once that is this one, it cannot say that it has the one
            // before, so the completion of that one is not to be lost any more.
            logged(|| self.keeper.as_mut().map_or(Ok(()), Keeper::sync))?;
        }
        self.control.bus.post(|| StreamingEvent::BatchStarted(progress.info(clock.nanos())));
        self.nodes.iter().for_each(|n| n.begin(t));
        let mut jobs = Vec::with_capacity(self.outputs.len());
        for (i, output) in self.outputs.iter().enumerate() {
            let job = guard_driver(|| Ok((output.generate)(t)?));
            jobs.push(job.map_err(|e| (format!("the generation of {}", self.name(i)), e))?);
        }
        self.run_jobs(jobs, progress)?;
        failpoint::hit("batch.outputs_done");
        for n in &self.nodes {
            let meta = n.meta();
            guard_driver(|| Ok(n.advance(t)?)).map_err(|e| (format!("{} at {}", meta.kind, meta.site), e))?;
        }
        self.commit_sinks(progress, clock)?;
        if self.is_logged() {
            let processing_us = (clock.nanos() - progress.begun) / 1000;
            self.complete(self.done(t, None, progress.records, processing_us))?;
        }
        Ok(())
    }

    /// Runs the jobs that did not succeed in an earlier attempt.
    ///
    /// # Errors
    /// The first failure, in registration order. Of several that ran at once the others may have succeeded, and are not
    /// repeated.
    fn run_jobs(&mut self, jobs: Vec<Option<Job>>, progress: &mut Progress) -> Result<(), Failure> {
        let succeeded = |i: usize| progress.outputs[i].as_ref().is_some_and(|done| done.failure.is_none());
        let jobs = jobs.into_iter().enumerate().filter(|(i, _)| !succeeded(*i));
        let ran = self.crew.run(&self.sc, progress.tick.time, jobs.filter_map(|(i, job)| Some((i, job?))).collect());
        let (listened, mut first) = (self.control.bus.is_listened(), None);
        for Ran { job: i, duration_us, result } in ran {
            let output = &self.outputs[i];
            let name = if listened { format!("{} at {}", output.kind, output.site) } else { String::new() };
            let failure = result.as_ref().err().map(ToString::to_string);
            let is_kept = failure.is_none() || listened;
            progress.outputs[i] = is_kept.then_some(OutputInfo { id: i, name, duration_us, failure });
            if let Err(e) = result {
                first.get_or_insert_with(|| (self.name(i), e));
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// SUBTLE: before the completion is logged, so that recovery has one case: a batch without a completion is run again, and
    /// a sink that has it already is left out. The other way round, a completion would have to be durable before the first
    /// commit, and a batch with one might still have to be run for its sinks.
    fn commit_sinks(&self, progress: &mut Progress, clock: &dyn Clock) -> Result<(), Failure> {
        for (i, output) in self.outputs.iter().enumerate() {
            let Some(sink) = &output.sink else { continue };
            let begun = clock.nanos();
            let committed = guard_driver(|| sink.commit(progress.tick.time));
            if let Some(info) = &mut progress.outputs[i] {
                info.duration_us += (clock.nanos() - begun) / 1000;
                info.failure = committed.as_ref().err().map(ToString::to_string);
            }
            committed.map_err(|e| (format!("the commit of {}", self.name(i)), e))?;
        }
        Ok(())
    }
    /// What a sink staged in an attempt that failed is staged anew in the next one, unless it is committed.
    fn undo_sinks(&self, progress: &mut Progress) {
        let t = progress.tick.time;
        for (i, output) in self.outputs.iter().enumerate() {
            let Some(sink) = &output.sink else { continue };
            sink.undo(t);
            let info = progress.outputs[i].take();
            progress.outputs[i] = if sink.is_committed(t) {
                info.map(|info| OutputInfo { failure: None, ..info })
            } else {
                info.filter(|info| info.failure.is_some())
            };
        }
    }

    /// Asks every input what belongs to the batch, and logs it before anything runs.
    fn plan(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        let mut said: Vec<Option<PlannedInput>> = vec![None; self.inputs.len()];
        let mut tick = progress.tick;
        // Another one is the first each time: what is left for the last may be nothing.
        let (n, number) = (said.len(), tick.time.as_millis() / self.settings.interval.as_millis());
        let first = (number % n.max(1) as u64) as usize;
        for i in (first..n).chain(0..first) {
            let planned = guard_driver(|| Ok(self.inputs[i].plan(&tick)?));
            said[i] = planned.map_err(|e| (format!("the plan of {}", self.input_ids[i]), e))?;
            let (records, bytes) = said[i].as_ref().map_or((None, None), |s| (s.records, s.bytes));
            tick.limit = tick.limit.less(records.unwrap_or(0), bytes.unwrap_or(0));
        }
        let (mut plans, mut records) = (Vec::new(), 0);
        progress.inputs.clear();
        for ((input, id), said) in self.inputs.iter().zip(&self.input_ids).zip(said) {
            let Some(said) = said else { continue };
            records += said.records.unwrap_or(0);
            if self.control.bus.is_listened() {
                let (records, limit, description) = (said.records, said.limit, said.description.clone());
                progress.inputs.push(InputInfo { id: id.clone(), records, limit, description, lag: input.lag() });
            }
            if self.is_logged() {
                let PlannedInput { records, description, plan, .. } = said;
                plans.push(InputPlan { input: id.clone(), records, description, plan });
            }
        }
        progress.records = records;
        self.note_lags();
        if self.is_logged() {
            let time = progress.tick.time;
            let plan =
                BatchPlan { time, coalesced: progress.coalesced, seed: hash::of(&time.as_millis()), inputs: plans };
            logged(|| self.keeper.as_mut().map_or(Ok(()), |k| k.plan(&plan)))?;
            logged(|| self.log.as_mut().map_or(Ok(()), |l| l.append(BatchEntry::Planned(plan))))?;
        }
        progress.planned = true;
        Ok(())
    }

    fn is_logged(&self) -> bool {
        self.log.is_some() || self.keeper.is_some()
    }
    fn done(&self, time: Time, set_aside: Option<String>, records: u64, processing_us: u64) -> BatchDone {
        let outputs = if set_aside.is_none() { self.output_ids.clone() } else { Vec::new() };
        let states = self.keeper.as_ref().map_or(Vec::new(), Keeper::changes);
        let accumulators = Vec::new();
        BatchDone { time, sequence: 0, outputs, set_aside, records, processing_us, states, accumulators, receipt: 0 }
    }
    /// The keeper comes last: once the directory has it, the batch is done.
    fn complete(&mut self, mut done: BatchDone) -> Result<(), Failure> {
        if let Some(log) = &mut self.log {
            logged(|| log.append(BatchEntry::Completed(done.clone())))?;
        }
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        logged(|| {
            done.accumulators = self.sc.save_accumulators()?;
            keeper.complete(&mut done)
        })
    }

    fn name(&self, output: usize) -> String {
        let o = &self.outputs[output];
        format!("output {output}, {} at {}", o.kind, o.site)
    }

    /// 7 settle: commit, strictly in batch order · 8 forget what nobody needs.
    fn commit(&mut self, progress: &Progress, clock: &dyn Clock) {
        if failpoint::seeded("log.completion-before-state")
            && let Some(keeper) = &mut self.keeper
        {
            keeper.settled(&self.sc, &self.inputs);
        }
        if progress.in_turn {
            let now = clock.nanos();
            let processing_us = (now - progress.begun) / 1000;
            let measured = Measured { done_us: now / 1000, processing_us, delay_us: progress.scheduling_delay_us };
            self.inputs.iter().for_each(|i| i.measured(progress.tick.time, &measured));
            self.observe(&measured);
        }
        let skipped = self.settle(progress.tick.time);
        failpoint::hit("batch.settled");
        {
            let mut shared = self.control.shared();
            shared.status.completed_batches += 1;
            shared.status.processed_records += progress.records;
            shared.status.skipped_records += skipped;
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.settled(&self.sc, &self.inputs);
            self.control.shared().status.durable = Some(keeper.status());
        }
        self.note_lags();
        self.control.bus.post(|| {
            let mut info = progress.info(clock.nanos());
            for known in &mut info.inputs {
                let own = self.inputs.iter().zip(&self.input_ids).find(|(_, id)| **id == known.id);
                known.lag = own.map_or(Vec::new(), |(input, _)| input.lag());
            }
            StreamingEvent::BatchCompleted(info)
        });
    }

    /// For `status`, which may not wait for an input that plans.
    fn note_lags(&self) {
        let known = self.inputs.iter().zip(&self.input_ids).filter_map(|(input, id)| {
            let parts = input.lag();
            (!parts.is_empty()).then(|| InputBehind { id: id.clone(), parts })
        });
        let lags: Vec<InputBehind> = known.collect();
        self.control.shared().status.lags = lags;
    }

    /// Settles a batch that was applied, and forgets. How many records its operators skipped.
    pub(crate) fn settle(&self, t: Time) -> u64 {
        self.nodes.iter().for_each(|n| n.settle(t, true));
        self.inputs.iter().for_each(|i| i.settle(t));
        self.outputs.iter().filter_map(|o| o.sink.as_ref()).for_each(|s| s.settle(t));
        let newest = {
            let status = &mut self.control.shared().status;
            // A batch that was set aside and run again does not turn the clock back.
            status.last_batch = status.last_batch.max(Some(t));
            status.last_batch.unwrap_or(t)
        };
        self.nodes.iter().for_each(|n| n.forget(newest));
        if self.skips.is_empty() {
            return 0;
        }
        let reach = self.nodes.iter().map(|n| n.meta().remembers()).max().unwrap_or_default();
        self.skips.iter().map(|s| s.take(t, newest - reach)).sum()
    }
    /// The stream is over: what was done is made durable.
    pub(crate) fn finish(&mut self) {
        let mut is_logged = true;
        if let Some(mut keeper) = self.keeper.take() {
            is_logged = keeper.finish(&self.sc, &self.inputs);
            self.control.shared().status.durable = Some(keeper.status());
        }
        // A program that can write its log no longer ends as if it were killed, and the next one goes on with its files.
        if is_logged {
            self.outputs.iter().filter_map(|output| output.sink.as_ref()).for_each(|sink| sink.close());
        }
    }

    /// What becomes of the stream after this failure.
    pub(crate) fn policy(&self, error: &BatchError) -> FailurePolicy {
        match self.settings.on_failure {
            FailurePolicy::Skip if !self.may_set_aside(error) => FailurePolicy::Hold,
            policy => policy,
        }
    }
    /// Not what nobody could find again: a batch that is in no log, or one that a sink may have and does not say so. Of the
    /// latter it could not be asked any more once it has a later one.
    pub(crate) fn may_set_aside(&self, error: &BatchError) -> bool {
        self.unplanned != Some(error.time) && !self.is_in_doubt()
    }
    fn is_in_doubt(&self) -> bool {
        self.outputs.iter().filter_map(|output| output.sink.as_ref()).any(|sink| sink.doubt().is_some())
    }
    /// A batch that lies aside was run again, and a sink did not say whether it has it. It is asked before the batch of t is
    /// planned, so that its answer is durable with that plan: once it has the batch of t it does not know any more.
    fn ask_sinks(&mut self, t: Time) -> Result<(), Failure> {
        for (i, output) in self.outputs.iter().enumerate() {
            let Some(sink) = &output.sink else { continue };
            if sink.doubt().is_some_and(|other| other != t) {
                guard_driver(|| sink.resolve()).map_err(|e| (self.name(i), e))?;
            }
        }
        for other in self.aside.clone().into_iter().filter(|other| *other != t) {
            let known = self.unfinished.entry(other).or_insert_with(|| vec![None; self.outputs.len()]);
            let mut is_news = false;
            for (id, (output, info)) in self.outputs.iter().zip(known).enumerate() {
                let is_known = info.as_ref().is_some_and(|info| info.failure.is_none());
                if !is_known && output.sink.as_ref().is_some_and(|sink| sink.is_committed(other)) {
                    *info = Some(OutputInfo { id, name: String::new(), duration_us: 0, failure: None });
                    is_news = true;
                }
            }
            if is_news {
                self.log_aside(other, "a sink has it, and another output failed".into());
            }
        }
        Ok(())
    }
    /// Keeps a failed batch's records and lets the stream go on.
    pub(crate) fn set_aside(&mut self, error: &BatchError) {
        let t = error.time;
        self.inputs.iter().for_each(|i| i.set_aside(t));
        self.skips.iter().for_each(|s| s.discard(t));
        if !self.aside.contains(&t) {
            self.aside.push_back(t);
        }
        if self.aside.len() > MOST_ASIDE {
            let oldest = self.aside[0];
            tracing::warn!("more than {MOST_ASIDE} batches lie aside; batch {oldest} is dropped with its records");
            self.drop_aside(oldest);
            self.control.shared().status.set_aside_dropped += 1;
        }
        self.log_aside(t, error.to_string());
        self.nodes.iter().for_each(|n| n.forget(t));
        self.publish_aside();
    }
    /// Logs that a batch lies aside, and which of its outputs are not to be repeated.
    fn log_aside(&mut self, t: Time, why: String) {
        if self.is_logged() {
            let mut done = self.done(t, Some(why), 0, 0);
            done.outputs = self.succeeded(t);
            if let Err((_, e)) = self.complete(done) {
                tracing::error!("batch {t} was set aside, but the log did not take it: {e}");
            }
        }
    }
    /// The ids of the outputs of an unfinished batch that are not to be repeated.
    fn succeeded(&self, t: Time) -> Vec<String> {
        let outputs = self.unfinished.get(&t).into_iter().flatten().zip(&self.output_ids);
        let is_done = |info: &Option<OutputInfo>| info.as_ref().is_some_and(|i| i.failure.is_none());
        outputs.filter(|(info, _)| is_done(info)).map(|(_, id)| id.clone()).collect()
    }
    /// The same from the log, after a restart.
    pub(crate) fn restore_succeeded(&mut self, t: Time, ids: &[String]) {
        let info = |(id, own): (usize, &String)| {
            let done = OutputInfo { id, name: String::new(), duration_us: 0, failure: None };
            ids.contains(own).then_some(done)
        };
        let outputs = self.output_ids.iter().enumerate().map(info).collect();
        self.unfinished.insert(t, outputs);
    }
    fn drop_aside(&mut self, t: Time) {
        self.inputs.iter().for_each(|i| i.discard(t));
        self.unfinished.remove(&t);
        if let Some(keeper) = &mut self.keeper {
            keeper.give_up(t);
        }
        self.aside.retain(|a| *a != t);
        self.publish_aside();
    }
    pub(crate) fn publish_aside(&self) {
        self.control.shared().status.set_aside = self.aside.iter().copied().collect();
    }
    /// How many RDDs are remembered.
    pub(crate) fn memoised(&self) -> usize {
        self.nodes.iter().map(|n| n.memoised()).sum()
    }
    /// Records a failure for `await_termination` and the health state.
    pub(crate) fn report(&self, error: &BatchError, health: fn(Arc<BatchError>) -> super::Health) {
        let error = error.clone();
        self.control.change(move |shared| {
            shared.error = Some(Error::Batch(error.clone()));
            shared.status.health = health(Arc::new(error));
        });
    }
}

/// A failure of the log is one of the batch.
fn logged(f: impl FnOnce() -> Result<(), BoxError>) -> Result<(), Failure> {
    guard_driver(f).map_err(|e| ("the batch log".to_owned(), e))
}

impl Progress {
    fn info(&self, now: u64) -> BatchInfo {
        BatchInfo {
            time: self.tick.time,
            records: self.records,
            scheduling_delay_us: self.scheduling_delay_us,
            processing_us: (now - self.begun) / 1000,
            inputs: self.inputs.clone(),
            outputs: self.outputs.iter().flatten().cloned().collect(),
            coalesced: self.coalesced,
            attempt: self.attempt,
            failure: None,
        }
    }
}
