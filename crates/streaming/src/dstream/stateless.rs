//! Operators that look at one batch at a time.
use super::DStream;
use crate::graph::{StreamMeta, StreamOp};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use winterbourne_base::{Time, time::milliseconds};
use winterbourne_engine::{BoxError, Data, Flow, OnBadRecord, Rdd, Records, Result, Site};

/// What a `try_` operator skipped, by batch and partition: two outputs that compute the same partition count it once.
#[derive(Default)]
pub(crate) struct Skips(Mutex<BTreeMap<Time, BTreeMap<usize, u64>>>);
impl Skips {
    fn put(&self, t: Time, partition: usize, n: u64) {
        self.0.lock().expect("plain map").entry(t).or_default().insert(partition, n);
    }
    /// What was skipped until the batch of t, in earlier ones that only a window has read now too; forgotten afterwards.
    pub(crate) fn take(&self, t: Time) -> u64 {
        let mut all = self.0.lock().expect("plain map");
        let later = all.split_off(&(t + milliseconds(1)));
        std::mem::replace(&mut *all, later).values().flat_map(BTreeMap::values).sum()
    }
    /// Forgets the batch of t, which was set aside.
    pub(crate) fn discard(&self, t: Time) {
        self.0.lock().expect("plain map").remove(&t);
    }
}

impl<T: Data> DStream<T> {
    /// Applies `f` to each record.
    #[track_caller]
    pub fn map<U: Data>(&self, f: impl Fn(T) -> U + Send + Sync + 'static) -> DStream<U> {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("map", site, move |r, _| {
            let f = f.clone();
            Ok(r.map_at(site, move |x| f(x)))
        })
    }
    /// Keeps the records that `keep` accepts.
    #[track_caller]
    pub fn filter(&self, keep: impl Fn(&T) -> bool + Send + Sync + 'static) -> DStream<T> {
        let (keep, site) = (Arc::new(keep), Site::caller());
        self.child("filter", site, move |r, _| {
            let keep = keep.clone();
            Ok(r.filter_at(site, move |x| keep(x)))
        })
    }
    /// Replaces each record by the elements of what `f` returns, which must own them; see
    /// [`Rdd::flat_map`](winterbourne_engine::Rdd::flat_map).
    #[track_caller]
    pub fn flat_map<I>(&self, f: impl Fn(T) -> I + Send + Sync + 'static) -> DStream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("flat_map", site, move |r, _| {
            let f = f.clone();
            Ok(r.flat_map_at(site, move |x| f(x)))
        })
    }
    /// Flat-map by pushing; the record is borrowed. See [`Rdd::emit`](winterbourne_engine::Rdd::emit).
    #[track_caller]
    pub fn emit<U: Data>(&self, f: impl Fn(&T, &mut dyn FnMut(U)) + Send + Sync + 'static) -> DStream<U> {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("emit", site, move |r, _| {
            let f = f.clone();
            Ok(r.emit_at(site, move |x, out| f(x, out)))
        })
    }
    /// Applies `f` to each partition of each batch as a whole, empty ones included.
    #[track_caller]
    pub fn map_partitions<I>(&self, f: impl Fn(Records<T>) -> I + Send + Sync + 'static) -> DStream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let (f, site) = (Arc::new(f), Site::caller());
        self.child("map_partitions", site, move |r, _| {
            let f = f.clone();
            Ok(r.map_partitions_at(site, move |_, records| f(records)))
        })
    }
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
        let (f, site, skips) = (Arc::new(f), Site::caller(), Arc::new(Skips::default()));
        self.ssc.graph().parts().skips.push(skips.clone());
        self.child("try_map", site, move |r, t| {
            let (f, skips) = (f.clone(), skips.clone());
            Ok(r.try_map_at(site, on_bad, move |x| f(x), move |p, n| skips.put(t, p, n)))
        })
    }
    /// Exactly one number per batch: how many records it has, 0 for an empty one.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = [sc.range(0..5, 3), sc.empty_rdd()].into_iter().collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches).count().foreach_rdd(move |rdd, _| Ok(seen.send(rdd.collect()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// run.step()?;
    /// run.step()?;
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [[5], [0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn count(&self) -> DStream<u64> {
        let site = Site::caller();
        self.child("count", site, move |r, _| {
            let parts = r.narrow("count", site, false, |_, flow, _| {
                let mut n = 0;
                flow.each(|c| {
                    n += c.len() as u64;
                    Ok(())
                })?;
                Ok(Flow::from_records(std::iter::once(((), n))))
            });
            let one = winterbourne_engine::lineage::Count::known(1);
            let sum = parts.reduce_by_key_at(site, |a: u64, b| a + b, one);
            Ok(sum.map_partitions_at(site, |_, all| [all.map(|(_, n)| n).sum()]))
        })
    }
    /// All records of both. Both must have the same slide duration. Where one has nothing to do for a time, the result
    /// is the other.
    #[track_caller]
    pub fn union(&self, other: &DStream<T>) -> DStream<T> {
        self.ssc.union_at(Site::caller(), &[self.clone(), other.clone()])
    }
    /// Applies a function from RDD to RDD to each batch, on the driver: joins with static RDDs, sorting, whatever RDDs
    /// can do. It may own mutable state and static RDDs and may run actions; it runs again if the batch is tried again.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 2)].into_iter().collect();
    /// let fixed = sc.parallelize([100, 200], 1);
    /// let both = ssc.queue_stream(&batches).transform(move |rdd, _time| Ok(rdd.union(&fixed)));
    /// both.foreach_rdd(|rdd, _| { assert_eq!(rdd.count()?, 7); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn transform<U: Data>(
        &self,
        f: impl FnMut(&Rdd<T>, Time) -> Result<Rdd<U>, BoxError> + Send + 'static,
    ) -> DStream<U> {
        let f = Mutex::new(f);
        self.child("transform", Site::caller(), move |r, t| {
            // One batch is generated at a time; a panic of the closure fails that batch, not the ones after it.
            let mut f = f.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Ok(f(r, t)?)
        })
    }
}

impl crate::StreamingContext {
    /// All records of several streams, which must have the same slide duration.
    #[track_caller]
    pub fn union<T: Data>(&self, streams: &[DStream<T>]) -> DStream<T> {
        self.union_at(Site::caller(), streams)
    }
    pub(crate) fn union_at<T: Data>(&self, site: Site, streams: &[DStream<T>]) -> DStream<T> {
        let slide = streams.first().map_or(self.batch_duration(), DStream::slide_duration);
        if streams.is_empty() {
            self.graph().wrong(site, "union of no streams; give at least one");
        }
        if let Some(other) = streams.iter().find(|s| s.slide_duration() != slide) {
            let what = "union: some of the DStreams have different slide durations";
            self.graph()
                .wrong(site, format!("{what} ({slide} and {}); window them alike first", other.slide_duration()));
        }
        if streams.iter().any(|s| !s.ssc.same(self)) {
            self.graph().wrong(site, "union: the DStreams belong to different contexts; build all from one");
        }
        let mut meta = StreamMeta::new("union", site, slide);
        for s in streams.iter().filter(|s| s.ssc.same(self)) {
            meta = meta.parent(&s.op);
        }
        let parents: Vec<_> = streams.iter().map(|s| s.op.clone()).collect();
        let op = StreamOp::new(meta, move |t| {
            let mut rdds = Vec::with_capacity(parents.len());
            for p in &parents {
                rdds.extend(p.rdd(t)?);
            }
            Ok(match rdds.len() {
                0 => None,
                1 => rdds.pop(),
                _ => Some(Rdd::union_all(&rdds, site)),
            })
        });
        DStream::of(self, op)
    }
}
