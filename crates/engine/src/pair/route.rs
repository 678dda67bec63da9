//! The map side of a shuffle by key: each row to the bucket of its key.
use super::{
    output::{Filling, Output},
    table::{Row, row_codec},
};
use crate::{Chunk, Data, Flow, Key, Result, Site, Task, Wire, at, blocks::RecordCodec, detach, hash, lineage::Router};

/// What a map task writes when nothing is combined: what `row` makes of each record, and of the hash of its key if that
/// is known by then.
///
/// A named function for all operators, monomorphic in the rows; where keys go is asked inside of the loop, by one branch
/// that never changes.
pub(super) fn spread<K: Key, V: Wire, R: Data>(
    flow: Flow<(K, V)>,
    router: &Router<K>,
    task: &Task,
    site: Site,
    codec: RecordCodec<R>,
    row: impl Fn((K, V)) -> R,
    key: impl Fn(&R) -> (&K, Option<u64>),
) -> Result<Output<R>> {
    let mut out = Filling::new(router.partitions, task, codec);
    flow.each(|c: Chunk<(K, V)>| {
        at(site);
        fill(&mut out, c, router, &row, &key)
    })?;
    out.end()
}
/// A chunk's rows to the buckets of their keys.
pub(super) fn fill<K: Key, V: Wire, R: Data>(
    out: &mut Filling<R>,
    c: Chunk<(K, V)>,
    router: &Router<K>,
    row: impl Fn((K, V)) -> R,
    key: impl Fn(&R) -> (&K, Option<u64>),
) -> Result<()> {
    let mut failure = None;
    let bytes = out.weigh(&c);
    let buckets = &mut out.buckets;
    // One loop for owned and shared chunks: of two, neither would have the closure inlined.
    for record in c.into_vec() {
        let row = row(record);
        let (k, h) = key(&row);
        match router.partition(k, |k| h.unwrap_or_else(|| hash::of(k))) {
            Ok(p) => buckets[p].push(row),
            // What follows in the chunk is spread in vain.
            Err(e) => failure = failure.take().or(Some(e)),
        }
    }
    failure.map_or(Ok(()), Err)?;
    out.added(bytes)
}

/// Each record to the bucket of its key.
pub(super) fn records<K: Key, V: Wire>(
    flow: Flow<(K, V)>,
    router: &Router<K>,
    task: &Task,
    site: Site,
) -> Result<Output<(K, V)>> {
    spread(flow, router, task, site, RecordCodec::of(), |(k, v)| (detach::key(k), v), |row| (&row.0, None))
}
/// Each record, with the hash of its key, to the bucket of its key.
pub(super) fn rows<K: Key, V: Wire>(
    flow: Flow<(K, V)>,
    router: &Router<K>,
    task: &Task,
    site: Site,
) -> Result<Output<Row<K, V>>> {
    let row = |(k, v)| (hash::of(&k), (detach::key(k), v));
    spread(flow, router, task, site, row_codec(), row, |row| (&row.1.0, Some(row.0)))
}
