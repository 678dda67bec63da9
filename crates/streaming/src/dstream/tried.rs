//! Operators whose function may fail on a record: it fails the batch, is skipped, or becomes a dead letter.
use super::DStream;
use crate::graph::{StreamMeta, StreamOp};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering::Relaxed},
};
use winterbourne_base::{Time, time::milliseconds};
use winterbourne_engine::{BoxError, CHUNK, Chunk, Data, Error, Flow, OnBadRecord, Rdd, Result, Site, at};

/// What a `try_` operator left out, by batch and partition: a partition that is computed again, for another output or for
/// a window in a later batch, counts once. One that is not read to its end counts as far as it was read: the most that
/// anybody saw.
#[derive(Default)]
pub(crate) struct Skips(Mutex<Left>);
#[derive(Default)]
struct Left {
    new: BTreeMap<Time, BTreeMap<usize, u64>>,
    /// Of batches that somebody may still look back on, how much is counted already.
    counted: BTreeMap<(Time, usize), u64>,
}
impl Skips {
    fn left(&self) -> MutexGuard<'_, Left> {
        self.0.lock().expect("plain maps")
    }
    fn put(&self, t: Time, partition: usize, n: u64) {
        let mut left = self.left();
        if left.counted.get(&(t, partition)).is_none_or(|counted| *counted < n) {
            let most = left.new.entry(t).or_default().entry(partition).or_default();
            *most = n.max(*most);
        }
    }
    /// What was left out until the batch of t, in earlier ones that only a window has read now too. Nobody looks back
    /// on `oldest` and before any more.
    pub(crate) fn take(&self, t: Time, oldest: Time) -> u64 {
        let left = &mut *self.left();
        let later = left.new.split_off(&(t + milliseconds(1)));
        let now = std::mem::replace(&mut left.new, later);
        let mut sum = 0;
        for (place, n) in now.into_iter().flat_map(|(t, parts)| parts.into_iter().map(move |(p, n)| ((t, p), n))) {
            sum += n - left.counted.insert(place, n).unwrap_or(0);
        }
        left.counted = left.counted.split_off(&(oldest + milliseconds(1), 0));
        sum
    }
    /// Forgets the batch of t, which was set aside.
    pub(crate) fn discard(&self, t: Time) {
        self.left().new.remove(&t);
    }
}

/// A record that an operator could not work on, as a dead letter.
///
/// ```
/// # use winterbourne_streaming::BadRecord;
/// # use winterbourne_base::Time;
/// fn line_of_a_log(letter: &BadRecord<String>) -> String {
///     format!("{} {}: {} ({:?})", letter.time, letter.operator, letter.error, letter.record)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRecord<T> {
    /// The record as it came.
    pub record: T,
    /// What the function said.
    pub error: String,
    /// The id of the operator: its kind and a number that stays from run to run as long as nothing between it and the
    /// `uid`s above it changes.
    pub operator: String,
    /// The batch.
    pub time: Time,
}

/// What became of a record.
type Part<U, T> = Result<U, BadRecord<T>>;
/// What a partition's loop needs to count what it leaves out.
type Tell = Arc<dyn Fn(Time, usize, u64) + Send + Sync>;

impl<T: Data> DStream<T> {
    /// Applies a function that may fail; `on_bad` says what becomes of a record for which it does: it fails the batch,
    /// or is skipped and counted in [`StreamingStatus::skipped_records`](crate::StreamingStatus).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{OnBadRecord, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let lines: RddQueue<&str> = [sc.parallelize(["1", "x", "3"], 1)].into_iter().collect();
    /// let numbers = ssc.queue_stream(&lines).try_map(OnBadRecord::Skip, |line| line.parse::<u32>());
    /// numbers.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, [1, 3]); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// assert_eq!(ssc.status().skipped_records, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_map<U: Data, E: Into<BoxError> + 'static>(
        &self,
        on_bad: OnBadRecord,
        f: impl Fn(T) -> Result<U, E> + Send + Sync + 'static,
    ) -> DStream<U> {
        self.tried("try_map", Site::caller(), on_bad, false, move |x, out: &mut Vec<U>| {
            out.push(f(x)?);
            Ok::<(), E>(())
        })
    }
    /// Keeps the records that `keep` accepts, and the partitioner; a record that it can say nothing of is treated as in
    /// [`try_map`](DStream::try_map).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{OnBadRecord, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let lines: RddQueue<&str> = [sc.parallelize(["1", "x", "30"], 1)].into_iter().collect();
    /// let large = ssc.queue_stream(&lines).try_filter(OnBadRecord::Skip, |line| Ok::<_, std::num::ParseIntError>(line.parse::<u32>()? > 9));
    /// large.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, ["30"]); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_filter<E: Into<BoxError> + 'static>(
        &self,
        on_bad: OnBadRecord,
        keep: impl Fn(&T) -> Result<bool, E> + Send + Sync + 'static,
    ) -> DStream<T> {
        self.tried("try_filter", Site::caller(), on_bad, true, move |x, out: &mut Vec<T>| {
            if keep(&x)? {
                out.push(x);
            }
            Ok::<(), E>(())
        })
    }
    /// Replaces each record by the elements of what `f` returns; a record for which it fails is treated as in
    /// [`try_map`](DStream::try_map). The elements of one record are in memory at once, so they must come to an end.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{OnBadRecord, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let lines: RddQueue<&str> = [sc.parallelize(["1 2", "3 x", "4"], 1)].into_iter().collect();
    /// let numbers = ssc.queue_stream(&lines).try_flat_map(OnBadRecord::Skip, |line| {
    ///     line.split(' ').map(str::parse).collect::<Result<Vec<u32>, _>>() // a line is good or bad as a whole
    /// });
    /// numbers.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, [1, 2, 4]); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_flat_map<I, E: Into<BoxError> + 'static>(
        &self,
        on_bad: OnBadRecord,
        f: impl Fn(T) -> Result<I, E> + Send + Sync + 'static,
    ) -> DStream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.tried("try_flat_map", Site::caller(), on_bad, false, move |x, out: &mut Vec<I::Item>| {
            out.extend(f(x)?);
            Ok::<(), E>(())
        })
    }
    fn tried<U: Data, E: Into<BoxError> + 'static>(
        &self,
        kind: &'static str,
        site: Site,
        on_bad: OnBadRecord,
        keeps_partitioner: bool,
        f: impl Fn(T, &mut Vec<U>) -> Result<(), E> + Send + Sync + 'static,
    ) -> DStream<U> {
        let (f, tell) = (Arc::new(f), self.skips());
        self.child(kind, site, move |r, t| {
            let (f, tell) = (f.clone(), tell.clone());
            Ok(each_tried(r, kind, site, keeps_partitioner, t, tell, move |x, out| match f(x, out) {
                Err(e) if on_bad != OnBadRecord::Skip => Err(Error::User(e.into())),
                tried => Ok(tried.is_ok()),
            }))
        })
    }
    /// Applies a function that may fail; records for which it does become dead letters: a stream of their own, with the
    /// error, the operator and the batch. Each record is in exactly one of the two, and those that are dead letters are
    /// counted in [`StreamingStatus::skipped_records`](crate::StreamingStatus) if anybody computes either.
    ///
    /// Both come from one pass: what the function returns is [cached](DStream::cache) until the batch is forgotten. Give
    /// the dead letters an output, or they are gone with their batch.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let lines: RddQueue<&str> = [sc.parallelize(["1", "x", "3"], 1)].into_iter().collect();
    /// let (numbers, letters) = ssc.queue_stream(&lines).uid("lines").try_map_or_letter(|line| line.parse::<u32>());
    /// numbers.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, [1, 3]); Ok(()) });
    /// letters.foreach_rdd(|rdd, time| {
    ///     let letter = rdd.first()?;
    ///     assert_eq!((letter.record, letter.time), ("x", time));
    ///     assert_eq!(letter.error, "invalid digit found in string");
    ///     assert!(letter.operator.starts_with("try_map_or_letter-"));
    ///     Ok(())
    /// });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_map_or_letter<U: Data, E: Into<BoxError> + 'static>(
        &self,
        f: impl Fn(&T) -> Result<U, E> + Send + Sync + 'static,
    ) -> (DStream<U>, DStream<BadRecord<T>>) {
        self.parted("try_map_or_letter", Site::caller(), false, move |x, out| {
            out.push(Ok(f(&x).map_err(|e| (x, e))?));
            Ok(())
        })
    }
    /// [`try_filter`](DStream::try_filter) with [dead letters](DStream::try_map_or_letter): records that `keep` accepts,
    /// with their partitioner, and those that it can say nothing of.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let lines: RddQueue<&str> = [sc.parallelize(["1", "x", "30"], 1)].into_iter().collect();
    /// let (large, letters) = ssc
    ///     .queue_stream(&lines)
    ///     .try_filter_or_letter(|line| Ok::<_, std::num::ParseIntError>(line.parse::<u32>()? > 9));
    /// large.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, ["30"]); Ok(()) });
    /// letters.foreach_rdd(|rdd, _| { assert_eq!(rdd.first()?.record, "x"); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_filter_or_letter<E: Into<BoxError> + 'static>(
        &self,
        keep: impl Fn(&T) -> Result<bool, E> + Send + Sync + 'static,
    ) -> (DStream<T>, DStream<BadRecord<T>>) {
        self.parted("try_filter_or_letter", Site::caller(), true, move |x, out| {
            match keep(&x) {
                Ok(true) => out.push(Ok(x)),
                Ok(false) => {}
                Err(e) => return Err((x, e)),
            }
            Ok(())
        })
    }
    /// [`try_flat_map`](DStream::try_flat_map) with [dead letters](DStream::try_map_or_letter).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let lines: RddQueue<&str> = [sc.parallelize(["1 2", "3 x", "4"], 1)].into_iter().collect();
    /// let (numbers, letters) = ssc.queue_stream(&lines).try_flat_map_or_letter(|line| {
    ///     line.split(' ').map(str::parse).collect::<Result<Vec<u32>, _>>()
    /// });
    /// numbers.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, [1, 2, 4]); Ok(()) });
    /// letters.foreach_rdd(|rdd, _| { assert_eq!(rdd.first()?.record, "3 x"); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_flat_map_or_letter<I, E: Into<BoxError> + 'static>(
        &self,
        f: impl Fn(&T) -> Result<I, E> + Send + Sync + 'static,
    ) -> (DStream<I::Item>, DStream<BadRecord<T>>)
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.parted("try_flat_map_or_letter", Site::caller(), false, move |x, out| {
            out.extend(f(&x).map_err(|e| (x, e))?.into_iter().map(Ok));
            Ok(())
        })
    }
    fn parted<U: Data, E: Into<BoxError> + 'static>(
        &self,
        kind: &'static str,
        site: Site,
        keeps_partitioner: bool,
        f: impl Fn(T, &mut Vec<Part<U, T>>) -> Result<(), (T, E)> + Send + Sync + 'static,
    ) -> (DStream<U>, DStream<BadRecord<T>>) {
        let (f, tell, parent) = (Arc::new(f), self.skips(), self.op.clone());
        let meta = StreamMeta::new(kind, site, self.slide_duration()).parent(&self.op);
        let id = meta.id.clone();
        let op = StreamOp::new(meta, move |t| {
            let Some(r) = parent.rdd(t)? else { return Ok(None) };
            let (f, tell, id) = (f.clone(), tell.clone(), id.get());
            Ok(Some(each_tried(&r, kind, site, keeps_partitioner, t, tell, move |record, out| match f(record, out) {
                Ok(()) => Ok(true),
                Err((record, e)) => {
                    let error = e.into().to_string();
                    out.push(Err(BadRecord { record, error, operator: id.to_string(), time: t }));
                    Ok(false)
                }
            })))
        });
        let both = DStream::of(&self.ssc, op).cache();
        let good = both.child("good_records", site, move |r, _| {
            Ok(picked(r, "good_records", site, keeps_partitioner, Result::ok, |x| x.as_ref().ok()))
        });
        let letters = both.child("dead_letters", site, move |r, _| {
            Ok(picked(r, "dead_letters", site, false, Result::err, |x| x.as_ref().err()))
        });
        (good, letters)
    }
    fn skips(&self) -> Tell {
        let skips = Arc::new(Skips::default());
        self.ssc.graph().parts().skips.push(skips.clone());
        Arc::new(move |t, p, n| skips.put(t, p, n))
    }
}

/// Counts what a partition leaves out when its flow goes, whether or not it was read to its end.
struct Bad<F: Fn(u64)> {
    n: u64,
    tell: F,
}
impl<F: Fn(u64)> Bad<F> {
    fn one_more(&mut self) {
        self.n += 1;
    }
}
impl<F: Fn(u64)> Drop for Bad<F> {
    fn drop(&mut self) {
        if self.n > 0 {
            (self.tell)(self.n);
        }
    }
}
/// Hands each record to `f`, which says whether it was good, and counts those that were not.
fn each_tried<T: Data, U: Data>(
    r: &Rdd<T>,
    kind: &'static str,
    site: Site,
    keeps_partitioner: bool,
    time: Time,
    tell: Tell,
    f: impl Fn(T, &mut Vec<U>) -> Result<bool> + Send + Sync + 'static,
) -> Rdd<U> {
    let f = Arc::new((f, tell));
    r.narrow(kind, site, keeps_partitioner, move |p, mut flow, task| {
        let (f, teller, counting) = (f.clone(), f.clone(), task.clone());
        let tell = move |n| {
            counting.counters().skipped_records.fetch_add(n, Relaxed);
            (teller.1)(time, p, n);
        };
        let (task, mut bad, mut waiting) = (task.clone(), Bad { n: 0, tell }, Vec::new().into_iter());
        Ok(Flow::new(move || {
            let mut out = Vec::with_capacity(CHUNK);
            // What one record becomes may be long: a chunk goes on when it is full, the rest of its records wait.
            loop {
                task.check()?;
                at(site);
                for x in waiting.by_ref() {
                    if !(f.0)(x, &mut out)? {
                        bad.one_more();
                    }
                    if out.len() >= CHUNK {
                        break;
                    }
                }
                if !out.is_empty() {
                    return Ok(Some(Chunk::Own(out)));
                }
                match flow.next_chunk()? {
                    Some(c) => waiting = c.into_vec().into_iter(),
                    None => return Ok(None),
                }
            }
        }))
    })
}

/// One half of what was parted; of shared chunks only that half is cloned.
fn picked<X: Data, W: Data>(
    r: &Rdd<X>,
    kind: &'static str,
    site: Site,
    keeps_partitioner: bool,
    own: impl Fn(X) -> Option<W> + Copy + Send + Sync + 'static,
    shared: impl Fn(&X) -> Option<&W> + Copy + Send + Sync + 'static,
) -> Rdd<W> {
    r.narrow(kind, site, keeps_partitioner, move |_, flow, _| {
        Ok(flow.map_chunks(move |c| match c {
            Chunk::Own(v) => v.into_iter().filter_map(own).collect(),
            Chunk::Shared(v, range) => v[range].iter().filter_map(shared).cloned().collect(),
        }))
    })
}
