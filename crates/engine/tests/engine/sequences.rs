//! Hadoop's sequence files: as Java writes them, there and back, and damage.
use crate::common::*;
use proptest::prelude::*;
use std::{fs, io::Write};
use winterbourne_engine::{Codec, Encoder, Error, Output, SparkContext, TaskCause, Text, Writable};

const HADOOPS: [Codec; 6] = [Codec::Gzip, Codec::Zlib, Codec::Bzip2, Codec::Zstd, Codec::Lz4, Codec::Snappy];
const MARKER: [u8; 16] = *b"0123456789abcdef";

fn message(e: &Error) -> String {
    let Error::Task { cause: TaskCause::Engine(cause), .. } = e else { panic!("{e}") };
    assert!(matches!(&**cause, Error::Damaged { .. }), "{e}");
    e.to_string()
}
fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}
/// The header of a file of texts and integers, byte by byte.
fn header(packed: u8, blocks: u8, codec: &str) -> Vec<u8> {
    let mut out =
        [b"SEQ\x06".to_vec(), text("org.apache.hadoop.io.Text"), text("org.apache.hadoop.io.IntWritable")].concat();
    out.extend([packed, blocks]);
    if packed > 0 {
        out.extend(text(codec));
    }
    // One pair of metadata.
    out.extend([&[0, 0, 0, 1][..], &text("by"), &text("hand"), &MARKER].concat());
    out
}
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Encoder::new(Some(Codec::Zlib), Vec::new());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}
fn read(sc: &SparkContext, path: &str) -> Vec<(String, i32)> {
    sc.sequence_file(path, 1).collect().expect("records")
}

#[test]
fn files_written_byte_by_byte_as_the_format_says() {
    let (dir, sc) = (TempDir::new(), threads(1));
    let sync = [&[0xFF; 4][..], &MARKER].concat();
    let expect = [("to".to_owned(), 2), ("be".to_owned(), -1)];
    // Not packed, with a sync between the records.
    let record = |key: &str, n: i32| [&[0, 0, 0, 7, 0, 0, 0, 3][..], &text(key), &n.to_be_bytes()].concat();
    let plain = [header(0, 0, ""), record("to", 2), sync.clone(), record("be", -1)].concat();
    assert_eq!(read(&sc, &dir.file("plain", plain)), expect);
    // Each value packed by itself.
    let record = |key: &str, n: i32| {
        let value = zlib(&n.to_be_bytes());
        [&(3 + value.len() as u32).to_be_bytes()[..], &[0, 0, 0, 3], &text(key), &value].concat()
    };
    let class = "org.apache.hadoop.io.compress.DefaultCodec";
    let records = [header(1, 0, class), record("to", 2), record("be", -1), sync.clone()].concat();
    assert_eq!(read(&sc, &dir.file("records", records)), expect);
    // In blocks, the second with one record.
    let block = |all: &[(&str, i32)]| {
        let mut out = [sync.clone(), vec![all.len() as u8]].concat();
        let lens = |n: u8| vec![n; all.len()];
        let keys: Vec<u8> = all.iter().flat_map(|(k, _)| text(k)).collect();
        let values: Vec<u8> = all.iter().flat_map(|(_, v)| v.to_be_bytes()).collect();
        for buffer in [lens(3), keys, lens(4), values] {
            let packed = zlib(&buffer);
            out.push(packed.len() as u8);
            out.extend(packed);
        }
        out
    };
    let blocks = [header(1, 1, class), block(&[("to", 2)]), block(&[("be", -1)])].concat();
    assert_eq!(read(&sc, &dir.file("blocks", blocks)), expect);
    let blocks = [header(1, 1, class), block(&[("to", 2), ("be", -1)])].concat();
    assert_eq!(read(&sc, &dir.file("block", blocks)), expect);
}
#[test]
fn what_is_written_without_packing_is_what_the_format_says() {
    let (dir, sc) = (TempDir::new(), threads(1));
    sc.parallelize([("to".to_owned(), 2), ("be".to_owned(), -1)], 1).save_as_sequence_file(dir.at("out")).unwrap();
    let bytes = fs::read(dir.at("out/part-00000")).unwrap();
    let start =
        [b"SEQ\x06".to_vec(), text("org.apache.hadoop.io.Text"), text("org.apache.hadoop.io.IntWritable")].concat();
    let start = [start, vec![0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(bytes[..start.len()], start);
    let records = b"\0\0\0\x07\0\0\0\x03\x02to\0\0\0\x02\0\0\0\x07\0\0\0\x03\x02be\xFF\xFF\xFF\xFF";
    assert_eq!(bytes[start.len() + 16..], records[..]);
}
#[test]
fn every_class_and_every_codec_there_and_back() {
    fn check<K: Writable + PartialEq, V: Writable + PartialEq>(pairs: Vec<(K, V)>) {
        let (dir, sc) = (TempDir::new(), threads(2));
        for codec in HADOOPS.map(Some).into_iter().chain([None]) {
            let at = dir.at(&format!("out{}", codec.map_or("", Codec::ending)));
            let output = codec.iter().fold(Output::to(&at), |o, c| o.codec(*c));
            sc.parallelize(pairs.clone(), 2).save_as_sequence_file(output).unwrap();
            assert_eq!(listed(&at), ["_SUCCESS", "part-00000", "part-00001"]);
            assert!(sc.sequence_file::<K, V>(at, 1).collect().unwrap() == pairs, "{codec:?}");
        }
    }
    check((0..3000).map(|i: i32| (i, Text::from("x".repeat(i as usize % 300)))).collect());
    check(vec![(i64::MIN, 1.5f64), (0, f64::INFINITY)]);
    check(vec![("".to_owned(), vec![0u8, 255]), ("ä".repeat(100), vec![])]);
    check(vec![(true, ()), (false, ())]);
    check(vec![(1.5f32, true)]);
    check(Vec::<((), ())>::new());
    check(vec![((), ()); 2500]);
}
#[test]
fn splits_share_a_file_at_its_syncs() {
    let (dir, sc) = (TempDir::new(), threads(2));
    // Values that hold a file of the same kind: its markers are others.
    sc.parallelize([(1, vec![7u8; 10])], 1).save_as_sequence_file(dir.at("inner")).unwrap();
    let inner = fs::read(dir.at("inner/part-00000")).unwrap();
    let value = |i: i32| if i % 7 == 0 { inner.clone() } else { vec![i as u8; (i * 31 % 400) as usize] };
    let pairs: Vec<(i32, Vec<u8>)> = (0..20_000).map(|i| (i, value(i))).collect();
    for (name, codec) in [("plain", None), ("blocks", Some(Codec::Lz4))] {
        let output = codec.iter().fold(Output::to(dir.at(name)), |o, c| o.codec(*c));
        sc.parallelize(pairs.clone(), 1).save_as_sequence_file(output).unwrap();
        for min in [1, 2, 5, 1000] {
            let read = sc.sequence_file::<i32, Vec<u8>>(dir.at(name), min);
            assert_eq!(read.num_partitions().unwrap() > 1, min > 1, "{name} in {min}");
            assert!(read.collect().unwrap() == pairs, "{name} in {min}");
        }
    }
}
#[test]
fn splits_in_which_nothing_starts_are_empty() {
    let (dir, sc) = (TempDir::new(), threads(2));
    // Each pair is longer than a split may be short, so that a sync comes in every third split or so.
    let pairs: Vec<(i32, Vec<u8>)> = (0..12).map(|i| (i, vec![i as u8; 300_000])).collect();
    sc.parallelize(pairs.clone(), 1).save_as_sequence_file(dir.at("out")).unwrap();
    let read = sc.sequence_file::<i32, Vec<u8>>(dir.at("out"), 1000);
    let sizes = read.glom().map(|pairs| pairs.len()).collect().unwrap();
    assert!(sizes.len() > 30 && sizes.iter().filter(|n| **n == 0).count() > 20, "{sizes:?}");
    assert!(read.collect().unwrap() == pairs);
}
#[test]
fn other_classes_codecs_and_versions_are_named() {
    let (dir, sc) = (TempDir::new(), threads(1));
    sc.parallelize([("a".to_owned(), 1)], 1).save_as_sequence_file(dir.at("out")).unwrap();
    let e = message(&sc.sequence_file::<String, i64>(dir.at("out"), 1).count().unwrap_err());
    for part in ["org.apache.hadoop.io.IntWritable", "`i64` reads org.apache.hadoop.io.LongWritable", "part-00000"] {
        assert!(e.contains(part), "{part}: {e}");
    }
    let fails = |name: &str, bytes: Vec<u8>, what: &str| {
        let e = message(&sc.sequence_file::<String, i32>(dir.file(name, bytes), 1).count().unwrap_err());
        assert!(e.contains(what), "{e}");
    };
    fails("codec", header(1, 1, "com.example.Codec"), "packed with com.example.Codec");
    fails("version", b"SEQ\x05rest".to_vec(), "version 5");
    fails("text", b"1\n2\n".to_vec(), "does not begin as a sequence file does");
    fails("short", header(0, 0, "")[..40].to_vec(), "cut short");
    fails("negative", [header(0, 0, ""), vec![0xFF, 0xFF, 0xFF, 0xFE, 0, 0, 0, 0]].concat(), "negative");
    fails("huge", [header(0, 0, ""), vec![0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]].concat(), "out of bounds");
    fails("marker", [header(0, 0, ""), vec![0xFF; 20]].concat(), "not that of its header");
    let e = sc
        .parallelize([(1, 1)], 1)
        .save_as_sequence_file(Output::to(dir.at("x")).codec(Codec::SnappyFramed))
        .unwrap_err();
    assert!(matches!(&e, Error::Output { .. }) && e.to_string().contains("Hadoop has no codec"), "{e}");
}
#[test]
fn damage_is_an_error_or_other_pairs_and_never_a_panic() {
    let (dir, sc) = (TempDir::new(), threads(1));
    for codec in [None, Some(Codec::Zlib), Some(Codec::Snappy)] {
        let name = format!("out{codec:?}");
        let at = dir.at(&name);
        let output = codec.iter().fold(Output::to(&at), |o, c| o.codec(*c));
        let pairs: Vec<(String, i32)> = (0..12).map(|i| (format!("key {i}"), i)).collect();
        sc.parallelize(pairs, 1).save_as_sequence_file(output).unwrap();
        let bytes = fs::read(format!("{at}/part-00000")).unwrap();
        let damaged = (0..bytes.len()).map(|i| {
            let mut broken = bytes.clone();
            broken[i] ^= 0x80;
            broken
        });
        for broken in damaged.chain((0..bytes.len()).map(|end| bytes[..end].to_vec())) {
            let path = dir.again(&format!("{name}/part-00000"), &broken);
            if let Err(e) = sc.sequence_file::<String, i32>(path, 1).count() {
                message(&e);
            }
        }
    }
}
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]
    #[test]
    fn any_pairs_in_any_splits(
        pairs in prop::collection::vec((".{0,40}", any::<i64>()), 0..60),
        times in 1usize..200, partitions in 1usize..5, splits in 0usize..30, codec in prop::option::of(prop::sample::select(&HADOOPS[..])),
    ) {
        let (dir, sc) = (TempDir::new(), threads(1 + splits % 3));
        let pairs: Vec<(String, i64)> = (0..times).flat_map(|_| pairs.clone()).collect();
        let output = codec.iter().fold(Output::to(dir.at("out")), |o, c| o.codec(*c));
        sc.parallelize(pairs.clone(), partitions).save_as_sequence_file(output).unwrap();
        prop_assert!(sc.sequence_file::<String, i64>(dir.at("out"), splits).collect().unwrap() == pairs);
    }
}
