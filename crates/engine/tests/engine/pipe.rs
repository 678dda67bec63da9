//! `pipe`: a process for each partition, what goes wrong with processes, and that nothing waits for ever.
use crate::common::*;
use std::{path::Path, sync::mpsc};
use winterbourne_engine::{Error, Pipe, TaskCause};

fn sh(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}
/// The engine's error behind a task's.
fn cause(error: &Error) -> &Error {
    match error {
        Error::Task { cause: TaskCause::Engine(cause), .. } => cause,
        other => other,
    }
}

#[test]
fn records_go_through_in_order_partition_by_partition() {
    let sc = threads(2);
    let numbers = sc.range(0..10_000, 3);
    assert_eq!(
        numbers.pipe("cat").map(|l| l.parse::<u64>().unwrap()).collect().unwrap(),
        (0..10_000).collect::<Vec<_>>()
    );
    assert_eq!(numbers.pipe(sh("wc -l")).map(|l| l.trim().to_owned()).collect().unwrap(), ["3333", "3333", "3334"]);
    assert_eq!(everywhere(2, |sc| sc.parallelize([("a", 1), ("b", 2)], 2).pipe("cat").collect()), ["(a,1)", "(b,2)"]);
}
#[test]
fn it_runs_for_empty_partitions_and_only_for_them() {
    let sc = threads(2);
    let said = sc.parallelize(Vec::<u8>::new(), 3).pipe(sh("echo here; cat")).collect().unwrap();
    assert_eq!(said, ["here"; 3]);
    assert_eq!(sc.empty_rdd::<u8>().pipe("false").count().unwrap(), 0);
    let keyed = sc.range(0..9, 2).map(|x| (x, x)).reduce_by_key(|a, b| a + b);
    assert!(keyed.partitioner().is_some() && keyed.pipe("cat").partitioner().is_none());
}
#[test]
fn what_a_process_gets_besides_records() {
    let sc = threads(1);
    let all = sc.parallelize(["x"], 1);
    let pipe = Pipe::new(sh("echo $MINE $PATH_TOO; cat")).env("MINE", "a b").env("PATH_TOO", "c");
    let pipe = pipe.print_pipe_context(|line| ["one", "two"].into_iter().for_each(line));
    assert_eq!(all.pipe(pipe).collect().unwrap(), ["a b c", "one", "two", "x"]);
    let pairs = sc.parallelize([("a", vec![1, 2]), ("b", vec![])], 1);
    let pipe = Pipe::printing(["cat"], |(key, values): &(&str, Vec<i32>), line| {
        values.iter().for_each(|v| line(&format!("{key}{v}")));
    });
    assert_eq!(pairs.pipe(pipe).collect().unwrap(), ["a1", "a2"]);
    // No shell: words are cut at white space and mean nothing else.
    assert_eq!(all.pipe(" echo  '$HOME' * ".to_owned()).collect().unwrap(), ["'$HOME' *"]);
}
#[test]
fn lines_of_its_output_are_those_of_text_files() {
    let sc = threads(1);
    let one = sc.parallelize([1], 1);
    let said = one.pipe(sh(r"printf 'a\r\nb\rc\n\n\377\nlast'; cat >/dev/null")).collect().unwrap();
    assert_eq!(said, ["a", "b", "c", "", "\u{fffd}", "last"]);
    assert_eq!(sc.counts().invalid_utf8, 1);
    assert_eq!(one.pipe(sh("printf '%0200000d' 7; cat >/dev/null")).map(|l| l.len()).collect().unwrap(), [200_000]);
}
#[test]
fn a_process_in_a_directory_of_its_own() {
    let sc = threads(2);
    let pipe = |script| Pipe::<u64>::new(sh(script)).separate_working_dir();
    let dirs = sc
        .range(0..2, 2)
        .pipe(pipe("pwd; cat >mine; test -e mine && test -d src && test -L Cargo.toml"))
        .collect()
        .unwrap();
    assert_ne!(dirs[0], dirs[1]);
    assert!(dirs.iter().all(|d| !Path::new(d.as_str()).exists()), "they are removed: {dirs:?}");
    assert!(Path::new("Cargo.toml").exists() && !Path::new("mine").exists(), "and what they link to is not");
    assert!(sc.range(0..2, 2).pipe(pipe("false")).count().is_err());
}
#[test]
fn a_status_other_than_0_is_an_error_with_the_end_of_standard_error() {
    let sc = threads(2);
    let (e, line) =
        (sc.range(0..4, 2).pipe(sh("cat; echo once >&2; echo twice >&2; exit 3")).collect().unwrap_err(), line!());
    let text = e.to_string();
    for part in ["Subprocess exited with status 3. Command ran: sh -c cat;", "once\ntwice", &format!("pipe.rs:{line}:")]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let e = sc.range(0..4, 1).pipe(sh("kill -9 $$")).collect().unwrap_err();
    assert!(matches!(cause(&e), Error::PipeStatus { status, .. } if status == "137 (signal 9)"), "{e}");
    let e = sc.range(0..4, 1).pipe(sh("for i in $(seq 3000); do echo line $i; done >&2; exit 1")).count().unwrap_err();
    assert!(
        matches!(cause(&e), Error::PipeStatus { stderr, .. } if stderr.len() <= 4096 && stderr.ends_with("line 3000")),
        "{e}"
    );
    // Tried again as the master says.
    let dir = TempDir::new();
    let retry = context("local[1,2]");
    let marker = dir.at("marker");
    let script = format!("test -e {marker} || {{ touch {marker}; exit 1; }}; cat");
    assert_eq!(retry.range(0..2, 1).pipe(sh(&script)).collect().unwrap(), ["0", "1"]);
    assert_eq!(retry.counts().task_retries, 1);
}
#[test]
fn a_program_that_cannot_be_run_is_named() {
    let sc = threads(1);
    let e = sc.range(0..1, 1).pipe("/nowhere/at/all -x").count().unwrap_err();
    assert!(e.to_string().contains("Cannot run program \"/nowhere/at/all\""), "{e}");
    for empty in ["", "  "] {
        let e = sc.range(0..1, 1).pipe(empty).count().unwrap_err();
        assert!(matches!(cause(&e), Error::Pipe { .. }) && e.to_string().contains("the command is empty"), "{e}");
    }
    assert_eq!(sc.counts().jobs, 1, "an empty command is wrong before anything runs");
}
#[test]
fn much_data_both_ways_and_readers_that_stop() {
    let sc = threads(2);
    let lines = sc.range(0..200_000, 2);
    // Every line comes back longer, while more is sent.
    assert_eq!(lines.pipe(sh("sed s/$/-and-more/")).count().unwrap(), 200_000);
    // Output before input is read, much more than a pipe holds.
    assert_eq!(lines.pipe(sh("seq 50000; cat")).count().unwrap(), 300_000);
    assert_eq!(lines.pipe("head -n 1").collect().unwrap(), ["0", "100000"]);
    assert_eq!(lines.pipe("true").count().unwrap(), 0);
    // It closes its output and reads on.
    let dir = TempDir::new();
    let script = format!("exec 1>&-; wc -l >{}/$$", dir.path().display());
    assert_eq!(lines.pipe(sh(&script)).count().unwrap(), 0);
    let counted: u64 = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|f| std::fs::read_to_string(f.unwrap().path()).unwrap().trim().parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, 200_000);
    // Only some of the result is wanted.
    assert_eq!(lines.pipe("cat").take(2).unwrap(), ["0", "1"]);
}
#[test]
fn an_error_upstream_and_a_panic_of_the_printer_are_what_is_reported() {
    let sc = threads(1);
    let e =
        sc.range(0..5000, 1).map(|x| if x == 4000 { panic!("upstream") } else { x }).pipe("cat").count().unwrap_err();
    assert!(e.to_string().contains("panicked: upstream"), "{e}");
    let (e, line) =
        (sc.range(0..2, 1).pipe(Pipe::printing(["cat"], |_, _| panic!("printer"))).count().unwrap_err(), line!());
    assert!(e.to_string().contains("panicked: printer") && e.to_string().contains(&format!("pipe.rs:{line}:")), "{e}");
}
#[test]
fn a_cancelled_job_kills_its_processes() {
    let sc = threads(2);
    let stop = sc.canceller();
    let (told, said) = mpsc::channel();
    let canceller = winterbourne_base::thread::spawn("canceller", move || {
        let pid: String = said.recv().unwrap();
        stop.cancel_all_jobs();
        pid
    });
    // It never ends by itself, and what it started holds its pipes.
    let pids = sc.range(0..1, 1).pipe(sh("echo $$; sleep 1000 & wait"));
    let e = pids.map(move |pid| told.send(pid.to_string()).unwrap()).count().unwrap_err();
    assert!(matches!(e, Error::Cancelled { .. }), "{e}");
    let pid = canceller.unwrap().join().unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the shell was waited for");
}
