//! One set of promises, run against a directory and against the simulated disk.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;

use winterbourne_base::storage::{Crash, Entry, LocalStorage, SimStorage, Storage};

use crate::common::TempDir;

/// Runs a test on every kind of storage.
fn on_each(name: &str, test: impl Fn(&dyn Storage)) {
    let dir = TempDir::new(name);
    test(&LocalStorage::new(dir.path().join("deep/inside")));
    test(&SimStorage::new(1));
}

fn names(entries: &[Entry]) -> Vec<(&str, u64)> {
    entries.iter().map(|entry| (entry.name.as_str(), entry.len)).collect()
}

#[test]
fn appends_and_reads_back() {
    on_each("append", |storage| {
        let mut file = storage.append("log/a").unwrap();
        assert_eq!((file.len(), storage.len("log/a").unwrap()), (0, 0), "it is there at once");
        file.write(b"hello ").unwrap();
        file.sync().unwrap();
        drop(file);
        let mut file = storage.append("log/a").unwrap();
        assert_eq!(file.len(), 6);
        file.write(b"world").unwrap();
        assert_eq!((file.len(), storage.len("log/a").unwrap()), (11, 11));
        file.sync().unwrap();
        assert_eq!(storage.read("log/a").unwrap(), b"hello world");

        let mut buf = [0; 8];
        assert_eq!(storage.read_at("log/a", 6, &mut buf).unwrap(), 5, "short at the end");
        assert_eq!(&buf[..5], b"world");
        assert_eq!(storage.read_at("log/a", 11, &mut buf).unwrap(), 0);
        assert_eq!(storage.read_at("log/a", 1 << 40, &mut buf).unwrap(), 0);
    });
}

#[test]
fn reserves_and_seals() {
    on_each("reserve", |storage| {
        let mut file = storage.append("log/a").unwrap();
        file.write(b"hello ").unwrap();
        file.reserve(100).unwrap();
        file.reserve(50).unwrap();
        assert_eq!((file.len(), storage.len("log/a").unwrap()), (6, 100), "it never becomes shorter");
        file.write(b"world").unwrap();
        file.sync().unwrap();
        let expect = [&b"hello world"[..], &[0; 89]].concat();
        assert_eq!((file.len(), storage.read("log/a").unwrap()), (11, expect));
        file.seal().unwrap();
        assert_eq!((file.len(), storage.read("log/a").unwrap()), (11, b"hello world".to_vec()));
        file.seal().unwrap();
        file.reserve(5).unwrap();
        file.reserve(20).unwrap();
        file.write(&[b'!'; 20]).unwrap();
        assert_eq!((file.len(), storage.len("log/a").unwrap()), (31, 31));
        file.seal().unwrap();
        file.write(b"x").unwrap();
        file.reserve(40).unwrap();
        drop(file);
        let file = storage.append("log/a").unwrap();
        assert_eq!(file.len(), 40, "who opens it anew finds it as long as it is");
    });
}

#[test]
fn what_is_reserved_takes_no_room_and_survives_or_does_not() {
    for seed in 0..50 {
        let disk = SimStorage::new(seed);
        disk.set_capacity(Some(1_000));
        let mut file = disk.append("log").unwrap();
        file.write(b"durable").unwrap();
        file.sync().unwrap();
        disk.fail_write(1);
        file.reserve(5_000).unwrap_err();
        file.reserve(5_000).unwrap();
        assert_eq!(disk.free_bytes().unwrap(), Some(993));
        file.write(b" and not").unwrap();
        disk.crash();
        let log = disk.read("log").unwrap();
        assert!(log.starts_with(b"durable") && log.len() <= 5_000);
    }
}

#[test]
fn publishes_lists_and_deletes() {
    on_each("publish", |storage| {
        assert_eq!(storage.list("").unwrap(), []);
        assert_eq!(storage.list("no/such").unwrap(), []);
        storage.publish("b/2", b"first").unwrap();
        storage.publish("b/2", b"2nd").unwrap();
        assert!(storage.create_if_absent("b/10", b"x").unwrap());
        assert!(!storage.create_if_absent("b/10", b"other").unwrap());
        assert!(storage.create_if_absent("b/c/d", b"").unwrap());
        storage.publish("bb", b"12345").unwrap();
        assert_eq!(storage.read("b/10").unwrap(), b"x");
        assert_eq!(storage.read("b/2").unwrap(), b"2nd");
        assert_eq!(names(&storage.list("").unwrap()), [("b/10", 1), ("b/2", 3), ("b/c/d", 0), ("bb", 5)]);
        assert_eq!(names(&storage.list("b").unwrap()), [("b/10", 1), ("b/2", 3), ("b/c/d", 0)]);
        assert_eq!(names(&storage.list("b/c").unwrap()), [("b/c/d", 0)]);

        storage.delete("b/2").unwrap();
        storage.delete("b/2").unwrap();
        storage.delete("never/was").unwrap();
        assert_eq!(names(&storage.list("b").unwrap()), [("b/10", 1), ("b/c/d", 0)]);
    });
}

#[test]
fn truncates() {
    on_each("truncate", |storage| {
        storage.publish("a", b"0123456789").unwrap();
        storage.truncate("a", 4).unwrap();
        storage.truncate("a", 4).unwrap();
        assert_eq!(storage.read("a").unwrap(), b"0123");
        assert_eq!(storage.truncate("a", 5).unwrap_err().kind(), ErrorKind::InvalidInput, "never longer");
        let mut file = storage.append("a").unwrap();
        file.write(b"x").unwrap();
        assert_eq!(storage.read("a").unwrap(), b"0123x");
    });
}

#[test]
fn says_what_is_missing_and_refuses_to_leave_its_directory() {
    on_each("names", |storage| {
        let missing = storage.read("no/such").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.to_string().contains(&storage.describe("no/such")), "{missing}");
        assert_eq!(storage.len("nothing").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(storage.truncate("nothing", 0).unwrap_err().kind(), ErrorKind::NotFound);
        for name in ["", "/etc/passwd", "../x", "a/../x", "a//b", "a/", "lock", ".tmp-1", "a/.tmp-1"] {
            let refused = [
                storage.append(name).err(),
                storage.read(name).err(),
                storage.read_at(name, 0, &mut []).err(),
                storage.len(name).err(),
                storage.publish(name, b"").err(),
                storage.create_if_absent(name, b"").err(),
                storage.delete(name).err(),
                storage.truncate(name, 0).err(),
            ];
            for error in refused {
                assert_eq!(error.unwrap().kind(), ErrorKind::InvalidInput, "{name:?}");
            }
        }
        assert_eq!(storage.list("..").unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn files_of_a_directory_are_for_their_user_alone() {
    let dir = TempDir::new("modes");
    let root = dir.path().join("made/by us");
    let storage = LocalStorage::new(&root);
    assert!(!dir.path().exists(), "nothing is made before something is stored");
    storage.publish("state/a", b"x").unwrap();
    drop(storage.append("log/b").unwrap());
    storage.create_if_absent("c", b"x").unwrap();
    drop(storage.lock().unwrap());
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    for (path, expect) in [
        ("", 0o700),
        ("..", 0o700),
        ("state", 0o700),
        ("state/a", 0o600),
        ("log/b", 0o600),
        ("c", 0o600),
        ("lock", 0o600),
    ] {
        assert_eq!(mode(path), expect, "{path}");
    }
    assert!(storage.free_bytes().unwrap().unwrap() > 0);
    assert_eq!(storage.describe("state/a"), root.join("state/a").display().to_string());
}

#[test]
fn one_at_a_time_has_the_lock_and_it_clears_up_after_a_crash() {
    let dir = TempDir::new("lock");
    let storage = LocalStorage::new(dir.path());
    storage.publish("a/b", b"x").unwrap();
    fs::write(dir.path().join("a/.tmp-99-0"), b"half").unwrap();
    assert_eq!(names(&storage.list("").unwrap()), [("a/b", 1)]);

    let lock = storage.lock().unwrap();
    assert!(!dir.path().join("a/.tmp-99-0").exists(), "what a crash left is gone");
    assert_eq!(names(&storage.list("").unwrap()), [("a/b", 1)], "the lock is no object");
    let refused = LocalStorage::new(dir.path()).lock().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    let text = refused.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(text.contains(&lock.path().display().to_string()), "{text}");
    drop(lock);
    drop(storage.lock().unwrap());
}

#[test]
fn of_many_who_create_one_does() {
    let dir = TempDir::new("create");
    let storage = LocalStorage::new(dir.path());
    let creators: Vec<_> = (0..8u8)
        .map(|n| {
            let storage = storage.clone();
            std::thread::spawn(move || storage.create_if_absent("one/x", &[n; 100]).unwrap())
        })
        .collect();
    let created: Vec<bool> = creators.into_iter().map(|creator| creator.join().unwrap()).collect();
    let winner = created.iter().position(|won| *won).unwrap();
    assert_eq!(created.iter().filter(|won| **won).count(), 1);
    assert_eq!(storage.read("one/x").unwrap(), [winner as u8; 100]);
    assert_eq!(fs::read_dir(dir.path().join("one")).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn the_simulated_disk_forgets_only_what_was_not_durable() {
    for seed in 0..100 {
        let disk = SimStorage::new(seed);
        disk.publish("state", b"old").unwrap();
        let mut file = disk.append("log").unwrap();
        file.write(b"durable").unwrap();
        file.sync().unwrap();
        file.write(b" and not").unwrap();
        disk.cut_power_after(seed % 5);
        let published = disk.publish("state", b"newer");
        if seed % 5 == 4 {
            published.unwrap_err();
        }
        disk.crash();
        let log = disk.read("log").unwrap();
        assert!(log.starts_with(b"durable") && log.len() <= 15, "{log:?}");
        let state = disk.read("state").unwrap();
        assert!(state == b"old" || state == b"newer", "{seed}: {state:?}");
        assert!(file.write(b"x").is_err(), "it was open before the crash");
    }
}

#[test]
fn the_simulated_disk_fails_as_it_is_told() {
    let disk = SimStorage::new(3);
    let mut file = disk.append("f").unwrap();
    disk.fail_write(2);
    file.write(b"1").unwrap();
    file.write(b"2").unwrap_err();
    disk.fail_sync(1);
    file.sync().unwrap_err();
    file.sync().unwrap();
    assert!(disk.read("f").unwrap().starts_with(b"1"), "still in memory");
    disk.crash_as(Crash::Lost);
    assert_ne!(disk.read("f").unwrap().first(), Some(&b'2'));

    disk.set_capacity(Some(10));
    disk.publish("g", b"1234567").unwrap();
    let free = disk.free_bytes().unwrap().unwrap();
    assert_eq!(free, 3 - disk.len("f").unwrap());
    assert_eq!(disk.publish("h", b"1234").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.free_bytes().unwrap(), Some(free), "the half-written file is gone");
    disk.flip("g", 0, 1).unwrap();
    assert_eq!(disk.read("g").unwrap(), b"0234567");
    assert!(disk.flip("g", 7, 1).is_err() && disk.flip("none", 0, 1).is_err());
}
