//! The program that W4 and W8 run: state of many keys in a graph, a source that gives the same records again after a
//! restart, and the run of it that knows which batches took a checkpoint.
use crate::{Result, words::context};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use winterbourne::{
    BoxError, DStream, Rdd, SparkContext, State, StateSpec, StreamingContext, seconds,
    streaming::{DurableStatus, Input, Planned, Stepper, Tick},
};

const MULTIPLIER: u64 = 2_654_435_761;
/// A checkpoint that is not written after so long will not be.
const PATIENCE: Duration = Duration::from_secs(300);

/// First all keys with the value 0, then records of value 1, so many a batch.
struct Keys {
    keys: u64,
    updates: u64,
    parts: usize,
    next: u64,
}
impl Input<(u64, u64)> for Keys {
    type Plan = u64;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        let plan = self.next;
        self.next += 1;
        let records = if plan == 0 { self.keys } else { self.updates };
        Ok(Some(Planned { plan, records: Some(records), description: format!("batch {plan}") }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &u64) -> Result<Rdd<(u64, u64)>, BoxError> {
        let (keys, n) = (self.keys, self.updates);
        Ok(match plan.checked_sub(1) {
            None => sc.range(0..keys, self.parts).map(|key| (key, 0)),
            Some(b) => sc.range(b * n..(b + 1) * n, self.parts).map(move |i| (i.wrapping_mul(MULTIPLIER) % keys, 1)),
        })
    }
    fn restore(&mut self, plan: &u64) -> Result<(), BoxError> {
        self.next = plan + 1;
        Ok(())
    }
}

/// What is asked of a batch beside its updates: the sum of all states.
#[derive(Default)]
pub(crate) struct Asked {
    now: AtomicBool,
    sum: AtomicU64,
    counted: AtomicU64,
}
impl Asked {
    fn answer(&self, states: &Rdd<(u64, u64)>) -> Result<(), BoxError> {
        if self.now.load(Relaxed) {
            self.sum.store(states.aggregate(0, |sum, (_, n)| sum + n, |a, b| a + b)?, Relaxed);
        }
        Ok(())
    }
}

/// Which operator keeps the state.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    MapWithState,
    UpdateStateByKey,
}
impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::MapWithState, Kind::UpdateStateByKey];
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::MapWithState => "map_with_state",
            Kind::UpdateStateByKey => "update_state_by_key",
        }
    }
    /// The operator and an output in each batch. Without a number of batches between checkpoints nothing is kept.
    fn build(self, records: &DStream<(u64, u64)>, every: Option<u64>, asked: &Arc<Asked>) {
        let (counting, asking) = (asked.clone(), asked.clone());
        match self {
            Kind::MapWithState => {
                let add = |_: &u64, n: Option<u64>, sum: &mut State<'_, u64>| {
                    let new = sum.get().copied().unwrap_or(0) + n.unwrap_or(0);
                    sum.update(new);
                    new
                };
                let sums = records.map_with_state(StateSpec::function(add));
                let sums = match every {
                    None => sums.volatile(),
                    Some(n) => sums.checkpoint(seconds(n)),
                };
                sums.foreach_rdd(move |rdd, _| {
                    counting.counted.fetch_add(rdd.count()?, Relaxed);
                    Ok(())
                });
                sums.state_snapshots().foreach_rdd(move |states, _| asking.answer(states));
            }
            Kind::UpdateStateByKey => {
                let add = |values: Vec<u64>, sum: Option<u64>| Some(sum.unwrap_or(0) + values.iter().sum::<u64>());
                let sums = records.update_state_by_key(add);
                let sums = match every {
                    None => sums.volatile(),
                    Some(n) => sums.checkpoint(seconds(n)),
                };
                sums.foreach_rdd(move |states, _| {
                    counting.counted.fetch_add(states.count()?, Relaxed);
                    asking.answer(states)
                });
            }
        }
    }
}

/// What to run, and where it is kept.
pub(crate) struct Program<'a> {
    pub(crate) kind: Kind,
    pub(crate) keys: u64,
    pub(crate) updates: u64,
    pub(crate) threads: usize,
    /// The directory, and how many batches there are from one checkpoint to the next.
    pub(crate) kept: Option<(&'a Path, u64)>,
}
impl Program<'_> {
    /// Starts it, or goes on with what is in the directory.
    pub(crate) fn start(&self) -> Result<Run> {
        let asked = Arc::<Asked>::default();
        let build = || {
            let ssc = StreamingContext::new(&context(self.threads)?, seconds(1))?;
            let keys = Keys { keys: self.keys, updates: self.updates, parts: self.threads, next: 0 };
            self.kind.build(&ssc.input_stream("keys", keys), self.kept.map(|k| k.1), &asked);
            Ok(ssc)
        };
        let (ssc, directory) = match self.kept {
            None => (build()?, None),
            Some((at, _)) => {
                let text = at.to_str().ok_or("the name of the directory is no UTF-8")?;
                (StreamingContext::get_or_create(text, build)?, Some(at.to_owned()))
            }
        };
        let steps = ssc.start_stepped()?;
        Ok(Run { steps, ssc, asked, directory })
    }
}

/// A batch that was run.
pub(crate) struct Lap {
    pub(crate) ms: f64,
    /// It took a checkpoint, and the next one began when that was written.
    pub(crate) is_checkpoint: bool,
    /// From the end of the batch until its checkpoint was written.
    pub(crate) written_ms: f64,
    /// It began while a checkpoint was being written, or files were merged.
    pub(crate) is_beside: bool,
}

/// The program as it runs.
pub(crate) struct Run {
    steps: Stepper,
    ssc: StreamingContext,
    asked: Arc<Asked>,
    directory: Option<PathBuf>,
}
impl Run {
    /// One batch; then, if a checkpoint was taken, the wait until it is written, which belongs to no batch.
    pub(crate) fn step(&mut self) -> Result<Lap> {
        self.step_on(true)
    }
    /// As [`step`](Self::step), waiting or not.
    pub(crate) fn step_on(&mut self, waits: bool) -> Result<Lap> {
        let is_beside = self.durable().is_some_and(|d| d.checkpoint_begun > d.last_checkpoint);
        let begun = Instant::now();
        let time = self.steps.step()?;
        let ended = Instant::now();
        let ms = (ended - begun).as_secs_f64() * 1e3;
        let is_checkpoint = self.durable().is_some_and(|d| d.checkpoint_begun == Some(time));
        if is_checkpoint && waits {
            self.await_written()?;
        }
        Ok(Lap { ms, is_checkpoint, written_ms: ended.elapsed().as_secs_f64() * 1e3, is_beside })
    }
    fn await_written(&self) -> Result {
        let (Some(directory), Some(durable)) = (&self.directory, self.durable()) else { return Ok(()) };
        let manifest = directory.join(format!("checkpoints/{:020}.manifest", durable.sequence));
        let begun = Instant::now();
        while !manifest.exists() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} does not come", manifest.display()).into());
            }
            // Another process writes it, and nobody tells when it is there.
            thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }
    pub(crate) fn durable(&self) -> Option<DurableStatus> {
        self.ssc.status().durable
    }
    /// Records counted by the output since the last call.
    pub(crate) fn counted(&self) -> u64 {
        self.asked.counted.swap(0, Relaxed)
    }
    /// The sum of all states after one more batch.
    pub(crate) fn sum(&mut self) -> Result<u64> {
        self.asked.now.store(true, Relaxed);
        self.step()?;
        self.asked.now.store(false, Relaxed);
        Ok(self.asked.sum.load(Relaxed))
    }
}
