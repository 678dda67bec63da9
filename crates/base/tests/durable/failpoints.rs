//! A process that dies at every place where it can, as if the power had gone with it; and faults that must be noticed.
//!
//! The tests start this very program again, as a worker that writes or as one that checks what is left.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use winterbourne_base::storage::{LocalStorage, Storage as _};

use crate::common::{TempDir, open, options};

/// Set in a process that a test has started: the directory to work in.
const CHILD: &str = "WINTERBOURNE_TEST_DURABLE_CHILD";
const SIGKILL: i32 = 9;

/// What the worker says that it has done, one line each. It is written after the fact.
fn say(dir: &Path, what: &str) {
    let mut told = OpenOptions::new().append(true).create(true).open(dir.join("told")).unwrap();
    told.write_all(format!("{what}\n").as_bytes()).unwrap();
}

fn record(number: u64) -> Vec<u8> {
    format!("record {number} ").repeat(4).into_bytes()
}

fn state(number: u64) -> Vec<u8> {
    format!("state {number}\n").repeat(50).into_bytes()
}

/// Goes on where the last worker ended, for eight records.
fn work(dir: &Path) {
    let storage = LocalStorage::new(dir.join("storage"));
    let lock = storage.lock().unwrap();
    let (mut journal, ..) = open(&storage, &options(300)).unwrap();
    if storage.create_if_absent("id", b"the one and only").unwrap() {
        say(dir, "id 0");
    }
    let mut keep = journal.position();
    for number in journal.records()..journal.records() + 8 {
        let at = journal.append(&record(number)).unwrap();
        journal.sync().unwrap();
        say(dir, &format!("record {number}"));
        if number % 4 == 3 {
            storage.publish("state", &state(number)).unwrap();
            say(dir, &format!("state {number}"));
            journal.trim_before(keep).unwrap();
            keep = at;
        }
    }
    drop(lock);
}

/// What the worker said must be there, and nothing else.
fn check(dir: &Path) {
    let told = fs::read_to_string(dir.join("told")).unwrap_or_default();
    let last = |what: &str| {
        let numbers = told.lines().filter_map(|line| line.strip_prefix(what)?.trim().parse::<u64>().ok());
        numbers.max()
    };
    let storage = LocalStorage::new(dir.join("storage"));
    let (_, opened, records) = open(&storage, &options(300)).unwrap();
    let numbers = opened.first_record..opened.first_record + opened.records;
    for (number, (_, found)) in numbers.clone().zip(&records) {
        assert_eq!(*found, record(number), "record {number}");
    }
    if let Some(number) = last("record") {
        assert!(numbers.contains(&number), "record {number} was durable, found {numbers:?}");
    }
    match storage.read("state") {
        Ok(found) => {
            let number = String::from_utf8(found[..].to_vec()).unwrap();
            let number = number.lines().next().unwrap().strip_prefix("state ").unwrap().parse().unwrap();
            assert_eq!(found, state(number));
            assert!(last("state").is_none_or(|told| told <= number));
        }
        Err(error) => assert_eq!(last("state"), None, "{error}"),
    }
    match storage.read("id") {
        Ok(found) => assert_eq!(found, b"the one and only"),
        Err(error) => assert_eq!(last("id"), None, "{error}"),
    }
}

#[test]
fn child_works() {
    if let Some(dir) = std::env::var_os(CHILD) {
        work(Path::new(&dir));
    }
}

#[test]
fn child_checks_and_goes_on() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let dir = Path::new(&dir);
        check(dir);
        work(dir);
        check(dir);
    }
}

#[test]
fn child_checks() {
    if let Some(dir) = std::env::var_os(CHILD) {
        check(Path::new(&dir));
    }
}

/// Runs a child to its end.
fn run(child: &str, dir: &Path, orders: &[(&str, &str)]) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("failpoints::{child}")]).env(CHILD, dir).env("WINTERBOURNE_LOSE_UNSYNCED", "1");
    command.envs(orders.iter().copied()).output().unwrap().status
}

/// Leaves what a worker leaves that died while it was writing: half a record, and a file half published.
fn leave_behind(dir: &TempDir) {
    fs::create_dir_all(dir.path()).unwrap();
    assert!(run("child_works", dir.path(), &[]).success());
    let storage = LocalStorage::new(dir.path().join("storage"));
    let last = storage.list("log").unwrap().pop().unwrap();
    let mut file = OpenOptions::new().append(true).open(storage.describe(&last.name)).unwrap();
    file.write_all(&[40, 0, 0, 0, 16, 0, 0, 0, 1, 2, 3]).unwrap();
    fs::write(dir.path().join("storage/.tmp-1-1"), b"half").unwrap();
}

/// Every place that a worker passes, by name.
fn places() -> Vec<String> {
    let dir = TempDir::new("places");
    let list = dir.path().with_extension("list");
    let _ = fs::remove_file(&list);
    let orders = [("WINTERBOURNE_FAILPOINT_LIST", list.to_str().unwrap())];
    fs::create_dir_all(dir.path()).unwrap();
    assert!(run("child_works", dir.path(), &orders).success());
    leave_behind(&dir);
    assert!(run("child_works", dir.path(), &orders).success());
    let mut places: Vec<String> = fs::read_to_string(&list).unwrap().lines().map(str::to_owned).collect();
    fs::remove_file(&list).unwrap();
    places.sort();
    places.dedup();
    places
}

#[test]
fn dying_anywhere_loses_nothing_that_was_durable() {
    let places = places();
    for expect in [
        "journal.append.before_write",
        "journal.append.before_sync",
        "journal.append.after_sync",
        "journal.segment.after_open",
        "journal.trim.after_delete",
        "journal.cut.before",
        "storage.append.half_written",
        "storage.publish.after_temp_write",
        "storage.publish.after_rename",
        "storage.create.after_link",
    ] {
        assert!(places.iter().any(|place| place == expect), "{expect} was not passed: {places:?}");
    }
    let cases: Vec<Case> = places
        .iter()
        .flat_map(|place| {
            [(1, false), (3, false), (1, true)].map(|(nth, begun)| Case { place: place.clone(), nth, begun })
        })
        .collect();
    // A child waits for its disk most of the time.
    let died: BTreeSet<&String> = std::thread::scope(|scope| {
        let quarters = cases.chunks(cases.len().div_ceil(4));
        let threads: Vec<_> =
            quarters.map(|cases| scope.spawn(|| cases.iter().filter(|case| case.run()).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).map(|case| &case.place).collect()
    });
    assert_eq!(died, places.iter().collect(), "somebody died everywhere");
}

/// A worker that dies at the `nth` time that it passes a place, in a directory that is new or not.
struct Case {
    place: String,
    nth: u64,
    begun: bool,
}

impl Case {
    /// Returns whether it died: some places are not passed as often.
    fn run(&self) -> bool {
        let Self { place, nth, begun } = self;
        let dir = TempDir::new(&format!("dying-{place}-{nth}-{begun}"));
        fs::create_dir_all(dir.path()).unwrap();
        if *begun {
            leave_behind(&dir);
        }
        let report = dir.path().join("report");
        let order = format!("{place}@{nth}");
        let orders =
            [("WINTERBOURNE_FAILPOINT", order.as_str()), ("WINTERBOURNE_FAILPOINT_REPORT", report.to_str().unwrap())];
        let status = run("child_works", dir.path(), &orders);
        let died = status.signal() == Some(SIGKILL);
        if died {
            assert_eq!(fs::read_to_string(&report).unwrap(), format!("{order}\n"));
        } else {
            assert!(status.success() && !report.exists(), "{order}: {status}");
        }
        assert!(run("child_checks_and_goes_on", dir.path(), &[]).success(), "after {order}, begun: {begun}");
        died
    }
}

/// Whether a worker that dies at a place with a fault in it goes unnoticed.
fn unnoticed(fault: &str, place: &str) -> bool {
    let dir = TempDir::new(fault);
    fs::create_dir_all(dir.path()).unwrap();
    let fault = ("WINTERBOURNE_SEEDED_FAULT", fault);
    let status = run("child_works", dir.path(), &[fault, ("WINTERBOURNE_FAILPOINT", place)]);
    assert_eq!(status.signal(), Some(SIGKILL), "{fault:?} at {place}");
    run("child_checks", dir.path(), &[fault]).success()
}

#[test]
fn the_seeded_faults_are_noticed() {
    for (fault, place) in [
        ("journal.sync-skipped", "storage.publish.after_temp_write@2"),
        ("journal.torn-tail-accepted", "storage.append.half_written@2"),
        ("storage.publish-not-atomic", "storage.publish.between_halves@2"),
    ] {
        assert!(!unnoticed(fault, place), "{fault}");
        let place = place.replace("between_halves", "after_rename");
        assert!(unnoticed("none", &place), "without {fault}");
    }
}
