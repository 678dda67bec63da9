//! [`KafkaSink`]: writes to topics, in one transaction for each batch that also holds the batch's marker.
//!
//! The marker is the metadata of an offset that is committed, in the same transaction, for a group of the sink's own on the
//! first partition of its topic. A transaction is never resumed: whoever opens the sink, or whose commit got no answer,
//! initialises transactions anew, which ends what was open, and then reads the marker.
use crate::{
    Error, KafkaParams, ProducerRecord, TopicPartition,
    client::{Cluster, Producer, Sent, TransactionMarker},
    params::wrong,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};
use winterbourne_base::{Time, failpoint};
use winterbourne_engine::{BoxError, Data, Records};
use winterbourne_streaming::{Recovered, Sink, SinkPlace, SinkWriter};

/// How long a transaction may take unless `transaction.timeout.ms` says: a minute, or ten batches if that is longer.
const TIMEOUT: u64 = 60_000;
/// What brokers allow unless their `transaction.max.timeout.ms` says otherwise.
const LONGEST: u64 = 900_000;

type ToRecord<T> = Arc<dyn Fn(T) -> ProducerRecord + Send + Sync>;

/// Writes a stream to topics of a cluster. Give it to [`write_to`](winterbourne_streaming::DStream::write_to).
///
/// Exactly once: all records of a batch and its marker are one transaction, committed with the batch. Readers with
/// `isolation.level=read_committed` see each batch as a whole and once, whatever failed and whenever the process was killed
/// (with a checkpoint directory). A transaction is open from when the batch's output runs until its commit: if that takes
/// longer than `transaction.timeout.ms`, the broker ends it and the batch fails.
///
/// ```no_run
/// # use winterbourne_kafka::*;
/// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// # let ssc = StreamingContext::new(&sc, seconds(1))?;
/// # let counts = ssc.queue_stream(&RddQueue::<(String, u64)>::new());
/// let sink = KafkaSink::new(KafkaParams::new("localhost:9092"), "counts", |(word, n): (String, u64)| {
///     ProducerRecord::to("counts").key(word).value(n.to_string())
/// });
/// counts.write_to("counts", sink);
/// # Ok::<(), winterbourne_streaming::Error>(())
/// ```
///
/// The `transactional.id` is made of the name of the application and that of the sink, so no other program may have both
/// on the same cluster; `transactional.id` in the parameters takes the place of the application's name.
pub struct KafkaSink<T: Data> {
    params: KafkaParams,
    topic: String,
    to_record: ToRecord<T>,
    transactional: bool,
    opened: Option<Opened>,
}
struct Opened {
    params: KafkaParams,
    /// Reads the marker, and names its group in transactions.
    group: Cluster,
    partition: TopicPartition,
    producer: Option<Arc<Producer>>,
    /// A transaction is open.
    open: bool,
}

impl<T: Data> KafkaSink<T> {
    /// A sink of transactions. `topic` is where the marker is kept, and usually where the records go: `to_record` says
    /// for each.
    pub fn new(
        params: KafkaParams,
        topic: impl Into<String>,
        to_record: impl Fn(T) -> ProducerRecord + Send + Sync + 'static,
    ) -> Self {
        KafkaSink { params, topic: topic.into(), to_record: Arc::new(to_record), transactional: true, opened: None }
    }
    /// Without transactions: records are seen as they are written, and those of a batch that is run again come twice. The
    /// client itself writes none twice, and keeps their order (`enable.idempotence`). A batch is done when all its records are
    /// acknowledged.
    #[must_use]
    pub fn at_least_once(mut self) -> Self {
        self.transactional = false;
        self
    }
    /// # Errors
    /// A time-out that no batch could keep.
    fn own_params(&self, place: &SinkPlace) -> Result<KafkaParams, Error> {
        // Where the Java client puts a key.
        let params = self.params.clone().checked()?.default_to("partitioner", "murmur2_random");
        let params = params.set("enable.idempotence", "true");
        if !self.transactional {
            return Ok(params.without("transactional.id"));
        }
        let interval = place.interval.as_millis();
        let timeout = match params.millis("transaction.timeout.ms")? {
            Some(given) if given <= interval => {
                return Err(wrong(
                    "transaction.timeout.ms",
                    format!(
                        "{given} ms is no longer than the batch interval, {}: a batch that takes as long as it may would lose \
                         its transaction; set a longer one, or leave it out",
                        place.interval
                    ),
                ));
            }
            Some(given) => given,
            None => TIMEOUT.max((interval * 10).min(LONGEST)),
        };
        if interval >= LONGEST && timeout <= interval {
            let what =
                format!("the batch interval, {}, is longer than any transaction: use at_least_once()", place.interval);
            return Err(wrong("transaction.timeout.ms", what));
        }
        let prefix = params.get("transactional.id").unwrap_or(&place.application);
        let id = format!("{prefix}-{}-0", place.operator);
        Ok(params.set("transactional.id", id).set("transaction.timeout.ms", timeout.to_string()))
    }
    fn opened(&mut self) -> Result<&mut Opened, BoxError> {
        self.opened.as_mut().ok_or_else(|| "the sink was not opened".into())
    }
}

impl Opened {
    fn producer(&mut self, transactional: bool) -> Result<Arc<Producer>, Error> {
        if let Some(p) = &self.producer {
            return Ok(p.clone());
        }
        let producer = Producer::new(&self.params)?;
        if transactional {
            producer.init_transactions()?;
        }
        Ok(self.producer.insert(Arc::new(producer)).clone())
    }
    /// Nothing of this producer counts any more: the next one shuts it out.
    fn let_go(&mut self) {
        self.producer = None;
        self.open = false;
    }
}

fn note(batch: Time) -> String {
    format!("winterbourne 1 {}", batch.as_millis())
}

impl<T: Data> Sink<T> for KafkaSink<T> {
    type Writer = KafkaWriter<T>;

    fn open(&mut self, place: &SinkPlace) -> Result<(), BoxError> {
        let params = self.own_params(place)?;
        let id = params.get("transactional.id").map_or_else(|| place.operator.to_string(), str::to_owned);
        let about_connection = ["bootstrap.servers", "security.", "sasl.", "ssl.", "client.", "socket.", "reconnect."];
        let of_group = params.iter().filter(|(k, _)| about_connection.iter().any(|p| k.starts_with(p)));
        let group: KafkaParams = of_group.collect();
        let group = group.set("group.id", format!("winterbourne.sink.{id}")).set("isolation.level", "read_committed");
        let group = Cluster::connect(&group)?;
        if group.partitions(Some(&self.topic))?.is_empty() {
            return Err(Error::Gone(vec![TopicPartition::new(&self.topic, 0)]).into());
        }
        let partition = TopicPartition::new(&self.topic, 0);
        let mut opened = Opened { params, group, partition, producer: None, open: false };
        opened.producer(self.transactional)?;
        self.opened = Some(opened);
        Ok(())
    }
    fn recover(&mut self, batch: Time) -> Result<Recovered, BoxError> {
        let transactional = self.transactional;
        let opened = self.opened()?;
        if !transactional {
            return Ok(Recovered::Absent);
        }
        // What may be on its way comes to its end first: it is there then, or never will be.
        opened.let_go();
        opened.producer(true)?;
        let of = [opened.partition.clone()];
        let found = opened.group.committed(&of)?;
        let is_it = found.get(&opened.partition).is_some_and(|(_, text)| *text == note(batch));
        Ok(if is_it { Recovered::Committed } else { Recovered::Absent })
    }
    fn begin(&mut self, batch: Time) -> Result<KafkaWriter<T>, BoxError> {
        let (transactional, to_record) = (self.transactional, self.to_record.clone());
        let opened = self.opened()?;
        if opened.open {
            self.abort(batch);
        }
        let opened = self.opened()?;
        let producer = opened.producer(transactional)?;
        if transactional {
            producer.begin()?;
            opened.open = true;
        }
        Ok(KafkaWriter { producer, to_record, begun: Mutex::default(), transactional })
    }
    fn commit(&mut self, batch: Time, staged: Vec<u64>) -> Result<(), BoxError> {
        let transactional = self.transactional;
        let opened = self.opened()?;
        let producer = opened.producer(transactional)?;
        if !transactional {
            return Ok(producer.flush()?);
        }
        opened.open = false;
        if staged.iter().sum::<u64>() == 0 {
            // Nothing to see, and nothing to mark: the batch may be run again.
            return Ok(producer.abort()?);
        }
        failpoint::hit("kafka.sent");
        let note = note(batch);
        let marker = TransactionMarker { group: &opened.group, partition: &opened.partition, note: &note };
        producer.commit(&marker)?;
        failpoint::hit("kafka.committed");
        Ok(())
    }
    fn abort(&mut self, batch: Time) {
        let Some(opened) = &mut self.opened else { return };
        if !std::mem::take(&mut opened.open) {
            return;
        }
        let aborted = opened.producer.as_ref().map_or(Ok(()), |p| p.abort());
        if let Err(e) = aborted {
            tracing::warn!("batch {batch}: {e}; its transaction ends with the next one");
            opened.let_go();
        }
    }
}

/// Stages the partitions of a batch in its transaction.
pub struct KafkaWriter<T: Data> {
    producer: Arc<Producer>,
    to_record: ToRecord<T>,
    /// Partitions that were begun.
    begun: Mutex<BTreeSet<usize>>,
    transactional: bool,
}
impl<T: Data> SinkWriter<T> for KafkaWriter<T> {
    /// How many records.
    type Staged = u64;
    fn stage(&self, partition: usize, records: Records<T>) -> Result<u64, BoxError> {
        let is_new = self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(partition);
        if !is_new && self.transactional {
            return Err(format!(
                "partition {partition} was begun in this transaction before, by a task that failed: the batch begins a new one"
            )
            .into());
        }
        let task = winterbourne_engine::TaskContext::get();
        let mut n = 0;
        for x in records {
            let record = (self.to_record)(x);
            while let Sent::Full = self.producer.send(&record)? {
                if task.as_ref().is_some_and(winterbourne_engine::TaskContext::is_interrupted) {
                    return Err("the task was cancelled while the client had no room".into());
                }
            }
            n += 1;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_base::{Duration, time::seconds};

    fn timeout(given: Option<&str>, interval: Duration) -> Result<String, String> {
        let mut params = KafkaParams::new("a:1");
        if let Some(given) = given {
            params = params.set("transaction.timeout.ms", given);
        }
        let sink = KafkaSink::new(params, "t", |_: u64| ProducerRecord::to("t"));
        let own = sink.own_params(&SinkPlace::new("app", "out", interval)).map_err(|e| e.to_string())?;
        assert_eq!(own.get("transactional.id"), Some("app-out-0"));
        Ok(own.get("transaction.timeout.ms").expect("always set").to_owned())
    }
    #[test]
    fn a_transaction_outlives_a_batch_or_the_start_is_refused() {
        assert_eq!(timeout(None, seconds(1)), Ok("60000".into()));
        assert_eq!(timeout(None, seconds(30)), Ok("300000".into()));
        assert_eq!(timeout(None, seconds(600)), Ok("900000".into()), "as long as brokers let it be");
        assert_eq!(timeout(Some("5000"), seconds(1)), Ok("5000".into()));
        let error = timeout(Some("5000"), seconds(5)).unwrap_err();
        assert!(error.contains("transaction.timeout.ms") && error.contains("the batch interval, 5000 ms"), "{error}");
        assert!(timeout(Some("soon"), seconds(5)).unwrap_err().contains("not a number of milliseconds"));
        assert!(timeout(None, seconds(901)).unwrap_err().contains("at_least_once"));
    }
}
