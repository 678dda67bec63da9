//! The jars: fetched once, kept in the target directory.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::missing;

/// Names the folder of jars; another pom, another folder.
const VERSION: &str = "4.1.1";
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The class path of Kafka and its tools.
///
/// # Errors
///
/// There is no Maven, or it could not fetch them; the message says what to do.
pub(crate) fn class_path() -> io::Result<String> {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate_root.join("../../target"), PathBuf::from);
    let tools = target.join("tools");
    let jars = tools.join(format!("kafka-{VERSION}"));
    if !jars.is_dir() {
        fetch(&crate_root.join("pom.xml"), &tools, &jars)?;
    }
    Ok(format!("{}/*", jars.canonicalize()?.display()))
}

/// SUBTLE: several test programs may come here at once. Each fetches into a folder of its own and moves it; who comes
/// second finds the first one's there, and takes that.
fn fetch(pom: &Path, tools: &Path, jars: &Path) -> io::Result<()> {
    fs::create_dir_all(tools)?;
    let aside = tools.join(format!("kafka-{VERSION}.{}", std::process::id()));
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--file"]).arg(pom).arg(COPY);
    maven.arg(format!("-DoutputDirectory={}", aside.display())).arg("-DincludeScope=runtime").stdin(Stdio::null());
    let output = maven.output().map_err(|error| missing(format_args!("cannot run mvn to fetch its jars: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Err(missing(format_args!("mvn could not fetch its jars: {}", said.trim())));
    }
    match fs::rename(&aside, jars) {
        Err(_) if jars.is_dir() => fs::remove_dir_all(&aside),
        moved => moved,
    }
}
