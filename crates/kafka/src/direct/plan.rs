//! [`Positions`]: what was read of each partition, and so what comes next. Pure; a plan is its change.
use super::{
    limit::{Waiting, shares},
    options::OutOfRange,
};
use crate::{Error, OffsetRange, TopicPartition, error::Missing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What belongs to a batch: a range for each partition that is known, empty ones too, so that the last plan says all
/// positions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KafkaPlan {
    /// The batch, in milliseconds.
    pub(crate) time: u64,
    pub(crate) ranges: Vec<OffsetRange>,
}
impl KafkaPlan {
    pub(super) fn records(&self) -> u64 {
        self.ranges.iter().map(OffsetRange::count).sum()
    }
    pub(super) fn describe(&self) -> String {
        let full: Vec<String> = self.ranges.iter().filter(|r| r.count() > 0).map(ToString::to_string).collect();
        if full.is_empty() { "no new offsets".to_owned() } else { full.join(", ") }
    }
}

/// What the cluster says of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: i64,
    pub(super) end: i64,
}

/// How a batch is cut.
pub(super) struct Cut<'a> {
    pub(super) time: u64,
    pub(super) seconds: f64,
    /// The most records, of all partitions together.
    pub(super) limit: Option<u64>,
    pub(super) max: &'a dyn Fn(&TopicPartition) -> Option<u64>,
    pub(super) min: &'a dyn Fn(&TopicPartition) -> u64,
    pub(super) policy: OutOfRange,
}

/// The offset that comes next in each partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Positions(pub(super) BTreeMap<TopicPartition, i64>);
impl Positions {
    pub(super) fn go_on_after(&mut self, plan: &KafkaPlan) {
        self.0 = plan.ranges.iter().map(|r| (r.partition.clone(), r.until)).collect();
    }
    /// Partitions that are new.
    pub(super) fn unknown(&self, found: &[TopicPartition]) -> Vec<TopicPartition> {
        found.iter().filter(|p| !self.0.contains_key(p)).cloned().collect()
    }
    /// Partitions that were known, and are not there.
    pub(super) fn gone(&self, found: &[TopicPartition]) -> Vec<TopicPartition> {
        self.0.keys().filter(|p| !found.contains(p)).cloned().collect()
    }
    /// The next batch, and what was passed over because it is gone. Nothing changes before it is taken with
    /// [`go_on_after`](Self::go_on_after).
    ///
    /// # Errors
    /// [`Error::OutOfRange`], where the policy is to fail.
    pub(super) fn plan(
        &self,
        extents: &BTreeMap<TopicPartition, Extent>,
        cut: &Cut<'_>,
    ) -> Result<(KafkaPlan, Vec<Missing>), Error> {
        let (mut from, mut missing) = (Vec::new(), Vec::new());
        for (p, &next) in &self.0 {
            let Some(&Extent { first, end }) = extents.get(p) else { return Err(Error::Gone(vec![p.clone()])) };
            if (first..=end).contains(&next) {
                from.push((p, next, end));
                continue;
            }
            missing.push(Missing { partition: p.clone(), wanted: next, first, end });
            from.push((p, if cut.policy == OutOfRange::Latest { end } else { first }, end));
        }
        if !missing.is_empty() && cut.policy == OutOfRange::Fail {
            return Err(Error::OutOfRange(missing));
        }
        let waiting: Vec<Waiting<'_>> = from
            .iter()
            .map(|&(p, next, end)| Waiting {
                partition: p,
                lag: u64::try_from(end - next).unwrap_or(0),
                max: (cut.max)(p),
                min: (cut.min)(p),
            })
            .collect();
        let shares = shares(&waiting, cut.seconds, cut.limit);
        let range = |(&(p, next, _), n): (&(&TopicPartition, i64, i64), u64)| OffsetRange {
            partition: p.clone(),
            from: next,
            until: next + n as i64,
        };
        let ranges = from.iter().zip(shares).map(range).collect();
        Ok((KafkaPlan { time: cut.time, ranges }, missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(n: i32) -> TopicPartition {
        TopicPartition::new("t", n)
    }
    fn cut(policy: OutOfRange) -> Cut<'static> {
        Cut { time: 1_000, seconds: 1.0, limit: None, max: &|_| Some(10), min: &|_| 1, policy }
    }
    fn planned(positions: &[i64], extents: &[(i64, i64)], policy: OutOfRange) -> Result<Vec<(i64, i64)>, Error> {
        let all = |n: usize| (0..n as i32).map(p);
        let positions = Positions(all(positions.len()).zip(positions.iter().copied()).collect());
        let extents = all(extents.len())
            .zip(extents.iter().map(|&(first, end)| Extent { first, end }))
            .collect::<BTreeMap<_, _>>();
        let (plan, _) = positions.plan(&extents, &cut(policy))?;
        let mut next = positions.clone();
        next.go_on_after(&plan);
        assert_eq!(
            next.0.values().copied().collect::<Vec<_>>(),
            plan.ranges.iter().map(|r| r.until).collect::<Vec<_>>()
        );
        Ok(plan.ranges.iter().map(|r| (r.from, r.until)).collect())
    }

    #[test]
    fn every_partition_goes_on_where_it_was_within_its_limit() {
        let got = planned(&[0, 5, 7], &[(0, 3), (0, 100), (2, 7)], OutOfRange::Fail);
        assert_eq!(got, Ok(vec![(0, 3), (5, 15), (7, 7)]));
    }
    #[test]
    fn what_is_gone_fails_or_is_passed_over_as_the_policy_says() {
        for (position, extent, earliest, latest) in
            [(3, (5, 9), (5, 9), (9, 9)), (20, (0, 9), (0, 9), (9, 9)), (3, (40, 90), (40, 50), (90, 90))]
        {
            let error = planned(&[position], &[extent], OutOfRange::Fail).unwrap_err().to_string();
            let named = format!("t-0 is to be read from {position}, and has {} to {}", extent.0, extent.1);
            assert!(error.contains(&named) && error.contains("OutOfRange::Earliest"), "{error}");
            assert_eq!(planned(&[position], &[extent], OutOfRange::Earliest), Ok(vec![earliest]));
            assert_eq!(planned(&[position], &[extent], OutOfRange::Latest), Ok(vec![latest]));
        }
    }
    #[test]
    fn partitions_come_and_go() {
        let positions = Positions([(p(0), 4), (p(1), 0)].into());
        assert_eq!(positions.unknown(&[p(0), p(1), p(2)]), [p(2)]);
        assert_eq!(positions.gone(&[p(1), p(2)]), [p(0)]);
        let Err(Error::Gone(gone)) = planned(&[0, 0], &[(0, 3)], OutOfRange::Earliest) else { panic!("it is gone") };
        assert_eq!(gone, [p(1)]);
    }
}
