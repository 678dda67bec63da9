//! [`Store`] as checkpoints and recovery see it: what changed goes out in sections, sections come back in.
//!
//! Sections are loaded in parallel, in any order: those of one file have no key in common. Each key is hashed again and
//! goes to the partition of today's count, some at a time. Bytes that are no records are an error.
use super::{
    Layout, ReadSection, Section, StateStats, Stateful, Store, Stored,
    decode::{Decoder, decode_stored},
    part::Part,
    record::{Reader, Record, Writer},
    schema::upgrade::Migration,
};
use std::{any::Any, sync::Arc};
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{Flow, Key, Rdd, Result, Shape, SparkContext, Wire, at, hash, lineage::Count};

/// Decoded records that a partition takes in at once while loading: its lock is taken for so many.
const TOGETHER: usize = 256;
/// Records that are encoded at once: so many a batch has to wait for, at most.
const A_WHILE: usize = 1024;

/// The partition of the section that holds no records but what the state stands at.
const MARK: u32 = u32::MAX;
/// Stands for a state that had not begun.
const NOT_BEGUN: u32 = u32::MAX - 1;

/// A record that was decoded.
struct Loaded<K, S> {
    hash: u64,
    key: K,
    state: Option<S>,
    touched: Time,
}
impl<K: Key, S: Wire> Store<K, S> {
    /// Runs something for each of n numbers, in tasks.
    fn in_tasks<R: Clone + Send + Sync + 'static>(
        &self,
        sc: &SparkContext,
        name: &'static str,
        n: usize,
        f: impl Fn(usize) -> Result<R> + Send + Sync + 'static,
    ) -> Result<Vec<R>> {
        let (site, partitions) = (self.site(), Count::known(n));
        let shape = Shape { name, site, partitions, deps: Vec::new(), partitioner: None, depth: 0 };
        let nothing: Rdd<()> = sc.make(shape, |_, _| Ok(Flow::empty()));
        sc.run_job(&nothing, (0..n).collect(), move |i, _, _| {
            at(site);
            f(i)
        })
    }
    /// Decodes a section and puts its records in, each into today's partition; whether that is another one than when it
    /// was written. Said again, it changes nothing.
    fn take_in(&self, section: &Section, decoder: &Decoder<K, S>, time: Time) -> Result<bool> {
        if section.partition == MARK {
            let mark = postcard::from_bytes(&section.bytes);
            let mark = mark.map_err(|e| self.wrong(format_args!("what it stands at is corrupt: {e}")))?;
            self.set_mark(Some(mark));
            return Ok(false);
        }
        let n = self.partitions();
        let corrupt = |i: u32, why: &str| {
            let Section { partition, records, bytes } = section;
            let what = format_args!(
                "record {i} of {records} in a stored section of {} bytes, from partition {partition}, is corrupt: {why}",
                bytes.len()
            );
            self.wrong(what)
        };
        // What was rebuilt on the way is not what the checkpoint has.
        let clean = decoder.is_same();
        let put = |p: usize, rows: &mut Vec<Loaded<K, S>>| {
            self.between(p, |part| {
                for Loaded { hash, key, state, touched } in rows.drain(..) {
                    part.put(hash, key, state, touched, clean);
                }
            })
        };
        let mut waiting: Vec<Vec<Loaded<K, S>>> = (0..n).map(|_| Vec::new()).collect();
        let (mut reader, mut seen, mut moved) = (Reader::new(&section.bytes), 0, false);
        while let Some(record) = reader.next() {
            let Record { key, state } = record.ok_or_else(|| corrupt(seen, "a length leads past the end"))?;
            let key = decoder.key.decode(key).map_err(|e| corrupt(seen, &format!("the key: {e}")))?;
            let hash = hash::of(&key);
            let loaded = match state {
                None => Loaded { hash, key, state: None, touched: time },
                Some((age, bytes)) => {
                    let state = decoder.state.decode(bytes).map_err(|e| corrupt(seen, &format!("the state: {e}")))?;
                    Loaded { hash, key, state: Some(state), touched: time - Duration::from_millis(age) }
                }
            };
            let p = hash::partition(hash, n);
            moved |= p != section.partition as usize;
            waiting[p].push(loaded);
            if waiting[p].len() == TOGETHER {
                put(p, &mut waiting[p])?;
            }
            seen += 1;
        }
        if seen != section.records {
            return Err(corrupt(seen, "the section ends there"));
        }
        for (p, rows) in waiting.iter_mut().enumerate().filter(|(_, rows)| rows.capacity() > 0) {
            put(p, rows)?;
            self.ease(p);
        }
        Ok(moved)
    }
}

impl<K: Key, S: Wire> Stateful for Store<K, S> {
    fn layout(&self) -> &Layout {
        self.layout()
    }
    fn partitions(&self) -> usize {
        self.partitions()
    }
    fn unstorable(&self) -> Option<String> {
        Layout::unstorable::<K, S>()
    }
    fn is_volatile(&self) -> bool {
        self.is_volatile()
    }
    fn set_volatile(&self) {
        self.set_volatile();
    }
    fn migrate(&self, migration: Box<dyn Any>) -> bool {
        let migration = migration.downcast::<Migration<S>>();
        migration.map(|m| self.add_migration(*m)).is_ok()
    }
    fn begin(&self, t: Time) {
        self.begin(t);
    }
    fn advance(&self, t: Time) -> Result<()> {
        self.advance(t)
    }
    fn settle(&self, t: Time, ok: bool) {
        self.settle(t, ok);
    }
    fn stats(&self) -> StateStats {
        (0..self.partitions()).fold(StateStats::default(), |sum, p| {
            let (keys, done) = self.glance(p);
            StateStats {
                keys: sum.keys + keys,
                changed: sum.changed + done.changed,
                removed: sum.removed + done.removed,
            }
        })
    }
    fn is_begun(&self) -> bool {
        Store::is_begun(self)
    }
    fn freeze(&self, sc: &SparkContext, everything: bool) -> Result<()> {
        let store = self.clone();
        let freeze = move |p| {
            store.between(p, |part| part.freeze(everything))?;
            store.ease(p);
            Ok(())
        };
        self.in_tasks(sc, "freeze", self.partitions(), freeze)?;
        self.freeze_mark(everything);
        Ok(())
    }
    fn take_frozen(&self, t: Time) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        if !self.was_begun() {
            sections.push(Section { partition: NOT_BEGUN, records: 0, bytes: Vec::new() });
        }
        if let Some(mark) = self.frozen_mark() {
            let bytes = postcard::to_allocvec(&mark).map_err(|e| self.wrong(e))?;
            sections.push(Section { partition: MARK, records: 0, bytes });
        }
        for p in 0..self.partitions() {
            let mut writer = Writer::new(p as u32);
            let put = |part: &mut Part<K, S>| {
                part.tell(A_WHILE, |key, state, touched| writer.put(key, state.map(|s| ((t - touched).as_millis(), s))))
            };
            self.beside(p, put)?;
            sections.extend(writer.finish());
        }
        Ok(sections)
    }
    fn accepts(&self, stored: &Layout) -> std::result::Result<Vec<String>, String> {
        Ok(decode_stored::<K, S>(stored, self.layout(), &self.migrations())?.changes())
    }
    fn load(&self, sc: &SparkContext, stored: &Stored, count: usize, read: Arc<ReadSection>) -> Result<bool> {
        let decoder = decode_stored::<K, S>(&stored.layout, self.layout(), &self.migrations());
        let decoder = decoder.map_err(|e| self.wrong(e))?;
        // A little more than its share: the hash is not that even.
        let share = stored.records / self.partitions().max(1);
        (0..self.partitions()).try_for_each(|p| self.between(p, |part| part.reserve(share + share / 64)))?;
        let (store, time) = (self.clone(), stored.time);
        let taken = self.in_tasks(sc, "load", count, move |i| {
            let section = read(i)?;
            Ok((section.partition != NOT_BEGUN, store.take_in(&section, &decoder, time)?))
        })?;
        self.set_seeded(taken.iter().all(|(is_begun, _)| *is_begun));
        Ok(taken.iter().any(|(_, moved)| *moved))
    }
    fn clear(&self) {
        for p in 0..self.partitions() {
            self.clear_part(p);
        }
        self.set_seeded(false);
        self.set_mark(None);
    }
}
