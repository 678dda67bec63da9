//! Jobs leave nothing behind. Alone in its program, as it looks at the memory of the process.
#![cfg(target_os = "linux")]
use winterbourne_engine::{SparkConf, SparkContext};

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

const JOBS: u64 = 1_000_000;

#[test]
fn a_million_small_jobs_in_flat_memory() {
    let conf = SparkConf::empty().set_app_name("test").set_master("local[2]");
    let sc = SparkContext::new(conf).unwrap();
    let fixed = sc.range(0..10, 2).map(|x| (x % 3, x)).reduce_by_key(|a, b| a + b);
    let mut after_warming_up = 0;
    for job in 0..JOBS {
        match job % 10 {
            0 => assert_eq!(
                sc.range(0..job % 7, 2).map(|x| (x % 2, x)).reduce_by_key(|a, b| a + b).cache().count().unwrap(),
                (job % 7).min(2)
            ),
            1 => assert!(sc.range(0..1, 1).try_map(Default::default(), |_| Err::<u64, _>("bad")).count().is_err()),
            2 => assert_eq!(fixed.filter(|e| e.0 == 0).count().unwrap(), 1),
            3 if job % 100 == 3 => assert_eq!(fixed.join(&sc.range(0..2, 1).map(|x| (x, x))).count().unwrap(), 2),
            _ => assert_eq!(sc.parallelize([job], 1).map(|x| x).first().unwrap(), job),
        }
        if job == JOBS / 20 {
            after_warming_up = resident();
        }
    }
    let grown = resident().saturating_sub(after_warming_up);
    assert!(grown < 20 * 1024, "grew by {grown} KiB");
    assert_eq!((sc.counts().jobs, sc.counts().cached_blocks), (JOBS, 0));
}
