//! What the allocator does with memory that was freed. Refuses to allocate anything itself.
//!
//! A stream frees and takes the same few megabytes in every batch. By default the GNU C library gives them back to the
//! system as soon as they lie free at the end of its heap, and fetches them again, page by page, a moment later; on a
//! virtual machine that costs more than the work of a small batch.

/// Lets the process keep up to `bytes` of freed memory per heap instead of giving it back at once; 0 leaves the allocator
/// as it is. Concerns the whole process. Returns whether there was something to set: only the GNU C library has this, and
/// a program with an allocator of its own is not affected.
///
/// ```
/// use winterbourne_base::{conf::Bytes, memory};
/// assert!(!memory::keep_freed(Bytes(0)));
/// memory::keep_freed(Bytes(64 << 20));
/// ```
pub fn keep_freed(bytes: crate::conf::Bytes) -> bool {
    let keep = i32::try_from(bytes.0).unwrap_or(i32::MAX);
    keep > 0 && set(keep)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set(keep: i32) -> bool {
    /// Blocks from this size on are mapped, and unmapped when freed; the largest value the library takes.
    const MAPPED_FROM: i32 = 32 << 20;
    // SAFETY: mallopt takes two numbers and locks the allocator itself; it may be called at any time from any thread.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, keep) == 1 && libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM) == 1
    }
}
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set(_: i32) -> bool {
    false
}
