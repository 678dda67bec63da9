//! Counts of what was tolerated: nothing is dropped, replaced or retried without a number somebody can see.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Totals of one context since it was made.
#[derive(Debug, Default)]
pub struct Counters {
    /// Jobs started.
    pub jobs: AtomicU64,
    /// Tasks started, attempts after failures not included.
    pub tasks: AtomicU64,
    /// Attempts after a failure.
    pub task_retries: AtomicU64,
    /// Lines in which bytes that are not UTF-8 were replaced by U+FFFD.
    pub invalid_utf8: AtomicU64,
    /// Records that a `try_` operator skipped.
    pub skipped_records: AtomicU64,
    /// Numbers of attempts at tasks that were given out.
    pub(crate) attempts: AtomicU64,
    /// Cached blocks that left memory to make room for others, to disk or for good.
    pub evicted_blocks: AtomicU64,
    /// Cached blocks on disk that could not be read any more.
    pub lost_blocks: AtomicU64,
}
impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }
}
