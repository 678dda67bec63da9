//! [`Receiver`]: the trait users write their own sources with. Refuses to say how records are kept.

use winterbourne_engine::{BoxError, Data};

use super::Intake;

/// A source whose records arrive by themselves: a socket, a queue, a device.
///
/// ```
/// use winterbourne_streaming::BoxError;
/// use winterbourne_streaming::receive::{Intake, Receiver};
///
/// /// Counts down, then ends.
/// struct Countdown {
///     next: u32,
/// }
///
/// impl Receiver<u32> for Countdown {
///     fn receive(&mut self, intake: &Intake<u32>) -> Result<(), BoxError> {
///         while self.next > 0 {
///             intake.store(self.next)?; // waits while buffers are full; an error when it is time to return
///             self.next -= 1;
///         }
///         Ok(())
///     }
/// }
///
/// assert_eq!(Countdown { next: 3 }.name(), "Countdown");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a receiver of `{T}`",
    note = "implement `Receiver<{T}>`: its only required method is `receive(&mut self, intake: &Intake<{T}>)`"
)]
pub trait Receiver<T: Data>: Send + 'static {
    /// Receives and stores until there is nothing more to receive.
    ///
    /// Runs on a thread of its own. It may block for ever: every other receiver and every task goes on (threads are not
    /// task slots). To be stopped while it blocks, let [`Intake::on_stop`] end what it blocks in; otherwise look at
    /// [`Intake::is_stopped`] from time to time. An intake is good for one call only: when the call has returned,
    /// threads that still hold a clone of it are told that they are stopped.
    ///
    /// `Ok` means that the source has ended. After an error or a panic it is called again, on the same value, when
    /// `spark.streaming.receiverRestartDelay` is over, or up to 16 times that while runs fail without storing anything;
    /// what it stored is kept. Threads that hold a clone of the intake end a run with [`Intake::restart`] or
    /// [`Intake::stop`].
    ///
    /// # Errors
    ///
    /// Whatever ends this run but may work later: no connection, a connection lost. Shown in
    /// [`ReceiverInfo::last_error`](super::ReceiverInfo::last_error), together with its sources. After a stop, errors
    /// count for nothing, so `?` after `store` is fine.
    fn receive(&mut self, intake: &Intake<T>) -> Result<(), BoxError>;

    /// What states and logs call it; the id of the stream is added. By default the name of the type.
    fn name(&self) -> String {
        short_name(std::any::type_name::<Self>()).to_owned()
    }
}

/// `a::b::C<d::E>` is `C`.
fn short_name(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_name_has_neither_path_nor_parameters() {
        for (path, expect) in [("a::b::C<d::E>", "C"), ("C", "C"), ("a::C<b::D<e::F>>", "C"), ("", "")] {
            assert_eq!(short_name(path), expect, "{path}");
        }
    }
}
