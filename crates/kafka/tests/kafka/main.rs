//! Against Apache Kafka itself: one broker for all tests of this program, a topic for each.
mod common;
mod direct;
mod rdds;
mod sinks;
