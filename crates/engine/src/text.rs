//! [`Text`]: the 24-byte string of text sources.
//!
//! Up to 22 bytes lie inline, longer text is a slice of a shared read buffer, so a line costs no allocation. A slice
//! keeps its whole buffer alive; [`Text::detach`] copies it out. Only whole lines are slices: short text is inline and
//! what the owning splitters yield is detached, so words cut from lines hold no buffer.
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::{Deref, Range},
    sync::Arc,
};

const INLINE: usize = 22;

#[derive(Clone)]
enum Repr {
    /// INVARIANT: `bytes[..len]` is UTF-8, the rest zero; every text of at most `INLINE` bytes is of this form.
    Inline { len: u8, bytes: [u8; INLINE] },
    /// INVARIANT: the range lies in `buf` on character boundaries and is longer than `INLINE`.
    Slice { buf: Arc<String>, at: u32, len: u32 },
}

/// A cheap-to-clone immutable string. Derefs to `str`, compares, hashes and serialises as one.
///
/// ```
/// use winterbourne_engine::Text;
/// let line = Text::from("to be or not to be");
/// assert_eq!(line.split(' ').count(), 6);             // str's own methods borrow
/// let words: Vec<Text> = line.split_owned(' ').collect(); // this one owns, for flat_map
/// assert_eq!(words[3], "not");
/// ```
#[derive(Clone)]
pub struct Text(Repr);

impl Text {
    /// Copies `s`; at most 22 bytes need no allocation.
    #[inline]
    pub fn new(s: &str) -> Self {
        if s.len() <= INLINE { Self::inline(s) } else { Self::slice(&Arc::new(s.to_owned()), 0..s.len()) }
    }
    #[inline]
    fn inline(s: &str) -> Self {
        let (from, n) = (s.as_bytes(), s.len());
        let mut bytes = [0; INLINE];
        // Pieces of fixed size that overlap: a copy of variable length is a call, and costs more than the copy.
        match n {
            16.. => {
                bytes[..16].copy_from_slice(&from[..16]);
                bytes[n - 8..n].copy_from_slice(&from[n - 8..]);
            }
            8..16 => {
                bytes[..8].copy_from_slice(&from[..8]);
                bytes[n - 8..n].copy_from_slice(&from[n - 8..]);
            }
            4..8 => {
                bytes[..4].copy_from_slice(&from[..4]);
                bytes[n - 4..n].copy_from_slice(&from[n - 4..]);
            }
            _ => from.iter().zip(&mut bytes).for_each(|(b, to)| *to = *b),
        }
        Text(Repr::Inline { len: n as u8, bytes })
    }
    /// A part of a shared buffer, without copying unless it is short.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use winterbourne_engine::Text;
    /// let buffer = Arc::new("a line that is longer than 22 bytes\nand what comes after it".to_string());
    /// let line = Text::slice(&buffer, 0..35); // holds the whole buffer
    /// assert!(!line.is_detached());
    /// let kept = line.detach(); // holds the line
    /// assert!(kept.is_detached());
    /// assert_eq!(kept.as_str(), "a line that is longer than 22 bytes");
    /// assert!(Text::new("short").is_detached());
    /// ```
    ///
    /// # Panics
    /// If the range is not within `buf` on character boundaries, or the buffer exceeds 4 GiB.
    #[inline]
    pub fn slice(buf: &Arc<String>, range: Range<usize>) -> Self {
        let s = &buf[range.clone()];
        if s.len() <= INLINE {
            return Self::inline(s);
        }
        let at = u32::try_from(range.start).expect("read buffers are far below 4 GiB");
        let len = u32::try_from(s.len()).expect("read buffers are far below 4 GiB");
        Text(Repr::Slice { buf: buf.clone(), at, len })
    }
    /// The text as `str`.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // SAFETY: the invariant of `Inline`: built only from a whole `&str`. The check would run on every hash and
            // every comparison of every word.
            Repr::Inline { len, bytes } => unsafe { std::str::from_utf8_unchecked(&bytes[..*len as usize]) },
            Repr::Slice { buf, at, len } => &buf[*at as usize..(*at + *len) as usize],
        }
    }
    /// The same text without the buffer behind it. Worth it before a few lines of many are kept for long.
    pub fn detach(&self) -> Text {
        if self.is_detached() { self.clone() } else { Text::new(self) }
    }
    /// Whether no larger buffer is kept alive.
    pub fn is_detached(&self) -> bool {
        self.pin().is_none()
    }
    /// The larger buffer that is kept alive, and how much of it is used.
    #[inline]
    pub(crate) fn pin(&self) -> Option<(&Arc<String>, usize)> {
        match &self.0 {
            Repr::Slice { buf, len, .. } if buf.len() != *len as usize => Some((buf, *len as usize)),
            _ => None,
        }
    }
    /// Bytes outside of the text itself; of a shared buffer what is used of it.
    pub(crate) fn heap(&self) -> usize {
        /// What a buffer is beside its bytes: two counts and a string.
        const BUFFER: usize = 2 * size_of::<usize>() + size_of::<String>();
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Slice { buf, len, .. } if buf.len() == *len as usize => *len as usize + BUFFER,
            Repr::Slice { len, .. } => *len as usize,
        }
    }
    /// The pieces between occurrences of `sep`, as [`str::split`] yields them, but owning the line: what
    /// `flat_map(|line| line.split_owned(' '))` needs. Pieces are detached; those up to 22 bytes cost no allocation.
    pub fn split_owned(self, sep: char) -> Split {
        Split { end: self.len(), text: self, at: 0, sep: Sep::Char(sep), done: false }
    }
    /// The maximal runs of non-white-space, as [`str::split_whitespace`], owning the line.
    ///
    /// ```
    /// use winterbourne_engine::Text;
    /// assert_eq!(Text::from("  a  b ").words().collect::<Vec<_>>(), ["a", "b"]);
    /// ```
    pub fn words(self) -> Split {
        Split { end: self.len(), text: self, at: 0, sep: Sep::White, done: false }
    }
}

enum Sep {
    Char(char),
    White,
}
/// An owning splitter of a [`Text`]; made by [`Text::split_owned`] and [`Text::words`].
pub struct Split {
    text: Text,
    at: usize,
    end: usize,
    sep: Sep,
    done: bool,
}
impl Iterator for Split {
    type Item = Text;
    #[inline]
    fn next(&mut self) -> Option<Text> {
        if self.done {
            return None;
        }
        let s = self.text.as_str();
        let (piece, at) = match self.sep {
            Sep::Char(c) => {
                let rest = &s[self.at..];
                let found = if c.is_ascii() { memchr::memchr(c as u8, rest.as_bytes()) } else { rest.find(c) };
                match found {
                    Some(i) => (self.at..self.at + i, self.at + i + c.len_utf8()),
                    None => {
                        self.done = true;
                        (self.at..self.end, self.end)
                    }
                }
            }
            Sep::White => {
                let from = self.at + s[self.at..].find(|c: char| !c.is_whitespace())?;
                let to = s[from..].find(char::is_whitespace).map_or(self.end, |i| from + i);
                (from..to, to)
            }
        };
        let piece = Text::new(&s[piece]);
        self.at = at;
        Some(piece)
    }
}

impl Deref for Text {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}
impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}
impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}
impl Default for Text {
    fn default() -> Self {
        Text::inline("")
    }
}
impl PartialEq for Text {
    #[inline]
    fn eq(&self, o: &Text) -> bool {
        match (&self.0, &o.0) {
            // The padding is zero, so the whole array compares: 22 bytes in three words, no call.
            (Repr::Inline { len: a, bytes: x }, Repr::Inline { len: b, bytes: y }) => a == b && x == y,
            _ => self.as_str() == o.as_str(),
        }
    }
}
impl Eq for Text {}
impl PartialEq<str> for Text {
    fn eq(&self, o: &str) -> bool {
        self.as_str() == o
    }
}
impl PartialEq<&str> for Text {
    fn eq(&self, o: &&str) -> bool {
        self.as_str() == *o
    }
}
impl PartialEq<String> for Text {
    fn eq(&self, o: &String) -> bool {
        self.as_str() == o
    }
}
impl Hash for Text {
    #[inline]
    fn hash<H: Hasher>(&self, h: &mut H) {
        self.as_str().hash(h);
    }
}
impl Ord for Text {
    fn cmp(&self, o: &Text) -> Ordering {
        self.as_str().cmp(o)
    }
}
impl PartialOrd for Text {
    fn partial_cmp(&self, o: &Text) -> Option<Ordering> {
        Some(self.cmp(o))
    }
}
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}
impl From<&str> for Text {
    fn from(s: &str) -> Self {
        Text::new(s)
    }
}
impl From<String> for Text {
    fn from(s: String) -> Self {
        if s.len() <= INLINE {
            return Text::inline(&s);
        }
        let len = s.len();
        Text::slice(&Arc::new(s), 0..len)
    }
}
impl From<Text> for String {
    fn from(t: Text) -> Self {
        t.as_str().to_owned()
    }
}
impl Serialize for Text {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if let Some((buffer, used)) = self.pin() {
            crate::detach::mark(buffer, used);
        }
        s.serialize_str(self)
    }
}
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl de::Visitor<'_> for Reader {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Text, E> {
                Ok(Text::new(s))
            }
            fn visit_string<E: de::Error>(self, s: String) -> Result<Text, E> {
                Ok(Text::from(s))
            }
        }
        d.deserialize_string(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_three_words() {
        assert_eq!((size_of::<Text>(), size_of::<Option<Text>>()), (24, 24));
    }
    #[test]
    fn every_length_is_kept_and_every_byte_compared() {
        let all = "The quick brown fox jumps over";
        for n in 0..=all.len() {
            let (s, text) = (&all[..n], Text::new(&all[..n]));
            assert_eq!((text.as_str(), text.clone() == Text::new(s)), (s, true));
            assert_eq!(text, Text::slice(&Arc::new(all.to_string()), 0..n));
            for at in 0..n {
                let other = [&s[..at], "_", &s[at + 1..]].concat();
                assert_ne!(text, Text::new(&other));
            }
            assert_ne!(text, Text::new(&format!("{s}\0")), "a zero is a letter like others");
        }
    }
    #[test]
    fn splits_as_str_does() {
        for s in ["", " ", "a", "a b", " a  b ", "ä ö ü", "no-space-but-longer-than-inline-text", "a→b→→c"] {
            for sep in [' ', '→'] {
                let got: Vec<Text> = Text::from(s).split_owned(sep).collect();
                assert_eq!(got, s.split(sep).collect::<Vec<_>>(), "{s:?} by {sep:?}");
            }
            assert_eq!(Text::from(s).words().collect::<Vec<_>>(), s.split_whitespace().collect::<Vec<_>>(), "{s:?}");
        }
    }
    #[test]
    fn a_piece_does_not_hold_the_buffer() {
        let buf = Arc::new("x".repeat(100) + " " + &"y".repeat(100));
        let line = Text::slice(&buf, 0..201);
        assert!(!Text::slice(&buf, 0..100).is_detached());
        let words: Vec<Text> = line.split_owned(' ').collect();
        assert!(words.iter().all(Text::is_detached));
        assert_eq!(Arc::strong_count(&buf), 1);
    }
    #[test]
    fn equality_and_order_ignore_the_representation() {
        let long = "a text that does not fit inline at all";
        let buf = Arc::new(format!("__{long}__"));
        let (slice, own) = (Text::slice(&buf, 2..2 + long.len()), Text::new(long));
        assert_eq!(slice, own);
        assert_eq!(crate::hash::of(&slice), crate::hash::of(long));
        assert_eq!(slice.cmp(&own), Ordering::Equal);
        assert_eq!(Text::from("a").cmp(&slice), Ordering::Less);
    }
}
