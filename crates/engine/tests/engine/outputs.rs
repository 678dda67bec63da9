//! Output directories: what is in them, and that nothing half-done looks done.
use crate::common::*;
use std::{
    fs,
    io::{self, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};
use winterbourne_engine::{Error, Output, SparkContext, TaskCause};

#[test]
fn a_file_for_each_partition_and_a_mark_at_the_end() {
    let (dir, sc) = (TempDir::new(), threads(2));
    let out = dir.at("some/where/out");
    sc.parallelize(["a", "b\nc", ""], 4).save_as_text_file(&out).unwrap();
    let texts: Vec<String> = (0..4).map(|p| fs::read_to_string(format!("{out}/part-0000{p}")).unwrap()).collect();
    assert_eq!(texts, ["", "a\n", "b\nc\n", "\n"]);
    assert_eq!(listed(&out), ["_SUCCESS", "part-00000", "part-00001", "part-00002", "part-00003"]);
    assert_eq!(fs::metadata(format!("{out}/_SUCCESS")).unwrap().len(), 0);
    // Without partitions only the mark.
    sc.empty_rdd::<u8>().save_as_text_file(dir.at("empty")).unwrap();
    assert_eq!(listed(&dir.at("empty")), ["_SUCCESS"]);
    // A relative path, a `file://`, records of several kinds.
    sc.parallelize([("a", Some(1.5), vec![1])], 1).save_as_text_file(format!("file://{}", dir.at("uri"))).unwrap();
    assert_eq!(fs::read_to_string(dir.at("uri/part-00000")).unwrap(), "(a,Some(1.5),List(1))\n");
    // As it is read again.
    assert_eq!(sc.text_file(out, 1).collect().unwrap(), ["a", "b", "c", ""]);
}
#[test]
fn lanes_write_one_directory_together() {
    let dir = Arc::new(TempDir::new());
    let runs = Arc::new(AtomicU32::new(0));
    let root = dir.clone();
    let lines = everywhere(2, move |sc| {
        // The first run is in one process; both lanes of the second write to the same place.
        let out = root.at(if runs.fetch_add(1, Relaxed) == 0 { "alone" } else { "lanes" });
        sc.range(0..10, 3).save_as_text_file(&out)?;
        assert!(sc.range(0..10, 3).save_as_text_file(&out).is_err(), "both learn that it is there");
        sc.text_file(out, 1).collect()
    });
    assert_eq!(lines.len(), 10);
    assert_eq!(listed(&dir.at("lanes")), ["_SUCCESS", "part-00000", "part-00001", "part-00002"]);
}
#[test]
fn a_directory_that_is_there_is_refused_and_nothing_runs() {
    let (dir, sc) = (TempDir::new(), threads(2));
    let out = dir.dir("out");
    let file = dir.file("file", "mine");
    for path in [&out, &file] {
        let e = sc.range(0..3, 1).save_as_text_file(path).unwrap_err();
        assert!(matches!(&e, Error::OutputExists { .. }), "{e}");
        assert!(e.to_string().contains(&format!("Output directory {path} already exists")), "{e}");
    }
    assert_eq!((sc.counts().jobs, listed(&out).len()), (0, 0));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    // As Spark allows it: same names are replaced, others stay.
    let sc = SparkContext::new(conf("local[2]").set("spark.hadoop.validateOutputSpecs", "false")).unwrap();
    sc.range(0..3, 3).save_as_text_file(&out).unwrap();
    sc.range(7..9, 2).save_as_text_file(&out).unwrap();
    assert_eq!(sc.text_file(out.as_str(), 1).collect().unwrap(), ["7", "8", "2"]);
    assert_eq!(listed(&out).len(), 4);
    assert!(matches!(sc.range(0..3, 1).save_as_text_file(&file), Err(Error::OutputExists { .. })), "never over a file");
}
#[test]
fn an_output_is_replaced_by_its_owner_only() {
    let (dir, sc) = (TempDir::new(), threads(2));
    let out = dir.at("out");
    let mine = || Output::to(&out).replacing("me, batch 5");
    sc.range(0..3, 3).save_as_text_file(mine()).unwrap();
    sc.range(7..9, 2).save_as_text_file(mine()).unwrap();
    assert_eq!(sc.text_file(out.as_str(), 1).collect().unwrap(), ["7", "8"]);
    assert_eq!(listed(&out), ["_SUCCESS", "_owner", "part-00000", "part-00001"]);
    for other in [Output::to(&out), Output::to(&out).replacing("me, batch 6"), Output::to(&out).replacing("")] {
        assert!(matches!(sc.range(0..1, 1).save_as_text_file(other), Err(Error::OutputExists { .. })));
    }
    // What a process left that died half-way, its temporary files included, is replaced too.
    fs::remove_file(dir.at("out/_SUCCESS")).unwrap();
    fs::create_dir_all(dir.at("out/_temporary/1-1")).unwrap();
    sc.range(1..2, 1).save_as_text_file(mine()).unwrap();
    assert_eq!(listed(&out), ["_SUCCESS", "_owner", "part-00000"]);
    // A run that fails leaves what was there.
    sc.range(0..3, 3).map(|x| if x == 2 { panic!("no") } else { x }).save_as_text_file(mine()).unwrap_err();
    assert_eq!(listed(&out), ["_SUCCESS", "_owner", "part-00000"]);
    assert_eq!(sc.text_file(out.as_str(), 1).collect().unwrap(), ["1"]);
    // A directory of nobody's is not mine, unless it is empty: a process may have died before it had said whose it is.
    let foreign = dir.dir("foreign");
    fs::write(dir.at("foreign/letter"), "dear").unwrap();
    assert!(sc.range(0..1, 1).save_as_text_file(Output::to(&foreign).replacing("")).is_err());
    fs::remove_file(dir.at("foreign/letter")).unwrap();
    sc.range(0..1, 1).save_as_text_file(Output::to(&foreign).replacing("me")).unwrap();
    assert_eq!(listed(&dir.at("foreign")), ["_SUCCESS", "_owner", "part-00000"]);
}
#[test]
fn a_job_that_fails_leaves_no_directory_and_a_retry_nothing_of_its_first_attempt() {
    let dir = TempDir::new();
    let out = dir.at("deep/out");
    let sc = threads(2);
    let failing = sc.range(0..5000, 4).map(|x| if x == 4999 { panic!("late") } else { x });
    let e = failing.save_as_text_file(&out).unwrap_err();
    assert!(e.to_string().contains("panicked: late"), "{e}");
    assert_eq!(listed(&dir.at("deep")), Vec::<String>::new());

    let sc = context("local[2,2]");
    let tries = Arc::new(AtomicU32::new(0));
    let flaky = sc.range(0..5000, 2).map(move |x| {
        if x == 4999 && tries.fetch_add(1, Relaxed) == 0 {
            panic!("the first time");
        }
        x
    });
    flaky.save_as_text_file(&out).unwrap();
    assert_eq!(sc.counts().task_retries, 1);
    assert_eq!(sc.text_file(out.as_str(), 1).count().unwrap(), 5000);
    assert_eq!(listed(&out), ["_SUCCESS", "part-00000", "part-00001"]);
}
#[test]
fn where_nothing_can_be_written_the_error_names_the_path_and_the_call() {
    let (dir, sc) = (TempDir::new(), threads(1));
    let file = dir.file("file", "");
    let (e, line) = (sc.range(0..1, 1).save_as_text_file(format!("{file}/out")).unwrap_err(), line!());
    assert!(matches!(&e, Error::Output { doing: "creating", .. }), "{e}");
    assert!(e.to_string().contains(&file) && e.to_string().contains(&format!("outputs.rs:{line}:")), "{e}");
    std::os::unix::fs::symlink(dir.at("nowhere"), dir.at("broken")).unwrap();
    let e = sc.range(0..1, 1).save_as_text_file(dir.at("broken/out")).unwrap_err();
    assert!(e.to_string().contains(&dir.at("broken/out")), "{e}");
    let e = sc.range(0..1, 1).save_as_text_file("").unwrap_err();
    assert!(e.to_string().contains("the path is empty"), "{e}");
    // The place where files wait is gone while they are written.
    let out = dir.at("out");
    let gone = out.clone();
    let rdd = sc.range(0..1, 1).map(move |x| {
        let _ = fs::remove_dir_all(&gone);
        x
    });
    let e = rdd.save_as_text_file(&out).unwrap_err().to_string();
    assert!(e.contains("part-00000") && e.contains("writing"), "{e}");
}
#[test]
fn errors_of_the_writer_of_ones_own_format() {
    let (dir, sc) = (TempDir::new(), threads(1));
    let full = |_: winterbourne_engine::Records<u64>, _: &mut dyn io::Write| {
        Err(io::Error::new(ErrorKind::StorageFull, "no space left on device").into())
    };
    let e = sc.range(0..1, 1).save_as_files(dir.at("full"), full).unwrap_err();
    let Error::Task { cause: TaskCause::Engine(cause), .. } = &e else { panic!("{e}") };
    assert!(matches!(&**cause, Error::Output { source, .. } if source.kind() == ErrorKind::StorageFull), "{e}");
    assert!(e.to_string().contains("part-00000") && e.to_string().contains("no space left"), "{e}");
    let e = sc.range(0..1, 1).save_as_files(dir.at("own"), |_, _| Err("of my own".into())).unwrap_err();
    assert!(matches!(&e, Error::Task { cause: TaskCause::User(_), .. }), "{e}");
    assert_eq!(listed(dir.path().to_str().unwrap()), Vec::<String>::new());
    // An upstream error does not end the records early.
    let failing = sc.range(0..3000, 1).map(|x| if x == 2500 { panic!("upstream") } else { x });
    let e = failing
        .save_as_files(dir.at("half"), |numbers, _| {
            assert!(numbers.count() > 9999);
            Ok(())
        })
        .unwrap_err();
    assert!(e.to_string().contains("panicked: upstream"), "{e}");
}
#[test]
fn a_record_that_serde_refuses_fails_its_task() {
    #[derive(Clone)]
    struct Never;
    impl serde::Serialize for Never {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not this one"))
        }
    }
    let (dir, sc) = (TempDir::new(), threads(1));
    let e = sc.parallelize([Never], 1).save_as_text_file(dir.at("out")).unwrap_err();
    assert!(e.to_string().contains("not this one") && listed(dir.path().to_str().unwrap()).is_empty(), "{e}");
}
#[test]
fn inside_a_task_or_stopped_nothing_is_made() {
    let (dir, sc) = (TempDir::new(), threads(1));
    sc.stop();
    let e = sc.range(0..1, 1).save_as_text_file(dir.at("out")).unwrap_err();
    assert!(matches!(e, Error::Stopped { .. }), "{e}");
    assert!(!std::path::Path::new(&dir.at("out")).exists());
}
