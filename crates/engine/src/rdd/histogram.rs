//! Histograms: how many records fall into each of a row of buckets.
use super::{Number, Rdd};
use crate::{Data, Error, Result, Site, at};
use std::sync::Arc;

impl<T: Data> Rdd<T> {
    /// `buckets` of equal width between the least and the greatest record: their edges, one more than there are buckets,
    /// and the counts. A bucket has its left edge and not its right one, the last has both. If all records are equal
    /// there is one bucket.
    ///
    /// Two passes over the records, one for the extremes: [`cache`](Rdd::cache) what is dear.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(1..11, 2).histogram(3)?, (vec![1.0, 4.0, 7.0, 10.0], vec![3, 3, 4]));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Histogram`] for no bucket, no record, or records that are NaN or infinite; see
    /// [`collect`](Rdd::collect).
    #[track_caller]
    pub fn histogram(&self, buckets: usize) -> Result<(Vec<f64>, Vec<u64>)>
    where
        T: Number,
    {
        let (action, site) = ("histogram", Site::caller());
        let wrong = |why: &str| Error::Histogram { action, site, why: why.to_owned() };
        if buckets == 0 {
            return Err(wrong("the number of buckets must be positive"));
        }
        let stats = self.stats_at(action, site)?;
        let (min, max) = (stats.min(), stats.max());
        if !min.is_finite() || !max.is_finite() {
            return Err(wrong("on either an empty RDD or one that contains NaN or an infinity: filter them out"));
        }
        let edges = match (max - min).is_finite() {
            _ if min == max => vec![min, min],
            true => (0..buckets).map(|i| min + i as f64 * (max - min) / buckets as f64).chain([max]).collect(),
            false => return Err(wrong("the records are wider apart than a float can tell")),
        };
        let counts = self.count_between(action, site, edges.clone())?;
        Ok((edges, counts))
    }
    /// How many records fall between each edge and the next. A bucket has its left edge and not its right one, the last
    /// has both; what lies outside, and NaN, is not counted. One pass: in constant time for each record if the edges are
    /// evenly spaced, which is found out, else by binary search.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// assert_eq!(sc.range(0..20, 2).histogram_with(&[1.0, 2.0, 10.0, 15.0])?, [1, 8, 6]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Histogram`] for fewer than two edges, and for edges that do not ascend; see [`collect`](Rdd::collect).
    #[doc(alias = "histogram")]
    #[track_caller]
    pub fn histogram_with(&self, edges: &[f64]) -> Result<Vec<u64>>
    where
        T: Number,
    {
        let (action, site) = ("histogram_with", Site::caller());
        let wrong = |why: String| Error::Histogram { action, site, why };
        if edges.len() < 2 {
            return Err(wrong("buckets array must have at least two elements: the edges of one bucket".into()));
        }
        // NaN does not ascend either.
        if let Some(i) = (1..edges.len()).find(|&i| edges[i - 1].partial_cmp(&edges[i]).is_none_or(|o| !o.is_lt())) {
            let (before, after) = (edges[i - 1], edges[i]);
            return Err(wrong(format!("edges must ascend: number {i} is {before}, the next one {after}")));
        }
        self.count_between(action, site, edges.to_vec())
    }
    fn count_between(&self, action: &'static str, site: Site, edges: Vec<f64>) -> Result<Vec<u64>>
    where
        T: Number,
    {
        let buckets = Arc::new(Buckets::new(edges));
        let n = buckets.count();
        let parts = self.on_each(action, site, move |flow, _| {
            let mut counts = vec![0u64; buckets.count()];
            flow.each(|c| {
                at(site);
                for x in c.as_slice() {
                    if let Some(i) = buckets.of(x.to_f64()) {
                        counts[i] += 1;
                    }
                }
                Ok(())
            })?;
            Ok(counts)
        })?;
        let mut all = vec![0; n];
        parts.iter().for_each(|part| all.iter_mut().zip(part).for_each(|(all, n)| *all += n));
        Ok(all)
    }
}

/// A row of buckets.
struct Buckets {
    edges: Vec<f64>,
    /// How many buckets there are in one unit, if they are about even.
    density: Option<f64>,
}
impl Buckets {
    /// At least two edges; ascending, or both the same.
    fn new(edges: Vec<f64>) -> Self {
        let (first, last, n) = (edges[0], edges[edges.len() - 1], (edges.len() - 1) as f64);
        let density = n / (last - first);
        // A guess that is off by one at most is mended below.
        let even = |(i, edge): (usize, &f64)| ((edge - first) * density - i as f64).abs() < 0.5;
        let is_even = density.is_finite() && density > 0.0 && edges.iter().enumerate().all(even);
        Buckets { edges, density: is_even.then_some(density) }
    }
    fn count(&self) -> usize {
        self.edges.len() - 1
    }
    /// The bucket of a number.
    #[inline]
    fn of(&self, x: f64) -> Option<usize> {
        let (edges, last) = (&self.edges[..], self.count() - 1);
        if !(edges[0] <= x && x <= edges[last + 1]) {
            return None;
        }
        let Some(density) = self.density else {
            return Some((edges.partition_point(|edge| *edge <= x) - 1).min(last));
        };
        let mut i = (((x - edges[0]) * density) as usize).min(last);
        // What was computed may differ from the edges by rounding; the edges say what is right.
        while x < edges[i] {
            i -= 1;
        }
        while i < last && edges[i + 1] <= x {
            i += 1;
        }
        Some(i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guess_agrees_with_the_search() {
        for (first, width, n) in [(0.0, 0.1, 30), (-7.3, 1.0 / 3.0, 17), (1e15, 0.125, 8), (0.0, 1.0, 1)] {
            let edges: Vec<f64> = (0..=n).map(|i| first + f64::from(i) * width).collect();
            let (even, searched) = (Buckets::new(edges.clone()), Buckets { edges: edges.clone(), density: None });
            assert!(even.density.is_some(), "{edges:?}");
            for edge in edges {
                for x in [edge.next_down(), edge, edge.next_up(), edge + width / 2.0] {
                    assert_eq!(even.of(x), searched.of(x), "{x}");
                }
            }
        }
    }
    #[test]
    fn uneven_and_endless_edges_are_searched() {
        for edges in [vec![0.0, 1.0, 10.0], vec![f64::NEG_INFINITY, 0.0, f64::INFINITY], vec![0.0, f64::MAX]] {
            let buckets = Buckets::new(edges);
            assert_eq!(buckets.of(f64::NAN), None);
            assert_eq!(buckets.of(0.0), Some(buckets.edges.iter().position(|e| *e == 0.0).unwrap()));
        }
        assert_eq!(Buckets::new(vec![3.0, 3.0]).of(3.0), Some(0));
    }
}
