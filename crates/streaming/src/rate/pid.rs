//! [`Pid`]: from finished batches, the rate that batches can keep up with. Pure: it refuses to know a clock.
//!
//! Spark's estimator, with microseconds in place of milliseconds: a batch that takes less than a millisecond is measured
//! too. One stream has one.

use winterbourne_base::Duration;

const SECOND: f64 = 1_000_000.0;

/// The weights of the three terms, and the floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gains {
    pub(crate) proportional: f64,
    pub(crate) integral: f64,
    pub(crate) derived: f64,
    /// Records per second; above 0.
    pub(crate) min_rate: f64,
}

/// What a batch that is done says of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When it was done, on any scale.
    pub(crate) done_us: u64,
    /// The records of this stream.
    pub(crate) records: u64,
    pub(crate) processing_us: u64,
    pub(crate) scheduling_delay_us: u64,
}

/// The estimator of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Pid {
    interval_us: f64,
    gains: Gains,
    latest: Option<Latest>,
}

#[derive(Clone, Copy, Debug)]
struct Latest {
    done_us: u64,
    rate: f64,
    error: f64,
}

impl Pid {
    pub(crate) fn new(interval: Duration, gains: Gains) -> Self {
        Self { interval_us: interval.as_millis() as f64 * 1_000.0, gains, latest: None }
    }

    /// Whether it has seen no batch yet.
    pub(crate) fn is_new(&self) -> bool {
        self.latest.is_none()
    }

    /// The rate that was made of its last one: what it compares the next batch with.
    pub(crate) fn in_force(&mut self, rate: f64) {
        if let Some(latest) = &mut self.latest {
            latest.rate = rate;
        }
    }

    /// The rate from now on, in records per second, if the batch says something: it had records, and is later than the
    /// one before. The first one only tells how fast records are processed.
    pub(crate) fn rate_after(&mut self, batch: Sample) -> Option<f64> {
        let is_later = self.latest.is_none_or(|latest| batch.done_us > latest.done_us);
        if !is_later || batch.records == 0 || batch.processing_us == 0 {
            return None;
        }
        let done_us = batch.done_us;
        let processing_rate = batch.records as f64 / batch.processing_us as f64 * SECOND;
        let Some(latest) = self.latest else {
            self.latest = Some(Latest { done_us, rate: processing_rate, error: 0.0 });
            return None;
        };
        // Records per second that came in and were not processed.
        let error = latest.rate - processing_rate;
        // Those that had piled up when the batch began, to be worked off within an interval.
        let piled_up = batch.scheduling_delay_us as f64 * processing_rate / self.interval_us;
        let change = (error - latest.error) / ((done_us - latest.done_us) as f64 / SECOND);
        let Gains { proportional, integral, derived, min_rate } = self.gains;
        let rate = (latest.rate - proportional * error - integral * piled_up - derived * change).max(min_rate);
        self.latest = Some(Latest { done_us, rate, error });
        Some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use winterbourne_base::time::milliseconds;

    const DEFAULT: Gains = Gains { proportional: 1.0, integral: 0.2, derived: 0.0, min_rate: 1.0 };

    fn sample(done_ms: u64, records: u64, processing_ms: u64, delay_ms: u64) -> Sample {
        let us = |ms| ms * 1_000;
        Sample { done_us: us(done_ms), records, processing_us: us(processing_ms), scheduling_delay_us: us(delay_ms) }
    }

    #[test]
    fn the_first_batch_only_measures_and_empty_or_old_ones_say_nothing() {
        let mut pid = Pid::new(milliseconds(1_000), DEFAULT);
        for nothing in [sample(10, 0, 5, 0), sample(10, 5, 0, 0), sample(10, 500, 500, 0)] {
            assert_eq!(pid.rate_after(nothing), None);
        }
        assert_eq!(pid.rate_after(sample(10, 500, 500, 0)), None, "not later");
        assert_eq!(pid.rate_after(sample(20, 600, 500, 0)), Some(1_200.0));
        assert_eq!(pid.rate_after(sample(19, 600, 500, 0)), None, "out of order");
    }

    #[test]
    fn less_than_a_millisecond_is_measured() {
        let mut pid = Pid::new(milliseconds(1), DEFAULT);
        let batch = |done_us| Sample { done_us, records: 10, processing_us: 100, scheduling_delay_us: 0 };
        assert_eq!(pid.rate_after(batch(1)), None);
        assert_eq!(pid.rate_after(batch(2)), Some(100_000.0));
    }

    proptest! {
        /// Against Spark's formula as it is written down, in milliseconds.
        #[test]
        fn whole_milliseconds_give_what_spark_gives(
            interval in 1u64..10_000,
            gains in (0.0..3.0, 0.0..3.0, 0.0..3.0, 0.1..200.0f64),
            batches in prop::collection::vec((1u64..5_000, 0u64..100_000, 0u64..20_000, 0u64..60_000), 1..40),
        ) {
            let (proportional, integral, derived, min_rate) = gains;
            let mut pid = Pid::new(milliseconds(interval), Gains { proportional, integral, derived, min_rate });
            let (mut t, mut spark): (u64, Option<(u64, f64, f64)>) = (0, None);
            for (later, n, p, d) in batches {
                t += later;
                let expect = if n == 0 || p == 0 {
                    None
                } else {
                    let processing = n as f64 / p as f64 * 1000.0;
                    match spark {
                        None => {
                            spark = Some((t, processing, 0.0));
                            None
                        }
                        Some((last, rate, last_error)) => {
                            let error = rate - processing;
                            let historical = d as f64 * processing / interval as f64;
                            let d_error = (error - last_error) / ((t - last) as f64 / 1000.0);
                            let new = rate - proportional * error - integral * historical - derived * d_error;
                            spark = Some((t, new.max(min_rate), error));
                            Some(new.max(min_rate))
                        }
                    }
                };
                let got = pid.rate_after(sample(t, n, p, d));
                prop_assert_eq!(got.is_some(), expect.is_some());
                if let (Some(got), Some(expect)) = (got, expect) {
                    prop_assert!((got - expect).abs() <= 1e-6 * expect.abs().max(1.0), "{} {}", got, expect);
                }
            }
        }
    }
}
