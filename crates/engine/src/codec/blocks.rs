//! Hadoop's blocks: how its `SnappyCodec` and `Lz4Codec` frame raw compression.
//!
//! ```text
//! block := length of what it unpacks to, u32 big-endian
//!          piece …                        until they unpack to so much
//! piece := length, u32 big-endian, then so many bytes of raw Snappy or LZ4
//! ```
//!
//! There is no mark at the beginning, none at the end, and no checksum.
use super::members::{broken, cut_short};
use std::io::{self, BufRead, Read, Write};

/// The most that a piece may have, packed or unpacked. Hadoop's own are 256 KiB.
const LARGEST_PIECE: usize = 64 << 20;
/// What a piece that we write unpacks to: Hadoop's readers take up to 256 KiB.
const PIECE: usize = 128 << 10;

/// Unpacks one piece to at most so many bytes.
type Unpack = fn(&[u8], usize) -> io::Result<Vec<u8>>;

/// Unpacks blocks until the input ends.
pub(super) struct BlockReader<R> {
    input: R,
    unpack: Unpack,
    /// Bytes of the block that are still to come.
    left: usize,
    /// The piece being read, and how far it was.
    piece: Vec<u8>,
    at: usize,
}
impl<R: BufRead> BlockReader<R> {
    pub(super) fn snappy(input: R) -> Self {
        Self::new(input, |packed, most| {
            let unpacked = snap::raw::decompress_len(packed)?;
            if unpacked > most {
                return Err(broken("a piece of a Snappy block is longer than its block"));
            }
            Ok(snap::raw::Decoder::new().decompress_vec(packed)?)
        })
    }
    pub(super) fn lz4(input: R) -> Self {
        Self::new(input, |packed, most| lz4_flex::block::decompress(packed, most.min(LARGEST_PIECE)).map_err(broken))
    }
    fn new(input: R, unpack: Unpack) -> Self {
        BlockReader { input, unpack, left: 0, piece: Vec::new(), at: 0 }
    }
    /// A length; none at the end of the input.
    fn length(&mut self) -> io::Result<Option<usize>> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.exactly(&mut length)?;
        Ok(Some(u32::from_be_bytes(length) as usize))
    }
    fn exactly(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.input.read_exact(into).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => cut_short(),
            _ => e,
        })
    }
    /// The next piece; whether there is one.
    fn next(&mut self) -> io::Result<bool> {
        while self.left == 0 {
            let Some(length) = self.length()? else { return Ok(false) };
            self.left = length;
        }
        let packed = self.length()?.ok_or_else(cut_short)?;
        if packed > LARGEST_PIECE {
            return Err(broken("a piece of a block is too long: the file is no Hadoop block file, or broken"));
        }
        let mut bytes = vec![0; packed];
        self.exactly(&mut bytes)?;
        self.piece = (self.unpack)(&bytes, self.left.min(LARGEST_PIECE))?;
        self.at = 0;
        self.left -= self.piece.len();
        Ok(true)
    }
}
impl<R: BufRead> Read for BlockReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            if into.is_empty() || !self.next()? {
                return Ok(0);
            }
        }
        let count = into.len().min(self.piece.len() - self.at);
        into[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Writes blocks of one piece each.
pub(super) struct BlockWriter<W> {
    to: W,
    pack: fn(&[u8]) -> io::Result<Vec<u8>>,
    piece: Vec<u8>,
}
impl<W: Write> BlockWriter<W> {
    pub(super) fn snappy(to: W) -> Self {
        let pack = |piece: &[u8]| Ok(snap::raw::Encoder::new().compress_vec(piece)?);
        BlockWriter { to, pack, piece: Vec::new() }
    }
    pub(super) fn lz4(to: W) -> Self {
        BlockWriter { to, pack: |piece| Ok(lz4_flex::block::compress(piece)), piece: Vec::new() }
    }
    fn emit(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let packed = (self.pack)(&self.piece)?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a piece is small").to_be_bytes();
        self.to.write_all(&length(&self.piece))?;
        self.to.write_all(&length(&packed))?;
        self.to.write_all(&packed)?;
        self.piece.clear();
        Ok(())
    }
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.emit()?;
        Ok(self.to)
    }
}
impl<W: Write> Write for BlockWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.emit()?;
        }
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.emit()?;
        self.to.flush()
    }
}
