//! The configuration of a node. Everything is small and quick: few partitions of its own topics, no pauses.

use std::path::Path;

use crate::cluster::Sasl;
use crate::tls::Keys;

/// The ports of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) controller: u16,
    pub(crate) secure: u16,
}

/// A node among the others: all of them are brokers and controllers.
pub(crate) struct Place<'a> {
    /// From 1.
    pub(crate) id: usize,
    pub(crate) all: &'a [Ports],
    pub(crate) secure: Option<(&'a Sasl, &'a Keys)>,
}

const FIXED: &str = "\
process.roles=broker,controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=2
num.io.threads=2
background.threads=2
broker.heartbeat.interval.ms=400
broker.session.timeout.ms=3000
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=500
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=2097152
";

/// How many copies there are of a topic in so many nodes, and how many must have a record before it counts: one node may
/// be lost where there are three.
pub(crate) fn copies(nodes: usize) -> (usize, usize) {
    let all = nodes.min(3);
    (all, all.div_ceil(2))
}

pub(crate) fn text(data: &Path, place: &Place<'_>) -> String {
    let Place { id, all, secure } = place;
    let Ports { plain, controller, secure: secure_port } = all[id - 1];
    let mut listeners = vec![format!("PLAINTEXT://127.0.0.1:{plain}")];
    let mut more = String::new();
    if let Some((sasl, keys)) = secure {
        listeners.push(format!("SASL_SSL://127.0.0.1:{secure_port}"));
        more.push_str(&format!(
            "sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN\n\
             ssl.keystore.type=PKCS12\nssl.keystore.location={}\nssl.keystore.password={}\nssl.key.password={}\n\
             listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
             required user_{}=\"{}\";\n\
             listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
            keys.store.display(),
            keys.password,
            keys.password,
            sasl.user,
            sasl.password,
        ));
    }
    let advertised = listeners.join(",");
    let quorum: Vec<String> = all.iter().map(|ports| format!("127.0.0.1:{}", ports.controller)).collect();
    let (replicas, least) = copies(all.len());
    format!(
        "{FIXED}node.id={id}\ncontroller.quorum.bootstrap.servers={}\n\
         listeners={advertised},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners={advertised}\n\
         default.replication.factor={replicas}\nmin.insync.replicas={least}\n\
         offsets.topic.replication.factor={replicas}\n\
         transaction.state.log.replication.factor={replicas}\ntransaction.state.log.min.isr={least}\n\
         log.dirs={}\n{more}",
        quorum.join(","),
        data.display()
    )
}

/// The controllers at the beginning, as the tool that formats directories wants them.
pub(crate) fn controllers(all: &[Ports]) -> String {
    // A directory has a UUID, sixteen bytes in base64: these differ in the last one.
    let of = |(i, ports): (usize, &Ports)| {
        let last = char::from(b'A' + i as u8);
        format!("{}@127.0.0.1:{}:d2ludGVyYm91cm5lZGly{last}Q", i + 1, ports.controller)
    };
    all.iter().enumerate().map(of).collect::<Vec<_>>().join(",")
}
