//! [`Broker`]: the process of a node.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;

use winterbourne_base::scratch::ScratchDir;
use winterbourne_base::thread;

use crate::properties::{self, Ports};
use crate::tls::{self, Keys};
use crate::{jars, missing};

/// A user of the secure listener, which then is there.
#[derive(Clone, Debug)]
pub struct Sasl {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
}

/// What a broker is to have beyond a plain listener.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A second listener, `SASL_SSL` with SCRAM-SHA-256 and PLAIN, for this user.
    pub sasl: Option<Sasl>,
}

/// A running broker. Dropped, it is killed and its directory removed.
pub struct Broker {
    class_path: String,
    dir: ScratchDir,
    ports: Ports,
    keys: Option<Keys>,
    running: Option<Running>,
}

/// The shell kills the whole group as soon as its standard input ends: by [`Broker::kill`], or with this process.
const SCRIPT: &str = r#"{ "$@"; echo "ended with status $?"; } 2>&1 & cat > /dev/null; kill -9 0"#;
/// Quick to start, and small.
const JVM: &[&str] = &["-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
const READY: &str = "Kafka Server started";

struct Running {
    shell: Child,
    stdin: Option<ChildStdin>,
}
impl Drop for Running {
    fn drop(&mut self) {
        self.stdin = None;
        // It kills itself, so its status says nothing.
        let _ = self.shell.wait();
    }
}

impl Broker {
    /// Starts a broker with a plain listener.
    ///
    /// # Errors
    ///
    /// What is missing and how to get it; what the broker said when it did not start.
    pub fn start() -> io::Result<Self> {
        Self::with(Options::default())
    }

    /// Starts a broker.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn with(options: Options) -> io::Result<Self> {
        let class_path = jars::class_path()?;
        let dir = ScratchDir::create(&std::env::temp_dir(), "winterbourne-broker")?;
        let keys = options.sasl.is_some().then(|| tls::make(dir.path())).transpose()?;
        let ports = free_ports()?;
        let text = properties::text(&dir.path().join("data"), ports, &options, keys.as_ref());
        fs::write(dir.path().join("server.properties"), text)?;
        let mut broker = Self { class_path, dir, ports, keys, running: None };
        broker.format(options.sasl.as_ref())?;
        broker.restart()?;
        Ok(broker)
    }

    /// Where clients connect.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// Where clients of the secure listener connect, and the certificate they have to trust.
    #[must_use]
    pub fn secure(&self) -> Option<(String, &Path)> {
        let keys = self.keys.as_ref()?;
        Some((format!("127.0.0.1:{}", self.ports.secure), &keys.certificate))
    }

    /// Kills it, as a power cut would but for the disk. Its data stays.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again, on the same ports with the same data; kills it before if it runs.
    ///
    /// # Errors
    ///
    /// What it said when it did not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.running = None;
        let mut java = Command::new("sh");
        java.args(["-c", SCRIPT, "broker", "java"]).args(JVM).args(["-cp", &self.class_path, "kafka.Kafka"]);
        java.arg(self.properties()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        java.current_dir(self.dir.path());
        let mut shell = java.spawn()?;
        let (stdin, stdout) = (shell.stdin.take(), shell.stdout.take().expect("it is piped"));
        let running = Running { shell, stdin };
        let (tell, ready) = mpsc::channel();
        // Reads until the end, so that the broker never waits for somebody to read what it says.
        thread::spawn("broker-output", move || {
            let mut said = Vec::new();
            let mut tell = Some(tell);
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.contains(READY) {
                    tell.take().map(|tell| tell.send(Ok(())));
                } else if line.starts_with("ended with status") {
                    tell.take().map(|tell| tell.send(Err(said.join("\n"))));
                } else if tell.is_some() {
                    said.push(line);
                }
            }
        })?;
        match ready.recv() {
            Ok(Ok(())) => {
                self.running = Some(running);
                Ok(())
            }
            Ok(Err(said)) => Err(missing(format_args!("it did not start:\n{said}"))),
            Err(_) => Err(missing("java is not installed, or was killed")),
        }
    }

    /// Makes a topic, with Kafka's own tool.
    ///
    /// # Errors
    ///
    /// What the tool said when it failed.
    pub fn create_topic(&self, name: &str, partitions: u32) -> io::Result<()> {
        let mut java = self.java("org.apache.kafka.tools.TopicCommand");
        java.args(["--bootstrap-server", &self.bootstrap(), "--create", "--topic", name]);
        let output = java.args(["--partitions", &partitions.to_string()]).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()))
    }

    /// What Kafka's own console consumer prints of a topic, a line for each record that readers of committed records see
    /// from the beginning. `limit` records end it; else some seconds without one do.
    ///
    /// # Errors
    ///
    /// What it said when it failed.
    pub fn console_consumer(&self, topic: &str, limit: Option<u64>) -> io::Result<Vec<String>> {
        let mut java = self.java("org.apache.kafka.tools.consumer.ConsoleConsumer");
        java.args(["--bootstrap-server", &self.bootstrap(), "--topic", topic, "--from-beginning"]);
        java.args(["--isolation-level", "read_committed", "--timeout-ms", "8000"]);
        if let Some(limit) = limit {
            java.args(["--max-messages", &limit.to_string()]);
        }
        let output = java.output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    fn properties(&self) -> PathBuf {
        self.dir.path().join("server.properties")
    }

    fn java(&self, class: &str) -> Command {
        let mut java = Command::new("java");
        java.args(JVM).arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error").args(["-cp", &self.class_path, class]);
        java.stdin(Stdio::null());
        java
    }

    fn format(&self, sasl: Option<&Sasl>) -> io::Result<()> {
        let mut java = self.java("kafka.tools.StorageTool");
        java.args(["format", "--standalone", "--cluster-id", "d2ludGVyYm91cm5lMDAwMQ", "--config"])
            .arg(self.properties());
        if let Some(Sasl { user, password }) = sasl {
            java.args(["--add-scram", &format!("SCRAM-SHA-256=[name={user},password={password}]")]);
        }
        let output = java.output().map_err(|error| missing(format_args!("cannot run java: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(missing(format_args!("its directory could not be formatted: {}", String::from_utf8_lossy(&said))))
    }
}

/// Ports that nobody has at this moment.
fn free_ports() -> io::Result<Ports> {
    let listen = || TcpListener::bind("127.0.0.1:0");
    let (plain, controller, secure) = (listen()?, listen()?, listen()?);
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    Ok(Ports { plain: port(&plain)?, controller: port(&controller)?, secure: port(&secure)? })
}
