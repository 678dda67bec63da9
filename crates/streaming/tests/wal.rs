//! What receivers took in survives the process: real directories, a manual clock, batches driven by hand. A crash is a copy
//! of the directory at some moment: what the process had in memory only is not in it.
mod common;

use common::{PATIENCE, Script, Settings, accept, at, listen, manual, next, second, send, spark};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
};
use winterbourne_base::{Clock as _, ManualClock, Time};
use winterbourne_engine::{Text, Wire};
use winterbourne_streaming::{DStream, Error, Intake, Stepper, StreamingContext, seconds};
use winterbourne_testkit::TEST_START;

/// A directory that goes with the test.
struct Dir(PathBuf);
impl Dir {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("winterbourne-wal-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        Dir(std::env::temp_dir().join(name))
    }
    fn path(&self) -> String {
        self.0.to_str().expect("a readable name").to_owned()
    }
    /// What a kill would leave.
    fn crash(&self) -> Dir {
        let left = Dir::new();
        copy(&self.0, &left.0);
        left
    }
    fn journal_files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join("received")) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|e| e.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}
impl Drop for Dir {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_dir_all(&self.0);
    }
}
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Feeds a receiver by hand.
struct Feed<T> {
    give: Sender<(bool, Vec<T>)>,
    taken: Receiver<Result<(), String>>,
}
impl<T> Feed<T> {
    /// Stores records; returns when they are in memory.
    #[track_caller]
    fn store(&self, records: impl Into<Vec<T>>) {
        self.put(false, records.into());
    }
    /// Returns when they are durable.
    #[track_caller]
    fn store_reliably(&self, records: impl Into<Vec<T>>) {
        self.put(true, records.into());
    }
    #[track_caller]
    fn put(&self, reliably: bool, records: Vec<T>) {
        self.give.send((reliably, records)).expect("the receiver runs");
        next(&self.taken).expect("the records are taken");
    }
}
/// A receiver that is fed by hand.
fn fed<T: Wire>(ssc: &StreamingContext, uid: &str) -> (Feed<T>, DStream<T>) {
    let ((give, given), (tell, taken)) = (channel::<(bool, Vec<T>)>(), channel());
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<T>| {
        while let Ok((reliably, records)) = given.recv() {
            let done = match reliably {
                true => intake.store_reliably(records).map_err(|e| e.to_string()),
                false => intake.store_all(records).map_err(|e| e.to_string()),
            };
            // Nobody listens any more at the end of some tests.
            let _ = tell.send(done);
        }
        Ok(())
    }));
    (Feed { give, taken }, stream.uid(uid))
}

/// One life of a program in a directory.
struct Life<P> {
    clock: Arc<ManualClock>,
    ssc: StreamingContext,
    run: Stepper,
    /// What the function that built the graph kept.
    parts: P,
}
impl<P> Life<P> {
    fn try_begin(
        dir: &Dir,
        now: Time,
        settings: Settings<'_>,
        build: impl FnOnce(&StreamingContext) -> P,
    ) -> Result<Self, Error> {
        let clock = ManualClock::new(now);
        let mut parts = None;
        let ssc = StreamingContext::get_or_create(dir.path(), || {
            let ssc = StreamingContext::with_clock(&spark(settings), seconds(1), clock.clone())?;
            parts = Some(build(&ssc));
            Ok(ssc)
        })?;
        let run = ssc.start_stepped()?;
        Ok(Life { clock, ssc, run, parts: parts.expect("the function ran") })
    }
    #[track_caller]
    fn begin(dir: &Dir, now: Time, settings: Settings<'_>, build: impl FnOnce(&StreamingContext) -> P) -> Self {
        Self::try_begin(dir, now, settings, build).expect("it starts")
    }
    /// Runs the batches before t: those that were not known to be complete.
    #[track_caller]
    fn catch_up(&mut self, t: Time) {
        while self.run.next_time() < t {
            self.step();
        }
    }
    /// Runs the next batch at its time.
    #[track_caller]
    fn step(&mut self) -> u64 {
        self.try_step().expect("a good batch")
    }
    fn try_step(&mut self) -> Result<u64, Error> {
        self.clock.set(self.run.next_time().max(self.clock.now()));
        Ok(second(self.run.step()?))
    }
}

type Seen = Receiver<(Time, Vec<u64>)>;
fn one(ssc: &StreamingContext) -> (Feed<u64>, Seen) {
    let (feed, stream) = fed(ssc, "numbers");
    (feed, send(&stream))
}
#[track_caller]
fn batch(seen: &Seen) -> (u64, Vec<u64>) {
    let (t, records) = next(seen);
    (second(t), records)
}

#[test]
fn what_no_batch_took_reaches_the_first_batch_of_the_next_life() {
    let dir = Dir::new();
    let mut first = Life::begin(&dir, TEST_START, &[], one);
    let (feed, seen) = &first.parts;
    feed.store([1, 2]);
    first.run.step().unwrap();
    assert_eq!(batch(seen), (1, vec![1, 2]));
    feed.store_reliably([3]);
    feed.store_reliably([4, 5]);
    feed.store([6]);
    let killed = dir.crash();
    let mut second = Life::begin(&killed, at(3), &[], one);
    second.catch_up(at(2));
    second.parts.0.store([7]);
    assert_eq!((second.step(), second.step()), (2, 3));
    assert_eq!(batch(&second.parts.1), (1, vec![1, 2]), "that it was complete was in memory only");
    assert_eq!(batch(&second.parts.1), (2, vec![3, 4, 5, 7]), "and the sixth record");
    assert_eq!(batch(&second.parts.1), (3, vec![]));
    assert_eq!(second.ssc.status().receivers[0].lost_records, 0);
    drop(first);
    let mut third = Life::begin(&dir, at(3), &[], one);
    third.step();
    assert_eq!(batch(&third.parts.1), (2, vec![3, 4, 5, 6]), "an orderly end keeps it all");
}

#[test]
fn an_unfinished_batch_has_the_same_records_again() {
    let build = |ssc: &StreamingContext| {
        let (feed, stream) = fed::<u64>(ssc, "numbers");
        let seen = send(&stream.map(|x| x * 10));
        let doomed = ssc.spark_context().conf().get("spark.app.doomed").is_some();
        stream.foreach_rdd(move |_, _| if doomed { Err("no connection".into()) } else { Ok(()) });
        (feed, seen)
    };
    let dir = Dir::new();
    let settings = [("spark.app.doomed", "yes"), ("spark.streaming.batch.maxAttempts", "1")];
    let mut first = Life::begin(&dir, TEST_START, &settings, build);
    first.parts.0.store([1, 2]);
    first.try_step().unwrap_err();
    first.parts.0.store_reliably([3]);
    let killed = dir.crash();
    let mut second = Life::begin(&killed, at(2), &[], build);
    assert_eq!((second.step(), second.step()), (1, 2));
    assert_eq!(batch(&second.parts.1), (1, vec![10, 20]));
    assert_eq!(batch(&second.parts.1), (2, vec![30]));
    assert_eq!(second.ssc.status().receivers[0].buffered_bytes, 0, "what came from the log was never in the buffer");
}

#[test]
fn windows_look_back_on_what_was_received_before() {
    let build = |ssc: &StreamingContext| {
        let (feed, stream) = fed::<u64>(ssc, "numbers");
        (feed, send(&stream.window(seconds(3))))
    };
    for with_checkpoint in [false, true] {
        let dir = Dir::new();
        let mut first = Life::begin(&dir, TEST_START, &[], build);
        for n in 1..=3 {
            first.parts.0.store([n]);
            first.step();
        }
        assert_eq!(batch(&first.parts.1), (1, vec![1]));
        let left = if with_checkpoint {
            drop(first);
            dir
        } else {
            dir.crash()
        };
        let mut second = Life::begin(&left, at(3), &[], build);
        second.catch_up(at(4));
        for n in 4..=6 {
            second.parts.0.store([n]);
            second.step();
        }
        let windows: Vec<_> = second.parts.1.try_iter().map(|(t, records)| (common::second(t), records)).collect();
        let new = [(4, vec![2, 3, 4]), (5, vec![3, 4, 5]), (6, vec![4, 5, 6])];
        let expect = if with_checkpoint { new.to_vec() } else { [&[(3, vec![1, 2, 3])][..], &new].concat() };
        assert_eq!(windows, expect, "{with_checkpoint}");
    }
}

#[test]
fn receivers_are_known_by_their_ids_when_others_come_and_go() {
    let build = |names: &'static [&'static str]| {
        move |ssc: &StreamingContext| {
            let fed: Vec<_> = names.iter().map(|uid| fed::<u64>(ssc, uid)).collect();
            fed.into_iter().map(|(feed, stream)| (feed, send(&stream))).collect::<Vec<_>>()
        }
    };
    let dir = Dir::new();
    let mut first = Life::begin(&dir, TEST_START, &[], build(&["a", "b"]));
    first.parts[0].0.store([10]);
    first.parts[1].0.store([20]);
    first.step();
    first.parts[1].0.store_reliably([21]);
    first.parts[0].0.store_reliably([11]);
    first.parts[1].0.store_reliably([22]);
    let killed = dir.crash();
    let mut second = Life::begin(&killed, at(1), &[], build(&["new", "b", "a"]));
    second.catch_up(at(2));
    second.step();
    let all: Vec<Vec<u64>> = second.parts.iter().map(|(_, seen)| seen.try_iter().last().unwrap().1).collect();
    assert_eq!(all, [vec![], vec![21, 22], vec![11]]);

    let refused = Life::try_begin(&dir.crash(), at(1), &[], build(&["b"])).err().unwrap().to_string();
    assert!(refused.contains("spark.streaming.recovery.drop=a"), "{refused}");
    let consent = [("spark.streaming.recovery.drop", "a")];
    let killed = dir.crash();
    let mut third = Life::begin(&killed, at(1), &consent, build(&["b"]));
    third.catch_up(at(2));
    third.step();
    assert_eq!(third.parts[0].1.try_iter().last().unwrap().1, [21, 22]);
}

#[test]
fn records_acknowledged_before_the_first_batch_are_continued_and_not_ignored() {
    let dir = Dir::new();
    let first = Life::begin(&dir, TEST_START, &[], one);
    first.parts.0.store_reliably([1, 2]);
    let killed = dir.crash();
    let (_clock, fresh) = manual(&[]);
    fresh.checkpoint(killed.path());
    let _parts = one(&fresh);
    let why = fresh.start_stepped().err().unwrap().to_string();
    assert!(why.contains("get_or_create"), "{why}");
    let other = |ssc: &StreamingContext| send(&fed::<u64>(ssc, "others").1);
    let why = Life::try_begin(&killed, at(1), &[], other).err().unwrap().to_string();
    assert!(why.contains("2 record(s) were received for input numbers"), "{why}");
    let mut second = Life::begin(&killed, at(1), &[], one);
    second.step();
    assert_eq!(next(&second.parts.1).1, [1, 2]);
}

#[test]
fn lines_of_a_socket_survive() {
    let (server, port) = listen();
    let build = |ssc: &StreamingContext| {
        let lines = ssc.socket_text_stream("127.0.0.1", port).uid("lines");
        send(&lines.map(|line: Text| line.to_string()))
    };
    let dir = Dir::new();
    let mut first = Life::begin(&dir, TEST_START, &[("spark.streaming.batch.maxAttempts", "1")], build);
    let mut client = accept(&server);
    client.write_all("to be\nor not to be, that is the question; \u{e9}\n".as_bytes()).unwrap();
    let received = |life: &Life<_>| life.ssc.status().receivers[0].records;
    let until = std::time::Instant::now() + PATIENCE;
    while received(&first) < 2 {
        assert!(std::time::Instant::now() < until, "the lines arrive");
        std::thread::yield_now();
    }
    first.step();
    let lines = next(&first.parts).1;
    let killed = dir.crash();
    let mut second = Life::begin(&killed, TEST_START, &[], build);
    second.step();
    assert_eq!(next(&second.parts), (at(1), lines), "the batch was not known to be complete");
}

#[test]
fn without_the_log_a_restart_says_what_is_lost_and_goes_on() {
    let off = [("spark.streaming.receiver.writeAheadLog.enable", "false"), ("spark.streaming.batch.maxAttempts", "1")];
    let dir = Dir::new();
    let mut first = Life::begin(&dir, TEST_START, &[], one);
    first.parts.0.store([1]);
    first.step();
    first.parts.0.store_reliably([2]);
    drop(first);
    let mut second = Life::begin(&dir, at(1), &off, one);
    second.parts.0.store_reliably([3, 4]);
    second.step();
    assert_eq!(batch(&second.parts.1), (2, vec![2, 3, 4]), "what was logged before is read all the same");
    assert_eq!(dir.journal_files().len(), 1);
    let killed = dir.crash();
    let mut third = Life::begin(&killed, at(2), &off, one);
    third.step();
    assert_eq!(batch(&third.parts.1), (2, vec![2]), "what is left");
    assert_eq!(third.ssc.status().receivers[0].lost_records, 2);
    third.parts.0.store([5]);
    third.step();
    assert_eq!(batch(&third.parts.1), (3, vec![5]));
}

#[test]
fn a_log_that_is_asked_for_needs_a_directory() {
    let (_clock, ssc) = manual(&[("spark.streaming.receiver.writeAheadLog.enable", "true")]);
    let _parts = one(&ssc);
    let why = ssc.start_stepped().err().unwrap().to_string();
    assert!(why.contains("Cannot enable receiver write-ahead log without checkpoint directory set"), "{why}");
    let dir = Dir::new();
    ssc.checkpoint(dir.path());
    ssc.start_stepped().unwrap();
}

#[test]
fn records_of_another_type_fail_their_batch_by_name() {
    let dir = Dir::new();
    let words = |ssc: &StreamingContext| {
        let (feed, stream) = fed::<String>(ssc, "words");
        (feed, send(&stream))
    };
    let first = Life::begin(&dir, TEST_START, &[], words);
    first.parts.0.store_reliably(["some words".to_owned()]);
    let killed = dir.crash();
    let pairs = |ssc: &StreamingContext| send(&fed::<(u64, u64)>(ssc, "words").1);
    let mut second = Life::begin(&killed, at(1), &[("spark.streaming.batch.maxAttempts", "1")], pairs);
    let why = second.try_step().unwrap_err().to_string();
    assert!(why.contains("block 0 of input words") && why.contains("(u64, u64)"), "{why}");
    drop(second);
    let mut third = Life::begin(&killed, at(1), &[], words);
    third.step();
    assert_eq!(next(&third.parts.1).1, ["some words"], "the program that stored them reads them");
}

#[test]
fn the_log_is_trimmed_behind_the_checkpoints_and_nothing_comes_twice() {
    let dir = Dir::new();
    let settings = [
        ("spark.streaming.receiver.writeAheadLog.closeFileAfterWrite", "true"),
        ("spark.streaming.checkpoint.retained", "1"),
    ];
    let mut life = Life::begin(&dir, TEST_START, &settings, one);
    let mut last = 0;
    // A checkpoint every ten batches, written in the background.
    while dir.journal_files().first().is_none_or(|f| f.starts_with("00000000000000000000")) {
        last += 1;
        assert!(last < 10_000, "{:?}", dir.journal_files());
        life.parts.0.store([last]);
        assert_eq!(life.step(), last);
        assert_eq!(batch(&life.parts.1), (last, vec![last]));
    }
    life.parts.0.store_reliably([last + 1]);
    let killed = dir.crash();
    let mut again = Life::begin(&killed, at(last), &settings, one);
    again.catch_up(at(last + 2));
    let mut got: Vec<u64> = again.parts.1.try_iter().flat_map(|(_, records)| records).collect();
    // The completion of the last batch may not have reached the disk.
    got.retain(|n| *n != last);
    assert_eq!(got, [last + 1]);
}
