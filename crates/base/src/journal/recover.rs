//! Opening a journal: which segments there are, what they hold, and what has to be cut.

use std::sync::Arc;

use super::error::{self, JournalError, Result};
use super::flush::{self, Writer};
use super::format;
use super::replay::{Found, Replay};
use super::tail::Tail;
use super::{JournalOptions, Position};
use crate::failpoint;
use crate::storage::Storage;

/// What was found when a journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// How many records were read.
    pub records: u64,
    /// How many records had been appended, and trimmed since, before the first that was read.
    pub first_record: u64,
    /// How many segments there are.
    pub segments: u64,
    /// The torn tail that was cut off, if there was one.
    pub cut: Option<Cut>,
}

/// A torn tail: what a crash left of records that were never reported as durable. Zeros alone are none, but room that was
/// reserved for records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// The file; it is gone if it was cut at offset 0.
    pub file: String,
    /// The offset from which on nothing was kept.
    pub offset: u64,
    /// How many bytes that were.
    pub bytes: u64,
}

/// A journal that can go on.
pub(super) struct Recovered {
    pub(super) first: u64,
    pub(super) tail: Tail,
    pub(super) writer: Writer,
    pub(super) opened: Opened,
}

/// 1. Lists the segments, and makes durable what the last one holds;
/// 2. reads them, changing nothing;
/// 3. cuts a torn tail, and room that was reserved;
/// 4. opens the last one.
pub(super) fn recover(
    storage: &Arc<dyn Storage>,
    dir: &str,
    options: &JournalOptions,
    each: &mut dyn FnMut(Position, &[u8]) -> Result<()>,
) -> Result<Recovered> {
    let segments = segments(&**storage, dir)?;
    if let Some(last) = segments.last() {
        // What the process before us wrote may be in the memory of the system only, if it was killed.
        Writer::new(Arc::clone(storage), dir.to_owned(), options.segment_bytes).open(*last)?;
    }
    let mut opened = Opened::default();
    let mut cut = None;
    let mut end = End { segment: 0, offset: 0, records: 0 };
    for segment in &segments {
        let last = segments.last() == Some(segment);
        let max_record_bytes = options.max_record_bytes;
        let replay = Replay { storage: &**storage, dir, segment: *segment, last, max_record_bytes };
        let found = replay.run(each)?;
        if found.end < found.len || found.base.is_none() {
            let file = storage.describe(&flush::name(dir, *segment));
            let torn = Cut { file, offset: found.end, bytes: found.len - found.end };
            opened.cut = (!found.blank).then(|| torn.clone());
            cut = Some(torn);
        }
        if let Some(base) = found.base {
            if opened.segments == 0 {
                opened.first_record = base;
                end.records = base;
            }
            check_count(&**storage, dir, *segment, base, &end)?;
            end = End { segment: *segment, offset: found.end, records: base + found.records };
            opened.segments += 1;
            opened.records += found.records;
        } else {
            check_torn_from_the_start(&**storage, dir, *segment, segments.len(), &found)?;
        }
    }
    if let (Some(cut), Some(last)) = (&cut, segments.last()) {
        self::cut(&**storage, &flush::name(dir, *last), cut)?;
    }
    if let Some(Cut { file, offset, bytes }) = &opened.cut {
        tracing::warn!(file, offset, bytes, "cut the torn tail of a journal");
    }
    let mut writer = Writer::new(Arc::clone(storage), dir.to_owned(), options.segment_bytes);
    if end.offset > 0 {
        writer.open(end.segment)?;
        writer.expect_end(end.offset)?;
    }
    let tail = Tail::new(options.segment_bytes, end.segment, end.offset, end.records);
    Ok(Recovered { first: segments.first().copied().unwrap_or(0).min(end.segment), tail, writer, opened })
}

/// Where the records read so far end.
struct End {
    segment: u64,
    offset: u64,
    records: u64,
}

/// The numbers of the segments, without a gap.
fn segments(storage: &dyn Storage, dir: &str) -> Result<Vec<u64>> {
    let entries = storage.list(dir).map_err(error::io("list the segments of the journal", storage.describe(dir)))?;
    let mut segments: Vec<u64> = Vec::new();
    for entry in entries {
        let file = entry.name.strip_prefix(dir).unwrap_or(&entry.name).trim_start_matches('/');
        if let Some(segment) = format::parse_file_name(file).filter(|_| !file.contains('/')) {
            let corrupt = |why: &str| JournalError::Corrupt {
                file: storage.describe(&entry.name),
                offset: 0,
                why: why.to_owned(),
            };
            let segment = segment.map_err(corrupt)?;
            if let Some(before) = segments.last()
                && before.checked_add(1) != Some(segment)
            {
                return Err(corrupt(&format!("the segments between {before} and {segment} are missing")));
            }
            segments.push(segment);
        }
    }
    Ok(segments)
}

/// The segment continues where the one before it ended.
fn check_count(storage: &dyn Storage, dir: &str, segment: u64, base: u64, end: &End) -> Result<()> {
    let corrupt = |segment, offset, why| {
        Err(JournalError::Corrupt { file: storage.describe(&flush::name(dir, segment)), offset, why })
    };
    if segment == 0 && base != 0 {
        return corrupt(0, 0, format!("the first segment of all says that {base} records came before it"));
    }
    if base != end.records {
        let why = format!("its records end with number {}, those of the next segment begin with {base}", end.records);
        return corrupt(end.segment, end.offset, why);
    }
    Ok(())
}

/// A segment is never the only one before it is durable, except the very first.
fn check_torn_from_the_start(
    storage: &dyn Storage,
    dir: &str,
    segment: u64,
    segments: usize,
    found: &Found,
) -> Result<()> {
    if segment == 0 || segments > 1 {
        return Ok(());
    }
    Err(JournalError::Corrupt {
        file: storage.describe(&flush::name(dir, segment)),
        offset: found.end,
        why: "its header is invalid, and no other segment is left".to_owned(),
    })
}

fn cut(storage: &dyn Storage, name: &str, cut: &Cut) -> Result<()> {
    failpoint::hit("journal.cut.before");
    let done = if cut.offset == 0 { storage.delete(name) } else { storage.truncate(name, cut.offset) };
    done.map_err(error::io("cut the torn tail of the journal", cut.file.clone()))?;
    failpoint::hit("journal.cut.after");
    Ok(())
}
