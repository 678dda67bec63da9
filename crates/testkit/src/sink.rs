//! [`check_sink`]: the clauses of a sink's contract, one after the other.
use crate::TEST_START;
use std::sync::Arc;
use winterbourne_base::{SparkConf, Time, time::seconds};
use winterbourne_engine::{Rdd, SparkContext};
use winterbourne_streaming::{Recovered, Sink, SinkPlace, SinkWriter};

type Staged<S> = <<S as Sink<u64>>::Writer as SinkWriter<u64>>::Staged;

/// Puts a sink through its [contract](winterbourne_streaming::Sink). `open` gives a sink on one and the same target, as each
/// new process of a program would; `read` gives what a reader of the target sees at that moment, in any order. The target
/// is empty at first. A process that is killed is a sink that is dropped.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use winterbourne_engine::{BoxError, Records};
/// use winterbourne_streaming::{Recovered, Sink, SinkWriter, Time};
/// # #[derive(Clone, Default)]
/// # struct Table(Arc<Mutex<(Vec<u64>, Option<Time>)>>);
/// # struct Stage;
/// # impl SinkWriter<u64> for Stage {
/// #     type Staged = Vec<u64>;
/// #     fn stage(&self, _: usize, records: Records<u64>) -> Result<Vec<u64>, BoxError> { Ok(records.collect()) }
/// # }
/// # impl Sink<u64> for Table {
/// #     type Writer = Stage;
/// #     fn recover(&mut self, batch: Time) -> Result<Recovered, BoxError> {
/// #         Ok(if self.0.lock().unwrap().1 == Some(batch) { Recovered::Committed } else { Recovered::Absent })
/// #     }
/// #     fn begin(&mut self, _: Time) -> Result<Stage, BoxError> { Ok(Stage) }
/// #     fn commit(&mut self, batch: Time, staged: Vec<Vec<u64>>) -> Result<(), BoxError> {
/// #         let mut table = self.0.lock().unwrap();
/// #         table.0.extend(staged.into_iter().flatten());
/// #         table.1 = Some(batch);
/// #         Ok(())
/// #     }
/// #     fn abort(&mut self, _: Time) {}
/// # }
/// let table = Table::default(); // the example of `Sink`
/// winterbourne_testkit::check_sink(|| table.clone(), || table.0.lock().unwrap().0.clone());
/// ```
///
/// # Panics
/// If a clause does not hold; the message says which.
pub fn check_sink<S: Sink<u64>>(open: impl FnMut() -> S, read: impl FnMut() -> Vec<u64>) {
    let conf = SparkConf::empty().set_app_name("check-sink").set_master("local[2]");
    let sc = SparkContext::new(conf).expect("a configuration for a test");
    let mut check = Check { sc, open, read, expected: Vec::new(), batch: 0 };
    let mut sink = check.process();
    check.hidden_then_whole(&mut sink);
    check.aborted_twice(&mut sink);
    check.no_halves(&mut sink);
    check.nothing_to_write(&mut sink);
    sink = check.killed_before_the_commit(sink);
    sink = check.killed_after_the_commit(sink);
    check.hidden_then_whole(&mut sink);
}

struct Check<O, R> {
    sc: SparkContext,
    open: O,
    read: R,
    expected: Vec<u64>,
    batch: u64,
}
impl<S: Sink<u64>, O: FnMut() -> S, R: FnMut() -> Vec<u64>> Check<O, R> {
    fn process(&mut self) -> S {
        let mut sink = (self.open)();
        let place = SinkPlace::new("check-sink", "checked", seconds(1));
        sink.open(&place).unwrap_or_else(|e| panic!("the sink does not open: {e}"));
        sink
    }
    /// A batch of its own numbers, on three partitions.
    fn next(&mut self) -> (Time, Vec<u64>) {
        self.batch += 1;
        (TEST_START + seconds(self.batch), (self.batch * 100..self.batch * 100 + 10).collect())
    }
    fn stage(
        &self,
        sink: &mut S,
        batch: Time,
        records: &Rdd<u64>,
    ) -> Result<Vec<Staged<S>>, winterbourne_engine::Error> {
        let writer = Arc::new(sink.begin(batch).unwrap_or_else(|e| panic!("batch {batch} does not begin: {e}")));
        let partitions = (0..records.num_partitions()?).collect();
        self.sc.run_job(records, partitions, move |p, flow, _| Ok(writer.stage(p, flow.records())?))
    }
    fn staged(&self, sink: &mut S, batch: Time, records: &[u64]) -> Vec<Staged<S>> {
        let rdd = self.sc.parallelize(records.to_vec(), 3);
        self.stage(sink, batch, &rdd).unwrap_or_else(|e| panic!("batch {batch} is not staged: {e}"))
    }
    fn commit(&mut self, sink: &mut S, batch: Time, records: &[u64]) {
        let staged = self.staged(sink, batch, records);
        sink.commit(batch, staged).unwrap_or_else(|e| panic!("batch {batch} is not committed: {e}"));
        self.expected.extend(records);
    }
    #[track_caller]
    fn sees(&mut self, clause: &str) {
        let mut seen = (self.read)();
        seen.sort_unstable();
        assert_eq!(seen, self.expected, "clause `{clause}`: readers do not see what was committed");
    }
    #[track_caller]
    fn asked(sink: &mut S, batch: Time, expect: Recovered) {
        let found = sink.recover(batch).unwrap_or_else(|e| panic!("clause `asked`: batch {batch}: {e}"));
        assert_eq!(found, expect, "clause `asked`: batch {batch}");
    }

    fn hidden_then_whole(&mut self, sink: &mut S) {
        let (batch, records) = self.next();
        Self::asked(sink, batch, Recovered::Absent);
        let staged = self.staged(sink, batch, &records);
        self.sees("hidden");
        sink.commit(batch, staged).unwrap_or_else(|e| panic!("batch {batch} is not committed: {e}"));
        self.expected.extend(records);
        self.sees("whole");
        Self::asked(sink, batch, Recovered::Committed);
    }
    fn aborted_twice(&mut self, sink: &mut S) {
        let (before, _) = self.next();
        sink.abort(before);
        let (batch, records) = self.next();
        drop(self.staged(sink, batch, &records));
        sink.abort(batch);
        sink.abort(batch);
        self.sees("idempotent");
        Self::asked(sink, batch, Recovered::Absent);
        self.commit(sink, batch, &records);
        self.sees("forgetting");
    }
    fn no_halves(&mut self, sink: &mut S) {
        let (batch, records) = self.next();
        let last = records.last().copied().expect("some records");
        let broken = self.sc.parallelize(records.clone(), 3).map(move |x| {
            assert!(x != last, "the last record fails on purpose");
            x
        });
        assert!(self.stage(sink, batch, &broken).is_err(), "clause `no halves`: the error of a record was swallowed");
        sink.abort(batch);
        self.sees("no halves");
        self.commit(sink, batch, &records);
        self.sees("no halves");
    }
    fn nothing_to_write(&mut self, sink: &mut S) {
        let (batch, _) = self.next();
        self.commit(sink, batch, &[]);
        self.sees("whole");
    }
    fn killed_before_the_commit(&mut self, mut sink: S) -> S {
        let (batch, records) = self.next();
        drop(self.staged(&mut sink, batch, &records));
        drop(sink);
        let mut sink = self.process();
        Self::asked(&mut sink, batch, Recovered::Absent);
        self.sees("forgetting");
        self.commit(&mut sink, batch, &records);
        self.sees("forgetting");
        sink
    }
    fn killed_after_the_commit(&mut self, mut sink: S) -> S {
        let (batch, records) = self.next();
        self.commit(&mut sink, batch, &records);
        drop(sink);
        let mut sink = self.process();
        Self::asked(&mut sink, batch, Recovered::Committed);
        self.sees("whole");
        sink
    }
}
