//! W9: word count from a Kafka topic of four partitions, beside a bare loop over the same client.
use crate::{
    Out, Result,
    args::Args,
    corpus,
    meter::measure,
    row::Row,
    words::{Tally, conf, count_stream},
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use std::{
    collections::HashMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use winterbourne::{
    SparkContext, StreamingContext, Text,
    kafka::{
        AsText, ConsumerStrategies, DirectStreamOptions, KafkaParams, KafkaUtils, LocationStrategies, Nullable,
        StartingOffsets,
    },
    seconds,
};
use winterbourne_broker::Cluster;

const TOPIC: &str = "w9";
const PARTITIONS: i32 = 4;
/// Records of a partition in a batch of a second.
const RATE: u64 = 250_000;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let broker = Cluster::start()?;
    broker.create_topic(TOPIC, PARTITIONS as u32)?;
    let servers = broker.bootstrap();
    let n = args.n.unwrap_or(10_000_000) / PARTITIONS as u64 * PARTITIONS as u64;
    fill(&servers, n, &fs::read_to_string(corpus::file(args, None)?)?)?;
    for _ in 0..args.rounds(1) {
        if args.wants("limit") {
            out(limit(&servers, n)?);
        }
        if args.wants("direct") {
            out(direct(&servers, n, args.threads())?);
        }
    }
    Ok(())
}

/// Line i goes to partition i modulo four.
fn fill(servers: &str, n: u64, text: &str) -> Result {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("linger.ms", "20").set("queue.buffering.max.messages", "200000");
    let producer: BaseProducer = config.create()?;
    let mut lines = text.lines().cycle();
    for i in 0..n {
        let line = lines.next().ok_or("the text is empty")?;
        let mut record: BaseRecord<'_, str, str> =
            BaseRecord::to(TOPIC).partition((i % PARTITIONS as u64) as i32).payload(line);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(Duration::from_millis(10));
                    record = back;
                }
                Err((e, _)) => return Err(e.into()),
            }
        }
    }
    Ok(producer.flush(PATIENCE)?)
}

/// One thread for two partitions, each with a client and a table of its own.
fn limit(servers: &str, n: u64) -> Result<Row> {
    let (counted, spent) = measure(|| -> Result<Vec<Tally>> {
        thread::scope(|s| {
            let threads: Vec<_> =
                [[0, 1], [2, 3]].into_iter().map(|own| s.spawn(move || loop_over(servers, own, n / 2))).collect();
            threads.into_iter().map(|t| t.join().map_err(|_| "a thread of the loop panicked")?).collect()
        })
    });
    let words: u64 = counted?.iter().map(|t| t.words).sum();
    Ok(Row::new("W9", "limit", 2, n, spent).result("words", words))
}
fn loop_over(servers: &str, own: [i32; 2], n: u64) -> Result<Tally> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "limit").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for p in own {
        list.add_partition_offset(TOPIC, p, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut table: HashMap<Vec<u8>, u64> = HashMap::new();
    for _ in 0..n {
        let message = consumer.poll(PATIENCE).ok_or("no record came")??;
        for word in message.payload().unwrap_or_default().split(|b| *b == b' ') {
            match table.get_mut(word) {
                Some(n) => *n += 1,
                None => {
                    table.insert(word.to_vec(), 1);
                }
            }
        }
    }
    Ok(Tally { distinct: table.len() as u64, words: table.values().sum() })
}

fn direct(servers: &str, n: u64, threads: usize) -> Result<Row> {
    // `RATE` says how large batches are, and nothing else.
    let conf = conf(threads).set("spark.streaming.backpressure.enabled", false);
    let ssc = StreamingContext::new(&SparkContext::new(conf)?, seconds(1))?;
    let strategy =
        ConsumerStrategies::subscribe([TOPIC], KafkaParams::new(servers)).starting(StartingOffsets::Earliest);
    let records = KafkaUtils::create_direct_stream_with::<Option<Text>, Text>(
        &ssc,
        LocationStrategies::prefer_consistent(),
        strategy,
        Nullable(AsText),
        AsText,
        DirectStreamOptions::new().max_rate(|_| Some(RATE)),
    );
    let total = Arc::<Mutex<Tally>>::default();
    let sum = total.clone();
    count_stream(&records.map(|record| record.value)).foreach_rdd(move |counts, _| {
        let tally = Tally::of(counts)?;
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = sum.plus(tally);
        Ok(())
    });
    let mut batches = 0u64;
    let (done, spent) = measure(|| -> Result {
        let mut run = ssc.start_stepped()?;
        while ssc.status().processed_records < n {
            run.step()?;
            batches += 1;
        }
        Ok(())
    });
    done?;
    let tally = *total.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Row::new("W9", "direct", threads, n, spent).result("words", tally.words).more("batches", batches))
}
