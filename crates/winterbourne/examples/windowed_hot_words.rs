//! The words that came most often within the last minute, every ten seconds.
//!
//!     nc -lk 9999
//!     cargo run --example windowed_hot_words [-- HOST PORT]
use winterbourne::prelude::*;
use winterbourne::{IntoDuration, InverseOptions};

/// The graph: words with their counts in the window, the most frequent first, equal ones by the alphabet.
///
/// The window is kept by inverse: a slide costs what enters and leaves, however long the window is. Words that have left it
/// are forgotten.
pub fn build(lines: &DStream<Text>, window: impl IntoDuration, slide: impl IntoDuration) -> DStream<(u64, Text)> {
    let kept = InverseOptions::default().filter(|_, n| *n > 0);
    let words = lines.flat_map(Text::words).map(|word| (word, 1u64));
    let counts =
        words.reduce_by_key_and_window_inverse_with(|a, b| a + b, |a, b| a - b, window, slide, kept).volatile();
    counts.transform(|rdd, _| {
        Ok(rdd.map(|(word, n)| (n, word)).sort_by(|(n, word)| (std::cmp::Reverse(*n), word.clone())))
    })
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "localhost".into());
    let port = args.next().map_or(Ok(9999), |p| p.parse())?;
    let conf =
        SparkConf::new().set_app_name("windowed_hot_words").set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, seconds(2))?;
    build(&ssc.socket_text_stream(host, port), seconds(60), seconds(10)).print();
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[test]
fn the_hottest_words_of_the_window_come_first_and_cold_ones_go() {
    let mut tester = winterbourne_testkit::StreamTester::new(seconds(2));
    let (lines, stream) = tester.input();
    let hot = tester.output(&build(&stream, seconds(4), seconds(2)));
    for line in ["rain rain sun", "sun sun", "snow", ""] {
        lines.push([Text::from(line)]);
    }
    tester.steps(5).unwrap();
    let pairs = |all: &[(u64, &str)]| all.iter().map(|(n, w)| (*n, Text::from(*w))).collect::<Vec<_>>();
    let expect = [
        pairs(&[(2, "rain"), (1, "sun")]),
        pairs(&[(3, "sun"), (2, "rain")]),
        pairs(&[(2, "sun"), (1, "snow")]),
        pairs(&[(1, "snow")]),
        vec![],
    ];
    assert_eq!(hot.take(), expect);
}
