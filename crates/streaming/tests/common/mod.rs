//! What the tests of streams share: contexts, an input that records what is asked of it, a batch log that records what
//! it is given, and ears for events. No test sleeps; the long patience only turns a test that would hang into one that
//! fails.
#![allow(dead_code, reason = "each test binary uses its part")]
pub(crate) mod files;

use std::{
    collections::VecDeque,
    fmt::Debug,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
};
use winterbourne_base::{ManualClock, SparkConf, Time};
use winterbourne_engine::{BoxError, Data, Rdd, SparkContext};
use winterbourne_streaming::{
    BatchEntry, BatchInfo, BatchLog, DStream, Duration, Error, Input, Intake, Planned, RddQueue, Receiver,
    ReceiverInfo, StreamingContext, StreamingEvent, StreamingState, Supply, Tick, seconds,
};
use winterbourne_testkit::{StreamTester, TEST_START};

pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

/// Two threads and these settings.
pub(crate) fn conf(settings: Settings<'_>) -> SparkConf {
    SparkConf::empty().set_app_name("test").set_master("local[2]").set_all(settings.iter().copied())
}
pub(crate) fn spark(settings: Settings<'_>) -> SparkContext {
    SparkContext::new(conf(settings)).expect("a good configuration")
}
/// A tester with a batch every second.
pub(crate) fn tester(settings: Settings<'_>) -> StreamTester {
    StreamTester::with_conf(conf(settings), seconds(1))
}
/// A context with a batch every second on a clock that shows [`TEST_START`].
pub(crate) fn manual(settings: Settings<'_>) -> (Arc<ManualClock>, StreamingContext) {
    let clock = ManualClock::new(TEST_START);
    let ssc = StreamingContext::with_clock(&spark(settings), seconds(1), clock.clone()).expect("a good interval");
    (clock, ssc)
}
/// So many seconds after the test's start.
pub(crate) fn at(s: u64) -> Time {
    TEST_START + seconds(s)
}
/// Seconds since the test's start.
pub(crate) fn second(t: Time) -> u64 {
    (t - TEST_START).as_millis() / 1000
}

/// What happened, in order, as words.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);
impl Diary {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.lines().push(line.into());
    }
    /// What was written since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines())
    }
    /// A batch log that writes here.
    pub(crate) fn log(&self) -> LogTo {
        LogTo(self.clone(), Faults::default())
    }
}

/// Failures to come: each is used once.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<VecDeque<String>>>);
impl Faults {
    /// The next time somebody does this, it fails; `panic in …` panics.
    pub(crate) fn add(&self, what: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(what.to_owned());
    }
    pub(crate) fn meet(&self, what: &str) -> Result<(), BoxError> {
        let panics = format!("panic in {what}");
        let found = {
            let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let found = faults.iter().position(|f| f == what || *f == panics);
            found.and_then(|i| faults.remove(i))
        };
        match found {
            None => Ok(()),
            Some(f) if f == panics => panic!("{what} panics"),
            Some(_) => Err(format!("{what} fails").into()),
        }
    }
}

/// A batch log that writes into a diary.
pub(crate) struct LogTo(Diary, pub(crate) Faults);
impl LogTo {
    pub(crate) fn failing(mut self, faults: &Faults) -> Self {
        self.1 = faults.clone();
        self
    }
}
impl BatchLog for LogTo {
    fn append(&mut self, entry: BatchEntry) -> Result<(), BoxError> {
        let (what, line) = match entry {
            BatchEntry::Planned(p) => {
                let inputs: Vec<_> = p.inputs.iter().map(|i| format!("{} {:?}", i.description, i.records)).collect();
                ("log planned", format!("log planned {} [{}]", second(p.time), inputs.join(", ")))
            }
            BatchEntry::Completed(d) => match &d.set_aside {
                None => ("log completed", format!("log completed {} ({} outputs)", second(d.time), d.outputs.len())),
                Some(_) => ("log set aside", format!("log set aside {}", second(d.time))),
            },
            other => panic!("what is {other:?}"),
        };
        self.1.meet(what)?;
        self.0.write(line);
        Ok(())
    }
}

/// The numbers 10n and 10n + 1 in the n-th batch that is planned; says what is asked of it.
pub(crate) struct Tens {
    diary: Diary,
    faults: Faults,
    next: u64,
}
impl Tens {
    pub(crate) fn new(diary: &Diary, faults: &Faults) -> Self {
        Tens { diary: diary.clone(), faults: faults.clone(), next: 0 }
    }
}
impl Input<u64> for Tens {
    type Plan = u64;
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        self.faults.meet("plan")?;
        self.next += 1;
        self.diary.write(format!("plan {} as {}", second(tick.time), self.next));
        Ok(Some(Planned { plan: self.next, records: Some(2), description: format!("ten {}", self.next) }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &u64) -> Result<Rdd<u64>, BoxError> {
        self.faults.meet("read")?;
        self.diary.write(format!("read {plan}"));
        Ok(sc.range(plan * 10..plan * 10 + 2, 1))
    }
    fn settle(&mut self, plan: u64) {
        self.diary.write(format!("settle {plan}"));
        self.faults.meet("settle").expect("settle only panics");
    }
}

/// Batches of its own, or nothing to do where it says `None`; ended after the last.
pub(crate) struct Given<T: Data>(pub(crate) VecDeque<Option<Vec<T>>>, Vec<Vec<T>>);
impl<T: Data> Given<T> {
    pub(crate) fn new(batches: impl IntoIterator<Item = Option<Vec<T>>>) -> Self {
        Given(batches.into_iter().collect(), Vec::new())
    }
}
impl<T: Data> Input<T> for Given<T> {
    type Plan = usize;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<usize>>, BoxError> {
        let Some(Some(records)) = self.0.pop_front() else { return Ok(None) };
        let n = records.len() as u64;
        self.1.push(records);
        Ok(Some(Planned { plan: self.1.len() - 1, records: Some(n), description: String::new() }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &usize) -> Result<Rdd<T>, BoxError> {
        Ok(sc.parallelize(self.1[*plan].clone(), 2))
    }
    fn supply(&self) -> Supply {
        if self.0.is_empty() { Supply::Ended } else { Supply::Waiting }
    }
}

/// What `start` says of a graph; all of it is said of lines in `file`.
#[track_caller]
pub(crate) fn refused(file: &str, build: impl FnOnce(&StreamTester)) -> Vec<String> {
    let mut tester = tester(&[]);
    build(&tester);
    let Err(Error::Graph(errors)) = tester.step() else { panic!("started") };
    assert_eq!(tester.context().state(), StreamingState::Initialized);
    assert!(errors.iter().all(|e| e.site.file().ends_with(file)), "a site is not the user's: {errors:?}");
    errors.into_iter().map(|e| e.what).collect()
}

/// Feeds batches to an operator, two partitions each; what comes out, batch by batch.
pub(crate) fn batches<T: Data, U: Data>(
    input: impl IntoIterator<Item = Vec<T>>,
    op: impl FnOnce(&DStream<T>) -> DStream<U>,
) -> Vec<Vec<U>> {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<T>();
    let out = tester.output(&op(&stream));
    for batch in input {
        feed.push(batch);
        tester.step().expect("a good batch");
    }
    out.take()
}
/// The same, against what is expected; each batch sorted.
#[track_caller]
pub(crate) fn check<T: Data, U: Data + Ord + Debug>(
    input: impl IntoIterator<Item = Vec<T>>,
    op: impl FnOnce(&DStream<T>) -> DStream<U>,
    expect: impl IntoIterator<Item = Vec<U>>,
) {
    let mut got = batches(input, op);
    got.iter_mut().for_each(|batch| batch.sort());
    assert_eq!(got, expect.into_iter().collect::<Vec<_>>());
}

/// Hears the events of a context.
pub(crate) struct Ears(mpsc::Receiver<StreamingEvent>);
impl Ears {
    pub(crate) fn on(ssc: &StreamingContext) -> Self {
        let (tell, heard) = mpsc::channel();
        ssc.add_streaming_listener(move |event: &StreamingEvent| drop(tell.send(event.clone())));
        Ears(heard)
    }
    /// The next event for which `f` has something; what comes before is passed over.
    #[track_caller]
    pub(crate) fn wait<R>(&self, what: &str, f: impl Fn(&StreamingEvent) -> Option<R>) -> R {
        loop {
            let event = self.0.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("waited in vain for {what}"));
            if let Some(found) = f(&event) {
                return found;
            }
        }
    }
    /// The next batch that is done.
    #[track_caller]
    pub(crate) fn batch(&self) -> BatchInfo {
        self.wait("a batch that is done", |e| match e {
            StreamingEvent::BatchCompleted(info) => Some(info.clone()),
            _ => None,
        })
    }
    /// The next batch that failed for good.
    #[track_caller]
    pub(crate) fn failure(&self) -> BatchInfo {
        self.wait("a batch that failed", |e| match e {
            StreamingEvent::BatchFailed(info) => Some(info.clone()),
            _ => None,
        })
    }
    /// The next receiver whose run is over.
    #[track_caller]
    pub(crate) fn receiver_stopped(&self) -> ReceiverInfo {
        self.wait("a receiver whose run is over", |e| match e {
            StreamingEvent::ReceiverStopped(info) => Some(info.clone()),
            _ => None,
        })
    }
    /// The next receiver that reported an error.
    #[track_caller]
    pub(crate) fn receiver_error(&self) -> ReceiverInfo {
        self.wait("an error of a receiver", |e| match e {
            StreamingEvent::ReceiverError(info) => Some(info.clone()),
            _ => None,
        })
    }
    /// What was heard and not yet waited for.
    pub(crate) fn rest(&self) -> Vec<StreamingEvent> {
        self.0.try_iter().collect()
    }
}

/// What goes by, without its content.
pub(crate) fn kind(event: &StreamingEvent) -> &'static str {
    match event {
        StreamingEvent::Started(_) => "started",
        StreamingEvent::ReceiverStarted(_) => "receiver started",
        StreamingEvent::ReceiverError(_) => "receiver error",
        StreamingEvent::ReceiverStopped(_) => "receiver stopped",
        StreamingEvent::BatchSubmitted(_) => "submitted",
        StreamingEvent::BatchStarted(_) => "batch started",
        StreamingEvent::BatchCompleted(_) => "completed",
        StreamingEvent::BatchFailed(_) => "failed",
        StreamingEvent::Stopped(_) => "stopped",
        _ => "something new",
    }
}

/// Sends every batch's records away.
#[track_caller]
pub(crate) fn send<T: Data>(stream: &DStream<T>) -> mpsc::Receiver<(Time, Vec<T>)> {
    let (tell, heard) = mpsc::channel();
    stream.foreach_rdd(move |rdd, time| {
        let records = rdd.collect()?;
        // Nobody listens any more at the end of some tests.
        let _ = tell.send((time, records));
        Ok(())
    });
    heard
}
/// The next message.
#[track_caller]
pub(crate) fn next<T>(channel: &mpsc::Receiver<T>) -> T {
    channel.recv_timeout(PATIENCE).expect("a message")
}
pub(crate) fn ms(n: u64) -> Duration {
    winterbourne_streaming::milliseconds(n)
}

/// A server on the loopback interface, and its port.
pub(crate) fn listen() -> (TcpListener, u16) {
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = server.local_addr().expect("bound").port();
    (server, port)
}
/// The next connection.
pub(crate) fn accept(server: &TcpListener) -> TcpStream {
    server.accept().expect("a connection").0
}

/// A receiver that is a closure.
pub(crate) struct Script<F>(pub(crate) F);
impl<T: Data, F: FnMut(&Intake<T>) -> Result<(), BoxError> + Send + 'static> Receiver<T> for Script<F> {
    fn receive(&mut self, intake: &Intake<T>) -> Result<(), BoxError> {
        (self.0)(intake)
    }
}

/// A context on the system's clock.
pub(crate) fn real(settings: Settings<'_>, interval: u64) -> StreamingContext {
    StreamingContext::new(&spark(settings), ms(interval)).expect("a good interval")
}
#[track_caller]
pub(crate) fn queue(ssc: &StreamingContext) -> (RddQueue<u64>, DStream<u64>) {
    let queue = RddQueue::new();
    let stream = ssc.queue_stream(&queue);
    (queue, stream)
}
#[track_caller]
pub(crate) fn out(stream: &DStream<u64>) {
    stream.foreach_rdd(|_, _| Ok(()));
}
/// Counts records as they are done.
#[track_caller]
pub(crate) fn total<T: Data>(stream: &DStream<T>) -> Arc<AtomicU64> {
    let total = Arc::new(AtomicU64::new(0));
    let sum = total.clone();
    stream.foreach_rdd(move |rdd, _| {
        sum.fetch_add(rdd.count()?, Relaxed);
        Ok(())
    });
    total
}
/// A context on a clock that stands still, with one queue and one output.
#[track_caller]
pub(crate) fn simple(settings: Settings<'_>) -> (Arc<ManualClock>, StreamingContext, RddQueue<u64>) {
    let (clock, ssc) = manual(settings);
    let (queue, stream) = queue(&ssc);
    out(&stream);
    (clock, ssc, queue)
}
pub(crate) fn not_yet(ssc: &StreamingContext) -> bool {
    !ssc.await_termination_or_timeout(std::time::Duration::ZERO).expect("no error")
}

/// A directory that is gone when dropped.
pub(crate) struct TempDir(PathBuf);
impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("winterbourne-streaming-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new directory among the temporary files");
        TempDir(path)
    }
    /// The path of an entry.
    pub(crate) fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("temporary paths are UTF-8").to_owned()
    }
    /// Copies a checkpoint directory as it is at this moment: what a kill at this moment would leave.
    pub(crate) fn copy(&self, from: &str, to: &str) -> String {
        copy_all(Path::new(from), Path::new(&self.at(to)));
        self.at(to)
    }
}
impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
pub(crate) fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a new directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else if entry.file_name() != "lock" {
            // A file may be removed at this moment, as one is when it is a temporary one.
            let _ = std::fs::copy(entry.path(), target);
        }
    }
}

/// A source that can be read again: batch n of it is the n-th list that was appended, whenever it is planned.
#[derive(Clone, Default)]
pub(crate) struct Tape(pub(crate) Arc<Mutex<Vec<Vec<u64>>>>);
impl Tape {
    pub(crate) fn push(&self, records: impl IntoIterator<Item = u64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(records.into_iter().collect());
    }
    fn get(&self, i: usize) -> Option<Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(i).cloned()
    }
    pub(crate) fn input(&self) -> TapeInput {
        TapeInput { tape: self.clone(), next: 0 }
    }
}
pub(crate) struct TapeInput {
    tape: Tape,
    next: usize,
}
impl Input<u64> for TapeInput {
    type Plan = usize;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<usize>>, BoxError> {
        let Some(records) = self.tape.get(self.next) else { return Ok(None) };
        self.next += 1;
        let (plan, n) = (self.next - 1, records.len() as u64);
        Ok(Some(Planned { plan, records: Some(n), description: format!("list {plan}") }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &usize) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.parallelize(self.tape.get(*plan).ok_or("the list is gone")?, 2))
    }
    fn restore(&mut self, plan: &usize) -> Result<(), BoxError> {
        self.next = plan + 1;
        Ok(())
    }
}
