//! [`Server`]: what our socket receivers have in common: connecting, being stopped, what an end means. Refuses to know
//! what the bytes are.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use winterbourne_engine::{BoxError, Data};

use super::Intake;

/// How much is read at once.
pub(super) const ROOM: usize = 64 << 10;

/// How long an address may take to answer. The wait cannot be interrupted, so it must end.
const CONNECT: Duration = Duration::from_secs(10);

/// A TCP server to connect to.
#[derive(Clone, Debug)]
pub(super) struct Server {
    host: String,
    port: u16,
}

impl Server {
    pub(super) fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// A connection whose reads end when the receiver is told to stop.
    pub(super) fn connect<T: Data>(&self, intake: &Intake<T>) -> Result<TcpStream, BoxError> {
        let failed = |error| format!("Error connecting to {}:{}: {error}", self.host, self.port);
        let socket = self.try_addresses().map_err(failed)?;
        let handle = socket.try_clone().map_err(failed)?;
        // A blocked read then returns as at the end of the stream. If the socket is dead already, so much the better.
        intake.on_stop(move || drop(handle.shutdown(Shutdown::Both)));
        tracing::info!(host = self.host, port = self.port, "connected");
        Ok(socket)
    }

    fn try_addresses(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What the receiver returns when the server has closed: the end, or a reason to connect again.
    pub(super) fn closed<T: Data>(&self, intake: &Intake<T>) -> Result<(), BoxError> {
        if intake.reconnects() { Err("Socket data stream had no more data".into()) } else { Ok(()) }
    }

    /// What the receiver returns when bytes could not be had, or make no sense: `unfinished` bytes are lost with that.
    pub(super) fn broken(&self, why: impl std::fmt::Display, unfinished: usize, what: &str) -> BoxError {
        let lost = match unfinished {
            0 => String::new(),
            bytes => format!("; {bytes} bytes of an unfinished {what} are dropped"),
        };
        format!("Error receiving data from {}:{}: {why}{lost}", self.host, self.port).into()
    }
}

/// As [`Read::read`], without interruptions.
pub(super) fn read(source: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
