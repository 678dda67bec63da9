//! Actions on records that have an order: `min`, `max`, `top`, `take_ordered`, by the records themselves, by a key of
//! each, or by a comparison. Of records that compare equal the first, in partition order, wins.
use super::Rdd;
use crate::{Chunk, Data, Error, Result, Site, Total, at, detach, guard_driver};
use std::{cmp::Ordering, sync::Arc};

/// What `min`, `max`, `top` and `take_ordered` compare: whatever is `Ord`, and plain floats, in the order of [`Total`]. A
/// record that holds floats among other things is compared with the `_by` and `_by_key` forms.
///
/// `By` says which of the two it is; rustc finds it, nobody writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no order",
    label = "needs `Ord`, or must be a plain `f32` or `f64`",
    note = "derive `PartialEq, Eq, PartialOrd, Ord`, or use the form that ends in `_by_key` or `_by`"
)]
pub trait Ordered<By> {
    /// How the two compare.
    fn order(&self, other: &Self) -> Ordering;
}
/// [`Ordered`] by `Ord`.
pub enum ByOrd {}
/// [`Ordered`] as floats.
pub enum ByFloat {}

impl<T: Ord> Ordered<ByOrd> for T {
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}
macro_rules! floats {
    ($($float:ty)*) => { $(
        impl Ordered<ByFloat> for $float {
            #[inline]
            fn order(&self, other: &Self) -> Ordering {
                Total(*self).cmp(&Total(*other))
            }
        }
    )* };
}
floats!(f32 f64);

impl<T: Data> Rdd<T> {
    /// The least record; of equal ones the first.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize(["dew", "brook", "rill"], 2).min()?, "brook");
    /// assert_eq!(sc.parallelize([0.5, -2.5, f64::NAN], 2).min()?, -2.5);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyCollection`] without any record; see [`collect`](Rdd::collect).
    #[track_caller]
    pub fn min<By>(&self) -> Result<T>
    where
        T: Ordered<By>,
    {
        self.least("min", Site::caller(), |a, b| a.order(b))
    }
    /// The greatest record; of equal ones the first.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..100, 3).map(|x| x % 7).max()?, 6);
    /// assert_eq!(sc.parallelize([0.5, -2.5], 2).max()?, 0.5);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyCollection`] without any record; see [`collect`](Rdd::collect).
    #[track_caller]
    pub fn max<By>(&self) -> Result<T>
    where
        T: Ordered<By>,
    {
        self.least("max", Site::caller(), |a, b| b.order(a))
    }
    /// [`min`](Rdd::min) by a key of each record. The key is made anew for every comparison.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize(["brook", "dew", "rill"], 2).min_by_key(|w| w.len())?, "dew");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`min`](Rdd::min).
    #[track_caller]
    pub fn min_by_key<K: Ordered<By>, By>(&self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Result<T> {
        self.least("min_by_key", Site::caller(), move |a, b| key(a).order(&key(b)))
    }
    /// [`max`](Rdd::max) by a key of each record. The key is made anew for every comparison.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let levels = sc.parallelize([("spring", 1.5), ("weir", 2.25), ("mill", 0.5)], 2);
    /// assert_eq!(levels.max_by_key(|level| level.1)?, ("weir", 2.25));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`max`](Rdd::max).
    #[track_caller]
    pub fn max_by_key<K: Ordered<By>, By>(&self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Result<T> {
        self.least("max_by_key", Site::caller(), move |a, b| key(b).order(&key(a)))
    }
    /// [`min`](Rdd::min) by a comparison, which must be a total order.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(1..100, 3).min_by(|a, b| (a % 10, a).cmp(&(b % 10, b)))?, 10);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`min`](Rdd::min).
    #[track_caller]
    pub fn min_by(&self, compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static) -> Result<T> {
        self.least("min_by", Site::caller(), compare)
    }
    /// [`max`](Rdd::max) by a comparison, which must be a total order.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(1..100, 3).max_by(|a, b| (a % 10, b).cmp(&(b % 10, a)))?, 9);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`max`](Rdd::max).
    #[track_caller]
    pub fn max_by(&self, compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static) -> Result<T> {
        self.least("max_by", Site::caller(), move |a, b| compare(b, a))
    }
    /// The `n` least records, least first; fewer if there are fewer. What a stable sort would put first, at the cost of
    /// one pass and of memory for about `2 n` records in each task.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize([10, 4, 2, 12, 3], 2).take_ordered(3)?, [2, 3, 4]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn take_ordered<By>(&self, n: usize) -> Result<Vec<T>>
    where
        T: Ordered<By>,
    {
        self.leasts("take_ordered", Site::caller(), n, |a, b| a.order(b))
    }
    /// The `n` greatest records, greatest first: [`take_ordered`](Rdd::take_ordered) in the opposite order.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize([10, 4, 2, 12, 3], 2).top(2)?, [12, 10]);
    /// assert_eq!(sc.parallelize([1.5, -0.5, 2.5], 2).top(2)?, [2.5, 1.5]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn top<By>(&self, n: usize) -> Result<Vec<T>>
    where
        T: Ordered<By>,
    {
        self.leasts("top", Site::caller(), n, |a, b| b.order(a))
    }
    /// [`take_ordered`](Rdd::take_ordered) by a key of each record. The key is made anew for every comparison.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let words = sc.parallelize(["brook", "dew", "rill", "sea"], 2);
    /// assert_eq!(words.take_ordered_by_key(3, |w| w.len())?, ["dew", "sea", "rill"]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn take_ordered_by_key<K: Ordered<By>, By>(
        &self,
        n: usize,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Result<Vec<T>> {
        self.leasts("take_ordered_by_key", Site::caller(), n, move |a, b| key(a).order(&key(b)))
    }
    /// [`top`](Rdd::top) by a key of each record: the words that occur most often.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let counts = sc.parallelize([("rill", 3), ("brook", 7), ("sea", 1)], 2);
    /// assert_eq!(counts.top_by_key(2, |c| c.1)?, [("brook", 7), ("rill", 3)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn top_by_key<K: Ordered<By>, By>(
        &self,
        n: usize,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Result<Vec<T>> {
        self.leasts("top_by_key", Site::caller(), n, move |a, b| key(b).order(&key(a)))
    }
    /// [`take_ordered`](Rdd::take_ordered) by a comparison, which must be a total order.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let last_digit = |a: &u64, b: &u64| (a % 10).cmp(&(b % 10));
    /// assert_eq!(sc.range(5..30, 3).take_ordered_by(3, last_digit)?, [10, 20, 11]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn take_ordered_by(
        &self,
        n: usize,
        compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static,
    ) -> Result<Vec<T>> {
        self.leasts("take_ordered_by", Site::caller(), n, compare)
    }
    /// [`top`](Rdd::top) by a comparison, which must be a total order.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let last_digit = |a: &u64, b: &u64| (a % 10).cmp(&(b % 10));
    /// assert_eq!(sc.range(5..30, 3).top_by(3, last_digit)?, [9, 19, 29]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn top_by(&self, n: usize, compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static) -> Result<Vec<T>> {
        self.leasts("top_by", Site::caller(), n, move |a, b| compare(b, a))
    }

    fn least(
        &self,
        action: &'static str,
        site: Site,
        compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static,
    ) -> Result<T> {
        let compare = Arc::new(compare);
        let within = compare.clone();
        let parts = self.on_each(action, site, move |flow, _| {
            let mut least: Option<T> = None;
            flow.each(|c| {
                at(site);
                if let Some(i) = index_of_less(c.as_slice(), least.as_ref(), &*within) {
                    least = Some(match c {
                        Chunk::Own(mut v) => v.swap_remove(i),
                        Chunk::Shared(v, r) => v[r.start + i].clone(),
                    });
                }
                Ok(())
            })?;
            Ok(least.map(detach::text))
        })?;
        let least = |a, b| if compare(&b, &a).is_lt() { b } else { a };
        guard_driver(|| Ok(parts.into_iter().flatten().reduce(least)))?.ok_or(Error::EmptyCollection { action, site })
    }
    fn leasts(
        &self,
        action: &'static str,
        site: Site,
        n: usize,
        compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static,
    ) -> Result<Vec<T>> {
        if n == 0 {
            return Ok(Vec::new());
        }
        let compare = Arc::new(compare);
        let within = compare.clone();
        let parts = self.on_each(action, site, move |flow, _| {
            let mut least = Least::new(n);
            flow.each(|c| {
                at(site);
                least.offer(c, &*within);
                Ok(())
            })?;
            at(site);
            least.cut(&*within);
            Ok(least.kept)
        })?;
        guard_driver(|| {
            let mut all = parts.concat();
            all.sort_by(&*compare);
            all.truncate(n);
            Ok(all)
        })
    }
}

/// Where the least of `all` is, if it is less than `than`.
#[inline]
fn index_of_less<T>(all: &[T], than: Option<&T>, compare: &impl Fn(&T, &T) -> Ordering) -> Option<usize> {
    let (mut least, mut index) = (than, None);
    for (i, x) in all.iter().enumerate() {
        if least.is_none_or(|least| compare(x, least).is_lt()) {
            (least, index) = (Some(x), Some(i));
        }
    }
    index
}

/// The `n` least of what was offered. Candidates pile up behind the best of those before them, and are sorted in once
/// there are as many: a stable sort of mostly sorted records, so that of equal ones the earlier stays. A heap does not
/// know which of two came first, and costs more on each candidate.
struct Least<T> {
    kept: Vec<T>,
    n: usize,
    /// Whether `kept[n - 1]` is the greatest of the `n` least so far. What is not less than it is no candidate.
    bounded: bool,
}
impl<T: Data> Least<T> {
    /// `n` is not zero.
    fn new(n: usize) -> Self {
        Least { kept: Vec::new(), n, bounded: false }
    }
    fn accepts(&self, x: &T, compare: &impl Fn(&T, &T) -> Ordering) -> bool {
        !self.bounded || compare(x, &self.kept[self.n - 1]).is_lt()
    }
    fn offer(&mut self, chunk: Chunk<T>, compare: &impl Fn(&T, &T) -> Ordering) {
        // The bound may sink on the way, hence the second look; of a shared chunk only candidates are cloned.
        for x in chunk.filter(|x| self.accepts(x, compare)) {
            if self.accepts(&x, compare) {
                self.kept.push(detach::text(x));
                if self.kept.len() >= self.n.saturating_add(self.n.max(64)) {
                    self.cut(compare);
                }
            }
        }
    }
    fn cut(&mut self, compare: &impl Fn(&T, &T) -> Ordering) {
        self.kept.sort_by(compare);
        self.kept.truncate(self.n);
        self.bounded = self.kept.len() == self.n;
    }
}
