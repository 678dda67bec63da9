//! The context that runs in this process: found by whoever asks, forgotten when it stops. A program of its own, since there
//! is one such context in a process.
mod common;

use common::*;
use std::cell::Cell;
use winterbourne_streaming::{Error, Stop, StreamingContext, StreamingState};

#[test]
fn the_running_context_is_found_and_otherwise_one_is_made() {
    let dir = TempDir::new();
    let made = Cell::new(0);
    let build = || {
        made.set(made.get() + 1);
        let (_, ssc) = manual(&[]);
        out(&ssc.input_stream("tape", Tape::default().input()));
        Ok(ssc)
    };
    assert!(StreamingContext::active().is_none());
    let first = StreamingContext::get_active_or_create(build).expect("built");
    assert!(StreamingContext::active().is_none(), "it was not started");
    first.start().expect("a start");
    let found = StreamingContext::active().expect("it runs");
    assert!(found.spark_context().same(first.spark_context()));
    StreamingContext::get_active_or_create(build).expect("found");
    StreamingContext::get_active_or_create_in(dir.at("a"), build).expect("found");
    assert_eq!(made.get(), 1, "there was one already");
    found.stop(Stop::now());
    assert_eq!(first.state(), StreamingState::Stopped, "both are handles of one context");
    assert!(StreamingContext::active().is_none());
    let second = StreamingContext::get_active_or_create_in(dir.at("a"), build).expect("built");
    assert_eq!(made.get(), 2);
    second.start().expect("a start in its directory");
    assert_eq!(second.status().durable.expect("it has one").directory, dir.at("a"));
    second.stop(Stop::now());
}

#[test]
fn a_function_that_starts_its_context_is_refused() {
    let dir = TempDir::new();
    let started = StreamingContext::get_or_create(dir.at("a"), || {
        let (_, ssc) = manual(&[]);
        ssc.stop(Stop::now());
        Ok(ssc)
    });
    let Err(Error::Recovery { what, .. }) = started else { panic!("it was not refused") };
    assert!(what.contains("must not start or stop"), "{what}");
}
