//! Counts all words that ever came over a TCP connection, also those before the program was killed: Spark Streaming's
//! `RecoverableNetworkWordCount`.
//!
//!     nc -lk 9999
//!     cargo run --example recoverable_network_word_count -- localhost 9999 /var/tmp/words
//!
//! Kill it (`kill -9`, even), start it again with the same directory: the totals go on. Ctrl-C ends it in good order. The
//! fourth argument is the batch interval in milliseconds (1000), which must stay the same for a directory.
use std::process::ExitCode;
use winterbourne::prelude::*;

/// The graph: a running total for each word. What comes out are the words of the batch with their new totals.
pub fn build(lines: &DStream<Text>) -> DStream<(Text, u64)> {
    let spec = StateSpec::function(|word: &Text, n: Option<u64>, total: &mut State<'_, u64>| {
        let sum = total.get().copied().unwrap_or(0) + n.unwrap_or(0);
        total.update(sum);
        (word.clone(), sum)
    });
    let counts = lines.flat_map(Text::words).map(|word| (word, 1)).reduce_by_key(|a, b| a + b);
    // The name makes the state independent of whatever comes to stand above it.
    DStream::clone(&counts.map_with_state(spec).uid("totals"))
}

fn main() -> ExitCode {
    winterbourne::log_to_stderr();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [host, port, directory] => run(host, port, directory, "1000"),
        [host, port, directory, interval] => run(host, port, directory, interval),
        _ => Err("give HOST, PORT, DIRECTORY, and an interval in milliseconds if not 1000".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("recoverable_network_word_count: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(host: &str, port: &str, directory: &str, interval: &str) -> Result<(), BoxError> {
    let port: u16 = port.parse().map_err(|_| format!("`{port}` is no port: 1 to 65535"))?;
    let interval = interval.parse().map_err(|_| format!("`{interval}` is no number of milliseconds"))?;
    let ssc = StreamingContext::get_or_create(directory, || {
        let conf = SparkConf::new()
            .set_app_name("recoverable_network_word_count")
            .set("spark.streaming.stopGracefullyOnShutdown", true);
        let ssc = StreamingContext::from_conf(conf, milliseconds(interval))?;
        build(&ssc.socket_text_stream(host, port)).print();
        Ok(ssc)
    })?;
    ssc.start()?; // the totals are there again
    ssc.await_termination()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_run_on_from_batch_to_batch() {
        let conf = SparkConf::empty().set("spark.streaming.state.volatile", true);
        let mut tester = winterbourne_testkit::StreamTester::with_conf(conf, seconds(1));
        let (lines, stream) = tester.input();
        let totals = tester.output(&build(&stream));
        lines.push(["to be or", "not to be"].map(Text::from));
        lines.push(["be"].map(Text::from));
        tester.steps(2).unwrap();
        let expect = |pairs: &[(&str, u64)]| pairs.iter().map(|(w, n)| (Text::from(*w), *n)).collect::<Vec<_>>();
        let [first, second] = &totals.take_sorted()[..] else { panic!("two batches") };
        assert_eq!(*first, expect(&[("be", 2), ("not", 1), ("or", 1), ("to", 2)]));
        assert_eq!(*second, expect(&[("be", 3)]));
    }
}
