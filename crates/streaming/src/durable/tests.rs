//! Bytes that were damaged, or made up, are refused or passed over: nothing panics, nothing is believed about its size.
use super::{
    compare::{Operator, Role},
    frame,
    log::{self, Head, Record},
    manifest::{FileRef, InputMark, Manifest},
    sections::{Owner, Reader, Slice, Writer},
};
use crate::{
    batch::{BatchDone, BatchEntry, BatchPlan, InputPlan, StateChange},
    state::{Layout, Schema, Section},
};
use proptest::prelude::*;
use winterbourne_base::{
    Time,
    journal::Position,
    storage::{SimStorage, Storage},
};

/// What happens to bytes on a disk.
#[derive(Clone, Debug)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Append(Vec<u8>),
    /// Overwrites some with others, as a block that was not written does.
    Over(prop::sample::Index, Vec<u8>),
    /// A length that leads far away, in any of the ways numbers are written.
    Huge(prop::sample::Index),
}
fn harm() -> impl Strategy<Value = Harm> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 1..=255u8).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        index().prop_map(Harm::Cut),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Harm::Append),
        (index(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, with)| Harm::Over(at, with)),
        index().prop_map(Harm::Huge),
    ]
}
impl Harm {
    fn to(&self, bytes: &mut Vec<u8>) {
        let over = |bytes: &mut Vec<u8>, at: usize, with: &[u8]| {
            let end = bytes.len().min(at + with.len());
            bytes[at..end].copy_from_slice(&with[..end - at]);
        };
        match self {
            _ if bytes.is_empty() => {}
            Harm::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Harm::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Harm::Append(more) => bytes.extend(more),
            Harm::Over(at, with) => over(bytes, at.index(bytes.len()), with),
            Harm::Huge(at) => {
                over(bytes, at.index(bytes.len()), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])
            }
        }
    }
}
/// Whether what came out is of a size that what went in can account for: no length is believed that bytes do not back.
fn is_modest(kept: usize, bytes: usize) -> bool {
    kept <= bytes * 64 + 4096
}

fn layout() -> Layout {
    let schema = |name: &str| Schema::Opaque(name.into());
    Layout {
        key: schema("k"),
        state: Schema::of::<(u64, Option<String>)>(),
        key_type: "K".into(),
        state_type: "S".into(),
    }
}
fn operators() -> Vec<Operator> {
    let role = |i| [Role::Input, Role::State, Role::Output][i % 3];
    let op = |i: usize| Operator { id: format!("op-{i}"), kind: "op".into(), role: role(i), layout: Some(layout()) };
    (0..5).map(op).collect()
}
fn manifest() -> Manifest {
    Manifest {
        sequence: 9,
        time: Time::from_millis(9_000),
        planned: Time::from_millis(10_000),
        open: vec![Time::from_millis(4_000); 3],
        application: "application".into(),
        build: 7,
        interval: 1000,
        zero: Time::from_millis(1_000),
        receipt: 0x1234_5678_9abc,
        replay_from: Position { segment: 1, offset: 32 },
        files: vec![FileRef { name: "state/1".into(), len: 512 }; 4],
        operators: operators(),
        inputs: vec![InputMark { id: "op-0".into(), saved: Some(vec![1; 40]), last: None }; 2],
        accumulators: vec![("records".into(), vec![4; 8])],
    }
}
fn records() -> Vec<Record> {
    let time = Time::from_millis(5_000);
    let plan = InputPlan { input: "op-0".into(), records: Some(3), description: "three".into(), plan: vec![7; 9] };
    let change = StateChange { operator: "op-1".into(), keys: 10, changed: 3, removed: 1 };
    let operators = operators();
    vec![
        Record::Head(Head { application: "application".into(), build: 7, interval: 1000, zero: time, operators }),
        Record::Entry(BatchEntry::Planned(BatchPlan { time, coalesced: 0, seed: 3, inputs: vec![plan; 3] })),
        Record::Entry(BatchEntry::Completed(BatchDone {
            time,
            sequence: 9,
            outputs: vec!["op-2".into(); 3],
            set_aside: Some("why".into()),
            records: 3,
            processing_us: 100,
            states: vec![change; 2],
            accumulators: vec![("records".into(), vec![4; 8])],
            receipt: 1,
        })),
    ]
}
fn state_file(disk: &SimStorage, name: &str) -> Vec<u8> {
    let owner = |i| Owner { id: format!("op-{i}"), layout: layout(), partitions: 4, full: true };
    let mut w = Writer::create(disk, name, Time::from_millis(9_000), vec![owner(0), owner(1)]).unwrap();
    for p in 0..4u32 {
        // Keys of one byte, states of two: an age of 5, and the partition.
        let bytes: Vec<u8> = (0..10u8).flat_map(|k| [1, k, 3, 5, p as u8]).collect();
        w.section(p % 2, &Section { partition: p, records: 10, bytes }).unwrap();
    }
    w.finish().unwrap();
    disk.read(name).unwrap()
}

proptest! {
    #[test]
    fn a_damaged_manifest_is_none(harms in prop::collection::vec(harm(), 1..4)) {
        let whole = manifest().encode().unwrap();
        let mut bytes = whole.clone();
        harms.iter().for_each(|h| h.to(&mut bytes));
        let disk = SimStorage::new(1);
        disk.publish(&Manifest::name(9), &bytes).unwrap();
        let all = Manifest::all(&disk).unwrap();
        prop_assert_eq!(all.len(), 1);
        prop_assert!(all[0].1.is_err() || bytes == whole);
    }
    /// A checksum may be right by chance, or by somebody's will.
    #[test]
    fn a_manifest_of_any_bytes_with_a_good_checksum_is_decoded_or_refused(
        harms in prop::collection::vec(harm(), 0..4),
        made_up in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
    ) {
        let whole = manifest().encode().unwrap();
        let mut body = made_up.unwrap_or_else(|| whole[16..].to_vec());
        harms.iter().for_each(|h| h.to(&mut body));
        let bytes = [&whole[..12], &crc32fast::hash(&body).to_le_bytes(), &body].concat();
        let disk = SimStorage::new(1);
        disk.publish(&Manifest::name(9), &bytes).unwrap();
        for (_, found) in Manifest::all(&disk).unwrap() {
            if let Ok(m) = found {
                let kept = m.open.capacity() * 8 + (m.files.capacity() + m.operators.capacity() + m.inputs.capacity()) * 32;
                prop_assert!(is_modest(kept, bytes.len()), "{} bytes became {} or more", bytes.len(), kept);
                // What a hostile layout says is looked at only if its index fits.
                m.operators.iter().for_each(|o| drop(format!("{o:?}")));
            }
        }
    }
    #[test]
    fn records_of_any_bytes_are_decoded_or_refused(
        which in 0..3usize,
        harms in prop::collection::vec(harm(), 0..4),
        made_up in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
    ) {
        let whole = log::encode(&records()[which]).unwrap();
        let mut bytes = made_up.unwrap_or_else(|| whole.clone());
        harms.iter().for_each(|h| h.to(&mut bytes));
        match log::decode(&bytes) {
            Ok(Record::Entry(BatchEntry::Planned(p))) => prop_assert!(is_modest(p.inputs.capacity() * 80, bytes.len())),
            Ok(Record::Entry(BatchEntry::Completed(d))) => {
                prop_assert!(is_modest((d.states.capacity() + d.outputs.capacity()) * 48, bytes.len()));
            }
            Ok(Record::Head(h)) => prop_assert!(is_modest(h.operators.capacity() * 32, bytes.len())),
            Err(why) => prop_assert!(!why.is_empty()),
        }
    }
    #[test]
    fn a_damaged_state_file_is_noticed_or_says_what_it_said(harms in prop::collection::vec(harm(), 1..4)) {
        let disk = SimStorage::new(1);
        let whole = state_file(&disk, "state/1");
        let sections = |bytes: &[u8]| -> Result<Vec<(u32, Vec<u8>)>, String> {
            disk.publish("state/1", bytes).unwrap();
            let file = Reader::open(&disk, "state/1")?;
            let slices: Vec<Slice> = (0..2).flat_map(|o| file.slices_of(o)).collect();
            slices.iter().map(|s| file.section(&disk, s).map(|got| (got.partition, got.bytes))).collect()
        };
        let expected = sections(&whole).unwrap();
        let mut bytes = whole;
        harms.iter().for_each(|h| h.to(&mut bytes));
        match sections(&bytes) {
            Ok(got) => prop_assert_eq!(got, expected),
            Err(why) => prop_assert!(why.contains("state/1"), "{}", why),
        }
    }
    /// The index has a good checksum, and says anything.
    #[test]
    fn a_state_file_with_any_index_is_read_within_its_bounds_or_refused(
        harms in prop::collection::vec(harm(), 0..4),
        made_up in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
    ) {
        let disk = SimStorage::new(1);
        let whole = state_file(&disk, "state/1");
        let footer = whole.len() - 24;
        let offset = frame::u64_at(&whole, footer) as usize;
        let mut index = made_up.unwrap_or_else(|| whole[offset..footer].to_vec());
        harms.iter().for_each(|h| h.to(&mut index));
        let mut bytes = [&whole[..offset], &index].concat();
        bytes.extend((offset as u64).to_le_bytes());
        bytes.extend((index.len() as u32).to_le_bytes());
        bytes.extend(crc32fast::hash(&index).to_le_bytes());
        bytes.extend(&whole[footer + 16..]);
        disk.publish("state/1", &bytes).unwrap();
        let Ok(file) = Reader::open(&disk, "state/1") else { return Ok(()) };
        let owners = file.index.owners.len() as u32;
        for slice in (0..owners).flat_map(|o| file.slices_of(o)) {
            prop_assert!(slice.len as usize <= bytes.len());
            let _ = file.section(&disk, &slice);
        }
    }
}
