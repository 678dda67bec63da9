//! The snippets of the README and the guides are compiled: some crate includes each page as a doctest.

use crate::finding::Finding;
use crate::repo::{File, folder, resolve};

const README: &str = "README.md";

/// Pages whose snippets must compile.
fn is_guide(path: &str) -> bool {
    path == README || (path.starts_with("docs/guide") && path.ends_with(".md"))
}

/// Every guide is included by some doctest, and there is a README.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let sources = files.iter().filter(|file| file.path.starts_with("crates/") && file.is_rust());
    let included: Vec<String> = sources.flat_map(|file| includes(&file.path, &file.text)).collect();
    let mut findings: Vec<Finding> = files
        .iter()
        .filter(|file| is_guide(&file.path) && !included.contains(&file.path))
        .map(|file| Finding::whole(&file.path, "no crate compiles its snippets through #![doc = include_str!(..)]"))
        .collect();
    if !files.iter().any(|file| file.path == README) {
        findings.push(Finding::whole(README, "is missing"));
    }
    findings
}

/// The files a source takes its documentation from.
fn includes(path: &str, text: &str) -> Vec<String> {
    let call = "include_str!(\"";
    text.match_indices(call)
        .filter(|(at, _)| text[..*at].trim_end().trim_end_matches('=').trim_end().ends_with("doc"))
        .filter_map(|(at, _)| text[at + call.len()..].split('"').next())
        .filter_map(|link| resolve(folder(path), link))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn every_guide_is_compiled() {
        let readme = || file("README.md", "");
        let lib = |text: &str| file("crates/a/src/lib.rs", text);
        for (files, expect) in [
            (vec![readme(), lib("#![doc = include_str!(\"../../../README.md\")]")], 0),
            (vec![readme(), lib("const X: &str = include_str!(\"../../../README.md\");")], 1),
            (vec![readme(), file("docs/guide-state.md", ""), lib("")], 2),
            (vec![readme(), file("docs/other.md", ""), lib("#[doc=include_str!(\"../../../README.md\")]")], 0),
            (vec![], 1),
        ] {
            assert_eq!(check(&files).len(), expect);
        }
    }
}
