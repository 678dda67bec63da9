//! [`Node`]: the process of one node, and its directory.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use winterbourne_base::thread;

use crate::cluster::Sasl;
use crate::missing;
use crate::properties::{self, Place};

/// The shell kills the whole group as soon as its standard input ends: by [`Node::kill`], or with this process.
const SCRIPT: &str = r#"{ "$@"; echo "ended with status $?"; } 2>&1 & cat > /dev/null; kill -9 0"#;
/// Quick to start, and small.
const JVM: &[&str] = &["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
const READY: &str = "Kafka Server started";

/// A command of Kafka's, or of its tools.
pub(crate) fn java(class_path: &str, class: &str) -> Command {
    let mut java = Command::new("java");
    java.args(JVM)
        .args(["-Xmx320m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"])
        .args(["-cp", class_path, class]);
    java.stdin(Stdio::null());
    java
}

/// One node of a cluster.
pub(crate) struct Node {
    class_path: String,
    dir: PathBuf,
    heap: &'static str,
    running: Option<Running>,
}

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

/// A node that was started and has not said yet that it is ready.
pub(crate) struct Starting(Receiver<Result<(), String>>);
impl Starting {
    pub(crate) fn wait(self) -> io::Result<()> {
        match self.0.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(said)) => Err(io::Error::other(format!("a Kafka broker did not start:\n{said}"))),
            Err(_) => Err(missing("java is not installed, or was killed")),
        }
    }
}

impl Node {
    /// Makes its directory in `dir`; nothing runs yet but the tool that formats it.
    pub(crate) fn format(class_path: &str, dir: &Path, place: &Place<'_>) -> io::Result<(Self, Child)> {
        let dir = dir.join(format!("node-{}", place.id));
        fs::create_dir(&dir)?;
        let heap = if place.all.len() > 1 { "-Xmx192m" } else { "-Xmx320m" };
        let node = Self { class_path: class_path.to_owned(), dir, heap, running: None };
        fs::write(node.properties(), properties::text(&node.dir.join("data"), place))?;
        let mut tool = java(class_path, "kafka.tools.StorageTool");
        tool.args(["format", "--cluster-id", "d2ludGVyYm91cm5lMDAwMQ", "--initial-controllers"]);
        tool.arg(properties::controllers(place.all)).arg("--config").arg(node.properties());
        if let Some((Sasl { user, password }, _)) = place.secure {
            tool.args(["--add-scram", &format!("SCRAM-SHA-256=[name={user},password={password}]")]);
        }
        tool.stdout(Stdio::piped()).stderr(Stdio::piped());
        let tool = tool.spawn().map_err(|error| missing(format_args!("cannot run java: {error}")))?;
        Ok((node, tool))
    }

    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it, on its ports with its data; kills it before if it runs.
    pub(crate) fn start(&mut self) -> io::Result<Starting> {
        self.running = None;
        let mut java = Command::new("sh");
        java.args(["-c", SCRIPT, "broker", "java", self.heap]).args(JVM).args(["-cp", &self.class_path, "kafka.Kafka"]);
        java.arg(self.properties()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        java.current_dir(&self.dir);
        let mut shell = java.spawn()?;
        let (stdin, stdout) = (shell.stdin.take(), shell.stdout.take().expect("it is piped"));
        self.running = Some(Running { shell, stdin });
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
        Ok(Starting(ready))
    }

    fn properties(&self) -> PathBuf {
        self.dir.join("server.properties")
    }
}
