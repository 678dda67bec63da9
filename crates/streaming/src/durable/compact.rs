//! Compaction: many state files into one that says the same, partition by partition, without knowing a type.
use super::{
    manifest::FileRef,
    sections::{Owner, Reader, Slice, Writer},
};
use crate::state::Section;
use std::collections::HashSet;
use winterbourne_base::{Time, storage::Storage};
use winterbourne_engine::hash::FixedState;

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

/// One partition of one operator: the newest file first, so that the first word on a key counts. No file has two, and of
/// the oldest, which is the largest, no key need be remembered.
fn merge(
    storage: &dyn Storage,
    from: &[(&Reader, u32)],
    partition: u32,
    time: Time,
    out: &mut dyn FnMut(&Section) -> Result<(), String>,
) -> Result<(), String> {
    let Some(((oldest, oldest_owner), newer)) = from.split_first() else { return Ok(()) };
    let slices =
        |f: &Reader, owner: u32| -> Vec<Slice> { f.slices_of(owner).filter(|s| s.partition == partition).collect() };
    // What is older in its file is older by so much in the new one.
    let behind = |f: &Reader| (time - f.index.time).as_millis();
    let mut changes: Vec<(Section, u64)> = Vec::new();
    for (f, owner) in newer.iter().rev() {
        for s in slices(f, *owner) {
            changes.push((f.section(storage, &s)?, behind(f)));
        }
    }
    let most = changes.iter().map(|(s, _)| s.records as usize).sum();
    let mut told: HashSet<&[u8], FixedState> = HashSet::with_capacity_and_hasher(most, FixedState);
    let mut merged = Merged { section: Section { partition, records: 0, bytes: Vec::new() }, out };
    for (section, behind) in &changes {
        each(section, |key, value| if told.insert(key) { merged.put(key, value, *behind) } else { Ok(()) })?;
    }
    for s in slices(oldest, *oldest_owner) {
        let section = oldest.section(storage, &s)?;
        let behind = behind(oldest);
        each(&section, |key, value| if told.contains(key) { Ok(()) } else { merged.put(key, value, behind) })?;
    }
    merged.finish()
}

/// What was merged so far and is not written.
struct Merged<'a> {
    section: Section,
    out: &'a mut dyn FnMut(&Section) -> Result<(), String>,
}
impl Merged<'_> {
    /// A removal has done its work once what it removes is left out.
    fn put(&mut self, key: &[u8], value: Option<&[u8]>, behind: u64) -> Result<(), String> {
        let Some(mut state) = value else { return Ok(()) };
        let age = behind + varint(&mut state).ok_or("a record of a state file has no age")?;
        let bytes = &mut self.section.bytes;
        put(bytes, key.len() as u64);
        bytes.extend_from_slice(key);
        put(bytes, (varint_len(age) + state.len()) as u64 + 1);
        put(bytes, age);
        bytes.extend_from_slice(state);
        self.section.records += 1;
        if bytes.len() >= SECTION {
            self.write()?;
        }
        Ok(())
    }
    fn write(&mut self) -> Result<(), String> {
        (self.out)(&self.section)?;
        self.section.records = 0;
        self.section.bytes.clear();
        Ok(())
    }
    fn finish(mut self) -> Result<(), String> {
        if self.section.records > 0 { self.write() } else { Ok(()) }
    }
}

/// All records of a section.
fn each<'a>(
    section: &'a Section,
    mut f: impl FnMut(&'a [u8], Option<&'a [u8]>) -> Result<(), String>,
) -> Result<(), String> {
    let mut rest = &section.bytes[..];
    for _ in 0..section.records {
        let (key, value) = record(&mut rest).ok_or("a record of a state file runs over its section")?;
        f(key, value)?;
    }
    Ok(())
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
