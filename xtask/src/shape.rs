//! The shape of a source file: a head comment, a bounded length, no test skipped without a reason.

use crate::code;
use crate::finding::Finding;

/// Past this a file holds more than one noun.
const MAX_LINES: usize = 700;

/// Files that may be longer: path and why.
const LONG: &[(&str, &str)] = &[];

/// Every file says first what it is.
pub(crate) fn check_head(path: &str, text: &str) -> Vec<Finding> {
    if text.starts_with("//!") {
        return Vec::new();
    }
    vec![Finding::at(path, 1, "a file opens with //!: what it is and what it refuses to do")]
}

/// A file stays readable in one sitting.
pub(crate) fn check_length(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    if lines <= MAX_LINES || LONG.iter().any(|(long, _)| *long == path) {
        return Vec::new();
    }
    vec![Finding::whole(path, format!("{lines} lines; more than {MAX_LINES} need a reason in xtask/src/shape.rs"))]
}

/// A test that does not run says why.
pub(crate) fn check_ignore(path: &str, text: &str) -> Vec<Finding> {
    let code = code::blank(text);
    code.match_indices("#[ignore]")
        .map(|(at, _)| Finding::inside(path, text, at, "an ignored test needs a reason: #[ignore = \"why\"]"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_opens_with_its_head() {
        for (text, expect) in [("//! A.\nfn f() {}", 0), ("fn f() {}", 1), ("// A.\n", 1), ("", 1)] {
            assert_eq!(check_head("a.rs", text).len(), expect, "{text}");
        }
    }

    #[test]
    fn a_file_has_an_end() {
        for (lines, expect) in [(1, 0), (MAX_LINES, 0), (MAX_LINES + 1, 1)] {
            assert_eq!(check_length("a.rs", &"x\n".repeat(lines)).len(), expect, "{lines}");
        }
    }

    #[test]
    fn an_ignored_test_has_a_reason() {
        for (text, expect) in [
            ("#[test]\n#[ignore]\nfn f() {}", 1),
            ("#[test]\n#[ignore = \"needs a network\"]\nfn f() {}", 0),
            ("// #[ignore]", 0),
        ] {
            assert_eq!(check_ignore("a.rs", text).len(), expect, "{text}");
        }
    }
}
