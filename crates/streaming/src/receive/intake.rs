//! [`Intake`]: what a receiver is handed. Refuses to outlive the run it was made for, and to show what was stored.

use std::sync::Arc;

use winterbourne_engine::Data;

use super::stream::ReceiverStream;
use super::supervisor::Event;
use crate::rate::Load;

/// Where a [`Receiver`](super::Receiver) puts what it receives. Cheap to clone, for receivers with threads of their
/// own.
///
/// Records of one thread stay in the order in which they were stored.
///
/// *Waiting.* While the stream holds `spark.streaming.receiver.bufferSize` bytes, or under back-pressure twice of what a
/// batch can process, the `store` methods block until a batch is done with some of it, or until the receiver is told to
/// stop; those who wait are served in order. What is larger than the bound by itself is taken when nothing else is held.
///
/// *Rates.* They also block until `spark.streaming.receiver.maxRate` and `spark.streaming.receiver.maxByteRate` allow it.
/// Records that are stored together come in together, when as many as they are may have come since.
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

/// Why records are not durable. They must not be acknowledged to the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was stored, and the receiver should return.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Nothing was stored. It may work later if the message says so, a full disk, say.
    #[error("nothing was stored: {0}; the records are not to be acknowledged, and may be stored again")]
    NotStored(String),
    /// Nothing was stored: the bytes given to [`Intake::store_serialized`] are not records of the stream's type. Storing
    /// them again would not help.
    #[error("nothing was stored: {0}")]
    Undecodable(String),
    /// The write-ahead log failed half-way. The records are lost or come back when the program is started again; until
    /// then no batch that needs the log succeeds.
    #[error("it is not known whether the records are durable: {0}; they are not to be acknowledged")]
    Unknown(String),
}

/// What a receiver puts up with in its input, but counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tolerated {
    /// Records in which bytes that are not UTF-8 were replaced by U+FFFD.
    InvalidUtf8,
    /// Records dropped because they were longer than [`Intake::max_record`].
    OversizedRecord,
    /// Frames dropped because they could not be decoded.
    Undecodable,
}

fn load(records: usize, bytes: usize) -> Load {
    Load { records: records as u64, bytes: bytes as u64 }
}

impl<T: Data> Intake<T> {
    /// Stores one record, which counts with what its strings and collections hold.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: the record was not taken.
    pub fn store(&self, record: T) -> Result<(), Stopped> {
        let bytes = self.weight(std::slice::from_ref(&record));
        self.store_one_sized(record, bytes)
    }

    /// The bytes that these records hold in memory.
    pub(super) fn weight(&self, records: &[T]) -> usize {
        (self.stream.weight)(records)
    }

    /// As [`store`](Self::store), of a record that holds about so many bytes in memory.
    pub(super) fn store_one_sized(&self, record: T, bytes: usize) -> Result<(), Stopped> {
        self.stream.put(self.run, load(1, bytes), |buffer, bytes, now| buffer.push(record, bytes, now))
    }

    /// Stores records, which count with what their strings and collections hold, in one block unless that would be more
    /// than a batch can have. Large vectors that stay whole are not copied.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: none of them was taken.
    pub fn store_all(&self, records: Vec<T>) -> Result<(), Stopped> {
        let bytes = self.weight(&records);
        self.store_sized(records, bytes)
    }

    /// As [`store_all`](Self::store_all), by a caller who knows how many bytes the records hold in memory: nobody looks
    /// into them.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: none of them was taken.
    pub fn store_sized(&self, records: Vec<T>, bytes: usize) -> Result<(), Stopped> {
        if records.is_empty() {
            return if self.is_stopped() { Err(Stopped) } else { Ok(()) };
        }
        let load = load(records.len(), bytes);
        self.stream.put(self.run, load, |buffer, bytes, now| buffer.push_all(records, bytes, now))
    }

    /// Stores records as a block of their own, and returns when they are durable: when a restart of the program would find
    /// them. Only then acknowledge them to the source; that is what makes a receiver *reliable*. Threads that store at the
    /// same time share the syncs of the disk, so many of them are faster than one. Without a write-ahead log (no
    /// checkpoint directory, or `spark.streaming.receiver.writeAheadLog.enable` is false) it returns when they are in
    /// memory. The records count with what their strings and collections hold.
    ///
    /// While the disk is full it waits and tries again, `spark.streaming.receiver.writeAheadLog.maxFailures` times.
    ///
    /// ```
    /// use winterbourne_streaming::receive::{Intake, Receiver};
    /// use winterbourne_streaming::{BoxError, StoreError};
    ///
    /// /// Takes messages out of a queue that keeps them until they are acknowledged.
    /// struct Queue { connection: Connection }
    /// # struct Connection;
    /// # impl Connection {
    /// #     fn next(&mut self) -> Result<Vec<String>, BoxError> { Ok(vec![]) }
    /// #     fn acknowledge(&mut self) {}
    /// # }
    /// impl Receiver<String> for Queue {
    ///     fn receive(&mut self, intake: &Intake<String>) -> Result<(), BoxError> {
    ///         while !intake.is_stopped() {
    ///             let messages = self.connection.next()?;
    /// #           if messages.is_empty() { break }
    ///             intake.store_reliably(messages)?; // on failure they are not acknowledged, and come again
    ///             self.connection.acknowledge();
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// # assert_eq!(Queue { connection: Connection }.name(), "Queue");
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`], which says whether the records may turn up all the same. Do not acknowledge them.
    pub fn store_reliably(&self, records: Vec<T>) -> Result<(), StoreError> {
        let bytes = self.weight(&records);
        self.store_sized_reliably(records, bytes)
    }

    /// As [`store_reliably`](Self::store_reliably), by a caller who knows how many bytes the records hold in memory.
    ///
    /// # Errors
    ///
    /// As `store_reliably`.
    pub fn store_sized_reliably(&self, records: Vec<T>, bytes: usize) -> Result<(), StoreError> {
        if records.is_empty() {
            return if self.is_stopped() { Err(Stopped.into()) } else { Ok(()) };
        }
        self.stream.put_reliably(self.run, bytes, records)
    }

    /// Stores records that are serialised already, as a block of their own; otherwise as
    /// [`store_reliably`](Self::store_reliably). `bytes` are what postcard makes of a `Vec<T>` (a count, then the records),
    /// the form in which the write-ahead log has them. They are decoded here, on the thread of the receiver.
    ///
    /// ```
    /// # use winterbourne_streaming::{BoxError, Intake, Receiver};
    /// /// Receives batches of numbers that somebody serialised.
    /// struct Packed(Vec<Vec<u8>>);
    /// impl Receiver<u32> for Packed {
    ///     fn receive(&mut self, intake: &Intake<u32>) -> Result<(), BoxError> {
    ///         for bytes in self.0.drain(..) {
    ///             intake.store_serialized(&bytes)?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, milliseconds};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, milliseconds(10))?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// let numbers = ssc.receiver_stream(Packed(vec![vec![3, 7, 8, 9]])); // three numbers: 7, 8, 9
    /// # numbers.foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// # ssc.start()?;
    /// # ssc.await_termination()?;
    /// # assert_eq!(seen.try_iter().collect::<Vec<_>>().concat(), [7, 8, 9]);
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError::Undecodable`]: that is not what the bytes hold; nothing was stored. Otherwise as `store_reliably`.
    pub fn store_serialized(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let records = self.stream.codec.decode(bytes).map_err(StoreError::Undecodable)?;
        let held = bytes.len() + records.len().saturating_mul(size_of::<T>());
        self.store_sized_reliably(records, held)
    }

    /// Whether the receiver should return: it was told to stop, or the run this intake was made for is over.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stream.is_over(self.run)
    }

    /// Calls `f` when the receiver is told to stop, on a thread of its own; now, if it already was. For ending
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

    /// Ends the receiver for good, from whichever thread: from now on nothing is taken, the closures given to
    /// [`on_stop`](Self::on_stop) are called, and when `receive` has returned, whatever it returns, it is not called again.
    /// `message` says why: it becomes [`ReceiverInfo::last_error`](super::ReceiverInfo::last_error). Does nothing if the run
    /// is over.
    pub fn stop(&self, message: impl Into<String>) {
        self.stream.ask(self.run, Event::StopAsked(message.into()));
    }

    /// Ends this run, from whichever thread, as [`stop`](Self::stop) does, but `receive` is called again when it has returned
    /// and the delay is over, as after a failure with this message. For threads that notice what `receive` itself does not.
    ///
    /// ```
    /// use winterbourne_streaming::{BoxError, Intake, Receiver};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, milliseconds};
    ///
    /// /// A thread reads; the receiver itself only waits for its end.
    /// struct Beside { calls: u64 }
    /// impl Receiver<u64> for Beside {
    ///     fn receive(&mut self, intake: &Intake<u64>) -> Result<(), BoxError> {
    ///         self.calls += 1;
    ///         let (done, ended) = std::sync::mpsc::channel::<()>();
    ///         intake.on_stop(move || drop(done));
    ///         let (theirs, call) = (intake.clone(), self.calls);
    ///         std::thread::spawn(move || {
    ///             let _ = theirs.store(call);
    ///             if call < 3 { theirs.restart("no heartbeat") } else { theirs.stop("three calls are enough") }
    ///         });
    ///         let _ = ended.recv();
    ///         Ok(())
    ///     }
    /// }
    /// # let conf = SparkConf::empty().set_app_name("doc").set("spark.streaming.receiverRestartDelay", "1ms");
    /// # let sc = SparkContext::new(conf)?;
    /// # let ssc = StreamingContext::new(&sc, milliseconds(10))?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// # ssc.receiver_stream(Beside { calls: 0 }).foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// # ssc.start()?;
    /// # ssc.await_termination()?;
    /// # assert_eq!(seen.try_iter().collect::<Vec<_>>().concat(), [1, 2, 3]);
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn restart(&self, message: impl Into<String>) {
        self.stream.ask(self.run, Event::RestartAsked(message.into()));
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

    /// The longest frame to accept, in bytes: `spark.streaming.raw.maxBlockSizeBytes`.
    pub(super) fn max_frame(&self) -> u64 {
        self.stream.settings().max_frame
    }

    /// Whether to connect again when the other side closes: `spark.streaming.socket.reconnect`. A receiver does so by
    /// returning an error at the end of its connection.
    #[must_use]
    pub fn reconnects(&self) -> bool {
        self.stream.settings().reconnects
    }
}
