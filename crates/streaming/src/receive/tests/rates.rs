//! Rates of a receiver: what may come in, and when.

use std::sync::mpsc::{Receiver as Channel, TryRecvError, channel};

use super::{Rig, Script, at, next};
use crate::rate::Sample;
use crate::receive::{Intake, Receiver, ReceiverState};
use winterbourne_base::conf::keys;

/// Stores 0, 1, 2 … one by one, and says so.
fn counting() -> (impl Receiver<u64>, Channel<u64>) {
    let (stored, seen) = channel();
    let receiver = Script(move |intake: &Intake<u64>| {
        for n in 0.. {
            intake.store(n)?;
            stored.send(n)?;
        }
        Ok(())
    });
    (receiver, seen)
}

#[test]
fn one_record_comes_in_when_the_maximum_rate_allows_it() {
    let rig = Rig::set(&[(keys::RECEIVER_MAX_RATE.name(), "4")]);
    let (receiver, seen) = counting();
    let stream = rig.start(receiver);
    for (quarter, n) in (0..6).enumerate() {
        rig.clock.await_waiting(1);
        assert_eq!(seen.try_recv(), Err(TryRecvError::Empty), "{n}");
        rig.clock.set(at(10_249 + 250 * quarter as u64));
        assert_eq!(seen.try_recv(), Err(TryRecvError::Empty), "{n}");
        rig.clock.set(at(10_250 + 250 * quarter as u64));
        assert_eq!(next(&seen, 1), [n]);
    }
    rig.clock.await_waiting(1);
    let info = stream.info();
    assert_eq!((info.records, info.rate_limit, info.rate_waits, info.waits), (6, Some(4), 7, 0));
    stream.stop();
    assert!(stream.join(None));
    assert_eq!(stream.info().state, ReceiverState::Stopped);
}

#[test]
fn records_that_come_together_are_limited_together() {
    let rig = Rig::set(&[(keys::RECEIVER_MAX_RATE.name(), "100")]);
    let (stored, seen) = channel();
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        intake.store_all((0..250).collect())?;
        stored.send(0)?;
        intake.store_reliably(vec![7; 50])?;
        stored.send(1)?;
        Ok(())
    }));
    for (time, n) in [(12_500, 0), (13_000, 1)] {
        rig.clock.await_waiting(1);
        rig.clock.set(at(time - 1));
        assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
        rig.clock.set(at(time));
        assert_eq!(next(&seen, 1), [n]);
    }
    assert!(stream.join(None));
    assert_eq!(stream.info().records, 300);
}

#[test]
fn bytes_have_a_maximum_of_their_own() {
    let rig = Rig::set(&[(keys::RECEIVER_MAX_BYTE_RATE.name(), "1m")]);
    let (stored, seen) = channel();
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        intake.store_sized(vec![1], 2 << 20)?;
        stored.send(())?;
        Ok(())
    }));
    rig.clock.await_waiting(1);
    rig.clock.set(at(11_999));
    assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
    rig.clock.set(at(12_000));
    next(&seen, 1);
    assert!(stream.join(None));
}

/// Batches that process 100 records in a second; the maximum still counts.
#[test]
fn under_back_pressure_the_rate_follows_the_batches() {
    let on = (keys::BACKPRESSURE_ENABLED.name(), "true");
    let rig = Rig::set(&[on, (keys::BACKPRESSURE_INITIAL_RATE.name(), "10"), (keys::RECEIVER_MAX_RATE.name(), "150")]);
    let (receiver, seen) = counting();
    let stream = rig.start(receiver);
    let measure = |done_ms: u64, records, processing_ms: u64| {
        let (done_us, processing_us) = (done_ms * 1_000, processing_ms * 1_000);
        stream.measured(Sample { done_us, records, processing_us, scheduling_delay_us: 0 });
        stream.info().rate_limit
    };
    rig.clock.await_waiting(1);
    assert_eq!(measure(1_000, 100, 1_000), Some(10), "the first only measures");
    assert_eq!(measure(2_000, 100, 1_000), Some(100));
    assert_eq!(measure(3_000, 100, 200), Some(150));
    assert_eq!(measure(4_000, 0, 200), Some(150));
    assert_eq!(measure(5_000, 1, 10_000), Some(1), "the floor");
    // Who waits since the rate was 10 gets what is due at the new one.
    assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
    rig.clock.await_waiting(1);
    rig.clock.set(at(11_000));
    assert_eq!(next(&seen, 1), [0]);
    stream.stop();
    assert!(stream.join(None));
}

#[test]
fn without_back_pressure_batches_change_no_rate() {
    let rig = Rig::new();
    let stream = rig.stream(Script(super::idle));
    for done_us in [1, 2] {
        stream.measured(Sample { done_us, records: 1, processing_us: 1_000_000, scheduling_delay_us: 0 });
    }
    assert_eq!(stream.info().rate_limit, None);
}
