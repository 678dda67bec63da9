//! From offset ranges to records: an RDD whose tasks read them, and the readers that stay open between batches.
use crate::{
    ConsumerRecord, Error, KafkaParams, KafkaRecord, OffsetRange, OutOfRange, TopicPartition,
    bytes::{Gathered, Part},
    client::{Cluster, Polled, Reader},
    error::Missing,
    record::Headers,
};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use winterbourne_base::{
    Clock as _, SparkConf, SystemClock,
    conf::{ConfError, keys},
};
use winterbourne_engine::{BoxError, CHUNK, Chunk, Flow, Rdd, Shape, Site, SparkContext, lineage::Count};

/// How long one look at the client may wait; between two of them a task looks whether it is cancelled.
const LOOK: Duration = Duration::from_millis(50);
/// How long a partition that said it is at its end may stay silent before that is believed.
const SILENT: Duration = Duration::from_millis(10);
/// A chunk is closed when its bytes exceed this.
const CHUNK_BYTES: usize = 1 << 20;

/// Cuts ranges that are longer than `most`, in their order.
pub(crate) fn split(ranges: &[OffsetRange], most: Option<u64>) -> Vec<OffsetRange> {
    let Some(most) = most else { return ranges.to_vec() };
    let mut out = Vec::new();
    for r in ranges {
        let pieces = r.count().div_ceil(most).max(1);
        let (n, rest) = (r.count() / pieces, r.count() % pieces);
        let mut from = r.from;
        for i in 0..pieces {
            let until = from + (n + u64::from(i < rest)) as i64;
            out.push(OffsetRange { partition: r.partition.clone(), from, until });
            from = until;
        }
    }
    out
}

/// # Errors
/// [`Error::Range`].
pub(crate) fn rdd(
    sc: &SparkContext,
    site: Site,
    readers: Arc<Readers>,
    ranges: Vec<OffsetRange>,
) -> Result<Rdd<KafkaRecord>, Error> {
    if let Some(r) = ranges.iter().find(|r| r.from > r.until) {
        return Err(Error::Range(r.clone()));
    }
    let partitions = Count::known(ranges.len());
    let shape = Shape { name: "kafka", site, partitions, deps: Vec::new(), partitioner: None, depth: 0 };
    let ranges = Arc::new(ranges);
    Ok(sc.make(shape, move |p, task| {
        let range = ranges[p].clone();
        if range.count() == 0 {
            return Ok(Flow::empty());
        }
        let (mut pass, checked) = (Pass::new(readers.clone(), range), task.clone());
        Ok(Flow::splittable(task, move || {
            let chunk = pass.chunk(&|| checked.check())?;
            Ok((!chunk.is_empty()).then_some(Chunk::Own(chunk)))
        }))
    }))
}

/// Readers that wait for the next range of their partition.
pub(crate) struct Readers {
    params: KafkaParams,
    policy: OutOfRange,
    patience: Duration,
    most: usize,
    shared: Mutex<Shared>,
}
#[derive(Default)]
struct Shared {
    idle: Vec<(TopicPartition, Reader)>,
    /// The time stamp of the newest record that was read of a partition.
    newest: BTreeMap<TopicPartition, i64>,
}
impl Readers {
    pub(crate) fn new(params: KafkaParams, policy: OutOfRange, conf: &SparkConf) -> Result<Self, ConfError> {
        let keeps: bool = conf.value(keys::KAFKA_CONSUMER_CACHE_ENABLED)?;
        let most: usize = conf.value(keys::KAFKA_CONSUMER_CACHE_MAX_CAPACITY)?;
        let patience = Duration::from_millis(conf.value(keys::KAFKA_CONSUMER_POLL)?.as_millis());
        Ok(Readers { params, policy, patience, most: if keeps { most } else { 0 }, shared: Mutex::default() })
    }
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// One that stands at the offset if there is one, else another one of the partition, else a new one.
    fn take(&self, range: &OffsetRange) -> Result<Reader, Error> {
        let found = {
            let idle = &mut self.shared().idle;
            let of = |exact: bool| {
                let fits = |(p, r): &(TopicPartition, Reader)| {
                    *p == range.partition && (!exact || r.position() == Some(range.from))
                };
                idle.iter().position(fits)
            };
            of(true).or_else(|| of(false)).map(|i| idle.remove(i).1)
        };
        found.map_or_else(|| Reader::open(&self.params, &range.partition), Ok)
    }
    fn put_back(&self, partition: TopicPartition, reader: Reader) {
        let gone = {
            let shared = &mut *self.shared();
            shared.idle.push((partition, reader));
            let over = shared.idle.len().saturating_sub(self.most);
            shared.idle.drain(..over).collect::<Vec<_>>()
        };
        drop(gone); // a client that ends waits for its threads
    }
    pub(crate) fn clear(&self) {
        let gone = mem::take(&mut self.shared().idle);
        drop(gone);
    }
    pub(crate) fn newest(&self) -> BTreeMap<TopicPartition, i64> {
        self.shared().newest.clone()
    }
    /// Where to go on in a range whose next record is not there.
    fn after_gap(&self, range: &OffsetRange, wanted: i64) -> Result<i64, Error> {
        let cluster = Cluster::connect(&self.params)?;
        let of = [range.partition.clone()];
        let find = |all: BTreeMap<TopicPartition, i64>| all.get(&range.partition).copied().unwrap_or(-1);
        let (first, end) = (find(cluster.beginnings(&of)?), find(cluster.ends(&of)?));
        let missing = Missing { partition: range.partition.clone(), wanted, first, end };
        if self.policy == OutOfRange::Fail {
            return Err(Error::OutOfRange(vec![missing]));
        }
        tracing::warn!("Kafka: {missing}: the batch goes on without them");
        // A batch that was planned keeps what is left of it; behind the end there is nothing.
        Ok(if wanted > end { range.until } else { first.clamp(wanted, range.until) })
    }
}

/// What the end of a partition said of the range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quiet {
    /// It did not come, or records came since.
    Not,
    /// Old news, or from a broker that does not know yet how far the partition goes, as a new leader may.
    Old,
    /// All of the range was passed, unless records are on their way that were sent before.
    Over,
}

/// One way through one range.
struct Pass {
    readers: Arc<Readers>,
    range: OffsetRange,
    reader: Option<Reader>,
    /// The offset that is wanted next.
    next: i64,
    /// The reader was sent to an offset in this pass: that it is at the end now is no old news.
    sought: bool,
    finished: bool,
    newest: Option<i64>,
}
/// A record whose bytes are in the chunk's buffer.
struct Draft {
    offset: i64,
    timestamp: Option<i64>,
    key: Option<Part>,
    value: Option<Part>,
    headers: Headers,
}
impl Pass {
    fn new(readers: Arc<Readers>, range: OffsetRange) -> Self {
        let next = range.from;
        Pass { readers, range, reader: None, next, sought: false, finished: false, newest: None }
    }
    fn seek(&mut self) -> Result<(), Error> {
        self.sought = true;
        self.reader.as_mut().map_or(Ok(()), |r| r.seek(self.next))
    }
    /// Some records, or none when the range is through. Gaps are no error: compaction and the ends of transactions leave them.
    fn chunk(&mut self, check: &dyn Fn() -> winterbourne_engine::Result<()>) -> Result<Vec<KafkaRecord>, BoxError> {
        if self.finished {
            return Ok(Vec::new());
        }
        if self.reader.is_none() {
            let reader = self.readers.take(&self.range)?;
            let is_there = reader.position() == Some(self.next);
            self.reader = Some(reader);
            if !is_there {
                self.seek()?;
            }
        }
        let (mut bytes, mut drafts) = (Gathered::default(), Vec::with_capacity(CHUNK.min(self.range.count() as usize)));
        let begun = SystemClock.nanos();
        let (mut last, mut quiet) = (None, Quiet::Not);
        while !self.finished && drafts.len() < CHUNK && bytes.len() < CHUNK_BYTES {
            let reader = self.reader.as_mut().expect("taken above");
            match reader.poll(if quiet == Quiet::Not { LOOK } else { SILENT })? {
                Polled::Record(r) => {
                    quiet = Quiet::Not;
                    let offset = r.offset();
                    if offset >= self.range.until {
                        // It was read ahead, and belongs to a later range: the reader is sent back to it.
                        self.finished = true;
                        break;
                    }
                    if offset < self.next {
                        continue;
                    }
                    self.newest = self.newest.max(r.timestamp());
                    drafts.push(Draft {
                        offset,
                        timestamp: r.timestamp(),
                        key: r.key().map(|k| bytes.push(k)),
                        value: r.value().map(|v| bytes.push(v)),
                        headers: r.headers().into(),
                    });
                    self.next = offset + 1;
                    self.finished = self.next >= self.range.until;
                }
                // SUBTLE: the last offsets of a range may have no record. Its end is then known by the end of the
                // partition, if that was asked for in this pass, and was not before the range's.
                Polled::End(end) if self.sought && end >= self.range.until => quiet = Quiet::Over,
                Polled::End(_) => quiet = Quiet::Old,
                Polled::Nothing(_) if quiet == Quiet::Over => self.finished = true,
                Polled::Nothing(_) if quiet == Quiet::Old => {
                    check()?;
                    self.seek()?;
                    quiet = Quiet::Not;
                }
                Polled::Nothing(said) => {
                    last = said.or(last);
                    check()?;
                    let waited = Duration::from_nanos(SystemClock.nanos() - begun);
                    if waited >= self.readers.patience && drafts.is_empty() {
                        return Err(Box::new(self.silence(waited, last)));
                    }
                }
                Polled::OutOfRange => {
                    check()?;
                    self.next = self.readers.after_gap(&self.range, self.next)?;
                    self.finished = self.next >= self.range.until;
                    self.seek()?;
                }
            }
        }
        if self.finished {
            self.done();
        }
        let shared = bytes.finish();
        let topic = &self.range.partition.topic;
        let record = |d: Draft| ConsumerRecord {
            topic: topic.clone(),
            partition: self.range.partition.partition,
            offset: d.offset,
            timestamp: d.timestamp,
            key: d.key.map(|k| shared.get(k)),
            value: d.value.map(|v| shared.get(v)),
            headers: d.headers,
        };
        Ok(drafts.into_iter().map(record).collect())
    }
    fn silence(&self, waited: Duration, last: Option<String>) -> Error {
        Error::Silence {
            range: self.range.clone(),
            at: self.next,
            waited_ms: waited.as_millis() as u64,
            last: last.unwrap_or_else(|| "the client said nothing".into()),
        }
    }
    fn done(&mut self) {
        let partition = self.range.partition.clone();
        if let Some(newest) = self.newest {
            let mut shared = self.readers.shared();
            let known = shared.newest.entry(partition.clone()).or_insert(newest);
            *known = newest.max(*known);
        }
        if let Some(reader) = self.reader.take() {
            self.readers.put_back(partition, reader);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_kept_or_not_as_the_keys_say() {
        let partition = |n| TopicPartition::new("t", n);
        for (enabled, most, kept) in [("true", "64", vec![0, 1, 2]), ("true", "2", vec![1, 2]), ("false", "64", vec![])]
        {
            let conf = SparkConf::empty()
                .set("spark.streaming.kafka.consumer.cache.enabled", enabled)
                .set("spark.streaming.kafka.consumer.cache.maxCapacity", most);
            // A client needs no cluster before it is asked something.
            let params = KafkaParams::new("127.0.0.1:1");
            let readers = Readers::new(params.clone(), OutOfRange::Fail, &conf).expect("good keys");
            for n in 0..3 {
                let mut reader = Reader::open(&params, &partition(n)).expect("a client");
                reader.seek(10).expect("an offset");
                readers.put_back(partition(n), reader);
            }
            let idle: Vec<i32> = readers.shared().idle.iter().map(|(p, _)| p.partition).collect();
            assert_eq!(idle, kept, "{enabled} {most}");
            let again = readers.take(&OffsetRange::new("t", 2, 10, 20)).expect("a reader");
            assert_eq!(again.position(), (!kept.is_empty()).then_some(10), "the one that stands there is taken");
        }
    }
    #[test]
    fn long_ranges_are_cut_evenly_and_nothing_is_lost() {
        let cut = |ranges: &[(i64, i64)], most| -> Vec<(i64, i64)> {
            let ranges: Vec<_> = ranges.iter().map(|&(a, b)| OffsetRange::new("t", 0, a, b)).collect();
            split(&ranges, most).iter().map(|r| (r.from, r.until)).collect()
        };
        assert_eq!(cut(&[(0, 10), (5, 5)], None), [(0, 10), (5, 5)]);
        assert_eq!(cut(&[(0, 10)], Some(4)), [(0, 4), (4, 7), (7, 10)]);
        assert_eq!(cut(&[(5, 5), (7, 9)], Some(4)), [(5, 5), (7, 9)], "an empty range stays one");
    }
}
