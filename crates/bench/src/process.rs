//! [`Process`]: what Linux tells of a process in `/proc`. Refuses to be exact elsewhere: there everything is zero.
use std::fs;

/// A process by its folder under `/proc`.
pub(crate) struct Process(String);

impl Process {
    pub(crate) fn own() -> Self {
        Process("self".into())
    }
    pub(crate) fn of(id: u32) -> Self {
        Process(id.to_string())
    }
    /// Resident memory now, in MB.
    pub(crate) fn rss_mb(&self) -> f64 {
        self.status_mb("VmRSS:")
    }
    /// The largest resident memory so far, in MB.
    pub(crate) fn peak_rss_mb(&self) -> f64 {
        self.status_mb("VmHWM:")
    }
    /// Lets the peak begin anew at what is resident now. Where that is not allowed the peak stays that of the process.
    pub(crate) fn reset_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.0), "5");
    }
    /// User and system seconds so far, in steps of the kernel's tick (10 ms).
    pub(crate) fn cpu_s(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        ticks(&stat) as f64 / 100.0
    }
    fn status_mb(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        kilobytes(&status, field) as f64 / 1024.0
    }
}

fn kilobytes(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
/// Fields 14 and 15 of a `stat` line; the second field is a name in parentheses that may hold anything.
fn ticks(stat: &str) -> u64 {
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(kilobytes("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS:"), 1024);
        assert_eq!(kilobytes("", "VmRSS:"), 0);
        assert_eq!(ticks("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0"), 42);
        assert_eq!(ticks(""), 0);
    }
}
