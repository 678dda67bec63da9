//! A key and a certificate for the secure listener, made by Java's own tool and trusted by nobody but the test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::missing;

pub(crate) struct Keys {
    pub(crate) store: PathBuf,
    pub(crate) password: &'static str,
    /// The certificate, for clients.
    pub(crate) certificate: PathBuf,
}

const PASSWORD: &str = "loopback";

pub(crate) fn make(folder: &Path) -> io::Result<Keys> {
    let (store, certificate) = (folder.join("keys.p12"), folder.join("certificate.pem"));
    let common = ["-alias", "broker", "-storetype", "PKCS12", "-storepass", PASSWORD];
    let mut generate = Command::new("keytool");
    generate.args(["-genkeypair", "-keyalg", "EC", "-validity", "3650", "-dname", "CN=127.0.0.1"]);
    generate.args(["-ext", "SAN=ip:127.0.0.1", "-ext", "bc:c", "-keypass", PASSWORD]).args(common);
    run(generate.arg("-keystore").arg(&store))?;
    let mut export = Command::new("keytool");
    let pem = run(export.args(["-exportcert", "-rfc"]).args(common).arg("-keystore").arg(&store))?;
    fs::write(&certificate, pem)?;
    Ok(Keys { store, password: PASSWORD, certificate })
}

fn run(command: &mut Command) -> io::Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| missing(format_args!("cannot run keytool: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(io::Error::other(format!("keytool failed: {}", String::from_utf8_lossy(&output.stdout).trim())))
}
