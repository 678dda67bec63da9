//! [`ManualClock`]: time that stands still until somebody moves it. Refuses to move by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Bell, Clock, Patience, Woken};
use crate::time::{Duration, Time};

/// A clock that a test or a simulation moves by hand.
///
/// Moving it wakes every thread that is due, whichever bell it waits on. `nanos()` is the latest time shown so far,
/// in nanoseconds.
///
/// ```
/// use winterbourne_base::{Clock, ManualClock, Time};
/// use winterbourne_base::time::seconds;
///
/// let clock = ManualClock::new(Time::from_millis(10_000));
/// clock.advance(seconds(1));
/// assert_eq!(clock.now(), Time::from_millis(11_000));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<State>,
    /// Announces that a thread began to wait on this clock.
    arrived: Condvar,
}

#[derive(Debug)]
struct State {
    now: Time,
    latest: Time,
    next_waiter: u64,
    waiters: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    deadline: Option<Time>,
    bell: Bell,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Time) -> Arc<Self> {
        let state = State { now, latest: now, next_waiter: 0, waiters: BTreeMap::new() };
        Arc::new(Self { state: Mutex::new(state), arrived: Condvar::new() })
    }

    /// Moves the clock forward by `step` and wakes whoever is due.
    pub fn advance(&self, step: Duration) {
        self.change(|now| now + step);
    }

    /// Moves the clock to `time` and wakes whoever is due. An earlier time is allowed, as when a wall clock is set
    /// back; `nanos()` stays where it was then.
    pub fn set(&self, time: Time) {
        self.change(|_| time);
    }

    /// The earliest deadline that a thread waits for now: where a simulation would move the clock next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.lock().waiters.values().filter_map(|waiter| waiter.deadline).min()
    }

    /// Blocks until at least `count` threads wait on this clock, so that a test can move it knowing who will notice.
    pub fn await_waiting(&self, count: usize) {
        let mut state = self.lock();
        while state.waiters.len() < count {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, to: impl FnOnce(Time) -> Time) {
        let due: Vec<Bell> = {
            let mut state = self.lock();
            state.now = to(state.now);
            state.latest = state.latest.max(state.now);
            let now = state.now;
            state.waiters.values().filter(|waiter| waiter.is_due(now)).map(|waiter| waiter.bell.clone()).collect()
        };
        // SUBTLE: after the lock is gone, because a waiter locks in the other order: its bell, then the clock.
        for bell in due {
            bell.nudge();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    fn is_due(&self, now: Time) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        self.lock().now
    }

    fn nanos(&self) -> u64 {
        self.lock().latest.as_millis().saturating_mul(1_000_000)
    }

    /// SUBTLE: the waiter is listed before it looks at the time. A move before the listing is seen by the look; a
    /// move after it nudges the bell, which the look keeps locked until it sleeps.
    fn wait(&self, bell: &Bell, seen: u64, deadline: Option<Time>) -> Woken {
        let id = {
            let mut state = self.lock();
            let id = state.next_waiter;
            state.next_waiter += 1;
            state.waiters.insert(id, Waiter { deadline, bell: bell.clone() });
            self.arrived.notify_all();
            id
        };
        let woken = bell.wait(seen, || match deadline {
            Some(deadline) if deadline <= self.now() => Patience::Due,
            _ => Patience::Unlimited,
        });
        self.lock().waiters.remove(&id);
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::spawn;
    use crate::time::milliseconds;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn wakes_every_due_waiter_on_whichever_bell() {
        let clock = ManualClock::new(at(0));
        let threads: Vec<_> = (1..=4)
            .map(|n| {
                let clock = Arc::clone(&clock);
                spawn("waiter", move || (clock.wait(&Bell::new(), 0, Some(at(n * 10))), clock.now())).unwrap()
            })
            .collect();
        clock.await_waiting(4);
        assert_eq!(clock.next_deadline(), Some(at(10)));
        clock.advance(milliseconds(40));
        for thread in threads {
            assert_eq!(thread.join().unwrap(), (Woken::Due, at(40)));
        }
        assert_eq!(clock.next_deadline(), None);
    }

    #[test]
    fn leaves_those_waiting_who_are_not_due() {
        let clock = ManualClock::new(at(0));
        let (early, late) = (Bell::new(), Bell::new());
        let wait = |bell: &Bell, deadline| {
            let (clock, bell) = (Arc::clone(&clock), bell.clone());
            spawn("waiter", move || clock.wait(&bell, 0, deadline)).unwrap()
        };
        let (first, second, third) = (wait(&early, Some(at(5))), wait(&late, Some(at(9))), wait(&late, None));
        clock.await_waiting(3);
        clock.set(at(5));
        assert_eq!(first.join().unwrap(), Woken::Due);
        assert_eq!(clock.next_deadline(), Some(at(9)));
        late.ring();
        assert_eq!((second.join().unwrap(), third.join().unwrap()), (Woken::Rung, Woken::Rung));
    }

    #[test]
    fn time_may_be_set_back_but_measuring_goes_on() {
        let clock = ManualClock::new(at(7));
        clock.set(at(3));
        assert_eq!((clock.now(), clock.nanos()), (at(3), 7_000_000));
        clock.set(at(8));
        assert_eq!((clock.now(), clock.nanos()), (at(8), 8_000_000));
    }

    /// A lost wake-up would hang this test: each side moves on only when it heard the other.
    #[test]
    fn loses_no_ring_in_a_long_exchange() {
        const ROUNDS: u64 = 20_000;
        let clock = ManualClock::new(at(0));
        let (ping, pong) = (Bell::new(), Bell::new());
        let answering = {
            let (clock, ping, pong) = (Arc::clone(&clock), ping.clone(), pong.clone());
            spawn("answering", move || {
                for round in 0..ROUNDS {
                    assert_eq!(clock.wait(&ping, round, None), Woken::Rung);
                    pong.ring();
                }
            })
            .unwrap()
        };
        for round in 0..ROUNDS {
            ping.ring();
            assert_eq!(clock.wait(&pong, round, Some(at(1))), Woken::Rung);
        }
        answering.join().unwrap();
    }

    /// The same for time: the mover does not wait until the sleeper sleeps, so every interleaving gets its chance.
    #[test]
    fn loses_no_move_that_races_with_falling_asleep() {
        const ROUNDS: u64 = 20_000;
        let clock = ManualClock::new(at(0));
        let (bell, heard) = (Bell::new(), Bell::new());
        let sleeper = {
            let (clock, heard) = (Arc::clone(&clock), heard.clone());
            spawn("sleeper", move || {
                for round in 1..=ROUNDS {
                    assert_eq!(clock.wait(&bell, 0, Some(at(round))), Woken::Due);
                    heard.ring();
                }
            })
            .unwrap()
        };
        for round in 0..ROUNDS {
            clock.advance(milliseconds(1));
            assert_eq!(clock.wait(&heard, round, None), Woken::Rung);
        }
        sleeper.join().unwrap();
    }

    #[test]
    fn many_ringers_are_all_counted() {
        let (bell, clock) = (Bell::new(), ManualClock::new(at(0)));
        let ringers: Vec<_> = (0..4)
            .map(|_| {
                let bell = bell.clone();
                spawn("ringer", move || (0..1_000).for_each(|_| bell.ring())).unwrap()
            })
            .collect();
        let mut seen = bell.count();
        while seen < 4_000 {
            assert_eq!(clock.wait(&bell, seen, None), Woken::Rung);
            seen = bell.count();
        }
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
        assert_eq!(bell.count(), 4_000);
    }
}
