//! What can go wrong with a journal.

use std::io;

/// Why a journal did not do what it was asked to. Each message says what, where, and what can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The storage failed. If this happened while records were made durable, every later call says
    /// [`Poisoned`](Self::Poisoned).
    #[error("cannot {what} ({path}): {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The file or directory it was done to.
        path: String,
        /// The storage's own words.
        source: io::Error,
    },

    /// Something that had been stored safely is damaged, or was changed by somebody else. Nothing was altered.
    #[error(
        "{file} is corrupt at offset {offset}: {why}; restore the file from a copy, or, if what it holds may be lost, \
         move the journal's directory away and begin a new one"
    )]
    Corrupt {
        /// The file.
        file: String,
        /// The byte at which what is wrong begins.
        offset: u64,
        /// What is wrong.
        why: String,
    },

    /// An earlier failure left it unknown what is durable; the text is that of the failure.
    #[error("the journal takes nothing more since this failed: {0}; open it anew to see what is durable")]
    Poisoned(String),

    /// The disk is as good as full. Nothing was appended.
    #[error(
        "nothing was appended to the journal {path}: {free} bytes of its disk are free, and {floor} are to stay so; \
         make room and try again"
    )]
    NoSpace {
        /// The journal's directory.
        path: String,
        /// What is free.
        free: u64,
        /// What is to stay free.
        floor: u64,
    },

    /// A record is longer than the options allow.
    #[error("the record {at} has {bytes} bytes, but no more than {limit} are allowed (max_record_bytes)")]
    TooLong {
        /// Which record: "to append to …", or the file and offset of one that is stored.
        at: String,
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u32,
    },

    /// The file was written in another format.
    #[error("{file} has version {found} of the journal's format, this program knows {known}: use the newer program")]
    Version {
        /// The file.
        file: String,
        /// The version it says it has.
        found: u32,
        /// The version we know.
        known: u32,
    },

    /// No record begins at a position: it was trimmed, or the position is not one of this journal's.
    #[error("{file} has no record at offset {offset}: it was trimmed, or the position belongs to another journal")]
    NoRecord {
        /// The file that would hold it.
        file: String,
        /// The offset asked for.
        offset: u64,
    },

    /// What the callback of [`Journal::open`](crate::journal::Journal::open) says of a record that it cannot use; it
    /// comes out as [`Corrupt`](Self::Corrupt), with file and offset.
    #[error("a record was refused: {0}")]
    Rejected(String),
}

pub(super) type Result<T> = std::result::Result<T, JournalError>;

/// For `map_err`: the storage failed at this.
pub(super) fn io(what: &str, path: String) -> impl FnOnce(io::Error) -> JournalError {
    move |source| JournalError::Io { what: what.to_owned(), path, source }
}
