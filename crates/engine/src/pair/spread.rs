//! How keys are spread, and where they go unless the caller says: Spark's rule for the default partitioner.
use crate::{
    Data, Error, Rdd, Site, SparkContext,
    lineage::{Count, Meta, Partitioner},
};

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// Where keys go unless the caller says: as they are spread already, else over `spark.default.parallelism`
    /// partitions if that is set, else over as many as there are now.
    pub(crate) fn default_partitioner(&self) -> Partitioner {
        meeting(&self.sc, &[&self.op.meta])
    }
    /// The same for several that meet.
    pub(super) fn default_partitioner_with<W: Data>(&self, other: &Rdd<(K, W)>) -> Partitioner {
        meeting(&self.sc, &[&self.op.meta, &other.op.meta])
    }
}
impl<T: Data> Rdd<T> {
    /// As [`default_partitioner`](Rdd::default_partitioner), without a look at the configuration.
    pub(super) fn own_partitioner(&self) -> Partitioner {
        self.partitioner().cloned().unwrap_or_else(|| Partitioner::Hash(self.own_count()))
    }
    /// As many partitions as there are now, one at least.
    pub(super) fn own_count(&self) -> Count {
        Count::of(vec![self.op.meta.partitions.clone()], |n| n[0].max(1))
    }
    /// Whether keys are spread that way already.
    pub(super) fn is_spread_by(&self, partitioner: &Partitioner) -> bool {
        self.partitioner().is_some_and(|p| p.same(partitioner))
    }
    /// What comes of a partitioner without partitions.
    pub(super) fn refuse_none<U: Data>(
        &self,
        name: &'static str,
        site: Site,
        partitioner: &Partitioner,
    ) -> Option<Rdd<U>> {
        let none = partitioner.partitions().if_known() == Some(0);
        none.then(|| self.sc.wrong(name, site, move || Error::Partitions { operator: name, site, asked: 0 }))
    }
}

/// How the keys of several parents are spread unless the caller says.
///
/// SUBTLE: parents that are spread alike keep *their* partitioner, not an equal one: if its count is not known yet, only
/// that one is seen to be the same without listing files.
pub(super) fn meeting(sc: &SparkContext, parents: &[&Meta]) -> Partitioner {
    let first = parents[0].partitioner.as_ref();
    if let Some(p) = first
        && parents[1..].iter().all(|m| m.partitioner.as_ref().is_some_and(|q| q.same(p)))
    {
        return p.clone();
    }
    let configured = sc.inner.default_parallelism;
    if parents.iter().any(|m| matches!(m.partitioner, Some(Partitioner::Keyed(_))))
        && let Some(p) = widest_spread(parents, configured)
    {
        return p;
    }
    let spread: Vec<bool> = parents.iter().map(|m| m.partitioner.is_some()).collect();
    Partitioner::Hash(Count::of(parents.iter().map(|m| m.partitions.clone()).collect(), move |n| {
        let widest = n.iter().zip(&spread).filter(|(_, spread)| **spread).map(|(n, _)| *n).max();
        choose(widest, n.iter().copied().max().unwrap_or(0), configured)
    }))
}

/// The partitioner of the widest parent that is spread, the first of several, if it has enough partitions. Has to know
/// all counts; none if files cannot be listed: the count of what is chosen instead will say so at the action.
fn widest_spread(parents: &[&Meta], configured: Option<usize>) -> Option<Partitioner> {
    let counts = parents.iter().map(|m| m.partitions.get().ok()).collect::<Option<Vec<usize>>>()?;
    let spread = parents.iter().zip(&counts).filter_map(|(m, n)| Some((m.partitioner.as_ref()?, *n)));
    let (p, n) = spread.rev().max_by_key(|(_, n)| *n)?;
    let widest = counts.iter().copied().max().unwrap_or(0);
    (choose(Some(n), widest, configured) == n).then(|| p.clone())
}

/// The partitions of the widest parent that is spread already, if it has enough: as many as would be taken otherwise, or
/// more than a tenth of those of the widest of all. Otherwise what is configured, or as many as the widest of all has.
fn choose(widest_spread: Option<usize>, widest: usize, configured: Option<usize>) -> usize {
    let otherwise = configured.unwrap_or(widest).max(1);
    match widest_spread {
        Some(n) if n > 0 && (n >= otherwise || widest < n.saturating_mul(10)) => n,
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn an_existing_partitioner_is_kept_if_it_is_large_enough() {
        for (widest_spread, widest, configured, expect) in [
            (None, 9, None, 9),
            (None, 9, Some(4), 4),
            (None, 0, None, 1),
            (Some(7), 7, None, 7),
            (Some(1), 20, None, 20),
            (Some(2), 9, None, 2),
            (Some(2), 20, None, 20), // a tenth is not enough
            (Some(2), 19, None, 2),
            (Some(2), 30, None, 30),
            (Some(2), 30, Some(8), 8),
            (Some(2), 30, Some(2), 2), // no less than is configured
            (Some(0), 0, None, 1),
        ] {
            assert_eq!(choose(widest_spread, widest, configured), expect, "{widest_spread:?} {widest} {configured:?}");
        }
    }
}
