//! Every codec: there and back, archives in a row, cut short, broken, and as other programs write it.
use super::*;
use std::io::{BufReader, Write};

const ALL: [Codec; 7] = [Gzip, Zlib, Bzip2, Zstd, Lz4, Snappy, SnappyFramed];

fn pack(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Some(codec), Vec::new());
    // In pieces, one of them empty.
    bytes.chunks(70_000).for_each(|c| encoder.write_all(c).unwrap());
    encoder.write_all(&[]).unwrap();
    encoder.finish().unwrap()
}
fn unpack(codec: Codec, bytes: &[u8], buffer: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    codec.reader(BufReader::with_capacity(buffer, bytes))?.read_to_end(&mut out).map(|_| out)
}
/// Lines that can be packed, and noise that cannot.
fn long() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..9_000).flat_map(|i| format!("line {i} of many\n").into_bytes()).collect();
    let mut x = 1u64;
    bytes.extend((0..150_000).map(|_| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 56) as u8
    }));
    bytes
}

#[test]
fn what_is_packed_is_unpacked_whatever_the_size_of_the_buffer() {
    let long = long();
    for codec in ALL {
        let (packed, tiny) = (pack(codec, &long), pack(codec, b"to be"));
        assert!(packed.len() < long.len(), "{codec}");
        assert_eq!(unpack(codec, &packed, 1 << 16).unwrap(), long, "{codec}");
        assert_eq!(unpack(codec, &packed, 1000).unwrap(), long, "{codec}");
        for buffer in [1, 2, 7] {
            assert_eq!(unpack(codec, &tiny, buffer).unwrap(), b"to be", "{codec} {buffer}");
        }
        assert_eq!(unpack(codec, &pack(codec, b""), 100).unwrap(), b"", "{codec}");
        assert_eq!(unpack(codec, b"", 100).unwrap(), b"", "{codec}");
    }
}
#[test]
fn archives_in_a_row_are_one_file() {
    let long = long();
    for codec in ALL {
        let parts = [&b"first"[..], b"", &long, b"last"];
        let packed: Vec<u8> = parts.iter().flat_map(|p| pack(codec, p)).collect();
        for buffer in [1000, 1 << 16] {
            assert_eq!(unpack(codec, &packed, buffer).unwrap(), parts.concat(), "{codec} {buffer}");
        }
    }
}
#[test]
fn an_archive_cut_short_anywhere_is_an_error() {
    let (first, last) = (b"first of two".repeat(3), b"to be or not to be".repeat(3));
    for codec in ALL {
        let whole = pack(codec, &first).len();
        let packed = [pack(codec, &first), pack(codec, &last)].concat();
        // A file that ends between two blocks looks whole; framed Snappy begins with ten bytes of its name.
        let fine: &[usize] = match codec {
            SnappyFramed => &[whole, 10, whole + 10],
            _ => &[whole],
        };
        for end in (1..packed.len()).filter(|end| !fine.contains(end)) {
            let got = unpack(codec, &packed[..end], 100);
            assert!(got.is_err(), "{codec} cut at {end} of {}: {got:?}", packed.len());
        }
    }
}
#[test]
fn flipped_bits_are_seen_by_the_formats_with_checksums() {
    let text = b"to be or not to be, that is the question".repeat(20);
    for codec in [Gzip, Zlib, Bzip2, Zstd, Lz4, SnappyFramed] {
        let packed = pack(codec, &text);
        for at in 0..packed.len() {
            let mut broken = packed.clone();
            broken[at] ^= 0x10;
            // Nothing panics; and what comes out is an error, or what was packed (a flipped time stamp in a header).
            if let Ok(got) = unpack(codec, &broken, 100) {
                assert!(got == text || got.is_empty() && codec == Lz4, "{codec} flipped at {at}");
            }
        }
    }
}
#[test]
fn rubbish_is_an_error_and_takes_no_memory() {
    let rubbish =
        [&[0xFFu8; 64][..], &[0u8; 3], b"PK\x03\x04 something else", &[0x03, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0]];
    for codec in ALL {
        for bytes in rubbish {
            let got = unpack(codec, bytes, 100);
            assert!(got.is_err(), "{codec}: {got:?} of {bytes:?}");
        }
    }
}
#[test]
fn as_other_programs_write_it() {
    let hex = |hex: &str| -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    };
    // "to be or not to be\n" by gzip, bzip2, zstd and lz4.
    for (codec, bytes) in [
        (Gzip, include_str!("samples/gzip.hex")),
        (Bzip2, include_str!("samples/bzip2.hex")),
        (Zstd, include_str!("samples/zstd.hex")),
        (Lz4, include_str!("samples/lz4.hex")),
    ] {
        assert_eq!(unpack(codec, &hex(bytes), 100).unwrap(), b"to be or not to be\n", "{codec}");
    }
    // Hadoop's blocks: two pieces in a block of 6 bytes, then a block of 2. All literals.
    let snappy = [0, 0, 0, 6, 0, 0, 0, 5, 3, 8, b'a', b'b', b'c', 0, 0, 0, 5, 3, 8, b'd', b'e', b'f'];
    let snappy = [&snappy[..], &[0, 0, 0, 2, 0, 0, 0, 4, 2, 4, b'g', b'h']].concat();
    let lz4 = [0, 0, 0, 6, 0, 0, 0, 4, 0x30, b'a', b'b', b'c', 0, 0, 0, 4, 0x30, b'd', b'e', b'f'];
    for codec in [Snappy, SnappyFramed] {
        assert_eq!(unpack(codec, &snappy, 3).unwrap(), b"abcdefgh");
        assert_eq!(unpack(codec, &pack(SnappyFramed, b"framed"), 3).unwrap(), b"framed");
        assert_eq!(unpack(codec, &pack(Snappy, b"blocks"), 3).unwrap(), b"blocks");
    }
    assert_eq!(unpack(Lz4, &lz4, 3).unwrap(), b"abcdef");
    let mut blocks = Encoder::hadoop(Lz4, Vec::new());
    blocks.write_all(&long()).unwrap();
    let blocks = blocks.finish().unwrap();
    assert!(blocks[..5] == [0, 2, 0, 0, 0] && unpack(Lz4, &blocks, 1000).unwrap() == long());
    // A skippable frame of zstd, of three bytes, between two frames.
    let skip = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let packed = [&skip[..], &pack(Zstd, b"a"), &skip, &pack(Zstd, b"b")].concat();
    assert_eq!(unpack(Zstd, &packed, 3).unwrap(), b"ab");
    assert!(unpack(Zstd, &packed[..9], 3).is_err());
}
#[test]
fn names_and_classes() {
    for codec in ALL {
        assert_eq!(Codec::of(Path::new(&format!("a/b.x.{}", codec.ending().to_uppercase()))), Some(codec));
        assert_eq!(codec.ending().parse(), Ok(codec));
        assert_eq!(codec.to_string().parse(), Ok(codec));
        assert!(codec.class().is_none_or(|class| class.parse() == Ok(codec)));
    }
    assert_eq!("org.apache.hadoop.io.compress.DeflateCodec".parse(), Ok(Zlib));
    assert!("".parse::<Codec>().is_err() && "rar".parse::<Codec>().unwrap_err().to_string().contains("`rar`"));
    assert_eq!(Codec::of(Path::new("gz")), None);
    assert_eq!(Codec::of(Path::new(".gz")), None);
}
