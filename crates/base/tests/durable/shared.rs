//! Many threads, one journal: fewer syncs than records, and nobody is told too early.

use std::sync::Arc;

use winterbourne_base::journal::{Journal, JournalError, SharedJournal};
use winterbourne_base::storage::{Crash, SimStorage};

use crate::common::{open, options};
use crate::spy::Spy;

fn gated(segment_bytes: u64) -> (Spy, SharedJournal) {
    let storage = Spy::new(SimStorage::new(1));
    let (journal, _) = Journal::open(Arc::new(storage.clone()), "log", options(segment_bytes), |_, _| Ok(())).unwrap();
    (storage, SharedJournal::new(journal))
}

/// Waits until that many records were appended, which other threads are about to do.
fn wait_for_records(journal: &SharedJournal, count: u64) {
    while journal.records() < count {
        std::thread::yield_now();
    }
}

#[test]
fn one_sync_serves_all_who_came_before_it() {
    let (storage, journal) = gated(100_000);
    journal.append_durable(b"the segment is made").unwrap();
    let before = storage.disk.syncs();

    storage.gate.set(true, false);
    let append = |n: u8| {
        let journal = journal.clone();
        std::thread::spawn(move || (journal.append_durable(&[n; 50]).unwrap(), n))
    };
    let leader = append(0);
    storage.gate.wait_for_somebody();
    let followers: Vec<_> = (1..20).map(append).collect();
    wait_for_records(&journal, 21);
    let unsynced = journal.append(b"not waited for").unwrap();
    assert_eq!(journal.read(unsynced).unwrap(), b"not waited for", "while somebody else syncs");
    storage.gate.set(false, false);

    let done: Vec<_> = std::iter::once(leader).chain(followers).map(|thread| thread.join().unwrap()).collect();
    assert_eq!(storage.disk.syncs() - before, 2, "one for the leader, one for all the others");
    storage.disk.crash_as(Crash::Lost);
    let (_, _, records) = open(&storage.disk, &options(100_000)).unwrap();
    for (at, n) in done {
        assert!(records.contains(&(at, vec![n; 50])), "{at}");
    }
}

#[test]
fn many_threads_many_segments_and_everything_reported_is_there() {
    let disk = SimStorage::new(5);
    let (journal, ..) = open(&disk, &options(700)).unwrap();
    let journal = SharedJournal::new(journal);
    let threads: Vec<_> = (0..8u8)
        .map(|thread| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                let append = |n: u8| {
                    let record = vec![thread; usize::from(n)];
                    let at =
                        if n.is_multiple_of(3) { journal.append(&record) } else { journal.append_durable(&record) };
                    let at = at.unwrap();
                    assert_eq!(journal.read(at).unwrap(), record);
                    if n.is_multiple_of(40) {
                        journal.roll().unwrap();
                    }
                    (at, record)
                };
                let mut appended: Vec<_> = (0..100).map(append).collect();
                journal.sync().unwrap();
                appended.push((journal.append_durable(b"last").unwrap(), b"last".to_vec()));
                appended
            })
        })
        .collect();
    let mut expect: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    expect.sort();
    disk.crash();
    let (_, opened, records) = open(&disk, &options(700)).unwrap();
    assert_eq!(records, expect);
    assert_eq!((opened.records, opened.cut), (808, None));
}

#[test]
fn trims_while_others_append() {
    let disk = SimStorage::new(5);
    let (journal, ..) = open(&disk, &options(200)).unwrap();
    let journal = SharedJournal::new(journal);
    let writer = {
        let journal = journal.clone();
        std::thread::spawn(move || {
            let appended: Vec<_> = (0..200u8).map(|n| journal.append_durable(&[n; 40]).unwrap()).collect();
            appended[199]
        })
    };
    let mut removed = 0;
    while !writer.is_finished() {
        removed += journal.trim_before(journal.position()).unwrap();
    }
    let last = writer.join().unwrap();
    removed += journal.trim_before(journal.position()).unwrap();
    assert_eq!(removed, last.segment);
    disk.crash();
    let (_, opened, records) = open(&disk, &options(200)).unwrap();
    assert_eq!(opened.first_record + opened.records, 200);
    assert_eq!(records.last(), Some(&(last, vec![199; 40])));
}

#[test]
fn a_failure_reaches_all_who_wait() {
    for panics in [false, true] {
        let (storage, journal) = gated(100_000);
        journal.append_durable(b"the segment is made").unwrap();
        storage.gate.set(true, panics);
        if !panics {
            storage.disk.fail_sync(1);
        }
        let append = |n: u8| {
            let journal = journal.clone();
            std::thread::spawn(move || journal.append_durable(&[n]))
        };
        let leader = append(0);
        storage.gate.wait_for_somebody();
        let followers: Vec<_> = (1..5).map(append).collect();
        wait_for_records(&journal, 6);
        storage.gate.set(false, panics);

        match leader.join() {
            Err(_) => assert!(panics),
            Ok(outcome) => assert!(!panics && matches!(outcome, Err(JournalError::Io { .. }))),
        }
        for follower in followers {
            let error = follower.join().unwrap().unwrap_err();
            assert!(matches!(error, JournalError::Poisoned(_)), "{error}");
        }
        assert!(matches!(journal.append(b"x"), Err(JournalError::Poisoned(_))));
        assert!(matches!(journal.sync(), Err(JournalError::Poisoned(_))));
        let refused = journal.trim_before(journal.position());
        assert!(matches!(refused, Err(JournalError::Poisoned(_))));
    }
}
