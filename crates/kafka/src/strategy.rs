//! Which partitions are read, and from where.
use crate::{Error, KafkaParams, TopicPartition, client::Cluster, params::wrong};
use regex_lite::Regex;
use std::{collections::BTreeMap, sync::Arc};
use winterbourne_base::Time;

/// Where a stream begins that has no past. One that has a past goes on where its batch log ends.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StartingOffsets {
    /// Where `group.id` has committed to, and else where `auto.offset.reset` says: `latest` (the default), `earliest`, or
    /// `none`, which is an error.
    #[default]
    Committed,
    /// With the oldest record that is there.
    Earliest,
    /// With what is written from now on.
    Latest,
    /// With the first record that is as new as this, by the records' time stamps.
    Time(Time),
}

type Wanted = Arc<dyn Fn(&TopicPartition) -> bool + Send + Sync>;
#[derive(Clone)]
enum Choice {
    Topics(Vec<String>),
    Where(Wanted),
    Fixed(Vec<TopicPartition>),
    Wrong(Error),
}

/// Which partitions a stream reads and where it begins; made by [`ConsumerStrategies`].
#[derive(Clone)]
pub struct ConsumerStrategy {
    choice: Choice,
    pub(crate) params: KafkaParams,
    pub(crate) starting: StartingOffsets,
    pub(crate) given: BTreeMap<TopicPartition, i64>,
    /// Part of the stream's durable name.
    pub(crate) name: String,
}

/// The ways to choose partitions. New partitions, and new topics of a pattern, are found while the stream runs
/// (see [`discover_every`](crate::DirectStreamOptions::discover_every)); they are read from their beginning.
pub struct ConsumerStrategies;
impl ConsumerStrategies {
    /// All partitions of these topics.
    #[doc(alias = "Subscribe")]
    pub fn subscribe<S: Into<String>>(topics: impl IntoIterator<Item = S>, params: KafkaParams) -> ConsumerStrategy {
        let mut topics: Vec<String> = topics.into_iter().map(Into::into).collect();
        topics.sort();
        topics.dedup();
        ConsumerStrategy::new(topics.join(","), Choice::Topics(topics), params)
    }
    /// All partitions of the topics whose whole name matches this regular expression.
    #[doc(alias = "SubscribePattern")]
    pub fn subscribe_pattern(pattern: &str, params: KafkaParams) -> ConsumerStrategy {
        let choice = match Regex::new(&format!("^(?:{pattern})$")) {
            Ok(regex) => Choice::Where(Arc::new(move |p: &TopicPartition| regex.is_match(&p.topic))),
            Err(e) => Choice::Wrong(wrong("the pattern of topics", format!("{pattern:?}: {e}"))),
        };
        ConsumerStrategy::new(pattern.to_owned(), choice, params)
    }
    /// These partitions and no others.
    #[doc(alias = "Assign")]
    pub fn assign(partitions: impl IntoIterator<Item = TopicPartition>, params: KafkaParams) -> ConsumerStrategy {
        let mut all: Vec<TopicPartition> = partitions.into_iter().collect();
        all.sort();
        all.dedup();
        let name = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        ConsumerStrategy::new(name, Choice::Fixed(all), params)
    }
    /// The partitions that a function of your own wants, of all that the cluster has. `name` is part of the stream's durable
    /// name.
    pub fn subscribe_where(
        name: impl Into<String>,
        wanted: impl Fn(&TopicPartition) -> bool + Send + Sync + 'static,
        params: KafkaParams,
    ) -> ConsumerStrategy {
        ConsumerStrategy::new(name.into(), Choice::Where(Arc::new(wanted)), params)
    }
}

impl ConsumerStrategy {
    fn new(name: String, choice: Choice, params: KafkaParams) -> Self {
        let (starting, given) = (StartingOffsets::default(), BTreeMap::new());
        ConsumerStrategy { choice, params, starting, given, name }
    }
    /// Where the stream begins if it has no past.
    #[must_use]
    pub fn starting(mut self, at: StartingOffsets) -> Self {
        self.starting = at;
        self
    }
    /// As [`starting`](Self::starting), for some partitions: with these offsets.
    #[must_use]
    pub fn offsets(mut self, offsets: impl IntoIterator<Item = (TopicPartition, i64)>) -> Self {
        self.given.extend(offsets);
        self
    }
    /// The partitions there are now.
    pub(crate) fn partitions(&self, cluster: &Cluster) -> Result<Vec<TopicPartition>, Error> {
        match &self.choice {
            Choice::Topics(topics) => {
                let mut all = Vec::new();
                for t in topics {
                    all.extend(cluster.partitions(Some(t))?);
                }
                Ok(all)
            }
            Choice::Where(wanted) => {
                let mut all = cluster.partitions(None)?;
                all.retain(|p| wanted(p));
                Ok(all)
            }
            Choice::Fixed(all) => Ok(all.clone()),
            Choice::Wrong(e) => Err(e.clone()),
        }
    }
    /// Topics that were named and are not there.
    pub(crate) fn missing(&self, found: &[TopicPartition]) -> Vec<TopicPartition> {
        let Choice::Topics(topics) = &self.choice else { return Vec::new() };
        let gone = topics.iter().filter(|t| !found.iter().any(|p| p.topic == t.as_str()));
        gone.map(|t| TopicPartition::new(t, 0)).collect()
    }
    /// Where to begin with partitions that the stream has never seen.
    pub(crate) fn first(
        &self,
        cluster: &Cluster,
        of: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let mut first: BTreeMap<TopicPartition, i64> =
            of.iter().filter_map(|p| Some((p.clone(), *self.given.get(p)?))).collect();
        let rest = |first: &BTreeMap<TopicPartition, i64>| -> Vec<TopicPartition> {
            of.iter().filter(|p| !first.contains_key(p)).cloned().collect()
        };
        let left = rest(&first);
        match self.starting {
            StartingOffsets::Earliest => first.extend(cluster.beginnings(&left)?),
            StartingOffsets::Latest => first.extend(cluster.ends(&left)?),
            StartingOffsets::Time(t) => first.extend(cluster.at_time(&left, t.as_millis() as i64)?),
            StartingOffsets::Committed => {
                if self.params.get("group.id").is_some() && !left.is_empty() {
                    first.extend(cluster.committed(&left)?.into_iter().map(|(p, (offset, _))| (p, offset)));
                }
                let left = rest(&first);
                match self.params.get("auto.offset.reset").unwrap_or("latest") {
                    "earliest" | "smallest" | "beginning" => first.extend(cluster.beginnings(&left)?),
                    "latest" | "largest" | "end" => first.extend(cluster.ends(&left)?),
                    "none" | "error" if left.is_empty() => {}
                    "none" | "error" => {
                        let group = self.params.get("group.id").unwrap_or_default().to_owned();
                        return Err(Error::NoOffset { partitions: left, group });
                    }
                    other => {
                        return Err(wrong("auto.offset.reset", format!("{other:?} is none of earliest, latest, none")));
                    }
                }
            }
        }
        Ok(first)
    }
}

/// Which of several processes reads a partition. There is one process, so all strategies mean the same; they are taken so
/// that a program need not be changed when there are more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocationStrategy {
    /// Spread evenly.
    PreferConsistent,
    /// Where the partition's leader is.
    PreferBrokers,
    /// Where this map says; the others evenly.
    PreferFixed(BTreeMap<TopicPartition, String>),
}
/// Spark's names for the values of [`LocationStrategy`].
pub struct LocationStrategies;
impl LocationStrategies {
    /// Spread evenly: what most programs want.
    pub const fn prefer_consistent() -> LocationStrategy {
        LocationStrategy::PreferConsistent
    }
    /// Where the partition's leader is.
    pub const fn prefer_brokers() -> LocationStrategy {
        LocationStrategy::PreferBrokers
    }
    /// Where this map says; the others evenly.
    pub fn prefer_fixed(hosts: impl IntoIterator<Item = (TopicPartition, String)>) -> LocationStrategy {
        LocationStrategy::PreferFixed(hosts.into_iter().collect())
    }
}
