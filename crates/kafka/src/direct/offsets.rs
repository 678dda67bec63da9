//! [`Offsets`]: the ranges of batches, and commits that a program asks for.
use crate::{OffsetRange, TopicPartition};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use winterbourne_base::Time;

/// Batches whose ranges are kept.
const KEPT: usize = 64;

/// What becomes of a commit, with the error if it failed.
pub(super) type Callback = Box<dyn FnOnce(Result<(), crate::Error>) + Send>;

#[derive(Default)]
struct State {
    ranges: BTreeMap<Time, Vec<OffsetRange>>,
    /// To be committed with the next batch; the highest of each partition.
    wanted: BTreeMap<TopicPartition, i64>,
    callback: Option<Callback>,
}

/// What a direct stream knows of its offsets; for closures, on any thread.
#[derive(Clone, Default)]
pub struct Offsets(Arc<Mutex<State>>);
impl Offsets {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The ranges of the batch of `time`: range i is partition i of the RDD that comes right from the stream. None for a
    /// batch that has not begun, or is long done.
    ///
    /// ```no_run
    /// # use winterbourne_kafka::*;
    /// # use winterbourne_streaming::{StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let params = KafkaParams::new("localhost:9092").set("group.id", "clicks").set("enable.auto.commit", "false");
    /// let strategy = ConsumerStrategies::subscribe(["clicks"], params);
    /// let stream = KafkaUtils::create_direct_stream::<_, String>(
    ///     &ssc, LocationStrategies::prefer_consistent(), strategy, Nullable(AsBytes), AsText);
    /// let offsets = stream.offsets();
    /// stream.foreach_rdd(move |rdd, time| {
    ///     let ranges = offsets.ranges(time).unwrap_or_default();
    ///     println!("{} records of {} partitions", rdd.count()?, ranges.len());
    ///     offsets.commit_async(&ranges);
    ///     Ok(())
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "offsetRanges")]
    pub fn ranges(&self, time: Time) -> Option<Vec<OffsetRange>> {
        self.state().ranges.get(&time).cloned()
    }
    /// Has the ends of these ranges committed for `group.id`, with the next batch; of several calls the highest offset of a
    /// partition counts. The stream does not look at them as long as it has a batch log: they are for other tools. Where
    /// `enable.auto.commit` is not `false`, the stream commits by itself when a batch is done.
    #[doc(alias = "commitAsync")]
    pub fn commit_async(&self, ranges: &[OffsetRange]) {
        self.want(ranges, None);
    }
    /// As [`commit_async`](Self::commit_async); `done` is told what came of it, on the batch loop. Of several calls before
    /// one commit, the last one's is told.
    pub fn commit_async_with(
        &self,
        ranges: &[OffsetRange],
        done: impl FnOnce(Result<(), crate::Error>) + Send + 'static,
    ) {
        self.want(ranges, Some(Box::new(done)));
    }
    fn want(&self, ranges: &[OffsetRange], callback: Option<Callback>) {
        let mut state = self.state();
        for r in ranges {
            let wanted = state.wanted.entry(r.partition.clone()).or_insert(r.until);
            *wanted = r.until.max(*wanted);
        }
        if callback.is_some() {
            state.callback = callback;
        }
    }

    pub(super) fn begin(&self, time: Time, ranges: Vec<OffsetRange>) {
        let mut state = self.state();
        state.ranges.insert(time, ranges);
        while state.ranges.len() > KEPT {
            state.ranges.pop_first();
        }
    }
    /// What is to be committed now, and whom to tell.
    pub(super) fn take_wanted(&self) -> (BTreeMap<TopicPartition, i64>, Option<Callback>) {
        let mut state = self.state();
        (std::mem::take(&mut state.wanted), state.callback.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_offset_and_the_last_callback_count() {
        let offsets = Offsets::default();
        let (tell, told) = std::sync::mpsc::channel();
        let again = tell.clone();
        offsets.commit_async_with(&[OffsetRange::new("t", 0, 0, 9)], move |_| tell.send(1).unwrap());
        offsets.commit_async_with(&[OffsetRange::new("t", 0, 0, 4), OffsetRange::new("t", 1, 0, 2)], move |_| {
            again.send(2).unwrap();
        });
        let (wanted, callback) = offsets.take_wanted();
        assert_eq!(wanted.values().copied().collect::<Vec<_>>(), [9, 2]);
        callback.expect("the last one")(Ok(()));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [2]);
        assert!(offsets.take_wanted().0.is_empty());
    }
    #[test]
    fn ranges_of_old_batches_are_forgotten() {
        let offsets = Offsets::default();
        (0..100).for_each(|n| offsets.begin(Time::from_millis(n), vec![OffsetRange::new("t", 0, 0, n as i64)]));
        assert_eq!(offsets.ranges(Time::from_millis(99)).map(|r| r[0].until), Some(99));
        assert_eq!(offsets.ranges(Time::from_millis(100 - KEPT as u64 - 1)), None);
    }
}
