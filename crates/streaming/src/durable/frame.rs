//! Small files and log records: a magic number, a version, a checksum, a postcard body.
//!
//! ```text
//! magic 8 bytes · version u32 LE · crc32 of the body u32 LE · body
//! ```
//! The body ends with the file. Everything is checked before anything is believed.
use serde::{Serialize, de::DeserializeOwned};

/// What makes a kind of file.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
}

pub(crate) fn seal(kind: Kind, body: &impl Serialize) -> Result<Vec<u8>, postcard::Error> {
    let body = postcard::to_allocvec(body)?;
    let mut out = Vec::with_capacity(16 + body.len());
    out.extend(kind.magic);
    out.extend(kind.version.to_le_bytes());
    out.extend(crc32fast::hash(&body).to_le_bytes());
    out.extend(body);
    Ok(out)
}

/// The body, or what is wrong with the bytes.
pub(crate) fn unseal<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, String> {
    let Some((head, body)) = bytes.split_at_checked(16) else {
        return Err(format!("it has {} bytes, which is too short", bytes.len()));
    };
    if head[..8] != kind.magic {
        return Err("it does not begin as such a file does".into());
    }
    let version = u32_at(head, 8);
    if version != kind.version {
        return Err(format!("its format has version {version}; this build reads {}", kind.version));
    }
    if u32_at(head, 12) != crc32fast::hash(body) {
        return Err("its checksum does not match: it was damaged".into());
    }
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} byte(s) are left over at its end", rest.len())),
        Err(e) => Err(format!("it cannot be decoded: {e}")),
    }
}

/// The version of a whole file of this kind that a newer build wrote: it is not damaged, and not for us. Where version and
/// checksum stand is the same in every version.
pub(super) fn newer(kind: Kind, bytes: &[u8]) -> Option<u32> {
    let (head, body) = bytes.split_at_checked(16)?;
    let version = u32_at(head, 8);
    let is_whole = head[..8] == kind.magic && u32_at(head, 12) == crc32fast::hash(body);
    (is_whole && version > kind.version).then_some(version)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { magic: *b"WBTEST\0\0", version: 3 };

    #[test]
    fn what_is_sealed_comes_back() {
        let bytes = seal(KIND, &("a", 7u64)).unwrap();
        assert_eq!(unseal::<(String, u64)>(KIND, &bytes), Ok(("a".into(), 7)));
    }
    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = seal(KIND, &("some text", 7u64)).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            unseal::<(String, u64)>(KIND, &bad).unwrap_err();
        }
        for cut in 0..bytes.len() {
            unseal::<(String, u64)>(KIND, &bytes[..cut]).unwrap_err();
        }
    }
    #[test]
    fn another_version_is_refused_by_number() {
        let bytes = seal(Kind { version: 4, ..KIND }, &1u8).unwrap();
        assert_eq!((newer(KIND, &bytes), newer(Kind { version: 4, ..KIND }, &bytes)), (Some(4), None));
        assert_eq!(newer(KIND, &[&bytes[..], &[0]].concat()), None, "damaged, whatever its version");
        assert_eq!(unseal::<u8>(KIND, &bytes), Err("its format has version 4; this build reads 3".into()));
    }
}
