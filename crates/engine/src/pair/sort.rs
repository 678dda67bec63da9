//! Sorting without a sample: map tasks sort their partitions; behind them bounds are found exactly, by ranks in the
//! sorted runs; each reduce task cuts its slice out of every run and merges the slices. Records are computed once, and
//! moved only if they are small. Where a run is on disk, bounds are found by the keys of its parts.
use super::{
    exchange::Exchange,
    merge::{Slice, merged},
    route::records,
    run::{SortedRun, key_at_rank},
    sorted::{Sorted, merged_pulls, range_in},
};
use crate::{
    Data, Error, Flow, Key, KeyPartitioner, Order, Rdd, Result, Shape, Site, SortKey, Task, Wire, at,
    lineage::{Count, Dep, Link, Partitioner, Router, Rule, Shuffle},
};
use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// The records in ascending order of their keys, over as many partitions as there are now; equal keys stay in the
    /// order in which they are. Partition by partition that is one order, and [`collect`](Rdd::collect) returns it.
    ///
    /// Nothing runs before an action, and what is sorted is computed once: Spark runs a job to sample it when `sortByKey`
    /// is *called*. Partitions are equal in size, but for equal keys, which are never parted; so some may be empty. The
    /// result keeps keys in ranges: [`filter_by_range`](Rdd::filter_by_range) looks only where they can be, another
    /// sort the same way, of what `filter` or `map_values` left of it, sorts in place, and what is joined to it
    /// goes where its keys are. What does not fit into memory is sorted on disk; partitions are then equal in size to
    /// about a thousand records for each map partition. Floats are sorted as [`Total`](crate::Total).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.parallelize([(3, 'c'), (1, 'x'), (2, 'b'), (1, 'a')], 2);
    /// assert_eq!(pairs.sort_by_key().glom().collect()?, [[(1, 'x'), (1, 'a')], [(2, 'b'), (3, 'c')]]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn sort_by_key(&self) -> Rdd<(K, V)>
    where
        K: SortKey,
        V: Wire,
    {
        self.sort_by_key_at(Site::caller(), Order::Ascending, None)
    }
    /// [`sort_by_key`](Rdd::sort_by_key) in an order, over so many partitions.
    ///
    /// ```
    /// # use winterbourne_engine::{Order, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.parallelize([(3, 'c'), (1, 'x'), (2, 'b')], 2);
    /// assert_eq!(pairs.sort_by_key_in(Order::Descending, 1).keys().collect()?, [3, 2, 1]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn sort_by_key_in(&self, order: Order, partitions: usize) -> Rdd<(K, V)>
    where
        K: SortKey,
        V: Wire,
    {
        self.sort_by_key_at(Site::caller(), order, Some(Count::known(partitions)))
    }
    /// [`sort_by_key_in`](Rdd::sort_by_key_in) on behalf of `site`; without a number, over as many partitions as there
    /// are.
    pub fn sort_by_key_at(&self, site: Site, order: Order, partitions: Option<Count>) -> Rdd<(K, V)>
    where
        K: SortKey,
        V: Wire,
    {
        self.sorted("sort_by_key", site, order, partitions)
    }
    pub(super) fn sorted(&self, name: &'static str, site: Site, order: Order, partitions: Option<Count>) -> Rdd<(K, V)>
    where
        K: SortKey,
        V: Wire,
    {
        if let Some(p) = self.partitioner()
            && p.order_of::<K>() == Some(order)
            && partitions.as_ref().is_none_or(|n| n.same(p.partitions()))
        {
            return self.sorted_within(name, site, order);
        }
        let partitions = partitions.unwrap_or_else(|| self.own_count());
        if partitions.if_known() == Some(0) {
            return self.sc.wrong(name, site, move || Error::Partitions { operator: name, site, asked: 0 });
        }
        let write = move |flow, task: &Task| Sorted::output(flow, order, site, task);
        let x = self.shuffle(name, site, partitions.clone(), None, write);
        let ranges = Arc::new(Ranges { x: x.clone(), order, bounds: OnceLock::new(), samples: OnceLock::new() });
        let after = Some(x.clone() as _);
        let partitioner = Some(Partitioner::keyed::<K>(partitions.clone(), after, ByRanges(ranges.clone())));
        let shape = Shape { name, site, partitions, deps: vec![Dep::Shuffle(x)], partitioner, depth: 0 };
        self.sc.make(shape, move |p, task| {
            task.check()?;
            at(site);
            ranges.flow(p, site, task)
        })
    }
    /// Each partition sorted for itself.
    fn sorted_within(&self, name: &'static str, site: Site, order: Order) -> Rdd<(K, V)>
    where
        K: SortKey,
        V: Wire,
    {
        self.narrow(name, site, true, move |_, flow, task| {
            let (sorted, grant) = Sorted::collect(flow, order, site, task)?;
            sorted.into_flow(grant, order, site, task)
        })
    }
    /// Every record to the partition of its key, and each partition in ascending order of keys: as
    /// [`partition_by`](Rdd::partition_by), and the tasks behind the shuffle sort what they read. Equal keys stay in the order in which they were. What is spread that way already is sorted in place.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let events = sc.range(0..100, 4).map(|x| (x * 37 % 100, ())).repartition_and_sort_within_partitions(3);
    /// assert!(events.keys().glom().collect()?.iter().all(|keys| keys.is_sorted()));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn repartition_and_sort_within_partitions(&self, partitions: impl KeyPartitioner<K>) -> Rdd<(K, V)>
    where
        K: Key + Ord,
        V: Wire,
    {
        let (name, site) = ("repartition_and_sort_within_partitions", Site::caller());
        let (order, partitioner) = (Order::Ascending, partitions.erased());
        if let Some(refused) = self.refuse_none(name, site, &partitioner) {
            return refused;
        }
        if self.is_spread_by(&partitioner) {
            return self.sorted_within(name, site, order);
        }
        let write = move |flow: Flow<(K, V)>, router: &Router<K>, task: &Task| records(flow, router, task, site);
        self.exchange(name, site, partitioner, write, move |x, p, task| {
            let (sorted, grant) = Sorted::collect(x.read(p, task)?, order, site, task)?;
            sorted.into_flow(grant, order, site, task)
        })
    }
    /// The records whose keys are from `low` to `high`, both included. If keys are in ranges, as
    /// [`sort_by_key`](Rdd::sort_by_key) and [`RangePartitioner`](crate::RangePartitioner) leave them, partitions that
    /// cannot hold such keys are not computed; they stay, empty. The partitioner stays.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let few = sc.range(0..1000, 4).map(|x| (x, x * x)).sort_by_key().filter_by_range(30, 31);
    /// assert_eq!(few.collect()?, [(30, 900), (31, 961)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn filter_by_range(&self, low: K, high: K) -> Rdd<(K, V)>
    where
        K: Ord,
    {
        let (name, site, meta) = ("filter_by_range", Site::caller(), &self.op.meta);
        let in_ranges = self.partitioner().filter(|p| p.order_of::<K>().is_some()).cloned();
        let (parent, wanted) = (Link::typed(&self.op), Arc::new((low, high)));
        let shape = Shape {
            name,
            site,
            partitions: meta.partitions.clone(),
            deps: vec![Dep::Narrow(Link::erased(&self.op))],
            partitioner: meta.partitioner.clone(),
            depth: meta.depth + 1,
        };
        self.sc.make(shape, move |p, task| {
            if let Some(by) = &in_ranges {
                at(site);
                let router = by.router::<K>(name, site)?;
                let end = |k: &K| router.partition(k, |_| unreachable!("what has an order does not hash"));
                let (a, b) = (end(&wanted.0)?, end(&wanted.1)?);
                if !(a.min(b)..=a.max(b)).contains(&p) {
                    return Ok(Flow::empty());
                }
            }
            let wanted = wanted.clone();
            Ok(parent.flow(p, task)?.then(move |c| {
                at(site);
                c.filter(|(k, _)| wanted.0 <= *k && *k <= wanted.1)
            }))
        })
    }
}

impl<T: Data> Rdd<T> {
    /// The records in ascending order of what `f` makes of them; equal ones stay in the order in which they are. `f` is
    /// called once for each record. For more, see [`sort_by_key`](Rdd::sort_by_key); the result has no partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext, Total};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let numbers = sc.parallelize([2.5, -1.0, f64::NAN, 0.5], 2);
    /// let sorted = numbers.sort_by(|x| Total(*x)).collect()?;
    /// assert_eq!(sorted[..3], [-1.0, 0.5, 2.5]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn sort_by<K: SortKey>(&self, f: impl Fn(&T) -> K + Send + Sync + 'static) -> Rdd<T>
    where
        T: Wire,
    {
        self.sort_by_at(Site::caller(), f, Order::Ascending, None)
    }
    /// [`sort_by`](Rdd::sort_by) in an order, over so many partitions.
    ///
    /// ```
    /// # use winterbourne_engine::{Order, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let words = sc.parallelize(["to", "be", "or"].map(String::from), 2);
    /// assert_eq!(words.sort_by_in(|w| w.clone(), Order::Descending, 1).collect()?, ["to", "or", "be"]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn sort_by_in<K: SortKey>(
        &self,
        f: impl Fn(&T) -> K + Send + Sync + 'static,
        order: Order,
        partitions: usize,
    ) -> Rdd<T>
    where
        T: Wire,
    {
        self.sort_by_at(Site::caller(), f, order, Some(Count::known(partitions)))
    }
    /// [`sort_by_in`](Rdd::sort_by_in) on behalf of `site`; without a number, over as many partitions as there are.
    pub fn sort_by_at<K: SortKey>(
        &self,
        site: Site,
        f: impl Fn(&T) -> K + Send + Sync + 'static,
        order: Order,
        partitions: Option<Count>,
    ) -> Rdd<T>
    where
        T: Wire,
    {
        let name = "sort_by";
        self.keyed(name, site, f).sorted(name, site, order, partitions).only_values(name, site)
    }
}

/// The runs that map tasks left, cut into partitions of equal size: known once all are there.
struct Ranges<K: SortKey, V: Wire> {
    x: Arc<Exchange<(K, V), Sorted<K, V>>>,
    order: Order,
    /// The last key of each partition but the last one, found when first asked for; none for a partition that is empty
    /// because there are more partitions than records.
    ///
    /// SUBTLE: the user's order runs while a bound is looked for, so that is under no lock; two tasks that look for the
    /// same one find the same.
    bounds: OnceLock<Vec<OnceLock<Option<K>>>>,
    /// If some runs are on disk: keys of all parts in order, and how many records there are up to each.
    samples: OnceLock<Vec<(K, u64)>>,
}
impl<K: SortKey, V: Wire> Ranges<K, V> {
    /// The bounds, as far as they were found.
    fn cells(&self) -> Result<&[OnceLock<Option<K>>]> {
        let n = self.x.reducers().get()?;
        Ok(self.bounds.get_or_init(|| (1..n).map(|_| OnceLock::new()).collect()))
    }
    fn bound(&self, i: usize) -> Result<Option<&K>> {
        let cells = self.cells()?;
        if let Some(found) = cells[i].get() {
            return Ok(found.as_ref());
        }
        let outputs = self.x.outputs()?;
        if outputs.iter().any(|output| output.has_spilled()) {
            let found = self.sampled(&outputs, i, cells.len() + 1);
            return Ok(cells[i].get_or_init(|| found).as_ref());
        }
        let runs: Vec<Arc<SortedRun<K, V>>> = outputs.into_iter().map(|output| output.memory().clone()).collect();
        let all: usize = runs.iter().map(|run| run.len()).sum();
        let before = (all as u128 * (i as u128 + 1) / (cells.len() as u128 + 1)) as usize;
        let last = before.checked_sub(1).and_then(|rank| key_at_rank(&runs, rank, self.order));
        Ok(cells[i].get_or_init(|| last.cloned()).as_ref())
    }
    /// Whether a key belongs to partition `i` or one before it.
    fn is_within(&self, key: &K, i: usize) -> Result<bool> {
        Ok(self.bound(i)?.is_some_and(|bound| self.order.compare(key, bound).is_le()))
    }
    /// A bound that is right to about a chunk for each run.
    fn sampled(&self, outputs: &[&Arc<Sorted<K, V>>], i: usize, partitions: usize) -> Option<K> {
        let find = || {
            let mut all: Vec<(K, u64)> = Vec::new();
            outputs.iter().for_each(|output| all.extend(output.samples().map(|(k, n)| (k.clone(), n))));
            all.sort_by(|a, b| self.order.compare(&a.0, &b.0));
            let mut before = 0;
            for (_, n) in &mut all {
                before += *n;
                *n = before;
            }
            all
        };
        let samples = match self.samples.get() {
            Some(samples) => samples,
            None => {
                let found = find();
                self.samples.get_or_init(|| found)
            }
        };
        let all = samples.last()?.1;
        let before = (u128::from(all) * (i as u128 + 1) / partitions as u128) as u64;
        samples.get(samples.partition_point(|(_, up_to)| *up_to < before)).map(|(k, _)| k.clone())
    }
    /// The records of partition `p`, in order.
    fn flow(&self, p: usize, site: Site, task: &Task) -> Result<Flow<(K, V)>> {
        let inner = self.cells()?.len();
        let low = if p == 0 { None } else { self.bound(p - 1)? };
        let high = if p == inner {
            None
        } else {
            let Some(bound) = self.bound(p)? else { return Ok(Flow::empty()) }; // no last key, no record
            Some(bound)
        };
        let outputs = self.x.outputs()?;
        if outputs.iter().any(|output| output.has_spilled()) {
            let pulls = outputs.iter().flat_map(|output| output.pulls(low, high, self.order)).collect();
            return merged_pulls(pulls, self.order, site, task);
        }
        let slice = |output: &&Arc<Sorted<K, V>>| {
            let run = output.memory();
            let (from, to) = range_in(run, low, high, self.order);
            Slice::new(run.clone(), from..to)
        };
        Ok(merged(outputs.iter().map(slice).collect(), self.order, site, task))
    }
}

/// A sort as a partitioner: whatever is spread by it waits until the sort's map tasks have run.
struct ByRanges<K: SortKey, V: Wire>(Arc<Ranges<K, V>>);
impl<K: SortKey, V: Wire> Rule<K> for ByRanges<K, V> {
    fn partition(&self, key: &K) -> Result<usize> {
        let (mut low, mut high) = (0, self.0.cells()?.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.0.is_within(key, middle)? { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }
    fn order(&self) -> Option<Order> {
        Some(self.0.order)
    }
    fn same(&self, other: &(dyn Rule<K> + 'static)) -> bool {
        (other as &dyn Any).downcast_ref::<Self>().is_some_and(|other| Arc::ptr_eq(&self.0, &other.0))
    }
}
