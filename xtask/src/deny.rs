//! cargo-deny: licences, bans and sources offline; advisories only when asked, because they need the network.

use std::process::Command;

use crate::Result;
use crate::repo::Repo;
use crate::steps::{cargo, finish};

/// Licences, banned crates and where crates come from: decided by Cargo.lock and deny.toml alone.
pub(crate) fn offline_checks(repo: &Repo) -> Result<()> {
    finish(command(repo).args(["check", "licenses", "bans", "sources"]))
}

/// The advisory database is fetched with git, so this is a command of its own.
pub(crate) fn advisories(repo: &Repo) -> Result<()> {
    finish(command(repo).args(["check", "advisories"]))
}

/// The copy that `./wb` installed, else the one on the path.
fn command(repo: &Repo) -> Command {
    let installed = repo.root().join("target/tools/bin/cargo-deny");
    if installed.is_file() {
        let mut command = Command::new(installed);
        command.current_dir(repo.root());
        return command;
    }
    let mut command = cargo(repo);
    command.arg("deny");
    command
}
