//! [`RangePartitioner`]: keys in order over partitions, by bounds that a sample of the keys has given.
use crate::{Data, KeyPartitioner, Order, Rdd, Result, Site, SortKey, at, detach, guard_driver, job::Action};

/// Sampled keys for each partition that is asked for, as in Spark.
const SAMPLED: usize = 20;
/// Sampled keys at most, as in Spark.
const SAMPLED_IN_ALL: usize = 1_000_000;

/// Puts keys in order over partitions: those of a partition are all less than those of the next (or greater), and equal
/// keys are together. The bounds come from a sample; partitions are of about equal size for keys like those sampled.
///
/// Two are equal if their order and their bounds are: partitioners of equal data are.
///
/// ```
/// # use winterbourne_engine::{KeyPartitioner, Order, RangePartitioner, SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let pairs = sc.range(0..1000, 4).map(|x| (x * 7 % 1000, ()));
/// let thirds = RangePartitioner::new(3, &pairs, Order::Ascending)?;
/// assert_eq!((thirds.partition(&0), thirds.partition(&500), thirds.partition(&999)), (0, 1, 2));
/// let ranges = pairs.partition_by(thirds);
/// assert_eq!(ranges.filter_by_range(0, 9).count()?, 10); // looks at one partition
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct RangePartitioner<K> {
    /// The last key of each partition but the last one.
    bounds: Vec<K>,
    order: Order,
}
impl<K: SortKey> RangePartitioner<K> {
    /// At most `partitions` partitions with bounds for the keys of `rdd`. **Runs a job** that reads all of it: cache it if
    /// it is dear. The sample is the same each time.
    ///
    /// There are fewer partitions where keys are few: one more than there are bounds, and one for no keys. Sorting
    /// needs no partitioner and no sample; see [`sort_by_key`](Rdd::sort_by_key).
    ///
    /// # Errors
    /// As [`SparkContext::run_job`](crate::SparkContext::run_job).
    #[track_caller]
    pub fn new<V: Data>(partitions: usize, rdd: &Rdd<(K, V)>, order: Order) -> Result<Self> {
        let site = Site::caller();
        let parents = rdd.num_partitions()?;
        // Three times an even share, so that partitions of unequal size are known well enough.
        let wanted = partitions.saturating_mul(SAMPLED).min(SAMPLED_IN_ALL);
        let each = wanted.saturating_mul(3).div_ceil(parents.max(1));
        let action = Action { name: "RangePartitioner::new", site };
        let samples = rdd.sc.run_action(action, rdd, (0..parents).collect(), move |p, flow, _| {
            let (mut some, mut seen, mut random) = (Vec::new(), 0u64, p as u64);
            flow.each(|c| {
                at(site);
                for (k, _) in c.as_slice() {
                    // The i-th key takes the place of another with the probability each / i.
                    seen += 1;
                    if some.len() < each {
                        some.push(detach::value(k.clone()));
                    } else if let Some(old) = some.get_mut(below(seen, &mut random)) {
                        *old = detach::value(k.clone());
                    }
                }
                Ok(())
            })?;
            Ok((some, seen))
        })?;
        let weighed = samples.into_iter().flat_map(|(some, seen)| {
            let weight = seen as f64 / some.len().max(1) as f64;
            some.into_iter().map(move |k| (k, weight))
        });
        guard_driver(|| Ok(RangePartitioner { bounds: bounds(weighed.collect(), partitions, order), order }))
    }
}

/// A number below `end`; the same sequence for the same state (splitmix64).
fn below(end: u64, state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((u128::from(x ^ (x >> 31)) * u128::from(end)) >> 64) as usize
}

/// The last key of each of `partitions` equal shares but the last; each key once.
fn bounds<K: Ord>(mut weighed: Vec<(K, f64)>, partitions: usize, order: Order) -> Vec<K> {
    weighed.sort_by(|a, b| order.compare(&a.0, &b.0));
    let share = weighed.iter().map(|(_, w)| w).sum::<f64>() / partitions as f64;
    let (mut bounds, mut before): (Vec<K>, f64) = (Vec::new(), 0.0);
    let mut weighed = weighed.into_iter().peekable();
    while let Some((k, weight)) = weighed.next() {
        before += weight;
        // What is equal to it goes with it, and behind the last key there is nothing.
        let Some((next, _)) = weighed.peek() else { break };
        if bounds.len() + 1 < partitions && before >= share * (bounds.len() + 1) as f64 && *next != k {
            bounds.push(k);
        }
    }
    bounds
}

impl<K: SortKey> KeyPartitioner<K> for RangePartitioner<K> {
    fn num_partitions(&self) -> usize {
        self.bounds.len() + 1
    }
    fn partition(&self, key: &K) -> usize {
        self.bounds.partition_point(|bound| self.order.compare(bound, key).is_lt())
    }
    fn order(&self) -> Option<Order> {
        Some(self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // As published for the seed 0. Scaled to 2^64 - 1, a number loses one.
        let mut state = 0;
        for known in [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F] {
            assert_eq!(below(u64::MAX, &mut state) as u64, known - 1);
        }
        assert!((0..1000).all(|_| below(7, &mut state) < 7));
    }
    #[test]
    fn bounds_are_last_keys_of_even_shares() {
        let even = |keys: &[u32]| keys.iter().map(|k| (*k, 1.0)).collect::<Vec<_>>();
        for (keys, n, expect) in [
            (&[4, 2, 3, 1][..], 2, vec![2]),
            (&[4, 2, 3, 1], 4, vec![1, 2, 3]),
            (&[4, 2, 3, 1], 9, vec![1, 2, 3]),
            (&[1, 1, 1, 2], 5, vec![1]),
            (&[1, 1, 1], 3, vec![]),
            (&[], 3, vec![]),
            (&[1, 2, 3], 1, vec![]),
        ] {
            assert_eq!(bounds(even(keys), n, Order::Ascending), expect, "{keys:?} over {n}");
        }
        assert_eq!(bounds(even(&[1, 2, 3, 4]), 2, Order::Descending), [3]);
        assert_eq!(bounds(vec![(1, 10.0), (2, 1.0), (3, 1.0)], 2, Order::Ascending), [1]);
    }
}
