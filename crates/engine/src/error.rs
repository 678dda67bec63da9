//! What can go wrong in the engine: one enum; each message says what was being done, where, and what helps.
use crate::{JobId, MasterError, RddId, ShuffleId, Site, StageId, StorageLevel, blocks::Damage};
use std::{fmt, path::PathBuf};
use winterbourne_base::conf::ConfError;

/// Any error of the user's own; what driver closures return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a context, a definition or a job.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task failed on every attempt it had. `site` is the operator that was running.
    #[error(
        "Job aborted due to stage failure: {job}, {stage}, partition {partition} failed {attempts} time(s), most recent failure in the operator at {site}: {cause}"
    )]
    Task {
        /// The job.
        job: JobId,
        /// The stage.
        stage: StageId,
        /// The partition.
        partition: usize,
        /// How often it was tried; the master string says how often it may be (`local[N,F]`).
        attempts: u32,
        /// The operator that was running.
        site: Site,
        /// What it did.
        #[source]
        cause: TaskCause,
    },
    /// An input file could not be opened or read.
    #[error("{doing} {}, wanted by the input at {site}: {source}", path.display())]
    Input {
        /// What was being done: opening, listing, reading.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Where the input was defined.
        site: Site,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Nothing matches the path of an input.
    #[error(
        "input path does not exist: {path}, wanted by the input at {site}; nothing was read. Check the path (relative to the working directory) or create the file"
    )]
    NoInput {
        /// The path as given.
        path: String,
        /// Where the input was defined.
        site: Site,
    },
    /// A path or glob of an input cannot be parsed.
    #[error("`{path}` is not a path pattern ({why}), wanted by the input at {site}")]
    BadPattern {
        /// The pattern as given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
        /// Where the input was defined.
        site: Site,
    },
    /// A directory given as input holds a directory.
    #[error(
        "{} is a directory inside an input directory, wanted by the input at {site}; inputs are not read recursively: name it, or use a glob that leaves it out",
        path.display()
    )]
    NestedDirectory {
        /// The inner directory.
        path: PathBuf,
        /// Where the input was defined.
        site: Site,
    },
    /// A line of an input file is longer than any line may be.
    #[error(
        "the line at byte {offset} of {} is longer than {limit} bytes, wanted by the input at {site}; is it a text file?",
        path.display()
    )]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// Where the line starts.
        offset: u64,
        /// The limit in bytes.
        limit: usize,
        /// Where the input was defined.
        site: Site,
    },
    /// A file of records that were stored is damaged, or holds something else.
    #[error("{} is damaged or holds something else, at byte {offset}: {why}, wanted by the input at {site}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes; of one that is compressed, of what it unpacks to.
        offset: u64,
        /// What is wrong.
        why: String,
        /// Where the input was defined.
        site: Site,
    },
    /// Binary records of a length that none can have.
    #[error(
        "`{operator}` at {site} was asked for records of {asked} bytes; the length must be positive, and at most {most} (spark.files.maxWholeSize)"
    )]
    RecordLength {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
        /// The length asked for.
        asked: usize,
        /// The largest there may be.
        most: u64,
    },
    /// The directory that an action is to write is there already.
    #[error(
        "Output directory {} already exists, wanted by the output at {site}; nothing was written. Remove it, choose another, or set spark.hadoop.validateOutputSpecs to false to write over it",
        path.display()
    )]
    OutputExists {
        /// The directory.
        path: PathBuf,
        /// Where the action was called.
        site: Site,
    },
    /// An output file or directory could not be written.
    #[error("{doing} {}, wanted by the output at {site}: {source}", path.display())]
    Output {
        /// What was being done: creating, writing, moving, removing.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Where the action was called.
        site: Site,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A record cannot be written: its `Serialize` says so.
    #[error("a record cannot be written by the output at {site}: {why}")]
    Unwritable {
        /// Where the action was called.
        site: Site,
        /// What its `Serialize` says.
        why: String,
    },
    /// The process of a `pipe` could not be started or talked to.
    #[error("Cannot run program \"{program}\" ({doing}), wanted by the `pipe` at {site}: {source}")]
    Pipe {
        /// What was being done.
        doing: &'static str,
        /// The first word of its command.
        program: String,
        /// Where `pipe` was called.
        site: Site,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The process of a `pipe` ended otherwise than with status 0.
    #[error(
        "Subprocess exited with status {status}. Command ran: {command}; wanted by the `pipe` at {site}; the end of its standard error: {stderr}"
    )]
    PipeStatus {
        /// Its exit status, or the signal that ended it.
        status: String,
        /// The command with its arguments.
        command: String,
        /// Where `pipe` was called.
        site: Site,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// `reduce`, `first` and their like on nothing.
    #[error(
        "empty collection: `{action}` at {site} needs at least one element; ask `is_empty` or use `fold` or `take`"
    )]
    EmptyCollection {
        /// The action.
        action: &'static str,
        /// Where it was called.
        site: Site,
    },
    /// A sum of integers that is too large for its type.
    #[error(
        "the total of `sum` at {site} does not fit into {sum}; map the records to i128, or to f64 if a rounded sum will do"
    )]
    SumOverflow {
        /// Where it was called.
        site: Site,
        /// The type of the sum.
        sum: &'static str,
    },
    /// Buckets or records of which no histogram can be made.
    #[error("`{action}` at {site}: {why}")]
    Histogram {
        /// The action.
        action: &'static str,
        /// Where it was called.
        site: Site,
        /// What is wrong with them.
        why: String,
    },
    /// A precision that no sketch has, or a confidence that is none.
    #[error("`{action}` at {site}: {why}")]
    Precision {
        /// The action or operator.
        action: &'static str,
        /// Where it was called.
        site: Site,
        /// What is wrong with it.
        why: String,
    },
    /// A tree of no depth.
    #[error("Depth must be greater than or equal to 1 but got {depth}: `{action}` at {site}")]
    Depth {
        /// The action.
        action: &'static str,
        /// Where it was called.
        site: Site,
        /// The depth asked for.
        depth: usize,
    },
    /// An action was called inside a task.
    #[error(
        "the action `{action}` at {site} was called inside a task of the operator at {inside}; actions belong to the driver: collect or join the data before"
    )]
    NestedJob {
        /// The action.
        action: &'static str,
        /// Where it was called.
        site: Site,
        /// The operator whose closure called it.
        inside: Site,
    },
    /// The value of an accumulator was asked for, or reset, inside a task.
    #[error(
        "Can't read accumulator value in task: {name} was asked inside the operator at {site}; only the driver knows its value, read it after the action"
    )]
    ReadInTask {
        /// The accumulator.
        name: String,
        /// The operator whose closure asked.
        site: Site,
    },
    /// The value of an accumulator cannot be taken from or to where it is kept.
    #[error("cannot {doing} the value of the accumulator {name} made at {site}: {why}")]
    Accumulator {
        /// What was being done: saving, restoring, sending, receiving.
        doing: &'static str,
        /// The accumulator: its name, or its id.
        name: String,
        /// Where it was made.
        site: Site,
        /// What is wrong.
        why: String,
    },
    /// A second storage level for an RDD that has one.
    #[error(
        "Cannot change storage level of an RDD after it was already assigned a level: `persist` at {site} asked for {asked} of {rdd}, which has {has}; unpersist it first"
    )]
    StorageLevel {
        /// The RDD.
        rdd: RddId,
        /// Where `persist` was called.
        site: Site,
        /// The level it has.
        has: StorageLevel,
        /// The level asked for.
        asked: StorageLevel,
    },
    /// A record cannot be turned into bytes, as its storage level or a checkpoint wants.
    #[error("a record cannot be stored as bytes ({why}); keep such records in memory, or change how they serialise")]
    Unstorable {
        /// What its serialisation said.
        why: String,
    },
    /// A file of a cached block or of a checkpoint could not be written or read.
    #[error("{doing} {}: {source}", path.display())]
    Block {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of a cached block or of a checkpoint holds something else than was written.
    #[error("{} is damaged at byte {offset}: {why}", path.display())]
    DamagedBlock {
        /// The file.
        path: PathBuf,
        /// Where, from its beginning.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// What found no room in memory could not be written either.
    #[error(
        "spilling to {} failed after {written} bytes: {source}; the data is larger than the memory budget (spark.memory.size, {budget} bytes): make room there, set spark.local.dir to a larger disk, or raise the budget", path.display()
    )]
    Spill {
        /// The file or directory.
        path: PathBuf,
        /// How much of it had been written.
        written: u64,
        /// The memory budget, in bytes.
        budget: u64,
        /// The system's reason.
        source: std::io::Error,
    },
    /// All values of one key are wanted at once, and are more than the memory budget lets one task hold.
    #[error(
        "{operator} at {site}: the values of the key {key} are larger than what one task may hold in memory ({held} bytes read so far, {limit} allowed): combine them (reduce_by_key, aggregate_by_key), go through them one by one (flat_map_groups), spread the key, or raise spark.memory.size"
    )]
    GroupTooLarge {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
        /// The key, in its text form.
        key: String,
        /// Bytes of its values that had been read.
        held: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// An RDD was to be checkpointed, and nobody said where.
    #[error(
        "Checkpoint directory has not been set in the SparkContext; `checkpoint` at {site} needs one: call `set_checkpoint_dir`, or set spark.checkpoint.dir"
    )]
    NoCheckpointDir {
        /// Where `checkpoint` was called.
        site: Site,
    },
    /// A block that alone holds a partition of a locally checkpointed RDD is gone.
    #[error(
        "Checkpoint block {partition} of {rdd} not found: the RDD was unpersisted, or its file is damaged, and its lineage at {site} was dropped by `local_checkpoint`; use `checkpoint` for data that must outlive its blocks"
    )]
    CheckpointBlock {
        /// The RDD.
        rdd: RddId,
        /// The partition.
        partition: usize,
        /// Where `local_checkpoint` was called.
        site: Site,
    },
    /// The outputs of a shuffle are wanted that were not computed, because a cached block above them made them needless and
    /// is gone. The job plans again; nobody sees this, unless planning again did not help.
    #[error("the outputs of {shuffle} at {site} are needed again, as a cached block that was read instead is gone")]
    Unplanned {
        /// The shuffle.
        shuffle: ShuffleId,
        /// The operator that shuffles.
        site: Site,
    },
    /// The job was cancelled.
    #[error("{job} was cancelled: {reason}")]
    Cancelled {
        /// The job.
        job: JobId,
        /// Who cancelled it and why.
        reason: String,
    },
    /// An attempt at a task was told to stop; another is made.
    #[error("the attempt {task} at a task of {job} was killed: {reason}")]
    TaskKilled {
        /// The job.
        job: JobId,
        /// The number of the attempt.
        task: u64,
        /// Who killed it and why.
        reason: String,
    },
    /// What was to be called at the end of a task failed.
    #[error("a task listener failed: {met}{}", previous.as_ref().map(|e| format!("; previous error of the task: {e}")).unwrap_or_default())]
    TaskListener {
        /// What the listeners met.
        met: String,
        /// What the task itself met.
        previous: Option<Box<Error>>,
    },
    /// A job tag that cannot be one.
    #[error("Spark job tag cannot {why}: `{tag}` at {site}")]
    JobTag {
        /// The tag.
        tag: String,
        /// Where it was given.
        site: Site,
        /// What it must not do.
        why: &'static str,
    },
    /// A file that cannot be added to a context, or was not.
    #[error("{doing} {}: {why}", path.display())]
    AddedFile {
        /// What was being done, where.
        doing: String,
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A broadcast was used after it had been destroyed.
    #[error(
        "Attempted to use Broadcast({id}), made at {made}, after it was destroyed (by `destroy` at {destroyed}); destroy it after its last use"
    )]
    BroadcastDestroyed {
        /// Its number.
        id: u64,
        /// Where it was made.
        made: Site,
        /// Where it was destroyed.
        destroyed: Site,
    },
    /// A barrier stage that cannot run.
    #[error("the barrier stage of the operator at {site} cannot run: {why}")]
    Barrier {
        /// The operator that asked for a barrier stage.
        site: Site,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Tasks that wait for each other at a barrier wait in vain.
    #[error("a barrier was broken: {why}")]
    BarrierBroken {
        /// Who does not come, and why.
        why: String,
    },
    /// The context was stopped before.
    #[error("cannot call `{what}` at {site} on a stopped SparkContext; create a new one")]
    Stopped {
        /// What was called.
        what: &'static str,
        /// Where.
        site: Site,
    },
    /// More narrow operators in a row than a thread's stack carries.
    #[error("{depth} narrow operators in a row at {site}, {limit} are the limit; cache, or repartition, in between")]
    TooDeep {
        /// How many there are.
        depth: u32,
        /// How many there may be.
        limit: u32,
        /// The last of them.
        site: Site,
    },
    /// A number of partitions that is none.
    #[error("`{operator}` at {site} was asked for {asked} partitions; the number must be positive")]
    Partitions {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
        /// The number asked for.
        asked: usize,
    },
    /// A partitioner that sends a key where there is nothing.
    #[error(
        "`{operator}` at {site}: its partitioner put a key into partition {partition}, of {partitions} counted from 0; `partition` must return numbers below `num_partitions`"
    )]
    NoSuchPartition {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
        /// What the partitioner said.
        partition: usize,
        /// How many partitions it said there are.
        partitions: usize,
    },
    /// The partitioner of another RDD, for keys of another type.
    #[error(
        "`{operator}` at {site} was given a partitioner of another type of keys; take that of an RDD with equal keys"
    )]
    OtherKeys {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
    },
    /// A job on a partition that does not exist.
    #[error("`{action}` at {site} was asked for partition {asked} of an RDD that has {partitions}, counted from 0")]
    NoPartition {
        /// The action.
        action: &'static str,
        /// Where it was called.
        site: Site,
        /// The partition asked for.
        asked: usize,
        /// How many there are.
        partitions: usize,
    },
    /// RDDs brought together partition by partition that do not have equally many.
    #[error(
        "Can't {doing} RDDs with unequal numbers of partitions: List({}), `{operator}` at {site}; make both from one RDD, or repartition first",
        Listed(partitions)
    )]
    UnequalPartitions {
        /// What was to be done.
        doing: &'static str,
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
        /// How many each has.
        partitions: Vec<usize>,
    },
    /// Two partitions to be zipped of which one has more records.
    #[error(
        "Can only zip RDDs with same number of elements in each partition, `zip` at {site}: not so in partition {partition}; use `zip_partitions`, or join by `zip_with_index`"
    )]
    UnequalElements {
        /// Where `zip` was called.
        site: Site,
        /// The partition.
        partition: usize,
    },
    /// Groups of partitions that do not have each partition once.
    #[error(
        "the groups of `coalesce_by` at {site} cannot be used: partition {partition} {why}, of {partitions} counted from 0"
    )]
    Groups {
        /// Where it was called.
        site: Site,
        /// The partition.
        partition: usize,
        /// What is wrong with it.
        why: &'static str,
        /// How many there are.
        partitions: usize,
    },
    /// A part of the records that cannot be taken.
    #[error("{rule}, but got {fraction}, `{operator}` at {site}")]
    Fraction {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
        /// The fraction asked for.
        fraction: f64,
        /// What it must be.
        rule: &'static str,
    },
    /// A key for which `sample_by_key` and its like were not told what to take.
    #[error("`{operator}` at {site} has no fraction for the key {key}; give one for each key, 0 to take none")]
    NoFraction {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
        /// The key, as text.
        key: String,
    },
    /// Weights by which nothing can be split.
    #[error("{rule}, but got [{}], `random_split` at {site}", Listed(weights))]
    Weights {
        /// Where it was called.
        site: Site,
        /// The weights asked for.
        weights: Vec<f64>,
        /// What they must be.
        rule: &'static str,
    },
    /// A range without a step.
    #[error("`range` at {site}: the step cannot be 0")]
    ZeroStep {
        /// Where it was called.
        site: Site,
    },
    /// RDDs of two contexts in one operator.
    #[error("`{operator}` at {site} combines RDDs of two SparkContexts; create both from the same one")]
    ForeignRdd {
        /// The operator.
        operator: &'static str,
        /// Where it was called.
        site: Site,
    },
    /// Processes (or lanes) that should run the same program do not.
    #[error(
        "programs diverged: lane {lane} runs {here}, lane {other} runs {there}; every process must run the same program on the same input"
    )]
    Diverged {
        /// This lane.
        lane: usize,
        /// What it runs.
        here: String,
        /// The other lane.
        other: usize,
        /// What that one runs.
        there: String,
    },
    /// A configuration without a name.
    #[error("an application name must be set in your configuration: SparkConf::new().set_app_name(\"…\")")]
    NoAppName,
    /// A configuration that cannot be used.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// A master string that cannot be used.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// An allocation file that cannot be used.
    #[error("the allocation file {} (spark.scheduler.allocation.file) cannot be used: {why}", path.display())]
    Allocations {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A thread of the context could not be started.
    #[error("cannot start a task thread: {0}; lower N of local[N] or raise the system's limit on threads")]
    Threads(#[source] std::io::Error),
    /// An error of the user's own, from a driver closure.
    #[error(transparent)]
    User(BoxError),
}

impl Error {
    /// A stored file that cannot be used.
    pub(crate) fn damaged(path: PathBuf, damage: &Damage) -> Self {
        Error::DamagedBlock { path, offset: damage.at, why: damage.why.clone() }
    }
}

/// `4, 3`.
struct Listed<'a, T>(&'a Vec<T>);
impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, x)| write!(f, "{}{x}", if i == 0 { "" } else { ", " }))
    }
}

/// The message, so that `fn main() -> Result<(), Error>` and `unwrap` say what people can read.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<BoxError> for Error {
    /// An engine error that travelled through `?` in a driver closure comes out as itself.
    fn from(e: BoxError) -> Self {
        match e.downcast::<Error>() {
            Ok(own) => *own,
            Err(e) => Error::User(e),
        }
    }
}

/// Why a task failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskCause {
    /// A closure of the user's panicked; the payload as text.
    Panic(String),
    /// A closure of the user's returned an error.
    User(BoxError),
    /// The engine could not go on: reading an input, mostly.
    Engine(Box<Error>),
}
impl fmt::Display for TaskCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskCause::Panic(what) => write!(f, "panicked: {what}"),
            TaskCause::User(e) => e.fmt(f),
            TaskCause::Engine(e) => e.fmt(f),
        }
    }
}
impl std::error::Error for TaskCause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TaskCause::Panic(_) => None,
            TaskCause::User(e) => e.source(),
            TaskCause::Engine(e) => e.source(),
        }
    }
}
