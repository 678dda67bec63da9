//! Files that span the batches of a period: what is in which and seen when, and that a kill at any moment costs nothing.
mod common;

use common::{files::*, *};
use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};
use winterbourne_base::Time;
use winterbourne_engine::{BoxError, Codec, Data, SparkContext};
use winterbourne_streaming::{DStream, FileSink, Recovered, Sink, SinkPlace, SinkWriter, milliseconds, seconds};
use winterbourne_testkit::{ProgramTester, TestInput, check_sink};

fn lines(directory: &str) -> FileSink<u64> {
    FileSink::new(directory, |n: &u64| Ok(n.to_string()))
}
/// What readers see, by path below the directory, lines side by side. Times are seconds since the test began.
fn shown(directory: &str) -> Vec<String> {
    let below = |path: PathBuf| path.strip_prefix(directory).expect("below it").display().to_string();
    let start = at(0).as_millis() / 1000;
    let short =
        |name: String| (0..100).rev().fold(name, |n, s| n.replace(&format!("{}000-", start + s), &format!("{s}-")));
    let all = seen(Path::new(directory)).into_iter();
    all.map(|(path, text)| format!("{}: {}", short(below(path)), text.trim_end().replace('\n', " "))).collect()
}
/// What a reader will see when all periods are over.
fn committed(directory: &str) -> Vec<u64> {
    let open = fs::read_dir(directory).into_iter().flatten().map(|e| e.expect("an entry").path().join("open"));
    let open: Vec<_> = open.filter(|p| p.is_dir()).flat_map(|p| seen(&p)).collect();
    let all: Vec<_> = seen(Path::new(directory)).into_iter().chain(open).collect();
    sorted(all.iter().flat_map(|(_, text)| text.lines()))
}

#[test]
fn the_batches_of_a_period_are_one_file_in_each_directory() {
    let dir = TempDir::new();
    let out = dir.at("out");
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    stream.write_to("out", lines(&out).partition_by("odd", |n| n % 2).roll_every(seconds(3)));
    let feed = feed.partitions(2);
    for n in 1..=5 {
        feed.push([10 * n, 10 * n + 1]);
    }
    tester.steps(2).expect("good batches");
    assert_eq!(shown(&out), [""; 0], "the period is not over");
    tester.steps(1).expect("a good batch");
    let first = ["odd=0/1-0.txt: 10 20", "odd=1/1-0.txt: 11 21"];
    assert_eq!(shown(&out), first);
    tester.steps(2).expect("good batches");
    assert_eq!(shown(&out), first);
    // Also batches without a record end a period.
    tester.steps(1).expect("a good batch");
    let second = ["odd=0/3-0.txt: 30 40 50", "odd=1/3-0.txt: 31 41 51"];
    assert_eq!(shown(&out), [first[0], second[0], first[1], second[1]]);
}

#[test]
fn a_stop_shows_what_there_is() {
    let dir = TempDir::new();
    let out = dir.at("out");
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    stream.write_to("out", lines(&out).roll_every(seconds(60)));
    (1..=3).for_each(|n| feed.push([n]));
    tester.steps(3).expect("good batches");
    assert_eq!(shown(&out), [""; 0]);
    drop(tester);
    assert_eq!(shown(&out), ["1-0.txt: 1 2 3"]);
}

#[test]
fn a_file_that_is_full_is_shown_before_its_period_is_over() {
    let dir = TempDir::new();
    let out = dir.at("out");
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    stream.write_to("out", lines(&out).roll_every(seconds(60)).roll_after(5));
    let feed = feed.partitions(1);
    for n in [1..=2_u64, 3..=3, 4..=4, 10..=14, 15..=15] {
        feed.push(n);
    }
    tester.steps(2).expect("good batches");
    assert_eq!(shown(&out), ["1-0.txt: 1 2 3"], "three lines of two bytes");
    tester.steps(1).expect("a good batch");
    assert_eq!(shown(&out).len(), 1);
    // The files of a batch are of that size too: six bytes, six, and three.
    tester.steps(1).expect("a good batch");
    assert_eq!(shown(&out), ["1-0.txt: 1 2 3", "3-0.txt: 4 10 11", "4-0.txt: 12 13"]);
    tester.steps(1).expect("a good batch");
    assert_eq!(shown(&out)[3..], ["4-1.txt: 14 15"]);
}

#[test]
fn a_file_of_many_batches_has_one_header() {
    for codec in [None, Some(Codec::Gzip), Some(Codec::Zstd)] {
        let dir = TempDir::new();
        let out = dir.at("out");
        let mut tester = tester(&[]);
        let (feed, stream) = tester.input::<(u64, String)>();
        let mut sink = FileSink::csv(&out).roll_every(seconds(3));
        if let Some(codec) = codec {
            sink = sink.compress(codec);
        }
        stream.write_to("out", sink);
        let feed = feed.partitions(3);
        feed.push([(1, "a".into()), (2, "b".into()), (3, "c,d".into())]);
        feed.push([(4, String::new())]);
        feed.push([(5, "e".into())]);
        tester.steps(3).expect("good batches");
        let ending = codec.map_or(String::new(), |c| format!(".{}", c.ending()));
        assert_eq!(shown(&out), [format!("1-0.csv{ending}: _1,_2 1,a 2,b 3,\"c,d\" 4,\"\"")]);
        drop(tester);
        assert_eq!(shown(&out)[1..], [format!("3-0.csv{ending}: _1,_2 5,e")]);
    }
}

#[test]
fn the_contract_holds_for_what_will_be_seen() {
    let dir = TempDir::new();
    let all = |name: &str| (dir.at(name), dir.at(name));
    let (out, read) = all("out");
    check_sink(|| lines(&out).roll_every(seconds(4)), || committed(&read));
    let (out, read) = all("rolled");
    check_sink(|| lines(&out).roll_every(seconds(60)).roll_after(9), || committed(&read));
    let (out, read) = all("split");
    check_sink(|| lines(&out).below(|n| format!("by/{}", n % 3)).roll_every(seconds(2)), || committed(&read));
    let (out, read) = all("packed");
    check_sink(|| lines(&out).compress(Codec::Gzip).roll_every(milliseconds(1)), || committed(&read));
}

#[test]
fn a_batch_that_was_set_aside_has_a_file_of_its_own() {
    let dir = TempDir::new();
    let out = dir.at("out");
    let mut tester = tester(&[("spark.streaming.batch.onFailure", "skip"), ("spark.streaming.batch.maxAttempts", "1")]);
    let (feed, stream) = tester.input::<u64>();
    let broken = AtomicBool::new(true);
    let careful = stream.map(move |n| {
        assert!(n != 2 || !broken.swap(false, Relaxed), "not yet");
        n
    });
    careful.write_to("out", lines(&out).roll_every(seconds(3)));
    (1..=6).for_each(|n| feed.push([n]));
    tester.steps(1).expect("a good batch");
    tester.step().expect_err("the second one fails");
    tester.run().skip_failed();
    tester.steps(2).expect("good batches");
    assert_eq!(shown(&out), ["1-0.txt: 1"]);
    assert!(tester.run().rerun(at(2)).expect("it runs now"));
    tester.steps(1).expect("a good batch");
    assert_eq!(shown(&out), ["1-0.txt: 1", "2-0.txt: 2"]);
    drop(tester);
    assert_eq!(shown(&out), ["1-0.txt: 1", "2-0.txt: 2", "3-0.txt: 3 4 5"]);
}

#[test]
fn no_file_of_a_period_replaces_another() {
    let dir = TempDir::new();
    let out = dir.at("out");
    let settings = [("spark.streaming.batch.maxAttempts", "1")];
    let mut tester = tester(&settings);
    let (feed, stream) = tester.input::<u64>();
    stream.write_to("out", lines(&out).roll_every(seconds(2)));
    let theirs = Path::new(&out).join(format!("{}-0.txt", at(2).as_millis()));
    (1..=4).for_each(|n| feed.push([n]));
    tester.steps(1).expect("a good batch");
    fs::write(&theirs, "7\n").expect("written");
    let error = tester.step().expect_err("its place is taken").to_string();
    assert!(error.contains("-0.txt already") && error.contains("move that file away"), "{error}");
    assert_eq!(shown(&out), ["1-0.txt: 1", "2-0.txt: 7"]);
    fs::remove_file(&theirs).expect("removed");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", &theirs).expect("a link to nothing");
        tester.step().expect_err("its place is taken by that too");
        fs::remove_file(&theirs).expect("it is still there");
    }
    tester.steps(3).expect("good batches");
    assert_eq!(shown(&out), ["1-0.txt: 1", "2-0.txt: 2 3"]);
}

#[test]
#[should_panic(expected = "every 0 ms")]
fn a_period_is_some_time() {
    let _ = lines("out").roll_every(seconds(0));
}

/// A sink and what it is called, by hand.
struct Hand {
    sc: SparkContext,
    out: String,
}
impl Hand {
    fn sink(&self) -> FileSink<u64> {
        self.open(lines(&self.out).roll_every(seconds(10)))
    }
    fn open(&self, mut sink: FileSink<u64>) -> FileSink<u64> {
        sink.open(&SinkPlace::new("test", "sink", seconds(1))).expect("it opens");
        sink
    }
    fn commit(&self, sink: &mut FileSink<u64>, batch: Time, numbers: std::ops::Range<u64>) -> Result<(), BoxError> {
        let (writer, rdd) = (sink.begin(batch).expect("a batch"), self.sc.range(numbers, 2));
        let staged = self.sc.run_job(&rdd, vec![0, 1], move |p, flow, _| Ok(writer.stage(p, flow.records())?));
        sink.commit(batch, staged.expect("staged"))
    }
}

/// However much of a batch was added to the file of the period when the process was killed, the next one has all of it
/// there, once.
#[test]
fn a_batch_that_was_half_gathered_is_gathered_again() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    let mut first = hand.sink();
    hand.commit(&mut first, at(1), 10..14).expect("committed");
    let base = Path::new(&hand.out).join("_sink-sink");
    // Its note cannot be written, so that is where it ends.
    fs::create_dir(base.join("last.new")).expect("made");
    hand.commit(&mut first, at(2), 20..24).expect_err("the note fails");
    drop(first);
    fs::remove_dir(base.join("last.new")).expect("removed");
    let killed = dir.copy(&hand.out, "killed");
    // Four lines of three bytes were there, and four came.
    for len in (11..=24).chain([30]) {
        let _ = fs::remove_dir_all(&hand.out);
        dir.copy(&killed, "out");
        let file = base.join(format!("open/{}/{}-0.txt", at(10).as_millis(), at(1).as_millis()));
        let file = OpenOptions::new().write(true).open(file).expect("the open file");
        file.set_len(len).expect("cut");
        let mut second = lines(&hand.out).roll_every(seconds(10));
        let opened = second.open(&SinkPlace::new("test", "sink", seconds(1)));
        if len < 12 {
            let error = opened.expect_err("bytes of another batch are gone").to_string();
            assert!(error.contains("has 11 bytes, and had 12 when the batch was committed"), "{error}");
            continue;
        }
        opened.expect("it opens");
        assert_eq!(second.recover(at(2)).expect("an answer"), Recovered::Committed);
        assert_eq!(fs::read_dir(base.join("committed")).expect("a directory").count(), 0);
        hand.commit(&mut second, at(3), 30..31).expect("committed");
        assert_eq!(shown(&hand.out), [""; 0]);
        hand.commit(&mut second, at(10), 40..41).expect("committed");
        assert_eq!(shown(&hand.out), ["1-0.txt: 10 11 12 13 20 21 22 23 30"], "{len} bytes were there");
    }
}

/// A close does not show a file that lacks part of what was committed.
#[test]
fn a_stop_gathers_first_what_was_committed() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    let mut sink = hand.sink();
    let base = Path::new(&hand.out).join("_sink-sink");
    fs::create_dir(base.join("last.new")).expect("made");
    hand.commit(&mut sink, at(1), 1..5).expect_err("the note fails");
    sink.close().expect_err("it still does");
    assert_eq!(shown(&hand.out), [""; 0]);
    fs::remove_dir(base.join("last.new")).expect("removed");
    sink.close().expect("closed");
    assert_eq!(shown(&hand.out), ["1-0.txt: 1 2 3 4"]);
}

#[test]
fn another_period_or_none_loses_nothing() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    hand.commit(&mut hand.sink(), at(1), 1..3).expect("committed");
    // The files of a longer period are shown when it is over, whatever the period is now.
    let mut shorter = hand.open(lines(&hand.out).roll_every(seconds(2)));
    hand.commit(&mut shorter, at(2), 3..5).expect("committed");
    hand.commit(&mut shorter, at(4), 5..7).expect("committed");
    assert_eq!(shown(&hand.out), ["2-0.txt: 3 4"]);
    hand.commit(&mut shorter, at(11), 7..9).expect("committed");
    assert_eq!(shown(&hand.out), ["1-0.txt: 1 2", "2-0.txt: 3 4", "4-0.txt: 5 6"]);
    // Files with another ending are not gone on with.
    drop(shorter);
    let mut other = hand.open(lines(&hand.out).ending("log").roll_every(seconds(2)));
    hand.commit(&mut other, at(11) + milliseconds(500), 9..11).expect("committed");
    drop(other);
    // And what was gathered by a program that gathers no more is shown at once.
    hand.open(lines(&hand.out));
    let log = format!("{}-0.log: 9 10", at(11).as_millis() + 500);
    assert_eq!(shown(&hand.out), ["1-0.txt: 1 2", "2-0.txt: 3 4", "4-0.txt: 5 6", "11-0.txt: 7 8", &log]);
}

/// One of several full files has no place. The others are seen already when it has one.
#[test]
fn full_files_are_shown_once_each_although_one_was_in_the_way() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    let mut sink = lines(&hand.out).partition_by("odd", |n| n % 2).roll_every(seconds(60)).roll_after(6);
    sink = hand.open(sink);
    hand.commit(&mut sink, at(1), 10..12).expect("committed");
    let odd = Path::new(&hand.out).join("odd=1");
    let theirs = odd.join(format!("{}-0.txt", at(1).as_millis()));
    fs::create_dir_all(odd).expect("made");
    fs::write(&theirs, "7\n").expect("written");
    let error = hand.commit(&mut sink, at(2), 12..14).expect_err("its place is taken").to_string();
    assert!(error.contains("odd=1/"), "{error}");
    assert_eq!(sink.recover(at(2)).expect("an answer"), Recovered::Committed);
    let error = hand.commit(&mut sink, at(3), 14..16).expect_err("it still is").to_string();
    assert!(error.contains("odd=1/"), "not the one that is its own: {error}");
    assert_eq!(shown(&hand.out), ["odd=0/1-0.txt: 10 12", "odd=1/1-0.txt: 7"]);
    fs::remove_file(theirs).expect("removed");
    hand.commit(&mut sink, at(3), 14..16).expect("committed");
    assert_eq!(shown(&hand.out), ["odd=0/1-0.txt: 10 12", "odd=1/1-0.txt: 11 13"]);
}

#[test]
fn a_file_that_a_commit_in_doubt_has_filled_is_shown_with_the_next_one() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    let mut sink = hand.open(lines(&hand.out).roll_every(seconds(60)).roll_after(6));
    hand.commit(&mut sink, at(1), 10..11).expect("committed");
    let in_the_way = Path::new(&hand.out).join("_sink-sink/last.new");
    fs::create_dir(&in_the_way).expect("made");
    hand.commit(&mut sink, at(2), 11..12).expect_err("the note fails");
    fs::remove_dir(in_the_way).expect("removed");
    assert_eq!(sink.recover(at(2)).expect("an answer"), Recovered::Committed);
    hand.commit(&mut sink, at(3), 12..13).expect("committed");
    assert_eq!(shown(&hand.out), ["1-0.txt: 10 11"]);
}

/// A program is killed, and the one that follows has other columns.
#[test]
fn rows_do_not_come_under_the_header_of_others() {
    fn sink<T: Data + serde::Serialize>(out: &str, codec: Option<Codec>) -> FileSink<T> {
        let sink = FileSink::csv(out).roll_every(seconds(60));
        if let Some(codec) = codec { sink.compress(codec) } else { sink }
    }
    for codec in [None, Some(Codec::Gzip)] {
        let dir = TempDir::new();
        let out = dir.at("out");
        let feed = TestInput::<u64>::new();
        let (numbers, to) = (feed.clone(), out.clone());
        let mut tester = ProgramTester::new(seconds(1), move |ssc| {
            numbers.stream(ssc, "numbers").map(|n| (n, n + 1)).write_to("out", sink(&to, codec));
        });
        [1, 3, 6].into_iter().for_each(|n| feed.push([n]));
        tester.step().expect("a good batch");
        tester.kill();
        let (numbers, to) = (feed.clone(), out.clone());
        tester.set_program(move |ssc| {
            numbers.stream(ssc, "numbers").map(|n| (n, n + 1, n + 2)).write_to("out", sink(&to, codec));
        });
        while tester.step().expect("a good batch") < at(3) {}
        tester.stop();
        let ending = codec.map_or(String::new(), |c| format!(".{}", c.ending()));
        let expect = [format!("1-0.csv{ending}: _1,_2 1,2"), format!("2-0.csv{ending}: _1,_2,_3 3,4,5 6,7,8")];
        assert_eq!(shown(&out), expect);
    }
}

/// Without a checkpoint directory nobody knows which times there were, and a clock may be set back.
#[test]
fn a_time_that_comes_twice_costs_no_record() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    let open = || hand.open(lines(&hand.out).roll_every(seconds(60)).roll_after(6));
    hand.commit(&mut open(), at(5), 10..11).expect("committed");
    let mut second = open();
    hand.commit(&mut second, at(5), 20..24).expect("committed");
    assert_eq!(shown(&hand.out), ["5-0.txt: 10 20 21", "5-1.txt: 22 23"]);
    hand.commit(&mut second, at(3), 30..31).expect("committed");
    second.close().expect("closed");
    assert_eq!(shown(&hand.out)[..1], ["3-0.txt: 30"]);
}

#[test]
fn a_task_that_was_tried_again_leaves_nothing_of_its_first_attempt() {
    let dir = TempDir::new();
    let out = dir.at("out");
    let mut tester = tester(&[("spark.master", "local[2,2]")]);
    let (feed, stream) = tester.input::<u64>();
    tried_twice(&stream).write_to("out", lines(&out).roll_every(seconds(2)).roll_after(9_999));
    feed.partitions(1).push(0..5_000);
    tester.steps(2).expect("good batches");
    assert_eq!(shown(&out), ["1-0.txt: 4998 4999"]);
}

/// What was committed is not taken for whole when a part of it is gone.
#[test]
fn a_committed_batch_that_is_cut_short_is_refused() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    let mut first = hand.sink();
    let base = Path::new(&hand.out).join("_sink-sink");
    fs::create_dir(base.join("last.new")).expect("made");
    hand.commit(&mut first, at(1), 10..14).expect_err("the note fails");
    drop(first);
    fs::remove_dir(base.join("last.new")).expect("removed");
    let mut second = lines(&hand.out).roll_every(seconds(10));
    let mut open = || second.open(&SinkPlace::new("test", "sink", seconds(1)));
    let batch = base.join("committed").join(at(1).as_millis().to_string());
    let file = batch.join(format!("{}-00001-0.txt", at(1).as_millis()));
    fs::write(&file, "12\n").expect("cut");
    let error = open().expect_err("a line is gone").to_string();
    assert!(error.contains("00001-0.txt ends after 3 of 6 bytes"), "{error}");
    fs::write(file, "12\n13\n").expect("put back");
    fs::write(batch.join("_plan"), "?").expect("damaged");
    let error = open().expect_err("there is no such plan").to_string();
    assert!(error.contains("/_plan: "), "{error}");
}

#[test]
fn what_was_staged_by_a_process_that_was_killed_is_thrown_away() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    let writer = hand.sink().begin(at(1)).expect("a batch");
    let staged =
        hand.sc.run_job(&hand.sc.range(0..4, 1), vec![0], move |p, flow, _| Ok(writer.stage(p, flow.records())?));
    let staged = staged.expect("staged").concat();
    assert!(staged.iter().all(|file| file.path().exists()));
    let mut sink = hand.sink();
    assert!(staged.iter().all(|file| !file.path().exists()));
    sink.close().expect("closed");
    assert_eq!(shown(&hand.out), [""; 0]);
}

#[cfg(unix)]
#[test]
fn names_may_be_anything() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    for (i, ending) in ["a-b", "x.y", "7", "0-0.txt"].into_iter().enumerate() {
        let out = Path::new(&hand.out).join(std::ffi::OsStr::from_bytes(&[b'a' + i as u8, 0xff]));
        let open = || {
            let sink = FileSink::new(&out, |n: &u64| Ok(n.to_string())).below(|_| "ö 1-0.txt".into());
            hand.open(sink.ending(ending).roll_every(seconds(60)))
        };
        hand.commit(&mut open(), at(1), 1..3).expect("committed");
        let mut second = open();
        hand.commit(&mut second, at(2), 3..5).expect("committed");
        second.close().expect("closed");
        let name = out.join(format!("ö 1-0.txt/{}-0.{ending}", at(1).as_millis()));
        assert_eq!(seen(&out), [(name, "1\n2\n3\n4\n".to_owned())]);
    }
}

#[test]
fn a_file_goes_on_after_kills() {
    let (dir, feed) = (TempDir::new(), TestInput::<u64>::new());
    let (out, numbers) = (dir.at("out"), feed.clone());
    let to = out.clone();
    let mut tester = ProgramTester::new(seconds(1), move |ssc| {
        numbers.stream(ssc, "numbers").write_to("out", lines(&to).roll_every(seconds(5)));
    });
    (1..=7).for_each(|n| feed.push([n]));
    tester.step().expect("a good batch");
    for n in 2..=7 {
        tester.kill();
        // The last batch is run again, because its completion was not durable yet, and then a new one.
        assert_eq!(tester.step().expect("a good batch"), at(n - 1));
        assert_eq!(committed(&out), (1..n).collect::<Vec<_>>());
        assert_eq!(tester.step().expect("a good batch"), at(n));
    }
    assert_eq!(shown(&out), ["1-0.txt: 1 2 3 4"]);
    tester.stop();
    assert_eq!(shown(&out), ["1-0.txt: 1 2 3 4", "5-0.txt: 5 6 7"]);
}

/// A stream that has no RDD in a batch, as that of a quiet file.
#[test]
fn a_period_also_ends_while_nothing_comes() {
    let (dir, tape) = (TempDir::new(), Tape::default());
    let (out, (clock, ssc)) = (dir.at("out"), manual(&[]));
    let stream: DStream<u64> = ssc.input_stream("tape", tape.input());
    stream.write_to("out", lines(&out).roll_every(seconds(3)));
    [1, 2].into_iter().for_each(|n| tape.push([n]));
    let mut run = ssc.start_stepped().expect("a start");
    for _ in 1..=2 {
        clock.set(run.next_time());
        run.step().expect("a good batch");
    }
    assert_eq!(shown(&out), [""; 0]);
    clock.set(run.next_time());
    run.step().expect("a good batch");
    assert_eq!(shown(&out), ["1-0.txt: 1 2"]);
}

#[test]
fn what_others_put_among_open_files_is_left_alone() {
    let dir = TempDir::new();
    let hand = Hand { sc: spark(&[]), out: dir.at("out") };
    let open = Path::new(&hand.out).join("_sink-sink/open");
    fs::create_dir_all(open.join("notes")).expect("made");
    fs::write(open.join(".DS_Store"), "desktop").expect("written");
    let mut sink = hand.open(lines(&hand.out).roll_every(seconds(2)).roll_after(4));
    hand.commit(&mut sink, at(1), 1..4).expect("committed");
    hand.commit(&mut sink, at(2), 4..5).expect("committed");
    sink.close().expect("closed");
    assert_eq!(shown(&hand.out), ["1-0.txt: 1 2 3", "2-0.txt: 4"]);
    assert!(open.join("notes").is_dir() && open.join(".DS_Store").is_file());
}
