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
mod barrier;
mod blocks;
mod broadcast;
mod checkpoint;
mod chunk;
mod codec;
mod context;
#[cfg(doctest)]
mod contracts;
mod counters;
mod data;
pub mod detach;
mod error;
mod fair;
mod flow;
mod future;
pub mod hash;
mod heap_size;
mod ids;
mod job;
pub mod lineage;
mod listener;
mod master;
mod memory;
mod object;
mod output;
mod pair;
mod pipe;
pub mod plan;
mod pool;
mod random;
mod rdd;
#[cfg(test)]
mod replan;
mod scope;
mod sequence;
mod share;
mod show;
mod site;
mod source;
mod spill;
mod storage_level;
mod task;
mod text;
mod total;
mod walk;

pub use accumulator::{
    Accumulate, Accumulator, AccumulatorInfo, Collection, CollectionAccumulator, DoubleAccumulator, DoubleSum,
    LongAccumulator, LongSum,
};
pub use barrier::{BarrierTaskContext, BarrierTaskInfo, RddBarrier};
pub use blocks::{Keeping, RddStorageInfo};
pub use broadcast::Broadcast;
pub use chunk::{CHUNK, Chunk};
pub use codec::{Codec, Encoder, NoCodec, why_not_text};
pub use context::{
    Canceller, ContextBuilder, Counts, SparkContext, SparkFiles, SparkJobInfo, SparkStageInfo, StatusTracker,
};
pub use counters::Counters;
pub use data::{Data, Key, Show, SortKey, Wire};
pub use error::{BoxError, Error, Result, TaskCause};
pub use fair::SchedulerPool;
pub use flow::{Flow, Records};
pub use future::FutureAction;
pub use heap_size::{HeapSize, heap_of};
pub use ids::{AccumulatorId, JobId, RddId, ShuffleId, StageId};
pub use job::{JobStatus, guard_driver};
pub use lineage::{HashPartitioner, KeyPartitioner, Order, Partitioner};
pub use listener::{
    ApplicationEnd, ApplicationStart, BlockUpdated, JobEnd, JobStart, ListenerId, SparkListener, SparkListenerEvent,
    StageInfo, TaskEnd, TaskInfo, TaskOutcome,
};
pub use master::{Master, MasterError};
pub use memory::{MemoryHold, MemoryStatus, MemoryUse};
pub use output::Output;
pub use pair::{GroupValues, Hashed, RangePartitioner};
pub use pipe::Pipe;
pub use rdd::{
    Beside, BoundedDouble, ByFloat, ByOrd, Dependency, LocalIterator, Number, OnBadRecord, Ordered, PartialResult, Rdd,
    Sampling, Shape, StatCounter, Within,
};
pub use scope::{JobScope, LocalProperties};
pub use sequence::Writable;
pub use show::show;
pub use site::Site;
pub use source::{
    binary::PortableDataStream,
    lines::{LineCut, LineCutter},
};
pub use spill::PutAway;
pub use storage_level::{
    DiskOnly, DiskOnly2, DiskOnly3, InvalidStorageLevel, Level, Measured, MemoryAndDisk, MemoryAndDisk2,
    MemoryAndDiskSer, MemoryAndDiskSer2, MemoryOnly, MemoryOnly2, MemoryOnlySer, MemoryOnlySer2, OffHeap, StorageLevel,
};
pub use task::{Task, TaskContext, TaskMetrics, at};
pub use text::{Split, Text};
pub use total::Total;
pub use winterbourne_base::SparkConf;
