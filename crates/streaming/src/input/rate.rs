//! Numbers at a steady rate: a source that needs nothing outside of the program.
use super::{Input, InputLag, Planned, Tick};
use serde::{Deserialize, Serialize};
use winterbourne_base::{Duration, Time};
use winterbourne_engine::{BoxError, Rdd, SparkContext};

/// The numbers that are due until a batch's time. Which they are depends on times only, so a restart continues exactly.
pub(crate) struct RateInput {
    per_second: u64,
    batch: Duration,
    /// Since when numbers are due, how many were by then, and the next number.
    since: Option<(Time, u64)>,
    next: u64,
    /// Due, and in no batch yet.
    behind: u64,
}

/// The numbers `from..to`, and what says how many are due later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Due {
    from: u64,
    to: u64,
    /// Milliseconds, and the number that was the next one then.
    since: (u64, u64),
    per_second: u64,
    time: u64,
}

impl RateInput {
    pub(crate) fn new(per_second: u64) -> Self {
        RateInput { per_second, batch: Duration::ZERO, since: None, next: 0, behind: 0 }
    }
}
impl Input<u64> for RateInput {
    type Plan = Due;
    fn interval(&mut self, batch: Duration) {
        self.batch = batch;
    }
    fn plan(&mut self, tick: &Tick) -> Result<Option<Planned<Due>>, BoxError> {
        let (since, before) = *self.since.get_or_insert((tick.time - self.batch, self.next));
        let passed = tick.time.as_millis().saturating_sub(since.as_millis());
        let due = u128::from(self.per_second) * u128::from(passed) / 1000;
        // 2^64 numbers are enough for anybody.
        let all = before.saturating_add(u64::try_from(due).unwrap_or(u64::MAX)).max(self.next);
        let to = all.min(self.next.saturating_add(tick.limit.records.unwrap_or(u64::MAX)));
        self.behind = all - to;
        let from = std::mem::replace(&mut self.next, to);
        let time = tick.time.as_millis();
        let plan = Due { from, to, since: (since.as_millis(), before), per_second: self.per_second, time };
        Ok(Some(Planned { plan, records: Some(to - from), description: format!("{from}..{to}") }))
    }
    fn read(&mut self, sc: &SparkContext, plan: &Due) -> Result<Rdd<u64>, BoxError> {
        Ok(sc.range(plan.from..plan.to, sc.default_parallelism()))
    }
    fn lag(&self) -> Vec<InputLag> {
        vec![InputLag { part: "numbers".into(), records: self.behind, newest: None }]
    }
    fn restore(&mut self, plan: &Due) -> Result<(), BoxError> {
        self.next = plan.to;
        self.since = Some(if plan.per_second == self.per_second {
            (Time::from_millis(plan.since.0), plan.since.1)
        } else {
            // A new rate counts from where the old one was.
            (Time::from_millis(plan.time), plan.to)
        });
        Ok(())
    }
}
