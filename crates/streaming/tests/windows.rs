//! Windows that reduce and group: per batch first, then what the batches of a window came to.
mod common;
use common::*;
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::channel,
    },
};
use winterbourne_streaming::{DStream, seconds};

#[test]
fn reduce_by_window_is_one_record_and_none_for_an_empty_window() {
    let input = [vec!["a", "b"], vec![], vec!["c"], vec![], vec![], vec![], vec!["d"]];
    let input = input.map(|b| b.into_iter().map(String::from).collect::<Vec<_>>());
    let got = batches(input.clone(), |s| s.reduce_by_window(|a, b| a + &b, seconds(3), seconds(1)));
    let got: Vec<String> = got.into_iter().map(|b| b.join("|")).collect();
    assert_eq!(got, ["ab", "ab", "abc", "c", "c", "", "d"]);
    let got = batches(input, |s| s.reduce_by_window(|a, b| a + &b, seconds(2), seconds(3)).glom());
    assert_eq!(got, [[vec!["c".to_owned()]], [vec![]]], "every third second, the last two; one partition");
}
#[test]
fn reduce_by_key_and_window_leaves_out_what_is_not_in_the_window() {
    let input = [vec![('a', 1), ('b', 2), ('a', 3)], vec![('a', 10)], vec![], vec![]];
    check(
        input.clone(),
        |s| s.reduce_by_key_and_window(|a, b| a + b, seconds(2)),
        [vec![('a', 4), ('b', 2)], vec![('a', 14), ('b', 2)], vec![('a', 10)], vec![]],
    );
    check(
        input,
        |s| s.reduce_by_key_and_window_by(|a, b| a + b, seconds(3), seconds(2)),
        [vec![('a', 14), ('b', 2)], vec![('a', 10)]],
    );
}
#[test]
fn group_by_key_and_window_lists_values_in_the_order_of_batches() {
    let input = [vec![('a', 1), ('a', 2)], vec![('a', 3), ('b', 4)], vec![('a', 5)]];
    check(
        input.clone(),
        |s| s.group_by_key_and_window(seconds(2)),
        [vec![('a', vec![1, 2])], vec![('a', vec![1, 2, 3]), ('b', vec![4])], vec![('a', vec![3, 5]), ('b', vec![4])]],
    );
    check(
        input,
        |s| s.group_by_key_and_window_by(seconds(4), seconds(2)),
        [vec![('a', vec![1, 2, 3]), ('b', vec![4])]],
    );
}
#[test]
fn windows_by_key_have_so_many_partitions() {
    let got = batches([vec![(1, 1), (2, 1)]], |s| {
        s.reduce_by_key_and_window_in(|a, b| a + b, seconds(2), seconds(1), 5).glom()
    });
    assert_eq!((got[0].len(), got[0].concat().len()), (5, 2));
    let got = batches([vec![(1, 1), (2, 1)]], |s| s.group_by_key_and_window_in(seconds(2), seconds(1), 5).glom());
    assert_eq!((got[0].len(), got[0].concat().len()), (5, 2));
}
/// The lineage of the last window of four batches.
fn lineage(window: impl FnOnce(&DStream<(u8, u64)>) -> DStream<u8>) -> String {
    let mut tester = tester(&[]);
    let (feed, stream) = tester.input::<(u8, u64)>();
    let (tell, told) = channel();
    window(&stream).foreach_rdd(move |rdd, _| {
        rdd.count()?;
        Ok(tell.send(rdd.to_debug_string())?)
    });
    for i in 0..4 {
        feed.push([(1, i), (2, i)]);
        tester.step().expect("a good batch");
    }
    told.try_iter().last().expect("four")
}
#[test]
fn the_second_step_of_a_window_by_key_shuffles_nothing() {
    let reduced = lineage(|s| s.reduce_by_key_and_window(|a, b| a + b, seconds(3)).map(|(k, _)| k));
    let grouped = lineage(|s| s.group_by_key_and_window(seconds(3)).map(|(k, _)| k));
    for (text, inner) in [(reduced, "reduce_by_key"), (grouped, "group_by_key")] {
        let names: Vec<&str> = text.lines().map(|l| l.split_once(" [").expect("an id").0).collect();
        let short: Vec<&str> = names.iter().map(|n| n.trim_start().trim_start_matches("|  ")).collect();
        let start = [short[0].rsplit(' ').next().expect("a name"), short[1], short[2], short[3]];
        assert_eq!(start, ["map", "reduce_by_key", "union", inner], "{text}");
        // Below each batch there is a shuffle, that of its own; above them none.
        assert_eq!((text.matches("+-").count(), text.matches("(cached)").count()), (3, 3), "{text}");
        let first_shuffle = text.find("+-").expect("three");
        assert!(text.find("union").expect("one") < first_shuffle, "{text}");
    }
}
#[test]
fn each_batch_is_reduced_once_however_many_windows_it_is_in() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let input = (0..6u64).map(|_| (0..100).map(|i| (0u8, i)).collect::<Vec<_>>());
    batches(input, move |s| {
        let counted = s.map(move |x| {
            calls.fetch_add(1, Relaxed);
            x
        });
        counted.reduce_by_key_and_window(|a, b| a + b, seconds(4))
    });
    assert_eq!(seen.load(Relaxed), 600);
}
#[test]
fn windows_that_reduce_refuse_what_windows_refuse() {
    let errors = refused("windows.rs", |t| {
        let (_, s) = t.input::<(u8, u64)>();
        s.reduce_by_key_and_window(|a, b| a + b, ms(1500)).foreach_rdd(|_, _| Ok(()));
        s.reduce_by_window(|a, _| a, seconds(2), ms(1500)).foreach_rdd(|_, _| Ok(()));
        s.group_by_key_and_window(seconds(0)).foreach_rdd(|_, _| Ok(()));
        s.group_by_key_and_window_by(seconds(1), std::time::Duration::from_micros(1)).foreach_rdd(|_, _| Ok(()));
    });
    let expect = [
        "the window duration (1500 ms) must be a positive multiple of the slide duration of the parent DStream (1000 ms)",
        "the slide duration (1500 ms) must be a positive multiple",
        "the window duration (0 ms) must be a positive multiple",
        "is not a whole number of milliseconds",
    ];
    assert_eq!(errors.len(), expect.len(), "{errors:?}");
    for (error, expect) in errors.iter().zip(expect) {
        assert!(error.contains(expect), "{error}");
    }
}
#[test]
fn windows_that_reduce_skip_batches_with_nothing_to_do() {
    let mut tester = tester(&[]);
    let given = Given::new([None, Some(vec![(1, 1)]), None, None, None, Some(vec![(1, 2)])]);
    let given = tester.context().input_stream("given", given);
    let by_key = tester.output(&given.reduce_by_key_and_window(|a, b| a + b, seconds(2)));
    let all = tester.output(&given.map(|(_, v)| v).reduce_by_window(|a, b| a + b, seconds(2), seconds(1)));
    tester.steps(6).unwrap();
    assert_eq!(by_key.take_timed(), [(at(2), vec![(1, 1)]), (at(3), vec![(1, 1)]), (at(6), vec![(1, 2)])]);
    assert_eq!(all.take_timed(), [(at(2), vec![1]), (at(3), vec![1]), (at(6), vec![2])]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn windows_that_reduce_and_group_equal_their_twins(
        input in prop::collection::vec(prop::collection::vec((0u8..5, 0u64..1000), 0..10), 1..10),
        (window, slide) in (1u64..5, 1u64..4),
        (partitions, into, threads) in (1usize..5, 1usize..6, 1usize..4),
    ) {
        let mut tester = tester(&[("spark.master", &format!("local[{threads}]"))]);
        let (feed, s) = tester.input::<(u8, u64)>();
        let feed = feed.partitions(partitions);
        let (w, every) = (seconds(window), seconds(slide));
        let sums = tester.output(&s.reduce_by_key_and_window_in(|a, b| a + b, w, every, into));
        let one = tester.output(&s.reduce_by_key_and_window_in(|a, b| a + b, w, every, 1));
        let default = tester.output(&s.reduce_by_key_and_window_by(|a, b| a + b, w, every));
        let groups = tester.output(&s.group_by_key_and_window_in(w, every, into));
        let all = tester.output(&s.map(|(k, v)| format!("{k}:{v} ")).reduce_by_window(|a, b| a + &b, w, every));
        for batch in &input {
            feed.push(batch.iter().copied());
            tester.step().unwrap();
        }
        let (sums, one, default) = (sums.take_sorted(), one.take_sorted(), default.take_sorted());
        let (groups, all) = (groups.take_sorted(), all.take());
        let ends: Vec<usize> = (1..=input.len()).filter(|t| t % slide as usize == 0).collect();
        prop_assert_eq!(sums.len(), ends.len());
        for (i, end) in ends.into_iter().enumerate() {
            let inside = input[end.saturating_sub(window as usize)..end].concat();
            let mut expect: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
            inside.iter().for_each(|(k, v)| expect.entry(*k).or_default().push(*v));
            let sum: Vec<(u8, u64)> = expect.iter().map(|(k, v)| (*k, v.iter().sum())).collect();
            prop_assert_eq!(&sums[i], &sum);
            prop_assert_eq!(&one[i], &sum);
            prop_assert_eq!(&default[i], &sum);
            prop_assert_eq!(&groups[i], &expect.into_iter().collect::<Vec<_>>(), "values in the order of batches");
            let text: String = inside.iter().map(|(k, v)| format!("{k}:{v} ")).collect();
            prop_assert_eq!(&all[i], &Vec::from_iter(Some(text).filter(|t| !t.is_empty())));
        }
    }
}
