//! A streaming program: the numbers below ten that come over a TCP connection, one number a line, every second.
//!
//!     nc -lk 9999
//!     cargo run --example streaming_app [-- HOST PORT]
use winterbourne::prelude::*;

/// The graph: lines, numbers, the small ones. A line that is no number is left out and counted.
pub fn build(lines: &DStream<Text>) -> DStream<i64> {
    lines.try_map(OnBadRecord::Skip, |line| line.trim().parse::<i64>()).filter(|x| *x < 10)
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "localhost".into());
    let port = args.next().map_or(Ok(9999), |p| p.parse())?;
    let conf = SparkConf::new().set_app_name("streaming_app").set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, seconds(1))?;
    build(&ssc.socket_text_stream(host, port)).print();
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[test]
fn keeps_the_small_numbers_and_counts_the_bad_lines() {
    let mut tester = winterbourne_testkit::StreamTester::new(seconds(1));
    let (lines, stream) = tester.input();
    let numbers = tester.output(&build(&stream));
    lines.push(["12", "3", "seven"].map(Text::from));
    lines.push(["-4"].map(Text::from));
    tester.steps(3).unwrap();
    assert_eq!(numbers.take(), [vec![3], vec![-4], vec![]]);
    assert_eq!(tester.context().status().skipped_records, 1);
}
