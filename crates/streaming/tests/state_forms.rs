//! The other forms of `update_state_by_key`: with time and key, and a whole partition at once.
mod common;
use common::*;
use winterbourne_streaming::{StateOptions, Updates};

const VOLATILE: Settings<'_> = &[("spark.streaming.state.volatile", "true")];

#[test]
fn the_form_with_time_sees_the_batch_and_the_key() {
    let mut tester = tester(VOLATILE);
    let (feed, stream) = tester.input::<(char, u64)>();
    let initial = tester.context().spark_context().parallelize([('z', vec![])], 1);
    let told = stream.update_state_by_key_with_time(
        |now, key: &char, values: Vec<u64>, seen: Option<Vec<(u64, char, u64)>>| {
            let mut seen = seen.unwrap_or_default();
            seen.extend(values.iter().map(|v| (second(now), *key, *v)));
            if values.is_empty() {
                seen.push((second(now), *key, 0));
            }
            (*key != 'x').then_some(seen)
        },
        StateOptions::default().num_partitions(3).initial_state(initial),
    );
    let out = tester.output(&told);
    for batch in [vec![('a', 1), ('x', 1)], vec![('b', 2), ('a', 3)]] {
        feed.push(batch);
        tester.step().unwrap();
    }
    let expect = [
        vec![('a', vec![(1, 'a', 1)]), ('z', vec![(1, 'z', 0)])],
        vec![('a', vec![(1, 'a', 1), (2, 'a', 3)]), ('b', vec![(2, 'b', 2)]), ('z', vec![(1, 'z', 0), (2, 'z', 0)])],
    ];
    assert_eq!(out.take_sorted(), expect);
}
#[test]
fn the_form_for_partitions_changes_drops_and_adds_keys() {
    let mut tester = tester(VOLATILE);
    let (feed, stream) = tester.input::<(u64, u64)>();
    let states = stream.update_state_by_partition(
        |all: Updates<u64, u64, u64>| {
            let mut all: Vec<_> = all.map(|(k, n, s)| (k, s.unwrap_or(0) + n.iter().sum::<u64>())).collect();
            all.sort();
            let count = all.len() as u64;
            // The largest key goes, and comes back as its successor; what was counted is a key of its own.
            if let Some((k, n)) = all.pop() {
                all.push((k + 1, n));
                all.push((1000, 7));
                all.push((1000, count));
            }
            all
        },
        StateOptions::default().num_partitions(1),
    );
    let faults = Faults::default();
    let trip = faults.clone();
    states.foreach_rdd(move |rdd, _| {
        rdd.count()?;
        trip.meet("output")
    });
    let out = tester.output(&states);
    for batch in [vec![(1, 1), (2, 2), (1, 3)], vec![(5, 5), (1, 1)]] {
        feed.push(batch);
        faults.add("output");
        tester.step().unwrap();
    }
    let expect = [vec![(1, 4), (3, 2), (1000, 2)], vec![(1, 5), (3, 2), (5, 5), (1000, 4), (1001, 2)]];
    assert_eq!(out.take_sorted(), expect);
}
#[test]
fn a_key_of_another_partition_fails_the_batch_and_changes_nothing() {
    let settings = [VOLATILE[0], ("spark.streaming.batch.maxAttempts", "1")];
    let mut tester = tester(&settings);
    let (feed, stream) = tester.input::<(u64, u64)>();
    let states = stream.update_state_by_partition(
        |all: Updates<u64, u64, u64>| {
            all.flat_map(|(k, _, _)| if k == 9 { (0..50).collect() } else { vec![k] })
                .map(|k| (k, k))
                .collect::<Vec<_>>()
        },
        StateOptions::default().num_partitions(4),
    );
    let out = tester.output(&states);
    feed.push([(1, 1)]);
    tester.step().unwrap();
    feed.push([(9, 1)]);
    let said = tester.step().unwrap_err().to_string();
    assert!(said.contains("a key that belongs to partition") && said.contains("tests/state_forms.rs:"), "{said}");
    assert_eq!(out.take(), [[(1, 1)]]);
}
