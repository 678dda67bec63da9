//! What documents point at exists: relative links, and the paths in the tables of ARCHITECTURE.md.

use crate::finding::Finding;
use crate::markdown;
use crate::repo::{folder, resolve};

/// The map of the sources.
pub(crate) const MAP: &str = "ARCHITECTURE.md";

/// Every relative link leads to a file, and its fragment to a heading. `anchors` is `None` for what is not there,
/// empty for what is no Markdown page.
pub(crate) fn check(path: &str, text: &str, anchors: impl Fn(&str) -> Option<Vec<String>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, target) in markdown::links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
        let goal = if file.is_empty() { Some(path.to_owned()) } else { resolve(folder(path), file) };
        let found = goal.as_deref().and_then(&anchors);
        let markdown = goal.is_some_and(|goal| goal.ends_with(".md"));
        match found {
            None => findings.push(Finding::at(path, line, format!("the link {target} leads nowhere"))),
            Some(found) if markdown && !fragment.is_empty() && !found.iter().any(|anchor| anchor == fragment) => {
                findings.push(Finding::at(path, line, format!("the link {target} names no heading of that page")));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Every table cell made of back-quoted paths names paths that exist.
pub(crate) fn check_map(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for row in markdown::rows(text) {
        for cell in row.cells.iter().filter(|cell| markdown::is_quoted(cell)) {
            for item in markdown::quoted(cell).filter(|item| is_path(item)) {
                if !exists(item) {
                    findings.push(Finding::at(path, row.line, format!("{item} does not exist")));
                }
            }
        }
    }
    findings
}

fn is_path(item: &str) -> bool {
    let file = [".rs", ".md", ".toml"].iter().any(|end| item.ends_with(end));
    (file || item.contains('/')) && !item.contains([' ', ':', '(', '<', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_somewhere() {
        let anchors = |path: &str| match path {
            "docs/a.md" => Some(vec!["one".to_owned()]),
            "wb" => Some(Vec::new()),
            _ => None,
        };
        for (text, expect) in [
            ("[x](a.md) [x](a.md#one) [x](#one) [x](../wb) [x](https://example.org/a)", 0),
            ("[x](b.md)", 1),
            ("[x](a.md#two) [x](#two)", 2),
            ("[x](../../wb)", 1),
        ] {
            assert_eq!(check("docs/a.md", text, anchors).len(), expect, "{text}");
        }
    }

    #[test]
    fn the_map_names_what_exists() {
        for (row, expect) in [
            ("| windows | `crates/a/src/window.rs` |", 0),
            ("| windows | `crates/a/src/gone.rs`, `crates/a/src/window.rs` |", 1),
            ("| windows | somewhere in `crates/a/gone.rs` |", 0),
            ("| `Rdd<T>`, `a b/c` | `map` |", 0),
        ] {
            let text = format!("| X | where |\n|---|---|\n{row}\n");
            assert_eq!(check_map(MAP, &text, |path| path == "crates/a/src/window.rs").len(), expect, "{row}");
        }
    }
}
