//! What records own counts against every bound of bytes.

use std::sync::mpsc::{TryRecvError, channel};

use super::{Rig, Script, at, next};
use crate::rate::{Allowance, Limit};
use crate::receive::{ChannelReceiver, Intake, IteratorReceiver};
use winterbourne_base::conf::keys;

/// A hundred thousand bytes, and those of the string itself.
const LARGE: u64 = 100_024;

fn large() -> String {
    "x".repeat(100_000)
}

/// Room for two large strings.
fn two() -> Rig {
    Rig::set(&[(keys::RECEIVER_BUFFER_SIZE.name(), "250000")])
}

#[test]
fn large_strings_fill_the_buffer_however_they_are_stored() {
    let ways: [fn(&Intake<String>) -> bool; 3] = [
        |intake| intake.store(large()).is_ok(),
        |intake| intake.store_all(vec![large()]).is_ok(),
        |intake| intake.store_reliably(vec![large()]).is_ok(),
    ];
    for way in ways {
        let rig = two();
        let (stored, seen) = channel();
        let stream = rig.start(Script(move |intake: &Intake<String>| {
            while way(intake) {
                stored.send(())?;
            }
            Ok(())
        }));
        next(&seen, 2);
        rig.clock.await_waiting(1);
        assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
        let info = stream.info();
        assert_eq!((info.records, info.buffered_bytes, info.waits), (2, 2 * LARGE, 1));
        assert_eq!(rig.take(&stream), [large(), large()]);
        next(&seen, 2);
        stream.stop();
        assert!(stream.join(None));
    }
}

#[test]
fn so_do_those_of_an_iterator_and_of_a_channel() {
    let (give, given) = channel();
    (0..5).for_each(|_| give.send(large()).unwrap());
    let rig = two();
    for stream in [rig.start(IteratorReceiver::new((0..5).map(|_| large()))), rig.start(ChannelReceiver::new(given))] {
        rig.clock.await_waiting(1);
        let info = stream.info();
        assert_eq!((info.records, info.buffered_bytes, info.waits), (2, 2 * LARGE, 1));
        stream.stop();
        assert!(stream.join(None));
    }
}

#[test]
fn the_maximum_byte_rate_sees_them() {
    let rig = Rig::set(&[(keys::RECEIVER_MAX_BYTE_RATE.name(), "50012")]);
    let (stored, seen) = channel();
    let stream = rig.start(Script(move |intake: &Intake<String>| {
        intake.store(large())?;
        Ok(stored.send(())?)
    }));
    rig.clock.await_waiting(1);
    rig.clock.set(at(11_999));
    assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
    rig.clock.set(at(12_000));
    next(&seen, 1);
    assert!(stream.join(None));
}

#[test]
fn back_pressure_in_bytes_sees_them() {
    let rig = Rig::new();
    let (stored, seen) = channel();
    let stream = rig.stream(Script(move |intake: &Intake<String>| {
        loop {
            intake.store(large())?;
            stored.send(())?;
        }
    }));
    // A batch may have one, and another may wait.
    stream.allow(&Allowance { bytes_per_s: Some(LARGE as f64), ..Allowance::default() });
    stream.start().unwrap();
    next(&seen, 2);
    rig.clock.await_waiting(1);
    assert_eq!(seen.try_recv(), Err(TryRecvError::Empty));
    let blocks = stream.allocate(at(11_000), true, Limit::NONE).unwrap();
    assert_eq!(blocks.iter().map(|block| block.bytes).sum::<u64>(), 2 * LARGE);
    stream.stop();
    assert!(stream.join(None));
}
