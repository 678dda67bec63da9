//! Journals written by earlier versions of this program open for ever. A change of the format adds a directory here and
//! leaves the others as they are.
//!
//! `journal-v1` was written by the test below with `WINTERBOURNE_WRITE_FIXTURE=1`, when version 1 was new.

use std::path::Path;

use winterbourne_base::journal::Position;
use winterbourne_base::storage::{LocalStorage, SimStorage, Storage};

use crate::common::{file, header, open, options, record};

/// The records of `journal-v1`: their segments hold 100 bytes, and the second sync came after the first five.
fn records() -> Vec<(Position, Vec<u8>)> {
    let texts = ["", "batch 1", "batch 2", "0123456789012345678901234567890123456789", "é", "last", "of all"];
    let places = [(1, 32), (1, 48), (1, 71), (2, 32), (3, 32), (3, 50), (3, 70)];
    let position = |(segment, offset)| Position { segment, offset };
    places.into_iter().map(position).zip(texts.map(|text| text.as_bytes().to_vec())).collect()
}

fn dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal-v1"))
}

/// A copy, because opening a journal may change it.
fn copy() -> SimStorage {
    let (kept, copy) = (LocalStorage::new(dir()), SimStorage::new(1));
    for entry in kept.list("").unwrap() {
        copy.publish(&entry.name, &kept.read(&entry.name).unwrap()).unwrap();
    }
    copy
}

fn write(storage: &(impl Storage + Clone)) {
    let (mut journal, ..) = open(storage, &options(100)).unwrap();
    journal.append(b"trimmed").unwrap();
    journal.roll().unwrap();
    for (n, (at, text)) in records().into_iter().enumerate() {
        if n == 5 {
            journal.sync().unwrap();
        }
        assert_eq!(journal.append(&text).unwrap(), at);
    }
    journal.finish().unwrap();
    journal.trim_before(records()[0].0).unwrap();
}

#[test]
fn version_1_opens() {
    if std::env::var_os("WINTERBOURNE_WRITE_FIXTURE").is_some() {
        write(&LocalStorage::new(dir()));
    }
    let storage = copy();
    let (journal, opened, found) = open(&storage, &options(100)).unwrap();
    assert_eq!(found, records());
    assert_eq!((opened.first_record, opened.segments, opened.cut), (1, 3, None));
    assert_eq!(journal.position(), Position { segment: 3, offset: 92 });
}

#[test]
fn the_same_records_are_written_as_the_same_bytes() {
    let (kept, fresh) = (copy(), SimStorage::new(1));
    write(&fresh);
    assert_eq!(kept.list("").unwrap(), fresh.list("").unwrap());
    for entry in kept.list("").unwrap() {
        assert_eq!(kept.read(&entry.name).unwrap(), fresh.read(&entry.name).unwrap(), "{}", entry.name);
    }
}

/// The documentation of the layout, put into bytes by hand.
#[test]
fn the_layout_is_the_documented_one() {
    let records = records();
    let segment = |number: u64, base: u64, durable: &[u64]| {
        let here = records.iter().filter(|(at, _)| at.segment == number).zip(durable);
        let here = here.flat_map(|((at, text), durable)| record(*at, *durable, text));
        header(number, base).into_iter().chain(here).collect::<Vec<u8>>()
    };
    let expect = [segment(1, 1, &[0, 0, 0]), segment(2, 4, &[0]), segment(3, 5, &[0, 50, 50])];
    for (number, bytes) in (1..).zip(expect) {
        assert_eq!(copy().read(&file(number)).unwrap(), bytes, "{number}");
    }
}
