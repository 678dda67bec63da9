//! A source that is far faster than the batches: what the process holds stays flat, and the source is what waits.
use crate::samples::{Sample, Samples, status_kb};
use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Stdio},
    sync::mpsc,
};
use winterbourne::{BoxError, Clock as _, SparkConf, Stop, StreamingContext, SystemClock, milliseconds, prelude::*};

/// What a record costs, in rounds of a loop: two threads do some ten thousand in a second, and a socket brings millions.
const ROUNDS: u64 = 50_000;

/// Feeds a process of its own, as fast as it takes it, until that has done its batches. How many times as fast as they it
/// was while it did not have to wait.
///
/// # Errors
/// If the process grows, or this side never had to wait.
pub(crate) fn run(batches: u64) -> Result<f64, BoxError> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let port = server.local_addr()?.port().to_string();
    let mut child = Command::new(std::env::current_exe()?)
        .args(["child", "--port", &port, "--batches", &batches.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut peer, _) = server.accept()?;
    let line = format!("{}\n", "x".repeat(99));
    let lines = line.repeat(640);
    let (mut sent, mut stalls, mut at) = (0u64, 0u64, 0);
    // Bytes that were taken at once, and the time that took.
    let (clock, mut at_once, mut nanos) = (SystemClock::new(), 0u64, 0);
    // Until the other side closes: then its batches are done, or it has failed.
    loop {
        peer.set_nonblocking(true)?;
        let begun = clock.nanos();
        let mut written = peer.write(&lines.as_bytes()[at..]);
        if let Ok(n) = written {
            at_once += n as u64;
            nanos += clock.nanos() - begun;
        }
        if written.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock) {
            // The buffers of the system are full: from here on it waits for the other side.
            stalls += 1;
            peer.set_nonblocking(false)?;
            written = peer.write(&lines.as_bytes()[at..]);
        }
        let Ok(n) = written else { break };
        sent += n as u64;
        at = (at + n) % lines.len();
    }
    let output = child.stdout.take().map(|out| BufReader::new(out).lines().collect::<Result<Vec<_>, _>>());
    let said = output.transpose()?.unwrap_or_default().join("; ");
    if !child.wait()?.success() {
        return Err("the process that was fed failed; it said why".into());
    }
    let words: Vec<&str> = said.split(' ').collect();
    let [processed, "lines", "in", seconds, "s", ..] = words[..] else {
        return Err(format!("the process said: {said}").into());
    };
    let (processed, seconds): (u64, f64) = (processed.parse()?, seconds.parse()?);
    let offered = sent / line.len() as u64;
    if stalls == 0 {
        return Err(format!("the peer never had to wait: {offered} lines were sent, {said}").into());
    }
    if offered < processed {
        return Err(format!("{processed} lines were processed, and {offered} sent").into());
    }
    let fed = at_once as f64 / line.len() as f64 / (nanos as f64 / 1e9);
    let factor = fed * seconds / processed as f64;
    println!(
        "flood: {said}; {} line(s) beyond that were taken, and the peer waited {stalls} time(s); when it did not, it sent \
         {factor:.0} times what was processed",
        offered - processed
    );
    Ok(factor)
}

/// Counts lines, each of which costs something, and says what it held.
///
/// # Errors
/// What has grown.
pub(crate) fn child(port: u64, batches: u64) -> Result<(), BoxError> {
    let conf = SparkConf::empty().set_app_name("flood").set_master("local[2]");
    let ssc = StreamingContext::from_conf(conf, milliseconds(100))?;
    let (done, seen) = mpsc::sync_channel(1);
    let cost = |line: Text| {
        (0..ROUNDS).fold(line.len() as u64, |x, _| std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005)))
    };
    let lines = ssc.socket_text_stream("127.0.0.1", u16::try_from(port)?);
    lines.map(cost).foreach_rdd(move |rdd, _| {
        rdd.count()?;
        let _ = done.send(());
        Ok(())
    });
    let mut samples = Samples::default();
    let clock = SystemClock::new();
    let begun = clock.nanos();
    ssc.start()?;
    for _ in 0..batches {
        if seen.recv().is_err() {
            break;
        }
        samples.push(Sample::take(None)?);
    }
    drop(seen);
    let seconds = (clock.nanos() - begun) as f64 / 1e9;
    let status = ssc.status();
    let (stalls, health) = (status.receivers.first().map_or(0, |r| r.stalls), status.health);
    ssc.stop(Stop::now());
    let (first, last) = samples.judge()?;
    let peak_mb = status_kb("VmHWM:")? as f64 / 1024.0;
    println!(
        "{} lines in {seconds:.1} s in {} batches, at first {first}, in the end {last}, at most {peak_mb:.1} MB; the receiver waited {stalls} \
         time(s); {health:?}",
        status.processed_records, status.completed_batches
    );
    Ok(())
}
