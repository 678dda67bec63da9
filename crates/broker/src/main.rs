//! `broker [--nodes N] [TOPIC ...]`: Kafka for a person, until Enter is pressed or standard input ends. Topics are made with
//! four partitions.

use std::io::{self, Write as _};
use std::process::ExitCode;

use winterbourne_broker::{Cluster, Options};

const PARTITIONS: u32 = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> io::Result<()> {
    let (nodes, topics) = match arguments {
        [option, n, topics @ ..] if option == "--nodes" => (n.parse().map_err(io::Error::other)?, topics),
        topics => (1, topics),
    };
    if let Some(option) = topics.iter().find(|t| t.starts_with('-')) {
        return Err(io::Error::other(format!("not an option: {option}; give [--nodes N] [TOPIC ...]")));
    }
    let cluster = Cluster::with(Options { nodes, sasl: None })?;
    topics.iter().try_for_each(|topic| cluster.create_topic(topic, PARTITIONS))?;
    let mut out = io::stdout();
    writeln!(out, "Kafka is ready at {}; Enter stops it and removes its data", cluster.bootstrap())?;
    for (what, command) in cluster.commands() {
        writeln!(out, "{what}:\n    {command}")?;
    }
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
