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

/// How many records of each partition belong to a batch of so many seconds that may hold `limit` records. The limit is
/// shared by what waits: who is far behind gets more. Nobody gets more than waits, and all together not more than the
/// limit, also where the fewest of each are more: then those that get most give way.
pub(super) fn shares(all: &[Waiting<'_>], seconds: f64, limit: Option<u64>) -> Vec<u64> {
    let waiting: f64 = all.iter().map(|w| w.lag as f64).sum();
    let share = |w: &Waiting<'_>| {
        let by_limit = limit.filter(|_| waiting > 0.0).map(|limit| limit as f64 * (w.lag as f64 / waiting));
        let by_max = w.max.map(|m| m as f64 * seconds);
        let most = by_limit.into_iter().chain(by_max).fold(f64::INFINITY, f64::min);
        let least = w.min as f64;
        let records = most.max(least).max(if by_max == Some(0.0) { 0.0 } else { 1.0 });
        w.lag.min(records as u64)
    };
    let mut shares: Vec<u64> = all.iter().map(share).collect();
    let excess = shares.iter().sum::<u64>().saturating_sub(limit.unwrap_or(u64::MAX));
    give_way(&mut shares, all, excess);
    shares
}

/// Takes so many records away: first from those that get more than their fewest, most from who gets most; then from who
/// is least behind.
fn give_way(shares: &mut [u64], all: &[Waiting<'_>], mut excess: u64) {
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(shares[i]));
    for &i in &order {
        let above = shares[i].saturating_sub(all[i].min.max(1)).min(excess);
        shares[i] -= above;
        excess -= above;
    }
    order.sort_by_key(|&i| all[i].lag);
    for &i in &order {
        let all_of_it = shares[i].min(excess);
        shares[i] -= all_of_it;
        excess -= all_of_it;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(lags: &[(u64, Option<u64>)], min: u64, seconds: f64, limit: Option<u64>) -> Vec<u64> {
        let partitions: Vec<TopicPartition> = (0..lags.len() as i32).map(|p| TopicPartition::new("t", p)).collect();
        let all: Vec<Waiting<'_>> =
            lags.iter().zip(&partitions).map(|(&(lag, max), partition)| Waiting { partition, lag, max, min }).collect();
        shares(&all, seconds, limit)
    }
    #[test]
    fn limits_hold_for_each_partition_and_shares_follow_the_lag() {
        for (lags, min, seconds, limit, expect) in [
            (vec![(1_000, None), (10, None)], 1, 1.0, None, vec![1_000, 10]),
            (vec![(1_000, Some(100)), (10, Some(100))], 1, 2.0, None, vec![200, 10]),
            (vec![(900, None), (100, None)], 1, 1.0, Some(100), vec![90, 10]),
            (vec![(900, Some(50)), (100, Some(50))], 1, 1.0, Some(100), vec![50, 10]),
            (vec![(900, None), (100, None)], 30, 1.0, Some(100), vec![70, 30]),
            (vec![(900, None), (1, None)], 1, 0.001, Some(1), vec![1, 0]),
            (vec![(900, None), (1, None)], 1, 0.001, Some(0), vec![0, 0]),
            (vec![(9, None), (8, None), (7, None)], 5, 1.0, Some(12), vec![5, 5, 2]),
            (vec![(0, None), (0, None)], 1, 1.0, Some(100), vec![0, 0]),
            (vec![], 1, 1.0, Some(100), vec![]),
        ] {
            assert_eq!(given(&lags, min, seconds, limit), expect, "{lags:?} {min} {seconds} {limit:?}");
        }
    }
}
