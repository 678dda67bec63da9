//! The repository's automation: `cargo xtask COMMAND`. This file only dispatches.

mod code;
mod crash;
mod deny;
mod dependencies;
mod examples;
mod finding;
mod guides;
mod imports;
mod items;
mod layers;
mod links;
mod markdown;
mod matrix;
mod mutants;
mod outside;
mod pipeline;
mod repo;
mod shape;
mod steps;
mod suite;
mod targets;
mod tidy;
mod transcript;
mod wording;

use std::error::Error;
use std::process::ExitCode;

use repo::Repo;

/// What a command ends with; the text of the error is all a developer needs to see.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test             all checks in order, stopping at the first that fails
  tidy             the source checks alone: imports, shape of files, links, the matrix's items
  matrix [--print] the operations matrix: totals, or with --print every id by status
  crash [--short] [--seed N] [--kills N] [--fault NAME | --all-faults]
                   kills a program at every durable step and at N random
                   moments, and checks what it makes of that; with a seeded
                   fault it must fail
  mutants [--again] FILE...
                   changes each operator, value and arm of these files, one at a
                   time, and says which changes no test notices; `--again` tries
                   those of the last report only; needs `cargo install
                   cargo-mutants`, and an hour for a folder
  advisories       the dependencies against the RustSec advisory database;
                   fetches it with git over the network, so `test` leaves it out";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> Result<()> {
    let repo = Repo::here()?;
    match arguments {
        ["test"] => pipeline::run(&repo),
        ["tidy"] => tidy::run(&repo),
        ["matrix"] => matrix::run(&repo),
        ["matrix", "--print"] => matrix::print(&repo),
        ["crash", rest @ ..] => crash::run(&repo, rest),
        ["mutants", files @ ..] => mutants::run(&repo, files),
        ["advisories"] => deny::advisories(&repo),
        ["help" | "--help" | "-h"] | [] => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("not a command: {}\n{USAGE}", other.join(" ")).into()),
    }
}
