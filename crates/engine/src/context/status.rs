//! [`StatusTracker`], and the questions that a context answers.
use super::{Inner, SparkContext};
use crate::{
    JobId, JobStatus, LocalProperties, SchedulerPool, StageId,
    job::{Job, Stages},
};
use std::sync::{Arc, Weak, atomic::Ordering::Relaxed};
use winterbourne_base::Time;

/// What is known of a job; see [`StatusTracker::job_info`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SparkJobInfo {
    /// Which.
    pub id: JobId,
    /// Its stages, parents first; none before it is planned.
    pub stages: Vec<StageId>,
    /// What becomes of it.
    pub status: JobStatus,
    /// Group, description, tags and the like.
    pub properties: LocalProperties,
}
/// How far a running stage is; see [`StatusTracker::stage_info`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SparkStageInfo {
    /// Which.
    pub id: StageId,
    /// Which attempt at it, from zero.
    pub attempt: u32,
    /// Its last operator and that one's place in the source.
    pub name: String,
    /// How many tasks it has.
    pub tasks: usize,
    /// How many of them run.
    pub active: usize,
    /// How many have ended well.
    pub completed: usize,
    /// How many attempts have failed, in this stage and those that run beside it.
    pub failed: u64,
}

/// Tells how jobs and stages are doing, from any thread; does not keep the context alive. Of one that is gone, nothing
/// is known.
///
/// Jobs that ended are remembered for a while (`spark.ui.retainedJobs`); stages while they run.
///
/// ```
/// use winterbourne_engine::{JobStatus, SparkConf, SparkContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
/// let status = sc.status_tracker();
/// let (seen, ask) = std::sync::mpsc::channel();
/// let group = sc.job_group("reports");
/// let inside = status.clone();
/// sc.range(0..3, 3).foreach(move |_| {
///     let stage = inside.active_stage_ids()[0];
///     seen.send(inside.stage_info(stage).expect("it runs").tasks).expect("somebody asks");
/// })?;
/// assert_eq!(ask.recv(), Ok(3));
/// let [job] = status.job_ids_for_group(Some("reports"))[..] else { panic!() };
/// assert_eq!(status.job_info(job).expect("known").status, JobStatus::Succeeded);
/// assert!(status.active_job_ids().is_empty());
/// # drop(group);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct StatusTracker(Weak<Inner>);
impl StatusTracker {
    fn running(&self) -> Vec<Arc<Job>> {
        self.0.upgrade().map(|inner| inner.running.jobs()).unwrap_or_default()
    }
    fn known(&self, which: impl Fn(&LocalProperties) -> bool) -> Vec<JobId> {
        let Some(inner) = self.0.upgrade() else { return Vec::new() };
        let ended = inner.running.ended().into_iter().map(|e| (e.id, e.properties));
        let all = ended.chain(inner.running.jobs().into_iter().map(|j| (j.id, j.properties.clone())));
        let mut ids: Vec<JobId> = all.filter(|(_, p)| which(p)).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids.dedup(); // one that ended between the two questions
        ids
    }
    /// The jobs that run, oldest first.
    #[doc(alias = "getActiveJobIds")]
    pub fn active_job_ids(&self) -> Vec<JobId> {
        self.running().iter().map(|job| job.id).collect()
    }
    /// The known jobs of a group, those that ended included; of none, with `None`.
    #[doc(alias = "getJobIdsForGroup")]
    pub fn job_ids_for_group(&self, group: Option<&str>) -> Vec<JobId> {
        self.known(|p| p.job_group() == group)
    }
    /// The known jobs that have a tag, those that ended included.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let tag = sc.add_job_tag("nightly")?;
    /// sc.range(0..10, 2).count()?;
    /// # drop(tag);
    /// let status = sc.status_tracker();
    /// assert_eq!(status.job_ids_for_tag("nightly").len(), 1);
    /// assert_eq!(status.app_name(), Some("doc".to_string()));
    /// assert_eq!(status.conf().map(|conf| conf.get("spark.app.name").is_some()), Some(true));
    /// drop(sc);
    /// assert_eq!(status.app_name(), None, "it keeps no context alive");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "getJobIdsForTag")]
    pub fn job_ids_for_tag(&self, tag: &str) -> Vec<JobId> {
        self.known(|p| p.has_tag(tag))
    }
    /// What is known of a job.
    #[doc(alias = "getJobInfo")]
    pub fn job_info(&self, id: JobId) -> Option<SparkJobInfo> {
        let inner = self.0.upgrade()?;
        let info = |stages: Stages, status, properties| {
            Some(SparkJobInfo { id, stages: stages.all().collect(), status, properties })
        };
        match inner.running.job(id) {
            Some(job) => info(job.stages(), job.status(), job.properties.clone()),
            None => {
                let ended = inner.running.ended().into_iter().find(|e| e.id == id)?;
                info(ended.stages, ended.status, ended.properties)
            }
        }
    }
    /// The stages whose tasks run.
    #[doc(alias = "getActiveStageIds")]
    pub fn active_stage_ids(&self) -> Vec<StageId> {
        let tasks = self.running().into_iter().filter_map(|job| job.tasks());
        let mut ids: Vec<StageId> = tasks.flat_map(|t| t.specs.iter().map(|s| s.stage).collect::<Vec<_>>()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
    /// How far a stage is, if its tasks run.
    #[doc(alias = "getStageInfo")]
    pub fn stage_info(&self, id: StageId) -> Option<SparkStageInfo> {
        let job = self.running().into_iter().find(|job| job.has_stage(id))?;
        let around = job.tasks()?;
        let of: Vec<_> = around.specs.iter().filter(|s| s.stage == id).collect();
        let first = of.first()?;
        // Each is looked at once: one that ends meanwhile does not count twice.
        let over: Vec<bool> = of.iter().map(|s| s.is_over()).collect();
        Some(SparkStageInfo {
            id,
            attempt: around.again,
            name: format!("{} at {}", first.name, first.site),
            tasks: of.len(),
            active: of.iter().zip(&over).filter(|(s, over)| s.has_begun() && !**over).count(),
            completed: over.iter().filter(|over| **over).count(),
            failed: around.failed.load(Relaxed),
        })
    }
    /// See [`SparkContext::application_id`]; `None` if the context is gone.
    pub fn application_id(&self) -> Option<String> {
        Some(self.0.upgrade()?.application_id.clone())
    }
    /// `spark.app.name`; `None` if the context is gone.
    pub fn app_name(&self) -> Option<String> {
        Some(self.0.upgrade()?.app_name.clone())
    }
    /// The configuration; `None` if the context is gone.
    pub fn conf(&self) -> Option<winterbourne_base::SparkConf> {
        Some(self.0.upgrade()?.conf.clone())
    }
    /// When the context was made; `None` if it is gone.
    pub fn start_time(&self) -> Option<Time> {
        Some(self.0.upgrade()?.started)
    }
}

impl SparkContext {
    /// Tells how jobs and stages are doing.
    #[doc(alias = "statusTracker")]
    pub fn status_tracker(&self) -> StatusTracker {
        StatusTracker(Arc::downgrade(&self.inner))
    }
    /// A name for this run of the program: `local-` and the milliseconds of its start, and a number if the process had
    /// contexts before.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set_master("local[2]"))?;
    /// assert_eq!(sc.application_id(), format!("local-{}", sc.start_time().as_millis()));
    /// assert!(sc.is_local());
    /// assert!(SparkContext::version().starts_with(|c: char| c.is_ascii_digit()));
    /// assert_eq!((sc.all_pools(), sc.scheduling_mode()), (vec![], "FIFO"));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "applicationId")]
    pub fn application_id(&self) -> &str {
        &self.inner.application_id
    }
    /// When it was made.
    #[doc(alias = "startTime")]
    pub fn start_time(&self) -> Time {
        self.inner.started
    }
    /// Winterbourne's version.
    pub fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
    /// Whether all tasks run in this process.
    #[doc(alias = "isLocal")]
    pub fn is_local(&self) -> bool {
        self.inner.backend.is_none()
    }
    /// `spark.scheduler.mode`: FIFO or FAIR.
    #[doc(alias = "getSchedulingMode")]
    pub fn scheduling_mode(&self) -> &'static str {
        if self.inner.shares.is_fair() { "FAIR" } else { "FIFO" }
    }
    /// The scheduler pools, by name: those of the allocation file and those that jobs have named. None under FIFO.
    #[doc(alias = "getAllPools")]
    pub fn all_pools(&self) -> Vec<SchedulerPool> {
        self.inner.shares.all()
    }
    /// One of them.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc").set("spark.scheduler.mode", "FAIR"))?;
    /// let reports = sc.scheduler_pool("reports");
    /// sc.range(0..10, 2).count()?;
    /// # drop(reports);
    /// assert_eq!(sc.pool_for_name("reports").map(|pool| pool.weight), Some(1));
    /// assert_eq!(sc.pool_for_name("others"), None);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "getPoolForName")]
    pub fn pool_for_name(&self, name: &str) -> Option<SchedulerPool> {
        self.all_pools().into_iter().find(|pool| pool.name == name)
    }
}
