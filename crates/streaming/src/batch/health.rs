//! How a stream keeps up, said: what [`Trend`] decides becomes [`Health`], a log line, an event.
use super::{
    control::Health,
    overload::{Cause, Observed, Verdict},
    runner::Runner,
    watch::Watch,
};
use crate::{StreamingEvent, input::Measured};
use winterbourne_base::Duration;

/// What is known of an overload while it lasts.
#[derive(Default)]
pub(crate) struct Overload {
    watch: Option<Watch>,
    cause: Cause,
    /// Processing time of the batches that were watched; older ones count less.
    watched_us: f64,
    /// Batches since the stream began to fall behind.
    batches: u64,
    told: bool,
}

impl Runner {
    /// A batch is done, in its turn.
    pub(super) fn observe(&mut self, measured: &Measured) {
        let Measured { done_us, processing_us, .. } = *measured;
        let backlog = self.control.shared().status.lags.iter().map(|lag| lag.records()).sum();
        let stalls = self.inputs.iter().filter_map(|input| input.receiver()).map(|info| info.stalls).sum();
        self.trend.observe(Observed { done_us, processing_us, backlog, stalls });
        if let Some(watch) = &self.overload.watch {
            self.overload.watched_us += processing_us as f64;
            if let Some((busy_us, stage)) = watch.ask() {
                self.overload.cause.busy_threads = Some(busy_us / self.overload.watched_us.max(1.0));
                self.overload.cause.stage = Some(stage);
            }
            self.overload.watched_us /= 2.0;
            self.overload.batches += 1;
        }
    }

    /// How the stream is while so many batches wait.
    pub(crate) fn assess(&mut self, waiting: u64) {
        let records = self.trend.backlog();
        let health = match self.trend.verdict(waiting) {
            Verdict::InTime => {
                if std::mem::take(&mut self.overload).told {
                    tracing::info!("the stream is in time again");
                    self.control.bus.post(|| StreamingEvent::HealthChanged(Health::Ok));
                }
                Health::Ok
            }
            Verdict::CatchingUp { in_us } => {
                let now = self.control.clock.now();
                let until = in_us.map(|us| now + Duration::from_millis(us.div_ceil(1_000)));
                Health::CatchingUp { waiting, records, until }
            }
            Verdict::FallingBehind { batches_too_slow } => {
                self.overload.cause.batches_too_slow = batches_too_slow;
                if self.overload.watch.is_none() {
                    self.overload.watch = Watch::over(&self.sc, &self.job_group);
                }
                let health = Health::FallingBehind { waiting, records, cause: self.overload.cause.clone() };
                // Where the time goes is known when a batch or two were watched.
                let is_known = self.overload.cause.stage.is_some() || self.overload.batches >= 2;
                if is_known && !std::mem::replace(&mut self.overload.told, true) {
                    let cause = &self.overload.cause;
                    tracing::warn!(waiting, records, "the stream falls behind: {cause}");
                    self.control.bus.post(|| StreamingEvent::HealthChanged(health.clone()));
                }
                health
            }
        };
        self.control.shared().status.health = health;
    }
}
