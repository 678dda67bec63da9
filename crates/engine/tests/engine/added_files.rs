//! Files that are added to a context.
use crate::common::*;
use std::fs;
use winterbourne_engine::Error;

#[test]
fn tasks_find_a_copy_until_the_context_ends() {
    for stopped in [true, false] {
        let (dir, sc) = (TempDir::new(), threads(2));
        let file = dir.file("a.txt", "before");
        sc.add_file(format!("file://{file}")).unwrap();
        fs::write(&file, "after").unwrap();
        sc.add_file(&file).unwrap(); // changes nothing
        let files = sc.spark_files();
        let of = files.clone();
        let read = sc.range(0..2, 2).map(move |_| fs::read_to_string(of.get("a.txt").unwrap()).unwrap());
        assert_eq!(read.collect().unwrap(), ["before", "before"]);
        assert_eq!(sc.list_files(), [fs::canonicalize(&file).unwrap()]);
        let root = files.root_directory().unwrap();
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&root).unwrap().permissions()) & 0o777, 0o700);
        if stopped {
            sc.stop();
            assert!(matches!(sc.add_file(&file), Err(Error::Stopped { .. })));
        }
        drop((read, sc));
        assert!(!root.exists() && files.get("a.txt").is_err());
    }
}
#[test]
fn directories_are_copied_when_asked_for() {
    let (dir, sc) = (TempDir::new(), threads(1));
    dir.dir("d");
    dir.dir("d/inner");
    dir.file("d/one", "1");
    dir.file("d/inner/two", "2");
    sc.add_directory(dir.at("d")).unwrap();
    let d = sc.spark_files().get("d").unwrap();
    assert_eq!(fs::read_to_string(d.join("one")).unwrap() + &fs::read_to_string(d.join("inner/two")).unwrap(), "12");
    let e = sc.add_file(dir.at("d/inner")).unwrap_err();
    assert!(e.to_string().contains("is a directory and recursive is not turned on"), "{e}");
}
#[test]
fn what_cannot_be_added_or_found_says_why() {
    let (dir, sc) = (TempDir::new(), threads(1));
    dir.dir("other");
    let (one, two) = (dir.file("a", "1"), dir.file("other/a", "2"));
    sc.add_file(&one).unwrap();
    for (path, text) in [
        (two.as_str(), "was added under that name before"),
        ("hdfs://host/a", "`hdfs:` is not supported"),
        (&dir.at("missing"), "No such file"),
    ] {
        let (e, line) = (sc.add_file(path).unwrap_err(), line!());
        assert!(matches!(e, Error::AddedFile { .. }) && e.to_string().contains(text), "{e}");
        assert!(e.to_string().contains(&format!("added_files.rs:{line}:")) && e.to_string().contains(path), "{e}");
    }
    assert!(sc.add_directory(&one).unwrap_err().to_string().contains("use `add_file`"));
    let e = sc.spark_files().get("b").unwrap_err();
    assert!(e.to_string().contains("there are: a"), "{e}");
}
