//! [`DirectInput`]: the direct stream as an input. Asks the cluster, lets `plan` decide, commits for monitoring tools.
use super::{
    offsets::Offsets,
    options::{DISCOVERY, DirectStreamOptions},
    plan::{Cut, Extent, KafkaPlan, Positions},
};
use crate::{
    ConsumerStrategy, Error, KafkaRecord, TopicPartition,
    client::Cluster,
    read::{self, Readers},
};
use std::{collections::BTreeMap, sync::Arc};
use winterbourne_base::{Duration, SparkConf, Time, conf::keys};
use winterbourne_engine::{BoxError, Rdd, Site, SparkContext};
use winterbourne_streaming::{Input, InputLag, Planned, Tick};

pub(crate) struct DirectInput {
    strategy: ConsumerStrategy,
    options: DirectStreamOptions,
    offsets: Offsets,
    readers: Arc<Readers>,
    site: Site,
    max_rate: Option<u64>,
    min_rate: u64,
    interval: Duration,
    cluster: Option<Cluster>,
    positions: Positions,
    /// Goes on where an earlier process ended.
    restored: bool,
    discovered: Option<Time>,
    /// What is there and not planned.
    lag: BTreeMap<TopicPartition, u64>,
    auto_commit: bool,
    committed: BTreeMap<TopicPartition, i64>,
    /// Done, and not committed.
    done: BTreeMap<TopicPartition, i64>,
}

impl DirectInput {
    pub(crate) fn new(
        strategy: ConsumerStrategy,
        options: DirectStreamOptions,
        conf: &SparkConf,
        site: Site,
    ) -> Result<Self, BoxError> {
        let mut strategy = strategy;
        strategy.params = strategy.params.checked()?;
        let readers = Arc::new(Readers::new(strategy.params.clone(), options.out_of_range, conf)?);
        let has_group = strategy.params.get("group.id").is_some();
        Ok(DirectInput {
            auto_commit: has_group && strategy.params.get("enable.auto.commit") != Some("false"),
            strategy,
            options,
            offsets: Offsets::default(),
            readers,
            site,
            max_rate: conf.value(keys::KAFKA_MAX_RATE_PER_PARTITION)?,
            min_rate: conf.value(keys::KAFKA_MIN_RATE_PER_PARTITION)?,
            interval: Duration::ZERO,
            cluster: None,
            positions: Positions::default(),
            restored: false,
            discovered: None,
            lag: BTreeMap::new(),
            committed: BTreeMap::new(),
            done: BTreeMap::new(),
        })
    }
    pub(crate) fn offsets(&self) -> Offsets {
        self.offsets.clone()
    }
    /// The partitions there are, and where those that are new begin. A stream with a past reads new ones from their
    /// beginning: what was written before they were found belongs to it too.
    fn discover(&self, cluster: &Cluster) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let found = self.strategy.partitions(cluster)?;
        let mut gone = self.positions.gone(&found);
        gone.extend(self.strategy.missing(&found).into_iter().filter(|p| !self.positions.0.contains_key(p)));
        if !gone.is_empty() {
            return Err(Error::Gone(gone));
        }
        let new = self.positions.unknown(&found);
        if new.is_empty() {
            return Ok(BTreeMap::new());
        }
        if self.restored || self.discovered.is_some() {
            let first = cluster.beginnings(&new)?;
            tracing::info!("Kafka: {} new partition(s): {}", first.len(), listed(first.keys()));
            return Ok(first);
        }
        self.strategy.first(cluster, &new)
    }
    /// Commits what is done, and what the program asked for. That it fails costs nothing but a warning.
    fn commit(&mut self, wait: bool) {
        let (mut wanted, callback) = self.offsets.take_wanted();
        for (p, offset) in std::mem::take(&mut self.done) {
            let to = wanted.entry(p).or_insert(offset);
            *to = offset.max(*to);
        }
        wanted.retain(|p, offset| self.committed.get(p) != Some(offset));
        let Some(cluster) = &self.cluster else { return };
        if wanted.is_empty() && callback.is_none() {
            return;
        }
        let done = if wanted.is_empty() { Ok(()) } else { cluster.commit(&wanted, wait || callback.is_some()) };
        match &done {
            Ok(()) => self.committed.extend(wanted),
            Err(e) => {
                tracing::warn!("the batch log has the offsets, but they could not be committed for the group: {e}")
            }
        }
        if let Some(callback) = callback {
            callback(done);
        }
    }
}

impl Input<KafkaRecord> for DirectInput {
    type Plan = KafkaPlan;

    fn interval(&mut self, batch: Duration) {
        self.interval = batch;
    }
    fn start(&mut self) -> Result<(), BoxError> {
        let cluster = Cluster::connect(&self.strategy.params)?;
        // Where it begins is fixed now, so that what is written between start and the first batch belongs to it.
        let new = self.discover(&cluster)?;
        self.positions.0.extend(new);
        self.cluster = Some(cluster);
        Ok(())
    }
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<KafkaPlan>>, BoxError> {
        self.commit(false);
        let cluster = self.cluster.as_ref().ok_or("the stream was not started")?;
        if self.discovered.is_none_or(|last| tick.time >= last + self.options.discovery.unwrap_or(DISCOVERY)) {
            if self.discovered.is_some() {
                let new = self.discover(cluster)?;
                self.positions.0.extend(new);
            }
            self.discovered = Some(tick.time);
        }
        let all: Vec<TopicPartition> = self.positions.0.keys().cloned().collect();
        let (first, end) = (cluster.beginnings(&all)?, cluster.ends(&all)?);
        let extents: BTreeMap<TopicPartition, Extent> =
            first.into_iter().filter_map(|(p, first)| end.get(&p).map(|&end| (p, Extent { first, end }))).collect();
        let max = |p: &TopicPartition| self.options.max_rate.as_ref().map_or(self.max_rate, |of| of(p));
        let min = |p: &TopicPartition| self.options.min_rate.as_ref().and_then(|of| of(p)).unwrap_or(self.min_rate);
        let cut = Cut {
            time: tick.time.as_millis(),
            seconds: self.interval.as_millis() as f64 / 1_000.0,
            limit: tick.limit.records,
            max: &max,
            min: &min,
            policy: self.options.out_of_range,
        };
        let (plan, missing) = self.positions.plan(&extents, &cut)?;
        for m in missing {
            tracing::warn!("Kafka: {m}: the records between are gone, the stream goes on without them");
        }
        self.positions.go_on_after(&plan);
        let left = |r: &crate::OffsetRange| u64::try_from(extents.get(&r.partition)?.end - r.until).ok();
        self.lag = plan.ranges.iter().filter_map(|r| Some((r.partition.clone(), left(r)?))).collect();
        let (records, description) = (Some(plan.records()), plan.describe());
        Ok(Some(Planned { plan, records, description }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &KafkaPlan) -> Result<Rdd<KafkaRecord>, BoxError> {
        let ranges = read::split(&plan.ranges, self.options.split);
        self.offsets.begin(Time::from_millis(plan.time), ranges.clone());
        Ok(read::rdd(sc, self.site, self.readers.clone(), ranges)?)
    }
    fn settle(&mut self, plan: KafkaPlan) {
        if self.auto_commit {
            self.done.extend(plan.ranges.into_iter().map(|r| (r.partition, r.until)));
            self.commit(false);
        }
    }
    fn restore(&mut self, plan: &KafkaPlan) -> Result<(), BoxError> {
        self.positions.go_on_after(plan);
        self.restored = true;
        Ok(())
    }
    fn lag(&self) -> Vec<InputLag> {
        let newest = self.readers.newest();
        let of = |(p, &records): (&TopicPartition, &u64)| {
            let newest = newest.get(p).and_then(|ms| u64::try_from(*ms).ok()).map(Time::from_millis);
            InputLag { part: p.to_string(), records, newest }
        };
        self.lag.iter().map(of).collect()
    }
    fn stop(&mut self) {
        // The last batches are committed when they settle, and when this is dropped.
        self.readers.clear();
    }
}
impl Drop for DirectInput {
    fn drop(&mut self) {
        // Commits on their way would be lost with the client.
        let last = std::mem::take(&mut self.committed);
        self.done.extend(last);
        if self.auto_commit && !self.done.is_empty() {
            self.commit(true);
        }
    }
}

fn listed<'a>(all: impl Iterator<Item = &'a TopicPartition>) -> String {
    all.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
