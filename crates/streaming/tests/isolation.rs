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
    let ssc = lives_on(|_| panic!("again"), |ears| drop(ears.receiver_stopped()));
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

#[test]
fn a_receiver_that_floods() {
    let ssc = lives_on(
        |intake| {
            loop {
                intake.store_all((0..50).collect())?;
            }
        },
        |_| (),
    );
    let info = &ssc.status().receivers[0];
    assert!(info.stalls > 0, "it waits: {info:?}");
    assert!(info.buffered_bytes <= 256 << 20);
    ssc.stop(Stop::now());
}
