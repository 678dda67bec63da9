//! [`Distinct`]: a HyperLogLog sketch, which counts distinct records in little memory, with a known error; and the
//! actions made of it.
//!
//! A hash's first bits name a register, which keeps the longest row of zero bits that the rest of a hash began with. Few
//! distinct records are kept as a list of registers that are not zero (*sparse*), named by more bits; a list that needs
//! more memory than the registers is folded into them (*dense*). When that happens depends on the records only, not on how
//! they were split, so a sketch is the same for any number of partitions and threads. The number is read off by the
//! improved estimator of Ertl (2017), which needs neither tables of corrections nor a switch between formulas.
use super::Rdd;
use crate::{Data, Error, Key, KeyPartitioner, Result, Site, Wire, at, hash};
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// The relative standard error of `count_approx_distinct` unless the caller says.
const RELATIVE_SD: f64 = 0.05;
/// Any finer, and there are more registers than 32 bits number.
const FINEST: f64 = 0.000_017;
const FINEST_BITS: u8 = 32;

/// Bits that name a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Precision {
    dense: u8,
    /// Of the list; no less than `dense`.
    sparse: u8,
}
impl Precision {
    /// For a relative standard error, as Spark counts it; or why there is none.
    fn of(relative_sd: f64) -> Result<Self, String> {
        if relative_sd.is_nan() || relative_sd <= FINEST {
            return Err(format!("accuracy ({relative_sd}) must be greater than {FINEST}"));
        }
        let p = (2.0 * (1.054 / relative_sd).log2()).ceil().clamp(4.0, FINEST_BITS.into()) as u8;
        // The list costs the same at any precision; at the highest, few records are counted nearly exactly.
        Ok(Precision { dense: p, sparse: FINEST_BITS })
    }
    fn new(p: u32, sp: u32) -> Result<Self, String> {
        match (p, sp) {
            (..4, _) => Err(format!("p ({p}) must be at least 4")),
            (33.., _) | (_, 33..) => Err(format!("p ({p}) and sp ({sp}) must be at most 32")),
            (_, 1..) if p > sp => Err(format!("p ({p}) cannot be greater than sp ({sp}), unless sp is 0")),
            _ => Ok(Precision { dense: p as u8, sparse: p.max(sp) as u8 }),
        }
    }
}

/// What it has seen. `Wire`, so that it crosses shuffles.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Distinct {
    precision: Precision,
    registers: Registers,
}
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Registers {
    /// Index (above) and row of zeros (lowest eight bits); the first `sorted` ascend, one for each index, the others are
    /// yet to be sorted in.
    Sparse { list: Vec<u64>, sorted: usize },
    /// By index.
    Dense(Vec<u8>),
}

impl Distinct {
    fn new(precision: Precision) -> Self {
        Distinct { precision, registers: Registers::Sparse { list: Vec::new(), sorted: 0 } }
    }
    fn add(&mut self, x: &impl Hash) {
        let hash = mixed(hash::of(x));
        match &mut self.registers {
            Registers::Dense(registers) => {
                let (index, zeros) = split(hash, self.precision.dense);
                let register = &mut registers[index as usize];
                *register = (*register).max(zeros);
            }
            Registers::Sparse { list, sorted } => {
                let (index, zeros) = split(hash, self.precision.sparse);
                list.push(index << 8 | u64::from(zeros));
                if list.len() >= 64 + 2 * *sorted {
                    self.settle();
                }
            }
        }
    }
    fn merge(&mut self, mut other: Distinct) {
        other.settle();
        self.settle();
        match (&mut self.registers, other.registers) {
            (Registers::Dense(mine), Registers::Dense(theirs)) => {
                mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = (*mine).max(theirs));
            }
            (Registers::Dense(mine), Registers::Sparse { list, .. }) => pour(&list, self.precision, mine),
            (mine @ Registers::Sparse { .. }, Registers::Dense(mut theirs)) => {
                if let Registers::Sparse { list, .. } = mine {
                    pour(list, self.precision, &mut theirs);
                }
                *mine = Registers::Dense(theirs);
            }
            (Registers::Sparse { list, .. }, Registers::Sparse { list: more, .. }) => {
                list.extend(more);
                self.settle();
            }
        }
    }
    /// Sorts the list in, and folds it into registers if these need less memory.
    fn settle(&mut self) {
        let Registers::Sparse { list, sorted } = &mut self.registers else { return };
        if *sorted < list.len() {
            list.sort_unstable();
            // Of one index the longest row comes last: keep that.
            list.reverse();
            list.dedup_by_key(|entry| *entry >> 8);
            list.reverse();
            *sorted = list.len();
        }
        if list.len() * size_of::<u64>() > 1 << self.precision.dense {
            let mut registers = vec![0; 1 << self.precision.dense];
            pour(list, self.precision, &mut registers);
            self.registers = Registers::Dense(registers);
        }
    }
    /// About how many distinct records it has seen.
    fn estimate(mut self) -> u64 {
        self.settle();
        // How many registers have each value.
        let mut histogram = [0u64; 66];
        let p = match &self.registers {
            Registers::Dense(registers) => {
                registers.iter().for_each(|r| histogram[usize::from(*r)] += 1);
                self.precision.dense
            }
            Registers::Sparse { list, .. } => {
                list.iter().for_each(|entry| histogram[(entry & 255) as usize] += 1);
                histogram[0] = (1 << self.precision.sparse) - list.len() as u64;
                self.precision.sparse
            }
        };
        estimate(&histogram, p).round() as u64
    }
}

/// Register and row of zeros, counted from one, of a hash.
fn split(hash: u64, p: u8) -> (u64, u8) {
    // The bit behind the last one ends the row.
    let rest = hash << p | 1 << (p - 1);
    (hash >> (64 - p), rest.leading_zeros() as u8 + 1)
}
/// Folds a list into registers, which are named by fewer bits.
fn pour(list: &[u64], precision: Precision, registers: &mut [u8]) {
    let fewer = precision.sparse - precision.dense;
    for entry in list {
        let (index, zeros) = (entry >> 8, (entry & 255) as u8);
        // The bits that no longer name a register begin the row.
        let between = index & ((1 << fewer) - 1);
        let zeros = match between {
            0 => fewer + zeros,
            _ => fewer - (between.ilog2() as u8),
        };
        let register = &mut registers[(index >> fewer) as usize];
        *register = (*register).max(zeros);
    }
}
/// Spreads what is not evenly spread over the high bits, one to one (the finaliser of MurmurHash3).
fn mixed(mut h: u64) -> u64 {
    h = (h ^ h >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ h >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ h >> 33
}

/// The number behind a histogram of `2^p` registers.
fn estimate(histogram: &[u64; 66], p: u8) -> f64 {
    let m = (1u64 << p) as f64;
    let longest = usize::from(64 - p);
    let share = |k: usize| histogram[k] as f64 / m;
    let mut z = m * tau(1.0 - share(longest + 1));
    for k in (1..=longest).rev() {
        z = 0.5 * (z + histogram[k] as f64);
    }
    z += m * sigma(share(0));
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}
/// What registers that are still zero add.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut step) = (x, 1.0);
    loop {
        let before = sum;
        x *= x;
        sum += x * step;
        step += step;
        if sum == before {
            return sum;
        }
    }
}
/// What registers that are full take away.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut step) = (1.0 - x, 1.0);
    loop {
        let before = sum;
        x = x.sqrt();
        step *= 0.5;
        sum -= (1.0 - x).powi(2) * step;
        if sum == before {
            return sum / 3.0;
        }
    }
}

impl<T: Data> Rdd<T> {
    /// About how many distinct records there are, with a relative standard error of 5 %: in two thirds of all cases the
    /// number is nearer to the truth than that. Few, up to about sixty, are counted nearly exactly. Takes half a kibibyte for
    /// each task, and no shuffle.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let about = sc.range(0..100_000, 4).map(|x| x % 5000).count_approx_distinct()?;
    /// assert!((4500..5500).contains(&about), "{about}");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[doc(alias = "countApproxDistinct")]
    #[track_caller]
    pub fn count_approx_distinct(&self) -> Result<u64>
    where
        T: Hash,
    {
        self.sketched("count_approx_distinct", Site::caller(), Precision::of(RELATIVE_SD))
    }
    /// [`count_approx_distinct`](Rdd::count_approx_distinct) with another relative standard error, at least 0.000017. Memory
    /// grows with its inverse square: 1 % takes 16 KiB for each task, 0.1 % takes 2 MiB, or less while fewer distinct
    /// records have come.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let about = sc.range(0..100_000, 4).map(|x| x % 5000).count_approx_distinct_with(0.005)?;
    /// assert!((4900..5100).contains(&about), "{about}");
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Precision`] for an error that is too small; see [`collect`](Rdd::collect).
    #[doc(alias = "countApproxDistinct")]
    #[track_caller]
    pub fn count_approx_distinct_with(&self, relative_sd: f64) -> Result<u64>
    where
        T: Hash,
    {
        self.sketched("count_approx_distinct_with", Site::caller(), Precision::of(relative_sd))
    }
    /// [`count_approx_distinct`](Rdd::count_approx_distinct) with `2^p` registers, and with `2^sp` of them, for a higher
    /// precision, while there are few distinct records. `p` is from 4 to 32; `sp` is as much at least, or 0.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let few = sc.range(0..1000, 4).map(|x| x % 100);
    /// assert_eq!(few.count_approx_distinct_precise(12, 25)?, 100);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Precision`]; see [`collect`](Rdd::collect).
    #[doc(alias = "countApproxDistinct")]
    #[track_caller]
    pub fn count_approx_distinct_precise(&self, p: u32, sp: u32) -> Result<u64>
    where
        T: Hash,
    {
        self.sketched("count_approx_distinct_precise", Site::caller(), Precision::new(p, sp))
    }
    fn sketched(&self, action: &'static str, site: Site, precision: Result<Precision, String>) -> Result<u64>
    where
        T: Hash,
    {
        let precision = precision.map_err(|why| Error::Precision { action, site, why })?;
        let parts = self.on_each(action, site, move |flow, _| {
            let mut seen = Distinct::new(precision);
            flow.each(|c| {
                at(site);
                c.as_slice().iter().for_each(|x| seen.add(x));
                Ok(())
            })?;
            seen.settle();
            Ok(seen)
        })?;
        let mut all = Distinct::new(precision);
        parts.into_iter().for_each(|part| all.merge(part));
        Ok(all.estimate())
    }
}

impl<K: Data, V: Data> Rdd<(K, V)> {
    /// About how many distinct values each key has, with a relative standard error of 5 %. Combines on the map side; a key
    /// takes half a kibibyte at most.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let visits = sc.range(0..1000, 4).map(|i| (i % 2, i % 20));
    /// let mut visitors = visits.count_approx_distinct_by_key().collect()?;
    /// visitors.sort();
    /// assert_eq!(visitors, [(0, 10), (1, 10)]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "countApproxDistinctByKey")]
    #[track_caller]
    pub fn count_approx_distinct_by_key(&self) -> Rdd<(K, u64)>
    where
        K: Key,
        V: Wire + Hash,
    {
        self.distinct_by_key_at(Site::caller(), RELATIVE_SD, self.default_partitioner())
    }
    /// [`count_approx_distinct_by_key`](Rdd::count_approx_distinct_by_key) with another relative standard error, at least
    /// 0.000017.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let visits = sc.range(0..1000, 4).map(|i| (i % 2, i % 20));
    /// assert_eq!(visits.count_approx_distinct_by_key_with(0.01).lookup(1)?, [10]);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// An error that is too small comes out at the action, as [`Error::Precision`].
    #[doc(alias = "countApproxDistinctByKey")]
    #[track_caller]
    pub fn count_approx_distinct_by_key_with(&self, relative_sd: f64) -> Rdd<(K, u64)>
    where
        K: Key,
        V: Wire + Hash,
    {
        self.distinct_by_key_at(Site::caller(), relative_sd, self.default_partitioner())
    }
    /// The same into so many partitions, or by a partitioner.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let visits = sc.range(0..3_000, 3).map(|i| (i % 2, i % 500));
    /// let about = visits.count_approx_distinct_by_key_in(0.05, 4);
    /// assert_eq!(about.num_partitions()?, 4);
    /// assert!(about.values().collect()?.iter().all(|n| (200..300).contains(n)));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[doc(alias = "countApproxDistinctByKey")]
    #[track_caller]
    pub fn count_approx_distinct_by_key_in(&self, relative_sd: f64, partitions: impl KeyPartitioner<K>) -> Rdd<(K, u64)>
    where
        K: Key,
        V: Wire + Hash,
    {
        self.distinct_by_key_at(Site::caller(), relative_sd, partitions)
    }
    fn distinct_by_key_at(&self, site: Site, relative_sd: f64, partitions: impl KeyPartitioner<K>) -> Rdd<(K, u64)>
    where
        K: Key,
        V: Wire + Hash,
    {
        let name = "count_approx_distinct_by_key";
        let precision = match Precision::of(relative_sd) {
            Ok(precision) => precision,
            Err(why) => {
                return self.sc.wrong(name, site, move || Error::Precision { action: name, site, why: why.clone() });
            }
        };
        let first = move |v: V| {
            let mut seen = Distinct::new(precision);
            seen.add(&v);
            seen
        };
        let seen = self.combine_by_key_at(site, first, |seen, v| seen.add(&v), Distinct::merge, partitions);
        seen.map_values_at(site, Distinct::estimate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn precise(p: u8, sp: u8) -> Precision {
        Precision { dense: p, sparse: sp }
    }
    fn seen(precision: Precision, all: impl Iterator<Item = u64>) -> Distinct {
        let mut seen = Distinct::new(precision);
        all.for_each(|x| seen.add(&x));
        seen.settle();
        seen
    }
    fn is_same(a: &Distinct, b: &Distinct) -> bool {
        match (&a.registers, &b.registers) {
            (Registers::Sparse { list: a, .. }, Registers::Sparse { list: b, .. }) => a == b,
            (Registers::Dense(a), Registers::Dense(b)) => a == b,
            _ => false,
        }
    }

    #[test]
    fn a_sketch_is_the_same_however_records_were_split() {
        for (p, sp) in [(4, 4), (6, 6), (6, 14), (10, 10), (10, 25)] {
            for n in [0u64, 1, 7, 40, 130, 1000, 5000] {
                let whole = seen(precise(p, sp), 0..n);
                for parts in [2, 5] {
                    let mut all = Distinct::new(precise(p, sp));
                    // Overlapping, and merged from both sides.
                    for part in 0..parts {
                        let mut some = seen(precise(p, sp), (0..n).filter(|x| x % parts >= part));
                        if part % 2 == 0 {
                            std::mem::swap(&mut some, &mut all);
                        }
                        all.merge(some);
                    }
                    all.settle();
                    assert!(is_same(&all, &whole), "p {p}, sp {sp}, {n} in {parts}");
                }
            }
        }
    }
    #[test]
    fn a_list_poured_is_what_registers_would_have_been() {
        for (p, sp) in [(4, 4), (5, 9), (8, 32)] {
            let (mut poured, mut direct) = (vec![0; 1 << p], vec![0; 1 << p]);
            let hashes = (0..20_000u64).map(|x| mixed(hash::of(&x))).chain([0, 1, u64::MAX, 1 << 40]);
            for h in hashes {
                let (index, zeros) = split(h, sp);
                pour(&[index << 8 | u64::from(zeros)], precise(p, sp), &mut poured);
                let (index, zeros) = split(h, p);
                direct[index as usize] = zeros.max(direct[index as usize]);
            }
            assert_eq!(poured, direct, "p {p}, sp {sp}");
        }
    }
    /// Over many different sets, the error is centred on zero and as wide as promised: at any size, from sparse to full.
    #[test]
    fn the_error_is_what_is_promised() {
        let p = 8;
        let promised = 1.04 / 16.0;
        for n in [3u64, 20, 100, 300, 1000, 4000, 40_000] {
            let sets = 150;
            let errors: Vec<f64> = (0..sets)
                .map(|set: u64| {
                    let about = seen(precise(p, p), (0..n).map(|x| x << 8 | set)).estimate() as f64;
                    about / n as f64 - 1.0
                })
                .collect();
            let mean = errors.iter().sum::<f64>() / sets as f64;
            let sd = (errors.iter().map(|e| e * e).sum::<f64>() / sets as f64).sqrt();
            assert!(sd < promised * 1.25, "{n}: {sd} instead of {promised}");
            assert!(mean.abs() < promised * 0.35, "{n}: off by {mean} on average");
            let worst = errors.iter().fold(0.0, |a: f64, e| a.max(e.abs()));
            assert!(worst < promised * 4.5, "{n}: off by {worst}");
        }
    }
    #[test]
    fn hashes_are_mixed_and_split_as_described() {
        // The finaliser's values.
        assert_eq!([0, 1, u64::MAX].map(mixed), [0, 0xB456_BCFC_34C2_CB2C, 0x64B5_720B_4B82_5F21]);
        assert_eq!(split(0xFF00_0000_0000_0000, 8), (255, 57), "no bit is left: 56 zeros");
        assert_eq!(split(0x0180_0000_0000_0000, 8), (1, 1));
        assert_eq!(split(0x0110_0000_0000_0000, 8), (1, 4));
    }
    #[test]
    fn a_list_has_one_entry_for_each_register_and_grows_no_larger_than_registers() {
        let mut list_sizes = Vec::new();
        for n in 0..2000 {
            let sketch = seen(precise(10, 12), 0..n);
            let Registers::Sparse { list, sorted } = &sketch.registers else { break };
            assert!(list.is_sorted_by(|a, b| a >> 8 < b >> 8), "{list:?}");
            assert_eq!(*sorted, list.len());
            list_sizes.push(list.len());
        }
        // 1024 registers of a byte; an entry has eight.
        assert_eq!(list_sizes.last(), Some(&128));
        assert!(list_sizes.len() > 129, "some records share a register");
    }
    /// Ertl's estimator written down from its definition, term by term.
    fn dull(histogram: &[u64; 66], p: u8) -> f64 {
        let (m, q) = (f64::from(2f32).powi(p.into()), usize::from(64 - p));
        let share = |k: usize| histogram[k] as f64 / m;
        let x = share(0);
        let sigma = x + (1..64).map(|k| x.powf(2f64.powi(k)) * 2f64.powi(k - 1)).sum::<f64>();
        let y = 1.0 - share(q + 1);
        let tau = (1.0 - y - (1..64).map(|k| (1.0 - y.powf(2f64.powi(-k))).powi(2) * 2f64.powi(-k)).sum::<f64>()) / 3.0;
        let middle: f64 = (1..=q).map(|k| share(k) * 2f64.powi(-(k as i32))).sum();
        let (full, empty) = (if y == 0.0 { 0.0 } else { tau }, sigma);
        m / (2.0 * std::f64::consts::LN_2 * (full * 2f64.powi(-(q as i32)) + middle + empty))
    }
    #[test]
    fn the_estimate_is_that_of_its_definition() {
        for (p, some) in [
            (4, &[(0, 10), (1, 4), (3, 2)][..]),
            (4, &[(1, 8), (2, 4), (3, 2), (4, 2)]),
            (4, &[(59, 3), (60, 3), (61, 10)]), // registers that can take no more
            (4, &[(1, 1), (61, 15)]),
            (10, &[(0, 100), (1, 500), (2, 300), (7, 100), (54, 20), (55, 4)]),
        ] {
            let mut histogram = [0; 66];
            some.iter().for_each(|(k, n)| histogram[*k] = *n);
            let (found, expect) = (estimate(&histogram, p), dull(&histogram, p));
            assert!((found / expect - 1.0).abs() < 1e-9, "{some:?}: {found} instead of {expect}");
        }
        assert_eq!((sigma(1.0), tau(0.0), tau(1.0)), (f64::INFINITY, 0.0, 0.0));
    }
    #[test]
    fn a_list_is_read_off_like_registers() {
        for n in [1u64, 500, 4000, 8000] {
            let sketch = seen(precise(16, 16), 0..n);
            let Registers::Sparse { list, .. } = &sketch.registers else { panic!("{n} fit into a list") };
            let mut histogram = [0; 66];
            list.iter().for_each(|entry| histogram[(entry & 255) as usize] += 1);
            histogram[0] = 65_536 - list.len() as u64;
            assert_eq!(sketch.clone().estimate(), dull(&histogram, 16).round() as u64, "{n}");
        }
    }
    #[test]
    fn relative_errors_are_bits() {
        let p = |sd| Precision::of(sd).map(|p| p.dense).ok();
        assert_eq!([p(0.05), p(0.01), p(0.001), p(0.5), p(3.0)], [Some(9), Some(14), Some(21), Some(4), Some(4)]);
        assert_eq!([p(0.000_017), p(0.0), p(-1.0), p(f64::NAN)], [None; 4]);
        assert_eq!(p(0.000_018), Some(32));
    }
}
