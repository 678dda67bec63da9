//! [`InARow`]: archives in a row as one file. The decoders of zlib, zstd and lz4 know one archive; this opens the next
//! one where it ended, so that what follows is never left out in silence. A [`Member`] that is cut short is an error.
use flate2::bufread::ZlibDecoder;
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
use std::io::{self, BufRead, Read};

/// One archive of a file: a decoder that gives back its input, from which it took no byte too many.
pub(super) trait Member<R: BufRead>: Read + Sized {
    /// Begins an archive; there is at least one byte of it.
    fn open(input: R) -> io::Result<Opened<R, Self>>;
    fn into_input(self) -> R;
}
/// What began.
pub(super) enum Opened<R, D> {
    Archive(D),
    /// Something to be passed over, which was.
    Skipped(R),
}

/// Unpacks until the input ends.
pub(super) struct InARow<R, D>(State<R, D>);
enum State<R, D> {
    Inside(D),
    /// After an archive; another one may begin.
    Between(R),
    /// While one becomes the other, and after an error.
    Taken,
}

impl<R: BufRead, D: Member<R>> InARow<R, D> {
    pub(super) fn new(input: R) -> Self {
        InARow(State::Between(input))
    }
}
impl<R: BufRead, D: Member<R>> Read for InARow<R, D> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.0 {
                State::Inside(archive) => {
                    let got = archive.read(into)?;
                    if got > 0 || into.is_empty() {
                        return Ok(got);
                    }
                }
                State::Between(input) => {
                    if input.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                }
                State::Taken => return Err(io::Error::other("read again after an error")),
            }
            self.0 = match std::mem::replace(&mut self.0, State::Taken) {
                State::Inside(archive) => State::Between(archive.into_input()),
                State::Between(input) => match D::open(input)? {
                    Opened::Archive(archive) => State::Inside(archive),
                    Opened::Skipped(input) => State::Between(input),
                },
                State::Taken => unreachable!("returned above"),
            };
        }
    }
}

/// A zlib stream.
pub(super) type ZlibMember<R> = ZlibDecoder<R>;
impl<R: BufRead> Member<R> for ZlibDecoder<R> {
    fn open(input: R) -> io::Result<Opened<R, Self>> {
        Ok(Opened::Archive(ZlibDecoder::new(input)))
    }
    fn into_input(self) -> R {
        self.into_inner()
    }
}

/// A zstd frame, its checksum compared.
pub(super) struct ZstdMember<R> {
    input: R,
    decoder: FrameDecoder,
}
impl<R: BufRead> Member<R> for ZstdMember<R> {
    fn open(mut input: R) -> io::Result<Opened<R, Self>> {
        let mut decoder = FrameDecoder::new();
        match decoder.init(&mut input) {
            Ok(()) => Ok(Opened::Archive(ZstdMember { input, decoder })),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let skipped = io::copy(&mut (&mut input).take(length.into()), &mut io::sink())?;
                if skipped == u64::from(length) { Ok(Opened::Skipped(input)) } else { Err(cut_short()) }
            }
            Err(e) => Err(broken(e)),
        }
    }
    fn into_input(self) -> R {
        self.input
    }
}
impl<R: BufRead> Read for ZstdMember<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let decoder = &mut self.decoder;
        while decoder.can_collect() == 0 && !decoder.is_finished() {
            decoder.decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1)).map_err(broken)?;
        }
        let got = decoder.read(into)?;
        if got == 0 && !into.is_empty() && decoder.get_checksum_from_data() != decoder.get_calculated_checksum() {
            // Without a checksum in the frame there is nothing to compare.
            if decoder.get_checksum_from_data().is_some() {
                return Err(broken("the checksum of a zstd frame is wrong"));
            }
        }
        Ok(got)
    }
}

/// An LZ4 frame.
///
/// SUBTLE: its decoder takes the end of the input between two blocks for the end of the frame. It asks for more only
/// inside of a frame, so if the input had nothing more to give, the frame was cut short.
pub(super) struct Lz4Member<R: Read>(Lz4Decoder<Watched<R>>);
pub(super) struct Watched<R> {
    input: R,
    ended: bool,
}
impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(into)?;
        self.ended |= got == 0 && !into.is_empty();
        Ok(got)
    }
}
impl<R: BufRead> Member<R> for Lz4Member<R> {
    fn open(input: R) -> io::Result<Opened<R, Self>> {
        Ok(Opened::Archive(Lz4Member(Lz4Decoder::new(Watched { input, ended: false }))))
    }
    fn into_input(self) -> R {
        self.0.into_inner().input
    }
}
impl<R: BufRead> Read for Lz4Member<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.0.read(into)?;
        if got == 0 && self.0.get_ref().ended { Err(cut_short()) } else { Ok(got) }
    }
}

pub(super) fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the compressed file is cut short")
}
pub(super) fn broken(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
