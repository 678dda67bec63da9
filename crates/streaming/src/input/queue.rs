//! Queues of RDDs: the source of tests and of programs that make their data themselves.
use super::{Input, Planned, Supply, Tick};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};
use winterbourne_base::clock::Bell;
use winterbourne_engine::{BoxError, Data, Rdd, Site, SparkContext};

struct Items<T: Data> {
    rdds: VecDeque<Rdd<T>>,
    closed: bool,
    /// Rung when something changes, once a stream listens.
    bell: Option<Bell>,
}

/// A queue of RDDs for [`queue_stream`](crate::StreamingContext::queue_stream): a handle, cheap to clone; push from any
/// thread.
///
/// ```
/// use winterbourne_engine::{SparkConf, SparkContext};
/// use winterbourne_streaming::RddQueue;
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let queue = RddQueue::new();
/// queue.push(sc.range(0..10, 2));
/// queue.close(); // nothing more will come: the stream ends when the queue is empty
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
pub struct RddQueue<T: Data>(Arc<Mutex<Items<T>>>);
impl<T: Data> Clone for RddQueue<T> {
    fn clone(&self) -> Self {
        RddQueue(self.0.clone())
    }
}
impl<T: Data> Default for RddQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}
impl<T: Data> RddQueue<T> {
    /// An empty queue that may be pushed to. Until it is closed its stream does not end.
    pub fn new() -> Self {
        RddQueue(Arc::new(Mutex::new(Items { rdds: VecDeque::new(), closed: false, bell: None })))
    }
    fn items(&self) -> MutexGuard<'_, Items<T>> {
        self.0.lock().expect("no user code runs under this lock")
    }
    /// Adds an RDD at the end. After [`close`](RddQueue::close) it is not taken, and comes back.
    ///
    /// # Errors
    /// The RDD itself, if the queue is closed.
    pub fn try_push(&self, rdd: Rdd<T>) -> Result<(), Rdd<T>> {
        let mut items = self.items();
        if items.closed {
            return Err(rdd);
        }
        items.rdds.push_back(rdd);
        items.bell.iter().for_each(Bell::ring);
        Ok(())
    }
    /// Adds an RDD at the end; one pushed after [`close`](RddQueue::close) is dropped, with a warning in the log.
    pub fn push(&self, rdd: Rdd<T>) {
        if let Err(late) = self.try_push(rdd) {
            tracing::warn!("{} ({}) was pushed to a closed queue and is dropped", late.name(), late.id());
        }
    }
    /// Nothing more will come.
    pub fn close(&self) {
        let mut items = self.items();
        items.closed = true;
        items.bell.iter().for_each(Bell::ring);
    }
    /// How many RDDs wait.
    pub fn len(&self) -> usize {
        self.items().rdds.len()
    }
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
impl<T: Data> FromIterator<Rdd<T>> for RddQueue<T> {
    /// A closed queue of these: its stream ends after the last.
    fn from_iter<I: IntoIterator<Item = Rdd<T>>>(rdds: I) -> Self {
        let queue = Self::new();
        rdds.into_iter().for_each(|r| queue.push(r));
        queue.close();
        queue
    }
}

/// How a queue becomes batches; see [`queue_stream_with`](crate::StreamingContext::queue_stream_with).
pub struct QueueOptions<T: Data> {
    pub(crate) one_at_a_time: bool,
    pub(crate) default: Option<Rdd<T>>,
}
impl<T: Data> Default for QueueOptions<T> {
    fn default() -> Self {
        QueueOptions { one_at_a_time: true, default: None }
    }
}
impl<T: Data> QueueOptions<T> {
    /// Each batch takes all that waits, as a union.
    #[must_use]
    pub fn all_at_once(mut self) -> Self {
        self.one_at_a_time = false;
        self
    }
    /// What a batch gets while the queue is empty, instead of nothing.
    #[must_use]
    pub fn default_rdd(mut self, rdd: Rdd<T>) -> Self {
        self.default = Some(rdd);
        self
    }
}

/// The input behind a queue stream. It cannot come back after a restart: its records exist only here.
pub(crate) struct QueueInput<T: Data> {
    queue: RddQueue<T>,
    options: QueueOptions<T>,
    site: Site,
    /// By plan; nothing of a batch that could hold nothing.
    taken: BTreeMap<u64, Vec<Rdd<T>>>,
    next: u64,
}
impl<T: Data> QueueInput<T> {
    pub(crate) fn new(queue: RddQueue<T>, options: QueueOptions<T>, site: Site, bell: Bell) -> Self {
        queue.items().bell = Some(bell);
        QueueInput { queue, options, site, taken: BTreeMap::new(), next: 0 }
    }
}
impl<T: Data> Input<T> for QueueInput<T> {
    type Plan = u64;
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        // How much is in an RDD nobody knows before it runs: of a limit only nothing can be kept to.
        let may = !tick.limit.is_zero();
        let rdds: Vec<Rdd<T>> = {
            let mut items = self.queue.items();
            let most = if self.options.one_at_a_time { 1 } else { usize::MAX };
            let n = if may { items.rdds.len().min(most) } else { 0 };
            items.rdds.drain(..n).collect()
        };
        let (plan, description) = (self.next, format!("{} queued RDD(s)", rdds.len()));
        self.next += 1;
        if may {
            self.taken.insert(plan, rdds);
        }
        Ok(Some(Planned { plan, records: None, description }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &u64) -> Result<Rdd<T>, BoxError> {
        Ok(match (self.taken.get(plan).map(Vec::as_slice), &self.options.default) {
            (Some([]), Some(default)) => default.clone(),
            (None | Some([]), _) => sc.from_blocks(self.site, Vec::new()),
            (Some([one]), _) => one.clone(),
            (Some(many), _) => Rdd::union_all(many, self.site),
        })
    }
    fn settle(&mut self, plan: u64) {
        self.taken.remove(&plan);
    }
    fn recoverable(&self) -> Result<(), String> {
        Err("the records of a queue exist only in this process".into())
    }
    fn supply(&self) -> Supply {
        let items = self.queue.items();
        match (items.rdds.is_empty(), items.closed) {
            (false, _) => Supply::Waiting,
            (true, true) => Supply::Ended,
            (true, false) => Supply::Open,
        }
    }
}
