//! The state of a simulated disk: contents, names, and when to fail. Refuses to check names; its handle did.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};

use super::Crash;
use super::content::Content;
use super::dice::Dice;
use crate::storage::Entry;
use crate::storage::name::UNFINISHED;

#[derive(Debug)]
pub(super) struct Disk {
    dice: Dice,
    files: BTreeMap<u64, Content>,
    /// What a name means now, and what it would mean after a crash.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    next_file: u64,
    /// Counts crashes; a file that was opened before the last one is closed.
    pub(super) epoch: u64,
    pub(super) capacity: Option<u64>,
    /// How many more changes, writes and syncs until one fails.
    pub(super) power: Option<u64>,
    pub(super) fail_write: Option<u64>,
    pub(super) fail_sync: Option<u64>,
    pub(super) changes: u64,
    pub(super) writes: u64,
    pub(super) syncs: u64,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            next_file: 0,
            epoch: 0,
            capacity: None,
            power: None,
            fail_write: None,
            fail_sync: None,
            changes: 0,
            writes: 0,
            syncs: 0,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<&[u8]> {
        self.powered()?;
        let content = self.names.get(name).and_then(|file| self.files.get(file)).ok_or_else(|| absent(name))?;
        Ok(content.seen())
    }

    pub(super) fn len(&self, name: &str) -> io::Result<u64> {
        self.read(name).map(|bytes| bytes.len() as u64)
    }

    pub(super) fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        self.powered()?;
        let inside = |name: &str| dir.is_empty() || name.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        let finished = |name: &str| !name.split('/').any(|part| part.starts_with(UNFINISHED));
        let names = self.names.keys().filter(|name| inside(name) && finished(name));
        names.map(|name| Ok(Entry { name: name.clone(), len: self.len(name)? })).collect()
    }

    pub(super) fn free(&self) -> io::Result<Option<u64>> {
        self.powered()?;
        Ok(self.room())
    }

    fn room(&self) -> Option<u64> {
        let contents = self.names.values().filter_map(|file| self.files.get(file));
        let used: u64 = contents.map(|content| content.written() as u64).sum();
        self.capacity.map(|capacity| capacity.saturating_sub(used))
    }

    /// The file called `name`, made if absent.
    pub(super) fn open(&mut self, name: &str) -> io::Result<u64> {
        self.powered()?;
        let file = match self.names.get(name).copied() {
            Some(file) => {
                self.sync(file, name)?;
                self.files.get_mut(&file).ok_or_else(|| absent(name))?.forget_seen();
                file
            }
            None => self.create(name)?,
        };
        self.sync_names(name)?;
        Ok(file)
    }

    fn create(&mut self, name: &str) -> io::Result<u64> {
        self.change()?;
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(file, Content::default());
        self.names.insert(name.to_owned(), file);
        Ok(file)
    }

    pub(super) fn write(&mut self, file: u64, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.change()?;
        self.writes += 1;
        let room = self.room().map_or(usize::MAX, |free| usize::try_from(free).unwrap_or(usize::MAX));
        let failing = due(&mut self.fail_write);
        let part = if failing { self.dice.up_to(bytes.len()) } else { bytes.len() };
        let content = self.files.get_mut(&file).ok_or_else(|| absent(name))?;
        content.append(&bytes[..part.min(room)]);
        if failing {
            Err(io::Error::other(format!("sim:{name}: this write was to fail")))
        } else if room < bytes.len() {
            Err(io::Error::new(ErrorKind::StorageFull, format!("sim:{name}: the disk is full")))
        } else {
            Ok(())
        }
    }

    /// A longer file, with zeros. One that fails may be longer than before.
    pub(super) fn reserve(&mut self, file: u64, name: &str, to: u64) -> io::Result<()> {
        self.change()?;
        self.writes += 1;
        let failing = due(&mut self.fail_write);
        let content = self.files.get_mut(&file).ok_or_else(|| absent(name))?;
        let to = usize::try_from(to).map_err(io::Error::other)?;
        let missing = to.saturating_sub(content.seen().len());
        content.reserve(if failing { to - missing + self.dice.up_to(missing) } else { to });
        if failing { Err(io::Error::other(format!("sim:{name}: this write was to fail"))) } else { Ok(()) }
    }

    /// Cuts off what is only reserved, and syncs.
    pub(super) fn seal(&mut self, file: u64, name: &str) -> io::Result<()> {
        self.change()?;
        self.files.get_mut(&file).ok_or_else(|| absent(name))?.give_back();
        self.sync(file, name)
    }

    pub(super) fn sync(&mut self, file: u64, name: &str) -> io::Result<()> {
        self.change()?;
        self.syncs += 1;
        let failing = due(&mut self.fail_sync);
        let content = self.files.get_mut(&file).ok_or_else(|| absent(name))?;
        if failing {
            content.give_up();
            return Err(io::Error::other(format!("sim:{name}: this sync was to fail")));
        }
        content.sync(&mut self.dice);
        Ok(())
    }

    /// Makes durable which names there are in the directory of `name`.
    pub(super) fn sync_names(&mut self, name: &str) -> io::Result<()> {
        self.change()?;
        self.syncs += 1;
        if due(&mut self.fail_sync) {
            return Err(io::Error::other(format!("sim:{name}: the sync of its directory was to fail")));
        }
        let dir = dir_of(name);
        self.durable_names.retain(|other, _| dir_of(other) != dir);
        let here = self.names.iter().filter(|(other, _)| dir_of(other) == dir);
        self.durable_names.extend(here.map(|(other, file)| (other.clone(), *file)));
        self.forget_nameless();
        Ok(())
    }

    pub(super) fn publish(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let dir = dir_of(name).map_or_else(String::new, |dir| format!("{dir}/"));
        let aside = format!("{dir}{UNFINISHED}{}", self.next_file);
        let file = self.create(&aside)?;
        let written = self.write(file, name, bytes).and_then(|()| self.sync(file, name));
        if let Err(error) = written {
            if self.power != Some(0) {
                self.names.remove(&aside);
            }
            return Err(error);
        }
        self.change()?;
        self.names.remove(&aside);
        self.names.insert(name.to_owned(), file);
        self.sync_names(name)
    }

    pub(super) fn delete(&mut self, name: &str) -> io::Result<()> {
        self.powered()?;
        if !self.has(name) {
            return Ok(());
        }
        self.change()?;
        self.names.remove(name);
        self.sync_names(name)
    }

    pub(super) fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        let found = self.len(name)?;
        let file = *self.names.get(name).ok_or_else(|| absent(name))?;
        let to = usize::try_from(len)
            .ok()
            .filter(|_| len <= found)
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, format!("sim:{name}: it has only {found} bytes")))?;
        self.change()?;
        self.files.get_mut(&file).ok_or_else(|| absent(name))?.cut(to);
        self.sync(file, name)
    }

    pub(super) fn flip(&mut self, name: &str, offset: u64, mask: u8) -> io::Result<()> {
        let file = *self.names.get(name).ok_or_else(|| absent(name))?;
        let content = self.files.get_mut(&file).ok_or_else(|| absent(name))?;
        match usize::try_from(offset) {
            Ok(at) if content.flip(at, mask) => Ok(()),
            _ => Err(io::Error::new(ErrorKind::InvalidInput, format!("sim:{name}: there is no byte {offset}"))),
        }
    }

    pub(super) fn crash(&mut self, way: Option<Crash>) -> Crash {
        let way = way.unwrap_or_else(|| [Crash::Lost, Crash::Torn, Crash::Reordered][self.dice.up_to(2)]);
        let both: BTreeSet<String> = self.names.keys().chain(self.durable_names.keys()).cloned().collect();
        for name in both {
            let (now, durable) = (self.names.get(&name).copied(), self.durable_names.get(&name).copied());
            if now == durable || way != Crash::Lost && self.dice.coin() {
                continue;
            }
            match durable {
                Some(file) => self.names.insert(name, file),
                None => self.names.remove(&name),
            };
        }
        self.durable_names.clone_from(&self.names);
        self.forget_nameless();
        for content in self.files.values_mut() {
            content.crash(way, &mut self.dice);
        }
        self.epoch += 1;
        (self.power, self.fail_write, self.fail_sync) = (None, None, None);
        way
    }

    fn forget_nameless(&mut self) {
        let named: BTreeSet<u64> = self.names.values().chain(self.durable_names.values()).copied().collect();
        self.files.retain(|file, _| named.contains(file));
    }

    fn powered(&self) -> io::Result<()> {
        if self.power == Some(0) { Err(io::Error::other("sim: the power was cut")) } else { Ok(()) }
    }

    /// Counts a change, unless the power is gone.
    fn change(&mut self) -> io::Result<()> {
        self.powered()?;
        self.power = self.power.map(|left| left - 1);
        self.changes += 1;
        Ok(())
    }
}

/// Counts down; whether this is the one that was meant.
fn due(left: &mut Option<u64>) -> bool {
    *left = left.map(|left| left.saturating_sub(1));
    left.take_if(|left| *left == 0).is_some()
}

fn dir_of(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(dir, _)| dir)
}

fn absent(name: &str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("sim:{name}: there is no such file"))
}
