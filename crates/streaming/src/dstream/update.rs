//! `update_state_by_key` in all its forms: functions that see every key in every batch.
use super::{
    DStream,
    state::{apply, cells, view},
};
use crate::state::{Part, Store, migrate_from};
use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};
use winterbourne_base::Time;
use winterbourne_engine::{CHUNK, Data, Error, Flow, Hashed, Key, Rdd, Result, Site, Task, Wire, at, hash};

/// How [`update_state_by_key_with`](DStream::update_state_by_key_with) keeps its state.
#[must_use = "options are for update_state_by_key_with"]
pub struct StateOptions<K: Data, S: Data> {
    partitions: Option<usize>,
    initial: Option<Rdd<(K, S)>>,
}
impl<K: Data, S: Data> Default for StateOptions<K, S> {
    fn default() -> Self {
        StateOptions { partitions: None, initial: None }
    }
}
impl<K: Data, S: Data> StateOptions<K, S> {
    /// Spreads the state over this many partitions, instead of `spark.streaming.state.partitions`.
    pub fn num_partitions(mut self, partitions: usize) -> Self {
        self.partitions = Some(partitions);
        self
    }
    /// The state before the first batch. Not used when the state comes back from a checkpoint.
    pub fn initial_state(mut self, initial: Rdd<(K, S)>) -> Self {
        self.initial = Some(initial);
        self
    }
}

/// One partition, as [`update_state_by_partition`](DStream::update_state_by_partition) sees it: each key that has a state,
/// or values in this batch, with both.
pub struct Updates<K, V, S>(std::vec::IntoIter<(K, Vec<V>, Option<S>)>);
impl<K, V, S> Iterator for Updates<K, V, S> {
    type Item = (K, Vec<V>, Option<S>);
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
impl<K, V, S> ExactSizeIterator for Updates<K, V, S> {}

impl<K: Data, S: Data> DStream<(K, S)> {
    /// As [`StateSpec::migrate`](crate::StateSpec::migrate), for the stream that `update_state_by_key` returns.
    #[track_caller]
    pub fn migrate<Old: Wire>(self, f: impl Fn(Old) -> S + Send + Sync + 'static) -> Self
    where
        S: Wire,
    {
        if !self.ssc.may_add("migrate", Site::caller()) {
            return self;
        }
        let migration = migrate_from::<Old, S>(move |old| Ok(f(old)));
        let meta = &self.op.meta;
        if !meta.stateful.as_ref().is_some_and(|state| state.migrate(Box::new(migration))) {
            self.wrong(
                meta.site,
                format!("`migrate` is for the stream of update_state_by_key; {} keeps no such state", meta.kind),
            );
        }
        self
    }
}

impl<K: Data, V: Data> DStream<(K, V)> {
    /// The state of each key, made anew by `f` in each batch from the key's values of the batch and the state before it;
    /// `None` drops the key. `f` is called for **every** key that has a state or values, so a batch costs what all keys
    /// cost; [`map_with_state`](DStream::map_with_state) touches only those with records. Emits all keys with their new
    /// states. The order of values is that of partitions and of records within them.
    ///
    /// A state is cloned for each call, so that the batch can be undone: cheap clones matter.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<(char, u64)> =
    ///     [sc.parallelize([('a', 1), ('b', 2)], 1), sc.parallelize([('a', 3)], 1)].into_iter().collect();
    /// let totals = ssc.queue_stream(&batches).update_state_by_key(|values, total: Option<u64>| {
    ///     Some(total.unwrap_or(0) + values.iter().sum::<u64>())
    /// }).volatile();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// totals.foreach_rdd(move |rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     Ok(seen.send(all)?)
    /// });
    /// let mut run = ssc.start_stepped()?;
    /// run.step()?;
    /// run.step()?;
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [[('a', 1), ('b', 2)], [('a', 4), ('b', 2)]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "updateStateByKey")]
    #[track_caller]
    pub fn update_state_by_key<S: Wire>(
        &self,
        f: impl Fn(Vec<V>, Option<S>) -> Option<S> + Send + Sync + 'static,
    ) -> DStream<(K, S)>
    where
        K: Key,
        V: Wire,
    {
        self.update_state_by_key_at(
            Site::caller(),
            move |_, _: &K, values, state| f(values, state),
            StateOptions::default(),
        )
    }
    /// [`update_state_by_key`](DStream::update_state_by_key) with a state of `partitions` partitions.
    #[track_caller]
    pub fn update_state_by_key_in<S: Wire>(
        &self,
        f: impl Fn(Vec<V>, Option<S>) -> Option<S> + Send + Sync + 'static,
        partitions: usize,
    ) -> DStream<(K, S)>
    where
        K: Key,
        V: Wire,
    {
        self.update_state_by_key_at(
            Site::caller(),
            move |_, _: &K, values, state| f(values, state),
            StateOptions::default().num_partitions(partitions),
        )
    }
    /// [`update_state_by_key`](DStream::update_state_by_key) with options: an initial state, whose keys `f` is called for
    /// in the first batch that has an RDD, with or without values.
    #[track_caller]
    pub fn update_state_by_key_with<S: Wire>(
        &self,
        f: impl Fn(Vec<V>, Option<S>) -> Option<S> + Send + Sync + 'static,
        options: StateOptions<K, S>,
    ) -> DStream<(K, S)>
    where
        K: Key,
        V: Wire,
    {
        self.update_state_by_key_at(Site::caller(), move |_, _: &K, values, state| f(values, state), options)
    }
    /// [`update_state_by_key_with`](DStream::update_state_by_key_with) for a function that also wants the time of the batch
    /// and the key.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StateOptions, StreamingContext, Time, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let visits = ssc.queue_stream(&RddQueue::<(String, u64)>::new());
    /// // When each user was seen last; guests are forgotten.
    /// let last = visits.update_state_by_key_with_time(
    ///     |now: Time, user: &String, visits, last: Option<u64>| match visits.is_empty() {
    ///         _ if user == "guest" => None,
    ///         true => last,
    ///         false => Some(now.as_millis()),
    ///     },
    ///     StateOptions::default(),
    /// );
    /// # last.volatile().print();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn update_state_by_key_with_time<S: Wire>(
        &self,
        f: impl Fn(Time, &K, Vec<V>, Option<S>) -> Option<S> + Send + Sync + 'static,
        options: StateOptions<K, S>,
    ) -> DStream<(K, S)>
    where
        K: Key,
        V: Wire,
    {
        self.update_state_by_key_at(Site::caller(), f, options)
    }
    /// The state of a whole partition, made anew in each batch: `f` gets every key of it that has a state or values, and
    /// gives the keys and states there are to be. Keys that it does not give are dropped. A new one it gives must belong to
    /// the partition, else the batch fails; of one given twice the last state counts.
    ///
    /// Clones all keys and states of a partition in each batch.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StateOptions, StreamingContext, Updates, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let words = ssc.queue_stream(&RddQueue::<(String, u64)>::new());
    /// // The ten most frequent words of each partition.
    /// let frequent = words.update_state_by_partition(
    ///     |all: Updates<String, u64, u64>| {
    ///         let mut counts: Vec<_> =
    ///             all.map(|(word, n, before)| (word, before.unwrap_or(0) + n.iter().sum::<u64>())).collect();
    ///         counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    ///         counts.truncate(10);
    ///         counts
    ///     },
    ///     StateOptions::default().num_partitions(4),
    /// );
    /// # frequent.volatile().print();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "updateStateByKey")]
    #[track_caller]
    pub fn update_state_by_partition<S: Wire, I: IntoIterator<Item = (K, S)>>(
        &self,
        f: impl Fn(Updates<K, V, S>) -> I + Send + Sync + 'static,
        options: StateOptions<K, S>,
    ) -> DStream<(K, S)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        self.update_at("update_state_by_partition", site, options, move |store, p, part, flow, now, _| {
            replace_partition(store, p, part, flow, now, site, &f)
        })
    }
    fn update_state_by_key_at<S: Wire>(
        &self,
        site: Site,
        f: impl Fn(Time, &K, Vec<V>, Option<S>) -> Option<S> + Send + Sync + 'static,
        options: StateOptions<K, S>,
    ) -> DStream<(K, S)>
    where
        K: Key,
        V: Wire,
    {
        self.update_at("update_state_by_key", site, options, move |_, _, part, flow, now, task| {
            update_partition(part, flow, now, site, task, &f)
        })
    }
    /// A stream of the state that `update` makes of each partition in each batch.
    fn update_at<S: Wire>(
        &self,
        kind: &'static str,
        site: Site,
        options: StateOptions<K, S>,
        update: impl Fn(&Store<K, S>, usize, &mut Part<K, S>, Flow<Hashed<K, V>>, Time, &Task) -> Result<()>
        + Send
        + Sync
        + 'static,
    ) -> DStream<(K, S)>
    where
        K: Key,
        V: Wire,
    {
        let update = Arc::new(update);
        let store = self.store(kind, site, options.partitions);
        store.set_initial(options.initial);
        let (parent, state) = (self.op.clone(), store.clone());
        let op = self.stateful(kind, site, &store, true, move |_, t| {
            let Some(a) = state.attempt(t) else { return Ok(None) };
            let input = parent.rdd(t)?;
            if !state.has_begun(input.is_some()) {
                return Ok(None);
            }
            state.seed(a)?;
            let done: Vec<OnceLock<()>> = cells(state.partitions());
            let (store, update) = (state.clone(), update.clone());
            let applied = apply(&state, site, input, move |p, flow, task| {
                store.apply(p, a, &done[p], |part| update(&store, p, part, flow, a.time, task))
            });
            Ok(Some(view(&state, a, kind, site, &applied)))
        });
        DStream::of(&self.ssc, op)
    }
}

/// The values of a batch by slot: slot and number of each value, in one word, sorted; and the values.
type BySlot<V> = (Vec<u64>, Vec<Option<V>>);
fn by_slot<K: Key, V: Wire, S: Wire>(part: &mut Part<K, S>, flow: Flow<Hashed<K, V>>, site: Site) -> Result<BySlot<V>> {
    // Sorted, they meet the slots in their order, values of one in theirs.
    let (mut order, mut values): BySlot<V> = (Vec::new(), Vec::new());
    let mut slots = Vec::with_capacity(CHUNK);
    flow.each(|rows| {
        at(site);
        part.find_all(rows.as_slice().iter().map(|row| (row.hash, &row.key)), &mut slots);
        // The number of a value has half a word.
        if values.len() + rows.len() > u32::MAX as usize {
            return Err(Error::User("more than 2^32 values in one partition of one batch; use more partitions".into()));
        }
        order.extend(slots.iter().zip(values.len() as u64..).map(|(&slot, n)| u64::from(slot) << 32 | n));
        rows.for_each(|row| values.push(Some(row.value)));
        Ok(())
    })?;
    at(site);
    order.sort_unstable();
    Ok((order, values))
}
fn taken<V>(of_one: &[u64], values: &mut [Option<V>]) -> Vec<V> {
    of_one.iter().filter_map(|&n| values[n as u32 as usize].take()).collect()
}

/// Calls `f` for every slot with a state or with values.
fn update_partition<K: Key, V: Wire, S: Wire>(
    part: &mut Part<K, S>,
    flow: Flow<Hashed<K, V>>,
    now: Time,
    site: Site,
    task: &Task,
    f: &(impl Fn(Time, &K, Vec<V>, Option<S>) -> Option<S> + ?Sized),
) -> Result<()> {
    let (order, mut values) = by_slot(part, flow, site)?;
    let without_values = |part: &mut Part<K, S>, slots: Range<u32>| -> Result<()> {
        for from in slots.clone().step_by(CHUNK) {
            task.check()?;
            let some = from..slots.end.min(from + CHUNK as u32);
            part.update_all(some, now, |key, state| f(now, key, Vec::new(), Some(state)));
        }
        Ok(())
    };
    let mut next = 0;
    for of_one in order.chunk_by(|a, b| a >> 32 == b >> 32) {
        let slot = (of_one[0] >> 32) as u32;
        without_values(part, next..slot)?;
        let new = f(now, part.key(slot), taken(of_one, &mut values), part.get(slot).cloned());
        part.set(slot, new, now);
        next = slot + 1;
    }
    without_values(part, next..part.slots())
}

/// Puts what `f` makes of all keys and states in their place.
fn replace_partition<K: Key, V: Wire, S: Wire, I: IntoIterator<Item = (K, S)>>(
    store: &Store<K, S>,
    p: usize,
    part: &mut Part<K, S>,
    flow: Flow<Hashed<K, V>>,
    now: Time,
    site: Site,
    f: &impl Fn(Updates<K, V, S>) -> I,
) -> Result<()> {
    let (order, mut values) = by_slot(part, flow, site)?;
    let mut mine = order.chunk_by(|a, b| a >> 32 == b >> 32).peekable();
    let mut all = Vec::new();
    for slot in 0..part.slots() {
        let new = mine.next_if(|of_one| of_one[0] >> 32 == u64::from(slot)).map(|of_one| taken(of_one, &mut values));
        let state = part.get(slot).cloned();
        if new.is_some() || state.is_some() {
            all.push((part.key(slot).clone(), new.unwrap_or_default(), state));
        }
    }
    let mut given = Vec::with_capacity(all.len());
    for (key, state) in f(Updates(all.into_iter())) {
        let hash = hash::of(&key);
        let owner = hash::partition(hash, store.partitions());
        if owner != p {
            return Err(store.wrong(format_args!(
                "the function for partition {p} gave a key that belongs to partition {owner}; it may give keys of its own \
                 partition only"
            )));
        }
        let slot = part.find(hash, &key);
        part.set(slot, Some(state), now);
        given.push(slot);
    }
    given.sort_unstable();
    let mut given = given.into_iter().peekable();
    for slot in 0..part.slots() {
        let mut is_given = false;
        while given.next_if_eq(&slot).is_some() {
            is_given = true;
        }
        if !is_given {
            part.set(slot, None, now);
        }
    }
    Ok(())
}
