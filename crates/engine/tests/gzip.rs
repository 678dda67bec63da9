//! Compressed text files: read whole, by the ending of the name.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
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
fn zlib(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
/// The compressions that are read, by the ending of the name.
type Pack = fn(&str) -> Vec<u8>;
const READ: [(&str, Pack); 3] = [("gz", gzip), ("deflate", zlib), ("DEFLATE", zlib)];
fn context() -> SparkContext {
    SparkContext::new(SparkConf::empty().set_app_name("gzip").set_master("local[2]")).unwrap()
}

#[test]
fn a_compressed_file_is_one_partition_however_long_it_is_unpacked() {
    let text: String = (0..50_000).map(|i| format!("line {i}\r\n")).collect();
    for (ending, pack) in READ {
        let path = file(&format!("long.{ending}"), &pack(&text));
        let lines = context().text_file(path.to_str().unwrap(), 8);
        assert_eq!(lines.num_partitions().unwrap(), 1);
        assert_eq!(lines.collect().unwrap(), text.lines().collect::<Vec<_>>(), "{ending}");
        fs::remove_file(path).unwrap();
    }
}
#[test]
fn members_in_a_row_are_one_file() {
    for (ending, pack) in READ {
        let path = file(&format!("members.{ending}"), &[pack("a\nb"), pack("c\nd\n"), pack("")].concat());
        let lines = context().text_file(path.to_str().unwrap(), 1).collect().unwrap();
        assert_eq!(lines, ["a", "bc", "d"], "{ending}");
        fs::remove_file(path).unwrap();
    }
}
#[test]
fn a_broken_archive_is_an_error_that_names_the_file() {
    for (ending, pack) in READ {
        let mut bytes = pack(&"to be or not to be\n".repeat(1000));
        bytes.truncate(bytes.len() / 2);
        let path = file(&format!("broken.{ending}"), &bytes);
        let error = context().text_file(path.to_str().unwrap(), 1).count().unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        fs::remove_file(path).unwrap();
    }
}
#[test]
fn other_formats_are_refused_by_name() {
    for (ending, format) in [("zst", "zstd"), ("bz2", "bzip2"), ("lz4", "lz4"), ("snappy", "snappy")] {
        let path = file(&format!("text.{ending}"), b"anything");
        let error = context().text_file(path.to_str().unwrap(), 1).count().unwrap_err();
        let Error::Task { cause: TaskCause::Engine(cause), .. } = &error else { panic!("{error}") };
        assert!(matches!(**cause, Error::Input { .. }) && error.to_string().contains(format), "{error}");
        fs::remove_file(path).unwrap();
    }
}
