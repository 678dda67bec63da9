//! The end of a journal in memory: what was appended and is not durable yet. Refuses to touch the storage.

use std::sync::Arc;

use super::Position;
use super::format::{self, HEAD, HEADER, Head};

/// Consecutive bytes of one segment, on their way to the storage.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Chunk {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// Where the next record goes, and what waits to be made durable.
#[derive(Debug)]
pub(super) struct Tail {
    segment_bytes: u64,
    segment: u64,
    /// Where the segment ends; 0 if it does not exist, and its header is still to be written.
    end: u64,
    /// How many records were ever appended.
    records: u64,
    /// Up to here everything is durable.
    durable: Position,
    /// What was appended last, to `segment`; it ends at `end`.
    open: Vec<u8>,
    /// What waits before `open`.
    sealed: Vec<Arc<Chunk>>,
    /// What waits before that, and is being written now.
    in_flight: Vec<Arc<Chunk>>,
    waiting_bytes: u64,
}

impl Tail {
    /// Goes on at the end of a segment that is durable.
    pub(super) fn new(segment_bytes: u64, segment: u64, end: u64, records: u64) -> Self {
        let durable = Position { segment, offset: end };
        let (sealed, in_flight) = (Vec::new(), Vec::new());
        Self { segment_bytes, segment, end, records, durable, open: Vec::new(), sealed, in_flight, waiting_bytes: 0 }
    }

    pub(super) fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.end.max(HEADER) }
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn durable(&self) -> Position {
        self.durable
    }

    /// How many bytes are not durable and not being written.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// How many bytes the storage has not taken, as far as we know.
    pub(super) fn unwritten_bytes(&self) -> u64 {
        let in_flight: u64 = self.in_flight.iter().map(|chunk| chunk.bytes.len() as u64).sum();
        self.waiting_bytes + in_flight
    }

    pub(super) fn append(&mut self, payload: &[u8], length: u32) -> Position {
        let stride = HEAD + u64::from(length);
        if self.end.saturating_add(stride) > self.segment_bytes {
            self.roll();
        }
        if self.end == 0 {
            self.begin();
        }
        let at = self.position();
        let durable = if self.durable.segment == self.segment { self.durable.offset } else { 0 };
        format::push_record(&mut self.open, self.segment, at.offset, durable, length, payload);
        self.end += stride;
        self.waiting_bytes += stride;
        self.records += 1;
        at
    }

    /// Goes on in a new segment, unless this one is empty.
    pub(super) fn roll(&mut self) {
        if self.end > HEADER {
            self.seal();
            self.segment += 1;
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.open.extend_from_slice(&format::header(self.segment, self.records));
        self.end = HEADER;
        self.waiting_bytes += HEADER;
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            let bytes = std::mem::take(&mut self.open);
            let offset = self.end - bytes.len() as u64;
            self.sealed.push(Arc::new(Chunk { segment: self.segment, offset, bytes }));
        }
    }

    /// What is to be written now, in order. [`settled`](Self::settled) says that it was.
    pub(super) fn take(&mut self) -> Vec<Arc<Chunk>> {
        self.seal();
        self.in_flight.append(&mut self.sealed);
        self.waiting_bytes = 0;
        self.in_flight.clone()
    }

    /// What was taken is durable.
    pub(super) fn settled(&mut self) {
        if let Some(chunk) = self.in_flight.last() {
            self.durable = Position { segment: chunk.segment, offset: chunk.end() };
        }
        self.in_flight.clear();
    }

    /// The payload of a record that is still in memory.
    pub(super) fn find(&self, at: Position) -> Option<&[u8]> {
        let chunks = self.in_flight.iter().chain(&self.sealed);
        let chunks = chunks.map(|chunk| (chunk.segment, chunk.offset, chunk.bytes.as_slice()));
        let open = (self.segment, self.end - self.open.len() as u64, self.open.as_slice());
        let rest = chunks.chain([open]).find_map(|(segment, offset, bytes)| {
            let from = usize::try_from(at.offset.checked_sub(offset)?).ok()?;
            bytes.get(from..).filter(|rest| segment == at.segment && !rest.is_empty())
        })?;
        let head = Head::parse(rest, at.segment, at.offset)?;
        rest.get(HEAD as usize..)?.get(..head.length as usize).filter(|payload| head.fits(payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(tail: &mut Tail) -> Vec<(u64, u64, u64)> {
        tail.take().iter().map(|chunk| (chunk.segment, chunk.offset, chunk.end())).collect()
    }

    #[test]
    fn fills_segments_and_says_what_to_write() {
        let mut tail = Tail::new(100, 0, 0, 0);
        assert_eq!(tail.position(), Position { segment: 0, offset: 32 });
        let at: Vec<Position> = [10, 20, 30, 200, 0].map(|size: u32| tail.append(&vec![7; size as usize], size)).into();
        let expect = [(0, 32), (0, 58), (1, 32), (2, 32), (3, 32)];
        assert_eq!(at, expect.map(|(segment, offset)| Position { segment, offset }));
        assert_eq!(tail.find(at[1]), Some([7; 20].as_slice()));
        assert_eq!(tail.find(Position { segment: 0, offset: 59 }), None);

        assert_eq!(places(&mut tail), [(0, 0, 94), (1, 0, 78), (2, 0, 248), (3, 0, 48)]);
        let last = tail.append(b"x", 1);
        assert_eq!(tail.find(at[3]).map(<[u8]>::len), Some(200), "while it is being written");
        assert_eq!(tail.find(last), Some(b"x".as_slice()), "right behind what is being written");
        tail.settled();
        assert_eq!(tail.durable(), last);
        assert_eq!((tail.find(at[3]), tail.find(last)), (None, Some(b"x".as_slice())));
        assert_eq!(places(&mut tail), [(3, 48, 65)]);
        assert_eq!(tail.records(), 6);
    }

    #[test]
    fn rolls_only_what_holds_something() {
        let mut tail = Tail::new(1_000, 4, 32, 9);
        tail.roll();
        assert_eq!(tail.position(), Position { segment: 4, offset: 32 });
        tail.append(b"x", 1);
        tail.roll();
        tail.roll();
        assert_eq!(tail.position(), Position { segment: 5, offset: 32 });
        assert_eq!(places(&mut tail), [(4, 32, 49), (5, 0, 32)]);
    }
}
