//! Rates of a receiver: what may come in, and when.

use std::sync::mpsc::{Receiver as Channel, TryRecvError, channel};

use super::{Rig, Script, at, next};
use crate::rate::{Allowance, Limit};
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

/// What batches keep up with: 10 records, or as many as each case says.
fn allowance(records_per_s: f64) -> Allowance {
    Allowance { records_per_s: Some(records_per_s), ..Allowance::default() }
}

#[test]
fn twice_of_what_a_batch_may_hold_is_all_that_is_held() {
    let rig = Rig::set(&[(keys::RECEIVER_MAX_RATE.name(), "1000000")]);
    let (receiver, seen) = counting();
    let stream = rig.stream(receiver);
    stream.allow(&allowance(10.0)); // batches are a second long
    stream.start().unwrap();
    rig.clock.await_waiting(1); // for the maximum rate
    rig.clock.set(at(10_500));
    assert_eq!(next(&seen, 20), (0..20).collect::<Vec<_>>());
    rig.clock.await_waiting(1);
    assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
    let ten = Limit { records: Some(10), bytes: None };
    let first = stream.allocate(at(11_000), true, ten).unwrap();
    assert_eq!(first.iter().map(|block| block.records).sum::<u64>(), 10, "in blocks that are small enough");
    assert_eq!(seen.try_recv(), Err(TryRecvError::Empty), "the batch is not done");
    let info = stream.info();
    assert_eq!((info.rate_limit, info.rate_waits > 0, info.waits), (Some(10), true, 0));

    let ids: Vec<_> = first.iter().map(|block| block.id).collect();
    stream.release(&ids);
    assert_eq!(next(&seen, 10), (20..30).collect::<Vec<_>>());
    rig.clock.await_waiting(1);
    stream.allow(&allowance(15.0));
    assert_eq!(next(&seen, 10), (30..40).collect::<Vec<_>>(), "the records that waited are taken in at once");
    stream.allow(&Allowance::default());
    assert_eq!(stream.info().rate_limit, Some(1_000_000));
    stream.stop();
    assert!(stream.join(None));
}
