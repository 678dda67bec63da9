//! RDDs of ranges: what is in them, and what cannot be read.
use crate::common::*;
use rdkafka::{
    message::{Header as KafkaHeader, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde::Deserialize;
use winterbourne_engine::{BoxError, Rdd, SparkContext, Text};
use winterbourne_kafka::{
    AsBytes, AsText, Bytes, ConsumerRecord, Json, KafkaParams, KafkaUtils, LocationStrategies, Nullable, OffsetRange,
};

fn rdd(
    sc: &SparkContext,
    params: KafkaParams,
    ranges: impl IntoIterator<Item = OffsetRange>,
) -> Rdd<ConsumerRecord<Option<Text>, Text>> {
    let location = LocationStrategies::prefer_consistent();
    KafkaUtils::create_rdd(sc, params, ranges, location, Nullable(AsText), AsText).expect("good ranges")
}
fn values(rdd: &Rdd<ConsumerRecord<Option<Text>, Text>>) -> Vec<String> {
    rdd.map(|r| r.value.to_string()).collect().expect("records")
}

#[test]
fn a_range_is_a_partition_and_is_read_again_for_each_action() {
    let topic = topic("ranges", 2, &[]);
    write(&topic, (0..20).map(|n| (n % 2, format!("v{n}"))));
    let sc = spark(&[]);
    let ranges =
        [OffsetRange::new(&topic, 1, 2, 5), OffsetRange::new(&topic, 0, 0, 3), OffsetRange::new(&topic, 0, 3, 3)];
    let rdd = rdd(&sc, params(), ranges);
    for _ in 0..2 {
        assert_eq!(values(&rdd), ["v5", "v7", "v9", "v0", "v2", "v4"]);
    }
    assert_eq!(rdd.glom().collect().expect("partitions").iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 0]);
    assert_eq!(rdd.count().expect("a count"), 6);
    assert_eq!(rdd.take(1).expect("one")[0].offset, 2);
}

#[test]
fn a_record_has_key_value_headers_time_and_place() {
    let topic = topic("record", 1, &[]);
    let producer: BaseProducer = client(&[]).create().expect("a client");
    let headers = OwnedHeaders::new()
        .insert(KafkaHeader { key: "trace", value: Some("abc") })
        .insert(KafkaHeader { key: "empty", value: None::<&str> });
    let record = BaseRecord::to(&topic).key("k").payload("v").timestamp(1_234_567_890_123).headers(headers);
    producer.send(record).map_err(|(e, _)| e).expect("room");
    let bare: BaseRecord<'_, str, str> = BaseRecord::to(&topic).payload("bare").timestamp(5);
    producer.send(bare).map_err(|(e, _)| e).expect("room");
    producer.flush(PATIENCE).expect("written");

    let sc = spark(&[]);
    let both = rdd(&sc, params(), [OffsetRange::new(&topic, 0, 0, 2)]).collect().expect("records");
    let (full, bare) = (&both[0], &both[1]);
    assert_eq!((full.topic.as_str(), full.partition, full.offset), (topic.as_str(), 0, 0));
    assert_eq!((full.key.as_deref(), full.value.as_str(), full.timestamp), (Some("k"), "v", Some(1_234_567_890_123)));
    assert_eq!(full.headers.last("trace"), Some(&b"abc"[..]));
    assert_eq!((full.headers.all().len(), full.headers.last("empty")), (2, None));
    assert_eq!((bare.key.as_deref(), bare.headers.all().len()), (None, 0));
}

#[test]
fn values_are_bytes_text_or_json_and_what_is_bad_names_its_place() {
    #[derive(Clone, Debug, PartialEq, Deserialize)]
    struct Click {
        page: String,
    }
    let topic = topic("values", 1, &[]);
    write(&topic, [(0, &br#"{"page": "/a"}"#[..]), (0, &[0xff, 0xfe][..])]);
    let (sc, location) = (spark(&[]), LocationStrategies::prefer_brokers());
    let range = |from, until| [OffsetRange::new(&topic, 0, from, until)];
    let bytes = KafkaUtils::create_rdd::<Option<Bytes>, Bytes>(
        &sc,
        params(),
        range(0, 2),
        location.clone(),
        Nullable(AsBytes),
        AsBytes,
    );
    assert_eq!(*bytes.expect("good").collect().expect("records")[1].value, [0xff, 0xfe]);
    let json = |from, until| {
        let clicks = KafkaUtils::create_rdd::<Option<Bytes>, Click>(
            &sc,
            params(),
            range(from, until),
            location.clone(),
            Nullable(AsBytes),
            Json::new(),
        );
        clicks.expect("good").map(|r| r.value).collect()
    };
    assert_eq!(json(0, 1).expect("a click"), [Click { page: "/a".into() }]);
    let error = json(0, 2).expect_err("the second is no JSON").to_string();
    assert!(error.contains(&format!("the value of the record at {topic}-0 offset 1")), "{error}");
    let error = rdd(&sc, params(), range(1, 2)).collect().expect_err("it is no text").to_string();
    assert!(error.contains("is not UTF-8"), "{error}");
    let own = |bytes: Option<&Bytes>| -> Result<usize, BoxError> { Ok(bytes.map_or(0, |b| b.len())) };
    let lengths = KafkaUtils::create_rdd::<usize, usize>(&sc, params(), range(0, 2), location, own, own).expect("good");
    assert_eq!(lengths.map(|r| (r.key, r.value)).collect().expect("records"), [(0, 14), (0, 2)]);
}

#[test]
fn ranges_that_do_not_exist_are_named() {
    let topic = topic("missing", 1, &[]);
    write(&topic, (0..10).map(|n| (0, n.to_string())));
    delete_before(&topic, 0, 4);
    let sc = spark(&[]);
    let location = LocationStrategies::prefer_consistent();
    let reversed = KafkaUtils::create_rdd::<Option<Text>, Text>(
        &sc,
        params(),
        [OffsetRange::new(&topic, 0, 5, 2)],
        location,
        Nullable(AsText),
        AsText,
    );
    let error = reversed.err().expect("it ends before it begins").to_string();
    assert!(error.contains(&format!("{topic}-0 [5, 2) is after its ending offset")), "{error}");
    let error = rdd(&sc, params(), [OffsetRange::new(&topic, 0, 2, 6)]).collect().expect_err("it is gone").to_string();
    assert!(error.contains(&format!("{topic}-0 is to be read from 2, and has 4 to 10")), "{error}");
    assert_eq!(values(&rdd(&sc, params(), [OffsetRange::new(&topic, 0, 4, 6)])), ["4", "5"]);
}

#[test]
fn transactions_leave_gaps_and_those_that_were_aborted_are_not_read() {
    let topic = topic("transactions", 1, &[]);
    let producer: BaseProducer =
        client(&[("transactional.id", &name("test")), ("linger.ms", "1")]).create().expect("a client");
    producer.init_transactions(PATIENCE).expect("a producer");
    let write = |from: u64, commit: bool| {
        producer.begin_transaction().expect("begun");
        for n in from..from + 3 {
            producer
                .send(BaseRecord::<str, str>::to(&topic).payload(&n.to_string()))
                .map_err(|(e, _)| e)
                .expect("room");
        }
        producer.flush(PATIENCE).expect("written");
        if commit {
            producer.commit_transaction(PATIENCE).expect("committed");
        } else {
            producer.abort_transaction(PATIENCE).expect("aborted");
        }
    };
    // 0 1 2 C  4 5 6 A  8 9 10 C: twelve offsets, the last one a control record.
    write(0, true);
    write(10, false);
    write(20, true);
    let sc = spark(&[]);
    let all = rdd(&sc, params(), [OffsetRange::new(&topic, 0, 0, 12)]);
    assert_eq!(values(&all), ["0", "1", "2", "20", "21", "22"]);
    let offsets = all.map(|r| r.offset).collect().expect("records");
    assert_eq!(offsets, [0, 1, 2, 8, 9, 10]);
    let parts =
        [OffsetRange::new(&topic, 0, 3, 8), OffsetRange::new(&topic, 0, 11, 12), OffsetRange::new(&topic, 0, 8, 9)];
    assert_eq!(values(&rdd(&sc, params(), parts)), ["20"]);
    let dirty = rdd(&sc, params().set("isolation.level", "read_uncommitted"), [OffsetRange::new(&topic, 0, 0, 8)]);
    assert_eq!(values(&dirty), ["0", "1", "2", "10", "11", "12"]);
}

#[test]
fn compressed_topics_are_read_zstd_too() {
    let sc = spark(&[]);
    for codec in ["zstd", "lz4", "snappy", "gzip"] {
        let topic = topic(codec, 1, &[("compression.type", codec)]);
        write_with(
            &[("compression.type", codec)],
            &topic,
            (0..500).map(|n| (0, format!("a value that packs well {n}"))),
        );
        let got = values(&rdd(&sc, params(), [OffsetRange::new(&topic, 0, 0, 500)]));
        assert_eq!((got.len(), got[499].as_str()), (500, "a value that packs well 499"), "{codec}");
    }
}

#[test]
fn a_secure_listener_is_read_with_its_certificate_and_password_and_not_without() {
    let topic = topic("secure", 1, &[]);
    write(&topic, [(0, "secret")]);
    let (servers, certificate) = broker().secure().expect("a secure listener");
    let sc = spark(&[("spark.streaming.kafka.consumer.poll.ms", "3s")]);
    for mechanism in ["SCRAM-SHA-256", "PLAIN"] {
        let params = KafkaParams::new(servers.clone())
            .set("security.protocol", "SASL_SSL")
            .set("ssl.ca.location", certificate.to_str().expect("UTF-8"))
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", sasl().user)
            .set("sasl.password", sasl().password);
        let range = || [OffsetRange::new(&topic, 0, 0, 1)];
        assert_eq!(values(&rdd(&sc, params.clone(), range())), ["secret"], "{mechanism}");
        let wrong = rdd(&sc, params.set("sasl.password", "guess"), range()).collect();
        let error = wrong.expect_err("a wrong password").to_string();
        assert!(error.to_lowercase().contains("authentication"), "{error}");
    }
}
