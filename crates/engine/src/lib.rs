//! The batch engine: [`SparkContext`], [`Rdd`], stages, tasks, shuffles.
//!
//! A typed shell ([`Rdd<T>`](Rdd), its operators and actions) stands over an erased bed (`lineage`, `plan`, `pool`,
//! `job`): scheduler and planner know no record type, operators know no thread. The bed, bottom to top:
//! values ([`Text`], [`Chunk`], [`Flow`]), `lineage` (what depends on what), `plan` (lineage to stages, a pure
//! function), `pool` (threads), `job` (plan, run, report). What this crate refuses to know: streams, batch times,
//! receivers, clocks, the network.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod accumulator;
pub mod backend;
mod blocks;
mod checkpoint;
mod chunk;
mod context;
#[cfg(doctest)]
mod contracts;
mod counters;
mod data;
pub mod detach;
mod error;
mod fair;
mod flow;
pub mod hash;
mod heap_size;
mod ids;
mod job;
pub mod lineage;
mod master;
mod pair;
pub mod plan;
mod pool;
mod random;
mod rdd;
#[cfg(test)]
mod replan;
mod scope;
mod share;
mod show;
mod site;
mod source;
mod storage_level;
mod task;
mod text;
mod total;
mod walk;

pub use accumulator::{
    Accumulate, Accumulator, AccumulatorInfo, Collection, CollectionAccumulator, DoubleAccumulator, DoubleSum,
    LongAccumulator, LongSum,
};
pub use blocks::{Keeping, RddStorageInfo};
pub use chunk::{CHUNK, Chunk};
pub use context::{Canceller, Counts, SparkContext};
pub use counters::Counters;
pub use data::{Data, Key, Show, SortKey, Wire};
pub use error::{BoxError, Error, Result, TaskCause};
pub use fair::SchedulerPool;
pub use flow::{Flow, Records};
pub use heap_size::HeapSize;
pub use ids::{AccumulatorId, JobId, RddId, ShuffleId, StageId};
pub use job::guard_driver;
pub use lineage::{HashPartitioner, KeyPartitioner, Order, Partitioner};
pub use master::{Master, MasterError};
pub use pair::{Hashed, RangePartitioner};
pub use rdd::{
    Beside, BoundedDouble, ByFloat, ByOrd, Dependency, LocalIterator, Number, OnBadRecord, Ordered, PartialResult, Rdd,
    Sampling, Shape, StatCounter, Within,
};
pub use scope::JobScope;
pub use show::show;
pub use site::Site;
pub use source::{
    lines::{LineCut, LineCutter},
    listed::why_not_text,
};
pub use storage_level::{
    DiskOnly, DiskOnly2, DiskOnly3, InvalidStorageLevel, Level, Measured, MemoryAndDisk, MemoryAndDisk2,
    MemoryAndDiskSer, MemoryAndDiskSer2, MemoryOnly, MemoryOnly2, MemoryOnlySer, MemoryOnlySer2, OffHeap, StorageLevel,
};
pub use task::{Task, at};
pub use text::{Split, Text};
pub use total::Total;
pub use winterbourne_base::SparkConf;
