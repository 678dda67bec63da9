//! [`Supervisor`]: what becomes of a receiver whose run ended. Decides only: it refuses to call, wait or log.

use winterbourne_base::time::milliseconds;
use winterbourne_base::{Duration, Time};

use super::ReceiverState;

/// The life of one receiver.
///
/// ```text
/// Starting ── Launched ──▶ Active ── Returned(Ok) ──▶ Ended
///    │                     │    ▲
///    │      Returned(Err)  ▼    │ Due
///    └─ Stop ─┐         Restarting                    Active, stopping ── Returned ──▶ Stopped
///             ▼            │                                   └── GaveUp ──▶ Abandoned ── Returned ──▶ Stopped
///          Stopped ◀─ Stop ┘
/// ```
///
/// The delay before a restart doubles from failure to failure, and is as configured again after a run that stored something.
/// A receiver that asks for its stop or restart is one that returned in time, or failed.
#[derive(Debug)]
pub(super) struct Supervisor {
    state: ReceiverState,
    stopping: bool,
    last_error: Option<(String, Time)>,
    restarts: u64,
    restart_delay: Duration,
    /// Runs that failed without storing anything, since the last one that did.
    in_vain: u32,
    /// What was received before this run.
    began_with: u64,
    /// The run is to end as a failure, as the receiver asked for it.
    restart_asked: bool,
}

/// The longest delay before a restart is the configured one, doubled so often.
const DOUBLED: u32 = 4;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The thread runs.
    Launched,
    /// A run is over, by itself or by a failure.
    Returned(Result<(), String>),
    /// The receiver reported an error and goes on.
    Reported(String),
    /// The receiver says that it shall stop for good, and why.
    StopAsked(String),
    /// The receiver says that it shall be called again after the delay, and why.
    RestartAsked(String),
    /// The thread has waited: is it time?
    Due,
    /// The receiver shall stop.
    Stop,
    /// Nobody waits for its thread any longer.
    GaveUp,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// What listeners are told.
    pub(super) tell: Option<Tell>,
    /// Whether somebody who waits for a new state should look.
    pub(super) changed: bool,
    /// What the thread does next; only its own events ask for it.
    pub(super) next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    Started,
    Error,
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Call the receiver.
    Run,
    /// Wait until then or until something changes, then say [`Event::Due`].
    Wait(Time),
    /// End the thread.
    Finish,
}

impl Supervisor {
    pub(super) fn new(restart_delay: Duration) -> Self {
        let state = ReceiverState::Starting;
        // Without any delay a receiver that fails at once would be a busy loop.
        let restart_delay = restart_delay.max(milliseconds(1));
        Self {
            state,
            stopping: false,
            last_error: None,
            restarts: 0,
            restart_delay,
            in_vain: 0,
            began_with: 0,
            restart_asked: false,
        }
    }

    pub(super) fn state(&self) -> ReceiverState {
        self.state
    }

    pub(super) fn last_error(&self) -> Option<&(String, Time)> {
        self.last_error.as_ref()
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Nothing more is taken in: the source has ended, or the receiver was told to stop.
    pub(super) fn has_ended(&self) -> bool {
        self.stopping || self.state == ReceiverState::Ended
    }

    /// `received` is how many records there were so far, in all runs.
    pub(super) fn step(&mut self, event: Event, received: u64, now: Time) -> Decision {
        let before = (self.state, self.stopping, self.restart_asked);
        let tell = match event {
            Event::Launched | Event::Due => self.run_if_due(received, now),
            Event::Returned(result) => self.returned(result, received, now),
            Event::Reported(message) => {
                self.last_error = Some((message, now));
                Some(Tell::Error)
            }
            Event::StopAsked(message) => {
                self.last_error = Some((message, now));
                self.stop()
            }
            Event::RestartAsked(message) => {
                self.last_error = Some((message, now));
                self.restart_asked = self.state == ReceiverState::Active;
                None
            }
            Event::Stop => self.stop(),
            Event::GaveUp => self.give_up(),
        };
        let changed = before != (self.state, self.stopping, self.restart_asked);
        Decision { tell, changed, next: self.next() }
    }

    fn run_if_due(&mut self, received: u64, now: Time) -> Option<Tell> {
        match self.state {
            ReceiverState::Starting => {}
            ReceiverState::Restarting { at } if at <= now => self.restarts += 1,
            _ => return None,
        }
        self.state = ReceiverState::Active;
        self.began_with = received;
        Some(Tell::Started)
    }

    fn returned(&mut self, result: Result<(), String>, received: u64, now: Time) -> Option<Tell> {
        let told_already = self.state == ReceiverState::Abandoned;
        let asked = std::mem::take(&mut self.restart_asked);
        self.state = match result {
            _ if self.stopping => ReceiverState::Stopped,
            // The message was given with the wish.
            _ if asked => ReceiverState::Restarting { at: now + self.delay(received) },
            Ok(()) => ReceiverState::Ended,
            Err(message) => {
                self.last_error = Some((message, now));
                ReceiverState::Restarting { at: now + self.delay(received) }
            }
        };
        (!told_already).then_some(Tell::Stopped)
    }

    /// Before the next run. A server that is away for long, or refuses, is not asked all the time.
    fn delay(&mut self, received: u64) -> Duration {
        if received > self.began_with {
            self.in_vain = 0;
        }
        let delay = self.restart_delay.as_millis().saturating_mul(1 << self.in_vain);
        self.in_vain = DOUBLED.min(self.in_vain + 1);
        milliseconds(delay)
    }

    /// The end of the last run was told already, so there is nothing to tell.
    fn stop(&mut self) -> Option<Tell> {
        self.stopping = true;
        if matches!(self.state, ReceiverState::Starting | ReceiverState::Restarting { .. }) {
            self.state = ReceiverState::Stopped;
        }
        None
    }

    fn give_up(&mut self) -> Option<Tell> {
        let abandoned = self.stopping && self.state == ReceiverState::Active;
        if abandoned {
            self.state = ReceiverState::Abandoned;
        }
        abandoned.then_some(Tell::Stopped)
    }

    fn next(&self) -> Next {
        match self.state {
            ReceiverState::Starting | ReceiverState::Active => Next::Run,
            ReceiverState::Restarting { at } => Next::Wait(at),
            ReceiverState::Ended | ReceiverState::Stopped | ReceiverState::Abandoned => Next::Finish,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReceiverState::{Abandoned, Active, Ended, Restarting, Starting, Stopped};

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn failed(message: &str) -> Event {
        Event::Returned(Err(message.to_owned()))
    }

    /// Events with their times, and the state, what is told and what is next after each. The delay is 2000 ms, and no run
    /// receives anything.
    fn check(steps: &[(u64, Event, ReceiverState, Option<Tell>, Next)]) -> Supervisor {
        let mut supervisor = Supervisor::new(milliseconds(2_000));
        assert_eq!(supervisor.state(), Starting);
        for (now, event, state, tell, next) in steps {
            let decision = supervisor.step(event.clone(), 0, at(*now));
            assert_eq!((supervisor.state(), decision.tell, decision.next), (*state, *tell, *next), "{now} {event:?}");
        }
        supervisor
    }

    #[test]
    fn a_source_that_ends_is_not_called_again() {
        let supervisor = check(&[
            (5, Event::Launched, Active, Some(Tell::Started), Next::Run),
            (9, Event::Returned(Ok(())), Ended, Some(Tell::Stopped), Next::Finish),
            (9, Event::Stop, Ended, None, Next::Finish),
            (9, Event::GaveUp, Ended, None, Next::Finish),
        ]);
        assert!(supervisor.has_ended());
    }

    #[test]
    fn a_failure_is_followed_by_a_run_after_the_delay_and_not_before() {
        let waiting = Restarting { at: at(2_010) };
        let supervisor = check(&[
            (5, Event::Launched, Active, Some(Tell::Started), Next::Run),
            (10, failed("no route"), waiting, Some(Tell::Stopped), Next::Wait(at(2_010))),
            (2_009, Event::Due, waiting, None, Next::Wait(at(2_010))),
            (2_010, Event::Due, Active, Some(Tell::Started), Next::Run),
            (2_011, failed("again"), Restarting { at: at(6_011) }, Some(Tell::Stopped), Next::Wait(at(6_011))),
        ]);
        assert_eq!(supervisor.last_error(), Some(&("again".to_owned(), at(2_011))));
        assert_eq!((supervisor.restarts(), supervisor.has_ended()), (1, false));
    }

    #[test]
    fn the_delay_doubles_up_to_a_bound_until_a_run_stores_something() {
        let mut supervisor = Supervisor::new(milliseconds(10));
        supervisor.step(Event::Launched, 0, at(0));
        // What was received by the end of each run, and the delay after it.
        for (received, delay) in
            [(0, 10), (0, 20), (0, 40), (0, 80), (0, 160), (0, 160), (0, 160), (1, 10), (1, 20), (5, 10), (6, 10)]
        {
            let next = supervisor.step(failed("x"), received, at(1_000)).next;
            assert_eq!(next, Next::Wait(at(1_000 + delay)), "{received}");
            supervisor.step(Event::Due, received, at(1_000 + delay));
        }
    }

    #[test]
    fn a_receiver_may_ask_to_be_stopped_or_called_again() {
        let launched = (0, Event::Launched, Active, Some(Tell::Started), Next::Run);
        let asked = |message: &str| Event::RestartAsked(message.to_owned());
        for end in [Event::Returned(Ok(())), failed("of the wish")] {
            let supervisor = check(&[
                launched.clone(),
                (1, asked("stale"), Active, None, Next::Run),
                (2, end.clone(), Restarting { at: at(2_002) }, Some(Tell::Stopped), Next::Wait(at(2_002))),
                (2_002, Event::Due, Active, Some(Tell::Started), Next::Run),
                (2_003, Event::Returned(Ok(())), Ended, Some(Tell::Stopped), Next::Finish),
            ]);
            assert_eq!((supervisor.last_error(), supervisor.restarts()), (Some(&("stale".to_owned(), at(1))), 1));
            let supervisor = check(&[
                launched.clone(),
                (1, Event::StopAsked("enough".to_owned()), Active, None, Next::Run),
                (2, end, Stopped, Some(Tell::Stopped), Next::Finish),
            ]);
            assert_eq!((supervisor.last_error(), supervisor.has_ended()), (Some(&("enough".to_owned(), at(1))), true));
        }
        check(&[
            launched,
            (1, asked("stale"), Active, None, Next::Run),
            (2, Event::Stop, Active, None, Next::Run),
            (3, Event::Returned(Ok(())), Stopped, Some(Tell::Stopped), Next::Finish),
        ]);
    }

    #[test]
    fn a_stop_ends_every_state() {
        let launched = (0, Event::Launched, Active, Some(Tell::Started), Next::Run);
        check(&[(0, Event::Stop, Stopped, None, Next::Finish), (0, Event::Launched, Stopped, None, Next::Finish)]);
        for end in [Event::Returned(Ok(())), failed("told to stop")] {
            let supervisor = check(&[
                launched.clone(),
                (1, Event::Stop, Active, None, Next::Run),
                (2, end, Stopped, Some(Tell::Stopped), Next::Finish),
            ]);
            assert_eq!(supervisor.last_error(), None);
        }
        check(&[
            launched.clone(),
            (1, failed("x"), Restarting { at: at(2_001) }, Some(Tell::Stopped), Next::Wait(at(2_001))),
            (2, Event::Stop, Stopped, None, Next::Finish),
            (2, Event::Due, Stopped, None, Next::Finish),
        ]);
        check(&[
            launched,
            (1, Event::GaveUp, Active, None, Next::Run),
            (1, Event::Stop, Active, None, Next::Run),
            (2, Event::GaveUp, Abandoned, Some(Tell::Stopped), Next::Finish),
            (3, Event::Returned(Ok(())), Stopped, None, Next::Finish),
        ]);
    }

    #[test]
    fn a_reported_error_changes_no_state() {
        let supervisor = check(&[
            (0, Event::Launched, Active, Some(Tell::Started), Next::Run),
            (7, Event::Reported("odd".to_owned()), Active, Some(Tell::Error), Next::Run),
        ]);
        assert_eq!(supervisor.last_error(), Some(&("odd".to_owned(), at(7))));
    }

    #[test]
    fn without_a_delay_there_is_still_a_pause() {
        let mut supervisor = Supervisor::new(Duration::ZERO);
        supervisor.step(Event::Launched, 0, at(5));
        assert_eq!(supervisor.step(failed("x"), 0, at(5)).next, Next::Wait(at(6)));
    }

    #[test]
    fn only_changes_are_announced() {
        let mut supervisor = Supervisor::new(milliseconds(10));
        let steps = [(Event::Launched, true), (Event::Stop, true), (Event::Stop, false), (Event::GaveUp, true)];
        for (event, changed) in steps {
            assert_eq!(supervisor.step(event.clone(), 0, at(0)).changed, changed, "{event:?}");
        }
    }
}
