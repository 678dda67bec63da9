//! The bounds of a journal.

/// How large things may become.
///
/// ```
/// use winterbourne_base::journal::JournalOptions;
/// let small = JournalOptions { segment_bytes: 1 << 20, ..JournalOptions::default() };
/// assert_eq!(small.max_record_bytes, 64 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// A segment that would grow beyond this is followed by a new one (64 MiB). One record always fits.
    pub segment_bytes: u64,
    /// A record may have that many bytes (64 MiB), when it is appended and when it is read.
    pub max_record_bytes: u32,
    /// That much of the disk stays free (64 MiB): nothing is appended that would take it.
    pub free_floor_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, max_record_bytes: 64 << 20, free_floor_bytes: 64 << 20 }
    }
}
