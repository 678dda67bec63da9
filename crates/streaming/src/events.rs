//! What a streaming program tells its listeners.
//!
//! Events are handed over on a thread of their own, in order, through a bounded queue; a listener too slow for it loses
//! the oldest waiting events, and the loss is counted ([`StreamingStatus::events_dropped`](crate::StreamingStatus)).
//! Without listeners nothing is made and nothing is paid.
use crate::batch::Health;
use crate::input::InputLag;
use crate::rate::Limit;
use crate::receive::{ReceiverEvent, ReceiverInfo};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::*},
    },
};
use winterbourne_base::{Clock, Time, clock::Bell, thread};

/// What is known of a batch. Durations are in microseconds; times are on the context's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchInfo {
    /// The batch.
    pub time: Time,
    /// Records planned, as far as the inputs know their number beforehand.
    pub records: u64,
    /// From the batch time until work on it began.
    pub scheduling_delay_us: u64,
    /// From the beginning of the work until its end; 0 while it runs.
    pub processing_us: u64,
    /// Its inputs, as far as there is something to do for them.
    pub inputs: Vec<InputInfo>,
    /// Its output operations.
    pub outputs: Vec<OutputInfo>,
    /// Ticks without a batch of their own since the last one.
    pub coalesced: u64,
    /// Which attempt this is.
    pub attempt: u64,
    /// Why this attempt failed.
    pub failure: Option<String>,
}
impl BatchInfo {
    /// From the batch time until its end.
    pub fn total_delay_us(&self) -> u64 {
        self.scheduling_delay_us + self.processing_us
    }
}

/// What is known of one input of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputInfo {
    /// The operator's id.
    pub id: String,
    /// How many records it gives, where that is known beforehand.
    pub records: Option<u64>,
    /// The most that it could give: what back-pressure and the maxima of a batch allowed. None of a batch that was planned
    /// before a restart.
    pub limit: Limit,
    /// Which those are, for people: files, ranges of offsets.
    pub description: String,
    /// How far it is behind its source then, where it knows.
    pub lag: Vec<InputLag>,
}

/// What is known of one output operation of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputInfo {
    /// Its number, in registration order.
    pub id: usize,
    /// `print at src/main.rs:7:10`.
    pub name: String,
    /// How long its job took, in microseconds.
    pub duration_us: u64,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StreamingEvent {
    /// The context was started, at this time.
    Started(Time),
    /// The stream began to fall behind, with the cause; or it is in time again after that.
    HealthChanged(Health),
    /// A receiver began to receive, also after a restart.
    ReceiverStarted(ReceiverInfo),
    /// A receiver reported an error.
    ReceiverError(ReceiverInfo),
    /// A receiver's run ended: it failed and waits for its restart, or ended, or was stopped.
    ReceiverStopped(ReceiverInfo),
    /// A batch was planned: its inputs are known.
    BatchSubmitted(BatchInfo),
    /// Work on a batch begins.
    BatchStarted(BatchInfo),
    /// A batch is done.
    BatchCompleted(BatchInfo),
    /// A batch failed on its last attempt.
    BatchFailed(BatchInfo),
    /// The context has stopped, at this time.
    Stopped(Time),
}
impl From<ReceiverEvent> for StreamingEvent {
    fn from(e: ReceiverEvent) -> Self {
        match e {
            ReceiverEvent::Started(i) => StreamingEvent::ReceiverStarted(i),
            ReceiverEvent::Error(i) => StreamingEvent::ReceiverError(i),
            ReceiverEvent::Stopped(i) => StreamingEvent::ReceiverStopped(i),
        }
    }
}

/// Told of events, one at a time. Register with
/// [`StreamingContext::add_streaming_listener`](crate::StreamingContext::add_streaming_listener). Closures are
/// listeners.
pub trait StreamingListener: Send + 'static {
    /// Something happened.
    fn on_event(&mut self, event: &StreamingEvent);
}
impl<F: FnMut(&StreamingEvent) + Send + 'static> StreamingListener for F {
    fn on_event(&mut self, event: &StreamingEvent) {
        self(event);
    }
}

/// Names a listener, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// Events that may wait, as in Spark.
const QUEUE: usize = 10_000;

type Listener = Arc<Mutex<Box<dyn StreamingListener>>>;

#[derive(Default)]
struct Waiting {
    events: VecDeque<StreamingEvent>,
    closed: bool,
}
/// The one event stream of a context.
#[derive(Default)]
pub(crate) struct Bus {
    listened: AtomicBool,
    listeners: Mutex<Vec<(ListenerId, Listener)>>,
    added: AtomicU64,
    waiting: Mutex<Waiting>,
    bell: Bell,
    dropped: AtomicU64,
    /// A thread delivers; otherwise `post` does.
    threaded: AtomicBool,
}
impl Bus {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no user code runs under this lock")
    }
    pub(crate) fn add(&self, l: Box<dyn StreamingListener>) -> ListenerId {
        let id = ListenerId(self.added.fetch_add(1, Relaxed));
        let mut listeners = self.listeners();
        listeners.push((id, Arc::new(Mutex::new(l))));
        self.listened.store(true, Release);
        id
    }
    /// Whether it was there.
    pub(crate) fn remove(&self, id: ListenerId) -> bool {
        let gone = {
            let mut listeners = self.listeners();
            let gone = listeners.iter().position(|(l, _)| *l == id).map(|i| listeners.remove(i));
            self.listened.store(!listeners.is_empty(), Release);
            gone
        };
        // The user's destructor runs outside the lock; in a delivery, when that is over.
        gone.is_some()
    }
    fn listeners(&self) -> MutexGuard<'_, Vec<(ListenerId, Listener)>> {
        self.listeners.lock().expect("no user code runs under this lock")
    }
    /// Whether anybody listens: ask before making an event.
    pub(crate) fn is_listened(&self) -> bool {
        self.listened.load(Acquire)
    }
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
    pub(crate) fn post(&self, event: impl FnOnce() -> StreamingEvent) {
        if !self.is_listened() {
            return;
        }
        let event = event();
        if !self.threaded.load(Acquire) {
            return self.deliver(&event);
        }
        let mut waiting = self.waiting();
        if waiting.events.len() >= QUEUE {
            waiting.events.pop_front();
            if self.dropped.fetch_add(1, Relaxed) == 0 {
                tracing::warn!(
                    "a streaming listener is too slow: more than {QUEUE} events wait, the oldest are dropped"
                );
            }
        }
        waiting.events.push_back(event);
        drop(waiting);
        self.bell.ring();
    }
    fn deliver(&self, event: &StreamingEvent) {
        // A listener may add others, and remove itself.
        let listeners = self.listeners().clone();
        for (_, l) in listeners {
            let mut l = l.lock().unwrap_or_else(PoisonError::into_inner);
            if catch_unwind(AssertUnwindSafe(|| l.on_event(event))).is_err() {
                tracing::error!("a streaming listener panicked on {event:?}; it stays registered");
            }
        }
    }
    /// Delivers on a thread of its own from now on.
    pub(crate) fn start(self: &Arc<Self>, clock: Arc<dyn Clock>) -> std::io::Result<std::thread::JoinHandle<()>> {
        self.threaded.store(true, Release);
        let bus = self.clone();
        thread::spawn("streaming-listeners", move || {
            thread::serve();
            loop {
                let seen = bus.bell.count();
                let (next, closed) = {
                    let mut w = bus.waiting();
                    (w.events.pop_front(), w.closed)
                };
                match next {
                    Some(event) => bus.deliver(&event),
                    None if closed => return,
                    None => {
                        clock.wait(&bus.bell, seen, None);
                    }
                }
            }
        })
    }
    /// Delivers what waits, then ends the thread.
    pub(crate) fn close(&self) {
        self.waiting().closed = true;
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use winterbourne_base::SystemClock;

    #[test]
    fn a_listener_too_slow_loses_the_oldest_events_and_the_loss_is_counted() {
        let bus = Arc::new(Bus::default());
        let ((entered, inside), (release, blocked), (tell, heard)) = (channel(), channel::<()>(), channel());
        bus.add(Box::new(move |e: &StreamingEvent| {
            let StreamingEvent::Stopped(t) = e else { return };
            let _ = entered.send(());
            let _ = blocked.recv();
            tell.send(t.as_millis()).unwrap();
        }));
        let post = |n: usize| bus.post(|| StreamingEvent::Stopped(Time::from_millis(n as u64)));
        let thread = bus.start(Arc::new(SystemClock)).unwrap();
        post(0);
        inside.recv().unwrap();
        (1..=QUEUE + 7).for_each(post);
        assert_eq!(bus.dropped(), 7);
        drop(release);
        bus.close();
        thread.join().unwrap();
        let heard: Vec<_> = heard.try_iter().collect();
        assert_eq!((heard.len(), heard[0], heard[1]), (QUEUE + 1, 0, 8));
    }
    #[test]
    fn without_listeners_no_event_is_made() {
        Bus::default().post(|| panic!("made"));
    }
}
