//! Keys of rate control.

use crate::conf::{Entry, Group, Key, Rule, Unit};

keys! {
    "Back-pressure";

    /// Whether batches take in no more than they can process: receivers are slowed down, other inputs plan less. Starts
    /// carefully.
    BACKPRESSURE_ENABLED: bool = "spark.streaming.backpressure.enabled" { default: Some("true") }

    /// Records per second of each input until batches have been measured.
    BACKPRESSURE_INITIAL_RATE: Option<u64> = "spark.streaming.backpressure.initialRate" {
        rule: Rule::Limit, unit: Unit::Of("records/s"), unset: "a careful start: for each second of the interval 10,000 records and 10 MiB of a receiver, 100 records and \
                    1 MiB of what is stored (files, Kafka), at least 100 records and 1 MiB; then at most ten times what \
                    one has held"
    }

    /// How the rate is estimated from the finished batches.
    BACKPRESSURE_RATE_ESTIMATOR: String = "spark.streaming.backpressure.rateEstimator" {
        default: Some("pid"), rule: Rule::OneOf(&["pid"])
    }

    /// Weight of the difference between the last rate and the processing rate.
    PID_PROPORTIONAL: f64 = "spark.streaming.backpressure.pid.proportional" {
        default: Some("1.0"), rule: Rule::NotNegative
    }

    /// Weight of the records that have piled up.
    PID_INTEGRAL: f64 = "spark.streaming.backpressure.pid.integral" { default: Some("0.2"), rule: Rule::NotNegative }

    /// Weight of the change of that difference.
    PID_DERIVED: f64 = "spark.streaming.backpressure.pid.derived" { default: Some("0.0"), rule: Rule::NotNegative }

    /// The lowest rate that is ever asked for.
    PID_MIN_RATE: f64 = "spark.streaming.backpressure.pid.minRate" {
        default: Some("1"), rule: Rule::Positive, unit: Unit::Of("records/s")
    }
}
