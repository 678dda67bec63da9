//! [`ZlibReader`]: zlib streams in a row as one file, as Hadoop reads `.deflate`. It knows nothing of lines or splits.
use flate2::bufread::ZlibDecoder;
use std::io::{self, BufRead, Read};

/// Unpacks until the input ends, and not only until the first stream does: what follows is never left out in silence. A
/// stream that is cut short is an error.
pub(super) struct ZlibReader<R: BufRead>(State<R>);
enum State<R: BufRead> {
    Inside(ZlibDecoder<R>),
    /// After a stream; another one may begin.
    Between(R),
    /// Only while one becomes the other.
    Taken,
}

impl<R: BufRead> ZlibReader<R> {
    pub(super) fn new(input: R) -> Self {
        ZlibReader(State::Between(input))
    }
}
impl<R: BufRead> Read for ZlibReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.0 {
                State::Inside(stream) => {
                    let got = stream.read(into)?;
                    if got > 0 || into.is_empty() {
                        return Ok(got);
                    }
                }
                State::Between(input) => {
                    if input.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                }
                State::Taken => {}
            }
            self.0 = match std::mem::replace(&mut self.0, State::Taken) {
                State::Inside(stream) => State::Between(stream.into_inner()),
                State::Between(input) => State::Inside(ZlibDecoder::new(input)),
                State::Taken => unreachable!("put back at once"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::ZlibEncoder};
    use std::io::{BufReader, Write};

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }
    fn unpack(bytes: &[u8], buffer: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        ZlibReader::new(BufReader::with_capacity(buffer, bytes)).read_to_end(&mut out).map(|_| out)
    }
    #[test]
    fn streams_in_a_row_are_unpacked_whatever_the_size_of_the_buffer() {
        let long = b"to be or not to be\n".repeat(5000);
        let packed = [zlib(b"first"), zlib(b""), zlib(&long), zlib(b"last")].concat();
        for buffer in [1, 7, 100, 1 << 16] {
            assert_eq!(unpack(&packed, buffer).unwrap(), [b"first", &long[..], b"last"].concat(), "{buffer}");
            assert_eq!(unpack(&[], buffer).unwrap(), b"");
        }
    }
    #[test]
    fn an_archive_cut_short_or_broken_anywhere_is_an_error() {
        let packed = [zlib(b"first"), zlib(b"to be or not to be")].concat();
        let whole = zlib(b"first").len();
        for end in (1..packed.len()).filter(|end| *end != whole) {
            assert!(unpack(&packed[..end], 100).is_err(), "cut at {end} of {}", packed.len());
        }
        let (mut flipped, last) = (packed.clone(), packed.len() - 1);
        flipped[last] ^= 1;
        assert!(unpack(&flipped, 100).is_err(), "the checksum is wrong");
        assert!(unpack(&[&packed[..], b"rubbish"].concat(), 100).is_err());
    }
}
