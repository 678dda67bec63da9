//! [`Bell`]: a counter that can be waited on. Refuses to carry a message: whoever hears it looks at the facts.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Announces that a fact may have changed.
///
/// A handle: clones ring the same bell. A ring nobody waits for costs an uncontended lock and is not lost, because
/// waiters say which count they have seen.
///
/// ```
/// use winterbourne_base::clock::Bell;
///
/// let bell = Bell::new();
/// let elsewhere = bell.clone();
/// elsewhere.ring();
/// assert_eq!(bell.count(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Bell {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    /// How many threads wait: telling the kernel about a ring that nobody hears would be most of its cost.
    waiting: usize,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The bell was rung.
    Rung,
    /// The deadline has been reached, and the bell was not rung.
    Due,
}

/// How much longer a wait may last, as a clock answers [`Bell::wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// The deadline has been reached.
    Due,
    /// At most this long, then ask again.
    AtMost(Duration),
    /// Until somebody rings or nudges.
    Unlimited,
}

impl Bell {
    /// A bell that has never been rung.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one up and wakes every waiter.
    pub fn ring(&self) {
        let mut state = self.lock();
        state.count = state.count.wrapping_add(1);
        self.wake(&state);
    }

    /// How often it has been rung.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// Wakes every waiter without counting: each asks its clock again. For clocks, after their time changed.
    pub fn nudge(&self) {
        self.wake(&self.lock());
    }

    /// Blocks until the count is no longer `seen`, or `patience` says that it is due. For clocks.
    ///
    /// SUBTLE: `patience` is asked while the bell is locked. So a clock that first changes its time and then nudges
    /// cannot do both between the question and the sleep. In turn it must not ring, nudge or read this bell.
    pub fn wait(&self, seen: u64, mut patience: impl FnMut() -> Patience) -> Woken {
        let mut state = self.lock();
        loop {
            if state.count != seen {
                return Woken::Rung;
            }
            state = match patience() {
                Patience::Due => return Woken::Due,
                Patience::AtMost(time) => self.sleep(state, Some(time)),
                Patience::Unlimited => self.sleep(state, None),
            };
        }
    }

    /// Gives the lock up until somebody wakes this thread, or the time is over, or for no reason at all.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State>, at_most: Option<Duration>) -> MutexGuard<'a, State> {
        let changed = &self.shared.changed;
        state.waiting += 1;
        let mut state = match at_most {
            Some(time) => changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        state.waiting -= 1;
        state
    }

    /// Takes the proof that the state is locked, so that a waiter is either asleep or has not looked yet.
    fn wake(&self, state: &State) {
        if state.waiting > 0 {
            self.shared.changed.notify_all();
        }
    }

    /// Every update is a single assignment, so a poisoned state is still a valid one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
