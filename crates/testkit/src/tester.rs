//! [`StreamTester`]: batches in, operators, batches out. No sleep, no thread of a loop, the same order every time.
use std::sync::{Arc, Mutex, PoisonError};
use winterbourne_base::{Duration, ManualClock, SparkConf, Time, time::milliseconds};
use winterbourne_engine::{Data, SparkContext};
use winterbourne_streaming::{DStream, Error, RddQueue, Stepper, StreamingContext};

/// Drives a stream program batch by batch on a simulated clock.
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
        let queue = RddQueue::new();
        let stream = self.ssc.queue_stream(&queue);
        (TestInput { queue, sc: self.ssc.spark_context().clone(), partitions: 2 }, stream)
    }
    /// Collects every batch of a stream.
    #[track_caller]
    pub fn output<T: Data>(&self, stream: &DStream<T>) -> TestOutput<T> {
        let out = TestOutput { batches: Arc::default() };
        let batches = out.batches.clone();
        stream.foreach_rdd(move |rdd, time| {
            let records = rdd.collect()?;
            batches.lock().unwrap_or_else(PoisonError::into_inner).push((time, records));
            Ok(())
        });
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

/// Feeds a stream of a [`StreamTester`]: one push, one batch.
pub struct TestInput<T: Data> {
    queue: RddQueue<T>,
    sc: SparkContext,
    partitions: usize,
}
impl<T: Data> TestInput<T> {
    /// Spreads batches over this many partitions; two unless told otherwise.
    #[must_use]
    pub fn partitions(mut self, n: usize) -> Self {
        self.partitions = n;
        self
    }
    /// The records of one more batch. Batches are taken one per step, in order; a step without one gets no record.
    pub fn push(&self, records: impl IntoIterator<Item = T>) {
        self.queue.push(self.sc.parallelize(records, self.partitions));
    }
    /// Nothing more will come.
    pub fn close(&self) {
        self.queue.close();
    }
}

/// Times and records.
pub type Batches<T> = Vec<(Time, Vec<T>)>;

/// The batches of a stream, as they come.
pub struct TestOutput<T> {
    batches: Arc<Mutex<Batches<T>>>,
}
impl<T> TestOutput<T> {
    /// The batches since the last call: their records, in partition order.
    pub fn take(&self) -> Vec<Vec<T>> {
        self.take_timed().into_iter().map(|(_, records)| records).collect()
    }
    /// The batches since the last call, with their times.
    pub fn take_timed(&self) -> Batches<T> {
        std::mem::take(&mut self.batches.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// The batches since the last call, each sorted: for operators behind a shuffle.
    pub fn take_sorted(&self) -> Vec<Vec<T>>
    where
        T: Ord,
    {
        let mut all = self.take();
        all.iter_mut().for_each(|b| b.sort());
        all
    }
}

/// What `print` printed; made by [`StreamTester::console`].
#[derive(Clone, Default)]
pub struct TestConsole(Arc<Mutex<Vec<u8>>>);
impl TestConsole {
    /// The text since the last call.
    pub fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
impl std::io::Write for TestConsole {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
