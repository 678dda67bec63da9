//! Kafka, both ways: the direct stream ([`KafkaUtils::create_direct_stream`]) and a sink whose transactions commit with the
//! batch ([`KafkaSink`]).
//!
//! Built on the public traits of inputs and sinks alone. In the order of the flow: `params` and `strategy` say what to read,
//! `direct` plans the offset ranges of a batch and `read` makes an RDD of them, `deserialize` makes records of bytes, `sink`
//! writes. The client library is named in `client` and nowhere else. What this crate refuses to know: batches beyond what
//! the traits tell, and rebalancing; the driver assigns partitions, and the batch log is the truth about offsets.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod bytes;
mod client;
mod deserialize;
mod direct;
mod error;
mod params;
mod read;
mod record;
mod sink;
mod strategy;
mod utils;

pub use bytes::Bytes;
pub use deserialize::{AsBytes, AsText, Deserializer, Json, Nullable};
pub use direct::{DirectStream, DirectStreamOptions, Offsets, OutOfRange};
pub use error::Error;
pub use params::KafkaParams;
pub use record::{ConsumerRecord, Header, Headers, KafkaRecord, OffsetRange, ProducerRecord, TopicPartition};
pub use sink::{KafkaSink, KafkaWriter};
pub use strategy::{ConsumerStrategies, ConsumerStrategy, LocationStrategies, LocationStrategy, StartingOffsets};
pub use utils::KafkaUtils;
