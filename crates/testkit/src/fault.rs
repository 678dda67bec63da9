//! [`TestFault`]: tasks that fail when a test asks for it.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use winterbourne_engine::{Data, Error, Flow, Rdd, Site};
use winterbourne_streaming::DStream;

/// Fails tasks on request. Made for a place in a program: every [`TestInput`](crate::TestInput) has one, for the tasks that
/// read it; [`through`](TestFault::through) makes one for any stream. A handle; clones are the same fault.
///
/// ```
/// use winterbourne_streaming::seconds;
/// use winterbourne_testkit::{StreamTester, TestFault};
/// let mut tester = StreamTester::new(seconds(1));
/// let (numbers, stream) = tester.input::<u64>();
/// let fault = TestFault::new();
/// let out = tester.output(&fault.through(&stream.map(|x| x + 1)));
/// fault.fail(0, 1);
/// numbers.push([1, 2]);
/// tester.step()?; // partition 0 fails once; the batch is tried again
/// assert_eq!((out.take(), fault.met()), (vec![vec![2, 3]], 1));
/// # Ok::<(), winterbourne_streaming::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct TestFault(Arc<Mutex<Faults>>);
#[derive(Default)]
struct Faults {
    /// Partition, and how many more of its tasks fail.
    due: Vec<(usize, usize)>,
    met: usize,
}

impl TestFault {
    /// No task fails yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The next `times` tasks that compute this partition fail, each behind half of the records it would have had: what
    /// comes after has seen some. Whether the task, the batch, or nothing is tried again is said by the master's
    /// `local[N,F]` and by `spark.streaming.batch.maxAttempts`.
    pub fn fail(&self, partition: usize, times: usize) {
        self.faults().due.push((partition, times));
    }
    /// No task fails any more.
    pub fn clear(&self) {
        self.faults().due.clear();
    }
    /// How many tasks have failed.
    #[must_use]
    pub fn met(&self) -> usize {
        self.faults().met
    }
    /// The same stream, whose tasks fail where it is asked for.
    #[track_caller]
    pub fn through<T: Data>(&self, stream: &DStream<T>) -> DStream<T> {
        let (fault, site) = (self.clone(), Site::caller());
        stream.transform(move |rdd, _| Ok(fault.on(rdd, site)))
    }
    pub(crate) fn on<T: Data>(&self, rdd: &Rdd<T>, site: Site) -> Rdd<T> {
        let fault = self.clone();
        rdd.narrow("test_fault", site, true, move |p, flow, _| {
            if !fault.take(p) {
                return Ok(flow);
            }
            let all: Vec<T> = flow.records().collect();
            let half = all.len() / 2;
            let mut before = Flow::from_records(all.into_iter().take(half));
            Ok(Flow::new(move || match before.next_chunk()? {
                Some(chunk) => Ok(Some(chunk)),
                None => Err(Error::User(format!("the test lets partition {p} fail").into())),
            }))
        })
    }
    fn take(&self, partition: usize) -> bool {
        let mut faults = self.faults();
        let Some((_, left)) = faults.due.iter_mut().find(|(p, left)| *p == partition && *left > 0) else {
            return false;
        };
        *left -= 1;
        faults.met += 1;
        true
    }
}
