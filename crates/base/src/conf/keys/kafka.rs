//! Keys of the direct Kafka stream.

use crate::conf::{Entry, Group, Key, Rule, Unit};
use crate::time::Duration;

keys! {
    "Kafka";

    /// The most records per second that each Kafka partition contributes; zero or less for no limit.
    KAFKA_MAX_RATE_PER_PARTITION: Option<u64> = "spark.streaming.kafka.maxRatePerPartition" {
        default: Some("0"), rule: Rule::Limit, unit: Unit::Of("records/s")
    }

    /// The fewest records per second that back-pressure leaves each Kafka partition.
    KAFKA_MIN_RATE_PER_PARTITION: u64 = "spark.streaming.kafka.minRatePerPartition" {
        default: Some("1"), unit: Unit::Of("records/s")
    }

    /// Whether gaps between the offsets of a partition (compacted topics, transactions) are expected.
    KAFKA_ALLOW_NON_CONSECUTIVE_OFFSETS: bool = "spark.streaming.kafka.allowNonConsecutiveOffsets" {
        no_effect: Some("gaps are never an error: records are taken as they come, up to the end of a range"),
        default: Some("false")
    }

    /// Whether consumers are kept open from batch to batch.
    KAFKA_CONSUMER_CACHE_ENABLED: bool = "spark.streaming.kafka.consumer.cache.enabled" { default: Some("true") }

    /// The most consumers that are kept open.
    KAFKA_CONSUMER_CACHE_MAX_CAPACITY: usize = "spark.streaming.kafka.consumer.cache.maxCapacity" {
        default: Some("64"), rule: Rule::Positive, unit: Unit::Of("consumers")
    }

    /// How long to wait for the records of an offset range.
    KAFKA_CONSUMER_POLL: Duration = "spark.streaming.kafka.consumer.poll.ms" {
        default: Some("120s"), rule: Rule::Positive
    }
}
