//! Quantiles of four distributions, as bounds of confidence need them. Each is found by bisection of its distribution
//! function, and those are two functions: the incomplete gamma and beta functions, regularised.

/// Where a rate above it lets a Poisson distribution be told from its normal form by far less than one.
const LARGE: f64 = 1e6;

/// Of the standard normal distribution.
pub(super) fn normal(p: f64) -> f64 {
    symmetric(p, |x| 0.5 + 0.5 * gamma(0.5, x * x / 2.0))
}
/// Of Student's t distribution.
pub(super) fn student(degrees: f64, p: f64) -> f64 {
    symmetric(p, |x| 1.0 - 0.5 * beta(degrees / 2.0, 0.5, degrees / (degrees + x * x)))
}
/// Of a number of failures before `successes`, each of which has this probability (the negative binomial or Pascal
/// distribution). Both are positive.
pub(super) fn pascal(successes: f64, probability: f64, p: f64) -> f64 {
    whole(p, |failures| beta(successes, failures + 1.0, probability))
}
/// Of the Poisson distribution.
pub(super) fn poisson(rate: f64, p: f64) -> f64 {
    if rate < LARGE {
        return whole(p, |n| 1.0 - gamma(n + 1.0, rate));
    }
    // The normal form with its skew corrected (Cornish and Fisher).
    let z = normal(p);
    (rate + z * rate.sqrt() + (z * z - 1.0) / 6.0).round().max(0.0)
}

/// The number at which a distribution that is symmetric about zero reaches `p`; `of` is its function from zero on.
fn symmetric(p: f64, of: impl Fn(f64) -> f64) -> f64 {
    if p < 0.5 {
        return -symmetric(1.0 - p, of);
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while of(high) < p {
        (low, high) = (high, high * 2.0);
    }
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if of(middle) < p { low = middle } else { high = middle }
    }
}
/// The least whole number, from zero, at which a distribution reaches `p`.
fn whole(p: f64, of: impl Fn(f64) -> f64) -> f64 {
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let (mut below, mut high) = (-1.0, 0.0);
    while of(high) < p {
        (below, high) = (high, high * 2.0 + 1.0);
    }
    while high - below > 1.0 {
        let middle = f64::floor((below + high) / 2.0);
        if of(middle) < p { below = middle } else { high = middle }
    }
    high
}

/// Steps of a series or a fraction; enough for arguments up to `LARGE` and far beyond.
const STEPS: u32 = 1_000_000;
const TINY: f64 = 1e-300;

/// The regularised lower incomplete gamma function.
fn gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for n in 1..STEPS {
            term *= x / (a + f64::from(n));
            sum += term;
            if term < sum * f64::EPSILON {
                break;
            }
        }
        return (scale * sum).min(1.0);
    }
    let first = x + 1.0 - a;
    let upper = scale / fraction(first, |n| (-n * (n - a), first + 2.0 * n));
    (1.0 - upper).max(0.0)
}
/// The regularised incomplete beta function.
fn beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let scale = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    // The fraction is quick on this side of the middle only.
    let part = |a: f64, b: f64, x: f64| {
        let step = |n: f64| {
            let m = (n / 2.0).floor();
            let over = (a + n - 1.0) * (a + n);
            let numerator = if n % 2.0 == 0.0 { m * (b - m) * x / over } else { -(a + m) * (a + b + m) * x / over };
            (numerator, 1.0)
        };
        scale / (a * fraction(1.0, step))
    };
    if x < (a + 1.0) / (a + b + 2.0) { part(a, b, x).min(1.0) } else { (1.0 - part(b, a, 1.0 - x)).max(0.0) }
}
/// The continued fraction `first + a1 / (b1 + a2 / (b2 + …))`, by Lentz's method.
fn fraction(first: f64, step: impl Fn(f64) -> (f64, f64)) -> f64 {
    let away = |x: f64| if x.abs() < TINY { TINY } else { x };
    let mut value = away(first);
    let (mut c, mut d) = (value, 0.0);
    for n in 1..STEPS {
        let (a, b) = step(f64::from(n));
        d = 1.0 / away(b + a * d);
        c = away(b + a / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 2.0 * f64::EPSILON {
            break;
        }
    }
    value
}
/// The logarithm of the gamma function of a positive number, by Stirling's series.
fn ln_gamma(x: f64) -> f64 {
    // The series wants a large argument: Γ(x) = Γ(x + 1) / x.
    let (mut x, mut product) = (x, 1.0);
    while x < 15.0 {
        product *= x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, expect: f64, by: f64) {
        assert!((got - expect).abs() <= by * expect.abs().max(1.0), "{got} instead of {expect}");
    }

    #[test]
    fn logarithms_of_factorials() {
        let mut sum = 0.0;
        for n in 1..200 {
            near(ln_gamma(f64::from(n)), sum, 1e-14);
            sum += f64::from(n).ln();
        }
        near(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-14);
    }
    /// From printed tables.
    #[test]
    fn quantiles_of_the_normal_distribution() {
        for (p, z) in
            [(0.5, 0.0), (0.75, 0.674_489_750_196_081_7), (0.975, 1.959_963_984_540_054), (0.9995, 3.290_526_731_491_9)]
        {
            near(normal(p), z, 1e-12);
            near(normal(1.0 - p), -z, 1e-12);
        }
        assert_eq!((normal(1.0), normal(0.0)), (f64::INFINITY, f64::NEG_INFINITY));
    }
    #[test]
    fn quantiles_of_student_s_distribution() {
        for (degrees, p, t) in [
            (1.0, 0.975, 12.706_204_736_174_7),
            (1.0, 0.75, 1.0),
            (2.0, 0.975, 4.302_652_729_696_14),
            (5.0, 0.95, 2.015_048_373_333_02),
            (30.0, 0.975, 2.042_272_456_301_24),
            (99.0, 0.995, 2.626_405_457_280_83),
        ] {
            near(student(degrees, p), t, 1e-10);
            near(student(degrees, 1.0 - p), -t, 1e-10);
        }
        near(student(1e5, 0.975), normal(0.975), 2e-5);
    }
    /// Against sums of the probabilities.
    #[test]
    fn quantiles_of_whole_numbers_are_where_the_sums_say() {
        for p in [0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999] {
            for rate in [0.01, 0.9, 7.0, 120.0, 600.0] {
                let mut term = f64::exp(-rate);
                let (mut sum, mut n) = (term, 0.0);
                while sum < p {
                    n += 1.0;
                    term *= rate / n;
                    sum += term;
                }
                assert_eq!(poisson(rate, p), n, "rate {rate}, p {p}");
            }
            for (successes, probability) in [(1.0, 0.5), (10.0, 0.25), (3.0, 0.01), (200.0, 0.8), (60.0, 0.1)] {
                let mut term = f64::powf(probability, successes);
                let (mut sum, mut n) = (term, 0.0);
                while sum < p {
                    n += 1.0;
                    term *= (1.0 - probability) * (successes + n - 1.0) / n;
                    sum += term;
                }
                assert_eq!(pascal(successes, probability, p), n, "{successes} of {probability}, p {p}");
            }
        }
        assert_eq!((pascal(3.0, 0.5, 0.0), poisson(5.0, 1.0)), (0.0, f64::INFINITY));
    }
    #[test]
    fn large_numbers_meet_the_normal_form() {
        for p in [0.025, 0.5, 0.975] {
            let below = whole(p, |n| 1.0 - gamma(n + 1.0, LARGE));
            near(poisson(LARGE, p), below, 1.0 / LARGE);
            near(poisson(1e12, p), 1e12 + normal(p) * 1e6, 1e-11);
            // 10000 of one in a thousand: mean and variance as theory has them.
            let (mean, sd) = (9_990_000.0, f64::sqrt(9_990_000.0 * 1000.0));
            near(pascal(10_000.0, 0.001, p), mean + normal(p) * sd, 1e-4);
        }
    }
}
