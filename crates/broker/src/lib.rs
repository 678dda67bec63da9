//! Apache Kafka itself, for tests and for `./wb kafka`: one node or several in KRaft mode on free ports of the loopback
//! interface, in a temporary directory. They end with the process that started them, however that ends.
//!
//! The jars come from Maven Central by `pom.xml` beside this crate; `./wb` installs Java and Maven where they are missing.
//! Refuses to know what is sent to it: this crate has no client.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cluster;
mod jars;
mod node;
mod properties;
mod tls;

pub use cluster::{Cluster, Options, Sasl};

use std::env;
use std::io::{self, ErrorKind, Write as _};
use std::process;

/// What is missing, and how to get it.
fn missing(what: impl std::fmt::Display) -> io::Error {
    let what = format!("no Kafka broker for this test: {what}; `./wb kafka` installs what is missing");
    io::Error::new(ErrorKind::NotFound, what)
}

/// The cluster of a program that cannot do without. Where Java or Maven is missing, the program ends here, well, with a
/// line `skipped: …` on standard error, that `cargo xtask test` counts; with `CI=true` that is a failure like any other.
///
/// # Panics
///
/// The cluster did not start.
#[must_use]
pub fn or_skip(started: io::Result<Cluster>) -> Cluster {
    let in_ci = env::var("CI").is_ok_and(|value| value == "true");
    match started {
        Ok(cluster) => cluster,
        Err(error) if error.kind() == ErrorKind::NotFound && !in_ci => {
            // Past the test harness, which keeps what tests print. That nobody listens is no reason to fail.
            let _ = writeln!(io::stderr(), "\nskipped: {error}");
            process::exit(0);
        }
        Err(error) => panic!("{error}"),
    }
}
