//! Files that are followed: lines as they are appended, rotation, kills and restarts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::PathBuf,
};
use winterbourne_base::{SparkConf, scratch};
use winterbourne_streaming::seconds;
use winterbourne_testkit::{ProgramTester, TestFault, TestOutput};

/// A directory with a log that is written to.
struct Log(PathBuf);
impl Log {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(scratch::unique());
        fs::create_dir_all(&dir).unwrap();
        Log(dir)
    }
    fn path(&self) -> PathBuf {
        self.0.join("app.log")
    }
    fn append(&self, text: &str) {
        self.append_to("app.log", text);
    }
    fn append_to(&self, name: &str, text: &str) {
        let mut file = File::options().append(true).create(true).open(self.0.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
    fn rotate(&self, to: &str) {
        fs::rename(self.path(), self.0.join(to)).unwrap();
    }
}
impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that follows the log.
struct Follower {
    log: Log,
    tester: ProgramTester,
    out: TestOutput<String>,
    fault: TestFault,
}
impl Follower {
    fn new(from_start: bool) -> Self {
        let (log, out, fault) = (Log::new(), TestOutput::new(), TestFault::new());
        let (path, to, through) = (log.path(), out.clone(), fault.clone());
        let tester = ProgramTester::new(seconds(1), move |ssc| {
            let lines = match from_start {
                true => ssc.file_tail_stream_from_start(&path),
                false => ssc.file_tail_stream(&path),
            };
            to.collect(&through.through(&lines.map(String::from)));
        });
        Follower { log, tester, out, fault }
    }
    /// The lines of the next batch.
    fn batch(&mut self) -> Vec<String> {
        let time = self.tester.step().unwrap();
        self.out.take_timed().into_iter().rfind(|(t, _)| *t == time).map(|(_, lines)| lines).unwrap_or_default()
    }
}

#[test]
fn lines_come_when_they_are_whole() {
    let mut f = Follower::new(false);
    f.log.append("before\nbegun ");
    f.tester.start().unwrap();
    f.log.append("early\none\r\n\ntwo\nth");
    assert_eq!(f.batch(), ["begun early", "one", "", "two"]);
    assert_eq!(f.batch(), [""; 0]);
    f.log.append("ree\n");
    assert_eq!(f.batch(), ["three"]);
}
#[test]
fn a_file_is_read_from_its_start_if_asked_or_if_it_comes_later() {
    let mut f = Follower::new(true);
    f.log.append("a\nb\n");
    assert_eq!(f.batch(), ["a", "b"]);
    let mut f = Follower::new(false);
    assert_eq!(f.batch(), [""; 0]);
    f.log.append("a\n");
    assert_eq!(f.batch(), ["a"]);
}
#[test]
fn what_is_left_of_a_renamed_file_comes_before_the_next_one() {
    let mut f = Follower::new(true);
    f.log.append("1\n");
    assert_eq!(f.batch(), ["1"]);
    f.log.append("2\n");
    f.log.rotate("app.log.1");
    f.log.append("4\n");
    assert_eq!(f.batch(), ["2"], "the old file may still get lines");
    f.log.append_to("app.log.1", "late\nthe end");
    assert_eq!(f.batch(), ["late"]);
    assert_eq!(f.batch(), ["the end", "4"]);
    f.log.append("5\n");
    assert_eq!(f.batch(), ["5"]);
    // Removed, and made again.
    fs::remove_file(f.log.path()).unwrap();
    assert_eq!(f.batch(), [""; 0]);
    f.log.append("6\n");
    assert_eq!((f.batch(), f.batch()), (vec![], vec!["6".to_string()]));
}
#[test]
fn a_file_that_was_cut_down_is_read_again() {
    let mut f = Follower::new(true);
    f.log.append("one\ntwo\n");
    assert_eq!(f.batch(), ["one", "two"]);
    fs::write(f.log.path(), "new\n").unwrap();
    assert_eq!(f.batch(), ["new"]);
}
#[test]
fn a_batch_that_fails_reads_the_same_lines_though_the_file_was_renamed_and_removed() {
    let mut f = Follower::new(true);
    f.log.append("one\ntwo\n");
    f.fault.fail(0, 2 * 4);
    f.tester.step().unwrap_err();
    f.log.append("three\n");
    fs::remove_file(f.log.path()).unwrap();
    f.fault.clear();
    assert_eq!(f.batch(), ["one", "two"]);
    assert_eq!(f.batch(), ["three"], "nobody else can read that any more");
}
#[test]
fn a_batch_takes_as_many_lines_as_it_may_and_the_rest_follows() {
    let mut f = Follower::new(true);
    f.tester.set_conf(SparkConf::empty().set_master("local[2]").set("spark.streaming.batch.maxRecords", "2"));
    f.log.append("1\n2\n3\n4\n5\n");
    assert_eq!([f.batch(), f.batch(), f.batch(), f.batch()].map(|b| b.concat()), ["12", "34", "5", ""]);
}
#[test]
fn a_restart_goes_on_behind_the_last_line_wherever_the_file_is_now() {
    let mut f = Follower::new(false);
    f.log.append("before\n");
    f.tester.start().unwrap();
    f.log.append("1\n2\n");
    assert_eq!(f.batch(), ["1", "2"]);
    f.tester.stop();
    f.log.append("3\n");
    f.log.rotate("app.log.1");
    f.log.append("4\n");
    assert_eq!(f.batch(), ["3"]);
    assert_eq!(f.batch(), ["4"]);
    // Gone, with a line that nobody read: the new file is followed, and it is said.
    f.tester.stop();
    f.log.append("lost\n");
    fs::remove_file(f.log.path()).unwrap();
    fs::remove_file(f.log.0.join("app.log.1")).unwrap();
    f.log.append("a longer line than all before\n");
    assert_eq!(f.batch(), ["a longer line than all before"]);
}
#[test]
fn what_cannot_be_followed_is_refused_with_its_name() {
    let dir = Log::new();
    let path = dir.0.clone();
    let mut tester = ProgramTester::new(seconds(1), move |ssc| ssc.file_tail_stream(&path).print());
    let error = tester.step().unwrap_err().to_string();
    assert!(error.contains(dir.0.to_str().unwrap()) && error.contains("it is a directory"), "{error}");
}

/// What happens between two batches.
#[derive(Clone, Debug)]
enum Event {
    Lines(usize),
    HalfALine,
    Rotate,
    Kill,
    Stop,
    Fail,
}
proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn each_line_is_in_one_batch_in_order(events in prop::collection::vec(prop_oneof![
        4 => (1usize..5).prop_map(Event::Lines),
        1 => Just(Event::HalfALine),
        2 => Just(Event::Rotate),
        1 => Just(Event::Kill),
        1 => Just(Event::Stop),
        1 => Just(Event::Fail),
    ], 1..30)) {
        let mut f = Follower::new(true);
        let (mut written, mut rotated) = (0, 0);
        // The newest file's last line lacks its end.
        let mut half = false;
        for event in events {
            match event {
                Event::Lines(n) => {
                    if std::mem::take(&mut half) {
                        f.log.append("\n");
                    }
                    for _ in 0..n {
                        f.log.append(&format!("{written}\n"));
                        written += 1;
                    }
                }
                Event::HalfALine => {
                    f.log.append(&format!("{}{written}", if half { "\n" } else { "" }));
                    written += 1;
                    half = true;
                }
                // Once between two batches that see it.
                Event::Rotate if f.log.path().exists() => {
                    rotated += 1;
                    half = false;
                    f.log.rotate(&format!("app.log.{rotated}"));
                    f.log.append(&format!("{written}\n"));
                    written += 1;
                    f.tester.steps(2).unwrap();
                }
                Event::Rotate => {}
                Event::Kill => f.tester.kill(),
                Event::Stop => f.tester.stop(),
                // One that met nothing is over: two in a row are too many for a batch.
                Event::Fail => {
                    f.fault.clear();
                    f.fault.fail(0, 1);
                }
            }
            f.tester.step().unwrap();
        }
        if half {
            f.log.append("\n");
        }
        f.tester.steps(3).unwrap();
        // A batch that ran again after a kill told the same.
        let batches: BTreeMap<_, _> = f.out.take_timed().into_iter().collect();
        let told: Vec<String> = batches.into_values().flatten().collect();
        prop_assert_eq!(told, (0..written).map(|i| i.to_string()).collect::<Vec<_>>());
    }
}
