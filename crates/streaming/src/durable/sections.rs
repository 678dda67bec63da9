//! State files: sections of records, an index behind them, a footer.
//!
//! ```text
//! magic 8 · version u32 LE
//! payloads of the sections, one after the other            (their records: see `state`)
//! index, postcard: Index
//! index offset u64 LE · index length u32 LE · crc32 of the index u32 LE · magic 8
//! ```
//! The index holds a checksum of every payload. A file is complete when its footer is.
use super::frame::{u32_at, u64_at};
use crate::state::{Layout, Section};
use serde::{Deserialize, Serialize};
use std::{io, sync::Arc};
use winterbourne_base::{
    Time, failpoint,
    storage::{AppendFile, Storage},
};

const MAGIC: [u8; 8] = *b"WBSTATE\0";
const VERSION: u32 = 1;
const HEAD: u64 = 12;
const FOOTER: u64 = 24;
/// The largest index that is believed.
const MOST_INDEX: u32 = 256 << 20;

/// An operator in one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) id: String,
    pub(super) layout: Layout,
    /// How many partitions it had: the same key lies in another one where there are more or fewer.
    pub(super) partitions: u32,
    /// The file holds all of its records: what older files say of it does not count.
    pub(super) full: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slice {
    /// Index of the owner.
    pub(super) owner: u32,
    pub(super) partition: u32,
    pub(super) records: u32,
    offset: u64,
    pub(super) len: u32,
    crc: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    /// What ages count from.
    pub(super) time: Time,
    pub(super) owners: Vec<Owner>,
    pub(super) slices: Vec<Slice>,
}

/// A state file being written.
pub(super) struct Writer {
    file: Box<dyn AppendFile>,
    index: Index,
}
impl Writer {
    pub(super) fn create(storage: &dyn Storage, name: &str, time: Time, owners: Vec<Owner>) -> io::Result<Self> {
        // Of an attempt that failed.
        storage.delete(name)?;
        let mut file = storage.append(name)?;
        file.write(&[&MAGIC[..], &VERSION.to_le_bytes()].concat())?;
        Ok(Writer { file, index: Index { time, owners, slices: Vec::new() } })
    }
    pub(super) fn section(&mut self, owner: u32, section: &Section) -> io::Result<()> {
        let Section { partition, records, bytes } = section;
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let offset = self.file.len();
        self.file.write(bytes)?;
        failpoint::hit("state.section.written");
        let crc = crc32fast::hash(bytes);
        self.index.slices.push(Slice { owner, partition: *partition, records: *records, offset, len, crc });
        Ok(())
    }
    /// Completes the file and makes it durable. Its length.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        let index = postcard::to_allocvec(&self.index).map_err(io::Error::other)?;
        let offset = self.file.len();
        let mut tail = index;
        let (len, crc) = (u32::try_from(tail.len()).map_err(io::Error::other)?, crc32fast::hash(&tail));
        tail.extend(offset.to_le_bytes());
        tail.extend(len.to_le_bytes());
        tail.extend(crc.to_le_bytes());
        tail.extend(MAGIC);
        self.file.write(&tail)?;
        failpoint::hit("state.before_sync");
        if !failpoint::seeded("state.sync-skipped") {
            self.file.sync()?;
        }
        failpoint::hit("state.synced");
        Ok(self.file.len())
    }
}

/// A state file to read from, by any number of threads.
#[derive(Clone)]
pub(super) struct Reader {
    name: String,
    pub(super) index: Arc<Index>,
}
impl Reader {
    /// # Errors
    /// What is wrong with the file, with its path and the offset.
    pub(super) fn open(storage: &dyn Storage, name: &str) -> Result<Self, String> {
        let bad = |at: u64, why: String| format!("{} at offset {at}: {why}", storage.describe(name));
        let len = storage.len(name).map_err(|e| e.to_string())?;
        if len < HEAD + FOOTER {
            return Err(bad(len, "the file is too short to be a state file".into()));
        }
        let head = read(storage, name, 0, HEAD as usize).map_err(|e| bad(0, e))?;
        if head[..8] != MAGIC {
            return Err(bad(0, "this is no state file".into()));
        }
        if u32_at(&head, 8) != VERSION {
            return Err(bad(8, format!("format version {}; this build reads {VERSION}", u32_at(&head, 8))));
        }
        let footer = read(storage, name, len - FOOTER, FOOTER as usize).map_err(|e| bad(len - FOOTER, e))?;
        let (offset, index_len, crc) = (u64_at(&footer, 0), u32_at(&footer, 8), u32_at(&footer, 12));
        let fits = offset.checked_add(index_len.into()) == Some(len - FOOTER) && index_len <= MOST_INDEX;
        if footer[16..] != MAGIC || !fits {
            return Err(bad(len - FOOTER, "the footer is damaged or missing".into()));
        }
        let bytes = read(storage, name, offset, index_len as usize).map_err(|e| bad(offset, e))?;
        if crc32fast::hash(&bytes) != crc {
            return Err(bad(offset, "the checksum of the index does not match".into()));
        }
        let index: Index = postcard::from_bytes(&bytes).map_err(|e| bad(offset, format!("the index: {e}")))?;
        let inside = |s: &Slice| {
            let end = s.offset.checked_add(s.len.into());
            s.offset >= HEAD && end.is_some_and(|e| e <= offset) && (s.owner as usize) < index.owners.len()
        };
        match index.slices.iter().find(|s| !inside(s)) {
            Some(s) => Err(bad(s.offset, "a section lies outside of the file".into())),
            None => Ok(Reader { name: name.to_owned(), index: Arc::new(index) }),
        }
    }
    /// The version of this file, if a newer build wrote it: where version and footer stand is the same in every version.
    pub(super) fn newer(storage: &dyn Storage, name: &str) -> Option<u32> {
        let len = storage.len(name).ok().filter(|len| *len >= HEAD + FOOTER)?;
        let head = read(storage, name, 0, HEAD as usize).ok()?;
        let footer = read(storage, name, len - FOOTER, FOOTER as usize).ok()?;
        let is_whole = head[..8] == MAGIC && footer[16..] == MAGIC;
        Some(u32_at(&head, 8)).filter(|version| is_whole && *version > VERSION)
    }
    /// # Errors
    /// As `open`.
    pub(super) fn section(&self, storage: &dyn Storage, slice: &Slice) -> Result<Section, String> {
        let bad = |why: String| format!("{} at offset {}: {why}", storage.describe(&self.name), slice.offset);
        let bytes = read(storage, &self.name, slice.offset, slice.len as usize).map_err(bad)?;
        if crc32fast::hash(&bytes) != slice.crc {
            return Err(bad("the checksum of a section does not match".into()));
        }
        Ok(Section { partition: slice.partition, records: slice.records, bytes })
    }
    /// The number of an operator in this file.
    pub(super) fn owner(&self, id: &str) -> Option<u32> {
        self.index.owners.iter().position(|o| o.id == id).map(|i| i as u32)
    }
    pub(super) fn slices_of(&self, owner: u32) -> impl Iterator<Item = Slice> + '_ {
        self.index.slices.iter().copied().filter(move |s| s.owner == owner)
    }
}

fn read(storage: &dyn Storage, name: &str, offset: u64, len: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; len];
    let got = storage.read_at(name, offset, &mut bytes).map_err(|e| e.to_string())?;
    if got < len { Err(format!("{got} bytes where {len} should be")) } else { Ok(bytes) }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Schema;
    use winterbourne_base::storage::SimStorage;

    fn owner(id: &str, full: bool) -> Owner {
        let schema = Schema::Opaque("u64".into());
        let layout = Layout { key: schema.clone(), state: schema, key_type: "u64".into(), state_type: "u64".into() };
        Owner { id: id.into(), layout, partitions: 3, full }
    }
    fn written(disk: &SimStorage) -> u64 {
        let owners = vec![owner("counts", true)];
        let mut w = Writer::create(disk, "state/1", Time::from_millis(5), owners).unwrap();
        for p in 0..3u8 {
            let section = Section { partition: p.into(), records: 1, bytes: vec![p; 100] };
            w.section(0, &section).unwrap();
        }
        w.finish().unwrap()
    }
    /// All sections, or the first thing wrong.
    fn all(disk: &SimStorage) -> Result<Vec<Vec<u8>>, String> {
        let r = Reader::open(disk, "state/1")?;
        let slices: Vec<Slice> = r.slices_of(0).collect();
        slices.iter().map(|s| Ok(r.section(disk, s)?.bytes)).collect()
    }
    #[test]
    fn sections_come_back() {
        let disk = SimStorage::new(1);
        let len = written(&disk);
        assert_eq!(disk.len("state/1").unwrap(), len);
        assert_eq!(all(&disk), Ok(vec![vec![0; 100], vec![1; 100], vec![2; 100]]));
    }
    #[test]
    fn what_is_older_than_all_of_an_operator_does_not_count() {
        let disk = SimStorage::new(1);
        let file = |name: &str, owners: &[(&str, bool)]| {
            let owners = owners.iter().map(|(id, full)| owner(id, *full)).collect();
            Writer::create(&disk, name, Time::from_millis(5), owners).unwrap().finish().unwrap();
            Reader::open(&disk, name).unwrap()
        };
        let files = [
            file("state/1", &[("a", true), ("b", true)]),
            file("state/2", &[("a", false), ("b", false)]),
            file("state/3", &[("b", true)]),
            file("state/4", &[("c", true), ("b", false)]),
        ];
        let names = |id| sources(&files, id).into_iter().map(|(f, o)| (f.name.as_str(), o)).collect::<Vec<_>>();
        assert_eq!(names("a"), [("state/1", 0), ("state/2", 0)]);
        assert_eq!(names("b"), [("state/3", 0), ("state/4", 1)]);
        assert_eq!((names("c"), names("d")), (vec![("state/4", 0)], vec![]));
    }
    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed_with_its_place() {
        let disk = SimStorage::new(1);
        let len = written(&disk);
        let whole = disk.read("state/1").unwrap();
        for at in 0..len as usize {
            let mut bad = whole.clone();
            bad[at] ^= 0x10;
            disk.publish("state/1", &bad).unwrap();
            let why = all(&disk).unwrap_err();
            assert!(why.contains("state/1") && why.contains("offset"), "{at}: {why}");
            disk.publish("state/1", &whole[..at]).unwrap();
            all(&disk).unwrap_err();
        }
    }
}
