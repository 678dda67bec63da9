//! Whole files, files of bytes, and records of one length.
use crate::common::*;
use winterbourne_engine::{Error, OnBadRecord, PortableDataStream, SparkContext};

/// A directory with small files, among them hidden and empty ones.
fn small() -> TempDir {
    let dir = TempDir::new();
    for (name, bytes) in [
        ("b", &b"two\nlines\r\n"[..]),
        ("a", b"\xEF\xBB\xBFmark"),
        ("c", b""),
        (".hidden", b"hidden"),
        ("_SUCCESS", b""),
        ("d", b"\xFF\xFEnot UTF-8"),
    ] {
        dir.file(name, bytes);
    }
    dir
}
fn with(key: &str, value: &str) -> SparkContext {
    SparkContext::new(conf("local[2]").set(key, value)).expect("a context")
}

#[test]
fn whole_text_files_are_what_the_files_hold() {
    let (dir, sc) = (small(), threads(2));
    let files = sc.whole_text_files(dir.at(""), 1).map(|(path, text)| (path.to_string(), text.to_string()));
    let expect = [("a", "\u{feff}mark"), ("b", "two\nlines\r\n"), ("c", ""), ("d", "\u{fffd}\u{fffd}not UTF-8")];
    let expect = expect.map(|(name, text)| (dir.at(name), text.to_owned()));
    assert_eq!(files.collect().unwrap(), expect);
    assert_eq!(sc.counts().invalid_utf8, 1);
    let path = dir.at("");
    assert_eq!(everywhere(2, move |sc| sc.whole_text_files(path.as_str(), 2).count()), 4);
}
#[test]
fn small_files_share_partitions_as_in_spark() {
    let (dir, sc) = (TempDir::new(), threads(2));
    for name in ["a", "b", "c"] {
        dir.file(name, "x");
    }
    for (min, expect) in [(0, 1), (1, 1), (2, 2), (3, 3), (9, 3)] {
        assert_eq!(sc.whole_text_files(dir.at(""), min).num_partitions().unwrap(), expect, "{min}");
    }
    assert_eq!(sc.binary_files(dir.at(""), 3).num_partitions().unwrap(), 1, "opening costs more than they have");
    let sc = with("spark.files.openCostInBytes", "1");
    assert_eq!(sc.binary_files(dir.at(""), 3).num_partitions().unwrap(), 2);
    let sc = with("spark.files.maxPartitionBytes", "1");
    assert_eq!(sc.binary_files(dir.at(""), 1).num_partitions().unwrap(), 3);
    let empty = TempDir::new();
    assert_eq!(sc.whole_text_files(empty.at(""), 2).num_partitions().unwrap(), 0);
}
#[test]
fn binary_files_are_opened_when_they_are_wanted() {
    let (dir, sc) = (small(), threads(2));
    let files = sc.binary_files(dir.at(""), 2);
    let read = |(name, file): (winterbourne_engine::Text, PortableDataStream)| {
        let mut first = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file.open()?, 2), &mut first)?;
        assert!(file.path().to_str() == Some(name.as_str()) && file.to_array()?.starts_with(&first));
        std::io::Result::Ok(first)
    };
    let firsts = files.try_map(OnBadRecord::Fail, read).collect().unwrap();
    assert_eq!(firsts, [&b"\xEF\xBB"[..], b"tw", b"", b"\xFF\xFE"]);
    // A handle crosses a shuffle, and a file that is gone is an error with its path.
    let sizes = files.map(|(name, file)| (name, file)).group_by_key().map(|(_, files)| files.len());
    assert_eq!(sizes.collect().unwrap().iter().sum::<usize>(), 4);
    let gone = files.collect().unwrap();
    std::fs::remove_file(dir.at("a")).unwrap();
    let error = gone[0].1.to_array().unwrap_err().to_string();
    assert!(error.contains("opening") && error.contains(&dir.at("a")), "{error}");
    let small = with("spark.files.maxWholeSize", "4");
    let error = small.binary_files(dir.at("b"), 1).first().unwrap().1.to_array().unwrap_err().to_string();
    assert!(error.contains("spark.files.maxWholeSize") && error.contains(&dir.at("b")), "{error}");
}
#[test]
fn binary_records_are_the_bytes_cut_evenly() {
    let (dir, sc) = (TempDir::new(), threads(2));
    let bytes: Vec<u8> = (0..90_000u32).map(|i| (i * 7 % 251) as u8).collect();
    for (name, len) in [("a", 90_000), ("b", 0), ("c", 90)] {
        dir.file(name, &bytes[..len]);
    }
    for each in [1, 3, 9, 90] {
        let records = sc.binary_records(dir.at(""), each);
        assert_eq!(records.num_partitions().unwrap(), 2, "an empty file has none");
        let got = records.collect().unwrap();
        assert!(got.iter().all(|r| r.len() == each));
        assert!(got.concat() == [&bytes[..], &bytes[..90]].concat(), "{each}");
    }
    for (each, rest) in [(7, 1), (89, 21), (100_000, 90_000)] {
        let error = sc.binary_records(dir.at("a"), each).count().unwrap_err().to_string();
        let what = format!("no whole number of records of {each} bytes: the last one has {rest}");
        assert!(error.contains(&what) && error.contains(&dir.at("a")), "{error}");
    }
    for wrong in [0, usize::MAX] {
        let error = sc.binary_records(dir.at("a"), wrong).count().unwrap_err();
        assert!(matches!(error, Error::RecordLength { .. }), "{error}");
    }
    // Shorter than it was when it was listed.
    let records = sc.binary_records(dir.at("a"), 10);
    records.num_partitions().unwrap();
    dir.file("a", &bytes[..50_000]);
    let error = records.count().unwrap_err().to_string();
    assert!(error.contains("it has 50000 bytes now and had 90000"), "{error}");
}
#[test]
fn paths_that_cannot_be_read_are_errors_of_the_action_that_name_them() {
    let (dir, sc) = (TempDir::new(), threads(1));
    let missing = dir.at("missing");
    let all = |path: &str| {
        [
            sc.text_file(path, 1).count().unwrap_err(),
            sc.whole_text_files(path, 1).count().unwrap_err(),
            sc.binary_files(path, 1).count().unwrap_err(),
            sc.binary_records(path, 1).count().unwrap_err(),
            sc.object_file::<u64>(path, 1).count().unwrap_err(),
        ]
    };
    for e in all(&missing) {
        assert!(matches!(&e, Error::NoInput { .. }) && e.to_string().contains(&missing), "{e}");
    }
    dir.dir("outer");
    dir.dir("outer/inner");
    for e in all(&dir.at("outer")) {
        assert!(matches!(e, Error::NestedDirectory { .. }), "{e}");
    }
    // A link to nothing is listed, and is not there.
    dir.dir("links");
    std::os::unix::fs::symlink(dir.at("nowhere"), dir.at("links/broken")).unwrap();
    for e in all(&dir.at("links")) {
        assert!(e.to_string().contains("links/broken"), "{e}");
    }
    assert_eq!(sc.counts().jobs, 0, "nothing ran");
}
