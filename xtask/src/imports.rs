//! The paths a source file imports: its `use` trees, flattened.

use crate::code;

/// One imported path and the name it has in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// Where the `use` statement starts.
    pub(crate) offset: usize,
    /// The segments; the last is `*` for a glob.
    pub(crate) path: Vec<String>,
    /// The local name: the last segment or what follows `as`.
    pub(crate) name: String,
}

/// All imports of blanked `code`.
pub(crate) fn of(code: &str) -> Vec<Import> {
    let mut imports = Vec::new();
    for offset in code::words(code, "use") {
        let tree = &code[offset + "use".len()..];
        let tree = &tree[..tree.find(';').unwrap_or(tree.len())];
        // `use<'a>` is a bound, not an import.
        if !tree.starts_with('<') {
            flatten(offset, &[], tree, &mut imports);
        }
    }
    imports
}

fn flatten(offset: usize, prefix: &[String], tree: &str, imports: &mut Vec<Import>) {
    let (head, group) = match tree.split_once('{') {
        Some((head, rest)) => (head, Some(rest.rsplit_once('}').map_or(rest, |(inside, _)| inside))),
        None => (tree, None),
    };
    let (head, alias) = head.split_once(" as ").map_or((head, None), |(path, name)| (path, Some(name.trim())));
    let mut path = prefix.to_vec();
    path.extend(head.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self").map(str::to_owned));
    match group {
        Some(inside) => branches(inside).into_iter().for_each(|branch| flatten(offset, &path, branch, imports)),
        None => {
            if let Some(last) = path.last() {
                let name = alias.unwrap_or(last).to_owned();
                imports.push(Import { offset, path, name });
            }
        }
    }
}

/// The parts between the commas that stand outside of inner braces.
fn branches(inside: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattens_use_trees() {
        for (code, expect) in [
            ("use std::thread;", vec!["std::thread=thread"]),
            (
                "use std::{thread::{self, sleep as nap}, time::*,};",
                vec!["std::thread=thread", "std::thread::sleep=nap", "std::time::*=*"],
            ),
            ("pub use a as b; fn f() -> impl X + use<'a> { 1 }", vec!["a=b"]),
        ] {
            let found: Vec<_> = of(code).iter().map(|i| format!("{}={}", i.path.join("::"), i.name)).collect();
            assert_eq!(found, expect, "{code}");
        }
    }
}
