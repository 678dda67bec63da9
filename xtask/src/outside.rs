//! Clocks, sleeping and threads: one crate touches them, everybody else is handed them. And no test sleeps.

use crate::code;
use crate::finding::Finding;
use crate::imports::{self, Import};

/// What belongs to the outside world.
const WORLD: &[&[&str]] = &[
    &["std", "thread", "spawn"],
    &["std", "thread", "scope"],
    &["std", "thread", "sleep"],
    &["std", "thread", "Builder"],
    &["std", "time", "Instant", "now"],
    &["std", "time", "SystemTime", "now"],
];
const SLEEP: &[&str] = WORLD[2];

/// `base` is the door to the world; benchmarks measure it; automation and examples are programs.
const DOORS: &[&str] = &["crates/base/", "crates/bench/", "xtask/"];

/// The uses of the outside world in `text` where they have no business.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let code = code::blank(text);
    let regions = code::test_regions(&code);
    let imports = imports::of(&code);
    let open = DOORS.iter().any(|door| path.starts_with(door)) || path.split('/').any(|part| part == "examples");
    let mut findings = Vec::new();
    for thing in WORLD {
        for at in uses(&code, &imports, thing) {
            let name = thing.join("::");
            let in_test = code::is_test_file(path) || regions.iter().any(|region| region.contains(&at));
            if in_test && *thing == SLEEP {
                findings.push(Finding::inside(path, text, at, "a test may not sleep: wait for a fact"));
            } else if !in_test && !open {
                let message = format!("{name} belongs to crates/base: take a clock or a spawner instead");
                findings.push(Finding::inside(path, text, at, message));
            }
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Where `thing` is imported or named, in full or by way of an imported prefix.
fn uses(code: &str, imports: &[Import], thing: &[&str]) -> Vec<usize> {
    let mut found: Vec<usize> = code::words(code, &thing.join("::")).collect();
    for import in imports {
        let glob = import.path.last().is_some_and(|last| last == "*");
        let path = &import.path[..import.path.len() - usize::from(glob)];
        let Some(rest) = thing.strip_prefix(path.iter().map(String::as_str).collect::<Vec<_>>().as_slice()) else {
            continue;
        };
        if rest.is_empty() {
            found.push(import.offset);
            continue;
        }
        let name = if glob { Vec::new() } else { vec![import.name.as_str()] };
        let local = [name.as_slice(), rest].concat().join("::");
        // Behind `::` or `.` the name belongs to something else.
        found.extend(code::words(code, &local).filter(|at| !code[..*at].ends_with([':', '.'])));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_doors_touch_the_world() {
        for (path, text, expect) in [
            ("crates/engine/src/a.rs", "fn f() { std::thread::spawn(g); }", 1),
            ("crates/engine/src/a.rs", "use std::thread; fn f() { thread::spawn(g); }", 1),
            ("crates/engine/src/a.rs", "use winterbourne_base::thread; fn f() { thread::spawn(g); }", 0),
            ("crates/engine/src/a.rs", "use std::{thread::Builder as B, io};", 1),
            ("crates/engine/src/a.rs", "use std::thread::JoinHandle; fn f(scope: S) { scope.spawn(g); }", 0),
            ("crates/engine/src/a.rs", "use std::time::{Duration, Instant}; fn f() { Instant::now(); }", 1),
            ("crates/engine/src/a.rs", "use std::time::*; fn f() { SystemTime::now(); }", 1),
            ("crates/engine/src/a.rs", "// std::thread::spawn\nfn f() { clock.now(); }", 0),
            ("crates/engine/src/a.rs", "#[cfg(test)] mod tests { fn f() { std::thread::spawn(g); } }", 0),
            ("crates/engine/tests/a.rs", "fn f() { std::thread::spawn(g); }", 0),
            ("crates/base/src/a.rs", "fn f() { std::thread::spawn(g); }", 0),
            ("crates/winterbourne/examples/a.rs", "fn f() { std::thread::spawn(g); }", 0),
        ] {
            assert_eq!(check(path, text).len(), expect, "{path}: {text}");
        }
    }

    #[test]
    fn no_test_sleeps() {
        for (path, text, expect) in [
            ("crates/base/src/a.rs", "fn f() { std::thread::sleep(d); }", 0),
            ("crates/base/src/a.rs", "#[cfg(test)] mod tests { fn f() { std::thread::sleep(d); } }", 1),
            ("crates/engine/tests/a.rs", "use std::thread; fn f() { thread::sleep(d); }", 1),
        ] {
            assert_eq!(check(path, text).len(), expect, "{path}: {text}");
        }
    }
}
