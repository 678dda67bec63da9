//! [`Spent`]: wall time, processor time and peak memory of a piece of work in this process.
use crate::process::Process;
use std::{ops::Add, time::Instant};

#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(crate) struct Spent {
    pub(crate) wall_s: f64,
    /// User and system, all threads.
    pub(crate) cpu_s: f64,
    pub(crate) peak_rss_mb: f64,
}
impl Add for Spent {
    type Output = Spent;
    /// One after the other.
    fn add(self, more: Spent) -> Spent {
        Spent {
            wall_s: self.wall_s + more.wall_s,
            cpu_s: self.cpu_s + more.cpu_s,
            peak_rss_mb: self.peak_rss_mb.max(more.peak_rss_mb),
        }
    }
}

/// Does the work and says what it took.
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    Process::own().reset_peak();
    let (begun, cpu) = (Instant::now(), cpu_s());
    let done = work();
    let (wall_s, cpu_s) = (begun.elapsed().as_secs_f64(), cpu_s() - cpu);
    (done, Spent { wall_s, cpu_s, peak_rss_mb: Process::own().peak_rss_mb() })
}

/// User and system seconds of this process so far.
fn cpu_s() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole `rusage`, which the call fills or, failing, leaves zero: a valid value of it.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up() {
        let (a, b) =
            (Spent { wall_s: 1.0, cpu_s: 2.0, peak_rss_mb: 9.0 }, Spent { wall_s: 0.5, cpu_s: 0.25, peak_rss_mb: 4.0 });
        assert_eq!(a + b, Spent { wall_s: 1.5, cpu_s: 2.25, peak_rss_mb: 9.0 });
        let (seven, spent) = measure(|| 7);
        assert_eq!(seven, 7);
        assert!(spent.wall_s >= 0.0 && spent.cpu_s >= 0.0);
    }
}
