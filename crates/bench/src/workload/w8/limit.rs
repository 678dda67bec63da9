//! The least that a restart has to do, by hand and on one thread: each state file is read in pieces of the size in which
//! it was written, every byte goes into a checksum, every record is taken apart and put into one hash table.
//!
//! It knows what the keys and states are, follows no index and asks no log.
use crate::{Out, Result, args::Args};
use std::{collections::HashMap, fs::File, io::Read, thread};
use winterbourne::engine::hash::FixedState;

const HEAD: usize = 12;
const FOOTER: usize = 24;
const PIECE: usize = 4 << 20;
/// Bytes of a record, nearly all of which have eight or nine: the first file holds all keys, for which room is made.
const LEAST: usize = 8;

/// State, and when it was touched relative to its file.
type States = HashMap<u64, (u64, u64), FixedState>;

pub(crate) fn child(args: &Args, _: Out) -> Result {
    let directory = args.directory.as_deref().ok_or("w8-limit wants --directory")?;
    let files = super::state_files(directory)?;
    let mut states = States::default();
    let mut checksum = 0u32;
    for path in &files {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len() as usize;
        if states.is_empty() {
            states.reserve(len / LEAST);
        }
        let mut footer = [0; FOOTER];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut footer, (len - FOOTER) as u64)?;
        let end = u64::from_le_bytes(footer[..8].try_into()?) as usize;
        file.read_exact(&mut [0; HEAD])?;
        let (mut left, mut bytes) = (end - HEAD, Vec::new());
        while left > 0 {
            let kept = bytes.len();
            bytes.resize(kept + left.min(PIECE), 0);
            file.read_exact(&mut bytes[kept..])?;
            left -= bytes.len() - kept;
            checksum ^= crc32fast::hash(&bytes[kept..]);
            let used = take(&bytes, &mut states);
            bytes.drain(..used);
        }
        if !bytes.is_empty() {
            return Err(format!("{} byte(s) at the end of {} are no record", bytes.len(), path.display()).into());
        }
    }
    // So that nothing of it can be left out.
    eprint!("{}", if checksum == 1 { " " } else { "" });
    println!("loaded {}", states.values().map(|s| s.0).sum::<u64>());
    loop {
        thread::park();
    }
}

/// Puts the whole records in; how many bytes they are.
fn take(bytes: &[u8], states: &mut States) -> usize {
    let mut rest = bytes;
    let mut used = 0;
    while let Some((key, state)) = record(&mut rest) {
        match state {
            Some(state) => states.insert(key, state),
            None => states.remove(&key),
        };
        used = bytes.len() - rest.len();
    }
    used
}
fn record(rest: &mut &[u8]) -> Option<(u64, Option<(u64, u64)>)> {
    let len = varint(rest)? as usize;
    let key = varint(&mut rest.split_off(..len)?)?;
    match varint(rest)? as usize {
        0 => Some((key, None)),
        n => {
            let mut value = rest.split_off(..n - 1)?;
            let age = varint(&mut value)?;
            Some((key, Some((varint(&mut value)?, age))))
        }
    }
}
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}
