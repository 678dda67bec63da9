//! [`BoundedDouble`], and what the results of some of the tasks say of all.
use super::quantile;
use crate::{StatCounter, hash::KeyMap};
use std::{collections::HashMap, fmt};

/// An estimate with bounds, within which the true value lies with some confidence; [shown](fmt::Display) as
/// `[low, high]`.
///
/// A final value has confidence 1 and bounds that are equal to it. With confidence 0 nothing is known.
///
/// ```
/// use winterbourne_engine::BoundedDouble;
/// let estimate = BoundedDouble { mean: 10.0, confidence: 0.95, low: 8.5, high: 12.0 };
/// assert_eq!(estimate.to_string(), "[8.500, 12.000]");
/// assert_eq!(BoundedDouble::exactly(10.0).to_string(), "[10.000, 10.000]");
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BoundedDouble {
    /// The estimate.
    pub mean: f64,
    /// How probable it is that the true value lies within the bounds, from 0 to 1.
    pub confidence: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}
impl BoundedDouble {
    /// A value that is known.
    pub fn exactly(value: f64) -> Self {
        BoundedDouble { mean: value, confidence: 1.0, low: value, high: value }
    }
    fn unknown(low: f64) -> Self {
        BoundedDouble { mean: 0.0, confidence: 0.0, low, high: f64::INFINITY }
    }
    fn around(mean: f64, confidence: f64, margin: f64) -> Self {
        BoundedDouble { mean, confidence, low: mean - margin, high: mean + margin }
    }
}
impl fmt::Display for BoundedDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |x: f64| match x {
            f64::INFINITY => "Infinity".to_owned(),
            f64::NEG_INFINITY => "-Infinity".to_owned(),
            x => format!("{x:.3}"),
        };
        write!(f, "[{}, {}]", bound(self.low), bound(self.high))
    }
}

/// Which part of the tasks has ended.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) ended: usize,
    pub(super) total: usize,
}
impl Share {
    fn is_all(self) -> bool {
        self.ended == self.total
    }
    fn part(self) -> f64 {
        self.ended as f64 / self.total as f64
    }
}

/// Of a number of records: what is yet to come is as if each record had been seen with the probability that its task has
/// ended.
pub(super) fn count(sum: u64, share: Share, confidence: f64) -> BoundedDouble {
    let seen = sum as f64;
    if share.is_all() {
        return BoundedDouble::exactly(seen);
    }
    if sum == 0 {
        return BoundedDouble::unknown(0.0);
    }
    let p = share.part();
    let to_come = seen * (1.0 - p) / p;
    let quantile = |q| match sum {
        ..=10_000 => quantile::pascal(seen, p, q),
        _ => quantile::poisson(to_come, q),
    };
    let [low, high] = [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0].map(|q| seen + quantile(q));
    BoundedDouble { mean: seen + to_come, confidence, low, high }
}
/// [`count`] for each key; keys that were not seen yet are missing.
pub(super) fn counts<K: Eq + std::hash::Hash>(
    seen: KeyMap<K, u64>,
    share: Share,
    confidence: f64,
) -> KeyMap<K, BoundedDouble> {
    // Many keys, few different counts.
    let mut known: HashMap<u64, BoundedDouble> = HashMap::new();
    let mut bound = |n| *known.entry(n).or_insert_with(|| count(n, share, confidence));
    seen.into_iter().map(|(k, n)| (k, bound(n))).collect()
}
/// Of a mean: the seen numbers are a sample.
pub(super) fn mean(seen: &StatCounter, share: Share, confidence: f64) -> BoundedDouble {
    if share.is_all() {
        return BoundedDouble::exactly(seen.mean());
    }
    match seen.count() {
        0 => BoundedDouble::unknown(f64::NEG_INFINITY),
        1 => BoundedDouble::around(seen.mean(), confidence, f64::INFINITY),
        n => {
            let error = (seen.sample_variance() / n as f64).sqrt();
            BoundedDouble::around(seen.mean(), confidence, margin(n, confidence, error))
        }
    }
}
/// Of a sum: what is yet to come is a number of records times their mean, both of which are estimated.
pub(super) fn sum(seen: &StatCounter, share: Share, confidence: f64) -> BoundedDouble {
    if share.is_all() {
        return BoundedDouble::exactly(seen.sum());
    }
    let n = seen.count();
    if n == 0 {
        return BoundedDouble::unknown(f64::NEG_INFINITY);
    }
    let (p, mean) = (share.part(), seen.mean());
    let to_come = n as f64 * (1.0 - p) / p;
    let estimate = seen.sum() + mean * to_come;
    if n == 1 {
        return BoundedDouble::around(estimate, confidence, f64::INFINITY);
    }
    let (mean_variance, count_variance) = (seen.sample_variance() / n as f64, to_come / p);
    // Of a product of two that are independent.
    let variance = mean * mean * count_variance + to_come * to_come * mean_variance + mean_variance * count_variance;
    BoundedDouble::around(estimate, confidence, margin(n, confidence, variance.sqrt()))
}
/// How far away the bounds are.
fn margin(n: u64, confidence: f64, standard_error: f64) -> f64 {
    let p = (1.0 + confidence) / 2.0;
    match if n > 100 { quantile::normal(p) } else { quantile::student((n - 1) as f64, p) } {
        f64::INFINITY => f64::INFINITY, // also of no error
        errors => errors * standard_error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Share = Share { ended: 5, total: 10 };
    const ALL: Share = Share { ended: 10, total: 10 };
    const NONE: Share = Share { ended: 0, total: 10 };

    fn stats(n: u32) -> StatCounter {
        (1..=n).map(f64::from).collect()
    }
    fn near(got: BoundedDouble, mean: f64, low: f64, high: f64) {
        for (got, expect) in [(got.mean, mean), (got.low, low), (got.high, high), (got.confidence, 0.95)] {
            assert!(got == expect || (got - expect).abs() < 1e-3 * expect.abs(), "{got} instead of {expect}");
        }
    }

    #[test]
    fn all_tasks_know_exactly() {
        assert_eq!(count(7, ALL, 0.95), BoundedDouble::exactly(7.0));
        assert_eq!(mean(&stats(9), ALL, 0.95), BoundedDouble::exactly(5.0));
        assert_eq!(sum(&stats(9), ALL, 0.95), BoundedDouble::exactly(45.0));
        assert_eq!(sum(&stats(0), ALL, 0.95), BoundedDouble::exactly(0.0));
    }
    #[test]
    fn no_task_knows_nothing() {
        assert_eq!(count(0, NONE, 0.95).to_string(), "[0.000, Infinity]");
        assert_eq!(mean(&stats(0), NONE, 0.95).to_string(), "[-Infinity, Infinity]");
        assert_eq!(sum(&stats(0), HALF, 0.95), BoundedDouble::unknown(f64::NEG_INFINITY));
    }
    #[test]
    fn one_record_has_a_mean_and_no_bounds() {
        near(mean(&stats(1), HALF, 0.95), 1.0, f64::NEG_INFINITY, f64::INFINITY);
        near(sum(&stats(1), HALF, 0.95), 2.0, f64::NEG_INFINITY, f64::INFINITY);
    }
    /// Worked out by hand from the formulas, with quantiles of tables.
    #[test]
    fn some_tasks_give_bounds() {
        // Pascal(100, 1/2): 100 and 14.14 away, on whole numbers; Poisson(100000) above 10000.
        near(count(100, HALF, 0.95), 200.0, 174.0, 229.0);
        near(count(100_000, HALF, 0.95), 200_000.0, 199_381.0, 200_620.0);
        // 1 to 9: mean 5, standard error sqrt(7.5 / 9), t(8) 2.306.
        near(mean(&stats(9), HALF, 0.95), 5.0, 5.0 - 2.306 * 0.912_87, 5.0 + 2.306 * 0.912_87);
        // Variance 25 * 18 + 81 * 0.8333 + 0.8333 * 18.
        near(sum(&stats(9), HALF, 0.95), 90.0, 90.0 - 2.306 * 23.076, 90.0 + 2.306 * 23.076);
        // Above 100 numbers the normal quantile: 101 to 1, standard error sqrt(858.5 / 101).
        near(mean(&stats(101), HALF, 0.95), 51.0, 51.0 - 1.96 * 2.915_48, 51.0 + 1.96 * 2.915_48);
    }
    #[test]
    fn more_confidence_is_wider() {
        for of in [|c| count(50, HALF, c), |c| mean(&stats(50), HALF, c), |c| sum(&stats(50), HALF, c)] {
            let all = [0.0, 0.5, 0.9, 0.99, 1.0].map(of);
            assert!(all.windows(2).all(|w| w[0].low >= w[1].low && w[0].high <= w[1].high), "{all:?}");
        }
    }
}
