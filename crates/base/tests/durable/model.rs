//! Journals beside a model, on a disk that loses, tears, reorders, fills up, fails and flips bits.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p winterbourne-base --test durable model` runs for longer.

use std::collections::BTreeMap;

use proptest::prelude::*;
use winterbourne_base::journal::{Journal, JournalError, Opened, Position};
use winterbourne_base::storage::{Crash, SimStorage, Storage};

use crate::common::{Records, cases, file, open, options};

/// What is done to a journal, and to the disk below it.
#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Sync,
    /// No more is expected to come, and more comes.
    Finish,
    Roll,
    /// Trims before one of the records, and reads one, counted from the end.
    Trim(usize),
    Read(usize),
    /// The process ends; the system lives.
    Kill,
    Crash(Option<Crash>),
    FailSync(u64),
    FailWrite(u64),
    CutPower(u64),
    /// That many bytes are left on the disk.
    Fill(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop_oneof![Just(None), Just(Some(Crash::Lost)), Just(Some(Crash::Torn)), Just(Some(Crash::Reordered))];
    prop_oneof![
        8 => prop_oneof![0..40usize, 0..2_000usize].prop_map(Step::Append),
        6 => Just(Step::Sync),
        1 => Just(Step::Finish),
        1 => Just(Step::Roll),
        2 => (0..12usize).prop_map(Step::Trim),
        2 => (0..12usize).prop_map(Step::Read),
        1 => Just(Step::Kill),
        2 => way.prop_map(Step::Crash),
        1 => (1..4u64).prop_map(Step::FailSync),
        1 => (1..4u64).prop_map(Step::FailWrite),
        2 => (0..12u64).prop_map(Step::CutPower),
        1 => (0..3_000u64).prop_map(Step::Fill),
    ]
}

/// What must hold, in terms dull enough to be right.
#[derive(Default)]
struct Model {
    /// Every record that may exist, by number; trimmed ones stay.
    records: Records,
    /// That many of them were reported as durable.
    durable: usize,
    /// Records in segments before this one may be gone.
    trimmed: u64,
}

impl Model {
    /// Compares with what was found on the disk, which is durable from here on.
    fn check(&mut self, opened: &Opened, found: &Records) {
        let first = opened.first_record as usize;
        let end = first + found.len();
        assert!(end >= self.durable, "{} records were durable, {end} came back", self.durable);
        assert!(end <= self.records.len(), "{end} records came back, {} were appended", self.records.len());
        assert_eq!(self.records[first..end], found[..], "from record {first} on");
        let lost = self.records[..first].iter().find(|(at, _)| at.segment >= self.trimmed);
        assert!(lost.is_none(), "{lost:?} was not to be trimmed");
        self.records.truncate(end);
        self.durable = end;
    }

    fn counted_from_the_end(&self, n: usize) -> Option<&(Position, Vec<u8>)> {
        self.records.iter().nth_back(n)
    }
}

struct World {
    disk: SimStorage,
    segment_bytes: u64,
    journal: Journal,
    model: Model,
}

impl World {
    fn new(seed: u64, segment_bytes: u64) -> Self {
        let disk = SimStorage::new(seed);
        let (journal, ..) = open(&disk, &options(segment_bytes)).unwrap();
        Self { disk, segment_bytes, journal, model: Model::default() }
    }

    fn reopen(&mut self) {
        let (journal, opened, found) = match open(&self.disk, &options(self.segment_bytes)) {
            Err(JournalError::Io { .. }) => {
                // A fault that was waiting has hit. After a crash none is.
                self.disk.crash();
                open(&self.disk, &options(self.segment_bytes)).unwrap()
            }
            opened => opened.unwrap(),
        };
        self.journal = journal;
        self.check_lengths(true);
        self.model.check(&opened, &found);
        assert_eq!(self.journal.records() as usize, self.model.records.len());
    }

    /// Files are as long as their records, but for the last one, which may have room, up to what a segment may have.
    fn check_lengths(&self, exact: bool) {
        let Position { segment, offset } = self.journal.position();
        // It is made with its first record.
        let Some(last) = self.disk.list("").ok().and_then(|mut files| files.pop()) else { return };
        if last.name == file(segment) {
            let most = if exact { offset } else { offset.max(self.segment_bytes).min(offset + (1 << 20)) };
            assert!((offset..=most).contains(&last.len), "{} is not within {offset}..={most}", last.len);
        }
    }

    fn crash(&mut self, way: Option<Crash>) {
        match way {
            Some(way) => self.disk.crash_as(way),
            None => drop(self.disk.crash()),
        }
        self.disk.set_capacity(None);
        self.reopen();
    }

    /// What a call said. After a failure of the disk nothing but opening it anew helps.
    fn said<T>(&mut self, outcome: Result<T, JournalError>) -> Option<T> {
        match outcome {
            Ok(value) => return Some(value),
            Err(JournalError::Io { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        if self.model.records.len().is_multiple_of(2) {
            self.reopen()
        } else {
            self.crash(None)
        }
        None
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Append(len) => {
                let number = self.model.records.len();
                let record: Vec<u8> = (0..len).map(|n| (number * 31 + n / 7) as u8).collect();
                let appended = self.journal.append(&record);
                if let Some(at) = self.said(appended) {
                    self.model.records.push((at, record));
                }
            }
            Step::Sync => self.sync(false),
            Step::Finish => self.sync(true),
            Step::Roll => self.journal.roll().unwrap(),
            Step::Trim(n) => {
                let keep = self.model.counted_from_the_end(n).map_or(self.journal.position(), |(at, _)| *at);
                self.model.trimmed = self.model.trimmed.max(keep.segment);
                let trimmed = self.journal.trim_before(keep);
                self.said(trimmed);
            }
            Step::Read(n) => {
                let Some((at, record)) = self.model.counted_from_the_end(n).cloned() else { return };
                match self.journal.read(at) {
                    Err(JournalError::NoRecord { .. }) => assert!(at.segment < self.model.trimmed),
                    read => drop(self.said(read).inspect(|read| assert_eq!(*read, record))),
                }
            }
            Step::Kill => self.reopen(),
            Step::Crash(way) => self.crash(way),
            Step::FailSync(nth) => self.disk.fail_sync(nth),
            Step::FailWrite(nth) => self.disk.fail_write(nth),
            Step::CutPower(changes) => self.disk.cut_power_after(changes),
            Step::Fill(left) => {
                let used: u64 = self.disk.list("").map_or(0, |entries| entries.iter().map(|entry| entry.len).sum());
                self.disk.set_capacity(Some(used + left));
            }
        }
    }

    fn sync(&mut self, finish: bool) {
        let count = self.model.records.len();
        let synced = if finish { self.journal.finish() } else { self.journal.sync() };
        if let Err(cause) = &synced {
            let JournalError::Poisoned(text) = self.journal.append(b"x").unwrap_err() else { panic!("not poisoned") };
            assert_eq!(text, cause.to_string());
        } else {
            self.model.durable = count;
            self.check_lengths(finish);
        }
        self.said(synced);
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn whatever_happens_to_the_disk_what_was_durable_comes_back(
        seed: u64,
        segment_bytes in prop_oneof![Just(0u64), 100..3_000u64, Just(1u64 << 20)],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(seed, segment_bytes);
        for step in &steps {
            world.take(step);
        }
        world.crash(None);
        world.crash(Some(Crash::Lost));
    }

    #[test]
    fn a_flipped_bit_is_refused_by_name_or_cut_where_nothing_was_synced_later(
        segment_bytes in 100..2_000u64,
        groups in prop::collection::vec(prop::collection::vec(0..300usize, 1..5), 1..8),
        trim in 0..4usize,
        finish: bool,
        place: prop::sample::Index,
        bit in 0..8u32,
    ) {
        flip(segment_bytes, &groups, trim, finish, place, bit);
    }
}

/// A journal whose records were synced in groups, with one bit flipped somewhere.
fn flip(segment_bytes: u64, groups: &[Vec<usize>], trim: usize, finish: bool, place: prop::sample::Index, bit: u32) {
    let disk = SimStorage::new(1);
    let (mut journal, ..) = open(&disk, &options(segment_bytes)).unwrap();
    let mut records = Records::new();
    // For each record: how far its segment was durable when it was appended.
    let mut claims: BTreeMap<Position, u64> = BTreeMap::new();
    let mut durable = Position::default();
    for len in groups {
        for len in len {
            let at = journal.append(&vec![7; *len]).unwrap();
            records.push((at, vec![7; *len]));
            claims.insert(at, if durable.segment == at.segment { durable.offset } else { 0 });
        }
        journal.sync().unwrap();
        durable = journal.position();
    }
    if let Some((at, _)) = records.get(records.len().saturating_sub(trim)).cloned() {
        journal.trim_before(at).unwrap();
        records.retain(|(kept, _)| kept.segment >= at.segment);
    }
    if finish {
        journal.finish().unwrap();
    }
    drop(journal);

    let entries = disk.list("").unwrap();
    let mut offset = place.index(entries.iter().map(|entry| entry.len as usize).sum()) as u64;
    let segments = records.first().unwrap().0.segment..=records.last().unwrap().0.segment;
    let (segment, entry) = segments
        .clone()
        .zip(&entries)
        .find(|(_, entry)| {
            let here = offset < entry.len;
            offset -= if here { 0 } else { entry.len };
            here
        })
        .unwrap();
    assert_eq!(entry.name, file(segment));
    disk.flip(&entry.name, offset, 1 << bit).unwrap();

    let hit = Position { segment, offset };
    // The header, the record that holds the bit, or the room behind the records.
    let begin = match claims.range(..=hit).next_back() {
        _ if hit >= durable => durable.offset,
        _ if offset < 32 => 0,
        holds => holds.unwrap().0.offset,
    };
    let behind = Position { segment, offset: begin + 1 };
    let shown = claims.range(behind..).any(|(at, claim)| at.segment == segment && *claim > begin);
    let last = segment == *segments.end();
    match open(&disk, &options(segment_bytes)) {
        Ok((_, opened, found)) => {
            assert!(last && !shown, "it was damaged behind what is known to be durable");
            let cut = opened.cut.unwrap();
            assert_eq!((cut.file, cut.offset), (disk.describe(&entry.name), begin));
            let kept: Records =
                records.into_iter().filter(|(at, _)| *at < Position { segment, offset: begin }).collect();
            assert_eq!(found, kept);
        }
        Err(JournalError::Version { file, .. }) => {
            assert_eq!(file, disk.describe(&entry.name));
            assert!((8..12).contains(&offset));
        }
        Err(JournalError::Corrupt { file, offset, why }) => {
            assert_eq!((file, offset), (disk.describe(&entry.name), begin), "{why}");
            assert!(!last || shown || (begin == 0 && segments.count() == 1), "{why}");
        }
        Err(other) => panic!("{other}"),
    }
}
