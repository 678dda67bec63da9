//! Compressed files: read and written whole, by the ending of the name.
use crate::common::*;
use std::{fs, io::Write};
use winterbourne_engine::{Codec, Encoder, Error, Output, TaskCause};

const ALL: [Codec; 7] =
    [Codec::Gzip, Codec::Zlib, Codec::Bzip2, Codec::Zstd, Codec::Lz4, Codec::Snappy, Codec::SnappyFramed];

fn pack(codec: Codec, text: &str) -> Vec<u8> {
    let mut encoder = Encoder::new(Some(codec), Vec::new());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn a_compressed_file_is_one_partition_however_long_it_is_unpacked() {
    let (dir, sc) = (TempDir::new(), threads(2));
    let text: String = (0..30_000).map(|i| format!("line {i}\r\n")).collect();
    for codec in ALL {
        let path = dir.file(&format!("long.{}", codec.ending().to_uppercase()), pack(codec, &text));
        let lines = sc.text_file(path, 8);
        assert_eq!(lines.num_partitions().unwrap(), 1);
        assert!(lines.collect().unwrap() == text.lines().collect::<Vec<_>>(), "{codec}");
    }
}
#[test]
fn archives_in_a_row_are_one_file_and_an_empty_one_is_empty() {
    let (dir, sc) = (TempDir::new(), threads(1));
    for codec in ALL {
        let path = dir.file(
            &format!("members.{}", codec.ending()),
            [pack(codec, "a\nb"), pack(codec, "c\nd\n"), pack(codec, "")].concat(),
        );
        assert_eq!(sc.text_file(path, 1).collect().unwrap(), ["a", "bc", "d"], "{codec}");
        let path = dir.file(&format!("empty.{}", codec.ending()), pack(codec, ""));
        assert_eq!(sc.text_file(path, 1).count().unwrap(), 0, "{codec}");
    }
}
#[test]
fn a_broken_archive_is_an_error_that_names_the_file() {
    let (dir, sc) = (TempDir::new(), threads(1));
    for codec in ALL {
        let mut bytes = pack(codec, &"to be or not to be\n".repeat(1000));
        bytes.truncate(bytes.len() / 2);
        let path = dir.file(&format!("broken.{}", codec.ending()), bytes);
        let error = sc.text_file(path.as_str(), 1).count().unwrap_err().to_string();
        assert!(error.contains(&path) && error.contains("unpacking"), "{error}");
    }
}
#[test]
fn other_formats_are_refused_by_name() {
    let (dir, sc) = (TempDir::new(), threads(1));
    for (ending, format) in [("xz", "xz"), ("lzo", "lzo"), ("br", "brotli"), ("zip", "zip")] {
        let path = dir.file(&format!("text.{ending}"), b"anything");
        let error = sc.text_file(path, 1).count().unwrap_err();
        let Error::Task { cause: TaskCause::Engine(cause), .. } = &error else { panic!("{error}") };
        assert!(matches!(**cause, Error::Input { .. }) && error.to_string().contains(format), "{error}");
    }
}
#[test]
fn what_is_written_packed_is_read_again_by_every_reader() {
    let (dir, sc) = (TempDir::new(), threads(2));
    let numbers = sc.range(0..20_000, 2);
    let lines: Vec<String> = (0..20_000).map(|n: u64| n.to_string()).collect();
    for codec in ALL {
        let at = |kind: &str| dir.at(&format!("{kind}-{codec}"));
        numbers.save_as_text_file(Output::to(at("text")).codec(codec)).unwrap();
        let names: Vec<String> = (0..2).map(|p| format!("part-{p:05}.{}", codec.ending())).collect();
        assert_eq!(listed(&at("text")), [vec!["_SUCCESS".to_owned()], names].concat());
        assert!(sc.text_file(at("text"), 9).collect().unwrap() == lines, "{codec}");
        let whole = sc.whole_text_files(at("text"), 1).map(|(_, text)| text.to_string()).collect().unwrap();
        assert!(whole.concat() == lines.iter().map(|l| l.clone() + "\n").collect::<String>(), "{codec}");

        numbers.save_as_object_file(Output::to(at("object")).codec(codec)).unwrap();
        assert!(
            sc.object_file::<u64>(at("object"), 9).collect().unwrap() == (0..20_000).collect::<Vec<_>>(),
            "{codec}"
        );

        let bytes = Output::to(at("bytes")).codec(codec);
        numbers
            .save_as_files(bytes, |numbers, file| {
                numbers.into_iter().try_for_each(|n| Ok(file.write_all(&n.to_be_bytes())?))
            })
            .unwrap();
        let records = sc.binary_records(at("bytes"), 8).map(|r| u64::from_be_bytes(r.try_into().unwrap()));
        assert!(records.collect().unwrap() == (0..20_000).collect::<Vec<_>>(), "{codec}");
        // Opened by hand, they are as they are.
        let file = sc.binary_files(at("text"), 1).first().unwrap().1;
        assert_eq!(file.to_array().unwrap(), fs::read(file.path()).unwrap());
    }
}
#[test]
fn a_whole_file_that_unpacks_to_too_much_is_refused() {
    let dir = TempDir::new();
    let sc = winterbourne_engine::SparkContext::new(conf("local[1]").set("spark.files.maxWholeSize", "1m")).unwrap();
    for codec in ALL {
        let path = dir.file(&format!("bomb.{}", codec.ending()), pack(codec, &"0".repeat((1 << 20) + 1)));
        let error = sc.whole_text_files(path.as_str(), 1).count().unwrap_err().to_string();
        assert!(error.contains("spark.files.maxWholeSize") && error.contains(&path), "{error}");
        let path = dir.file(&format!("fits.{}", codec.ending()), pack(codec, &"0".repeat(1 << 20)));
        assert_eq!(sc.whole_text_files(path, 1).map(|(_, text)| text.len()).collect().unwrap(), [1 << 20]);
    }
}
