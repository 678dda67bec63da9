//! Every workload that can run, made tiny, against a dull twin: results are asserted, times never.
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    process::{Command, Output},
};

/// Forty lines of a few words, in a file of its own that goes with it.
struct Text {
    path: PathBuf,
    lines: Vec<String>,
}
impl Text {
    fn new(name: &str) -> Self {
        let word = |i: usize| format!("w{}", i * i % 17);
        let lines: Vec<String> =
            (0..40).map(|i| (0..1 + i % 7).map(|j| word(i + 3 * j)).collect::<Vec<_>>().join(" ")).collect();
        let path = std::env::temp_dir().join(format!("winterbourne-bench-{}-{name}.txt", std::process::id()));
        std::fs::write(&path, lines.join("\n") + "\n").expect("a temporary file");
        Text { path, lines }
    }
    /// Words of the first `n` lines, the text read round and round.
    fn words(&self, n: u64) -> u64 {
        self.lines.iter().cycle().take(n as usize).map(|line| line.split(' ').count() as u64).sum()
    }
}
impl Drop for Text {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn program(line: &str, text: Option<&Text>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_winterbourne-bench"));
    command.args(line.split_whitespace());
    if let Some(text) = text {
        command.arg("--input").arg(&text.path);
    }
    command.output().expect("the program starts")
}
/// The rows, by variant.
fn rows(line: &str, text: Option<&Text>) -> HashMap<String, String> {
    let output = program(&format!("{line} --json"), text);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let rows = String::from_utf8(output.stdout).expect("rows are UTF-8");
    let variant =
        |row: &str| row.split("\"variant\":\"").nth(1).and_then(|rest| rest.split('"').next()).map(String::from);
    rows.lines().map(|row| (variant(row).unwrap_or_else(|| panic!("no variant in {row}")), row.to_owned())).collect()
}
/// A field's text; those we read hold neither commas nor braces.
fn field<'a>(row: &'a str, name: &str) -> &'a str {
    let start = row.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name} in {row}")) + name.len() + 3;
    row[start..].split([',', '}']).next().unwrap_or_default()
}
fn number(row: &str, name: &str) -> u64 {
    field(row, name).parse().unwrap_or_else(|_| panic!("{name} in {row}"))
}

#[test]
fn w1_counts_words() {
    let text = Text::new("w1");
    let row = &rows("W1 --threads 2", Some(&text))["count"];
    let distinct: HashSet<&str> = text.lines.iter().flat_map(|line| line.split(' ')).collect();
    assert_eq!((number(row, "distinct"), number(row, "words")), (distinct.len() as u64, text.words(40)));
    assert_eq!((number(row, "records"), number(row, "threads")), (40, 2));
}

#[test]
fn w1b_counts_and_sums() {
    let rows = rows("W1b --n 10007 --threads 2", None);
    let all: Vec<u64> = (0..10_007).map(|x| x * 3 + 1).filter(|y| y % 7 != 0).map(|y| y ^ (y >> 3)).collect();
    for variant in ["count", "sum"] {
        let row = &rows[variant];
        assert_eq!((number(row, "count"), number(row, "sum")), (all.len() as u64, all.iter().sum()));
    }
}

#[test]
fn w2mem_counts_every_batch_by_itself() {
    let text = Text::new("w2mem");
    let row = &rows("W2mem --n 15 --threads 2", Some(&text))["15 lines"];
    let distinct = |lines: &[String]| lines.iter().flat_map(|l| l.split(' ')).collect::<HashSet<_>>().len() as u64;
    assert_eq!(number(row, "distinct_sum"), text.lines[..30].chunks(15).map(distinct).sum::<u64>());
    assert_eq!((number(row, "words"), number(row, "records")), (text.words(30), 30));
}

#[test]
fn w2sock_loses_no_line() {
    let text = Text::new("w2sock");
    let rows = rows("W2sock --rates 3000 --seconds 0.3 --interval-ms 50 --threads 2", Some(&text));
    let (count, read) = (&rows["count"], &rows["read"]);
    assert!(number(count, "lines") > 0 && number(read, "lines") > 0);
    assert_eq!(number(count, "words"), text.words(number(count, "lines")));
    assert_eq!(number(count, "records"), number(count, "lines"));
    assert!(["true", "false"].contains(&field(count, "sustained")));
}

#[test]
fn w3_keeps_a_window_of_ten_batches() {
    let rows = rows("W3 --keys 300 --n 70 --threads 2", None);
    assert_eq!(rows.len(), 2);
    for row in rows.values() {
        assert_eq!((number(row, "window_sum"), number(row, "keys")), (700, 300), "{row}");
    }
}

#[test]
fn w4_keeps_state_with_and_without_checkpoints() {
    let rows = rows("W4 --keys 500 --n 70 --threads 2", None);
    assert_eq!(rows.len(), 8);
    for (variant, row) in &rows {
        let batches = number(row, "records") / 70;
        let counted = if variant.contains("map_with_state") { 70 } else { 500 };
        assert_eq!((number(row, "sum"), number(row, "counted")), (70 * batches, counted * batches), "{variant}");
        if variant.contains("checkpoint") {
            assert!(number(row, "checkpoints") > 0 && number(row, "checkpoint_bytes") > 0, "{row}");
            assert_eq!(number(row, "syncs"), batches);
        }
    }
}

#[test]
fn w8_goes_on_after_a_kill() {
    let rows = rows("W8 --keys 3000 --n 100 --threads 2", None);
    let (limit, recovery) = (&rows["3000 keys, limit"], &rows["3000 keys, recovery"]);
    // What the checkpoint of batch 30 holds, the first of which brought zeros; the rest is checked by the program.
    assert_eq!((number(limit, "sum"), number(recovery, "sum")), (2900, 2900));
    assert_eq!(number(limit, "bytes"), number(recovery, "bytes"));
    assert!(number(recovery, "replayed") <= 5, "{recovery}");
}

#[test]
fn w5_runs_small_things() {
    let text = Text::new("w5");
    let rows = rows("W5 --n 100 --rates 2000 --seconds 0.3 --interval-ms 20 --threads 2", Some(&text));
    assert_eq!((number(&rows["job"], "counted"), number(&rows["job_shuffle"], "counted")), (400, 400));
    assert_eq!(number(&rows["empty_batch"], "outputs"), 100);
    assert_eq!(number(&rows["graph_200"], "outputs"), 20 * 100);
    let logged = &rows["empty_batch_log"];
    assert_eq!((number(logged, "outputs"), number(logged, "syncs")), (100, 100));
    let latency = &rows["latency"];
    let lines = number(latency, "lines");
    // Each line has its stamp as one more word.
    assert!(lines > 0);
    assert_eq!(number(latency, "words"), text.words(lines) + lines);
}

#[test]
fn w7_watches_a_program() {
    let text = Text::new("w7");
    let rows = rows("W7 --rounds 1 --seconds 0.2 --interval-ms 20 --rates 1000 --threads 2", Some(&text));
    assert_eq!(number(&rows["first_output"], "outputs"), 1);
    for variant in ["idle", "load"] {
        assert!(rows[variant].contains("\"rss_mb\":"), "{rows:?}");
    }
}

#[test]
fn w6_sorts_joins_and_groups() {
    let n = 1000u64;
    let rows = rows(&format!("W6 --n {n} --threads 2"), None);
    let mix = |i: u64| {
        let x = i.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    };
    let mut keys: Vec<u64> = (0..n).map(mix).collect();
    keys.sort_unstable();
    // The fourth byte of the payload.
    let check = |i: usize| keys[i] ^ (mix(keys[i]) >> 24 & 255);
    for (field, i) in [("first", 0), ("middle", 500), ("last", 999)] {
        assert_eq!(number(&rows["sort"], field), check(i), "{field}");
    }
    let half = n / 2;
    let pairs = |by: u64| (0..half).map(move |i| (i.wrapping_mul(by) % half, i));
    let left: HashMap<u64, u64> = pairs(2_654_435_761).collect();
    let found: Vec<u64> = pairs(2_246_822_519).filter_map(|(k, v)| Some(left.get(&k)? ^ v)).collect();
    let row = &rows["join"];
    assert_eq!((number(row, "count"), number(row, "sum")), (found.len() as u64, found.iter().sum()));
    let groups: HashSet<u64> = (0..n).map(|i| mix(i) % (n / 10)).collect();
    let row = &rows["group"];
    assert_eq!((number(row, "groups"), number(row, "sum")), (groups.len() as u64, n * (n - 1) / 2));
}

#[test]
fn spill_and_sort_agree() {
    let text = Text::new("spill");
    let rows = rows("spill --budget-mb 1 --threads 2", Some(&text));
    assert_eq!(field(&rows["sort"], "hash"), field(&rows["sort, limit"], "hash"));
    let firsts: Vec<&str> = text.lines.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    let distinct: HashSet<&str> = firsts.iter().copied().collect();
    let largest = distinct.iter().map(|w| firsts.iter().filter(|f| f == &w).count() as u64).max();
    for variant in ["group", "group, limit"] {
        let row = &rows[variant];
        assert_eq!((number(row, "groups"), Some(number(row, "largest"))), (distinct.len() as u64, largest));
    }
}

#[test]
fn micro_duels_agree() {
    let text = Text::new("micro");
    let rows = rows("micro --n 5000 --keys 7 --rounds 1", Some(&text));
    let names =
        ["chain", "table", "distinct", "product", "top", "count_by_key", "zip_with_index", "cut", "words", "split"];
    for name in names {
        let value = |who: &str| number(&rows[&format!("{name} {who}")], "value");
        assert_eq!(value("ours"), value("loop"), "{name}");
    }
}

#[cfg(feature = "kafka")]
#[test]
fn w9_counts_the_words_of_a_topic_as_a_bare_loop_does() {
    let text = Text::new("w9");
    let rows = rows("W9 --n 1000 --threads 2", Some(&text));
    for variant in ["limit", "direct"] {
        assert_eq!(number(&rows[variant], "words"), text.words(1000), "{variant}");
    }
}

#[test]
fn says_what_it_cannot_do() {
    let list = program("--list", None);
    assert!(list.status.success());
    // W9 is built in, or says how it would be.
    let waits = String::from_utf8_lossy(&list.stdout).contains("Not there yet");
    assert_eq!(waits, cfg!(not(feature = "kafka")));
    if waits {
        let said = String::from_utf8_lossy(&program("W9", None).stderr).into_owned();
        assert!(said.contains("it waits for a build with --features kafka"), "{said}");
    }
    for (line, expect) in
        [("W77", "there is no workload W77"), ("", "usage:"), ("W1 --input no-such-file", "no-such-file is no file")]
    {
        let output = program(line, None);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expect), "{line}: {said}");
    }
}
