//! What the engine says of its memory, beside what the allocator says: within a factor of two. One test at a time, as
//! there is one allocator.
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::RefCell,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use winterbourne_engine::{
    Data, MemoryAndDisk, MemoryOnly, MemoryUse, Order, Rdd, SparkConf, SparkContext, Text, Wire,
};

struct Counting;
static LIVE: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed on to the system's allocator as it came; only numbers are added up beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}
#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|e| e.into_inner())
}
fn context() -> SparkContext {
    SparkContext::new(SparkConf::empty().set_app_name("weights").set_master("local[1]")).expect("a context")
}
/// How many times the allocator's count ours is, for what `keep` leaves in memory.
fn ratio<R>(sc: &SparkContext, by: MemoryUse, keep: impl FnOnce() -> R) -> (f64, R) {
    let (before, counted) = (LIVE.load(Relaxed), sc.memory_status().used_by(by));
    let kept = keep();
    let (live, counted) = (LIVE.load(Relaxed) - before, sc.memory_status().used_by(by) - counted);
    (counted as f64 / live as f64, kept)
}
fn check(what: &str, ratio: f64) {
    println!("{what}: {ratio:.2}");
    assert!((0.5..=2.0).contains(&ratio), "{what}: {ratio} times what the allocator says");
}

fn numbers(sc: &SparkContext) -> Rdd<(u64, u64)> {
    sc.range(0..100_000, 3).map(|i| (i * 7 % 40_000, i))
}
fn words(sc: &SparkContext) -> Rdd<(String, String)> {
    sc.range(0..50_000, 3).map(|i| (format!("key {}", i * 7 % 20_000), "x".repeat(i as usize % 60)))
}
fn lists(sc: &SparkContext) -> Rdd<(u64, Vec<String>)> {
    sc.range(0..20_000, 3).map(|i| (i, vec!["value".repeat(3); i as usize % 9]))
}
fn texts(sc: &SparkContext) -> Rdd<(u64, Text)> {
    sc.range(0..50_000, 3).map(|i| (i, Text::from(format!("a line of some length, number {i}"))))
}

#[test]
fn cached_blocks_weigh_what_they_take() {
    fn cached<T: Wire>(sc: &SparkContext, what: &str, rdd: Rdd<T>) {
        let (ratio, _kept) = ratio(sc, MemoryUse::Storage, || {
            let rdd = rdd.persist(MemoryAndDisk);
            rdd.count().expect("runs");
            rdd
        });
        check(&format!("cached {what}"), ratio);
    }
    let (_one, sc) = (alone(), context());
    cached(&sc, "numbers", numbers(&sc));
    cached(&sc, "words", words(&sc));
    cached(&sc, "lists", lists(&sc));
    cached(&sc, "texts", texts(&sc));
    let (ratio, _kept) = ratio(&sc, MemoryUse::Storage, || {
        let rdd = numbers(&sc).persist(MemoryOnly);
        rdd.count().expect("runs");
        rdd
    });
    check("numbers in memory only", ratio);
}
#[test]
fn outputs_of_shuffles_weigh_what_they_take() {
    fn shuffled<T: Data>(sc: &SparkContext, what: &str, rdd: Rdd<T>) {
        // The map side alone: what is left when its job is over.
        let (ratio, _kept) = ratio(sc, MemoryUse::Shuffle, || {
            rdd.count().expect("runs");
            rdd
        });
        check(&format!("shuffled {what}"), ratio);
    }
    let (_one, sc) = (alone(), context());
    shuffled(&sc, "numbers", numbers(&sc).partition_by(4));
    shuffled(&sc, "words", words(&sc).partition_by(4));
    shuffled(&sc, "lists", lists(&sc).partition_by(4));
    shuffled(&sc, "sums", numbers(&sc).reduce_by_key(|a, b| a + b));
    shuffled(&sc, "joined words", words(&sc).join(&words(&sc).map_values(|v| v.len())));
    shuffled(
        &sc,
        "combined lists",
        lists(&sc).reduce_by_key(|mut a, mut b| {
            a.append(&mut b);
            a
        }),
    );
    shuffled(&sc, "dealt words", words(&sc).repartition(4));
    shuffled(&sc, "sorted numbers", numbers(&sc).sort_by_key());
    shuffled(&sc, "sorted words", words(&sc).sort_by_key());
}
thread_local! {
    /// `local[1]` runs its tasks on the thread that calls the action: they find the context here.
    static CONTEXT: RefCell<Option<SparkContext>> = const { RefCell::new(None) };
}
/// The tables of running tasks: looked at when they are largest, as the first of what comes of them is read.
#[test]
fn tables_of_tasks_weigh_what_they_take() {
    fn table<T: Data>(what: &str, make: impl Fn(&SparkContext) -> Rdd<T>) {
        let sc = context();
        CONTEXT.set(Some(sc.clone()));
        let before = LIVE.load(Relaxed);
        let look = make(&sc).map_partitions(|mut records| {
            let first = records.next();
            let live = LIVE.load(Relaxed);
            let status = CONTEXT.with_borrow(|sc| sc.as_ref().map(SparkContext::memory_status));
            drop(first);
            [(live, status.map_or(0, |s| s.used()))]
        });
        let seen = look.collect().expect("runs");
        CONTEXT.set(None);
        let [(live, counted)] = seen[..] else { panic!("one partition") };
        check(&format!("table of {what}"), counted as f64 / (live - before) as f64);
    }
    let _one = alone();
    table("sums", |sc| numbers(sc).reduce_by_key_in(|a, b| a + b, 1));
    table("groups of numbers", |sc| numbers(sc).group_by_key_in(1));
    table("groups of words", |sc| words(sc).group_by_key_in(1));
    table("groups of lists", |sc| lists(sc).group_by_key_in(1));
    table("combined words", |sc| {
        words(sc).combine_by_key_in(|v| vec![v], |a, v| a.push(v), |a, mut b| a.append(&mut b), 1)
    });
    table("distinct words", |sc| words(sc).keys().distinct_in(1));
    table("joined words", |sc| words(sc).join_in(&numbers(sc).map(|(k, v)| (format!("key {k}"), v)), 1));
    table("both sides", |sc| numbers(sc).cogroup_in(&numbers(sc), 1));
    table("sorted words", |sc| words(sc).sort_by_key_in(Order::Ascending, 1));
}
