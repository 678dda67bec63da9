//! Compaction: many state files into one that says the same, partition by partition, without knowing a type.
use super::{
    manifest::FileRef,
    sections::{Owner, Reader, Slice, Writer},
};
use crate::state::Section;
use std::collections::{HashMap, hash_map::Entry};
use winterbourne_base::{Time, storage::Storage};

/// As in the sections that operators write.
const SECTION: usize = 4 << 20;

/// Where the records of one operator lie: from the last file that holds all of it on.
pub(super) fn sources<'a>(files: &'a [Reader], id: &str) -> Vec<(&'a Reader, u32)> {
    let mut out = Vec::new();
    for f in files {
        let Some(owner) = f.owner(id) else { continue };
        if f.index.owners[owner as usize].full {
            out.clear();
        }
        out.push((f, owner));
    }
    out
}

/// Writes what `files` say of the operators `ids` into the new file `name`. `None` if they cannot be merged as bytes: a
/// layout, or the number of partitions, changed on the way.
///
/// # Errors
/// Which file cannot be read or written, and why.
pub(super) fn compact(
    storage: &dyn Storage,
    files: &[Reader],
    ids: &[String],
    name: &str,
) -> Result<Option<FileRef>, String> {
    let time = files.iter().map(|f| f.index.time).max().unwrap_or_default();
    let (mut owners, mut all) = (Vec::new(), Vec::new());
    for id in ids {
        let from = sources(files, id);
        let Some((last, owner)) = from.last() else { continue };
        let newest = last.index.owners[*owner as usize].clone();
        let fits = |o: &Owner| o.layout == newest.layout && o.partitions == newest.partitions;
        if !from.iter().all(|(f, o)| fits(&f.index.owners[*o as usize])) {
            return Ok(None);
        }
        owners.push(Owner { full: true, ..newest });
        all.push(from);
    }
    let failed = |e: std::io::Error| e.to_string();
    let mut out = Writer::create(storage, name, time, owners).map_err(failed)?;
    for (owner, from) in all.iter().enumerate() {
        let slices = |(f, o): &(&Reader, u32)| f.slices_of(*o).map(|s| s.partition).collect::<Vec<_>>();
        let mut partitions: Vec<u32> = from.iter().flat_map(slices).collect();
        partitions.sort_unstable();
        partitions.dedup();
        for p in partitions {
            merge(storage, from, p, time, &mut |s| out.section(owner as u32, s).map_err(failed))?;
        }
    }
    let len = out.finish().map_err(failed)?;
    Ok(Some(FileRef { name: name.to_owned(), len }))
}

/// One partition of one operator.
fn merge(
    storage: &dyn Storage,
    from: &[(&Reader, u32)],
    partition: u32,
    time: Time,
    out: &mut dyn FnMut(&Section) -> Result<(), String>,
) -> Result<(), String> {
    let mut blocks: Vec<(Section, u64)> = Vec::new();
    for (f, owner) in from {
        let mine: Vec<Slice> = f.slices_of(*owner).filter(|s| s.partition == partition).collect();
        // What is older in this file is older by so much in the new one.
        let behind = (time - f.index.time).as_millis();
        for s in mine {
            blocks.push((f.section(storage, &s)?, behind));
        }
    }
    // The last word on a key counts; keys stay in the order in which they were first said.
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut newest: Vec<(&[u8], Option<(u64, &[u8])>)> = Vec::new();
    for (section, behind) in &blocks {
        let mut rest = &section.bytes[..];
        for _ in 0..section.records {
            let (key, value) = record(&mut rest).ok_or("a record of a state file runs over its section")?;
            let value = match value {
                None => None,
                Some(mut v) => {
                    let age = varint(&mut v).ok_or("a record of a state file has no age")?;
                    Some((age + behind, v))
                }
            };
            match places.entry(key) {
                Entry::Occupied(place) => newest[*place.get()].1 = value,
                Entry::Vacant(place) => {
                    place.insert(newest.len());
                    newest.push((key, value));
                }
            }
        }
    }
    let mut section = Section { partition, records: 0, bytes: Vec::new() };
    for (key, value) in newest {
        let Some((age, state)) = value else { continue };
        put(&mut section.bytes, key.len() as u64);
        section.bytes.extend(key);
        put(&mut section.bytes, (varint_len(age) + state.len()) as u64 + 1);
        put(&mut section.bytes, age);
        section.bytes.extend(state);
        section.records += 1;
        if section.bytes.len() >= SECTION {
            out(&section)?;
            (section.records, section.bytes) = (0, Vec::new());
        }
    }
    if section.records > 0 { out(&section) } else { Ok(()) }
}

/// Key and value of the next record; a value of none is a removal.
fn record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let len = usize::try_from(varint(rest)?).ok()?;
    let key = rest.split_off(..len)?;
    let n = usize::try_from(varint(rest)?).ok()?;
    if n == 0 {
        return Some((key, None));
    }
    Some((key, Some(rest.split_off(..n - 1)?)))
}
/// LEB128, as postcard writes it.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Layout, Schema};
    use std::collections::BTreeMap;
    use winterbourne_base::storage::SimStorage;

    fn owner(state: &str, full: bool) -> Owner {
        let schema = Schema::Opaque(state.into());
        let layout = Layout { key: schema.clone(), state: schema, key_type: state.into(), state_type: state.into() };
        Owner { id: "counts".into(), layout, partitions: 1, full }
    }
    type Words<'a> = &'a [(&'a str, Option<(u64, u8)>)];
    fn file(disk: &SimStorage, name: &str, time: u64, owner: Owner, words: Words<'_>) -> Reader {
        let mut section = Section { partition: 0, records: words.len() as u32, bytes: vec![] };
        for (k, v) in words {
            put(&mut section.bytes, k.len() as u64);
            section.bytes.extend(k.as_bytes());
            match v {
                None => put(&mut section.bytes, 0),
                Some((age, v)) => {
                    put(&mut section.bytes, varint_len(*age) as u64 + 2);
                    put(&mut section.bytes, *age);
                    section.bytes.push(*v);
                }
            }
        }
        let mut w = Writer::create(disk, name, Time::from_millis(time), vec![owner]).unwrap();
        w.section(0, &section).unwrap();
        w.finish().unwrap();
        Reader::open(disk, name).unwrap()
    }
    fn content(disk: &SimStorage, name: &str) -> BTreeMap<String, (u64, u8)> {
        let r = Reader::open(disk, name).unwrap();
        let mut out = BTreeMap::new();
        for s in r.slices_of(0) {
            let section = r.section(disk, &s).unwrap();
            let mut rest = &section.bytes[..];
            for _ in 0..section.records {
                let (k, v) = record(&mut rest).unwrap();
                let mut v = v.unwrap();
                let age = varint(&mut v).unwrap();
                out.insert(String::from_utf8(k.to_vec()).unwrap(), (age, v[0]));
            }
        }
        out
    }
    #[test]
    fn the_last_word_on_a_key_counts_and_ages_grow() {
        let disk = SimStorage::new(1);
        let files = [
            file(
                &disk,
                "state/a",
                1000,
                owner("u8", true),
                &[("x", Some((0, 1))), ("y", Some((300, 2))), ("z", Some((0, 3)))],
            ),
            file(&disk, "state/b", 2000, owner("u8", false), &[("x", Some((0, 9))), ("z", None)]),
        ];
        let made = compact(&disk, &files, &["counts".into()], "state/c").unwrap().unwrap();
        assert_eq!(made.len, disk.len("state/c").unwrap());
        let want = [("x".to_owned(), (0, 9)), ("y".to_owned(), (1300, 2))];
        assert_eq!(content(&disk, "state/c"), BTreeMap::from(want));
    }
    #[test]
    fn a_full_file_overrules_what_came_before() {
        let disk = SimStorage::new(1);
        let files = [
            file(&disk, "state/a", 1000, owner("u8", true), &[("x", Some((0, 1)))]),
            file(&disk, "state/b", 2000, owner("u8", true), &[("y", Some((0, 2)))]),
        ];
        compact(&disk, &files, &["counts".into()], "state/c").unwrap().unwrap();
        assert_eq!(content(&disk, "state/c"), BTreeMap::from([("y".to_owned(), (0, 2))]));
    }
    #[test]
    fn layouts_are_not_mixed_and_other_operators_left_out() {
        let disk = SimStorage::new(1);
        let files = [
            file(&disk, "state/a", 1000, owner("u8", true), &[("x", Some((0, 1)))]),
            file(&disk, "state/b", 2000, owner("u16", false), &[("y", Some((0, 2)))]),
        ];
        assert_eq!(compact(&disk, &files, &["counts".into()], "state/c"), Ok(None));
        assert!(compact(&disk, &files, &[], "state/c").unwrap().is_some());
        assert!(Reader::open(&disk, "state/c").unwrap().index.slices.is_empty());
    }
    #[test]
    fn varints_are_postcards() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut ours = Vec::new();
            put(&mut ours, n);
            assert_eq!(ours, postcard::to_allocvec(&n).unwrap());
            assert_eq!((varint(&mut &ours[..]), ours.len()), (Some(n), varint_len(n)));
        }
    }
}
