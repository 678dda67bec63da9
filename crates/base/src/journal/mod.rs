//! A journal: records in the order in which they were appended, durable once that was asked for, read back when it is
//! opened.
//!
//! [`Journal`] belongs to one thread. [`SharedJournal`] is the same for many, and lets one sync of the disk serve all
//! who wait for one. Both refuse to know what a record means.
//!
//! # On disk
//!
//! A journal is a directory of segments, `00000000000000000000.journal` and so on, numbered without a gap; the oldest
//! may have been trimmed away. All numbers are little-endian, and checksums are CRC-32 (the one of gzip and zlib).
//!
//! ```text
//! segment  0  magic          8 bytes  "WBJOURNL"
//!          8  version        u32      1
//!         12  segment        u64      its number, as in the name of the file
//!         20  base           u64      how many records were ever appended before its first
//!         28  checksum       u32      of the 28 bytes before
//!         32  records, one behind the other
//!
//! record   0  length         u32      of the payload
//!          4  reach          u32      bytes from the first one of this segment not known to be durable when the record
//!                                     was appended, to the payload; at least 16. 0xFFFF_FFFF: not known
//!          8  head checksum  u32      of the place (segment u64, offset of the record u64) and the 8 bytes before
//!         12  checksum       u32      of the payload, continued from the head checksum
//!         16  payload
//! ```
//!
//! The place is part of the checksum, so a record that turns up elsewhere, in another segment or at another offset, is
//! not valid there. Zeros are no valid record, because a reach is never zero. The head has a checksum of its own, so no
//! length is believed, and nothing allocated for it, before it was checked.
//!
//! # A torn tail and a corrupt middle
//!
//! A crash may leave anything in place of what was not synced: nothing, a part, zeros, the end without the beginning.
//! That, unless it is zeros throughout, is a *torn tail*, and opening the journal cuts it off. Damage to what *was* synced
//! is *corruption*: it is refused, with the file and the offset, and nothing is changed. They are told apart so:
//!
//! - A segment is synced as a whole before the next one is made. So anything invalid in a segment that is not the last
//!   is corruption, as is a segment that is missing, or that has not as many records as the next one counts.
//! - In the last segment each record says, by its reach, up to where the segment was durable when it was appended. At
//!   the first invalid record the rest of the file is searched for heads. If one says that the invalid place had been
//!   durable before, this is corruption, otherwise a torn tail. A valid record behind an invalid one proves nothing by
//!   itself: disks write sectors in any order.
//! - If the header of the last segment is invalid, the same holds for the whole segment. If it was torn, the file is
//!   removed, and the journal goes on in the segment before.
//!
//! What this cannot see: damage to the records of the very last sync, with nothing synced after them, looks like a torn
//! tail and is cut. [`Opened::cut`] says what was cut, unless there are zeros in its place: those look like room.
//!
//! # Order of durability
//!
//! A record is reported as durable after its segment was created, with its name in the directory, after header and
//! records were written, and after a sync that succeeded. A sync that fails poisons the journal for good, because the
//! system may have dropped what it could not write; only opening it anew tells what is there. Opening syncs the last
//! segment before it reads it, so what was read back is durable too, and was not read from memory.
//!
//! # Room ahead
//!
//! A sync that changes the length of a file costs nearly twice as much as one that does not. So the file of the last
//! segment is made longer than its records, up to 1 MiB at a time, and zeros that follow the last record are room, no torn
//! tail: [`Opened::cut`] does not tell them. No disk space is taken by them. A segment gets its true length in the sync
//! that ends it, before the next one is made, and when the journal is [finished](Journal::finish) or opened. Storage that
//! cannot make a file longer is used without.

mod error;
mod flush;
mod format;
mod log;
mod options;
mod position;
mod recover;
mod replay;
mod room;
mod shared;
mod tail;
mod window;

pub use error::JournalError;
pub use log::Journal;
pub use options::JournalOptions;
pub use position::Position;
pub use recover::{Cut, Opened};
pub use shared::SharedJournal;
