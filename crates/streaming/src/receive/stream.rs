//! [`ReceiverStream`]: one receiver with what it received, shared by its thread and whoever makes batches.
//!
//! Everything that changes lives in one named struct under one lock, which is never held across a user's closure, a
//! wait, a log line or the end of a record. Refuses to know what a batch is.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use winterbourne_base::clock::Bell;
use winterbourne_base::time::milliseconds;
use winterbourne_base::{Time, thread};
use winterbourne_engine::{Data, MemoryHold, Wire};

use super::buffer::Buffer;
use super::intake::StoreError;
use super::logged::{Codec, Leftover};
use super::run;
use super::state::{Hook, State};
use super::supervisor::{Decision, Event, Next, Tell};
use super::weight;
use super::{
    BlockId, BlockMeta, Intake, Receiver, ReceiverEvent, ReceiverInfo, ReceiverState, Settings, Setup, Stopped,
    Tolerated,
};
use crate::durable::InputLog;
use crate::rate::{Allowance, Limit, Load};

/// Blocks of a batch that holds all that it may.
const BLOCKS: u64 = 8;

/// One receiver input stream.
///
/// Once started, its thread keeps it alive: stop and join it.
pub(crate) struct ReceiverStream<T: Data> {
    setup: Setup,
    /// `<receiver>-<id>`.
    name: Arc<str>,
    /// Rung when room was made, a run ended, a stop was asked for or the thread finished.
    changed: Bell,
    pub(super) codec: Codec<T>,
    /// The bytes that records hold in memory.
    pub(super) weight: fn(&[T]) -> usize,
    /// SUBTLE: who writes to the log holds this, and takes `state` inside of it for a moment, never the other way round.
    pub(super) writer: Mutex<Leftover>,
    state: Mutex<State<T>>,
}

/// For whoever makes batches.
impl<T: Data> ReceiverStream<T> {
    pub(crate) fn new(setup: Setup, receiver: Box<dyn Receiver<T>>) -> Arc<Self>
    where
        T: Wire,
    {
        let name: Arc<str> = format!("{}-{}", receiver.name(), setup.id).into();
        let state = Mutex::new(State::new(&setup, Arc::clone(&name), receiver));
        let (codec, weight) = (Codec::new(), weight::weight::<T>);
        Arc::new(Self { setup, name, changed: Bell::new(), codec, weight, writer: Mutex::default(), state })
    }

    /// Starts the thread `receiver-<id>`.
    ///
    /// # Errors
    ///
    /// The system's, if it has no thread to give (it can be tried again), or that it was started already.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut state = self.lock();
        if state.thread.is_some() || state.finished {
            let message = format!("receiver {} was started already", self.name);
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        let stream = Arc::clone(self);
        let thread = thread::spawn(&format!("receiver-{}", self.id()), move || {
            thread::serve();
            run::run(&stream);
        })?;
        state.thread = Some(thread);
        Ok(())
    }

    /// What is held counts against the memory budget from now on.
    pub(crate) fn counts_for(&self, hold: MemoryHold) {
        self.lock().room.count(hold);
    }

    /// Forgets blocks and lets waiting receivers go on. Ids that are not allocated are ignored. What the log has of them
    /// stays there.
    pub(crate) fn release(&self, ids: &[BlockId]) {
        let (released, awaited) = {
            let mut state = self.lock();
            let released = state.buffer.release(ids);
            // What came from the log was never let in.
            let in_memory = released.iter().filter(|block| block.parts.is_some());
            in_memory.for_each(|block| {
                let BlockMeta { records, bytes, .. } = block.meta;
                state.room.leave(Load { records, bytes });
            });
            (released, state.room.is_awaited())
        };
        if awaited {
            self.changed.ring();
        }
        drop(released);
    }

    /// What the batches keep up with. One batch's worth may wait while another one is processed; blocks are cut so that
    /// several make a batch.
    pub(crate) fn allow(&self, allowance: &Allowance) {
        let seconds = self.setup.batch.as_millis() as f64 / 1_000.0;
        let batch = |rate: f64| (rate * seconds).ceil().max(1.0) as u64;
        let awaited = {
            let mut state = self.lock();
            let records = allowance.records_per_s.map(batch);
            let twice = |n: u64| n.saturating_mul(2);
            let bytes = allowance.bytes_per_s.map(batch);
            state.room.set_limit(Limit { records: records.map(twice), bytes: bytes.map(twice) });
            state.buffer.cut_at_records(records.map_or(u64::MAX, |n| n.div_ceil(BLOCKS)));
            state.allowed = allowance.records_per_s.map(|rate| (rate as u64).max(1));
            state.room.is_awaited()
        };
        if awaited {
            self.changed.ring();
        }
    }

    /// The bytes of allocated blocks.
    pub(crate) fn bytes_of(&self, numbers: impl IntoIterator<Item = u64>) -> u64 {
        self.lock().buffer.bytes_of(numbers)
    }

    /// How many records were received and are not allocated.
    pub(crate) fn waiting(&self) -> u64 {
        self.lock().buffer.waiting_records()
    }

    /// Whether nothing more will be taken in: the source has ended, or [`stop`](Self::stop) was called. Asked before
    /// [`waiting`](Self::waiting), never after it: in between the last records may come.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().supervisor.has_ended()
    }

    /// Tells the receiver to stop; waits for nothing. From now on nothing is taken in.
    pub(crate) fn stop(&self) {
        self.step(Event::Stop);
    }

    /// Waits until the thread is done, at most until `deadline`. False if it is not: a receiver that was told to stop
    /// is then abandoned, which its state says.
    pub(crate) fn join(&self, deadline: Option<Time>) -> bool {
        loop {
            let seen = self.changed.count();
            if let Some(thread) = self.finished() {
                // It has nothing left to do but to end, so this does not wait.
                if thread.is_some_and(|thread| thread.join().is_err()) {
                    tracing::error!(receiver = &*self.name, "the receiver's thread panicked outside of the receiver");
                }
                return true;
            }
            if deadline.is_some_and(|deadline| deadline <= self.setup.clock.now()) {
                self.step(Event::GaveUp);
                return false;
            }
            self.setup.clock.wait(&self.changed, seen, deadline);
        }
    }

    pub(crate) fn info(&self) -> ReceiverInfo {
        self.lock().info()
    }
}

/// For the intake, on the receiver's threads.
impl<T: Data> ReceiverStream<T> {
    pub(crate) fn id(&self) -> usize {
        self.setup.id
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.setup.settings
    }

    /// Adds one or more records through `push`, which is told their bytes and the time, when there is room for them.
    /// What that cuts is written to the log.
    pub(super) fn put(
        &self,
        run: u64,
        load: Load,
        push: impl FnOnce(&mut Buffer<T>, u64, Time),
    ) -> Result<(), Stopped> {
        if self.enter(run, load, push)? {
            self.write_behind(run);
        }
        Ok(())
    }

    /// Adds records as a block of their own, and returns when it is durable.
    pub(super) fn put_reliably(&self, run: u64, bytes: usize, records: Vec<T>) -> Result<(), StoreError> {
        let mut number = 0;
        let load = Load { records: records.len() as u64, bytes: bytes as u64 };
        self.enter(run, load, |buffer, bytes, now| number = buffer.push_alone(records, bytes, now))?;
        self.make_durable(run, number)
    }

    /// The first half of `put`; whether that cut something that is to be written.
    fn enter(&self, run: u64, load: Load, push: impl FnOnce(&mut Buffer<T>, u64, Time)) -> Result<bool, Stopped> {
        let bytes = load.bytes;
        let mut now = self.setup.clock.now();
        let mut state = self.lock();
        if state.is_over(run) {
            return Err(Stopped);
        }
        // First the time, then the room: who waits for the rate holds no room that others could use.
        if state.limiter.limits() && !state.limiter.enter(load, self.setup.clock.nanos()) {
            state = self.wait_for_rate(state, run, load)?;
            now = self.setup.clock.now();
        }
        if !state.room.enter(load) {
            state = self.wait_for_room(state, run, load)?;
            now = self.setup.clock.now();
        }
        let State { buffer, records, log, .. } = &mut *state;
        let (before, number) = (buffer.waiting_records(), buffer.next_number());
        push(buffer, bytes, now);
        *records += buffer.waiting_records() - before;
        Ok(buffer.next_number() > number && log.as_ref().is_some_and(InputLog::writes))
    }

    /// SUBTLE: the bell is read while the facts are locked, so a change that comes after the look also rings after it.
    fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        run: u64,
        load: Load,
    ) -> Result<MutexGuard<'a, State<T>>, Stopped> {
        state.stalls += 1;
        match state.room.is_full(load.bytes) {
            true => state.waits += 1,
            false => state.rate_waits += 1,
        }
        let ticket = state.room.queue();
        loop {
            let seen = self.changed.count();
            drop(state);
            self.setup.clock.wait(&self.changed, seen, None);
            state = self.lock();
            let over = state.is_over(run);
            if over {
                state.room.give_up(ticket);
            }
            if over || state.room.enter_queued(ticket, load) {
                // The next in the queue may fit too.
                if state.room.is_awaited() {
                    self.changed.ring();
                }
                return if over { Err(Stopped) } else { Ok(state) };
            }
        }
    }

    /// As `wait_for_room`; only who is the first in the queue waits for a time as well.
    fn wait_for_rate<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        run: u64,
        load: Load,
    ) -> Result<MutexGuard<'a, State<T>>, Stopped> {
        let clock = &*self.setup.clock;
        state.rate_waits += 1;
        let ticket = state.limiter.queue(load);
        loop {
            let seen = self.changed.count();
            let until = state.limiter.wait_nanos(ticket).map(|nanos| {
                let ms = nanos.div_ceil(1_000_000).max(1);
                clock.now() + milliseconds(ms)
            });
            drop(state);
            clock.wait(&self.changed, seen, until);
            state = self.lock();
            let over = state.is_over(run);
            if over {
                state.limiter.give_up(ticket);
            }
            if over || state.limiter.enter_queued(ticket, clock.nanos()) {
                // The next in the queue has a time to wait for now.
                if state.limiter.is_awaited() {
                    self.changed.ring();
                }
                return if over { Err(Stopped) } else { Ok(state) };
            }
        }
    }

    pub(super) fn is_over(&self, run: u64) -> bool {
        self.lock().is_over(run)
    }

    pub(super) fn on_stop(&self, run: u64, hook: Hook) {
        let mut state = self.lock();
        if !state.is_over(run) {
            state.hooks.push(hook);
            return;
        }
        drop(state);
        call_all(&self.name, &Mutex::new(vec![hook]));
    }

    /// As `step`, if this run is not over.
    pub(super) fn ask(&self, run: u64, event: Event) {
        let state = self.lock();
        if !state.is_over(run) {
            self.step_locked(state, event);
        }
    }

    pub(super) fn report(&self, message: String) {
        self.step(Event::Reported(message));
    }

    pub(super) fn count(&self, what: Tolerated, n: u64) {
        let mut state = self.lock();
        match what {
            Tolerated::InvalidUtf8 => state.invalid_utf8 += n,
            Tolerated::OversizedRecord => state.oversized += n,
            Tolerated::Undecodable => state.undecodable += n,
        }
    }
}

/// For the thread.
impl<T: Data> ReceiverStream<T> {
    pub(super) fn take_receiver(&self) -> Option<Box<dyn Receiver<T>>> {
        self.lock().receiver.take()
    }

    /// The intake of the current run.
    pub(super) fn intake(self: &Arc<Self>) -> Intake<T> {
        Intake { stream: Arc::clone(self), run: self.lock().run }
    }

    /// What changes from now on rings after this count.
    pub(super) fn seen(&self) -> u64 {
        self.changed.count()
    }

    pub(super) fn wait(&self, seen: u64, until: Time) {
        self.setup.clock.wait(&self.changed, seen, Some(until));
    }

    pub(super) fn now(&self) -> Time {
        self.setup.clock.now()
    }

    pub(super) fn ring_changed(&self) {
        self.changed.ring();
    }

    /// The last thing the thread does.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.changed.ring();
        self.setup.bell.ring();
    }

    /// Lets the supervisor decide, then does what it decided, except for the thread's own next step.
    pub(super) fn step(&self, event: Event) -> Next {
        self.step_locked(self.lock(), event)
    }

    fn step_locked(&self, mut state: MutexGuard<'_, State<T>>, event: Event) -> Next {
        let now = self.setup.clock.now();
        let stops = matches!(event, Event::Stop | Event::StopAsked(_) | Event::RestartAsked(_));
        let ends_run = matches!(event, Event::Returned(_));
        // Who asked for another run has no part in it.
        let next_run = ends_run || matches!(event, Event::RestartAsked(_));
        let (decision, info, hooks) = {
            let received = state.records;
            let decision = state.supervisor.step(event, received, now);
            state.run += u64::from(next_run);
            let hooks = if stops || ends_run { std::mem::take(&mut state.hooks) } else { Vec::new() };
            (decision, state.info(), hooks)
        };
        drop(state);
        if decision.changed {
            self.changed.ring();
        }
        match stops {
            true => self.call(hooks),
            false => drop(hooks),
        }
        self.tell(decision, info);
        if decision.changed {
            self.setup.bell.ring();
        }
        decision.next
    }
}

impl<T: Data> ReceiverStream<T> {
    /// Nothing under this lock can panic half-way, so a poisoned state is a valid one.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread, if it can be joined without waiting; `Some(None)` if there is none.
    fn finished(&self) -> Option<Option<JoinHandle<()>>> {
        let mut state = self.lock();
        (state.finished || state.thread.is_none()).then(|| state.thread.take())
    }

    /// On a thread of their own, which ends when they return: one that does not must not keep the stream from stopping.
    fn call(&self, hooks: Vec<Hook>) {
        if hooks.is_empty() {
            return;
        }
        let waiting = Arc::new(Mutex::new(hooks));
        let (name, theirs) = (self.name.clone(), waiting.clone());
        let spawned = thread::spawn(&format!("receiver-{}-stop", self.id()), move || {
            thread::serve();
            call_all(&name, &theirs);
        });
        if let Err(e) = spawned {
            tracing::warn!(receiver = &*self.name, "no thread to end the receiver on, so this one waits for that: {e}");
            call_all(&self.name, &waiting);
        }
    }

    fn tell(&self, decision: Decision, info: ReceiverInfo) {
        let Some(tell) = decision.tell else { return };
        let receiver = &*self.name;
        let error = info.last_error.as_deref().unwrap_or_default();
        match (tell, info.state) {
            (Tell::Started, _) => tracing::info!(receiver, restarts = info.restarts, "receiving"),
            (Tell::Error, _) => tracing::warn!(receiver, error, "the receiver reports an error and goes on"),
            (Tell::Stopped, ReceiverState::Restarting { at }) => {
                let delay_ms = (at - self.setup.clock.now()).as_millis();
                tracing::warn!(receiver, error, delay_ms, at = %at, "the receiver failed and is going to be restarted");
            }
            (Tell::Stopped, ReceiverState::Abandoned) => {
                tracing::warn!(
                    receiver,
                    "the receiver did not return after it was told to stop; its thread is left behind"
                );
            }
            (Tell::Stopped, state) => tracing::info!(receiver, ?state, records = info.records, "no longer receiving"),
        }
        (self.setup.events)(match tell {
            Tell::Started => ReceiverEvent::Started(info),
            Tell::Error => ReceiverEvent::Error(info),
            Tell::Stopped => ReceiverEvent::Stopped(info),
        });
    }
}

fn call_all(receiver: &str, hooks: &Mutex<Vec<Hook>>) {
    for hook in std::mem::take(&mut *hooks.lock().unwrap_or_else(PoisonError::into_inner)) {
        if catch_unwind(AssertUnwindSafe(hook)).is_err() {
            tracing::error!(receiver, "a closure given to on_stop panicked; the receiver may not stop");
        }
    }
}
