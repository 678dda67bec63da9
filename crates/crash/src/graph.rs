//! The graph: three sources, both stateful operators, windows over what went in and over state, an output for each of
//! them, and two sinks.

use std::path::Path;

use winterbourne::{
    DStream, FileSink, SparkConf, SparkContext, State, StateSpec, StreamingContext, Text, milliseconds,
};

use crate::out::{Out, say};
use crate::sources::{Numbered, Tape};

/// Between batches, in milliseconds.
const INTERVAL: u64 = 20;
/// Batches in a window.
const WINDOW: u64 = 5;
/// And in the one over what a stateful operator gave.
const LATELY: u64 = 3;
/// Batches in a file of the second sink.
const PERIOD: u64 = 4;
/// Every so many batches the first attempt fails at its last output, so that there is something to undo.
const FAILS: u64 = 7;

pub(crate) fn build(directory: &Path, port: u16) -> winterbourne::streaming::Result<StreamingContext> {
    let conf = SparkConf::empty()
        .set_app_name("victim")
        .set_master("local[2]")
        .set("spark.streaming.batch.onFailure", "stop")
        .set("spark.streaming.maxQueuedBatches", "100000")
        // What a batch holds is to follow from what came, and not from how fast the machine is.
        .set("spark.streaming.backpressure.enabled", false)
        .set("spark.streaming.recovery.maxCatchUp", "100000")
        .set("spark.streaming.receiver.writeAheadLog.rollingIntervalSecs", "100ms")
        .set("spark.streaming.receiverRestartDelay", "20ms")
        // Every second story, more or less, with outputs side by side: a story has one port.
        .set("spark.streaming.concurrentJobs", 1 + 2 * (port % 2));
    let sc = SparkContext::new(conf)?;
    let ssc = StreamingContext::new(&sc, milliseconds(INTERVAL))?;

    let received = ssc.receiver_stream(Numbered { port }).uid("received");
    let files = ssc.text_file_stream(directory.join("files")).uid("files").map(|line: Text| line.to_string());
    let tape = ssc.input_stream("tape", Tape::open(&directory.join("tape"))?).uid("tape");
    let all = ssc.union(&[received, files, tape]);

    let out = Out::new(directory.join("out"));
    begin(&ssc, &all, &out);
    // A directory for each source, and files of a few records.
    let source = |id: &String| id.get(..1).unwrap_or("?").to_owned();
    let sink = FileSink::json(directory.join("sink")).partition_by("source", source).roll_after(48);
    all.write_to("sink", sink);
    let every = milliseconds(INTERVAL * PERIOD);
    let sink = FileSink::json(directory.join("rolls")).partition_by("source", source).roll_every(every).roll_after(240);
    all.write_to("rolls", sink);
    out.each("window", &all.window(milliseconds(INTERVAL * WINDOW)), Clone::clone);
    let counts = all
        .map(|id| (id, 1_u64))
        .update_state_by_key_in(|new: Vec<u64>, old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()), 3)
        .checkpoint(milliseconds(INTERVAL * 2))
        .uid("counts");
    out.each("counts", &counts, |(id, n)| format!("{id} {n}"));
    let sums = all
        .map(|id| split(&id))
        .map_with_state(StateSpec::function(sum).num_partitions(2))
        .checkpoint(milliseconds(INTERVAL * 2))
        .uid("sums");
    out.each("totals", &sums, Clone::clone);
    out.each("lately", &sums.window(milliseconds(INTERVAL * LATELY)), Clone::clone);
    out.each("sums", &sums.state_snapshots(), |(key, (n, sum))| format!("{key} {n} {sum}"));
    let mut failed = None;
    all.foreach_rdd(move |_, time| {
        if (time.as_millis() / INTERVAL).is_multiple_of(FAILS) && failed.replace(time) != Some(time) {
            return Err("the first attempt fails on purpose".into());
        }
        Ok(())
    });
    Ok(ssc)
}

/// Writes what belongs to a batch, and tells the harness where the stream stands.
fn begin(ssc: &StreamingContext, all: &DStream<String>, out: &Out) {
    let (ssc, out) = (ssc.clone(), out.clone());
    all.foreach_rdd(move |rdd, time| {
        let ids = rdd.collect()?;
        let n = ids.len();
        out.write("all", time, ids)?;
        let (sequence, receipt) = ssc.status().durable.map_or((0, 0), |d| (d.sequence, d.receipt));
        say(format_args!("batch {} {sequence} {receipt} {n}", time.as_millis()));
        Ok(())
    });
}

/// A record is a letter for its source and a number: `r17`. Its key is the letter and the last digit.
fn split(id: &str) -> (String, u64) {
    let number: u64 = id.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (format!("{}{}", id.get(..1).unwrap_or("?"), number % 10), number)
}

/// How many records the key had, and the sum of their numbers. Gives out the former, which does not depend on the order
/// within a batch.
fn sum(key: &String, number: Option<u64>, total: &mut State<'_, (u64, u64)>) -> String {
    let (n, sum) = total.get().copied().unwrap_or((0, 0));
    let n = n + u64::from(number.is_some());
    total.update((n, sum + number.unwrap_or(0)));
    format!("{key} {n}")
}
