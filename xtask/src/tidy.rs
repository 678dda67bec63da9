//! The source checks: fast, in this process, all findings at once.

use crate::Result;
use crate::finding::Finding;
use crate::repo::{File, Repo};
use crate::{dependencies, examples, guides, layers, links, markdown, matrix, outside, shape, wording};

/// Runs every check and prints what it found.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let findings = check(repo);
    findings.iter().for_each(|finding| println!("{finding}"));
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len()).into()) }
}

fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings: Vec<Finding> = repo.files().iter().flat_map(|file| check_file(repo, file)).collect();
    findings.extend(guides::check(repo.files()));
    let reasons = repo.text(dependencies::REASONS).unwrap_or_default();
    findings.extend(dependencies::check(repo.text("Cargo.toml").unwrap_or_default(), reasons));
    findings.extend(matrix::check(repo));
    findings
}

fn check_file(repo: &Repo, file: &File) -> Vec<Finding> {
    let (path, text) = (file.path.as_str(), file.text.as_str());
    let mut findings = wording::check(path, text);
    if file.is_rust() {
        findings.extend(shape::check_head(path, text));
        findings.extend(shape::check_length(path, text));
        findings.extend(shape::check_ignore(path, text));
        findings.extend(layers::check_source(path, text));
        findings.extend(outside::check(path, text));
        findings.extend(examples::check(path, text));
    }
    if file.is_member_manifest() {
        findings.extend(layers::check_manifest(path, text));
    }
    if file.is_member_manifest() || path == "xtask/Cargo.toml" {
        findings.extend(dependencies::check_member(path, text));
    }
    if file.is_markdown() {
        let anchors = |goal: &str| repo.has(goal).then(|| markdown::anchors(repo.text(goal).unwrap_or_default()));
        findings.extend(links::check(path, text, anchors));
    }
    if path == links::MAP {
        findings.extend(links::check_map(path, text, |path| repo.has(path)));
    }
    findings
}
