//! The thread of a receiver: calls it, and does what the supervisor decides. Refuses to decide anything itself.
//!
//! The thread ends when the source has ended, or after a stop:
//! 1. the stop is noted: the intake takes nothing more, and its hooks end what the receiver blocks in;
//! 2. whoever waits (for room, for the next attempt) wakes up and finds that it is over;
//! 3. the receiver returns, and what it returns counts for nothing;
//! 4. the thread says that it is finished. If it takes too long, `join` abandons it: it ends when the receiver returns.

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use winterbourne_engine::Data;

use super::stream::ReceiverStream;
use super::supervisor::{Event, Next};
use super::{Intake, Receiver};

/// The body of the thread.
pub(super) fn run<T: Data>(stream: &Arc<ReceiverStream<T>>) {
    let _finishing = Finishing(stream);
    let Some(mut receiver) = stream.take_receiver() else { return };
    let mut seen = stream.seen();
    let mut next = stream.step(Event::Launched);
    loop {
        let event = match next {
            Next::Run => Event::Returned(attempt(&mut *receiver, &stream.intake())),
            Next::Wait(until) => {
                stream.wait(seen, until);
                Event::Due
            }
            Next::Finish => return,
        };
        // SUBTLE: before the step that looks, so that a stop in between cuts the wait short.
        seen = stream.seen();
        next = stream.step(event);
    }
}

/// Says that the thread is finished, also if a listener panicked on it.
struct Finishing<'a, T: Data>(&'a ReceiverStream<T>);

impl<T: Data> Drop for Finishing<'_, T> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// One call of the receiver; the text of what went wrong.
fn attempt<T: Data>(receiver: &mut dyn Receiver<T>, intake: &Intake<T>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(|| receiver.receive(intake))) {
        Ok(result) => result.map_err(|error| with_sources(&*error)),
        Err(payload) => Err(format!("panicked: {}", panic_text(&*payload))),
    }
}

/// The message of an error and of what caused it, as far as the message does not say it itself.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = cause.source();
    }
    text
}

pub(super) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    text.unwrap_or("(a payload that is not text)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] io::Error);

    #[test]
    fn a_message_tells_its_causes_once() {
        for (outer, expect) in [("cannot read", "cannot read: gone"), ("cannot read: gone", "cannot read: gone")] {
            assert_eq!(with_sources(&Outer(outer, io::Error::other("gone"))), expect);
        }
    }

    #[test]
    fn a_panic_has_a_text() {
        for (payload, expect) in [
            (Box::new("a") as Box<dyn Any + Send>, "a"),
            (Box::new("b".to_owned()), "b"),
            (Box::new(7), "(a payload that is not text)"),
        ] {
            assert_eq!(panic_text(&*payload), expect);
        }
    }
}
