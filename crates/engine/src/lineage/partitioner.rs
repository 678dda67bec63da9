//! Which partition a key belongs to: [`KeyPartitioner`], what users write and pass, and [`Partitioner`], the same without
//! the type of the keys, as a lineage keeps it.
use super::{Count, Shuffle};
use crate::{Error, Result, Site, hash};
use std::{any::Any, hash::Hash, sync::Arc};

/// Which way a sort goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Order {
    /// The least key first.
    #[default]
    Ascending,
    /// The greatest key first.
    Descending,
}
impl Order {
    /// How two keys follow each other.
    #[inline]
    pub fn compare<K: Ord>(self, a: &K, b: &K) -> std::cmp::Ordering {
        match self {
            Order::Ascending => a.cmp(b),
            Order::Descending => b.cmp(a),
        }
    }
}

/// Says which of its partitions a key belongs to. Every `_in` operator takes one.
///
/// A plain number is one: so many partitions, by the fixed-seed hash of the key, as [`HashPartitioner`] and as operators
/// do unless told otherwise. [`RangePartitioner`](crate::RangePartitioner) keeps keys in order, and
/// [`Partitioner`], which another RDD tells, spreads as that one. Others are yours: how many partitions, and the number
/// of a key's; the same key must always get the same. Two that are equal (`==`) send every key to the same partition;
/// RDDs that are spread alike meet without a shuffle. Those of different types are never equal.
///
/// ```
/// # use winterbourne_engine::{KeyPartitioner, SparkConf, SparkContext};
/// /// Key k to partition k mod n.
/// #[derive(PartialEq)]
/// struct Modulo(usize);
/// impl KeyPartitioner<u64> for Modulo {
///     fn num_partitions(&self) -> usize {
///         self.0
///     }
///     fn partition(&self, key: &u64) -> usize {
///         (*key % self.0 as u64) as usize
///     }
/// }
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let spread = sc.range(0..6, 3).map(|x| (x, ())).partition_by(Modulo(2)).keys();
/// assert_eq!(spread.glom().collect()?, [[0, 2, 4], [1, 3, 5]]);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say where keys of type `{K}` go",
    label = "a number of partitions, or a partitioner of `{K}`",
    note = "numbers are `usize`; a partitioner of your own implements `KeyPartitioner<{K}>` and `PartialEq`"
)]
#[doc(alias = "Partitioner")]
pub trait KeyPartitioner<K>: PartialEq + Send + Sync + 'static {
    /// How many partitions there are. Asked once for each operator.
    fn num_partitions(&self) -> usize;
    /// The partition of a key, from 0. A number that is not below [`num_partitions`](KeyPartitioner::num_partitions)
    /// fails the task with [`Error::NoSuchPartition`].
    fn partition(&self, key: &K) -> usize;
    /// Whether greater keys are never in lower partitions, or never in higher ones:
    /// [`filter_by_range`](crate::Rdd::filter_by_range) then leaves out partitions, and sorting sorts within them.
    fn order(&self) -> Option<Order> {
        None
    }
    /// The form a lineage keeps. Not to be written anew.
    #[doc(hidden)]
    fn erased(self) -> Partitioner
    where
        Self: Sized,
        K: 'static,
    {
        Partitioner::keyed::<K>(Count::known(self.num_partitions()), None, Given(self))
    }
}

/// By the fixed-seed hash of the key over so many partitions: what a plain number means.
///
/// ```
/// # use winterbourne_engine::{HashPartitioner, KeyPartitioner};
/// let halves = HashPartitioner::new(2);
/// assert!(halves == HashPartitioner::new(2) && halves != HashPartitioner::new(3));
/// assert_eq!(halves.partition(&"a"), 2.partition(&"a"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashPartitioner(usize);
impl HashPartitioner {
    /// Over so many partitions.
    pub fn new(partitions: usize) -> Self {
        HashPartitioner(partitions)
    }
}
impl<K: Hash> KeyPartitioner<K> for HashPartitioner {
    fn num_partitions(&self) -> usize {
        self.0
    }
    fn partition(&self, key: &K) -> usize {
        hash::partition(hash::of(key), self.0)
    }
    fn erased(self) -> Partitioner {
        Partitioner::Hash(Count::known(self.0))
    }
}
impl<K: Hash> KeyPartitioner<K> for usize {
    fn num_partitions(&self) -> usize {
        *self
    }
    fn partition(&self, key: &K) -> usize {
        hash::partition(hash::of(key), *self)
    }
    fn erased(self) -> Partitioner {
        Partitioner::Hash(Count::known(self))
    }
}
/// By hash. One that cannot be found has no partitions.
impl<K: Hash> KeyPartitioner<K> for Count {
    fn num_partitions(&self) -> usize {
        self.get().unwrap_or(0)
    }
    fn partition(&self, key: &K) -> usize {
        hash::partition(hash::of(key), KeyPartitioner::<K>::num_partitions(self))
    }
    fn erased(self) -> Partitioner {
        Partitioner::Hash(self)
    }
}
/// As that RDD is spread. One of other keys has no partition for any.
impl<K: Hash + 'static> KeyPartitioner<K> for Partitioner {
    fn num_partitions(&self) -> usize {
        self.partitions().get().unwrap_or(0)
    }
    fn partition(&self, key: &K) -> usize {
        match self {
            Partitioner::Hash(n) => KeyPartitioner::<K>::partition(n, key),
            Partitioner::Keyed(keyed) => keyed.rule::<K>().and_then(|r| r.0.partition(key).ok()).unwrap_or(usize::MAX),
        }
    }
    fn order(&self) -> Option<Order> {
        self.order_of::<K>()
    }
    fn erased(self) -> Partitioner {
        self
    }
}

/// Which partition a key belongs to, without the type of the keys; what an RDD says of itself. Two that are the same put
/// equal keys into equal partitions, so a join of RDDs that share one needs no shuffle.
#[derive(Clone)]
#[non_exhaustive]
pub enum Partitioner {
    /// By the fixed-seed hash of the key, over this many partitions.
    Hash(Count),
    /// By a rule for keys of one type.
    Keyed(Keyed),
}
/// A rule for keys of one type, which only those who know the type can read.
#[derive(Clone)]
pub struct Keyed {
    partitions: Count,
    /// What must have run before the rule can be asked.
    after: Option<Arc<dyn Shuffle>>,
    rule: Arc<dyn Any + Send + Sync>,
    same: fn(&Keyed, &Keyed) -> bool,
}
/// What says where keys go, from a partitioner that was given or from a shuffle that has run.
pub(crate) trait Rule<K>: Any + Send + Sync {
    /// The partition of a key, unchecked.
    fn partition(&self, key: &K) -> Result<usize>;
    fn order(&self) -> Option<Order>;
    fn same(&self, other: &(dyn Rule<K> + 'static)) -> bool;
}
/// A rule, sized, so that it can be asked for by its type.
pub(crate) struct Boxed<K>(pub(crate) Box<dyn Rule<K>>);

/// A user's partitioner as a rule.
struct Given<P>(P);
impl<K, P: KeyPartitioner<K>> Rule<K> for Given<P> {
    fn partition(&self, key: &K) -> Result<usize> {
        Ok(self.0.partition(key))
    }
    fn order(&self) -> Option<Order> {
        self.0.order()
    }
    fn same(&self, other: &(dyn Rule<K> + 'static)) -> bool {
        (other as &dyn Any).downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }
}

impl Keyed {
    pub(crate) fn rule<K: 'static>(&self) -> Option<Arc<Boxed<K>>> {
        self.rule.clone().downcast().ok()
    }
}
impl Partitioner {
    /// A rule as a partitioner; `after` must have run before the rule is asked.
    pub(crate) fn keyed<K: 'static>(partitions: Count, after: Option<Arc<dyn Shuffle>>, rule: impl Rule<K>) -> Self {
        fn same<K: 'static>(a: &Keyed, b: &Keyed) -> bool {
            match (a.rule::<K>(), b.rule::<K>()) {
                (Some(a), Some(b)) => Arc::ptr_eq(&a, &b) || a.0.same(&*b.0),
                _ => false,
            }
        }
        Partitioner::Keyed(Keyed { partitions, after, rule: Arc::new(Boxed(Box::new(rule))), same: same::<K> })
    }
    /// How many partitions it spreads over.
    pub fn partitions(&self) -> &Count {
        match self {
            Partitioner::Hash(n) => n,
            Partitioner::Keyed(keyed) => &keyed.partitions,
        }
    }
    /// Whether both send every key to the same partition. May have to list files to know.
    pub fn same(&self, other: &Partitioner) -> bool {
        match (self, other) {
            (Partitioner::Hash(a), Partitioner::Hash(b)) => a.same(b),
            (Partitioner::Keyed(a), Partitioner::Keyed(b)) => (a.same)(a, b),
            _ => false,
        }
    }
    /// The order of the keys over the partitions, if they are of this type and have one.
    pub(crate) fn order_of<K: 'static>(&self) -> Option<Order> {
        match self {
            Partitioner::Hash(_) => None,
            Partitioner::Keyed(keyed) => keyed.rule::<K>()?.0.order(),
        }
    }
    /// The shuffle that must have run before keys can be spread by it.
    pub(crate) fn after(&self) -> Option<&Arc<dyn Shuffle>> {
        match self {
            Partitioner::Hash(_) => None,
            Partitioner::Keyed(keyed) => keyed.after.as_ref(),
        }
    }
    /// What the tasks of the operator `name` at `site` ask.
    pub(crate) fn router<K: 'static>(&self, name: &'static str, site: Site) -> Result<Router<K>> {
        let partitions = self.partitions().get()?;
        let rule = match self {
            Partitioner::Hash(_) => None,
            Partitioner::Keyed(keyed) => Some(keyed.rule::<K>().ok_or(Error::OtherKeys { operator: name, site })?),
        };
        Ok(Router { partitions, rule, name, site })
    }
}
impl PartialEq for Partitioner {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
    }
}

/// A partitioner at work in a task.
pub(crate) struct Router<K> {
    pub(crate) partitions: usize,
    /// None: by hash.
    rule: Option<Arc<Boxed<K>>>,
    name: &'static str,
    site: Site,
}
impl<K: 'static> Router<K> {
    /// The partition of a key; its hash is asked for only if needed.
    ///
    /// # Errors
    /// What a partitioner said that has no such partition.
    #[inline]
    pub(crate) fn partition(&self, key: &K, hash: impl FnOnce(&K) -> u64) -> Result<usize> {
        match &self.rule {
            None => Ok(hash::partition(hash(key), self.partitions)),
            Some(rule) => self.ruled(rule, key),
        }
    }
    fn ruled(&self, rule: &Boxed<K>, key: &K) -> Result<usize> {
        let Router { partitions, name: operator, site, .. } = *self;
        match rule.0.partition(key)? {
            p if p < partitions => Ok(p),
            partition => Err(Error::NoSuchPartition { operator, site, partition, partitions }),
        }
    }
}
