//! Identities: counters advanced on the driver in program order, so that every process of one program counts alike.
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(pub u64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($word, " {}"), self.0)
            }
        }
    };
}
id!(
    /// One node of a lineage.
    RddId, "rdd");
id!(
    /// One shuffle: a map side and the buckets it wrote.
    ShuffleId, "shuffle");
id!(
    /// One call of an action.
    JobId, "job");
id!(
    /// One stage of a job. Stages are numbered over the whole context, parents before children.
    StageId, "stage");
id!(
    /// One accumulator of a context.
    AccumulatorId, "accumulator");
