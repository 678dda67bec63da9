//! The registry as `docs/configuration.md`. Refuses to say anything the registry does not know.

use std::fmt::Write as _;

use super::registry::{self, OPEN_PREFIXES};
use super::{Entry, Group, Kind, Rule, Unit};

const HEAD: &str = "\
# Configuration

<!-- Generated from the registry of keys: cargo run -p winterbourne-base --example configuration > docs/configuration.md -->

A setting is a key and a value. It can be given in three places; the first one that has the key wins:

1. **Code**: `SparkConf::new().set(\"spark.streaming.blockInterval\", \"50ms\")`.
2. **Environment**: `WINTERBOURNE_` and the key in capitals with `_` for every dot, such as
   `WINTERBOURNE_SPARK_STREAMING_BLOCKINTERVAL=50ms`. Capitals do not matter.
3. **File**: the one that the variable `WINTERBOURNE_CONF` names, one `key value` or `key=value` per line; lines that
   begin with `#` are comments.

A key that begins with `spark.` and is not listed here is an error that names the nearest one; so is a value its key
does not accept, and a file or line that cannot be read. All of them are reported at once. Keys that do not begin with
`spark.` are the program's own. The value of a key whose name looks like a secret's (`secret`, `password`, `token`,
`credential`, `access.key`) is shown nowhere.

Times are written `10ms`, `3s`, `2min`, `1h` or `1d`; sizes `64k`, `256m`, `1g` (powers of 1024). The type of a key
says what a bare number means.
";

/// The whole registry as a Markdown page: how keys are set, then one table per group.
///
/// ```
/// let page = winterbourne_base::conf::markdown();
/// assert!(page.contains("`spark.streaming.blockInterval`"));
/// ```
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for group in registry::groups() {
        table(&mut page, group);
    }
    open_prefixes(&mut page);
    page
}

fn table(page: &mut String, group: &Group) {
    let no_effect = group.entries.iter().all(|entry| entry.no_effect.is_some());
    heading(page, group.title);
    if no_effect {
        page.push_str("A Spark program may carry these keys along. They are accepted, noted when the program starts");
        page.push_str(", and change nothing.\n\n");
    }
    page.push_str(if no_effect { "| Key | Type | Meaning in Spark | Why not here |\n" } else { PLAIN_HEAD });
    page.push_str("|---|---|---|---|\n");
    for entry in group.entries {
        let last = match entry.no_effect {
            Some(reason) if no_effect => [entry.summary.trim().to_owned(), reason.to_owned()],
            Some(reason) => [default(entry), format!("{} **No effect:** {reason}.", meaning(entry))],
            None => [default(entry), meaning(entry)],
        };
        row(page, &[format!("`{}`", entry.name), kind(entry), last[0].clone(), last[1].clone()]);
    }
}

const PLAIN_HEAD: &str = "| Key | Type | Default | Meaning |\n";

fn open_prefixes(page: &mut String) {
    heading(page, "Prefixes under which any key is accepted");
    page.push_str("| Prefix | Meaning | Effect |\n|---|---|---|\n");
    for open in &OPEN_PREFIXES {
        let effect = open.no_effect.map_or_else(|| "for the program to read".to_owned(), |why| format!("none: {why}"));
        row(page, &[format!("`{}`", open.prefix), open.summary.to_owned(), effect]);
    }
}

fn heading(page: &mut String, title: &str) {
    writeln!(page, "\n## {title}\n").expect("writing to a string cannot fail");
}

fn row(page: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(page, "| {} |", cells.join(" | ")).expect("writing to a string cannot fail");
}

fn kind(entry: &Entry) -> String {
    if let Rule::OneOf(choices) = entry.rule {
        return choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or ");
    }
    let kind = match entry.kind {
        Kind::Bool => "true or false",
        Kind::Integer => "integer",
        Kind::Float => "number",
        Kind::Time => "time",
        Kind::Size => "size",
        Kind::Text => "text",
    };
    let unit = match entry.unit {
        Unit::None => "",
        Unit::Millis => " (ms)",
        Unit::Seconds => " (s)",
        Unit::Bytes => " (bytes)",
        Unit::KiB => " (KiB)",
        Unit::MiB => " (MiB)",
        Unit::GiB => " (GiB)",
        Unit::Of(unit) => return format!("{kind}, {unit}{}", rule(entry.rule)),
    };
    format!("{kind}{unit}{}", rule(entry.rule))
}

fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Positive => ", above 0",
        Rule::NotNegative => ", 0 or above",
        Rule::Fraction => ", 0 to 1",
        Rule::Any | Rule::Limit | Rule::OneOf(_) => "",
    }
}

fn default(entry: &Entry) -> String {
    entry.default.map_or_else(|| entry.unset.to_owned(), |default| format!("`{default}`"))
}

fn meaning(entry: &Entry) -> String {
    let aliases = entry.aliases.iter().map(|alias| format!(" Also `{alias}`."));
    std::iter::once(entry.summary.trim().to_owned()).chain(aliases).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_the_registry() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == markdown(),
            "docs/configuration.md is not up to date, run:\n\
             cargo run -p winterbourne-base --example configuration > docs/configuration.md"
        );
    }

    #[test]
    fn every_row_has_the_cells_of_its_table() {
        let page = markdown();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), registry::entries().count() + OPEN_PREFIXES.len());
        for row in rows {
            let cells = row.replace("\\|", "").matches('|').count() - 1;
            assert_eq!(cells, if row.contains(".` |") { 3 } else { 4 }, "{row}");
        }
    }
}
