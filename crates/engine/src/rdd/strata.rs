//! Samples by key: each key has a fraction of its own.
use super::{
    Rdd,
    sample::{Sampling, push_copies},
    survey::Survey,
};
use crate::{
    Chunk, Data, Error, Flow, Key, Result, Site, Task, at, detach,
    hash::{self, FixedState},
    random::Random,
    show,
};
use std::{collections::HashMap, hash::Hash, sync::Arc};

type Table<K, V> = HashMap<K, V, FixedState>;
/// The fraction of each key, and whom to name if one is missing.
struct Fractions<K> {
    of: Table<K, f64>,
    operator: &'static str,
    site: Site,
}
impl<K: Key> Fractions<K> {
    fn get(&self, key: &K) -> Result<f64> {
        let Fractions { of, operator, site } = self;
        of.get(key).copied().ok_or_else(|| Error::NoFraction { operator, site: *site, key: show(key) })
    }
}
/// What is to be taken of the records of one key in one partition.
#[derive(Clone, Copy)]
struct Quota {
    take: u64,
    of: u64,
}
impl Quota {
    /// How often the next record is taken, so that in the end it is what was to be.
    fn next(&mut self, random: &mut Random, replace: bool) -> u64 {
        if self.of == 0 {
            return 0; // a record that was not there when they were counted
        }
        let n = match replace {
            true => random.binomial(self.take, 1.0 / self.of as f64),
            false => (random.below(self.of) < self.take).into(),
        };
        (self.take, self.of) = (self.take - n, self.of - 1);
        n
    }
}
/// The quotas of each partition.
type Plan<K> = Vec<Table<K, Quota>>;

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// About a part of the records of each key, a fraction of its own for each; otherwise as
    /// [`sample`](Rdd::sample). One pass; keeps the partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{Sampling, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let requests = sc.range(0..10_000, 4).map(|x| (if x % 100 == 0 { "error" } else { "ok" }.to_string(), x));
    /// let fractions = [("error".to_string(), 1.0), ("ok".to_string(), 0.01)];
    /// let some = requests.sample_by_key(Sampling::without_replacement(), fractions).collect()?;
    /// assert_eq!(some.iter().filter(|r| r.0 == "error").count(), 100);
    /// assert!(some.len() < 300);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// At the action, [`Error::NoFraction`] for a key without one; as [`sample`](Rdd::sample).
    #[track_caller]
    pub fn sample_by_key(&self, how: Sampling, fractions: impl IntoIterator<Item = (K, f64)>) -> Rdd<(K, V)>
    where
        K: Key,
    {
        let (operator, site, seed) = ("sample_by_key", Site::caller(), how.seed_in(&self.sc));
        self.stratified(operator, site, how, fractions, |fractions| {
            self.narrow(operator, site, true, move |p, flow, _| {
                let (fractions, mut random) = (fractions.clone(), Random::of((seed, p as u64)));
                Ok(taken(flow, site, move |key| {
                    let fraction = fractions.get(key)?;
                    Ok(if how.replace { random.poisson(fraction) } else { (random.unit() < fraction).into() })
                }))
            })
        })
    }
    /// Exactly a part of the records of each key: of n records, `fraction * n`, rounded up. Each choice of so many is
    /// equally likely. Keeps the partitioner.
    ///
    /// The records of each key are counted first, when a job needs this RDD, and not again by later ones. So the parent
    /// is computed twice unless it is cached. The keys should be few: each partition's counts of them are in memory.
    ///
    /// ```
    /// # use winterbourne_engine::{Sampling, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let pairs = sc.range(0..1005, 4).map(|x| (x % 2, x)); // 503 even, 502 odd
    /// let some = pairs.sample_by_key_exact(Sampling::without_replacement(), [(0, 0.1), (1, 0.5)]).collect()?;
    /// assert_eq!((some.iter().filter(|e| e.0 == 0).count(), some.iter().filter(|e| e.0 == 1).count()), (51, 251));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sample_by_key`](Rdd::sample_by_key).
    #[track_caller]
    pub fn sample_by_key_exact(&self, how: Sampling, fractions: impl IntoIterator<Item = (K, f64)>) -> Rdd<(K, V)>
    where
        K: Key,
    {
        let (operator, site, seed) = ("sample_by_key_exact", Site::caller(), how.seed_in(&self.sc));
        self.stratified(operator, site, how, fractions, |fractions| {
            let summed = fractions.clone();
            let survey = Survey {
                look: move |flow| counted(flow, &fractions),
                sum: move |found: &[&[(K, u64)]]| allotted(found, &summed, how, seed),
                read: move |p: usize, flow, plan: &Arc<Plan<K>>, _: &Task| {
                    let mut quotas = plan[p].clone();
                    let mut random = Random::of((seed, p as u64));
                    let next = move |key: &K| Ok(quotas.get_mut(key).map_or(0, |q| q.next(&mut random, how.replace)));
                    Ok(taken(flow, site, next))
                },
            };
            self.surveyed(operator, site, true, self, survey)
        })
    }
    fn stratified(
        &self,
        operator: &'static str,
        site: Site,
        how: Sampling,
        fractions: impl IntoIterator<Item = (K, f64)>,
        make: impl FnOnce(Arc<Fractions<K>>) -> Rdd<(K, V)>,
    ) -> Rdd<(K, V)>
    where
        K: Key,
    {
        let of: Table<K, f64> = fractions.into_iter().collect();
        match of.values().find_map(|f| how.refusal(*f).map(|rule| (*f, rule))) {
            Some((fraction, rule)) => {
                self.sc.wrong(operator, site, move || Error::Fraction { operator, site, fraction, rule })
            }
            None => make(Arc::new(Fractions { of, operator, site })),
        }
    }
}

/// Each record as often as `copies` says.
fn taken<K: Data, V: Data>(
    mut flow: Flow<(K, V)>,
    site: Site,
    mut copies: impl FnMut(&K) -> Result<u64> + 'static,
) -> Flow<(K, V)> {
    Flow::new(move || {
        while let Some(c) = flow.next_chunk()? {
            at(site);
            let (mut out, mut failure) = (Vec::new(), None);
            let mut take = |key: &K| match failure {
                None => copies(key).unwrap_or_else(|e| {
                    failure = Some(e);
                    0
                }),
                Some(_) => 0,
            };
            match c {
                Chunk::Own(v) => v.into_iter().for_each(|x| {
                    let n = take(&x.0);
                    push_copies(&mut out, x, n);
                }),
                // What is not taken is not cloned.
                Chunk::Shared(v, r) => v[r].iter().for_each(|x| (0..take(&x.0)).for_each(|_| out.push(x.clone()))),
            }
            if let Some(e) = failure {
                return Err(e);
            }
            if !out.is_empty() {
                return Ok(Some(Chunk::Own(out)));
            }
        }
        Ok(None)
    })
}

/// How many records of each key a partition has.
fn counted<K: Key, V: Data>(flow: Flow<(K, V)>, fractions: &Fractions<K>) -> Result<Vec<(K, u64)>> {
    let mut counts: Table<K, u64> = Table::default();
    flow.each(|c| {
        at(fractions.site);
        c.as_slice().iter().try_for_each(|(k, _)| {
            match counts.get_mut(k) {
                Some(n) => *n += 1,
                None => {
                    fractions.get(k)?;
                    counts.insert(detach::key(k.clone()), 1);
                }
            }
            Ok(())
        })
    })?;
    Ok(counts.into_iter().collect())
}
/// What each partition is to take of each key: the number for all of them is exact, and it is spread over the partitions
/// as if all records had been in one.
fn allotted<K: Key>(found: &[&[(K, u64)]], fractions: &Fractions<K>, how: Sampling, seed: u64) -> Plan<K> {
    let mut by_key: Table<&K, Vec<(usize, u64)>> = Table::default();
    for (p, counts) in found.iter().enumerate() {
        counts.iter().for_each(|(k, n)| by_key.entry(k).or_default().push((p, *n)));
    }
    let mut plan = vec![Table::default(); found.len()];
    for (key, parts) in by_key {
        let mut rest: u64 = parts.iter().map(|part| part.1).sum();
        let fraction = fractions.of.get(key).copied().unwrap_or(0.0);
        let mut draws = (fraction * rest as f64).ceil() as u64;
        let mut random = Random::of((seed, KEYS, hash_of(key)));
        for (p, n) in parts {
            let take = match how.replace {
                true if n == rest => draws,
                true => random.binomial(draws, n as f64 / rest as f64),
                false => random.hypergeometric(rest, n, draws),
            };
            plan[p].insert(key.clone(), Quota { take, of: n });
            (rest, draws) = (rest - n, draws - take);
        }
    }
    plan
}
/// Keeps the generators of keys apart from those of partitions.
const KEYS: u64 = 0x6B65_7973;
fn hash_of<K: Hash>(key: &K) -> u64 {
    hash::of(key)
}
