//! [`Random`]: numbers that look random and are the same on every machine, and the distributions that samples need.
//!
//! A generator is a word of state and a few instructions (splitmix64): one for each partition, made from a seed and the
//! number of the partition, so that a partition computed again, anywhere, draws the same. Not for secrets. A crate would
//! have to promise the same numbers in all later versions, which those that are kept up do not.
use crate::hash;
use std::hash::Hash;

/// The values of [`Random::draw`] lie below this: as many as a float tells apart between 0 and 1.
pub(crate) const DRAWS: u64 = 1 << 53;

pub(crate) struct Random(u64);

impl Random {
    /// The generator that belongs to this, always the same.
    pub(crate) fn of(seed: impl Hash) -> Self {
        Random(hash::of(&seed))
    }
    #[inline]
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// A number below [`DRAWS`].
    #[inline]
    pub(crate) fn draw(&mut self) -> u64 {
        self.next() >> 11
    }
    /// A float from 0 to below 1.
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        self.draw() as f64 / DRAWS as f64
    }
    /// A number below `n`, each equally likely. `n` is not 0.
    #[inline]
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        loop {
            let wide = u128::from(self.next()) * u128::from(n);
            // The low half tells where in its stretch the draw fell; stretches one longer than others are cut.
            if wide as u64 >= n.wrapping_neg() % n {
                return (wide >> 64) as u64;
            }
        }
    }
    /// How many in a row are missed before one is hit, if a miss has a probability of e to the `ln_miss`.
    #[inline]
    pub(crate) fn misses(&mut self, ln_miss: f64) -> u64 {
        // Casts of floats stop at the ends of the integers.
        ((1.0 - self.unit()).ln() / ln_miss) as u64
    }
    /// A Poisson number of this mean. Takes time in proportion to the number.
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        /// A sum of such numbers is one; beyond this the product below would leave the range of floats.
        const STEP: f64 = 500.0;
        let (mut rest, mut n) = (mean, 0);
        while rest > 0.0 {
            let (limit, mut product) = ((-rest.min(STEP)).exp(), self.unit());
            while product > limit {
                n += 1;
                product *= self.unit();
            }
            rest -= STEP;
        }
        n
    }
    /// A Poisson number of this small mean, given that it is not 0.
    pub(crate) fn poisson_some(&mut self, mean: f64) -> u64 {
        let none = (-mean).exp();
        let (mut u, mut p, mut n) = (self.unit() * -(-mean).exp_m1(), none * mean, 1);
        while u >= p && p > 0.0 {
            u -= p;
            n += 1;
            p *= mean / n as f64;
        }
        n
    }
    /// How many of `n` trials succeed that each do with probability `p`.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        let mode = (((n as f64 + 1.0) * p) as u64).min(n);
        let ln_mode = ln_choose(n, mode) + mode as f64 * p.ln() + (n - mode) as f64 * (-p).ln_1p();
        let odds = p / (1.0 - p);
        self.outward(mode, ln_mode.exp(), 0, n, |x| (n - x) as f64 / (x + 1) as f64 * odds)
    }
    /// How many of `marked` among `all` are in a draw of `drawn` without replacement.
    pub(crate) fn hypergeometric(&mut self, all: u64, marked: u64, drawn: u64) -> u64 {
        let (low, high) = ((marked + drawn).saturating_sub(all), marked.min(drawn));
        if low == high {
            return low;
        }
        let mode = ((u128::from(marked) + 1) * (u128::from(drawn) + 1) / (u128::from(all) + 2)) as u64;
        let mode = mode.clamp(low, high);
        let ln_mode = ln_choose(marked, mode) + ln_choose(all - marked, drawn - mode) - ln_choose(all, drawn);
        self.outward(mode, ln_mode.exp(), low, high, |x| {
            (marked - x) as f64 * (drawn - x) as f64 / ((x + 1) as f64 * (all + x + 1 - marked - drawn) as f64)
        })
    }
    /// A number between `low` and `high` whose probability is `p_mode` at `mode` and falls to both sides; `ratio(x)` is
    /// that of x + 1 to that of x. Walks from the mode outward: about as many steps as the standard deviation.
    fn outward(&mut self, mode: u64, p_mode: f64, low: u64, high: u64, ratio: impl Fn(u64) -> f64) -> u64 {
        let mut u = self.unit() - p_mode;
        let (mut up, mut p_up, mut down, mut p_down) = (mode, p_mode, mode, p_mode);
        // What rounding has left at the very end falls to the mode.
        while u >= 0.0 && (up < high && p_up > 0.0 || down > low && p_down > 0.0) {
            if up < high {
                p_up *= ratio(up);
                up += 1;
                u -= p_up;
                if u < 0.0 {
                    return up;
                }
            }
            if down > low {
                down -= 1;
                p_down /= ratio(down);
                u -= p_down;
                if u < 0.0 {
                    return down;
                }
            }
        }
        mode
    }
}

/// The logarithm of how many ways there are to choose `k` of `n`.
fn ln_choose(n: u64, k: u64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}
/// The logarithm of 1 * 2 * … * n: by Stirling's series, small ones by themselves.
fn ln_factorial(n: u64) -> f64 {
    if n < 16 {
        return (1..=n).map(|x| x as f64).product::<f64>().ln();
    }
    let x = n as f64;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * x * x)) / (x * x)) / x;
    (x + 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws often; compares the mean and the variance of what came with what they should be.
    fn check(name: &str, mean: f64, variance: f64, mut draw: impl FnMut(&mut Random) -> u64) {
        const N: usize = 40_000;
        let mut random = Random::of(name);
        let all: Vec<f64> = (0..N).map(|_| draw(&mut random) as f64).collect();
        let m = all.iter().sum::<f64>() / N as f64;
        let v = all.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / N as f64;
        let off = (m - mean).abs() / (variance / N as f64).sqrt().max(1e-9);
        assert!(off < 4.5, "{name}: mean {m} instead of {mean}, {off} standard errors");
        assert!(v <= variance * 1.1 + 1e-9 && v >= variance * 0.9 - 1e-9, "{name}: variance {v} instead of {variance}");
    }
    #[test]
    fn distributions_have_their_mean_and_variance() {
        for n in [1u64, 2, 7, 1 << 40] {
            let (x, n_) = ((n - 1) as f64 / 2.0, n as f64);
            check(&format!("below {n}"), x, (n_ * n_ - 1.0) / 12.0, |r| r.below(n));
        }
        for mean in [0.01, 0.3, 1.0, 7.5, 1200.0] {
            check(&format!("poisson {mean}"), mean, mean, |r| r.poisson(mean));
        }
        for mean in [0.01f64, 0.3, 2.0] {
            let p = 1.0 - (-mean).exp();
            let (m, square) = (mean / p, (mean + mean * mean) / p);
            check(&format!("poisson_some {mean}"), m, square - m * m, |r| r.poisson_some(mean));
        }
        for p in [0.5f64, 0.01] {
            check(&format!("misses {p}"), (1.0 - p) / p, (1.0 - p) / (p * p), |r| r.misses((1.0 - p).ln()));
        }
        for (n, p) in [(0, 0.5), (1, 0.3), (9, 0.0), (9, 1.0), (40, 0.02), (1000, 0.9), (1_000_000, 0.5)] {
            let mean = n as f64 * p;
            check(&format!("binomial {n} {p}"), mean, mean * (1.0 - p), |r| r.binomial(n, p));
        }
        for (all, marked, drawn) in [(1, 1, 1), (5, 2, 4), (10, 5, 5), (1000, 30, 400), (2_000_000, 900_000, 1_000_000)]
        {
            let (a, m, d) = (all as f64, marked as f64, drawn as f64);
            let mean = d * m / a;
            let variance = if all > 1 { mean * (1.0 - m / a) * (a - d) / (a - 1.0) } else { 0.0 };
            check(&format!("hypergeometric {all} {marked} {drawn}"), mean, variance, |r| {
                r.hypergeometric(all, marked, drawn)
            });
        }
    }
    #[test]
    fn factorials_of_either_kind_meet() {
        let exact: f64 = (1..=16).map(|x| f64::from(x).ln()).sum();
        assert!((ln_factorial(16) - exact).abs() < 1e-9);
        assert!((ln_factorial(15) + 16f64.ln() - ln_factorial(16)).abs() < 1e-9);
    }
}
