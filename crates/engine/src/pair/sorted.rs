//! [`Sorted`]: a partition in the order of its keys, however large: runs on disk, and what was sorted last in memory.
use super::{
    merge::{Slice, merged},
    output::in_vectors,
    run::SortedRun,
};
use crate::{
    CHUNK, Chunk, Data, Flow, Order, Result, Site, SortKey, Task, Wire, at,
    blocks::{RecordCodec, size},
    detach,
    memory::{Grant, Kept, Memory},
    spill::{Merge, Pull, Run, RunWriter, few},
};
use std::sync::Arc;

/// What sorting costs a record beside itself: a place in an index, or half of the record.
const INDEX: usize = 24;

/// Equal keys are in the order in which they came: run by run, then what is in memory.
pub(super) struct Sorted<K, V> {
    disk: Vec<DiskRun<K, V>>,
    memory: Arc<SortedRun<K, V>>,
    _kept: Option<Kept>,
}
/// A sorted run in parts of a chunk each.
struct DiskRun<K, V> {
    run: Run<(K, V)>,
    /// The first key of each part.
    firsts: Vec<K>,
}

impl<K: SortKey, V: Wire> Sorted<K, V> {
    /// All records of a flow. Keys are kept, so they hold no read buffer. With what it was granted.
    pub(super) fn collect(flow: Flow<(K, V)>, order: Order, site: Site, task: &Task) -> Result<(Self, Grant)> {
        let (mut all, mut bytes, mut disk) = (Vec::new(), 0, Vec::new());
        let mut grant = Grant::new(&task.around.memory);
        flow.each(|c: Chunk<(K, V)>| {
            at(site);
            bytes += size::for_task(&c);
            if std::mem::needs_drop::<K>() {
                c.for_each(|(k, v)| all.push((detach::value(k), v)));
            } else {
                c.append_to(&mut all);
            }
            if !grant.ask(in_vectors(bytes) + (all.len() * INDEX) as u64) {
                disk.push(DiskRun::write(&SortedRun::new(std::mem::take(&mut all), order), grant.memory())?);
                bytes = 0;
                grant.has_spilled();
            }
            Ok(())
        })?;
        at(site);
        let memory = Arc::new(SortedRun::new(all, order));
        Ok((Sorted { disk, memory, _kept: None }, grant))
    }
    /// The same as the output of a map task: what is in memory stays there if there is room.
    pub(super) fn output(flow: Flow<(K, V)>, order: Order, site: Site, task: &Task) -> Result<Self> {
        let (mut sorted, mut grant) = Self::collect(flow, order, site, task)?;
        let held = grant.held();
        grant.release();
        let memory = grant.memory();
        sorted._kept = memory.keep(held);
        if sorted._kept.is_none() && sorted.memory.len() > 0 && held > 0 {
            sorted.disk.push(DiskRun::write(&sorted.memory, memory)?);
            sorted.memory = Arc::new(SortedRun::new(Vec::new(), order));
        }
        Ok(sorted)
    }
    pub(super) fn has_spilled(&self) -> bool {
        !self.disk.is_empty()
    }
    pub(super) fn memory(&self) -> &Arc<SortedRun<K, V>> {
        &self.memory
    }
    /// A key of every part, and how many records follow it before the next: for a guess where ranks are.
    pub(super) fn samples(&self) -> impl Iterator<Item = (&K, u64)> {
        let on_disk = self.disk.iter().flat_map(|d| d.firsts.iter().map(|k| (k, CHUNK as u64)));
        let n = self.memory.len();
        on_disk.chain((0..n).step_by(CHUNK).map(move |i| (self.memory.key(i), CHUNK.min(n - i) as u64)))
    }
    /// The records behind `low` and up to `high`, where there are such keys, in order, run by run.
    pub(super) fn pulls(&self, low: Option<&K>, high: Option<&K>, order: Order) -> Vec<Pull<(K, V)>> {
        let mut pulls: Vec<_> = self.disk.iter().map(|run| run.pull(low, high, order)).collect();
        let run = self.memory.clone();
        let (from, to) = range_in(&run, low, high, order);
        let mut next = from;
        pulls.push(Box::new(move || {
            let some = next..(next + CHUNK).min(to);
            next = some.end;
            let records: Vec<(K, V)> = some.map(|i| run.record(i).clone()).collect();
            Ok((!records.is_empty()).then_some(records))
        }) as Pull<_>);
        pulls
    }
    /// Everything in order; the grant lives as long as the flow.
    pub(super) fn into_flow(self, grant: Grant, order: Order, site: Site, task: &Task) -> Result<Flow<(K, V)>> {
        let mut flow = if self.has_spilled() {
            merged_pulls(self.pulls(None, None, order), order, site, task)?
        } else {
            let all = 0..self.memory.len();
            merged(vec![Slice::new(self.memory, all)], order, site, task)
        };
        Ok(Flow::new(move || {
            let _held = &grant;
            flow.next_chunk()
        }))
    }
}
/// Where the records of a run behind `low` and up to `high`, where there are such keys are.
pub(super) fn range_in<K: SortKey, V: Data>(
    run: &SortedRun<K, V>,
    low: Option<&K>,
    high: Option<&K>,
    order: Order,
) -> (usize, usize) {
    let from = low.map_or(0, |b| run.cut(0, run.len(), |k| order.compare(k, b).is_le()));
    let to = high.map_or(run.len(), |b| run.cut(from, run.len(), |k| order.compare(k, b).is_le()));
    (from, to)
}

impl<K: SortKey, V: Wire> DiskRun<K, V> {
    fn write(records: &SortedRun<K, V>, memory: &Arc<Memory>) -> Result<Self> {
        let (mut run, mut firsts) = (RunWriter::new(memory, RecordCodec::of())?, Vec::new());
        for from in (0..records.len()).step_by(CHUNK) {
            let to = (from + CHUNK).min(records.len());
            firsts.push(records.key(from).clone());
            // A few at a time: they may be large.
            for i in from..to {
                run.push(std::slice::from_ref(records.record(i)))?;
            }
            run.cut()?;
        }
        Ok(DiskRun { run: run.end()?, firsts })
    }
    fn pull(&self, low: Option<&K>, high: Option<&K>, order: Order) -> Pull<(K, V)> {
        // A part ends where the next begins: it lies behind `low` as a whole, or not at all, if the next does.
        let from = low.map_or(0, |b| self.firsts.partition_point(|k| order.compare(k, b).is_le()).saturating_sub(1));
        let to = high.map_or(self.firsts.len(), |b| self.firsts.partition_point(|k| order.compare(k, b).is_le()));
        let mut pull = self.run.parts(from..to.max(from)).pull();
        let (low, high) = (low.cloned(), high.cloned());
        Box::new(move || {
            let Some(mut some) = pull()? else { return Ok(None) };
            if let Some(high) = &high {
                some.truncate(some.partition_point(|(k, _)| order.compare(k, high).is_le()));
            }
            if let Some(low) = &low {
                some.drain(..some.partition_point(|(k, _)| order.compare(k, low).is_le()));
            }
            Ok(Some(some))
        })
    }
}

/// Runs on disk and in memory, merged.
pub(super) fn merged_pulls<K: SortKey, V: Wire>(
    pulls: Vec<Pull<(K, V)>>,
    order: Order,
    site: Site,
    task: &Task,
) -> Result<Flow<(K, V)>> {
    let by_key = move |a: &(K, V), b: &(K, V)| order.compare(&a.0, &b.0);
    let task = task.clone();
    let pulls = few(pulls, by_key, RecordCodec::of(), &task.around.memory)?;
    let mut merge = Merge::new(pulls, by_key)?;
    Ok(Flow::new(move || {
        task.check()?;
        at(site);
        let some = merge.next_some()?;
        Ok((!some.is_empty()).then_some(Chunk::Own(some)))
    }))
}
