//! Storage levels: what is kept where, what goes when there is no room, and what happens when blocks are lost.
use crate::common::*;
use serde::{Deserialize, Serialize, Serializer};
use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};
use winterbourne_engine::*;

/// Pairs of 4 partitions, each partition as bytes long as said, and how often a record was computed.
fn counted(sc: &SparkContext, bytes: usize) -> (Rdd<(u64, String)>, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let c = calls.clone();
    let size = bytes / 10 - size_of::<(u64, String)>();
    let rdd = sc.range(0..40, 4).map(move |x| {
        c.fetch_add(1, SeqCst);
        (x, "x".repeat(size))
    });
    (rdd, calls)
}
/// A context whose cached blocks have so much room, and files in this directory.
fn limited(threads: usize, bytes: u64, dir: &TempDir) -> SparkContext {
    let conf = conf(&format!("local[{threads}]")).set("spark.memory.size", bytes);
    SparkContext::new(conf.set("spark.local.dir", dir.path().display())).expect("a good configuration")
}
/// All files of blocks.
fn files(dir: &TempDir) -> Vec<PathBuf> {
    let below = |d: PathBuf| std::fs::read_dir(d).expect("a directory").map(|e| e.expect("an entry").path());
    let all = below(dir.path().into()).flat_map(below);
    sorted(all.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("block-"))).collect())
}
/// In memory, and on disk.
fn room(sc: &SparkContext) -> (u64, u64) {
    let all = sc.rdd_storage_info();
    (all.iter().map(|i| i.memory_bytes).sum(), all.iter().map(|i| i.disk_bytes).sum())
}
const LEVELS: [StorageLevel; 12] = [
    StorageLevel::MEMORY_ONLY,
    StorageLevel::MEMORY_ONLY_2,
    StorageLevel::MEMORY_ONLY_SER,
    StorageLevel::MEMORY_ONLY_SER_2,
    StorageLevel::MEMORY_AND_DISK,
    StorageLevel::MEMORY_AND_DISK_2,
    StorageLevel::MEMORY_AND_DISK_SER,
    StorageLevel::MEMORY_AND_DISK_SER_2,
    StorageLevel::DISK_ONLY,
    StorageLevel::DISK_ONLY_2,
    StorageLevel::DISK_ONLY_3,
    StorageLevel::OFF_HEAP,
];

#[test]
fn every_level_keeps_the_records_where_it_says() {
    for level in LEVELS {
        let dir = TempDir::new();
        let sc = limited(2, 1 << 20, &dir);
        let (rdd, calls) = counted(&sc, 1000);
        let expect = rdd.collect().unwrap();
        let kept = rdd.persist(level);
        for _ in 0..3 {
            assert_eq!(kept.collect().unwrap(), expect, "{level}");
        }
        assert_eq!(calls.load(SeqCst), 80, "{level}: computed once");
        let (memory, disk) = room(&sc);
        assert_eq!((memory > 0, disk > 0), (level.use_memory(), !level.use_memory()), "{level}");
        assert_eq!(sc.counts().cached_blocks, 4);
        // Ten records of 100 bytes weigh a little less as bytes.
        let bytes = memory.max(disk);
        assert!(bytes == 4000 || !level.is_deserialized() && (2500..4000).contains(&bytes), "{level}: {bytes}");
        assert_eq!(files(&dir).len(), if level.use_memory() { 0 } else { 4 });
        kept.unpersist();
        assert_eq!((sc.counts().cached_blocks, files(&dir).len()), (0, 0), "{level}");
        assert_eq!(kept.collect().unwrap(), expect);
        assert_eq!(calls.load(SeqCst), 120);
    }
}
#[test]
fn levels_mean_the_same_on_several_lanes() {
    for level in [StorageLevel::MEMORY_ONLY_SER, StorageLevel::DISK_ONLY] {
        everywhere(2, move |sc| {
            let sums = sc.range(0..100, 5).map(|x| (x % 7, x)).reduce_by_key(|a, b| a + b).persist(level);
            let first = sums.collect()?;
            assert_eq!(sums.collect()?, first);
            Ok((first, sums.coalesce(2).map(|e| e.1).collect()?))
        });
    }
}
#[test]
fn a_level_stays_until_unpersist() {
    let sc = threads(1);
    let rdd = sc.range(0..10, 2).persist(MemoryOnlySer);
    assert_eq!(rdd.clone().persist(MemoryOnlySer).count().unwrap(), 10, "the same again is fine");
    let line = line!() + 1;
    let e = rdd.clone().cache().count().unwrap_err();
    assert!(matches!(
        e,
        Error::StorageLevel { has: StorageLevel::MEMORY_ONLY_SER, asked: StorageLevel::MEMORY_ONLY, .. }
    ));
    let text = e.to_string();
    let words = "Cannot change storage level of an RDD after it was already assigned a level";
    assert!(text.starts_with(words) && text.contains(&format!("persist.rs:{line}:")), "{text}");
    assert_eq!(rdd.storage_level(), StorageLevel::MEMORY_ONLY_SER, "and keeps the one it had");
    rdd.unpersist();
    assert_eq!((rdd.storage_level(), rdd.is_cached()), (StorageLevel::NONE, false));
    assert!(rdd.clone().persist(StorageLevel::NONE).persist(DiskOnly).is_cached());
    assert_eq!((rdd.count().unwrap(), sc.persistent_rdds()), (10, vec![rdd.id()]));
}
#[test]
fn the_least_recently_used_blocks_make_room_and_are_computed_again() {
    let dir = TempDir::new();
    let sc = limited(1, 10_000, &dir);
    let ((a, calls_a), (b, calls_b), (c, _)) = (counted(&sc, 1000), counted(&sc, 1000), counted(&sc, 1000));
    let [a, b, c] = [a, b, c].map(|rdd| rdd.persist(Measured(MemoryOnly)));
    a.count().unwrap();
    b.count().unwrap();
    assert_eq!(room(&sc), (8000, 0));
    a.count().unwrap(); // b is now the one that was not used for longest
    c.count().unwrap();
    assert_eq!((room(&sc), sc.counts().evicted_blocks), ((10_000, 0), 2));
    let kept: Vec<_> = sc.rdd_storage_info().iter().map(|i| (i.id, i.cached_partitions)).collect();
    assert_eq!(kept, [(a.id(), 4), (b.id(), 2), (c.id(), 4)]);
    b.count().unwrap();
    assert_eq!((calls_a.load(SeqCst), calls_b.load(SeqCst)), (40, 60));
    assert!(files(&dir).is_empty());
}
#[test]
fn levels_with_a_disk_move_there_and_back() {
    for level in [StorageLevel::MEMORY_AND_DISK, StorageLevel::MEMORY_AND_DISK_SER] {
        let dir = TempDir::new();
        let sc = limited(1, 5000, &dir);
        let ((a, calls_a), (b, calls_b)) = (counted(&sc, 1000), counted(&sc, 1000));
        let expect = (a.collect().unwrap(), b.collect().unwrap());
        let (a, b) = (a.persist(level), b.persist(level));
        for _ in 0..3 {
            assert_eq!((a.collect().unwrap(), b.collect().unwrap()), expect);
            assert!(room(&sc).0 <= 5000, "{:?}", room(&sc));
        }
        assert_eq!((calls_a.load(SeqCst), calls_b.load(SeqCst)), (80, 80), "{level}: never again");
        assert!(sc.counts().evicted_blocks > 0 && !files(&dir).is_empty());
        for file in files(&dir) {
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            let own = file.parent().unwrap();
            assert_eq!(std::fs::metadata(own).unwrap().permissions().mode() & 0o777, 0o700);
        }
        drop((a, b));
        assert_eq!(files(&dir), Vec::<PathBuf>::new());
        sc.stop();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the directory goes with the context");
    }
}
#[test]
fn an_rdd_never_evicts_its_own_blocks() {
    let dir = TempDir::new();
    let sc = limited(1, 2500, &dir);
    let (a, calls) = counted(&sc, 1000);
    let a = a.persist(Measured(MemoryOnly));
    for round in 1..=3 {
        assert_eq!(a.count().unwrap(), 40);
        assert_eq!((calls.load(SeqCst), room(&sc)), (20 + 20 * round, (2000, 0)), "the first two stay");
    }
    assert_eq!(sc.counts().evicted_blocks, 0);
}
#[test]
fn a_partition_larger_than_all_room_goes_through_or_to_disk() {
    for level in LEVELS {
        for threads in [1, 3] {
            let dir = TempDir::new();
            let sc = limited(threads, 5000, &dir);
            let calls = Arc::new(AtomicU64::new(0));
            let c = calls.clone();
            let rdd = sc.range(0..20_000, 2).map(move |x| {
                c.fetch_add(1, SeqCst);
                x
            });
            let kept = rdd.persist(level);
            for _ in 0..2 {
                assert_eq!(kept.collect().unwrap(), (0..20_000).collect::<Vec<_>>(), "{level}");
            }
            let (memory, disk) = room(&sc);
            assert_eq!((memory, disk > 0), (0, level.use_disk()), "{level}");
            assert_eq!(calls.load(SeqCst), if level.use_disk() { 20_000 } else { 40_000 }, "{level}");
        }
    }
}
#[test]
fn what_is_not_kept_counts_each_time_it_is_computed() {
    let dir = TempDir::new();
    let sc = limited(2, 1000, &dir);
    let seen = sc.long_accumulator("seen");
    let s = seen.clone();
    let rdd = sc.range(0..10_000, 2).map(move |x| {
        s.add(1);
        x
    });
    let kept = rdd.cache();
    for round in 1..=3 {
        kept.count().unwrap();
        assert_eq!(seen.value(), 10_000 * round);
    }
}
#[test]
fn pinned_blocks_stay_whatever_the_room() {
    let dir = TempDir::new();
    let sc = limited(1, 3000, &dir);
    let ((a, calls), (b, _)) = (counted(&sc, 1000), counted(&sc, 1000));
    let (a, b) = (a.pinned(), b.cache());
    for _ in 0..3 {
        a.count().unwrap();
        b.count().unwrap();
    }
    assert_eq!((calls.load(SeqCst), sc.counts().evicted_blocks), (40, 0));
    assert_eq!(sc.rdd_storage_info().len(), 1, "there was no room for the other");
}
#[test]
fn a_block_that_is_lost_on_disk_is_computed_again() {
    type Harm = fn(&PathBuf);
    let harms: [(&str, Harm); 5] = [
        ("removed", |p| std::fs::remove_file(p).unwrap()),
        ("cut", |p| std::fs::OpenOptions::new().write(true).open(p).unwrap().set_len(40).unwrap()),
        ("empty", |p| std::fs::write(p, "").unwrap()),
        ("a bit flipped", |p| {
            let mut bytes = std::fs::read(p).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(p, bytes).unwrap();
        }),
        ("of another version", |p| {
            let mut bytes = std::fs::read(p).unwrap();
            bytes[7] = 9;
            std::fs::write(p, bytes).unwrap();
        }),
    ];
    for (name, harm) in harms {
        for compress in [false, true] {
            let dir = TempDir::new();
            let conf = limited(2, 1 << 20, &dir).conf().clone().set("spark.rdd.compress", compress);
            let sc = SparkContext::new(conf).unwrap();
            let (rdd, calls) = counted(&sc, 10_000);
            let kept = rdd.persist(DiskOnly);
            let expect = kept.collect().unwrap();
            let all = files(&dir);
            assert_eq!(all.len(), 4);
            harm(&all[1]);
            assert_eq!(kept.collect().unwrap(), expect, "{name}");
            assert_eq!((calls.load(SeqCst), sc.counts().lost_blocks), (50, 1), "{name}");
            assert_eq!(kept.collect().unwrap(), expect, "{name}");
            assert_eq!((calls.load(SeqCst), sc.counts().lost_blocks), (50, 1), "{name}: it is whole again");
        }
    }
}
#[test]
fn compressed_blocks_are_smaller() {
    let size = |compress: bool, level: StorageLevel| {
        let dir = TempDir::new();
        let conf = limited(1, 1 << 20, &dir).conf().clone().set("spark.rdd.compress", compress);
        let sc = SparkContext::new(conf).unwrap();
        let kept = counted(&sc, 10_000).0.persist(level);
        assert_eq!(kept.collect().unwrap(), kept.collect().unwrap());
        let (memory, disk) = room(&sc);
        memory + disk
    };
    for level in [StorageLevel::MEMORY_ONLY_SER, StorageLevel::DISK_ONLY] {
        assert!(size(true, level) * 10 < size(false, level));
    }
}

/// Serialises as long as it may.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Moody(u64);
static MOOD: AtomicBool = AtomicBool::new(true);
impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        assert!(MOOD.load(SeqCst), "not in the mood");
        s.serialize_u64(self.0)
    }
}
/// Never serialises.
#[derive(Clone, Debug, Deserialize)]
struct Stubborn;
impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}
#[test]
fn a_record_that_cannot_be_written_when_it_is_evicted_is_only_computed_again() {
    let dir = TempDir::new();
    let sc = limited(1, 2000, &dir);
    let moody = sc.range(0..100, 1).map(Moody).persist(MemoryAndDisk);
    let other = sc.range(0..200, 1).cache();
    moody.count().unwrap();
    MOOD.store(false, SeqCst);
    assert_eq!(other.count().unwrap(), 200, "another job does not notice");
    assert_eq!((sc.counts().evicted_blocks, files(&dir).len()), (1, 0));
    MOOD.store(true, SeqCst);
    assert_eq!(moody.collect().unwrap().len(), 100);
    let e = sc.range(0..1, 1).map(|_| Stubborn).persist(DiskOnly).count().unwrap_err();
    assert!(e.to_string().contains("a record cannot be stored as bytes"), "{e}");
    assert!(files(&dir).len() <= 1, "nothing half-written stays");
}
#[test]
fn a_directory_that_cannot_be_used_is_an_error_that_names_it() {
    let dir = TempDir::new();
    let file = dir.file("not-a-directory", "");
    let sc = SparkContext::new(conf("local").set("spark.local.dir", format!("{file}/below"))).unwrap();
    let e = sc.range(0..10, 1).persist(DiskOnly).count().unwrap_err();
    assert!(e.to_string().contains("not-a-directory/below"), "{e}");
    assert_eq!(sc.range(0..10, 1).persist(MemoryAndDisk).count().unwrap(), 10, "who needs no disk does not notice");
}
#[test]
fn rare_lines_hold_no_read_buffers() {
    let dir = TempDir::new();
    let line = |i: u64| {
        format!("line {i} {}\n", if i.is_multiple_of(500) { "rare rare rare" } else { "a usual line of the file" })
    };
    let path = dir.file("lines", (0..50_000).map(line).collect::<String>());
    let sc = threads(2);
    let rare = sc.text_file(&path, 2).filter(|l| l.contains("rare"));
    let texts = rare.clone().cache();
    assert!(texts.collect().unwrap().iter().all(Text::is_detached));
    let pairs = rare.map(|l| (l.len(), l)).persist(MemoryAndDisk);
    assert!(pairs.collect().unwrap().iter().all(|(_, l)| l.is_detached()));
    // What is mostly used stays as it is, and the buffers count: all of the file, and 24 bytes for each line.
    let all = sc.text_file(&path, 2).cache();
    assert!(!all.filter(|l| l.len() > 22).first().unwrap().is_detached());
    all.count().unwrap();
    let weight = sc.rdd_storage_info().last().unwrap().memory_bytes;
    assert!((2_500_000..4_000_000).contains(&weight), "{weight}");
}
#[test]
fn sizes_are_what_the_level_can_know() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Boxed(Box<[u64; 32]>);
    impl HeapSize for Boxed {
        fn heap_size(&self) -> usize {
            256
        }
    }
    let sc = threads(1);
    let boxed = |n| sc.range(0..n, 1).map(|x| Boxed(Box::new([x; 32])));
    let weigh = |rdd: Rdd<Boxed>| {
        rdd.count().unwrap();
        sc.rdd_storage_info().iter().find(|i| i.id == rdd.id()).unwrap().memory_bytes
    };
    assert_eq!(weigh(boxed(10).persist(Measured(MemoryOnly))), 10 * 264);
    assert_eq!(weigh(boxed(10).cache()), 10 * 16, "a guess");
    assert_eq!(weigh(boxed(10).persist(Measured(MemoryAndDisk))), 10 * 264);
}
#[test]
fn a_stopped_context_keeps_nothing() {
    let dir = TempDir::new();
    let sc = limited(1, 1 << 20, &dir);
    let kept = sc.range(0..100, 2).persist(DiskOnly);
    kept.count().unwrap();
    assert_eq!(files(&dir).len(), 2);
    sc.stop();
    assert_eq!((sc.counts().cached_blocks, std::fs::read_dir(dir.path()).unwrap().count()), (0, 0));
    drop((sc, kept));
}
