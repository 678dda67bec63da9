//! Counts all words that ever came over a TCP connection, also those before the program was killed: Spark Streaming's
//! `RecoverableNetworkWordCount`.
//!
//!     nc -lk 9999
//!     cargo run --example recoverable_network_word_count -- localhost 9999 /var/tmp/words
//!
//! Kill it (`kill -9`, even), start it again with the same directory: the totals go on, and so does the number of words
//! that were left out. Ctrl-C ends it in good order. The fourth argument is the batch interval in milliseconds (1000),
//! which must stay the same for a directory.
use std::process::ExitCode;
use winterbourne::prelude::*;

/// The graph: a running total for each word. What comes out are the words of the batch with their new totals. Some words
/// are not wanted: a broadcast has them, and an accumulator counts how many were left out.
///
/// It runs at each start, also when the state comes back: the broadcast is made anew, and the accumulator is found again
/// by its name.
pub fn build(lines: &DStream<Text>) -> (DStream<(Text, u64)>, LongAccumulator) {
    let sc = lines.streaming_context().spark_context();
    let unwanted = sc.broadcast(["a", "b", "c"]);
    let dropped = sc.long_accumulator("dropped words");
    let count = dropped.clone();
    let wanted = lines.flat_map(Text::words).filter(move |word| {
        let is_wanted = !unwanted.value().contains(&&**word);
        if !is_wanted {
            count.add(1);
        }
        is_wanted
    });
    let spec = StateSpec::function(|word: &Text, n: Option<u64>, total: &mut State<'_, u64>| {
        let sum = total.get().copied().unwrap_or(0) + n.unwrap_or(0);
        total.update(sum);
        (word.clone(), sum)
    });
    let counts = wanted.map(|word| (word, 1)).reduce_by_key(|a, b| a + b);
    // The name makes the state independent of whatever comes to stand above it.
    (DStream::clone(&counts.map_with_state(spec).uid("totals")), dropped)
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
        let (totals, dropped) = build(&ssc.socket_text_stream(host, port));
        totals.print();
        totals.foreach_rdd(move |_, _| {
            println!("dropped {} words so far", dropped.value());
            Ok(())
        });
        Ok(ssc)
    })?;
    ssc.start()?; // the totals are there again
    ssc.await_termination()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_testkit::{ProgramTester, TestInput, TestOutput};

    #[test]
    fn totals_and_dropped_words_run_on_through_ends_of_all_kinds() {
        let (lines, totals, dropped) = (TestInput::new(), TestOutput::new(), TestOutput::new());
        let (feed, out, drops) = (lines.clone(), totals.clone(), dropped.clone());
        let mut tester = ProgramTester::new(seconds(1), move |ssc| {
            let (totals, dropped) = build(&feed.stream(ssc, "lines"));
            out.collect(&totals);
            // What the batches before this one have dropped.
            drops.collect(&totals.transform(move |rdd, _| {
                let so_far = dropped.value();
                Ok(rdd.spark_context().parallelize([so_far], 1))
            }));
        });
        for line in ["to be or a c", "not to be b", "be", "a be"] {
            lines.push([Text::from(line)]);
        }
        for end in [ProgramTester::stop, ProgramTester::kill, ProgramTester::kill] {
            tester.step().unwrap();
            end(&mut tester);
            tester.step().unwrap();
        }
        while tester.step().unwrap() < winterbourne_testkit::TEST_START + seconds(4) {}
        let pairs = |all: &[(&str, u64)]| all.iter().map(|(w, n)| (Text::from(*w), *n)).collect::<Vec<_>>();
        let batches: Vec<_> = totals.take_by_time().into_values().take(4).collect();
        let expect = [
            pairs(&[("be", 1), ("or", 1), ("to", 1)]),
            pairs(&[("be", 2), ("not", 1), ("to", 2)]),
            pairs(&[("be", 3)]),
            pairs(&[("be", 4)]),
        ];
        assert_eq!(batches, expect);
        assert_eq!(dropped.take_by_time().into_values().take(4).collect::<Vec<_>>(), [[0], [2], [3], [3]]);
    }
}
