//! Looking back on a stream from outside of its batches.
use super::DStream;
use crate::{Error, Result, StreamingState};
use winterbourne_base::{Interval, Time};
use winterbourne_engine::{Data, Rdd, Site};

impl<T: Data> DStream<T> {
    /// The RDDs of the times from `begin` to `end`, both included, oldest first. Ends that are not multiples of the slide
    /// (counted from zero time) are rounded down; times at or before zero time have no RDD, nor have those where there was
    /// nothing to do.
    ///
    /// Batches that are not done yet have none either: only the batch loop asks the inputs. What is done may be asked for
    /// as long as the stream remembers it: [`remember`](crate::StreamingContext::remember) says how long at least. An RDD
    /// that no output asked for in its batch is made now.
    ///
    /// ```
    /// # use winterbourne_streaming::{Interval, RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = (1..5).map(|i| sc.range(i..i + 1, 1)).collect();
    /// let squares = ssc.queue_stream(&batches).map(|x| x * x);
    /// squares.print();
    /// ssc.remember(seconds(60));
    /// let mut run = ssc.start_stepped()?;
    /// let first = run.step()?;
    /// for _ in 0..3 { run.step()?; }
    /// let mut seen = Vec::new();
    /// for rdd in squares.slice(Interval::new(first + seconds(1), first + seconds(2)))? {
    ///     seen.push(rdd.collect()?);
    /// }
    /// assert_eq!(seen, [[4], [9]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotStarted`] before `start`; [`Error::Forgotten`] if one of the times is not remembered any more; what
    /// making an RDD met.
    #[track_caller]
    pub fn slice(&self, interval: Interval) -> Result<Vec<Rdd<T>>> {
        self.slice_at(Site::caller(), interval.begin, interval.end)
    }
    /// [`slice`](DStream::slice) from one time to another.
    ///
    /// # Errors
    /// As `slice`.
    #[track_caller]
    pub fn slice_between(&self, begin: Time, end: Time) -> Result<Vec<Rdd<T>>> {
        self.slice_at(Site::caller(), begin, end)
    }
    fn slice_at(&self, site: Site, begin: Time, end: Time) -> Result<Vec<Rdd<T>>> {
        let meta = &self.op.meta;
        if self.ssc.state() == StreamingState::Initialized {
            return Err(Error::NotStarted { operator: meta.kind, site });
        }
        let (slide, zero) = (meta.slide, meta.zero());
        let Some(done) = self.ssc.status().last_batch else { return Ok(Vec::new()) };
        let (begin, end) = (begin.floor_from(slide, zero), end.min(done).floor_from(slide, zero));
        let mut out = Vec::new();
        for t in begin.max(zero + slide).to(end, slide) {
            if !self.op.remembers(t) {
                return Err(Error::Forgotten { operator: meta.kind, site, time: t, remembered: meta.remembers() });
            }
            out.extend(self.op.rdd(t)?);
        }
        Ok(out)
    }
}
