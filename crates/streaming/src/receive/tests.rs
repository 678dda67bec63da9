//! What the tests of receivers share: a rig with a clock, a configuration and a record of events. No test sleeps; the
//! long patience only turns a test that would hang into one that fails.

mod ends;
mod laws;
mod rates;
mod socket;
mod stream;
mod wal;
mod weight;

use std::sync::mpsc::Receiver as Channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use winterbourne_base::clock::{Bell, Woken};
use winterbourne_base::time::{milliseconds, seconds};
use winterbourne_base::{Clock, ManualClock, SparkConf, SystemClock, Time};
use winterbourne_engine::{BoxError, Data, Wire};

use crate::rate::Limit;

use super::{BlockId, Content, Intake, Receiver, ReceiverEvent, ReceiverState, ReceiverStream, Settings, Setup};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Batches of 1 s, blocks of 200 ms, a clock that shows 10 s.
pub(super) struct Rig {
    pub(super) clock: Arc<ManualClock>,
    conf: SparkConf,
    bell: Bell,
    events: Arc<Mutex<Vec<ReceiverEvent>>>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::set(&[])
    }

    pub(super) fn set(conf: &[(&str, &str)]) -> Self {
        let conf = conf.iter().fold(SparkConf::empty(), |conf, (key, value)| conf.set(*key, *value));
        Self { clock: ManualClock::new(at(10_000)), conf, bell: Bell::new(), events: Arc::default() }
    }

    pub(super) fn stream<T: Wire>(&self, receiver: impl Receiver<T>) -> Arc<ReceiverStream<T>> {
        let batch = seconds(1);
        let events = Arc::clone(&self.events);
        let setup = Setup {
            id: 0,
            batch,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            settings: Settings::of(&self.conf, batch).unwrap(),
            events: Arc::new(move |event| events.lock().unwrap().push(event)),
            bell: self.bell.clone(),
        };
        ReceiverStream::new(setup, Box::new(receiver))
    }

    /// The same, started.
    pub(super) fn start<T: Wire>(&self, receiver: impl Receiver<T>) -> Arc<ReceiverStream<T>> {
        let stream = self.stream(receiver);
        stream.start().unwrap();
        stream
    }

    /// Waits for a state.
    pub(super) fn await_state<T: Data>(&self, stream: &ReceiverStream<T>, expect: ReceiverState) {
        self.await_fact(&format!("{expect:?}"), || stream.info().state == expect);
    }

    pub(super) fn await_fact(&self, what: &str, fact: impl Fn() -> bool) {
        let deadline = SystemClock.now() + milliseconds(PATIENCE.as_millis() as u64);
        loop {
            let seen = self.bell.count();
            if fact() {
                return;
            }
            assert_eq!(SystemClock.wait(&self.bell, seen, Some(deadline)), Woken::Rung, "waited in vain for {what}");
        }
    }

    /// Everything received and not taken yet; released at once.
    pub(super) fn take<T: Data>(&self, stream: &ReceiverStream<T>) -> Vec<T> {
        let ids: Vec<BlockId> =
            stream.allocate(self.clock.now(), true, Limit::NONE).unwrap().iter().map(|block| block.id).collect();
        let records = read(stream, &ids).concat();
        stream.release(&ids);
        records
    }

    /// What was told so far: `Started`, `Error`, `Stopped` with the state of that moment.
    fn told(&self) -> Vec<(&'static str, ReceiverState)> {
        let name = |event: &ReceiverEvent| match event {
            ReceiverEvent::Started(_) => "started",
            ReceiverEvent::Error(_) => "error",
            ReceiverEvent::Stopped(_) => "stopped",
        };
        self.events.lock().unwrap().iter().map(|event| (name(event), event.info().state)).collect()
    }

    /// The errors reported so far.
    pub(super) fn errors(&self) -> Vec<String> {
        let message = |event: &ReceiverEvent| match event {
            ReceiverEvent::Error(info) => info.last_error.clone(),
            _ => None,
        };
        self.events.lock().unwrap().iter().filter_map(message).collect()
    }
}

/// The records of each block.
pub(super) fn read<T: Data>(stream: &ReceiverStream<T>, ids: &[BlockId]) -> Vec<Vec<T>> {
    let numbers: Vec<u64> = ids.iter().map(|id| id.number).collect();
    let records = |content: Option<Content<T>>| match content.expect("a block that is gone") {
        Content::Memory(parts) => parts.iter().flat_map(|part| part.to_vec()).collect(),
        Content::Logged(block) => block.read().unwrap(),
    };
    stream.contents(&numbers).into_iter().map(records).collect()
}

/// A receiver that is a closure.
pub(super) struct Script<F>(pub(super) F);

impl<T: Data, F: FnMut(&Intake<T>) -> Result<(), BoxError> + Send + 'static> Receiver<T> for Script<F> {
    fn receive(&mut self, intake: &Intake<T>) -> Result<(), BoxError> {
        (self.0)(intake)
    }
}

/// For streams whose receiver is never called.
fn idle(_: &Intake<u64>) -> Result<(), BoxError> {
    Ok(())
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// The next `n` messages.
fn next<T>(channel: &Channel<T>, n: usize) -> Vec<T> {
    (0..n).map(|_| channel.recv_timeout(PATIENCE).expect("a message")).collect()
}
