//! [`ContextBuilder`]: a context from its configuration, with what code alone can give it.
use super::{Files, Ids, Inner, SparkContext};
use crate::{
    ApplicationStart, Error, Master, Result, SparkListener, SparkListenerEvent,
    backend::Backend,
    blocks::Blocks,
    checkpoint::Checkpoints,
    fair::{Shares, read_allocations},
    future::Actions,
    job::Running,
    listener::Bus,
    memory::Memory,
    pool::Pool,
    spill::Scratch,
};
use std::{
    marker::PhantomData,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use winterbourne_base::{Clock, SparkConf, SystemClock, conf::keys, memory};

/// Makes a context; see [`SparkContext::builder`].
#[must_use = "nothing is made before `start`"]
pub struct ContextBuilder {
    conf: SparkConf,
    backend: Option<Arc<dyn Backend>>,
    clock: Arc<dyn Clock>,
    listeners: Vec<Box<dyn SparkListener>>,
}
impl SparkContext {
    /// A context with more than a configuration: listeners that hear of its beginning, a clock.
    ///
    /// ```
    /// use winterbourne_engine::{SparkConf, SparkContext, SparkListenerEvent};
    /// let (tell, heard) = std::sync::mpsc::channel();
    /// let conf = SparkConf::empty().set_app_name("told");
    /// let sc = SparkContext::builder(conf)
    ///     .listener(move |event: &SparkListenerEvent| { let _ = tell.send(format!("{event:?}")); })
    ///     .start()?;
    /// sc.stop();
    /// let heard: Vec<String> = heard.iter().collect();
    /// assert!(heard[0].starts_with("ApplicationStart { name: \"told\""));
    /// assert!(heard[1].starts_with("ApplicationEnd"));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn builder(conf: impl Into<SparkConf>) -> ContextBuilder {
        ContextBuilder::new(conf)
    }
}
impl ContextBuilder {
    pub(super) fn new(conf: impl Into<SparkConf>) -> Self {
        ContextBuilder { conf: conf.into(), backend: None, clock: Arc::new(SystemClock), listeners: Vec::new() }
    }
    /// One lane of several that run one program; see [`backend`](crate::backend).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use winterbourne_engine::{Result, SparkConf, SparkContext, backend::{Backend, Block, Label}};
    /// /// The only lane there is.
    /// struct Alone;
    /// impl Backend for Alone {
    ///     fn lanes(&self) -> usize { 1 }
    ///     fn lane(&self) -> usize { 0 }
    ///     fn gather(&self, _: &Label, mine: Result<Vec<(usize, Block)>>) -> Result<Vec<(usize, Block)>> { mine }
    ///     fn agree(&self, _: &Label, mine: bool) -> Result<bool> { Ok(mine) }
    /// }
    /// let conf = SparkConf::empty().set_app_name("doc");
    /// let sc = SparkContext::builder(conf).backend(Arc::new(Alone)).start()?;
    /// assert_eq!(sc.range(0..10, 2).map(|x| (x % 2, x)).reduce_by_key(|a, b| a + b).count()?, 2);
    /// assert!(!sc.is_local());
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backend = Some(backend);
        self
    }
    /// Where times and durations come from, and what time-outs wait on; the system's clock unless given.
    ///
    /// ```
    /// use winterbourne_base::{ManualClock, Time};
    /// use winterbourne_engine::{SparkConf, SparkContext};
    /// let clock = ManualClock::new(Time::from_millis(7_000));
    /// let sc = SparkContext::builder(SparkConf::empty().set_app_name("doc")).clock(clock).start()?;
    /// assert_eq!(sc.start_time().as_millis(), 7_000);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
    /// A listener that is there before the first event. Plug-ins come in this way.
    pub fn listener(mut self, listener: impl SparkListener) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }
    /// Makes the context.
    ///
    /// # Errors
    /// As [`SparkContext::new`]; [`Error::User`] with what a listener's
    /// [`on_attach`](crate::SparkListener::on_attach) returned.
    pub fn start(self) -> Result<SparkContext> {
        static CONTEXTS: AtomicU64 = AtomicU64::new(0);
        let ContextBuilder { conf, backend, clock, listeners } = self;
        conf.validate()?;
        for (key, why) in conf.without_effect() {
            tracing::warn!("the setting {key} has no effect: {why}");
        }
        memory::keep_freed(conf.value(keys::MEMORY_KEEP_FREED)?);
        let master: Master = conf.value(keys::MASTER)?.parse()?;
        let shares = match conf.value(keys::SCHEDULER_MODE)?.as_str() {
            "FAIR" => {
                let file = conf.value(keys::SCHEDULER_ALLOCATION_FILE)?;
                Shares::fair(file.map_or(Ok(Vec::new()), |f| read_allocations(Path::new(&f)))?)
            }
            _ => Shares::fifo(),
        };
        let (started, lane) = (clock.now(), backend.is_some());
        let application_id = match CONTEXTS.fetch_add(1, Relaxed) {
            0 => format!("local-{}", started.as_millis()),
            n => format!("local-{}-{n}", started.as_millis()),
        };
        let bus = Arc::new(Bus::new(conf.value(keys::LISTENER_QUEUE)?, clock));
        let counters: Arc<crate::Counters> = Arc::default();
        // Spark takes a list; one directory is enough for one machine's threads.
        let local_dir = conf.value(keys::LOCAL_DIR)?;
        let local_dir = local_dir.as_deref().and_then(|dirs| dirs.split(',').map(str::trim).find(|d| !d.is_empty()));
        let local_dir = local_dir.map_or_else(std::env::temp_dir, Into::into);
        let scratch = Arc::new(Scratch::new(local_dir));
        let memory = Arc::new(Memory::new(
            budget(&conf)?,
            conf.value(keys::MEMORY_STORAGE_FRACTION)?,
            master.threads,
            scratch.clone(),
            conf.value(keys::SHUFFLE_SPILL_COMPRESS)?,
        ));
        let blocks = Blocks::new(memory.clone(), conf.value(keys::RDD_COMPRESS)?, scratch, counters.clone());
        let blocks = Arc::new(blocks);
        memory.serve(&blocks);
        let inner = Inner {
            app_name: conf.value(keys::APP_NAME)?.ok_or(Error::NoAppName)?,
            default_parallelism: conf.value(keys::DEFAULT_PARALLELISM)?,
            limit_initial: conf.value(keys::LIMIT_INITIAL_PARTITIONS)?.max(1),
            limit_scale_up: conf.value(keys::LIMIT_SCALE_UP)?.max(2),
            master,
            pool: Pool::new(master.threads, shares.is_fair()).map_err(Error::Threads)?,
            shares,
            blocks,
            memory,
            checkpoints: Arc::new(Checkpoints::new(conf.value(keys::CHECKPOINT_DIR)?)),
            clean_checkpoints: conf.value(keys::CLEAN_CHECKPOINTS)?,
            counters,
            accumulators: Arc::default(),
            ids: Ids::default(),
            running: Running::new(conf.value(keys::UI_RETAINED_JOBS)?),
            backend,
            bus,
            files: Files::default(),
            actions: Actions::default(),
            barriers: Arc::default(),
            application_id,
            started,
            stopped: AtomicBool::new(false),
            conf,
        };
        let sc = SparkContext { inner: Arc::new(inner), driver_only: PhantomData };
        for listener in listeners {
            sc.attach(listener)?;
        }
        sc.inner.bus.post(|| {
            let (name, id) = (sc.inner.app_name.clone(), sc.inner.application_id.clone());
            SparkListenerEvent::ApplicationStart(ApplicationStart { name, id, time: started })
        });
        if !lane {
            super::active::enter(&sc);
        }
        Ok(sc)
    }
}

/// The memory budget: what is asked for, or a share of what there is.
fn budget(conf: &SparkConf) -> Result<u64> {
    if let Some(bytes) = conf.value(keys::MEMORY_SIZE)? {
        return Ok(bytes.0);
    }
    let fraction = conf.value(keys::MEMORY_FRACTION)?;
    Ok(memory::available().map_or(UNKNOWN, |bytes| (bytes as f64 * fraction) as u64))
}
/// The budget where the system does not say how much memory there is.
const UNKNOWN: u64 = 4 << 30;
