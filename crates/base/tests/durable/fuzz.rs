//! Opening whatever lies in the directory: never a panic, never more memory than the limits allow, and either the
//! journal goes on, or it is refused and nothing is changed.
//!
//! `PROPTEST_CASES=1000000 cargo test --release -p winterbourne-base --test durable fuzz` runs for longer.

use proptest::prelude::*;
use winterbourne_base::journal::{JournalError, Position};
use winterbourne_base::storage::{SimStorage, Storage};

use crate::common::{Records, cases, file, header, open, options, record, record_with_length};
use crate::spy::Spy;

/// Something done to the bytes of the segments, without a thought for what they mean.
#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Number(usize, u32),
    Zeros(usize, usize),
    /// What a journal leaves that was not finished.
    Room(usize),
    Cut(usize),
    Insert(usize, Vec<u8>),
    /// Bytes from elsewhere in the same file, or from another one.
    Copy(usize, usize, usize),
    Swap,
    /// A record that is valid but for a length that is a lie.
    Liar(u32, u16),
    Header(u64, u64),
}

fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![Just(0u32), Just(u32::MAX), Just(1 << 31), Just(16), Just(10_001), any::<u32>()];
    let at = 0..4_000usize;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        (at.clone(), number.clone()).prop_map(|(at, number)| Damage::Number(at, number)),
        (at.clone(), 0..600usize).prop_map(|(at, len)| Damage::Zeros(at, len)),
        prop_oneof![0..200usize, 60_000..150_000usize].prop_map(Damage::Room),
        at.clone().prop_map(Damage::Cut),
        (at.clone(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at.clone(), at, 0..600usize).prop_map(|(from, to, len)| Damage::Copy(from, to, len)),
        Just(Damage::Swap),
        (number, any::<u16>()).prop_map(|(length, durable)| Damage::Liar(length, durable)),
        (0..5u64, 0..9u64).prop_map(|(segment, base)| Damage::Header(segment, base)),
    ]
}

/// Segments 0, 1, … with records of these lengths, all valid.
fn valid(segments: &[Vec<usize>]) -> Vec<Vec<u8>> {
    let mut base = 0;
    let segment = |(number, lengths): (usize, &Vec<usize>)| {
        let mut bytes = header(number as u64, base);
        base += lengths.len() as u64;
        for len in lengths {
            let at = Position { segment: number as u64, offset: bytes.len() as u64 };
            bytes.extend(record(at, if len % 2 == 0 { at.offset } else { 0 }, &vec![*len as u8; *len]));
        }
        bytes
    };
    segments.iter().enumerate().map(segment).collect()
}

fn spoil(segments: &mut [Vec<u8>], which: usize, damage: &Damage) {
    let number = which % segments.len();
    let other = segments[(which / 7) % segments.len()].clone();
    let bytes = &mut segments[number];
    let within = |at: usize| at % (bytes.len() + 1);
    match damage {
        Damage::Flip(at, mask) => {
            let at = within(*at);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
        Damage::Number(at, number) => {
            let at = within(*at);
            bytes.truncate(bytes.len().max(at));
            bytes.iter_mut().skip(at).zip(number.to_le_bytes()).for_each(|(byte, new)| *byte = new);
        }
        Damage::Zeros(at, len) => {
            let at = within(*at);
            bytes.resize(bytes.len().max(at + len / 2), 0);
            bytes.iter_mut().skip(at).take(*len).for_each(|byte| *byte = 0);
        }
        Damage::Room(len) => bytes.resize(bytes.len() + len, 0),
        Damage::Cut(at) => bytes.truncate(within(*at)),
        Damage::Insert(at, new) => {
            let at = within(*at);
            bytes.splice(at..at, new.iter().copied());
        }
        Damage::Copy(from, to, len) => {
            let to = within(*to);
            let copied: Vec<u8> = other.iter().skip(from % (other.len() + 1)).take(*len).copied().collect();
            let end = (to + copied.len()).min(bytes.len());
            bytes.splice(to..end, copied);
        }
        Damage::Swap => segments.swap(number, (which / 7) % segments.len()),
        Damage::Liar(length, durable) => {
            let at = Position { segment: number as u64, offset: bytes.len() as u64 };
            let durable = u64::from(*durable).min(at.offset);
            bytes.extend(record_with_length(at, durable, *length, b"a few bytes"));
        }
        Damage::Header(segment, base) => {
            let new = header(*segment, *base);
            let end = new.len().min(bytes.len());
            bytes.splice(..end, new);
        }
    }
}

/// What opening must never do, whatever lies there.
fn check(segments: &[Vec<u8>]) {
    let disk = SimStorage::new(1);
    for (number, bytes) in segments.iter().enumerate() {
        disk.publish(&file(number as u64), bytes).unwrap();
    }
    let spy = Spy::new(disk.clone());
    let opened = open(&spy, &options(1_000));
    assert!(spy.longest_read() <= 256 << 10, "{} bytes at once", spy.longest_read());
    match opened {
        Ok((journal, _, records)) => {
            let stored = |(at, payload): &(Position, Vec<u8>)| {
                let offset = at.offset as usize + 16;
                segments[at.segment as usize][offset..offset + payload.len()] == payload[..]
            };
            assert!(records.iter().all(stored), "a record was invented");
            goes_on(&disk, journal, records);
        }
        Err(JournalError::Corrupt { .. } | JournalError::Version { .. } | JournalError::TooLong { .. }) => {
            for (number, bytes) in segments.iter().enumerate() {
                assert_eq!(disk.read(&file(number as u64)).unwrap(), *bytes, "segment {number} was changed");
            }
        }
        Err(other) => panic!("{other}"),
    }
}

fn goes_on(disk: &SimStorage, mut journal: winterbourne_base::journal::Journal, mut records: Records) {
    let record = b"one more".to_vec();
    records.push((journal.append(&record).unwrap(), record));
    journal.sync().unwrap();
    drop(journal);
    disk.crash();
    let (_, opened, again) = open(disk, &options(1_000)).unwrap();
    assert_eq!(again, records);
    assert_eq!(opened.cut, None);
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn damaged_segments_are_read_refused_or_cut(
        lengths in prop::collection::vec(prop::collection::vec(0..300usize, 0..6), 1..5),
        damages in prop::collection::vec((0..50usize, damage()), 1..5),
    ) {
        let mut segments = valid(&lengths);
        for (which, damage) in &damages {
            spoil(&mut segments, *which, damage);
        }
        check(&segments);
    }

    #[test]
    fn any_bytes_are_read_refused_or_cut(
        segments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..4),
        with_header: bool,
    ) {
        let dressed = |(number, bytes): (usize, &Vec<u8>)| {
            let start = if with_header { header(number as u64, 0) } else { Vec::new() };
            [start, bytes.clone()].concat()
        };
        check(&segments.iter().enumerate().map(dressed).collect::<Vec<_>>());
    }
}

#[test]
fn undamaged_segments_are_read() {
    let segments = valid(&[vec![3, 0, 299], vec![], vec![8]]);
    let disk = SimStorage::new(1);
    for (number, bytes) in (0..).zip(&segments) {
        disk.publish(&file(number), bytes).unwrap();
    }
    let (_, opened, records) = open(&disk, &options(1_000)).unwrap();
    assert_eq!((records.len(), opened.segments, opened.cut), (4, 3, None));
}

/// Bytes that look like heads everywhere must not make the search for evidence slow beyond all bounds.
#[test]
fn a_large_torn_tail_is_searched_piece_by_piece() {
    let disk = SimStorage::new(1);
    let misleading = [5, 0, 0, 0, 20, 0, 0, 0].repeat(100_000);
    disk.publish(&file(0), &[header(0, 0), misleading].concat()).unwrap();
    let spy = Spy::new(disk);
    let (_, opened, _) = open(&spy, &options(1_000)).unwrap();
    assert_eq!(opened.cut.unwrap().bytes, 800_000);
    assert!(spy.longest_read() <= 256 << 10);
}

/// The evidence lies far behind the damage, across the pieces in which it is searched for.
#[test]
fn evidence_is_found_wherever_it_lies() {
    for gap in (65_500..65_580).chain([262_100, 262_144, 262_150, 300_000]) {
        let disk = SimStorage::new(1);
        let at = Position { segment: 0, offset: 32 + gap };
        let bytes = [header(0, 0), vec![0; gap as usize], record(at, 33, b"evidence")].concat();
        disk.publish(&file(0), &bytes).unwrap();
        let error = open(&disk, &options(1_000)).unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { offset: 32, .. }), "{gap}: {error}");
    }
}
