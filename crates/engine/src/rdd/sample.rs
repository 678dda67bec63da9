//! Samples of all records: by a fraction, or of an exact size; and splits by weights.
//!
//! What is drawn depends on the seed, on the number of a partition and on the place of a record within it: a partition
//! computed again, by anybody, gives the same records.
use super::Rdd;
use crate::{
    Chunk, Data, Error, Flow, Result, Site, SparkContext, detach, hash,
    hash::FixedState,
    job::Action,
    random::{DRAWS, Random},
};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::atomic::Ordering::Relaxed,
};

/// How a sample is drawn: whether a record may be drawn again, and from which seed.
///
/// Without [`seed`](Sampling::seed), the seed is the number of the sample in the context: two samples of one program
/// differ, and a program that runs again draws the same. Spark draws differently each time; for that, give a seed that
/// differs.
///
/// ```
/// use winterbourne_engine::{Sampling, SparkConf, SparkContext};
/// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let how = Sampling::without_replacement().seed(7);
/// let numbers = sc.range(0..1000, 4);
/// assert_eq!(numbers.sample(how, 0.1).collect()?, numbers.sample(how, 0.1).collect()?);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Sampling {
    pub(super) replace: bool,
    seed: Option<u64>,
}
impl Sampling {
    /// Each record at most once.
    pub fn without_replacement() -> Self {
        Sampling { replace: false, seed: None }
    }
    /// Each record as often as it is drawn.
    pub fn with_replacement() -> Self {
        Sampling { replace: true, seed: None }
    }
    /// Draws what this seed says.
    pub fn seed(self, seed: u64) -> Self {
        Sampling { seed: Some(seed), ..self }
    }
    pub(super) fn seed_in(self, sc: &SparkContext) -> u64 {
        self.seed.unwrap_or_else(|| next_seed(sc))
    }
    /// What is wrong with a fraction, if anything.
    pub(super) fn refusal(self, fraction: f64) -> Option<&'static str> {
        match fraction {
            f if f.is_nan() || f < 0.0 => Some("Fraction must be nonnegative"),
            f if f > 1.0 && !self.replace => Some("Sampling fraction must be on interval [0, 1] without replacement"),
            f if f.is_infinite() => Some("Fraction must be finite"),
            _ => None,
        }
    }
}
/// In program order, so that all processes of one program draw alike.
fn next_seed(sc: &SparkContext) -> u64 {
    hash::of(&sc.inner.ids.seeds.fetch_add(1, Relaxed))
}

impl<T: Data> Rdd<T> {
    /// About this part of the records; keeps the partitioner. Without replacement each record is taken with probability
    /// `fraction`, at most 1; with replacement each comes as often as a Poisson number of that mean says. For an exact
    /// number see [`take_sample`](Rdd::take_sample). Small fractions cost little: what is passed over is not looked at.
    ///
    /// ```
    /// # use winterbourne_engine::{Sampling, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let some = sc.range(0..10_000, 4).sample(Sampling::without_replacement(), 0.1).collect()?;
    /// assert!((800..1200).contains(&some.len()) && some.is_sorted());
    /// let again = sc.range(0..10_000, 4).sample(Sampling::with_replacement(), 3.0).count()?;
    /// assert!((29_000..31_000).contains(&again));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// At the action, [`Error::Fraction`] for one below 0, or above 1 without replacement.
    #[track_caller]
    pub fn sample(&self, how: Sampling, fraction: f64) -> Rdd<T> {
        let (name, site, seed) = ("sample", Site::caller(), how.seed_in(&self.sc));
        if let Some(rule) = how.refusal(fraction) {
            return self.sc.wrong(name, site, move || Error::Fraction { operator: name, site, fraction, rule });
        }
        self.narrow(name, site, true, move |p, flow, _| {
            if fraction == 0.0 {
                return Ok(Flow::empty());
            }
            let mut sampler = Sampler::by_fraction(Random::of((seed, p as u64)), how.replace, fraction);
            Ok(flow.map_chunks(move |c| sampler.take(c)))
        })
    }
    /// Splits the records at random: part i gets about `weights[i]` of the sum of all weights. The parts are disjoint
    /// and together complete, each keeps the partitioner. Each computes this RDD again unless it is cached. Without
    /// weights there are no parts. The seed as in [`Sampling`].
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let parts = sc.range(0..1000, 4).random_split(&[0.8, 0.2]);
    /// let (training, test) = (parts[0].collect()?, parts[1].collect()?);
    /// assert_eq!(training.len() + test.len(), 1000);
    /// assert!(test.len() < 300 && test.iter().all(|x| !training.contains(x)));
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// At the action, [`Error::Weights`] for one below 0, or if their sum is not positive.
    #[track_caller]
    pub fn random_split(&self, weights: &[f64]) -> Vec<Rdd<T>> {
        self.split(Site::caller(), weights, next_seed(&self.sc))
    }
    /// [`random_split`](Rdd::random_split) from a seed.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let numbers = sc.range(0..100, 4);
    /// let halves = [numbers.random_split_seeded(&[1.0, 1.0], 7), numbers.random_split_seeded(&[1.0, 1.0], 7)];
    /// assert_eq!(halves[0][0].collect()?, halves[1][0].collect()?);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn random_split_seeded(&self, weights: &[f64], seed: u64) -> Vec<Rdd<T>> {
        self.split(Site::caller(), weights, seed)
    }
    fn split(&self, site: Site, weights: &[f64], seed: u64) -> Vec<Rdd<T>> {
        let name = "random_split";
        let sum: f64 = weights.iter().sum();
        let rule = match () {
            () if !weights.iter().all(|w| *w >= 0.0) => Some("Weights must be nonnegative"),
            () if sum == 0.0 => Some("Sum of weights must be positive"),
            () if sum.is_infinite() => Some("Sum of weights must be finite"),
            () => None,
        };
        if let Some(rule) = rule {
            let refused = |_| {
                let weights = weights.to_vec();
                self.sc.wrong(name, site, move || Error::Weights { site, weights: weights.clone(), rule })
            };
            return weights.iter().map(refused).collect();
        }
        let last = weights.iter().rposition(|w| *w > 0.0).expect("the sum is positive");
        let (mut from, mut below) = (0, 0.0);
        let part = |(i, w): (usize, &f64)| {
            below += w;
            let to = if i >= last { DRAWS } else { (below / sum * DRAWS as f64) as u64 };
            let mine = from..to;
            from = to;
            // Every part draws the same number for a record; it lies in the range of exactly one.
            self.narrow(name, site, true, move |p, flow, _| {
                let mut sampler = Sampler::new(Random::of((seed, p as u64)), How::Within(mine.clone()));
                Ok(flow.map_chunks(move |c| sampler.take(c)))
            })
        };
        weights.iter().enumerate().map(part).collect()
    }
    /// Exactly `n` records in random order, in the driver: without replacement all of them if there are no more, with
    /// replacement none if there are none. Runs two jobs: one counts, the other reads what was drawn, and only from
    /// partitions that have some of it.
    ///
    /// ```
    /// # use winterbourne_engine::{Sampling, SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let three = sc.range(0..1000, 4).take_sample(Sampling::without_replacement(), 3)?;
    /// assert_eq!(three.len(), 3);
    /// assert_eq!(sc.range(0..2, 1).take_sample(Sampling::with_replacement(), 5)?.len(), 5);
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`collect`](Rdd::collect).
    #[track_caller]
    pub fn take_sample(&self, how: Sampling, n: usize) -> Result<Vec<T>> {
        let action = Action { name: "take_sample", site: Site::caller() };
        let mut random = Random::of(how.seed_in(&self.sc));
        let all = (0..self.num_partitions()?).collect();
        let sizes = self.sc.run_action(action, self, all, |_, flow, _| {
            let mut size = 0;
            flow.each(|c| {
                size += c.len() as u64;
                Ok(())
            })?;
            Ok(size)
        })?;
        let total = sizes.iter().sum();
        let drawn = if how.replace { draw_again(&mut random, n, total) } else { draw_once(&mut random, n, total) };
        // By place, with its rank in the result.
        let mut places: Vec<(u64, usize)> = drawn.into_iter().zip(0..).collect();
        places.sort_unstable();
        let (mut wanted, mut from, mut rest) = (BTreeMap::new(), 0, &places[..]);
        for (p, size) in sizes.into_iter().enumerate() {
            let (here, later) = rest.split_at(rest.partition_point(|place| place.0 < from + size));
            if !here.is_empty() {
                wanted.insert(p, here.iter().map(|place| place.0 - from).collect::<Vec<u64>>());
            }
            (from, rest) = (from + size, later);
        }
        let partitions = wanted.keys().copied().collect();
        let found = self.sc.run_action(action, self, partitions, move |p, flow, _| at_places(flow, &wanted[&p]))?;
        let mut sample: Vec<(usize, T)> = places.iter().map(|place| place.1).zip(found.into_iter().flatten()).collect();
        sample.sort_unstable_by_key(|x| x.0);
        Ok(sample.into_iter().map(|x| x.1).collect())
    }
}

fn draw_again(random: &mut Random, n: usize, total: u64) -> Vec<u64> {
    (0..if total == 0 { 0 } else { n }).map(|_| random.below(total)).collect()
}
/// The beginning of a shuffle of all places, of which only those are kept that are not where they were.
fn draw_once(random: &mut Random, n: usize, total: u64) -> Vec<u64> {
    let mut moved: HashMap<u64, u64, FixedState> = HashMap::default();
    let mut at = |place: u64, now: u64| moved.insert(place, now).unwrap_or(place);
    (0..total.min(n as u64))
        .map(|i| {
            let j = i + random.below(total - i);
            let here = at(i, i);
            if j == i { here } else { at(j, here) }
        })
        .collect()
}
/// The records at these places, which are in order and may repeat. Reads no further than the last.
fn at_places<T: Data>(mut flow: Flow<T>, places: &[u64]) -> Result<Vec<T>> {
    let (mut out, mut from) = (Vec::with_capacity(places.len()), 0);
    while out.len() < places.len() {
        let Some(c) = flow.next_chunk()? else { break };
        let to = from + c.len() as u64;
        let here = places[out.len()..].iter().take_while(|place| **place < to);
        out.extend(here.map(|place| detach::text(c.as_slice()[(place - from) as usize].clone())));
        from = to;
    }
    Ok(out)
}

/// Takes records of one partition, chunk after chunk; how they are cut into chunks does not matter.
struct Sampler {
    random: Random,
    how: How,
    /// The places of a chunk that are taken, in order; one that is taken again is repeated. Kept for its room.
    picked: Vec<usize>,
}
enum How {
    /// One draw for each record, taken if it lies in this range.
    Within(Range<u64>),
    /// Draws how many to pass over, with the logarithm of the probability to pass one over; `again` is the mean of how
    /// often one is taken, if that may be more than once.
    Seldom { ln_miss: f64, pass: u64, again: Option<f64> },
    /// Draws how often each is taken, with this mean.
    Often(f64),
}
impl Sampler {
    fn new(random: Random, how: How) -> Self {
        Sampler { random, how, picked: Vec::new() }
    }
    fn by_fraction(mut random: Random, replace: bool, fraction: f64) -> Self {
        // Below this it is cheaper to draw distances. Measured: a draw for each record costs 2 ns, a distance 30, a
        // Poisson number 20 and more.
        let few = if replace { 0.4 } else { 0.07 };
        let seldom = |ln_miss, again, random: &mut Random| How::Seldom { ln_miss, pass: random.misses(ln_miss), again };
        let how = match (fraction < few, replace) {
            (true, false) => seldom((-fraction).ln_1p(), None, &mut random),
            (true, true) => seldom(-fraction, Some(fraction), &mut random),
            (false, false) => How::Within(0..(fraction * DRAWS as f64) as u64),
            (false, true) => How::Often(fraction),
        };
        Sampler::new(random, how)
    }
    fn take<T: Data>(&mut self, c: Chunk<T>) -> Vec<T> {
        self.pick(c.len());
        match c {
            Chunk::Shared(v, r) => self.picked.iter().map(|i| v[r.start + i].clone()).collect(),
            // What is kept moves to the front, in its order.
            Chunk::Own(mut v) if matches!(self.how, How::Within(_) | How::Seldom { again: None, .. }) => {
                self.picked.iter().enumerate().for_each(|(to, from)| v.swap(to, *from));
                v.truncate(self.picked.len());
                v
            }
            Chunk::Own(v) => {
                let (mut records, mut passed) = (v.into_iter(), 0);
                let mut out = Vec::with_capacity(self.picked.len());
                for copies in self.picked.chunk_by(|a, b| a == b) {
                    let x = records.nth(copies[0] - passed).expect("a place of this chunk");
                    passed = copies[0] + 1;
                    push_copies(&mut out, x, copies.len() as u64);
                }
                out
            }
        }
    }
    /// Draws for the next `n` records.
    fn pick(&mut self, n: usize) {
        let Sampler { random, how, picked } = self;
        picked.clear();
        match how {
            How::Within(range) => {
                // Without a branch: which way it goes cannot be foreseen.
                picked.resize(n, 0);
                let (mut taken, from, width) = (0, range.start, range.end - range.start);
                for i in 0..n {
                    picked[taken] = i;
                    taken += usize::from(random.draw().wrapping_sub(from) < width);
                }
                picked.truncate(taken);
            }
            How::Seldom { ln_miss, pass, again } => {
                let mut at = *pass;
                while at < n as u64 {
                    let copies = again.map_or(1, |mean| random.poisson_some(mean));
                    (0..copies).for_each(|_| picked.push(at as usize));
                    at = at.saturating_add(1).saturating_add(random.misses(*ln_miss));
                }
                *pass = at - n as u64;
            }
            How::Often(mean) => (0..n).for_each(|i| (0..random.poisson(*mean)).for_each(|_| picked.push(i))),
        }
    }
}
/// The last copy is the record itself.
pub(super) fn push_copies<T: Clone>(out: &mut Vec<T>, x: T, n: u64) {
    (1..n).for_each(|_| out.push(x.clone()));
    if n > 0 {
        out.push(x);
    }
}
