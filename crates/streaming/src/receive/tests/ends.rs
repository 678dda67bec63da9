//! Runs that the receiver ends itself, from any of its threads; and the delays between runs.

use std::sync::mpsc::channel;

use super::{Rig, Script, at, next};
use crate::receive::{Intake, ReceiverState, Stopped};
use winterbourne_base::conf::keys;
use winterbourne_base::thread;
use winterbourne_base::time::milliseconds;
use winterbourne_engine::BoxError;

/// A receiver that blocks until a hook ends it, and hands its intake to the test.
fn blocked(rig: &Rig) -> (std::sync::Arc<crate::receive::ReceiverStream<u64>>, std::sync::mpsc::Receiver<Intake<u64>>) {
    let (keep, kept) = channel();
    let stream = rig.start(Script(move |intake: &Intake<u64>| {
        let (stop, stopped) = channel::<()>();
        intake.on_stop(move || drop(stop));
        keep.send(intake.clone())?;
        let _ = stopped.recv();
        Ok(())
    }));
    (stream, kept)
}

#[test]
fn a_thread_of_the_receiver_may_stop_it_for_good() {
    let rig = Rig::new();
    let (stream, kept) = blocked(&rig);
    let intake = next(&kept, 1).remove(0);
    intake.store(7).unwrap();
    let theirs = intake.clone();
    thread::spawn("watching", move || theirs.stop("the device is gone")).unwrap().join().unwrap();
    assert!(intake.is_stopped() && stream.has_ended());
    assert_eq!(intake.store(8), Err(Stopped));
    assert!(stream.join(None), "the hook ended what it blocked in");
    let info = stream.info();
    assert_eq!((info.state, info.restarts), (ReceiverState::Stopped, 0));
    assert_eq!((info.last_error.as_deref(), info.last_error_time), (Some("the device is gone"), Some(at(10_000))));
    assert_eq!(rig.told(), [("started", ReceiverState::Active), ("stopped", ReceiverState::Stopped)]);
    intake.stop("again");
    intake.restart("again");
    assert_eq!(stream.info().last_error.as_deref(), Some("the device is gone"), "its run is over");
    assert_eq!(rig.take(&stream), [7], "what was taken is kept");
}

#[test]
fn a_thread_of_the_receiver_may_have_it_called_again() {
    let rig = Rig::set(&[(keys::RECEIVER_RESTART_DELAY.name(), "3s")]);
    let (stream, kept) = blocked(&rig);
    let first = next(&kept, 1).remove(0);
    first.restart("no heartbeat");
    assert_eq!((first.is_stopped(), first.store(1)), (true, Err(Stopped)), "whatever becomes of the call");
    let waiting = ReceiverState::Restarting { at: at(13_000) };
    rig.await_state(&stream, waiting);
    assert!(!stream.has_ended());
    assert_eq!(stream.info().last_error.as_deref(), Some("no heartbeat"));
    rig.clock.await_waiting(1);
    rig.clock.advance(milliseconds(3_000));
    let second = next(&kept, 1).remove(0);
    assert_eq!(second.store(2), Ok(()));
    first.restart("of a run that is over");
    first.stop("of a run that is over");
    assert_eq!((second.store(3), stream.info().restarts), (Ok(()), 1));
    stream.stop();
    assert!(stream.join(None));
    assert_eq!(rig.take(&stream), [2, 3]);
    let (active, stopped) = (ReceiverState::Active, ReceiverState::Stopped);
    assert_eq!(rig.told(), [("started", active), ("stopped", waiting), ("started", active), ("stopped", stopped)]);
}

#[test]
fn a_wish_wakes_threads_that_wait_for_room() {
    let rig = Rig::set(&[(keys::RECEIVER_BUFFER_SIZE.name(), "8")]);
    for stops in [true, false] {
        let (stream, kept) = blocked(&rig);
        let intake = next(&kept, 1).remove(0);
        intake.store(1).unwrap();
        let theirs = intake.clone();
        let waiting = thread::spawn("waiting", move || theirs.store(2)).unwrap();
        rig.clock.await_waiting(1);
        if stops {
            intake.stop("enough")
        } else {
            intake.restart("enough")
        }
        assert_eq!(waiting.join().unwrap(), Err(Stopped));
        stream.stop();
        assert!(stream.join(None));
    }
}

#[test]
fn the_delay_grows_while_nothing_is_received() {
    let rig = Rig::set(&[(keys::RECEIVER_RESTART_DELAY.name(), "100ms")]);
    let mut call = 0;
    let stream = rig.start(Script(move |intake: &Intake<u64>| -> Result<(), BoxError> {
        call += 1;
        if call == 7 {
            intake.store(call)?;
        }
        Err("no route".into())
    }));
    let mut due = 10_000;
    for delay in [100, 200, 400, 800, 1_600, 1_600, 100, 200] {
        due += delay;
        rig.await_state(&stream, ReceiverState::Restarting { at: at(due) });
        rig.clock.await_waiting(1);
        rig.clock.set(at(due));
    }
    stream.stop();
    assert!(stream.join(None));
}
