//! Operators of several streams: what they must have in common is checked here, once for all of them.
use super::{DStream, own::Parent};
use crate::{
    StreamingContext,
    graph::{StreamMeta, StreamOp},
};
use std::sync::{Arc, Mutex, PoisonError};
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{BoxError, Data, Rdd, Result, Site};

/// What a node with these parents is. All must belong to `ssc`, and unless a slide is given all must have the same.
pub(super) fn meet(
    ssc: &StreamingContext,
    kind: &'static str,
    site: Site,
    slide: Option<Duration>,
    parents: &[Parent],
) -> StreamMeta {
    let common = slide.or(parents.first().map(Parent::slide_duration)).unwrap_or(ssc.batch_duration());
    if slide.is_none() {
        if parents.is_empty() {
            ssc.graph().wrong(site, format!("{kind} of no streams; give at least one"));
        }
        if let Some(other) = parents.iter().map(Parent::slide_duration).find(|s| *s != common) {
            let what = "some of the DStreams have different slide durations";
            ssc.graph().wrong(site, format!("{kind}: {what} ({common} and {other}); window them alike first"));
        }
    }
    let (own, foreign): (Vec<_>, Vec<_>) = parents.iter().partition(|p| p.of.is(ssc));
    if !foreign.is_empty() {
        ssc.graph().wrong(site, format!("{kind}: the DStreams belong to different contexts; build all from one"));
    }
    StreamMeta::new(kind, site, common).parents(own.into_iter().map(|p| p.node.clone()).collect())
}

/// Reads the RDDs of a time; `None` where one of the streams has nothing to do.
type Reader<R> = Box<dyn Fn(Time) -> Result<Option<R>> + Send + Sync>;

/// Several streams: a tuple of up to six, `(&a, &b)`, which may be of different types, or a slice of one type.
pub trait Streams: sealed::Sealed {
    /// Their RDDs of one time: a tuple, or a vector.
    type Rdds;
    #[doc(hidden)]
    fn parents(&self) -> Vec<Parent>;
    #[doc(hidden)]
    fn reader(&self) -> Reader<Self::Rdds>;
}
mod sealed {
    pub trait Sealed {}
}
impl<T: Data> sealed::Sealed for &[DStream<T>] {}
impl<T: Data> Streams for &[DStream<T>] {
    type Rdds = Vec<Rdd<T>>;
    fn parents(&self) -> Vec<Parent> {
        self.iter().map(DStream::as_parent).collect()
    }
    fn reader(&self) -> Reader<Vec<Rdd<T>>> {
        let ops: Vec<_> = self.iter().map(|s| s.op.clone()).collect();
        Box::new(move |t| ops.iter().map(|op| op.rdd(t)).collect())
    }
}
macro_rules! tuples {
    ($($T:ident $t:ident $i:tt),+) => {
        impl<$($T: Data),+> sealed::Sealed for ($(&DStream<$T>,)+) {}
        impl<$($T: Data),+> Streams for ($(&DStream<$T>,)+) {
            type Rdds = ($(Rdd<$T>,)+);
            fn parents(&self) -> Vec<Parent> {
                vec![$(self.$i.as_parent()),+]
            }
            fn reader(&self) -> Reader<Self::Rdds> {
                $(let $t = self.$i.op.clone();)+
                Box::new(move |t| {
                    $(let Some($t) = $t.rdd(t)? else { return Ok(None) };)+
                    Ok(Some(($($t,)+)))
                })
            }
        }
    };
}
tuples!(A a 0);
tuples!(A a 0, B b 1);
tuples!(A a 0, B b 1, C c 2);
tuples!(A a 0, B b 1, C c 2, D d 3);
tuples!(A a 0, B b 1, C c 2, D d 3, E e 4);
tuples!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5);

impl StreamingContext {
    /// All records of several streams, which must have the same slide duration.
    #[track_caller]
    pub fn union<T: Data>(&self, streams: &[DStream<T>]) -> DStream<T> {
        self.union_at(Site::caller(), streams)
    }
    fn union_at<T: Data>(&self, site: Site, streams: &[DStream<T>]) -> DStream<T> {
        let meta = meet(self, "union", site, None, &streams.parents());
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
    /// Applies a function from several RDDs to one to each batch of several streams, on the driver; as
    /// [`DStream::transform`]. They must have the same slide duration. Where one of them has nothing to do, the function
    /// is not called and there is nothing to do.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let (a, b): (RddQueue<u64>, RddQueue<char>) = ([sc.range(0..3, 1)].into_iter().collect(), [sc.parallelize(['x'], 1)].into_iter().collect());
    /// let (numbers, letters) = (ssc.queue_stream(&a), ssc.queue_stream(&b));
    /// let sizes = ssc.transform((&numbers, &letters, &numbers.window(seconds(5))), |(numbers, letters, recent), _time| {
    ///     let letters = letters.count()?;
    ///     Ok(numbers.union(&recent).map(move |n| (n, letters)))
    /// });
    /// sizes.foreach_rdd(|rdd, _| { assert_eq!(rdd.count()?, 6); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn transform<S: Streams, U: Data>(
        &self,
        streams: S,
        f: impl FnMut(S::Rdds, Time) -> Result<Rdd<U>, BoxError> + Send + 'static,
    ) -> DStream<U>
    where
        S::Rdds: 'static,
    {
        self.transform_at("transform", Site::caller(), streams, f)
    }
    fn transform_at<S: Streams, U: Data>(
        &self,
        kind: &'static str,
        site: Site,
        streams: S,
        f: impl FnMut(S::Rdds, Time) -> Result<Rdd<U>, BoxError> + Send + 'static,
    ) -> DStream<U>
    where
        S::Rdds: 'static,
    {
        let (meta, read, f) = (meet(self, kind, site, None, &streams.parents()), streams.reader(), Mutex::new(f));
        let op = StreamOp::new(meta, move |t| {
            let Some(rdds) = read(t)? else { return Ok(None) };
            // As for `transform` of one stream.
            let mut f = f.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(Some(f(rdds, t)?))
        });
        DStream::of(self, op)
    }
}

impl<T: Data> DStream<T> {
    /// All records of both. Both must have the same slide duration. Where one has nothing to do for a time, the result
    /// is the other.
    #[track_caller]
    pub fn union(&self, other: &DStream<T>) -> DStream<T> {
        self.ssc.union_at(Site::caller(), &[self.clone(), other.clone()])
    }
    /// [`transform`](DStream::transform) of this stream and another one; of more, see [`StreamingContext::transform`].
    /// Where one of them has nothing to do, the function is not called and there is nothing to do.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let queue: RddQueue<u64> = [sc.range(0..3, 1)].into_iter().collect();
    /// let numbers = ssc.queue_stream(&queue);
    /// let share = numbers.transform_with(&numbers.count(), |numbers, count, _time| {
    ///     let count = count.first()?;
    ///     Ok(numbers.map(move |n| (n, count)))
    /// });
    /// share.foreach_rdd(|rdd, _| { assert_eq!(rdd.collect()?, [(0, 3), (1, 3), (2, 3)]); Ok(()) });
    /// ssc.start_stepped()?.step()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "transformWith")]
    #[track_caller]
    pub fn transform_with<U: Data, W: Data>(
        &self,
        other: &DStream<U>,
        mut f: impl FnMut(&Rdd<T>, &Rdd<U>, Time) -> Result<Rdd<W>, BoxError> + Send + 'static,
    ) -> DStream<W> {
        let f = move |(a, b): (Rdd<T>, Rdd<U>), t| f(&a, &b, t);
        self.ssc.transform_at("transform_with", Site::caller(), (self, other), f)
    }
    /// A stream with this one and another as its parents. What a side without an RDD means is up to `f`.
    pub(super) fn child2<U: Data, W: Data>(
        &self,
        other: &DStream<U>,
        kind: &'static str,
        site: Site,
        f: impl Fn(Option<Rdd<T>>, Option<Rdd<U>>) -> Option<Rdd<W>> + Send + Sync + 'static,
    ) -> DStream<W> {
        let meta = meet(&self.ssc, kind, site, None, &[self.as_parent(), other.as_parent()]);
        let (a, b) = (Arc::clone(&self.op), Arc::clone(&other.op));
        let op = StreamOp::new(meta, move |t| Ok(f(a.rdd(t)?, b.rdd(t)?)));
        DStream::of(&self.ssc, op)
    }
}
