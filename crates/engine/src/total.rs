//! [`Total`]: floats with a total order, so that they can be keys and be sorted.
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

/// A float that can be a key, be sorted, and be told apart from others: `f32` and `f64` themselves have no total equality.
///
/// There is one NaN, greater than everything and equal to itself; -0.0 is less than 0.0. The number inside stays as it
/// is, and its text form and serialised form are those of the number.
///
/// In Spark 0.0 and -0.0 are equal in some operators and different in others; here they are different keys everywhere.
/// Map to `x + 0.0` first where they should be one.
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext, Total};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let numbers = sc.parallelize([0.0, f64::NAN, -1.5, -0.0, 0.0, f64::NAN], 2);
/// let counts = numbers.map(|x| (Total(x), 1)).reduce_by_key(|a, b| a + b);
/// assert_eq!(counts.count()?, 4); // -1.5, -0.0, 0.0, NaN
/// assert!(Total(-0.0) < Total(0.0) && Total(f64::INFINITY) < Total(f64::NAN));
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Total<F>(pub F);

/// `f32` and `f64`.
mod float {
    pub trait Float: Copy {
        /// As integers that are ordered as [`Total`](super::Total) says; equal for all NaN.
        fn rank(self) -> i64;
    }
    impl Float for f64 {
        #[inline]
        fn rank(self) -> i64 {
            let bits = if self.is_nan() { f64::NAN.to_bits() & (i64::MAX as u64) } else { self.to_bits() } as i64;
            // Below zero the bits count backwards.
            bits ^ ((bits >> 63) as u64 >> 1) as i64
        }
    }
    impl Float for f32 {
        #[inline]
        fn rank(self) -> i64 {
            let bits = if self.is_nan() { f32::NAN.to_bits() & (i32::MAX as u32) } else { self.to_bits() } as i32;
            i64::from(bits ^ ((bits >> 31) as u32 >> 1) as i32)
        }
    }
}
use float::Float;

impl<F: Float> PartialEq for Total<F> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.rank() == other.0.rank()
    }
}
impl<F: Float> Eq for Total<F> {}
impl<F: Float> PartialOrd for Total<F> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<F: Float> Ord for Total<F> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.rank().cmp(&other.0.rank())
    }
}
impl<F: Float> Hash for Total<F> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_i64(self.0.rank());
    }
}
impl<F> From<F> for Total<F> {
    fn from(x: F) -> Self {
        Total(x)
    }
}
impl<F: fmt::Debug> fmt::Debug for Total<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<F: fmt::Display> fmt::Display for Total<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    #[test]
    fn one_nan_above_all_and_minus_zero_below_zero() {
        let rising = [f64::NEG_INFINITY, f64::MIN, -1.5, -f64::MIN_POSITIVE, -0.0, 0.0, 5e-324, 1.5, f64::INFINITY];
        let rising: Vec<f64> = rising.into_iter().chain([f64::NAN]).collect();
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(Total(*a).cmp(&Total(*b)), i.cmp(&j), "{a} {b}");
                assert_eq!(Total(*a as f32).cmp(&Total(*b as f32)), single(*a).cmp(&single(*b)), "{a} {b} as f32");
            }
        }
        // The order of the rounded numbers: the least ones become zeros.
        fn single(x: f64) -> (f32, bool) {
            let x = x as f32;
            (x, x == 0.0 && x.is_sign_positive())
        }
        trait Cmp {
            fn cmp(&self, other: &Self) -> Ordering;
        }
        impl Cmp for (f32, bool) {
            fn cmp(&self, other: &Self) -> Ordering {
                match (self.0.is_nan(), other.0.is_nan()) {
                    (false, false) => self.partial_cmp(other).expect("neither is NaN"),
                    (a, b) => a.cmp(&b),
                }
            }
        }
    }
    #[test]
    fn all_nans_are_one_key() {
        let odd = [f64::NAN, -f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001), f64::from_bits(u64::MAX)];
        for x in odd {
            assert!(Total(x) == Total(f64::NAN) && hash::of(&Total(x)) == hash::of(&Total(f64::NAN)));
            assert!(Total(x as f32) == Total(f32::NAN));
        }
        assert_ne!(hash::of(&Total(0.0)), hash::of(&Total(-0.0)));
        assert_eq!(crate::show(&Total(1.0)), "1.0");
    }
}
