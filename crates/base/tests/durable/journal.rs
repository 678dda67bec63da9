//! Stories about one journal.

use std::sync::Arc;

use winterbourne_base::journal::{Journal, JournalError, JournalOptions, Opened, Position, SharedJournal};
use winterbourne_base::storage::{Crash, LocalStorage, SimStorage, Storage};

use crate::common::{self, TempDir, file, header, open, options, record};

fn position(segment: u64, offset: u64) -> Position {
    Position { segment, offset }
}

/// A journal with three segments of two records each; all durable.
fn six_records(disk: &SimStorage) -> (Journal, Vec<Position>) {
    let (mut journal, ..) = open(disk, &options(100)).unwrap();
    let at = (0..6u8).map(|n| journal.append(&[n; 18]).unwrap()).collect();
    journal.sync().unwrap();
    (journal, at)
}

#[test]
fn comes_back_with_everything_that_was_synced() {
    let disk = SimStorage::new(1);
    let (mut journal, at) = six_records(&disk);
    assert_eq!(at[..3], [position(0, 32), position(0, 66), position(1, 32)]);
    journal.append(b"not synced").unwrap();
    drop(journal);
    disk.crash_as(Crash::Lost);

    let (mut journal, opened, records) = open(&disk, &options(100)).unwrap();
    assert_eq!((opened.records, opened.first_record, opened.segments, opened.cut), (6, 0, 3, None));
    let expect: Vec<_> = at.iter().zip(0..).map(|(at, n)| (*at, vec![n; 18])).collect();
    assert_eq!(records, expect);
    assert_eq!(journal.records(), 6);
    assert_eq!(journal.append(b"next").unwrap(), position(3, 32));
}

#[test]
fn works_in_a_directory() {
    let dir = TempDir::new("journal");
    let storage = LocalStorage::new(dir.path());
    let (mut journal, opened, _) = open(&storage, &options(100)).unwrap();
    assert_eq!(opened, Opened::default());
    let at: Vec<_> = (0..10u8).map(|n| journal.append(&[n; 30]).unwrap()).collect();
    assert_eq!(journal.read(at[3]).unwrap(), [3; 30], "before it is durable");
    journal.sync().unwrap();
    assert_eq!(journal.read(at[3]).unwrap(), [3; 30]);
    assert_eq!(journal.trim_before(at[5]).unwrap(), at[5].segment);
    journal.append(b"one more").unwrap();
    drop(journal);

    let (journal, opened, records) = open(&storage, &options(100)).unwrap();
    assert_eq!((opened.first_record, opened.records), (5, 5), "what was not synced is gone with the journal");
    assert_eq!(records[0], (at[5], vec![5; 30]));
    assert!(matches!(journal.read(at[4]), Err(JournalError::NoRecord { .. })));
}

#[test]
fn reads_single_records_and_says_what_is_none() {
    let disk = SimStorage::new(1);
    let (mut journal, at) = six_records(&disk);
    let fresh = journal.append(b"fresh").unwrap();
    assert_eq!(journal.read(fresh).unwrap(), b"fresh");
    assert_eq!(journal.read(at[1]).unwrap(), [1; 18]);
    for (at, known) in [
        (journal.position(), false),
        (position(0, 0), false),
        (position(0, 1 << 40), false),
        (position(17, 32), false),
        (position(0, 33), true),
    ] {
        match journal.read(at).unwrap_err() {
            JournalError::NoRecord { offset, .. } => assert!(!known && offset == at.offset),
            JournalError::Corrupt { offset, .. } => assert!(known && offset == at.offset),
            other => panic!("{other}"),
        }
    }
    disk.flip(&file(0), 70 + 16, 1).unwrap();
    let error = journal.read(at[1]).unwrap_err().to_string();
    assert!(error.starts_with("sim:log/00000000000000000000.journal is corrupt at offset 66: the checksum"), "{error}");
}

#[test]
fn trims_whole_segments_but_never_the_last() {
    let disk = SimStorage::new(1);
    let (mut journal, at) = six_records(&disk);
    for (keep, expect) in [(at[0], 0), (at[1], 0), (at[3], 1), (at[3], 0), (position(99, 32), 1)] {
        assert_eq!(journal.trim_before(keep).unwrap(), expect, "{keep}");
    }
    assert_eq!(disk.list("log").unwrap().len(), 1);

    journal.roll().unwrap();
    assert_eq!(journal.position(), position(3, 32));
    assert_eq!(journal.trim_before(journal.position()).unwrap(), 1, "it made the new one durable first");
    drop(journal);
    disk.crash_as(Crash::Lost);
    let (journal, opened, records) = open(&disk, &options(100)).unwrap();
    assert_eq!((opened.first_record, opened.segments, records), (6, 1, Vec::new()));
    assert_eq!((journal.position(), journal.records()), (position(3, 32), 6), "numbers and places go on");
}

#[test]
fn a_failed_sync_poisons_for_good_and_opening_tells_what_is_there() {
    for seed in 0..50 {
        let disk = SimStorage::new(seed);
        let (mut journal, ..) = open(&disk, &options(1_000)).unwrap();
        journal.append(&[1; 600]).unwrap();
        journal.sync().unwrap();
        journal.append(&[2; 300]).unwrap();
        disk.fail_sync(1);
        let cause = journal.sync().unwrap_err();
        assert!(matches!(cause, JournalError::Io { .. }), "{cause}");
        let poisoned = [
            journal.append(b"x").err(),
            journal.sync().err(),
            journal.roll().err(),
            journal.trim_before(journal.position()).err(),
            journal.read(position(0, 32)).err(),
        ];
        for error in poisoned {
            let JournalError::Poisoned(text) = error.unwrap() else { panic!("not poisoned") };
            assert_eq!(text, cause.to_string());
        }

        // No crash: the system still remembers the second record, although it may not be stored.
        let (journal, _, records) = open(&disk, &options(1_000)).unwrap();
        disk.crash_as(Crash::Lost);
        drop(journal);
        let (_, _, again) = open(&disk, &options(1_000)).unwrap();
        assert_eq!(records, again, "what was read back was durable");
        assert_eq!(records[0].1, [1; 600]);
    }
}

#[test]
fn keeps_a_part_of_the_disk_free() {
    let disk = SimStorage::new(1);
    disk.set_capacity(Some(1_000));
    let options = JournalOptions { free_floor_bytes: 500, ..options(10_000) };
    let (mut journal, ..) = open(&disk, &options).unwrap();
    let mut count = 0;
    let error = loop {
        match journal.append(&[0; 84]).and_then(|_| journal.sync()) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(count, 4, "{error}");
    assert!(matches!(error, JournalError::NoSpace { free: 568, floor: 500, .. }), "{error}");
    disk.set_capacity(Some(2_000));
    journal.append(&[0; 84]).unwrap();
    journal.sync().unwrap();
    drop(journal);
    assert_eq!(open(&disk, &options).unwrap().1.records, 5);
}

fn makes_room(storage: &(impl Storage + Clone)) {
    const MIB: u64 = 1 << 20;
    let (mut journal, ..) = open(storage, &options(3 * MIB)).unwrap();
    let len = |segment| storage.len(&file(segment)).unwrap();
    journal.append(&[1; 984]).unwrap();
    journal.sync().unwrap();
    assert_eq!(len(0), 1_032 + MIB);
    for _ in 0..100 {
        journal.append(&[1; 9_984]).unwrap();
    }
    journal.sync().unwrap();
    assert_eq!(len(0), 1_032 + MIB, "there was room");
    for _ in 0..150 {
        journal.append(&[1; 9_984]).unwrap();
    }
    journal.sync().unwrap();
    assert_eq!(len(0), 3 * MIB, "never more than a segment may have");
    journal.roll().unwrap();
    journal.append(b"2").unwrap();
    journal.sync().unwrap();
    assert_eq!((len(0), len(1)), (2_501_032, 49 + MIB), "the true length before the next is made");
    drop(journal);

    let (mut journal, opened, _) = open(storage, &options(3 * MIB)).unwrap();
    assert_eq!((opened.records, opened.cut, len(1)), (252, None, 49));
    journal.finish().unwrap();
    journal.append(b"3").unwrap();
    journal.finish().unwrap();
    assert_eq!(len(1), 66);
    let last = journal.append(b"4").unwrap();
    journal.sync().unwrap();
    assert_eq!((len(1), journal.read(last).unwrap()), (83 + MIB, b"4".to_vec()));
    let Err(JournalError::NoRecord { .. }) = journal.read(journal.position()) else { panic!("there is only room") };
    let shared = SharedJournal::new(journal);
    let Err(JournalError::NoRecord { .. }) = shared.read(shared.position()) else { panic!("there is only room") };
    shared.finish().unwrap();
    assert_eq!(len(1), 83);
}

#[test]
fn makes_room_ahead_and_gives_it_back() {
    makes_room(&SimStorage::new(1));
    makes_room(&LocalStorage::new(TempDir::new("room").path()));
}

/// As with a file system that knows no sparse files, or a limit on the length of files.
#[test]
fn does_without_room_where_there_is_none() {
    let disk = SimStorage::new(1);
    let (mut journal, ..) = open(&disk, &options(1_000)).unwrap();
    journal.append(b"a").unwrap();
    disk.fail_write(1);
    journal.sync().unwrap();
    assert!(disk.len(&file(0)).unwrap() < 1_000, "in part, at most");
    for n in 0..20 {
        journal.append(&[n; 100]).unwrap();
        journal.sync().unwrap();
    }
    journal.finish().unwrap();
    drop(journal);
    disk.crash_as(Crash::Lost);
    let (_, opened, _) = open(&disk, &options(1_000)).unwrap();
    assert_eq!((opened.records, opened.cut), (21, None));
}

#[test]
fn a_record_has_a_longest_length() {
    let disk = SimStorage::new(1);
    let (mut journal, ..) = open(&disk, &options(100)).unwrap();
    journal.append(&[7; 10_000]).unwrap();
    let error = journal.append(&[7; 10_001]).unwrap_err();
    assert!(matches!(error, JournalError::TooLong { bytes: 10_001, limit: 10_000, .. }), "{error}");
    journal.append(b"").unwrap();
    journal.sync().unwrap();
    drop(journal);
    assert_eq!(open(&disk, &options(100)).unwrap().1.records, 2);
    let smaller = JournalOptions { max_record_bytes: 9_999, ..options(100) };
    let error = open(&disk, &smaller).unwrap_err();
    assert!(matches!(error, JournalError::TooLong { bytes: 10_000, .. }), "{error}");
    assert!(error.to_string().contains("at offset 32 of sim:log/"), "{error}");
}

#[test]
fn what_a_caller_cannot_read_is_corrupt() {
    let disk = SimStorage::new(1);
    six_records(&disk);
    let refused = Journal::open(Arc::new(disk), "log", options(100), |at, _| {
        if at < position(1, 66) { Ok(()) } else { Err(JournalError::Rejected("no batch".to_owned())) }
    });
    let Err(JournalError::Corrupt { file, offset, why }) = refused.map(drop) else { panic!("it was read") };
    assert_eq!((file.as_str(), offset, why.as_str()), ("sim:log/00000000000000000001.journal", 66, "no batch"));
}

/// The last segments as they could be after a crash or after damage, and what becomes of them.
#[test]
fn tells_a_torn_tail_from_a_corrupt_middle() {
    let first = [header(0, 0), record(position(0, 32), 0, b"aaaa"), record(position(0, 52), 52, b"bbbb")].concat();
    let zeros = |mut bytes: Vec<u8>, range: std::ops::Range<usize>| {
        bytes[range].fill(0);
        bytes
    };
    let later = |durable| record(position(0, 72), durable, b"cccc");
    let second = [header(1, 2), record(position(1, 32), 0, b"dddd")].concat();
    let cut = |offset| Ok((offset, true));
    let whole = |len| Ok((len, false));
    for (story, segments, expect) in [
        ("nothing is wrong", vec![first.clone()], whole(72)),
        ("half a head", vec![first[..60].to_vec()], cut(52)),
        ("half a payload", vec![first[..70].to_vec()], cut(52)),
        ("room behind", vec![[first.clone(), vec![0; 5_000]].concat()], whole(72)),
        ("a little room behind", vec![[first.clone(), vec![0]].concat()], whole(72)),
        ("much room behind", vec![[first.clone(), vec![0; 300_000]].concat()], whole(72)),
        ("room with something in it", vec![[first.clone(), vec![0; 300_000], vec![1]].concat()], cut(72)),
        ("half a record, and room", vec![[first[..70].to_vec(), vec![0; 5_000]].concat()], cut(52)),
        ("room behind a header", vec![[first.clone(), vec![0; 50]].concat()[..32].to_vec()], whole(32)),
        (
            "room behind a segment that is not the last",
            vec![[first.clone(), vec![0; 50]].concat(), second.clone()],
            Err((0, 72)),
        ),
        ("zeros in place of the last", vec![zeros(first.clone(), 52..72)], whole(52)),
        (
            "the end of the unsynced without its beginning",
            vec![[zeros(first.clone(), 52..72), later(52)].concat()],
            cut(52),
        ),
        ("it was durable", vec![[zeros(first.clone(), 52..72), later(72)].concat()], Err((0, 52))),
        ("a part of it was durable", vec![[zeros(first.clone(), 52..72), later(53)].concat()], Err((0, 52))),
        (
            "the first of the unsynced, all of them",
            vec![[header(0, 0), vec![0; 20], record(position(0, 52), 32, b"bbbb"), later(0)].concat()],
            cut(32),
        ),
        ("it was durable, says the second", vec![zeros(first.clone(), 32..52)], Err((0, 32))),
        ("half a header", vec![header(0, 0)[..20].to_vec()], cut(0)),
        ("an empty file", vec![Vec::new()], cut(0)),
        (
            "a header that was never written",
            vec![zeros([header(0, 0), record(position(0, 32), 0, b"aaaa")].concat(), 0..32)],
            cut(0),
        ),
        ("a header that was durable", vec![zeros(first.clone(), 0..32)], Err((0, 0))),
        ("the second segment was never written", vec![first.clone(), zeros(second.clone(), 0..32)], cut(0)),
        ("it was not written whole", vec![first.clone(), second[..40].to_vec()], cut(32)),
        ("half a record, and a later segment", vec![first[..70].to_vec(), second.clone()], Err((0, 52))),
        ("a record is missing before a later segment", vec![first[..52].to_vec(), second.clone()], Err((0, 52))),
        ("a header is damaged before a later segment", vec![zeros(first.clone(), 28..32), second.clone()], Err((0, 0))),
        ("the record of another segment", vec![[header(0, 0), record(position(1, 32), 0, b"dddd")].concat()], cut(32)),
        ("the segment of another number", vec![first.clone(), [header(2, 2), second[32..].to_vec()].concat()], cut(0)),
        (
            "a record that says it is longer",
            vec![[header(0, 0), common::record_with_length(position(0, 32), 0, 5_000, b"a")].concat()],
            cut(32),
        ),
    ] {
        let disk = SimStorage::new(1);
        for (segment, bytes) in segments.iter().enumerate() {
            disk.publish(&file(segment as u64), bytes).unwrap();
        }
        let last = segments.len() as u64 - 1;
        match (open(&disk, &options(1_000)), expect) {
            (Ok((mut journal, opened, records)), Ok((offset, was_cut))) => {
                let cut = opened.cut.as_ref().map(|cut| (cut.file.clone(), cut.offset, cut.bytes));
                let bytes = segments[last as usize].len() as u64 - offset;
                let expect = was_cut.then(|| (disk.describe(&file(last)), offset, bytes));
                assert_eq!(cut, expect, "{story}");
                assert_eq!(disk.len(&file(last)).ok(), (offset > 0).then_some(offset), "{story}");
                journal.append(b"goes on").unwrap();
                journal.sync().unwrap();
                let end = journal.position().offset;
                assert_eq!(disk.len(&file(last.min(journal.position().segment))).unwrap(), 1_000, "{story}: with room");
                assert!(end < 1_000 && journal.read(journal.position()).is_err(), "{story}");
                drop(journal);
                disk.crash();
                let (_, opened, again) = open(&disk, &options(1_000)).unwrap();
                assert_eq!((again.len(), opened.cut), (records.len() + 1, None), "{story}");
                assert_eq!(again[..records.len()], records, "{story}");
            }
            (Err(JournalError::Corrupt { file: named, offset, .. }), Err(expect)) => {
                assert_eq!((named, offset), (disk.describe(&file(expect.0)), expect.1), "{story}");
                for (segment, bytes) in segments.iter().enumerate() {
                    assert_eq!(disk.read(&file(segment as u64)).unwrap(), *bytes, "{story}: nothing is changed");
                }
            }
            (found, _) => panic!("{story}: {:?}", found.map(|(_, opened, _)| opened)),
        }
    }
}

#[test]
fn refuses_segments_that_do_not_belong_together() {
    let one = |segment: u64, base| (file(segment), header(segment, base));
    for (story, files, expect) in [
        ("a gap", vec![one(3, 0), one(5, 0)], "segments between 3 and 5 are missing"),
        (
            "a wrong count",
            vec![one(3, 7), one(4, 8)],
            "its records end with number 7, those of the next segment begin with 8",
        ),
        ("the first of all has predecessors", vec![one(0, 7)], "says that 7 records came before it"),
        ("a name", vec![("log/12.journal".to_owned(), Vec::new())], "its name is not that of a segment"),
        ("the only one has no header", vec![(file(3), Vec::new())], "no other segment is left"),
    ] {
        let disk = SimStorage::new(1);
        for (name, bytes) in files {
            disk.publish(&name, &bytes).unwrap();
        }
        let error = open(&disk, &options(100)).unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { .. }), "{story}: {error}");
        assert!(error.to_string().contains(expect), "{story}: {error}");
    }
    let disk = SimStorage::new(1);
    let mut newer = header(0, 0);
    newer[8] = 2;
    disk.publish(&file(0), &newer).unwrap();
    disk.publish("log/README", b"not ours").unwrap();
    let error = open(&disk, &options(100)).unwrap_err();
    assert!(matches!(error, JournalError::Version { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn notices_another_writer() {
    let disk = SimStorage::new(1);
    let (mut one, ..) = open(&disk, &options(1_000)).unwrap();
    let (mut other, ..) = open(&disk, &options(1_000)).unwrap();
    other.append(b"mine").unwrap();
    other.sync().unwrap();
    one.append(b"mine").unwrap();
    let error = one.sync().unwrap_err().to_string();
    assert!(error.contains("another process writes to it too"), "{error}");
}
