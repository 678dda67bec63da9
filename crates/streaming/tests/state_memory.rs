//! What a stream keeps between batches, and its memory budget.
mod common;
use common::*;
use winterbourne_engine::MemoryUse;
use winterbourne_streaming::{DStream, State, StateSpec, seconds};
use winterbourne_testkit::{StreamTester, TestInput};

const VOLATILE: Settings<'_> = &[("spark.streaming.state.volatile", "true")];

/// A tester with pairs going in.
type Fed = (StreamTester, TestInput<(char, u64)>, DStream<(char, u64)>);
fn pairs(settings: Settings<'_>) -> Fed {
    let tester = tester(settings);
    let (feed, stream) = tester.input();
    (tester, feed, stream)
}
fn totals(values: Vec<u64>, total: Option<u64>) -> Option<u64> {
    Some(total.unwrap_or(0) + values.iter().sum::<u64>())
}

/// State is part of the memory budget, and gives its share back.
#[test]
fn state_counts_against_the_memory_budget() {
    let (mut tester, feed, stream) = pairs(VOLATILE);
    let sc = tester.context().spark_context().clone();
    let held = || sc.memory_status().used_by(MemoryUse::State);
    let texts = stream.flat_map(|(_, n)| 0..n).map(|n| (n, "x".repeat(100)));
    let last = StateSpec::function(|_: &u64, value: Option<String>, kept: &mut State<'_, String>| {
        kept.update(value.unwrap_or_default());
    });
    let seen = tester.output(&texts.map_with_state(last));
    for n in [1_000, 20_000, 1] {
        feed.push(vec![('a', n)]);
        tester.step().unwrap();
    }
    // Twenty thousand keys with a hundred bytes each, weighed when the batch behind them came in.
    let (least, most) = (20_000 * (8 + 24 + 100), 3 * 20_000 * (8 + 24 + 100));
    assert!((least..most).contains(&held()), "{}", held());
    drop((tester, feed, stream, texts, seen));
    assert_eq!(held(), 0);
}
/// With next to no memory every partition goes to disk after each batch: nothing that can be seen changes.
#[test]
fn state_on_disk_is_state() {
    let run = |size: Option<&str>| {
        let size: Vec<_> = size.map(|s| ("spark.memory.size", s)).into_iter().collect();
        let (mut tester, feed, stream) = pairs(&[VOLATILE, size.as_slice()].concat());
        let summing = StateSpec::function(|key: &char, value: Option<u64>, sum: &mut State<'_, u64>| {
            let new = sum.get().copied().unwrap_or(0) + value.unwrap_or(0);
            if !sum.is_timing_out() {
                sum.update(new);
            }
            (*key, new)
        });
        let mapped = stream.map_with_state(summing.timeout(seconds(2)));
        let outputs = [
            tester.output(&mapped),
            tester.output(&mapped.state_snapshots()),
            tester.output(&stream.update_state_by_key(totals)),
            tester.output(&stream.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, seconds(3), seconds(1))),
        ];
        for batch in 0..8u64 {
            let keys = "abcdefgh".chars().take(if batch > 4 { 2 } else { 8 });
            feed.push(keys.map(|k| (k, batch)).collect::<Vec<_>>());
            tester.step().unwrap();
        }
        let spills = tester.context().spark_context().memory_status().spills;
        (outputs.map(|o| o.take_sorted()), spills > 0)
    };
    let (expect, has_spilled) = run(None);
    assert!(!has_spilled);
    assert_eq!(run(Some("1")), (expect, true));
}
