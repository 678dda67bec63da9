//! Records as they come and go, and where they lie.
use crate::Bytes;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use winterbourne_engine::Text;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Text,
    /// The number of the partition, from 0.
    pub partition: i32,
}
impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl AsRef<str>, partition: i32) -> Self {
        TopicPartition { topic: Text::new(topic.as_ref()), partition }
    }
}
/// `clicks-3`, as Kafka's tools write it.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A run of offsets of one partition.
///
/// ```
/// use winterbourne_kafka::OffsetRange;
/// let range = OffsetRange::new("clicks", 3, 100, 250);
/// assert_eq!((range.count(), range.to_string()), (150, "clicks-3 [100, 250)".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OffsetRange {
    /// Where.
    pub partition: TopicPartition,
    /// The first offset.
    #[doc(alias = "fromOffset")]
    pub from: i64,
    /// The offset after the last one.
    #[doc(alias = "untilOffset")]
    pub until: i64,
}
impl OffsetRange {
    /// The offsets from `from` to before `until`.
    pub fn new(topic: impl AsRef<str>, partition: i32, from: i64, until: i64) -> Self {
        OffsetRange { partition: TopicPartition::new(topic, partition), from, until }
    }
    /// How many offsets that is: as many records as there are at most. Compaction and transactions leave gaps.
    pub fn count(&self) -> u64 {
        u64::try_from(self.until - self.from).unwrap_or(0)
    }
}
impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {})", self.partition, self.from, self.until)
    }
}

/// One header of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name, which may occur several times.
    pub key: String,
    /// Its value, if it has one.
    pub value: Option<Vec<u8>>,
}

/// The headers of a record, in their order; most records have none, and that costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<Vec<Header>>>);
impl Headers {
    /// All of them.
    pub fn all(&self) -> &[Header] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
    /// The value of the last one of that name.
    pub fn last(&self, key: &str) -> Option<&[u8]> {
        self.all().iter().rev().find(|h| h.key == key)?.value.as_deref()
    }
}
impl From<Vec<Header>> for Headers {
    fn from(all: Vec<Header>) -> Self {
        Headers((!all.is_empty()).then(|| Arc::new(all)))
    }
}
impl Serialize for Headers {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.all().serialize(s)
    }
}
impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Vec::deserialize(d).map(Headers::from)
    }
}

/// A record of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerRecord<K, V> {
    /// The topic.
    pub topic: Text,
    /// The partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch, by whoever wrote it or by the broker, as the topic says.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// The headers.
    pub headers: Headers,
}
/// A record as it lies in the topic; what a dead letter holds.
pub type KafkaRecord = ConsumerRecord<Option<Bytes>, Option<Bytes>>;

/// A record to be written.
///
/// ```
/// use winterbourne_kafka::ProducerRecord;
/// let record = ProducerRecord::to("totals").key("apples").value("17").header("unit", "kg");
/// assert_eq!(record.key.as_deref(), Some(&b"apples"[..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProducerRecord {
    /// The topic.
    pub topic: Text,
    /// The partition; else the key decides, as it does for Java's producer.
    pub partition: Option<i32>,
    /// Milliseconds since the epoch; else now.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none deletes the key from a compacted topic.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<Header>,
}
impl ProducerRecord {
    /// A record without key and value.
    pub fn to(topic: impl AsRef<str>) -> Self {
        let topic = Text::new(topic.as_ref());
        ProducerRecord { topic, partition: None, timestamp: None, key: None, value: None, headers: Vec::new() }
    }
    /// With this key.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }
    /// With this value.
    #[must_use]
    pub fn value(mut self, value: impl AsRef<[u8]>) -> Self {
        self.value = Some(value.as_ref().to_vec());
        self
    }
    /// With one more header.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(Header { key: key.into(), value: Some(value.as_ref().to_vec()) });
        self
    }
    /// In this partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }
    /// With this time, in milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(mut self, ms: i64) -> Self {
        self.timestamp = Some(ms);
        self
    }
}
