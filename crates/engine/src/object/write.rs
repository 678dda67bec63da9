//! Writing: records of a partition to frames.
use super::{FRAME, FRAME_RECORDS, HEAD, LARGEST_FRAME, MAGIC, VERSION, crc, kind};
use crate::{Error, Flow, Result, Site, Wire, at, output::Part};

/// Writes all records of a flow.
pub(super) fn records<T: Wire>(flow: Flow<T>, part: &mut Part, site: Site) -> Result<()> {
    let mut frame = Frame { bytes: vec![0; HEAD], records: 0, kind: String::new(), begun: false };
    flow.each(|chunk| {
        at(site);
        chunk.as_slice().iter().try_for_each(|record| {
            frame.push(record, site)?;
            if frame.bytes.len() >= HEAD + FRAME || frame.records == FRAME_RECORDS {
                frame.emit::<T>(part)?;
            }
            Ok(())
        })
    })?;
    if frame.records > 0 || !frame.begun {
        frame.emit::<T>(part)?;
    }
    if frame.begun { frame.put(part) } else { Ok(()) }
}

struct Frame {
    /// Room for the head, then the records.
    bytes: Vec<u8>,
    records: u32,
    /// Of its first record.
    kind: String,
    /// The header is written.
    begun: bool,
}
impl Frame {
    fn push<T: Wire>(&mut self, record: &T, site: Site) -> Result<()> {
        if self.records == 0 {
            self.kind = kind::of(record);
        }
        let unwritable = |why: String| Error::Unwritable { site, why };
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(record, bytes).map_err(|e| unwritable(e.to_string()))?;
        self.records += 1;
        if self.bytes.len() > LARGEST_FRAME {
            return Err(unwritable(format!("it has more than {LARGEST_FRAME} bytes")));
        }
        Ok(())
    }
    /// Writes the frame, after the header if it is the first; begins the next.
    fn emit<T>(&mut self, part: &mut Part) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            part.put(&header(std::any::type_name::<T>(), &self.kind))?;
        }
        if self.records > 0 { self.put(part) } else { Ok(()) }
    }
    fn put(&mut self, part: &mut Part) -> Result<()> {
        let length = u32::try_from(self.bytes.len() - HEAD).expect("at most 1 GiB");
        let words = [length, self.records, crc(&[self.kind.as_bytes()])];
        let words: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let sum = crc(&[&words, &self.bytes[HEAD..]]);
        self.bytes[..12].copy_from_slice(&words);
        self.bytes[12..HEAD].copy_from_slice(&sum.to_le_bytes());
        part.put(&self.bytes)?;
        self.bytes.truncate(HEAD);
        self.records = 0;
        self.kind.clear();
        Ok(())
    }
}

pub(super) fn header(type_name: &str, kind: &str) -> Vec<u8> {
    // The name of a type made of many may be long.
    let cut = (0..=type_name.len().min(4096)).rev().find(|i| type_name.is_char_boundary(*i)).unwrap_or(0);
    let body = postcard::to_allocvec(&(&type_name[..cut], kind)).expect("two strings");
    let length = u32::try_from(body.len()).expect("both are short");
    let mut header = [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes(), &body].concat();
    header.extend(crc(&[&header]).to_le_bytes());
    header
}
