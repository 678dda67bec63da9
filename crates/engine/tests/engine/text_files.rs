//! Text files: any number of splits yields the lines of the file, and a path means what it means in Spark.
use crate::common::*;
use proptest::prelude::*;
use winterbourne_engine::{Error, Result, SparkContext};

/// The rules, dully: the lines of a file and in how many of them bytes were replaced.
fn twin(bytes: &[u8]) -> (Vec<String>, u64) {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let (mut lines, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let end = (at..bytes.len()).find(|&i| matches!(bytes[i], b'\n' | b'\r'));
        lines.push(&bytes[at..end.unwrap_or(bytes.len())]);
        at = end.map_or(bytes.len(), |i| i + if bytes[i..].starts_with(b"\r\n") { 2 } else { 1 });
    }
    let invalid = lines.iter().filter(|l| std::str::from_utf8(l).is_err()).count() as u64;
    (lines.iter().map(|l| String::from_utf8_lossy(l).into_owned()).collect(), invalid)
}
fn read(sc: &SparkContext, path: &str, splits: usize) -> Result<Vec<String>> {
    sc.text_file(path, splits).map(String::from).collect()
}
/// The lines of the file for these numbers of splits, on one thread, two, and two lanes.
fn check(bytes: &[u8], splits: &[usize]) {
    let dir = TempDir::new();
    let path = dir.file("f.txt", bytes);
    let (expect, invalid) = twin(bytes);
    for (i, &n) in splits.iter().enumerate() {
        let sc = threads(1 + i % 2);
        assert_eq!(read(&sc, &path, n).expect("the file is there"), expect, "{n} splits of {bytes:?}");
        assert_eq!(sc.counts().invalid_utf8, invalid, "{n} splits of {bytes:?}");
    }
    let n = splits[0];
    assert_eq!(everywhere(1, move |sc| read(sc, &path, n)), expect, "{n} splits on lanes");
}

fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}

proptest! {
    #![proptest_config(cases(32))]
    #[test]
    fn any_number_of_splits_yields_the_lines(
        mark in any::<bool>(),
        body in prop::collection::vec(prop::sample::select(b"ab\n\n\r\r \xff\xc3\xa4".to_vec()), 0..70),
        splits in prop::collection::vec(1usize..65, 2..4),
    ) {
        let bytes = [if mark { &b"\xEF\xBB\xBF"[..] } else { b"" }, &body].concat();
        check(&bytes, &splits);
    }
}
proptest! {
    #![proptest_config(cases(16))]
    #[test]
    fn long_lines_and_many_blocks(
        lens in prop::collection::vec((prop_oneof![4 => 0usize..60, 1 => 0usize..150_000], 0usize..3), 1..12),
        splits in prop::collection::vec(1usize..65, 2),
        ended in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        for (i, (len, end)) in lens.iter().enumerate() {
            bytes.extend((0..*len).map(|j| b'a' + ((i + j) % 26) as u8));
            bytes.extend_from_slice([&b"\n"[..], b"\r\n", b"\r"][*end]);
        }
        if !ended {
            bytes.extend_from_slice("ohne Ende, länger als 22 Bytes".as_bytes());
        }
        check(&bytes, &splits);
    }
}

#[test]
fn awkward_files_in_splits_of_every_size() {
    let all: Vec<usize> = (1..=19).chain([64]).collect();
    for text in [
        &b""[..],
        b"\n",
        b"\r",
        b"\r\n",
        b"one",
        b"one\n",
        b"\n\r\n\r\r\n",
        b"a\r\nb\r\nc\r\n",
        b"a\rb\rc",
        b"\xEF\xBB\xBF",
        b"\xEF\xBB\xBFx",
        b"\xEF\xBB\xBFx\ny\n",
        b"\xEF\xBB\xBF\nx",
        b"x\n\xEF\xBB\xBFy\n",
        b"\xEF\xBB",
        b"\xff\n\xfe\xff\nfine\n\xc3",
    ] {
        check(text, &all);
    }
}
#[test]
fn a_byte_order_mark_before_a_line_of_several_blocks() {
    let bytes = ["\u{feff}", &"x".repeat(200_000), "\ny"].concat();
    check(bytes.as_bytes(), &[1, 2, 64]);
}
#[test]
fn partition_counts_are_sparks() {
    let dir = TempDir::new();
    for (name, len, asked, expect) in [
        ("a", 9, 2, 3),
        ("b", 9, 5, 9),
        ("c", 9, 1, 1),
        ("d", 0, 2, 0),
        ("e", 11, 1, 1),
        ("f", 10, 0, 1),
        ("g", 100, 3, 3),
    ] {
        let path = dir.file(name, "x".repeat(len));
        let lines = threads(1).text_file(path, asked);
        assert_eq!(lines.num_partitions().unwrap(), expect, "{len} bytes in {asked}");
    }
    // A line belongs to the split in which it starts, so some partitions are empty.
    let path = dir.file("long", "123456789");
    assert_eq!(threads(1).text_file(path, 2).glom().map(|p| p.len()).collect().unwrap(), [1, 0, 0]);
}
#[test]
fn what_a_path_means() {
    let dir = TempDir::new();
    let root = dir.path().to_str().unwrap().to_owned();
    dir.dir("logs");
    dir.dir("nested");
    dir.dir("nested/inner");
    dir.dir("bare");
    for (name, text) in [
        ("logs/b.txt", "b\n"),
        ("logs/a.txt", "a1\na2"),
        ("logs/c.log", "c"),
        ("logs/empty.txt", ""),
        ("logs/.hidden.txt", "hidden"),
        ("logs/_SUCCESS", "hidden"),
        ("nested/x.txt", "x"),
        ("nested/inner/y.txt", "y"),
        ("one.txt", "one"),
    ] {
        dir.file(name, text);
    }
    let sc = threads(2);
    let check = |path: &str, expect: &[&str]| {
        let path = path.replace('@', &root);
        assert_eq!(read(&sc, &path, 2).unwrap(), expect, "{path}");
    };
    check("@/one.txt", &["one"]);
    check("file://@/one.txt", &["one"]);
    check("@/logs", &["a1", "a2", "b", "c"]);
    check("@/logs/", &["a1", "a2", "b", "c"]);
    check("@/logs/*.txt", &["a1", "a2", "b"]);
    check("@/logs/[bc].*", &["b", "c"]);
    check("@/logs/?.log", &["c"]);
    check("@/l*/*.log", &["c"]);
    check("@/logs/*", &["a1", "a2", "b", "c"]);
    check("@/lo*", &["a1", "a2", "b", "c"]);
    check("file://@/logs/*.log", &["c"]);
    check("@/one.txt,@/logs/b.txt", &["one", "b"]);
    check("@/logs/b.txt, @/logs/a*", &["b", "a1", "a2"]);
    check("@/one.txt,@/one.txt", &["one", "one"]);
    check("@/nested/*.txt", &["x"]);
    check("@/nested/*", &["y", "x"]); // the glob names the inner directory itself
    check("@/bare", &[]);

    let fails = |path: &str| read(&sc, &path.replace('@', &root), 2).unwrap_err();
    let e = fails("@/nested");
    assert!(matches!(&e, Error::NestedDirectory { path, .. } if path.ends_with("nested/inner")), "{e}");
    for missing in ["@/none.txt", "@/none*", "@/one.txt,@/none", "", ",", " "] {
        let e = fails(missing);
        assert!(matches!(e, Error::NoInput { .. }), "{missing:?}: {e}");
    }
    let e = fails("@/[");
    assert!(matches!(e, Error::BadPattern { .. }), "{e}");
}
#[test]
fn a_missing_file_is_an_error_of_the_action_and_may_still_come() {
    let dir = TempDir::new();
    let path = dir.at("late.txt");
    let sc = threads(2);
    let (lines, line) = (sc.text_file(path.as_str(), 2), line!());
    let pairs = lines.map(|l| (l.len() as u64, 1u64)).reduce_by_key(|a, b| a + b);
    let both = lines.union(&lines).coalesce(2);
    for e in [lines.count().unwrap_err(), pairs.count().unwrap_err(), both.count().unwrap_err()] {
        let text = e.to_string();
        assert!(text.contains(&path) && text.contains(&format!("text_files.rs:{line}:")), "{text}");
    }
    assert!(lines.to_debug_string().starts_with("(?) text_file"), "not listed yet");
    dir.file("late.txt", "1\n22\n33\n");
    assert_eq!(sorted(pairs.collect().unwrap()), [(1, 1), (2, 2)]);
    assert_eq!(both.num_partitions().unwrap(), 2);
    assert_eq!(both.count().unwrap(), 6);
    // Listed once: what disappears now is an error of the task that opens it.
    drop(dir);
    let e = lines.count().unwrap_err();
    assert!(matches!(&e, Error::Task { .. }) && e.to_string().contains(&path), "{e}");
}
#[test]
fn defining_touches_no_file() {
    let sc = threads(1);
    let lines = sc.text_file("/nowhere/at/all", 2);
    let defined = lines.map(|l| (l, 1)).reduce_by_key(|a, b| a + b).map_values(|n| n + 1).reduce_by_key(|a, b| a + b);
    assert_eq!(defined.union(&defined).glom().name(), "glom");
    assert_eq!(sc.counts().jobs, 0);
}
