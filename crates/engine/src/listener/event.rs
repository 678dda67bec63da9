//! What a context tells its listeners.
use crate::{JobId, LocalProperties, RddId, StageId};
use std::{any::Any, fmt, sync::Arc};
use winterbourne_base::Time;

/// A context was made.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ApplicationStart {
    /// `spark.app.name`.
    pub name: String,
    /// See [`SparkContext::application_id`](crate::SparkContext::application_id).
    pub id: String,
    /// When.
    pub time: Time,
}
/// A context has stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ApplicationEnd {
    /// When.
    pub time: Time,
}
/// A job was planned and begins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobStart {
    /// Which.
    pub job: JobId,
    /// When.
    pub time: Time,
    /// The action and its place in the source, or [`call_site`](crate::SparkContext::call_site).
    pub name: String,
    /// The stages that will run, parents first. Those whose outputs exist already are not among them.
    pub stages: Vec<StageInfo>,
    /// Group, description, tags and the like.
    pub properties: LocalProperties,
}
/// A job ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct JobEnd {
    /// Which.
    pub job: JobId,
    /// When.
    pub time: Time,
    /// Why it failed, if it did.
    pub error: Option<String>,
}
/// What is known of a stage.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StageInfo {
    /// Which.
    pub id: StageId,
    /// Which attempt at the stage, from zero. Only barrier stages have several.
    pub attempt: u32,
    /// Its last operator and that one's place in the source.
    pub name: String,
    /// How many tasks it has.
    pub tasks: usize,
    /// When its tasks began.
    pub submitted: Option<Time>,
    /// When they had ended. Stages that run side by side are completed together.
    pub completed: Option<Time>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}
/// What is known of an attempt at a task.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number in the context; see [`Canceller::kill_task_attempt`](crate::Canceller::kill_task_attempt).
    pub id: u64,
    /// Its job.
    pub job: JobId,
    /// Its stage.
    pub stage: StageId,
    /// Which attempt at the stage.
    pub stage_attempt: u32,
    /// Its partition.
    pub partition: usize,
    /// Which attempt at the partition, from zero.
    pub attempt: u32,
    /// When it began.
    pub started: Time,
}
/// An attempt at a task ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TaskEnd {
    /// Which.
    pub task: TaskInfo,
    /// How.
    pub outcome: TaskOutcome,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// Records that its sources (collections, files, shuffles, the cache) have yielded.
    pub records_read: u64,
}
/// How an attempt at a task ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TaskOutcome {
    /// Well.
    Succeeded,
    /// With this error.
    Failed(String),
    /// It was stopped for this reason: its job was cancelled, another task failed, or it was killed.
    Killed(String),
}
/// A partition was put into the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BlockUpdated {
    /// Of which RDD.
    pub rdd: RddId,
    /// Which.
    pub partition: usize,
}

/// Something that happened.
#[derive(Clone)]
#[non_exhaustive]
pub enum SparkListenerEvent {
    /// The context was made.
    ApplicationStart(ApplicationStart),
    /// The context has stopped.
    ApplicationEnd(ApplicationEnd),
    /// A job begins.
    JobStart(JobStart),
    /// A job ended.
    JobEnd(JobEnd),
    /// A stage begins.
    StageSubmitted(StageInfo),
    /// A stage ended.
    StageCompleted(StageInfo),
    /// An attempt at a task begins.
    TaskStart(TaskInfo),
    /// An attempt at a task ended.
    TaskEnd(TaskEnd),
    /// The kept partitions of an RDD were dropped.
    UnpersistRdd(RddId),
    /// A partition was put into the cache.
    BlockUpdated(BlockUpdated),
    /// Something of a layer above, or of the program's own.
    Other(Arc<dyn Any + Send + Sync>),
}
impl fmt::Debug for SparkListenerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use SparkListenerEvent::*;
        match self {
            ApplicationStart(e) => e.fmt(f),
            ApplicationEnd(e) => e.fmt(f),
            JobStart(e) => e.fmt(f),
            JobEnd(e) => e.fmt(f),
            StageSubmitted(e) => f.debug_tuple("StageSubmitted").field(e).finish(),
            StageCompleted(e) => f.debug_tuple("StageCompleted").field(e).finish(),
            TaskStart(e) => f.debug_tuple("TaskStart").field(e).finish(),
            TaskEnd(e) => e.fmt(f),
            UnpersistRdd(rdd) => f.debug_tuple("UnpersistRdd").field(rdd).finish(),
            BlockUpdated(e) => e.fmt(f),
            Other(_) => f.write_str("Other"),
        }
    }
}
