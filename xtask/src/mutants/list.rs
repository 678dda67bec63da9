//! What can be changed, as `cargo mutants` lists it.

use std::fs;
use std::process::Command;

use serde::Deserialize;

use super::Mutant;
use crate::Result;
use crate::repo::Repo;

#[derive(Deserialize)]
struct Listed {
    file: String,
    name: String,
    genre: String,
    replacement: String,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
    end: Place,
}

/// Both count from 1; columns are characters.
#[derive(Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

pub(super) fn mutants(repo: &Repo, files: &[&str]) -> Result<Vec<Mutant>> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json", "--workspace"]).current_dir(repo.root());
    files.iter().for_each(|file| _ = command.args(["--file", file]));
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`cargo mutants` (`cargo install cargo-mutants` if it is not there): {said}").into());
    }
    let listed: Vec<Listed> = serde_json::from_slice(&output.stdout)?;
    let number = |(i, one): (usize, Listed)| {
        let text = fs::read_to_string(repo.root().join(&one.file))?;
        let at = offset(&text, &one.span.start)..offset(&text, &one.span.end);
        Ok(Mutant { id: i + 1, file: one.file, name: one.name, genre: one.genre, replacement: one.replacement, at })
    };
    listed.into_iter().enumerate().map(number).collect()
}

fn offset(text: &str, place: &Place) -> usize {
    let line: usize = text.split_inclusive('\n').take(place.line - 1).map(str::len).sum();
    let in_line = text[line..].char_indices().nth(place.column - 1).map_or(text.len() - line, |(at, _)| at);
    line + in_line
}

#[test]
fn places_are_bytes() {
    let text = "ä\nöü!\n";
    let at = |line, column| offset(text, &Place { line, column });
    assert_eq!([at(1, 1), at(2, 1), at(2, 3), at(2, 4)], [0, 3, 7, 8]);
}
