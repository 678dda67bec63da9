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

/// `repr(u8)`: the tag is the first byte, and the fields follow in this order. An inline text so has no padding, and is
/// made and compared as three words: byte by byte the processor would wait for its own stores, three times for each word
/// of a text.
#[derive(Clone)]
#[repr(u8, align(8))]
enum Repr {
    /// INVARIANT: `bytes[..len]` is UTF-8, the rest zero; every text of at most `INLINE` bytes is of this form.
    #[expect(dead_code, reason = "made as three words, by `Text::inline`")]
    Inline { len: u8, bytes: [u8; INLINE] } = 0,
    /// INVARIANT: the range lies in `buf` on character boundaries and is longer than `INLINE`.
    Slice { buf: Arc<String>, at: u32, len: u32 } = 1,
}

/// The first eight bytes, and the last: little-endian words.
#[inline(always)]
fn ends(s: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(s[at..at + 8].try_into().expect("eight bytes"));
    (word(0), word(s.len() - 8))
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
        if s.len() <= INLINE { Self::inline(s.as_bytes()) } else { Self::long(s) }
    }
    #[cold]
    fn long(s: &str) -> Self {
        Self::slice(&Arc::new(s.to_owned()), 0..s.len())
    }
    /// Of at most `INLINE` bytes, which are UTF-8.
    #[inline(always)]
    fn inline(from: &[u8]) -> Self {
        let n = from.len();
        // What of the last eight bytes was read before is shifted out.
        let (a, b, c) = match n {
            17.. => {
                let (a, last) = ends(from);
                let (_, b) = ends(&from[..16]);
                (a, b, last >> (8 * (24 - n)))
            }
            9..17 => {
                let (a, last) = ends(from);
                (a, last >> (8 * (16 - n)), 0)
            }
            8 => (ends(from).0, 0, 0),
            4..8 => {
                let half = |at: usize| u32::from_le_bytes(from[at..at + 4].try_into().expect("four bytes"));
                (u64::from(half(0)) | u64::from(half(n - 4)) << (8 * (n - 4)), 0, 0)
            }
            1..4 => {
                let byte = |at: usize| u64::from(from[at]) << (8 * at);
                (byte(0) | byte(n / 2) | byte(n - 1), 0, 0)
            }
            0 => (0, 0, 0),
        };
        // SAFETY: so `n` bytes of `a`, `b` and `c` are `from`, and the rest is zero.
        unsafe { Self::of_words(n, [a, b, c]) }
    }
    /// Of three words, little-endian.
    ///
    /// # Safety
    /// The first `n` bytes of them are UTF-8, not more than `INLINE`, and all others zero.
    #[inline(always)]
    unsafe fn of_words(n: usize, [a, b, c]: [u64; 3]) -> Self {
        // Tag 0, length, and the text from the third byte on.
        let words = [(n as u64) << 8 | a << 16, a >> 48 | b << 16, b >> 48 | c << 16];
        // SAFETY: by `repr(u8)` these are the tag, the length and the bytes of `Inline`, in memory order; any bytes are
        // valid there, and what they hold is as the caller promises.
        Text(unsafe { std::mem::transmute::<[u64; 3], Repr>(words.map(u64::to_le)) })
    }
    /// All 24 bytes of an inline text.
    #[inline]
    fn inlined(&self) -> Option<&[u64; 3]> {
        match &self.0 {
            // SAFETY: `Inline` is a tag and 23 bytes, all of them initialised, and the enum is aligned as words are.
            Repr::Inline { .. } => Some(unsafe { &*std::ptr::from_ref(&self.0).cast::<[u64; 3]>() }),
            Repr::Slice { .. } => None,
        }
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
            return Self::inline(s.as_bytes());
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
    #[inline(always)]
    fn utf8(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..*len as usize],
            Repr::Slice { buf, at, len } => &buf.as_bytes()[*at as usize..(*at + *len) as usize],
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
        let sep = if sep.is_ascii() { Sep::Byte(sep as u8) } else { Sep::Char(sep) };
        Split { end: self.len(), text: self, at: 0, sep, done: false }
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
    /// An ASCII character.
    Byte(u8),
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
        self.next_word().or_else(|| self.next_piece())
    }
}
impl Split {
    /// The next piece, whatever it is.
    #[inline(never)]
    fn next_piece(&mut self) -> Option<Text> {
        let bytes = self.text.utf8();
        let (from, to, after) = match self.sep {
            Sep::Byte(b) => match find(&bytes[self.at..], b) {
                Some(i) => (self.at, self.at + i, self.at + i + 1),
                None => {
                    self.done = true;
                    (self.at, self.end, self.end)
                }
            },
            Sep::Char(c) => match self.text.as_str()[self.at..].find(c) {
                Some(i) => (self.at, self.at + i, self.at + i + c.len_utf8()),
                None => {
                    self.done = true;
                    (self.at, self.end, self.end)
                }
            },
            Sep::White => {
                let s = self.text.as_str();
                let from = skip(s, self.at, true);
                if from == self.end {
                    self.done = true;
                    return None;
                }
                let to = skip(s, from, false);
                (from, to, to)
            }
        };
        self.at = after;
        let piece = &bytes[from..to];
        Some(if piece.len() <= INLINE { Text::inline(piece) } else { Text::long(&self.text.as_str()[from..to]) })
    }
    /// The next piece, where it has at most 16 bytes and the buffer goes on behind it: so for nearly all words of a text.
    /// Without a branch that depends on how long it is, which no processor can foresee.
    #[inline(always)]
    fn next_word(&mut self) -> Option<Text> {
        const LOWEST: [u128; 17] = {
            let mut masks = [u128::MAX; 17];
            let mut n = 0;
            while n < 16 {
                masks[n] = (1 << (8 * n)) - 1;
                n += 1;
            }
            masks
        };
        let (Sep::Byte(b), Repr::Slice { buf, at, .. }) = (&self.sep, &self.text.0) else { return None };
        let (next, _) = buf.as_bytes().get(*at as usize + self.at..)?.split_first_chunk::<16>()?;
        let next = u128::from_le_bytes(*next);
        let hits = |half: u64| u128::from(hits(half, *b));
        // Sixteen if there is none.
        let found = (hits(next as u64) | hits((next >> 64) as u64) << 64).trailing_zeros() as usize / 8;
        let left = self.end - self.at;
        let n = found.min(left);
        if n == 16 && left > 16 {
            return None;
        }
        self.done = found >= left;
        self.at += n + usize::from(found < left);
        let word = next & LOWEST[n];
        // SAFETY: from one separator, an ASCII character, to the next one, or to the end of the text; the rest is masked.
        Some(unsafe { Text::of_words(n, [word as u64, (word >> 64) as u64, 0]) })
    }
}
/// Bits of which the lowest is the highest one of the byte that equals b first; none if no byte does.
#[inline(always)]
fn hits(word: u64, b: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // A byte of x is zero where b is; above the first one there may be more bits than bytes that equal b.
    let x = word ^ (ONES * u64::from(b));
    x.wrapping_sub(ONES) & !x & (ONES << 7)
}
/// Where a byte is. Eight at a time: words are short, and calling `memchr` costs more than they do.
#[inline(always)]
fn find(bytes: &[u8], b: u8) -> Option<usize> {
    let (eights, rest) = bytes.as_chunks::<8>();
    for (i, eight) in eights.iter().enumerate() {
        let hits = hits(u64::from_le_bytes(*eight), b);
        if hits != 0 {
            return Some(8 * i + hits.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|x| *x == b).map(|i| bytes.len() - rest.len() + i)
}
/// Behind the characters from `at` on that are white space, or are not.
#[inline]
fn skip(s: &str, mut at: usize, white: bool) -> usize {
    while let Some(&b) = s.as_bytes().get(at) {
        if b < 128 {
            if char::from(b).is_whitespace() != white {
                break;
            }
            at += 1;
        } else {
            match s[at..].chars().next() {
                Some(c) if c.is_whitespace() == white => at += c.len_utf8(),
                _ => break,
            }
        }
    }
    at
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
        Text::inline(b"")
    }
}
impl PartialEq for Text {
    #[inline]
    fn eq(&self, o: &Text) -> bool {
        match (self.inlined(), o.inlined()) {
            (Some(a), Some(b)) => (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) == 0,
            (None, None) => self.eq_long(o),
            // One is longer than the other can be.
            _ => false,
        }
    }
}
impl Text {
    /// Apart, so that comparing words is inlined.
    #[inline(never)]
    fn eq_long(&self, o: &Text) -> bool {
        self.as_str() == o.as_str()
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
            return Text::inline(s.as_bytes());
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
        for s in [
            "",
            " ",
            "a",
            "a b",
            " a  b ",
            "ä ö ü",
            "a\u{a0}b\u{2003} ö\tc",
            "eight by eight, and some more ",
            "no-space-but-longer-than-inline-text",
            "a→b→→c",
        ] {
            for sep in [' ', '→'] {
                let got: Vec<Text> = Text::from(s).split_owned(sep).collect();
                assert_eq!(got, s.split(sep).collect::<Vec<_>>(), "{s:?} by {sep:?}");
            }
            assert_eq!(Text::from(s).words().collect::<Vec<_>>(), s.split_whitespace().collect::<Vec<_>>(), "{s:?}");
        }
    }
    proptest::proptest! {
        #[test]
        fn splits_within_a_buffer_as_str_does(
            before in "[ a-cä]{0,20}", line in "([a-cä\\x00]{0,24} {0,2}){0,6}", after in "[ a-cä]{0,20}",
        ) {
            let buffer = Arc::new([&*before, &line, &after].concat());
            for sep in [' ', 'a', '\0', 'ä'] {
                let text = Text::slice(&buffer, before.len()..before.len() + line.len());
                let got: Vec<Text> = text.split_owned(sep).collect();
                // Compared as texts: also what lies behind the letters of an inline one.
                let expected: Vec<Text> = line.split(sep).map(Text::new).collect();
                proptest::prop_assert_eq!(got, expected);
            }
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
