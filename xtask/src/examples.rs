//! Every public function of the engine is called by an example that runs, in the documentation of its own file.

use crate::code::is_word;
use crate::finding::Finding;

/// The sources this is about.
const FOLDER: &str = "crates/engine/src/";
/// The bed: what schedulers see. Programs and operators of one's own do without it.
const BED: &[&str] = &["lineage/", "plan.rs"];

/// What no example of the file calls. Forms on behalf of a call site (`map_at`) are for the layers above, and do what
/// their like does.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let Some(inside) = path.strip_prefix(FOLDER) else { return Vec::new() };
    if BED.iter().any(|bed| inside.starts_with(bed)) {
        return Vec::new();
    }
    let shown = examples(text);
    let mut hidden = false;
    let mut findings = Vec::new();
    for (i, line) in text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
        let line = line.trim();
        hidden |= line == "#[doc(hidden)]";
        let Some(name) = function(line) else { continue };
        if !std::mem::take(&mut hidden) && !name.ends_with("_at") && !names(&shown, name) {
            findings.push(Finding::at(path, i + 1, format!("no example in this file calls `{name}`")));
        }
    }
    findings
}

/// The code of all examples in doc comments.
fn examples(text: &str) -> String {
    let mut inside = false;
    let docs = text.lines().map(str::trim).filter_map(|line| line.strip_prefix("///").or(line.strip_prefix("//!")));
    let code = docs.filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        inside && !fence
    });
    code.collect::<Vec<_>>().join("\n")
}

/// The public function that a line begins.
fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ")?;
    let rest = rest.strip_prefix("const ").unwrap_or(rest).strip_prefix("fn ")?;
    Some(&rest[..rest.find(|c| !is_word(c))?])
}

fn names(code: &str, name: &str) -> bool {
    code.match_indices(name)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word))
}

#[test]
fn a_function_without_an_example_is_found() {
    for (text, expect) in [
        ("/// ```\n/// a.map(f);\n/// ```\npub fn map() {}", 0),
        ("/// ```\n/// a.map(f);\n/// ```\npub fn filter<T>() {}", 1),
        ("/// ```\n/// a.map_values(f);\n/// ```\npub const fn map() {}", 1),
        ("/// Not an example: map\npub fn map() {}", 1),
        ("pub fn map_at() {}\npub(crate) fn inner() {}", 0),
        ("#[doc(hidden)]\npub fn a() {}\npub fn b() {}", 1),
        ("#[cfg(test)]\nmod tests { pub fn a() {} }", 0),
    ] {
        assert_eq!(check("crates/engine/src/rdd/a.rs", text).len(), expect, "{text}");
        assert_eq!(check("crates/streaming/src/a.rs", text), [], "{text}");
        assert_eq!(check("crates/engine/src/lineage/a.rs", text), [], "{text}");
    }
}
