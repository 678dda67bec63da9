//! How much memory there is, and what the allocator does with memory that was freed. Refuses to allocate anything itself.
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

/// Gives freed memory back to the system now, whatever [`keep_freed`] says: for a process that has just written to disk what
/// it had no room for. Takes some milliseconds where much was freed. Only the GNU C library has this.
///
/// ```
/// winterbourne_base::memory::give_back();
/// ```
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes a number and locks the allocator itself; it may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The memory that this process may use, in bytes: the machine's, or less if a control group of Linux limits it. `None`
/// where the system does not say.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// assert!(winterbourne_base::memory::available().is_some_and(|bytes| bytes > 1 << 20));
/// ```
#[must_use]
pub fn available() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
    // A group without a limit says `max`, which is no number, or, in version 1, a number larger than any machine.
    limits.chain(machine).min()
}

/// What `/proc/meminfo` says of the whole machine.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// Where limits may stand for the groups that `/proc/self/cgroup` lists: those of each group and of all above it, which
/// hold for it too. A container sees its own group as the root.
fn limit_files(groups: &str) -> impl Iterator<Item = std::path::PathBuf> {
    let of = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|c| c == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let path = std::path::PathBuf::from(path.trim_start_matches('/'));
        let above: Vec<_> = path.ancestors().map(|group| std::path::Path::new(root).join(group).join(name)).collect();
        Some(above)
    };
    groups.lines().filter_map(of).flatten().collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_much_it_has() {
        assert_eq!(total_of("MemTotal:       24689764 kB\nMemFree: 1 kB\n"), Some(24_689_764 << 10));
        assert_eq!(total_of("MemFree: 1 kB\n"), None);
    }
    #[test]
    fn limits_stand_in_a_group_and_above_it() {
        let files = |groups: &str| limit_files(groups).map(|f| f.display().to_string()).collect::<Vec<_>>();
        let v2 = ["/sys/fs/cgroup/a/b/memory.max", "/sys/fs/cgroup/a/memory.max", "/sys/fs/cgroup/memory.max"];
        assert_eq!(files("0::/a/b\n"), v2);
        assert_eq!(files("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        let v1 = ["/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        assert_eq!(files("4:cpu,cpuacct:/c\n3:memory:/c\n"), v1);
    }
}
