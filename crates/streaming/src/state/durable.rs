//! [`Store`] as checkpoints and recovery see it: what changed goes out in sections, sections come back in.
//!
//! Sections are decoded in parallel, a few at a time, each key is hashed again and goes to the partition of today's count;
//! each partition then takes them in their order. Bytes that are no records are an error.
use super::{
    Layout, ReadSection, Section, StateStats, Stateful, Store, Stored,
    decode::{Decoder, decode_stored},
    part::Part,
    record::{Reader, Record, Writer},
    schema::upgrade::Migration,
};
use std::{
    any::Any,
    sync::{Arc, Mutex},
};
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{Error, Flow, Key, Rdd, Result, Shape, SparkContext, Wire, at, hash, lineage::Count};

/// Sections that are in memory at once while loading, for each thread.
const AT_ONCE: usize = 4;

/// A record that was decoded.
#[derive(Clone)]
struct Loaded<K, S> {
    hash: u64,
    key: K,
    state: Option<S>,
    touched: Time,
}
/// What a section has for each partition. One task takes each.
type Sorted<K, S> = Arc<Vec<Mutex<Vec<Loaded<K, S>>>>>;

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
    fn sort(&self, section: &Section, decoder: &Decoder<K, S>, time: Time) -> Result<Sorted<K, S>> {
        let n = self.partitions();
        let corrupt = |i: u32, why: &str| {
            let Section { partition, records, bytes } = section;
            let what = format_args!(
                "record {i} of {records} in a stored section of {} bytes, from partition {partition}, is corrupt: {why}",
                bytes.len()
            );
            self.wrong(what)
        };
        let mut out: Vec<Vec<Loaded<K, S>>> = (0..n).map(|_| Vec::new()).collect();
        let (mut reader, mut seen) = (Reader::new(&section.bytes), 0);
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
            out[hash::partition(hash, n)].push(loaded);
            seen += 1;
        }
        if seen != section.records {
            return Err(corrupt(seen, "the section ends there"));
        }
        Ok(Arc::new(out.into_iter().map(Mutex::new).collect()))
    }
}

fn encode<K: Key, S: Wire>(part: &mut Part<K, S>, p: usize, t: Time, everything: bool) -> Result<Vec<Section>> {
    let (mut writer, mut failed) = (Writer::new(p as u32), None);
    part.changed(everything, |key, state, touched| {
        if failed.is_none() {
            let aged = state.map(|s| ((t - touched).as_millis(), s));
            failed = writer.put(key, aged).err();
        }
    });
    match failed {
        Some(e) => Err(e),
        None => {
            part.mark_stored(everything);
            Ok(writer.finish())
        }
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
            let (keys, done) = self.between(p, |part| (part.len() as u64, part.pending()));
            StateStats {
                keys: sum.keys + keys,
                changed: sum.changed + done.changed,
                removed: sum.removed + done.removed,
            }
        })
    }
    fn take_changes(&self, sc: &SparkContext, t: Time, everything: bool) -> Result<Vec<Section>> {
        let store = self.clone();
        let sections = self.in_tasks(sc, "take_changes", self.partitions(), move |p| {
            store.between(p, |part| encode(part, p, t, everything))
        })?;
        Ok(sections.into_iter().flatten().collect())
    }
    fn accepts(&self, stored: &Layout) -> std::result::Result<Vec<String>, String> {
        Ok(decode_stored::<K, S>(stored, self.layout(), &self.migrations())?.changes())
    }
    fn load(&self, sc: &SparkContext, stored: &Stored, count: usize, read: Arc<ReadSection>) -> Result<()> {
        let decoder = decode_stored::<K, S>(&stored.layout, self.layout(), &self.migrations());
        let decoder = Arc::new(decoder.map_err(|e| self.wrong(e))?);
        // What was rebuilt on the way is not what the checkpoint has.
        let (clean, time) = (decoder.is_same(), stored.time);
        let step = sc.master().threads * AT_ONCE;
        for first in (0..count).step_by(step) {
            let n = step.min(count - first);
            let (store, read, decoder) = (self.clone(), read.clone(), decoder.clone());
            let sorted = self.in_tasks(sc, "load", n, move |i| store.sort(&read(first + i)?, &decoder, time))?;
            let store = self.clone();
            self.in_tasks(sc, "load", self.partitions(), move |p| {
                store.between(p, |part| {
                    for section in &sorted {
                        // A task that panicked half-way leaves the lock poisoned, and cannot be tried again.
                        let mut rows = section[p].lock().map_err(|_| store.wrong("an attempt to load it panicked"))?;
                        for Loaded { hash, key, state, touched } in rows.drain(..) {
                            part.put(hash, key, state, touched, clean);
                        }
                    }
                    Ok::<(), Error>(())
                })
            })?;
        }
        self.set_seeded(true);
        Ok(())
    }
    fn clear(&self) {
        for p in 0..self.partitions() {
            self.between(p, |part| *part = Part::default());
        }
        self.set_seeded(false);
    }
}
