//! The map side of a shuffle by key: each row to the bucket of its key.
use super::{
    exchange::{Buckets, shared},
    table::{Row, buckets},
};
use crate::{Chunk, Data, Flow, Key, Result, Site, Wire, at, detach, hash, lineage::Router};

/// What a map task writes when nothing is combined: what `row` makes of each record, and of the hash of its key if that
/// is known by then.
///
/// A named function for all operators, monomorphic in the rows; where keys go is asked inside of the loop, by one branch
/// that never changes.
pub(super) fn spread<K: Key, V: Wire, R: Data>(
    flow: Flow<(K, V)>,
    router: &Router<K>,
    site: Site,
    row: impl Fn((K, V)) -> R,
    key: impl Fn(&R) -> (&K, Option<u64>),
) -> Result<Vec<Vec<R>>> {
    let mut out = buckets(router.partitions, 0);
    let mut failure = None;
    flow.each(|c: Chunk<(K, V)>| {
        at(site);
        c.for_each(|record| {
            let row = row(record);
            let (k, h) = key(&row);
            match router.partition(k, |k| h.unwrap_or_else(|| hash::of(k))) {
                Ok(p) => out[p].push(row),
                // What follows in the chunk is spread in vain.
                Err(e) => failure = failure.take().or(Some(e)),
            }
        });
        failure.take().map_or(Ok(()), Err)
    })?;
    Ok(out)
}

/// Each record to the bucket of its key.
pub(super) fn records<K: Key, V: Wire>(flow: Flow<(K, V)>, router: &Router<K>, site: Site) -> Result<Vec<Vec<(K, V)>>> {
    spread(flow, router, site, |(k, v)| (detach::key(k), v), |row| (&row.0, None))
}
/// Each record, with the hash of its key, to the bucket of its key.
pub(super) fn rows<K: Key, V: Wire>(flow: Flow<(K, V)>, router: &Router<K>, site: Site) -> Result<Buckets<Row<K, V>>> {
    let row = |(k, v)| (hash::of(&k), (detach::key(k), v));
    spread(flow, router, site, row, |row| (&row.1.0, Some(row.0))).map(shared)
}
