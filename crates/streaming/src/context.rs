//! [`StreamingContext`]: the handle a program builds its graph with, starts and stops. `launch` is what happens between
//! `start` and the first batch, `continued` how a program comes by a context that may have a past,
//! `sources` where records come from.
mod continued;
mod launch;
mod sources;

use crate::{
    BoxError, Error, GraphError, Health, ListenerId, Result, StreamingListener, StreamingState, StreamingStatus,
    batch::{self, BatchLog, Command, Control, Stepper, Stop},
    durable::{Expect, Place},
    graph::Graph,
};
use std::{
    io,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread::JoinHandle,
};
use winterbourne_base::{Clock, Duration, IntoDuration, SparkConf, SystemClock, Time, conf::keys, signal, thread};
use winterbourne_engine::{Canceller, Site, SparkContext};

type Console = Arc<Mutex<dyn io::Write + Send>>;

struct Inner {
    batch: Duration,
    graph: Graph,
    control: Arc<Control>,
    console: Mutex<Console>,
    log: Mutex<Option<Box<dyn BatchLog>>>,
    /// The checkpoint directory, and what may be in it.
    durable: Mutex<(Option<Place>, Expect)>,
    receivers: AtomicUsize,
    /// Names the jobs of this context among those of its SparkContext.
    job_group: String,
    threads: Mutex<Threads>,
}
#[derive(Default)]
struct Threads {
    joins: Vec<JoinHandle<()>>,
    /// There is a batch loop that will say STOPPED.
    looping: bool,
}

/// The context started last, for [`StreamingContext::active`]; it is not kept alive by this.
static ACTIVE: Mutex<Option<(Weak<Inner>, SparkContext)>> = Mutex::new(None);

/// The entry point of a streaming program.
///
/// Build the graph from inputs, start it, wait. A handle, cheap to clone and to send to another thread (to stop the
/// stream from there); several contexts may run in one process, also on one SparkContext.
///
/// ```no_run
/// use winterbourne_streaming::{StreamingContext, seconds};
/// use winterbourne_engine::{SparkConf, Text};
/// let ssc = StreamingContext::from_conf(SparkConf::new().set_app_name("words"), seconds(1))?;
/// ssc.socket_text_stream("localhost", 9999)
///     .flat_map(Text::words)
///     .map(|word| (word, 1u64))
///     .reduce_by_key(|a, b| a + b)
///     .print();
/// ssc.start()?;
/// ssc.await_termination()?;
/// # Ok::<(), winterbourne_streaming::Error>(())
/// ```
#[derive(Clone)]
pub struct StreamingContext {
    inner: Arc<Inner>,
    sc: SparkContext,
}

/// Tells whose a stream is, and keeps nothing alive.
#[derive(Clone)]
pub(crate) struct ContextRef(Weak<Inner>);
impl ContextRef {
    pub(crate) fn is(&self, ssc: &StreamingContext) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&ssc.inner))
    }
}

impl StreamingContext {
    /// A context on an existing SparkContext, with a batch every `interval`.
    ///
    /// # Errors
    /// [`Error::BatchInterval`] if the interval is zero or not whole milliseconds.
    pub fn new(sc: &SparkContext, interval: impl IntoDuration) -> Result<Self> {
        Self::with_clock(sc, interval, Arc::new(SystemClock))
    }
    /// A context on a SparkContext of its own.
    ///
    /// # Errors
    /// [`Error::BatchInterval`], and what [`SparkContext::new`] says of the configuration.
    pub fn from_conf(conf: impl Into<SparkConf>, interval: impl IntoDuration) -> Result<Self> {
        // The interval first: a context with threads should not be made for nothing.
        let interval = checked(interval)?;
        Self::new(&SparkContext::new(conf)?, interval)
    }
    /// A context whose every timer runs on `clock`: with a [`ManualClock`](winterbourne_base::ManualClock), time passes
    /// when the program says so.
    ///
    /// # Errors
    /// [`Error::BatchInterval`].
    pub fn with_clock(sc: &SparkContext, interval: impl IntoDuration, clock: Arc<dyn Clock>) -> Result<Self> {
        static CONTEXTS: AtomicU64 = AtomicU64::new(0);
        let directory = sc.conf().value(keys::CHECKPOINT_DIRECTORY)?;
        let inner = Inner {
            batch: checked(interval)?,
            durable: Mutex::new((directory.map(Place::Directory), Expect::Nothing)),
            graph: Graph::default(),
            control: Control::new(clock),
            console: Mutex::new(Arc::new(Mutex::new(io::stdout()))),
            log: Mutex::default(),
            receivers: AtomicUsize::new(0),
            job_group: format!("streaming-{}", CONTEXTS.fetch_add(1, Relaxed)),
            threads: Mutex::default(),
        };
        Ok(StreamingContext { inner: Arc::new(inner), sc: sc.clone() })
    }
    /// The SparkContext underneath.
    pub fn spark_context(&self) -> &SparkContext {
        &self.sc
    }
    /// The batch interval.
    pub fn batch_duration(&self) -> Duration {
        self.inner.batch
    }
    /// The clock of every timer of this context.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.control.clock
    }
    pub(crate) fn graph(&self) -> &Graph {
        &self.inner.graph
    }
    /// Whether something may be added; if not, whoever awaits termination is told.
    pub(crate) fn may_add(&self, operator: &'static str, site: Site) -> bool {
        let may = self.graph().may_add(operator, site);
        if !may {
            self.inner.control.bell.ring();
        }
        may
    }
    pub(crate) fn reference(&self) -> ContextRef {
        ContextRef(Arc::downgrade(&self.inner))
    }
    pub(crate) fn console(&self) -> Console {
        self.inner.console.lock().expect("plain handle").clone()
    }
    /// Where `print` prints from now on, for output operations defined after this call; standard output otherwise.
    pub fn set_console(&self, console: impl io::Write + Send + 'static) {
        *self.inner.console.lock().expect("plain handle") = Arc::new(Mutex::new(console));
    }
    /// Every stream keeps its RDDs at least this long, for [`transform`](crate::DStream::transform) bodies and other threads
    /// that look back.
    pub fn remember(&self, duration: Duration) {
        let mut parts = self.graph().parts();
        parts.remember = parts.remember.max(duration);
    }
    /// Records every batch in `log` from `start` on. The default keeps nothing.
    pub fn set_batch_log(&self, log: impl BatchLog) {
        *self.inner.log.lock().expect("plain handle") = Some(Box::new(log));
    }
    /// Keeps the batch log, state and checkpoints of this stream in `directory`, which is made if need be and must not
    /// hold the log of another one: to go on with what is there, use
    /// [`get_or_create`](StreamingContext::get_or_create). The configuration key is
    /// `spark.streaming.checkpoint.directory`.
    #[doc(alias = "setCheckpointDir")]
    pub fn checkpoint(&self, directory: impl Into<String>) {
        self.inner.durable.lock().expect("plain values").0 = Some(Place::Directory(directory.into()));
    }
    /// Tells `listener` of every event from now on; allowed at any time.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, StreamingEvent, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 2)].into_iter().collect();
    /// # ssc.queue_stream(&batches).print();
    /// let (seen, done) = std::sync::mpsc::channel();
    /// ssc.add_streaming_listener(move |event: &StreamingEvent| {
    ///     if let StreamingEvent::BatchCompleted(info) = event {
    ///         let _ = seen.send(info.time);
    ///     }
    /// });
    /// let time = ssc.start_stepped()?.step()?;
    /// assert_eq!(done.try_recv(), Ok(time));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "addStreamingListener")]
    pub fn add_streaming_listener(&self, listener: impl StreamingListener) -> ListenerId {
        self.inner.control.bus.add(Box::new(listener))
    }
    /// Tells a listener nothing more; allowed at any time, also from within a listener. An event that is on its way may
    /// still reach it. Whether it was there.
    ///
    /// ```
    /// # use winterbourne_streaming::{StreamingContext, StreamingEvent, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let listener = ssc.add_streaming_listener(|event: &StreamingEvent| println!("{event:?}"));
    /// assert!(ssc.remove_streaming_listener(listener));
    /// assert!(!ssc.remove_streaming_listener(listener));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "removeStreamingListener")]
    pub fn remove_streaming_listener(&self, listener: ListenerId) -> bool {
        self.inner.control.bus.remove(listener)
    }

    /// Checks and freezes the graph, starts the inputs and the batch loop, and returns. The first batch is the next
    /// multiple of the interval after now. Starting twice does nothing but warn.
    ///
    /// # Errors
    /// [`Error::Graph`] with everything wrong with the graph: nothing was started, and what is missing can still be added;
    /// [`Error::AlreadyStopped`]; [`Error::System`] if no thread can be had.
    #[track_caller]
    pub fn start(&self) -> Result<()> {
        let control = &self.inner.control;
        if control.state() == StreamingState::Active {
            tracing::warn!("StreamingContext has already been started");
            return Ok(());
        }
        // 1 what the system may refuse · 2 the graph and its inputs · 3 go. Until 3 a failure leaves nothing behind: the
        // thread ends when nobody hands it the work.
        let (hand, work) = mpsc::channel();
        let looping = thread::spawn_with_stack("streaming-batches", 16 << 20, move || {
            if let Ok(((runner, ticker), signals)) = work.recv() {
                batch::run(runner, ticker);
                // Whatever comes next in the program, an interrupt ends it as if there had been no stream.
                drop::<Option<signal::SignalGuard>>(signals);
            }
        });
        let looping = looping.map_err(|e| system("the batch thread", e))?;
        let signals = if self.setting(keys::STOP_GRACEFULLY_ON_SHUTDOWN)? { Some(self.on_signal()?) } else { None };
        let Some(frozen) = self.freeze(control.clock.now())? else { return Ok(()) };
        let mut threads = self.inner.threads.lock().expect("plain list");
        match control.bus.start(control.clock.clone()) {
            Ok(listening) => threads.joins.push(listening),
            Err(e) => tracing::warn!("no thread for listeners ({e}): they are told on the threads that have news"),
        }
        threads.joins.push(looping);
        threads.looping = true;
        // The thread waits for nothing else.
        let _ = hand.send((frozen, signals));
        Ok(())
    }
    /// The first interrupt stops gracefully, the second one ends the process.
    fn on_signal(&self) -> Result<signal::SignalGuard> {
        let stopper = self.stopper();
        let on_signal = move |count| match count {
            1 => stopper.ask(Stop::gracefully()),
            _ => std::process::exit(130),
        };
        signal::on_interrupt(on_signal).map_err(|e| system("the signal handler", e))
    }
    /// As [`start`](StreamingContext::start), without a loop: the caller runs batch after batch with
    /// [`Stepper::step`]. Receivers run on their threads all the same.
    ///
    /// # Errors
    /// As `start`; [`Error::Graph`] also if the context was started already.
    #[track_caller]
    pub fn start_stepped(&self) -> Result<Stepper> {
        let (site, frozen) = (Site::caller(), self.freeze(self.inner.control.clock.now())?);
        let (runner, ticker) = frozen.ok_or_else(|| {
            let what = "start_stepped after start; a context runs in one way only".into();
            Error::Graph(vec![GraphError { site, what }])
        })?;
        Ok(Stepper { runner, ticker, failed: None })
    }

    fn setting<T: winterbourne_base::conf::Value>(&self, key: winterbourne_base::conf::Key<T>) -> Result<T> {
        Ok(self.sc.conf().value(key)?)
    }
    /// Where the context is in its life.
    #[doc(alias = "getState")]
    pub fn state(&self) -> StreamingState {
        self.inner.control.state()
    }
    /// What was done so far, how the stream is doing and why, and the state of every receiver.
    pub fn status(&self) -> StreamingStatus {
        self.inner.control.status()
    }
    /// Waits until the stream has ended: all its sources have, or somebody stopped it.
    ///
    /// # Errors
    /// [`Error::Batch`] when a batch failed on every attempt and holds or ended the stream (after
    /// [`retry_held_batch`](StreamingContext::retry_held_batch) or
    /// [`skip_held_batch`](StreamingContext::skip_held_batch), wait again); [`Error::Frozen`] when the graph was touched
    /// after the start.
    pub fn await_termination(&self) -> Result<()> {
        self.await_end(None).map(drop)
    }
    /// As [`await_termination`](StreamingContext::await_termination), for at most `timeout`; whether the stream has
    /// ended.
    ///
    /// # Errors
    /// As `await_termination`, the same error each time.
    pub fn await_termination_or_timeout(&self, timeout: impl Into<std::time::Duration>) -> Result<bool> {
        let ms = u64::try_from(timeout.into().as_millis()).unwrap_or(u64::MAX);
        self.await_end(Some(self.inner.control.clock.now() + Duration::from_millis(ms)))
    }
    fn await_end(&self, deadline: Option<Time>) -> Result<bool> {
        let stopper = self.stopper();
        self.inner.control.await_end(deadline, || self.graph().parts().late.clone(), || stopper.hurry())
    }
    /// Stops the stream and waits until it has stopped. [`Stop::gracefully`] finishes what was received first, within
    /// `spark.streaming.gracefulStopTimeout`, and then becomes [`Stop::now`], which cancels the running batch and undoes
    /// it. The SparkContext is stopped too, unless told otherwise.
    ///
    /// From a thread that the stream itself waits for, the stop is only asked for: within a batch (a `foreach_rdd` body,
    /// say, or the closure of a record) it happens when the batch is done; within a listener, a receiver or the callback
    /// of an asynchronous action, when those have returned. Before `start`, or during it, the context is merely marked,
    /// and does not start; a second call waits for the first, and may turn a graceful stop into one at once.
    pub fn stop(&self, how: Stop) {
        let control = &self.inner.control;
        self.graph().parts().frozen = Some("stopping");
        control.change(|s| {
            if s.state == StreamingState::Initialized {
                tracing::warn!("StreamingContext has not been started yet");
                s.state = StreamingState::Stopped;
            }
        });
        let over = control.state() == StreamingState::Stopped;
        if over {
            if how.spark_context.unwrap_or_else(|| self.setting(keys::STOP_SPARK_CONTEXT_BY_DEFAULT).unwrap_or(true)) {
                self.sc.stop();
            }
        } else {
            self.stopper().ask(how);
        }
        if !control.is_worker() && !thread::serves() {
            self.join();
        }
    }
    /// Waits until the threads are done.
    fn join(&self) {
        let (joins, looping) = {
            let mut threads = self.inner.threads.lock().expect("plain list");
            (std::mem::take(&mut threads.joins), threads.looping)
        };
        if looping {
            let stopper = self.stopper();
            self.inner.control.await_stopped(|| stopper.hurry());
        }
        for j in joins {
            // The threads' loops do not unwind, and say STOPPED if they do.
            let _ = j.join();
        }
    }
    fn stopper(&self) -> Stopper {
        // It was looked at when the stream was started.
        let timeout = self.setting(keys::GRACEFUL_STOP_TIMEOUT).ok().flatten();
        Stopper {
            control: self.inner.control.clone(),
            canceller: self.sc.canceller(),
            group: self.inner.job_group.clone(),
            timeout: timeout.unwrap_or((self.inner.batch * 10).max(LEAST_TIMEOUT)),
        }
    }
    /// Runs the batch that holds the stream again. Does nothing if none does.
    pub fn retry_held_batch(&self) {
        self.command(Command::RetryHeld);
    }
    /// Sets the batch that holds the stream aside and goes on. Does nothing if none does.
    pub fn skip_held_batch(&self) {
        self.command(Command::SkipHeld);
    }
    /// Runs a batch that was set aside once more, between two others; see
    /// [`StreamingStatus::set_aside`](crate::StreamingStatus). Its records are the ones it had; windows see what is still
    /// remembered.
    pub fn rerun_batch(&self, time: Time) {
        self.command(Command::Rerun(time));
    }
    fn command(&self, c: Command) {
        self.inner.control.change(|s| {
            // Whoever waits from now on waits for what comes of it.
            let held = matches!(s.status.health, Health::Held(_));
            if held && matches!(c, Command::RetryHeld | Command::SkipHeld) {
                s.error = None;
            }
            s.commands.push_back(c);
        });
    }
}

/// What a graceful stop may take if nothing is said, however short the interval: what takes longer is undone.
const LEAST_TIMEOUT: Duration = Duration::from_millis(10_000);

/// What it takes to end a stream, from whatever thread.
struct Stopper {
    control: Arc<Control>,
    canceller: Canceller,
    group: String,
    /// What a graceful stop may take.
    timeout: Duration,
}
impl Stopper {
    fn ask(&self, how: Stop) {
        let until = self.control.clock.now() + self.timeout;
        self.control.change(|s| {
            // A stop at once overrules a graceful one, not the other way round.
            if s.stop.is_none_or(|before| before.graceful) {
                s.stop = Some(how);
                s.stop_by = how.graceful.then(|| s.stop_by.unwrap_or(until));
            }
        });
        // SUBTLE: a job may begin between two looks of the loop, so the group is closed, not only cancelled. Asked for from
        // within a batch, a stop at once lets that batch finish.
        if !how.graceful && !self.control.is_worker() {
            self.canceller.close_job_group(&self.group);
        }
    }
    /// The time of a graceful stop is over. The loop sees that between two batches; those who wait for it end what runs.
    fn hurry(&self) {
        tracing::warn!("spark.streaming.gracefulStopTimeout is over: a batch that runs is cancelled");
        self.canceller.close_job_group(&self.group);
    }
}

fn checked(interval: impl IntoDuration) -> Result<Duration> {
    let d = interval.into_duration().map_err(|e| Error::interval(&e))?;
    if d.is_zero() { Err(Error::zero_interval(d)) } else { Ok(d) }
}

fn system(what: &str, e: io::Error) -> Error {
    Error::System { what: what.into(), source: Arc::new(e) }
}

impl From<BoxError> for Error {
    fn from(e: BoxError) -> Self {
        Error::Engine(Arc::new(winterbourne_engine::Error::from(e)))
    }
}
