//! [`Buffer`]: records become blocks, blocks wait, belong to a batch, and are forgotten.
//!
//! Pure: it is told the time, and refuses to lock, to block and to bound itself (that is `room`'s).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use winterbourne_base::journal::Position;
use winterbourne_base::{Duration, Time};
use winterbourne_engine::CHUNK;

use super::{BlockId, BlockMeta};
use crate::rate::Limit;

/// The records of a block, in order, in pieces that are shared and never change.
pub(super) type Parts<T> = Vec<Arc<Vec<T>>>;

/// Vectors shorter than this are appended to the piece in progress: cheaper than a piece of their own.
const SMALL: usize = 64;

/// Everything one stream holds.
///
/// INVARIANT: read one after the other, the blocks by number are the records in the order of arrival. Times of cuts
/// never decrease, even if the clock does, save between blocks of before a restart and later ones. Blocks are written in
/// the order of their numbers.
pub(super) struct Buffer<T> {
    stream: usize,
    block_interval: Duration,
    batch: Duration,
    /// Records of a block at which it is cut, boundary or not, so that a batch can have some of what waits.
    block_records: u64,
    /// What a block never holds more of, but for records that are to be durable together, or a single one.
    most: Limit,
    open: Open<T>,
    /// Cut, not allocated yet.
    waiting: VecDeque<Block<T>>,
    /// Allocated, not released yet, by number.
    allocated: BTreeMap<u64, Block<T>>,
    waiting_records: u64,
    next_number: u64,
    /// All blocks with a smaller number were allocated.
    next_to_allocate: u64,
    last_cut: Time,
}

/// What will be the next block.
struct Open<T> {
    parts: Parts<T>,
    /// The piece in progress.
    tail: Vec<T>,
    records: u64,
    bytes: u64,
    /// The first boundary after its first record. Meaningless while there are no records.
    due: Time,
}

/// A block with its records.
pub(super) struct Block<T> {
    pub(super) meta: BlockMeta,
    /// None if it was received before a restart: then its records are in the log, and not in memory.
    pub(super) parts: Option<Parts<T>>,
    /// Where it is in the log, if it was written.
    pub(super) at: Option<Position>,
}

impl<T> Buffer<T> {
    /// An empty buffer; it cuts at the multiples of both durations.
    pub(super) fn new(stream: usize, block_interval: Duration, batch: Duration) -> Self {
        Self {
            stream,
            block_interval,
            batch,
            block_records: u64::MAX,
            most: Limit::NONE,
            open: Open::new(),
            waiting: VecDeque::new(),
            allocated: BTreeMap::new(),
            waiting_records: 0,
            next_number: 0,
            next_to_allocate: 0,
            last_cut: Time::default(),
        }
    }

    /// No block is to hold more than this.
    pub(super) fn bound(mut self, most: Limit) -> Self {
        self.most = most;
        self
    }

    /// From now on blocks are cut at so many records.
    pub(super) fn cut_at_records(&mut self, n: u64) {
        self.block_records = n.max(1);
    }

    /// A record arrives.
    pub(super) fn push(&mut self, record: T, bytes: u64, now: Time) {
        self.open_at(now, 1, bytes);
        self.open.tail.push(record);
        self.open.end_full_tail();
        self.cut_if_long();
    }

    /// Records arrive together; they stay in one block, unless a block is not to hold so many.
    pub(super) fn push_all(&mut self, records: Vec<T>, mut bytes: u64, now: Time) {
        let mut n = records.len() as u64;
        let by_bytes = self.most.bytes.map_or(1, |most| bytes.div_ceil(most.max(1)));
        let most = self.most.records.map_or(self.block_records, |most| most.min(self.block_records));
        let piece = most.min(n.div_ceil(by_bytes.max(1))).max(1);
        if n <= piece {
            self.push_whole(records, bytes, now);
            return self.cut_if_long();
        }
        let mut records = records.into_iter();
        while n > 0 {
            let few = n.min(piece);
            let share = u64::try_from(u128::from(bytes) * u128::from(few) / u128::from(n)).unwrap_or(bytes);
            self.push_whole(records.by_ref().take(few as usize).collect(), share, now);
            self.cut_if_long();
            (n, bytes) = (n - few, bytes - share);
        }
    }

    fn push_whole(&mut self, records: Vec<T>, bytes: u64, now: Time) {
        self.open_at(now, records.len() as u64, bytes);
        if records.len() >= SMALL {
            self.open.end_tail();
            self.open.parts.push(Arc::new(records));
        } else {
            self.open.tail.extend(records);
            self.open.end_full_tail();
        }
    }

    /// Records that become a block of their own. Its number.
    pub(super) fn push_alone(&mut self, records: Vec<T>, bytes: u64, now: Time) -> u64 {
        self.cut_if_due(now);
        self.cut(self.open.due);
        self.push_whole(records, bytes, now);
        self.cut(self.open.due);
        self.next_number - 1
    }

    /// Cuts what belongs to the batch of `tick`: all there is if it is the `latest` batch (nothing later waits to be
    /// planned), else what came before it. The number of the first block that does not belong to it.
    pub(super) fn cut_for(&mut self, tick: Time, latest: bool) -> u64 {
        self.cut_if_due(tick);
        if latest {
            self.cut(tick);
        }
        let belongs = |block: &Block<T>| latest || block.parts.is_none() || block.meta.cut_at <= tick;
        let end = self.waiting.partition_point(belongs);
        end.checked_sub(1).map_or(0, |last| self.waiting[last].meta.id.number + 1)
    }

    /// The number behind the waiting blocks before this one that a batch may hold, from the first on. If it may hold
    /// anything, the first fits: a block is not divided.
    pub(super) fn within(&self, before: u64, limit: Limit) -> u64 {
        let (mut end, mut records, mut bytes) = (0, 0, 0);
        if limit.is_zero() {
            return end;
        }
        for block in self.waiting.iter().take_while(|block| block.meta.id.number < before) {
            records += block.meta.records;
            bytes += block.meta.bytes;
            if end > 0 && !limit.fits(records, bytes) {
                break;
            }
            end = block.meta.id.number + 1;
        }
        end
    }

    /// The bytes of these, as far as they are allocated.
    pub(super) fn bytes_of(&self, numbers: impl IntoIterator<Item = u64>) -> u64 {
        numbers.into_iter().filter_map(|number| self.allocated.get(&number)).map(|block| block.meta.bytes).sum()
    }

    /// Allocates the waiting blocks before this number, in order.
    pub(super) fn take(&mut self, before: u64) -> Vec<BlockMeta> {
        let taken = self.waiting.partition_point(|block| block.meta.id.number < before);
        let mut metas = Vec::with_capacity(taken);
        for block in self.waiting.drain(..taken) {
            metas.push(block.meta.clone());
            self.waiting_records -= block.meta.records;
            self.next_to_allocate = block.meta.id.number + 1;
            self.allocated.insert(block.meta.id.number, block);
        }
        metas
    }

    /// One more than the number of the last block that was allocated.
    pub(super) fn next_to_allocate(&self) -> u64 {
        self.next_to_allocate
    }

    /// The number of the next block that is cut.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// The records of an allocated block, if they are in memory.
    pub(super) fn read(&self, number: u64) -> Option<Parts<T>> {
        self.allocated.get(&number)?.parts.clone()
    }

    /// What was received before a restart, told before anything is received: the next numbers to allocate and to give, and the blocks that wait.
    pub(super) fn recover(
        &mut self,
        to_allocate: u64,
        next: u64,
        blocks: impl IntoIterator<Item = (BlockMeta, Position)>,
    ) {
        (self.next_to_allocate, self.next_number) = (to_allocate, next);
        // Of a start that failed.
        self.waiting.clear();
        self.waiting_records = self.open.records;
        for (meta, at) in blocks {
            self.waiting_records += meta.records;
            self.waiting.push_back(Block { meta, parts: None, at: Some(at) });
        }
    }

    /// The first block that was cut and is not written, if its number is before this one.
    pub(super) fn unwritten(&self, before: u64) -> Option<&Block<T>> {
        let block = self.waiting.get(self.written_blocks())?;
        (block.meta.id.number < before).then_some(block)
    }

    /// A waiting block was written.
    pub(super) fn written(&mut self, number: u64, at: Position) {
        if let Some(i) = self.find_waiting(number) {
            self.waiting[i].at = Some(at);
        }
    }

    /// Where the last of the waiting blocks before this number is, of those that were written.
    pub(super) fn last_written(&self, before: u64) -> Option<Position> {
        let end = self.waiting.partition_point(|block| block.meta.id.number < before);
        self.waiting.get(end.min(self.written_blocks()).checked_sub(1)?)?.at
    }

    /// Takes a waiting block back, unless it was written.
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Block<T>> {
        let i = self.find_waiting(number).filter(|i| self.waiting[*i].at.is_none())?;
        self.waiting_records -= self.waiting[i].meta.records;
        self.waiting.remove(i)
    }

    /// Gives blocks up. The caller drops them where that holds nobody up.
    pub(super) fn release(&mut self, ids: &[BlockId]) -> Vec<Block<T>> {
        let stream = self.stream;
        ids.iter().filter(|id| id.stream == stream).filter_map(|id| self.allocated.remove(&id.number)).collect()
    }

    /// Records that belong to no batch yet.
    pub(super) fn waiting_records(&self) -> u64 {
        self.waiting_records
    }

    fn written_blocks(&self) -> usize {
        self.waiting.partition_point(|block| block.at.is_some())
    }

    fn find_waiting(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |block| block.meta.id.number).ok()
    }

    /// Makes the open buffer one that records of `now` belong into.
    fn open_at(&mut self, now: Time, records: u64, bytes: u64) {
        self.cut_if_due(now);
        if self.open.records > 0 && !self.most.fits(self.open.records + records, self.open.bytes + bytes) {
            self.cut(self.open.due);
        }
        if self.open.records == 0 {
            self.open.due = self.boundary_after(now);
        }
        self.open.records += records;
        self.open.bytes += bytes;
        self.waiting_records += records;
    }

    /// A timer would have cut at the boundary. Nothing came since, so cutting now makes the same block.
    fn cut_if_due(&mut self, now: Time) {
        if self.open.due <= now {
            self.cut(self.open.due);
        }
    }

    fn cut_if_long(&mut self) {
        if self.open.records >= self.block_records {
            self.cut(self.open.due);
        }
    }

    /// Makes a block of the open buffer, unless it is empty.
    fn cut(&mut self, at: Time) {
        if self.open.records == 0 {
            return;
        }
        self.last_cut = self.last_cut.max(at);
        self.open.end_tail();
        let Open { parts, records, bytes, .. } = std::mem::replace(&mut self.open, Open::new());
        let id = BlockId { stream: self.stream, number: self.next_number };
        self.next_number += 1;
        let meta = BlockMeta { id, records, bytes, cut_at: self.last_cut };
        self.waiting.push_back(Block { meta, parts: Some(parts), at: None });
    }

    fn boundary_after(&self, now: Time) -> Time {
        let next = |step| now.floor(step) + step;
        next(self.block_interval).min(next(self.batch))
    }
}

impl<T> Open<T> {
    fn new() -> Self {
        Self { parts: Vec::new(), tail: Vec::new(), records: 0, bytes: 0, due: Time::default() }
    }

    /// Pieces of a chunk: a longer one would be copied while it grows.
    fn end_full_tail(&mut self) {
        if self.tail.len() >= CHUNK {
            self.end_tail();
        }
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push(Arc::new(std::mem::take(&mut self.tail)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_base::time::milliseconds;

    /// Block interval 200 ms, batch interval 500 ms.
    fn buffer() -> Buffer<u64> {
        Buffer::new(3, milliseconds(200), milliseconds(500))
    }

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    enum Do {
        Push(u64),
        Tick(u64, bool),
    }
    use Do::{Push, Tick};

    /// Each record is the time it came. Each tick gives its blocks: the time of the cut and the records.
    fn check(steps: &[Do], expect: &[&[(u64, &[u64])]]) {
        let mut buffer = buffer();
        let mut ticks = Vec::new();
        for step in steps {
            match *step {
                Push(now) => buffer.push(now, 8, at(now)),
                Tick(tick, latest) => ticks.push(blocks(&mut buffer, tick, latest)),
            }
        }
        let expect: Vec<Vec<(u64, Vec<u64>)>> =
            expect.iter().map(|tick| tick.iter().map(|(cut, records)| (*cut, records.to_vec())).collect()).collect();
        assert_eq!(ticks, expect);
    }

    fn allocate(buffer: &mut Buffer<u64>, tick: u64, latest: bool) -> Vec<BlockMeta> {
        let before = buffer.cut_for(at(tick), latest);
        buffer.take(before)
    }

    fn blocks(buffer: &mut Buffer<u64>, tick: u64, latest: bool) -> Vec<(u64, Vec<u64>)> {
        let metas = allocate(buffer, tick, latest);
        let flat = |parts: Parts<u64>| parts.iter().flat_map(|part| part.to_vec()).collect();
        metas.iter().map(|meta| (meta.cut_at.as_millis(), flat(buffer.read(meta.id.number).unwrap()))).collect()
    }

    #[test]
    fn cuts_at_block_and_batch_boundaries_as_a_timer_would() {
        let pushes = [0, 199, 200, 399, 400, 499].map(Push);
        let steps: Vec<Do> = pushes.into_iter().chain([Tick(500, true)]).collect();
        check(&steps, &[&[(200, &[0, 199]), (400, &[200, 399]), (500, &[400, 499])]]);
    }

    #[test]
    fn a_quiet_interval_makes_no_block() {
        check(&[Push(10), Push(450), Tick(500, true), Tick(1_000, true)], &[&[(200, &[10]), (500, &[450])], &[]]);
    }

    #[test]
    fn the_latest_tick_takes_everything_and_others_only_what_came_before_them() {
        let pushes = || [100, 480, 510, 610].map(Push).into_iter();
        let late: Vec<Do> = pushes().chain([Tick(500, true)]).collect();
        check(&late, &[&[(200, &[100]), (500, &[480]), (600, &[510]), (600, &[610])]]);
        let behind: Vec<Do> = pushes().chain([Tick(500, false), Tick(1_000, true)]).collect();
        check(&behind, &[&[(200, &[100]), (500, &[480])], &[(600, &[510]), (800, &[610])]]);
    }

    #[test]
    fn an_early_tick_leaves_the_open_block_alone() {
        check(&[Push(510), Tick(500, false), Push(520), Tick(1_000, false)], &[&[], &[(600, &[510, 520])]]);
    }

    #[test]
    fn a_clock_set_back_loses_nothing_and_keeps_the_order() {
        let steps =
            [Push(900), Push(1_100), Push(300), Push(650), Tick(500, false), Tick(1_000, false), Tick(1_000, true)];
        check(&steps, &[&[], &[(1_000, &[900])], &[(1_000, &[1_100, 300, 650])]]);
    }

    #[test]
    fn large_vectors_are_shared_and_small_ones_joined() {
        let mut buffer = buffer();
        let large: Vec<u64> = (0..1_000).collect();
        let address = large.as_ptr();
        for n in 0..10 {
            buffer.push_all(vec![n, n], 16, at(1));
        }
        buffer.push_all(large, 8_000, at(2));
        buffer.push(7, 8, at(3));
        let metas = allocate(&mut buffer, 500, true);
        assert_eq!((metas.len(), metas[0].records, metas[0].bytes), (1, 1_021, 8_168));
        let parts = buffer.read(metas[0].id.number).unwrap();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [20, 1_000, 1]);
        assert_eq!(parts[1].as_ptr(), address);
    }

    #[test]
    fn single_records_gather_in_pieces_of_a_chunk() {
        let mut buffer = buffer();
        (0..2_500).for_each(|n| buffer.push(n, 8, at(1)));
        let metas = allocate(&mut buffer, 500, true);
        let parts = buffer.read(metas[0].id.number).unwrap();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [CHUNK, CHUNK, 2_500 - 2 * CHUNK]);
    }

    #[test]
    fn what_is_released_or_strange_is_gone() {
        let mut buffer = buffer();
        buffer.push(1, 8, at(1));
        let id = allocate(&mut buffer, 500, true)[0].id;
        let stranger = BlockId { stream: 4, ..id };
        assert!(buffer.read(id.number + 1).is_none());
        assert!(buffer.release(&[stranger]).is_empty());
        assert_eq!(buffer.release(&[id])[0].meta.bytes, 8);
        assert!(buffer.read(id.number).is_none());
        assert!(buffer.release(&[id]).is_empty());
    }

    #[test]
    fn records_that_want_it_get_a_block_of_their_own() {
        let mut buffer = buffer();
        buffer.push(1, 8, at(1));
        assert_eq!(buffer.push_alone(vec![2, 3], 16, at(2)), 1);
        assert_eq!(buffer.push_alone(vec![4], 8, at(3)), 2);
        buffer.push(5, 8, at(4));
        let expect: [(u64, Vec<u64>); 4] = [(200, vec![1]), (200, vec![2, 3]), (200, vec![4]), (200, vec![5])];
        assert_eq!(blocks(&mut buffer, 300, false), expect);
    }

    fn place(offset: u64) -> Position {
        Position { segment: 0, offset }
    }

    #[test]
    fn blocks_are_written_in_the_order_of_their_numbers() {
        let mut buffer = buffer();
        [1, 201, 401].iter().for_each(|now| buffer.push(*now, 8, at(*now)));
        let next = |buffer: &Buffer<u64>, before| buffer.unwritten(before).map(|block| block.meta.id.number);
        assert_eq!((next(&buffer, u64::MAX), next(&buffer, 0), buffer.last_written(9)), (Some(0), None, None));
        buffer.written(0, place(40));
        assert_eq!((next(&buffer, 9), next(&buffer, 1), buffer.last_written(9)), (Some(1), None, Some(place(40))));
        assert!(buffer.withdraw(0).is_none(), "it was written");
        assert!(buffer.withdraw(1).is_some() && buffer.withdraw(1).is_none());
        assert_eq!((next(&buffer, 9), buffer.waiting_records()), (None, 2), "the third is open still");
        assert_eq!(blocks(&mut buffer, 500, true), [(200, vec![1]), (500, vec![401])], "a gap in the numbers");
        assert_eq!(buffer.next_to_allocate(), 3);
    }

    #[test]
    fn blocks_of_before_a_restart_belong_to_the_first_batch() {
        let mut buffer = buffer();
        let meta = |number, cut_at| BlockMeta { id: BlockId { stream: 3, number }, records: 5, bytes: 9, cut_at };
        buffer.recover(7, 9, [(meta(7, at(9_000)), place(40)), (meta(8, at(9_200)), place(80))]);
        buffer.push(1, 8, at(1_100));
        assert_eq!((buffer.waiting_records(), buffer.next_to_allocate()), (11, 7));
        assert_eq!(buffer.cut_for(at(1_000), false), 9);
        assert!(buffer.unwritten(9).is_none());
        assert_eq!((buffer.last_written(8), buffer.last_written(9)), (Some(place(40)), Some(place(80))));
        assert_eq!(buffer.take(9).len(), 2);
        assert!(buffer.read(7).is_none(), "its records are not in memory");
        assert_eq!(blocks(&mut buffer, 2_000, true), [(1_200, vec![1])]);
        assert_eq!(buffer.next_to_allocate(), 10);
    }

    #[test]
    fn no_block_holds_more_than_it_may_and_a_batch_takes_what_fits() {
        let mut buffer = buffer().bound(Limit { records: Some(4), bytes: Some(40) });
        buffer.push_all((0..10).collect(), 50, at(1));
        buffer.push_all(vec![10, 11, 12], 15, at(1));
        buffer.push(13, 39, at(1));
        buffer.push(14, 90, at(1));
        let before = buffer.cut_for(at(500), true);
        let sizes = |buffer: &mut Buffer<u64>, limit: Limit| {
            let end = buffer.within(before, limit);
            buffer.take(end).iter().map(|meta| (meta.records, meta.bytes)).collect::<Vec<_>>()
        };
        let records = |n| Limit { records: Some(n), bytes: None };
        assert_eq!(sizes(&mut buffer, records(0)), []);
        assert_eq!(sizes(&mut buffer, records(9)), [(4, 20), (4, 20)]);
        assert_eq!(sizes(&mut buffer, records(1)), [(2, 10)], "a block is not divided");
        assert_eq!(buffer.bytes_of([0, 1, 7]), 40);
        assert_eq!(sizes(&mut buffer, Limit { records: None, bytes: Some(60) }), [(3, 15), (1, 39)]);
        assert_eq!(sizes(&mut buffer, Limit::NONE), [(1, 90)]);
    }

    #[test]
    fn long_blocks_are_cut_before_their_time() {
        let mut buffer = buffer();
        buffer.cut_at_records(2);
        (0..3).for_each(|n| buffer.push(n, 8, at(1)));
        buffer.push_all(vec![3, 4, 5], 24, at(2));
        let expect: [(u64, Vec<u64>); 4] = [(200, vec![0, 1]), (200, vec![2, 3, 4]), (200, vec![5]), (0, vec![])];
        assert_eq!(blocks(&mut buffer, 500, true), expect[..3]);
    }
}
