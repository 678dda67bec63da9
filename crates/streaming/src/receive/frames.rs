//! [`FrameReceiver`]: frames of bytes from a TCP server. Refuses to know what is in a frame.

use std::io::{BufReader, Read};

use winterbourne_base::conf::{Bytes, keys};
use winterbourne_engine::{BoxError, Data};

use super::server::{ROOM, Server, read};
use super::{Intake, Receiver, Tolerated};

/// Connects to a TCP server and receives frames: a length of four bytes, the highest first, and that many bytes.
pub(crate) struct FrameReceiver<F> {
    server: Server,
    decode: F,
}

/// The bytes of the length.
const HEAD: usize = 4;

impl<F> FrameReceiver<F> {
    pub(crate) fn new(host: impl Into<String>, port: u16, decode: F) -> Self {
        Self { server: Server::new(host, port), decode }
    }

    /// Reads until the end; the error is why it came, unless it was asked for.
    fn read<T: Data, R>(&mut self, socket: impl Read, intake: &Intake<T>) -> Result<(), BoxError>
    where
        F: FnMut(Vec<u8>) -> Result<R, BoxError>,
        R: IntoIterator<Item = T>,
    {
        let mut socket = BufReader::with_capacity(ROOM, socket);
        let max = intake.max_frame();
        loop {
            let mut head = [0; HEAD];
            let mut have = 0;
            while have < HEAD {
                match read(&mut socket, &mut head[have..]) {
                    Ok(0) if have == 0 => return self.server.closed(intake),
                    Ok(0) => return Err(self.server.broken("the server closed", have, "frame")),
                    Ok(n) => have += n,
                    Err(error) => return Err(self.server.broken(error, have, "frame")),
                }
            }
            let length = i32::from_be_bytes(head);
            let Some(wanted) = u64::try_from(length).ok().filter(|length| *length <= max) else {
                let (max, key) = (Bytes(max), keys::RAW_MAX_BLOCK_SIZE);
                let why = format!("a frame of {length} bytes was announced, but it may have 0 to {max} ({key})");
                return Err(self.server.broken(why, 0, "frame"));
            };
            // The peer announces what it likes: memory is taken as bytes come.
            let mut frame = Vec::with_capacity(wanted.min(ROOM as u64) as usize);
            if let Err(error) = (&mut socket).take(wanted).read_to_end(&mut frame) {
                return Err(self.server.broken(error, HEAD + frame.len(), "frame"));
            }
            if (frame.len() as u64) < wanted {
                return Err(self.server.broken("the server closed", HEAD + frame.len(), "frame"));
            }
            match (self.decode)(frame) {
                Ok(records) => {
                    let records: Vec<T> = records.into_iter().collect();
                    let bytes = wanted as usize + records.len() * size_of::<T>();
                    intake.store_sized(records, bytes)?;
                }
                Err(why) => {
                    intake.tolerated(Tolerated::Undecodable, 1);
                    intake.report_error(format!("dropped a frame of {length} bytes that cannot be decoded: {why}"));
                }
            }
        }
    }
}

impl<T, F, R> Receiver<T> for FrameReceiver<F>
where
    T: Data,
    F: FnMut(Vec<u8>) -> Result<R, BoxError> + Send + 'static,
    R: IntoIterator<Item = T>,
{
    fn receive(&mut self, intake: &Intake<T>) -> Result<(), BoxError> {
        if intake.is_stopped() {
            return Ok(());
        }
        let socket = self.server.connect(intake)?;
        self.read(socket, intake)
    }

    fn name(&self) -> String {
        "RawSocketReceiver".into()
    }
}
