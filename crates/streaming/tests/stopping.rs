//! Every way to stop a stream: gracefully and at once, from anywhere, with receivers that do not listen.
mod common;
use common::*;
use std::{
    io::Write,
    sync::{
        Mutex,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, channel, sync_channel},
    },
};
use winterbourne_base::{ManualClock, Time, thread::spawn};
use winterbourne_engine::{BoxError, Rdd, SparkContext, SparkListenerEvent, Text};
use winterbourne_streaming::{
    DStream, Error, Input, Intake, Planned, QueueOptions, RddQueue, ReceiverState, Stop, StreamingContext,
    StreamingEvent, StreamingState, Tick,
};

#[test]
fn start_after_stop_is_refused() {
    let (_clock, ssc, _queue) = simple(&[]);
    ssc.start().unwrap();
    ssc.stop(Stop::now());
    assert!(matches!(ssc.start(), Err(Error::AlreadyStopped)));
    assert!(matches!(ssc.start_stepped(), Err(Error::AlreadyStopped)));
}
#[test]
fn stop_before_start_marks_the_context() {
    let (_clock, ssc, _queue) = simple(&[]);
    ssc.stop(Stop::gracefully());
    assert_eq!(ssc.state(), StreamingState::Stopped);
    ssc.await_termination().unwrap();
    assert!(matches!(ssc.start(), Err(Error::AlreadyStopped)));
}
/// Lines over sockets, all read by the receiver before the stop.
#[test]
fn a_graceful_stop_processes_everything_received() {
    const LINES: u64 = 5000;
    let ssc = real(&[], 20);
    let (server, port) = listen();
    let counted = total(&ssc.socket_text_stream("127.0.0.1", port));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    let mut client = accept(&server);
    (0..LINES).for_each(|i| writeln!(client, "line {i}").unwrap());
    drop(client);
    assert_eq!(ears.receiver_stopped().records, LINES);
    ssc.stop(Stop::gracefully());
    let status = ssc.status();
    assert_eq!((counted.load(Relaxed), status.processed_records), (LINES, LINES));
    assert_eq!(status.receivers[0].waiting_records, 0);
    ssc.await_termination().unwrap();
}
#[test]
fn a_graceful_stop_in_the_middle_loses_nothing_that_was_taken_in() {
    let ssc = real(&[], 10);
    let (server, port) = listen();
    let counted = total(&ssc.socket_text_stream("127.0.0.1", port));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    let mut client = accept(&server);
    let writing = spawn("writing", move || while client.write_all(b"a line\nanother\n").is_ok() {}).unwrap();
    while ears.batch().records == 0 {}
    ssc.stop(Stop::gracefully());
    let received = ssc.status().receivers[0].records;
    assert!(received > 0);
    assert_eq!(counted.load(Relaxed), received);
    writing.join().unwrap();
}
#[test]
fn local_1_serves_any_number_of_receivers_and_one_that_never_returns() {
    const LINES: u64 = 300;
    let one = conf(&[("spark.streaming.gracefulStopTimeout", "3s")]).set_master("local[1]");
    let clock = ManualClock::new(at(0));
    let ssc = StreamingContext::with_clock(&SparkContext::new(one).unwrap(), ms(1_000), clock.clone()).unwrap();
    let servers = [listen(), listen(), listen()];
    let sockets: Vec<_> = servers.iter().map(|(_, port)| ssc.socket_text_stream("127.0.0.1", *port)).collect();
    let ((release, blocked), (entered, inside), (stop, told)) = (sync_channel::<()>(0), channel(), channel());
    let deaf = ssc.receiver_stream(Script(move |intake: &Intake<Text>| {
        let stop = stop.clone();
        intake.on_stop(move || stop.send(()).expect("the test listens"));
        entered.send(())?;
        // Nobody ever sends: it returns when the test is over.
        let _ = blocked.recv();
        Ok(())
    }));
    // The one that never returns is the first to be told to stop.
    let counted = total(&ssc.union(&[vec![deaf], sockets].concat()));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    next(&inside);
    for (server, _) in &servers {
        let mut client = accept(server);
        (0..LINES).for_each(|i| writeln!(client, "line {i}").unwrap());
    }
    (0..3).for_each(|_| assert_eq!(ears.receiver_stopped().records, LINES));
    let stopper = ssc.clone();
    let stopping = spawn("stopping", move || stopper.stop(Stop::gracefully())).unwrap();
    next(&told);
    // It waits for the tick at which what was received is run, and then for the receiver that does not return.
    clock.set(at(1));
    ears.batch();
    clock.set(at(3));
    stopping.join().unwrap();
    assert_eq!(counted.load(Relaxed), 3 * LINES);
    let states: Vec<_> = ssc.status().receivers.iter().map(|r| r.state).collect();
    assert_eq!(states.iter().filter(|s| **s == ReceiverState::Abandoned).count(), 1, "{states:?}");
    drop(release);
}
#[test]
fn a_receiver_that_does_not_stop_costs_the_others_no_record() {
    let (clock, ssc) = manual(&[("spark.streaming.gracefulStopTimeout", "5s")]);
    let ((release, blocked), (entered, inside), (stop, told)) = (sync_channel::<()>(0), channel(), channel());
    let deaf = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        let stop = stop.clone();
        intake.on_stop(move || stop.send(()).expect("the test listens"));
        entered.send(())?;
        let _ = blocked.recv();
        Ok(())
    }));
    let (stored, seen) = channel();
    let other = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        intake.store_all(vec![1, 2, 3])?;
        stored.send(())?;
        Ok(())
    }));
    let counted = total(&deaf.union(&other));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    next(&inside);
    next(&seen);
    let stopper = ssc.clone();
    let stopping = spawn("stopping", move || stopper.stop(Stop::gracefully())).unwrap();
    next(&told);
    clock.set(at(1));
    assert_eq!(ears.batch().records, 3);
    clock.set(at(5));
    stopping.join().unwrap();
    assert_eq!((counted.load(Relaxed), ssc.state()), (3, StreamingState::Stopped));
    drop(release);
}
#[test]
fn a_stop_at_once_drops_what_was_not_processed() {
    let (clock, ssc) = manual(&[]);
    let (stored, seen) = channel();
    let counted = total(&ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        intake.store_all(vec![1, 2, 3])?;
        stored.send(())?;
        Err("waits for its restart".into())
    })));
    ssc.start().unwrap();
    next(&seen);
    ssc.stop(Stop::now());
    clock.set(at(5));
    assert_eq!((counted.load(Relaxed), ssc.status().completed_batches), (0, 0));
    ssc.await_termination().unwrap();
}
/// A stream with an endless batch; says when a task of it runs.
fn endless(ssc: &StreamingContext) -> (DStream<u64>, Receiver<()>) {
    let (begun, seen) = channel();
    let four = ssc.spark_context().range(0..4, 4);
    let stream = ssc.queue_stream_with(&RddQueue::new(), QueueOptions::default().default_rdd(four));
    let endless = stream.flat_map(move |_| {
        let _ = begun.send(());
        0u64..
    });
    (endless, seen)
}
#[test]
fn a_stop_at_once_cancels_and_undoes_the_running_batch() {
    let (clock, ssc) = manual(&[]);
    let (stream, seen) = endless(&ssc);
    let counted = total(&stream);
    ssc.start().unwrap();
    clock.set(at(1));
    next(&seen);
    ssc.stop(Stop::now());
    let status = ssc.status();
    assert_eq!((status.completed_batches, status.state), (0, StreamingState::Stopped));
    assert_eq!((status.failed_attempts, counted.load(Relaxed)), (1, 0), "it is not tried again");
    ssc.await_termination().unwrap();
}
#[test]
fn a_stop_at_once_cancels_what_the_batch_begins_later_too() {
    let (clock, ssc) = manual(&[]);
    let (stream, seen) = endless(&ssc);
    stream.foreach_rdd(|rdd, _| {
        // A body that does not take the first error for an answer.
        let _ = rdd.count();
        rdd.count()?;
        Ok(())
    });
    ssc.start().unwrap();
    clock.set(at(1));
    next(&seen);
    let (stopped, done) = channel();
    let stopper = ssc.clone();
    let _stopping = spawn("stopping", move || {
        stopper.stop(Stop::now());
        let _ = stopped.send(());
    });
    next(&done);
}
#[test]
fn a_stop_from_within_foreach_rdd_does_not_deadlock() {
    for how in [Stop::now(), Stop::gracefully()] {
        let (clock, ssc) = manual(&[]);
        let ((_queue, stream), inside) = (queue(&ssc), ssc.clone());
        stream.foreach_rdd(move |_, _| {
            inside.stop(how);
            Ok(())
        });
        ssc.start().unwrap();
        clock.set(at(1));
        ssc.await_termination().unwrap();
        assert_eq!(ssc.status().completed_batches, 1, "the stop waits for its batch");
    }
}
#[test]
fn a_stop_from_the_closure_of_a_record_does_not_deadlock() {
    for how in [Stop::now(), Stop::gracefully()] {
        let (clock, ssc) = manual(&[]);
        // rustc refuses to share a context with record closures; a lock, or `StreamingContext::active`, gets around that.
        let inside = Mutex::new(ssc.clone());
        // More tasks than threads: some run on the thread of the batches, others beside it.
        let eight = ssc.spark_context().range(0..8, 8);
        let stream = ssc.queue_stream_with(&RddQueue::new(), QueueOptions::default().default_rdd(eight));
        let counted = total(&stream.map(move |n| {
            let inside = inside.lock().unwrap().clone();
            inside.stop(how);
            n
        }));
        ssc.start().unwrap();
        clock.set(at(1));
        ssc.await_termination().unwrap();
        assert_eq!((ssc.status().completed_batches, counted.load(Relaxed)), (1, 8), "the stop waits for its batch");
    }
}
#[test]
fn a_stop_at_once_ends_a_graceful_one_that_waits_for_a_deaf_receiver() {
    let (_clock, ssc) = manual(&[("spark.streaming.gracefulStopTimeout", "1h")]);
    let ((release, blocked), (entered, inside), (stop, told)) = (sync_channel::<()>(0), channel(), channel());
    let deaf = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        let stop = stop.clone();
        intake.on_stop(move || stop.send(()).expect("the test listens"));
        entered.send(())?;
        let _ = blocked.recv();
        Ok(())
    }));
    total(&deaf);
    ssc.start().unwrap();
    next(&inside);
    let stopper = ssc.clone();
    let stopping = spawn("stopping", move || stopper.stop(Stop::gracefully())).unwrap();
    next(&told);
    // The clock stands still: only this can end the wait.
    ssc.stop(Stop::now());
    stopping.join().unwrap();
    assert_eq!(ssc.state(), StreamingState::Stopped);
    drop(release);
}
#[test]
fn a_stop_from_a_listener_does_not_deadlock() {
    for how in [Stop::now(), Stop::gracefully()] {
        let (clock, ssc, _queue) = simple(&[]);
        let (inside, (returned, seen)) = (ssc.clone(), channel());
        ssc.add_streaming_listener(move |e: &StreamingEvent| {
            if kind(e) == "completed" {
                inside.stop(how);
                let _ = returned.send(());
            }
        });
        ssc.start().unwrap();
        clock.set(at(1));
        next(&seen);
        ssc.await_termination().unwrap();
        ssc.stop(Stop::now());
    }
}
#[test]
fn a_stop_from_a_listener_of_the_engine_does_not_deadlock() {
    for how in [Stop::now(), Stop::gracefully()] {
        let (clock, ssc) = manual(&[]);
        let ((queue, stream), inside, (returned, seen)) = (queue(&ssc), ssc.clone(), channel());
        total(&stream);
        let told = ssc.spark_context().add_spark_listener(move |e: &SparkListenerEvent| {
            if matches!(e, SparkListenerEvent::JobEnd(_)) {
                inside.stop(how);
                let _ = returned.send(());
            }
        });
        told.unwrap();
        queue.push(ssc.spark_context().range(0..3, 1));
        ssc.start().unwrap();
        clock.set(at(1));
        next(&seen);
        ssc.await_termination().unwrap();
        ssc.stop(Stop::now());
        assert!(ssc.spark_context().is_stopped());
    }
}
#[test]
fn a_stop_from_what_an_action_calls_at_its_end_does_not_deadlock() {
    for how in [Stop::now(), Stop::gracefully()] {
        let (clock, ssc) = manual(&[]);
        let ((queue, stream), inside, (returned, seen)) = (queue(&ssc), ssc.clone(), channel());
        stream.foreach_rdd(move |rdd, _| {
            let (inside, returned) = (inside.clone(), returned.clone());
            rdd.count_async().on_complete(move |_| {
                inside.stop(how);
                let _ = returned.send(());
            });
            Ok(())
        });
        queue.push(ssc.spark_context().range(0..3, 1));
        ssc.start().unwrap();
        clock.set(at(1));
        next(&seen);
        ssc.await_termination().unwrap();
        assert!(ssc.spark_context().is_stopped());
    }
}
#[test]
fn a_stop_from_a_receiver_does_not_wait_for_itself() {
    for how in [Stop::now(), Stop::gracefully()] {
        let (_clock, ssc) = manual(&[]);
        let inside = ssc.clone();
        let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
            inside.stop(how);
            while !intake.is_stopped() {
                std::thread::yield_now();
            }
            Ok(())
        }));
        total(&stream);
        ssc.start().unwrap();
        // The clock stands still: a receiver that waited for itself would wait for ever.
        ssc.await_termination().unwrap();
        // A stop at once does not wait for receivers.
        assert!(how == Stop::now() || ssc.status().receivers[0].state == ReceiverState::Stopped);
    }
}
/// An input whose start stops the stream.
struct Stopping(StreamingContext);
impl Input<u64> for Stopping {
    type Plan = u64;
    fn start(&mut self) -> Result<(), BoxError> {
        self.0.stop(Stop::now().keep_spark_context());
        Ok(())
    }
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        panic!("a batch ran")
    }
    fn read(&mut self, sc: &SparkContext, _: &u64) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.range(0..1, 1))
    }
}
#[test]
fn a_stop_during_the_start_is_not_lost() {
    let (clock, ssc) = manual(&[]);
    total(&ssc.input_stream("stopping", Stopping(ssc.clone())));
    assert!(matches!(ssc.start(), Err(Error::AlreadyStopped)));
    assert_eq!(ssc.state(), StreamingState::Stopped);
    clock.set(at(5));
    ssc.await_termination().unwrap();
}
#[test]
fn a_graceful_stop_whose_time_is_over_cancels_and_undoes_the_running_batch() {
    let (clock, ssc) = manual(&[("spark.streaming.gracefulStopTimeout", "3s")]);
    let (stream, seen) = endless(&ssc);
    let counted = total(&stream);
    ssc.start().unwrap();
    clock.set(at(1));
    next(&seen);
    let stopper = ssc.clone();
    let stopping = spawn("stopping", move || stopper.stop(Stop::gracefully())).unwrap();
    while clock.next_deadline() != Some(at(4)) {
        std::thread::yield_now();
    }
    clock.set(at(4));
    stopping.join().unwrap();
    let status = ssc.status();
    assert_eq!((status.completed_batches, status.state), (0, StreamingState::Stopped));
    assert_eq!((status.failed_attempts, counted.load(Relaxed)), (1, 0), "it is not tried again");
}
/// Until when whoever waits on this clock waits; nobody else has a deadline.
fn deadline(clock: &ManualClock) -> Time {
    loop {
        if let Some(deadline) = clock.next_deadline() {
            return deadline;
        }
        std::thread::yield_now();
    }
}
#[test]
fn a_graceful_stop_may_take_ten_batches_and_ten_seconds_at_least() {
    for (interval, most) in [(ms(100), ms(10_000)), (ms(1_000), ms(10_000)), (ms(5_000), ms(50_000))] {
        let clock = ManualClock::new(at(0));
        let ssc = StreamingContext::with_clock(&spark(&[]), interval, clock.clone()).unwrap();
        let (stream, seen) = endless(&ssc);
        total(&stream);
        ssc.start().unwrap();
        clock.set(at(0) + interval);
        next(&seen);
        let stopper = ssc.clone();
        let stopping = spawn("stopping", move || stopper.stop(Stop::gracefully())).unwrap();
        let until = deadline(&clock);
        clock.set(until);
        stopping.join().unwrap();
        assert_eq!(until - (at(0) + interval), most, "{interval}");
    }
}
#[test]
fn a_second_graceful_stop_gives_no_more_time() {
    let (clock, ssc) = manual(&[("spark.streaming.gracefulStopTimeout", "3s")]);
    let (stream, seen) = endless(&ssc);
    total(&stream);
    ssc.start().unwrap();
    clock.set(at(1));
    next(&seen);
    let stop = || {
        let stopper = ssc.clone();
        spawn("stopping", move || stopper.stop(Stop::gracefully())).unwrap()
    };
    let first = stop();
    assert_eq!(deadline(&clock), at(4));
    clock.set(at(3));
    let second = stop();
    // Both, and the listeners' thread.
    clock.await_waiting(3);
    clock.set(at(4));
    first.join().unwrap();
    second.join().unwrap();
    assert_eq!(ssc.status().completed_batches, 0);
}
#[test]
fn a_graceful_stop_does_not_take_back_one_at_once() {
    let (clock, ssc) = manual(&[]);
    let ((queue, stream), inside, own) = (queue(&ssc), ssc.clone(), clock.clone());
    (0..3).for_each(|n| queue.push(ssc.spark_context().range(n..n + 1, 1)));
    stream.foreach_rdd(move |_, _| {
        inside.stop(Stop::now());
        inside.stop(Stop::gracefully());
        // Two more batches are due.
        own.set(at(3));
        Ok(())
    });
    ssc.start().unwrap();
    clock.set(at(1));
    ssc.await_termination().unwrap();
    assert_eq!((ssc.status().completed_batches, queue.len()), (1, 2));
}
#[test]
fn what_waits_when_the_time_of_a_graceful_stop_is_over_is_left() {
    let (clock, ssc) = manual(&[("spark.streaming.gracefulStopTimeout", "2s")]);
    let ((queue, stream), inside, own) = (queue(&ssc), ssc.clone(), clock.clone());
    (0..5).for_each(|n| queue.push(ssc.spark_context().range(n..n + 1, 1)));
    stream.foreach_rdd(move |_, _| {
        inside.stop(Stop::gracefully());
        own.advance(ms(1_000));
        Ok(())
    });
    ssc.start().unwrap();
    clock.set(at(1));
    ssc.await_termination().unwrap();
    assert_eq!((ssc.status().completed_batches, queue.len()), (2, 3));
}
#[test]
fn a_stop_by_what_a_receiver_does_when_it_is_told_to_stop_waits_for_nothing() {
    let (_clock, ssc) = manual(&[]);
    let ((entered, inside), stopper) = (channel(), ssc.clone());
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        let ((done, told), stopper) = (channel(), stopper.clone());
        intake.on_stop(move || {
            stopper.stop(Stop::gracefully());
            let _ = done.send(());
        });
        entered.send(())?;
        Ok(told.recv()?)
    }));
    total(&stream);
    ssc.start().unwrap();
    next(&inside);
    // The clock stands still: the receiver returns only if that stop did not wait for it.
    ssc.stop(Stop::gracefully());
    assert_eq!(ssc.status().receivers[0].state, ReceiverState::Stopped);
}
#[test]
fn what_a_receiver_does_when_it_is_told_to_stop_holds_up_nobody() {
    let (_clock, ssc) = manual(&[]);
    let ((entered, inside), (release, blocked)) = (channel(), sync_channel::<()>(0));
    let blocked = std::sync::Arc::new(Mutex::new(blocked));
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        let blocked = blocked.clone();
        // It never returns while the test runs.
        intake.on_stop(move || drop(blocked.lock().map(|b| b.recv())));
        entered.send(())?;
        while !intake.is_stopped() {
            std::thread::yield_now();
        }
        Ok(())
    }));
    total(&stream);
    ssc.start().unwrap();
    next(&inside);
    ssc.stop(Stop::now());
    assert_eq!(ssc.state(), StreamingState::Stopped);
    drop(release);
}
#[test]
fn every_caller_of_stop_waits_until_it_has_stopped() {
    let (clock, ssc) = manual(&[]);
    let (_queue, stream) = queue(&ssc);
    let ((release, blocked), (begun, seen)) = (sync_channel::<()>(0), channel());
    stream.foreach_rdd(move |_, _| {
        begun.send(())?;
        let _ = blocked.recv();
        Ok(())
    });
    ssc.start().unwrap();
    clock.set(at(1));
    next(&seen);
    let stopping: Vec<_> = (0..4)
        .map(|_| {
            let ssc = ssc.clone();
            let stop = move || {
                ssc.stop(Stop::gracefully());
                ssc.state()
            };
            spawn("stopping", stop).unwrap()
        })
        .collect();
    drop(release);
    for s in stopping {
        assert_eq!(s.join().unwrap(), StreamingState::Stopped);
    }
}
#[test]
fn a_stop_takes_the_spark_context_along_unless_told_otherwise() {
    let by_default = "spark.streaming.stopSparkContextByDefault";
    for (setting, how, stopped) in [
        ("true", Stop::now(), true),
        ("true", Stop::gracefully().keep_spark_context(), false),
        ("false", Stop::now(), false),
        ("false", Stop::gracefully().with_spark_context(), true),
    ] {
        for started in [false, true] {
            let (_clock, ssc, _queue) = simple(&[(by_default, setting)]);
            if started {
                ssc.start().unwrap();
            }
            ssc.stop(how);
            assert_eq!(ssc.spark_context().is_stopped(), stopped, "{setting}, {how:?}, started: {started}");
        }
    }
    let (_clock, ssc, _queue) = simple(&[]);
    ssc.start().unwrap();
    ssc.stop(Stop::now().keep_spark_context());
    assert_eq!(ssc.spark_context().range(0..3, 1).count().unwrap(), 3, "it can be used, and by another stream");
    ssc.stop(Stop::now());
    assert!(ssc.spark_context().is_stopped(), "a second stop can still take it along");
}
#[test]
fn without_threads_a_dropped_stepper_is_the_stop() {
    let (_clock, ssc, _queue) = simple(&[]);
    let run = ssc.start_stepped().unwrap();
    assert_eq!(ssc.state(), StreamingState::Active);
    assert!(ssc.start_stepped().is_err());
    drop(run);
    assert_eq!(ssc.state(), StreamingState::Stopped);
    ssc.await_termination().unwrap();
}
