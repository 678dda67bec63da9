//! [`Encoder`]: packs what is written to it.
use super::{Codec, blocks::BlockWriter, zstd::ZstdFrames};
use flate2::Compression;
use std::io::{self, Write};

/// Packs what is written to it, or passes it on. A file is whole only after [`finish`](Encoder::finish).
///
/// Gzip and zlib are written at level 6, bzip2 in blocks of 900 kB, LZ4 and Snappy in their fast modes, zstd at about
/// level 1.
///
/// ```
/// use std::io::Write;
/// use winterbourne_engine::{Codec, Encoder};
/// let mut packed = Encoder::new(Some(Codec::Gzip), Vec::new());
/// packed.write_all(&[b'a'; 1000])?;
/// assert!(packed.finish()?.len() < 100);
/// let mut plain = Encoder::new(None, Vec::new());
/// plain.write_all(b"as it is")?;
/// assert_eq!(plain.finish()?, b"as it is");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Encoder<W: Write>(Inner<W>);
enum Inner<W: Write> {
    Plain(W),
    Gzip(flate2::write::GzEncoder<W>),
    Zlib(flate2::write::ZlibEncoder<W>),
    Bzip2(bzip2::write::BzEncoder<W>),
    Zstd(ZstdFrames<W>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<W>>),
    Blocks(BlockWriter<W>),
    SnappyFramed(Box<snap::write::FrameEncoder<W>>),
}
use Inner::*;

impl<W: Write> Encoder<W> {
    /// Packs into `to`; without a codec, writes to it as it is.
    pub fn new(codec: Option<Codec>, to: W) -> Self {
        Encoder(match codec {
            None => Plain(to),
            Some(Codec::Gzip) => Gzip(flate2::write::GzEncoder::new(to, Compression::default())),
            Some(Codec::Zlib) => Zlib(flate2::write::ZlibEncoder::new(to, Compression::default())),
            Some(Codec::Bzip2) => Bzip2(bzip2::write::BzEncoder::new(to, bzip2::Compression::best())),
            Some(Codec::Zstd) => Zstd(ZstdFrames::new(to)),
            Some(Codec::Lz4) => {
                // With a checksum of the whole, as the tool writes it.
                let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
                Lz4(Box::new(lz4_flex::frame::FrameEncoder::with_frame_info(info, to)))
            }
            Some(Codec::Snappy) => Blocks(BlockWriter::snappy(to)),
            Some(Codec::SnappyFramed) => SnappyFramed(Box::new(snap::write::FrameEncoder::new(to))),
        })
    }
    /// As Hadoop's codec of this name packs, within its own files: LZ4 in blocks, not in a frame.
    pub(crate) fn hadoop(codec: Codec, to: W) -> Self {
        if codec == Codec::Lz4 { Encoder(Blocks(BlockWriter::lz4(to))) } else { Encoder::new(Some(codec), to) }
    }
    /// Writes the rest and the end of the archive; returns what was written to.
    ///
    /// # Errors
    /// What writing met.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Plain(to) => Ok(to),
            Gzip(e) => e.finish(),
            Zlib(e) => e.finish(),
            Bzip2(e) => e.finish(),
            Zstd(e) => e.finish(),
            Lz4(e) => e.finish().map_err(io::Error::from),
            Blocks(e) => e.finish(),
            SnappyFramed(e) => e.into_inner().map_err(|e| e.into_error()),
        }
    }
    fn inner(&mut self) -> &mut dyn Write {
        match &mut self.0 {
            Plain(to) => to,
            Gzip(e) => e,
            Zlib(e) => e,
            Bzip2(e) => e,
            Zstd(e) => e,
            Lz4(e) => e,
            Blocks(e) => e,
            SnappyFramed(e) => e,
        }
    }
}
impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner().write_all(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}
