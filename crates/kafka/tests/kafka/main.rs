//! Against Apache Kafka itself: one broker for all tests of this program, a topic for each; a cluster for `loss`.
mod common;
mod direct;
mod loss;
mod rdds;
mod sinks;
