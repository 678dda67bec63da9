//! Files of lines that come with their batch: what is in which, what readers see when, what a kill leaves.
mod common;

use common::{files::*, *};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use winterbourne_base::{Clock, ManualClock, Time};
use winterbourne_engine::{Codec, SparkContext};
use winterbourne_streaming::{
    CsvOptions, DStream, FileSink, Period, Recovered, Sink, SinkPlace, SinkWriter, Stop, StreamingContext, seconds,
};
use winterbourne_testkit::check_sink;

fn lines(directory: &str) -> FileSink<u64> {
    FileSink::new(directory, |n: &u64| Ok(n.to_string()))
}
#[test]
fn no_sink_replaces_what_another_has_written() {
    let dir = TempDir::new();
    let out = dir.at("out");
    let (clock, ssc) = manual(&[("spark.streaming.batch.onFailure", "stop")]);
    let (first, stream) = queue(&ssc);
    stream.write_to("first", lines(&out));
    stream.map(|n| 10 * n).write_to("second", lines(&out));
    first.push(ssc.spark_context().range(1..4, 1));
    ssc.start().unwrap();
    clock.set(at(1));
    let error = ssc.await_termination().unwrap_err().to_string();
    assert!(error.contains("1000-00000-0.txt already") && error.contains("another directory or ending"), "{error}");
    assert_eq!(numbers(&out), [1, 2, 3], "what was there is there");
    // With other names they go together.
    let (clock, ssc) = manual(&[]);
    let (first, stream) = queue(&ssc);
    let out = dir.at("both");
    stream.write_to("first", lines(&out));
    stream.map(|n| 10 * n).write_to("second", lines(&out).ending("tens"));
    let ears = Ears::on(&ssc);
    first.push(ssc.spark_context().range(1..4, 1));
    ssc.start().unwrap();
    clock.set(at(1));
    ears.batch();
    assert_eq!(numbers(&out), [1, 2, 3, 10, 20, 30]);
    ssc.stop(Stop::now());
}
#[test]
fn one_process_at_a_time_has_a_sink() {
    let dir = TempDir::new();
    let (out, place) = (dir.at("out"), SinkPlace::new("test", "mine", seconds(1)));
    let (mut first, mut second) = (lines(&out), lines(&out));
    first.open(&place).expect("it opens");
    first.open(&place).expect("a start that failed is tried again");
    let error = second.open(&place).expect_err("somebody has it").to_string();
    assert!(error.contains("_sink-mine/lock") && error.contains("uses this directory"), "{error}");
    second.open(&SinkPlace::new("test", "other", seconds(1))).expect("sinks of other names are others");
    drop(second);
    first.close().expect("it closes");
    let mut third = lines(&out);
    third.open(&place).expect("it is free again");
    drop(third);
    lines(&out).open(&place).expect("and once more");
}
#[test]
fn the_file_sink_keeps_the_contract() {
    let dir = TempDir::new();
    let out = dir.at("out");
    check_sink(|| lines(&out), || numbers(&out));
    check_sink(|| lines(&dir.at("rolled")).roll_after(4), || numbers(&dir.at("rolled")));
    let split = dir.at("split");
    check_sink(|| lines(&split).below(|n| format!("by/{}", n % 3)), || numbers(&split));
    let json = dir.at("json");
    check_sink(|| FileSink::json(&json).partition_by("odd", |n| n % 2).by_batch_time(Period::Hour), || numbers(&json));
    let csv = dir.at("csv");
    check_sink(|| FileSink::csv_with(&csv, CsvOptions::new().without_header()), || numbers(&csv));
    let packed = dir.at("packed");
    check_sink(|| lines(&packed).compress(Codec::Gzip).below(|n| format!("{}", n % 3)), || numbers(&packed));
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

#[derive(Clone, serde::Serialize)]
struct Order {
    customer: &'static str,
    sum: Option<f64>,
    #[serde(skip)]
    at: u64,
}
/// What one batch of orders leaves, at 10:00 UTC on the first of January 2000.
fn ordered(sink: impl FnOnce(&str) -> FileSink<Order>) -> Vec<(String, String)> {
    let dir = TempDir::new();
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<Order>();
    stream.write_to("out", sink(&dir.at("out")));
    let order = |customer, sum, at| Order { customer, sum, at };
    let orders =
        [order("O'Hara, \"Ann\"", Some(2.0), 951_782_400_000), order("", None, 0), order("a/b", Some(-0.5), 59_999)];
    feed.partitions(1).push(orders);
    let time = tester.step().expect("a good batch").as_millis().to_string();
    let out = PathBuf::from(dir.at("out"));
    let name = |p: PathBuf| p.strip_prefix(&out).expect("below it").display().to_string().replace(&time, "T");
    seen(&out).into_iter().map(|(p, text)| (name(p), text)).collect()
}
fn check_orders(sink: impl FnOnce(&str) -> FileSink<Order>, expect: &[(&str, &str)]) {
    let expect: Vec<_> = expect.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    assert_eq!(ordered(sink), expect);
}
const JSON: [&str; 3] = [
    "{\"customer\":\"O'Hara, \\\"Ann\\\"\",\"sum\":2.0}\n",
    "{\"customer\":\"\",\"sum\":null}\n",
    "{\"customer\":\"a/b\",\"sum\":-0.5}\n",
];
const CSV: [&str; 3] = ["\"O'Hara, \"\"Ann\"\"\",2.0\n", "\"\",\n", "a/b,-0.5\n"];

#[test]
fn records_are_json_or_csv_by_serde() {
    check_orders(|dir| FileSink::json(dir), &[("T-00000-0.jsonl", &JSON.concat())]);
    let header = "customer,sum\n";
    check_orders(|dir| FileSink::csv(dir), &[("T-00000-0.csv", &format!("{header}{}", CSV.concat()))]);
    let [a, b, c] = CSV.map(|row| format!("{header}{row}"));
    let rolled = [("T-00000-0.csv", a.as_str()), ("T-00000-1.csv", &b), ("T-00000-2.csv", &c)];
    check_orders(|dir| FileSink::csv(dir).roll_after(1), &rolled);
    let bare = CsvOptions::new().delimiter('\t').without_header();
    let tabs = "\"O'Hara, \"\"Ann\"\"\"\t2.0\n\"\"\t\na/b\t-0.5\n";
    check_orders(|dir| FileSink::csv_with(dir, bare).ending("tsv"), &[("T-00000-0.tsv", tabs)]);
}

#[test]
fn directories_are_made_of_columns_and_times() {
    check_orders(
        |dir| FileSink::csv_with(dir, CsvOptions::new().without_header()).partition_by("c", |o: &Order| o.customer),
        &[
            ("c=O%27Hara, %22Ann%22/T-00000-0.csv", CSV[0]),
            ("c=__HIVE_DEFAULT_PARTITION__/T-00000-0.csv", CSV[1]),
            ("c=a%2Fb/T-00000-0.csv", CSV[2]),
        ],
    );
    let by_batch = |dir: &str| FileSink::json(dir).below(|_: &Order| "eu".into()).by_batch_time(Period::Hour);
    check_orders(by_batch, &[("eu/date=2000-01-01/hour=00/T-00000-0.jsonl", &JSON.concat())]);
    let by_time = |dir: &str| FileSink::json(dir).by_time(Period::Minute, |o: &Order| Time::from_millis(o.at));
    check_orders(
        by_time,
        &[
            ("date=1970-01-01/hour=00/minute=00/T-00000-0.jsonl", &JSON[1..].concat()),
            ("date=2000-02-29/hour=00/minute=00/T-00000-0.jsonl", JSON[0]),
        ],
    );
}

#[test]
fn files_may_be_packed() {
    let all = JSON.concat();
    check_orders(|dir| FileSink::json(dir).compress(Codec::Gzip), &[("T-00000-0.jsonl.gz", &all)]);
    check_orders(|dir| FileSink::json(dir).compress(Codec::Zstd), &[("T-00000-0.jsonl.zst", &all)]);
}

#[test]
fn a_record_that_is_no_row_fails_its_batch_and_is_named() {
    let dir = TempDir::new();
    let mut tester = tester(&[("spark.streaming.batch.maxAttempts", "1")]);
    let (feed, stream) = tester.input::<(u64, Vec<u64>)>();
    stream.write_to("out", FileSink::csv(dir.at("out")));
    feed.push([(1, vec![2])]);
    let error = tester.step().expect_err("a list is no column").to_string();
    assert!(error.contains("the record is no row of CSV: column _2: a list has no column of its own"), "{error}");
}

#[test]
fn a_task_that_was_tried_again_leaves_nothing_of_its_first_attempt() {
    for roll_after in [999, u64::MAX] {
        let dir = TempDir::new();
        let mut tester = tester(&[("spark.master", "local[2,2]")]);
        let (feed, stream) = tester.input::<u64>();
        tried_twice(&stream).write_to("out", lines(&dir.at("out")).roll_after(roll_after));
        feed.partitions(1).push(0..5_000);
        tester.step().expect("a good batch");
        assert_eq!(numbers(&dir.at("out")), [4_998, 4_999]);
    }
}

#[test]
fn more_directories_than_files_may_be_open() {
    let dir = TempDir::new();
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    // How many files of the sink are open, of those of the process.
    let (most, out) = (Arc::new(AtomicUsize::new(0)), fs::canonicalize(dir.at("")).expect("it is there"));
    let seen_open = most.clone();
    let counted = move |n: &u64| {
        let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let own = open.filter(|fd| fs::read_link(fd.path()).is_ok_and(|at| at.starts_with(&out))).count();
        seen_open.fetch_max(own, Relaxed);
        format!("d{}", n % 200)
    };
    stream.write_to("out", lines(&dir.at("out")).below(counted));
    feed.partitions(1).push(0..1000);
    tester.step().expect("a good batch");
    let all = seen(Path::new(&dir.at("out")));
    assert_eq!(all.len(), 200);
    assert!(all.iter().all(|(_, text)| text.lines().count() == 5));
    assert_eq!(numbers(&dir.at("out")), (0..1000).collect::<Vec<_>>());
    let most = most.load(Relaxed);
    assert!(if cfg!(target_os = "linux") { (2..100).contains(&most) } else { most == 0 }, "{most}");
}
#[test]
fn packed_files_are_gone_on_with_too() {
    let dir = TempDir::new();
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    stream.write_to("out", FileSink::csv(dir.at("out")).below(|n| format!("d{}", n % 100)).compress(Codec::Gzip));
    feed.partitions(1).push(0..500);
    tester.step().expect("a good batch");
    let all = seen(Path::new(&dir.at("out")));
    assert_eq!(all.len(), 100);
    assert!(all.iter().all(|(_, text)| text.lines().count() == 6 && text.starts_with("value\n")), "{:?}", all[0]);
}

/// Two ways to say where a record goes are one file, not two that are written over each other.
#[test]
fn a_directory_may_be_called_in_several_ways() {
    let everywhere = |_: &u64| "x".to_owned();
    let ways = |n: &u64| ["a/b", "a//b", "a/b/", "a/./b", "a/b/."][*n as usize % 5].to_owned();
    assert_eq!(
        written(1, |dir| lines(dir).below(ways)),
        [("a/b/T-00000-0.txt".to_owned(), "0 1 2 3 4 5 6 7 8 9 10 11 ".to_owned())]
    );
    let nothing_or_more = |n: &u64| ["", "/", "y", "/y"][*n as usize % 4].to_owned();
    assert_eq!(
        written(1, |dir| lines(dir).below(everywhere).below(nothing_or_more)),
        [
            ("x/T-00000-0.txt".to_owned(), "0 1 4 5 8 9 ".to_owned()),
            ("x/y/T-00000-0.txt".to_owned(), "2 3 6 7 10 11 ".to_owned())
        ]
    );
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
            let name = file.path().file_name().expect("a name");
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
        drop(run);
    }
}
