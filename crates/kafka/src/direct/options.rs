//! [`DirectStreamOptions`]: what a program can say about a direct stream beyond what to read.
use crate::TopicPartition;
use std::{fmt, sync::Arc};
use winterbourne_base::{Duration, time::seconds};
use winterbourne_engine::OnBadRecord;

/// How often new partitions are looked for, unless the program says.
pub(super) const DISCOVERY: Duration = seconds(10);

/// What becomes of a stream whose next records have been deleted, by retention or with their topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OutOfRange {
    /// The batch fails with an error that names what is gone.
    #[default]
    Fail,
    /// It goes on with the oldest record that is there. A warning says what is missing.
    Earliest,
    /// It goes on with what comes next. A warning says what is left out.
    Latest,
}

/// Records per second of a partition.
pub(crate) type RateOf = Arc<dyn Fn(&TopicPartition) -> Option<u64> + Send + Sync>;

/// What a direct stream does beyond reading; the default is what [`create_direct_stream`](crate::KafkaUtils::create_direct_stream)
/// uses.
#[derive(Clone, Default)]
pub struct DirectStreamOptions {
    pub(crate) out_of_range: OutOfRange,
    pub(crate) on_bad: OnBadRecord,
    pub(crate) split: Option<u64>,
    pub(crate) max_rate: Option<RateOf>,
    pub(crate) min_rate: Option<RateOf>,
    pub(crate) uid: Option<String>,
    pub(crate) discovery: Option<Duration>,
}
impl DirectStreamOptions {
    /// The default.
    pub fn new() -> Self {
        DirectStreamOptions::default()
    }
    /// What becomes of offsets that are gone.
    #[must_use]
    pub fn out_of_range(mut self, policy: OutOfRange) -> Self {
        self.out_of_range = policy;
        self
    }
    /// What becomes of a record that a deserialiser cannot make something of: it fails the batch, or is skipped and counted
    /// in [`StreamingStatus::skipped_records`](winterbourne_streaming::StreamingStatus::skipped_records).
    #[must_use]
    pub fn on_bad_record(mut self, policy: OnBadRecord) -> Self {
        self.on_bad = policy;
        self
    }
    /// Ranges longer than this are cut into several partitions of the RDD, so that a large backlog of few partitions uses all
    /// threads. Otherwise a Kafka partition is one partition.
    #[must_use]
    pub fn split_after(mut self, records: u64) -> Self {
        self.split = Some(records.max(1));
        self
    }
    /// The most records per second of each partition, in place of `spark.streaming.kafka.maxRatePerPartition`.
    #[doc(alias = "PerPartitionConfig")]
    #[must_use]
    pub fn max_rate(mut self, of: impl Fn(&TopicPartition) -> Option<u64> + Send + Sync + 'static) -> Self {
        self.max_rate = Some(Arc::new(of));
        self
    }
    /// The fewest records per second that back-pressure leaves each partition, in place of
    /// `spark.streaming.kafka.minRatePerPartition`.
    #[must_use]
    pub fn min_rate(mut self, of: impl Fn(&TopicPartition) -> Option<u64> + Send + Sync + 'static) -> Self {
        self.min_rate = Some(Arc::new(of));
        self
    }
    /// How often new partitions, and new topics of a pattern, are looked for: ten seconds unless set. Zero is with every
    /// batch.
    #[must_use]
    pub fn discover_every(mut self, duration: Duration) -> Self {
        self.discovery = Some(duration);
        self
    }
    /// The durable name of the stream; else it is derived from what it reads.
    #[must_use]
    pub fn uid(mut self, name: impl Into<String>) -> Self {
        self.uid = Some(name.into());
        self
    }
}
impl fmt::Debug for DirectStreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectStreamOptions")
            .field("out_of_range", &self.out_of_range)
            .field("on_bad", &self.on_bad)
            .field("split", &self.split)
            .finish_non_exhaustive()
    }
}
