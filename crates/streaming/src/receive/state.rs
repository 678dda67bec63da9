//! [`State`]: everything of a receiver stream that changes, under one lock. Refuses to lock itself, wait or tell.

use std::sync::Arc;
use std::thread::JoinHandle;

use winterbourne_engine::Data;

use super::buffer::Buffer;
use super::room::Room;
use super::supervisor::Supervisor;
use super::{Receiver, ReceiverInfo, Setup};

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
    /// INVARIANT: holds the bytes of everything in `buffer`.
    pub(super) room: Room,
    pub(super) buffer: Buffer<T>,
    pub(super) records: u64,
    pub(super) waits: u64,
    pub(super) invalid_utf8: u64,
    pub(super) oversized: u64,
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
            buffer: Buffer::new(setup.id, settings.block_interval, setup.batch),
            records: 0,
            waits: 0,
            invalid_utf8: 0,
            oversized: 0,
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
            waits: self.waits,
        }
    }
}
