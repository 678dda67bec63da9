//! The sink: what it writes is seen as a whole and once.
use crate::common::*;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use winterbourne_base::ManualClock;
use winterbourne_kafka::{AsText, KafkaSink, KafkaUtils, LocationStrategies, Nullable, OffsetRange, ProducerRecord};
use winterbourne_streaming::{DStream, RddQueue, StreamingContext};
use winterbourne_testkit::check_sink;

fn sink(topic: &str, id: &str) -> KafkaSink<u64> {
    let to = topic.to_owned();
    KafkaSink::new(params().set("transactional.id", id), topic, move |n: u64| {
        ProducerRecord::to(&to).key(n.to_le_bytes()).value(n.to_string())
    })
}

#[test]
fn the_sink_keeps_the_contract() {
    let (topic, id) = (topic("contract", 3, &[]), name("contract"));
    check_sink(|| sink(&topic, &id), || numbers(&topic));
}

/// A context with a queue of numbers, and a sink for them.
fn graph(
    settings: Settings<'_>,
    sink: KafkaSink<u64>,
) -> (Arc<ManualClock>, StreamingContext, RddQueue<u64>, DStream<u64>) {
    let (clock, ssc) = manual(settings);
    let queue = RddQueue::new();
    let stream = ssc.queue_stream(&queue);
    stream.write_to("numbers", sink);
    (clock, ssc, queue, stream)
}

#[test]
fn keys_headers_times_and_partitions_arrive_and_each_batch_is_one_transaction() {
    let topic = topic("written", 4, &[]);
    let to = topic.clone();
    let sink = KafkaSink::new(params(), topic.clone(), move |n: u64| {
        let record = ProducerRecord::to(&to).value(n.to_string()).header("batch", "one").timestamp(77);
        if n == 0 { record.partition(3) } else { record.key("always the same") }
    });
    let (clock, ssc, queue, _) = graph(&[], sink);
    queue.push(ssc.spark_context().range(0..20, 3));
    let mut run = ssc.start_stepped().expect("a start");
    clock.set(run.next_time());
    run.step().expect("a good batch");
    assert_eq!(numbers(&topic), (0..20).collect::<Vec<_>>());
    let all = (0..4).map(|p| OffsetRange::new(&topic, p, 0, i64::from(p == 3))).collect::<Vec<_>>();
    let location = LocationStrategies::prefer_consistent();
    let own = KafkaUtils::create_rdd::<Option<String>, String>(
        &spark(&[]),
        params(),
        all,
        location,
        Nullable(AsText),
        AsText,
    );
    let first = &own.expect("good ranges").collect().expect("records")[0];
    assert_eq!(
        (first.value.as_str(), first.timestamp, first.headers.last("batch")),
        ("0", Some(77), Some(&b"one"[..]))
    );
    // Java's producer puts this key there: murmur2 of its bytes, without the sign, modulo four.
    let of_key = murmur2(b"always the same") % 4;
    let range = [OffsetRange::new(&topic, of_key as i32, 0, 19)];
    let location = LocationStrategies::prefer_consistent();
    let keyed = KafkaUtils::create_rdd::<Option<String>, String>(
        &spark(&[]),
        params(),
        range,
        location,
        Nullable(AsText),
        AsText,
    );
    let keyed = keyed.expect("good ranges").collect().expect("records");
    assert_eq!(keyed.iter().filter(|r| r.key.is_some()).count(), 19);
}
/// The hash of Kafka's own producer, as its protocol guide describes it.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ data.len() as u32;
    let words = data.chunks_exact(4);
    let rest = words.remainder();
    for w in words {
        let mut k = u32::from_le_bytes([w[0], w[1], w[2], w[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        h ^= rest.iter().rev().fold(0, |all, b| all << 8 | u32::from(*b));
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    (h ^ (h >> 15)) & 0x7fff_ffff
}

#[test]
fn a_batch_that_fails_after_it_was_sent_is_seen_once() {
    let topic = topic("failed", 2, &[]);
    let (clock, ssc, queue, stream) = graph(&[], sink(&topic, &name("failed")));
    let mut fails = 1;
    stream.foreach_rdd(move |_, _| {
        fails -= 1;
        if fails == 0 { Err("the output after the sink fails once".into()) } else { Ok(()) }
    });
    let mut run = ssc.start_stepped().expect("a start");
    for n in 0..2u64 {
        queue.push(ssc.spark_context().range(n * 5..n * 5 + 5, 2));
        clock.set(run.next_time());
        run.step().expect("the second attempt is good");
    }
    assert_eq!(numbers(&topic), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_task_that_is_tried_again_begins_a_new_transaction() {
    let topic = topic("retried", 2, &[]);
    let (clock, ssc) = manual(&[("spark.master", "local[2,3]")]);
    let queue = RddQueue::new();
    let failed = Arc::new(AtomicBool::new(false));
    let mapped = ssc.queue_stream(&queue).map(move |n: u64| {
        assert!(n != 7 || failed.swap(true, Relaxed), "one record fails on purpose, once");
        n
    });
    mapped.write_to("numbers", sink(&topic, &name("retried")));
    queue.push(ssc.spark_context().range(0..10, 2));
    let mut run = ssc.start_stepped().expect("a start");
    clock.set(run.next_time());
    run.step().expect("the second attempt is good");
    assert_eq!(numbers(&topic), (0..10).collect::<Vec<_>>());
}

#[test]
fn two_writers_of_one_name_shut_each_other_out_and_are_told() {
    let (topic, id) = (topic("fenced", 1, &[]), name("fenced"));
    let (clock, ssc, queue, _) = graph(&[("spark.streaming.batch.maxAttempts", "1")], sink(&topic, &id));
    let mut first = ssc.start_stepped().expect("a start");
    let (_, other, _, _) = graph(&[], sink(&topic, &id));
    let _second = other.start_stepped().expect("a start");
    queue.push(ssc.spark_context().range(0..3, 1));
    clock.set(first.next_time());
    let error = first.step().expect_err("it is shut out").to_string();
    assert!(error.contains("another process writes under the same transactional.id"), "{error}");
    assert_eq!(numbers(&topic), [0u64; 0]);
}

#[test]
fn a_batch_longer_than_its_transaction_says_so_and_is_written_once() {
    let topic = topic("slow", 1, &[]);
    let to = topic.clone();
    let params = params().set("transaction.timeout.ms", "1200").set("transactional.id", name("slow"));
    let sink = KafkaSink::new(params, topic.clone(), move |n: u64| ProducerRecord::to(&to).value(n.to_string()));
    let (clock, ssc, queue, stream) = graph(&[("spark.streaming.batch.maxAttempts", "1")], sink);
    let (own, mut first) = (topic.clone(), true);
    stream.foreach_rdd(move |_, _| {
        // The records and the broker's note that it has ended their transaction.
        let watch: BaseConsumer = client(&[("isolation.level", "read_uncommitted")]).create()?;
        while first && watch.fetch_watermarks(&own, 0, PATIENCE)?.1 < 4 {
            watch.poll(std::time::Duration::from_millis(50));
        }
        first = false;
        Ok(())
    });
    queue.push(ssc.spark_context().range(0..3, 1));
    let mut run = ssc.start_stepped().expect("a start");
    clock.set(run.next_time());
    let error = run.step().expect_err("its transaction is gone").to_string();
    assert!(error.contains("the batch took longer than transaction.timeout.ms"), "{error}");
    run.step().expect("the batch is held and run again");
    assert_eq!(numbers(&topic), [0, 1, 2]);
}

#[test]
fn without_transactions_records_are_there_at_least_once() {
    let topic = topic("at-least-once", 2, &[]);
    let (clock, ssc, queue, _) = graph(&[], sink(&topic, "unused").at_least_once());
    queue.push(ssc.spark_context().range(0..100, 4));
    let mut run = ssc.start_stepped().expect("a start");
    clock.set(run.next_time());
    run.step().expect("a good batch");
    assert_eq!(numbers(&topic), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_sink_without_its_topic_or_with_a_short_transaction_is_refused_at_the_start() {
    let start = |sink: KafkaSink<u64>| {
        let (_, ssc, _, _) = graph(&[], sink);
        ssc.start_stepped().err().expect("it cannot start").to_string()
    };
    let missing = name("never-made");
    let error = start(sink(&missing, "x"));
    assert!(
        error.contains("sink \"numbers\"") && error.contains(&format!("{missing}-0: not in the cluster")),
        "{error}"
    );
    let short = KafkaSink::new(params().set("transaction.timeout.ms", "900"), "t", |_: u64| ProducerRecord::to("t"));
    assert!(start(short).contains("transaction.timeout.ms: 900 ms is no longer than the batch interval"));
}
