//! Sorting and ranges of keys.
use crate::common::*;
use proptest::prelude::*;
use winterbourne_engine::{KeyPartitioner, Order, RangePartitioner, Rdd, SparkContext, Total};

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Ascending), Just(Order::Descending)]
}
/// Few keys or many; values say where a record came from.
fn keyed() -> impl Strategy<Value = Parts<(u16, u32)>> {
    let numbered = |parts: Parts<u16>| {
        let mut n = 0;
        let number = |k| {
            n += 1;
            (k, n)
        };
        let mut number = number;
        parts.into_iter().map(|p| p.into_iter().map(&mut number).collect()).collect()
    };
    prop_oneof![parts(0u16..5), parts(any::<u16>())].prop_map(numbered)
}
/// Stable, in either order.
fn twin<V: Clone>(parts: &Parts<(u16, V)>, order: Order) -> Vec<(u16, V)> {
    let mut all = parts.concat();
    match order {
        Order::Ascending => all.sort_by_key(|e| e.0),
        Order::Descending => all.sort_by_key(|e| u16::MAX - e.0),
    }
    all
}
/// Where the dull twin cuts: after every n-th part of the records, and then after all that are equal to the last of it.
fn cut<V: Clone>(all: &[(u16, V)], n: usize) -> Vec<Vec<(u16, V)>> {
    let mut parts = vec![Vec::new(); n];
    for (i, e) in all.iter().enumerate() {
        let first_equal = all.iter().position(|f| f.0 == e.0).unwrap_or(i);
        // The first partition that ends behind the first of the equal ones.
        let p = (0..n).find(|p| all.len() * (p + 1) / n > first_equal).unwrap_or(n - 1);
        parts[p].push(e.clone());
    }
    parts
}

proptest! {
    #![proptest_config(cases(96))]
    #[test]
    fn sorting_is_stable_and_even(data in keyed(), order in order(), n in 1usize..9, threads in 1usize..4) {
        let sc = context(threads);
        let r = rdd(&sc, &data);
        let expect = twin(&data, order);
        let got = r.sort_by_key_in(order, n).glom().collect().unwrap();
        if is_starved(threads) {
            prop_assert_eq!(&got.concat(), &expect);
            prop_assert!(got.iter().flatten().map(|e| e.0).collect::<Vec<_>>().is_sorted_by(|a, b| order.compare(a, b).is_le()));
            let last = |part: &Vec<(u16, u32)>| part.last().map(|e| e.0);
            let ends: Vec<u16> = got.iter().filter_map(last).collect();
            prop_assert!(ends.windows(2).all(|w| w[0] != w[1]), "equal keys are never parted");
            prop_assert_eq!(sc.memory_status().spills > 0, !expect.is_empty());
            return Ok(());
        }
        prop_assert_eq!(&got, &cut(&expect, n));
        // The same for records that do not move, and for keys that own something.
        let large = r.map_values(|v| [v; 20]).sort_by_key_in(order, n).map_values(|v| v[0]);
        prop_assert_eq!(&large.glom().collect().unwrap(), &got);
        let text = r.map(|(k, v)| (format!("{k:05}"), v)).sort_by_key_in(order, n);
        let text = text.map(|(k, v)| (k.parse::<u16>().unwrap(), v));
        prop_assert_eq!(&text.glom().collect().unwrap(), &got);
        let whole = r.sort_by_in(|e| e.0, order, n);
        prop_assert_eq!(&whole.glom().collect().unwrap(), &got);
        if order == Order::Ascending {
            prop_assert_eq!(&r.sort_by_key().collect().unwrap(), &expect);
            prop_assert_eq!(&r.sort_by(|e| e.0).collect().unwrap(), &expect);
            prop_assert_eq!(r.sort_by_key().num_partitions().unwrap(), data.len().max(1));
        }
    }
    #[test]
    fn ranges_are_filtered_whatever_was_before(
        data in keyed(), (low, high) in (any::<u16>(), any::<u16>()), few in any::<bool>(), order in order(),
        n in 1usize..6, threads in 1usize..4
    ) {
        let sc = context(threads);
        let (low, high) = if few { (low % 5, high % 5) } else { (low, high) };
        let r = rdd(&sc, &data);
        let mut expect = data.concat();
        expect.retain(|e| (low..=high).contains(&e.0));
        prop_assert_eq!(&r.filter_by_range(low, high).collect().unwrap(), &expect);
        let mut by_key = twin(&data, order);
        by_key.retain(|e| (low..=high).contains(&e.0));
        let sorted_before = r.sort_by_key_in(order, n).filter_by_range(low, high);
        prop_assert_eq!(sorted_before.collect().unwrap(), by_key);
        let ranges = RangePartitioner::new(n, &r, order).unwrap();
        let in_ranges = r.partition_by(ranges).filter_by_range(low, high);
        prop_assert_eq!(sorted(in_ranges.collect().unwrap()), sorted(expect));
    }
    #[test]
    fn partitions_sorted_within_equal_their_twin(data in keyed(), n in 1usize..6, threads in 1usize..4) {
        let sc = context(threads);
        let r = rdd(&sc, &data);
        let expect: Vec<Vec<(u16, u32)>> = (0..n)
            .map(|p| twin(&data, Order::Ascending).into_iter().filter(|e| n.partition(&e.0) == p).collect())
            .collect();
        let check = |r: Rdd<(u16, u32)>| r.repartition_and_sort_within_partitions(n).glom().collect().unwrap();
        prop_assert_eq!(&check(r.clone()), &expect);
        prop_assert_eq!(&check(r.partition_by(n)), &expect, "in place");
    }
    #[test]
    fn what_comes_to_sorted_keys_goes_where_they_are(
        a in keyed(), b in keyed(), order in order(), n in 1usize..6, threads in 1usize..4
    ) {
        let sc = context(threads);
        let run = |sc: &SparkContext| {
            let sorted_a = rdd(sc, &a).sort_by_key_in(order, n);
            let by = sorted_a.partitioner().unwrap().clone();
            let b = rdd(sc, &b);
            (
                sorted(sorted_a.join_in(&b, by.clone()).collect().unwrap()),
                sorted(rdd(sc, &a).join(&b).collect().unwrap()),
                b.partition_by(by).sort_by_key_in(order, n).collect().unwrap(),
            )
        };
        let (joined, expect, again) = run(&sc);
        prop_assert_eq!(joined, expect);
        prop_assert_eq!(again, twin(&b, order));
    }
    #[test]
    fn floats_are_sorted_by_their_total_order(numbers in parts(prop_oneof![any::<f64>(), Just(0.0), Just(-0.0)])) {
        let sc = context(2);
        let got = rdd(&sc, &numbers).sort_by(|x| Total(*x)).collect().unwrap();
        let mut expect = numbers.concat();
        // The standard's order has NaN at both ends.
        expect.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
            (false, false) => a.total_cmp(b),
            (a, b) => a.cmp(&b),
        });
        let bits = |all: Vec<f64>| all.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(got), bits(expect));
    }
}
