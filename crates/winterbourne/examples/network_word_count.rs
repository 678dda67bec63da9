//! Counts the words that come over a TCP connection, every second: Spark Streaming's first example.
//!
//!     cargo run --example network_word_count                  serves itself some text and counts that
//!     cargo run --example network_word_count -- HOST PORT     counts what your server sends (nc -lk 9999)
//!
//! Options: --batches N (stop after N batches), --interval-ms I (1000), --master M (local[*]).
//! Ctrl-C finishes the last batch and ends with a summary.
use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use winterbourne::prelude::*;

/// The graph: lines, words, pairs, counts.
pub fn build(lines: &DStream<Text>) -> DStream<(Text, u64)> {
    lines.flat_map(Text::words).map(|word| (word, 1)).reduce_by_key(|a, b| a + b)
}

#[derive(Debug, PartialEq)]
struct Options {
    server: Option<(String, u16)>,
    batches: Option<u64>,
    interval_ms: u64,
    master: Option<String>,
}
fn options(args: impl IntoIterator<Item = String>) -> Result<Options, String> {
    let mut found = Options { server: None, batches: None, interval_ms: 1000, master: None };
    let (mut args, mut places) = (args.into_iter(), Vec::new());
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{arg} wants a number, not `{text}`"));
        match arg.as_str() {
            "--batches" => found.batches = Some(number(value()?)?),
            "--interval-ms" => found.interval_ms = number(value()?)?,
            "--master" => found.master = Some(value()?),
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}; there are --batches N, --interval-ms I, --master M"));
            }
            _ => places.push(arg),
        }
    }
    found.server = match &places[..] {
        [] => None,
        [host, port] => Some((host.clone(), port.parse().map_err(|_| format!("`{port}` is no port: 1 to 65535"))?)),
        _ => return Err("give HOST and PORT, or neither".into()),
    };
    Ok(found)
}

fn main() -> ExitCode {
    winterbourne::log_to_stderr();
    let result = options(std::env::args().skip(1)).map_err(BoxError::from).and_then(run);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("network_word_count: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), BoxError> {
    let mut conf = SparkConf::new().set_app_name("network_word_count");
    conf = conf.set("spark.streaming.stopGracefullyOnShutdown", true);
    if let Some(master) = options.master {
        conf = conf.set_master(master);
    }
    let ssc = StreamingContext::from_conf(conf, milliseconds(options.interval_ms))?;
    let (host, port) = match options.server {
        Some(server) => server,
        None => ("127.0.0.1".into(), serve_text()?),
    };
    let counts = build(&ssc.socket_text_stream(host, port)).cache();
    counts.print();

    let words = Arc::new(AtomicU64::new(0));
    let (sum, stopper, mut left) = (words.clone(), ssc.clone(), options.batches);
    counts.foreach_rdd(move |rdd, _| {
        sum.fetch_add(rdd.aggregate(0, |n, (_, count)| n + count, |a, b| a + b)?, Relaxed);
        left = left.map(|n| n.saturating_sub(1));
        if left == Some(0) {
            stopper.stop(Stop::now()); // from within a batch: happens when this one is done
        }
        Ok(())
    });
    ssc.start()?;
    ssc.await_termination()?;
    let status = ssc.status();
    let received: u64 = status.receivers.iter().map(|r| r.records).sum();
    println!(
        "{} batches: {received} lines in, {} lines counted, {} words",
        status.completed_batches,
        status.processed_records,
        words.load(Relaxed)
    );
    Ok(())
}

/// Serves about three thousand generated lines a second to whoever connects, on a free port.
fn serve_text() -> std::io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    std::thread::Builder::new().name("text-server".into()).spawn(move || {
        for client in listener.incoming().flatten() {
            // The client going away ends its service, not ours.
            let _ = write_text(client);
        }
    })?;
    Ok(port)
}
fn write_text(mut client: TcpStream) -> std::io::Result<()> {
    const WORDS: [&str; 16] = [
        "winter", "rain", "chalk", "spring", "rises", "stream", "meadow", "flows", "again", "water", "cress", "valley",
        "summer", "dry", "bourne", "and",
    ];
    let mut x = 0x9E37_79B9_7F4A_7C15_u64;
    loop {
        let mut text = String::new();
        for _ in 0..30 {
            for _ in 0..8 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                // The product of two uniform numbers: some words are frequent, some rare.
                let word = ((x & 0xFFFF) * (x >> 16 & 0xFFFF) * WORDS.len() as u64) >> 32;
                text.push_str(WORDS[word as usize]);
                text.push(' ');
            }
            text.push('\n');
        }
        client.write_all(text.as_bytes())?;
        // Not faster than anybody reads what is printed.
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_words_of_each_batch() {
        let mut tester = winterbourne_testkit::StreamTester::new(seconds(1));
        let (lines, stream) = tester.input();
        let counts = tester.output(&build(&stream));
        lines.push(["to be or", "not to be"].map(Text::from));
        lines.push(["be"].map(Text::from));
        tester.steps(2).unwrap();
        let expect = |pairs: &[(&str, u64)]| pairs.iter().map(|(w, n)| (Text::from(*w), *n)).collect::<Vec<_>>();
        let [first, second] = &counts.take_sorted()[..] else { panic!("two batches") };
        assert_eq!(*first, expect(&[("be", 2), ("not", 1), ("or", 1), ("to", 2)]));
        assert_eq!(*second, expect(&[("be", 1)]));
    }
    #[test]
    fn understands_its_command_line() {
        let parse = |line: &str| options(line.split_whitespace().map(String::from));
        let got = parse("h 9999 --batches 3 --interval-ms 200 --master local[1]").unwrap();
        assert_eq!(got.server, Some(("h".into(), 9999)));
        assert_eq!((got.batches, got.interval_ms, got.master.as_deref()), (Some(3), 200, Some("local[1]")));
        for bad in ["h", "h x", "h 70000", "--batches", "--batches x", "--fast", "a 1 b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
