//! Sources beside lines and files: frames and other bytes from sockets, iterators, channels, standard input, constants,
//! numbers at a rate, records that are serialised already. What each makes of bad input, of its end and of a restart.
mod common;
use common::*;
use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
    process::{Command, Stdio},
    sync::mpsc,
};
use winterbourne_base::{Clock, ManualClock};
use winterbourne_engine::BoxError;
use winterbourne_streaming::{
    DStream, Error, Intake, ReceiverInfo, ReceiverState, SocketBytes, Stop, StoreError, StreamingContext, seconds,
};

const ONCE: (&str, &str) = ("spark.streaming.socket.reconnect", "false");

/// Serves these bytes on one connection and closes it; the records, and the receiver then.
fn served<T: winterbourne_engine::Wire>(
    settings: Settings<'_>,
    bytes: &[u8],
    source: impl FnOnce(&StreamingContext, u16) -> DStream<T>,
) -> (Vec<T>, ReceiverInfo) {
    let (clock, ssc) = manual(settings);
    let (server, port) = listen();
    let seen = send(&source(&ssc, port));
    let ears = Ears::on(&ssc);
    ssc.start().expect("a good graph");
    accept(&server).write_all(bytes).expect("an open connection");
    let info = ears.receiver_stopped();
    clock.set(at(1));
    let records = next(&seen).1;
    ssc.stop(Stop::now());
    (records, info)
}
fn frames(settings: Settings<'_>, bytes: &[u8]) -> (Vec<Vec<u8>>, ReceiverInfo) {
    served(settings, bytes, |ssc, port| ssc.raw_socket_stream("127.0.0.1", port))
}
fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}
fn error(info: &ReceiverInfo) -> &str {
    info.last_error.as_deref().unwrap_or("none")
}

#[test]
fn a_frame_is_a_record_whatever_is_in_it_and_however_long() {
    let long: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    let sent = [frame(b"ab"), frame(b""), frame(&long), frame(b"\n\xff")].concat();
    let (got, info) = frames(&[ONCE], &sent);
    assert_eq!(got, [b"ab".to_vec(), Vec::new(), long, b"\n\xff".to_vec()]);
    assert_eq!((info.state, info.last_error, info.records), (ReceiverState::Ended, None, 4));
    assert_eq!(frames(&[], &frame(b"x")).1.state, ReceiverState::Restarting { at: at(2) });
}
#[test]
fn a_length_that_cannot_be_ends_the_connection_and_keeps_what_came() {
    let limit = ("spark.streaming.raw.maxBlockSizeBytes", "3");
    for (length, said) in [(-1, "-1 bytes"), (i32::MIN, "-2147483648 bytes"), (4, "4 bytes"), (i32::MAX, "2147483647")]
    {
        let sent = [frame(b"abc"), length.to_be_bytes().to_vec(), frame(b"no")].concat();
        let (got, info) = frames(&[ONCE, limit], &sent);
        assert_eq!((got, info.state), (vec![b"abc".to_vec()], ReceiverState::Restarting { at: at(2) }));
        assert!(error(&info).contains(said) && error(&info).contains(limit.0), "{}", error(&info));
    }
}
#[test]
fn a_connection_that_ends_within_a_frame_loses_that_frame_and_says_so() {
    for (cut, lost) in [(&b"\0\0"[..], 2), (&b"\0\0\0\x09four"[..], 8)] {
        let (got, info) = frames(&[ONCE], &[&frame(b"whole"), cut].concat());
        assert_eq!((got, info.state), (vec![b"whole".to_vec()], ReceiverState::Restarting { at: at(2) }));
        assert!(
            error(&info).ends_with(&format!("{lost} bytes of an unfinished frame are dropped")),
            "{}",
            error(&info)
        );
    }
}
#[test]
fn a_frame_that_cannot_be_decoded_is_dropped_counted_and_reported() {
    let sent = [frame(b"1 2 3"), frame(b"1 x"), frame(b""), frame(b"4")].concat();
    let (got, info) = served(&[ONCE], &sent, |ssc, port| {
        ssc.raw_socket_stream_with("127.0.0.1", port, |frame| {
            let numbers = String::from_utf8(frame)?;
            Ok(numbers.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?)
        })
    });
    assert_eq!((got, info.state, info.undecodable), (vec![1, 2, 3, 4], ReceiverState::Ended, 1));
    assert!(error(&info).starts_with("dropped a frame of 3 bytes that cannot be decoded: "), "{}", error(&info));
}
#[test]
fn a_function_makes_records_of_the_bytes_of_a_socket() {
    let numbers = |bytes: SocketBytes| bytes.split(b';').map(|n| Ok(String::from_utf8(n?)?.parse::<u64>()?));
    let (got, info) = served(&[ONCE], b"1;22;3", |ssc, port| ssc.socket_stream("127.0.0.1", port, numbers));
    assert_eq!((got, info.state), (vec![1, 22, 3], ReceiverState::Ended));
    let (got, info) = served(&[ONCE], b"1;22;x;4", |ssc, port| ssc.socket_stream("127.0.0.1", port, numbers));
    assert_eq!((got, info.state), (vec![1, 22], ReceiverState::Restarting { at: at(2) }), "what came before is kept");
    assert!(error(&info).contains("invalid digit"), "{}", error(&info));
}
#[test]
fn the_bytes_behind_a_record_of_a_socket_count_against_the_buffer() {
    let lengths = |bytes: SocketBytes| bytes.split(b';').map(|field| Ok(field?.len() as u64));
    let sent = [&[b'x'; 999][..], b";", &[b'y'; 1999], b";"].concat();
    let (got, info) = served(&[ONCE], &sent, |ssc, port| ssc.socket_stream("127.0.0.1", port, lengths));
    assert_eq!((got, info.buffered_bytes), (vec![999, 1999], 3000 + 2 * size_of::<u64>() as u64));
}

/// All records until the stream ends.
fn until_the_end<T: winterbourne_engine::Data>(ssc: &StreamingContext, stream: &DStream<T>) -> Vec<T> {
    let seen = send(stream);
    ssc.start().expect("a good graph");
    ssc.await_termination().expect("good batches");
    seen.try_iter().flat_map(|(_, records)| records).collect()
}
#[test]
fn an_iterator_and_a_channel_end_their_stream_with_all_their_records() {
    let ssc = real(&[("spark.streaming.receiver.bufferSize", "64")], 5);
    let stream = ssc.iterator_stream(0..100u64);
    assert_eq!(until_the_end(&ssc, &stream), (0..100).collect::<Vec<_>>());
    let ssc = real(&[], 5);
    let (sender, records) = mpsc::sync_channel(4);
    let stream = ssc.channel_stream(records);
    let sending = winterbourne_base::thread::spawn("sender", move || {
        (0..5000u64).for_each(|n| sender.send(n).expect("the stream runs"));
    });
    assert_eq!(until_the_end(&ssc, &stream), (0..5000).collect::<Vec<_>>());
    sending.unwrap().join().unwrap();
}
#[test]
fn a_stop_waits_for_no_iterator_and_no_sender_waits_for_a_stopped_stream() {
    let (_clock, ssc) = manual(&[]);
    let (sender, records) = mpsc::sync_channel(0);
    let (blocked, never) = mpsc::channel::<u64>();
    let both = ssc.channel_stream(records).union(&ssc.iterator_stream(never));
    out(&both);
    ssc.start().unwrap();
    // Taken, so its thread waits for the next.
    sender.send(1u64).unwrap();
    ssc.stop(Stop::now());
    // What comes next is taken once more, and dropped; then the channel is closed.
    while sender.send(2).is_ok() {}
    drop(blocked);
    // That stop has not waited for them: they say so when they return.
    while ssc.status().receivers.iter().any(|r| r.state != ReceiverState::Stopped) {
        std::thread::yield_now();
    }
}
#[test]
fn an_iterator_that_panics_does_not_look_like_its_end() {
    let (clock, ssc) = manual(&[]);
    let seen = send(&ssc.iterator_stream((0..3u64).map(|n| if n < 2 { n } else { panic!("no third") })));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    let info = ears.receiver_stopped();
    assert_eq!((info.state, error(&info)), (ReceiverState::Restarting { at: at(2) }, "panicked: no third"));
    clock.set(at(1));
    assert_eq!(next(&seen).1, [0, 1]);
    clock.set(at(2));
    assert_eq!(error(&ears.receiver_stopped()), "the iterator panicked: it gives nothing more");
    assert!(not_yet(&ssc));
    ssc.stop(Stop::now());
}
#[test]
fn an_iterator_is_refused_where_a_restart_would_repeat_it() {
    let dir = TempDir::new();
    let (_clock, ssc) = manual(&[("spark.streaming.checkpoint.directory", &dir.at("c"))]);
    out(&ssc.iterator_stream(0..3u64));
    let Err(Error::Graph(errors)) = ssc.start() else { panic!("started") };
    assert!(errors[0].what.contains("an iterator begins anew in the next process"), "{}", errors[0].what);
}
#[test]
fn child_that_reads_lines() {
    // Run by the next test, with lines on its standard input.
    if std::env::var_os("READ_STANDARD_INPUT").is_none() {
        return;
    }
    let ssc = real(&[], 5);
    let stream = ssc.stdin_stream();
    let lines = until_the_end(&ssc, &stream);
    std::io::stderr().write_all(format!("{lines:?} {}", ssc.status().receivers[0].invalid_utf8).as_bytes()).unwrap();
}
#[test]
fn the_lines_of_standard_input_are_received_until_its_end() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_reads_lines", "--nocapture"])
        .env("READ_STANDARD_INPUT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"one\r\ntwo\nb\xffd").unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains(r#"["one", "two", "b�d"] 1"#), "{said}");
}
#[test]
fn serialised_records_are_stored_as_a_block_or_not_at_all() {
    let (clock, ssc) = manual(&[]);
    let (told, results) = mpsc::channel();
    let seen = send(&ssc.receiver_stream(Script(move |intake: &Intake<(u64, String)>| {
        for bytes in [&[2, 1, 1, b'a', 2, 1, b'b'][..], &[1, 7], &[1, 1, 1, b'a', 9], &[0]] {
            told.send(intake.store_serialized(bytes))?;
        }
        Ok::<(), BoxError>(())
    })));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    ears.receiver_stopped();
    clock.set(at(1));
    assert_eq!(next(&seen).1, [(1, "a".to_owned()), (2, "b".to_owned())]);
    let results: Vec<_> = results.try_iter().collect();
    assert_eq!((&results[0], &results[3]), (&Ok(()), &Ok(())));
    for bad in &results[1..3] {
        let Err(StoreError::Undecodable(why)) = bad else { panic!("{bad:?}") };
        assert!(why.contains("records of type (u64, alloc::string::String)"), "{why}");
    }
    ssc.stop(Stop::now());
}

/// One process that continues what is in a directory, from one second to another, and is killed; what each batch had.
fn process(
    dir: &str,
    from: u64,
    until: u64,
    stream: impl FnOnce(&StreamingContext) -> DStream<u64>,
) -> BTreeMap<u64, Vec<u64>> {
    let clock = ManualClock::new(at(from));
    let mut seen = None;
    let ssc = StreamingContext::get_or_create(dir, || {
        let ssc = StreamingContext::with_clock(&spark(&[]), seconds(1), clock.clone())?;
        seen = Some(send(&stream(&ssc)));
        Ok(ssc)
    });
    let mut stepper = ssc.expect("a good program").start_stepped().expect("a start");
    while stepper.next_time() <= at(until) {
        clock.set(stepper.next_time().max(clock.now()));
        stepper.step().expect("a good batch");
    }
    seen.expect("it was built").try_iter().map(|(time, records)| (second(time), records)).collect()
}
#[test]
fn numbers_are_due_by_time_and_a_restart_continues_with_the_next() {
    let dir = TempDir::new();
    let rate = |n: u64| move |ssc: &StreamingContext| ssc.rate_stream(n);
    let first = process(&dir.at("a"), 0, 2, rate(3));
    assert_eq!(first, [(1, vec![0, 1, 2]), (2, vec![3, 4, 5])].into());
    // The process was away until second 4: what was due meanwhile comes too.
    let second = process(&dir.copy(&dir.at("a"), "b"), 4, 5, rate(3));
    let third = process(&dir.copy(&dir.at("b"), "c"), 5, 6, rate(1));
    assert_eq!(third[&6], [15], "another rate counts on");
    // A batch that is run once more has what it had.
    let mut all = first;
    for (time, records) in second.into_iter().chain(third) {
        assert_eq!(*all.entry(time).or_insert(records.clone()), records, "{time}");
    }
    assert_eq!(all.into_values().flatten().collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
    assert_eq!(process(&dir.at("d"), 0, 1, rate(0)), [(1, Vec::new())].into());
}
#[test]
fn a_constant_is_the_same_in_every_batch_and_after_a_restart() {
    let dir = TempDir::new();
    let constant = |ssc: &StreamingContext| ssc.constant_stream(&ssc.spark_context().range(0..2, 2));
    assert_eq!(process(&dir.at("a"), 0, 2, constant), [(1, vec![0, 1]), (2, vec![0, 1])].into());
    let again = process(&dir.copy(&dir.at("a"), "b"), 2, 3, constant);
    assert!(again.contains_key(&3) && again.values().all(|records| *records == [0, 1]), "{again:?}");
}
