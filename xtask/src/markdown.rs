//! Markdown as far as the checks need it: lines outside of code, table rows, headings, links.

use crate::code::is_word;

/// One row of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// Counted from one.
    pub(crate) line: usize,
    /// The nearest heading above, without its marks.
    pub(crate) heading: &'a str,
    pub(crate) cells: Vec<&'a str>,
}

/// The numbered lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        fenced ^= fence;
        (!fence && !fenced).then_some((index + 1, line))
    })
}

fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#');
    (title.len() < line.len() && title.starts_with(' ')).then(|| title.trim())
}

/// The rows of all tables; the header and the line of dashes below it are left out.
pub(crate) fn rows(text: &str) -> Vec<Row<'_>> {
    let (mut rows, mut title, mut in_body) = (Vec::new(), "", false);
    for (line, content) in prose(text) {
        if let Some(found) = heading(content) {
            title = found;
        }
        let content = content.trim();
        if !content.starts_with('|') {
            in_body = false;
        } else if content.trim_matches(['|', '-', ':', ' ']).is_empty() {
            in_body = true;
        } else if in_body {
            rows.push(Row { line, heading: title, cells: cells(content) });
        }
    }
    rows
}

/// The cells between the bars; `\|` is no bar.
fn cells(row: &str) -> Vec<&str> {
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.strip_suffix('|').unwrap_or(row);
    let (mut cells, mut start) = (Vec::new(), 0);
    for (at, _) in row.match_indices('|').filter(|(at, _)| !row[..*at].ends_with('\\')) {
        cells.push(row[start..at].trim());
        start = at + 1;
    }
    cells.push(row[start..].trim());
    cells
}

/// What stands between back quotes in `text`.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether `cell` holds nothing but back-quoted items and what separates them.
pub(crate) fn is_quoted(cell: &str) -> bool {
    cell.contains('`') && cell.split('`').step_by(2).all(|between| between.trim_matches([',', ' ']).is_empty())
}

/// The targets of all links, with their lines: inline ones and reference definitions.
pub(crate) fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (line, content) in prose(text) {
        // A link inside back quotes is a sample.
        let content: String = content.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for (at, open) in content.match_indices("](") {
            let target = &content[at + open.len()..];
            let target = &target[..target.find([')', ' ']).unwrap_or(target.len())];
            links.push((line, target.trim_matches(['<', '>']).to_owned()));
        }
        if let Some((_, target)) = content.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            links.push((line, target.split_whitespace().next().unwrap_or_default().to_owned()));
        }
    }
    links
}

/// The anchors a page offers: its headings in the spelling that code hosts give them.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for title in prose(text).filter_map(|(_, line)| heading(line)) {
        let kept = title.chars().filter(|c| is_word(*c) || matches!(c, ' ' | '-'));
        let slug = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let repeats = anchors.iter().filter(|anchor| **anchor == slug).count();
        anchors.push(if repeats == 0 { slug } else { format!("{slug}-{repeats}") });
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_table_rows_below_their_heading() {
        let text = "# One\n| a | b |\n|---|:-:|\n| `x` | y \\| z |\n\n```\n| no | no |\n```\n";
        assert_eq!(rows(text), [Row { line: 4, heading: "One", cells: vec!["`x`", "y \\| z"] }]);
    }

    #[test]
    fn reads_links_outside_of_code() {
        let text = "[a](b.md) and [c](d.md#e \"title\") but `[f](g)`\n```\n[h](i)\n```\n[j]: k.md\n";
        let found: Vec<_> = links(text).into_iter().map(|(line, target)| format!("{line}:{target}")).collect();
        assert_eq!(found, ["1:b.md", "1:d.md#e", "5:k.md"]);
    }

    #[test]
    fn spells_anchors() {
        assert_eq!(
            anchors("# Where is X?\n## `print`, twice\n## A\n## A\n"),
            ["where-is-x", "print-twice", "a", "a-1"]
        );
    }

    #[test]
    fn tells_quoted_cells_from_prose() {
        for (cell, expect) in [("`a/b`, `c`", true), ("see `a/b`", false), ("plain", false)] {
            assert_eq!(is_quoted(cell), expect, "{cell}");
        }
        assert_eq!(quoted("`a/b`, `c`").collect::<Vec<_>>(), ["a/b", "c"]);
    }
}
