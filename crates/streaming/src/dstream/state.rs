//! `map_with_state`, and what all operators that keep state are made of.
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
    ops::Deref,
    sync::{Arc, OnceLock},
};
use winterbourne_base::{Duration, IntoDuration, Time, conf::keys};
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

/// The user's function for the keys that are due.
type Expire<K, S, E> = dyn Fn(&mut Part<K, S>, Time, &mut Emitted<E>) -> Result<()> + Send + Sync;

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
    expire: Arc<Expire<K, S, E>>,
    timeout: Option<std::result::Result<Duration, String>>,
    partitions: Option<usize>,
    initial: Option<Rdd<(K, S)>>,
    migrations: Vec<Migration<S>>,
    is_volatile: bool,
}

impl<K: Key, V: Wire, S: Wire, E: Data> StateSpec<K, V, S, E> {
    /// Calls `f` for each record, with its key, its value and the [`State`] of the key; what it returns is emitted. Two
    /// records of a key are two calls, and the second sees what the first did. Only a [`timeout`](StateSpec::timeout) brings
    /// calls without a value.
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
        let f = Arc::new(f);
        let on_due = f.clone();
        let misuse = |state: State<'_, S>| state.into_misuse().map_or(Ok(()), |wrong| Err(Error::User(wrong.into())));
        let expire = move |part: &mut Part<K, S>, now, emitted: &mut Emitted<E>| {
            let mut out = Vec::new();
            part.expire(now, |k, mut state| {
                on_due(now, k, None, &mut state, &mut out);
                if out.len() >= CHUNK {
                    emitted.push(Arc::new(std::mem::take(&mut out)));
                }
                misuse(state)
            })?;
            if !out.is_empty() {
                emitted.push(Arc::new(out));
            }
            Ok(())
        };
        let call = move |part: &mut Part<K, S>, slot, k: &K, v, now, out: &mut Vec<E>| {
            let mut state = part.state(slot, now);
            f(now, k, Some(v), &mut state, out);
            misuse(state)?;
            part.touch(slot, now);
            Ok(())
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
        StateSpec {
            each: Arc::new(each),
            expire: Arc::new(expire),
            timeout: None,
            partitions: None,
            initial: None,
            migrations: Vec::new(),
            is_volatile: false,
        }
    }
    /// Drops keys that had no record for longer than this. In the first batch whose time is more than `timeout` after that
    /// of the last batch with a record of the key (or after that which brought the
    /// [initial state](StateSpec::initial_state)), the function is called once more, without a value, and
    /// [`State::is_timing_out`] says so. What it returns is emitted, after what the records of the batch emitted; then the
    /// key is gone. Such a call can neither update nor remove the state. A key with a record in this very batch stays.
    ///
    /// In Spark keys time out only in batches that are checkpointed, every tenth unless set; a program that depends on it
    /// sets `spark.compat.timeoutsAtCheckpoints`.
    ///
    /// Costs what records and keys that are due cost, not what all keys do. A call that leaves the state as it is counts as
    /// a touch; it clones the state, so that the batch can be undone.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, State, StateSpec, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// // Clicks of a session, told when the user has done nothing for two seconds.
    /// let spec = StateSpec::function_with_time(|_, user: &char, click: Option<u64>, clicks: &mut State<'_, u64>| {
    ///     let so_far = clicks.get().copied().unwrap_or(0);
    ///     if clicks.is_timing_out() { return Some((*user, so_far)) }
    ///     clicks.update(so_far + click.unwrap_or(0));
    ///     None
    /// })
    /// .timeout(seconds(2));
    /// let batches: RddQueue<(char, u64)> = [sc.parallelize([('a', 1), ('a', 1)], 1)].into_iter().collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches).map_with_state(spec.volatile()).foreach_rdd(move |rdd, _| Ok(seen.send(rdd.collect()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..5 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [vec![], vec![], vec![], vec![('a', 2)], vec![]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timeout(mut self, timeout: impl IntoDuration) -> Self {
        self.timeout = Some(timeout.into_duration().map_err(|e| e.to_string()));
        self
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
    #[track_caller]
    pub fn uid(mut self, name: impl Into<String>) -> Self {
        self.stream = self.stream.uid(name);
        self
    }
    /// Accepts that the state is lost when the process ends; see [`DStream::volatile`].
    #[track_caller]
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
        let StateSpec { each, expire, timeout, partitions, initial, migrations, is_volatile } = spec;
        let store = self.store("map_with_state", site, partitions);
        match timeout {
            Some(Ok(timeout)) => store.set_timeout(timeout),
            Some(Err(why)) => self.wrong(site, format!("the time-out: {why}")),
            None => {}
        }
        store.set_initial(initial);
        migrations.into_iter().for_each(|m| store.add_migration(m));
        if is_volatile {
            store.set_volatile();
        }
        let (parent, state) = (self.op.clone(), store.clone());
        let are_late = self.ssc.spark_context().conf().value(keys::COMPAT_TIMEOUTS_AT_CHECKPOINTS).unwrap_or(false);
        let op = self.stateful("map_with_state", site, &store, false, move |meta, t| {
            let is_time = !are_late || meta.is_checkpointed_at(t);
            let Some(a) = state.attempt(t) else { return Ok(None) };
            state.seed(a)?;
            let emitted: Arc<Vec<OnceLock<Emitted<E>>>> = Arc::new(cells(state.partitions()));
            let (store, each, expire, out) = (state.clone(), each.clone(), expire.clone(), emitted.clone());
            let applied = apply(&state, site, parent.rdd(t)?, move |p, flow, _| {
                store.apply(p, a, &out[p], |part| {
                    let mut emitted = map_partition(part, flow, a.time, site, &*each)?;
                    at(site);
                    if is_time {
                        expire(part, a.time, &mut emitted)?;
                    }
                    Ok(emitted)
                })
            });
            Ok(Some(applied.narrow("map_with_state", site, false, move |p, _, _| {
                Ok(shared(emitted[p].get().cloned().unwrap_or_default()))
            })))
        });
        MapWithStateDStream { stream: DStream::of(&self.ssc, op), store, values: PhantomData }
    }

    pub(super) fn store<S: Wire>(&self, kind: &'static str, site: Site, partitions: Option<usize>) -> Store<K, S>
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
    pub(super) fn stateful<S: Wire, E: Data>(
        &self,
        kind: &'static str,
        site: Site,
        store: &Store<K, S>,
        is_view: bool,
        compute: impl Fn(&StreamMeta, Time) -> Result<Option<Rdd<E>>> + Send + Sync + 'static,
    ) -> Arc<StreamOp<E>>
    where
        K: Key,
    {
        let meta =
            StreamMeta::new(kind, site, self.slide_duration()).parent(&self.op).stateful(Arc::new(store.clone()));
        StreamOp::knowing(if is_view { meta.view() } else { meta }, compute)
    }
}

pub(super) fn cells<T>(n: usize) -> Vec<OnceLock<T>> {
    (0..n).map(|_| OnceLock::new()).collect()
}

/// The RDD that applies a batch: `run` on each partition, with the partition's records; it has none itself.
pub(super) fn apply<K: Key, V: Wire, S: Wire>(
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
    applied_by(
        store,
        match input {
            Some(input) => input.hashed_at(site, name, n).narrow(name, site, true, run),
            None => alone(store, site, move |p, task| run(p, Flow::empty(), task)),
        },
    )
}
/// The same where there is nothing to read.
pub(super) fn alone<K: Key, S: Wire>(
    store: &Store<K, S>,
    site: Site,
    run: impl Fn(usize, &Task) -> Result<Flow<()>> + Send + Sync + 'static,
) -> Rdd<()> {
    let partitions = Count::known(store.partitions());
    let partitioner = Some(Partitioner::Hash(partitions.clone()));
    let shape = Shape { name: "state", site, partitions, deps: Vec::new(), partitioner, depth: 0 };
    store.spark_context().make(shape, run)
}
/// Runs once for each partition, and is known to do so.
pub(super) fn applied_by<K: Key, S: Wire>(store: &Store<K, S>, rdd: Rdd<()>) -> Rdd<()> {
    let applied = rdd.pinned();
    store.applied_by(&applied);
    applied
}

/// The state as it stands after an attempt, read when asked for.
pub(super) fn view<K: Key, S: Wire>(
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
