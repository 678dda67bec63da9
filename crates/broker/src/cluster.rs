//! [`Cluster`]: some nodes, each a process.

use std::io::{self, BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use winterbourne_base::scratch::ScratchDir;

use crate::node::{Node, java};
use crate::properties::{Place, Ports, copies};
use crate::tls::{self, Keys};
use crate::{jars, missing};

/// A user of the secure listeners, which then are there.
#[derive(Clone, Debug)]
pub struct Sasl {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
}

/// What a cluster is to have beyond one node with a plain listener.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many nodes, each a broker and a controller; at least one. With three, one of them may be lost.
    pub nodes: usize,
    /// A second listener of each, `SASL_SSL` with SCRAM-SHA-256 and PLAIN, for this user.
    pub sasl: Option<Sasl>,
}

/// A running cluster. Dropped, its nodes are killed and their directories removed.
pub struct Cluster {
    class_path: String,
    ports: Vec<Ports>,
    keys: Option<Keys>,
    nodes: Vec<Node>,
    /// Last, so that it goes after the nodes.
    _dir: ScratchDir,
}

impl Cluster {
    /// Starts one node with a plain listener.
    ///
    /// # Errors
    ///
    /// What is missing and how to get it, with [`NotFound`](io::ErrorKind::NotFound); what a node said when it did not
    /// start.
    pub fn start() -> io::Result<Self> {
        Self::with(Options::default())
    }

    /// Starts a cluster. Every topic has a copy on each of up to three nodes, and more than half of them must have a
    /// record before it counts.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn with(options: Options) -> io::Result<Self> {
        let class_path = jars::class_path()?;
        let dir = ScratchDir::create(&std::env::temp_dir(), "winterbourne-broker")?;
        let keys = options.sasl.is_some().then(|| tls::make(dir.path())).transpose()?;
        let ports = free_ports(options.nodes.max(1))?;
        let place = |id| Place { id, all: &ports, secure: options.sasl.as_ref().zip(keys.as_ref()) };
        let formatting: Vec<_> =
            (1..=ports.len()).map(|id| Node::format(&class_path, dir.path(), &place(id))).collect::<io::Result<_>>()?;
        let mut nodes = Vec::new();
        for (node, tool) in formatting {
            let output = tool.wait_with_output()?;
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                return Err(io::Error::other(format!("the directory of a broker could not be formatted: {said}")));
            }
            nodes.push(node);
        }
        let mut cluster = Self { class_path, ports, keys, nodes, _dir: dir };
        cluster.restart()?;
        Ok(cluster)
    }

    /// Where clients connect: all nodes, with commas.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.addresses(|ports| ports.plain)
    }

    /// Where clients of the secure listeners connect, and the certificate they have to trust.
    #[must_use]
    pub fn secure(&self) -> Option<(String, &Path)> {
        let keys = self.keys.as_ref()?;
        Some((self.addresses(|ports| ports.secure), &keys.certificate))
    }

    /// Kills a node (they are numbered from 1), as a power cut would but for the disk. Its data stays.
    ///
    /// # Panics
    ///
    /// There is no such node.
    pub fn kill(&mut self, id: usize) {
        self.nodes[id - 1].kill();
    }

    /// Starts all nodes again, on the same ports with the same data; kills before which of them run.
    ///
    /// # Errors
    ///
    /// What one said when it did not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.nodes.iter_mut().for_each(Node::kill);
        let starting: Vec<_> = self.nodes.iter_mut().map(Node::start).collect::<io::Result<_>>()?;
        starting.into_iter().try_for_each(|node| node.wait())
    }

    /// Makes a topic, with Kafka's own tool.
    ///
    /// # Errors
    ///
    /// What the tool said when it failed.
    pub fn create_topic(&self, name: &str, partitions: u32) -> io::Result<()> {
        let mut java = java(&self.class_path, "org.apache.kafka.tools.TopicCommand");
        java.args(["--bootstrap-server", &self.bootstrap(), "--create", "--topic", name]);
        java.args(["--replication-factor", &copies(self.nodes.len()).0.to_string()]);
        let output = java.args(["--partitions", &partitions.to_string()]).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()))
    }

    /// What Kafka's own console consumer prints of a topic, a line for each record that readers of committed records see
    /// from the beginning, until `ends` lines that are `end`: one that was written last to each partition, say. Those are
    /// left out.
    ///
    /// # Errors
    ///
    /// What it said when it failed; that they did not come for two minutes.
    pub fn console_consumer(&self, topic: &str, end: &str, ends: usize) -> io::Result<Vec<String>> {
        let mut java = java(&self.class_path, "org.apache.kafka.tools.consumer.ConsoleConsumer");
        java.args(["--bootstrap-server", &self.bootstrap(), "--topic", topic, "--from-beginning"]);
        java.args(["--isolation-level", "read_committed", "--timeout-ms", "120000"]);
        java.stdout(Stdio::piped());
        let mut consumer = java.spawn().map_err(|error| missing(format_args!("cannot run java: {error}")))?;
        let stdout = consumer.stdout.take().expect("it is piped");
        let (mut lines, mut left) = (Vec::new(), ends);
        let mut read = BufReader::new(stdout).lines();
        while left > 0
            && let Some(line) = read.next().transpose()?
        {
            if line == end {
                left -= 1;
            } else {
                lines.push(line);
            }
        }
        // It would wait for more; and where it has ended, this finds nobody.
        let _ = consumer.kill();
        consumer.wait()?;
        if left == 0 {
            return Ok(lines);
        }
        let seen = lines.len();
        Err(io::Error::other(format!(
            "the console consumer of {topic} ended after {seen} records, {left} end(s) missing"
        )))
    }

    /// What a person may want to do with it, and the command for that: Kafka's own tools.
    #[must_use]
    pub fn commands(&self) -> [(&'static str, String); 3] {
        let tool = |class: &str, rest: &str| {
            format!("java -cp '{}' {class} --bootstrap-server {} {rest}", self.class_path, self.bootstrap())
        };
        let consumer = "--topic TOPIC --from-beginning --isolation-level read_committed";
        [
            ("make a topic", tool("org.apache.kafka.tools.TopicCommand", "--create --topic TOPIC --partitions 4")),
            ("write lines to a topic", tool("org.apache.kafka.tools.ConsoleProducer", "--topic TOPIC")),
            ("see what is in it", tool("org.apache.kafka.tools.consumer.ConsoleConsumer", consumer)),
        ]
    }

    fn addresses(&self, port: impl Fn(&Ports) -> u16) -> String {
        let all: Vec<String> = self.ports.iter().map(|ports| format!("127.0.0.1:{}", port(ports))).collect();
        all.join(",")
    }
}

/// Ports that nobody has at this moment.
fn free_ports(nodes: usize) -> io::Result<Vec<Ports>> {
    let listen = || TcpListener::bind("127.0.0.1:0");
    let all = (0..nodes).map(|_| Ok([listen()?, listen()?, listen()?])).collect::<io::Result<Vec<_>>>()?;
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    let of = |[plain, controller, secure]: &[TcpListener; 3]| {
        Ok(Ports { plain: port(plain)?, controller: port(controller)?, secure: port(secure)? })
    };
    all.iter().map(of).collect()
}
