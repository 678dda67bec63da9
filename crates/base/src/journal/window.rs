//! Reading a file of any length piece by piece. Refuses to look at what it reads.

use std::io;

use crate::storage::Storage;

/// How much is read at once.
const PIECE: u64 = 256 << 10;

/// A piece of a file that moves forward.
pub(super) struct Window<'a> {
    storage: &'a dyn Storage,
    name: &'a str,
    /// The length of the file when it was opened.
    len: u64,
    start: u64,
    piece: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn open(storage: &'a dyn Storage, name: &'a str) -> io::Result<Self> {
        let len = storage.len(name)?;
        Ok(Self { storage, name, len, start: 0, piece: Vec::new() })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from `at` on, at least `least` of them, at most to the end. The caller has checked `least` against the
    /// length and its own limit: this much memory may be taken.
    pub(super) fn get(&mut self, at: u64, least: u64) -> io::Result<&[u8]> {
        let least = least.min(self.len.saturating_sub(at));
        let end = self.start + self.piece.len() as u64;
        if at < self.start || at + least > end {
            let size = least.max(PIECE).min(self.len.saturating_sub(at));
            self.piece.resize(usize::try_from(size).map_err(io::Error::other)?, 0);
            let count = self.storage.read_at(self.name, at, &mut self.piece)?;
            self.piece.truncate(count);
            self.start = at;
            if (count as u64) < least {
                let message = "the file became shorter while it was read";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
        }
        Ok(self.piece.get((at - self.start) as usize..).unwrap_or_default())
    }
}
