//! What can go wrong between a stream and a cluster.
use crate::{OffsetRange, TopicPartition};
use std::fmt;

/// An error of this crate. In a stream it fails a batch or a start, and is named there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter that the client does not take, or that means nothing here.
    #[error("Kafka parameter {key}: {what}")]
    Parameter {
        /// The parameter.
        key: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The cluster did not do what was asked.
    #[error("Kafka at {servers}: {doing}: {what}")]
    Cluster {
        /// `bootstrap.servers`.
        servers: String,
        /// What was being done.
        doing: String,
        /// What the cluster or the client said.
        what: String,
    },
    /// Topics or partitions that are read are not there.
    #[error("{}: not in the cluster (any more); create it again, or leave it out of the consumer strategy", Listed(.0))]
    Gone(Vec<TopicPartition>),
    /// Records that were to be read next have been deleted.
    #[error(
        "offsets are out of range: {}. Their records are gone, by retention or because the topic was made anew. To go on \
         without them, set OutOfRange::Earliest or OutOfRange::Latest in the options of the stream",
        Listed(.0)
    )]
    OutOfRange(Vec<Missing>),
    /// A range that ends before it begins.
    #[error("the beginning offset of {0} is after its ending offset")]
    Range(OffsetRange),
    /// No committed offset, and `auto.offset.reset` forbids to choose one.
    #[error("{}: no offset to begin with: group {group:?} has committed none, and auto.offset.reset is none", Listed(.partitions))]
    NoOffset {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// The group.
        group: String,
    },
    /// A range whose records did not come.
    #[error(
        "{range}: no record came for {waited_ms} ms at offset {at} (spark.streaming.kafka.consumer.poll.ms): {last}"
    )]
    Silence {
        /// What was being read.
        range: OffsetRange,
        /// The offset waited for.
        at: i64,
        /// How long.
        waited_ms: u64,
        /// What the client said last.
        last: String,
    },
}

/// Records that cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// Where.
    pub partition: TopicPartition,
    /// What was to be read next.
    pub wanted: i64,
    /// The first offset that is there.
    pub first: i64,
    /// The offset that the next record will have.
    pub end: i64,
}
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { partition, wanted, first, end } = self;
        write!(f, "{partition} is to be read from {wanted}, and has {first} to {end}")
    }
}

struct Listed<'a, T>(&'a [T]);
impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, x)| write!(f, "{}{x}", if i == 0 { "" } else { ", " }))
    }
}
