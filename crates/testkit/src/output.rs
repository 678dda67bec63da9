//! [`TestOutput`] and [`TestConsole`]: what comes out of a program, batch by batch.
use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use winterbourne_base::Time;
use winterbourne_engine::Data;
use winterbourne_streaming::DStream;

/// Times and records.
pub type Batches<T> = Vec<(Time, Vec<T>)>;

/// The batches of a stream, as they come. A handle; it outlives the program.
///
/// An output operation runs at least once for each batch. One that ran again after a kill is listed again.
pub struct TestOutput<T> {
    state: Arc<Mutex<Listed<T>>>,
}
struct Listed<T> {
    batches: Batches<T>,
    /// How many runs are to fail before they begin, and after their records were computed.
    fail: (usize, usize),
}
impl<T> Clone for TestOutput<T> {
    fn clone(&self) -> Self {
        TestOutput { state: self.state.clone() }
    }
}
impl<T> Default for TestOutput<T> {
    fn default() -> Self {
        Self::new()
    }
}
impl<T> TestOutput<T> {
    /// Nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        TestOutput { state: Arc::new(Mutex::new(Listed { batches: Vec::new(), fail: (0, 0) })) }
    }
    fn state(&self) -> MutexGuard<'_, Listed<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Adds an output operation that lists every batch of `stream` here.
    #[track_caller]
    pub fn collect(&self, stream: &DStream<T>)
    where
        T: Data,
    {
        let out = self.clone();
        stream.foreach_rdd(move |rdd, time| {
            if spend(&mut out.state().fail.0) {
                return Err("the test lets the output fail before it begins".into());
            }
            let records = rdd.collect()?;
            let mut state = out.state();
            if spend(&mut state.fail.1) {
                return Err("the test lets the output fail when all was computed".into());
            }
            state.batches.push((time, records));
            Ok(())
        });
    }
    /// The next `times` runs of the output fail before anything is computed for them.
    pub fn fail_before(&self, times: usize) {
        self.state().fail.0 += times;
    }
    /// The next `times` runs of the output fail when their records, and the state below, were computed: nothing is listed.
    pub fn fail_after(&self, times: usize) {
        self.state().fail.1 += times;
    }
    /// The batches since the last call: their records, in partition order.
    #[must_use]
    pub fn take(&self) -> Vec<Vec<T>> {
        self.take_timed().into_iter().map(|(_, records)| records).collect()
    }
    /// The batches since the last call, with their times.
    #[must_use]
    pub fn take_timed(&self) -> Batches<T> {
        std::mem::take(&mut self.state().batches)
    }
    /// The batches since the last call, each sorted: for operators behind a shuffle.
    #[must_use]
    pub fn take_sorted(&self) -> Vec<Vec<T>>
    where
        T: Ord,
    {
        let mut all = self.take();
        all.iter_mut().for_each(|b| b.sort());
        all
    }
    /// The batches since the last call by their times, each sorted, and each once however often it ran.
    ///
    /// # Panics
    /// If a batch that ran more than once had other records: it must not.
    #[must_use]
    pub fn take_by_time(&self) -> BTreeMap<Time, Vec<T>>
    where
        T: Ord + Debug,
    {
        let mut all = BTreeMap::new();
        for (time, mut records) in self.take_timed() {
            records.sort();
            if let Some(first) = all.get(&time) {
                assert_eq!(first, &records, "batch {time} ran twice, with different records");
            }
            all.insert(time, records);
        }
        all
    }
}
/// Uses up one of these, if there is one.
fn spend(times: &mut usize) -> bool {
    let is_due = *times > 0;
    *times -= usize::from(is_due);
    is_due
}

/// What `print` printed; made by [`StreamTester::console`](crate::StreamTester::console).
#[derive(Clone, Default)]
pub struct TestConsole(Arc<Mutex<Vec<u8>>>);
impl TestConsole {
    /// The text since the last call.
    #[must_use]
    pub fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
impl io::Write for TestConsole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
