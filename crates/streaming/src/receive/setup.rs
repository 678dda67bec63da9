//! [`Setup`] and [`Settings`]: what a receiver stream is made with. Refuses to look anything up later.

use std::sync::Arc;

use winterbourne_base::clock::Bell;
use winterbourne_base::conf::{ConfError, keys};
use winterbourne_base::time::milliseconds;
use winterbourne_base::{Clock, Duration, SparkConf};

use super::ReceiverEvent;
use crate::rate::Limit;

/// The surroundings of one receiver stream.
pub(crate) struct Setup {
    /// The id of the input stream.
    pub(crate) id: usize,
    /// The batch interval: blocks are cut at its multiples too.
    pub(crate) batch: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    /// Told of everything that happens, on whichever thread it happens, under no lock of ours.
    pub(crate) events: Arc<dyn Fn(ReceiverEvent) + Send + Sync>,
    /// Rung after every change of state, and when the stream has ended; not for records.
    pub(crate) bell: Bell,
}

/// The configuration of receivers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) block_interval: Duration,
    /// How many bytes a stream may hold.
    pub(crate) buffer_bytes: u64,
    /// Records per second that are never exceeded.
    pub(crate) max_rate: Option<u64>,
    pub(crate) max_byte_rate: Option<u64>,
    /// What a batch never holds more of.
    pub(crate) most: Limit,
    pub(crate) restart_delay: Duration,
    /// The longest record, in bytes.
    pub(crate) max_record: usize,
    /// The longest frame, in bytes.
    pub(crate) max_frame: u64,
    /// Whether the end of a connection is a failure, so that the receiver is called again.
    pub(crate) reconnects: bool,
    /// Whether the write-ahead log was asked for by name.
    pub(crate) wants_log: bool,
    /// Attempts of one write to it.
    pub(crate) log_attempts: usize,
}

impl Settings {
    /// What `conf` says, for a stream with this batch interval.
    pub(crate) fn of(conf: &SparkConf, batch: Duration) -> Result<Self, ConfError> {
        Ok(Self {
            block_interval: conf.value(keys::BLOCK_INTERVAL)?.unwrap_or_else(|| default_block_interval(batch)),
            buffer_bytes: conf.value(keys::RECEIVER_BUFFER_SIZE)?.0,
            max_rate: conf.value(keys::RECEIVER_MAX_RATE)?,
            max_byte_rate: conf.value(keys::RECEIVER_MAX_BYTE_RATE)?.map(|bytes| bytes.0),
            most: Limit {
                records: conf.value(keys::BATCH_MAX_RECORDS)?,
                bytes: conf.value(keys::BATCH_MAX_BYTES)?.map(|bytes| bytes.0),
            },
            restart_delay: conf.value(keys::RECEIVER_RESTART_DELAY)?,
            max_frame: conf.value(keys::RAW_MAX_BLOCK_SIZE)?.0,
            max_record: conf.value(keys::RECEIVER_MAX_LINE)?.as_usize(),
            reconnects: conf.value(keys::SOCKET_RECONNECT)?,
            wants_log: conf.value(keys::RECEIVER_WAL_ENABLE)? == Some(true),
            log_attempts: conf.value(keys::RECEIVER_WAL_MAX_FAILURES)?,
        })
    }
}

/// At least four blocks per batch, so that a batch has some parallelism, and at most five per second, as in Spark.
fn default_block_interval(batch: Duration) -> Duration {
    milliseconds(batch.as_millis() / 4).min(milliseconds(200)).max(milliseconds(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_four_times_a_batch_and_five_times_a_second() {
        for (batch, expect) in [(10_000, 200), (1_000, 200), (800, 200), (500, 125), (10, 2), (1, 1)] {
            let settings = Settings::of(&SparkConf::empty(), milliseconds(batch)).unwrap();
            assert_eq!(settings.block_interval, milliseconds(expect), "{batch}");
        }
        let set = SparkConf::empty().set(keys::BLOCK_INTERVAL, "3s");
        assert_eq!(Settings::of(&set, milliseconds(1_000)).unwrap().block_interval, milliseconds(3_000));
    }

    #[test]
    fn a_bad_value_is_an_error() {
        let conf = SparkConf::empty().set(keys::RECEIVER_BUFFER_SIZE, "much");
        assert!(Settings::of(&conf, milliseconds(100)).is_err());
    }
}
