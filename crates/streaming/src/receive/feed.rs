//! Receivers of what is in this process already: an iterator, a channel, standard input. Nobody can interrupt what those
//! wait in, so each is read on a thread beside the receiver's, which a stop does not wait for. Refuses to know a socket.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use winterbourne_base::thread;
use winterbourne_engine::{BoxError, CHUNK, Data, Text};

use super::run::panic_text;
use super::socket::{LinesEnd, read_lines};
use super::{Intake, Receiver};

/// Bytes at which records that wait already are enough to be stored together: what is taken out of a channel is in memory
/// and not counted yet.
const TOGETHER: usize = 64 << 10;

/// Runs `feed` on a thread of its own until it ends or the receiver is told to stop. Then the intake takes nothing more,
/// so that the thread ends when it stores the next time.
fn beside<T: Data>(
    intake: &Intake<T>,
    feed: impl FnOnce(&Intake<T>) -> Result<(), BoxError> + Send + 'static,
) -> Result<(), BoxError> {
    let (done, ended) = mpsc::channel();
    let stopped = done.clone();
    // Who does not listen any more needs no word.
    intake.on_stop(move || drop(stopped.send(Ok(()))));
    let theirs = intake.clone();
    let name = format!("receiver-{}-feed", intake.stream_id());
    thread::spawn(&name, move || {
        let result = catch_unwind(AssertUnwindSafe(|| feed(&theirs)));
        // SUBTLE: before the end is told, as it ends the run.
        drop(theirs);
        let _ = done.send(result.unwrap_or_else(|payload| Err(format!("panicked: {}", panic_text(&*payload)).into())));
    })?;
    ended.recv()?
}

/// The records of an iterator.
pub(crate) struct IteratorReceiver<I>(Option<I>);

impl<I> IteratorReceiver<I> {
    pub(crate) fn new(records: I) -> Self {
        Self(Some(records))
    }
}

impl<T: Data, I: Iterator<Item = T> + Send + 'static> Receiver<T> for IteratorReceiver<I> {
    fn receive(&mut self, intake: &Intake<T>) -> Result<(), BoxError> {
        let Some(records) = self.0.take() else { return Err("the iterator panicked: it gives nothing more".into()) };
        beside(intake, move |intake| {
            for record in records {
                intake.store(record)?;
            }
            Ok(())
        })
    }

    fn name(&self) -> String {
        "IteratorReceiver".into()
    }
}

/// The records of a channel.
pub(crate) struct ChannelReceiver<T>(Option<mpsc::Receiver<T>>);

impl<T> ChannelReceiver<T> {
    pub(crate) fn new(records: mpsc::Receiver<T>) -> Self {
        Self(Some(records))
    }
}

impl<T: Data> Receiver<T> for ChannelReceiver<T> {
    fn receive(&mut self, intake: &Intake<T>) -> Result<(), BoxError> {
        let Some(records) = self.0.take() else { return Ok(()) };
        beside(intake, move |intake| {
            while let Ok(first) = records.recv() {
                let mut bytes = intake.weight(std::slice::from_ref(&first));
                let mut together = vec![first];
                // What waits already comes along.
                while together.len() < CHUNK
                    && bytes < TOGETHER
                    && let Ok(next) = records.try_recv()
                {
                    bytes += intake.weight(std::slice::from_ref(&next));
                    together.push(next);
                }
                intake.store_sized(together, bytes)?;
            }
            Ok(())
        })
    }

    fn name(&self) -> String {
        "ChannelReceiver".into()
    }
}

/// The lines of standard input.
pub(crate) struct StdinReceiver;

impl Receiver<Text> for StdinReceiver {
    fn receive(&mut self, intake: &Intake<Text>) -> Result<(), BoxError> {
        beside(intake, |intake| match read_lines(&mut io::stdin().lock(), intake)? {
            LinesEnd::Closed => Ok(()),
            LinesEnd::Broken(error, _) => Err(format!("Error reading standard input: {error}").into()),
        })
    }
}
