//! Output operations: what makes a stream run.
use super::DStream;
use crate::{
    graph::{IdCell, Job, Output},
    sink::{self, Sink},
};
use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};
use winterbourne_base::Time;
use winterbourne_engine::{BoxError, Data, Error, Rdd, Records, Result, Show, Site, show};

/// Which partition of an output operation's batch this is. The three together are the same when a batch is run again, also
/// after a restart, so they can serve as the key of a write that is to happen once.
///
/// The records of a partition are the same again if the operators before it are deterministic and the number of
/// partitions is not changed between two builds of a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct OutputPartition {
    /// The id of the output operation.
    pub operator: Arc<str>,
    /// The batch.
    pub time: Time,
    /// The partition of its RDD.
    pub partition: usize,
}
/// `foreach_partition-0f1e…~0/946684801000/3`: fit for a transaction id.
impl fmt::Display for OutputPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.operator, self.time.as_millis(), self.partition)
    }
}

/// Under and over the time, as Spark prints it.
const RULE: &str = "-------------------------------------------";
const PRINTED: usize = 10;

impl<T: Data> DStream<T> {
    /// Runs `f` on the driver for the RDD of every batch, in registration order with the other output operations. What
    /// it does to the outside is done at least once: a batch that failed is tried again (an output that succeeded is not
    /// repeated). The body ends in `Ok(())`; any error fails the batch.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 2)].into_iter().collect();
    /// let mut total = 0; // an ordinary closure: it may own and change things
    /// ssc.queue_stream(&batches).foreach_rdd(move |rdd, time| {
    ///     total += rdd.count()?;
    ///     println!("{time}: {total} so far");
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "foreachRDD")]
    #[track_caller]
    pub fn foreach_rdd(&self, mut f: impl FnMut(&Rdd<T>, Time) -> Result<(), BoxError> + Send + 'static) {
        self.output("foreach_rdd", Site::caller(), move |rdd, time, _| f(rdd, time));
    }
    /// Hands each partition of each batch to `f`, in tasks, with what is needed to write it once: one connection per
    /// partition, one transaction. A task or a batch that fails is tried again and hands over its records again; `f` finds
    /// out from the [`OutputPartition`] whether they were written. The error of an operator before it unwinds through `f`,
    /// so what follows its loop does not run on half a partition.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use std::{collections::HashMap, sync::{Arc, Mutex}};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..6, 2)].into_iter().collect();
    /// let table = Arc::new(Mutex::new(HashMap::new())); // a database: a row for each partition of each batch
    /// let rows = table.clone();
    /// ssc.queue_stream(&batches).foreach_partition(move |id, records| {
    ///     let sum: u64 = records.sum();
    ///     rows.lock().unwrap().insert(id.to_string(), sum); // inserting twice changes nothing
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// let mut sums: Vec<u64> = table.lock().unwrap().values().copied().collect();
    /// sums.sort();
    /// assert_eq!(sums, [3, 12]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "foreachPartition")]
    #[track_caller]
    pub fn foreach_partition(
        &self,
        f: impl Fn(&OutputPartition, Records<T>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) {
        let f = Arc::new(f);
        self.output("foreach_partition", Site::caller(), move |rdd, time, operator| {
            let (f, operator) = (f.clone(), operator.clone());
            let each =
                move |partition, records| f(&OutputPartition { operator: operator.clone(), time, partition }, records);
            Ok(rdd.foreach_partition(each)?)
        });
    }
    /// Writes every batch to `sink`, which commits with the batch: what it shows of a batch is all of it and once, also
    /// after failures, and with a [checkpoint directory](crate::StreamingContext::checkpoint) after a kill of the process
    /// at any moment. That holds if a batch that is run again gives the same records, which is so for operators whose
    /// functions depend on nothing but their arguments, and for sources that can be read again.
    ///
    /// `name` is what the sink's target knows it by. Keep it as long as the target is the same: a batch that was under way
    /// when a program was stopped is written again under another name. No other sink of the program may have it.
    ///
    /// ```
    /// # use std::sync::{Arc, Mutex};
    /// # use winterbourne_engine::{BoxError, Records, SparkConf, SparkContext};
    /// # use winterbourne_streaming::{Recovered, RddQueue, Sink, SinkWriter, StreamingContext, Time, seconds};
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
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..3, 2)].into_iter().collect();
    /// let table = Table::default(); // the example of `Sink`
    /// ssc.queue_stream(&batches).map(|x| x * x).write_to("squares", table.clone());
    /// ssc.start_stepped()?.step()?;
    /// assert_eq!(table.0.lock().unwrap().0, [0, 1, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn write_to(&self, name: impl Into<String>, sink: impl Sink<T>) {
        let (kind, site, name) = ("write_to", Site::caller(), name.into());
        if !self.ssc.may_add(kind, site) {
            return;
        }
        let twin = self.ssc.graph().parts().outputs.iter().find(|o| o.name.as_ref() == Some(&name)).map(|o| o.site);
        if let Some(first) = twin {
            let what = format!("the sink {name:?} has the name of the one at {first}: give it another");
            return self.ssc.graph().wrong(site, what);
        }
        let node = Arc::new(sink::Node::new(sink));
        let (op, own) = (self.op.clone(), node.clone());
        let generate = move |t| -> Result<Option<Job>> {
            let Some(rdd) = op.rdd(t)? else { return Ok(None) };
            let node = own.clone();
            Ok(Some(Box::new(move || node.stage(t, &rdd).map_err(Error::from))))
        };
        let parent = self.op.clone();
        let (id, generate) = (IdCell::default(), Box::new(generate));
        let output = Output { kind, site, parent, id, name: Some(name), sink: Some(node), generate };
        self.ssc.graph().parts().outputs.push(output);
    }
    /// Prints the first ten records of every batch to standard output, in Spark's format.
    #[track_caller]
    pub fn print(&self)
    where
        T: Show,
    {
        self.print_at(Site::caller(), PRINTED);
    }
    /// Prints the first `n` records of every batch: a line of 43 dashes, `Time: <ms> ms`, the dashes again, the records
    /// in their [text form](winterbourne_engine::show), `...` if there are more, and an empty line. Computes no more
    /// partitions than needed.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 2)].into_iter().collect();
    /// ssc.queue_stream(&batches).map(|x| (x, x * x)).print_n(2);
    /// ssc.start_stepped()?.step()?;
    /// // -------------------------------------------
    /// // Time: 1763827200000 ms
    /// // -------------------------------------------
    /// // (0,0)
    /// // (1,1)
    /// // ...
    /// //
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn print_n(&self, n: usize)
    where
        T: Show,
    {
        self.print_at(Site::caller(), n);
    }
    fn print_at(&self, site: Site, n: usize)
    where
        T: Show,
    {
        let console = self.ssc.console();
        self.output("print", site, move |rdd, time, _| {
            let first = rdd.take(n.saturating_add(1))?;
            let mut text = format!("{RULE}\nTime: {time}\n{RULE}\n");
            for x in first.iter().take(n) {
                writeln!(text, "{}", show(x))?;
            }
            text.push_str(if first.len() > n { "...\n\n" } else { "\n" });
            let mut console = console.lock().unwrap_or_else(PoisonError::into_inner);
            console.write_all(text.as_bytes())?;
            Ok(console.flush()?)
        });
    }
    pub(super) fn output(
        &self,
        kind: &'static str,
        site: Site,
        f: impl FnMut(&Rdd<T>, Time, &Arc<str>) -> Result<(), BoxError> + Send + 'static,
    ) {
        if !self.ssc.may_add(kind, site) {
            return;
        }
        let (f, op, id) = (Arc::new(Mutex::new(f)), self.op.clone(), IdCell::default());
        let own = id.clone();
        let generate = move |t| -> Result<Option<Job>> {
            let Some(rdd) = op.rdd(t)? else { return Ok(None) };
            let (f, id) = (f.clone(), own.get());
            Ok(Some(Box::new(move || {
                // One job of an output runs at a time; a panic fails its batch, not the ones after it.
                let mut f = f.lock().unwrap_or_else(PoisonError::into_inner);
                f(&rdd, t, &id).map_err(Error::from)
            })))
        };
        let parent = self.op.clone();
        let output = Output { kind, site, parent, id, name: None, sink: None, generate: Box::new(generate) };
        self.ssc.graph().parts().outputs.push(output);
    }
}
