//! The life of a context: start and misuse, batches on real threads, ticks that come too fast, and the end of sources.
mod common;
use common::*;
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::channel,
    },
    time::Duration as StdDuration,
};
use winterbourne_base::{ManualClock, thread::spawn};
use winterbourne_engine::{BoxError, Rdd, SparkContext};
use winterbourne_streaming::{
    DStream, Error, Health, Input, Intake, Planned, QueueOptions, RddQueue, ReceiverState, Stop, StreamingContext,
    StreamingEvent, StreamingState, Tick, seconds,
};

#[test]
fn start_without_outputs_is_an_error_and_can_be_corrected() {
    let (clock, ssc) = manual(&[]);
    let (_queue, stream) = queue(&ssc);
    let (result, line) = (ssc.start(), line!());
    let Err(Error::Graph(errors)) = result else { panic!("started") };
    assert_eq!(errors.len(), 1);
    assert!(errors[0].what.contains("no output operations registered, so nothing to execute"), "{errors:?}");
    assert!(errors[0].site.file().ends_with("life.rs") && errors[0].site.line() == line, "{errors:?}");
    assert_eq!(ssc.state(), StreamingState::Initialized);
    out(&stream);
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    assert_eq!(ssc.state(), StreamingState::Active);
    clock.set(at(1));
    assert_eq!(ears.batch().time, at(1));
    ssc.stop(Stop::now());
    assert_eq!(ssc.state(), StreamingState::Stopped);
}
#[test]
fn start_lists_everything_wrong_with_the_graph_with_call_sites() {
    let (_clock, ssc) = manual(&[]);
    let (_queue, stream) = queue(&ssc);
    let first = line!() + 1;
    out(&stream.window(ms(1500)));
    out(&stream.union(&stream.window_by(seconds(2), seconds(2))));
    out(&ssc.union(&[]));
    let error = ssc.start().unwrap_err();
    let Error::Graph(errors) = &error else { panic!("{error}") };
    assert_eq!(errors.iter().map(|e| e.site.line() - first).collect::<Vec<_>>(), [0, 1, 2]);
    let text = error.to_string();
    assert!(text.starts_with("the stream graph has 3 error(s)") && text.matches("life.rs:").count() == 3, "{text}");
    assert_eq!(ssc.state(), StreamingState::Initialized);
}
#[test]
fn an_input_that_cannot_start_ends_the_start_and_its_remedy_is_tried_again() {
    struct Late(Arc<AtomicBool>, Tens);
    impl Input<u64> for Late {
        type Plan = u64;
        fn start(&mut self) -> Result<(), BoxError> {
            if self.0.load(Relaxed) { Ok(()) } else { Err("no permission".into()) }
        }
        fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
            self.1.plan(tick)
        }
        fn read(&mut self, sc: &SparkContext, plan: &u64) -> Result<Rdd<u64>, BoxError> {
            self.1.read(sc, plan)
        }
    }
    let (clock, ssc) = manual(&[]);
    let may = Arc::new(AtomicBool::new(false));
    let seen = send(&ssc.input_stream("late", Late(may.clone(), Tens::new(&Diary::default(), &Faults::default()))));
    assert!(ssc.start().unwrap_err().to_string().contains("no permission"));
    assert_eq!(ssc.state(), StreamingState::Initialized);
    may.store(true, Relaxed);
    ssc.start().unwrap();
    clock.set(at(1));
    assert_eq!(next(&seen), (at(1), vec![10, 11]));
    ssc.stop(Stop::now());
}
#[test]
fn starting_twice_only_warns() {
    let (clock, ssc, _queue) = simple(&[]);
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    ssc.start().unwrap();
    clock.set(at(1));
    assert_eq!(ears.batch().time, at(1));
    assert!(ssc.start_stepped().is_err(), "it runs by itself already");
    ssc.stop(Stop::now());
    assert_eq!(ears.rest().iter().map(kind).collect::<Vec<_>>(), ["stopped"]);
}
#[test]
fn what_is_added_after_the_start_is_refused_by_await_termination() {
    type Add = fn(&StreamingContext, &DStream<u64>, DStream<(u64, u64)>);
    let add: [(&str, Add); 7] = [
        ("queue_stream", |ssc, _, _| drop(ssc.queue_stream(&RddQueue::<u8>::new()))),
        ("map", |_, stream, _| drop(stream.map(|x| x))),
        ("foreach_rdd", |_, stream, _| out(stream)),
        ("uid", |_, stream, _| drop(stream.clone().uid("late"))),
        ("volatile", |_, _, sums| drop(sums.volatile())),
        ("migrate", |_, _, sums| drop(sums.migrate(|old: u32| old.into()))),
        ("checkpoint", |_, stream, _| drop(stream.clone().checkpoint(seconds(1)))),
    ];
    for (name, add) in add {
        let (clock, ssc) = manual(&[]);
        let (_queue, stream) = queue(&ssc);
        out(&stream);
        let sums = stream.map(|n| (n % 2, n)).update_state_by_key(|new: Vec<u64>, _| new.into_iter().max()).volatile();
        out(&sums.map(|(_, n)| n));
        let ears = Ears::on(&ssc);
        ssc.start().unwrap();
        add(&ssc, &stream, sums.clone());
        for _ in 0..2 {
            let error = ssc.await_termination().unwrap_err();
            let Error::Frozen { operator, site, when } = &error else { panic!("{error}") };
            assert!(*operator == name && *when == "starting" && site.file().ends_with("life.rs"), "{error}");
            assert!(error.to_string().contains("life.rs:"), "{error}");
        }
        clock.set(at(1));
        assert_eq!(ears.batch().time, at(1), "the stream as it was goes on");
        ssc.stop(Stop::now());
    }
}
#[test]
fn who_waits_already_is_told_of_a_late_addition_too() {
    let (clock, ssc) = manual(&[]);
    let (_queue, stream) = queue(&ssc);
    let inside = ssc.clone();
    stream.foreach_rdd(move |_, _| {
        out(&queue(&inside).1);
        Ok(())
    });
    ssc.start().unwrap();
    let waiter = ssc.clone();
    let waiting = spawn("waiting", move || waiter.await_termination().unwrap_err().to_string()).unwrap();
    // The loop, the listeners' thread and the one above.
    clock.await_waiting(3);
    clock.set(at(1));
    assert!(waiting.join().unwrap().contains("`queue_stream` at"));
    ssc.stop(Stop::now());
}
#[test]
fn what_is_added_after_the_stop_says_so() {
    let (_clock, ssc, _queue) = simple(&[]);
    ssc.stop(Stop::now());
    let (_queue, _stream) = queue(&ssc);
    assert!(matches!(ssc.await_termination(), Err(Error::Frozen { when: "stopping", .. })));
}
#[test]
fn the_batch_interval_is_a_positive_number_of_whole_milliseconds() {
    let sc = spark(&[]);
    for bad in [StdDuration::ZERO, StdDuration::from_micros(1500), StdDuration::from_nanos(1), StdDuration::MAX] {
        assert!(matches!(StreamingContext::new(&sc, bad), Err(Error::BatchInterval(_))), "{bad:?}");
        assert!(matches!(StreamingContext::from_conf(conf(&[]), bad), Err(Error::BatchInterval(_))), "{bad:?}");
    }
    assert!(matches!(StreamingContext::new(&sc, ms(0)), Err(Error::BatchInterval(_))));
    let good = StreamingContext::new(&sc, StdDuration::from_millis(1)).unwrap();
    assert_eq!(good.batch_duration(), ms(1));
}
#[test]
fn two_contexts_run_at_once_on_one_spark_context_and_on_two() {
    for shared in [true, false] {
        let (first, second) = (spark(&[]), spark(&[]));
        let contexts = [first.clone(), if shared { first } else { second }].map(|sc| {
            let clock = ManualClock::new(at(0));
            let ssc = StreamingContext::with_clock(&sc, seconds(1), clock.clone()).unwrap();
            let (queue, stream) = queue(&ssc);
            let seen = send(&stream);
            ssc.start().unwrap();
            (clock, ssc, queue, seen)
        });
        for round in 1..4 {
            for (i, (clock, ssc, queue, _)) in (0..).zip(&contexts) {
                queue.push(ssc.spark_context().parallelize([round * 10 + i], 1));
                clock.set(at(round));
            }
            for (i, (_, _, _, seen)) in (0..).zip(&contexts) {
                assert_eq!(next(seen), (at(round), vec![round * 10 + i]));
            }
        }
        let [(_, a, ..), (clock, b, _, seen)] = &contexts;
        a.stop(Stop::now().keep_spark_context());
        clock.set(at(4));
        assert_eq!(next(seen), (at(4), vec![]), "the other goes on");
        b.stop(Stop::now());
        assert!(b.spark_context().is_stopped());
    }
}
#[test]
fn await_termination_or_timeout_waits_no_longer_than_its_clock_says() {
    let (clock, ssc, _queue) = simple(&[]);
    ssc.start().unwrap();
    assert!(not_yet(&ssc));
    let waiter = ssc.clone();
    let waiting = spawn("waiting", move || waiter.await_termination_or_timeout(StdDuration::from_secs(5))).unwrap();
    clock.await_waiting(3);
    clock.set(at(5));
    assert!(!waiting.join().unwrap().unwrap());
    ssc.stop(Stop::now());
    assert!(ssc.await_termination_or_timeout(StdDuration::ZERO).unwrap());
}
#[test]
fn a_stream_whose_sources_have_ended_ends() {
    let ssc = real(&[], 5);
    let sc = ssc.spark_context();
    let batches: RddQueue<u64> = (0..3).map(|i| sc.range(i..i + 2, 1)).collect();
    let seen = send(&ssc.queue_stream(&batches));
    ssc.start().unwrap();
    ssc.await_termination().unwrap();
    let batches: Vec<_> = seen.try_iter().map(|(_, b)| b).collect();
    assert_eq!((batches, ssc.state()), (vec![vec![0, 1], vec![1, 2], vec![2, 3]], StreamingState::Stopped));
    assert!(!ssc.spark_context().is_stopped(), "nobody said so");
    assert!(matches!(ssc.start(), Err(Error::AlreadyStopped)));
}
#[test]
fn a_stream_ends_with_the_last_of_its_sources_and_all_their_records() {
    let ssc = real(&[("spark.streaming.socket.reconnect", "false")], 5);
    let (server, port) = listen();
    let (queue, numbers) = queue(&ssc);
    let counted = total(&ssc.socket_text_stream("127.0.0.1", port).map(|l| l.len() as u64).union(&numbers));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    write!(accept(&server), "a\nb\nc").unwrap();
    assert_eq!(ears.receiver_stopped().state, ReceiverState::Ended);
    ears.batch();
    assert!(not_yet(&ssc), "the queue is open");
    queue.push(ssc.spark_context().range(0..7, 2));
    queue.close();
    ssc.await_termination().unwrap();
    assert_eq!(counted.load(Relaxed), 10);
}
#[test]
fn all_at_once_takes_the_whole_queue_and_a_default_fills_empty_batches() {
    let (clock, ssc) = manual(&[]);
    let sc = ssc.spark_context().clone();
    let queue: RddQueue<u64> = RddQueue::new();
    queue.push(sc.range(0..2, 1));
    queue.push(sc.range(2..4, 1));
    let options = QueueOptions::default().all_at_once().default_rdd(sc.range(9..10, 1));
    let seen = send(&ssc.queue_stream_with(&queue, options));
    ssc.start().unwrap();
    clock.set(at(2));
    assert_eq!([next(&seen), next(&seen)], [(at(1), vec![0, 1, 2, 3]), (at(2), vec![9])]);
    ssc.stop(Stop::now());
}
/// A receiver with 50 records, taken in before the clock jumps.
fn jump(to: u64, window: u64) -> (StreamingContext, Vec<u64>, Vec<u64>) {
    let (clock, ssc) = manual(&[]);
    let (stored, ready) = channel();
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        intake.store_all((0..50).collect())?;
        stored.send(())?;
        Err("waits for its restart".into())
    }));
    let (seen, windows) = (send(&stream), send(&stream.window_by(seconds(window), seconds(window))));
    let ears = Ears::on(&ssc);
    ssc.start().expect("a good graph");
    next(&ready);
    clock.set(at(to));
    while ears.batch().time != at(to) {}
    ssc.stop(Stop::now());
    let records = seen.try_iter().flat_map(|(_, records)| records).collect();
    (ssc, records, windows.try_iter().map(|(t, _)| second(t)).collect())
}
#[test]
fn missed_ticks_are_coalesced_and_counted_and_no_record_is_lost() {
    let (ssc, records, _) = jump(100, 100);
    let status = ssc.status();
    assert_eq!(status.completed_batches + status.coalesced_ticks, 100);
    assert!((80..100).contains(&status.coalesced_ticks), "{status:?}");
    // The receiver may have begun again while the clock stood at the end.
    assert_eq!(records[..50], (0..50).collect::<Vec<_>>());
}
#[test]
fn no_window_is_left_out_when_ticks_are_coalesced() {
    let (ssc, _, windows) = jump(100, 10);
    assert_eq!(windows, (1..=10).map(|i| i * 10).collect::<Vec<_>>());
    let status = ssc.status();
    assert_eq!(status.completed_batches + status.coalesced_ticks, 100);
}
#[test]
fn coalesced_ticks_are_counted_when_their_batch_is_held_or_set_aside() {
    for policy in ["hold", "skip"] {
        let (clock, ssc) = manual(&[("spark.streaming.batch.onFailure", policy)]);
        let (_queue, stream) = queue(&ssc);
        let (mut calls, ears) = (0, Ears::on(&ssc));
        stream.foreach_rdd(move |_, _| {
            calls += 1;
            if calls <= 2 { Err("both attempts fail".into()) } else { Ok(()) }
        });
        ssc.start().unwrap();
        clock.set(at(20));
        ears.failure();
        if policy == "hold" {
            ssc.await_termination().unwrap_err();
            ssc.retry_held_batch();
        }
        while ears.batch().time != at(20) {}
        let status = ssc.status();
        let batches = status.completed_batches + status.set_aside.len() as u64;
        assert_eq!((batches + status.coalesced_ticks, status.coalesced_ticks > 0), (20, true), "{policy}");
        ssc.stop(Stop::now());
    }
}
#[test]
fn health_says_how_many_batches_wait() {
    let (clock, ssc) = manual(&[("spark.streaming.maxQueuedBatches", "3")]);
    let ((_queue, stream), inside, (tell, heard)) = (queue(&ssc), ssc.clone(), channel());
    stream.foreach_rdd(move |_, _| Ok(tell.send(inside.status().health)?));
    ssc.start().unwrap();
    clock.set(at(3));
    let waiting = [0; 3].map(|_| match next(&heard) {
        Health::CatchingUp { waiting, .. } => waiting,
        Health::Ok => 0,
        other => panic!("{other:?}"),
    });
    assert_eq!(waiting, [2, 1, 0]);
    ssc.stop(Stop::now());
}
#[test]
fn a_window_keeps_received_records_after_their_batch_is_settled() {
    let (clock, ssc) = manual(&[("spark.streaming.receiver.bufferSize", "64")]);
    let ((give, given), (stored, ready)) = (channel::<Option<u64>>(), channel());
    let stream = ssc.receiver_stream(Script(move |intake: &Intake<u64>| {
        while let Ok(Some(x)) = given.recv() {
            intake.store(x)?;
            stored.send(())?;
        }
        Ok(())
    }));
    let windows = send(&stream.map(|x| x).window_by(seconds(6), seconds(3)));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    for i in 1..=6 {
        give.send(Some(i)).unwrap();
        next(&ready);
        clock.set(at(i));
        assert_eq!(ears.batch().time, at(i));
    }
    assert_eq!([next(&windows), next(&windows)], [(at(3), vec![1, 2, 3]), (at(6), vec![1, 2, 3, 4, 5, 6])]);
    assert_eq!(ssc.status().receivers[0].buffered_bytes, 0);
    give.send(None).unwrap();
    ssc.await_termination().unwrap();
}
/// Only the test has it any more: at once, or when a thread that ran the last task has put its task away.
#[track_caller]
fn only_ours(token: &Arc<()>, when: &str) {
    let begun = std::time::Instant::now();
    while Arc::strong_count(token) > 1 {
        assert!(begun.elapsed() < PATIENCE, "{when}: {} still have it", Arc::strong_count(token) - 1);
        std::thread::yield_now();
    }
}
#[test]
fn a_dropped_context_frees_what_closures_own() {
    let token = Arc::new(());
    let build = |ssc: &StreamingContext| {
        let [map, transform, output, listener, receiver] = [0; 5].map(|_| token.clone());
        let received = ssc.receiver_stream(Script(move |_: &Intake<u64>| {
            let _ = &receiver;
            Ok(())
        }));
        let mapped = queue(ssc).1.union(&received).map(move |x| (x, Arc::strong_count(&map))).cache();
        let transformed = mapped.transform(move |rdd, _| {
            let _ = &transform;
            Ok(rdd.clone())
        });
        transformed.window(seconds(3)).foreach_rdd(move |rdd, _| {
            let _ = &output;
            rdd.count()?;
            Ok(())
        });
        ssc.add_streaming_listener(move |_: &StreamingEvent| {
            let _ = &listener;
        });
    };
    // Never started.
    let (_, ssc) = manual(&[]);
    build(&ssc);
    assert_eq!(Arc::strong_count(&token), 6);
    drop(ssc);
    only_ours(&token, "never started");
    // Stepped.
    let (clock, ssc) = manual(&[]);
    build(&ssc);
    let ears = Ears::on(&ssc);
    let mut run = ssc.start_stepped().unwrap();
    ears.receiver_stopped();
    for i in 1..4 {
        clock.set(at(i));
        run.step().unwrap();
    }
    drop(run);
    assert_eq!(ssc.state(), StreamingState::Stopped);
    drop(ssc);
    only_ours(&token, "stepped");
    // On threads.
    let (clock, ssc) = manual(&[]);
    build(&ssc);
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    ears.receiver_stopped();
    clock.set(at(2));
    while ears.batch().time != at(2) {}
    ssc.stop(Stop::gracefully());
    drop(ssc);
    only_ours(&token, "on threads");
}
