//! Counts the words of Kafka topics, every second: Spark Streaming's `DirectKafkaWordCount`.
//!
//!     ./wb kafka                                              starts a broker, and says where it is
//!     cargo run --features kafka --example direct_kafka_word_count -- BROKERS GROUP TOPIC,TOPIC
//!
//! Ctrl-C finishes the last batch.
use std::process::ExitCode;
use winterbourne::{kafka::*, prelude::*};

/// The graph behind the topics: lines, words, pairs, counts.
pub fn build(lines: &DStream<Text>) -> DStream<(Text, u64)> {
    lines.flat_map(Text::words).map(|word| (word, 1)).reduce_by_key(|a, b| a + b)
}

fn main() -> ExitCode {
    winterbourne::log_to_stderr();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [brokers, group, topics] => run(brokers, group, topics),
        _ => Err("give BROKERS, GROUP, and TOPICS with commas".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("direct_kafka_word_count: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(brokers: &str, group: &str, topics: &str) -> Result<(), BoxError> {
    let conf =
        SparkConf::new().set_app_name("direct_kafka_word_count").set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, seconds(1))?;
    let params = KafkaParams::new(brokers).set("group.id", group).set("auto.offset.reset", "earliest");
    let records = KafkaUtils::create_direct_stream::<Option<Bytes>, Text>(
        &ssc,
        LocationStrategies::prefer_consistent(),
        ConsumerStrategies::subscribe(topics.split(','), params),
        Nullable(AsBytes),
        AsText,
    );
    build(&records.map(|record| record.value)).print();
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_testkit::StreamTester;

    #[test]
    fn words_are_counted_batch_by_batch() {
        let mut tester = StreamTester::new(seconds(1));
        let (input, lines) = tester.input::<Text>();
        let counts = tester.output(&build(&lines));
        input.push(["to be or", "not to be"].map(Text::new));
        tester.step().expect("a good batch");
        let expect = [("be", 2), ("not", 1), ("or", 1), ("to", 2)].map(|(word, n)| (Text::new(word), n));
        assert_eq!(counts.take_sorted(), [expect]);
    }
}
