//! What one receiver does, its neighbour does not feel.
mod common;
use common::*;
use std::sync::mpsc::{Receiver, Sender, channel};
use winterbourne_engine::BoxError;
use winterbourne_streaming::{DStream, Intake, ReceiverState, Stop, StreamingContext};

/// A neighbour that stores what it is told to, and says when it has.
fn neighbour(ssc: &StreamingContext) -> (Sender<u64>, Receiver<()>, DStream<u64>) {
    let ((give, given), (stored, ready)) = (channel::<u64>(), channel());
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        for n in given.iter() {
            intake.store(n)?;
            stored.send(())?;
        }
        Ok(())
    }));
    (give, ready, stream)
}

/// Twenty batches, each with the record of the neighbour, whatever the other receiver does meanwhile; `wait` before each.
fn lives_on(
    bad: impl FnMut(&Intake<u64>) -> Result<(), BoxError> + Send + 'static,
    wait: impl Fn(&Ears),
) -> StreamingContext {
    let (clock, ssc) = manual(&[("spark.streaming.receiverRestartDelay", "1s")]);
    out(&ssc.receiver_stream(Script(bad)));
    let (give, ready, stream) = neighbour(&ssc);
    let batches = send(&stream);
    let ears = Ears::on(&ssc);
    ssc.start().expect("a good graph");
    for n in 1..=20 {
        wait(&ears);
        give.send(n).expect("it receives");
        next(&ready);
        clock.set(at(n));
        assert_eq!(next(&batches), (at(n), vec![n]));
    }
    let info = &ssc.status().receivers[1];
    assert_eq!((info.state, info.restarts, info.records, info.stalls), (ReceiverState::Active, 0, 20, 0));
    ssc
}

#[test]
fn a_receiver_that_panics_again_and_again() {
    let panics = |intake: &Intake<u64>| {
        intake.store(0)?; // or the delay would grow
        panic!("again")
    };
    let ssc = lives_on(panics, |ears| drop(ears.receiver_stopped()));
    let info = &ssc.status().receivers[0];
    assert!(info.restarts >= 19 && info.last_error.as_ref().is_some_and(|e| e.contains("again")), "{info:?}");
    ssc.stop(Stop::now());
}

#[test]
fn a_receiver_that_blocks_for_ever() {
    let (never, release) = channel::<()>();
    let release = std::sync::Mutex::new(release);
    let ssc = lives_on(
        move |_| {
            let _ = release.lock().expect("one thread").recv();
            Ok(())
        },
        |_| (),
    );
    assert_eq!(ssc.status().receivers[0].state, ReceiverState::Active);
    ssc.stop(Stop::now());
    drop(never);
}

/// Of the buffer, and of each of its records: four fit, and the fifth does not.
const BUFFER: u64 = 1 << 20;
const RECORD: usize = 250_000;

#[test]
fn a_receiver_that_floods() {
    let (clock, ssc) = manual(&[
        ("spark.streaming.receiver.bufferSize", &BUFFER.to_string()),
        ("spark.streaming.backpressure.enabled", "false"),
    ]);
    let (full, stalled) = channel();
    let flood = ssc.receiver_stream(Script(move |intake: &Intake<Vec<u8>>| {
        loop {
            intake.store(vec![0; RECORD])?;
            full.send(())?;
        }
    }));
    let floods = send(&flood.map(|record| record.len()));
    let (give, ready, stream) = neighbour(&ssc);
    let batches = send(&stream);
    ssc.start().expect("a good graph");
    for n in 1..=20 {
        // All that fits is stored, and what is held never passes the bound.
        (0..4).for_each(|_| next(&stalled));
        clock.await_waiting(3); // the loop, the listeners' thread, and the receiver with its fifth
        let held = ssc.status().receivers[0].buffered_bytes;
        assert!((4 * RECORD as u64..=BUFFER).contains(&held), "{held}");
        give.send(n).expect("it receives");
        next(&ready);
        clock.set(at(n));
        assert_eq!(next(&floods), (at(n), vec![RECORD; 4]));
        assert_eq!(next(&batches), (at(n), vec![n]));
    }
    let receivers = ssc.status().receivers;
    assert!(receivers[0].waits > 0, "it waits: {:?}", receivers[0]);
    assert_eq!((receivers[1].restarts, receivers[1].records, receivers[1].stalls), (0, 20, 0));
    ssc.stop(Stop::now());
}
