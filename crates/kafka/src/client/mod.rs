//! The port to the client library, `rdkafka`, which nothing outside of this folder names: [`Cluster`] answers what the
//! driver asks, [`Reader`] reads one partition, [`Producer`] writes.
mod cluster;
mod producer;
mod reader;

pub(crate) use cluster::Cluster;
pub(crate) use producer::{Producer, Sent, TransactionMarker};
pub(crate) use reader::{Polled, Reader};

use crate::{Error, KafkaParams};
use rdkafka::{
    ClientContext,
    config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use std::time::Duration;

/// How long an answer may take before what asked fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hands what the library has to say to `tracing`. It tells of connections that come and go as errors: whoever needs one
/// finds out by itself.
pub(crate) struct Said;
impl ClientContext for Said {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!("Kafka client: {message}");
            }
            _ => tracing::debug!("Kafka client: {message}"),
        }
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("Kafka client: {error}: {reason}");
    }
}
impl ConsumerContext for Said {}

/// # Errors
/// Which parameter the library does not take, and why.
fn create<T: FromClientConfigAndContext<C>, C: ClientContext>(params: &KafkaParams, context: C) -> Result<T, Error> {
    let mut config = ClientConfig::new();
    for (key, value) in params.iter() {
        config.set(key, value);
    }
    config.set_log_level(RDKafkaLogLevel::Warning);
    config.create_with_context(context).map_err(|e| match e {
        KafkaError::ClientConfig(_, what, key, _) => Error::Parameter { key, what },
        e => failed(params, "a client is made", &e),
    })
}

fn failed(params: &KafkaParams, doing: impl Into<String>, e: &KafkaError) -> Error {
    Error::Cluster { servers: params.servers().to_owned(), doing: doing.into(), what: e.to_string() }
}

/// What passes by itself: a connection that was lost, a leader that is being elected, a group that nobody looks after yet, as
/// in a cluster that is new.
fn passes(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::NotLeaderForPartition
            | Code::LeaderNotAvailable
            | Code::NetworkException
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::NodeUpdate
            | Code::NotCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
    )
}
