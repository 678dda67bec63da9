//! The program that is killed. Standard output has a line for each batch, `batch <records>`; the end of standard input is
//! the order to stop.

use std::io::{Read as _, Write as _};

use winterbourne::kafka::{
    AsText, Bytes, ConsumerStrategies, KafkaParams, KafkaSink, KafkaUtils, LocationStrategies, Nullable,
    ProducerRecord, StartingOffsets,
};
use winterbourne::{BoxError, SparkConf, SparkContext, State, StateSpec, Stop, StreamingContext, Text, milliseconds};
use winterbourne_base::thread;

use crate::topics::{CHANGES, COPIES, INPUT};

/// Between batches, in milliseconds.
const INTERVAL: u64 = 40;

pub(crate) fn run(servers: &str, directory: &str) -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let ssc = StreamingContext::get_or_create(directory, || graph(servers))?;
    ssc.start()?;
    let stopped = ssc.clone();
    thread::spawn("stdin", move || {
        // Its end is the order; an error is one too.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stopped.stop(Stop::gracefully());
    })?;
    ssc.await_termination()?;
    Ok(())
}

fn graph(servers: &str) -> winterbourne::streaming::Result<StreamingContext> {
    let conf = SparkConf::empty()
        .set_app_name("victim")
        .set_master("local[2,2]")
        .set("spark.streaming.batch.maxAttempts", "1000")
        .set("spark.streaming.kafka.maxRatePerPartition", "4000")
        .set("spark.streaming.recovery.maxCatchUp", "4");
    let ssc = StreamingContext::new(&SparkContext::new(conf)?, milliseconds(INTERVAL))?;
    let params = KafkaParams::new(servers).set("group.id", "victim");
    let strategy = ConsumerStrategies::subscribe([INPUT], params).starting(StartingOffsets::Earliest);
    let records = KafkaUtils::create_direct_stream::<Option<Bytes>, Text>(
        &ssc,
        LocationStrategies::prefer_consistent(),
        strategy,
        Nullable(|_: Option<&Bytes>| Ok(Bytes::from(""))),
        AsText,
    );
    let values = records.map(|record| record.value);
    let copy = |value: Text| ProducerRecord::to(COPIES).key(value.as_bytes()).value(value.as_bytes());
    values.write_to("copies", KafkaSink::new(KafkaParams::new(servers), COPIES, copy));

    let key = |value: Text| (value.words().next().unwrap_or_default(), 1_u64);
    let change = |key: &Text, n: Option<u64>, total: &mut State<'_, u64>| {
        let before = total.get().copied().unwrap_or(0);
        let after = before + n.unwrap_or(0);
        total.update(after);
        (key.clone(), before, after)
    };
    let changes = values
        .map(key)
        .reduce_by_key(|a, b| a + b)
        .map_with_state(StateSpec::function(change))
        .checkpoint(milliseconds(INTERVAL * 5))
        .uid("totals");
    let line = |(key, before, after): (Text, u64, u64)| {
        ProducerRecord::to(CHANGES).key(key.as_bytes()).value(format!("{key} {before} {after}"))
    };
    changes.write_to("changes", KafkaSink::new(KafkaParams::new(servers), CHANGES, line));
    values.foreach_rdd(|rdd, _| {
        let mut out = std::io::stdout().lock();
        // If nobody listens any more, the harness is gone, and it does not matter.
        let _ = writeln!(out, "batch {}", rdd.count()?).and_then(|()| out.flush());
        Ok(())
    });
    Ok(ssc)
}
