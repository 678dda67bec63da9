//! [`Bytes`]: the bytes of a key or a value, a slice of a buffer that the records of a chunk share.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, ops::Deref, sync::Arc};
use winterbourne_engine::Text;

/// A buffer; UTF-8 as a whole, if it is that, so that text can be sliced from it without another look.
#[derive(Clone)]
enum Buffer {
    Text(Arc<String>),
    Raw(Arc<Vec<u8>>),
}

/// Bytes that are cheap to clone and never change.
///
/// ```
/// use winterbourne_kafka::Bytes;
/// let bytes = Bytes::from("grüß dich");
/// assert_eq!(bytes.len(), 11);
/// assert_eq!(bytes.text().as_deref(), Some("grüß dich"));
/// ```
#[derive(Clone)]
pub struct Bytes {
    buffer: Buffer,
    at: u32,
    len: u32,
}
impl Bytes {
    /// The same as text, if they are UTF-8. Long text shares the buffer.
    pub fn text(&self) -> Option<Text> {
        let (from, to) = (self.at as usize, self.at as usize + self.len as usize);
        match &self.buffer {
            // SUBTLE: neighbours that are no UTF-8 by themselves may be so together.
            Buffer::Text(s) if s.is_char_boundary(from) && s.is_char_boundary(to) => Some(Text::slice(s, from..to)),
            _ => std::str::from_utf8(self).ok().map(Text::new),
        }
    }
}
impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let all = match &self.buffer {
            Buffer::Text(s) => s.as_bytes(),
            Buffer::Raw(v) => v,
        };
        &all[self.at as usize..][..self.len as usize]
    }
}
impl From<&[u8]> for Bytes {
    fn from(b: &[u8]) -> Self {
        let mut gathered = Gathered::default();
        let part = gathered.push(b);
        gathered.finish().get(part)
    }
}
impl From<&str> for Bytes {
    fn from(s: &str) -> Self {
        Bytes::from(s.as_bytes())
    }
}
impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
impl Eq for Bytes {}
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}
/// As bytes.
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(self)
    }
}
impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, b: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::from(b))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
                let mut all = Vec::new();
                while let Some(b) = seq.next_element::<u8>()? {
                    all.push(b);
                }
                Ok(Bytes::from(all.as_slice()))
            }
        }
        d.deserialize_bytes(Visit)
    }
}

/// The bytes of a chunk while they are gathered.
#[derive(Default)]
pub(crate) struct Gathered(Vec<u8>);
/// A part of it.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    at: u32,
    len: u32,
}
impl Gathered {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
    pub(crate) fn push(&mut self, b: &[u8]) -> Part {
        let at = u32::try_from(self.0.len()).expect("a chunk is closed long before 4 GiB");
        self.0.extend_from_slice(b);
        Part { at, len: u32::try_from(b.len()).expect("Kafka's records are below 2 GiB") }
    }
    pub(crate) fn finish(self) -> Shared {
        Shared(match String::from_utf8(self.0) {
            Ok(s) => Buffer::Text(Arc::new(s)),
            Err(e) => Buffer::Raw(Arc::new(e.into_bytes())),
        })
    }
}
pub(crate) struct Shared(Buffer);
impl Shared {
    pub(crate) fn get(&self, Part { at, len }: Part) -> Bytes {
        Bytes { buffer: self.0.clone(), at, len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_shared_buffer_are_what_was_put_in_and_text_only_where_they_are() {
        // The two halves of a letter are UTF-8 together, and neither is alone.
        let parts: [&[u8]; 5] = [b"plain", "\u{e9}".as_bytes(), &[0xc3], &[0xa9], b""];
        let mut gathered = Gathered::default();
        let at: Vec<Part> = parts.iter().map(|p| gathered.push(p)).collect();
        let shared = gathered.finish();
        let got: Vec<Bytes> = at.into_iter().map(|p| shared.get(p)).collect();
        assert!(got.iter().zip(parts).all(|(g, p)| **g == *p));
        let texts: Vec<_> = got.iter().map(|b| b.text().map(|t| t.to_string())).collect();
        assert_eq!(texts, [Some("plain".into()), Some("\u{e9}".into()), None, None, Some(String::new())]);
    }
    #[test]
    fn one_bad_record_spoils_no_other() {
        let mut gathered = Gathered::default();
        let (good, bad) = (gathered.push(b"a good one that is long enough"), gathered.push(&[0xff]));
        let shared = gathered.finish();
        assert_eq!(shared.get(good).text().as_deref(), Some("a good one that is long enough"));
        assert!(shared.get(bad).text().is_none());
    }
}
