//! Tests of planning again: a block that was there when the job was planned is gone when it is wanted, and so are the
//! outputs of the shuffle below it. Outputs of our own shuffles live as long as their lineage; here is one whose do not.
use crate::{
    Error, Flow, JobId, Rdd, Result, Shape, ShuffleId, Site, SparkConf, SparkContext, Task,
    backend::Block,
    blocks::{About, InMemory},
    lineage::{Count, Dep, Link, Node, Op, Shuffle},
};
use crate::{Level, MemoryOnly, RddId, StorageLevel};
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
};

const MAPS: usize = 3;

/// A shuffle that forgets: bit i of `done` says that map i was run.
struct Forgetful {
    parent: Link<Op<u64>>,
    site: Site,
    reducers: Count,
    done: AtomicUsize,
    runs: AtomicU64,
}
impl Shuffle for Forgetful {
    fn id(&self) -> ShuffleId {
        ShuffleId(self.site.line().into())
    }
    fn parent(&self) -> &dyn Node {
        &**self.parent
    }
    fn parent_link(&self) -> Link<dyn Node> {
        Link::erased(&self.parent)
    }
    fn site(&self) -> Site {
        self.site
    }
    fn name(&self) -> &'static str {
        "forgetful"
    }
    fn reducers(&self) -> &Count {
        &self.reducers
    }
    fn is_done(&self, map: usize) -> bool {
        self.done.load(SeqCst) & (1 << map) != 0
    }
    fn run_map(&self, map: usize, task: &Task) -> Result<()> {
        self.parent.flow(map, task)?.each(|_| Ok(()))?;
        self.runs.fetch_add(1, SeqCst);
        self.done.fetch_or(1 << map, SeqCst);
        Ok(())
    }
    fn output(&self, _: usize) -> Block {
        Arc::new(())
    }
    fn adopt(&self, _: usize, _: Block) {}
}
/// The numbers of `parent`, through a shuffle that forgets.
#[track_caller]
fn through(parent: &Rdd<u64>) -> (Rdd<u64>, Arc<Forgetful>) {
    let (site, n) = (Site::caller(), parent.op.meta.partitions.clone());
    let shuffle = Arc::new(Forgetful {
        parent: Link::typed(&parent.op),
        site,
        reducers: n.clone(),
        done: AtomicUsize::new(0),
        runs: AtomicU64::new(0),
    });
    let deps = vec![Dep::Shuffle(shuffle.clone())];
    let shape = Shape { name: "forgetful", site, partitions: n, deps, partitioner: None, depth: 0 };
    let own = shuffle.clone();
    let rdd = parent.sc.make(shape, move |p, _| match own.done.load(SeqCst) {
        0b111 => Ok(Flow::from_records([p as u64].into_iter())),
        _ => Err(Error::Unplanned { shuffle: own.id(), site }),
    });
    (rdd, shuffle)
}
fn context(threads: usize) -> SparkContext {
    let conf = SparkConf::empty().set_app_name("test").set_master(format!("local[{threads}]"));
    SparkContext::new(conf.set("spark.memory.size", 1000)).expect("a good configuration")
}
/// Something that makes all other blocks go when it is called.
fn evict(sc: &SparkContext) -> impl Fn() + Send + Sync + 'static {
    let (blocks, id) = (sc.inner.blocks.clone(), RddId(u64::MAX));
    let (level, partitions) = (StorageLevel::MEMORY_ONLY, Count::known(1));
    let keeping = Level::<u64>::keeping(MemoryOnly);
    move || {
        let about = About { id, name: "large", site: Site::caller(), level, partitions: partitions.clone() };
        let term = blocks.register(about, &keeping);
        blocks.put((id, 0), term, &InMemory::Records(Arc::new(())), 1000);
        blocks.forget(id);
    }
}

#[test]
fn tasks_that_miss_a_block_and_its_shuffle_run_again_after_it() {
    for threads in [1, 3] {
        let sc = context(threads);
        let added = sc.long_accumulator("added");
        let (below, lower) = through(&sc.range(0..30, MAPS));
        let (middle, upper) = through(&below.cache());
        let cached = middle.map(|x| x + 100).cache();
        assert_eq!(cached.collect().expect("runs"), [100, 101, 102]);
        assert_eq!((lower.runs.load(SeqCst), upper.runs.load(SeqCst)), (3, 3));
        // All of it was planned to be read from the cache.
        lower.done.store(0, SeqCst);
        upper.done.store(0b010, SeqCst);
        let (evict, counted, first) = (evict(&sc), added.clone(), AtomicU64::new(0));
        let gate = sc.range(0..1, 1).map(move |x| {
            if first.fetch_add(1, SeqCst) == 0 {
                evict();
            }
            x + 1000
        });
        let all = gate.union(&cached).map(move |x| {
            counted.add(1);
            x
        });
        let results = sc.run_job(&all, vec![0, 1, 3], |_, flow, _| Ok(flow.records().collect::<Vec<_>>()));
        assert_eq!(results.expect("planned again"), [vec![1000], vec![100], vec![102]], "{threads} threads");
        assert_eq!(added.value(), 3, "what was done is not done again");
        if threads == 1 {
            assert_eq!((lower.runs.load(SeqCst), upper.runs.load(SeqCst)), (6, 5), "what was missing, and no more");
        }
        assert_eq!(cached.collect().expect("runs"), [100, 101, 102]);
    }
}
#[test]
fn map_tasks_that_miss_what_was_planned_run_again_too() {
    let sc = context(1);
    let (below, lower) = through(&sc.range(0..30, MAPS));
    let cached = below.cache();
    cached.count().expect("runs");
    lower.done.store(0, SeqCst);
    let (evict, first) = (evict(&sc), AtomicU64::new(0));
    let pairs = cached.map_partitions_with_index(move |p, records| {
        if p == 0 && first.fetch_add(1, SeqCst) == 0 {
            evict();
        }
        records.map(|x| (x, x))
    });
    let tasks = sc.counts().tasks;
    let sums = pairs.reduce_by_key(|a, _| a);
    assert_eq!(sums.count().expect("planned again"), 3);
    // Map task 0 is done, 1 and 2 are not; then the lower shuffle, the two again, and the result.
    assert_eq!(sc.counts().tasks - tasks, 3 + 3 + 2 + 3);
}
#[test]
fn what_planning_again_does_not_help_is_an_error() {
    let sc = context(2);
    let (rdd, shuffle) = through(&sc.range(0..30, MAPS));
    let broken = rdd.map(|x| x);
    // Nobody runs map 1, as it claims to be done; and nothing is cached.
    let s = shuffle.clone();
    let forgets = broken.narrow("forgets", Site::caller(), false, move |_, flow, task| {
        let _ = (&flow, task.job == JobId(0));
        s.done.store(0, SeqCst);
        Err::<Flow<u64>, _>(Error::Unplanned { shuffle: s.id(), site: s.site })
    });
    let e = forgets.count().expect_err("cannot be helped");
    assert!(matches!(e, Error::Unplanned { .. }), "{e}");
}
