//! Is the stream behind, does it catch up, and if not, why? [`Trend`] decides from the batches that are done; [`Cause`] and
//! [`SlowStage`] say it. Pure: it refuses to know a clock, a job or a listener.
use std::{collections::VecDeque, fmt};

/// Batches that are looked at, and how many it takes to call something a trend.
const RECENT: usize = 8;
const FEW: usize = 4;
/// In so many batches one after the other the source had to wait: that is no burst any more.
const LONG: u64 = 10;

/// Why a stream falls behind.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Cause {
    /// Batches take longer than the interval, whatever comes in. Otherwise they are in time, and the sources bring more
    /// than they can process: it waits in the source.
    pub batches_too_slow: bool,
    /// Task time for each unit of processing time: 1 is one thread that was busy all the time. Little means that the
    /// time goes elsewhere: to closures on the driver, to sinks, to the log. None until a batch was watched.
    pub busy_threads: Option<f64>,
    /// The stage that takes most of the time of tasks, once a batch was watched.
    pub stage: Option<SlowStage>,
}

/// The stage that takes most of the time, over the batches since the stream fell behind; later ones weigh more.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SlowStage {
    /// Its last operator, and that one's place in the program.
    pub name: String,
    /// Its share of the time of all tasks.
    pub share: f64,
    /// How many tasks it has.
    pub tasks: usize,
    /// The partition that takes longest.
    pub partition: usize,
    /// How much longer that takes than the median of the others. 1 where there is no other.
    pub times_slower: f64,
    /// How many times as many records it reads as the median of the others. Much more than 1: a few keys have most of the
    /// records. Near 1, but slow: its records cost more.
    pub times_larger: f64,
}

impl SlowStage {
    /// Whether one partition holds the others up: it takes more than twice as long as they do.
    pub fn is_skewed(&self) -> bool {
        self.tasks > 1 && self.times_slower > 2.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.batches_too_slow {
            true => "batches take longer than the interval",
            false => "the sources bring more than the batches can process",
        })?;
        if self.busy_threads.is_some_and(|busy| busy < 0.5) {
            f.write_str("; most of the time no task runs: it goes to closures on the driver, to sinks or to the log")?;
        }
        match &self.stage {
            Some(stage) => write!(f, "; {stage}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SlowStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} % of the time of tasks is in {}", self.share * 100.0, self.name)?;
        if !self.is_skewed() {
            return Ok(());
        }
        let Self { partition, tasks, times_slower, times_larger, .. } = self;
        write!(f, ", whose partition {partition} of {tasks} takes {times_slower:.1} times as long as others: ")?;
        match *times_larger > 2.0 {
            true => write!(f, "it has {times_larger:.1} times as many records (a few keys have most of them)"),
            false => f.write_str("its records cost more, there are not more of them"),
        }
    }
}

/// What is known when a batch is done. Times are in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) done_us: u64,
    pub(crate) processing_us: u64,
    /// Records that are in the sources and in no batch, as far as inputs know.
    pub(crate) backlog: u64,
    /// How often receivers had to wait for batches, since the start.
    pub(crate) stalls: u64,
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    InTime,
    /// It will be in time in so many microseconds from the last batch on, if that can be told.
    CatchingUp {
        in_us: Option<u64>,
    },
    FallingBehind {
        batches_too_slow: bool,
    },
}

/// The last batches.
#[derive(Debug)]
pub(crate) struct Trend {
    interval_us: u64,
    recent: VecDeque<Observed>,
    /// Batches during which a receiver had to wait, with at most one in between during which none had to; and how many
    /// have passed since.
    stalled: u64,
    quiet: u64,
}

impl Trend {
    pub(crate) fn new(interval_us: u64) -> Self {
        Self { interval_us: interval_us.max(1), recent: VecDeque::new(), stalled: 0, quiet: 0 }
    }

    pub(crate) fn observe(&mut self, batch: Observed) {
        let before = self.recent.back().map_or(0, |last| last.stalls);
        (self.stalled, self.quiet) = match batch.stalls > before {
            true => (self.stalled + 1, 0),
            // A wait that ends while its batch is noted is counted for one or the other.
            false if self.quiet == 0 => (self.stalled, 1),
            false => (0, self.quiet + 1),
        };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(batch);
    }

    /// Records that wait in the sources.
    pub(crate) fn backlog(&self) -> u64 {
        self.recent.back().map_or(0, |last| last.backlog)
    }

    /// `waiting`: batches that are due and have not begun.
    pub(crate) fn verdict(&self, waiting: u64) -> Verdict {
        let (Some(first), Some(last)) = (self.recent.front(), self.recent.back()) else {
            return if waiting > 0 { Verdict::CatchingUp { in_us: None } } else { Verdict::InTime };
        };
        if waiting == 0 && last.backlog == 0 && self.stalled == 0 {
            return Verdict::InTime;
        }
        let usual_us = self.usual_us();
        let batches_too_slow = usual_us > self.interval_us;
        let is_trend = self.recent.len() >= FEW;
        let grows = last.backlog > 0 && last.backlog >= first.backlog;
        if is_trend && (batches_too_slow && waiting > 0 || grows || self.stalled >= LONG) {
            return Verdict::FallingBehind { batches_too_slow: batches_too_slow && waiting > 0 };
        }
        let late_us = waiting * self.interval_us;
        let spare_us = self.interval_us.saturating_sub(usual_us);
        let by_time =
            || Some(u64::try_from(u128::from(late_us) * u128::from(self.interval_us) / u128::from(spare_us)).ok());
        let until_in_time = if late_us == 0 {
            Some(0)
        } else if spare_us == 0 {
            None
        } else {
            by_time().flatten()
        };
        let gone = first.backlog.saturating_sub(last.backlog);
        let passed_us = last.done_us.saturating_sub(first.done_us);
        let until_none_waits = match (last.backlog, gone) {
            (0, _) => Some(0),
            (_, 0) => None,
            (left, gone) => u64::try_from(u128::from(left) * u128::from(passed_us) / u128::from(gone)).ok(),
        };
        let known = until_in_time.zip(until_none_waits).filter(|_| self.stalled == 0);
        Verdict::CatchingUp { in_us: known.map(|(a, b)| a.max(b)) }
    }

    /// The median.
    fn usual_us(&self) -> u64 {
        let mut all: Vec<u64> = self.recent.iter().map(|batch| batch.processing_us).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// Batches of a second that are done every second, each given as what it took in milliseconds, the records behind, and
    /// the stalls so far; then how many wait.
    fn after(batches: &[(u64, u64, u64)], waiting: u64) -> Verdict {
        let mut trend = Trend::new(SECOND);
        for (i, &(took_ms, backlog, stalls)) in batches.iter().enumerate() {
            let processing_us = took_ms * 1_000;
            trend.observe(Observed { done_us: i as u64 * SECOND, processing_us, backlog, stalls });
        }
        trend.verdict(waiting)
    }

    #[test]
    fn what_is_said_of_the_last_batches() {
        let soon = |seconds: u64| Verdict::CatchingUp { in_us: Some(seconds * SECOND) };
        let some_day = Verdict::CatchingUp { in_us: None };
        let too_slow = Verdict::FallingBehind { batches_too_slow: true };
        let too_much = Verdict::FallingBehind { batches_too_slow: false };
        let all = |n: usize, of: (u64, u64, u64)| vec![of; n];
        let falling = |left: [u64; 5]| left.map(|left| (900, left, 0)).to_vec();
        for (name, batches, waiting, expect) in [
            ("nothing is known", vec![], 0, Verdict::InTime),
            ("nothing is known, one waits", vec![], 1, some_day),
            ("in time", all(8, (900, 0, 0)), 0, Verdict::InTime),
            ("half a second to spare in each, two wait", all(8, (500, 0, 0)), 2, soon(4)),
            ("one was slow", [all(7, (500, 0, 0)), vec![(9_000, 0, 0)]].concat(), 2, soon(4)),
            ("too few to say", all(3, (1_500, 0, 0)), 2, some_day),
            ("all are slow", all(4, (1_500, 0, 0)), 1, too_slow),
            ("all are slow, but none waits", all(8, (1_500, 0, 0)), 0, Verdict::InTime),
            ("the backlog shrinks by 100 a second", falling([900, 800, 700, 600, 500]), 0, soon(5)),
            ("the backlog grows", falling([500, 600, 700, 800, 900]), 0, too_much),
            ("the backlog stays", falling([500; 5]), 0, too_much),
            ("a burst: a receiver waits", (0..5).map(|i| (900, 0, i)).collect(), 0, some_day),
            ("a flood: it waits all the time", (0..12).map(|i| (900, 0, i)).collect(), 0, too_much),
            ("it waited once", (0..12).map(|i| (900, 0, i.min(5))).collect(), 0, Verdict::InTime),
        ] {
            assert_eq!(after(&batches, waiting), expect, "{name}");
        }
    }

    #[test]
    fn causes_are_told_in_words() {
        let stage = |times_slower, times_larger| SlowStage {
            name: "map at src/main.rs:7:9".into(),
            share: 0.8,
            tasks: 4,
            partition: 2,
            times_slower,
            times_larger,
        };
        let say = |stage| Cause { batches_too_slow: true, busy_threads: Some(0.9), stage: Some(stage) }.to_string();
        let begin = "batches take longer than the interval; 80 % of the time of tasks is in map at src/main.rs:7:9";
        assert_eq!(say(stage(1.2, 1.0)), begin);
        let skewed = ", whose partition 2 of 4 takes 9.0 times as long as others: ";
        let many = "it has 8.0 times as many records (a few keys have most of them)";
        assert_eq!(say(stage(9.0, 8.0)), format!("{begin}{skewed}{many}"));
        assert!(say(stage(9.0, 1.0)).ends_with("its records cost more, there are not more of them"));
        let driver = Cause { busy_threads: Some(0.1), ..Cause::default() }.to_string();
        assert!(driver.starts_with("the sources bring more") && driver.contains("no task runs"), "{driver}");
    }
}
