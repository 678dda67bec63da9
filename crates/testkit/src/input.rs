//! [`TestInput`]: records by hand, a push for each batch. It outlives the program that reads it, as a broker does.
use crate::{TEST_START, TestFault};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{BoxError, Data, Rdd, Site, SparkContext};
use winterbourne_streaming::{DStream, Input, Planned, StreamingContext, Supply, Tick};

/// Feeds a stream by hand: one push, one batch. A handle; clones feed the same stream.
///
/// It is a source that is read by position: what was pushed stays, and a program that is killed and started anew goes on
/// where its log says. A step without a push is an empty batch.
pub struct TestInput<T: Data> {
    feed: Arc<Mutex<Feed<T>>>,
    fault: TestFault,
}
struct Feed<T> {
    partitions: usize,
    pushed: BTreeMap<u64, Pushed<T>>,
    next: u64,
    /// Batches without an RDD that are still to come, by the push they come before.
    pauses: BTreeMap<u64, u64>,
    /// When those were that have come.
    paused: BTreeSet<Time>,
    closed: bool,
}
struct Pushed<T> {
    records: Arc<Vec<T>>,
    partitions: usize,
    not_before: Time,
}

impl<T: Data> Clone for TestInput<T> {
    fn clone(&self) -> Self {
        TestInput { feed: self.feed.clone(), fault: self.fault.clone() }
    }
}
impl<T: Data> Default for TestInput<T> {
    fn default() -> Self {
        Self::new()
    }
}
impl<T: Data> TestInput<T> {
    /// Nothing was pushed yet.
    #[must_use]
    pub fn new() -> Self {
        let (pushed, pauses, paused) = Default::default();
        let feed = Feed { partitions: 2, pushed, next: 0, pauses, paused, closed: false };
        TestInput { feed: Arc::new(Mutex::new(feed)), fault: TestFault::new() }
    }
    fn feed(&self) -> MutexGuard<'_, Feed<T>> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Spreads what is pushed from now on over this many partitions; two unless told otherwise.
    #[must_use]
    pub fn partitions(self, n: usize) -> Self {
        self.feed().partitions = n;
        self
    }
    /// The records of one more batch. Batches are taken one per step, in order.
    pub fn push(&self, records: impl IntoIterator<Item = T>) {
        self.push_at(Duration::ZERO, records);
    }
    /// As [`push`](TestInput::push), but no batch takes it, or what is pushed later, that is less than `after` behind
    /// [`TEST_START`]: those before are empty.
    pub fn push_at(&self, after: Duration, records: impl IntoIterator<Item = T>) {
        let records = Arc::new(records.into_iter().collect());
        let mut feed = self.feed();
        let (n, partitions) = (feed.next, feed.partitions);
        feed.pushed.insert(n, Pushed { records, partitions, not_before: TEST_START + after });
        feed.next += 1;
    }
    /// One batch, behind all that was pushed so far, in which there is nothing to do: the stream has no RDD for it, which
    /// is not the same as an empty one.
    pub fn pause(&self) {
        let mut feed = self.feed();
        let n = feed.next;
        *feed.pauses.entry(n).or_default() += 1;
    }
    /// Nothing more will come.
    pub fn close(&self) {
        self.feed().closed = true;
    }
    /// Lets tasks fail that read this input.
    #[must_use]
    pub fn fault(&self) -> &TestFault {
        &self.fault
    }
    /// The stream of what is pushed, for the function that builds a graph. `name` tells inputs of one program apart; it is
    /// part of the durable id.
    #[track_caller]
    pub fn stream(&self, ssc: &StreamingContext, name: &str) -> DStream<T> {
        self.stream_for(ssc, name, true)
    }
    #[track_caller]
    pub(crate) fn stream_for(&self, ssc: &StreamingContext, name: &str, keep: bool) -> DStream<T> {
        ssc.input_stream(name, Reader { input: self.clone(), next: 0, site: Site::caller(), keep })
    }
}

/// One program's place in an input.
struct Reader<T: Data> {
    input: TestInput<T>,
    next: u64,
    site: Site,
    /// Another program may want to read it later.
    keep: bool,
}
impl<T: Data> Input<T> for Reader<T> {
    /// Which push; none where there was none to take.
    type Plan = Option<u64>;
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<Option<u64>>>, BoxError> {
        let mut feed = self.input.feed();
        if feed.paused.contains(&tick.time) {
            return Ok(None);
        }
        if let Some(left) = feed.pauses.get_mut(&self.next).filter(|left| **left > 0) {
            *left -= 1;
            feed.paused.insert(tick.time);
            return Ok(None);
        }
        let found = feed.pushed.get(&self.next).filter(|p| p.not_before <= tick.time);
        let Some(found) = found else {
            return Ok(Some(Planned { plan: None, records: Some(0), description: "nothing pushed".into() }));
        };
        let (plan, records) = (self.next, found.records.len() as u64);
        self.next += 1;
        Ok(Some(Planned { plan: Some(plan), records: Some(records), description: format!("push {plan}") }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &Option<u64>) -> Result<Rdd<T>, BoxError> {
        let Some(plan) = plan else { return Ok(sc.empty_rdd()) };
        let feed = self.input.feed();
        let pushed = feed.pushed.get(plan).ok_or_else(|| format!("push {plan} was forgotten"))?;
        let rdd = sc.parallelize(pushed.records.iter().cloned(), pushed.partitions);
        drop(feed);
        Ok(self.input.fault.on(&rdd, self.site))
    }
    fn settle(&mut self, plan: Option<u64>) {
        if let (Some(plan), false) = (plan, self.keep) {
            self.input.feed().pushed.remove(&plan);
        }
    }
    fn restore(&mut self, plan: &Option<u64>) -> Result<(), BoxError> {
        self.next = plan.map_or(self.next, |plan| plan + 1);
        Ok(())
    }
    fn save(&self) -> Option<Vec<u8>> {
        Some(self.next.to_le_bytes().to_vec())
    }
    fn load(&mut self, saved: &[u8]) -> Result<(), BoxError> {
        self.next = u64::from_le_bytes(saved.try_into()?);
        Ok(())
    }
    fn recoverable(&self) -> Result<(), String> {
        if self.keep { Ok(()) } else { Err("the records of a StreamTester's input are gone with their batch".into()) }
    }
    fn supply(&self) -> Supply {
        let feed = self.input.feed();
        match (self.next < feed.next || feed.pauses.get(&self.next).is_some_and(|n| *n > 0), feed.closed) {
            (true, _) => Supply::Waiting,
            (false, true) => Supply::Ended,
            (false, false) => Supply::Open,
        }
    }
}
