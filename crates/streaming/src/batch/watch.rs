//! [`Watch`]: which stages and partitions the time of a stream goes to. It listens to the engine only while somebody
//! wants to know: otherwise no event is made.
use super::overload::SlowStage;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use winterbourne_engine::{JobId, ListenerId, SparkContext, SparkListenerEvent, StageId, TaskEnd, TaskOutcome};

/// Partitions of a stage that are told apart; those beyond count as one.
const PARTITIONS: usize = 4_096;
/// Stages that are told apart.
const STAGES: usize = 256;

pub(crate) struct Watch {
    sc: SparkContext,
    listener: ListenerId,
    seen: Arc<Mutex<Seen>>,
}

/// Time and records, later batches weighing more.
#[derive(Default)]
struct Seen {
    group: String,
    /// Of the stream's jobs that run.
    jobs: BTreeMap<JobId, Vec<StageId>>,
    names: BTreeMap<StageId, String>,
    stages: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Watch {
    /// None if the context takes no listener any more.
    pub(crate) fn over(sc: &SparkContext, group: &str) -> Option<Self> {
        let seen = Arc::new(Mutex::new(Seen { group: group.to_owned(), ..Seen::default() }));
        let told = seen.clone();
        let listener = sc.add_spark_listener(move |event: &SparkListenerEvent| lock(&told).hear(event)).ok()?;
        Some(Watch { sc: sc.clone(), listener, seen })
    }

    /// The time of all tasks since the last question, in microseconds; and the stage that takes most. Older times count half
    /// from then on.
    pub(crate) fn ask(&self) -> Option<(f64, SlowStage)> {
        lock(&self.seen).ask()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.sc.remove_spark_listener(self.listener);
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn hear(&mut self, event: &SparkListenerEvent) {
        match event {
            SparkListenerEvent::JobStart(start) if start.properties.job_group() == Some(&self.group) => {
                let stages = start.stages.iter().map(|stage| (stage.id, stage.name.clone()));
                self.names.extend(stages);
                self.jobs.insert(start.job, start.stages.iter().map(|stage| stage.id).collect());
            }
            SparkListenerEvent::JobEnd(end) => {
                for stage in self.jobs.remove(&end.job).into_iter().flatten() {
                    self.names.remove(&stage);
                }
            }
            SparkListenerEvent::TaskEnd(end) if end.outcome == TaskOutcome::Succeeded => self.count(end),
            _ => {}
        }
    }

    fn count(&mut self, end: &TaskEnd) {
        let Some(name) = self.names.get(&end.task.stage) else { return };
        if self.stages.len() >= STAGES && !self.stages.contains_key(name) {
            return;
        }
        let parts = self.stages.entry(name.clone()).or_default();
        let partition = end.task.partition.min(PARTITIONS);
        if parts.len() <= partition {
            parts.resize(partition + 1, (0.0, 0.0));
        }
        parts[partition].0 += end.duration_ns as f64 / 1_000.0;
        parts[partition].1 += end.records_read as f64;
    }

    fn ask(&mut self) -> Option<(f64, SlowStage)> {
        let sum = |parts: &[(f64, f64)]| parts.iter().map(|(us, _)| us).sum::<f64>();
        let total: f64 = self.stages.values().map(|parts| sum(parts)).sum();
        let (name, parts) = self.stages.iter().max_by(|a, b| sum(a.1).total_cmp(&sum(b.1)))?;
        let (partition, slowest) = parts.iter().copied().enumerate().max_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
        let others = || parts.iter().enumerate().filter(|(i, _)| *i != partition).map(|(_, part)| *part);
        let times = |of: fn((f64, f64)) -> f64| {
            let mut all: Vec<f64> = others().map(of).collect();
            all.sort_by(f64::total_cmp);
            let median = all.get(all.len() / 2).copied();
            median.map_or(1.0, |median| of(slowest) / median.max(0.001))
        };
        let stage = SlowStage {
            name: name.clone(),
            share: sum(parts) / total.max(f64::MIN_POSITIVE),
            tasks: parts.len(),
            partition,
            times_slower: times(|(us, _)| us),
            times_larger: times(|(_, records)| records),
        };
        for part in self.stages.values_mut().flatten() {
            *part = (part.0 / 2.0, part.1 / 2.0);
        }
        self.stages.retain(|_, parts| sum(parts) > 1.0);
        Some((total, stage))
    }
}
