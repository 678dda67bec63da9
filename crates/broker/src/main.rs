//! `broker`: a Kafka broker for a person, until Enter is pressed or standard input ends.

use std::io::{self, Write as _};
use std::process::ExitCode;

use winterbourne_broker::Broker;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let broker = Broker::start()?;
    writeln!(io::stdout(), "Kafka is ready at {}; Enter stops it and removes its data", broker.bootstrap())?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
