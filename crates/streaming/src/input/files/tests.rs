//! The input by itself, batch by batch, on real files with set times: restarts, large directories, and random changes
//! beside a dull twin.
use super::{input::*, options::*, version::*};
use crate::input::{Input, Supply, Tick};
use crate::rate::Limit;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration as Std, UNIX_EPOCH},
};
use winterbourne_base::{
    Duration, Time,
    time::{milliseconds, seconds},
};
use winterbourne_engine::{Site, SparkContext, Text, why_not_text};

/// When the streams of these tests begin: far from today, so that a time that was not set is noticed.
const START: u64 = 1_000_000_000_000;

/// A directory that is gone with the test.
struct Scratch(PathBuf);
impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("winterbourne-input-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(dir.join("in")).unwrap();
        Scratch(dir)
    }
    fn dir(&self) -> PathBuf {
        self.0.join("in")
    }
    /// Writes so many bytes; the file's time is so many seconds after the start.
    fn write(&self, name: &str, size: usize, at: i64) {
        let path = self.dir().join(name);
        fs::write(&path, "x".repeat(size)).unwrap();
        touch(&path, at);
    }
    fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.dir().join(name));
    }
}
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
fn touch(path: &Path, at: i64) {
    let time = UNIX_EPOCH + Std::from_millis(START.checked_add_signed(at * 1000).unwrap());
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}
fn t(second: u64) -> Time {
    Time::from_millis(START) + seconds(second)
}
/// An input with a batch every second that looks ten seconds back, and its counts.
fn input(scratch: &Scratch, options: FileStreamOptions) -> (FileInput<Text>, impl Fn() -> FileCounts) {
    input_of(scratch, options, why_not_text)
}
/// The same of files that are fit to be read, or not for a reason.
fn input_of(
    scratch: &Scratch,
    options: FileStreamOptions,
    unfit: fn(&Path) -> Option<String>,
) -> (FileInput<Text>, impl Fn() -> FileCounts) {
    let counts = options.counts();
    let (remember, most) = (options.remember.unwrap_or(milliseconds(9_500)), options.max_files.unwrap_or(10_000));
    let (check, rdd) =
        (Arc::new(|_: &StreamFile| Ok(())), Box::new(|sc: &SparkContext, _: &[StreamFile]| sc.empty_rdd()));
    let reading = Reading { unfit, check, site: Site::caller(), rdd };
    let mut input = FileInput::new((scratch.dir(), "in".into()), options, (remember, most), t(0), reading);
    input.interval(seconds(1));
    (input, counts)
}
fn options() -> FileStreamOptions {
    FileStreamOptions::default()
}
fn plan(input: &mut FileInput<Text>, second: u64) -> FilePlan {
    input.plan(&Tick { time: t(second), latest: true, limit: Limit::NONE }).unwrap().unwrap().plan
}
/// The names of a plan.
fn names(plan: &FilePlan) -> Vec<&str> {
    plan.files.iter().map(|f| f.path().file_name().unwrap().to_str().unwrap()).collect()
}
#[track_caller]
fn check(input: &mut FileInput<Text>, second: u64, expect: &[&str]) {
    assert_eq!(names(&plan(input, second)), expect, "at {second}");
}
fn passed_on(plan: &FilePlan) -> FilePlan {
    postcard::from_bytes(&postcard::to_allocvec(plan).unwrap()).unwrap()
}

#[test]
fn a_restart_reads_what_came_meanwhile_and_nothing_twice() {
    let scratch = Scratch::new();
    scratch.write("before", 1, -5);
    let (mut first, _) = input(&scratch, options());
    first.start().unwrap();
    scratch.write("a", 1, 1);
    check(&mut first, 1, &["a"]);
    let saved = first.save().unwrap();
    scratch.write("b", 1, 2);
    let logged = passed_on(&plan(&mut first, 2));
    assert_eq!(names(&logged), ["b"]);
    drop(first);
    // Down for longer than the window; what came meanwhile is new all the same.
    scratch.write("c", 1, 3);
    scratch.write("d", 1, 400);
    let (mut second, counts) = input(&scratch, options());
    second.load(&saved).unwrap();
    second.restore(&logged).unwrap();
    second.start().unwrap();
    check(&mut second, 500, &["c", "d"]);
    check(&mut second, 501, &[]);
    assert_eq!(counts(), FileCounts { read: 2, ..Default::default() });
}

#[test]
fn a_restart_from_plans_alone_keeps_to_when_the_stream_began() {
    let scratch = Scratch::new();
    scratch.write("before", 1, -5);
    let (mut first, _) = input(&scratch, options());
    first.start().unwrap();
    scratch.write("a", 1, 1);
    let logged = passed_on(&plan(&mut first, 1));
    scratch.write("b", 1, 2);
    let (mut second, counts) = input(&scratch, options());
    second.restore(&logged).unwrap();
    second.start().unwrap();
    check(&mut second, 300, &["b"]);
    assert_eq!((counts().before, counts().too_old), (1, 0));
}

#[test]
fn a_restart_keeps_files_that_waited_and_the_end_of_one_listing() {
    let scratch = Scratch::new();
    ["a", "b", "c"].iter().for_each(|n| scratch.write(n, 1, -10_000));
    let once = || options().once().max_files(1);
    let (mut first, _) = input(&scratch, once());
    first.start().unwrap();
    assert_eq!(first.supply(), Supply::Waiting);
    check(&mut first, 1, &["a"]);
    let (mut second, _) = input(&scratch, once());
    second.load(&first.save().unwrap()).unwrap();
    second.start().unwrap();
    scratch.write("d", 1, 0);
    check(&mut second, 2, &["b"]);
    assert_eq!(second.supply(), Supply::Waiting);
    check(&mut second, 3, &["c"]);
    assert_eq!(second.supply(), Supply::Ended);
}

#[test]
fn a_file_that_waited_at_the_checkpoint_and_was_planned_after_it_is_not_planned_again() {
    let scratch = Scratch::new();
    let few = || options().max_files(1);
    let (mut first, _) = input(&scratch, few());
    first.start().unwrap();
    ["a", "b", "c"].iter().for_each(|n| scratch.write(n, 1, 1));
    check(&mut first, 1, &["a"]);
    let saved = first.save().unwrap();
    let logged = passed_on(&plan(&mut first, 2));
    assert_eq!(names(&logged), ["b"]);
    drop(first);
    let (mut second, _) = input(&scratch, few());
    second.load(&saved).unwrap();
    second.restore(&logged).unwrap();
    second.start().unwrap();
    check(&mut second, 3, &["c"]);
    check(&mut second, 4, &[]);
}

#[test]
fn a_file_that_nobody_could_read_is_read_by_the_next_program_that_can() {
    let scratch = Scratch::new();
    let (mut first, counts) = input(&scratch, options());
    first.start().unwrap();
    scratch.write("a.xz", 1, 1);
    (1..20).for_each(|second| check(&mut first, second, &[]));
    assert_eq!(counts().refused, 1);
    let saved = first.save().unwrap();
    drop(first);
    // It is older than the stream looks back by now.
    let (mut second, counts) = input_of(&scratch, options(), |_| None);
    second.load(&saved).unwrap();
    second.start().unwrap();
    check(&mut second, 20, &["a.xz"]);
    assert_eq!(counts(), FileCounts { read: 1, ..Default::default() });
}

#[test]
fn what_was_saved_is_refused_with_a_reason_if_it_cannot_be_read() {
    let scratch = Scratch::new();
    let (mut first, _) = input(&scratch, options());
    for (bytes, why) in [(&[][..], "it is empty"), (&[9, 1], "format 9"), (&[1, 200], "damaged")] {
        let error = first.load(bytes).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("the stream in"), "{error}");
    }
}

#[test]
fn files_that_wait_are_not_too_old_when_it_is_their_turn() {
    let scratch = Scratch::new();
    let (mut input, counts) = input(&scratch, options().max_files(2));
    input.start().unwrap();
    for i in 0..40 {
        scratch.write(&format!("{i:02}"), 1, 1);
    }
    check(&mut input, 1, &["00", "01"]);
    scratch.remove("02");
    scratch.write("03", 7, 2); // changed while it waits: the new version is read
    let mut read = 2;
    for second in 2.. {
        assert_eq!(input.supply(), if read < 39 { Supply::Waiting } else { Supply::Open });
        let plan = plan(&mut input, second);
        read += plan.files.len();
        if plan.files.is_empty() {
            break;
        }
    }
    assert_eq!((counts().read, counts().vanished, counts().too_old), (39, 1, 0));
}

#[test]
fn a_stopped_input_lists_no_more_and_hands_over_what_waits() {
    let scratch = Scratch::new();
    let (mut input, _) = input(&scratch, options().max_files(1));
    input.start().unwrap();
    ["a", "b"].iter().for_each(|n| scratch.write(n, 1, 1));
    check(&mut input, 1, &["a"]);
    input.stop();
    scratch.write("c", 1, 1);
    assert_eq!(input.supply(), Supply::Waiting);
    check(&mut input, 2, &["b"]);
    assert_eq!(input.supply(), Supply::Open);
    check(&mut input, 3, &[]);
}

#[test]
fn a_large_directory_is_looked_at_bit_by_bit_and_a_change_is_noticed_all_the_same() {
    let scratch = Scratch::new();
    let (mut input, counts) = input(&scratch, options());
    input.start().unwrap();
    for i in 0..2500 {
        scratch.write(&i.to_string(), 1, 1);
    }
    assert_eq!(plan(&mut input, 1).files.len(), 2500);
    scratch.write("77", 2, 2);
    scratch.write("new", 1, 2);
    check(&mut input, 2, &["new"]);
    (3..5).for_each(|second| check(&mut input, second, &[]));
    assert_eq!(counts().changed, 1);
}

#[test]
fn a_file_that_was_away_is_known_again_and_another_in_its_place_is_new() {
    let scratch = Scratch::new();
    let (mut input, counts) = input(&scratch, options());
    input.start().unwrap();
    scratch.write("a", 1, 1);
    check(&mut input, 1, &["a"]);
    scratch.remove("a");
    check(&mut input, 2, &[]);
    scratch.write("a", 1, 1); // the same one moved back
    check(&mut input, 3, &[]);
    scratch.remove("a");
    check(&mut input, 4, &[]);
    scratch.write("a", 2, 4);
    check(&mut input, 5, &["a"]);
    assert_eq!(counts(), FileCounts { read: 2, ..Default::default() });
    // Nothing is remembered of what has long been gone.
    let small = input.save().unwrap().len();
    for i in 0..100 {
        scratch.write(&i.to_string(), 1, 5);
    }
    assert_eq!(plan(&mut input, 6).files.len(), 100);
    (0..100).for_each(|i| scratch.remove(&i.to_string()));
    (7..18).for_each(|second| check(&mut input, second, &[]));
    assert_eq!(input.save().unwrap().len(), small);
}

#[derive(Clone, Debug)]
enum Deed {
    /// A file is written with so many bytes, so many seconds ago by its time (ahead, if negative).
    Write(usize, usize, i64),
    Remove(usize),
    Move(usize, usize),
    Tick,
    Save,
    /// The process dies and is back after so many batches.
    Restart(u64),
}
fn deeds(restarts: bool) -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..5usize, 0..4usize, -3..14i64).prop_map(|(n, size, ago)| Deed::Write(n, size, ago)),
        1 => (0..5usize).prop_map(Deed::Remove),
        2 => (0..5usize, 0..5usize).prop_map(|(a, b)| Deed::Move(a, b)),
        6 => Just(Deed::Tick),
        1 => Just(Deed::Save),
        u32::from(restarts) => (0..20u64).prop_map(Deed::Restart),
    ];
    prop::collection::vec(deed, 1..40)
}
/// The rules, dully: from what lay in the directory at each batch.
#[derive(Clone, Default)]
struct Twin {
    read_changed: bool,
    /// What a name was when it was seen last.
    last: BTreeMap<String, Last>,
    /// The names of the last batch.
    there: BTreeSet<String>,
    listed: u64,
}
#[derive(Clone, Copy)]
struct Last {
    mark: Mark,
    /// It, or what it was before it changed in its place.
    read: bool,
    early: bool,
}
impl Twin {
    fn expect(&mut self, now: &BTreeMap<String, Mark>, second: u64) -> Vec<String> {
        let looked = second.min(self.listed + 1) as i64;
        self.listed = second;
        let mut reads = Vec::new();
        for (name, &mark) in now {
            let last = self.last.get(name).copied();
            let at = (mark.modified_ns / 1_000_000_000) as i64 - START as i64 / 1000;
            let stayed = self.there.contains(name) && last.is_some_and(|l| l.read) && !self.read_changed;
            let same = last.filter(|l| l.mark == mark && !l.early);
            let (full, early, old) = (mark.size > 0, at > second as i64, looked - at >= 10);
            let read = !stayed && same.is_none() && full && !early && !old;
            if read {
                reads.push((at, name.clone()));
            }
            let was_read = read || stayed || same.is_some_and(|l| l.read);
            self.last.insert(name.clone(), Last { mark, read: was_read, early: early && full && !was_read });
        }
        reads.sort();
        self.there = now.keys().cloned().collect();
        reads.into_iter().map(|(_, name)| name).collect()
    }
}
fn run(read_changed: bool, deeds: Vec<Deed>) {
    let scratch = Scratch::new();
    let make = || input(&scratch, if read_changed { options().read_changed() } else { options() }).0;
    let mut input = make();
    input.start().unwrap();
    let mut twin = Twin { read_changed, ..Twin::default() };
    let mut checkpoint = (input.save().unwrap(), twin.clone(), Vec::<FilePlan>::new());
    let mut second = 0;
    for deed in deeds {
        let name = |n: usize| format!("f{n}");
        match deed {
            Deed::Write(n, size, ago) => scratch.write(&name(n), size, second as i64 - ago),
            Deed::Remove(n) => scratch.remove(&name(n)),
            Deed::Move(a, b) => drop(fs::rename(scratch.dir().join(name(a)), scratch.dir().join(name(b)))),
            Deed::Save => checkpoint = (input.save().unwrap(), twin.clone(), Vec::new()),
            Deed::Tick => {
                second += 1;
                let there = fs::read_dir(scratch.dir()).unwrap().map(|e| {
                    let e = e.unwrap();
                    (e.file_name().into_string().unwrap(), Mark::of(&e.metadata().unwrap()).unwrap())
                });
                let there: BTreeMap<String, Mark> = there.collect();
                let plan = plan(&mut input, second);
                assert_eq!(names(&plan), twin.expect(&there, second), "at {second}");
                assert!(plan.files.iter().all(|f| there.values().any(|m| *m == f.mark)));
                checkpoint.2.push(passed_on(&plan));
            }
            Deed::Restart(batches) => {
                second += batches;
                input = make();
                input.load(&checkpoint.0).unwrap();
                twin = checkpoint.1.clone();
                for plan in &checkpoint.2 {
                    input.restore(plan).unwrap();
                    let read = plan.files.iter().map(|f| Last { mark: f.mark, read: true, early: false });
                    twin.last.extend(names(plan).into_iter().map(str::to_owned).zip(read));
                }
                input.start().unwrap();
            }
        }
    }
}
proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn each_file_is_read_once_in_order_of_time_whatever_happens_to_it_after(deeds in deeds(false)) {
        run(false, deeds);
    }
    #[test]
    fn each_version_is_read_once_also_over_restarts(deeds in deeds(true)) {
        run(true, deeds);
    }
}
#[test]
fn the_window_is_whole_batches() {
    for (remember, expect) in [(0u64, 1), (1, 1), (1000, 1), (1001, 2), (9_500, 10)] {
        let scratch = Scratch::new();
        let (mut input, counts) = input(&scratch, options().existing_too().remember(milliseconds(remember)));
        input.start().unwrap();
        scratch.write("in", 1, 101 - expect);
        scratch.write("out", 1, 100 - expect);
        check(&mut input, 100, &["in"]);
        assert_eq!(counts().too_old, 1, "{remember}");
    }
    let endless = Duration::from_millis(u64::MAX);
    let scratch = Scratch::new();
    let (mut input, _) = input(&scratch, options().existing_too().remember(endless));
    scratch.write("a", 1, -900_000_000);
    check(&mut input, 1, &["a"]);
}

#[test]
fn a_directory_that_stands_still_is_listed_once_a_second() {
    let scratch = Scratch::new();
    let (mut input, _) = input(&scratch, options());
    input.start().unwrap();
    let mut batch = |ms: u64| {
        let tick = Tick { time: t(10) + milliseconds(ms), latest: true, limit: Limit::NONE };
        input.plan(&tick).unwrap().unwrap().plan.files.len()
    };
    // What a coarse clock, or a file system that keeps no such time, does: names come and the time stays.
    let sneak = |name: &str| {
        let dir = fs::File::open(scratch.dir()).unwrap();
        let stamp = dir.metadata().unwrap().modified().unwrap();
        scratch.write(name, 1, 9);
        dir.set_modified(stamp).unwrap();
    };
    assert_eq!((batch(0), batch(10)), (0, 0));
    sneak("while the time is young");
    assert_eq!((batch(20), batch(30)), (1, 0));
    sneak("later");
    assert_eq!((batch(40), batch(1010), batch(1020)), (0, 0, 1));
    scratch.write("openly", 1, 9);
    assert_eq!(batch(1030), 1);
    // A file whose time is ahead is read at its time.
    scratch.write("ahead", 1, 12);
    assert_eq!((batch(1040), batch(1100), batch(1990), batch(2000)), (0, 0, 0, 1));
}
