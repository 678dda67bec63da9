//! The demo program as its user sees it: a process, its standard output, Ctrl-C.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]
use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

/// The example program. `cargo test` builds examples as tests only, so the first to ask builds it as what it is.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut path = env::current_exe().unwrap();
        path.pop();
        path.pop();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--example", "network_word_count"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if path.ends_with("release") {
            build.arg("--release");
        }
        build.env("CARGO_TARGET_DIR", path.parent().unwrap());
        assert!(build.status().unwrap().success(), "the example does not build");
        path.join("examples/network_word_count")
    })
}
fn demo(args: &[&str]) -> Child {
    let mut command = Command::new(program());
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}
fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn an_interrupt_finishes_the_last_batch_and_counts_every_line_that_came_in() {
    let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let mut child = demo(&["127.0.0.1", &port, "--interval-ms", "200", "--master", "local[1]"]);
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (mut client, _) = server.accept().unwrap();
    client.write_all(b"to be or not to be\n").unwrap();
    assert_eq!(out.by_ref().find(|l| l.starts_with("(be,")).as_deref(), Some("(be,2)"));
    // More lines, and the interrupt right behind them: whatever was received is counted.
    client.write_all("that is the question\n".repeat(1000).as_bytes()).unwrap();
    interrupt(&child);
    let rest: Vec<String> = out.collect();
    let summary = rest.last().expect("a summary line");
    let numbers: Vec<u64> = summary.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let [_batches, lines_in, counted, words] = numbers[..] else { panic!("{summary}") };
    assert_eq!(lines_in, counted, "{summary}");
    assert_eq!(words, 6 + (counted - 1) * 4, "{summary}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
#[test]
fn stops_after_as_many_batches_as_it_was_told() {
    let mut child = demo(&["--batches", "3", "--interval-ms", "100"]);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("\nTime: ").count(), 3, "{text}");
    assert!(text.lines().last().unwrap().starts_with("3 batches: "), "{text}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
#[test]
fn bad_arguments_are_named_and_nothing_runs() {
    for (args, named) in [
        (&["--interval-ms", "0"][..], "positive number of milliseconds"),
        (&["--master", "lokal"], "could not parse master URL: `lokal`"),
        (&["localhost"], "HOST and PORT"),
        (&["--fast"], "unknown option --fast"),
    ] {
        let output = demo(args).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(named), "{args:?}: {said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{args:?}");
    }
}
