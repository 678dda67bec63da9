//! Windows over batches.
use super::DStream;
use crate::graph::{StreamMeta, StreamOp};
use winterbourne_base::{Duration, IntoDuration};
use winterbourne_engine::{Data, Rdd, Site};

impl<T: Data> DStream<T> {
    /// The last `window` of this stream at every batch of it: [`window_by`](DStream::window_by) with its own slide.
    #[track_caller]
    pub fn window(&self, window: impl IntoDuration) -> DStream<T> {
        let site = Site::caller();
        let window = self.duration(site, "window", window);
        self.window_at(site, window, self.slide_duration())
    }
    /// At every multiple of `slide`: the union of this stream's RDDs of the times in `(t - window, t]`, oldest first.
    /// Both durations must be multiples of this stream's slide. First windows are partial. A window shorter than its
    /// slide leaves out what lies between. This stream is [cached](DStream::cache).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// let batches: RddQueue<u64> = (1..5).map(|i| sc.range(i..i + 1, 1)).collect();
    /// let (seen, out) = std::sync::mpsc::channel();
    /// ssc.queue_stream(&batches)
    ///     .window_by(seconds(3), seconds(2))
    ///     .foreach_rdd(move |rdd, _| Ok(seen.send(rdd.collect()?)?));
    /// let mut run = ssc.start_stepped()?;
    /// for _ in 0..4 { run.step()?; }
    /// assert_eq!(out.try_iter().collect::<Vec<_>>(), [vec![1, 2], vec![2, 3, 4]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn window_by(&self, window: impl IntoDuration, slide: impl IntoDuration) -> DStream<T> {
        let site = Site::caller();
        let (window, slide) = (self.duration(site, "window", window), self.duration(site, "slide", slide));
        self.window_at(site, window, slide)
    }
    fn window_at(&self, site: Site, window: Duration, slide: Duration) -> DStream<T> {
        let own = self.slide_duration();
        for (what, d) in [("window", window), ("slide", slide)] {
            if d.is_zero() || !d.is_multiple_of(own) {
                self.wrong(site, format!("the {what} duration ({d}) must be a positive multiple of the slide duration of the parent DStream ({own})"));
            }
        }
        self.op.meta.persist();
        let parent = self.op.clone();
        let slide = if slide.is_zero() { own } else { slide };
        let meta = StreamMeta::new("window", site, slide).parent(&self.op).reach(window);
        let op = StreamOp::new(meta, move |t| {
            let all = parent.between(t - window, t)?;
            Ok((!all.is_empty()).then(|| Rdd::union_all(&all, site)))
        });
        DStream::of(&self.ssc, op)
    }
}
