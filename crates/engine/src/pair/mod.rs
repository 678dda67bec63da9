//! Operators of `Rdd<(K, V)>`. The bounds stand on the methods, not on the impl blocks: only then does rustc show the
//! messages of [`Key`](crate::Key) and [`Wire`](crate::Wire).
mod cogroup;
mod combine;
mod distinct;
pub(crate) mod exchange;
mod group;
mod hashed;
mod join;
mod local;
mod merge;
mod probe;
mod range;
mod route;
mod run;
mod several;
mod side;
mod sort;
mod spread;
mod table;
mod values;

pub use hashed::Hashed;
pub(crate) use local::{counted, merged};
pub use range::RangePartitioner;
