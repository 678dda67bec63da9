//! [`Codec`]: how a file is compressed, told by the ending of its name. Bytes in, bytes out; nothing here knows of
//! records, lines, splits or paths on a disk.
//!
//! All of them are compiled in: pure Rust, and less than a second each. A compressed file cannot be cut.
mod blocks;
mod encoder;
mod members;
mod zstd;

pub use encoder::Encoder;

use blocks::BlockReader;
use members::{InARow, Lz4Member, ZlibMember, ZstdMember};
use std::{
    fmt,
    io::{self, BufRead, Read},
    path::Path,
    str::FromStr,
};

/// How a file is compressed. The ending of its name says so.
///
/// | codec | ending | written as | read |
/// |---|---|---|---|
/// | `Gzip` | `.gz` | one member | any members in a row |
/// | `Zlib` | `.deflate` | one zlib stream, as Hadoop's `DefaultCodec` | any streams in a row |
/// | `Bzip2` | `.bz2` | one stream, blocks of 900 kB | any streams in a row |
/// | `Zstd` | `.zst` | a frame for every 4 MiB, about level 1 | any frames in a row, windows of at most 128 MiB |
/// | `Lz4` | `.lz4` | one LZ4 frame, as the `lz4` tool | any frames in a row; also Hadoop's `Lz4Codec` |
/// | `Snappy` | `.snappy` | Hadoop's `SnappyCodec` | that; also the framing format |
/// | `SnappyFramed` | `.sz` | Snappy's own framing format | that; also Hadoop's |
///
/// An archive that is cut short is an error, except of the two that mark no end: framed Snappy and Hadoop's blocks, where
/// a cut exactly between two blocks cannot be seen.
///
/// ```
/// use winterbourne_engine::Codec;
/// assert_eq!(Codec::of("logs/part-00000.GZ".as_ref()), Some(Codec::Gzip));
/// assert_eq!(Codec::of("logs/part-00000".as_ref()), None);
/// assert_eq!("zstd".parse(), Ok(Codec::Zstd));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Codec {
    /// `.gz`
    Gzip,
    /// `.deflate`
    Zlib,
    /// `.bz2`
    Bzip2,
    /// `.zst`
    Zstd,
    /// `.lz4`
    Lz4,
    /// `.snappy`
    Snappy,
    /// `.sz`
    SnappyFramed,
}
use Codec::*;

/// What each is called: the codec, its ending, its name, the last part of the name of Hadoop's class.
const NAMES: [(Codec, &str, &str, &str); 7] = [
    (Gzip, "gz", "gzip", "GzipCodec"),
    (Zlib, "deflate", "zlib", "DefaultCodec"),
    (Bzip2, "bz2", "bzip2", "BZip2Codec"),
    (Zstd, "zst", "zstd", "ZStandardCodec"),
    (Lz4, "lz4", "lz4", "Lz4Codec"),
    (Snappy, "snappy", "snappy", "SnappyCodec"),
    (SnappyFramed, "sz", "snappy-framed", ""),
];
/// Endings of compressions that are known and not read.
const UNREAD: [(&str, &str); 5] =
    [("xz", "xz"), ("lzma", "lzma"), ("lzo", "lzo"), ("br", "brotli"), ("zip", "zip archives")];
/// Where Hadoop's classes live.
const HADOOP: &str = "org.apache.hadoop.io.compress.";

impl Codec {
    /// The codec that the ending of a file's name tells of, whatever its case.
    pub fn of(path: &Path) -> Option<Codec> {
        let ending = ending(path)?;
        NAMES.iter().find(|n| n.1 == ending).map(|n| n.0)
    }
    /// The ending, without a dot.
    ///
    /// ```
    /// use winterbourne_engine::Codec;
    /// assert_eq!(format!("part-00000.{}", Codec::Zstd.ending()), "part-00000.zst");
    /// ```
    pub fn ending(self) -> &'static str {
        self.names().1
    }
    /// Hadoop's class of this codec, if it has one.
    pub(crate) fn class(self) -> Option<String> {
        let class = self.names().3;
        (!class.is_empty()).then(|| format!("{HADOOP}{class}"))
    }
    fn names(self) -> (Codec, &'static str, &'static str, &'static str) {
        *NAMES.iter().find(|n| n.0 == self).expect("every codec is in the list")
    }
    /// The bytes that `input` unpacks to. Memory is bounded by the format: at most 128 MiB, usually far less.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use winterbourne_engine::{Codec, Encoder};
    /// let mut packed = Encoder::new(Some(Codec::Zstd), Vec::new());
    /// packed.write_all(b"to be or not to be")?;
    /// let packed = packed.finish()?;
    /// let mut text = String::new();
    /// Codec::Zstd.reader(&packed[..])?.read_to_string(&mut text)?;
    /// assert_eq!(text, "to be or not to be");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// What reading the first bytes of `input` met.
    pub fn reader<'a>(self, mut input: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        if input.fill_buf()?.is_empty() {
            return Ok(Box::new(io::empty()));
        }
        Ok(match self {
            Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Zlib => Box::new(InARow::<_, ZlibMember<_>>::new(input)),
            Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
            Zstd => Box::new(InARow::<_, ZstdMember<_>>::new(input)),
            Lz4 if is_hadoops(&mut input, LZ4_FRAME)? => Box::new(BlockReader::lz4(input)),
            Lz4 => Box::new(InARow::<_, Lz4Member<_>>::new(input)),
            Snappy | SnappyFramed if is_hadoops(&mut input, SNAPPY_FRAME)? => Box::new(BlockReader::snappy(input)),
            Snappy | SnappyFramed => Box::new(snap::read::FrameDecoder::new(input)),
        })
    }
}

/// The first byte of an LZ4 frame (0x184D2204, little-endian), and of a skippable one (0x184D2A5.).
const LZ4_FRAME: fn(u8) -> bool = |first| first == 0x04 || (first & 0xF0) == 0x50;
/// The first byte of the Snappy framing format.
const SNAPPY_FRAME: fn(u8) -> bool = |first| first == 0xFF;

/// Whether this is not the format's own framing but Hadoop's: a length of at most 64 MiB, so its first byte is at most 3.
fn is_hadoops(input: &mut impl BufRead, framed: fn(u8) -> bool) -> io::Result<bool> {
    Ok(input.fill_buf()?.first().is_some_and(|b| !framed(*b)))
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names().2)
    }
}
/// The name is none of a codec's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no codec; there are gzip, zlib, bzip2, zstd, lz4, snappy, snappy-framed")]
pub struct NoCodec(String);
impl FromStr for Codec {
    type Err = NoCodec;
    /// By name (`gzip`), by ending (`gz`), or by Hadoop's class (`org.apache.hadoop.io.compress.GzipCodec`).
    fn from_str(name: &str) -> Result<Codec, NoCodec> {
        let class = name.strip_prefix(HADOOP).unwrap_or(name);
        let class = if class == "DeflateCodec" { "DefaultCodec" } else { class };
        let lower = name.to_ascii_lowercase();
        let found = NAMES.iter().find(|n| n.1 == lower || n.2 == lower || !class.is_empty() && n.3 == class);
        found.map(|n| n.0).ok_or_else(|| NoCodec(name.to_owned()))
    }
}

fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

/// Why a file of this name cannot be unpacked, if it cannot: it is compressed in a way that is not read.
///
/// ```
/// use winterbourne_engine::why_not_text;
/// assert_eq!(why_not_text("a.txt.gz".as_ref()), None);
/// assert!(why_not_text("a.txt.xz".as_ref()).unwrap().contains("xz"));
/// ```
pub fn why_not_text(path: &Path) -> Option<String> {
    let ending = ending(path)?;
    let (_, format) = UNREAD.iter().find(|u| u.0 == ending)?;
    Some(format!("{format} files are not read: unpack it, or use gzip, zstd, bzip2, lz4 or snappy"))
}

#[cfg(test)]
mod tests;
