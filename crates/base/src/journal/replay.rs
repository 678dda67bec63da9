//! Reading one segment from its beginning, and telling a torn tail from corruption. Changes nothing.

use super::error::{self, JournalError, Result};
use super::format::{self, BadHeader, HEAD, HEADER, Head};
use super::window::Window;
use super::{Position, flush};
use crate::failpoint;
use crate::storage::Storage;

/// How much is searched at once for evidence.
const SEARCHED: u64 = 64 << 10;

/// One segment to be read.
pub(super) struct Replay<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) dir: &'a str,
    pub(super) segment: u64,
    /// Whether no other comes after it.
    pub(super) last: bool,
    pub(super) max_record_bytes: u32,
}

/// What was found in a segment.
#[derive(Debug)]
pub(super) struct Found {
    /// How many records came before it; `None` if it is torn from the beginning.
    pub(super) base: Option<u64>,
    pub(super) records: u64,
    /// Where the valid part ends; what is behind it is torn.
    pub(super) end: u64,
    pub(super) len: u64,
    /// There are zeros behind the valid part, and nothing else.
    pub(super) blank: bool,
}

impl Replay<'_> {
    /// Feeds every record to `each`.
    pub(super) fn run(&self, each: &mut dyn FnMut(Position, &[u8]) -> Result<()>) -> Result<Found> {
        let name = flush::name(self.dir, self.segment);
        let mut window = Window::open(self.storage, &name).map_err(|source| self.io(source))?;
        let mut found = Found { base: None, records: 0, end: 0, len: window.len(), blank: false };
        let header = window.get(0, HEADER).map_err(|source| self.io(source))?;
        match format::parse_header(header, self.segment) {
            Ok(base) => found.base = Some(base),
            Err(BadHeader::Invalid(why)) => return self.torn(&mut window, 0, why).map(|_| found),
            Err(BadHeader::Version(version)) => {
                return Err(JournalError::Version { file: self.file(), found: version, known: format::VERSION });
            }
        }
        found.end = HEADER;
        while found.end < found.len {
            match self.record(&mut window, found.end)? {
                Ok(payload) => {
                    let at = Position { segment: self.segment, offset: found.end };
                    each(at, payload).map_err(|error| self.said_of(at, error))?;
                    found.records += 1;
                    found.end += HEAD + payload.len() as u64;
                }
                Err(why) => {
                    found.blank = self.torn(&mut window, found.end, why)?;
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The payload of the record at `at`, or what is wrong with it.
    fn record<'w>(&self, window: &'w mut Window<'_>, at: u64) -> Result<std::result::Result<&'w [u8], &'static str>> {
        let believe = failpoint::seeded("journal.torn-tail-accepted");
        let rest = window.len() - at;
        let bytes = window.get(at, HEAD).map_err(|source| self.io(source))?;
        let head = if believe { Head::parse_unchecked(bytes, at) } else { Head::parse(bytes, self.segment, at) };
        let Some(head) = head else { return Ok(Err("no valid record begins here")) };
        if head.stride() > rest && believe {
            let bytes = window.get(at, rest).map_err(|source| self.io(source))?;
            return Ok(Ok(&bytes[HEAD as usize..]));
        }
        if head.stride() > rest {
            return Ok(Err("the file ends before the record does"));
        }
        if head.length > self.max_record_bytes {
            let place = format!("at offset {at} of {}", self.file());
            return Err(JournalError::TooLong { at: place, bytes: head.length.into(), limit: self.max_record_bytes });
        }
        let bytes = window.get(at, head.stride()).map_err(|source| self.io(source))?;
        let payload = &bytes[HEAD as usize..head.stride() as usize];
        Ok(if believe || head.fits(payload) { Ok(payload) } else { Err("the checksum of the record is wrong") })
    }

    /// What is at `at` is invalid: fine if it was never durable, else corruption. Whether there are only zeros from there
    /// on.
    fn torn(&self, window: &mut Window<'_>, at: u64, why: &str) -> Result<bool> {
        let corrupt = |why| Err(JournalError::Corrupt { file: self.file(), offset: at, why });
        if !self.last {
            return corrupt(format!("{why}, and there is a later segment"));
        }
        // A head can tell about `at` only if it is behind it.
        let mut from = at.max(HEADER);
        let mut blank = true;
        while from < window.len() {
            let block = window.get(from, SEARCHED + HEAD).map_err(|source| self.io(source))?;
            let block = &block[..block.len().min((SEARCHED + HEAD) as usize)];
            // What was reserved, mostly; no head begins here.
            if block.iter().all(|byte| *byte == 0) {
                from += SEARCHED;
                continue;
            }
            blank = false;
            let heads = block.windows(HEAD as usize).zip(from..).take(SEARCHED as usize);
            for (bytes, offset) in heads {
                let claims = Head::parse_unchecked(bytes, offset).is_some_and(|head| head.durable > at);
                if claims && Head::parse(bytes, self.segment, offset).is_some() {
                    return corrupt(format!("{why}, but the record at offset {offset} shows that it was durable"));
                }
            }
            from += SEARCHED;
        }
        Ok(blank)
    }

    fn said_of(&self, at: Position, error: JournalError) -> JournalError {
        match error {
            JournalError::Rejected(why) => JournalError::Corrupt { file: self.file(), offset: at.offset, why },
            other => other,
        }
    }

    fn file(&self) -> String {
        self.storage.describe(&flush::name(self.dir, self.segment))
    }

    fn io(&self, source: std::io::Error) -> JournalError {
        error::io("read a segment of the journal", self.file())(source)
    }
}

/// One record that is stored.
pub(super) fn read(storage: &dyn Storage, dir: &str, at: Position, max_record_bytes: u32) -> Result<Vec<u8>> {
    let replay = Replay { storage, dir, segment: at.segment, last: true, max_record_bytes };
    let name = flush::name(dir, at.segment);
    let missing = || JournalError::NoRecord { file: replay.file(), offset: at.offset };
    let len = match storage.len(&name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        len => len.map_err(|source| replay.io(source))?,
    };
    if at.offset < HEADER || at.offset >= len {
        return Err(missing());
    }
    let mut head = [0; HEAD as usize];
    let corrupt = |why: &str| JournalError::Corrupt { file: replay.file(), offset: at.offset, why: why.to_owned() };
    let cut_short = || corrupt("the file ends before the record does");
    if storage.read_at(&name, at.offset, &mut head).map_err(|source| replay.io(source))? < head.len() {
        return Err(cut_short());
    }
    let head = Head::parse(&head, at.segment, at.offset)
        .ok_or_else(|| corrupt("no valid record begins here, unless the position is wrong"))?;
    if head.stride() > len - at.offset {
        return Err(cut_short());
    }
    if head.length > max_record_bytes {
        let place = format!("at offset {} of {}", at.offset, replay.file());
        return Err(JournalError::TooLong { at: place, bytes: head.length.into(), limit: max_record_bytes });
    }
    let mut payload = vec![0; head.length as usize];
    let count = storage.read_at(&name, at.offset + HEAD, &mut payload).map_err(|source| replay.io(source))?;
    match count == payload.len() && head.fits(&payload) {
        true => Ok(payload),
        false => Err(corrupt("the checksum of the record is wrong")),
    }
}
