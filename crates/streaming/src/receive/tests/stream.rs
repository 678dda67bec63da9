//! The promises of a receiver stream: what is taken is kept, a full buffer waits, a failure is tried again, a stop ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{TryRecvError, channel, sync_channel};

use super::{Rig, Script, at, idle, next};
use crate::rate::Limit;
use crate::receive::{Intake, ReceiverState, Stopped, Tolerated};
use winterbourne_base::conf::keys;
use winterbourne_base::thread;
use winterbourne_base::time::milliseconds;
use winterbourne_engine::BoxError;

fn two_records_only() -> Rig {
    Rig::set(&[(keys::RECEIVER_BUFFER_SIZE.name(), "16")])
}

#[test]
fn what_was_received_before_the_source_ended_is_allocated_after_it() {
    let rig = Rig::new();
    let stream = rig.start(Script(|intake: &Intake<u64>| {
        intake.store(1)?;
        intake.store_all((2..200).collect())?;
        intake.tolerated(Tolerated::InvalidUtf8, 3);
        assert_eq!((intake.stream_id(), intake.max_record(), intake.reconnects()), (0, 8 << 20, true));
        Ok(())
    }));
    rig.await_fact("the end", || stream.has_ended());
    assert_eq!(stream.waiting(), 199);
    assert_eq!(rig.take(&stream), (1..200).collect::<Vec<u64>>());
    assert!(stream.join(None));
    let info = stream.info();
    assert_eq!((info.name.as_str(), info.state), ("Script-0", ReceiverState::Ended));
    assert_eq!((info.records, info.waiting_records, info.buffered_bytes, info.invalid_utf8), (199, 0, 0, 3));
    assert_eq!(rig.told(), [("started", ReceiverState::Active), ("stopped", ReceiverState::Ended)]);
}

#[test]
fn a_full_buffer_holds_the_receiver_until_a_batch_is_done() {
    let rig = two_records_only();
    let (stored, seen) = channel();
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        for n in 0..5 {
            intake.store(n)?;
            stored.send(n)?;
        }
        Ok(())
    }));
    assert_eq!(next(&seen, 2), [0, 1]);
    rig.clock.await_waiting(1);
    let block = stream.allocate(at(11_000), true, Limit::NONE).unwrap();
    assert_eq!((block.len(), block[0].records), (1, 2));
    assert_eq!(seen.try_recv(), Err(TryRecvError::Empty), "allocated is still held");
    let info = stream.info();
    assert_eq!((info.records, info.buffered_bytes, info.waits), (2, 16, 1));
    stream.release(&[block[0].id]);
    assert_eq!(next(&seen, 2), [2, 3]);
    assert_eq!(rig.take(&stream), [2, 3]);
    assert_eq!(next(&seen, 1), [4]);
    assert!(stream.join(None));
}

#[test]
fn a_push_larger_than_the_bound_comes_in_alone() {
    let rig = two_records_only();
    let (stored, seen) = channel();
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        for records in [vec![1, 2, 3], vec![4], vec![5, 6, 7]] {
            let last = records.last().copied();
            intake.store_all(records)?;
            stored.send(last)?;
        }
        Ok(())
    }));
    for expect in [vec![1, 2, 3], vec![4], vec![5, 6, 7]] {
        assert_eq!(next(&seen, 1), [expect.last().copied()]);
        assert_eq!(rig.take(&stream), expect);
    }
    assert!(stream.join(None));
}

#[test]
fn a_stop_wakes_a_blocked_receiver_and_keeps_what_it_stored() {
    let rig = two_records_only();
    let (result, seen) = channel();
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        intake.store_all(vec![1, 2])?;
        let blocked = intake.store(3);
        result.send((blocked, intake.store_all(vec![]), intake.is_stopped()))?;
        Ok(blocked?)
    }));
    rig.clock.await_waiting(1);
    assert!(!stream.has_ended());
    stream.stop();
    assert!(stream.has_ended());
    assert_eq!(next(&seen, 1), [(Err(Stopped), Err(Stopped), true)]);
    assert!(stream.join(None));
    let info = stream.info();
    assert_eq!((info.state, info.last_error), (ReceiverState::Stopped, None));
    assert_eq!(rig.take(&stream), [1, 2]);
}

#[test]
fn a_failure_waits_for_the_delay_on_the_clock_and_goes_on_with_what_it_had() {
    let rig = Rig::set(&[(keys::RECEIVER_RESTART_DELAY.name(), "3s")]);
    let mut call = 0;
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        call += 1;
        intake.store(call)?;
        if call == 1 { Err("no route".into()) } else { Ok(()) }
    }));
    let waiting = ReceiverState::Restarting { at: at(13_000) };
    rig.await_state(&stream, waiting);
    rig.clock.await_waiting(1);
    assert_eq!(rig.clock.next_deadline(), Some(at(13_000)));
    rig.clock.advance(milliseconds(2_999));
    assert_eq!(rig.clock.next_deadline(), Some(at(13_000)));
    let info = stream.info();
    assert_eq!((info.state, info.restarts), (waiting, 0));
    assert_eq!((info.last_error.as_deref(), info.last_error_time), (Some("no route"), Some(at(10_000))));
    rig.clock.advance(milliseconds(1));
    rig.await_state(&stream, ReceiverState::Ended);
    assert_eq!(stream.info().restarts, 1);
    assert_eq!(rig.take(&stream), [1, 2]);
    assert!(stream.join(None));
    let active = ReceiverState::Active;
    let ended = ReceiverState::Ended;
    assert_eq!(rig.told(), [("started", active), ("stopped", waiting), ("started", active), ("stopped", ended)]);
}

#[test]
fn a_panic_is_a_failure_with_its_text() {
    let rig = Rig::new();
    let stream = rig.start(Script(|_: &Intake<u64>| -> Result<(), BoxError> { panic!("index out of luck") }));
    rig.await_state(&stream, ReceiverState::Restarting { at: at(12_000) });
    assert_eq!(stream.info().last_error.as_deref(), Some("panicked: index out of luck"));
    stream.stop();
    assert!(stream.join(None), "a stop ends the delay");
    assert_eq!(stream.info().state, ReceiverState::Stopped);
}

#[test]
fn a_receiver_that_ignores_the_stop_is_abandoned_and_disturbs_nobody() {
    let rig = Rig::new();
    let (release, blocked) = sync_channel::<()>(0);
    let (entered, inside) = channel();
    let deaf = rig.start(Script(move |intake: &Intake<u64>| {
        entered.send(())?;
        let _ = blocked.recv();
        assert_eq!(intake.store(1), Err(Stopped));
        Ok(())
    }));
    let other = rig.start(Script(|intake: &Intake<u64>| Ok(intake.store(7)?)));
    next(&inside, 1);
    deaf.stop();
    let joining = {
        let deaf = Arc::clone(&deaf);
        thread::spawn("joining", move || deaf.join(Some(at(15_000)))).unwrap()
    };
    rig.clock.await_waiting(1);
    assert_eq!(rig.clock.next_deadline(), Some(at(15_000)));
    rig.clock.advance(milliseconds(5_000));
    assert!(!joining.join().unwrap());
    assert_eq!(deaf.info().state, ReceiverState::Abandoned);
    assert!(other.join(None));
    assert_eq!(rig.take(&other), [7]);
    drop(release);
    assert!(deaf.join(None), "it may still end by itself");
    assert_eq!(deaf.info().state, ReceiverState::Stopped);
    assert_eq!(deaf.waiting(), 0);
}

#[test]
fn a_join_without_a_stop_abandons_nobody() {
    let rig = Rig::new();
    let (release, blocked) = sync_channel::<()>(0);
    let stream = rig.start(Script(move |_: &Intake<u64>| {
        let _ = blocked.recv();
        Ok(())
    }));
    rig.await_state(&stream, ReceiverState::Active);
    assert!(!stream.join(Some(at(10_000))));
    assert_eq!(stream.info().state, ReceiverState::Active);
    drop(release);
    assert!(stream.join(None));
    assert_eq!(stream.info().state, ReceiverState::Ended);
}

#[test]
fn hooks_run_once_on_stop_and_are_dropped_with_their_run() {
    let rig = Rig::new();
    let (called, owned) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
    let (release, blocked) = sync_channel(1);
    let (calls, hook_owns) = (Arc::clone(&called), Arc::clone(&owned));
    let (mut call, mut blocked) = (0, Some(blocked));
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        call += 1;
        let (calls, hook_owns) = (Arc::clone(&calls), Arc::clone(&hook_owns));
        intake.on_stop(move || {
            calls.fetch_add(1, Ordering::Relaxed);
            drop(hook_owns);
        });
        if call == 1 {
            return Err("the first run fails".into());
        }
        intake.on_stop(|| panic!("a bad hook"));
        let release = release.clone();
        intake.on_stop(move || release.send(()).unwrap());
        blocked.take().map(|blocked| blocked.recv());
        intake.on_stop(|| ());
        Ok(())
    }));
    rig.await_state(&stream, ReceiverState::Restarting { at: at(12_000) });
    rig.clock.await_waiting(1);
    assert_eq!((called.load(Ordering::Relaxed), Arc::strong_count(&owned)), (0, 2), "dropped, not called");
    rig.clock.advance(milliseconds(2_000));
    rig.await_state(&stream, ReceiverState::Active);
    stream.stop();
    assert!(stream.join(None));
    assert_eq!((called.load(Ordering::Relaxed), Arc::strong_count(&owned)), (1, 1));
}

#[test]
fn a_hook_given_after_the_stop_runs_at_once() {
    let rig = Rig::new();
    let stream = rig.stream(Script(idle));
    let intake = stream.intake();
    stream.stop();
    let (called, seen) = channel();
    intake.on_stop(move || called.send(()).unwrap());
    assert_eq!(seen.try_recv(), Ok(()));
}

#[test]
fn the_intake_of_a_run_that_is_over_takes_nothing() {
    let rig = Rig::new();
    let (keep, kept) = channel();
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        keep.send(intake.clone())?;
        Err("failed, and left a thread behind".into())
    }));
    rig.await_state(&stream, ReceiverState::Restarting { at: at(12_000) });
    let stale = next(&kept, 1).remove(0);
    assert!(stale.is_stopped());
    assert_eq!((stale.store(1), stale.store_all(vec![2])), (Err(Stopped), Err(Stopped)));
    assert_eq!(stream.waiting(), 0);
    stream.stop();
    assert!(stream.join(None));
}

#[test]
fn a_reported_error_is_told_and_the_run_goes_on() {
    let rig = Rig::new();
    let stream = rig.start(Script(|intake: &Intake<u64>| {
        intake.report_error("odd frame");
        Ok(intake.store(1)?)
    }));
    rig.await_state(&stream, ReceiverState::Ended);
    assert_eq!(rig.errors(), ["odd frame"]);
    assert_eq!(rig.told()[1], ("error", ReceiverState::Active));
    assert_eq!((stream.info().last_error.as_deref(), stream.waiting()), (Some("odd frame"), 1));
    assert!(stream.join(None));
}

#[test]
fn a_stream_starts_once_and_never_after_a_stop() {
    let rig = Rig::new();
    let stream = rig.stream(Script(|_: &Intake<u64>| -> Result<(), BoxError> { panic!("called after a stop") }));
    assert!(stream.join(None), "there is nothing to wait for");
    stream.stop();
    assert_eq!(stream.info().state, ReceiverState::Stopped);
    stream.start().unwrap();
    assert!(stream.start().is_err());
    assert!(stream.join(None));
    assert!(stream.start().is_err());
    assert_eq!((stream.info().last_error, rig.told()), (None, vec![]));
}
