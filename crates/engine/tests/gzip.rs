//! Compressed text files: read whole, by the ending of the name.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use flate2::{Compression, write::GzEncoder};
use std::{fs, io::Write, path::PathBuf};
use winterbourne_engine::{Error, SparkConf, SparkContext, TaskCause};

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("winterbourne-gzip-{}-{name}", std::process::id()));
    fs::write(&path, bytes).unwrap();
    path
}
fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
fn context() -> SparkContext {
    SparkContext::new(SparkConf::empty().set_app_name("gzip").set_master("local[2]")).unwrap()
}

#[test]
fn a_gzip_file_is_one_partition_however_long_it_is_unpacked() {
    let text: String = (0..50_000).map(|i| format!("line {i}\r\n")).collect();
    let path = file("long.gz", &gzip(&text));
    let lines = context().text_file(path.to_str().unwrap(), 8);
    assert_eq!(lines.num_partitions().unwrap(), 1);
    assert_eq!(lines.collect().unwrap(), text.lines().collect::<Vec<_>>());
    fs::remove_file(path).unwrap();
}
#[test]
fn members_in_a_row_are_one_file() {
    let path = file("members.gz", &[gzip("a\nb"), gzip("c\nd\n"), gzip("")].concat());
    assert_eq!(context().text_file(path.to_str().unwrap(), 1).collect().unwrap(), ["a", "bc", "d"]);
    fs::remove_file(path).unwrap();
}
#[test]
fn a_broken_archive_is_an_error_that_names_the_file() {
    let mut bytes = gzip(&"to be or not to be\n".repeat(1000));
    bytes.truncate(bytes.len() / 2);
    let path = file("broken.gz", &bytes);
    let error = context().text_file(path.to_str().unwrap(), 1).count().unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    fs::remove_file(path).unwrap();
}
#[test]
fn other_formats_are_refused_by_name() {
    let path = file("text.zst", b"anything");
    let error = context().text_file(path.to_str().unwrap(), 1).count().unwrap_err();
    let Error::Task { cause: TaskCause::Engine(cause), .. } = &error else { panic!("{error}") };
    assert!(matches!(**cause, Error::Input { .. }) && error.to_string().contains("zstd"), "{error}");
    fs::remove_file(path).unwrap();
}
