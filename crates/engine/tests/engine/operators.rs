//! Every operator and action against its dull twin over vectors: random records, any number of partitions and threads,
//! in one process and on two lanes.
use crate::common::*;
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};
use winterbourne_engine::{Rdd, Result, SparkContext, hash};

type Pair = (u8, i32);
/// What an operator made, by its name; as text, so that one table holds all types.
type Row = (&'static str, String);
fn row(name: &'static str, value: impl Debug) -> Row {
    (name, format!("{value:?}"))
}
/// The partitions, by way of `glom`.
fn parts<T: winterbourne_engine::Data>(rdd: &Rdd<T>) -> Result<Vec<Vec<T>>> {
    rdd.glom().collect()
}
/// A function of each partition.
fn each<T, U>(parts: &[Vec<T>], f: impl Fn(&[T]) -> Vec<U>) -> Vec<Vec<U>> {
    parts.iter().map(|p| f(p)).collect()
}
/// Where the records of these map partitions go in a shuffle.
fn spread(parts: &[Vec<Pair>], n: usize) -> Vec<Vec<Pair>> {
    let mut out = vec![Vec::new(); n];
    parts.iter().flatten().for_each(|e| out[hash::partition(hash::of(&e.0), n)].push(*e));
    out
}
fn concat(a: &str, b: &str) -> String {
    format!("{a}{b}")
}

/// Mostly a few records, now and then several chunks of them.
fn records() -> impl Strategy<Value = Vec<Pair>> {
    let some = |n| prop::collection::vec((0u8..12, -50i32..50), n);
    prop_oneof![6 => some(0..60), 1 => some(1000..2600)]
}
fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(n) }
}

fn narrow(sc: &SparkContext, data: &[Pair], p: usize) -> Result<Vec<Row>> {
    let rdd = sc.parallelize(data.to_vec(), p);
    Ok(vec![
        row("parallelize", parts(&rdd)?),
        row("map", parts(&rdd.map(|(k, v)| i64::from(v) + i64::from(k)))?),
        row("map in place", parts(&rdd.map(|(k, v)| (k, v * 2)).map(|(k, v)| (k, v + 1)))?),
        row("filter", parts(&rdd.filter(|e| e.1 % 3 == 0))?),
        row("filter nothing left", parts(&rdd.filter(|_| false))?),
        row("flat_map", parts(&rdd.flat_map(|(k, v)| vec![v; usize::from(k % 4)]))?),
        row("emit", parts(&rdd.emit(|e, out| (0..e.0 % 4).for_each(|i| out((i, e.1)))))?),
        row("map_partitions", parts(&rdd.map_partitions(|it| [it.map(|e| i64::from(e.1)).sum::<i64>()]))?),
        row("with_index", parts(&rdd.map_partitions_with_index(|p, it| it.map(move |e| (p, e))))?),
        row("map_values", parts(&rdd.map_values(|v| v - 1))?),
        row("coalesce", parts(&rdd.coalesce(3))?),
        row("coalesce to more", parts(&rdd.coalesce(100))?),
        row("union", parts(&rdd.union(&rdd.filter(|e| e.0 > 3)))?),
        row("cached", parts(&rdd.map(|e| e.1).cache())?),
    ])
}
fn narrow_twin(data: &[Pair], p: usize) -> Vec<Row> {
    let cut = slices(data, p);
    let of_group = |n: usize| (0..n).map(move |i| p * i / n..p * (i + 1) / n);
    let filtered = each(&cut, |s| s.iter().filter(|e| e.0 > 3).copied().collect::<Vec<_>>());
    vec![
        row("parallelize", &cut),
        row("map", each(&cut, |s| s.iter().map(|e| i64::from(e.1) + i64::from(e.0)).collect())),
        row("map in place", each(&cut, |s| s.iter().map(|e| (e.0, e.1 * 2 + 1)).collect())),
        row("filter", each(&cut, |s| s.iter().filter(|e| e.1 % 3 == 0).copied().collect())),
        row("filter nothing left", each(&cut, |_| Vec::<Pair>::new())),
        row("flat_map", each(&cut, |s| s.iter().flat_map(|e| vec![e.1; usize::from(e.0 % 4)]).collect())),
        row("emit", each(&cut, |s| s.iter().flat_map(|e| (0..e.0 % 4).map(move |i| (i, e.1))).collect())),
        row("map_partitions", each(&cut, |s| vec![s.iter().map(|e| i64::from(e.1)).sum::<i64>()])),
        row(
            "with_index",
            cut.iter().enumerate().map(|(p, s)| s.iter().map(|e| (p, *e)).collect::<Vec<_>>()).collect::<Vec<_>>(),
        ),
        row("map_values", each(&cut, |s| s.iter().map(|e| (e.0, e.1 - 1)).collect())),
        row("coalesce", of_group(p.min(3)).map(|group| cut[group].concat()).collect::<Vec<_>>()),
        row("coalesce to more", &cut),
        row("union", [cut.clone(), filtered].concat()),
        row("cached", each(&cut, |s| s.iter().map(|e| e.1).collect())),
    ]
}

fn actions(sc: &SparkContext, data: &[Pair], p: usize) -> Result<Vec<Row>> {
    let rdd = sc.parallelize(data.to_vec(), p);
    let text = rdd.map(|e| e.1.to_string());
    let some = rdd.filter(|e| e.0 % 5 == 1);
    Ok(vec![
        row("collect", rdd.collect()?),
        row("count", rdd.count()?),
        row("reduce", text.reduce(|a, b| concat(&a, &b)).ok()),
        row("fold", text.fold("|".into(), |a, b| concat(&a, &b))?),
        row(
            "aggregate",
            rdd.aggregate((100i64, 1u64), |a, e| (a.0 + i64::from(e.1), a.1 + 1), |a, b| (a.0 + b.0, a.1 + b.1))?,
        ),
        row("take", (some.take(0)?, some.take(1)?, some.take(7)?, some.take(usize::MAX)?)),
        row("first", some.first().ok()),
        row("is_empty", some.is_empty()?),
    ])
}
fn actions_twin(data: &[Pair], p: usize) -> Vec<Row> {
    let cut = slices(data, p);
    let texts = |some: &[Pair]| some.iter().map(|e| e.1.to_string()).collect::<String>();
    let some: Vec<Pair> = data.iter().filter(|e| e.0 % 5 == 1).copied().collect();
    let zeros = p as i64 + 1;
    vec![
        row("collect", data),
        row("count", data.len()),
        row("reduce", (!data.is_empty()).then(|| texts(data))),
        row("fold", concat("|", &cut.iter().map(|s| concat("|", &texts(s))).collect::<String>())),
        row("aggregate", (100 * zeros + data.iter().map(|e| i64::from(e.1)).sum::<i64>(), zeros as usize + data.len())),
        row("take", (&some[..0], &some[..1.min(some.len())], &some[..7.min(some.len())], &some)),
        row("first", some.first()),
        row("is_empty", some.is_empty()),
    ]
}

fn by_key(sc: &SparkContext, data: &[Pair], p: usize, n: usize) -> Result<Vec<Row>> {
    let rdd = sc.parallelize(data.to_vec(), p);
    let text = rdd.map_values(|v| v.to_string());
    let combined =
        rdd.combine_by_key_in(|v| vec![v], |all, v| all.push(v), |all, mut more: Vec<i32>| all.append(&mut more), n);
    let spread = rdd.partition_by(n);
    Ok(vec![
        row("partition_by", parts(&spread)?),
        row("partitions", (rdd.reduce_by_key(|a, _| a).num_partitions()?, rdd.group_by_key_in(n).num_partitions()?)),
        row("reduce_by_key", sorted(rdd.reduce_by_key(|a, b| a + b).collect()?)),
        row("reduce_by_key_in", sorted(text.reduce_by_key_in(|a, b| concat(&a, &b), n).collect()?)),
        row("group_by_key", sorted(rdd.group_by_key().collect()?)),
        row("combine_by_key", sorted(combined.collect()?)),
        row(
            "already spread",
            sorted(spread.map_values(i64::from).filter(|_| true).reduce_by_key(|a, b| a + b).collect()?),
        ),
        row("spread alike", parts(&spread.union(&rdd.filter(|e| e.1 > 0).partition_by(n)))?),
        row("spread otherwise", parts(&spread.union(&rdd.partition_by(n + 1)))?),
        row("empty ones have no say", parts(&spread.union(&sc.empty_rdd()))?),
    ])
}
fn by_key_twin(data: &[Pair], p: usize, n: usize) -> Vec<Row> {
    let cut = slices(data, p);
    let mut groups: BTreeMap<u8, Vec<i32>> = BTreeMap::new();
    data.iter().for_each(|e| groups.entry(e.0).or_default().push(e.1));
    let sums: Vec<Pair> = groups.iter().map(|(k, v)| (*k, v.iter().sum())).collect();
    let texts: Vec<_> = groups.iter().map(|(k, v)| (k, v.iter().map(i32::to_string).collect::<String>())).collect();
    let groups: Vec<_> = groups.iter().collect();
    let positive: Vec<Vec<Pair>> = each(&cut, |s| s.iter().filter(|e| e.1 > 0).copied().collect());
    let both: Vec<_> = spread(&cut, n).into_iter().zip(spread(&positive, n)).map(|(a, b)| [a, b].concat()).collect();
    vec![
        row("partition_by", spread(&cut, n)),
        row("partitions", (p, n)),
        row("reduce_by_key", &sums),
        row("reduce_by_key_in", texts),
        row("group_by_key", &groups),
        row("combine_by_key", &groups),
        row("already spread", &sums),
        row("spread alike", both),
        row("spread otherwise", [spread(&cut, n), spread(&cut, n + 1)].concat()),
        row("empty ones have no say", spread(&cut, n)),
    ]
}

proptest! {
    #![proptest_config(cases(48))]
    #[test]
    fn narrow_operators_equal_their_twins(data in records(), p in 1usize..20, threads in 1usize..4) {
        let expect = narrow_twin(&data, p);
        prop_assert_eq!(everywhere(threads, move |sc| narrow(sc, &data, p)), expect);
    }
    #[test]
    fn actions_equal_their_twins(data in records(), p in 1usize..20, threads in 1usize..4) {
        let expect = actions_twin(&data, p);
        prop_assert_eq!(everywhere(threads, move |sc| actions(sc, &data, p)), expect);
    }
    #[test]
    fn operators_by_key_equal_their_twins(data in records(), p in 1usize..20, n in 1usize..20, threads in 1usize..4) {
        let expect = by_key_twin(&data, p, n);
        prop_assert_eq!(everywhere(threads, move |sc| by_key(sc, &data, p, n)), expect);
    }
    #[test]
    fn the_order_of_results_does_not_depend_on_threads(data in records(), p in 1usize..20, n in 1usize..9) {
        let run = move |sc: &SparkContext| {
            let rdd = sc.parallelize(data.clone(), p).map(|(k, v)| ((k, v % 7), v));
            Ok((rdd.reduce_by_key_in(|a, b| a - b, n).collect()?, rdd.group_by_key_in(n).collect()?))
        };
        let alone = everywhere(1, run.clone());
        for n in [2, 3] {
            prop_assert_eq!(&run(&threads(n)).unwrap(), &alone);
        }
    }
    #[test]
    fn each_record_and_each_partition_is_handed_over_once(data in records(), p in 1usize..20, n in 1usize..4) {
        let sc = threads(n);
        let rdd = sc.parallelize(data.clone(), p);
        let (one, whole) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(vec![None; p])));
        let (o, w) = (one.clone(), whole.clone());
        rdd.foreach(move |e| o.lock().expect("no panic here").push(e)).unwrap();
        rdd.foreach_partition(move |p, it| {
            assert_eq!(w.lock().expect("no panic here")[p].replace(it.collect::<Vec<_>>()), None);
            Ok(())
        }).unwrap();
        prop_assert_eq!(sorted(one.lock().unwrap().clone()), sorted(data.clone()));
        let whole: Vec<Vec<Pair>> = whole.lock().unwrap().drain(..).flatten().collect();
        prop_assert_eq!(whole, slices(&data, p));
    }
    #[test]
    fn ranges_equal_their_twins(start in -100i64..100, len in 0i64..3000, step in 1i64..50, p in 1usize..20) {
        let up: Vec<i64> = (start..start + len).step_by(step as usize).collect();
        let down: Vec<i64> = (0..len).map(|i| start - i).step_by(step as usize).collect();
        let got = everywhere(2, move |sc| {
            let (up, down) = (sc.range_by(start, start + len, step, p), sc.range_by(start, start - len, -step, p));
            Ok((parts(&up)?, parts(&down)?, parts(&sc.range(7..7 + len as u64, p))?))
        });
        let plain: Vec<u64> = (7..7 + len as u64).collect();
        prop_assert_eq!(got, (slices(&up, p), slices(&down, p), slices(&plain, p)));
    }
}

#[test]
fn ranges_as_wide_as_their_type() {
    let sc = threads(1);
    assert_eq!(sc.range(0..u64::MAX, 3).glom().name(), "glom");
    assert_eq!(sc.range(u64::MAX - 2..u64::MAX, 5).collect().unwrap(), [u64::MAX - 2, u64::MAX - 1]);
    assert_eq!(sc.range_by(i64::MIN, i64::MAX, 1, 7).take(2).unwrap(), [i64::MIN, i64::MIN + 1]);
    assert_eq!(sc.range_by(i64::MAX, i64::MIN, -1, 7).first().unwrap(), i64::MAX);
    assert_eq!(sc.range_by(i64::MIN, i64::MAX, i64::MAX, 2).collect().unwrap(), [i64::MIN, -1, i64::MAX - 1]);
    #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
    let backwards = sc.range(5..0, 2);
    assert_eq!(backwards.count().unwrap(), 0);
}
#[test]
fn nothing_in_no_partition() {
    for shuffled in [false, true] {
        let (collected, counted, folded, first) = everywhere(2, move |sc| {
            let none = sc.empty_rdd::<Pair>();
            let none = if shuffled { none.reduce_by_key(|a, _| a).group_by_key().map(|e| (e.0, 0)) } else { none };
            let folded = none.coalesce(3).map(|_| 1).fold(10, |a, b| a + b)?;
            Ok((none.collect()?, none.union(&none).count()?, folded, none.first().is_err()))
        });
        assert_eq!((collected, counted, first), (vec![], 0, true));
        // The zero enters once per partition and once more; a shuffle makes one partition of none.
        assert_eq!(folded, if shuffled { 20 } else { 10 });
    }
}
#[test]
fn blocks_enter_as_they_are() {
    let got = everywhere(2, |sc| {
        let block = |r: std::ops::Range<u32>| Arc::new(r.collect::<Vec<_>>());
        let rdd = sc.from_blocks(
            winterbourne_engine::Site::caller(),
            vec![vec![block(0..2), block(2..2), block(2..3)], vec![], vec![block(3..3000)]],
        );
        Ok((rdd.glom().map(|p| p.len()).collect()?, rdd.filter(|x| x % 1000 == 2).collect()?))
    });
    assert_eq!(got, (vec![3, 0, 2997], vec![2, 1002, 2002]));
}
#[test]
fn an_endless_flat_map_is_taken_from() {
    let sc = threads(2);
    let endless = sc.range(0..4, 2).flat_map(|x| (0u64..).map(move |i| x + i));
    assert_eq!(endless.take(3).unwrap(), [0, 1, 2]);
    assert_eq!(sc.range(0..4, 2).map_partitions(|_| 5u64..).first().unwrap(), 5);
}
#[test]
fn skipped_records_are_counted_each_time_they_are_computed() {
    use winterbourne_engine::OnBadRecord::{Fail, Skip};
    let sc = threads(2);
    let words = sc.parallelize(["1", "x", "3", "", "5"], 2);
    let numbers = words.try_map(Skip, str::parse::<u32>);
    assert_eq!(numbers.collect().unwrap(), [1, 3, 5]);
    assert_eq!(sc.counts().skipped_records, 2);
    assert_eq!(numbers.count().unwrap(), 3);
    assert_eq!(sc.counts().skipped_records, 4);
    // Not read to its end.
    let one = sc.parallelize(["x", "y", "1", "z"], 1).try_map(Skip, str::parse::<u32>);
    assert_eq!((one.first().unwrap(), sc.counts().skipped_records), (1, 7));
    let e = words.try_map(Fail, str::parse::<u32>).count().unwrap_err();
    assert!(e.to_string().contains("invalid digit"), "{e}");
}
