//! [`SocketReceiver`]: lines of text from a TCP server. Refuses to listen: it is a client, as in Spark.

use std::io::{self, Read};

use winterbourne_base::conf::{Bytes, keys};
use winterbourne_engine::{BoxError, LineCut, LineCutter, Text};

use super::server::{ROOM, Server, read};
use super::{Intake, Receiver, Stopped, Tolerated};

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
    server: Server,
}

impl SocketReceiver {
    /// A receiver of lines from this server. Nothing is looked up or connected yet.
    #[doc(alias = "socketTextStream")]
    pub fn text(host: impl Into<String>, port: u16) -> Self {
        Self { server: Server::new(host, port) }
    }

    /// Reads until the end; the error is why it came, unless it was asked for.
    fn read(&self, socket: &mut impl Read, intake: &Intake<Text>) -> Result<(), BoxError> {
        match read_lines(socket, intake)? {
            LinesEnd::Closed => self.server.closed(intake),
            LinesEnd::Broken(error, unfinished) => Err(self.server.broken(error, unfinished, "line")),
        }
    }
}

impl Receiver<Text> for SocketReceiver {
    fn receive(&mut self, intake: &Intake<Text>) -> Result<(), BoxError> {
        if intake.is_stopped() {
            return Ok(());
        }
        let mut socket = self.server.connect(intake)?;
        self.read(&mut socket, intake)
    }
}

/// Why there are no more lines.
pub(super) enum LinesEnd {
    Closed,
    /// Why, and how many bytes of a line without an end were read before.
    Broken(io::Error, usize),
}

/// Stores the lines of `source` until it ends.
pub(super) fn read_lines(source: &mut impl Read, intake: &Intake<Text>) -> Result<LinesEnd, Stopped> {
    let mut cutter = LineCutter::new(intake.max_record());
    loop {
        let mut buffer = cutter.buffer(ROOM);
        let kept = buffer.len() - ROOM;
        let read = match read(source, &mut buffer[kept..]) {
            Ok(read) => read,
            Err(error) => return Ok(LinesEnd::Broken(error, kept)),
        };
        buffer.truncate(kept + read);
        let have = buffer.len();
        let cut = cutter.cut(buffer, read == 0);
        store(cut, have - cutter.pending(), intake)?;
        if read == 0 {
            return Ok(LinesEnd::Closed);
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
    use std::io::ErrorKind;

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

    /// Counts what the threads of this test program allocate, each for itself.
    struct Counting;
    thread_local! {
        static ALLOCATIONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    // SAFETY: every call is handed on to the system's allocator as it came; the count has no destructor and allocates nothing.
    unsafe impl std::alloc::GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
            ALLOCATIONS.set(ALLOCATIONS.get() + 1);
            // SAFETY: the caller keeps the contract of `alloc`.
            unsafe { std::alloc::System.alloc(layout) }
        }
        unsafe fn dealloc(&self, at: *mut u8, layout: std::alloc::Layout) {
            // SAFETY: the caller keeps the contract of `dealloc`.
            unsafe { std::alloc::System.dealloc(at, layout) }
        }
    }
    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// Allocations of the receiver's thread while it takes in so many lines of 100 bytes.
    fn allocations(lines: usize) -> u64 {
        let rig = Rig::new();
        let receiver = SocketReceiver::text("example", 9);
        let stream = rig.stream(receiver.clone());
        let text = ("x".repeat(99) + "\n").repeat(lines);
        let mut source = text.as_bytes();
        let before = ALLOCATIONS.get();
        // The end of the connection is an error, as it is to be opened again.
        drop(receiver.read(&mut source, &stream.intake()));
        let n = ALLOCATIONS.get() - before;
        assert_eq!(rig.take(&stream).len(), lines);
        n
    }
    #[test]
    fn taking_in_lines_allocates_by_the_buffer_and_not_by_the_line() {
        let (few, many) = (allocations(20_000), allocations(120_000));
        let each = (many - few) as f64 / 100_000.0;
        assert!(each < 0.02, "{each} allocations a line of 100 bytes");
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
