//! What the jobs that a thread starts belong to: local properties. Groups, descriptions, tags, scheduler pools and call
//! sites are properties with Spark's keys. Guards set them; nothing is inherited by other threads unless it is handed
//! over ([`LocalProperties`]).
use crate::{Error, Result, Site, SparkContext, future::Behalf};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    sync::Arc,
};

const GROUP: &str = "spark.jobGroup.id";
const DESCRIPTION: &str = "spark.job.description";
const POOL: &str = "spark.scheduler.pool";
/// Separated by commas; that is why no tag may contain one.
const TAGS: &str = "spark.job.tags";
const CALL_SITE: &str = "callSite.short";

/// The local properties of a thread at some moment, to look at or to hand to another thread.
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let group = sc.job_group("reports");
/// let mine = sc.local_properties();
/// let other = std::thread::spawn(move || {
///     let _as_there = mine.enter(); // Spark's child threads inherit; here it is said
///     // …jobs of the group `reports`…
/// });
/// # other.join().unwrap();
/// # drop(group);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct LocalProperties(Option<Arc<Set>>);
#[derive(Clone, Default)]
struct Set {
    values: BTreeMap<String, String>,
    /// The asynchronous action whose thread this is.
    behalf: Option<Arc<Behalf>>,
}
impl LocalProperties {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.as_ref()?.values.get(key).map(String::as_str)
    }
    /// Keys and values, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|set| &set.values).map(|(k, v)| (k.as_str(), v.as_str()))
    }
    /// The group.
    pub fn job_group(&self) -> Option<&str> {
        self.get(GROUP)
    }
    /// What people are told the job does.
    pub fn job_description(&self) -> Option<&str> {
        self.get(DESCRIPTION)
    }
    /// The scheduler pool.
    pub fn scheduler_pool(&self) -> Option<&str> {
        self.get(POOL)
    }
    /// What stands for the action's place in the source, if that was set.
    pub fn call_site(&self) -> Option<&str> {
        self.get(CALL_SITE)
    }
    /// The tags.
    pub fn job_tags(&self) -> BTreeSet<&str> {
        self.get(TAGS).into_iter().flat_map(|all| all.split(',')).collect()
    }
    /// These and one more, in place of one with the same key.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let blue = sc.local_properties().with("tenant", "blue");
    /// let here = blue.enter();
    /// assert_eq!(sc.local_property("tenant").as_deref(), Some("blue"));
    /// # drop(here);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn with(&self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let mut all = self.clone();
        all.change(&Change::Value(key.into(), Some(value.into())));
        all
    }
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.get(TAGS).is_some_and(|all| all.split(',').any(|t| t == tag))
    }
    pub(crate) fn behalf(&self) -> Option<&Arc<Behalf>> {
        self.0.as_ref()?.behalf.as_ref()
    }
    /// Gives this thread these properties, and no others, while the guard lives.
    pub fn enter(&self) -> JobScope {
        JobScope::enter(Change::All(self.clone()))
    }
    fn change(&mut self, change: &Change) {
        if let Change::All(all) = change {
            self.clone_from(all);
            return;
        }
        let set = Arc::make_mut(self.0.get_or_insert_default());
        match change {
            Change::Value(key, Some(value)) => drop(set.values.insert(key.clone(), value.clone())),
            Change::Value(key, None) => drop(set.values.remove(key)),
            Change::Tag(tag) => {
                let all = set.values.entry(TAGS.to_owned()).or_default();
                if !all.split(',').any(|t| t == tag) {
                    *all = all.split(',').filter(|t| !t.is_empty()).chain([tag.as_str()]).collect::<Vec<_>>().join(",");
                }
            }
            Change::Untag(tag) => {
                let left = set.values.remove(TAGS).unwrap_or_default();
                let left: Vec<&str> = left.split(',').filter(|t| t != tag && !t.is_empty()).collect();
                if !left.is_empty() {
                    set.values.insert(TAGS.to_owned(), left.join(","));
                }
            }
            Change::Behalf(of) => set.behalf = Some(of.clone()),
            Change::All(_) => {}
        }
    }
}
impl std::fmt::Debug for LocalProperties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What one guard does to the properties below it.
pub(crate) enum Change {
    Value(String, Option<String>),
    Tag(String),
    Untag(String),
    All(LocalProperties),
    Behalf(Arc<Behalf>),
}

/// The changes of all living guards of a thread, oldest first.
#[derive(Default)]
struct Stack {
    guards: Vec<(u64, Change)>,
    next: u64,
    /// What comes of them.
    now: LocalProperties,
}
impl Stack {
    fn changed(&mut self) {
        let mut now = LocalProperties::default();
        self.guards.iter().for_each(|(_, change)| now.change(change));
        self.now = now;
    }
}
thread_local! { static HERE: RefCell<Stack> = RefCell::default(); }

/// The properties of a job started by this thread now.
pub(crate) fn now() -> LocalProperties {
    HERE.with_borrow(|here| here.now.clone())
}

/// While it lives, the jobs this thread starts have a property; made by
/// [`SparkContext::job_group`], [`SparkContext::scheduler_pool`] and their like. Guards nest, and may be dropped in any
/// order: each takes back what it set.
#[must_use = "the scope ends when the guard is dropped"]
pub struct JobScope {
    id: u64,
    /// It belongs to its own thread.
    not_send: PhantomData<*const ()>,
}
impl JobScope {
    pub(crate) fn enter(change: Change) -> Self {
        HERE.with_borrow_mut(|here| {
            let id = here.next;
            here.next += 1;
            here.guards.push((id, change));
            here.changed();
            JobScope { id, not_send: PhantomData }
        })
    }
    fn value(key: &str, value: Option<&str>) -> Self {
        JobScope::enter(Change::Value(key.to_owned(), value.map(str::to_owned)))
    }
}
impl Drop for JobScope {
    fn drop(&mut self) {
        // A guard kept in another thread-local may outlive this one.
        let _ = HERE.try_with(|here| {
            let mut here = here.borrow_mut();
            here.guards.retain(|(id, _)| *id != self.id);
            here.changed();
        });
    }
}

impl SparkContext {
    /// Gives the jobs that this thread starts while the guard lives a property; `None` hides one set before. Tasks read
    /// it with [`TaskContext::local_property`](crate::TaskContext::local_property), listeners find it in the event of
    /// the job's start. Properties hold for all contexts; other threads do not inherit them, unlike Spark's: hand them
    /// over ([`LocalProperties`]).
    ///
    /// ```
    /// use winterbourne_engine::{SparkConf, SparkContext, TaskContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let guard = sc.set_local_property("tenant", "blue");
    /// let seen = sc.range(0..2, 2).map(|_| TaskContext::get()?.local_property("tenant").map(str::to_owned)).collect()?;
    /// assert_eq!(seen, [Some("blue".to_owned()), Some("blue".to_owned())]);
    /// drop(guard);
    /// assert_eq!(sc.local_property("tenant"), None);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "setLocalProperty")]
    pub fn set_local_property<'a>(&self, key: &str, value: impl Into<Option<&'a str>>) -> JobScope {
        JobScope::value(key, value.into())
    }
    /// A property of this thread's jobs.
    #[doc(alias = "getLocalProperty")]
    pub fn local_property(&self, key: &str) -> Option<String> {
        now().get(key).map(str::to_owned)
    }
    /// All properties of this thread's jobs, as they are now.
    pub fn local_properties(&self) -> LocalProperties {
        now()
    }
    /// Says what this thread's jobs do, for people, while the guard lives.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let _what = sc.job_description("nightly report");
    /// assert_eq!(sc.local_properties().job_description(), Some("nightly report"));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "setJobDescription")]
    pub fn job_description(&self, text: &str) -> JobScope {
        JobScope::value(DESCRIPTION, Some(text))
    }
    /// Names the jobs that this thread runs while the guard lives, so that they can be cancelled together
    /// ([`Canceller::cancel_job_group`](crate::Canceller::cancel_job_group)). Guards nest. Spark's `setJobGroup` as a
    /// scope: nothing is inherited by threads.
    ///
    /// ```
    /// use winterbourne_engine::{Error, SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let stop = sc.canceller();
    /// let group = sc.job_group("reports");
    /// let endless = sc.range(0..u64::MAX, 1).map(move |x| { stop.cancel_job_group("reports"); x });
    /// assert!(matches!(endless.count(), Err(Error::Cancelled { .. })));
    /// drop(group);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "setJobGroup")]
    pub fn job_group(&self, name: &str) -> JobScope {
        JobScope::value(GROUP, Some(name))
    }
    /// Takes this thread's jobs out of any group while the guard lives.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let group = sc.job_group("reports");
    /// let alone = sc.clear_job_group();
    /// assert_eq!(sc.local_properties().job_group(), None);
    /// drop(alone);
    /// assert_eq!(sc.local_properties().job_group(), Some("reports"));
    /// # drop(group);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "clearJobGroup")]
    pub fn clear_job_group(&self) -> JobScope {
        JobScope::value(GROUP, None)
    }
    /// Tags the jobs that this thread runs while the guard lives
    /// ([`Canceller::cancel_jobs_with_tag`](crate::Canceller::cancel_jobs_with_tag)). A job may have several tags.
    ///
    /// ```
    /// use winterbourne_engine::{Error, SparkConf, SparkContext};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let red = sc.add_job_tag("red")?;
    /// let blue = sc.add_job_tag("blue")?;
    /// assert_eq!(Vec::from_iter(sc.job_tags()), ["blue", "red"]);
    /// drop(red);
    /// assert_eq!(Vec::from_iter(sc.job_tags()), ["blue"]);
    /// assert!(matches!(sc.add_job_tag("a,b"), Err(Error::JobTag { .. })));
    /// # drop(blue);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::JobTag`] for one that is empty or contains a comma.
    #[doc(alias = "addJobTag")]
    #[track_caller]
    pub fn add_job_tag(&self, tag: &str) -> Result<JobScope> {
        Ok(JobScope::enter(Change::Tag(checked(tag)?)))
    }
    /// Takes a tag from this thread's jobs while the guard lives.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let nightly = sc.add_job_tag("nightly")?;
    /// let untagged = sc.remove_job_tag("nightly")?;
    /// assert!(sc.job_tags().is_empty());
    /// drop(untagged);
    /// assert_eq!(sc.job_tags().len(), 1);
    /// # drop(nightly);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`add_job_tag`](SparkContext::add_job_tag).
    #[doc(alias = "removeJobTag")]
    #[track_caller]
    pub fn remove_job_tag(&self, tag: &str) -> Result<JobScope> {
        Ok(JobScope::enter(Change::Untag(checked(tag)?)))
    }
    /// The tags of this thread's jobs.
    #[doc(alias = "getJobTags")]
    pub fn job_tags(&self) -> BTreeSet<String> {
        now().job_tags().into_iter().map(str::to_owned).collect()
    }
    /// Takes all tags from this thread's jobs while the guard lives.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let tags = (sc.add_job_tag("a")?, sc.add_job_tag("b")?);
    /// let none = sc.clear_job_tags();
    /// assert!(sc.job_tags().is_empty());
    /// # drop((tags, none));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "clearJobTags")]
    pub fn clear_job_tags(&self) -> JobScope {
        JobScope::value(TAGS, None)
    }
    /// Puts the jobs that this thread starts while the guard lives into a scheduler pool: under
    /// `spark.scheduler.mode` FAIR, idle threads are shared between pools by weight and minimum share
    /// ([`SchedulerPool`](crate::SchedulerPool), from `spark.scheduler.allocation.file`); under FIFO it means nothing.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// let conf = SparkConf::empty().set_app_name("doc").set("spark.scheduler.mode", "FAIR");
    /// let sc = SparkContext::new(conf)?;
    /// let reports = sc.scheduler_pool("reports");
    /// assert_eq!(sc.range(0..10, 2).count()?, 10); // a job of the pool `reports`
    /// drop(reports);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn scheduler_pool(&self, name: &str) -> JobScope {
        JobScope::value(POOL, Some(name))
    }
    /// What listeners and [`StatusTracker`](crate::StatusTracker) are told instead of the place in the source from which
    /// this thread calls actions, while the guard lives: for libraries. Errors still name the place.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let library = sc.call_site("the nightly report");
    /// assert_eq!(sc.local_properties().call_site(), Some("the nightly report"));
    /// let plain = sc.clear_call_site();
    /// assert_eq!(sc.local_properties().call_site(), None);
    /// assert_eq!(sc.local_properties().iter().count(), 0);
    /// # drop((library, plain));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "setCallSite")]
    pub fn call_site(&self, text: &str) -> JobScope {
        JobScope::value(CALL_SITE, Some(text))
    }
    /// Says the place in the source again while the guard lives.
    #[doc(alias = "clearCallSite")]
    pub fn clear_call_site(&self) -> JobScope {
        JobScope::value(CALL_SITE, None)
    }
}

/// A tag that can be one of several.
#[track_caller]
fn checked(tag: &str) -> Result<String> {
    match tag {
        "" => Err(Error::JobTag { tag: tag.to_owned(), site: Site::caller(), why: "be an empty string" }),
        t if t.contains(',') => Err(Error::JobTag { tag: t.to_owned(), site: Site::caller(), why: "contain ','" }),
        t => Ok(t.to_owned()),
    }
}
