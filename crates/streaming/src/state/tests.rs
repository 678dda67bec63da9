//! The store beside a dull model: random batches that fail, are tried again, come twice; checkpoints and recoveries under
//! other numbers of partitions.
use super::*;
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};
use winterbourne_base::thread;
use winterbourne_engine::{Error, Key, MemoryUse, Site, SparkConf, Wire, hash};

/// What is done with a key.
#[derive(Clone, Debug)]
enum Op {
    /// Looks it up and gives it no state.
    Look,
    Update(u8),
    /// Changes it where it lies, if it is there.
    Add(u8),
    Remove,
    /// As `update_state_by_key` does.
    Set(Option<u8>),
}
#[derive(Clone, Debug)]
enum Step {
    /// A batch: first so many attempts that fail after so many operations each, a panic at the end or not; then whether
    /// the last one is committed.
    /// Whenever nobody is in a partition, the checkpoint that was begun is told so many records of it.
    Batch { ops: Vec<(u8, Op)>, failures: Vec<(u8, bool)>, twice: bool, commit: bool, tells: usize },
    /// A checkpoint of what changed, or of everything, all of it at once.
    Take { everything: bool },
    /// The same, but only begun.
    Freeze { everything: bool },
    /// It goes on, with so many records of each partition.
    Tell(usize),
    /// It cannot be encoded after so many, or cannot be written.
    Fail(usize),
    /// The process ends, after a last checkpoint or in a crash, and comes back with so many partitions.
    Restart { partitions: usize, crash: bool },
}
fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        Just(Op::Look),
        (0u8..4).prop_map(Op::Update),
        (1u8..4).prop_map(Op::Add),
        Just(Op::Remove),
        prop::option::of(0u8..4).prop_map(Op::Set),
    ]
}
fn step() -> impl Strategy<Value = Step> {
    let batch = (
        prop::collection::vec((0u8..40, op()), 0..60),
        prop::collection::vec((any::<u8>(), any::<bool>()), 0..3),
        any::<bool>(),
        prop::bool::weighted(0.8),
        prop_oneof![Just(0usize), 1usize..4],
    );
    let batch =
        batch.prop_map(|(ops, failures, twice, commit, tells)| Step::Batch { ops, failures, twice, commit, tells });
    let restart = (1usize..6, any::<bool>());
    prop_oneof![
        9 => batch,
        1 => any::<bool>().prop_map(|everything| Step::Take { everything }),
        4 => prop::bool::weighted(0.2).prop_map(|everything| Step::Freeze { everything }),
        2 => (1usize..9).prop_map(Step::Tell),
        1 => (0usize..9).prop_map(Step::Fail),
        1 => restart.prop_map(|(partitions, crash)| Step::Restart { partitions, crash }),
    ]
}

/// A state made of a small number: one that can be compared and one that cannot.
trait Sample: Wire + PartialEq + std::fmt::Debug {
    fn of(n: u8) -> Self;
    fn add(&mut self, n: u8);
}
impl Sample for u64 {
    fn of(n: u8) -> Self {
        n.into()
    }
    fn add(&mut self, n: u8) {
        *self += u64::from(n);
    }
}
impl Sample for Vec<u8> {
    fn of(n: u8) -> Self {
        vec![n]
    }
    fn add(&mut self, n: u8) {
        self.push(n);
    }
}
type Model<S> = BTreeMap<String, (S, Time)>;

fn apply_to_model<S: Sample>(model: &mut Model<S>, key: &str, op: &Op, now: Time) {
    match op {
        Op::Look => {}
        Op::Update(n) | Op::Set(Some(n)) => {
            let new = S::of(*n);
            // What is set to what it was is left alone, where that can be known.
            let known = std::any::TypeId::of::<S>() == std::any::TypeId::of::<u64>();
            let left = known && matches!(op, Op::Set(_)) && model.get(key).is_some_and(|(old, _)| *old == new);
            if !left {
                model.insert(key.to_owned(), (new, now));
            }
        }
        Op::Add(n) => {
            if let Some((state, touched)) = model.get_mut(key) {
                state.add(*n);
                *touched = now;
            }
        }
        Op::Remove | Op::Set(None) => drop(model.remove(key)),
    }
}
fn apply_to_part<S: Sample>(part: &mut Part<String, S>, key: &String, op: &Op, now: Time) {
    let i = part.find(hash::of(key), key);
    match op {
        Op::Look => {}
        Op::Update(n) => part.state(i, now).update(S::of(*n)),
        Op::Add(n) => {
            if let Some(state) = part.state(i, now).get_mut() {
                state.add(*n);
            }
        }
        Op::Remove => part.state(i, now).remove(),
        Op::Set(new) => part.set(i, new.map(S::of), now),
    }
}

struct World<S: Sample> {
    sc: SparkContext,
    store: Store<String, S>,
    model: Model<S>,
    before: Model<S>,
    /// What the checkpoints add up to: encoded key to record.
    disk: BTreeMap<Vec<u8>, (u64, Vec<u8>)>,
    disk_time: Time,
    disk_model: Model<S>,
    telling: Option<Telling<S>>,
    /// A checkpoint failed: the next one is of everything.
    owes_everything: bool,
    now: Time,
}
/// A checkpoint that was begun: what it is to hold, and for each partition what it was told until it is done.
struct Telling<S> {
    model: Model<S>,
    time: Time,
    everything: bool,
    writers: Vec<Option<record::Writer>>,
    sections: Vec<Section>,
}
impl<S: Sample> World<S> {
    /// With next to no memory whatever is done with goes to disk.
    fn new(is_starved: bool) -> Self {
        let conf = SparkConf::empty().set_app_name("test").set_master("local[2]");
        let conf = if is_starved { conf.set("spark.memory.size", 1) } else { conf };
        let sc = SparkContext::new(conf).unwrap();
        let store = Store::new("test", Site::caller(), &sc, 3);
        let now = Time::from_millis(1_000);
        World {
            sc,
            store,
            model: Model::new(),
            before: Model::new(),
            disk: BTreeMap::new(),
            disk_time: now,
            disk_model: Model::new(),
            telling: None,
            owes_everything: false,
            now,
        }
    }
    fn run(&mut self, steps: &[Step]) {
        for step in steps {
            self.now += winterbourne_base::time::seconds(1);
            match step {
                Step::Batch { ops, failures, twice, commit, tells } => {
                    self.batch(ops, failures, *twice, *commit, *tells);
                }
                Step::Take { everything } => self.take(*everything),
                Step::Freeze { everything } => self.freeze(*everything),
                Step::Tell(most) => self.tell(*most),
                Step::Fail(after) => self.fail(*after),
                Step::Restart { partitions, crash } => self.restart(*partitions, *crash),
            }
            self.check();
        }
    }
    fn batch(&mut self, ops: &[(u8, Op)], failures: &[(u8, bool)], twice: bool, commit: bool, tells: usize) {
        let (n, now) = (self.store.partitions(), self.now);
        self.store.begin(now);
        let a = self.store.attempt(now).unwrap();
        assert!(self.store.attempt(now + winterbourne_base::time::seconds(1)).is_none());
        let ops: Vec<(String, &Op)> = ops.iter().map(|(k, op)| (format!("key {k}"), op)).collect();
        for p in 0..n {
            let mine: Vec<_> = ops.iter().filter(|(k, _)| hash::partition(hash::of(k), n) == p).collect();
            let done = OnceLock::new();
            for (after, panics) in failures {
                let attempt = || {
                    self.store.apply(p, a, &done, |part| {
                        let some = mine.len() * usize::from(*after) / 256;
                        mine[..some].iter().for_each(|(k, op)| apply_to_part(part, k, op, now));
                        assert!(!panics, "as asked");
                        Err(Error::User("as asked".into()))
                    })
                };
                let failed = catch_unwind(AssertUnwindSafe(attempt));
                assert!(failed.is_err() || failed.unwrap().is_err());
                self.tell(tells);
            }
            for _ in 0..=usize::from(twice) {
                let apply = |part: &mut Part<String, S>| {
                    mine.iter().for_each(|(k, op)| apply_to_part(part, k, op, now));
                    Ok(())
                };
                self.store.apply(p, a, &done, apply).unwrap();
                self.tell(tells);
            }
        }
        let stats = self.store.stats();
        self.store.settle(now, commit);
        self.tell(tells);
        assert!(self.store.page(0, a, 0, 1).is_err());
        if commit {
            self.before.clone_from(&self.model);
            ops.iter().for_each(|(k, op)| apply_to_model(&mut self.model, k, op, now));
            let removed = self.before.keys().filter(|k| !self.model.contains_key(*k)).count() as u64;
            assert_eq!((stats.keys, stats.removed), (self.model.len() as u64, removed));
            let changed = |k: &&String| self.before.get(*k) != self.model.get(*k);
            let least =
                self.before.keys().chain(self.model.keys()).filter(changed).collect::<std::collections::BTreeSet<_>>();
            assert!(stats.changed >= least.len() as u64, "{stats:?} {least:?}");
        }
    }
    fn freeze(&mut self, everything: bool) {
        // One at a time.
        self.tell(usize::MAX);
        let everything = everything || std::mem::take(&mut self.owes_everything);
        self.store.has_begun(true);
        self.store.freeze(&self.sc, everything).unwrap();
        let writers = (0..self.store.partitions()).map(|p| Some(record::Writer::new(p as u32))).collect();
        let (model, time) = (self.model.clone(), self.now);
        self.telling = Some(Telling { model, time, everything, writers, sections: Vec::new() });
    }
    /// Goes on with the checkpoint that was begun, in each partition with so many records.
    fn tell(&mut self, most: usize) {
        let Some(telling) = self.telling.as_mut().filter(|_| most > 0) else { return };
        for p in 0..self.store.partitions() {
            let Some(mut writer) = telling.writers[p].take() else { continue };
            let (mut is_done, mut count) = (false, 0);
            let mut put = |key: &String, state: Option<&S>, touched: Time| {
                count += 1;
                writer.put(key, state.map(|s| ((telling.time - touched).as_millis(), s)))
            };
            let once = |part: &mut Part<String, S>| part.tell(most, &mut put).map(|done| is_done = done).map(|()| true);
            self.store.beside(p, once).unwrap();
            assert!(count <= most && (is_done || count == most || telling.everything));
            if is_done { telling.sections.extend(writer.finish()) } else { telling.writers[p] = Some(writer) }
        }
        if telling.writers.iter().all(Option::is_none) {
            self.told();
        }
    }
    /// The checkpoint has been told all: it is the state of when it was begun.
    fn told(&mut self) {
        let Telling { model, time, everything, sections, .. } = self.telling.take().unwrap();
        if everything {
            self.disk.clear();
        }
        // Ages are kept as of the last checkpoint, as whoever merges checkpoints would.
        let passed = (time - self.disk_time).as_millis();
        self.disk.values_mut().for_each(|(age, _)| *age += passed);
        self.disk_time = time;
        let mut told = std::collections::BTreeSet::new();
        for section in &sections {
            let mut reader = record::Reader::new(&section.bytes);
            while let Some(record) = reader.next() {
                let record::Record { key, state } = record.unwrap();
                assert!(told.insert(key.to_vec()), "no key is told twice");
                match state {
                    Some((age, state)) => drop(self.disk.insert(key.to_vec(), (age, state.to_vec()))),
                    // Only what a checkpoint knows is taken back.
                    None => assert!(self.disk.remove(key).is_some()),
                }
            }
        }
        let on_disk: Model<S> = (self.disk.iter())
            .map(|(key, (age, state))| {
                let touched = time - winterbourne_base::time::milliseconds(*age);
                (postcard::from_bytes(key).unwrap(), (postcard::from_bytes(state).unwrap(), touched))
            })
            .collect();
        assert_eq!(on_disk, model);
        self.disk_model = model;
    }
    fn take(&mut self, everything: bool) {
        self.freeze(everything);
        self.tell(usize::MAX);
        assert_eq!(self.disk_model, self.model);
        assert!(take(&self.store, &self.sc, self.now, false).unwrap().is_empty());
    }
    fn fail(&mut self, after: usize) {
        if self.telling.take().is_none() {
            return;
        }
        let mut count = 0;
        let failed = self.store.beside(0, |part| {
            part.tell(usize::MAX, |_, _, _| {
                count += 1;
                if count > after { Err(Error::User("as asked".into())) } else { Ok(()) }
            })
        });
        // Or it was told all, and could not be written.
        assert_eq!(failed.is_err(), count > after);
        self.owes_everything = true;
    }
    fn restart(&mut self, partitions: usize, crash: bool) {
        if !crash {
            self.take(false);
        }
        (self.telling, self.owes_everything) = (None, false);
        self.model.clone_from(&self.disk_model);
        self.store = Store::new("test", Site::caller(), &self.sc, partitions);
        let sections = sections(&self.disk);
        let stored = Stored { layout: self.store.layout().clone(), time: self.disk_time, records: self.disk.len() };
        for file in sections {
            self.store.load(&self.sc, &stored, file.len(), Arc::new(move |i| Ok(file[i].clone()))).unwrap();
        }
        self.before.clone_from(&self.model);
        assert!(take(&self.store, &self.sc, self.now, false).unwrap().is_empty());
    }
    fn check(&self) {
        let mut found = Model::new();
        for p in 0..self.store.partitions() {
            self.store
                .between(p, |part| {
                    part.check();
                    for (key, state, touched) in part.all() {
                        assert_eq!(hash::partition(hash::of(key), self.store.partitions()), p);
                        found.insert(key.clone(), (state.clone(), touched));
                    }
                })
                .unwrap();
            self.store.ease(p);
        }
        assert_eq!(found, self.model);
    }
}
/// A checkpoint, all of it at once.
fn take<K: Key, S: Wire>(
    store: &Store<K, S>,
    sc: &SparkContext,
    t: Time,
    everything: bool,
) -> winterbourne_engine::Result<Vec<Section>> {
    store.has_begun(true);
    store.freeze(sc, everything)?;
    store.take_frozen(t)
}
/// Sections of a few records each, a key that comes back after it went included.
fn sections(disk: &BTreeMap<Vec<u8>, (u64, Vec<u8>)>) -> [Vec<Section>; 3] {
    let records: Vec<_> = disk.iter().collect();
    // First what is there, then gone, then there again: the last file counts.
    let mut files: [Vec<Section>; 3] = Default::default();
    for some in records.chunks(3) {
        let mut bytes = Vec::new();
        for (key, (age, state)) in some {
            bytes.extend([key.len() as u8]);
            bytes.extend_from_slice(key);
            let mut rest = Vec::new();
            record::put_varint(*age, &mut rest);
            rest.extend_from_slice(state);
            bytes.push(rest.len() as u8 + 1);
            bytes.extend(rest);
        }
        let gone: Vec<u8> = some.iter().flat_map(|(key, _)| [&[key.len() as u8][..], key, &[0]].concat()).collect();
        let records = some.len() as u32;
        for (file, bytes) in files.iter_mut().zip([bytes.clone(), gone, bytes]) {
            file.push(Section { partition: 9, records, bytes });
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_store_is_its_model(steps in prop::collection::vec(step(), 1..30), is_starved: bool) {
        World::<u64>::new(is_starved).run(&steps);
    }
    #[test]
    fn a_store_of_states_that_cannot_be_compared_is_its_model(
        steps in prop::collection::vec(step(), 1..30), is_starved: bool
    ) {
        World::<Vec<u8>>::new(is_starved).run(&steps);
    }
    #[test]
    fn damaged_sections_are_an_error_or_read_as_something(flips in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4), cut: usize) {
        let store = filled(50);
        let sc = store.spark_context();
        let mut sections = take(&store, &sc, Time::from_millis(5), true).unwrap();
        let bytes = &mut sections[0].bytes;
        for (at, with) in flips {
            let at = at % bytes.len();
            bytes[at] ^= with;
        }
        // One end or another.
        if cut % 2 == 0 {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        let again = Store::<String, Vec<u64>>::new("test", Site::caller(), &sc, 2);
        let stored = Stored { layout: again.layout().clone(), time: Time::from_millis(5), records: 50 };
        if let Err(e) = again.load(&sc, &stored, 1, Arc::new(move |i| Ok(sections[i].clone()))) {
            prop_assert!(e.to_string().contains("is corrupt: "), "{}", e);
        }
    }
}

/// Keys 0 to n, each with a list.
fn filled(n: u64) -> Store<String, Vec<u64>> {
    let sc = SparkContext::new(SparkConf::empty().set_app_name("test").set_master("local[1]")).unwrap();
    let store = Store::new("test", Site::caller(), &sc, 1);
    put_all(&store, (0..n).map(|i| (i.to_string(), Some(vec![i; 3]))));
    store
}
/// One batch in partition 0.
fn put_all<K: Key, S: Wire>(store: &Store<K, S>, all: impl IntoIterator<Item = (K, Option<S>)>) {
    let t = Time::from_millis(1);
    store.begin(t);
    let done = OnceLock::new();
    store
        .apply(0, store.attempt(t).unwrap(), &done, |part| {
            for (key, state) in all {
                let i = part.find(hash::of(&key), &key);
                part.set(i, state, t);
            }
            Ok(())
        })
        .unwrap();
    store.settle(t, true);
}

#[test]
fn a_section_that_ends_early_or_holds_too_much_names_its_operator() {
    let store = filled(3);
    let sc = store.spark_context();
    let good = take(&store, &sc, Time::from_millis(1), true).unwrap().remove(0);
    let load = |change: fn(&mut Section)| {
        let mut bad = good.clone();
        change(&mut bad);
        let stored = Stored { layout: store.layout().clone(), time: Time::from_millis(1), records: 3 };
        store.load(&sc, &stored, 1, Arc::new(move |_| Ok(bad.clone()))).unwrap_err().to_string()
    };
    for (said, expect) in [
        (load(|s| s.bytes.truncate(10)), "a length leads past the end"),
        (load(|s| s.records = 4), "record 3 of 4"),
        (load(|s| s.bytes.clear()), "the section ends there"),
        (load(|s| s.bytes[1] = 9), "corrupt: the key: "),
    ] {
        assert!(said.contains(expect) && said.contains("the state of the test at "), "{said}");
    }
}
#[test]
fn what_was_stored_of_other_types_is_refused_with_their_names() {
    let (store, sc) = (filled(1), SparkContext::new(SparkConf::empty().set_app_name("test")).unwrap());
    let other = Layout::of::<String, u32>();
    let said = store.accepts(&other).unwrap_err();
    assert!(said.contains("stored as u32") && said.contains("Vec<u64> now"), "{said}");
    let stored = Stored { layout: other, time: Time::from_millis(1), records: 3 };
    assert!(store.load(&sc, &stored, 0, Arc::new(|_| unreachable!())).is_err());
    assert_eq!(store.accepts(&Layout::of::<String, Vec<u64>>()), Ok(Vec::new()));
}
#[test]
fn memory_of_removed_keys_is_used_again_and_given_back() {
    let store = filled(1_000);
    let slots = |store: &Store<String, Vec<u64>>| store.between(0, |part| part.slots()).unwrap();
    let gone = |keys: std::ops::Range<u64>| keys.map(|i| (i.to_string(), None));
    put_all(&store, gone(0..100));
    put_all(&store, (2_000..2_100).map(|i| (i.to_string(), Some(vec![i]))));
    assert_eq!((store.stats().keys, slots(&store)), (1_000, 1_000));
    put_all(&store, gone(100..900));
    assert_eq!((store.stats().keys, slots(&store)), (200, 200));
    // What a checkpoint knows stays until the next one has been told.
    let sc = store.spark_context();
    let told = |everything| -> u32 {
        take(&store, &sc, Time::from_millis(1), everything).unwrap().iter().map(|s| s.records).sum()
    };
    assert_eq!(told(true), 200);
    put_all(&store, gone(900..1_000));
    put_all(&store, gone(2_000..2_050));
    assert_eq!((store.stats().keys, slots(&store)), (50, 200));
    assert_eq!((told(false), told(false)), (150, 0));
    // Slots are moved between batches.
    put_all(&store, []);
    assert_eq!((store.stats().keys, slots(&store)), (50, 50));
    store.clear();
    assert_eq!((store.stats(), told(true)), (StateStats::default(), 0));
}
/// As it is in a program: the checkpoint's thread among tasks and batches.
#[test]
fn a_checkpoint_is_the_state_of_its_batch_whatever_runs_beside_it() {
    let keys = 10 * 1024;
    let store = filled(keys);
    let sc = store.spark_context();
    let mut expect: BTreeMap<String, Vec<u64>> = (0..keys).map(|i| (i.to_string(), vec![i; 3])).collect();
    let mut disk: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for round in 0..6u64 {
        store.freeze(&sc, round == 3).unwrap();
        if round == 3 {
            disk.clear();
        }
        let frozen = expect.clone();
        let beside = store.clone();
        let teller = thread::spawn("teller", move || beside.take_frozen(Time::from_millis(1)).unwrap()).unwrap();
        for batch in 0..4u64 {
            // Some go, some change, some come back.
            let state = |i: u64| (!(i + round + batch).is_multiple_of(5)).then(|| vec![i, round, batch]);
            let some: Vec<_> = (0..keys).skip(batch as usize).step_by(3).map(|i| (i.to_string(), state(i))).collect();
            put_all(&store, some.clone());
            for (key, state) in some {
                match state {
                    Some(state) => drop(expect.insert(key, state)),
                    None => drop(expect.remove(&key)),
                }
            }
        }
        for section in teller.join().unwrap() {
            let mut reader = record::Reader::new(&section.bytes);
            while let Some(Some(record::Record { key, state })) = reader.next() {
                let key: String = postcard::from_bytes(key).unwrap();
                match state {
                    Some((_, state)) => drop(disk.insert(key, postcard::from_bytes(state).unwrap())),
                    None => assert!(disk.remove(&key).is_some()),
                }
            }
        }
        assert_eq!(disk, frozen);
        store.between(0, |part| part.check()).unwrap();
    }
}
#[test]
fn a_panic_while_it_is_told_leaves_the_next_checkpoint_whole() {
    let store = filled(100);
    let sc = store.spark_context();
    store.freeze(&sc, false).unwrap();
    let panics = || {
        store.beside(0, |part| {
            let mut count = 0;
            part.tell(usize::MAX, |_, _, _| {
                count += 1;
                assert!(count < 50, "as asked");
                Ok(())
            })
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    put_all(&store, (0..80).map(|i: u64| (i.to_string(), None)));
    let sections = take(&store, &sc, Time::from_millis(1), true).unwrap();
    assert_eq!(sections.iter().map(|s| s.records).sum::<u32>(), 20);
    put_all(&store, []);
    store
        .between(0, |part| {
            part.check();
            assert_eq!((part.len(), part.slots()), (20, 20));
        })
        .unwrap();
}
#[test]
fn a_state_that_had_not_begun_has_not_begun_when_it_comes_back() {
    let empty = || filled(0);
    let store = empty();
    let sc = store.spark_context().clone();
    for begun in [false, true] {
        store.has_begun(begun);
        store.freeze(&sc, true).unwrap();
        store.has_begun(true); // does not count: it was frozen before
        let file = store.take_frozen(Time::from_millis(2)).unwrap();
        let again = empty();
        let stored = Stored { layout: store.layout().clone(), time: Time::from_millis(2), records: 0 };
        let (n, read) = (file.len(), move |i: usize| Ok(file[i].clone()));
        assert!(!again.load(&sc, &stored, n, Arc::new(read)).unwrap());
        assert_eq!(again.is_begun(), begun);
    }
}
#[test]
fn a_state_that_does_not_serialise_is_an_error_of_its_operator() {
    #[derive(Clone, serde::Deserialize)]
    struct Odd;
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("odd"))
        }
    }
    let sc = SparkContext::new(SparkConf::empty().set_app_name("test")).unwrap();
    let store = Store::<u8, Odd>::new("test", Site::caller(), &sc, 1);
    put_all(&store, [(1, Some(Odd))]);
    let said = take(&store, &sc, Time::from_millis(1), false).map(drop).unwrap_err().to_string();
    assert!(said.contains("Odd does not serialise"), "{said}");
}

/// Half of a megabyte for ten times as much: what a batch is done with goes to disk, and comes back as it was.
#[test]
fn state_larger_than_its_share_goes_to_disk() {
    let dir = std::env::temp_dir().join(winterbourne_base::scratch::unique());
    std::fs::create_dir(&dir).unwrap();
    let conf = SparkConf::empty().set_app_name("test").set_master("local[2]").set("spark.memory.size", "1m");
    let sc = SparkContext::new(conf.set("spark.local.dir", dir.to_str().unwrap())).unwrap();
    let store: Store<u64, String> = Store::new("test", Site::caller(), &sc, 8);
    let batch = |t: u64, ok: bool, value: &dyn Fn(u64) -> Option<String>| {
        let t = Time::from_millis(t);
        store.begin(t);
        let attempt = store.attempt(t).unwrap();
        for p in 0..8 {
            let apply = |part: &mut Part<u64, String>| {
                for k in (0..40_000).filter(|k| hash::partition(hash::of(k), 8) == p) {
                    if let Some(value) = value(k) {
                        let i = part.find(hash::of(&k), &k);
                        part.set(i, Some(value), t);
                    }
                }
                Ok(())
            };
            store.apply(p, attempt, &OnceLock::new(), apply).unwrap();
        }
        let keys = store.stats();
        store.settle(t, ok);
        keys
    };
    let text = |k: u64, n: u64| Some(format!("{k:>90} {n}"));
    assert_eq!(batch(1, true, &|k| text(k, 1)).changed, 40_000);
    // A few more, which do not stay, and again, which do.
    for ok in [false, true] {
        let stats = batch(2, ok, &|k| text(k, 2).filter(|_| k % 1_000 == 0));
        assert_eq!((stats.keys, stats.changed), (40_000, 40));
    }
    let status = sc.memory_status();
    assert!(status.used_by(MemoryUse::State) < 1 << 20 && status.spills >= 16, "{status}");
    let mut found = 0;
    for p in 0..8 {
        store
            .between(p, |part| {
                part.check();
                for (k, state, _) in part.all() {
                    assert_eq!(Some(state), text(*k, if k % 1_000 == 0 { 2 } else { 1 }).as_ref());
                    found += 1;
                }
            })
            .unwrap();
        store.ease(p);
    }
    assert_eq!(found, 40_000);
    // A file that is damaged fails whoever wants the partition, and says which.
    let flip = |path: std::path::PathBuf| {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let scratch = std::fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let files = std::fs::read_dir(scratch).unwrap().map(|e| e.unwrap().path());
    files.filter(|f| f.file_name().is_some_and(|n| n.to_string_lossy().starts_with("spill-"))).for_each(flip);
    let failed: Vec<String> = (0..8).filter_map(|p| Some(store.between(p, |_| ()).err()?.to_string())).collect();
    assert!(!failed.is_empty());
    for said in failed {
        assert!(
            said.contains("was put on disk and cannot be read again") && said.contains("is damaged at byte"),
            "{said}"
        );
    }
    drop((store, sc));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "nothing is left");
    std::fs::remove_dir(dir).unwrap();
}
