//! From `start` to the first batch: the graph is checked and frozen, what was before is recovered, inputs are started. A
//! start that fails leaves the context as it was.
use super::{ACTIVE, StreamingContext, system};
use crate::{
    Error, GraphError, Result, StreamingEvent, StreamingState,
    batch::{Crew, OnOverload, Overload, Runner, Settings, Ticker, Trend},
    durable::{self, Expect, Place},
    graph::{Ids, StreamMeta, assign, spread_remember},
    input::InputNode,
    rate::Limit,
    sink::SinkPlace,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use winterbourne_base::{Time, conf::keys};
use winterbourne_engine::{BoxError, Site};

impl StreamingContext {
    /// Everything `start` does before threads: none if the context is active already.
    #[track_caller]
    pub(super) fn freeze(&self, now: Time) -> Result<Option<(Runner, Ticker)>> {
        let control = &self.inner.control;
        match control.state() {
            StreamingState::Active => return Ok(None),
            StreamingState::Stopped => return Err(Error::AlreadyStopped),
            StreamingState::Initialized => {}
        }
        let settings = self.settings()?;
        let (place, expect) = self.inner.durable.lock().expect("plain values").clone();
        let ids = self.checked_graph(Site::caller(), place.is_some())?;
        // 1 taken out of the graph, so that no user code runs under its lock · 2 recovered and started · 3 frozen, or put
        // back: after a failure the context is as it was.
        let mut runner = self.runner(ids, settings);
        let zero = Ticker::zero_for(now, self.inner.batch);
        let ready = match place {
            None => self.launch_new(&mut runner, zero),
            Some(place) => self.launch_recovered(&mut runner, zero, now, &place, expect),
        };
        let ticker = match ready {
            Ok(ticker) => ticker,
            Err(e) => {
                let mut parts = self.graph().parts();
                let Runner { nodes, inputs, outputs, skips, log, .. } = runner;
                (parts.nodes, parts.inputs, parts.outputs, parts.skips) = (nodes, inputs, outputs, skips);
                parts.frozen = None;
                drop(parts);
                *self.inner.log.lock().expect("plain handle") = log;
                return Err(e);
            }
        };
        control.change(|s| {
            if s.state == StreamingState::Initialized {
                s.state = StreamingState::Active;
            }
        });
        if control.state() != StreamingState::Active {
            // Somebody has stopped it meanwhile.
            runner.inputs.iter().for_each(|i| i.stop());
            runner.keeper = None;
            runner.forget_everything();
            return Err(Error::AlreadyStopped);
        }
        *ACTIVE.lock().expect("plain handle") = Some((Arc::downgrade(&self.inner), self.sc.clone()));
        control.bus.post(|| StreamingEvent::Started(now));
        Ok(Some((runner, ticker)))
    }
    /// The ids of the graph, if nothing is wrong with it.
    fn checked_graph(&self, start: Site, is_durable: bool) -> Result<Ids> {
        let parts = self.graph().parts();
        let ids = assign(&parts.nodes, &parts.outputs);
        let mut errors = parts.errors.clone();
        if parts.outputs.is_empty() {
            let what = "no output operations registered, so nothing to execute; add print() or foreach_rdd(…)".into();
            errors.push(GraphError { site: start, what });
        }
        if is_durable || self.inner.log.lock().expect("plain handle").is_some() {
            errors.extend(ids.clashes.iter().cloned());
        }
        let metas = || parts.nodes.iter().map(|n| n.meta());
        if !is_durable && !self.setting(keys::STATE_VOLATILE)? {
            let durable = |m: &&StreamMeta| m.stateful.as_ref().is_some_and(|s| !s.is_volatile());
            errors.extend(metas().filter(durable).map(|m| {
                let what = format!(
                    "{} keeps state, which would be lost with this process: set a checkpoint directory \
                     (ssc.checkpoint(…) or StreamingContext::get_or_create), or accept the loss with .volatile()",
                    m.kind
                );
                GraphError { site: m.site, what }
            }));
        }
        if is_durable {
            let kept = metas().filter_map(|m| Some((m, m.stateful.as_ref().filter(|s| !s.is_volatile())?)));
            errors.extend(kept.filter_map(|(m, state)| {
                let what = format!(
                    "{}: {}; keep another type, or accept the loss with .volatile()",
                    m.kind,
                    state.unstorable()?
                );
                Some(GraphError { site: m.site, what })
            }));
        } else {
            let in_vain = metas().filter(|m| m.stateful.is_none() && m.checkpoint_every().is_some());
            errors.extend(in_vain.map(|m| {
                let what = format!(
                    "{} has a checkpoint interval, but nowhere to put checkpoints: set a checkpoint directory \
                     (ssc.checkpoint(…) or StreamingContext::get_or_create), or remove .checkpoint(…)",
                    m.kind
                );
                GraphError { site: m.site, what }
            }));
        }
        let sites: Vec<Site> = metas().filter(|m| m.is_input()).map(|m| m.site).collect();
        let inputs = parts.inputs.clone();
        drop(parts); // inputs may be the user's own code
        if is_durable {
            for (input, site) in inputs.iter().zip(sites) {
                if let Err(why) = input.recoverable() {
                    let what = format!(
                        "this input cannot come back after a restart: {why}; use a source that can be read again, or no \
                         checkpoint directory"
                    );
                    errors.push(GraphError { site, what });
                }
            }
        }
        // What was said wrongly stays wrong; only what start itself found may be corrected by adding to the graph.
        if errors.is_empty() { Ok(ids) } else { Err(Error::Graph(errors)) }
    }
    fn runner(&self, ids: Ids, settings: Settings) -> Runner {
        let crew = Crew::new(self.concurrent_jobs(&settings), &self.inner.control);
        let mut parts = self.graph().parts();
        parts.frozen = Some("starting");
        spread_remember(&parts.nodes, parts.remember);
        let parts = &mut *parts;
        parts.nodes.iter().zip(&ids.names).for_each(|(n, id)| n.meta().id.set(id));
        parts.outputs.iter().zip(&ids.outputs).for_each(|(o, id)| o.id.set(id));
        Runner {
            sc: self.sc.clone(),
            nodes: std::mem::take(&mut parts.nodes),
            inputs: std::mem::take(&mut parts.inputs),
            node_ids: ids.nodes,
            input_ids: ids.inputs,
            state_ids: ids.states,
            outputs: std::mem::take(&mut parts.outputs),
            output_ids: ids.outputs,
            skips: std::mem::take(&mut parts.skips),
            log: self.inner.log.lock().expect("plain handle").take(),
            keeper: None,
            control: self.inner.control.clone(),
            settings,
            crew,
            job_group: self.inner.job_group.clone(),
            aside: VecDeque::new(),
            unplanned: None,
            trend: Trend::new(self.inner.batch.as_millis().saturating_mul(1_000)),
            overload: Overload::default(),
            unfinished: BTreeMap::new(),
        }
    }
    /// How many jobs may run at once.
    fn concurrent_jobs(&self, settings: &Settings) -> usize {
        if settings.concurrent_jobs > 1 && self.sc.lanes() > 1 {
            tracing::warn!(
                "spark.streaming.concurrentJobs is taken as 1: several processes run their jobs in the same order"
            );
            return 1;
        }
        settings.concurrent_jobs
    }
    /// Opens the sinks, and asks them for batches of which the log does not say that they are done.
    fn open_sinks(&self, runner: &Runner, unfinished: &[Time]) -> Result<()> {
        for (output, id) in runner.outputs.iter().zip(&runner.output_ids) {
            let Some(sink) = &output.sink else { continue };
            let place = SinkPlace {
                application: self.sc.app_name().to_owned(),
                operator: id.as_str().into(),
                interval: self.inner.batch,
                durable: runner.keeper.is_some(),
            };
            let opened = winterbourne_engine::guard_driver(|| {
                sink.open(&place)?;
                unfinished.iter().chain(&runner.aside).try_for_each(|t| sink.recover(*t))
            });
            opened.map_err(|e| BoxError::from(format!("sink {id:?} at {}: {e}", output.site)))?;
        }
        Ok(())
    }
    fn ticker(&self, runner: &Runner, zero: Time) -> Ticker {
        runner.nodes.iter().for_each(|n| n.meta().set_zero(zero));
        let slides = runner.nodes.iter().map(|n| n.meta().slide).collect();
        Ticker::new(zero, self.inner.batch, runner.settings.max_queued, slides)
            .when_overloaded(runner.settings.on_overload)
    }
    fn launch_new(&self, runner: &mut Runner, zero: Time) -> Result<Ticker> {
        self.open_sinks(runner, &[])?;
        start_inputs(&runner.inputs)?;
        self.inner.control.watch(&runner.inputs);
        Ok(self.ticker(runner, zero))
    }
    /// As `launch_new`, in a checkpoint directory: whatever is there is continued.
    fn launch_recovered(
        &self,
        runner: &mut Runner,
        zero: Time,
        now: Time,
        place: &Place,
        expect: Expect,
    ) -> Result<Ticker> {
        let recovery = match (self.recover(runner, zero, place, expect), place) {
            (Err(r), Place::Directory(directory)) if r.unreadable && expect == Expect::AnythingReadable => {
                tracing::error!("{}", r.error);
                durable::set_aside(directory).map_err(|e| system("a new checkpoint directory", e))?;
                self.recover(runner, zero, place, expect)?
            }
            (found, _) => found?,
        };
        let (zero, planned) = (recovery.zero, recovery.planned);
        let ticker = self.ticker(runner, zero);
        let (keeper, replay) = recovery.split();
        runner.keeper = Some(keeper);
        let ready = durable::replay(runner, replay).and_then(|unfinished| {
            self.open_sinks(runner, &unfinished)?;
            start_inputs(&runner.inputs)?;
            Ok(unfinished)
        });
        let unfinished = match ready {
            Ok(unfinished) => unfinished,
            Err(e) => {
                // Its log and its lock go with it.
                runner.keeper = None;
                runner.forget_everything();
                return Err(e);
            }
        };
        self.inner.control.watch(&runner.inputs);
        self.inner.control.shared().status.durable = runner.keeper.as_ref().map(durable::Keeper::status);
        Ok(match planned {
            None => ticker,
            Some(planned) => {
                let most: usize = self.setting(keys::RECOVERY_MAX_CATCH_UP)?;
                ticker.resume(planned, now, most as u64, unfinished)
            }
        })
    }
    fn recover(
        &self,
        runner: &Runner,
        zero: Time,
        place: &Place,
        expect: Expect,
    ) -> Result<durable::Recovery, durable::Refusal> {
        let setting = |error| durable::Refusal { error, unreadable: false };
        let consent: Option<String> = self.setting(keys::RECOVERY_DROP).map_err(setting)?;
        let retain = self.setting(keys::CHECKPOINT_RETAINED).map_err(setting)?;
        let opened = durable::open(place, expect)?;
        let program = durable::Program {
            sc: &self.sc,
            clock: self.inner.control.clock.clone(),
            build: winterbourne_base::build_id(),
            interval: self.inner.batch,
            zero,
            operators: runner.operators(),
            inputs: runner.input_ids.iter().cloned().zip(runner.inputs.iter().cloned()).collect(),
            states: runner.states(),
            consent: consent.iter().flat_map(|c| c.split(',')).map(|c| c.trim().to_owned()).collect(),
            pace: runner.pace(retain),
        };
        durable::restore(opened, program)
    }
    fn settings(&self) -> Result<Settings> {
        // What it says is asked for when the stream is stopped.
        self.setting(keys::GRACEFUL_STOP_TIMEOUT)?;
        Ok(Settings {
            interval: self.inner.batch,
            max_attempts: self.setting(keys::BATCH_MAX_ATTEMPTS)?.max(1),
            on_failure: self.setting(keys::BATCH_ON_FAILURE)?.parse().unwrap_or_default(),
            max_queued: self.setting(keys::BATCH_MAX_QUEUED)?,
            on_overload: match self.setting(keys::BATCH_ON_OVERLOAD)?.as_str() {
                "block" => OnOverload::Block,
                _ => OnOverload::Coalesce,
            },
            most: Limit {
                records: self.setting(keys::BATCH_MAX_RECORDS)?,
                bytes: self.setting(keys::BATCH_MAX_BYTES)?.map(|bytes| bytes.0),
            },
            stop_spark_context: self.setting(keys::STOP_SPARK_CONTEXT_BY_DEFAULT)?,
            concurrent_jobs: self.setting(keys::CONCURRENT_JOBS)?,
        })
    }
}

/// Starts all inputs, or none. Receivers come last: they cannot be started twice, and only a system without threads
/// refuses them, so that a start that failed for another input can be tried again.
fn start_inputs(inputs: &[Arc<dyn InputNode>]) -> Result<()> {
    let (receivers, others): (Vec<_>, Vec<_>) = inputs.iter().partition(|i| i.receiver().is_some());
    let mut started: Vec<&Arc<dyn InputNode>> = Vec::new();
    for input in others.into_iter().chain(receivers) {
        if let Err(e) = winterbourne_engine::guard_driver(|| input.start()) {
            started.iter().for_each(|i| i.stop());
            return Err(e.into());
        }
        started.push(input);
    }
    Ok(())
}
