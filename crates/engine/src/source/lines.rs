//! [`LineCutter`]: bytes to lines, for files and sockets alike. A pure state machine: no I/O.
//!
//! A line ends at `\n`, `\r\n` or a lone `\r`; the last one also at the end of the input. Lines are slices of the buffer
//! that was read. Bytes that are not UTF-8 become U+FFFD and are counted. A line longer than the limit is dropped and
//! counted, and its bytes are not kept while they arrive.
use crate::Text;
use std::sync::Arc;

/// What one buffer yielded.
#[derive(Default, Debug)]
pub struct LineCut {
    /// The whole lines, without their ends.
    pub lines: Vec<Text>,
    /// In how many of them bytes were replaced.
    pub invalid_utf8: u64,
    /// How many lines were longer than the limit; they are not among `lines`.
    pub oversized: u64,
}

/// What a reader wants of the line that starts at an offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    Take,
    Skip,
    Stop,
}

/// Cuts a byte stream into lines.
///
/// ```
/// use winterbourne_engine::LineCutter;
/// let mut cutter = LineCutter::new(1 << 20);
/// let mut cut = |bytes: &[u8], end| {
///     let mut buffer = cutter.buffer(64);         // what is left of the last one, and room for 64 bytes
///     let have = buffer.len() - 64;
///     buffer[have..have + bytes.len()].copy_from_slice(bytes);
///     buffer.truncate(have + bytes.len());
///     cutter.cut(buffer, end).lines
/// };
/// assert_eq!(cut(b"one\r\ntw", false), ["one"]);
/// assert_eq!(cut(b"o\rthree", false), ["two"]);
/// assert_eq!(cut(b"", true), ["three"]);
/// ```
#[derive(Debug)]
pub struct LineCutter {
    /// The line in progress.
    carry: Vec<u8>,
    limit: usize,
    /// The last line ended with `\r`: a `\n` that follows belongs to it.
    skip_lf: bool,
    /// In the middle of a line that is too long already.
    skipping: bool,
}

impl LineCutter {
    /// A cutter for lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        LineCutter { carry: Vec::new(), limit, skip_lf: false, skipping: false }
    }
    /// The buffer to read into: the bytes of the line in progress, then `room` zero bytes.
    pub fn buffer(&mut self, room: usize) -> Vec<u8> {
        let mut buf = std::mem::take(&mut self.carry);
        buf.resize(buf.len() + room, 0);
        buf
    }
    /// How many bytes of an unfinished line are kept.
    ///
    /// ```
    /// let mut cutter = winterbourne_engine::LineCutter::new(100);
    /// assert_eq!(cutter.cut(b"one\ntw".to_vec(), false).lines, ["one"]);
    /// assert_eq!(cutter.pending(), 2);
    /// ```
    pub fn pending(&self) -> usize {
        self.carry.len()
    }
    /// Cuts a buffer from [`buffer`](LineCutter::buffer), truncated to what was read. `end`: nothing will follow.
    pub fn cut(&mut self, buffer: Vec<u8>, end: bool) -> LineCut {
        self.cut_wanted(buffer, end, |_| Want::Take)
    }
    /// The same, asking of each line (by the offset of its start in the buffer) whether it is wanted.
    pub(crate) fn cut_wanted(&mut self, mut buf: Vec<u8>, end: bool, mut want: impl FnMut(usize) -> Want) -> LineCut {
        let mut out = LineCut::default();
        let whole = if end { buf.len() } else { memchr::memrchr2(b'\n', b'\r', &buf).map_or(0, |i| i + 1) };
        if whole < buf.len() {
            self.carry = buf.split_off(whole);
        }
        if whole == 0 {
            // SUBTLE: only the very next byte may belong to the `\r`; the carry that shows it is dropped when too long.
            self.skip_lf &= self.carry.is_empty();
            self.bound_carry(&mut out);
            return out;
        }
        let mut from = 0;
        if std::mem::take(&mut self.skip_lf) && buf[0] == b'\n' {
            from = 1;
        }
        if std::mem::take(&mut self.skipping) {
            match memchr::memchr2(b'\n', b'\r', &buf[from..]) {
                Some(i) => {
                    let crlf = buf[from + i..].starts_with(b"\r\n");
                    from += i + 1 + usize::from(crlf);
                    self.skip_lf = from == buf.len() && buf.ends_with(b"\r") && !end && self.carry.is_empty();
                }
                None => return out, // the end of the input inside the long line, which is counted already
            }
        }
        if from < buf.len() {
            self.skip_lf = buf.ends_with(b"\r") && !end && self.carry.is_empty();
        }
        // A short read must not pin the whole buffer that was made for it.
        if buf.capacity() > 2 * buf.len() {
            buf.shrink_to_fit();
        }
        match String::from_utf8(buf) {
            Ok(text) => {
                let text = Arc::new(text);
                let limit = self.limit;
                out.lines.reserve(text.len() / 64);
                let (lines, oversized) = (&mut out.lines, &mut out.oversized);
                each_line(text.as_bytes(), from, |start, stop| match want(start) {
                    Want::Take if stop - start > limit => {
                        *oversized += 1;
                        true
                    }
                    Want::Take => {
                        lines.push(Text::slice(&text, start..stop));
                        true
                    }
                    Want::Skip => true,
                    Want::Stop => false,
                });
            }
            Err(e) => {
                let bytes = e.into_bytes();
                each_line(&bytes, from, |start, stop| {
                    match want(start) {
                        Want::Stop => return false,
                        Want::Skip => return true,
                        Want::Take if stop - start > self.limit => out.oversized += 1,
                        Want::Take => {
                            let line = String::from_utf8_lossy(&bytes[start..stop]);
                            out.invalid_utf8 += u64::from(matches!(line, std::borrow::Cow::Owned(_)));
                            out.lines.push(Text::new(&line));
                        }
                    }
                    true
                });
            }
        }
        self.bound_carry(&mut out);
        out
    }
    /// Lets go of a line in progress that is too long already.
    fn bound_carry(&mut self, out: &mut LineCut) {
        if self.skipping {
            self.carry = Vec::new();
        } else if self.carry.len() > self.limit {
            self.carry = Vec::new();
            self.skipping = true;
            out.oversized += 1;
        }
    }
}

/// Calls `f(start, end)` for each line of a buffer of whole lines, until it says false.
#[inline]
fn each_line(bytes: &[u8], from: usize, mut f: impl FnMut(usize, usize) -> bool) {
    let mut start = from;
    if memchr::memchr(b'\r', &bytes[from..]).is_none() {
        for i in memchr::memchr_iter(b'\n', &bytes[from..]) {
            if !f(start, from + i) {
                return;
            }
            start = from + i + 1;
        }
    } else {
        while let Some(i) = memchr::memchr2(b'\n', b'\r', &bytes[start..]) {
            let crlf = bytes[start + i..].starts_with(b"\r\n");
            if !f(start, start + i) {
                return;
            }
            start += i + 1 + usize::from(crlf);
        }
    }
    if start < bytes.len() {
        f(start, bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rules, dully: one byte after the other.
    fn twin(bytes: &[u8], limit: usize) -> (Vec<String>, u64) {
        let (mut lines, mut cur, mut oversized, mut i) = (vec![], vec![], 0, 0);
        let mut push = |cur: &mut Vec<u8>| {
            if cur.len() > limit {
                oversized += 1;
            } else {
                lines.push(String::from_utf8_lossy(cur).into_owned());
            }
            cur.clear();
        };
        while i < bytes.len() {
            match bytes[i] {
                b'\n' => push(&mut cur),
                b'\r' => {
                    push(&mut cur);
                    if bytes.get(i + 1) == Some(&b'\n') {
                        i += 1;
                    }
                }
                b => cur.push(b),
            }
            i += 1;
        }
        if !cur.is_empty() {
            push(&mut cur);
        }
        (lines, oversized)
    }
    fn cut_in_pieces(bytes: &[u8], sizes: &[usize], limit: usize) -> (Vec<String>, u64) {
        let mut cutter = LineCutter::new(limit);
        let (mut lines, mut oversized, mut at, mut sizes) = (vec![], 0, 0, sizes.iter().cycle());
        loop {
            let take = (*sizes.next().unwrap()).min(bytes.len() - at);
            let end = take == 0;
            let mut buf = cutter.buffer(take);
            let have = buf.len() - take;
            buf[have..].copy_from_slice(&bytes[at..at + take]);
            at += take;
            let cut = cutter.cut(buf, end);
            assert!(cutter.pending() <= limit);
            lines.extend(cut.lines.into_iter().map(String::from));
            oversized += cut.oversized;
            if end {
                return (lines, oversized);
            }
        }
    }
    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_bytes_arrive(
            bytes in prop::collection::vec(prop::sample::select(b"ab\n\r \xff\xc3\xa4".to_vec()), 0..200),
            sizes in prop::collection::vec(1usize..20, 1..5),
            limit in 1usize..40,
        ) {
            prop_assert_eq!(cut_in_pieces(&bytes, &sizes, limit), twin(&bytes, limit));
        }
    }
    #[test]
    fn counts_lines_with_invalid_bytes() {
        let mut cutter = LineCutter::new(100);
        cutter.buffer(0);
        let cut = cutter.cut(b"ok\n\xff\xfe\nfine\n\xc3".to_vec(), true);
        assert_eq!(cut.lines, ["ok", "\u{fffd}\u{fffd}", "fine", "\u{fffd}"]);
        assert_eq!(cut.invalid_utf8, 2);
    }
}
