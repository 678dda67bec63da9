//! Files of lines that come with their batch: what is in which, what readers see when, what a kill leaves.
mod common;

use common::*;
use std::{
    fs,
    path::{Path, PathBuf},
};
use winterbourne_base::{Clock, ManualClock, Time};
use winterbourne_engine::SparkContext;
use winterbourne_streaming::{DStream, FileSink, Recovered, Sink, SinkPlace, SinkWriter, StreamingContext, seconds};
use winterbourne_testkit::check_sink;

fn lines(directory: &str) -> FileSink<u64> {
    FileSink::new(directory, |n: &u64| Ok(n.to_string()))
}
/// Names and content of what readers see, sorted: they pass over names that begin with `_`.
fn seen(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"_")) {
            continue;
        }
        if path.is_dir() {
            all.extend(seen(&path));
        } else {
            let text = fs::read_to_string(&path).expect("text");
            all.push((path, text));
        }
    }
    all.sort();
    all
}
fn numbers(directory: &str) -> Vec<u64> {
    let all = seen(Path::new(directory));
    let mut numbers: Vec<u64> =
        all.iter().flat_map(|(_, text)| text.lines()).map(|l| l.parse().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn the_file_sink_keeps_the_contract() {
    let dir = TempDir::new();
    let out = dir.at("out");
    check_sink(|| lines(&out), || numbers(&out));
    check_sink(|| lines(&dir.at("rolled")).roll_after(4), || numbers(&dir.at("rolled")));
    let split = dir.at("split");
    check_sink(|| lines(&split).below(|n| format!("by/{}", n % 3)), || numbers(&split));
}

/// What one batch of numbers leaves, by path below the directory.
fn written(partitions: usize, sink: impl FnOnce(&str) -> FileSink<u64>) -> Vec<(String, String)> {
    let dir = TempDir::new();
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    stream.write_to("out", sink(&dir.at("out")));
    feed.partitions(partitions).push(0..12);
    let time = tester.step().expect("a good batch").as_millis().to_string();
    let out = PathBuf::from(dir.at("out"));
    let name = |p: PathBuf| p.strip_prefix(&out).expect("below it").display().to_string().replace(&time, "T");
    seen(&out).into_iter().map(|(p, text)| (name(p), text.replace('\n', " "))).collect()
}
#[test]
fn names_have_batch_partition_and_number() {
    let owned = |all: &[(&str, &str)]| all.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>();
    assert_eq!(written(2, lines), owned(&[("T-00000-0.txt", "0 1 2 3 4 5 "), ("T-00001-0.txt", "6 7 8 9 10 11 ")]));
    assert_eq!(
        written(1, |dir| lines(dir).roll_after(10).ending("jsonl")),
        owned(&[("T-00000-0.jsonl", "0 1 2 3 4 "), ("T-00000-1.jsonl", "5 6 7 8 9 "), ("T-00000-2.jsonl", "10 11 ")])
    );
    assert_eq!(
        written(1, |dir| lines(dir).below(|n| format!("odd={}", n % 2))),
        owned(&[("odd=0/T-00000-0.txt", "0 2 4 6 8 10 "), ("odd=1/T-00000-0.txt", "1 3 5 7 9 11 ")])
    );
}

#[test]
fn more_directories_than_files_may_be_open() {
    let dir = TempDir::new();
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    stream.write_to("out", lines(&dir.at("out")).below(|n| format!("d{}", n % 200)));
    feed.partitions(1).push(0..1000);
    tester.step().expect("a good batch");
    let all = seen(Path::new(&dir.at("out")));
    assert_eq!(all.len(), 200);
    assert!(all.iter().all(|(_, text)| text.lines().count() == 5));
    assert_eq!(numbers(&dir.at("out")), (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_record_cannot_be_written_elsewhere() {
    for below in ["../x", "/x", "a/../../x", "_hidden", ".x/y"] {
        let dir = TempDir::new();
        let mut tester = tester(&[("spark.streaming.batch.maxAttempts", "1")]);
        let (feed, stream) = tester.input::<u64>();
        stream.write_to("out", lines(&dir.at("out")).below(move |_| below.to_owned()));
        feed.push([1]);
        let error = tester.step().expect_err("it is refused").to_string();
        assert!(error.contains("is no place for a record"), "{error}");
        assert_eq!(seen(Path::new(&dir.at("."))), []);
    }
}

/// Kills between the rename that commits and the note that it was: whatever was moved by then, all of it is there after the
/// next start, once.
#[test]
fn a_commit_that_was_cut_short_is_finished_by_the_next_process() {
    let dir = TempDir::new();
    let (out, place) = (dir.at("out"), SinkPlace::new("test", "a name/with %", seconds(1)));
    let sc = SparkContext::new(conf(&[])).expect("a context");
    let (batch, records) = (at(7), sc.range(0..9, 3));
    for moved in 0..=3 {
        let _ = fs::remove_dir_all(&out);
        let mut first = lines(&out);
        first.open(&place).expect("it opens");
        let writer = first.begin(batch).expect("a batch");
        let staged = sc
            .run_job(&records, vec![0, 1, 2], move |p, flow, _| Ok(writer.stage(p, flow.records())?))
            .expect("staged");
        // What `commit` does, up to a point: one rename, and then files are moved one by one.
        let base = Path::new(&out).join("_sink-a%20name%2fwith%20%25");
        let time = batch.as_millis().to_string();
        fs::rename(base.join("staging").join(&time), base.join("committed").join(&time)).expect("committed");
        for file in staged.iter().flatten().take(moved) {
            let name = file.file_name().expect("a name");
            fs::rename(base.join("committed").join(&time).join(name), Path::new(&out).join(name)).expect("moved");
        }
        drop(first);
        let mut second = lines(&out);
        second.open(&place).expect("it opens");
        assert_eq!(numbers(&out), (0..9).collect::<Vec<_>>(), "{moved} moved before");
        assert_eq!(second.recover(batch).expect("an answer"), Recovered::Committed);
        assert_eq!(fs::read_dir(base.join("committed")).expect("a directory").count(), 0);
    }
}

#[test]
fn batches_come_once_although_the_process_is_killed_between_them() {
    let (dir, tape) = (TempDir::new(), Tape::default());
    (1..=6).for_each(|n| tape.push([n]));
    let out = dir.at("out");
    let process = |place: &str, now: Time| {
        let clock = ManualClock::new(now);
        let ssc = StreamingContext::get_or_create(place, || {
            let ssc = StreamingContext::with_clock(&SparkContext::new(conf(&[]))?, seconds(1), clock.clone())?;
            let stream: DStream<u64> = ssc.input_stream("tape", tape.input());
            stream.write_to("out", lines(&out));
            Ok(ssc)
        });
        (clock, ssc.expect("a good program").start_stepped().expect("a start"))
    };
    let mut place = dir.at("a");
    for n in 1..=5 {
        let (clock, mut run) = process(&place, at(n - 1));
        // The last batch is run again, because its completion was not durable yet, and then a new one.
        while numbers(&out).len() < n as usize {
            clock.set(run.next_time().max(clock.now()));
            run.step().expect("a good batch");
        }
        assert_eq!(numbers(&out), (1..=n).collect::<Vec<_>>());
        place = dir.copy(&place, &format!("copy-{n}"));
        std::mem::forget(run);
    }
}
