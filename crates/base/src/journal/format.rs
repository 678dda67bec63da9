//! The bytes of version 1, as the head of [`crate::journal`] shows them. Refuses to read or write a file.

use crc32fast::Hasher;

pub(super) const VERSION: u32 = 1;
/// The header of a segment; its first record begins behind it.
pub(super) const HEADER: u64 = 32;
/// What stands before a payload.
pub(super) const HEAD: u64 = 16;

const MAGIC: &[u8; 8] = b"WBJOURNL";
const SUFFIX: &str = ".journal";
/// A reach that says nothing.
const UNKNOWN: u32 = u32::MAX;

/// The file of a segment.
pub(super) fn file_name(segment: u64) -> String {
    format!("{segment:020}{SUFFIX}")
}

/// The segment of a file: `None` if it is no file of a journal, an error if it only looks like one.
pub(super) fn parse_file_name(name: &str) -> Option<Result<u64, &'static str>> {
    let number = name.strip_suffix(SUFFIX)?;
    let segment = number.parse().ok().filter(|segment| file_name(*segment) == name);
    Some(segment.ok_or("its name is not that of a segment (twenty digits, then .journal)"))
}

pub(super) fn header(segment: u64, base: u64) -> [u8; HEADER as usize] {
    let mut bytes = [0; HEADER as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&segment.to_le_bytes());
    bytes[20..28].copy_from_slice(&base.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..28]);
    bytes[28..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// What is wrong with a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Invalid(&'static str),
    Version(u32),
}

/// The base in the header of `segment`.
pub(super) fn parse_header(bytes: &[u8], segment: u64) -> Result<u64, BadHeader> {
    let Some(bytes) = bytes.first_chunk::<{ HEADER as usize }>() else {
        return Err(BadHeader::Invalid("the header of the segment is cut short"));
    };
    if bytes[..8] != *MAGIC {
        return Err(BadHeader::Invalid("a segment begins with WBJOURNL, this does not"));
    }
    // There is no version 0: those are zeros in place of what was not written.
    match u32_at(bytes, 8) {
        VERSION => {}
        0 => return Err(BadHeader::Invalid("the header of the segment is not complete")),
        other => return Err(BadHeader::Version(other)),
    }
    if u32_at(bytes, 28) != crc32fast::hash(&bytes[..28]) {
        return Err(BadHeader::Invalid("the checksum of the segment's header is wrong"));
    }
    if u64_at(bytes, 12) != segment {
        return Err(BadHeader::Invalid("the header is that of another segment"));
    }
    Ok(u64_at(bytes, 20))
}

/// What stands before the payload of a valid record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: u32,
    /// The segment was durable up to here when the record was appended.
    pub(super) durable: u64,
    head_checksum: u32,
    checksum: u32,
}

impl Head {
    /// Reads the head of a record at that place, if there is one.
    pub(super) fn parse(bytes: &[u8], segment: u64, offset: u64) -> Option<Self> {
        Self::parse_unchecked(bytes, offset).filter(|head| {
            let place = head_checksum(segment, offset, &bytes[..8]);
            head.head_checksum == place
        })
    }

    /// As [`parse`](Self::parse), but believes everything.
    pub(super) fn parse_unchecked(bytes: &[u8], offset: u64) -> Option<Self> {
        let bytes = bytes.first_chunk::<{ HEAD as usize }>()?;
        let payload_at = offset.checked_add(HEAD)?;
        let durable = match u32_at(bytes, 4) {
            UNKNOWN => 0,
            reach if u64::from(reach) < HEAD => return None,
            reach => payload_at.checked_sub(u64::from(reach))?,
        };
        let (head_checksum, checksum) = (u32_at(bytes, 8), u32_at(bytes, 12));
        Some(Self { length: u32_at(bytes, 0), durable, head_checksum, checksum })
    }

    /// Whether this is the payload that belongs to the head.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        self.checksum == payload_checksum(self.head_checksum, payload)
    }

    /// The bytes from the record to the next one.
    pub(super) fn stride(&self) -> u64 {
        HEAD + u64::from(self.length)
    }
}

/// Appends the record at that place to `out`; the segment is known to be durable up to `durable`.
pub(super) fn push_record(out: &mut Vec<u8>, segment: u64, offset: u64, durable: u64, length: u32, payload: &[u8]) {
    let reach = u32::try_from((offset + HEAD).saturating_sub(durable)).unwrap_or(UNKNOWN);
    let start = out.len();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&reach.to_le_bytes());
    let head_checksum = head_checksum(segment, offset, &out[start..]);
    out.extend_from_slice(&head_checksum.to_le_bytes());
    out.extend_from_slice(&payload_checksum(head_checksum, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

fn head_checksum(segment: u64, offset: u64, length_and_reach: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(length_and_reach);
    hasher.finalize()
}

fn payload_checksum(head_checksum: u32, payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(head_checksum);
    hasher.update(payload);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(segment: u64, offset: u64, durable: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_record(&mut out, segment, offset, durable, payload.len() as u32, payload);
        out
    }

    #[test]
    fn a_record_is_valid_at_its_own_place_only() {
        let bytes = record(3, 100, 60, b"payload");
        let head = Head::parse(&bytes, 3, 100).unwrap();
        assert_eq!((head.length, head.durable, head.stride()), (7, 60, 23));
        assert!(head.fits(b"payload") && !head.fits(b"Payload"));
        for (segment, offset) in [(4, 100), (3, 101), (0, 0)] {
            assert_eq!(Head::parse(&bytes, segment, offset), None, "{segment} {offset}");
        }
        assert_eq!(Head::parse(&bytes[..15], 3, 100), None);
        assert_eq!(Head::parse(&[0; 16], 0, 32), None, "zeros are no record");
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        let valid = |bytes: &[u8]| Head::parse(bytes, 1, 32).is_some_and(|head| head.fits(&bytes[16..]));
        let mut bytes = record(1, 32, 0, b"some payload");
        assert!(valid(&bytes));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!valid(&bytes), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_reach_too_long_to_be_told_claims_nothing() {
        let far = 1 << 40;
        let bytes = record(0, far, 32, b"");
        assert_eq!(Head::parse(&bytes, 0, far).unwrap().durable, 0);
        let near = record(0, far, far, b"");
        assert_eq!(Head::parse(&near, 0, far).unwrap().durable, far);
    }

    #[test]
    fn headers_and_file_names() {
        let good = header(7, 1_000);
        assert_eq!(parse_header(&good, 7), Ok(1_000));
        assert!(matches!(parse_header(&good, 8), Err(BadHeader::Invalid(_))));
        assert!(matches!(parse_header(&good[..31], 7), Err(BadHeader::Invalid(_))));
        let mut newer = good;
        newer[8] = 2;
        assert_eq!(parse_header(&newer, 7), Err(BadHeader::Version(2)));
        for (name, expect) in [
            ("00000000000000000012.journal", Some(Ok(12))),
            ("12.journal", Some(Err(()))),
            ("99999999999999999999.journal", Some(Err(()))),
            ("lost+found", None),
        ] {
            assert_eq!(parse_file_name(name).map(|parsed| parsed.map_err(drop)), expect, "{name}");
        }
    }
}
