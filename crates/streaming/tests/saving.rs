//! Directories that batches are written to, and RDDs that streams keep.
mod common;
use common::*;
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use winterbourne_engine::{DiskOnly, MemoryAndDiskSer, MemoryOnly, MemoryOnlySer, SparkContext, StorageLevel};
use winterbourne_streaming::{Error, seconds};
use winterbourne_testkit::{ProgramTester, TestInput};

/// What a directory holds: names and texts, sorted.
fn files(dir: &str) -> Vec<(String, String)> {
    let entry = |e: std::io::Result<fs::DirEntry>| {
        let e = e.expect("an entry");
        let text = fs::read_to_string(e.path()).expect("a text");
        (e.file_name().into_string().expect("our names are UTF-8"), text)
    };
    let mut all: Vec<_> = fs::read_dir(dir).unwrap_or_else(|e| panic!("{dir}: {e}")).map(entry).collect();
    all.sort();
    all
}
fn names(dir: &str) -> Vec<String> {
    files(dir).into_iter().map(|(name, _)| name).collect()
}
fn stamp(s: u64) -> u64 {
    at(s).as_millis()
}

#[test]
fn each_batch_is_a_directory_named_by_prefix_time_and_suffix() {
    let dir = TempDir::new();
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let pairs = stream.map(|x| (x, Some("é".repeat(x as usize))));
    pairs.save_as_text_files(dir.at("a"), "txt");
    pairs.save_as_text_files(dir.at("plain"), "");
    pairs.save_as_text_files(dir.at("deep/er/"), "");
    feed.push([1, 2, 3]);
    feed.push([]);
    tester.steps(3).unwrap();
    let expect = [
        ("_SUCCESS", String::new()),
        ("_owner", format!("stream-tester, batch {}", stamp(1))),
        ("part-00000", "(1,Some(é))\n".into()),
        ("part-00001", "(2,Some(éé))\n(3,Some(ééé))\n".into()),
    ];
    assert_eq!(files(&dir.at(&format!("a-{}.txt", stamp(1)))), expect.map(|(name, text)| (name.to_owned(), text)));
    // Of an empty batch: its partitions are empty files, and a batch without partitions has none.
    assert_eq!(names(&dir.at(&format!("plain-{}", stamp(2)))), ["_SUCCESS", "_owner", "part-00000", "part-00001"]);
    assert_eq!(names(&dir.at(&format!("deep/er/-{}", stamp(3)))), ["_SUCCESS", "_owner"]);
}
#[test]
fn without_a_prefix_the_name_is_the_time() {
    // A relative path: relative to the directory of the tests, so it is looked at and removed at once.
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    stream.save_as_text_files("", "batch");
    feed.push([7]);
    let name = format!("{}.batch", tester.step().unwrap().as_millis());
    let found = names(&name);
    fs::remove_dir_all(&name).unwrap();
    assert_eq!(found, ["_SUCCESS", "_owner", "part-00000", "part-00001"]);
}
#[test]
fn a_batch_that_runs_again_after_a_kill_replaces_its_directory() {
    let dir = TempDir::new();
    let feed = TestInput::<u64>::new().partitions(3);
    let program = |partitions: usize| {
        let (feed, text, objects) = (feed.clone(), dir.at("text"), dir.at("objects"));
        move |ssc: &winterbourne_streaming::StreamingContext| {
            let stream = feed.stream(ssc, "numbers").repartition(partitions).map(|x| x * x);
            stream.save_as_text_files(text.clone(), "");
            stream.save_as_object_files(objects.clone(), "bin");
        }
    };
    let mut tester = ProgramTester::new(seconds(1), program(3));
    feed.push(1..=6);
    feed.push(7..=9);
    tester.step().unwrap();
    let text = dir.at(&format!("text-{}", stamp(1)));
    let objects = dir.at(&format!("objects-{}.bin", stamp(1)));
    assert_eq!(names(&text), ["_SUCCESS", "_owner", "part-00000", "part-00001", "part-00002"]);
    tester.kill();
    tester.set_program(program(1));
    assert_eq!(tester.step().unwrap(), at(1), "its completion was not written yet");
    assert_eq!(names(&text), ["_SUCCESS", "_owner", "part-00000"], "nothing is left of the first time");
    tester.step().unwrap();
    let sc: &SparkContext = tester.context().unwrap().spark_context();
    for (s, expect) in [(1, vec![1, 4, 9, 16, 25, 36]), (2, vec![49, 64, 81])] {
        let mut lines: Vec<u64> = fs::read_to_string(dir.at(&format!("text-{}/part-00000", stamp(s))))
            .unwrap()
            .lines()
            .map(|l| l.parse().unwrap())
            .collect();
        lines.sort();
        assert_eq!(lines, expect);
        let mut read =
            sc.object_file::<u64>(&objects.replace(&stamp(1).to_string(), &stamp(s).to_string()), 1).collect().unwrap();
        read.sort();
        assert_eq!(read, expect);
    }
}
#[test]
fn a_batch_that_fails_leaves_no_directory_and_is_written_when_it_is_tried_again() {
    let dir = TempDir::new();
    let mut tester = tester(&[("spark.streaming.batch.maxAttempts", "1")]);
    let (feed, stream) = tester.input::<u64>();
    stream.save_as_text_files(dir.at("a"), "");
    feed.fault().fail(1, 1);
    feed.push(0..100);
    assert!(tester.step().is_err());
    let place = dir.at(&format!("a-{}", stamp(1)));
    assert!(fs::metadata(&place).is_err(), "{:?}", names(&place));
    tester.step().unwrap();
    assert_eq!(names(&place), ["_SUCCESS", "_owner", "part-00000", "part-00001"]);
}
#[test]
fn what_belongs_to_somebody_else_is_not_written_over() {
    let dir = TempDir::new();
    let mut tester = tester(&[("spark.streaming.batch.maxAttempts", "1")]);
    let (feed, stream) = tester.input::<u64>();
    stream.save_as_text_files(dir.at("a"), "");
    feed.push([1]);
    let place = dir.at(&format!("a-{}", stamp(1)));
    fs::create_dir(&place).unwrap();
    fs::write(format!("{place}/letter"), "dear").unwrap();
    let said = tester.step().unwrap_err().to_string();
    assert!(said.contains(&place) && said.contains("saving.rs"), "{said}");
    assert_eq!(files(&place), [("letter".to_owned(), "dear".to_owned())]);
    fs::remove_file(format!("{place}/letter")).unwrap();
    // An empty one is what is left of a process that died as it began.
    tester.step().unwrap();
    assert_eq!(names(&place), ["_SUCCESS", "_owner", "part-00000", "part-00001"]);
}
#[test]
fn two_outputs_to_the_same_place_are_refused() {
    let said = refused("tests/saving.rs", |tester| {
        let (_, stream) = tester.input::<u64>();
        stream.save_as_text_files("/tmp/x", "a");
        stream.save_as_text_files("/tmp/x", "b");
        stream.map(|x| x + 1).save_as_object_files("/tmp/x", "a");
    });
    assert!(said.len() == 1 && said[0].contains("/tmp/x-<ms>.a") && said[0].contains("saving.rs"), "{said:?}");
}

#[test]
fn a_stream_keeps_its_rdds_as_it_was_told_last() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let count = |calls: &'static AtomicUsize| {
        stream.map(move |x| {
            calls.fetch_add(1, Relaxed);
            x + 1
        })
    };
    static CALLS: [AtomicUsize; 5] = [const { AtomicUsize::new(0) }; 5];
    let kept = [
        count(&CALLS[0]),
        count(&CALLS[1]).persist(MemoryOnly),
        count(&CALLS[2]).persist(MemoryOnly).persist(MemoryOnlySer).persist(DiskOnly),
        count(&CALLS[3]).cache().persist(MemoryAndDiskSer),
        count(&CALLS[4]).persist(DiskOnly).persist(StorageLevel::NONE),
    ];
    let (tell, heard) = std::sync::mpsc::channel();
    for s in &kept {
        for _ in 0..2 {
            let tell = tell.clone();
            s.foreach_rdd(move |rdd, _| {
                rdd.count()?;
                Ok(tell.send(rdd.storage_level())?)
            });
        }
    }
    feed.push([1, 2, 3]);
    tester.step().unwrap();
    let levels: Vec<StorageLevel> = heard.try_iter().step_by(2).collect();
    use StorageLevel as L;
    assert_eq!(levels, [L::NONE, L::MEMORY_ONLY, L::DISK_ONLY, L::MEMORY_AND_DISK_SER, L::NONE]);
    assert_eq!(CALLS.each_ref().map(|c| c.load(Relaxed)), [6, 3, 3, 3, 6]);
}
#[test]
fn what_a_program_holds_stays_cached() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let counted = stream.map(|x| {
        CALLS.fetch_add(1, Relaxed);
        x
    });
    let (tell, held) = std::sync::mpsc::channel();
    counted.cache().foreach_rdd(move |rdd, time| {
        rdd.count()?;
        // The first one is held, the others are not.
        if time == at(1) {
            tell.send(rdd.clone()).map_err(|_| "nobody listens")?;
        }
        Ok(())
    });
    for n in 0..5 {
        feed.push([n]);
    }
    tester.steps(5).unwrap();
    let sc = tester.context().spark_context().clone();
    let first = held.try_iter().next().expect("the first batch was held");
    assert!(tester.run().remembered() < 5, "no batch needs the first one");
    assert_eq!((first.collect().unwrap(), CALLS.load(Relaxed)), (vec![0], 5));
    assert!(sc.persistent_rdds().contains(&first.id()) && sc.persistent_rdds().len() < 5);
    let kept = sc.persistent_rdds().len();
    drop(first);
    assert_eq!(sc.persistent_rdds().len(), kept - 1);
}
#[test]
fn a_window_keeps_the_stream_below_it() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let (plain, said) = (stream.map(|x| x + 1), stream.map(|x| x + 2));
    let windows = [plain.window(seconds(2)), said.window(seconds(2)).persist(DiskOnly)];
    let (tell, heard) = std::sync::mpsc::channel();
    for s in [&plain, &said, &windows[0], &windows[1]] {
        let tell = tell.clone();
        s.foreach_rdd(move |rdd, _| Ok(tell.send(rdd.storage_level())?));
    }
    let outs = windows.map(|w| tester.output(&w));
    feed.push([1]);
    feed.push([2]);
    tester.steps(2).unwrap();
    use StorageLevel as L;
    assert_eq!(heard.try_iter().take(4).collect::<Vec<_>>(), [L::MEMORY_ONLY, L::DISK_ONLY, L::NONE, L::NONE]);
    assert_eq!(outs.map(|o| o.take()), [[vec![2], vec![2, 3]], [vec![3], vec![3, 4]]]);
}
#[test]
fn a_stream_whose_rdd_is_kept_already_is_left_as_it_is_below_a_window() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let own = stream.transform(|rdd, _| Ok(rdd.map(|x| x + 1).persist(DiskOnly)));
    let out = tester.output(&own.window(seconds(2)));
    feed.push([1]);
    tester.step().unwrap();
    assert_eq!(out.take(), [[2]]);
}
#[test]
fn the_storage_level_is_settled_by_the_start() {
    let (_, ssc) = manual(&[]);
    let (_, numbers) = queue(&ssc);
    out(&numbers);
    let _run = ssc.start_stepped().unwrap();
    let _ = numbers.persist(MemoryOnly);
    let said = ssc.await_termination_or_timeout(std::time::Duration::ZERO);
    assert!(matches!(said, Err(Error::Frozen { operator: "persist", .. })), "{said:?}");
}
