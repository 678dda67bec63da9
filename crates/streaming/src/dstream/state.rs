//! Operators that keep state: `map_with_state`, `update_state_by_key`, and views of it.
//!
//! A batch is brought to the state by an RDD without records, one task for each partition; what others see (mapped
//! records, the state itself) is read by RDDs above it. So a partition has the batch once, whoever asks first and however
//! often, and the batch protocol has something to run where nobody asked.
use super::DStream;
use crate::{
    graph::{StreamMeta, StreamOp},
    state::{Attempt, Migration, Part, State, Store, migrate_from},
};
use std::{
    marker::PhantomData,
    ops::{Deref, Range},
    sync::{Arc, OnceLock},
};
use winterbourne_base::{IntoDuration, Time, conf::keys};
use winterbourne_engine::{
    CHUNK, Chunk, Data, Error, Flow, Hashed, Key, Rdd, Result, Shape, Site, Task, Wire, at,
    lineage::{Count, Partitioner},
};

/// State partitions that are small enough for the caches; a task costs about a microsecond.
const LEAST_PARTITIONS: usize = 16;

/// What was emitted for a partition, in chunks.
type Emitted<E> = Vec<Arc<Vec<E>>>;
/// The user's function for a chunk of records whose slots were found.
type Each<K, V, S, E> =
    dyn Fn(&mut Part<K, S>, &[u32], Chunk<Hashed<K, V>>, Time, &mut Vec<E>) -> Result<()> + Send + Sync;

/// What [`map_with_state`](DStream::map_with_state) does with each record, and how its state is kept.
///
/// ```
/// use winterbourne_streaming::{State, StateSpec};
/// let spec = StateSpec::function(|word: &String, n: Option<u64>, total: &mut State<'_, u64>| {
///     let sum = total.get().copied().unwrap_or(0) + n.unwrap_or(0);
///     total.update(sum);
///     (word.clone(), sum)
/// })
/// .num_partitions(8);
/// # let _ = spec;
/// ```
#[must_use = "a StateSpec is for map_with_state"]
pub struct StateSpec<K: Data, V: Data, S: Data, E: Data> {
    each: Arc<Each<K, V, S, E>>,
    partitions: Option<usize>,
    initial: Option<Rdd<(K, S)>>,
    migrations: Vec<Migration<S>>,
    is_volatile: bool,
}

impl<K: Key, V: Wire, S: Wire, E: Data> StateSpec<K, V, S, E> {
    /// Calls `f` for each record, with its key, its value and the [`State`] of the key; what it returns is emitted. Two
    /// records of a key are two calls, and the second sees what the first did. The value is always there so far; time-outs
    /// will bring calls without one.
    pub fn function(f: impl Fn(&K, Option<V>, &mut State<'_, S>) -> E + Send + Sync + 'static) -> Self {
        Self::of(move |_, k, v, state, out: &mut Vec<E>| out.push(f(k, v, state)))
    }
    /// The same, also with the time of the batch; emits where `f` returns something.
    ///
    /// ```
    /// use winterbourne_streaming::{State, StateSpec, Time};
    /// // The first time each user was seen.
    /// let spec = StateSpec::function_with_time(|now, user: &String, _visit: Option<()>, first: &mut State<'_, u64>| {
    ///     if first.exists() { return None }
    ///     first.update(now.as_millis());
    ///     Some(user.clone())
    /// });
    /// # let _ = spec;
    /// ```
    pub fn function_with_time(
        f: impl Fn(Time, &K, Option<V>, &mut State<'_, S>) -> Option<E> + Send + Sync + 'static,
    ) -> Self {
        Self::of(move |now, k, v, state, out: &mut Vec<E>| out.extend(f(now, k, v, state)))
    }
    fn of(f: impl Fn(Time, &K, Option<V>, &mut State<'_, S>, &mut Vec<E>) + Send + Sync + 'static) -> Self {
        let call = move |part: &mut Part<K, S>, slot, k: &K, v, now, out: &mut Vec<E>| {
            let mut state = part.state(slot, now);
            f(now, k, Some(v), &mut state, out);
            state.into_misuse().map_or(Ok(()), |wrong| Err(Error::User(wrong.into())))
        };
        let each =
            move |part: &mut Part<K, S>, slots: &[u32], rows: Chunk<Hashed<K, V>>, now, out: &mut Vec<E>| match rows {
                Chunk::Own(rows) => {
                    rows.into_iter().zip(slots).try_for_each(|(row, &i)| call(part, i, &row.key, row.value, now, out))
                }
                Chunk::Shared(rows, range) => rows[range]
                    .iter()
                    .zip(slots)
                    .try_for_each(|(row, &i)| call(part, i, &row.key, row.value.clone(), now, out)),
            };
        StateSpec { each: Arc::new(each), partitions: None, initial: None, migrations: Vec::new(), is_volatile: false }
    }
    /// Spreads the state over this many partitions, instead of `spark.streaming.state.partitions`.
    pub fn num_partitions(mut self, partitions: usize) -> Self {
        self.partitions = Some(partitions);
        self
    }
    /// The state before the first batch. The function is not called for these keys until they have records; snapshots
    /// show them at once. Not used when the state comes back from a checkpoint.
    pub fn initial_state(mut self, initial: Rdd<(K, S)>) -> Self {
        self.initial = Some(initial);
        self
    }
    /// How a state that an earlier build of the program stored as `Old` becomes one of today's. State is stored with the
    /// names and types of its fields: fields in another order, wider integers and added fields with `#[serde(default)]`
    /// need nothing; what else differs is refused at the start, and this is the way through. Keep the old definition in the
    /// program, under any name. Several may be given, one for each earlier layout.
    ///
    /// ```
    /// use winterbourne_streaming::{State, StateSpec};
    /// use serde::{Deserialize, Serialize};
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct OldVisits { count: u32, last_page: String }
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Visits { count: u64, pages: Vec<String> }
    ///
    /// let spec = StateSpec::function(|_user: &String, page: Option<String>, visits: &mut State<'_, Visits>| {
    ///     let mut v = visits.get().cloned().unwrap_or(Visits { count: 0, pages: vec![] });
    ///     v.count += 1;
    ///     v.pages.extend(page);
    ///     visits.update(v);
    /// })
    /// .migrate(|old: OldVisits| Visits { count: old.count.into(), pages: vec![old.last_page] });
    /// # let _ = spec;
    /// ```
    pub fn migrate<Old: Wire>(mut self, f: impl Fn(Old) -> S + Send + Sync + 'static) -> Self {
        self.migrations.push(migrate_from(move |old| Ok(f(old))));
        self
    }
    /// Accepts that the state is lost when the process ends; see [`DStream::volatile`].
    pub fn volatile(mut self) -> Self {
        self.is_volatile = true;
        self
    }
}

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

/// The stream that [`map_with_state`](DStream::map_with_state) returns: a [`DStream`] of what its function emits, and the
/// way to the state behind it.
#[must_use = "a DStream is lazy: nothing runs without an output operation"]
pub struct MapWithStateDStream<K: Key, V: Wire, S: Wire, E: Data> {
    stream: DStream<E>,
    store: Store<K, S>,
    values: PhantomData<fn(V)>,
}
impl<K: Key, V: Wire, S: Wire, E: Data> Clone for MapWithStateDStream<K, V, S, E> {
    fn clone(&self) -> Self {
        MapWithStateDStream { stream: self.stream.clone(), store: self.store.clone(), values: PhantomData }
    }
}
impl<K: Key, V: Wire, S: Wire, E: Data> Deref for MapWithStateDStream<K, V, S, E> {
    type Target = DStream<E>;
    fn deref(&self) -> &DStream<E> {
        &self.stream
    }
}
impl<K: Key, V: Wire, S: Wire, E: Data> MapWithStateDStream<K, V, S, E> {
    /// Gives this operator, and so its state, a durable name; see [`DStream::uid`].
    pub fn uid(mut self, name: impl Into<String>) -> Self {
        self.stream = self.stream.uid(name);
        self
    }
    /// Accepts that the state is lost when the process ends; see [`DStream::volatile`].
    pub fn volatile(mut self) -> Self {
        self.stream = self.stream.volatile();
        self
    }
    /// How often the state is checkpointed; see [`DStream::checkpoint`].
    #[track_caller]
    pub fn checkpoint(mut self, interval: impl IntoDuration) -> Self {
        self.stream = self.stream.checkpoint(interval);
        self
    }
    /// All keys and their states after each batch, whether or not the batch touched them. The records are read from the
    /// state when an output asks for them, in their own batch; where a window or [`remember`] may ask later, each batch
    /// keeps a copy of the whole state.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, State, StateSpec, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<(char, u64)> =
    ///     [sc.parallelize([('a', 1), ('b', 2)], 2), sc.parallelize([('a', 3)], 1)].into_iter().collect();
    /// let spec = StateSpec::function(|_: &char, n: Option<u64>, total: &mut State<'_, u64>| {
    ///     total.update(total.get().copied().unwrap_or(0) + n.unwrap_or(0));
    /// });
    /// let (seen, totals) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches).map_with_state(spec.volatile()).state_snapshots().foreach_rdd(move |rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     Ok(seen.send(all)?)
    /// });
    /// let mut run = ssc.start_stepped()?;
    /// run.step()?;
    /// run.step()?;
    /// assert_eq!(totals.try_iter().collect::<Vec<_>>(), [[('a', 1), ('b', 2)], [('a', 4), ('b', 2)]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`remember`]: crate::StreamingContext::remember
    #[doc(alias = "stateSnapshots")]
    #[track_caller]
    pub fn state_snapshots(&self) -> DStream<(K, S)> {
        let (site, parent, store) = (Site::caller(), self.stream.op.clone(), self.store.clone());
        let meta = StreamMeta::new("state_snapshots", site, self.slide_duration()).parent(&parent).view();
        let op = StreamOp::new(meta, move |t| {
            parent.rdd(t)?;
            Ok(store
                .attempt(t)
                .zip(store.applied())
                .map(|(a, applied)| view(&store, a, "state_snapshots", site, &applied)))
        });
        DStream::of(&self.stream.ssc, op)
    }
}

impl<K: Data, S: Data> DStream<(K, S)> {
    /// As [`StateSpec::migrate`], for the stream that `update_state_by_key` returns.
    pub fn migrate<Old: Wire>(self, f: impl Fn(Old) -> S + Send + Sync + 'static) -> Self
    where
        S: Wire,
    {
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
    /// Calls the function of `spec` for each record, with the state that the key has from earlier records, and emits what
    /// it returns. Costs what the batch brings, however many keys there are.
    ///
    /// A batch changes the state once, in every partition, whichever outputs ask for its records and whatever they do;
    /// when it fails or is tried again, the state is as before it. A batch without records emits none.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, State, StateSpec, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<(char, u64)> =
    ///     [sc.parallelize([('a', 1), ('b', 2)], 1), sc.parallelize([('a', 3)], 1)].into_iter().collect();
    /// let totals = ssc.queue_stream(&batches).map_with_state(StateSpec::function(|key, n, total: &mut State<'_, u64>| {
    ///     let sum = total.get().copied().unwrap_or(0) + n.unwrap_or(0);
    ///     total.update(sum);
    ///     (*key, sum)
    /// }).volatile());
    /// let (seen, out) = std::sync::mpsc::channel();
    /// totals.foreach_rdd(move |rdd, _| Ok(seen.send(rdd.collect()?.len())?));
    /// let mut run = ssc.start_stepped()?;
    /// run.step()?;
    /// run.step()?;
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [2, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "mapWithState")]
    #[track_caller]
    pub fn map_with_state<S: Wire, E: Data>(&self, spec: StateSpec<K, V, S, E>) -> MapWithStateDStream<K, V, S, E>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let StateSpec { each, partitions, initial, migrations, is_volatile } = spec;
        let store = self.store("map_with_state", site, partitions);
        store.set_initial(initial);
        migrations.into_iter().for_each(|m| store.add_migration(m));
        if is_volatile {
            store.set_volatile();
        }
        let (parent, state) = (self.op.clone(), store.clone());
        let op = self.stateful("map_with_state", site, &store, false, move |t| {
            let Some(a) = state.attempt(t) else { return Ok(None) };
            state.seed(a)?;
            let emitted: Arc<Vec<OnceLock<Emitted<E>>>> = Arc::new(cells(state.partitions()));
            let (store, each, out) = (state.clone(), each.clone(), emitted.clone());
            let applied = apply(&state, site, parent.rdd(t)?, move |p, flow, _| {
                store.apply(p, a, &out[p], |part| map_partition(part, flow, a.time, site, &*each))
            });
            Ok(Some(applied.narrow("map_with_state", site, false, move |p, _, _| {
                Ok(shared(emitted[p].get().cloned().unwrap_or_default()))
            })))
        });
        MapWithStateDStream { stream: DStream::of(&self.ssc, op), store, values: PhantomData }
    }
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
        self.update_state_by_key_at(Site::caller(), f, StateOptions::default())
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
        self.update_state_by_key_at(Site::caller(), f, StateOptions::default().num_partitions(partitions))
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
        self.update_state_by_key_at(Site::caller(), f, options)
    }
    fn update_state_by_key_at<S: Wire>(
        &self,
        site: Site,
        f: impl Fn(Vec<V>, Option<S>) -> Option<S> + Send + Sync + 'static,
        options: StateOptions<K, S>,
    ) -> DStream<(K, S)>
    where
        K: Key,
        V: Wire,
    {
        let f = Arc::new(f);
        let store = self.store("update_state_by_key", site, options.partitions);
        store.set_initial(options.initial);
        let (parent, state) = (self.op.clone(), store.clone());
        let op = self.stateful("update_state_by_key", site, &store, true, move |t| {
            let Some(a) = state.attempt(t) else { return Ok(None) };
            let input = parent.rdd(t)?;
            if !state.has_begun(input.is_some()) {
                return Ok(None);
            }
            state.seed(a)?;
            let done: Vec<OnceLock<()>> = cells(state.partitions());
            let (store, f) = (state.clone(), f.clone());
            let applied = apply(&state, site, input, move |p, flow, task| {
                store.apply(p, a, &done[p], |part| update_partition(part, flow, a.time, site, task, &*f))
            });
            Ok(Some(view(&state, a, "update_state_by_key", site, &applied)))
        });
        DStream::of(&self.ssc, op)
    }

    fn store<S: Wire>(&self, kind: &'static str, site: Site, partitions: Option<usize>) -> Store<K, S>
    where
        K: Key,
    {
        let sc = self.ssc.spark_context();
        let n = match (partitions, sc.conf().value(keys::STATE_PARTITIONS)) {
            (Some(n), _) | (None, Ok(Some(n))) => n,
            (None, _) => sc.default_parallelism().max(LEAST_PARTITIONS),
        };
        if n == 0 {
            self.wrong(site, format!("`{kind}` was asked for 0 partitions; the number must be positive"));
        }
        Store::new(kind, site, sc, n.max(1))
    }
    fn stateful<S: Wire, E: Data>(
        &self,
        kind: &'static str,
        site: Site,
        store: &Store<K, S>,
        is_view: bool,
        compute: impl Fn(Time) -> Result<Option<Rdd<E>>> + Send + Sync + 'static,
    ) -> Arc<StreamOp<E>>
    where
        K: Key,
    {
        let meta =
            StreamMeta::new(kind, site, self.slide_duration()).parent(&self.op).stateful(Arc::new(store.clone()));
        StreamOp::new(if is_view { meta.view() } else { meta }, compute)
    }
}

fn cells<T>(n: usize) -> Vec<OnceLock<T>> {
    (0..n).map(|_| OnceLock::new()).collect()
}

/// The RDD that applies a batch: `run` on each partition, with the partition's records; it has none itself.
fn apply<K: Key, V: Wire, S: Wire>(
    store: &Store<K, S>,
    site: Site,
    input: Option<Rdd<(K, V)>>,
    run: impl Fn(usize, Flow<Hashed<K, V>>, &Task) -> Result<()> + Send + Sync + 'static,
) -> Rdd<()> {
    let (name, n) = ("state", store.partitions());
    let run = move |p, flow, task: &Task| {
        run(p, flow, task)?;
        Ok(Flow::empty())
    };
    let applied = match input {
        Some(input) => input.hashed_at(site, name, n).narrow(name, site, true, run),
        None => {
            let partitions = Count::known(n);
            let partitioner = Some(Partitioner::Hash(partitions.clone()));
            let shape = Shape { name, site, partitions, deps: Vec::new(), partitioner, depth: 0 };
            store.spark_context().make(shape, move |p, task| run(p, Flow::empty(), task))
        }
    };
    let applied = applied.pinned();
    store.applied_by(&applied);
    applied
}

/// The state as it stands after an attempt, read when asked for.
fn view<K: Key, S: Wire>(
    store: &Store<K, S>,
    a: Attempt,
    name: &'static str,
    site: Site,
    applied: &Rdd<()>,
) -> Rdd<(K, S)> {
    let store = store.clone();
    applied.narrow(name, site, true, move |p, _, task| {
        let (store, task, mut from) = (store.clone(), task.clone(), 0);
        Ok(Flow::new(move || {
            task.check()?;
            let (page, next) = store.page(p, a, from, CHUNK)?;
            from = next;
            Ok((!page.is_empty()).then_some(Chunk::Own(page)))
        }))
    })
}

/// Shared chunks as a flow.
fn shared<E: Data>(chunks: Emitted<E>) -> Flow<E> {
    let mut chunks = chunks.into_iter();
    Flow::new(move || {
        Ok(chunks.next().map(|c| {
            let n = c.len();
            Chunk::Shared(c, 0..n)
        }))
    })
}

fn map_partition<K: Key, V: Wire, S: Wire, E: Data>(
    part: &mut Part<K, S>,
    flow: Flow<Hashed<K, V>>,
    now: Time,
    site: Site,
    each: &Each<K, V, S, E>,
) -> Result<Emitted<E>> {
    let (mut emitted, mut slots) = (Vec::new(), Vec::with_capacity(CHUNK));
    flow.each(|rows| {
        at(site);
        part.find_all(rows.as_slice().iter().map(|row| (row.hash, &row.key)), &mut slots);
        let mut out = Vec::with_capacity(rows.len());
        each(part, &slots, rows, now, &mut out)?;
        if !out.is_empty() {
            emitted.push(Arc::new(out));
        }
        Ok(())
    })?;
    Ok(emitted)
}

/// Calls `f` for every slot with a state or with values.
fn update_partition<K: Key, V: Wire, S: Wire>(
    part: &mut Part<K, S>,
    flow: Flow<Hashed<K, V>>,
    now: Time,
    site: Site,
    task: &Task,
    f: &(impl Fn(Vec<V>, Option<S>) -> Option<S> + ?Sized),
) -> Result<()> {
    // Slot and number of each value, in one word: sorted, they meet the slots in their order, values of one in theirs.
    let (mut order, mut values): (Vec<u64>, Vec<Option<V>>) = (Vec::new(), Vec::new());
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
    let without_values = |part: &mut Part<K, S>, slots: Range<u32>| -> Result<()> {
        for from in slots.clone().step_by(CHUNK) {
            task.check()?;
            part.update_all(from..slots.end.min(from + CHUNK as u32), now, |state| f(Vec::new(), Some(state)));
        }
        Ok(())
    };
    let mut next = 0;
    for of_one in order.chunk_by(|a, b| a >> 32 == b >> 32) {
        let slot = (of_one[0] >> 32) as u32;
        without_values(part, next..slot)?;
        let mine = of_one.iter().filter_map(|&n| values[n as u32 as usize].take()).collect();
        let new = f(mine, part.get(slot).cloned());
        part.set(slot, new, now);
        next = slot + 1;
    }
    without_values(part, next..part.slots())
}
