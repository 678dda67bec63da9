//! Operators of `Rdd<(K, V)>`. The bounds stand on the methods, not on the impl blocks: only then does rustc show the
//! messages of [`Key`](crate::Key) and [`Wire`](crate::Wire).
mod cogroup;
mod combine;
mod distinct;
pub(crate) mod exchange;
mod gather;
mod group;
mod groups;
mod hashed;
mod join;
mod local;
mod merge;
pub(crate) mod output;
mod probe;
mod range;
mod route;
mod run;
mod several;
mod side;
mod sort;
mod sorted;
mod spread;
mod table;
mod tabled;
mod values;

pub use groups::GroupValues;
pub use hashed::Hashed;
pub(crate) use local::{counted, merged};
pub use range::RangePartitioner;
