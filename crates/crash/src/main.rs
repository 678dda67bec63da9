//! `victim DIRECTORY PORT`: the program that `cargo xtask crash` kills and starts again until its input is used up.
//!
//! | in its directory | what it is |
//! |---|---|
//! | `checkpoint/` | the stream's own |
//! | `files/` | text files that the harness moves in |
//! | `tape` | records that can be read again, a line each; read by position |
//! | `out/<time>.<kind>` | what came out of a batch, one file for each output, moved in when complete |
//! | `sink/` | what went in, in files that commit with the batch |
//! | `rolls/` | the same, in files that span some batches |
//! | `out/<time>.<kind>.differs` | a batch that was run again gave something else |
//!
//! On the port of the loopback interface the harness sends records and waits for each to be acknowledged. It ends the
//! program by closing its standard input. Standard output has a line for each batch, `batch <time> <completions before>
//! <receipt before> <records>`, and at an orderly end `end <completions> <receipt>`.
//!
//! Refuses to know what is right: it writes down what it saw, and the harness compares.

mod graph;
mod out;
mod sources;

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use winterbourne::{BoxError, Stop, StreamingContext};
use winterbourne_base::thread;

fn main() -> ExitCode {
    winterbourne::log_to_stderr();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, port] = arguments.as_slice() else {
        eprintln!("usage: victim DIRECTORY PORT");
        return ExitCode::from(2);
    };
    match port.parse().map_err(BoxError::from).and_then(|port| run(PathBuf::from(directory), port)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("victim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(directory: PathBuf, port: u16) -> Result<(), BoxError> {
    let checkpoint = directory.join("checkpoint").to_string_lossy().into_owned();
    let ssc = StreamingContext::get_or_create(checkpoint, || graph::build(&directory, port))?;
    ssc.start()?;
    let stopped = ssc.clone();
    thread::spawn("stdin", move || {
        // Its end is the order; an error is one too.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stopped.stop(Stop::gracefully());
    })?;
    ssc.await_termination()?;
    let durable = ssc.status().durable.ok_or("the stream has no directory")?;
    out::say(format_args!("end {} {}", durable.sequence, durable.receipt));
    Ok(())
}
