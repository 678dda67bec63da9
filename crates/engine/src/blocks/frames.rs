//! Records as bytes: frames of about a thousand, each with a checksum, and an end that says how many there were. The same
//! bytes lie in memory, on disk and in a checkpoint.
//!
//! ```text
//! block  = frame* end
//! frame  = count u32, raw u32, len u32, crc u32, payload     count > 0
//! end    = 0 u32, 8 u32, 8 u32, crc u32, records u64         numbers little-endian
//! ```
//!
//! The payload holds `count` records, one after another, in postcard's format. It is LZ4 if `len` is less than `raw`,
//! which is its length without. The CRC-32 is over the three numbers before it and the payload.
//!
//! A file begins with eight bytes, `WBBLOCK` and the version 1.
use super::Damage;
use crate::{CHUNK, Data, Wire};
use serde::Serialize;
use std::{ops::Range, sync::Arc};

/// What a file of frames begins with: the last byte is the version.
pub(crate) const MAGIC: [u8; 8] = *b"WBBLOCK\x01";
pub(super) const HEAD: usize = 16;
/// A frame is closed once it is that long.
const FULL: usize = 128 << 10;
/// No payload is longer, so no reader allocates more.
pub(super) const MOST: usize = 1 << 30;

/// How records `T` become bytes and come back, a chunk at a time.
pub(crate) struct RecordCodec<T> {
    pub(crate) encode: Encode<T>,
    pub(crate) decode: Decode<T>,
    /// Adds up the read buffers that records hold.
    pub(super) pins: fn(&[T], &mut crate::detach::Pins),
    /// Without them.
    pub(super) detach: fn(T) -> T,
}
impl<T> Clone for RecordCodec<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for RecordCodec<T> {}
type Encode<T> = fn(&[T], &mut Encoder) -> Result<(), postcard::Error>;
type Decode<T> = fn(&[u8], u32) -> Result<Vec<T>, postcard::Error>;
impl<T: Wire> RecordCodec<T> {
    /// With a form of its own.
    pub(crate) fn coded(encode: Encode<T>, decode: Decode<T>) -> Self {
        RecordCodec { encode, decode, ..Self::of() }
    }
    pub(crate) fn of() -> Self {
        RecordCodec {
            encode: |records, to| records.iter().try_for_each(|x| to.push(x)),
            decode: |mut bytes, count| {
                let mut out = Vec::with_capacity((count as usize).min(CHUNK));
                for _ in 0..count {
                    let (x, rest) = postcard::take_from_bytes(bytes)?;
                    bytes = rest;
                    out.push(x);
                }
                if bytes.is_empty() { Ok(out) } else { Err(postcard::Error::DeserializeBadEncoding) }
            },
            pins: |records, to| to.add_walked(records),
            detach: crate::detach::value,
        }
    }
}

/// Makes frames of records.
pub(crate) struct Encoder {
    /// Finished frames.
    pub(super) out: Vec<u8>,
    open: Vec<u8>,
    count: u32,
    /// All records so far.
    pub(super) records: u64,
    compress: bool,
}
impl Encoder {
    pub(crate) fn new(compress: bool) -> Self {
        Encoder { out: Vec::new(), open: Vec::new(), count: 0, records: 0, compress }
    }
    pub(crate) fn push<T: Serialize>(&mut self, x: &T) -> Result<(), postcard::Error> {
        self.open = postcard::to_extend(x, std::mem::take(&mut self.open))?;
        self.count += 1;
        self.records += 1;
        if self.open.len() >= FULL || self.count as usize == CHUNK {
            self.close()?;
        }
        Ok(())
    }
    fn close(&mut self) -> Result<(), postcard::Error> {
        let raw = self.open.len();
        if raw > MOST {
            return Err(postcard::Error::SerializeBufferFull);
        }
        let packed = if self.compress { lz4_flex::block::compress(&self.open) } else { Vec::new() };
        let payload = if self.compress && packed.len() < raw { &packed } else { &self.open };
        frame(&mut self.out, self.count, raw, payload);
        self.open.clear();
        self.count = 0;
        Ok(())
    }
    /// Closes the open frame.
    pub(super) fn cut(&mut self) -> Result<(), postcard::Error> {
        if self.count > 0 { self.close() } else { Ok(()) }
    }
    /// Closes the last frame and says how many records there were.
    pub(crate) fn end(&mut self) -> Result<(), postcard::Error> {
        self.cut()?;
        frame(&mut self.out, 0, 8, &self.records.to_le_bytes());
        Ok(())
    }
}

fn frame(out: &mut Vec<u8>, count: u32, raw: usize, payload: &[u8]) {
    let at = out.len();
    for n in [count, raw as u32, payload.len() as u32] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    let crc = checksum(&out[at..], payload);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(payload);
}
pub(super) fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

/// The numbers before a payload.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) count: u32,
    pub(super) raw: u32,
    pub(super) len: u32,
    crc: u32,
}
impl Head {
    /// Reads them; `left` bytes follow.
    pub(super) fn of(bytes: &[u8; HEAD], left: u64) -> Result<Self, &'static str> {
        let n = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let head = Head { count: n(0), raw: n(4), len: n(8), crc: n(12) };
        match head {
            h if u64::from(h.len) > left => Err("it ends within a frame"),
            h if h.raw as usize > MOST || h.len > h.raw => Err("a frame has an impossible length"),
            h if h.count == 0 && (h.raw, h.len) != (8, 8) => Err("the end has an impossible length"),
            h => Ok(h),
        }
    }
    pub(super) fn check(&self, bytes: &[u8; HEAD], payload: &[u8]) -> Result<(), &'static str> {
        if checksum(&bytes[..12], payload) == self.crc { Ok(()) } else { Err("a checksum does not match") }
    }
}

/// The records of one frame, as bytes.
#[derive(Clone)]
pub(crate) struct Frame {
    count: u32,
    raw: u32,
    bytes: Arc<Vec<u8>>,
    payload: Range<usize>,
}
impl Frame {
    pub(super) fn new(head: Head, bytes: Arc<Vec<u8>>, payload: Range<usize>) -> Self {
        Frame { count: head.count, raw: head.raw, bytes, payload }
    }
    /// The records. Runs the user's code.
    pub(crate) fn records<T: Data>(&self, codec: &RecordCodec<T>) -> Result<Vec<T>, String> {
        let payload = &self.bytes[self.payload.clone()];
        let unpacked;
        let raw = if payload.len() < self.raw as usize {
            unpacked = lz4_flex::block::decompress(payload, self.raw as usize).map_err(|e| e.to_string())?;
            if unpacked.len() != self.raw as usize {
                return Err("a frame is not as long as it says".into());
            }
            &unpacked[..]
        } else {
            payload
        };
        (codec.decode)(raw, self.count).map_err(|e| e.to_string())
    }
}

/// Where frames come from, one after another.
pub(crate) trait Frames: Send + 'static {
    /// The next frame that holds records; none at the end.
    fn next(&mut self) -> Result<Option<Frame>, Damage>;
}

/// Frames in memory, which are trusted.
pub(crate) struct InMemory {
    bytes: Arc<Vec<u8>>,
    at: usize,
}
impl InMemory {
    pub(crate) fn new(bytes: Arc<Vec<u8>>) -> Self {
        InMemory { bytes, at: 0 }
    }
}
impl Frames for InMemory {
    fn next(&mut self) -> Result<Option<Frame>, Damage> {
        let damage = |why| Damage::new(self.at as u64, why);
        let head = self.bytes.get(self.at..self.at + HEAD).and_then(|h| h.try_into().ok());
        let Some(bytes) = head else { return Ok(None) };
        let from = self.at + HEAD;
        let head = Head::of(bytes, (self.bytes.len() - from) as u64).map_err(damage)?;
        let payload = from..from + head.len as usize;
        self.at = payload.end;
        Ok((head.count > 0).then(|| Frame::new(head, self.bytes.clone(), payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(records: &[(u64, String)], compress: bool) -> Vec<u8> {
        let mut encoder = Encoder::new(compress);
        (RecordCodec::of().encode)(records, &mut encoder).expect("plain records");
        encoder.end().expect("plain records");
        encoder.out
    }
    fn decoded(bytes: Vec<u8>) -> Result<Vec<(u64, String)>, String> {
        let (mut frames, mut all) = (InMemory::new(Arc::new(bytes)), Vec::new());
        while let Some(f) = frames.next().map_err(|e| e.why)? {
            all.append(&mut f.records(&RecordCodec::of())?);
        }
        Ok(all)
    }

    #[test]
    fn records_come_back_compressed_or_not() {
        for n in [0, 1, 1023, 1024, 1025, 5000] {
            let all: Vec<_> = (0..n).map(|i| (i, format!("record {i}").repeat(20))).collect();
            let (plain, packed) = (encoded(&all, false), encoded(&all, true));
            assert!(n < 1000 || packed.len() < plain.len() / 2, "{} of {}", packed.len(), plain.len());
            assert_eq!((decoded(plain), decoded(packed)), (Ok(all.clone()), Ok(all)));
        }
        // What does not get shorter stays as it is.
        let one = [(7, String::new())];
        assert_eq!(encoded(&one, true), encoded(&one, false));
    }
    #[test]
    fn the_format_stays() {
        let bytes = encoded(&[(1, "a".into())], false);
        let expect = "01000000 03000000 03000000 5c2a2a2a 010161 00000000 08000000 08000000";
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let (hex, expect) = (hex.as_str(), expect.replace(' ', ""));
        assert_eq!((&hex[..24], &hex[32..62]), (&expect[..24], &expect[32..62]), "but for the checksums");
    }
    #[test]
    fn a_frame_that_lies_is_refused() {
        let good = encoded(&[(1, "abc".into()), (2, "def".into())], false);
        for (at, to) in [(0, 3), (0, 1), (4, 255), (8, 255)] {
            let mut bad = good.clone();
            bad[at] = to;
            assert!(decoded(bad).is_err(), "byte {at} is {to}");
        }
    }
}
