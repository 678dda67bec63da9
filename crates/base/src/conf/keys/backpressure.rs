//! Keys of rate control.

use crate::conf::{Entry, Group, Key, Rule, Unit};

keys! {
    "Back-pressure";

    /// Whether sources are slowed down to what the batches can process.
    BACKPRESSURE_ENABLED: bool = "spark.streaming.backpressure.enabled" { no_effect: super::LATER, default: Some("false") }

    /// The most records per second and source until the first batch has been measured; zero or less for no limit.
    BACKPRESSURE_INITIAL_RATE: Option<u64> = "spark.streaming.backpressure.initialRate" {
        no_effect: super::LATER,
        rule: Rule::Limit, unit: Unit::Of("records/s"), unset: "`spark.streaming.receiver.maxRate` (Kafka: no limit)"
    }

    /// How the rate is estimated from the finished batches.
    BACKPRESSURE_RATE_ESTIMATOR: String = "spark.streaming.backpressure.rateEstimator" {
        no_effect: super::LATER,
        default: Some("pid"), rule: Rule::OneOf(&["pid"])
    }

    /// Weight of the difference between the last rate and the processing rate.
    PID_PROPORTIONAL: f64 = "spark.streaming.backpressure.pid.proportional" {
        no_effect: super::LATER,
        default: Some("1.0"), rule: Rule::NotNegative
    }

    /// Weight of the records that have piled up.
    PID_INTEGRAL: f64 = "spark.streaming.backpressure.pid.integral" { no_effect: super::LATER, default: Some("0.2"), rule: Rule::NotNegative }

    /// Weight of the change of that difference.
    PID_DERIVED: f64 = "spark.streaming.backpressure.pid.derived" { no_effect: super::LATER, default: Some("0.0"), rule: Rule::NotNegative }

    /// The lowest rate that is ever asked for.
    PID_MIN_RATE: f64 = "spark.streaming.backpressure.pid.minRate" {
        no_effect: super::LATER,
        default: Some("1"), rule: Rule::Positive, unit: Unit::Of("records/s")
    }
}
