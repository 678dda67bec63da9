//! [`BytesReceiver`]: the bytes of a TCP server, made records by a function of the user's. Refuses to know their format.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use winterbourne_engine::{BoxError, Data};

use super::server::{ROOM, Server};
use super::{Intake, Receiver};

/// The bytes of one connection, buffered: what [`socket_stream`](crate::StreamingContext::socket_stream) hands to the
/// function that makes records of them. A read blocks until there is something; it ends when the server closes, and when
/// the stream is stopped.
#[derive(Debug)]
pub struct SocketBytes {
    socket: BufReader<TcpStream>,
    /// Bytes consumed since the last record.
    used: Arc<AtomicUsize>,
}

impl Read for SocketBytes {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.socket.read(room)?;
        self.used.fetch_add(read, Relaxed);
        Ok(read)
    }
}

impl BufRead for SocketBytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.socket.fill_buf()
    }
    fn consume(&mut self, bytes: usize) {
        self.used.fetch_add(bytes, Relaxed);
        self.socket.consume(bytes);
    }
}

/// Connects to a TCP server and stores what `convert` makes of its bytes.
pub(crate) struct BytesReceiver<F> {
    server: Server,
    convert: F,
}

impl<F> BytesReceiver<F> {
    pub(crate) fn new(host: impl Into<String>, port: u16, convert: F) -> Self {
        Self { server: Server::new(host, port), convert }
    }
}

impl<T, F, R> Receiver<T> for BytesReceiver<F>
where
    T: Data,
    F: FnMut(SocketBytes) -> R + Send + 'static,
    R: IntoIterator<Item = Result<T, BoxError>>,
{
    fn receive(&mut self, intake: &Intake<T>) -> Result<(), BoxError> {
        if intake.is_stopped() {
            return Ok(());
        }
        let used = Arc::new(AtomicUsize::new(0));
        let socket = BufReader::with_capacity(ROOM, self.server.connect(intake)?);
        for record in (self.convert)(SocketBytes { socket, used: used.clone() }) {
            let record = record.map_err(|error| self.server.broken(error, 0, "record"))?;
            intake.store_one_sized(record, size_of::<T>() + used.swap(0, Relaxed))?;
        }
        self.server.closed(intake)
    }

    fn name(&self) -> String {
        "SocketReceiver".into()
    }
}
