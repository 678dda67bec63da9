//! Keys of sources that push or list: receivers, sockets, files.

use crate::conf::{Bytes, Entry, Group, Key, Rule, Unit};
use crate::time::Duration;

keys! {
    "Receivers and files";

    /// How often received records are cut into a block; each block becomes a partition.
    BLOCK_INTERVAL: Option<Duration> = "spark.streaming.blockInterval" {
        rule: Rule::Positive, unset: "the smaller of 200ms and a quarter of the batch interval"
    }

    /// Blocks that may wait to be stored before the receiver is slowed down.
    BLOCK_QUEUE_SIZE: usize = "spark.streaming.blockQueueSize" {
        no_effect: Some("bytes are bounded instead, by `spark.streaming.receiver.bufferSize`"),
        default: Some("10"), rule: Rule::Positive, unit: Unit::Of("blocks")
    }

    /// The most records that each receiver takes in per second; zero or less for no limit.
    RECEIVER_MAX_RATE: Option<u64> = "spark.streaming.receiver.maxRate" {
        rule: Rule::Limit, unit: Unit::Of("records/s"), unset: "no limit"
    }

    /// The most bytes that each receiver takes in per second, as it estimates them.
    RECEIVER_MAX_BYTE_RATE: Option<Bytes> = "spark.streaming.receiver.maxByteRate" {
        rule: Rule::Positive, unset: "no limit"
    }

    /// How long a receiver that failed waits before it is started again; twice as long after each further failure, up to 16
    /// times, until a run has stored something.
    RECEIVER_RESTART_DELAY: Duration = "spark.streaming.receiverRestartDelay" { default: Some("2s") }

    /// The most bytes that a receiver holds, with what strings and collections of its records hold; a full buffer slows the
    /// source down.
    RECEIVER_BUFFER_SIZE: Bytes = "spark.streaming.receiver.bufferSize" { default: Some("256m"), rule: Rule::Positive }

    /// The longest line a text receiver accepts; longer ones are dropped and counted.
    RECEIVER_MAX_LINE: Bytes = "spark.streaming.receiver.maxLineLength" { default: Some("8m"), rule: Rule::Positive }

    /// Whether a socket receiver connects again when the other side closes.
    SOCKET_RECONNECT: bool = "spark.streaming.socket.reconnect" { default: Some("true") }

    /// The longest frame that a raw socket stream accepts; a longer one ends the connection.
    RAW_MAX_BLOCK_SIZE: Bytes = "spark.streaming.raw.maxBlockSizeBytes" { default: Some("1g"), rule: Rule::Positive }

    /// How old a file may be, by its modification time, when a file stream first sees it; older ones are left out and
    /// counted.
    FILE_MIN_REMEMBER_DURATION: Duration = "spark.streaming.fileStream.minRememberDuration" {
        default: Some("60s"), unit: Unit::Seconds, aliases: &["spark.streaming.minRememberDuration"]
    }

    /// The most files that a file stream reads in one batch; the others wait for the next.
    FILE_MAX_PER_BATCH: usize = "spark.streaming.fileStream.maxFilesPerBatch" {
        default: Some("10000"), rule: Rule::Positive, unit: Unit::Of("files")
    }
}
