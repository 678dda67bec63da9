//! Apache Kafka itself, for tests and for `./wb kafka`: one node in KRaft mode on free ports of the loopback interface, in
//! a temporary directory. It ends with the process that started it, however that ends.
//!
//! The jars come from Maven Central by `pom.xml` beside this crate; `./wb` installs Java and Maven where they are missing.
//! Refuses to know what is sent to it: this crate has no client.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod jars;
mod node;
mod properties;
mod tls;

pub use node::{Broker, Options, Sasl};

use std::io;

/// What is missing, and how to get it.
fn missing(what: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("no Kafka broker for this test: {what}; `./wb kafka` installs what is missing"))
}
