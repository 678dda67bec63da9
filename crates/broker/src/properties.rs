//! The configuration of a node. Everything is small and quick: one replica, few partitions of its own topics, no pauses.

use std::path::Path;

use crate::node::Options;
use crate::tls::Keys;

/// The ports of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) controller: u16,
    pub(crate) secure: u16,
}

const FIXED: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=2
num.io.threads=2
background.threads=2
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=500
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=2097152
";

pub(crate) fn text(data: &Path, ports: Ports, options: &Options, keys: Option<&Keys>) -> String {
    let Ports { plain, controller, secure } = ports;
    let mut listeners = vec![format!("PLAINTEXT://127.0.0.1:{plain}")];
    let mut more = String::new();
    if let (Some(sasl), Some(keys)) = (&options.sasl, keys) {
        listeners.push(format!("SASL_SSL://127.0.0.1:{secure}"));
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
    format!(
        "{FIXED}controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         listeners={advertised},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners={advertised}\n\
         log.dirs={}\n{more}",
        data.display()
    )
}
