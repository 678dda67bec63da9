//! [`State`]: everything of a receiver stream that changes, under one lock. Refuses to lock itself, wait or tell.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;

use winterbourne_base::Time;
use winterbourne_engine::Data;

use super::buffer::Buffer;
use super::ledger::Ledger;
use super::room::Room;
use super::supervisor::Supervisor;
use super::{Receiver, ReceiverInfo, Setup};
use crate::durable::{InputLog, NotWritten};
use crate::rate::Limiter;

/// What a receiver wants done when it is told to stop.
pub(super) type Hook = Box<dyn FnOnce() + Send>;

pub(super) struct State<T: Data> {
    stream: usize,
    name: Arc<str>,
    /// Here until the thread takes it.
    pub(super) receiver: Option<Box<dyn Receiver<T>>>,
    pub(super) thread: Option<JoinHandle<()>>,
    /// The thread will touch nothing any more.
    pub(super) finished: bool,
    pub(super) supervisor: Supervisor,
    /// The number of the current run, or between runs of the next one. Intakes of other runs are over.
    pub(super) run: u64,
    /// Those of the current run.
    pub(super) hooks: Vec<Hook>,
    /// INVARIANT: holds everything of `buffer` that is in memory.
    pub(super) room: Room,
    pub(super) limiter: Limiter,
    /// Records per second that the batches keep up with, under back-pressure.
    pub(super) allowed: Option<u64>,
    pub(super) buffer: Buffer<T>,
    /// The write-ahead log, where there is a checkpoint directory.
    pub(super) log: Option<InputLog>,
    pub(super) ledger: Ledger,
    /// Everything before that block is cut and written, for the batch of that time; or why not.
    pub(super) prepared: Option<(Time, Result<u64, NotWritten>)>,
    /// The log does not take what is cut, which was reported.
    pub(super) in_trouble: bool,
    /// Of the first block that this process may cut.
    pub(super) first_number: u64,
    /// Planned before a restart, and not in the log.
    pub(super) lost_blocks: BTreeSet<u64>,
    pub(super) lost_records: u64,
    pub(super) records: u64,
    pub(super) waits: u64,
    pub(super) rate_waits: u64,
    pub(super) stalls: u64,
    pub(super) invalid_utf8: u64,
    pub(super) oversized: u64,
    pub(super) undecodable: u64,
}

impl<T: Data> State<T> {
    pub(super) fn new(setup: &Setup, name: Arc<str>, receiver: Box<dyn Receiver<T>>) -> Self {
        let settings = setup.settings;
        Self {
            stream: setup.id,
            name,
            receiver: Some(receiver),
            thread: None,
            finished: false,
            supervisor: Supervisor::new(settings.restart_delay),
            run: 0,
            hooks: Vec::new(),
            room: Room::new(settings.buffer_bytes),
            limiter: Limiter::new(settings.max_rate, settings.max_byte_rate),
            allowed: None,
            buffer: Buffer::new(setup.id, settings.block_interval, setup.batch).bound(settings.most),
            log: None,
            ledger: Ledger::default(),
            prepared: None,
            in_trouble: false,
            first_number: 0,
            lost_blocks: BTreeSet::new(),
            lost_records: 0,
            records: 0,
            waits: 0,
            rate_waits: 0,
            stalls: 0,
            invalid_utf8: 0,
            oversized: 0,
            undecodable: 0,
        }
    }

    /// Whether the intake of this run takes nothing more.
    pub(super) fn is_over(&self, run: u64) -> bool {
        self.run != run || self.supervisor.is_stopping()
    }

    pub(super) fn info(&self) -> ReceiverInfo {
        let error = self.supervisor.last_error();
        ReceiverInfo {
            stream_id: self.stream,
            name: self.name.to_string(),
            state: self.supervisor.state(),
            last_error: error.map(|(message, _)| message.clone()),
            last_error_time: error.map(|(_, time)| *time),
            restarts: self.supervisor.restarts(),
            records: self.records,
            waiting_records: self.buffer.waiting_records(),
            buffered_bytes: self.room.held(),
            invalid_utf8: self.invalid_utf8,
            oversized: self.oversized,
            undecodable: self.undecodable,
            lost_records: self.lost_records,
            waits: self.waits,
            stalls: self.stalls,
            rate_limit: self.limiter.rate().into_iter().chain(self.allowed).min(),
            rate_waits: self.rate_waits,
        }
    }
}
