//! Samples: which sizes they have, that they are part of what was there, and that they do not depend on how it is computed.
use crate::common::context;
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use winterbourne_engine::{Rdd, Sampling, Site, SparkContext};

/// A key, and a number that no other record has.
type Record = (u8, usize);
type Parts = Vec<Vec<Record>>;

fn rdd(sc: &SparkContext, parts: &Parts, shared: bool) -> Rdd<Record> {
    let all = sc.from_blocks(Site::caller(), parts.iter().map(|p| vec![Arc::new(p.clone())]).collect());
    // Through `flat_map` chunks are cut differently.
    if shared { all } else { all.flat_map(|x| [x, x]).filter_map(Some).map_partitions(|it| it.step_by(2)) }
}
fn parts() -> impl Strategy<Value = Parts> {
    let part = prop_oneof![9 => prop::collection::vec(0u8..4, 0..30), 1 => prop::collection::vec(0u8..4, 900..2300)];
    prop::collection::vec(part, 0..6).prop_map(|keys| {
        let mut next = 0..;
        keys.into_iter().map(|p| p.into_iter().map(|k| (k, next.next().expect("endless"))).collect()).collect()
    })
}
fn how(replace: bool, seed: u64) -> Sampling {
    if replace { Sampling::with_replacement().seed(seed) } else { Sampling::without_replacement().seed(seed) }
}
fn by_key(all: &[Record]) -> BTreeMap<u8, u64> {
    let mut counts = BTreeMap::new();
    all.iter().for_each(|x| *counts.entry(x.0).or_default() += 1);
    counts
}
/// Whether a sample of a partition is made of its records, in order; without replacement each at most once.
fn is_of(sample: &[Record], part: &[Record], replace: bool) -> bool {
    let ordered = sample.windows(2).all(|w| w[0].1 < w[1].1 || replace && w[0].1 == w[1].1);
    ordered && sample.iter().all(|x| part.contains(x))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]
    #[test]
    fn samples_are_part_of_it_and_do_not_depend_on_chunks_or_threads(
        a in parts(),
        (replace, fraction) in prop_oneof![
            (Just(false), prop_oneof![Just(0.0), Just(1.0), 0.0..1.0, 0.0..0.1]),
            (Just(true), prop_oneof![Just(0.0), 0.0..0.3, 0.3..3.0]),
        ],
        seed in any::<u64>(),
        threads in 1usize..4,
    ) {
        let sc = context(threads);
        let run = |rdd: &Rdd<Record>| {
            let by_key = rdd.sample_by_key(how(replace, seed), (0..4).map(|k| (k, fraction * f64::from(k) / 3.0)));
            let exact = rdd.sample_by_key_exact(how(replace, seed), (0..4).map(|k| (k, fraction * f64::from(k) / 3.0)));
            [rdd.sample(how(replace, seed), fraction), by_key, exact].map(|r| r.glom().collect().expect("runs"))
        };
        let got = run(&rdd(&sc, &a, true));
        prop_assert_eq!(&run(&rdd(&context(1), &a, false)), &got);
        for sample in &got {
            prop_assert_eq!(sample.len(), a.len());
            prop_assert!(sample.iter().zip(&a).all(|(s, p)| is_of(s, p, replace)));
        }
        let [plain, of_keys, exact] = got;
        if fraction == 0.0 {
            prop_assert!(plain.concat().is_empty());
        }
        if fraction == 1.0 && !replace {
            prop_assert_eq!(&plain, &a);
        }
        prop_assert!(of_keys.concat().iter().all(|x| x.0 > 0));
        let mut expect = by_key(&a.concat());
        expect.iter_mut().for_each(|(k, n)| *n = (fraction * f64::from(*k) / 3.0 * *n as f64).ceil() as u64);
        expect.retain(|_, n| *n > 0);
        prop_assert_eq!(by_key(&exact.concat()), expect);
    }
    #[test]
    fn splits_are_disjoint_and_complete(
        a in parts(),
        weights in prop::collection::vec(prop_oneof![Just(0.0), 0.01..3.0], 1..5)
            .prop_filter("some weight", |w| w.iter().sum::<f64>() > 0.0),
        seed in any::<u64>(),
        threads in 1usize..4,
    ) {
        let (sc, other) = (context(threads), context(1));
        // Each part from a parent that is computed in another way.
        let split = |i: usize| {
            let (sc, shared) = if i.is_multiple_of(2) { (&sc, true) } else { (&other, false) };
            rdd(sc, &a, shared).random_split_seeded(&weights, seed)[i].glom().collect().expect("runs")
        };
        let parts: Vec<Parts> = (0..weights.len()).map(split).collect();
        for (p, whole) in a.iter().enumerate() {
            let mut together: Vec<Record> = parts.iter().flat_map(|part| part[p].clone()).collect();
            together.sort_by_key(|x| x.1);
            prop_assert_eq!(&together, whole);
        }
        prop_assert!(parts.iter().zip(&weights).all(|(part, w)| *w > 0.0 || part.concat().is_empty()));
    }
    #[test]
    fn a_taken_sample_has_its_size(
        a in parts(),
        replace in any::<bool>(),
        n in prop_oneof![0usize..40, Just(3000usize)],
        seed in any::<u64>(),
        threads in 1usize..4,
    ) {
        let sample = rdd(&context(threads), &a, true).take_sample(how(replace, seed), n).unwrap();
        prop_assert_eq!(&rdd(&context(1), &a, false).take_sample(how(replace, seed), n).unwrap(), &sample);
        let all = a.concat();
        let size = match replace {
            true if all.is_empty() => 0,
            true => n,
            false => n.min(all.len()),
        };
        prop_assert_eq!(sample.len(), size);
        let mut ids: Vec<usize> = sample.iter().map(|x| x.1).collect();
        prop_assert!(sample.iter().all(|x| all[x.1] == *x));
        ids.sort_unstable();
        ids.dedup();
        prop_assert!(replace || ids.len() == size);
    }
}
