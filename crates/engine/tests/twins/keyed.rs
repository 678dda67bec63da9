//! Operators on pairs: aggregation, grouping, partitioning.
use crate::common::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use winterbourne_engine::{Error, KeyPartitioner, Order, RangePartitioner, Rdd, Result};

type Pair = (u8, i32);
fn pairs() -> impl Strategy<Value = Parts<Pair>> {
    prop_oneof![parts((0u8..4, -9i32..9)), parts((any::<u8>(), -9i32..9))]
}

/// A user's own.
#[derive(PartialEq, Clone, Debug)]
struct Modulo(usize);
impl KeyPartitioner<u8> for Modulo {
    fn num_partitions(&self) -> usize {
        self.0
    }
    fn partition(&self, key: &u8) -> usize {
        usize::from(*key) % self.0
    }
}

/// How an operator is told where keys go.
#[derive(Clone, Copy, Debug)]
enum By {
    Default,
    Number(usize),
    Modulo(usize),
    Ranges(usize),
}
fn by() -> impl Strategy<Value = By> {
    let n = || 1usize..6;
    prop_oneof![Just(By::Default), n().prop_map(By::Number), n().prop_map(By::Modulo), n().prop_map(By::Ranges)]
}
/// Calls an operator in one of its forms.
macro_rules! by {
    ($by:expr, $rdd:expr, $op:ident / $op_in:ident($($arg:expr),*)) => {
        match $by {
            By::Default => $rdd.$op($($arg),*),
            By::Number(n) => $rdd.$op_in($($arg,)* n),
            By::Modulo(n) => $rdd.$op_in($($arg,)* Modulo(n)),
            By::Ranges(n) => $rdd.$op_in($($arg,)* RangePartitioner::new(n, &$rdd, Order::Descending)?),
        }
    };
}
/// As they lie, or spread in one of the ways before.
fn spread(rdd: Rdd<Pair>, by: By) -> Result<Rdd<Pair>> {
    Ok(match by {
        By::Default => rdd,
        By::Number(n) => rdd.partition_by(n),
        By::Modulo(n) => rdd.partition_by(Modulo(n)),
        By::Ranges(n) => rdd.partition_by(RangePartitioner::new(n, &rdd, Order::Ascending)?),
    })
}

/// The values of each key in the order of partitions.
fn groups(all: &[Pair]) -> BTreeMap<u8, Vec<i32>> {
    let mut groups: BTreeMap<u8, Vec<i32>> = BTreeMap::new();
    all.iter().for_each(|(k, v)| groups.entry(*k).or_default().push(*v));
    groups
}
/// In how many of the partitions each key is.
fn holders(parts: &Parts<Pair>) -> BTreeMap<u8, i32> {
    let mut n = BTreeMap::new();
    for part in parts {
        for k in part.iter().map(|e| e.0).collect::<BTreeSet<u8>>() {
            *n.entry(k).or_insert(0) += 1;
        }
    }
    n
}

proptest! {
    #![proptest_config(cases(96))]
    #[test]
    fn aggregations_equal_their_twin(data in pairs(), how in by(), before in by(), threads in 1usize..4) {
        let sc = context(threads);
        let listed = rdd(&sc, &data);
        let run = || -> Result<_> {
            let r = spread(listed.clone(), before)?;
            let put = |all: &mut Vec<i32>, v| all.push(v);
            let append = |all: &mut Vec<i32>, mut more: Vec<i32>| all.append(&mut more);
            let rows = (
                sorted(by!(how, r, reduce_by_key/reduce_by_key_in(|a, b| a + b)).collect()?),
                sorted(by!(how, r, group_by_key/group_by_key_in()).collect()?),
                sorted(by!(how, r, combine_by_key/combine_by_key_in(|v| vec![v], put, append)).collect()?),
                sorted(by!(how, r, fold_by_key/fold_by_key_in(100, |a, b| a + b)).collect()?),
                sorted(by!(how, r, aggregate_by_key/aggregate_by_key_in(
                    String::new(), |a, v| a + &format!("{v},"), |a, b| a + &b)).collect()?),
            );
            let dealt = r.partitioner().is_some().then(|| r.glom().collect()).transpose()?;
            Ok((rows, dealt))
        };
        let (rows, dealt) = run().unwrap();
        let in_order = dealt.unwrap_or_else(|| data.clone());
        let twin = groups(&in_order.concat());
        // A key's zero enters once for each partition that has it; behind a shuffle that is one.
        let zeros = holders(&in_order);
        prop_assert_eq!(rows.0, twin.iter().map(|(k, v)| (*k, v.iter().sum())).collect::<Vec<(u8, i32)>>());
        prop_assert_eq!(&rows.1, &twin.clone().into_iter().collect::<Vec<_>>());
        prop_assert_eq!(rows.2, rows.1);
        if is_starved(threads) {
            // And once more whenever a table went to disk.
            prop_assert_eq!(rows.3.len(), twin.len());
            for ((k, got), (_, v)) in rows.3.iter().zip(&twin) {
                let more = got - v.iter().sum::<i32>();
                prop_assert!(more % 100 == 0 && (zeros[k]..=v.len() as i32).contains(&(more / 100)), "{} of {:?}", got, v);
            }
        } else {
            let folded = twin.iter().map(|(k, v)| (*k, v.iter().sum::<i32>() + 100 * zeros[k])).collect::<Vec<_>>();
            prop_assert_eq!(rows.3, folded);
        }
        let text = |v: &Vec<i32>| v.iter().map(|v| format!("{v},")).collect::<String>();
        prop_assert_eq!(rows.4, twin.iter().map(|(k, v)| (*k, text(v))).collect::<Vec<_>>());
    }
    #[test]
    fn every_key_goes_where_its_partitioner_says(data in pairs(), n in 1usize..6, threads in 1usize..4) {
        let sc = context(threads);
        let r = rdd(&sc, &data);
        let got = r.partition_by(Modulo(n)).glom().collect().unwrap();
        let all = data.concat();
        let twin: Vec<Vec<Pair>> =
            (0..n).map(|p| all.iter().filter(|e| usize::from(e.0) % n == p).copied().collect()).collect();
        prop_assert_eq!(got, twin, "in the order of partitions");
        let got = r.partition_by(n).glom().collect().unwrap();
        let twin: Vec<Vec<Pair>> =
            (0..n).map(|p| all.iter().filter(|e| n.partition(&e.0) == p).copied().collect()).collect();
        prop_assert_eq!(got, twin, "by hash");
        for order in [Order::Ascending, Order::Descending] {
            let ranges = RangePartitioner::new(n, &r, order).unwrap();
            let got = r.partition_by(ranges.clone()).glom().collect().unwrap();
            prop_assert_eq!(got.len(), KeyPartitioner::<u8>::num_partitions(&ranges));
            let distinct = groups(&all).len();
            prop_assert!(got.len() <= n.min(distinct.max(1)), "{} partitions of {distinct} keys, {n} wanted", got.len());
            let mut last = None;
            for part in got {
                let mut keys: Vec<u8> = part.iter().map(|e| e.0).collect();
                keys.sort_by(|a, b| order.compare(a, b));
                if let (Some(last), Some(first)) = (last, keys.first()) {
                    prop_assert!(order.compare(&last, first).is_lt(), "equal keys are together");
                }
                last = keys.last().copied().or(last);
            }
        }
    }
    #[test]
    fn distinct_and_group_by_equal_their_twin(
        data in pairs(), before in by(), n in 1usize..6, threads in 1usize..4
    ) {
        let sc = context(threads);
        let r = spread(rdd(&sc, &data), before).unwrap();
        let once: Vec<Pair> = data.concat().into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        prop_assert_eq!(sorted(r.distinct().collect().unwrap()), &once[..]);
        let few = r.distinct_in(n);
        prop_assert_eq!((few.num_partitions().unwrap(), sorted(few.collect().unwrap())), (n, once));
        let in_order = r.collect().unwrap();
        let mut twin: BTreeMap<bool, Vec<Pair>> = BTreeMap::new();
        in_order.iter().for_each(|e| twin.entry(e.1 > 0).or_default().push(*e));
        let twin: Vec<_> = twin.into_iter().collect();
        prop_assert_eq!(&sorted(r.group_by(|e| e.1 > 0).collect().unwrap()), &twin);
        prop_assert_eq!(&sorted(r.group_by_in(|e| e.1 > 0, n).collect().unwrap()), &twin);
    }
    #[test]
    fn pairs_are_taken_apart_and_made(data in pairs(), threads in 1usize..4) {
        let sc = context(threads);
        let (r, all) = (rdd(&sc, &data), data.concat());
        prop_assert_eq!(r.keys().collect().unwrap(), all.iter().map(|e| e.0).collect::<Vec<_>>());
        prop_assert_eq!(r.values().collect().unwrap(), all.iter().map(|e| e.1).collect::<Vec<_>>());
        let twin: Vec<_> = all.iter().map(|e| (e.1 * 2, *e)).collect();
        prop_assert_eq!(r.key_by(|e| e.1 * 2).collect().unwrap(), twin);
        let twin: Vec<_> = all.iter().flat_map(|(k, v)| (0..*v).map(|i| (*k, i))).collect();
        prop_assert_eq!(r.flat_map_values(|v| 0..v).collect().unwrap(), twin);
    }
    #[test]
    fn three_and_four_meet_as_their_twins(
        (a, b, c, d) in (pairs(), pairs(), pairs(), pairs()),
        (of_a, of_c, how) in (by(), by(), by()),
        threads in 1usize..4,
    ) {
        let sc = context(threads);
        let run = || -> Result<_> {
            let a = spread(rdd(&sc, &a), of_a)?;
            let (b, c, d) = (rdd(&sc, &b), spread(rdd(&sc, &c), of_c)?, rdd(&sc, &d));
            let twin = |r: &Rdd<Pair>| Ok::<_, Error>(groups(&r.collect()?));
            let twins = [twin(&a)?, twin(&b)?, twin(&c)?, twin(&d)?];
            let three = by!(how, a, cogroup3/cogroup3_in(&b, &c)).collect()?;
            let four = by!(how, a, cogroup4/cogroup4_in(&b, &c, &d)).collect()?;
            Ok((sorted(three), sorted(four), twins))
        };
        let (three, four, twins) = run().unwrap();
        let of = |i: usize, k: &u8| twins[i].get(k).cloned().unwrap_or_default();
        let keys = |n: usize| twins[..n].iter().flat_map(|t| t.keys().copied()).collect::<BTreeSet<u8>>();
        prop_assert_eq!(three, keys(3).iter().map(|k| (*k, (of(0, k), of(1, k), of(2, k)))).collect::<Vec<_>>());
        let twin = keys(4).iter().map(|k| (*k, (of(0, k), of(1, k), of(2, k), of(3, k)))).collect::<Vec<_>>();
        prop_assert_eq!(four, twin);
    }
    #[test]
    fn joins_by_any_partitioner_equal_their_twin(
        (a, b) in (pairs(), pairs()), (of_a, of_b, how) in (by(), by(), by()), threads in 1usize..4,
    ) {
        let sc = context(threads);
        let run = || -> Result<_> {
            let (a, b) = (spread(rdd(&sc, &a), of_a)?, spread(rdd(&sc, &b), of_b)?);
            let inner = sorted(by!(how, a, join/join_in(&b)).collect()?);
            let full = sorted(by!(how, a, full_outer_join/full_outer_join_in(&b)).collect()?);
            let left = sorted(by!(how, a, subtract_by_key/subtract_by_key_in(&b)).collect()?);
            Ok((inner, full, left))
        };
        let (inner, full, left) = run().unwrap();
        let (a, b) = (a.concat(), b.concat());
        let twin: Vec<_> = (a.iter())
            .flat_map(|(k, v)| b.iter().filter(move |e| e.0 == *k).map(move |e| (*k, (*v, e.1))))
            .collect();
        let alone = |from: &[Pair], other: &[Pair]| -> Vec<Pair> {
            from.iter().filter(|e| other.iter().all(|o| o.0 != e.0)).copied().collect()
        };
        let mut all: Vec<_> = twin.iter().map(|(k, (v, w))| (*k, (Some(*v), Some(*w)))).collect();
        all.extend(alone(&a, &b).into_iter().map(|(k, v)| (k, (Some(v), None))));
        all.extend(alone(&b, &a).into_iter().map(|(k, w)| (k, (None, Some(w)))));
        prop_assert_eq!((inner, full, left), (sorted(twin), sorted(all), sorted(alone(&a, &b))));
    }
}
