//! [`StreamTester`]: batches in, operators, batches out. No sleep, no thread of a loop, the same order every time.
use crate::{TestConsole, TestInput, TestOutput};
use std::sync::Arc;
use winterbourne_base::{Duration, ManualClock, SparkConf, Time, time::milliseconds};
use winterbourne_engine::{Data, SparkContext};
use winterbourne_streaming::{DStream, Error, Stepper, StreamingContext};

/// Drives a graph batch by batch on a simulated clock: for operators and for functions that build a part of a graph. For
/// whole programs that end and begin again there is [`ProgramTester`](crate::ProgramTester).
///
/// ```
/// use winterbourne_testkit::StreamTester;
/// use winterbourne_streaming::seconds;
/// let mut tester = StreamTester::new(seconds(1));
/// let (numbers, stream) = tester.input::<u64>();
/// let evens = tester.output(&stream.filter(|x| x % 2 == 0));
/// numbers.push([1, 2, 3]);
/// tester.step()?;
/// numbers.push([4]);
/// tester.step()?;
/// assert_eq!(evens.take(), [vec![2], vec![4]]);
/// # Ok::<(), winterbourne_streaming::Error>(())
/// ```
pub struct StreamTester {
    clock: Arc<ManualClock>,
    ssc: StreamingContext,
    run: Option<Stepper>,
}

/// When a tester's clock starts: 1 January 2000, so that times are easy to tell from durations.
pub const TEST_START: Time = Time::from_millis(946_684_800_000);

impl StreamTester {
    /// A tester with a batch every `interval`, on two threads.
    pub fn new(interval: Duration) -> Self {
        Self::with_conf(SparkConf::empty().set_master("local[2]"), interval)
    }
    /// A tester with a configuration of your own; the application's name is set.
    ///
    /// # Panics
    /// If the configuration or the interval cannot be used: a tester is for tests.
    pub fn with_conf(conf: SparkConf, interval: Duration) -> Self {
        // State lives as long as the tester.
        let conf = conf.set_app_name("stream-tester").set("spark.streaming.state.volatile", "true");
        let sc = SparkContext::new(conf).expect("a configuration for a test");
        let clock = ManualClock::new(TEST_START);
        let ssc = StreamingContext::with_clock(&sc, interval, clock.clone()).expect("an interval for a test");
        StreamTester { clock, ssc, run: None }
    }
    /// The context: hand it to the function that builds your graph.
    pub fn context(&self) -> &StreamingContext {
        &self.ssc
    }
    /// The clock; it moves with [`step`](StreamTester::step), or by hand.
    pub fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }
    /// An input that is fed by hand, and its stream: each batch takes what one `push` gave.
    #[track_caller]
    pub fn input<T: Data>(&self) -> (TestInput<T>, DStream<T>) {
        let input = TestInput::new();
        let stream = input.stream_for(&self.ssc, "test_input", false);
        (input, stream)
    }
    /// Collects every batch of a stream.
    #[track_caller]
    pub fn output<T: Data>(&self, stream: &DStream<T>) -> TestOutput<T> {
        let out = TestOutput::new();
        out.collect(stream);
        out
    }
    /// Collects what a program prints.
    pub fn console(&self) -> TestConsole {
        let console = TestConsole::default();
        self.ssc.set_console(console.clone());
        console
    }
    /// Moves the clock to the next batch time and runs that batch to its end. The first call starts the context.
    ///
    /// # Errors
    /// What `start` or the batch says.
    pub fn step(&mut self) -> Result<Time, Error> {
        let run = match &mut self.run {
            Some(run) => run,
            none => none.insert(self.ssc.start_stepped()?),
        };
        let next = run.next_time();
        self.clock.set(next);
        run.step()
    }
    /// `n` batches in a row.
    ///
    /// # Errors
    /// The first that fails.
    pub fn steps(&mut self, n: usize) -> Result<(), Error> {
        (0..n).try_for_each(|_| self.step().map(drop))
    }
    /// The started graph.
    ///
    /// # Panics
    /// Before the first [`step`](StreamTester::step).
    pub fn run(&mut self) -> &mut Stepper {
        self.run.as_mut().expect("step() was called before")
    }
    /// Milliseconds since the tester's start.
    pub fn elapsed(time: Time) -> Duration {
        milliseconds(time.as_millis() - TEST_START.as_millis())
    }
}
