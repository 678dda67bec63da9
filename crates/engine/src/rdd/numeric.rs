//! Actions on numbers: sums, means, variances. They work on an RDD of any primitive number.
use super::{Rdd, StatCounter};
use crate::{Data, Error, Result, Site, at};

/// A primitive number: what [`sum`](Rdd::sum), [`stats`](Rdd::stats), [`histogram`](Rdd::histogram) and their like take.
///
/// Implemented for all primitive integers and floats, and for nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a primitive number",
    label = "sums, means and histograms are taken of integers and floats",
    note = "`.map(|x| …)` to a number first"
)]
pub trait Number: Data + Copy + sealed::Wide {
    /// What they sum up to: `i64` and `u64` for integers up to 64 bits, `i128` and `u128` for those of 128, `f64` for floats.
    type Sum: Data + Default;
    /// The nearest `f64`.
    fn to_f64(self) -> f64;
    #[doc(hidden)]
    fn total(wide: Self::Wide) -> Option<Self::Sum>;
}
mod sealed {
    /// How a sum is carried on the way: wide enough that no part of it overflows.
    pub trait Wide: Sized {
        type Wide: crate::Data + Default;
        fn add(wide: Self::Wide, all: &[Self]) -> Self::Wide;
        fn merge(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    }
}

/// `$part` holds the sum of a chunk.
macro_rules! integers {
    ($($int:ty, $part:ty, $sum:ty;)*) => { $(
        impl sealed::Wide for $int {
            type Wide = i128;
            #[inline]
            fn add(wide: i128, all: &[Self]) -> i128 {
                // 2^63 records fit.
                let add = |sum: i128, some: &[Self]| sum + some.iter().map(|&x| x as $part).sum::<$part>() as i128;
                all.chunks(crate::CHUNK).fold(wide, add)
            }
            fn merge(a: i128, b: i128) -> i128 {
                a + b
            }
        }
        impl Number for $int {
            type Sum = $sum;
            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn total(wide: i128) -> Option<$sum> {
                wide.try_into().ok()
            }
        }
    )* };
}
integers! {
    i8, i64, i64; i16, i64, i64; i32, i64, i64; i64, i128, i64; isize, i128, i64;
    u8, u64, u64; u16, u64, u64; u32, u64, u64; u64, i128, u64; usize, i128, u64;
}
/// There is nothing wider.
macro_rules! widest {
    ($($int:ty)*) => { $(
        impl sealed::Wide for $int {
            /// None once it did not fit.
            type Wide = Carry<$int>;
            #[inline]
            fn add(wide: Carry<$int>, all: &[Self]) -> Carry<$int> {
                Carry(all.iter().fold(wide.0, |sum, &x| sum?.checked_add(x)))
            }
            fn merge(a: Carry<$int>, b: Carry<$int>) -> Carry<$int> {
                Carry(a.0.zip(b.0).and_then(|(a, b)| a.checked_add(b)))
            }
        }
        impl Number for $int {
            type Sum = $int;
            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn total(wide: Carry<$int>) -> Option<$int> {
                wide.0
            }
        }
    )* };
}
/// A sum, as long as it fits.
#[derive(Clone)]
pub struct Carry<T>(Option<T>);
impl<T: Default> Default for Carry<T> {
    fn default() -> Self {
        Carry(Some(T::default()))
    }
}
widest!(i128 u128);
macro_rules! floats {
    ($($float:ty)*) => { $(
        impl sealed::Wide for $float {
            type Wide = f64;
            #[inline]
            fn add(wide: f64, all: &[Self]) -> f64 {
                all.iter().fold(wide, |sum, &x| sum + f64::from(x))
            }
            fn merge(a: f64, b: f64) -> f64 {
                a + b
            }
        }
        impl Number for $float {
            type Sum = f64;
            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            fn total(wide: f64) -> Option<f64> {
                Some(wide)
            }
        }
    )* };
}
floats!(f32 f64);

impl<T: Data> Rdd<T> {
    /// The sum. Integers add up exactly, to `i64`, `u64` or wider, whatever partial sums would overflow; floats to `f64`,
    /// partition by partition. Of nothing it is 0.
    ///
    /// Where records come from literals without a type, rustc may not see which sum is meant, and say that it found `!`:
    /// give one of them a type, as in `[0.5f64, 0.25]`.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..101, 4).sum()?, 5050);
    /// assert_eq!(sc.parallelize([250u8, 250], 2).sum()?, 500);
    /// assert_eq!(sc.parallelize([0.5f64, 0.25], 2).sum()?, 0.75);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::SumOverflow`] if the sum of integers does not fit; see [`collect`](Rdd::collect).
    #[track_caller]
    pub fn sum(&self) -> Result<T::Sum>
    where
        T: Number,
    {
        let site = Site::caller();
        let parts = self.on_each("sum", site, |flow, _| {
            let mut sum = Some(T::Wide::default());
            flow.each(|c| {
                sum = sum.take().map(|sum| T::add(sum, c.as_slice()));
                Ok(())
            })?;
            Ok(sum.expect("put back after every chunk"))
        })?;
        let sum = parts.into_iter().reduce(T::merge).unwrap_or_default();
        T::total(sum).ok_or(Error::SumOverflow { site, sum: std::any::type_name::<T::Sum>() })
    }
    /// Count, mean, variance and extremes in one pass; the actions below give one of them each.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let stats = sc.range(1..11, 3).stats()?;
    /// assert_eq!(stats.to_string(), "(count: 10, mean: 5.500000, stdev: 2.872281, max: 10.000000, min: 1.000000)");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn stats(&self) -> Result<StatCounter>
    where
        T: Number,
    {
        self.stats_at("stats", Site::caller())
    }
    pub(super) fn stats_at(&self, action: &'static str, site: Site) -> Result<StatCounter>
    where
        T: Number,
    {
        let parts = self.on_each(action, site, move |flow, _| {
            let mut stats = StatCounter::new();
            flow.each(|c| {
                at(site);
                stats.extend(c.as_slice().iter().map(|x| x.to_f64()));
                Ok(())
            })?;
            Ok(stats)
        })?;
        let mut all = StatCounter::new();
        parts.iter().for_each(|part| all.merge(part));
        Ok(all)
    }
    /// The mean; 0 without any record, as Spark has it.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(1..11, 3).mean()?, 5.5);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn mean(&self) -> Result<f64>
    where
        T: Number,
    {
        Ok(self.stats_at("mean", Site::caller())?.mean())
    }
    /// The variance, as of a whole population; NaN without any record.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(1..11, 3).variance()?, 8.25);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn variance(&self) -> Result<f64>
    where
        T: Number,
    {
        Ok(self.stats_at("variance", Site::caller())?.variance())
    }
    /// [`variance`](Rdd::variance).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize([1.0, 3.0], 2).pop_variance()?, 1.0);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "popVariance")]
    #[track_caller]
    pub fn pop_variance(&self) -> Result<f64>
    where
        T: Number,
    {
        Ok(self.stats_at("pop_variance", Site::caller())?.pop_variance())
    }
    /// The variance of a population of which the records are a sample: divides by the count less one. NaN for fewer than
    /// two.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize([1, 2, 3, 4, 5], 2).sample_variance()?, 2.5);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "sampleVariance")]
    #[track_caller]
    pub fn sample_variance(&self) -> Result<f64>
    where
        T: Number,
    {
        Ok(self.stats_at("sample_variance", Site::caller())?.sample_variance())
    }
    /// The standard deviation, as of a whole population: the root of [`variance`](Rdd::variance).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize([2, 4, 4, 4, 5, 5, 7, 9], 3).stdev()?, 2.0);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn stdev(&self) -> Result<f64>
    where
        T: Number,
    {
        Ok(self.stats_at("stdev", Site::caller())?.stdev())
    }
    /// [`stdev`](Rdd::stdev).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize([1.0, 5.0], 2).pop_stdev()?, 2.0);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "popStdev")]
    #[track_caller]
    pub fn pop_stdev(&self) -> Result<f64>
    where
        T: Number,
    {
        Ok(self.stats_at("pop_stdev", Site::caller())?.pop_stdev())
    }
    /// The standard deviation of a population of which the records are a sample.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.parallelize([1.0, 3.0], 2).sample_stdev()?, 2f64.sqrt());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "sampleStdev")]
    #[track_caller]
    pub fn sample_stdev(&self) -> Result<f64>
    where
        T: Number,
    {
        Ok(self.stats_at("sample_stdev", Site::caller())?.sample_stdev())
    }
}
