//! The words that came most often since the program began, after every batch.
//!
//!     nc -lk 9999
//!     cargo run --example top_k [-- K HOST PORT]
use winterbourne::prelude::*;

/// The graph: the `k` words with the highest totals, highest first, equal ones by the alphabet.
///
/// The totals stay where they are, in the state; each partition gives its own `k` best, and only those meet.
pub fn build(lines: &DStream<Text>, k: usize) -> DStream<(Text, u64)> {
    let words = lines.flat_map(Text::words).map(|word| (word, 1u64));
    let totals = words.update_state_by_key(|new, total: Option<u64>| Some(total.unwrap_or(0) + new.len() as u64));
    totals.volatile().transform(move |all, _| {
        let best = all.take_ordered_by(k, |a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)))?;
        Ok(all.spark_context().parallelize(best, 1))
    })
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let mut args = std::env::args().skip(1);
    let k = args.next().map_or(Ok(10), |k| k.parse())?;
    let host = args.next().unwrap_or_else(|| "localhost".into());
    let port = args.next().map_or(Ok(9999), |p| p.parse())?;
    let conf = SparkConf::new().set_app_name("top_k").set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, seconds(1))?;
    build(&ssc.socket_text_stream(host, port), k).print_n(k);
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[test]
fn the_best_of_all_batches_so_far() {
    let mut tester = winterbourne_testkit::StreamTester::new(seconds(1));
    let (lines, stream) = tester.input();
    let best = tester.output(&build(&stream, 2));
    for line in ["a b b c", "c c", "", "a a a"] {
        lines.push([Text::from(line)]);
    }
    tester.steps(4).unwrap();
    let top = |all: [(&str, u64); 2]| all.map(|(w, n)| (Text::from(w), n));
    let expect =
        [top([("b", 2), ("a", 1)]), top([("c", 3), ("b", 2)]), top([("c", 3), ("b", 2)]), top([("a", 4), ("c", 3)])];
    assert_eq!(best.take(), expect);
}
