//! Which of several jobs an idle thread helps: a pure decision over numbers.
//!
//! FIFO: the job that was started first. FAIR: the pool that has less than its minimum share; else the one with the
//! fewest threads for its weight; within a pool the job that was started first. Every job's own thread works for it in
//! either mode, so no job starves.
use crate::{Error, Result};
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// A pool of jobs under FAIR scheduling (`spark.scheduler.mode`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchedulerPool {
    /// Its name, for [`SparkContext::scheduler_pool`](crate::SparkContext::scheduler_pool).
    pub name: String,
    /// Its share relative to other pools; 1 unless said otherwise.
    pub weight: usize,
    /// Threads it gets before weights are looked at; 0 unless said otherwise.
    pub min_share: usize,
}
impl SchedulerPool {
    /// A pool of weight 1 without a minimum share.
    ///
    /// ```
    /// use winterbourne_engine::SchedulerPool;
    /// let pool = SchedulerPool::new("reports");
    /// assert_eq!((pool.weight, pool.min_share), (1, 0));
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        SchedulerPool { name: name.into(), weight: 1, min_share: 0 }
    }
}

/// A pool at work.
pub(crate) struct Share {
    spec: SchedulerPool,
    /// Threads that work for its jobs now.
    pub(crate) running: AtomicUsize,
}

/// Where a task set stands among others.
#[derive(Clone)]
pub(crate) struct Rank {
    /// None under FIFO.
    pub(crate) share: Option<Arc<Share>>,
    pub(crate) job: u64,
}
impl Rank {
    /// Who goes first.
    pub(crate) fn before(&self, other: &Rank) -> Ordering {
        let pools = match (&self.share, &other.share) {
            (Some(a), Some(b)) if !Arc::ptr_eq(a, b) => {
                let (x, y) = (a.running.load(Relaxed), b.running.load(Relaxed));
                order((&a.spec, x), (&b.spec, y))
            }
            _ => Ordering::Equal,
        };
        pools.then(self.job.cmp(&other.job))
    }
}
fn order((a, x): (&SchedulerPool, usize), (b, y): (&SchedulerPool, usize)) -> Ordering {
    let (needy_a, needy_b) = (x < a.min_share, y < b.min_share);
    // Fractions are compared by cross-multiplication: x/p < y/q as x*q < y*p.
    let by = |p: usize, q: usize| (x * q.max(1)).cmp(&(y * p.max(1)));
    match (needy_a, needy_b) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (true, true) => by(a.min_share, b.min_share),
        (false, false) => by(a.weight, b.weight),
    }
    .then_with(|| a.name.cmp(&b.name))
}

/// The pools of a context; none under FIFO.
pub(crate) struct Shares(Option<Mutex<BTreeMap<String, Arc<Share>>>>);
impl Shares {
    pub(crate) fn fifo() -> Self {
        Shares(None)
    }
    pub(crate) fn fair(pools: Vec<SchedulerPool>) -> Self {
        let shares = Shares(Some(Mutex::default()));
        pools.into_iter().for_each(|p| drop(shares.define(p)));
        shares
    }
    pub(crate) fn is_fair(&self) -> bool {
        self.0.is_some()
    }
    /// All pools, by name.
    pub(crate) fn all(&self) -> Vec<SchedulerPool> {
        let Some(map) = &self.0 else { return Vec::new() };
        map.lock().expect("plain map").values().map(|share| share.spec.clone()).collect()
    }
    fn define(&self, spec: SchedulerPool) -> Option<Arc<Share>> {
        let mut map = self.0.as_ref()?.lock().expect("plain map");
        let share = Arc::new(Share { running: AtomicUsize::new(0), spec });
        map.insert(share.spec.name.clone(), share.clone());
        Some(share)
    }
    /// The rank of a job. A pool nobody defined is made, of weight 1, as in Spark.
    pub(crate) fn rank(&self, job: u64, pool: Option<&str>) -> Rank {
        let Some(map) = &self.0 else { return Rank { share: None, job } };
        let name = pool.unwrap_or("default");
        let known = map.lock().expect("plain map").get(name).cloned();
        Rank { share: known.or_else(|| self.define(SchedulerPool::new(name))), job }
    }
}

/// Reads the pools of an allocation file (`spark.scheduler.allocation.file`), in Spark's XML.
pub(crate) fn read_allocations(path: &Path) -> Result<Vec<SchedulerPool>> {
    let bad = |why: String| Error::Allocations { path: path.to_owned(), why };
    let text = fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let document = roxmltree::Document::parse(&text).map_err(|e| bad(e.to_string()))?;
    let mut pools = Vec::new();
    for node in document.root_element().children().filter(|n| n.has_tag_name("pool")) {
        let name = node.attribute("name").ok_or_else(|| bad("a <pool> without a name".into()))?;
        let mut pool = SchedulerPool::new(name);
        for part in node.children().filter(roxmltree::Node::is_element) {
            let (tag, text) = (part.tag_name().name(), part.text().unwrap_or("").trim());
            let number =
                || text.parse::<usize>().map_err(|_| bad(format!("pool `{name}`: <{tag}> is `{text}`, not a number")));
            match tag {
                "weight" => pool.weight = number()?,
                "minShare" => pool.min_share = number()?,
                // Within a pool jobs go in the order they were started.
                "schedulingMode" => {}
                other => return Err(bad(format!("pool `{name}`: unknown element <{other}>"))),
            }
        }
        pools.push(pool);
    }
    Ok(pools)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str, weight: usize, min_share: usize) -> SchedulerPool {
        SchedulerPool { name: name.into(), weight, min_share }
    }
    #[test]
    fn who_is_helped_first() {
        let (a, b) = (pool("a", 1, 0), pool("b", 2, 0));
        let (needy, rich) = (pool("n", 1, 3), pool("r", 1, 1));
        for (x, y, expect) in [
            ((&a, 0), (&b, 0), "a"), // nobody has anything: by name
            ((&a, 1), (&b, 1), "b"), // b weighs more
            ((&a, 1), (&b, 2), "a"), // 1/1 = 2/2: by name
            ((&a, 1), (&b, 3), "a"),
            ((&needy, 2), (&a, 0), "n"),    // below its minimum share
            ((&needy, 3), (&a, 0), "a"),    // has it
            ((&needy, 2), (&rich, 0), "r"), // both below: 2/3 against 0/1
        ] {
            let first = if order(x, y) == Ordering::Less { x.0 } else { y.0 };
            assert_eq!(first.name, expect);
            assert_eq!(order(x, y), order(y, x).reverse());
        }
    }
    #[test]
    fn fifo_is_by_job() {
        let fifo = Shares::fifo();
        assert_eq!(fifo.rank(1, Some("x")).before(&fifo.rank(2, None)), Ordering::Less);
    }
    #[test]
    fn allocation_files_are_read_or_refused_by_name() {
        let dir = std::env::temp_dir().join(format!("winterbourne-pools-{}", std::process::id()));
        let read = |text: &str| {
            fs::write(&dir, text).unwrap();
            read_allocations(&dir)
        };
        let good = r#"<?xml version="1.0"?><allocations><pool name="etl"><schedulingMode>FAIR</schedulingMode>
            <weight>2</weight><minShare>1</minShare></pool><pool name="ui"/></allocations>"#;
        assert_eq!(read(good).unwrap(), [pool("etl", 2, 1), pool("ui", 1, 0)]);
        for (text, why) in [
            ("<allocations><pool/></allocations>", "without a name"),
            (r#"<a><pool name="x"><weight>heavy</weight></pool></a>"#, "`heavy`, not a number"),
            (r#"<a><pool name="x"><wait>1</wait></pool></a>"#, "unknown element <wait>"),
            ("<a>", ""),
        ] {
            let e = read(text).unwrap_err().to_string();
            assert!(e.contains(why) && e.contains(dir.to_str().unwrap()), "{e}");
        }
        fs::remove_file(&dir).unwrap();
    }
}
