//! [`Accumulator`]: the handle, on the driver and in tasks; and how a context makes one.
use super::{
    Accumulate, Collection, CollectionAccumulator, DoubleAccumulator, DoubleSum, LongAccumulator, LongSum,
    part::Part,
    registry::{Owner, Registry},
    updates,
};
use crate::{AccumulatorId, Error, Result, Site, SparkContext, Wire, flow::Carried, task};
use std::{
    fmt,
    panic::resume_unwind,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
};

/// A value that tasks add to and the driver reads; cheap to clone, made to be captured by record closures.
///
/// What a task adds counts if and when what the task made is kept: for the tasks of an action, when the action
/// succeeds; for tasks before a shuffle, when their output stays; for a cached partition, when the stage ends in which it
/// was computed. Other attempts that fail count nothing, nor does the last stage of an action that fails. So each record
/// that an *action* hands over counts once. What is added in a *transformation* counts once for each time the partition
/// is computed: again if the RDD is computed again, not at all if it is read from a cache or from a shuffle that exists
/// already. `take` and its like count the chunks that they computed. On the driver, outside a task,
/// [`add`](Accumulator::add) counts at once.
///
/// Parts are merged in partition order, so lists and sums of floats are the same for any number of threads. Several
/// lanes that run one program all have the same value after an action.
///
/// Costs nothing in tasks that add nothing; an addition in a task is a few nanoseconds and takes no lock. Semantics:
/// Spark's `AccumulatorV2`.
///
/// ```
/// use winterbourne_engine::{SparkConf, SparkContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2,3]"))?;
/// let bad = sc.long_accumulator("bad lines");
/// let seen = bad.clone();
/// let numbers = sc.parallelize(["1", "x", "3", "y"], 2).flat_map(move |line| {
///     line.parse::<u64>().inspect_err(|_| seen.add(1)).ok()
/// });
/// assert_eq!(numbers.reduce(|a, b| a + b)?, 4);
/// assert_eq!(bad.value(), 2);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
pub struct Accumulator<A: Accumulate>(Arc<Shared<A>>);

impl<A: Accumulate> Accumulator<A> {
    /// Takes in one value: in a task for later, on the driver at once. A thread that a task started by itself counts as
    /// the driver.
    #[inline]
    pub fn add(&self, x: A::Input) {
        if task::is_inside() {
            updates::with_part(&self.0, |part| part.add(x));
        } else {
            self.0.lock().add(x);
        }
    }
    /// What was taken in so far. It can be read on the driver only: in a task it ends the task with
    /// [`Error::ReadInTask`], because what a task sees depends on which threads compute its chunks.
    ///
    /// ```
    /// # use winterbourne_engine::{Error, SparkConf, SparkContext, TaskCause};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let seen = sc.long_accumulator("seen");
    /// let s = seen.clone();
    /// let refused = sc.range(0..10, 2).map(move |x| x as i64 + s.value()).count();
    /// assert!(refused.unwrap_err().to_string().contains("Can't read accumulator value in task"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn value(&self) -> A::Value {
        self.read(A::value)
    }
    /// Whether nothing was taken in. On the driver only, as [`value`](Accumulator::value).
    #[doc(alias = "isZero")]
    pub fn is_zero(&self) -> bool {
        self.read(A::is_zero)
    }
    /// Begins again at zero. On the driver only, as [`value`](Accumulator::value).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let degrees = sc.double_accumulator("degrees");
    /// let d = degrees.clone();
    /// sc.parallelize([20.0, 23.0], 2).foreach(move |x| d.add(x))?;
    /// assert_eq!((degrees.sum(), degrees.count(), degrees.avg()), (43.0, 2, 21.5));
    /// degrees.reset();
    /// assert!(degrees.is_zero());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn reset(&self) {
        self.on_driver();
        let zero = self.0.zero.zero();
        drop(std::mem::replace(&mut *self.0.lock(), zero));
    }
    /// Counted in program order in a context, from zero.
    pub fn id(&self) -> AccumulatorId {
        self.0.id
    }
    /// The name it was given.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
    pub(super) fn read<R>(&self, f: impl FnOnce(&A) -> R) -> R {
        self.on_driver();
        f(&self.0.lock())
    }
    /// Ends the task that asks what only the driver can know.
    fn on_driver(&self) {
        if let Some(site) = task::inside() {
            resume_unwind(Box::new(Carried(Error::ReadInTask { name: self.0.called(), site })));
        }
    }
}

impl<A: Accumulate> Clone for Accumulator<A> {
    fn clone(&self) -> Self {
        Accumulator(self.0.clone())
    }
}
/// Spark's form: `Accumulator(id: 3, name: Some(bad lines), value: 75)`.
impl<A: Accumulate> fmt::Display for Accumulator<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accumulator(id: {}, name: ", self.0.id.0)?;
        match self.name() {
            Some(name) => write!(f, "Some({name})")?,
            None => f.write_str("None")?,
        }
        // Not an error in a task: whoever logs it there means no harm.
        let value = if task::is_inside() { "known to the driver".to_owned() } else { self.0.lock().text() };
        write!(f, ", value: {value})")
    }
}
impl<A: Accumulate> fmt::Debug for Accumulator<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What all handles of one accumulator share.
pub(super) struct Shared<A: Accumulate> {
    pub(super) id: AccumulatorId,
    name: Option<Arc<str>>,
    site: Site,
    zero: A,
    /// The functions of the kind run under it, and only they.
    value: Mutex<A>,
    registry: Arc<Registry>,
}
impl<A: Accumulate> Shared<A> {
    /// A panic of the kind's own functions leaves the value as they left it.
    fn lock(&self) -> MutexGuard<'_, A> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn begin(&self) -> A {
        self.zero.zero()
    }
    fn called(&self) -> String {
        self.name.as_deref().map_or_else(|| self.id.to_string(), |name| format!("`{name}`"))
    }
}
impl<A: Accumulate> Owner for Shared<A> {
    fn id(&self) -> AccumulatorId {
        self.id
    }
    fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }
    fn merge_into(&self, into: &mut Part, part: Part) {
        into.as_mut::<A>().merge(part.take());
    }
    fn merge(&self, part: Part) {
        self.lock().merge(part.take());
    }
    fn replace(&self, part: Part) {
        drop(std::mem::replace(&mut *self.lock(), part.take()));
    }
    fn encode(&self, part: Part, to: &Arc<Registry>) -> Result<Vec<u8>> {
        const SEND: &str = "send";
        if !Arc::ptr_eq(&self.registry, to) {
            let why = "it belongs to another SparkContext than the task that added to it";
            return Err(self.error(SEND, why.to_owned()));
        }
        postcard::to_allocvec(&part.take::<A>()).map_err(|e| self.error(SEND, e.to_string()))
    }
    fn decode(&self, bytes: &[u8]) -> Result<Part> {
        Ok(Part::new(postcard::from_bytes::<A>(bytes).map_err(|e| self.error("receive", e.to_string()))?))
    }
    fn save(&self) -> Result<Vec<u8>> {
        postcard::to_allocvec(&(kind::<A>(), &*self.lock())).map_err(|e| self.error("save", e.to_string()))
    }
    fn restored(&self, bytes: &[u8]) -> Result<Part, String> {
        let now = kind::<A>();
        let wrong = |e: postcard::Error| format!("its bytes are not those of a `{}` ({e})", kind::<A>());
        // The encoding does not describe itself: two types may read each other's bytes, hence the name in front.
        let (saved, rest) = postcard::take_from_bytes::<&str>(bytes).map_err(wrong)?;
        if saved != now {
            return Err(format!("it was saved as `{saved}` and is `{now}` now; by another name it begins at zero"));
        }
        match postcard::take_from_bytes::<A>(rest).map_err(wrong)? {
            (value, []) => Ok(Part::new(value)),
            (_, rest) => Err(format!("{} bytes are left over behind a `{now}`", rest.len())),
        }
    }
    fn error(&self, doing: &'static str, why: String) -> Error {
        Error::Accumulator { doing, name: self.called(), site: self.site, why }
    }
    fn text(&self) -> String {
        self.lock().text()
    }
}
impl<A: Accumulate> Drop for Shared<A> {
    fn drop(&mut self) {
        self.registry.forget(self.id);
    }
}

/// The name of a type without its paths, so that it may move to another module: `Histogram<Vec<u64>>`.
fn kind<A>() -> String {
    let full = std::any::type_name::<A>();
    let pieces = full.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    pieces.map(|piece| piece.rsplit("::").next().unwrap_or(piece)).collect()
}

impl SparkContext {
    /// A sum of whole numbers that tasks add to; see [`Accumulator`]. The name is for people and checkpoints: `None` for
    /// an accumulator that nobody lists or saves.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let bytes = sc.long_accumulator("bytes");
    /// let b = bytes.clone();
    /// sc.parallelize(["spring", "ford"], 2).foreach(move |word| b.add(word.len() as i64))?;
    /// assert_eq!((bytes.sum(), bytes.count(), bytes.avg()), (10, 2, 5.0));
    /// assert_eq!(bytes.to_string(), "Accumulator(id: 0, name: Some(bytes), value: 10)");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "longAccumulator")]
    #[track_caller]
    pub fn long_accumulator<'a>(&self, name: impl Into<Option<&'a str>>) -> LongAccumulator {
        self.accumulator(name, LongSum::default())
    }
    /// A sum of floats that tasks add to; see [`Accumulator`] and [`long_accumulator`](SparkContext::long_accumulator).
    #[doc(alias = "doubleAccumulator")]
    #[track_caller]
    pub fn double_accumulator<'a>(&self, name: impl Into<Option<&'a str>>) -> DoubleAccumulator {
        self.accumulator(name, DoubleSum::default())
    }
    /// A list that tasks add to, in the order of partitions and records; see [`Accumulator`]. It lies in memory, and
    /// reading it copies it.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
    /// let odd = sc.collection_accumulator("odd ones");
    /// let o = odd.clone();
    /// sc.range(0..9, 3).foreach(move |x| if x % 2 == 1 { o.add(x) })?;
    /// assert_eq!(odd.value(), [1, 3, 5, 7]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "collectionAccumulator")]
    #[track_caller]
    pub fn collection_accumulator<'a, T: Wire>(&self, name: impl Into<Option<&'a str>>) -> CollectionAccumulator<T> {
        self.accumulator(name, Collection::default())
    }
    /// An accumulator of a kind of your own, beginning at this value; the example stands at [`Accumulate`]. Spark's
    /// `register`.
    #[doc(alias = "register")]
    #[track_caller]
    pub fn accumulator<'a, A: Accumulate>(&self, name: impl Into<Option<&'a str>>, start: A) -> Accumulator<A> {
        let registry = &self.inner.accumulators;
        let shared = Arc::new(Shared {
            id: AccumulatorId(self.inner.ids.accumulators.fetch_add(1, Relaxed)),
            name: name.into().map(Arc::from),
            site: Site::caller(),
            zero: start.zero(),
            value: Mutex::new(start),
            registry: registry.clone(),
        });
        let owner: Arc<dyn Owner> = shared.clone();
        registry.enter(&owner);
        Accumulator(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_without_paths() {
        assert_eq!(kind::<LongSum>(), "LongSum");
        assert_eq!(kind::<Collection<(u64, Option<crate::Text>)>>(), "Collection<(u64, Option<Text>)>");
        assert_eq!(kind::<Collection<[Vec<&'static str>; 2]>>(), "Collection<[Vec<&str>; 2]>");
    }
}
