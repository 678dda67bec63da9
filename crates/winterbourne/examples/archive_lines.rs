//! Archives what comes over a TCP connection: packed JSON lines, a directory for each day and hour, a file for each minute.
//!
//!     nc -lk 9999
//!     cargo run --example archive_lines -- localhost 9999 /var/tmp/archive
//!
//! A minute's file comes when the minute is over, `zcat /var/tmp/archive/*/*/*.gz` shows them all. Kill it, start it again:
//! what was received is in the files once. Ctrl-C ends it in good order, and shows the minute that was begun.
use std::{path::Path, process::ExitCode};
use winterbourne::{FileSink, Period, prelude::*};

/// What is in the archive.
#[derive(Clone, serde::Serialize)]
pub struct Line {
    /// Milliseconds since 1970: when the batch was made that it came with.
    batch: u64,
    text: String,
}

/// The graph: each line with the time of its batch.
pub fn build(lines: &DStream<Text>, archive: &Path) {
    let timed = lines.transform(|rdd, batch| {
        let batch = batch.as_millis();
        Ok(rdd.map(move |text| Line { batch, text: text.to_string() }))
    });
    let sink = FileSink::json(archive).by_batch_time(Period::Hour).roll_every(minutes(1)).compress(Codec::Gzip);
    timed.write_to("archive", sink);
}

fn main() -> ExitCode {
    winterbourne::log_to_stderr();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [host, port, archive] => run(host, port, Path::new(archive)),
        _ => Err("give HOST, PORT and the directory of the archive".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("archive_lines: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(host: &str, port: &str, archive: &Path) -> Result<(), BoxError> {
    let port: u16 = port.parse().map_err(|_| format!("`{port}` is no port: 1 to 65535"))?;
    // Readers of the archive pass over what begins with `_`.
    let checkpoint = archive.join("_checkpoint").to_string_lossy().into_owned();
    let ssc = StreamingContext::get_or_create(checkpoint, || {
        let conf = SparkConf::new().set_app_name("archive_lines").set("spark.streaming.stopGracefullyOnShutdown", true);
        let ssc = StreamingContext::from_conf(conf, seconds(1))?;
        // By its name it is the same stream after a restart, whatever host and port are then.
        build(&ssc.socket_text_stream(host, port).uid("lines"), archive);
        Ok(ssc)
    })?;
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use winterbourne_testkit::{ProgramTester, TEST_START, TestInput};

    #[test]
    fn a_minute_is_one_file_with_each_line_once_however_the_program_ends() {
        let archive = std::env::temp_dir().join(format!("winterbourne-archive-{}", std::process::id()));
        let (lines, directory) = (TestInput::new(), archive.clone());
        let feed = lines.clone();
        let mut tester = ProgramTester::new(seconds(20), move |ssc| build(&feed.stream(ssc, "lines"), &directory));
        for line in ["to be", "or not", "to be,", "that", "is", "the question"] {
            lines.push([Text::from(line)]);
        }
        let last = TEST_START + seconds(100);
        while tester.step().expect("a good batch") < last {
            tester.kill();
        }
        tester.stop();
        let hour = archive.join("date=2000-01-01/hour=00");
        let mut files: Vec<_> = hour.read_dir().expect("a directory").map(|e| e.expect("an entry").path()).collect();
        files.sort();
        let texts = files.iter().map(|file| {
            let (mut text, packed) = (String::new(), std::fs::File::open(file).expect("a file"));
            let mut unpacked = Codec::Gzip.reader(std::io::BufReader::new(packed)).expect("packed");
            unpacked.read_to_string(&mut text).expect("text");
            text.lines().map(|line| line.split('"').nth(5).expect("a text").to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(texts.collect::<Vec<_>>(), [vec!["to be", "or not"], vec!["to be,", "that", "is"]]);
        std::fs::remove_dir_all(archive).expect("removed");
    }
}
