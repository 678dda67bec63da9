//! What the standard library does not ask the operating system for: a lock, forgetting, and the room on a disk.
//!
//! `File::try_lock` is younger than the oldest compiler we promise to work with.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Takes an exclusive lock on an open file, without waiting. It ends when the file is closed, by whatever means.
/// [`io::ErrorKind::WouldBlock`] says that somebody else has it.
pub(super) fn try_lock(file: &File) -> io::Result<()> {
    // SAFETY: flock takes two numbers; the descriptor is open for as long as `file` is borrowed.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the system to read the file from the disk when it is read next. After a sync that failed, some systems keep in
/// memory, as if it were stored, what they could not store. They need not follow; there is nothing better to do.
#[cfg(target_os = "linux")]
pub(super) fn forget_cached(file: &File) {
    // SAFETY: the call takes numbers; the descriptor is open for as long as `file` is borrowed.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}
#[cfg(not(target_os = "linux"))]
pub(super) fn forget_cached(_: &File) {}

/// How many bytes this process may still write to the file system of `path`.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in NUL, and the answer has room for the structure that the call fills in.
    let answer = match unsafe { libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) } {
        // SAFETY: the call succeeded, so it has filled in all of the structure.
        0 => unsafe { answer.assume_init() },
        _ => return Err(io::Error::last_os_error()),
    };
    // Both are narrower on some systems.
    Ok((answer.f_bavail as u64).saturating_mul(answer.f_frsize as u64))
}
