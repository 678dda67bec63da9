//! Three brokers, of which one is lost.
use crate::common::*;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use std::{sync::mpsc, time::Duration};
use winterbourne_broker::{Cluster, Options, or_skip};
use winterbourne_kafka::{
    AsText, ConsumerStrategies, KafkaParams, KafkaSink, KafkaUtils, LocationStrategies, Nullable, ProducerRecord,
    StartingOffsets,
};
use winterbourne_streaming::{Stop, StreamingContext, StreamingEvent, milliseconds};

const PARTITIONS: u32 = 3;
/// Records before the loss, and in all.
const BEFORE: u64 = 1_000;
const ALL: u64 = 4_000;

fn client(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap());
    config
}
/// The node that leads a partition.
fn leader(watch: &BaseConsumer, topic: &str, partition: i32) -> usize {
    let metadata = watch.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
    let found = metadata.topics()[0].partitions().iter().find(|p| p.id() == partition).expect("it was made");
    assert_eq!(found.replicas().len(), 3, "a copy on each node");
    found.leader() as usize
}

#[test]
fn a_leader_that_is_lost_for_good_costs_no_record_and_none_twice() {
    let mut cluster = or_skip(Cluster::with(Options { nodes: 3, sasl: None }));
    for topic in ["in", "out"] {
        cluster.create_topic(topic, PARTITIONS).expect("a topic");
    }
    let params = || KafkaParams::new(cluster.bootstrap());
    let ssc = StreamingContext::new(&spark(&[]), milliseconds(100)).expect("a good interval");
    let strategy = ConsumerStrategies::subscribe(["in"], params()).starting(StartingOffsets::Earliest);
    let location = LocationStrategies::prefer_consistent();
    let stream =
        KafkaUtils::create_direct_stream::<Option<String>, String>(&ssc, location, strategy, Nullable(AsText), AsText);
    let to_record = |value: String| ProducerRecord::to("out").key(value.as_bytes()).value(value.as_bytes());
    stream.map(|record| record.value).write_to("out", KafkaSink::new(params(), "out", to_record));
    let (tell, told) = mpsc::channel();
    ssc.add_streaming_listener(move |event: &StreamingEvent| {
        let _ = match event {
            StreamingEvent::BatchCompleted(batch) => tell.send(Ok(batch.records)),
            StreamingEvent::BatchFailed(batch) => tell.send(Err(batch.failure.clone())),
            _ => Ok(()),
        };
    });
    let mut seen = 0;
    let mut until = |n: u64| {
        while seen < n {
            seen += told.recv().expect("the stream runs").expect("no batch fails for good");
        }
    };
    ssc.start().expect("a start");

    let producer: BaseProducer =
        client(&cluster).set("enable.idempotence", "true").set("linger.ms", "5").create().expect("a client");
    let write = |numbers: std::ops::Range<u64>| {
        for n in numbers {
            let value = n.to_string();
            let to = BaseRecord::<[u8], str>::to("in").partition((n % u64::from(PARTITIONS)) as i32).payload(&value);
            producer.send(to).map_err(|(e, _): (KafkaError, _)| e).expect("room");
            producer.poll(if n % 50 == 0 { Duration::from_millis(10) } else { Duration::ZERO });
        }
    };
    write(0..BEFORE);
    until(BEFORE / 2);
    let watch: BaseConsumer = client(&cluster).create().expect("a client");
    let lost = leader(&watch, "in", 0);
    cluster.kill(lost);
    write(BEFORE..ALL);
    producer.flush(PATIENCE).expect("two nodes are enough");
    until(ALL);
    ssc.stop(Stop::gracefully());
    ssc.await_termination().expect("a good end");
    assert_ne!(leader(&watch, "in", 0), lost, "it stays dead");
    let mut seen: Vec<u64> =
        read_all_of(client(&cluster), "out").iter().map(|value| value.parse().expect("a number")).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..ALL).collect::<Vec<_>>());
}
