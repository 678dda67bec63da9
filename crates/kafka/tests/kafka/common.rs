//! The broker, topics, records in and out.
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};
use winterbourne_base::{ManualClock, SparkConf};
use winterbourne_broker::{Cluster, Options, Sasl, or_skip};
use winterbourne_engine::SparkContext;
use winterbourne_kafka::KafkaParams;
use winterbourne_streaming::{StreamingContext, seconds};
use winterbourne_testkit::TEST_START;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

pub(crate) fn sasl() -> Sasl {
    Sasl { user: "alice".into(), password: "hush-hush".into() }
}
/// The broker of this test program.
pub(crate) fn broker() -> &'static Cluster {
    static BROKER: OnceLock<Cluster> = OnceLock::new();
    BROKER.get_or_init(|| or_skip(Cluster::with(Options { nodes: 1, sasl: Some(sasl()) })))
}
pub(crate) fn params() -> KafkaParams {
    KafkaParams::new(broker().bootstrap())
}
pub(crate) fn client(settings: Settings<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker().bootstrap());
    settings.iter().for_each(|(k, v)| {
        config.set(*k, *v);
    });
    config
}

/// A name that no other test has.
pub(crate) fn name(of: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{of}-{}", NEXT.fetch_add(1, Relaxed))
}
pub(crate) fn admin() -> AdminClient<DefaultClientContext> {
    client(&[]).create().expect("a client")
}
/// Waits for an answer of the admin client.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(out) => return out,
            Poll::Pending => thread::park(),
        }
    }
}
/// A new topic, ready to be used.
pub(crate) fn topic(of: &str, partitions: i32, settings: Settings<'_>) -> String {
    let name = name(of);
    make(&name, partitions, settings);
    name
}
pub(crate) fn make(name: &str, partitions: i32, settings: Settings<'_>) {
    let new = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let new = settings.iter().fold(new, |new, (k, v)| new.set(k, v));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let made = wait(admin().create_topics([&new], &options)).expect("an answer");
    made[0].as_ref().expect("a new topic");
    await_partitions(name, partitions as usize);
}
pub(crate) fn await_partitions(name: &str, partitions: usize) {
    let consumer: BaseConsumer = client(&[]).create().expect("a client");
    loop {
        let metadata = consumer.fetch_metadata(Some(name), PATIENCE).expect("metadata");
        let found = metadata.topics().first().map_or(0, |t| t.partitions().iter().filter(|p| p.leader() >= 0).count());
        if found >= partitions {
            return;
        }
        consumer.poll(Duration::from_millis(20));
    }
}
pub(crate) fn add_partitions(name: &str, to: usize) {
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let added = wait(admin().create_partitions([&NewPartitions::new(name, to)], &options)).expect("an answer");
    added[0].as_ref().expect("more partitions");
    await_partitions(name, to);
}
/// What retention does: the records before `offset` are gone.
pub(crate) fn delete_before(topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset");
    wait(admin().delete_records(&list, &AdminOptions::new())).expect("they are deleted");
}

/// Writes values, each to its partition.
pub(crate) fn write<V: AsRef<[u8]>>(topic: &str, records: impl IntoIterator<Item = (i32, V)>) {
    write_with(&[], topic, records);
}
pub(crate) fn write_with<V: AsRef<[u8]>>(
    settings: Settings<'_>,
    topic: &str,
    records: impl IntoIterator<Item = (i32, V)>,
) {
    let producer: BaseProducer = client(settings).set("linger.ms", "1").create().expect("a client");
    for (partition, value) in records {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition).payload(value.as_ref());
        producer.send(record).map_err(|(e, _)| e).expect("room");
    }
    producer.flush(PATIENCE).expect("written");
}
/// Values of a topic as readers of committed records see them.
pub(crate) fn read_all(topic: &str) -> Vec<String> {
    read_all_of(client(&[]), topic)
}
/// The same, of another cluster.
pub(crate) fn read_all_of(mut client: ClientConfig, topic: &str) -> Vec<String> {
    let settings = [("group.id", "reader"), ("isolation.level", "read_committed"), ("enable.partition.eof", "true")];
    settings.iter().for_each(|(k, v)| {
        client.set(*k, *v);
    });
    let consumer: BaseConsumer = client.set("fetch.wait.max.ms", "20").create().expect("a client");
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
    let mut list = TopicPartitionList::new();
    let partitions = metadata.topics()[0].partitions();
    for p in partitions {
        list.add_partition_offset(topic, p.id(), Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("assigned");
    let (mut values, mut ended) = (Vec::new(), 0);
    while ended < partitions.len() {
        match consumer.poll(PATIENCE).expect("records, or the end") {
            Ok(m) => values.push(String::from_utf8_lossy(m.payload().unwrap_or_default()).into_owned()),
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            // A broker that was lost; the client goes on with the others.
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure)) => {}
            Err(e) => panic!("{e}"),
        }
    }
    values
}
/// The same as sorted numbers.
pub(crate) fn numbers(topic: &str) -> Vec<u64> {
    let mut all: Vec<u64> = read_all(topic).iter().map(|v| v.parse().expect("a number")).collect();
    all.sort_unstable();
    all
}
/// What a group has committed for a partition.
pub(crate) fn committed(group: &str, topic: &str, partition: i32) -> Option<i64> {
    let consumer: BaseConsumer = client(&[("group.id", group)]).create().expect("a client");
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    consumer.committed_offsets(list, PATIENCE).expect("an answer").elements()[0].offset().to_raw().filter(|o| *o >= 0)
}

pub(crate) fn spark(settings: Settings<'_>) -> SparkContext {
    let conf = SparkConf::empty().set_app_name(name("app")).set_master("local[2]");
    SparkContext::new(conf.set_all(settings.iter().copied())).expect("a good configuration")
}
/// A context with a batch every second on a clock that shows the test's start.
pub(crate) fn manual(settings: Settings<'_>) -> (Arc<ManualClock>, StreamingContext) {
    let clock = ManualClock::new(TEST_START);
    let ssc = StreamingContext::with_clock(&spark(settings), seconds(1), clock.clone()).expect("a good interval");
    (clock, ssc)
}

/// A list that closures fill.
pub(crate) struct Kept<T>(Arc<Mutex<Vec<T>>>);
impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Kept(self.0.clone())
    }
}
impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Arc::default())
    }
}
impl<T> Kept<T> {
    fn list(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn push(&self, x: T) {
        self.list().push(x);
    }
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.list())
    }
}
