//! What servers do to a stream: nobody there, connections cut, bytes that are not text, lines without an end.
mod common;
use common::*;
use std::{io::Write, sync::mpsc::Receiver as Channel};
use winterbourne_base::Time;
use winterbourne_engine::Text;
use winterbourne_streaming::{ReceiverInfo, ReceiverState, Stop, StreamingContext};

/// The lines of the next batch.
fn lines(seen: &Channel<(Time, Vec<Text>)>) -> Vec<String> {
    next(seen).1.iter().map(ToString::to_string).collect()
}
fn info(ssc: &StreamingContext) -> ReceiverInfo {
    ssc.status().receivers.remove(0)
}
/// Sends these bytes on one connection and closes it; the first batch, and the receiver then.
fn received(settings: Settings<'_>, bytes: &[u8]) -> (Vec<String>, ReceiverInfo) {
    let (clock, ssc) = manual(settings);
    let (server, port) = listen();
    let seen = send(&ssc.socket_text_stream("127.0.0.1", port));
    let ears = Ears::on(&ssc);
    ssc.start().expect("a good graph");
    accept(&server).write_all(bytes).expect("an open connection");
    ears.receiver_stopped();
    clock.set(at(1));
    let got = (lines(&seen), info(&ssc));
    ssc.stop(Stop::now());
    got
}

#[test]
fn a_server_that_is_not_there_is_tried_again_with_growing_delays() {
    let (clock, ssc) = manual(&[("spark.streaming.receiverRestartDelay", "3s")]);
    // Nothing can listen on port 0.
    let seen = send(&ssc.socket_text_stream("127.0.0.1", 0));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    let (mut tried, mut batch) = (0, 0);
    for (attempt, delay) in [3, 6, 12, 24, 48, 48].into_iter().enumerate() {
        let told = ears.receiver_stopped();
        let restarting = ReceiverState::Restarting { at: at(tried + delay) };
        assert_eq!((told.state, told.restarts), (restarting, attempt as u64));
        assert!(told.last_error.unwrap().starts_with("Error connecting to 127.0.0.1:0: "));
        assert_eq!((info(&ssc).state, info(&ssc).name.as_str()), (restarting, "SocketReceiver-0"));
        tried += delay;
        while batch < tried - 1 {
            batch += 1;
            clock.set(at(batch));
            assert_eq!(lines(&seen), [""; 0], "batches go on without it");
        }
        // A loop without a pause would have been heard by now.
        assert!(ears.rest().iter().all(|e| !kind(e).starts_with("receiver")));
        batch += 1;
        clock.set(at(batch));
        lines(&seen);
    }
    ssc.stop(Stop::gracefully());
    assert_eq!(info(&ssc).state, ReceiverState::Stopped);
}
#[test]
fn a_connection_cut_in_a_line_keeps_what_came_and_is_made_again() {
    let (clock, ssc) = manual(&[]);
    let (server, port) = listen();
    let seen = send(&ssc.socket_text_stream("127.0.0.1", port));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    accept(&server).write_all(b"whole\ncut in the mi").unwrap();
    let told = ears.receiver_stopped();
    assert_eq!((told.state, told.records), (ReceiverState::Restarting { at: at(2) }, 2));
    assert_eq!(told.last_error.as_deref(), Some("Socket data stream had no more data"));
    clock.set(at(1));
    assert_eq!(lines(&seen), ["whole", "cut in the mi"]);
    clock.set(at(2));
    assert_eq!(lines(&seen), [""; 0]);
    accept(&server).write_all(b"next\n").unwrap();
    assert_eq!(ears.receiver_stopped().restarts, 1);
    clock.set(at(3));
    assert_eq!(lines(&seen), ["next"]);
    ssc.stop(Stop::now());
}
#[test]
fn bytes_that_are_not_text_are_replaced_and_counted() {
    let (lines, info) = received(&[], b"fine\nb\xffd\n\xc3\x28\nfine\n");
    assert_eq!(lines, ["fine", "b\u{fffd}d", "\u{fffd}(", "fine"]);
    assert_eq!((info.invalid_utf8, info.records, info.oversized), (2, 4, 0));
}
#[test]
fn a_line_over_the_limit_is_dropped_and_counted_and_the_stream_goes_on() {
    let limit = "spark.streaming.receiver.maxLineLength";
    let bytes = [b"before\n".to_vec(), vec![b'x'; 65], b"\n".to_vec(), vec![b'y'; 64], b"\nafter\n".to_vec()].concat();
    let (lines, info) = received(&[(limit, "64b")], &bytes);
    assert_eq!(lines, ["before", &"y".repeat(64), "after"]);
    assert_eq!((info.oversized, info.records), (1, 3));
}
#[test]
fn a_line_over_the_limit_is_told_to_listeners() {
    let (_clock, ssc) = manual(&[("spark.streaming.receiver.maxLineLength", "64b")]);
    let (server, port) = listen();
    let _seen = send(&ssc.socket_text_stream("127.0.0.1", port));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    let mut client = accept(&server);
    client.write_all(&[b'x'; 1000]).unwrap();
    client.write_all(b"\n").unwrap();
    let error = ears.receiver_error();
    assert_eq!((error.state, error.oversized), (ReceiverState::Active, 1), "the run goes on");
    assert!(error.last_error.unwrap().contains("longer than 64b (spark.streaming.receiver.maxLineLength)"));
    ssc.stop(Stop::now());
}
#[test]
fn empty_lines_and_connections_without_any_are_no_error() {
    assert_eq!(received(&[], b"").0, [""; 0]);
    assert_eq!(received(&[], b"\n\r\n\nx").0, ["", "", "", "x"]);
}
/// The most memory this process ever had, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
#[cfg(target_os = "linux")]
#[test]
fn a_line_of_100_megabytes_is_not_kept_while_it_arrives() {
    let (clock, ssc) = manual(&[]);
    let (server, port) = listen();
    let seen = send(&ssc.socket_text_stream("127.0.0.1", port));
    let ears = Ears::on(&ssc);
    ssc.start().unwrap();
    let (mut client, piece, before) = (accept(&server), vec![b'x'; 1 << 20], peak());
    (0..100).for_each(|_| client.write_all(&piece).unwrap());
    client.write_all(b"\nafter\n").unwrap();
    drop(client);
    ears.receiver_stopped();
    clock.set(at(1));
    assert_eq!((lines(&seen), info(&ssc).oversized), (vec!["after".to_owned()], 1));
    let grown = peak() - before;
    assert!(grown < 48 << 10, "{grown} KiB for a limit of 8 MiB");
    ssc.stop(Stop::now());
}
