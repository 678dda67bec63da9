//! [`KafkaUtils`]: Spark's name for the ways in.
use crate::{
    ConsumerRecord, ConsumerStrategy, Deserializer, DirectStream, DirectStreamOptions, KafkaParams, KafkaRecord,
    LocationStrategy, OffsetRange, OutOfRange,
    direct::DirectInput,
    read::{self, Readers},
};
use std::sync::Arc;
use winterbourne_engine::{BoxError, Data, Rdd, Site, SparkContext};
use winterbourne_streaming::{BadRecord, DStream, StreamingContext};

/// The ways in.
pub struct KafkaUtils;
impl KafkaUtils {
    /// A stream of the records of topics. Each batch has the offsets from where the one before it ended to what is there
    /// now, or as far as the limits of its rate let it; they are in the batch log before anything runs, so that the records
    /// of a batch are the same in every attempt, and after a restart. A partition of Kafka is a partition of the RDD.
    ///
    /// What becomes visible is what was committed (`isolation.level` is `read_committed` unless set otherwise). The ends of
    /// batches are committed for `group.id`, if there is one, after the batch is done: for tools that watch; the stream
    /// itself looks at them only when it has no past.
    ///
    /// ```no_run
    /// # use winterbourne_kafka::*;
    /// # use winterbourne_streaming::{StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext, Text};
    /// let ssc = StreamingContext::from_conf(SparkConf::new().set_app_name("words"), seconds(1))?;
    /// let params = KafkaParams::new("localhost:9092").set("group.id", "words").set("auto.offset.reset", "earliest");
    /// let lines = KafkaUtils::create_direct_stream::<Option<Text>, Text>(
    ///     &ssc,
    ///     LocationStrategies::prefer_consistent(),
    ///     ConsumerStrategies::subscribe(["lines"], params),
    ///     Nullable(AsText),
    ///     AsText,
    /// );
    /// let words = lines.flat_map(|record| record.value.split_owned(' '));
    /// words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).print();
    /// # Ok::<(), winterbourne_streaming::Error>(())
    /// ```
    ///
    /// A record that a deserialiser refuses fails its batch; see [`DirectStreamOptions::on_bad_record`] and
    /// [`create_direct_stream_or_letters`](Self::create_direct_stream_or_letters). Whether the cluster answers is found out
    /// by `start`.
    #[doc(alias = "createDirectStream")]
    #[track_caller]
    pub fn create_direct_stream<K: Data, V: Data>(
        ssc: &StreamingContext,
        location: LocationStrategy,
        strategy: ConsumerStrategy,
        keys: impl Deserializer<K>,
        values: impl Deserializer<V>,
    ) -> DirectStream<K, V> {
        Self::create_direct_stream_with(ssc, location, strategy, keys, values, DirectStreamOptions::new())
    }
    /// As [`create_direct_stream`](Self::create_direct_stream), with options.
    #[track_caller]
    pub fn create_direct_stream_with<K: Data, V: Data>(
        ssc: &StreamingContext,
        location: LocationStrategy,
        strategy: ConsumerStrategy,
        keys: impl Deserializer<K>,
        values: impl Deserializer<V>,
        options: DirectStreamOptions,
    ) -> DirectStream<K, V> {
        let on_bad = options.on_bad;
        let (raw, offsets) = raw(ssc, location, strategy, options);
        let stream = raw.try_map(on_bad, move |record| typed(&record, &keys, &values));
        DirectStream { stream, offsets }
    }
    /// As [`create_direct_stream_with`](Self::create_direct_stream_with), with a second stream of the records that a
    /// deserialiser refused: as they lie in the topic, with the error.
    #[track_caller]
    pub fn create_direct_stream_or_letters<K: Data, V: Data>(
        ssc: &StreamingContext,
        location: LocationStrategy,
        strategy: ConsumerStrategy,
        keys: impl Deserializer<K>,
        values: impl Deserializer<V>,
        options: DirectStreamOptions,
    ) -> (DirectStream<K, V>, DStream<BadRecord<KafkaRecord>>) {
        let (raw, offsets) = raw(ssc, location, strategy, options);
        let (stream, letters) = raw.try_map_or_letter(move |record| typed(record, &keys, &values));
        (DirectStream { stream, offsets }, letters)
    }
    /// The records of ranges, as an RDD: partition i is range i. It reads when an action runs, and again for another one.
    /// Offsets that do not exist fail the action.
    ///
    /// ```no_run
    /// # use winterbourne_kafka::*;
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ranges = [OffsetRange::new("lines", 0, 0, 100), OffsetRange::new("lines", 1, 0, 100)];
    /// let rdd = KafkaUtils::create_rdd::<Option<String>, String>(
    ///     &sc, KafkaParams::new("localhost:9092"), ranges, LocationStrategies::prefer_consistent(), Nullable(AsText), AsText)?;
    /// println!("{} records", rdd.count()?);
    /// # Ok::<(), winterbourne_engine::BoxError>(())
    /// ```
    ///
    /// # Errors
    /// A parameter that means nothing; a range that ends before it begins.
    #[doc(alias = "createRDD")]
    #[track_caller]
    pub fn create_rdd<K: Data, V: Data>(
        sc: &SparkContext,
        params: KafkaParams,
        ranges: impl IntoIterator<Item = OffsetRange>,
        location: LocationStrategy,
        keys: impl Deserializer<K>,
        values: impl Deserializer<V>,
    ) -> Result<Rdd<ConsumerRecord<K, V>>, BoxError> {
        let site = Site::caller();
        let _ = location;
        let readers = Readers::new(params.checked()?, OutOfRange::Fail, sc.conf())?;
        let raw = read::rdd(sc, site, Arc::new(readers), ranges.into_iter().collect())?;
        Ok(raw.try_map(winterbourne_engine::OnBadRecord::Fail, move |record| typed(&record, &keys, &values)))
    }
}

#[track_caller]
fn raw(
    ssc: &StreamingContext,
    location: LocationStrategy,
    strategy: ConsumerStrategy,
    options: DirectStreamOptions,
) -> (DStream<KafkaRecord>, crate::Offsets) {
    // One process: wherever it prefers to be, it is here.
    let _ = location;
    let (name, uid) = (format!("kafka {}", strategy.name), options.uid.clone());
    match DirectInput::new(strategy, options, ssc.spark_context().conf(), Site::caller()) {
        Ok(input) => {
            let offsets = input.offsets();
            let stream = ssc.input_stream(name, input);
            (if let Some(uid) = uid { stream.uid(uid) } else { stream }, offsets)
        }
        Err(e) => (ssc.input_stream(name, Refused(e.to_string())), crate::Offsets::default()),
    }
}

/// A stream that cannot be: `start` says why, as of everything else that is wrong.
struct Refused(String);
impl winterbourne_streaming::Input<KafkaRecord> for Refused {
    type Plan = ();
    fn start(&mut self) -> Result<(), BoxError> {
        Err(self.0.clone().into())
    }
    fn plan(
        &mut self,
        _: &winterbourne_streaming::Tick,
    ) -> Result<Option<winterbourne_streaming::Planned<()>>, BoxError> {
        Err(self.0.clone().into())
    }
    fn read(&mut self, _: &SparkContext, (): &()) -> Result<Rdd<KafkaRecord>, BoxError> {
        Err(self.0.clone().into())
    }
}

/// # Errors
/// Which part of the record is bad, where it lies, and why.
fn typed<K, V>(
    record: &KafkaRecord,
    keys: &impl Deserializer<K>,
    values: &impl Deserializer<V>,
) -> Result<ConsumerRecord<K, V>, BoxError> {
    let bad = |part: &str, e: BoxError| -> BoxError {
        format!("the {part} of the record at {}-{} offset {}: {e}", record.topic, record.partition, record.offset)
            .into()
    };
    Ok(ConsumerRecord {
        topic: record.topic.clone(),
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: keys.deserialize(record.key.as_ref()).map_err(|e| bad("key", e))?,
        value: values.deserialize(record.value.as_ref()).map_err(|e| bad("value", e))?,
        headers: record.headers.clone(),
    })
}
