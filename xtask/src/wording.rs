//! Words that may stand in no file: notes to ourselves and paths of somebody's machine.

use crate::code;
use crate::finding::Finding;

/// Notes that belong in the issue tracker. Spelled apart, so that this file passes its own check.
const MARKERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Pieces of paths that exist on one machine only.
const PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("../sha", "red")];

/// Texts that are not ours to word.
const FOREIGN: &[&str] = &["LICENSE", "Cargo.lock"];

/// The forbidden words in `text`.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    if FOREIGN.contains(&path) {
        return Vec::new();
    }
    let markers = MARKERS.iter().flat_map(|marker| {
        let message = format!("{marker} belongs in the issue tracker");
        code::words(text, marker).map(move |at| Finding::inside(path, text, at, message.clone()))
    });
    let paths = PATHS.iter().flat_map(|piece| {
        let message = format!("\"{piece}\" is a path of one machine");
        text.match_indices(piece).map(move |(at, _)| Finding::inside(path, text, at, message.clone()))
    });
    markers.chain(paths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_notes_and_paths() {
        for (path, text, expect) in [
            ("a.rs", format!("// {}: later", MARKERS[0]), 1),
            ("a.md", format!("{}S and mas{}", MARKERS[0], MARKERS[2].to_lowercase()), 0),
            ("wb", format!("cd {}main; cat {}/x", PATHS[0], PATHS[1]), 2),
            ("a.rs", "a network/share".to_owned(), 0),
            ("LICENSE", MARKERS[1].to_owned(), 0),
        ] {
            assert_eq!(check(path, &text).len(), expect, "{path}: {text}");
        }
    }
}
