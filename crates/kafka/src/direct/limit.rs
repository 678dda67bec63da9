//! How many records each partition may give to a batch. Pure.
use crate::TopicPartition;

/// What waits in a partition, and the bounds of its rate in records per second.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting<'a> {
    pub(super) partition: &'a TopicPartition,
    pub(super) lag: u64,
    /// The most records per second.
    pub(super) max: Option<u64>,
    /// The fewest.
    pub(super) min: u64,
}

/// How many records of each partition belong to a batch of so many seconds, if the stream may have `rate` records per
/// second. The rate is shared by what waits: who is far behind gets more. Nobody gets more than waits.
pub(super) fn shares(all: &[Waiting<'_>], seconds: f64, rate: Option<f64>) -> Vec<u64> {
    let waiting: f64 = all.iter().map(|w| w.lag as f64).sum();
    let share = |w: &Waiting<'_>| {
        let by_rate = rate.filter(|_| waiting > 0.0).map(|rate| rate * (w.lag as f64 / waiting));
        let by_max = w.max.map(|m| m as f64);
        let limit = match (by_rate, by_max) {
            (None, None) => return w.lag,
            (Some(a), Some(b)) => a.min(b),
            (Some(one), None) | (None, Some(one)) => one,
        };
        let least = w.min as f64;
        let records = (seconds * limit).max(least).max(if by_max == Some(0.0) { 0.0 } else { 1.0 });
        w.lag.min(records as u64)
    };
    all.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(lags: &[(u64, Option<u64>)], min: u64, seconds: f64, rate: Option<f64>) -> Vec<u64> {
        let partitions: Vec<TopicPartition> = (0..lags.len() as i32).map(|p| TopicPartition::new("t", p)).collect();
        let all: Vec<Waiting<'_>> =
            lags.iter().zip(&partitions).map(|(&(lag, max), partition)| Waiting { partition, lag, max, min }).collect();
        shares(&all, seconds, rate)
    }
    #[test]
    fn limits_hold_for_each_partition_and_the_rate_follows_the_lag() {
        for (lags, min, seconds, rate, expect) in [
            (vec![(1_000, None), (10, None)], 1, 1.0, None, vec![1_000, 10]),
            (vec![(1_000, Some(100)), (10, Some(100))], 1, 2.0, None, vec![200, 10]),
            (vec![(900, None), (100, None)], 1, 1.0, Some(100.0), vec![90, 10]),
            (vec![(900, Some(50)), (100, Some(50))], 1, 1.0, Some(100.0), vec![50, 10]),
            (vec![(900, None), (100, None)], 30, 1.0, Some(100.0), vec![90, 30]),
            (vec![(900, None), (1, None)], 1, 0.001, Some(100.0), vec![1, 1]),
            (vec![(0, None), (0, None)], 1, 1.0, Some(100.0), vec![0, 0]),
            (vec![], 1, 1.0, Some(100.0), vec![]),
        ] {
            assert_eq!(given(&lags, min, seconds, rate), expect, "{lags:?} {min} {seconds} {rate:?}");
        }
    }
}
