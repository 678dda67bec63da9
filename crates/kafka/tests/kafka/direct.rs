//! The direct stream: what belongs to a batch, where it begins, how it goes on, and what it is told of.
use crate::common::*;
use std::sync::Arc;
use winterbourne_base::{Clock as _, ManualClock, SparkConf, Time};
use winterbourne_engine::{OnBadRecord, SparkContext, Text};
use winterbourne_kafka::{
    AsText, ConsumerStrategies, ConsumerStrategy, DirectStream, DirectStreamOptions, KafkaParams, KafkaUtils,
    LocationStrategies, Nullable, OffsetRange, Offsets, OutOfRange, StartingOffsets, TopicPartition,
};
use winterbourne_streaming::{Duration, Error, Stepper, StreamingContext, StreamingEvent, seconds};
use winterbourne_testkit::TEST_START;

fn stream(
    ssc: &StreamingContext,
    strategy: ConsumerStrategy,
    options: DirectStreamOptions,
) -> DirectStream<Option<Text>, String> {
    let location = LocationStrategies::prefer_consistent();
    KafkaUtils::create_direct_stream_with(ssc, location, strategy, Nullable(AsText), AsText, options)
}
fn earliest(topic: &str) -> ConsumerStrategy {
    ConsumerStrategies::subscribe([topic], params()).starting(StartingOffsets::Earliest)
}

/// A started stream, and the values of its batches.
struct Run {
    clock: Arc<ManualClock>,
    ssc: StreamingContext,
    offsets: Offsets,
    run: Stepper,
    values: Kept<String>,
}
fn run(settings: Settings<'_>, strategy: ConsumerStrategy, options: DirectStreamOptions) -> Run {
    let (clock, ssc) = manual(settings);
    begin(clock, ssc, strategy, options).expect("a start")
}
fn begin(
    clock: Arc<ManualClock>,
    ssc: StreamingContext,
    strategy: ConsumerStrategy,
    options: DirectStreamOptions,
) -> Result<Run, Error> {
    let (offsets, values) = build(&ssc, strategy, options);
    let run = ssc.start_stepped()?;
    Ok(Run { clock, ssc, offsets, run, values })
}
fn build(ssc: &StreamingContext, strategy: ConsumerStrategy, options: DirectStreamOptions) -> (Offsets, Kept<String>) {
    let stream = stream(ssc, strategy, options);
    let values = Kept::default();
    let kept = values.clone();
    stream.foreach_rdd(move |rdd, _| {
        rdd.map(|r| r.value).collect()?.into_iter().for_each(|v| kept.push(v));
        Ok(())
    });
    (stream.offsets(), values)
}
impl Run {
    fn try_step(&mut self) -> Result<Time, Error> {
        self.clock.set(self.run.next_time().max(self.clock.now()));
        self.run.step()
    }
    /// The values of the next batch, sorted.
    fn step(&mut self) -> Vec<String> {
        self.try_step().expect("a good batch");
        let mut all = self.values.take();
        all.sort();
        all
    }
}
fn ranges(of: &[OffsetRange]) -> Vec<(i32, i64, i64)> {
    of.iter().map(|r| (r.partition.partition, r.from, r.until)).collect()
}

#[test]
fn a_batch_has_what_came_since_the_last_one_and_says_its_ranges() {
    let topic = topic("batches", 2, &[]);
    let mut run = run(&[], earliest(&topic), DirectStreamOptions::new());
    write(&topic, [(0, "a"), (1, "b"), (0, "c")]);
    assert_eq!(run.step(), ["a", "b", "c"]);
    let first = run.offsets.ranges(run.clock.now()).expect("a batch");
    assert_eq!(ranges(&first), [(0, 0, 2), (1, 0, 1)]);
    assert_eq!(run.step(), [""; 0]);
    write(&topic, [(1, "d")]);
    assert_eq!(run.step(), ["d"]);
    assert_eq!(ranges(&run.offsets.ranges(run.clock.now()).expect("a batch")), [(0, 2, 2), (1, 1, 2)]);
    assert_eq!(run.ssc.status().processed_records, 4);
}

#[test]
fn a_stream_without_a_past_begins_where_its_strategy_says() {
    let topic = topic("starting", 1, &[]);
    let of = |p| TopicPartition::new(&topic, p);
    let producer: rdkafka::producer::BaseProducer = client(&[]).create().expect("a client");
    for n in 0..4i64 {
        let value = n.to_string();
        let record = rdkafka::producer::BaseRecord::<str, str>::to(&topic).payload(&value).timestamp(1_000 * (n + 1));
        producer.send(record).map_err(|(e, _)| e).expect("room");
    }
    rdkafka::producer::Producer::flush(&producer, PATIENCE).expect("written");
    let subscribe = |params: KafkaParams| ConsumerStrategies::subscribe([&topic], params);
    let first = |strategy: ConsumerStrategy| run(&[], strategy, DirectStreamOptions::new()).step();
    let at = |ms| subscribe(params()).starting(StartingOffsets::Time(Time::from_millis(ms)));
    assert_eq!(first(earliest(&topic)), ["0", "1", "2", "3"]);
    assert_eq!(first(subscribe(params())), [""; 0], "the default is latest, as Kafka's");
    assert_eq!(first(subscribe(params().set("auto.offset.reset", "earliest"))), ["0", "1", "2", "3"]);
    assert_eq!(first(at(2_500)), ["2", "3"]);
    assert_eq!(first(at(9_000)), [""; 0], "nothing is as new");
    assert_eq!(first(subscribe(params()).offsets([(of(0), 3)])), ["3"]);
    assert_eq!(first(ConsumerStrategies::assign([of(0)], params()).offsets([(of(0), 1)])), ["1", "2", "3"]);
    let group = params().set("group.id", name("begun")).set("auto.offset.reset", "none");
    let (clock, ssc) = manual(&[]);
    let refused = begin(clock, ssc, subscribe(group.clone()), DirectStreamOptions::new()).err().expect("no offset");
    assert!(refused.to_string().contains("has committed none, and auto.offset.reset is none"), "{refused}");
    let mut earlier = run(&[], subscribe(group.clone()).offsets([(of(0), 0)]), DirectStreamOptions::new());
    earlier.step();
    drop(earlier);
    write(&topic, [(0, "4")]);
    assert_eq!(first(subscribe(group)), ["4"], "where the group ended");
}

#[test]
fn what_is_done_is_committed_for_the_group_after_the_batch() {
    let topic = topic("committed", 1, &[]);
    let group = name("group");
    let strategy = ConsumerStrategies::subscribe([&topic], params().set("group.id", &group));
    let mut run = run(&[], strategy.starting(StartingOffsets::Earliest), DirectStreamOptions::new());
    write(&topic, [(0, "a"), (0, "b")]);
    assert_eq!(run.step(), ["a", "b"]);
    write(&topic, [(0, "c")]);
    assert_eq!(run.step(), ["c"]);
    drop(run);
    assert_eq!(committed(&group, &topic, 0), Some(3), "an orderly end commits what was done last");
}

#[test]
fn a_program_may_commit_by_itself_and_hears_what_came_of_it() {
    let topic = topic("asked", 1, &[]);
    let group = name("group");
    let params = params().set("group.id", &group).set("enable.auto.commit", "false");
    let strategy = ConsumerStrategies::subscribe([&topic], params).starting(StartingOffsets::Earliest);
    let mut run = run(&[], strategy, DirectStreamOptions::new());
    write(&topic, [(0, "a"), (0, "b")]);
    run.step();
    run.step();
    assert_eq!(committed(&group, &topic, 0), None, "nobody asked for it");
    let (tell, told) = std::sync::mpsc::channel();
    run.offsets.commit_async_with(&[OffsetRange::new(&topic, 0, 0, 2)], move |done| drop(tell.send(done)));
    assert!(told.try_recv().is_err(), "with the next batch");
    run.step();
    assert_eq!(told.try_recv(), Ok(Ok(())));
    assert_eq!(committed(&group, &topic, 0), Some(2));
}

#[test]
fn rates_bound_each_partition_and_follow_the_lag() {
    let topic = topic("rates", 2, &[]);
    write(&topic, (0..900).map(|n| (0, format!("{n}"))).chain((0..100).map(|n| (1, format!("{n}")))));
    let sizes = |settings: Settings<'_>, options: DirectStreamOptions| {
        let mut run = run(settings, earliest(&topic), options);
        run.step();
        let of = run.offsets.ranges(run.clock.now()).expect("a batch");
        of.iter().map(OffsetRange::count).collect::<Vec<_>>()
    };
    let max = ("spark.streaming.kafka.maxRatePerPartition", "70");
    let initial =
        [("spark.streaming.backpressure.enabled", "true"), ("spark.streaming.backpressure.initialRate", "200")];
    let off = ("spark.streaming.backpressure.enabled", "false");
    assert_eq!(sizes(&[off], DirectStreamOptions::new()), [900, 100]);
    assert_eq!(sizes(&[], DirectStreamOptions::new()), [90, 10], "a careful start");
    assert_eq!(sizes(&[off, max], DirectStreamOptions::new()), [70, 70]);
    assert_eq!(sizes(&[off, ("spark.streaming.batch.maxRecords", "500")], DirectStreamOptions::new()), [450, 50]);
    let max = [off, max];
    let own = DirectStreamOptions::new().max_rate(|p| (p.partition == 0).then_some(5));
    assert_eq!(sizes(&max, own), [5, 100]);
    assert_eq!(sizes(&initial, DirectStreamOptions::new()), [180, 20]);
    assert_eq!(sizes(&[initial[0], initial[1], max[1]], DirectStreamOptions::new()), [70, 20]);
    assert_eq!(sizes(&initial, DirectStreamOptions::new().min_rate(|_| Some(40))), [160, 40]);
}

#[test]
fn long_ranges_are_split_and_offset_ranges_follow() {
    let topic = topic("split", 2, &[]);
    write(&topic, (0..10).map(|n| (0, format!("{n}"))));
    let mut run = run(&[], earliest(&topic), DirectStreamOptions::new().split_after(4));
    assert_eq!(run.step().len(), 10);
    let split = run.offsets.ranges(run.clock.now()).expect("a batch");
    assert_eq!(ranges(&split), [(0, 0, 4), (0, 4, 7), (0, 7, 10), (1, 0, 0)]);
}

#[test]
fn new_partitions_and_topics_are_found_and_read_from_their_beginning() {
    let prefix = name("found");
    let one = format!("{prefix}.one");
    make(&one, 1, &[]);
    let strategy = ConsumerStrategies::subscribe_pattern(&format!("{prefix}\\..*"), params());
    let mut run = run(&[], strategy, DirectStreamOptions::new().discover_every(Duration::ZERO));
    assert_eq!(run.step(), [""; 0]);
    write(&one, [(0, "a")]);
    assert_eq!(run.step(), ["a"]);
    add_partitions(&one, 2);
    let two = format!("{prefix}.two");
    make(&two, 1, &[]);
    make(&format!("not-{prefix}.two"), 1, &[]);
    write(&one, [(0, "b"), (1, "c")]);
    write(&two, [(0, "d")]);
    assert_eq!(run.step(), ["b", "c", "d"]);
    assert_eq!(run.offsets.ranges(run.clock.now()).expect("a batch").len(), 3);
}

#[test]
fn partitions_may_be_chosen_by_a_function() {
    let topic = topic("chosen", 3, &[]);
    write(&topic, (0..3).map(|p| (p, format!("from {p}"))));
    let own = topic.clone();
    let wanted = move |p: &TopicPartition| p.topic == own.as_str() && p.partition != 1;
    let strategy = ConsumerStrategies::subscribe_where("not one", wanted, params()).starting(StartingOffsets::Earliest);
    assert_eq!(run(&[], strategy, DirectStreamOptions::new()).step(), ["from 0", "from 2"]);
}

#[test]
fn offsets_that_are_gone_follow_the_policy() {
    for (policy, expect) in
        [(OutOfRange::Earliest, vec!["4", "5"]), (OutOfRange::Latest, vec![]), (OutOfRange::Fail, vec![])]
    {
        let topic = topic("gone", 1, &[]);
        let mut run = run(
            &[("spark.streaming.batch.maxAttempts", "1")],
            earliest(&topic),
            DirectStreamOptions::new().out_of_range(policy),
        );
        write(&topic, [(0, "0"), (0, "1")]);
        assert_eq!(run.step(), ["0", "1"]);
        write(&topic, (2..6).map(|n| (0, n.to_string())));
        delete_before(&topic, 0, 4);
        if policy == OutOfRange::Fail {
            let error = run.try_step().expect_err("records are gone").to_string();
            assert!(error.contains(&format!("{topic}-0 is to be read from 2, and has 4 to 6")), "{error}");
            continue;
        }
        assert_eq!(run.step(), expect, "{policy:?}");
        write(&topic, [(0, "6")]);
        assert_eq!(run.step(), ["6"], "{policy:?}");
    }
}

#[test]
fn records_that_are_deleted_after_their_batch_was_planned_are_named() {
    let topic = topic("planned", 1, &[]);
    let (clock, ssc) = manual(&[("spark.streaming.batch.maxAttempts", "1")]);
    let input = stream(&ssc, earliest(&topic), DirectStreamOptions::new());
    let gone = topic.clone();
    input.foreach_rdd(move |rdd, _| {
        delete_before(&gone, 0, 3);
        rdd.count()?;
        Ok(())
    });
    write(&topic, (0..5).map(|n| (0, n.to_string())));
    let mut run = ssc.start_stepped().expect("a start");
    clock.set(run.next_time());
    let error = run.step().expect_err("they are gone").to_string();
    assert!(error.contains(&format!("{topic}-0 is to be read from 0, and has 3 to 5")), "{error}");
}

#[test]
fn records_that_cannot_be_read_are_skipped_and_counted_or_become_letters() {
    let topic = topic("bad", 1, &[]);
    write(&topic, [(0, &b"good"[..]), (0, &[0xff][..])]);
    let mut skipping = run(&[], earliest(&topic), DirectStreamOptions::new().on_bad_record(OnBadRecord::Skip));
    assert_eq!(skipping.step(), ["good"]);
    assert_eq!(skipping.ssc.status().skipped_records, 1);

    let (clock, ssc) = manual(&[]);
    let location = LocationStrategies::prefer_consistent();
    let (good, letters) = KafkaUtils::create_direct_stream_or_letters::<Option<Text>, Text>(
        &ssc,
        location,
        earliest(&topic),
        Nullable(AsText),
        AsText,
        DirectStreamOptions::new(),
    );
    let (tell, told) = std::sync::mpsc::channel();
    let also = tell.clone();
    good.foreach_rdd(move |rdd, _| Ok(tell.send(format!("{} good", rdd.count()?))?));
    letters.foreach_rdd(move |rdd, _| {
        for letter in rdd.collect()? {
            also.send(format!("{} {:?}: {}", letter.record.offset, letter.record.value, letter.error))?;
        }
        Ok(())
    });
    let mut run = ssc.start_stepped().expect("a start");
    clock.set(run.next_time());
    run.step().expect("a good batch");
    let told: Vec<String> = told.try_iter().collect();
    assert_eq!(told[0], "1 good");
    assert!(told[1].starts_with("1 Some(b\"\\xff\"): the value of the record at"), "{told:?}");
}

#[test]
fn listeners_hear_ranges_lag_and_freshness() {
    let topic = topic("lag", 2, &[]);
    let producer: rdkafka::producer::BaseProducer = client(&[]).create().expect("a client");
    let newest = TEST_START + seconds(5);
    for _ in 0..10 {
        let record = rdkafka::producer::BaseRecord::<str, str>::to(&topic).payload("x").partition(0);
        producer.send(record.timestamp(newest.as_millis() as i64)).map_err(|(e, _)| e).expect("room");
    }
    rdkafka::producer::Producer::flush(&producer, PATIENCE).expect("written");
    let mut run =
        run(&[("spark.streaming.kafka.maxRatePerPartition", "4")], earliest(&topic), DirectStreamOptions::new());
    let (tell, told) = std::sync::mpsc::channel();
    run.ssc.add_streaming_listener(move |event: &StreamingEvent| {
        if let StreamingEvent::BatchCompleted(info) = event {
            let _ = tell.send(info.clone());
        }
    });
    run.step();
    let info = told.try_recv().expect("a batch");
    let input = &info.inputs[0];
    assert_eq!((input.records, input.description.as_str()), (Some(4), format!("{topic}-0 [0, 4)").as_str()));
    let [behind, idle] = input.lag.as_slice() else { panic!("two partitions: {:?}", input.lag) };
    assert_eq!((behind.part.as_str(), behind.records, behind.newest), (format!("{topic}-0").as_str(), 6, Some(newest)));
    assert_eq!(behind.behind(newest + seconds(3)), Some(seconds(3)));
    assert_eq!((idle.records, idle.newest, idle.behind(newest)), (0, None, Some(seconds(0))));
    let [of] = &run.ssc.status().lags[..] else { panic!("one input") };
    assert_eq!((&of.id, &of.parts, of.records()), (&input.id, &input.lag, 6));
    assert_eq!(of.behind(newest + seconds(3)), Some(seconds(3)));
}

#[test]
fn compacted_topics_have_gaps_and_are_read_to_their_end() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "100"),
    ];
    let topic = topic("compacted", 1, &settings);
    let producer: rdkafka::producer::BaseProducer = client(&[]).create().expect("a client");
    let put = |n: u64| {
        let (key, value) = (format!("k{}", n % 3), n.to_string());
        let record = rdkafka::producer::BaseRecord::<str, str>::to(&topic).key(&key).payload(&value);
        producer.send(record).map_err(|(e, _)| e).expect("room");
        rdkafka::producer::Producer::flush(&producer, PATIENCE).expect("written");
    };
    (0..30).for_each(put);
    let mut next = 30;
    // The active segment is never compacted: another record closes it, until most of what was written is gone.
    while read_all(&topic).len() > 20 {
        put(next);
        next += 1;
    }
    let visible: Vec<String> = read_all(&topic);
    let mut run = run(&[], earliest(&topic), DirectStreamOptions::new());
    let mut got = run.step();
    got.sort_by_key(|v| v.parse::<u64>().expect("a number"));
    assert!(visible.iter().rev().zip(got.iter().rev()).all(|(a, b)| a == b), "{visible:?} {got:?}");
    assert!(got.len() < next as usize && got.last() == visible.last());
}

#[test]
fn what_cannot_be_read_is_said_at_the_start() {
    let start = |strategy: ConsumerStrategy| {
        let (clock, ssc) = manual(&[]);
        begin(clock, ssc, strategy, DirectStreamOptions::new()).err().expect("it cannot start").to_string()
    };
    let missing = name("never-made");
    let error = start(earliest(&missing));
    assert!(error.contains(&format!("{missing}-0: not in the cluster")), "{error}");
    let error = start(ConsumerStrategies::subscribe(["t"], params().set("no.such.key", "1")));
    assert!(error.contains("no.such.key"), "{error}");
    let error = start(ConsumerStrategies::subscribe(["t"], params().set("sasl.jaas.config", "x")));
    assert!(error.contains("sasl.username"), "{error}");
    let error = start(ConsumerStrategies::subscribe_pattern("(", params()));
    assert!(error.contains("pattern of topics"), "{error}");
}

#[test]
fn a_restart_reads_unfinished_batches_from_their_plan_and_goes_on_behind_them() {
    let topic = topic("restart", 1, &[]);
    let dir = winterbourne_base::scratch::ScratchDir::create(&std::env::temp_dir(), "winterbourne-kafka-test")
        .expect("a directory");
    let place = dir.path().join("checkpoint").to_string_lossy().into_owned();
    let process = |now: Time, fails: bool| -> Run {
        let clock = ManualClock::new(now);
        let conf = SparkConf::empty().set_app_name("restart").set("spark.streaming.batch.maxAttempts", "1");
        let mut parts = None;
        let ssc = StreamingContext::get_or_create(place.clone(), || {
            let ssc = StreamingContext::with_clock(&SparkContext::new(conf)?, seconds(1), clock.clone())?;
            // It has a past, so where it would begin without one does not count.
            let from = if fails { StartingOffsets::Earliest } else { StartingOffsets::Latest };
            let strategy = ConsumerStrategies::subscribe([&topic], params()).starting(from);
            let stream = stream(&ssc, strategy, DirectStreamOptions::new());
            let values = Kept::default();
            parts = Some((stream.offsets(), values.clone()));
            stream.foreach_rdd(move |rdd, _| {
                let all = rdd.map(|r| r.value).collect()?;
                if fails && all.iter().any(|v| v == "c") {
                    return Err("the second batch fails on purpose".into());
                }
                all.into_iter().for_each(|v| values.push(v));
                Ok(())
            });
            Ok(ssc)
        });
        let ssc = ssc.expect("a good program");
        let (offsets, values) = parts.expect("it was built");
        let run = ssc.start_stepped().expect("a start");
        Run { clock, ssc, offsets, run, values }
    };
    let mut first = process(TEST_START, true);
    write(&topic, [(0, "a"), (0, "b")]);
    assert_eq!(first.step(), ["a", "b"]);
    write(&topic, [(0, "c")]);
    first.try_step().expect_err("it fails");
    drop(first);
    // What came later belongs to a later batch, although it is there when the unfinished one is run.
    write(&topic, [(0, "d")]);
    let mut second = process(TEST_START + seconds(2), false);
    assert_eq!(second.step(), ["c"]);
    assert_eq!(second.step(), ["d"]);
}
