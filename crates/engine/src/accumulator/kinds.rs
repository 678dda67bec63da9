//! Spark's three kinds: sums of whole numbers and of floats, and a list.
use super::{Accumulate, Accumulator};
use crate::{Wire, show};
use serde::{Deserialize, Serialize};

/// A sum of whole numbers; see [`SparkContext::long_accumulator`](crate::SparkContext::long_accumulator).
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let sizes = sc.long_accumulator("sizes");
/// let s = sizes.clone();
/// sc.parallelize([2, 4], 2).foreach(move |n| s.add(n))?;
/// assert_eq!((sizes.sum(), sizes.count(), sizes.avg()), (6, 2, 3.0));
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
pub type LongAccumulator = Accumulator<LongSum>;
/// A sum of floats; see [`SparkContext::double_accumulator`](crate::SparkContext::double_accumulator).
pub type DoubleAccumulator = Accumulator<DoubleSum>;
/// A list; see [`SparkContext::collection_accumulator`](crate::SparkContext::collection_accumulator).
pub type CollectionAccumulator<T> = Accumulator<Collection<T>>;

macro_rules! sum {
    ($name:ident, $number:ident, $what:literal, $plus:expr) => {
        #[doc = concat!("Sum and number of ", $what, " added.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            sum: $number,
            count: u64,
        }
        impl Accumulate for $name {
            type Input = $number;
            type Value = $number;
            fn zero(&self) -> Self {
                $name::default()
            }
            fn is_zero(&self) -> bool {
                *self == $name::default()
            }
            #[inline]
            fn add(&mut self, x: $number) {
                self.merge($name { sum: x, count: 1 });
            }
            #[inline]
            fn merge(&mut self, other: Self) {
                self.sum = $plus(self.sum, other.sum);
                self.count += other.count;
            }
            fn value(&self) -> $number {
                self.sum
            }
            fn text(&self) -> String {
                show(&self.sum)
            }
        }
        impl Accumulator<$name> {
            /// What was added, together: the same as [`value`](Accumulator::value).
            pub fn sum(&self) -> $number {
                self.read(|a| a.sum)
            }
            /// How often something was added.
            pub fn count(&self) -> u64 {
                self.read(|a| a.count)
            }
            /// The mean of what was added; not a number if nothing was.
            pub fn avg(&self) -> f64 {
                self.read(|a| a.sum as f64 / a.count as f64)
            }
        }
    };
}
// A sum that leaves the range goes on at its other end, as in Spark.
sum!(LongSum, i64, "the whole numbers", i64::wrapping_add);
sum!(DoubleSum, f64, "the floats", |a: f64, b: f64| a + b);

/// Elements that the text form of a list names.
const SHOWN: usize = 10;

/// The values added, in the order of partitions and of records in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "T: Wire")]
pub struct Collection<T>(Vec<T>);
impl<T> Default for Collection<T> {
    fn default() -> Self {
        Collection(Vec::new())
    }
}
impl<T: Wire> Accumulate for Collection<T> {
    type Input = T;
    type Value = Vec<T>;
    fn zero(&self) -> Self {
        Collection::default()
    }
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
    #[inline]
    fn add(&mut self, x: T) {
        self.0.push(x);
    }
    fn merge(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
    fn value(&self) -> Vec<T> {
        self.0.clone()
    }
    fn text(&self) -> String {
        let (n, first) = (self.0.len(), &self.0[..self.0.len().min(SHOWN)]);
        if n > SHOWN { format!("{} and {} more", show(first), n - SHOWN) } else { show(first) }
    }
}
