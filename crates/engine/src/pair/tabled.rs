//! [`Tabled`]: an aggregation table that knows what it weighs, and when it has to make room.
use super::{
    output::in_vectors,
    table::{Row, Table},
};
use crate::{
    CHUNK, Chunk, Data, Key, Task, Wire,
    blocks::size::{self, HEADER},
    memory::{Grant, Memory},
};
use std::{mem::size_of, sync::Arc};

/// Rows that are looked at to weigh all keys.
const SAMPLE: usize = 16;
/// Fewer keys are not looked at: they weigh little, and a table may have that much.
const FEW: usize = 64;
/// Accumulators are weighed again once so much was put in, or half of what they weighed.
const STEP: u64 = 256 << 10;

/// What becomes of what is put into accumulators.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grows {
    /// It stays inside of the accumulator, which owns nothing else.
    Never,
    /// It is kept, in vectors: values of this size.
    ByInput(usize),
    /// Who knows: they are weighed.
    Freely,
}
impl Grows {
    /// Of accumulators that a user's function makes.
    pub(super) fn of<C>() -> Self {
        if std::mem::needs_drop::<C>() { Grows::Freely } else { Grows::Never }
    }
}

pub(super) struct Tabled<K, C> {
    pub(super) table: Table<K, C>,
    grant: Grant,
    grows: Grows,
    heap: size::Heap<C>,
    /// What accumulators own, as far as it is known, and what was put in since.
    owned: u64,
    since: u64,
}
impl<K: Key, C: Data> Tabled<K, C> {
    pub(super) fn new(rows: usize, task: &Task, grows: Grows, heap: size::Heap<C>) -> Self {
        let mut grant = Grant::new(&task.around.memory);
        // Room is made ahead if nobody else needs it.
        let rows = if grant.ask((rows * (2 * size_of::<Row<K, C>>() + 1)) as u64) { rows } else { 0 };
        Tabled { table: Table::with_capacity(rows), grant, grows, heap, owned: 0, since: 0 }
    }
    pub(super) fn memory(&self) -> &Arc<Memory> {
        self.grant.memory()
    }
    /// What of a chunk will be kept in accumulators.
    pub(super) fn weigh<T: Wire>(&self, chunk: &Chunk<T>) -> u64 {
        match self.grows {
            Grows::Never => 0,
            Grows::ByInput(value) => {
                let others = size_of::<T>().saturating_sub(value) * chunk.len();
                in_vectors(size::for_task(chunk).saturating_sub(others as u64))
            }
            Grows::Freely => size::for_task(chunk),
        }
    }
    /// Whether the table may stay as it is, now that a chunk was added of which so much is kept.
    pub(super) fn fits(&mut self, kept: u64) -> bool {
        let bytes = self.bytes(kept);
        self.grant.ask(bytes) && !self.outgrows(bytes)
    }
    /// Whether the next chunk may make the table twice as large, and that would be too large. While it grows there are two.
    fn outgrows(&self, bytes: u64) -> bool {
        let (n, room) = (self.table.len(), self.table.capacity());
        n >= FEW && n + CHUNK > room && bytes + 2 * self.slots() > self.grant.memory().share()
    }
    fn slots(&self) -> u64 {
        (self.table.capacity() * 8 / 7 * (size_of::<Row<K, C>>() + 1)) as u64
    }
    /// What it weighs, together with the vector that its rows are taken out into.
    fn bytes(&mut self, kept: u64) -> u64 {
        self.slots() + self.rows_weigh(kept)
    }
    /// What its rows weigh without it.
    pub(super) fn rows_weigh(&mut self, kept: u64) -> u64 {
        let n = self.table.len();
        let mut heap = 0;
        if std::mem::needs_drop::<K>() && n >= FEW {
            let keys: u64 = self.table.rows().take(SAMPLE).map(|r| size::walked(&r.1.0) + HEADER as u64).sum();
            heap += keys * n as u64 / SAMPLE as u64;
        }
        self.since += kept;
        match self.grows {
            Grows::Never => {}
            Grows::ByInput(_) => heap += self.since + (n * HEADER) as u64,
            Grows::Freely => {
                if self.since >= STEP.max(self.owned / 2) {
                    self.owned = self.table.rows().map(|r| (self.heap)(&r.1.1) + HEADER as u64).sum();
                    self.since = 0;
                }
                heap += self.owned + self.since;
            }
        }
        (n * size_of::<Row<K, C>>()) as u64 + heap
    }
    /// The rows; an empty table stays.
    pub(super) fn take(&mut self) -> impl ExactSizeIterator<Item = Row<K, C>> + use<K, C> {
        let table = std::mem::replace(&mut self.table, Table::with_capacity(0));
        (self.owned, self.since) = (0, 0);
        table.into_rows()
    }
    /// What `take` took is on disk and gone.
    pub(super) fn has_spilled(&mut self) {
        self.grant.has_spilled();
    }
    /// What `take` took belongs to somebody else.
    pub(super) fn has_moved(&mut self) {
        self.grant.release();
    }
    /// The table, and what it was granted for as long as it lives.
    pub(super) fn into_parts(self) -> (Table<K, C>, Grant) {
        (self.table, self.grant)
    }
}
