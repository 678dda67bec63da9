//! [`Bus`]: events on their way to listeners: a bounded queue and a thread that delivers.
//!
//! The thread starts with the first listener and ends when the bus is closed and everything has been delivered. It holds
//! the bus and nothing of the context.
use super::{SparkListener, SparkListenerEvent};
use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, Release},
        },
    },
    thread::{self, JoinHandle},
};
use winterbourne_base::Clock;

/// A registered listener.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ListenerId(u64);

/// Nanoseconds between two warnings that events are dropped.
const MINUTE: u64 = 60_000_000_000;

#[derive(Clone)]
struct Entry {
    id: ListenerId,
    listener: Arc<Mutex<Box<dyn SparkListener>>>,
}
#[derive(Default)]
struct Waiting {
    events: VecDeque<SparkListenerEvent>,
    closed: bool,
    /// When it was said last that events are dropped, and how many had been then.
    warned: Option<(u64, u64)>,
}
#[derive(Default)]
struct Listeners {
    all: Arc<Vec<Entry>>,
    next: u64,
    thread: Option<JoinHandle<()>>,
}

/// The one event stream of a context.
pub(crate) struct Bus {
    listened: AtomicBool,
    capacity: usize,
    waiting: Mutex<Waiting>,
    moved: Condvar,
    listeners: Mutex<Listeners>,
    dropped: AtomicU64,
    pub(crate) clock: Arc<dyn Clock>,
}
impl Bus {
    pub(crate) fn new(capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Bus {
            listened: AtomicBool::new(false),
            capacity,
            waiting: Mutex::default(),
            moved: Condvar::new(),
            listeners: Mutex::default(),
            dropped: AtomicU64::new(0),
            clock,
        }
    }
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no user code runs under this lock")
    }
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().expect("no user code runs under this lock")
    }
    pub(crate) fn add(self: &Arc<Self>, listener: Box<dyn SparkListener>) -> io::Result<ListenerId> {
        let mut listeners = self.listeners();
        if listeners.thread.is_none() {
            let bus = self.clone();
            listeners.thread = Some(winterbourne_base::thread::spawn("spark-listeners", move || {
                winterbourne_base::thread::serve();
                bus.run();
            })?);
        }
        let id = ListenerId(listeners.next);
        listeners.next += 1;
        Arc::make_mut(&mut listeners.all).push(Entry { id, listener: Arc::new(Mutex::new(listener)) });
        self.listened.store(true, Release);
        Ok(id)
    }
    pub(crate) fn remove(&self, id: ListenerId) -> bool {
        let old = {
            let mut listeners = self.listeners();
            let all = Arc::make_mut(&mut listeners.all);
            let old = all.iter().position(|e| e.id == id).map(|at| all.remove(at));
            self.listened.store(!all.is_empty(), Release);
            old
        };
        // The listener's own Drop runs outside the lock.
        old.is_some()
    }
    /// Whether anybody listens: ask before making an event.
    #[inline]
    pub(crate) fn is_listened(&self) -> bool {
        self.listened.load(Relaxed)
    }
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
    #[inline]
    pub(crate) fn post(&self, event: impl FnOnce() -> SparkListenerEvent) {
        if self.is_listened() {
            self.put(event());
        }
    }
    fn put(&self, event: SparkListenerEvent) {
        let mut waiting = self.waiting();
        if waiting.closed {
            return;
        }
        if waiting.events.len() < self.capacity {
            waiting.events.push_back(event);
            drop(waiting);
            self.moved.notify_one();
            return;
        }
        let (dropped, now) = (self.dropped.fetch_add(1, Relaxed) + 1, self.clock.nanos());
        let (said, before) = match waiting.warned {
            Some((at, before)) => (now.saturating_sub(at) < MINUTE, before),
            None => (false, 0),
        };
        if said {
            return;
        }
        waiting.warned = Some((now, dropped));
        drop(waiting);
        tracing::warn!(
            "dropped {} listener event(s): {} wait already, a listener is too slow; make it faster, or raise \
             spark.scheduler.listenerbus.eventqueue.capacity",
            dropped - before,
            self.capacity
        );
    }
    fn run(&self) {
        loop {
            let event = {
                let mut waiting = self.waiting();
                loop {
                    if let Some(event) = waiting.events.pop_front() {
                        break event;
                    }
                    if waiting.closed {
                        drop(waiting);
                        // They end with the context, on this thread.
                        let last = std::mem::take(&mut self.listeners().all);
                        self.listened.store(false, Release);
                        let _ = catch_unwind(AssertUnwindSafe(|| drop(last)));
                        return;
                    }
                    waiting = self.moved.wait(waiting).expect("no user code runs under this lock");
                }
            };
            self.deliver(&event);
        }
    }
    fn deliver(&self, event: &SparkListenerEvent) {
        let listeners = self.listeners().all.clone();
        for Entry { id, listener } in &*listeners {
            // One that was removed hears no more.
            if !self.listeners().all.iter().any(|e| e.id == *id) {
                continue;
            }
            let mut listener = listener.lock().unwrap_or_else(PoisonError::into_inner);
            let told = catch_unwind(AssertUnwindSafe(|| listener.on_event(event)));
            drop(listener);
            if let Err(payload) = told {
                let what = crate::job::panic_text(&*payload);
                tracing::error!("a listener panicked ({what}) on {event:?}; it is removed");
                self.remove(*id);
            }
        }
        let _ = catch_unwind(AssertUnwindSafe(|| drop(listeners)));
    }
    /// Delivers what waits, then ends the thread. Called from a task, or by a listener, it does not wait for that.
    pub(crate) fn close(&self) {
        self.waiting().closed = true;
        self.moved.notify_all();
        let thread = self.listeners().thread.take();
        let Some(thread) = thread else { return };
        if crate::task::is_inside() || thread.thread().id() == thread::current().id() {
            return;
        }
        // It catches what listeners throw.
        let _ = thread.join();
    }
}
