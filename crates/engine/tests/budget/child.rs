//! What a child does: one operator on data that it makes as it goes, checked against loops over the same numbers.
use crate::Size;
use std::{env, fs, process::ExitCode};
use winterbourne_engine::{Error, Order, Rdd, SparkConf, SparkContext, TaskCause};

/// Operators, and operators on data of which one key has half.
pub(crate) const OPERATORS: [&str; 11] = [
    "sort",
    "sort_skewed",
    "group_by_key",
    "flat_map_groups_skewed",
    "group_by_key_skewed",
    "join",
    "join_skewed",
    "cogroup",
    "reduce_by_key",
    "distinct",
    "repartition",
];
const PARTITIONS: usize = 8;

fn mixed(i: u64) -> u64 {
    let x = (i ^ (i >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (x >> 32)
}
fn text(i: u64) -> String {
    let a = mixed(i);
    // Half of it is hard to compress.
    format!("{a:016x}{:016x}, which is the text of record number {i:>10}", mixed(a))
}
/// Key and record number.
fn even(i: u64, n: u64) -> u64 {
    mixed(i) % (n / 10)
}
fn skewed(i: u64, n: u64) -> u64 {
    if i.is_multiple_of(2) { 0 } else { even(i, n) }
}
/// Adds up to the same in any order, and hardly by chance.
fn sum_of(k: u64, v: &str) -> u64 {
    let folded = v.bytes().fold(k, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    mixed(folded)
}

type Pair = (u64, String);
struct Job {
    sc: SparkContext,
    n: u64,
}
impl Job {
    fn data(&self, key: fn(u64, u64) -> u64) -> Rdd<Pair> {
        let n = self.n;
        self.sc.range(0..n, PARTITIONS).map(move |i| (key(i, n), text(i)))
    }
    /// How many records there are, and their sum.
    fn twin(&self, key: fn(u64, u64) -> u64) -> (u64, u64) {
        (self.n, (0..self.n).fold(0, |sum: u64, i| sum.wrapping_add(sum_of(key(i, self.n), &text(i)))))
    }
    fn sort(&self, key: fn(u64, u64) -> u64) {
        let sorted = self.data(key).sort_by_key_in(Order::Ascending, PARTITIONS);
        // Of each partition: first and last key, whether it is sorted and stable, how many, and their sum.
        let parts = sorted.map_partitions(|records| {
            let (mut first, mut last, mut in_order, mut n, mut sum) = (None, None, true, 0u64, 0u64);
            for (k, v) in records {
                let number: u64 = v.rsplit(' ').next().and_then(|i| i.parse().ok()).expect("the text ends with it");
                in_order &= last.is_none_or(|last| last < (k, number));
                first = first.or(Some(k));
                (last, n, sum) = (Some((k, number)), n + 1, sum.wrapping_add(sum_of(k, &v)));
            }
            [(first, last.map(|l| l.0), in_order, (n, sum))]
        });
        let parts = parts.collect().expect("runs");
        assert!(parts.iter().all(|p| p.2), "a partition is not in order");
        let bounds: Vec<u64> = parts.iter().flat_map(|p| [p.0, p.1]).flatten().collect();
        assert!(bounds.is_sorted() && bounds.chunks(2).zip(bounds.chunks(2).skip(1)).all(|(a, b)| a[1] < b[0]));
        let all = parts.iter().fold((0, 0u64), |all, p| (all.0 + p.3.0, all.1.wrapping_add(p.3.1)));
        assert_eq!(all, self.twin(key));
    }
    fn total(groups: &Rdd<(u64, u64)>) -> (u64, u64) {
        groups
            .map(|x| x)
            .aggregate((0, 0u64), |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)), |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)))
            .expect("runs")
    }
    fn group_by_key(&self) {
        let groups = self.data(even).group_by_key_in(PARTITIONS);
        let sums =
            groups.map(|(k, vs)| (vs.len() as u64, vs.iter().fold(0u64, |sum, v| sum.wrapping_add(sum_of(k, v)))));
        assert_eq!(Self::total(&sums), self.twin(even));
    }
    fn group_by_key_skewed(&self) {
        match self.data(skewed).group_by_key_in(PARTITIONS).count() {
            Err(Error::Task { cause: TaskCause::Engine(e), .. }) => {
                assert!(matches!(&*e, Error::GroupTooLarge { key, .. } if key == "0"), "{e}");
            }
            other => panic!("half of all records in one group: {other:?}"),
        }
    }
    fn flat_map_groups_skewed(&self) {
        let sums = self.data(skewed).flat_map_groups_in(
            |k, values| {
                let sum = values.fold((0, 0u64), |(n, sum), v| (n + 1, sum.wrapping_add(sum_of(*k, &v))));
                Some(sum)
            },
            PARTITIONS,
        );
        assert_eq!(Self::total(&sums), self.twin(skewed));
    }
    fn join(&self, key: fn(u64, u64) -> u64, turned: bool) {
        // Every second key has one partner.
        let n = self.n;
        let others = self.sc.range(0..n / 20, PARTITIONS).map(|i| (i * 2, i));
        let data = self.data(key);
        let sums = if turned {
            others.join_in(&data, PARTITIONS).map(|(k, (i, v))| (1, sum_of(k, &v).wrapping_mul(i + 1)))
        } else {
            data.join_in(&others, PARTITIONS).map(|(k, (v, i))| (1, sum_of(k, &v).wrapping_mul(i + 1)))
        };
        let expect = (0..n).filter(|i| key(*i, n).is_multiple_of(2)).fold((0, 0u64), |all, i| {
            let k = key(i, n);
            (all.0 + 1, all.1.wrapping_add(sum_of(k, &text(i)).wrapping_mul(k / 2 + 1)))
        });
        assert_eq!(Self::total(&sums), expect);
    }
    fn cogroup(&self) {
        let others = self.data(even).map_values(|v| v.len() as u64);
        let sums = self.data(even).cogroup_in(&others, PARTITIONS).map(|(k, (vs, ws))| {
            assert_eq!(vs.len(), ws.len());
            (vs.len() as u64, vs.iter().fold(0u64, |sum, v| sum.wrapping_add(sum_of(k, v))))
        });
        assert_eq!(Self::total(&sums), self.twin(even));
    }
    fn reduce_by_key(&self) {
        let longest = self.data(|i, _| i).reduce_by_key_in(|a, b| a.max(b), PARTITIONS);
        assert_eq!(Self::total(&longest.map(|(k, v)| (1, sum_of(k, &v)))), self.twin(|i, _| i));
    }
    fn distinct(&self) {
        let twice = self.data(|_, _| 0).union(&self.data(|_, _| 0));
        let once = twice.distinct_in(PARTITIONS);
        assert_eq!(Self::total(&once.map(|(k, v)| (1, sum_of(k, &v)))), self.twin(|_, _| 0));
    }
    fn repartition(&self) {
        let dealt = self.data(even).repartition(5);
        assert_eq!(Self::total(&dealt.map(|(k, v)| (1, sum_of(k, &v)))), self.twin(even));
    }
}

pub(crate) fn run(what: &str, size: &Size) -> ExitCode {
    let place = env::var("WINTERBOURNE_PLACE").expect("set by the parent");
    // Two megabytes are enough where the size is not the point.
    let is_large = OPERATORS.contains(&what);
    let conf = SparkConf::empty().set_app_name("budget").set_master("local[2]").set("spark.local.dir", place);
    let conf = conf.set("spark.memory.size", if is_large { format!("{}m", size.budget) } else { "2m".into() });
    let sc = SparkContext::new(conf).expect("a context");
    let job = Job { sc: sc.clone(), n: if is_large { size.records } else { 100_000 } };
    match what {
        "sort" => job.sort(even),
        "sort_skewed" => job.sort(skewed),
        "group_by_key" => job.group_by_key(),
        "group_by_key_skewed" => job.group_by_key_skewed(),
        "flat_map_groups_skewed" => job.flat_map_groups_skewed(),
        "join" => job.join(even, false),
        "join_skewed" => job.join(skewed, true),
        "cogroup" => job.cogroup(),
        "reduce_by_key" => job.reduce_by_key(),
        "distinct" => job.distinct(),
        "repartition" | "little" => job.repartition(),
        "wait" => {
            let dealt = job.data(even).repartition(5);
            dealt.count().expect("runs");
            println!("spilled");
            // Killed here; if the parent is gone, so is the reason to wait.
            std::io::stdin().read_line(&mut String::new()).expect("readable");
        }
        "panic" => {
            let _dealt = job.data(even).repartition(5).count();
            assert!(sc.memory_status().spills == 0, "the driver panics");
        }
        "full" => full(&job),
        other => panic!("nothing is called {other}"),
    }
    // A record: key, handle, text, and what the allocator puts before it.
    println!("weight {}", (job.n * (8 + 24 + text(0).len() as u64 + 16)) >> 20);
    println!("spilled {} peak {}", sc.memory_status().spilled_bytes, peak() >> 10);
    ExitCode::SUCCESS
}
/// The most that this process had in memory, in kilobytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}
fn full(job: &Job) {
    // SAFETY: both take plain numbers; a signal that is ignored makes the write fail instead.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_FSIZE, &libc::rlimit { rlim_cur: 100_000, rlim_max: 100_000 });
    }
    let e = job.data(even).sort_by_key().count().expect_err("nothing can be written");
    println!("{e}");
    println!("the context lives: {}", job.sc.range(0..10, 2).count().expect("runs"));
}
