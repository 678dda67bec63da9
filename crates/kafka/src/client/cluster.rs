//! [`Cluster`]: what the driver asks of a cluster, and the offsets it commits there.
use super::{PATIENCE, Said, create, failed, passes};
use crate::{Error, KafkaParams, TopicPartition};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use std::{collections::BTreeMap, time::Duration};
use winterbourne_base::{Clock as _, SystemClock};

/// Between two questions, where the answer was one that passes.
const PAUSE: Duration = Duration::from_millis(100);

/// An offset for each of some partitions.
pub(crate) type PartitionOffsets = BTreeMap<TopicPartition, i64>;

pub(crate) struct Cluster {
    consumer: BaseConsumer<Said>,
    params: KafkaParams,
}
impl Cluster {
    pub(crate) fn connect(params: &KafkaParams) -> Result<Self, Error> {
        // Nobody subscribes, so the group is a name to commit under and has no members.
        let own = params.clone().without("auto.offset.reset").default_to("group.id", "winterbourne");
        let own = own.set("enable.auto.commit", "false");
        Ok(Cluster { consumer: create(&own, Said)?, params: own })
    }
    fn failed(&self, doing: impl Into<String>, e: &KafkaError) -> Error {
        failed(&self.params, doing, e)
    }

    /// Asks until there is an answer, for as long as there is patience. A leader that is lost is no reason for a batch to fail:
    /// there will be another one.
    fn patiently<T>(&self, mut ask: impl FnMut(Duration) -> Result<T, KafkaError>) -> Result<T, KafkaError> {
        let begun = SystemClock.nanos();
        loop {
            let left = PATIENCE.saturating_sub(Duration::from_nanos(SystemClock.nanos() - begun));
            match ask(left.max(PAUSE)) {
                Err(e) if left > PAUSE && e.rdkafka_error_code().is_some_and(passes) => {
                    tracing::debug!("Kafka: {e}; asked again");
                    // Nothing is subscribed, so this is a pause, and a look at what else the client has to say.
                    self.consumer.poll(PAUSE);
                }
                answer => return answer,
            }
        }
    }

    /// The partitions of a topic, or of all topics but the cluster's own.
    pub(crate) fn partitions(&self, topic: Option<&str>) -> Result<Vec<TopicPartition>, Error> {
        let doing = || format!("the partitions of {} are asked for", topic.unwrap_or("all topics"));
        let found =
            self.patiently(|wait| self.consumer.fetch_metadata(topic, wait)).map_err(|e| self.failed(doing(), &e))?;
        let mut all = Vec::new();
        for t in found.topics().iter().filter(|t| topic.is_some() || !t.name().starts_with("__")) {
            if let Some(error) = t.error() {
                let code = RDKafkaErrorCode::from(error);
                if topic.is_none() || code == RDKafkaErrorCode::UnknownTopicOrPartition {
                    continue;
                }
                return Err(self.failed(doing(), &KafkaError::MetadataFetch(code)));
            }
            all.extend(t.partitions().iter().map(|p| TopicPartition::new(t.name(), p.id())));
        }
        all.sort();
        Ok(all)
    }
    /// The first offset of each partition.
    pub(crate) fn beginnings(&self, of: &[TopicPartition]) -> Result<PartitionOffsets, Error> {
        self.ask(of.iter().map(|p| (p, Offset::Beginning)), "the first offsets are asked for")
    }
    /// The offset after the last one of each partition: of those that are committed, unless `isolation.level` says
    /// otherwise.
    pub(crate) fn ends(&self, of: &[TopicPartition]) -> Result<PartitionOffsets, Error> {
        self.ask(of.iter().map(|p| (p, Offset::End)), "the last offsets are asked for")
    }
    /// The first offset of each partition whose record is at least as new; the end where there is none.
    pub(crate) fn at_time(&self, of: &[TopicPartition], ms: i64) -> Result<PartitionOffsets, Error> {
        let found = self.ask(of.iter().map(|p| (p, Offset::Offset(ms))), "offsets are looked up by time")?;
        let none: Vec<TopicPartition> = of.iter().filter(|p| found.get(p).is_none_or(|o| *o < 0)).cloned().collect();
        let mut found = found;
        if !none.is_empty() {
            found.extend(self.ends(&none)?);
        }
        Ok(found)
    }
    /// SUBTLE: one request for each broker, where the library's other way asks for one partition at a time. Beginning and
    /// end are times for the protocol, too.
    fn ask<'a>(
        &self,
        of: impl Iterator<Item = (&'a TopicPartition, Offset)>,
        doing: &str,
    ) -> Result<PartitionOffsets, Error> {
        let mut list = TopicPartitionList::new();
        for (p, offset) in of {
            list.add_partition_offset(&p.topic, p.partition, offset).map_err(|e| self.failed(doing, &e))?;
        }
        if list.count() == 0 {
            return Ok(PartitionOffsets::new());
        }
        let mut whose = String::new();
        let ask = |wait| {
            let found = self.consumer.offsets_for_times(list.clone(), wait)?;
            let (mut offsets, mut gone) = (PartitionOffsets::new(), Vec::new());
            for e in found.elements() {
                let p = TopicPartition::new(e.topic(), e.partition());
                match e.error() {
                    Ok(()) => {
                        offsets.insert(p, e.offset().to_raw().unwrap_or(-1));
                    }
                    Err(KafkaError::OffsetFetch(
                        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition,
                    )) => gone.push(p),
                    Err(error) => {
                        whose = format!(", {p}");
                        return Err(error);
                    }
                }
            }
            Ok((offsets, gone))
        };
        let answer = self.patiently(ask);
        let (offsets, gone) = answer.map_err(|e| self.failed(format!("{doing}{whose}"), &e))?;
        if gone.is_empty() { Ok(offsets) } else { Err(Error::Gone(gone)) }
    }
    /// What the group has committed, with what it wrote beside it.
    pub(crate) fn committed(&self, of: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, (i64, String)>, Error> {
        let doing = "committed offsets are asked for";
        let mut list = TopicPartitionList::new();
        for p in of {
            list.add_partition(&p.topic, p.partition);
        }
        let ask = |wait| self.consumer.committed_offsets(list.clone(), wait);
        let found = self.patiently(ask).map_err(|e| self.failed(doing, &e))?;
        let mut all = BTreeMap::new();
        for e in found.elements() {
            e.error().map_err(|e| self.failed(doing, &e))?;
            if let Offset::Offset(offset) = e.offset() {
                let partition = TopicPartition::new(e.topic(), e.partition());
                all.insert(partition, (offset, e.metadata().to_owned()));
            }
        }
        Ok(all)
    }
    /// Commits offsets of the group, now or soon.
    pub(crate) fn commit(&self, offsets: &PartitionOffsets, wait: bool) -> Result<(), Error> {
        let doing = "offsets are committed";
        let mut list = TopicPartitionList::new();
        for (p, offset) in offsets {
            list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*offset))
                .map_err(|e| self.failed(doing, &e))?;
        }
        // What came of commits before waits to be picked up.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        let mode = if wait { CommitMode::Sync } else { CommitMode::Async };
        self.consumer.commit(&list, mode).map_err(|e| self.failed(doing, &e))
    }
    pub(crate) fn group_metadata(&self) -> Option<rdkafka::consumer::ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }
}
