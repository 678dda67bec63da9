//! File streams, from outside: which files a batch gets, what is left out and counted, and what happens when files change
//! under a running batch. All file times are set; the clock is a test's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod common;

use common::*;
use std::{
    fs,
    io::Write,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration as Std, UNIX_EPOCH},
};
use winterbourne_base::Time;
use winterbourne_engine::{BoxError, Rdd, SparkContext};
use winterbourne_streaming::{
    Error, FileCounts, FileStreamOptions, Input, Planned, StreamFile, StreamingState, Tick, seconds,
};
use winterbourne_testkit::{StreamTester, TEST_START, TestOutput};

/// A directory of files with set times; gone with the test.
struct Scratch(PathBuf);
impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("winterbourne-files-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        fs::create_dir_all(&dir).unwrap();
        dir
    }
    /// Writes a file whose time is so many seconds after the test's start.
    fn write(&self, name: &str, text: &str, at: i64) {
        fs::write(self.path(name), text).unwrap();
        self.touch(name, at);
    }
    fn append(&self, name: &str, text: &str, at: i64) {
        fs::File::options().append(true).open(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
        self.touch(name, at);
    }
    fn touch(&self, name: &str, at: i64) {
        let time = UNIX_EPOCH + Std::from_millis(TEST_START.as_millis().checked_add_signed(at * 1000).unwrap());
        fs::File::options().write(true).open(self.path(name)).unwrap().set_modified(time).unwrap();
    }
}
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A stream over a directory, driven batch by batch.
struct Bench {
    scratch: Scratch,
    tester: StreamTester,
    out: TestOutput<String>,
    counts: Box<dyn Fn() -> FileCounts>,
}
impl Bench {
    fn new(settings: Settings<'_>, options: FileStreamOptions) -> Self {
        Self::on("", settings, options)
    }
    fn on(pattern: &str, settings: Settings<'_>, options: FileStreamOptions) -> Self {
        let (scratch, tester, counts) = (Scratch::new(), tester(settings), options.counts());
        let lines = tester.context().text_file_stream_with(scratch.path(pattern), options);
        let out = tester.output(&lines.map(String::from));
        Bench { scratch, tester, out, counts: Box::new(counts) }
    }
    /// Runs the empty first batch, so that what comes later is new.
    fn begun(mut self) -> Self {
        self.batch(&[]);
        self
    }
    #[track_caller]
    fn batch(&mut self, expect: &[&str]) {
        let time = self.tester.step().unwrap();
        assert_eq!(self.out.take(), [expect], "batch {}", second(time));
    }
    fn write(&self, name: &str, text: &str, at: i64) {
        self.scratch.write(name, text, at);
    }
    #[track_caller]
    fn counted(&self, expect: impl Fn(&mut FileCounts)) {
        let mut counts = FileCounts::default();
        expect(&mut counts);
        assert_eq!((self.counts)(), counts);
    }
}
fn options() -> FileStreamOptions {
    FileStreamOptions::default()
}

/// Does something after all plans of a batch are made and before anything is read.
struct Between(Box<dyn FnMut(Time) + Send>);
impl Input<u64> for Between {
    type Plan = ();
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<()>>, BoxError> {
        (self.0)(tick.time);
        Ok(None)
    }
    fn read(&mut self, sc: &SparkContext, (): &()) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.empty_rdd())
    }
}
#[track_caller]
fn between(tester: &StreamTester, deed: impl FnMut(Time) + Send + 'static) {
    // An input is asked for its plan whether somebody reads it or not.
    let _ = tester.context().input_stream("between", Between(Box::new(deed)));
}

#[test]
fn a_batch_takes_files_of_no_more_bytes_than_it_may_and_one_at_least() {
    let mut b = Bench::new(&[("spark.streaming.batch.maxBytes", "10")], options()).begun();
    b.write("a", "1234\n", 1);
    b.write("b", "678\n", 2);
    b.write("c", "0\n", 2);
    b.write("d", "larger than all that\n", 2);
    b.batch(&["1234", "678"]);
    b.batch(&["0"]);
    // One that grew while it waited counts as what it is then.
    b.write("e", "x\n", 3);
    b.write("f", "y\n", 3);
    b.batch(&["larger than all that"]);
    b.scratch.append("f", "and now it is long\n", 3);
    b.batch(&["x"]);
    b.batch(&["y", "and now it is long"]);
    b.batch(&[]);
}
#[test]
fn the_first_batch_leaves_a_backlog_for_those_that_follow() {
    let line = "x".repeat(99) + "\n";
    let scratch = Scratch::new();
    // 40 files of 100 kB, a megabyte of which is for the first second.
    (0..40).for_each(|i| scratch.write(&format!("{i:02}"), &line.repeat(1_000), 0));
    let mut tester = tester(&[]);
    let lines = tester.context().text_file_stream_with(scratch.path(""), options().existing_too());
    let out = tester.output(&lines.map(|_| 1u64));
    let mut batches = Vec::new();
    while batches.iter().sum::<usize>() < 40_000 {
        tester.step().unwrap();
        batches.extend(out.take().iter().map(Vec::len));
    }
    assert_eq!(batches[0], 10_000, "{batches:?}");
    assert!(batches.len() > 1 && batches[1] > batches[0], "{batches:?}");
}
#[test]
fn a_batch_is_the_files_that_came_since_the_one_before() {
    let mut b = Bench::new(&[], options()).begun();
    b.write("b", "b1\nb2\n", 2);
    b.write("a", "a\n", 2);
    b.write("c", "c\r\nlast line without an end", 1);
    b.batch(&["c", "last line without an end", "a", "b1", "b2"]);
    b.batch(&[]);
    b.write("d", "d", 4);
    b.batch(&["d"]);
    b.counted(|c| c.read = 4);
}
#[test]
fn files_that_were_there_before_are_left_out_unless_they_are_asked_for() {
    let before = |scratch: &Scratch| {
        scratch.write("old", "old", -58);
        scratch.write("older", "older", -70);
    };
    let mut b = Bench::new(&[], options());
    before(&b.scratch);
    b.batch(&[]);
    b.counted(|c| c.before = 2);
    // One that was being written before, and is complete after.
    b.scratch.append("older", " but new", 2);
    b.batch(&["older but new"]);
    let mut b = Bench::new(&[], options().existing_too());
    before(&b.scratch);
    b.batch(&["old"]);
    b.counted(|c| (c.read, c.too_old) = (1, 1));
}
#[test]
fn a_file_moved_in_keeps_its_time_and_is_new_all_the_same() {
    let mut b = Bench::on("in", &[], options());
    b.scratch.dir("in");
    b.batch(&[]);
    for (name, age) in [("young", -50), ("old", -59)] {
        b.write(name, name, age);
        fs::rename(b.scratch.path(name), b.scratch.path("in").join(name)).unwrap();
    }
    // At batch 2 the window reaches to 58 seconds before the start.
    b.batch(&["young"]);
    b.batch(&[]);
    b.counted(|c| (c.read, c.too_old) = (1, 1));
}
#[test]
fn the_window_comes_from_the_configuration_under_both_its_names_or_from_the_options() {
    for (key, options) in [
        (Some("spark.streaming.fileStream.minRememberDuration"), options()),
        (Some("spark.streaming.minRememberDuration"), options()),
        (None, options().remember(seconds(100))),
    ] {
        let settings: Vec<_> = key.map(|k| (k, "100s")).into_iter().collect();
        let mut b = Bench::new(&settings, options.existing_too());
        b.write("in", "in", -98);
        b.write("out", "out", -99);
        b.batch(&["in"]);
        b.counted(|c| (c.read, c.too_old) = (1, 1));
    }
}
#[test]
fn a_file_waits_for_the_batch_of_its_time() {
    let mut b = Bench::new(&[], options()).begun();
    b.write("soon", "soon", 3);
    b.write("far", "far", 1000);
    b.batch(&[]);
    b.batch(&["soon"]);
    b.batch(&[]);
    b.counted(|c| (c.read, c.early) = (1, 1));
    b.scratch.touch("far", 4);
    b.batch(&["far"]);
}
#[test]
fn hidden_names_and_directories_inside_are_passed_over() {
    let mut b = Bench::new(&[], options()).begun();
    b.scratch.dir("nested");
    for name in [".hidden", "_SUCCESS", "nested/inner", "seen"] {
        b.write(name, name, 2);
    }
    b.batch(&["seen"]);
    fs::rename(b.scratch.path(".hidden"), b.scratch.path("shown")).unwrap();
    b.batch(&[".hidden"]);
    b.counted(|c| c.read = 2);
}
#[test]
fn a_filter_says_which_files_are_read() {
    let mut b = Bench::new(&[], options().filter(|p| p.extension().is_some_and(|e| e == "csv"))).begun();
    ["a.csv", "a.txt", ".b.csv", "c.csv"].iter().for_each(|name| b.write(name, name, 2));
    b.batch(&["a.csv", "c.csv"]);
}
#[test]
fn a_glob_means_the_directories_that_match_now() {
    let mut b = Bench::on("day=*/in", &[], options());
    b.scratch.dir("day=1/in");
    b.write("day=1/in/before", "before", -1);
    b.batch(&[]);
    b.scratch.dir("day=2/in");
    b.scratch.dir("other/in");
    for name in ["day=2/in/b", "day=1/in/a", "other/in/c", "day=2/d"] {
        b.write(name, name, 2);
    }
    b.write("day=3", "no directory", 2);
    b.batch(&["day=1/in/a", "day=2/in/b"]);
    fs::remove_dir_all(b.scratch.path("day=1")).unwrap();
    b.write("day=2/in/e", "e", 3);
    b.batch(&["e"]);
    b.counted(|c| (c.before, c.read) = (1, 3));
}
#[test]
fn a_missing_directory_is_waited_for() {
    let mut b = Bench::on("in", &[], options());
    b.batch(&[]);
    b.batch(&[]);
    b.counted(|c| c.failed_listings = 1);
    b.scratch.dir("in");
    b.write("in/a", "a", 2);
    b.batch(&["a"]);
    b.write("in-the-way", "", 2);
    fs::remove_dir_all(b.scratch.path("in")).unwrap();
    fs::rename(b.scratch.path("in-the-way"), b.scratch.path("in")).unwrap();
    b.batch(&[]);
    b.counted(|c| (c.failed_listings, c.read) = (2, 1));
}
#[test]
fn an_empty_file_is_waited_for() {
    let mut b = Bench::new(&[], options()).begun();
    b.write("a", "", 2);
    b.batch(&[]);
    b.write("a", "now", 3);
    b.batch(&["now"]);
    b.counted(|c| c.read = 1);
}
#[test]
fn what_changes_after_it_was_read_is_counted_and_not_read_again() {
    let mut b = Bench::new(&[], options()).begun();
    b.write("grows", "one\n", 2);
    b.write("replaced", "old\n", 2);
    b.batch(&["one", "old"]);
    b.scratch.append("grows", "two\n", 3);
    b.write("new", "another\n", 3);
    fs::rename(b.scratch.path("new"), b.scratch.path("replaced")).unwrap();
    b.batch(&[]);
    b.batch(&[]);
    b.counted(|c| (c.read, c.changed) = (2, 2));
}
#[test]
fn what_changes_is_read_again_as_a_whole_if_that_is_asked_for() {
    let mut b = Bench::new(&[], options().read_changed()).begun();
    b.write("a", "one\n", 2);
    b.batch(&["one"]);
    b.scratch.append("a", "two\n", 3);
    b.batch(&["one", "two"]);
    b.batch(&[]);
    b.counted(|c| c.read = 2);
}
#[test]
fn a_file_that_grows_under_its_batch_is_read_as_it_was_planned() {
    let b = Bench::new(&[], options());
    let path = b.scratch.path("a");
    between(&b.tester, move |t| {
        if second(t) == 2 {
            fs::File::options().append(true).open(&path).unwrap().write_all(b"ee\nfour").unwrap();
        }
    });
    let mut b = b.begun();
    b.write("a", "one\ntwo\nthr", 2);
    b.batch(&["one", "two", "thr"]);
    b.batch(&[]);
    b.counted(|c| (c.read, c.changed) = (1, 1));
}
#[test]
fn a_file_that_is_gone_or_cut_down_fails_its_batch_which_reads_it_when_it_is_back() {
    for cut_down in [false, true] {
        let b = Bench::new(&[], options());
        let path = b.scratch.path("a");
        between(&b.tester, move |t| {
            if second(t) == 2 {
                if cut_down { fs::write(&path, "o").unwrap() } else { fs::remove_file(&path).unwrap() }
            }
        });
        let mut b = b.begun();
        b.write("a", "one", 2);
        b.write("b", "two", 2);
        let Err(Error::Batch(failed)) = b.tester.step() else { panic!("it cannot be read") };
        let text = failed.to_string();
        for part in [b.scratch.path("a").to_str().unwrap(), "put it back", "skip the batch"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(failed.attempts, 2);
        b.write("a", "one", 2);
        b.batch(&["one", "two"]);
        b.counted(|c| c.read = 2);
    }
}
#[cfg(unix)]
#[test]
fn one_bad_file_costs_nobody_a_batch_and_is_read_once_it_is_good() {
    use std::os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener};
    let mut b = Bench::new(&[], options()).begun();
    let target = b.scratch.dir("elsewhere").join("target");
    symlink(&target, b.scratch.path("link")).unwrap();
    let _socket = UnixListener::bind(b.scratch.path("socket")).unwrap();
    fs::write(b.scratch.0.join(std::ffi::OsStr::from_bytes(b"\xff")), "x").unwrap();
    b.write("packed.xz", "?", 2);
    b.write("good", "good", 2);
    b.batch(&["good"]);
    b.batch(&[]);
    b.counted(|c| (c.read, c.refused) = (1, 4));
    b.write("elsewhere/target", "at last", 3);
    b.batch(&["at last"]);
    b.counted(|c| (c.read, c.refused) = (2, 4));
    // What was read stays read, whatever is in its place for a while.
    fs::rename(b.scratch.path("good"), b.scratch.path(".good")).unwrap();
    symlink("nowhere", b.scratch.path("good")).unwrap();
    b.batch(&[]);
    fs::rename(b.scratch.path(".good"), b.scratch.path("good")).unwrap();
    b.batch(&[]);
    b.counted(|c| (c.read, c.refused) = (2, 4));
}
#[test]
fn a_file_that_is_gone_between_its_listing_and_its_batch_is_counted_and_may_come_back() {
    use std::sync::{Arc, Mutex};
    let goes: Arc<Mutex<Option<PathBuf>>> = Arc::default();
    let going = goes.clone();
    // Asked when the first directory was listed already.
    let options = options().filter(move |path| {
        if path.ends_with("day=2/b")
            && let Some(other) = going.lock().unwrap().take()
        {
            fs::remove_file(other).unwrap();
        }
        true
    });
    let mut b = Bench::on("day=*", &[], options);
    ["day=1", "day=2"].iter().for_each(|name| drop(b.scratch.dir(name)));
    b.batch(&[]);
    b.write("day=1/a", "a", 2);
    b.write("day=2/b", "b", 2);
    *goes.lock().unwrap() = Some(b.scratch.path("day=1/a"));
    b.batch(&["b"]);
    b.counted(|c| (c.read, c.vanished) = (1, 1));
    b.write("day=1/a", "a", 3);
    b.batch(&["a"]);
}
#[test]
fn the_files_beyond_the_limit_wait_for_the_next_batch() {
    for (settings, options) in
        [(&[][..], options().max_files(2)), (&[("spark.streaming.fileStream.maxFilesPerBatch", "2")], options())]
    {
        let mut b = Bench::new(settings, options).begun();
        ["e", "d", "c", "b", "a"].iter().for_each(|name| b.write(name, name, 2));
        b.batch(&["a", "b"]);
        b.batch(&["c", "d"]);
        b.batch(&["e"]);
    }
}
#[test]
fn many_small_files_share_partitions() {
    let (scratch, mut tester) = (Scratch::new(), tester(&[]));
    let lines = tester.context().text_file_stream(&scratch.0);
    let (tell, heard) = std::sync::mpsc::channel();
    lines.foreach_rdd(move |rdd, _| {
        tell.send((rdd.num_partitions()?, rdd.count()?))?;
        Ok(())
    });
    tester.step().unwrap();
    assert_eq!(next(&heard), (0, 0));
    (0..300).for_each(|i| scratch.write(&i.to_string(), "one\ntwo\n", 2));
    tester.step().unwrap();
    let (partitions, lines) = next(&heard);
    assert!((1..=4).contains(&partitions), "{partitions}");
    assert_eq!(lines, 600);
}
#[test]
fn what_is_there_is_read_once_and_then_the_stream_ends() {
    let scratch = Scratch::new();
    ["a", "b", "c"].iter().for_each(|name| scratch.write(name, name, -100_000));
    let (clock, ssc) = manual(&[]);
    let options = options().once().max_files(2);
    let heard = send(&ssc.text_file_stream_with(&scratch.0, options).map(String::from));
    ssc.start().unwrap();
    clock.set(at(1));
    assert_eq!(next(&heard), (at(1), vec!["a".into(), "b".into()]));
    scratch.write("d", "too late", 1);
    clock.set(at(2));
    assert_eq!(next(&heard), (at(2), vec!["c".into()]));
    ssc.await_termination().unwrap();
    assert_eq!(ssc.state(), StreamingState::Stopped);
}
#[test]
fn what_cannot_be_a_file_stream_is_refused_by_start() {
    let scratch = Scratch::new();
    let (_, ssc) = manual(&[]);
    ssc.text_file_stream_with(scratch.path("missing"), options().once()).print();
    let error = ssc.start().unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains("create it"), "{error}");
    let (_, ssc) = manual(&[("spark.streaming.fileStream.maxFilesPerBatch", "10")]);
    ssc.text_file_stream("a/**b").print();
    ssc.binary_records_stream(&scratch.0, 0).map(|r| r.len()).print();
    let Err(Error::Graph(errors)) = ssc.start() else { panic!("two mistakes") };
    assert!(errors[0].what.contains("`a/**b` cannot be the directory"), "{}", errors[0].what);
    assert!(errors[1].what.contains("must be positive"), "{}", errors[1].what);
}
#[test]
fn a_function_of_the_users_reads_files_and_its_errors_name_them() {
    let (scratch, mut tester) = (Scratch::new(), tester(&[("spark.streaming.batch.onFailure", "skip")]));
    let numbers = tester.context().file_stream(&scratch.0, options(), |file: &StreamFile| {
        let text = std::io::read_to_string(file.open()?)?;
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let modified = file.modified();
        Ok(words.into_iter().map(move |w| {
            let n: u64 = w.parse().map_err(std::io::Error::other)?;
            Ok((n, modified))
        }))
    });
    let out = tester.output(&numbers);
    tester.step().unwrap();
    for i in 0..20 {
        scratch.write(&format!("{i:02}"), &format!("{i} {i}"), 2);
    }
    tester.step().unwrap();
    let expect: Vec<_> = (0..20).flat_map(|i| [(i, at(2)); 2]).collect();
    assert_eq!(out.take(), [vec![], expect]);
    scratch.write("bad", "1 x", 3);
    let error = tester.step().unwrap_err().to_string();
    assert!(error.contains(scratch.path("bad").to_str().unwrap()) && error.contains("invalid digit"), "{error}");
    scratch.write("good", "7", 4);
    tester.step().unwrap();
    assert_eq!(out.take(), [[(7, at(4))]]);
}
#[test]
fn binary_records_have_one_length() {
    let (scratch, mut tester) = (Scratch::new(), tester(&[]));
    let out = tester.output(&tester.context().binary_records_stream(&scratch.0, 3));
    tester.step().unwrap();
    scratch.write("a", "abcdef", 2);
    scratch.write("b", "ghi", 2);
    tester.step().unwrap();
    assert_eq!(out.take(), [vec![], vec![b"abc".to_vec(), b"def".to_vec(), b"ghi".to_vec()]]);
    scratch.write("c", "abcd", 3);
    let error = tester.step().unwrap_err().to_string();
    assert!(error.contains("4 bytes are no whole number of records of 3"), "{error}");
}
#[test]
fn a_batch_says_which_files_it_has_and_what_it_leaves_out() {
    let (scratch, mut tester) = (Scratch::new(), tester(&[]));
    let diary = Diary::default();
    tester.context().set_batch_log(diary.log());
    let lines = tester.context().text_file_stream(&scratch.0);
    let _out = tester.output(&lines);
    tester.step().unwrap();
    diary.take();
    scratch.write("a", "a", 2);
    scratch.write("b", "b", -100);
    tester.step().unwrap();
    let planned = diary.take().remove(0);
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    for part in ["1 file(s)", a.to_str().unwrap(), "older than the stream looks back: 1", b.to_str().unwrap()] {
        assert!(planned.contains(part), "{part}: {planned}");
    }
}
#[test]
fn packed_files_are_unpacked() {
    use winterbourne_engine::{Codec, Encoder};
    // The bytes of "zip\nped\n" in gzip.
    let packed =
        [31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 171, 202, 44, 224, 42, 72, 77, 225, 2, 0, 141, 160, 105, 195, 8, 0, 0, 0];
    let mut b = Bench::new(&[], options()).begun();
    fs::write(b.scratch.path("a.gz"), packed).unwrap();
    b.scratch.touch("a.gz", 2);
    b.batch(&["zip", "ped"]);
    for codec in [Codec::Zstd, Codec::Bzip2, Codec::Lz4, Codec::Snappy, Codec::SnappyFramed, Codec::Zlib] {
        let mut packed = Encoder::new(Some(codec), Vec::new());
        packed.write_all(codec.to_string().as_bytes()).unwrap();
        let name = format!("b.{}", codec.ending());
        fs::write(b.scratch.path(&name), packed.finish().unwrap()).unwrap();
        b.scratch.touch(&name, 2);
        b.batch(&[&codec.to_string()]);
    }
}
