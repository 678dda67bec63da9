//! Samples: that each record is as likely as it should be, what is refused, where seeds come from, what it costs.
use crate::common::*;
use std::collections::BTreeMap;
use winterbourne_engine::{Error, Rdd, Result, Sampling};

fn once() -> Sampling {
    Sampling::without_replacement()
}
fn again() -> Sampling {
    Sampling::with_replacement()
}

/// Whether so many draws fall on `n` records as if each were equally likely: chi-square, with `spread` the variance of
/// how often one comes as a part of its mean. The draws are those of fixed seeds, so it holds always or never.
fn fair(name: &str, draws: &[u64], n: usize, spread: f64) {
    let mut seen = vec![0u32; n];
    draws.iter().for_each(|x| seen[*x as usize] += 1);
    let mean = draws.len() as f64 / n as f64;
    let off: f64 = seen.iter().map(|s| (f64::from(*s) - mean).powi(2) / (mean * spread)).sum();
    let limit = 5.0 * (2.0 * n as f64).sqrt();
    assert!((off - n as f64).abs() < limit, "{name}: chi-square {off} for {n}; {mean} draws each");
}

#[test]
fn every_record_is_equally_likely() {
    let sc = threads(2);
    // Partitions of very different sizes.
    let numbers = sc.range(0..60, 6).filter(|x| !(20..29).contains(x)).zip_with_index().map(|e| e.1).cache();
    let n = numbers.count().unwrap() as usize;
    let draws = |f: &dyn Fn(u64) -> Result<Vec<u64>>| (0..400).flat_map(|seed| f(seed).unwrap()).collect::<Vec<u64>>();
    for fraction in [0.05, 0.5] {
        let all = draws(&|seed| numbers.sample(once().seed(seed), fraction).collect());
        fair(&format!("sample {fraction}"), &all, n, 1.0 - fraction);
        let size = all.len() as f64 / (400 * n) as f64;
        assert!((size / fraction - 1.0).abs() < 0.1, "{size}");
    }
    for fraction in [0.1, 0.39, 2.5] {
        let all = draws(&|seed| numbers.sample(again().seed(seed), fraction).collect());
        fair(&format!("sample with replacement {fraction}"), &all, n, 1.0);
        let size = all.len() as f64 / (400 * n) as f64;
        assert!((size / fraction - 1.0).abs() < 0.1, "{size}");
    }
    fair("take_sample", &draws(&|seed| numbers.take_sample(once().seed(seed), 10)), n, 1.0 - 10.0 / n as f64);
    fair("take_sample again", &draws(&|seed| numbers.take_sample(again().seed(seed), 10)), n, 1.0);
    let firsts = draws(&|seed| numbers.take_sample(once().seed(seed), 10).map(|s| s[..1].to_vec()));
    fair("the first of take_sample", &firsts, n, 1.0);
    let pairs = numbers.map(|x| ('k', x));
    for (how, spread) in [(once(), 0.75), (again(), 1.0)] {
        let exact = draws(&|seed| {
            let some = pairs.sample_by_key_exact(how.seed(seed), [('k', 0.25)]);
            assert_eq!(some.count()?, n.div_ceil(4) as u64);
            some.map(|e| e.1).collect()
        });
        fair("sample_by_key_exact", &exact, n, spread);
    }
    let halves = draws(&|seed| numbers.random_split_seeded(&[1.0, 3.0], seed)[0].collect());
    fair("random_split", &halves, n, 0.75);
}
#[test]
fn the_seed_says_what_is_drawn() {
    let sc = threads(2);
    let numbers = sc.range(0..1000, 4);
    let pairs = numbers.map(|x| (x % 3, x));
    let fractions = || (0..3).map(|k| (k, 0.2));
    let drawn = |how: Sampling, seed| {
        [
            numbers.sample(how, 0.3).collect().unwrap(),
            pairs.sample_by_key(how, fractions()).values().collect().unwrap(),
            pairs.sample_by_key_exact(how, fractions()).values().collect().unwrap(),
            numbers.take_sample(how, 200).unwrap(),
            numbers.random_split_seeded(&[0.2, 0.8], seed)[0].collect().unwrap(),
        ]
    };
    for how in [once(), again()] {
        let some = drawn(how.seed(7), 7);
        assert_eq!(some, drawn(how.seed(7), 7));
        // Another seed, or none: each draws for itself.
        let (other, next) = (drawn(how.seed(8), 8), [drawn(how, 9), drawn(how, 10)]);
        for i in 0..some.len() {
            assert_ne!(some[i], other[i], "{i}");
            assert_ne!(next[0][i], next[1][i], "{i}");
        }
    }
}
#[test]
fn seldom_ones_are_drawn_evenly_over_chunks() {
    let sc = threads(1);
    let numbers = sc.range(0..1 << 18, 1); // chunks of 1024
    for how in [once().seed(3), again().seed(3)] {
        let some = numbers.sample(how, 0.01).collect().unwrap();
        assert!((2_300..2_950).contains(&some.len()), "{}", some.len());
        let mut places = [0; 8];
        some.iter().for_each(|x| places[(x % 1024 / 128) as usize] += 1);
        assert!(places.iter().all(|n| (240..420).contains(n)), "{places:?}");
        assert!(some.iter().filter(|x| *x % 1024 < 4).count() < 40, "not more at the beginning of a chunk");
    }
}
#[test]
fn keys_are_drawn_for_each_by_itself() {
    let sc = threads(1);
    let pairs = sc.range(0..100, 2).flat_map(|x| [('a', x), ('b', x)]);
    let alike = (0..20).filter(|seed| {
        let exact = pairs.sample_by_key_exact(once().seed(*seed), [('a', 0.5), ('b', 0.5)]);
        let in_first = |key| exact.filter(move |e| e.0 == key && e.1 < 50).count().unwrap();
        in_first('a') == in_first('b')
    });
    assert!(alike.count() < 15, "how many of each partition is another draw for each key");
}
#[test]
fn all_subsets_of_an_exact_sample_are_equally_likely() {
    let sc = threads(1);
    let four = sc.range(0..4, 3).map(|x| ((), x));
    let mut seen: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
    for seed in 0..600 {
        let two = four.sample_by_key_exact(once().seed(seed), [((), 0.5)]).map(|e| e.1).collect().unwrap();
        *seen.entry(two).or_default() += 1;
    }
    assert!(seen.len() == 6 && seen.values().all(|n| (60..140).contains(n)), "{seen:?}");
}

#[test]
fn lanes_draw_alike_without_a_seed() {
    let got = everywhere(2, |sc| {
        let numbers = sc.range(0..1000, 5);
        let pairs = numbers.map(|x| (x % 3, x));
        let by_key = pairs.sample_by_key(again(), [(0, 0.1), (1, 0.2), (2, 0.0)]).collect()?;
        let exact = pairs.sample_by_key_exact(once(), [(0, 0.1), (1, 0.2), (2, 0.0)]).collect()?;
        let parts = numbers.random_split(&[1.0, 2.0]);
        let samples = [
            numbers.sample(once(), 0.1).collect()?,
            numbers.sample(once(), 0.1).collect()?,
            numbers.take_sample(once(), 20)?,
            numbers.take_sample(again(), 20)?,
            parts[0].collect()?,
            parts[1].collect()?,
        ];
        Ok((samples, by_key, exact))
    });
    let [first, second, ..] = &got.0;
    assert_ne!(first, second, "two samples of one program differ");
    assert_eq!(got.2.len(), 34 + 67);
}
#[test]
fn samples_keep_the_partitioner_and_the_order() {
    let sc = threads(2);
    let spread = sc.range(0..300, 4).map(|x| (x % 30, x)).partition_by(3);
    let kept = [
        spread.sample(once(), 0.5),
        spread.sample(again(), 0.5),
        spread.random_split(&[1.0])[0].clone(),
        spread.sample_by_key(once(), (0..30).map(|k| (k, 0.5))),
        spread.sample_by_key_exact(once(), (0..30).map(|k| (k, 0.5))),
    ];
    for sample in kept {
        assert!(sample.partitioner() == spread.partitioner(), "{}", sample.name());
        assert!(sample.count().unwrap() > 0, "{}", sample.name());
    }
    assert_eq!(spread.random_split(&[2.0])[0].collect().unwrap(), spread.collect().unwrap());
}
#[test]
fn what_cannot_be_drawn_is_refused_at_the_action() {
    let sc = threads(1);
    let numbers = sc.range(0..10, 2);
    let pairs = numbers.map(|x| (x, x));
    let with = |how: Sampling, fraction: f64| (0..10).map(move |k| (k, fraction)).chain([(99, 0.0)]).zip([how; 11]);
    let by_key = |how: Sampling, fraction: f64| with(how, fraction).map(|e| e.0).collect::<Vec<_>>();
    let unit = "Sampling fraction must be on interval [0, 1] without replacement, but got 1.5";
    let endless = [f64::INFINITY, 1.0];
    let all: [(Rdd<u64>, u32, &str); 10] = [
        (numbers.sample(again(), f64::INFINITY), line!(), "Fraction must be finite, but got inf"),
        (numbers.random_split(&endless)[1].clone(), line!(), "Sum of weights must be finite, but got [inf, 1]"),
        (numbers.sample(once(), -0.1), line!(), "Fraction must be nonnegative, but got -0.1"),
        (numbers.sample(again(), -0.1), line!(), "Fraction must be nonnegative, but got -0.1"),
        (numbers.sample(once(), 1.5), line!(), unit),
        (numbers.sample(again(), f64::NAN), line!(), "Fraction must be nonnegative, but got NaN"),
        (pairs.sample_by_key(once(), by_key(once(), 1.5)).map(|e| e.0), line!(), unit),
        (pairs.sample_by_key_exact(once(), by_key(once(), 1.5)).map(|e| e.0), line!(), unit),
        (numbers.random_split(&[1.0, -1.0])[0].clone(), line!(), "Weights must be nonnegative, but got [1, -1]"),
        (numbers.random_split(&[0.0, 0.0])[1].clone(), line!(), "Sum of weights must be positive, but got [0, 0]"),
    ];
    for (refused, line, text) in all {
        let e = refused.count().unwrap_err().to_string();
        assert!(e.starts_with(text) && e.contains(&format!("sampling.rs:{line}:")), "{e}");
    }
    assert_eq!(numbers.sample(again(), 1.5).count().map(|n| n > 0).ok(), Some(true));
    assert!(numbers.random_split(&[]).is_empty());
    assert_eq!(sc.counts().tasks, 2);
}
#[test]
fn a_key_without_a_fraction_is_named() {
    let sc = threads(2);
    let pairs = sc.range(0..10, 2).map(|x| (format!("key {x}"), x));
    let known = (0..9).map(|x| (format!("key {x}"), 1.0)).collect::<BTreeMap<_, _>>();
    for (sample, line) in [
        (pairs.sample_by_key(once(), known.clone()), line!()),
        (pairs.sample_by_key(again(), known.clone()), line!()),
        (pairs.sample_by_key_exact(once(), known.clone()), line!()),
    ] {
        let e = sample.count().unwrap_err();
        assert!(matches!(&e, Error::Task { partition: 1, .. }), "{e}");
        assert!(e.to_string().contains("has no fraction for the key key 9"), "{e}");
        assert!(e.to_string().contains(&format!("sampling.rs:{line}:")), "{e}");
    }
}
#[test]
fn exact_samples_count_once_and_when_needed() {
    let sc = threads(2);
    let pairs = sc.range(0..100, 4).map(|x| (x % 3, x));
    let some = pairs.sample_by_key_exact(once(), (0..3).map(|k| (k, 0.1)));
    assert_eq!(sc.counts().jobs, 0);
    for tasks in [8, 4] {
        let before = sc.counts().tasks;
        assert_eq!(some.count().unwrap(), 4 + 4 + 4);
        assert_eq!(sc.counts().tasks - before, tasks);
    }
    let nothing = pairs.filter(|_| false).sample_by_key_exact(once(), [(0, 1.0)]);
    assert_eq!(
        (nothing.count().unwrap(), sc.empty_rdd::<(u8, u8)>().sample_by_key_exact(once(), []).count().unwrap()),
        (0, 0)
    );
}
#[test]
fn a_taken_sample_reads_only_what_it_drew() {
    let sc = threads(2);
    let numbers = sc.range(0..1000, 50);
    let before = sc.counts();
    assert_eq!(numbers.take_sample(once(), 3).unwrap().len(), 3);
    let tasks = sc.counts().tasks - before.tasks;
    assert!((51..=53).contains(&tasks), "{tasks}");
    assert_eq!(sc.counts().jobs - before.jobs, 2);
    let all = numbers.take_sample(once(), usize::MAX).unwrap();
    assert_ne!(all, numbers.collect().unwrap(), "in random order");
    assert_eq!(sorted(all), numbers.collect().unwrap());
    // All places but one, those at the ends of chunks among them.
    assert_eq!(sc.range(0..5000, 1).take_sample(once(), 4999).unwrap().len(), 4999);
    assert!(numbers.filter(|_| false).take_sample(again(), 5).unwrap().is_empty());
    assert!(sc.empty_rdd::<u64>().take_sample(once(), 5).unwrap().is_empty());
    let e = sc.range(0..4, 2).map(|_| -> u64 { panic!("now") }).take_sample(once(), 1).unwrap_err();
    assert!(e.to_string().contains("panicked: now"), "{e}");
}
