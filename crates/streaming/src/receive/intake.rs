//! [`Intake`]: what a receiver is handed. Refuses to outlive the run it was made for, and to show what was stored.

use std::sync::Arc;

use winterbourne_engine::Data;

use super::stream::ReceiverStream;

/// Where a [`Receiver`](super::Receiver) puts what it receives. Cheap to clone, for receivers with threads of their
/// own.
///
/// Records of one thread stay in the order in which they were stored.
///
/// *Waiting.* While the stream holds `spark.streaming.receiver.bufferSize` bytes, the `store` methods block until a
/// batch is done with some of them, or until the receiver is told to stop; those who wait are served in order. What is
/// larger than the bound by itself is taken when nothing else is held.
#[derive(Clone)]
pub struct Intake<T: Data> {
    pub(super) stream: Arc<ReceiverStream<T>>,
    /// The run it belongs to.
    pub(super) run: u64,
}

/// The receiver was told to stop, or its run is over: the records were not taken, and it should return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver was told to stop: these records were not taken")]
pub struct Stopped;

/// What a receiver puts up with in its input, but counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tolerated {
    /// Records in which bytes that are not UTF-8 were replaced by U+FFFD.
    InvalidUtf8,
    /// Records dropped because they were longer than [`Intake::max_record`].
    OversizedRecord,
}

impl<T: Data> Intake<T> {
    /// Stores one record, estimated at `size_of::<T>()` bytes.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: the record was not taken.
    pub fn store(&self, record: T) -> Result<(), Stopped> {
        self.stream.put(self.run, size_of::<T>(), |buffer, bytes, now| buffer.push(record, bytes, now))
    }

    /// Stores records, estimated at `size_of::<T>()` bytes each, in one block. Large vectors are not copied.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: none of them was taken.
    pub fn store_all(&self, records: Vec<T>) -> Result<(), Stopped> {
        let bytes = records.len().saturating_mul(size_of::<T>());
        self.store_sized(records, bytes)
    }

    /// As [`store_all`](Self::store_all), by a caller who knows how many bytes the records hold in memory.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: none of them was taken.
    pub fn store_sized(&self, records: Vec<T>, bytes: usize) -> Result<(), Stopped> {
        if records.is_empty() {
            return if self.is_stopped() { Err(Stopped) } else { Ok(()) };
        }
        self.stream.put(self.run, bytes, |buffer, bytes, now| buffer.push_all(records, bytes, now))
    }

    /// Whether the receiver should return: it was told to stop, or the run this intake was made for is over.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stream.is_over(self.run)
    }

    /// Calls `f` when the receiver is told to stop, on the thread that tells it; now, if it already was. For ending
    /// what the receiver blocks in, such as shutting its socket down. Dropped uncalled when this run ends by itself.
    pub fn on_stop(&self, f: impl FnOnce() + Send + 'static) {
        self.stream.on_stop(self.run, Box::new(f));
    }

    /// Says that something is wrong, without ending the run: shown in
    /// [`ReceiverInfo::last_error`](super::ReceiverInfo::last_error), logged, and told as
    /// [`ReceiverEvent::Error`](super::ReceiverEvent::Error).
    pub fn report_error(&self, message: impl Into<String>) {
        self.stream.report(message.into());
    }

    /// The id of the input stream.
    #[must_use]
    pub fn stream_id(&self) -> usize {
        self.stream.id()
    }

    /// Adds `n` to what [`ReceiverInfo`](super::ReceiverInfo) counts of this.
    pub fn tolerated(&self, what: Tolerated, n: u64) {
        if n > 0 {
            self.stream.count(what, n);
        }
    }

    /// The longest record to accept, in bytes: `spark.streaming.receiver.maxLineLength`.
    #[must_use]
    pub fn max_record(&self) -> usize {
        self.stream.settings().max_record
    }

    /// Whether to connect again when the other side closes: `spark.streaming.socket.reconnect`. A receiver does so by
    /// returning an error at the end of its connection.
    #[must_use]
    pub fn reconnects(&self) -> bool {
        self.stream.settings().reconnects
    }
}
