//! The operations matrix, docs/operations.toml: what Spark offers, one entry each, and where we stand.
//! A claim is checked against the sources, the documents and the tests that ran.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::code::is_word;
use crate::finding::Finding;
use crate::items::Index;
use crate::markdown;
use crate::repo::Repo;

/// The matrix.
pub(crate) const MATRIX: &str = "docs/operations.toml";
const DIFFERENCES: &str = "docs/differences-from-spark.md";
const CONFIGURATION: &str = "docs/configuration.md";

/// How many entries each letter has: a complete list cannot lose one unnoticed.
const EXPECTED: &[(&str, usize)] = &[("T", 11), ("A", 81), ("B", 48), ("C", 57), ("D", 90)];

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Done,
    Different,
    Planned,
}

const STATUSES: [(Status, &str); 3] =
    [(Status::Done, "done"), (Status::Different, "different"), (Status::Planned, "planned")];

/// One value or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    fn as_slice(&self) -> &[String] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Many(names) => names,
        }
    }
}

/// One operation, item, rule or key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: String,
    section: String,
    status: Status,
    item: Option<Names>,
    test: Option<Names>,
    row: Option<String>,
    issue: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl Entry {
    fn letter(&self) -> &str {
        &self.id[..self.id.find(|c: char| c.is_ascii_digit()).unwrap_or(self.id.len())]
    }

    fn items(&self) -> &[String] {
        self.item.as_ref().map_or(&[], Names::as_slice)
    }

    fn tests(&self) -> &[String] {
        self.test.as_ref().map_or(&[], Names::as_slice)
    }
}

#[derive(Deserialize)]
struct Document {
    entry: Vec<Entry>,
}

/// What the claims are checked against.
struct Evidence<'a> {
    items: &'a Index,
    differences: &'a str,
    configuration: &'a str,
    /// The tests that ran; `None` when no run is known.
    tests: Option<&'a BTreeSet<String>>,
}

/// The claims that need no test run: form, completeness, items, rows.
pub(crate) fn check(repo: &Repo) -> Vec<Finding> {
    match parse(repo.text(MATRIX).unwrap_or_default()) {
        Ok(entries) => verify(&entries, repo, None),
        Err(error) => vec![Finding::whole(MATRIX, error.to_string())],
    }
}

/// Everything, with the tests of the last run if there was one; prints the totals.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let entries = parse(repo.text(MATRIX).unwrap_or_default())?;
    let tests = tests_ran(repo).ok();
    if tests.is_none() {
        println!("the claimed tests are not checked: no run of `cargo xtask test` is known");
    }
    let findings = verify(&entries, repo, tests.as_ref());
    findings.iter().for_each(|finding| println!("{finding}"));
    print!("{}", totals(&entries));
    if findings.is_empty() { Ok(()) } else { Err(format!("{} claims do not hold", findings.len()).into()) }
}

/// The ids of each status, then the totals.
pub(crate) fn print(repo: &Repo) -> Result<()> {
    let entries = parse(repo.text(MATRIX).unwrap_or_default())?;
    for (status, word) in STATUSES {
        println!("{word}");
        for entry in entries.iter().filter(|entry| entry.status == status) {
            let remark = entry.row.as_ref().or(entry.issue.as_ref()).map(|text| format!("  ({text})"));
            println!("  {:4} {}{}", entry.id, entry.name, remark.unwrap_or_default());
        }
    }
    print!("{}", totals(&entries));
    Ok(())
}

/// Where the names of the tests that ran are kept, one a line.
pub(crate) fn record(repo: &Repo) -> PathBuf {
    repo.target().join("wb").join("tests-ran.txt")
}

fn tests_ran(repo: &Repo) -> Result<BTreeSet<String>> {
    Ok(fs::read_to_string(record(repo))?.lines().map(str::to_owned).collect())
}

fn parse(text: &str) -> Result<Vec<Entry>> {
    Ok(toml::from_str::<Document>(text)?.entry)
}

fn verify(entries: &[Entry], repo: &Repo, tests: Option<&BTreeSet<String>>) -> Vec<Finding> {
    let items = Index::of(repo.files());
    let evidence = Evidence {
        items: &items,
        differences: repo.text(DIFFERENCES).unwrap_or_default(),
        configuration: repo.text(CONFIGURATION).unwrap_or_default(),
        tests,
    };
    let claims = entries.iter().flat_map(|entry| claims(entry, &evidence));
    let problems = completeness(entries, EXPECTED).into_iter().chain(claims);
    problems.map(|problem| Finding::whole(MATRIX, problem)).collect()
}

/// Every number of every letter once, in order.
fn completeness(entries: &[Entry], expected: &[(&str, usize)]) -> Vec<String> {
    let wanted: Vec<String> = expected
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")))
        .collect();
    let found: Vec<&String> = entries.iter().map(|entry| &entry.id).collect();
    let mut problems = Vec::new();
    for id in &wanted {
        match found.iter().filter(|found| **found == id).count() {
            0 => problems.push(format!("{id} is missing")),
            1 => {}
            count => problems.push(format!("{id} stands there {count} times")),
        }
    }
    problems.extend(found.iter().filter(|id| !wanted.contains(id)).map(|id| format!("{id} is not a known number")));
    if problems.is_empty() && !found.iter().eq(&wanted.iter().collect::<Vec<_>>()) {
        problems.push("the entries are not in the order of their numbers".to_owned());
    }
    problems
}

/// What is wrong with one entry.
fn claims(entry: &Entry, evidence: &Evidence<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut must = |holds: bool, problem: String| {
        if !holds {
            problems.push(format!("{} ({}): {problem}", entry.id, entry.name));
        }
    };
    let section =
        entry.section.strip_prefix(entry.letter()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    must(
        section || (entry.letter() == "T" && entry.section == "A.0"),
        format!("section {} is not its own", entry.section),
    );
    must(entry.issue.is_none() || entry.status == Status::Planned, "only what is planned has an issue".to_owned());
    must(entry.row.is_some() == (entry.status == Status::Different), "exactly what is different has a row".to_owned());
    match entry.status {
        Status::Done => {
            must(!entry.items().is_empty() || entry.letter() == "T", "done, but no item is named".to_owned());
            must(!entry.tests().is_empty(), "done, but no test is named".to_owned());
        }
        Status::Different => {}
        Status::Planned => {
            must(entry.item.is_none() && entry.test.is_none(), "planned, but claims an item or a test".to_owned());
        }
    }
    for item in entry.items() {
        if entry.letter() == "C" {
            must(names_key(evidence.configuration, item), format!("{CONFIGURATION} does not have the key {item}"));
        } else {
            must(evidence.items.has(item), format!("there is no public item {item}"));
        }
    }
    if let Some(row) = &entry.row {
        let rows = markdown::rows(evidence.differences);
        let known = rows.iter().any(|found| found.cells.first().is_some_and(|cell| cell.contains(row.as_str())));
        must(known && !row.is_empty(), format!("no row of {DIFFERENCES} begins with \"{row}\""));
    }
    for test in entry.tests() {
        must(evidence.tests.is_none_or(|ran| ran.contains(test)), format!("the test {test} did not run"));
    }
    problems
}

/// Whether `key` stands in `text` by itself, not as the beginning or end of a longer key.
fn names_key(text: &str, key: &str) -> bool {
    let inside = |c: char| is_word(c) || c == '.';
    !key.is_empty()
        && text.match_indices(key).any(|(at, _)| {
            let after = text[at + key.len()..].trim_start_matches('.');
            !text[..at].ends_with(inside) && !after.starts_with(is_word)
        })
}

/// A line for each section, one for all.
fn totals(entries: &[Entry]) -> String {
    let mut counts: BTreeMap<usize, (&str, [usize; 3])> = BTreeMap::new();
    let sections: Vec<&str> = entries.iter().fold(Vec::new(), |mut sections, entry| {
        if !sections.contains(&entry.section.as_str()) {
            sections.push(&entry.section);
        }
        sections
    });
    for entry in entries {
        let place = sections.iter().position(|section| *section == entry.section).unwrap_or(sections.len());
        let counted = counts.entry(place).or_insert((&entry.section, [0; 3]));
        counted.1[entry.status as usize] += 1;
    }
    let all = counts.values().fold([0; 3], |sum, (_, count)| [sum[0] + count[0], sum[1] + count[1], sum[2] + count[2]]);
    let mut out = format!("{:8}{:>10}{:>10}{:>10}\n", "section", "done", "different", "planned");
    for (name, count) in counts.values().copied().chain([("all", all)]) {
        let [done, different, planned] = count;
        writeln!(out, "{name:8}{done:>10}{different:>10}{planned:>10}").expect("writing to a string cannot fail");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::File;

    fn entries(body: &str) -> Vec<Entry> {
        parse(body).expect("the test's own table parses")
    }

    #[test]
    fn the_matrix_is_complete() {
        let list = |ids: &[&str]| {
            let one = |id: &&str| format!("[[entry]]\nid='{id}'\nname='n'\nsection='A.1'\nstatus='planned'\n");
            entries(&ids.iter().map(one).collect::<String>())
        };
        for (ids, expect) in [
            (vec!["A1", "A2"], vec![]),
            (vec!["A1"], vec!["A2 is missing"]),
            (vec!["A1", "A1", "A2"], vec!["A1 stands there 2 times"]),
            (vec!["A1", "A2", "A3"], vec!["A3 is not a known number"]),
            (vec!["A2", "A1"], vec!["the entries are not in the order of their numbers"]),
        ] {
            assert_eq!(completeness(&list(&ids), &[("A", 2)]), expect, "{ids:?}");
        }
    }

    #[test]
    fn a_claim_needs_evidence() {
        let source = File {
            path: "crates/streaming/src/dstream.rs".to_owned(),
            text: "pub struct DStream; impl DStream { pub fn map(&self) {} }".to_owned(),
        };
        let items = Index::of(&[source]);
        let tests = BTreeSet::from(["winterbourne-streaming::tests/operators::map_maps".to_owned()]);
        let evidence = Evidence {
            items: &items,
            differences: "| what | why |\n|---|---|\n| PID floor | 1 record/s |\n",
            configuration: "| `spark.streaming.blockInterval` | 200ms |",
            tests: Some(&tests),
        };
        let map = "item='winterbourne_streaming::DStream::map'";
        let ran = "test='winterbourne-streaming::tests/operators::map_maps'";
        for (head, body, expect) in [
            ("A21 A.2 done", format!("{map}\n{ran}"), ""),
            ("A21 A.2 done", format!("item=['winterbourne_streaming::DStream']\n{ran}"), ""),
            ("A21 A.2 done", map.to_owned(), "no test is named"),
            ("A21 A.2 done", ran.to_owned(), "no item is named"),
            ("A21 A.2 done", format!("{map}\ntest=['other']"), "the test other did not run"),
            ("A21 A.2 done", format!("item='winterbourne_streaming::DStream::gone'\n{ran}"), "no public item"),
            ("A21 A.2 done", format!("{map}\n{ran}\nrow='PID floor'"), "exactly what is different has a row"),
            ("A21 A.2 different", "row='PID'".to_owned(), ""),
            ("A21 A.2 different", "row='record'".to_owned(), "begins with"),
            ("A21 A.2 different", String::new(), "exactly what is different has a row"),
            ("A21 A.2 planned", "issue='Later'\nnote='A note.'".to_owned(), ""),
            ("A21 A.2 planned", map.to_owned(), "claims an item"),
            ("A21 D.2 planned", String::new(), "is not its own"),
            ("C8 C.13 done", format!("item='spark.streaming.blockInterval'\n{ran}"), ""),
            ("C8 C.13 done", format!("item='spark.streaming.block'\n{ran}"), "does not have the key"),
            ("T1 A.0 done", ran.to_owned(), ""),
        ] {
            let mut words = head.split(' ');
            let mut word = || words.next().expect("three words");
            let text =
                format!("[[entry]]\nid='{}'\nname='n'\nsection='{}'\nstatus='{}'\n{body}", word(), word(), word());
            let problems = entries(&text).iter().flat_map(|entry| claims(entry, &evidence)).collect::<Vec<_>>();
            assert_eq!(problems.len(), usize::from(!expect.is_empty()), "{head} {body}: {problems:?}");
            assert!(problems.iter().all(|problem| problem.contains(expect)), "{head} {body}: {problems:?}");
        }
    }

    #[test]
    fn unknown_fields_and_statuses_are_refused() {
        for line in ["status='finished'", "status='planned'\ntests=['x']"] {
            assert!(parse(&format!("[[entry]]\nid='A1'\nname='n'\nsection='A.1'\n{line}")).is_err(), "{line}");
        }
    }
}
