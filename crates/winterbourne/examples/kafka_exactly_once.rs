//! From Kafka, through state, to Kafka, exactly once: how often each key of one topic has come so far, written to another
//! whenever it changes.
//!
//!     ./wb kafka                                              starts a broker, and says where it is
//!     cargo run --features kafka --example kafka_exactly_once -- BROKERS FROM TO /var/tmp/totals
//!
//! Kill it (`kill -9`, even) and start it again with the same directory: who reads the second topic with
//! `isolation.level=read_committed` sees each total once. Both topics must exist.
use std::process::ExitCode;
use winterbourne::{kafka::*, prelude::*};

/// The graph between the topics: a running total for each key.
pub fn build(keys: &DStream<Text>) -> DStream<(Text, u64)> {
    let spec = StateSpec::function(|key: &Text, n: Option<u64>, total: &mut State<'_, u64>| {
        let sum = total.get().copied().unwrap_or(0) + n.unwrap_or(0);
        total.update(sum);
        (key.clone(), sum)
    });
    // Added up first, so that a key is written once for a batch.
    let counts = keys.map(|key| (key, 1u64)).reduce_by_key(|a, b| a + b);
    DStream::clone(&counts.map_with_state(spec).uid("totals"))
}

fn main() -> ExitCode {
    winterbourne::log_to_stderr();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [brokers, from, to, directory] => run(brokers, from, to, directory),
        _ => Err("give BROKERS, the topic to read, the topic to write, and a DIRECTORY".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("kafka_exactly_once: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(brokers: &str, from: &str, to: &str, directory: &str) -> Result<(), BoxError> {
    let ssc = StreamingContext::get_or_create(directory, || {
        let conf =
            SparkConf::new().set_app_name("kafka_exactly_once").set("spark.streaming.stopGracefullyOnShutdown", true);
        let ssc = StreamingContext::from_conf(conf, seconds(1))?;
        let params =
            KafkaParams::new(brokers).set("group.id", "kafka_exactly_once").set("auto.offset.reset", "earliest");
        let records = KafkaUtils::create_direct_stream::<Text, Option<Bytes>>(
            &ssc,
            LocationStrategies::prefer_consistent(),
            ConsumerStrategies::subscribe([from], params),
            AsText,
            Nullable(AsBytes),
        );
        let topic = to.to_owned();
        let sink = KafkaSink::new(KafkaParams::new(brokers), to, move |(key, total): (Text, u64)| {
            ProducerRecord::to(&topic).key(key.as_bytes()).value(total.to_string())
        });
        build(&records.map(|record| record.key)).write_to("totals", sink);
        Ok(ssc)
    })?;
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_testkit::StreamTester;

    #[test]
    fn totals_go_on_from_batch_to_batch() {
        let mut tester = StreamTester::new(seconds(1));
        let (input, keys) = tester.input::<Text>();
        let totals = tester.output(&build(&keys));
        input.push(["a", "b", "a"].map(Text::new));
        input.push(["a"].map(Text::new));
        tester.steps(2).expect("good batches");
        let pairs = |all: &[(&str, u64)]| all.iter().map(|(k, n)| (Text::new(k), *n)).collect::<Vec<_>>();
        assert_eq!(totals.take_sorted(), [pairs(&[("a", 2), ("b", 1)]), pairs(&[("a", 3)])]);
    }
}
