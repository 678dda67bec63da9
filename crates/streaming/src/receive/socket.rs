//! [`SocketReceiver`]: lines of text from a TCP server. Refuses to listen: it is a client, as in Spark.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use winterbourne_base::conf::{Bytes, keys};
use winterbourne_engine::{BoxError, LineCut, LineCutter, Text};

use super::{Intake, Receiver, Stopped, Tolerated};

/// How much is read at once.
const ROOM: usize = 64 << 10;

/// How long an address may take to answer. The wait cannot be interrupted, so it must end.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects to a TCP server and receives the lines it sends.
///
/// A line ends with `\n`, `\r\n` or `\r`, the last one also where the server closes. Bytes that are not UTF-8 become
/// U+FFFD and are counted; a line longer than `spark.streaming.receiver.maxLineLength` is dropped, counted and
/// reported, and is not kept while it arrives.
///
/// When the server closes, the receiver connects again after `spark.streaming.receiverRestartDelay`, unless
/// `spark.streaming.socket.reconnect` is false: then the source has ended. It is not reliable: what was on its way when
/// a connection broke is lost, and so is the line in progress if it was reset rather than closed.
///
/// ```
/// use winterbourne_streaming::receive::{Receiver, SocketReceiver};
/// assert_eq!(SocketReceiver::text("localhost", 9999).name(), "SocketReceiver");
/// ```
#[derive(Clone, Debug)]
pub struct SocketReceiver {
    host: String,
    port: u16,
}

impl SocketReceiver {
    /// A receiver of lines from this server. Nothing is looked up or connected yet.
    #[doc(alias = "socketTextStream")]
    pub fn text(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Tries every address of the host.
    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Reads until the end; the error is why it came, unless it was asked for.
    fn read(&self, socket: &mut impl Read, intake: &Intake<Text>) -> Result<(), BoxError> {
        let mut cutter = LineCutter::new(intake.max_record());
        loop {
            let mut buffer = cutter.buffer(ROOM);
            let kept = buffer.len() - ROOM;
            let read = match read(socket, &mut buffer[kept..]) {
                Ok(read) => read,
                Err(error) => return Err(self.broken(&error, kept).into()),
            };
            buffer.truncate(kept + read);
            let have = buffer.len();
            let cut = cutter.cut(buffer, read == 0);
            store(cut, have - cutter.pending(), intake)?;
            if read == 0 {
                return if intake.reconnects() { Err("Socket data stream had no more data".into()) } else { Ok(()) };
            }
        }
    }

    fn broken(&self, error: &io::Error, unfinished: usize) -> String {
        let lost = match unfinished {
            0 => String::new(),
            bytes => format!("; {bytes} bytes of an unfinished line are dropped"),
        };
        format!("Error receiving data from {}:{}: {error}{lost}", self.host, self.port)
    }
}

impl Receiver<Text> for SocketReceiver {
    fn receive(&mut self, intake: &Intake<Text>) -> Result<(), BoxError> {
        if intake.is_stopped() {
            return Ok(());
        }
        let failed = |error| format!("Error connecting to {}:{}: {error}", self.host, self.port);
        let mut socket = self.connect().map_err(failed)?;
        let handle = socket.try_clone().map_err(failed)?;
        // A blocked read then returns as at the end of the stream. If the socket is dead already, so much the better.
        intake.on_stop(move || drop(handle.shutdown(Shutdown::Both)));
        tracing::info!(host = self.host, port = self.port, "connected");
        self.read(&mut socket, intake)
    }
}

/// As [`Read::read`], without interruptions.
fn read(socket: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Stores lines that were cut from `read` bytes.
fn store(cut: LineCut, read: usize, intake: &Intake<Text>) -> Result<(), Stopped> {
    intake.tolerated(Tolerated::InvalidUtf8, cut.invalid_utf8);
    intake.tolerated(Tolerated::OversizedRecord, cut.oversized);
    if cut.oversized > 0 {
        let limit = Bytes(intake.max_record() as u64);
        let key = keys::RECEIVER_MAX_LINE;
        intake.report_error(format!("dropped {} line(s) longer than {limit} ({key})", cut.oversized));
    }
    let bytes = read + cut.lines.len() * size_of::<Text>();
    intake.store_sized(cut.lines, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::tests::Rig;

    /// What a connection yields: bytes, in pieces, then an error or the end.
    struct Fake {
        pieces: Vec<io::Result<Vec<u8>>>,
    }

    impl Read for Fake {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            match self.pieces.is_empty() {
                true => Ok(0),
                false => {
                    self.pieces.remove(0).inspect(|piece| room[..piece.len()].copy_from_slice(piece)).map(|p| p.len())
                }
            }
        }
    }

    /// The lines, the error, and the records that are still as they should be counted.
    fn read_all(rig: &Rig, pieces: Vec<io::Result<Vec<u8>>>) -> (Vec<Text>, Option<String>, (u64, u64)) {
        let receiver = SocketReceiver::text("example", 9);
        let stream = rig.stream(receiver.clone());
        let result = receiver.read(&mut Fake { pieces }, &stream.intake());
        let info = stream.info();
        (rig.take(&stream), result.err().map(|error| error.to_string()), (info.invalid_utf8, info.oversized))
    }

    fn bytes(text: &str) -> io::Result<Vec<u8>> {
        Ok(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_do_not_depend_on_how_they_arrive() {
        let rig = Rig::set(&[(keys::SOCKET_RECONNECT.name(), "false")]);
        let pieces =
            vec![bytes("a\r"), bytes("\nb"), Err(ErrorKind::Interrupted.into()), bytes("b\rc\n\n"), bytes("d")];
        let (lines, error, _) = read_all(&rig, pieces);
        assert_eq!((lines.as_slice(), error), (["a", "bb", "c", "", "d"].map(Text::from).as_slice(), None));
    }

    #[test]
    fn a_reset_keeps_whole_lines_and_says_what_is_lost() {
        let rig = Rig::new();
        let (lines, error, _) = read_all(&rig, vec![bytes("whole\npart"), Err(ErrorKind::ConnectionReset.into())]);
        assert_eq!(lines, ["whole"]);
        let error = error.unwrap();
        assert!(error.starts_with("Error receiving data from example:9: "), "{error}");
        assert!(error.ends_with("4 bytes of an unfinished line are dropped"), "{error}");
    }

    #[test]
    fn a_huge_line_is_dropped_and_later_lines_arrive() {
        let rig = Rig::set(&[(keys::RECEIVER_MAX_LINE.name(), "100k")]);
        let mut pieces = vec![bytes("before\nhuge")];
        pieces.extend((0..50).map(|_| Ok(vec![b'x'; ROOM])));
        pieces.extend([bytes("end\nafter\n"), Ok(b"\xff\n".to_vec())]);
        let (lines, _, counted) = read_all(&rig, pieces);
        assert_eq!(lines, ["before", "after", "\u{fffd}"]);
        assert_eq!(counted, (1, 1));
        let errors = rig.errors();
        assert_eq!(errors, ["dropped 1 line(s) longer than 100k (spark.streaming.receiver.maxLineLength)"]);
    }
}
