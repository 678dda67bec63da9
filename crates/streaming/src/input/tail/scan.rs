//! What has been appended to a file: whole lines from an offset on, as many as may come. Decides only; refuses to know
//! which file it is.
use crate::Limit;
use std::{fs::File, io, os::unix::fs::FileExt};

/// Bytes read at once.
const BLOCK: usize = 256 << 10;
/// A partition of a batch ends at the first line after so many bytes.
const SPLIT: u64 = 4 << 20;

/// The lines from an offset on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// Where partitions end, each behind a line; none if there is no line.
    pub(super) ends: Vec<u64>,
    pub(super) lines: u64,
    /// There are more lines than may come now.
    pub(super) more: bool,
    /// No line ends between the last of `ends` and here.
    pub(super) looked_at: u64,
}

/// Scans from `from`; no line ends before `looked_at`. One line comes however long it is, unless nothing may come at all.
///
/// # Errors
/// What the system says.
pub(super) fn scan(file: &File, from: u64, looked_at: u64, limit: Limit) -> io::Result<Scan> {
    let mut out = Scan { ends: Vec::new(), lines: 0, more: false, looked_at: looked_at.max(from) };
    let (mut end, mut block) = (from, vec![0; BLOCK]);
    loop {
        let n = match file.read_at(&mut block, out.looked_at) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        for i in memchr::memchr_iter(b'\n', &block[..n]) {
            let stop = out.looked_at + i as u64 + 1;
            let fits = limit.fits(out.lines + 1, stop - from) || out.lines == 0 && !limit.is_zero();
            if !fits {
                out.more = true;
                out.looked_at = end;
                if out.ends.last() != Some(&end) && end > from {
                    out.ends.push(end);
                }
                return Ok(out);
            }
            (out.lines, end) = (out.lines + 1, stop);
            if end - out.ends.last().copied().unwrap_or(from) >= SPLIT {
                out.ends.push(end);
            }
        }
        out.looked_at += n as u64;
        if n == 0 {
            if out.ends.last() != Some(&end) && end > from {
                out.ends.push(end);
            }
            return Ok(out);
        }
    }
}

/// The offset behind the last line that ends before `to`.
///
/// # Errors
/// What the system says.
pub(super) fn last_line_end(file: &File, to: u64) -> io::Result<u64> {
    let mut stop = to;
    while stop > 0 {
        let start = stop.saturating_sub(BLOCK as u64);
        let mut block = vec![0; (stop - start) as usize];
        file.read_exact_at(&mut block, start)?;
        if let Some(i) = memchr::memrchr(b'\n', &block) {
            return Ok(start + i as u64 + 1);
        }
        stop = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> File {
        let path = std::env::temp_dir().join(winterbourne_base::scratch::unique());
        let mut file = File::options().create_new(true).read(true).write(true).open(&path).expect("a new name");
        std::fs::remove_file(path).expect("just made");
        file.write_all(bytes).expect("room");
        file
    }
    fn at_most(records: u64, bytes: u64) -> Limit {
        Limit { records: Some(records), bytes: Some(bytes) }
    }

    #[test]
    fn lines_come_whole_and_only_as_many_as_may() {
        let file = file(b"one\ntwo\n\nfour\nfi");
        let of = |from, limit| {
            let s = scan(&file, from, 0, limit).expect("it can be read");
            (s.ends, s.lines, s.more, s.looked_at)
        };
        assert_eq!(of(0, Limit::NONE), (vec![14], 4, false, 16));
        assert_eq!(of(0, at_most(2, 99)), (vec![8], 2, true, 8));
        assert_eq!(of(8, at_most(2, 99)), (vec![14], 2, false, 16));
        assert_eq!(of(0, at_most(9, 9)), (vec![9], 3, true, 9));
        assert_eq!(of(0, at_most(9, 1)), (vec![4], 1, true, 4), "one line always");
        assert_eq!(of(0, at_most(0, 9)), (vec![], 0, true, 0));
        assert_eq!(of(14, Limit::NONE), (vec![], 0, false, 16));
        assert_eq!(scan(&file, 14, 16, Limit::NONE).expect("no more").looked_at, 16);
        assert_eq!(
            [16, 14, 13, 4, 3, 0].map(|to| last_line_end(&file, to).expect("it is there")),
            [14, 14, 9, 4, 0, 0]
        );
    }
    #[test]
    fn long_files_are_cut_at_lines() {
        let line = [b'x'; 99].into_iter().chain([b'\n']).collect::<Vec<u8>>();
        let s = scan(&file(&line.repeat(100_000)), 0, 0, Limit::NONE).expect("it can be read");
        assert_eq!((s.lines, s.more, s.looked_at), (100_000, false, 10_000_000));
        assert_eq!(s.ends.last(), Some(&10_000_000));
        assert!(s.ends.len() == 3 && s.ends.iter().all(|end| end % 100 == 0), "{:?}", s.ends);
    }
}
