//! Erased stream nodes: the memo of RDDs per time, remember durations, and what the batch protocol asks of a node.
use crate::{sink::SinkNode, state::Stateful};
use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{Data, Rdd, Result, Site};

/// Spark's default interval between checkpoints: as many slides as make ten seconds.
pub(crate) fn ten_seconds_of(slide: Duration) -> Duration {
    slide * 10_000u64.div_ceil(slide.as_millis())
}

/// The work of one output operation in one batch.
pub(crate) type Job = Box<dyn FnMut() -> Result<()> + Send>;

/// The durable id of an operator or an output. Known once the graph is complete; a start that failed may be followed by
/// another one, of a graph that was corrected.
#[derive(Clone, Default)]
pub(crate) struct IdCell(Arc<Mutex<Arc<str>>>);
impl IdCell {
    pub(crate) fn set(&self, id: &str) {
        *self.0.lock().expect("plain value") = id.into();
    }
    pub(crate) fn get(&self) -> Arc<str> {
        self.0.lock().expect("plain value").clone()
    }
}

/// An output operation.
pub(crate) struct Output {
    pub(crate) kind: &'static str,
    pub(crate) site: Site,
    pub(crate) parent: Arc<dyn StreamNode>,
    pub(crate) id: IdCell,
    /// Its name, if its user gave it one: then that is its id.
    pub(crate) name: Option<String>,
    /// What commits with the batch, if it does.
    pub(crate) sink: Option<Arc<dyn SinkNode>>,
    /// The job of a time, or none if there is nothing to do.
    pub(crate) generate: Box<dyn Fn(Time) -> Result<Option<Job>> + Send>,
}

/// What a node is, apart from its records.
pub(crate) struct StreamMeta {
    pub(crate) kind: &'static str,
    /// What tells an input from its like: an address, a directory. Part of its id.
    pub(crate) param: String,
    pub(crate) site: Site,
    pub(crate) slide: Duration,
    pub(crate) parents: Vec<Arc<dyn StreamNode>>,
    pub(crate) uid: OnceLock<String>,
    pub(crate) id: IdCell,
    /// Has an operator id: inputs, and later stateful operators.
    pub(crate) named: bool,
    /// How much longer than itself this node wants its parents to remember.
    pub(crate) reach: Duration,
    /// What it keeps from batch to batch, if it does.
    pub(crate) stateful: Option<Arc<dyn Stateful>>,
    /// Its RDDs read state where it lies, so they can be read in their own batch only.
    is_view: bool,
    remember: AtomicU64,
    zero: AtomicU64,
    pub(crate) checkpoint: OnceLock<Duration>,
}
impl StreamMeta {
    pub(crate) fn new(kind: &'static str, site: Site, slide: Duration) -> Self {
        StreamMeta {
            kind,
            param: String::new(),
            site,
            slide,
            parents: Vec::new(),
            uid: OnceLock::new(),
            id: IdCell::default(),
            named: false,
            reach: Duration::ZERO,
            stateful: None,
            is_view: false,
            remember: slide.as_millis().into(),
            zero: 0.into(),
            checkpoint: OnceLock::new(),
        }
    }
    pub(crate) fn input(kind: &'static str, site: Site, slide: Duration, param: String) -> Self {
        StreamMeta { param, named: true, ..Self::new(kind, site, slide) }
    }
    pub(crate) fn parent<T: Data>(self, p: &Arc<StreamOp<T>>) -> Self {
        self.parents(vec![p.clone()])
    }
    pub(crate) fn parents(mut self, all: Vec<Arc<dyn StreamNode>>) -> Self {
        self.parents.extend(all);
        self
    }
    pub(crate) fn param(mut self, param: String) -> Self {
        self.param = param;
        self
    }
    pub(crate) fn reach(mut self, d: Duration) -> Self {
        self.reach = d;
        self
    }
    /// Has an id and takes part in commits and checkpoints.
    pub(crate) fn stateful(mut self, state: Arc<dyn Stateful>) -> Self {
        self.stateful = Some(state);
        self.named = true;
        self
    }
    pub(crate) fn is_input(&self) -> bool {
        self.named && self.stateful.is_none() && self.parents.is_empty()
    }
    /// How long its RDDs are kept.
    pub(crate) fn remembers(&self) -> Duration {
        Duration::from_millis(self.remember())
    }
    /// How often its state is to be checkpointed, if its user says so.
    pub(crate) fn checkpoint_every(&self) -> Option<Duration> {
        self.checkpoint.get().copied()
    }
    /// How often its state is to be checkpointed. Spark's default is ten batches for
    /// `map_with_state`.
    pub(crate) fn checkpoint_interval(&self) -> Duration {
        self.checkpoint_every().unwrap_or_else(|| match self.kind {
            "map_with_state" => self.slide * 10,
            _ => ten_seconds_of(self.slide),
        })
    }
    /// Whether Spark would checkpoint it in the batch of t.
    pub(crate) fn is_checkpointed_at(&self, t: Time) -> bool {
        t > self.zero() && (t - self.zero()).is_multiple_of(self.checkpoint_interval())
    }
    /// A view of state: computed in its own batch if anybody may ask later.
    pub(crate) fn view(mut self) -> Self {
        self.is_view = true;
        self
    }
    pub(crate) fn set_zero(&self, t: Time) {
        self.zero.store(t.as_millis(), Relaxed);
    }
    pub(crate) fn zero(&self) -> Time {
        Time::from_millis(self.zero.load(Relaxed))
    }
    /// Rule T3: strictly after zero, on the slide grid.
    fn yields_at(&self, t: Time) -> bool {
        t > self.zero() && (t - self.zero()).is_multiple_of(self.slide)
    }
    fn remember(&self) -> u64 {
        self.remember.load(Relaxed)
    }
    /// Somebody looks back on its RDDs, after their batch.
    fn is_looked_back_on(&self) -> bool {
        self.remember() > self.slide.as_millis()
    }
    fn is_kept_view(&self) -> bool {
        self.is_view && self.is_looked_back_on()
    }
}

/// A node as the batch protocol sees it.
pub(crate) trait StreamNode: Send + Sync {
    fn meta(&self) -> &StreamMeta;
    /// Drops what no window needs any more after the batch of `now`.
    fn forget(&self, now: Time);
    /// How many times are kept.
    fn memoised(&self) -> usize;
    /// An attempt at the batch of t begins. What somebody who looks back got for t before is no longer right: a batch that
    /// was set aside is run again.
    fn begin(&self, t: Time);
    /// Brings what must stand at t to t, in every partition, whether or not an output asked for it. Stateful operators
    /// and views of state do, and inputs that somebody looks back on; nothing else has anything to do.
    fn advance(&self, t: Time) -> Result<()>;
    /// Commits the batch of t, or undoes it.
    fn settle(&self, t: Time, ok: bool);
    /// Forgets everything.
    fn clear(&self);
}

type Compute<T> = Box<dyn Fn(&StreamMeta, Time) -> Result<Option<Rdd<T>>> + Send + Sync>;
type KeepAs<T> = Arc<dyn Fn(Rdd<T>) -> Rdd<T> + Send + Sync>;
/// The one generic node: its closure from time to RDD, and the memo.
pub(crate) struct StreamOp<T: Data> {
    pub(crate) meta: StreamMeta,
    memo: Mutex<Memo<T>>,
    compute: Compute<T>,
    kept: Mutex<Kept<T>>,
    /// Of a window, the stream below: that is what is kept.
    below: Option<Arc<StreamOp<T>>>,
}
/// How the RDDs are kept once computed.
enum Kept<T: Data> {
    Not,
    /// For a window that reads them, unless they are kept already.
    ForWindows,
    As(KeepAs<T>),
}
struct Memo<T: Data> {
    rdds: BTreeMap<Time, Option<Rdd<T>>>,
    /// How many attempts have begun.
    begun: u64,
    /// The latest time whose RDD was dropped, or would have been.
    forgotten: Time,
}

impl<T: Data> StreamOp<T> {
    pub(crate) fn new(
        meta: StreamMeta,
        compute: impl Fn(Time) -> Result<Option<Rdd<T>>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::knowing(meta, move |_, t| compute(t))
    }
    /// One whose function is told of the node.
    pub(crate) fn knowing(
        meta: StreamMeta,
        compute: impl Fn(&StreamMeta, Time) -> Result<Option<Rdd<T>>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let memo = Memo { rdds: BTreeMap::new(), begun: 0, forgotten: Time::default() };
        let (memo, kept) = (Mutex::new(memo), Mutex::new(Kept::Not));
        Arc::new(StreamOp { meta, memo, compute: Box::new(compute), kept, below: None })
    }
    /// A window over `parent`, whose RDDs are kept from now on.
    pub(crate) fn window(
        meta: StreamMeta,
        parent: &Arc<Self>,
        compute: impl Fn(Time) -> Result<Option<Rdd<T>>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        parent.keep_for_windows();
        let mut op = Self::new(meta, compute);
        Arc::get_mut(&mut op).expect("just made").below = Some(parent.clone());
        op
    }
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept<T>> {
        self.kept.lock().expect("plain value")
    }
    /// Keeps the RDDs for who reads them again, unless the user says how.
    pub(crate) fn keep_for_windows(&self) {
        let mut kept = self.kept();
        if matches!(*kept, Kept::Not) {
            *kept = Kept::ForWindows;
        }
    }
    /// Keeps the RDDs so; of a window, those below it. The last word counts.
    pub(crate) fn keep_as(&self, how: impl Fn(Rdd<T>) -> Rdd<T> + Send + Sync + 'static) {
        match &self.below {
            Some(below) => below.keep_as(how),
            None => *self.kept() = Kept::As(Arc::new(how)),
        }
    }
    fn keep(&self, rdd: Rdd<T>) -> Rdd<T> {
        // A view of state is read when the state has moved on: it cannot be computed again.
        if self.meta.is_kept_view() {
            return rdd.pinned();
        }
        let how = match &*self.kept() {
            Kept::As(how) => how.clone(),
            Kept::ForWindows if !rdd.is_cached() => return rdd.cache(),
            Kept::ForWindows | Kept::Not => return rdd,
        };
        how(rdd)
    }
    fn memo(&self) -> std::sync::MutexGuard<'_, Memo<T>> {
        self.memo.lock().expect("no user code runs under this lock")
    }
    /// The RDD of time t, always the same one; `None` where there is nothing to do. The lock is not held while
    /// computing: parents take theirs, and user code runs.
    pub(crate) fn rdd(&self, t: Time) -> Result<Option<Rdd<T>>> {
        if !self.meta.yields_at(t) {
            return Ok(None);
        }
        let begun = {
            let memo = self.memo();
            if let Some(known) = memo.rdds.get(&t) {
                return Ok(known.clone());
            }
            memo.begun
        };
        let made = (self.compute)(&self.meta, t)?;
        let made = made.map(|rdd| self.keep(rdd));
        let mut memo = self.memo();
        // SUBTLE: another thread may look back (`slice`) while the batch loop works. Who comes first is remembered; what
        // was made before an attempt began is not, because the attempt must make its own.
        if memo.begun != begun {
            return Ok(made);
        }
        if let Some(first) = memo.rdds.get(&t) {
            return Ok(first.clone());
        }
        memo.rdds.insert(t, made.clone());
        drop(memo);
        Ok(made)
    }
    /// Whether the RDD of t, and what it is made from, is still remembered.
    pub(crate) fn remembers(&self, t: Time) -> bool {
        let memo = self.memo();
        t > memo.forgotten || memo.rdds.contains_key(&t)
    }
    /// The RDDs of the times in (from, to], existing or made now, oldest first.
    pub(crate) fn between(&self, from: Time, to: Time) -> Result<Vec<Rdd<T>>> {
        Ok(self.times_between(from, to)?.into_iter().map(|(_, rdd)| rdd).collect())
    }
    /// The same, with the times.
    pub(crate) fn times_between(&self, from: Time, to: Time) -> Result<Vec<(Time, Rdd<T>)>> {
        let slide = self.meta.slide;
        let first = from.max(self.meta.zero()).floor_from(slide, self.meta.zero()) + slide;
        let mut out = Vec::new();
        for t in first.to(to, slide) {
            out.extend(self.rdd(t)?.map(|rdd| (t, rdd)));
        }
        Ok(out)
    }
}
impl<T: Data> StreamNode for StreamOp<T> {
    fn meta(&self) -> &StreamMeta {
        &self.meta
    }
    fn memoised(&self) -> usize {
        self.memo().rdds.len()
    }
    fn forget(&self, now: Time) {
        let keep_after = now - Duration::from_millis(self.meta.remember());
        let dead = {
            let mut memo = self.memo();
            memo.forgotten = memo.forgotten.max(keep_after);
            let kept = memo.rdds.split_off(&(keep_after + Duration::from_millis(1)));
            mem::replace(&mut memo.rdds, kept)
        };
        drop(dead); // lineages and records die outside the lock
    }
    fn begin(&self, t: Time) {
        let gone = {
            let mut memo = self.memo();
            memo.begun += 1;
            memo.rdds.remove(&t)
        };
        drop(gone);
        if let Some(state) = &self.meta.stateful {
            state.begin(t);
        }
    }
    fn advance(&self, t: Time) -> Result<()> {
        // An input can be read until its batch is settled; a window with a longer slide asks for this RDD after that.
        if self.meta.parents.is_empty() && self.meta.is_looked_back_on() {
            self.rdd(t)?;
        }
        if let Some(state) = &self.meta.stateful {
            self.rdd(t)?;
            state.advance(t)?;
        }
        if self.meta.is_kept_view()
            && let Some(rdd) = self.rdd(t)?
        {
            rdd.materialize()?;
        }
        Ok(())
    }
    fn settle(&self, t: Time, ok: bool) {
        if let Some(state) = &self.meta.stateful {
            state.settle(t, ok);
        }
        if !ok {
            let gone = self.memo().rdds.remove(&t);
            drop(gone);
        }
    }
    fn clear(&self) {
        let gone = mem::take(&mut self.memo().rdds);
        drop(gone);
    }
}

/// Children before parents: what a window needs reaches its ancestors.
pub(crate) fn spread_remember(nodes: &[Arc<dyn StreamNode>], least: Duration) {
    for n in nodes {
        n.meta().remember.fetch_max(least.as_millis(), Relaxed);
    }
    for n in nodes.iter().rev() {
        let need = n.meta().remember() + n.meta().reach.as_millis();
        for p in &n.meta().parents {
            p.meta().remember.fetch_max(need, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winterbourne_base::time::seconds;
    use winterbourne_engine::{SparkConf, SparkContext};

    #[test]
    fn what_was_made_before_an_attempt_began_is_not_remembered_for_it() {
        let sc = SparkContext::new(SparkConf::empty().set_app_name("node").set_master("local"));
        let sc = Mutex::new(sc.expect("a context"));
        let (t, op) = (Time::from_millis(1000), Arc::new(OnceLock::<Arc<StreamOp<u64>>>::new()));
        let (me, calls) = (op.clone(), AtomicU64::new(0));
        let made = StreamOp::new(StreamMeta::new("test", Site::caller(), seconds(1)), move |t| {
            // The batch loop begins with t while somebody else looks back on it.
            if calls.fetch_add(1, Relaxed) == 0 {
                me.get().expect("set").begin(t);
                return Ok(None);
            }
            Ok(Some(sc.lock().expect("not poisoned").range(0..1, 1)))
        });
        assert!(op.set(made.clone()).is_ok());
        assert!(made.rdd(t).expect("no error").is_none());
        assert_eq!(made.memoised(), 0);
        let own = made.rdd(t).expect("no error").expect("its own RDD");
        assert_eq!(made.rdd(t).expect("no error").expect("the same").id(), own.id());
    }
}
