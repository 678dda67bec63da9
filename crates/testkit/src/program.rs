//! [`ProgramTester`]: a whole program on a simulated clock and a simulated disk, through kills and restarts.
use crate::{TEST_START, disk::Mounted};
use std::sync::Arc;
use winterbourne_base::{
    Clock, Duration, ManualClock, SparkConf, Time,
    storage::{Crash, SimStorage},
};
use winterbourne_engine::SparkContext;
use winterbourne_streaming::{Error, Stepper, StreamingContext};

type Build = Box<dyn FnMut(&StreamingContext)>;

/// Drives a whole program batch by batch, and lets it end and begin again: orderly, killed, or in a power cut. Its
/// checkpoint directory is a disk in memory that outlives it, with the very bytes that a real one would have; inputs
/// ([`TestInput`](crate::TestInput)) and outputs ([`TestOutput`](crate::TestOutput)) are outside of the program, and outlive
/// it too. The function that builds the graph runs at each start, as it does in a program of yours.
///
/// Everything is reproducible: batches run on the calling thread, time is moved by [`step`](ProgramTester::step), and
/// checkpoints that are begun are written before `step` returns.
///
/// ```
/// use winterbourne_streaming::seconds;
/// use winterbourne_testkit::{ProgramTester, TestInput, TestOutput};
/// let (words, counts) = (TestInput::<String>::new(), TestOutput::new());
/// let (feed, out) = (words.clone(), counts.clone());
/// let mut tester = ProgramTester::new(seconds(1), move |ssc| {
///     let pairs = feed.stream(ssc, "words").map(|word| (word, 1u64));
///     out.collect(&pairs.update_state_by_key(|new, old: Option<u64>| {
///         Some(old.unwrap_or(0) + new.iter().sum::<u64>())
///     }));
/// });
/// words.push(["a".into()]);
/// words.push(["a".into(), "b".into()]);
/// tester.step()?;
/// tester.stop();
/// let second = tester.step()?; // builds the graph again, recovers, goes on
/// assert_eq!(counts.take_by_time()[&second], [("a".into(), 2), ("b".into(), 1)]);
/// # Ok::<(), winterbourne_streaming::Error>(())
/// ```
pub struct ProgramTester {
    interval: Duration,
    conf: SparkConf,
    clock: Arc<ManualClock>,
    disk: SimStorage,
    build: Build,
    life: Option<Life>,
    lives: usize,
}
/// What there is while the program runs.
struct Life {
    // Ends before its disk is unmounted.
    run: Stepper,
    ssc: StreamingContext,
    disk: Mounted,
}

impl ProgramTester {
    /// A program with a batch every `interval`, on two threads. Nothing is built before the first
    /// [`step`](ProgramTester::step).
    pub fn new(interval: Duration, build: impl FnMut(&StreamingContext) + 'static) -> Self {
        ProgramTester {
            interval,
            conf: SparkConf::empty().set_master("local[2]"),
            clock: ManualClock::new(TEST_START),
            disk: SimStorage::new(0),
            build: Box::new(build),
            life: None,
            lives: 0,
        }
    }
    /// The configuration, from the next start on; the application's name is set.
    pub fn set_conf(&mut self, conf: SparkConf) {
        self.conf = conf;
    }
    /// Another program on the same disk, from the next start on: a new build of it.
    pub fn set_program(&mut self, build: impl FnMut(&StreamingContext) + 'static) {
        self.build = Box::new(build);
    }
    /// The disk with the checkpoint directory: let it fail, cut its power, look at its files.
    #[must_use]
    pub fn disk(&self) -> &SimStorage {
        &self.disk
    }
    /// The clock; [`step`](ProgramTester::step) moves it.
    #[must_use]
    pub fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }
    /// The running program's context; none before the first step, and after an end.
    #[must_use]
    pub fn context(&self) -> Option<&StreamingContext> {
        self.life.as_ref().map(|life| &life.ssc)
    }
    /// The running program's graph.
    ///
    /// # Panics
    /// If it does not run: before the first step, and after an end.
    pub fn run(&mut self) -> &mut Stepper {
        &mut self.life.as_mut().expect("step() or start() was called before").run
    }
    /// How often the program was started.
    #[must_use]
    pub fn lives(&self) -> usize {
        self.lives
    }
    /// Starts the program, unless it runs: builds the graph, recovers.
    ///
    /// # Errors
    /// What the configuration or `start` says.
    pub fn start(&mut self) -> Result<&mut Stepper, Error> {
        if self.life.is_none() {
            let (disk, clock) = (Mounted::new(self.disk.clone()), self.clock.clone());
            let conf = self.conf.clone().set_app_name("program-tester");
            let (build, interval) = (&mut self.build, self.interval);
            let ssc = StreamingContext::get_or_create_on(disk.clone(), || {
                let ssc = StreamingContext::with_clock(&SparkContext::new(conf)?, interval, clock)?;
                build(&ssc);
                Ok(ssc)
            })?;
            let run = ssc.start_stepped()?;
            self.lives += 1;
            self.life = Some(Life { run, ssc, disk });
        }
        Ok(self.run())
    }
    /// Moves the clock to the next batch time, and runs that batch to its end; its time. Starts the program if it does not
    /// run. A batch that was left unfinished by an earlier end comes first, then those that were missed.
    ///
    /// # Errors
    /// What `start` or the batch says. A batch that failed is the next one again.
    pub fn step(&mut self) -> Result<Time, Error> {
        let clock = self.clock.clone();
        let run = self.start()?;
        let next = run.next_time();
        clock.set(next.max(clock.now()));
        let done = run.step();
        run.await_checkpoint();
        done
    }
    /// `n` batches in a row.
    ///
    /// # Errors
    /// The first that fails.
    pub fn steps(&mut self, n: usize) -> Result<(), Error> {
        (0..n).try_for_each(|_| self.step().map(drop))
    }
    /// Lets time pass: after the next start, batches are due that were missed.
    pub fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
    }
    /// Ends the program in order: a last checkpoint is written.
    pub fn stop(&mut self) {
        self.life = None;
    }
    /// Ends the program as `kill -9` does: what it had written is there, nothing more is written. The completion of a batch
    /// is written with the plan of the next one, so the last batch runs again, unless a checkpoint followed it.
    pub fn kill(&mut self) {
        if let Some(life) = &self.life {
            life.disk.leave();
        }
        self.life = None;
    }
    /// Ends the program as a power cut does: what it had written and not synced is lost, wholly or in part, as the disk's
    /// seed decides. A program whose first batch was not durable yet begins anew.
    pub fn cut_power(&mut self) -> Crash {
        self.kill();
        self.disk.crash()
    }
}
