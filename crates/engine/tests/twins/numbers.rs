//! Actions on numbers and ordered records.
use crate::common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use winterbourne_base::time::seconds;
use winterbourne_engine::{BoundedDouble, Total};

type Pair = (u8, i32);

/// Mostly a few records, now and then several chunks of them, with many that are equal.
fn records() -> impl Strategy<Value = Vec<Pair>> {
    let some = |n| prop::collection::vec((0u8..12, -50i32..50), n);
    prop_oneof![6 => some(0..60), 1 => some(1000..2600)]
}
fn floats() -> impl Strategy<Value = Vec<f64>> {
    let odd = prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5]);
    prop::collection::vec(prop_oneof![4 => -10.0..10.0, 1 => odd], 0..200)
}
/// Partitions as `parallelize` cuts them.
fn slices<T: Clone>(all: &[T], p: usize) -> Vec<Vec<T>> {
    (0..p).map(|i| all[all.len() * i / p..all.len() * (i + 1) / p].to_vec()).collect()
}
fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}
fn near(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * (1.0 + b.abs())
}
/// Floats by their bits, so that NaN and the zeros can be compared.
fn bits(all: &[f64]) -> Vec<u64> {
    all.iter().map(|x| x.to_bits()).collect()
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn ordered_actions_equal_a_stable_sort(data in records(), p in 1usize..12, n in 0usize..80, threads in 1usize..4) {
        let sc = context(threads);
        let rdd = sc.parallelize(data.clone(), p);
        let by = |compare: fn(&Pair, &Pair) -> std::cmp::Ordering| {
            let mut all = data.clone();
            all.sort_by(compare);
            all
        };
        let first = |all: Vec<Pair>, n: usize| all.into_iter().take(n).collect::<Vec<_>>();
        let (up, down) = (by(|a, b| a.cmp(b)), by(|a, b| b.cmp(a)));
        prop_assert_eq!(rdd.take_ordered(n).unwrap(), first(up.clone(), n));
        prop_assert_eq!(rdd.top(n).unwrap(), first(down.clone(), n));
        prop_assert_eq!(rdd.min().ok(), up.first().copied());
        prop_assert_eq!(rdd.max().ok(), down.first().copied());
        // By half of the record: many are equal, and the first of these come first.
        let (up, down) = (by(|a, b| a.0.cmp(&b.0)), by(|a, b| b.0.cmp(&a.0)));
        prop_assert_eq!(rdd.take_ordered_by_key(n, |e| e.0).unwrap(), first(up.clone(), n));
        prop_assert_eq!(rdd.top_by_key(n, |e| e.0).unwrap(), first(down.clone(), n));
        prop_assert_eq!(rdd.take_ordered_by(n, |a, b| a.0.cmp(&b.0)).unwrap(), first(up.clone(), n));
        prop_assert_eq!(rdd.top_by(n, |a, b| a.0.cmp(&b.0)).unwrap(), first(down.clone(), n));
        prop_assert_eq!(rdd.min_by_key(|e| e.0).ok(), up.first().copied());
        prop_assert_eq!(rdd.max_by_key(|e| e.0).ok(), down.first().copied());
        prop_assert_eq!(rdd.min_by(|a, b| a.0.cmp(&b.0)).ok(), up.first().copied());
        prop_assert_eq!(rdd.max_by(|a, b| a.0.cmp(&b.0)).ok(), down.first().copied());
        prop_assert_eq!(rdd.cache().top(n).unwrap(), first(by(|a, b| b.cmp(a)), n));
    }
    #[test]
    fn floats_are_ordered_nan_above_all_and_zeros_apart(data in floats(), p in 1usize..6, n in 0usize..80) {
        let sc = context(2);
        let rdd = sc.parallelize(data.clone(), p);
        let mut up = data.clone();
        up.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(b).unwrap().then(b.is_sign_negative().cmp(&a.is_sign_negative())),
            (a, b) => a.cmp(&b),
        });
        let down: Vec<f64> = up.iter().rev().copied().collect();
        prop_assert_eq!(bits(&rdd.take_ordered(n).unwrap()), bits(&up[..n.min(up.len())]));
        prop_assert_eq!(bits(&rdd.top(n).unwrap()), bits(&down[..n.min(up.len())]));
        prop_assert_eq!(rdd.min().ok().map(f64::to_bits), up.first().map(|x| x.to_bits()));
        prop_assert_eq!(rdd.max().ok().map(f64::to_bits), down.first().map(|x| x.to_bits()));
    }
    #[test]
    fn numbers_equal_sums_in_two_passes(data in records(), p in 1usize..12, threads in 1usize..4) {
        let sc = context(threads);
        let rdd = sc.parallelize(data.clone(), p).map(|e| e.1);
        let (n, sum) = (data.len() as f64, data.iter().map(|e| i64::from(e.1)).sum::<i64>());
        prop_assert_eq!(rdd.sum().unwrap(), sum);
        prop_assert_eq!(rdd.map(|x| x as f32).sum().unwrap(), sum as f64);
        let mean = if data.is_empty() { 0.0 } else { sum as f64 / n };
        let squares: f64 = data.iter().map(|e| (f64::from(e.1) - mean).powi(2)).sum();
        let by = |n: f64| if n > 0.0 { squares / n } else { f64::NAN };
        let stats = rdd.stats().unwrap();
        prop_assert_eq!(stats.count(), data.len() as u64);
        prop_assert_eq!(stats.max(), data.iter().map(|e| f64::from(e.1)).fold(f64::NEG_INFINITY, f64::max));
        prop_assert_eq!(stats.min(), data.iter().map(|e| f64::from(e.1)).fold(f64::INFINITY, f64::min));
        for (got, expect) in [
            (stats.sum(), sum as f64),
            (rdd.mean().unwrap(), mean),
            (rdd.variance().unwrap(), by(n)),
            (rdd.pop_variance().unwrap(), by(n)),
            (rdd.sample_variance().unwrap(), by(n - 1.0)),
            (rdd.stdev().unwrap(), by(n).sqrt()),
            (rdd.pop_stdev().unwrap(), by(n).sqrt()),
            (rdd.sample_stdev().unwrap(), by(n - 1.0).sqrt()),
        ] {
            prop_assert!(near(got, expect), "{got} instead of {expect}");
        }
    }
    #[test]
    fn histograms_equal_a_search_of_each_record(
        data in floats(), p in 1usize..6, n in 1usize..40,
        edges in prop::collection::btree_set(-12i32..12, 2..9), even in any::<bool>(),
    ) {
        let sc = context(2);
        let twin = |edges: &[f64], data: &[f64]| -> Vec<u64> {
            let last = edges.len() - 2;
            let within = |x: f64, i: usize| edges[i] <= x && (x < edges[i + 1] || i == last && x == edges[i + 1]);
            (0..=last).map(|i| data.iter().filter(|x| within(**x, i)).count() as u64).collect()
        };
        let first = *edges.first().unwrap();
        let edges: Vec<f64> = match even {
            true => (0..edges.len()).map(|i| f64::from(first) + i as f64 * 0.7).collect(),
            false => edges.into_iter().map(f64::from).collect(),
        };
        let rdd = sc.parallelize(data.clone(), p);
        prop_assert_eq!(rdd.histogram_with(&edges).unwrap(), twin(&edges, &data));
        let finite: Vec<f64> = data.iter().copied().filter(|x| x.is_finite()).collect();
        match rdd.filter(|x| x.is_finite()).histogram(n) {
            Err(_) => prop_assert!(finite.is_empty()),
            Ok((edges, counts)) => {
                let least = finite.iter().copied().fold(f64::INFINITY, f64::min);
                let greatest = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                prop_assert_eq!(edges.len(), if least == greatest { 2 } else { n + 1 });
                prop_assert_eq!((edges[0], edges[edges.len() - 1]), (least, greatest));
                prop_assert_eq!(counts.iter().sum::<u64>(), finite.len() as u64);
                prop_assert_eq!(counts, twin(&edges, &finite));
            }
        }
    }
    #[test]
    fn maps_on_the_driver_equal_plain_maps(data in records(), p in 1usize..12, n in 1usize..9, threads in 1usize..4) {
        let sc = context(threads);
        let rdd = sc.parallelize(data.clone(), p);
        let (mut records, mut keys) = (BTreeMap::<Pair, u64>::new(), BTreeMap::<u8, u64>::new());
        let (mut texts, mut last) = (BTreeMap::<u8, String>::new(), BTreeMap::new());
        for (k, v) in &data {
            *records.entry((*k, *v)).or_default() += 1;
            *keys.entry(*k).or_default() += 1;
            *texts.entry(*k).or_default() += &v.to_string();
            last.insert(*k, *v);
        }
        prop_assert_eq!(rdd.count_by_value().unwrap().into_iter().collect::<BTreeMap<_, _>>(), records.clone());
        prop_assert_eq!(rdd.count_by_key().unwrap().into_iter().collect::<BTreeMap<_, _>>(), keys.clone());
        let joined = rdd.map_values(|v| v.to_string()).reduce_by_key_locally(|a, b| a + &b).unwrap();
        prop_assert_eq!(joined.into_iter().collect::<BTreeMap<_, _>>(), texts);
        prop_assert_eq!(rdd.collect_as_map().unwrap().into_iter().collect::<BTreeMap<_, _>>(), last);
        let spread = rdd.partition_by(n);
        for key in [0, 5, 11, 12] {
            let values: Vec<i32> = data.iter().filter(|e| e.0 == key).map(|e| e.1).collect();
            prop_assert_eq!(rdd.lookup(key).unwrap(), values.clone());
            prop_assert_eq!(spread.lookup(key).unwrap(), values);
        }
        // With time enough, approximate counts are exact.
        let exactly = |counts: BTreeMap<u8, u64>| {
            counts.into_iter().map(|(k, n)| (k, BoundedDouble::exactly(n as f64).to_string())).collect::<BTreeMap<_, _>>()
        };
        let about = rdd.count_by_key_approx(seconds(600)).unwrap().final_value().unwrap();
        prop_assert_eq!(about.into_iter().map(|(k, n)| (k, n.to_string())).collect::<BTreeMap<_, _>>(), exactly(keys));
        let about = rdd.count_by_value_approx(seconds(600)).unwrap().final_value().unwrap();
        prop_assert_eq!(about.len(), records.len());
        prop_assert!(about.iter().all(|(x, n)| *n == BoundedDouble::exactly(records[x] as f64)));
    }
    #[test]
    fn trees_keep_the_order_and_iterators_too(data in records(), p in 1usize..40, depth in 1usize..5, threads in 1usize..4) {
        let sc = context(threads);
        let rdd = sc.parallelize(data.clone(), p);
        let text = rdd.map(|e| e.1.to_string());
        let join = |all: &[Pair]| all.iter().map(|e| e.1.to_string()).collect::<String>();
        let reduced = text.tree_reduce_with(|a, b| a + &b, depth).ok();
        prop_assert_eq!(reduced, (!data.is_empty()).then(|| join(&data)));
        let twin: String = slices(&data, p).iter().map(|s| format!("|{}", join(s))).collect();
        let tree = text.tree_aggregate_with("|".to_owned(), |a, x| a + &x, |a, b| a + &b, depth).unwrap();
        prop_assert_eq!(tree, format!("|{twin}"));
        prop_assert_eq!(rdd.to_local_iterator().map(|x| x.unwrap()).collect::<Vec<_>>(), data);
    }
    #[test]
    fn distinct_records_are_counted_about_right(
        distinct in 0u64..3000, often in 1u64..4, p in 1usize..12, threads in 1usize..4,
    ) {
        let sc = context(threads);
        let rdd = sc.range(0..distinct * often, p).map(move |i| i % distinct);
        let is_near = |about: u64, of: u64, sd: f64| (about as f64 - of as f64).abs() <= 4.5 * sd * of as f64 + 0.5;
        let about = rdd.count_approx_distinct().unwrap();
        prop_assert!(is_near(about, distinct, 0.05), "{about} of {distinct}");
        let about = rdd.count_approx_distinct_with(0.01).unwrap();
        prop_assert!(is_near(about, distinct, 0.01), "{about} of {distinct}");
        // The same whoever computes it.
        prop_assert_eq!(context(1).range(0..distinct, 1).count_approx_distinct_with(0.01).unwrap(), about);
        let by_key = rdd.map(|x| (x % 3, Total(x as f64))).count_approx_distinct_by_key_in(0.02, 4);
        for (k, about) in by_key.collect().unwrap() {
            prop_assert!(is_near(about, (distinct + 2 - k) / 3, 0.02), "{about} of {distinct} / 3");
        }
    }
}
