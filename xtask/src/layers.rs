//! Imports point one way: which workspace crate may use which, in manifests and in sources.

use toml::{Table, Value};

use crate::code;
use crate::finding::Finding;

/// The folder of each crate under `crates/` and the folders of those it may depend on.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("engine", &["base"]),
    ("streaming", &["engine", "base"]),
    ("testkit", &["streaming", "engine", "base"]),
    ("broker", &["base"]),
    ("kafka", &["streaming", "engine", "base"]),
    ("winterbourne", &["kafka", "streaming", "engine", "base"]),
    ("bench", &["winterbourne", "broker"]),
    ("crash", &["winterbourne", "streaming", "base"]),
    ("proof", &["winterbourne", "broker", "base"]),
    ("soak", &["winterbourne"]),
];

/// Whose tests may use the test kit; nobody ships it.
const TESTKIT: &str = "testkit";
const TESTED_WITH_TESTKIT: &[&str] = &["engine", "streaming", "kafka", "winterbourne", "bench"];

/// The package in a folder under `crates/`.
fn package(folder: &str) -> String {
    if folder == "winterbourne" { folder.to_owned() } else { format!("winterbourne-{folder}") }
}

fn crate_folder(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.split('/').next()
}

fn allowed(folder: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == folder).map(|(_, below)| *below)
}

/// What the manifest of a crate under `crates/` depends on.
pub(crate) fn check_manifest(path: &str, text: &str) -> Vec<Finding> {
    let Some(folder) = crate_folder(path) else { return Vec::new() };
    let Some(below) = allowed(folder) else {
        return vec![Finding::whole(path, "this crate has no row in the table of xtask/src/layers.rs")];
    };
    let manifest: Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::whole(path, format!("not TOML: {error}"))],
    };
    let mut findings = Vec::new();
    for (kind, name) in dependencies(&manifest) {
        let Some((other, _)) = LAYERS.iter().find(|(other, _)| package(other) == name) else { continue };
        if *other == TESTKIT && kind == "dev-dependencies" {
            if !TESTED_WITH_TESTKIT.contains(&folder) {
                findings.push(Finding::whole(path, format!("{folder} may not be tested with {name}")));
            }
        } else if kind != "dev-dependencies" && !below.contains(other) {
            findings.push(Finding::whole(path, format!("{folder} may not depend on {name}: imports point down only")));
        }
    }
    findings
}

/// The kind and name of each dependency, those for one platform included.
pub(crate) fn dependencies(manifest: &Table) -> Vec<(&'static str, String)> {
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let mut found = Vec::new();
    for table in platforms.filter_map(Value::as_table).chain([manifest]) {
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let names = table.get(kind).and_then(Value::as_table).into_iter().flat_map(Table::keys);
            found.extend(names.map(|name| (kind, name.clone())));
        }
    }
    found
}

/// Which workspace crates a source file under `crates/` names.
pub(crate) fn check_source(path: &str, text: &str) -> Vec<Finding> {
    let Some(folder) = crate_folder(path) else { return Vec::new() };
    let Some(below) = allowed(folder) else { return Vec::new() };
    let code = code::blank(text);
    let regions = code::test_regions(&code);
    let dev_file = code::is_test_file(path) || path.split('/').any(|part| part == "examples");
    let mut findings = Vec::new();
    for (other, _) in LAYERS.iter().filter(|(other, _)| *other != folder) {
        let name = package(other).replace('-', "_");
        for at in code::words(&code, &name) {
            let in_test = dev_file || regions.iter().any(|region| region.contains(&at));
            let fine = match (in_test, *other == TESTKIT) {
                (true, true) => TESTED_WITH_TESTKIT.contains(&folder),
                (true, false) => true,
                (false, _) => below.contains(other),
            };
            if !fine {
                findings.push(Finding::inside(path, text, at, format!("{folder} may not use {name}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_point_down_only() {
        for (path, text, expect) in [
            ("crates/engine/Cargo.toml", "[dependencies]\nwinterbourne-base.workspace = true", 0),
            ("crates/engine/Cargo.toml", "[dependencies]\nwinterbourne-streaming.workspace = true", 1),
            ("crates/base/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nwinterbourne-engine = '1'", 1),
            ("crates/engine/Cargo.toml", "[dev-dependencies]\nwinterbourne-testkit.workspace = true", 0),
            ("crates/base/Cargo.toml", "[dev-dependencies]\nwinterbourne-testkit.workspace = true", 1),
            ("crates/winterbourne/Cargo.toml", "[dependencies]\nwinterbourne-testkit.workspace = true", 1),
            ("crates/bench/Cargo.toml", "[dependencies]\nwinterbourne.workspace = true\nlibc = '1'", 0),
            ("crates/bench/Cargo.toml", "[dependencies]\nwinterbourne-engine.workspace = true", 1),
            ("crates/unheard/Cargo.toml", "", 1),
            ("crates/base/Cargo.toml", "[dependencies", 1),
        ] {
            assert_eq!(check_manifest(path, text).len(), expect, "{path}: {text}");
        }
    }

    #[test]
    fn sources_point_down_only() {
        for (path, text, expect) in [
            ("crates/streaming/src/lib.rs", "use winterbourne_engine::Rdd;", 0),
            ("crates/engine/src/lib.rs", "use winterbourne_streaming::DStream;", 1),
            ("crates/engine/src/lib.rs", "/// See winterbourne_streaming.\nfn f() {}", 0),
            ("crates/engine/src/lib.rs", "fn f() { let x = winterbourne::Time::ZERO; }", 1),
            ("crates/engine/src/lib.rs", "#[cfg(test)] mod tests { use winterbourne_testkit::check; }", 0),
            ("crates/base/src/lib.rs", "#[cfg(test)] mod tests { use winterbourne_testkit::check; }", 1),
            ("crates/winterbourne/src/lib.rs", "pub use winterbourne_testkit as testkit;", 1),
            ("crates/winterbourne/examples/a.rs", "use winterbourne::prelude::*;", 0),
            ("xtask/src/main.rs", "use winterbourne_base::Time;", 0),
        ] {
            assert_eq!(check_source(path, text).len(), expect, "{path}: {text}");
        }
    }
}
