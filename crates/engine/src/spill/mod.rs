//! What finds no room in memory: records in files, and reading them in order again.
//!
//! `scratch` is the directory, `run` one file of records in parts, `merge` several runs in one order. What is spilled has
//! the form of blocks on disk: frames with checksums, compressed (`spark.shuffle.spill.compress`). A file goes with the
//! last reader that needs it.
mod away;
mod losers;
mod merge;
mod run;
mod scratch;

pub use away::PutAway;
pub(crate) use losers::Losers;
pub(crate) use merge::{Merge, Pull, few};
pub(crate) use run::{Run, RunWriter};
pub(crate) use scratch::Scratch;
