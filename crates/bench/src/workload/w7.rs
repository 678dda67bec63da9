//! W7: how long a streaming program takes from exec to its first output, and how much memory it holds.
use crate::{
    Out, Result,
    args::Args,
    corpus,
    feed::Feed,
    helper::Helper,
    meter::Spent,
    row::Row,
    stats::{median, percentile},
    words,
};
use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};
use winterbourne::{StreamingContext, milliseconds};

/// How long an idle program is watched.
const IDLE: f64 = 2.0;

pub(crate) fn run(args: &Args, out: Out) -> Result {
    if args.wants("first_output") {
        out(first_output(args)?);
    }
    if args.wants("idle") {
        let child = Child::start(args, &[])?;
        out(child.watch("idle", args, args.seconds(IDLE))?);
    }
    if args.wants("load") {
        let (rate, seconds) = (args.rates(&[200_000])[0], args.seconds(5.0));
        // The feed lives a little longer than it is watched.
        let feed = Feed::start(args, rate, seconds + 1.0, false)?;
        let mut child = Child::start(args, &["--port".into(), feed.port.to_string()])?;
        child.helper.hear("first")?;
        out(child.watch("load", args, seconds)?.more("asked_per_s", rate));
    }
    Ok(())
}

fn first_output(args: &Args) -> Result<Row> {
    let (mut started_ms, mut first_ms) = (Vec::new(), Vec::new());
    let (mut spent, rounds) = (Spent::default(), args.rounds(5));
    for round in 0..rounds {
        // Batch times are multiples of the interval, and a round ends just after one: begin each at another phase.
        thread::sleep(Duration::from_millis(interval_ms(args)).mul_f64(round as f64 / rounds as f64));
        let begun = Instant::now();
        let mut child = Child::start(args, &["--rates".into(), "1000".into()])?;
        started_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        child.helper.hear("first")?;
        let wall_s = begun.elapsed().as_secs_f64();
        first_ms.push(wall_s * 1e3);
        let process = child.helper.process();
        spent = spent + Spent { wall_s, cpu_s: process.cpu_s(), peak_rss_mb: process.peak_rss_mb() };
    }
    Ok(Row::new("W7", "first_output", args.threads(), rounds as u64, spent)
        .result("outputs", rounds)
        .more("interval_ms", interval_ms(args))
        .more("started_ms", median(&mut started_ms))
        .more("first_output_ms", median(&mut first_ms))
        .more("first_output_ms_max", percentile(&mut first_ms, 100)))
}

fn interval_ms(args: &Args) -> u64 {
    args.interval_ms.unwrap_or(200)
}

/// The program that is looked at, started.
struct Child {
    helper: Helper,
}
impl Child {
    fn start(args: &Args, more: &[String]) -> Result<Self> {
        let (threads, interval) = (args.threads().to_string(), interval_ms(args).to_string());
        let common = ["w7-child".into(), "--threads".into(), threads, "--interval-ms".into(), interval];
        let mut helper = Helper::start(common.into_iter().chain(more.iter().cloned()))?;
        helper.hear("started")?;
        Ok(Child { helper })
    }
    /// Its memory and processor time over the next `seconds`.
    fn watch(&self, variant: &str, args: &Args, seconds: f64) -> Result<Row> {
        let process = self.helper.process();
        let cpu = process.cpu_s();
        // What an idle process costs is seen by letting it be idle.
        thread::sleep(Duration::from_secs_f64(seconds));
        let spent = Spent { wall_s: seconds, cpu_s: process.cpu_s() - cpu, peak_rss_mb: process.peak_rss_mb() };
        let batches = (seconds * 1e3 / interval_ms(args) as f64) as u64;
        let row = Row::new("W7", variant, args.threads(), batches, spent);
        Ok(row.more("interval_ms", interval_ms(args)).more("rss_mb", process.rss_mb()))
    }
}

/// The program itself: a word count of what comes from `--port`, or from itself, at `--rates` lines a second or never.
pub(crate) fn child(args: &Args, _: Out) -> Result {
    let port = match args.port {
        Some(port) => port,
        None => serve(args.rates(&[0])[0])?,
    };
    let ssc = StreamingContext::from_conf(words::conf(args.threads()), milliseconds(interval_ms(args)))?;
    let mut is_first = true;
    words::count_stream(&ssc.socket_text_stream("127.0.0.1", port)).foreach_rdd(move |counts, _| {
        if counts.count()? > 0 && std::mem::take(&mut is_first) {
            println!("first");
        }
        Ok(())
    });
    ssc.start()?;
    println!("started");
    Ok(ssc.await_termination()?)
}

/// Serves a little text to one client; says where.
fn serve(rate: u64) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let serve = move || -> Result {
        let (client, _) = listener.accept()?;
        if rate > 0 {
            return write_lines(client, rate);
        }
        // For as long as the process lives, whatever wakes it; the client stays connected.
        loop {
            thread::park();
        }
    };
    // It ends with the process.
    thread::Builder::new().name("text-server".into()).spawn(serve)?;
    Ok(port)
}
fn write_lines(mut client: TcpStream, rate: u64) -> Result {
    let mut text = Vec::new();
    corpus::generate(10_000, 1000, &mut text)?;
    let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    loop {
        for line in lines.iter().cycle().take((rate / 100).max(1) as usize) {
            client.write_all(line)?;
        }
        // A trickle: there is always a line when a batch is due.
        thread::sleep(Duration::from_millis(10));
    }
}
