//! Writing zstd: a frame, with a checksum, for every so many bytes. Frames in a row are one file to every reader.
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::{self, Write};

/// What a frame unpacks to. The compressor wants it as a whole; larger ones gain nothing.
const FRAME: usize = 4 << 20;

pub(super) struct ZstdFrames<W> {
    to: W,
    frame: Vec<u8>,
    /// Whether there is a frame already: a file without any is no zstd file.
    began: bool,
}
impl<W: Write> ZstdFrames<W> {
    pub(super) fn new(to: W) -> Self {
        ZstdFrames { to, frame: Vec::new(), began: false }
    }
    fn emit(&mut self) -> io::Result<()> {
        self.to.write_all(&compress_to_vec(&self.frame[..], CompressionLevel::Fastest))?;
        self.frame.clear();
        self.began = true;
        Ok(())
    }
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.frame.is_empty() || !self.began {
            self.emit()?;
        }
        Ok(self.to)
    }
}
impl<W: Write> Write for ZstdFrames<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(FRAME - self.frame.len());
        self.frame.extend_from_slice(&bytes[..count]);
        if self.frame.len() == FRAME {
            self.emit()?;
        }
        Ok(count)
    }
    /// Ends no frame: one that is too short wastes room.
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
