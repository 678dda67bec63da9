//! What fails: the message says what and where, the files are gone, and the context lives.
use crate::{Dir, context};
use winterbourne_engine::{Error, OnBadRecord, Rdd, SparkContext, TaskCause};

const N: u64 = 40_000;

/// Half of the records have the key 7.
fn skewed(sc: &SparkContext) -> Rdd<(u64, String)> {
    sc.range(0..N, 4).map(|i| (if i % 2 == 0 { 7 } else { i }, format!("value {i:>60}")))
}
fn cause(e: Error) -> String {
    match e {
        Error::Task { cause: TaskCause::Engine(e), .. } => e.to_string(),
        other => panic!("another error: {other}"),
    }
}

#[test]
fn a_group_that_is_too_large_is_named() {
    let dir = Dir::new();
    let sc = context("local[2]", "1m", &dir);
    let line = line!() + 1;
    let why = cause(skewed(&sc).group_by_key().count().expect_err("half of all in one group"));
    assert!(
        why.contains("group_by_key") && why.contains("the key 7") && why.contains(&format!("errors.rs:{line}")),
        "{why}"
    );
    assert!(why.contains("flat_map_groups") && why.contains("spark.memory.size"), "{why}");
    let other = sc.range(0..10, 2).map(|k| (k, k));
    let why = cause(skewed(&sc).cogroup(&other).count().expect_err("half of all in one group"));
    assert!(why.contains("cogroup") && why.contains("the key 7"), "{why}");
    let why = cause(skewed(&sc).join(&other).count().expect_err("half of all in one group"));
    assert!(why.contains("join") && why.contains("the key 7"), "{why}");
    // The other way round it is read past a small table.
    assert_eq!(other.join(&skewed(&sc)).count().expect("runs"), N / 2 + 5);
    assert_eq!((dir.files(), sc.memory_status().used()), (0, 0));
    assert_eq!(sc.range(0..10, 2).map(|x| (x % 2, x)).group_by_key().count().expect("the context lives"), 2);
}
#[test]
fn what_fails_or_panics_leaves_no_files() {
    let dir = Dir::new();
    let sc = context("local[2]", "1m", &dir);
    let failing = skewed(&sc)
        .partition_by(3)
        .try_map(OnBadRecord::Fail, |(k, v)| if k == 39_999 { Err("bad record") } else { Ok(v) });
    assert!(failing.count().is_err());
    let panicking = sc.range(0..N, 4).map(|i| {
        assert!(i < N - 1, "the last one");
        (i, format!("value {i:>60}"))
    });
    assert!(panicking.sort_by_key().count().is_err());
    drop((failing, panicking));
    assert!(sc.memory_status().spills > 0);
    assert_eq!((dir.files(), sc.memory_status().used()), (0, 0));
}
#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = Dir::new();
    let file = dir.path().join("file");
    std::fs::write(&file, "no directory").expect("writable");
    let conf = winterbourne_engine::SparkConf::empty().set_app_name("spill").set("spark.memory.size", "1m");
    let sc =
        SparkContext::new(conf.set("spark.local.dir", file.to_str().expect("plain"))).expect("nothing is made yet");
    let why = cause(skewed(&sc).sort_by_key().count().expect_err("nowhere to spill"));
    assert!(why.contains(file.to_str().expect("plain")) && why.contains("spark.local.dir"), "{why}");
    assert_eq!(sc.range(0..10, 2).count().expect("the context lives"), 10);
}
#[test]
fn what_was_damaged_on_disk_is_not_taken_for_data() {
    let dir = Dir::new();
    let sc = context("local[1]", "1m", &dir);
    let spread = skewed(&sc).partition_by(2);
    assert_eq!(spread.count().expect("runs"), N);
    let scratch =
        std::fs::read_dir(dir.path()).expect("readable").next().expect("a directory").expect("readable").path();
    for entry in std::fs::read_dir(&scratch).expect("readable") {
        let path = entry.expect("readable").path();
        if path.file_name().is_some_and(|n| n.to_str().is_some_and(|n| n.starts_with("spill"))) {
            let mut bytes = std::fs::read(&path).expect("readable");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).expect("writable");
        }
    }
    let why = cause(spread.count().expect_err("a checksum does not match"));
    assert!(why.contains("is damaged at byte") && why.contains("spill-"), "{why}");
}
