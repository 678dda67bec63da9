//! Every third-party crate has a reason: a row in docs/dependencies.md. Members take their crates from the workspace.

use toml::{Table, Value};

use crate::finding::Finding;
use crate::markdown;

/// Where the reasons are.
pub(crate) const REASONS: &str = "docs/dependencies.md";

/// The section of that page whose rows are crates.
const SECTION: &str = "Crates";

/// The rows of the page against the workspace's third-party crates, both ways.
pub(crate) fn check(workspace_manifest: &str, reasons: &str) -> Vec<Finding> {
    let manifest: Table = match workspace_manifest.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::whole("Cargo.toml", format!("not TOML: {error}"))],
    };
    let crates = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let crates = crates.and_then(Value::as_table).into_iter().flatten();
    let used: Vec<&str> =
        crates.filter(|(_, value)| value.get("path").is_none()).map(|(name, _)| name.as_str()).collect();
    let rows = markdown::rows(reasons);
    let explained: Vec<(usize, &str)> = rows
        .iter()
        .filter(|row| row.heading == SECTION)
        .filter_map(|row| Some((row.line, markdown::quoted(row.cells.first()?).next()?)))
        .collect();
    let missing = used.iter().filter(|name| !explained.iter().any(|(_, explained)| explained == *name));
    let stale = explained.iter().filter(|(_, name)| !used.contains(name));
    missing
        .map(|name| Finding::whole(REASONS, format!("{name} has no row in the table of crates")))
        .chain(stale.map(|(line, name)| Finding::at(REASONS, *line, format!("{name} is used no longer"))))
        .collect()
}

/// A member names no version of its own: everything comes from the workspace's table.
pub(crate) fn check_member(path: &str, text: &str) -> Vec<Finding> {
    let Ok(manifest) = text.parse::<Table>() else { return Vec::new() };
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = platforms.filter_map(Value::as_table).chain([&manifest]);
    tables
        .flat_map(|table| ["dependencies", "build-dependencies", "dev-dependencies"].map(|kind| table.get(kind)))
        .filter_map(|table| table?.as_table())
        .flatten()
        .filter(|(_, value)| value.get("workspace").and_then(Value::as_bool) != Some(true))
        .map(|(name, _)| Finding::whole(path, format!("{name} must come from the workspace: workspace = true")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_has_a_reason() {
        let manifest = "[workspace.dependencies]\nours = { path = 'x', version = '1' }\nserde = '1'\n";
        let page = |rows: &str| {
            format!("## Crates\n| crate | for |\n|---|---|\n{rows}\n## Tools\n| t | for |\n|---|---|\n| `deny` | x |\n")
        };
        for (rows, expect) in [
            ("| `serde` | data |", vec![]),
            ("", vec!["serde has no row in the table of crates"]),
            ("| `serde` | data |\n| `rand` | luck |", vec!["rand is used no longer"]),
        ] {
            let found: Vec<String> = check(manifest, &page(rows)).into_iter().map(|found| found.message).collect();
            assert_eq!(found, expect, "{rows}");
        }
    }

    #[test]
    fn members_take_their_crates_from_the_workspace() {
        for (text, expect) in [
            ("[dependencies]\nserde.workspace = true\nx = { workspace = true, features = [] }", 0),
            ("[dependencies]\nserde = '1'", 1),
            ("[dev-dependencies]\nx = { path = '../x' }\n[target.'cfg(unix)'.dependencies]\ny = '1'", 2),
        ] {
            assert_eq!(check_member("crates/a/Cargo.toml", text).len(), expect, "{text}");
        }
    }
}
