//! Accumulators: values that tasks add to and the driver reads.
//!
//! [`Accumulate`] is what a kind of accumulator is, `kinds` has Spark's three, [`Accumulator`] is the handle that
//! closures capture. A task adds into a part of its own (`updates`), which travels with what the task made and is merged
//! into the driver's value when that is kept, in partition order. `registry` knows the living ones by id, and by name
//! for whoever lists or saves them. What this module does not know: jobs and stages; whoever runs tasks decides what is
//! kept.
mod handle;
mod kinds;
mod part;
mod registry;
mod updates;

pub use handle::Accumulator;
pub use kinds::{Collection, CollectionAccumulator, DoubleAccumulator, DoubleSum, LongAccumulator, LongSum};
pub use registry::AccumulatorInfo;

pub(crate) use registry::{Registry, Sent};
pub(crate) use updates::{Apart, Updates};

use crate::{Wire, show};

/// A kind of accumulator: what is kept, and how a value enters it. Spark's `AccumulatorV2`.
///
/// Every task begins with [`zero`](Accumulate::zero); what it added is [merged](Accumulate::merge) into the driver's
/// value, task after task in partition order. It is serialisable so that a checkpoint can hold it and other processes
/// can send it. A method must not use an accumulator of its own kind.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use winterbourne_engine::{Accumulate, SparkConf, SparkContext};
///
/// /// The longest line.
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Longest(String);
/// impl Accumulate for Longest {
///     type Input = String;
///     type Value = String;
///     fn zero(&self) -> Self {
///         Longest::default()
///     }
///     fn is_zero(&self) -> bool {
///         self.0.is_empty()
///     }
///     fn add(&mut self, line: String) {
///         if line.len() > self.0.len() {
///             self.0 = line;
///         }
///     }
///     fn merge(&mut self, other: Self) {
///         self.add(other.0);
///     }
///     fn value(&self) -> String {
///         self.0.clone()
///     }
/// }
///
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
/// let longest = sc.accumulator("longest line", Longest::default());
/// let seen = longest.clone();
/// sc.parallelize(["a", "three", "of"], 2).foreach(move |line| seen.add(line.to_owned()))?;
/// assert_eq!(longest.value(), "three");
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no kind of accumulator",
    label = "needs an `Accumulate` implementation",
    note = "for sums and lists there are `long_accumulator`, `double_accumulator` and `collection_accumulator`"
)]
pub trait Accumulate: Wire {
    /// What is added.
    type Input;
    /// What the driver reads.
    type Value;
    /// Nothing added yet; settings stay as they are. Merging it changes nothing.
    #[must_use]
    fn zero(&self) -> Self;
    /// Whether it is as [`zero`](Accumulate::zero) makes it.
    fn is_zero(&self) -> bool;
    /// Takes in one value.
    fn add(&mut self, x: Self::Input);
    /// Takes in what another has taken in after this one.
    fn merge(&mut self, other: Self);
    /// What the driver reads.
    fn value(&self) -> Self::Value;
    /// The value as a short text for people; the text form of the whole unless a kind says otherwise.
    fn text(&self) -> String {
        show(self)
    }
}
