//! The topics, and who writes the one that is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use winterbourne::BoxError;
use winterbourne_base::thread;
use winterbourne_broker::Cluster;

pub(crate) const INPUT: &str = "input";
pub(crate) const COPIES: &str = "copies";
pub(crate) const CHANGES: &str = "changes";

const PARTITIONS: u32 = 4;
const KEYS: u64 = 20;
/// Records at a time, and how long until the next ones.
const CHUNK: u64 = 25;
const PAUSE: Duration = Duration::from_millis(15);
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes the three topics.
pub(crate) fn make(broker: &Cluster) -> Result<(), BoxError> {
    for topic in [INPUT, COPIES, CHANGES] {
        broker.create_topic(topic, PARTITIONS)?;
    }
    Ok(())
}

/// The last record of each partition, when all is done.
const END: &str = "end";

/// Writes the ends.
pub(crate) fn seal(servers: &str) -> Result<(), BoxError> {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", servers).create()?;
    for topic in [INPUT, COPIES, CHANGES] {
        for partition in 0..PARTITIONS {
            let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(partition as i32).payload(END);
            producer.send(record).map_err(|(error, _)| error)?;
        }
    }
    Ok(producer.flush(PATIENCE)?)
}

/// What Kafka's own console consumer sees of a topic before its ends.
pub(crate) fn seen(broker: &Cluster, topic: &str) -> Result<Vec<String>, BoxError> {
    Ok(broker.console_consumer(topic, END, PARTITIONS as usize)?)
}

/// Writes `k<n> <n>` for n = 0, 1, … until it is told to stop.
pub(crate) struct Feed {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64, String>>,
}

impl Feed {
    pub(crate) fn start(servers: &str) -> Result<Self, BoxError> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .create()?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = thread::spawn("feed", move || {
            let mut n = 0;
            while !told.load(Ordering::Relaxed) {
                for _ in 0..CHUNK {
                    let value = format!("k{} {n}", n % KEYS);
                    let record: BaseRecord<'_, str, str> =
                        BaseRecord::to(INPUT).key(value.as_str()).payload(value.as_str());
                    producer.send(record).map_err(|(error, _)| error.to_string())?;
                    n += 1;
                }
                producer.poll(PAUSE);
            }
            producer.flush(PATIENCE).map_err(|error| error.to_string())?;
            Ok(n)
        })?;
        Ok(Self { stop, thread })
    }

    /// How many were written.
    pub(crate) fn stop(self) -> Result<u64, BoxError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the feed panicked")?.map_err(BoxError::from)
    }
}
