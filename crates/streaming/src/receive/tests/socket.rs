//! The socket receiver against real servers on the loopback interface.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use super::{Rig, at};
use crate::receive::{ReceiverState, ReceiverStream, SocketReceiver};
use std::sync::Arc;
use winterbourne_base::conf::keys;
use winterbourne_base::time::milliseconds;
use winterbourne_engine::Text;

fn once() -> Rig {
    Rig::set(&[(keys::SOCKET_RECONNECT.name(), "false"), (keys::RECEIVER_MAX_LINE.name(), "64k")])
}

fn serve(rig: &Rig) -> (TcpListener, Arc<ReceiverStream<Text>>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = rig.start(SocketReceiver::text("127.0.0.1", server.local_addr().unwrap().port()));
    (server, stream)
}

fn accept(server: &TcpListener) -> TcpStream {
    server.accept().unwrap().0
}

/// Serves these bytes once and closes; the lines received.
fn check(sent: &[&[u8]], expect: &[&str]) -> Arc<ReceiverStream<Text>> {
    let rig = once();
    let (server, stream) = serve(&rig);
    let mut client = accept(&server);
    sent.iter().for_each(|bytes| client.write_all(bytes).unwrap());
    drop(client);
    rig.await_state(&stream, ReceiverState::Ended);
    assert_eq!(rig.take(&stream), expect);
    assert!(stream.join(None));
    stream
}

#[test]
fn lines_arrive_whatever_ends_them() {
    let stream = check(&[b"one\ntwo\r\nthree\rfour\n"], &["one", "two", "three", "four"]);
    let info = stream.info();
    assert_eq!((info.name.as_str(), info.records, info.last_error), ("SocketReceiver-0", 4, None));
}

#[test]
fn the_last_line_needs_no_end() {
    check(&[b"whole\ncut in the mid"], &["whole", "cut in the mid"]);
    check(&[], &[]);
}

#[test]
fn bytes_that_are_not_text_are_replaced_and_counted() {
    let stream = check(&[b"fine\nb\xffd\n"], &["fine", "b\u{fffd}d"]);
    assert_eq!(stream.info().invalid_utf8, 1);
}

#[test]
fn a_line_that_is_too_long_is_dropped_and_the_stream_goes_on() {
    let huge = vec![b'x'; 1 << 20];
    let stream = check(&[b"before\n", &huge, &huge, b"\nafter\n"], &["before", "after"]);
    let info = stream.info();
    assert_eq!((info.oversized, info.records), (1, 2));
    assert!(info.last_error.unwrap().contains("spark.streaming.receiver.maxLineLength"));
}

#[test]
fn a_server_that_closes_is_connected_to_again() {
    let rig = Rig::new();
    let (server, stream) = serve(&rig);
    accept(&server).write_all(b"first\n").unwrap();
    rig.await_state(&stream, ReceiverState::Restarting { at: at(12_000) });
    assert_eq!(stream.info().last_error.as_deref(), Some("Socket data stream had no more data"));
    rig.clock.await_waiting(1);
    rig.clock.advance(milliseconds(2_000));
    accept(&server).write_all(b"second\n").unwrap();
    rig.await_state(&stream, ReceiverState::Restarting { at: at(14_000) });
    assert_eq!(rig.take(&stream), ["first", "second"]);
    stream.stop();
    assert!(stream.join(None));
}

#[test]
fn a_server_that_is_not_there_is_tried_again() {
    let rig = Rig::new();
    // Nothing can listen on port 0.
    let stream = rig.start(SocketReceiver::text("127.0.0.1", 0));
    rig.await_state(&stream, ReceiverState::Restarting { at: at(12_000) });
    let error = stream.info().last_error.unwrap();
    assert!(error.starts_with("Error connecting to 127.0.0.1:0: "), "{error}");
    stream.stop();
    assert!(stream.join(None));
}

#[test]
fn a_stop_ends_a_blocked_read() {
    let rig = Rig::new();
    let (server, stream) = serve(&rig);
    let mut client = accept(&server);
    client.write_all(b"in pro").unwrap();
    stream.stop();
    assert!(stream.join(None));
    let info = stream.info();
    assert_eq!((info.state, info.last_error), (ReceiverState::Stopped, None));
    drop(client);
}
