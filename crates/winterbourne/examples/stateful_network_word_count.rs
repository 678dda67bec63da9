//! Running totals of the words that come over a TCP connection, from totals that were there before: Spark Streaming's
//! `StatefulNetworkWordCount`.
//!
//!     nc -lk 9999
//!     cargo run --example stateful_network_word_count [-- HOST PORT]
//!
//! The totals end with the program; see `recoverable_network_word_count` for some that do not.
use winterbourne::prelude::*;

/// The graph: the words of each batch with their totals so far. "hello" and "world" have been seen once already.
pub fn build(lines: &DStream<Text>) -> DStream<(Text, u64)> {
    let before = ["hello", "world"].map(|word| (Text::from(word), 1));
    let initial = lines.streaming_context().spark_context().parallelize(before, 2);
    let spec = StateSpec::function(|word: &Text, _one: Option<u64>, total: &mut State<'_, u64>| {
        let sum = total.get().copied().unwrap_or(0) + 1;
        total.update(sum);
        (word.clone(), sum)
    });
    let words = lines.flat_map(Text::words).map(|word| (word, 1));
    DStream::clone(&words.map_with_state(spec.initial_state(initial)).volatile())
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "localhost".into());
    let port = args.next().map_or(Ok(9999), |p| p.parse())?;
    let conf = SparkConf::new()
        .set_app_name("stateful_network_word_count")
        .set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, seconds(1))?;
    build(&ssc.socket_text_stream(host, port)).print();
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[test]
fn each_word_comes_with_its_total_which_begins_with_what_was_there() {
    let mut tester = winterbourne_testkit::StreamTester::new(seconds(1));
    let (lines, stream) = tester.input();
    let totals = tester.output(&build(&stream));
    lines.push(["hello you", "hello"].map(Text::from));
    lines.push(["you world"].map(Text::from));
    tester.steps(2).unwrap();
    let pairs = |all: &[(&str, u64)]| all.iter().map(|(w, n)| (Text::from(*w), *n)).collect::<Vec<_>>();
    assert_eq!(
        totals.take_sorted(),
        [pairs(&[("hello", 2), ("hello", 3), ("you", 1)]), pairs(&[("world", 2), ("you", 2)])]
    );
}
