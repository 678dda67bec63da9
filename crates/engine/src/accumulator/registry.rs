//! [`Registry`]: the living accumulators of a context, without their types. It keeps none of them alive.
use super::{part::Part, updates::Updates};
use crate::{AccumulatorId, Error, Result, SparkContext, guard_driver};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// What a task added to one accumulator, on its way to other lanes.
#[derive(Clone)]
pub(crate) struct Sent {
    id: AccumulatorId,
    bytes: Vec<u8>,
}

/// An accumulator without its type. All parts it is handed are of its own kind.
pub(super) trait Owner: Send + Sync {
    fn id(&self) -> AccumulatorId;
    fn name(&self) -> Option<&Arc<str>>;
    /// One part into another.
    fn merge_into(&self, into: &mut Part, part: Part);
    /// Into the driver's value.
    fn merge(&self, part: Part);
    fn replace(&self, part: Part);
    /// To the same accumulator of another lane; an error unless it is one of this registry's.
    fn encode(&self, part: Part, to: &Arc<Registry>) -> Result<Vec<u8>>;
    fn decode(&self, bytes: &[u8]) -> Result<Part>;
    /// The driver's value, with the name of its kind.
    fn save(&self) -> Result<Vec<u8>>;
    /// What was saved, if it was of this kind, or else why not.
    fn restored(&self, bytes: &[u8]) -> Result<Part, String>;
    fn error(&self, doing: &'static str, why: String) -> Error;
    fn text(&self) -> String;
}

/// A named accumulator, for people; see [`SparkContext::accumulators`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccumulatorInfo {
    /// In program order.
    pub id: AccumulatorId,
    /// Several may have the same.
    pub name: Arc<str>,
    /// The text of its value on the driver.
    pub value: String,
}

const RESTORE: &str = "restore";

#[derive(Default)]
pub(crate) struct Registry {
    lists: Mutex<Lists>,
    /// How many entries `unusable` has, to look at without the lock.
    broken: AtomicUsize,
}
#[derive(Default)]
struct Lists {
    living: BTreeMap<AccumulatorId, Weak<dyn Owner>>,
    /// Saved values that wait for an accumulator of their name, oldest first.
    waiting: BTreeMap<String, VecDeque<Vec<u8>>>,
    /// Accumulators whose saved value could not be taken up, and why.
    unusable: BTreeMap<AccumulatorId, String>,
}

impl Registry {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().expect("no user code runs under this lock")
    }
    /// SUBTLE: handles are collected under the lock and used, and dropped, without it: the last one drops the user's
    /// value and comes back here.
    fn living(&self) -> Vec<Arc<dyn Owner>> {
        self.lists().living.values().filter_map(Weak::upgrade).collect()
    }
    fn find(&self, id: AccumulatorId) -> Option<Arc<dyn Owner>> {
        self.lists().living.get(&id)?.upgrade()
    }
    /// Takes in a new accumulator; it begins with a saved value of its name, if one waits.
    pub(super) fn enter(&self, owner: &Arc<dyn Owner>) {
        let saved = {
            let mut lists = self.lists();
            lists.living.insert(owner.id(), Arc::downgrade(owner));
            owner.name().and_then(|name| lists.waiting.get_mut(&**name)?.pop_front())
        };
        let Some(saved) = saved else { return };
        match owner.restored(&saved) {
            Ok(value) => owner.replace(value),
            Err(why) => {
                let mut lists = self.lists();
                lists.unusable.insert(owner.id(), why);
                self.broken.store(lists.unusable.len(), Relaxed);
            }
        }
    }
    pub(super) fn forget(&self, id: AccumulatorId) {
        let mut lists = self.lists();
        lists.living.remove(&id);
        lists.unusable.remove(&id);
        self.broken.store(lists.unusable.len(), Relaxed);
    }
    /// Whether every accumulator could take up its saved value; asked before each job.
    pub(crate) fn check(&self) -> Result<()> {
        if self.broken.load(Relaxed) == 0 {
            return Ok(());
        }
        let first = self.lists().unusable.first_key_value().map(|(id, why)| (*id, why.clone()));
        match first.and_then(|(id, why)| Some((self.find(id)?, why))) {
            Some((owner, why)) => Err(owner.error(RESTORE, why)),
            None => Ok(()),
        }
    }

    /// Merges what tasks have added, in the order given.
    pub(crate) fn count(all: impl IntoIterator<Item = Updates>) -> Result<()> {
        let mut parts = all.into_iter().flat_map(Updates::into_parts).peekable();
        if parts.peek().is_none() {
            return Ok(());
        }
        guard_driver(|| {
            parts.for_each(|(owner, part)| owner.merge(part));
            Ok(())
        })
    }
    /// What a task has added, for other lanes.
    pub(crate) fn encode(self: &Arc<Self>, updates: Updates) -> Result<Vec<Sent>> {
        let sent =
            |(owner, part): (Arc<dyn Owner>, Part)| Ok(Sent { id: owner.id(), bytes: owner.encode(part, self)? });
        guard_driver(|| Ok(updates.into_parts().map(sent).collect::<Result<_>>()?))
    }
    /// Merges what all lanes have sent, in the order given.
    pub(crate) fn count_sent<'a>(&self, all: impl Iterator<Item = &'a Sent>) -> Result<()> {
        guard_driver(|| {
            let mut parts = Vec::new();
            for sent in all {
                // One that is gone is gone in every lane, with whoever could have read it.
                if let Some(owner) = self.find(sent.id) {
                    let part = owner.decode(&sent.bytes)?;
                    parts.push((owner, part));
                }
            }
            parts.into_iter().for_each(|(owner, part)| owner.merge(part));
            Ok(())
        })
    }
}

impl SparkContext {
    /// The living accumulators that have a name, in the order in which they were made.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let late = sc.long_accumulator("late");
    /// let unnamed = sc.double_accumulator(None);
    /// late.add(3);
    /// unnamed.add(0.5);
    /// let all: Vec<String> = sc.accumulators().iter().map(|a| format!("{}: {} = {}", a.id, a.name, a.value)).collect();
    /// assert_eq!(all, ["accumulator 0: late = 3"]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn accumulators(&self) -> Vec<AccumulatorInfo> {
        let all = self.inner.accumulators.living();
        let info = |owner: Arc<dyn Owner>| {
            Some(AccumulatorInfo { id: owner.id(), name: owner.name()?.clone(), value: owner.text() })
        };
        all.into_iter().filter_map(info).collect()
    }
    /// The values of all named accumulators, for a checkpoint. Several of one name stand in the order in which they
    /// were made. Values that were restored and wait for their accumulator are among them.
    ///
    /// # Errors
    /// [`Error::Accumulator`] naming one whose value cannot be encoded.
    #[doc(hidden)]
    pub fn save_accumulators(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut saved = Vec::new();
        for owner in self.inner.accumulators.living() {
            if let Some(name) = owner.name() {
                saved.push((name.to_string(), owner.save()?));
            }
        }
        let lists = self.inner.accumulators.lists();
        for (name, values) in &lists.waiting {
            saved.extend(values.iter().map(|bytes| (name.clone(), bytes.clone())));
        }
        Ok(saved)
    }
    /// Gives named accumulators the values that [`save_accumulators`](SparkContext::save_accumulators) saved: those that
    /// exist now, and others when they are made. Those of one name are served in the order in which they were made;
    /// one that finds no value stays as it is.
    ///
    /// # Errors
    /// [`Error::Accumulator`] naming one whose value is of another kind; nothing is changed then. For one that is made
    /// later, every action fails with that error as long as the accumulator lives.
    #[doc(hidden)]
    pub fn restore_accumulators(&self, saved: Vec<(String, Vec<u8>)>) -> Result<()> {
        let mut waiting = BTreeMap::<String, VecDeque<Vec<u8>>>::new();
        for (name, bytes) in saved {
            waiting.entry(name).or_default().push_back(bytes);
        }
        let mut found = Vec::new();
        for owner in self.inner.accumulators.living() {
            let bytes = owner.name().and_then(|name| waiting.get_mut(&**name)?.pop_front());
            if let Some(bytes) = bytes {
                let value = owner.restored(&bytes).map_err(|why| owner.error(RESTORE, why))?;
                found.push((owner, value));
            }
        }
        found.into_iter().for_each(|(owner, value)| owner.replace(value));
        let old = std::mem::replace(&mut self.inner.accumulators.lists().waiting, waiting);
        drop(old);
        Ok(())
    }
}
