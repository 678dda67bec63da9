//! Checkpoints of RDDs: when they are written, what is let go, and what is read back.
use crate::common::*;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use winterbourne_engine::*;

fn checkpointing(threads: usize) -> (SparkContext, TempDir) {
    let (sc, dir) = (self::threads(threads), TempDir::new());
    sc.set_checkpoint_dir(dir.path());
    (sc, dir)
}
/// Numbers whose closure holds the witness, and how often one was computed.
fn counted(sc: &SparkContext, n: u64, partitions: usize) -> (Rdd<u64>, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let c = calls.clone();
    let rdd = sc.range(0..n, partitions).map(move |x| {
        c.fetch_add(1, SeqCst);
        x
    });
    (rdd, calls)
}
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|e| e.expect("an entry").file_name());
    sorted(entries.map(|name| name.into_string().expect("our names are UTF-8")).collect())
}
/// The file of a partition.
fn part(rdd_dir: &Path, p: usize) -> PathBuf {
    let name = names(rdd_dir).into_iter().find(|n| n.starts_with(&format!("part-{p:05}")));
    rdd_dir.join(name.expect("every partition has a file"))
}

#[test]
fn without_a_directory_the_action_fails() {
    let sc = threads(1);
    let line = line!() + 1;
    let text = sc.range(0..10, 1).checkpoint().count().unwrap_err().to_string();
    let words = "Checkpoint directory has not been set in the SparkContext";
    assert!(text.contains(words) && text.contains(&format!("checkpoint.rs:{line}:")), "{text}");
    assert_eq!(sc.checkpoint_dir(), None);
    let dir = TempDir::new();
    let sc = SparkContext::new(conf("local").set("spark.checkpoint.dir", dir.path().to_str().unwrap())).unwrap();
    let own = sc.checkpoint_dir().unwrap();
    assert_eq!((own.parent().unwrap(), names(dir.path())), (dir.path(), vec![]), "below it, and not made yet");
    assert_eq!(sc.range(0..10, 1).checkpoint().count().unwrap(), 10);
    assert!(own.exists());
}
#[test]
fn a_second_job_writes_and_the_lineage_is_let_go() {
    for cached in [false, true] {
        let (sc, dir) = checkpointing(2);
        let (numbers, calls) = counted(&sc, 2000, 3);
        let numbers = if cached { numbers.cache() } else { numbers };
        let marked = numbers.checkpoint();
        let above = marked.map(|x| x + 1);
        assert_eq!((marked.is_checkpointed(), marked.checkpoint_file()), (false, None), "lazy");
        let jobs = sc.counts().jobs;
        assert_eq!(above.first().unwrap(), 1, "an action on something made of it");
        assert_eq!(sc.counts().jobs - jobs, 2);
        // The first job took a chunk of one partition; or cached that partition.
        assert_eq!(calls.load(SeqCst), if cached { 2000 } else { 2000 + 666.min(CHUNK as u64) });
        assert!(marked.is_checkpointed());
        let file = marked.checkpoint_file().unwrap();
        assert_eq!(file, sc.checkpoint_dir().unwrap().join(format!("rdd-{}", marked.id().0)));
        assert!(file.starts_with(dir.path()));
        let all = names(&file);
        assert_eq!((all.len(), &all[0][..], &all[1][..10]), (4, "_COMMITTED", "part-00000"));
        assert_eq!(Arc::strong_count(&calls), 1, "the closure is gone, and all below it");
        assert_eq!(marked.to_debug_string().lines().count(), 1);
        let before = calls.load(SeqCst);
        assert_eq!(above.collect().unwrap(), (1..2001).collect::<Vec<_>>());
        assert_eq!(marked.glom().map(|v| v.len()).collect().unwrap(), [666, 667, 667]);
        assert_eq!((calls.load(SeqCst), sc.counts().jobs - jobs), (before, 4));
        assert_eq!(sc.counts().cached_blocks, if cached { 3 } else { 0 });
    }
}
#[test]
fn it_must_be_marked_before_the_first_job() {
    let (sc, _dir) = checkpointing(1);
    let (numbers, calls) = counted(&sc, 10, 2);
    let _ = numbers.to_debug_string();
    numbers.num_partitions().unwrap();
    let early = numbers.map(|x| x).checkpoint();
    early.count().unwrap();
    assert!(early.is_checkpointed(), "looking at it is no job");
    let late = numbers.checkpoint();
    late.count().unwrap();
    late.count().unwrap();
    assert_eq!((late.is_checkpointed(), calls.load(SeqCst)), (false, 20 + 20));
}
#[test]
fn partitioners_stay_and_shuffles_go() {
    everywhere(2, |sc| {
        // All lanes agree on the directory of the first.
        let dir = std::env::temp_dir().join(format!("winterbourne-shuffles-{}", std::process::id()));
        sc.set_checkpoint_dir(&dir);
        let sums = sc.range(0..100, 4).map(|x| (x % 7, x)).reduce_by_key_in(|a, b| a + b, 3).checkpoint();
        let first = sums.collect()?;
        assert!(sums.is_checkpointed() && sums.partitioner().is_some());
        let joined = sums.join(&sums);
        assert_eq!(joined.to_debug_string().lines().count(), 3, "{}", joined.to_debug_string());
        assert_eq!(sums.collect()?, first);
        let read = sc.checkpoint_file::<(u64, u64)>(sums.checkpoint_file().unwrap());
        assert_eq!(read.collect()?, first);
        Ok((first, sorted(joined.collect()?)))
    });
    let _ = std::fs::remove_dir_all(std::env::temp_dir().join(format!("winterbourne-shuffles-{}", std::process::id())));
}
#[test]
fn the_uppermost_of_several_is_written() {
    let (sc, _dir) = checkpointing(1);
    let lower = sc.range(0..10, 2).map(|x| x).checkpoint();
    let upper = lower.map(|x| (x, x)).reduce_by_key(|a, _| a).map(|e| e.0).checkpoint();
    let side = lower.map(|x| x + 1);
    upper.union(&upper).count().unwrap();
    assert_eq!((upper.is_checkpointed(), lower.is_checkpointed()), (true, false));
    side.count().unwrap();
    assert!(lower.is_checkpointed());
}
#[test]
fn iterations_of_any_number_stay_shallow() {
    // Narrow operators only: 8 of them in each of 2,000 iterations, and 1,000 in a row are the limit.
    let (sc, _dir) = checkpointing(2);
    let mut narrow = sc.range(0..10, 2);
    // Ranks over a fixed set of links, a shuffle in each iteration.
    let links = sc.range(0..20, 2).map(|x| (x, vec![(x + 1) % 20, (x * 7) % 20])).partition_by(2).cache();
    let mut ranks = links.map_values(|_| 1.0f64);
    let mut most = 0;
    for step in 1..=2000 {
        for _ in 0..8 {
            narrow = narrow.map(|x| x + 1);
        }
        let contributions = links.join(&ranks).flat_map(|(_, (to, rank))| {
            let share = rank / to.len() as f64;
            to.into_iter().map(move |x| (x, share)).collect::<Vec<_>>()
        });
        ranks = contributions.reduce_by_key(|a, b| a + b).map_values(|sum| 0.15 + 0.85 * sum);
        if step % 10 == 0 {
            (narrow, ranks) = (narrow.checkpoint(), ranks.checkpoint());
            assert_eq!(narrow.count().unwrap(), 10);
            assert_eq!(ranks.count().unwrap(), 20);
            assert!(ranks.is_checkpointed());
            most = most.max(narrow.to_debug_string().lines().count() + ranks.to_debug_string().lines().count());
        }
    }
    assert_eq!(most, 2);
    assert_eq!(narrow.first().unwrap(), 16_000);
    let total: f64 = ranks.map(|e| e.1).collect().unwrap().iter().sum();
    assert!((total - 20.0).abs() < 1e-6, "{total}");
}
#[test]
fn a_checkpoint_that_cannot_be_written_fails_the_action_and_is_tried_again() {
    let (sc, dir) = checkpointing(2);
    sc.set_checkpoint_dir(dir.file("a-file", ""));
    let (numbers, calls) = counted(&sc, 10, 2);
    let marked = numbers.checkpoint();
    let text = marked.count().unwrap_err().to_string();
    assert!(text.contains("a-file"), "{text}");
    assert!(!marked.is_checkpointed() && Arc::strong_count(&calls) > 1);
    sc.set_checkpoint_dir(dir.path());
    assert_eq!(marked.count().unwrap(), 10);
    assert!(marked.is_checkpointed());
    // An attempt that fails leaves no file behind.
    let left = Arc::new(AtomicU64::new(0));
    let l = left.clone();
    let retried = SparkContext::new(conf("local[2,2]")).unwrap();
    retried.set_checkpoint_dir(dir.path());
    let flaky = retried.range(0..5000, 2).map(move |x| {
        assert!(x != 4000 || l.fetch_add(1, SeqCst) != 1, "in the second job, once");
        x
    });
    let flaky = flaky.checkpoint();
    assert_eq!(flaky.count().unwrap(), 5000);
    assert_eq!((retried.counts().task_retries, names(&flaky.checkpoint_file().unwrap()).len()), (1, 3));
    assert_eq!(flaky.count().unwrap(), 5000);
}
#[test]
fn another_program_reads_it() {
    let (sc, _dir) = checkpointing(2);
    let pairs = sc.range(0..5000, 3).map(|x| (x, format!("record {x}"))).checkpoint();
    pairs.count().unwrap();
    let path = pairs.checkpoint_file().unwrap();
    let expect = pairs.glom().collect().unwrap();
    drop((pairs, sc));
    let sc = threads(3);
    let read = sc.checkpoint_file::<(u64, String)>(&path);
    assert_eq!(read.glom().collect().unwrap(), expect);
    assert_eq!(read.map(|e| e.0).take(3).unwrap(), [0, 1, 2]);
    // A definition opens nothing; an action says what is wrong, and that may pass.
    let nowhere = path.join("nowhere");
    let lazy = sc.checkpoint_file::<(u64, String)>(&nowhere);
    let text = lazy.count().unwrap_err().to_string();
    assert!(text.contains("nowhere"), "{text}");
    std::fs::create_dir(&nowhere).unwrap();
    assert!(lazy.count().is_err(), "a directory that nobody committed");
    std::fs::remove_dir(&nowhere).unwrap();
    std::os::unix::fs::symlink(&path, &nowhere).unwrap();
    assert_eq!(lazy.count().unwrap(), 5000);
    assert!(sc.checkpoint_file::<Vec<String>>(&path).collect().is_err(), "bytes that are not of this type");
}
#[test]
fn damage_is_an_error_that_names_the_file_and_the_place() {
    let (sc, _dir) = checkpointing(1);
    let marked = sc.range(0..5000, 2).map(|x| x).checkpoint();
    marked.count().unwrap();
    let path = marked.checkpoint_file().unwrap();
    let (file, marker) = (part(&path, 1), path.join("_COMMITTED"));
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[3000] ^= 4;
    let cases: [(&str, &[u8], &str); 4] = [
        ("a bit", &bad, "at byte"),
        ("cut", &good[..2000], "instead of"),
        ("longer", &[&good[..], b"x"].concat(), "instead of"),
        ("something else", &[b'x'; 100], "instead of"),
    ];
    for (name, bytes, words) in cases {
        std::fs::write(&file, bytes).unwrap();
        for rdd in [marked.clone(), sc.checkpoint_file(&path)] {
            let text = rdd.count().unwrap_err().to_string();
            assert!(text.contains(words) && text.contains("part-00001"), "{name}: {text}");
        }
        assert_eq!(marked.first().unwrap(), 0, "the other partition is whole");
    }
    std::fs::write(&file, &good).unwrap();
    assert_eq!(marked.count().unwrap(), 5000);
    let lines = std::fs::read(&marker).unwrap();
    for bytes in [&lines[..20], &[&lines[..30], &[lines[30] ^ 1], &lines[31..]].concat(), b""] {
        std::fs::write(&marker, bytes).unwrap();
        let text = sc.checkpoint_file::<u64>(&path).count().unwrap_err().to_string();
        assert!(text.contains("_COMMITTED"), "{text}");
    }
}
#[test]
fn files_stay_unless_asked_to_go() {
    for clean in [false, true] {
        let dir = TempDir::new();
        let conf = conf("local").set("spark.cleaner.referenceTracking.cleanCheckpoints", clean);
        let sc = SparkContext::new(conf).unwrap();
        sc.set_checkpoint_dir(dir.path());
        let marked = sc.range(0..10, 2).map(|x| x).checkpoint();
        marked.count().unwrap();
        let (path, above) = (marked.checkpoint_file().unwrap(), marked.map(|x| x));
        drop(marked);
        assert_eq!((above.count().unwrap(), path.exists()), (10, true));
        drop((above, sc));
        assert_eq!(path.exists(), !clean);
    }
}
#[test]
fn a_local_checkpoint_lies_in_blocks() {
    let sc = threads(2);
    let (numbers, calls) = counted(&sc, 2000, 3);
    let marked = numbers.local_checkpoint();
    assert_eq!(marked.storage_level(), StorageLevel::MEMORY_AND_DISK);
    assert_eq!(marked.first().unwrap(), 0);
    assert!(marked.is_checkpointed() && marked.checkpoint_file().is_none());
    assert_eq!((calls.load(SeqCst), sc.counts().cached_blocks), (2000, 3), "each partition once");
    assert_eq!(Arc::strong_count(&calls), 1);
    assert_eq!(marked.collect().unwrap(), (0..2000).collect::<Vec<_>>());
    let line = line!() - 7;
    marked.unpersist();
    let e = marked.count().unwrap_err().to_string();
    assert!(e.contains("Checkpoint block 0") && e.contains("not found"), "{e}");
    assert!(e.contains(&format!("checkpoint.rs:{}:", line - 1)) || e.contains("checkpoint.rs:"), "{e}");
    // A level gets the disk, and keeps its form.
    let ser = sc.range(0..10, 1).persist(MemoryOnlySer).local_checkpoint();
    assert_eq!(ser.storage_level(), StorageLevel::MEMORY_AND_DISK_SER);
    assert_eq!((ser.count().unwrap(), ser.is_checkpointed()), (10, true));
    // Blocks win over files, if both are asked for.
    let dir = TempDir::new();
    sc.set_checkpoint_dir(dir.path());
    let both = sc.range(0..10, 1).checkpoint().local_checkpoint();
    both.count().unwrap();
    assert!(both.is_checkpointed() && both.checkpoint_file().is_none());
}
#[test]
fn a_local_checkpoint_needs_no_room_in_memory() {
    let dir = TempDir::new();
    let conf = conf("local[2]").set("spark.memory.size", 1000).set("spark.local.dir", dir.path().to_str().unwrap());
    let sc = SparkContext::new(conf).unwrap();
    let marked = sc.range(0..10_000, 4).map(|x| x * 2).local_checkpoint();
    let others = sc.range(0..100, 1).cache();
    for _ in 0..3 {
        assert_eq!(marked.collect().unwrap(), (0..10_000).map(|x| x * 2).collect::<Vec<_>>());
        others.count().unwrap();
    }
    assert!(marked.is_checkpointed() && sc.rdd_storage_info()[0].disk_bytes > 0);
}
#[test]
fn an_unpersisted_one_keeps_its_lineage() {
    let sc = threads(1);
    let marked = sc.range(0..10, 2).map(|x| x).local_checkpoint();
    marked.unpersist();
    assert_eq!((marked.count().unwrap(), marked.count().unwrap(), marked.is_checkpointed()), (10, 10, false));
}
