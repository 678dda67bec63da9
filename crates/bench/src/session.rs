//! [`Session`]: one stream of lines over a socket, from its start to its end, with every line accounted for.
use crate::{
    Result,
    args::Args,
    feed::{Feed, Sent},
    meter::{Spent, measure},
    words,
};
use std::sync::{Arc, Mutex, PoisonError};
use winterbourne::{
    DStream, Stop, StreamingContext, Text, milliseconds,
    streaming::{StreamingEvent, StreamingStatus},
};

/// What is to be streamed.
pub(crate) struct Session<'a> {
    pub(crate) args: &'a Args,
    pub(crate) interval_ms: u64,
    /// Lines per second, zero for as many as are taken; not asked of a sender that is there already.
    pub(crate) rate: u64,
    pub(crate) seconds: f64,
    pub(crate) stamp: bool,
    /// Whether every batch is to be told of.
    pub(crate) batches: bool,
}

/// When a batch was, and what it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    pub(crate) time_ms: u64,
    pub(crate) delay_us: u64,
    pub(crate) processing_us: u64,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) spent: Spent,
    /// Lines received, which is lines counted.
    pub(crate) lines: u64,
    /// What the sender did, if it is ours.
    pub(crate) sent: Option<Sent>,
    pub(crate) batches: Vec<Batch>,
    pub(crate) status: StreamingStatus,
}

impl Session<'_> {
    /// Runs the stream that `build` builds until the sender has closed and the last line is counted; with a sender that
    /// is there already, until the time is over.
    ///
    /// # Errors
    /// Also if a line was lost on the way.
    pub(crate) fn run(&self, build: impl FnOnce(&DStream<Text>)) -> Result<Outcome> {
        let feed = match self.args.port {
            None => Some(Feed::start(self.args, self.rate, self.seconds, self.stamp)?),
            Some(_) => None,
        };
        let port = feed.as_ref().map(|f| f.port).or(self.args.port).ok_or("no port")?;
        let conf = words::conf(self.args.threads()).set("spark.streaming.socket.reconnect", false);
        let ssc = StreamingContext::from_conf(conf, milliseconds(self.interval_ms))?;
        build(&ssc.socket_text_stream("127.0.0.1", port));
        let seen = Arc::<Mutex<Vec<Batch>>>::default();
        if self.batches {
            listen(&ssc, seen.clone());
        }
        let (ended, spent) = measure(|| -> Result<Option<Sent>> {
            ssc.start()?;
            let sent = match feed {
                Some(feed) => {
                    let sent = feed.finish()?;
                    ssc.await_termination()?;
                    Some(sent)
                }
                None => {
                    ssc.await_termination_or_timeout(std::time::Duration::from_secs_f64(self.seconds))?;
                    None
                }
            };
            ssc.stop(Stop::gracefully());
            Ok(sent)
        });
        let (sent, status) = (ended?, ssc.status());
        let lines = all_counted(&status, sent)?;
        let batches = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Outcome { spent, lines, sent, batches, status })
    }
}

fn listen(ssc: &StreamingContext, seen: Arc<Mutex<Vec<Batch>>>) {
    ssc.add_streaming_listener(move |event: &StreamingEvent| {
        if let StreamingEvent::BatchCompleted(info) = event {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(Batch {
                time_ms: info.time.as_millis(),
                delay_us: info.scheduling_delay_us,
                processing_us: info.processing_us,
            });
        }
    });
}

/// How many lines it was, if all who count agree.
fn all_counted(status: &StreamingStatus, sent: Option<Sent>) -> Result<u64> {
    let received: u64 = status.receivers.iter().map(|r| r.records).sum();
    let processed = status.processed_records;
    let sent = sent.map_or(received, |s| s.lines);
    if sent == received && received == processed {
        return Ok(processed);
    }
    Err(format!("lines were lost: {sent} sent, {received} received, {processed} processed").into())
}
