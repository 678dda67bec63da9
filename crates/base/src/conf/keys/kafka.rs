//! Keys of the direct Kafka stream.

use crate::conf::{Entry, Group, Key, Rule, Unit};
use crate::time::Duration;

keys! {
    "Kafka";

    /// The most records per second that each Kafka partition contributes; zero or less for no limit.
    KAFKA_MAX_RATE_PER_PARTITION: Option<u64> = "spark.streaming.kafka.maxRatePerPartition" {
        no_effect: super::LATER,
        default: Some("0"), rule: Rule::Limit, unit: Unit::Of("records/s")
    }

    /// The fewest records per second that back-pressure leaves each Kafka partition.
    KAFKA_MIN_RATE_PER_PARTITION: u64 = "spark.streaming.kafka.minRatePerPartition" {
        no_effect: super::LATER,
        default: Some("1"), unit: Unit::Of("records/s")
    }

    /// Whether gaps between the offsets of a partition (compacted topics, transactions) are expected.
    KAFKA_ALLOW_NON_CONSECUTIVE_OFFSETS: bool = "spark.streaming.kafka.allowNonConsecutiveOffsets" {
        no_effect: super::LATER,
        default: Some("false")
    }

    /// Whether consumers are kept open from batch to batch.
    KAFKA_CONSUMER_CACHE_ENABLED: bool = "spark.streaming.kafka.consumer.cache.enabled" { no_effect: super::LATER, default: Some("true") }

    /// The most consumers that are kept open.
    KAFKA_CONSUMER_CACHE_MAX_CAPACITY: usize = "spark.streaming.kafka.consumer.cache.maxCapacity" {
        no_effect: super::LATER,
        default: Some("64"), rule: Rule::Positive, unit: Unit::Of("consumers")
    }

    /// How long to wait for the records of an offset range.
    KAFKA_CONSUMER_POLL: Duration = "spark.streaming.kafka.consumer.poll.ms" {
        no_effect: super::LATER,
        default: Some("120s"), rule: Rule::Positive
    }
}
