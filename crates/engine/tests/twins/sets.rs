//! Operators on whole data sets: set operations, zips, reshaping. What they make is compared partition by partition.
use crate::common::context;
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};
use winterbourne_engine::{Data, Error, Rdd, Site, SparkContext};

type Parts = Vec<Vec<u32>>;

/// These partitions as an RDD; its chunks are shared, or owned by whoever gets them.
fn rdd(sc: &SparkContext, parts: &Parts, shared: bool) -> Rdd<u32> {
    let blocks = parts.iter().map(|p| vec![Arc::new(p.clone())]).collect();
    let all = sc.from_blocks(Site::caller(), blocks);
    if shared { all } else { all.map(|x| x) }
}
fn glom<T: Data>(rdd: &Rdd<T>) -> Vec<Vec<T>> {
    rdd.glom().collect().expect("runs")
}
fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}
/// None, one, or some partitions; mostly small ones, now and then of several chunks.
fn parts() -> impl Strategy<Value = Parts> {
    let part =
        prop_oneof![9 => prop::collection::vec(0u32..40, 0..12), 1 => prop::collection::vec(0u32..40, 900..2300)];
    prop::collection::vec(part, 0..6)
}
fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn set_operations_equal_their_twins(
        (a, b) in (parts(), parts()),
        n in 1usize..6,
        threads in 1usize..4,
        shared in any::<bool>(),
    ) {
        let sc = context(threads);
        let (left, right) = (rdd(&sc, &a, shared), rdd(&sc, &b, shared));
        let (all, others): (Vec<u32>, BTreeSet<u32>) = (a.concat(), b.concat().into_iter().collect());
        let both: Vec<u32> = all.iter().copied().collect::<BTreeSet<_>>().intersection(&others).copied().collect();
        let rest = sorted(all.iter().filter(|x| !others.contains(x)).copied().collect());
        for (name, got, partitions, expect) in [
            ("intersection", left.intersection(&right), a.len().max(b.len()).max(1), &both),
            ("intersection_in", left.intersection_in(&right, n), n, &both),
            ("subtract", left.subtract(&right), a.len().max(1), &rest),
            ("subtract_in", left.subtract_in(&right, n), n, &rest),
        ] {
            prop_assert_eq!(got.num_partitions().unwrap(), partitions, "{}", name);
            prop_assert_eq!(&sorted(got.collect().unwrap()), expect, "{}", name);
        }
    }
    #[test]
    fn cartesian_equals_its_twin(
        (a, b) in (parts(), prop::collection::vec(prop::collection::vec(0u32..40, 0..30), 0..4)),
        threads in 1usize..4,
        (shared_a, shared_b) in (any::<bool>(), any::<bool>()),
    ) {
        let sc = context(threads);
        let got = rdd(&sc, &a, shared_a).cartesian(&rdd(&sc, &b, shared_b));
        let mut expect = Vec::new();
        for left in &a {
            for right in &b {
                expect.push(left.iter().flat_map(|x| right.iter().map(move |y| (*x, *y))).collect::<Vec<_>>());
            }
        }
        prop_assert_eq!(glom(&got), expect);
    }
    #[test]
    fn zips_and_numbers_equal_their_twins(a in parts(), threads in 1usize..4, shared in any::<bool>()) {
        let sc = context(threads);
        let numbers = rdd(&sc, &a, shared);
        let mut next = 0u64;
        let indexed: Vec<Vec<(u32, u64)>> = a
            .iter()
            .map(|p| p.iter().map(|x| { next += 1; (*x, next - 1) }).collect())
            .collect();
        prop_assert_eq!(glom(&numbers.zip_with_index()), indexed);
        let n = a.len() as u64;
        let ids: Vec<Vec<(u32, u64)>> = a
            .iter()
            .zip(0u64..)
            .map(|(part, p)| part.iter().zip(0u64..).map(|(x, k)| (*x, k * n + p)).collect())
            .collect();
        prop_assert_eq!(glom(&numbers.zip_with_unique_id()), ids);
        // The other side in chunks of other sizes: made one by one, filtered.
        let others = numbers.map(|x| x * 2).flat_map(|x| [x, x + 1]).filter(|x| x % 2 == 1);
        let zipped: Vec<Vec<(u32, u32)>> = a.iter().map(|p| p.iter().map(|x| (*x, 2 * x + 1)).collect()).collect();
        prop_assert_eq!(glom(&numbers.zip(&others)), zipped);
    }
    #[test]
    fn zip_refuses_what_its_twin_refuses((a, b) in (parts(), parts()), threads in 1usize..4) {
        let sc = context(threads);
        let got = rdd(&sc, &a, true).zip(&rdd(&sc, &b, false)).collect();
        let is_uneven = |p: usize| a[p].len() != b[p].len();
        if a.len() != b.len() {
            let unequal = matches!(got, Err(Error::UnequalPartitions { partitions, .. }) if partitions == [a.len(), b.len()]);
            prop_assert!(unequal);
        } else if (0..a.len()).any(is_uneven) {
            // Of several, whichever thread was first.
            let refused = matches!(got, Err(Error::Task { partition, .. }) if is_uneven(partition));
            prop_assert!(refused);
        } else {
            prop_assert_eq!(got.unwrap(), a.concat().into_iter().zip(b.concat()).collect::<Vec<_>>());
        }
    }
    #[test]
    fn partitions_of_up_to_four_are_zipped_like_their_twins(
        all in prop::collection::vec(prop::array::uniform4(prop::collection::vec(0u32..40, 0..9)), 0..5),
        threads in 1usize..4,
    ) {
        let sc = context(threads);
        let of = |i: usize| all.iter().map(|p| p[i].clone()).collect::<Parts>();
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| rdd(&sc, &of(i), i % 2 == 0));
        let text = |lists: &[&[u32]]| lists.iter().map(|l| format!("{l:?}")).collect::<Vec<_>>().join("|");
        let twin = |n: usize| {
            let joined = |p: &[Vec<u32>; 4]| text(&p[..n].iter().map(|l| &l[..]).collect::<Vec<_>>());
            all.iter().map(joined).collect::<Vec<_>>()
        };
        let two = a.zip_partitions(&b, move |a, b| {
            let (a, b): (Vec<u32>, Vec<u32>) = (a.collect(), b.collect());
            [text(&[&a, &b])]
        });
        let three = a.zip_partitions((&b, &c), move |a, (b, c)| {
            let (a, b, c): (Vec<u32>, Vec<u32>, Vec<u32>) = (a.collect(), b.collect(), c.collect());
            [text(&[&a, &b, &c])]
        });
        let four = a.zip_partitions((&b, &c, &d), move |a, (b, c, d)| {
            let (a, b): (Vec<u32>, Vec<u32>) = (a.collect(), b.collect());
            let (c, d): (Vec<u32>, Vec<u32>) = (c.collect(), d.collect());
            [text(&[&a, &b, &c, &d])]
        });
        prop_assert_eq!(two.collect().unwrap(), twin(2));
        prop_assert_eq!(three.collect().unwrap(), twin(3));
        prop_assert_eq!(four.collect().unwrap(), twin(4));
    }
    #[test]
    fn reshaping_loses_and_doubles_nothing(
        (a, b) in (parts(), parts()),
        n in 1usize..9,
        seed in any::<u64>(),
        threads in 1usize..4,
        shared in any::<bool>(),
    ) {
        let sc = context(threads);
        let numbers = rdd(&sc, &a, shared);
        // Every partition to some group.
        let choose = move |p: usize| (seed.rotate_left(7 * p as u32) % n as u64) as usize;
        let mut groups = vec![Vec::new(); n];
        (0..a.len()).for_each(|p| groups[choose(p)].push(p));
        let grouped: Parts = groups.iter().map(|g| g.iter().flat_map(|p| a[*p].clone()).collect()).collect();
        prop_assert_eq!(glom(&numbers.coalesce_by(move |_| groups.clone())), grouped);

        let dealt = glom(&numbers.repartition(n));
        prop_assert_eq!(dealt.len(), n);
        prop_assert_eq!(sorted(dealt.concat()), sorted(a.concat()));
        for p in 0..a.len() {
            // Each partition by itself is dealt evenly.
            let alone: Parts = (0..a.len()).map(|q| if p == q { a[p].clone() } else { Vec::new() }).collect();
            let sizes: Vec<usize> = glom(&rdd(&sc, &alone, shared).repartition(n)).iter().map(Vec::len).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{:?}", sizes);
        }
        prop_assert_eq!(&glom(&rdd(&context(1), &a, !shared).repartition(n)), &dealt);

        let all = [numbers.clone(), rdd(&sc, &b, shared), numbers.clone()];
        prop_assert_eq!(glom(&sc.union(&all)), [a.clone(), b, a.clone()].concat());
        let halves: Parts = a.iter().map(|p| p.iter().filter(|x| **x % 2 == 0).map(|x| x / 2).collect()).collect();
        prop_assert_eq!(glom(&numbers.filter_map(|x| (x % 2 == 0).then_some(x / 2))), halves);
    }
}
