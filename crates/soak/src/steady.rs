//! Small batches, very many of them, with the log on: numbers, a receiver whose records are logged, state, a window.
use crate::samples::{Sample, Samples};
use std::{
    fs,
    path::PathBuf,
    sync::mpsc::{self, SyncSender},
};
use winterbourne::{
    BoxError, Clock as _, Intake, Receiver, SparkConf, State, StateSpec, Stop, StreamingContext, SystemClock,
    milliseconds,
};

/// Keys of the state.
const KEYS: u64 = 1_000;
/// Samples of a run.
const SAMPLES: u64 = 200;

/// A directory that is gone when dropped.
struct Directory(PathBuf);
impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ten records each time something was received.
struct Ticking(mpsc::Receiver<()>);
impl Receiver<u64> for Ticking {
    fn receive(&mut self, intake: &Intake<u64>) -> Result<(), BoxError> {
        while self.0.recv().is_ok() {
            intake.store_all((0..10).collect())?;
        }
        Ok(())
    }
}

/// Runs so many batches, and compares what the process holds.
///
/// # Errors
/// What has grown, or that a batch failed.
pub(crate) fn run(interval_ms: u64, batches: u64) -> Result<(), BoxError> {
    let name = format!("winterbourne-soak-{}-{interval_ms}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    let at = directory.0.join("checkpoint");
    let conf = SparkConf::empty().set_app_name("soak").set_master("local[2]").set("spark.memory.size", "256m");
    let ssc = StreamingContext::from_conf(conf, milliseconds(interval_ms))?;
    ssc.checkpoint(at.to_string_lossy());
    let (done, seen) = mpsc::sync_channel(1);
    let feed = graph(&ssc, done);

    let clock = SystemClock::new();
    let (begun, every) = (clock.nanos(), (batches / SAMPLES).max(1));
    let mut samples = Samples::default();
    ssc.start()?;
    for n in 1..=batches {
        // Also the end of the stream by an error, which says why.
        if seen.recv().is_err() {
            break;
        }
        let _ = feed.try_send(());
        if n % every == 0 {
            samples.push(Sample::take(Some(&directory.0))?);
        }
    }
    drop(seen);
    let status = ssc.status();
    if status.failed_attempts > 0 {
        return Err(format!("batches failed: {:?}", status.health).into());
    }
    ssc.stop(Stop::now());
    let (first, last) = samples.judge()?;
    let seconds = (clock.nanos() - begun) as f64 / 1e9;
    println!(
        "{} batches of {interval_ms} ms in {seconds:.1} s, {} record(s), {} tick(s) coalesced; at first {first}; in the end {last}",
        status.completed_batches, status.processed_records, status.coalesced_ticks
    );
    Ok(())
}

/// Says when a batch is done; the other end feeds the receiver.
fn graph(ssc: &StreamingContext, done: SyncSender<()>) -> SyncSender<()> {
    let (feed, fed) = mpsc::sync_channel(16);
    let numbers = ssc.rate_stream(20_000).map(|n| (n % KEYS, 1u64));
    let received = ssc.receiver_stream(Ticking(fed)).map(|n| (n, 1u64));
    let all = numbers.union(&received);
    let counted = StateSpec::function(|_key: &u64, one: Option<u64>, total: &mut State<'_, u64>| {
        let sum = total.get().copied().unwrap_or(0) + one.unwrap_or(0);
        total.update(sum);
        sum
    });
    all.map_with_state(counted).foreach_rdd(|rdd, _| rdd.count().map(drop).map_err(BoxError::from));
    let sums = all.reduce_by_key_and_window(|a, b| a + b, ssc.batch_duration() * 10);
    sums.foreach_rdd(move |rdd, _| {
        rdd.count()?;
        // Nobody listens any more at the end.
        let _ = done.send(());
        Ok(())
    });
    feed
}
