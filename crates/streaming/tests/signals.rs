//! What signals do to a program that keeps state: the first lets the batch finish, the second ends it at once, and either
//! way the next start goes on where it was. The programs are processes of this test's own binary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]
use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};
use winterbourne_base::scratch;
use winterbourne_engine::{BoxError, Rdd, SparkConf, SparkContext};
use winterbourne_streaming::{Input, Planned, StreamingContext, Tick, milliseconds};

/// Where the program of a child keeps its log.
const DIR: &str = "WINTERBOURNE_TEST_DIR";
/// The number at which its output hangs, if it does.
const HANG: &str = "WINTERBOURNE_TEST_HANG";

/// One number a batch.
struct Numbers(u64);
impl Input<u64> for Numbers {
    type Plan = u64;
    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<u64>>, BoxError> {
        self.0 += 1;
        Ok(Some(Planned { plan: self.0, records: Some(1), description: String::new() }))
    }
    fn read(&mut self, sc: &SparkContext, n: &u64) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.range(*n..n + 1, 1))
    }
    fn restore(&mut self, n: &u64) -> Result<(), BoxError> {
        self.0 = *n;
        Ok(())
    }
}
/// Not a test of its own: the program, if this process is one.
#[test]
fn program() {
    let Ok(dir) = env::var(DIR) else { return };
    let hang: Option<u64> = env::var(HANG).ok().map(|n| n.parse().unwrap());
    let ssc = StreamingContext::get_or_create(&dir, || {
        let conf = SparkConf::empty().set_app_name("signals").set_master("local[1]");
        let conf = conf.set("spark.streaming.stopGracefullyOnShutdown", true);
        let ssc = StreamingContext::new(&SparkContext::new(conf)?, milliseconds(5))?;
        let numbers = ssc.input_stream("numbers", Numbers(0)).map(|n| ((), n));
        let sums = numbers.update_state_by_key(|new: Vec<u64>, old: Option<(u64, u64)>| {
            let (n, sum) = old.unwrap_or_default();
            Some((n + new.len() as u64, sum + new.iter().sum::<u64>()))
        });
        sums.foreach_rdd(move |rdd, _| {
            let (_, (n, sum)) = rdd.first()?;
            println!("\nTOLD {n} {sum}");
            if hang == Some(n) {
                // Until standard input ends.
                std::io::stdin().read_to_string(&mut String::new())?;
                println!("\nON");
            }
            Ok(())
        });
        Ok(ssc)
    })
    .unwrap();
    ssc.start().unwrap();
    ssc.await_termination().unwrap();
    println!("\nSTOPPED");
}

/// Another one: its stream ends by itself, and then it has something else to do.
#[test]
fn program_that_goes_on() {
    let Ok(_) = env::var(DIR) else { return };
    let conf = SparkConf::empty().set_app_name("signals").set_master("local[1]");
    let conf = conf.set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, milliseconds(5)).unwrap();
    ssc.iterator_stream(0..10u64).foreach_rdd(|rdd, _| Ok(rdd.count().map(drop)?));
    ssc.start().unwrap();
    ssc.await_termination().unwrap();
    println!("\nENDED");
    std::io::stdin().read_to_string(&mut String::new()).unwrap();
}

struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
}
impl Program {
    fn start(dir: &Path, hang: Option<u64>) -> Self {
        Self::start_as("program", dir, hang)
    }
    fn start_as(name: &str, dir: &Path, hang: Option<u64>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env(DIR, dir);
        if let Some(n) = hang {
            command.env(HANG, n.to_string());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Program { child, out }
    }
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }
    /// What it tells until it says `end`, or ends: how many numbers, and their sum.
    fn told_until(&mut self, end: &str) -> Vec<(u64, u64)> {
        let mut told = Vec::new();
        for line in self.out.by_ref().lines() {
            let line = line.unwrap();
            if line == end {
                break;
            }
            if let Some(numbers) = line.strip_prefix("TOLD ") {
                let (n, sum) = numbers.split_once(' ').unwrap();
                told.push((n.parse().unwrap(), sum.parse().unwrap()));
            }
            if line.starts_with(end) {
                break;
            }
        }
        told
    }
}
struct Dir(PathBuf);
impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
fn right(told: &[(u64, u64)]) -> bool {
    told.iter().all(|(n, sum)| *sum == n * (n + 1) / 2) && told.windows(2).all(|w| w[1].0 == w[0].0 + 1)
}

#[test]
fn the_first_signal_waits_for_the_batch_and_the_second_does_not() {
    for (first, second) in [("-TERM", "-INT"), ("-INT", "-TERM"), ("-INT", "-INT")] {
        let dir = Dir(env::temp_dir().join(scratch::unique()));
        // A batch that does not end is waited for.
        let mut program = Program::start(&dir.0, Some(4));
        let told = program.told_until("TOLD 4 ");
        assert!(told.len() == 4 && right(&told), "{told:?}");
        program.signal(first);
        // Nobody says when the first was heard: the second may come before that, and then another one is the second.
        while program.child.try_wait().unwrap().is_none() {
            program.signal(second);
        }
        assert_eq!(program.child.wait().unwrap().code(), Some(130), "{first}, {second}");
        // The batch that was running runs again, and no number counts twice. This time the signal finds batches that end.
        let mut program = Program::start(&dir.0, Some(9));
        let told = program.told_until("TOLD 9 ");
        assert!(told[0].0 == 4 && right(&told), "{told:?}");
        program.signal(first);
        drop(program.child.stdin.take());
        let rest = program.told_until("STOPPED");
        assert!(right(&[&told[..], &rest].concat()), "{rest:?}");
        assert_eq!(program.child.wait().unwrap().code(), Some(0));
        // After an orderly end, what was told last is not told again.
        let last = rest.last().or(told.last()).unwrap().0;
        let mut program = Program::start(&dir.0, Some(last + 2));
        let told = program.told_until(&format!("TOLD {} ", last + 2));
        assert_eq!(told.iter().map(|t| t.0).collect::<Vec<_>>(), [last + 1, last + 2]);
        assert!(right(&told));
        program.child.kill().unwrap();
        program.child.wait().unwrap();
    }
}
#[test]
fn once_the_stream_has_ended_a_signal_ends_the_process_as_any_other() {
    use std::os::unix::process::ExitStatusExt as _;
    for (name, number) in [("-INT", 2), ("-TERM", 15)] {
        let mut program = Program::start_as("program_that_goes_on", Path::new("unused"), None);
        program.told_until("ENDED");
        // The thread that kept the signals may still be at its last step: then another one is the first.
        while program.child.try_wait().unwrap().is_none() {
            program.signal(name);
        }
        assert_eq!(program.child.wait().unwrap().signal(), Some(number));
    }
}
