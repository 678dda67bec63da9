//! File streams over files that are damaged, of a wrong length, or gone when their batch is run; and binary records.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod common;

use common::*;
use std::{
    fs,
    io::Write,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration as Std, UNIX_EPOCH},
};
use winterbourne_base::Time;
use winterbourne_engine::{BoxError, Codec, Encoder, Rdd, SparkContext};
use winterbourne_streaming::{DStream, FileStreamOptions, Input, Planned, StreamFile, Tick};
use winterbourne_testkit::{StreamTester, TEST_START};

fn options() -> FileStreamOptions {
    FileStreamOptions::default()
}
/// Writes a file of the second batch.
fn write(dir: &TempDir, name: &str, bytes: &[u8]) {
    let path = dir.at(name);
    fs::write(&path, bytes).unwrap();
    let time = UNIX_EPOCH + Std::from_millis(TEST_START.as_millis() + 2_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Encoder::new(Some(Codec::Gzip), Vec::new());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}
/// The same with its last bytes, a checksum, not as they should be.
fn damaged(bytes: &[u8]) -> Vec<u8> {
    let mut packed = gzip(bytes);
    let end = packed.len();
    packed[end - 8..].fill(7);
    packed
}

/// Removes a file after it was planned.
struct Remover(String);
impl Input<u64> for Remover {
    type Plan = ();
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<()>>, BoxError> {
        let _ = fs::remove_file(&self.0);
        Ok(None)
    }
    fn read(&mut self, sc: &SparkContext, (): &()) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.empty_rdd())
    }
}

/// Second batch: some files, one of which, `gone`, is away before they are read. What `stream` makes of the others.
fn second_batch(
    files: &[(&str, Vec<u8>)],
    stream: impl FnOnce(&StreamTester, &str) -> DStream<String>,
) -> (Result<Time, String>, Vec<String>) {
    let (dir, mut tester) = (TempDir::new(), tester(&[]));
    let lines = stream(&tester, &dir.at(""));
    let out = tester.output(&lines);
    let _ = tester.context().input_stream("remover", Remover(dir.at("gone")));
    tester.step().unwrap();
    files.iter().for_each(|(name, bytes)| write(&dir, name, bytes));
    let _ = out.take();
    let done = tester.step().map_err(|e| e.to_string());
    (done, out.take().concat())
}

#[test]
fn text_that_cannot_be_read_is_skipped_if_that_is_asked_for_and_fails_the_batch_if_not() {
    for (name, bytes) in [("b.gz", damaged(b"never\n")), ("b.gz", b"no gzip".to_vec()), ("gone", b"gone\n".to_vec())] {
        let files = [("a", b"one\n".to_vec()), (name, bytes), ("c.gz", gzip(b"two\n"))];
        let (failed, _) = second_batch(&files, |t, dir| t.context().text_file_stream(dir).map(String::from));
        assert!(failed.unwrap_err().contains(name));
        let skipping = options().skip_unreadable();
        let counts = skipping.counts();
        let (done, lines) =
            second_batch(&files, |t, dir| t.context().text_file_stream_with(dir, skipping).map(String::from));
        assert_eq!((done, lines), (Ok(at(2)), vec!["one".to_owned(), "two".to_owned()]), "{name}");
        assert_eq!((counts().read, counts().skipped), (3, 1), "{name}");
    }
}

fn text(record: Vec<u8>) -> String {
    String::from_utf8_lossy(&record).into_owned()
}

#[test]
fn so_are_binary_records_of_a_wrong_length() {
    for (name, bytes) in
        [("b", b"abcd".to_vec()), ("b.gz", gzip(b"abcd")), ("b.gz", damaged(b"abcdef")), ("gone", b"abc".to_vec())]
    {
        let files = [("a", b"onetwo".to_vec()), (name, bytes), ("c.gz", gzip(b"six"))];
        let (failed, _) = second_batch(&files, |t, dir| t.context().binary_records_stream(dir, 3).map(text));
        assert!(failed.unwrap_err().contains(name));
        let skipping = options().skip_unreadable();
        let counts = skipping.counts();
        let (done, records) =
            second_batch(&files, |t, dir| t.context().binary_records_stream_with(dir, 3, skipping).map(text));
        assert_eq!(done, Ok(at(2)));
        assert_eq!(records, ["one", "two", "six"], "{name}");
        assert_eq!((counts().read, counts().skipped), (3, 1), "{name}");
    }
}

#[test]
fn so_is_a_file_for_which_the_users_function_fails_at_its_end() {
    let numbers = |file: &StreamFile| {
        let text = std::io::read_to_string(file.open()?)?;
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Ok(words.into_iter().map(|w| w.parse::<u64>().map_err(std::io::Error::other)))
    };
    let files = [("a", b"1 2".to_vec()), ("b", b"3 x".to_vec()), ("c", b"4".to_vec())];
    for skips in [false, true] {
        let options = if skips { options().skip_unreadable() } else { options() };
        let (done, seen) =
            second_batch(&files, |t, dir| t.context().file_stream(dir, options, numbers).map(|n| n.to_string()));
        assert_eq!((done.is_ok(), seen.concat().as_str()), (skips, if skips { "124" } else { "" }));
    }
}

#[test]
fn trouble_of_the_machine_skips_nothing() {
    const TOO_MANY_OPEN_FILES: i32 = 24;
    static TROUBLES: AtomicUsize = AtomicUsize::new(1);
    let numbers = |file: &StreamFile| {
        if file.path().ends_with("b") && TROUBLES.swap(0, Relaxed) > 0 {
            return Err(std::io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES));
        }
        let text = std::io::read_to_string(file.open()?)?;
        Ok([Ok(text)].into_iter())
    };
    let files = [("a", b"1".to_vec()), ("b", b"2".to_vec()), ("c.gz", b"3".to_vec())];
    let skipping = options().skip_unreadable();
    let counts = skipping.counts();
    let (done, seen) = second_batch(&files, |t, dir| t.context().file_stream(dir, skipping, numbers));
    assert_eq!((done, seen.concat().as_str()), (Ok(at(2)), "123"), "the second attempt has all");
    assert_eq!((counts().read, counts().skipped, TROUBLES.load(Relaxed)), (3, 0, 0));
}

#[test]
fn what_was_skipped_stays_so_when_its_batch_is_tried_again() {
    let (dir, mut tester) = (TempDir::new(), tester(&[]));
    let skipping = options().skip_unreadable();
    let counts = skipping.counts();
    let lines = tester.context().text_file_stream_with(dir.at(""), skipping).map(String::from);
    let (tell, heard) = std::sync::mpsc::channel();
    let gone = dir.at("gone");
    lines.foreach_rdd(move |rdd, _| {
        let lines = rdd.collect()?;
        if lines.is_empty() {
            return Ok(());
        }
        let first = !fs::exists(&gone)?;
        tell.send(lines)?;
        fs::write(&gone, "gone\n")?; // it is back, as it was
        if first { Err("the first attempt fails".into()) } else { Ok(()) }
    });
    let _ = tester.context().input_stream("remover", Remover(dir.at("gone")));
    tester.step().unwrap();
    write(&dir, "a", b"one\n");
    write(&dir, "gone", b"gone\n");
    tester.step().unwrap();
    assert_eq!([next(&heard), next(&heard)], [["one"], ["one"]]);
    assert_eq!(counts().skipped, 1, "counted once");
}

#[test]
fn binary_records_take_options_and_are_unpacked() {
    let (dir, mut tester) = (TempDir::new(), tester(&[]));
    for (name, bytes) in [("a.bin", b"abc".to_vec()), ("b.bin.gz", gzip(b"defghi")), ("c.xz", b"jkl".to_vec())] {
        write(&dir, name, &bytes);
    }
    write(&dir, "left-out", b"mno");
    let named = |path: &std::path::Path| path.file_name().is_some_and(|n| n != "left-out");
    let options = options().once().filter(named);
    let counts = options.counts();
    let out = tester.output(&tester.context().binary_records_stream_with(dir.at(""), 3, options).map(text));
    tester.step().unwrap();
    assert_eq!(out.take(), [["abc", "def", "ghi"]]);
    assert_eq!((counts().read, counts().refused), (2, 1), "nobody unpacks xz");
}

#[test]
fn a_glob_that_no_directory_matches_is_counted_and_said_once() {
    let (dir, mut tester) = (TempDir::new(), tester(&[]));
    let (options, pattern) = (options(), dir.at("day=*"));
    let counts = options.counts();
    let out = tester.output(&tester.context().text_file_stream_with(&pattern, options).map(String::from));
    tester.step().unwrap();
    tester.step().unwrap();
    assert_eq!(counts().failed_listings, 1);
    fs::create_dir(dir.at("day=1")).unwrap();
    write(&dir, "day=1/a", b"one\n");
    tester.step().unwrap();
    assert_eq!(out.take().concat(), ["one"]);
    fs::remove_dir_all(dir.at("day=1")).unwrap();
    tester.step().unwrap();
    assert_eq!(counts().failed_listings, 2, "it is news again");
}
