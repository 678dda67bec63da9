//! [`Producer`]: writes records, in transactions or without.
use super::{Cluster, PATIENCE, create, failed};
use crate::{Error, KafkaParams, ProducerRecord, TopicPartition};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};
use winterbourne_base::thread;

/// How long the client's queue may stay full.
const ROOM: Duration = Duration::from_millis(100);

/// How long the marker may take. It is written to another broker than the records are, and tried again with the batch.
const MARKER: Duration = Duration::from_secs(10);
/// How much longer a call may take than it was told.
const GRACE: Duration = Duration::from_secs(3);

/// What became of a record that was handed over.
pub(crate) enum Sent {
    Queued,
    /// There is no room now; some was waited for.
    Full,
}

/// Keeps the first record that was not delivered.
#[derive(Default)]
struct Deliveries(Mutex<Option<String>>);
impl Deliveries {
    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::Said.log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        super::Said.error(error, reason);
    }
}
impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((e, _)) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| e.to_string());
        }
    }
}

/// SUBTLE: its own thread takes note of what was delivered. Without one, the end of a transaction waits for somebody to do
/// so, until its patience is over.
pub(crate) struct Producer {
    producer: ThreadedProducer<Deliveries>,
    params: KafkaParams,
}

/// Committed with a transaction: a note on a partition, under a group of its own.
pub(crate) struct TransactionMarker<'a> {
    pub(crate) group: &'a Cluster,
    pub(crate) partition: &'a TopicPartition,
    pub(crate) note: &'a str,
}

impl Producer {
    pub(crate) fn new(params: &KafkaParams) -> Result<Self, Error> {
        Ok(Producer { producer: create(params, Deliveries::default())?, params: params.clone() })
    }
    fn failed(&self, doing: &str, e: &KafkaError) -> Error {
        let mut error = failed(&self.params, doing, e);
        if let Error::Cluster { what, .. } = &mut error {
            what.push_str(hint(e));
            if let Some(first) = self.producer.context().take() {
                what.push_str(&format!("; the first record that was not delivered: {first}"));
            }
        }
        error
    }
    /// Ends what an earlier producer of this `transactional.id` left open, and shuts it out.
    pub(crate) fn init_transactions(&self) -> Result<(), Error> {
        self.producer.init_transactions(PATIENCE).map_err(|e| self.failed("transactions are initialised", &e))
    }
    pub(crate) fn begin(&self) -> Result<(), Error> {
        self.producer.begin_transaction().map_err(|e| self.failed("a transaction is begun", &e))
    }
    /// Hands one record over. `Full` may be tried again.
    pub(crate) fn send(&self, record: &ProducerRecord) -> Result<Sent, Error> {
        let mut base: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&record.topic);
        base.key = record.key.as_deref();
        base.payload = record.value.as_deref();
        base.partition = record.partition;
        base.timestamp = record.timestamp;
        if !record.headers.is_empty() {
            let add =
                |all: OwnedHeaders, h: &crate::Header| all.insert(Header { key: &h.key, value: h.value.as_deref() });
            base.headers = Some(record.headers.iter().fold(OwnedHeaders::new_with_capacity(record.headers.len()), add));
        }
        match self.producer.send(base) {
            Ok(()) => Ok(Sent::Queued),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                self.producer.poll(ROOM);
                Ok(Sent::Full)
            }
            Err((e, _)) => Err(self.failed(&format!("a record is written to {}", record.topic), &e)),
        }
    }
    /// Waits until all that was handed over is delivered.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let doing = "records are delivered";
        self.producer.flush(PATIENCE).map_err(|e| self.failed(doing, &e))?;
        match self.producer.context().take() {
            None => Ok(()),
            Some(what) => {
                Err(Error::Cluster { servers: self.params.servers().to_owned(), doing: doing.to_owned(), what })
            }
        }
    }
    /// Commits the records of the transaction together with its marker.
    ///
    /// # Errors
    /// It did not happen, or it may have.
    pub(crate) fn commit(self: &Arc<Self>, marker: &TransactionMarker<'_>) -> Result<(), Error> {
        let doing = "the marker of a transaction is written";
        let mut list = TopicPartitionList::new();
        let mut set = || -> Result<_, KafkaError> {
            let mut e = list.add_partition(&marker.partition.topic, marker.partition.partition);
            e.set_offset(Offset::Offset(0))?;
            e.set_metadata(marker.note);
            marker.group.group_metadata().ok_or(KafkaError::Canceled)
        };
        let group = set().map_err(|e| self.failed(doing, &e))?;
        self.within(doing, MARKER, move |p, wait| p.send_offsets_to_transaction(&list, &group, wait))?;
        self.within("a transaction is committed", PATIENCE, |p, wait| p.commit_transaction(wait))
    }
    /// A call that is to end within `wait`, and is left alone where it does not.
    ///
    /// SUBTLE: the library waits for ever for the end of some of its transactional calls when the broker that has to answer
    /// is lost for good (seen with 2.12.1: `rd_kafka_send_offsets_to_transaction`, whatever its time-out). The thread that is
    /// left keeps the client alive, and so does nothing but wait; the next producer shuts it out.
    fn within(
        self: &Arc<Self>,
        doing: &'static str,
        wait: Duration,
        call: impl FnOnce(&ThreadedProducer<Deliveries>, Duration) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), Error> {
        let (tell, told) = mpsc::channel();
        let own = self.clone();
        let thread = thread::spawn("kafka-commit", move || {
            // Nobody listens any more where it took too long.
            let _ = tell.send(call(&own.producer, wait));
        });
        let lost =
            |what: String| Error::Cluster { servers: self.params.servers().to_owned(), doing: doing.into(), what };
        thread.map_err(|e| lost(format!("the system gives no thread: {e}")))?;
        match told.recv_timeout(wait + GRACE) {
            Ok(done) => done.map_err(|e| self.failed(doing, &e)),
            Err(_) => Err(lost(format!("the client gave no answer for {} s", (wait + GRACE).as_secs()))),
        }
    }
    pub(crate) fn abort(&self) -> Result<(), Error> {
        self.producer.abort_transaction(PATIENCE).map_err(|e| self.failed("a transaction is aborted", &e))?;
        // Records of the transaction that were not delivered are no news.
        self.producer.context().take();
        Ok(())
    }
}

/// What may be behind an error of a transaction.
fn hint(e: &KafkaError) -> &'static str {
    use RDKafkaErrorCode as Code;
    let code = match e {
        KafkaError::Transaction(e) => e.code(),
        KafkaError::MessageProduction(code) | KafkaError::Global(code) => *code,
        _ => return "",
    };
    match code {
        Code::InvalidProducerEpoch | Code::ProducerFenced | Code::Fenced => {
            ". Either the batch took longer than transaction.timeout.ms, so that the broker ended its transaction, or another \
             process writes under the same transactional.id: another application of the same name, or a second copy of this one"
        }
        Code::InvalidTransactionTimeout => {
            ". The broker's transaction.max.timeout.ms is lower than the transaction.timeout.ms of the sink: raise the one or \
             set the other"
        }
        _ => "",
    }
}
