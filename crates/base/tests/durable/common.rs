//! What the tests of storage and journals share: directories that go away, opening, the layout by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::ProptestConfig;
use winterbourne_base::journal::{Journal, JournalError, JournalOptions, Opened, Position};
use winterbourne_base::storage::Storage;

/// A directory of its own for a test; removed in the end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("winterbourne-base-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// That many cases, unless the environment (`PROPTEST_CASES`) asks for a number.
pub(crate) fn cases(n: u32) -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases: n, ..config } }
}

/// Small bounds, and no floor.
pub(crate) fn options(segment_bytes: u64) -> JournalOptions {
    JournalOptions { segment_bytes, max_record_bytes: 10_000, free_floor_bytes: 0 }
}

pub(crate) type Records = Vec<(Position, Vec<u8>)>;

/// Opens the journal `log`, and says which records it holds.
pub(crate) fn open(
    storage: &(impl Storage + Clone),
    options: &JournalOptions,
) -> Result<(Journal, Opened, Records), JournalError> {
    let mut records = Vec::new();
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    let (journal, opened) = Journal::open(storage, "log", options.clone(), |at, record| {
        records.push((at, record.to_vec()));
        Ok(())
    })?;
    Ok((journal, opened, records))
}

/// The file of a segment of the journal `log`.
pub(crate) fn file(segment: u64) -> String {
    format!("log/{segment:020}.journal")
}

/// The header of a segment, put together as the documentation says, not as the program does it.
pub(crate) fn header(segment: u64, base: u64) -> Vec<u8> {
    let mut bytes = b"WBJOURNL".to_vec();
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(segment.to_le_bytes());
    bytes.extend(base.to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// A record at `at` that says the segment was durable up to `durable`; likewise by hand. The length may be a lie.
pub(crate) fn record_with_length(at: Position, durable: u64, length: u32, payload: &[u8]) -> Vec<u8> {
    let reach = (at.offset + 16 - durable) as u32;
    let mut bytes = [length.to_le_bytes(), reach.to_le_bytes()].concat();
    let place = [at.segment.to_le_bytes(), at.offset.to_le_bytes()].concat();
    let head_checksum = crc32fast::hash(&[place, bytes.clone()].concat());
    bytes.extend(head_checksum.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(head_checksum);
    hasher.update(payload);
    bytes.extend(hasher.finalize().to_le_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn record(at: Position, durable: u64, payload: &[u8]) -> Vec<u8> {
    record_with_length(at, durable, payload.len() as u32, payload)
}
