//! Operators that reduce, count, group and list a batch; several streams in one `transform`; output by partition.
mod common;
use common::*;
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc::channel},
};
use winterbourne_engine::{BoxError, KeyPartitioner};
use winterbourne_streaming::{DStream, OutputPartition, seconds};

#[test]
fn glom_gives_one_vector_per_partition_and_empty_ones_too() {
    let got = batches([vec![1, 2, 3], vec![], vec![4]], DStream::glom);
    assert_eq!(got, [vec![vec![1], vec![2, 3]], vec![vec![], vec![]], vec![vec![], vec![4]]]);
}
#[test]
fn reduce_is_one_record_per_batch_and_none_for_an_empty_one() {
    let input = || [vec!["a", "b", "c"], vec![], vec!["d"]].map(|b| b.into_iter().map(String::from).collect());
    let all = |s: &DStream<String>| s.reduce(|a, b| a + &b);
    assert_eq!(batches(input(), all), [vec!["abc".to_owned()], vec![], vec!["d".into()]], "in the order of partitions");
    let partitions = batches(input(), move |s| all(s).glom());
    assert_eq!(partitions.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}
#[test]
fn count_by_value_counts_each_value_of_each_batch() {
    check(
        [vec!['a', 'b', 'a'], vec![], vec!['b']],
        DStream::count_by_value,
        [vec![('a', 2), ('b', 1)], vec![], vec![('b', 1)]],
    );
    let got = batches([vec![1, 2, 3]], |s| s.count_by_value_in(5).glom());
    assert_eq!((got[0].len(), got[0].concat().len()), (5, 3));
}
#[test]
fn group_by_key_in_makes_so_many_partitions() {
    let got = batches([vec![(1, 'a'), (2, 'b'), (1, 'c')]], |s| s.group_by_key_in(3).glom());
    let mut groups = got[0].concat();
    groups.sort();
    assert_eq!((got[0].len(), groups), (3, vec![(1, vec!['a', 'c']), (2, vec!['b'])]));
}
#[test]
fn combine_by_key_builds_accumulators_of_another_type() {
    let longest = |s: &DStream<(char, String)>, n: Option<usize>| {
        let create = |w: String| (w.len(), vec![w]);
        let merge = |(n, all): &mut (usize, Vec<String>), w: String| {
            *n = (*n).max(w.len());
            all.push(w);
        };
        let combine = |(n, all): &mut (usize, Vec<String>), (m, mut more): (usize, Vec<String>)| {
            *n = (*n).max(m);
            all.append(&mut more);
        };
        match n {
            None => s.combine_by_key(create, merge, combine),
            Some(n) => s.combine_by_key_in(create, merge, combine, n),
        }
    };
    let input = || {
        [
            vec![('a', "x"), ('b', "y"), ('a', "zzz"), ('a', "u")]
                .into_iter()
                .map(|(k, w)| (k, w.to_owned()))
                .collect(),
            vec![],
        ]
    };
    let words = |w: &[&str]| w.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let expect = || [vec![('a', (3, words(&["x", "zzz", "u"]))), ('b', (1, words(&["y"])))], vec![]];
    check(input(), |s| longest(s, None), expect());
    check(input(), |s| longest(s, Some(3)), expect());
    assert_eq!(batches(input(), |s| longest(s, Some(3)).glom())[0].len(), 3);
}
#[test]
fn repartition_spreads_a_batch_over_exactly_so_many() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let (parts, spread) = (tester.output(&stream.repartition(5).glom()), tester.output(&stream.repartition(1)));
    feed.partitions(1).push(0..100);
    tester.steps(2).unwrap();
    let parts = parts.take();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5], "an empty batch too");
    assert!(parts[0].iter().all(|p| p.len() == 20), "{parts:?}");
    assert_eq!(spread.take_sorted(), [(0..100).collect(), vec![]]);
}
#[derive(PartialEq)]
struct Modulo(u64);
impl KeyPartitioner<u64> for Modulo {
    fn num_partitions(&self) -> usize {
        self.0 as usize
    }
    fn partition(&self, key: &u64) -> usize {
        (key % self.0) as usize
    }
}
#[test]
fn keys_go_where_a_partitioner_of_ones_own_says() {
    let mut tester = tester(&[]);
    let (feed, s) = tester.input::<(u64, u64)>();
    let keys = |s: DStream<u64>| {
        tester.output(&s.glom().map(|mut part| {
            part.sort();
            part
        }))
    };
    let outs = [
        keys(s.reduce_by_key_in(|a, b| a + b, Modulo(2)).map(|(k, _)| k)),
        keys(s.group_by_key_in(Modulo(2)).map(|(k, _)| k)),
        keys(s.combine_by_key_in(|v| v, |a, v| *a += v, |a, b| *a += b, Modulo(2)).map(|(k, _)| k)),
        keys(s.map(|(k, _)| k).count_by_value_in(Modulo(2)).map(|(k, _)| k)),
        keys(s.join_in(&s, Modulo(2)).map(|(k, _)| k)),
        keys(s.cogroup_in(&s, Modulo(2)).map(|(k, _)| k)),
        keys(s.left_outer_join_in(&s, Modulo(2)).map(|(k, _)| k)),
        keys(s.right_outer_join_in(&s, Modulo(2)).map(|(k, _)| k)),
        keys(s.full_outer_join_in(&s, Modulo(2)).map(|(k, _)| k)),
        keys(s.reduce_by_key_and_window_in(|a, b| a + b, seconds(2), seconds(1), Modulo(2)).map(|(k, _)| k)),
        keys(s.group_by_key_and_window_in(seconds(2), seconds(1), Modulo(2)).map(|(k, _)| k)),
    ];
    let (tell, told) = channel();
    s.reduce_by_key_and_window_in(|a, b| a + b, seconds(2), seconds(1), Modulo(2))
        .foreach_rdd(move |rdd, _| Ok(tell.send(rdd.to_debug_string())?));
    feed.push((0..6).map(|k| (k, 1)));
    tester.step().unwrap();
    for (i, out) in outs.iter().enumerate() {
        assert_eq!(out.take(), [[vec![0, 2, 4], vec![1, 3, 5]]], "number {i}");
    }
    let lineage = told.recv().unwrap();
    assert_eq!(lineage.matches("+-").count(), 1, "{lineage}");
}
#[test]
fn flat_map_values_keeps_keys_and_partitioner() {
    let repeat = |s: &DStream<(u8, usize)>| s.flat_map_values(|n| (0..n).rev());
    let got = batches([vec![(1, 2), (2, 0), (1, 1)], vec![]], repeat);
    assert_eq!(got, [vec![(1, 1), (1, 0), (1, 0)], vec![]]);
    let (tell, told) = channel();
    batches([vec![(1u8, 3000usize)]], move |s| {
        s.group_by_key_in(3).flat_map_values(|all| all.into_iter().flat_map(|n| 0..n)).transform(move |rdd, _| {
            tell.send((rdd.partitioner().is_some(), rdd.count()?))?;
            Ok(rdd.clone())
        })
    });
    assert_eq!(told.recv(), Ok((true, 3000)));
}
#[test]
fn flat_map_values_may_be_endless() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<(u8, u64)>();
    let (tell, told) = channel();
    stream.flat_map_values(|n| n..).foreach_rdd(move |rdd, _| Ok(tell.send(rdd.take(3)?)?));
    feed.push([(1, 7)]);
    tester.step().unwrap();
    assert_eq!(told.recv().unwrap(), [(1, 7), (1, 8), (1, 9)]);
}
#[test]
fn nothing_comes_of_nothing() {
    let mut tester = tester(&[]);
    let given = tester.context().input_stream("given", Given::new([None, Some(vec![(1u8, 1u64)])]));
    let outs = [
        tester.output(&given.glom().map(drop)),
        tester.output(&given.reduce(|a, _| a).map(drop)),
        tester.output(&given.count_by_value().map(drop)),
        tester.output(&given.group_by_key().map(drop)),
        tester.output(&given.flat_map_values(|n| 0..n).map(drop)),
    ];
    tester.steps(2).unwrap();
    for out in outs {
        assert!(out.take_timed().iter().all(|(t, _)| *t == at(2)));
    }
}
#[test]
fn a_number_of_partitions_must_be_positive() {
    let errors = refused("operators_more.rs", |t| {
        let (_, s) = t.input::<(u8, u8)>();
        s.group_by_key_in(0).foreach_rdd(|_, _| Ok(()));
        s.reduce_by_key_in(|a, _| a, 0).foreach_rdd(|_, _| Ok(()));
        s.count_by_value_in(0).foreach_rdd(|_, _| Ok(()));
        s.join_in(&s, 0).foreach_rdd(|_, _| Ok(()));
        s.repartition(0).foreach_rdd(|_, _| Ok(()));
        s.group_by_key_and_window_in(seconds(2), seconds(1), 0).foreach_rdd(|_, _| Ok(()));
        s.combine_by_key_in(|v| v, |_, _| (), |_, _| (), 0).foreach_rdd(|_, _| Ok(()));
    });
    let kinds = ["group_by_key", "reduce_by_key", "count_by_value", "join", "repartition", "group_by_key_and_window"];
    assert_eq!(errors.len(), 7, "{errors:?}");
    for (error, kind) in errors.iter().zip(kinds.into_iter().chain(["combine_by_key"])) {
        assert_eq!(*error, format!("`{kind}` was asked for 0 partitions; the number must be positive"));
    }
}

#[test]
fn transform_takes_streams_of_different_types() {
    let mut tester = tester(&[]);
    let ((a, numbers), (b, words)) = (tester.input::<u64>(), tester.input::<&str>());
    let counts = numbers.count();
    let all = tester.context().transform((&numbers, &words, &counts), |(numbers, words, counts), time| {
        let (count, second) = (counts.first()?, second(time));
        let words = words.collect()?.concat();
        Ok(numbers.map(move |n| (n, words.clone(), count, second)))
    });
    let out = tester.output(&all);
    a.push([7, 8]);
    b.push(["x", "y"]);
    a.push([9]);
    tester.steps(2).unwrap();
    let xy = "xy".to_owned();
    assert_eq!(out.take(), [vec![(7, xy.clone(), 2, 1), (8, xy, 2, 1)], vec![(9, String::new(), 1, 2)]]);
}
#[test]
fn transform_takes_up_to_six_streams_and_any_number_of_one_type() {
    let mut tester = tester(&[]);
    let (feeds, s): (Vec<_>, Vec<_>) = (0..6).map(|_| tester.input::<u64>()).unzip();
    let ssc = tester.context().clone();
    let outs = [
        ssc.transform((&s[0],), |(a,), _| Ok(a)),
        ssc.transform((&s[0], &s[1]), |(a, b), _| Ok(a.union(&b))),
        ssc.transform((&s[0], &s[1], &s[2], &s[3]), |(a, b, c, d), _| Ok(a.union(&b).union(&c).union(&d))),
        ssc.transform((&s[0], &s[1], &s[2], &s[3], &s[4]), |(a, b, c, d, e), _| {
            Ok([b, c, d, e].iter().fold(a, |all, x| all.union(x)))
        }),
        ssc.transform((&s[0], &s[1], &s[2], &s[3], &s[4], &s[5]), |(a, b, c, d, e, f), _| {
            Ok([b, c, d, e, f].iter().fold(a, |all, x| all.union(x)))
        }),
        ssc.transform(&s[..], |all, _| Ok(all.into_iter().reduce(|a, b| a.union(&b)).expect("six"))),
    ]
    .map(|s| tester.output(&s));
    for (i, feed) in (1..).zip(&feeds) {
        feed.push([i]);
    }
    tester.step().unwrap();
    let got: Vec<usize> = outs.iter().map(|o| o.take()[0].len()).collect();
    assert_eq!(got, [1, 2, 4, 5, 6, 6]);
}
#[test]
fn transform_with_sees_both_and_the_time_and_may_own_things() {
    let mut tester = tester(&[]);
    let ((a, left), (b, right)) = (tester.input::<u64>(), tester.input::<char>());
    let mut calls = 0;
    let out = tester.output(&left.transform_with(&right, move |left, right, time| {
        calls += 1;
        let (calls, letters, second) = (calls, right.count()?, second(time));
        Ok(left.map(move |x| (x, letters, calls, second)))
    }));
    a.push([1]);
    b.push(['x', 'y']);
    a.push([2]);
    tester.steps(2).unwrap();
    assert_eq!(out.take(), [[(1, 2, 1, 1)], [(2, 0, 2, 2)]]);
}
#[test]
fn transform_of_several_is_not_called_where_one_has_nothing_to_do() {
    let mut tester = tester(&[]);
    let ssc = tester.context().clone();
    let left = ssc.input_stream("left", Given::new([None, Some(vec![1]), None, Some(vec![2])]));
    let right = ssc.input_stream("right", Given::new([Some(vec![3]), None, None, Some(vec![4])]));
    let diary = Diary::default();
    let (one, two, three) = (diary.clone(), diary.clone(), diary.clone());
    let outs = [
        left.transform_with(&right, move |a, b, t| {
            one.write(format!("with {}", second(t)));
            Ok(a.union(b))
        }),
        ssc.transform((&left, &right), move |(a, b), t| {
            two.write(format!("tuple {}", second(t)));
            Ok(a.union(&b))
        }),
        ssc.transform(&[left, right][..], move |all, t| {
            three.write(format!("slice {}", second(t)));
            Ok(all[0].union(&all[1]))
        }),
    ]
    .map(|s| tester.output(&s));
    tester.steps(4).unwrap();
    for out in outs {
        assert_eq!(out.take_timed(), [(at(4), vec![2, 4])]);
    }
    assert_eq!(diary.take(), ["with 4", "tuple 4", "slice 4"]);
}
#[test]
fn an_error_or_a_panic_in_a_transform_of_several_fails_the_batch_and_not_the_next() {
    for panics in [false, true] {
        let mut tester = tester(&[]);
        let (feed, s) = tester.input::<u64>();
        let out = tester.output(&tester.context().transform((&s, &s), move |(a, _), time| match second(time) {
            1 if panics => panic!("no such table"),
            1 => Err("no such table".into()),
            _ => Ok(a),
        }));
        feed.push([1]);
        feed.push([2]);
        let error = tester.step().unwrap_err().to_string();
        assert!(error.contains("no such table") && error.contains("the generation of output 0"), "{error}");
        tester.run().skip_failed();
        tester.step().unwrap();
        assert_eq!(out.take(), [[2]]);
    }
}
#[test]
fn transform_of_several_wants_equal_slides_one_context_and_at_least_one_stream() {
    let errors = refused("operators_more.rs", |t| {
        let (_, s) = t.input::<u8>();
        let slow = s.window_by(seconds(2), seconds(2));
        let run = |s: DStream<u8>| s.foreach_rdd(|_, _| Ok(()));
        run(s.transform_with(&slow, |a, _, _| Ok(a.clone())));
        run(t.context().transform((&s, &s, &slow), |(a, _, _), _| Ok(a)));
        run(t.context().transform(&[] as &[DStream<u8>], |_, _| Err("not called".into())));
        run(s.transform_with(&tester(&[]).input::<u8>().1, |a, _, _| Ok(a.clone())));
    });
    let expect = [
        "transform_with: some of the DStreams have different slide durations (1000 ms and 2000 ms)",
        "transform: some of the DStreams have different slide durations (1000 ms and 2000 ms)",
        "transform of no streams",
        "transform_with: the DStreams belong to different contexts",
    ];
    assert_eq!(errors.len(), expect.len(), "{errors:?}");
    for (error, expect) in errors.iter().zip(expect) {
        assert!(error.starts_with(expect), "{error}");
    }
}

type Written = Arc<Mutex<Vec<(OutputPartition, Vec<u64>)>>>;
#[test]
fn foreach_partition_says_which_partition_of_which_batch_of_which_output_it_is() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let written = Written::default();
    for s in [stream.clone(), stream.map(|x| x + 10)] {
        let written = written.clone();
        s.foreach_partition(move |id, records| {
            let all = records.collect();
            written.lock().unwrap().push((id.clone(), all));
            Ok(())
        });
    }
    feed.push([1, 2, 3]);
    feed.push([]);
    tester.steps(2).unwrap();
    let mut all = std::mem::take(&mut *written.lock().unwrap());
    let ids = tester.run().operator_ids().split_off(1);
    all.sort_by_key(|(id, _)| (ids.iter().position(|i| **i == *id.operator), id.time, id.partition));
    let got: Vec<_> = all.iter().map(|(id, r)| (&*id.operator, second(id.time), id.partition, r.clone())).collect();
    let of = |i: usize, add: u64| {
        let id = ids[i].as_str();
        [(id, 1, 0, vec![1 + add]), (id, 1, 1, vec![2 + add, 3 + add]), (id, 2, 0, vec![]), (id, 2, 1, vec![])]
    };
    assert_eq!(got, [of(0, 0), of(1, 10)].concat());
    assert_eq!(all[1].0.to_string(), format!("{}/{}/1", ids[0], at(1).as_millis()));
}
#[test]
fn a_partition_that_is_tried_again_has_the_same_id() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let (written, fails) = (Written::default(), Mutex::new(true));
    let table = written.clone();
    stream.foreach_partition(move |id, records| {
        // Unwinds if the other partition failed first.
        let all = records.collect();
        table.lock().unwrap().push((id.clone(), all));
        let fails = id.partition == 1 && std::mem::take(&mut *fails.lock().unwrap());
        if fails { Err("the connection is gone".into()) } else { Ok(()) }
    });
    feed.push([1, 2]);
    tester.step().unwrap();
    let mut by_id: BTreeMap<OutputPartition, Vec<Vec<u64>>> = BTreeMap::new();
    written.lock().unwrap().drain(..).for_each(|(id, r)| by_id.entry(id).or_default().push(r));
    let by_partition: Vec<_> = by_id.into_iter().map(|(id, r)| (id.partition, r)).collect();
    let [(0, first), (1, second)] = &by_partition[..] else { panic!("one id for each partition: {by_partition:?}") };
    assert_eq!(second, &[[2], [2]]);
    // Whether partition 0 began before partition 1 failed its attempt is not ours to say.
    assert!(matches!(first.len(), 1 | 2) && first.iter().all(|r| r == &[1]), "{first:?}");
}
#[test]
fn an_error_before_foreach_partition_lets_it_write_nothing() {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<u64>();
    let (commits, committed) = channel();
    let commits = Mutex::new(commits);
    let bad = stream.try_map(winterbourne_engine::OnBadRecord::Fail, |x| {
        if x == 3000 { Err(BoxError::from("bad")) } else { Ok(x) }
    });
    bad.foreach_partition(move |id, records| {
        let n = records.count();
        commits.lock().unwrap().send((id.partition, n))?;
        Ok(())
    });
    feed.partitions(1).push(0..4000);
    assert!(tester.step().unwrap_err().to_string().contains("bad"));
    assert!(committed.try_recv().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn operators_of_a_batch_equal_their_twins(
        input in prop::collection::vec(prop::collection::vec((0u8..5, any::<u16>()), 0..12), 1..5),
        (partitions, into, threads) in (1usize..5, 1usize..5, 1usize..4),
    ) {
        let mut tester = tester(&[("spark.master", &format!("local[{threads}]"))]);
        let (feed, s) = tester.input::<(u8, u16)>();
        let feed = feed.partitions(partitions);
        let text = s.map(|(k, v)| format!("{k}{v} ")).reduce(|a, b| a + &b);
        let (text, counts, groups, spread, glommed) = (
            tester.output(&text),
            tester.output(&s.map(|(k, _)| k).count_by_value_in(into)),
            tester.output(&s.group_by_key_in(into)),
            tester.output(&s.group_by_key_in(into).flat_map_values(|v| v)),
            tester.output(&s.glom().map(|v| v.len())),
        );
        for batch in &input {
            feed.push(batch.iter().copied());
            tester.step().unwrap();
        }
        let (text, counts, groups) = (text.take(), counts.take_sorted(), groups.take_sorted());
        let (spread, glommed) = (spread.take_sorted(), glommed.take());
        for (i, batch) in input.iter().enumerate() {
            let all: String = batch.iter().map(|(k, v)| format!("{k}{v} ")).collect();
            prop_assert_eq!(&text[i], &Vec::from_iter(Some(all).filter(|a| !a.is_empty())));
            let mut by_key: BTreeMap<u8, Vec<u16>> = BTreeMap::new();
            batch.iter().for_each(|(k, v)| by_key.entry(*k).or_default().push(*v));
            let count: Vec<(u8, u64)> = by_key.iter().map(|(k, v)| (*k, v.len() as u64)).collect();
            prop_assert_eq!(&counts[i], &count);
            prop_assert_eq!(&groups[i], &by_key.into_iter().collect::<Vec<_>>());
            let mut sorted = batch.clone();
            sorted.sort();
            prop_assert_eq!(&spread[i], &sorted);
            prop_assert_eq!((glommed[i].len(), glommed[i].iter().sum::<usize>()), (partitions, batch.len()));
        }
    }
}
