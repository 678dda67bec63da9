//! The short runs: by batches, not by time.
use std::process::Command;

fn soak(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_winterbourne-soak")).args(args).output().expect("it was built");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
    said.into_owned()
}

#[test]
fn a_process_that_is_fed_too_fast_stays_small_and_its_peer_waits() {
    let said = soak(&["flood", "--batches", "40"]);
    assert!(said.contains("the peer waited"), "{said}");
}

#[test]
fn small_batches_with_the_log_on_hold_no_more_in_the_end_than_at_first() {
    let said = soak(&["steady", "--interval-ms", "1", "--batches", "1500"]);
    assert!(said.contains("batches of 1 ms"), "{said}");
}

#[test]
fn what_it_cannot_do_it_says() {
    for args in [&["wet"][..], &["steady", "--batches", "many"], &["steady", "--batches"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_winterbourne-soak")).args(args).output().expect("it was built");
        assert!(!output.status.success() && !output.stderr.is_empty(), "{args:?}");
    }
}
