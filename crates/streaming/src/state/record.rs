//! Records of a section, as the head of this module's parent lays them down: to bytes and back.
//!
//! Lengths are checked before anything is taken for what it claims to be. It knows neither files nor checksums.
use super::Section;
use serde::Serialize;
use winterbourne_engine::{Error, Result};

/// A section ends before it would hold more bytes than this; a single larger record has one to itself.
const SECTION: usize = 4 << 20;

/// Appends to a vector that is used again.
struct Into<'a>(&'a mut Vec<u8>);
impl postcard::ser_flavors::Flavor for Into<'_> {
    type Output = ();
    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }
    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
fn encode<T: Serialize>(x: &T, into: &mut Vec<u8>) -> Result<()> {
    let what = || std::any::type_name::<T>();
    postcard::serialize_with_flavor(x, Into(into)).map_err(|e| {
        Error::User(format!("a state or its key cannot be stored: {} does not serialise: {e}", what()).into())
    })
}
pub(super) fn put_varint(mut n: u64, into: &mut Vec<u8>) {
    while n >= 0x80 {
        into.push(n as u8 | 0x80);
        n >>= 7;
    }
    into.push(n as u8);
}
/// Appends what `write` appends behind its length, to which `more` is added. One byte is kept free for the length, which
/// nearly always is enough; what follows is moved if not.
#[inline]
fn with_length(bytes: &mut Vec<u8>, more: u64, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let at = bytes.len();
    bytes.push(0);
    write(bytes)?;
    let end = bytes.len();
    let n = (end - at - 1) as u64 + more;
    if n < 0x80 {
        bytes[at] = n as u8;
    } else {
        put_varint(n, bytes);
        let width = bytes.len() - end;
        bytes[at + 1..].rotate_right(width);
        bytes.remove(at);
    }
    Ok(())
}

/// Writes the records of one partition.
pub(super) struct Writer {
    partition: u32,
    open: Section,
    done: Vec<Section>,
}
impl Writer {
    pub(super) fn new(partition: u32) -> Self {
        let open = Section { partition, records: 0, bytes: Vec::new() };
        Writer { partition, open, done: Vec::new() }
    }
    /// A key with its state and its age, or without.
    ///
    /// # Errors
    /// A key or state that does not serialise: the writer is then of no more use.
    pub(super) fn put<K: Serialize, S: Serialize>(&mut self, key: &K, state: Option<(u64, &S)>) -> Result<()> {
        let bytes = &mut self.open.bytes;
        let begin = bytes.len();
        with_length(bytes, 0, |b| encode(key, b))?;
        match state {
            None => bytes.push(0),
            Some((age, state)) => with_length(bytes, 1, |b| {
                put_varint(age, b);
                encode(state, b)
            })?,
        }
        if begin > 0 && bytes.len() > SECTION {
            let mut next = Vec::with_capacity(SECTION);
            next.extend_from_slice(&bytes[begin..]);
            bytes.truncate(begin);
            let next = Section { partition: self.partition, records: 0, bytes: next };
            self.done.push(std::mem::replace(&mut self.open, next));
        }
        self.open.records += 1;
        Ok(())
    }
    /// None at all if there was no record.
    pub(super) fn finish(mut self) -> Vec<Section> {
        if self.open.records > 0 {
            self.done.push(self.open);
        }
        self.done
    }
}

/// One record as it is stored.
pub(super) struct Record<'a> {
    pub(super) key: &'a [u8],
    /// Age and state, unless the key is gone.
    pub(super) state: Option<(u64, &'a [u8])>,
}

/// Reads the records of a section.
pub(super) struct Reader<'a>(&'a [u8]);
impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }
    fn varint(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }
    fn take(&mut self, n: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(n).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
    fn record(&mut self) -> Option<Record<'a>> {
        let n = self.varint()?;
        let key = self.take(n)?;
        let state = match self.varint()? {
            0 => None,
            n => {
                let mut rest = Reader(self.take(n - 1)?);
                Some((rest.varint()?, rest.0))
            }
        };
        Some(Record { key, state })
    }
    /// The next record; nothing at the end; an inner nothing if what follows is none.
    pub(super) fn next(&mut self) -> Option<Option<Record<'a>>> {
        (!self.0.is_empty()).then(|| self.record())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Told = Vec<(String, Option<(u64, Vec<u8>)>)>;
    fn write(records: &Told) -> Vec<Section> {
        let mut writer = Writer::new(3);
        for (key, state) in records {
            writer.put(key, state.as_ref().map(|(age, s)| (*age, s))).unwrap();
        }
        writer.finish()
    }
    fn read(sections: &[Section]) -> Option<Told> {
        let mut out = Vec::new();
        for s in sections {
            let mut reader = Reader::new(&s.bytes);
            let before = out.len();
            while let Some(record) = reader.next() {
                let Record { key, state } = record?;
                let state = match state {
                    Some((age, bytes)) => Some((age, postcard::from_bytes(bytes).ok()?)),
                    None => None,
                };
                out.push((postcard::from_bytes(key).ok()?, state));
            }
            assert_eq!(out.len() - before, s.records as usize);
        }
        Some(out)
    }
    proptest! {
        #[test]
        fn what_is_written_is_read(records: Told) {
            let sections = write(&records);
            prop_assert_eq!(read(&sections), Some(records));
        }
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Some(Some(_)) = reader.next() {}
        }
    }
    #[test]
    fn a_section_is_at_most_4_mib_unless_one_record_is_larger() {
        let records: Told =
            [1, 3 << 20, 2 << 20, 5 << 20, 1].iter().map(|&n| (String::new(), Some((7, vec![1; n])))).collect();
        let sections = write(&records);
        assert_eq!(sections.iter().map(|s| s.records).collect::<Vec<_>>(), [2, 1, 1, 1]);
        assert_eq!(read(&sections), Some(records));
        assert!(write(&Vec::new()).is_empty());
    }
    #[test]
    fn a_number_of_more_than_64_bits_is_none() {
        assert_eq!(Reader::new(&[0xff; 11]).varint(), None);
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).varint(), Some(u64::MAX));
    }
}
