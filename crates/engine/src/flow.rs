//! [`Flow`], a pull stream of chunks, and [`Records`], the same as a plain iterator for the user's code.
use crate::{CHUNK, Chunk, Data, Error, Result, Site, Task, at, share::Parts, task};
use std::{ops::Range, sync::Arc};

type Pull<T> = Box<dyn FnMut() -> Result<Option<Chunk<T>>>>;
/// A shared run of records.
pub(crate) type Run<T> = (Arc<Vec<T>>, Range<usize>);

/// The records of one partition, pulled chunk by chunk inside one task (never `Send`). One virtual call per chunk and
/// operator; the loops inside are monomorphic. After `None` or an error it is not asked again.
///
/// A flow whose chunks any thread could compute keeps that form as long as operators allow, so that a partition that takes
/// long can be shared with idle threads; see `share`.
///
/// ```
/// use winterbourne_engine::{Chunk, Flow};
/// let mut next = 0;
/// let counting = Flow::new(move || {
///     next += 2;
///     Ok((next < 5).then(|| Chunk::Own(vec![next, next + 1])))
/// });
/// let doubled = counting.map_chunks(|chunk| chunk.map(|x| x * 2));
/// let mut all = Flow::chain([Ok(doubled), Ok(Flow::empty()), Ok(Flow::from_records(0..2))].into_iter());
/// assert_eq!(all.next_chunk()?.map(Chunk::into_vec), Some(vec![4, 6]));
/// assert_eq!(all.records().collect::<Vec<_>>(), [8, 10, 0, 1]);
/// let mut n = 0;
/// Flow::from_records(0..5_000).each(|chunk| Ok(n += chunk.len()))?;
/// assert_eq!(n, 5_000);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
pub struct Flow<T>(Inner<T>);
enum Inner<T> {
    Pull(Pull<T>),
    Parts(Parts<T>),
}

impl<T: Data> Flow<T> {
    /// A flow from its `next` function. Chunks it yields are not empty.
    pub fn new(pull: impl FnMut() -> Result<Option<Chunk<T>>> + 'static) -> Self {
        Flow(Inner::Pull(Box::new(pull)))
    }
    /// No records.
    pub fn empty() -> Self {
        Flow::new(|| Ok(None))
    }
    /// The next chunk.
    ///
    /// # Errors
    /// What a source below could not read, or that the job was cancelled.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk<T>>> {
        match &mut self.0 {
            Inner::Pull(pull) => pull(),
            Inner::Parts(parts) => parts.next(),
        }
    }
    /// Hands every chunk to `f`.
    ///
    /// # Errors
    /// The first error of the flow or of `f`.
    pub fn each(self, mut f: impl FnMut(Chunk<T>) -> Result<()>) -> Result<()> {
        match self.0 {
            Inner::Parts(parts) => parts.each(f),
            Inner::Pull(mut pull) => {
                while let Some(c) = pull()? {
                    f(c)?;
                }
                Ok(())
            }
        }
    }
    /// A source that any thread may read from, chunk by chunk, for this task: what is made of it can be shared.
    ///
    /// ```
    /// use winterbourne_engine::{Chunk, Flow, Shape, Site, SparkConf, SparkContext, lineage::Count};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let shape = Shape { name: "ones", site: Site::caller(), partitions: Count::known(2), deps: vec![], partitioner: None, depth: 0 };
    /// let ones = sc.make(shape, |_, task| {
    ///     let mut left = 3;
    ///     Ok(Flow::splittable(task, move || {
    ///         left -= 1;
    ///         Ok((left >= 0).then(|| Chunk::Own(vec![1u64; 10])))
    ///     }))
    /// });
    /// assert_eq!(ones.sum()?, 60);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn splittable(task: &Task, mut source: impl FnMut() -> Result<Option<Chunk<T>>> + Send + 'static) -> Self {
        let (helpers, task) = (task.around.helpers.clone(), task.clone());
        let checked = move || {
            task.check()?;
            let chunk = source()?;
            if let Some(c) = &chunk {
                task.has_read(c.len());
            }
            Ok(chunk)
        };
        Flow(Inner::Parts(Parts::new(checked, helpers)))
    }
    /// One chunk in, at most one out, each by itself: keeps a flow shareable.
    pub(crate) fn then<U: Data>(self, f: impl Fn(Chunk<T>) -> Vec<U> + Send + Sync + 'static) -> Flow<U> {
        match self.0 {
            Inner::Parts(parts) => Flow(Inner::Parts(parts.then(f))),
            Inner::Pull(_) => self.map_chunks(f),
        }
    }
    /// One chunk in, at most one out: an empty result is skipped.
    pub fn map_chunks<U: Data>(mut self, mut f: impl FnMut(Chunk<T>) -> Vec<U> + 'static) -> Flow<U> {
        Flow::new(move || {
            while let Some(c) = self.next_chunk()? {
                let out = f(c);
                if !out.is_empty() {
                    return Ok(Some(Chunk::Own(out)));
                }
            }
            Ok(None)
        })
    }
    /// Shared runs in slices of at most [`CHUNK`], so that cancelling and fusing work between them.
    pub(crate) fn source(runs: Vec<Run<T>>, task: &Task) -> Self {
        Flow::runs(runs.into_iter(), task)
    }
    /// The same for runs that others read too.
    pub(crate) fn shared(runs: Arc<Vec<Run<T>>>, task: &Task) -> Self {
        let mut next = 0;
        let each = std::iter::from_fn(move || {
            next += 1;
            runs.get(next - 1).cloned()
        });
        Flow::runs(each, task)
    }
    fn runs(mut runs: impl Iterator<Item = Run<T>> + Send + 'static, task: &Task) -> Self {
        let mut open: Option<Run<T>> = None;
        Flow::splittable(task, move || {
            loop {
                match &mut open {
                    Some((v, r)) if r.start < r.end => {
                        let to = (r.start + CHUNK).min(r.end);
                        let slice = r.start..to;
                        r.start = to;
                        return Ok(Some(Chunk::Shared(v.clone(), slice)));
                    }
                    _ => match runs.next() {
                        Some(run) => open = Some(run),
                        None => return Ok(None),
                    },
                }
            }
        })
    }
    /// An iterator's records, a chunk at a time.
    pub fn from_records(mut it: impl Iterator<Item = T> + 'static) -> Self {
        Flow::new(move || {
            let v: Vec<T> = it.by_ref().take(CHUNK).collect();
            Ok((!v.is_empty()).then_some(Chunk::Own(v)))
        })
    }
    /// One flow after the other, each opened when the one before has ended: a thousand coalesced files are not open at
    /// once.
    pub fn chain(mut flows: impl Iterator<Item = Result<Flow<T>>> + 'static) -> Self {
        let mut open: Option<Flow<T>> = None;
        Flow::new(move || {
            loop {
                if let Some(f) = &mut open
                    && let Some(c) = f.next_chunk()?
                {
                    return Ok(Some(c));
                }
                open = None;
                match flows.next() {
                    Some(f) => open = Some(f?),
                    None => return Ok(None),
                }
            }
        })
    }
    /// The flow as a plain iterator.
    pub fn records(self) -> Records<T> {
        Records { flow: self, open: Vec::new().into_iter(), reader: task::current() }
    }
}

/// A partition's records as an iterator, for `map_partitions` and `for_each_partition`.
///
/// SUBTLE: an error upstream *unwinds* (a typed payload, no panic message, caught at the task and reported as itself).
/// Ending the iterator early instead would let `begin; for r in it {..}; commit` commit half a partition.
pub struct Records<T> {
    flow: Flow<T>,
    open: std::vec::IntoIter<T>,
    /// The operator that reads: noted again after those above it have run, so that its own panics name it.
    reader: Option<Site>,
}
impl<T: Data> Iterator for Records<T> {
    type Item = T;
    #[inline]
    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(x) = self.open.next() {
                return Some(x);
            }
            match self.flow.next_chunk() {
                Ok(Some(c)) => {
                    if let Some(site) = self.reader {
                        at(site);
                    }
                    self.open = c.into_vec().into_iter();
                }
                Ok(None) => return None,
                Err(e) => std::panic::resume_unwind(Box::new(Carried(e))),
            }
        }
    }
}
/// An engine error on its way through user code.
pub(crate) struct Carried(pub(crate) Error);
