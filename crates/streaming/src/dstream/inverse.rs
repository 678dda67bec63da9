//! Windows that are brought up to date: what enters is added, what leaves is taken away again. A slide costs what the
//! keys of the batches that enter and leave cost, not what the window holds.
//!
//! The state is the value of each key, with the number of its batches in the window. Which batches that is, is noted with
//! the state; a slide compares it with what the window should hold. So batches that were missing and came later, reruns,
//! slides longer than the window and windows of another length after a restart need nothing of their own.
use super::{
    DStream,
    state::{alone, applied_by, cells},
};
use crate::{
    graph::StreamOp,
    state::{Attempt, Running, Store},
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, OnceLock},
};
use winterbourne_base::{Duration, IntoDuration, Time, conf::keys};
use winterbourne_engine::{CHUNK, Chunk, Data, Flow, Hashed, Key, Rdd, Result, Site, Wire, at};

type Filter<K, V> = dyn Fn(&K, &V) -> bool + Send + Sync;

/// How [`reduce_by_key_and_window_inverse_with`](DStream::reduce_by_key_and_window_inverse_with) keeps its windows.
#[must_use = "options are for reduce_by_key_and_window_inverse_with"]
pub struct InverseOptions<K, V> {
    partitions: Option<usize>,
    filter: Option<Arc<Filter<K, V>>>,
}
impl<K, V> Default for InverseOptions<K, V> {
    fn default() -> Self {
        InverseOptions { partitions: None, filter: None }
    }
}
impl<K, V> InverseOptions<K, V> {
    /// Spreads the state over this many partitions, instead of `spark.streaming.state.partitions`.
    pub fn num_partitions(mut self, partitions: usize) -> Self {
        self.partitions = Some(partitions);
        self
    }
    /// Emits only keys with values for which `keep` is true, and forgets others once none of their batches is in the window
    /// any more. Until then they are kept, so what comes back has the right value.
    #[doc(alias = "filterFunc")]
    pub fn filter(mut self, keep: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(keep));
        self
    }
}

impl<T: Data> DStream<T> {
    /// [`reduce_by_window`](DStream::reduce_by_window) by `inverse`, which takes away what `f` added: each batch is added
    /// once and taken away once. One record; none before the first record ever, and after that always: what `inverse`
    /// leaves where the window is empty. Keeps state, as
    /// [`reduce_by_key_and_window_inverse`](DStream::reduce_by_key_and_window_inverse) does.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = (1..4).map(|i| sc.range(i..i + 1, 1)).collect(); // 1, 2, 3
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches)
    ///     .reduce_by_window_inverse(|a, b| a + b, |a, b| a - b, seconds(2), seconds(1))
    ///     .volatile()
    ///     .foreach_rdd(move |rdd, _| Ok(seen.send(rdd.first()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..5 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [1, 1 + 2, 2 + 3, 3, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "reduceByWindow")]
    #[track_caller]
    pub fn reduce_by_window_inverse(
        &self,
        f: impl Fn(T, T) -> T + Send + Sync + 'static,
        inverse: impl Fn(T, T) -> T + Send + Sync + 'static,
        window: impl IntoDuration,
        slide: impl IntoDuration,
    ) -> DStream<T>
    where
        T: Wire,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        let one = self.child("map", site, move |r, _| Ok(r.map_at(site, |x| ((), x))));
        let options = InverseOptions::default().num_partitions(1);
        one.inverse_at("reduce_by_window_inverse", site, (f, inverse), (window, slide), options, |(), x| x)
    }
    /// How many records there are in the window: one number, 0 too, but none before the first record ever. Each batch is
    /// counted once. Keeps state, as
    /// [`reduce_by_key_and_window_inverse`](DStream::reduce_by_key_and_window_inverse) does.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = [sc.range(0..3, 2), sc.range(0..5, 2)].into_iter().collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches)
    ///     .count_by_window(seconds(2), seconds(1))
    ///     .volatile()
    ///     .foreach_rdd(move |rdd, _| Ok(seen.send(rdd.first()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..4 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [3, 3 + 5, 5, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "countByWindow")]
    #[track_caller]
    pub fn count_by_window(&self, window: impl IntoDuration, slide: impl IntoDuration) -> DStream<u64> {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        let one = self.child("count", site, move |r, _| {
            Ok(r.narrow("count", site, false, |_, flow, _| {
                let mut n = 0;
                flow.each(|c| {
                    n += c.len() as u64;
                    Ok(())
                })?;
                Ok(Flow::from_records((n > 0).then_some(((), n)).into_iter()))
            }))
        });
        let (options, counts) = (InverseOptions::default().num_partitions(1), (|a, b| a + b, |a, b| a - b));
        one.inverse_at("count_by_window", site, counts, (window, slide), options, |(), n| n)
    }
    /// How often each record is in the window; those that are not are not there. Each batch is counted once. Keeps state, as
    /// [`reduce_by_key_and_window_inverse`](DStream::reduce_by_key_and_window_inverse) does.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<char> =
    ///     [sc.parallelize(['a', 'a', 'b'], 2), sc.parallelize(['a'], 1)].into_iter().collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches)
    ///     .count_by_value_and_window(seconds(2), seconds(2))
    ///     .volatile()
    ///     .foreach_rdd(move |rdd, _| {
    ///         let mut all = rdd.collect()?;
    ///         all.sort();
    ///         Ok(seen.send(all)?)
    ///     });
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..4 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [vec![('a', 3), ('b', 1)], vec![]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "countByValueAndWindow")]
    #[track_caller]
    pub fn count_by_value_and_window(&self, window: impl IntoDuration, slide: impl IntoDuration) -> DStream<(T, u64)>
    where
        T: Key,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        self.count_by_value_and_window_at(site, window, slide, None)
    }
    /// [`count_by_value_and_window`](DStream::count_by_value_and_window) with a state of `partitions` partitions.
    #[track_caller]
    pub fn count_by_value_and_window_in(
        &self,
        window: impl IntoDuration,
        slide: impl IntoDuration,
        partitions: usize,
    ) -> DStream<(T, u64)>
    where
        T: Key,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        self.count_by_value_and_window_at(site, window, slide, Some(partitions))
    }
    fn count_by_value_and_window_at(
        &self,
        site: Site,
        window: Duration,
        slide: Duration,
        partitions: Option<usize>,
    ) -> DStream<(T, u64)>
    where
        T: Key,
    {
        let ones = self.child("map", site, move |r, _| Ok(r.map_at(site, |x| (x, 1))));
        let options = InverseOptions { partitions, ..InverseOptions::default() }.filter(|_, n: &u64| *n > 0);
        let counts = (|a, b| a + b, |a, b| a - b);
        ones.inverse_at("count_by_value_and_window", site, counts, (window, slide), options, |x, n| (x, n))
    }
}

impl<K: Data, V: Data> DStream<(K, V)> {
    /// [`reduce_by_key_and_window_by`](DStream::reduce_by_key_and_window_by) by `inverse`, which takes away what `f` added:
    /// `inverse(f(a, b), b) == a`, and order does not matter to `f`. A slide costs what the keys of the batches that enter
    /// and leave cost, plus a scan of all keys where an output asks for them; so it pays for windows of many batches.
    ///
    /// Emits all keys ever seen: one that has left the window with what `inverse` left, 0 for sums. To drop those, give a
    /// [`filter`](InverseOptions::filter) to
    /// [`reduce_by_key_and_window_inverse_with`](DStream::reduce_by_key_and_window_inverse_with).
    ///
    /// Keeps state: the stream needs a checkpoint directory, or to be [`volatile`](DStream::volatile). A batch changes it
    /// once, whatever fails. With floating-point numbers, what was rounded away on the way in and out adds up; so each
    /// partition is made anew from its window every `spark.streaming.window.recomputeEvery` slides, in turns: unless set,
    /// so seldom that a slide reads no more than a sixteenth of a batch for it. Between two of these a value is off by at
    /// most about as many roundings of the largest sum as batches came and went.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<(char, u64)> =
    ///     [sc.parallelize([('a', 1), ('b', 2)], 1), sc.parallelize([('a', 3)], 1)].into_iter().collect();
    /// let sums = ssc
    ///     .queue_stream(&batches)
    ///     .reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, seconds(2), seconds(1))
    ///     .volatile();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// sums.foreach_rdd(move |rdd, _| {
    ///     let mut all = rdd.collect()?;
    ///     all.sort();
    ///     Ok(seen.send(all)?)
    /// });
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..3 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [[('a', 1), ('b', 2)], [('a', 4), ('b', 2)], [('a', 3), ('b', 0)]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "reduceByKeyAndWindow")]
    #[track_caller]
    pub fn reduce_by_key_and_window_inverse(
        &self,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        inverse: impl Fn(V, V) -> V + Send + Sync + 'static,
        window: impl IntoDuration,
        slide: impl IntoDuration,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        let (kind, options) = ("reduce_by_key_and_window_inverse", InverseOptions::default());
        self.inverse_at(kind, site, (f, inverse), (window, slide), options, |k, v| (k, v))
    }
    /// [`reduce_by_key_and_window_inverse`](DStream::reduce_by_key_and_window_inverse) with options: a filter, a number of
    /// partitions.
    ///
    /// ```
    /// # use winterbourne_streaming::{InverseOptions, RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let sales = ssc.queue_stream(&RddQueue::<(String, i64)>::new());
    /// let sold = InverseOptions::default().filter(|_item, n| *n > 0);
    /// let hour = sales.reduce_by_key_and_window_inverse_with(|a, b| a + b, |a, b| a - b, seconds(3600), seconds(10), sold);
    /// # hour.volatile().print();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn reduce_by_key_and_window_inverse_with(
        &self,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
        inverse: impl Fn(V, V) -> V + Send + Sync + 'static,
        window: impl IntoDuration,
        slide: impl IntoDuration,
        options: InverseOptions<K, V>,
    ) -> DStream<(K, V)>
    where
        K: Key,
        V: Wire,
    {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        let kind = "reduce_by_key_and_window_inverse";
        self.inverse_at(kind, site, (f, inverse), (window, slide), options, |k, v| (k, v))
    }

    fn inverse_at<E: Data>(
        &self,
        kind: &'static str,
        site: Site,
        (f, inverse): (impl Fn(V, V) -> V + Send + Sync + 'static, impl Fn(V, V) -> V + Send + Sync + 'static),
        (window, slide): (Duration, Duration),
        options: InverseOptions<K, V>,
        emit: impl Fn(K, V) -> E + Send + Sync + 'static,
    ) -> DStream<E>
    where
        K: Key,
        V: Wire,
    {
        let slide = self.window_durations(site, window, slide);
        let InverseOptions { partitions, filter } = options;
        let store: Store<K, Running<V>> = self.store(kind, site, partitions);
        let given = self.ssc.spark_context().conf().value(keys::WINDOW_RECOMPUTE_EVERY).unwrap_or(None);
        // Of a long window even a thousandth is more than what enters and leaves.
        let batches_in = window.as_millis() / self.slide_duration().as_millis().max(1);
        let every = given.unwrap_or_else(|| batches_in.saturating_mul(16).max(1000));
        let n = store.partitions();
        let functions = Arc::new((f, inverse, emit));
        let combine = functions.clone();
        let batches = self.child("reduce_by_key", site, move |r, _| {
            let functions = combine.clone();
            Ok(r.reduce_by_key_hashed_at(site, move |a, b| functions.0(a, b), n))
        });
        // One copy: what it was shuffled from is let go.
        batches.op.keep_as(Rdd::local_checkpoint);
        let batches = Arc::new(Batches { stream: batches.op.clone(), held: Mutex::default() });
        let (parent, state) = (batches.stream.clone(), store.clone());
        let op = batched(&parent, kind, site, slide, window + slide, &store, move |t| {
            let Some(a) = state.attempt(t) else { return Ok(None) };
            let Some(Slide { leave, stay, enter, is_anew }) = batches.slide(&state, t, window)? else {
                return Ok(None);
            };
            let number = t.as_millis() / slide.as_millis().max(1);
            let anew: Vec<bool> = (0..n).map(|p| is_anew || every > 0 && number % every == turn(p, n, every)).collect();
            let stay = if anew.contains(&true) { stay } else { Vec::new() };
            let (leaving, had, entering) = (leave.len(), stay.len(), enter.len());
            let rdds = [leave, stay, enter].concat();
            let done: Vec<OnceLock<()>> = cells(n);
            let (store, calls, keep) = (state.clone(), functions.clone(), filter.clone());
            let run = move |p: usize, open: &dyn Fn(usize) -> Result<Flow<Hashed<K, V>>>| {
                let (f, inverse, _) = &*calls;
                store.apply(p, a, &done[p], |part| {
                    at(site);
                    (0..leaving).try_for_each(|i| part.leave(open(i)?, t, inverse))?;
                    if anew[p] {
                        part.begin_anew((leaving..leaving + had + entering).map(open), t, f, inverse)?;
                    } else {
                        (leaving + had..leaving + had + entering).try_for_each(|i| part.enter(open(i)?, t, f))?;
                    }
                    if let Some(keep) = &keep {
                        part.drop_empty(t, &**keep);
                    }
                    Ok(())
                })?;
                Ok(Flow::empty())
            };
            let applied = if rdds.is_empty() {
                alone(&state, site, move |p, _| run(p, &|_| Ok(Flow::empty())))
            } else {
                Rdd::narrow_all(&rdds, "state", site, move |p, open, _| run(p, open))
            };
            let applied = applied_by(&state, applied);
            let (functions, keep) = (functions.clone(), filter.clone());
            let emit = move |k, Running { value, .. }: Running<V>| {
                keep.as_ref().is_none_or(|keep| keep(&k, &value)).then(|| functions.2(k, value))
            };
            Ok(Some(emitted(&state, a, kind, site, &applied, emit)))
        });
        DStream::of(&self.ssc, op)
    }
}

/// Which of `every` slides makes a partition anew: they are spread over all of them.
fn turn(p: usize, partitions: usize, every: u64) -> u64 {
    (p as u128 * u128::from(every) / partitions.max(1) as u128) as u64
}

/// The node: it has state, and reads its parent further back than itself.
fn batched<T: Data, K: Key, S: Wire, E: Data>(
    parent: &Arc<StreamOp<T>>,
    kind: &'static str,
    site: Site,
    slide: Duration,
    reach: Duration,
    store: &Store<K, S>,
    compute: impl Fn(Time) -> Result<Option<Rdd<E>>> + Send + Sync + 'static,
) -> Arc<StreamOp<E>> {
    let meta = crate::graph::StreamMeta::new(kind, site, slide).parent(parent).reach(reach);
    StreamOp::new(meta.stateful(Arc::new(store.clone())).view(), compute)
}

/// The batches below a window, each reduced and spread by key.
struct Batches<K: Data, V: Data> {
    stream: Arc<StreamOp<Hashed<K, V>>>,
    /// Those that entered: they leave as they were then.
    held: Mutex<BTreeMap<Time, Rdd<Hashed<K, V>>>>,
}
/// What a slide does.
struct Slide<K: Data, V: Data> {
    leave: Vec<Rdd<Hashed<K, V>>>,
    stay: Vec<Rdd<Hashed<K, V>>>,
    enter: Vec<Rdd<Hashed<K, V>>>,
    /// The values are to be made anew from what is in the window: something that should leave is not there any more.
    is_anew: bool,
}
impl<K: Key, V: Wire> Batches<K, V> {
    /// Compares what the state is made of with what the window of t should hold; the state will stand at that. Nothing as
    /// long as no batch has ever brought anything.
    fn slide<S: Wire>(&self, store: &Store<K, S>, t: Time, window: Duration) -> Result<Option<Slide<K, V>>> {
        let mark = store.mark();
        let mut held = {
            let mut held = self.held.lock().expect("no user code runs under this lock");
            std::mem::take(&mut *held)
        };
        // Of an attempt that failed.
        held.retain(|b, _| mark.binary_search(b).is_ok());
        let now = self.stream.times_between(t - window, t)?;
        let (mut leave, mut stay, mut enter, mut is_anew) = (Vec::new(), Vec::new(), Vec::new(), false);
        let mut next = BTreeMap::new();
        for b in &mark {
            let known = match held.get(b) {
                Some(rdd) => Some(rdd.clone()),
                // After a restart.
                None => self.stream.rdd(*b)?,
            };
            let is_in = *b <= t && *b + window > t;
            match known {
                Some(rdd) if is_in => {
                    stay.push(rdd.clone());
                    next.insert(*b, rdd);
                }
                Some(rdd) => leave.push(rdd),
                None => is_anew = true,
            }
        }
        for (b, rdd) in now {
            if let Entry::Vacant(new) = next.entry(b) {
                enter.push(new.insert(rdd).clone());
            }
        }
        let is_something = !mark.is_empty() || !enter.is_empty();
        store.mark_next(next.keys().copied().collect());
        held.extend(next);
        *self.held.lock().expect("no user code runs under this lock") = held;
        if !store.has_begun(is_something) {
            return Ok(None);
        }
        Ok(Some(Slide { leave, stay, enter, is_anew }))
    }
}

/// What the state emits after an attempt, read when asked for.
fn emitted<K: Key, S: Wire, E: Data>(
    store: &Store<K, S>,
    a: Attempt,
    kind: &'static str,
    site: Site,
    applied: &Rdd<()>,
    emit: impl Fn(K, S) -> Option<E> + Send + Sync + 'static,
) -> Rdd<E> {
    let (store, emit) = (store.clone(), Arc::new(emit));
    applied.narrow(kind, site, true, move |p, _, task| {
        let (store, emit, task, mut from) = (store.clone(), emit.clone(), task.clone(), 0);
        Ok(Flow::new(move || {
            loop {
                task.check()?;
                let (page, next) = store.page(p, a, from, CHUNK)?;
                from = next;
                if page.is_empty() {
                    return Ok(None);
                }
                at(site);
                let out: Vec<E> = page.into_iter().filter_map(|(k, s)| emit(k, s)).collect();
                if !out.is_empty() {
                    return Ok(Some(Chunk::Own(out)));
                }
            }
        }))
    })
}
