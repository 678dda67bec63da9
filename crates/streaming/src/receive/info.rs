//! [`ReceiverInfo`], [`ReceiverState`], [`ReceiverEvent`]: what is known of a receiver. Refuses to change anything.

use winterbourne_base::Time;

/// A snapshot of one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiverInfo {
    /// The id of its input stream.
    pub stream_id: usize,
    /// `<name of the receiver>-<stream id>`, such as `SocketReceiver-0`.
    pub name: String,
    /// What it does now.
    pub state: ReceiverState,
    /// The last failure, panic or reported error, or why it asked to be stopped or called again.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_time: Option<Time>,
    /// How often it was started again after a failure.
    pub restarts: u64,
    /// Records received so far, in all runs.
    pub records: u64,
    /// Of these, how many no batch has taken yet.
    pub waiting_records: u64,
    /// Bytes held in memory: waiting, or in a batch that is not done.
    pub buffered_bytes: u64,
    /// Records in which bytes that are not UTF-8 were replaced.
    pub invalid_utf8: u64,
    /// Records dropped because they were longer than `spark.streaming.receiver.maxLineLength`.
    pub oversized: u64,
    /// Frames dropped because they could not be decoded.
    pub undecodable: u64,
    /// Records of batches that a restart found unfinished, or that windows look back on, and that are gone because
    /// `spark.streaming.receiver.writeAheadLog.enable` was false.
    pub lost_records: u64,
    /// How often a `store` had to wait because `spark.streaming.receiver.bufferSize` was reached.
    pub waits: u64,
    /// How often a `store` had to wait because batches did not keep up: of a full buffer, or of back-pressure.
    pub stalls: u64,
    /// The most records per second that it may take in now; none is no limit. Under back-pressure, what batches keep up
    /// with.
    pub rate_limit: Option<u64>,
    /// How often a `store` had to wait because of a rate, or of back-pressure.
    pub rate_waits: u64,
}

/// What a receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiverState {
    /// Its thread has not begun yet.
    Starting,
    /// It receives.
    Active,
    /// It failed and is called again at this time.
    Restarting {
        /// When, on the stream's clock.
        at: Time,
    },
    /// Its source has ended: nothing more will come.
    Ended,
    /// It was told to stop, or asked for it, and did.
    Stopped,
    /// It was told to stop, and its thread did not return in time. Nothing it stores is taken any more.
    Abandoned,
}

/// Something happened to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiverEvent {
    /// A run begins: the first one, or one after a failure.
    Started(ReceiverInfo),
    /// The receiver reported an error and goes on.
    Error(ReceiverInfo),
    /// A run is over. The state tells why: it ended, failed (and is restarting), was stopped or abandoned.
    Stopped(ReceiverInfo),
}

impl ReceiverEvent {
    /// The receiver just after it happened.
    #[must_use]
    pub fn info(&self) -> &ReceiverInfo {
        match self {
            Self::Started(info) | Self::Error(info) | Self::Stopped(info) => info,
        }
    }
}
